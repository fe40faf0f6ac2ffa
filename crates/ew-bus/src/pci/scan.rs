//! What is on the bus: units by a vote of three, what they say of themselves, then the groups of each application.

use super::frame::{BLOCK, Command, INSTALLATION, LIGHTING, hex};
use super::interface::{Interface, text};
use super::message::Message;
use super::session::{Asked, Heard, Listener};
use super::status::{Level, Sheet, Switch, vote};
use super::tally::{Sampled, Tally};
use super::timing::TRIES;
use crate::{BusError, Context, Unit};
use std::collections::BTreeSet;

/// Samples of a binary status.
const SAMPLES: usize = 3;
/// Level requests of an application.
const BLOCKS: usize = 8;
/// The application of a bus that tells nothing of its applications: lighting.
const LIGHTING_DEFAULT: u8 = 56;
/// They answer no status request (APP/06, 09, 28).
const BROADCAST_ONLY: [u8; 3] = [0x19, 0xD1, 0xE4];
/// Tries of what not every unit has.
const OPTIONAL_TRIES: u32 = 2;
/// SIUG 7.2, attribute 04.
const VOLTS_RULE: &str = "raw / 6.375";
const UNUSED: u8 = 0xFF;
/// The types of bridges begin so, as BRIDGE2N.
const BRIDGE: &str = "BRIDGE";

/// The binary status of an application.
struct SwitchesOf {
    application: u8,
    sheet: Sheet<Switch>,
}

impl Listener for SwitchesOf {
    type Answer = Vec<Switch>;

    fn restart(&mut self) {
        self.sheet = Sheet::switches();
    }

    fn message(&mut self, message: Message) -> Heard<Vec<Switch>> {
        match message {
            Message::Status(line) if !line.is_level && line.application == self.application => {
                self.sheet.add(&line);
                self.sheet.whole().map_or(Heard::Part, Heard::Whole)
            }
            _ => Heard::Nothing,
        }
    }
}

/// The levels of a block of groups.
pub(super) struct LevelsOf {
    application: u8,
    block: u8,
    sheet: Sheet<Level>,
}

impl LevelsOf {
    pub(super) fn new(application: u8, block: u8) -> LevelsOf {
        LevelsOf { application, block, sheet: Sheet::levels(block) }
    }
}

impl Listener for LevelsOf {
    type Answer = Vec<Level>;

    fn restart(&mut self) {
        self.sheet = Sheet::levels(self.block);
    }

    fn message(&mut self, message: Message) -> Heard<Vec<Level>> {
        match message {
            Message::Status(line)
                if line.is_level
                    && line.application == self.application
                    && line.first / BLOCK == self.block / BLOCK =>
            {
                self.sheet.add(&line);
                self.sheet.whole().map_or(Heard::Part, Heard::Whole)
            }
            _ => Heard::Nothing,
        }
    }
}

/// One scan.
pub(super) struct Scan<'s> {
    interface: &'s mut Interface,
    context: &'s Context<'s>,
    tally: Tally,
}

impl<'s> Scan<'s> {
    pub(super) fn new(bus: &str, interface: &'s mut Interface, context: &'s Context<'s>) -> Scan<'s> {
        Scan { interface, context, tally: Tally::new(bus) }
    }

    /// Units, their groups, and the state of every group. What was found before the deadline passed, or the link was
    /// lost, is kept.
    pub(super) fn everything(mut self, applications: Option<&[u8]>) -> Result<Tally, BusError> {
        (self.context.note)(
            "a scan of a PCI or CNI asks for a status every 3 s: about 10 s to see which units there are, 1 s a unit, \
             and 35 s for an application with levels",
        );
        let present = self.present()?;
        let scanned = self.units_and_groups(&present, applications);
        Ok(self.end(scanned))
    }

    /// The groups of these applications, or of those that the units work in.
    pub(super) fn levels(mut self, applications: Option<&[u8]>) -> Result<Tally, BusError> {
        let wanted = match applications {
            Some(wanted) => wanted.to_vec(),
            None => {
                let present = self.present()?;
                self.applications_of(&present)?
            }
        };
        match self.groups(&wanted, false) {
            Err(e) if self.tally.has_nothing() => Err(e),
            scanned => Ok(self.end(scanned)),
        }
    }

    fn end(mut self, scanned: Result<(), BusError>) -> Tally {
        if let Err(e) = scanned {
            self.tally.missing(e.to_string());
        }
        for remark in self.interface.take_remarks() {
            self.tally.warn("interface", remark);
        }
        self.tally.interface_address = self.interface.address();
        self.tally
    }

    /// The units of the installation status.
    fn present(&mut self) -> Result<Vec<u8>, BusError> {
        let doing = "ask which units there are";
        let mut samples = Vec::new();
        let mut last = None;
        for _ in 0..SAMPLES {
            match self.switches(INSTALLATION, doing)? {
                Ok(sample) => samples.push(sample),
                Err(miss) => last = Some(miss),
            }
        }
        if let Some(miss) = last {
            if samples.is_empty() {
                return Err(self.interface.missed(doing, miss));
            }
            let got = samples.len();
            self.tally
                .missing(format!("which units there are: {got} of {SAMPLES} samples came whole: {miss}"));
        }
        // Whether a unit is on or off means nothing; that it is there does. A tie is asked.
        let there = |unit: usize| {
            samples.iter().filter(|s| s.get(unit).is_some_and(|u| *u != Switch::Absent)).count()
        };
        let present = (0..=u8::MAX).filter(|unit| {
            let count = there(usize::from(*unit));
            count > 0 && 2 * count >= samples.len()
        });
        let present: Vec<u8> = present.collect();
        for unit in &present {
            let said = vote(&samples).get(usize::from(*unit)).copied().flatten();
            if said == Some(Switch::Error) {
                self.tally.warn(
                    format!("unit {unit}"),
                    "the installation status says error: two units may have this address",
                );
            }
        }
        Ok(present)
    }

    fn switches(&mut self, application: u8, doing: &str) -> Asked<Vec<Switch>> {
        switches(self.interface, application, doing)
    }

    fn units_and_groups(&mut self, present: &[u8], applications: Option<&[u8]>) -> Result<(), BusError> {
        for unit in present {
            if let Err(e) = self.unit(*unit) {
                let unasked = present.len() - self.tally.units.len();
                if unasked > 0 {
                    self.tally.missing(format!("{unasked} units were not asked"));
                }
                return Err(e);
            }
        }
        let found = self.tally.applications();
        for application in found.iter().filter(|a| BROADCAST_ONLY.contains(a)) {
            self.tally.application(*application);
        }
        let wanted = applications.map_or_else(|| or_lighting(found), <[u8]>::to_vec);
        (self.context.note)(&estimate(present.len(), &wanted));
        self.groups(&wanted, true)
    }

    /// The applications that the units work in, without asking them anything else.
    fn applications_of(&mut self, present: &[u8]) -> Result<Vec<u8>, BusError> {
        let mut found = BTreeSet::new();
        for address in present {
            let unit = self.to(*address);
            match self.unit_applications(unit, *address)? {
                Some(applications) => found.extend(applications),
                None => self.tally.missing(format!("unit {address} does not tell its applications")),
            }
        }
        Ok(or_lighting(found.into_iter().collect()))
    }

    /// How a unit is asked: the interface itself cannot be over the bus.
    fn to(&self, address: u8) -> Option<u8> {
        (self.interface.address() != Some(address)).then_some(address)
    }

    fn unit(&mut self, address: u8) -> Result<(), BusError> {
        let to = self.to(address);
        let mut unit = self.tally.unit(address);
        let kind = self.attribute(to, address, 0x01, "type", TRIES)?;
        let Some(kind) = kind else {
            self.tally.missing(format!("unit {address} is there and does not answer"));
            self.tally.units.push(unit);
            return Ok(());
        };
        unit.kind = text(&kind);
        if unit.kind.as_deref().is_some_and(|kind| kind.starts_with(BRIDGE)) {
            self.tally.warn(
                format!("unit {address}"),
                "it is a bridge, and the network behind it is not seen: a PCI or CNI shows its own only, a C-Gate all",
            );
        }
        let firmware = self.attribute(to, address, 0x02, "firmware", TRIES)?;
        if firmware.is_none() {
            self.tally.missing(format!("unit {address} does not tell its firmware"));
        }
        unit.firmware = firmware.as_deref().and_then(text);
        let diagnostics = self.attribute(to, address, 0x04, "diagnostics", OPTIONAL_TRIES)?;
        let mut applications = None;
        if let Some(data) = &diagnostics {
            applications = self.diagnostics(&mut unit, data);
        }
        let recalled = self.unit_applications(to, address)?;
        unit.applications = recalled.or(applications);
        if unit.applications.is_none() {
            self.tally.missing(format!("unit {address} does not tell its applications"));
        }
        let doing = format!("ask unit {address} for its serial number");
        let serial = self.interface.read(to, &Command::recall(to, 0xF3, 4), 0xF3, &doing, OPTIONAL_TRIES)?;
        if let Some(data) = serial.ok().filter(|data| data.len() == 4) {
            unit.serial = Some(hex(&data));
        }
        if to.is_some() {
            self.unit_groups(&unit)?;
        }
        self.tally.units.push(unit);
        Ok(())
    }

    /// Applications, serial number and supply of attribute 04, which are in its twelve bytes (SIUG 7.2).
    fn diagnostics(&mut self, unit: &mut Unit, data: &[u8]) -> Option<Vec<u8>> {
        let [first, second, _area, _crc1, _crc2, s1, s2, s3, s4, volts, status, _errors] = data else {
            self.tally.warn(format!("unit {}", unit.address), "its diagnostics are not of the known form");
            return None;
        };
        unit.serial = Some(hex(&[*s1, *s2, *s3, *s4]));
        unit.volts = Some((f64::from(*volts) / 6.375 * 10.0).round() / 10.0);
        unit.volts_rule = Some(VOLTS_RULE.into());
        let supply = if status & 0x40 != 0 {
            Some("low")
        } else if status & 0x20 != 0 {
            Some("marginal")
        } else {
            None
        };
        if let Some(supply) = supply {
            self.tally.warn(format!("unit {}", unit.address), format!("it finds the bus voltage {supply}"));
        }
        Some(used(&[*first, *second]))
    }

    /// Its two applications by parameter $21; none: not told.
    fn unit_applications(&mut self, to: Option<u8>, address: u8) -> Result<Option<Vec<u8>>, BusError> {
        let doing = format!("ask unit {address} for its applications");
        let data = self.interface.read(to, &Command::recall(to, 0x21, 2), 0x21, &doing, TRIES)?;
        Ok(data.ok().map(|data| used(&data)))
    }

    fn unit_groups(&mut self, unit: &Unit) -> Result<(), BusError> {
        let address = unit.address;
        let Some(data) = self.attribute(Some(address), address, 0x0A, "groups", OPTIONAL_TRIES)? else {
            self.tally.warn(format!("unit {address}"), "it does not tell its groups");
            return Ok(());
        };
        // Of two applications it is not told which a group is of.
        let application = match unit.applications.as_deref() {
            Some([only]) => Some(*only),
            _ => None,
        };
        for group in used(&data) {
            self.tally.unit_group(address, application, group);
        }
        Ok(())
    }

    fn attribute(
        &mut self,
        to: Option<u8>,
        address: u8,
        attribute: u8,
        what: &str,
        tries: u32,
    ) -> Result<Option<Vec<u8>>, BusError> {
        let doing = format!("ask unit {address} for its {what}");
        let command = Command::identify(to, attribute);
        Ok(self.interface.read(to, &command, attribute, &doing, tries)?.ok())
    }

    /// The groups of applications. Their requests take turns, since those of one must keep a distance.
    fn groups(&mut self, wanted: &[u8], is_thorough: bool) -> Result<(), BusError> {
        let mut sampled: Vec<Sampled> = Vec::new();
        for application in wanted.iter().collect::<BTreeSet<_>>() {
            self.tally.application(*application);
            if !BROADCAST_ONLY.contains(application) {
                sampled.push(Sampled::new(*application));
            }
        }
        let asked = self.sample(&mut sampled, is_thorough);
        for sampled in sampled {
            self.tally.groups_of(&sampled);
        }
        asked
    }

    fn sample(&mut self, sampled: &mut [Sampled], is_thorough: bool) -> Result<(), BusError> {
        let is_lighting = |application: u8| LIGHTING.contains(&application);
        for sampled in sampled.iter_mut() {
            sampled.wants_levels = is_lighting(sampled.application);
            // Once shows whether there may be a group without a level; where there is, the rest follow.
            sampled.switches_wanted = if is_thorough || !sampled.wants_levels { SAMPLES } else { 1 };
        }
        self.sample_switches(sampled)?;
        for block in (0..BLOCKS).filter_map(|n| u8::try_from(n * usize::from(BLOCK)).ok()) {
            for sampled in sampled.iter_mut().filter(|s| s.wants_levels) {
                let application = sampled.application;
                let doing = format!("ask for the levels of application {application} from {block} on");
                let mut listener = LevelsOf::new(application, block);
                let command = Command::levels(application, block);
                match self.interface.ask(&command, &doing, TRIES, &mut listener)? {
                    Ok(levels) => sampled.leveled(block, &levels, (self.context.now)()),
                    Err(miss) => sampled.level_misses.push((block, miss)),
                }
            }
        }
        for sampled in sampled.iter_mut().filter(|s| s.has_level_less()) {
            sampled.switches_wanted = SAMPLES;
        }
        self.sample_switches(sampled)
    }

    /// Binary statuses until each application has as many as it is to have.
    fn sample_switches(&mut self, sampled: &mut [Sampled]) -> Result<(), BusError> {
        for _ in 0..SAMPLES {
            for sampled in sampled.iter_mut().filter(|s| s.switches_asked < s.switches_wanted) {
                sampled.switches_asked += 1;
                let application = sampled.application;
                let doing = format!("ask what of application {application} is on or off");
                match self.switches(application, &doing)? {
                    Ok(sample) => sampled.switched(sample, (self.context.now)()),
                    Err(miss) => sampled.switch_miss = Some(miss),
                }
            }
        }
        Ok(())
    }
}

/// One sample of what of an application is on or off.
pub(super) fn switches(interface: &mut Interface, application: u8, doing: &str) -> Asked<Vec<Switch>> {
    let mut listener = SwitchesOf { application, sheet: Sheet::switches() };
    interface.ask(&Command::status(application), doing, TRIES, &mut listener)
}

fn used(data: &[u8]) -> Vec<u8> {
    let used: BTreeSet<u8> = data.iter().copied().filter(|address| *address != UNUSED).collect();
    used.into_iter().collect()
}

fn or_lighting(found: Vec<u8>) -> Vec<u8> {
    if found.is_empty() { vec![LIGHTING_DEFAULT] } else { found }
}

/// How long the groups will take: a round of requests every 3 s, or as fast as replies come where there are many.
fn estimate(units: usize, applications: &[u8]) -> String {
    const SPACING: f64 = 3.0;
    const REQUEST: f64 = 0.4;
    let asked = applications.iter().filter(|a| !BROADCAST_ONLY.contains(a));
    let (lighting, others): (Vec<&u8>, Vec<&u8>) = asked.partition(|a| LIGHTING.contains(a));
    let round = |count: usize| if count == 0 { 0.0 } else { (count as f64 * REQUEST).max(SPACING) };
    let seconds =
        SAMPLES as f64 * round(lighting.len() + others.len()) + BLOCKS as f64 * round(lighting.len());
    let seconds = (seconds / 5.0).ceil() * 5.0;
    format!("units: {units}; applications {applications:?}: about {seconds} s more")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_application_takes_about_35_s() {
        assert_eq!(estimate(12, &[56]), "units: 12; applications [56]: about 35 s more");
        assert_eq!(estimate(1, &[202]), "units: 1; applications [202]: about 10 s more");
        assert_eq!(estimate(0, &[228]), "units: 0; applications [228]: about 0 s more");
        assert_eq!(estimate(9, &[56, 57, 202]), "units: 9; applications [56, 57, 202]: about 35 s more");
    }

    #[test]
    fn unused_addresses_are_dropped_and_the_rest_is_in_order() {
        assert_eq!(used(&[3, 0xFF, 1, 3, 0xFF]), [1, 3]);
        assert_eq!(or_lighting(vec![]), [56]);
    }
}

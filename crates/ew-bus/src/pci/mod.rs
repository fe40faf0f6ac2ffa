//! PCI and CNI: the serial protocol of the interface (Clipsal CBUS-SIUG 1.17, CBUS-IFR 1.8), over a serial port or
//! TCP. Written after the documents and other people's captures; no real interface was at hand.
//!
//! Bytes go through [`decode`] (lines and signs), [`message`] (what a line means) and [`status`] (lines put together
//! and voted on). [`session`] sends one command at a time, paced and confirmed, [`interface`] keeps the interface in
//! the mode that is needed, and [`scan`] asks what there is.
//!
//! Only the network that the interface is on is seen. It is called `00`, as the exec dialect calls it, so that points
//! keep their names when a child is replaced by this backend. Bridges to other networks are units like any other.

mod decode;
mod dial;
mod frame;
mod interface;
mod link;
mod message;
mod scan;
mod session;
mod status;
mod tally;
mod timing;

use crate::{Backend, Bus, BusError, BusOptions, Context, Discovery, GroupAddress, Levels, Measurement};
use dial::Dial;
use ew_core::Exit;
use frame::{BLOCK, Command, LIGHTING};
use interface::Interface;
use scan::{LevelsOf, Scan};
use session::Session;
use status::Level;
use timing::{TRIES, Timing};

/// The network of the interface.
const LOCAL: &str = "00";

/// Shortens the pauses of a program that talks to a simulator; only where debug assertions are on.
const HURRY: &str = "EW_PCI_HURRY";

/// A bus behind its interface.
struct PciBus<'a> {
    options: &'a BusOptions,
    context: Context<'a>,
    interface: Interface,
}

/// Connects to a CNI or opens a serial port. Nothing is sent yet.
pub(crate) fn open<'a>(options: &'a BusOptions, context: Context<'a>) -> Result<Box<dyn Bus + 'a>, BusError> {
    let timing = Timing::new(options.reply_timeout.0);
    let is_hurried = std::env::var_os(HURRY).is_some_and(|value| value == "1");
    connect(options, context, if is_hurried { timing.hurried() } else { timing })
}

/// The same with the short pauses that a simulator can take, where debug assertions are on.
pub(crate) fn open_hurried<'a>(
    options: &'a BusOptions,
    context: Context<'a>,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    connect(options, context, Timing::new(options.reply_timeout.0).hurried())
}

fn connect<'a>(
    options: &'a BusOptions,
    context: Context<'a>,
    timing: Timing,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    let mut dial = Dial::new(options, &context, &timing)?;
    let link = dial.link()?;
    let session = Session::new(link, dial, options.endpoint(), timing, context.deadline);
    Ok(Box::new(PciBus { options, context, interface: Interface::new(session) }))
}

/// With the network, which may be left out.
fn in_full(group: &GroupAddress) -> String {
    let network = if group.network.is_empty() { LOCAL } else { &group.network };
    format!("{network}/{}/{}", group.application, group.group)
}

impl PciBus<'_> {
    fn scan(&mut self) -> Scan<'_> {
        Scan::new(&self.options.name, &mut self.interface, &self.context)
    }

    /// Refuses what is not a lighting group of this network.
    fn check(&self, group: &GroupAddress, what: &str) -> Result<(), BusError> {
        let no = |cause: &str, hint: &str| {
            Err(BusError::NoSuchObject {
                endpoint: self.interface.endpoint().to_owned(),
                object: in_full(group),
                cause: cause.into(),
                hint: Some(hint.into()),
                exit: Exit::Usage,
            })
        };
        if !group.network.is_empty() && group.network != LOCAL {
            return no(
                "not the network of the interface",
                "a PCI or CNI sees its own network only, called 00",
            );
        }
        if !LIGHTING.contains(&group.application) {
            return no(
                &format!("no lighting application (48 to 95), so it has no levels to {what}"),
                "`ew-cbus discover` shows its groups as on or off",
            );
        }
        if group.group == u8::MAX {
            return no("group 255 stands for unused", "groups are 0 to 254");
        }
        Ok(())
    }
}

impl Bus for PciBus<'_> {
    fn discover(&mut self) -> Result<Discovery, BusError> {
        let started_at = (self.context.now)();
        let options = self.options;
        let applications = options.applications.as_deref();
        let tally = self.scan().everything(applications)?;
        let kind = if matches!(options.backend, Backend::Cni(_)) { "cni" } else { "pci" };
        let finished_at = (self.context.now)();
        Ok(tally.discovery(kind, options.endpoint(), started_at, finished_at))
    }

    fn levels(&mut self, applications: Option<&[u8]>) -> Result<Levels, BusError> {
        let wanted = applications.or(self.options.applications.as_deref());
        let wanted = wanted.map(<[u8]>::to_vec);
        Ok(self.scan().levels(wanted.as_deref())?.levels())
    }

    fn get(&mut self, group: &GroupAddress) -> Result<u8, BusError> {
        self.check(group, "read")?;
        let doing = format!("read the level of {}/{}", group.application, group.group);
        let block = group.group / BLOCK * BLOCK;
        let command = Command::levels(group.application, block);
        let (mut cause, mut exit) = (String::new(), Exit::NoData);
        // Noise and a ramp under way look like a conflict; a real one is still there the next time.
        for _ in 0..TRIES {
            let mut listener = LevelsOf::new(group.application, block);
            let levels = self.interface.ask(&command, &doing, TRIES, &mut listener)?;
            let levels = levels.map_err(|miss| self.interface.missed(&doing, miss))?;
            match levels.get(usize::from(group.group - block)) {
                Some(Level::At(level)) => return Ok(*level),
                Some(Level::Absent) | None => {
                    return Err(BusError::NoSuchObject {
                        endpoint: self.interface.endpoint().to_owned(),
                        object: in_full(group),
                        cause: "no output unit tells a level of this group".into(),
                        hint: Some("`ew-cbus discover` lists the groups that are there".into()),
                        exit,
                    });
                }
                Some(bad) => {
                    cause = bad.reason();
                    exit = if matches!(bad, Level::Corrupt(_)) { Exit::Protocol } else { Exit::NoData };
                }
            }
        }
        Err(BusError::NoSuchObject {
            endpoint: self.interface.endpoint().to_owned(),
            object: in_full(group),
            cause,
            hint: None,
            exit,
        })
    }

    fn set(&mut self, group: &GroupAddress, level: u8) -> Result<Option<String>, BusError> {
        self.check(group, "set")?;
        let doing = format!("set {}/{} to {level}", group.application, group.group);
        let command = Command::light(group.application, group.group, level);
        match self.interface.command(&command, &doing)? {
            Ok(()) => Ok(None),
            Err(miss) => Err(self.interface.missed(&doing, miss)),
        }
    }

    fn measure(&mut self) -> Result<Vec<Measurement>, BusError> {
        Err(BusError::NotSupported {
            endpoint: self.interface.endpoint().to_owned(),
            what: "measurement, metering and temperature are broadcast on the bus and not told when asked; \
                   a C-Gate that listens keeps them (backend cgate)"
                .into(),
        })
    }

    fn probe(&mut self) -> Result<Vec<String>, BusError> {
        self.interface.probe()
    }
}

/// Reads bytes as an interface's, in two pieces, with all that is made of them; for `make fuzz`.
#[cfg(fuzzing)]
pub fn hear(bytes: &[u8]) {
    let (mut decoder, mut switches, mut levels) =
        (decode::Decoder::default(), status::Sheet::switches(), status::Sheet::levels(32));
    let (one, other) = bytes.split_at(bytes.len() / 2);
    for piece in [one, other] {
        for token in decoder.feed(piece) {
            let decode::Token::Line(line) = token else { continue };
            assert!(frame::is_sound(&line));
            if let message::Message::Status(line) = message::Message::read(&line) {
                switches.add(&line);
                levels.add(&line);
            }
        }
    }
    assert!(levels.whole().is_none_or(|groups| groups.len() == 32));
}

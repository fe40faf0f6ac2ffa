//! `exec`: a child with a `ready>` prompt that understands `D`, `Ga=` and `Sa=`.
//!
//! The child tells units with their groups and units with their applications, never which group is of which application,
//! so groups are the product of both within a network. `Ga=` and `Sa=` name no network: they are about the local one.

mod reply;
mod session;

use crate::{
    Application, Bus, BusError, BusOptions, Context, Discovery, Exec, Group, GroupAddress, GroupState,
    LevelSource, Levels, Measurement, Network, Origin, Unit, UnitGroup, Warning,
};
use ew_core::Exit;
use reply::Scan;
use session::{Session, quoted};
use std::collections::BTreeSet;

/// The application of lighting, where neither the configuration nor the child tells one.
const LIGHTING: u8 = 56;
/// The network that the child's interface is on, as the dialect writes it.
const LOCAL: &str = "00";

/// Starts the child.
pub(crate) fn open<'a>(
    options: &'a BusOptions,
    exec: &'a Exec,
    context: Context<'a>,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    let mut session = Session::new(options, &exec.command, context);
    session.ready()?;
    Ok(Box::new(ExecBus { session }))
}

struct ExecBus<'a> {
    session: Session<'a>,
}

impl ExecBus<'_> {
    /// The groups of a network without their levels.
    fn groups(&self, scan: &Scan, network: &str, applications: Option<&[u8]>) -> Vec<Group> {
        let groups: BTreeSet<u8> =
            scan.units(network).flat_map(|(_, seen)| seen.groups.iter().copied()).collect();
        let mut applications: BTreeSet<u8> = match applications {
            Some(applications) => applications.iter().copied().collect(),
            None => said_applications(scan, network),
        };
        if applications.is_empty() {
            applications.insert(LIGHTING);
        }
        let bus = self.session.options.name.as_str();
        let of = |application: u8| {
            groups.iter().map(move |group| Group::new(bus, network, application, *group, Origin::Product))
        };
        applications.into_iter().flat_map(of).collect()
    }

    /// All groups, each of the local network with its level or the reason why it has none.
    fn with_levels(&mut self, scan: &Scan, applications: Option<&[u8]>) -> Levels {
        let local = local(scan);
        let mut levels = Levels::default();
        let mut failed = 0;
        for network in scan.networks() {
            let mut groups = self.groups(scan, network, applications);
            for group in &mut groups {
                if Some(network) != local {
                    group.reason = Some("the exec dialect has levels of the local network only".to_owned());
                    continue;
                }
                match self.level(group.application, group.address) {
                    Ok(level) => {
                        group.level = Some(level);
                        group.level_source = LevelSource::Exec;
                        group.state = GroupState::Ok;
                        group.observed_at = Some((self.session.context.now)());
                    }
                    Err(error) => {
                        failed += 1;
                        if matches!(error, BusError::Breach { .. }) {
                            group.state = GroupState::Error;
                        }
                        group.reason = Some(error.to_string());
                    }
                }
            }
            levels.groups.extend(groups);
        }
        if failed > 0 {
            levels
                .incomplete_reasons
                .push(format!("{failed} of {} groups have no level", levels.groups.len()));
        }
        levels.warnings = scan.odd.iter().map(|(line, why)| warning(line, why)).collect();
        levels
    }

    fn level(&mut self, application: u8, group: u8) -> Result<u8, BusError> {
        let command = format!("Ga={application},g={group}");
        let lines = self.session.exchange(&command)?;
        reply::level(&lines).map_err(|why| self.session.breach(&command, quoted(&why)))
    }

    /// A group elsewhere than on the local network cannot be named in the dialect.
    fn on_local(&mut self, group: &GroupAddress) -> Result<(), BusError> {
        if [LOCAL, ""].contains(&group.network.as_str()) {
            return Ok(());
        }
        let scan = self.session.scan()?;
        if local(&scan) == Some(group.network.as_str()) {
            return Ok(());
        }
        Err(BusError::NoSuchObject {
            endpoint: self.session.endpoint.clone(),
            object: group.to_string(),
            cause: "the exec dialect names no network: it reaches groups of the local one only".into(),
            hint: Some("leave --network out".into()),
            exit: Exit::Usage,
        })
    }
}

impl Bus for ExecBus<'_> {
    fn discover(&mut self) -> Result<Discovery, BusError> {
        let started_at = (self.session.context.now)();
        let scan = self.session.scan()?;
        let options = self.session.options;
        let levels = self.with_levels(&scan, options.applications.as_deref());
        let bus = options.name.as_str();
        let networks = scan.networks();
        let applications = networks.iter().flat_map(|network| {
            said_applications(&scan, network)
                .into_iter()
                .map(|address| Application::new(bus, network, address))
        });
        let unit_groups = scan.units.iter().flat_map(|((network, unit), seen)| {
            seen.groups.iter().map(|group| UnitGroup {
                bus: bus.to_owned(),
                network: network.clone(),
                unit: *unit,
                application: None,
                group: *group,
            })
        });
        let mut discovery = Discovery {
            bus: bus.to_owned(),
            backend: "exec".into(),
            endpoint: self.session.endpoint.clone(),
            project: None,
            server_banner: Some(self.session.banner.join("\n")).filter(|banner| !banner.is_empty()),
            tool_version: env!("CARGO_PKG_VERSION").into(),
            started_at,
            finished_at: (self.session.context.now)(),
            // A scan tells no end of its own; that levels are missing is known.
            complete: if levels.incomplete_reasons.is_empty() { None } else { Some(false) },
            incomplete_reasons: levels.incomplete_reasons,
            warnings: levels.warnings,
            networks: networks.iter().map(|address| Network::new(bus, address)).collect(),
            applications: applications.collect(),
            groups: levels.groups,
            units: scan
                .units
                .iter()
                .map(|((network, unit), seen)| of_unit(options, network, *unit, seen))
                .collect(),
            unit_groups: unit_groups.collect(),
            measurements: Vec::new(),
        };
        discovery.sort();
        Ok(discovery)
    }

    fn levels(&mut self, applications: Option<&[u8]>) -> Result<Levels, BusError> {
        let scan = self.session.scan()?;
        Ok(self.with_levels(&scan, applications))
    }

    fn get(&mut self, group: &GroupAddress) -> Result<u8, BusError> {
        self.on_local(group)?;
        self.level(group.application, group.group)
    }

    fn set(&mut self, group: &GroupAddress, level: u8) -> Result<Option<String>, BusError> {
        self.on_local(group)?;
        let lines =
            self.session.exchange(&format!("Sa={},g={},l={level}", group.application, group.group))?;
        Ok(Some(quoted(&lines.join(" / "))).filter(|reply| !reply.is_empty()))
    }

    fn measure(&mut self) -> Result<Vec<Measurement>, BusError> {
        let what = "the exec dialect has no measurements; cgate does".into();
        Err(BusError::NotSupported { endpoint: self.session.endpoint.clone(), what })
    }

    fn probe(&mut self) -> Result<Vec<String>, BusError> {
        let mut lines: Vec<String> =
            self.session.banner.iter().map(|line| format!("says: {}", quoted(line))).collect();
        lines.push("prompt: ready>".into());
        if self.session.options.auto_discover {
            let scan = self.session.scan()?;
            let networks = scan.networks();
            lines.push(format!("scan: {} units, networks: {}", scan.units.len(), networks.join(" ")));
        }
        Ok(lines)
    }
}

/// The network that `Ga=` and `Sa=` are about: none where it cannot be told which of several it is.
fn local(scan: &Scan) -> Option<&str> {
    let networks = scan.networks();
    match networks.as_slice() {
        [only] => Some(only),
        several => several.iter().find(|network| **network == LOCAL).copied(),
    }
}

fn said_applications(scan: &Scan, network: &str) -> BTreeSet<u8> {
    scan.units(network).flat_map(|(_, seen)| seen.applications.iter().flatten().copied()).collect()
}

fn of_unit(options: &BusOptions, network: &str, address: u8, seen: &reply::Seen) -> Unit {
    Unit {
        applications: seen.applications.as_ref().map(|all| all.iter().copied().collect()),
        on_bus: Some(true),
        ..Unit::new(&options.name, network, address)
    }
}

fn warning(line: &str, why: &str) -> Warning {
    let text = format!("a line of the scan is not understood: {:?}: {why}", quoted(line));
    Warning { code: None, object: None, text }
}

/// Reads text as a child's reply; for `make fuzz`.
#[cfg(fuzzing)]
pub fn hear(text: &str) {
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let scan = reply::Scan::of(&lines);
    for network in scan.networks() {
        assert!(scan.units(network).all(|(_, seen)| !seen.groups.contains(&255)));
    }
    let _ = reply::level(&lines);
}

//! A real interface behind the dialect, by the backends of ew-bus: what once ended in a `cbus_cli` still does.

use super::Gear;
use crate::SimError;
use ew_bus::{Backend, Bus, BusError, BusOptions, Cni, Context, Group, GroupAddress, Pci, Trace};
use ew_core::Span;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A child lives as long as whoever started it; this only keeps a forgotten one from living for ever.
const LIFE: Duration = Duration::from_secs(86_400);
const CNI_PORT: u16 = 10001;

/// How the endpoint is reached.
pub(super) fn settings(endpoint: &str, baud: u32) -> Result<BusOptions, SimError> {
    let backend = match endpoint.strip_prefix('/') {
        Some(_) => Backend::Pci(Pci { device: endpoint.into(), baud }),
        None => {
            let address = endpoint.strip_prefix("tcp://").unwrap_or(endpoint);
            let (host, port) = match address.rsplit_once(':') {
                Some((host, port)) => {
                    let port =
                        port.parse().map_err(|_| SimError::Usage(format!("{port:?} is no TCP port")))?;
                    (host, port)
                }
                None => (address, CNI_PORT),
            };
            Backend::Cni(Cni { host: host.trim_matches(['[', ']']).to_owned(), port })
        }
    };
    Ok(BusOptions {
        name: "bus".into(),
        poll: false,
        auto_discover: true,
        applications: None,
        start_timeout: Span::from_secs(10),
        reply_timeout: Span::from_secs(5),
        deadline: Span(LIFE),
        backend,
    })
}

/// A scan has the level of every group, and to ask for one takes seconds: so long its levels stand.
const FRESH: Duration = Duration::from_secs(60);

pub(super) struct Bridge<'a> {
    bus: Box<dyn Bus + 'a>,
    scanned: Option<Scanned>,
}

/// The levels of a scan by application and group, or why there is none.
struct Scanned {
    at: Instant,
    levels: BTreeMap<(u8, u8), Result<u8, String>>,
}

impl<'a> Bridge<'a> {
    pub(super) fn open(options: &'a BusOptions) -> Result<Bridge<'a>, BusError> {
        let context = Context {
            base: Path::new("."),
            resolve: &|_| Err("an interface has no secrets".into()),
            trace: Trace::off(),
            deadline: Instant::now() + LIFE,
            allow_open: false,
            wait_sync: Duration::ZERO,
            now: &ew_cli::clock::now,
            note: &|_| {},
        };
        Ok(Bridge { bus: ew_bus::open(options, context)?, scanned: None })
    }
}

fn error(error: BusError) -> String {
    format!("error: {error}")
}

fn group(application: u8, group: u8) -> GroupAddress {
    GroupAddress { network: String::new(), application, group }
}

impl Gear for Bridge<'_> {
    fn discover(&mut self) -> Result<Vec<String>, String> {
        let found = self.bus.discover().map_err(error)?;
        let level = |group: &Group| {
            let why = || format!("error: {}", group.reason.as_deref().unwrap_or("its level is not known"));
            ((group.application, group.address), group.level.ok_or_else(why))
        };
        self.scanned = Some(Scanned { at: Instant::now(), levels: found.groups.iter().map(level).collect() });
        let mut groups: BTreeMap<(&str, u8), Vec<u8>> = BTreeMap::new();
        for link in &found.unit_groups {
            let groups = groups.entry((&link.network, link.unit)).or_default();
            if !groups.contains(&link.group) {
                groups.push(link.group);
            }
        }
        let list = |numbers: &[u8]| numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
        let mut lines = Vec::new();
        for unit in &found.units {
            // The dialect calls the network that the interface is on 00.
            let head = format!("unit:{},network:00", unit.address);
            let applications = unit.applications.as_deref().filter(|all| !all.is_empty());
            let groups = groups.get(&(unit.network.as_str(), unit.address));
            lines.extend(applications.map(|all| format!("{head},apps:{}", list(all))));
            lines.extend(groups.map(|all| format!("{head},groups:{}", list(all))));
            if applications.is_none() && groups.is_none() {
                lines.push(head);
            }
        }
        Ok(lines)
    }

    fn level(&mut self, application: u8, number: u8) -> Result<u8, String> {
        match self.scanned.as_ref().filter(|scanned| scanned.at.elapsed() < FRESH) {
            Some(scanned) => {
                let level = scanned.levels.get(&(application, number)).cloned();
                level.unwrap_or_else(|| Err("error: no such group".to_owned()))
            }
            None => self.bus.get(&group(application, number)).map_err(error),
        }
    }

    fn set(&mut self, application: u8, number: u8, level: u8) -> Result<(), String> {
        self.scanned = None;
        self.bus.set(&group(application, number), level).map(|_| ()).map_err(error)
    }

    /// The bus itself knows its levels.
    fn is_primed(&self) -> bool {
        true
    }
}

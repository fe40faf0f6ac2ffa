//! What a scan found, as rows.

use super::LOCAL;
use super::session::Miss;
use super::status::{ALL, Level, Switch, vote};
use crate::{
    Application, Discovery, Group, GroupState, LevelSource, Levels, Network, Origin, Unit, UnitGroup, Warning,
};
use ew_core::Timestamp;

/// The answers for one application.
#[derive(Debug)]
pub(super) struct Sampled {
    pub(super) application: u8,
    /// Samples of the binary status that it is to have, and those asked for so far.
    pub(super) switches_wanted: usize,
    pub(super) switches_asked: usize,
    pub(super) wants_levels: bool,
    switches: Vec<Vec<Switch>>,
    switched_at: Option<Timestamp>,
    levels: Vec<Option<(Level, Timestamp)>>,
    /// The last reason of a sample that did not come.
    pub(super) switch_miss: Option<Miss>,
    /// Blocks that did not come.
    pub(super) level_misses: Vec<(u8, Miss)>,
}

impl Sampled {
    pub(super) fn new(application: u8) -> Sampled {
        Sampled {
            application,
            switches_wanted: 0,
            switches_asked: 0,
            wants_levels: false,
            switches: Vec::new(),
            switched_at: None,
            levels: vec![None; ALL],
            switch_miss: None,
            level_misses: Vec::new(),
        }
    }

    pub(super) fn switched(&mut self, sample: Vec<Switch>, at: Timestamp) {
        self.switches.push(sample);
        self.switched_at = Some(at);
    }

    /// Whether a group shows that it is there and tells no level.
    pub(super) fn has_level_less(&self) -> bool {
        let told = |at: usize| {
            let level = self.levels.get(at).copied().flatten();
            level.is_some_and(|(level, _)| level != Level::Absent)
        };
        let voted = vote(&self.switches);
        (0..usize::from(u8::MAX)).any(|at| {
            let switch = voted.get(at).copied().flatten();
            switch.is_some_and(|switch| switch != Switch::Absent) && !told(at)
        })
    }

    pub(super) fn leveled(&mut self, block: u8, levels: &[Level], at: Timestamp) {
        for (cell, level) in self.levels.iter_mut().skip(usize::from(block)).zip(levels) {
            *cell = Some((*level, at));
        }
    }
}

impl Level {
    /// Why it is no level.
    pub(super) fn reason(self) -> String {
        match self {
            Level::Absent => "no output unit has this group".into(),
            Level::At(level) => format!("level {level}"),
            Level::Conflict([a, b]) => format!("two outputs disagree, or noise ({a:02X}{b:02X})"),
            Level::Corrupt([a, b]) => format!("damaged by noise ({a:02X}{b:02X})"),
        }
    }
}

/// What is known of a group, beside where it is.
struct Known {
    level: Option<u8>,
    source: LevelSource,
    state: GroupState,
    reason: Option<String>,
    at: Option<Timestamp>,
}

impl Known {
    fn level(level: Level, at: Timestamp) -> Known {
        let (value, state) = match level {
            Level::At(value) => (Some(value), GroupState::Ok),
            Level::Absent => (None, GroupState::Absent),
            Level::Conflict(_) => (None, GroupState::Conflict),
            Level::Corrupt(_) => (None, GroupState::Corrupt),
        };
        let source = if value.is_some() { LevelSource::Level } else { LevelSource::None };
        let reason = value.is_none().then(|| level.reason());
        Known { level: value, source, state, reason, at: Some(at) }
    }

    fn binary(state: GroupState, reason: &str, at: Option<Timestamp>) -> Known {
        Known { level: None, source: LevelSource::Binary, state, reason: Some(reason.into()), at }
    }

    fn nothing(state: GroupState, reason: &str) -> Known {
        Known { level: None, source: LevelSource::None, state, reason: Some(reason.into()), at: None }
    }
}

/// What has been found so far.
#[derive(Debug)]
pub(super) struct Tally {
    bus: String,
    pub(super) interface_address: Option<u8>,
    pub(super) units: Vec<Unit>,
    applications: Vec<Application>,
    groups: Vec<Group>,
    unit_groups: Vec<UnitGroup>,
    incomplete_reasons: Vec<String>,
    warnings: Vec<Warning>,
}

impl Tally {
    pub(super) fn new(bus: &str) -> Tally {
        Tally {
            bus: bus.to_owned(),
            interface_address: None,
            units: Vec::new(),
            applications: Vec::new(),
            groups: Vec::new(),
            unit_groups: Vec::new(),
            incomplete_reasons: Vec::new(),
            warnings: Vec::new(),
        }
    }

    pub(super) fn missing(&mut self, what: String) {
        self.incomplete_reasons.push(what);
    }

    pub(super) fn warn(&mut self, object: impl Into<String>, text: impl Into<String>) {
        self.warnings.push(Warning { code: None, object: Some(object.into()), text: text.into() });
    }

    pub(super) fn has_nothing(&self) -> bool {
        self.groups.is_empty()
    }

    /// A unit of which nothing is known but that it is there.
    pub(super) fn unit(&self, address: u8) -> Unit {
        Unit { on_bus: Some(true), ..Unit::new(&self.bus, LOCAL, address) }
    }

    pub(super) fn unit_group(&mut self, unit: u8, application: Option<u8>, group: u8) {
        let (bus, network) = (self.bus.clone(), LOCAL.into());
        self.unit_groups.push(UnitGroup { bus, network, unit, application, group });
    }

    pub(super) fn application(&mut self, address: u8) {
        if self.applications.iter().any(|known| known.address == address) {
            return;
        }
        self.applications.push(Application::new(&self.bus, LOCAL, address));
    }

    /// The applications that the units named.
    pub(super) fn applications(&self) -> Vec<u8> {
        let named = self.units.iter().flat_map(|unit| unit.applications.iter().flatten().copied());
        named.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    /// The groups of an application: those that are there, and those that a unit acts on though no output has them.
    pub(super) fn groups_of(&mut self, sampled: &Sampled) {
        let application = sampled.application;
        if sampled.switches.len() < sampled.switches_wanted {
            let why = sampled.switch_miss.map_or_else(|| "not asked".into(), |miss| miss.to_string());
            let (got, wanted) = (sampled.switches.len(), sampled.switches_wanted);
            self.missing(format!(
                "application {application}, on and off: {got} of {wanted} samples came whole: {why}"
            ));
        }
        if sampled.wants_levels {
            let got = sampled.levels.iter().flatten().count();
            if got < ALL {
                let why = sampled
                    .level_misses
                    .last()
                    .map_or("not asked".into(), |(block, miss)| format!("from {block} on: {miss}"));
                self.missing(format!("application {application}: levels of {got} of {ALL} groups: {why}"));
            }
        }
        let voted = vote(&sampled.switches);
        for group in 0..u8::MAX {
            let at = usize::from(group);
            let switch = voted.get(at).copied().flatten();
            let is_at_odds = !sampled.switches.is_empty() && switch.is_none();
            let level = sampled.levels.get(at).copied().flatten();
            let is_claimed = self
                .unit_groups
                .iter()
                .any(|link| link.application == Some(application) && link.group == group);
            let known = match (level, switch) {
                (Some((level @ (Level::At(_) | Level::Conflict(_) | Level::Corrupt(_)), at)), _) => {
                    Known::level(level, at)
                }
                (_, Some(Switch::On | Switch::Off | Switch::Error)) => {
                    let reason = match (sampled.wants_levels, level) {
                        (false, _) => "its application has no levels",
                        (true, None) => "its level was not told",
                        (true, Some(_)) => "its unit answers no level requests",
                    };
                    let (state, reason) = match switch {
                        Some(Switch::On) => (GroupState::On, reason),
                        Some(Switch::Off) => (GroupState::Off, reason),
                        _ => (GroupState::Error, "outputs disagree, or ask to be initialised"),
                    };
                    Known::binary(state, reason, sampled.switched_at)
                }
                _ if is_at_odds => Known::nothing(GroupState::Unknown, "its samples are at odds"),
                (Some((Level::Absent, at)), _) if is_claimed => Known::level(Level::Absent, at),
                (None, Some(Switch::Absent)) if is_claimed => {
                    Known::nothing(GroupState::Absent, "no output unit has this group")
                }
                (None, None) if is_claimed => Known::nothing(GroupState::Unknown, "not told"),
                _ => continue,
            };
            self.group(application, group, known);
        }
    }

    fn group(&mut self, application: u8, address: u8, known: Known) {
        if matches!(known.state, GroupState::Conflict | GroupState::Corrupt) {
            let reason = known.reason.clone().unwrap_or_default();
            self.warn(format!("{LOCAL}/{application}/{address}"), reason);
        }
        let on_bus = match known.state {
            GroupState::Unknown => None,
            state => Some(state != GroupState::Absent),
        };
        self.groups.push(Group {
            on_bus,
            level: known.level,
            level_source: known.source,
            state: known.state,
            reason: known.reason,
            observed_at: known.at,
            ..Group::new(&self.bus, LOCAL, application, address, Origin::Bus)
        });
    }

    /// As what `poll` logs.
    pub(super) fn levels(self) -> Levels {
        Levels { groups: self.groups, incomplete_reasons: self.incomplete_reasons, warnings: self.warnings }
    }

    /// As what `discover` shows.
    pub(super) fn discovery(
        self,
        backend: &str,
        endpoint: String,
        started_at: Timestamp,
        finished_at: Timestamp,
    ) -> Discovery {
        let interface = self.units.iter().find(|unit| Some(unit.address) == self.interface_address);
        let banner = interface.and_then(|unit| {
            let kind = unit.kind.as_deref()?;
            Some(
                unit.firmware
                    .as_deref()
                    .map_or_else(|| kind.to_owned(), |version| format!("{kind} {version}")),
            )
        });
        let network = Network {
            interface_type: Some(backend.to_owned()),
            interface_address: Some(endpoint.trim_start_matches(&format!("{backend} ")).to_owned()),
            ..Network::new(&self.bus, LOCAL)
        };
        let mut discovery = Discovery {
            bus: self.bus,
            backend: backend.to_owned(),
            endpoint,
            project: None,
            server_banner: banner,
            tool_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at,
            finished_at,
            complete: None,
            incomplete_reasons: self.incomplete_reasons,
            warnings: self.warnings,
            networks: vec![network],
            applications: self.applications,
            groups: self.groups,
            units: self.units,
            unit_groups: self.unit_groups,
            measurements: Vec::new(),
        };
        discovery.sort();
        discovery.judge(true);
        discovery
    }
}

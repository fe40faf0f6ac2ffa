//! Levels, one or all of them; the one command that writes; measurements.

use super::CgateBus;
use super::levels::{self, Told};
use super::measure::{self, MEASUREMENT};
use super::network::{State, list};
use super::reply::Reply;
use super::tree::{UNUSED, numbers, used};
use crate::{BusError, Group, GroupAddress, GroupState, LevelSource, Levels, Measurement, Origin, Warning};
use ew_core::Exit;
use std::collections::BTreeMap;

/// The application that is polled where neither the configuration nor the network names one.
const LIGHTING: u8 = 56;

/// 401: the application has no groups.
const NOT_THERE: u16 = 401;

/// What C-Gate thinks of groups.
pub(crate) enum States {
    /// Its word for each, where it has one.
    Told(BTreeMap<u8, String>),
    /// Its words for why it does not say.
    Untold(String),
}

impl States {
    /// Why a level is not believed: it says 0 of a group that it has not heard from.
    fn doubt(&self, group: u8) -> impl Fn(u8) -> Option<String> + '_ {
        move |level| {
            let untold = |words: &str| {
                (level == 0).then(|| {
                    format!("level 0 may be that of a group not heard from, and its state is not told{words}")
                })
            };
            match self {
                States::Untold(words) => untold(&format!(": {words}")),
                States::Told(states) => match states.get(&group) {
                    None => untold(""),
                    Some(state) if state.eq_ignore_ascii_case("error") => {
                        Some(format!("its state is error, and level {level} with it"))
                    }
                    Some(_) => None,
                },
            }
        }
    }
}

impl States {
    /// The groups that have a state where levels were told, and nothing in place of theirs.
    fn beside(&self, told: &levels::Application) -> Vec<u8> {
        match self {
            States::Told(states) if !told.groups.is_empty() => {
                let is_told = |group: &u8| told.groups.iter().any(|(there, _)| there == group);
                states.keys().copied().filter(|group| *group != UNUSED && !is_told(group)).collect()
            }
            _ => Vec::new(),
        }
    }
}

/// What became of an application that was asked for its levels.
#[derive(Default)]
pub(crate) struct Asked {
    pub(crate) groups: Vec<Group>,
    /// Groups that can have no level, as triggers.
    pub(crate) without: Vec<Group>,
    pub(crate) incomplete_reasons: Vec<String>,
    pub(crate) warnings: Vec<Warning>,
}

impl CgateBus<'_> {
    pub(crate) fn all_levels(&mut self, applications: Option<&[u8]>) -> Result<Levels, BusError> {
        let project = self.project()?;
        let networks = self.networks()?;
        let mut levels = Levels::default();
        if networks.is_empty() {
            levels.incomplete_reasons.push(format!("project {project} has no networks"));
        }
        let mut first = None;
        let mut answered = 0;
        for network in networks {
            match self.network_levels(&project, network, applications, &mut levels) {
                Ok(()) => answered += 1,
                Err(e) => {
                    levels.incomplete_reasons.push(e.to_string());
                    first.get_or_insert(e);
                }
            }
        }
        match first {
            Some(error) if answered == 0 && levels.groups.is_empty() => Err(error),
            _ => Ok(levels),
        }
    }

    fn network_levels(
        &mut self,
        project: &str,
        network: u8,
        applications: Option<&[u8]>,
        levels: &mut Levels,
    ) -> Result<(), BusError> {
        let object = format!("//{project}/{network}");
        let state = self.settled(&object)?;
        if !state.is_up() {
            levels.incomplete_reasons.push(not_up(network, &state));
        }
        let is_chosen = applications.is_some();
        let applications = match applications {
            Some(applications) => applications.to_vec(),
            None => match self.parameter(&object, "Applications")?.map(|told| used(&told)) {
                Some(told) if !told.is_empty() => told,
                _ => vec![LIGHTING],
            },
        };
        for application in applications {
            if matches!(application, UNUSED | MEASUREMENT) {
                continue;
            }
            let states = self.ask_states(&object, application)?;
            let asked = self.application_levels(&object, network, application, &state, &states)?;
            // What cannot have a level is not missing one, unless it was asked for.
            if let (true, Some(group)) = (is_chosen, asked.without.first()) {
                let text = group.reason.clone().unwrap_or_default();
                levels.warnings.push(Warning {
                    code: None,
                    object: Some(format!("{object}/{application}")),
                    text,
                });
            }
            levels.groups.extend(asked.groups);
            levels.incomplete_reasons.extend(asked.incomplete_reasons);
            levels.warnings.extend(asked.warnings);
        }
        Ok(())
    }

    /// C-Gate's own state of each group, where it has one.
    pub(crate) fn ask_states(&mut self, object: &str, application: u8) -> Result<States, BusError> {
        let reply = self.session.ask(&format!("GET {object}/{application}/* state"))?;
        Ok(match reply.last.is_fault() && reply.last.code != NOT_THERE {
            true => States::Untold(reply.last.words()),
            false => States::Told(states_in(&reply, &format!("{object}/{application}"))),
        })
    }

    /// The levels of one application of a network that stands as `state` says; `states` are those of its groups.
    pub(crate) fn application_levels(
        &mut self,
        object: &str,
        network: u8,
        application: u8,
        state: &State,
        states: &States,
    ) -> Result<Asked, BusError> {
        let command = format!("GET {object}/{application}/* level");
        let reply = self.session.ask(&command)?;
        let told = levels::of(&reply, &format!("{object}/{application}"));
        let observed_at = self.now();
        let mut asked = Asked::default();
        if let Some(row) = &told.fault {
            let error = self.session.refused(&command, row);
            asked.incomplete_reasons.push(match error.hint() {
                Some(hint) => format!("{error}; {hint}"),
                None => error.to_string(),
            });
        }
        if let (true, None, Some(row)) = (told.groups.is_empty(), &told.fault, told.odd.first()) {
            asked.incomplete_reasons.push(format!("{command} told of no group: {}", row.words()));
        }
        let untold = states.beside(&told);
        for row in told.odd {
            let object = Some(format!("{object}/{application}"));
            asked.warnings.push(Warning { code: Some(row.code), object, text: row.text });
        }
        for (address, told) in told.groups {
            let has_level = !matches!(told, Told::NoLevel(_));
            let doubt = states.doubt(address);
            let (level, state, reason) = match told {
                Told::Level(_) if !state.is_up() => (None, GroupState::Unknown, Some(not_up(network, state))),
                Told::Level(level) => match doubt(level) {
                    Some(why) => (None, GroupState::Error, Some(why)),
                    None => (Some(level), GroupState::Ok, None),
                },
                Told::NoLevel(words) => (None, GroupState::NoLevel, Some(words)),
                Told::Fault(row) => {
                    let object = Some(format!("{object}/{application}/{address}"));
                    asked.warnings.push(Warning { code: Some(row.code), object, text: row.text.clone() });
                    (None, GroupState::Error, Some(row.words()))
                }
            };
            let rows = if has_level { &mut asked.groups } else { &mut asked.without };
            rows.push(Group {
                on_bus: Some(true),
                level,
                level_source: if level.is_some() { LevelSource::Level } else { LevelSource::None },
                state,
                reason,
                observed_at: level.map(|_| observed_at),
                ..Group::new(
                    &self.session.options.name,
                    &network.to_string(),
                    application,
                    address,
                    Origin::Bus,
                )
            });
        }
        let (bus, network) = (&self.session.options.name, network.to_string());
        asked.groups.extend(untold.into_iter().map(|address| Group {
            on_bus: Some(true),
            reason: Some(format!("{command} does not tell of it")),
            ..Group::new(bus, &network, application, address, Origin::Bus)
        }));
        asked.groups.sort_by_key(|group| group.address);
        Ok(asked)
    }

    pub(crate) fn level_of(&mut self, group: &GroupAddress) -> Result<u8, BusError> {
        let (network, object) = self.group_object(group)?;
        let state = self.settled(&network).map_err(|e| self.with_neighbours(e, &network, group))?;
        if !state.is_up() {
            return Err(BusError::Unreachable {
                endpoint: self.session.endpoint.clone(),
                doing: format!("the level of {object}"),
                cause: format!("the network is not up, so its levels mean nothing: {}", state.words()),
                hint: Some("--wait-sync waits for it, --allow-open opens a closed one".into()),
            });
        }
        let level = self.told_level(&object).map_err(|e| self.with_neighbours(e, &network, group))?;
        let command = format!("GET {object} state");
        let reply = self.session.ask(&command)?;
        let states = match reply.last.is_fault() {
            true => States::Untold(reply.last.words()),
            false => States::Told(
                reply.value("state").map(|state| (group.group, state.to_owned())).into_iter().collect(),
            ),
        };
        match states.doubt(group.group)(level) {
            None => Ok(level),
            Some(cause) => Err(BusError::NoSuchObject {
                endpoint: self.session.endpoint.clone(),
                object,
                cause,
                hint: Some(
                    "C-Gate has not heard from it: no unit on the bus drives it, or none answered".into(),
                ),
                exit: Exit::NoData,
            }),
        }
    }

    /// RAMP without a time, which is at once.
    pub(crate) fn ramp(&mut self, group: &GroupAddress, level: u8) -> Result<Option<String>, BusError> {
        let (network, object) = self.group_object(group)?;
        // C-Gate would make a group that it does not know.
        self.told_level(&object).map_err(|e| self.with_neighbours(e, &network, group))?;
        let reply = self.session.tell(&format!("RAMP {object} {level}"))?;
        let words = reply.last.text.trim_end_matches('.');
        let is_plain = words == "OK" || words.strip_prefix("OK: ").is_some_and(|of| of.starts_with("//"));
        Ok((!is_plain).then(|| reply.last.words()))
    }

    fn told_level(&mut self, object: &str) -> Result<u8, BusError> {
        let command = format!("GET {object} level");
        let reply = self.session.ask_well(&command)?;
        let is_of_it =
            |text: &str| text.strip_prefix(object).is_some_and(|rest| rest.starts_with([':', ' ']));
        let level =
            reply.rows.iter().filter(|row| is_of_it(&row.text)).find_map(|row| levels::level_in(&row.text));
        level.ok_or_else(|| self.no_answer(&command, &reply))
    }

    /// The objects of a group's network and of itself.
    fn group_object(&mut self, group: &GroupAddress) -> Result<(String, String), BusError> {
        let project = self.project()?;
        let network = match super::network_number(&self.session.endpoint, group)? {
            None => self.only_network()?,
            Some(network) => network,
        };
        let network = format!("//{project}/{network}");
        let object = format!("{network}/{}/{}", group.application, group.group);
        Ok((network, object))
    }

    /// What the command line names is not there: with what is in its place.
    fn with_neighbours(&mut self, error: BusError, network: &str, group: &GroupAddress) -> BusError {
        match error {
            BusError::NoSuchObject { endpoint, object, cause, exit: Exit::Protocol, .. } => {
                let hint = self.neighbours(network, group).ok().flatten();
                BusError::NoSuchObject { endpoint, object, cause, hint, exit: Exit::Usage }
            }
            error => error,
        }
    }

    fn neighbours(&mut self, network: &str, group: &GroupAddress) -> Result<Option<String>, BusError> {
        let (project, number) = network.rsplit_once('/').unwrap_or(("", network));
        let networks = self.networks()?;
        if !networks.iter().any(|there| there.to_string() == number) {
            return Ok(Some(format!("{project} has the networks {}", list(&networks))));
        }
        let applications =
            self.parameter(network, "Applications")?.map(|told| used(&told)).unwrap_or_default();
        if !applications.contains(&group.application) {
            return Ok(Some(format!("network {number} has the applications {}", list(&applications))));
        }
        let application = format!("{network}/{}", group.application);
        let reply = self.session.ask(&format!("GET {application}/* level"))?;
        let told = levels::of(&reply, &application);
        let groups: Vec<u8> = told.groups.into_iter().map(|(group, _)| group).collect();
        Ok(Some(format!("application {} has the groups {}", group.application, list(&groups))))
    }

    /// The only network, or of several the only one that is not behind a bridge.
    fn only_network(&mut self) -> Result<u8, BusError> {
        let (networks, project) = (self.networks()?, self.project()?);
        if let [network] = networks[..] {
            return Ok(network);
        }
        let mut own = Vec::new();
        for network in &networks {
            let kind = self.parameter(&format!("//{project}/{network}"), "Type")?;
            if !kind.is_some_and(|kind| kind.eq_ignore_ascii_case("bridge")) {
                own.push(*network);
            }
        }
        match own[..] {
            [network] => Ok(network),
            _ => Err(BusError::NoSuchObject {
                endpoint: self.session.endpoint.clone(),
                object: "network".into(),
                cause: match networks.is_empty() {
                    true => format!("project {project} has none"),
                    false => format!("there are several: {}", list(&networks)),
                },
                hint: Some("say which by --network, or leave one in networks of [cbus.backend.cgate]".into()),
                exit: if networks.is_empty() { Exit::NoData } else { Exit::Usage },
            }),
        }
    }

    pub(crate) fn measurements(&mut self) -> Result<Vec<Measurement>, BusError> {
        let project = self.project()?;
        let mut measurements = Vec::new();
        for network in self.networks()? {
            measurements.extend(self.network_measurements(&format!("//{project}/{network}"), network)?);
        }
        Ok(measurements)
    }

    /// Every channel of every measuring device of a network; none where it has no measurement application.
    pub(crate) fn network_measurements(
        &mut self,
        object: &str,
        network: u8,
    ) -> Result<Vec<Measurement>, BusError> {
        let application = format!("{object}/{MEASUREMENT}");
        let mut measurements = Vec::new();
        for device in self.list(&application, "Devices")? {
            for channel in self.list(&format!("{application}/{device}"), "Channels")? {
                let command = format!("GET {application}/{device}/{channel} Data");
                let reading = match self.session.ask_well(&command) {
                    Ok(reply) => reply.value("Data").and_then(measure::reading),
                    Err(BusError::NoSuchObject { .. }) => None,
                    Err(e) => return Err(e),
                };
                let heard = reading.filter(|reading| reading.age_ms.is_some());
                let heard = heard.as_ref();
                measurements.push(Measurement {
                    bus: self.session.options.name.clone(),
                    network: network.to_string(),
                    device,
                    channel,
                    value: heard.map(|reading| reading.value.to_string()),
                    exponent: heard.map(|reading| reading.exponent),
                    unit_code: heard.map(|reading| reading.unit_code),
                    unit: heard.and_then(|reading| measure::unit(reading.unit_code)).map(str::to_owned),
                    age_ms: heard.and_then(|reading| reading.age_ms),
                    valid: heard.is_some(),
                    observed_at: Some(self.now()),
                });
            }
        }
        Ok(measurements)
    }

    /// A list of numbers; none where the object is not there.
    fn list(&mut self, object: &str, name: &str) -> Result<Vec<u8>, BusError> {
        match self.session.ask_well(&format!("GET {object} {name}")) {
            Ok(reply) => Ok(reply.value(name).map(|told| numbers(told).collect()).unwrap_or_default()),
            Err(BusError::NoSuchObject { .. }) => Ok(Vec::new()),
            Err(e) => Err(e),
        }
    }
}

/// Why what a network says is not believed.
pub(crate) fn not_up(network: u8, state: &State) -> String {
    format!("network {network} is not up: {}", state.words())
}

fn states_in(reply: &Reply, application: &str) -> BTreeMap<u8, String> {
    let rows = reply.rows.iter().filter(|row| row.code == 300);
    rows.filter_map(|row| {
        let (_, _, state) = super::reply::assignment(&row.text)?;
        Some((levels::group_in(&row.text, application)?, state.to_owned()))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zero_counts_only_where_the_group_s_state_is_told() {
        let told = States::Told([(1, "ok".to_owned()), (2, "Error".to_owned())].into());
        assert_eq!((told.doubt(1)(0), told.doubt(3)(3)), (None, None));
        assert!(told.doubt(3)(0).unwrap().ends_with("its state is not told"));
        assert_eq!(told.doubt(2)(0).as_deref(), Some("its state is error, and level 0 with it"));
        let untold = States::Untold("500 Internal error".into());
        assert_eq!(untold.doubt(1)(7), None);
        assert!(untold.doubt(1)(0).unwrap().ends_with("its state is not told: 500 Internal error"));
    }
}

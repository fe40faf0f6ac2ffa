//! The project, its networks, and whether what C-Gate says of one can be believed.

use super::CgateBus;
use super::reply::Reply;
use super::tree::numbers;
use crate::BusError;
use ew_core::Exit;
use std::time::{Duration, Instant};

/// Between two looks at a network that is being synchronised.
const LOOK: Duration = Duration::from_secs(1);
/// Most networks that are asked.
const NETWORKS_MAX: usize = 256;

/// C-Gate's words for a network, as it wrote them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) state: Option<String>,
    pub(crate) interface_state: Option<String>,
    pub(crate) sync_state: Option<String>,
}

impl State {
    /// Before a network is synchronised, levels are zeros and trees have holes, and nothing in them shows it.
    pub(crate) fn is_up(&self) -> bool {
        let is = |told: &Option<String>, words: &[&str]| {
            told.as_deref().is_some_and(|told| words.iter().any(|word| told.eq_ignore_ascii_case(word)))
        };
        // "operational" is what the vendor's support calls it of late.
        is(&self.state, &["ok", "operational"]) && is(&self.interface_state, &["running"])
    }

    /// In words, for a reason.
    pub(crate) fn words(&self) -> String {
        let word = |told: &Option<String>| told.clone().unwrap_or_else(|| "unknown".into());
        format!(
            "State={} InterfaceState={} SyncState={}",
            word(&self.state),
            word(&self.interface_state),
            word(&self.sync_state)
        )
    }
}

/// Whether all of it are numbers of networks.
fn is_list(told: &str) -> bool {
    let items = told.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.clone().count() == numbers(told).count()
}

impl CgateBus<'_> {
    /// The project of `ew.toml`; without one, the only one that the server has.
    pub(crate) fn project(&mut self) -> Result<String, BusError> {
        if let Some(project) = &self.project {
            return Ok(project.clone());
        }
        let project = match &self.session.cgate.project {
            Some(project) => project.clone(),
            None => self.only_project()?,
        };
        Ok(self.project.insert(project).clone())
    }

    fn only_project(&mut self) -> Result<String, BusError> {
        let projects = match self.projects() {
            Ok(projects) => projects,
            Err(BusError::Refused { endpoint, doing, cause, hint }) => {
                let hint = hint
                    .map(|hint| format!("set project in ew.toml, and level Monitor is enough; else: {hint}"));
                return Err(BusError::Refused { endpoint, doing, cause, hint });
            }
            Err(e) => return Err(e),
        };
        match &projects[..] {
            [project] => Ok(project.clone()),
            _ => Err(BusError::NoSuchObject {
                endpoint: self.session.endpoint.clone(),
                object: "project".into(),
                cause: match projects.is_empty() {
                    true => "none is loaded".into(),
                    false => format!("there are several: {}", projects.join(", ")),
                },
                hint: Some("set project in [cbus.backend.cgate]".into()),
                exit: Exit::Config,
            }),
        }
    }

    /// Those that the server has loaded.
    pub(crate) fn projects(&mut self) -> Result<Vec<String>, BusError> {
        let reply = self.session.ask_well("PROJECT LIST")?;
        let named = reply
            .rows
            .iter()
            .filter(|row| row.code == 123)
            .filter_map(|row| row.text.split_whitespace().find_map(|word| word.strip_prefix("project=")));
        Ok(named.map(str::to_owned).collect())
    }

    /// The networks to ask: those of `ew.toml`, else all of the project.
    pub(crate) fn networks(&mut self) -> Result<Vec<u8>, BusError> {
        let project = self.project()?;
        let command = format!("GET //{project} Networks");
        let reply = match self.session.ask_well(&command) {
            Err(BusError::NoSuchObject { .. }) if self.session.context.allow_open => {
                self.start_project(&project)?;
                self.session.ask_well(&command)?
            }
            reply => reply.map_err(|e| self.with_projects(e))?,
        };
        let told = reply.value("Networks").ok_or_else(|| self.no_answer(&command, &reply))?;
        let mut networks: Vec<u8> = numbers(told).take(NETWORKS_MAX).collect();
        networks.sort_unstable();
        networks.dedup();
        let Some(wanted) = self.session.cgate.networks.clone() else {
            // One that is left out would be missed by nobody.
            return match is_list(told) {
                true => Ok(networks),
                false => Err(self.no_answer(&command, &reply)),
            };
        };
        if networks.is_empty() || wanted.iter().any(|network| networks.contains(network)) {
            return Ok(wanted);
        }
        Err(BusError::NoSuchObject {
            endpoint: self.session.endpoint.clone(),
            object: format!("networks {}", list(&wanted)),
            cause: format!("project {project} has {}", list(&networks)),
            hint: Some("set networks in [cbus.backend.cgate], or leave it out".into()),
            exit: Exit::Config,
        })
    }

    /// Says beside a project that is not there which ones are, where that is told.
    fn with_projects(&mut self, error: BusError) -> BusError {
        let BusError::NoSuchObject { endpoint, object, mut cause, hint, exit } = error else { return error };
        if let Ok(projects) = self.projects() {
            let loaded = if projects.is_empty() { "none".to_owned() } else { projects.join(", ") };
            cause.push_str(&format!(" (projects loaded: {loaded})"));
        }
        BusError::NoSuchObject { endpoint, object, cause, hint, exit }
    }

    /// Only with `--allow-open`.
    fn start_project(&mut self, project: &str) -> Result<(), BusError> {
        (self.session.context.note)(&format!("loading and starting project {project}"));
        let load = format!("PROJECT LOAD {project}");
        let loaded = self.session.ask(&load)?;
        // 464: it was loaded already.
        if let Some(row) = loaded.fault().filter(|row| row.code != 464).cloned() {
            return Err(self.session.refused(&load, &row));
        }
        self.session.ask_well(&format!("PROJECT START {project}")).map(|_| ())
    }

    /// Where a network stands, after a wait for it as long as the run was told to wait.
    pub(crate) fn settled(&mut self, object: &str) -> Result<State, BusError> {
        let mut state = self.state(object)?;
        if state.is_up() {
            return Ok(state);
        }
        if self.session.context.allow_open && is_closed(&state) {
            (self.session.context.note)(&format!("opening network {object}"));
            self.session.ask_well(&format!("NET OPEN {object}"))?;
            state = self.state(object)?;
        }
        let until = Instant::now() + self.session.context.wait_sync;
        while !state.is_up() && Instant::now() + LOOK <= until {
            self.session.pause(LOOK)?;
            state = self.state(object)?;
        }
        Ok(state)
    }

    fn state(&mut self, object: &str) -> Result<State, BusError> {
        let command = format!("GET {object} State");
        let reply = self.session.ask_well(&command)?;
        let state = reply.value("State").ok_or_else(|| self.no_answer(&command, &reply))?;
        Ok(State {
            state: Some(state.to_owned()),
            interface_state: self.parameter(object, "InterfaceState")?,
            sync_state: self.parameter(object, "SyncState")?,
        })
    }

    /// A parameter that an object may be without.
    pub(crate) fn parameter(&mut self, object: &str, name: &str) -> Result<Option<String>, BusError> {
        let reply = self.session.ask(&format!("GET {object} {name}"))?;
        Ok(reply.value(name).filter(|value| !value.is_empty()).map(str::to_owned))
    }

    /// A good reply without what was asked for.
    pub(crate) fn no_answer(&self, command: &str, reply: &Reply) -> BusError {
        self.session.breach(command, &format!("it answers `{}`", reply.last.words()))
    }

    /// The time that observations are given.
    pub(crate) fn now(&self) -> ew_core::Timestamp {
        (self.session.context.now)()
    }
}

/// `253, 254`.
pub(crate) fn list(numbers: &[u8]) -> String {
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")
}

fn is_closed(state: &State) -> bool {
    let is =
        |told: &Option<String>, word: &str| told.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(word));
    is(&state.state, "closed")
        || is(&state.interface_state, "closed")
        || (is(&state.state, "new") && state.interface_state.is_none())
}

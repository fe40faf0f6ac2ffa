//! The project that is served.

use crate::SimError;
use serde::Deserialize;
use std::path::Path;

/// The built-in one: two networks, a duplicate unit, keys that tell no groups, a channel never heard.
const HOME: &str = include_str!("home.json");

/// A project as `--data` has it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Project {
    #[serde(rename = "project")]
    pub(crate) name: String,
    pub(crate) networks: Vec<Network>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Network {
    pub(crate) address: u8,
    pub(crate) tag: String,
    /// `cni`, `serial`, `bridge`.
    pub(crate) interface: String,
    pub(crate) interface_address: String,
    pub(crate) applications: Vec<Application>,
    pub(crate) units: Vec<Unit>,
    #[serde(default)]
    pub(crate) devices: Vec<Device>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Application {
    pub(crate) address: u8,
    pub(crate) tag: String,
    #[serde(default)]
    pub(crate) groups: Vec<Group>,
}

/// In the tag database where it has a tag; on the bus where it has a level, or says so.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Group {
    pub(crate) address: u8,
    pub(crate) tag: Option<String>,
    pub(crate) level: Option<u8>,
    #[serde(default)]
    pub(crate) on_bus: bool,
    #[serde(default)]
    pub(crate) levels: Vec<Level>,
}

/// A level with a name, as triggers have.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Level {
    pub(crate) value: u8,
    pub(crate) tag: String,
}

/// In the tag database where it has a tag.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Unit {
    pub(crate) address: u8,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    #[serde(default)]
    pub(crate) catalogue: String,
    #[serde(default)]
    pub(crate) firmware: String,
    #[serde(default)]
    pub(crate) serial: String,
    #[serde(default)]
    pub(crate) part_name: String,
    pub(crate) tag: Option<String>,
    /// At most two.
    #[serde(default)]
    pub(crate) applications: Vec<u8>,
    /// As the unit tells them.
    #[serde(default)]
    pub(crate) groups: Vec<u8>,
    /// As the database has them, where that differs.
    pub(crate) programmed_groups: Option<Vec<u8>>,
    #[serde(default)]
    pub(crate) volts: String,
    #[serde(default)]
    pub(crate) clock: bool,
    /// Two units have this address.
    #[serde(default)]
    pub(crate) duplicate: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Device {
    pub(crate) device: u8,
    pub(crate) channels: Vec<Channel>,
}

/// Never heard where it has no age.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Channel {
    pub(crate) channel: u8,
    #[serde(default)]
    pub(crate) value: i16,
    #[serde(default)]
    pub(crate) exponent: i8,
    #[serde(default)]
    pub(crate) unit: u8,
    pub(crate) age_ms: Option<u64>,
}

impl Project {
    /// From a file, else the built-in one; `name` in place of its own.
    pub(crate) fn load(file: Option<&Path>, name: Option<&str>) -> Result<Project, SimError> {
        let (text, shown) = match file {
            Some(file) => {
                let read = std::fs::read_to_string(file);
                (
                    read.map_err(|source| SimError::Unreadable { file: file.to_owned(), source })?,
                    file.to_owned(),
                )
            }
            None => (HOME.to_owned(), "the built-in project".into()),
        };
        let mut project: Project = serde_json::from_str(&text).map_err(|e| SimError::BadRow {
            file: shown,
            line: e.line(),
            reason: e.to_string(),
        })?;
        if let Some(name) = name {
            name.clone_into(&mut project.name);
        }
        Ok(project)
    }

    pub(crate) fn network(&self, address: u8) -> Option<&Network> {
        self.networks.iter().find(|network| network.address == address)
    }

    pub(crate) fn network_mut(&mut self, address: u8) -> Option<&mut Network> {
        self.networks.iter_mut().find(|network| network.address == address)
    }
}

impl Network {
    pub(crate) fn application(&self, address: u8) -> Option<&Application> {
        self.applications.iter().find(|application| application.address == address)
    }

    /// The units that act on a group.
    pub(crate) fn units_of(&self, application: u8, group: u8) -> impl Iterator<Item = u8> {
        let acts = move |unit: &&Unit| {
            // A unit tells its groups without their applications; a number that both have counts for both.
            let is_of = unit.applications.contains(&application);
            is_of && unit.groups.contains(&group)
        };
        self.units.iter().filter(acts).map(|unit| unit.address)
    }
}

impl Application {
    /// Groups that C-Gate has seen on the bus, in order.
    pub(crate) fn seen(&self) -> impl Iterator<Item = &Group> {
        let mut seen: Vec<&Group> =
            self.groups.iter().filter(|group| group.level.is_some() || group.on_bus).collect();
        seen.sort_by_key(|group| group.address);
        seen.into_iter()
    }
}

//! Profiles: which objects of a device are power and energy, and how they are read.
//!
//! A profile is data ([`ProfileOptions`]), the shipped ones as well as a user's. Only what no table can say is code:
//! EnergyWise, and the energy of EMAN, which comes by the interval.

mod auto;
mod intervals;
mod options;
mod read;

pub use options::{Condition, Negative, ProfileOptions, SourceOptions};

use crate::energy::EnergyReading;
use crate::energywise::{self, Query, Usage};
use crate::{Agent, EnergyError, Memory, Oid};
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// What a switch has whose `profile` is left out.
pub const PROFILE_DEFAULT: &str = "energywise";
/// The agent is asked which profile it has.
pub const PROFILE_AUTO: &str = "auto";
/// The shipped profile with intervals of energy.
const EMAN: &str = "eman";

/// The profiles that a configuration may name, in the order in which `auto` tries them.
#[derive(Debug, Clone)]
pub struct Profiles {
    own: Vec<ProfileOptions>,
    /// Made when it is first asked for: most programs never do.
    all: OnceLock<Arc<[Profile]>>,
}

/// One way to read a device.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// What switches call it.
    pub name: String,
    /// An agent that has nothing below it is not read by this profile.
    probe: Oid,
    auto: bool,
    reader: Reader,
}

#[derive(Debug, Clone, PartialEq)]
enum Reader {
    EnergyWise,
    Tables(Tables),
}

/// What [`read`] needs of a profile.
#[derive(Debug, Clone, PartialEq)]
struct Tables {
    power: Vec<SourceOptions>,
    energy: Vec<SourceOptions>,
    /// Energy comes from `eoEnergyTable` as well.
    has_intervals: bool,
}

/// What a device uses, and what to remember of it until the next poll.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Its power.
    pub usage: Usage,
    /// Its energy counters, its own before those of its entities.
    pub energy: Vec<EnergyReading>,
    /// Which profile it was read by, and how its counters stand.
    pub memory: Memory,
}

/// The shipped list.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    profile: Vec<ProfileOptions>,
}

impl Profiles {
    /// The shipped ones, and before them a user's: who writes one knows more of the device.
    pub fn new(own: &[ProfileOptions]) -> Profiles {
        Profiles { own: own.to_vec(), all: OnceLock::new() }
    }

    fn all(&self) -> &[Profile] {
        self.all.get_or_init(|| self.make())
    }

    fn make(&self) -> Arc<[Profile]> {
        // The list is part of the program; a test reads it.
        let shipped =
            toml::from_str::<File>(include_str!("builtin.toml")).map(|file| file.profile).unwrap_or_default();
        let mut list: Vec<Profile> = shipped.iter().map(Profile::of_tables).collect();
        let energywise = Profile {
            name: PROFILE_DEFAULT.to_owned(),
            probe: energywise::probe(),
            auto: true,
            reader: Reader::EnergyWise,
        };
        list.insert(list.len().min(1), energywise);
        for profile in list.iter_mut().filter(|profile| profile.name == EMAN) {
            if let Reader::Tables(tables) = &mut profile.reader {
                tables.has_intervals = true;
            }
        }
        list.splice(0..0, self.own.iter().map(Profile::of_tables));
        list.into()
    }

    /// The one of a name.
    pub fn get(&self, name: &str) -> Option<&Profile> {
        self.all().iter().find(|profile| profile.name == name)
    }

    /// What `profile` of a switch may be.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        [PROFILE_AUTO].into_iter().chain(self.all().iter().map(|profile| profile.name.as_str()))
    }

    /// Whether a switch with the profile of a name may have an energy counter.
    pub fn may_have_energy(&self, name: &str) -> bool {
        name == PROFILE_AUTO
            || matches!(self.get(name).map(|profile| &profile.reader), Some(Reader::Tables(tables))
                if tables.has_intervals || !tables.energy.is_empty())
    }

    /// Reads an agent by the profile of a name, or by the one that it has. `memory` is what the last poll of it left.
    pub fn read(
        &self,
        name: &str,
        agent: &mut dyn Agent,
        query: &Query<'_>,
        memory: Option<&Memory>,
    ) -> Result<Answer, EnergyError> {
        match self.get(name) {
            _ if name == PROFILE_AUTO => auto::read(agent, self.all(), query, memory),
            Some(profile) => profile.read(agent, query, memory),
            None => Err(EnergyError::NotBuilt {
                peer: agent.peer().to_owned(),
                what: format!("the profile {name:?}"),
            }),
        }
    }
}

impl Default for Profiles {
    fn default() -> Profiles {
        Profiles::new(&[])
    }
}

impl Profile {
    fn of_tables(options: &ProfileOptions) -> Profile {
        let probe =
            options.probe.clone().or_else(|| options.power.first().map(|source| source.value.clone()));
        Profile {
            name: options.name.clone(),
            probe: probe.unwrap_or_else(|| Oid::new(&[])),
            auto: options.auto,
            reader: Reader::Tables(Tables {
                power: options.power.clone(),
                energy: options.energy.clone(),
                has_intervals: false,
            }),
        }
    }

    fn read(
        &self,
        agent: &mut dyn Agent,
        query: &Query<'_>,
        memory: Option<&Memory>,
    ) -> Result<Answer, EnergyError> {
        let before = Memory::same(memory, agent.peer(), &self.name);
        let mut memory = Memory::begin(memory, agent.peer(), &self.name);
        match &self.reader {
            Reader::EnergyWise => {
                Ok(Answer { usage: energywise::read(agent, query)?, energy: Vec::new(), memory })
            }
            Reader::Tables(tables) => {
                let (usage, energy) = read::read(agent, &self.name, tables, query, before, &mut memory)?;
                Ok(Answer { usage, energy, memory })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_list_is_read_in_its_order() {
        let profiles = Profiles::default();
        let names: Vec<&str> = profiles.names().collect();
        assert_eq!(names.len(), 24, "{names:?}");
        assert_eq!(names[..4], ["auto", "eman", "energywise", "apc-rpdu2"]);
        assert_eq!(names.last(), Some(&"poe"));
        let mut unique = names.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), names.len());
        let eman = profiles.get("eman").unwrap();
        assert!(matches!(&eman.reader, Reader::Tables(tables) if tables.has_intervals));
    }
}

//! C-Bus: what is on a bus and at which levels, by any of four backends behind one trait.
//!
//! [`open`] makes the [`Bus`] that the configuration names. A backend tells what it can in a [`Discovery`]: what it
//! cannot tell is none, never guessed. Nothing but [`Bus::set`] ever writes to a bus.

mod bus;
mod cgate;
mod diff;
mod discovery;
mod endpoint;
mod error;
mod exec;
mod options;
mod pci;
mod tags;
mod trace;
mod verdict;
mod xml;

pub use bus::{Bus, Context, GroupAddress, check, open, open_hurried};
pub use diff::{Change, ChangeKind, diff, silent_networks};
pub use discovery::{
    Application, Discovery, Group, GroupState, LevelSource, Levels, Measurement, Network, Origin, Unit,
    UnitGroup, Warning, network_order,
};
pub use error::BusError;
pub use options::{Backend, BusOptions, Cgate, Cni, Exec, Pci};
pub use tags::{
    TagApplication, TagFile, TagGroup, TagNetwork, TagUnit, Tags, read_tag_file, tag_address, tag_text,
    tags_from_xml,
};
pub use trace::Trace;
pub use verdict::without_level;

/// For `make fuzz`: each dialect with all that is made of what a far side says.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::cgate::hear as cgate;
    pub use crate::exec::hear as exec;
    pub use crate::pci::hear as pci;
}

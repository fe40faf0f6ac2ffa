//! Energy domains: a tree of domains by dotted name, the switches in it, and what they use.
//!
//! [`trees`] builds the domains from the configuration that [`check`] passed, [`poll`] asks every
//! switch at once and hands over each tree as a [`TreeReading`], which gives the log its samples.
//! How a switch speaks is hidden twice: a profile ([`energywise`]) knows a MIB and asks through the
//! trait [`Agent`]; [`SnmpAgent`] is that trait over SNMP, whose messages are in [`wire`]. A domain whose switches
//! are native is asked as a whole, by an adapter with the trait [`Native`].

mod agent;
mod check;
mod config;
mod credentials;
mod discover;
mod energy;
pub mod energywise;
mod error;
mod line;
mod memory;
mod name;
mod native;
mod oid;
mod poll;
mod profile;
mod reading;
mod session;
mod speaker;
mod sum;
mod tree;
mod trend;
mod usm;
mod walk;
pub mod wire;

pub use agent::{Agent, Value, VarBind};
pub use check::{EnergyConfigError, check, check_profiles};
pub use config::{
    AuthProtocol, Bounded, DomainOptions, Host, Importance, KeyExtension, PrivProtocol, Protocol,
    SnmpOptions, SnmpVersion, SwitchOptions, Wait, check_domain_name,
};
pub use credentials::{Credentials, User};
pub use discover::{Discovered, Found, Target, discover};
pub use energy::EnergyReading;
pub use error::EnergyError;
pub use line::Weather;
pub use memory::Memory;
pub use native::{Collected, CommandOptions, Native, NativeOptions, NativeSshOptions, Question, Row};
pub use oid::Oid;
pub use poll::{Known, PollOptions, poll};
pub use profile::{
    Answer, Condition, Negative, PROFILE_AUTO, PROFILE_DEFAULT, Profile, ProfileOptions, Profiles,
    SourceOptions,
};
pub use reading::{
    CachedTotal, Detail, DomainReading, EntityReading, Entry, Failure, SwitchReading, Total, TreeReading,
};
pub use session::SnmpAgent;
pub use sum::{Sum, watts};
pub use tree::{Domain, Switch, select, trees};
pub use trend::{TrendOptions, check_trends};
pub use usm::MasterKeys;
pub use walk::{ROWS_MAX, Rows, Walk, walk};

//! Energy domains: a tree of domains by dotted name, the switches in it, and what they use.
//!
//! [`trees`] builds the domains from the configuration that [`check`] passed, [`poll`] asks every
//! switch at once and hands over each tree as a [`TreeReading`], which gives the log its samples.
//! How a switch speaks is hidden twice: a profile ([`energywise`]) knows a MIB and asks through the
//! trait [`Agent`]; [`SnmpAgent`] is that trait over SNMP; outside its modules the SNMP crate is not known. A domain
//! whose switches are native is asked as a whole, by an adapter with the trait [`Native`].

mod agent;
mod check;
mod config;
mod credentials;
pub mod energywise;
mod error;
mod native;
mod oid;
mod poll;
mod reading;
mod session;
mod sum;
mod tree;
mod trend;
mod usm;
mod walk;

pub use agent::{Agent, Value, VarBind};
pub use check::{EnergyConfigError, check};
pub use config::{
    AuthProtocol, Bounded, DomainOptions, Host, Importance, KeyExtension, PROFILE_BUILT, PrivProtocol,
    Protocol, SnmpOptions, SnmpVersion, SwitchOptions, Wait,
};
pub use credentials::{Credentials, User};
pub use error::EnergyError;
pub use native::{Collected, CommandOptions, Native, NativeOptions, NativeSshOptions, Question, Row};
pub use oid::Oid;
pub use poll::{PollOptions, poll};
pub use reading::{
    CachedTotal, Detail, DomainReading, EntityReading, Entry, Failure, SwitchReading, Total, TreeReading,
};
pub use session::SnmpAgent;
pub use sum::{Sum, watts};
pub use tree::{Domain, Switch, select, trees};
pub use trend::{TrendOptions, check_trends};
pub use walk::{ROWS_MAX, Rows, walk};

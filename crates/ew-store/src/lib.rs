//! The log: samples, bookmarks and the delivery ledger in one SQLite file. The only crate that knows SQL.
//!
//! Writers begin IMMEDIATE and wait up to 30 s for each other; readers see one snapshot and wait for
//! nobody. Rendered files that are not placed yet lie in the spool, a folder beside the log file.

mod append;
mod audit;
mod beside;
mod bus;
mod by_point;
mod care;
mod clock;
mod coverage;
mod device;
mod error;
mod gather;
mod late;
mod ledger;
mod log;
#[cfg(test)]
mod many;
mod occupied;
mod progress;
mod project;
mod read;
mod rebuild;
mod record;
mod rows;
mod runs;
mod schema;
mod selection;
mod state;
mod trim;
mod verify;

pub use append::{AppendError, Appended, PollDetail};
pub use audit::{Audit, Fault, Version};
pub use beside::{Beside, Document};
pub use bus::StoredDiscovery;
pub use coverage::Standing;
pub use error::StoreError;
pub use late::LateSlice;
pub use ledger::{Delivery, Job, Ledger};
pub use log::{Log, WRITE_WAIT};
pub use progress::{Attempt, Progress};
pub use project::{ProjectDb, ProjectError, read_project};
pub use read::{GAPS_LISTED_MAX, Gap, PointInfo, Seqs, Snapshot, State, Stats, Total};
pub use rebuild::{FoundThere, Matched, Rebuilt, RebuiltFile, ToldBy};
pub use record::{NewSlice, Placed};
pub use rows::Reader;
pub use runs::LastRun;
pub use selection::Scope;
pub use state::SliceState;
pub use trim::{Owed, Trimmed, Undelivered};
pub use verify::{Proof, Seen};

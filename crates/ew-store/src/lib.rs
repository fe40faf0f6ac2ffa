//! The log: samples, bookmarks and the delivery ledger in one SQLite file. The only crate that knows SQL.
//!
//! Writers begin IMMEDIATE and wait up to 30 s for each other; readers see one snapshot and wait for
//! nobody. Rendered files that are not placed yet lie in the spool, a folder beside the log file.

mod append;
mod care;
mod error;
mod ledger;
mod log;
mod read;
mod schema;
mod selection;
mod state;

pub use append::{AppendError, Appended, PollDetail};
pub use error::StoreError;
pub use ledger::{Delivery, Job, Ledger, NewSlice, Placed};
pub use log::{Log, WRITE_WAIT};
pub use read::{GAPS_LISTED_MAX, Gap, PointInfo, Snapshot, Stats, Total};
pub use selection::Scope;
pub use state::SliceState;

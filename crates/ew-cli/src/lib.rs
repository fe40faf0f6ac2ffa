//! What every ew program shares: the report to stderr, failures with hints, exit codes, locks, the clock.

pub mod clock;
mod common;
pub mod crash;
mod failure;
mod lock;
mod machine;
mod report;
mod run;
mod text;

pub use common::Common;
pub use failure::Failure;
pub use lock::{Busy, Lock, LockRequest};
pub use report::Report;
pub use run::{Output, run};

//! What far sides have in common: addresses by a deadline, words for a lost connection, child processes that are
//! spoken to in lines or fed with a file, and SSH ([`ssh`]) from the options of `ew.toml` to a connection whose host is known and which
//! is logged in.

mod address;
mod child;
mod error;
pub mod ssh;

pub use address::{addresses, lost, silent};
pub use child::{Child, ChildLimits, NoLine};
pub use error::{NetError, NetErrorKind, plain};

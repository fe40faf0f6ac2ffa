//! What far sides on a network have in common: addresses by a deadline, words for a lost connection, and
//! SSH ([`ssh`]) from the options of `ew.toml` to a connection whose host is known and which is logged in.

mod address;
mod error;
pub mod ssh;

pub use address::{addresses, lost, silent};
pub use error::{NetError, NetErrorKind, plain};

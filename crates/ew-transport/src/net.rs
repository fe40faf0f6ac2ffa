//! What every far side on a network shares, with our failures.

use crate::error::Fault;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The host's addresses, by a deadline.
pub(crate) fn addresses(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, Fault> {
    Ok(ew_net::addresses(host, port, timeout)?)
}

/// A connection that broke, or never came about.
pub(crate) fn lost(operation: &str, error: &io::Error) -> Fault {
    ew_net::lost(operation, error).into()
}

/// A far side that says nothing.
pub(crate) fn silent(operation: &str) -> Fault {
    ew_net::silent(operation).into()
}

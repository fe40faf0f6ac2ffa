//! Addresses by a deadline, and words for a lost connection.

use crate::{NetError, NetErrorKind, plain};
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Addresses of one host that are tried.
const ADDRESSES_MAX: usize = 16;

/// The host's addresses. The system's resolver takes no deadline, so it is left behind at ours.
pub fn addresses(host: &str, port: u16, timeout: Duration) -> Result<Vec<SocketAddr>, NetError> {
    let (sender, receiver) = mpsc::channel();
    let name = host.to_owned();
    thread::spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(|found| found.take(ADDRESSES_MAX).collect());
        // The other end may have gone.
        let _ = sender.send(found);
    });
    match receiver.recv_timeout(timeout) {
        Ok(found) => found.map_err(|e| lost(&format!("look up {host}"), &e)),
        Err(_) => Err(silent(&format!("look up {host}"))),
    }
}

/// A connection that broke, or never came about.
pub fn lost(operation: &str, error: &io::Error) -> NetError {
    let why = match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => return silent(operation),
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            "the connection was lost".into()
        }
        _ => plain(error),
    };
    NetError::new(NetErrorKind::Unreachable, format!("{operation}: {why}"))
}

/// A far side that says nothing.
pub fn silent(operation: &str) -> NetError {
    NetError::new(NetErrorKind::Unreachable, format!("{operation}: no answer in time"))
}

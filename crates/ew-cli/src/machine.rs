//! Locks that are one on this machine, whoever runs and wherever the log is: names of abstract sockets (unix(7)). The
//! kernel gives a name to one process and takes it back when that ends. No file stands for it, so there is no folder that
//! every user and every unit with a `/tmp` of its own would have to share.

use std::io;
use std::os::unix::net::UnixDatagram;

/// A name that is held as long as this is.
#[derive(Debug)]
pub(crate) struct Name(#[expect(dead_code, reason = "what counts is that it is open")] Option<UnixDatagram>);

/// Takes a name of at most 107 bytes, `@name` to `ss -xap`; none: somebody has it.
#[cfg(target_os = "linux")]
pub(crate) fn take(name: &str) -> io::Result<Option<Name>> {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;

    match UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(name)?) {
        Ok(socket) => Ok(Some(Name(Some(socket)))),
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => Ok(None),
        Err(e) => Err(e),
    }
}

/// Elsewhere there are no such names: only runs with one log keep out of each other's way.
#[cfg(not(target_os = "linux"))]
pub(crate) fn take(_: &str) -> io::Result<Option<Name>> {
    Ok(Some(Name(None)))
}

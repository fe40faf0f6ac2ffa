//! The way to the interface: TCP or a serial port, both read by poll(2) against a deadline.

use crate::Trace;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::termios::{
    ControlModes, InputModes, OptionalActions, QueueSelector, Termios, ioctl_tiocexcl, ioctl_tiocnxcl,
    tcflush, tcgetattr, tcsetattr,
};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// Bytes of one read.
const READ_MAX: usize = 1024;

trait Stream: Read + Write + AsFd {}
impl Stream for TcpStream {}
impl Stream for Port {}

/// Bytes to and from the interface, all of them traced.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    trace: Trace,
}

/// What came.
#[derive(Debug)]
pub(super) enum Came {
    /// Some bytes.
    Bytes(Vec<u8>),
    /// Nothing until then.
    Nothing,
    /// The far side has closed.
    End,
}

impl Link {
    /// Connects to the first of the addresses that listens.
    pub(super) fn tcp(addresses: &[SocketAddr], timeout: Duration, trace: Trace) -> io::Result<Link> {
        let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
        for address in addresses {
            match TcpStream::connect_timeout(address, timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    stream.set_nonblocking(true)?;
                    return Ok(Link { stream: Box::new(stream), trace });
                }
                Err(e) => failure = e,
            }
        }
        Err(failure)
    }

    /// Opens a serial port for ourselves alone, 8 data bits, no parity, 1 stop bit, no flow control.
    pub(super) fn serial(device: &Path, baud: u32, trace: Trace) -> io::Result<Link> {
        Ok(Link { stream: Box::new(Port::open(device, baud)?), trace })
    }

    /// Sends all of it, or fails with [`io::ErrorKind::TimedOut`].
    pub(super) fn send(&mut self, bytes: &[u8], until: Instant) -> io::Result<()> {
        self.trace.sent(bytes);
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.stream.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => rest = rest.get(count..).unwrap_or_default(),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(self.stream.as_fd(), PollFlags::OUT, until)? {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                }
                Err(e) => return Err(e),
            }
        }
        Ok(())
    }

    /// What comes next.
    pub(super) fn receive(&mut self, until: Instant) -> io::Result<Came> {
        let mut buffer = [0; READ_MAX];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    self.trace.came(&[]);
                    return Ok(Came::End);
                }
                Ok(count) => {
                    let bytes = buffer.get(..count).unwrap_or_default();
                    self.trace.came(bytes);
                    return Ok(Came::Bytes(bytes.to_vec()));
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    if !wait(self.stream.as_fd(), PollFlags::IN, until)? {
                        return Ok(Came::Nothing);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }
}

/// Whether it became ready, or hung up, before then.
fn wait(fd: BorrowedFd<'_>, flags: PollFlags, until: Instant) -> io::Result<bool> {
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let timeout = Timespec {
            tv_sec: i64::try_from(left.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: left.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::from_borrowed_fd(fd, flags)], Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// A serial port that gets its own settings back.
struct Port {
    file: File,
    before: Termios,
}

impl Port {
    fn open(device: &Path, baud: u32) -> io::Result<Port> {
        let flags = OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(flags.bits().cast_signed())
            .open(device)?;
        // The one keeps out those who open it later, but for root; the other whoever asks for it, under any name.
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|e| match e {
            Errno::WOULDBLOCK => io::ErrorKind::ResourceBusy.into(),
            e => io::Error::from(e),
        })?;
        ioctl_tiocexcl(&file)?;
        let before = tcgetattr(&file)?;
        let mut raw = before.clone();
        raw.make_raw();
        raw.control_modes -=
            ControlModes::CSTOPB | ControlModes::PARENB | ControlModes::CRTSCTS | ControlModes::CSIZE;
        raw.control_modes |= ControlModes::CS8 | ControlModes::CLOCAL | ControlModes::CREAD;
        raw.input_modes -= InputModes::IXON | InputModes::IXOFF;
        raw.set_speed(baud)?;
        tcsetattr(&file, OptionalActions::Now, &raw)?;
        tcflush(&file, QueueSelector::IOFlush)?;
        Ok(Port { file, before })
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        // A port that has gone needs nothing.
        let _ = tcsetattr(&self.file, OptionalActions::Drain, &self.before);
        let _ = ioctl_tiocnxcl(&self.file);
    }
}

impl Read for Port {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Write for Port {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl AsFd for Port {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

//! The way to one agent: a socket that hears nobody else.

use crate::speaker::{Heard, Speaker};
use crate::wire::Pdu;
use ew_core::Span;
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// No datagram is longer.
const DATAGRAM_BYTES_MAX: usize = 65_536;
/// SNMPv3 tells who it is, and news about its clock, by asking for a repetition; more than that is no news.
const AGAINS_MAX: u32 = 3;
/// So many datagrams that are no answer are looked at while waiting for one.
const STRAYS_MAX: u32 = 1000;

thread_local! {
    /// One a worker, and only as much of it in memory as was ever filled.
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; DATAGRAM_BYTES_MAX]);
}

/// What the agents of one poll know of the net together.
#[derive(Debug, Clone, Default)]
pub struct Weather(Arc<AtomicBool>);

impl Weather {
    /// Requests get lost on this net: some were answered only when they were repeated.
    pub(crate) fn is_lossy(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn set_lossy(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Why one attempt came to nothing.
#[derive(Debug)]
pub(crate) enum Miss {
    /// Silence: whatever was sent, or came back, may be lost.
    Silent(String),
    /// The way there is closed.
    Closed(String),
    /// The agent said no to who we are.
    Refused(String),
    /// Something came back that is no answer.
    Garbled(String),
    /// Not the network's fault.
    Local(io::Error),
}

/// A connected socket: the kernel drops what comes from elsewhere, and tells when the port is closed.
pub(crate) struct Line(UdpSocket);

impl Line {
    pub(crate) fn to(address: SocketAddr) -> Result<Line, Miss> {
        let any: SocketAddr = match address {
            SocketAddr::V4(_) => (Ipv4Addr::UNSPECIFIED, 0).into(),
            SocketAddr::V6(_) => (Ipv6Addr::UNSPECIFIED, 0).into(),
        };
        let socket = UdpSocket::bind(any).map_err(Miss::Local)?;
        socket.connect(address).map_err(|e| match e.kind() {
            io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::PermissionDenied => Miss::Closed(e.to_string()),
            _ => Miss::Local(e),
        })?;
        Ok(Line(socket))
    }

    /// One attempt: asks, and waits so long for the answer. `sent` is counted on with each datagram.
    pub(crate) fn ask(
        &self,
        speaker: &mut Speaker,
        pdu: &Pdu,
        wait: Duration,
        sent: &mut u32,
    ) -> Result<Pdu, Miss> {
        BUFFER.with_borrow_mut(|buffer| {
            for _ in 0..=AGAINS_MAX {
                let datagram = speaker.seal(pdu);
                *sent += 1;
                self.0.send(&datagram).map_err(closed)?;
                if let Some(answer) = self.hear(speaker, pdu.request_id, wait, buffer)? {
                    return Ok(answer);
                }
            }
            Err(Miss::Garbled("it asks for one repetition after the other".into()))
        })
    }

    /// The answer, or none where the agent wants to be asked again.
    fn hear(
        &self,
        speaker: &mut Speaker,
        request_id: i32,
        wait: Duration,
        buffer: &mut [u8],
    ) -> Result<Option<Pdu>, Miss> {
        let until = Instant::now() + wait;
        let (mut strays, mut malformed) = (0, None);
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() || strays > STRAYS_MAX {
                break;
            }
            self.0.set_read_timeout(Some(left)).map_err(Miss::Local)?;
            let length = match self.0.recv(buffer) {
                Ok(length) => length,
                Err(e) => match e.kind() {
                    io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted => {
                        continue;
                    }
                    _ => return Err(closed(e)),
                },
            };
            match speaker.hear(buffer.get(..length).unwrap_or_default(), request_id) {
                Ok(Heard::Answer(pdu)) => return Ok(Some(pdu)),
                Ok(Heard::Again) => return Ok(None),
                Ok(Heard::Refused(cause)) => return Err(Miss::Refused(cause)),
                Ok(Heard::Other) => strays += 1,
                // A right answer may follow: anybody can send a datagram in the agent's name.
                Err(error) => (strays, malformed) = (strays + 1, Some(error)),
            }
        }
        Err(match (malformed, strays) {
            (Some(error), _) => Miss::Garbled(error.0),
            (None, 0) => Miss::Silent(format!("silence for {}", Span(wait))),
            (None, _) => Miss::Silent(format!(
                "silence for {}, but for answers to other requests: {strays}",
                Span(wait)
            )),
        })
    }
}

/// Why a socket does not go on.
fn closed(error: io::Error) -> Miss {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Miss::Closed("its port is closed".into()),
        _ => Miss::Closed(format!("it cannot be reached: {error}")),
    }
}

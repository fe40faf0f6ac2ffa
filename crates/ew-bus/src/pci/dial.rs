//! The way to a link: at once for a serial port, with some patience for a CNI, which takes one client at a time.

use super::link::Link;
use super::session::SLOT_HINT;
use super::timing::Timing;
use crate::{Backend, BusError, BusOptions, Context, Trace};
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Whom to connect to, and how often still.
pub(super) struct Dial {
    endpoint: String,
    to: To,
    trace: Trace,
    deadline: Instant,
    /// Before each further try, the next one last.
    pauses: Vec<Duration>,
}

enum To {
    Port { device: PathBuf, baud: u32 },
    Cni { addresses: Vec<SocketAddr>, timeout: Duration },
}

impl Dial {
    /// Looks up a CNI's addresses.
    pub(super) fn new(
        options: &BusOptions,
        context: &Context<'_>,
        timing: &Timing,
    ) -> Result<Dial, BusError> {
        let endpoint = options.endpoint();
        let (to, pauses) = match &options.backend {
            Backend::Cni(cni) => {
                let timeout = options.start_timeout.0;
                let left = context.deadline.saturating_duration_since(Instant::now());
                let addresses = ew_net::addresses(&cni.host, cni.port, timeout.min(left)).map_err(|e| {
                    let (endpoint, doing) = (endpoint.clone(), "connect".into());
                    BusError::Unreachable { endpoint, doing, cause: e.reason, hint: e.hint }
                })?;
                (To::Cni { addresses, timeout }, timing.backoff.iter().rev().copied().collect())
            }
            Backend::Pci(pci) => {
                (To::Port { device: context.base.join(&pci.device), baud: pci.baud }, Vec::new())
            }
            Backend::Exec(_) | Backend::Cgate(_) => {
                return Err(BusError::NotSupported {
                    endpoint,
                    what: "it is neither a CNI nor a PCI".into(),
                });
            }
        };
        Ok(Dial { endpoint, to, trace: context.trace.clone(), deadline: context.deadline, pauses })
    }

    /// Connects, again after a while where nobody listens.
    pub(super) fn link(&mut self) -> Result<Link, BusError> {
        loop {
            let opened = match &self.to {
                To::Port { device, baud } => {
                    return Link::serial(device, *baud, self.trace.clone())
                        .map_err(|e| port_error(&self.endpoint, &e));
                }
                To::Cni { addresses, timeout } => {
                    let left = self.deadline.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        let (endpoint, doing) = (self.endpoint.clone(), "connect".into());
                        return Err(BusError::Deadline { endpoint, doing });
                    }
                    Link::tcp(addresses, (*timeout).min(left), self.trace.clone())
                }
            };
            let error = match opened {
                Ok(link) => return Ok(link),
                Err(error) => error,
            };
            let is_refused = error.kind() == io::ErrorKind::ConnectionRefused;
            if !is_refused || !self.waits() {
                return Err(BusError::Unreachable {
                    endpoint: self.endpoint.clone(),
                    doing: "connect".into(),
                    cause: ew_net::plain(&error),
                    hint: is_refused.then(|| SLOT_HINT.into()),
                });
            }
        }
    }

    /// Waits before a further try; false where there is none left, or no time for it.
    pub(super) fn waits(&mut self) -> bool {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match self.pauses.pop().filter(|pause| *pause < left) {
            Some(pause) => {
                thread::sleep(pause);
                true
            }
            None => false,
        }
    }
}

/// A serial port that cannot be had.
fn port_error(endpoint: &str, error: &io::Error) -> BusError {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => " (is this user in the group of serial ports, such as dialout?)",
        io::ErrorKind::ResourceBusy => " (another program has it open)",
        io::ErrorKind::InvalidInput => " (does the port know this speed?)",
        _ => "",
    };
    BusError::Local {
        endpoint: endpoint.to_owned(),
        doing: "open the serial port".into(),
        cause: format!("{}{advice}", ew_net::plain(error)),
    }
}

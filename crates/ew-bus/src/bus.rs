//! The trait that every backend implements, and what it is given.

use crate::{Backend, BusError, BusOptions, Discovery, Levels, Measurement, Trace, cgate, exec, pci};
use ew_core::{Secret, SecretSource, Timestamp};
use std::fmt;
use std::path::Path;
use std::time::{Duration, Instant};

/// A group on a bus.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupAddress {
    /// The network as its backend writes it, such as `254`; the exec dialect has `00`. Empty: the only one, or the one
    /// that the interface is on.
    pub network: String,
    /// Application, 0..255.
    pub application: u8,
    /// Group, 0..254; 255 stands for unused.
    pub group: u8,
}

impl fmt::Display for GroupAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.network.is_empty() {
            write!(f, "{}/", self.network)?;
        }
        write!(f, "{}/{}", self.application, self.group)
    }
}

/// What a backend is given beside its options.
pub struct Context<'a> {
    /// Paths of the options are relative to it.
    pub base: &'a Path,
    /// Fetches a secret; the error says why not.
    pub resolve: &'a dyn Fn(&SecretSource) -> Result<Secret, String>,
    /// Where both directions are written down.
    pub trace: Trace,
    /// When the whole run must have ended.
    pub deadline: Instant,
    /// Whether what changes a server's state may be asked of it (`NET OPEN`, `PROJECT START`).
    pub allow_open: bool,
    /// How long to wait for a network that is being synchronised; zero reports it as it is.
    pub wait_sync: Duration,
    /// The present, for what was observed when.
    pub now: &'a dyn Fn() -> Timestamp,
    /// Told to the user as it happens, such as the estimate of a long scan.
    pub note: &'a dyn Fn(&str),
}

impl fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("base", &self.base)
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// A bus that is connected to. Every call is bounded by the context's deadline. Dropped, it leaves the far side as it
/// was found: a child is ended and reaped, a session closed.
pub trait Bus {
    /// What is on the bus, levels included as far as the backend can tell them. An error only where nothing at all can
    /// be said; what is missing of it is in `incomplete_reasons`.
    fn discover(&mut self) -> Result<Discovery, BusError>;

    /// The levels of every group of these applications on every network, or of those discovered where there are none.
    fn levels(&mut self, applications: Option<&[u8]>) -> Result<Levels, BusError>;

    /// The level of one group, 0..255.
    fn get(&mut self, group: &GroupAddress) -> Result<u8, BusError>;

    /// Sets a level, at once. The only call that writes. What it answered, where it said more than yes.
    fn set(&mut self, group: &GroupAddress, level: u8) -> Result<Option<String>, BusError>;

    /// The measurement channels with their last readings.
    fn measure(&mut self) -> Result<Vec<Measurement>, BusError>;

    /// What answers at the endpoint, line by line for a person: banner, version, type of interface. Reads only.
    fn probe(&mut self) -> Result<Vec<String>, BusError>;
}

/// Refuses a group that the bus cannot have, by what its options tell: nothing is connected to. Which networks there are
/// only the far side knows.
pub fn check(options: &BusOptions, group: &GroupAddress) -> Result<(), BusError> {
    match &options.backend {
        Backend::Exec(_) => Ok(()),
        Backend::Cgate(_) => cgate::check(&options.endpoint(), group),
        Backend::Cni(_) | Backend::Pci(_) => pci::check(&options.endpoint(), group),
    }
}

/// Connects to a bus.
pub fn open<'a>(options: &'a BusOptions, context: Context<'a>) -> Result<Box<dyn Bus + 'a>, BusError> {
    match &options.backend {
        Backend::Exec(exec) => exec::open(options, exec, context),
        Backend::Cgate(cgate) => cgate::open(options, cgate, context),
        Backend::Cni(_) | Backend::Pci(_) => pci::open(options, context),
    }
}

/// The same for tests against a simulator: a PCI or CNI is asked with the pauses of a hundredth that a real one could
/// not take. Where debug assertions are off it is [`open`].
#[doc(hidden)]
pub fn open_hurried<'a>(
    options: &'a BusOptions,
    context: Context<'a>,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    match &options.backend {
        Backend::Cni(_) | Backend::Pci(_) => pci::open_hurried(options, context),
        _ => open(options, context),
    }
}

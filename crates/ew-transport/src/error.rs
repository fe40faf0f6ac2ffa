//! What can go wrong between here and a receiver.

use ew_core::Exit;
use ew_net::{NetError, NetErrorKind};
use std::io;
use std::time::Duration;

pub(crate) use ew_net::plain;

/// What kind of failure, as exit codes and retries see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The options, or a file they name, cannot be used.
    Config,
    /// The file to be sent, or the disk of this machine.
    Local,
    /// No connection, a lost one, or no answer in time.
    Unreachable,
    /// The far side failed at what it was asked for, a full disk for instance.
    FarSide,
    /// A command said that it failed, and not that another time might do.
    Failed,
    /// A directory that is not there.
    Missing,
    /// The far side broke its protocol, or shares none with us.
    Protocol,
    /// The far side said no, or showed a key that is not its own.
    Refused,
    /// Another file has its name.
    Occupied,
    /// The file is larger than the receiver takes.
    TooLarge,
}

/// Why a file was not delivered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {} {far_side}: {reason}", verb(*.looking, .object))]
pub struct TransportError {
    far_side: String,
    object: Option<String>,
    kind: ErrorKind,
    reason: String,
    hint: Option<String>,
    reached: Box<[String]>,
    of_receiver: bool,
    looking: bool,
    /// Seconds; a whole Duration would make every result a large one.
    wait_secs: u32,
}

fn verb(looking: bool, object: &Option<String>) -> String {
    match object {
        Some(name) if looking => format!("look for {name} at"),
        Some(name) => format!("send {name} to"),
        None if looking => "look at".into(),
        None => "use".into(),
    }
}

impl TransportError {
    /// The receiver, as `sftp ew@host:22`.
    pub fn far_side(&self) -> &str {
        &self.far_side
    }

    /// The name of the file, where it concerns one.
    pub fn object(&self) -> Option<&str> {
        self.object.as_deref()
    }

    /// What kind of failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What was tried on which path, and what came of it.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Which recipients got the file all the same, where one delivery goes to several. They need not be
    /// those that had it before.
    pub fn reached(&self) -> &[String] {
        &self.reached
    }

    pub(crate) fn with_reached(self, reached: Vec<String>) -> TransportError {
        TransportError { reached: reached.into(), ..self }
    }

    /// How a program ends on it.
    pub fn exit(&self) -> Exit {
        match self.kind {
            ErrorKind::Config => Exit::Config,
            ErrorKind::Local => Exit::Io,
            ErrorKind::Unreachable | ErrorKind::FarSide | ErrorKind::Failed | ErrorKind::Missing => {
                Exit::Unavailable
            }
            ErrorKind::Protocol => Exit::Protocol,
            ErrorKind::Refused | ErrorKind::Occupied => Exit::Refused,
            ErrorKind::TooLarge => Exit::Data,
        }
    }

    /// Whether it came before any file was spoken of: no connection, no log-in, no directory. The next file
    /// would fare no better.
    pub fn is_of_receiver(&self) -> bool {
        self.of_receiver
    }

    /// Whether trying again within the same run makes sense.
    pub fn is_retryable(&self) -> bool {
        matches!(self.kind, ErrorKind::Unreachable | ErrorKind::FarSide)
    }

    /// How long the far side asks to be left alone before the next attempt; zero where it does not.
    pub fn wait(&self) -> Duration {
        Duration::from_secs(self.wait_secs.into())
    }
}

/// A failure before the far side and the file's name are put to it.
#[derive(Debug, Clone)]
pub(crate) struct Fault {
    pub(crate) kind: ErrorKind,
    pub(crate) reason: String,
    pub(crate) hint: Option<String>,
    pub(crate) of_receiver: bool,
    pub(crate) wait: Duration,
}

impl Fault {
    pub(crate) fn new(kind: ErrorKind, reason: impl Into<String>) -> Fault {
        Fault { kind, reason: reason.into(), hint: None, of_receiver: false, wait: Duration::ZERO }
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Fault {
        Fault { hint: Some(hint.into()), ..self }
    }

    /// It concerns the receiver as a whole.
    pub(crate) fn of_receiver(self) -> Fault {
        Fault { of_receiver: true, ..self }
    }

    /// A local file that cannot be read.
    pub(crate) fn local(operation: &str, path: &std::path::Path, error: &io::Error) -> Fault {
        Fault::new(ErrorKind::Local, format!("{operation} {}: {}", path.display(), plain(error)))
    }

    /// The far side asks for so much time before the next attempt.
    pub(crate) fn wait(self, wait: Duration) -> Fault {
        Fault { wait, ..self }
    }

    pub(crate) fn at(self, far_side: &str, object: Option<&str>) -> TransportError {
        TransportError {
            far_side: far_side.to_owned(),
            object: object.map(str::to_owned),
            kind: self.kind,
            reason: self.reason,
            hint: self.hint,
            reached: Box::default(),
            of_receiver: self.of_receiver || object.is_none(),
            looking: false,
            wait_secs: u32::try_from(self.wait.as_secs()).unwrap_or(u32::MAX),
        }
    }

    /// The same while looking at what is there.
    pub(crate) fn seen_at(self, far_side: &str, object: Option<&str>) -> TransportError {
        TransportError { looking: true, ..self.at(far_side, object) }
    }
}

impl From<NetError> for Fault {
    fn from(error: NetError) -> Fault {
        let kind = match error.kind {
            NetErrorKind::Config => ErrorKind::Config,
            NetErrorKind::Unreachable => ErrorKind::Unreachable,
            NetErrorKind::Protocol => ErrorKind::Protocol,
            NetErrorKind::Refused => ErrorKind::Refused,
        };
        Fault { hint: error.hint, ..Fault::new(kind, error.reason) }
    }
}

/// Another file stands under the name of a parcel that may not replace it.
pub(crate) fn occupied(path: &str) -> Fault {
    Fault::new(
        ErrorKind::Occupied,
        format!("{path} is there with other content, and was not put there for this"),
    )
    .hint("look whose it is; move it away there, or give the job another filename or directory")
}

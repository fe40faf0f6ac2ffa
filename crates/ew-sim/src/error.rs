//! What can go wrong before the simulator serves, with its exit code and a hint.

use ew_cli::Failure;
use ew_core::Exit;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use thiserror::Error;

/// An end before the ready sign.
#[derive(Debug, Error)]
pub(crate) enum SimError {
    /// Options that are right one by one and wrong together.
    #[error("{0}")]
    Usage(String),
    /// A row of the data file that cannot be served; `line` counts from 1.
    #[error("{}: line {line}: {reason}", file.display())]
    BadRow {
        /// The file as it was named on the command line.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A data file without a single row.
    #[error("{}: line 1: no rows", file.display())]
    NoRows {
        /// The file as it was named on the command line.
        file: PathBuf,
    },
    /// The data file cannot be read.
    #[error("cannot read {}: {source}", file.display())]
    Unreadable {
        /// The file as it was named on the command line.
        file: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A level of a bus in memory that is none; `line` counts from 1.
    #[error("{}: line {line}: it is no level", file.display())]
    BadLevel {
        /// The file as it was named on the command line.
        file: PathBuf,
        /// Where, from 1.
        line: usize,
    },
    /// The interface behind the dialect.
    #[error(transparent)]
    Bus(#[from] ew_bus::BusError),
    /// A socket cannot be had.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// No certificate, or no TLS with it.
    #[error("cannot prepare TLS: {reason}")]
    Tls {
        /// In the library's words.
        reason: String,
    },
    /// A pseudo-terminal cannot be had.
    #[error("cannot open a pseudo-terminal: {source}")]
    Terminal {
        /// Why.
        source: io::Error,
    },
    /// A thread cannot be had.
    #[error("cannot start a thread: {source}")]
    Thread {
        /// Why.
        source: io::Error,
    },
    /// stdout takes no more, for another reason than a closed pipe.
    #[error("cannot write to stdout: {source}")]
    Output {
        /// Why.
        source: io::Error,
    },
}

impl From<SimError> for Failure {
    fn from(error: SimError) -> Failure {
        Failure::new(error.exit(), error.to_string()).maybe_hint(error.hint())
    }
}

impl SimError {
    /// The exit code of a run that ends so.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            SimError::Usage(_) => Exit::Usage,
            SimError::BadRow { .. } | SimError::NoRows { .. } | SimError::BadLevel { .. } => Exit::Data,
            SimError::Bus(error) => error.exit(),
            SimError::Unreadable { .. }
            | SimError::Listen { .. }
            | SimError::Terminal { .. }
            | SimError::Thread { .. }
            | SimError::Tls { .. }
            | SimError::Output { .. } => Exit::Io,
        }
    }

    /// What the user can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        if let SimError::Bus(error) = self {
            return error.hint();
        }
        let hint = match self {
            SimError::BadLevel { .. } => Some("a level is level:APP,GROUP=LEVEL, for example level:56,1=255"),
            SimError::BadRow { .. } | SimError::NoRows { .. } => {
                Some("a row is OID|TAG|VALUE, for example 1.3.6.1.2.1.1.5.0|4|sw0001")
            }
            SimError::Listen { source, .. } => listen_hint(source),
            SimError::Thread { .. } => {
                Some("with --by community all switches share one socket and one thread")
            }
            SimError::Usage(_)
            | SimError::Terminal { .. }
            | SimError::Tls { .. }
            | SimError::Unreadable { .. }
            | SimError::Output { .. }
            | SimError::Bus(_) => None,
        };
        hint.map(str::to_owned)
    }
}

fn listen_hint(source: &io::Error) -> Option<&'static str> {
    /// `EMFILE`, which has no [`io::ErrorKind`] of its own.
    const TOO_MANY_OPEN_FILES: i32 = 24;
    if source.raw_os_error() == Some(TOO_MANY_OPEN_FILES) {
        return Some("raise `ulimit -n`, or use --by community: one socket for all switches");
    }
    match source.kind() {
        io::ErrorKind::AddrInUse => Some("choose another port with --listen, or port 0 for any free one"),
        io::ErrorKind::PermissionDenied => Some("ports below 1024 need privileges; choose a higher one"),
        io::ErrorKind::AddrNotAvailable => Some("this machine does not have that address; try 127.0.0.1"),
        _ => None,
    }
}

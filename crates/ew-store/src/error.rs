//! What can go wrong with the log.

use ew_core::Exit;
use std::io;
use std::path::PathBuf;

/// An error of the log, naming the file and what was being done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file or folder could not be used.
    #[error("cannot {doing} {}", path.display())]
    Io {
        /// A verb: `create`, `read` …
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// SQLite refused.
    #[error("cannot {doing} in the log {}", path.display())]
    Sql {
        /// A verb and its object: `append samples` …
        doing: &'static str,
        /// The log.
        path: PathBuf,
        /// Why.
        source: rusqlite::Error,
    },
    /// The log was written by a later ew.
    #[error("the log {} has schema {found}; this program knows up to {known}", path.display())]
    Newer {
        /// The log.
        path: PathBuf,
        /// Its `user_version`.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// An SQLite file with tables that are not ours.
    #[error("{} is the database of another program", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// A file without any content where there once was a log.
    #[error("the log {} is empty, but {} beside it is not", path.display(), spool.display())]
    Emptied {
        /// The file.
        path: PathBuf,
        /// What a run left there.
        spool: PathBuf,
    },
    /// What SQLite had not yet written into a log, without that log.
    #[error("there is no log {}, but the last writes of one are in {}", path.display(), wal.display())]
    Orphaned {
        /// The log.
        path: PathBuf,
        /// Its write-ahead log.
        wal: PathBuf,
    },
    /// Its pages do not hang together.
    #[error("the log {} is damaged: {what}; nothing was copied", path.display())]
    Damaged {
        /// The log.
        path: PathBuf,
        /// The first fault.
        what: String,
    },
    /// A slice with a document beside it that says its name, at a destination where that is another's.
    #[error("{name} waits with what lies beside it, and at {destination} that name is another slice's")]
    Named {
        /// The name.
        name: String,
        /// The receiver.
        destination: String,
    },
    /// A row of the ledger or the log does not read back.
    #[error("the log {} holds {what}, which no ew writes", path.display())]
    Unreadable {
        /// The log.
        path: PathBuf,
        /// What was found.
        what: String,
    },
}

const DAMAGED: &str = "the log is damaged: ew-log check names it; keep a copy, then restore a backup (ew-log backup --help) or use \
     sqlite3's .recover";

const FULL: &str = "the disk is full; make room and run again: what was not committed is done then";

/// Nothing more may be written, on this disk or by this user.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

impl StoreError {
    /// The exit code that it makes.
    pub fn exit(&self) -> Exit {
        match self {
            StoreError::Named { .. } => Exit::Config,
            _ if self.is_busy() => Exit::Busy,
            _ => Exit::Io,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        use rusqlite::ErrorCode as Code;
        match self {
            StoreError::Newer { .. } => {
                Some("use the ew that wrote it, or a later one; nothing was changed".into())
            }
            StoreError::Sql { source, .. } => match source.sqlite_error_code()? {
                Code::DatabaseBusy | Code::DatabaseLocked => {
                    Some("another program has been writing to the log for 30 s; try later".into())
                }
                Code::DiskFull => Some(FULL.into()),
                Code::SystemIoFailure => Some(
                    "the disk is full or failing (df, dmesg); what was not committed is done by the next run"
                        .into(),
                ),
                Code::NotADatabase => Some("the file is not an ew log; is log.url in ew.toml right?".into()),
                Code::DatabaseCorrupt => Some(DAMAGED.into()),
                Code::ReadOnly | Code::CannotOpen | Code::PermissionDenied => {
                    Some("the log's folder must exist and be writable by this user".into())
                }
                _ => None,
            },
            StoreError::Emptied { .. } => Some(
                "restore a backup (ew-log backup --help); without one move it away, append the rows that are left, and \
                 ew-ledger rebuild, or all there is is sent again"
                    .into(),
            ),
            StoreError::Foreign { .. } => Some("nothing was changed; is log.url in ew.toml right?".into()),
            StoreError::Orphaned { .. } => Some(
                "put it and the file -shm beside the log that was moved away, under that one's name: the rows are in it again; \
                 or remove both. Nothing was changed"
                    .into(),
            ),
            StoreError::Io { source, .. } if is_full(source) => Some(FULL.into()),
            StoreError::Io { .. } => Some("the log's folder must exist and be writable by this user".into()),
            StoreError::Named { .. } => {
                Some("send it to the receiver that it was recorded for, or to a directory of its own".into())
            }
            StoreError::Unreadable { .. } | StoreError::Damaged { .. } => Some(DAMAGED.into()),
        }
    }

    /// Whether the file's own content is what is wrong.
    pub fn is_damage(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        match self {
            StoreError::Sql { source, .. } => source.sqlite_error_code() == Some(Code::DatabaseCorrupt),
            StoreError::Unreadable { .. } | StoreError::Damaged { .. } => true,
            _ => false,
        }
    }

    fn is_busy(&self) -> bool {
        use rusqlite::ErrorCode as Code;
        let StoreError::Sql { source, .. } = self else { return false };
        matches!(source.sqlite_error_code(), Some(Code::DatabaseBusy | Code::DatabaseLocked))
    }
}

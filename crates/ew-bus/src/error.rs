//! What goes wrong with a bus.

use ew_core::Exit;

/// The endpoint, what was asked of it, and why it came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BusError {
    /// Nobody is there, or does not answer in time.
    #[error("{endpoint}: {doing}: {cause}")]
    Unreachable {
        /// The far side, such as `cni 192.0.2.20:10001`.
        endpoint: String,
        /// What was asked of it.
        doing: String,
        /// Why not.
        cause: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// What came back is no answer.
    #[error("{endpoint}: {doing}: {cause}")]
    Breach {
        /// The far side.
        endpoint: String,
        /// What was asked of it.
        doing: String,
        /// What is wrong with the answer.
        cause: String,
    },
    /// The far side said no to who we are or what we may.
    #[error("{endpoint} refuses {doing}: {cause}")]
    Refused {
        /// The far side.
        endpoint: String,
        /// What was asked of it.
        doing: String,
        /// Its words.
        cause: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The group, network or project is not there, or has no level. Whose word that is tells the exit code.
    #[error("{endpoint}: {object}: {cause}")]
    NoSuchObject {
        /// The far side.
        endpoint: String,
        /// What was asked for.
        object: String,
        /// Its words.
        cause: String,
        /// What to do next.
        hint: Option<String>,
        /// [`Exit::Usage`]: the command line names it. [`Exit::Config`]: `ew.toml` does. [`Exit::NoData`]: it is there
        /// and has no level. [`Exit::Protocol`]: the far side itself does.
        exit: Exit,
    },
    /// The run has taken as long as it may.
    #[error("{endpoint}: {doing}: the deadline of the run has passed")]
    Deadline {
        /// The far side.
        endpoint: String,
        /// What was being asked of it.
        doing: String,
    },
    /// Something of this machine: a device, a file, no process to be had.
    #[error("{endpoint}: {doing}: {cause}")]
    Local {
        /// The far side.
        endpoint: String,
        /// What was tried.
        doing: String,
        /// Why not.
        cause: String,
    },
    /// A secret that cannot be had.
    #[error("{endpoint}: the secret {key} cannot be had: {cause}")]
    Secret {
        /// The far side.
        endpoint: String,
        /// The key in `ew.toml`.
        key: &'static str,
        /// Why not.
        cause: String,
    },
    /// A tag file that cannot be read.
    #[error("{file}: {cause}")]
    BadTags {
        /// The file.
        file: String,
        /// What is wrong with it.
        cause: String,
    },
    /// This backend cannot do it.
    #[error("{endpoint} cannot do that: {what}")]
    NotSupported {
        /// The far side.
        endpoint: String,
        /// What it cannot do.
        what: String,
    },
}

impl BusError {
    /// The exit code that a run ends with when every part failed like this.
    pub fn exit(&self) -> Exit {
        match self {
            BusError::Unreachable { .. } | BusError::Deadline { .. } => Exit::Unavailable,
            BusError::NoSuchObject { exit, .. } => *exit,
            BusError::Breach { .. } => Exit::Protocol,
            BusError::Refused { .. } => Exit::Refused,
            BusError::Local { .. } => Exit::Io,
            BusError::BadTags { .. } => Exit::Data,
            BusError::Secret { .. } | BusError::NotSupported { .. } => Exit::Config,
        }
    }

    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            BusError::Unreachable { hint, .. }
            | BusError::Refused { hint, .. }
            | BusError::NoSuchObject { hint, .. } => hint.clone(),
            BusError::Breach { .. } => Some("--trace FILE keeps what it said, word for word".into()),
            BusError::Deadline { .. } => Some("raise deadline of this bus in ew.toml".into()),
            BusError::Local { .. } => None,
            BusError::Secret { key, .. } => Some(format!("check the source of {key} in ew.toml")),
            BusError::BadTags { .. } => Some(
                "a tag file is the .xml or .cbz that Toolkit writes, or the .db of a C-Gate 3 project".into(),
            ),
            BusError::NotSupported { .. } => None,
        }
    }
}

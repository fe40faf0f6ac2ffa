//! What a receiver can do, tried end to end with a file that is taken away again.

use crate::TransportError;
use crate::error::Fault;
use serde::Serialize;

/// Something that a delivery needs of a receiver, or can make use of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// It is there, and it is who it should be.
    Connect,
    /// The way there is protected by TLS.
    Tls,
    /// It lets the user in.
    LogIn,
    /// The directory is there, or is made.
    Directory,
    /// Files can be made and written.
    Write,
    /// They go down to its disk on demand.
    Sync,
    /// Their size can be seen.
    Stat,
    /// They can be read back.
    ReadBack,
    /// They can be given another name. Else they grow under their own.
    Rename,
    /// A file takes the place of another in one step. Else the other is removed first.
    Replace,
    /// The directory can be listed. Nothing depends on it.
    List,
    /// Files can be removed.
    Remove,
    /// The sender of a mail is taken.
    Sender,
    /// A recipient of a mail is taken.
    Recipient,
}

/// Whether it can.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Can {
    /// It did.
    Yes,
    /// It did not.
    No,
    /// It does not know the request.
    Unsupported,
}

/// What came of one trial.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was tried.
    pub ability: Ability,
    /// Whether it can.
    pub can: Can,
    /// The far side's words where it cannot, or what else there is to say; never a secret.
    pub note: Option<String>,
}

/// What a receiver can do. Trials that come after one that nothing works without were not made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Probe {
    /// What was found, in the order of the trials.
    pub abilities: Vec<Finding>,
    /// Paths that could not be removed, and perhaps are there still.
    pub left: Vec<String>,
    /// Why a delivery would fail; none where it would work.
    #[serde(skip)]
    pub error: Option<TransportError>,
}

impl Probe {
    pub(crate) fn add(&mut self, ability: Ability, can: Can, note: Option<String>) {
        self.abilities.push(Finding { ability, can, note });
    }

    /// Notes what came of a trial.
    pub(crate) fn tried<T>(&mut self, ability: Ability, result: &Result<T, Fault>) {
        match result {
            Ok(_) => self.add(ability, Can::Yes, None),
            Err(fault) => self.add(ability, Can::No, Some(fault.reason.clone())),
        }
    }

    /// Notes a trial that nothing works without.
    pub(crate) fn needs<T>(&mut self, ability: Ability, result: Result<T, Fault>) -> Result<T, Fault> {
        self.tried(ability, &result);
        result
    }
}

/// What the file of a trial holds.
pub(crate) const CONTENT: &[u8] =
    b"This file was made to try what this receiver can do, and may be removed.\n";

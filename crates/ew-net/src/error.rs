//! What can go wrong on the way to a far side.

use std::io;

/// What kind of failure, as exit codes and retries see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetErrorKind {
    /// The options, or a file they name, cannot be used.
    Config,
    /// No connection, a lost one, or no answer in time.
    Unreachable,
    /// The far side broke its protocol, or shares none with us.
    Protocol,
    /// The far side said no, or showed a key that is not its own.
    Refused,
}

/// A failure before the far side's name is put to it: whoever asked adds that.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{reason}")]
pub struct NetError {
    /// What kind.
    pub kind: NetErrorKind,
    /// What was tried, and what came of it.
    pub reason: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl NetError {
    /// A failure without a hint.
    pub fn new(kind: NetErrorKind, reason: impl Into<String>) -> NetError {
        NetError { kind, reason: reason.into(), hint: None }
    }

    /// The same with what to do about it.
    pub fn hint(self, hint: impl Into<String>) -> NetError {
        NetError { hint: Some(hint.into()), ..self }
    }
}

/// An error's text without the number that std adds, in lower case as the other messages are.
pub fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    let text = text.split(" (os error").next().unwrap_or(&text);
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}

//! Failures: a message, a hint, an exit code.

use ew_config::ConfigError;
use ew_core::Exit;
use ew_store::StoreError;
use std::error::Error;
use std::fmt::Write as _;

/// Why a program, or one part of its run, failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How the program ends.
    pub exit: Exit,
    /// What happened: far side, object, cause, on one line.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
    /// The reader of stdout has gone: end without a word.
    pub quiet: bool,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(exit: Exit, message: impl Into<String>) -> Failure {
        Failure { exit, message: message.into(), hint: None, quiet: false }
    }

    /// A failure from an error and the errors beneath it.
    pub fn of(exit: Exit, error: &dyn Error) -> Failure {
        Failure::new(exit, with_sources(error))
    }

    /// The same with what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Failure {
        self.hint = Some(hint.into());
        self
    }

    /// The same with a hint, where there is one.
    pub fn maybe_hint(mut self, hint: Option<impl Into<String>>) -> Failure {
        self.hint = hint.map(Into::into).or(self.hint);
        self
    }

    /// The same behind the name of what failed: `utility: …`.
    pub fn of_part(mut self, part: &str) -> Failure {
        self.message = format!("{part}: {}", self.message);
        self
    }

    /// The reader of stdout has gone: end quietly, with 0.
    pub fn closed_pipe() -> Failure {
        Failure { exit: Exit::Ok, message: String::new(), hint: None, quiet: true }
    }

    /// Writing to stdout failed; a closed pipe ends quietly.
    pub fn stdout(error: &std::io::Error) -> Failure {
        if error.kind() == std::io::ErrorKind::BrokenPipe {
            return Failure::closed_pipe();
        }
        Failure::new(Exit::Io, format!("cannot write to stdout: {error}"))
    }
}

/// `message: cause: cause of the cause`.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    let mut last = text.clone();
    while let Some(cause) = source {
        // Some errors say in their own words all that their cause says.
        let words = cause.to_string();
        if !words.contains(&last) && !last.contains(&words) {
            let _ = write!(text, ": {words}");
            last = words;
        }
        source = cause.source();
    }
    text
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Failure {
        Failure::of(error.exit(), &error).maybe_hint(error.hint())
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Failure {
        Failure::new(Exit::Config, error.to_string()).maybe_hint(error.hint())
    }
}

//! Messages on stderr.

use crate::Failure;
use crate::text::lines;
use std::fmt::Display;
use std::io::Write;

/// Where messages go: stderr, each line with the program's name before it. Data goes to stdout.
#[derive(Debug, Clone, Copy)]
pub struct Report {
    program: &'static str,
    verbose: bool,
    quiet: bool,
}

impl Report {
    /// `EW_DEBUG=1` says as much as `-v`.
    pub fn new(program: &'static str, verbose: bool, quiet: bool) -> Report {
        let debug = std::env::var_os("EW_DEBUG").is_some_and(|value| value == "1");
        Report { program, verbose: verbose || debug, quiet }
    }

    /// A failure and its hint; said even with `-q`.
    pub fn failure(&self, failure: &Failure) {
        if failure.quiet {
            return;
        }
        self.say(&failure.message);
        if let Some(hint) = &failure.hint {
            self.write(format_args!("  hint: {hint}"));
        }
    }

    /// Something that a person should look at, though the run goes on.
    pub fn warning(&self, message: impl Display) {
        self.say(format_args!("warning: {message}"));
    }

    /// What was done; not with `-q`.
    pub fn note(&self, message: impl Display) {
        if !self.quiet {
            self.say(message);
        }
    }

    /// Each step; only with `-v` or `EW_DEBUG=1`.
    pub fn detail(&self, message: impl Display) {
        if self.verbose && !self.quiet {
            self.say(message);
        }
    }

    fn say(&self, message: impl Display) {
        self.write(format_args!("{}: {message}", self.program));
    }

    /// A stderr that is gone is no reason to stop.
    fn write(&self, line: std::fmt::Arguments<'_>) {
        let _ = writeln!(std::io::stderr().lock(), "{}", lines(&line.to_string()));
    }
}

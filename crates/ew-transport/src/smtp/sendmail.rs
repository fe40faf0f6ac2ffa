//! The machine's own `sendmail` program in place of a server: whoever installed it says where mail goes from there.

use super::MailAddress;
use super::message::Letter;
use super::session::Outcome;
use crate::Steps;
use crate::error::{ErrorKind, Fault, plain};
use crate::words::last_words;
use ew_net::{Child, ChildLimits};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

/// How it is called.
pub(crate) struct Sendmail {
    /// Program and first arguments.
    pub(crate) command: Vec<String>,
    /// What a path starts from.
    pub(crate) folder: PathBuf,
    /// How long one call may take.
    pub(crate) timeout: Duration,
}

/// What it says on stdout is nobody's business.
const LIMITS: ChildLimits = ChildLimits { line_bytes_max: 0, grace: Duration::from_secs(2) };

impl Sendmail {
    /// Hands one mail over for these recipients, one call for each: it has one exit code, and a recipient that it refuses
    /// must not keep the others from theirs. Who it is for is said on the command line alone, as an envelope.
    pub(crate) fn send(
        &self,
        from: &MailAddress,
        recipients: &[&MailAddress],
        letter: &Letter,
        steps: Steps<'_>,
    ) -> Result<Outcome, Fault> {
        let mut outcome = Outcome { reached: Vec::new(), refused: Vec::new() };
        // Programs of this machine are given its line ends, and make those of mail.
        let text = String::from_utf8_lossy(&letter.bytes).replace("\r\n", "\n");
        for recipient in recipients {
            let address = recipient.address();
            match self.call(from, address, &text) {
                Ok(()) => outcome.reached.push(address.to_owned()),
                Err(fault) => {
                    // A program that is not there, or hangs, will do so for the next one too.
                    let is_of_all = matches!(fault.kind, ErrorKind::Config | ErrorKind::Unreachable);
                    if is_of_all && outcome.reached.is_empty() {
                        return Err(fault.of_receiver());
                    }
                    let reason = format!("{address}: {}", fault.reason);
                    outcome.refused.push((address.to_owned(), Fault { reason, ..fault }));
                    if is_of_all {
                        break;
                    }
                }
            }
        }
        steps.done("sent");
        Ok(outcome)
    }

    fn call(&self, from: &MailAddress, to: &str, text: &str) -> Result<(), Fault> {
        let program = self.command.first().map(String::as_str).unwrap_or_default();
        let mut command = self.command.clone();
        // -i: a line with a single point does not end the mail.
        command.extend(["-i", "-f", from.address(), "--", to].map(str::to_owned));
        let mut child = Child::feed(&command, &self.folder, Stdio::piped(), [], LIMITS)
            .map_err(|e| Fault::new(ErrorKind::Config, format!("run {program}: {}", plain(&e))).hint(HINT))?;
        child.say(text.to_owned());
        match child.ended_within(self.timeout) {
            Some(status) if status.success() => Ok(()),
            Some(status) => Err(refusal(program, status, &last_words(&child, []))),
            None => {
                child.end_after(Duration::ZERO);
                let (seconds, words) = (self.timeout.as_secs_f64(), last_words(&child, []));
                let reason = format!("{program} did not end within {seconds} s{words}");
                Err(Fault::new(ErrorKind::Unreachable, reason))
            }
        }
    }
}

const HINT: &str = "sendmail is a program and its first arguments, as in [\"/usr/sbin/sendmail\"]";

/// What an exit code other than 0 comes to, by sysexits.h, which these programs keep to.
fn refusal(program: &str, status: ExitStatus, words: &str) -> Fault {
    let kind = match status.code() {
        // What it was given: data, addressee, host, permission.
        Some(65 | 67 | 68 | 77) => ErrorKind::Refused,
        // How it was called, or set up.
        Some(64 | 78) => ErrorKind::Config,
        // A passing failure, or one that is not told.
        _ => ErrorKind::FarSide,
    };
    Fault::new(kind, format!("{program} ends with {status}{words}"))
}

/// Where a program is; none where there is nothing to run.
pub(crate) fn find(program: &str, folder: &Path) -> Result<PathBuf, Fault> {
    let can_run = |path: &PathBuf| {
        path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places: Vec<PathBuf> = match program.contains('/') {
        true => vec![folder.join(program)],
        false => std::env::split_paths(&path).map(|folder| folder.join(program)).collect(),
    };
    places.retain(can_run);
    places.into_iter().next().ok_or_else(|| {
        Fault::new(ErrorKind::Config, format!("run {program}: there is no such program")).hint(HINT)
    })
}

//! The adapter `ssh`: the query on the command line of a member switch. The secret of the domain stays there.

use super::{Collected, Native, Question, table};
use crate::EnergyError;
use ew_core::{Exit, Secret, Span};
use ew_net::ssh::{Access, Connection};
use ew_net::{NetError, NetErrorKind};
use ssh2::Channel;
use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

/// The most that a switch may print, bytes.
const TEXT_BYTES_MAX: usize = 2 * 1024 * 1024;
/// A terminal so wide that no row is broken.
const WIDTH: u32 = 512;
/// What looks like the first prompt is one when nothing follows it for so long.
const SETTLE: Duration = Duration::from_millis(300);
/// The pager's prompt, answered with a blank where `terminal length 0` did not keep it away.
const PAGER: &str = "--More--";

/// What a switch says of a command that it does not know, or not in this mode.
const UNKNOWN: [&str; 3] = ["Invalid input", "Incomplete command", "Ambiguous command"];

/// What a log-in needs, secrets read.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) access: Access,
    pub(super) enable_password: Option<Secret>,
}

impl Entry {
    /// The switch's words as they may be shown: an echo may hold what was typed.
    pub(super) fn hidden(&self, text: &str) -> String {
        let mut secrets: Vec<&Secret> =
            self.access.secret().into_iter().chain(&self.enable_password).collect();
        // One may be the beginning of the other.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.expose().len()));
        secrets.iter().fold(text.to_owned(), |text, secret| secret.hide_in(&text))
    }
}

/// A shell on a switch, at its prompt.
pub(super) struct BySsh<'a> {
    entry: &'a Entry,
    peer: &'a str,
    timeout: Duration,
    deadline: Instant,
    // Dropped before the connection, over which it says good-bye.
    channel: Channel,
    connection: Connection,
    /// What the switch calls itself before `>` or `#`.
    name: String,
    notes: Vec<String>,
}

/// Where to stop reading.
enum Until<'a> {
    /// Any prompt, once nothing follows.
    FirstPrompt,
    /// The prompt of this name.
    Prompt(&'a str),
    /// The same, or a question for a password.
    PromptOrPassword(&'a str),
}

impl<'a> BySsh<'a> {
    /// Logs in and comes to a prompt at which the query can be given.
    pub(super) fn open(entry: &'a Entry, peer: &'a str, timeout: Duration) -> Result<BySsh<'a>, EnergyError> {
        let deadline = Instant::now() + timeout;
        let net = |e: NetError| net_error(peer, e);
        let connection = entry.access.connect().map_err(net)?;
        let open = || {
            let mut channel = connection.session().channel_session()?;
            channel.request_pty("vt100", None, Some((WIDTH, 0, 0, 0)))?;
            channel.shell()?;
            Ok(channel)
        };
        let channel = open().map_err(|e| net(connection.failure("start a shell", &e)))?;
        let mut shell = BySsh {
            entry,
            peer,
            timeout,
            deadline,
            channel,
            connection,
            name: String::new(),
            notes: Vec::new(),
        };
        let greeting = shell.read("its first prompt", &Until::FirstPrompt)?;
        let (name, mut mode) = last_prompt(&greeting).unwrap_or_default();
        shell.name = name;
        if let (Some(password), '>') = (&entry.enable_password, mode) {
            mode = shell.enable(password)?;
        }
        if mode == '>' {
            let name = entry.hidden(&shell.name);
            shell.notes.push(format!("{peer} is at the prompt {name}>, without enable"));
        }
        // Where the command is refused the pager is answered instead.
        shell.command("terminal length 0")?;
        Ok(shell)
    }

    fn enable(&mut self, password: &Secret) -> Result<char, EnergyError> {
        let name = self.name.clone();
        self.write("enable\r")?;
        let mut text = self.read("enable", &Until::PromptOrPassword(&name))?;
        if asks_password(&text) {
            self.write(&format!("{}\r", password.expose()))?;
            text = self.read("enable", &Until::PromptOrPassword(&name))?;
        }
        match last_prompt(&text) {
            Some((_, '#')) => Ok('#'),
            _ => {
                let lines = table::on_screen(&text);
                let said =
                    table::error(&lines).map_or_else(String::new, |e| format!(": {}", self.entry.hidden(e)));
                Err(EnergyError::Adapter {
                    peer: self.peer.to_owned(),
                    by: "ssh",
                    cause: format!("enable: the switch refuses{said}"),
                    hint: "check enable_password in [native.ssh]".into(),
                    exit: Exit::Refused,
                })
            }
        }
    }

    /// Gives a command; its output, line by line, without its echo and the prompt.
    fn command(&mut self, command: &str) -> Result<Vec<String>, EnergyError> {
        self.write(&format!("{command}\r"))?;
        let name = self.name.clone();
        let text = self.read(command, &Until::Prompt(&name))?;
        let mut lines = table::on_screen(&text);
        lines.pop();
        if lines.first().is_some_and(|first| first.contains(command)) {
            lines.remove(0);
        }
        Ok(lines)
    }

    /// The answer to a query; none where the switch does not know the command.
    fn query(&mut self, what: &str, question: &Question<'_>) -> Result<Option<Vec<String>>, EnergyError> {
        let command = format!("energywise query importance {} name * {what} usage", question.importance);
        let lines = self.command(&command)?;
        if let Some(error) = table::error(&lines) {
            if what == "collect" && UNKNOWN.iter().any(|start| error.contains(start)) {
                return Ok(None);
            }
            return Err(EnergyError::Adapter {
                peer: self.peer.to_owned(),
                by: "ssh",
                cause: format!("{command}: {}", self.entry.hidden(error)),
                hint: "give the command on the switch by hand; it may need enable_password, or EnergyWise is off".into(),
                exit: Exit::Protocol,
            });
        }
        let closing = table::closing(&lines).map(|line| self.entry.hidden(line));
        self.notes.extend(closing.map(|line| format!("{} says {line}", self.peer)));
        Ok(Some(lines))
    }

    fn unreadable(&self, what: &str, why: &str) -> EnergyError {
        EnergyError::Adapter {
            peer: self.peer.to_owned(),
            by: "ssh",
            cause: format!("the answer to {what} usage cannot be read: {why}"),
            hint: "give energywise query importance 100 name * collect usage on the switch by hand; what it prints is \
                   to be a table with Host, Name, Usage and a last line Queried:"
                .into(),
            exit: Exit::Protocol,
        }
    }

    fn write(&mut self, text: &str) -> Result<(), EnergyError> {
        self.give_time();
        let written = self.channel.write_all(text.as_bytes()).and_then(|()| self.channel.flush());
        written.map_err(|e| self.io(&e, "a command"))
    }

    /// The session's time-out is what is left; to libssh2 zero would be no limit.
    fn give_time(&self) -> Duration {
        let left = self.deadline.saturating_duration_since(Instant::now());
        self.limit(left);
        left
    }

    fn limit(&self, left: Duration) {
        let millis = u32::try_from(left.as_millis()).unwrap_or(u32::MAX).max(1);
        self.connection.session().set_timeout(millis);
    }

    /// Reads up to a prompt, answering the pager.
    fn read(&mut self, what: &str, until: &Until<'_>) -> Result<String, EnergyError> {
        let mut text: Vec<u8> = Vec::new();
        let mut paged = 0;
        let mut piece = [0; 16 * 1024];
        loop {
            let start = text.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1);
            let line = String::from_utf8_lossy(&text[start..]).into_owned();
            let is_done = match until {
                Until::FirstPrompt => last_prompt(&line).is_some(),
                Until::Prompt(name) => is_prompt_of(&line, name),
                Until::PromptOrPassword(name) => is_prompt_of(&line, name) || asks_password(&line),
            };
            let may_settle = is_done && matches!(until, Until::FirstPrompt);
            if is_done && !may_settle {
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            if text.len() > TEXT_BYTES_MAX {
                return Err(self.unreadable(what, &format!("it is longer than {TEXT_BYTES_MAX} bytes")));
            }
            if String::from_utf8_lossy(&text[paged.max(start)..]).contains(PAGER) {
                paged = text.len();
                self.write(" ")?;
            }
            let left = self.give_time();
            if may_settle {
                self.limit(left.min(SETTLE));
            }
            if left.is_zero() {
                return Err(self.silent(what));
            }
            match self.channel.read(&mut piece) {
                Ok(0) => return Err(self.lost(what)),
                Ok(count) => text.extend_from_slice(&piece[..count]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::TimedOut && may_settle => {
                    return Ok(String::from_utf8_lossy(&text).into_owned());
                }
                Err(e) => return Err(self.io(&e, what)),
            }
        }
    }

    fn io(&self, error: &std::io::Error, what: &str) -> EnergyError {
        match error.kind() {
            ErrorKind::TimedOut => self.silent(what),
            _ => self.lost(what),
        }
    }

    fn silent(&self, what: &str) -> EnergyError {
        EnergyError::Adapter {
            peer: self.peer.to_owned(),
            by: "ssh",
            cause: format!("{what}: not whole within {}", Span(self.timeout)),
            hint: "raise timeout in [native]; a query waits for every member of the domain".into(),
            exit: Exit::Unavailable,
        }
    }

    fn lost(&self, what: &str) -> EnergyError {
        EnergyError::Adapter {
            peer: self.peer.to_owned(),
            by: "ssh",
            cause: format!("{what}: the connection was lost"),
            hint: "the switch may allow too few sessions at once (line vty), or end them too early".into(),
            exit: Exit::Unavailable,
        }
    }
}

impl Native for BySsh<'_> {
    fn sum(&mut self, question: &Question<'_>) -> Result<f64, EnergyError> {
        let lines = self.query("sum", question)?.unwrap_or_default();
        table::sum(&lines).map_err(|why| self.unreadable("sum", &why))
    }

    fn collect(&mut self, question: &Question<'_>) -> Result<Option<Collected>, EnergyError> {
        let Some(lines) = self.query("collect", question)? else { return Ok(None) };
        let found = table::collected(&lines, &|text| self.entry.hidden(text));
        found.map(Some).map_err(|why| self.unreadable("collect", &why))
    }

    fn notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }
}

impl Drop for BySsh<'_> {
    fn drop(&mut self) {
        self.connection.hurry();
        // A line of the switch is free sooner when it is told; what comes of it does not matter any more.
        let _ = self.channel.write_all(b"exit\r");
    }
}

/// The name and `>` or `#` of a prompt on the last line.
fn last_prompt(text: &str) -> Option<(String, char)> {
    let line = table::line_on_screen(text.rsplit('\n').next()?);
    let line = line.trim();
    let mode = line.chars().last().filter(|c| matches!(c, '>' | '#'))?;
    let name = &line[..line.len() - 1];
    let is_name = !name.is_empty()
        && name.len() <= 64
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.:/()".contains(c));
    is_name.then(|| (name.to_owned(), mode))
}

fn is_prompt_of(line: &str, name: &str) -> bool {
    last_prompt(line).is_some_and(|(found, _)| found == name)
}

fn asks_password(text: &str) -> bool {
    let line = table::line_on_screen(text.rsplit('\n').next().unwrap_or(text));
    line.to_lowercase().ends_with("password:")
}

/// A failure before the shell.
pub(super) fn net_error(peer: &str, error: NetError) -> EnergyError {
    let exit = match error.kind {
        NetErrorKind::Config => Exit::Config,
        NetErrorKind::Unreachable => Exit::Unavailable,
        NetErrorKind::Protocol => Exit::Protocol,
        NetErrorKind::Refused => Exit::Refused,
    };
    let hint = error
        .hint
        .unwrap_or_else(|| "check address, and port in [native.ssh]; is SSH on at the switch?".into());
    EnergyError::Adapter { peer: peer.to_owned(), by: "ssh", cause: error.reason, hint, exit }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prompts() {
        for (text, expect) in [
            ("sw1>", Some(("sw1", '>'))),
            ("hello\r\nsw1#", Some(("sw1", '#'))),
            ("sw-1.hq# ", Some(("sw-1.hq", '#'))),
            ("\r\nsw1(config)#", Some(("sw1(config)", '#'))),
            ("a banner with sw1#\r\n", None),
            ("two words#", None),
            ("#", None),
            ("", None),
        ] {
            let found = last_prompt(text);
            assert_eq!(found.as_ref().map(|(name, mode)| (name.as_str(), *mode)), expect, "{text:?}");
        }
        assert!(is_prompt_of("sw1#", "sw1") && !is_prompt_of("sw10#", "sw1"));
        assert!(asks_password("enable\r\nPassword: ") && !asks_password("Password: \r\n"));
    }
}

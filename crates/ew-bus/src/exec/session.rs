//! The child and its prompt: starts, deadlines, retries.

use super::reply::Scan;
use crate::{BusError, BusOptions, Context};
use ew_net::{Child, ChildLimits, NoLine, plain};
use std::thread;
use std::time::{Duration, Instant};

/// Starts in one run.
const STARTS_MAX: u32 = 3;
/// Before another start, times the starts so far.
const PAUSE: Duration = Duration::from_millis(200);
/// How long a child may take to end once its stdin is closed, before SIGTERM.
const LEAVE: Duration = Duration::from_millis(500);
/// And after it, before SIGKILL.
const STOP: Duration = Duration::from_secs(5);
const LINE_BYTES_MAX: u64 = 1 << 20;
const REPLY_LINES_MAX: usize = 100_000;
const REPLY_BYTES_MAX: usize = 64 << 20;
/// How long nothing may follow a prompt before the next question.
const SETTLE: Duration = Duration::from_millis(2);
const PROMPT: &str = "ready>";
/// So much of what a child said is quoted in a message, characters.
const QUOTED_MAX: usize = 120;

/// Why there is no reply.
enum NoReply {
    /// The child is gone: another may do.
    Gone(BusError),
    /// It is there, and another would do no better.
    Failed(BusError),
}

impl NoReply {
    fn error(self) -> BusError {
        match self {
            NoReply::Gone(error) | NoReply::Failed(error) => error,
        }
    }
}

/// A conversation with a child, who is started where there is none.
pub(super) struct Session<'a> {
    pub(super) endpoint: String,
    pub(super) options: &'a BusOptions,
    pub(super) context: Context<'a>,
    command: &'a [String],
    child: Option<Child>,
    starts: u32,
    /// Why the last child ended.
    last: Option<BusError>,
    /// What it said before its first prompt.
    pub(super) banner: Vec<String>,
    scan: Option<Vec<String>>,
}

impl<'a> Session<'a> {
    pub(super) fn new(options: &'a BusOptions, command: &'a [String], context: Context<'a>) -> Session<'a> {
        let endpoint = options.endpoint();
        Session {
            endpoint,
            options,
            context,
            command,
            child: None,
            starts: 0,
            last: None,
            banner: Vec::new(),
            scan: None,
        }
    }

    /// Starts the child where none runs. The scan comes first with `auto_discover`, for the child learns levels by it.
    pub(super) fn ready(&mut self) -> Result<(), BusError> {
        while self.child.is_none() {
            if self.starts == STARTS_MAX {
                let cause = match &self.last {
                    Some(last) => {
                        format!("it was started {STARTS_MAX} times in this run; the last time: {last}")
                    }
                    None => format!("it was started {STARTS_MAX} times in this run"),
                };
                let hint = format!("run it by hand to see what it says: {}", self.command.join(" "));
                return Err(self.unreachable("start", cause, Some(&hint)));
            }
            self.in_time("start")?;
            if self.starts > 0 {
                thread::sleep(PAUSE * self.starts);
            }
            match self.start() {
                Ok(()) => {}
                Err(NoReply::Gone(error)) => self.last = Some(error),
                Err(NoReply::Failed(error)) => {
                    self.last = Some(error.clone());
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    fn start(&mut self) -> Result<(), NoReply> {
        self.starts += 1;
        let limits = ChildLimits { line_bytes_max: LINE_BYTES_MAX, grace: STOP };
        let child = Child::start(self.command, self.context.base, limits).map_err(|e| {
            let hint = "check command of [cbus.backend.exec]: the program must be installed and executable";
            NoReply::Failed(self.unreachable("start", plain(&e), Some(hint)))
        })?;
        self.child = Some(child);
        self.banner = self.reply("start", self.options.start_timeout.0)?;
        if self.options.auto_discover {
            let scan = self.once("D")?;
            self.scan = Some(scan);
        }
        Ok(())
    }

    /// What is on the bus: the scan of the start, or one made now.
    pub(super) fn scan(&mut self) -> Result<Scan, BusError> {
        self.ready()?;
        let lines = match self.scan.clone() {
            Some(lines) => lines,
            None => self.exchange("D")?,
        };
        let scan = Scan::of(&lines);
        self.scan = Some(lines);
        match (scan.units.is_empty(), scan.odd.first()) {
            (true, Some((line, why))) => {
                let cause = format!("{:?} is no line of a scan: {why}", quoted(line));
                Err(BusError::Breach { endpoint: self.endpoint.clone(), doing: "D".into(), cause })
            }
            _ => Ok(scan),
        }
    }

    /// Says a command and takes the lines of its reply, once more where the child is gone.
    pub(super) fn exchange(&mut self, command: &str) -> Result<Vec<String>, BusError> {
        self.ready()?;
        match self.once(command) {
            Err(NoReply::Gone(error)) => self.last = Some(error),
            other => return other.map_err(NoReply::error),
        }
        self.ready()?;
        self.once(command).map_err(NoReply::error)
    }

    fn once(&mut self, command: &str) -> Result<Vec<String>, NoReply> {
        self.in_time(command).map_err(NoReply::Failed)?;
        self.heard_all(command)?;
        let line = format!("{command}\n");
        self.context.trace.sent(line.as_bytes());
        if let Some(child) = &self.child {
            child.say(line);
        }
        self.reply(command, self.options.reply_timeout.0)
    }

    /// A child that speaks unasked would have its answers taken for those to the next questions, so it is ended.
    fn heard_all(&mut self, doing: &str) -> Result<(), NoReply> {
        while let Some(child) = &self.child {
            self.in_time(doing).map_err(NoReply::Failed)?;
            let line = match child.line(Instant::now() + SETTLE) {
                Ok(line) => line.into_bytes(),
                Err(NoLine::NoText(line)) => line,
                Err(_) => return Ok(()),
            };
            self.context.trace.came(&line);
            let line = String::from_utf8_lossy(&line);
            let line = line.trim();
            if !line.is_empty() {
                let cause = format!("it said {:?} unasked, after its prompt", quoted(line));
                self.end();
                return Err(NoReply::Failed(self.breach(doing, cause)));
            }
        }
        Ok(())
    }

    /// The lines up to the prompt, without blank ones. Where it does not come the child is ended: what it says later
    /// would be taken for the answer to something else.
    fn reply(&mut self, doing: &str, timeout: Duration) -> Result<Vec<String>, NoReply> {
        let reply = self.read(doing, timeout);
        if reply.is_err() {
            self.end();
        }
        reply
    }

    fn read(&mut self, doing: &str, timeout: Duration) -> Result<Vec<String>, NoReply> {
        let deadline = (Instant::now() + timeout).min(self.context.deadline);
        let (mut lines, mut bytes) = (Vec::new(), 0);
        loop {
            let line = match self.line(deadline) {
                Ok(line) => {
                    self.context.trace.came(line.as_bytes());
                    line
                }
                Err(NoLine::Silence) => return Err(NoReply::Failed(self.silent(doing, timeout))),
                Err(no @ (NoLine::End | NoLine::Cut)) => {
                    self.context.trace.came(b"");
                    let cause = match (no, doing) {
                        (NoLine::Cut, _) => "it ended amid a line",
                        (_, "start") => "it ended before its first prompt",
                        _ => "it ended before its reply did",
                    };
                    let cause = self.with_stderr(cause.to_owned());
                    return Err(NoReply::Gone(self.unreachable(doing, cause, None)));
                }
                Err(NoLine::Bad(why)) => return Err(NoReply::Failed(self.breach(doing, why))),
                // What was no text is a replacement character here, by which `reply` knows the line.
                Err(NoLine::NoText(line)) => {
                    self.context.trace.came(&line);
                    String::from_utf8_lossy(&line).into_owned()
                }
            };
            bytes += line.len();
            let line = line.trim_end_matches(['\n', '\r']);
            if line == PROMPT {
                return Ok(lines);
            }
            if lines.len() == REPLY_LINES_MAX || bytes > REPLY_BYTES_MAX {
                return Err(NoReply::Failed(self.breach(doing, "the reply does not end".into())));
            }
            if !line.trim().is_empty() {
                lines.push(line.to_owned());
            }
        }
    }

    fn line(&self, deadline: Instant) -> Result<String, NoLine> {
        self.child.as_ref().map_or(Err(NoLine::End), |child| child.line_while_running(deadline))
    }

    fn silent(&self, doing: &str, timeout: Duration) -> BusError {
        if Instant::now() >= self.context.deadline {
            return BusError::Deadline { endpoint: self.endpoint.clone(), doing: doing.to_owned() };
        }
        let mut cause = format!("no {PROMPT} within {}", ew_core::Span(timeout));
        let unfinished = self.child.as_ref().map(Child::unfinished).unwrap_or_default();
        if !unfinished.is_empty() {
            cause += &format!("; it stopped at {:?} without a line end", quoted(&unfinished));
        }
        let hint = match doing {
            "start" => {
                "a child prints ready> on a line of its own; raise start_timeout of this bus for a slow one"
            }
            _ => "a scan of a large bus takes longer: raise reply_timeout of this bus",
        };
        self.unreachable(doing, self.with_stderr(cause), Some(hint))
    }

    /// The cause with the last line that the child wrote on stderr.
    fn with_stderr(&self, cause: String) -> String {
        let stderr = self.child.as_ref().map(Child::stderr).unwrap_or_default();
        match stderr.lines().rfind(|line| !line.trim().is_empty()) {
            Some(line) => format!("{cause}; it said on stderr: {}", quoted(line.trim())),
            None => cause,
        }
    }

    fn in_time(&self, doing: &str) -> Result<(), BusError> {
        match Instant::now() < self.context.deadline {
            true => Ok(()),
            false => Err(BusError::Deadline { endpoint: self.endpoint.clone(), doing: doing.to_owned() }),
        }
    }

    pub(super) fn breach(&self, doing: &str, cause: String) -> BusError {
        BusError::Breach { endpoint: self.endpoint.clone(), doing: doing.to_owned(), cause }
    }

    fn unreachable(&self, doing: &str, cause: String, hint: Option<&str>) -> BusError {
        let hint = hint.map(str::to_owned);
        BusError::Unreachable { endpoint: self.endpoint.clone(), doing: doing.to_owned(), cause, hint }
    }

    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.end_by(LEAVE, self.context.deadline);
        }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// As much of a text as belongs into a message.
pub(super) fn quoted(text: &str) -> String {
    match text.char_indices().nth(QUOTED_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

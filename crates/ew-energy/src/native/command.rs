//! The adapter `command`: a child that speaks JSON lines, as docs/native.md has it.

use super::{Collected, CommandOptions, Native, Question, Row, believable};
use crate::EnergyError;
use ew_core::{Exit, Secret, Span};
use ew_net::{Child, ChildLimits, NoLine};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

/// Of an adapter: an answer names every entity of a domain in one line.
const LIMITS: ChildLimits = ChildLimits { line_bytes_max: 4 * 1024 * 1024, grace: Duration::from_secs(1) };

/// The most rows that an answer may have.
const ROWS_MAX: usize = 100_000;
/// So much of an answer that makes no sense is shown, characters.
const SHOWN_CHARS_MAX: usize = 80;

/// Which switch the child is to ask, and how long it may take.
pub(super) struct At<'a> {
    pub(super) peer: &'a str,
    pub(super) address: &'a str,
    pub(super) port: u32,
    pub(super) shared_secret: Option<&'a Secret>,
    pub(super) timeout: Duration,
}

/// A child, started for one attempt.
pub(super) struct ByCommand<'a> {
    at: At<'a>,
    child: Child,
    deadline: Instant,
    asked: u64,
}

#[derive(Serialize)]
struct Request<'a> {
    id: u64,
    op: &'a str,
    domain: &'a str,
    importance: u32,
    address: &'a str,
    port: u32,
    shared_secret: Option<&'a str>,
    /// Seconds.
    timeout: f64,
}

#[derive(Deserialize)]
struct Reply {
    id: u64,
    ok: bool,
    rows: Option<Vec<serde_json::Value>>,
    watts: Option<f64>,
    error: Option<String>,
    kind: Option<String>,
}

#[derive(Deserialize)]
struct ReplyRow {
    id: Option<String>,
    #[serde(default)]
    name: String,
    #[serde(default)]
    host: String,
    watts: f64,
    level: Option<u32>,
    importance: Option<u32>,
}

impl<'a> ByCommand<'a> {
    pub(super) fn open(options: &CommandOptions, at: At<'a>) -> Result<ByCommand<'a>, EnergyError> {
        let deadline = Instant::now() + at.timeout;
        match Child::start(&options.command, &options.folder, LIMITS) {
            Ok(child) => Ok(ByCommand { at, child, deadline, asked: 0 }),
            Err(e) => Err(EnergyError::Adapter {
                peer: at.peer.to_owned(),
                by: "command",
                cause: format!("cannot start {}: {}", options.command[0], ew_net::plain(&e)),
                hint:
                    "check command in [native.command]; its program is looked for in $PATH, or beside ew.toml"
                        .into(),
                exit: Exit::Unavailable,
            }),
        }
    }

    fn ask(&mut self, op: &str, question: &Question<'_>) -> Result<Option<Reply>, EnergyError> {
        self.asked += 1;
        let request = Request {
            id: self.asked,
            op,
            domain: question.domain,
            importance: question.importance,
            address: self.at.address,
            port: self.at.port,
            shared_secret: self.at.shared_secret.map(Secret::expose),
            timeout: self.deadline.saturating_duration_since(Instant::now()).as_secs_f64(),
        };
        let line = serde_json::to_string(&request).map_err(|e| self.broken(op, &e.to_string()))?;
        self.child.say(line + "\n");
        let line = match self.child.line(self.deadline) {
            Ok(line) => line,
            Err(NoLine::Silence) => return Err(self.silent(op)),
            Err(NoLine::End) => {
                let how = self.child.ended().map_or_else(String::new, |status| format!(", {status}"));
                return Err(self.broken(op, &format!("it ended without an answer{how}")));
            }
            Err(no) => return Err(self.broken(op, no.fault().unwrap_or_default())),
        };
        let shown = || self.hidden(line.trim_end()).chars().take(SHOWN_CHARS_MAX).collect::<String>();
        let reply: Reply = serde_json::from_str(&line)
            .map_err(|_| self.broken(op, &format!("its answer is no reply: {:?}", shown())))?;
        if reply.id != self.asked {
            return Err(self.broken(op, &format!("its answer is to {}, not to {}", reply.id, self.asked)));
        }
        match (reply.ok, reply.kind.as_deref()) {
            (true, _) => Ok(Some(reply)),
            (false, Some("unsupported")) => Ok(None),
            (false, kind) => {
                let said = self.hidden(reply.error.as_deref().unwrap_or("no reason given"));
                let said: String = said.chars().filter(|c| !c.is_control()).collect();
                Err(EnergyError::Adapter {
                    peer: self.at.peer.to_owned(),
                    by: "command",
                    cause: format!("{op}: {said}"),
                    hint: "this is what the adapter's child says; its stderr is shown with -v".into(),
                    exit: match kind {
                        Some("refused") => Exit::Refused,
                        Some("unreachable") => Exit::Unavailable,
                        _ => Exit::Protocol,
                    },
                })
            }
        }
    }

    /// The child's words as they may be shown: it knows the secret, and may repeat it.
    fn hidden(&self, text: &str) -> String {
        self.at.shared_secret.map_or_else(|| text.to_owned(), |secret| secret.hide_in(text))
    }

    fn silent(&self, op: &str) -> EnergyError {
        EnergyError::Adapter {
            peer: self.at.peer.to_owned(),
            by: "command",
            cause: format!("{op}: no answer within {}", Span(self.at.timeout)),
            hint: "raise timeout in [native], or see with -v what the child says on its stderr".into(),
            exit: Exit::Unavailable,
        }
    }

    fn broken(&self, op: &str, why: &str) -> EnergyError {
        EnergyError::Adapter {
            peer: self.at.peer.to_owned(),
            by: "command",
            cause: format!("{op}: {why}"),
            hint: "the child has to speak as docs/native.md has it; its stderr is shown with -v".into(),
            exit: Exit::Protocol,
        }
    }
}

impl Native for ByCommand<'_> {
    fn sum(&mut self, question: &Question<'_>) -> Result<f64, EnergyError> {
        let reply = self.ask("sum", question)?;
        let watts = reply.and_then(|reply| reply.watts).ok_or("there are no watts in its answer".to_owned());
        watts.and_then(believable).map_err(|why| self.broken("sum", &why))
    }

    fn collect(&mut self, question: &Question<'_>) -> Result<Option<Collected>, EnergyError> {
        let Some(reply) = self.ask("collect", question)? else { return Ok(None) };
        let Some(rows) = reply.rows else {
            return Err(self.broken("collect", "there are no rows in its answer"));
        };
        if rows.len() > ROWS_MAX {
            return Err(self.broken("collect", &format!("{} rows are too many", rows.len())));
        }
        let mut found = Collected::default();
        for (value, number) in rows.into_iter().zip(1..) {
            match row(&value) {
                Ok(row) => found.rows.push(Row { name: self.hidden(&row.name), ..row }),
                Err(why) => {
                    let why = self.hidden(&why);
                    let host = value.get("host").and_then(|host| host.as_str()).map(str::to_owned);
                    found.left_out.push((host, format!("row {number} of the answer is left out: {why}")));
                }
            }
        }
        Ok(Some(found))
    }

    fn notes(&mut self) -> Vec<String> {
        // What it writes while it ends is worth seeing too.
        self.child.end();
        let text = self.hidden(&self.child.stderr());
        let lines = text.lines().filter(|line| !line.trim().is_empty());
        lines
            .map(|line| format!("the adapter's child: {}", line.replace(|c: char| c.is_control(), " ")))
            .collect()
    }
}

fn row(value: &serde_json::Value) -> Result<Row, String> {
    let ReplyRow { id, name, host, watts, level, importance } =
        ReplyRow::deserialize(value).map_err(|e| e.to_string())?;
    Ok(Row { id, name, host, watts: believable(watts)?, level, importance })
}

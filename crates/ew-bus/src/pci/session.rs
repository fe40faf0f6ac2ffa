//! A conversation with the interface: one command at a time, paced, confirmed, and answered.

use super::decode::{Decoder, Outcome, Token};
use super::dial::Dial;
use super::frame::Command;
use super::link::{Came, Link};
use super::message::Message;
use super::timing::{TRIES, Timing};
use crate::BusError;
use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// What to check when nothing comes back.
const SILENT_HINT: &str =
    "is the bus powered, is this the interface's address and speed, does no other program hold it?";
/// What to check when the connection goes.
pub(super) const SLOT_HINT: &str = "a CNI takes one client: another program may hold it, or it still keeps the place \
                                    of one that went away (about 40 s)";

/// Why a command came to nothing, after its tries. The session goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Miss {
    /// No sign of it at all.
    Unconfirmed,
    /// Sent, but never answered, or not wholly.
    Unanswered,
    /// `!`
    Rejected,
    /// The interface could not send it, or found it damaged.
    Failed(Outcome),
    /// The interface lost its settings.
    PowerUp,
}

impl Miss {
    /// What to do about it, where that is known.
    pub(super) fn hint(self) -> Option<&'static str> {
        match self {
            Miss::Failed(Outcome::NotAcknowledged) => {
                Some("nobody acknowledged: is the unit there and powered, is the address right?")
            }
            Miss::Failed(Outcome::NoClock) => {
                Some("no clock on the bus: one unit must generate it; check power supply and cabling")
            }
            Miss::Unconfirmed => Some(SILENT_HINT),
            _ => None,
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Miss::Unconfirmed => "the interface confirms nothing",
            Miss::Unanswered => "no whole answer",
            Miss::Rejected | Miss::Failed(Outcome::BadChecksum) => "the interface does not accept it (!)",
            Miss::Failed(Outcome::NotAcknowledged) => "nobody on the bus acknowledges (#)",
            Miss::Failed(Outcome::Corrupted) => "it was corrupted on the bus ($)",
            Miss::Failed(Outcome::NoClock) => "the bus has no clock (%)",
            Miss::Failed(Outcome::TooLong) => "the interface finds it too long (')",
            Miss::Failed(Outcome::Sent) => "sent",
            Miss::PowerUp => "the interface was powered up anew",
        })
    }
}

/// How far an answer has come.
#[derive(Debug)]
pub(super) enum Heard<T> {
    /// That was not of it.
    Nothing,
    /// A part of it; the rest may take its time again.
    Part,
    /// All of it.
    Whole(T),
}

/// What waits for an answer.
pub(super) trait Listener {
    /// The answer.
    type Answer;

    /// Forgets what came to an earlier try.
    fn restart(&mut self) {}

    /// The command was sent onto the bus.
    fn confirmed(&mut self) -> Heard<Self::Answer> {
        Heard::Nothing
    }

    /// A line came.
    fn message(&mut self, message: Message) -> Heard<Self::Answer>;
}

/// Which of the things that a session has to do failed: one command, or all of it.
pub(super) type Asked<T> = Result<Result<T, Miss>, BusError>;

/// See the module.
pub(super) struct Session {
    pub(super) endpoint: String,
    pub(super) timing: Timing,
    /// Whether the interface expects checksums.
    pub(super) has_checksums: bool,
    deadline: Instant,
    link: Link,
    dial: Dial,
    decoder: Decoder,
    /// What came and was not looked at.
    pending: VecDeque<Token>,
    letter: u8,
    /// Whether anything at all has come so far.
    pub(super) was_heard: bool,
    /// Whether the link still is.
    pub(super) is_lost: bool,
    /// Whether the interface said that it lost its settings.
    pub(super) was_powered_up: bool,
    last_write: Option<Instant>,
    /// When the status of an application was asked last.
    asked: HashMap<u8, Instant>,
}

impl Session {
    pub(super) fn new(
        link: Link,
        dial: Dial,
        endpoint: String,
        timing: Timing,
        deadline: Instant,
    ) -> Session {
        Session {
            endpoint,
            timing,
            has_checksums: false,
            deadline,
            link,
            dial,
            decoder: Decoder::default(),
            pending: VecDeque::new(),
            letter: b'z',
            was_heard: false,
            is_lost: false,
            was_powered_up: false,
            last_write: None,
            asked: HashMap::new(),
        }
    }

    /// Connects once more where the far side has closed before it said anything; false where that is not so, or was
    /// tried often enough.
    pub(super) fn reconnect(&mut self) -> Result<bool, BusError> {
        if !self.is_lost || self.was_heard || !self.dial.waits() {
            return Ok(false);
        }
        self.link = self.dial.link()?;
        self.is_lost = false;
        Ok(true)
    }

    /// A deadline of its own for what must be done when the run's has passed.
    pub(super) fn extend(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Sends a command with a letter until it is answered, at most `tries` times.
    pub(super) fn ask<L: Listener>(
        &mut self,
        command: &Command,
        doing: &str,
        tries: u32,
        listener: &mut L,
    ) -> Asked<L::Answer> {
        let mut miss = Miss::Unconfirmed;
        for n in 0..tries.clamp(1, TRIES) {
            if n > 0 {
                self.pause(self.timing.gap, doing)?;
            }
            listener.restart();
            let letter = self.next_letter();
            match self.once(command, Some(letter), doing, listener)? {
                Ok(answer) => return Ok(Ok(answer)),
                Err(why) => miss = why,
            }
            if matches!(miss, Miss::Failed(Outcome::TooLong) | Miss::PowerUp) {
                break;
            }
        }
        Ok(Err(miss))
    }

    /// Sends a command, with a letter where the mode of the interface may change, and waits for its answer.
    pub(super) fn once<L: Listener>(
        &mut self,
        command: &Command,
        letter: Option<u8>,
        doing: &str,
        listener: &mut L,
    ) -> Asked<L::Answer> {
        self.keep_distance(command, doing)?;
        let line = command.line(self.has_checksums, letter);
        self.send(&line, doing)?;
        if let Some(application) = command.status_of {
            self.asked.insert(application, Instant::now());
        }
        let mut until = Instant::now() + self.timing.confirmation;
        let mut miss = Miss::Unconfirmed;
        loop {
            let heard = match self.next(until, doing)? {
                None => return Ok(Err(miss)),
                Some(Token::Confirmed(of, outcome)) if Some(of) == letter => {
                    if outcome != Outcome::Sent {
                        return Ok(Err(Miss::Failed(outcome)));
                    }
                    miss = Miss::Unanswered;
                    until = Instant::now() + self.timing.reply;
                    listener.confirmed()
                }
                Some(Token::Rejected) => return Ok(Err(Miss::Rejected)),
                Some(Token::PowerUp) => {
                    self.was_powered_up = true;
                    return Ok(Err(Miss::PowerUp));
                }
                Some(Token::Line(line)) => listener.message(Message::read(&line)),
                Some(_) => Heard::Nothing,
            };
            match heard {
                Heard::Nothing => {}
                Heard::Part => {
                    miss = Miss::Unanswered;
                    until = Instant::now() + self.timing.reply;
                }
                Heard::Whole(answer) => return Ok(Ok(answer)),
            }
        }
    }

    /// Sends raw characters and waits for a sign, which may stay out.
    pub(super) fn sign(&mut self, bytes: &[u8], sign: &Token, doing: &str) -> Result<bool, BusError> {
        self.pause_since_write(doing)?;
        self.send(bytes, doing)?;
        let until = Instant::now() + self.timing.confirmation;
        while let Some(token) = self.next(until, doing)? {
            if token == *sign {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Drops what came so far: it belongs to nothing that will be asked.
    fn drop_pending(&mut self) {
        for token in self.pending.drain(..) {
            self.was_powered_up |= token == Token::PowerUp;
        }
    }

    fn next_letter(&mut self) -> u8 {
        self.letter = if self.letter >= b'z' { b'g' } else { self.letter + 1 };
        self.letter
    }

    fn send(&mut self, line: &[u8], doing: &str) -> Result<(), BusError> {
        self.drop_pending();
        let until = self.deadline.min(Instant::now() + self.timing.confirmation);
        let sent = self.link.send(line, until);
        self.last_write = Some(Instant::now());
        sent.map_err(|e| self.lost(doing, &e))
    }

    /// The next token, none when the time is over.
    fn next(&mut self, until: Instant, doing: &str) -> Result<Option<Token>, BusError> {
        loop {
            if let Some(token) = self.pending.pop_front() {
                return Ok(Some(token));
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Err(BusError::Deadline { endpoint: self.endpoint.clone(), doing: doing.into() });
            }
            if now >= until {
                return Ok(None);
            }
            match self.link.receive(until.min(self.deadline)) {
                Ok(Came::Bytes(bytes)) => {
                    self.was_heard = true;
                    self.pending.extend(self.decoder.feed(&bytes));
                }
                Ok(Came::Nothing) => {}
                Ok(Came::End) => return Err(self.lost(doing, &io::ErrorKind::UnexpectedEof.into())),
                Err(e) => return Err(self.lost(doing, &e)),
            }
        }
    }

    /// Waits out the distance to the last write and to the last status request of the same application.
    fn keep_distance(&mut self, command: &Command, doing: &str) -> Result<(), BusError> {
        if let Some(last) = command.status_of.and_then(|application| self.asked.get(&application)) {
            self.pause((*last + self.timing.spacing).saturating_duration_since(Instant::now()), doing)?;
        }
        self.pause_since_write(doing)
    }

    fn pause_since_write(&self, doing: &str) -> Result<(), BusError> {
        let due = self.last_write.map(|last| last + self.timing.pace);
        self.pause(due.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now())), doing)
    }

    /// Nothing that would end after the deadline is begun.
    fn pause(&self, pause: Duration, doing: &str) -> Result<(), BusError> {
        if Instant::now() + pause >= self.deadline {
            return Err(BusError::Deadline { endpoint: self.endpoint.clone(), doing: doing.into() });
        }
        thread::sleep(pause);
        Ok(())
    }

    /// The link is no more.
    fn lost(&mut self, doing: &str, error: &io::Error) -> BusError {
        self.is_lost = true;
        BusError::Unreachable {
            endpoint: self.endpoint.clone(),
            doing: doing.into(),
            cause: match error.kind() {
                io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
                    "the connection was closed".into()
                }
                _ => ew_net::plain(error),
            },
            hint: Some(SLOT_HINT.into()),
        }
    }

    /// Nothing comes back from the interface.
    pub(super) fn silent(&self, doing: &str) -> BusError {
        BusError::Unreachable {
            endpoint: self.endpoint.clone(),
            doing: doing.into(),
            cause: "no answer".into(),
            hint: Some(SILENT_HINT.into()),
        }
    }

    /// A command without which nothing can be said came to nothing.
    pub(super) fn missed(&self, doing: &str, miss: Miss) -> BusError {
        BusError::Unreachable {
            endpoint: self.endpoint.clone(),
            doing: doing.into(),
            cause: miss.to_string(),
            hint: miss.hint().map(Into::into),
        }
    }
}

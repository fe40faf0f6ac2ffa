//! The interface itself: brought into a known mode, watched for a loss of it, and put back at the end.

use super::decode::Token;
use super::frame::{Command, hex};
use super::message::Message;
use super::session::{Asked, Heard, Listener, Miss, Session};
use super::timing::TRIES;
use crate::BusError;
use std::time::{Duration, Instant};

/// Interface options 1, which is volatile (SIUG 10.3.2).
const OPTIONS_1: u8 = 0x30;
/// SRCHK, SMART and IDMON; neither CONNECT nor MONITOR, so that it says nothing but its own replies.
const OPTIONS_1_WANTED: u8 = 0x58;
/// Interface options 3, which outlives a loss of power (SIUG 10.2, table).
const OPTIONS_3: u8 = 0x42;
/// LOCAL_SAL and EXSTAT.
const OPTIONS_3_WANTED: u8 = 0x0A;

const RESET: &[u8] = b"~~~\r";
/// For putting it back, whatever deadline the run has.
const FAREWELL: Duration = Duration::from_secs(1);

/// The bits of options 1, from the lowest (SIUG 10.3.2).
const OPTIONS_1_NAMES: [&str; 8] =
    ["CONNECT", "bit 1", "XONXOFF", "SRCHK", "SMART", "MONITOR", "IDMON", "bit 7"];

/// A reply to an identify or a recall.
struct ReplyOf {
    /// A unit of the bus; none is the interface itself.
    unit: Option<u8>,
    parameter: u8,
}

/// A reply: the interface's address, where the form has it, and the data.
type Reply = (Option<u8>, Vec<u8>);

impl Listener for ReplyOf {
    type Answer = Reply;

    fn message(&mut self, message: Message) -> Heard<Reply> {
        match message {
            Message::Reply { unit, interface, parameter, data } if parameter == self.parameter => {
                // Its own replies are short, or in long form those of a unit with the interface's address.
                let is_of = match self.unit {
                    Some(asked) => unit == Some(asked),
                    None => unit == interface,
                };
                if is_of { Heard::Whole((interface, data)) } else { Heard::Nothing }
            }
            _ => Heard::Nothing,
        }
    }
}

/// The acknowledgement of a write: by letter, or by a line in either form.
struct Written(u8);

impl Listener for Written {
    type Answer = ();

    fn confirmed(&mut self) -> Heard<()> {
        Heard::Whole(())
    }

    fn message(&mut self, message: Message) -> Heard<()> {
        match message {
            Message::Written { parameter } if parameter == self.0 => Heard::Whole(()),
            _ => Heard::Nothing,
        }
    }
}

/// A command that went onto the bus; nothing answers it.
struct Sent;

impl Listener for Sent {
    type Answer = ();

    fn confirmed(&mut self) -> Heard<()> {
        Heard::Whole(())
    }

    fn message(&mut self, _: Message) -> Heard<()> {
        Heard::Nothing
    }
}

/// See the module.
pub(super) struct Interface {
    session: Session,
    /// Options 1 before our reset, as far as it told.
    found: Option<u8>,
    was_touched: bool,
    is_ready: bool,
    /// Its own address on the bus, once it told.
    address: Option<u8>,
    /// What a person should know of it.
    remarks: Vec<String>,
}

impl Interface {
    pub(super) fn new(session: Session) -> Interface {
        Interface {
            session,
            found: None,
            was_touched: false,
            is_ready: false,
            address: None,
            remarks: Vec::new(),
        }
    }

    /// Its own unit address, where it told.
    pub(super) fn address(&self) -> Option<u8> {
        self.address
    }

    /// What a person should know of it; told once.
    pub(super) fn take_remarks(&mut self) -> Vec<String> {
        std::mem::take(&mut self.remarks)
    }

    /// The far side's name in messages.
    pub(super) fn endpoint(&self) -> &str {
        &self.session.endpoint
    }

    /// A miss that leaves nothing to say.
    pub(super) fn missed(&self, doing: &str, miss: Miss) -> BusError {
        self.session.missed(doing, miss)
    }

    /// Asks in the mode that this backend needs; that is set up first, and again where the interface lost it.
    pub(super) fn ask<L: Listener>(
        &mut self,
        command: &Command,
        doing: &str,
        tries: u32,
        listener: &mut L,
    ) -> Asked<L::Answer> {
        self.prepare()?;
        match self.session.ask(command, doing, tries, listener)? {
            Err(Miss::PowerUp) => {
                self.prepare()?;
                self.session.ask(command, doing, tries, listener)
            }
            answered => Ok(answered),
        }
    }

    /// An attribute or parameters: the data of the reply.
    pub(super) fn read(
        &mut self,
        unit: Option<u8>,
        command: &Command,
        parameter: u8,
        doing: &str,
        tries: u32,
    ) -> Asked<Vec<u8>> {
        let reply = self.ask(command, doing, tries, &mut ReplyOf { unit, parameter })?;
        Ok(reply.map(|(interface, data)| {
            self.address = interface.or(self.address);
            data
        }))
    }

    /// Sends a command that nothing answers.
    pub(super) fn command(&mut self, command: &Command, doing: &str) -> Asked<()> {
        self.ask(command, doing, TRIES, &mut Sent)
    }

    /// What the interface says of itself, in whatever mode it is: nothing is set.
    pub(super) fn probe(&mut self) -> Result<Vec<String>, BusError> {
        let (mut lines, mut is_told) = (Vec::new(), false);
        let questions = [
            ("type", Command::identify(None, 1), 1),
            ("firmware", Command::identify(None, 2), 2),
            ("options", Command::recall(None, OPTIONS_1, 1), OPTIONS_1),
        ];
        for (what, command, parameter) in questions {
            let doing = format!("ask for its {what}");
            let answer = self.as_it_is(&command, parameter, &doing)?;
            if !self.session.was_heard {
                return Err(self.session.silent(&doing));
            }
            is_told |= answer.is_some();
            lines.push(match answer {
                Some(data) if parameter == OPTIONS_1 => format!("options {}", options_text(&data)),
                Some(data) => format!("{what} {}", text(&data).unwrap_or_else(|| hex(&data))),
                None => format!("{what} not told"),
            });
        }
        match is_told {
            true => Ok(lines),
            // Something speaks there; nothing that it said shows that it is an interface.
            false => Err(BusError::Breach {
                endpoint: self.session.endpoint.clone(),
                doing: "ask what it is".into(),
                cause: "it says nothing that an interface would".into(),
            }),
        }
    }

    /// Asks the interface in a mode that is not known: without a checksum, and with one once it has said that it
    /// expects one. Where none is expected it would be taken for a command.
    fn as_it_is(
        &mut self,
        command: &Command,
        parameter: u8,
        doing: &str,
    ) -> Result<Option<Vec<u8>>, BusError> {
        let mut listener = ReplyOf { unit: None, parameter };
        let mut tries = 0..TRIES;
        while tries.next().is_some() {
            match self.session.once(command, None, doing, &mut listener) {
                Ok(Ok((_, data))) => return Ok(Some(data)),
                Ok(Err(Miss::Rejected)) if !self.session.has_checksums => self.session.has_checksums = true,
                // A half command of an earlier client may have spoilt the first; a power-up the reply.
                Ok(Err(_)) if self.session.was_heard => {}
                Ok(Err(_)) => break,
                // Nothing was said on the lost connection.
                Err(e) => {
                    if !self.session.reconnect()? {
                        return Err(e);
                    }
                    tries = 0..TRIES;
                }
            }
        }
        Ok(None)
    }

    /// Reset, options 3, options 1, each confirmed, the last by asking again. Parameter $41 is never written: it would
    /// be there for whoever comes after us.
    fn prepare(&mut self) -> Result<(), BusError> {
        if self.is_ready && !self.session.was_powered_up {
            return Ok(());
        }
        let doing = "set up the interface";
        if !self.was_touched {
            self.found = self
                .as_it_is(&Command::recall(None, OPTIONS_1, 1), OPTIONS_1, doing)?
                .and_then(|data| data.first().copied());
        }
        for _ in 0..TRIES {
            self.is_ready = false;
            self.was_touched = true;
            self.session.was_powered_up = false;
            self.session.has_checksums = false;
            // The echo may be lost, as long as there is any sign of life.
            self.session.sign(RESET, &Token::Reset, doing)?;
            if !self.session.was_heard {
                return Err(self.session.silent(doing));
            }
            if self.set_options_3()? && self.set_options_1()? {
                self.is_ready = true;
                return Ok(());
            }
        }
        Err(BusError::Breach {
            endpoint: self.session.endpoint.clone(),
            doing: doing.into(),
            cause: format!("interface options 1 ($30) do not become {OPTIONS_1_WANTED:02X}"),
        })
    }

    /// They are kept without power and wear with each write, so they are written only where bits are missing, and
    /// stay: the vendor recommends both for every client.
    fn set_options_3(&mut self) -> Result<bool, BusError> {
        let doing = "read interface options 3";
        let recall = Command::recall(None, OPTIONS_3, 1);
        let now = self.session.ask(&recall, doing, 2, &mut ReplyOf { unit: None, parameter: OPTIONS_3 })?;
        let now = match now {
            Ok((_, data)) => data.first().copied(),
            Err(Miss::PowerUp) => return Ok(false),
            Err(_) => None,
        };
        let wanted = now.unwrap_or_default() | OPTIONS_3_WANTED;
        if now == Some(wanted) {
            return Ok(true);
        }
        let is_written = self.write(OPTIONS_3, wanted, "set interface options 3")?;
        if let (true, Some(now)) = (is_written, now) {
            self.remarks.push(format!(
                "interface options 3 ($42) were {now:02X} and are now {wanted:02X} (LOCAL_SAL, EXSTAT); the interface keeps that"
            ));
        }
        Ok(is_written)
    }

    fn set_options_1(&mut self) -> Result<bool, BusError> {
        if !self.write(OPTIONS_1, OPTIONS_1_WANTED, "set interface options 1")? {
            return Ok(false);
        }
        self.session.has_checksums = true;
        let recall = Command::recall(None, OPTIONS_1, 1);
        let doing = "verify interface options 1";
        match self.session.ask(&recall, doing, TRIES, &mut ReplyOf { unit: None, parameter: OPTIONS_1 })? {
            Ok((interface, data)) => {
                self.address = interface.or(self.address);
                Ok(data.first() == Some(&OPTIONS_1_WANTED))
            }
            Err(Miss::Unconfirmed | Miss::Unanswered) => {
                self.remarks
                    .push("the interface does not tell its options, which could not be verified".into());
                Ok(true)
            }
            Err(_) => Ok(false),
        }
    }

    /// Sets a parameter; false where the interface must be reset before the next try.
    fn write(&mut self, parameter: u8, value: u8, doing: &str) -> Result<bool, BusError> {
        let command = Command::write(parameter, value);
        let mut last = Miss::Unconfirmed;
        for command in [&command, &command.without_at()] {
            match self.session.ask(command, doing, 1, &mut Written(parameter))? {
                Ok(()) => return Ok(true),
                Err(Miss::Rejected | Miss::PowerUp) => return Ok(false),
                Err(miss) => last = miss,
            }
        }
        Err(self.session.missed(doing, last))
    }

    /// Options 1 as they were found, or without any where they were not told, as after our reset.
    fn put_back(&mut self) -> Result<(), BusError> {
        self.session.extend(Instant::now() + FAREWELL);
        let doing = "put the interface back";
        match self.found {
            Some(OPTIONS_1_WANTED) if self.is_ready => Ok(()),
            Some(found) if self.is_ready => {
                let command = Command::write(OPTIONS_1, found);
                self.session.once(&command, None, doing, &mut Written(OPTIONS_1)).map(drop)
            }
            _ => self.session.sign(RESET, &Token::Reset, doing).map(drop),
        }
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        if self.was_touched && self.session.was_heard && !self.session.is_lost {
            // Whoever comes next sets it up in any case.
            let _ = self.put_back();
        }
    }
}

/// Text of an attribute, without the blanks that fill it; none where nothing is left.
pub(super) fn text(data: &[u8]) -> Option<String> {
    let text: String =
        data.iter().map(|byte| if (0x20..0x7F).contains(byte) { char::from(*byte) } else { '?' }).collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn options_text(data: &[u8]) -> String {
    let value = data.first().copied().unwrap_or_default();
    let names =
        OPTIONS_1_NAMES.iter().enumerate().filter(|(bit, _)| value >> bit & 1 == 1).map(|(_, name)| *name);
    let names: Vec<_> = names.collect();
    let names = if names.is_empty() { "BASIC".to_owned() } else { names.join(" ") };
    format!("${value:02X} ({names})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_options_for_a_person() {
        assert_eq!(text(b"1.2.66  ").as_deref(), Some("1.2.66"));
        assert_eq!(text(b"PC\x00CNI\xff "), Some("PC?CNI?".into()));
        assert_eq!(text(b"        "), None);
        assert_eq!(options_text(&[0x58]), "$58 (SRCHK SMART IDMON)");
        assert_eq!(options_text(&[0]), "$00 (BASIC)");
    }

    #[test]
    fn a_reply_is_taken_only_from_whom_was_asked() {
        let reply = |unit, interface, parameter| Message::Reply { unit, interface, parameter, data: vec![1] };
        let mut of_unit = ReplyOf { unit: Some(5), parameter: 2 };
        assert!(matches!(of_unit.message(reply(Some(5), Some(16), 2)), Heard::Whole(_)));
        for other in [reply(Some(6), Some(16), 2), reply(Some(5), Some(16), 1), reply(None, None, 2)] {
            assert!(matches!(of_unit.message(other), Heard::Nothing));
        }
        let mut of_interface = ReplyOf { unit: None, parameter: 2 };
        assert!(matches!(of_interface.message(reply(None, None, 2)), Heard::Whole(_)));
        assert!(matches!(of_interface.message(reply(Some(16), Some(16), 2)), Heard::Whole(_)));
        assert!(matches!(of_interface.message(reply(Some(5), Some(16), 2)), Heard::Nothing));
    }
}

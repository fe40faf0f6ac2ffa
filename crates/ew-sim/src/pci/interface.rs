//! The interface: characters in, characters out (SIUG 4, 7, 10).

use super::fault::{Fault, Faults};
use super::network::{INTERFACE, Network, Unit};
use super::wire::{checksum, pairs_of_bits, parse, with_checksum};

/// SIUG 4.2.2.
const COMMAND_CHARACTERS_MAX: usize = 45;
const SRCHK: u8 = 1 << 3;
const SMART: u8 = 1 << 4;
const IDMON: u8 = 1 << 6;
const EXSTAT: u8 = 1 << 3;
/// A group and a unit that noise adds.
const GHOST: usize = 200;

/// Its state, which outlives connections.
pub(super) struct Interface {
    network: Network,
    faults: Faults,
    /// Parameter $30.
    options_1: u8,
    /// Parameter $41.
    power_up: u8,
    /// Parameter $42.
    options_3: u8,
    typed: String,
    is_fresh: bool,
}

impl Interface {
    pub(super) fn new(faults: Vec<Fault>) -> Interface {
        Interface {
            network: Network::new(),
            faults: Faults(faults),
            options_1: 0,
            power_up: 0,
            options_3: 0,
            typed: String::new(),
            is_fresh: true,
        }
    }

    /// What it says to whoever connects first: that it was powered up.
    pub(super) fn greeting(&mut self) -> String {
        if std::mem::take(&mut self.is_fresh) { self.power_up_sign() } else { String::new() }
    }

    /// Whether it closes a connection at once.
    pub(super) fn hangs_up(&mut self) -> bool {
        self.faults.is_due(|fault| if let Fault::HangUp(left) = fault { Some(left) } else { None })
    }

    fn power_up_sign(&self) -> String {
        let sign = if self.faults.has(&Fault::LostPlus) { "+\r\n" } else { "++\r\n" };
        if self.faults.has(&Fault::Mute) { String::new() } else { sign.to_owned() }
    }

    /// Takes characters and gives what it answers.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> String {
        let mut said = String::new();
        for byte in bytes {
            self.take(char::from(*byte), &mut said);
        }
        if self.faults.has(&Fault::Mute) { String::new() } else { said }
    }

    fn take(&mut self, c: char, said: &mut String) {
        if c == '~' {
            self.options_1 = 0;
            self.typed.clear();
        }
        if self.options_1 & SMART == 0 {
            said.push(c);
        }
        match c {
            '~' | '\n' => {}
            '?' => self.typed.clear(),
            '|' => self.options_1 |= SMART | 1,
            '\r' => {
                let typed = std::mem::take(&mut self.typed);
                if !typed.is_empty() {
                    self.execute(&typed, said);
                }
            }
            _ => self.typed.push(c),
        }
    }

    fn execute(&mut self, typed: &str, said: &mut String) {
        let letter = typed.chars().find(|c| ('g'..='z').contains(c));
        let typed: String = typed.chars().filter(|c| Some(*c) != letter).collect();
        if letter.is_some() {
            // A letter enters SMART mode.
            self.options_1 |= SMART;
        }
        if typed.len() > COMMAND_CHARACTERS_MAX {
            said.extend(letter.map(|letter| format!("{letter}'")));
            return;
        }
        let (is_for_bus, digits) = match typed.strip_prefix('\\') {
            Some(rest) => (true, rest),
            None => (false, typed.strip_prefix('@').unwrap_or(&typed)),
        };
        let Some(mut bytes) = parse(digits).filter(|bytes| !bytes.is_empty()) else {
            said.push('!');
            return;
        };
        if self.options_1 & SRCHK != 0 {
            if checksum(&bytes) != 0 {
                said.push('!');
                return;
            }
            bytes.pop();
        }
        if is_for_bus && self.is_hindered(letter, said) {
            return;
        }
        let (sign, lines) = if is_for_bus { self.send(&bytes) } else { ('.', self.direct(&bytes)) };
        let lines = self.spoil(lines);
        let is_lost = is_for_bus
            && self.faults.is_due(|f| if let Fault::Unconfirmed(left) = f { Some(left) } else { None });
        let confirmation = letter.filter(|_| !is_lost).map(|letter| format!("{letter}{sign}"));
        // A confirmation has no line end.
        if self.faults.has(&Fault::LateConfirmation) {
            said.push_str(&lines);
            said.extend(confirmation);
        } else {
            said.extend(confirmation);
            said.push_str(&lines);
        }
    }

    /// Whether a fault keeps a command from the bus.
    fn is_hindered(&mut self, letter: Option<char>, said: &mut String) -> bool {
        if self.faults.power_fails() {
            self.options_1 = self.power_up;
            said.push_str(&self.power_up_sign());
            return true;
        }
        if self.faults.is_due(|fault| if let Fault::Reject(left) = fault { Some(left) } else { None }) {
            said.push('!');
            return true;
        }
        if let Some(sign) = self.faults.outcome() {
            said.extend(letter.map(|letter| format!("{letter}{sign}")));
            return true;
        }
        false
    }

    /// Lines as they leave, with what noise does to them.
    fn spoil(&mut self, lines: Vec<String>) -> String {
        let mut text = String::new();
        if !lines.is_empty() && self.faults.has(&Fault::Null) {
            text.push_str("null\r\n");
        }
        let garbles = !lines.is_empty()
            && self.faults.is_due(|fault| if let Fault::Garble(left) = fault { Some(left) } else { None });
        for (n, mut line) in lines.into_iter().enumerate() {
            if garbles && n == 0 {
                let last = if line.ends_with('0') { '1' } else { '0' };
                line.pop();
                line.push(last);
            }
            text.push_str(&line);
            text.push_str("\r\n");
        }
        text
    }

    /// A command to the interface itself (SIUG 4.2.7, 10.2).
    fn direct(&mut self, bytes: &[u8]) -> Vec<String> {
        match bytes {
            [0xA3, parameter, 0x00, value, ..] => {
                match parameter {
                    0x30 if self.faults.has(&Fault::Stubborn) => {}
                    0x30 => self.options_1 = *value,
                    0x41 => self.power_up = *value,
                    0x42 => self.options_3 = *value,
                    _ => {}
                }
                vec![self.own(&[0x32, *parameter, 0x00])]
            }
            [0x1A, parameter, count, ..] => {
                let value = |at: u8| match at {
                    0x30 => Some(self.options_1),
                    0x41 => Some(self.power_up),
                    0x42 => Some(self.options_3),
                    _ => None,
                };
                let unit = Network::unit(INTERFACE);
                let data: Vec<u8> = match (value(*parameter), unit) {
                    (Some(value), _) => vec![value],
                    (None, Some(unit)) => unit.parameters(*parameter, *count),
                    (None, None) => Vec::new(),
                };
                vec![self.own(&reply(*parameter, &data))]
            }
            [0x21, attribute, ..] => {
                let data = Network::unit(INTERFACE).and_then(|unit| unit.attribute(*attribute));
                data.map(|data| self.own(&reply(*attribute, &data))).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// A reply of its own: short, or with IDMON like that of any unit.
    fn own(&self, cal: &[u8]) -> String {
        let is_long = self.options_1 & IDMON != 0 && !self.faults.has(&Fault::Old);
        if is_long { long(INTERFACE, cal) } else { with_checksum(cal) }
    }

    /// A command for the bus: how it is confirmed, and what comes back.
    fn send(&mut self, bytes: &[u8]) -> (char, Vec<String>) {
        match bytes {
            [0x05, 0xFF, 0x00, 0x7A | 0xFA, application, 0x00, ..] => ('.', self.binary(*application)),
            [0x05, 0xFF, 0x00, 0x73, 0x07, application, block, ..] => {
                ('.', self.levels(*application, *block))
            }
            [0x05, application, 0x00, command @ ..] => {
                self.network.command(*application, command);
                ('.', Vec::new())
            }
            [0x06 | 0x46, address, 0x00, cal @ ..] => match Network::unit(*address) {
                // It does not hear itself, and nobody is at other addresses.
                Some(unit) if *address != INTERFACE => ('.', self.ask(unit, cal)),
                _ => ('#', Vec::new()),
            },
            _ => ('.', Vec::new()),
        }
    }

    fn ask(&self, unit: &Unit, cal: &[u8]) -> Vec<String> {
        if self.faults.has(&Fault::SilentUnit(unit.address)) {
            return Vec::new();
        }
        let answer = match cal {
            [0x21, 0x01, ..] if self.faults.has(&Fault::Bridge(unit.address)) => {
                Some(reply(0x01, b"BRIDGE2N"))
            }
            [0x21, attribute, ..] => unit.attribute(*attribute).map(|data| reply(*attribute, &data)),
            [0x1A, parameter, count, ..] => Some(reply(*parameter, &unit.parameters(*parameter, *count))),
            _ => None,
        };
        let is_long = self.options_1 & SMART != 0;
        let line = |cal: Vec<u8>| if is_long { long(unit.address, &cal) } else { with_checksum(&cal) };
        answer.map(line).into_iter().collect()
    }

    /// Which groups are on or off, in three lines of 88, 88 and 80 groups.
    fn binary(&mut self, application: u8) -> Vec<String> {
        let mut codes = self.network.switches(application);
        if self.faults.is_due(|fault| if let Fault::Ghost(left) = fault { Some(left) } else { None })
            && let Some(cell) = codes.get_mut(GHOST)
        {
            *cell = 0b01;
        }
        let parts = |codes: &[u8], coding: u8| -> Vec<Vec<u8>> {
            let firsts = [(0x00, 0, 88), (0x58, 88, 176), (0xB0, 176, 256)];
            let part = |(first, from, to): (u8, usize, usize)| {
                let data = pairs_of_bits(codes.get(from..to).unwrap_or_default());
                [&[coding, application, first], data.as_slice()].concat()
            };
            firsts.into_iter().map(part).collect()
        };
        // What another client was told: every group on.
        let foreign = self.faults.has(&Fault::ForeignStatus).then(|| parts(&[0b01; 256], 0x40));
        self.status(foreign, parts(&codes, 0x00))
    }

    /// The levels of 32 groups, in three lines of 11, 11 and 10.
    fn levels(&self, application: u8, block: u8) -> Vec<String> {
        // Only lighting has levels (APP/00).
        if !(0x30..=0x5F).contains(&application) {
            return Vec::new();
        }
        let parts = |data: &[u8], coding: u8| -> Vec<Vec<u8>> {
            let firsts = [(0, 0, 22), (11, 22, 44), (22, 44, 64)];
            let part = |(first, from, to): (u8, usize, usize)| {
                let head = [coding, application, block.wrapping_add(first)];
                [&head, data.get(from..to).unwrap_or_default()].concat()
            };
            firsts.into_iter().map(part).collect()
        };
        let foreign = self.faults.has(&Fault::ForeignStatus).then(|| parts(&[0x55; 64], 0x47));
        self.status(foreign, parts(&self.network.levels(application, block), 0x07))
    }

    /// Lines of a status, each from its coding, application, first group and data (SIUG 7.4, table of forms).
    fn status(&self, foreign: Option<Vec<Vec<u8>>>, mut ours: Vec<Vec<u8>>) -> Vec<String> {
        if self.faults.has(&Fault::Disorder) {
            ours.reverse();
        }
        let is_extended = self.options_3 & EXSTAT != 0 && !self.faults.has(&Fault::Old);
        let line = |part: Vec<u8>| {
            // On and off without EXSTAT has no coding byte.
            let (base, body) = match part.split_first() {
                Some((0x00 | 0x40, rest)) if !is_extended => (0xC0, rest.to_vec()),
                _ => (0xE0, part),
            };
            let count = u8::try_from(body.len()).unwrap_or(0x1F).wrapping_add_signed(self.faults.header());
            let cal = [&[base + count], body.as_slice()].concat();
            if is_extended { long(INTERFACE, &cal) } else { with_checksum(&cal) }
        };
        foreign.into_iter().flatten().chain(ours).map(line).collect()
    }
}

/// A reply command (SIUG 7.1).
fn reply(parameter: u8, data: &[u8]) -> Vec<u8> {
    let count = u8::try_from(data.len() + 1).unwrap_or(0x1F);
    [&[0x80 + count, parameter], data].concat()
}

/// The long form: who says it, and through which interface.
fn long(unit: u8, cal: &[u8]) -> String {
    with_checksum(&[&[0x86, unit, INTERFACE, 0x00], cal].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn interface(faults: &[&str]) -> Interface {
        Interface::new(faults.iter().map(|text| text.parse().unwrap()).collect())
    }

    /// As IFR 8.5.4 sets it up, without CONNECT and MONITOR.
    fn smart(faults: &[&str]) -> Interface {
        let mut interface = interface(faults);
        interface.feed(b"~~~\r@A342000A\r@A3300058\r");
        interface
    }

    #[test]
    fn basic_mode_echoes_and_a_letter_ends_it() {
        let mut interface = interface(&[]);
        assert_eq!(interface.greeting(), "++\r\n");
        assert_eq!(interface.greeting(), "");
        assert_eq!(interface.feed(b"~~~\r"), "~~~\r");
        assert_eq!(interface.feed(b"@2102\r"), "@2102\r8902352E352E303020200F\r\n");
        // QS: the answers to a write with a letter.
        assert_eq!(interface.feed(b"A3210038g\r"), "A3210038g\rg.322100AD\r\n");
        assert_eq!(interface.feed(b"A3420002g\r"), "g.3242008C\r\n");
    }

    #[test]
    fn with_srchk_a_command_needs_its_checksum() {
        let mut interface = smart(&[]);
        assert_eq!(interface.feed(b"\\05FF007A38004B\r"), "!");
        assert_eq!(interface.feed(b"@2101\r"), "!");
        assert_eq!(
            interface.feed(b"@2101DE\r"),
            "86101000890150435F434E494544217B\r\n".replace("217B", &own_tail())
        );
    }

    /// The checksum of the line above.
    fn own_tail() -> String {
        let body = parse("86101000890150435F434E494544").unwrap();
        format!("{:02X}", checksum(&body))
    }

    #[test]
    fn units_answer_and_others_do_not_acknowledge() {
        let mut interface = smart(&[]);
        let said = interface.feed(b"\\0603002102D4g\r");
        assert_eq!(said, format!("g.{}\r\n", long(3, &parse("8902312E322E36362020").unwrap())));
        assert_eq!(interface.feed(b"\\0607002101D1h\r").get(..2), Some("h."));
        assert_eq!(interface.feed(b"\\0608002101D0i\r"), "i#");
    }

    #[test]
    fn statuses_have_the_vendors_forms() {
        let mut interface = interface(&[]);
        interface.feed(b"~|\r");
        let said = interface.feed(b"\\05FF007A3800\r");
        let heads: Vec<_> = said.lines().map(|line| &line[..6]).collect();
        assert_eq!(heads, ["D83800", "D83858", "D638B0"]);
        // SIUG 7.4: short form, extended format.
        let said = interface.feed(b"\\05FF0073073800\r");
        let heads: Vec<_> = said.lines().map(|line| &line[..8]).collect();
        assert_eq!(heads, ["F9073800", "F907380B", "F7073816"]);
        let mut interface = smart(&[]);
        let said = interface.feed(b"\\05FF007A38004A\r");
        let heads: Vec<_> = said.lines().map(|line| &line[8..16]).collect();
        assert_eq!(heads, ["F9003800", "F9003858", "F70038B0"]);
    }

    #[test]
    fn too_long_a_command_is_said_to_be() {
        let mut interface = smart(&[]);
        assert_eq!(interface.feed(&[b"\\".as_slice(), &[b'0'; 46], b"m\r"].concat()), "m'");
    }

    proptest! {
        /// Whatever it is told, in whatever mode, it has an answer or none, and each line of it has its checksum.
        #[test]
        fn nothing_upsets_it(commands in proptest::collection::vec("[~?|@\\\\g-j0-9A-F]{0,50}|(@A3[34][0-9]00[0-9A-F]{2})|\\\\05FF00(7A|7307)[0-9A-F]{0,6}", 0..20)) {
            let mut interface = interface(&["disorder", "foreign-status", "header=+1"]);
            for command in commands {
                interface.feed(command.as_bytes());
                interface.feed(b"\r");
            }
            // Set up anew it is as ever.
            interface.feed(b"~\r~@A342000A\r@A3300058\r");
            for line in interface.feed(b"\\05FF00730738004A\r").lines() {
                prop_assert_eq!(checksum(&parse(line).unwrap()), 0);
            }
        }
    }
}

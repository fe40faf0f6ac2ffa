//! Commands to the interface, and the checksum of both directions (SIUG 3.6, 4.2, 7.1).

/// The lighting applications, the only ones that answer level requests and that are ever written to (APP/00).
pub(super) const LIGHTING: std::ops::RangeInclusive<u8> = 0x30..=0x5F;
/// The application whose status is which units exist (SIUG 4.2.9).
pub(super) const INSTALLATION: u8 = 0xFF;
/// Groups of one level request.
pub(super) const BLOCK: u8 = 32;

const POINT_TO_MULTIPOINT: u8 = 0x05;
const POINT_TO_POINT: u8 = 0x06;
const WRITE: u8 = 0xA3;
const RECALL: u8 = 0x1A;
const IDENTIFY: u8 = 0x21;
const OFF: u8 = 0x01;
const RAMP_INSTANTLY: u8 = 0x02;
const ON: u8 = 0x79;

/// Two's complement of the sum, so that the sum with it is zero.
pub(super) fn checksum(bytes: &[u8]) -> u8 {
    bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_sub(*byte))
}

/// Whether bytes that end with their checksum came unharmed.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    bytes.len() >= 2 && checksum(bytes) == 0
}

/// Two upper-case digits a byte.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

/// The bytes of upper-case digits; none where there is anything else.
pub(super) fn unhex(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'A'..=b'F' => Some(c - b'A' + 10),
        _ => None,
    };
    let (pairs, rest) = text.as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect()
}

/// One command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Command {
    /// `@` to the interface itself, in whatever mode it is; a backslash onto the bus.
    prefix: &'static str,
    bytes: Vec<u8>,
    /// The application whose status is asked; requests of one application keep a distance.
    pub(super) status_of: Option<u8>,
}

impl Command {
    fn new(prefix: &'static str, bytes: Vec<u8>) -> Command {
        Command { prefix, bytes, status_of: None }
    }

    fn point_to_point(unit: Option<u8>, request: &[u8]) -> Command {
        match unit {
            Some(unit) => Command::new("\\", [&[POINT_TO_POINT, unit, 0], request].concat()),
            None => Command::new("@", request.to_vec()),
        }
    }

    /// Asks a unit, or the interface itself, for an attribute (SIUG 7.2).
    pub(super) fn identify(unit: Option<u8>, attribute: u8) -> Command {
        Command::point_to_point(unit, &[IDENTIFY, attribute])
    }

    /// Asks a unit, or the interface itself, for `count` parameters from one on.
    pub(super) fn recall(unit: Option<u8>, parameter: u8, count: u8) -> Command {
        Command::point_to_point(unit, &[RECALL, parameter, count])
    }

    /// Sets a parameter of the interface itself.
    pub(super) fn write(parameter: u8, value: u8) -> Command {
        Command::new("@", vec![WRITE, parameter, 0, value])
    }

    /// The same for firmware before 4.0.00, which knows no `@` and must have been reset just before (IFR 8.5.4).
    pub(super) fn without_at(&self) -> Command {
        Command { prefix: "", ..self.clone() }
    }

    /// Asks which groups of an application are on or off, or with [`INSTALLATION`] which units there are.
    pub(super) fn status(application: u8) -> Command {
        let bytes = vec![POINT_TO_MULTIPOINT, 0xFF, 0x00, 0x7A, application, 0x00];
        Command { status_of: Some(application), ..Command::new("\\", bytes) }
    }

    /// Asks for the levels of 32 groups from `block` on.
    pub(super) fn levels(application: u8, block: u8) -> Command {
        let bytes = vec![POINT_TO_MULTIPOINT, 0xFF, 0x00, 0x73, 0x07, application, block];
        Command { status_of: Some(application), ..Command::new("\\", bytes) }
    }

    /// Sets a lighting group (APP/02 2.6): OFF, ON, or a ramp in no time.
    pub(super) fn light(application: u8, group: u8, level: u8) -> Command {
        let mut bytes = vec![POINT_TO_MULTIPOINT, application, 0x00];
        match level {
            0 => bytes.extend([OFF, group]),
            u8::MAX => bytes.extend([ON, group]),
            _ => bytes.extend([RAMP_INSTANTLY, group, level]),
        }
        Command::new("\\", bytes)
    }

    /// The bytes to send: with a checksum where the interface expects one, with a letter where a confirmation is
    /// wanted.
    pub(super) fn line(&self, with_checksum: bool, letter: Option<u8>) -> Vec<u8> {
        let mut line = format!("{}{}", self.prefix, hex(&self.bytes));
        if with_checksum {
            line += &hex(&[checksum(&self.bytes)]);
        }
        let mut line = line.into_bytes();
        line.extend(letter);
        line.push(b'\r');
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(command: &Command, letter: Option<u8>) -> String {
        String::from_utf8(command.line(true, letter)).unwrap()
    }

    /// The vendor's own strings that are commands of ours.
    #[test]
    fn commands_are_those_that_the_vendor_prints() {
        let cases = [
            (Command::light(0x38, 0x08, 0), None, "\\0538000108BA\r"),
            (Command::light(0x38, 0x14, 0), Some(b'r'), "\\0538000114AEr\r"),
            (Command::light(0x38, 0x21, 0xFF), Some(b'g'), "\\053800792129g\r"),
            (Command::light(0x38, 0x21, 0), Some(b'g'), "\\0538000121A1g\r"),
            (Command::light(0x38, 0x20, 0xFF), None, "\\05380079202A\r"),
            (Command::recall(Some(4), 0x30, 1), None, "\\0604001A3001AB\r"),
            (Command::status(0x38), None, "\\05FF007A38004A\r"),
            (Command::status(INSTALLATION), None, "\\05FF007AFF0083\r"),
            (Command::status(0xCA), None, "\\05FF007ACA00B8\r"),
            (Command::status(0xCB), None, "\\05FF007ACB00B7\r"),
            (Command::status(0x30), None, "\\05FF007A300052\r"),
            (Command::levels(0x38, 0x00), None, "\\05FF00730738004A\r"),
            (Command::levels(0x38, 0x20), None, "\\05FF00730738202A\r"),
            (Command::levels(0x38, 0x40), None, "\\05FF00730738400A\r"),
            (Command::levels(0x38, 0x60), None, "\\05FF0073073860EA\r"),
            (Command::levels(0x38, 0x80), None, "\\05FF0073073880CA\r"),
            (Command::levels(0x38, 0xA0), None, "\\05FF00730738A0AA\r"),
            (Command::levels(0x38, 0xC0), None, "\\05FF00730738C08A\r"),
            (Command::levels(0x38, 0xE0), None, "\\05FF00730738E06A\r"),
            (Command::identify(Some(3), 0x01), None, "\\0603002101D5\r"),
            (Command::identify(Some(3), 0x02), None, "\\0603002102D4\r"),
            (Command::identify(Some(3), 0x03), None, "\\0603002103D3\r"),
            (Command::identify(Some(3), 0x04), None, "\\0603002104D2\r"),
            (Command::identify(Some(3), 0x07), None, "\\0603002107CF\r"),
            (Command::identify(Some(3), 0x08), None, "\\0603002108CE\r"),
            (Command::identify(Some(3), 0x0A), None, "\\060300210ACC\r"),
            (Command::recall(Some(3), 0x21, 2), None, "\\0603001A2102BA\r"),
            (Command::recall(Some(3), 0xF3, 4), None, "\\0603001AF304E6\r"),
        ];
        for (command, letter, expect) in cases {
            assert_eq!(sent(&command, letter), expect);
        }
    }

    #[test]
    fn before_checksums_are_on_there_is_none() {
        let plain = |command: &Command, letter| String::from_utf8(command.line(false, letter)).unwrap();
        assert_eq!(plain(&Command::identify(None, 2), None), "@2102\r");
        assert_eq!(plain(&Command::write(0x42, 0x0A), None), "@A342000A\r");
        // QS's form, for interfaces that know no @.
        assert_eq!(plain(&Command::write(0x21, 0x38).without_at(), Some(b'g')), "A3210038g\r");
    }

    #[test]
    fn no_command_is_longer_than_an_interface_takes() {
        // SIUG 4.2.2: 45 characters. Its receive buffer has 20 bytes, which the longest command must not fill.
        let longest = Command::levels(0xFF, 0xFF).line(true, Some(b'z'));
        assert!(longest.len() <= 20, "{}", longest.len());
    }

    /// Strings of the vendor and of captures; each with its checksum.
    #[test]
    fn what_is_printed_right_is_sound() {
        for text in [
            "050B380079201F",
            "03420938010871",
            "03421B53643801149C",
            "0565380354432101148E",
            "06420903210289",
            "0503380079083F",
            "8604990082300328",
            "461000210188",
            "8902312E322E363620200A",
            "860593008902312E322E36362020EC",
            "890150435F434E49454421",
            "05D100090120",
            "05D1000D810000DBF8C9",
            "0564E4000E010102FE27FA82",
            "05190002056477",
            "D8380068AA0140550550001000000014000000000000000000CF",
            "D838580000000000000000000000000000000000000000000098",
            "D638B000000000FF00000000000000000000000000000043",
            "F9073800AAAA000095990000000055550000000000005555555548",
            "F907380B0000000000005555000000000000000000000000000013",
            "F70738160000000000000000000000000000000000000000B4",
            "322100AD",
            "3242008C",
        ] {
            assert!(is_sound(&unhex(text.as_bytes()).unwrap()), "{text}");
        }
    }

    /// The misprints that the documents have.
    #[test]
    fn what_is_misprinted_is_not_sound() {
        for text in [
            "860593008902312E322E363620207F", // SIUG p. 30
            "051900020564",                   // APP/09: no checksum at all
            "F838580000000000000000000000000000000000000000000098",
            "05FF007A38004B",
        ] {
            assert!(!is_sound(&unhex(text.as_bytes()).unwrap()), "{text}");
        }
        assert!(!is_sound(&[0]), "a lone zero is no frame");
    }
}

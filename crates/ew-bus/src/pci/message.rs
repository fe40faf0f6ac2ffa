//! What a line means (SIUG 4.3.3, 7).

/// The long form's beginning: a reply from a unit.
const LONG: u8 = 0x86;
/// Levels, asked by this interface.
const LEVEL_OURS: u8 = 0x07;
/// On and off, asked by this interface.
const BINARY_OURS: u8 = 0x00;

/// A sound line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Message {
    /// The answer to an identify or a recall.
    Reply {
        /// Who answers, in the long form.
        unit: Option<u8>,
        /// The interface's own address, in the long form.
        interface: Option<u8>,
        /// The attribute or the first parameter.
        parameter: u8,
        /// What follows it.
        data: Vec<u8>,
    },
    /// A parameter of the interface was written.
    Written {
        /// Which.
        parameter: u8,
    },
    /// A part of a status that this interface asked for.
    Status(StatusLine),
    /// Something for others, or nothing known.
    Other,
}

/// A line of a status.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StatusLine {
    /// Levels, in two bytes a group; else on and off, in two bits a group.
    pub(super) is_level: bool,
    /// The application.
    pub(super) application: u8,
    /// The first group.
    pub(super) first: u8,
    /// What follows it.
    pub(super) data: Vec<u8>,
}

impl Message {
    /// Reads a line, its checksum last.
    pub(super) fn read(line: &[u8]) -> Message {
        let Some((_, body)) = line.split_last() else { return Message::Other };
        match body {
            // 00: of this network. A bridge count stands there for any other, and we asked none.
            [LONG, unit, interface, 0x00, rest @ ..] => Message::cal(Some(*unit), Some(*interface), rest),
            [LONG, ..] => Message::Other,
            rest => Message::cal(None, None, rest),
        }
    }

    fn cal(unit: Option<u8>, interface: Option<u8>, body: &[u8]) -> Message {
        let Some((header, rest)) = body.split_first() else { return Message::Other };
        match (header, rest) {
            (0x32, [parameter, ..]) => Message::Written { parameter: *parameter },
            // The count is of what was tried; less may follow.
            (0x80..=0x9F, [parameter, data @ ..]) => {
                Message::Reply { unit, interface, parameter: *parameter, data: data.to_vec() }
            }
            (0xC0..=0xDF, [application, first, data @ ..]) if is_length(*header, rest) => {
                Message::status(false, *application, *first, data)
            }
            (0xE0..=0xFF, [coding, application, first, data @ ..]) if is_length(*header, rest) => {
                match *coding {
                    BINARY_OURS => Message::status(false, *application, *first, data),
                    LEVEL_OURS => Message::status(true, *application, *first, data),
                    // 40 and 47 were asked elsewhere, at another time.
                    _ => Message::Other,
                }
            }
            _ => Message::Other,
        }
    }

    /// A status whose groups end within 0..255.
    fn status(is_level: bool, application: u8, first: u8, data: &[u8]) -> Message {
        let groups = if is_level { data.len() / 2 } else { data.len() * 4 };
        if groups == 0 || usize::from(first) + groups > 256 || (is_level && !data.len().is_multiple_of(2)) {
            return Message::Other;
        }
        Message::Status(StatusLine { is_level, application, first, data: data.to_vec() })
    }
}

/// The length is the truth: some interfaces and even the manual count one too many or too few.
fn is_length(header: u8, rest: &[u8]) -> bool {
    usize::from(header & 0x1F).abs_diff(rest.len()) <= 1
}

#[cfg(test)]
mod tests {
    use super::super::frame::{checksum, unhex};
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Message {
        Message::read(&unhex(text.as_bytes()).unwrap())
    }

    /// Without its checksum, which is put to it.
    fn read_body(text: &str) -> Message {
        let mut line = unhex(text.as_bytes()).unwrap();
        line.push(checksum(&line));
        Message::read(&line)
    }

    fn status(is_level: bool, application: u8, first: u8, data: &str) -> Message {
        let data = unhex(data.as_bytes()).unwrap();
        Message::Status(StatusLine { is_level, application, first, data })
    }

    #[test]
    fn replies_short_and_long() {
        let firmware = b"1.2.66  ".to_vec();
        let short = Message::Reply { unit: None, interface: None, parameter: 2, data: firmware.clone() };
        assert_eq!(read("8902312E322E363620200A"), short);
        let long = Message::Reply { unit: Some(5), interface: Some(0x93), parameter: 2, data: firmware };
        assert_eq!(read("860593008902312E322E36362020EC"), long);
        let options = Message::Reply { unit: Some(4), interface: Some(0x99), parameter: 0x30, data: vec![3] };
        assert_eq!(read("8604990082300328"), options);
        assert_eq!(
            read("890150435F434E49454421"),
            Message::Reply { unit: None, interface: None, parameter: 1, data: b"PC_CNIED".to_vec() }
        );
    }

    #[test]
    fn both_forms_of_acknowledgement() {
        assert_eq!(read("3242008C"), Message::Written { parameter: 0x42 });
        assert_eq!(read("322100AD"), Message::Written { parameter: 0x21 });
        assert_eq!(read_body("86101000324200"), Message::Written { parameter: 0x42 });
    }

    #[test]
    fn statuses_of_the_standard_and_the_extended_form() {
        let data = "68AA0140550550001000000014000000000000000000";
        assert_eq!(
            read("D8380068AA0140550550001000000014000000000000000000CF"),
            status(false, 0x38, 0, data)
        );
        assert_eq!(read_body(&format!("F9003800{data}")), status(false, 0x38, 0, data));
        assert_eq!(read_body(&format!("86101000F9003800{data}")), status(false, 0x38, 0, data));
        assert_eq!(
            read("F9073800AAAA000095990000000055550000000000005555555548"),
            status(true, 0x38, 0, "AAAA0000959900000000555500000000000055555555")
        );
        assert_eq!(
            read("F70738160000000000000000000000000000000000000000B4"),
            status(true, 0x38, 0x16, &"00".repeat(20))
        );
    }

    #[test]
    fn a_header_may_be_off_by_one_and_no_more() {
        let data = "68AA0140550550001000000014000000000000000000";
        for header in ["D7", "D8", "D9"] {
            assert_eq!(read_body(&format!("{header}3800{data}")), status(false, 0x38, 0, data), "{header}");
        }
        for header in ["F8", "F9", "FA"] {
            assert_eq!(read_body(&format!("{header}003800{data}")), status(false, 0x38, 0, data), "{header}");
        }
        assert_eq!(read_body(&format!("D63800{data}")), Message::Other);
        assert_eq!(read_body(&format!("DA3800{data}")), Message::Other);
    }

    #[test]
    fn what_others_asked_and_other_networks_are_not_for_us() {
        let data = "00".repeat(22);
        for coding in ["40", "47", "01", "FF"] {
            assert_eq!(read_body(&format!("F9{coding}3800{data}")), Message::Other, "{coding}");
        }
        assert_eq!(read_body("8605930142990089023132"), Message::Other);
        assert_eq!(read("050B380079201F"), Message::Other);
        assert_eq!(read("05D1000D810000DBF8C9"), Message::Other);
    }

    #[test]
    fn groups_beyond_255_are_no_status() {
        assert_eq!(read_body(&format!("D838B0{}", "00".repeat(22))), Message::Other);
        assert_eq!(read_body(&format!("F90738F8{}", "00".repeat(22))), Message::Other);
        assert_eq!(read_body(&format!("F8073800{}", "00".repeat(21))), Message::Other);
        assert_eq!(read_body("C23800"), Message::Other);
    }

    proptest! {
        #[test]
        fn nothing_upsets_it(line: Vec<u8>) {
            if let Message::Status(StatusLine { is_level, first, data, .. }) = Message::read(&line) {
                let groups = if is_level { data.len() / 2 } else { data.len() * 4 };
                prop_assert!(usize::from(first) + groups <= 256);
            }
        }
    }
}

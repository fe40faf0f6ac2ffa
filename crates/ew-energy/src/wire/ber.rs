//! Tag, length, value: as much of BER as SNMP uses (RFC 3417, 8).

use crate::Oid;
use std::fmt;
use std::ops::Range;

/// INTEGER.
pub const INTEGER: u8 = 0x02;
/// OCTET STRING.
pub const OCTETS: u8 = 0x04;
/// NULL.
pub const NULL: u8 = 0x05;
/// OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// SEQUENCE.
pub const SEQUENCE: u8 = 0x30;

/// What is wrong with a datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed(pub String);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Malformed {
    pub(crate) fn new(text: impl Into<String>) -> Malformed {
        Malformed(text.into())
    }
}

/// Reads one element after the other of a stretch of a datagram.
#[derive(Debug, Clone)]
pub struct Reader<'a> {
    datagram: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Reader<'a> {
    /// Of a whole datagram.
    pub fn new(datagram: &'a [u8]) -> Reader<'a> {
        Reader { datagram, at: 0, end: datagram.len() }
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.at >= self.end
    }

    /// The next element, whatever it is: its tag, and where in the datagram its contents are. `what` names
    /// it in messages.
    pub fn element(&mut self, what: &str) -> Result<(u8, Range<usize>), Malformed> {
        let cut = || Malformed::new(format!("{what} is cut off"));
        let tag = self.byte().ok_or_else(cut)?;
        let length = match self.byte().ok_or_else(cut)? {
            short @ ..=0x7f => usize::from(short),
            // Agents write lengths in more bytes than it takes; four are enough for any datagram.
            long @ 0x81..=0x84 => {
                let mut length = 0;
                for _ in 0x80..long {
                    length = length << 8 | usize::from(self.byte().ok_or_else(cut)?);
                }
                length
            }
            _ => return Err(Malformed::new(format!("{what} has no definite length"))),
        };
        let start = self.at;
        self.at = start.checked_add(length).filter(|end| *end <= self.end).ok_or_else(cut)?;
        Ok((tag, start..self.at))
    }

    /// The next element, which must have this tag: where its contents are.
    pub fn place(&mut self, tag: u8, what: &str) -> Result<Range<usize>, Malformed> {
        match self.element(what)? {
            (found, place) if found == tag => Ok(place),
            (found, _) => Err(Malformed::new(format!("{what} has the tag {found:#04x}, not {tag:#04x}"))),
        }
    }

    /// The contents at a place that [`Reader::element`] gave.
    pub fn bytes(&self, place: Range<usize>) -> &'a [u8] {
        self.datagram.get(place).unwrap_or_default()
    }

    /// The contents of the next element, which must have this tag.
    pub fn contents(&mut self, tag: u8, what: &str) -> Result<&'a [u8], Malformed> {
        let place = self.place(tag, what)?;
        Ok(self.bytes(place))
    }

    /// Reads on inside a place that [`Reader::element`] gave.
    pub fn inside(&self, place: Range<usize>) -> Reader<'a> {
        Reader { datagram: self.datagram, at: place.start, end: place.end.min(self.end) }
    }

    /// Reads on inside the next element, which must have this tag.
    pub fn enter(&mut self, tag: u8, what: &str) -> Result<Reader<'a>, Malformed> {
        let place = self.place(tag, what)?;
        Ok(self.inside(place))
    }

    /// An INTEGER.
    pub fn integer(&mut self, what: &str) -> Result<i64, Malformed> {
        signed(self.contents(INTEGER, what)?, what)
    }

    /// An INTEGER from 0 to `2^31 - 1`, as ids, engine boots and engine times are.
    pub fn natural(&mut self, what: &str) -> Result<i32, Malformed> {
        let number = self.integer(what)?;
        i32::try_from(number)
            .ok()
            .filter(|n| *n >= 0)
            .ok_or_else(|| Malformed::new(format!("{what} is {number}")))
    }

    fn byte(&mut self) -> Option<u8> {
        let byte = *self.datagram.get(self.at).filter(|_| self.at < self.end)?;
        self.at += 1;
        Some(byte)
    }
}

/// A number in two's complement.
pub fn signed(bytes: &[u8], what: &str) -> Result<i64, Malformed> {
    let (Some(first), ..=8) = (bytes.first(), bytes.len()) else {
        return Err(Malformed::new(format!("{what} is a number of {} bytes", bytes.len())));
    };
    let sign = if first & 0x80 == 0 { 0 } else { -1 };
    Ok(bytes.iter().fold(sign, |number, byte| number << 8 | i64::from(*byte)))
}

/// Elements, one behind the other.
#[derive(Debug, Default)]
pub struct Writer(Vec<u8>);

impl Writer {
    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.0
    }

    /// An element with these contents.
    pub fn element(&mut self, tag: u8, contents: &[u8]) {
        self.within(tag, |inner| inner.raw(contents));
    }

    /// Elements that are written already.
    pub fn raw(&mut self, elements: &[u8]) {
        self.0.extend_from_slice(elements);
    }

    /// An element of what `fill` writes.
    pub fn within(&mut self, tag: u8, fill: impl FnOnce(&mut Writer)) {
        self.0.push(tag);
        let start = self.0.len();
        fill(self);
        let length = self.0.len() - start;
        let bytes = length.to_be_bytes();
        let needed = bytes.iter().skip_while(|byte| **byte == 0).copied();
        let length: Vec<u8> = match u8::try_from(length) {
            Ok(short @ ..=0x7f) => vec![short],
            _ => std::iter::once(0x80 | u8::try_from(needed.clone().count()).unwrap_or(0))
                .chain(needed)
                .collect(),
        };
        self.0.splice(start..start, length);
    }

    /// An INTEGER in as few bytes as it takes.
    pub fn integer(&mut self, number: i64) {
        let bytes = number.to_be_bytes();
        // A leading byte goes where it says no more than the first bit behind it.
        let idle = bytes
            .windows(2)
            .take_while(|pair| matches!((pair[0], pair[1] & 0x80), (0x00, 0x00) | (0xff, 0x80)));
        self.element(INTEGER, bytes.get(idle.count()..).unwrap_or_default());
    }

    /// An OBJECT IDENTIFIER.
    pub fn oid(&mut self, oid: &Oid) {
        self.element(OID, &oid.to_ber());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_round_trip(number: i64) {
            let mut writer = Writer::default();
            writer.integer(number);
            prop_assert_eq!(Reader::new(&writer.finish()).integer("n"), Ok(number));
        }

        #[test]
        fn contents_round_trip(tag: u8, contents in prop::collection::vec(any::<u8>(), 0..2_000)) {
            let mut writer = Writer::default();
            writer.element(tag, &contents);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.contents(tag, "x"), Ok(contents.as_slice()));
            prop_assert!(reader.is_empty());
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut reader = Reader::new(&bytes);
            while let Ok((tag, place)) = reader.element("x") {
                prop_assert!(place.end <= bytes.len());
                let mut inside = reader.inside(place.clone());
                let _ = (inside.integer("n"), inside.element("y"), signed(&bytes[place], "n"), tag);
            }
        }
    }

    #[test]
    fn numbers_are_as_short_as_can_be() {
        for (number, bytes) in [
            (0, &[0x02, 1, 0][..]),
            (127, &[0x02, 1, 0x7f]),
            (128, &[0x02, 2, 0, 0x80]),
            (-1, &[0x02, 1, 0xff]),
            (-129, &[0x02, 2, 0xff, 0x7f]),
            (i64::from(u32::MAX), &[0x02, 5, 0, 0xff, 0xff, 0xff, 0xff]),
        ] {
            let mut writer = Writer::default();
            writer.integer(number);
            assert_eq!(writer.finish(), bytes, "{number}");
        }
    }

    #[test]
    fn lengths_that_lie() {
        for (bytes, expect) in [
            (&[][..], "x is cut off"),
            (&[0x04], "x is cut off"),
            (&[0x04, 2, 1], "x is cut off"),
            (&[0x04, 0x84, 0xff, 0xff, 0xff, 0xff, 1], "x is cut off"),
            (&[0x04, 0x82, 1], "x is cut off"),
            (&[0x04, 0x80, 0, 0], "x has no definite length"),
            (&[0x04, 0x85, 0, 0, 0, 0, 1, 1], "x has no definite length"),
        ] {
            assert_eq!(Reader::new(bytes).element("x"), Err(Malformed::new(expect)), "{bytes:x?}");
        }
        // Longer than needed, but right.
        assert_eq!(Reader::new(&[0x04, 0x82, 0, 1, 9]).contents(OCTETS, "x"), Ok(&[9][..]));
        // An inner length cannot lead out of the outer one.
        let mut outer = Reader::new(&[0x30, 2, 0x04, 3, 1, 1, 1]).enter(SEQUENCE, "x").unwrap();
        assert!(outer.element("y").is_err());
        assert_eq!(signed(&[], "n").unwrap_err().to_string(), "n is a number of 0 bytes");
        assert_eq!(signed(&[1; 9], "n").unwrap_err().to_string(), "n is a number of 9 bytes");
    }
}

//! The part of BER (ITU-T X.690) that SNMP needs: definite lengths and low tag numbers.
//!
//! Reading is total: any bytes give a value or an error, and nothing is allocated for a length that the input
//! only claims.

use super::oid::{ARCS_MAX, Oid};

/// Tags that both requests and answers use.
pub(crate) mod tag {
    /// INTEGER.
    pub(crate) const INTEGER: u8 = 0x02;
    /// OCTET STRING.
    pub(crate) const OCTETS: u8 = 0x04;
    /// NULL.
    pub(crate) const NULL: u8 = 0x05;
    /// OBJECT IDENTIFIER.
    pub(crate) const OID: u8 = 0x06;
    /// SEQUENCE, constructed.
    pub(crate) const SEQUENCE: u8 = 0x30;
}

/// Why bytes are not what was looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BerError {
    /// They end before their own length says.
    Truncated,
    /// A length that is indefinite or over four bytes long.
    Length,
    /// An integer without bytes, or too large for its place.
    Integer,
    /// An object identifier that is empty, unfinished, too long, or with an arc over 2^32-1.
    Oid,
    /// Another element, protocol version or operation than is served here.
    Unexpected,
    /// Bytes left over after the last element.
    Trailing,
}

/// Reads elements one after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// At the first of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { rest: bytes }
    }

    /// Whether all is read.
    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// How many bytes are not read.
    pub(crate) fn len(&self) -> usize {
        self.rest.len()
    }

    /// All must have been read.
    pub(crate) fn finish(self) -> Result<(), BerError> {
        if self.is_empty() { Ok(()) } else { Err(BerError::Trailing) }
    }

    /// The next element: its tag and its content.
    pub(crate) fn element(&mut self) -> Result<(u8, &'a [u8]), BerError> {
        let (&tag, rest) = self.rest.split_first().ok_or(BerError::Truncated)?;
        // Tag numbers of more than one byte do not occur in SNMP.
        if tag & 0x1f == 0x1f {
            return Err(BerError::Unexpected);
        }
        let (&first, rest) = rest.split_first().ok_or(BerError::Truncated)?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) =
                    rest.split_at_checked(usize::from(first & 0x7f)).ok_or(BerError::Truncated)?;
                let length = bytes.iter().fold(0u32, |n, &b| n << 8 | u32::from(b));
                (usize::try_from(length).map_err(|_| BerError::Length)?, rest)
            }
            _ => return Err(BerError::Length),
        };
        let (content, rest) = rest.split_at_checked(length).ok_or(BerError::Truncated)?;
        self.rest = rest;
        Ok((tag, content))
    }

    /// The content of the next element, which must have this tag.
    pub(crate) fn tagged(&mut self, tag: u8) -> Result<&'a [u8], BerError> {
        match self.element()? {
            (found, content) if found == tag => Ok(content),
            _ => Err(BerError::Unexpected),
        }
    }

    /// The next element as an INTEGER of 32 bits.
    pub(crate) fn integer(&mut self) -> Result<i32, BerError> {
        let content = self.tagged(tag::INTEGER)?;
        let (&first, _) = content.split_first().ok_or(BerError::Integer)?;
        // Longer than needed is tolerated, as other agents do; the value decides.
        if content.len() > 8 {
            return Err(BerError::Integer);
        }
        let sign = if first & 0x80 == 0 { 0i64 } else { -1 };
        let number = content.iter().fold(sign, |n, &b| n << 8 | i64::from(b));
        i32::try_from(number).map_err(|_| BerError::Integer)
    }

    /// The next element as an OBJECT IDENTIFIER.
    pub(crate) fn oid(&mut self) -> Result<Oid, BerError> {
        let content = self.tagged(tag::OID)?;
        if content.last().is_none_or(|last| last & 0x80 != 0) {
            return Err(BerError::Oid);
        }
        let mut arcs = Vec::with_capacity(content.len().min(ARCS_MAX) + 1);
        let mut number = 0u64;
        for &byte in content {
            number = number << 7 | u64::from(byte & 0x7f);
            // The first number carries two arcs and so may pass 2^32 by 80.
            if number > u64::from(u32::MAX) + 80 {
                return Err(BerError::Oid);
            }
            if byte & 0x80 != 0 {
                continue;
            }
            if arcs.is_empty() {
                let top = (number / 40).min(2);
                arcs.push(u32::try_from(top).map_err(|_| BerError::Oid)?);
                number -= top * 40;
            }
            arcs.push(u32::try_from(number).map_err(|_| BerError::Oid)?);
            if arcs.len() > ARCS_MAX {
                return Err(BerError::Oid);
            }
            number = 0;
        }
        Oid::new(&arcs).map_err(|_| BerError::Oid)
    }
}

/// Appends an element.
pub(crate) fn put(out: &mut Vec<u8>, tag: u8, content: &[u8]) {
    out.push(tag);
    let length = content.len();
    match u8::try_from(length) {
        Ok(short @ 0..=0x7f) => out.push(short),
        _ => {
            let bytes = length.to_be_bytes();
            let used = significant(&bytes);
            // At most eight bytes, so the count always fits beside the flag.
            out.push(0x80 | used.len() as u8);
            out.extend_from_slice(used);
        }
    }
    out.extend_from_slice(content);
}

/// Appends an INTEGER.
pub(crate) fn put_integer(out: &mut Vec<u8>, number: i32) {
    let bytes = number.to_be_bytes();
    // A leading byte says nothing when it only repeats the sign of the byte after it.
    let redundant = bytes
        .windows(2)
        .take_while(|pair| {
            matches!(pair, [0, next] if next & 0x80 == 0) || matches!(pair, [0xff, next] if next & 0x80 != 0)
        })
        .count();
    put(out, tag::INTEGER, bytes.get(redundant..).unwrap_or(&bytes));
}

/// Appends a number that is never negative, under any integer tag.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, tag: u8, number: u64) {
    let bytes = number.to_be_bytes();
    let used = significant(&bytes);
    if used.first().is_some_and(|b| b & 0x80 != 0) {
        put(out, tag, &[&[0], used].concat());
    } else {
        put(out, tag, used);
    }
}

/// Appends an OBJECT IDENTIFIER.
pub(crate) fn put_oid(out: &mut Vec<u8>, oid: &Oid) {
    let mut content = Vec::with_capacity(oid.arcs().len() + 4);
    let (top, rest) = oid.arcs().split_at(oid.arcs().len().min(2));
    let first = top.iter().fold(0u64, |n, &arc| n * 40 + u64::from(arc));
    for number in std::iter::once(first).chain(rest.iter().map(|&arc| u64::from(arc))) {
        let sevens = (64 - number.leading_zeros()).div_ceil(7).max(1);
        for place in (0..sevens).rev() {
            let more = if place == 0 { 0 } else { 0x80 };
            content.push((number >> (7 * place)) as u8 & 0x7f | more);
        }
    }
    put(out, tag::OID, &content);
}

/// Big-endian bytes without leading zeros, at least one.
fn significant(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&b| b == 0).count().min(bytes.len().saturating_sub(1));
    bytes.get(zeros..).unwrap_or(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn integer_bytes(number: i32) -> Vec<u8> {
        let mut out = Vec::new();
        put_integer(&mut out, number);
        out
    }

    #[test]
    fn integers_take_the_fewest_bytes() {
        let cases: [(i32, &[u8]); 8] = [
            (0, &[2, 1, 0]),
            (127, &[2, 1, 0x7f]),
            (128, &[2, 2, 0, 0x80]),
            (-1, &[2, 1, 0xff]),
            (-128, &[2, 1, 0x80]),
            (-129, &[2, 2, 0xff, 0x7f]),
            (i32::MAX, &[2, 4, 0x7f, 0xff, 0xff, 0xff]),
            (i32::MIN, &[2, 4, 0x80, 0, 0, 0]),
        ];
        for (number, bytes) in cases {
            assert_eq!(integer_bytes(number), bytes, "{number}");
            assert_eq!(Reader::new(bytes).integer(), Ok(number));
        }
    }

    #[test]
    fn unsigned_numbers_never_look_negative() {
        let cases: [(u64, &[u8]); 4] = [
            (0, &[0x42, 1, 0]),
            (0x80, &[0x42, 2, 0, 0x80]),
            (u64::from(u32::MAX), &[0x42, 5, 0, 0xff, 0xff, 0xff, 0xff]),
            (u64::MAX, &[0x42, 9, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ];
        for (number, bytes) in cases {
            let mut out = Vec::new();
            put_unsigned(&mut out, 0x42, number);
            assert_eq!(out, bytes, "{number}");
        }
    }

    #[test]
    fn oids_carry_two_arcs_in_the_first_number() {
        let cases: [(&str, &[u8]); 5] = [
            ("1.3.6.1.4.1.9", &[6, 6, 0x2b, 6, 1, 4, 1, 9]),
            ("0.0", &[6, 1, 0]),
            ("1.39", &[6, 1, 79]),
            ("2.999.3", &[6, 3, 0x88, 0x37, 3]),
            ("1.3.4294967295", &[6, 6, 0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]),
        ];
        for (text, bytes) in cases {
            let oid: Oid = text.parse().unwrap();
            let mut out = Vec::new();
            put_oid(&mut out, &oid);
            assert_eq!(out, bytes, "{text}");
            assert_eq!(Reader::new(bytes).oid(), Ok(oid));
        }
    }

    #[test]
    fn lengths_go_long_past_127() {
        for (length, head) in
            [(127usize, vec![4, 0x7f]), (128, vec![4, 0x81, 0x80]), (300, vec![4, 0x82, 1, 44])]
        {
            let mut out = Vec::new();
            put(&mut out, tag::OCTETS, &vec![7; length]);
            assert_eq!(out.get(..head.len()), Some(&head[..]));
            assert_eq!(Reader::new(&out).tagged(tag::OCTETS).map(<[u8]>::len), Ok(length));
        }
    }

    #[test]
    fn bad_bytes_are_named() {
        let cases: [(&[u8], BerError); 9] = [
            (&[], BerError::Truncated),
            (&[2], BerError::Truncated),
            (&[2, 5, 1], BerError::Truncated),
            (&[2, 0x84, 0xff, 0xff, 0xff, 0xff], BerError::Truncated),
            (&[2, 0x80, 0, 0], BerError::Length),
            (&[2, 0x85, 0, 0, 0, 0, 1, 0], BerError::Length),
            (&[2, 0], BerError::Integer),
            (&[2, 5, 1, 0, 0, 0, 0], BerError::Integer),
            (&[0x1f, 1, 0], BerError::Unexpected),
        ];
        for (bytes, error) in cases {
            assert_eq!(Reader::new(bytes).integer(), Err(error), "{bytes:02x?}");
        }
        let many = [&[6, 0x81, 128][..], &[1; 128]].concat();
        let bad_oids: [&[u8]; 4] =
            [&[6, 0], &[6, 2, 0x2b, 0x86], &[6, 7, 0x2b, 0x90, 0x80, 0x80, 0x80, 0, 1], &many];
        for bytes in bad_oids {
            assert_eq!(Reader::new(bytes).oid(), Err(BerError::Oid), "{bytes:02x?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = Reader::new(&bytes);
            while reader.element().is_ok() {}
            let _ = Reader::new(&bytes).integer();
            let _ = Reader::new(&bytes).oid();
        }

        #[test]
        fn integers_and_oids_come_back(number: i32, rest in proptest::collection::vec(any::<u32>(), 0..100)) {
            prop_assert_eq!(Reader::new(&integer_bytes(number)).integer(), Ok(number));
            for top in [&[0, 39][..], &[1, 3], &[2, u32::MAX]] {
                let oid = Oid::below(top, &rest);
                let mut out = Vec::new();
                put_oid(&mut out, &oid);
                prop_assert_eq!(Reader::new(&out).oid(), Ok(oid));
            }
        }
    }
}

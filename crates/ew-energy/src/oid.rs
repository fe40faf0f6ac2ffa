//! Object identifiers.

use std::fmt;

/// The most numbers that SNMP allows (RFC 3416, 4.1).
const NUMBERS_MAX: usize = 128;
/// Each takes up to five bytes.
const BYTES_MAX: usize = 5 * NUMBERS_MAX;

/// An object identifier, ordered as SNMP orders them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Oid(Vec<u32>);

impl Oid {
    /// From its numbers.
    pub fn new(numbers: &[u32]) -> Oid {
        Oid(numbers.to_vec())
    }

    /// Its numbers.
    pub fn numbers(&self) -> &[u32] {
        &self.0
    }

    /// One number longer.
    pub fn child(&self, number: u32) -> Oid {
        let mut numbers = self.0.clone();
        numbers.push(number);
        Oid(numbers)
    }

    /// What follows `prefix`; none where this is not below it.
    pub fn below(&self, prefix: &Oid) -> Option<&[u32]> {
        self.0.strip_prefix(prefix.0.as_slice()).filter(|rest| !rest.is_empty())
    }

    /// The object of which this is the scalar instance `.0`; none where it is no such instance.
    pub(crate) fn object_of_scalar(&self) -> Option<Oid> {
        self.0.strip_suffix(&[0]).map(Oid::new)
    }

    /// From the contents of a BER object identifier; none where a number is cut off or above 32 bits, or
    /// where there are more numbers than SNMP allows.
    pub(crate) fn from_ber(bytes: &[u8]) -> Option<Oid> {
        if bytes.len() > BYTES_MAX {
            return None;
        }
        let mut numbers: Vec<u32> = Vec::with_capacity(bytes.len() + 1);
        let mut number: u32 = 0;
        let mut open = false;
        for byte in bytes {
            number = number.checked_mul(128)? | u32::from(byte & 0x7f);
            open = byte & 0x80 != 0;
            if !open {
                if numbers.is_empty() {
                    // The first two numbers share one: 40 of each below the third arc.
                    let first = (number / 40).min(2);
                    numbers.push(first);
                    number -= first * 40;
                }
                numbers.push(number);
                number = 0;
            }
        }
        (!open && (1..=NUMBERS_MAX).contains(&numbers.len())).then_some(Oid(numbers))
    }

    /// The contents of a BER object identifier. The first two numbers share one; those that none has, an
    /// agent will not have either.
    pub(crate) fn to_ber(&self) -> Vec<u8> {
        let first = self.0.first().copied().unwrap_or(0).min(2);
        let second = self.0.get(1).copied().unwrap_or(0);
        let mut bytes = Vec::with_capacity(self.0.len() + 4);
        let shared = u64::from(first) * 40 + u64::from(second);
        for number in std::iter::once(shared).chain(self.0.iter().skip(2).map(|n| u64::from(*n))) {
            let groups = (u64::BITS - number.leading_zeros()).div_ceil(7).max(1);
            for group in (0..groups).rev() {
                let more = if group > 0 { 0x80 } else { 0 };
                bytes.push(more | u8::try_from(number >> (7 * group) & 0x7f).unwrap_or(0));
            }
        }
        bytes
    }
}

/// Dotted, without a leading point.
impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, number) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(".")?;
            }
            write!(f, "{number}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ber_round_trip_and_order() {
        for numbers in [&[1, 3, 6, 1, 4, 1, 9, 9, 683, 1, 3, 0][..], &[2, 39, 3], &[0, 39], &[1, 3, u32::MAX]]
        {
            let oid = Oid::new(numbers);
            assert_eq!(Oid::from_ber(&oid.to_ber()), Some(oid));
        }
        assert_eq!(Oid::from_ber(&[0x81, 0x34, 3]), Some(Oid::new(&[2, 100, 3])));
        for bad in [&[][..], &[0x2b, 0x86], &[0x2b, 0x9f, 0xff, 0xff, 0xff, 0x7f]] {
            assert_eq!(Oid::from_ber(bad), None, "{bad:x?}");
        }
        assert!(Oid::new(&[1, 3, 6, 9]) < Oid::new(&[1, 3, 6, 10]));
        assert!(Oid::new(&[1, 3, 6]) < Oid::new(&[1, 3, 6, 0]));
    }

    #[test]
    fn below_a_prefix() {
        let table = Oid::new(&[1, 3, 6]);
        assert_eq!(table.child(7).child(1).below(&table), Some(&[7, 1][..]));
        assert_eq!(table.below(&table), None);
        assert_eq!(Oid::new(&[1, 3, 61]).below(&table), None);
        assert_eq!(table.child(7).to_string(), "1.3.6.7");
    }
}

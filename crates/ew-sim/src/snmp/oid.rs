//! Object identifiers.

use std::fmt;
use std::str::FromStr;

/// Most arcs of a name (RFC 3416, section 4.1).
pub(crate) const ARCS_MAX: usize = 128;

/// An object identifier; ordered arc by arc as numbers, which is the order of GETNEXT.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Oid(Box<[u32]>);

impl Oid {
    /// From arcs that BER can carry: 2 to 128 of them, the first at most 2, below 2.x the second at most 39.
    pub(crate) fn new(arcs: &[u32]) -> Result<Oid, &'static str> {
        match arcs {
            [] | [_] => Err("an OID has at least two arcs"),
            _ if arcs.len() > ARCS_MAX => Err("an OID has at most 128 arcs"),
            [first, ..] if *first > 2 => Err("the first arc of an OID is 0, 1 or 2"),
            [0 | 1, second, ..] if *second > 39 => Err("the second arc of an OID below 0 or 1 is at most 39"),
            _ => Ok(Oid(arcs.into())),
        }
    }

    /// `prefix` and then `rest`. Both come from this crate's own tables, which are known to be well-formed.
    pub(crate) fn below(prefix: &[u32], rest: &[u32]) -> Oid {
        Oid([prefix, rest].concat().into())
    }

    /// The arcs, from the root.
    pub(crate) fn arcs(&self) -> &[u32] {
        &self.0
    }
}

impl FromStr for Oid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Oid, &'static str> {
        let arcs: Option<Vec<u32>> = text
            .strip_prefix('.')
            .unwrap_or(text)
            .split('.')
            // Rust reads "+1" as a number; nobody writes an OID so.
            .map(|arc| arc.bytes().all(|b| b.is_ascii_digit()).then(|| arc.parse().ok()).flatten())
            .collect();
        Oid::new(&arcs.ok_or("an OID is numbers below 2^32 with dots between them")?)
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, arc) in self.0.iter().enumerate() {
            write!(f, "{}{arc}", if i == 0 { "" } else { "." })?;
        }
        Ok(())
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_by_number_and_prefix_first() {
        let texts = ["1.3", "1.3.2", "1.3.2.1", "1.3.10", "1.3.4294967295", "1.4", "2.0"];
        let oids: Vec<Oid> = texts.iter().map(|t| t.parse().unwrap()).collect();
        assert!(oids.is_sorted());
        assert_eq!(oids.iter().map(Oid::to_string).collect::<Vec<_>>(), texts);
    }

    #[test]
    fn refuses_what_ber_cannot_carry() {
        let long = vec!["1"; 129].join(".");
        for bad in ["", "1", "1.", "1..3", "3.1", "1.40", "1.+3", "1.x", "1.4294967296", &long] {
            assert!(bad.parse::<Oid>().is_err(), "{bad:?}");
        }
        assert!(".1.3.6".parse::<Oid>().is_ok());
        assert!("2.999".parse::<Oid>().is_ok());
    }
}

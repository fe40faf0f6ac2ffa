//! Messages of SNMPv1 and SNMPv2c (RFC 1157, 4; RFC 1901, 3).

use super::ber::{Malformed, OCTETS, Reader, SEQUENCE, Writer};
use super::pdu::Pdu;

/// `version` of SNMPv1.
pub const V1: i64 = 0;
/// `version` of SNMPv2c.
pub const V2C: i64 = 1;

/// A request as a datagram.
pub fn seal(version: i64, community: &[u8], pdu: &Pdu) -> Vec<u8> {
    let mut out = Writer::default();
    out.within(SEQUENCE, |out| {
        out.integer(version);
        out.element(OCTETS, community);
        pdu.encode(out);
    });
    out.finish()
}

/// What a datagram of this version holds, whatever its community: agents answer with any.
pub fn open(version: i64, datagram: &[u8]) -> Result<Pdu, Malformed> {
    let mut message = Reader::new(datagram).enter(SEQUENCE, "the message")?;
    let found = message.integer("the version")?;
    if found != version {
        return Err(Malformed::new(format!("the message is of version {found}, not {version}")));
    }
    message.contents(OCTETS, "the community")?;
    Pdu::decode(&mut message)
}

#[cfg(test)]
mod tests {
    use super::super::pdu::tests::{damage, damaged, request};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn messages_round_trip(pdu in request(), version in V1..=V2C, community: Vec<u8>) {
            let datagram = seal(version, &community, &pdu);
            prop_assert_eq!(open(version, &datagram), Ok(pdu));
            prop_assert!(open(1 - version, &datagram).is_err());
        }

        #[test]
        fn damaged_ones_are_read_or_refused(pdu in request(), (changes, kept) in damage()) {
            let _ = open(V2C, &damaged(seal(V2C, b"public", &pdu), &changes, kept));
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>) {
            let _ = open(V1, &bytes);
        }
    }
}

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

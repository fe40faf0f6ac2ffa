//! The envelope of v1 (RFC 1157) and v2c (RFC 1901): a version and a community.

use super::ber::{self, BerError, Reader, tag};
use super::message::{DATAGRAM_BYTES_MAX, Request, Version};

/// Bytes by which the length of the outer sequence may grow as the PDU does.
const LENGTH_GROWTH: usize = 2;

/// What stands around a PDU, and is the same around its answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Envelope<'a> {
    version: Version,
    /// Who asks; with one socket for all switches also who is asked.
    pub(crate) community: &'a [u8],
}

/// Reads a datagram of v1 or v2c.
pub(crate) fn open(datagram: &[u8]) -> Result<(Envelope<'_>, Request<'_>), BerError> {
    let version = match Version::of(datagram)? {
        Version::V3 => return Err(BerError::Unexpected),
        version => version,
    };
    let mut outer = Reader::new(datagram);
    let mut message = Reader::new(outer.tagged(tag::SEQUENCE)?);
    outer.finish()?;
    message.integer()?;
    let envelope = Envelope { version, community: message.tagged(tag::OCTETS)? };
    let (kind, content) = message.element()?;
    message.finish()?;
    let room = DATAGRAM_BYTES_MAX.saturating_sub(envelope.seal(&[]).len() + LENGTH_GROWTH);
    Ok((envelope, Request::decode(version, kind, content, room)?))
}

impl Envelope<'_> {
    /// The datagram with this PDU.
    pub(crate) fn seal(&self, pdu: &[u8]) -> Vec<u8> {
        let mut message = Vec::with_capacity(pdu.len() + self.community.len() + 16);
        ber::put_integer(&mut message, self.version.number());
        ber::put(&mut message, tag::OCTETS, self.community);
        message.extend_from_slice(pdu);
        let mut datagram = Vec::with_capacity(message.len() + 4);
        ber::put(&mut datagram, tag::SEQUENCE, &message);
        datagram
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::message::{Operation, Status, encode};
    use super::*;
    use proptest::prelude::*;

    const GET_BULK: u8 = 0xa5;

    /// A request as a client would send it.
    pub(crate) fn question(version: u8, kind: u8, second: i32, third: i32, names: &[&str]) -> Vec<u8> {
        let mut list = Vec::new();
        for name in names {
            let mut binding = Vec::new();
            ber::put_oid(&mut binding, &name.parse().unwrap());
            ber::put(&mut binding, tag::NULL, &[]);
            ber::put(&mut list, tag::SEQUENCE, &binding);
        }
        let mut message = Vec::new();
        ber::put_integer(&mut message, i32::from(version));
        ber::put(&mut message, tag::OCTETS, b"public");
        message.extend(encode(kind, [77, second, third], &list));
        let mut out = Vec::new();
        ber::put(&mut out, tag::SEQUENCE, &message);
        out
    }

    /// Typed from the RFCs, not made by the code above: v2c GET of sysName.0, request-id 1.
    const GET_SYS_NAME: &[u8] = &[
        0x30, 0x26, 0x02, 0x01, 0x01, 0x04, 0x06, b'p', b'u', b'b', b'l', b'i', b'c', 0xa0, 0x19, 0x02, 0x01,
        0x01, 0x02, 0x01, 0x00, 0x02, 0x01, 0x00, 0x30, 0x0e, 0x30, 0x0c, 0x06, 0x08, 0x2b, 0x06, 0x01, 0x02,
        0x01, 0x01, 0x05, 0x00, 0x05, 0x00,
    ];

    #[test]
    fn reads_a_request_byte_for_byte() {
        let (envelope, request) = open(GET_SYS_NAME).unwrap();
        assert_eq!((request.version, envelope.community, request.id), (Version::V2c, &b"public"[..], 1));
        assert_eq!(request.operation, Operation::Get);
        assert_eq!(request.names, ["1.3.6.1.2.1.1.5.0".parse().unwrap()]);
        let mut answer = GET_SYS_NAME.to_vec();
        answer[13] = 0xa2;
        assert_eq!(envelope.seal(&request.respond(Status::NoError, 0, request.bindings)), answer);
    }

    #[test]
    fn reads_each_operation() {
        let cases = [
            (0, 0xa0, Ok(Operation::Get)),
            (1, 0xa1, Ok(Operation::GetNext)),
            (1, 0xa3, Ok(Operation::Set)),
            (1, GET_BULK, Ok(Operation::GetBulk { non_repeaters: 0, max_repetitions: 25 })),
            (0, GET_BULK, Err(BerError::Unexpected)),
            (1, 0xa2, Err(BerError::Unexpected)),
            (1, 0xa7, Err(BerError::Unexpected)),
            (3, 0xa0, Err(BerError::Unexpected)),
        ];
        for (version, kind, expected) in cases {
            let datagram = question(version, kind, -1, 25, &["1.3.6.1"]);
            assert_eq!(open(&datagram).map(|(_, r)| r.operation), expected, "{version} {kind:x}");
        }
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error() {
        for end in 0..GET_SYS_NAME.len() {
            assert!(open(&GET_SYS_NAME[..end]).is_err(), "{end}");
        }
        assert_eq!(open(&[GET_SYS_NAME, &[0]].concat()).err(), Some(BerError::Trailing));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn mutations_never_panic(changes in proptest::collection::vec((0usize..120, any::<u8>()), 1..6)) {
            let mut datagram = question(1, GET_BULK, 1, 10, &["1.3.6.1.2.1.1.5.0", "1.3.6.1.4.1.9.9.683", "2.999"]);
            for (place, byte) in changes {
                let length = datagram.len();
                datagram[place % length] = byte;
            }
            let _ = open(&datagram);
        }
    }
}

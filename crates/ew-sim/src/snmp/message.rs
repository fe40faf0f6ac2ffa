//! SNMP v1 and v2c messages: what is asked, and the envelope of the answer.

use super::ber::{self, BerError, Reader, tag};
use super::oid::Oid;

/// The protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// SNMPv1, RFC 1157.
    V1,
    /// SNMPv2c, RFC 1901.
    V2c,
}

impl Version {
    fn number(self) -> i32 {
        match self {
            Version::V1 => 0,
            Version::V2c => 1,
        }
    }
}

/// What a request wants done with its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The value of each.
    Get,
    /// The first row after each.
    GetNext,
    /// The first row after each of the first `non_repeaters`, then up to `max_repetitions` after each other.
    GetBulk {
        /// Negative numbers on the wire count as 0 (RFC 3416, section 4.2.3).
        non_repeaters: usize,
        /// The same.
        max_repetitions: usize,
    },
    /// A change, which is never allowed here.
    Set,
}

/// The error-status of an answer (RFC 3416, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Status {
    /// None.
    NoError = 0,
    /// The answer would be too large for a datagram.
    TooBig = 1,
    /// v1 only: no such row, or no row after it.
    NoSuchName = 2,
    /// v1 only: a refused change.
    ReadOnly = 4,
    /// v2c: a refused change.
    NotWritable = 17,
}

const GET: u8 = 0xa0;
const GET_NEXT: u8 = 0xa1;
const RESPONSE: u8 = 0xa2;
const SET: u8 = 0xa3;
const GET_BULK: u8 = 0xa5;

/// A request, borrowed from its datagram.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// The version, which the answer repeats.
    pub(crate) version: Version,
    /// Who asks; with one socket for all switches also who is asked.
    pub(crate) community: &'a [u8],
    /// What the answer is matched by.
    pub(crate) id: i32,
    /// What to do.
    pub(crate) operation: Operation,
    /// The names asked for.
    pub(crate) names: Vec<Oid>,
    /// The variable bindings as they came, which v1 repeats beside an error.
    pub(crate) bindings: &'a [u8],
}

impl<'a> Request<'a> {
    /// Reads a datagram; other versions, traps and the like are errors, since nobody answers them.
    pub(crate) fn decode(datagram: &'a [u8]) -> Result<Request<'a>, BerError> {
        let mut outer = Reader::new(datagram);
        let mut message = Reader::new(outer.tagged(tag::SEQUENCE)?);
        outer.finish()?;
        let version = match message.integer()? {
            0 => Version::V1,
            1 => Version::V2c,
            _ => return Err(BerError::Unexpected),
        };
        let community = message.tagged(tag::OCTETS)?;
        let (kind, content) = message.element()?;
        message.finish()?;

        let mut pdu = Reader::new(content);
        let (id, second, third) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
        let operation = match (kind, version) {
            (GET, _) => Operation::Get,
            (GET_NEXT, _) => Operation::GetNext,
            (SET, _) => Operation::Set,
            (GET_BULK, Version::V2c) => {
                Operation::GetBulk { non_repeaters: count(second), max_repetitions: count(third) }
            }
            _ => return Err(BerError::Unexpected),
        };
        let bindings = pdu.tagged(tag::SEQUENCE)?;
        pdu.finish()?;

        let mut names = Vec::new();
        let mut list = Reader::new(bindings);
        while !list.is_empty() {
            let mut binding = Reader::new(list.tagged(tag::SEQUENCE)?);
            names.push(binding.oid()?);
            // The value says nothing in a question, and a change is refused whatever it is.
            binding.element()?;
            binding.finish()?;
        }
        Ok(Request { version, community, id, operation, names, bindings })
    }

    /// The answer with these encoded variable bindings; `index` counts names from 1, 0 is none.
    pub(crate) fn respond(&self, status: Status, index: usize, bindings: &[u8]) -> Vec<u8> {
        let mut pdu = Vec::with_capacity(bindings.len() + 32);
        ber::put_integer(&mut pdu, self.id);
        ber::put_integer(&mut pdu, status as i32);
        ber::put_integer(&mut pdu, i32::try_from(index).unwrap_or(i32::MAX));
        ber::put(&mut pdu, tag::SEQUENCE, bindings);

        let mut message = Vec::with_capacity(pdu.len() + self.community.len() + 16);
        ber::put_integer(&mut message, self.version.number());
        ber::put(&mut message, tag::OCTETS, self.community);
        ber::put(&mut message, RESPONSE, &pdu);

        let mut datagram = Vec::with_capacity(message.len() + 4);
        ber::put(&mut datagram, tag::SEQUENCE, &message);
        datagram
    }
}

fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// A request as a client would send it.
    pub(crate) fn question(version: u8, kind: u8, second: i32, third: i32, names: &[&str]) -> Vec<u8> {
        let mut list = Vec::new();
        for name in names {
            let mut binding = Vec::new();
            ber::put_oid(&mut binding, &name.parse().unwrap());
            ber::put(&mut binding, tag::NULL, &[]);
            ber::put(&mut list, tag::SEQUENCE, &binding);
        }
        let mut pdu = Vec::new();
        for number in [77, second, third] {
            ber::put_integer(&mut pdu, number);
        }
        ber::put(&mut pdu, tag::SEQUENCE, &list);
        let mut message = Vec::new();
        ber::put_integer(&mut message, i32::from(version));
        ber::put(&mut message, tag::OCTETS, b"public");
        ber::put(&mut message, kind, &pdu);
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
        let request = Request::decode(GET_SYS_NAME).unwrap();
        assert_eq!((request.version, request.community, request.id), (Version::V2c, &b"public"[..], 1));
        assert_eq!(request.operation, Operation::Get);
        assert_eq!(request.names, ["1.3.6.1.2.1.1.5.0".parse().unwrap()]);
        let mut answer = GET_SYS_NAME.to_vec();
        answer[13] = RESPONSE;
        assert_eq!(request.respond(Status::NoError, 0, request.bindings), answer);
    }

    #[test]
    fn reads_each_operation() {
        let cases = [
            (0, GET, Ok(Operation::Get)),
            (1, GET_NEXT, Ok(Operation::GetNext)),
            (1, SET, Ok(Operation::Set)),
            (1, GET_BULK, Ok(Operation::GetBulk { non_repeaters: 0, max_repetitions: 25 })),
            (0, GET_BULK, Err(BerError::Unexpected)),
            (1, RESPONSE, Err(BerError::Unexpected)),
            (1, 0xa7, Err(BerError::Unexpected)),
            (3, GET, Err(BerError::Unexpected)),
        ];
        for (version, kind, expected) in cases {
            let datagram = question(version, kind, -1, 25, &["1.3.6.1"]);
            assert_eq!(Request::decode(&datagram).map(|r| r.operation), expected, "{version} {kind:x}");
        }
    }

    #[test]
    fn every_cut_and_every_extra_byte_is_an_error() {
        for end in 0..GET_SYS_NAME.len() {
            assert!(Request::decode(&GET_SYS_NAME[..end]).is_err(), "{end}");
        }
        assert_eq!(Request::decode(&[GET_SYS_NAME, &[0]].concat()).err(), Some(BerError::Trailing));
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
            let _ = Request::decode(&datagram);
        }
    }
}

//! What a request asks, and the PDU that answers it, whichever envelope they travel in.

use super::ber::{self, BerError, Reader, tag};
use super::oid::Oid;

/// Largest datagram sent: one that is not fragmented nearly everywhere.
pub(crate) const DATAGRAM_BYTES_MAX: usize = 1400;

/// The protocol version of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    /// SNMPv1, RFC 1157.
    V1,
    /// SNMPv2c, RFC 1901.
    V2c,
    /// SNMPv3, RFC 3412; its PDUs are those of v2c.
    V3,
}

impl Version {
    /// That of a datagram; the rest of it is not looked at.
    pub(crate) fn of(datagram: &[u8]) -> Result<Version, BerError> {
        match Reader::new(Reader::new(datagram).tagged(tag::SEQUENCE)?).integer()? {
            0 => Ok(Version::V1),
            1 => Ok(Version::V2c),
            3 => Ok(Version::V3),
            _ => Err(BerError::Unexpected),
        }
    }

    /// On the wire.
    pub(crate) fn number(self) -> i32 {
        match self {
            Version::V1 => 0,
            Version::V2c => 1,
            Version::V3 => 3,
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
    /// v3: the user may do nothing at this level of security.
    AuthorizationError = 16,
    /// v2c and v3: a refused change.
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
    /// The version, which decides what an answer may say.
    pub(crate) version: Version,
    /// What the answer is matched by.
    pub(crate) id: i32,
    /// What to do.
    pub(crate) operation: Operation,
    /// The names asked for.
    pub(crate) names: Vec<Oid>,
    /// The variable bindings as they came, which v1 repeats beside an error.
    pub(crate) bindings: &'a [u8],
    /// Largest PDU that its envelope has room for.
    pub(crate) answer_bytes_max: usize,
}

impl<'a> Request<'a> {
    /// Reads a PDU from its tag and its content; traps and the like are errors, since nobody answers them.
    pub(crate) fn decode(
        version: Version,
        kind: u8,
        content: &'a [u8],
        answer_bytes_max: usize,
    ) -> Result<Request<'a>, BerError> {
        let mut pdu = Reader::new(content);
        let (id, second, third) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
        let operation = match (kind, version) {
            (GET, _) => Operation::Get,
            (GET_NEXT, _) => Operation::GetNext,
            (SET, _) => Operation::Set,
            (GET_BULK, Version::V2c | Version::V3) => {
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
        Ok(Request { version, id, operation, names, bindings, answer_bytes_max })
    }

    /// The PDU that answers with these encoded variable bindings; `index` counts names from 1, 0 is none.
    pub(crate) fn respond(&self, status: Status, index: usize, bindings: &[u8]) -> Vec<u8> {
        let index = i32::try_from(index).unwrap_or(i32::MAX);
        encode(RESPONSE, [self.id, status as i32, index], bindings)
    }
}

/// A PDU with these three numbers and these encoded variable bindings.
pub(crate) fn encode(kind: u8, numbers: [i32; 3], bindings: &[u8]) -> Vec<u8> {
    let mut content = Vec::with_capacity(bindings.len() + 32);
    for number in numbers {
        ber::put_integer(&mut content, number);
    }
    ber::put(&mut content, tag::SEQUENCE, bindings);
    let mut pdu = Vec::with_capacity(content.len() + 4);
    ber::put(&mut pdu, kind, &content);
    pdu
}

fn count(number: i32) -> usize {
    usize::try_from(number).unwrap_or(0)
}

//! What stands inside a message: a request, an answer or a report (RFC 3416, 3).

use super::ber::{INTEGER, Malformed, NULL, OCTETS, OID, Reader, SEQUENCE, Writer, signed};
use crate::{Oid, Value, VarBind};

/// The most bytes taken of one text: MIBs have 255 for what profiles read.
pub const TEXT_BYTES_MAX: usize = 1024;

const IP_ADDRESS: u8 = 0x40;
const COUNTER32: u8 = 0x41;
const GAUGE32: u8 = 0x42;
const TIME_TICKS: u8 = 0x43;
const OPAQUE: u8 = 0x44;
const COUNTER64: u8 = 0x46;
/// Of an early SNMPv2; some agents have it yet.
const UNSIGNED32: u8 = 0x47;
const NO_SUCH_OBJECT: u8 = 0x80;
const NO_SUCH_INSTANCE: u8 = 0x81;
const END_OF_MIB_VIEW: u8 = 0x82;

/// What is asked or answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// GetRequest.
    Get,
    /// GetNextRequest.
    GetNext,
    /// Response.
    Response,
    /// GetBulkRequest.
    GetBulk,
    /// Report: SNMPv3's word for why a message was not taken.
    Report,
}

impl Kind {
    const ALL: [(Kind, u8); 5] = [
        (Kind::Get, 0xa0),
        (Kind::GetNext, 0xa1),
        (Kind::Response, 0xa2),
        (Kind::GetBulk, 0xa5),
        (Kind::Report, 0xa8),
    ];

    fn tag(self) -> u8 {
        Kind::ALL.into_iter().find(|(kind, _)| *kind == self).map_or(0, |(_, tag)| tag)
    }

    fn of(tag: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|(_, of)| *of == tag).map(|(kind, _)| kind)
    }
}

/// A request, an answer or a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pdu {
    /// Which of them.
    pub kind: Kind,
    /// An answer has that of its request.
    pub request_id: i32,
    /// error-status; of GETBULK non-repeaters.
    pub status: i32,
    /// error-index, from 1; of GETBULK max-repetitions.
    pub index: i32,
    /// Objects; of a request without values.
    pub varbinds: Vec<VarBind>,
}

impl Pdu {
    /// A request for these objects.
    pub fn request(kind: Kind, request_id: i32, oids: impl IntoIterator<Item = Oid>) -> Pdu {
        let varbinds = oids.into_iter().map(|oid| VarBind { oid, value: Value::Absent }).collect();
        Pdu { kind, request_id, status: 0, index: 0, varbinds }
    }

    /// Writes a request. Values are not written: a request has none.
    pub fn encode(&self, out: &mut Writer) {
        out.within(self.kind.tag(), |out| {
            for number in [self.request_id, self.status, self.index] {
                out.integer(i64::from(number));
            }
            out.within(SEQUENCE, |out| {
                for varbind in &self.varbinds {
                    out.within(SEQUENCE, |out| {
                        out.oid(&varbind.oid);
                        out.element(NULL, &[]);
                    });
                }
            });
        });
    }

    /// Reads the next element as a PDU.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Pdu, Malformed> {
        let (tag, place) = reader.element("the PDU")?;
        let Some(kind) = Kind::of(tag) else {
            return Err(Malformed::new(format!("the PDU is of an unknown kind {tag:#04x}")));
        };
        let mut reader = reader.inside(place);
        let mut number = |what: &str| {
            let number = reader.integer(what)?;
            i32::try_from(number).map_err(|_| Malformed::new(format!("{what} is {number}")))
        };
        let (request_id, status, index) =
            (number("the request id")?, number("the error-status")?, number("the error-index")?);
        let mut list = reader.enter(SEQUENCE, "the list of values")?;
        let mut varbinds = Vec::new();
        while !list.is_empty() {
            let mut varbind = list.enter(SEQUENCE, "a value with its object")?;
            let oid = varbind.contents(OID, "an object identifier")?;
            let oid = Oid::from_ber(oid).ok_or_else(|| Malformed::new("an object identifier is none"))?;
            let value = value(&mut varbind, &oid)?;
            varbinds.push(VarBind { oid, value });
        }
        Ok(Pdu { kind, request_id, status, index, varbinds })
    }
}

fn value(reader: &mut Reader<'_>, oid: &Oid) -> Result<Value, Malformed> {
    let what = "a value";
    let (tag, place) = reader.element(what)?;
    let bytes = reader.bytes(place);
    let too_wide = |_| Malformed::new(format!("{oid} is a number of {} bytes", bytes.len()));
    Ok(match tag {
        INTEGER => Value::Integer(signed(bytes, what).map_err(too_wide)?),
        COUNTER32 | GAUGE32 | TIME_TICKS | UNSIGNED32 => Value::Integer(match bytes {
            // Agents leave out the zero byte that would say that this is not negative.
            [a, b, c, d] => i64::from(u32::from_be_bytes([*a, *b, *c, *d])),
            _ => signed(bytes, what).map_err(too_wide)?,
        }),
        COUNTER64 => match bytes {
            [0, rest @ ..] if rest.len() == 8 => Value::Other,
            _ if bytes.len() == 8 && bytes[0] >= 0x80 => Value::Other,
            _ => Value::Integer(signed(bytes, what).map_err(too_wide)?),
        },
        OCTETS if bytes.len() > TEXT_BYTES_MAX => {
            let found = bytes.len();
            return Err(Malformed::new(format!("{oid} is a text of {found} bytes, above {TEXT_BYTES_MAX}")));
        }
        OCTETS => Value::Text(bytes.to_vec()),
        NULL | NO_SUCH_OBJECT | NO_SUCH_INSTANCE => Value::Absent,
        END_OF_MIB_VIEW => Value::EndOfView,
        OID | IP_ADDRESS | OPAQUE => Value::Other,
        _ => return Err(Malformed::new(format!("{oid} has a value of the unknown tag {tag:#04x}"))),
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        /// Object identifiers that SNMP allows.
        fn oid()(first in 0..3_u32, second in 0..40_u32, rest in prop::collection::vec(any::<u32>(), 0..126)) -> Oid {
            Oid::new(&[&[first, second], rest.as_slice()].concat())
        }
    }

    prop_compose! {
        /// Requests of every kind.
        pub(crate) fn request()(
            kind in prop::sample::select(Kind::ALL.map(|(kind, _)| kind).to_vec()),
            numbers: (i32, i32, i32),
            oids in prop::collection::vec(oid(), 0..20),
        ) -> Pdu {
            Pdu { status: numbers.1, index: numbers.2, ..Pdu::request(kind, numbers.0, oids) }
        }
    }

    pub(crate) fn encoded(pdu: &Pdu) -> Vec<u8> {
        let mut out = Writer::default();
        pdu.encode(&mut out);
        out.finish()
    }

    /// A datagram of some bytes changed, and perhaps cut short.
    pub(crate) fn damaged(mut datagram: Vec<u8>, changes: &[(usize, u8)], kept: usize) -> Vec<u8> {
        for (place, byte) in changes {
            let place = place % datagram.len();
            datagram[place] = *byte;
        }
        datagram.truncate(kept);
        datagram
    }

    /// Where a datagram is damaged.
    pub(crate) fn damage() -> impl Strategy<Value = (Vec<(usize, u8)>, usize)> {
        (prop::collection::vec(any::<(usize, u8)>(), 0..6), 0..3000_usize)
    }

    proptest! {
        #[test]
        fn requests_round_trip(pdu in request()) {
            let bytes = encoded(&pdu);
            prop_assert_eq!(Pdu::decode(&mut Reader::new(&bytes)), Ok(pdu));
        }

        #[test]
        fn damaged_ones_are_read_or_refused(pdu in request(), (changes, kept) in damage()) {
            let bytes = damaged(encoded(&pdu), &changes, kept);
            if let Ok(read) = Pdu::decode(&mut Reader::new(&bytes)) {
                // An object with its value takes four bytes at least.
                prop_assert!(read.varbinds.len() <= bytes.len() / 4);
            }
        }

        #[test]
        fn any_value_is_read_or_refused(tag: u8, contents in prop::collection::vec(any::<u8>(), 0..1200)) {
            let mut out = Writer::default();
            out.element(tag, &contents);
            match value(&mut Reader::new(&out.finish()), &Oid::new(&[1, 3])) {
                Ok(Value::Text(text)) => prop_assert!(text == contents && text.len() <= TEXT_BYTES_MAX),
                Ok(_) => {}
                Err(error) => prop_assert!(error.0.len() < 100),
            }
        }
    }

    #[test]
    fn numbers_of_every_type() {
        for (tag, bytes, expect) in [
            (INTEGER, &[0xff][..], Value::Integer(-1)),
            (GAUGE32, &[0, 0xff, 0xff, 0xff, 0xff], Value::Integer(0xffff_ffff)),
            // Without its zero byte.
            (GAUGE32, &[0xff, 0xff, 0xff, 0xff], Value::Integer(0xffff_ffff)),
            (COUNTER32, &[7], Value::Integer(7)),
            (COUNTER64, &[1, 0, 0, 0, 0], Value::Integer(1 << 32)),
            (COUNTER64, &[0, 0xff, 0, 0, 0, 0, 0, 0, 0], Value::Other),
            (COUNTER64, &[0xff, 0, 0, 0, 0, 0, 0, 0], Value::Other),
            (IP_ADDRESS, &[1, 2, 3, 4], Value::Other),
            (NO_SUCH_INSTANCE, &[], Value::Absent),
            (END_OF_MIB_VIEW, &[], Value::EndOfView),
        ] {
            let mut out = Writer::default();
            out.element(tag, bytes);
            let read = value(&mut Reader::new(&out.finish()), &Oid::new(&[1, 3]));
            assert_eq!(read, Ok(expect), "{tag:#x} {bytes:x?}");
        }
    }
}

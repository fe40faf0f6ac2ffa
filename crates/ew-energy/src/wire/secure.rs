//! Messages of SNMPv3 with the user-based security model (RFC 3412, 6; RFC 3414, 2.4).

use super::ber::{INTEGER, Malformed, OCTETS, Reader, SEQUENCE, Writer};
use super::pdu::Pdu;
use std::ops::Range;

const V3: i64 = 3;
const USER_BASED: i64 = 3;
/// All that fits into a UDP datagram.
const MESSAGE_BYTES_MAX: i64 = 65_507;
/// RFC 3411, 5: SnmpEngineID.
const ENGINE_ID_BYTES_MAX: usize = 32;

/// msgFlags: the message is signed.
pub const SIGNED: u8 = 1;
/// msgFlags: the message is encrypted.
pub const ENCRYPTED: u8 = 2;
/// msgFlags: a report is wanted where the message is not taken.
pub const REPORTABLE: u8 = 4;

/// What stands before the data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Header {
    /// msgID: an answer has that of its request.
    pub id: i32,
    /// msgFlags.
    pub flags: u8,
    /// msgAuthoritativeEngineID: the agent's.
    pub engine_id: Vec<u8>,
    /// msgAuthoritativeEngineBoots.
    pub boots: i32,
    /// msgAuthoritativeEngineTime, seconds.
    pub time: i32,
    /// msgUserName.
    pub user: Vec<u8>,
    /// msgPrivacyParameters.
    pub salt: Vec<u8>,
}

/// A datagram, read as far as its header.
#[derive(Debug, Clone)]
pub struct Envelope<'a> {
    /// What stands before the data.
    pub header: Header,
    /// Where in the datagram the signature is.
    pub signature: Range<usize>,
    /// The encrypted data, or where the scoped PDU begins.
    data: Data<'a>,
}

#[derive(Debug, Clone)]
enum Data<'a> {
    Plain(Reader<'a>),
    Encrypted(&'a [u8]),
}

/// A datagram with `signature_bytes` zeros for the signature. `data` is a [`scoped`] PDU, or, where the flags
/// say so, that encrypted.
pub fn seal(header: &Header, signature_bytes: usize, data: &[u8]) -> Vec<u8> {
    let mut security = Writer::default();
    security.within(SEQUENCE, |out| {
        out.element(OCTETS, &header.engine_id);
        out.integer(i64::from(header.boots));
        out.integer(i64::from(header.time));
        out.element(OCTETS, &header.user);
        out.element(OCTETS, &vec![0; signature_bytes]);
        out.element(OCTETS, &header.salt);
    });
    let mut out = Writer::default();
    out.within(SEQUENCE, |out| {
        out.integer(V3);
        out.within(SEQUENCE, |out| {
            out.integer(i64::from(header.id));
            out.integer(MESSAGE_BYTES_MAX);
            out.element(OCTETS, &[header.flags]);
            out.integer(USER_BASED);
        });
        out.element(OCTETS, &security.finish());
        match header.flags & ENCRYPTED {
            0 => out.raw(data),
            _ => out.element(OCTETS, data),
        }
    });
    out.finish()
}

/// A PDU with its context.
pub fn scoped(engine_id: &[u8], context: &str, pdu: &Pdu) -> Vec<u8> {
    let mut out = Writer::default();
    out.within(SEQUENCE, |out| {
        out.element(OCTETS, engine_id);
        out.element(OCTETS, context.as_bytes());
        pdu.encode(out);
    });
    out.finish()
}

/// Reads a datagram's header.
pub fn open(datagram: &[u8]) -> Result<Envelope<'_>, Malformed> {
    let mut message = Reader::new(datagram).enter(SEQUENCE, "the message")?;
    let version = message.integer("the version")?;
    if version != V3 {
        return Err(Malformed::new(format!("the message is of version {version}, not {V3}")));
    }
    let mut global = message.enter(SEQUENCE, "the header")?;
    let id = global.natural("the message id")?;
    global.contents(INTEGER, "the greatest size")?;
    let &[flags] = global.contents(OCTETS, "the flags")? else {
        return Err(Malformed::new("the flags are not one byte"));
    };
    let model = global.integer("the security model")?;
    if model != USER_BASED {
        return Err(Malformed::new(format!("the security model is {model}, not {USER_BASED}")));
    }
    let mut security = message.enter(OCTETS, "the security parameters")?.enter(SEQUENCE, "the user's")?;
    let engine_id = security.contents(OCTETS, "the engine id")?;
    if engine_id.len() > ENGINE_ID_BYTES_MAX {
        return Err(Malformed::new(format!("the engine id has {} bytes", engine_id.len())));
    }
    let (boots, time) = (security.natural("the engine's boots")?, security.natural("the engine's time")?);
    let user = security.contents(OCTETS, "the user")?;
    let signature = security.place(OCTETS, "the signature")?;
    let salt = security.contents(OCTETS, "the salt")?;
    let data = match flags & ENCRYPTED {
        0 => Data::Plain(message),
        _ => Data::Encrypted(message.contents(OCTETS, "the encrypted data")?),
    };
    let header =
        Header { id, flags, engine_id: engine_id.into(), boots, time, user: user.into(), salt: salt.into() };
    Ok(Envelope { header, signature, data })
}

impl Envelope<'_> {
    /// The PDU; `decrypt` is asked for the scoped PDU where that is encrypted.
    pub fn pdu(
        self,
        decrypt: impl FnOnce(&Header, &[u8]) -> Result<Vec<u8>, Malformed>,
    ) -> Result<Pdu, Malformed> {
        match self.data {
            Data::Plain(mut reader) => unscope(&mut reader),
            Data::Encrypted(bytes) => unscope(&mut Reader::new(&decrypt(&self.header, bytes)?)),
        }
    }
}

/// What follows the scoped PDU is what filled the last block of a cipher.
fn unscope(reader: &mut Reader<'_>) -> Result<Pdu, Malformed> {
    let mut scoped = reader.enter(SEQUENCE, "the scoped PDU")?;
    scoped.contents(OCTETS, "the context's engine id")?;
    scoped.contents(OCTETS, "the context's name")?;
    Pdu::decode(&mut scoped)
}

#[cfg(test)]
mod tests {
    use super::super::pdu::tests::{damage, damaged, request};
    use super::*;
    use proptest::prelude::*;

    prop_compose! {
        fn header()(
            numbers in (0..=i32::MAX, 0..=i32::MAX, 0..=i32::MAX),
            flags in 0..8_u8,
            engine_id in prop::collection::vec(any::<u8>(), 0..=ENGINE_ID_BYTES_MAX),
            user: Vec<u8>,
            salt: Vec<u8>,
        ) -> Header {
            Header { id: numbers.0, flags, engine_id, boots: numbers.1, time: numbers.2, user, salt }
        }
    }

    proptest! {
        /// The cipher stands for itself here: what was encrypted comes out as it went in.
        #[test]
        fn messages_round_trip(header in header(), pdu in request(), signature_bytes in 0..64_usize) {
            let datagram = seal(&header, signature_bytes, &scoped(&header.engine_id, "ctx", &pdu));
            let envelope = open(&datagram).unwrap();
            prop_assert_eq!(&envelope.header, &header);
            prop_assert_eq!(&datagram[envelope.signature.clone()], vec![0; signature_bytes]);
            prop_assert_eq!(envelope.pdu(|_, data| Ok(data.to_vec())), Ok(pdu));
        }

        #[test]
        fn damaged_ones_are_read_or_refused(header in header(), pdu in request(), (changes, kept) in damage()) {
            let datagram = damaged(seal(&header, 12, &scoped(b"engine", "", &pdu)), &changes, kept);
            if let Ok(envelope) = open(&datagram) {
                prop_assert!(envelope.signature.end <= datagram.len());
                let _ = envelope.pdu(|_, data| Ok(data.to_vec()));
            }
        }

        #[test]
        fn whatever_comes_is_read_or_refused(bytes: Vec<u8>) {
            prop_assert!(open(&bytes).is_err());
        }
    }
}

//! The envelope of v3 (RFC 3412, section 6) with the parameters of its user-based security (RFC 3414, 2.4).

use super::super::ber::{self, BerError, Reader, tag};
use super::super::message::Version;
use super::user::{Level, NAME_BYTES_MAX};
use std::ops::Range;

/// The only security model here.
const USM: i32 = 3;
/// What any sender must take (RFC 3412, section 6).
const SIZE_MIN: i32 = 484;
/// What is taken here.
const SIZE_MAX: i32 = 8192;

const AUTH: u8 = 1;
const PRIVACY: u8 = 2;
const REPORTABLE: u8 = 4;

/// A message that came, borrowed from its datagram.
#[derive(Debug)]
pub(crate) struct Incoming<'a> {
    datagram: &'a [u8],
    /// What the answer is matched by.
    pub(crate) id: i32,
    /// Largest answer that the sender takes.
    pub(crate) size_max: usize,
    /// How it claims to be protected.
    pub(crate) level: Level,
    /// Whether it may be answered with a report.
    pub(crate) reportable: bool,
    /// The engine whose clock and keys hold.
    pub(crate) engine_id: &'a [u8],
    /// That engine's boots, as the sender knows them.
    pub(crate) boots: i32,
    /// The same of its time.
    pub(crate) time: i32,
    /// Who asks.
    pub(crate) user: &'a [u8],
    /// The digest.
    pub(crate) digest: &'a [u8],
    digest_at: Range<usize>,
    /// What the encryption was salted with.
    pub(crate) salt: &'a [u8],
    /// The scoped PDU: the content of its sequence or, at the level of [`Level::Secret`], encrypted.
    pub(crate) data: &'a [u8],
}

impl<'a> Incoming<'a> {
    /// Reads a datagram.
    pub(crate) fn decode(datagram: &'a [u8]) -> Result<Incoming<'a>, BerError> {
        let mut outer = Reader::new(datagram);
        let mut message = Reader::new(outer.tagged(tag::SEQUENCE)?);
        outer.finish()?;
        if message.integer()? != Version::V3.number() {
            return Err(BerError::Unexpected);
        }

        let mut header = Reader::new(message.tagged(tag::SEQUENCE)?);
        let (id, size_max) = (header.integer()?, header.integer()?);
        let &[flags] = header.tagged(tag::OCTETS)? else { return Err(BerError::Unexpected) };
        let model = header.integer()?;
        header.finish()?;
        let level = match (flags & AUTH != 0, flags & PRIVACY != 0) {
            (false, false) => Level::Open,
            (true, false) => Level::Signed,
            (true, true) => Level::Secret,
            (false, true) => return Err(BerError::Unexpected),
        };
        if model != USM || size_max < SIZE_MIN {
            return Err(BerError::Unexpected);
        }

        let mut parameters = Reader::new(message.tagged(tag::OCTETS)?);
        let mut security = Reader::new(parameters.tagged(tag::SEQUENCE)?);
        parameters.finish()?;
        let engine_id = security.tagged(tag::OCTETS)?;
        let (boots, time) = (security.integer()?, security.integer()?);
        let user = security.tagged(tag::OCTETS)?;
        if user.len() > NAME_BYTES_MAX {
            return Err(BerError::Unexpected);
        }
        let digest = security.tagged(tag::OCTETS)?;
        // Nothing of the three wrappers comes after their content, so what is not read yet is the end.
        let digest_end = datagram.len() - security.len() - message.len();
        let salt = security.tagged(tag::OCTETS)?;
        security.finish()?;

        let expected = if level == Level::Secret { tag::OCTETS } else { tag::SEQUENCE };
        let data = message.tagged(expected)?;
        message.finish()?;
        Ok(Incoming {
            datagram,
            id,
            size_max: usize::try_from(size_max).unwrap_or(0),
            level,
            reportable: flags & REPORTABLE != 0,
            engine_id,
            boots,
            time,
            user,
            digest,
            digest_at: digest_end - digest.len()..digest_end,
            salt,
            data,
        })
    }

    /// The datagram with zeros for the digest, which is what was signed.
    pub(crate) fn unsigned(&self) -> Vec<u8> {
        let mut unsigned = self.datagram.to_vec();
        if let Some(digest) = unsigned.get_mut(self.digest_at.clone()) {
            digest.fill(0);
        }
        unsigned
    }
}

/// A message to send.
#[derive(Debug)]
pub(crate) struct Outgoing<'a> {
    /// That of the message it answers.
    pub(crate) id: i32,
    /// How it is protected.
    pub(crate) level: Level,
    /// Our engine.
    pub(crate) engine_id: &'a [u8],
    /// Its boots.
    pub(crate) boots: i32,
    /// Its time.
    pub(crate) time: i32,
    /// Who asked.
    pub(crate) user: &'a [u8],
    /// Bytes to leave for the digest.
    pub(crate) digest_bytes: usize,
    /// What the encryption was salted with.
    pub(crate) salt: &'a [u8],
    /// The content of the scoped PDU's sequence, or the whole of it encrypted.
    pub(crate) data: &'a [u8],
}

impl Outgoing<'_> {
    /// The datagram with zeros for the digest, and where this goes.
    pub(crate) fn encode(&self) -> (Vec<u8>, Range<usize>) {
        let flags = match self.level {
            Level::Open => 0,
            Level::Signed => AUTH,
            Level::Secret => AUTH | PRIVACY,
        };
        let mut header = Vec::new();
        ber::put_integer(&mut header, self.id);
        ber::put_integer(&mut header, SIZE_MAX);
        ber::put(&mut header, tag::OCTETS, &[flags]);
        ber::put_integer(&mut header, USM);

        let mut security = Vec::new();
        ber::put(&mut security, tag::OCTETS, self.engine_id);
        ber::put_integer(&mut security, self.boots);
        ber::put_integer(&mut security, self.time);
        ber::put(&mut security, tag::OCTETS, self.user);
        ber::put(&mut security, tag::OCTETS, &vec![0; self.digest_bytes]);
        let before_salt = security.len();
        ber::put(&mut security, tag::OCTETS, self.salt);
        let mut after_digest = security.len() - before_salt;
        let mut parameters = Vec::new();
        ber::put(&mut parameters, tag::SEQUENCE, &security);

        let mut message = Vec::new();
        ber::put_integer(&mut message, Version::V3.number());
        ber::put(&mut message, tag::SEQUENCE, &header);
        ber::put(&mut message, tag::OCTETS, &parameters);
        let before_data = message.len();
        let wrapper = if self.level == Level::Secret { tag::OCTETS } else { tag::SEQUENCE };
        ber::put(&mut message, wrapper, self.data);
        after_digest += message.len() - before_data;

        let mut datagram = Vec::with_capacity(message.len() + 4);
        ber::put(&mut datagram, tag::SEQUENCE, &message);
        let digest_end = datagram.len() - after_digest;
        (datagram, digest_end - self.digest_bytes..digest_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn sample(level: Level, digest_bytes: usize) -> Outgoing<'static> {
        Outgoing {
            id: 9,
            level,
            engine_id: b"engine",
            boots: 5,
            time: 300,
            user: b"poller",
            digest_bytes,
            salt: b"12345678",
            data: &[7; 200],
        }
    }

    #[test]
    fn what_is_sent_is_read_back() {
        for (level, digest_bytes) in [(Level::Open, 0), (Level::Signed, 12), (Level::Secret, 48)] {
            let (mut datagram, place) = sample(level, digest_bytes).encode();
            let unsigned = datagram.clone();
            datagram[place.clone()].fill(0xee);
            let message = Incoming::decode(&datagram).unwrap();
            assert_eq!((message.id, message.level, message.reportable), (9, level, false));
            assert_eq!((message.engine_id, message.boots, message.time), (&b"engine"[..], 5, 300));
            assert_eq!((message.user, message.salt), (&b"poller"[..], &b"12345678"[..]));
            assert_eq!((message.digest, message.data), (&vec![0xee; digest_bytes][..], &[7; 200][..]));
            assert_eq!((message.digest_at.clone(), message.unsigned()), (place, unsigned));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]
        #[test]
        fn mutations_and_cuts_never_panic(
            changes in proptest::collection::vec((0usize..300, any::<u8>()), 0..6),
            cut in 0usize..300,
        ) {
            let (mut datagram, _) = sample(Level::Secret, 24).encode();
            for (place, byte) in changes {
                let length = datagram.len();
                datagram[place % length] = byte;
            }
            datagram.truncate(cut);
            if let Ok(message) = Incoming::decode(&datagram) {
                message.unsigned();
            }
        }
    }
}

//! SNMPv3 with user-based security: one engine, from datagram to datagram by the steps of RFC 3414, section 3.2.

mod crypto;
mod message;
mod user;

use super::agent::fail;
use super::ber::{self, BerError, Reader, tag};
use super::drift::scramble;
use super::message::{DATAGRAM_BYTES_MAX, Request, Status, Version, encode};
use super::oid::Oid;
use super::value::{Answer, Value};
use crypto::Nonce;
use message::{Incoming, Outgoing};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;
use user::{Level, User};

pub(crate) use user::{Credentials, UserSpec};

/// The tag of a Report-PDU.
const REPORT: u8 = 0xa8;
/// Seconds by which a sender's idea of our time may be off.
const TIME_WINDOW: u32 = 150;
/// Most bytes around a PDU, with the longest user name, digest and padding; a little more than needed.
const ENVELOPE_BYTES_MAX: usize = 200;

/// What is counted, and told in a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    UnsupportedSecLevels,
    NotInTimeWindows,
    UnknownUserNames,
    UnknownEngineIds,
    WrongDigests,
    DecryptionErrors,
    UnknownPduHandlers,
    UnknownContexts,
}

impl Reason {
    /// The counter's name (RFC 3414, RFC 3412, RFC 3413).
    fn name(self) -> Oid {
        let rest: &[u32] = match self {
            Reason::UnsupportedSecLevels => &[15, 1, 1, 1, 0],
            Reason::NotInTimeWindows => &[15, 1, 1, 2, 0],
            Reason::UnknownUserNames => &[15, 1, 1, 3, 0],
            Reason::UnknownEngineIds => &[15, 1, 1, 4, 0],
            Reason::WrongDigests => &[15, 1, 1, 5, 0],
            Reason::DecryptionErrors => &[15, 1, 1, 6, 0],
            Reason::UnknownPduHandlers => &[11, 2, 1, 3, 0],
            Reason::UnknownContexts => &[12, 1, 5, 0],
        };
        Oid::below(&[1, 3, 6, 1, 6, 3], rest)
    }
}

/// Why a message is not served.
#[derive(Debug, PartialEq, Eq)]
enum Refusal {
    /// It is counted, and the sender told why if it wants to know.
    Report(Reason),
    /// Says nothing. This is also what a wrong privacy password comes to: the rubbish it decrypts to is no PDU.
    Silence,
}

impl From<BerError> for Refusal {
    fn from(_: BerError) -> Refusal {
        Refusal::Silence
    }
}

/// The SNMP engine of one switch.
#[derive(Debug)]
pub(crate) struct Engine {
    id: Vec<u8>,
    boots: i32,
    users: HashMap<Vec<u8>, User>,
    /// Never the same twice.
    salt: AtomicU64,
    /// One for each [`Reason`].
    counters: [AtomicU32; 8],
}

impl Engine {
    /// Of switch `number` with these users; with another seed a switch is another engine.
    pub(crate) fn new(number: u16, seed: u64, boots: i32, users: &[Credentials]) -> Engine {
        // Cisco's number, then format 3: a MAC address, here one that is locally administered.
        let mut id = vec![0x80, 0, 0, 9, 3, 2];
        id.extend_from_slice(&scramble([seed]).to_be_bytes()[..3]);
        id.extend_from_slice(&number.to_be_bytes());
        let users = users.iter().map(|user| (user.name().to_vec(), user.localized(&id))).collect();
        let salt = AtomicU64::new(scramble([seed, u64::from(number)]));
        Engine { id, boots, users, salt, counters: Default::default() }
    }

    /// The datagram that answers one of v3, if any does; `agent` makes the PDU.
    pub(crate) fn answer(
        &self,
        datagram: &[u8],
        elapsed: Duration,
        agent: impl FnOnce(&Request<'_>) -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let message = Incoming::decode(datagram).ok()?;
        // The clock of an engine wraps after 68 years.
        let time = (elapsed.as_secs() & 0x7fff_ffff) as i32;
        let outcome = self.user(&message).and_then(|user| {
            let scoped = self.opened(&message, user, time)?;
            Ok((user, message.level, self.served(&message, user, &scoped, agent)?))
        });
        match outcome {
            Ok((user, level, pdu)) => self.seal(&message, time, level, Some(user), &pdu),
            Err(Refusal::Report(reason)) => self.report(&message, time, reason),
            Err(Refusal::Silence) => None,
        }
    }

    /// Steps 3 to 5: who asks, and whether there are keys for the level.
    fn user(&self, message: &Incoming<'_>) -> Result<&User, Refusal> {
        if message.engine_id != self.id {
            return Err(Refusal::Report(Reason::UnknownEngineIds));
        }
        let user = self.users.get(message.user).ok_or(Refusal::Report(Reason::UnknownUserNames))?;
        if message.level > user.level() {
            return Err(Refusal::Report(Reason::UnsupportedSecLevels));
        }
        Ok(user)
    }

    /// Steps 6 to 8: the content of the scoped PDU, after digest and time were found right.
    fn opened(&self, message: &Incoming<'_>, user: &User, time: i32) -> Result<Vec<u8>, Refusal> {
        if message.level >= Level::Signed {
            if user.digest(&message.unsigned()).is_none_or(|digest| digest != message.digest) {
                return Err(Refusal::Report(Reason::WrongDigests));
            }
            if message.boots != self.boots || message.time.abs_diff(time) > TIME_WINDOW {
                return Err(Refusal::Report(Reason::NotInTimeWindows));
            }
        }
        if message.level < Level::Secret {
            return Ok(message.data.to_vec());
        }
        let salt = message.salt.try_into().ok();
        let nonce = salt.map(|salt| Nonce { boots: message.boots, time: message.time, salt });
        let plain = nonce.and_then(|nonce| user.decrypt(nonce, message.data.to_vec()));
        let plain = plain.ok_or(Refusal::Report(Reason::DecryptionErrors))?;
        Ok(Reader::new(&plain).tagged(tag::SEQUENCE)?.to_vec())
    }

    /// The PDU that answers that of a scoped PDU.
    fn served(
        &self,
        message: &Incoming<'_>,
        user: &User,
        scoped: &[u8],
        agent: impl FnOnce(&Request<'_>) -> Vec<u8>,
    ) -> Result<Vec<u8>, Refusal> {
        let mut reader = Reader::new(scoped);
        let (engine_id, context) = (reader.tagged(tag::OCTETS)?, reader.tagged(tag::OCTETS)?);
        let (kind, content) = reader.element()?;
        reader.finish()?;
        let room = DATAGRAM_BYTES_MAX.min(message.size_max).saturating_sub(ENVELOPE_BYTES_MAX);
        let request = Request::decode(Version::V3, kind, content, room)?;
        if engine_id != self.id {
            return Err(Refusal::Report(Reason::UnknownPduHandlers));
        }
        if !context.is_empty() {
            return Err(Refusal::Report(Reason::UnknownContexts));
        }
        if message.level < user.level() {
            return Ok(fail(&request, Status::AuthorizationError, 0));
        }
        Ok(agent(&request))
    }

    /// Counts the reason, and tells it to a sender who wants to know.
    fn report(&self, message: &Incoming<'_>, time: i32, reason: Reason) -> Option<Vec<u8>> {
        let count = self.counters.get(reason as usize)?.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        if !message.reportable {
            return None;
        }
        let mut binding = Vec::new();
        Answer::Value(Value::Counter32(count)).put(&reason.name(), &mut binding);
        let pdu = encode(REPORT, [request_id(message), 0, 0], &binding);
        // A sender believes a clock only when it is signed; of the rest, digest or user are in doubt.
        let (level, user) = match reason {
            Reason::NotInTimeWindows => (Level::Signed, self.users.get(message.user)),
            Reason::UnknownPduHandlers | Reason::UnknownContexts => {
                (message.level, self.users.get(message.user))
            }
            _ => (Level::Open, None),
        };
        self.seal(message, time, level, user, &pdu)
    }

    /// The datagram with a PDU that answers `message`; none where the level has no key.
    fn seal(
        &self,
        message: &Incoming<'_>,
        time: i32,
        level: Level,
        user: Option<&User>,
        pdu: &[u8],
    ) -> Option<Vec<u8>> {
        let mut data = Vec::with_capacity(pdu.len() + 32);
        ber::put(&mut data, tag::OCTETS, &self.id);
        ber::put(&mut data, tag::OCTETS, &[]);
        data.extend_from_slice(pdu);
        let mut salt = Vec::new();
        if level == Level::Secret {
            let number = self.salt.fetch_add(1, Ordering::Relaxed).to_be_bytes();
            let mut plain = Vec::with_capacity(data.len() + 12);
            ber::put(&mut plain, tag::SEQUENCE, &data);
            data = user?.encrypt(Nonce { boots: self.boots, time, salt: number }, plain)?;
            salt = number.to_vec();
        }
        let signer = user.filter(|_| level >= Level::Signed);
        let (mut datagram, place) = Outgoing {
            id: message.id,
            level,
            engine_id: &self.id,
            boots: self.boots,
            time,
            user: message.user,
            digest_bytes: signer.map_or(0, User::digest_bytes),
            salt: &salt,
            data: &data,
        }
        .encode();
        if let Some(signer) = signer {
            let digest = signer.digest(&datagram)?;
            datagram.get_mut(place)?.copy_from_slice(&digest);
        }
        Some(datagram)
    }
}

/// The request-id of a message that is not served, where it can be told; else 0 (RFC 3412, section 7.1).
fn request_id(message: &Incoming<'_>) -> i32 {
    let read = || {
        let mut scoped = Reader::new(message.data);
        scoped.tagged(tag::OCTETS)?;
        scoped.tagged(tag::OCTETS)?;
        Reader::new(scoped.element()?.1).integer()
    };
    if message.level == Level::Secret { 0 } else { read().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LONG_NAME: &str = "a-user-whose-name-has-32-bytes-x";
    const NOW: Duration = Duration::from_secs(1000);

    fn engine() -> Engine {
        let users = [format!("{LONG_NAME}:sha512:authpass1:des:privpass1")];
        let users: Vec<_> = users.iter().map(|text| Credentials::new(&text.parse().unwrap())).collect();
        Engine::new(1, 0, 5, &users)
    }

    /// What a client sends that thinks our clock shows `boots` and `time`.
    fn question(engine: &Engine, level: Level, boots: i32, time: i32) -> Vec<u8> {
        let user = &engine.users[LONG_NAME.as_bytes()];
        let mut scoped = Vec::new();
        ber::put(&mut scoped, tag::OCTETS, &engine.id);
        ber::put(&mut scoped, tag::OCTETS, &[]);
        scoped.extend(encode(0xa5, [1, 0, 1000], &[]));
        let salt = [9; 8];
        if level == Level::Secret {
            let mut plain = Vec::new();
            ber::put(&mut plain, tag::SEQUENCE, &scoped);
            scoped = user.encrypt(Nonce { boots, time, salt }, plain).unwrap();
        }
        let digest_bytes = if level == Level::Open { 0 } else { user.digest_bytes() };
        let (mut datagram, place) = Outgoing {
            id: i32::MAX,
            level,
            engine_id: &engine.id,
            boots,
            time,
            user: LONG_NAME.as_bytes(),
            digest_bytes,
            salt: &salt,
            data: &scoped,
        }
        .encode();
        if level != Level::Open {
            let digest = user.digest(&datagram).unwrap();
            datagram[place].copy_from_slice(&digest);
        }
        datagram
    }

    #[test]
    fn the_fullest_answer_fits_a_datagram() {
        let engine = engine();
        let datagram = question(&engine, Level::Secret, 5, 1000);
        let full = engine.answer(&datagram, NOW, |request| vec![7; request.answer_bytes_max]).unwrap();
        assert!((DATAGRAM_BYTES_MAX - 40..=DATAGRAM_BYTES_MAX).contains(&full.len()), "{}", full.len());
    }

    #[test]
    fn the_time_window_is_150_seconds_wide_on_both_sides() {
        let engine = engine();
        let answered = |boots, time| {
            let datagram = question(&engine, Level::Secret, boots, time);
            // The question allows no report, so that a refusal is silence.
            engine.answer(&datagram, NOW, |request| request.respond(Status::NoError, 0, &[])).is_some()
        };
        assert!(answered(5, 850) && answered(5, 1150));
        assert!(!answered(5, 849) && !answered(5, 1151));
        assert!(!answered(4, 1000) && !answered(6, 1000));
        let refused = engine.counters[Reason::NotInTimeWindows as usize].load(Ordering::Relaxed);
        assert_eq!(refused, 4);
    }

    #[test]
    fn below_its_level_a_user_never_gets_to_the_agent() {
        let engine = engine();
        for level in [Level::Open, Level::Signed] {
            let datagram = question(&engine, level, 5, 1000);
            let answer = engine.answer(&datagram, NOW, |_| panic!("asked")).unwrap();
            assert_eq!(Incoming::decode(&answer).unwrap().level, level);
        }
    }

    #[test]
    fn engines_differ_by_switch_and_by_seed() {
        let id = |number, seed| Engine::new(number, seed, 1, &[]).id;
        assert_eq!(id(1, 0), id(1, 0));
        assert_ne!(id(1, 0), id(2, 0));
        assert_ne!(id(1, 0), id(1, 1));
        // RFC 3411, SnmpEngineID: 5 to 32 bytes.
        assert_eq!(id(1, 0).len(), 11);
    }

    #[test]
    fn mutations_never_panic() {
        let engine = engine();
        let good = [Level::Open, Level::Secret].map(|level| question(&engine, level, 5, 1000));
        let changes = proptest::collection::vec((0usize..300, any::<u8>()), 1..6);
        proptest!(ProptestConfig::with_cases(2048), |(which in 0usize..2, changes in changes)| {
            let mut datagram = good[which].clone();
            for (place, byte) in changes {
                let length = datagram.len();
                datagram[place % length] = byte;
            }
            let answer = engine.answer(&datagram, NOW, |request| request.respond(Status::NoError, 0, &[]));
            // A changed message that was signed gets a report at most.
            prop_assert!(which == 0 || datagram == good[1] || answer.is_none_or(|a| a.len() < 200));
        });
    }
}

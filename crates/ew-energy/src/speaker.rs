//! A version of SNMP as one agent is spoken to: what becomes of a request, and what of an answer.

use crate::usm::Keys;
use crate::wire::secure::{ENCRYPTED, Envelope, Header, REPORTABLE, SIGNED};
use crate::wire::{Kind, Malformed, Pdu, community, secure};
use crate::{Credentials, Oid, User};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

/// RFC 3414, 2.2.3: an answer that is older is no answer, seconds.
const TIME_WINDOW: i64 = 150;
/// RFC 3411, 5: SnmpEngineID.
const ENGINE_ID_BYTES_MIN: usize = 5;

/// `usmStats`, the reports of the user-based security model; the next number says which.
const USM_STATS: &[u32] = &[1, 3, 6, 1, 6, 3, 15, 1, 1];
const NOT_IN_TIME_WINDOWS: u32 = 2;
const UNKNOWN_ENGINE_IDS: u32 = 4;
/// `snmpUnknownContexts`.
const UNKNOWN_CONTEXTS: &[u32] = &[1, 3, 6, 1, 6, 3, 12, 1, 5];

/// Says and understands one version.
pub(crate) enum Speaker {
    /// SNMPv1 or SNMPv2c: the `version` of the message and the community.
    Plain(i64, Vec<u8>),
    /// SNMPv3.
    Secure(Secure),
}

/// What a datagram means.
#[derive(Debug)]
pub(crate) enum Heard {
    /// The answer.
    Answer(Pdu),
    /// An answer to another request.
    Other,
    /// The agent told about itself: ask again.
    Again,
    /// The agent said no to who we are.
    Refused(String),
}

impl Speaker {
    pub(crate) fn new(credentials: &Credentials) -> Speaker {
        match credentials {
            Credentials::V1(community) => Speaker::Plain(community::V1, community.expose().into()),
            Credentials::V2c(community) => Speaker::Plain(community::V2C, community.expose().into()),
            Credentials::V3(user) => {
                Speaker::Secure(Secure { user: Arc::clone(user), engine: None, salt: random() })
            }
        }
    }

    /// The datagram that asks; of an SNMPv3 agent that is not known yet it asks only who it is.
    pub(crate) fn seal(&mut self, pdu: &Pdu) -> Vec<u8> {
        match self {
            Speaker::Plain(version, community) => community::seal(*version, community, pdu),
            Speaker::Secure(secure) => secure.seal(pdu),
        }
    }

    /// What a datagram says to the request of this id.
    pub(crate) fn hear(&mut self, datagram: &[u8], request_id: i32) -> Result<Heard, Malformed> {
        let pdu = match self {
            Speaker::Plain(version, _) => community::open(*version, datagram)?,
            Speaker::Secure(secure) => match secure.open(datagram, request_id)? {
                Heard::Answer(pdu) => pdu,
                other => return Ok(other),
            },
        };
        match pdu.kind {
            Kind::Response if pdu.request_id == request_id => Ok(Heard::Answer(pdu)),
            Kind::Response => Ok(Heard::Other),
            _ => Err(Malformed::new("what came is no response")),
        }
    }
}

/// SNMPv3 with one agent.
pub(crate) struct Secure {
    user: Arc<User>,
    engine: Option<Engine>,
    /// Of the next message; no two may have the same.
    salt: u64,
}

/// What is known of the agent.
struct Engine {
    id: Vec<u8>,
    keys: Keys,
    boots: i32,
    /// Its clock, and when it said so.
    time: i32,
    heard: Instant,
}

impl Engine {
    fn time(&self) -> i32 {
        let since = i32::try_from(self.heard.elapsed().as_secs()).unwrap_or(i32::MAX);
        self.time.saturating_add(since)
    }

    /// A signed answer says what time it is there; whether it is not an old one.
    fn is_fresh(&mut self, header: &Header) -> bool {
        let (theirs, ours) = (i64::from(header.time), i64::from(self.time()));
        let fresh = header.boots > self.boots || (header.boots == self.boots && theirs >= ours - TIME_WINDOW);
        if fresh {
            (self.boots, self.time, self.heard) = (header.boots, header.time, Instant::now());
        }
        fresh
    }
}

impl Secure {
    fn seal(&mut self, pdu: &Pdu) -> Vec<u8> {
        let mut header = Header { id: pdu.request_id, flags: REPORTABLE, ..Header::default() };
        let Some(engine) = &self.engine else {
            let nothing = Pdu::request(Kind::Get, pdu.request_id, []);
            return secure::seal(&header, 0, &secure::scoped(&[], "", &nothing));
        };
        header.flags |= level(&self.user);
        header.engine_id = engine.id.clone();
        (header.boots, header.time) = (engine.boots, engine.time());
        header.user = self.user.name.clone().into_bytes();
        self.salt = self.salt.wrapping_add(1);
        let data = secure::scoped(&engine.id, &self.user.context, pdu);
        let data = engine.keys.encrypt(&mut header, self.salt, data);
        let mut datagram = secure::seal(&header, engine.keys.signature_bytes(), &data);
        // Where the signature goes, whoever reads the datagram knows.
        if let Ok(Envelope { signature: place, .. }) = secure::open(&datagram) {
            let signature = engine.keys.signature(&datagram, &place);
            if let Some(hole) = datagram.get_mut(place).filter(|hole| hole.len() == signature.len()) {
                hole.copy_from_slice(&signature);
            }
        }
        datagram
    }

    fn open(&mut self, datagram: &[u8], request_id: i32) -> Result<Heard, Malformed> {
        let envelope = secure::open(datagram)?;
        let header = envelope.header.clone();
        if header.id != request_id {
            return Ok(Heard::Other);
        }
        let wanted = level(&self.user);
        let signed = header.flags & SIGNED != 0;
        if signed && !self.is_ours(datagram, &envelope) {
            return Err(Malformed::new("the signature of its answer is wrong"));
        }
        let engine = self.engine.as_mut();
        let pdu = envelope.pdu(|header, data| match &engine {
            Some(engine) => engine.keys.decrypt(header, data),
            None => Err(Malformed::new("it is encrypted, but nothing was asked yet")),
        })?;
        if pdu.kind == Kind::Report {
            return self.report(&header, &pdu);
        }
        match engine {
            None => Err(Malformed::new("it does not tell its engine id")),
            Some(_) if header.flags & wanted != wanted => {
                Err(Malformed::new("the answer is not signed and encrypted as the request was"))
            }
            Some(engine) => match wanted & SIGNED == 0 || engine.is_fresh(&header) {
                true => Ok(Heard::Answer(pdu)),
                false => Ok(Heard::Other),
            },
        }
    }

    /// Whether the user's key for this agent made the signature.
    fn is_ours(&self, datagram: &[u8], envelope: &Envelope<'_>) -> bool {
        self.engine.as_ref().is_some_and(|engine| {
            engine.id == envelope.header.engine_id && engine.keys.verifies(datagram, &envelope.signature)
        })
    }

    /// Why the agent did not take a message. What is not signed is believed as far as it does no harm: a lie
    /// costs a request, since its number is limited.
    fn report(&mut self, header: &Header, pdu: &Pdu) -> Result<Heard, Malformed> {
        let Some(reason) = pdu.varbinds.first().map(|varbind| &varbind.oid) else {
            return Err(Malformed::new("its report gives no reason"));
        };
        let usm = reason.below(&Oid::new(USM_STATS)).and_then(|rest| rest.first().copied());
        Ok(match (usm, &mut self.engine) {
            (Some(UNKNOWN_ENGINE_IDS), known) => {
                if header.engine_id.len() < ENGINE_ID_BYTES_MIN {
                    return Err(Malformed::new("it does not tell its engine id"));
                }
                *known = Some(Engine {
                    id: header.engine_id.clone(),
                    keys: self.user.keys().localised(&header.engine_id),
                    boots: header.boots,
                    time: header.time,
                    heard: Instant::now(),
                });
                Heard::Again
            }
            (Some(NOT_IN_TIME_WINDOWS), Some(engine)) => {
                (engine.boots, engine.time, engine.heard) = (header.boots, header.time, Instant::now());
                Heard::Again
            }
            (Some(1), _) => Heard::Refused("the user may not do it at this security level".into()),
            (Some(3), _) => Heard::Refused("unknown user".into()),
            (Some(5), _) => Heard::Refused("wrong auth or auth_password".into()),
            (Some(6), _) => Heard::Refused("wrong priv or priv_password".into()),
            _ if reason.below(&Oid::new(UNKNOWN_CONTEXTS)).is_some() => {
                Heard::Refused("unknown context".into())
            }
            _ => Heard::Refused(format!("its report is {reason}")),
        })
    }
}

fn level(user: &User) -> u8 {
    match (&user.auth, &user.privacy) {
        (None, _) => 0,
        (Some(_), None) => SIGNED,
        (Some(_), Some(_)) => SIGNED | ENCRYPTED,
    }
}

/// 64 bits that nobody can foretell: each state of the standard hasher has keys of its own.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

//! The agent over SNMP: requests with a timeout, repeated, all within one deadline.
//!
//! Every attempt has a socket of its own, so what arrives late for one attempt can never answer the
//! next. Only SNMPv3 keeps a session that works, since its keys take long to make; there a late answer
//! has the wrong request id and costs one attempt.

use crate::usm::security;
use crate::{Agent, Credentials, EnergyError, Host, Oid, SnmpOptions, Value, VarBind};
use ew_core::Span;
use snmp2::v3::AuthErrorKind;
use snmp2::{Error, Pdu, SyncSession};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// SNMPv3 tells news about its engine's clock by asking for a repetition; more than that is no news.
const RESYNCS_MAX: u32 = 2;

/// Of a name with more addresses only so many are sure to be tried.
const ADDRESSES_MAX: u32 = 4;

/// An agent asked over UDP.
pub struct SnmpAgent {
    peer: String,
    addresses: Vec<SocketAddr>,
    /// Which address is in use, counting on without end.
    address: usize,
    credentials: Credentials,
    timeout: Duration,
    attempts_max: u32,
    started: Instant,
    deadline: Span,
    requests: u32,
    /// A session that has worked, with the timeout it was made with. It holds a buffer of 64 KiB.
    session: Option<(Box<SyncSession>, Duration)>,
}

/// An answer, taken out of the session's buffer.
struct Reply {
    error_status: u32,
    /// As far as they could be read.
    varbinds: Vec<VarBind>,
}

/// Why one attempt came to nothing.
enum Miss {
    /// Silence, or the way is closed.
    Silent(String),
    /// The agent said no to who we are.
    Refused(String),
    /// Something came back that is no answer.
    Garbled(String),
    /// Not the network's fault.
    Local(io::Error),
}

impl SnmpAgent {
    /// Finds the address. The deadline of the whole switch begins here.
    pub fn open(
        host: &Host,
        options: &SnmpOptions,
        credentials: Credentials,
    ) -> Result<SnmpAgent, EnergyError> {
        let port = u16::try_from(options.port.get()).unwrap_or(161);
        let mut agent = SnmpAgent {
            peer: host.with_port(port),
            addresses: Vec::new(),
            address: 0,
            credentials,
            timeout: options.timeout.span().0,
            attempts_max: options.retries.get() + 1,
            started: Instant::now(),
            deadline: options.deadline.span(),
            requests: 0,
            session: None,
        };
        agent.addresses = agent.resolve(host, port)?;
        // Without retries too, each address of a name has its turn.
        let addresses = u32::try_from(agent.addresses.len()).unwrap_or(1).min(ADDRESSES_MAX);
        agent.attempts_max = agent.attempts_max.max(addresses);
        Ok(agent)
    }

    fn resolve(&self, host: &Host, port: u16) -> Result<Vec<SocketAddr>, EnergyError> {
        if let Ok(ip) = host.as_str().parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        // The system's resolver has its own idea of time, so it works aside and may be left behind.
        let (answer, answered) = mpsc::channel();
        let name = host.as_str().to_owned();
        let resolver = thread::Builder::new().name("resolver".into()).spawn(move || {
            let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect::<Vec<_>>);
            // Nobody listens any more once the deadline has passed.
            let _ = answer.send(found);
        });
        resolver.map_err(|e| self.local(&e))?;
        let unresolved = |cause: String| EnergyError::Resolve { host: host.as_str().to_owned(), cause };
        match answered.recv_timeout(self.left()) {
            Ok(Ok(addresses)) if addresses.is_empty() => Err(unresolved("it has none".into())),
            Ok(found) => found.map_err(|e| unresolved(e.to_string())),
            Err(_) => Err(unresolved(format!("the resolver took longer than {}", self.deadline))),
        }
    }

    /// One request with all its attempts.
    fn request(
        &mut self,
        object: &str,
        ask: &dyn Fn(&mut SyncSession) -> Result<Reply, Error>,
    ) -> Result<Reply, EnergyError> {
        let mut refused_before = false;
        let mut attempt = 1;
        loop {
            let wait = self.timeout.min(self.left());
            if wait.is_zero() {
                return Err(self.late(object));
            }
            let miss = match self.attempt(wait, ask) {
                Ok(reply) if reply.error_status == 0 || self.is_end(&reply) => return Ok(reply),
                Ok(reply) => return Err(self.device(object, reply.error_status)),
                Err(miss) => miss,
            };
            self.session = None;
            self.address += 1;
            // A refusal is final, but an old unsigned report looks like one: hear it twice.
            let last = attempt >= self.attempts_max || (refused_before && matches!(miss, Miss::Refused(_)));
            if last || matches!(miss, Miss::Local(_)) {
                return Err(self.error(object, attempt, miss));
            }
            refused_before = matches!(miss, Miss::Refused(_));
            if self.left().is_zero() {
                return Err(self.late(object));
            }
            // Agents that were asked in the same moment are not all asked again in the same moment.
            thread::sleep((self.timeout / 8).mul_f64(random_share()).min(self.left()));
            attempt += 1;
        }
    }

    fn attempt(
        &mut self,
        wait: Duration,
        ask: &dyn Fn(&mut SyncSession) -> Result<Reply, Error>,
    ) -> Result<Reply, Miss> {
        let is_v3 = matches!(self.credentials, Credentials::V3(_));
        let mut session = match self.session.take() {
            Some((session, timeout)) if timeout <= wait => session,
            _ => self.new_session(wait)?,
        };
        let mut resyncs = 0;
        loop {
            self.requests += 1;
            let asked = Instant::now();
            match ask(&mut session) {
                Ok(reply) => {
                    if is_v3 {
                        self.session = Some((session, wait));
                    }
                    return Ok(reply);
                }
                Err(Error::AuthUpdated) if resyncs < RESYNCS_MAX && !self.left().is_zero() => resyncs += 1,
                Err(error) => return Err(self.miss(error, asked.elapsed(), wait)),
            }
        }
    }

    fn new_session(&mut self, wait: Duration) -> Result<Box<SyncSession>, Miss> {
        let first_id = i32::try_from(random() >> 34).unwrap_or(1);
        let Some(address) = self.addresses.get(self.address % self.addresses.len().max(1)) else {
            return Err(Miss::Silent("it has no address".into()));
        };
        let opened = match &self.credentials {
            Credentials::V1(community) => {
                SyncSession::new_v1(address, community.expose().as_bytes(), Some(wait), first_id)
            }
            Credentials::V2c(community) => {
                SyncSession::new_v2c(address, community.expose().as_bytes(), Some(wait), first_id)
            }
            Credentials::V3(user) => SyncSession::new_v3(address, Some(wait), first_id, security(user)),
        };
        let mut session = match opened {
            Ok(session) => Box::new(session),
            Err(e) => {
                return Err(match e.kind() {
                    io::ErrorKind::NetworkUnreachable
                    | io::ErrorKind::HostUnreachable
                    | io::ErrorKind::AddrNotAvailable
                    | io::ErrorKind::ConnectionRefused => Miss::Silent(e.to_string()),
                    _ => Miss::Local(e),
                });
            }
        };
        if matches!(self.credentials, Credentials::V3(_)) {
            self.requests += 1;
            let asked = Instant::now();
            session.init().map_err(|error| match error {
                Error::AuthFailure(_) => Miss::Garbled("it does not tell its engine id".into()),
                error => self.miss(error, asked.elapsed(), wait),
            })?;
        }
        Ok(session)
    }

    /// What an error of the SNMP crate means.
    fn miss(&self, error: Error, took: Duration, wait: Duration) -> Miss {
        let is_v3 = matches!(self.credentials, Credentials::V3(_));
        match error {
            // The crate does not tell silence from a closed port; the clock does.
            Error::Receive if took < wait / 2 => Miss::Silent("its port is closed".into()),
            Error::Receive => Miss::Silent(format!("silence for {}", Span(wait))),
            Error::Send => Miss::Silent("it cannot be sent to".into()),
            // A report where an answer should be: unknown user, level or context.
            Error::AsnWrongType if is_v3 => Miss::Refused("unknown user, security level or context".into()),
            Error::AuthFailure(
                AuthErrorKind::NotAuthenticated
                | AuthErrorKind::UsernameMismatch
                | AuthErrorKind::SignatureMismatch,
            ) => Miss::Refused("unknown user, or wrong auth or auth_password".into()),
            Error::AuthFailure(AuthErrorKind::ReplyNotEncrypted) => {
                Miss::Refused("wrong priv or priv_password, or the user may not encrypt".into())
            }
            error => Miss::Garbled(error.to_string()),
        }
    }

    fn error(&self, object: &str, attempts: u32, miss: Miss) -> EnergyError {
        let (peer, object) = (self.peer.clone(), object.to_owned());
        match miss {
            Miss::Silent(cause) => {
                let privacy = matches!(&self.credentials, Credentials::V3(user) if user.privacy.is_some());
                EnergyError::NoAnswer { peer, object, attempts, cause, privacy }
            }
            Miss::Refused(cause) => EnergyError::Refused { peer, object, cause },
            Miss::Garbled(cause) => EnergyError::Breach { peer, object, cause },
            Miss::Local(e) => self.local(&e),
        }
    }

    fn device(&self, object: &str, status: u32) -> EnergyError {
        let (peer, object) = (self.peer.clone(), object.to_owned());
        match usize::try_from(status).ok().and_then(|status| ERROR_STATUS.get(status)) {
            Some(&status @ ("noAccess" | "authorizationError")) => {
                EnergyError::Refused { peer, object, cause: status.to_owned() }
            }
            Some(status) => EnergyError::Device { peer, object, status },
            None => EnergyError::Device { peer, object, status: "of an unknown number" },
        }
    }

    fn breach(&self, object: &str, cause: String) -> EnergyError {
        EnergyError::Breach { peer: self.peer.clone(), object: object.to_owned(), cause }
    }

    fn late(&self, object: &str) -> EnergyError {
        EnergyError::Deadline { peer: self.peer.clone(), object: object.to_owned(), deadline: self.deadline }
    }

    fn local(&self, error: &io::Error) -> EnergyError {
        EnergyError::Local { peer: self.peer.clone(), cause: error.to_string() }
    }

    /// SNMPv1 has no other way to say that an object is not there.
    fn is_end(&self, reply: &Reply) -> bool {
        reply.error_status == NO_SUCH_NAME && matches!(self.credentials, Credentials::V1(_))
    }

    fn left(&self) -> Duration {
        self.deadline.0.saturating_sub(self.started.elapsed())
    }

    fn wire(&self, oid: &Oid, object: &str) -> Result<snmp2::Oid<'static>, EnergyError> {
        oid.to_snmp2().ok_or_else(|| self.breach(object, format!("{oid} is no object identifier")))
    }
}

impl Agent for SnmpAgent {
    fn get(&mut self, oid: &Oid, object: &str) -> Result<Value, EnergyError> {
        let wire = self.wire(oid, object)?;
        let reply = self.request(object, &|session| session.get(&wire).map(|pdu| Reply::read(&pdu)))?;
        if reply.error_status == NO_SUCH_NAME {
            return Ok(Value::Absent);
        }
        match <[VarBind; 1]>::try_from(reply.varbinds) {
            Ok([varbind]) if varbind.oid == *oid => Ok(varbind.value),
            Ok([varbind]) => Err(self.breach(object, format!("it answered for {}", varbind.oid))),
            Err(varbinds) => Err(self.breach(object, format!("it gave {} values for one", varbinds.len()))),
        }
    }

    fn get_bulk(
        &mut self,
        after: &[Oid],
        repetitions: u32,
        object: &str,
    ) -> Result<Vec<VarBind>, EnergyError> {
        let wires = after.iter().map(|oid| self.wire(oid, object)).collect::<Result<Vec<_>, _>>()?;
        let mut varbinds = Vec::new();
        if matches!(self.credentials, Credentials::V1(_)) {
            // SNMPv1 has no GETBULK, and one object that has no successor spoils a request of several.
            for (oid, wire) in after.iter().zip(&wires) {
                let reply =
                    self.request(object, &|session| session.getnext(wire).map(|pdu| Reply::read(&pdu)))?;
                match reply.error_status {
                    NO_SUCH_NAME => varbinds.push(VarBind { oid: oid.clone(), value: Value::EndOfView }),
                    _ => varbinds.extend(reply.varbinds.into_iter().take(1)),
                }
            }
        } else {
            let wires: Vec<&snmp2::Oid> = wires.iter().collect();
            let reply = self.request(object, &|session| {
                session.getbulk(&wires, 0, repetitions).map(|pdu| Reply::read(&pdu))
            })?;
            varbinds = reply.varbinds;
        }
        match varbinds.is_empty() {
            true => Err(self.breach(object, "its answer holds no value that can be read".into())),
            false => Ok(varbinds),
        }
    }

    fn requests(&self) -> u32 {
        self.requests
    }

    fn peer(&self) -> &str {
        &self.peer
    }
}

impl Reply {
    fn read(pdu: &Pdu<'_>) -> Reply {
        // The crate's iterator ends at the first value it cannot read, and so does this.
        let varbinds = pdu.varbinds.clone().map_while(|(oid, value)| {
            Some(VarBind { oid: Oid::from_ber(oid.as_bytes())?, value: Value::from(value) })
        });
        Reply { error_status: pdu.error_status, varbinds: varbinds.collect() }
    }
}

impl From<snmp2::Value<'_>> for Value {
    fn from(value: snmp2::Value<'_>) -> Value {
        match value {
            snmp2::Value::Integer(n) => Value::Integer(n),
            snmp2::Value::Counter32(n) | snmp2::Value::Unsigned32(n) | snmp2::Value::Timeticks(n) => {
                Value::Integer(i64::from(n))
            }
            snmp2::Value::Counter64(n) => i64::try_from(n).map_or(Value::Other, Value::Integer),
            snmp2::Value::OctetString(bytes) => Value::Text(bytes.to_vec()),
            snmp2::Value::Null | snmp2::Value::NoSuchObject | snmp2::Value::NoSuchInstance => Value::Absent,
            snmp2::Value::EndOfMibView => Value::EndOfView,
            _ => Value::Other,
        }
    }
}

/// Error-status 2: SNMPv1's way to say that there is no such object, or no next one.
const NO_SUCH_NAME: u32 = 2;

/// The words of RFC 3416 for error-status, by number.
const ERROR_STATUS: [&str; 19] = [
    "noError",
    "tooBig",
    "noSuchName",
    "badValue",
    "readOnly",
    "genErr",
    "noAccess",
    "wrongType",
    "wrongLength",
    "wrongEncoding",
    "wrongValue",
    "noCreation",
    "inconsistentValue",
    "resourceUnavailable",
    "commitFailed",
    "undoFailed",
    "authorizationError",
    "notWritable",
    "inconsistentName",
];

/// 64 bits that nobody can foretell: each state of the standard hasher has keys of its own.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// From 0 to 1.
fn random_share() -> f64 {
    f64::from(u16::try_from(random() >> 48).unwrap_or(0)) / f64::from(u16::MAX)
}

//! The agent over SNMP: requests with a timeout, repeated, all within one deadline.
//!
//! An agent is asked over a connected socket of its own, one request at a time. A request keeps its id when
//! it is repeated, so that an answer which comes late is still one; answers to earlier requests are passed
//! over.

use crate::line::{Line, Miss, Weather};
use crate::speaker::{Speaker, random};
use crate::wire::{Kind, Pdu};
use crate::{Agent, Credentials, EnergyError, Host, Oid, SnmpOptions, Value, VarBind};
use ew_core::Span;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

/// Of a name with more addresses only so many are sure to be tried.
const ADDRESSES_MAX: u32 = 4;
/// On a net that loses datagrams a request is sent so many times as often before its agent is given up.
const LOSSY_FACTOR: u32 = 2;

/// An agent asked over UDP.
pub struct SnmpAgent {
    peer: String,
    addresses: Vec<SocketAddr>,
    /// Which address is in use, counting on without end.
    address: usize,
    credentials: Credentials,
    speaker: Speaker,
    line: Option<Line>,
    weather: Weather,
    timeout: Duration,
    retries: u32,
    started: Instant,
    deadline: Span,
    requests: u32,
    request_id: i32,
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
            speaker: Speaker::new(&credentials),
            credentials,
            line: None,
            weather: Weather::default(),
            timeout: options.timeout.span().0,
            retries: options.retries.get(),
            started: Instant::now(),
            deadline: options.deadline.span(),
            requests: 0,
            request_id: i32::try_from(random() >> 34).unwrap_or(1),
        };
        agent.addresses = agent.resolve(host, port)?;
        Ok(agent)
    }

    /// Shares with other agents what each finds out about the net.
    pub fn in_weather(self, weather: &Weather) -> SnmpAgent {
        SnmpAgent { weather: weather.clone(), ..self }
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

    /// How often a request may be sent. What was lost once elsewhere may have been lost here each time.
    fn attempts_max(&self, miss: &Miss) -> u32 {
        let lost = matches!(miss, Miss::Silent(_)) && self.weather.is_lossy();
        let own = match lost && self.retries > 0 {
            true => LOSSY_FACTOR * (1 + self.retries),
            false => 1 + self.retries,
        };
        // Without retries too, each address of a name has its turn.
        own.max(u32::try_from(self.addresses.len()).unwrap_or(1).min(ADDRESSES_MAX))
    }

    /// One request with all its attempts; its answer, or the error-status of SNMP.
    fn request(&mut self, object: &str, pdu: Pdu) -> Result<Pdu, EnergyError> {
        self.request_id = self.request_id.checked_add(1).unwrap_or(1);
        let pdu = Pdu { request_id: self.request_id, ..pdu };
        let (mut refused_before, mut silent_before) = (false, false);
        let mut attempt = 1;
        loop {
            let wait = self.timeout.min(self.left());
            if wait.is_zero() {
                return Err(self.late(object));
            }
            let miss = match self.attempt(wait, &pdu) {
                Ok(answer) => {
                    if silent_before {
                        self.weather.set_lossy();
                    }
                    return Ok(answer);
                }
                Err(miss) => miss,
            };
            // A socket may have more to say about an earlier datagram, and another address needs another.
            if !matches!(miss, Miss::Silent(_)) || self.addresses.len() > 1 {
                self.line = None;
            }
            self.address += 1;
            // A refusal is final, but an old unsigned report looks like one: hear it twice.
            let refused = matches!(miss, Miss::Refused(_));
            let last = attempt >= self.attempts_max(&miss) || (refused && refused_before);
            if last || matches!(miss, Miss::Local(_)) {
                return Err(self.error(object, attempt, miss));
            }
            refused_before = refused;
            silent_before |= matches!(miss, Miss::Silent(_));
            if self.left().is_zero() {
                return Err(self.late(object));
            }
            // Agents that were asked in the same moment are not all asked again in the same moment.
            thread::sleep((self.timeout / 8).mul_f64(random_share()).min(self.left()));
            attempt += 1;
        }
    }

    fn attempt(&mut self, wait: Duration, pdu: &Pdu) -> Result<Pdu, Miss> {
        let line = match self.line.take() {
            Some(line) => line,
            None => {
                let address = self.addresses.get(self.address % self.addresses.len().max(1));
                Line::to(*address.ok_or_else(|| Miss::Closed("it has no address".into()))?)?
            }
        };
        let answer = line.ask(&mut self.speaker, pdu, wait, &mut self.requests);
        self.line = Some(line);
        answer
    }

    /// A request for these objects with an error-status of 0; of SNMPv1's noSuchName the answer has the place
    /// of the first object that has none.
    fn ask(&mut self, object: &str, pdu: Pdu) -> Result<Result<Vec<VarBind>, usize>, EnergyError> {
        let asked = pdu.varbinds.len();
        let answer = self.request(object, pdu)?;
        if answer.status == NO_SUCH_NAME && matches!(self.credentials, Credentials::V1(_)) {
            let place = usize::try_from(answer.index).ok().and_then(|index| index.checked_sub(1));
            return match place.filter(|place| *place < asked) {
                Some(place) => Ok(Err(place)),
                // With one object there is no doubt which is meant.
                None if asked == 1 => Ok(Err(0)),
                None => Err(self.breach(object, format!("its error-index is {}", answer.index))),
            };
        }
        match answer.status {
            0 => Ok(Ok(answer.varbinds)),
            status => Err(self.device(object, status)),
        }
    }

    /// One instance or successor for each object, by SNMPv1: what has none spoils the whole request, and so is
    /// left out of the next.
    fn ask_one_by_one(
        &mut self,
        kind: Kind,
        oids: &[Oid],
        none: &Value,
        object: &str,
    ) -> Result<Vec<VarBind>, EnergyError> {
        let mut found: Vec<VarBind> =
            oids.iter().map(|oid| VarBind { oid: oid.clone(), value: none.clone() }).collect();
        let mut open: Vec<usize> = (0..oids.len()).collect();
        while !open.is_empty() {
            let wanted = open.iter().filter_map(|place| oids.get(*place).cloned());
            match self.ask(object, Pdu::request(kind, 0, wanted))? {
                Err(place) => {
                    open.remove(place);
                }
                Ok(varbinds) => {
                    self.check_count(varbinds.len(), open.len(), object)?;
                    for (place, varbind) in open.drain(..).zip(varbinds) {
                        found[place] = varbind;
                    }
                }
            }
        }
        Ok(found)
    }

    fn check_count(&self, found: usize, asked: usize, object: &str) -> Result<(), EnergyError> {
        match found == asked {
            true => Ok(()),
            false => Err(self.breach(object, format!("it gave {found} values for {asked}"))),
        }
    }

    fn error(&self, object: &str, attempts: u32, miss: Miss) -> EnergyError {
        let (peer, object) = (self.peer.clone(), object.to_owned());
        match miss {
            Miss::Silent(cause) | Miss::Closed(cause) => {
                let (v3, privacy) = match &self.credentials {
                    Credentials::V3(user) => (true, user.privacy.is_some()),
                    _ => (false, false),
                };
                EnergyError::NoAnswer { peer, object, attempts, cause, v3, privacy }
            }
            Miss::Refused(cause) => EnergyError::Refused { peer, object, cause },
            Miss::Garbled(cause) => EnergyError::Breach { peer, object, cause },
            Miss::Local(e) => self.local(&e),
        }
    }

    fn device(&self, object: &str, status: i32) -> EnergyError {
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

    fn left(&self) -> Duration {
        self.deadline.0.saturating_sub(self.started.elapsed())
    }
}

impl Agent for SnmpAgent {
    fn get(&mut self, oid: &Oid, object: &str) -> Result<Value, EnergyError> {
        let mut values = self.get_many(std::slice::from_ref(oid), object)?;
        Ok(values.pop().unwrap_or(Value::Absent))
    }

    fn get_many(&mut self, oids: &[Oid], object: &str) -> Result<Vec<Value>, EnergyError> {
        let found = match &self.credentials {
            Credentials::V1(_) => self.ask_one_by_one(Kind::Get, oids, &Value::Absent, object),
            _ => self
                .ask(object, Pdu::request(Kind::Get, 0, oids.iter().cloned()))
                .map(Result::unwrap_or_default),
        };
        let found = match found {
            Err(EnergyError::Device { status: "tooBig", .. }) if oids.len() > 1 => {
                let (first, second) = oids.split_at(oids.len() / 2);
                let mut values = self.get_many(first, object)?;
                values.extend(self.get_many(second, object)?);
                return Ok(values);
            }
            found => found?,
        };
        self.check_count(found.len(), oids.len(), object)?;
        match found.iter().zip(oids).find(|(varbind, oid)| varbind.oid != **oid) {
            Some((varbind, _)) => Err(self.breach(object, format!("it answered for {}", varbind.oid))),
            None => Ok(found.into_iter().map(|varbind| varbind.value).collect()),
        }
    }

    fn get_bulk(
        &mut self,
        after: &[Oid],
        repetitions: u32,
        object: &str,
    ) -> Result<Vec<VarBind>, EnergyError> {
        let varbinds = match self.credentials {
            Credentials::V1(_) => self.ask_one_by_one(Kind::GetNext, after, &Value::EndOfView, object)?,
            _ => self.get_with_bulk(&[], after, repetitions, object)?.1,
        };
        match varbinds.is_empty() {
            true => Err(self.breach(object, "its answer holds no value".into())),
            false => Ok(varbinds),
        }
    }

    fn get_with_bulk(
        &mut self,
        scalars: &[Oid],
        after: &[Oid],
        repetitions: u32,
        object: &str,
    ) -> Result<(Vec<Value>, Vec<VarBind>), EnergyError> {
        // Each scalar is what follows its object; of SNMPv1 there is no GETBULK.
        let objects: Option<Vec<Oid>> = scalars.iter().map(Oid::object_of_scalar).collect();
        let Some(objects) = objects.filter(|_| !matches!(self.credentials, Credentials::V1(_))) else {
            return Ok((self.get_many(scalars, object)?, self.get_bulk(after, repetitions, object)?));
        };
        let mut pdu = Pdu::request(Kind::GetBulk, 0, objects.into_iter().chain(after.iter().cloned()));
        pdu.status = i32::try_from(scalars.len()).unwrap_or(i32::MAX);
        pdu.index = i32::try_from(repetitions).unwrap_or(i32::MAX);
        let mut found = self.ask(object, pdu)?.unwrap_or_default();
        if found.len() < scalars.len() {
            return self.check_count(found.len(), scalars.len(), object).map(|()| Default::default());
        }
        let rows = found.split_off(scalars.len());
        let is_asked = |(varbind, oid): (VarBind, &Oid)| match varbind.oid == *oid {
            true => varbind.value,
            false => Value::Absent,
        };
        Ok((found.into_iter().zip(scalars).map(is_asked).collect(), rows))
    }

    fn requests(&self) -> u32 {
        self.requests
    }

    fn peer(&self) -> &str {
        &self.peer
    }
}

/// Error-status 2: SNMPv1's way to say that there is no such object, or no next one.
const NO_SUCH_NAME: i32 = 2;

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

/// From 0 to 1.
fn random_share() -> f64 {
    f64::from(u16::try_from(random() >> 48).unwrap_or(0)) / f64::from(u16::MAX)
}

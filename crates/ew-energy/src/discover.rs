//! Asking given agents what they are.

use crate::energywise::{self, Query, Usage};
use crate::{
    Agent, Answer, Credentials, EnergyError, EnergyReading, Host, Importance, Oid, PROFILE_AUTO,
    PROFILE_DEFAULT, Profiles, SnmpAgent, SnmpOptions, Value,
};
use ew_core::{Secret, SecretSource};
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// `sysDescr.0` and `sysName.0`.
const SYSTEM: [&[u32]; 2] = [&[1, 3, 6, 1, 2, 1, 1, 1, 0], &[1, 3, 6, 1, 2, 1, 1, 5, 0]];

/// An agent to ask: `HOST`, `HOST:PORT` or `[V6]:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// Where it is.
    pub host: Host,
    /// Its port, where it is not that of `[snmp]`.
    pub port: Option<u16>,
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Target, String> {
        let parted = text.rsplit_once(':').filter(|(host, _)| !host.contains(':') || host.ends_with(']'));
        let (host, port) = match parted {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        let port = port
            .map(|port| {
                let number = port.parse().ok().filter(|port| *port > 0);
                number.ok_or_else(|| format!("{text:?}: the port is a number from 1 to 65535"))
            })
            .transpose()?;
        Ok(Target { host: Host::try_from(host.to_owned())?, port })
    }
}

/// What an agent said of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Discovered {
    /// `sysDescr`; may be empty.
    pub description: String,
    /// `sysName`; may be empty.
    pub name: String,
    /// What it was read by, or why by none.
    pub found: Result<Found, EnergyError>,
}

/// What an agent gives.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The first profile that gives power.
    pub profile: String,
    /// `cewDomainName`, of EnergyWise.
    pub domain: Option<String>,
    /// Its power and entities.
    pub usage: Usage,
    /// Its energy counters.
    pub energy: Vec<EnergyReading>,
}

/// Asks each target for its name, its description and what the profiles read, as many at once as `[snmp]` says; in
/// the order given, each with the requests that it took. Nothing but what is listed is asked.
pub fn discover(
    targets: &[Target],
    snmp: &SnmpOptions,
    profiles: &Profiles,
    resolve_secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
) -> Vec<(Result<Discovered, EnergyError>, u32)> {
    let credentials = Credentials::resolve(snmp, resolve_secret);
    let ask = |target: &Target| {
        let mut own = snmp.clone();
        if let Some(port) = target.port.and_then(|port| crate::Bounded::new(u32::from(port))) {
            own.port = port;
        }
        let peer = target.host.with_port(u16::try_from(own.port.get()).unwrap_or(161));
        let credentials =
            credentials.clone().map_err(|(key, cause)| EnergyError::Secret { peer, key, cause });
        match credentials.and_then(|credentials| SnmpAgent::open(&target.host, &own, credentials)) {
            Ok(mut agent) => (ask(&mut agent, profiles, own.max_repetitions.get()), agent.requests()),
            Err(error) => (Err(error), 0),
        }
    };
    let (next, done) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let work = || {
        while let Some((number, target)) = numbered(targets, next.fetch_add(1, Ordering::Relaxed)) {
            let answer = ask(target);
            done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((number, answer));
        }
    };
    thread::scope(|scope| {
        for _ in 1..targets.len().min(usize::try_from(snmp.parallel.get()).unwrap_or(1)) {
            // Without a thread the others do its work.
            if thread::Builder::new().name("discoverer".into()).spawn_scoped(scope, work).is_err() {
                break;
            }
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, answer)| answer).collect()
}

fn numbered<T>(list: &[T], number: usize) -> Option<(usize, &T)> {
    list.get(number).map(|item| (number, item))
}

fn ask(agent: &mut dyn Agent, profiles: &Profiles, repetitions: u32) -> Result<Discovered, EnergyError> {
    let system = agent.get_many(&SYSTEM.map(Oid::new), "sysDescr.0 and sysName.0")?;
    let text = |place: usize| match system.get(place) {
        Some(Value::Text(bytes)) => String::from_utf8_lossy(bytes).into_owned(),
        _ => String::new(),
    };
    let (description, name) = (text(0), text(1));
    let query = Query { domain: None, importance: Importance::ALL.get(), repetitions, names: true };
    let found = match profiles.read(PROFILE_AUTO, agent, &query, None) {
        Ok(Answer { usage, energy, memory }) => {
            let domain = match memory.profile == PROFILE_DEFAULT {
                true => energywise::domain_name(agent)?,
                false => None,
            };
            Ok(Found { profile: memory.profile, domain, usage, energy })
        }
        Err(error) => Err(error),
    };
    Ok(Discovered { description, name, found })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_and_without_ports() {
        for (text, host, port) in [
            ("192.0.2.1", "192.0.2.1", None),
            ("192.0.2.1:1161", "192.0.2.1", Some(1161)),
            ("sw1.example.com:161", "sw1.example.com", Some(161)),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("[2001:db8::1]:1161", "2001:db8::1", Some(1161)),
        ] {
            let target: Target = text.parse().unwrap();
            assert_eq!((target.host.as_str(), target.port), (host, port));
        }
        for text in ["", ":161", "192.0.2.1:0", "192.0.2.1:65536", "192.0.2.1:snmp", "192.0.2.0/24", "a b"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }
}

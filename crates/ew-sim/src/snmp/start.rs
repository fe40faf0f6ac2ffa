//! From the command line to switches that answer.

use super::agent::Agent;
use super::drift::Drift;
use super::fault::faults_of;
use super::mib::{DOMAIN_NAME, Mib, SYS_NAME};
use super::model::{Model, switch_name};
use super::server::{Station, Switch, Timer, serve};
use super::snmprec;
use super::usm::{Credentials, Engine};
use super::value::Value;
use crate::cli::{By, SWITCHES_BY_PORT_MAX, SnmpOptions};
use crate::error::SimError;
use serde::Serialize;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// A switch that answers.
#[derive(Debug, Serialize)]
pub(crate) struct Running {
    /// sw0001, …
    pub(crate) name: String,
    /// Where it answers.
    pub(crate) address: SocketAddr,
    /// Whom it answers.
    pub(crate) community: String,
    /// The cewDomainName that it should say; none where the data file has no such row.
    pub(crate) domain: Option<String>,
}

/// Binds all sockets and starts to answer; the switches live as long as the process.
pub(crate) fn start(options: &SnmpOptions) -> Result<Vec<Running>, SimError> {
    let shared_community = options.shared_community().map_err(SimError::Usage)?;
    let names: Vec<String> = (1..=options.switches).map(switch_name).collect();
    for fault in &options.faults {
        fault.check(&names).map_err(SimError::Usage)?;
    }
    let users = users(options)?;
    let boots = boots();
    let addresses = addresses(options)?;
    let mibs = mibs(options)?;
    // All sockets before the first thread: an address in use ends the run before anyone is answered.
    let sockets = addresses.into_iter().map(bind).collect::<Result<Vec<_>, _>>()?;

    let mut stations: Vec<Station> = sockets.iter().map(|_| Station::new()).collect();
    let mut running = Vec::with_capacity(names.len());
    let last = sockets.len().saturating_sub(1);
    for (i, ((name, mib), number)) in names.into_iter().zip(mibs).zip(1..).enumerate() {
        // By community all share the only socket.
        let (Some((_, address)), Some(station)) = (sockets.get(i.min(last)), stations.get_mut(i.min(last)))
        else {
            continue;
        };
        let community = match options.by {
            By::Port => shared_community.to_owned(),
            By::Community => name.clone(),
        };
        let domain = domain_of(&mib);
        let drift = options.drift.then(|| Drift::new(options.seed, number));
        let engine = (!users.is_empty()).then(|| Engine::new(number, options.seed, boots, &users));
        let (flaws, wire) = faults_of(&name, number, options.seed, &options.faults);
        let switch = Switch { agent: Agent::new(mib, drift, flaws), engine, wire };
        station.insert(community.clone().into_bytes(), switch);
        running.push(Running { name, address: *address, community, domain });
    }

    let timer = Timer::start().map_err(|source| SimError::Thread { source })?;
    let now = Instant::now();
    for ((socket, _), station) in sockets.into_iter().zip(stations) {
        serve(socket, station, now, Arc::clone(&timer)).map_err(|source| SimError::Thread { source })?;
    }
    Ok(running)
}

/// Where to listen: one address by community; by port as many as there are switches.
fn addresses(options: &SnmpOptions) -> Result<Vec<SocketAddr>, SimError> {
    let (base, switches) = (options.listen, options.switches);
    if options.by == By::Community {
        return Ok(vec![base]);
    }
    if switches > SWITCHES_BY_PORT_MAX {
        return Err(SimError::Usage(format!(
            "--switches {switches}: at most {SWITCHES_BY_PORT_MAX} by port; use --by community"
        )));
    }
    (0..switches)
        .map(|offset| match base.port() {
            0 => Ok(base),
            port => {
                let port = port.checked_add(offset).ok_or_else(|| {
                    SimError::Usage(format!("--listen {base}: {switches} switches need ports above 65535"))
                })?;
                Ok(SocketAddr::new(base.ip(), port))
            }
        })
        .collect()
}

fn bind(address: SocketAddr) -> Result<(UdpSocket, SocketAddr), SimError> {
    UdpSocket::bind(address)
        .and_then(|socket| socket.local_addr().map(|bound| (socket, bound)))
        .map_err(|source| SimError::Listen { address, source })
}

/// The rows of each switch.
fn mibs(options: &SnmpOptions) -> Result<Vec<Mib>, SimError> {
    let numbers = 1..=options.switches;
    let Some(file) = &options.data else {
        let model = Model { domain: options.domain(), children: options.entities, seed: options.seed };
        let mut mibs: Vec<Mib> = Vec::with_capacity(usize::from(options.switches));
        for number in numbers {
            let mut mib = model.switch(number);
            if let Some(first) = mibs.first() {
                mib.share_names(first);
            }
            mibs.push(mib);
        }
        return Ok(mibs);
    };
    let recorded = snmprec::read(file)?;
    if options.switches == 1 {
        return Ok(vec![recorded]);
    }
    Ok(numbers
        .map(|number| {
            let mut mib = recorded.clone();
            mib.replace(SYS_NAME, Value::text(&switch_name(number)));
            mib
        })
        .collect())
}

/// The users of v3, each with its own name.
fn users(options: &SnmpOptions) -> Result<Vec<Credentials>, SimError> {
    let users = &options.v3_users;
    if !users.is_empty() && options.by == By::Community {
        return Err(SimError::Usage("--v3-user goes with --by port: v3 has no communities".into()));
    }
    for (i, user) in users.iter().enumerate() {
        if users.iter().take(i).any(|earlier| earlier.name == user.name) {
            return Err(SimError::Usage(format!("--v3-user: there are two of the name {:?}", user.name)));
        }
    }
    Ok(users.iter().map(Credentials::new).collect())
}

/// How often the engines have started. Nothing is kept from run to run, so the seconds since 2020 stand in: more
/// each time, as clients that know an earlier run insist.
fn boots() -> i32 {
    const YEAR_2020: u64 = 1_577_836_800;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    i32::try_from(now.saturating_sub(YEAR_2020)).unwrap_or(i32::MAX).max(1)
}

fn domain_of(mib: &Mib) -> Option<String> {
    match mib.get(DOMAIN_NAME) {
        Ok(Value::Octets(bytes)) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    }
}

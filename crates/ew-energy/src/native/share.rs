//! One answer for a whole domain, told apart: which rows are whose, and what the domain's total is.

use super::ask::Answer;
use super::{Collected, Row};
use crate::reading::{Failure, SwitchReading, Total, some_of};
use crate::{Domain, EntityReading, Sum, Switch};
use ew_core::{Exit, Quality, point_part};
use std::collections::{BTreeSet, HashMap, HashSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The query does not tell how good a row's power is.
const QUALITY: Quality = Quality::Unknown;
/// How long the name server may take for all switches that are configured by name while rows come by address.
const LOOK_UP: Duration = Duration::from_secs(5);
/// So many foreign hosts are named.
const HOSTS_SHOWN_MAX: usize = 10;

/// The answer of a domain that was collected from the switch at `asked`. The total is that of all rows, once; a row is
/// that of the first switch whose address or name is its host. A row of a host that is none of the switches counts in
/// the total: it is a member of the domain, and shown as `hidden` makes it.
pub(super) fn collected(
    domain: &Domain,
    asked: usize,
    found: Collected,
    hidden: &dyn Fn(&str) -> String,
) -> Answer {
    let owners = Owners::of(domain, &found);
    let mut readings: Vec<SwitchReading> = domain.switches.iter().map(SwitchReading::of).collect();
    let mut shares: Vec<(Sum, u32)> = vec![(Sum::new(), 0); readings.len()];
    let (mut total, mut foreign): (Sum, BTreeSet<&str>) = (Sum::new(), BTreeSet::new());
    for (row, number) in found.rows.iter().zip(1..) {
        total.add(row.watts);
        match owners.owner(&row.host) {
            Some(place) => {
                let (share, rows) = &mut shares[place];
                share.add(row.watts);
                *rows += 1;
                readings[place].entities.push(entity(row, number));
            }
            None => {
                foreign.insert(&row.host);
            }
        }
    }
    let mut warnings = Vec::new();
    for (host, why) in &found.left_out {
        match host.as_deref().and_then(|host| owners.owner(host)) {
            Some(place) => readings[place].skipped.push(why.clone()),
            None => warnings.push(format!("{}: {why}", domain.name)),
        }
    }
    let by = &domain.switches[asked].name;
    let shown = foreign.iter().take(HOSTS_SHOWN_MAX).map(|host| hidden(host)).collect::<Vec<_>>().join(" ");
    for ((reading, (share, rows)), switch) in readings.iter_mut().zip(&shares).zip(&domain.switches) {
        if *rows == 0 {
            reading.failure = Some(no_rows(switch, by, &shown, &reading.skipped));
            continue;
        }
        reading.value = Some(share.value());
        reading.quality = if reading.skipped.is_empty() { QUALITY } else { Quality::Partial };
    }
    let details = match foreign.is_empty() {
        true => Vec::new(),
        false => {
            vec![format!(
                "{}: {} hosts that are no switches of it count too: {shown}",
                domain.name,
                foreign.len()
            )]
        }
    };
    // Who gave the answer did answer, be its own rows in it or not.
    let answered =
        shares.iter().enumerate().filter(|(place, (_, rows))| *rows > 0 || *place == asked).count();
    let is_whole = found.left_out.is_empty() && shares.iter().all(|(_, rows)| *rows > 0);
    let quality = if is_whole { QUALITY } else { Quality::Partial };
    let total = Total {
        value: Some(total.value()),
        quality,
        expected: count(domain.switches.len()),
        answered: count(answered),
    };
    Answer { total, switches: readings, warnings, details }
}

/// The answer of a domain of which the adapter tells only the sum: it is every switch's answer, and no one's own.
pub(super) fn summed(domain: &Domain, watts: f64) -> Answer {
    let why = "the adapter tells only the sum of the domain";
    let only = |switch| SwitchReading { skipped: vec![why.to_owned()], ..SwitchReading::of(switch) };
    let switches: Vec<SwitchReading> = domain.switches.iter().map(only).collect();
    let all = count(switches.len());
    let total = Total { value: Some(watts), quality: QUALITY, expected: all, answered: all };
    Answer { total, switches, warnings: Vec::new(), details: Vec::new() }
}

pub(super) fn count(switches: usize) -> u32 {
    u32::try_from(switches).unwrap_or(u32::MAX)
}

fn entity(row: &Row, number: u32) -> EntityReading {
    EntityReading {
        index: number,
        part: point_part(&row.name, number),
        watts: row.watts,
        quality: QUALITY,
        producer: false,
    }
}

fn no_rows(switch: &Switch, by: &str, foreign: &str, left_out: &[String]) -> Failure {
    if !left_out.is_empty() {
        let left_out = some_of(left_out.iter().map(String::as_str));
        let reason = format!("the answer of {by} has no row of {} that counts: {left_out}", switch.address);
        let hint = "a row needs its power in watts, 0 or more".to_owned();
        return Failure { reason, hint, exit: Exit::Protocol };
    }
    let hint = match foreign {
        "" => {
            "is it up, in this EnergyWise domain, and of no greater importance than was asked for?".to_owned()
        }
        hosts => format!("if it is one of these hosts, write that as its address: {hosts}"),
    };
    let reason = format!("the answer of {by} has no row of {}", switch.address);
    Failure { reason, hint, exit: Exit::Unavailable }
}

/// What rows may call the switches, by their places; the first has the first claim.
struct Owners {
    texts: HashMap<String, usize>,
    addresses: HashMap<IpAddr, usize>,
}

impl Owners {
    fn of(domain: &Domain, found: &Collected) -> Owners {
        let rows = found.rows.iter().map(|row| row.host.as_str());
        let left_out = found.left_out.iter().filter_map(|(host, _)| host.as_deref());
        let hosts: HashSet<String> = rows.chain(left_out).map(str::to_lowercase).collect();
        let by_address = hosts.iter().any(|host| host.parse::<IpAddr>().is_ok());
        let until = Instant::now() + LOOK_UP;
        let mut owners = Owners { texts: HashMap::new(), addresses: HashMap::new() };
        for (place, switch) in domain.switches.iter().enumerate() {
            let address = switch.address.as_str();
            let texts = [address.to_lowercase(), switch.name.to_lowercase()];
            let left = until.saturating_duration_since(Instant::now());
            let addresses = match address.parse() {
                Ok(address) => vec![address],
                // A name is looked up where rows come by address and none by its name.
                Err(_) if by_address && !left.is_zero() && !texts.iter().any(|text| hosts.contains(text)) => {
                    let found = ew_net::addresses(address, 0, left).unwrap_or_default();
                    found.into_iter().map(|found| found.ip()).collect()
                }
                Err(_) => Vec::new(),
            };
            for text in texts {
                owners.texts.entry(text).or_insert(place);
            }
            for address in addresses {
                owners.addresses.entry(address).or_insert(place);
            }
        }
        owners
    }

    fn owner(&self, host: &str) -> Option<usize> {
        let by_address = || self.addresses.get(&host.parse().ok()?);
        self.texts.get(&host.to_lowercase()).or_else(by_address).copied()
    }
}

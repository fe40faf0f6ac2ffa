//! `diff`.

use crate::ask::one;
use crate::document::{Numbered, discoveries, level_out};
use crate::file;
use ew_bus::{Change, Discovery};
use ew_cli::{Failure, Output, Report};
use ew_config::Config;
use ew_core::Exit;
use ew_store::{Log, StoredDiscovery};
use serde::Serialize;
use serde_json::{Value, json};
use std::path::Path;

/// What to compare and how.
pub(crate) struct Request<'a> {
    pub(crate) old: Option<&'a str>,
    pub(crate) new: Option<&'a str>,
    pub(crate) bus: Option<&'a str>,
    pub(crate) levels: bool,
    pub(crate) strict: bool,
}

/// A change with its bus.
#[derive(Serialize)]
struct Row<'a> {
    bus: &'a str,
    #[serde(flatten)]
    change: &'a Change,
}

/// Tells what changed.
pub(crate) fn diff(
    config: &Config,
    request: &Request<'_>,
    json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let log = Log::open(&config.log.url)?;
    let mut pairs = pairs(config, &log, request)?;
    let mut changes: Vec<(String, Change)> = Vec::new();
    for (old, new) in &mut pairs {
        level_out(old, new);
        for (which, one) in [("old", &*old), ("new", &*new)] {
            if !one.untold.is_empty() {
                let lists = one.untold.join(", ");
                report.warning(format_args!(
                    "{}: the {which} document has no {lists}: no change in them is told",
                    one.discovery.bus
                ));
            }
            if one.discovery.complete != Some(false) {
                continue;
            }
            let reasons = one.discovery.incomplete_reasons.join("; ");
            let message = format!("{}: the {which} discovery is not whole: {reasons}", one.discovery.bus);
            if request.strict {
                return Err(Failure::new(Exit::Data, message).hint("ew-cbus discover makes another"));
            }
            report.warning(message);
        }
        let found = ew_bus::diff(&old.discovery, &new.discovery, request.levels);
        changes.extend(found.into_iter().map(|change| (new.discovery.bus.clone(), change)));
    }
    if json {
        let rows: Vec<Row<'_>> = changes.iter().map(|(bus, change)| Row { bus, change }).collect();
        let heads = |side: fn(&(Numbered, Numbered)) -> &Numbered| -> Vec<Value> {
            pairs.iter().map(side).map(head).collect()
        };
        out.json(&json!({
            "same": rows.is_empty(), "old": heads(|pair| &pair.0), "new": heads(|pair| &pair.1), "changes": rows,
        }))?;
    } else {
        for (bus, change) in &changes {
            match pairs.len() {
                1 => out.line(format_args!("{change}"))?,
                _ => out.line(format_args!("{bus}: {change}"))?,
            }
        }
    }
    Ok(if changes.is_empty() { Exit::Ok } else { Exit::Partial })
}

fn head(one: &Numbered) -> Value {
    let Discovery { bus, started_at, complete, .. } = &one.discovery;
    json!({"id": one.id, "bus": bus, "started_at": started_at.to_string(), "complete": complete})
}

/// What is compared with what, bus by bus.
fn pairs(config: &Config, log: &Log, request: &Request<'_>) -> Result<Vec<(Numbered, Numbered)>, Failure> {
    let Some(old) = request.old else {
        let bus = &one(config, request.bus)?.name;
        let mut last = log.last_discoveries(bus, 2)?.into_iter();
        let (Some(new), Some(old)) = (last.next(), last.next()) else {
            let found = log.last_discoveries(bus, 1)?.len();
            let (has, hint) = match found {
                0 => ("no discovery", "ew-cbus discover makes one; two can be compared"),
                _ => ("only one discovery", "run ew-cbus discover again: what changed since shows then"),
            };
            return Err(Failure::new(Exit::NoData, format!("the log has {has} of {bus}")).hint(hint));
        };
        return Ok(vec![(stored(old)?, stored(new)?)]);
    };
    let old = side(log, old)?;
    let mut new = match request.new {
        Some(new) => side(log, new)?,
        None => old.iter().map(|one| last(log, &one.discovery.bus)).collect::<Result<_, _>>()?,
    };
    let mut pairs = Vec::new();
    // One with one: so may a bus be compared that has got another name.
    if let ([_], [_]) = (old.as_slice(), new.as_slice()) {
        pairs.extend(old.into_iter().zip(new));
        return Ok(pairs);
    }
    for old in old {
        let at = new.iter().position(|new| new.discovery.bus == old.discovery.bus).ok_or_else(|| {
            Failure::new(Exit::Usage, format!("only the old side has the bus {}", old.discovery.bus))
        })?;
        pairs.push((old, new.swap_remove(at)));
    }
    match new.first() {
        Some(new) => {
            Err(Failure::new(Exit::Usage, format!("only the new side has the bus {}", new.discovery.bus)))
        }
        None => Ok(pairs),
    }
}

/// A discovery of the log by its number, or those of a file.
fn side(log: &Log, which: &str) -> Result<Vec<Numbered>, Failure> {
    if let Ok(id) = which.parse() {
        let found = log.discovery(id)?.ok_or_else(|| {
            Failure::new(Exit::Usage, format!("the log has no discovery {id}"))
                .hint(format!("a file of that name is ./{which}"))
        })?;
        return Ok(vec![stored(found)?]);
    }
    let text = file::text(Path::new(which))?;
    discoveries(&text).map_err(|why| {
        Failure::new(Exit::Data, format!("{which}: {why}"))
            .hint("a file is what ew-cbus discover --json printed")
    })
}

fn last(log: &Log, bus: &str) -> Result<Numbered, Failure> {
    match log.last_discoveries(bus, 1)?.pop() {
        Some(found) => stored(found),
        None => Err(Failure::new(Exit::NoData, format!("the log has no discovery of {bus}"))
            .hint("ew-cbus discover makes one")),
    }
}

fn stored(found: StoredDiscovery) -> Result<Numbered, Failure> {
    let discovery = serde_json::from_str(&found.document).map_err(|e| {
        Failure::new(Exit::Io, format!("discovery {} in the log cannot be read: {e}", found.id))
    })?;
    Ok(Numbered { id: Some(found.id), discovery, untold: Vec::new() })
}

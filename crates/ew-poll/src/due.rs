//! What `--due` polls.

use crate::cache;
use ew_cli::Failure;
use ew_core::Timestamp;
use ew_energy::{CachedTotal, Domain, Importance, TrendOptions};
use ew_store::Log;
use std::collections::{HashMap, HashSet};

/// What is to be polled now.
pub(crate) struct Due<'a> {
    /// Trees of their own, none within another.
    pub(crate) trees: Vec<&'a Domain>,
    /// Domains in them that need not be asked.
    pub(crate) cached: HashMap<String, CachedTotal>,
}

/// The topmost due domains of the trees, each with all below it.
///
/// A domain with a trend, its own or that of a domain above it, is due while the trend's domain has no record in the
/// present period, and then it is asked whatever its ttl. A record is a row of the same importance, be its value null.
/// A domain without a trend is due once its last reading is no longer fresh.
pub(crate) fn due<'a>(
    log: &Log,
    trends: &[TrendOptions],
    trees: &[&'a Domain],
    importance: Option<Importance>,
    now: Timestamp,
) -> Result<Due<'a>, Failure> {
    let mut cached = cache::fresh(log, trees, importance, now)?;
    let missing = without_record(log, trends, trees, importance, now)?;
    let is_due = |domain: &Domain| match TrendOptions::followed(trends, &domain.name) {
        Some(trend) => missing.contains(trend.domain.as_str()),
        None => !cached.contains_key(&domain.name),
    };
    let mut found = Vec::new();
    let mut open: Vec<&Domain> = trees.iter().rev().copied().collect();
    while let Some(domain) = open.pop() {
        match is_due(domain) {
            true => found.push(domain),
            false => open.extend(domain.children.iter().rev()),
        }
    }
    cached.retain(|name, _| {
        TrendOptions::followed(trends, name).is_none_or(|trend| !missing.contains(trend.domain.as_str()))
    });
    Ok(Due { trees: found, cached })
}

/// The domains of the trends that have no record in the present period.
fn without_record<'t>(
    log: &Log,
    trends: &'t [TrendOptions],
    trees: &[&Domain],
    importance: Option<Importance>,
    now: Timestamp,
) -> Result<HashSet<&'t str>, Failure> {
    let own: HashMap<&str, u32> = trees
        .iter()
        .flat_map(|tree| tree.flat())
        .map(|domain| (domain.name.as_str(), domain.importance.get()))
        .collect();
    let snapshot = log.snapshot()?;
    let mut missing = HashSet::new();
    for trend in trends {
        let asked = importance.map(Importance::get).or_else(|| own.get(trend.domain.as_str()).copied());
        if !snapshot.was_polled(&trend.domain, trend.period_start(now), now, asked)? {
            missing.insert(trend.domain.as_str());
        }
    }
    Ok(missing)
}

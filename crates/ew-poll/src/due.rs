//! What `--due` polls.

use ew_cli::{Failure, clock};
use ew_energy::{CachedTotal, Domain, Importance, TrendOptions};
use ew_store::Log;
use std::collections::HashMap;

/// What is to be polled now.
pub(crate) struct Due<'a> {
    /// Trees of their own, none within another.
    pub(crate) trees: Vec<&'a Domain>,
    /// Domains in them that need not be asked.
    pub(crate) cached: HashMap<String, CachedTotal>,
}

/// The topmost due domains of the trees, each with what is due below it.
///
/// A domain with a trend, its own or that of a domain above it, is due while it has no record in the trend's present
/// period; one without while it has none that is younger than its ttl. A record is a row of the same importance, be its
/// value null: what failed is not tried again before its time. Domains above use it.
pub(crate) fn due<'a>(
    log: &Log,
    trends: &[TrendOptions],
    trees: &[&'a Domain],
    importance: Option<Importance>,
    clock: &clock::Present,
) -> Result<Due<'a>, Failure> {
    let cached = records(log, trends, trees, importance, clock)?;
    let mut found = Vec::new();
    let mut open: Vec<&Domain> = trees.iter().rev().copied().collect();
    while let Some(domain) = open.pop() {
        match cached.contains_key(&domain.name) {
            true => open.extend(domain.children.iter().rev()),
            false => found.push(domain),
        }
    }
    Ok(Due { trees: found, cached })
}

/// The domains that are not due. A clock in doubt tells periods and ages too, only not from records that were made before
/// it went back.
fn records(
    log: &Log,
    trends: &[TrendOptions],
    trees: &[&Domain],
    importance: Option<Importance>,
    clock: &clock::Present,
) -> Result<HashMap<String, CachedTotal>, Failure> {
    let (snapshot, now) = (log.snapshot()?, clock.reading.wall);
    let mut records = HashMap::new();
    for domain in trees.iter().flat_map(|tree| tree.flat()) {
        let after = match TrendOptions::followed(trends, &domain.name) {
            Some(trend) => trend.period_start(now).plus_micros(-1),
            None => now.plus_micros(-domain.ttl.micros()),
        };
        let asked = importance.unwrap_or(domain.importance).get();
        let last = snapshot.last_poll(&domain.name, (after, now), asked, clock.doubt.is_some())?;
        let Some(last) = last else { continue };
        let (expected, answered) = (last.expected.unwrap_or(0), last.answered.unwrap_or(0));
        let total = CachedTotal { value: last.value, quality: last.quality, expected, answered };
        records.insert(domain.name.clone(), total);
    }
    Ok(records)
}

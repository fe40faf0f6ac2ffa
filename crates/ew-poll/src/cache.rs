//! Which domains need not be asked.

use ew_cli::Failure;
use ew_core::{Quality, Timestamp};
use ew_energy::{CachedTotal, Domain, Importance};
use ew_store::Log;
use std::collections::HashMap;

/// The domains whose last sample is younger than their ttl (one aged exactly ttl is not), whole, not from
/// the future and of the same importance.
pub(crate) fn fresh(
    log: &Log,
    trees: &[&Domain],
    importance: Option<Importance>,
    now: Timestamp,
) -> Result<HashMap<String, CachedTotal>, Failure> {
    let snapshot = log.snapshot()?;
    let mut fresh = HashMap::new();
    for domain in trees.iter().flat_map(|tree| tree.flat()) {
        let asked = importance.unwrap_or(domain.importance).get();
        let Some(last) = snapshot.last_total(&domain.name, now.plus_micros(-domain.ttl.micros()))? else {
            continue;
        };
        let (Some(value), Some(expected), Some(answered)) = (last.value, last.expected, last.answered) else {
            continue;
        };
        let whole = expected == answered && last.quality < Quality::Partial;
        if whole && last.time <= now && last.importance == Some(asked) {
            let total = CachedTotal { value: Some(value), quality: last.quality, expected, answered };
            fresh.insert(domain.name.clone(), total);
        }
    }
    Ok(fresh)
}

//! What entities are called in points.

use crate::energy::ENERGY_PART;
use ew_core::point_part;
use std::collections::HashMap;

/// Each entity's part of a point's name, from its own name and its index: its name, or `#<index>` where that is
/// missing, not unique, looks like such a stand-in or is that of the switch's counter, be there one now or not.
pub(crate) fn part_names(entities: &[(&str, &[u32])]) -> Vec<String> {
    let last = |index: &[u32]| index.last().copied().unwrap_or(0);
    let parts: Vec<String> = entities.iter().map(|(name, index)| point_part(name, last(index))).collect();
    let mut count: HashMap<&str, usize> = HashMap::new();
    for part in &parts {
        *count.entry(part).or_default() += 1;
    }
    let is_kept = |part: &str| part.trim().is_empty() || part.starts_with('#') || part == ENERGY_PART;
    let own = |part: &str| !is_kept(part) && count[part] == 1;
    let named = entities.iter().zip(&parts);
    named.map(|((_, index), part)| if own(part) { part.clone() } else { stand_in(index) }).collect()
}

/// `#1_5` for the index 1.5: a dot would part the point.
pub(crate) fn stand_in(index: &[u32]) -> String {
    let numbers: Vec<String> = index.iter().map(u32::to_string).collect();
    format!("#{}", numbers.join("_"))
}

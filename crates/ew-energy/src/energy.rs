//! Energy counters: as devices count them, with every step that is none of the device's consumption marked.

use crate::{Memory, Sum};
use ew_core::{Point, Quality};
use std::collections::{BTreeMap, BTreeSet};

/// The last part of a counter's point.
pub(crate) const ENERGY_PART: &str = "energy";

/// An energy counter of a switch or of one of its entities.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyReading {
    /// The entity's part of the point's name; none: the switch itself.
    pub part: Option<String>,
    /// The last number of its index.
    pub index: u32,
    /// Its point, where it is logged.
    pub point: Option<Point>,
    /// The running total as the device has it, Wh.
    pub wh: f64,
    /// `suspect` where it went back or counts other parts than before, `partial` where a part has no data.
    pub quality: Quality,
    /// Why it is suspect or partial.
    pub reason: Option<String>,
}

/// A counter as it was read.
#[derive(Debug, Clone)]
pub(crate) struct Count {
    /// The same in every poll.
    pub(crate) key: String,
    pub(crate) index: Vec<u32>,
    /// Or why there is none.
    pub(crate) wh: Result<f64, String>,
    pub(crate) quality: Quality,
    /// Where it begins anew, Wh.
    pub(crate) wraps_at: Option<f64>,
    /// What is known to be wrong with it.
    pub(crate) note: Option<(Quality, String)>,
}

/// The counters of one column. Their keys begin with its name and a dot.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) column: String,
    pub(crate) counts: Vec<Count>,
}

/// Compares counters with how they stood before, and keeps how they stand. The first reading is, with `is_total`
/// and where there are any, the sum of the others.
pub(crate) fn judge(
    group: Group,
    before: Option<&Memory>,
    after: &mut Memory,
    part: &dyn Fn(&[u32]) -> String,
    is_total: bool,
) -> Vec<EnergyReading> {
    let prefix = format!("{}.", group.column);
    let known: BTreeMap<&str, f64> = before.map_or_else(BTreeMap::new, |memory| {
        let all = memory.counters.iter().map(|(key, wh)| (key.as_str(), *wh));
        all.filter(|(key, _)| key.starts_with(&prefix)).collect()
    });
    let was_left_out = |key: &str| before.is_some_and(|memory| memory.left_out.contains(key));
    let mut readings = Vec::new();
    let mut keys = BTreeSet::new();
    let mut without_data = None;
    for count in &group.counts {
        let wh = match &count.wh {
            Ok(wh) => *wh,
            Err(reason) => {
                without_data.get_or_insert(reason);
                continue;
            }
        };
        keys.insert(count.key.as_str());
        after.counters.insert(count.key.clone(), wh);
        let (quality, reason) = judged(count, wh, known.get(count.key.as_str()).copied());
        let (index, part) = (count.index.last().copied().unwrap_or(0), Some(part(&count.index)));
        readings.push(EnergyReading { part, index, point: None, wh, quality, reason });
    }
    // A part that has no data now, or a table that is not there, may come back.
    for (key, wh) in known.iter().filter(|(key, _)| !keys.contains(*key)) {
        after.counters.insert((*key).to_owned(), *wh);
        if !keys.is_empty() || was_left_out(key) {
            after.left_out.insert((*key).to_owned());
        }
    }
    if keys.is_empty() {
        return readings;
    }
    if is_total {
        let mut total = total(&readings);
        if let Some(reason) = without_data {
            total.quality = total.quality.max(Quality::Partial);
            total.reason.get_or_insert_with(|| reason.clone());
        }
        // What came or went with a part was not consumed since the last poll.
        let parts_before = known.keys().copied().filter(|key| !was_left_out(key));
        let has_other_parts = !known.is_empty() && !parts_before.eq(keys.iter().copied());
        let total_before = before.and_then(|memory| memory.total.as_ref());
        if has_other_parts || total_before.is_some_and(|column| *column != group.column) {
            total.quality = Quality::Suspect;
            total.reason = Some("it counts other parts than before".to_owned());
        }
        after.total = Some(group.column);
        readings.insert(0, total);
    }
    if let Some(seen) = &mut after.since_other {
        for reading in &mut readings {
            if seen.insert(reading.part.clone().unwrap_or_default()) {
                reading.quality = Quality::Suspect;
                reading.reason = Some("it is another device's counter than before".to_owned());
            }
        }
    }
    readings
}

fn total(readings: &[EnergyReading]) -> EnergyReading {
    let mut sum = Sum::new();
    readings.iter().for_each(|reading| sum.add(reading.wh));
    EnergyReading {
        part: None,
        index: 0,
        point: None,
        wh: sum.value(),
        quality: readings.iter().map(|reading| reading.quality).max().unwrap_or(Quality::Unknown),
        reason: readings.iter().find_map(|reading| reading.reason.clone()),
    }
}

/// A step back is none of the device's consumption: a reset, or the counter's end.
fn judged(count: &Count, wh: f64, before: Option<f64>) -> (Quality, Option<String>) {
    if let Some((quality, reason)) = &count.note {
        return (count.quality.max(*quality), Some(reason.clone()));
    }
    let Some(before) = before.filter(|before| wh < *before) else { return (count.quality, None) };
    // Near its end then, near its beginning now.
    let wrapped = count.wraps_at.is_some_and(|end| before >= end * 0.75 && wh < end * 0.25);
    let what = if wrapped { "wrapped" } else { "was reset" };
    (Quality::Suspect, Some(format!("{} {what}: from {before} to {wh} Wh", count.key)))
}

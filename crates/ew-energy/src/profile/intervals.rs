//! EMAN's energy: `eoEnergyTable` tells it by the interval, and what is logged is a running total.

use crate::energy::{Count, Group};
use crate::energywise::Query;
use crate::memory::Running;
use crate::sum::scaled;
use crate::walk::walk;
use crate::{Agent, EnergyError, Memory, Oid, Sum, Value};
use ew_core::Quality;
use std::collections::{BTreeMap, BTreeSet};

/// `eoEnergyParametersEntry`, by `entPhysicalIndex` and `eoEnergyParametersIndex`.
const PARAMETERS: &[u32] = &[1, 3, 6, 1, 2, 1, 229, 1, 4, 1];
/// Its columns: `eoEnergyParametersIntervalLength`, `…IntervalMode`, `…Status`.
const PARAMETER_COLUMNS: [u32; 3] = [3, 5, 9];
/// `eoEnergyEntry`, by `eoEnergyParametersIndex` and `eoEnergyCollectionStartTime`.
const ENERGY: &[u32] = &[1, 3, 6, 1, 2, 1, 229, 1, 5, 1];
/// Its columns: `eoEnergyConsumed`, `eoEnergyUnitMultiplier`.
const ENERGY_COLUMNS: [u32; 2] = [2, 5];

/// Modes of intervals: one after the other, overlapping, one that never ends.
const PERIOD: i64 = 1;
const SLIDING: i64 = 2;
const TOTAL: i64 = 3;
/// `eoEnergyParametersStatus`.
const ACTIVE: i64 = 1;

/// How energy is collected of one object.
struct Collection {
    /// `entPhysicalIndex`; none where the agent does not say.
    entity: Option<u32>,
    mode: i64,
    /// Hundredths of a second.
    length: Option<u32>,
}

/// By start time, Wh.
type Intervals = BTreeMap<u32, Result<f64, String>>;

/// The counters of the objects whose power counts: the first collection of each that can be added up.
pub(super) fn read(
    agent: &mut dyn Agent,
    query: &Query<'_>,
    counted: &BTreeSet<&[u32]>,
    before: Option<&Memory>,
    after: &mut Memory,
) -> Result<Group, EnergyError> {
    let (parameters, energy) = (Oid::new(PARAMETERS), Oid::new(ENERGY));
    let columns: Vec<Oid> = PARAMETER_COLUMNS
        .map(|column| parameters.child(column))
        .into_iter()
        .chain(ENERGY_COLUMNS.map(|column| energy.child(column)))
        .collect();
    let rows = walk(agent, &columns, query.repetitions, "eoEnergyTable")?;
    let mut collections: BTreeMap<u32, Collection> = BTreeMap::new();
    let mut intervals: BTreeMap<u32, Intervals> = BTreeMap::new();
    for (index, cells) in &rows {
        let [first, second] = index[..] else { continue };
        let number = |place: usize| match cells.get(place) {
            Some(Some(Value::Integer(number))) => Some(*number),
            _ => None,
        };
        // The indices of the two tables are alike; their columns are not.
        if (0..3).any(|place| number(place).is_some()) && number(2).is_none_or(|status| status == ACTIVE) {
            let length = number(0).and_then(|length| u32::try_from(length).ok());
            let collection = Collection { entity: Some(first), mode: number(1).unwrap_or(PERIOD), length };
            collections.insert(second, collection);
        }
        if let Some(consumed) = number(3) {
            let wh = number(4)
                .and_then(|exponent| i32::try_from(exponent).ok())
                .filter(|e| (-24..=24).contains(e));
            let wh = wh.and_then(|exponent| scaled(i128::from(consumed), exponent, 1.0));
            let wh =
                wh.ok_or_else(|| format!("{}.{first}.{second} has no usable multiplier", energy.child(2)));
            intervals.entry(first).or_default().insert(second, wh);
        }
    }
    let mut counts = Vec::new();
    let mut entities: BTreeSet<u32> = BTreeSet::new();
    for (number, intervals) in intervals {
        let unknown = Collection { entity: None, mode: PERIOD, length: None };
        let collection = collections.get(&number).unwrap_or(&unknown);
        let is_counted = collection.entity.is_none_or(|entity| counted.contains(&[entity][..]));
        // Overlapping intervals cannot be added up; a second collection is the same energy once more.
        let is_first =
            collection.mode != SLIDING && collection.entity.is_none_or(|entity| entities.insert(entity));
        if is_counted && is_first {
            counts.push(count(&energy.child(2), number, collection, &intervals, before, after));
        }
    }
    Ok(Group { column: energy.child(2).to_string(), counts })
}

fn count(
    column: &Oid,
    number: u32,
    collection: &Collection,
    intervals: &Intervals,
    before: Option<&Memory>,
    after: &mut Memory,
) -> Count {
    let key = column.child(number).to_string();
    let index = collection.entity.map_or_else(Vec::new, |entity| vec![entity]);
    let mut count = Count { key, index, wh: Ok(0.0), quality: Quality::Actual, wraps_at: None, note: None };
    if let Some(reason) = intervals.values().find_map(|wh| wh.as_ref().err()) {
        count.wh = Err(reason.clone());
        return count;
    }
    let known: Vec<(u32, f64)> =
        intervals.iter().filter_map(|(start, wh)| Some((*start, *wh.as_ref().ok()?))).collect();
    let Some((newest, newest_wh)) = known.last().copied() else { return count };
    if collection.mode == TOTAL {
        count.wh = Ok(newest_wh);
        return count;
    }
    let running = before.and_then(|memory| memory.intervals.get(&count.key)).copied();
    let mut sum = Sum::new();
    let mut new: Vec<(u32, f64)> = known.clone();
    if let Some(running) = running {
        sum.add(running.total);
        // Start times are up times: they go back when the device starts anew, and then all is new.
        if newest >= running.start {
            new.retain(|(start, _)| *start > running.start);
            // The newest interval may have been under way.
            let grown =
                intervals.get(&running.start).and_then(|wh| wh.as_ref().ok()).map(|wh| wh - running.wh);
            sum.add(grown.filter(|grown| *grown > 0.0).unwrap_or(0.0));
            let gap = new.first().map(|(start, _)| start - running.start);
            if let (Some(gap), Some(length)) = (gap, collection.length)
                && u64::from(gap) * 2 > u64::from(length) * 3
            {
                count.note = Some((
                    Quality::Partial,
                    format!("{} passed over intervals since the last poll", count.key),
                ));
            }
        } else {
            count.note = Some((
                Quality::Suspect,
                format!("{} began anew; intervals before may be missing", count.key),
            ));
        }
    }
    new.iter().for_each(|(_, wh)| sum.add(*wh));
    let total = sum.value();
    after.intervals.insert(count.key.clone(), Running { start: newest, wh: newest_wh, total });
    count.wh = Ok(total);
    count
}

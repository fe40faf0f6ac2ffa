//! Reading the tables of a profile.

use super::{Negative, SourceOptions, Tables, intervals};
use crate::energy::{Count, EnergyReading, Group, judge};
use crate::energywise::{Query, Usage};
use crate::name::part_names;
use crate::sum::{decimal, scaled};
use crate::walk::{Rows, walk};
use crate::{Agent, EnergyError, EntityReading, Memory, Oid, Sum, Value};
use ew_core::Quality;
use std::collections::{BTreeMap, BTreeSet};

/// The most names asked for by one request.
const NAMES_AT_ONCE: usize = 25;
/// Powers of ten as MIBs have them.
const EXPONENTS: std::ops::RangeInclusive<i64> = -24..=24;

/// A row of a source.
struct Row {
    /// The instance of its value.
    oid: Oid,
    /// Without the number that tells what it measures.
    index: Vec<u32>,
    /// Watts or watt-hours, or what is wrong with it.
    value: Result<f64, String>,
    quality: Quality,
    producer: bool,
    /// Where its name stands.
    name: Option<Oid>,
}

/// The rows of a source that count.
struct Read<'a> {
    source: &'a SourceOptions,
    rows: Vec<Row>,
    /// Others are of a higher importance.
    has_more: bool,
}

impl Read<'_> {
    fn has_data(&self) -> bool {
        self.rows.iter().any(|row| row.value.is_ok())
    }
}

/// Power and energy by the tables of the profile of a name; `before` is what the last poll left, `after` what
/// this one leaves.
pub(super) fn read(
    agent: &mut dyn Agent,
    profile: &str,
    tables: &Tables,
    query: &Query<'_>,
    before: Option<&Memory>,
    after: &mut Memory,
) -> Result<(Usage, Vec<EnergyReading>), EnergyError> {
    let sources = tables.power.iter().chain(&tables.energy);
    let columns: BTreeSet<&Oid> = sources.flat_map(SourceOptions::columns).collect();
    let columns: Vec<Oid> = columns.into_iter().cloned().collect();
    let rows = walk(agent, &columns, query.repetitions, &format!("the tables of the profile {profile}"))?;
    let table = Table { columns: &columns, rows: &rows };
    let power = table.read_all(&tables.power, query.importance);
    let energy = table.read_all(&tables.energy, query.importance);

    let chosen = power.iter().find(|read| read.has_data());
    let Some(chosen) = chosen.or_else(|| power.iter().find(|read| read.rows.is_empty() && read.has_more))
    else {
        return Err(nothing(agent.peer(), profile, &power));
    };
    let names = Names::ask(agent, power.iter().chain(&energy), query.names)?;
    let mut usage = sum(chosen);
    usage.entities = entities(&power, &names);
    let mut readings = Vec::new();
    if tables.has_intervals {
        let counted: BTreeSet<&[u32]> =
            chosen.rows.iter().filter(|row| !row.producer).map(|row| row.index.as_slice()).collect();
        let group = intervals::read(agent, query, &counted, before, after)?;
        readings.extend(judge(group, before, after, &|index| names.part(index), true));
    }
    let mut has_total = tables.has_intervals;
    for read in energy {
        let (is_total, has_entities) = (!has_total && read.has_data(), read.source.entities);
        has_total |= is_total;
        let judged = judge(group(read), before, after, &|index| names.part(index), is_total);
        readings.extend(judged.into_iter().filter(|reading| has_entities || reading.part.is_none()));
    }
    readings.sort_by_key(|reading| reading.part.is_some());
    Ok((usage, readings))
}

/// Why no power can be had.
fn nothing(peer: &str, profile: &str, power: &[Read<'_>]) -> EnergyError {
    let (peer, profile) = (peer.to_owned(), profile.to_owned());
    let mut reasons = power.iter().flat_map(|read| &read.rows).filter_map(|row| row.value.as_ref().err());
    match reasons.next() {
        Some(first) => EnergyError::NoData { peer, profile, rows: 1 + reasons.count(), first: first.clone() },
        None => EnergyError::NoTable { peer, profile },
    }
}

/// The sum of what is consumed; producers are none of it.
fn sum(read: &Read<'_>) -> Usage {
    let mut sum = Sum::new();
    let mut usage =
        Usage { watts: 0.0, quality: Quality::Trusted, entities: Vec::new(), skipped: Vec::new() };
    for row in &read.rows {
        match &row.value {
            Ok(watts) if !row.producer => {
                sum.add(*watts);
                usage.quality = usage.quality.max(row.quality);
            }
            Ok(_) => {}
            Err(reason) => usage.skipped.push(reason.clone()),
        }
    }
    if !usage.skipped.is_empty() {
        usage.quality = Quality::Partial;
    }
    Usage { watts: sum.value(), ..usage }
}

fn entities(power: &[Read<'_>], names: &Names) -> Vec<EntityReading> {
    let rows = power.iter().filter(|read| read.source.entities).flat_map(|read| &read.rows);
    let entity = |row: &Row| {
        let (index, part) = (row.index.last().copied().unwrap_or(0), names.part(&row.index));
        let watts = row.value.as_ref().ok()?;
        Some(EntityReading { index, part, watts: *watts, quality: row.quality, producer: row.producer })
    };
    rows.filter_map(entity).collect()
}

/// The counters of a source.
fn group(read: Read<'_>) -> Group {
    let wraps_at = read.source.wraps_at.and_then(|raw| scaled(i128::from(raw), 0, read.source.scale));
    let counts = read.rows.into_iter().map(|row| Count {
        key: row.oid.to_string(),
        index: row.index,
        wh: row.value,
        quality: row.quality,
        wraps_at,
        note: None,
    });
    Group { column: read.source.value.to_string(), counts: counts.collect() }
}

/// Each row's part of a point's name.
struct Names(BTreeMap<Vec<u32>, String>);

impl Names {
    /// Of the entities of some sources; `wanted`: by what the agent calls them, else by their index.
    fn ask<'a>(
        agent: &mut dyn Agent,
        reads: impl Iterator<Item = &'a Read<'a>>,
        wanted: bool,
    ) -> Result<Names, EnergyError> {
        let mut places: BTreeMap<Vec<u32>, Option<Oid>> = BTreeMap::new();
        for row in reads.filter(|read| read.source.entities).flat_map(|read| &read.rows) {
            let place = places.entry(row.index.clone()).or_default();
            if wanted && place.is_none() {
                *place = row.name.clone();
            }
        }
        let oids: Vec<Oid> = places.values().flatten().cloned().collect();
        let mut found = Vec::new();
        for oids in oids.chunks(NAMES_AT_ONCE) {
            found.extend(agent.get_many(oids, "the names of entities")?);
        }
        let mut found = found.into_iter();
        let named = places.iter().map(|(index, place)| {
            let name = match place.as_ref().and_then(|_| found.next()) {
                Some(Value::Text(bytes)) => String::from_utf8_lossy(&bytes).trim().to_owned(),
                _ => String::new(),
            };
            (name, index.clone())
        });
        let named: Vec<(String, Vec<u32>)> = named.collect();
        let parts =
            part_names(&named.iter().map(|(name, index)| (name.as_str(), &index[..])).collect::<Vec<_>>());
        Ok(Names(named.into_iter().map(|(_, index)| index).zip(parts).collect()))
    }

    fn part(&self, index: &[u32]) -> String {
        self.0.get(index).cloned().unwrap_or_else(|| crate::name::stand_in(index))
    }
}

/// What was walked.
struct Table<'a> {
    columns: &'a [Oid],
    rows: &'a Rows,
}

impl Table<'_> {
    fn read_all<'a>(&self, sources: &'a [SourceOptions], importance: u32) -> Vec<Read<'a>> {
        sources.iter().map(|source| self.read(source, importance)).collect()
    }

    fn read<'a>(&self, source: &'a SourceOptions, importance: u32) -> Read<'a> {
        let mut read = Read { source, rows: Vec::new(), has_more: false };
        for (index, cells) in self.rows {
            let cells = Cells { columns: self.columns, cells };
            let Some(raw) = cells.get(&source.value) else { continue };
            let index = match (source.index_ends, &index[..]) {
                (None, index) => index,
                (Some(end), [index @ .., last]) if *last == end => index,
                _ => continue,
            };
            if !source.only.iter().all(|condition| cells.fits(condition)) {
                continue;
            }
            // The default of EMAN and of EnergyWise is 1.
            if source
                .importance
                .as_ref()
                .is_some_and(|c| cells.number(c).unwrap_or(1) > i64::from(importance))
            {
                read.has_more = true;
                continue;
            }
            read.rows.push(cells.row(source, index, raw));
        }
        read
    }
}

/// One row of what was walked.
struct Cells<'a> {
    columns: &'a [Oid],
    cells: &'a [Option<Value>],
}

impl Cells<'_> {
    fn get(&self, column: &Oid) -> Option<&Value> {
        let place = self.columns.iter().position(|other| other == column)?;
        self.cells.get(place)?.as_ref().filter(|value| **value != Value::Absent)
    }

    fn number(&self, column: &Oid) -> Option<i64> {
        match self.get(column) {
            Some(Value::Integer(number)) => Some(*number),
            _ => None,
        }
    }

    fn fits(&self, condition: &super::Condition) -> bool {
        self.number(&condition.oid).map_or(condition.or_absent, |number| condition.is.contains(&number))
    }

    fn row(&self, source: &SourceOptions, index: &[u32], raw: &Value) -> Row {
        let oid = index
            .iter()
            .chain(&source.index_ends)
            .fold(source.value.clone(), |oid, number| oid.child(*number));
        let (quality, value) = match self.value(source, raw) {
            Ok((value, quality)) => (quality, Ok(value)),
            Err(reason) => (Quality::Missing, Err(format!("{oid} {reason}"))),
        };
        let name_index: Option<Vec<u32>> = match &source.name_index {
            None => Some(index.to_vec()),
            Some(column) => {
                self.number(column).and_then(|number| u32::try_from(number).ok()).map(|n| vec![n])
            }
        };
        let name = source.name.as_ref().zip(name_index);
        Row {
            index: index.to_vec(),
            producer: source.producer.as_ref().is_some_and(|condition| self.fits(condition))
                || value.as_ref().is_ok_and(|value| *value < 0.0),
            value,
            quality,
            name: name
                .map(|(column, index)| index.iter().fold(column.clone(), |oid, number| oid.child(*number))),
            oid,
        }
    }

    /// W or Wh and how good they are, or why there is no value.
    fn value(&self, source: &SourceOptions, raw: &Value) -> Result<(f64, Quality), String> {
        let (mantissa, mut exponent) = number(raw).ok_or("is no number")?;
        let plain = scaled(mantissa, exponent, 1.0).ok_or("is too large")?;
        if source.no_data.iter().any(|none| *none as f64 == plain) {
            return Err(format!("is {plain}, which means no data"));
        }
        if plain < 0.0 && source.negative == Negative::NoData {
            return Err(format!("is {plain}, below zero"));
        }
        if let Some(valid) = source.valid.as_ref().filter(|valid| !self.fits(valid)) {
            let state = self.number(&valid.oid).map_or("unknown".to_owned(), |number| number.to_string());
            return Err(format!("is not valid: its state is {state}"));
        }
        let mut quality = source.quality;
        if let Some(column) = &source.caliber {
            let caliber = self.number(column);
            quality = caliber
                .and_then(|caliber| source.calibers.get(&caliber))
                .copied()
                .unwrap_or(Quality::Unknown);
            if let (Quality::Missing, Some(caliber)) = (quality, caliber) {
                return Err(format!("is of caliber {caliber}, which means no data"));
            }
        }
        let small = |column: &Oid, what: &str| match self.number(column) {
            Some(number) if EXPONENTS.contains(&number) => Ok(i32::try_from(number).unwrap_or(0)),
            Some(number) => Err(format!("has the {what} {number}, outside -24 to 24")),
            None => Err(format!("has no {what}")),
        };
        if let Some(column) = &source.exponent {
            exponent += small(column, "exponent")?;
        }
        if let Some(column) = &source.sensor_scale {
            exponent += 3 * (small(column, "scale")? - 9);
        }
        if let Some(column) = &source.decimals {
            exponent -= small(column, "number of decimals")?.max(0);
        }
        let value = scaled(mantissa, exponent, source.scale).ok_or("is too large")?;
        Ok((value, quality))
    }
}

/// A number as mantissa and power of ten; also one that is written as text.
fn number(value: &Value) -> Option<(i128, i32)> {
    match value {
        Value::Integer(number) => Some((i128::from(*number), 0)),
        Value::Text(bytes) => {
            let text = std::str::from_utf8(bytes).ok()?.trim();
            let number: f64 = text.parse().ok().filter(|number: &f64| number.is_finite())?;
            decimal(number)
        }
        _ => None,
    }
}

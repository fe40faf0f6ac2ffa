//! From the rows of a slice to one value per point and interval: `interval` and `aggregate` of a job.
//!
//! An interval is half-open, as slots are. Per point there is one open interval and the reading before it,
//! never more. `energy` holds each power reading until the next one, at most for `max_gap`; it multiplies
//! what was observed and extrapolates nothing. `delta` adds the steps between neighbouring readings that
//! are at most `max_gap` apart, each in the interval of its later reading; a step back (the counter was
//! reset or wrapped) adds nothing and makes the interval suspect, and so does a step into or out of a suspect
//! reading, which may count something else. Both look back by `max_gap` before the slice, which is all they
//! can need: how a window is cut into slices changes no value.

use crate::{Grid, Quality, Row, Span, Timestamp, Window};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What becomes of the readings of an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregate {
    /// The mean of the readings, each with the same weight.
    Mean,
    /// The least.
    Min,
    /// The greatest.
    Max,
    /// The last that is not null.
    Last,
    /// Their sum.
    Sum,
    /// By how much a counter grew; never negative.
    Delta,
    /// Power over time: `W` gives `Wh`, `kW` gives `kWh`. Of a counter in `Wh` and the like, as [`Aggregate::Delta`].
    Energy,
}

/// Which end of its interval a row's timestamp is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stamp {
    /// Its first instant.
    #[default]
    Start,
    /// The first instant after it.
    End,
}

/// How a job resamples.
#[derive(Debug, Clone, PartialEq)]
pub struct Resampling {
    /// The intervals.
    pub intervals: Grid,
    /// What becomes of their readings.
    pub aggregate: Aggregate,
    /// The longest time that `energy` holds a reading and that `delta` lets a step take.
    pub max_gap: Span,
    /// The timestamp of the rows that come out.
    pub stamp: Stamp,
}

impl Resampling {
    /// What becomes of readings of a unit: energy that is counted already is not power to integrate.
    fn aggregate_of(&self, unit: &str) -> Aggregate {
        match self.aggregate {
            Aggregate::Energy if is_energy(unit) => Aggregate::Delta,
            aggregate => aggregate,
        }
    }

    /// How long before a slice the readings begin that its first interval depends on.
    pub fn lead_in(&self) -> Span {
        match self.aggregate {
            Aggregate::Delta | Aggregate::Energy => self.max_gap,
            _ => Span::from_secs(0),
        }
    }
}

/// Readings that cannot be resampled as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResampleError {
    /// Only power makes energy.
    #[error("{point} at {time} has the unit {unit:?}, of which there is no energy")]
    NoPower {
        /// The point.
        point: String,
        /// When it was read.
        time: Timestamp,
        /// Its unit there.
        unit: String,
    },
    /// One reading of a clock that was never set would fill a disk with nulls.
    #[error("no row in more than {EMPTY_INTERVALS_MAX} intervals in a row, from {from} to {to}")]
    Gap {
        /// Where they begin.
        from: Timestamp,
        /// Where it was noticed.
        to: Timestamp,
    },
}

/// How many intervals without any row a slice may have one after the other.
pub const EMPTY_INTERVALS_MAX: u32 = 100_000;

impl ResampleError {
    /// What to do about it.
    pub fn hint(&self) -> &'static str {
        match self {
            ResampleError::NoPower { .. } => {
                "aggregate = \"energy\" takes mW, W, kW, MW and GW, and counters in mWh to GWh: narrow the job's points, or correct the unit \
                 with ew-log append --replace"
            }
            ResampleError::Gap { .. } => {
                "set since in the job to where its data begins, or breakup_on_period = true, which passes over \
                 slots without rows"
            }
        }
    }
}

/// Takes the rows of one slice, and of [`Resampling::lead_in`] before it, in order of time and then of
/// point; gives rows in the same order. Every point has a row in every interval, null and `missing` where it
/// has no reading. A slice without any row has none afterwards either.
pub struct Resampler<'a> {
    how: &'a Resampling,
    window: Window,
    /// The open interval.
    interval: Window,
    points: BTreeMap<Box<str>, State>,
    has_rows: bool,
    /// Intervals closed since one that had a row, and where they began.
    empty: u32,
    gap_start: Timestamp,
    /// Whether the open interval has one.
    is_occupied: bool,
    /// How many there may be.
    empty_max: u32,
}

/// A reading that is not null.
#[derive(Clone, Copy)]
struct Reading {
    time: Timestamp,
    value: f64,
    quality: Quality,
}

/// One point.
#[derive(Default)]
struct State {
    /// Of its last reading.
    unit: String,
    /// Its last reading.
    last: Option<Reading>,
    /// Its part of the open interval.
    part: Part,
}

/// The open interval of one point.
#[derive(Default)]
struct Part {
    /// Mean, sum, delta: the sum so far; min, max, last: that value; energy: value times microseconds.
    total: f64,
    /// How many readings or steps are in it.
    count: u64,
    /// Energy: microseconds in it.
    observed: i64,
    /// The worst of what is in it; what is not in it is `partial`.
    worst: Option<Quality>,
    /// It holds numbers of two units.
    is_mixed: bool,
}

impl Part {
    fn add(&mut self, quality: Quality) {
        self.worst = self.worst.max(Some(quality));
    }

    /// From one counter reading to the next, where they can be compared.
    fn step(&mut self, before: Option<Reading>, now: Reading, max_gap: i64) {
        match before.filter(|before| now.time.micros() - before.time.micros() <= max_gap) {
            None => self.add(Quality::Partial),
            // Nobody knows that both count the same, or which of two steps around a bad reading is real.
            Some(before) if before.quality.max(now.quality) == Quality::Suspect => self.add(Quality::Suspect),
            Some(before) if now.value < before.value => self.add(Quality::Suspect),
            Some(before) => {
                self.total += now.value - before.value;
                self.count += 1;
                self.add(before.quality);
            }
        }
    }

    /// The power of a reading for as long as it is held, up to `until`, within the interval.
    fn integrate(&mut self, reading: Reading, interval: Window, until: Timestamp, max_gap: i64) {
        let from = reading.time.max(interval.start).micros();
        let to = until.micros().min(reading.time.plus_micros(max_gap).micros());
        if from < to {
            self.total += reading.value * (to - from) as f64;
            self.observed += to - from;
            self.count += 1;
            self.add(reading.quality);
        }
    }
}

impl<'a> Resampler<'a> {
    /// For the slice that covers a window; its first and last interval are cut to it.
    pub fn new(how: &'a Resampling, window: Window) -> Resampler<'a> {
        let interval = how.intervals.slots(window).next().unwrap_or(window);
        Resampler {
            how,
            window,
            interval,
            points: BTreeMap::new(),
            has_rows: false,
            empty: 0,
            gap_start: window.start,
            is_occupied: false,
            empty_max: EMPTY_INTERVALS_MAX,
        }
    }

    /// For some of the slice's points, which may have no row for as long as the others have some.
    pub fn of_some_points(how: &'a Resampling, window: Window) -> Resampler<'a> {
        Resampler { empty_max: u32::MAX, ..Resampler::new(how, window) }
    }

    /// Names a point of the slice before its first row, and its unit if that is known. A point that is not
    /// named has no rows for the intervals that are closed before its own first row.
    pub fn name(&mut self, point: &str, unit: &str) {
        let state = self.points.entry(point.into()).or_default();
        if state.unit.is_empty() {
            unit.clone_into(&mut state.unit);
        }
    }

    /// Takes one row and hands on those of the intervals that it closes.
    pub fn row<E: From<ResampleError>>(
        &mut self,
        row: Row<'_>,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let is_before = row.time < self.window.start;
        let is_known = self.points.contains_key(row.point);
        if row.time >= self.window.end || (is_before && !is_known) {
            return Ok(());
        }
        while row.time >= self.interval.end {
            self.close(each)?;
        }
        self.has_rows |= !is_before;
        self.is_occupied |= !is_before;
        if !is_known {
            self.name(row.point, row.unit);
        }
        let Some(state) = self.points.get_mut(row.point) else { return Ok(()) };
        Ok(state.take(&row, self.how, self.interval, is_before)?)
    }

    /// Hands on the intervals up to the slice's end.
    pub fn finish<E: From<ResampleError>>(
        mut self,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        while self.has_rows && !self.interval.is_empty() {
            self.close(each)?;
        }
        Ok(())
    }

    /// Closes the open interval and opens the next one, which is empty at the end of the slice.
    fn close<E: From<ResampleError>>(
        &mut self,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.empty = if std::mem::take(&mut self.is_occupied) { 0 } else { self.empty.saturating_add(1) };
        if self.empty == 1 {
            self.gap_start = self.interval.start;
        }
        if self.empty > self.empty_max {
            Err(ResampleError::Gap { from: self.gap_start, to: self.interval.end })?;
        }
        let time = match self.how.stamp {
            Stamp::Start => self.interval.start,
            Stamp::End => self.interval.end,
        };
        for (point, state) in &mut self.points {
            let (value, quality) = state.close(self.how, self.interval);
            let unit = match self.how.aggregate_of(&state.unit) {
                Aggregate::Energy => energy_unit(&state.unit).unwrap_or_default(),
                _ => &state.unit,
            };
            each(Row { time, point, value, unit, quality })?;
        }
        let rest = Window::new(self.interval.end, self.window.end);
        self.interval = self.how.intervals.slots(rest).next().unwrap_or(rest);
        Ok(())
    }
}

impl State {
    /// Takes a row of the open interval, or of the time before the slice.
    fn take(
        &mut self,
        row: &Row<'_>,
        how: &Resampling,
        interval: Window,
        is_before: bool,
    ) -> Result<(), ResampleError> {
        let part = &mut self.part;
        if is_before && row.value.is_none() {
            return Ok(());
        }
        let Some(value) = row.value else {
            // Beside a number, what is missing makes the whole a part.
            part.add(if row.quality == Quality::Suspect { Quality::Suspect } else { Quality::Partial });
            return Ok(());
        };
        let aggregate = how.aggregate_of(row.unit);
        if aggregate == Aggregate::Energy && energy_unit(row.unit).is_none() {
            let (point, unit) = (row.point.to_owned(), row.unit.to_owned());
            return Err(ResampleError::NoPower { point, time: row.time, unit });
        }
        let reading = Reading { time: row.time, value, quality: row.quality };
        let before = self.last.replace(reading);
        if is_before {
            row.unit.clone_into(&mut self.unit);
            return Ok(());
        }
        if how.aggregate_of(&self.unit) == Aggregate::Energy
            && let Some(before) = before
        {
            part.integrate(before, interval, row.time, how.max_gap.micros());
        }
        let is_new_unit = before.is_some() && self.unit != row.unit;
        part.is_mixed |= is_new_unit && part.count > 0;
        row.unit.clone_into(&mut self.unit);
        part.add(row.quality);
        match aggregate {
            Aggregate::Energy => {}
            Aggregate::Delta => part.step(before.filter(|_| !is_new_unit), reading, how.max_gap.micros()),
            aggregate => {
                part.total = match aggregate {
                    Aggregate::Mean | Aggregate::Sum => part.total + value,
                    Aggregate::Min if part.count > 0 => part.total.min(value),
                    Aggregate::Max if part.count > 0 => part.total.max(value),
                    _ => value,
                };
                part.count += 1;
            }
        }
        Ok(())
    }

    /// Value and quality of the open interval, which is then a new one.
    fn close(&mut self, how: &Resampling, interval: Window) -> (Option<f64>, Quality) {
        let aggregate = how.aggregate_of(&self.unit);
        if aggregate == Aggregate::Energy {
            if let Some(held) = self.last {
                self.part.integrate(held, interval, interval.end, how.max_gap.micros());
            }
            if self.part.observed < interval.end.micros() - interval.start.micros() {
                self.part.add(Quality::Partial);
            }
        }
        let part = std::mem::take(&mut self.part);
        let total = match aggregate {
            Aggregate::Mean => part.total / part.count as f64,
            Aggregate::Energy => part.total / MICROS_PER_HOUR,
            _ => part.total,
        };
        let quality = part.worst.unwrap_or(Quality::Missing);
        match part.count {
            0 => (None, quality.max(Quality::Missing)),
            // The sum of finite numbers can be too large to be one.
            _ if part.is_mixed || !total.is_finite() => (None, Quality::Suspect),
            _ => (Some(total), quality),
        }
    }
}

const MICROS_PER_HOUR: f64 = 3_600_000_000.0;

/// Whether it is one that [`energy_unit`] gives.
fn is_energy(unit: &str) -> bool {
    unit.strip_suffix('h').is_some_and(|power| energy_unit(power).is_some())
}

/// The unit of an hour of power; none for what is no power.
fn energy_unit(power: &str) -> Option<&'static str> {
    Some(match power {
        "mW" => "mWh",
        "W" => "Wh",
        "kW" => "kWh",
        "MW" => "MWh",
        "GW" => "GWh",
        _ => return None,
    })
}

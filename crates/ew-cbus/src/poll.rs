//! The levels of a bus for the log; `ew-poll` polls buses by it too.

use crate::Asker;
use ew_bus::{BusOptions, Group, GroupState, Levels, without_level};
use ew_cli::clock::{self, Present};
use ew_cli::{Failure, Lock, LockRequest, Output};
use ew_core::{Exit, PartOutcome, Point, Quality, Sample, Timestamp, point_part};
use ew_store::{AppendError, Appended, Log, PollDetail};
use serde::Serialize;
use std::collections::HashSet;

/// The unit of a level, 0..255.
const LEVEL: &str = "level";

/// What a poll of one bus gave.
#[derive(Debug)]
pub struct BusReading {
    bus: String,
    readings: Vec<Reading>,
    warnings: Vec<String>,
    /// Why nothing could be asked.
    failure: Option<Failure>,
    parts: Vec<PartOutcome>,
}

/// One point.
#[derive(Debug, Clone)]
pub(crate) struct Reading {
    pub(crate) point: Point,
    pub(crate) value: Option<f64>,
    pub(crate) unit: String,
    /// Why there is no value, or what else is to be said of it.
    pub(crate) reason: Option<String>,
}

/// One bus in the JSON document of a poll.
#[derive(Debug, Serialize)]
pub struct BusReport {
    bus: String,
    readings: Vec<ReadingReport>,
    error: Option<String>,
}

/// One point in it.
#[derive(Debug, Serialize)]
struct ReadingReport {
    point: String,
    value: Option<f64>,
    unit: String,
    quality: &'static str,
    reason: Option<String>,
}

impl BusReading {
    /// Asks a bus for the level of every group. Where nothing can be asked, the groups of its last poll have none, for
    /// that reason; where it was never polled, those of its last discovery.
    pub fn take(asker: &Asker<'_>, log: &Log, options: &BusOptions) -> Result<BusReading, Failure> {
        match asker.ask(options, "poll", |bus| bus.levels(options.applications.as_deref())) {
            Ok(levels) => {
                let is_empty = !levels.groups.iter().any(Group::is_polled);
                let reason = match levels.incomplete_reasons.join("; ") {
                    reasons if reasons.is_empty() && is_empty => "the bus told of no group".to_owned(),
                    reasons => reasons,
                };
                // Where everything was told, what is not among it is gone.
                let known = if reason.is_empty() { Vec::new() } else { known(log, options)? };
                let mut reading = BusReading::of(options, levels);
                let told: HashSet<Point> = reading.readings.iter().map(|one| one.point.clone()).collect();
                let untold = known.into_iter().filter(|point| !told.contains(point)).collect();
                reading.readings.extend(missing(untold, &reason));
                if is_empty && !reading.readings.is_empty() {
                    reading.warnings.push("it told of no group, where there were some".into());
                    reading.parts = vec![PartOutcome::Failed(Exit::Unavailable)];
                }
                Ok(reading)
            }
            Err(failure) => {
                // Another run talks to the bus: that says nothing about its groups.
                let known = if failure.exit == Exit::Busy { Vec::new() } else { known(log, options)? };
                Ok(BusReading {
                    bus: options.name.clone(),
                    readings: missing(known, &failure.message),
                    warnings: Vec::new(),
                    parts: vec![PartOutcome::ended_with(failure.exit)],
                    failure: Some(failure),
                })
            }
        }
    }

    fn of(options: &BusOptions, levels: Levels) -> BusReading {
        let mut warnings: Vec<String> = levels.warnings.iter().map(ToString::to_string).collect();
        let groups: Vec<&Group> = levels.groups.iter().filter(|group| group.is_polled()).collect();
        warnings.extend(without_level(&groups));
        let failed = groups.iter().filter_map(|group| group.failed());
        let mut parts: Vec<PartOutcome> = failed.map(PartOutcome::Failed).collect();
        if parts.len() < groups.len() || groups.is_empty() {
            parts.push(PartOutcome::Done);
        }
        if !levels.incomplete_reasons.is_empty() {
            parts.push(PartOutcome::Failed(Exit::Unavailable));
        }
        warnings.extend(levels.incomplete_reasons);
        let (mut seen, mut readings) = (HashSet::new(), Vec::new());
        for (index, group) in groups.into_iter().enumerate() {
            let name = name(&options.name, group);
            let name = match seen.insert(name.clone()) {
                true => name,
                false => {
                    warnings.push(format!("{name} stands twice; the second is logged under #{index}"));
                    format!("{name}#{index}")
                }
            };
            // Its parts are cut to fit.
            let Ok(point) = name.parse() else { continue };
            let reason = group.level.is_none().then(|| reason(group));
            readings.push(Reading { point, value: group.level.map(f64::from), unit: LEVEL.into(), reason });
        }
        BusReading { bus: options.name.clone(), readings, warnings, failure: None, parts }
    }

    /// Says on stderr what a person should know.
    pub fn tell(&self, asker: &Asker<'_>) {
        for warning in &self.warnings {
            asker.report.warning(format_args!("{}: {warning}", self.bus));
        }
        if let Some(failure) = &self.failure {
            asker.report.failure(&failure.clone().of_part(&self.bus));
        }
    }

    /// Appends the readings in one transaction.
    pub fn append(&self, log: &mut Log, clock: &Present) -> Result<(), Failure> {
        append(log, &self.readings, clock).map(|_| ())
    }

    /// How its parts ended.
    pub fn parts(&self) -> impl Iterator<Item = PartOutcome> + '_ {
        self.parts.iter().copied()
    }

    /// Another run is talking to the bus.
    pub fn is_busy(&self) -> bool {
        self.failure.as_ref().is_some_and(|failure| failure.exit == Exit::Busy)
    }

    /// For the JSON document.
    pub fn report(&self, clock: &Present) -> BusReport {
        let error = self.failure.as_ref().map(|failure| failure.message.clone());
        BusReport { bus: self.bus.clone(), readings: reports(&self.readings, clock), error }
    }

    /// For a table: point, value, unit, quality, note.
    pub fn rows(&self, clock: &Present) -> Vec<Vec<String>> {
        rows(&self.readings, clock)
    }
}

impl BusReport {
    /// Of a bus that was not polled.
    pub fn failed(bus: &str, error: &Failure) -> BusReport {
        BusReport { bus: bus.to_owned(), readings: Vec::new(), error: Some(error.message.clone()) }
    }
}

/// The lock of a bus as a source of readings.
pub fn lock(asker: &Asker<'_>, options: &BusOptions, wait: ew_core::Span) -> Result<Lock, Failure> {
    let request = LockRequest {
        dir: &Log::lock_dir(&asker.config.log.url),
        name: &format!("poll-cbus.{}", options.name),
        machine: &[],
        activity: "poll",
        wait,
        warn_after: None,
    };
    let lock = Lock::acquire(&request, asker.report)?;
    lock.stage(format!("polling {}", options.name));
    Ok(lock)
}

fn name(bus: &str, group: &Group) -> String {
    let Group { network, application, address, .. } = group;
    format!("{}{}.{application}.{address}", prefix(bus), point_part(network, 0))
}

/// What the points of a bus begin with.
pub(crate) fn prefix(bus: &str) -> String {
    format!("cbus.{}.", point_part(bus, 0))
}

fn missing(points: Vec<Point>, reason: &str) -> Vec<Reading> {
    let reading = |point| Reading { point, value: None, unit: LEVEL.into(), reason: Some(reason.to_owned()) };
    points.into_iter().map(reading).collect()
}

/// The points that a poll of the bus would have given, as far as the log tells.
fn known(log: &Log, options: &BusOptions) -> Result<Vec<Point>, Failure> {
    let polled = log.snapshot()?.last_polled(&prefix(&options.name), LEVEL)?;
    if !polled.is_empty() {
        return Ok(polled);
    }
    let Some(last) = log.last_discoveries(&options.name, 1)?.pop() else { return Ok(Vec::new()) };
    let Ok(discovery) = serde_json::from_str::<ew_bus::Discovery>(&last.document) else {
        return Ok(Vec::new());
    };
    let is_polled = |group: &&Group| {
        let chosen = options.applications.as_deref();
        group.is_polled() && chosen.is_none_or(|chosen| chosen.contains(&group.application))
    };
    let groups = discovery.groups.iter().filter(is_polled);
    Ok(groups.filter_map(|group| name(&options.name, group).parse().ok()).collect())
}

fn reason(group: &Group) -> String {
    let state = match group.state {
        GroupState::On => "only that it is on is known",
        GroupState::Off => "only that it is off is known",
        GroupState::Absent => "no unit on the bus drives it",
        GroupState::Conflict => "its units disagree",
        GroupState::Corrupt => "the answer was damaged",
        GroupState::Error => "the far side said error",
        GroupState::NoLevel => "it has none",
        GroupState::Ok | GroupState::Unasked | GroupState::Unknown => "it was not told",
    };
    group.reason.clone().unwrap_or_else(|| state.to_owned())
}

fn quality(reading: &Reading, clock: &Present) -> Quality {
    match (reading.value, &clock.doubt) {
        (None, _) => Quality::Missing,
        (Some(_), Some(_)) => Quality::Suspect,
        (Some(_), None) => Quality::Actual,
    }
}

/// Appends readings of one poll, which have the time of its start.
pub(crate) fn append(log: &mut Log, readings: &[Reading], clock: &Present) -> Result<Appended, Failure> {
    if readings.is_empty() {
        return Ok(Appended::default());
    }
    clock.append(|start| append_at(log, readings, clock, start))
}

fn append_at(
    log: &mut Log,
    readings: &[Reading],
    clock: &Present,
    start: Timestamp,
) -> Result<Appended, AppendError<std::convert::Infallible>> {
    let sample = |reading: &Reading| {
        let (point, unit) = (reading.point.clone(), reading.unit.as_str());
        Sample::new(start, point, reading.value, unit, quality(reading, clock)).ok()
    };
    let samples = readings.iter().filter_map(sample).collect();
    let detail = |reading: &Reading| PollDetail {
        point: reading.point.clone(),
        expected: None,
        answered: None,
        importance: None,
        reason: reading.reason.clone(),
        memory: None,
    };
    let details: Vec<_> = readings.iter().filter(|reading| reading.reason.is_some()).map(detail).collect();
    log.append_poll(samples, &details, start, &clock.reading)
}

fn reports(readings: &[Reading], clock: &Present) -> Vec<ReadingReport> {
    let report = |reading: &Reading| ReadingReport {
        point: reading.point.to_string(),
        value: reading.value,
        unit: reading.unit.clone(),
        quality: quality(reading, clock).as_str(),
        reason: reading.reason.clone(),
    };
    readings.iter().map(report).collect()
}

fn rows(readings: &[Reading], clock: &Present) -> Vec<Vec<String>> {
    let row = |reading: &Reading| {
        vec![
            reading.point.to_string(),
            reading.value.map_or("-".to_owned(), |value| value.to_string()),
            reading.unit.clone(),
            quality(reading, clock).as_str().to_owned(),
            reading.reason.clone().unwrap_or_default(),
        ]
    };
    readings.iter().map(row).collect()
}

/// The readings of a run, for people or for `--json`.
pub(crate) struct RunReport {
    start: Timestamp,
    buses: Vec<BusReport>,
    rows: Vec<Vec<String>>,
    pub(crate) parts: Vec<PartOutcome>,
}

impl RunReport {
    /// Notes what a bus gave.
    pub(crate) fn done(&mut self, bus: &str, readings: &[Reading], error: Option<&Failure>, clock: &Present) {
        let error = error.map(|failure| failure.message.clone());
        self.buses.push(BusReport { bus: bus.to_owned(), readings: reports(readings, clock), error });
        self.rows.extend(rows(readings, clock));
    }

    /// Notes why a bus gave nothing, and says it.
    pub(crate) fn failed(&mut self, asker: &Asker<'_>, bus: &str, failure: Failure) {
        self.parts.push(PartOutcome::ended_with(failure.exit));
        self.buses.push(BusReport::failed(bus, &failure));
        asker.report.failure(&failure.of_part(bus));
    }

    /// Prints it, as JSON or unless quiet as a table.
    pub(crate) fn print(self, (json, quiet): (bool, bool), out: &mut Output) -> Result<Exit, Failure> {
        let exit = Exit::of_parts(self.parts);
        if json {
            let document = serde_json::json!({ "timestamp": self.start.to_string(), "buses": self.buses });
            out.report(|out| out.json(&document))?;
        } else if !quiet && !self.rows.is_empty() {
            let mut rows = vec![["POINT", "VALUE", "UNIT", "QUALITY", "NOTE"].map(str::to_owned).to_vec()];
            rows.extend(self.rows);
            out.report(|out| out.table(&rows))?;
        }
        Ok(exit)
    }
}

/// The log, the present by which readings are judged, and a report without any.
pub(crate) fn begin(asker: &Asker<'_>) -> Result<(Log, Present, RunReport), Failure> {
    let start = clock::reading();
    let log = Log::open(&asker.config.log.url)?;
    let clock = clock::present(&log, start)?;
    clock.warn(asker.report, "readings are marked suspect");
    let run = RunReport { start: clock.reading.wall, buses: Vec::new(), rows: Vec::new(), parts: Vec::new() };
    Ok((log, clock, run))
}

/// `ew-cbus poll`.
pub(crate) fn command(
    asker: &Asker<'_>,
    names: &[String],
    dry_run: bool,
    print: (bool, bool),
    out: &mut Output,
) -> Result<Exit, Failure> {
    let chosen = asker.choose(names)?;
    let (mut log, clock, mut run) = begin(asker)?;
    for options in chosen {
        let taken = lock(asker, options, asker.wait()).and_then(|lock| {
            let reading = BusReading::take(asker, &log, options)?;
            reading.tell(asker);
            if !dry_run {
                reading.append(&mut log, &clock)?;
            }
            drop(lock);
            Ok(reading)
        });
        match taken {
            Ok(reading) => {
                run.parts.extend(reading.parts());
                run.done(&options.name, &reading.readings, reading.failure.as_ref(), &clock);
            }
            Err(failure) => run.failed(asker, &options.name, failure),
        }
    }
    run.print(print, out)
}

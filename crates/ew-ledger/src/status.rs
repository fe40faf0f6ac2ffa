//! `ew-ledger status`: one line a job.

use crate::metrics;
use ew_cli::{Failure, Output, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, Span, Timestamp};
use ew_store::{Job, LastRun, Log, SliceState};
use serde_json::{Value, json};
use std::path::Path;

/// Where a job stands.
pub(crate) struct Status {
    pub(crate) job: String,
    pub(crate) bookmark: Option<Timestamp>,
    /// The end of the first slot that is not exported; none for a job that is no longer configured, or without a row.
    next: Option<Timestamp>,
    /// How long the first slot that is not exported has been closed.
    pub(crate) lag: Option<Span>,
    pub(crate) open: u64,
    pub(crate) held: u64,
    pub(crate) failed: u64,
    pub(crate) last_run: Option<LastRun>,
    last_error: Option<String>,
    /// A slice failed or is held, or `verify` did not find it as it was delivered.
    has_trouble: bool,
    /// What its receiver could do when `ew-export --check --probe` tried it last, JSON.
    probe: Value,
}

impl Status {
    /// Whether a person should look at it.
    pub(crate) fn needs_care(&self, max_lag: Option<Span>) -> bool {
        let lags = self.lag.zip(max_lag).is_some_and(|(lag, max)| lag.0 > max.0);
        let ended_badly = self.last_run.as_ref().is_some_and(|run| {
            ![Exit::Ok, Exit::NoData, Exit::Busy].iter().any(|good| good.code() == run.exit)
        });
        self.has_trouble || lags || ended_badly
    }
}

/// What to show.
pub(crate) struct Request<'a> {
    pub(crate) jobs: &'a [String],
    pub(crate) max_lag: Option<Span>,
    pub(crate) metrics: Option<&'a Path>,
}

/// Shows each job: those configured first, then those that once ran. 1 where one needs care.
pub(crate) fn status(
    config: &Config,
    log: &mut Log,
    request: &Request<'_>,
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let clock = clock::present(log, clock::reading())?;
    clock.warn(report, "no slot is closed by it");
    let now = clock.time;
    let mut jobs: Vec<String> = config.exports.iter().map(|job| job.name.clone()).collect();
    for ran in log.ledger().jobs()? {
        if !jobs.contains(&ran.name) {
            jobs.push(ran.name);
        }
    }
    jobs.retain(|job| request.jobs.is_empty() || request.jobs.contains(job));
    let all: Result<Vec<Status>, Failure> =
        jobs.into_iter().map(|job| of_job(config, log, job, now)).collect();
    let all = all?;
    let needs_care = all.iter().any(|status| status.needs_care(request.max_lag));
    let exit = if needs_care { Exit::Partial } else { Exit::Ok };
    if let Some(file) = request.metrics {
        metrics::write(file, &metrics::of_jobs(&all, exit, now))?;
    }
    if as_json {
        let doubt = clock.doubt.map(|doubt| doubt.to_string());
        out.json(&json!({ "jobs": all.iter().map(status_json).collect::<Vec<_>>(), "clock": doubt }))?;
    } else {
        table(all, out)?;
    }
    Ok(exit)
}

fn status_json(s: &Status) -> serde_json::Value {
    json!({
        "job": s.job,
        "bookmark": s.bookmark.map(|t| t.to_string()),
        "next": s.next.map(|t| t.to_string()),
        "lag_seconds": s.lag.map(|lag| lag.0.as_secs()),
        "open": s.open, "held": s.held, "failed": s.failed, "last_error": s.last_error,
        "last_run": s.last_run.as_ref().map(|run| run.at.to_string()),
        "last_exit": s.last_run.as_ref().map(|run| run.exit),
        "last_good": s.last_run.as_ref().and_then(|run| run.good_at).map(|t| t.to_string()),
        "probe": s.probe,
    })
}

fn table(all: Vec<Status>, out: &mut Output) -> Result<(), Failure> {
    let heading = [
        "JOB",
        "EXPORTED TO",
        "NEXT SLOT ENDS",
        "LAG",
        "OPEN",
        "HELD",
        "FAILED",
        "LAST RUN",
        "EXIT",
        "LAST ERROR",
    ];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for s in all {
        table.push(vec![
            s.job,
            or_dash(s.bookmark.map(|t| t.to_string())),
            or_dash(s.next.map(|t| t.to_string())),
            or_dash(s.lag.map(|lag| lag.to_string())),
            s.open.to_string(),
            s.held.to_string(),
            s.failed.to_string(),
            or_dash(s.last_run.as_ref().map(|run| run.at.to_string())),
            or_dash(s.last_run.as_ref().map(|run| run.exit.to_string())),
            s.last_error.unwrap_or_default(),
        ]);
    }
    out.table(&table)
}

/// Where a job begins that has placed nothing yet: at the slot of its first row.
fn first_slot(log: &Log, options: &ExportOptions) -> Result<Option<Timestamp>, Failure> {
    let first = log.snapshot()?.first_row(options.since(), &options.selection())?;
    Ok(first.map(|first| options.grid().slot(first).start))
}

fn of_job(config: &Config, log: &mut Log, job: String, now: Timestamp) -> Result<Status, Failure> {
    let ledger = log.ledger();
    let known = ledger.job(&job)?.unwrap_or_else(|| Job::never_ran(&job));
    let bookmark = known.bookmark;
    let open = ledger.open(&known)?;
    let count = |states: &[SliceState]| states.iter().filter_map(|state| open.get(state)).sum();
    let last_run = ledger.last_run(&job)?;
    let of_run = last_run.as_ref().and_then(|run| run.message.clone());
    let of_slice = ledger.last_reason(&known)?;
    let has_trouble = of_slice.is_some();
    let last_error = of_slice.or(of_run);
    let options = config.exports.iter().find(|options| options.name == job);
    let probe = match options {
        Some(options) => ledger.probe(&options.transport.destination(config.base()))?,
        None => None,
    };
    let reached = match (bookmark, options) {
        (None, Some(options)) => first_slot(log, options)?,
        (bookmark, _) => bookmark,
    };
    let next = options.zip(reached).map(|(options, reached)| options.grid().slot(reached).end);
    let lag = options.zip(next).map(|(options, next)| {
        let closed = next.plus_micros(options.delay.0.micros());
        Span::from_secs((now.micros() - closed.micros()).max(0).unsigned_abs() / 1_000_000)
    });
    Ok(Status {
        probe: probe.map_or(Value::Null, |(at, outcome)| {
            let mut outcome: Value = serde_json::from_str(&outcome).unwrap_or_default();
            outcome["at"] = at.to_string().into();
            outcome
        }),
        bookmark,
        next,
        lag,
        open: count(&[SliceState::Planned, SliceState::Rendered, SliceState::Sending]),
        held: count(&[SliceState::Held]),
        failed: count(&[SliceState::Failed]),
        last_run,
        last_error,
        has_trouble,
        job,
    })
}

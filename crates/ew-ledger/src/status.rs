//! `ew-ledger status`.

use ew_cli::{Failure, Output, clock};
use ew_config::Config;
use ew_core::{Exit, Span, Timestamp, Window};
use ew_store::{Log, SliceState};
use serde_json::{Value, json};

/// Where a job stands.
struct Status {
    job: String,
    bookmark: Option<Timestamp>,
    /// The end of the first slot that is not exported; none for a job that is no longer configured.
    next: Option<Timestamp>,
    /// How long slots have been closed and not exported.
    lag: Option<Span>,
    open: usize,
    held: usize,
    failed: usize,
    last_error: Option<String>,
    /// What its receiver could do when `ew-export --check --probe` tried it last, JSON.
    probe: Value,
}

/// Shows each job: those configured first, then those that once ran.
pub(crate) fn status(
    config: &Config,
    log: &mut Log,
    names: &[String],
    as_json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let now = clock::now();
    let mut jobs: Vec<String> = config.exports.iter().map(|job| job.name.clone()).collect();
    for ran in log.ledger().jobs()? {
        if !jobs.contains(&ran.name) {
            jobs.push(ran.name);
        }
    }
    jobs.retain(|job| names.is_empty() || names.contains(job));
    let all: Result<Vec<Status>, Failure> =
        jobs.into_iter().map(|job| of_job(config, log, job, now)).collect();
    let all = all?;
    if as_json {
        let one = |s: &Status| {
            json!({
                "job": s.job,
                "bookmark": s.bookmark.map(|t| t.to_string()),
                "next": s.next.map(|t| t.to_string()),
                "lag_seconds": s.lag.map(|lag| lag.0.as_secs()),
                "open": s.open, "held": s.held, "failed": s.failed, "last_error": s.last_error,
                "probe": s.probe,
            })
        };
        out.json(&json!({ "jobs": all.iter().map(one).collect::<Vec<_>>() }))?;
        return Ok(Exit::Ok);
    }
    let heading = ["JOB", "EXPORTED TO", "NEXT SLOT ENDS", "LAG", "OPEN", "HELD", "FAILED", "LAST ERROR"];
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
            s.last_error.unwrap_or_default(),
        ]);
    }
    out.table(&table)?;
    Ok(Exit::Ok)
}

fn of_job(config: &Config, log: &mut Log, job: String, now: Timestamp) -> Result<Status, Failure> {
    let ledger = log.ledger();
    let known = ledger.job(&job)?;
    let bookmark = known.as_ref().and_then(|known| known.bookmark);
    let slices = ledger.list(Some(&job), Window::new(Timestamp::MIN, Timestamp::MAX))?;
    let count = |states: &[SliceState]| slices.iter().filter(|s| states.contains(&s.state)).count();
    let options = config.exports.iter().find(|options| options.name == job);
    let next = options.zip(bookmark).map(|(options, bookmark)| options.grid().slot(bookmark).end);
    let lag = options.zip(bookmark).map(|(options, bookmark)| {
        let closed = options.grid().last_closed_end(now, options.delay.0);
        Span::from_secs((closed.micros() - bookmark.micros()).max(0).unsigned_abs() / 1_000_000)
    });
    let probe = match options {
        Some(options) => ledger.probe(&options.transport.destination(config.base()))?,
        None => None,
    };
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
        last_error: slices.iter().rev().find_map(|s| s.reason.clone()),
        job,
    })
}

//! `ew-log trim`.

use ew_cli::{Failure, Lock, Output, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Anchors, Exit, Span, Timestamp, When, Zone};
use ew_store::{Log, Owed, Scope};
use serde_json::json;

/// What to trim.
pub(crate) struct Request {
    /// Rows before this time; none for `log.retention`.
    pub(crate) before: Option<When>,
    pub(crate) zone: Zone,
    pub(crate) force: bool,
    pub(crate) wait: Span,
}

/// Removes old rows.
pub(crate) fn trim(
    config: &Config,
    log: &mut Log,
    request: &Request,
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    // A clock that ran ahead must not take rows with it.
    let clock = clock::present(log, clock::reading())?;
    clock.warn(report, "how old a row is counts from when it was last good");
    let Some(before) = before(config, log, request, clock.time)? else {
        report.note("log.retention is not set, so rows are kept for ever; nothing was trimmed");
        if as_json {
            out.json(&json!({ "before": null, "rows": 0, "kept": 0, "discoveries": 0 }))?;
        }
        return Ok(Exit::Ok);
    };
    // A slice that is being rendered must not lose rows.
    let lock = |job: &ExportOptions| Lock::of_job(config, &job.name, request.wait, report);
    let _locks: Vec<Lock> = config.exports.iter().map(lock).collect::<Result<_, _>>()?;
    let owed: Vec<Owed> = config.exports.iter().map(owed).collect();
    if request.before.is_some() && !request.force {
        refuse_undelivered(log, before, &owed)?;
    }
    let done = log.trim(before, &owed, request.force, clock::now())?;
    if as_json {
        out.json(&json!({
            "before": before.to_string(), "rows": done.rows, "kept": done.kept, "discoveries": done.discoveries,
        }))?;
    }
    let kept = match done.kept {
        0 => String::new(),
        kept => format!("; {kept} that are still needed are kept"),
    };
    let discoveries = match done.discoveries {
        0 => String::new(),
        count => format!("; {count} discoveries of buses went too"),
    };
    report.note(format_args!("{} rows before {before} trimmed{kept}{discoveries}", done.rows));
    Ok(Exit::Ok)
}

fn before(
    config: &Config,
    log: &Log,
    request: &Request,
    now: Timestamp,
) -> Result<Option<Timestamp>, Failure> {
    let Some(when) = request.before else {
        return Ok(config.log.retention.map(|span| now.plus_micros(-span.micros())));
    };
    let rows = match when {
        When::First | When::Last => {
            let (all, snapshot) = (Default::default(), log.snapshot()?);
            snapshot.first_row(Timestamp::MIN, &all)?.zip(snapshot.last_row(&all)?)
        }
        _ => None,
    };
    let anchors = Anchors { zone: &request.zone, now, rows };
    when.resolve(&anchors).map(Some).map_err(|e| Failure::of(Exit::NoData, &e))
}

fn owed(job: &ExportOptions) -> Owed {
    Owed {
        name: job.name.clone(),
        scope: Scope { selection: job.selection(), since: job.since() },
        grid: job.grid(),
        lead_in: job.resampling().map_or(Span::from_secs(0), |how| how.lead_in()),
    }
}

fn refuse_undelivered(log: &Log, before: Timestamp, owed: &[Owed]) -> Result<(), Failure> {
    let Some(found) = log.snapshot()?.undelivered(before, owed)? else { return Ok(()) };
    let text = format!(
        "{} rows before {before} are not delivered, the earliest at {}: they are due to {}",
        found.rows,
        found.first,
        found.jobs.join(", ")
    );
    Err(Failure::new(Exit::Usage, text).hint(
        "nothing was trimmed; export first, or trim --retention, which keeps them, or --force, which does not",
    ))
}

//! What a person decides: `ew-ledger release`, `skip` and `rename`; each tells what it did as `--json` has it.

use crate::find;
use ew_cli::{Failure, Lock, Report};
use ew_config::Config;
use ew_core::{Exit, Span, Timestamp, Window};
use ew_store::{Delivery, Job, Log, SliceState};
use serde_json::{Value, json};

/// Lets held slices go with the next run, or drops them.
pub(crate) fn release(
    config: &Config,
    log: &mut Log,
    job: &str,
    slices: &[String],
    drop_reason: Option<&str>,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, job)?;
    let _lock = Lock::of_job(config, job, WAIT, report)?;
    let held = held(config, log, job, slices)?;
    if held.is_empty() {
        report.note(format_args!("{job}: nothing is held"));
    }
    let (mut released, mut dropped) = (Vec::new(), Vec::new());
    for slice in held {
        let what = format!("{job}: {} rows from {} to {}", slice.rows, slice.window.start, slice.window.end);
        if let Some(reason) = drop_reason {
            log.ledger().skip(&known, &slice, &format!("dropped: {reason}"))?;
            report.note(format_args!("{what} are dropped: {reason}"));
            dropped.push(decided(&slice));
            continue;
        }
        let after = after_seq(config, log, &known, &slice)?;
        log.ledger().release(&slice, after)?;
        report.note(format_args!("{what} go out with the next ew-export {job}"));
        released.push(decided(&slice));
    }
    Ok(json!({ "released": released, "dropped": dropped }))
}

fn decided(slice: &Delivery) -> Value {
    let (start, end) = (slice.window.start.to_string(), slice.window.end.to_string());
    json!({ "job": slice.job, "start": start, "end": end, "rev": slice.rev, "rows": slice.rows })
}

/// How long to wait for a running export.
const WAIT: Span = Span::from_secs(30);

fn held(config: &Config, log: &mut Log, job: &str, named: &[String]) -> Result<Vec<Delivery>, Failure> {
    if named.is_empty() {
        let all = log.ledger().list(Some(job), Window::new(Timestamp::MIN, Timestamp::MAX))?;
        return Ok(all.into_iter().filter(|slice| slice.state == SliceState::Held).collect());
    }
    let one = |text: &String| {
        let slice = find::slice(config, log, job, text)?;
        match slice.state {
            SliceState::Held => Ok(slice),
            state => Err(Failure::new(Exit::Usage, format!("{text} is {}, not held", state.as_str()))),
        }
    };
    named.iter().map(one).collect()
}

/// A slice that lost rows can only go out as a delta, where the job can make one.
fn after_seq(config: &Config, log: &mut Log, known: &Job, slice: &Delivery) -> Result<Option<i64>, Failure> {
    let revisions = log.ledger().revisions(known, slice.window)?;
    if !revisions.iter().any(|revision| revision.trimmed) {
        return Ok(None);
    }
    if !find::options(config, &known.name)?.can_delta() {
        let text = format!(
            "the slice from {} to {} lost rows to ew-log trim, and these cannot go out alone",
            slice.window.start, slice.window.end
        );
        return Err(Failure::new(Exit::Usage, text)
            .hint("put {rev} into filename (a job with interval has no way), or pass over these rows with --drop REASON"));
    }
    Ok(revisions.iter().filter(|r| r.rev < slice.rev).map(|r| r.as_of_seq).max())
}

/// Passes over a slice that the receiver will never take.
pub(crate) fn skip(
    config: &Config,
    log: &mut Log,
    job: &str,
    text: &str,
    reason: &str,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, job)?;
    let _lock = Lock::of_job(config, job, WAIT, report)?;
    let slice = find::slice(config, log, job, text)?;
    match slice.state {
        SliceState::Planned
        | SliceState::Rendered
        | SliceState::Sending
        | SliceState::Failed
        | SliceState::Held => {}
        state => {
            return Err(Failure::new(
                Exit::Usage,
                format!("{text} is {}, so there is nothing to skip", state.as_str()),
            ));
        }
    }
    log.ledger().skip(&known, &slice, reason)?;
    report.note(format_args!(
        "{job}: the slice from {} to {} is skipped: {reason}",
        slice.window.start, slice.window.end
    ));
    Ok(json!({ "skipped": [decided(&slice)] }))
}

/// Gives the slices, names and bookmark of a job to one of another name.
pub(crate) fn rename(
    config: &Config,
    log: &mut Log,
    old: &str,
    new: &str,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, old)?;
    if log.ledger().job(new)?.is_some() {
        return Err(Failure::new(Exit::Usage, format!("the ledger has slices of {new:?} already"))
            .hint("two jobs cannot become one: their slices would overlap"));
    }
    find::options(config, new)?;
    let _locks = (Lock::of_job(config, old, WAIT, report)?, Lock::of_job(config, new, WAIT, report)?);
    let path = log.path().to_owned();
    for folder in [Log::spool_dir, Log::kept_dir] {
        let (from, to) = (folder(&path, old), folder(&path, new));
        if from.is_dir() {
            std::fs::rename(&from, &to).map_err(|e| {
                Failure::new(Exit::Io, format!("cannot rename {} to {}: {e}", from.display(), to.display()))
            })?;
        }
    }
    log.ledger().rename(&known, new)?;
    report.note(format_args!("the slices of {old} are those of {new} now"));
    Ok(json!({ "old": old, "new": new }))
}

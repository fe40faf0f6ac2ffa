//! What a person decides: `ew-ledger release`, `skip` and `rename`; each tells what it did as `--json` has it.

use crate::find;
use ew_cli::{Failure, Lock, Report};
use ew_config::Config;
use ew_core::{Exit, Late, Span, Timestamp, Window};
use ew_store::{Delivery, Job, Log, SliceState, ToldBy};
use serde_json::{Value, json};

/// Lets held slices go with the next run, or drops them.
pub(crate) fn release(
    config: &Config,
    log: &mut Log,
    job: &str,
    slices: &[String],
    drop_reason: Option<&str>,
    wait: Span,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, job)?;
    let _lock = Lock::of_job(config, job, wait, report)?;
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
        let revisions = log.ledger().revisions(&known, slice.window)?;
        if slices.is_empty() && is_in_deltas(config, &revisions) {
            report.warning(format_args!(
                "{what} stay held: the receiver has the slice in deltas, and these rows may be in them; \
                 ew-ledger release {job} {} sends the slice all the same, whole, with --drop REASON nothing is sent",
                slice.window.start
            ));
            continue;
        }
        let after = after_seq(config, &known, &slice, &revisions)?;
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

/// Whether a rebuild found files of new rows alone, and no manifests that tell which these are.
fn is_in_deltas(config: &Config, revisions: &[Delivery]) -> bool {
    let mut jobs = config.exports.iter();
    let is_delta = |r: &Delivery| r.unmatched && r.rev > 0 && r.rebuilt == Some(ToldBy::File);
    revisions.iter().any(|r| is_delta(r) && jobs.any(|job| job.name == r.job && job.late == Late::Delta))
}

/// A slice that lost rows can only go out as a delta, where the job can make one; and a rebuilt one whose rows are known
/// goes out as the job sends what is late.
fn after_seq(
    config: &Config,
    known: &Job,
    slice: &Delivery,
    revisions: &[Delivery],
) -> Result<Option<i64>, Failure> {
    let options = find::options(config, &known.name)?;
    let placed = || revisions.iter().filter(|r| r.state.is_current());
    let is_known = placed().any(|r| r.rebuilt.is_some()) && placed().all(|r| !r.unmatched);
    let is_trimmed = revisions.iter().any(|revision| revision.trimmed);
    if !(is_trimmed || is_known && options.late == Late::Delta) {
        return Ok(None);
    }
    if !options.can_delta() {
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
    wait: Span,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, job)?;
    let _lock = Lock::of_job(config, job, wait, report)?;
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
    ew_export::remove_unrecorded(log, job, &slice);
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
    wait: Span,
    report: Report,
) -> Result<Value, Failure> {
    let known = find::job(log, old)?;
    if log.ledger().job(new)?.is_some() {
        return Err(Failure::new(Exit::Usage, format!("the ledger has slices of {new:?} already"))
            .hint("two jobs cannot become one: their slices would overlap"));
    }
    find::options(config, new)?;
    let _locks = (Lock::of_job(config, old, wait, report)?, Lock::of_job(config, new, wait, report)?);
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

//! Late rows: recorded before anything else is planned, then sent as revisions, deltas or first deliveries.

use crate::deliver::{self, Courier, Delivered};
use crate::due::{self, Plan};
use crate::job::JobRun;
use crate::manifest;
use crate::render::{self, Spooled};
use crate::report::{Outcome, SliceReport};
use ew_cli::{Failure, crash};
use ew_core::{Exit, LateAs, TRIMMED_WITHOUT_DELTA, Window};
use ew_store::{Delivery, Job, NewSlice, Seqs};

/// Commits what came late, and says what waits for a person.
pub(crate) fn record(job: &mut JobRun<'_>, known: &Job, plan: &Plan) -> Result<(), Failure> {
    job.log.ledger().record_late(known, plan.as_of_seq, &plan.late)?;
    crash::boundary("planned");
    for slice in &plan.late {
        if let LateAs::Held { reason } = &slice.sent_as {
            held(job, slice.rows.window, slice.rev(), slice.rows.rows, reason);
        }
    }
    Ok(())
}

fn held(job: &mut JobRun<'_>, window: Window, rev: u32, rows: u64, reason: &str) {
    job.report.warning(format_args!(
        "{}: {rows} rows from {} to {} are held: {reason}; ew-ledger release {} sends them",
        job.options.name, window.start, window.end, job.options.name
    ));
    job.result.slices.push(SliceReport {
        rev,
        rows,
        outcome: Outcome::Held,
        error: Some(reason.to_owned()),
        ..SliceReport::empty(window)
    });
}

/// Renders and sends each planned slice. One that fails holds back only itself and what comes after it for
/// the same slot. Whether to go on.
pub(crate) fn send(job: &mut JobRun<'_>, courier: &mut Courier, known: &Job) -> Result<bool, Failure> {
    let planned = job.log.ledger().planned(known)?;
    let waiting = job.log.ledger().unfinished(known)?;
    for slice in planned {
        if waiting.iter().any(|earlier| earlier.window == slice.window) {
            continue;
        }
        job.stage(&format!("rendering late rows of the slice from {}", slice.window.start));
        let Some(after) = after_seq(job, known, &slice)? else {
            job.log.ledger().hold(&slice, TRIMMED_WITHOUT_DELTA)?;
            held(job, slice.window, slice.rev, slice.rows, TRIMMED_WITHOUT_DELTA);
            continue;
        };
        let known = job.known()?.unwrap_or_else(|| known.clone());
        let rendered = match render(job, &known, &slice, after) {
            // Of this slice alone: a unit that cannot be added up, a point without a column.
            Err(failure) if failure.exit == Exit::Data || failure.exit == Exit::Config => {
                not_rendered(job, &slice, failure)?;
                continue;
            }
            rendered => rendered?,
        };
        if rendered.slice.rows == 0 {
            // ew-log trim --force took them.
            job.log.ledger().skip(&known, &slice, "its rows were trimmed")?;
            continue;
        }
        let recorded = manifest::record(job, &known, None, rendered)?;
        if deliver::deliver(job, courier, &known, &recorded)? == Delivered::GaveUp {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says why a slice stays planned; the others go on.
fn not_rendered(job: &mut JobRun<'_>, slice: &Delivery, failure: Failure) -> Result<(), Failure> {
    job.log.ledger().not_rendered(slice, &failure.message)?;
    let report = SliceReport::of(slice, Outcome::Failed, Some(failure.message.clone()));
    job.result.slices.push(report);
    job.result.fail(&failure);
    job.report.failure(&failure.of_part(&job.options.name));
    Ok(())
}

/// The seq that a planned slice begins after: as planned, unless its other rows were trimmed meanwhile. Then
/// only a delta is left, where the job can make one.
fn after_seq(job: &mut JobRun<'_>, known: &Job, slice: &Delivery) -> Result<Option<i64>, Failure> {
    let after = slice.after_seq.unwrap_or(0);
    let revisions = job.log.ledger().revisions(known, slice.window)?;
    // What was never delivered goes out with the rows that are left.
    if after > 0 || slice.rev == 0 || !revisions.iter().any(|revision| revision.trimmed) {
        return Ok(Some(after));
    }
    let before = revisions.iter().filter(|r| r.rev < slice.rev).map(|r| r.as_of_seq).max();
    Ok(before.filter(|_| job.options.can_delta()))
}

/// Renders a planned slice.
fn render(job: &mut JobRun<'_>, known: &Job, slice: &Delivery, after: i64) -> Result<Spooled, Failure> {
    let seqs = Seqs { after, up_to: slice.as_of_seq };
    let content = due::content(job, known, slice.window, seqs, None)?;
    let revisions = job.log.ledger().revisions(known, slice.window)?;
    let count = revisions.iter().find_map(|revision| revision.count).unwrap_or(known.slices + 1);
    let piece = content.piece(slice.window, seqs);
    let rendered = render::to_spool(job, &piece, content.columns.clone(), slice.rev, count)?;
    Ok(Spooled { slice: NewSlice { planned: Some(slice.id), ..rendered.slice }, ..rendered })
}

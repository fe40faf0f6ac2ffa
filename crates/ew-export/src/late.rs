//! Late rows: what they change, recorded before anything else is planned, then sent as revisions, deltas or first
//! deliveries.

use crate::beside;
use crate::deliver::{self, Courier, Delivered};
use crate::due::{self, Plan};
use crate::job::JobRun;
use crate::render::{self, Rendered, Spooled};
use crate::report::{Outcome, SliceReport};
use crate::split::{self, REVISION_TOO_LARGE};
use ew_cli::{Failure, crash};
use ew_core::{Columns, Exit, Late, LateAs, LateRows, TRIMMED_WITHOUT_DELTA, Window, late_as};
use ew_store::{Delivery, Job, LateSlice, Matched, NewSlice, Seqs, ToldBy};

/// How what came late for each slice goes out, and the rebuilt slices that the log gives with it as the receiver has
/// them. A slice that only rows before it may change is left alone where it comes out the same.
pub(crate) fn decide(
    job: &mut JobRun<'_>,
    known: &Job,
    found: Vec<LateRows>,
    as_of_seq: i64,
) -> Result<(Vec<LateSlice>, Vec<Matched>), Failure> {
    let (mut late, mut matched) = (Vec::new(), Vec::new());
    for rows in found {
        let Some(before) = rows.before else {
            late.push(LateSlice { rows, sent_as: LateAs::First });
            continue;
        };
        // Where rows of it were trimmed after it was found, the log gives it no more.
        if before.rebuilt
            && (before.unmatched || !before.trimmed)
            && let Some(found) = as_rebuilt(job, known, rows.window, as_of_seq)?
        {
            matched.push(found);
            continue;
        }
        let is_beside = rows.rows == 0 && !before.waiting;
        // What the log does not give is not made again for rows beside it, and what lost rows cannot be.
        if is_beside
            && (before.unmatched
                || !before.trimmed
                    && !before.rebuilt
                    && is_unchanged(job, known, rows.window, before.as_of_seq, as_of_seq)?)
        {
            continue;
        }
        let sent_as = late_as(job.options.late, job.options.can_delta(), &rows);
        late.push(LateSlice { rows, sent_as });
    }
    Ok((late, matched))
}

/// A rebuilt slice, where the log gives the file that the receiver has.
fn as_rebuilt(
    job: &mut JobRun<'_>,
    known: &Job,
    window: Window,
    as_of_seq: i64,
) -> Result<Option<Matched>, Failure> {
    let revisions = job.log.ledger().revisions(known, window)?;
    let placed = revisions.iter().rev().filter(|r| r.state.is_current());
    let Some((file, told_by)) = placed.filter_map(|r| r.rebuilt.map(|told_by| (r, told_by))).next() else {
        return Ok(None);
    };
    let Some((now, columns)) = look(job, known, window, as_of_seq, file.columns.as_ref())? else {
        return Ok(None);
    };
    let is_same = match (told_by, &file.sha256, file.bytes) {
        (ToldBy::Rows, ..) => file.rows == now.rows,
        (ToldBy::File, Some(sha256), _) => *sha256 == now.sha256,
        (ToldBy::File, None, bytes) => bytes == Some(now.bytes),
    };
    let is_whole = told_by == ToldBy::File;
    Ok(is_same.then(|| Matched {
        window,
        rows: now.rows,
        columns,
        format: is_whole.then(|| job.options.format.name_and_version().to_owned()),
        zone_data: job.options.zone.rules_version().filter(|_| is_whole).map(str::to_owned),
    }))
}

/// Whether a slice is with the rows that came since the very file that was made of it last.
fn is_unchanged(
    job: &mut JobRun<'_>,
    known: &Job,
    window: Window,
    before: i64,
    as_of_seq: i64,
) -> Result<bool, Failure> {
    let revisions = job.log.ledger().revisions(known, window)?;
    let header = revisions.iter().rev().find_map(|revision| revision.columns.clone());
    let recorded = revisions.iter().rfind(|revision| revision.as_of_seq == before);
    let then = match recorded.and_then(|revision| revision.sha256.clone()) {
        Some(sha256) => Some(sha256),
        // What was skipped has no file, and of a rebuilt one only its size may be known.
        None => look(job, known, window, before, header.as_ref())?.map(|(then, _)| then.sha256),
    };
    let now = look(job, known, window, as_of_seq, header.as_ref())?.map(|(now, _)| now.sha256);
    Ok(now.is_some() && now == then)
}

/// A slice as it would be sent, of which nothing is kept; none where its rows make no file, which whoever sends it
/// will say.
fn look(
    job: &mut JobRun<'_>,
    known: &Job,
    window: Window,
    as_of_seq: i64,
    header: Option<&Columns>,
) -> Result<Option<(Rendered, Option<Columns>)>, Failure> {
    job.stage(&format!("looking at late rows of the slice from {}", window.start));
    let seqs = Seqs { up_to: as_of_seq, ..Seqs::ALL };
    let content = due::content(job, known, window, seqs, header)?;
    match job.renderer().write(&content.piece(window, seqs), std::io::sink()).map_err(Failure::from) {
        Ok(rendered) => Ok(Some((rendered, content.columns))),
        Err(failure) if is_of_slice(&failure) => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Of one slice alone: a unit that cannot be added up, a point without a column.
pub(crate) fn is_of_slice(failure: &Failure) -> bool {
    failure.exit == Exit::Data || failure.exit == Exit::Config
}

/// Commits what came late, and says what waits for a person.
pub(crate) fn record(job: &mut JobRun<'_>, known: &Job, plan: &Plan) -> Result<(), Failure> {
    job.log.ledger().record_late(known, plan.as_of_seq, &plan.late, &plan.matched)?;
    crash::boundary("planned");
    for slice in &plan.late {
        if let LateAs::Held { reason } = &slice.sent_as {
            held(job, slice.rows.window, slice.rev(), slice.rows.count(), reason);
        }
    }
    for Matched { window, rows, .. } in &plan.matched {
        job.report.note(format_args!(
            "{}: the log has the {rows} rows from {} to {} again that the receiver has",
            job.options.name, window.start, window.end
        ));
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
    split::cut_planned(job, known)?;
    let planned = job.log.ledger().planned(known)?;
    let waiting = job.log.ledger().unfinished(known)?;
    for slice in planned {
        if waiting.iter().any(|earlier| earlier.window == slice.window) {
            continue;
        }
        job.stage(&format!("rendering late rows of the slice from {}", slice.window.start));
        let revisions = job.log.ledger().revisions(known, slice.window)?;
        let Some(after) = after_seq(job, &revisions, &slice) else {
            job.log.ledger().hold(&slice, TRIMMED_WITHOUT_DELTA)?;
            held(job, slice.window, slice.rev, slice.rows, TRIMMED_WITHOUT_DELTA);
            continue;
        };
        let known = job.known()?.unwrap_or_else(|| known.clone());
        let rendered = match render_to_fit(job, &known, &revisions, &slice, after) {
            Err(failure) if is_of_slice(&failure) => {
                not_rendered(job, &slice, failure)?;
                continue;
            }
            rendered => rendered?,
        };
        let Some(rendered) = rendered else {
            job.log.ledger().hold(&slice, REVISION_TOO_LARGE)?;
            held(job, slice.window, slice.rev, slice.rows, REVISION_TOO_LARGE);
            continue;
        };
        if rendered.slice.rows == 0 {
            // ew-log trim --force took them.
            job.log.ledger().skip(&known, &slice, "its rows were trimmed")?;
            continue;
        }
        let recorded = beside::record(job, &known, None, rendered)?;
        if deliver::deliver(job, courier, &known, recorded)? == Delivered::GaveUp {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Says why a slice stays planned; the others go on.
fn not_rendered(job: &mut JobRun<'_>, slice: &Delivery, failure: Failure) -> Result<(), Failure> {
    job.log.ledger().not_rendered(slice, &failure.message)?;
    let report = SliceReport::of(slice, Outcome::Failed, Some(failure.message.clone()));
    say_failed(job, report, failure);
    Ok(())
}

/// Says why a slice failed, once where several fail of the same: a reading can be in the intervals of two.
pub(crate) fn say_failed(job: &mut JobRun<'_>, slice: SliceReport, failure: Failure) {
    let is_news = job.result.slices.iter().all(|other| other.error != slice.error);
    job.result.slices.push(slice);
    job.result.fail(&failure);
    if is_news {
        job.report.failure(&failure.of_part(&job.options.name));
    }
}

/// The seq that a planned slice begins after: as planned, unless its other rows were trimmed meanwhile. Then
/// only a delta is left, where the job can make one.
pub(crate) fn after_seq(job: &JobRun<'_>, revisions: &[Delivery], slice: &Delivery) -> Option<i64> {
    let after = slice.after_seq.unwrap_or(0);
    // What was never delivered goes out with the rows that are left.
    if after > 0 || slice.rev == 0 || !revisions.iter().any(|revision| revision.trimmed) {
        return Some(after);
    }
    let before = revisions.iter().filter(|r| r.rev < slice.rev).map(|r| r.as_of_seq).max();
    before.filter(|_| job.options.can_delta())
}

/// Renders a planned slice; none where it is a revision that the receiver surely refuses.
fn render_to_fit(
    job: &mut JobRun<'_>,
    known: &Job,
    revisions: &[Delivery],
    slice: &Delivery,
    after: i64,
) -> Result<Option<Spooled>, Failure> {
    let mut rendered = render(job, known, revisions, slice, after)?;
    if slice.rev > 0
        && split::is_too_large(job, rendered.slice.bytes)
        && let Some(after) = as_delta(job, revisions, slice.rev, after)
    {
        rendered = render(job, known, revisions, slice, after)?;
    }
    Ok(Some(rendered).filter(|rendered| slice.rev == 0 || !split::is_too_large(job, rendered.slice.bytes)))
}

/// The seq after which the rows of a revision that is too large whole go alone, where the job sends deltas by now.
pub(crate) fn as_delta(job: &JobRun<'_>, revisions: &[Delivery], rev: u32, after: i64) -> Option<i64> {
    let may = job.options.late == Late::Delta && job.options.can_delta() && after == 0;
    let before = || revisions.iter().filter(|revision| revision.rev < rev);
    before().map(|r| r.as_of_seq).max().filter(|_| may && before().all(|r| r.rebuilt.is_none()))
}

/// Renders a planned slice.
fn render(
    job: &mut JobRun<'_>,
    known: &Job,
    revisions: &[Delivery],
    slice: &Delivery,
    after: i64,
) -> Result<Spooled, Failure> {
    let seqs = Seqs { after, up_to: slice.as_of_seq };
    let content = due::content(job, known, slice.window, seqs, None)?;
    let count = revisions.iter().find_map(|revision| revision.count).unwrap_or(known.slices + 1);
    let piece = content.piece(slice.window, seqs);
    let rendered = render::to_spool(job, &piece, content.columns.clone(), slice.rev, count)?;
    Ok(Spooled { slice: NewSlice { planned: Some(slice.id), ..rendered.slice }, ..rendered })
}

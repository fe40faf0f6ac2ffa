//! What would be sent: `--dry-run` and `--stdout`. Nothing is sent, recorded or locked.

use crate::due;
use crate::job::JobRun;
use crate::manual;
use crate::render::Piece;
use crate::report::{Outcome, RunReport, SliceReport};
use ew_cli::{Failure, Output};
use ew_core::{Contents, Exit, LateAs, PartOutcome, Timestamp, Window};
use ew_store::{Job, LateSlice, Seqs};

/// `--dry-run`: the slices of one job into its report.
pub(crate) fn plan(job: &mut JobRun<'_>) -> Result<(), Failure> {
    if let Some((from, to)) = job.range {
        return manual::preview(job, from, to);
    }
    job.refuse_renamed()?;
    let known = job.known()?;
    let mut bookmark = known.clone();
    if let Some(known) = &mut bookmark {
        // What follows is planned as if it were placed.
        known.bookmark = known.bookmark.max(unfinished(job, known)?);
    }
    let plan = due::due(job, bookmark.as_ref())?;
    let mut count = known.as_ref().map_or(0, |known| known.slices);
    if let Some(known) = known.as_ref().filter(|_| job.doubt.is_none()) {
        for slice in &plan.late {
            count += i64::from(slice.sent_as == LateAs::First);
            late(job, known, slice, plan.as_of_seq, count)?;
        }
    }
    if let Some(refused) = plan.refused {
        return Err(refused);
    }
    let (ext, scope) = (job.options.extension(), job.scope());
    for piece in &plan.due {
        if piece.contents == Contents::Empty {
            let why = Some("no row; passed over because later slots have some".to_owned());
            job.result.slices.push(SliceReport { why, ..SliceReport::empty(piece.window) });
            continue;
        }
        count += 1;
        let columns = due::columns(job, &piece.contents);
        let to_render = Piece {
            window: piece.window,
            columns: columns.as_deref().unwrap_or_default(),
            seqs: Seqs { up_to: plan.as_of_seq, ..Seqs::ALL },
            scope: &scope,
        };
        let rendered = job.renderer().write(&to_render, std::io::sink())?;
        let fields = job.fields(&ext, piece.window, 0, plan.as_of_seq, count);
        let name = job.options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
        let why = match piece.contents {
            Contents::HeaderOnly { .. } => "no row, but always_export is on",
            _ if job.end.is_some() => "it lies between the last export and --end",
            _ => "its slots are closed and were not exported yet",
        };
        job.result.slices.push(SliceReport {
            name: Some(name),
            rows: rendered.rows,
            bytes: Some(rendered.bytes),
            sha256: Some(rendered.sha256),
            outcome: Outcome::Planned,
            why: Some(why.to_owned()),
            ..SliceReport::empty(piece.window)
        });
    }
    let planned = job.result.slices.iter().any(|slice| slice.outcome == Outcome::Planned);
    if let Some(doubt) = job.doubt.clone().filter(|_| !planned) {
        job.wait_for_clock(&doubt);
        return Ok(());
    }
    if planned {
        job.result.outcome = Outcome::Planned;
    } else if plan.window.is_none_or(|window| !window.is_empty()) {
        job.result.part = PartOutcome::Idle(Exit::NoData);
    }
    Ok(())
}

/// Late rows of one slice.
fn late(
    job: &mut JobRun<'_>,
    known: &Job,
    slice: &LateSlice,
    as_of_seq: i64,
    next_count: i64,
) -> Result<(), Failure> {
    let (window, late_rows) = (slice.rows.window, slice.rows.count());
    let (after, why) = match &slice.sent_as {
        LateAs::First => (0, format!("{late_rows} rows came late for a slot that was passed over empty")),
        LateAs::Whole if slice.rows.rows == 0 => {
            (0, format!("{late_rows} rows before it came late and change it; the slice is sent again"))
        }
        LateAs::Whole => (0, format!("{late_rows} rows came late; the slice is sent again")),
        LateAs::Delta { after_seq } => {
            (*after_seq, format!("{late_rows} rows came late; only they are sent"))
        }
        LateAs::Joined => (0, format!("{late_rows} more rows came late for a slice that is due already")),
        LateAs::Held { reason } => {
            job.result.slices.push(SliceReport {
                rev: slice.rev(),
                rows: late_rows,
                outcome: Outcome::Held,
                why: Some((*reason).to_owned()),
                ..SliceReport::empty(window)
            });
            return Ok(());
        }
    };
    let seqs = Seqs { after, up_to: as_of_seq };
    let content = due::content(job, known, window, seqs, None)?;
    let rendered = job.renderer().write(&content.piece(window, seqs), std::io::sink())?;
    let revisions = job.log.ledger().revisions(known, window)?;
    let count = revisions.iter().find_map(|revision| revision.count).unwrap_or(next_count);
    let ext = job.options.extension();
    let fields = job.fields(&ext, window, slice.rev(), as_of_seq, count);
    let name = job.options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
    job.result.slices.push(SliceReport {
        name: Some(name),
        rev: slice.rev(),
        rows: rendered.rows,
        bytes: Some(rendered.bytes),
        sha256: Some(rendered.sha256),
        outcome: Outcome::Planned,
        why: Some(why),
        ..SliceReport::empty(window)
    });
    Ok(())
}

/// What an earlier run recorded and did not place comes first. Where it ends, if there is any.
pub(crate) fn unfinished(job: &mut JobRun<'_>, known: &Job) -> Result<Option<Timestamp>, Failure> {
    let unfinished = job.log.ledger().unfinished(known)?;
    for slice in &unfinished {
        let why = match &slice.reason {
            Some(reason) => format!("recorded by an earlier run, not placed: {reason}"),
            None => "recorded by an earlier run, not placed".to_owned(),
        };
        let report = SliceReport::of(slice, Outcome::Planned, None);
        job.result.slices.push(SliceReport { why: Some(why), ..report });
    }
    Ok(unfinished.iter().map(|slice| slice.window.end).max())
}

/// The plan as a table for people.
pub(crate) fn list(run: &RunReport, out: &mut Output) -> Result<(), Failure> {
    let heading = ["JOB", "NAME", "START", "END", "REV", "ROWS", "BYTES", "WHY"];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    for job in &run.jobs {
        for slice in &job.slices {
            table.push(vec![
                job.job.clone(),
                slice.name.clone().unwrap_or_else(|| "-".to_owned()),
                slice.start.to_string(),
                slice.end.to_string(),
                slice.rev.to_string(),
                slice.rows.to_string(),
                slice.bytes.map_or("-".to_owned(), |bytes| bytes.to_string()),
                slice.why.clone().unwrap_or_default(),
            ]);
        }
    }
    out.table(&table)
}

/// `--stdout`: the due window, or `--from --to` exactly, as one document.
pub(crate) fn print(job: &mut JobRun<'_>, out: &mut Output) -> Result<Exit, Failure> {
    let known = job.known()?;
    let (window, as_of_seq) = match job.range {
        Some((from, to)) => {
            let (from, to) = (job.resolve(from)?, job.resolve(to)?);
            if from > to {
                return Err(
                    Failure::new(Exit::Usage, format!("--from {from} is after --to {to}")).hint("swap them")
                );
            }
            (Window::new(from, to), job.log.snapshot()?.last_seq()?)
        }
        None => {
            let plan = due::due(job, known.as_ref())?;
            if let Some(refused) = plan.refused {
                return Err(refused);
            }
            let window = plan.window.ok_or_else(|| {
                Failure::new(Exit::NoData, format!("{}: the log has no row of its points", job.options.name))
            })?;
            // The slots without rows at the end are open still.
            let end = plan.due.last().map_or(window.end, |last| last.window.end);
            (Window::new(window.start, end), plan.as_of_seq)
        }
    };
    let scope = job.scope();
    let rows = Window::new(window.start.max(scope.since), window.end);
    let present = job.log.snapshot()?.columns(rows, &scope.selection, Seqs::ALL)?;
    if present.is_empty() {
        if window.is_empty() && job.range.is_none() {
            job.report.note(format_args!("{}: nothing is due", job.options.name));
            return Ok(Exit::Ok);
        }
        let why = format!("{}: no row from {} to {}", job.options.name, window.start, window.end);
        return Err(Failure::new(Exit::NoData, why));
    }
    let columns = due::columns(job, &Contents::Rows { columns: present });
    let seqs = Seqs { up_to: as_of_seq, ..Seqs::ALL };
    let piece = Piece { window, columns: columns.as_deref().unwrap_or_default(), seqs, scope: &scope };
    job.renderer().print(&piece, out.writer())?;
    Ok(Exit::Ok)
}

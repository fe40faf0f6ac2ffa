//! What would be sent: `--dry-run` and `--stdout`. Nothing is sent, recorded or locked.

use crate::due::{self, Plan};
use crate::job::JobRun;
use crate::late;
use crate::manual;
use crate::render::Piece;
use crate::report::{Outcome, ProfileReport, RunReport, SliceReport};
use crate::split::{self, REVISION_TOO_LARGE};
use ew_cli::{Failure, Output};
use ew_core::{
    Contents, Exit, LateAs, PartOutcome, TRIMMED_WITHOUT_DELTA, Timestamp, Window, insert_before_extension,
};
use ew_store::{Delivery, Job, LateSlice, Seqs, SliceState};
use std::collections::HashSet;

/// `--dry-run`: the slices of one job into its report.
pub(crate) fn plan(job: &mut JobRun<'_>) -> Result<(), Failure> {
    job.result.profile = job.options.received.as_ref().map(ProfileReport::from);
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
    let mut plan = due::due(job, bookmark.as_ref())?;
    let mut taken = job.log.ledger().names_at(&job.options.transport.destination(job.config.base()))?;
    let mut count = known.as_ref().map_or(0, |known| known.slices);
    if let Some(known) = known.as_ref().filter(|_| job.doubt.is_none()) {
        for slice in job.log.ledger().planned(known)? {
            planned(job, known, &slice, &plan, count + 1, &mut taken)?;
        }
        for slice in &plan.late {
            count += i64::from(slice.sent_as == LateAs::First);
            came_late(job, known, slice, plan.as_of_seq, count, &mut taken)?;
        }
    }
    if let Some(refused) = plan.refused {
        return Err(refused);
    }
    split::cut(job, &mut plan)?;
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
        let name = name(job, &mut taken, (&ext, piece.window, 0), plan.as_of_seq, count)?;
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
    if matches!(job.result.part, PartOutcome::Failed(_)) {
        // What can be sent is listed all the same.
    } else if planned {
        job.result.outcome = Outcome::Planned;
    } else if plan.window.is_none_or(|window| !window.is_empty()) {
        job.result.part = PartOutcome::Idle(Exit::NoData);
    }
    Ok(())
}

/// A slice that an earlier run planned: it could not be rendered then, or a person released it since.
fn planned(
    job: &mut JobRun<'_>,
    known: &Job,
    slice: &Delivery,
    plan: &Plan,
    next_count: i64,
    taken: &mut HashSet<String>,
) -> Result<(), Failure> {
    // The receiver has a rebuilt slice as the log gives it now, so this is not due any more.
    if plan.matched.iter().any(|matched| matched.window == slice.window) {
        return Ok(());
    }
    let revisions = job.log.ledger().revisions(known, slice.window)?;
    let Some(after) = late::after_seq(job, &revisions, slice) else {
        let report = SliceReport::of(slice, Outcome::Held, None);
        job.result.slices.push(SliceReport { why: Some(TRIMMED_WITHOUT_DELTA.to_owned()), ..report });
        return Ok(());
    };
    let more = plan.late.iter().find(|late| late.rows.window == slice.window);
    let mut why = "planned or released before, not rendered yet".to_owned();
    if let Some(more) = more {
        why += &format!("; {} more rows came late for it", more.rows.count());
    }
    let up_to = more.map_or(slice.as_of_seq, |_| plan.as_of_seq);
    let seqs = Seqs { after, up_to };
    let late = Revision { window: slice.window, rev: slice.rev, rows: slice.rows, seqs, why };
    parts_or_revision(job, known, &late, next_count, taken)
}

/// Late rows of one slice.
fn came_late(
    job: &mut JobRun<'_>,
    known: &Job,
    slice: &LateSlice,
    as_of_seq: i64,
    next_count: i64,
    taken: &mut HashSet<String>,
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
        LateAs::Joined => {
            // One that is planned is listed with them already.
            let revisions = job.log.ledger().revisions(known, window)?;
            for held in revisions.iter().filter(|revision| revision.state == SliceState::Held) {
                let report = SliceReport::of(held, Outcome::Held, None);
                let rows = report.rows + late_rows;
                job.result.slices.push(SliceReport { rows, why: held.reason.clone(), ..report });
            }
            return Ok(());
        }
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
    let late = Revision { window, rev: slice.rev(), rows: late_rows, seqs, why };
    parts_or_revision(job, known, &late, next_count, taken)
}

/// Lists a slice of late rows; the first delivery of a slot in the parts in which it would go.
fn parts_or_revision(
    job: &mut JobRun<'_>,
    known: &Job,
    late: &Revision,
    next_count: i64,
    taken: &mut HashSet<String>,
) -> Result<(), Failure> {
    if late.rev > 0 {
        return revision(job, known, late, next_count, taken);
    }
    for (n, (window, rows)) in (0..).zip(split::parts_of_first(job, known, late.window, late.seqs)?) {
        let part = Revision { window, rows: rows.unwrap_or(late.rows), why: late.why.clone(), ..*late };
        revision(job, known, &part, next_count + n, taken)?;
    }
    Ok(())
}

/// The name that a slice would have: that of a first revision is nobody else's.
fn name(
    job: &JobRun<'_>,
    taken: &mut HashSet<String>,
    (ext, window, rev): (&str, Window, u32),
    seq: i64,
    count: i64,
) -> Result<String, Failure> {
    let fields = job.fields(ext, window, rev, seq, count);
    let wanted = job.options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
    if rev > 0 {
        return Ok(wanted);
    }
    let others = (2..).map(|n| insert_before_extension(&wanted, &format!("_{n}"), ext));
    let free = std::iter::once(wanted.clone()).chain(others).find(|name| !taken.contains(name));
    let name = free.unwrap_or(wanted);
    taken.insert(name.clone());
    Ok(name)
}

/// A slice of late rows that would be rendered.
struct Revision {
    window: Window,
    rev: u32,
    /// That came late.
    rows: u64,
    seqs: Seqs,
    why: String,
}

/// Lists it; one that cannot be rendered holds back only itself.
fn revision(
    job: &mut JobRun<'_>,
    known: &Job,
    revision: &Revision,
    next_count: i64,
    taken: &mut HashSet<String>,
) -> Result<(), Failure> {
    let Revision { window, rev, mut seqs, .. } = *revision;
    let planned = SliceReport { rev, why: Some(revision.why.clone()), ..SliceReport::empty(window) };
    let revisions = job.log.ledger().revisions(known, window)?;
    let rendered = loop {
        let content = due::content(job, known, window, seqs, None)?;
        match job.renderer().write(&content.piece(window, seqs), std::io::sink()).map_err(Failure::from) {
            Err(failure) if late::is_of_slice(&failure) => {
                let failed = SliceReport {
                    rows: revision.rows,
                    outcome: Outcome::Failed,
                    error: Some(failure.message.clone()),
                    why: Some(format!("{}; it cannot be rendered: {}", revision.why, failure.message)),
                    ..planned
                };
                late::say_failed(job, failed, failure);
                return Ok(());
            }
            Err(failure) => return Err(failure),
            Ok(rendered) if rev > 0 && split::is_too_large(job, rendered.bytes) => {
                match late::as_delta(job, &revisions, rev, seqs.after) {
                    Some(after) => seqs.after = after,
                    None => {
                        let why = Some(REVISION_TOO_LARGE.to_owned());
                        let (rows, outcome) = (revision.rows, Outcome::Held);
                        job.result.slices.push(SliceReport { rows, outcome, why, ..planned });
                        return Ok(());
                    }
                }
            }
            Ok(rendered) => break rendered,
        }
    };
    let count = revisions.iter().find_map(|revision| revision.count).unwrap_or(next_count);
    let ext = job.options.extension();
    let name = name(job, taken, (&ext, window, rev), seqs.up_to, count)?;
    job.result.slices.push(SliceReport {
        name: Some(name),
        rows: rendered.rows,
        bytes: Some(rendered.bytes),
        sha256: Some(rendered.sha256),
        outcome: Outcome::Planned,
        ..planned
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
    out.table(&table)?;
    profiles(run, out)
}

/// What the jobs have of their profiles, as a second table.
fn profiles(run: &RunReport, out: &mut Output) -> Result<(), Failure> {
    let mut table = vec![["JOB", "PROFILE", "KEY", "VALUE"].map(str::to_owned).to_vec()];
    for (job, profile) in run.jobs.iter().filter_map(|job| Some((job, job.profile.as_ref()?))) {
        let sets = profile.sets.iter().map(|set| (&set.key, set.value.as_str()));
        let own = profile.own.iter().map(|key| (key, "as the job says"));
        let line = |(key, value): (&String, &str)| {
            vec![job.job.clone(), profile.name.clone(), key.clone(), value.to_owned()]
        };
        table.extend(sets.chain(own).map(line));
    }
    if table.len() == 1 {
        return Ok(());
    }
    out.line(format_args!(""))?;
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

//! `--from --to`: a range again, on demand. The bookmark stays where it is.

use crate::deliver::{self, Courier};
use crate::due;
use crate::job::JobRun;
use crate::preview;
use crate::render::{self, Piece};
use crate::report::{Outcome, SliceReport};
use ew_cli::Failure;
use ew_core::{Columns, Contents, Exit, PartOutcome, Timestamp, When, Window};
use ew_store::{Delivery, Job, Scope};

/// Renders the present content of the slices that the range touches and sends it: unchanged content under
/// its name, changed content as the next revision.
pub(crate) fn send_again(job: &mut JobRun<'_>, from: When, to: When) -> Result<(), Failure> {
    let (from, to) = (job.resolve(from)?, job.resolve(to)?);
    let range = checked_range(job, from, to)?;
    let known = job.begin()?;
    let mut courier = Courier::new();
    // What an earlier run recorded comes first: it is older than what would be sent now.
    deliver::finish_recorded(job, &mut courier, &known)?;
    if job.result.error.is_some() {
        return Ok(());
    }
    for slice in touched(job, &known, range)? {
        if !send_slice(job, &mut courier, &known, &slice)? {
            return Ok(());
        }
    }
    Ok(())
}

/// `--dry-run`: the same slices into the report, each as it would be sent.
pub(crate) fn preview(job: &mut JobRun<'_>, from: When, to: When) -> Result<(), Failure> {
    let (from, to) = (job.resolve(from)?, job.resolve(to)?);
    let range = checked_range(job, from, to)?;
    let Some(known) = job.known()? else { return Ok(()) };
    preview::unfinished(job, &known)?;
    for slice in touched(job, &known, range)? {
        let again = Again::of(job, &known, &slice)?;
        let rendered = render::write(job, &again.piece(&slice), std::io::sink())?;
        let planned = SliceReport::of(&slice, Outcome::Planned, None);
        job.result.slices.push(if Some(&rendered.sha256) == slice.sha256.as_ref() {
            SliceReport { why: Some("unchanged, so the same file again".to_owned()), ..planned }
        } else {
            let rev = job.log.ledger().newest_rev(&known, slice.window)? + 1;
            let fields = job.fields(slice.window, rev, again.as_of_seq, slice.count.unwrap_or(0));
            let name = job.options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
            SliceReport {
                name: Some(name),
                rev,
                rows: rendered.rows,
                bytes: Some(rendered.bytes),
                sha256: Some(rendered.sha256),
                why: Some("changed since it was sent, so a revision".to_owned()),
                ..planned
            }
        });
    }
    if !job.result.slices.is_empty() {
        job.result.outcome = Outcome::Planned;
    }
    Ok(())
}

/// The placed slices that a range touches. None is noted as no data.
fn touched(job: &mut JobRun<'_>, known: &Job, range: Window) -> Result<Vec<Delivery>, Failure> {
    let touched = job.log.ledger().placed(known, range)?;
    let (Some(first), Some(last)) = (touched.first(), touched.last()) else {
        job.report.note(format_args!(
            "{}: no slice was ever sent from {} to {}",
            job.options.name, range.start, range.end
        ));
        job.result.part = PartOutcome::Idle(Exit::NoData);
        return Ok(touched);
    };
    if first.window.start < range.start || range.end < last.window.end {
        job.report.note(format_args!(
            "{}: the range is widened to whole slices: {} to {}",
            job.options.name,
            first.window.start.min(range.start),
            last.window.end.max(range.end)
        ));
    }
    Ok(touched)
}

fn checked_range(job: &mut JobRun<'_>, from: Timestamp, to: Timestamp) -> Result<Window, Failure> {
    if from >= to {
        return Err(
            Failure::new(Exit::Usage, format!("--from {from} is not before --to {to}")).hint("swap them")
        );
    }
    let bookmark = job.known()?.and_then(|known| known.bookmark);
    match bookmark {
        Some(bookmark) if to <= bookmark => Ok(Window::new(from, to)),
        Some(bookmark) => Err(Failure::new(
            Exit::Usage,
            format!("the part from {bookmark} to {to} was never exported, so it cannot be sent again"),
        )
        .hint(format!("write --to {bookmark}, or leave --from and --to out to export what is due"))),
        None => Err(Failure::new(Exit::Usage, "nothing was exported yet, so nothing can be sent again")
            .hint("leave --from and --to out to export what is due")),
    }
}

/// The present content of a placed slice: the rows that the job selected then, with the values that they have
/// now.
struct Again {
    scope: Scope,
    columns: Option<Columns>,
    as_of_seq: i64,
}

impl Again {
    fn of(job: &mut JobRun<'_>, known: &Job, slice: &Delivery) -> Result<Again, Failure> {
        let scope = job.scope_at(known, slice.window.start)?;
        let snapshot = job.log.snapshot()?;
        let as_of_seq = snapshot.last_seq()?;
        let rows = Window::new(slice.window.start.max(scope.since), slice.window.end);
        let present = snapshot.columns(rows, &scope.selection)?;
        drop(snapshot);
        let contents = match present.is_empty() {
            // Header only, as it was sent.
            true => Contents::HeaderOnly { columns: slice.columns.clone().unwrap_or_default() },
            false => Contents::Rows { rows: 0, columns: present },
        };
        Ok(Again { columns: due::columns(job, &contents), scope, as_of_seq })
    }

    fn piece(&self, slice: &Delivery) -> Piece<'_> {
        Piece {
            window: slice.window,
            columns: self.columns.as_deref().unwrap_or_default(),
            as_of_seq: self.as_of_seq,
            scope: &self.scope,
        }
    }
}

/// Sends the present content of one placed slice.
fn send_slice(
    job: &mut JobRun<'_>,
    courier: &mut Courier,
    known: &Job,
    slice: &Delivery,
) -> Result<bool, Failure> {
    job.stage(&format!("rendering the slice from {}", slice.window.start));
    let again = Again::of(job, known, slice)?;
    let count = slice.count.unwrap_or(0);
    let rev = job.log.ledger().newest_rev(known, slice.window)? + 1;
    let rendered = render::to_spool(job, &again.piece(slice), again.columns.clone(), rev, count)?;
    if Some(&rendered.sha256) == slice.sha256.as_ref() {
        let same = Delivery { spool: Some(rendered.spool), ..slice.clone() };
        return deliver::deliver(job, courier, known, &same);
    }
    let revision = job.log.ledger().record_rendered(known, None, &rendered)?;
    deliver::deliver(job, courier, known, &revision)
}

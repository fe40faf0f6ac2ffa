//! `--from --to`: a range again, on demand. The bookmark stays where it is.

use crate::beside;
use crate::deliver::{self, Courier, Delivered};
use crate::due;
use crate::job::JobRun;
use crate::preview;
use crate::render::{self, Spooled};
use crate::report::{Outcome, SliceReport};
use crate::split;
use ew_cli::Failure;
use ew_core::{Exit, PartOutcome, Timestamp, When, Window};
use ew_store::{Delivery, Job, Seqs};

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
        let seqs = Seqs { up_to: job.log.snapshot()?.last_seq()?, ..Seqs::ALL };
        let content = due::content(job, &known, slice.window, seqs, slice.columns.as_ref())?;
        let rendered = job.renderer().write(&content.piece(slice.window, seqs), std::io::sink())?;
        let planned = SliceReport::of(&slice, Outcome::Planned, None);
        job.result.slices.push(if Some(&rendered.sha256) == slice.sha256.as_ref() {
            SliceReport { why: Some("unchanged, so the same file again".to_owned()), ..planned }
        } else {
            let rev = job.log.ledger().newest_rev(&known, slice.window)? + 1;
            let ext = job.options.extension();
            let fields = job.fields(&ext, slice.window, rev, seqs.up_to, slice.count.unwrap_or(0));
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
    // What was sent as deltas goes out again in one piece.
    let touched: Vec<Delivery> = touched.chunk_by(|a, b| a.window == b.window).filter_map(base).collect();
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
    if let Some(rebuilt) = touched.iter().find(|slice| slice.unmatched) {
        let text = format!(
            "the slice from {} to {} was rebuilt, and the log does not give the file that the receiver has",
            rebuilt.window.start, rebuilt.window.end
        );
        return Err(Failure::new(Exit::Io, text).hint(format!(
            "ew-log append brings its rows back; else ew-ledger release {} sends what the log has",
            job.options.name
        )));
    }
    if let Some(trimmed) = touched.iter().find(|slice| slice.trimmed) {
        let text = format!(
            "rows of the slice from {} to {} were trimmed, so it cannot be rendered again",
            trimmed.window.start, trimmed.window.end
        );
        return Err(Failure::new(Exit::Io, text).hint(format!(
            "ew-ledger resend {} sends a slice as it was delivered, while its file is kept",
            job.options.name
        )));
    }
    Ok(touched)
}

/// The newest whole revision of a slice. Where deltas came after it, its content is not what the receiver has,
/// so it counts as changed.
fn base(revisions: &[Delivery]) -> Option<Delivery> {
    let whole = revisions.iter().rfind(|slice| slice.after_seq.is_none())?;
    let has_delta = revisions.iter().any(|slice| slice.rev > whole.rev);
    let sha256 = whole.sha256.clone().filter(|_| !has_delta);
    Some(Delivery { sha256, ..whole.clone() })
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

/// Sends the present content of one placed slice.
fn send_slice(
    job: &mut JobRun<'_>,
    courier: &mut Courier,
    known: &Job,
    slice: &Delivery,
) -> Result<bool, Failure> {
    job.stage(&format!("rendering the slice from {}", slice.window.start));
    let again = present(job, known, slice)?;
    let slice = match Some(&again.slice.sha256) == slice.sha256.as_ref() {
        true => {
            let spool = Some(as_before(job, slice, &again.slice.spool)?);
            Delivery { spool, ..slice.clone() }.into()
        }
        false if split::is_too_large(job, again.slice.bytes) => {
            let (start, end) = (slice.window.start, slice.window.end);
            let text = format!(
                "the slice from {start} to {end} changed, and is larger than max_bytes allows by now"
            );
            return Err(Failure::new(Exit::Data, text).hint(
                "a revision goes as one file: raise max_bytes, or set compress; nothing of it was recorded",
            ));
        }
        false => beside::record(job, known, None, again)?,
    };
    Ok(deliver::deliver(job, courier, known, slice)? == Delivered::Placed)
}

/// Unchanged it is the slice that it was, also in the spool: the name of the next revision is left to that.
fn as_before(job: &JobRun<'_>, slice: &Delivery, spooled: &str) -> Result<String, Failure> {
    let name = render::spool_name(job.options, slice.window, slice.rev);
    let (from, to) = (render::spool_file(job, spooled), render::spool_file(job, &name));
    std::fs::rename(&from, &to)
        .map_err(|e| Failure::new(Exit::Io, format!("cannot rename {}: {e}", from.display())))?;
    Ok(name)
}

/// The rows that the job selected then, with the values that they have now, as the slice's next revision.
fn present(job: &mut JobRun<'_>, known: &Job, slice: &Delivery) -> Result<Spooled, Failure> {
    let seqs = Seqs { up_to: job.log.snapshot()?.last_seq()?, ..Seqs::ALL };
    let content = due::content(job, known, slice.window, seqs, slice.columns.as_ref())?;
    let rev = job.log.ledger().newest_rev(known, slice.window)? + 1;
    let piece = content.piece(slice.window, seqs);
    render::to_spool(job, &piece, content.columns.clone(), rev, slice.count.unwrap_or(0))
}

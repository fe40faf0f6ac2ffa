//! Slices whose files the receiver would not take, cut into several before anything is recorded. Each part is a slice
//! of its own, with its name, receipt and revisions, so nothing after this knows that it is one.

use crate::due::{self, Plan};
use crate::job::JobRun;
use crate::render::{Piece, RenderError};
use ew_cli::Failure;
use ew_core::{Columns, Contents, Due, Grid, Timestamp, Window};
use ew_format::FormatError;
use ew_store::{Scope, Seqs};
use std::io::{self, Write};

/// Where a slice may be cut.
enum Cuts {
    /// At any whole second, which names tell apart.
    Seconds,
    /// At the starts of these.
    Slots(Grid),
}

/// How a window comes out.
enum Size {
    /// The receiver takes its file, which has so many rows.
    Fits(u64),
    TooLarge,
}

/// Cuts what is due where the receiver has a limit and the job asks for it.
pub(crate) fn cut(job: &mut JobRun<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let Some(bytes_max) = job.options.transport.cut_above() else { return Ok(()) };
    let (cuts, seqs) = (cuts(job), Seqs { up_to: plan.as_of_seq, ..Seqs::ALL });
    let mut parts = Vec::new();
    for due in std::mem::take(&mut plan.due) {
        if !matches!(due.contents, Contents::Rows { .. }) {
            parts.push(due);
            continue;
        }
        job.stage(&format!("measuring the slice from {}", due.window.start));
        let mut rest = due.window;
        loop {
            let end = match measure(job, rest, seqs, bytes_max) {
                Ok(Size::TooLarge) => first_part(job, rest, seqs, bytes_max, &cuts),
                Ok(Size::Fits(_)) => Ok(None),
                Err(failure) => Err(failure),
            };
            // What cannot be rendered, or cut, says so when its turn has come.
            let Ok(Some(end)) = end else { break };
            parts.push(part(job, Window::new(rest.start, end), seqs)?);
            rest.start = end;
        }
        parts.push(if rest == due.window { due } else { part(job, rest, seqs)? });
    }
    plan.due = parts;
    Ok(())
}

/// Intervals and, for a format that has whole slots only, slots stay whole.
fn cuts(job: &JobRun<'_>) -> Cuts {
    let Some(how) = job.options.resampling() else { return Cuts::Seconds };
    match job.options.format.check(&how.intervals, job.options.interval) {
        Ok(()) => Cuts::Slots(how.intervals),
        Err(_) => Cuts::Slots(job.options.grid()),
    }
}

impl Cuts {
    /// The last one up to a time.
    fn up_to(&self, time: Timestamp) -> Timestamp {
        match self {
            Cuts::Seconds => time.floor_to_second(),
            Cuts::Slots(grid) => grid.slot(time).start,
        }
    }
}

/// The end of the longest first part that fits; none where there is none with a row. It follows from the rows and the
/// limit alone, so that a run that was killed in between goes on with the same parts.
fn first_part(
    job: &mut JobRun<'_>,
    window: Window,
    seqs: Seqs,
    bytes_max: u64,
    cuts: &Cuts,
) -> Result<Option<Timestamp>, Failure> {
    let mut found = None;
    let (mut fits, mut too_large) = (window.start.secs(), window.end.secs());
    while too_large - fits > 1 {
        let middle = fits + (too_large - fits) / 2;
        let end = cuts.up_to(Timestamp::from_secs(middle));
        if end <= window.start {
            fits = middle;
            continue;
        }
        match measure(job, Window::new(window.start, end), seqs, bytes_max)? {
            Size::Fits(rows) => {
                found = (rows > 0).then_some(end);
                fits = middle;
            }
            Size::TooLarge => too_large = middle,
        }
    }
    Ok(found)
}

/// Renders a window as far as the receiver would take it.
fn measure(job: &mut JobRun<'_>, window: Window, seqs: Seqs, bytes_max: u64) -> Result<Size, Failure> {
    let scope = job.scope();
    let columns = due::columns(job, &contents(job, window, seqs, &scope)?);
    let piece = Piece { window, columns: columns.as_deref().unwrap_or_default(), seqs, scope: &scope };
    match job.renderer().write(&piece, Room(bytes_max)) {
        Ok(rendered) => Ok(Size::Fits(rendered.rows)),
        Err(RenderError::Format(FormatError::Write { .. })) => Ok(Size::TooLarge),
        Err(error) => Err(error.into()),
    }
}

fn part(job: &JobRun<'_>, window: Window, seqs: Seqs) -> Result<Due, Failure> {
    Ok(Due { window, contents: contents(job, window, seqs, &job.scope())? })
}

fn contents(job: &JobRun<'_>, window: Window, seqs: Seqs, scope: &Scope) -> Result<Contents, Failure> {
    let rows = Window::new(window.start.max(scope.since), window.end);
    let columns = match job.options.columns_follow_rows() {
        true => job.log.snapshot()?.columns(rows, &scope.selection, seqs)?,
        false => Columns::default(),
    };
    Ok(Contents::Rows { columns })
}

/// Takes so many bytes and then no more.
struct Room(u64);

impl Write for Room {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 = self.0.checked_sub(bytes.len() as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

//! Slices whose files the receiver would not take, cut into several before anything is recorded. Each part is a slice
//! of its own, with its name, receipt and revisions, so nothing after this knows that it is one.

use crate::due::{self, Plan};
use crate::job::JobRun;
use crate::render::{Piece, RenderError, Rendered};
use ew_cli::Failure;
use ew_core::{Columns, Contents, Due, Grid, Timestamp, Window};
use ew_format::FormatError;
use ew_store::{Job, Scope, Seqs};
use std::io::{self, Write};

/// Why a revision is held. Its parts cannot take the place of the one file that the receiver has: whoever takes a
/// revision for the whole of its slice would lose the rows of the others.
pub(crate) const REVISION_TOO_LARGE: &str = "the slice with them is larger than max_bytes allows, and a revision \
     goes as one file: first raise max_bytes, or set compress or late = \"delta\"";

/// Where a slice may be cut.
enum Cuts {
    /// At any whole second, which names tell apart.
    Seconds,
    /// At the starts of these.
    Slots(Grid),
}

/// How a window comes out.
enum Size {
    /// The receiver takes its file, which has so many rows and bytes.
    Fits(Rendered),
    TooLarge,
}

/// A part of a slice, and its rows where it was rendered.
type Part = (Window, Option<u64>);

/// Cuts what is due where the receiver has a limit and the job asks for it.
pub(crate) fn cut(job: &mut JobRun<'_>, plan: &mut Plan) -> Result<(), Failure> {
    let (scope, seqs) = (job.scope(), Seqs { up_to: plan.as_of_seq, ..Seqs::ALL });
    let mut due = Vec::new();
    for piece in std::mem::take(&mut plan.due) {
        let parts = match piece.contents {
            Contents::Rows { .. } => parts(job, piece.window, seqs, &scope),
            _ => Vec::new(),
        };
        if parts.len() < 2 {
            due.push(piece);
            continue;
        }
        for (window, _) in parts {
            due.push(Due { window, contents: contents(job, window, seqs, &scope)? });
        }
    }
    plan.due = due;
    Ok(())
}

/// Cuts the first deliveries of slots that were passed over empty, while they are planned. The receiver has nothing of
/// them, so that their parts are slices like any other.
pub(crate) fn cut_planned(job: &mut JobRun<'_>, known: &Job) -> Result<(), Failure> {
    for slice in job.log.ledger().planned(known)?.iter().filter(|slice| slice.rev == 0) {
        let seqs = Seqs { after: 0, up_to: slice.as_of_seq };
        let parts = parts_of_first(job, known, slice.window, seqs)?;
        if parts.len() > 1 {
            job.log.ledger().cut(slice, &parts)?;
        }
    }
    Ok(())
}

/// The parts in which the first delivery of such a slot goes.
pub(crate) fn parts_of_first(
    job: &mut JobRun<'_>,
    known: &Job,
    window: Window,
    seqs: Seqs,
) -> Result<Vec<Part>, Failure> {
    let scope = job.scope_at(known, window.start)?;
    Ok(parts(job, window, seqs, &scope))
}

/// Whether the file of a slice is surely refused.
pub(crate) fn is_too_large(job: &JobRun<'_>, bytes: u64) -> bool {
    job.options.transport.refuses_above().is_some_and(|max| bytes > max)
}

/// A window in parts that the receiver takes, or as it is.
fn parts(job: &JobRun<'_>, window: Window, seqs: Seqs, scope: &Scope) -> Vec<Part> {
    let (mut parts, mut rest) = (Vec::new(), window);
    if let Some(bytes_max) = job.options.transport.cut_above() {
        let cuts = cuts(job);
        // What cannot be rendered, or cut, says so when its turn has come.
        while let Ok(Size::TooLarge) = measure(job, rest, seqs, scope, bytes_max)
            && let Ok(Some((part, rows))) = first_part(job, rest, seqs, scope, bytes_max, &cuts)
        {
            parts.push((part, Some(rows)));
            rest.start = part.end;
        }
    }
    parts.push((rest, None));
    parts
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

/// A first part that is at least this much of what fits, in eighths, is large enough.
const ENOUGH_EIGHTHS: u64 = 7;
/// So often a part is guessed by what another came to; after that the middle is taken, which surely comes to an end.
const GUESSES_MAX: u32 = 3;

/// A first part that fits, nearly as long as one can be, and its rows; none where there is none with a row. It follows
/// from the rows and the limit alone, so that a run that was killed in between goes on with the same parts. As a window
/// of n seconds may be rendered log2 n + 3 times for it, and is three or four times, mostly.
fn first_part(
    job: &JobRun<'_>,
    window: Window,
    seqs: Seqs,
    scope: &Scope,
    bytes_max: u64,
    cuts: &Cuts,
) -> Result<Option<(Window, u64)>, Failure> {
    let (start, mut found, mut found_end) = (window.start.secs(), None, window.start);
    let (mut fits, mut too_large) = (start, window.end.secs());
    let (mut guess, mut guesses) = (None, 0);
    while too_large - fits > 1 {
        let middle = fits + (too_large - fits) / 2;
        let at = guess.take().filter(|at| (fits + 1..too_large).contains(at)).unwrap_or(middle);
        let part = Window::new(window.start, cuts.up_to(Timestamp::from_secs(at)).max(window.start));
        if part.end <= found_end {
            fits = at;
            continue;
        }
        match measure(job, part, seqs, scope, bytes_max)? {
            Size::TooLarge => too_large = part.end.secs(),
            Size::Fits(Rendered { rows, bytes, .. }) => {
                (fits, found_end) = (at, part.end);
                found = (rows > 0).then_some((part, rows));
                if rows > 0 && bytes >= bytes_max / 8 * ENOUGH_EIGHTHS {
                    break;
                }
                if guesses < GUESSES_MAX {
                    guesses += 1;
                    // A little less than what would fill it, if the rest were like this.
                    let room = i128::from(bytes_max) * 15 / 16;
                    let secs = i128::from(part.end.secs() - start) * room / i128::from(bytes.max(1));
                    guess = i64::try_from(secs).ok().map(|secs| start.saturating_add(secs));
                }
            }
        }
    }
    Ok(found)
}

/// Renders a window as far as the receiver would take it.
fn measure(
    job: &JobRun<'_>,
    window: Window,
    seqs: Seqs,
    scope: &Scope,
    bytes_max: u64,
) -> Result<Size, Failure> {
    job.stage(&format!("measuring the slice from {} to {}", window.start, window.end));
    let columns = due::columns(job, &contents(job, window, seqs, scope)?);
    let piece = Piece { window, columns: columns.as_deref().unwrap_or_default(), seqs, scope };
    match job.renderer().write(&piece, Room(bytes_max)) {
        Ok(rendered) => Ok(Size::Fits(rendered)),
        Err(RenderError::Format(FormatError::Write { .. })) => Ok(Size::TooLarge),
        Err(error) => Err(error.into()),
    }
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

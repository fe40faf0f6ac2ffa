//! The rows of a slice by intervals: what the log is asked for, and in which order.

use crate::render::{Piece, RenderError};
use ew_core::{Resampler, Resampling, Row, Window};
use ew_store::Snapshot;

/// Calls `each` with the rows of a piece, one per point and interval. The points are the columns of a wide
/// format, else those that have a row in the slice, which are looked for first.
pub(crate) fn for_each_row(
    snapshot: &Snapshot<'_>,
    how: &Resampling,
    piece: &Piece<'_>,
    is_wide: bool,
    each: &mut dyn FnMut(Row<'_>) -> Result<(), RenderError>,
) -> Result<(), RenderError> {
    let (window, since, selection) = (piece.window, piece.scope.since, &piece.scope.selection);
    let covered = covered(how, piece);
    let mut resampler = Resampler::new(how, covered);
    if is_wide {
        piece.columns.iter().for_each(|point| resampler.name(point.as_str(), ""));
    } else {
        let due = Window::new(window.start.max(since), window.end);
        snapshot.for_each_row::<RenderError>(due, selection, piece.seqs, &mut |row| {
            resampler.name(row.point, row.unit);
            Ok(())
        })?;
    }
    let lead_in = covered.start.plus_micros(-how.lead_in().micros());
    let readings = Window::new(lead_in.max(since), window.end);
    snapshot.for_each_row(readings, selection, piece.seqs, &mut |row| resampler.row(row, each))?;
    resampler.finish(each)
}

/// How many intervals a piece with rows has.
pub(crate) fn intervals(how: &Resampling, piece: &Piece<'_>) -> u64 {
    how.intervals.slots(covered(how, piece)).count() as u64
}

/// The intervals that are wholly before `since` are none of this job's.
fn covered(how: &Resampling, piece: &Piece<'_>) -> Window {
    let first = how.intervals.slot(piece.scope.since).start;
    Window::new(piece.window.start.max(first), piece.window.end)
}

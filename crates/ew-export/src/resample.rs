//! The rows of a slice by intervals: what the log is asked for, and in which order.

use crate::render::{Piece, RenderError};
use ew_core::{Resampler, Resampling, Row, RowOrder, Window};
use ew_format::Format;
use ew_store::Snapshot;
use std::collections::BTreeMap;

/// Calls `each` with the rows of a piece in the order of its format, one per point and interval. The points are the
/// columns of a wide format, else those that have a row in the slice, which are looked for first.
pub(crate) fn for_each_row(
    snapshot: &Snapshot<'_>,
    how: &Resampling,
    piece: &Piece<'_>,
    format: &dyn Format,
    each: &mut Each<'_>,
) -> Result<(), RenderError> {
    match format.order() {
        RowOrder::ByTime => by_time(snapshot, how, piece, format.is_wide(), each),
        RowOrder::ByPoint => by_point(snapshot, how, piece, each),
    }
}

type Each<'e> = dyn FnMut(Row<'_>) -> Result<(), RenderError> + 'e;

fn by_time(
    snapshot: &Snapshot<'_>,
    how: &Resampling,
    piece: &Piece<'_>,
    is_wide: bool,
    each: &mut Each<'_>,
) -> Result<(), RenderError> {
    let mut resampler = Resampler::new(how, covered(how, piece));
    if is_wide {
        piece.columns.iter().for_each(|point| resampler.name(point.as_str(), ""));
    } else {
        snapshot.for_each_row::<RenderError>(due(piece), &piece.scope.selection, piece.seqs, &mut |row| {
            resampler.name(row.point, row.unit);
            Ok(())
        })?;
    }
    let readings = readings(how, piece);
    snapshot
        .for_each_row(readings, &piece.scope.selection, piece.seqs, &mut |row| resampler.row(row, each))?;
    resampler.finish(each)
}

/// One resampler after the other. Whether the slice has a gap that is too long is seen by time.
fn by_point(
    snapshot: &Snapshot<'_>,
    how: &Resampling,
    piece: &Piece<'_>,
    each: &mut Each<'_>,
) -> Result<(), RenderError> {
    let (covered, selection, seqs) = (covered(how, piece), &piece.scope.selection, piece.seqs);
    let mut units: BTreeMap<String, String> = BTreeMap::new();
    let mut all = Resampler::new(how, covered);
    let mut nobody = |_: Row<'_>| Ok::<(), RenderError>(());
    snapshot.for_each_row::<RenderError>(due(piece), selection, seqs, &mut |row| {
        match units.get_mut(row.point) {
            Some(unit) if unit.is_empty() => row.unit.clone_into(unit),
            Some(_) => {}
            None => drop(units.insert(row.point.to_owned(), row.unit.to_owned())),
        }
        all.row(Row { point: "", value: None, ..row }, &mut nobody)
    })?;
    all.finish(&mut nobody)?;

    let mut open: Option<(&str, Resampler<'_>)> = None;
    snapshot.for_each_row_in(RowOrder::ByPoint, readings(how, piece), selection, seqs, &mut |row| {
        // A point that has rows before the slice only is none of its points.
        let Some((point, unit)) = units.get_key_value(row.point) else { return Ok(()) };
        if open.as_ref().is_none_or(|(present, _)| present != point) {
            let mut next = Resampler::of_some_points(how, covered);
            next.name(point, unit);
            if let Some((_, done)) = open.replace((point, next)) {
                done.finish(each)?;
            }
        }
        match &mut open {
            Some((_, resampler)) => resampler.row(row, each),
            None => Ok(()),
        }
    })?;
    open.map_or(Ok(()), |(_, last)| last.finish(each))
}

/// The time whose rows are this slice's.
fn due(piece: &Piece<'_>) -> Window {
    Window::new(piece.window.start.max(piece.scope.since), piece.window.end)
}

/// The time whose readings its intervals depend on.
fn readings(how: &Resampling, piece: &Piece<'_>) -> Window {
    let lead_in = covered(how, piece).start.plus_micros(-how.lead_in().micros());
    Window::new(lead_in.max(piece.scope.since), piece.window.end)
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

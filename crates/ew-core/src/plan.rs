//! What is due: a pure function of the window, the slots and what the log holds in them.

use crate::{Grid, Point, Window};
use std::sync::Arc;

/// The points with a row, in order of their names.
pub type Columns = Arc<[Point]>;

/// At most so many empty slots are sent in one run (`always_export`).
pub const EMPTY_SLICES_MAX: usize = 10_000;

/// A slot of the window that holds rows.
#[derive(Debug, Clone, PartialEq)]
pub struct Occupied {
    /// The slot, cut to the window.
    pub slot: Window,
    /// The points that have them, where the plan needs them.
    pub columns: Columns,
}

/// What to plan.
#[derive(Debug, Clone)]
pub struct PlanRequest<'a> {
    /// From the bookmark to the end of the last closed slot.
    pub window: Window,
    /// The job's slots.
    pub grid: &'a Grid,
    /// One slice per slot, else one for the window.
    pub breakup: bool,
    /// Empty slots are sent too, header only.
    pub always_export: bool,
    /// The columns follow from the rows, so an unbroken window is cut where they change.
    pub cut_on_columns: bool,
    /// The columns of the slice before the window, for the header of an empty one.
    pub columns_before: Columns,
}

/// One piece of the plan, in order of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Due {
    /// Its window.
    pub window: Window,
    /// What is in it.
    pub contents: Contents,
}

/// What a piece of the plan holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Contents {
    /// A slice with rows.
    Rows {
        /// Of which points; empty unless the plan cuts on columns.
        columns: Columns,
    },
    /// A slice without rows that is sent all the same.
    HeaderOnly {
        /// The columns of the slice before it.
        columns: Columns,
    },
    /// Slots without rows before later data: recorded and passed over.
    Empty,
}

/// Why nothing can be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// `always_export` over a long gap.
    #[error("always_export would send more than {EMPTY_SLICES_MAX} empty slots")]
    TooManyEmpty,
}

/// Cuts the window into slices and empty stretches: disjoint, in order, without holes up to the last one.
///
/// `occupied` is in order of time and within the window. Without `always_export` the empty slots at the
/// end stay out of the plan: they are open still.
pub fn plan(request: &PlanRequest<'_>, occupied: &[Occupied]) -> Result<Vec<Due>, PlanError> {
    if request.window.is_empty() {
        return Ok(Vec::new());
    }
    if request.breakup { broken_up(request, occupied) } else { Ok(unbroken(request, occupied)) }
}

fn broken_up(request: &PlanRequest<'_>, occupied: &[Occupied]) -> Result<Vec<Due>, PlanError> {
    let mut due = Vec::new();
    let mut at = request.window.start;
    let mut columns = request.columns_before.clone();
    let mut sent_empty = 0;
    let mut pass = |due: &mut Vec<Due>, gap: Window, columns: &Columns| {
        if gap.is_empty() {
            return Ok(());
        }
        if !request.always_export {
            due.push(Due { window: gap, contents: Contents::Empty });
            return Ok(());
        }
        for window in request.grid.slots(gap) {
            sent_empty += 1;
            if sent_empty > EMPTY_SLICES_MAX {
                return Err(PlanError::TooManyEmpty);
            }
            due.push(Due { window, contents: Contents::HeaderOnly { columns: columns.clone() } });
        }
        Ok(())
    };
    for slot in occupied {
        pass(&mut due, Window::new(at, slot.slot.start), &columns)?;
        let kept = if request.cut_on_columns { slot.columns.clone() } else { Columns::default() };
        due.push(Due { window: slot.slot, contents: Contents::Rows { columns: kept } });
        columns = slot.columns.clone();
        at = slot.slot.end;
    }
    if request.always_export {
        pass(&mut due, Window::new(at, request.window.end), &columns)?;
    }
    Ok(due)
}

fn unbroken(request: &PlanRequest<'_>, occupied: &[Occupied]) -> Vec<Due> {
    let mut due: Vec<Due> = Vec::new();
    let mut start = request.window.start;
    let differ = |a: &Occupied, b: &Occupied| request.cut_on_columns && a.columns != b.columns;
    for group in occupied.chunk_by(|a, b| !differ(a, b)) {
        // chunk_by gives no empty group.
        let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
        if let Some(before) = due.last_mut() {
            before.window.end = first.slot.start;
            start = first.slot.start;
        }
        let columns = if request.cut_on_columns { first.columns.clone() } else { Columns::default() };
        due.push(Due { window: Window::new(start, last.slot.end), contents: Contents::Rows { columns } });
    }
    if request.always_export {
        match due.last_mut() {
            Some(last) => last.window.end = request.window.end,
            None => due.push(Due {
                window: request.window,
                contents: Contents::HeaderOnly { columns: request.columns_before.clone() },
            }),
        }
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{TimeOfDay, Timestamp, Zone};
    use proptest::prelude::*;

    fn grid() -> Grid {
        Grid { zone: Zone::utc(), period: "15m".parse().unwrap(), synchronize_on: TimeOfDay::MIDNIGHT }
    }

    fn columns(names: &str) -> Columns {
        names.split_whitespace().map(|n| n.parse().unwrap()).collect()
    }

    fn quarter(n: i64) -> Timestamp {
        Timestamp::from_secs(n * 900)
    }

    /// Slots by number with their columns.
    fn occupied(slots: &[(i64, &str)]) -> Vec<Occupied> {
        let one = |&(n, names): &(i64, &str)| Occupied {
            slot: Window::new(quarter(n), quarter(n + 1)),
            columns: columns(names),
        };
        slots.iter().map(one).collect()
    }

    /// `0-1 a b` for rows, `1-3 .` for an empty stretch, `3-4 h a b` for a header.
    fn show(breakup: bool, always: bool, end: i64, slots: &[(i64, &str)]) -> String {
        let grid = grid();
        let request = PlanRequest {
            window: Window::new(quarter(0), quarter(end)),
            grid: &grid,
            breakup,
            always_export: always,
            cut_on_columns: true,
            columns_before: columns("z"),
        };
        let names = |c: &Columns| c.iter().map(|p| format!(" {p}")).collect::<String>();
        let one = |due: &Due| {
            let span = format!("{}-{}", due.window.start.secs() / 900, due.window.end.secs() / 900);
            match &due.contents {
                Contents::Rows { columns } => span + &names(columns),
                Contents::HeaderOnly { columns } => span + " h" + &names(columns),
                Contents::Empty => span + " .",
            }
        };
        plan(&request, &occupied(slots)).unwrap().iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn broken_up_passes_over_empty_slots_before_later_data() {
        assert_eq!(
            show(true, false, 9, &[(1, "a"), (2, "a b"), (5, "a")]),
            "0-1 ., 1-2 a, 2-3 a b, 3-5 ., 5-6 a"
        );
        assert_eq!(show(true, false, 9, &[]), "");
        assert_eq!(show(true, false, 0, &[]), "");
    }

    #[test]
    fn always_export_sends_every_empty_slot_with_the_columns_before_it() {
        assert_eq!(show(true, true, 4, &[(1, "a")]), "0-1 h z, 1-2 a, 2-3 h a, 3-4 h a");
        assert_eq!(show(false, true, 4, &[(1, "a")]), "0-4 a");
        assert_eq!(show(false, true, 4, &[]), "0-4 h z");
    }

    #[test]
    fn always_export_has_a_limit() {
        let grid = grid();
        let request = PlanRequest {
            window: Window::new(quarter(0), quarter(10_001)),
            grid: &grid,
            breakup: true,
            always_export: true,
            cut_on_columns: true,
            columns_before: columns(""),
        };
        assert_eq!(plan(&request, &[]), Err(PlanError::TooManyEmpty));
        assert_eq!(plan(&request, &occupied(&[(7, "a")])).unwrap().len(), 10_001);
    }

    #[test]
    fn unbroken_is_cut_only_where_the_columns_of_occupied_slots_change() {
        assert_eq!(show(false, false, 9, &[(1, "a"), (2, "a"), (5, "a")]), "0-6 a");
        assert_eq!(
            show(false, false, 9, &[(1, "a"), (4, "a b"), (6, "a b"), (7, "a")]),
            "0-4 a, 4-7 a b, 7-8 a"
        );
        assert_eq!(show(false, false, 9, &[]), "");
    }

    /// Plans up to each end in turn, the bookmark after each run where its last slice ends.
    fn in_runs(ends: &[i64], slots: &[(i64, &str)], breakup: bool) -> Vec<Window> {
        let (grid, mut bookmark, mut sent) = (grid(), quarter(0), Vec::new());
        for end in ends {
            let window = Window::new(bookmark, quarter(*end));
            let known: Vec<_> = occupied(slots)
                .into_iter()
                .filter(|o| o.slot.start >= bookmark && o.slot.end <= window.end)
                .collect();
            let request = PlanRequest {
                window,
                grid: &grid,
                breakup,
                always_export: false,
                cut_on_columns: true,
                columns_before: columns(""),
            };
            for piece in plan(&request, &known).unwrap() {
                if let Contents::Rows { .. } = piece.contents {
                    sent.push(piece.window);
                    bookmark = piece.window.end;
                }
            }
        }
        sent
    }

    proptest! {
        #[test]
        fn the_same_however_runs_are_split(
            taken in prop::collection::btree_map(0i64..60, prop::sample::select(vec!["a", "b", "a b"]), 0..40),
            ends in prop::collection::btree_set(1i64..60, 0..6),
            breakup: bool,
        ) {
            let slots: Vec<(i64, &str)> = taken.into_iter().collect();
            let mut ends: Vec<i64> = ends.into_iter().collect();
            ends.push(60);
            let (split, once) = (in_runs(&ends, &slots, breakup), in_runs(&[60], &slots, breakup));
            if breakup {
                // The very same slices.
                prop_assert_eq!(split, once);
            } else {
                // Unbroken windows end where runs end; each slot with rows is in one of them all the same.
                let within = |sent: &[Window], slot: Window| sent.iter().filter(|w| w.intersect(&slot) == slot).count();
                for slot in occupied(&slots) {
                    prop_assert_eq!((within(&split, slot.slot), within(&once, slot.slot)), (1, 1));
                }
                prop_assert!(split.windows(2).all(|pair| pair[0].end <= pair[1].start));
            }
        }

        #[test]
        fn covers_disjoint_and_ordered(
            taken in prop::collection::btree_map(0i64..60, prop::sample::select(vec!["a", "b", "a b"]), 0..40),
            breakup: bool,
            always: bool,
            cut: bool,
        ) {
            let slots: Vec<(i64, &str)> = taken.into_iter().collect();
            let occupied = occupied(&slots);
            let grid = grid();
            let window = Window::new(quarter(0), quarter(60));
            let request = PlanRequest { window, grid: &grid, breakup, always_export: always, cut_on_columns: cut, columns_before: columns("") };
            let due = plan(&request, &occupied).unwrap();
            let mut at = window.start;
            for piece in &due {
                prop_assert_eq!(piece.window.start, at);
                prop_assert!(!piece.window.is_empty());
                at = piece.window.end;
            }
            let expect_end = if always { window.end } else { occupied.last().map_or(window.start, |o| o.slot.end) };
            prop_assert_eq!(at, expect_end);
            let with_rows = |d: &&Due| matches!(d.contents, Contents::Rows { .. });
            for slot in &occupied {
                let in_pieces = due.iter().filter(with_rows).filter(|d| d.window.intersect(&slot.slot) == slot.slot);
                prop_assert_eq!(in_pieces.count(), 1);
            }
            for piece in due.iter().filter(with_rows) {
                prop_assert!(occupied.iter().any(|slot| piece.window.intersect(&slot.slot) == slot.slot));
            }
        }
    }
}

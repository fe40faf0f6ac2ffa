//! Which slots of a window hold rows: what the plan of slices needs to know of the log.

use crate::Snapshot;
use crate::error::StoreError;
use crate::read::sql_error;
use crate::rows::Names;
use ew_core::{Columns, Grid, Occupied, Point, Selection, Timestamp, Window};

/// Time and point of each row of a window, in order of time.
pub(crate) const TIMES: &str = "select time, point from sample where time >= ?1 and time < ?2 order by time";

impl Snapshot<'_> {
    /// The slots of the window that hold rows of the selection within `among`, each cut to the window, with the
    /// points of those rows.
    pub fn occupied(
        &self,
        grid: &Grid,
        window: Window,
        among: Window,
        selection: &Selection,
    ) -> Result<Vec<Occupied>, StoreError> {
        let sql = sql_error(self.path, "read samples");
        let names = self.names(selection)?;
        if names.sorted.is_empty() {
            return Ok(Vec::new());
        }
        let mut select = self.tx.prepare_cached(TIMES).map_err(&sql)?;
        let mut rows = select.query([among.start.micros(), among.end.micros()]).map_err(&sql)?;
        let mut found: Vec<Occupied> = Vec::new();
        let mut slot = Window::new(window.start, window.start);
        let mut seen = vec![false; names.sorted.len()];
        while let Some(row) = rows.next().map_err(&sql)? {
            let time = Timestamp::from_micros(row.get(0).map_err(&sql)?);
            let Some(name) = names.get(row.get(1).map_err(&sql)?) else { continue };
            if !slot.contains(time) {
                close(&mut found, slot, &mut seen, &names.sorted);
                slot = grid.slot(time).intersect(&window);
            }
            seen[name.rank] = true;
        }
        close(&mut found, slot, &mut seen, &names.sorted);
        Ok(found)
    }

    /// The same without the points: it reads no further in a slot than to its first row.
    pub fn occupied_slots(
        &self,
        grid: &Grid,
        window: Window,
        among: Window,
        selection: &Selection,
    ) -> Result<Vec<Occupied>, StoreError> {
        let names = self.names(selection)?;
        if names.sorted.is_empty() {
            return Ok(Vec::new());
        }
        let (mut found, mut from) = (Vec::new(), among.start);
        while let Some(time) = self.next_row(&names, Window::new(from, among.end))? {
            let slot = grid.slot(time).intersect(&window);
            found.push(Occupied { slot, columns: Columns::default() });
            // At the end of the calendar a slot may not advance.
            from = slot.end.max(time.plus_micros(1));
        }
        Ok(found)
    }

    /// The earliest row of these points in a window.
    fn next_row(&self, names: &Names, window: Window) -> Result<Option<Timestamp>, StoreError> {
        let sql = sql_error(self.path, "read samples");
        let mut select = self.tx.prepare_cached(TIMES).map_err(&sql)?;
        let mut rows = select.query([window.start.micros(), window.end.micros()]).map_err(&sql)?;
        while let Some(row) = rows.next().map_err(&sql)? {
            if names.get(row.get(1).map_err(&sql)?).is_some() {
                return Ok(Some(Timestamp::from_micros(row.get(0).map_err(&sql)?)));
            }
        }
        Ok(None)
    }
}

/// Ends a slot that holds rows; slots with the same columns share them.
fn close(found: &mut Vec<Occupied>, slot: Window, seen: &mut [bool], names: &[Point]) {
    if !seen.contains(&true) {
        return;
    }
    let columns: Columns =
        names.iter().zip(seen.iter()).filter(|(_, seen)| **seen).map(|(name, _)| name.clone()).collect();
    seen.fill(false);
    let shared = found.last().map(|last| last.columns.clone()).filter(|before| *before == columns);
    found.push(Occupied { slot, columns: shared.unwrap_or(columns) });
}

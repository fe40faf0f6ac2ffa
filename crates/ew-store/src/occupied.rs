//! Which slots of a window hold rows: what the plan of slices needs to know of the log.

use crate::Snapshot;
use crate::error::StoreError;
use crate::read::sql_error;
use crate::rows::Names;
use ew_core::{Columns, Grid, Occupied, Selection, Timestamp, Window};

/// Time and point of each row of a window, in order of time.
pub(crate) const TIMES: &str = "select time, point from sample where time >= ?1 and time < ?2 order by time";

impl Snapshot<'_> {
    /// The slots of the window that hold rows of the selection within `among`, each cut to the window, with the
    /// points of those rows where `with_points`. Of a slot it reads no more than that takes.
    pub fn occupied(
        &self,
        grid: &Grid,
        window: Window,
        among: Window,
        selection: &Selection,
        with_points: bool,
    ) -> Result<Vec<Occupied>, StoreError> {
        let (mut found, mut from) = (Vec::<Occupied>::new(), among.start);
        if among.is_empty() {
            return Ok(found);
        }
        let names = self.names(selection)?;
        if names.sorted.is_empty() {
            return Ok(found);
        }
        while let Some(time) = self.next_row(&names, Window::new(from, among.end))? {
            let slot = grid.slot(time).intersect(&window);
            let columns = match with_points {
                true => self.columns_of(&names, Window::new(time, slot.end.min(among.end)), None)?,
                false => Columns::default(),
            };
            // Slots with the same columns share them.
            let shared = found.last().map(|last| last.columns.clone()).filter(|before| *before == columns);
            found.push(Occupied { slot, columns: shared.unwrap_or(columns) });
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

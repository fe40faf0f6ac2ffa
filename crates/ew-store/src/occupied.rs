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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;
    use ew_core::{Point, Quality, Sample, TimeOfDay, Zone};
    use std::collections::{BTreeMap, BTreeSet};

    /// Silent points, empty slots, rows of others and a window cut in mid-slot: as all of its rows tell it.
    #[test]
    fn slots_have_the_points_of_all_their_rows() {
        let grid =
            Grid { zone: Zone::utc(), period: "15m".parse().unwrap(), synchronize_on: TimeOfDay::MIDNIGHT };
        let at = |minute: i64| Timestamp::from_secs(60 * minute);
        for seed in 0..20 {
            let mut random = fastrand::Rng::with_seed(seed);
            let dir = tempfile::tempdir().unwrap();
            let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
            let rows: BTreeSet<(i64, &str)> = (0..60)
                .map(|_| (random.i64(0..300), random.choice(["a.1", "a.2", "a.3", "b"]).unwrap()))
                .collect();
            let sample = |&(minute, name): &(i64, &str)| {
                Sample::new(at(minute), name.parse().unwrap(), Some(1.0), "W", Quality::Actual)
            };
            log.append(rows.iter().map(sample), false, at(300)).unwrap();
            let (from, to) = (random.i64(0..100), random.i64(100..300));
            let window = Window::new(at(from), at(to));
            let mut expect: BTreeMap<i64, BTreeSet<&str>> = BTreeMap::new();
            for (minute, name) in &rows {
                if (from..to).contains(minute) && name.starts_with('a') {
                    expect.entry(minute.div_euclid(15)).or_default().insert(name);
                }
            }
            let selection = Selection(vec!["a.*".parse().unwrap()]);
            let snapshot = log.snapshot().unwrap();
            for with_points in [true, false] {
                let found = snapshot.occupied(&grid, window, window, &selection, with_points).unwrap();
                let found: Vec<(Window, Vec<&str>)> = found
                    .iter()
                    .map(|one| (one.slot, one.columns.iter().map(Point::as_str).collect()))
                    .collect();
                let slot = |n: i64| Window::new(at(15 * n), at(15 * n + 15)).intersect(&window);
                let points = |names: &BTreeSet<&'static str>| match with_points {
                    true => names.iter().copied().collect(),
                    false => Vec::new(),
                };
                let expect: Vec<_> = expect.iter().map(|(n, names)| (slot(*n), points(names))).collect();
                assert_eq!(found, expect, "seed {seed}");
            }
        }
    }
}

//! The rows of a window one point after the other.

use crate::error::StoreError;
use crate::gather::Stored;
use crate::{Seqs, Snapshot};
use ew_core::{Row, RowOrder, Selection, Window};
use rusqlite::params;

impl Snapshot<'_> {
    /// Calls `each` with the rows of the window in an order; see [`Snapshot::for_each_row`].
    pub fn for_each_row_in<E: From<StoreError>>(
        &self,
        order: RowOrder,
        window: Window,
        selection: &Selection,
        seqs: Seqs,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        match order {
            RowOrder::ByTime => self.for_each_row(window, selection, seqs, each),
            RowOrder::ByPoint => self.for_each_row_by_point(window, selection, seqs, each),
        }
    }

    /// The log is kept by time, so SQLite sorts; what its cache (`pragma cache_size`, 2 MB) does not hold it puts
    /// into a temporary file.
    fn for_each_row_by_point<E: From<StoreError>>(
        &self,
        window: Window,
        selection: &Selection,
        seqs: Seqs,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = self.sql("read samples by point");
        let names = self.names(selection)?;
        let units = self.units()?;
        // With a cross join the rows of the window are read once, in their order in the file: SQLite would take
        // the points first to spare the sort, and the whole window for each of them.
        let mut select = self
            .tx
            .prepare_cached(
                "select s.time, s.point, s.value, s.unit, s.quality, s.seq
                 from sample s cross join point p on p.id = s.point
                 where s.time >= ?1 and s.time < ?2 and s.seq > ?3
                   and s.point in (select value from json_each(?4))
                 order by p.name, s.time",
            )
            .map_err(&sql)?;
        let mut rows = select
            .query(params![window.start.micros(), window.end.micros(), seqs.after, names.ids()])
            .map_err(&sql)?;
        while let Some(row) = rows.next().map_err(&sql)? {
            let stored = Stored::of(row).map_err(&sql)?;
            if let Some(held) = self.held(&stored, &names, units.len(), Some(seqs))? {
                each(held.row(&units))?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;
    use ew_core::{Quality, Sample, Timestamp};
    use std::convert::Infallible;

    type Rows = Vec<(String, i64, Option<f64>, Quality)>;

    fn rows(log: &Log, order: RowOrder, window: Window, points: &str, seqs: Seqs) -> Rows {
        let selection = Selection(vec![points.parse().unwrap()]);
        let mut rows = Vec::new();
        let mut each = |row: Row<'_>| {
            rows.push((row.point.to_owned(), row.time.secs(), row.value, row.quality));
            Ok::<(), StoreError>(())
        };
        log.snapshot().unwrap().for_each_row_in(order, window, &selection, seqs, &mut each).unwrap();
        rows
    }

    /// Ids are given in order of appearance, so that names have to be sorted; and `B` < `a` < `ä` byte-wise.
    #[test]
    fn the_same_rows_by_point() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let points = ["x.\u{e4}", "x.b", "x.B", "x.a", "y.a"];
        let sample = |n: i64, value: Option<f64>| {
            let quality = if value.is_some() { Quality::Actual } else { Quality::Missing };
            let point = points[(n % 5) as usize].parse().unwrap();
            Ok::<_, Infallible>(Sample::new(Timestamp::from_secs(n / 5), point, value, "W", quality).unwrap())
        };
        let first = (0..500).map(|n| sample(n, (n % 7 != 0).then_some(n as f64)));
        log.append(first, false, Timestamp::from_secs(1000)).unwrap();
        let later = (0..600).filter(|n| n % 11 == 0).map(|n| sample(n, Some(-(n as f64))));
        log.append(later, true, Timestamp::from_secs(1001)).unwrap();
        let last = log.snapshot().unwrap().last_seq().unwrap();

        let window = Window::new(Timestamp::from_secs(10), Timestamp::from_secs(110));
        for points in ["x.*", "**", "x.b", "z"] {
            for seqs in [Seqs::ALL, Seqs { after: 0, up_to: 500 }, Seqs { after: 500, up_to: last }] {
                let mut expected = rows(&log, RowOrder::ByTime, window, points, seqs);
                assert_eq!(expected.is_empty(), points == "z", "{points} {seqs:?}");
                expected.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
                assert_eq!(
                    rows(&log, RowOrder::ByPoint, window, points, seqs),
                    expected,
                    "{points} {seqs:?}"
                );
            }
        }
    }
}

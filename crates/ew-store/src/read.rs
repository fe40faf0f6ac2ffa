//! Reading samples: every query works on one snapshot.

use crate::append::quality;
use crate::error::StoreError;
use crate::rows::Names;
use ew_core::{Columns, Point, Quality, Selection, Span, Timestamp, Window};
use rusqlite::{Connection, OptionalExtension, Transaction, params};
use std::path::Path;

/// One consistent view of the log.
#[derive(Debug)]
pub struct Snapshot<'log> {
    pub(crate) tx: Transaction<'log>,
    pub(crate) path: &'log Path,
}

/// A point and what the log holds of it.
#[derive(Debug, Clone, PartialEq)]
pub struct PointInfo {
    /// Its name.
    pub point: Point,
    /// How many rows.
    pub rows: u64,
    /// The earliest row.
    pub first: Timestamp,
    /// The latest row.
    pub last: Timestamp,
    /// The unit of the latest row.
    pub unit: String,
}

/// A stretch of time without any row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The last row before it.
    pub from: Timestamp,
    /// The first row after it.
    pub to: Timestamp,
}

/// What the log holds in all.
#[derive(Debug, Clone, PartialEq)]
pub struct Stats {
    /// Rows.
    pub rows: u64,
    /// Points with at least one row.
    pub points: u64,
    /// The earliest and the latest row.
    pub bounds: Option<(Timestamp, Timestamp)>,
    /// Size of the database, bytes, without its write-ahead log.
    pub bytes: u64,
    /// How many stretches without any row are longer than asked.
    pub gaps: u64,
    /// The longest of them, at most [`GAPS_LISTED_MAX`], longest first.
    pub longest_gaps: Vec<Gap>,
}

/// How many rows tell how dense they are.
const ROWS_TRIED: u32 = 1024;

/// How many gaps [`Stats`] names.
pub const GAPS_LISTED_MAX: usize = 10;

/// The last total of a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Total {
    /// When it was polled.
    pub time: Timestamp,
    /// Watts; none where no switch answered.
    pub value: Option<f64>,
    /// How good it is.
    pub quality: Quality,
    /// Switches asked.
    pub expected: Option<u32>,
    /// Switches that answered.
    pub answered: Option<u32>,
    /// The importance asked for.
    pub importance: Option<u32>,
}

/// What the samples of a log are made of: commits that add and correct, and trims that take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    last_seq: i64,
    last_trim: Option<i64>,
}

/// Time and point of each row from a time on.
const FROM: &str = "select time, point from sample where time >= ?1 order by time";

/// Which commits a reader sees: those with `after < seq <= up_to`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seqs {
    /// Nothing that was there when this was the highest seq.
    pub after: i64,
    /// Nothing that came after this.
    pub up_to: i64,
}

impl Seqs {
    /// The log as it is.
    pub const ALL: Seqs = Seqs { after: 0, up_to: i64::MAX };
}

impl<'log> Snapshot<'log> {
    pub(crate) fn begin(conn: &'log Connection, path: &'log Path) -> Result<Snapshot<'log>, StoreError> {
        let sql = |source| StoreError::Sql { doing: "begin to read", path: path.to_owned(), source };
        let tx = conn.unchecked_transaction().map_err(sql)?;
        let snapshot = Snapshot { tx, path };
        // A deferred transaction takes its view at the first read.
        snapshot.last_seq()?;
        Ok(snapshot)
    }

    pub(crate) fn sql(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        sql_error(self.path, doing)
    }

    pub(crate) fn unreadable(&self, what: String) -> StoreError {
        StoreError::Unreadable { path: self.path.to_owned(), what }
    }

    /// The highest seq given so far.
    pub fn last_seq(&self) -> Result<i64, StoreError> {
        self.tx
            .query_row("select last_seq from state", [], |row| row.get(0))
            .map_err(self.sql("read the last seq"))
    }

    /// Which state of the log this is, for telling whether another snapshot sees the same.
    pub fn state(&self) -> Result<State, StoreError> {
        self.tx
            .query_row("select last_seq, (select max(id) from trim) from state", [], |row| {
                Ok(State { last_seq: row.get(0)?, last_trim: row.get(1)? })
            })
            .map_err(self.sql("read the last seq"))
    }

    /// Whether the window seems to hold more rows than so many, whatever their points, by how far its first ones reach.
    pub fn may_have_more_rows_than(&self, rows: u32, window: Window) -> Result<bool, StoreError> {
        let last: Option<i64> = self
            .tx
            .prepare_cached(
                "select time from sample where time >= ?1 and time < ?2 order by time limit 1 offset ?3",
            )
            .and_then(|mut select| {
                select
                    .query_row(params![window.start.micros(), window.end.micros(), ROWS_TRIED - 1], |row| {
                        row.get(0)
                    })
                    .optional()
            })
            .map_err(self.sql("count samples"))?;
        let Some(last) = last else { return Ok(false) };
        let of_these = i128::from(last) - i128::from(window.start.micros()) + 1;
        let of_all = i128::from(window.end.micros()) - i128::from(window.start.micros());
        Ok(i128::from(ROWS_TRIED) * of_all > i128::from(rows) * of_these)
    }

    /// The points of the selection that have a row in the window, as the log was when `seqs.up_to` was the
    /// highest seq, in order of their names.
    pub fn columns(&self, window: Window, selection: &Selection, seqs: Seqs) -> Result<Columns, StoreError> {
        self.columns_of(&self.names(selection)?, window, self.needed(seqs, window)?)
    }

    /// The same of names that were read, looking at commits only where they are needed.
    pub(crate) fn columns_of(
        &self,
        names: &Names,
        window: Window,
        needed: Option<Seqs>,
    ) -> Result<Columns, StoreError> {
        let sql = self.sql("read samples");
        let mut seen = vec![false; names.sorted.len()];
        let mut unseen = seen.len();
        let (start, end) = (window.start.micros(), window.end.micros());
        let mut select = self
            .tx
            .prepare_cached(match needed {
                None => "select point from sample where time >= ?1 and time < ?2",
                Some(_) => {
                    "select point from sample s where time >= ?1 and time < ?2 and seq > ?3
                     and (seq <= ?4 or exists (select 1 from correction c where c.time = s.time
                         and c.point = s.point and c.seq > ?3 and c.seq <= ?4))"
                }
            })
            .map_err(&sql)?;
        let mut rows = match needed {
            None => select.query([start, end]),
            Some(seqs) => select.query([start, end, seqs.after, seqs.up_to]),
        }
        .map_err(&sql)?;
        // Mostly the first rows are of all of them.
        while unseen > 0
            && let Some(row) = rows.next().map_err(&sql)?
        {
            if let Some(name) = names.get(row.get(0).map_err(&sql)?)
                && !std::mem::replace(&mut seen[name.rank], true)
            {
                unseen -= 1;
            }
        }
        Ok(names.sorted.iter().zip(seen).filter(|(_, seen)| *seen).map(|(name, _)| name.clone()).collect())
    }

    /// The earliest row of the selection at or after a time.
    pub fn first_row(
        &self,
        since: Timestamp,
        selection: &Selection,
    ) -> Result<Option<Timestamp>, StoreError> {
        self.edge(FROM, since, selection)
    }

    /// The latest row of the selection.
    pub fn last_row(&self, selection: &Selection) -> Result<Option<Timestamp>, StoreError> {
        self.edge(
            "select time, point from sample where time <= ?1 order by time desc",
            Timestamp::MAX,
            selection,
        )
    }

    fn edge(
        &self,
        query: &str,
        bound: Timestamp,
        selection: &Selection,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = self.sql("read samples");
        let names = self.names(selection)?;
        if names.sorted.is_empty() {
            return Ok(None);
        }
        let mut select = self.tx.prepare_cached(query).map_err(&sql)?;
        let mut rows = select.query([bound.micros()]).map_err(&sql)?;
        while let Some(row) = rows.next().map_err(&sql)? {
            if names.get(row.get(1).map_err(&sql)?).is_some() {
                return Ok(Some(Timestamp::from_micros(row.get(0).map_err(&sql)?)));
            }
        }
        Ok(None)
    }

    /// The points of the selection that have a row, in order of their names.
    pub fn points(&self, selection: &Selection) -> Result<Vec<PointInfo>, StoreError> {
        let sql = self.sql("list points");
        let mut select = self
            .tx
            .prepare_cached(
                "select p.name, g.rows, g.first, g.last, u.name
                 from (select point, count(*) as rows, min(time) as first, max(time) as last
                       from sample group by point) g
                 join point p on p.id = g.point
                 join sample s on s.time = g.last and s.point = g.point
                 join unit u on u.id = s.unit
                 order by p.name",
            )
            .map_err(&sql)?;
        let mut rows = select.query([]).map_err(&sql)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(&sql)? {
            let name: String = row.get(0).map_err(&sql)?;
            if !selection.matches(&name) {
                continue;
            }
            found.push(PointInfo {
                point: name.parse().map_err(|e| self.unreadable(e))?,
                rows: row.get(1).map_err(&sql)?,
                first: Timestamp::from_micros(row.get(2).map_err(&sql)?),
                last: Timestamp::from_micros(row.get(3).map_err(&sql)?),
                unit: row.get(4).map_err(&sql)?,
            });
        }
        Ok(found)
    }

    /// What the log holds in all; a gap is a stretch without any row longer than `gap`.
    pub fn stats(&self, gap: Span) -> Result<Stats, StoreError> {
        let sql = self.sql("count samples");
        let (rows, points) = self
            .tx
            .query_row("select count(*), count(distinct point) from sample", [], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
            })
            .map_err(&sql)?;
        let bytes = self
            .tx
            .query_row("select page_count * page_size from pragma_page_count, pragma_page_size", [], |row| {
                row.get(0)
            })
            .map_err(&sql)?;
        let mut select = self.tx.prepare_cached("select time from sample order by time").map_err(&sql)?;
        let mut times = select.query([]).map_err(&sql)?;
        let mut bounds: Option<(Timestamp, Timestamp)> = None;
        let (mut gaps, mut longest) = (0, Vec::new());
        while let Some(row) = times.next().map_err(&sql)? {
            let time = Timestamp::from_micros(row.get(0).map_err(&sql)?);
            let (first, last) = bounds.unwrap_or((time, time));
            if time.micros() - last.micros() > gap.micros() {
                gaps += 1;
                longest.push(Gap { from: last, to: time });
                longest.sort_by_key(|gap: &Gap| gap.from.micros() - gap.to.micros());
                longest.truncate(GAPS_LISTED_MAX);
            }
            bounds = Some((first, time));
        }
        Ok(Stats { rows, points, bounds, bytes, gaps, longest_gaps: longest })
    }

    /// The last total of a domain later than `after`, be it in the future.
    pub fn last_total(&self, point: &str, after: Timestamp) -> Result<Option<Total>, StoreError> {
        let sql = "select s.time, s.value, s.quality, d.expected, d.answered, d.importance
                   from sample s left join poll_detail d on d.time = s.time and d.point = s.point
                   where s.time > ?2 and s.point = (select id from point where name = ?1)
                   order by s.time desc limit 1";
        self.total(sql, params![point, after.micros()])
    }

    /// The last total of a domain that was polled with an importance, later than `after` and not later than `now`; a null
    /// counts. With `is_doubtful`, `now` is what a clock says that may have gone back: then a total does not count where
    /// the log took later times than `now` after it.
    pub fn last_poll(
        &self,
        point: &str,
        (after, now): (Timestamp, Timestamp),
        importance: u32,
        is_doubtful: bool,
    ) -> Result<Option<Total>, StoreError> {
        let sql = "select s.time, s.value, s.quality, d.expected, d.answered, d.importance
                   from poll_detail d join sample s on s.time = d.time and s.point = d.point
                   where d.time > ?2 and d.time <= ?3 and d.point = (select id from point where name = ?1)
                     and d.importance = ?4
                     and not (?5 and exists (select 1 from batch where last_seq > s.seq and time_max > ?3))
                   order by d.time desc limit 1";
        self.total(sql, params![point, after.micros(), now.micros(), importance, is_doubtful])
    }

    fn total(&self, select: &str, params: impl rusqlite::Params) -> Result<Option<Total>, StoreError> {
        let sql = self.sql("read the last total");
        let found = self
            .tx
            .prepare_cached(select)
            .map_err(&sql)?
            .query_row(params, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get::<_, i64>(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            })
            .optional()
            .map_err(&sql)?;
        let Some((time, value, number, expected, answered, importance)) = found else { return Ok(None) };
        let quality = quality(number).ok_or_else(|| self.unreadable(format!("the quality {number}")))?;
        let time = Timestamp::from_micros(time);
        Ok(Some(Total { time, value, quality, expected, answered, importance }))
    }
}

/// Wraps what SQLite says.
pub(crate) fn sql_error(path: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Sql { doing, path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;
    use crate::occupied::TIMES;
    use ew_core::{Grid, Sample, TimeOfDay, Zone};
    use rusqlite::StatementStatus;

    /// The points of a job may be misspelt, or come next year: it costs the same on a log of any size.
    #[test]
    fn a_selection_that_no_point_matches_reads_no_row() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let at = |n: i64| Timestamp::from_secs(60 * n);
        let rows =
            (0..2000).map(|n| Sample::new(at(n), "a".parse().unwrap(), Some(1.0), "W", Quality::Actual));
        log.append(rows, false, at(2000)).unwrap();
        let snapshot = log.snapshot().unwrap();
        let steps = |query| snapshot.tx.prepare_cached(query).unwrap().get_status(StatementStatus::VmStep);
        let (all, grid) = (
            Window::new(at(0), at(2000)),
            Grid { zone: Zone::utc(), period: "15m".parse().unwrap(), synchronize_on: TimeOfDay::MIDNIGHT },
        );
        for (glob, expected) in [("b", false), ("a", true)] {
            let selection = Selection(vec![glob.parse().unwrap()]);
            assert_eq!(snapshot.first_row(at(0), &selection).unwrap().is_some(), expected);
            for with_points in [false, true] {
                let occupied = snapshot.occupied(&grid, all, all, &selection, with_points).unwrap();
                assert_eq!(occupied.is_empty(), !expected);
            }
            // That it is these statements which read shows where there is something to read.
            assert_eq!((steps(FROM) > 0, steps(TIMES) > 0), (expected, expected), "{glob}");
        }
    }
}

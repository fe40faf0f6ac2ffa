//! Reading samples: every query works on one snapshot.

use crate::append::quality;
use crate::error::StoreError;
use ew_core::{Columns, Point, Quality, Row, Selection, Span, Timestamp, Window};
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

/// The highest id of a point or a unit.
const ID_MAX: usize = 10_000_000;

/// The names of points, by id, with their place in byte-wise order.
pub(crate) struct Names {
    /// Index is the id; none for an id that is not selected.
    by_id: Vec<Option<Name>>,
    /// The selected names in order.
    pub(crate) sorted: Vec<Point>,
}

#[derive(Clone)]
pub(crate) struct Name {
    text: Box<str>,
    /// Its place among the sorted names.
    pub(crate) rank: usize,
}

/// A row that was read and not yet handed on.
pub(crate) struct Held<'n> {
    time: Timestamp,
    name: &'n Name,
    value: Option<f64>,
    unit: usize,
    quality: Quality,
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

    /// Calls `each` with the rows of the window in order of (time, point name), as the log was when
    /// `seqs.up_to` was the highest seq.
    pub fn for_each_row<E: From<StoreError>>(
        &self,
        window: Window,
        selection: &Selection,
        seqs: Seqs,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let sql = self.sql("read samples");
        let names = self.names(selection)?;
        let units = self.units()?;
        let mut select = self
            .tx
            .prepare_cached(
                "select time, point, value, unit, quality, seq from sample
                 where time >= ?1 and time < ?2 order by time",
            )
            .map_err(&sql)?;
        let mut rows = select.query(params![window.start.micros(), window.end.micros()]).map_err(&sql)?;
        let seqs = self.needed(seqs, window)?;
        let mut group: Vec<Held<'_>> = Vec::new();
        let mut group_time = window.start;
        while let Some(row) = rows.next().map_err(&sql)? {
            let Some(held) = self.held(row, &names, units.len(), seqs)? else { continue };
            if held.time != group_time {
                flush(&mut group, &units, each)?;
                group_time = held.time;
            }
            group.push(held);
        }
        flush(&mut group, &units, each)
    }

    /// The seqs that rows of the window have to be held against; none where all of its rows are among them, as they are
    /// but for late ones. A trim takes commits away whose rows may have stayed.
    fn needed(&self, seqs: Seqs, window: Window) -> Result<Option<Seqs>, StoreError> {
        let sql = self.sql("read commits");
        if seqs.after > 0 {
            return Ok(Some(seqs));
        }
        let came_later: bool = self
            .tx
            .prepare_cached(
                "select exists (select 1 from batch where last_seq > ?1 and time_max >= ?2 and time_min < ?3)
                     or exists (select 1 from trim where before_time > ?2)",
            )
            .map_err(&sql)?
            .query_row(params![seqs.up_to, window.start.micros(), window.end.micros()], |row| row.get(0))
            .map_err(&sql)?;
        Ok(came_later.then_some(seqs))
    }

    /// A row of `select time, point, value, unit, quality, seq from sample`, as it was among those commits; none
    /// where it was not, or is of no selected point.
    pub(crate) fn held<'n>(
        &self,
        row: &rusqlite::Row<'_>,
        names: &'n Names,
        units: usize,
        seqs: Option<Seqs>,
    ) -> Result<Option<Held<'n>>, StoreError> {
        let sql = |source| StoreError::Sql { doing: "read samples", path: self.path.to_owned(), source };
        let point: i64 = row.get(1).map_err(sql)?;
        let Some(name) = names.get(point) else { return Ok(None) };
        let time = Timestamp::from_micros(row.get(0).map_err(sql)?);
        let mut kept: (Option<f64>, i64, i64) =
            (row.get(2).map_err(sql)?, row.get(3).map_err(sql)?, row.get(4).map_err(sql)?);
        if let Some(seqs) = seqs {
            let seq: i64 = row.get(5).map_err(sql)?;
            if seq <= seqs.after {
                return Ok(None);
            }
            if seq > seqs.up_to {
                match self.before(time, point, seqs)? {
                    Some(old) => kept = old,
                    None => return Ok(None),
                }
            }
        }
        let quality = quality(kept.2).ok_or_else(|| self.unreadable(format!("the quality {}", kept.2)))?;
        let unit = usize::try_from(kept.1)
            .ok()
            .filter(|id| *id < units)
            .ok_or_else(|| self.unreadable(format!("the unit {}", kept.1)))?;
        Ok(Some(Held { time, name, value: kept.0, unit, quality }))
    }

    /// What a sample was when `up_to` was the highest seq, if it was there and came after `after`.
    pub(crate) fn before(
        &self,
        time: Timestamp,
        point: i64,
        seqs: Seqs,
    ) -> Result<Option<(Option<f64>, i64, i64)>, StoreError> {
        let sql = self.sql("read corrections");
        self.tx
            .prepare_cached(
                "select value, unit, quality from correction
                 where time = ?1 and point = ?2 and seq <= ?3 and seq > ?4 order by seq desc limit 1",
            )
            .map_err(&sql)?
            .query_row(params![time.micros(), point, seqs.up_to, seqs.after], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .optional()
            .map_err(&sql)
    }

    /// The points of the selection that have a row in the window, as the log was when `seqs.up_to` was the
    /// highest seq, in order of their names.
    pub fn columns(&self, window: Window, selection: &Selection, seqs: Seqs) -> Result<Columns, StoreError> {
        let sql = self.sql("read samples");
        let names = self.names(selection)?;
        let mut seen = vec![false; names.sorted.len()];
        let mut select = self
            .tx
            .prepare_cached(
                "select distinct point from sample s where time >= ?1 and time < ?2 and seq > ?3
                 and (seq <= ?4 or exists (select 1 from correction c where c.time = s.time
                     and c.point = s.point and c.seq > ?3 and c.seq <= ?4))",
            )
            .map_err(&sql)?;
        let bounds = params![window.start.micros(), window.end.micros(), seqs.after, seqs.up_to];
        let mut rows = select.query(bounds).map_err(&sql)?;
        while let Some(row) = rows.next().map_err(&sql)? {
            if let Some(name) = names.get(row.get(0).map_err(&sql)?) {
                seen[name.rank] = true;
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
        self.edge("select time, point from sample where time >= ?1 order by time", since, selection)
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

    pub(crate) fn names(&self, selection: &Selection) -> Result<Names, StoreError> {
        let sql = self.sql("read point names");
        let mut select = self.tx.prepare_cached("select id, name from point order by name").map_err(&sql)?;
        let mut rows = select.query([]).map_err(&sql)?;
        let mut names = Names { by_id: Vec::new(), sorted: Vec::new() };
        while let Some(row) = rows.next().map_err(&sql)? {
            let id: usize = row.get(0).map_err(&sql)?;
            let name: String = row.get(1).map_err(&sql)?;
            if !selection.matches(&name) {
                continue;
            }
            self.plausible(id)?;
            if names.by_id.len() <= id {
                names.by_id.resize(id + 1, None);
            }
            names.by_id[id] = Some(Name { text: name.as_str().into(), rank: names.sorted.len() });
            names.sorted.push(name.parse().map_err(|e| self.unreadable(e))?);
        }
        Ok(names)
    }

    /// Ids count from one, so a huge one is damage, and no reason to ask for as much memory.
    fn plausible(&self, id: usize) -> Result<(), StoreError> {
        match id > ID_MAX {
            true => Err(self.unreadable(format!("the id {id} of a name"))),
            false => Ok(()),
        }
    }

    /// Unit names by id.
    pub(crate) fn units(&self) -> Result<Vec<String>, StoreError> {
        let sql = self.sql("read units");
        let mut select = self.tx.prepare_cached("select id, name from unit").map_err(&sql)?;
        let mut rows = select.query([]).map_err(&sql)?;
        let mut units = Vec::new();
        while let Some(row) = rows.next().map_err(&sql)? {
            let id: usize = row.get(0).map_err(&sql)?;
            self.plausible(id)?;
            if units.len() <= id {
                units.resize(id + 1, String::new());
            }
            units[id] = row.get(1).map_err(&sql)?;
        }
        Ok(units)
    }
}

impl Names {
    /// The selected ids as a JSON array, for SQLite's `json_each`.
    pub(crate) fn ids(&self) -> String {
        let selected = self.by_id.iter().enumerate().filter(|(_, name)| name.is_some());
        let ids: Vec<String> = selected.map(|(id, _)| id.to_string()).collect();
        format!("[{}]", ids.join(","))
    }

    pub(crate) fn get(&self, id: i64) -> Option<&Name> {
        self.by_id.get(usize::try_from(id).ok()?)?.as_ref()
    }
}

/// Wraps what SQLite says.
pub(crate) fn sql_error(path: &Path, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::Sql { doing, path: path.clone(), source }
}

impl Held<'_> {
    /// To be handed on, with the unit names by id.
    pub(crate) fn row<'a>(&'a self, units: &'a [String]) -> Row<'a> {
        let unit = units.get(self.unit).map_or("", String::as_str);
        Row { time: self.time, point: &self.name.text, value: self.value, unit, quality: self.quality }
    }
}

/// Hands on the rows of one timestamp in order of their points and empties the buffer.
fn flush<E>(
    group: &mut Vec<Held<'_>>,
    units: &[String],
    each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
) -> Result<(), E> {
    // The ids of points, which is the order of the log, mostly are in the order of their names too.
    if !group.is_sorted_by_key(|held| held.name.rank) {
        group.sort_unstable_by_key(|held| held.name.rank);
    }
    for held in group.drain(..) {
        each(held.row(units))?;
    }
    Ok(())
}

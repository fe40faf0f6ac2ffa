//! The rows of a window in order of their time, as the log was at a seq.

use crate::append::quality;
use crate::error::StoreError;
use crate::gather::{self, Stored};
use crate::{Seqs, Snapshot};
use ew_core::{Point, Quality, Row, Selection, Timestamp, Window};
use rusqlite::{OptionalExtension, params};

/// The highest id of a point or a unit.
const ID_MAX: usize = 10_000_000;

/// The names of points, by id, with their place in byte-wise order.
pub(crate) struct Names {
    /// Index is the id; none for an id that is not selected.
    by_id: Vec<Option<Name>>,
    /// The selected names in order.
    pub(crate) sorted: Vec<Point>,
    /// Whether the order of their ids, which is that of the rows of one time in the log, is that of the names too.
    are_in_order_of_ids: bool,
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

/// What is read once to read rows of one stretch of time after the other.
pub struct Reader<'s> {
    snapshot: &'s Snapshot<'s>,
    names: Names,
    units: Vec<String>,
}

impl Reader<'_> {
    /// Calls `each` with the rows of the window in order of (time, point name), as the log was when
    /// `seqs.up_to` was the highest seq.
    pub fn for_each_row<E: From<StoreError>>(
        &self,
        window: Window,
        seqs: Seqs,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Reader { snapshot, names, units } = self;
        let sql = snapshot.sql("read samples");
        let seqs = snapshot.needed(seqs, window)?;
        let query = if seqs.is_none() { gather::FROM } else { gather::FROM_WITH_SEQ };
        let mut select = snapshot.tx.prepare_cached(query).map_err(&sql)?;
        let mut rows = select.query([window.start.micros()]).map_err(&sql)?;
        let (mut gathered, mut may_more_come) = (Vec::new(), true);
        let mut group: Vec<Held<'_>> = Vec::new();
        let mut group_time = window.start;
        while may_more_come {
            may_more_come = gather::next(&mut gathered, &mut rows, window.end).map_err(&sql)?;
            for stored in &gathered {
                let Some(held) = snapshot.held(stored, names, units.len(), seqs)? else { continue };
                if names.are_in_order_of_ids {
                    each(held.row(units))?;
                    continue;
                }
                if held.time != group_time {
                    flush(&mut group, units, each)?;
                    group_time = held.time;
                }
                group.push(held);
            }
        }
        flush(&mut group, units, each)
    }
}

impl Snapshot<'_> {
    /// For rows of a selection.
    pub fn reader(&self, selection: &Selection) -> Result<Reader<'_>, StoreError> {
        Ok(Reader { snapshot: self, names: self.names(selection)?, units: self.units()? })
    }

    /// Calls `each` with the rows of one window; see [`Reader::for_each_row`].
    pub fn for_each_row<E: From<StoreError>>(
        &self,
        window: Window,
        selection: &Selection,
        seqs: Seqs,
        each: &mut dyn FnMut(Row<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.reader(selection)?.for_each_row(window, seqs, each)
    }

    /// The seqs that rows of the window have to be held against; none where all of its rows are among them, as they are
    /// but for late ones. A trim takes commits away whose rows may have stayed.
    pub(crate) fn needed(&self, seqs: Seqs, window: Window) -> Result<Option<Seqs>, StoreError> {
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

    /// A row as it was among those commits; none where it was not, or is of no selected point. Without commits its seq
    /// is not looked at.
    pub(crate) fn held<'n>(
        &self,
        stored: &Stored,
        names: &'n Names,
        units: usize,
        seqs: Option<Seqs>,
    ) -> Result<Option<Held<'n>>, StoreError> {
        let Stored { point, value, unit, quality: number, seq, .. } = *stored;
        let time = Timestamp::from_micros(stored.time);
        let Some(name) = names.get(point) else { return Ok(None) };
        let mut kept = (value, unit, number);
        if let Some(seqs) = seqs {
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

    pub(crate) fn names(&self, selection: &Selection) -> Result<Names, StoreError> {
        let sql = self.sql("read point names");
        let mut select = self.tx.prepare_cached("select id, name from point order by name").map_err(&sql)?;
        let mut rows = select.query([]).map_err(&sql)?;
        let mut names = Names { by_id: Vec::new(), sorted: Vec::new(), are_in_order_of_ids: true };
        while let Some(row) = rows.next().map_err(&sql)? {
            let id: usize = row.get(0).map_err(&sql)?;
            let name: String = row.get(1).map_err(&sql)?;
            if !selection.matches(&name) {
                continue;
            }
            self.plausible(id)?;
            // The names come in order, so that an id that is not the highest yet is out of it.
            names.are_in_order_of_ids &= names.by_id.len() <= id;
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
    group.sort_unstable_by_key(|held| held.name.rank);
    for held in group.drain(..) {
        each(held.row(units))?;
    }
    Ok(())
}

//! Many rows at a step. SQLite calls a function of ours with the columns of each row, which holds the row back until there
//! are enough of them: asked for one by one, the columns of a row cost more than SQLite takes to find it
//! (docs/performance.md has the figures).

use ew_core::Timestamp;
use rusqlite::functions::{Context, FunctionFlags};
use rusqlite::{Connection, Row, Rows};
use std::cell::RefCell;

/// How many rows are handed over at once.
const ROWS: usize = 1024;

/// Every row from a time on, in order of time. SQLite calls a function of a condition once for each row, in the order in
/// which it reads them, and here that is the order of the result. The end of a window is looked for by the function:
/// SQLite would compare the key of every row with it.
pub(crate) const FROM: &str =
    "select 1 from sample where time >= ?1 and gather(time, point, value, unit, quality) order by time";

/// The same with the seq of each row; SQLite does not look at a column that is not asked for.
pub(crate) const FROM_WITH_SEQ: &str =
    "select 1 from sample where time >= ?1 and gather(time, point, value, unit, quality, seq) order by time";

/// A row of the log as it is stored.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stored {
    /// Microseconds since 1970.
    pub(crate) time: i64,
    pub(crate) point: i64,
    pub(crate) value: Option<f64>,
    pub(crate) unit: i64,
    pub(crate) quality: i64,
    /// Zero where it was not asked for.
    pub(crate) seq: i64,
}

impl Stored {
    /// A row of `select time, point, value, unit, quality, seq`.
    pub(crate) fn of(row: &Row<'_>) -> rusqlite::Result<Stored> {
        Ok(Stored {
            time: row.get(0)?,
            point: row.get(1)?,
            value: row.get(2)?,
            unit: row.get(3)?,
            quality: row.get(4)?,
            seq: row.get(5)?,
        })
    }
}

/// What a statement gathers while it steps.
struct Gathered {
    rows: Vec<Stored>,
    /// Rows from here on are not wanted, and the reading ends with the first of them.
    end: i64,
    is_over: bool,
}

thread_local! {
    // SQLite calls the function on the thread that steps, so this is how the two speak. Between steps it is empty.
    static GATHERED: RefCell<Gathered> =
        const { RefCell::new(Gathered { rows: Vec::new(), end: i64::MIN, is_over: false }) };
}

/// Makes `gather` known to a connection.
pub(crate) fn register(conn: &Connection) -> rusqlite::Result<()> {
    conn.create_scalar_function("gather", -1, FunctionFlags::SQLITE_DIRECTONLY, gather)
}

/// Takes a row; true where the statement is to hand over what was gathered.
fn gather(columns: &Context<'_>) -> rusqlite::Result<bool> {
    let row = Stored {
        time: columns.get(0)?,
        point: columns.get(1)?,
        value: columns.get(2)?,
        unit: columns.get(3)?,
        quality: columns.get(4)?,
        seq: if columns.len() > 5 { columns.get(5)? } else { 0 },
    };
    Ok(GATHERED.with_borrow_mut(|gathered| {
        if row.time >= gathered.end {
            gathered.is_over = true;
            return true;
        }
        gathered.rows.push(row);
        gathered.rows.len() >= ROWS
    }))
}

/// Puts the next rows before `end` of [`FROM`] or [`FROM_WITH_SEQ`] in the place of those that were handed over before.
/// Whether more may come.
pub(crate) fn next(found: &mut Vec<Stored>, rows: &mut Rows<'_>, end: Timestamp) -> rusqlite::Result<bool> {
    found.clear();
    GATHERED.with_borrow_mut(|gathered| {
        std::mem::swap(&mut gathered.rows, found);
        (gathered.end, gathered.is_over) = (end.micros(), false);
    });
    let stepped = rows.next().map(|row| row.is_some());
    let is_over = GATHERED.with_borrow_mut(|gathered| {
        std::mem::swap(&mut gathered.rows, found);
        gathered.is_over
    });
    Ok(stepped? && !is_over)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;
    use ew_core::{Quality, Sample};

    /// As many as are handed over at once, a rest, and none at all; the end of the window within them and at their end.
    #[test]
    fn each_row_before_the_end_comes_once_and_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let all = 3 * ROWS as i64 + 7;
        let at = |n: i64| Timestamp::from_micros(n);
        let sample = |n| Sample::new(at(n), "a".parse().unwrap(), Some(n as f64), "W", Quality::Actual);
        log.append((0..all).map(sample), false, at(all)).unwrap();
        let snapshot = log.snapshot().unwrap();
        let read = |query: &str, from: i64, end: i64| {
            let mut select = snapshot.tx.prepare(query).unwrap();
            let (mut rows, mut some, mut found) = (select.query([from]).unwrap(), Vec::new(), Vec::new());
            loop {
                let may_more_come = next(&mut some, &mut rows, at(end)).unwrap();
                assert!(some.len() <= ROWS && (some.len() == ROWS || !may_more_come));
                found.extend(some.iter().map(|row| (row.time, row.value, row.seq)));
                if !may_more_come {
                    return found;
                }
            }
        };
        let rows = ROWS as i64;
        for (from, end) in
            [(0, all), (0, i64::MAX), (5, 5 + rows), (5, 4 + rows), (0, 2 * rows + 1), (9, 9), (all, all)]
        {
            for (query, has_seq) in [(FROM, false), (FROM_WITH_SEQ, true)] {
                let seq = |n: i64| if has_seq { n + 1 } else { 0 };
                let expect: Vec<_> = (from..end.min(all)).map(|n| (n, Some(n as f64), seq(n))).collect();
                assert_eq!(read(query, from, end), expect, "{from} {end}");
            }
        }
    }

    /// A statement that is left in the middle, or fails, leaves nothing for the next one.
    #[test]
    fn nothing_is_left_of_a_statement_that_ended_early() {
        let dir = tempfile::tempdir().unwrap();
        let log = Log::open(&dir.path().join("ew.db")).unwrap();
        let snapshot = log.snapshot().unwrap();
        let mut some = Vec::new();
        let bad = "select 1 from (select 1 as n union all select 'x') where gather(n, 0, null, 0, 0)";
        let mut select = snapshot.tx.prepare(bad).unwrap();
        let end = Timestamp::MAX;
        assert!(next(&mut some, &mut select.query([]).unwrap(), end).is_err());
        let mut select = snapshot.tx.prepare(FROM).unwrap();
        assert!(!next(&mut some, &mut select.query([0]).unwrap(), end).unwrap());
        assert!(some.is_empty());
    }
}

//! Appending samples: all or nothing, idempotent.

use crate::clock;
use crate::device;
use crate::error::StoreError;
use crate::log::Log;
use crate::read::sql_error;
use ew_core::{ClockReading, Point, Quality, Sample, Timestamp};
use rusqlite::{CachedStatement, OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::HashMap;
use std::sync::Arc;

/// What an append did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Appended {
    /// New rows.
    pub appended: u64,
    /// Rows equal to one already there.
    pub skipped: u64,
    /// Rows that took the place of a different one (`--replace`).
    pub corrected: u64,
}

/// What a poll knows of a sample beside its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollDetail {
    /// The point whose sample it belongs to.
    pub point: Point,
    /// A domain: how many switches were asked.
    pub expected: Option<u32>,
    /// A domain: how many answered.
    pub answered: Option<u32>,
    /// A domain: the importance asked for, 1..100.
    pub importance: Option<u32>,
    /// A switch: why it failed. A counter: why it is not to be trusted.
    pub reason: Option<String>,
    /// A switch: what the next poll should know of it.
    pub memory: Option<String>,
}

/// Why nothing was appended.
#[derive(Debug, thiserror::Error)]
pub enum AppendError<E: std::error::Error + 'static> {
    /// The source of samples failed.
    #[error(transparent)]
    Source(E),
    /// The log failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Another value stands at the same point and time.
    #[error("the log holds {} at {} as {}, not {}", sample.point(), sample.time(), show(held), show(sample))]
    Differs {
        /// The new one.
        sample: Box<Sample>,
        /// The one in the log.
        held: Box<Sample>,
    },
    /// Two of the samples have one point and time.
    #[error("{} at {} stands twice, as {} and now as {}", sample.point(), sample.time(), show(held), show(sample))]
    Twice {
        /// The later one.
        sample: Box<Sample>,
        /// The earlier one.
        held: Box<Sample>,
    },
}

/// `5 W actual`.
fn show(sample: &Sample) -> String {
    let value = sample.value().map_or("null".to_owned(), |value| value.to_string());
    let unit = if sample.unit().is_empty() { "" } else { " " };
    format!("{value}{unit}{} {}", sample.unit(), sample.quality())
}

/// A row as the log holds it, with ids for names.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Held {
    seq: i64,
    value: Option<f64>,
    unit: i64,
    quality: i64,
}

impl Log {
    /// Appends samples in one transaction that began IMMEDIATE. Each gets the next seq.
    ///
    /// A sample equal to one already there is skipped; one that differs at the same point and time is an
    /// error, or with `replace` a correction: it gets a new seq and the old one goes to the history.
    pub fn append<E: std::error::Error>(
        &mut self,
        samples: impl IntoIterator<Item = Result<Sample, E>>,
        replace: bool,
        now: Timestamp,
    ) -> Result<Appended, AppendError<E>> {
        self.append_with_details(samples, &[], replace, now, None)
    }

    /// Appends the samples of one poll, which have that time, with what else it knows and what the clock said,
    /// in one transaction.
    pub fn append_poll(
        &mut self,
        samples: Vec<Sample>,
        details: &[PollDetail],
        time: Timestamp,
        clock: &ClockReading,
    ) -> Result<Appended, AppendError<std::convert::Infallible>> {
        self.append_with_details(samples.into_iter().map(Ok), details, false, time, Some(clock))
    }

    fn append_with_details<E: std::error::Error>(
        &mut self,
        samples: impl IntoIterator<Item = Result<Sample, E>>,
        details: &[PollDetail],
        replace: bool,
        now: Timestamp,
        seen: Option<&ClockReading>,
    ) -> Result<Appended, AppendError<E>> {
        // An id comes from its table in the same transaction, so SQLite need not look there once more for each row.
        self.foreign_keys(false)?;
        let done = self.write(samples, details, replace, now, seen);
        self.foreign_keys(true)?;
        done
    }

    fn foreign_keys(&self, are_checked: bool) -> Result<(), StoreError> {
        self.conn
            .pragma_update(None, "foreign_keys", are_checked)
            .map_err(sql_error(&self.path, "append samples"))
    }

    fn write<E: std::error::Error>(
        &mut self,
        samples: impl IntoIterator<Item = Result<Sample, E>>,
        details: &[PollDetail],
        replace: bool,
        now: Timestamp,
        seen: Option<&ClockReading>,
    ) -> Result<Appended, AppendError<E>> {
        let sql = sql_error(&self.path, "append samples");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let mut writer = Writer::new(&tx).map_err(&sql)?;
        let mut done = Appended::default();
        for sample in samples {
            let sample = sample.map_err(AppendError::Source)?;
            match writer.put(&sample, replace).map_err(&sql)? {
                Put::New => done.appended += 1,
                Put::Equal => done.skipped += 1,
                Put::Corrected => done.corrected += 1,
                Put::Differs(held) => {
                    let is_of_this_append = held.seq >= writer.first_seq;
                    let held = Box::new(writer.sample(&sample, held).map_err(&sql)?);
                    let sample = Box::new(sample);
                    return Err(match is_of_this_append {
                        true => AppendError::Twice { sample, held },
                        false => AppendError::Differs { sample, held },
                    });
                }
            }
        }
        for detail in details {
            writer.detail(detail, now).map_err(&sql)?;
        }
        writer.finish(now).map_err(&sql)?;
        if let Some(reading) = seen {
            clock::observe(&tx, reading).map_err(&sql)?;
        }
        tx.commit().map_err(&sql)?;
        Ok(done)
    }
}

enum Put {
    New,
    Equal,
    Corrected,
    Differs(Held),
}

/// For so many points the log is asked one by one; where there are more it gives all that it has.
const POINTS_ASKED: usize = 64;

struct Writer<'tx> {
    tx: &'tx Transaction<'tx>,
    insert: CachedStatement<'tx>,
    points: HashMap<Point, i64>,
    units: HashMap<Arc<str>, i64>,
    first_seq: i64,
    next_seq: i64,
    times: Option<(Timestamp, Timestamp)>,
}

impl<'tx> Writer<'tx> {
    fn new(tx: &'tx Transaction<'tx>) -> rusqlite::Result<Writer<'tx>> {
        let last: i64 = tx.query_row("select last_seq from state", [], |row| row.get(0))?;
        let insert = tx.prepare_cached(
            "insert into sample (time, point, seq, value, unit, quality) values (?1, ?2, ?3, ?4, ?5, ?6)
             on conflict do nothing",
        )?;
        Ok(Writer {
            tx,
            insert,
            points: HashMap::new(),
            units: HashMap::new(),
            first_seq: last + 1,
            next_seq: last + 1,
            times: None,
        })
    }

    fn put(&mut self, sample: &Sample, replace: bool) -> rusqlite::Result<Put> {
        let point = self.point_id(sample.point())?;
        let new = Held {
            seq: self.next_seq,
            value: sample.value(),
            unit: self.unit_id(sample.unit())?,
            quality: sample.quality() as i64,
        };
        let time = sample.time();
        let put = if self.insert.execute(params![
            time.micros(),
            point,
            new.seq,
            new.value,
            new.unit,
            new.quality
        ])? == 1
        {
            Put::New
        } else {
            let held = self.held(time, point)?;
            if (held.value, held.unit, held.quality) == (new.value, new.unit, new.quality) {
                return Ok(Put::Equal);
            }
            if !replace {
                return Ok(Put::Differs(held));
            }
            self.correct(time, point, held, new)?;
            Put::Corrected
        };
        self.next_seq += 1;
        let (min, max) = self.times.unwrap_or((time, time));
        self.times = Some((min.min(time), max.max(time)));
        Ok(put)
    }

    /// What the log holds at the place of a sample, as a sample.
    fn sample(&self, at: &Sample, held: Held) -> rusqlite::Result<Sample> {
        let unit: String =
            self.tx.query_row("select name from unit where id = ?1", [held.unit], |row| row.get(0))?;
        let quality = quality(held.quality).unwrap_or(Quality::Unknown);
        // What was appended once is a sample; were it not, the new one stands in for it in the message.
        Ok(Sample::new(at.time(), at.point().clone(), held.value, unit, quality)
            .unwrap_or_else(|_| at.clone()))
    }

    fn held(&self, time: Timestamp, point: i64) -> rusqlite::Result<Held> {
        self.tx
            .prepare_cached("select seq, value, unit, quality from sample where time = ?1 and point = ?2")?
            .query_row(params![time.micros(), point], |row| {
                Ok(Held { seq: row.get(0)?, value: row.get(1)?, unit: row.get(2)?, quality: row.get(3)? })
            })
    }

    fn correct(&self, time: Timestamp, point: i64, old: Held, new: Held) -> rusqlite::Result<()> {
        self.tx
            .prepare_cached("insert into correction values (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![time.micros(), point, old.seq, old.value, old.unit, old.quality, new.seq])?;
        self.tx
            .prepare_cached(
                "update sample set seq = ?3, value = ?4, unit = ?5, quality = ?6 where time = ?1 and point = ?2",
            )?
            .execute(params![time.micros(), point, new.seq, new.value, new.unit, new.quality])?;
        Ok(())
    }

    fn detail(&mut self, detail: &PollDetail, time: Timestamp) -> rusqlite::Result<()> {
        if let Some(memory) = &detail.memory {
            device::remember(self.tx, detail.point.as_str(), memory)?;
        }
        if (detail.expected, detail.answered, detail.importance, &detail.reason) == (None, None, None, &None)
        {
            return Ok(());
        }
        let point = self.point_id(&detail.point)?;
        self.tx
            .prepare_cached("insert or replace into poll_detail values (?1, ?2, ?3, ?4, ?5, ?6)")?
            .execute(params![
                time.micros(),
                point,
                detail.expected,
                detail.answered,
                detail.importance,
                detail.reason
            ])?;
        Ok(())
    }

    fn point_id(&mut self, point: &Point) -> rusqlite::Result<i64> {
        if let Some(id) = self.points.get(point) {
            return Ok(*id);
        }
        if self.points.len() == POINTS_ASKED {
            self.read_points()?;
            if let Some(id) = self.points.get(point) {
                return Ok(*id);
            }
        }
        let id = id_of(self.tx, "point", point.as_str())?;
        self.points.insert(point.clone(), id);
        Ok(id)
    }

    /// The points that the log has.
    fn read_points(&mut self) -> rusqlite::Result<()> {
        let mut select = self.tx.prepare_cached("select name, id from point")?;
        let mut rows = select.query([])?;
        while let Some(row) = rows.next()? {
            // What is no name is none that a sample has.
            if let Ok(point) = row.get_ref(0)?.as_str()?.parse() {
                self.points.insert(point, row.get(1)?);
            }
        }
        Ok(())
    }

    fn unit_id(&mut self, unit: &Arc<str>) -> rusqlite::Result<i64> {
        if let Some(id) = self.units.get(unit) {
            return Ok(*id);
        }
        let id = id_of(self.tx, "unit", unit)?;
        self.units.insert(unit.clone(), id);
        Ok(id)
    }

    /// Keeps the seq given and, where there was anything new, the batch.
    fn finish(self, now: Timestamp) -> rusqlite::Result<()> {
        let Some((min, max)) = self.times else { return Ok(()) };
        let last = self.next_seq - 1;
        self.tx.execute("update state set last_seq = ?1", [last])?;
        self.tx.execute(
            "insert into batch (first_seq, last_seq, time_min, time_max, committed_at) values (?1, ?2, ?3, ?4, ?5)",
            params![self.first_seq, last, min.micros(), max.micros(), now.micros()],
        )?;
        Ok(())
    }
}

/// The id of a name in `point` or `unit`, made if there is none.
fn id_of(tx: &Transaction<'_>, table: &'static str, name: &str) -> rusqlite::Result<i64> {
    let known = tx
        .prepare_cached(&format!("select id from {table} where name = ?1"))?
        .query_row([name], |row| row.get(0))
        .optional()?;
    match known {
        Some(id) => Ok(id),
        None => tx
            .prepare_cached(&format!("insert into {table} (name) values (?1) returning id"))?
            .query_row([name], |row| row.get(0)),
    }
}

/// The quality kept under a number.
pub(crate) fn quality(number: i64) -> Option<Quality> {
    Quality::ALL.get(usize::try_from(number).ok()?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Seqs;
    use ew_core::{Row, Selection, Window};
    use std::convert::Infallible;

    fn sample(secs: i64, point: &str, value: Option<f64>) -> Result<Sample, Infallible> {
        let quality = if value.is_some() { Quality::Actual } else { Quality::Missing };
        Ok(Sample::new(Timestamp::from_secs(secs), point.parse().unwrap(), value, "W", quality).unwrap())
    }

    fn now() -> Timestamp {
        Timestamp::from_secs(1_700_000_000)
    }

    fn rows(log: &Log, as_of: Option<i64>) -> Vec<String> {
        let snapshot = log.snapshot().unwrap();
        let mut out = Vec::new();
        let window = Window::new(Timestamp::MIN, Timestamp::MAX);
        let mut each = |row: Row<'_>| {
            out.push(format!("{} {} {:?}", row.time.secs(), row.point, row.value));
            Ok::<(), StoreError>(())
        };
        let seqs = Seqs { up_to: as_of.unwrap_or(i64::MAX), ..Seqs::ALL };
        snapshot.for_each_row(window, &Selection::default(), seqs, &mut each).unwrap();
        out
    }

    #[test]
    fn many_points_keep_their_ids() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let all =
            |time: i64, points: i64| (0..points).map(move |n| sample(time, &format!("p{n}"), Some(n as f64)));
        log.append(all(0, 200), false, now()).unwrap();
        log.append(all(1, 300), false, now()).unwrap();
        let found = rows(&log, None);
        assert_eq!(found.len(), 500);
        for row in found {
            let parts: Vec<&str> = row.split(' ').collect();
            assert_eq!(parts[2], format!("Some({}.0)", &parts[1][1..]), "{row}");
        }
        let points: i64 = log.conn.query_row("select count(*) from point", [], |row| row.get(0)).unwrap();
        assert_eq!(points, 300);
    }

    #[test]
    fn idempotent_all_or_nothing_and_corrections() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let first = [sample(10, "b", Some(1.0)), sample(10, "a", None), sample(5, "a", Some(2.0))];
        let done = log.append(first.clone(), false, now()).unwrap();
        assert_eq!(done, Appended { appended: 3, ..Appended::default() });
        let done = log.append(first, false, now()).unwrap();
        assert_eq!(done, Appended { skipped: 3, ..Appended::default() });
        assert_eq!(rows(&log, None), ["5 a Some(2.0)", "10 a None", "10 b Some(1.0)"]);

        let bad = [sample(20, "a", Some(1.0)), sample(10, "b", Some(9.0))];
        let error = log.append(bad.clone(), false, now()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the log holds b at 1970-01-01T00:00:10Z as 1 W actual, not 9 W actual"
        );
        assert_eq!(rows(&log, None).len(), 3);

        let done = log.append(bad, true, now()).unwrap();
        assert_eq!(done, Appended { appended: 1, corrected: 1, skipped: 0 });
        assert_eq!(rows(&log, None)[2], "10 b Some(9.0)");
        // As of before the correction the old value stands, and the new row is not there.
        assert_eq!(rows(&log, Some(3)), ["5 a Some(2.0)", "10 a None", "10 b Some(1.0)"]);
        assert_eq!(log.snapshot().unwrap().last_seq().unwrap(), 5);
    }

    #[test]
    fn two_writers_and_a_reader_lose_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ew.db");
        drop(Log::open(&path).unwrap());
        std::thread::scope(|scope| {
            for writer in 0..2 {
                let path = &path;
                scope.spawn(move || {
                    let mut log = Log::open(path).unwrap();
                    for n in 0..50 {
                        let point = format!("w{writer}");
                        log.append([sample(n, &point, Some(n as f64))], false, now()).unwrap();
                    }
                });
            }
            let log = Log::open(&path).unwrap();
            for _ in 0..50 {
                let snapshot = log.snapshot().unwrap();
                let stats = snapshot.stats(ew_core::Span::from_secs(900)).unwrap();
                assert_eq!(stats.rows as i64, snapshot.last_seq().unwrap());
            }
        });
        assert_eq!(rows(&Log::open(&path).unwrap(), None).len(), 100);
    }
}

//! The delivery ledger: jobs, slices, names and receipts.

use crate::error::StoreError;
use crate::state::SliceState;
use ew_core::{Columns, Point, Timestamp, Window, insert_before_extension};
use rusqlite::{Connection, OptionalExtension, Row, Transaction, TransactionBehavior, params};
use std::path::Path;

/// A job and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its id in the log.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The latest end of any slice placed or skipped; none before the first.
    pub bookmark: Option<Timestamp>,
    /// How many slices were planned.
    pub slices: i64,
}

/// A slice whose file is rendered, to be committed before its first byte leaves.
#[derive(Debug, Clone)]
pub struct NewSlice {
    /// Its window.
    pub window: Window,
    /// Its revision; 0 is the first delivery.
    pub rev: u32,
    /// The highest seq when it was planned.
    pub as_of_seq: i64,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// The formatter and its version.
    pub format: String,
    /// Its number within the job.
    pub count: i64,
    /// The name that its template gives; a clash with another slice adds `_2` …
    pub name: String,
    /// The extension in that name.
    pub ext: String,
    /// Samples in it.
    pub rows: u64,
    /// Size of the file, bytes.
    pub bytes: u64,
    /// Of the file, lower-case hex.
    pub sha256: String,
    /// The file below the spool folder.
    pub spool: String,
    /// Where it goes.
    pub destination: String,
}

/// Where and when a slice came to be at its receiver.
#[derive(Debug, Clone, Copy)]
pub struct Placed<'a> {
    /// Its name there.
    pub name: &'a str,
    /// The receiver.
    pub destination: &'a str,
    /// What the transporter says, JSON.
    pub receipt: &'a str,
    /// The present.
    pub at: Timestamp,
}

/// One row of the ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its id.
    pub id: i64,
    /// The job's name.
    pub job: String,
    /// Its window.
    pub window: Window,
    /// Its revision.
    pub rev: u32,
    /// The highest seq when it was planned.
    pub as_of_seq: i64,
    /// Where it stands.
    pub state: SliceState,
    /// Why it failed, is held or skipped.
    pub reason: Option<String>,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// Its number within the job.
    pub count: Option<i64>,
    /// Its name at the receiver.
    pub name: Option<String>,
    /// Samples in it.
    pub rows: u64,
    /// Size of the file, bytes.
    pub bytes: Option<u64>,
    /// Of the file, lower-case hex.
    pub sha256: Option<String>,
    /// The file below the spool folder, while it is not placed.
    pub spool: Option<String>,
    /// Where it goes or went.
    pub destination: Option<String>,
    /// How often it was tried.
    pub attempts: u32,
    /// When it was placed.
    pub delivered_at: Option<Timestamp>,
    /// While it is not placed: the recipients who have it already and must not get it again.
    pub reached: Vec<String>,
}

const COLUMNS: &str = "s.id, j.name, s.start_time, s.end_time, s.rev, s.as_of_seq, s.state, s.reason, s.columns, \
     s.count, s.name, s.rows, s.bytes, s.sha256, s.spool, s.destination, s.attempts, s.delivered_at, s.reached";

/// Jobs, slices and receipts.
#[derive(Debug)]
pub struct Ledger<'log> {
    pub(crate) conn: &'log mut Connection,
    pub(crate) path: &'log Path,
}

impl Ledger<'_> {
    pub(crate) fn sql(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = self.path.to_owned();
        move |source| StoreError::Sql { doing, path: path.clone(), source }
    }

    /// The job of that name, if it ever ran.
    pub fn job(&self, name: &str) -> Result<Option<Job>, StoreError> {
        self.conn
            .query_row("select id, name, bookmark, slices from job where name = ?1", [name], job)
            .optional()
            .map_err(self.sql("read the job"))
    }

    /// The job of that name, made if it never ran.
    pub fn make_job(&mut self, name: &str) -> Result<Job, StoreError> {
        if let Some(job) = self.job(name)? {
            return Ok(job);
        }
        self.conn
            .execute("insert into job (name) values (?1) on conflict do nothing", [name])
            .map_err(self.sql("add the job"))?;
        self.conn
            .query_row("select id, name, bookmark, slices from job where name = ?1", [name], job)
            .map_err(self.sql("read the job"))
    }

    /// Every job that ever ran, by name.
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let sql = self.sql("read the jobs");
        let mut select =
            self.conn.prepare("select id, name, bookmark, slices from job order by name").map_err(&sql)?;
        let jobs: rusqlite::Result<Vec<Job>> = select.query_map([], job).map_err(&sql)?.collect();
        jobs.map_err(&sql)
    }

    /// The slices of a job that have a file in the spool, in order of time: rendered and not placed yet, or
    /// placed and being sent again when a run was killed.
    pub fn unfinished(&self, job: &Job) -> Result<Vec<Delivery>, StoreError> {
        self.select("where s.job = ?1 and s.spool is not null order by s.start_time, s.rev", params![job.id])
    }

    /// The newest placed revision of each slice that touches the window, in order of time.
    pub fn placed(&self, job: &Job, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.select(
            "where s.job = ?1 and s.state in ('placed', 'verified') and s.end_time > ?2 and s.start_time < ?3
             order by s.start_time, s.rev",
            params![job.id, window.start.micros(), window.end.micros()],
        )
    }

    /// The newest revision of a window, placed or not.
    pub fn newest_rev(&self, job: &Job, window: Window) -> Result<u32, StoreError> {
        self.conn
            .query_row(
                "select coalesce(max(rev), 0) from slice where job = ?1 and start_time = ?2 and end_time = ?3",
                params![job.id, window.start.micros(), window.end.micros()],
                |row| row.get(0),
            )
            .map_err(self.sql("read the ledger"))
    }

    /// Whether a slice of this window stood under this name at this destination: what is there now may be
    /// replaced by a newer revision of it, or by itself.
    pub fn stood_there(
        &self,
        job: &Job,
        window: Window,
        destination: &str,
        name: &str,
    ) -> Result<bool, StoreError> {
        self.conn
            .query_row(
                "select exists (select 1 from slice where job = ?1 and start_time = ?2 and end_time = ?3
                     and destination = ?4 and name = ?5 and delivered_at is not null)",
                params![job.id, window.start.micros(), window.end.micros(), destination, name],
                |row| row.get(0),
            )
            .map_err(self.sql("read the ledger"))
    }

    /// The columns of the last placed slice, for the header of an empty one.
    pub fn last_columns(&self, job: &Job) -> Result<Columns, StoreError> {
        let last = self.select(
            "where s.job = ?1 and s.columns is not null and s.state in ('placed', 'verified')
             order by s.start_time desc, s.rev desc limit 1",
            params![job.id],
        )?;
        Ok(last.into_iter().next().and_then(|slice| slice.columns).unwrap_or_default())
    }

    /// Every row of the ledger, of one job or all, whose window touches the given one; by job and time.
    pub fn list(&self, job: Option<&str>, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.select(
            "where (?1 is null or j.name = ?1) and s.end_time > ?2 and s.start_time < ?3
             order by j.name, s.start_time, s.rev, s.id",
            params![job, window.start.micros(), window.end.micros()],
        )
    }

    /// Commits a rendered slice, and with it the empty stretch passed over before it. From here on its
    /// name, hash and bytes stand; the name is its own for ever.
    pub fn record_rendered(
        &mut self,
        job: &Job,
        passed_over: Option<Window>,
        slice: &NewSlice,
    ) -> Result<Delivery, StoreError> {
        let sql = self.sql("record a rendered slice");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        if let Some(window) = passed_over {
            tx.execute(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state) values (?1, ?2, ?3, 0, ?4, 'empty')",
                params![job.id, window.start.micros(), window.end.micros(), slice.as_of_seq],
            )
            .map_err(&sql)?;
        }
        let name =
            claim_name(&tx, job, slice.window, &slice.destination, &slice.name, &slice.ext).map_err(&sql)?;
        let columns = slice.columns.as_ref().map(|columns| columns_json(columns));
        tx.execute(
            "insert into slice (job, start_time, end_time, rev, as_of_seq, state, columns, format, count, name,
                 rows, bytes, sha256, spool, destination)
             values (?1, ?2, ?3, ?4, ?5, 'rendered', ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
            params![
                job.id,
                slice.window.start.micros(),
                slice.window.end.micros(),
                slice.rev,
                slice.as_of_seq,
                columns,
                slice.format,
                slice.count,
                name,
                slice.rows,
                slice.bytes,
                slice.sha256,
                slice.spool,
                slice.destination
            ],
        )
        .map_err(&sql)?;
        let id = tx.last_insert_rowid();
        tx.execute("update job set slices = max(slices, ?2) where id = ?1", params![job.id, slice.count])
            .map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        self.select("where s.id = ?1", params![id])?.into_iter().next().ok_or_else(|| {
            StoreError::Unreadable { path: self.path.to_owned(), what: format!("no slice {id}") }
        })
    }

    /// Notes that bytes of a file in the spool may leave now, and where to; counts the attempt. A slice that
    /// is placed and sent again by hand stays placed, as and where it is. A slice whose destination changed
    /// since it was recorded claims its name there. Returns its name.
    pub fn sending(
        &mut self,
        job: &Job,
        slice: &Delivery,
        destination: &str,
        ext: &str,
    ) -> Result<String, StoreError> {
        let sql = self.sql("note an attempt");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let mut name = slice.name.clone().unwrap_or_default();
        if slice.destination.as_deref() != Some(destination) {
            name = claim_name(&tx, job, slice.window, destination, &name, ext).map_err(&sql)?;
        }
        tx.execute(
            "update slice set attempts = attempts + 1, spool = ?2,
                 state = case when state in ('rendered', 'failed') then 'sending' else state end,
                 destination = case when state in ('placed', 'verified') then destination else ?3 end,
                 name = case when state in ('placed', 'verified') then name else ?4 end
             where id = ?1",
            params![slice.id, slice.spool, destination, name],
        )
        .map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(name)
    }

    /// Notes why the last attempt failed, and all who have the slice all the same; it stays due for the others.
    /// One that was placed before stays placed, and is not tried again by itself.
    pub fn failed(&mut self, slice: &Delivery, reason: &str, reached: &[String]) -> Result<(), StoreError> {
        let sql = self.sql("note a failure");
        self.conn
            .execute(
                "update slice set
                     spool = case when state in ('placed', 'verified') then null else spool end,
                     reason = case when state in ('placed', 'verified') then reason else ?2 end,
                     reached = case when state in ('placed', 'verified') then null else ?3 end,
                     state = case when state in ('placed', 'verified') then state else 'failed' end
                 where id = ?1",
                params![slice.id, reason, (!reached.is_empty()).then(|| reached_json(reached))],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// Commits receipt and bookmark together: the slice is at the receiver. Revisions before it are
    /// superseded; the bookmark never moves back. Returns the bookmark.
    pub fn place(
        &mut self,
        job: &Job,
        slice: &Delivery,
        receipt: &Placed<'_>,
    ) -> Result<Option<Timestamp>, StoreError> {
        let sql = self.sql("record a receipt");
        let (start, end) = (slice.window.start.micros(), slice.window.end.micros());
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        tx.execute(
            "update slice set state = 'placed', reason = null, reached = null, spool = null, receipt = ?2,
                 delivered_at = case when destination = ?4 then coalesce(delivered_at, ?3) else ?3 end,
                 destination = ?4, name = ?5 where id = ?1",
            params![slice.id, receipt.receipt, receipt.at.micros(), receipt.destination, receipt.name],
        )
        .map_err(&sql)?;
        tx.execute(
            "update slice set state = 'superseded'
             where job = ?1 and start_time = ?2 and end_time = ?3 and rev < ?4 and state in ('placed', 'verified')",
            params![job.id, start, end, slice.rev],
        )
        .map_err(&sql)?;
        let bookmark = tx
            .query_row(
                "update job set bookmark = max(coalesce(bookmark, ?2), ?2) where id = ?1 returning bookmark",
                params![job.id, end],
                |row| row.get::<_, Option<i64>>(0),
            )
            .map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(bookmark.map(Timestamp::from_micros))
    }

    fn select(&self, tail: &str, params: impl rusqlite::Params) -> Result<Vec<Delivery>, StoreError> {
        let sql = self.sql("read the ledger");
        let query = format!("select {COLUMNS} from slice s join job j on j.id = s.job {tail}");
        let mut select = self.conn.prepare_cached(&query).map_err(&sql)?;
        let found: rusqlite::Result<Vec<Delivery>> =
            select.query_map(params, delivery).map_err(&sql)?.collect();
        found.map_err(&sql)
    }
}

/// The first of `name`, `name_2`, `name_3` … that is free at a destination or already this slice's.
fn claim_name(
    tx: &Transaction<'_>,
    job: &Job,
    window: Window,
    destination: &str,
    name: &str,
    ext: &str,
) -> rusqlite::Result<String> {
    let (start, end) = (window.start.micros(), window.end.micros());
    let mut claimed = name.to_owned();
    for n in 2.. {
        tx.prepare_cached("insert into file_name values (?1, ?2, ?3, ?4, ?5) on conflict do nothing")?
            .execute(params![destination, claimed, job.id, start, end])?;
        let owner: (i64, i64, i64) = tx
            .prepare_cached(
                "select job, start_time, end_time from file_name where destination = ?1 and name = ?2",
            )?
            .query_row(params![destination, claimed], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
        if owner == (job.id, start, end) {
            break;
        }
        claimed = insert_before_extension(name, &format!("_{n}"), ext);
    }
    Ok(claimed)
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let bookmark: Option<i64> = row.get(2)?;
    Ok(Job {
        id: row.get(0)?,
        name: row.get(1)?,
        bookmark: bookmark.map(Timestamp::from_micros),
        slices: row.get(3)?,
    })
}

fn delivery(row: &Row<'_>) -> rusqlite::Result<Delivery> {
    let bad = |index: usize, what: String| {
        rusqlite::Error::FromSqlConversionFailure(index, rusqlite::types::Type::Text, what.into())
    };
    let state: String = row.get(6)?;
    let columns: Option<String> = row.get(8)?;
    let delivered_at: Option<i64> = row.get(17)?;
    let reached: Option<String> = row.get(18)?;
    Ok(Delivery {
        id: row.get(0)?,
        job: row.get(1)?,
        window: Window::new(Timestamp::from_micros(row.get(2)?), Timestamp::from_micros(row.get(3)?)),
        rev: row.get(4)?,
        as_of_seq: row.get(5)?,
        state: state.parse().map_err(|e| bad(6, e))?,
        reason: row.get(7)?,
        columns: columns.as_deref().map(columns_from_json).transpose().map_err(|e| bad(8, e))?,
        count: row.get(9)?,
        name: row.get(10)?,
        rows: row.get(11)?,
        bytes: row.get(12)?,
        sha256: row.get(13)?,
        spool: row.get(14)?,
        destination: row.get(15)?,
        attempts: row.get(16)?,
        delivered_at: delivered_at.map(Timestamp::from_micros),
        reached: reached
            .as_deref()
            .map(reached_from_json)
            .transpose()
            .map_err(|e| bad(18, e))?
            .unwrap_or_default(),
    })
}

fn columns_json(columns: &[Point]) -> String {
    serde_json::Value::from_iter(columns.iter().map(Point::as_str)).to_string()
}

fn columns_from_json(text: &str) -> Result<Columns, String> {
    let names: Vec<String> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    names.iter().map(|name| name.parse()).collect()
}

fn reached_json(reached: &[String]) -> String {
    serde_json::Value::from(reached).to_string()
}

fn reached_from_json(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;

    fn slice(start: i64, name: &str) -> NewSlice {
        NewSlice {
            window: Window::new(Timestamp::from_secs(start), Timestamp::from_secs(start + 900)),
            rev: 0,
            as_of_seq: 7,
            columns: Some(["a", "b,\"c"].iter().map(|n| n.parse().unwrap()).collect()),
            format: "csv/1".into(),
            count: start / 900,
            name: name.into(),
            ext: "csv".into(),
            rows: 3,
            bytes: 40,
            sha256: "00".into(),
            spool: "u/x.csv".into(),
            destination: "file:///out".into(),
        }
    }

    #[test]
    fn rendered_placed_and_the_bookmark_never_moves_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let job = ledger.make_job("utility").unwrap();
        let gap = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(900));
        let late = ledger.record_rendered(&job, Some(gap), &slice(900, "b.csv")).unwrap();
        let early = ledger.record_rendered(&job, None, &slice(0, "a.csv")).unwrap();
        assert_eq!(ledger.unfinished(&job).unwrap(), [early.clone(), late.clone()]);
        assert_eq!(late.columns.as_deref().map(<[Point]>::len), Some(2));

        assert_eq!(ledger.sending(&job, &late, "file:///out", "csv").unwrap(), "b.csv");
        let reached = ["a@example.com".to_owned(), "\"b\"@example.com".to_owned()];
        ledger.failed(&late, "connection refused", &reached).unwrap();
        assert_eq!(ledger.unfinished(&job).unwrap()[1].reached, reached);
        assert_eq!(ledger.unfinished(&job).unwrap()[1].reason.as_deref(), Some("connection refused"));
        let placed = |name| Placed {
            name,
            destination: "file:///out",
            receipt: "{}",
            at: Timestamp::from_secs(5_000),
        };
        let bookmark = ledger.place(&job, &late, &placed("b.csv")).unwrap();
        assert_eq!(bookmark, Some(Timestamp::from_secs(1_800)));
        assert_eq!(ledger.place(&job, &early, &placed("a.csv")).unwrap(), bookmark);
        assert_eq!(ledger.unfinished(&job).unwrap(), []);
        let all = ledger.list(None, Window::new(Timestamp::MIN, Timestamp::MAX)).unwrap();
        // A slice that is sent again by hand goes to everyone.
        assert!(all.iter().all(|slice| slice.reached.is_empty()));
        let states: Vec<_> = all.iter().map(|d| (d.state.as_str(), d.attempts)).collect();
        assert_eq!(states, [("empty", 0), ("placed", 0), ("placed", 1)]);
    }

    #[test]
    fn sent_again_by_hand_it_stays_placed_as_and_where_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let job = ledger.make_job("u").unwrap();
        let slice = ledger.record_rendered(&job, None, &slice(0, "a.csv")).unwrap();
        let at = Timestamp::from_secs(5_000);
        let placed = Placed { name: "a.csv", destination: "file:///out", receipt: "{}", at };
        ledger.place(&job, &slice, &placed).unwrap();
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        let before = ledger.list(None, all).unwrap();
        let again = Delivery { spool: Some("again.csv".into()), ..before[0].clone() };
        ledger.sending(&job, &again, "file:///other", "csv").unwrap();
        // Killed here, the next run finishes it.
        assert_eq!(ledger.unfinished(&job).unwrap()[0].spool.as_deref(), Some("again.csv"));
        ledger.failed(&again, "no answer", &[]).unwrap();
        let after = ledger.list(None, all).unwrap();
        assert_eq!(after, [Delivery { attempts: 1, ..before[0].clone() }]);
    }

    /// A slice that waits while its job is given another receiver takes no name that is another's there.
    #[test]
    fn a_changed_destination_is_claimed_too() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let (one, two) = (ledger.make_job("one").unwrap(), ledger.make_job("two").unwrap());
        ledger.record_rendered(&one, None, &slice(0, "a.csv")).unwrap();
        let elsewhere = NewSlice { destination: "file:///elsewhere".into(), ..slice(0, "a.csv") };
        let waiting = ledger.record_rendered(&two, None, &elsewhere).unwrap();
        assert_eq!(waiting.name.as_deref(), Some("a.csv"));
        assert_eq!(ledger.sending(&two, &waiting, "file:///out", "csv").unwrap(), "a_2.csv");
    }

    #[test]
    fn a_name_belongs_to_one_slice_for_ever() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let (one, two) = (ledger.make_job("one").unwrap(), ledger.make_job("two").unwrap());
        let name = |d: Delivery| d.name.unwrap();
        assert_eq!(name(ledger.record_rendered(&one, None, &slice(0, "a.csv")).unwrap()), "a.csv");
        assert_eq!(name(ledger.record_rendered(&two, None, &slice(0, "a.csv")).unwrap()), "a_2.csv");
        assert_eq!(name(ledger.record_rendered(&one, None, &slice(900, "a.csv")).unwrap()), "a_3.csv");
        // A revision of the same slice takes its own name again.
        let revision = NewSlice { rev: 1, ..slice(0, "a.csv") };
        assert_eq!(name(ledger.record_rendered(&one, None, &revision).unwrap()), "a.csv");
    }
}

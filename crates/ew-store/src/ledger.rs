//! The delivery ledger as it reads: jobs and slices. What is written to it is in `record`.

use crate::Snapshot;
use crate::error::StoreError;
use crate::read::sql_error;
use crate::rebuild::ToldBy;
use crate::state::SliceState;
use crate::verify::Proof;
use ew_core::{Columns, Point, Timestamp, Window};
use rusqlite::{Connection, OptionalExtension, Row, params};
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
    /// Every row before the bookmark with a seq up to this one is in a slice.
    pub looked_seq: i64,
}

impl Job {
    /// A job that never ran: it has delivered nothing, and no slice is its own.
    pub fn never_ran(name: &str) -> Job {
        Job { id: -1, name: name.to_owned(), bookmark: None, slices: 0, looked_seq: 0 }
    }
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
    /// Why it failed, is held or skipped; or that it is missing or altered at the receiver.
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
    /// A delta: it holds only rows with a higher seq. None: the whole slice.
    pub after_seq: Option<i64>,
    /// Rows of it are gone from the log, so it can never be rendered again.
    pub trimmed: bool,
    /// It was rebuilt: rows that come for it are held unless the log gives its file with them, which this tells.
    pub rebuilt: Option<ToldBy>,
    /// It was rebuilt and the log does not give its file.
    pub unmatched: bool,
    /// The delivered file, compressed, below the folder of kept files.
    pub kept: Option<String>,
    /// The formatter and its version.
    pub format: Option<String>,
    /// Version of the zone rules that it was rendered with, where they tell it.
    pub zone_data: Option<String>,
    /// What the transporter said, JSON.
    pub receipt: Option<String>,
    /// What was last proved of it at the receiver, and when.
    pub verified: Option<(Proof, Timestamp)>,
}

const COLUMNS: &str = "s.id, j.name, s.start_time, s.end_time, s.rev, s.as_of_seq, s.state, s.reason, s.columns, \
     s.count, s.name, s.rows, s.bytes, s.sha256, s.spool, s.destination, s.attempts, s.delivered_at, s.reached, \
     s.after_seq, s.trimmed, s.kept, s.format, s.receipt, s.zone_data, s.proof, s.verified_at, s.rebuilt, \
     s.unmatched";

/// Jobs, slices and receipts.
#[derive(Debug)]
pub struct Ledger<'log> {
    pub(crate) conn: &'log mut Connection,
    pub(crate) path: &'log Path,
}

// Every run asks for these two, so the index is named: SQLite would rather read all slices that the job ever had.
const UNFINISHED: &str = "where s.id in (select id from slice indexed by slice_unfinished
        where job = ?1 and spool is not null) order by s.start_time, s.rev";
const PLANNED: &str = "where s.state = 'planned' and s.id in (select id from slice indexed by slice_waiting
        where job = ?1 and state in ('planned', 'held')) order by s.start_time, s.rev";

impl Ledger<'_> {
    pub(crate) fn sql(&self, doing: &'static str) -> impl Fn(rusqlite::Error) -> StoreError + use<> {
        let path = self.path.to_owned();
        move |source| StoreError::Sql { doing, path: path.clone(), source }
    }

    /// The job of that name, if it ever ran.
    pub fn job(&self, name: &str) -> Result<Option<Job>, StoreError> {
        job_named(self.conn, name).map_err(self.sql("read the job"))
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
            .query_row("select id, name, bookmark, slices, looked_seq from job where name = ?1", [name], job)
            .map_err(self.sql("read the job"))
    }

    /// Every job that ever ran, by name.
    pub fn jobs(&self) -> Result<Vec<Job>, StoreError> {
        let sql = self.sql("read the jobs");
        let mut select = self
            .conn
            .prepare("select id, name, bookmark, slices, looked_seq from job order by name")
            .map_err(&sql)?;
        let jobs: rusqlite::Result<Vec<Job>> = select.query_map([], job).map_err(&sql)?.collect();
        jobs.map_err(&sql)
    }

    /// The slices of a job that have a file in the spool, in order of time: rendered and not placed yet, or
    /// placed and being sent again when a run was killed.
    pub fn unfinished(&self, job: &Job) -> Result<Vec<Delivery>, StoreError> {
        self.select(UNFINISHED, params![job.id])
    }

    /// The newest placed revision of each slice that touches the window, in order of time.
    pub fn placed(&self, job: &Job, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.select(
            "where s.job = ?1 and s.state in ('placed', 'verified') and s.end_time > ?2 and s.start_time < ?3
             order by s.start_time, s.rev",
            params![job.id, window.start.micros(), window.end.micros()],
        )
    }

    /// All revisions of one slice, in order.
    pub fn revisions(&self, job: &Job, window: Window) -> Result<Vec<Delivery>, StoreError> {
        self.select(
            "where s.job = ?1 and s.start_time = ?2 and s.end_time = ?3 and s.state <> 'empty' order by s.rev",
            params![job.id, window.start.micros(), window.end.micros()],
        )
    }

    /// Slices delivered by a time whose file is kept.
    pub fn kept_until(&self, job: &Job, time: Timestamp) -> Result<Vec<Delivery>, StoreError> {
        self.select(
            "where s.job = ?1 and s.kept is not null and s.delivered_at <= ?2",
            params![job.id, time.micros()],
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

    /// Where the newest slice of a job went or is to go.
    pub fn last_destination(&self, job: &Job) -> Result<Option<String>, StoreError> {
        let last = self.select(
            "where s.job = ?1 and s.destination is not null order by s.start_time desc, s.rev desc limit 1",
            params![job.id],
        )?;
        Ok(last.into_iter().next().and_then(|slice| slice.destination))
    }

    /// The columns of the last placed slice, for the header of an empty one.
    pub fn last_columns(&self, job: &Job) -> Result<Columns, StoreError> {
        let last = self.select(
            "where s.job = ?1 and s.columns is not null and s.after_seq is null and s.state in ('placed', 'verified')
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

    /// Slices that are due and have no file yet, in order of time.
    pub fn planned(&self, job: &Job) -> Result<Vec<Delivery>, StoreError> {
        self.select(PLANNED, params![job.id])
    }

    pub(crate) fn by_id(&self, id: i64) -> Result<Delivery, StoreError> {
        self.select("where s.id = ?1", params![id])?.into_iter().next().ok_or_else(|| {
            StoreError::Unreadable { path: self.path.to_owned(), what: format!("no slice {id}") }
        })
    }

    pub(crate) fn select(
        &self,
        tail: &str,
        params: impl rusqlite::Params,
    ) -> Result<Vec<Delivery>, StoreError> {
        let sql = self.sql("read the ledger");
        let mut select = self.conn.prepare_cached(&query(tail)).map_err(&sql)?;
        let found: rusqlite::Result<Vec<Delivery>> =
            select.query_map(params, delivery).map_err(&sql)?.collect();
        found.map_err(&sql)
    }
}

fn query(tail: &str) -> String {
    format!("select {COLUMNS} from slice s join job j on j.id = s.job {tail}")
}

impl Snapshot<'_> {
    /// The job of that name, if it ever ran.
    pub fn job(&self, name: &str) -> Result<Option<Job>, StoreError> {
        job_named(&self.tx, name).map_err(sql_error(self.path, "read the job"))
    }
}

fn job_named(conn: &Connection, name: &str) -> rusqlite::Result<Option<Job>> {
    conn.query_row("select id, name, bookmark, slices, looked_seq from job where name = ?1", [name], job)
        .optional()
}

fn job(row: &Row<'_>) -> rusqlite::Result<Job> {
    let bookmark: Option<i64> = row.get(2)?;
    Ok(Job {
        id: row.get(0)?,
        name: row.get(1)?,
        bookmark: bookmark.map(Timestamp::from_micros),
        slices: row.get(3)?,
        looked_seq: row.get(4)?,
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
    let proof: Option<String> = row.get(25)?;
    let rebuilt: Option<String> = row.get(27)?;
    let verified_at = row.get::<_, Option<i64>>(26)?.map(Timestamp::from_micros);
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
        after_seq: row.get(19)?,
        trimmed: row.get(20)?,
        kept: row.get(21)?,
        format: row.get(22)?,
        receipt: row.get(23)?,
        zone_data: row.get(24)?,
        rebuilt: rebuilt.map(|text| text.parse()).transpose().map_err(|e| bad(27, e))?,
        unmatched: row.get(28)?,
        verified: proof.map(|proof| proof.parse()).transpose().map_err(|e| bad(25, e))?.zip(verified_at),
    })
}

pub(crate) fn columns_json(columns: &[Point]) -> String {
    serde_json::Value::from_iter(columns.iter().map(Point::as_str)).to_string()
}

fn columns_from_json(text: &str) -> Result<Columns, String> {
    let names: Vec<String> = serde_json::from_str(text).map_err(|e| e.to_string())?;
    names.iter().map(|name| name.parse()).collect()
}

pub(crate) fn reached_json(reached: &[String]) -> String {
    serde_json::Value::from(reached).to_string()
}

fn reached_from_json(text: &str) -> Result<Vec<String>, String> {
    serde_json::from_str(text).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::many;

    /// A run with nothing due costs the same in ten years: it reads none of the slices that are done with.
    #[test]
    fn what_is_open_is_found_without_reading_what_is_done() {
        let dir = tempfile::tempdir().unwrap();
        let (log, job) = many::slices(
            dir.path(),
            "state, spool",
            "case n when 7 then 'planned' else 'placed' end, case n when 9 then 'x' end",
        );
        for (tail, start) in [(UNFINISHED, 9), (PLANNED, 7)] {
            let mut select = log.conn.prepare(&query(tail)).unwrap();
            let found: Vec<Delivery> =
                select.query_map([job.id], delivery).unwrap().collect::<rusqlite::Result<_>>().unwrap();
            let starts: Vec<i64> = found.iter().map(|slice| slice.window.start.micros()).collect();
            assert_eq!(starts, [start]);
            many::assert_reads_few(&log, &job, &query(tail));
        }
    }
}

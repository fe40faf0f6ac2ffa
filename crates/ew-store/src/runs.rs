//! The last run of each job.

use crate::error::StoreError;
use crate::ledger::Ledger;
use crate::state::SliceState;
use ew_core::{Exit, Timestamp};
use rusqlite::{OptionalExtension, params};
use std::collections::BTreeMap;

/// How the last run of a job ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastRun {
    /// When.
    pub at: Timestamp,
    /// The code of its part of the run.
    pub exit: u8,
    /// Why it failed or could not start.
    pub message: Option<String>,
    /// The last run in which nothing failed.
    pub good_at: Option<Timestamp>,
}

impl Ledger<'_> {
    /// Keeps how a run of a job ended, be it that it never started.
    pub fn record_run(
        &mut self,
        job: &str,
        at: Timestamp,
        exit: Exit,
        message: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = self.sql("record a run");
        let is_good = matches!(exit, Exit::Ok | Exit::NoData);
        self.conn
            .execute(
                "insert into run values (?1, ?2, ?3, ?4, ?5) on conflict do update set
                     at = ?2, exit = ?3, message = ?4, good_at = coalesce(?5, good_at)",
                params![job, at.micros(), exit.code(), message, is_good.then(|| at.micros())],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// How the last run of a job ended; none where it never ran.
    pub fn last_run(&self, job: &str) -> Result<Option<LastRun>, StoreError> {
        self.conn
            .query_row("select at, exit, message, good_at from run where job = ?1", [job], |row| {
                let good_at: Option<i64> = row.get(3)?;
                Ok(LastRun {
                    at: Timestamp::from_micros(row.get(0)?),
                    exit: row.get(1)?,
                    message: row.get(2)?,
                    good_at: good_at.map(Timestamp::from_micros),
                })
            })
            .optional()
            .map_err(self.sql("read the last run"))
    }

    /// How many slices of a job stand where.
    pub fn counts(&self, job: &str) -> Result<BTreeMap<SliceState, u64>, StoreError> {
        let sql = self.sql("count slices");
        let mut select = self
            .conn
            .prepare_cached(
                "select state, count(*) from slice where job = (select id from job where name = ?1) group by state",
            )
            .map_err(&sql)?;
        let mut rows = select.query([job]).map_err(&sql)?;
        let mut found = BTreeMap::new();
        while let Some(row) = rows.next().map_err(&sql)? {
            let state: String = row.get(0).map_err(&sql)?;
            let unreadable = |what| StoreError::Unreadable { path: self.path.to_owned(), what };
            found.insert(state.parse().map_err(unreadable)?, row.get(1).map_err(&sql)?);
        }
        Ok(found)
    }

    /// Why the newest of the job's slices that are not at the receiver as they should be are not.
    pub fn last_reason(&self, job: &str) -> Result<Option<String>, StoreError> {
        self.conn
            .query_row(
                "select reason from slice where job = (select id from job where name = ?1)
                     and (state in ('failed', 'held') or state in ('planned', 'placed', 'superseded') and reason is not null)
                 order by start_time desc, rev desc limit 1",
                [job],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.sql("read the ledger"))
            .map(Option::flatten)
    }
}

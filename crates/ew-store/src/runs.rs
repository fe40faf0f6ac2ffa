//! The last run of each job.

use crate::error::StoreError;
use crate::ledger::{Job, Ledger};
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

// A job has a slice each quarter of an hour for years, and a status is asked for each minute: the indexes are named, so that
// neither reads the slices that are done with.
const OPEN: &str = "select state, count(*) from (
        select state from slice indexed by slice_waiting where job = ?1 and state in ('planned', 'held')
        union all
        select state from slice indexed by slice_unfinished
            where job = ?1 and spool is not null and state in ('rendered', 'sending', 'failed'))
    group by state";
const LAST_REASON: &str = "select reason from slice indexed by slice_reason
    where job = ?1 and reason is not null and state in ('failed', 'held', 'planned', 'placed', 'superseded')
    order by start_time desc, rev desc limit 1";

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

    /// How many slices of a job that are not done with stand where.
    pub fn open(&self, job: &Job) -> Result<BTreeMap<SliceState, u64>, StoreError> {
        let sql = self.sql("count slices");
        let mut select = self.conn.prepare_cached(OPEN).map_err(&sql)?;
        let mut rows = select.query([job.id]).map_err(&sql)?;
        let mut found = BTreeMap::new();
        while let Some(row) = rows.next().map_err(&sql)? {
            let state: String = row.get(0).map_err(&sql)?;
            let unreadable = |what| StoreError::Unreadable { path: self.path.to_owned(), what };
            found.insert(state.parse().map_err(unreadable)?, row.get(1).map_err(&sql)?);
        }
        Ok(found)
    }

    /// Why the newest of the job's slices that are not at the receiver as they should be are not.
    pub fn last_reason(&self, job: &Job) -> Result<Option<String>, StoreError> {
        self.conn
            .query_row(LAST_REASON, [job.id], |row| row.get(0))
            .optional()
            .map_err(self.sql("read the ledger"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::many;

    /// A status costs the same in ten years.
    #[test]
    fn what_is_wrong_is_told_without_reading_what_went_well() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, job) = many::slices(
            dir.path(),
            "state, reason, spool",
            "case n when 5 then 'failed' when 6 then 'planned' when 7 then 'held' when 8 then 'sending'
                 when 9 then 'skipped' else 'placed' end,
             case n when 5 then 'refused' when 7 then 'late' when 9 then 'by hand' end,
             case when n in (5, 8) then 'x' end",
        );
        let ledger = log.ledger();
        let open: Vec<_> = ledger.open(&job).unwrap().into_iter().collect();
        let one_each = [SliceState::Planned, SliceState::Sending, SliceState::Held, SliceState::Failed];
        assert_eq!(open, one_each.map(|state| (state, 1)));
        assert_eq!(ledger.last_reason(&job).unwrap().as_deref(), Some("late"));
        for query in [OPEN, LAST_REASON] {
            many::assert_reads_few(&log, &job, query);
        }
    }
}

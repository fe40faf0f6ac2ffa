//! What a job selected when.

use crate::Snapshot;
use crate::error::StoreError;
use crate::ledger::{Job, Ledger};
use crate::read::sql_error;
use ew_core::{PointGlob, Selection, Timestamp};
use rusqlite::params;

/// The rows that a slice may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// Of these points.
    pub selection: Selection,
    /// At or after this time.
    pub since: Timestamp,
}

impl Ledger<'_> {
    /// Keeps what a job selects now: where it differs from before it counts from the bookmark, or from the
    /// end of what is recorded and not placed yet. Whether it differed.
    pub fn note_scope(&mut self, job: &Job, scope: &Scope) -> Result<bool, StoreError> {
        let sql = self.sql("record what the job selects");
        let before = self.scope_at(job, Timestamp::MAX)?;
        if before.as_ref() == Some(scope) {
            return Ok(false);
        }
        let recorded = self.unfinished(job)?.into_iter().map(|slice| slice.window.end).max();
        let from = match before {
            Some(_) => job.bookmark.max(recorded).unwrap_or(Timestamp::MIN),
            None => Timestamp::MIN,
        };
        let globs = serde_json::Value::from_iter(scope.selection.0.iter().map(PointGlob::as_str)).to_string();
        self.conn
            .execute(
                "insert or replace into selection values (?1, ?2, ?3, ?4)",
                params![job.id, from.micros(), globs, scope.since.micros()],
            )
            .map_err(&sql)?;
        Ok(before.is_some())
    }

    /// What the job selected for slices that start at a time; none where it never ran.
    pub fn scope_at(&self, job: &Job, start: Timestamp) -> Result<Option<Scope>, StoreError> {
        let all = scopes(&Snapshot::begin(self.conn, self.path)?, job)?;
        Ok(all.into_iter().rev().find(|(from, _)| *from <= start).map(|(_, scope)| scope))
    }
}

/// What the job selected, each from when on, in order of time.
pub(crate) fn scopes(snapshot: &Snapshot<'_>, job: &Job) -> Result<Vec<(Timestamp, Scope)>, StoreError> {
    let sql = sql_error(snapshot.path, "read what the job selected");
    let mut select = snapshot
        .tx
        .prepare_cached("select from_time, points, since from selection where job = ?1 order by from_time")
        .map_err(&sql)?;
    let mut rows = select.query([job.id]).map_err(&sql)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next().map_err(&sql)? {
        let from = Timestamp::from_micros(row.get(0).map_err(&sql)?);
        let (globs, since): (String, Option<i64>) = (row.get(1).map_err(&sql)?, row.get(2).map_err(&sql)?);
        let globs: Vec<String> =
            serde_json::from_str(&globs).map_err(|e| snapshot.unreadable(e.to_string()))?;
        let globs: Result<Vec<PointGlob>, String> = globs.iter().map(|glob| glob.parse()).collect();
        let scope = Scope {
            selection: Selection(globs.map_err(|what| snapshot.unreadable(what))?),
            since: since.map_or(Timestamp::MIN, Timestamp::from_micros),
        };
        found.push((from, scope));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Log;

    #[test]
    fn a_change_counts_from_the_bookmark() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(&dir.path().join("ew.db")).unwrap();
        let mut ledger = log.ledger();
        let mut job = ledger.make_job("u").unwrap();
        let scope =
            |glob: &str| Scope { selection: Selection(vec![glob.parse().unwrap()]), since: Timestamp::MIN };
        assert!(!ledger.note_scope(&job, &scope("a")).unwrap());
        job.bookmark = Some(Timestamp::from_secs(900));
        assert!(!ledger.note_scope(&job, &scope("a")).unwrap());
        assert!(ledger.note_scope(&job, &scope("b")).unwrap());
        let at = |secs| ledger.scope_at(&job, Timestamp::from_secs(secs)).unwrap();
        assert_eq!((at(0), at(899)), (Some(scope("a")), Some(scope("a"))));
        assert_eq!((at(900), at(5000)), (Some(scope("b")), Some(scope("b"))));
    }
}

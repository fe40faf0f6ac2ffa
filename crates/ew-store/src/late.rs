//! Rows that came after the slice of their time was planned.

use crate::coverage::{Coverage, Standing};
use crate::error::StoreError;
use crate::ledger::{Job, Ledger};
use crate::read;
use crate::rebuild::Matched;
use crate::selection::Scope;
use crate::{Delivery, SliceState, Snapshot};
use ew_core::{Grid, LateAs, LateRows, Span, Timestamp, Window};
use rusqlite::{TransactionBehavior, params};
use std::collections::BTreeMap;

impl Snapshot<'_> {
    /// The rows before the job's bookmark that none of its slices has, by slice or by slot; and the slices within
    /// `reach` after such a row, whose intervals may count it too.
    ///
    /// Reads only what was committed since the job last looked, so it costs nothing where nothing came late.
    pub fn late(
        &self,
        job: &Job,
        present: &Scope,
        grid: &Grid,
        reach: Span,
    ) -> Result<Vec<LateRows>, StoreError> {
        let sql = read::sql_error(self.path, "look for late rows");
        let stretches = self.written_since(job)?;
        let (Some(first), Some(last)) = (stretches.first(), stretches.last()) else { return Ok(Vec::new()) };
        let end = last.end.plus_micros(reach.micros());
        let hull = Window::new(grid.slot(first.start).start, grid.slot(end).end);
        let coverage = Coverage::load(self, job, present, hull)?;
        let mut select = self
            .tx
            .prepare_cached(
                "select time, point, seq from sample where time >= ?1 and time < ?2 and seq > ?3 order by time",
            )
            .map_err(&sql)?;
        let mut found: BTreeMap<Window, LateRows> = BTreeMap::new();
        for window in stretches {
            let bounds = params![window.start.micros(), window.end.micros(), job.looked_seq];
            let mut rows = select.query(bounds).map_err(&sql)?;
            while let Some(row) = rows.next().map_err(&sql)? {
                let time = Timestamp::from_micros(row.get(0).map_err(&sql)?);
                let (point, seq) = (row.get(1).map_err(&sql)?, row.get(2).map_err(&sql)?);
                if coverage.standing(time, point, seq) != Some(Standing::Late) {
                    continue;
                }
                let (window, before) = match coverage.at(time) {
                    Some(slice) => (slice.window, Some(slice.before())),
                    None => (grid.slot(time).intersect(&coverage.gap(time)), None),
                };
                found.entry(window).or_insert(LateRows { window, rows: 0, lead_in: 0, before }).rows += 1;
                for slice in coverage.after(time, time.plus_micros(reach.micros())) {
                    let (window, before) = (slice.window, Some(slice.before()));
                    let none = LateRows { window, rows: 0, lead_in: 0, before };
                    found.entry(window).or_insert(none).lead_in += 1;
                }
            }
        }
        Ok(found.into_values().collect())
    }

    /// Disjoint stretches of time before the bookmark, in order, that hold all rows committed since the job
    /// last looked.
    fn written_since(&self, job: &Job) -> Result<Vec<Window>, StoreError> {
        let sql = read::sql_error(self.path, "look for late rows");
        let Some(bookmark) = job.bookmark else { return Ok(Vec::new()) };
        let mut select = self
            .tx
            .prepare_cached(
                "select time_min, time_max from batch where last_seq > ?1 and time_min < ?2 order by time_min",
            )
            .map_err(&sql)?;
        let mut rows = select.query(params![job.looked_seq, bookmark.micros()]).map_err(&sql)?;
        let mut found: Vec<Window> = Vec::new();
        while let Some(row) = rows.next().map_err(&sql)? {
            let start = Timestamp::from_micros(row.get(0).map_err(&sql)?);
            let end = Timestamp::from_micros(row.get(1).map_err(&sql)?).plus_micros(1).min(bookmark);
            match found.last_mut() {
                Some(last) if start <= last.end => last.end = last.end.max(end),
                _ => found.push(Window::new(start, end)),
            }
        }
        Ok(found)
    }
}

/// A late slice to record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateSlice {
    /// The rows.
    pub rows: LateRows,
    /// How they go out.
    pub sent_as: LateAs,
}

impl LateSlice {
    /// The revision that they make.
    pub fn rev(&self) -> u32 {
        match (self.rows.before, &self.sent_as) {
            (None, _) => 0,
            (Some(before), LateAs::Joined) => before.rev,
            (Some(before), _) => before.rev + 1,
        }
    }
}

impl Ledger<'_> {
    /// Commits what was found late as slices that are planned or held, the rebuilt slices that turned out to be what
    /// the log gives, and with both the seq up to which the job has looked: from here on none of these rows can be
    /// forgotten, and none is looked at again.
    pub fn record_late(
        &mut self,
        job: &Job,
        as_of_seq: i64,
        late: &[LateSlice],
        matched: &[Matched],
    ) -> Result<(), StoreError> {
        if late.is_empty() && self.nothing_written_since(job)? {
            return Ok(());
        }
        let sql = self.sql("record late rows");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        for matched in matched {
            matched.record(&tx, job, as_of_seq).map_err(&sql)?;
        }
        for slice in late {
            let window = slice.rows.window;
            let (start, end) = (window.start.micros(), window.end.micros());
            let (state, after_seq, reason) = match slice.sent_as {
                LateAs::Joined => {
                    tx.execute(
                        "update slice set as_of_seq = ?4, rows = rows + ?5
                         where job = ?1 and start_time = ?2 and end_time = ?3 and state in ('planned', 'held')",
                        params![job.id, start, end, as_of_seq, slice.rows.rows],
                    )
                    .map_err(&sql)?;
                    continue;
                }
                LateAs::First | LateAs::Whole => (SliceState::Planned, None, None),
                LateAs::Delta { after_seq } => (SliceState::Planned, Some(after_seq), None),
                LateAs::Held { reason } => (SliceState::Held, None, Some(reason)),
            };
            tx.execute(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state, after_seq, reason, rows)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    job.id,
                    start,
                    end,
                    slice.rev(),
                    as_of_seq,
                    state.as_str(),
                    after_seq,
                    reason,
                    slice.rows.count()
                ],
            )
            .map_err(&sql)?;
        }
        tx.execute(
            "update job set looked_seq = max(looked_seq, ?2) where id = ?1",
            params![job.id, as_of_seq],
        )
        .map_err(&sql)?;
        tx.commit().map_err(&sql)
    }

    /// Whether nothing before the bookmark was committed since the job last looked, so that there is no need
    /// to write that it looked.
    fn nothing_written_since(&self, job: &Job) -> Result<bool, StoreError> {
        Snapshot::begin(self.conn, self.path)?.written_since(job).map(|written| written.is_empty())
    }

    /// Cuts a planned slice, the first delivery of its slot, into several that are planned each by itself, with the rows
    /// of each, where that is known.
    pub fn cut(&mut self, slice: &Delivery, parts: &[(Window, Option<u64>)]) -> Result<(), StoreError> {
        let sql = self.sql("cut a slice");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let mut left = slice.rows;
        for (window, rows) in parts {
            // Of the last one it is what the others leave.
            let rows = rows.map_or(left, |rows| rows.min(left));
            left -= rows;
            tx.execute(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state, rows)
                 select job, ?2, ?3, rev, as_of_seq, state, ?4 from slice where id = ?1 and state = 'planned'",
                params![slice.id, window.start.micros(), window.end.micros(), rows],
            )
            .map_err(&sql)?;
        }
        tx.execute("delete from slice where id = ?1 and state = 'planned'", [slice.id]).map_err(&sql)?;
        tx.commit().map_err(&sql)
    }

    /// Why a planned slice has no file; the next run tries again.
    pub fn not_rendered(&mut self, slice: &Delivery, reason: &str) -> Result<(), StoreError> {
        let sql = self.sql("note a failure");
        self.conn
            .execute(
                "update slice set reason = ?2 where id = ?1 and state = 'planned'",
                params![slice.id, reason],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// A planned slice whose rows can no longer be sent as planned waits for a person.
    pub fn hold(&mut self, slice: &Delivery, reason: &str) -> Result<(), StoreError> {
        let sql = self.sql("hold a slice");
        self.conn
            .execute(
                "update slice set state = 'held', reason = ?2 where id = ?1 and state = 'planned'",
                params![slice.id, reason],
            )
            .map_err(&sql)?;
        Ok(())
    }
}

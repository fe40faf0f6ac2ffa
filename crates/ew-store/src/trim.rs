//! Old rows leave the log; what a job has not delivered stays.

use crate::Snapshot;
use crate::coverage::{Coverage, Standing};
use crate::error::StoreError;
use crate::ledger::Job;
use crate::log::Log;
use crate::read::sql_error;
use crate::selection::Scope;
use ew_core::{Grid, Span, Timestamp, Window};
use rusqlite::{OptionalExtension, Transaction, TransactionBehavior, params};
use std::collections::BTreeSet;

/// A job that rows may still be owed to.
#[derive(Debug, Clone)]
pub struct Owed {
    /// The job's name.
    pub name: String,
    /// What it selects now.
    pub scope: Scope,
    /// Its slots.
    pub grid: Grid,
    /// Rows so long before a slice count in it too.
    pub lead_in: Span,
}

/// Rows before a time that a job has not delivered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// How many, each once.
    pub rows: u64,
    /// The earliest.
    pub first: Timestamp,
    /// The jobs that they are owed to.
    pub jobs: Vec<String>,
}

/// What a trim did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Trimmed {
    /// Rows that went.
    pub rows: u64,
    /// Rows before the time that stayed, because a job has not delivered them.
    pub kept: u64,
    /// Discoveries of buses that went.
    pub discoveries: u64,
}

/// So many discoveries of each bus stay, however old: those that are compared.
const DISCOVERIES_KEPT: u32 = 2;

/// Rows of one transaction: polls wait no longer than it takes.
const CHUNK_ROWS: u32 = 50_000;

/// What each job has, for telling whether a row may go.
struct Claims {
    jobs: Vec<Claim>,
}

struct Claim {
    job: i64,
    name: String,
    coverage: Coverage,
    /// Slices that late rows are about to open again.
    reopened: BTreeSet<Window>,
    lead_in: Span,
}

impl Claims {
    fn load(snapshot: &Snapshot<'_>, owed: &[Owed]) -> Result<Claims, StoreError> {
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        let one = |owed: &Owed| {
            let job = snapshot.job(&owed.name)?.unwrap_or_else(|| Job::never_ran(&owed.name));
            let coverage = Coverage::load(snapshot, &job, &owed.scope, all)?;
            let late = snapshot.late(&job, &owed.scope, &owed.grid, owed.lead_in)?;
            Ok(Claim {
                job: job.id,
                name: owed.name.clone(),
                coverage,
                reopened: late.into_iter().map(|late| late.window).collect(),
                lead_in: owed.lead_in,
            })
        };
        Ok(Claims { jobs: owed.iter().map(one).collect::<Result<_, StoreError>>()? })
    }

    /// The jobs that have not delivered a row, or need it to render a revision.
    fn of(&self, time: Timestamp, point: i64, seq: i64) -> impl Iterator<Item = &str> {
        let is_claimed = move |claim: &&Claim| match claim.coverage.standing(time, point, seq) {
            None | Some(Standing::BeforeSince | Standing::Skipped) => false,
            Some(Standing::Placed) => claim
                .coverage
                .at(time)
                .is_some_and(|slice| !slice.is_settled() || claim.reopened.contains(&slice.window)),
            Some(_) => true,
        };
        self.jobs.iter().filter(is_claimed).map(|claim| claim.name.as_str())
    }

    /// Whether a row counts in intervals of slices that keep their rows.
    fn is_lead_in(&self, time: Timestamp, point: i64, seq: i64, before: Timestamp) -> bool {
        self.jobs.iter().any(|claim| {
            claim.lead_in.micros() > 0
                && time.plus_micros(claim.lead_in.micros()) >= before
                && claim.coverage.standing(time, point, seq).is_some()
        })
    }
}

impl Snapshot<'_> {
    /// The rows before a time that some job has not delivered; none where all are.
    pub fn undelivered(&self, before: Timestamp, owed: &[Owed]) -> Result<Option<Undelivered>, StoreError> {
        let sql = sql_error(self.path, "look for undelivered rows");
        let claims = Claims::load(self, owed)?;
        let mut select = self
            .tx
            .prepare_cached("select time, point, seq from sample where time < ?1 order by time")
            .map_err(&sql)?;
        let mut rows = select.query([before.micros()]).map_err(&sql)?;
        let mut found: Option<Undelivered> = None;
        while let Some(row) = rows.next().map_err(&sql)? {
            let time = Timestamp::from_micros(row.get(0).map_err(&sql)?);
            let (point, seq) = (row.get(1).map_err(&sql)?, row.get(2).map_err(&sql)?);
            let mut jobs = claims.of(time, point, seq).peekable();
            if jobs.peek().is_none() {
                continue;
            }
            let found = found.get_or_insert_with(|| Undelivered { rows: 0, first: time, jobs: Vec::new() });
            found.rows += 1;
            for job in jobs {
                if !found.jobs.iter().any(|known| known == job) {
                    found.jobs.push(job.to_owned());
                }
            }
        }
        Ok(found)
    }
}

impl Log {
    /// Removes the rows before a time, with their history, except those that a job has not delivered; with
    /// `force` those too. A slice that lost rows, or rows before it that its intervals count, is marked, and is never
    /// rendered again. Discoveries of buses from before the time go too, but for the newest two of each.
    ///
    /// The jobs' locks must be held: a slice that is being rendered would lose rows.
    pub fn trim(
        &mut self,
        before: Timestamp,
        owed: &[Owed],
        force: bool,
        now: Timestamp,
    ) -> Result<Trimmed, StoreError> {
        let sql = sql_error(&self.path, "trim");
        let claims = Claims::load(&self.snapshot()?, owed)?;
        self.conn
            .execute_batch(
                "create temp table if not exists keep (time integer, point integer, primary key (time, point)) without rowid",
            )
            .map_err(&sql)?;
        let (mut done, mut forced, mut from) = (Trimmed::default(), 0, Timestamp::MIN);
        while from < before {
            let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
            let to = chunk_end(&tx, from, before).map_err(&sql)?;
            let chunk = Chunk { tx: &tx, claims: &claims, window: Window::new(from, to), before, force };
            let (trimmed, owed) = chunk.trim().map_err(&sql)?;
            tx.commit().map_err(&sql)?;
            done.rows += trimmed.rows;
            done.kept += trimmed.kept;
            forced += owed;
            from = to;
        }
        if done.rows > 0 {
            self.conn
                .execute(
                    "insert into trim (at, before_time, rows, undelivered) values (?1, ?2, ?3, ?4)",
                    params![now.micros(), before.micros(), done.rows, forced],
                )
                .map_err(&sql)?;
        }
        done.discoveries = self
            .conn
            .execute(
                "delete from discovery where at < ?1 and (select count(*) from discovery newer
                     where newer.bus = discovery.bus and newer.id > discovery.id) >= ?2",
                params![before.micros(), DISCOVERIES_KEPT],
            )
            .map_err(&sql)? as u64;
        // A job that has looked past a batch never asks for it again.
        self.conn
            .execute(
                "delete from batch where time_max < ?1 and last_seq <= (select min(looked_seq) from job)",
                [before.micros()],
            )
            .map_err(&sql)?;
        Ok(done)
    }
}

/// The end of a stretch from `from` that holds about [`CHUNK_ROWS`], and all rows of its last instant.
fn chunk_end(tx: &Transaction<'_>, from: Timestamp, before: Timestamp) -> rusqlite::Result<Timestamp> {
    let next: Option<i64> = tx
        .prepare_cached(
            "select time from sample where time >= ?1 and time < ?2 order by time limit 1 offset ?3",
        )?
        .query_row(params![from.micros(), before.micros(), CHUNK_ROWS], |row| row.get(0))
        .optional()?;
    Ok(next.map_or(before, |time| Timestamp::from_micros(time).max(from.plus_micros(1))))
}

struct Chunk<'a> {
    tx: &'a Transaction<'a>,
    claims: &'a Claims,
    window: Window,
    /// Where the whole trim ends.
    before: Timestamp,
    force: bool,
}

impl Chunk<'_> {
    /// What it did, and how many of the rows that went were owed to a job.
    fn trim(&self) -> rusqlite::Result<(Trimmed, u64)> {
        let bounds = [self.window.start.micros(), self.window.end.micros()];
        self.tx.execute("delete from temp.keep", [])?;
        let mut keep = self.tx.prepare_cached("insert into temp.keep values (?1, ?2)")?;
        let mut select =
            self.tx.prepare_cached("select time, point, seq from sample where time >= ?1 and time < ?2")?;
        let mut rows = select.query(bounds)?;
        let (mut done, mut forced) = (Trimmed::default(), 0);
        let mut cut: BTreeSet<(i64, Window)> = BTreeSet::new();
        while let Some(row) = rows.next()? {
            let (micros, point, seq): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let time = Timestamp::from_micros(micros);
            let is_owed = self.claims.of(time, point, seq).next().is_some();
            let is_needed = is_owed || self.claims.is_lead_in(time, point, seq, self.before);
            if is_needed && !self.force {
                keep.execute(params![micros, point])?;
                done.kept += 1;
                continue;
            }
            forced += u64::from(is_owed);
            for Claim { job, coverage, lead_in, .. } in &self.claims.jobs {
                if matches!(coverage.standing(time, point, seq), None | Some(Standing::BeforeSince)) {
                    continue;
                }
                cut.extend(coverage.at(time).map(|slice| (*job, slice.window)));
                if lead_in.micros() > 0 {
                    // Rendered again, their first interval would begin without it.
                    let after = coverage.after(time, time.plus_micros(lead_in.micros()));
                    cut.extend(after.map(|slice| (*job, slice.window)));
                }
            }
        }
        for (job, window) in cut {
            self.tx
                .prepare_cached(
                    "update slice set trimmed = 1 where job = ?1 and start_time = ?2 and end_time = ?3",
                )?
                .execute(params![job, window.start.micros(), window.end.micros()])?;
        }
        let remove = |table: &str| {
            self.tx.execute(
                &format!(
                    "delete from {table} where time >= ?1 and time < ?2 and not exists
                     (select 1 from temp.keep k where k.time = {table}.time and k.point = {table}.point)"
                ),
                bounds,
            )
        };
        done.rows = remove("sample")? as u64;
        remove("correction")?;
        remove("poll_detail")?;
        if done.rows > 0 {
            self.mark_of_others(bounds)?;
        }
        Ok((done, forced))
    }

    /// What a job that is not in the configuration selected is not looked at: all of its slices here count as cut.
    fn mark_of_others(&self, bounds: [i64; 2]) -> rusqlite::Result<()> {
        let known: Vec<String> = self.claims.jobs.iter().map(|claim| claim.job.to_string()).collect();
        self.tx.execute(
            &format!(
                "update slice set trimmed = 1 where end_time > ?1 and start_time < ?2 and rows > 0
                     and state <> 'empty' and job not in ({})",
                known.join(", ")
            ),
            bounds,
        )?;
        Ok(())
    }
}

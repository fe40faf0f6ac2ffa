//! Does the ledger account for every row?

use crate::Snapshot;
use crate::coverage::{Coverage, Sent, Standing};
use crate::error::StoreError;
use crate::ledger::Job;
use crate::read::{Seqs, sql_error};
use crate::selection::Scope;
use ew_core::{Timestamp, Window};
use std::collections::{BTreeMap, HashSet};
use std::fmt;

/// How many faults are named at most.
const FAULTS_MAX: usize = 20;

/// Where the rows of a job stand.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// How many rows of the log stand where.
    pub rows: BTreeMap<Standing, u64>,
    /// Rows that were delivered and are trimmed from the log.
    pub trimmed: u64,
    /// Rebuilt slices whose file the log does not give.
    pub unmatched: u64,
    /// Rows that were trimmed by force before they were delivered, of whichever job.
    pub forced: u64,
    /// What does not balance; the first of them.
    pub faults: Vec<Fault>,
    /// How many there are in all.
    pub fault_count: u64,
}

/// Something that does not balance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// A row that no slice has, though the job looked past it.
    Lost {
        /// Its time.
        time: Timestamp,
        /// Its point.
        point: String,
    },
    /// A slice holds another number of rows than the log gives for it as it was when it was planned.
    Count {
        /// The slice.
        window: Window,
        /// Rows by the ledger.
        ledger: u64,
        /// Rows that the log gives.
        log: u64,
    },
    /// Two slices share a stretch of time, so a row can be in both.
    Overlap {
        /// The later one.
        window: Window,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Lost { time, point } => write!(f, "{point} at {time} is in no slice"),
            Fault::Count { window, ledger, log } => write!(
                f,
                "the slice from {} to {} was sent with {ledger} rows, and the log had {log}",
                window.start, window.end
            ),
            Fault::Overlap { window } => {
                write!(f, "the slice from {} to {} overlaps the one before it", window.start, window.end)
            }
        }
    }
}

impl Audit {
    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < FAULTS_MAX {
            self.faults.push(fault);
        }
    }
}

impl Sent {
    fn is_resampled(&self) -> bool {
        self.intervals.is_some_and(|intervals| intervals > 0)
    }

    /// The rows of the file by what the log had for it: so many rows, or points of which each has one an interval. A
    /// wide file has a column also for a point without a row.
    fn rows_of(&self, held: u64) -> u64 {
        match self.intervals {
            Some(intervals) if intervals > 0 && held > 0 => held.max(self.columns.unwrap_or(0)) * intervals,
            _ => held,
        }
    }
}

/// One of the values that a reading had.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Version {
    /// The seq of its commit.
    pub seq: i64,
    /// The value.
    pub value: Option<f64>,
}

impl Snapshot<'_> {
    /// What a point was at a time, corrections included, oldest first.
    pub fn versions(&self, point: &str, time: Timestamp) -> Result<Vec<Version>, StoreError> {
        let sql = sql_error(self.path, "read a reading");
        let mut select = self
            .tx
            .prepare_cached(
                "select seq, value from sample where time = ?1 and point = (select id from point where name = ?2)
                 union all
                 select seq, value from correction where time = ?1 and point = (select id from point where name = ?2)
                 order by seq",
            )
            .map_err(&sql)?;
        let version = |row: &rusqlite::Row<'_>| Ok(Version { seq: row.get(0)?, value: row.get(1)? });
        let found: rusqlite::Result<Vec<Version>> =
            select.query_map(rusqlite::params![time.micros(), point], version).map_err(&sql)?.collect();
        found.map_err(&sql)
    }

    /// Accounts for every row of the log that a job selects. Where rows were trimmed, numbers are not compared;
    /// nor, for a job that is `resampled`, those of a slice from before its intervals were kept.
    pub fn audit(&self, job: &Job, present: &Scope, resampled: bool) -> Result<Audit, StoreError> {
        let sql = sql_error(self.path, "audit");
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        let coverage = Coverage::load(self, job, present, all)?;
        let mut audit = Audit { forced: self.forced()?, ..Audit::default() };
        for window in &coverage.overlaps {
            audit.fault(Fault::Overlap { window: *window });
        }
        // Rows of the log in each file as it was planned, by the place of its slice in the coverage; of a file of
        // intervals its points.
        let mut held: Vec<Vec<u64>> =
            coverage.stretches.iter().map(|slice| vec![0; slice.sent.len()]).collect();
        let (mut present, mut points) = (None, HashSet::new());
        let mut select =
            self.tx.prepare_cached("select time, point, seq from sample order by time").map_err(&sql)?;
        let mut rows = select.query([]).map_err(&sql)?;
        while let Some(row) = rows.next().map_err(&sql)? {
            let time = Timestamp::from_micros(row.get(0).map_err(&sql)?);
            let (point, seq) = (row.get(1).map_err(&sql)?, row.get(2).map_err(&sql)?);
            let Some(standing) = coverage.standing(time, point, seq) else { continue };
            *audit.rows.entry(standing).or_default() += 1;
            if standing == Standing::Lost {
                audit.fault(Fault::Lost { time, point: self.point_name(point)? });
            }
            if standing != Standing::BeforeSince
                && let Some((index, stretch)) = coverage.slice(time)
            {
                if present.replace(index) != Some(index) {
                    points.clear();
                }
                for (file, (sent, held)) in stretch.sent.iter().zip(&mut held[index]).enumerate() {
                    let is_there = self.was_there(sent, time, point, seq)?;
                    *held += u64::from(is_there && (!sent.is_resampled() || points.insert((file, point))));
                }
            }
        }
        for (stretch, held) in coverage.stretches.iter().zip(held) {
            audit.unmatched += u64::from(stretch.is_unmatched());
            for (sent, held) in stretch.sent.iter().zip(held) {
                let is_unknown = resampled && sent.intervals.is_none();
                let log = sent.rows_of(held);
                if stretch.is_trimmed() {
                    let is_of_log = !sent.is_resampled() && !is_unknown;
                    audit.trimmed += if is_of_log { sent.rows.saturating_sub(log) } else { 0 };
                } else if !stretch.is_unmatched() && !is_unknown && sent.rows != log {
                    audit.fault(Fault::Count { window: stretch.window, ledger: sent.rows, log });
                }
            }
        }
        Ok(audit)
    }

    /// Whether a file has a row, as it is or as it was before a correction.
    fn was_there(&self, sent: &Sent, time: Timestamp, point: i64, seq: i64) -> Result<bool, StoreError> {
        let Seqs { after, up_to } = sent.seqs;
        Ok(match seq <= up_to {
            true => seq > after,
            false => self.before(time, point, sent.seqs)?.is_some(),
        })
    }

    fn point_name(&self, id: i64) -> Result<String, StoreError> {
        self.tx
            .query_row("select name from point where id = ?1", [id], |row| row.get(0))
            .map_err(sql_error(self.path, "read point names"))
    }

    fn forced(&self) -> Result<u64, StoreError> {
        self.tx
            .query_row("select coalesce(sum(undelivered), 0) from trim", [], |row| row.get(0))
            .map_err(sql_error(self.path, "audit"))
    }
}

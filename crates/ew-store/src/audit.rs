//! Does the ledger account for every row?

use crate::Snapshot;
use crate::coverage::{Coverage, Sent, Standing};
use crate::error::StoreError;
use crate::ledger::Job;
use crate::read::{Seqs, sql_error};
use crate::selection::Scope;
use ew_core::{Timestamp, Window};
use std::collections::BTreeMap;
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
    /// A slice holds another number of rows than the log had when it was planned.
    Count {
        /// The slice.
        window: Window,
        /// Rows by the ledger.
        ledger: u64,
        /// Rows by the log.
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

    /// Accounts for every row of the log that a job selects. `counts` says that slices hold the log's rows as
    /// they are, so that their numbers can be compared.
    pub fn audit(&self, job: &Job, present: &Scope, counts: bool) -> Result<Audit, StoreError> {
        let sql = sql_error(self.path, "audit");
        let all = Window::new(Timestamp::MIN, Timestamp::MAX);
        let coverage = Coverage::load(self, job, present, all)?;
        let mut audit = Audit { forced: self.forced()?, ..Audit::default() };
        for window in &coverage.overlaps {
            audit.fault(Fault::Overlap { window: *window });
        }
        // Rows of the log in each file as it was planned, by the place of its slice in the coverage.
        let mut held: Vec<Vec<u64>> =
            coverage.stretches.iter().map(|slice| vec![0; slice.sent.len()]).collect();
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
                for (sent, held) in stretch.sent.iter().zip(&mut held[index]) {
                    *held += u64::from(self.was_there(sent, time, point, seq)?);
                }
            }
        }
        for (stretch, held) in coverage.stretches.iter().zip(held) {
            for (sent, held) in stretch.sent.iter().zip(held) {
                if stretch.is_trimmed() {
                    audit.trimmed += sent.rows.saturating_sub(held);
                } else if counts && sent.rows != held {
                    audit.fault(Fault::Count { window: stretch.window, ledger: sent.rows, log: held });
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

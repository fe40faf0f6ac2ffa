//! For tests: a job with the slices of years, and what a query may cost there.

use crate::{Job, Log};
use rusqlite::StatementStatus;
use std::path::Path;

/// How many slices the job has.
const SLICES: u32 = 2001;

/// A log with a job of many slices of one microsecond each, numbered `n` from 0; `columns` are set to `values`, SQL.
pub(crate) fn slices(dir: &Path, columns: &str, values: &str) -> (Log, Job) {
    let mut log = Log::open(&dir.join("ew.db")).unwrap();
    let job = log.ledger().make_job("utility").unwrap();
    let insert = format!(
        "with recursive n (n) as (select 0 union all select n + 1 from n where n + 1 < {SLICES})
         insert into slice (job, start_time, end_time, rev, as_of_seq, {columns}) select ?1, n, n + 1, 0, 0, {values} from n"
    );
    log.conn.execute(&insert, [job.id]).unwrap();
    (log, job)
}

/// A query of the job reads few of its slices.
pub(crate) fn assert_reads_few(log: &Log, job: &Job, query: &str) {
    let mut select = log.conn.prepare(query).unwrap();
    select.query_map([job.id], |_| Ok(())).unwrap().for_each(drop);
    let steps = select.get_status(StatementStatus::VmStep);
    assert!(steps < 500, "{steps} steps with {SLICES} slices: {query}");
}

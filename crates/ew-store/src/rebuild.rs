//! A ledger made anew from what is at the receiver.

use crate::error::StoreError;
use crate::ledger::{Job, Ledger, columns_json};
use crate::selection::Scope;
use crate::state::SliceState;
use ew_core::{Columns, Timestamp, Window};
use rusqlite::{TransactionBehavior, params};

/// One row of a rebuilt ledger.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuilt {
    /// Its window.
    pub window: Window,
    /// Its revision.
    pub rev: u32,
    /// Placed, superseded, held or empty.
    pub state: SliceState,
    /// Rows of the log up to this seq are in it.
    pub as_of_seq: i64,
    /// Of a held one: why.
    pub reason: Option<String>,
    /// The log does not have its rows, so it can never be rendered again.
    pub trimmed: bool,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// Its number within the job.
    pub count: Option<i64>,
    /// Samples in it.
    pub rows: u64,
    /// The file, where there is one.
    pub file: Option<RebuiltFile>,
}

/// The file of a slice as it was found.
#[derive(Debug, Clone, PartialEq)]
pub struct RebuiltFile {
    /// Its name at the receiver.
    pub name: String,
    /// Further names there that are its own, as that of its manifest.
    pub beside: Option<String>,
    /// Its size, where that is told.
    pub bytes: Option<u64>,
    /// Its SHA-256, lower-case hex, where it could be read back.
    pub sha256: Option<String>,
    /// The formatter and its version, where rendered again it is the very same.
    pub format: Option<String>,
    /// Version of the zone rules of that rendering.
    pub zone_data: Option<String>,
    /// What is known of it, JSON.
    pub receipt: String,
    /// The file as it was kept, below the folder of kept files.
    pub kept: Option<String>,
}

impl Ledger<'_> {
    /// Commits all that was found of a job at its receiver: slices, names, and the bookmark, which is the latest
    /// end of them. The job has no slice yet.
    pub fn rebuild(
        &mut self,
        job: &str,
        scope: &Scope,
        destination: &str,
        as_of_seq: i64,
        slices: &[Rebuilt],
        at: Timestamp,
    ) -> Result<Job, StoreError> {
        let known = self.make_job(job)?;
        self.note_scope(&known, scope)?;
        let sql = self.sql("rebuild the ledger");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        for slice in slices {
            let (start, end) = (slice.window.start.micros(), slice.window.end.micros());
            let columns = slice.columns.as_ref().map(|columns| columns_json(columns));
            tx.prepare_cached(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state, reason, trimmed, columns, count, rows)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
            )
            .and_then(|mut insert| {
                insert.execute(params![
                    known.id,
                    start,
                    end,
                    slice.rev,
                    slice.as_of_seq,
                    slice.state.as_str(),
                    slice.reason,
                    slice.trimmed,
                    columns,
                    slice.count,
                    slice.rows
                ])
            })
            .map_err(&sql)?;
            let Some(file) = &slice.file else { continue };
            let id = tx.last_insert_rowid();
            tx.prepare_cached(
                "update slice set name = ?2, bytes = ?3, sha256 = ?4, format = ?5, zone_data = ?6, receipt = ?7,
                     kept = ?8, destination = ?9, delivered_at = ?10 where id = ?1",
            )
            .and_then(|mut update| {
                update.execute(params![
                    id,
                    file.name,
                    file.bytes,
                    file.sha256,
                    file.format,
                    file.zone_data,
                    file.receipt,
                    file.kept,
                    destination,
                    at.micros()
                ])
            })
            .map_err(&sql)?;
            for name in std::iter::once(&file.name).chain(&file.beside) {
                tx.prepare_cached("insert into file_name values (?1, ?2, ?3, ?4, ?5) on conflict do nothing")
                    .and_then(|mut insert| insert.execute(params![destination, name, known.id, start, end]))
                    .map_err(&sql)?;
            }
        }
        let placed = slices.iter().filter(|slice| slice.state == SliceState::Placed);
        let bookmark = placed.map(|slice| slice.window.end.micros()).max();
        let count = slices.iter().filter_map(|slice| slice.count).max().unwrap_or(0);
        tx.execute(
            "update job set bookmark = ?2, looked_seq = ?3, slices = ?4 where id = ?1",
            params![known.id, bookmark, as_of_seq, count],
        )
        .map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(self.job(job)?.unwrap_or(known))
    }
}

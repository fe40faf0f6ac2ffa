//! A ledger made anew from what is at the receiver.

use crate::beside::{self, Document};
use crate::error::StoreError;
use crate::ledger::{Job, Ledger, columns_json};
use crate::selection::Scope;
use crate::state::SliceState;
use ew_core::{Columns, Timestamp, Window};
use rusqlite::{Transaction, TransactionBehavior, params};
use std::str::FromStr;

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
    /// Of the placed one: what tells that the log gives its file.
    pub told_by: Option<ToldBy>,
    /// The log does not give its file.
    pub unmatched: bool,
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
    /// What lies beside it, as it was read back.
    pub beside: Vec<Document>,
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

/// All that was found of a job.
#[derive(Debug)]
pub struct FoundThere<'a> {
    /// At this receiver.
    pub destination: &'a str,
    /// Rows up to this seq were looked at.
    pub as_of_seq: i64,
    /// In order of time.
    pub slices: &'a [Rebuilt],
    /// The file whose manifest the next one follows.
    pub newest_manifest: Option<&'a str>,
    /// When.
    pub at: Timestamp,
}

/// What tells that the log gives the file of a rebuilt slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToldBy {
    /// The hash of the file, or its size where that is all that is known.
    File,
    /// The number of its rows: the file holds only some of them, and earlier files the others.
    Rows,
}

impl ToldBy {
    fn as_str(self) -> &'static str {
        match self {
            ToldBy::File => "file",
            ToldBy::Rows => "rows",
        }
    }
}

impl FromStr for ToldBy {
    type Err = String;

    fn from_str(text: &str) -> Result<ToldBy, String> {
        let known = [ToldBy::File, ToldBy::Rows].into_iter().find(|known| known.as_str() == text);
        known.ok_or_else(|| format!("what tells the file of a slice: {text:?}"))
    }
}

/// A rebuilt slice for which rows came: the log gives the file that the receiver has.
#[derive(Debug, Clone, PartialEq)]
pub struct Matched {
    /// The slice.
    pub window: Window,
    /// Samples in it.
    pub rows: u64,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// The formatter and its version, where it gives the very file.
    pub format: Option<String>,
    /// Version of the zone rules of that rendering.
    pub zone_data: Option<String>,
}

impl Matched {
    /// What was held for it is at the receiver.
    pub(crate) fn record(&self, tx: &Transaction<'_>, job: &Job, as_of_seq: i64) -> rusqlite::Result<()> {
        let (start, end) = (self.window.start.micros(), self.window.end.micros());
        let columns = self.columns.as_ref().map(|columns| columns_json(columns));
        tx.execute(
            "update slice set unmatched = 0, trimmed = 0, as_of_seq = ?4, rows = ?5, columns = ?6, format = ?7,
                 zone_data = ?8
             where job = ?1 and start_time = ?2 and end_time = ?3 and rebuilt is not null
                 and state in ('placed', 'verified')",
            params![job.id, start, end, as_of_seq, self.rows, columns, self.format, self.zone_data],
        )?;
        tx.execute(
            "delete from slice where job = ?1 and start_time = ?2 and end_time = ?3 and state in ('planned', 'held')",
            params![job.id, start, end],
        )?;
        Ok(())
    }
}

impl Ledger<'_> {
    /// Commits all that was found of a job at its receiver: slices, names, and the bookmark, which is the latest
    /// end of them. The job has no slice yet.
    pub fn rebuild(&mut self, job: &str, scope: &Scope, found: &FoundThere<'_>) -> Result<Job, StoreError> {
        let FoundThere { destination, as_of_seq, slices, newest_manifest, at } = *found;
        let known = self.make_job(job)?;
        self.note_scope(&known, scope)?;
        let sql = self.sql("rebuild the ledger");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let mut documents = Vec::new();
        for slice in slices {
            let (start, end) = (slice.window.start.micros(), slice.window.end.micros());
            let columns = slice.columns.as_ref().map(|columns| columns_json(columns));
            tx.prepare_cached(
                "insert into slice (job, start_time, end_time, rev, as_of_seq, state, reason, trimmed, columns, count, rows, rebuilt,
                     unmatched)
                 values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
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
                    slice.rows,
                    slice.told_by.map(ToldBy::as_str),
                    slice.unmatched
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
            let beside = file.beside.iter().map(|document| document.kind.name(&file.name));
            for name in std::iter::once(file.name.clone()).chain(beside) {
                tx.prepare_cached("insert into file_name values (?1, ?2, ?3, ?4, ?5) on conflict do nothing")
                    .and_then(|mut insert| insert.execute(params![destination, name, known.id, start, end]))
                    .map_err(&sql)?;
            }
            documents
                .extend(file.beside.iter().map(|one| (newest_manifest == Some(file.name.as_str()), id, one)));
        }
        // The order of the ids of manifests is that in which they follow each other, so the newest is the last.
        documents.sort_by_key(|(is_newest, ..)| *is_newest);
        for (_, slice, document) in documents {
            beside::keep(&tx, slice, document).map_err(&sql)?;
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

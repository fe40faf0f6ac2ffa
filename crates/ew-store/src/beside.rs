//! Names at a receiver, and the documents that lie beside files there.

use crate::error::StoreError;
use crate::ledger::{Delivery, Job, Ledger};
use crate::record::NewSlice;
use ew_core::{Window, insert_before_extension};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// What may lie beside a file, in the order in which it follows: with the manifest all is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Beside {
    /// How the file is to be read, by W3C's CSV on the Web.
    Metadata,
    /// What is in it, and which manifest came before.
    Manifest,
}

impl Beside {
    /// All of them.
    pub const ALL: [Beside; 2] = [Beside::Metadata, Beside::Manifest];

    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Beside::Metadata => "metadata",
            Beside::Manifest => "manifest",
        }
    }

    /// What it adds to the name of its file.
    pub fn suffix(self) -> &'static str {
        match self {
            // Where readers look for it: Model for Tabular Data, section 5.3.
            Beside::Metadata => "-metadata.json",
            Beside::Manifest => ".manifest.json",
        }
    }

    /// The name that it has beside a file.
    pub fn name(self, file: &str) -> String {
        format!("{file}{}", self.suffix())
    }

    /// The file that a document of this name would lie beside.
    pub fn file_of(name: &str) -> Option<&str> {
        Beside::ALL.into_iter().find_map(|kind| name.strip_suffix(kind.suffix()))
    }
}

/// A document beside a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Document {
    /// Which.
    pub kind: Beside,
    /// Its bytes.
    pub text: String,
}

/// A name that a slice wants at a destination.
pub(crate) struct Claim<'a> {
    pub(crate) job: i64,
    pub(crate) window: Window,
    pub(crate) destination: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ext: &'a str,
    /// It wants those of its documents too.
    pub(crate) beside: Vec<Beside>,
}

impl<'a> Claim<'a> {
    pub(crate) fn of(job: &Job, slice: &'a NewSlice) -> Claim<'a> {
        Claim {
            job: job.id,
            window: slice.window,
            destination: &slice.destination,
            name: &slice.name,
            ext: &slice.ext,
            beside: kinds(&slice.beside),
        }
    }
}

/// The first of `name`, `name_2`, `name_3` … that is free at the destination or already this slice's.
pub(crate) fn claim_name(tx: &Transaction<'_>, claim: &Claim<'_>) -> rusqlite::Result<String> {
    let mut claimed = claim.name.to_owned();
    for n in 2.. {
        let mut is_free = is_owned(tx, claim, &claimed)?;
        for kind in &claim.beside {
            is_free = is_free && is_owned(tx, claim, &kind.name(&claimed))?;
        }
        if is_free {
            break;
        }
        claimed = insert_before_extension(claim.name, &format!("_{n}"), claim.ext);
    }
    Ok(claimed)
}

/// Whether a name is this slice's, which it becomes where it was nobody's.
fn is_owned(tx: &Transaction<'_>, claim: &Claim<'_>, name: &str) -> rusqlite::Result<bool> {
    let owner = (claim.job, claim.window.start.micros(), claim.window.end.micros());
    tx.prepare_cached("insert into file_name values (?1, ?2, ?3, ?4, ?5) on conflict do nothing")?
        .execute(params![claim.destination, name, owner.0, owner.1, owner.2])?;
    let found: (i64, i64, i64) = tx
        .prepare_cached(
            "select job, start_time, end_time from file_name where destination = ?1 and name = ?2",
        )?
        .query_row(params![claim.destination, name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    Ok(found == owner)
}

/// Which they are.
pub(crate) fn kinds(documents: &[Document]) -> Vec<Beside> {
    documents.iter().map(|document| document.kind).collect()
}

/// What lies beside a slice's file, in order.
pub(crate) fn read(conn: &Connection, slice: i64) -> rusqlite::Result<Vec<Document>> {
    let mut documents = Vec::new();
    for kind in Beside::ALL {
        let sql = match kind {
            Beside::Metadata => "select text from metadata where slice = ?1",
            Beside::Manifest => "select text from manifest where slice = ?1",
        };
        let text = conn.prepare_cached(sql)?.query_row([slice], |row| row.get(0)).optional()?;
        documents.extend(text.map(|text| Document { kind, text }));
    }
    Ok(documents)
}

/// Keeps a document of a slice.
pub(crate) fn keep(conn: &Connection, slice: i64, document: &Document) -> rusqlite::Result<()> {
    let sql = match document.kind {
        Beside::Metadata => "insert into metadata (slice, text) values (?1, ?2)",
        Beside::Manifest => "insert into manifest (slice, text) values (?1, ?2)",
    };
    conn.prepare_cached(sql)?.execute(params![slice, document.text])?;
    Ok(())
}

// Each slice asks for it. The order of the join is fixed: SQLite would rather read all slices that the job ever had, and
// sort them.
const LAST_MANIFEST: &str = "select s.name, m.text from manifest m cross join slice s on s.id = m.slice
    where s.job = ?1 and s.state <> 'skipped' order by m.id desc limit 1";

impl Ledger<'_> {
    /// Claims the name of a slice and those of the documents beside it, which have to say it. The name.
    pub fn claim(&mut self, job: &Job, slice: &NewSlice, beside: &[Beside]) -> Result<String, StoreError> {
        let sql = self.sql("claim a name");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let claim = Claim { beside: beside.to_vec(), ..Claim::of(job, slice) };
        let name = claim_name(&tx, &claim).map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(name)
    }

    /// What lies beside the file of a slice, in the order in which it follows.
    pub fn beside(&self, slice: &Delivery) -> Result<Vec<Document>, StoreError> {
        read(self.conn, slice.id).map_err(self.sql("read what lies beside a file"))
    }

    /// The newest manifest of a job and the name of its file. One that was passed over before another followed it
    /// never leaves, so none follows it.
    pub fn last_manifest(&self, job: &Job) -> Result<Option<(String, String)>, StoreError> {
        self.conn
            .query_row(LAST_MANIFEST, [job.id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
            .map_err(self.sql("read a manifest"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::many;

    /// The hundred-thousandth slice costs what the first did.
    #[test]
    fn the_last_manifest_is_found_without_reading_those_before() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, job) = many::slices(dir.path(), "state, name", "'placed', n");
        log.conn
            .execute("insert into manifest (slice, text) select id, 'of ' || name from slice", [])
            .unwrap();
        assert_eq!(log.ledger().last_manifest(&job).unwrap(), Some(("2000".into(), "of 2000".into())));
        many::assert_reads_few(&log, &job, LAST_MANIFEST);
    }
}

//! Names at a receiver, and the manifests that lie beside files there.

use crate::error::StoreError;
use crate::ledger::{Delivery, Job, Ledger};
use crate::record::NewSlice;
use ew_core::{Window, insert_before_extension};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior, params};

/// What a manifest adds to the name of its file.
pub const MANIFEST_SUFFIX: &str = ".manifest.json";

/// A name that a slice wants at a destination.
pub(crate) struct Claim<'a> {
    pub(crate) job: i64,
    pub(crate) window: Window,
    pub(crate) destination: &'a str,
    pub(crate) name: &'a str,
    pub(crate) ext: &'a str,
    /// It wants that of its manifest too.
    pub(crate) has_manifest: bool,
}

impl<'a> Claim<'a> {
    pub(crate) fn of(job: &Job, slice: &'a NewSlice) -> Claim<'a> {
        Claim {
            job: job.id,
            window: slice.window,
            destination: &slice.destination,
            name: &slice.name,
            ext: &slice.ext,
            has_manifest: slice.manifest.is_some(),
        }
    }
}

/// The first of `name`, `name_2`, `name_3` … that is free at the destination or already this slice's.
pub(crate) fn claim_name(tx: &Transaction<'_>, claim: &Claim<'_>) -> rusqlite::Result<String> {
    let mut claimed = claim.name.to_owned();
    for n in 2.. {
        let manifest = claim.has_manifest.then(|| format!("{claimed}{MANIFEST_SUFFIX}"));
        if is_owned(tx, claim, &claimed)? && manifest.map_or(Ok(true), |name| is_owned(tx, claim, &name))? {
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

pub(crate) fn text(conn: &Connection, slice: i64) -> rusqlite::Result<Option<String>> {
    conn.query_row("select text from manifest where slice = ?1", [slice], |row| row.get(0)).optional()
}

impl Ledger<'_> {
    /// Claims the name of a slice and that of its manifest, which has to say it. The name.
    pub fn claim(&mut self, job: &Job, slice: &NewSlice) -> Result<String, StoreError> {
        let sql = self.sql("claim a name");
        let tx = self.conn.transaction_with_behavior(TransactionBehavior::Immediate).map_err(&sql)?;
        let claim = Claim { has_manifest: true, ..Claim::of(job, slice) };
        let name = claim_name(&tx, &claim).map_err(&sql)?;
        tx.commit().map_err(&sql)?;
        Ok(name)
    }

    /// The manifest of a slice, as it lies beside its file.
    pub fn manifest(&self, slice: &Delivery) -> Result<Option<String>, StoreError> {
        text(self.conn, slice.id).map_err(self.sql("read a manifest"))
    }

    /// The newest manifest of a job and the name of its file. One that was passed over before another followed it
    /// never leaves, so none follows it.
    pub fn last_manifest(&self, job: &Job) -> Result<Option<(String, String)>, StoreError> {
        self.conn
            .query_row(
                "select s.name, m.text from manifest m join slice s on s.id = m.slice
                 where s.job = ?1 and s.state <> 'skipped' order by m.id desc limit 1",
                [job.id],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(self.sql("read a manifest"))
    }
}

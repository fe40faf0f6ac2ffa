//! How far a delivery has come, for the attempt that follows one that was killed or cut; and what receivers can do.

use crate::beside::Beside;
use crate::error::StoreError;
use crate::ledger::{Delivery, Job, Ledger};
use ew_core::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

/// How far the delivery of a slice has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No file was whole at the receiver.
    Nothing,
    /// The file was whole under its temporary name, about to get its own.
    DataWhole,
    /// The file is there, and nothing beside it.
    DataThere,
    /// The manifest was whole under its temporary name, about to get its own; all else is there.
    ManifestWhole,
    /// The metadata was whole under its temporary name, about to get its own.
    MetadataWhole,
    /// The file and its metadata are there, and its manifest is not.
    MetadataThere,
}

impl Progress {
    /// All of them; the position is the number kept in the log.
    pub const ALL: [Progress; 6] = [
        Progress::Nothing,
        Progress::DataWhole,
        Progress::DataThere,
        Progress::ManifestWhole,
        Progress::MetadataWhole,
        Progress::MetadataThere,
    ];

    /// Whether the file is there.
    pub fn has_data(self) -> bool {
        !matches!(self, Progress::Nothing | Progress::DataWhole)
    }

    /// Whether what belongs beside the file is there.
    pub fn has(self, kind: Beside) -> bool {
        kind == Beside::Metadata && matches!(self, Progress::MetadataThere | Progress::ManifestWhole)
    }

    /// A document beside the file was whole under its temporary name.
    pub fn whole(kind: Beside) -> Progress {
        match kind {
            Beside::Metadata => Progress::MetadataWhole,
            Beside::Manifest => Progress::ManifestWhole,
        }
    }

    /// A document beside the file is there; none where nothing follows it.
    pub fn there(kind: Beside) -> Option<Progress> {
        (kind == Beside::Metadata).then_some(Progress::MetadataThere)
    }
}

/// An attempt that was noted and may begin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The slice's name at the receiver.
    pub name: String,
    /// How far the attempts before it came.
    pub progress: Progress,
    /// Once the file is there: what the transporter said of it and of what is beside it, JSON.
    pub receipt: Option<String>,
}

pub(crate) fn attempt(conn: &Connection, slice: i64, name: String) -> rusqlite::Result<Attempt> {
    conn.query_row("select progress, receipt from slice where id = ?1", [slice], |row| {
        let progress = Progress::ALL.get(row.get::<_, usize>(0)?).copied().unwrap_or(Progress::Nothing);
        Ok(Attempt { name, progress, receipt: row.get(1)? })
    })
}

impl Ledger<'_> {
    /// Notes how far the present attempt has come, and what the transporter said of the file once it is there.
    pub fn advance(
        &mut self,
        slice: &Delivery,
        progress: Progress,
        receipt: Option<&str>,
    ) -> Result<(), StoreError> {
        let sql = self.sql("note how far a slice has come");
        self.conn
            .execute(
                "update slice set progress = ?2, receipt = coalesce(?3, receipt) where id = ?1",
                params![slice.id, progress as i64, receipt],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// The name of the newest other file of a job that was placed at a destination.
    pub fn placed_before(
        &self,
        job: &Job,
        slice: &Delivery,
        destination: &str,
    ) -> Result<Option<String>, StoreError> {
        self.conn
            .query_row(
                "select name from slice where job = ?1 and id <> ?2 and destination = ?3 and name is not ?4
                     and state in ('placed', 'verified')
                 order by start_time desc, rev desc limit 1",
                params![job.id, slice.id, destination, slice.name],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.sql("read the ledger"))
    }
}

impl Ledger<'_> {
    /// Keeps what a receiver could do when it was tried last, JSON.
    pub fn note_probe(&mut self, destination: &str, at: Timestamp, outcome: &str) -> Result<(), StoreError> {
        let sql = self.sql("note what a receiver can do");
        self.conn
            .execute(
                "insert or replace into probe values (?1, ?2, ?3)",
                params![destination, at.micros(), outcome],
            )
            .map_err(&sql)?;
        Ok(())
    }

    /// When a receiver was tried last, and what it could do.
    pub fn probe(&self, destination: &str) -> Result<Option<(Timestamp, String)>, StoreError> {
        self.conn
            .query_row("select at, outcome from probe where destination = ?1", [destination], |row| {
                Ok((Timestamp::from_micros(row.get(0)?), row.get(1)?))
            })
            .optional()
            .map_err(self.sql("read what a receiver can do"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_keeps_its_numbers() {
        for (position, progress) in Progress::ALL.into_iter().enumerate() {
            assert_eq!(progress as usize, position);
        }
    }
}

//! Apache Parquet: the rows of the long layout in columns, compressed with zstd.
//!
//! The keys are read in every build, so that programs which do not write the file take the same ew.toml; what
//! writes it comes with the cargo feature `parquet`.

#[cfg(feature = "parquet")]
mod rows;

use crate::{Format, FormatError, Formatter, SliceHeader};
use ew_core::Stamp;
use serde::Deserialize;
use std::io::Write;

const FORMAT: &str = "parquet";

/// `[export.format.parquet]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ParquetOptions {
    /// Rows that are held in memory until they are written together.
    pub row_group_rows: RowGroupRows,
    /// Which end of its interval a row's timestamp is, where the job has intervals.
    pub stamp: Stamp,
}

/// Rows in a row group at most, 1 to a million.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct RowGroupRows(usize);

impl RowGroupRows {
    /// Each takes some 40 bytes while its group is open.
    const MAX: usize = 1_000_000;

    /// The number of rows.
    pub fn get(self) -> usize {
        self.0
    }
}

impl Default for RowGroupRows {
    fn default() -> RowGroupRows {
        RowGroupRows(100_000)
    }
}

impl TryFrom<i64> for RowGroupRows {
    type Error = String;

    fn try_from(rows: i64) -> Result<RowGroupRows, String> {
        match usize::try_from(rows) {
            Ok(rows @ 1..=RowGroupRows::MAX) => Ok(RowGroupRows(rows)),
            _ => Err(format!("row_group_rows = {rows} is not between 1 and {}", RowGroupRows::MAX)),
        }
    }
}

impl Format for ParquetOptions {
    #[cfg(feature = "parquet")]
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        Ok(Box::new(rows::Rows::start(self, header, out)?))
    }

    #[cfg(not(feature = "parquet"))]
    fn start<'a>(
        &'a self,
        _header: &SliceHeader<'a>,
        _out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        Err(FormatError::NotBuilt { format: FORMAT })
    }

    #[cfg(not(feature = "parquet"))]
    fn built(&self) -> Result<(), FormatError> {
        Err(FormatError::NotBuilt { format: FORMAT })
    }

    fn extension(&self) -> &'static str {
        "parquet"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn is_compressed(&self) -> bool {
        true
    }

    fn name_and_version(&self) -> &'static str {
        "parquet/1"
    }
}

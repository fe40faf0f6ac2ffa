//! Formatters: the rows of a slice as the text that a receiver reads.
//!
//! A formatter is pushed one row at a time and writes as it goes: no slice is ever held in memory. The
//! same slice gives the same bytes, on any machine and at any time. No formatter knows where its text goes.

mod cmep;
mod csv;
mod error;
mod green_button;
mod jsonl;
mod metermail;
mod nem12;
mod options;
mod output;
mod parquet;
mod summer;
mod template;
mod units;
mod xml;

pub use crate::cmep::{CmepMeter, CmepMeters, CmepOptions, Ei};
pub use crate::csv::{Column, CsvOptions, Layout, LineEnding};
pub use crate::error::FormatError;
pub use crate::green_button::{Flow, GreenButtonMeter, GreenButtonOptions};
pub use crate::jsonl::JsonlOptions;
pub use crate::metermail::{Channel, MetermailOptions};
pub use crate::nem12::{Nem12Meter, Nem12Options};
pub use crate::options::{Decimals, Field, Strftime};
pub use crate::parquet::{ParquetOptions, RowGroupRows};
pub use crate::template::TemplateOptions;
pub use crate::xml::{XmlOptions, XmlText};

use ew_core::{Grid, Period, Point, Row, RowOrder, Stamp, Window, Zone};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::ops::{Deref, DerefMut};
use std::path::Path;

/// Takes the rows of one slice in the order of its [`Format`]: by time, or one point after the other.
pub trait Formatter {
    /// One row. Text may be kept back until its timestamp, or its record, is complete.
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError>;

    /// Writes what is left, and flushes. The document is whole only after this.
    fn finish(&mut self) -> Result<(), FormatError>;
}

/// What is known of a slice before its first row.
#[derive(Debug, Clone, Copy)]
pub struct SliceHeader<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The site's name.
    pub site: &'a str,
    /// Whose wall clock the timestamps show.
    pub zone: &'a Zone,
    /// The time that the slice covers.
    pub window: Window,
    /// How long the job's intervals are; none where rows are the readings themselves.
    pub interval: Option<Period>,
    /// The columns of a wide format, in their order there; other formats do not look at them.
    pub columns: &'a [Point],
}

/// Which part of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// What comes before the rows is in it.
    pub is_first: bool,
    /// What comes after the rows is in it.
    pub is_last: bool,
}

impl Part {
    /// All of it.
    pub const WHOLE: Part = Part { is_first: true, is_last: true };
}

/// A format whose documents can be made in parts, each by itself, where the rows of one time are all in one part: put
/// after one another they are the bytes of the whole.
pub trait InParts: Sync {
    /// As [`Format::start`], for a part.
    fn start_part<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        part: Part,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError>;
}

/// A kind of format: its options, which live with the formatter in a file of their own.
pub trait Format {
    /// Reads what it has in files of its own, whose paths are relative to `base`; comes before everything else. The
    /// error says which file and what is wrong with it.
    fn load(&mut self, _base: &Path) -> Result<(), String> {
        Ok(())
    }

    /// Writes what comes before the first row and gives the formatter for the rows.
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError>;

    /// `{ext}` of a file name.
    fn extension(&self) -> &str;

    /// Which end of its interval the timestamp of a row is to be; whoever makes the intervals stamps them so.
    fn stamp(&self) -> Stamp;

    /// Documents in parts; none where what was written decides what comes after it.
    fn in_parts(&self) -> Option<&dyn InParts> {
        None
    }

    /// The order in which its formatter takes rows.
    fn order(&self) -> RowOrder {
        RowOrder::ByTime
    }

    /// What it asks of a job's slots and intervals; the error says what to write.
    fn check(&self, _slots: &Grid, _interval: Option<Period>) -> Result<(), String> {
        Ok(())
    }

    /// Whether this build can write it.
    fn built(&self) -> Result<(), FormatError> {
        Ok(())
    }

    /// Whether its files are compressed already, so that nothing is gained by doing it again.
    fn is_compressed(&self) -> bool {
        false
    }

    /// Whether the header names the columns, so that they must be known before the first row.
    fn is_wide(&self) -> bool {
        false
    }

    /// What describes its files to their readers, where the job asks for that.
    fn describe(&self) -> Option<&dyn Describe> {
        None
    }

    /// The format and the version of its rules: it changes when the same slice would give other bytes.
    fn name_and_version(&self) -> &str;
}

/// The units that values of each point have in a slice.
pub type Units = BTreeMap<String, BTreeSet<String>>;

/// Tells how files of a format are to be read.
pub trait Describe {
    /// The document that lies beside the file of a slice, which has this name.
    fn description(&self, header: &SliceHeader<'_>, name: &str, units: &Units) -> String;
}

/// Makes the enum of all kinds, so that a new one is one line.
macro_rules! register {
    ($($(#[$doc:meta])* $kind:ident($options:ty),)*) => {
        /// The format of a job; in ew.toml the kind is the table's name, as in `[export.format.csv]`.
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum FormatOptions {
            $($(#[$doc])* $kind($options),)*
        }

        impl Deref for FormatOptions {
            type Target = dyn Format;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(FormatOptions::$kind(options) => options,)*
                }
            }
        }

        impl DerefMut for FormatOptions {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(FormatOptions::$kind(options) => options,)*
                }
            }
        }
    };
}

register! {
    /// Comma-separated values, RFC 4180.
    Csv(CsvOptions),
    /// XML 1.0, valid against `fixtures/data.dtd`.
    Xml(XmlOptions),
    /// JSON lines: one object (RFC 8259) per row.
    Jsonl(JsonlOptions),
    /// California Metering Exchange Protocol, MEPMD01.
    Cmep(CmepOptions),
    /// AEMO's Meter Data File Format, interval data.
    Nem12(Nem12Options),
    /// Push messages of ION meters.
    Metermail(MetermailOptions),
    /// A layout of templates, shipped or of one's own.
    Template(TemplateOptions),
    /// Green Button: NAESB REQ.21, ESPI.
    GreenButton(GreenButtonOptions),
    /// Apache Parquet; written with the cargo feature `parquet`.
    Parquet(ParquetOptions),
}

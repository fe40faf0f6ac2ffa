//! What can go wrong while a slice is written.

use ew_core::{Exit, Row, Timestamp};
use std::io;

/// Why a slice has no text.
#[derive(Debug, thiserror::Error)]
pub enum FormatError {
    /// The format is no part of this build.
    #[error("this program was built without {format}")]
    NotBuilt {
        /// The format, and the cargo feature.
        format: &'static str,
    },
    /// The text could not be written.
    #[error("cannot write the {format}: {source}")]
    Write {
        /// The format.
        format: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A wide format got a row of a point that has no column.
    #[error("{point} at {time} has no column in the {format}")]
    NoColumn {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
    },
    /// Two columns of one name.
    #[error("the {format} has two columns {point}")]
    SameColumn {
        /// The format.
        format: &'static str,
        /// The name.
        point: String,
    },
    /// Rows out of their order, or two of one point and time.
    #[error("{point} at {time} is out of order, or there twice, in the {format}")]
    Order {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
    },
    /// A character that the format has no way to write.
    #[error("{} at {time} cannot be in the {format}: its name or unit holds {character:?}", point.escape_debug())]
    Character {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
        /// What it forbids.
        character: char,
    },
    /// A slice that the format has no way to write, whatever its rows.
    #[error("this slice cannot be {format}: {why}")]
    Slice {
        /// The format.
        format: &'static str,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A point that is no meter to the receiver.
    #[error("{point} at {time} is no meter of the {format}")]
    NoMeter {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
    },
    /// Two points that the receiver would take for one.
    #[error("{other} and {point} at {time} are both the meter {id:?} in {unit:?} in the {format}")]
    SameMeter {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
        /// The one before.
        other: String,
        /// What both are called.
        id: String,
        /// What both are in.
        unit: String,
    },
    /// A negative value.
    #[error("{point} at {time} is {value}, and the {format} has no value below zero")]
    Negative {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
        /// In the meter's unit.
        value: f64,
    },
    /// A template that does not work.
    #[error("the template {name}: {why}{at}")]
    Template {
        /// Which.
        name: String,
        /// Its part, the line there and what is wrong.
        why: String,
        /// Point and time of its row, in brackets; empty where there is none.
        at: String,
    },
    /// A value that needs more room than there is.
    #[error("{point} at {time} is {value} {unit}, for which the {format} has no room")]
    Range {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
        /// As it was read.
        value: f64,
        /// Its unit.
        unit: String,
    },
    /// A value that is not of its meter's unit.
    #[error("{point} at {time} is in {unit:?}, of which there is no {wanted} in the {format}")]
    Unit {
        /// The format.
        format: &'static str,
        /// The row's point.
        point: String,
        /// The row's time.
        time: Timestamp,
        /// Its unit.
        unit: String,
        /// The meter's.
        wanted: String,
    },
}

impl FormatError {
    pub(crate) fn unit(format: &'static str, row: &Row<'_>, wanted: &str) -> FormatError {
        let (point, unit, wanted) = (row.point.to_owned(), row.unit.to_owned(), wanted.to_owned());
        FormatError::Unit { format, point, time: row.time, unit, wanted }
    }

    /// How a program ends on it.
    pub fn exit(&self) -> Exit {
        match self {
            FormatError::NotBuilt { .. } => Exit::Config,
            FormatError::Write { .. } => Exit::Io,
            _ => Exit::Data,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            FormatError::NotBuilt { .. } => {
                Some("build it with cargo's --features parquet, or give the job another format")
            }
            FormatError::Write { source, .. } => match source.kind() {
                io::ErrorKind::StorageFull => Some("free some space and run it again; nothing was sent"),
                _ => None,
            },
            FormatError::NoColumn { format: "template", .. } => {
                Some("add the point to the job's columns, or narrow its points")
            }
            FormatError::NoColumn { .. } => {
                Some("add the point to the job's columns, narrow its points, or use layout = \"long\"")
            }
            FormatError::SameColumn { .. } => {
                Some("give each a name of its own with names in the job's format, or narrow the job's points")
            }
            FormatError::Order { .. } => None,
            FormatError::Range { .. } => Some(
                "give the job's format a greater multiplier, or correct the value with ew-log append --replace",
            ),
            FormatError::Slice { format: "green_button", .. } => None,
            FormatError::Slice { .. } => {
                Some("write --from, --to and --end at midnight, and leave the days to the job's period")
            }
            FormatError::NoMeter { .. } => {
                Some("add it to meters, or channels, in the job's format, or narrow the job's points")
            }
            FormatError::SameMeter { .. } => {
                Some("give each of them an id of its own in meters, or narrow the job's points")
            }
            FormatError::Negative { .. } => Some(
                "a meter's other direction is a point and a meter of its own; correct the value with ew-log append \
                 --replace, or narrow the job's points",
            ),
            FormatError::Unit { format: "green_button", .. } => {
                Some("correct the unit with ew-log append --replace, or narrow the job's points")
            }
            FormatError::Unit { .. } => {
                Some("give it units of its kind in meters, or correct the unit with ew-log append --replace")
            }
            FormatError::Template { .. } => {
                Some("docs/templates.md has what a template can name, and its limits")
            }
            FormatError::Character { format: "cmep", .. } => {
                Some("the format has no quotes; give the point an id and units in meters")
            }
            FormatError::Character { .. } => {
                Some("XML 1.0 has no such character; leave the point out of the job, or use csv or jsonl")
            }
        }
    }

    /// Whether the reader closed its end, as `head` does: no failure worth a message.
    pub fn is_closed_pipe(&self) -> bool {
        matches!(self, FormatError::Write { source, .. } if source.kind() == io::ErrorKind::BrokenPipe)
    }
}

//! Samples: one reading of one point at one time.

use crate::{Point, Timestamp};
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// How good a value is, best first. The first five are the calibers of an EnergyWise entity
/// (CISCO-ENERGYWISE-MIB `cewEntEnergyUsageCaliber`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Quality {
    /// Measured, and known to be right.
    Trusted = 0,
    /// Measured.
    Actual = 1,
    /// Assumed from the state of the device.
    Presumed = 2,
    /// Nothing is known of its origin.
    Unknown = 3,
    /// A name-plate maximum, not a measurement.
    Max = 4,
    /// A sum in which some parts are missing.
    Partial = 5,
    /// There was no answer; the value is null.
    Missing = 6,
    /// Taken on a doubtful clock, or out of physical bounds.
    Suspect = 7,
}

impl Quality {
    /// Every quality, best first; the position is the number kept in the log.
    pub const ALL: [Quality; 8] = [
        Quality::Trusted,
        Quality::Actual,
        Quality::Presumed,
        Quality::Unknown,
        Quality::Max,
        Quality::Partial,
        Quality::Missing,
        Quality::Suspect,
    ];

    /// The word used in files and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Quality::Trusted => "trusted",
            Quality::Actual => "actual",
            Quality::Presumed => "presumed",
            Quality::Unknown => "unknown",
            Quality::Max => "max",
            Quality::Partial => "partial",
            Quality::Missing => "missing",
            Quality::Suspect => "suspect",
        }
    }
}

impl FromStr for Quality {
    type Err = String;

    fn from_str(text: &str) -> Result<Quality, String> {
        Quality::ALL.into_iter().find(|q| q.as_str() == text).ok_or_else(|| {
            format!("{text:?} is not a quality; one of: {}", Quality::ALL.map(Quality::as_str).join(" "))
        })
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why a sample cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSample {
    /// A value is a finite number or null.
    #[error("the value is not a finite number")]
    NotFinite,
    /// Units are short and printable.
    #[error("the unit {0:?} is longer than 32 bytes or holds a control character")]
    Unit(String),
}

/// One reading. Made only by [`Sample::new`], so a value is finite or null: missing is never zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    time: Timestamp,
    point: Point,
    value: Option<f64>,
    unit: Arc<str>,
    quality: Quality,
}

impl Sample {
    /// A sample, or why there can be none. Negative zero becomes zero.
    pub fn new(
        time: Timestamp,
        point: Point,
        value: Option<f64>,
        unit: impl Into<Arc<str>>,
        quality: Quality,
    ) -> Result<Sample, BadSample> {
        let unit = unit.into();
        if value.is_some_and(|v| !v.is_finite()) {
            return Err(BadSample::NotFinite);
        }
        if unit.len() > 32 || unit.chars().any(char::is_control) {
            return Err(BadSample::Unit(unit.to_string()));
        }
        Ok(Sample { time, point, value: value.map(|v| v + 0.0), unit, quality })
    }

    /// When it was read.
    pub fn time(&self) -> Timestamp {
        self.time
    }
    /// What was read.
    pub fn point(&self) -> &Point {
        &self.point
    }
    /// The value in [`Sample::unit`]; none where there was no answer.
    pub fn value(&self) -> Option<f64> {
        self.value
    }
    /// The unit, such as `W`; empty where unknown.
    pub fn unit(&self) -> &Arc<str> {
        &self.unit
    }
    /// How good the value is.
    pub fn quality(&self) -> Quality {
        self.quality
    }
}

/// In which order the rows of a slice come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RowOrder {
    /// By time, and then by point name byte-wise.
    #[default]
    ByTime,
    /// By point name byte-wise, and then by time: one point after the other.
    ByPoint,
}

/// A sample as it is read back from the log for a formatter: borrowed, in a [`RowOrder`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row<'a> {
    /// When it was read.
    pub time: Timestamp,
    /// What was read.
    pub point: &'a str,
    /// The value, or null.
    pub value: Option<f64>,
    /// The unit; empty where unknown.
    pub unit: &'a str,
    /// How good the value is.
    pub quality: Quality,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_finite_values() {
        let make = |v| Sample::new(Timestamp::from_micros(0), "p".parse().unwrap(), v, "W", Quality::Actual);
        assert_eq!(make(Some(f64::NAN)), Err(BadSample::NotFinite));
        assert_eq!(make(Some(f64::INFINITY)), Err(BadSample::NotFinite));
        assert!(make(None).is_ok());
        assert!(make(Some(-0.0)).unwrap().value().unwrap().is_sign_positive());
    }

    #[test]
    fn qualities_keep_their_numbers() {
        for (i, q) in Quality::ALL.into_iter().enumerate() {
            assert_eq!(q as usize, i);
            assert_eq!(q.as_str().parse(), Ok(q));
        }
    }
}

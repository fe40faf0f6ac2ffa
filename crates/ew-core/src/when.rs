//! Points in time as people write them on a command line.

use crate::{Span, Timestamp, Zone};
use chrono::{NaiveDate, NaiveDateTime};
use std::str::FromStr;

/// RFC 3339, epoch seconds, a local date or date-time, `now`, `now-2h`, `first` or `last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// An instant.
    At(Timestamp),
    /// A wall-clock time in the zone.
    Local(NaiveDateTime),
    /// The present.
    Now,
    /// So long before the present.
    Ago(Span),
    /// The earliest row.
    First,
    /// Just after the last row.
    Last,
}

/// What the relative forms count from.
#[derive(Debug, Clone)]
pub struct Anchors<'a> {
    /// Whose wall clock.
    pub zone: &'a Zone,
    /// The present.
    pub now: Timestamp,
    /// The earliest and the last row, if there is any.
    pub rows: Option<(Timestamp, Timestamp)>,
}

/// Why a time has no instant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhenError {
    /// `first` and `last` need a row.
    #[error("there is no row yet, so \"first\" and \"last\" name no time")]
    NoRows,
}

impl When {
    /// The instant.
    pub fn resolve(&self, anchors: &Anchors<'_>) -> Result<Timestamp, WhenError> {
        Ok(match *self {
            When::At(time) => time,
            When::Local(local) => anchors.zone.instant(local),
            When::Now => anchors.now,
            When::Ago(span) => anchors.now.plus_micros(-span.micros()),
            When::First => anchors.rows.ok_or(WhenError::NoRows)?.0,
            When::Last => anchors.rows.ok_or(WhenError::NoRows)?.1.plus_micros(1),
        })
    }
}

impl FromStr for When {
    type Err = String;

    fn from_str(text: &str) -> Result<When, String> {
        match text {
            "now" => return Ok(When::Now),
            "first" => return Ok(When::First),
            "last" => return Ok(When::Last),
            _ => {}
        }
        if let Some(span) = text.strip_prefix("now-") {
            return span.parse().map(When::Ago);
        }
        match text.parse::<Timestamp>() {
            Ok(time) => return Ok(When::At(time)),
            Err(beyond) if Timestamp::is_out_of_range(text) => return Err(beyond),
            Err(_) => {}
        }
        let local = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(|date| date.into()));
        local.map(When::Local).ok_or_else(|| {
            format!(
                "{text:?} is not a time; write RFC 3339 (2026-01-31T00:00:00Z), epoch seconds, \
                 a local date or date-time (2026-01-31, 2026-01-31T14:00), now, now-2h, first or last"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let zone: Zone = "Europe/Zurich".parse().unwrap();
        let at = |s: &str| s.parse::<Timestamp>().unwrap();
        let anchors = Anchors {
            zone: &zone,
            now: at("2026-07-01T12:00:00Z"),
            rows: Some((at("2026-01-01T00:00:00Z"), at("2026-06-30T00:00:00Z"))),
        };
        for (text, expect) in [
            ("2026-07-01T12:00:00+02:00", "2026-07-01T10:00:00Z"),
            ("1700000000", "2023-11-14T22:13:20Z"),
            ("2026-07-01", "2026-06-30T22:00:00Z"),
            ("2026-07-01T14:00", "2026-07-01T12:00:00Z"),
            ("2026-07-01 14:00:05", "2026-07-01T12:00:05Z"),
            ("now", "2026-07-01T12:00:00Z"),
            ("now-2h", "2026-07-01T10:00:00Z"),
            ("first", "2026-01-01T00:00:00Z"),
            ("last", "2026-06-30T00:00:00.000001Z"),
        ] {
            assert_eq!(
                text.parse::<When>().unwrap().resolve(&anchors).unwrap().to_string(),
                expect,
                "{text}"
            );
        }
        assert!("yesterday".parse::<When>().is_err());
        assert_eq!(When::First.resolve(&Anchors { rows: None, ..anchors }), Err(WhenError::NoRows));
    }
}

//! Time zones by IANA name.

use crate::zoneinfo::ZONEINFO;
use crate::{Timestamp, Window};
use chrono::format::{DelayedFormat, Item, StrftimeItems};
use chrono::{Datelike, FixedOffset, NaiveDate, NaiveDateTime, Offset};
use jiff::tz::{AmbiguousOffset, TimeZone};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A time zone and its rules: the system's zoneinfo, or else the copy built in.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Zone {
    name: String,
    rules: TimeZone,
}

/// The offset in force at an instant, with its abbreviation for `%Z`.
#[derive(Debug, Clone)]
struct NamedOffset {
    offset: FixedOffset,
    name: String,
}

impl Offset for NamedOffset {
    fn fix(&self) -> FixedOffset {
        self.offset
    }
}

impl fmt::Display for NamedOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.name)
    }
}

impl Zone {
    /// UTC.
    pub fn utc() -> Zone {
        Zone { name: "UTC".into(), rules: TimeZone::UTC }
    }

    /// The IANA name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The version of the rules, such as `2025b`, where they tell it; UTC has no rules.
    pub fn rules_version(&self) -> Option<&'static str> {
        if self.rules == TimeZone::UTC {
            return None;
        }
        ZONEINFO.version.as_deref()
    }

    /// Seconds east of UTC at this instant.
    pub fn offset_secs(&self, time: Timestamp) -> i32 {
        self.rules.to_offset(to_jiff(time)).seconds()
    }

    /// The wall clock at this instant.
    pub fn local(&self, time: Timestamp) -> NaiveDateTime {
        time.to_chrono().naive_utc() + chrono::Duration::seconds(i64::from(self.offset_secs(time)))
    }

    /// Whether the clock is ever set forward or back after an instant.
    pub fn changes_after(&self, time: Timestamp) -> bool {
        self.rules.following(to_jiff(time)).next().is_some()
    }

    /// The instants of a window at which the clock is set forward or back.
    pub fn changes(&self, window: Window) -> Vec<Timestamp> {
        self.rules
            .following(to_jiff(window.start.plus_micros(-1)))
            .map(|change| Timestamp::from_micros(change.timestamp().as_microsecond()))
            .take_while(|time| *time < window.end)
            .filter(|time| self.offset_secs(*time) != self.offset_secs(time.plus_micros(-1)))
            .collect()
    }

    /// The wall-clock year that an instant lies in.
    pub fn year(&self, time: Timestamp) -> Window {
        let year = self.date(time).year();
        let begin = |year| {
            let first = NaiveDate::from_ymd_opt(year, 1, 1).unwrap_or(NaiveDate::MIN);
            self.instant(first.and_time(chrono::NaiveTime::MIN))
        };
        Window::new(begin(year), begin(year + 1))
    }

    /// The instant of a wall-clock time: in the spring gap the first instant after it, in the autumn
    /// fold the first of the two.
    pub fn instant(&self, local: NaiveDateTime) -> Timestamp {
        let as_if_utc = Timestamp::from_micros(local.and_utc().timestamp_micros());
        let back = |offset: jiff::tz::Offset| as_if_utc.plus_micros(-i64::from(offset.seconds()) * 1_000_000);
        match self.rules.to_ambiguous_timestamp(to_jiff_civil(local)).offset() {
            AmbiguousOffset::Unambiguous { offset } => back(offset),
            AmbiguousOffset::Fold { before, .. } => back(before),
            AmbiguousOffset::Gap { before, .. } => {
                // Read with the old offset the time lies at or after the change; the change itself is
                // the first instant after the gap.
                let after = back(before);
                let mut changes = self.rules.preceding(to_jiff(after.plus_micros(1)));
                changes
                    .next()
                    .map_or(after, |change| Timestamp::from_micros(change.timestamp().as_microsecond()))
            }
        }
    }

    /// The wall-clock date at this instant.
    pub fn date(&self, time: Timestamp) -> NaiveDate {
        self.local(time).date()
    }

    /// The instant by a strftime template that [`check_strftime`](Zone::check_strftime) passed.
    pub fn format(&self, time: Timestamp, strftime: &str) -> String {
        let info = self.rules.to_offset_info(to_jiff(time));
        let offset = FixedOffset::east_opt(info.offset().seconds()).unwrap_or(chrono::Utc.fix());
        let named = NamedOffset { offset, name: info.abbreviation().to_owned() };
        let local = self.local(time);
        DelayedFormat::new_with_offset(
            Some(local.date()),
            Some(local.time()),
            &named,
            StrftimeItems::new(strftime),
        )
        .to_string()
    }

    /// RFC 3339 with the zone's offset, `Z` in UTC; fractions as far as they are not zero.
    pub fn rfc3339(&self, time: Timestamp) -> String {
        let offset = self.offset_secs(time);
        let local = self.local(time).format("%Y-%m-%dT%H:%M:%S");
        let fraction = time.fraction();
        if offset == 0 && self.rules == TimeZone::UTC {
            return format!("{local}{fraction}Z");
        }
        // RFC 3339 knows hours and minutes only; zones of the 19th century had seconds.
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs() / 60);
        format!("{local}{fraction}{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }

    /// Whether chrono knows every specifier of a strftime template.
    pub fn check_strftime(strftime: &str) -> Result<(), String> {
        match StrftimeItems::new(strftime).any(|item| matches!(item, Item::Error)) {
            true => Err(format!("{strftime:?} holds a strftime specifier that is not known")),
            false => Ok(()),
        }
    }
}

fn to_jiff(time: Timestamp) -> jiff::Timestamp {
    // Both cover the years 1 to 9999.
    jiff::Timestamp::from_microsecond(time.micros()).unwrap_or_default()
}

fn to_jiff_civil(local: NaiveDateTime) -> jiff::civil::DateTime {
    use chrono::{Datelike, Timelike};
    let clamp = |n: u32| i8::try_from(n).unwrap_or(1);
    jiff::civil::DateTime::new(
        i16::try_from(local.year()).unwrap_or(1970),
        clamp(local.month()),
        clamp(local.day()),
        clamp(local.hour()),
        clamp(local.minute()),
        clamp(local.second()),
        i32::try_from(local.nanosecond()).unwrap_or(0),
    )
    .unwrap_or_default()
}

impl FromStr for Zone {
    type Err = String;

    fn from_str(name: &str) -> Result<Zone, String> {
        if name.eq_ignore_ascii_case("utc") || name == "Etc/UTC" || name == "Z" {
            return Ok(Zone::utc());
        }
        let rules = ZONEINFO.zones.get(name).map_err(|_| {
            format!("{name:?} is not a time zone; write an IANA name such as \"Europe/Zurich\" or \"UTC\"")
        })?;
        Ok(Zone { name: name.to_owned(), rules })
    }
}

impl TryFrom<String> for Zone {
    type Error = String;

    fn try_from(name: String) -> Result<Zone, String> {
        name.parse()
    }
}

impl fmt::Debug for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Zone({})", self.name)
    }
}

impl fmt::Display for Zone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instant(zone: &str, local: &str) -> String {
        let local = NaiveDateTime::parse_from_str(local, "%Y-%m-%d %H:%M").unwrap();
        zone.parse::<Zone>().unwrap().instant(local).to_string()
    }

    #[test]
    fn gap_is_the_first_instant_after_and_fold_the_first_of_two() {
        assert_eq!(instant("Europe/Zurich", "2026-03-29 02:30"), "2026-03-29T01:00:00Z");
        assert_eq!(instant("Europe/Zurich", "2026-03-29 02:00"), "2026-03-29T01:00:00Z");
        assert_eq!(instant("Europe/Zurich", "2026-10-25 02:30"), "2026-10-25T00:30:00Z");
        assert_eq!(instant("Australia/Lord_Howe", "2026-10-04 02:15"), "2026-10-03T15:30:00Z");
        assert_eq!(instant("UTC", "2026-10-25 02:30"), "2026-10-25T02:30:00Z");
    }

    #[test]
    fn formats_with_offset_and_name() {
        let zurich: Zone = "Europe/Zurich".parse().unwrap();
        let t = Timestamp::from_micros(1_700_000_000_250_000);
        assert_eq!(zurich.rfc3339(t), "2023-11-14T23:13:20.25+01:00");
        assert_eq!(zurich.format(t, "%H:%M %z %Z %s"), "23:13 +0100 CET 1700000000");
        assert_eq!(Zone::utc().rfc3339(t), "2023-11-14T22:13:20.25Z");
        assert!(Zone::check_strftime("%Y%Q").is_err());
        assert!("Europe/Zürich".parse::<Zone>().is_err());
    }

    #[test]
    fn clocks_that_change() {
        let changes = |zone: &str, time: &str| {
            zone.parse::<Zone>().unwrap().changes_after(Timestamp::from_rfc3339(time).unwrap())
        };
        assert!(!changes("UTC", "1970-01-01T00:00:00Z"));
        assert!(!changes("Etc/GMT-10", "1970-01-01T00:00:00Z"));
        assert!(changes("Australia/Brisbane", "1990-01-01T00:00:00Z"));
        assert!(!changes("Australia/Brisbane", "2020-01-01T00:00:00Z"));
        assert!(changes("Australia/Sydney", "2020-01-01T00:00:00Z"));
    }

    #[test]
    fn the_version_is_that_of_the_rules() {
        assert_eq!(Zone::utc().rules_version(), None);
        assert_eq!("utc".parse::<Zone>().unwrap().rules_version(), None);
        let zurich: Zone = "Europe/Zurich".parse().unwrap();
        assert_eq!(zurich.rules_version(), ZONEINFO.version.as_deref());
    }
}

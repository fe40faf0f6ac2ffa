//! Summer time, as formats tell it.

use chrono::{Datelike, Duration, NaiveDateTime, Timelike};
use ew_core::{Timestamp, Window, Zone};

/// Summer time in a year that has one. Of two offsets in a year the lesser is standard time, wherever its winter is,
/// and whatever a zone's rules call it.
pub(crate) struct Summer {
    /// Seconds east of UTC in winter.
    pub(crate) standard: i32,
    /// Seconds more in summer.
    pub(crate) saved: i32,
    /// When the clock is set forward in that year.
    pub(crate) start: Timestamp,
    /// When it is set back; south of the equator that is earlier.
    pub(crate) end: Timestamp,
}

impl Summer {
    pub(crate) fn of(zone: &Zone, year: Window) -> Option<Summer> {
        let changes = zone.changes(year);
        let saved = |time: Timestamp| zone.offset_secs(time) - zone.offset_secs(time.plus_micros(-1));
        let start = changes.iter().copied().find(|time| saved(*time) > 0)?;
        let end = changes.iter().copied().find(|time| saved(*time) < 0)?;
        Some(Summer { standard: zone.offset_secs(end), saved: saved(start), start, end })
    }
}

/// How a zone's clock is changed year after year, as ESPI and IEEE 2030.5 write it down (`DstRuleType`).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Seconds east of UTC in winter.
    pub(crate) standard: i32,
    /// Seconds more in summer; 0 where there is none.
    pub(crate) saved: i32,
    /// When the clock is set forward.
    pub(crate) start: u32,
    /// When it is set back.
    pub(crate) end: u32,
}

/// No rule: the clock is never changed.
const NO_RULE: u32 = 0xffff_ffff;

/// After so many years each date has been on each day of the week.
const YEARS: usize = 28;

impl Rules {
    /// Those in force at an instant.
    pub(crate) fn of(zone: &Zone, time: Timestamp) -> Rules {
        let years = std::iter::successors(Some(zone.year(time)), |year| Some(zone.year(year.end)));
        let summers: Vec<Summer> = years.take(YEARS).map_while(|year| Summer::of(zone, year)).collect();
        let Some(first) = summers.first() else {
            return Rules { standard: zone.offset_secs(time), saved: 0, start: NO_RULE, end: NO_RULE };
        };
        let rule = |change: fn(&Summer) -> Timestamp| {
            // What the clock shows as it is changed.
            let shown = |time: Timestamp| zone.local(time.plus_micros(-1)) + Duration::microseconds(1);
            rule(&summers.iter().map(|summer| shown(change(summer))).collect::<Vec<_>>())
        };
        let (start, end) = (rule(|summer| summer.start), rule(|summer| summer.end));
        Rules { standard: first.standard, saved: first.saved, start, end }
    }
}

/// The rule by which a clock that shows these times, a year apart, is changed. Where there is none, the date in the
/// first year.
fn rule(times: &[NaiveDateTime]) -> u32 {
    let Some(first) = times.first() else { return NO_RULE };
    let all = |holds: &dyn Fn(&NaiveDateTime) -> bool| times.iter().all(holds);
    let week = |time: &NaiveDateTime| time.day0() / 7;
    let is_last = |time: &NaiveDateTime| (*time + Duration::days(7)).month() != time.month();
    let earliest = times.iter().map(Datelike::day).min().unwrap_or(1);
    let is_alike = all(&|time| {
        (time.month(), time.weekday(), time.time()) == (first.month(), first.weekday(), first.time())
    });
    let weekday = first.weekday().number_from_monday();
    let (operator, day, weekday) = match is_alike {
        true if all(&|time| week(time) == week(first)) => (week(first) + 2, 0, weekday),
        true if all(&is_last) => (7, 0, weekday),
        true if all(&|time| time.day() < earliest + 7) => (1, earliest, weekday),
        _ => (0, first.day(), 0),
    };
    let secs = first.minute() * 60 + first.second();
    first.month() << 28 | operator << 25 | day << 20 | weekday << 17 | first.hour() << 12 | secs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_of_clocks() {
        for (zone, standard, saved, start, end) in [
            ("UTC", 0, 0, NO_RULE, NO_RULE),
            ("Asia/Kolkata", 19_800, 0, NO_RULE, NO_RULE),
            // Second Sunday of March, first of November, at 2.
            ("America/New_York", -18_000, 3600, 0x360e_2000, 0xb40e_2000),
            // Last Sunday of March at 2, of October at 3.
            ("Europe/Zurich", 3600, 3600, 0x3e0e_2000, 0xae0e_3000),
            ("Europe/Dublin", 0, 3600, 0x3e0e_1000, 0xae0e_2000),
            // First Sunday of October, of April.
            ("Australia/Lord_Howe", 37_800, 1800, 0xa40e_2000, 0x440e_2000),
            // The Friday on or after 23 March at 2, the last Sunday of October at 2.
            ("Asia/Jerusalem", 7200, 3600, 0x337a_2000, 0xae0e_2000),
        ] {
            let rules =
                Rules::of(&zone.parse().unwrap(), Timestamp::from_rfc3339("2026-02-01T00:00:00Z").unwrap());
            assert_eq!(rules, Rules { standard, saved, start, end }, "{zone} {rules:x?}");
        }
    }
}

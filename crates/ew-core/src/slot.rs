//! Slots: how a job's period cuts time.

use crate::{Span, Timestamp, Zone};
use chrono::{Days, NaiveDate, NaiveTime};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// A half-open stretch of time, `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    /// The first instant inside.
    pub start: Timestamp,
    /// The first instant after.
    pub end: Timestamp,
}

impl Window {
    /// `[start, end)`; empty where they are equal, never turned round.
    pub fn new(start: Timestamp, end: Timestamp) -> Window {
        Window { start, end: end.max(start) }
    }

    /// Whether the instant lies inside.
    pub fn contains(&self, time: Timestamp) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether it holds no instant at all.
    pub fn is_empty(&self) -> bool {
        self.start >= self.end
    }

    /// What both share; empty where they do not meet.
    pub fn intersect(&self, other: &Window) -> Window {
        Window::new(self.start.max(other.start), self.end.min(other.end))
    }
}

/// How long a slot is: a divisor of 24 hours, or whole days.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Period {
    /// Elapsed seconds, dividing 86,400.
    Seconds(u32),
    /// Local days, 1 to 3,660.
    Days(u16),
}

impl FromStr for Period {
    type Err = String;

    fn from_str(text: &str) -> Result<Period, String> {
        let span: Span = text.parse()?;
        let secs = span.0.as_secs();
        if span.0.subsec_nanos() == 0 && secs > 0 {
            if secs < 86_400 && 86_400_u64.is_multiple_of(secs) {
                return Ok(Period::Seconds(secs as u32));
            }
            if secs.is_multiple_of(86_400) && secs / 86_400 <= 3_660 {
                return Ok(Period::Days((secs / 86_400) as u16));
            }
        }
        Err(format!("{text:?} neither divides 24 hours nor is whole days"))
    }
}

impl TryFrom<String> for Period {
    type Error = String;

    fn try_from(text: String) -> Result<Period, String> {
        text.parse()
    }
}

impl fmt::Display for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = match *self {
            Period::Seconds(secs) => u64::from(secs),
            Period::Days(days) => u64::from(days) * 86_400,
        };
        Span::from_secs(secs).fmt(f)
    }
}

/// A time of day, `HH:MM` or `HH:MM:SS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct TimeOfDay(pub NaiveTime);

impl TimeOfDay {
    /// `00:00`.
    pub const MIDNIGHT: TimeOfDay = TimeOfDay(NaiveTime::MIN);
}

impl FromStr for TimeOfDay {
    type Err = String;

    fn from_str(text: &str) -> Result<TimeOfDay, String> {
        NaiveTime::parse_from_str(text, "%H:%M")
            .or_else(|_| NaiveTime::parse_from_str(text, "%H:%M:%S"))
            .ok()
            // chrono reads second 60 as a leap second; a day's phase has none.
            .filter(|time| chrono::Timelike::nanosecond(time) == 0)
            .map(TimeOfDay)
            .ok_or_else(|| format!("{text:?} is not a time of day such as \"00:00\" or \"07:05\""))
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = String;

    fn try_from(text: String) -> Result<TimeOfDay, String> {
        text.parse()
    }
}

/// The slots of a job: every instant lies in exactly one.
///
/// Whole days run from one local day's `synchronize_on` to that of the day n later, counted from
/// 1970-01-01. Shorter periods are elapsed time from each local day's `synchronize_on`, and the next
/// day's cuts the last slot, so days of 23 and 25 hours come out right.
#[derive(Debug, Clone, PartialEq)]
pub struct Grid {
    /// Whose local days.
    pub zone: Zone,
    /// How long a slot is.
    pub period: Period,
    /// Where in a day slots begin.
    pub synchronize_on: TimeOfDay,
}

const EPOCH_DAY: NaiveDate = NaiveDate::from_ymd_opt(1970, 1, 1).expect("1970-01-01 is a date");

impl Grid {
    /// The instant at which a local day begins its slots.
    fn anchor(&self, day: NaiveDate) -> Timestamp {
        self.zone.instant(day.and_time(self.synchronize_on.0))
    }

    /// The stretch from the anchor of a block of n days to that of the next, around an instant.
    ///
    /// A zone may skip a whole date (Samoa, 2011-12-30), whose block is then empty; hence the walk.
    fn block(&self, time: Timestamp, days: u16) -> Window {
        let days = i64::from(days);
        let mut index = (self.zone.date(time) - EPOCH_DAY).num_days().div_euclid(days) - 1;
        loop {
            let (start, end) = (self.anchor(day_at(index * days)), self.anchor(day_at((index + 1) * days)));
            if time < end || end >= Timestamp::MAX {
                return Window::new(start, end);
            }
            index += 1;
        }
    }

    /// The slot that holds an instant.
    pub fn slot(&self, time: Timestamp) -> Window {
        match self.period {
            Period::Days(days) => self.block(time, days),
            Period::Seconds(secs) => {
                let day = self.block(time, 1);
                let step = i64::from(secs) * 1_000_000;
                let whole = (time.micros() - day.start.micros()).div_euclid(step);
                let start = day.start.plus_micros(whole * step);
                Window::new(start, start.plus_micros(step).min(day.end))
            }
        }
    }

    /// The slots that touch a window, in order, each cut to it.
    pub fn slots(&self, window: Window) -> impl Iterator<Item = Window> + '_ {
        let mut at = window.start;
        std::iter::from_fn(move || {
            if at >= window.end {
                return None;
            }
            let slot = Window::new(at, self.slot(at).end.min(window.end));
            // At the end of the calendar a slot may not advance; then there is no next one.
            at = if slot.end > at { slot.end } else { window.end };
            Some(slot)
        })
    }

    /// The end of the last slot that is closed at `now`: its end and `delay` have passed.
    pub fn last_closed_end(&self, now: Timestamp, delay: Span) -> Timestamp {
        self.slot(now.plus_micros(-delay.micros())).start
    }
}

fn day_at(index: i64) -> NaiveDate {
    let days = Days::new(index.unsigned_abs());
    if index < 0 { EPOCH_DAY.checked_sub_days(days) } else { EPOCH_DAY.checked_add_days(days) }
        .unwrap_or(EPOCH_DAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn grid(zone: &str, period: &str, sync: &str) -> Grid {
        Grid {
            zone: zone.parse().unwrap(),
            period: period.parse().unwrap(),
            synchronize_on: sync.parse().unwrap(),
        }
    }

    fn t(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn periods() {
        assert_eq!("15m".parse(), Ok(Period::Seconds(900)));
        assert_eq!("24h".parse(), Ok(Period::Days(1)));
        assert_eq!("7d".parse(), Ok(Period::Days(7)));
        for bad in ["7m", "25h", "0s", "1500ms", "1M", "36h"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_boundary_belongs_to_the_slot_it_opens() {
        let g = grid("UTC", "15m", "00:00");
        let slot = g.slot(t("2026-01-01T00:15:00Z"));
        assert_eq!((slot.start, slot.end), (t("2026-01-01T00:15:00Z"), t("2026-01-01T00:30:00Z")));
    }

    #[test]
    fn the_last_slot_before_the_anchor_is_cut() {
        // 6 h from 07:05: the slot that opens at 01:05 ends at the next day's 07:05.
        let g = grid("UTC", "6h", "07:05");
        assert_eq!(g.slot(t("2026-01-01T03:00:00Z")).start, t("2026-01-01T01:05:00Z"));
        assert_eq!(g.slot(t("2026-01-01T03:00:00Z")).end, t("2026-01-01T07:05:00Z"));
    }

    /// The ancestor's schedule, with our zones: at 2023-11-14T22:13:23Z, slots of six hours.
    #[test]
    fn the_next_slot_of_the_ancestor_s_table() {
        for (zone, sync, next) in [
            ("UTC", "00:00", "2023-11-15T00:00:00Z"),
            ("America/New_York", "00:00", "2023-11-14T23:00:00Z"),
            ("UTC", "06:30", "2023-11-15T00:30:00Z"),
            ("America/New_York", "06:30", "2023-11-14T23:30:00Z"),
            ("America/New_York", "7:05", "2023-11-15T00:05:00Z"),
        ] {
            assert_eq!(grid(zone, "6h", sync).slot(t("2023-11-14T22:13:23Z")).end, t(next), "{zone} {sync}");
        }
    }

    /// Lord Howe Island changes its clock by 30 minutes.
    #[test]
    fn a_change_of_thirty_minutes() {
        let hours = grid("Australia/Lord_Howe", "1h", "00:00");
        let day = |date: &str| grid("Australia/Lord_Howe", "1d", "00:00").slot(t(date));
        let minutes = |w: Window| (w.end.micros() - w.start.micros()) / 60_000_000;
        for (date, length, count, last) in [
            ("2026-04-05T03:00:00Z", 1470, 25, 30),
            ("2026-10-04T03:00:00Z", 1410, 24, 30),
            ("2026-06-01T03:00:00Z", 1440, 24, 60),
        ] {
            let day = day(date);
            let slots: Vec<Window> = hours.slots(day).collect();
            assert_eq!((minutes(day), slots.len()), (length, count), "{date}");
            assert_eq!(minutes(slots[count - 1]), last, "{date}");
        }
    }

    #[test]
    fn days_of_23_and_25_hours() {
        for (zone, day, hours) in [
            ("Europe/Zurich", "2026-03-29T12:00:00Z", 23),
            ("Europe/Zurich", "2026-10-25T12:00:00Z", 25),
            ("Australia/Sydney", "2026-10-04T02:00:00Z", 23),
            ("Australia/Sydney", "2026-04-05T02:00:00Z", 25),
        ] {
            let slot = grid(zone, "1d", "00:00").slot(t(day));
            assert_eq!((slot.end.micros() - slot.start.micros()) / 3_600_000_000, hours, "{zone} {day}");
            let quarters = grid(zone, "15m", "00:00");
            assert_eq!(quarters.slots(slot).count(), 4 * hours as usize, "{zone} {day}");
        }
    }

    #[test]
    fn a_skipped_date_has_no_slot() {
        // Samoa went from 2011-12-29 to 2011-12-31.
        let g = grid("Pacific/Apia", "1d", "00:00");
        let before = g.slot(t("2011-12-30T09:59:59Z"));
        let after = g.slot(t("2011-12-30T10:00:00Z"));
        assert_eq!(before.end, after.start);
        assert_eq!(after.end, t("2011-12-31T10:00:00Z"));
    }

    #[test]
    fn closed_only_after_the_delay() {
        let g = grid("UTC", "15m", "00:00");
        let end = |now: &str, delay: &str| g.last_closed_end(t(now), delay.parse().unwrap()).to_string();
        assert_eq!(end("2026-01-01T00:15:00Z", "0s"), "2026-01-01T00:15:00Z");
        assert_eq!(end("2026-01-01T00:16:59Z", "2m"), "2026-01-01T00:00:00Z");
        assert_eq!(end("2026-01-01T00:17:00Z", "2m"), "2026-01-01T00:15:00Z");
    }

    proptest! {
        #[test]
        fn slots_tile_time(
            secs in 0i64..4_000_000_000,
            zone in prop::sample::select(vec!["UTC", "Europe/Zurich", "Australia/Lord_Howe", "America/New_York", "Pacific/Apia"]),
            period in prop::sample::select(vec!["1m", "15m", "1h", "6h", "12h", "1d", "7d"]),
            sync in prop::sample::select(vec!["00:00", "02:30", "07:05", "23:59"]),
        ) {
            let g = grid(zone, period, sync);
            let time = Timestamp::from_secs(secs);
            let slot = g.slot(time);
            prop_assert!(slot.contains(time));
            prop_assert_eq!(g.slot(slot.start), slot);
            prop_assert_eq!(g.slot(slot.end.plus_micros(-1)), slot);
            prop_assert_eq!(g.slot(slot.end).start, slot.end);
        }
    }
}

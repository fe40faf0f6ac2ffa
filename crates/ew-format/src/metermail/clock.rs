//! The clock of a zone as MeterMail tells it: minutes west of UTC, and when summer time begins and ends.
//!
//! Of two offsets in a year the lesser is standard time, wherever its winter is, and whatever a zone's rules call it.

use ew_core::{Timestamp, Window, Zone};

/// The fields of the `Timezone` element at a time: of its year there, and of the one before.
pub(super) fn fields(zone: &Zone, time: Timestamp) -> Vec<(&'static str, String)> {
    let year = zone.year(time);
    let last = Summer::of(zone, zone.year(year.start.plus_micros(-1)));
    let this = Summer::of(zone, year);
    let (standard, saved) =
        this.as_ref().map_or((zone.offset_secs(time), 0), |summer| (summer.standard, summer.saved));
    let mut fields =
        vec![("ident:Bias", (-standard / 60).to_string()), ("ident:DSTBias", (-saved / 60).to_string())];
    for summer in [last, this].into_iter().flatten() {
        fields.push(("ident:DSTStart", summer.start.to_string()));
        fields.push(("ident:DSTEnd", summer.end.to_string()));
    }
    fields
}

/// Summer time in a year that has one.
struct Summer {
    /// Seconds east of UTC in winter.
    standard: i32,
    /// Seconds more in summer.
    saved: i32,
    /// When the clock is set forward in that year.
    start: Timestamp,
    /// When it is set back; south of the equator that is earlier.
    end: Timestamp,
}

impl Summer {
    fn of(zone: &Zone, year: Window) -> Option<Summer> {
        let changes = zone.changes(year);
        let saved = |time: Timestamp| zone.offset_secs(time) - zone.offset_secs(time.plus_micros(-1));
        let start = changes.iter().copied().find(|time| saved(*time) > 0)?;
        let end = changes.iter().copied().find(|time| saved(*time) < 0)?;
        Some(Summer { standard: zone.offset_secs(end), saved: saved(start), start, end })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, time: &str) -> String {
        let fields = fields(&zone.parse().unwrap(), Timestamp::from_rfc3339(time).unwrap());
        let texts: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={value}", &name["ident:".len()..])).collect();
        texts.join(" ")
    }

    #[test]
    fn north_south_and_neither() {
        for (zone, time, expect) in [
            ("UTC", "2026-07-01T00:00:00Z", "Bias=0 DSTBias=0"),
            ("Asia/Kolkata", "2026-07-01T00:00:00Z", "Bias=-330 DSTBias=0"),
            (
                "America/Los_Angeles",
                "2026-07-01T00:00:00Z",
                "Bias=480 DSTBias=-60 DSTStart=2025-03-09T10:00:00Z DSTEnd=2025-11-02T09:00:00Z \
                 DSTStart=2026-03-08T10:00:00Z DSTEnd=2026-11-01T09:00:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-01-01T00:00:00Z",
                "Bias=-630 DSTBias=-30 DSTStart=2025-10-04T15:30:00Z DSTEnd=2025-04-05T15:00:00Z \
                 DSTStart=2026-10-03T15:30:00Z DSTEnd=2026-04-04T15:00:00Z",
            ),
            // Whichever of the two the rules call summer time.
            (
                "Europe/Dublin",
                "2026-01-01T00:00:00Z",
                "Bias=0 DSTBias=-60 DSTStart=2025-03-30T01:00:00Z DSTEnd=2025-10-26T01:00:00Z \
                 DSTStart=2026-03-29T01:00:00Z DSTEnd=2026-10-25T01:00:00Z",
            ),
            // The year is that of the zone: 2026 has begun there, 2025 had the last changes.
            (
                "Europe/Zurich",
                "2025-12-31T23:00:00Z",
                "Bias=-60 DSTBias=-60 DSTStart=2025-03-30T01:00:00Z DSTEnd=2025-10-26T01:00:00Z \
                 DSTStart=2026-03-29T01:00:00Z DSTEnd=2026-10-25T01:00:00Z",
            ),
            // Summer time was given up in 2022: the year after tells that there was one.
            (
                "America/Mexico_City",
                "2023-06-01T00:00:00Z",
                "Bias=360 DSTBias=0 DSTStart=2022-04-03T08:00:00Z DSTEnd=2022-10-30T07:00:00Z",
            ),
        ] {
            assert_eq!(shown(zone, time), expect, "{zone} {time}");
        }
    }
}

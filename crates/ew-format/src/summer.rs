//! Summer time, as formats tell it.

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

//! What one poll of a switch leaves to the next.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Of a switch: what it was read by, and how its counters stand.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    /// Host and port: a device there, under the same name, is another one.
    pub peer: String,
    /// The profile that it was read by.
    pub profile: String,
    /// Energy counters by their instance, Wh.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) counters: BTreeMap<String, f64>,
    /// The column that the switch's own counter was the sum of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<String>,
    /// Running totals of what is told by the interval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) intervals: BTreeMap<String, Running>,
}

/// A running total.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(crate) struct Running {
    /// When the newest interval in it began, hundredths of a second of the device's up time.
    pub(crate) start: u32,
    /// What is in it of that interval, Wh.
    pub(crate) wh: f64,
    /// With all before it, Wh.
    pub(crate) total: f64,
}

/// What the last poll left, seen from this one.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Before<'a> {
    /// Of the same device, by the same profile.
    pub(crate) same: Option<&'a Memory>,
    /// There were counters of another device, or by another profile, under the same points.
    pub(crate) is_other: bool,
}

impl<'a> Before<'a> {
    pub(crate) fn new(memory: Option<&'a Memory>, peer: &str, profile: &str) -> Before<'a> {
        let same = memory.filter(|memory| memory.peer == peer && memory.profile == profile);
        Before { same, is_other: same.is_none() && memory.is_some_and(Memory::has_counters) }
    }
}

impl Memory {
    /// Whether there is anything to compare the next counters with.
    pub(crate) fn has_counters(&self) -> bool {
        !self.counters.is_empty() || !self.intervals.is_empty()
    }

    /// As a log keeps it.
    pub fn to_text(&self) -> String {
        // Strings and finite numbers: there is always a text.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What does not read back is as good as nothing remembered.
    pub fn from_text(text: &str) -> Option<Memory> {
        serde_json::from_str(text).ok()
    }
}

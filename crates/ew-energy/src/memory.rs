//! What one poll of a switch leaves to the next.

use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// Those of them that the switch's own counter, where it is their sum, did not have the last time.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) left_out: BTreeSet<String>,
    /// The column that the switch's own counter was the sum of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) total: Option<String>,
    /// Running totals of what is told by the interval.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) intervals: BTreeMap<String, Running>,
    /// Another device, or another profile, had counters under the same points before. Those parts that have a counter
    /// of this one since; an empty part is the switch itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) since_other: Option<BTreeSet<String>>,
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

impl Memory {
    /// Of this poll, of a device by a profile, before anything is read.
    pub(crate) fn begin(before: Option<&Memory>, peer: &str, profile: &str) -> Memory {
        let same = Memory::same(before, peer, profile);
        let is_after_other = same.is_none()
            && before.is_some_and(|before| before.has_counters() || before.since_other.is_some());
        Memory {
            peer: peer.to_owned(),
            profile: profile.to_owned(),
            total: same.and_then(|same| same.total.clone()),
            // What is not told now may be told again.
            intervals: same.map_or_else(BTreeMap::new, |same| same.intervals.clone()),
            since_other: match same {
                Some(same) => same.since_other.clone(),
                None => is_after_other.then(BTreeSet::new),
            },
            ..Memory::default()
        }
    }

    /// What the last poll left, if it was of the same device by the same profile.
    pub(crate) fn same<'a>(before: Option<&'a Memory>, peer: &str, profile: &str) -> Option<&'a Memory> {
        before.filter(|before| before.peer == peer && before.profile == profile)
    }

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

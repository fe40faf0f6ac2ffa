//! Where a slice stands.

use std::str::FromStr;

/// The states of a slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SliceState {
    /// It is known to be due.
    Planned,
    /// Its file lies in the spool, its name and hash are committed.
    Rendered,
    /// Bytes may have left.
    Sending,
    /// It stands under its name at the receiver.
    Placed,
    /// It was seen there later.
    Verified,
    /// No rows; passed over.
    Empty,
    /// A later revision took its place.
    Superseded,
    /// It waits for a person.
    Held,
    /// A person passed over it.
    Skipped,
    /// The last attempt failed; the next run tries again.
    Failed,
}

impl SliceState {
    const ALL: [SliceState; 10] = [
        SliceState::Planned,
        SliceState::Rendered,
        SliceState::Sending,
        SliceState::Placed,
        SliceState::Verified,
        SliceState::Empty,
        SliceState::Superseded,
        SliceState::Held,
        SliceState::Skipped,
        SliceState::Failed,
    ];

    /// The word in the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            SliceState::Planned => "planned",
            SliceState::Rendered => "rendered",
            SliceState::Sending => "sending",
            SliceState::Placed => "placed",
            SliceState::Verified => "verified",
            SliceState::Empty => "empty",
            SliceState::Superseded => "superseded",
            SliceState::Held => "held",
            SliceState::Skipped => "skipped",
            SliceState::Failed => "failed",
        }
    }

    /// Whether its file is what the receiver is to have: it came there, and no later revision took its place.
    pub fn is_current(self) -> bool {
        matches!(self, SliceState::Placed | SliceState::Verified)
    }

    /// Whether its file came to the receiver, whatever came after it.
    pub fn is_delivered(self) -> bool {
        self.is_current() || self == SliceState::Superseded
    }

    /// The outcome in reports: delivered, empty, held, failed or planned.
    pub fn outcome(self) -> &'static str {
        match self {
            SliceState::Placed | SliceState::Verified | SliceState::Superseded => "delivered",
            SliceState::Empty | SliceState::Skipped => "empty",
            SliceState::Held => "held",
            SliceState::Failed => "failed",
            SliceState::Planned | SliceState::Rendered | SliceState::Sending => "planned",
        }
    }
}

impl FromStr for SliceState {
    type Err = String;

    fn from_str(text: &str) -> Result<SliceState, String> {
        SliceState::ALL
            .into_iter()
            .find(|s| s.as_str() == text)
            .ok_or_else(|| format!("the slice state {text:?}"))
    }
}

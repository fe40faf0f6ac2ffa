//! What becomes of rows that arrive after their slice was planned.

use crate::Window;
use serde::Deserialize;

/// The key `late` of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Late {
    /// The whole slice is sent again.
    #[default]
    Replace,
    /// Only the new rows are sent.
    Delta,
    /// It waits for `ew-ledger release`.
    Hold,
}

/// Rows that no revision of a slice has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LateRows {
    /// The slice, or the slot that was passed over empty.
    pub window: Window,
    /// How many are in it.
    pub rows: u64,
    /// How many are shortly before it, where its intervals count those too.
    pub lead_in: u64,
    /// What the ledger has of the slice; none for a slot that was passed over empty.
    pub before: Option<Before>,
}

impl LateRows {
    /// How many open it: those in it, or where there is none those before it.
    pub fn count(&self) -> u64 {
        if self.rows == 0 { self.lead_in } else { self.rows }
    }
}

/// A slice as the ledger has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Before {
    /// Its newest revision.
    pub rev: u32,
    /// The highest seq that any of its revisions was planned with.
    pub as_of_seq: i64,
    /// Rows of it are gone from the log.
    pub trimmed: bool,
    /// A person passed over it, so what follows is for a person to decide.
    pub skipped: bool,
    /// It was rebuilt: that the log gives its file does not tell which rows that was made of.
    pub rebuilt: bool,
    /// It was rebuilt, and the log does not give the file that the receiver has.
    pub unmatched: bool,
    /// Its newest revision has no file yet, so that these rows join it.
    pub waiting: bool,
}

/// How late rows go out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LateAs {
    /// As the slot's first delivery.
    First,
    /// As the slice's next revision, whole.
    Whole,
    /// As the slice's next revision, which holds only rows with a higher seq.
    Delta {
        /// The seq.
        after_seq: i64,
    },
    /// Not before a person says so.
    Held {
        /// Why.
        reason: &'static str,
    },
    /// With the revision that waits already.
    Joined,
}

/// Decides by the job's `late` and whether new rows alone make a file of it: its names tell revisions apart
/// (`{rev}`), and its rows are not made of readings (`interval`). Rows with which the log gives the file of a rebuilt
/// slice do not come here.
pub fn late_as(late: Late, can_delta: bool, rows: &LateRows) -> LateAs {
    let Some(before) = rows.before else { return LateAs::First };
    let delta = LateAs::Delta { after_seq: before.as_of_seq };
    match late {
        _ if before.waiting => LateAs::Joined,
        _ if before.skipped => LateAs::Held { reason: "late rows of a slice that was skipped" },
        _ if before.rebuilt => LateAs::Held { reason: REBUILT },
        Late::Hold if rows.rows == 0 => LateAs::Held { reason: "late rows before it; late = \"hold\"" },
        Late::Hold => LateAs::Held { reason: "late rows; late = \"hold\"" },
        _ if before.trimmed && can_delta => delta,
        _ if before.trimmed => LateAs::Held { reason: TRIMMED_WITHOUT_DELTA },
        Late::Delta => delta,
        Late::Replace => LateAs::Whole,
    }
}

/// Why late rows of a rebuilt slice are held: what they make of it may be less than what the receiver has, be it that
/// the log gave its file before. Intervals can be the same without some of their rows.
const REBUILT: &str =
    "late rows of a rebuilt slice, and the log does not give the file that the receiver has";

/// Why late rows of a trimmed slice are held.
pub const TRIMMED_WITHOUT_DELTA: &str = "late rows of a slice that lost rows to ew-log trim, and no delta: filename has no {rev}, or rows are intervals";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Timestamp;

    #[test]
    fn by_policy_and_by_what_the_ledger_has() {
        let at = |before: Option<Before>, late, can_delta| {
            let window = Window::new(Timestamp::from_secs(0), Timestamp::from_secs(900));
            late_as(late, can_delta, &LateRows { window, rows: 1, lead_in: 0, before })
        };
        let plain = Before {
            rev: 1,
            as_of_seq: 7,
            trimmed: false,
            skipped: false,
            rebuilt: false,
            unmatched: false,
            waiting: false,
        };
        let rebuilt = Some(Before { rebuilt: true, trimmed: true, ..plain });
        let trimmed = Some(Before { trimmed: true, ..plain });
        let skipped = Some(Before { skipped: true, ..plain });
        let waiting = Some(Before { waiting: true, trimmed: true, ..plain });
        let delta = LateAs::Delta { after_seq: 7 };
        for late in [Late::Replace, Late::Delta, Late::Hold] {
            assert_eq!(at(None, late, true), LateAs::First);
            assert!(matches!(at(skipped, late, true), LateAs::Held { .. }));
            assert_eq!(at(waiting, late, true), LateAs::Joined);
            assert_eq!(at(rebuilt, late, true), LateAs::Held { reason: REBUILT });
        }
        assert_eq!(at(Some(plain), Late::Replace, false), LateAs::Whole);
        assert_eq!(at(Some(plain), Late::Delta, true), delta);
        assert!(matches!(at(Some(plain), Late::Hold, true), LateAs::Held { .. }));
        assert_eq!(at(trimmed, Late::Replace, true), delta);
        assert_eq!(at(trimmed, Late::Delta, true), delta);
        assert_eq!(at(trimmed, Late::Replace, false), LateAs::Held { reason: TRIMMED_WITHOUT_DELTA });
    }
}

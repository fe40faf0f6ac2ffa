//! The one rule for what is missing: for `complete` of a discovery, for the end of a poll and for the points that it has,
//! on every backend.
//!
//! A discovery is complete when everything that was asked was answered intelligibly. On, off and absent are answers, as
//! is that a group has no level; a level that is damaged, at odds or refused is none, nor is silence.

use crate::{Discovery, Group, GroupState, Origin};
use ew_core::Exit;

/// So many groups are named in a reason.
const NAMED_MAX: usize = 3;

impl Group {
    /// The code of a poll of which every group ended like this one; none where nothing failed.
    pub fn failed(&self) -> Option<Exit> {
        match self.state {
            GroupState::Conflict | GroupState::Corrupt | GroupState::Error => Some(Exit::Protocol),
            GroupState::Unknown => Some(Exit::Unavailable),
            GroupState::Ok
            | GroupState::On
            | GroupState::Off
            | GroupState::Absent
            | GroupState::NoLevel
            | GroupState::Unasked => None,
        }
    }

    /// Whether a poll has a point for it: with its level, or null with the reason. Not where there is nothing that could
    /// have a level: on no unit of the bus, only in a file or database, or without one by its nature.
    pub fn is_polled(&self) -> bool {
        !matches!(self.state, GroupState::Absent | GroupState::NoLevel)
            && !matches!(self.source, Origin::File | Origin::Db)
    }
}

/// Which of these groups failed, the first of them by name; none where none did.
pub fn without_level(groups: &[&Group]) -> Option<String> {
    let failed: Vec<&&Group> = groups.iter().filter(|group| group.failed().is_some()).collect();
    if failed.is_empty() {
        return None;
    }
    let named = failed.iter().take(NAMED_MAX);
    let named: Vec<String> =
        named.map(|g| format!("{}/{}/{}", g.network, g.application, g.address)).collect();
    let more = if failed.len() > NAMED_MAX { ", …" } else { "" };
    let (count, all) = (failed.len(), groups.len());
    Some(format!("{count} of {all} groups have no level: {}{more}", named.join(", ")))
}

impl Discovery {
    /// Says what is missing and whether anything is. `tells_its_end`: the backend knows when it has seen everything.
    pub(crate) fn judge(&mut self, tells_its_end: bool) {
        let groups: Vec<&Group> = self.groups.iter().collect();
        self.incomplete_reasons.extend(without_level(&groups));
        self.complete = match self.incomplete_reasons.is_empty() {
            true => tells_its_end.then_some(true),
            false => Some(false),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_told_intelligibly_is_missing() {
        use GroupState::*;
        let of = |state| Group { state, ..Group::new("b", "254", 56, 1, Origin::Bus) };
        let cases = [
            (Ok, None, true),
            (On, None, true),
            (Off, None, true),
            (Absent, None, false),
            (Conflict, Some(Exit::Protocol), true),
            (Corrupt, Some(Exit::Protocol), true),
            (Error, Some(Exit::Protocol), true),
            (NoLevel, None, false),
            (Unasked, None, true),
            (Unknown, Some(Exit::Unavailable), true),
        ];
        for (state, failed, is_polled) in cases {
            assert_eq!((of(state).failed(), of(state).is_polled()), (failed, is_polled), "{state:?}");
        }
        assert!(!Group { source: Origin::File, ..of(Unknown) }.is_polled());
    }
}

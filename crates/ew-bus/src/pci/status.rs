//! Statuses: two bits or two bytes a group, put together from their lines, and the vote over samples.

use super::frame::BLOCK;
use super::message::StatusLine;
use std::array;

/// Applications have so many groups, and a network so many units.
pub(super) const ALL: usize = 256;

/// What two bits say (SIUG 7.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Switch {
    /// No unit has it.
    Absent,
    /// On.
    On,
    /// Off.
    Off,
    /// Outputs disagree, or ask to be initialised.
    Error,
}

impl Switch {
    fn of(bits: u8) -> Switch {
        match bits & 0b11 {
            0b00 => Switch::Absent,
            0b01 => Switch::On,
            0b10 => Switch::Off,
            _ => Switch::Error,
        }
    }
}

/// What two bytes say (SIUG 7.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    /// No output unit has it.
    Absent,
    /// Its level.
    At(u8),
    /// Two outputs disagree: their nibbles lie over each other.
    Conflict([u8; 2]),
    /// Nibbles that no two outputs make: noise.
    Corrupt([u8; 2]),
}

impl Level {
    /// Two nibbles a byte, two bits a nibble; the byte of the low half of the level comes first.
    pub(super) fn of(bytes: [u8; 2]) -> Level {
        if bytes == [0, 0] {
            return Level::Absent;
        }
        let [low, high] = bytes;
        let mut level = 0;
        let mut is_conflict = false;
        for nibble in [high >> 4, high & 0xF, low >> 4, low & 0xF] {
            let bits = match nibble {
                0xA => 0b00,
                0x9 => 0b01,
                0x6 => 0b10,
                0x5 => 0b11,
                0x7 | 0xB | 0xD | 0xE | 0xF => {
                    is_conflict = true;
                    0
                }
                // Outputs can only add bits to a good nibble, so this one was damaged, whatever the others are.
                _ => return Level::Corrupt(bytes),
            };
            level = level << 2 | bits;
        }
        if is_conflict { Level::Conflict(bytes) } else { Level::At(level) }
    }
}

/// A status that is being put together by application, coding and first group, in whatever order its lines come.
#[derive(Debug)]
pub(super) struct Sheet<T> {
    first: usize,
    cells: Vec<Option<T>>,
}

impl<T: Copy> Sheet<T> {
    fn new(first: u8, count: usize) -> Sheet<T> {
        Sheet { first: usize::from(first), cells: vec![None; count] }
    }

    fn put(&mut self, first: u8, values: impl Iterator<Item = T>) {
        for (group, value) in (usize::from(first)..).zip(values) {
            let cell = group.checked_sub(self.first).and_then(|at| self.cells.get_mut(at));
            if let Some(cell) = cell {
                *cell = Some(value);
            }
        }
    }

    /// All of it, once nothing is missing.
    pub(super) fn whole(&self) -> Option<Vec<T>> {
        self.cells.iter().copied().collect()
    }
}

impl Sheet<Switch> {
    /// Every group of an application, or every unit.
    pub(super) fn switches() -> Sheet<Switch> {
        Sheet::new(0, ALL)
    }

    /// The lowest bits are the first group's.
    pub(super) fn add(&mut self, line: &StatusLine) {
        let bits = line.data.iter().flat_map(|byte| array::from_fn::<u8, 4, _>(|i| byte >> (2 * i)));
        self.put(line.first, bits.map(Switch::of));
    }
}

impl Sheet<Level> {
    /// The 32 groups from `block` on.
    pub(super) fn levels(block: u8) -> Sheet<Level> {
        Sheet::new(block, usize::from(BLOCK))
    }

    /// Two bytes a group.
    pub(super) fn add(&mut self, line: &StatusLine) {
        let (pairs, _) = line.data.as_chunks::<2>();
        self.put(line.first, pairs.iter().map(|pair| Level::of(*pair)));
    }
}

/// What more than half of the samples say of each group, none where they are at odds: a status has no check of its
/// own on the bus (IFR 8.5.9).
pub(super) fn vote(samples: &[Vec<Switch>]) -> Vec<Option<Switch>> {
    (0..ALL)
        .map(|group| {
            let votes = || samples.iter().filter_map(|sample| sample.get(group));
            votes().copied().find(|said| 2 * votes().filter(|other| *other == said).count() > samples.len())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::frame::unhex;
    use super::super::message::Message;
    use super::*;
    use proptest::prelude::*;

    fn line(text: &str) -> StatusLine {
        match Message::read(&unhex(text.as_bytes()).unwrap()) {
            Message::Status(line) => line,
            other => panic!("{text}: {other:?}"),
        }
    }

    const BINARY: [&str; 3] = [
        "D8380068AA0140550550001000000014000000000000000000CF",
        "D838580000000000000000000000000000000000000000000098",
        "D638B000000000FF00000000000000000000000000000043",
    ];
    const LEVELS: [&str; 3] = [
        "F9073800AAAA000095990000000055550000000000005555555548",
        "F907380B0000000000005555000000000000000000000000000013",
        "F70738160000000000000000000000000000000000000000B4",
    ];

    #[test]
    fn the_vendors_binary_status() {
        let mut sheet = Sheet::switches();
        // In any order, and twice: the same.
        for i in [2, 0, 0, 1] {
            assert_eq!(sheet.whole(), None);
            sheet.add(&line(BINARY[i]));
        }
        let all = sheet.whole().unwrap();
        assert_eq!(all[..4], [Switch::Absent, Switch::Off, Switch::Off, Switch::On]);
        assert_eq!(all[4..8], [Switch::Off; 4]);
        assert_eq!(all[8..12], [Switch::On, Switch::Absent, Switch::Absent, Switch::Absent]);
        // FF, the fifth byte of the third line: B0 + 16.
        assert_eq!(
            all[0xBF..0xC5],
            [Switch::Absent, Switch::Error, Switch::Error, Switch::Error, Switch::Error, Switch::Absent]
        );
        assert_eq!(all.len(), ALL);
    }

    #[test]
    fn the_vendors_level_status() {
        let mut sheet = Sheet::levels(0);
        for i in [1, 2, 0] {
            assert_eq!(sheet.whole(), None);
            sheet.add(&line(LEVELS[i]));
        }
        let all = sheet.whole().unwrap();
        let mut expect = vec![Level::Absent; 32];
        expect[0] = Level::At(0);
        expect[2] = Level::At(0x57);
        for full in [5, 9, 10, 14] {
            expect[full] = Level::At(0xFF);
        }
        assert_eq!(all, expect);
        // Another block's lines leave this one alone.
        let mut other = Sheet::levels(0x20);
        LEVELS.iter().for_each(|text| other.add(&line(text)));
        assert_eq!(other.whole(), None);
        assert!(other.cells.iter().all(Option::is_none));
    }

    #[test]
    fn each_level_has_its_own_two_bytes() {
        let mut seen = [false; 256];
        for high in 0..=255 {
            for low in 0..=255 {
                if let Level::At(level) = Level::of([low, high]) {
                    assert!(!seen[usize::from(level)], "{level}");
                    seen[usize::from(level)] = true;
                }
            }
        }
        assert!(seen.iter().all(|seen| *seen));
    }

    #[test]
    fn conflict_noise_and_absence_are_told_apart() {
        assert_eq!(Level::of([0x95, 0x99]), Level::At(0x57));
        assert_eq!(Level::of([0, 0]), Level::Absent);
        for nibble in [0x7, 0xB, 0xD, 0xE, 0xF] {
            let bytes = [0xA0 | nibble, 0xAA];
            assert_eq!(Level::of(bytes), Level::Conflict(bytes));
        }
        for nibble in [0x0, 0x1, 0x2, 0x3, 0x4, 0x8, 0xC] {
            let bytes = [0xAA, nibble << 4 | 0xA];
            assert_eq!(Level::of(bytes), Level::Corrupt(bytes));
            let both = [0xAF, nibble << 4 | 0xA];
            assert_eq!(Level::of(both), Level::Corrupt(both));
        }
    }

    #[test]
    fn two_of_three_have_it() {
        let sample = |first| {
            let mut sample = vec![Switch::Absent; ALL];
            sample[0] = first;
            sample
        };
        let said = |samples: &[Switch]| vote(&samples.iter().map(|s| sample(*s)).collect::<Vec<_>>())[0];
        assert_eq!(said(&[Switch::On, Switch::Absent, Switch::On]), Some(Switch::On));
        assert_eq!(said(&[Switch::On, Switch::Absent, Switch::Off]), None);
        assert_eq!(said(&[Switch::On, Switch::Absent]), None);
        assert_eq!(said(&[Switch::Off]), Some(Switch::Off));
        assert_eq!(said(&[]), None);
    }

    proptest! {
        /// Outputs that disagree lie over each other bit by bit; that is never taken for noise or for a level.
        #[test]
        fn two_outputs_of_different_levels_are_a_conflict(one: u8, other: u8) {
            let bytes = |level: u8| {
                let byte = |half: u8| [0xA, 0x9, 0x6, 0x5][usize::from(half >> 2)] << 4 | [0xA, 0x9, 0x6, 0x5][usize::from(half & 3)];
                [byte(level & 0xF), byte(level >> 4)]
            };
            let ([a, b], [c, d]) = (bytes(one), bytes(other));
            let both: [u8; 2] = [a | c, b | d];
            let expect = if one == other { Level::At(one) } else { Level::Conflict(both) };
            prop_assert_eq!(Level::of(both), expect);
        }
    }
}

//! What becomes of a switch's datagrams: the only place where a finished answer is altered, lost or delayed.

use super::drift::scramble;
use std::collections::BTreeSet;
use std::str::FromStr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How many of a hundred.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Percent(u8);

impl Percent {
    /// Each time.
    pub(crate) const ALL: Percent = Percent(100);

    /// Whether an evenly spread number is among them.
    fn holds(self, draw: u64) -> bool {
        draw % 100 < u64::from(self.0)
    }
}

impl FromStr for Percent {
    type Err = String;

    fn from_str(text: &str) -> Result<Percent, String> {
        match text.parse() {
            Ok(percent @ 0..=100) => Ok(Percent(percent)),
            _ => Err(format!("not a percentage from 0 to 100: {text:?}")),
        }
    }
}

/// A datagram to send, and when.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Delivery {
    /// From the arrival of the request.
    pub(crate) after: Duration,
    /// What to send.
    pub(crate) datagram: Vec<u8>,
}

/// What is drawn by lot for a request; each has lots of its own, so that one fault does not move another.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Lot {
    Lossy,
    Duplicating,
    Truncated,
    Corrupt,
    Flips,
    Place,
    Mask,
}

/// The line to one switch.
#[derive(Debug)]
pub(crate) struct Wire {
    seed: u64,
    /// How many came so far. The lots of a request hang on its number alone, so that they are the same in each
    /// run, and a request that is repeated has new ones.
    requests: AtomicU64,
    /// Loses all.
    pub(crate) silent: bool,
    /// Between a request and its answer.
    pub(crate) delay: Duration,
    /// Requests that are lost; since a switch keeps no state, as well their answers.
    pub(crate) lossy: Percent,
    /// Answers that are sent twice.
    pub(crate) duplicating: Percent,
    /// Answers of which only the first half is sent.
    pub(crate) truncated: Percent,
    /// Answers of which one to three bytes are changed.
    pub(crate) corrupt: Percent,
}

impl Wire {
    /// A good one; the seed is of this switch alone.
    pub(crate) fn new(seed: u64) -> Wire {
        Wire {
            seed,
            requests: AtomicU64::new(0),
            silent: false,
            delay: Duration::ZERO,
            lossy: Percent::default(),
            duplicating: Percent::default(),
            truncated: Percent::default(),
            corrupt: Percent::default(),
        }
    }

    /// What leaves of the answer to the next request.
    pub(crate) fn deliveries(&self, answer: Vec<u8>) -> Vec<Delivery> {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let draw = |lot: Lot, n: usize| scramble([self.seed, number, lot as u64, n as u64]);
        if self.silent || self.lossy.holds(draw(Lot::Lossy, 0)) {
            return Vec::new();
        }
        let mut datagram = answer;
        if self.truncated.holds(draw(Lot::Truncated, 0)) {
            datagram.truncate(datagram.len() / 2);
        }
        if self.corrupt.holds(draw(Lot::Corrupt, 0)) {
            flip(&mut datagram, draw);
        }
        let copy = self.duplicating.holds(draw(Lot::Duplicating, 0)).then(|| datagram.clone());
        let delivery = |datagram| Delivery { after: self.delay, datagram };
        copy.into_iter().chain([datagram]).map(delivery).collect()
    }
}

/// Changes one to three bytes.
fn flip(datagram: &mut [u8], draw: impl Fn(Lot, usize) -> u64) {
    let length = datagram.len().max(1) as u64;
    // A set: a byte that is changed twice could be as it was.
    let places: BTreeSet<usize> =
        (0..1 + draw(Lot::Flips, 0) as usize % 3).map(|n| (draw(Lot::Place, n) % length) as usize).collect();
    for place in places {
        if let Some(byte) = datagram.get_mut(place) {
            *byte ^= 1 + (draw(Lot::Mask, place) % 255) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thousand(wire: &Wire) -> Vec<Vec<Delivery>> {
        (0..1000).map(|_| wire.deliveries(vec![7; 100])).collect()
    }

    #[test]
    fn a_good_wire_gives_each_answer_once_and_whole() {
        let whole = Delivery { after: Duration::ZERO, datagram: vec![7; 100] };
        assert!(thousand(&Wire::new(5)).iter().all(|d| d.len() == 1 && d[0] == whole));
    }

    #[test]
    fn a_lossy_wire_loses_its_share_and_the_same_ones_each_time() {
        let losses = |seed| {
            let wire = Wire { lossy: Percent(30), ..Wire::new(seed) };
            thousand(&wire).iter().map(Vec::is_empty).collect::<Vec<_>>()
        };
        let lost = losses(1).iter().filter(|&&lost| lost).count();
        assert!((250..350).contains(&lost), "{lost}");
        assert_eq!(losses(1), losses(1));
        assert_ne!(losses(1), losses(2));
    }

    #[test]
    fn two_faults_strike_independently() {
        let half = Percent(50);
        let wire = Wire { lossy: half, duplicating: half, ..Wire::new(1) };
        for copies in 0..=2 {
            let found = thousand(&wire).iter().filter(|d| d.len() == copies).count();
            let expected = if copies == 0 { 500 } else { 250 };
            assert!(found.abs_diff(expected) < 60, "{copies}: {found}");
        }
    }

    #[test]
    fn a_duplicate_is_the_same_and_a_corrupt_answer_never_whole() {
        let wire = Wire { duplicating: Percent::ALL, corrupt: Percent::ALL, ..Wire::new(3) };
        for pair in thousand(&wire) {
            assert_eq!((pair.len(), &pair[0]), (2, &pair[1]));
            let changed = pair[0].datagram.iter().filter(|&&byte| byte != 7).count();
            assert!((1..=3).contains(&changed), "{changed}");
        }
        let halves = Wire { truncated: Percent::ALL, ..Wire::new(3) };
        assert_eq!(halves.deliveries(vec![7; 101])[0].datagram, [7; 50]);
        // Nothing to change, and no panic.
        assert!(wire.deliveries(Vec::new())[0].datagram.is_empty());
    }
}

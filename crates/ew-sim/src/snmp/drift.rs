//! Readings that change with time, the same each run for the same seed and second.

use super::mib::{SYS_UP_TIME, USAGE};
use super::oid::Oid;
use super::value::Value;
use std::f64::consts::TAU;
use std::time::Duration;

/// Largest value of cewEntEnergyUsage.
const USAGE_MAX: f64 = 2_147_483_647.0;

/// How the readings of one switch move.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Drift {
    seed: u64,
    switch: u16,
}

impl Drift {
    /// Of switch `switch`, from 1.
    pub(crate) fn new(seed: u64, switch: u16) -> Drift {
        Drift { seed, switch }
    }

    /// What the row `name` reads now, when at the start it read `value`.
    pub(crate) fn apply(self, name: &Oid, value: &Value, elapsed: Duration) -> Value {
        match (name.arcs().strip_prefix(USAGE), value) {
            (Some(&[index]), &Value::Unsigned32(base)) => {
                Value::Unsigned32(self.usage(base, index, elapsed.as_secs()))
            }
            (None, &Value::TimeTicks(start)) if name.arcs() == SYS_UP_TIME => {
                // sysUpTime wraps round by its definition.
                Value::TimeTicks(start.wrapping_add((elapsed.as_millis() / 10) as u32))
            }
            _ => value.clone(),
        }
    }

    /// Within a fifth of `base`: a slow swing and a quick small one, each with its own period and start, so
    /// that entities neither move together nor stand still from one second to the next.
    fn usage(self, base: u32, index: u32, second: u64) -> u32 {
        let draw = |n: u64| scramble([self.seed, u64::from(self.switch), u64::from(index), n]);
        let swing = |n: u64, shortest: u64, spread: u64| {
            let period = shortest + draw(n) % spread;
            let start = draw(n + 1) % period;
            // Cut to one period while still whole, so that days of running cost no precision.
            let phase = (second % period + start) as f64 / period as f64;
            (TAU * phase).sin()
        };
        let base = f64::from(base);
        let moved = base * (1.0 + 0.14 * swing(0, 60, 60) + 0.06 * swing(2, 11, 13));
        moved.round().clamp(0.0, USAGE_MAX) as u32
    }
}

/// Spreads a few numbers over all 64 bits (the finalizer of splitmix64 after each).
pub(crate) fn scramble<const N: usize>(numbers: [u64; N]) -> u64 {
    numbers.into_iter().fold(0, |hash, number| {
        let mut z = (hash ^ number).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten minutes of an entity of 6.6 W that reads in mW, second by second.
    fn series(seed: u64, index: u32) -> Vec<u32> {
        (0..600).map(|second| Drift::new(seed, 1).usage(6600, index, second)).collect()
    }

    #[test]
    fn usage_moves_nearly_every_second_and_smoothly_around_its_base() {
        for index in 1001..1031 {
            let series = series(1, index);
            let still = series.windows(2).filter(|pair| pair[0] == pair[1]).count();
            assert!(still < 12, "{index}: {still} of 600");
            let jump = series.windows(2).map(|pair| pair[0].abs_diff(pair[1])).max();
            assert!(jump < Some(6600 / 15), "{index}: {jump:?}");
            assert!(series.iter().all(|&v| (5280..=7920).contains(&v)), "{index}");
            let mean = series.iter().sum::<u32>() / 600;
            assert!(mean.abs_diff(6600) < 200, "{index}: {mean}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_series() {
        assert_eq!(series(1, 1001), series(1, 1001));
        assert_ne!(series(1, 1001), series(2, 1001));
        assert_ne!(series(1, 1001), series(1, 1002));
    }

    #[test]
    fn only_usage_and_the_clock_move() {
        let drift = Drift::new(1, 1);
        let later = Duration::from_millis(90_125);
        let at = |arcs: &[u32], value| drift.apply(&Oid::below(arcs, &[]), &value, later);
        assert_eq!(at(SYS_UP_TIME, Value::TimeTicks(1000)), Value::TimeTicks(10_012));
        assert_eq!(at(&[1, 3, 6], Value::Unsigned32(5)), Value::Unsigned32(5));
        assert_ne!(at(&[USAGE, &[1001]].concat(), Value::Unsigned32(60_000)), Value::Unsigned32(60_000));
        let most = at(&[USAGE, &[1001]].concat(), Value::Unsigned32(u32::MAX));
        assert!(matches!(most, Value::Unsigned32(n) if n <= i32::MAX as u32));
    }
}

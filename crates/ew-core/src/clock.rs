//! Whether the wall clock can be believed: what was seen of it before, and what it says now.
//!
//! A box without a battery boots in 1970, a battery that dies gives any year, a person or a time server steps the
//! clock. Nothing tells for certain which side of a step was right, so the rules are few:
//!
//! 1. A clock before `FLOOR_SECS` is not set.
//! 2. Within one boot the wall clock advances with the time since boot. Where it did not, it stepped. A step forward
//!    within an hour of booting is the time server setting it.
//! 3. Across boots it must not go back; it may go forward by any time that a box can lie in a drawer, up to a year.
//! 4. A step is believed once the clock has run on evenly for as long as it jumped, at most a day: until then a step
//!    back repeats times that are known already, and a step forward may still be taken back.

use crate::{Span, Timestamp};
use std::fmt;
use std::time::Duration;

/// 2025-01-01T00:00:00Z: no ew ran before it.
const FLOOR_SECS: i64 = 1_735_689_600;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400 * SECOND;
/// Smaller steps are the corrections of every day.
const TOLERANCE: i64 = 60 * SECOND;
/// So long after booting a time server may set the clock.
const SETTLING: i64 = 3_600 * SECOND;
const YEAR: i64 = 366 * DAY;

/// What the clocks say at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockReading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The clock that nobody sets; none where the system does not tell.
    pub boot: Option<Boot>,
}

/// The time since boot, time asleep included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// Another one after each boot.
    pub id: String,
    /// Microseconds.
    pub uptime: i64,
}

impl ClockReading {
    /// Microseconds by the clock that nobody sets; none across boots.
    fn elapsed_to(&self, later: &ClockReading) -> Option<i64> {
        match (&self.boot, &later.boot) {
            (Some(then), Some(now)) => (then.id == now.id).then(|| now.uptime - then.uptime),
            _ => None,
        }
    }

    fn wall_to(&self, later: &ClockReading) -> i64 {
        later.wall.micros() - self.wall.micros()
    }

    fn is_early(&self) -> bool {
        self.boot.as_ref().is_some_and(|boot| boot.uptime < SETTLING)
    }
}

/// What was seen of the clock: readings that were believed and those that were not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClockHistory {
    /// The last reading that was believed.
    pub good: Option<ClockReading>,
    /// Readings since then that were not; none where the last one was good.
    pub doubted: Option<Doubted>,
}

/// Readings that were not believed and follow one another evenly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubted {
    /// The first.
    pub since: ClockReading,
    /// The last.
    pub last: ClockReading,
}

/// Why the clock is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClockDoubt {
    /// What it says.
    pub wall: Timestamp,
    /// How far it jumped, microseconds; none where it was never set.
    step: Option<i64>,
    /// The last time that was believed.
    pub good: Option<Timestamp>,
}

impl ClockHistory {
    /// Whether a reading tells what the last ones do not: they are older than ten minutes, of another boot, or it
    /// is about a step. Without a clock that nobody sets it tells too little.
    pub fn is_stale(&self, now: &ClockReading) -> bool {
        let last = self.doubted.as_ref().map(|doubted| &doubted.last).or(self.good.as_ref());
        let fresh = last.is_some_and(|last| {
            is_even(last, now) && last.elapsed_to(now).is_some_and(|elapsed| elapsed < 600 * SECOND)
        });
        now.boot.is_some() && !fresh
    }

    /// Judges a reading: the history with it, and the doubt, where there is one.
    pub fn observe(&self, now: &ClockReading) -> (ClockHistory, Option<ClockDoubt>) {
        let Some(doubt) = self.doubt(now) else {
            return (ClockHistory { good: Some(now.clone()), doubted: None }, None);
        };
        let since = match &self.doubted {
            Some(doubted) if is_even(&doubted.last, now) => doubted.since.clone(),
            _ => now.clone(),
        };
        let run = since.elapsed_to(now).unwrap_or_else(|| since.wall_to(now));
        if doubt.step.is_some_and(|step| run >= self.jump(step, &since).min(DAY)) {
            return (ClockHistory { good: Some(now.clone()), doubted: None }, None);
        }
        let doubted = Some(Doubted { since, last: now.clone() });
        (ClockHistory { good: self.good.clone(), doubted }, Some(doubt))
    }

    fn doubt(&self, now: &ClockReading) -> Option<ClockDoubt> {
        let good = self.good.as_ref();
        let doubt = |step| Some(ClockDoubt { wall: now.wall, step, good: good.map(|good| good.wall) });
        if now.wall.secs() < FLOOR_SECS {
            return doubt(None);
        }
        let good = good?;
        let ahead = good.wall_to(now);
        let step = match good.elapsed_to(now) {
            Some(elapsed) => {
                let step = ahead - elapsed;
                let is_set = good.is_early() && (0..=YEAR).contains(&step);
                if is_set { 0 } else { step }
            }
            None if (-TOLERANCE..=YEAR).contains(&ahead) && !self.stays_ahead(now) => 0,
            None => ahead,
        };
        if step.abs() <= TOLERANCE { None } else { doubt(Some(step)) }
    }

    /// How far the clock jumped when a run of doubted readings began, microseconds. Across boots the step shrinks
    /// or grows as the run goes on.
    fn jump(&self, step: i64, since: &ClockReading) -> i64 {
        match self.good.as_ref().filter(|good| good.elapsed_to(since).is_none()) {
            Some(good) => good.wall_to(since).abs(),
            None => step.abs(),
        }
    }

    /// A step forward that was not believed is none the better for a boot.
    fn stays_ahead(&self, now: &ClockReading) -> bool {
        let (Some(good), Some(doubted)) = (&self.good, &self.doubted) else { return false };
        good.wall_to(&doubted.last) > TOLERANCE && doubted.last.wall_to(now) >= -TOLERANCE
    }
}

/// Whether the clock ran on without a step. Without a clock that nobody sets it is enough that it did not go back.
fn is_even(then: &ClockReading, now: &ClockReading) -> bool {
    match (&then.boot, then.elapsed_to(now)) {
        (_, Some(elapsed)) => (then.wall_to(now) - elapsed).abs() <= TOLERANCE,
        (None, None) => now.boot.is_none() && then.wall_to(now) >= -TOLERANCE,
        (Some(_), None) => false,
    }
}

/// `the clock says 1970-01-01T00:00:40Z, which is before any ew ran`.
impl fmt::Display for ClockDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the clock says {}", self.wall)?;
        match (self.step, self.good) {
            (Some(step), Some(good)) => {
                let jump = Span(Duration::from_secs(step.unsigned_abs() / SECOND.unsigned_abs()));
                let way = if step < 0 { "back" } else { "forward" };
                write!(f, ", after a step {way} of {jump}; it was last good at {good}")
            }
            _ => write!(f, ", so it was never set"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const T: i64 = 1_772_323_200; // 2026-03-01T00:00:00Z
    const HOUR: i64 = 3_600;

    fn at(wall: i64, boot: &str, uptime: i64) -> ClockReading {
        let boot = (!boot.is_empty()).then(|| Boot { id: boot.to_owned(), uptime: uptime * SECOND });
        ClockReading { wall: Timestamp::from_secs(wall), boot }
    }

    /// Which of the readings, in order, were believed.
    fn believed(readings: &[ClockReading]) -> String {
        let mut history = ClockHistory::default();
        let mut one = |reading| {
            let (next, doubt) = history.observe(reading);
            history = next;
            if doubt.is_some() { '-' } else { '+' }
        };
        readings.iter().map(&mut one).collect()
    }

    #[test]
    fn a_clock_that_is_not_set_is_doubted_until_it_is() {
        assert_eq!(
            believed(&[at(40, "a", 40), at(100, "a", 100), at(T, "a", 160), at(T + 60, "a", 220)]),
            "--++"
        );
        // For ever, if nobody sets it.
        assert_eq!(believed(&[at(40, "a", 40), at(40 + 2 * 86_400, "a", 40 + 2 * 86_400)]), "--");
        // A good clock that falls to 1970 and comes back.
        assert_eq!(believed(&[at(T, "a", 9000), at(5, "a", 9060), at(T + 120, "a", 9120)]), "+-+");
    }

    #[test]
    fn a_step_back_is_doubted_until_the_times_are_new() {
        let back = |after: i64| at(T - HOUR + after, "a", 9000 + after);
        assert_eq!(believed(&[at(T, "a", 9000), back(60), back(1800), back(HOUR), back(HOUR + 60)]), "+---+");
        assert_eq!(believed(&[at(T, "a", 9000), back(60), back(HOUR + 60), back(HOUR + 120)]), "+-++");
        // Put right in between.
        assert_eq!(believed(&[at(T, "a", 9000), back(60), at(T + 300, "a", 9300)]), "+-+");
        // Across boots, and where the system tells no time since boot.
        assert_eq!(believed(&[at(T, "a", 9000), at(T - HOUR, "b", 5), at(T + 5, "b", HOUR + 10)]), "+-+");
        assert_eq!(believed(&[at(T, "", 0), at(T - HOUR, "", 0), at(T - 120, "", 0), at(T, "", 0)]), "+--+");
    }

    #[test]
    fn a_step_forward_is_doubted_until_it_has_lasted() {
        let ahead = |after: i64| at(T + 365 * 86_400 + after, "a", 9000 + after);
        assert_eq!(believed(&[at(T, "a", 9000), ahead(60), ahead(120), at(T + 180, "a", 9180)]), "+--+");
        assert_eq!(believed(&[at(T, "a", 9000), ahead(60), ahead(86_399), ahead(86_460)]), "+--+");
        // A boot makes it no better, a return does.
        let booted = at(T + 365 * 86_400 + 600, "b", 5);
        assert_eq!(believed(&[at(T, "a", 9000), ahead(60), booted.clone(), at(T + 900, "b", 305)]), "+--+");
        let later = |after: i64| at(T + 365 * 86_400 + 600 + after, "b", 5 + after);
        assert_eq!(believed(&[at(T, "a", 9000), ahead(60), booted, later(86_399), later(86_400)]), "+---+");
        // A battery that died gives any year.
        assert_eq!(believed(&[at(T, "a", 9000), at(T + 20 * 365 * 86_400, "b", 5)]), "+-");
    }

    #[test]
    fn what_happens_every_day_is_no_step() {
        // A box that was off, a correction of seconds, one set by the network soon after it booted.
        assert_eq!(believed(&[at(T, "a", 9000), at(T + 90 * 86_400, "b", 30)]), "++");
        assert_eq!(believed(&[at(T, "a", 9000), at(T + 30, "a", 9060), at(T + 150, "a", 9120)]), "+++");
        assert_eq!(believed(&[at(T, "a", 9000), at(T + 60, "b", 30), at(T + 15 * HOUR, "b", 90)]), "+++");
    }

    proptest! {
        /// Whatever the clock did before: set right and left alone, it is believed within a day, and then always.
        #[test]
        fn it_is_believed_again_by_itself(
            steps in proptest::collection::vec((0_i64..4_000_000_000, 1_i64..100_000, 0..3_u8), 0..12),
            minutes in 1_i64..90,
        ) {
            let (mut history, mut uptime, mut boot) = (ClockHistory::default(), 0, 0);
            for (wall, after, boots) in steps {
                uptime += after;
                if boots == 0 {
                    (uptime, boot) = (after, boot + 1);
                }
                history = history.observe(&at(wall, &boot.to_string(), uptime)).0;
            }
            let mut was_believed = false;
            for after in (0..2 * 86_400).step_by(minutes as usize * 60) {
                let (next, doubt) = history.observe(&at(T + after, &boot.to_string(), uptime + after));
                prop_assert!(doubt.is_none() || !was_believed && after < 86_400 + minutes * 60, "{after}: {doubt:?}");
                (history, was_believed) = (next, doubt.is_none());
            }
            prop_assert!(was_believed);
        }

        /// A clock that runs evenly, through any number of boots, is never doubted.
        #[test]
        fn an_even_clock_is_never_doubted(spans in proptest::collection::vec((1_i64..1_000_000, 0..3_u8), 1..50)) {
            let (mut wall, mut uptime, mut boot) = (T, 0, 0);
            let readings: Vec<_> = spans.iter().map(|(after, boots)| {
                wall += after;
                uptime = if *boots == 0 { boot += 1; 5 } else { uptime + after };
                at(wall, &boot.to_string(), uptime)
            }).collect();
            prop_assert!(believed(&readings).chars().all(|c| c == '+'));
        }
    }
}

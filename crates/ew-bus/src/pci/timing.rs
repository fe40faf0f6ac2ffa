//! How long things take and how far apart they are.

use std::time::Duration;

/// Tries of one command.
pub(super) const TRIES: u32 = 3;

/// The pauses that the interface and the bus need, and how long is waited for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timing {
    /// Between writes. The interface has a buffer of 20 bytes, and some go deaf in a burst.
    pub(super) pace: Duration,
    /// Between two tries of a command (IFR 8.2.5).
    pub(super) gap: Duration,
    /// Between two status requests of one application (IFR 8.5.9).
    pub(super) spacing: Duration,
    /// Before each further try to connect.
    pub(super) backoff: [Duration; 3],
    /// Until a confirmation.
    pub(super) confirmation: Duration,
    /// From there, or from a part of a reply, until the next.
    pub(super) reply: Duration,
}

impl Timing {
    /// `reply_timeout` is that of `ew.toml`.
    pub(super) fn new(reply_timeout: Duration) -> Timing {
        Timing {
            pace: Duration::from_millis(100),
            gap: Duration::from_millis(250),
            spacing: Duration::from_secs(3),
            backoff: [1, 2, 5].map(Duration::from_secs),
            confirmation: Duration::from_secs(2).min(reply_timeout),
            reply: reply_timeout,
        }
    }

    /// With pauses of a hundredth, for a simulator that needs none; only where debug assertions are on.
    pub(super) fn hurried(self) -> Timing {
        if !cfg!(debug_assertions) {
            return self;
        }
        let hundredth = |pause: Duration| pause / 100;
        Timing {
            pace: hundredth(self.pace),
            gap: hundredth(self.gap),
            spacing: hundredth(self.spacing),
            backoff: self.backoff.map(hundredth),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pauses_are_those_that_the_vendor_asks_for() {
        let timing = Timing::new(Duration::from_secs(5));
        assert_eq!(timing.pace, Duration::from_millis(100));
        assert_eq!(timing.gap, Duration::from_millis(250));
        assert_eq!(timing.spacing, Duration::from_secs(3));
        assert_eq!(timing.confirmation, Duration::from_secs(2));
        assert_eq!(timing.reply, Duration::from_secs(5));
    }

    #[test]
    fn haste_shortens_no_wait_for_an_answer() {
        let timing = Timing::new(Duration::from_secs(5));
        let hurried = timing.hurried();
        assert_eq!((hurried.confirmation, hurried.reply), (timing.confirmation, timing.reply));
        assert_eq!(hurried.spacing, Duration::from_millis(30));
    }
}

//! The one place that reads the clocks.

use crate::{Failure, Report};
use ew_core::{Boot, ClockDoubt, ClockReading, Exit, Timestamp};
use ew_store::{AppendError, Log};
use std::convert::Infallible;

/// The present. Programs built for tests (with debug assertions) take it from `EW_NOW` where that is set.
pub fn now() -> Timestamp {
    faked("EW_NOW")
        .and_then(|text| text.parse().ok())
        .unwrap_or_else(|| Timestamp::from_micros(chrono::Utc::now().timestamp_micros()))
}

/// The wall clock, and beside it the one that nobody sets. Programs built for tests take the latter from `EW_BOOT`,
/// `id:seconds`; where only `EW_NOW` is set there is none.
pub fn reading() -> ClockReading {
    let boot = match (faked("EW_BOOT"), faked("EW_NOW")) {
        (Some(text), _) => text.split_once(':').and_then(|(id, uptime)| boot(id, uptime)),
        (None, Some(_)) => None,
        (None, None) => kernel_boot(),
    };
    ClockReading { wall: now(), boot }
}

fn faked(name: &str) -> Option<String> {
    if cfg!(debug_assertions) { std::env::var(name).ok() } else { None }
}

/// As Linux tells it, time asleep included (proc(5)); none where there is no /proc.
fn kernel_boot() -> Option<Boot> {
    let id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let uptime = std::fs::read_to_string("/proc/uptime").ok()?;
    boot(id.trim(), uptime.split_whitespace().next()?)
}

fn boot(id: &str, uptime_secs: &str) -> Option<Boot> {
    let uptime = Timestamp::from_epoch_text(uptime_secs)?.micros();
    Some(Boot { id: id.to_owned(), uptime })
}

/// The present as far as it can be believed.
#[derive(Debug, Clone)]
pub struct Present {
    /// The clock, or while it is in doubt the last time that was good: what is past then is past for certain.
    pub time: Timestamp,
    /// What the clocks say.
    pub reading: ClockReading,
    /// Why the clock is not believed.
    pub doubt: Option<ClockDoubt>,
}

/// Judges a reading by what polls saw of the clock. Nothing is written.
pub fn present(log: &Log, reading: ClockReading) -> Result<Present, Failure> {
    let (_, doubt) = log.clock()?.observe(&reading);
    let time = match &doubt {
        None => reading.wall,
        // Where no time was ever good, nothing that was read lies before this.
        Some(doubt) => doubt.good.unwrap_or(Timestamp::from_secs(0)),
    };
    Ok(Present { time, reading, doubt })
}

impl Present {
    /// Says that the clock is in doubt, where it is, and what comes of it.
    pub fn warn(&self, report: Report, consequence: &str) {
        if let Some(doubt) = &self.doubt {
            report.warning(format_args!(
                "{doubt}; {consequence}. Look at date and the time server; a step is believed once the clock has \
                 run on evenly for as long as it jumped, at most a day"
            ));
        }
    }

    /// Has a poll appended; `append` is given the time of its samples. A clock that was set back gives a time a second
    /// time: then both readings are kept, this one, whose time is marked as doubtful, a microsecond later.
    pub fn append<T>(
        &self,
        mut append: impl FnMut(Timestamp) -> Result<T, AppendError<Infallible>>,
    ) -> Result<T, Failure> {
        let mut start = self.reading.wall;
        loop {
            match append(start) {
                Ok(done) => return Ok(done),
                Err(AppendError::Differs { .. }) if self.doubt.is_some() => start = start.plus_micros(1),
                Err(AppendError::Store(e)) => return Err(e.into()),
                Err(other) => return Err(Failure::new(Exit::Io, other.to_string())),
            }
        }
    }
}

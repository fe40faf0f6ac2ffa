//! The one place that reads the wall clock.

use ew_core::Timestamp;

/// The present. Programs built for tests (with debug assertions) take it from `EW_NOW` where that is set.
pub fn now() -> Timestamp {
    if cfg!(debug_assertions)
        && let Ok(text) = std::env::var("EW_NOW")
        && let Ok(time) = text.parse()
    {
        return time;
    }
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}

//! Durations as humantime reads them, never months or years: those have no fixed length.

use serde::Deserialize;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// No clock counts further without care, and no log goes back further: a thousand years of 365 days.
const MAX: Duration = Duration::from_secs(1000 * 365 * 86_400);

/// A length of time such as `15m`, `1h 30m` or `400d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Span(pub Duration);

impl Span {
    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Span {
        Span(Duration::from_secs(secs))
    }

    /// Microseconds, cut at the largest number that a timestamp can hold.
    pub fn micros(self) -> i64 {
        i64::try_from(self.0.as_micros()).unwrap_or(i64::MAX)
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Span, String> {
        let calendar = text.split(|c: char| !c.is_alphabetic()).any(|unit| {
            matches!(unit, "M" | "mon" | "month" | "months" | "y" | "yr" | "yrs" | "year" | "years")
        });
        if calendar {
            return Err(format!(
                "{text:?} counts months or years, whose length varies; write days, as in \"30d\""
            ));
        }
        let span = humantime::parse_duration(text)
            .map_err(|e| format!("{text:?} is not a duration such as \"15m\" or \"1h 30m\": {e}"))?;
        if span > MAX {
            return Err(format!("{text:?} is longer than a thousand years"));
        }
        Ok(Span(span))
    }
}

impl TryFrom<String> for Span {
    type Error = String;

    fn try_from(text: String) -> Result<Span, String> {
        text.parse()
    }
}

/// `2d 3h 5m`: never months or years. What is below a second is shown in ms; `0s` is zero.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secs = self.0.as_secs();
        let parts = [
            (secs / 86_400, "d"),
            (secs / 3_600 % 24, "h"),
            (secs / 60 % 60, "m"),
            (secs % 60, "s"),
            (u64::from(self.0.subsec_millis()), "ms"),
        ];
        let mut text = String::new();
        for (count, unit) in parts.into_iter().filter(|(count, _)| *count > 0) {
            text += &format!("{}{count}{unit}", if text.is_empty() { "" } else { " " });
        }
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_durations_but_no_months() {
        assert_eq!("15m".parse(), Ok(Span::from_secs(900)));
        assert_eq!("1h 30m".parse(), Ok(Span::from_secs(5400)));
        assert_eq!(Span::from_secs(86_400 * 400 + 61).to_string(), "400d 1m 1s");
        assert_eq!(Span::from_secs(0).to_string(), "0s");
        assert_eq!("365000d".parse(), Ok(Span(MAX)));
        assert_eq!("500ms".parse::<Span>().unwrap().micros(), 500_000);
        for bad in ["1M", "2 months", "1y", "90", "", "-1h", "365001d", "9223372036854775807s"] {
            assert!(bad.parse::<Span>().is_err(), "{bad:?}");
        }
    }
}

//! Instants, kept to the microsecond.

use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::str::FromStr;

/// Microseconds since 1970-01-01T00:00:00Z, between the years 1 and 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

const MICROS: i64 = 1_000_000;

impl Timestamp {
    /// 0001-01-01T00:00:00Z.
    pub const MIN: Timestamp = Timestamp(-62_135_596_800 * MICROS);
    /// 9999-12-30T00:00:00Z: two days are left so that every zone can name it.
    pub const MAX: Timestamp = Timestamp(253_402_128_000 * MICROS);

    /// From microseconds since 1970, cut to the years 1 to 9999.
    pub fn from_micros(micros: i64) -> Timestamp {
        Timestamp(micros.clamp(Self::MIN.0, Self::MAX.0))
    }

    /// From whole seconds since 1970, cut to the years 1 to 9999.
    pub fn from_secs(secs: i64) -> Timestamp {
        Timestamp::from_micros(secs.saturating_mul(MICROS))
    }

    /// Microseconds since 1970.
    pub fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds since 1970, rounded down.
    pub fn secs(self) -> i64 {
        self.0.div_euclid(MICROS)
    }

    /// Cut to the second.
    pub fn floor_to_second(self) -> Timestamp {
        Timestamp(self.0 - self.0.rem_euclid(MICROS))
    }

    /// The instant so many microseconds later (or earlier).
    pub fn plus_micros(self, micros: i64) -> Timestamp {
        Timestamp::from_micros(self.0.saturating_add(micros))
    }

    /// As chrono has it.
    pub fn to_chrono(self) -> DateTime<Utc> {
        // Within the years 1 to 9999 chrono always has it.
        DateTime::from_timestamp_micros(self.0).unwrap_or(DateTime::UNIX_EPOCH)
    }

    /// From RFC 3339 with its offset, or none where the text is no such time.
    pub fn from_rfc3339(text: &str) -> Option<Timestamp> {
        let time = DateTime::parse_from_rfc3339(text).ok()?;
        Timestamp::in_range(time.timestamp_micros())
    }

    /// From seconds since 1970 with decimals (`1700000000.25`); digits past the microsecond are cut.
    pub fn from_epoch_text(text: &str) -> Option<Timestamp> {
        let (negative, whole, fraction) = epoch_parts(text)?;
        let kept = &fraction[..fraction.len().min(6)];
        let micros = kept.bytes().chain(std::iter::repeat(b'0')).take(6);
        let micros = micros.fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
        let total = whole.parse::<i64>().ok()?.checked_mul(MICROS)?.checked_add(micros)?;
        Timestamp::in_range(if negative { -total } else { total })
    }

    /// The part of a second as text: empty, or a point and its digits without trailing zeros.
    pub fn fraction(self) -> String {
        match self.0.rem_euclid(MICROS) {
            0 => String::new(),
            part => format!(".{part:06}").trim_end_matches('0').to_owned(),
        }
    }

    /// Whether a text is a time, and one outside the years that can be kept.
    pub(crate) fn is_out_of_range(text: &str) -> bool {
        let is_time = DateTime::parse_from_rfc3339(text).is_ok() || epoch_parts(text).is_some();
        is_time && Timestamp::from_rfc3339(text).or_else(|| Timestamp::from_epoch_text(text)).is_none()
    }

    fn in_range(micros: i64) -> Option<Timestamp> {
        (Self::MIN.0..=Self::MAX.0).contains(&micros).then_some(Timestamp(micros))
    }
}

/// Sign, whole seconds and decimals of epoch seconds.
fn epoch_parts(text: &str) -> Option<(bool, &str, &str)> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let all_digits = |s: &str| !s.is_empty() && s.bytes().all(|b| b.is_ascii_digit());
    (all_digits(whole) && all_digits(fraction)).then_some((negative, whole, fraction))
}

impl FromStr for Timestamp {
    type Err = String;

    fn from_str(text: &str) -> Result<Timestamp, String> {
        Timestamp::from_rfc3339(text).or_else(|| Timestamp::from_epoch_text(text)).ok_or_else(|| {
            match Timestamp::is_out_of_range(text) {
                true => {
                    format!("{text:?} is outside of what is kept, {} to {}", Timestamp::MIN, Timestamp::MAX)
                }
                false => format!(
                    "{text:?} is neither RFC 3339 with an offset (2026-01-31T00:00:00Z) nor epoch seconds"
                ),
            }
        })
    }
}

/// RFC 3339 in UTC, fractions as far as they are not zero.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.to_chrono().to_rfc3339_opts(SecondsFormat::Secs, true);
        f.pad(&format!("{}{}Z", whole.trim_end_matches('Z'), self.fraction()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_notations() {
        let t = |s: &str| s.parse::<Timestamp>().map(Timestamp::micros);
        assert_eq!(t("2023-11-14T22:13:20Z"), Ok(1_700_000_000_000_000));
        assert_eq!(t("2023-11-14T23:13:20.5+01:00"), Ok(1_700_000_000_500_000));
        assert_eq!(t("1700000000"), Ok(1_700_000_000_000_000));
        assert_eq!(t("1700000000.1234567"), Ok(1_700_000_000_123_456));
        assert_eq!(t("-1.5"), Ok(-1_500_000));
        for bad in ["", "1700000000.", "2023-11-14", "2023-11-14T22:13:20", "1e9", "99999999999999999999"] {
            assert!(t(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_time_out_of_range_is_told_from_what_is_no_time() {
        for beyond in
            ["9999-12-31T23:59:59Z", "0000-12-31T23:59:59Z", "99999999999999", "99999999999999999999", "-1e"]
        {
            let said = beyond.parse::<Timestamp>().unwrap_err();
            let range = "is outside of what is kept, 0001-01-01T00:00:00Z to 9999-12-30T00:00:00Z";
            assert_eq!(said.ends_with(range), beyond != "-1e", "{said}");
        }
    }

    #[test]
    fn prints_the_fraction_it_has() {
        assert_eq!(Timestamp::from_micros(1_700_000_000_000_000).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(Timestamp::from_micros(1_700_000_000_500_000).to_string(), "2023-11-14T22:13:20.5Z");
        assert_eq!(Timestamp::from_micros(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }
}

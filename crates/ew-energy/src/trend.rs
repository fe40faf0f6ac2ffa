//! `[[trend]]`: which domains get a record each period, whatever their ttl.

use crate::{DomainOptions, EnergyConfigError};
use ew_core::{Period, Timestamp};
use serde::Deserialize;
use std::collections::HashSet;

/// One domain's trend: `ew-poll --due` polls it, with all below it, once in each period.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrendOptions {
    /// A listed domain.
    pub domain: String,
    /// How long a period is; periods are cut from 1970-01-01T00:00:00Z on.
    pub period: Period,
}

impl TrendOptions {
    /// When the period began that holds an instant.
    pub fn period_start(&self, now: Timestamp) -> Timestamp {
        let secs = match self.period {
            Period::Seconds(secs) => i64::from(secs),
            Period::Days(days) => i64::from(days) * 86_400,
        };
        let micros = secs * 1_000_000;
        Timestamp::from_micros(now.micros().div_euclid(micros) * micros)
    }

    /// Whether a domain is this one or below it.
    pub fn covers(&self, domain: &str) -> bool {
        domain.strip_prefix(&self.domain).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }

    /// The trend that a domain follows: its own, else that of the nearest domain above it that has one.
    pub fn followed<'a>(trends: &'a [TrendOptions], domain: &str) -> Option<&'a TrendOptions> {
        trends.iter().filter(|trend| trend.covers(domain)).max_by_key(|trend| trend.domain.len())
    }
}

/// Every trend has a domain, and no domain two; the error comes with the place of its trend in the list.
pub fn check_trends(
    trends: &[TrendOptions],
    domains: &[DomainOptions],
) -> Result<(), (usize, EnergyConfigError)> {
    let mut seen: HashSet<&str> = HashSet::new();
    for (place, trend) in trends.iter().enumerate() {
        let domain = trend.domain.clone();
        if !domains.iter().any(|listed| listed.name == trend.domain) {
            return Err((place, EnergyConfigError::TrendDomain { domain }));
        }
        if !seen.insert(&trend.domain) {
            return Err((place, EnergyConfigError::TrendTwice { domain }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trend(domain: &str, period: &str) -> TrendOptions {
        TrendOptions { domain: domain.into(), period: period.parse().unwrap() }
    }

    #[test]
    fn periods_are_cut_from_the_epoch() {
        for (period, now, expect) in [
            ("60s", 119, 60),
            ("60s", 120, 120),
            ("5m", 1_700_000_000, 1_699_999_800),
            ("1d", 1_700_000_000, 1_699_920_000),
            ("2d", 86_400 * 3, 86_400 * 2),
            ("60s", -1, -60),
        ] {
            let start = trend("a", period).period_start(Timestamp::from_secs(now));
            assert_eq!(start, Timestamp::from_secs(expect), "{period} {now}");
        }
    }

    #[test]
    fn the_nearest_trend_is_followed() {
        let trends = [trend("com", "5m"), trend("com.a.b", "60s")];
        let followed = |domain| TrendOptions::followed(&trends, domain).map(|trend| trend.domain.as_str());
        assert_eq!(followed("com"), Some("com"));
        assert_eq!(followed("com.a"), Some("com"));
        assert_eq!(followed("com.a.b"), Some("com.a.b"));
        assert_eq!(followed("com.a.b.c"), Some("com.a.b"));
        assert_eq!(followed("com.a.bc"), Some("com"));
        assert_eq!(followed("company"), None);
    }
}

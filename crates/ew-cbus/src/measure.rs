//! `measure`.

use crate::Asker;
use crate::poll::{Reading, append, begin, lock, prefix};
use ew_bus::Measurement;
use ew_cli::{Failure, Output};
use ew_core::{Exit, PartOutcome, Span, point_part};

/// Appends what the measurement channels of each bus said last: a reading's unit is the channel's, its time the poll's,
/// and its age stands beside it.
pub(crate) fn measure(
    asker: &Asker<'_>,
    names: &[String],
    dry_run: bool,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let chosen = asker.choose(names)?;
    let (mut log, clock, mut run) = begin(asker)?;
    for options in chosen {
        let taken = lock(asker, options, asker.wait()).and_then(|lock| {
            let told = asker.ask(options, "measure", |bus| bus.measure())?;
            let readings: Vec<Reading> = told.iter().filter_map(|one| reading(&options.name, one)).collect();
            if !dry_run {
                append(&mut log, &readings, &clock)?;
            }
            drop(lock);
            Ok(readings)
        });
        match taken {
            Ok(readings) => {
                run.parts.push(PartOutcome::Done);
                run.done(&options.name, &readings, None, &clock);
            }
            Err(failure) => run.failed(asker, &options.name, failure),
        }
    }
    run.print((json, false), out)
}

fn reading(bus: &str, told: &Measurement) -> Option<Reading> {
    let Measurement { network, device, channel, .. } = told;
    let name = format!("{}{}.measurement.{device}.{channel}", prefix(bus), point_part(network, 0));
    let value = told.value.as_deref().filter(|_| told.valid).and_then(|value| number(value, told.exponent));
    let reason = match (value, &told.value, told.age_ms) {
        (None, None, _) => Some("it was never heard".to_owned()),
        (None, Some(text), _) => Some(format!("{text:?} is no reading")),
        (Some(_), _, Some(age)) => Some(format!("heard {} before", Span::from_secs(age / 1000))),
        (Some(_), _, None) => None,
    };
    Some(Reading { point: name.parse().ok()?, value, unit: told.unit.clone().unwrap_or_default(), reason })
}

/// `10234` with -2 is 102.34, to the nearest number there is.
fn number(value: &str, exponent: Option<i32>) -> Option<f64> {
    let text = format!("{}e{}", value.trim(), exponent.unwrap_or(0));
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(value: Option<&str>, exponent: Option<i32>, age_ms: Option<u64>) -> Measurement {
        Measurement {
            bus: "b".into(),
            network: "254".into(),
            device: 1,
            channel: 2,
            value: value.map(str::to_owned),
            exponent,
            unit_code: Some(0x26),
            unit: Some("W".into()),
            age_ms,
            valid: value.is_some(),
            observed_at: None,
        }
    }

    #[test]
    fn a_reading_has_its_exponent_applied_and_its_age_beside_it() {
        let of = |told: Measurement| {
            let reading = reading("lobby.1", &told).unwrap();
            (reading.point.to_string(), reading.value, reading.reason)
        };
        let point = "cbus.lobby_1.254.measurement.1.2".to_owned();
        let (heard, never) = (Some("heard 42s before".into()), Some("it was never heard".into()));
        assert_eq!(of(told(Some("10234"), Some(-2), Some(42_900))), (point.clone(), Some(102.34), heard));
        assert_eq!(of(told(Some("0"), Some(0), None)), (point.clone(), Some(0.0), None));
        // As C-Gate shows a channel that was never heard; it is not 0 W.
        assert_eq!(of(told(None, None, None)), (point.clone(), None, never));
        assert_eq!(of(told(Some("x"), None, None)).1, None);
        assert_eq!(of(told(Some("9"), Some(999), None)).1, None);
    }
}

//! `measure`.

use crate::Asker;
use crate::poll::{Reading, append, begin, lock, prefix};
use ew_bus::{BusOptions, Discovery, Measurement};
use ew_cli::{Failure, Output};
use ew_core::{Exit, PartOutcome, Span, point_part};
use ew_store::Log;

/// Appends what the measurement channels of each bus said last: a reading's unit is the channel's, its time the poll's,
/// and its age stands beside it.
pub(crate) fn measure(
    asker: &Asker<'_>,
    names: &[String],
    dry_run: bool,
    print: (bool, bool),
    out: &mut Output,
) -> Result<Exit, Failure> {
    let mut chosen = asker.choose(names)?;
    // Of all buses those are meant that can; one that was named is told why it cannot.
    if names.is_empty() && chosen.iter().any(|options| options.can_measure()) {
        chosen.retain(|options| {
            if !options.can_measure() {
                asker
                    .report
                    .detail(format_args!("{}: passed over: its backend has no measurements", options.name));
            }
            options.can_measure()
        });
    }
    let (mut log, clock, mut run) = begin(asker)?;
    for options in chosen {
        let taken = lock(asker, options, asker.wait()).and_then(|lock| {
            let (readings, failure) = match asker.ask(options, "measure", |bus| bus.measure()) {
                Ok(told) => (told.iter().filter_map(|one| reading(&options.name, one)).collect(), None),
                // Another run talks to the bus: that says nothing about its channels.
                Err(failure) if failure.exit == Exit::Busy => return Err(failure),
                Err(failure) => (missing(&log, options, &failure.message)?, Some(failure)),
            };
            if !dry_run {
                append(&mut log, &readings, &clock)?;
            }
            drop(lock);
            Ok((readings, failure))
        });
        match taken {
            Ok((readings, failure)) => {
                run.done(&options.name, &readings, failure.as_ref(), &clock);
                match failure {
                    None => run.parts.push(PartOutcome::Done),
                    Some(failure) => {
                        run.parts.push(PartOutcome::ended_with(failure.exit));
                        asker.report.failure(&failure.of_part(&options.name));
                    }
                }
            }
            Err(failure) => run.failed(asker, &options.name, failure),
        }
    }
    run.print(print, out)
}

/// The channels of the last discovery of a bus, without a reading for this reason.
fn missing(log: &Log, options: &BusOptions, reason: &str) -> Result<Vec<Reading>, Failure> {
    let Some(last) = log.last_discoveries(&options.name, 1)?.pop() else { return Ok(Vec::new()) };
    // One that cannot be read names no channel.
    let channels = serde_json::from_str::<Discovery>(&last.document).map(|found| found.measurements);
    let channels = channels.unwrap_or_default().into_iter();
    let null = |reading: Reading| Reading { value: None, reason: Some(reason.to_owned()), ..reading };
    Ok(channels.filter_map(|one| reading(&options.name, &one)).map(null).collect())
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

//! Resampling held against cases by hand and against a computation that shares nothing with it: it looks at
//! every second and every pair of readings anew.
#![allow(clippy::unwrap_used)]

use ew_core::{
    Aggregate, EMPTY_INTERVALS_MAX, Grid, Quality, ResampleError, Resampler, Resampling, Row, Span, Stamp,
    TimeOfDay, Timestamp, Window, Zone,
};
use proptest::prelude::*;

const ALL: [Aggregate; 7] = [
    Aggregate::Mean,
    Aggregate::Min,
    Aggregate::Max,
    Aggregate::Last,
    Aggregate::Sum,
    Aggregate::Delta,
    Aggregate::Energy,
];

/// One reading, by its second.
#[derive(Debug, Clone)]
struct Reading {
    secs: i64,
    point: String,
    value: Option<f64>,
    unit: String,
    quality: Quality,
}

/// What comes out.
#[derive(Debug, Clone, PartialEq)]
struct Out {
    secs: i64,
    point: String,
    value: Option<f64>,
    unit: String,
    quality: Quality,
}

fn how(aggregate: Aggregate, interval: &str, max_gap: u64) -> Resampling {
    let intervals =
        Grid { zone: Zone::utc(), period: interval.parse().unwrap(), synchronize_on: TimeOfDay::MIDNIGHT };
    Resampling { intervals, aggregate, max_gap: Span::from_secs(max_gap), stamp: Stamp::Start }
}

fn window(from: i64, to: i64) -> Window {
    Window::new(Timestamp::from_secs(from), Timestamp::from_secs(to))
}

/// As the export does it: the points of the slice first, then its rows with the lead-in.
fn resample(how: &Resampling, window: Window, readings: &[Reading]) -> Result<Vec<Out>, ResampleError> {
    let mut out = Vec::new();
    let mut each = |row: Row<'_>| {
        let (point, unit) = (row.point.to_owned(), row.unit.to_owned());
        out.push(Out { secs: row.time.secs(), point, value: row.value, unit, quality: row.quality });
        Ok(())
    };
    let mut resampler = Resampler::new(how, window);
    let time = |reading: &Reading| Timestamp::from_secs(reading.secs);
    for reading in readings.iter().filter(|reading| window.contains(time(reading))) {
        resampler.name(&reading.point, &reading.unit);
    }
    let fed = Window::new(window.start.plus_micros(-how.lead_in().micros()), window.end);
    for reading in readings.iter().filter(|reading| fed.contains(time(reading))) {
        let Reading { point, value, unit, quality, .. } = reading;
        resampler
            .row(Row { time: time(reading), point, value: *value, unit, quality: *quality }, &mut each)?;
    }
    resampler.finish(&mut each)?;
    Ok(out)
}

/// `SECS VALUE [UNIT [QUALITY]]` of one point, a line each; `-` is null.
fn readings(text: &str) -> Vec<Reading> {
    let one = |line: &str| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let value = fields[1].parse().ok();
        let default = if value.is_some() { Quality::Actual } else { Quality::Missing };
        Reading {
            secs: fields[0].parse().unwrap(),
            point: "p".into(),
            value,
            unit: fields.get(2).copied().unwrap_or("W").into(),
            quality: fields.get(3).map_or(default, |quality| quality.parse().unwrap()),
        }
    };
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(one).collect()
}

/// The rows of the first hour by quarters, `VALUE UNIT QUALITY` each.
fn quarters(aggregate: Aggregate, text: &str) -> String {
    let rows = resample(&how(aggregate, "15m", 600), window(0, 3600), &readings(text)).unwrap();
    let one = |row: &Out| {
        let value = row.value.map_or("-".to_owned(), |value| value.to_string());
        format!("{value} {} {}", row.unit, row.quality)
    };
    rows.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[test]
fn one_number_of_several() {
    let text = "0 10\n 300 20\n 899 60\n 1000 -\n 1100 5 W trusted\n 1900 -\n";
    for (aggregate, first, second) in [
        (Aggregate::Mean, "30", "5"),
        (Aggregate::Min, "10", "5"),
        (Aggregate::Max, "60", "5"),
        (Aggregate::Last, "60", "5"),
        (Aggregate::Sum, "90", "5"),
    ] {
        // A null beside a number leaves a part; nulls alone are null, and so is nothing.
        let expect = format!("{first} W actual, {second} W partial, - W missing, - W missing");
        assert_eq!(quarters(aggregate, text), expect, "{aggregate:?}");
    }
}

#[test]
fn the_worst_quality_of_its_parts() {
    assert_eq!(
        quarters(
            Aggregate::Mean,
            "0 1 W trusted\n 60 1 W max\n 900 2 W suspect\n 960 -\n 1800 - W suspect\n"
        ),
        "1 W max, 2 W suspect, - W suspect, - W missing"
    );
}

#[test]
fn a_counter_never_runs_backwards() {
    // 5 + 4 around the reset; the next one carries on from the last; then a gap of more than 600 s.
    assert_eq!(
        quarters(
            Aggregate::Delta,
            "0 10 Wh\n 60 15 Wh\n 120 3 Wh\n 600 7 Wh\n 900 8 Wh\n 1500 10 Wh\n 2800 90 Wh\n 3000 91 Wh\n"
        ),
        "9 Wh suspect, 3 Wh actual, - Wh missing, 1 Wh partial"
    );
    // What stood still is zero, what was read once is unknown, what only fell is unknown and said so.
    assert_eq!(
        quarters(Aggregate::Delta, "0 7 Wh\n 100 7 Wh\n 1700 7 Wh\n 1900 7 Wh\n 3500 6 Wh\n 3599 5 Wh\n"),
        "0 Wh partial, - Wh missing, 0 Wh actual, - Wh suspect"
    );
}

/// One bad reading is no consumption, whichever way it lies from its neighbours: a total that counts other parts, another
/// device's, a glitch, a poll on a doubtful clock.
#[test]
fn no_step_into_or_out_of_a_suspect_reading() {
    for suspect in ["100000", "9000000", "5100000"] {
        let text = format!(
            "0 5100000 Wh\n 300 5100500 Wh\n 600 {suspect} Wh suspect\n 900 5102000 Wh\n 1200 5102300 Wh\n"
        );
        let expect = "500 Wh suspect, 300 Wh suspect, - Wh missing, - Wh missing";
        assert_eq!(quarters(Aggregate::Delta, &text), expect, "{suspect}");
        assert_eq!(quarters(Aggregate::Energy, &text), expect, "{suspect}");
    }
    // Power is none of that: it is held whatever its quality.
    assert_eq!(
        quarters(
            Aggregate::Energy,
            "0 360\n 300 360 W suspect\n 600 360\n 900 360 W suspect\n 1200 360\n 1500 360\n"
        ),
        "90 Wh suspect, 90 Wh suspect, 30 Wh partial, - Wh missing"
    );
}

#[test]
fn energy_is_power_held_until_the_next_reading() {
    // 360 W for 300 s, then 720 W for 600 s and not longer: 30 Wh + 120 Wh. From 1500 s on 3600 W: 300 s of
    // the second quarter, 300 s of the third.
    assert_eq!(
        quarters(Aggregate::Energy, "0 360\n 300 720\n 1500 3600\n"),
        "150 Wh actual, 300 Wh partial, 300 Wh partial, - Wh missing"
    );
    // A missed answer is bridged, but it shows.
    assert_eq!(
        quarters(Aggregate::Energy, "0 4 kW\n 300 -\n 600 4 kW\n"),
        "1 kWh partial, 0.3333333333333333 kWh partial, - kWh missing, - kWh missing"
    );
    // Export counts against import, and a poor reading shows wherever it is held.
    assert_eq!(
        quarters(Aggregate::Energy, "0 -4\n 600 -4 W suspect\n 1000 4\n 1500 4\n 1900 4\n 2500 4\n 3100 4\n"),
        "-1 Wh suspect, 0.7777777777777778 Wh suspect, 1 Wh actual, 1 Wh actual"
    );
}

#[test]
fn energy_of_what_is_no_power_is_refused() {
    let failed = |unit: &str| {
        let readings = readings(&format!("60 1 {unit}"));
        resample(&how(Aggregate::Energy, "15m", 600), window(0, 3600), &readings).unwrap_err().to_string()
    };
    assert_eq!(
        failed("level"),
        "p at 1970-01-01T00:01:00Z has the unit \"level\", of which there is no energy"
    );
    assert!(failed("Vh").contains("\"Vh\""));
    // Without a number there is nothing to be wrong about.
    assert_eq!(quarters(Aggregate::Energy, "60 - level"), "-  missing, -  missing, -  missing, -  missing");
}

/// What is counted in Wh is energy as it stands: its steps, with the marks of a counter.
#[test]
fn energy_of_a_counter_is_its_steps() {
    let counter = "0 10\n 600 14\n 900 15\n 1500 2\n 1800 4\n 2400 9\n 2700 9\n";
    let with = |unit: &str| counter.replace('\n', &format!(" {unit}\n"));
    for unit in ["Wh", "kWh"] {
        let energy = quarters(Aggregate::Energy, &with(unit));
        assert_eq!(energy, quarters(Aggregate::Delta, &with(unit)), "{unit}");
        assert!(energy.contains(&format!("{unit} suspect")), "{energy}");
    }
    let mixed = quarters(Aggregate::Energy, "0 60 W\n 300 60 W\n 600 5 Wh\n");
    assert!(mixed.starts_with("- Wh suspect"), "{mixed}");
}

#[test]
fn no_number_of_two_units() {
    assert_eq!(
        quarters(Aggregate::Mean, "0 1 W\n 60 2 kW\n 900 2 kW\n"),
        "- kW suspect, 2 kW actual, - kW missing, - kW missing"
    );
    assert_eq!(
        quarters(Aggregate::Energy, "0 1 W\n 60 2 kW\n 600 2 kW\n 900 4 kW\n 1350 4 kW\n"),
        "- kWh suspect, 1 kWh actual, 0.16666666666666666 kWh partial, - kWh missing"
    );
    assert_eq!(
        quarters(Aggregate::Delta, "0 1 Wh\n 60 2 kWh\n 600 4 kWh\n"),
        "2 kWh partial, - kWh missing, - kWh missing, - kWh missing"
    );
}

#[test]
fn what_is_too_large_is_no_number() {
    assert_eq!(
        quarters(Aggregate::Sum, "0 1e308\n 60 1e308\n 900 1\n 1800 1\n 2700 1\n"),
        "- W suspect, 1 W actual, 1 W actual, 1 W actual"
    );
}

#[test]
fn a_slice_without_rows_has_none() {
    assert_eq!(quarters(Aggregate::Mean, ""), "");
    // Not even where a reading before it is held into it.
    assert_eq!(quarters(Aggregate::Energy, "-60 1000"), "");
}

/// A reading of a clock that was never set, then today's.
#[test]
fn a_gap_of_years_is_not_filled() {
    let limit = i64::from(EMPTY_INTERVALS_MAX);
    let with_second_at = |secs: i64| {
        let readings = readings(&format!("0 1\n {secs} 2"));
        resample(&how(Aggregate::Mean, "1s", 60), window(0, secs + 1), &readings).map(|rows| rows.len())
    };
    assert_eq!(with_second_at(limit + 1), Ok(100_002));
    let error = with_second_at(limit + 2).unwrap_err().to_string();
    assert_eq!(
        error,
        "no row in more than 100000 intervals in a row, from 1970-01-01T00:00:01Z to 1970-01-02T03:46:42Z"
    );
}

#[test]
fn both_ends_of_an_interval() {
    let rows = readings("0 1\n 950 2\n");
    let stamps = |stamp| {
        let how = Resampling { stamp, ..how(Aggregate::Mean, "15m", 600) };
        resample(&how, window(0, 1800), &rows).unwrap().iter().map(|row| row.secs).collect::<Vec<_>>()
    };
    assert_eq!(stamps(Stamp::Start), [0, 900]);
    assert_eq!(stamps(Stamp::End), [900, 1800]);
}

/// Europe/Zurich, 2026: 23 hours on 29 March, 25 on 25 October.
#[test]
fn days_of_23_and_25_hours() {
    for (from, to, hours) in [
        ("2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23),
        ("2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25),
    ] {
        let intervals = Grid {
            zone: "Europe/Zurich".parse().unwrap(),
            period: "1h".parse().unwrap(),
            synchronize_on: TimeOfDay::MIDNIGHT,
        };
        let how = Resampling { intervals, ..how(Aggregate::Energy, "1h", 60) };
        let (start, end): (Timestamp, Timestamp) = (from.parse().unwrap(), to.parse().unwrap());
        let minutes: Vec<Reading> = (start.secs()..end.secs())
            .step_by(60)
            .flat_map(|secs| readings(&format!("{secs} 1000 W trusted")))
            .collect();
        let rows = resample(&how, Window::new(start, end), &minutes).unwrap();
        assert_eq!(rows.len(), hours, "{from}");
        assert!(
            rows.iter().all(|row| (row.value, row.quality) == (Some(1000.0), Quality::Trusted)),
            "{rows:?}"
        );
    }
}

fn worst(parts: &[Quality]) -> Quality {
    *parts.iter().max_by_key(|quality| Quality::ALL.iter().position(|q| q == *quality)).unwrap()
}

/// One interval of one point from all its readings, without any state.
fn naive(
    aggregate: Aggregate,
    max_gap: i64,
    from: i64,
    to: i64,
    of_point: &[&Reading],
) -> (Option<f64>, Quality) {
    let inside: Vec<&&Reading> = of_point.iter().filter(|r| from <= r.secs && r.secs < to).collect();
    let numbers: Vec<f64> = inside.iter().filter_map(|r| r.value).collect();
    let answered: Vec<&&Reading> = of_point.iter().filter(|r| r.value.is_some()).collect();
    let mut parts: Vec<Quality> = inside
        .iter()
        .map(|r| match (r.value, r.quality) {
            (None, Quality::Suspect) => Quality::Suspect,
            (None, _) => Quality::Partial,
            (Some(_), quality) => quality,
        })
        .collect();
    let value = match aggregate {
        Aggregate::Mean => Some(numbers.iter().sum::<f64>() / numbers.len() as f64).filter(|v| !v.is_nan()),
        Aggregate::Min => numbers.iter().copied().reduce(f64::min),
        Aggregate::Max => numbers.iter().copied().reduce(f64::max),
        Aggregate::Last => numbers.last().copied(),
        Aggregate::Sum => (!numbers.is_empty()).then(|| numbers.iter().sum()),
        Aggregate::Delta => {
            let mut steps = Vec::new();
            for (i, now) in answered.iter().enumerate().filter(|(_, r)| from <= r.secs && r.secs < to) {
                match answered[..i].last().filter(|before| now.secs - before.secs <= max_gap) {
                    None => parts.push(Quality::Partial),
                    Some(before)
                        if before.value > now.value
                            || [before.quality, now.quality].contains(&Quality::Suspect) =>
                    {
                        parts.push(Quality::Suspect);
                    }
                    Some(before) => {
                        parts.push(before.quality);
                        steps.push(now.value.unwrap() - before.value.unwrap());
                    }
                }
            }
            (!steps.is_empty()).then(|| steps.iter().sum())
        }
        Aggregate::Energy => {
            let (mut watt_seconds, mut seen) = (0.0, 0);
            for second in from..to {
                let held = answered.iter().rfind(|r| r.secs <= second && second < r.secs + max_gap);
                // The last before it, be it too old or not.
                let last = answered.iter().rfind(|r| r.secs <= second);
                match held.filter(|held| Some(held.secs) == last.map(|last| last.secs)) {
                    Some(held) => {
                        watt_seconds += held.value.unwrap();
                        seen += 1;
                        parts.push(held.quality);
                    }
                    None => parts.push(Quality::Partial),
                }
            }
            (seen > 0).then(|| watt_seconds / 3600.0)
        }
    };
    if value.is_none() {
        parts.push(Quality::Missing);
    }
    (value, worst(&parts))
}

/// Three hours of readings of up to three points, whole watts so that sums are exact in any order.
fn any_readings() -> impl Strategy<Value = Vec<Reading>> {
    let value = prop::option::weighted(0.8, -50i32..5000);
    let reading = (value, prop::sample::select(Quality::ALL.to_vec()));
    prop::collection::btree_map((0i64..10_800, 0u8..3), reading, 0..60).prop_map(|map| {
        let mut readings = Vec::new();
        for ((secs, point), (value, quality)) in map {
            let (point, value) = (format!("p{point}"), value.map(f64::from));
            readings.push(Reading { secs, point, value, unit: "W".to_owned(), quality });
        }
        readings
    })
}

proptest! {
    #[test]
    fn as_the_naive_computation_has_it(
        readings in any_readings(),
        max_gap in 1i64..3000,
        minutes in prop::sample::select(vec![1i64, 5, 15, 60]),
        aggregate in prop::sample::select(ALL.to_vec()),
    ) {
        let how = how(aggregate, &format!("{minutes}m"), max_gap as u64);
        let (from, to) = (3600, 10_800);
        let got = resample(&how, window(from, to), &readings).unwrap();
        let mut points: Vec<&str> =
            readings.iter().filter(|r| r.secs >= from).map(|r| r.point.as_str()).collect();
        points.sort_unstable();
        points.dedup();
        let mut expect = Vec::new();
        for secs in (from..to).step_by(60 * minutes as usize) {
            for point in &points {
                let of_point: Vec<&Reading> = readings.iter().filter(|r| r.point == *point).collect();
                let (value, quality) = naive(aggregate, max_gap, secs, secs + 60 * minutes, &of_point);
                let unit = if aggregate == Aggregate::Energy { "Wh" } else { "W" };
                expect.push(Out { secs, point: (*point).to_owned(), value, unit: unit.to_owned(), quality });
            }
        }
        prop_assert_eq!(got, expect);
    }

    /// Two slices, the second with its lead-in, give what one slice gives.
    #[test]
    fn the_same_however_a_window_is_cut(
        readings in any_readings(),
        max_gap in 1u64..3000,
        cut in 1i64..12,
        aggregate in prop::sample::select(ALL.to_vec()),
    ) {
        let how = how(aggregate, "15m", max_gap);
        let rows = |from, to| resample(&how, window(from, to), &readings).unwrap();
        let once = rows(0, 10_800);
        let mut twice = rows(0, cut * 900);
        twice.extend(rows(cut * 900, 10_800));
        // A slice has no rows of a point that it has no reading of.
        for row in &twice {
            prop_assert!(once.contains(row), "{:?}", row);
        }
        for row in once.iter().filter(|row| !twice.contains(row)) {
            let half = if row.secs < cut * 900 { 0..cut * 900 } else { cut * 900..10_800 };
            prop_assert!(!readings.iter().any(|r| r.point == row.point && half.contains(&r.secs)), "{:?}", row);
        }
    }

    #[test]
    fn a_counter_never_gives_a_negative_number(readings in any_readings(), max_gap in 1u64..3000) {
        let rows = resample(&how(Aggregate::Delta, "15m", max_gap), window(0, 10_800), &readings).unwrap();
        prop_assert!(rows.iter().all(|row| row.value.is_none_or(|value| value >= 0.0)));
    }
}

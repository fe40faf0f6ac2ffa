//! The formats of metering: what receivers are known to take, byte for byte. What every format keeps to is in
//! `conform`.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Quality, Timestamp, Zone};
use slice::{Reading, fixtures, options, reading, render_intervals};
use std::process::Command;

fn at(time: &str, point: &str, value: Option<f64>, unit: &'static str) -> Reading {
    let micros = time.parse::<Timestamp>().unwrap().micros();
    Reading { unit, ..reading(micros, point, value) }
}

#[track_caller]
fn golden(name: &str, text: &str) {
    let file = fixtures().join("golden").join(name);
    if std::env::var_os("EW_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}");
}

/// What a Python program prints.
fn python(program: &str, script: &str, text: &str) -> String {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slice");
    std::fs::write(&file, text).unwrap();
    let output = Command::new(program).args(["-c", script]).arg(&file).output().unwrap();
    assert!(output.status.success(), "{text}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

// CMEP.

/// As observed of the ancestor, down to the last byte; two readings 15 minutes apart, the file of 22:13.
#[test]
fn cmep_as_two_receivers_had_it() {
    let rows = [
        at("2023-11-14T22:15:00Z", "Meter1", Some(12.5), "KWH"),
        at("2023-11-14T22:30:00Z", "Meter1", Some(13.0), "KWH"),
    ];
    let window = ["2023-11-14T22:00:00Z", "2023-11-14T22:13:00Z"];
    for (name, toml) in [
        ("enerwise.cmep", "[cmep]\ncustomer_id = \"C1\""),
        ("ei.cmep", "[cmep]\nei = { customer_name = \"Cust\", account_name = \"Acct\" }"),
    ] {
        // Times are UTC whatever the job's zone.
        for zone in [Zone::utc(), "America/New_York".parse().unwrap()] {
            golden(name, &render_intervals(&options(toml), &zone, window, Some("15m"), &rows).unwrap());
        }
    }
}

fn gap() -> Vec<Reading> {
    let row = |time: &str, value| at(&format!("2026-03-01T{time}:00Z"), "com.example.hq", value, "Wh");
    vec![
        row("00:00", Some(3000.0)),
        row("00:15", None),
        row("00:30", Some(250.0)),
        row("00:45", Some(-1000.0)),
        row("01:30", Some(-0.0001)),
        row("01:45", Some(1_234_567_125.0)),
        at("2026-03-01T00:00:00Z", "com.example.sw1", Some(60.0), "W"),
    ]
}

const GAP: &str = "[cmep]\nmax_count = 3\nmeters = { \"com.example.hq\" = { units = \"KWH\" }, \
                   \"com.example.sw1\" = { id = \"sw 1\" } }";
const THREE_HOURS: [&str; 2] = ["2026-03-01T00:00:00Z", "2026-03-01T03:00:00Z"];

#[test]
fn cmep_begins_a_record_after_a_gap() {
    let interval = options(GAP);
    let text = render_intervals(&interval, &Zone::utc(), THREE_HOURS, Some("15m"), &gap()).unwrap();
    golden("gap.cmep", &text);
    // The same of readings that are known to come every quarter of an hour.
    let readings = options(&format!("{GAP}\nreadings_every = \"15m\""));
    assert_eq!(render_intervals(&readings, &Zone::utc(), THREE_HOURS, None, &gap()).unwrap(), text);
}

/// Days in the job's zone: on 2026-03-29 the next one is 23 hours away.
#[test]
fn cmep_counts_days() {
    let zone: Zone = "Europe/Zurich".parse().unwrap();
    let rows = ["2026-03-27T23:00:00Z", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z"]
        .map(|time| at(time, "a", Some(1.0), "kWh"));
    let text = render_intervals(&options("[cmep]"), &zone, THREE_HOURS, Some("1d"), &rows).unwrap();
    assert!(text.contains(",kWh,1.0,00010000,3,202603272300,,"), "{text}");
}

#[test]
fn what_cmep_cannot_say_is_refused() {
    let refused = |toml: &str, row: Reading| {
        let error =
            render_intervals(&options(toml), &Zone::utc(), THREE_HOURS, Some("15m"), &[row]).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    let row = |point: &str, unit| at("2026-03-01T00:00:00Z", point, Some(1.0), unit);
    let meter = "[cmep]\nmeters = { \"a\" = { units = \"KWH\" }, \"b,c\" = { id = \"B\" } }";
    assert_eq!(
        refused(meter, row("a", "W")),
        "a at 2026-03-01T00:00:00Z is in \"W\", of which there is no KWH in the cmep"
    );
    let comma = "d,e at 2026-03-01T00:00:00Z cannot be in the cmep: its name or unit holds ','";
    assert_eq!(refused(meter, row("d,e", "W")), comma);
    refused(meter, row("d", "k,W"));
    let named = [row("b,c", "W")];
    render_intervals(&options(meter), &Zone::utc(), THREE_HOURS, Some("15m"), &named).unwrap();
}

/// A receiver knows a record by its id and its unit alone.
#[test]
fn two_points_are_not_one_cmep_meter() {
    let row = |point: &str, value, unit| at("2026-03-01T00:00:00Z", point, value, unit);
    let told = |meters: &str, rows: &[Reading]| {
        let toml = format!("[cmep]\nmeters = {{ {meters} }}");
        render_intervals(&options(&toml), &Zone::utc(), THREE_HOURS, Some("15m"), rows)
    };
    let both = "a = { id = \"M\" }, b = { id = \"M\" }";
    for (meters, id) in [(both, "M"), ("a = { id = \"b\" }", "b"), ("b = { id = \"a\", units = \"W\" }", "a")]
    {
        let error = told(meters, &[row("a", Some(1.0), "W"), row("b", Some(2.0), "W")]).unwrap_err();
        let expect =
            format!("a and b at 2026-03-01T00:00:00Z are both the meter {id:?} in \"W\" in the cmep");
        assert_eq!(error.to_string(), expect);
        assert_eq!(error.exit().code(), 65);
        assert!(error.hint().is_some_and(|hint| hint.contains("an id of its own")), "{:?}", error.hint());
    }
    // What a meter counts and what it draws are told apart by the unit.
    told(both, &[row("a", Some(1.0), "W"), row("b", Some(2.0), "Wh")]).unwrap();
    let other = "a = { id = \"M\", units = \"KWH\" }, b = { id = \"M\", units = \"WH\" }";
    told(other, &[row("a", Some(1.0), "Wh"), row("b", Some(2.0), "Wh")]).unwrap();
}

// NEM12.

const NEM12: &str = "[nem12]\nfrom_participant = \"EW\"\nto_participant = \"RETAILER\"\n[nem12.meters]\n\
    \"com.example.hq\" = { nmi = \"6305000001\", suffix = \"E1\", register = \"1\", stream = \"N1\", serial = \"SN-1\" }\n\
    \"com.example.sw1\" = { nmi = \"6305000001\", suffix = \"B1\" }\n";
const MARKET: &str = "Australia/Brisbane";
/// 2026-03-01 and 02 there.
const TWO_DAYS: [&str; 2] = ["2026-02-28T14:00:00Z", "2026-03-02T14:00:00Z"];
const HALF_HOUR: i64 = 1800 * slice::SECOND;

/// The n-th half hour of the two days.
fn half_hour(n: i64, point: &str, value: Option<f64>, quality: Quality) -> Reading {
    let start = TWO_DAYS[0].parse::<Timestamp>().unwrap().micros();
    Reading { quality, unit: "Wh", ..reading(start + n * HALF_HOUR, point, value) }
}

fn two_days() -> Vec<Reading> {
    let mut rows = Vec::new();
    for n in 0..96 {
        let (value, quality) = match n {
            0..58 => (Some(if n < 48 { 500.0 } else { 250.0 }), Quality::Actual),
            // What is null is missing, whatever its quality; 59 has no row at all.
            58 => (None, Quality::Suspect),
            59 => continue,
            60 => (Some(125.0), Quality::Partial),
            _ => (Some(1000.0), Quality::Trusted),
        };
        rows.push(half_hour(n, "com.example.hq", value, quality));
        let assumed = (n < 48).then_some(60.0);
        let quality = if n < 48 { Quality::Presumed } else { Quality::Missing };
        rows.push(half_hour(n, "com.example.sw1", assumed, quality));
    }
    rows
}

fn nem12(toml: &str, window: [&str; 2], interval: &str, rows: &[Reading]) -> String {
    let zone: Zone = MARKET.parse().unwrap();
    render_intervals(&options(toml), &zone, window, Some(interval), rows).unwrap()
}

#[test]
fn nem12_of_two_days() {
    golden("nem12.csv", &nem12(NEM12, TWO_DAYS, "30m", &two_days()));
    let empty = nem12(NEM12, TWO_DAYS, "30m", &[]);
    assert_eq!(empty, "100,NEM12,202603030000,EW,RETAILER\r\n900\r\n");
}

/// A log can be given a value that is said to be missing: the flag says null, so there is none.
#[test]
fn nem12_has_no_value_of_what_is_missing() {
    let day = |value| vec![half_hour(0, "com.example.hq", value, Quality::Missing)];
    let told = |value| nem12(NEM12, TWO_DAYS, "30m", &day(value));
    assert_eq!(told(Some(5.0)), told(None));
}

/// What nemreader makes of a file, a line for each reading.
const NEM12_READER: &str = r#"
import sys, logging
from nemreader import read_nem_file
class Strict(logging.Handler):
    def emit(self, record):
        # It takes a blank as none, and says so; later versions do not.
        if record.getMessage() != 'Reading of "" is not a number':
            raise SystemExit(record.getMessage())
logging.getLogger("nemreader").addHandler(Strict())
logging.getLogger("nemreader").setLevel(logging.WARNING)
data = read_nem_file(sys.argv[1])
assert data.header.version_header == "NEM12" and data.header.creation_date is not None
for nmi, channels in data.readings.items():
    for suffix, readings in channels.items():
        for r in readings:
            print(nmi, suffix, r.t_start.isoformat(), r.t_end.isoformat(), r.uom,
                  "-" if r.read_value is None else "%.3f" % r.read_value, r.quality_method)
"#;

/// Every row comes back with its time, value and flag, by the market's own reader.
#[test]
fn nem12_reads_back() {
    let root = fixtures().join("..");
    let python3 = root.join("target/test-venv/bin/python3");
    assert!(python3.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
    let flags = ["A", "A", "S12", "E12", "S12", "E12", "N", "E12"];
    for (minutes, decimals) in [(5, 3), (15, 0), (30, 6)] {
        let per_day = 1440 / minutes;
        let mut rows = Vec::new();
        let mut expected = Vec::new();
        for n in 0..2 * per_day {
            for (point, suffix) in [("com.example.hq", "E1"), ("com.example.sw1", "B1")] {
                let quality = Quality::ALL[(n * n / 37 % 8) as usize];
                let value = (quality != Quality::Missing).then_some((n * 7919 % 100_000) as f64 / 8.0);
                let mut row = half_hour(0, point, value, quality);
                row.micros += n * minutes * 60 * slice::SECOND;
                let (start, end) = (row.micros, row.micros + minutes * 60 * slice::SECOND);
                let local = |micros: i64| {
                    let east = micros + 10 * 3600 * slice::SECOND;
                    Timestamp::from_micros(east).to_string().trim_end_matches('Z').to_owned()
                };
                let value = value.map_or("-".to_owned(), |v| {
                    let shown: f64 = format!("{:.1$}", v / 1000.0, decimals).parse().unwrap();
                    format!("{shown:.3}")
                });
                let flag = flags[quality as usize];
                expected.push(format!(
                    "6305000001 {suffix} {} {} kWh {value} {flag}",
                    local(start),
                    local(end)
                ));
                rows.push(row);
            }
        }
        let toml =
            format!("[nem12]\ndecimals = {decimals}\nmethod = \"12\"\n{}", &NEM12["[nem12]\n".len()..]);
        let text = nem12(&toml, TWO_DAYS, &format!("{minutes}m"), &rows);
        let found = python(python3.to_str().unwrap(), NEM12_READER, &text);
        let mut found: Vec<&str> = found.lines().collect();
        found.sort_unstable();
        expected.sort_unstable();
        assert_eq!(found, expected, "{minutes}");
    }
}

#[test]
fn what_nem12_cannot_say_is_refused() {
    let refused = |zone: &str, window, interval, row: Reading| {
        let zone: Zone = zone.parse().unwrap();
        let error = render_intervals(&options(NEM12), &zone, window, interval, &[row]).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    let row = |point, value, unit| Reading { unit, ..half_hour(1, point, Some(value), Quality::Actual) };
    let half = Some("30m");
    assert_eq!(
        refused(MARKET, TWO_DAYS, half, row("com.example.lab", 1.0, "Wh")),
        "com.example.lab at 2026-02-28T14:30:00Z is no meter of the nem12"
    );
    assert_eq!(
        refused(MARKET, TWO_DAYS, half, row("com.example.hq", -1500.0, "Wh")),
        "com.example.hq at 2026-02-28T14:30:00Z is -1.5, and the nem12 has no value below zero"
    );
    let unit = refused(MARKET, TWO_DAYS, half, row("com.example.hq", 1.0, "W"));
    assert!(unit.contains("is in \"W\", of which there is no kWh"), "{unit}");
    let ok = || row("com.example.hq", 1.0, "Wh");
    for (zone, window, interval) in [
        (MARKET, ["2026-02-28T14:30:00Z", "2026-03-02T14:00:00Z"], half),
        (MARKET, ["2026-02-28T14:00:00Z", "2026-03-02T13:30:00Z"], half),
        ("UTC", TWO_DAYS, half),
        (MARKET, TWO_DAYS, Some("1h")),
        (MARKET, TWO_DAYS, None),
    ] {
        assert!(refused(zone, window, interval, ok()).starts_with("this slice cannot be nem12: "));
    }
    let late = Reading { micros: ok().micros + 1, ..ok() };
    assert!(refused(MARKET, TWO_DAYS, half, late).contains("not every row is the beginning"));
    // A day of 25 hours, of a zone that a job cannot have.
    let window = ["2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z"];
    let row = at("2026-10-25T22:30:00Z", "com.example.hq", Some(1.0), "Wh");
    assert!(refused("Europe/Zurich", window, half, row).contains("a day of 24 hours"));
}

// Green Button.

const GREEN_BUTTON: &str = "[green_button]\nnamespace = \"example.com\"\n";

fn green_button(keys: &str, zone: &str, window: [&str; 2], rows: &[Reading]) -> String {
    let zone: Zone = zone.parse().unwrap();
    let options = options(&format!("{GREEN_BUTTON}{keys}"));
    render_intervals(&options, &zone, window, Some("1h"), rows).unwrap()
}

/// The night in which the clock is set forward.
const SPRING: [&str; 2] = ["2026-03-08T05:00:00Z", "2026-03-08T09:00:00Z"];

#[test]
fn green_button_of_a_spring_night() {
    let row = |hour: &str, point: &str, value, unit, quality| Reading {
        quality,
        ..at(&format!("2026-03-08T{hour}:00:00Z"), point, value, unit)
    };
    let rows = [
        row("05", "com.example.hq", Some(1500.5), "Wh", Quality::Trusted),
        row("06", "com.example.hq", Some(0.25), "Wh", Quality::Actual),
        row("07", "com.example.hq", None, "", Quality::Missing),
        row("08", "com.example.hq", Some(0.0), "Wh", Quality::Partial),
        row("05", "com.example.lab", None, "W", Quality::Missing),
        row("05", "com.example.roof", Some(71_000.25), "kWh", Quality::Actual),
        row("05", "com.example.sw1", None, "W", Quality::Missing),
        row("06", "com.example.sw1", Some(-60.1251), "W", Quality::Presumed),
        row("08", "com.example.sw1", Some(7.2), "kW", Quality::Suspect),
    ];
    let keys = "title = \"Head & quarters\"\n[green_button.meters]\n\
                \"com.example.hq\" = { title = \"Main <1>\", phase = 769 }\n\
                \"com.example.roof\" = { flow = \"reverse\", register = true }\n";
    golden("green-button.xml", &green_button(keys, "America/New_York", SPRING, &rows));
}

/// Prints the ids of a feed, each with what it is of.
const IDS: &str = r#"
import sys
import xml.etree.ElementTree as ET
atom = "{http://www.w3.org/2005/Atom}"
feed = ET.parse(sys.argv[1]).getroot()
print("Feed", feed.find(atom + "id").text)
for entry in feed.iter(atom + "entry"):
    print(entry.find(atom + "content")[0].tag.split("}")[1], entry.find(atom + "id").text)
"#;

/// What a receiver has by now it knows by its id: all but the block is the same in each slice, and the block too where
/// the slice is sent again.
#[test]
fn green_button_keeps_ids() {
    let ids = |window: [&str; 2], value: f64| -> Vec<String> {
        let text = green_button("", "Europe/Zurich", window, &[at(window[0], "a", Some(value), "Wh")]);
        python("python3", IDS, &text).lines().map(str::to_owned).collect()
    };
    let first = ids(SPRING, 1.0);
    assert_eq!(ids(SPRING, 2.0), first);
    let next = ids([SPRING[1], "2026-03-08T13:00:00Z"], 1.0);
    let same: Vec<&str> =
        first.iter().filter(|id| next.contains(id)).map(|id| &id[..id.find(' ').unwrap()]).collect();
    assert_eq!(same, ["LocalTimeParameters", "UsagePoint", "MeterReading", "ReadingType"]);
    assert_eq!(first.len(), 6);
}

/// Days in the job's zone: that of the spring change has 23 hours.
#[test]
fn green_button_counts_days() {
    let zone: Zone = "America/New_York".parse().unwrap();
    let rows = [at("2026-03-08T05:00:00Z", "a", Some(1.0), "Wh")];
    let options = options(GREEN_BUTTON);
    let text = render_intervals(&options, &zone, SPRING, Some("1d"), &rows).unwrap();
    assert!(text.contains("<intervalLength>86400</intervalLength>"), "{text}");
    assert!(text.contains("<duration>82800</duration><start>1772946000</start>"), "{text}");
}

#[test]
fn what_green_button_cannot_say_is_refused() {
    let refused = |keys: &str, rows: &[Reading]| {
        let options = options(&format!("{GREEN_BUTTON}{keys}"));
        let error = render_intervals(&options, &Zone::utc(), SPRING, Some("1h"), rows).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        assert!(error.hint().is_some());
        error.to_string()
    };
    let row = |hour: &str, value, unit| at(&format!("2026-03-08T{hour}:00:00Z"), "a", Some(value), unit);
    assert_eq!(
        refused("", &[row("05", 140_737_488_355.328, "W")]),
        "a at 2026-03-08T05:00:00Z is 140737488355.328 W, for which the green_button has no room"
    );
    let ok = |keys: &str, value| green_button(keys, "UTC", SPRING, &[row("05", value, "W")]);
    assert!(ok("", -140_737_488_355.327).contains("<value>-140737488355327</value>"));
    assert!(ok("multiplier = 3", 140_737_488_355_327e3).contains("<value>140737488355327</value>"));
    assert!(ok("multiplier = 0", -0.5).contains("<value>0</value>"));
    assert_eq!(
        refused("", &[row("05", 21.0, "degC")]),
        "a at 2026-03-08T05:00:00Z is in \"degC\", of which there is no W, VA, var, Wh, VAh or varh in the green_button"
    );
    assert_eq!(
        refused("", &[row("05", 1.0, "kW"), row("06", 1.0, "Wh")]),
        "a at 2026-03-08T06:00:00Z is in \"Wh\", of which there is no W in the green_button"
    );
}

// MeterMail.

const METERMAIL: &str =
    "[metermail]\ndevice_name = \"Dev\"\ndata_recorder_id = \"R1\"\ndata_recorder_label = \"Rec\"\n";
const CHANNELS: &str = "[metermail.channels]\n\"com.example.hq\" = { id = \"C1\", label = \"kW tot\" }\n\
    \"com.example.lab\" = { id = \"C0\", label = \"V\", pos = \"2\" }\n";

fn metermail(keys: &str, zone: &str, window: [&str; 2], rows: &[Reading]) -> String {
    let zone: Zone = zone.parse().unwrap();
    let options = options(&format!("{METERMAIL}{keys}{CHANNELS}"));
    render_intervals(&options, &zone, window, None, rows).unwrap()
}

/// Records name channels by id, in the order of ids; points come in the order of their names.
#[test]
fn metermail_north_and_south() {
    let rows = [
        at("2023-11-14T22:13:20Z", "com.example.hq", Some(1.5), "W"),
        at("2023-11-14T22:28:20.25Z", "com.example.hq", Some(2.0), "W"),
        at("2023-11-14T22:28:20.25Z", "com.example.lab", Some(7.0), "V"),
        at("2023-11-14T22:43:20Z", "com.example.hq", None, "W"),
    ];
    let window = ["2023-11-14T22:00:00Z", "2023-11-14T22:45:00Z"];
    golden("metermail-north.xml", &metermail("", "America/New_York", window, &rows));
    let utc = metermail("", "UTC", window, &rows);
    assert!(utc.contains("ident:dateTime=\"2023-11-14T22:45:00.000000Z\""), "{utc}");
    assert!(utc.contains("<DR ts=\"2023-11-14T22:13:20.000000Z\" C1=\"1.5\"/>"), "{utc}");

    let keys = "data_recorder_handle = \"h\"\ngenerated_by_type = \"X & Y\"\ngenerated_by_signature = \"s1\"\n\
                device_signature = \"s2\"\ndecimals = 2\nenvelope = false\n";
    let rows = [
        at("2026-01-14T13:00:00Z", "com.example.hq", Some(-0.5), "W"),
        at("2026-01-14T13:00:00Z", "com.example.lab", Some(230.1), "V"),
    ];
    let window = ["2026-01-14T13:00:00Z", "2026-01-15T13:00:00Z"];
    golden("metermail-south.xml", &metermail(keys, "Australia/Sydney", window, &rows));
}

#[test]
fn a_point_without_a_channel_is_refused() {
    let options = options(&format!("{METERMAIL}{CHANNELS}"));
    let row = at("2026-03-01T00:00:00Z", "com.example.roof", None, "W");
    let error = render_intervals(&options, &Zone::utc(), THREE_HOURS, None, &[row]).unwrap_err();
    assert_eq!(error.to_string(), "com.example.roof at 2026-03-01T00:00:00Z is no meter of the metermail");
    assert_eq!(error.exit().code(), 65);
}

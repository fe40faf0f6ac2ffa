//! The formats of metering: what receivers are known to take, byte for byte, and what a reader of theirs makes of it.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Timestamp, Zone};
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

/// Knows only that values stand an interval apart; prints meter, unit, time, value to six places.
const CMEP_READER: &str = r#"
import sys
from datetime import datetime, timedelta
text = open(sys.argv[1], newline="").read()
assert not text.endswith("\n")
for record in text.split("\r\n") if text else []:
    f = record.split(",")
    assert f[:2] == ["MEPMD01", "19970819"] and f[8] == "OK" and f[11] == "1.0", record
    step = timedelta(days=int(f[12][2:4]), hours=int(f[12][4:6]), minutes=int(f[12][6:]))
    values = f[14:]
    assert len(values) == 3 * int(f[13]) and len(values) > 0, record
    time = datetime.strptime(values[0], "%Y%m%d%H%M")
    for n in range(0, len(values), 3):
        assert n == 0 or values[n] == ""
        assert (values[n + 1], values[n + 2]) == ("N", "") or values[n + 1] == ""
        print(f[7], f[10], time.isoformat(), values[n + 2] or "-")
        time += step
"#;

/// Reading back gives the slice's rows, whatever is missing and however many there are to a record.
#[test]
fn cmep_reads_back() {
    let mut rows = Vec::new();
    for (n, point) in ["b", "a", "c"].into_iter().enumerate() {
        for step in (0..700).filter(|step| step % (17 + n as i64) != 0 && (step / 40) % 3 != n as i64) {
            let value = (step % 5 != 0).then_some(step as f64 * 0.125 - 3.0);
            rows.push(Reading { unit: "kWh", ..reading(step * 300_000_000, point, value) });
        }
    }
    let mut expected: Vec<String> = Vec::new();
    for row in &rows {
        let time = Timestamp::from_micros(row.micros).to_string();
        let value = row.value.map_or("-".into(), |v| format!("{v:.6}"));
        expected.push(format!("{} kWh {} {value}", row.point, time.trim_end_matches('Z')));
    }
    expected.sort();
    let ei = "ei = { customer_name = \"x\", account_name = \"y\" }";
    for (keys, suffix) in [("", ""), ("max_count = 1", ""), ("max_count = 7", ""), (ei, "|1/kWh")] {
        let options = options(&format!("[cmep]\n{keys}"));
        let text = render_intervals(&options, &Zone::utc(), THREE_HOURS, Some("5m"), &rows).unwrap();
        let mut found: Vec<String> =
            python("python3", CMEP_READER, &text).lines().map(|line| line.replacen(suffix, "", 1)).collect();
        found.sort();
        assert_eq!(found, expected, "{keys}");
    }
    let empty = render_intervals(&options("[cmep]"), &Zone::utc(), THREE_HOURS, Some("5m"), &[]).unwrap();
    assert_eq!(empty, "");
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
    for (toml, rows) in [
        ("[cmep]", [("b", "00"), ("a", "00")]),
        ("[cmep]", [("a", "15"), ("a", "00")]),
        ("[cmep]", [("a", "00"), ("a", "00")]),
    ] {
        let rows = rows.map(|(point, minute)| at(&format!("2026-03-01T00:{minute}:00Z"), point, None, ""));
        let error = slice::render_with(&options(toml), &Zone::utc(), &[], &rows).unwrap_err();
        assert!(error.to_string().contains("out of order"), "{error}");
    }
}

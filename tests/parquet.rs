//! Parquet as DuckDB reads it, which shares no code with what writes it.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Quality, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader};
use serde_json::{Value, json};
use slice::{Reading, SECOND, fixtures, options, reading, sorted};
use std::io::Write;
use std::path::Path;
use std::process::Command;

const T0: i64 = 1_700_000_000 * SECOND;

/// Prints one JSON document. Numbers are strings: without `float_roundtrip` serde_json may miss the last bit of one.
const READER: &str = r#"
import duckdb, json, sys
ask = lambda what, *names: duckdb.execute(f"select {what} from {names[0] if names else 'read_parquet'}(?)", [sys.argv[1]]).fetchall()
rows = [[t, p, None if v is None else repr(v), u, q] for t, p, v, u, q in ask("epoch_us(timestamp), point, value, unit, quality")]
groups = {}
for group, count, compression in ask("row_group_id, row_group_num_rows, compression", "parquet_metadata"):
    assert compression == "ZSTD", compression
    groups[group] = count
print(json.dumps({
    "rows": rows,
    "groups": list(groups.values()),
    "columns": [list(column) for column in ask("name, type, repetition_type, logical_type", "parquet_schema")][1:],
    "about": {key.decode(): value.decode() for key, value in ask("key, value", "parquet_kv_metadata")},
    "created_by": ask("created_by", "parquet_file_metadata")[0][0],
    "dictionaries": [name for (name,) in ask("distinct path_in_schema", "parquet_metadata") if ask(
        f"bool_and(encodings like '%RLE_DICTIONARY%') filter (path_in_schema = '{name}')", "parquet_metadata")[0][0]],
}))
"#;

fn render(
    options: &FormatOptions,
    zone: &Zone,
    rows: &[Reading],
    out: impl Write,
) -> Result<(), FormatError> {
    let window = Window::new(Timestamp::from_micros(T0), Timestamp::from_micros(T0 + 900 * SECOND));
    let header = SliceHeader { job: "utility", site: "hq", zone, window, interval: None, columns: &[] };
    let mut formatter = options.start(&header, Box::new(out))?;
    for row in rows {
        formatter.row(row.as_row())?;
    }
    formatter.finish()
}

fn bytes(toml: &str, rows: &[Reading]) -> Vec<u8> {
    let mut bytes = Vec::new();
    render(&options(toml), &Zone::utc(), rows, &mut bytes).unwrap();
    bytes
}

fn read_back(bytes: &[u8]) -> Value {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-venv/bin/python3");
    assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), bytes).unwrap();
    let output = Command::new(python).args(["-c", READER]).arg(file.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Rows as the reader shows them.
fn shown(document: &Value) -> Vec<Reading> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let row = |row: &Value| Reading {
        micros: row[0].as_i64().unwrap(),
        point: text(&row[1]),
        value: row[2].as_str().map(|number| number.parse().unwrap()),
        unit: text(&row[3]).leak(),
        quality: text(&row[4]).parse().unwrap(),
    };
    document["rows"].as_array().unwrap().iter().map(row).collect()
}

/// A few rows with all that is out of the ordinary.
fn odd() -> Vec<Reading> {
    sorted(vec![
        reading(-5 * SECOND, "漢字 \"a\", 'b'", Some(0.1 + 0.2)),
        reading(T0, "com.example.hq", Some(500.0)),
        Reading { unit: "", ..reading(T0, "com.example.hq.empty", None) },
        Reading { unit: "Wh", quality: Quality::Suspect, ..reading(T0, "com.example.hq.energy", Some(1e21)) },
        reading(T0 + 1, "com.example.hq", None),
        Reading { unit: "kW", ..reading(T0 + SECOND, "com.example.hq", Some(-f64::MIN_POSITIVE)) },
    ])
}

fn many(count: i64) -> Vec<Reading> {
    (0..count)
        .map(|n| {
            reading(
                T0 + n / 50 * SECOND,
                &format!("com.example.hq.sw{:02}", n % 50),
                (n % 7 != 0).then_some(n as f64 / 3.0),
            )
        })
        .collect()
}

#[test]
fn duckdb_reads_it_back() {
    for (rows, toml, groups) in [
        (vec![], "[parquet]", json!([])),
        (odd(), "[parquet]", json!([6])),
        (odd(), "[parquet]\nrow_group_rows = 1", json!([1, 1, 1, 1, 1, 1])),
        (odd(), "[parquet]\nrow_group_rows = 4", json!([4, 2])),
        (many(100_050), "[parquet]", json!([100_000, 50])),
    ] {
        let document = read_back(&bytes(toml, &rows));
        assert!(shown(&document) == rows, "{toml}: {} rows are not the same", rows.len());
        assert_eq!(document["groups"], groups, "{toml}");
    }
}

#[test]
fn it_says_what_it_is() {
    let document = read_back(&bytes("[parquet]", &odd()));
    let text = |name: &str| json!([name, "BYTE_ARRAY", "REQUIRED", "StringType()"]);
    let time =
        "TimestampType(isAdjustedToUTC=1, unit=TimeUnit(MILLIS=<null>, MICROS=MicroSeconds(), NANOS=<null>))";
    assert_eq!(
        document["columns"],
        json!([
            ["timestamp", "INT64", "REQUIRED", time],
            text("point"),
            ["value", "DOUBLE", "OPTIONAL", null],
            text("unit"),
            text("quality"),
        ])
    );
    for column in ["point", "unit", "quality"] {
        assert!(document["dictionaries"].as_array().unwrap().contains(&column.into()), "{document}");
    }
    assert_eq!(document["created_by"], "ew version 1");
    assert_eq!(
        document["about"],
        json!({
            "ew.site": "hq",
            "ew.job": "utility",
            "ew.start": "2023-11-14T22:13:20Z",
            "ew.end": "2023-11-14T22:28:20Z",
            "ew.units": r#"{"com.example.hq":["W","kW"],"com.example.hq.energy":["Wh"],"漢字 \"a\", 'b'":["W"]}"#,
        })
    );
}

/// Nothing but the slice decides: no clock, no zone, no machine. Where this file changes, so must `parquet/1`.
#[test]
fn the_same_slice_gives_the_same_bytes() {
    let file = fixtures().join("golden/rows.parquet");
    let found = bytes("[parquet]", &odd());
    if std::env::var_os("EW_BLESS").is_some() {
        std::fs::write(&file, &found).unwrap();
    }
    assert!(found == std::fs::read(&file).unwrap(), "{} has other bytes", file.display());
    let mut local = Vec::new();
    render(&options("[parquet]"), &"Europe/Zurich".parse().unwrap(), &odd(), &mut local).unwrap();
    assert!(found == local, "the zone is seen in it");
    let (rows, toml) = (many(20_000), "[parquet]\nrow_group_rows = 8000");
    assert!(bytes(toml, &rows) == bytes(toml, &rows));
}

/// Renders as many rows as the variable says and prints the most memory that was held, KiB (proc(5)); for
/// [`ten_times_the_rows_need_no_more_memory`], which needs a process for each.
#[test]
fn held_memory() {
    let Some(count) = std::env::var("EW_TEST_ROWS").ok() else { return };
    let options = options("[parquet]\nrow_group_rows = 50000");
    let zone = Zone::utc();
    let window = Window::new(Timestamp::from_micros(0), Timestamp::from_micros(1));
    let header = SliceHeader { job: "u", site: "hq", zone: &zone, window, interval: None, columns: &[] };
    let mut formatter = options.start(&header, Box::new(std::io::sink())).unwrap();
    for n in 0..count.parse().unwrap() {
        let point = format!("com.example.hq.sw{:02}", n % 50);
        formatter.row(reading(n / 50 * SECOND, &point, Some(n as f64 / 3.0)).as_row()).unwrap();
    }
    formatter.finish().unwrap();
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    println!("{}", status.lines().find(|line| line.starts_with("VmHWM:")).unwrap());
}

#[test]
fn ten_times_the_rows_need_no_more_memory() {
    let [few, many] = ["100000", "1000000"].map(|count| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        let output =
            command.args(["--exact", "held_memory", "--nocapture"]).env("EW_TEST_ROWS", count).output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let (_, rest) = text.split_once("VmHWM:").unwrap_or_else(|| panic!("{text}"));
        rest.split_whitespace().next().unwrap().parse::<u64>().unwrap()
    });
    assert!(many.abs_diff(few) <= 3 * 1024, "{few} KiB for few rows, {many} KiB for many");
}

#[test]
fn row_groups_are_bounded() {
    for rows in [0, -1, 1_000_001] {
        let toml = format!("[parquet]\nrow_group_rows = {rows}");
        let error = toml::from_str::<FormatOptions>(&toml).unwrap_err().to_string();
        assert!(error.contains("is not between 1 and 1000000"), "{error}");
    }
}

//! CSV, XML and JSON lines: their dialects, byte for byte. What every format keeps to is in `conform`.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Point, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader, Units};
use proptest::prelude::*;
use slice::{Reading, SECOND, fixtures, options, reading, render, render_with, sorted};
use std::path::Path;
use std::process::Command;

const T0: i64 = 1_700_000_000 * SECOND;

fn assert_valid_xml(file: &Path) {
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--dtdvalid"])
        .arg(fixtures().join("data.dtd"))
        .arg(file)
        .output()
        .expect("xmllint is needed (Debian: libxml2-utils)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn golden_files() {
    let zone: Zone = "Europe/Zurich".parse().unwrap();
    // The autumn change of 2026: 02:30 comes twice.
    let fold = 1_792_888_200 * SECOND;
    let rows = sorted(vec![
        reading(fold, "com.example.hq", Some(500.0)),
        reading(fold, "com.example.hq.sw1, rack \"A\"", Some(12.5)),
        reading(fold + 3600 * SECOND, "com.example.hq", Some(0.1)),
        reading(fold + 3600 * SECOND, "com.example.hq.sw1, rack \"A\"", None),
        reading(fold + 3600 * SECOND + 250_000, "com.example.hq.sw1, rack \"A\"", None),
    ]);
    for (name, toml) in [
        ("wide.csv", "[csv]"),
        ("long.csv", "[csv]\nlayout = \"long\""),
        (
            "odd.csv",
            "[csv]\ndelimiter = \";\"\nheader_delimiter = \"|\"\nprefix = \"Begindata\"\nsuffix = \"Enddata\"\n\
             decimal = \",\"\nline_ending = \"crlf\"\nnull = \"n/a\"\ndecimals = 2\n\
             timestamp_format = \"%d.%m.%Y %H:%M:%S %z\"",
        ),
        (
            "fields.csv",
            "[csv]\nlayout = \"long\"\nfields = [\"=HQ\", \"point\", \"%Y%m%d\", \"%H%M\", \"value\", \"unit\", \
             \"quality\", \"%:z\"]\nnames = { \"=HQ\" = \"site\", \"%Y%m%d\" = \"date\", \"%H%M\" = \"time\", \"%:z\" = \
             \"offset\", \"com.example.hq\" = \"M1\" }\nwords = { W = \"WATT\", actual = \"A\", missing = \"E\" }",
        ),
        ("plain.xml", "[xml]\ninfo = \"hq & co\""),
        ("pretty.xml", "[xml]\npretty_format = true\ndecimals = 1"),
        ("rows.jsonl", "[jsonl]"),
    ] {
        let file = fixtures().join("golden").join(name);
        let text = render(&options(toml), &zone, &rows);
        if std::env::var_os("EW_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        let golden = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(text, golden, "{name}");
        if name.ends_with(".xml") {
            assert_valid_xml(&file);
        }
    }
}

/// Text that begins like a formula has an apostrophe; numbers, and what the configuration gives for a null, never.
#[test]
fn spreadsheets_run_nothing() {
    let mut rows = vec![
        reading(0, "+a", Some(-1.5)),
        reading(0, "-b", None),
        Reading { unit: "=W", ..reading(0, "=1+1, \"x\"", Some(2.0)) },
        reading(0, "@x", Some(3.0)),
        reading(0, "com.example.hq", Some(-0.5)),
    ];
    let keys = "null = \"-\"\nformula_guard = true\n\
                names = { timestamp = \"Time\", \"com.example.hq\" = \"=HQ\" }";
    for (name, toml) in [
        ("guarded.csv", format!("[csv]\ndelimiter = \";\"\n{keys}")),
        ("guarded-long.csv", format!("[csv]\nlayout = \"long\"\n{keys}")),
    ] {
        let golden = std::fs::read_to_string(fixtures().join("golden").join(name)).unwrap();
        assert_eq!(render(&options(&toml), &Zone::utc(), &rows), golden, "{name}");
    }
    rows.truncate(1);
    let plain = render(&options("[csv]"), &Zone::utc(), &rows);
    assert_eq!(plain, "timestamp,+a\n1970-01-01T00:00:00Z,-1.5\n");
}

/// The documents beside files, to the letter.
#[test]
fn csv_is_described() {
    let zone = Zone::utc();
    let columns: Vec<Point> = ["=1+1", "com.example.hq"].map(|name| name.parse().unwrap()).into();
    let units = Units::from([
        ("=1+1".to_owned(), ["".to_owned()].into()),
        ("com.example.hq".to_owned(), ["W".to_owned()].into()),
    ]);
    for (name, toml) in [
        ("wide.csv-metadata.json", "[csv]\ncsvw = true"),
        (
            "odd.csv-metadata.json",
            "[csv]\ncsvw = true\nlayout = \"long\"\ndelimiter = \";\"\nheader_delimiter = \"|\"\n\
             prefix = \"Begin\\ndata\"\ndecimal = \",\"\ndecimals = 2\nline_ending = \"crlf\"\n\
             null = \"n/a\"\ntimestamp_format = \"%s\"\nnames = { value = \"Wert\" }",
        ),
    ] {
        let header = header(&zone, &columns);
        let options = options(toml);
        let text = options.describe().unwrap().description(&header, "u 1.csv", &units);
        let file = fixtures().join("golden").join(name);
        if std::env::var_os("EW_BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap(), "{name}");
    }
}

/// Prints the cells of a file as a library of CSV on the Web has them, which knows of the dialect what lies beside it.
const CSVW_READER: &str = r#"
import sys
from csvw import CSVW
for metadata in sys.argv[1:]:
    described = CSVW(metadata, validate=True)
    assert described.is_valid, described.warnings
    (table,) = described.tables
    columns = table.tableSchema.columns
    titles = [column.titles.getfirst() for column in columns]
    print(metadata)
    for row in table:
        for title, column, cell in zip(titles, columns, row.values()):
            unit = column.common_props.get("schema:unitText", "-")
            if hasattr(cell, "isoformat"):
                cell = cell.timestamp()
            elif cell is not None and not isinstance(cell, str):
                cell = float(cell)
            print(repr((title, unit, cell)))
"#;

/// What a reader has of file and document is the slice, in every dialect.
#[test]
fn described_csv_reads_back() {
    let python3 = fixtures().join("../target/test-venv/bin/python3");
    assert!(python3.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
    let rows = sorted(vec![
        reading(T0, " leading and trailing ", Some(1.5)),
        reading(T0, "=1+1", Some(-0.25)),
        reading(T0, "com.example.Zähler", None),
        reading(T0 + 1_500_000, "#,;\"_", Some(1234.5)),
        reading(T0 + 1_500_000, "com.example.Zähler", Some(0.125)),
        Reading { unit: "kWh", ..reading(T0 + 2_000_000, "com.example.Zähler", Some(3.0)) },
    ]);
    let columns = slice::columns(&rows);
    let mut units = Units::new();
    for row in &rows {
        units.entry(row.point.clone()).or_default().insert(row.unit.to_owned());
    }
    let dir = tempfile::tempdir().unwrap();
    let mut reader = Command::new(&python3);
    reader.args(["-c", CSVW_READER]);
    let mut expected = String::new();
    for (n, dialect) in [
        "",
        "null = \"-\"\nformula_guard = true",
        "delimiter = \";\"\ndecimal = \",\"\ndecimals = 3\nline_ending = \"crlf\"",
        // A bare line feed among CRLF.
        "prefix = \"a\\nb\\r\\nc\"\nline_ending = \"crlf\"",
        "delimiter = \"\\t\"\nheader_delimiter = \"|\"\nprefix = \"a\\nb\"",
        "header = false\nprefix = \"a\"",
        "names = { timestamp = \"#Time\" }",
    ]
    .into_iter()
    .enumerate()
    {
        for (layout, zone) in [("wide", "UTC"), ("wide", "Europe/Zurich"), ("long", "Europe/Zurich")] {
            let options = options(&format!("[csv]\ncsvw = true\nlayout = \"{layout}\"\n{dialect}"));
            let name = format!("{n}-{layout}-{}.csv", zone.len());
            let zone: Zone = zone.parse().unwrap();
            let text = render_with(&options, &zone, &columns, &rows).unwrap();
            std::fs::write(dir.path().join(&name), text).unwrap();
            let metadata = dir.path().join(format!("{name}-metadata.json"));
            let described = options.describe().unwrap();
            std::fs::write(&metadata, described.description(&header(&zone, &columns), &name, &units))
                .unwrap();
            expected += &format!("{}\n", metadata.display());
            expected += &expected_cells(&rows, &columns, layout, dialect);
            reader.arg(metadata);
        }
    }
    let output = reader.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
}

/// Lines end as they are said to, those of a prefix too.
#[test]
fn line_ends_are_told() {
    let zone = Zone::utc();
    for (prefix, ends, expect) in [
        ("", "lf", serde_json::json!("\n")),
        ("a\\nb", "lf", serde_json::json!("\n")),
        ("", "crlf", serde_json::json!("\r\n")),
        ("a\\r\\nb", "crlf", serde_json::json!("\r\n")),
        ("a\\r\\nb\\nc", "crlf", serde_json::json!(["\r\n", "\n"])),
    ] {
        let options =
            options(&format!("[csv]\ncsvw = true\nline_ending = \"{ends}\"\nprefix = \"{prefix}\""));
        let text = options.describe().unwrap().description(&header(&zone, &[]), "u.csv", &Units::new());
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["dialect"]["lineTerminators"], expect, "{prefix:?} {ends}");
    }
}

/// A key is told only where it is one: readers refuse a file in which it comes twice.
#[test]
fn a_key_that_would_come_twice_is_not_told() {
    let zone: Zone = "Europe/Zurich".parse().unwrap();
    let columns: Vec<Point> = ["a", "b"].map(|name| name.parse().unwrap()).into();
    let units = Units::from([("a".to_owned(), ["W".to_owned()].into()), ("b".to_owned(), [].into())]);
    for (toml, expect) in [
        ("", Some(1)),
        ("names = { a = \"x\" }", Some(1)),
        ("timestamp_format = \"%d.%m.%Y %H:%M\"", None),
        ("layout = \"long\"", Some(2)),
        ("layout = \"long\"\nnames = { a = \"x\", c = \"x\" }", Some(2)),
        ("layout = \"long\"\nnames = { a = \"x\", b = \"x\" }", None),
        ("layout = \"long\"\nnames = { a = \"b\" }", None),
        ("layout = \"long\"\ntimestamp_format = \"%H:%M\"", None),
    ] {
        let options = options(&format!("[csv]\ncsvw = true\n{toml}"));
        let text = options.describe().unwrap().description(&header(&zone, &columns), "u.csv", &units);
        let document: serde_json::Value = serde_json::from_str(&text).unwrap();
        let key = document["tableSchema"]["primaryKey"].as_array().map(Vec::len);
        assert_eq!(key, expect, "{toml}");
    }
}

/// As Python writes them.
fn expected_cells(rows: &[Reading], columns: &[Point], layout: &str, dialect: &str) -> String {
    let guard = |text: &str| match dialect.contains("formula_guard") && text.starts_with('=') {
        true => format!("'{text}"),
        false => text.to_owned(),
    };
    let text = |text: &str| match (text.contains('\''), text.contains('"')) {
        (true, false) => format!("\"{text}\""),
        _ => format!("'{text}'"),
    };
    let time = if dialect.contains("#Time") { "#Time" } else { "timestamp" };
    let cell = |title: &str, unit: &str, cell: &str| format!("({}, '{unit}', {cell})\n", text(title));
    let number = |value: Option<f64>| value.map_or("None".to_owned(), |value| format!("{value:?}"));
    let seconds = |row: &Reading| format!("{:?}", row.micros as f64 / 1e6);
    let mut cells = String::new();
    for moment in rows.chunk_by(|a, b| a.micros == b.micros) {
        if layout == "wide" {
            cells += &cell(time, "-", &seconds(&moment[0]));
            for column in columns {
                let row = moment.iter().find(|row| row.point == column.as_str());
                let unit = if column.as_str().ends_with("Zähler") { "-" } else { "W" };
                cells += &cell(&guard(column.as_str()), unit, &number(row.and_then(|row| row.value)));
            }
            continue;
        }
        for row in moment {
            cells += &cell(time, "-", &seconds(row));
            cells += &cell("point", "-", &text(&guard(&row.point)));
            cells += &cell("value", "-", &number(row.value));
            cells += &cell("unit", "-", &text(row.unit));
            cells += &cell("quality", "-", &text(row.quality.as_str()));
        }
    }
    cells
}

fn header<'a>(zone: &'a Zone, columns: &'a [Point]) -> SliceHeader<'a> {
    let window = Window::new(Timestamp::from_micros(0), Timestamp::from_micros(1));
    SliceHeader { job: "utility", site: "hq", zone, window, interval: None, columns }
}

#[test]
fn nothing_at_all_is_a_document() {
    let empty = |toml: &str| render(&options(toml), &Zone::utc(), &[]);
    assert_eq!(empty("[csv]"), "timestamp\n");
    assert_eq!(empty("[csv]\nheader = false"), "");
    assert_eq!(empty("[csv]\nlayout = \"long\""), "timestamp,point,value,unit,quality\n");
    assert_eq!(empty("[xml]"), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<data info=\"\"></data>\n");
    assert_eq!(empty("[jsonl]"), "");
    assert_eq!(empty("[template]\nfile = \"templates/wide.toml\""), "timestamp\n");
    assert_eq!(empty("[template]\ntemplate = \"retx\""), "Begindata\nEnddata");
    // The columns of the slice before it.
    let columns: Vec<Point> = vec!["a".parse().unwrap(), "b".parse().unwrap()];
    let text = render_with(&options("[csv]"), &Zone::utc(), &columns, &[]).unwrap();
    assert_eq!(text, "timestamp,a,b\n");
}

#[test]
fn columns_keep_the_order_they_are_given() {
    let columns: Vec<Point> = vec!["b".parse().unwrap(), "c".parse().unwrap(), "a".parse().unwrap()];
    let rows = [
        reading(0, "a", Some(1.0)),
        reading(0, "b", Some(2.0)),
        reading(SECOND, "c", Some(3.0)),
        reading(SECOND * 2, "a", None),
    ];
    let text = render_with(&options("[csv]"), &Zone::utc(), &columns, &rows).unwrap();
    assert_eq!(
        text,
        "timestamp,b,c,a\n1970-01-01T00:00:00Z,2,,1\n1970-01-01T00:00:01Z,,3,\n1970-01-01T00:00:02Z,,,\n"
    );
}

#[test]
fn what_cannot_be_written_is_named() {
    let refused = |toml: &str, columns: &[&str], rows: &[Reading]| {
        let columns: Vec<Point> = columns.iter().map(|name| name.parse().unwrap()).collect();
        let error = render_with(&options(toml), &Zone::utc(), &columns, rows).unwrap_err();
        assert_eq!(error.exit().code(), 65, "{error}");
        if let FormatError::SameColumn { .. } = error {
            assert!(error.hint().is_some_and(|hint| hint.contains("names")), "{:?}", error.hint());
        }
        error.to_string()
    };
    assert_eq!(
        refused("[csv]", &["a"], &[reading(T0, "b", None)]),
        "b at 2023-11-14T22:13:20Z has no column in the csv"
    );
    assert_eq!(refused("[csv]", &["a", "a"], &[]), "the csv has two columns a");
    for (names, columns, twice) in [
        ("a = \"b\"", ["a", "b"], "b"),
        ("a = \"x\", b = \"x\"", ["a", "b"], "x"),
        ("a = \"timestamp\"", ["a", "b"], "timestamp"),
    ] {
        let message = refused(&format!("[csv]\nnames = {{ {names} }}"), &columns, &[]);
        assert_eq!(message, format!("the csv has two columns {twice}"));
    }
    // Nobody but a description minds where the first column is known by its place.
    let described = "[csv]\ncsvw = true";
    assert_eq!(refused(described, &["a", "timestamp"], &[]), "the csv has two columns timestamp");
    let timestamp: [Point; 1] = ["timestamp".parse().unwrap()];
    assert!(render_with(&options("[csv]"), &Zone::utc(), &timestamp, &[]).is_ok());
    for bad in ["x\u{1}", "x\u{fffe}", "x\0"] {
        let message = refused("[xml]", &[], &[reading(T0, bad, Some(1.0))]);
        assert!(
            message.starts_with("x\\u{") || message.starts_with("x\\0"),
            "shows the name without the raw character: {message}"
        );
        assert!(message.contains("2023-11-14T22:13:20Z"), "{message}");
    }
}

#[test]
fn mistyped_keys_are_shown_with_their_place() {
    for (toml, expect) in [
        ("[csv]\nlayout = \"long\"\ndelimitter = \";\"\n", "line 3"),
        ("[csv]\ndecimals = 18\n", "line 2"),
        ("[xml]\npretty = true\n", "line 2"),
        ("[jsonl]\ntimestamp_format = \"%!\"\n", "line 2"),
    ] {
        let error = toml::from_str::<FormatOptions>(toml).unwrap_err().to_string();
        assert!(error.contains(expect), "{toml}\n{error}");
    }
}

fn any_rows() -> impl Strategy<Value = Vec<Reading>> {
    let value = proptest::option::of(any::<f64>().prop_filter("finite", |v| v.is_finite()));
    let row = (-1_000_000_000_000_i64..2_000_000_000_000_000, "[^\\p{Cc}]{1,12}", value);
    proptest::collection::vec(row, 0..40).prop_map(|rows| {
        let mut rows: Vec<Reading> = rows
            .into_iter()
            .map(|(micros, point, value)| reading(micros, &point, value.map(|v| v + 0.0)))
            .collect();
        rows = sorted(rows);
        rows.dedup_by(|a, b| (a.micros, &a.point) == (b.micros, &b.point));
        rows
    })
}

proptest! {
    /// By the csv crate, which is quicker to start than python.
    #[test]
    fn any_long_csv_reads_back(rows in any_rows()) {
        let text = render(&options("[csv]\nlayout = \"long\""), &Zone::utc(), &rows);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let found: Vec<(i64, String, Option<f64>)> = reader
            .records()
            .map(|record| {
                let record = record.unwrap();
                let time = Timestamp::from_rfc3339(&record[0]).unwrap().micros();
                (time, record[1].to_owned(), (!record[2].is_empty()).then(|| record[2].parse().unwrap()))
            })
            .collect();
        let expected: Vec<_> = rows.iter().map(|row| (row.micros, row.point.clone(), row.value)).collect();
        prop_assert_eq!(found, expected);
    }

    /// By quick-xml's reader.
    #[test]
    fn any_xml_reads_back(rows in any_rows()) {
        let allowed = |c: char| c != '\u{fffe}' && c != '\u{ffff}';
        let rows: Vec<Reading> = rows.into_iter().filter(|row| row.point.chars().all(allowed)).collect();
        let text = render(&options("[xml]"), &Zone::utc(), &rows);
        let expected: Vec<_> = rows
            .iter()
            .filter_map(|row| row.value.map(|value| (row.micros, row.point.clone(), value)))
            .collect();
        prop_assert_eq!(read_xml(&text), expected);
    }
}

fn read_xml(text: &str) -> Vec<(i64, String, f64)> {
    use quick_xml::events::{BytesStart, Event};
    let attribute = |tag: &BytesStart<'_>, name: &str| {
        let attribute = tag.try_get_attribute(name).unwrap().unwrap();
        quick_xml::escape::unescape(&attribute.value).unwrap().into_owned()
    };
    let mut reader = quick_xml::Reader::from_str(text);
    let (mut rows, mut time, mut name) = (Vec::new(), 0, None);
    loop {
        match reader.read_event().unwrap() {
            Event::Start(tag) if tag.name().as_ref() == "entry" => {
                time = Timestamp::from_rfc3339(&attribute(&tag, "timestamp")).unwrap().micros();
            }
            Event::Start(tag) if tag.name().as_ref() == "value" => name = Some(attribute(&tag, "name")),
            Event::Text(value) => {
                if let Some(name) = name.take() {
                    rows.push((time, name, value.parse().unwrap()));
                }
            }
            Event::Eof => return rows,
            _ => {}
        }
    }
}

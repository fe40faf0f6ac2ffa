//! CSV, XML and JSON lines: their dialects, byte for byte. What every format keeps to is in `conform`.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Point, Timestamp, Zone};
use ew_format::FormatOptions;
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

#[test]
fn nothing_at_all_is_a_document() {
    let empty = |toml: &str| render(&options(toml), &Zone::utc(), &[]);
    assert_eq!(empty("[csv]"), "timestamp\n");
    assert_eq!(empty("[csv]\nheader = false"), "");
    assert_eq!(empty("[csv]\nlayout = \"long\""), "timestamp,point,value,unit,quality\n");
    assert_eq!(empty("[xml]"), "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<data info=\"\"></data>\n");
    assert_eq!(empty("[jsonl]"), "");
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

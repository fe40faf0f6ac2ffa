//! Every formatter over the same slices, read back by parsers that share no code with it.
#![allow(clippy::unwrap_used)]

#[path = "support/slice.rs"]
mod slice;

use ew_core::{Point, Quality, Row, Timestamp, Window, Zone};
use ew_format::{FormatOptions, SliceHeader};
use proptest::prelude::*;
use slice::{Reading, SECOND, fixtures, options, reading, render, render_with, sorted};
use std::path::Path;
use std::process::Command;

const T0: i64 = 1_700_000_000 * SECOND;

fn slice_one() -> Vec<Reading> {
    vec![reading(T0, "com.example.hq", Some(12.5))]
}

fn slice_odd_names() -> Vec<Reading> {
    let mut rows = Vec::new();
    for (i, point) in [
        "=1+1",
        "a,b",
        "a;b",
        "a\"b\"",
        "a'b",
        "a<b>&c]]>",
        " leading and trailing ",
        "-",
        "com.example.Gebäude 7.Zähler",
        "{\"a\\b\"}",
        "漢字",
        "\u{2028}\u{85}x",
        "😀",
        "\u{feff}bom",
    ]
    .into_iter()
    .enumerate()
    {
        // U+0085 is a control character to Rust, so no point has it; the rest may come.
        let point = point.replace('\u{85}', "");
        for step in 0..3 {
            rows.push(reading(T0 + step * 900 * SECOND, &point, Some(i as f64 + 0.125 * step as f64)));
        }
    }
    sorted(rows)
}

fn slice_nulls() -> Vec<Reading> {
    sorted(vec![
        reading(T0, "a", None),
        reading(T0, "b", Some(0.0)),
        reading(T0 + 250_000, "a", None),
        reading(T0 + 250_000, "b", None),
        reading(T0 + 1, "b", Some(-71.25)),
        reading(T0 + SECOND, "c", Some(1e21)),
        reading(T0 + 2 * SECOND, "a", Some(f64::MIN_POSITIVE)),
        reading(T0 + 2 * SECOND, "c", Some(f64::MAX)),
        reading(-5 * SECOND, "a", Some(0.1 + 0.2)),
    ])
}

fn slice_large() -> Vec<Reading> {
    let points: Vec<String> = (0..100).map(|i| format!("com.example.hq.sw{i:03}")).collect();
    let mut rows = Vec::with_capacity(100_000);
    for step in 0..1000 {
        for (i, point) in points.iter().enumerate() {
            let value = (step * 7 + i as i64) as f64 / 3.0;
            rows.push(reading(T0 + step * 30 * SECOND, point, (i != 17).then_some(value)));
        }
    }
    rows
}

/// A format, and how the reader below is told about it.
struct Case {
    name: &'static str,
    toml: &'static str,
    dialect: &'static str,
}

const CASES: [Case; 10] = [
    Case { name: "csv wide", toml: "[csv]", dialect: "wide , ," },
    Case { name: "csv long", toml: "[csv]\nlayout = \"long\"", dialect: "long , ," },
    Case {
        name: "csv wide, German",
        toml: "[csv]\ndelimiter = \";\"\ndecimal = \",\"\nline_ending = \"crlf\"\nnull = \"-\"",
        dialect: "wide ; ; decimal",
    },
    Case {
        name: "csv long, tabs",
        toml: "[csv]\nlayout = \"long\"\ndelimiter = \"\\t\"\nheader_delimiter = \",\"",
        dialect: "long tab ,",
    },
    Case { name: "xml", toml: "[xml]", dialect: "xml" },
    Case { name: "xml, pretty", toml: "[xml]\npretty_format = true\ninfo = 'a \"b\" <c>&'", dialect: "xml" },
    Case { name: "jsonl", toml: "[jsonl]", dialect: "jsonl" },
    Case {
        name: "template per reading",
        toml: "[template]\nfile = \"templates/long.toml\"",
        dialect: "long , ,",
    },
    Case {
        name: "template per timestamp",
        toml: "[template]\nfile = \"templates/wide.toml\"",
        dialect: "wide , ,",
    },
    Case {
        name: "template, escaped",
        toml: "[template]\nfile = \"templates/data.toml\"\nvalues = { info = 'a \"b\" <c>&' }",
        dialect: "xml",
    },
];

/// csv, xml.etree and json of Python's own library; prints each row as a JSON array. Its
/// numbers are strings: without `float_roundtrip` serde_json may miss the last bit of one.
const READER: &str = r#"
import csv, json, sys, re
import xml.etree.ElementTree as ET
from datetime import datetime, timezone

EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)

def micros(text):
    m = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,6}))?(Z|[+-]\d\d:\d\d)", text)
    assert m, text
    zone = "+00:00" if m[3] == "Z" else m[3]
    t = datetime.fromisoformat(m[1] + zone) - EPOCH
    return (t.days * 86400 + t.seconds) * 1000000 + int((m[2] or "0").ljust(6, "0"))

def number(text):
    assert text == text.strip() and text, repr(text)
    return float(text)

path, kind, *rest = sys.argv[1:]
rows = []
if kind in ("wide", "long"):
    delimiter, header_delimiter = [{"tab": "\t"}.get(d, d) for d in rest[:2]]
    german = rest[2:] == ["decimal"]
    raw = open(path, "rb").read()
    assert raw.endswith(b"\r\n" if german else b"\n")
    assert raw.count(b"\n") == raw.count(b"\r\n") or not german
    lines = re.split(r"\r?\n", raw.decode("utf-8"))[:-1]
    header = next(csv.reader(lines[:1], delimiter=header_delimiter, strict=True))
    for record in csv.reader(lines[1:], delimiter=delimiter, strict=True):
        assert len(record) == len(header), record
        if kind == "wide":
            assert header[0] == "timestamp"
            for point, cell in zip(header[1:], record[1:]):
                if cell not in ("", "-" if german else ""):
                    rows.append([micros(record[0]), point, number(cell.replace(",", ".") if german else cell)])
        else:
            assert header == ["timestamp", "point", "value", "unit", "quality"]
            t, point, value, unit, quality = record
            rows.append([micros(t), point, number(value) if value else None, unit, quality])
elif kind == "xml":
    data = ET.parse(path).getroot()
    assert data.tag == "data" and list(data.attrib) == ["info"]
    for entry in data:
        assert entry.tag == "entry"
        for value in entry:
            rows.append([micros(entry.get("timestamp")), value.get("name"), number(value.text)])
else:
    for line in open(path, encoding="utf-8", newline="\n"):
        o = json.loads(line)
        assert list(o) == ["timestamp", "point", "value", "unit", "quality"]
        v = None if o["value"] is None else float(o["value"])
        rows.append([micros(o["timestamp"]), o["point"], v, o["unit"], o["quality"]])
for row in rows:
    row[2] = None if row[2] is None else repr(row[2])
    print(json.dumps(row))
"#;

/// Microseconds, point, value; unit and quality where the format has them.
type RowRead = (i64, String, Option<f64>, Option<(String, String)>);

fn read_back(case: &Case, file: &Path) -> Vec<RowRead> {
    let output = Command::new("python3")
        .args(["-c", READER])
        .arg(file)
        .args(case.dialect.split(' '))
        .output()
        .expect("python3 is needed to read the documents back");
    assert!(output.status.success(), "{}: {}", case.name, String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .map(|line| {
            let row: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
            let rest = row
                .get(3)
                .map(|unit| (unit.as_str().unwrap().to_owned(), row[4].as_str().unwrap().to_owned()));
            let value = row[2].as_str().map(|number| number.parse().unwrap());
            (row[0].as_i64().unwrap(), row[1].as_str().unwrap().to_owned(), value, rest)
        })
        .collect()
}

fn assert_valid_xml(file: &Path) {
    let output = Command::new("xmllint")
        .args(["--noout", "--nonet", "--dtdvalid"])
        .arg(fixtures().join("data.dtd"))
        .arg(file)
        .output()
        .expect("xmllint is needed (Debian: libxml2-utils)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Reading a document back gives exactly the slice's (time, point, value) for every value that is not
/// null; the long layouts also nulls, units and qualities.
fn conforms(case: &Case, zone: &Zone, rows: &[Reading]) {
    let options = options(case.toml);
    let text = render(&options, zone, rows);
    assert_eq!(text, render(&options, zone, rows), "{}: the same slice gives the same bytes", case.name);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("slice");
    std::fs::write(&file, &text).unwrap();
    if case.dialect == "xml" {
        assert_valid_xml(&file);
    }
    let found = read_back(case, &file);
    let is_long = case.dialect.starts_with("long") || case.dialect == "jsonl";
    let expected: Vec<_> = rows
        .iter()
        .filter(|row| is_long || row.value.is_some())
        .map(|row| {
            let rest = is_long.then(|| (row.unit.to_owned(), row.quality.to_string()));
            (row.micros, row.point.clone(), row.value, rest)
        })
        .collect();
    assert_eq!(found.len(), expected.len(), "{}", case.name);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found, expected, "{}", case.name);
    }
}

#[test]
fn every_format_reads_back() {
    let zones: [Zone; 2] = [Zone::utc(), "Europe/Zurich".parse().unwrap()];
    for rows in [vec![], slice_one(), slice_odd_names(), slice_nulls()] {
        for case in &CASES {
            for zone in &zones {
                conforms(case, zone, &rows);
            }
        }
    }
}

#[test]
fn a_hundred_thousand_rows_read_back() {
    let rows = slice_large();
    // Of templates one is enough.
    let is_large = |case: &&Case| !matches!(case.name, "template per reading" | "template, escaped");
    for case in CASES.iter().filter(is_large) {
        conforms(case, &Zone::utc(), &rows);
    }
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
    let templates = ["long", "wide"].map(|name| format!("[template]\nfile = \"templates/{name}.toml\""));
    let [long, wide] = &templates;
    for toml in ["[csv]", "[csv]\nlayout = \"long\"", "[xml]", "[jsonl]", long, wide] {
        for rows in [
            [reading(T0, "a", None), reading(T0, "a", None)],
            [reading(T0, "b", None), reading(T0, "a", None)],
            [reading(T0 + 1, "a", None), reading(T0, "b", None)],
        ] {
            let message = refused(toml, &["a", "b"], &rows);
            assert!(message.contains("out of order"), "{toml}: {message}");
        }
    }
}

#[test]
fn a_full_disk_is_local() {
    for toml in ["[csv]", "[xml]", "[jsonl]\n", "[template]\ntemplate = \"retx\""] {
        let options = options(toml);
        let zone = Zone::utc();
        let window = Window::new(Timestamp::from_micros(0), Timestamp::from_micros(1));
        let header =
            SliceHeader { job: "utility", site: "hq", zone: &zone, window, interval: None, columns: &[] };
        let mut formatter = options.start(&header, Box::new(slice::Full)).unwrap();
        if toml.starts_with("[jsonl]") {
            let row = Row {
                time: Timestamp::from_micros(0),
                point: "a",
                value: None,
                unit: "",
                quality: Quality::Missing,
            };
            formatter.row(row).unwrap();
        }
        let error = formatter.finish().unwrap_err();
        assert_eq!(error.exit().code(), 74, "{error}");
        assert!(error.hint().is_some());
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

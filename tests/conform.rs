//! What every format keeps to: one body for all of them, over the same slices.
#![allow(clippy::unwrap_used)]

#[path = "support/kinds.rs"]
mod kinds;
#[path = "support/slice.rs"]
mod slice;

use ew_core::{Point, Quality, RowOrder, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader};
use kinds::{Case, Kind, Read, Told};
use slice::{Reading, SECOND};
use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::process::Command;

/// 21 days, whole in Brisbane.
const WINDOW: [&str; 2] = ["2026-02-28T14:00:00Z", "2026-03-21T14:00:00Z"];
/// Half an hour, the job's interval, in microseconds.
const STEP: i64 = 1800 * SECOND;
const STEPS: i64 = 21 * 48;
/// A formatter may hold back this much, bytes: a piece of its text, and a record that is not complete.
const HELD_MAX: usize = 128 * 1024;

fn at(step: i64, point: &str, value: Option<f64>) -> Reading {
    let start = WINDOW[0].parse::<Timestamp>().unwrap().micros();
    Reading { unit: "Wh", ..slice::reading(start + step * STEP, point, value) }
}

/// The slices that every format is given, each with its name. One that it cannot say is refused.
fn slices() -> Vec<(&'static str, Vec<Reading>)> {
    let hq = |step, value| at(step, "com.example.hq", value);
    let each = |rows: &dyn Fn(usize, &str) -> Vec<Reading>| -> Vec<Reading> {
        kinds::points().iter().enumerate().flat_map(|(n, point)| rows(n, point)).collect()
    };
    let named = |is_meant: &dyn Fn(&str) -> bool| {
        each(&|n, point| {
            let value = |step| Some(n as f64 + step as f64 / 8.0);
            (0..3).filter(|_| is_meant(point)).map(|step| at(step, point, value(step))).collect()
        })
    };
    let alone = |row: Reading| vec![hq(0, Some(1.5)), row];
    let mut slices = vec![
        ("empty", vec![]),
        ("one", vec![hq(0, Some(12.5))]),
        ("one null", vec![hq(0, None)]),
        ("umlauts", named(&|point| !point.is_ascii())),
        ("quotes and commas", named(&|point| point.is_ascii() && !point.starts_with("com"))),
        ("gaps and nulls", {
            let value = |step: i64| (step % 5 != 0).then_some(step as f64 / 8.0);
            let is_there = |step: &i64| step % 17 != 0 && step / 40 % 3 != 1;
            (0..200).filter(is_there).map(|step| hq(step, value(step))).collect()
        }),
        (
            "qualities",
            Quality::ALL
                .into_iter()
                .zip(0..)
                .map(|(quality, step)| {
                    let value = (quality != Quality::Missing).then_some(500.0);
                    Reading { quality, ..hq(step, value) }
                })
                .collect(),
        ),
        ("units change", vec![hq(0, Some(1500.0)), Reading { unit: "kWh", ..hq(1, Some(1.5)) }, hq(2, None)]),
        (
            "many points",
            each(&|n, point| {
                let value =
                    |step: i64| ((step + n as i64) % 11 != 0).then_some((step * 7 + n as i64) as f64 / 8.0);
                let steps = (0..48).filter(|_| point.starts_with("com.example.hq.sw"));
                steps.map(|step| at(step, point, value(step))).collect()
            }),
        ),
    ];
    // One that some formats cannot say is a slice of its own.
    slices.extend(
        [
            ("below zero", hq(1, Some(-71.25))),
            ("rounds to zero", hq(1, Some(-1e-9))),
            ("a long fraction", hq(1, Some(0.1 + 0.2))),
            ("the least number", hq(1, Some(f64::MIN_POSITIVE))),
            ("the largest number", hq(1, Some(f64::MAX))),
            ("a part of a second", Reading { micros: hq(1, None).micros + 250_000, ..hq(1, Some(1.0)) }),
            ("another unit", Reading { unit: "°C", ..hq(1, Some(21.0)) }),
            ("a unit with a comma", Reading { unit: "a,\"b\"", ..hq(1, Some(1.0)) }),
            ("control characters in the unit", Reading { unit: "W\u{1}\n\t;", ..hq(1, Some(1.0)) }),
            ("control characters in the point", at(1, "com\u{1}", Some(1.0))),
            ("a tab in the point", at(1, "com\tx", Some(1.0))),
            ("no character of XML", at(1, "com\u{fffe}", Some(1.0))),
        ]
        .map(|(name, row)| (name, alone(row))),
    );
    slices
}

/// In the order that the format asks for.
fn ordered(options: &FormatOptions, rows: &[Reading]) -> Vec<Reading> {
    let mut rows = slice::sorted(rows.to_vec());
    if options.order() == RowOrder::ByPoint {
        rows.sort_by(|a, b| (&a.point, a.micros).cmp(&(&b.point, b.micros)));
    }
    rows
}

/// Those that can be columns.
fn columns(rows: &[Reading]) -> Vec<Point> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.point.as_str()).collect();
    names.into_iter().filter_map(|name| name.parse().ok()).collect()
}

fn write<'r>(
    options: &FormatOptions,
    zone: &Zone,
    columns: &[Point],
    rows: impl Iterator<Item = &'r Reading>,
    out: &mut dyn Write,
) -> Result<(), FormatError> {
    let [start, end] = WINDOW.map(|time| time.parse().unwrap());
    let interval = Some("30m".parse().unwrap());
    let (window, job, site) = (Window::new(start, end), "utility", "hq");
    let header = SliceHeader { job, site, zone, window, interval, columns };
    let mut formatter = options.start(&header, Box::new(out))?;
    for row in rows {
        if let Err(error) = formatter.row(row.as_row()) {
            // Whoever goes on all the same gets no panic.
            let _ = formatter.finish();
            return Err(error);
        }
    }
    let done = formatter.finish();
    if done.is_err() {
        let _ = formatter.finish();
    }
    done
}

/// The rows of each document as a foreign reader has them.
fn read_back(kind: &Kind, documents: &[Vec<u8>]) -> Vec<Vec<Read>> {
    let dir = tempfile::tempdir().unwrap();
    let mut paths = String::new();
    for (n, document) in documents.iter().enumerate() {
        let path = dir.path().join(n.to_string());
        std::fs::write(&path, document).unwrap();
        paths += &format!("{}\n", path.display());
    }
    let list = dir.path().join("list");
    std::fs::write(&list, paths).unwrap();
    let mut python = Command::new(kinds::interpreter(kind));
    python.env("FIXTURES", slice::fixtures()).stdin(std::fs::File::open(list).unwrap());
    python.args(["-c", kinds::PRELUDE, kind.reader]).args(&kind.dialect);
    let output = python.output().expect("python3 reads the documents back");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
    let row = |line: &str| {
        let row: Vec<serde_json::Value> = serde_json::from_str(line).unwrap();
        let value = row[2].as_str().map(|number| number.parse().unwrap());
        let (unit, quality) = (text(&row[3]), text(&row[4]));
        Read { micros: row[0].as_i64().unwrap(), point: text(&row[1]).unwrap(), value, unit, quality }
    };
    let mut read = vec![Vec::new()];
    for line in String::from_utf8(output.stdout).unwrap().lines() {
        match line {
            "" => read.push(Vec::new()),
            line => read.last_mut().unwrap().push(row(line)),
        }
    }
    read.pop();
    read
}

/// What a document says of some rows; none where there is no document.
fn told(kind: &Kind, rows: &[Reading]) -> Option<Vec<Read>> {
    let mut told = Vec::new();
    for row in rows {
        match (kind.told)(row) {
            Told::Row(read) => told.push(read),
            Told::Nothing => {}
            Told::Refused => return None,
        }
    }
    Some(told)
}

/// A document has every row that the format can say, in order, and nothing else; or there is none. It is the same
/// each time, however little of it is taken at once.
fn conforms(case: &Case) {
    let options = slice::options(&case.toml);
    let kind = kinds::kind(&options);
    let (mut documents, mut expected) = (Vec::new(), Vec::new());
    for (name, rows) in slices() {
        let rows = ordered(&options, &rows);
        let columns = columns(&rows);
        let told = told(&kind, &rows);
        for zone in case.zones {
            let what = format!("{name} as {}, {zone}", options.name_and_version());
            let zone: Zone = zone.parse().unwrap();
            let mut document = Vec::new();
            let done = write(&options, &zone, &columns, rows.iter(), &mut document);
            let Some(told) = &told else {
                let error = done.err().unwrap_or_else(|| panic!("{what}: is a document"));
                assert_eq!(error.exit().code(), 65, "{what}: {error}");
                continue;
            };
            done.unwrap_or_else(|error| panic!("{what}: {error}"));
            let mut slowly = Slowly(Vec::new());
            write(&options, &zone, &columns, rows.iter(), &mut slowly).unwrap();
            assert!(slowly.0 == document, "{what}: the same slice gives other bytes");
            documents.push(document);
            expected.push((what, told.clone()));
        }
    }
    let found = read_back(&kind, &documents);
    assert_eq!(found.len(), expected.len());
    for (found, (what, expected)) in found.iter().zip(&expected) {
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected, "{what}");
        }
        assert_eq!(found.len(), expected.len(), "{what}");
    }
}

#[test]
fn every_format_has_a_case() {
    // serde names them all.
    let error = toml::from_str::<FormatOptions>("[none]").unwrap_err().to_string();
    let (_, known) = error.split_once("expected one of ").unwrap();
    let mut known: BTreeSet<&str> = known.split('`').skip(1).step_by(2).collect();
    if cfg!(not(feature = "parquet")) {
        // Its keys are known in every build, and no more than that.
        known.remove("parquet");
    }
    let cases = kinds::cases();
    let tried: BTreeSet<&str> =
        cases.iter().map(|case| case.toml.split(['[', ']', '.']).nth(1).unwrap()).collect();
    assert_eq!(tried, known);
}

#[test]
fn every_format_says_what_it_can() {
    kinds::cases().iter().for_each(conforms);
}

/// Rows that are not in the format's own order, or there twice, are never written as if they were.
#[test]
fn disorder_is_refused() {
    let [early, late] = [0, 1].map(|step| move |point| at(step, point, Some(1.0)));
    let (a, b) = ("com.example.hq.sw000", "com.example.hq.sw001");
    for case in kinds::cases() {
        let options = slice::options(&case.toml);
        let crossed = match options.order() {
            RowOrder::ByTime => [late(a), early(b)],
            RowOrder::ByPoint => [early(b), late(a)],
        };
        for rows in [[early(a), early(a)], [late(a), early(a)], [early(b), early(a)], crossed] {
            let zone: Zone = case.zones[0].parse().unwrap();
            let error = write(&options, &zone, &columns(&rows), rows.iter(), &mut io::sink()).unwrap_err();
            assert!(error.to_string().contains("out of order"), "{}: {error}", options.name_and_version());
        }
    }
}

/// Whichever write it is that fails.
#[test]
fn a_full_disk_is_local() {
    let (_, rows) = slices().into_iter().find(|(name, _)| *name == "many points").unwrap();
    for case in kinds::cases() {
        let options = slice::options(&case.toml);
        let zone: Zone = case.zones[0].parse().unwrap();
        let (rows, columns) = (ordered(&options, &rows), columns(&rows));
        let mut failed = 0;
        loop {
            let mut out = Failing { left: failed };
            let Err(error) = write(&options, &zone, &columns, rows.iter(), &mut out) else { break };
            assert_eq!(error.exit().code(), 74, "{error}");
            assert!(error.hint().is_some(), "{error}");
            failed += 1;
        }
        assert!(failed >= 2, "{}: written and flushed in {failed}", options.name_and_version());
    }
}

/// What is written follows the rows: fifty thousand are never held.
#[test]
fn memory_is_flat() {
    let points: Vec<String> = (0..50).map(|n| format!("com.example.hq.sw{n:03}")).collect();
    let mut rows = Vec::new();
    for step in 0..STEPS {
        rows.extend(points.iter().map(|point| at(step, point, Some((step % 1000) as f64 / 8.0))));
    }
    let columns = columns(&rows);
    // Of Parquet, which is compressed, this tells nothing; tests/parquet.rs asks the kernel.
    for case in kinds::cases().iter().filter(|case| !case.toml.starts_with("[parquet]")) {
        let options = slice::options(&case.toml);
        let rows = ordered(&options, &rows);
        let zone: Zone = case.zones[0].parse().unwrap();
        let (written, at_last_row) = (Cell::new(0), Cell::new(0));
        let watched = rows.iter().inspect(|_| at_last_row.set(written.get()));
        write(&options, &zone, &columns, watched, &mut Counted(&written)).unwrap();
        let (all, held) = (written.get(), written.get() - at_last_row.get());
        assert!(all > 2 * HELD_MAX, "{}: {all} bytes tell nothing", options.name_and_version());
        assert!(held <= HELD_MAX, "{}: {held} of {all} bytes held", options.name_and_version());
    }
}

/// Takes a little at once.
struct Slowly(Vec<u8>);

impl Write for Slowly {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(1000);
        self.0.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Full after so many writes; a flush is one.
struct Failing {
    left: usize,
}

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush().map(|()| bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.left = self.left.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
        Ok(())
    }
}

/// Counts bytes.
struct Counted<'a>(&'a Cell<usize>);

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.set(self.0.get() + bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

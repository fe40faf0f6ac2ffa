//! Samples from CSV or JSON lines.

use ew_core::{Quality, Sample, Timestamp};
use serde::Deserialize;
use std::cell::Cell;
use std::io::{BufRead, Lines};
use std::rc::Rc;

/// Why a row is no sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct BadRow {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// A source of samples that tells the line it is at.
pub(crate) struct Rows<R> {
    kind: Kind<R>,
    line: Rc<Cell<u64>>,
}

enum Kind<R> {
    Csv { records: csv::StringRecordsIntoIter<R>, columns: Columns },
    Jsonl(Lines<R>),
}

/// Where the fields of a sample stand.
struct Columns {
    timestamp: usize,
    point: usize,
    value: usize,
    unit: Option<usize>,
    quality: Option<usize>,
}

/// The fields of a sample as text.
struct Fields<'a> {
    timestamp: &'a str,
    point: &'a str,
    value: Option<f64>,
    unit: &'a str,
    quality: &'a str,
}

impl<R: BufRead> Rows<R> {
    /// JSON lines where the first byte that is not blank is `{`, else CSV with a header. Input without
    /// any line has no rows.
    pub(crate) fn new(mut input: R) -> Result<Rows<R>, BadRow> {
        let line = Rc::new(Cell::new(0));
        let bad = |reason: String| BadRow { line: 1, reason };
        let head = input.fill_buf().map_err(|e| bad(format!("cannot read: {e}")))?;
        if head.starts_with(b"\xef\xbb\xbf") {
            input.consume(3);
        }
        let head = input.fill_buf().map_err(|e| bad(format!("cannot read: {e}")))?;
        if head.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
            return Ok(Rows { kind: Kind::Jsonl(input.lines()), line });
        }
        let mut reader = csv::ReaderBuilder::new().from_reader(input);
        let header = reader.headers().map_err(|e| bad(csv_reason(&e)))?;
        let columns = Columns::of(header).map_err(bad)?;
        Ok(Rows { kind: Kind::Csv { records: reader.into_records(), columns }, line })
    }

    /// The line of the sample given last.
    pub(crate) fn line(&self) -> Rc<Cell<u64>> {
        self.line.clone()
    }
}

impl Columns {
    fn of(header: &csv::StringRecord) -> Result<Columns, String> {
        let mut places = [None; 5];
        const NAMES: [&str; 5] = ["timestamp", "point", "value", "unit", "quality"];
        for (at, name) in header.iter().enumerate() {
            let Some(known) = NAMES.iter().position(|known| *known == name.trim()) else {
                return Err(format!("the header has a column {name:?}; there are {}", NAMES.join(",")));
            };
            if places[known].replace(at).is_some() {
                return Err(format!("the header has the column {name:?} twice"));
            }
        }
        let need = |known: usize| {
            let why =
                || format!("the header has no column {:?}; it needs timestamp,point,value", NAMES[known]);
            places[known].ok_or_else(why)
        };
        Ok(Columns {
            timestamp: need(0)?,
            point: need(1)?,
            value: need(2)?,
            unit: places[3],
            quality: places[4],
        })
    }
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Result<Sample, BadRow>;

    fn next(&mut self) -> Option<Result<Sample, BadRow>> {
        match &mut self.kind {
            Kind::Csv { records, columns } => {
                let record = match records.next()? {
                    Ok(record) => record,
                    Err(e) => {
                        let line = e.position().map_or(self.line.get() + 1, csv::Position::line);
                        return Some(Err(BadRow { line, reason: csv_reason(&e) }));
                    }
                };
                self.line.set(record.position().map_or(0, csv::Position::line));
                let sample = from_record(&record, columns);
                Some(sample.map_err(|reason| BadRow { line: self.line.get(), reason }))
            }
            Kind::Jsonl(lines) => loop {
                let text = lines.next()?;
                self.line.set(self.line.get() + 1);
                let bad = |reason| BadRow { line: self.line.get(), reason };
                match text {
                    Err(e) => return Some(Err(bad(format!("cannot read: {e}")))),
                    Ok(text) if text.trim().is_empty() => {}
                    Ok(text) => return Some(from_json(&text).map_err(bad)),
                }
            },
        }
    }
}

fn csv_reason(error: &csv::Error) -> String {
    match error.kind() {
        csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("the row has {len} fields, the header {expected_len}")
        }
        csv::ErrorKind::Utf8 { .. } => "the row is not UTF-8".to_owned(),
        csv::ErrorKind::Io(e) => format!("cannot read: {e}"),
        _ => error.to_string(),
    }
}

fn from_record(record: &csv::StringRecord, columns: &Columns) -> Result<Sample, String> {
    let field = |at: usize| record.get(at).unwrap_or("").trim();
    let text = field(columns.value);
    let value = match text {
        "" => None,
        _ => Some(text.parse().map_err(|_| format!("the value {text:?} is not a number"))?),
    };
    sample(&Fields {
        timestamp: field(columns.timestamp),
        point: record.get(columns.point).unwrap_or(""),
        value,
        unit: columns.unit.map_or("", field),
        quality: columns.quality.map_or("", field),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    timestamp: serde_json::Value,
    point: String,
    value: Option<f64>,
    unit: Option<String>,
    quality: Option<String>,
}

fn from_json(text: &str) -> Result<Sample, String> {
    let row: JsonRow = serde_json::from_str(text).map_err(|e| e.to_string())?;
    // A number keeps its digits: epoch seconds to the microsecond do not fit a double.
    let timestamp = match &row.timestamp {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    sample(&Fields {
        timestamp: &timestamp,
        point: &row.point,
        value: row.value,
        unit: row.unit.as_deref().unwrap_or(""),
        quality: row.quality.as_deref().unwrap_or(""),
    })
}

fn sample(fields: &Fields<'_>) -> Result<Sample, String> {
    let time: Timestamp = fields.timestamp.parse()?;
    let quality = match (fields.quality, fields.value) {
        ("", Some(_)) => Quality::Unknown,
        ("", None) => Quality::Missing,
        (text, _) => text.parse()?,
    };
    Sample::new(time, fields.point.parse()?, fields.value, fields.unit, quality).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<String> {
        let rows = match Rows::new(text.as_bytes()) {
            Ok(rows) => rows,
            Err(e) => return vec![e.to_string()],
        };
        rows.map(|row| match row {
            Ok(s) => format!("{} {} {:?} {} {}", s.time(), s.point(), s.value(), s.unit(), s.quality()),
            Err(e) => e.to_string(),
        })
        .collect()
    }

    #[test]
    fn csv_in_any_order() {
        let text = "value,timestamp,point\n12.5,1700000000.25,a\n,2023-11-14T22:13:20+01:00,\"b,c\"\n";
        assert_eq!(
            read(text),
            ["2023-11-14T22:13:20.25Z a Some(12.5)  unknown", "2023-11-14T21:13:20Z b,c None  missing"]
        );
    }

    #[test]
    fn json_lines() {
        let text = "\n{\"timestamp\":1700000000,\"point\":\"a\",\"value\":1,\"unit\":\"W\",\"quality\":\"actual\"}\n\
                    {\"timestamp\":\"2023-11-14T22:13:20Z\",\"point\":\"b\",\"value\":null}\n{\"point\":\"b\"}\n";
        let rows = read(text);
        assert_eq!(rows[0], "2023-11-14T22:13:20Z a Some(1.0) W actual");
        assert_eq!(rows[1], "2023-11-14T22:13:20Z b None  missing");
        assert!(rows[2].starts_with("line 4: missing field `timestamp`"), "{}", rows[2]);
    }

    #[test]
    fn bad_rows_say_line_and_reason() {
        let head = "timestamp,point,value\n";
        for (text, expect) in [
            ("time,point,value\n".into(), "line 1: the header has a column \"time\""),
            ("timestamp,value\n".into(), "line 1: the header has no column \"point\""),
            (format!("{head}1,a,NaN\n"), "line 2: the value is not a finite number"),
            (format!("{head}1,a,x\n"), "line 2: the value \"x\" is not a number"),
            (format!("{head}1,a,1,2\n"), "line 2: the row has 4 fields, the header 3"),
            (format!("{head}1,,1\n"), "line 2: a point needs a name"),
            (format!("{head}yesterday,a,1\n"), "line 2: \"yesterday\" is neither"),
        ] {
            let rows = read(&text);
            assert!(rows.last().unwrap().starts_with(expect), "{rows:?}");
        }
        assert_eq!(
            read(""),
            ["line 1: the header has no column \"timestamp\"; it needs timestamp,point,value"]
        );
    }
}

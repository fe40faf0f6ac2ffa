//! Samples from CSV or JSON lines.

use ew_core::{Quality, Sample, Timestamp};
use serde::Deserialize;
use std::io::BufRead;

/// Why a row is no sample.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub(crate) struct BadRow {
    /// From 1.
    pub(crate) line: u64,
    pub(crate) reason: String,
}

/// The longest line, bytes: far more than five fields can fill.
const LINE_BYTES_MAX: u64 = 1 << 16;
/// More fields than a row can have, so that a row with too many is counted right up to here.
const FIELDS_MAX: usize = 64;

/// A source of samples, each with its line, from 1. Every row is one line: no field may hold a line break.
pub(crate) struct Rows<R> {
    lines: Lines<R>,
    /// None for JSON lines.
    csv: Option<Csv>,
}

/// Lines of bounded length, counted.
struct Lines<R> {
    input: R,
    text: Vec<u8>,
    number: u64,
}

/// The parser of one CSV line, and where the header put the fields.
struct Csv {
    reader: csv_core::Reader,
    columns: Columns,
    width: usize,
    fields: Vec<u8>,
    ends: Vec<usize>,
}

/// Where the fields of a sample stand.
#[derive(Default)]
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

impl<R: BufRead> Lines<R> {
    /// The next line that is not blank, without its end; none at the end of the input.
    fn next(&mut self) -> Result<Option<&str>, String> {
        loop {
            self.text.clear();
            let mut limited = std::io::Read::take(&mut self.input, LINE_BYTES_MAX);
            let n = limited.read_until(b'\n', &mut self.text).map_err(|e| format!("cannot read: {e}"))?;
            if n == 0 {
                return Ok(None);
            }
            self.number += 1;
            if n as u64 == LINE_BYTES_MAX && !self.text.ends_with(b"\n") {
                return Err(format!("the line is longer than {LINE_BYTES_MAX} bytes"));
            }
            while self.text.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
                self.text.pop();
            }
            if self.number == 1 && self.text.starts_with(b"\xef\xbb\xbf") {
                self.text.drain(..3);
            }
            if !self.text.iter().all(u8::is_ascii_whitespace) {
                break;
            }
        }
        std::str::from_utf8(&self.text).map(Some).map_err(|_| "the line is not UTF-8".to_owned())
    }

    /// Reads the header of CSV.
    fn header(&mut self) -> Result<Csv, String> {
        let header = self.next()?.ok_or("there is no header")?;
        let mut csv = Csv::new();
        csv.width = csv.part(header)?;
        csv.columns = Columns::of((0..csv.width).map(|at| csv.field(at)))?;
        Ok(csv)
    }
}

impl Csv {
    fn new() -> Csv {
        let (fields, ends) = (vec![0; LINE_BYTES_MAX as usize], vec![0; FIELDS_MAX]);
        Csv { reader: csv_core::Reader::new(), columns: Columns::default(), width: 0, fields, ends }
    }

    /// Parts a line into fields; how many there are.
    fn part(&mut self, line: &str) -> Result<usize, String> {
        use csv_core::ReadRecordResult as Read;
        self.reader.reset();
        let (_, read, written, mut count) =
            self.reader.read_record(line.as_bytes(), &mut self.fields, &mut self.ends);
        if read == line.len() {
            // The line itself has no end; an empty input is one, and a quote that is open stays open.
            let (result, _, _, more) =
                self.reader.read_record(b"\n", &mut self.fields[written..], &mut self.ends[count..]);
            if result == Read::InputEmpty {
                return Err("a quoted field is not closed on its line".to_owned());
            }
            count += more;
        }
        Ok(count)
    }

    fn field(&self, at: usize) -> &str {
        let start = if at == 0 { 0 } else { self.ends.get(at - 1).copied().unwrap_or(0) };
        let end = self.ends.get(at).copied().unwrap_or(start);
        // Parts of UTF-8 text between ASCII delimiters are UTF-8.
        std::str::from_utf8(self.fields.get(start..end).unwrap_or_default()).unwrap_or_default()
    }
}

impl<R: BufRead> Rows<R> {
    /// JSON lines where the first line that is not blank begins with `{`, else CSV with a header.
    pub(crate) fn new(input: R) -> Result<Rows<R>, BadRow> {
        let mut lines = Lines { input, text: Vec::new(), number: 0 };
        let first = |reason: String| BadRow { line: 1, reason };
        let head = lines.input.fill_buf().map_err(|e| first(format!("cannot read: {e}")))?;
        let text = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
        if text.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{') {
            return Ok(Rows { lines, csv: None });
        }
        let csv = lines.header();
        let csv = csv.map_err(|reason| BadRow { line: lines.number.max(1), reason })?;
        Ok(Rows { lines, csv: Some(csv) })
    }
}

impl Columns {
    fn of<'a>(header: impl Iterator<Item = &'a str>) -> Result<Columns, String> {
        let mut places = [None; 5];
        const NAMES: [&str; 5] = ["timestamp", "point", "value", "unit", "quality"];
        for (at, name) in header.enumerate() {
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
    type Item = Result<(u64, Sample), BadRow>;

    fn next(&mut self) -> Option<Self::Item> {
        let sample = match self.lines.next() {
            Ok(None) => return None,
            Ok(Some(line)) => match &mut self.csv {
                Some(csv) => from_csv(line, csv),
                None => from_json(line),
            },
            Err(reason) => Err(reason),
        };
        let line = self.lines.number;
        Some(sample.map(|sample| (line, sample)).map_err(|reason| BadRow { line, reason }))
    }
}

fn from_csv(line: &str, csv: &mut Csv) -> Result<Sample, String> {
    let count = csv.part(line)?;
    if count != csv.width {
        return Err(format!("the row has {count} fields, the header {}", csv.width));
    }
    let field = |at: usize| csv.field(at).trim();
    let text = field(csv.columns.value);
    let value = match text {
        "" => None,
        _ => Some(text.parse().map_err(|_| format!("the value {text:?} is not a number"))?),
    };
    sample(&Fields {
        timestamp: field(csv.columns.timestamp),
        point: csv.field(csv.columns.point),
        value,
        unit: csv.columns.unit.map_or("", field),
        quality: csv.columns.quality.map_or("", field),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct JsonRow {
    timestamp: serde_json::Value,
    point: String,
    /// Null is a value; a row without the key is not a sample.
    #[serde(deserialize_with = "Option::deserialize")]
    value: Option<f64>,
    unit: Option<String>,
    quality: Option<String>,
}

fn from_json(text: &str) -> Result<Sample, String> {
    let row: JsonRow = serde_json::from_str(text).map_err(|e| {
        // Serde counts lines within the row; it is one line.
        e.to_string().replace(" at line 1 column ", " at column ")
    })?;
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
            Ok((_, s)) => format!("{} {} {:?} {} {}", s.time(), s.point(), s.value(), s.unit(), s.quality()),
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
        assert_eq!(read(""), ["line 1: there is no header"]);
    }
}

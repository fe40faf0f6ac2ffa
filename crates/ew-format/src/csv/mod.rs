//! Comma-separated values, RFC 4180, with the dialects that receivers ask for.

mod column;
mod csvw;
mod marks;
mod rows;

pub use column::Column;

use crate::options::check_null;
use crate::output::{Output, Times, push_number};
use crate::{Decimals, Describe, Format, FormatError, Formatter, InParts, Part, SliceHeader, Strftime};
use column::Chosen;
use ew_core::{Point, Stamp};
use marks::{DecimalMark, Delimiter};
use rows::{Long, Wide};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;

const FORMAT: &str = "csv";
pub(crate) const TIMESTAMP: &str = "timestamp";
pub(crate) const POINT: &str = "point";
pub(crate) const VALUE: &str = "value";
pub(crate) const UNIT: &str = "unit";
pub(crate) const QUALITY: &str = "quality";

/// How rows become lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `timestamp,<point>…`: one line per timestamp, one column per point.
    #[default]
    Wide,
    /// `timestamp,point,value,unit,quality`, or `fields`: one line per row.
    Long,
}

/// What ends a line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LineEnding {
    /// A line feed.
    #[default]
    Lf,
    /// Carriage return and line feed, as RFC 4180 has it.
    Crlf,
}

impl LineEnding {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            LineEnding::Lf => "\n",
            LineEnding::Crlf => "\r\n",
        }
    }
}

/// `[export.format.csv]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct CsvOptions {
    /// How rows become lines.
    pub layout: Layout,
    /// What stands on a line of `long`, in this order, where it is not those five.
    pub fields: Option<Vec<Column>>,
    /// Between the fields of a data line: `,` unless given.
    pub delimiter: char,
    /// Between the fields of the header: as `delimiter` unless given.
    pub header_delimiter: char,
    /// Text on lines of its own before everything else.
    pub prefix: String,
    /// Text after everything else, as it stands: no line end is added.
    pub suffix: String,
    /// Whether there is a header line; it is written for a slice without rows too.
    pub header: bool,
    /// The decimal mark: `.` unless given, or `,`.
    pub decimal: char,
    /// What ends a line.
    pub line_ending: LineEnding,
    /// What stands for a null, and in `wide` for a point without a row at that time; empty unless given.
    pub null: String,
    /// Digits after the decimal mark; left out: the shortest text that reads back as the same number.
    pub decimals: Option<Decimals>,
    /// strftime in the job's zone; left out: RFC 3339 with its offset.
    pub timestamp_format: Option<Strftime>,
    /// Which end of its interval a row's timestamp is, where the job has intervals.
    pub stamp: Stamp,
    /// What stands for a point's name, in header and cells, and for the header's own words.
    pub names: BTreeMap<String, String>,
    /// What stands for a unit or a quality, in `long`.
    pub words: BTreeMap<String, String>,
    /// Whether text that a spreadsheet would run as a formula gets an apostrophe before it.
    pub formula_guard: bool,
    /// Whether a document of CSV on the Web describes each file.
    pub csvw: bool,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            layout: Layout::Wide,
            fields: None,
            delimiter: ',',
            header_delimiter: ',',
            prefix: String::new(),
            suffix: String::new(),
            header: true,
            decimal: '.',
            line_ending: LineEnding::Lf,
            null: String::new(),
            decimals: None,
            timestamp_format: None,
            stamp: Stamp::Start,
            names: BTreeMap::new(),
            words: BTreeMap::new(),
            formula_guard: false,
            csvw: false,
        }
    }
}

/// The keys as written, before they are held against one another.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    layout: Layout,
    fields: Option<Vec<Column>>,
    delimiter: Delimiter,
    header_delimiter: Option<Delimiter>,
    prefix: String,
    suffix: String,
    header: bool,
    decimal: DecimalMark,
    line_ending: LineEnding,
    null: String,
    decimals: Option<Decimals>,
    timestamp_format: Option<Strftime>,
    stamp: Stamp,
    names: BTreeMap<String, String>,
    words: BTreeMap<String, String>,
    formula_guard: bool,
    csvw: bool,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            layout: Layout::Wide,
            fields: None,
            delimiter: Delimiter(','),
            header_delimiter: None,
            prefix: String::new(),
            suffix: String::new(),
            header: true,
            decimal: DecimalMark('.'),
            line_ending: LineEnding::Lf,
            null: String::new(),
            decimals: None,
            timestamp_format: None,
            stamp: Stamp::Start,
            names: BTreeMap::new(),
            words: BTreeMap::new(),
            formula_guard: false,
            csvw: false,
        }
    }
}

impl TryFrom<Keys> for CsvOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<CsvOptions, String> {
        let delimiter = keys.delimiter.0;
        let decimal = keys.decimal.0;
        if delimiter == decimal {
            return Err(format!("{decimal:?} cannot be both the delimiter and the decimal mark"));
        }
        check_null(&keys.null, decimal)?;
        if keys.layout == Layout::Wide && (keys.fields.is_some() || !keys.words.is_empty()) {
            return Err(
                "fields and words go with layout = \"long\"; a wide line has a time and its points".into()
            );
        }
        if keys.fields.as_ref().is_some_and(Vec::is_empty) {
            return Err("fields is empty: nothing would stand on a line".into());
        }
        if keys.csvw && decimal != '.' && keys.decimals.is_none() {
            return Err(format!(
                "csvw = true with decimal = \"{decimal}\" needs decimals too; write decimals = 3"
            ));
        }
        if keys.csvw && keys.fields.is_some() {
            return Err("csvw = true goes without fields: it describes the columns of wide and long".into());
        }
        if keys.csvw && !keys.suffix.is_empty() {
            return Err(
                "csvw = true goes without suffix: CSV on the Web has no word for what comes after rows"
                    .into(),
            );
        }
        Ok(CsvOptions {
            layout: keys.layout,
            fields: keys.fields,
            delimiter,
            header_delimiter: keys.header_delimiter.unwrap_or(keys.delimiter).0,
            prefix: keys.prefix,
            suffix: keys.suffix,
            header: keys.header,
            decimal,
            line_ending: keys.line_ending,
            null: keys.null,
            decimals: keys.decimals,
            timestamp_format: keys.timestamp_format,
            stamp: keys.stamp,
            names: keys.names,
            words: keys.words,
            formula_guard: keys.formula_guard,
            csvw: keys.csvw,
        })
    }
}

impl Format for CsvOptions {
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        self.start_part(header, Part::WHOLE, out)
    }

    fn in_parts(&self) -> Option<&dyn InParts> {
        Some(self)
    }

    fn extension(&self) -> &'static str {
        "csv"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn is_wide(&self) -> bool {
        self.layout == Layout::Wide
    }

    fn describe(&self) -> Option<&dyn Describe> {
        self.csvw.then_some(self)
    }

    fn name_and_version(&self) -> &'static str {
        "csv/1"
    }
}

impl InParts for CsvOptions {
    /// Writes prefix and header.
    fn start_part<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        part: Part,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let mut output = Output::new(FORMAT, out);
        if part.is_first && !self.prefix.is_empty() {
            output.text.push_str(&self.prefix);
            output.text.push_str(self.line_ending.as_str());
        }
        let suffix = if part.is_last { self.suffix.as_str() } else { "" };
        let times = Times::new(FORMAT, header.zone, self.timestamp_format.as_ref());
        Ok(match self.layout {
            Layout::Long => {
                if let Some(fields) = &self.fields {
                    if part.is_first {
                        self.push_header(fields.iter().map(Column::name), &mut output.text);
                    }
                    return Ok(Box::new(Chosen::new(output, times, header.zone, fields, (self, suffix))));
                }
                let names = [TIMESTAMP, POINT, VALUE, UNIT, QUALITY];
                if part.is_first {
                    self.push_header(names.into_iter(), &mut output.text);
                }
                Box::new(Long::new(output, times, (self, suffix)))
            }
            Layout::Wide => {
                let mut seen = HashSet::new();
                // By its place alone, the time is known in a file that neither renames nor describes its columns.
                if self.csvw || !self.names.is_empty() {
                    seen.insert(self.shown(TIMESTAMP));
                }
                let shown = |point: &'a Point| self.shown(point.as_str());
                if let Some(twice) = header.columns.iter().map(shown).find(|name| !seen.insert(name)) {
                    return Err(FormatError::SameColumn { format: FORMAT, point: twice.to_owned() });
                }
                let names = header.columns.iter().map(|point| point.as_str());
                if part.is_first {
                    self.push_header(std::iter::once(TIMESTAMP).chain(names), &mut output.text);
                }
                Box::new(Wide::new(output, times, header.columns, (self, suffix)))
            }
        })
    }
}

impl CsvOptions {
    fn push_header<'n>(&self, names: impl Iterator<Item = &'n str>, out: &mut String) {
        if !self.header {
            return;
        }
        for (i, name) in names.enumerate() {
            if i > 0 {
                out.push(self.header_delimiter);
            }
            self.push_text(self.shown(name), out);
        }
        out.push_str(self.line_ending.as_str());
    }

    /// What stands for a name.
    pub(crate) fn shown<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// What stands for a unit or a quality.
    pub(crate) fn word<'n>(&'n self, word: &'n str) -> &'n str {
        self.words.get(word).map_or(word, String::as_str)
    }

    /// One field of text that is not ours: with an apostrophe, if asked for, where a spreadsheet would take it for
    /// a formula (OWASP, CSV injection).
    pub(crate) fn push_text(&self, text: &str, out: &mut String) {
        self.push_field(&self.guarded(text), out);
    }

    fn guarded<'t>(&self, text: &'t str) -> Cow<'t, str> {
        match self.formula_guard && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            true => format!("'{text}").into(),
            false => text.into(),
        }
    }

    /// What a column is called in the header.
    pub(crate) fn title<'n>(&'n self, name: &'n str) -> Cow<'n, str> {
        self.guarded(self.shown(name))
    }

    /// One field, in quotes where it holds a delimiter, a quote or a line break (RFC 4180, section 2).
    pub(crate) fn push_field(&self, field: &str, out: &mut String) {
        let needs_quotes =
            |c: char| matches!(c, '"' | '\r' | '\n') || c == self.delimiter || c == self.header_delimiter;
        if !field.contains(needs_quotes) {
            out.push_str(field);
            return;
        }
        out.push('"');
        for c in field.chars() {
            if c == '"' {
                out.push('"');
            }
            out.push(c);
        }
        out.push('"');
    }

    pub(crate) fn push_value(&self, value: Option<f64>, out: &mut String) {
        let Some(value) = value else {
            self.push_field(&self.null, out);
            return;
        };
        let start = out.len();
        push_number(value, self.decimals, out);
        // Neither a digit nor a sign can be a delimiter, so a number never needs quotes; the point can,
        // and then it is not the decimal mark.
        if self.decimal != '.'
            && let Some(at) = out[start..].find('.')
        {
            let at = start + at;
            out.replace_range(at..=at, self.decimal.encode_utf8(&mut [0; 4]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clashes_are_refused() {
        for bad in [
            "delimiter = \",\"\ndecimal = \",\"",
            "delimiter = \".\"",
            "delimiter = '\"'",
            "delimiter = \"\\n\"",
            "delimiter = \"7\"",
            "delimiter = \"-\"",
            "delimiter = \"e\"",
            "delimiter = \";;\"",
            "delimiter = \"\"",
            "decimal = \"'\"",
            "decimals = 18",
            "decimals = -1",
            "line_ending = \"cr\"",
            "layout = \"tall\"",
            "null = \"0\"",
            "delimiter = \";\"\ndecimal = \",\"\nnull = \"0,0\"",
            "timestamp_format = \"%Y %!\"",
            "timestamp_format = \"\"",
            "stamp = \"middle\"",
            "delimitter = \";\"",
            "fields = [\"value\"]",
            "words = { W = \"KW\" }",
            "layout = \"long\"\nfields = []",
            "layout = \"long\"\nfields = [\"vale\"]",
            "layout = \"long\"\nfields = [\"%!\"]",
        ] {
            assert!(toml::from_str::<CsvOptions>(bad).is_err(), "{bad}");
        }
        assert_eq!(toml::from_str::<CsvOptions>("").unwrap(), CsvOptions::default());
        let german =
            toml::from_str::<CsvOptions>("delimiter = \";\"\ndecimal = \",\"\nnull = \"NaN\"").unwrap();
        assert_eq!((german.delimiter, german.header_delimiter, german.decimal), (';', ';', ','));
    }
}

//! Comma-separated values, RFC 4180, with the dialects that receivers ask for.

use crate::output::{Names, Output, Times, push_number};
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Point, Quality, Row, Stamp};
use serde::Deserialize;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;

const FORMAT: &str = "csv";
const TIMESTAMP: &str = "timestamp";

/// How rows become lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Layout {
    /// `timestamp,<point>…`: one line per timestamp, one column per point.
    #[default]
    Wide,
    /// `timestamp,point,value,unit,quality`: one line per row.
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
    fn as_str(self) -> &'static str {
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
    /// Whether text that a spreadsheet would run as a formula gets an apostrophe before it.
    pub formula_guard: bool,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            layout: Layout::Wide,
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
            formula_guard: false,
        }
    }
}

/// The keys as written, before they are held against one another.
#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    layout: Layout,
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
    formula_guard: bool,
}

impl Default for Keys {
    fn default() -> Keys {
        Keys {
            layout: Layout::Wide,
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
            formula_guard: false,
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
        let as_number = keys.null.trim().replace(decimal, ".").parse::<f64>();
        if as_number.is_ok_and(f64::is_finite) {
            return Err(format!("null = {:?} reads as a number; missing is never a number", keys.null));
        }
        Ok(CsvOptions {
            layout: keys.layout,
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
            formula_guard: keys.formula_guard,
        })
    }
}

/// One character that no number, no quote and no line end needs.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Delimiter(char);

impl TryFrom<String> for Delimiter {
    type Error = String;

    fn try_from(text: String) -> Result<Delimiter, String> {
        let mut chars = text.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else {
            return Err(format!("{text:?} is not a delimiter; write one character"));
        };
        let is_taken = c == '"' || c == '-' || c == '+' || c.is_alphanumeric();
        if is_taken || (c.is_control() && c != '\t') {
            return Err(format!(
                "{text:?} cannot be a delimiter: fields hold it, or lines and quotes end with it"
            ));
        }
        Ok(Delimiter(c))
    }
}

/// `.` or `,`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct DecimalMark(char);

impl TryFrom<String> for DecimalMark {
    type Error = String;

    fn try_from(text: String) -> Result<DecimalMark, String> {
        match text.as_str() {
            "." => Ok(DecimalMark('.')),
            "," => Ok(DecimalMark(',')),
            _ => Err(format!("{text:?} is not a decimal mark; write \".\" or \",\"")),
        }
    }
}

impl Format for CsvOptions {
    /// Writes prefix and header.
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let mut output = Output::new(FORMAT, out);
        if !self.prefix.is_empty() {
            output.text.push_str(&self.prefix);
            output.text.push_str(self.line_ending.as_str());
        }
        let times = Times::new(FORMAT, header.zone, self.timestamp_format.as_ref());
        Ok(match self.layout {
            Layout::Long => {
                let names = [TIMESTAMP, "point", "value", "unit", "quality"];
                self.push_header(names.into_iter(), &mut output.text);
                Box::new(Long { output, times, options: self, stamp: String::new(), names: Names::new() })
            }
            Layout::Wide => {
                let mut seen = HashSet::new();
                if !self.names.is_empty() {
                    seen.insert(self.shown(TIMESTAMP));
                }
                let shown = |point: &'a Point| self.shown(point.as_str());
                if let Some(twice) = header.columns.iter().map(shown).find(|name| !seen.insert(name)) {
                    return Err(FormatError::SameColumn { format: FORMAT, point: twice.to_owned() });
                }
                let names = header.columns.iter().map(|point| point.as_str());
                self.push_header(std::iter::once(TIMESTAMP).chain(names), &mut output.text);
                let mut order: Vec<(&str, usize)> =
                    header.columns.iter().enumerate().map(|(i, point)| (point.as_str(), i)).collect();
                order.sort_unstable();
                let cells = vec![None; order.len()];
                Box::new(Wide { output, times, options: self, order, next: 0, cells, is_open: false })
            }
        })
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

    fn name_and_version(&self) -> &'static str {
        "csv/1"
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
    fn shown<'n>(&'n self, name: &'n str) -> &'n str {
        self.names.get(name).map_or(name, String::as_str)
    }

    /// One field of text that is not ours: with an apostrophe, if asked for, where a spreadsheet would take it for
    /// a formula (OWASP, CSV injection).
    fn push_text(&self, text: &str, out: &mut String) {
        match self.formula_guard && text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
            true => self.push_field(&format!("'{text}"), out),
            false => self.push_field(text, out),
        }
    }

    /// One field, in quotes where it holds a delimiter, a quote or a line break (RFC 4180, section 2).
    fn push_field(&self, field: &str, out: &mut String) {
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

    fn push_value(&self, value: Option<f64>, out: &mut String) {
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

/// One line per row.
struct Long<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a CsvOptions,
    /// The present timestamp as a field.
    stamp: String,
    names: Names<Around>,
}

/// What stands before and after a value of a point, quotes and all.
struct Around {
    before: String,
    after: String,
    /// What `after` was made of.
    unit: String,
    quality: Option<Quality>,
}

impl Around {
    fn new(options: &CsvOptions, point: &str) -> Around {
        let mut before = String::from(options.delimiter);
        options.push_text(options.shown(point), &mut before);
        before.push(options.delimiter);
        Around { before, after: String::new(), unit: String::new(), quality: None }
    }

    fn tell(&mut self, options: &CsvOptions, unit: &str, quality: Quality) {
        if self.quality == Some(quality) && self.unit == unit {
            return;
        }
        unit.clone_into(&mut self.unit);
        self.quality = Some(quality);
        self.after.clear();
        self.after.push(options.delimiter);
        options.push_text(unit, &mut self.after);
        self.after.push(options.delimiter);
        options.push_field(quality.as_str(), &mut self.after);
        self.after.push_str(options.line_ending.as_str());
    }
}

impl<W: Write> Formatter for Long<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let options = self.options;
        if self.times.turn(&row)? {
            self.names.restart();
            self.stamp.clear();
            options.push_field(self.times.text(), &mut self.stamp);
        }
        let make = |point: &str| Ok::<_, FormatError>(Around::new(options, point));
        let Some(around) = self.names.next(row.point, make)? else {
            return Err(self.times.out_of_order(&row));
        };
        around.tell(options, row.unit, row.quality);
        let text = &mut self.output.text;
        text.push_str(&self.stamp);
        text.push_str(&around.before);
        options.push_value(row.value, text);
        text.push_str(&around.after);
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.output.text.push_str(&self.options.suffix);
        self.output.flush()
    }
}

/// One line per timestamp.
struct Wide<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a CsvOptions,
    /// The columns by name, each with its place in the line.
    order: Vec<(&'a str, usize)>,
    /// Where in `order` the next row most likely is.
    next: usize,
    /// The values of the present line, by place.
    cells: Vec<Option<f64>>,
    is_open: bool,
}

impl<W: Write> Wide<'_, W> {
    /// The place in the line of a row's point, which comes after those of the rows before it.
    fn place(&mut self, row: &Row<'_>) -> Result<usize, FormatError> {
        let is_next = self.order.get(self.next).is_some_and(|(name, _)| *name == row.point);
        let found = match is_next {
            true => Ok(self.next),
            false => self.order.binary_search_by(|(name, _)| (*name).cmp(row.point)),
        };
        let Some((at, (_, place))) = found.ok().and_then(|at| Some((at, self.order.get(at)?))) else {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::NoColumn { format: FORMAT, point, time });
        };
        if at < self.next {
            return Err(self.times.out_of_order(row));
        }
        self.next = at + 1;
        Ok(*place)
    }

    /// Writes the present line; `times` still has its timestamp.
    fn close_line(&mut self) {
        if !self.is_open {
            return;
        }
        let (options, text) = (self.options, &mut self.output.text);
        options.push_field(self.times.text(), text);
        for cell in &mut self.cells {
            text.push(options.delimiter);
            options.push_value(cell.take(), text);
        }
        text.push_str(options.line_ending.as_str());
        self.is_open = false;
        self.next = 0;
    }
}

impl<W: Write> Formatter for Wide<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.is_after(row.time) {
            self.close_line();
            self.output.drain()?;
        }
        self.times.turn(&row)?;
        let place = self.place(&row)?;
        self.cells[place] = row.value;
        self.is_open = true;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close_line();
        self.output.text.push_str(&self.options.suffix);
        self.output.flush()
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
        ] {
            assert!(toml::from_str::<CsvOptions>(bad).is_err(), "{bad}");
        }
        assert_eq!(toml::from_str::<CsvOptions>("").unwrap(), CsvOptions::default());
        let german =
            toml::from_str::<CsvOptions>("delimiter = \";\"\ndecimal = \",\"\nnull = \"NaN\"").unwrap();
        assert_eq!((german.delimiter, german.header_delimiter, german.decimal), (';', ';', ','));
    }
}

//! Lines of the long layout whose fields are chosen.

use crate::csv::CsvOptions;
use crate::output::{Output, Times};
use crate::{FormatError, Formatter, Strftime};
use ew_core::{Row, Zone};
use serde::Deserialize;
use std::io::Write;

/// One field of `fields`: a word of the header, a strftime template of the row's time, or `=` and a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Column {
    name: String,
    content: Content,
}

/// What stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Content {
    Timestamp,
    Point,
    Value,
    Unit,
    Quality,
    /// The row's time, or a part of it, in the job's zone.
    Time(Strftime),
    /// The same on each line.
    Text(String),
}

impl Column {
    /// Its name in the header, and in `names`: what `fields` says.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(name: String) -> Result<Column, String> {
        let content = match (name.as_str(), name.strip_prefix('=')) {
            ("timestamp", _) => Content::Timestamp,
            ("point", _) => Content::Point,
            ("value", _) => Content::Value,
            ("unit", _) => Content::Unit,
            ("quality", _) => Content::Quality,
            (_, Some(text)) => Content::Text(text.to_owned()),
            (template, None) if template.contains('%') => {
                Content::Time(Strftime::try_from(template.to_owned())?)
            }
            _ => {
                return Err(format!(
                    "{name:?} is no field; there are timestamp, point, value, unit and quality, a strftime template \
                     such as \"%Y%m%d\", and \"=text\" for a text"
                ));
            }
        };
        Ok(Column { name, content })
    }
}

/// One line per row.
pub(crate) struct Chosen<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    zone: &'a Zone,
    /// Each with the present time as its template has it.
    fields: Vec<(&'a Content, String)>,
    options: &'a CsvOptions,
    suffix: &'a str,
}

impl<'a, W: Write> Chosen<'a, W> {
    pub(crate) fn new(
        output: Output<W>,
        times: Times<'a>,
        zone: &'a Zone,
        fields: &'a [Column],
        (options, suffix): (&'a CsvOptions, &'a str),
    ) -> Chosen<'a, W> {
        let fields = fields.iter().map(|column| (&column.content, String::new())).collect();
        Chosen { output, times, zone, fields, options, suffix }
    }
}

impl<W: Write> Formatter for Chosen<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let is_new = self.times.step(&row)?;
        let (options, text) = (self.options, &mut self.output.text);
        for (at, (content, part)) in self.fields.iter_mut().enumerate() {
            if at > 0 {
                text.push(options.delimiter);
            }
            match content {
                Content::Timestamp => options.push_field(self.times.text(), text),
                Content::Point => options.push_text(options.shown(row.point), text),
                Content::Value => options.push_value(row.value, text),
                Content::Unit => options.push_text(options.word(row.unit), text),
                Content::Quality => options.push_text(options.word(row.quality.as_str()), text),
                Content::Time(template) => {
                    if is_new {
                        *part = self.zone.format(row.time, template.as_str());
                    }
                    options.push_field(part, text);
                }
                Content::Text(constant) => options.push_text(constant, text),
            }
        }
        text.push_str(options.line_ending.as_str());
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.output.text.push_str(self.suffix);
        self.output.flush()
    }
}

//! JSON lines: one object (RFC 8259) per row, each on its own line.

use crate::output::{Names, Output, Times, push_number};
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Row, Stamp};
use serde::Deserialize;
use std::io::Write;

const FORMAT: &str = "jsonl";

/// `[export.format.jsonl]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct JsonlOptions {
    /// Digits after the point; left out: the shortest text that reads back as the same number.
    pub decimals: Option<Decimals>,
    /// strftime in the job's zone; left out: RFC 3339 with its offset.
    pub timestamp_format: Option<Strftime>,
    /// Which end of its interval a row's timestamp is, where the job has intervals.
    pub stamp: Stamp,
}

/// `{"timestamp":"…","point":"…","value":12.5,"unit":"W","quality":"actual"}`, a null as `null`.
pub(crate) struct Jsonl<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    decimals: Option<Decimals>,
    /// The present timestamp, up to where the point comes.
    timestamp: String,
    /// The points, up to where the value comes.
    names: Names<String>,
}

impl Format for JsonlOptions {
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        Ok(Box::new(Jsonl::start(self, header, out)))
    }

    fn extension(&self) -> &'static str {
        "jsonl"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn name_and_version(&self) -> &'static str {
        "jsonl/1"
    }
}

impl<'a, W: Write> Jsonl<'a, W> {
    fn start(options: &'a JsonlOptions, header: &SliceHeader<'a>, out: W) -> Jsonl<'a, W> {
        Jsonl {
            output: Output::new(FORMAT, out),
            times: Times::new(FORMAT, header.zone, options.timestamp_format.as_ref()),
            decimals: options.decimals,
            timestamp: String::new(),
            names: Names::new(),
        }
    }
}

impl<W: Write> Formatter for Jsonl<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.turn(&row)? {
            self.names.restart();
            self.timestamp.clear();
            self.timestamp.push_str("{\"timestamp\":");
            push_string(self.times.text(), &mut self.timestamp);
            self.timestamp.push_str(",\"point\":");
        }
        let make = |point: &str| {
            let mut name = String::new();
            push_string(point, &mut name);
            name.push_str(",\"value\":");
            Ok::<_, FormatError>(name)
        };
        let Some(name) = self.names.next(row.point, make)? else {
            return Err(self.times.out_of_order(&row));
        };
        let text = &mut self.output.text;
        text.push_str(&self.timestamp);
        text.push_str(name);
        match row.value {
            Some(value) => push_number(value, self.decimals, text),
            None => text.push_str("null"),
        }
        text.push_str(",\"unit\":");
        push_string(row.unit, text);
        text.push_str(",\"quality\":\"");
        text.push_str(row.quality.as_str());
        text.push_str("\"}\n");
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.output.flush()
    }
}

fn push_string(text: &str, out: &mut String) {
    if text.bytes().all(|b| b >= b' ' && b != b'"' && b != b'\\') {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

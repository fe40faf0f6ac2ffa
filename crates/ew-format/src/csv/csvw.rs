//! How a CSV file is to be read, as a document of W3C's CSV on the Web (Metadata Vocabulary for Tabular Data).

use crate::csv::{CsvOptions, Layout, LineEnding, POINT, QUALITY, TIMESTAMP, UNIT, VALUE};
use crate::{Describe, SliceHeader, Units};
use serde_json::{Value, json};
use std::collections::HashSet;

impl Describe for CsvOptions {
    /// Keys are in order of the alphabet, so that the same slice gives the same bytes however a map keeps them.
    fn description(&self, header: &SliceHeader<'_>, name: &str, units: &Units) -> String {
        // A header that no dialect can say is passed over; columns have their titles here in any case.
        let is_foreign = self.header && self.header_delimiter != self.delimiter;
        let prefix = match self.prefix.is_empty() {
            true => 0,
            false => self.prefix.split('\n').count(),
        };
        let ends = match self.line_ending {
            // A prefix stands as it is written.
            LineEnding::Crlf if self.prefix.replace("\r\n", "").contains('\n') => json!(["\r\n", "\n"]),
            ending => json!(ending.as_str()),
        };
        let number = match self.decimal {
            '.' => json!("double"),
            // Such numbers have a fixed count of decimals, and readers take their mark of no double.
            decimal => json!({ "base": "decimal", "format": { "decimalChar": decimal } }),
        };
        let column = |name: &str, datatype: Value| json!({ "datatype": datatype, "name": variable(name), "titles": self.title(name) });
        // A strftime template says more than a format of theirs can.
        let time = if self.timestamp_format.is_some() { "string" } else { "dateTimeStamp" };
        let time = column(TIMESTAMP, json!(time));
        let value = |name: &str| {
            let mut column = column(name, number.clone());
            column["null"] = json!(self.null);
            column
        };
        let (columns, key) = match self.layout {
            Layout::Wide => {
                let point = |point: &str| {
                    let mut column = value(point);
                    // In schema.org's word for it, where all values have the same.
                    if let Some([unit]) =
                        units.get(point).map(|units| units.iter().collect::<Vec<_>>()).as_deref()
                        && !unit.is_empty()
                    {
                        column["schema:unitText"] = json!(unit);
                    }
                    column
                };
                let points = header.columns.iter().map(|name| point(name.as_str()));
                (std::iter::once(time).chain(points).collect::<Vec<_>>(), vec![TIMESTAMP])
            }
            Layout::Long => {
                let text = |name| column(name, json!("string"));
                (vec![time, text(POINT), value(VALUE), text(UNIT), text(QUALITY)], vec![TIMESTAMP, POINT])
            }
        };
        let mut document = json!({
            "@context": "http://www.w3.org/ns/csvw",
            "dialect": {
                "commentPrefix": null,
                "delimiter": self.delimiter,
                "header": self.header && !is_foreign,
                "lineTerminators": ends,
                "skipRows": prefix + usize::from(is_foreign),
                "trim": false,
            },
            "tableSchema": { "columns": columns },
            "url": encoded(name, "-._~"),
        });
        // Times by a template can be alike, such as those of the hour that comes twice in autumn, and so can two
        // points by `names`: then no column tells rows apart.
        let mut points = HashSet::new();
        let is_told_apart =
            self.layout == Layout::Wide || units.keys().all(|point| points.insert(self.title(point)));
        if self.timestamp_format.is_none() && is_told_apart {
            document["tableSchema"]["primaryKey"] = json!(key);
        }
        format!("{document:#}\n")
    }
}

/// A name as a variable of a URI template (RFC 6570, section 2.3), without what may not begin or part one. No two names
/// give the same.
fn variable(name: &str) -> String {
    encoded(name, "")
}

/// All but letters, digits and some others as their UTF-8 in per cent.
fn encoded(text: &str, plain: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match char::from(byte) {
            c if c.is_ascii_alphanumeric() || plain.contains(c) => encoded.push(c),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

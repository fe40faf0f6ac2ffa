//! XML 1.0, valid against `fixtures/data.dtd`:
//! `<data info="…"><entry timestamp="…"><value name="…">12.5</value></entry></data>`.

use crate::output::{Names, Output, Times, push_number};
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Row, Stamp};
use serde::Deserialize;
use std::io::Write;

const FORMAT: &str = "xml";

/// `[export.format.xml]`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct XmlOptions {
    /// Text for the `info` attribute of `data`.
    pub info: String,
    /// Each element on its own line, two spaces a level; never white space inside `value`.
    pub pretty_format: bool,
    /// Digits after the point; left out: the shortest text that reads back as the same number.
    pub decimals: Option<Decimals>,
    /// strftime in the job's zone; left out: RFC 3339 with its offset.
    pub timestamp_format: Option<Strftime>,
    /// Which end of its interval a row's timestamp is, where the job has intervals.
    pub stamp: Stamp,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Keys {
    info: String,
    pretty_format: bool,
    decimals: Option<Decimals>,
    timestamp_format: Option<Strftime>,
    stamp: Stamp,
}

impl TryFrom<Keys> for XmlOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<XmlOptions, String> {
        let Keys { info, pretty_format, decimals, timestamp_format, stamp } = keys;
        let template = timestamp_format.as_ref().map_or("", Strftime::as_str);
        for (key, text) in [("info", info.as_str()), ("timestamp_format", template)] {
            if let Some(character) = forbidden(text) {
                return Err(format!("{key} holds {character:?}, which XML 1.0 forbids"));
            }
        }
        Ok(XmlOptions { info, pretty_format, decimals, timestamp_format, stamp })
    }
}

/// One `entry` per timestamp, one `value` per number; a null has none.
pub(crate) struct Xml<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a XmlOptions,
    entry: Entry,
    /// The start tags of values.
    names: Names<String>,
}

/// How far the present `entry` is.
#[derive(Clone, Copy, PartialEq)]
enum Entry {
    /// There is none yet.
    Closed,
    /// Its start tag is written.
    Empty,
    /// It holds a value.
    Filled,
}

impl Format for XmlOptions {
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        Ok(Box::new(Xml::start(self, header, out)?))
    }

    fn extension(&self) -> &'static str {
        "xml"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn name_and_version(&self) -> &'static str {
        "xml/1"
    }
}

impl<'a, W: Write> Xml<'a, W> {
    fn start(options: &'a XmlOptions, header: &SliceHeader<'a>, out: W) -> Result<Xml<'a, W>, FormatError> {
        let times = Times::new(FORMAT, header.zone, options.timestamp_format.as_ref());
        let mut xml = Xml {
            output: Output::new(FORMAT, out),
            times,
            options,
            entry: Entry::Closed,
            names: Names::new(),
        };
        xml.output.text.push_str("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<data info=\"");
        push_escaped(&options.info, &mut xml.output.text);
        xml.output.text.push_str("\">");
        Ok(xml)
    }

    fn new_line(&mut self, indent: &str) {
        if self.options.pretty_format {
            self.output.text.push('\n');
            self.output.text.push_str(indent);
        }
    }

    fn close_entry(&mut self) {
        match self.entry {
            Entry::Closed => return,
            Entry::Empty => {}
            Entry::Filled => self.new_line("  "),
        }
        self.output.text.push_str("</entry>");
        self.entry = Entry::Closed;
    }
}

impl<W: Write> Formatter for Xml<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.turn(&row)? {
            self.names.restart();
            self.close_entry();
            self.new_line("  ");
            self.output.text.push_str("<entry timestamp=\"");
            push_escaped(self.times.text(), &mut self.output.text);
            self.output.text.push_str("\">");
            self.entry = Entry::Empty;
        }
        let pretty_format = self.options.pretty_format;
        let Some(tag) = self.names.next(row.point, |point| value_tag(point, &row, pretty_format))? else {
            return Err(self.times.out_of_order(&row));
        };
        if let Some(value) = row.value {
            let text = &mut self.output.text;
            text.push_str(tag);
            push_number(value, self.options.decimals, text);
            text.push_str("</value>");
            self.entry = Entry::Filled;
        }
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close_entry();
        self.new_line("");
        self.output.text.push_str("</data>\n");
        self.output.flush()
    }
}

/// The start tag of a value, on a line of its own where asked for.
fn value_tag(point: &str, row: &Row<'_>, pretty_format: bool) -> Result<String, FormatError> {
    if let Some(character) = forbidden(point) {
        let (point, time) = (point.to_owned(), row.time);
        return Err(FormatError::Character { format: FORMAT, point, time, character });
    }
    let mut tag = String::from(if pretty_format { "\n    " } else { "" });
    tag.push_str("<value name=\"");
    push_escaped(point, &mut tag);
    tag.push_str("\">");
    Ok(tag)
}

/// The first character outside the `Char` production of XML 1.0, section 2.2.
fn forbidden(text: &str) -> Option<char> {
    text.chars().find(
        |c| !matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..),
    )
}

/// A text that XML 1.0 can hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct XmlText(String);

impl XmlText {
    /// One that is known to be right.
    pub(crate) fn from_static(text: &'static str) -> XmlText {
        XmlText(text.to_owned())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for XmlText {
    type Error = String;

    fn try_from(text: String) -> Result<XmlText, String> {
        match forbidden(&text) {
            Some(character) => Err(format!("{text:?} holds {character:?}, which XML 1.0 forbids")),
            None => Ok(XmlText(text)),
        }
    }
}

/// Text of an attribute in double quotes. White space that a reader would make a plain space is written
/// as a character reference (XML 1.0, section 3.3.3).
pub(crate) fn push_escaped(text: &str, out: &mut String) {
    for piece in quick_xml::escape::escape(text).split_inclusive(['\t', '\n', '\r']) {
        let reference = match piece.as_bytes().last() {
            Some(b'\t') => "&#9;",
            Some(b'\n') => "&#10;",
            Some(b'\r') => "&#13;",
            _ => {
                out.push_str(piece);
                continue;
            }
        };
        out.push_str(&piece[..piece.len() - 1]);
        out.push_str(reference);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_what_xml_forbids() {
        for bad in ['\0', '\u{1}', '\u{b}', '\u{1f}', '\u{fffe}', '\u{ffff}'] {
            assert_eq!(forbidden(&format!("a{bad}b")), Some(bad));
        }
        assert_eq!(forbidden("a\t\r\nb\u{7f}\u{85}ü\u{d7ff}\u{e000}\u{fffd}😀"), None);
    }

    #[test]
    fn options_are_checked() {
        assert!(toml::from_str::<XmlOptions>("info = \"a\\u0001\"").is_err());
        assert!(toml::from_str::<XmlOptions>("timestamp_format = \"%Y\\uFFFE\"").is_err());
        assert!(toml::from_str::<XmlOptions>("prety_format = true").is_err());
        assert_eq!(toml::from_str::<XmlOptions>("").unwrap(), XmlOptions::default());
    }
}

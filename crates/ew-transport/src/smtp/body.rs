//! The text beside the attachment.

use crate::Parcel;
use ew_core::{NameFields, NameTemplate};
use lettre::message::SinglePart;
use serde::Deserialize;

/// What kind of text it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyFormat {
    /// As it stands.
    #[default]
    Plain,
    /// HTML; what stands in its fields is escaped.
    Html,
}

/// `body`, `body_format` and `summary`.
#[derive(Debug, Clone, PartialEq)]
pub struct Body {
    /// The text.
    pub text: NameTemplate,
    /// What kind of text.
    pub format: BodyFormat,
    /// Whether a table follows of what is attached.
    pub summary: bool,
}

impl Body {
    /// A function of the options and the slice, as all of a mail.
    pub(crate) fn part(&self, parcel: &Parcel<'_>) -> SinglePart {
        let lines = if self.summary { summary(parcel) } else { Vec::new() };
        match self.format {
            BodyFormat::Plain => SinglePart::plain(plain(&self.text.expand(&parcel.fields), &lines)),
            BodyFormat::Html => SinglePart::html(html(&self.text, &parcel.fields, &lines)),
        }
    }
}

/// What a transporter knows of a file; no sample.
fn summary(parcel: &Parcel<'_>) -> Vec<(&'static str, String)> {
    let fields = &parcel.fields;
    let mut lines = vec![
        ("file", parcel.name.to_owned()),
        ("from", fields.zone.rfc3339(fields.window.start)),
        ("to", fields.zone.rfc3339(fields.window.end)),
    ];
    if fields.rev > 0 {
        lines.push(("revision", fields.rev.to_string()));
    }
    if let Some(rows) = parcel.rows {
        lines.push(("rows", rows.to_string()));
    }
    lines.push(("bytes", parcel.bytes.to_string()));
    lines.push(("sha256", parcel.sha256.to_owned()));
    lines
}

fn plain(text: &str, lines: &[(&str, String)]) -> String {
    if lines.is_empty() {
        return text.to_owned();
    }
    let table: String = lines.iter().map(|(what, value)| format!("{what:<8}  {value}\r\n")).collect();
    format!("{text}\r\n\r\n{table}")
}

fn html(text: &NameTemplate, fields: &NameFields<'_>, lines: &[(&str, String)]) -> String {
    let [job, site, ext] = [fields.job, fields.site, fields.ext].map(escaped);
    let text = text.expand(&NameFields { job: &job, site: &site, ext: &ext, ..*fields });
    let row = |(what, value): &(&str, String)| {
        format!("<tr><th align=\"left\">{what}</th><td>{}</td></tr>\r\n", escaped(value))
    };
    let table = match lines.is_empty() {
        true => String::new(),
        false => format!("<table>\r\n{}</table>\r\n", lines.iter().map(row).collect::<String>()),
    };
    format!(
        "<!DOCTYPE html>\r\n<html><head><meta charset=\"utf-8\"><title>{job}</title></head><body>\r\n\
         <div>{text}</div>\r\n{table}</body></html>\r\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

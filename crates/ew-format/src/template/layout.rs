//! Layouts: what a receiver reads, as templates. Those of known receivers are shipped with the program.

use crate::options::{Strftime, check_null};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// The longest file of a layout, bytes.
pub(super) const LAYOUT_BYTES_MAX: u64 = 256 * 1024;

/// How many columns a layout without a limit of its own has at most: a line is held in memory until it is whole.
const COLUMNS_MAX: usize = 10_000;

/// A layout's file.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Layout {
    /// What `row` is written for.
    pub(super) per: Per,
    /// `{ext}` of a file name, where the job has none.
    extension: Extension,
    /// What becomes of printed text.
    #[serde(default)]
    pub(super) escape: Escape,
    /// Whether times are in UTC whatever the job's zone.
    #[serde(default)]
    pub(super) utc: bool,
    /// strftime of a time that is printed as it is; left out: RFC 3339.
    pub(super) timestamp_format: Option<Strftime>,
    /// What stands for a null.
    #[serde(default)]
    null: Null,
    /// How many columns there may be.
    max_columns: Option<usize>,
    /// Of `values`, what a job must say.
    #[serde(default)]
    pub(super) needs: Vec<String>,
    /// What a job may say of itself, with what stands there where it does not.
    #[serde(default)]
    pub(super) values: Scalars,
    /// What each of a job's `meters` must say.
    #[serde(default)]
    pub(super) meter_needs: Vec<String>,
    /// What a meter may say.
    #[serde(default)]
    pub(super) meter: Scalars,
    #[serde(default)]
    header: String,
    #[serde(default)]
    point_start: String,
    row: String,
    #[serde(default)]
    point_end: String,
    #[serde(default)]
    footer: String,
}

impl Layout {
    /// Reads one; the error says what is wrong, and on which line where that is known.
    pub(super) fn parse(text: &str) -> Result<Layout, String> {
        let layout: Layout = toml::from_str(text).map_err(|e| match e.span() {
            Some(span) => format!("line {}: {}", 1 + text[..span.start].matches('\n').count(), e.message()),
            None => e.message().to_owned(),
        })?;
        for (name, text) in [("point_start", &layout.point_start), ("point_end", &layout.point_end)] {
            if layout.per != Per::Point && !text.is_empty() {
                return Err(format!("{name} goes with per = \"point\" only"));
            }
        }
        Ok(layout)
    }

    pub(super) fn extension(&self) -> &str {
        &self.extension.0
    }

    pub(super) fn null(&self) -> &str {
        &self.null.0
    }

    pub(super) fn columns_max(&self) -> usize {
        self.max_columns.unwrap_or(COLUMNS_MAX).min(COLUMNS_MAX)
    }

    /// The text of a part.
    pub(super) fn part(&self, part: Part) -> &str {
        match part {
            Part::Header => &self.header,
            Part::PointStart => &self.point_start,
            Part::Row => &self.row,
            Part::PointEnd => &self.point_end,
            Part::Footer => &self.footer,
        }
    }
}

/// What one `row` is written for, and so the order of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Per {
    /// Each reading, by time.
    Reading,
    /// Each timestamp, with a cell for every column.
    Timestamp,
    /// Each reading, one point after the other.
    Point,
}

/// A template of a layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// Before everything else.
    Header,
    /// Before the rows of a point.
    PointStart,
    /// See [`Per`].
    Row,
    /// After the rows of a point.
    PointEnd,
    /// After everything else.
    Footer,
}

impl Part {
    pub(super) const ALL: [Part; 5] =
        [Part::Header, Part::PointStart, Part::Row, Part::PointEnd, Part::Footer];

    /// Its key in a layout.
    pub(super) fn name(self) -> &'static str {
        match self {
            Part::Header => "header",
            Part::PointStart => "point_start",
            Part::Row => "row",
            Part::PointEnd => "point_end",
            Part::Footer => "footer",
        }
    }
}

/// What becomes of text where it is printed, so that the receiver reads it as text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Escape {
    /// Nothing.
    #[default]
    None,
    /// Quotes around what needs them, RFC 4180.
    Csv,
    /// As in an element or an attribute of XML 1.0; what it forbids is refused.
    Xml,
    /// As in a form, `application/x-www-form-urlencoded`.
    Form,
}

/// Texts and numbers by name.
pub(super) type Scalars = BTreeMap<String, Scalar>;

/// A text or a number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a text or a number")]
pub(super) enum Scalar {
    Whole(i64),
    Number(f64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scalar::Whole(number) => number.fmt(f),
            Scalar::Number(number) => number.fmt(f),
            Scalar::Text(text) => f.write_str(text),
        }
    }
}

/// What stands for a null: nothing that reads as a number.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Null(pub(super) String);

impl TryFrom<String> for Null {
    type Error = String;

    fn try_from(null: String) -> Result<Null, String> {
        check_null(&null, '.')?;
        Ok(Null(null))
    }
}

/// The end of a file's name, 1 to 16 ASCII letters, digits, `.`, `-` and `_`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Extension(pub(super) String);

impl TryFrom<String> for Extension {
    type Error = String;

    fn try_from(text: String) -> Result<Extension, String> {
        let is_known = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
        match (1..=16).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_known) {
            true => Ok(Extension(text)),
            false => Err(format!(
                "the extension {text:?} is not 1 to 16 letters, digits, \".\", \"-\" and \"_\", without a dot before it"
            )),
        }
    }
}

/// Makes the enum of the shipped layouts, so that a new one is its file and one line.
macro_rules! shipped {
    ($($name:ident $file:literal,)*) => {
        /// A layout that is shipped.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum Shipped {
            $($name,)*
        }

        impl Shipped {
            #[cfg(test)]
            pub(super) const ALL: &[Shipped] = &[$(Shipped::$name,)*];

            /// The name of its file and what stands in it.
            pub(super) fn file(self) -> (&'static str, &'static str) {
                match self {
                    $(Shipped::$name => ($file, include_str!(concat!("shipped/", $file, ".toml"))),)*
                }
            }
        }
    };
}

shipped! {
    Retx "retx",
    EnernocV1 "enernoc_v1",
    EnernocV2 "enernoc_v2",
    Ewebconnect "ewebconnect",
    Powerweb "powerweb",
    Sie "sie",
    Infotility "infotility",
    Ebid "ebid",
    EnerwiseRecorder "enerwise_recorder",
    Fsg "fsg",
    Tcs "tcs",
}

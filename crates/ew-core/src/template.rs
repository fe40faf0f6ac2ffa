//! Names of files: a function of the slice, never of the wall clock, the attempt or the machine.

use crate::{Window, Zone};
use serde::Deserialize;
use std::fmt;
use std::str::FromStr;

/// The longest name, bytes: a temporary name adds a few more, and file systems end at 255.
const NAME_BYTES_MAX: usize = 240;

/// A file-name template such as `{job}_{start_utc:%Y%m%dT%H%M%SZ}{rev}.{ext}`; `{{` and `}}` are braces.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct NameTemplate {
    text: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Job,
    Site,
    Start(String),
    StartUtc(String),
    End(String),
    Rev,
    Seq,
    Count,
    Ext,
}

/// What a name is made of.
#[derive(Debug, Clone, Copy)]
pub struct NameFields<'a> {
    /// The job's name.
    pub job: &'a str,
    /// The site's name.
    pub site: &'a str,
    /// The job's zone, for `{start}` and `{end}`.
    pub zone: &'a Zone,
    /// The slice's window.
    pub window: Window,
    /// The revision; 0 is the first delivery.
    pub rev: u32,
    /// The slice's as_of_seq.
    pub seq: i64,
    /// The slice's number within its job.
    pub count: i64,
    /// csv, xml, jsonl …, with `.gz` or `.zst` when compressed.
    pub ext: &'a str,
}

/// Why a rendered name cannot be a file's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// It would leave its directory, hide, or break a line.
    #[error("the name {0:?} is empty, starts with a dot, or holds a slash or a control character")]
    Unusable(String),
    /// Too long for file systems.
    #[error("the name {0:?} is longer than {NAME_BYTES_MAX} bytes")]
    TooLong(String),
}

impl NameTemplate {
    /// The template of the contract.
    pub const DEFAULT: &'static str = "{job}_{start_utc:%Y%m%dT%H%M%SZ}{rev}.{ext}";

    /// The name of a slice.
    pub fn render(&self, fields: &NameFields<'_>) -> Result<String, TemplateError> {
        let name = self.expand(fields);
        if name.is_empty() || name.starts_with('.') || name.chars().any(|c| c == '/' || c.is_control()) {
            return Err(TemplateError::Unusable(name));
        }
        if name.len() > NAME_BYTES_MAX {
            return Err(TemplateError::TooLong(name));
        }
        Ok(name)
    }

    /// The text with its fields filled in, be it a name or not.
    pub fn expand(&self, fields: &NameFields<'_>) -> String {
        let mut name = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => name.push_str(text),
                Piece::Job => name.push_str(fields.job),
                Piece::Site => name.push_str(fields.site),
                Piece::Start(format) => name.push_str(&fields.zone.format(fields.window.start, format)),
                Piece::StartUtc(format) => name.push_str(&Zone::utc().format(fields.window.start, format)),
                Piece::End(format) => name.push_str(&fields.zone.format(fields.window.end, format)),
                Piece::Rev if fields.rev == 0 => {}
                Piece::Rev => name.push_str(&format!("_r{}", fields.rev)),
                Piece::Seq => name.push_str(&fields.seq.to_string()),
                Piece::Count => name.push_str(&fields.count.to_string()),
                Piece::Ext => name.push_str(fields.ext),
            }
        }
        name
    }

    /// Whether the name tells revisions apart.
    pub fn has_rev(&self) -> bool {
        self.pieces.contains(&Piece::Rev)
    }

    /// Whether job, window and revision alone make the name: it needs no number that a ledger gave.
    pub fn needs_no_ledger(&self) -> bool {
        !self.pieces.iter().any(|piece| matches!(piece, Piece::Seq | Piece::Count))
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl Default for NameTemplate {
    fn default() -> NameTemplate {
        NameTemplate::DEFAULT.parse().unwrap_or(NameTemplate { text: String::new(), pieces: Vec::new() })
    }
}

const FIELDS: &str = "{job} {site} {start:…} {end:…} {start_utc:…} {rev} {seq} {count} {ext}";

impl FromStr for NameTemplate {
    type Err = String;

    fn from_str(text: &str) -> Result<NameTemplate, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let doubled = ["{{", "}}"].iter().find(|brace| rest[at..].starts_with(**brace));
            if let Some(brace) = doubled {
                literal.push_str(&brace[..1]);
                rest = &rest[at + 2..];
                continue;
            }
            let Some(close) = rest[at..].find('}').filter(|_| rest[at..].starts_with('{')) else {
                return Err(format!("{text:?} holds a single brace; write {{{{ or }}}} for one that stays"));
            };
            if !literal.is_empty() {
                pieces.push(Piece::Literal(std::mem::take(&mut literal)));
            }
            pieces.push(field(&rest[at + 1..at + close])?);
            rest = &rest[at + close + 1..];
        }
        literal.push_str(rest);
        if !literal.is_empty() {
            pieces.push(Piece::Literal(literal));
        }
        Ok(NameTemplate { text: text.to_owned(), pieces })
    }
}

fn field(inside: &str) -> Result<Piece, String> {
    let (name, format) = inside.split_once(':').map_or((inside, None), |(name, format)| (name, Some(format)));
    let strftime = || {
        let format = format.filter(|f| !f.is_empty());
        let format = format.ok_or_else(|| format!("{{{name}}} needs a strftime, as in {{{name}:%Y%m%d}}"))?;
        Zone::check_strftime(format)?;
        Ok::<String, String>(format.to_owned())
    };
    let piece = match name {
        "start" => return strftime().map(Piece::Start),
        "start_utc" => return strftime().map(Piece::StartUtc),
        "end" => return strftime().map(Piece::End),
        "job" => Piece::Job,
        "site" => Piece::Site,
        "rev" => Piece::Rev,
        "seq" => Piece::Seq,
        "count" => Piece::Count,
        "ext" => Piece::Ext,
        _ => return Err(format!("{{{name}}} is not a field of file names; there are {FIELDS}")),
    };
    match format {
        None => Ok(piece),
        Some(_) => Err(format!("{{{name}}} takes no format")),
    }
}

impl TryFrom<String> for NameTemplate {
    type Error = String;

    fn try_from(text: String) -> Result<NameTemplate, String> {
        text.parse()
    }
}

impl fmt::Display for NameTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// `a.csv` with `_2` becomes `a_2.csv`: the tail goes before the extension.
pub fn insert_before_extension(name: &str, tail: &str, ext: &str) -> String {
    match name.strip_suffix(ext).and_then(|stem| stem.strip_suffix('.')) {
        Some(stem) => format!("{stem}{tail}.{ext}"),
        None => format!("{name}{tail}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(template: &str, rev: u32) -> Result<String, String> {
        let zone: Zone = "Europe/Zurich".parse().unwrap();
        let at = |s: &str| s.parse().unwrap();
        let fields = NameFields {
            job: "utility",
            site: "hq",
            zone: &zone,
            window: Window::new(at("2023-11-14T22:15:00Z"), at("2023-11-14T22:30:00Z")),
            rev,
            seq: 42,
            count: 7,
            ext: "csv",
        };
        template.parse::<NameTemplate>()?.render(&fields).map_err(|e| e.to_string())
    }

    #[test]
    fn renders_every_field() {
        assert_eq!(name(NameTemplate::DEFAULT, 0).unwrap(), "utility_20231114T221500Z.csv");
        assert_eq!(name(NameTemplate::DEFAULT, 2).unwrap(), "utility_20231114T221500Z_r2.csv");
        assert_eq!(
            name("{site}-{start:%H%M%z}-{end:%H%M}-{seq}-{count}{{x}}.{ext}", 0).unwrap(),
            "hq-2315+0100-2330-42-7{x}.csv"
        );
    }

    #[test]
    fn refuses_what_cannot_be_a_name() {
        for bad in [
            "{jop}",
            "{start}",
            "{start:%Q}",
            "{job",
            "job}",
            "{job:%Y}",
            "a/{job}",
            "{start:%D}",
            "",
            ".{job}",
        ] {
            assert!(name(bad, 0).is_err(), "{bad:?}");
        }
        assert!(name(&"x".repeat(241), 0).is_err());
    }

    #[test]
    fn clash_goes_before_the_extension() {
        assert_eq!(insert_before_extension("a.csv.gz", "_2", "csv.gz"), "a_2.csv.gz");
        assert_eq!(insert_before_extension("a", "_2", "csv"), "a_2");
    }
}

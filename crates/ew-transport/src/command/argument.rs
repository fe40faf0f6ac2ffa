//! An argument of a command, with the fields of file names and a few more.

use crate::Parcel;
use ew_core::NameTemplate;
use serde::Deserialize;

/// What a file name has no field for.
const FIELDS: &[(&str, Field)] = &[
    ("{name}", Field::Name),
    ("{file}", Field::File),
    ("{bytes}", Field::Bytes),
    ("{sha256}", Field::Sha256),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Name,
    File,
    Bytes,
    Sha256,
}

#[derive(Debug, Clone, PartialEq)]
enum Piece {
    Field(Field),
    Text(NameTemplate),
}

/// An argument of a command.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
pub struct Argument {
    text: String,
    pieces: Vec<Piece>,
}

impl Argument {
    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The argument for a parcel, whose file has this path.
    pub(crate) fn expand(&self, parcel: &Parcel<'_>, file: &str) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(template) => text.push_str(&template.expand(&parcel.fields)),
                Piece::Field(Field::Name) => text.push_str(parcel.name),
                Piece::Field(Field::File) => text.push_str(file),
                Piece::Field(Field::Bytes) => text.push_str(&parcel.bytes.to_string()),
                Piece::Field(Field::Sha256) => text.push_str(parcel.sha256),
            }
        }
        text
    }
}

impl TryFrom<String> for Argument {
    type Error = String;

    fn try_from(text: String) -> Result<Argument, String> {
        let (mut pieces, mut from, mut at) = (Vec::new(), 0, 0);
        let take = |text: &str, pieces: &mut Vec<Piece>| {
            if !text.is_empty() {
                pieces.push(Piece::Text(text.parse()?));
            }
            Ok::<(), String>(())
        };
        while let Some(brace) = text[at..].find('{') {
            let brace = at + brace;
            let field = FIELDS.iter().find(|(name, _)| text[brace..].starts_with(name));
            match field {
                // Doubled, a brace stands for itself.
                _ if text[brace..].starts_with("{{") => at = brace + 2,
                None => at = brace + 1,
                Some((name, field)) => {
                    take(&text[from..brace], &mut pieces)?;
                    pieces.push(Piece::Field(*field));
                    (from, at) = (brace + name.len(), brace + name.len());
                }
            }
        }
        take(&text[from..], &mut pieces)
            .map_err(|e| format!("{e}, and for a command {{name}} {{file}} {{bytes}} {{sha256}}"))?;
        if text.contains('\0') {
            return Err(format!("{text:?} is no argument"));
        }
        Ok(Argument { text, pieces })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mark, Steps};
    use ew_core::{NameFields, Timestamp, Window, Zone};
    use std::path::Path;

    #[test]
    fn fields_are_filled_in() {
        let zone = Zone::utc();
        let window = Window::new(Timestamp::from_secs(1_700_000_000), Timestamp::from_secs(1_700_000_900));
        let fields =
            NameFields { job: "u", site: "hq", zone: &zone, window, rev: 0, seq: 7, count: 1, ext: "csv" };
        let parcel = Parcel {
            name: "{job} a.csv",
            file: Path::new("/spool/1"),
            bytes: 12,
            sha256: "ab",
            is_checked: false,
            rows: Some(1),
            sent_before: false,
            was_whole: false,
            earlier: None,
            may_replace: false,
            reached: &[],
            fields,
            mark: Mark::NONE,
            steps: Steps::NONE,
        };
        for (argument, wanted) in [
            ("", ""),
            ("plain", "plain"),
            ("{name}", "{job} a.csv"),
            ("in/{name}:{bytes}:{sha256}:{file}", "in/{job} a.csv:12:ab:/spool/1"),
            ("{job}-{site}-{start_utc:%Y}-{seq}.{ext}", "u-hq-2023-7.csv"),
            ("{{name}}", "{name}"),
            ("${{x}} {name}", "${x} {job} a.csv"),
        ] {
            let argument = Argument::try_from(argument.to_owned()).unwrap();
            assert_eq!(argument.expand(&parcel, "/spool/1"), wanted);
        }
        for bad in ["{nam}", "a{", "}", "{name:x}", "a\0"] {
            assert!(Argument::try_from(bad.to_owned()).is_err(), "{bad}");
        }
    }
}

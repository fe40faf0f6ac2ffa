//! The texts that a configuration is read from, one after the other: a place counts through all of them.

use crate::error::ConfigError;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The configuration file and those that it names.
pub(crate) struct Texts {
    file: PathBuf,
    text: String,
    others: Vec<(PathBuf, String)>,
}

impl Texts {
    pub(crate) fn new(file: &Path, text: &str) -> Texts {
        Texts { file: file.to_owned(), text: text.to_owned(), others: Vec::new() }
    }

    pub(crate) fn push(&mut self, file: PathBuf, text: String) {
        self.others.push((file, text));
    }

    /// The configuration file.
    pub(crate) fn file(&self) -> &Path {
        &self.file
    }

    /// Its text.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The other texts, each with the place where it begins.
    pub(crate) fn others(&self) -> impl Iterator<Item = (usize, &str)> {
        self.others.iter().scan(self.text.len() + 1, |next, (_, text)| {
            let base = *next;
            *next += text.len() + 1;
            Some((base, text.as_str()))
        })
    }

    /// An error in whichever of them its place lies.
    pub(crate) fn error(&self, error: &toml::de::Error) -> ConfigError {
        self.at(error.span().unwrap_or(0..0), error.message())
    }

    /// The same with a place and a message.
    pub(crate) fn at(&self, span: Range<usize>, message: &str) -> ConfigError {
        let files = self.others.iter().map(|(file, _)| file);
        let lies_in = self.others().zip(files).filter(|((base, _), _)| *base <= span.start).last();
        match lies_in {
            Some(((base, text), file)) => {
                let own = span.start - base..span.end.saturating_sub(base);
                ConfigError::from_toml_at(file, text, own, message)
            }
            None => ConfigError::from_toml_at(&self.file, &self.text, span, message),
        }
    }
}

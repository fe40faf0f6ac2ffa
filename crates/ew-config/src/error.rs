//! What is wrong with a configuration, and where.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A bad configuration. Always exit code 78.
#[derive(Debug)]
pub enum ConfigError {
    /// There is none.
    NotFound {
        /// Where it was looked for.
        places: Vec<PathBuf>,
    },
    /// It cannot be read.
    Read {
        /// The file.
        file: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Something in it is wrong that has no one place.
    In {
        /// The file.
        file: PathBuf,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
    /// Something in it is wrong.
    At {
        /// The file.
        file: PathBuf,
        /// Line and column, from 1; the line's text; how many characters are marked.
        place: Place,
        /// What is wrong.
        message: String,
        /// What to do.
        hint: Option<String>,
    },
}

/// A place in the text of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    /// The text of the line.
    pub text: String,
    /// How many characters are marked, at least 1.
    pub width: usize,
}

impl Place {
    fn of(text: &str, span: Range<usize>) -> Place {
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_text = text[line_start..].lines().next().unwrap_or("");
        let column = text[line_start..start].chars().count() + 1;
        let marked = text.get(start..span.end).map_or(1, |s| s.lines().next().unwrap_or("").chars().count());
        let width = marked.min((line_text.chars().count() + 1).saturating_sub(column)).max(1);
        Place { line: text[..start].matches('\n').count() + 1, column, text: line_text.to_owned(), width }
    }
}

impl ConfigError {
    pub(crate) fn at(file: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let place = Place::of(text, span);
        ConfigError::At { file: file.to_owned(), place, message: message.into(), hint: None }
    }

    /// An error at the first place where a quoted name stands, or at none.
    pub(crate) fn about(
        file: &Path,
        text: &str,
        name: &str,
        message: String,
        hint: Option<String>,
    ) -> ConfigError {
        let quoted = format!("{name:?}");
        let file = file.to_owned();
        match text.find(&quoted) {
            Some(at) => {
                ConfigError::At { file, place: Place::of(text, at..at + quoted.len()), message, hint }
            }
            None => ConfigError::In { file, message, hint },
        }
    }

    pub(crate) fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        let (message, hint) = reword(error.message());
        let place = Place::of(text, error.span().unwrap_or(0..0));
        ConfigError::At { file: file.to_owned(), place, message, hint }
    }

    /// What to do about it.
    pub fn hint(&self) -> Option<String> {
        match self {
            ConfigError::NotFound { .. } => {
                Some("name one with --config FILE or $EW_CONFIG; fixtures/ew.toml shows every key".into())
            }
            ConfigError::Read { .. } => None,
            ConfigError::In { hint, .. } | ConfigError::At { hint, .. } => hint.clone(),
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ConfigError::NotFound { places } => {
                let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
                write!(f, "there is no configuration; looked for {}", places.join(", "))
            }
            ConfigError::Read { file, source } => {
                write!(f, "cannot read the configuration {}: {source}", file.display())
            }
            ConfigError::In { file, message, .. } => write!(f, "{}: {message}", file.display()),
            ConfigError::At { file, place, message, .. } => {
                let number = place.line.to_string();
                let margin = " ".repeat(number.len());
                writeln!(f, "{}:{}:{}: {message}", file.display(), place.line, place.column)?;
                writeln!(f, "{margin} |")?;
                writeln!(f, "{number} | {}", place.text)?;
                let indent: String = place
                    .text
                    .chars()
                    .take(place.column - 1)
                    .map(|c| if c == '\t' { c } else { ' ' })
                    .collect();
                write!(f, "{margin} | {indent}{}", "^".repeat(place.width))
            }
        }
    }
}

impl std::error::Error for ConfigError {}

/// Serde's words in ours, and the nearest of the names that it expected.
fn reword(message: &str) -> (String, Option<String>) {
    let message = message.trim_end();
    if message.starts_with("wanted exactly 1 element") {
        return ("exactly one kind must stand here".into(), None);
    }
    let Some((what, rest)) = message.split_once(" `") else { return (message.into(), None) };
    let noun = match what {
        "unknown field" => "key",
        "unknown variant" => "name",
        "missing field" => {
            return (format!("the key `{rest}").replace("``", "`") + " is missing", None);
        }
        _ => return (message.into(), None),
    };
    let Some((written, expected)) = rest.split_once('`') else { return (message.into(), None) };
    let known: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::osa_distance(written, name), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    let hint = match nearest {
        Some((_, name)) => Some(format!("did you mean `{name}`?")),
        None if known.is_empty() => None,
        None => Some(format!("there are: {}", known.join(" "))),
    };
    (format!("unknown {noun} `{written}`"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_nearest_name() {
        let (message, hint) = reword("unknown field `pont`, expected one of `host`, `port`, `user`");
        assert_eq!((message.as_str(), hint.as_deref()), ("unknown key `pont`", Some("did you mean `port`?")));
        let (message, hint) = reword("unknown variant `parquet`, expected `csv` or `xml`");
        assert_eq!(
            (message.as_str(), hint.as_deref()),
            ("unknown name `parquet`", Some("there are: csv xml"))
        );
        assert_eq!(reword("missing field `host`").0, "the key `host` is missing");
    }

    #[test]
    fn the_caret_stands_below_the_text() {
        let text = "a = 1\n\tport = 99999\n";
        let error = ConfigError::at(Path::new("ew.toml"), text, 14..19, "too large");
        assert_eq!(error.to_string(), "ew.toml:2:9: too large\n  |\n2 | \tport = 99999\n  | \t       ^^^^^");
    }
}

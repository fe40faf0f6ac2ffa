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
    /// The line that a span begins on. What stands after a key that is, or looks like, a secret's is not kept;
    /// nor, with `key_is_unknown`, what stands after any key, for it may be a secret's with a slip in its name.
    fn of(text: &str, span: Range<usize>, key_is_unknown: bool) -> Place {
        let start = span.start.min(text.len());
        let line_start = text[..start].rfind('\n').map_or(0, |at| at + 1);
        let line_text = &shown(text[line_start..].lines().next().unwrap_or(""), key_is_unknown);
        let column = (text[line_start..start].chars().count() + 1).min(line_text.chars().count().max(1));
        let marked = text.get(start..span.end).map_or(1, |s| s.lines().next().unwrap_or("").chars().count());
        let width = marked.min((line_text.chars().count() + 1).saturating_sub(column)).max(1);
        Place { line: text[..start].matches('\n').count() + 1, column, text: line_text.to_owned(), width }
    }
}

impl ConfigError {
    pub(crate) fn at(file: &Path, text: &str, span: Range<usize>, message: impl Into<String>) -> ConfigError {
        let place = Place::of(text, span, false);
        ConfigError::At { file: file.to_owned(), place, message: message.into(), hint: None }
    }

    /// The same with what to do.
    pub(crate) fn with_hint(mut self, to_do: Option<String>) -> ConfigError {
        if let ConfigError::In { hint, .. } | ConfigError::At { hint, .. } = &mut self {
            *hint = to_do;
        }
        self
    }

    /// An error at the first place where a quoted name stands, or at none.
    pub(crate) fn about(
        file: &Path,
        text: &str,
        name: &str,
        message: String,
        hint: Option<String>,
    ) -> ConfigError {
        ConfigError::about_from(0, file, text, name, message, hint)
    }

    /// The same for a name that stands in a table: the first place from there on.
    pub(crate) fn about_from(
        from: usize,
        file: &Path,
        text: &str,
        name: &str,
        message: String,
        hint: Option<String>,
    ) -> ConfigError {
        let quoted = format!("{name:?}");
        let file = file.to_owned();
        match text.get(from..).and_then(|rest| rest.find(&quoted)).map(|at| from + at) {
            Some(at) => {
                ConfigError::At { file, place: Place::of(text, at..at + quoted.len(), false), message, hint }
            }
            None => ConfigError::In { file, message, hint },
        }
    }

    pub(crate) fn from_toml(file: &Path, text: &str, error: &toml::de::Error) -> ConfigError {
        ConfigError::from_toml_at(file, text, error.span().unwrap_or(0..0), error.message())
    }

    /// The same where the place is not the error's own.
    pub(crate) fn from_toml_at(file: &Path, text: &str, span: Range<usize>, message: &str) -> ConfigError {
        let (message, hint) = reword(message, text.get(span.clone()).unwrap_or(""));
        let place = Place::of(text, span, message.starts_with("unknown key"));
        // Serde repeats the value that it did not expect.
        if let (true, Some((_, rest))) = (place.text.ends_with(HIDDEN), message.rsplit_once(" stands where "))
        {
            let message = format!("the value is not {}", rest.trim_end_matches(" should"));
            let hint = Some("a secret is a string in quotes, or { file = … } and the like".to_owned());
            return ConfigError::At { file: file.to_owned(), place, message, hint };
        }
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

/// Stands for what is not shown.
pub(crate) const HIDDEN: &str = "…";

/// The keys whose values are secrets.
const SECRET_KEYS: [&str; 9] = [
    "community",
    "password",
    "auth_password",
    "priv_password",
    "key_password",
    "shared_secret",
    "enable_password",
    "access_key_id",
    "session_token",
];

/// A line as far as it may be shown.
fn shown(line: &str, key_is_unknown: bool) -> String {
    let mut from = 0;
    while let Some(at) = line[from..].find('=') {
        let end = from + at;
        let key =
            line[from..end].rsplit(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | ' ' | '"')));
        let key = key.map(|word| word.trim().trim_matches('"')).find(|word| !word.is_empty()).unwrap_or("");
        if key_is_unknown || is_secret_like(key) || has_credentials(&line[end..]) {
            return format!("{}= {HIDDEN}", &line[..end]);
        }
        from = end + 1;
    }
    line.to_owned()
}

/// Whether the value of a key is, or may be meant to be, a secret.
pub(crate) fn is_secret_like(key: &str) -> bool {
    let key = key.to_lowercase();
    ["pass", "secr", "commun", "pwd", "bear", "token", "api-key", "authori"]
        .iter()
        .any(|part| key.contains(part))
        || ["headers", "environment"].contains(&key.as_str())
        || SECRET_KEYS.iter().any(|known| strsim::osa_distance(&key, known) <= 2)
}

/// Whether an address may have a password in it: `https://user:password@host/`.
fn has_credentials(value: &str) -> bool {
    value.split_once("://").is_some_and(|(_, rest)| rest.contains('@'))
}

/// Keys that stand in a table of their own, and where that goes.
const PLACES: [(&str, &str); 7] = [
    ("switch", "[[domain.switch]] stands below its [[domain]]"),
    ("power", "[[profile.power]] stands below its [[profile]]"),
    ("energy", "[[profile.energy]] stands below its [[profile]]"),
    ("format", "[export.format.KIND] stands below its [[export]]"),
    ("transport", "[export.transport.KIND] stands below its [[export]]"),
    ("backend", "[cbus.backend.KIND] stands below its [[cbus]]"),
    ("jobs", "a job is an [[export]] table"),
];

/// Rust's types in words.
const TYPES: [(&str, &str); 12] = [
    ("u8", "a whole number from 0 to 255"),
    ("u16", "a whole number from 0 to 65535"),
    ("u32", "a whole number from 0"),
    ("u64", "a whole number from 0"),
    ("i64", "a whole number"),
    ("a boolean", "true or false"),
    ("a sequence", "a list: [[…]] for tables, […] for values"),
    ("newtype variant", "a table of its own: [….KIND]"),
    ("struct LogOptions", "a table"),
    ("struct SnmpOptions", "a table"),
    ("a map", "a table"),
    ("string or table", "a string in quotes"),
];

/// Serde's words in ours, and what to do: the nearest of the names that it expected, quotes, a place.
fn reword(message: &str, written: &str) -> (String, Option<String>) {
    let message = message.trim_end();
    if message.starts_with("wanted exactly 1 element") {
        return ("exactly one kind must stand here".into(), None);
    }
    if message == "wanted string or table" {
        return ("not a string in quotes".into(), Some(format!("write \"{written}\" with its quotes")));
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid type: ").and_then(|m| m.split_once(", expected "))
    {
        let words = TYPES.iter().find(|(name, _)| *name == expected).map_or(expected, |(_, words)| words);
        let is_number = written.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '+');
        let hint = (expected.starts_with("a string") && is_number)
            .then(|| format!("put it in quotes, as in \"{written}\""));
        return (format!("{found} stands where {words} should"), hint);
    }
    if let Some((found, expected)) =
        message.strip_prefix("invalid value: ").and_then(|m| m.split_once(", expected "))
    {
        let words = TYPES.iter().find(|(name, _)| *name == expected).map_or(expected, |(_, words)| words);
        return (format!("{found} stands where {words} should"), None);
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
    let place = PLACES.iter().find(|(key, _)| *key == written).map(|(_, place)| (*place).to_owned());
    let hint = match nearest(written, &known) {
        Some(name) => Some(format!("did you mean `{name}`?")),
        None if place.is_some() => place,
        None if known.is_empty() => None,
        None => Some(format!("there are: {}", known.join(" "))),
    };
    (format!("unknown {noun} `{written}`"), hint)
}

/// The name that was meant: the longest that begins it or that it begins, else the one of the fewest slips.
pub(crate) fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let written = written.to_lowercase();
    let begins =
        |name: &&&str| name.len() > 1 && (written.starts_with(**name) || name.starts_with(written.as_str()));
    if let Some(name) = known.iter().filter(begins).max_by_key(|name| name.len().min(written.len())) {
        return Some(name);
    }
    let slips = known.iter().map(|name| (strsim::osa_distance(&written, name), *name));
    slips
        .filter(|(slips, name)| *slips <= 1 + name.len() / 4 && *slips < name.len())
        .min()
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_nearest_name() {
        let (message, hint) = reword("unknown field `pont`, expected one of `host`, `port`, `user`", "");
        assert_eq!((message.as_str(), hint.as_deref()), ("unknown key `pont`", Some("did you mean `port`?")));
        let (message, hint) = reword("unknown variant `parquet`, expected `csv` or `xml`", "");
        assert_eq!(
            (message.as_str(), hint.as_deref()),
            ("unknown name `parquet`", Some("there are: csv xml"))
        );
        assert_eq!(reword("missing field `host`", "").0, "the key `host` is missing");
    }

    #[test]
    fn the_name_that_was_meant() {
        assert_eq!(nearest("2", &["1", "2c", "3"]), Some("2c"));
        assert_eq!(nearest("aes128", &["des", "aes", "aes192", "aes256"]), Some("aes"));
        assert_eq!(nearest("SHA256", &["md5", "sha", "sha256"]), Some("sha256"));
        assert_eq!(nearest("pretty", &["info", "pretty_format"]), Some("pretty_format"));
        assert_eq!(nearest("x", &["csv", "xml"]), Some("xml"));
        assert_eq!(nearest("parquet", &["csv", "xml"]), None);
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        for (line, expect) in [
            ("comunity = \"hunter2\"", "comunity = …"),
            ("s = { host = \"h\", key_pasword = \"hunter2\" }", "s = { host = \"h\", key_pasword = …"),
            ("host = \"h\"", "host = \"h\""),
            ("[snmp]", "[snmp]"),
        ] {
            assert_eq!(shown(line, false), expect);
        }
        assert_eq!(shown("hots = \"h\"", true), "hots = …");
    }

    #[test]
    fn the_caret_stands_below_the_text() {
        let text = "a = 1\n\tport = 99999\n";
        let error = ConfigError::at(Path::new("ew.toml"), text, 14..19, "too large");
        assert_eq!(error.to_string(), "ew.toml:2:9: too large\n  |\n2 | \tport = 99999\n  | \t       ^^^^^");
    }
}

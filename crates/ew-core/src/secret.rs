//! Secrets: never printed, logged, stored in the log, or taken from the command line.

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::fmt;
use std::path::PathBuf;

/// A secret in the clear. Its `Debug` shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a text.
    pub fn new(text: impl Into<String>) -> Secret {
        Secret(text.into())
    }

    /// The text, for the one place that hands it to the far side.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What a far side said, with `***` for the secret: in the clear, and as it stands between quotation marks.
    pub fn hide_in(&self, text: &str) -> String {
        if self.0.is_empty() {
            return text.to_owned();
        }
        let quoted = format!("{:?}", self.0);
        text.replace(&quoted[1..quoted.len() - 1], HIDDEN).replace(&self.0, HIDDEN)
    }
}

/// Stands for a secret.
const HIDDEN: &str = "***";

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// Where a secret comes from. Reading it is ew-config's affair.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SecretSource {
    /// A string in ew.toml itself.
    Plain(Secret),
    /// `{ file = "…" }`: the file's text without its last line break.
    File(PathBuf),
    /// `{ env = "…" }`: an environment variable.
    Env(String),
    /// `{ credential = "…" }`: a file below systemd's `$CREDENTIALS_DIRECTORY`.
    Credential(String),
    /// `{ command = ["…"] }`: what a command prints, without its last line break.
    Command(Vec<String>),
}

impl<'de> Deserialize<'de> for SecretSource {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SecretSource, D::Error> {
        struct SourceVisitor;

        impl<'de> Visitor<'de> for SourceVisitor {
            type Value = SecretSource;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(
                    "a string or one of { file = … }, { env = … }, { credential = … }, { command = […] }",
                )
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<SecretSource, E> {
                Ok(SecretSource::Plain(Secret::new(text)))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<SecretSource, A::Error> {
                const KEYS: &[&str] = &["file", "env", "credential", "command"];
                let Some(key) = map.next_key::<String>()? else {
                    return Err(de::Error::custom("an empty table is no secret"));
                };
                let source = match key.as_str() {
                    "file" => SecretSource::File(map.next_value()?),
                    "env" => SecretSource::Env(map.next_value()?),
                    "credential" => SecretSource::Credential(map.next_value()?),
                    "command" => {
                        let words: Vec<String> = map.next_value()?;
                        if words.is_empty() {
                            return Err(de::Error::custom("the command is empty"));
                        }
                        SecretSource::Command(words)
                    }
                    other => return Err(de::Error::unknown_field(other, KEYS)),
                };
                match map.next_key::<String>()? {
                    Some(_) => Err(de::Error::custom("a secret has exactly one source")),
                    None => Ok(source),
                }
            }
        }

        deserializer.deserialize_any(SourceVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing() {
        let shown = format!("{:?}", SecretSource::Plain(Secret::new("hunter2")));
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn what_a_far_side_repeats_is_hidden() {
        let secret = Secret::new("a \"b\\");
        assert_eq!(secret.hide_in("no a \"b\\ here, a \"b\\"), "no *** here, ***");
        assert_eq!(secret.hide_in(&format!("no {:?}", secret.expose())), "no \"***\"");
        assert_eq!(Secret::new("").hide_in("as it is"), "as it is");
    }
}

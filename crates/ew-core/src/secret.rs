//! Secrets: never printed, logged, stored in the log, or taken from the command line.

use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, Visitor};
use std::cmp::Reverse;
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

    /// What a far side said, with `***` for the secret: in the clear, as it stands between quotation marks, and in HTML.
    pub fn hide_in(&self, text: &str) -> String {
        Secret::hide_all([self], text, Missing::Nothing)
    }

    /// The same with several of them, where a part of one may stand at the end that is missing.
    pub fn hide_all<'a>(
        secrets: impl IntoIterator<Item = &'a Secret>,
        text: &str,
        missing: Missing,
    ) -> String {
        let mut forms: Vec<String> = secrets.into_iter().flat_map(Secret::forms).collect();
        // One may be a part of another, of which the rest must not be left.
        forms.sort_by_key(|form| Reverse(form.len()));
        let ends =
            |form: &String| form.char_indices().map(|(at, _)| at).chain([form.len()]).collect::<Vec<_>>();
        // First the part, which may have a whole one in it. What the cut left of a character belongs to it.
        let text = match missing {
            Missing::Nothing => text.to_owned(),
            Missing::Beginning => {
                let text = text.trim_start_matches(char::REPLACEMENT_CHARACTER);
                let last = |form: &String| ends(form).into_iter().find(|at| text.starts_with(&form[*at..]));
                let bytes = forms.iter().filter_map(|form| last(form).map(|at| form.len() - at)).max();
                bytes
                    .filter(|bytes| *bytes > 0)
                    .map(|bytes| format!("{HIDDEN}{}", &text[bytes..]))
                    .unwrap_or(text.to_owned())
            }
            Missing::End => {
                let text = text.trim_end_matches(char::REPLACEMENT_CHARACTER);
                let first = |form: &String| ends(form).into_iter().rfind(|at| text.ends_with(&form[..*at]));
                let bytes = forms.iter().filter_map(first).max();
                bytes
                    .filter(|bytes| *bytes > 0)
                    .map(|bytes| format!("{}{HIDDEN}", &text[..text.len() - bytes]))
                    .unwrap_or(text.to_owned())
            }
        };
        forms.iter().fold(text, |text, form| text.replace(form, HIDDEN))
    }

    /// As it may be repeated.
    fn forms(&self) -> impl Iterator<Item = String> {
        let quoted = format!("{:?}", self.0);
        let html =
            self.0.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        let forms = [self.0.clone(), quoted[1..quoted.len() - 1].to_owned(), html];
        forms.into_iter().filter(|form| !form.is_empty())
    }
}

/// What a text lacks of what was said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// It is whole.
    Nothing,
    /// Only its last part was kept.
    Beginning,
    /// Only its first part was read.
    End,
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

    #[test]
    fn no_part_of_one_is_left() {
        let secrets = [Secret::new("sesame"), Secret::new("open sesame & \"ü\"")];
        let hide = |text: &str, missing| Secret::hide_all(&secrets, text, missing);
        let long = "no open sesame & \"ü\" no";
        assert_eq!(hide(long, Missing::Nothing), "no *** no");
        assert_eq!(hide("<b>open sesame &amp; &quot;ü&quot;</b>", Missing::Nothing), "<b>***</b>");
        let at = 3..long.len() - 3;
        for cut in at.clone() {
            let rest = String::from_utf8_lossy(&long.as_bytes()[cut..]);
            assert_eq!(hide(&rest, Missing::Beginning), "*** no", "{rest}");
            let first = String::from_utf8_lossy(&long.as_bytes()[..cut]);
            let wanted = if cut == at.start { "no " } else { "no ***" };
            assert_eq!(hide(&first, Missing::End), wanted, "{first}");
        }
        assert_eq!(hide("all is well", Missing::Beginning), "all is well");
        assert_eq!(hide("all is well", Missing::End), "all is well");
    }
}

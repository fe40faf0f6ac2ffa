//! Keys that several formats share, each checked while the configuration is read.

use ew_core::Zone;
use serde::Deserialize;
use std::fmt;

/// How many digits stand after the decimal mark, 0 to 17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Decimals(u8);

impl Decimals {
    /// As C's `%f` has them.
    pub(crate) const SIX: Decimals = Decimals(6);
    /// Watt-hours in kWh.
    pub(crate) const THREE: Decimals = Decimals(3);

    /// The number of digits.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i64> for Decimals {
    type Error = String;

    fn try_from(count: i64) -> Result<Decimals, String> {
        match u8::try_from(count) {
            Ok(count @ 0..=17) => Ok(Decimals(count)),
            _ => Err(format!("decimals = {count} is not between 0 and 17")),
        }
    }
}

/// What stands for a null reads as no number.
pub(crate) fn check_null(null: &str, decimal: char) -> Result<(), String> {
    match null.trim().replace(decimal, ".").parse::<f64>().is_ok_and(f64::is_finite) {
        true => Err(format!("null = {null:?} reads as a number; missing is never a number")),
        false => Ok(()),
    }
}

/// A strftime template whose every specifier is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Strftime(String);

impl Strftime {
    /// One that is known to be right.
    pub(crate) fn from_static(template: &'static str) -> Strftime {
        Strftime(template.to_owned())
    }

    /// The template as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Strftime {
    type Error = String;

    fn try_from(template: String) -> Result<Strftime, String> {
        if template.is_empty() {
            return Err("an empty timestamp_format tells no times apart".into());
        }
        Zone::check_strftime(&template)?;
        Ok(Strftime(template))
    }
}

/// The text of one field, in a format that has no quotes.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Field(String);

impl Field {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that is known to be right.
    pub(crate) fn from_static(text: &'static str) -> Field {
        Field(text.to_owned())
    }

    /// The first character of a text that no such field can hold.
    pub(crate) fn forbidden(text: &str) -> Option<char> {
        text.chars().find(|c| *c == ',' || *c == '"' || c.is_control())
    }
}

impl TryFrom<String> for Field {
    type Error = String;

    fn try_from(text: String) -> Result<Field, String> {
        match Field::forbidden(&text) {
            Some(c) => Err(format!("{text:?} holds {c:?}, which a field of this format cannot")),
            None => Ok(Field(text)),
        }
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

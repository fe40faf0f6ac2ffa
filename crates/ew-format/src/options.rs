//! Keys that several formats share, each checked while the configuration is read.

use ew_core::Zone;
use serde::Deserialize;

/// How many digits stand after the decimal mark, 0 to 17.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Decimals(u8);

impl Decimals {
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

/// A strftime template whose every specifier is known.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Strftime(String);

impl Strftime {
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

//! What stands between fields and within numbers.

use serde::Deserialize;

/// One character that no number, no quote and no line end needs.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct Delimiter(pub(crate) char);

impl TryFrom<String> for Delimiter {
    type Error = String;

    fn try_from(text: String) -> Result<Delimiter, String> {
        let mut chars = text.chars();
        let (Some(c), None) = (chars.next(), chars.next()) else {
            return Err(format!("{text:?} is not a delimiter; write one character"));
        };
        let is_taken = c == '"' || c == '-' || c == '+' || c.is_alphanumeric();
        if is_taken || (c.is_control() && c != '\t') {
            return Err(format!(
                "{text:?} cannot be a delimiter: fields hold it, or lines and quotes end with it"
            ));
        }
        Ok(Delimiter(c))
    }
}

/// `.` or `,`.
#[derive(Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct DecimalMark(pub(crate) char);

impl TryFrom<String> for DecimalMark {
    type Error = String;

    fn try_from(text: String) -> Result<DecimalMark, String> {
        match text.as_str() {
            "." => Ok(DecimalMark('.')),
            "," => Ok(DecimalMark(',')),
            _ => Err(format!("{text:?} is not a decimal mark; write \".\" or \",\"")),
        }
    }
}

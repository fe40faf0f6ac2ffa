//! The fields of a line of the long layout.

use crate::Strftime;
use serde::Deserialize;

/// One field of `fields`: a word of the header, a strftime template of the row's time, or `=` and a text.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Column {
    name: String,
    pub(crate) content: Content,
}

/// What stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    Timestamp,
    Point,
    Value,
    Unit,
    Quality,
    /// The row's time, or a part of it, in the job's zone.
    Time(Strftime),
    /// The same on each line.
    Text(String),
}

impl Column {
    /// The five that a line has unless `fields` says otherwise.
    pub(crate) fn all() -> Vec<Column> {
        use Content::{Point, Quality, Timestamp, Unit, Value};
        [Timestamp, Point, Value, Unit, Quality].map(Column::of_word).to_vec()
    }

    fn of_word(content: Content) -> Column {
        let name = match content {
            Content::Timestamp => "timestamp",
            Content::Point => "point",
            Content::Value => "value",
            Content::Unit => "unit",
            Content::Quality => "quality",
            Content::Time(_) | Content::Text(_) => "",
        };
        Column { name: name.to_owned(), content }
    }

    /// Its name in the header, and in `names`: what `fields` says.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }
}

impl TryFrom<String> for Column {
    type Error = String;

    fn try_from(name: String) -> Result<Column, String> {
        if let Some(word) = Column::all().into_iter().find(|column| column.name == name) {
            return Ok(word);
        }
        let content = match name.strip_prefix('=') {
            Some(text) => Content::Text(text.to_owned()),
            None if name.contains('%') => Content::Time(Strftime::try_from(name.clone())?),
            None => {
                return Err(format!(
                    "{name:?} is no field; there are timestamp, point, value, unit and quality, a strftime template \
                     such as \"%Y%m%d\", and \"=text\" for a text"
                ));
            }
        };
        Ok(Column { name, content })
    }
}

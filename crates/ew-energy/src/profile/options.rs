//! `[[profile]]`: what a table of object identifiers, scales and sentinels can say of a device.

use crate::Oid;
use ew_core::Quality;
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeMap;

/// A profile as ew.toml, a file of `profile_files` and the shipped list write it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileOptions {
    /// What switches call it.
    #[serde(deserialize_with = "profile_name")]
    pub name: String,
    /// An agent that has anything below it may be read by this profile; left out: the first power's value.
    #[serde(default)]
    pub probe: Option<Oid>,
    /// Whether `auto` tries it.
    #[serde(default = "yes")]
    pub auto: bool,
    /// Where power is: the first that has data gives the switch's value, the sum of its rows.
    #[serde(deserialize_with = "sources")]
    pub power: Vec<SourceOptions>,
    /// Where energy is counted: the first that has data gives the switch's counter, the sum of its rows.
    #[serde(default)]
    pub energy: Vec<SourceOptions>,
}

/// `[[profile.power]]` and `[[profile.energy]]`: one column of a table, or one scalar. Every other column has the
/// index of its rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, remote = "Self")]
pub struct SourceOptions {
    /// The column, or the scalar with its `.0`.
    #[serde(deserialize_with = "column")]
    pub value: Oid,
    /// Value times this is W, or Wh.
    #[serde(default = "one", deserialize_with = "scale")]
    pub scale: f64,
    /// A column of powers of ten, -24 to 24.
    #[serde(default, deserialize_with = "some_column")]
    pub exponent: Option<Oid>,
    /// A column of RFC 3433's scales: units 9, milli 8, kilo 10.
    #[serde(default, deserialize_with = "some_column")]
    pub sensor_scale: Option<Oid>,
    /// A column of decimal places; none where it is below 1.
    #[serde(default, deserialize_with = "some_column")]
    pub decimals: Option<Oid>,
    /// Values that mean "not known".
    #[serde(default)]
    pub no_data: Vec<i64>,
    /// What a value below zero means.
    #[serde(default)]
    pub negative: Negative,
    /// Rows that these do not fit do not belong here.
    #[serde(default)]
    pub only: Vec<Condition>,
    /// A row that this does not fit has no data now.
    #[serde(default)]
    pub valid: Option<Condition>,
    /// Only rows whose index ends with this number, which is no part of the row's name.
    #[serde(default)]
    pub index_ends: Option<u32>,
    /// How good a value is.
    #[serde(default = "actual", deserialize_with = "quality")]
    pub quality: Quality,
    /// A column that says how good; `calibers` has its numbers.
    #[serde(default, deserialize_with = "some_column")]
    pub caliber: Option<Oid>,
    /// Qualities by number, `missing` for no data; any other number is `unknown`.
    #[serde(default, deserialize_with = "qualities")]
    pub calibers: BTreeMap<i64, Quality>,
    /// A column of importances, 1 to 100; rows above the domain's do not count.
    #[serde(default, deserialize_with = "some_column")]
    pub importance: Option<Oid>,
    /// Rows that it fits give power and are not in the sum.
    #[serde(default)]
    pub producer: Option<Condition>,
    /// A column of names.
    #[serde(default, deserialize_with = "some_column")]
    pub name: Option<Oid>,
    /// A column that says which row of `name` is meant, where it has another index.
    #[serde(default, deserialize_with = "some_column")]
    pub name_index: Option<Oid>,
    /// Whether each row is an entity of the switch.
    #[serde(default)]
    pub entities: bool,
    /// An energy counter begins anew at this raw value.
    #[serde(default)]
    pub wraps_at: Option<u64>,
}

/// `negative`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Negative {
    /// "I do not know", as gauges have it that are unsigned by nature.
    #[default]
    NoData,
    /// Power that is given.
    Producer,
}

/// The number of a row in another column of the table.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Condition {
    /// The column.
    #[serde(deserialize_with = "column")]
    pub oid: Oid,
    /// It must be one of these.
    #[serde(deserialize_with = "numbers")]
    pub is: Vec<i64>,
    /// A row without it fits too.
    #[serde(default)]
    pub or_absent: bool,
}

/// Its keys one by one, then what goes with what.
impl<'de> Deserialize<'de> for SourceOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<SourceOptions, D::Error> {
        let source = SourceOptions::deserialize(deserializer)?;
        match source {
            SourceOptions { caliber: None, calibers, .. } if !calibers.is_empty() => {
                Err(D::Error::custom("calibers goes with caliber, the column that has its numbers"))
            }
            SourceOptions { name: None, name_index: Some(_), .. } => {
                Err(D::Error::custom("name_index goes with name, the column of names that it points into"))
            }
            source => Ok(source),
        }
    }
}

impl SourceOptions {
    /// The columns that it needs of each row.
    pub(super) fn columns(&self) -> impl Iterator<Item = &Oid> {
        let conditions = self.only.iter().chain(&self.valid).chain(&self.producer).map(|other| &other.oid);
        let optional = [
            &self.exponent,
            &self.sensor_scale,
            &self.decimals,
            &self.caliber,
            &self.importance,
            &self.name_index,
        ];
        [&self.value].into_iter().chain(optional.into_iter().flatten()).chain(conditions)
    }
}

fn yes() -> bool {
    true
}

fn one() -> f64 {
    1.0
}

fn actual() -> Quality {
    Quality::Actual
}

fn profile_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.trim().is_empty() || name.chars().any(char::is_control) {
        true => Err(D::Error::custom("a profile needs a name without control characters")),
        false => Ok(name),
    }
}

fn sources<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SourceOptions>, D::Error> {
    let sources = Vec::deserialize(deserializer)?;
    match sources.is_empty() {
        true => Err(D::Error::custom("a profile needs at least one [[profile.power]]")),
        false => Ok(sources),
    }
}

fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<i64>, D::Error> {
    let numbers = Vec::deserialize(deserializer)?;
    match numbers.is_empty() {
        true => Err(D::Error::custom("no row fits an empty list; write the numbers that do")),
        false => Ok(numbers),
    }
}

fn scale<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    let scale = f64::deserialize(deserializer)?;
    match scale.is_finite() && scale > 0.0 {
        true => Ok(scale),
        false => Err(D::Error::custom("a scale is a number above zero")),
    }
}

/// Rows are found below a column; a scalar is the only row, 0, below its object.
fn column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Oid, D::Error> {
    let oid = Oid::deserialize(deserializer)?;
    Ok(match oid.numbers() {
        [object @ .., 0] => Oid::new(object),
        _ => oid,
    })
}

fn some_column<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Oid>, D::Error> {
    column(deserializer).map(Some)
}

fn quality<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Quality, D::Error> {
    match quality_of::<D::Error>(&String::deserialize(deserializer)?)? {
        Quality::Missing => {
            Err(D::Error::custom("a value is never missing; no_data and valid say when there is none"))
        }
        quality => Ok(quality),
    }
}

fn qualities<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeMap<i64, Quality>, D::Error> {
    let words = BTreeMap::<String, String>::deserialize(deserializer)?;
    let number =
        |key: &str| key.parse().map_err(|_| D::Error::custom(format!("{key:?} is not a whole number")));
    words.iter().map(|(key, word)| Ok((number(key)?, quality_of::<D::Error>(word)?))).collect()
}

/// What a device can say; `partial` and `suspect` are of ew's own making.
fn quality_of<E: serde::de::Error>(word: &str) -> Result<Quality, E> {
    const WORDS: &[&str] = &["trusted", "actual", "presumed", "unknown", "max", "missing"];
    match word.parse() {
        Ok(quality) if WORDS.contains(&word) => Ok(quality),
        _ => Err(E::unknown_variant(word, WORDS)),
    }
}

/// Dotted, with or without a leading point.
impl<'de> Deserialize<'de> for Oid {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Oid, D::Error> {
        let text = String::deserialize(deserializer)?;
        let numbers: Option<Vec<u32>> =
            text.strip_prefix('.').unwrap_or(&text).split('.').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some(numbers @ [first, second, _, ..]) if *first < 2 && *second < 40 || *first == 2 => {
                Ok(Oid::new(numbers))
            }
            _ => Err(D::Error::custom(format!(
                "{text:?} is no object identifier; write its numbers, as in \"1.3.6.1.2.1.33.1.4.4.1.4\""
            ))),
        }
    }
}

//! A profile's table under a job's: where both say something, the job is right.

use super::{Received, Setting};
use crate::error::{HIDDEN, is_secret_like};
use serde::Deserialize;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue, ValueDeserializer};

/// Gives a job what it does not say itself, and notes both.
pub(super) fn merge<'i>(job: &mut DeTable<'i>, profile: DeTable<'i>, prefix: &str, received: &mut Received) {
    for (key, value) in profile {
        let path = format!("{prefix}{}", key.get_ref());
        match (job.get_mut(key.get_ref().as_ref()).map(Spanned::get_mut), value.get_ref()) {
            (None, _) => {
                note(&path, &value, received);
                job.insert(key, value);
            }
            (Some(DeValue::Table(own)), DeValue::Table(table)) => {
                merge(own, table.clone(), &format!("{path}."), received);
            }
            (Some(_), _) => received.own.push(path),
        }
    }
}

/// Notes each value that is set.
fn note(path: &str, value: &Spanned<DeValue<'_>>, received: &mut Received) {
    match value.get_ref() {
        DeValue::Table(table) => {
            for (key, value) in table {
                note(&format!("{path}.{}", key.get_ref()), value, received);
            }
        }
        _ => {
            // Only a transport has secrets; the names of points may look like one.
            let is_secret = path.starts_with("transport.") && path.split('.').any(is_secret_like);
            let value = if is_secret { HIDDEN.to_owned() } else { text_of(value) };
            received.sets.push(Setting { key: path.to_owned(), value });
        }
    }
}

/// Whether a job says something at a dotted key.
pub(super) fn has(job: &DeTable<'_>, path: &str) -> bool {
    match path.split_once('.') {
        None => job.contains_key(path),
        Some((table, rest)) => {
            matches!(job.get(table).map(Spanned::get_ref), Some(DeValue::Table(table)) if has(table, rest))
        }
    }
}

/// The same value, and all that is in it, at another place.
pub(super) fn in_place<'i>(
    value: &Spanned<DeValue<'i>>,
    place: &impl Fn(Range<usize>) -> Range<usize>,
) -> Spanned<DeValue<'i>> {
    let inner = match value.get_ref() {
        DeValue::Table(table) => DeValue::Table(
            table
                .iter()
                .map(|(key, value)| {
                    (Spanned::new(place(key.span()), key.get_ref().clone()), in_place(value, place))
                })
                .collect(),
        ),
        DeValue::Array(list) => DeValue::Array(list.iter().map(|value| in_place(value, place)).collect()),
        other => other.clone(),
    };
    Spanned::new(place(value.span()), inner)
}

/// A value as TOML.
fn text_of(value: &Spanned<DeValue<'_>>) -> String {
    toml::Value::deserialize(ValueDeserializer::from(value.clone())).map_or(String::new(), |v| v.to_string())
}

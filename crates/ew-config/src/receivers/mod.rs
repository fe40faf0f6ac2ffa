//! Receivers: what one demands of a job, as data. A job's `profile` names one, whose keys stand in for those that the
//! job leaves out; what the job says itself wins.

mod keys;
mod merge;

pub(crate) use keys::ReceiverKeys;

use crate::error::{ConfigError, nearest};
use crate::texts::Texts;
use merge::{has, in_place, merge};
use serde::Deserialize;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;
use toml::de::{DeTable, DeValue, Deserializer, ValueDeserializer};

/// What a job has of its profile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// The profile's name.
    pub profile: String,
    /// What it set, in the order of the keys.
    pub sets: Vec<Setting>,
    /// Keys that it has and the job says itself.
    pub own: Vec<String>,
}

/// A key as it stands in the job's table, and its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setting {
    /// Dotted: `late`, `format.csv.layout`.
    pub key: String,
    /// As TOML; a secret is not shown.
    pub value: String,
}

/// A `[[receiver]]`.
struct Receiver<'i> {
    name: String,
    place: Range<usize>,
    needs: Vec<String>,
    table: DeTable<'i>,
    /// Its values have no place in a file of the user's.
    is_shipped: bool,
}

/// The receivers that jobs may name.
pub(crate) struct Receivers<'i>(Vec<Receiver<'i>>);

#[derive(Deserialize)]
struct Wanted {
    #[serde(default)]
    receiver_files: Vec<String>,
}

/// A file of `receiver_files`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReceiverFile {
    #[serde(default, rename = "receiver")]
    _receiver: Vec<ReceiverKeys>,
}

/// Reads the files of `receiver_files`.
pub(crate) fn files<'i>(texts: &mut Texts, root: &Spanned<DeTable<'i>>) -> Result<(), ConfigError> {
    let wanted = Wanted::deserialize(Deserializer::from(root.clone())).map_err(|e| texts.error(&e))?;
    for name in &wanted.receiver_files {
        let path = texts.file().with_file_name(name);
        let more = std::fs::read_to_string(&path).map_err(|e| {
            let message = format!("cannot read the receivers of {}: {e}", path.display());
            let hint = Some("its path is relative to the folder of the configuration".to_owned());
            ConfigError::about(texts.file(), texts.text(), name, message, hint)
        })?;
        toml::from_str::<ReceiverFile>(&more).map_err(|e| ConfigError::from_toml(&path, &more, &e))?;
        texts.push(path, more);
    }
    Ok(())
}

impl<'i> Receivers<'i> {
    /// Those of the configuration, of its files, and the shipped ones: who writes one knows more of the receiver.
    pub(crate) fn read(texts: &'i Texts, root: &DeTable<'i>) -> Result<Receivers<'i>, ConfigError> {
        let mut all = Receivers(Vec::new());
        all.add(root, |span| span, false).map_err(|e| texts.error(&e))?;
        for (base, text) in texts.others() {
            let table = DeTable::parse(text).map_err(|e| texts.error(&e))?.into_inner();
            all.add(&table, |span| span.start + base..span.end + base, false).map_err(|e| texts.error(&e))?;
        }
        let before = |at: usize| all.0[..at].iter().any(|other| other.name == all.0[at].name);
        if let Some(twice) = (0..all.0.len()).find(|at| before(*at)).map(|at| &all.0[at]) {
            return Err(texts.at(twice.place.clone(), &format!("the receiver {:?} stands twice", twice.name)));
        }
        // The list is part of the program; a test reads it.
        if let Ok(shipped) = DeTable::parse(include_str!("builtin.toml")) {
            let _ = all.add(shipped.get_ref(), |span| span, true);
        }
        Ok(all)
    }

    fn add(
        &mut self,
        root: &DeTable<'i>,
        place: impl Fn(Range<usize>) -> Range<usize> + Copy,
        is_shipped: bool,
    ) -> Result<(), toml::de::Error> {
        let Some(DeValue::Array(list)) = root.get("receiver").map(Spanned::get_ref) else { return Ok(()) };
        for one in list.iter() {
            let placed = in_place(one, &place);
            let keys = ReceiverKeys::deserialize(ValueDeserializer::from(placed.clone()))?;
            let DeValue::Table(mut table) = placed.into_inner() else { continue };
            let place = table.remove("name").map_or(0..0, |name| name.span());
            table.remove("needs");
            let ReceiverKeys { name, needs } = keys;
            self.0.push(Receiver { name, place, needs, table, is_shipped });
        }
        Ok(())
    }

    /// Gives each job what its profile has for it.
    pub(crate) fn apply(
        &self,
        texts: &Texts,
        root: &mut DeTable<'i>,
    ) -> Result<Vec<Option<Received>>, ConfigError> {
        let Some(DeValue::Array(jobs)) = root.get_mut("export").map(Spanned::get_mut) else {
            return Ok(Vec::new());
        };
        jobs.iter_mut()
            .map(|job| match job.get_mut() {
                DeValue::Table(job) => self.apply_to(texts, job),
                // Whatever it is, reading it says so.
                _ => Ok(None),
            })
            .collect()
    }

    fn apply_to(&self, texts: &Texts, job: &mut DeTable<'i>) -> Result<Option<Received>, ConfigError> {
        let Some((place, DeValue::String(name))) =
            job.get("profile").map(|value| (value.span(), value.get_ref()))
        else {
            return Ok(None);
        };
        let name = name.to_string();
        let (file, text): (&Path, &str) = (texts.file(), texts.text());
        let at = |message: String, hint: String| {
            ConfigError::at(file, text, place.clone(), message).with_hint(Some(hint))
        };
        let Some(receiver) = self.0.iter().find(|receiver| receiver.name == name) else {
            let known: Vec<&str> = self.0.iter().map(|receiver| receiver.name.as_str()).collect();
            let hint = match nearest(&name, &known) {
                Some(near) => format!("did you mean {near:?}?"),
                None => format!("there are: {}", known.join(" ")),
            };
            return Err(at(format!("there is no receiver {name:?}"), hint));
        };
        if let Some(key) = receiver.needs.iter().find(|key| !has(job, key)) {
            return Err(at(
                format!("the profile {name:?} leaves {key} to the job"),
                format!("set {key} in this [[export]]; docs/receivers.md says what the receiver takes"),
            ));
        }
        let mut profile = receiver.table.clone();
        if receiver.is_shipped {
            profile = profile.iter().map(|(k, v)| (k.clone(), in_place(v, &|_| place.clone()))).collect();
        }
        if let Some((kind, span)) = other_format(job, &profile) {
            let message = format!("the profile {name:?} is for another format than {kind}");
            return Err(ConfigError::at(file, text, span, message)
                .with_hint(Some(format!("leave [export.format.{kind}] out, or the profile"))));
        }
        for_its_transport(job, &mut profile);
        let mut received = Received { profile: name, sets: Vec::new(), own: Vec::new() };
        merge(job, profile, "", &mut received);
        Ok(Some(received))
    }
}

/// The kind of format that a job has, where the profile is for another.
fn other_format(job: &DeTable<'_>, profile: &DeTable<'_>) -> Option<(String, Range<usize>)> {
    let kinds = |table: &DeTable<'_>| match table.get("format").map(Spanned::get_ref) {
        Some(DeValue::Table(kinds)) => {
            kinds.keys().map(|kind| (kind.get_ref().to_string(), kind.span())).collect()
        }
        _ => Vec::new(),
    };
    let wanted = kinds(profile);
    let is_other = |(kind, _): &(String, _)| wanted.iter().all(|(other, _)| other != kind);
    kinds(job).into_iter().find(|kind| !wanted.is_empty() && is_other(kind))
}

/// Leaves of the profile's `transport` what is for the job's kind, and puts `compress`, which each kind has, there.
fn for_its_transport<'i>(job: &DeTable<'i>, profile: &mut DeTable<'i>) {
    let compress = profile.remove_entry("compress");
    let Some(DeValue::Table(kinds)) = job.get("transport").map(Spanned::get_ref) else {
        profile.remove("transport");
        return;
    };
    let mut of_profile: DeTable<'i> = match profile.remove("transport").map(Spanned::into_inner) {
        Some(DeValue::Table(all)) => {
            all.into_iter().filter(|(kind, _)| kinds.contains_key(kind.get_ref().as_ref())).collect()
        }
        _ => DeTable::new(),
    };
    if let (Some((key, value)), Some(kind)) = (compress, kinds.keys().next()) {
        let span = value.span();
        let entry = of_profile
            .entry(kind.clone())
            .or_insert_with(|| Spanned::new(span.clone(), DeValue::Table(DeTable::new())));
        if let DeValue::Table(keys) = entry.get_mut()
            && !keys.contains_key("compress")
        {
            keys.insert(key, value);
        }
    }
    if let (false, Some((key, span))) =
        (of_profile.is_empty(), job.get_key_value("transport").map(|(key, value)| (key, value.span())))
    {
        profile.insert(key.clone(), Spanned::new(span, DeValue::Table(of_profile)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Config;

    /// The shipped list, each with the least that a job must say.
    #[test]
    fn each_shipped_receiver_makes_a_job() {
        let root = DeTable::parse(include_str!("builtin.toml")).unwrap();
        let mut shipped = Receivers(Vec::new());
        shipped.add(root.get_ref(), |span| span, true).unwrap();
        let names: Vec<&str> = shipped.0.iter().map(|receiver| receiver.name.as_str()).collect();
        assert_eq!(names, ["energycap", "opower", "energyid", "envizi"]);
        for name in names {
            let fields = match name {
                "envizi" => {
                    "[export.format.csv]\nfields = [\"=ACME\", \"point\", \"timestamp\", \"value\"]\n"
                }
                _ => "",
            };
            let text = format!(
                "[[export]]\nname = \"j\"\npoints = [\"**\"]\nprofile = \"{name}\"\nzone = \"Europe/Paris\"\n{fields}\
                 [export.transport.file]\ndirectory = \"out\"\n"
            );
            let config = Config::parse(Path::new("ew.toml"), &text).unwrap_or_else(|e| panic!("{name}: {e}"));
            let received = config.exports[0].received.as_ref().unwrap();
            assert_eq!(received.profile, name);
            assert!(config.exports[0].breakup_on_period, "{name}");
        }
    }
}

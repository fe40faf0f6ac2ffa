//! Which slice a file is: by its manifest, else by the name that the job's template gives to a slot.

use crate::receiver;
use crate::reconcile::MANIFEST;
use ew_cli::{Failure, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, NameFields, Timestamp, Window, insert_before_extension};
use ew_transport::{Answer, Look};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The longest manifest, bytes.
const MANIFEST_BYTES_MAX: u64 = 1 << 20;

/// So many revisions in a row that are not there end the search: the one before may have been taken away.
const REVISIONS_ABSENT: u32 = 4;

/// A file of the job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recognised {
    pub(crate) name: String,
    pub(crate) window: Window,
    pub(crate) rev: u32,
    /// What its manifest says, where it has one: samples, and whether they are new rows alone.
    pub(crate) manifest: Option<(u64, bool)>,
}

/// The keys of a manifest that are read.
#[derive(Deserialize)]
struct Manifest {
    job: String,
    name: String,
    start: Stamp,
    end: Stamp,
    rev: u32,
    rows: u64,
    after_seq: Option<i64>,
}

#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Stamp(Timestamp);

impl TryFrom<String> for Stamp {
    type Error = String;

    fn try_from(text: String) -> Result<Stamp, String> {
        text.parse().map(Stamp).map_err(|_| format!("{text:?} is not a time"))
    }
}

/// The files of the job in order of time, and the names of those that are not recognised.
pub(crate) fn recognise(
    config: &Config,
    options: &ExportOptions,
    look: &mut dyn Look,
    names: &BTreeSet<String>,
    within: Window,
    report: Report,
) -> Result<(Vec<Recognised>, Vec<String>), Failure> {
    let mut found: HashMap<String, Recognised> = HashMap::new();
    let mut others = BTreeSet::new();
    for name in names {
        let Some(manifest) = Some(format!("{name}{MANIFEST}")).filter(|manifest| names.contains(manifest))
        else {
            continue;
        };
        match look.read(&manifest, MANIFEST_BYTES_MAX).map_err(receiver::failure)? {
            Answer::Is(text) => match of_manifest(&text, name) {
                Ok((job, slice)) if job == options.name => {
                    found.insert(name.clone(), slice);
                }
                Ok(_) => {
                    others.insert(name.clone());
                }
                Err(why) => {
                    report.warning(format_args!("{}: {manifest} is no manifest: {why}", options.name))
                }
            },
            Answer::Absent => {}
            Answer::Unknown(why) => report.warning(format_args!("{}: {why}", options.name)),
        }
    }
    if options.breakup_on_period && options.filename.needs_no_ledger() {
        let free = |name: &str| names.contains(name) && !found.contains_key(name) && !others.contains(name);
        let by_name = by_template(config, options, &free, within)?;
        found.extend(by_name.into_iter().map(|slice| (slice.name.clone(), slice)));
    } else if found.is_empty() {
        let text = format!(
            "nothing at the receiver of {} has a manifest, and names alone tell the slots of a job with \
             breakup_on_period and without {{seq}} and {{count}} only",
            options.name
        );
        return Err(Failure::new(Exit::Usage, text)
            .hint("set since to where the next export is to begin, so that nothing is sent twice"));
    }
    let is_other = |name: &&String| {
        let plain = name.strip_suffix(MANIFEST).unwrap_or(name);
        !found.contains_key(plain) && !name.starts_with('.')
    };
    let unrecognised = names.iter().filter(is_other).cloned().collect();
    let mut slices: Vec<Recognised> = found.into_values().collect();
    slices.sort_by(|a, b| (a.window, a.rev, &a.name).cmp(&(b.window, b.rev, &b.name)));
    Ok((slices, unrecognised))
}

fn of_manifest(text: &[u8], name: &str) -> Result<(String, Recognised), String> {
    let manifest: Manifest = serde_json::from_slice(text).map_err(|e| e.to_string())?;
    let (start, end) = (manifest.start.0, manifest.end.0);
    if manifest.name != name || start >= end {
        return Err(format!("it tells of {} from {start} to {end}", manifest.name));
    }
    let slice = Recognised {
        name: name.to_owned(),
        window: Window::new(start, end),
        rev: manifest.rev,
        manifest: Some((manifest.rows, manifest.after_seq.is_some())),
    };
    Ok((manifest.job, slice))
}

/// Names cannot be read backwards in general, so each slot's are made and looked for. Where several slots have one
/// name, as in the hour that comes twice, the first has it and the next `_2` …, but only where all of them are there.
fn by_template(
    config: &Config,
    options: &ExportOptions,
    is_there: &dyn Fn(&str) -> bool,
    within: Window,
) -> Result<Vec<Recognised>, Failure> {
    let ext = options.extension();
    let mut slots: BTreeMap<String, Vec<(Window, u32)>> = BTreeMap::new();
    for window in options.grid().slots(within) {
        let mut absent = 0;
        for rev in 0.. {
            let fields = NameFields {
                job: &options.name,
                site: &config.site,
                zone: &options.zone,
                window,
                rev,
                seq: 0,
                count: 0,
                ext: &ext,
            };
            let name = options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
            let second = insert_before_extension(&name, "_2", &ext);
            absent = if is_there(&name) || is_there(&second) {
                slots.entry(name).or_default().push((window, rev));
                0
            } else {
                absent + 1
            };
            if absent == REVISIONS_ABSENT || !options.filename.has_rev() {
                break;
            }
        }
    }
    let mut found = Vec::new();
    for (name, slots) in slots {
        let numbered = (2..).map(|n| insert_before_extension(&name, &format!("_{n}"), &ext));
        let files: Vec<String> = std::iter::once(name.clone())
            .filter(|name| is_there(name))
            .chain(numbered.take_while(|name| is_there(name)))
            .collect();
        if slots.len() == 1 || slots.len() == files.len() {
            let slice = |(name, (window, rev))| Recognised { name, window, rev, manifest: None };
            found.extend(files.into_iter().zip(slots).map(slice));
        }
    }
    Ok(found)
}

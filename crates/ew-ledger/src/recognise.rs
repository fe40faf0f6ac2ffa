//! Which slice a file is: by its manifest, else by the name that the job's template gives to a slot.

use crate::receiver;
use ew_cli::{Failure, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, NameFields, Timestamp, Window, insert_before_extension};
use ew_store::{Beside, Document};
use ew_transport::{Answer, Look};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The longest document beside a file, bytes.
const DOCUMENT_BYTES_MAX: u64 = 1 << 20;

/// In lower-case hexadecimal.
const SHA256_DIGITS: usize = 64;

/// So many revisions in a row that are not there end the search: the one before may have been taken away.
const REVISIONS_ABSENT: u32 = 4;

/// A file of the job.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Recognised {
    pub(crate) name: String,
    pub(crate) window: Window,
    pub(crate) rev: u32,
    /// What its manifest says, where it has one.
    pub(crate) manifest: Option<Told>,
    /// The metadata beside it, where it has some.
    pub(crate) metadata: Option<String>,
}

impl Recognised {
    /// What lies beside it, as it was read back.
    pub(crate) fn beside(&self) -> Vec<Document> {
        let document = |kind, text: &String| Document { kind, text: text.clone() };
        let metadata = self.metadata.iter().map(|text| document(Beside::Metadata, text));
        let manifest = self.manifest.iter().map(|told| document(Beside::Manifest, &told.text));
        metadata.chain(manifest).collect()
    }
}

/// What a manifest says of its file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Told {
    /// Samples.
    pub(crate) rows: u64,
    /// They are new rows alone.
    pub(crate) is_delta: bool,
    /// The size of the file, bytes, and its SHA-256, lower-case hex, as it was delivered.
    pub(crate) file: Option<(u64, String)>,
    /// The manifest that was recorded before it.
    previous: Option<String>,
    as_of_seq: Option<i64>,
    /// All of it.
    pub(crate) text: String,
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
    as_of_seq: Option<i64>,
    bytes: Option<u64>,
    sha256: Option<String>,
    previous: Option<Previous>,
}

#[derive(Deserialize)]
struct Previous {
    name: String,
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

/// Which files are looked for.
pub(crate) struct Wanted<'a> {
    /// Names that the job had before.
    pub(crate) formerly: &'a [String],
    /// The slots whose names are looked for.
    pub(crate) within: Window,
}

/// The files of the job in order of time, and the names of those that are not recognised.
pub(crate) fn recognise(
    config: &Config,
    options: &ExportOptions,
    look: &mut dyn Look,
    names: &BTreeSet<String>,
    wanted: &Wanted<'_>,
    report: Report,
) -> Result<(Vec<Recognised>, Vec<String>), Failure> {
    let mut found: HashMap<String, Recognised> = HashMap::new();
    let mut others = BTreeSet::new();
    for name in names {
        let Some(manifest) = Some(Beside::Manifest.name(name)).filter(|manifest| names.contains(manifest))
        else {
            continue;
        };
        match look.read(&manifest, DOCUMENT_BYTES_MAX).map_err(receiver::failure)? {
            Answer::Is(text) => match of_manifest(&text, name) {
                Ok((job, slice)) if job == options.name || wanted.formerly.contains(&job) => {
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
        let mut by_name = by_template(config, options, &options.name, &free, wanted.within)?;
        for former in wanted.formerly {
            by_name.extend(by_template(config, options, former, &free, wanted.within)?);
        }
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
        let plain = Beside::file_of(name).unwrap_or(name);
        !found.contains_key(plain) && !name.starts_with('.')
    };
    let unrecognised = names.iter().filter(is_other).cloned().collect();
    let mut slices: Vec<Recognised> = found.into_values().collect();
    slices.sort_by(|a, b| (a.window, a.rev, &a.name).cmp(&(b.window, b.rev, &b.name)));
    for slice in &mut slices {
        let metadata = Beside::Metadata.name(&slice.name);
        if !names.contains(&metadata) {
            continue;
        }
        match look.read(&metadata, DOCUMENT_BYTES_MAX).map_err(receiver::failure)? {
            Answer::Is(text) => slice.metadata = String::from_utf8(text).ok(),
            Answer::Absent => {}
            Answer::Unknown(why) => report.warning(format_args!("{}: {why}", options.name)),
        }
    }
    Ok((slices, unrecognised))
}

fn of_manifest(text: &[u8], name: &str) -> Result<(String, Recognised), String> {
    let text = std::str::from_utf8(text).map_err(|e| e.to_string())?;
    let manifest: Manifest = serde_json::from_str(text).map_err(|e| e.to_string())?;
    let (start, end) = (manifest.start.0, manifest.end.0);
    if manifest.name != name || start >= end {
        return Err(format!("it tells of {} from {start} to {end}", manifest.name));
    }
    let told = Told {
        rows: manifest.rows,
        is_delta: manifest.after_seq.is_some(),
        file: manifest.bytes.zip(manifest.sha256.filter(|hash| hash.len() == SHA256_DIGITS)),
        previous: manifest.previous.map(|previous| previous.name),
        as_of_seq: manifest.as_of_seq,
        text: text.to_owned(),
    };
    let window = Window::new(start, end);
    let slice =
        Recognised { name: name.to_owned(), window, rev: manifest.rev, manifest: Some(told), metadata: None };
    Ok((manifest.job, slice))
}

/// The file whose manifest was recorded last: no other follows it. Where some are missing there may be several, of
/// which the one that knew most of the log counts.
pub(crate) fn newest_manifest(files: &[Recognised]) -> Option<String> {
    let told = || files.iter().filter_map(|slice| slice.manifest.as_ref().map(|told| (slice, told)));
    let followed: BTreeSet<&str> = told().filter_map(|(_, told)| told.previous.as_deref()).collect();
    told()
        .filter(|(slice, _)| !followed.contains(Beside::Manifest.name(&slice.name).as_str()))
        .max_by_key(|(slice, told)| (told.as_of_seq, slice.window, slice.rev))
        .map(|(slice, _)| slice.name.clone())
}

/// Names cannot be read backwards in general, so each slot's are made and looked for. Where several slots have one
/// name, as in the hour that comes twice, the first has it and the next `_2` …, but only where all of them are there.
fn by_template(
    config: &Config,
    options: &ExportOptions,
    job: &str,
    is_there: &dyn Fn(&str) -> bool,
    within: Window,
) -> Result<Vec<Recognised>, Failure> {
    let ext = options.extension();
    let mut slots: BTreeMap<String, Vec<(Window, u32)>> = BTreeMap::new();
    for window in options.grid().slots(within) {
        let mut absent = 0;
        for rev in 0.. {
            let fields = NameFields {
                job,
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
            let slice =
                |(name, (window, rev))| Recognised { name, window, rev, manifest: None, metadata: None };
            found.extend(files.into_iter().zip(slots).map(slice));
        }
    }
    Ok(found)
}

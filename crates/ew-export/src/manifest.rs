//! `manifest = true`: beside each file a JSON document that says what is in it and which manifest came before, so
//! that a receiver can tell that it has everything, unaltered.

use crate::job::JobRun;
use crate::render::{Spooled, hex};
use crate::report::{optional_time, time};
use ew_cli::Failure;
use ew_core::{Exit, Quality, Row, Timestamp, Window};
use ew_store::{Delivery, Job, MANIFEST_SUFFIX, NewSlice};
use serde::Serialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// The longest name of a file that gets a manifest, bytes: with the names of both and of a temporary file every
/// receiver can do.
const NAME_BYTES_MAX: usize = 249 - MANIFEST_SUFFIX.len();

/// What a manifest counts of the rows as they are sent.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    points: HashSet<String>,
    units: BTreeSet<String>,
    quality: BTreeMap<&'static str, u64>,
    nulls: u64,
}

impl Summary {
    /// Rows come in any order.
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        self.first = Some(self.first.map_or(row.time, |first| first.min(row.time)));
        self.last = self.last.max(Some(row.time));
        if !self.points.contains(row.point) {
            self.points.insert(row.point.to_owned());
        }
        if !self.units.contains(row.unit) {
            self.units.insert(row.unit.to_owned());
        }
        *self.quality.entry(row.quality.as_str()).or_default() += 1;
        self.nulls += u64::from(row.value.is_none());
    }

    /// The rows of another one as well.
    pub(crate) fn add_all(&mut self, other: Summary) {
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        self.points.extend(other.points);
        self.units.extend(other.units);
        for (quality, rows) in other.quality {
            *self.quality.entry(quality).or_default() += rows;
        }
        self.nulls += other.nulls;
    }
}

/// The document, version 1. Its keys and their order are what receivers read.
#[derive(Serialize)]
struct Manifest<'a> {
    manifest: u32,
    job: &'a str,
    site: &'a str,
    name: &'a str,
    #[serde(serialize_with = "time")]
    start: Timestamp,
    #[serde(serialize_with = "time")]
    end: Timestamp,
    rev: u32,
    as_of_seq: i64,
    after_seq: Option<i64>,
    zone: &'a str,
    zone_data: Option<String>,
    rows: u64,
    #[serde(serialize_with = "optional_time")]
    first: Option<Timestamp>,
    #[serde(serialize_with = "optional_time")]
    last: Option<Timestamp>,
    points: usize,
    units: &'a BTreeSet<String>,
    quality: BTreeMap<&'static str, u64>,
    nulls: u64,
    format: &'a str,
    bytes: u64,
    sha256: &'a str,
    previous: Option<Previous>,
}

/// The manifest that was recorded before.
#[derive(Serialize)]
struct Previous {
    name: String,
    sha256: String,
}

/// Commits a rendered slice, with its manifest where the job has them; see
/// [`Ledger::record_rendered`](ew_store::Ledger::record_rendered).
pub(crate) fn record(
    job: &mut JobRun<'_>,
    known: &Job,
    passed_over: Option<Window>,
    spooled: Spooled,
) -> Result<Delivery, Failure> {
    let Spooled { mut slice, summary } = spooled;
    if let Some(summary) = summary {
        if slice.name.len() > NAME_BYTES_MAX {
            let text = format!("the name {} is longer than {NAME_BYTES_MAX} bytes", slice.name);
            return Err(Failure::new(Exit::Config, text)
                .hint(format!("its manifest adds {MANIFEST_SUFFIX}; give the job a shorter filename")));
        }
        slice.name = job.log.ledger().claim(known, &slice)?;
        let previous = job.log.ledger().last_manifest(known)?;
        let previous = previous.map(|(name, text)| Previous {
            name: format!("{name}{MANIFEST_SUFFIX}"),
            sha256: sha256_of(&text),
        });
        slice.manifest = Some(text(job, &slice, &summary, previous)?);
    }
    Ok(job.log.ledger().record_rendered(known, passed_over, &slice)?)
}

/// The bytes of a manifest: a function of the slice, the job and the manifest before it.
fn text(
    job: &JobRun<'_>,
    slice: &NewSlice,
    summary: &Summary,
    previous: Option<Previous>,
) -> Result<String, Failure> {
    let mut quality: BTreeMap<&'static str, u64> = Quality::ALL.iter().map(|q| (q.as_str(), 0)).collect();
    quality.extend(&summary.quality);
    let manifest = Manifest {
        manifest: 1,
        job: &job.options.name,
        site: &job.config.site,
        name: &slice.name,
        start: slice.window.start,
        end: slice.window.end,
        rev: slice.rev,
        as_of_seq: slice.as_of_seq,
        after_seq: slice.after_seq,
        zone: job.options.zone.name(),
        zone_data: job.options.zone.rules_version().map(str::to_owned),
        rows: slice.rows,
        first: summary.first,
        last: summary.last,
        points: summary.points.len(),
        units: &summary.units,
        quality,
        nulls: summary.nulls,
        format: &slice.format,
        bytes: slice.bytes,
        sha256: &slice.sha256,
        previous,
    };
    let text = serde_json::to_string_pretty(&manifest)
        .map_err(|e| Failure::of(Exit::Io, &e).of_part("the manifest"))?;
    Ok(text + "\n")
}

/// Of the bytes of a manifest, as the ledger writes hashes.
pub fn sha256_of(text: &str) -> String {
    hex(&Sha256::digest(text))
}

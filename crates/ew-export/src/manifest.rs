//! `manifest = true`: beside each file a JSON document that says what is in it and which manifest came before, so
//! that a receiver can tell that it has everything, unaltered.

use crate::job::JobRun;
use crate::report::{optional_time, time};
use ew_cli::Failure;
use ew_core::{Exit, Quality, Row, Timestamp};
use ew_format::Units;
use ew_store::NewSlice;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// What documents beside a file tell of its rows as they are sent.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Of each point. That of a null which has none is not among them: it says nothing of values.
    pub(crate) units: Units,
    has_bare_null: bool,
    quality: BTreeMap<&'static str, u64>,
    nulls: u64,
}

impl Summary {
    /// Rows come in any order.
    pub(crate) fn add(&mut self, row: &Row<'_>) {
        self.first = Some(self.first.map_or(row.time, |first| first.min(row.time)));
        self.last = self.last.max(Some(row.time));
        if !self.units.contains_key(row.point) {
            self.units.insert(row.point.to_owned(), BTreeSet::new());
        }
        if row.value.is_none() && row.unit.is_empty() {
            self.has_bare_null = true;
        } else if let Some(units) = self.units.get_mut(row.point)
            && !units.contains(row.unit)
        {
            units.insert(row.unit.to_owned());
        }
        *self.quality.entry(row.quality.as_str()).or_default() += 1;
        self.nulls += u64::from(row.value.is_none());
    }

    /// The rows of another one as well.
    pub(crate) fn add_all(&mut self, other: Summary) {
        self.first = [self.first, other.first].into_iter().flatten().min();
        self.last = self.last.max(other.last);
        for (point, units) in other.units {
            self.units.entry(point).or_default().extend(units);
        }
        for (quality, rows) in other.quality {
            *self.quality.entry(quality).or_default() += rows;
        }
        self.nulls += other.nulls;
        self.has_bare_null |= other.has_bare_null;
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
    units: BTreeSet<&'a str>,
    quality: BTreeMap<&'static str, u64>,
    nulls: u64,
    format: &'a str,
    bytes: u64,
    sha256: &'a str,
    previous: Option<Previous>,
}

/// The manifest that was recorded before.
#[derive(Serialize)]
pub(crate) struct Previous {
    pub(crate) name: String,
    pub(crate) sha256: String,
}

/// The bytes of a manifest: a function of the slice, the job and the manifest before it.
pub(crate) fn text(
    job: &JobRun<'_>,
    slice: &NewSlice,
    summary: &Summary,
    previous: Option<Previous>,
) -> Result<String, Failure> {
    let mut quality: BTreeMap<&'static str, u64> = Quality::ALL.iter().map(|q| (q.as_str(), 0)).collect();
    quality.extend(&summary.quality);
    let units = summary.units.values().flatten().map(String::as_str);
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
        points: summary.units.len(),
        units: units.chain(summary.has_bare_null.then_some("")).collect(),
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

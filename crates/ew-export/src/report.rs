//! What a run did, for `--json` and the exit code.

use ew_cli::Failure;
use ew_config::{Received, Setting};
use ew_core::{Exit, PartOutcome, Timestamp, Window};
use ew_store::Delivery;
use serde::{Serialize, Serializer};

/// `--json`: one document.
#[derive(Debug, Default, Serialize)]
pub struct RunReport {
    /// Each job of the run.
    pub jobs: Vec<JobReport>,
}

/// One job.
#[derive(Debug, Serialize)]
pub struct JobReport {
    /// Its name.
    pub job: String,
    /// How it ended.
    pub outcome: Outcome,
    /// How far it has come.
    #[serde(serialize_with = "optional_time")]
    pub bookmark: Option<Timestamp>,
    /// What it did, in order.
    pub slices: Vec<SliceReport>,
    /// Why the job failed, where no slice says so.
    pub error: Option<String>,
    /// `--dry-run`: what it has of its profile.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<ProfileReport>,
    /// Its part in the exit code.
    #[serde(skip)]
    pub part: PartOutcome,
}

/// What a job has of its profile.
#[derive(Debug, Serialize)]
pub struct ProfileReport {
    /// Its name.
    pub name: String,
    /// What it set.
    pub sets: Vec<SettingReport>,
    /// Keys that it has and the job says itself.
    pub own: Vec<String>,
}

/// One key that a profile set.
#[derive(Debug, Serialize)]
pub struct SettingReport {
    /// Dotted, as it would stand in the job.
    pub key: String,
    /// As TOML.
    pub value: String,
}

/// How a job or a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// At the receiver.
    Delivered,
    /// No rows.
    Empty,
    /// It waits: for a person, or for the clock to be good.
    Held,
    /// Not at the receiver; the next run tries again.
    Failed,
    /// Due.
    Planned,
    /// Another run holds the job.
    Busy,
}

/// One slice.
#[derive(Debug, Clone, Serialize)]
pub struct SliceReport {
    /// Its name at the receiver.
    pub name: Option<String>,
    /// Its first instant.
    #[serde(serialize_with = "time")]
    pub start: Timestamp,
    /// The first instant after it.
    #[serde(serialize_with = "time")]
    pub end: Timestamp,
    /// Its revision; 0 is the first delivery.
    pub rev: u32,
    /// Samples in the file; of a job with intervals one per point and interval.
    pub rows: u64,
    /// Size of the file.
    pub bytes: Option<u64>,
    /// Of the file, lower-case hex.
    pub sha256: Option<String>,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it failed.
    pub error: Option<String>,
    /// `--dry-run`: why it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl SliceReport {
    /// Slots without rows.
    pub(crate) fn empty(window: Window) -> SliceReport {
        SliceReport {
            name: None,
            start: window.start,
            end: window.end,
            rev: 0,
            rows: 0,
            bytes: None,
            sha256: None,
            outcome: Outcome::Empty,
            error: None,
            why: None,
        }
    }

    /// A slice of the ledger.
    pub(crate) fn of(slice: &Delivery, outcome: Outcome, error: Option<String>) -> SliceReport {
        SliceReport {
            name: slice.name.clone(),
            rev: slice.rev,
            rows: slice.rows,
            bytes: slice.bytes,
            sha256: slice.sha256.clone(),
            outcome,
            error,
            ..SliceReport::empty(slice.window)
        }
    }
}

impl From<&Received> for ProfileReport {
    fn from(received: &Received) -> ProfileReport {
        let setting = |s: &Setting| SettingReport { key: s.key.clone(), value: s.value.clone() };
        ProfileReport {
            name: received.profile.clone(),
            sets: received.sets.iter().map(setting).collect(),
            own: received.own.clone(),
        }
    }
}

impl JobReport {
    pub(crate) fn new(job: &str) -> JobReport {
        JobReport {
            job: job.to_owned(),
            outcome: Outcome::Empty,
            bookmark: None,
            slices: Vec::new(),
            error: None,
            profile: None,
            part: PartOutcome::Done,
        }
    }

    /// One more of its slices failed: the highest of their codes is the job's.
    pub(crate) fn fail_more(&mut self, failure: &Failure) {
        match self.part {
            PartOutcome::Failed(exit) if exit > failure.exit => {}
            _ => self.fail(failure),
        }
    }

    /// The job failed, or found the lock held.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.error = Some(failure.message.clone());
        self.part = PartOutcome::ended_with(failure.exit);
        self.outcome = match failure.exit {
            Exit::Busy => Outcome::Busy,
            Exit::NoData => Outcome::Empty,
            _ => Outcome::Failed,
        };
    }
}

pub(crate) fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

pub(crate) fn optional_time<S: Serializer>(
    time: &Option<Timestamp>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

//! What a run did, for `--json` and the exit code.

use ew_cli::Failure;
use ew_core::{Exit, PartOutcome, Timestamp, Window};
use ew_store::Delivery;
use serde::{Serialize, Serializer};

/// `--json`: one document.
#[derive(Debug, Default, Serialize)]
pub(crate) struct RunReport {
    pub(crate) jobs: Vec<JobReport>,
}

/// One job.
#[derive(Debug, Serialize)]
pub(crate) struct JobReport {
    pub(crate) job: String,
    pub(crate) outcome: Outcome,
    #[serde(serialize_with = "optional_time")]
    pub(crate) bookmark: Option<Timestamp>,
    pub(crate) slices: Vec<SliceReport>,
    /// Why the job failed, where no slice says so.
    pub(crate) error: Option<String>,
    #[serde(skip)]
    pub(crate) part: PartOutcome,
}

/// How a job or a slice ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    Delivered,
    Empty,
    Failed,
    Planned,
    Busy,
}

/// One slice.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct SliceReport {
    pub(crate) name: Option<String>,
    #[serde(serialize_with = "time")]
    pub(crate) start: Timestamp,
    #[serde(serialize_with = "time")]
    pub(crate) end: Timestamp,
    pub(crate) rev: u32,
    /// Samples in the file; of a job with intervals one per point and interval.
    pub(crate) rows: u64,
    pub(crate) bytes: Option<u64>,
    pub(crate) sha256: Option<String>,
    pub(crate) outcome: Outcome,
    pub(crate) error: Option<String>,
    /// `--dry-run`: why it is due.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<String>,
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

impl JobReport {
    pub(crate) fn new(job: &str) -> JobReport {
        JobReport {
            job: job.to_owned(),
            outcome: Outcome::Empty,
            bookmark: None,
            slices: Vec::new(),
            error: None,
            part: PartOutcome::Done,
        }
    }

    /// The job failed, or found the lock held.
    pub(crate) fn fail(&mut self, failure: &Failure) {
        self.error = Some(failure.message.clone());
        (self.outcome, self.part) = match failure.exit {
            Exit::Busy => (Outcome::Busy, PartOutcome::Idle(Exit::Busy)),
            Exit::NoData => (Outcome::Empty, PartOutcome::Idle(Exit::NoData)),
            exit => (Outcome::Failed, PartOutcome::Failed(exit)),
        };
    }
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

fn optional_time<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

//! One attempt at a recorded slice, and what the next one has to know of it.

use crate::beside::DocumentFile;
use crate::deliver::Courier;
use crate::job::JobRun;
use ew_cli::{Failure, crash};
use ew_core::Exit;
use ew_store::{Attempt, Beside, Delivery, Job, Progress, StoreError};
use ew_transport::{How, Mark, Parcel, Receipt, Steps, TransportError};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::path::Path;

/// A slice, and all that is known of its delivery.
pub(crate) struct Sending<'a> {
    pub(crate) known: &'a Job,
    pub(crate) slice: &'a Delivery,
    pub(crate) attempt: Attempt,
    /// In the spool.
    pub(crate) file: &'a Path,
    pub(crate) beside: &'a [DocumentFile],
    pub(crate) destination: &'a str,
    /// The first attempt of the run that made the files, or held them to their hashes.
    pub(crate) is_fresh: bool,
    pub(crate) sent_before: bool,
    pub(crate) reached: &'a [String],
}

/// Which side failed.
pub(crate) enum SendError {
    Here(Failure),
    There(TransportError),
}

impl From<StoreError> for SendError {
    fn from(error: StoreError) -> SendError {
        SendError::Here(error.into())
    }
}

impl From<TransportError> for SendError {
    fn from(error: TransportError) -> SendError {
        SendError::There(error)
    }
}

/// One of the files of a slice.
struct Piece<'a> {
    name: &'a str,
    file: &'a Path,
    bytes: u64,
    sha256: &'a str,
    rows: Option<u64>,
    /// How far the slice has come when it is whole under its temporary name, and when it is not.
    whole: Progress,
    before: Progress,
}

/// A receipt that tells of a document beside the file too.
fn with(receipt: &str, kind: Beside, told: &Receipt) -> serde_json::Result<String> {
    let mut all: Map<String, Value> = serde_json::from_str(receipt)?;
    all.insert(kind.as_str().to_owned(), serde_json::to_value(told)?);
    Ok(Value::Object(all).to_string())
}

impl Sending<'_> {
    /// Brings the slice to its receiver, the file first and then what lies beside it, each of them once. The receipt,
    /// JSON.
    pub(crate) fn run(&self, job: &mut JobRun<'_>, courier: &mut Courier) -> Result<String, SendError> {
        let mut receipt = match &self.attempt {
            Attempt { progress, receipt: Some(receipt), .. } if progress.has_data() => receipt.clone(),
            _ => self.send_data(job, courier)?,
        };
        let mut before = Progress::DataThere;
        for file in self.beside {
            let there = Progress::there(file.kind);
            if !self.attempt.progress.has(file.kind) {
                let piece = Piece {
                    name: &file.kind.name(&self.attempt.name),
                    file: &file.path,
                    bytes: file.bytes,
                    sha256: &file.sha256,
                    rows: None,
                    whole: Progress::whole(file.kind),
                    before,
                };
                let told = self.send(job, courier, &piece)?;
                crash::boundary(match file.kind {
                    Beside::Metadata => "described",
                    Beside::Manifest => "manifested",
                });
                receipt = with(&receipt, file.kind, &told)
                    .map_err(|e| SendError::Here(Failure::of(Exit::Io, &e).of_part("receipt")))?;
                if let Some(there) = there {
                    job.log.ledger().advance(self.slice, there, Some(&receipt))?;
                }
            }
            before = there.unwrap_or(before);
        }
        Ok(receipt)
    }

    fn send_data(&self, job: &mut JobRun<'_>, courier: &mut Courier) -> Result<String, SendError> {
        let piece = Piece {
            name: &self.attempt.name,
            file: self.file,
            bytes: self.slice.bytes.unwrap_or(0),
            sha256: self.slice.sha256.as_deref().unwrap_or_default(),
            rows: Some(self.slice.rows),
            whole: Progress::DataWhole,
            before: Progress::Nothing,
        };
        let receipt = self.send(job, courier, &piece)?;
        crash::boundary("delivered");
        let receipt = serde_json::to_string(&receipt)
            .map_err(|e| SendError::Here(Failure::of(Exit::Io, &e).of_part("receipt")))?;
        if !self.beside.is_empty() {
            job.log.ledger().advance(self.slice, Progress::DataThere, Some(&receipt))?;
        }
        Ok(receipt)
    }

    fn send(
        &self,
        job: &mut JobRun<'_>,
        courier: &mut Courier,
        piece: &Piece<'_>,
    ) -> Result<Receipt, SendError> {
        let was_whole = self.attempt.progress == piece.whole;
        let ledger = job.log.ledger();
        // A slice that is sent again, or a revision under the one name that its template gives.
        let name = &self.attempt.name;
        let may_replace = ledger.stood_there(self.known, self.slice.window, self.destination, name)?;
        let earlier = match was_whole {
            true => ledger.placed_before(self.known, self.slice, self.destination)?,
            false => None,
        };
        let ext = job.options.extension();
        let Delivery { window, rev, as_of_seq, count, .. } = self.slice;
        let fields = job.fields(&ext, *window, *rev, *as_of_seq, count.unwrap_or(0));
        let ledger = RefCell::new(job.log.ledger());
        let mark = |is_whole| {
            let progress = if is_whole { piece.whole } else { piece.before };
            ledger.borrow_mut().advance(self.slice, progress, None).map_err(|e| e.to_string())?;
            crash::boundary("marked");
            Ok(())
        };
        let parcel = Parcel {
            name: piece.name,
            file: piece.file,
            bytes: piece.bytes,
            sha256: piece.sha256,
            is_checked: self.is_fresh,
            rows: piece.rows,
            sent_before: self.sent_before,
            was_whole,
            earlier: earlier.as_deref(),
            may_replace,
            reached: self.reached,
            fields,
            mark: Mark(&mark),
            steps: Steps(&crash::boundary),
        };
        let receipt = courier.send(job.config, job.options, &parcel)?;
        if receipt.how == How::Taken {
            job.report.warning(format_args!(
                "{}: {} counts as delivered: it was whole at {}, where files are taken away, and its last step was \
                 not answered; if they do not have it: ew-ledger resend {} {name}",
                job.options.name, piece.name, self.destination, job.options.name
            ));
        }
        Ok(receipt)
    }
}

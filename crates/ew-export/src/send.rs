//! One attempt at a recorded slice, and what the next one has to know of it.

use crate::deliver::Courier;
use crate::job::JobRun;
use crate::manifest::sha256_of;
use ew_cli::{Failure, crash};
use ew_core::Exit;
use ew_store::{Attempt, Delivery, Job, MANIFEST_SUFFIX, Progress, StoreError};
use ew_transport::{How, Mark, Parcel, Receipt, Steps, TransportError};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::path::{Path, PathBuf};

/// A slice, and all that is known of its delivery.
pub(crate) struct Sending<'a> {
    pub(crate) known: &'a Job,
    pub(crate) slice: &'a Delivery,
    pub(crate) attempt: Attempt,
    /// In the spool.
    pub(crate) file: &'a Path,
    pub(crate) manifest: Option<&'a ManifestFile>,
    pub(crate) destination: &'a str,
    pub(crate) sent_before: bool,
    pub(crate) reached: &'a [String],
}

/// A manifest as a file in the spool, there for as long as its slice is being sent: the log keeps its text.
pub(crate) struct ManifestFile {
    path: PathBuf,
    bytes: u64,
    sha256: String,
}

impl ManifestFile {
    /// Writes it beside the file of its slice.
    pub(crate) fn write(slice: &Path, text: String) -> Result<ManifestFile, Failure> {
        let mut path = slice.as_os_str().to_owned();
        path.push(MANIFEST_SUFFIX);
        let path = PathBuf::from(path);
        std::fs::write(&path, &text)
            .map_err(|e| Failure::new(Exit::Io, format!("cannot write {}: {e}", path.display())))?;
        Ok(ManifestFile { path, bytes: text.len() as u64, sha256: sha256_of(&text) })
    }
}

impl Drop for ManifestFile {
    fn drop(&mut self) {
        // The next run cleans the spool.
        let _ = std::fs::remove_file(&self.path);
    }
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

impl Sending<'_> {
    /// Brings the slice to its receiver, the file first and then its manifest, each of them once. The receipt, JSON.
    pub(crate) fn run(&self, job: &mut JobRun<'_>, courier: &mut Courier) -> Result<String, SendError> {
        let data = match &self.attempt {
            Attempt {
                progress: Progress::DataThere | Progress::ManifestWhole,
                receipt: Some(receipt),
                ..
            } => receipt.clone(),
            _ => self.send_data(job, courier)?,
        };
        let Some(manifest) = self.manifest else { return Ok(data) };
        let piece = Piece {
            name: &format!("{}{MANIFEST_SUFFIX}", self.attempt.name),
            file: &manifest.path,
            bytes: manifest.bytes,
            sha256: &manifest.sha256,
            rows: None,
            whole: Progress::ManifestWhole,
            before: Progress::DataThere,
        };
        let receipt = self.send(job, courier, &piece)?;
        crash::boundary("manifested");
        let unreadable = |e: serde_json::Error| SendError::Here(Failure::of(Exit::Io, &e).of_part("receipt"));
        let mut both: Map<String, Value> = serde_json::from_str(&data).map_err(unreadable)?;
        both.insert("manifest".to_owned(), serde_json::to_value(&receipt).map_err(unreadable)?);
        Ok(Value::Object(both).to_string())
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
        if self.manifest.is_some() {
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

//! One attempt at a recorded slice, and what the next one has to know of it.

use crate::deliver::Courier;
use crate::job::JobRun;
use ew_cli::{Failure, crash};
use ew_core::Exit;
use ew_store::{Attempt, Delivery, Job, Progress, StoreError};
use ew_transport::{How, Mark, Parcel, Steps, TransportError};
use std::cell::RefCell;
use std::path::Path;

/// A slice, and all that is known of its delivery.
pub(crate) struct Sending<'a> {
    pub(crate) known: &'a Job,
    pub(crate) slice: &'a Delivery,
    pub(crate) attempt: Attempt,
    /// In the spool.
    pub(crate) file: &'a Path,
    pub(crate) destination: &'a str,
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

impl Sending<'_> {
    /// Brings the slice to its receiver. The receipt, JSON.
    pub(crate) fn run(&self, job: &mut JobRun<'_>, courier: &mut Courier) -> Result<String, SendError> {
        let (name, was_whole) = (&self.attempt.name, self.attempt.progress == Progress::DataWhole);
        let ledger = job.log.ledger();
        // A slice that is sent again, or a revision under the one name that its template gives.
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
            let progress = if is_whole { Progress::DataWhole } else { Progress::Nothing };
            ledger.borrow_mut().advance(self.slice, progress, None).map_err(|e| e.to_string())?;
            crash::boundary("marked");
            Ok(())
        };
        let parcel = Parcel {
            name,
            file: self.file,
            bytes: self.slice.bytes.unwrap_or(0),
            sha256: self.slice.sha256.as_deref().unwrap_or_default(),
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
        crash::boundary("delivered");
        if receipt.how == How::Taken {
            job.report.warning(format_args!(
                "{}: {name} counts as delivered: it was whole at {}, where files are taken away, and its last step \
                 was not answered; if they do not have it: ew-ledger resend {} {name}",
                job.options.name, self.destination, job.options.name
            ));
        }
        serde_json::to_string(&receipt)
            .map_err(|e| SendError::Here(Failure::of(Exit::Io, &e).of_part("receipt")))
    }
}

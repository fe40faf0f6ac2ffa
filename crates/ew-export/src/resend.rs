//! A slice again, byte for byte as recorded. The bookmark stays where it is.

use crate::deliver::{self, Courier, Delivered};
use crate::job::JobRun;
use crate::report::JobReport;
use crate::{kept, render};
use ew_cli::{Failure, Lock, Report};
use ew_config::{Config, ExportOptions};
use ew_store::{Delivery, Job, Log};

/// Sends recorded slices of one job again: from the kept files, or rendered again where that gives the very
/// same bytes. Nothing is sent of one that no longer can be; the others go all the same. The lock is that of the job, taken
/// before they were chosen.
pub fn resend(
    config: &Config,
    options: &ExportOptions,
    log: &mut Log,
    slices: &[Delivery],
    lock: Lock,
    report: Report,
) -> JobReport {
    let mut job = JobRun { lock: Some(lock), ..JobRun::new(config, options, log, report) };
    if let Err(failure) = send(&mut job, slices) {
        job.result.fail(&failure);
        report.failure(&failure.of_part(&options.name));
    }
    job.finish()
}

fn send(job: &mut JobRun<'_>, slices: &[Delivery]) -> Result<(), Failure> {
    let Some(known) = job.known()? else { return Ok(()) };
    let mut courier = Courier::new();
    for slice in slices {
        let again = match recorded_file(job, &known, slice) {
            Ok(again) => again,
            // The others can still be had.
            Err(failure) => {
                job.fail_slice(slice, &failure);
                continue;
            }
        };
        if deliver::deliver(job, &mut courier, &known, again.into())? == Delivered::GaveUp {
            break;
        }
    }
    Ok(())
}

/// The slice with its file back in the spool.
fn recorded_file(job: &mut JobRun<'_>, known: &Job, slice: &Delivery) -> Result<Delivery, Failure> {
    let spool = match (&slice.spool, &slice.kept) {
        (Some(spool), _) => spool.clone(),
        (None, Some(kept)) => kept::spool_name(kept).to_owned(),
        (None, None) => render::spool_name(job.options, slice.window, slice.rev),
    };
    deliver::restore_spool(job, known, Delivery { spool: Some(spool), ..slice.clone() })
}

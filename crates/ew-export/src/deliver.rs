//! From the spool to the receiver: look, send, check, and commit receipt and bookmark together.

use crate::ahead::Ahead;
use crate::beside::{self, DocumentFile, Recorded};
use crate::job::JobRun;
use crate::kept::{self, Keeping};
use crate::meter::sha256_of_all;
use crate::render::{self, Piece};
use crate::report::{Outcome, SliceReport};
use crate::send::{SendError, Sending};
use crate::{due, late, split};
use ew_cli::{Failure, clock, crash};
use ew_config::{Config, ExportOptions};
use ew_core::{Contents, Exit, PartOutcome};
use ew_store::{Delivery, Job, Placed, Seqs};
use ew_transport::{Context, Parcel, Receipt, TransportError, Transporter};
use std::fs::File;
use std::thread;
use std::time::Duration;

/// Waits are between half a second and ten: from one step to twice that, and the step doubles.
const STEP_FIRST: Duration = Duration::from_millis(500);
const STEP_MAX: Duration = Duration::from_secs(5);
const WAIT_MAX: Duration = Duration::from_secs(10);

/// The way to the receiver: one connection as long as it lasts, and attempts in a row without success.
pub(crate) struct Courier {
    transporter: Option<Box<dyn Transporter>>,
    failures: u32,
}

impl Courier {
    pub(crate) fn new() -> Courier {
        Courier { transporter: None, failures: 0 }
    }

    pub(crate) fn send(
        &mut self,
        config: &Config,
        options: &ExportOptions,
        parcel: &Parcel<'_>,
    ) -> Result<Receipt, TransportError> {
        let transporter = match &mut self.transporter {
            Some(transporter) => transporter,
            none => {
                let context = Context {
                    base: config.base(),
                    timeout: options.timeout,
                    resolve: &|source| config.secret(source),
                };
                none.insert(options.transport.open(&context)?)
            }
        };
        transporter.deliver(parcel)
    }
}

/// Finishes what earlier runs left, then sends what is due, in order of time.
pub(crate) fn due(job: &mut JobRun<'_>) -> Result<(), Failure> {
    let mut known = job.begin()?;
    let mut courier = Courier::new();
    if !finish_recorded(job, &mut courier, &known)? {
        return Ok(());
    }
    known = job.known()?.unwrap_or(known);
    job.stage("looking for what is due");
    let mut plan = due::due(job, Some(&known))?;
    if plan.is_noop {
        return Ok(());
    }
    // What is placed below moves on the seq up to which the job has looked, so what came late is recorded first.
    late::record(job, &known, &plan)?;
    // On a doubtful clock polls go on for slots that were sent: their rows go out together, once it is good.
    if job.doubt.is_none() && !late::send(job, &mut courier, &known)? {
        return Ok(());
    }
    if let Some(refused) = plan.refused {
        return Err(refused);
    }
    known = job.known()?.unwrap_or(known);
    split::cut(job, &mut plan)?;
    if !window(job, &mut courier, &mut known, &plan)? {
        return Ok(());
    }
    kept::expire(job, &known)?;
    if let Some(doubt) = job.doubt.clone() {
        job.wait_for_clock(&doubt);
        return Ok(());
    }
    let sent = job.result.slices.iter().any(|slice| slice.outcome == Outcome::Delivered);
    if !sent && job.result.part == PartOutcome::Done && plan.window.is_none_or(|window| !window.is_empty()) {
        let what = match plan.window {
            None => "the log has no row of its points".to_owned(),
            Some(window) => format!("no row from {} to {}", window.start, window.end),
        };
        job.report.note(format_args!("{}: no data: {what}", job.options.name));
        job.result.part = PartOutcome::Idle(Exit::NoData);
    }
    Ok(())
}

/// Sends the slices of the window, in order of time. Whether all are placed.
fn window(
    job: &mut JobRun<'_>,
    courier: &mut Courier,
    known: &mut Job,
    plan: &due::Plan,
) -> Result<bool, Failure> {
    let scope = job.scope();
    let columns: Vec<_> = plan.due.iter().map(|due| due::columns(job, &due.contents)).collect();
    let with_columns = || plan.due.iter().zip(&columns);
    let pieces: Vec<_> = with_columns()
        .filter(|(due, _)| due.contents != Contents::Empty)
        .map(|(due, columns)| Piece {
            window: due.window,
            columns: columns.as_deref().unwrap_or_default(),
            seqs: Seqs { up_to: plan.as_of_seq, ..Seqs::ALL },
            scope: &scope,
        })
        .collect();
    thread::scope(|threads| {
        let ahead = Ahead::start(threads, job, &pieces);
        let (mut pieces, mut passed_over) = (pieces.iter(), None);
        for (due, columns) in with_columns() {
            let piece = if due.contents == Contents::Empty { None } else { pieces.next() };
            let Some(piece) = piece else {
                passed_over = Some(due.window);
                job.result.slices.push(SliceReport::empty(due.window));
                continue;
            };
            job.stage(&format!("rendering the slice from {}", piece.window.start));
            let file = ahead.next(job, piece)?;
            let slice = render::describe(job, piece, columns.clone(), 0, known.slices + 1, file)?;
            let slice = beside::record(job, known, passed_over.take(), slice)?;
            known.slices += 1;
            if deliver(job, courier, known, slice)? != Delivered::Placed {
                return Ok(false);
            }
        }
        Ok(true)
    })
}

/// Delivers the slices that an earlier run rendered and did not place, as recorded. A failed one ends those
/// after it, but a revision or a back-fill holds back only its own slot. Whether to go on.
pub(crate) fn finish_recorded(
    job: &mut JobRun<'_>,
    courier: &mut Courier,
    known: &Job,
) -> Result<bool, Failure> {
    let unfinished = job.log.ledger().unfinished(known)?;
    let owned: Vec<String> = unfinished.iter().filter_map(|slice| slice.spool.clone()).collect();
    render::clean_spool(job, &owned);
    for slice in unfinished {
        let is_ordinary = known.bookmark.is_none_or(|bookmark| slice.window.end > bookmark);
        let slice = match restore_spool(job, known, slice.clone()) {
            Ok(slice) => slice,
            Err(failure) if !is_ordinary => {
                // One that was delivered before is told once: the next run does not try to send it again.
                job.log.ledger().failed(&slice, &failure.message, &slice.reached)?;
                job.fail_slice(&slice, &failure);
                continue;
            }
            Err(failure) => return Err(failure),
        };
        match deliver(job, courier, known, slice.into())? {
            Delivered::Placed => {}
            Delivered::Failed if !is_ordinary => {}
            Delivered::Failed | Delivered::GaveUp => return Ok(false),
        }
    }
    Ok(true)
}

/// Makes sure that the spool holds the file as recorded: in place of a missing or damaged one comes the kept one, or it is
/// rendered again and must come out the same. The slice with the file that it has now.
pub(crate) fn restore_spool(job: &mut JobRun<'_>, known: &Job, slice: Delivery) -> Result<Delivery, Failure> {
    let Some(spool) = &slice.spool else { return Ok(slice) };
    let path = render::spool_file(job, spool);
    let is_there =
        || File::open(&path).and_then(sha256_of_all).is_ok_and(|hash| Some(&hash) == slice.sha256.as_ref());
    if is_there() || kept::restore(job, &slice, spool) && is_there() {
        return Ok(slice);
    }
    let (columns, scope) = (slice.columns.clone(), job.scope_at(known, slice.window.start)?);
    let piece = Piece {
        window: slice.window,
        columns: columns.as_deref().unwrap_or_default(),
        seqs: Seqs { after: slice.after_seq.unwrap_or(0), up_to: slice.as_of_seq },
        scope: &scope,
    };
    let again = render::to_spool(job, &piece, columns.clone(), slice.rev, slice.count.unwrap_or(0))?.slice;
    if Some(&again.sha256) == slice.sha256.as_ref() {
        return Ok(Delivery { spool: Some(again.spool), ..slice });
    }
    // What came out is nobody's slice.
    let _ = std::fs::remove_file(render::spool_file(job, &again.spool));
    let name = slice.name.as_deref().unwrap_or("the slice");
    let file = slice.kept.as_deref().map_or(path, |kept| kept::path(job, kept));
    Err(Failure::new(
        Exit::Io,
        format!(
            "{name} was recorded with sha256 {}, and its file {} is gone or damaged",
            slice.sha256.as_deref().unwrap_or("?"),
            file.display()
        ),
    )
    .hint("rendered again it differs: the job or its rows changed; restore that file from a backup"))
}

/// What came of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Delivered {
    /// It is at the receiver.
    Placed,
    /// The receiver does not take this one.
    Failed,
    /// The receiver takes nothing now: the next slice would fare no better.
    GaveUp,
}

/// Sends one recorded slice, with as many attempts as the job allows. Its file in the spool was made or checked by this
/// run. A failure is noted in the ledger and in the report; an error is one of this side.
pub(crate) fn deliver(
    job: &mut JobRun<'_>,
    courier: &mut Courier,
    known: &Job,
    recorded: Recorded,
) -> Result<Delivered, Failure> {
    let Recorded { slice, keeping } = recorded;
    let slice = &slice;
    crash::boundary("recorded");
    let spool = slice.spool.clone().unwrap_or_default();
    let path = render::spool_file(job, &spool);
    let destination = job.destination();
    let ext = job.options.extension();
    let (mut is_fresh, mut sent_before) = (true, slice.attempts > 0);
    let mut reached = slice.reached.clone();
    let documents = job.log.ledger().beside(slice)?.into_iter();
    let beside = documents.map(|one| DocumentFile::write(&path, one)).collect::<Result<Vec<_>, _>>()?;
    let mut keeping = keeping.or_else(|| {
        let contents = (slice.bytes?, slice.sha256.as_deref()?);
        Keeping::start(job, &spool, contents, None)
    });
    loop {
        let attempt = job.log.ledger().sending(known, slice, &destination, &ext)?;
        crash::boundary("noted");
        let name = attempt.name.clone();
        job.stage(&format!("sending {name} to {destination}"));
        let sending = Sending {
            known,
            slice,
            attempt,
            file: &path,
            beside: &beside,
            destination: &destination,
            is_fresh,
            sent_before,
            reached: &reached,
        };
        let error = match sending.run(job, courier) {
            Ok(receipt) => {
                let kept = keeping.take().and_then(|keeping| keeping.keep(job));
                crash::boundary("kept");
                let placed = Placed {
                    name: &name,
                    destination: &destination,
                    receipt: &receipt,
                    kept: kept.as_deref(),
                    at: clock::now(),
                };
                if let Err(error) = job.log.ledger().place(known, slice, &placed) {
                    let failure =
                        Failure::from(error).of_part(&format!("{name} is placed, its receipt is not kept"));
                    job.result.slices.push(SliceReport::of(
                        slice,
                        Outcome::Failed,
                        Some(failure.message.clone()),
                    ));
                    return Err(failure);
                }
                crash::boundary("placed");
                courier.failures = 0;
                // A run killed here leaves the file; the next one cleans the spool.
                let _ = std::fs::remove_file(&path);
                drop(beside);
                crash::boundary("cleaned");
                job.report.note(format_args!(
                    "{}: {name} delivered: rows {}, bytes {}",
                    job.options.name,
                    slice.rows,
                    slice.bytes.unwrap_or(0)
                ));
                let named = Delivery { name: Some(name), ..slice.clone() };
                job.result.slices.push(SliceReport::of(&named, Outcome::Delivered, None));
                return Ok(Delivered::Placed);
            }
            Err(SendError::Here(failure)) => return Err(failure),
            Err(SendError::There(error)) => error,
        };
        sent_before = true;
        is_fresh = false;
        courier.failures += u32::from(error.is_retryable());
        reached.extend_from_slice(error.reached());
        let failure = Failure::of(error.exit(), &error).maybe_hint(error.hint());
        job.log.ledger().failed(slice, &failure.message, &reached)?;
        let exhausted = courier.failures >= job.options.connection_attempts;
        let gave_up = exhausted || error.is_of_receiver();
        // One that asks for longer than a run waits is left to the next run.
        let asked = error.wait();
        if !error.is_retryable() || exhausted || asked > WAIT_MAX {
            job.fail_slice(slice, &failure);
            return Ok(if gave_up { Delivered::GaveUp } else { Delivered::Failed });
        }
        let wait = back_off(courier.failures, fastrand::f64()).max(asked);
        job.report.detail(format_args!(
            "{}: {}; trying again in {:.1} s",
            job.options.name,
            failure.message,
            wait.as_secs_f64()
        ));
        job.stage(&format!("waiting to send {name} again"));
        thread::sleep(wait);
    }
}

/// How long to wait after so many failures in a row, one or more. `random` is in 0..1: sites that lost one receiver
/// together do not come back to it together.
fn back_off(failures: u32, random: f64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    STEP_FIRST.saturating_mul(doubled).min(STEP_MAX).mul_f64(1.0 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_stay_between_half_a_second_and_ten() {
        let secs = |failures, random| back_off(failures, random).as_secs_f64();
        let least: Vec<f64> = (1..=6).map(|failures| secs(failures, 0.0)).collect();
        assert_eq!(least, [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]);
        let last = 1.0 - f64::EPSILON;
        for failures in [0, 1, 2, 3, 4, 5, 40, u32::MAX] {
            for random in [0.0, 0.1, 0.5, 0.999, last] {
                let wait = back_off(failures, random);
                assert!((0.5..=10.0).contains(&wait.as_secs_f64()), "{failures} {random} {wait:?}");
            }
            assert!(secs(failures, last) > 1.9 * secs(failures, 0.0), "{failures}: it varies");
        }
    }
}

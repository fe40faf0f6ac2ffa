//! One job of a run.

use crate::render::Renderer;
use crate::report::{JobReport, Outcome, SliceReport};
use ew_cli::{Failure, Lock, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Anchors, ClockDoubt, Exit, NameFields, PartOutcome, Timestamp, When, Window};
use ew_store::{Delivery, Job, Log, Scope};

/// A job with all that its steps need.
pub(crate) struct JobRun<'a> {
    pub(crate) config: &'a Config,
    pub(crate) options: &'a ExportOptions,
    pub(crate) log: &'a mut Log,
    pub(crate) breakup: bool,
    pub(crate) end: Option<When>,
    pub(crate) range: Option<(When, When)>,
    pub(crate) report: Report,
    pub(crate) lock: Option<Lock>,
    /// The present, or while the clock is in doubt the last time that was good.
    pub(crate) now: Timestamp,
    pub(crate) doubt: Option<ClockDoubt>,
    pub(crate) result: JobReport,
}

impl<'a> JobRun<'a> {
    pub(crate) fn new(
        config: &'a Config,
        options: &'a ExportOptions,
        log: &'a mut Log,
        report: Report,
    ) -> JobRun<'a> {
        JobRun {
            config,
            options,
            log,
            breakup: options.breakup_on_period,
            end: None,
            range: None,
            report,
            lock: None,
            now: clock::now(),
            doubt: None,
            result: JobReport::new(&options.name),
        }
    }

    /// Says what the job is doing: for whoever finds the lock held, for the watchdog, for `-v`.
    pub(crate) fn stage(&self, stage: &str) {
        self.report.detail(format_args!("{}: {stage}", self.options.name));
        if let Some(lock) = &self.lock {
            lock.stage(stage);
        }
    }

    /// The job in the ledger, if it ever ran.
    pub(crate) fn known(&mut self) -> Result<Option<Job>, Failure> {
        Ok(self.log.ledger().job(&self.options.name)?)
    }

    /// What the job selects now.
    pub(crate) fn scope(&self) -> Scope {
        Scope { selection: self.options.selection(), since: self.options.since() }
    }

    /// What the job selected for slices that start at a time.
    pub(crate) fn scope_at(&mut self, known: &Job, start: Timestamp) -> Result<Scope, Failure> {
        let then = self.log.ledger().scope_at(known, start)?;
        Ok(then.unwrap_or_else(|| self.scope()))
    }

    /// The job in the ledger, made if it never ran; what it selects now is kept there.
    pub(crate) fn begin(&mut self) -> Result<Job, Failure> {
        self.refuse_renamed()?;
        let known = self.log.ledger().make_job(&self.options.name)?;
        let scope = self.scope();
        if self.log.ledger().note_scope(&known, &scope)? {
            self.report.warning(format_args!(
                "{}: points or since changed; the change counts from {}",
                self.options.name,
                known.bookmark.map_or("the first export".to_owned(), |bookmark| bookmark.to_string())
            ));
        }
        Ok(known)
    }

    /// A job that the ledger does not know, and one that is gone from the configuration and sent the same points
    /// to the same place: most likely it was renamed, and all of it would be sent a second time.
    pub(crate) fn refuse_renamed(&mut self) -> Result<(), Failure> {
        if self.known()?.is_some() {
            return Ok(());
        }
        let (scope, destination, name) = (self.scope(), self.destination(), &self.options.name);
        let ledger = self.log.ledger();
        for gone in ledger.jobs()? {
            let is_configured = self.config.exports.iter().any(|job| job.name == gone.name);
            let Some(bookmark) = gone.bookmark.filter(|_| !is_configured) else { continue };
            let same_points = ledger
                .scope_at(&gone, Timestamp::MAX)?
                .is_some_and(|then| then.selection == scope.selection && scope.since < bookmark);
            if same_points && ledger.last_destination(&gone)?.as_ref() == Some(&destination) {
                let text = format!(
                    "{name} never ran, and {} sent the same points to {destination} up to {bookmark}",
                    gone.name
                );
                return Err(Failure::new(Exit::Config, text).hint(format!(
                    "if it was renamed: ew-ledger rename {} {name}; if it is another job: since = \"{bookmark}\", \
                     so that nothing is sent twice",
                    gone.name
                )));
            }
        }
        Ok(())
    }

    /// What the names of a slice are made of; `ext` is what the job's options give.
    pub(crate) fn fields<'n>(
        &self,
        ext: &'n str,
        window: Window,
        rev: u32,
        seq: i64,
        count: i64,
    ) -> NameFields<'n>
    where
        'a: 'n,
    {
        NameFields {
            job: &self.options.name,
            site: &self.config.site,
            zone: &self.options.zone,
            window,
            rev,
            seq,
            count,
            ext,
        }
    }

    /// For its slices.
    pub(crate) fn renderer(&self) -> Renderer<'_> {
        Renderer { config: self.config, options: self.options, log: self.log }
    }

    /// Where it sends.
    pub(crate) fn destination(&self) -> String {
        self.options.transport.destination(self.config.base())
    }

    /// A time of the command line.
    pub(crate) fn resolve(&self, when: When) -> Result<Timestamp, Failure> {
        let rows = match when {
            When::First | When::Last => {
                let snapshot = self.log.snapshot()?;
                let selection = self.options.selection();
                snapshot.first_row(Timestamp::MIN, &selection)?.zip(snapshot.last_row(&selection)?)
            }
            _ => None,
        };
        let anchors = Anchors { zone: &self.options.zone, now: self.now, rows };
        when.resolve(&anchors).map_err(|e| Failure::of(Exit::NoData, &e))
    }

    /// Notes that a slice could not be sent, and says so.
    pub(crate) fn fail_slice(&mut self, slice: &Delivery, failure: &Failure) {
        self.result.slices.push(SliceReport::of(slice, Outcome::Failed, Some(failure.message.clone())));
        self.result.fail_more(failure);
        self.report.failure(&failure.clone().of_part(&self.options.name));
    }

    /// Notes that slots stay open until the clock is good.
    pub(crate) fn wait_for_clock(&mut self, doubt: &ClockDoubt) {
        let sent = self.result.slices.iter().any(|slice| slice.outcome == Outcome::Delivered);
        if self.result.error.is_none() && !sent {
            self.result.outcome = Outcome::Held;
            self.result.error = Some(doubt.to_string());
            self.result.part = PartOutcome::Idle(Exit::NoData);
        }
    }

    /// Notes how the job ended, from its slices where nothing else was said, and its bookmark.
    pub(crate) fn finish(mut self) -> JobReport {
        let sent = self.result.slices.iter().any(|slice| slice.outcome == Outcome::Delivered);
        if self.result.error.is_none() && sent {
            self.result.outcome = Outcome::Delivered;
        }
        self.result.bookmark = self.known().ok().flatten().and_then(|job| job.bookmark);
        self.result
    }
}

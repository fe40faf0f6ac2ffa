//! One job of a run.

use crate::report::{JobReport, Outcome};
use crate::{Args, now};
use ew_cli::{Failure, Lock, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Anchors, Exit, Timestamp, When};
use ew_store::{Job, Log};

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
    pub(crate) now: Timestamp,
    pub(crate) result: JobReport,
}

impl<'a> JobRun<'a> {
    pub(crate) fn new(
        config: &'a Config,
        options: &'a ExportOptions,
        log: &'a mut Log,
        args: &Args,
        report: Report,
    ) -> JobRun<'a> {
        let breakup = (options.breakup_on_period || args.breakup_on_period) && !args.no_breakup_on_period;
        JobRun {
            config,
            options,
            log,
            breakup,
            end: args.end,
            range: args.from.zip(args.to),
            report,
            lock: None,
            now: now(),
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

    /// Rows before it are never due.
    pub(crate) fn since(&self) -> Timestamp {
        self.options.since.unwrap_or(Timestamp::MIN)
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

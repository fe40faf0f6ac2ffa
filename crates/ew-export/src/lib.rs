//! Exports slices since the persisted last-export time: log → slice → formatter → spool → transporter →
//! ledger.
//!
//! One job at a time: [`due`] says what is due, [`split`] cuts what is too large for the receiver, [`late`] records what
//! came late, [`render`] makes a file in the spool (of the next slice [`ahead`], of a long one by [`parts`] and with the copy
//! to keep [`early`]), its rows through [`resample`] where the job has intervals, [`deliver`] brings it to the receiver, each
//! attempt by [`send`], and commits receipt and bookmark, [`kept`] keeps the file. [`manual`] sends a range again as the log
//! has it now, [`resend`](mod@resend) as it was; [`preview`] shows what would be sent, [`present`](mod@present) what a slice
//! would be now; [`meter`] counts and hashes what is written.

mod ahead;
mod beside;
mod deliver;
mod due;
mod early;
mod job;
mod kept;
mod late;
mod manifest;
mod manual;
mod meter;
mod parts;
mod present;
mod preview;
mod probe;
mod render;
mod report;
mod resample;
mod resend;
mod send;
mod split;

use clap::Parser;
use ew_cli::clock;
use ew_cli::{Common, Failure, Lock, Output, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, Span, When};
use ew_store::Log;
use job::JobRun;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

pub use kept::remove_unrecorded;
pub use meter::sha256_of;
pub use present::{Rendering, kept_file, present};
pub use report::{JobReport, Outcome, RunReport, SliceReport};
pub use resend::resend;

const EXAMPLES: &str = "\
Examples:
  ew-export                                   all jobs, as from cron
  ew-export utility --breakup-on-period       one file per slot
  ew-export utility --from 2026-03-01 --to 2026-04-01    send March again
  ew-export utility --stdout | column -ts,    look at what is due
  ew-export --check --probe utility           would a delivery work?";

/// Export what is due: each job's slices since its last export, through its formatter and transporter
#[derive(Debug, Parser)]
#[command(version, after_help = format!("{EXAMPLES}\n\n{}", Exit::HELP))]
pub struct Args {
    /// What every program has.
    #[command(flatten)]
    pub common: Common,
    /// Only these jobs [default: all]
    #[arg(value_name = "JOB")]
    pub jobs: Vec<String>,
    /// Export up to this time instead of the end of the last closed slot: RFC 3339, epoch seconds, local
    /// date or date-time, now-2h, or now (cut to the second); a job with intervals ends with a whole one
    #[arg(long, value_name = "T")]
    pub end: Option<When>,
    /// Send the slices of a range again, from here …
    #[arg(long, value_name = "T", requires = "to", conflicts_with = "end")]
    pub from: Option<When>,
    /// … to here; the bookmark stays where it is
    #[arg(long, value_name = "T", requires = "from")]
    pub to: Option<When>,
    /// One slice per slot
    #[arg(long, overrides_with = "no_breakup_on_period")]
    pub breakup_on_period: bool,
    /// One slice for the whole window
    #[arg(long, overrides_with = "breakup_on_period")]
    pub no_breakup_on_period: bool,
    /// Print the due window, or --from to --to exactly, as one document; nothing is sent or recorded
    #[arg(long, conflicts_with = "dry_run")]
    pub stdout: bool,
    /// List slices, names, rows, bytes and why each is due; nothing is sent or recorded
    #[arg(long)]
    pub dry_run: bool,
    /// So many jobs at once, so that one whose receiver is stuck does not stop the others
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=64))]
    pub parallel: u16,
    /// With --check: try each receiver end to end with a file that is taken away again (a mail server is told who a
    /// mail would be for, and gets none), and keep what it can do in the log
    #[arg(long, requires = "check")]
    pub probe: bool,
    /// Wait so long for another run of the same job
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub wait: Span,
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let report = args.common.report("ew-export");
    let config = args.common.load()?;
    let jobs = select_jobs(&config, &args.jobs)?;
    for job in &jobs {
        job.format.built().map_err(|e| not_built(&config, job, e.exit(), &e, e.hint()))?;
        job.transport.built().map_err(|e| not_built(&config, job, e.exit(), &e, e.hint()))?;
    }
    if args.common.check {
        // A key file may come later, so what is missing on this machine is a warning.
        for job in &jobs {
            if let Err(error) = job.transport.check(config.base()) {
                report.warning(format_args!("{}: {error}", job.name));
            }
        }
        if args.probe {
            return probe::probe(&config, &jobs, args.common.json, report, out);
        }
        return args.common.checked(&config, out);
    }
    if jobs.is_empty() {
        let file = config.file.display();
        return Err(Failure::new(
            Exit::Config,
            format!("{file} has no [[export]] table, so there is no job"),
        )
        .hint("fixtures/ew.toml shows one"));
    }
    if args.stdout {
        args.common.no_json(
            "--stdout",
            "--dry-run --json tells about the slices; the job's format is that of the data",
        )?;
    }
    let mut log = Log::open(&config.log.url)?;
    let clock = watched_clock(&mut log, args, report)?;
    clock.warn(report, "no slot is closed by it");
    if args.stdout {
        let [job] = jobs.as_slice() else {
            return Err(
                Failure::new(Exit::Usage, "--stdout prints one job").hint("name it: ew-export JOB --stdout")
            );
        };
        return preview::print(&mut job_run(&config, job, &mut log, args, &clock, report), out);
    }
    if args.from.is_some() && args.jobs.len() != 1 {
        return Err(Failure::new(Exit::Usage, "--from and --to send one job again")
            .hint("name it: ew-export JOB --from T --to T"));
    }
    if args.end == Some(When::First) {
        return Err(Failure::new(Exit::Usage, "--end first would export nothing"));
    }
    let run = RunReport { jobs: side_by_side(&config, &jobs, log, &clock, args, report) };
    if args.common.json {
        out.report(|out| out.json(&run))?;
    } else if args.dry_run {
        preview::list(&run, out)?;
    }
    Ok(Exit::of_parts(run.jobs.iter().map(|job| job.part)))
}

/// Runs the jobs, so many at once, and reports them in their order.
fn side_by_side(
    config: &Config,
    jobs: &[&ExportOptions],
    log: Log,
    clock: &clock::Present,
    args: &Args,
    report: Report,
) -> Vec<JobReport> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, JobReport)>> = Mutex::default();
    let work = |mut log: Log| {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            let Some(options) = jobs.get(index) else { return };
            let ended = one_job(job_run(config, options, &mut log, args, clock, report), args, report);
            record(&mut log, &ended, args);
            done.lock().unwrap_or_else(PoisonError::into_inner).push((index, ended));
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..usize::from(args.parallel).min(jobs.len()) {
            // Each worker has a connection of its own. Without one, the others do its work.
            scope.spawn(|| Log::open(&config.log.url).map(work));
        }
        work(log);
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, ended)| ended).collect()
}

/// The clock, judged. It is watched here too, where polls do not see to it: rows may come from elsewhere.
fn watched_clock(log: &mut Log, args: &Args, report: Report) -> Result<clock::Present, Failure> {
    let reading = clock::reading();
    let present = clock::present(log, reading.clone())?;
    if !args.dry_run && !args.stdout && log.clock()?.is_stale(&reading) {
        // A run that has nothing to write otherwise need not fail for it; the next one tries again.
        if let Err(error) = log.observe_clock(&reading) {
            report.warning(format_args!("the clock is not watched: {}", Failure::from(error).message));
        }
    }
    Ok(present)
}

/// A job as the command line asks for it.
fn job_run<'a>(
    config: &'a Config,
    options: &'a ExportOptions,
    log: &'a mut Log,
    args: &Args,
    clock: &clock::Present,
    report: Report,
) -> JobRun<'a> {
    let breakup = (options.breakup_on_period || args.breakup_on_period) && !args.no_breakup_on_period;
    let range = args.from.zip(args.to);
    let (now, doubt) = (clock.time, clock.doubt.clone());
    JobRun { breakup, end: args.end, range, now, doubt, ..JobRun::new(config, options, log, report) }
}

/// Runs one job; whatever happens to it, the others go on.
fn one_job(mut job: JobRun<'_>, args: &Args, report: Report) -> JobReport {
    let ended = if args.dry_run {
        preview::plan(&mut job)
    } else {
        Lock::of_job(job.config, &job.options.name, args.wait, report).and_then(|lock| {
            job.lock = Some(lock);
            match (args.from, args.to) {
                (Some(from), Some(to)) => manual::send_again(&mut job, from, to),
                _ => deliver::due(&mut job),
            }
        })
    };
    if let Err(failure) = ended {
        job.result.fail(&failure);
        report.failure(&failure.of_part(&job.options.name));
    }
    job.finish()
}

/// Keeps how the run ended, also where it could not start, for `ew-ledger status`. A log that takes no record has
/// said so before.
fn record(log: &mut Log, ended: &JobReport, args: &Args) {
    if !args.dry_run {
        let exit = Exit::of_parts([ended.part]);
        let _ = log.ledger().record_run(&ended.job, clock::now(), exit, ended.error.as_deref());
    }
}

/// What a job asks for is known, and not in this program.
fn not_built(
    config: &Config,
    job: &ExportOptions,
    exit: Exit,
    error: &dyn std::fmt::Display,
    hint: Option<&str>,
) -> Failure {
    let message = format!("{}: in the job {:?}: {error}", config.file.display(), job.name);
    Failure::new(exit, message).maybe_hint(hint)
}

/// The jobs named, or all; in the order of the configuration.
fn select_jobs<'a>(config: &'a Config, names: &[String]) -> Result<Vec<&'a ExportOptions>, Failure> {
    let all = &config.exports;
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|job| job.name == **name)) {
        let known: Vec<_> = all.iter().map(|job| job.name.as_str()).collect();
        return Err(Failure::new(Exit::Usage, format!("there is no job {unknown:?}")).hint(format!(
            "{} has: {}",
            config.file.display(),
            known.join(" ")
        )));
    }
    Ok(all.iter().filter(|job| names.is_empty() || names.contains(&job.name)).collect())
}

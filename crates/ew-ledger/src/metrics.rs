//! A textfile for node_exporter's textfile collector (the Prometheus text exposition format).

use crate::status::Status;
use ew_cli::Failure;
use ew_core::{Exit, Timestamp};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The metrics of a `status` that could not look at the log or the configuration.
pub(crate) fn of_failure(exit: Exit, now: Timestamp) -> String {
    run(exit, now)
}

/// The metrics of all jobs.
pub(crate) fn of_jobs(jobs: &[Status], exit: Exit, now: Timestamp) -> String {
    let mut text = run(exit, now);
    let seconds = |time: Timestamp| time.secs() as f64;
    gauge(
        &mut text,
        "ew_job_exported_to_seconds",
        "Rows before this time are exported, epoch seconds.",
        jobs,
        |s| s.bookmark.map(seconds),
    );
    gauge(
        &mut text,
        "ew_job_lag_seconds",
        "How long the first slot that is not exported has been closed.",
        jobs,
        |s| s.lag.map(|lag| lag.0.as_secs_f64()),
    );
    gauge(
        &mut text,
        "ew_job_last_run_seconds",
        "When it last ran, epoch seconds, also where it could not start.",
        jobs,
        |s| s.last_run.as_ref().map(|run| seconds(run.at)),
    );
    gauge(&mut text, "ew_job_last_run_exit_code", "How the last run ended.", jobs, |s| {
        s.last_run.as_ref().map(|run| f64::from(run.exit))
    });
    gauge(
        &mut text,
        "ew_job_last_good_run_seconds",
        "The last run in which nothing failed, epoch seconds.",
        jobs,
        |s| s.last_run.as_ref().and_then(|run| run.good_at).map(seconds),
    );
    head(&mut text, "ew_job_slices", "Slices that are not delivered.");
    for job in jobs {
        for (state, count) in [("open", job.open), ("held", job.held), ("failed", job.failed)] {
            let _ =
                writeln!(text, "ew_job_slices{{job=\"{}\",state=\"{state}\"}} {count}", escaped(&job.job));
        }
    }
    text
}

fn run(exit: Exit, now: Timestamp) -> String {
    let mut text = String::new();
    head(&mut text, "ew_status_seconds", "When this file was written, epoch seconds.");
    let _ = writeln!(text, "ew_status_seconds {}", now.secs());
    head(
        &mut text,
        "ew_status_exit_code",
        "0 all is well, 1 a job needs care, else why nothing could be said.",
    );
    let _ = writeln!(text, "ew_status_exit_code {}", exit.code());
    text
}

fn head(text: &mut String, name: &str, help: &str) {
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn gauge(text: &mut String, name: &str, help: &str, jobs: &[Status], value: impl Fn(&Status) -> Option<f64>) {
    head(text, name, help);
    for job in jobs {
        if let Some(value) = value(job) {
            let _ = writeln!(text, "{name}{{job=\"{}\"}} {value}", escaped(&job.job));
        }
    }
}

/// A label's value: backslash, quote and line feed are escaped.
fn escaped(label: &str) -> String {
    label.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

/// Writes the file whole or not at all: the collector may read it at any moment.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = std::fs::File::create(&part)
        .and_then(|mut out| out.write_all(text.as_bytes()).and_then(|()| out.sync_all()))
        .and_then(|()| std::fs::rename(&part, file));
    written.map_err(|e| {
        let _ = std::fs::remove_file(&part);
        Failure::new(Exit::Io, format!("cannot write {}: {e}", file.display()))
            .hint("the folder of --metrics must be there and be writable by this user")
    })
}

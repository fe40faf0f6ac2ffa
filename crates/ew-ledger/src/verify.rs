//! `ew-ledger verify`: is what was delivered at the receiver?

use crate::reconcile::{self, Checked, JobCheck, Outcome, Wanted};
use ew_cli::{Failure, Output, Report};
use ew_config::Config;
use ew_core::{Exit, PartOutcome};
use ew_store::{Beside, Log};
use serde_json::json;
use std::collections::HashSet;
use std::fmt::Write as _;

/// How it is shown.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) json: bool,
    /// Only what is not as it should be.
    pub(crate) quiet: bool,
}

/// Checks each job; 1 where something is missing, altered, extra, or not proved.
pub(crate) fn verify(
    config: &Config,
    log: &mut Log,
    names: &[String],
    wanted: Wanted,
    shown: Shown,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    for name in names {
        crate::find::options(config, name)?;
    }
    let mut checks = Vec::new();
    let mut named = HashSet::new();
    for options in config.exports.iter().filter(|job| names.is_empty() || names.contains(&job.name)) {
        let check = reconcile::job(config, log, options, wanted, &mut named, report)?;
        if let Some(failure) = &check.error {
            report.failure(&failure.clone().of_part(&options.name));
        }
        checks.push(check);
    }
    if shown.json {
        out.json(&json!({ "jobs": checks.iter().map(check_json).collect::<Vec<_>>() }))?;
    } else {
        table(&checks, shown.quiet, out)?;
    }
    Ok(Exit::of_parts(checks.iter().map(JobCheck::part)))
}

fn check_json(check: &JobCheck) -> serde_json::Value {
    let slice = |checked: &Checked| {
        let slice = &checked.slice;
        json!({
            "name": slice.name,
            "start": slice.window.start.to_string(),
            "end": slice.window.end.to_string(),
            "rev": slice.rev,
            "bytes": slice.bytes,
            "sha256": slice.sha256,
            "outcome": checked.outcome.as_str(),
            "error": checked.reason,
            "metadata": beside(checked, Beside::Metadata),
            "manifest": beside(checked, Beside::Manifest),
        })
    };
    json!({
        "job": check.job,
        "level": check.proved().map(|proof| proof.as_str()),
        "slices": check.slices.iter().map(slice).collect::<Vec<_>>(),
        "extra": check.extra,
        "error": check.error.as_ref().map(|failure| &failure.message),
    })
}

fn beside(checked: &Checked, kind: Beside) -> Option<serde_json::Value> {
    let one = checked.beside.iter().find(|one| one.kind == kind)?;
    Some(json!({ "outcome": one.outcome.as_str(), "error": one.reason }))
}

fn table(checks: &[JobCheck], quiet: bool, out: &mut Output) -> Result<(), Failure> {
    let mut table = vec![["JOB", "NAME", "START", "REV", "SEEN", "REASON"].map(str::to_owned).to_vec()];
    let mut totals = Vec::new();
    for check in checks.iter().filter(|check| !quiet || matches!(check.part(), PartOutcome::Failed(_))) {
        for checked in check.slices.iter().filter(|checked| !quiet || check.is_open(checked)) {
            let slice = &checked.slice;
            let name = slice.name.clone().unwrap_or_default();
            let mut line = |name: String, outcome: Outcome, reason: &Option<String>| {
                table.push(vec![
                    check.job.clone(),
                    name,
                    slice.window.start.to_string(),
                    slice.rev.to_string(),
                    outcome.as_str().to_owned(),
                    reason.clone().unwrap_or_default(),
                ]);
            };
            if !quiet || check.is_open_file(checked.outcome) {
                line(name.clone(), checked.outcome, &checked.reason);
            }
            // What lies beside it is named where something is wrong with it.
            for one in checked.beside.iter().filter(|one| check.is_open_file(one.outcome)) {
                line(one.kind.name(&name), one.outcome, &one.reason);
            }
        }
        for name in &check.extra {
            let cells = [&check.job, name, "-", "-", "extra", "no slice of the ledger has this name"];
            table.push(cells.map(str::to_owned).to_vec());
        }
        totals.push(total(check));
    }
    if table.len() > 1 {
        out.table(&table)?;
    }
    for line in totals {
        out.line(format_args!("{line}"))?;
    }
    Ok(())
}

/// `u: slices 20: hash 18, missing 2; manifests 20: hash 20; extra files 1`.
fn total(check: &JobCheck) -> String {
    let files: Vec<Outcome> = check.slices.iter().map(|checked| checked.outcome).collect();
    let mut text = format!("{}: slices {}", check.job, counts(&files));
    for (kind, word) in [(Beside::Metadata, "metadata"), (Beside::Manifest, "manifests")] {
        let beside = check.slices.iter().flat_map(|checked| &checked.beside);
        let outcomes: Vec<Outcome> = beside.filter(|one| one.kind == kind).map(|one| one.outcome).collect();
        // Writing to a String cannot fail.
        if !outcomes.is_empty() {
            let _ = write!(text, "; {word} {}", counts(&outcomes));
        }
    }
    if !check.extra.is_empty() {
        let _ = write!(text, "; extra files {}", check.extra.len());
    }
    text
}

/// `20: hash 18, missing 2`.
fn counts(outcomes: &[Outcome]) -> String {
    let count = |word: &&str| outcomes.iter().filter(|outcome| outcome.as_str() == *word).count();
    let words: Vec<String> = Outcome::WORDS
        .iter()
        .filter(|word| count(word) > 0)
        .map(|word| format!("{word} {}", count(word)))
        .collect();
    match words.is_empty() {
        true => outcomes.len().to_string(),
        false => format!("{}: {}", outcomes.len(), words.join(", ")),
    }
}

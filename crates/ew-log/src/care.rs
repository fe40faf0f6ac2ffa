//! `ew-log check` and `ew-log backup`.

use ew_cli::{Failure, Output, Report};
use ew_core::Exit;
use ew_store::{Log, StoreError};
use serde_json::json;
use std::path::Path;

/// Names what is wrong with the log.
pub(crate) fn check(log: &Log, as_json: bool, report: Report, out: &mut Output) -> Result<Exit, Failure> {
    let faults = log.check();
    if as_json {
        out.json(&json!({ "whole": faults.is_empty(), "faults": faults }))?;
    } else {
        for fault in &faults {
            out.line(format_args!("{fault}"))?;
        }
    }
    if faults.is_empty() {
        report.note(format_args!("{} is whole", log.path().display()));
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Io, format!("{} is damaged: {} faults", log.path().display(), faults.len()))
        .hint("keep a copy of it, then restore a backup, or use sqlite3's .recover"))
}

/// A log that is damaged where it begins cannot be opened; that is its fault.
pub(crate) fn unopened(error: &StoreError, as_json: bool, out: &mut Output) -> Result<(), Failure> {
    if as_json && error.is_damage() {
        out.json(&json!({ "whole": false, "faults": [plain(error)] }))?;
    }
    Ok(())
}

fn plain(error: &StoreError) -> String {
    let cause = std::error::Error::source(error);
    cause.map_or_else(|| error.to_string(), ToString::to_string)
}

/// Copies the log.
pub(crate) fn backup(
    log: &Log,
    file: &Path,
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let same = |path: &Path| std::fs::canonicalize(path).ok();
    if same(file).is_some() && same(file) == same(log.path()) {
        return Err(Failure::new(Exit::Usage, format!("{} is the log itself", file.display()))
            .hint("name another file, best on another disk"));
    }
    let bytes = log.backup(file)?;
    if as_json {
        out.json(&json!({ "file": file, "bytes": bytes }))?;
    }
    report.note(format_args!("{} copied to {}, {bytes} bytes", log.path().display(), file.display()));
    Ok(Exit::Ok)
}

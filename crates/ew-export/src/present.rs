//! What a slice would be now, to be held against a file that is somewhere else.

use crate::due;
use crate::job::JobRun;
use crate::kept;
use crate::render::{self, Piece};
use ew_cli::{Failure, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Columns, Contents, Window};
use ew_store::{Log, Seqs};

/// A slice as the log has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendering {
    /// The log has no row of it.
    pub is_empty: bool,
    /// Samples in its file.
    pub rows: u64,
    /// The size of its file, bytes.
    pub bytes: u64,
    /// Of its file, lower-case hex.
    pub sha256: String,
    /// The columns of a wide layout.
    pub columns: Option<Columns>,
    /// The formatter and its version.
    pub format: String,
    /// Version of the zone rules, where they tell it.
    pub zone_data: Option<String>,
}

/// Renders a window of a job that the ledger may not know, and keeps nothing of it; `header` are the columns where
/// it has no row.
pub fn present(
    config: &Config,
    options: &ExportOptions,
    log: &mut Log,
    window: Window,
    up_to: i64,
    header: &Columns,
) -> Result<Rendering, Failure> {
    let job = JobRun::new(config, options, log, Report::new("ew-export", false, true));
    let (scope, seqs) = (job.scope(), Seqs { up_to, ..Seqs::ALL });
    let rows = Window::new(window.start.max(scope.since), window.end);
    let found = job.log.snapshot()?.columns(rows, &scope.selection, seqs)?;
    let is_empty = found.is_empty();
    let contents = match is_empty {
        true => Contents::HeaderOnly { columns: header.clone() },
        false => Contents::Rows { columns: found },
    };
    let columns = due::columns(&job, &contents);
    let piece = Piece { window, columns: columns.as_deref().unwrap_or_default(), seqs, scope: &scope };
    let rendered = job.renderer().write(&piece, std::io::sink())?;
    Ok(Rendering {
        is_empty,
        rows: rendered.rows,
        bytes: rendered.bytes,
        sha256: rendered.sha256,
        columns,
        format: options.format.name_and_version().to_owned(),
        zone_data: options.zone.rules_version().map(str::to_owned),
    })
}

/// The kept file of a slice, if it is still there; by its name among the kept ones.
pub fn kept_file(
    config: &Config,
    options: &ExportOptions,
    log: &mut Log,
    window: Window,
    rev: u32,
) -> Option<String> {
    let job = JobRun::new(config, options, log, Report::new("ew-export", false, true));
    let name = kept::name(&render::spool_name(job.options, window, rev));
    Log::kept_dir(job.log.path(), &options.name).join(&name).is_file().then_some(name)
}

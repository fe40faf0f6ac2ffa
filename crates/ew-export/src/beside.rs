//! What lies beside a file at the receiver: how to read it (`csvw = true`), and what is in it (`manifest = true`). Both
//! are functions of the slice, recorded with it, and sent after its file.

use crate::job::JobRun;
use crate::kept::Keeping;
use crate::manifest::{self, Previous, Summary};
use crate::meter::sha256_of;
use crate::render::{self, Spooled};
use ew_cli::Failure;
use ew_config::ExportOptions;
use ew_core::{Exit, Window};
use ew_format::SliceHeader;
use ew_store::{Beside, Delivery, Document, Job, NewSlice};
use std::io::Write;
use std::path::{Path, PathBuf};

/// The longest name of a file and of what lies beside it, bytes: with that of a temporary file every receiver can do.
const NAME_BYTES_MAX: usize = 249;

/// What lies beside the files of a job.
pub(crate) fn of(options: &ExportOptions) -> Vec<Beside> {
    let is_wanted = |kind: &Beside| match kind {
        Beside::Metadata => options.format.describe().is_some(),
        Beside::Manifest => options.manifest,
    };
    Beside::ALL.into_iter().filter(is_wanted).collect()
}

/// Commits a rendered slice, with what is to lie beside its file; see
/// [`Ledger::record_rendered`](ew_store::Ledger::record_rendered).
pub(crate) fn record(
    job: &mut JobRun<'_>,
    known: &Job,
    passed_over: Option<Window>,
    spooled: Spooled,
) -> Result<Recorded, Failure> {
    let Spooled { mut slice, early, summary } = spooled;
    let keeping = Keeping::start(job, &slice.spool, (slice.bytes, &slice.sha256), early);
    if let Some(summary) = summary {
        let kinds = of(job.options);
        for kind in &kinds {
            let bytes_max = NAME_BYTES_MAX - kind.suffix().len();
            if slice.name.len() > bytes_max {
                let text = format!("the name {} is longer than {bytes_max} bytes", slice.name);
                let hint =
                    format!("its {} adds {}; give the job a shorter filename", kind.as_str(), kind.suffix());
                return Err(Failure::new(Exit::Config, text).hint(hint));
            }
        }
        slice.name = job.log.ledger().claim(known, &slice, &kinds)?;
        for kind in kinds {
            let text = match kind {
                Beside::Metadata => description(job, &slice, &summary),
                Beside::Manifest => {
                    let previous = job.log.ledger().last_manifest(known)?;
                    let previous = previous
                        .map(|(name, text)| Previous { name: kind.name(&name), sha256: sha256_of(&text) });
                    Some(manifest::text(job, &slice, &summary, previous)?)
                }
            };
            slice.beside.extend(text.map(|text| Document { kind, text }));
        }
    }
    Ok(Recorded { slice: job.log.ledger().record_rendered(known, passed_over, &slice)?, keeping })
}

/// A committed slice whose file lies in the spool.
pub(crate) struct Recorded {
    pub(crate) slice: Delivery,
    /// Its file on its way to the kept ones, where that has begun.
    pub(crate) keeping: Option<Keeping>,
}

impl From<Delivery> for Recorded {
    fn from(slice: Delivery) -> Recorded {
        Recorded { slice, keeping: None }
    }
}

/// How the file of a slice is to be read.
fn description(job: &JobRun<'_>, slice: &NewSlice, summary: &Summary) -> Option<String> {
    let header = SliceHeader {
        job: &job.options.name,
        site: &job.config.site,
        zone: &job.options.zone,
        window: slice.window,
        interval: job.options.interval,
        columns: slice.columns.as_deref().unwrap_or_default(),
    };
    job.options.format.describe().map(|format| format.description(&header, &slice.name, &summary.units))
}

/// A document as a file in the spool, there for as long as its slice is being sent: the log keeps its text.
pub(crate) struct DocumentFile {
    pub(crate) kind: Beside,
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
}

impl DocumentFile {
    /// Writes it beside the file of its slice.
    pub(crate) fn write(slice: &Path, document: Document) -> Result<DocumentFile, Failure> {
        let Document { kind, text } = document;
        let mut path = slice.as_os_str().to_owned();
        path.push(kind.suffix());
        let path = PathBuf::from(path);
        render::new_file(&path)
            .and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|e| Failure::new(Exit::Io, format!("cannot write {}: {e}", path.display())))?;
        Ok(DocumentFile { kind, path, bytes: text.len() as u64, sha256: sha256_of(&text) })
    }
}

impl Drop for DocumentFile {
    fn drop(&mut self) {
        // The next run cleans the spool.
        let _ = std::fs::remove_file(&self.path);
    }
}

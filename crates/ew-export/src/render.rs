//! From a window of the log to a file in the spool.

use crate::beside;
use crate::early::{EarlyCopy, Watched};
use crate::job::JobRun;
use crate::kept;
use crate::manifest::Summary;
use crate::meter::Meter;
use crate::parts;
use crate::resample;
use ew_cli::{Failure, crash};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, Point, ResampleError, Row, Window};
use ew_format::{FormatError, SliceHeader};
use ew_store::{Log, NewSlice, Scope, Seqs, StoreError};
use ew_transport::Compressor;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// What rendering needs of a job. It only reads, so that it can go on beside a delivery.
#[derive(Clone, Copy)]
pub(crate) struct Renderer<'a> {
    pub(crate) config: &'a Config,
    pub(crate) options: &'a ExportOptions,
    pub(crate) log: &'a Log,
}

/// What to render.
pub(crate) struct Piece<'a> {
    pub(crate) window: Window,
    pub(crate) columns: &'a [Point],
    /// Which commits.
    pub(crate) seqs: Seqs,
    /// Which rows.
    pub(crate) scope: &'a Scope,
}

/// What came out.
pub(crate) struct Rendered {
    /// Samples written; of a resampled slice one per point and interval.
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) sha256: String,
    /// For what lies beside its file, where something does.
    summary: Option<Summary>,
}

/// Either side of the pipe from log to file.
pub(crate) enum RenderError {
    Store(StoreError),
    Format(FormatError),
    Resample(ResampleError),
}

impl From<StoreError> for RenderError {
    fn from(error: StoreError) -> RenderError {
        RenderError::Store(error)
    }
}

impl From<ResampleError> for RenderError {
    fn from(error: ResampleError) -> RenderError {
        RenderError::Resample(error)
    }
}

impl From<RenderError> for Failure {
    fn from(error: RenderError) -> Failure {
        match error {
            RenderError::Store(e) => e.into(),
            RenderError::Format(e) if e.is_closed_pipe() => Failure::closed_pipe(),
            RenderError::Format(e) => Failure::new(e.exit(), e.to_string()).maybe_hint(e.hint()),
            RenderError::Resample(e) => Failure::of(Exit::Data, &e).hint(e.hint()),
        }
    }
}

impl Renderer<'_> {
    /// Renders a piece as it is sent into any writer: the bytes are a function of the window, the columns,
    /// the commits and the job, of nothing else.
    pub(crate) fn write(&self, piece: &Piece<'_>, out: impl Write) -> Result<Rendered, RenderError> {
        let mut meter = Meter::new(out);
        let fault = |source| RenderError::Format(FormatError::Write { format: "file", source });
        let mut compressor = Compressor::new(self.options.transport.compress(), &mut meter).map_err(fault)?;
        let mut summary = (!beside::of(self.options).is_empty()).then(Summary::default);
        let rows = self.rows(piece, &mut compressor, summary.as_mut())?;
        compressor.finish().map_err(fault)?;
        let (bytes, sha256) = meter.finish();
        Ok(Rendered { rows, bytes, sha256, summary })
    }

    /// Renders a piece as it is read, never compressed.
    pub(crate) fn print(&self, piece: &Piece<'_>, out: impl Write) -> Result<(), RenderError> {
        self.rows(piece, out, None).map(|_| ())
    }

    /// Renders the rows of a piece and counts them.
    fn rows(
        &self,
        piece: &Piece<'_>,
        out: impl Write,
        mut summary: Option<&mut Summary>,
    ) -> Result<u64, RenderError> {
        let options = self.options;
        let header = SliceHeader {
            job: &options.name,
            site: &self.config.site,
            zone: &options.zone,
            window: piece.window,
            interval: options.interval,
            columns: piece.columns,
        };
        let due = Window::new(piece.window.start.max(piece.scope.since), piece.window.end);
        let snapshot = self.log.snapshot()?;
        if options.resampling().is_none()
            && let Some(format) = options.format.in_parts()
            && snapshot.may_have_more_rows_than(parts::ROWS_MIN, due)?
        {
            return parts::render(self, (format, &header), (piece, due), out, summary);
        }
        let buffered = BufWriter::with_capacity(1 << 16, out);
        let mut formatter = options.format.start(&header, Box::new(buffered)).map_err(RenderError::Format)?;
        let mut rows = 0;
        let mut each = |row: Row<'_>| {
            rows += 1;
            if let Some(summary) = &mut summary {
                summary.add(&row);
            }
            formatter.row(row).map_err(RenderError::Format)
        };
        match options.resampling() {
            Some(how) => resample::for_each_row(&snapshot, &how, piece, &*options.format, &mut each)?,
            None => {
                let order = options.format.order();
                snapshot.for_each_row_in(order, due, &piece.scope.selection, piece.seqs, &mut each)?;
            }
        }
        formatter.finish().map_err(RenderError::Format)?;
        Ok(rows)
    }

    /// Renders a piece into the spool.
    pub(crate) fn spool(&self, piece: &Piece<'_>, rev: u32) -> Result<InSpool, Failure> {
        let spool = spool_name(self.options, piece.window, rev);
        let dir = Log::spool_dir(self.log.path(), &self.options.name);
        let path = dir.join(&spool);
        let temporary = dir.join(format!("{spool}.part"));
        let io = |doing: &str, path: &Path, e: std::io::Error| {
            Failure::new(Exit::Io, format!("cannot {doing} {}: {e}", path.display())).hint(
                "nothing was sent; once there is room (df) and it can be written, the next run renders it again",
            )
        };
        std::fs::create_dir_all(&dir).map_err(|e| io("make the spool folder", &dir, e))?;
        let written = || {
            let file = File::create(&temporary).map_err(|e| io("write", &temporary, e))?;
            let copy = kept::are_wanted(self.config).then(|| dir.join(kept::name(&spool)));
            let mut watched = Watched::new(&temporary, &file, copy);
            let rendered = self.write(piece, &mut watched).map_err(|e| match e {
                RenderError::Format(FormatError::Write { source, .. }) => io("write", &temporary, source),
                other => other.into(),
            })?;
            Ok((rendered, watched.finish()))
        };
        // A full disk needs the room.
        let (rendered, early) =
            written().inspect_err(|_: &Failure| drop(std::fs::remove_file(&temporary)))?;
        crash::boundary("rendered");
        // It is not fsynced: where a power cut takes it, the next run renders the slice once more and holds it to its
        // hash. What is sent is read back against that hash too.
        std::fs::rename(&temporary, &path).map_err(|e| io("rename", &temporary, e))?;
        crash::boundary("spooled");
        Ok(InSpool { spool, rendered, early })
    }
}

/// The job's folder in the spool.
pub(crate) fn spool_dir(job: &JobRun<'_>) -> PathBuf {
    Log::spool_dir(job.log.path(), &job.options.name)
}

/// A file in the spool, by its name there.
pub(crate) fn spool_path(log: &Log, options: &ExportOptions, spool: &str) -> PathBuf {
    Log::spool_dir(log.path(), &options.name).join(spool)
}

/// A new file in the spool. One that a killed run left there may be the receiver's too, so nothing is written into that.
pub(crate) fn new_file(path: &Path) -> io::Result<File> {
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => File::create_new(path),
    }
}

/// The name of a slice's file in the spool.
pub(crate) fn spool_name(options: &ExportOptions, window: Window, rev: u32) -> String {
    let (start, end) = (window.start.micros(), window.end.micros());
    format!("{start}-{end}-r{rev}.{}", options.extension())
}

/// A file of the ledger in the spool.
pub(crate) fn spool_file(job: &JobRun<'_>, spool: &str) -> PathBuf {
    spool_path(job.log, job.options, spool)
}

/// A rendered piece as a file in the spool.
pub(crate) struct InSpool {
    /// Its name there.
    pub(crate) spool: String,
    rendered: Rendered,
    early: Option<EarlyCopy>,
}

/// A slice with its file in the spool, ready to be committed.
pub(crate) struct Spooled {
    pub(crate) slice: NewSlice,
    /// The copy that is kept of its file, where that is long.
    pub(crate) early: Option<EarlyCopy>,
    /// For what lies beside its file, where something does.
    pub(crate) summary: Option<Summary>,
}

/// Renders a piece into the spool and describes the slice.
pub(crate) fn to_spool(
    job: &JobRun<'_>,
    piece: &Piece<'_>,
    columns: Option<ew_core::Columns>,
    rev: u32,
    count: i64,
) -> Result<Spooled, Failure> {
    let file = job.renderer().spool(piece, rev)?;
    describe(job, piece, columns, rev, count, file)
}

/// Describes the slice whose file lies in the spool.
pub(crate) fn describe(
    job: &JobRun<'_>,
    piece: &Piece<'_>,
    columns: Option<ew_core::Columns>,
    rev: u32,
    count: i64,
    file: InSpool,
) -> Result<Spooled, Failure> {
    let options = job.options;
    let ext = options.extension();
    let fields = job.fields(&ext, piece.window, rev, piece.seqs.up_to, count);
    let name = options.filename.render(&fields).map_err(|e| Failure::of(Exit::Config, &e))?;
    let InSpool { spool, rendered, early } = file;
    let slice = NewSlice {
        planned: None,
        window: piece.window,
        rev,
        as_of_seq: piece.seqs.up_to,
        after_seq: (piece.seqs.after > 0).then_some(piece.seqs.after),
        columns,
        format: options.format.name_and_version().to_owned(),
        zone_data: options.zone.rules_version().map(str::to_owned),
        count,
        name,
        ext,
        rows: rendered.rows,
        intervals: options.resampling().map_or(0, |how| resample::intervals(&how, piece)),
        bytes: rendered.bytes,
        sha256: rendered.sha256,
        spool,
        destination: job.destination(),
        beside: Vec::new(),
    };
    Ok(Spooled { slice, early, summary: rendered.summary })
}

/// Removes what a killed run left in the spool: every file that no unfinished slice owns. One that cannot be removed is in
/// nobody's way: a receiver who has it by another name may have made it unchangeable.
pub(crate) fn clean_spool(job: &JobRun<'_>, owned: &[String]) {
    let Ok(entries) = std::fs::read_dir(spool_dir(job)) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        if owned.iter().any(|owned| name == owned.as_str()) {
            continue;
        }
        let path = entry.path();
        if let Err(error) = std::fs::remove_file(&path) {
            job.report.warning(format_args!(
                "{}: cannot remove {}, which no slice needs any more: {error}; remove it by hand",
                job.options.name,
                path.display()
            ));
        }
    }
}

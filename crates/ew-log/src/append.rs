//! `ew-log append`.

use crate::rows::{BadRow, Rows};
use ew_cli::{Failure, Output, Report, clock};
use ew_core::{Exit, Sample};
use ew_store::{AppendError, Log};
use std::cell::Cell;
use std::fs::File;
use std::io::{BufReader, Seek};
use std::path::Path;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread;

/// Appends a file, or stdin where there is none.
pub(crate) fn append(
    log: &mut Log,
    file: Option<&Path>,
    replace: bool,
    json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let file = file.filter(|path| *path != Path::new("-"));
    let name = file.map_or("stdin".to_owned(), |path| path.display().to_string());
    let input = open(file, &name)?;
    let bad = |reason: String| {
        Failure::new(Exit::Data, format!("{name}: {reason}"))
            .hint("nothing was appended; mend it and run again")
    };
    let rows = read(&input).map_err(|e| bad(e.to_string()))?;
    let line = Cell::new(0);
    let appended = thread::scope(|scope| {
        let (hand_over, batches) = sync_channel(BATCHES_WAITING);
        thread::Builder::new()
            .name("reader".into())
            .spawn_scoped(scope, move || read_all(rows, &hand_over))?;
        let samples = batches.into_iter().flatten().map(|row: Row| {
            row.map(|(number, sample)| {
                line.set(number);
                sample
            })
        });
        Ok(log.append(samples, replace, clock::now()))
    });
    let no_thread = |e: std::io::Error| Failure::new(Exit::Io, format!("cannot start a thread: {e}"));
    let done = appended.map_err(no_thread)?.map_err(|e| match e {
        AppendError::Source(row) => bad(row.to_string()),
        AppendError::Store(e) => e.into(),
        differs @ AppendError::Differs { .. } => bad(format!("line {}: {differs}", line.get()))
            .hint("nothing was appended; --replace makes it a correction and keeps the old value in history"),
        AppendError::Twice { ref sample, .. } => {
            let first =
                first_line(&input, sample).map_or(String::new(), |line| format!(" (first on line {line})"));
            bad(format!("line {}: {e}{first}", line.get()))
        }
    })?;
    if json {
        let document = serde_json::json!({
            "appended": done.appended, "skipped": done.skipped, "corrected": done.corrected,
        });
        out.json(&document)?;
    }
    report.note(format_args!(
        "{} appended, {} equal ones skipped, {} corrected",
        done.appended, done.skipped, done.corrected
    ));
    Ok(Exit::Ok)
}

/// A sample and its line.
type Row = Result<(u64, Sample), BadRow>;

/// So many rows are handed over at once.
const BATCH_ROWS: usize = 512;
/// So many of them may wait.
const BATCHES_WAITING: usize = 4;

/// Reads the rows while another thread writes those before them, until there is none, or nobody wants them.
fn read_all(mut rows: impl Iterator<Item = Row>, hand_over: &SyncSender<Vec<Row>>) {
    loop {
        let batch: Vec<Row> = rows.by_ref().take(BATCH_ROWS).collect();
        if batch.is_empty() || hand_over.send(batch).is_err() {
            return;
        }
    }
}

fn read(input: &File) -> Result<Rows<BufReader<&File>>, BadRow> {
    Rows::new(BufReader::with_capacity(1 << 16, input))
}

/// The first line with the point and time of a sample, looked for from the start again.
fn first_line(mut input: &File, sample: &Sample) -> Option<u64> {
    input.rewind().ok()?;
    let mut rows = read(input).ok()?;
    let is_it = |row: &Sample| row.point() == sample.point() && row.time() == sample.time();
    rows.find_map(|row| row.ok().filter(|(_, row)| is_it(row)).map(|(line, _)| line))
}

/// A regular file as it is. Anything that can stall is copied first, so that the log's write lock never
/// waits for whoever fills the pipe.
fn open(file: Option<&Path>, name: &str) -> Result<File, Failure> {
    let unread = |e: std::io::Error| Failure::new(Exit::Io, format!("cannot read {name}: {e}"));
    let mut source: Box<dyn std::io::Read> = match file {
        None => Box::new(std::io::stdin().lock()),
        Some(path) => {
            let file = File::open(path).map_err(unread)?;
            if file.metadata().map_err(unread)?.is_file() {
                return Ok(file);
            }
            Box::new(file)
        }
    };
    let folder = std::env::temp_dir();
    let uncopied = |e: std::io::Error| {
        Failure::new(Exit::Io, format!("cannot copy {name} to a temporary file in {}: {e}", folder.display()))
            .hint("nothing was appended; make room there (df), or name another folder in TMPDIR")
    };
    let mut copy = tempfile::tempfile().map_err(uncopied)?;
    std::io::copy(&mut source, &mut copy).map_err(uncopied)?;
    copy.rewind().map_err(uncopied)?;
    Ok(copy)
}

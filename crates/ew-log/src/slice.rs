//! `ew-log slice`.

use crate::{Format, Layout};
use ew_cli::{Failure, Output, clock};
use ew_core::{Anchors, Exit, Row, Selection, Timestamp, When, Window, Zone};
use ew_format::{CsvOptions, FormatError, FormatOptions, SliceHeader};
use ew_store::{Log, Seqs, StoreError};
use std::io::Write;

/// What to print.
pub(crate) struct Request<'a> {
    pub(crate) site: &'a str,
    pub(crate) from: When,
    pub(crate) to: When,
    pub(crate) selection: Selection,
    pub(crate) format: FormatOptions,
    pub(crate) zone: &'a Zone,
}

/// The formatter for `--format` and `--layout`.
pub(crate) fn format(format: Format, layout: Option<Layout>) -> Result<FormatOptions, Failure> {
    let clash = |name: &str, layout: &str| {
        Err(Failure::new(Exit::Usage, format!("--format {name} has no {layout} layout"))
            .hint("leave --layout out; it is for csv"))
    };
    match (format, layout) {
        (Format::Csv, layout) => {
            let layout = match layout.unwrap_or(Layout::Long) {
                Layout::Long => ew_format::Layout::Long,
                Layout::Wide => ew_format::Layout::Wide,
            };
            Ok(FormatOptions::Csv(CsvOptions { layout, ..CsvOptions::default() }))
        }
        (Format::Xml, Some(Layout::Long)) => clash("xml", "long"),
        (Format::Jsonl, Some(Layout::Wide)) => clash("jsonl", "wide"),
        (Format::Xml, _) => Ok(FormatOptions::Xml(Default::default())),
        (Format::Jsonl, _) => Ok(FormatOptions::Jsonl(Default::default())),
    }
}

/// Either side of the pipe from log to stdout.
enum SliceError {
    Store(StoreError),
    Format(FormatError),
}

impl From<StoreError> for SliceError {
    fn from(error: StoreError) -> SliceError {
        SliceError::Store(error)
    }
}

impl From<SliceError> for Failure {
    fn from(error: SliceError) -> Failure {
        match error {
            SliceError::Store(e) => e.into(),
            SliceError::Format(FormatError::Write { source, .. }) => Failure::stdout(&source),
            SliceError::Format(e) => Failure::new(e.exit(), e.to_string()).maybe_hint(e.hint()),
        }
    }
}

/// Prints the half-open window.
pub(crate) fn slice(log: &Log, request: &Request<'_>, out: &mut Output) -> Result<Exit, Failure> {
    let snapshot = log.snapshot()?;
    let no_data = |why: String| Failure::new(Exit::NoData, why);
    let relative = |when| matches!(when, When::First | When::Last);
    let rows = match relative(request.from) || relative(request.to) {
        true => snapshot
            .first_row(Timestamp::MIN, &request.selection)?
            .zip(snapshot.last_row(&request.selection)?),
        false => None,
    };
    let anchors = Anchors { zone: request.zone, now: clock::now(), rows };
    let resolve = |when: When| when.resolve(&anchors).map_err(|e| no_data(e.to_string()));
    let (from, to) = (resolve(request.from)?, resolve(request.to)?);
    if from > to {
        return Err(Failure::new(Exit::Usage, format!("--from {from} is after --to {to}")).hint("swap them"));
    }
    let window = Window::new(from, to);
    let columns = snapshot.columns(window, &request.selection, Seqs::ALL)?;
    if columns.is_empty() {
        return Err(no_data(format!("no row from {from} to {to}"))
            .hint("ew-log stats tells the first and the last row, ew-log points the names"));
    }
    let header = SliceHeader {
        job: "ew-log",
        site: request.site,
        zone: request.zone,
        window,
        interval: None,
        columns: &columns,
    };
    let writer: &mut dyn Write = out.writer();
    let mut formatter = request.format.start(&header, Box::new(writer)).map_err(SliceError::Format)?;
    let mut each = |row: Row<'_>| formatter.row(row).map_err(SliceError::Format);
    snapshot.for_each_row(window, &request.selection, Seqs::ALL, &mut each)?;
    formatter.finish().map_err(SliceError::Format)?;
    Ok(Exit::Ok)
}

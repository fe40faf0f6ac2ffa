//! What `ew-export` is measured against: the same slices rendered by the same formatter to fsynced files, without plan,
//! hash, spool, transporter or ledger. `render-only LOG FOLDER START SLICES SECONDS`.

use ew_core::{Point, Row, Selection, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader};
use ew_store::{Log, Seqs, StoreError};
use std::error::Error;
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

#[derive(Debug)]
struct Failed(String);

impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Failed {
        Failed(error.to_string())
    }
}

impl From<FormatError> for Failed {
    fn from(error: FormatError) -> Failed {
        Failed(error.to_string())
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [log, folder, start, slices, seconds] = arguments.as_slice() else {
        return Err("usage: render-only LOG FOLDER START SLICES SECONDS".into());
    };
    let (start, slices, seconds): (Timestamp, i64, i64) = (start.parse()?, slices.parse()?, seconds.parse()?);
    let format: FormatOptions = toml::from_str("[csv]\nlayout = \"long\"")?;
    let log = Log::open(Path::new(log))?;
    for n in 0..slices {
        let from = start.plus_micros(n * seconds * 1_000_000);
        let window = Window::new(from, from.plus_micros(seconds * 1_000_000));
        render(&log, &format, window, &Path::new(folder).join(format!("{n}.csv"))).map_err(|e| e.0)?;
    }
    Ok(())
}

fn render(log: &Log, format: &FormatOptions, window: Window, path: &Path) -> Result<(), Failed> {
    let io = |e: std::io::Error| Failed(format!("{}: {e}", path.display()));
    let file = File::create(path).map_err(io)?;
    let columns: &[Point] = &[];
    let header = SliceHeader { job: "u", site: "", zone: &Zone::utc(), window, interval: None, columns };
    let mut formatter = format.start(&header, Box::new(BufWriter::with_capacity(1 << 16, &file)))?;
    let mut each = |row: Row<'_>| Ok::<(), Failed>(formatter.row(row)?);
    log.snapshot()?.for_each_row(window, &Selection::default(), Seqs::ALL, &mut each)?;
    formatter.finish()?;
    file.sync_all().map_err(io)
}

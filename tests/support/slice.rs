//! Slices made up row by row, and their text in a format.
#![allow(dead_code)]

use ew_core::{Period, Point, Quality, Row, RowOrder, Timestamp, Window, Zone};
use ew_format::{FormatError, FormatOptions, SliceHeader};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub(crate) const SECOND: i64 = 1_000_000;

/// One row with its own text, so that slices can be made up.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reading {
    pub(crate) micros: i64,
    pub(crate) point: String,
    pub(crate) value: Option<f64>,
    pub(crate) unit: &'static str,
    pub(crate) quality: Quality,
}

impl Reading {
    pub(crate) fn as_row(&self) -> Row<'_> {
        Row {
            time: Timestamp::from_micros(self.micros),
            point: &self.point,
            value: self.value,
            unit: self.unit,
            quality: self.quality,
        }
    }
}

pub(crate) fn reading(micros: i64, point: &str, value: Option<f64>) -> Reading {
    let quality = if value.is_some() { Quality::Actual } else { Quality::Missing };
    Reading { micros, point: point.to_owned(), value, unit: "W", quality }
}

pub(crate) fn sorted(mut rows: Vec<Reading>) -> Vec<Reading> {
    rows.sort_by(|a, b| (a.micros, &a.point).cmp(&(b.micros, &b.point)));
    rows
}

pub(crate) fn options(toml: &str) -> FormatOptions {
    toml::from_str(toml).unwrap_or_else(|e| panic!("{toml}\n{e}"))
}

pub(crate) fn columns(rows: &[Reading]) -> Vec<Point> {
    let names: BTreeSet<&str> = rows.iter().map(|row| row.point.as_str()).collect();
    names.into_iter().map(|name| name.parse().unwrap()).collect()
}

pub(crate) fn render_with(
    options: &FormatOptions,
    zone: &Zone,
    columns: &[Point],
    rows: &[Reading],
) -> Result<String, FormatError> {
    let window = Window::new(Timestamp::from_micros(0), Timestamp::from_micros(1));
    write(options, &SliceHeader { job: "utility", site: "hq", zone, window, interval: None, columns }, rows)
}

/// Rows of intervals in a window of UTC, in any order.
pub(crate) fn render_intervals(
    options: &FormatOptions,
    zone: &Zone,
    window: [&str; 2],
    interval: Option<&str>,
    rows: &[Reading],
) -> Result<String, FormatError> {
    let mut rows = sorted(rows.to_vec());
    if options.order() == RowOrder::ByPoint {
        rows.sort_by(|a, b| (&a.point, a.micros).cmp(&(&b.point, b.micros)));
    }
    let [start, end] = window.map(|time| time.parse().unwrap());
    let interval: Option<Period> = interval.map(|text| text.parse().unwrap());
    let window = Window::new(start, end);
    write(options, &SliceHeader { job: "utility", site: "hq", zone, window, interval, columns: &[] }, &rows)
}

fn write(options: &FormatOptions, header: &SliceHeader<'_>, rows: &[Reading]) -> Result<String, FormatError> {
    let mut out = Vec::new();
    let mut formatter = options.start(header, Box::new(&mut out))?;
    for row in rows {
        formatter.row(row.as_row())?;
    }
    formatter.finish()?;
    drop(formatter);
    Ok(String::from_utf8(out).unwrap())
}

pub(crate) fn render(options: &FormatOptions, zone: &Zone, rows: &[Reading]) -> String {
    render_with(options, zone, &columns(rows), rows).unwrap()
}

pub(crate) fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

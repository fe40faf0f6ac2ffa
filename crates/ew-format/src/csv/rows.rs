//! The lines of CSV: one per row, and one per timestamp.

use super::{CsvOptions, FORMAT};
use crate::output::{Names, Output, Times};
use crate::{FormatError, Formatter};
use ew_core::{Point, Quality, Row};
use std::io::Write;

/// One line per row.
pub(super) struct Long<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a CsvOptions,
    suffix: &'a str,
    /// The present timestamp as a field.
    stamp: String,
    names: Names<Around>,
}

impl<'a, W: Write> Long<'a, W> {
    pub(super) fn new(
        output: Output<W>,
        times: Times<'a>,
        (options, suffix): (&'a CsvOptions, &'a str),
    ) -> Long<'a, W> {
        Long { output, times, options, suffix, stamp: String::new(), names: Names::new() }
    }
}

/// What stands before and after a value of a point, quotes and all.
struct Around {
    before: String,
    after: String,
    /// What `after` was made of.
    unit: String,
    quality: Option<Quality>,
}

impl Around {
    fn new(options: &CsvOptions, point: &str) -> Around {
        let mut before = String::from(options.delimiter);
        options.push_text(options.shown(point), &mut before);
        before.push(options.delimiter);
        Around { before, after: String::new(), unit: String::new(), quality: None }
    }

    fn tell(&mut self, options: &CsvOptions, unit: &str, quality: Quality) {
        if self.quality == Some(quality) && self.unit == unit {
            return;
        }
        unit.clone_into(&mut self.unit);
        self.quality = Some(quality);
        self.after.clear();
        self.after.push(options.delimiter);
        options.push_text(options.word(unit), &mut self.after);
        self.after.push(options.delimiter);
        options.push_text(options.word(quality.as_str()), &mut self.after);
        self.after.push_str(options.line_ending.as_str());
    }
}

impl<W: Write> Formatter for Long<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let options = self.options;
        if self.times.turn(&row)? {
            self.names.restart();
            self.stamp.clear();
            options.push_field(self.times.text(), &mut self.stamp);
        }
        let make = |point: &str| Ok::<_, FormatError>(Around::new(options, point));
        let Some(around) = self.names.next(row.point, make)? else {
            return Err(self.times.out_of_order(&row));
        };
        around.tell(options, row.unit, row.quality);
        let text = &mut self.output.text;
        text.push_str(&self.stamp);
        text.push_str(&around.before);
        options.push_value(row.value, text);
        text.push_str(&around.after);
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.output.text.push_str(self.suffix);
        self.output.flush()
    }
}

/// One line per timestamp.
pub(super) struct Wide<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a CsvOptions,
    suffix: &'a str,
    /// The columns by name, each with its place in the line.
    order: Vec<(&'a str, usize)>,
    /// Where in `order` the next row most likely is.
    next: usize,
    /// The values of the present line, by place.
    cells: Vec<Option<f64>>,
    is_open: bool,
}

impl<'a, W: Write> Wide<'a, W> {
    pub(super) fn new(
        output: Output<W>,
        times: Times<'a>,
        columns: &'a [Point],
        (options, suffix): (&'a CsvOptions, &'a str),
    ) -> Wide<'a, W> {
        let mut order: Vec<(&str, usize)> =
            columns.iter().enumerate().map(|(i, point)| (point.as_str(), i)).collect();
        order.sort_unstable();
        let cells = vec![None; order.len()];
        Wide { output, times, options, suffix, order, next: 0, cells, is_open: false }
    }

    /// The place in the line of a row's point, which comes after those of the rows before it.
    fn place(&mut self, row: &Row<'_>) -> Result<usize, FormatError> {
        let is_next = self.order.get(self.next).is_some_and(|(name, _)| *name == row.point);
        let found = match is_next {
            true => Ok(self.next),
            false => self.order.binary_search_by(|(name, _)| (*name).cmp(row.point)),
        };
        let Some((at, (_, place))) = found.ok().and_then(|at| Some((at, self.order.get(at)?))) else {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::NoColumn { format: FORMAT, point, time });
        };
        if at < self.next {
            return Err(self.times.out_of_order(row));
        }
        self.next = at + 1;
        Ok(*place)
    }

    /// Writes the present line; `times` still has its timestamp.
    fn close_line(&mut self) {
        if !self.is_open {
            return;
        }
        let (options, text) = (self.options, &mut self.output.text);
        options.push_field(self.times.text(), text);
        for cell in &mut self.cells {
            text.push(options.delimiter);
            options.push_value(cell.take(), text);
        }
        text.push_str(options.line_ending.as_str());
        self.is_open = false;
        self.next = 0;
    }
}

impl<W: Write> Formatter for Wide<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.is_after(row.time) {
            self.close_line();
            self.output.drain()?;
        }
        self.times.turn(&row)?;
        let place = self.place(&row)?;
        self.cells[place] = row.value;
        self.is_open = true;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close_line();
        self.output.text.push_str(self.suffix);
        self.output.flush()
    }
}

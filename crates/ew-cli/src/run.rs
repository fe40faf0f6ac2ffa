//! From `main` to the exit code.

use crate::text::{cell, json, lines};
use crate::{Failure, Report};
use ew_core::Exit;
use serde::Serialize;
use std::io::{BufWriter, StdoutLock, Write};
use std::process::ExitCode;

/// No column is padded wider, characters: what is longer, as a far side may say it, stands out of its column alone.
const WIDTH_MAX: usize = 250;

/// Data on stdout. A reader that has gone ends the program quietly.
#[derive(Debug)]
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
}

impl Output {
    /// One line, or some. What else a terminal would act on is spelled out.
    pub fn line(&mut self, line: std::fmt::Arguments<'_>) -> Result<(), Failure> {
        self.write(&lines(&line.to_string()))
    }

    fn write(&mut self, line: &str) -> Result<(), Failure> {
        writeln!(self.out, "{line}").map_err(|e| Failure::stdout(&e))
    }

    /// One JSON document, on lines of its own.
    pub fn json(&mut self, document: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(document).map_err(|e| Failure::stdout(&e.into()))?;
        self.write(&json(&text))
    }

    /// What a run that did its work says of it: nobody reading it changes nothing about how the run ended.
    pub fn report(&mut self, print: impl FnOnce(&mut Output) -> Result<(), Failure>) -> Result<(), Failure> {
        print(self).or_else(|failure| if failure.quiet { Ok(()) } else { Err(failure) })
    }

    /// The stream itself, for a formatter.
    pub fn writer(&mut self) -> &mut dyn Write {
        &mut self.out
    }

    /// Writes out what is buffered.
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(|e| Failure::stdout(&e))
    }

    /// Columns padded to their widest cell, within reason, two spaces between; the first row is the heading. A cell stays one, whatever
    /// was in it.
    pub fn table(&mut self, rows: &[Vec<String>]) -> Result<(), Failure> {
        let shown = |row: &Vec<String>| row.iter().map(|text| cell(text).into_owned()).collect();
        let rows: Vec<Vec<String>> = rows.iter().map(shown).collect();
        let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0).min(WIDTH_MAX)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &rows {
            let cells: Vec<String> =
                row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            self.write(cells.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// Runs a program: calls it with stdout, reports its failure, maps the outcome to an exit code.
pub fn run(report: Report, program: impl FnOnce(&mut Output) -> Result<Exit, Failure>) -> ExitCode {
    let mut out = Output { out: BufWriter::with_capacity(1 << 16, std::io::stdout().lock()) };
    // What was printed before a failure is still data.
    let ended = match (program(&mut out), out.flush()) {
        // What was done was done, though nobody reads of it.
        (Ok(exit), Err(failure)) if failure.quiet => Ok(exit),
        (Ok(_), Err(failure)) => Err(failure),
        (ended, _) => ended,
    };
    let exit = ended.unwrap_or_else(|failure| {
        report.failure(&failure);
        failure.exit
    });
    ExitCode::from(exit.code())
}

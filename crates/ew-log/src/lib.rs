//! The log itself: `append slice points stats check trim backup`.

mod append;
mod care;
mod rows;
mod show;
mod slice;
mod trim;

use clap::{Parser, Subcommand, ValueEnum};
use ew_cli::{Common, Failure, Output};
use ew_core::{Exit, PointGlob, Selection, Span, When, Zone};
use ew_store::Log;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  ew-log append readings.csv
  ew-log slice --from 2026-03-01 --to 2026-04-01 --zone Europe/Zurich --layout wide > march.csv
  ew-log points";

/// The log of ew: append samples, print slices, list points
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = format!("{EXAMPLES}\n\n{}", Exit::HELP))]
pub struct Args {
    /// What every program has.
    #[command(flatten)]
    pub common: Common,
    /// What to do; none with `--check`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to do with the log.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Append samples from CSV or JSON lines; all or nothing
    ///
    /// CSV has a header with timestamp, point and value and optionally unit and quality, in any order;
    /// JSON lines have those keys. Timestamps are RFC 3339 or epoch seconds. An empty value is null.
    #[command(after_help = format!("Example:\n  ew-log append --replace corrected.csv\n\n{}", Exit::HELP))]
    Append {
        /// Let a row that differs from the one at the same point and time take its place
        #[arg(long)]
        replace: bool,
        /// The file [default: stdin]
        file: Option<PathBuf>,
    },
    /// Print the rows of a window, from included, to excluded
    #[command(after_help = format!(
        "Example:\n  ew-log slice --from now-2h --to now --point 'com.example.**'\n\n{}", Exit::HELP
    ))]
    Slice {
        /// RFC 3339, epoch seconds, local date or date-time, now, now-2h, first or last
        #[arg(long, value_name = "T")]
        from: When,
        /// As --from
        #[arg(long, value_name = "T")]
        to: When,
        /// Only these points; may stand more than once [default: all]
        #[arg(long, value_name = "GLOB")]
        point: Vec<PointGlob>,
        /// One row per sample, or one per timestamp with a column per point; csv only [default: long]
        #[arg(long)]
        layout: Option<Layout>,
        /// The format
        #[arg(long, default_value = "csv")]
        format: Format,
        /// Of local times and of the timestamps printed
        #[arg(long, default_value = "UTC")]
        zone: Zone,
    },
    /// List the points with their rows, first and last time
    #[command(after_help = format!("Example:\n  ew-log points 'com.example.**'\n\n{}", Exit::HELP))]
    Points {
        /// Only these points [default: all]
        #[arg(value_name = "GLOB")]
        point: Vec<PointGlob>,
    },
    /// Count what is in the log
    #[command(after_help = format!("Example:\n  ew-log stats --gap 5m\n\n{}", Exit::HELP))]
    Stats {
        /// A stretch without any row longer than this is a gap
        #[arg(long, value_name = "DURATION", default_value = "15m")]
        gap: Span,
    },
    /// Read all of the log and name what is wrong with it
    #[command(after_help = format!("Example:\n  ew-log check || ew-log backup /mnt/usb/damaged.db\n\n{}", Exit::HELP))]
    Check,
    /// Remove old rows; those that an export job has not delivered stay
    ///
    /// The file does not shrink: its free pages take the rows to come. A slice that lost rows is never rendered
    /// again, and goes out again only as it was delivered, while its file is kept (log.keep_files).
    #[command(after_help = format!("Example:\n  ew-log trim --before now-400d\n\n{}", Exit::HELP))]
    #[command(group = clap::ArgGroup::new("which").required(true))]
    Trim {
        /// Rows before this time; refused where some are not delivered
        #[arg(long, value_name = "T", group = "which")]
        before: Option<When>,
        /// Rows older than log.retention; those not delivered are kept
        #[arg(long, group = "which")]
        retention: bool,
        /// Rows not delivered too
        #[arg(long)]
        force: bool,
        /// Of a local time on the command line
        #[arg(long, default_value = "UTC")]
        zone: Zone,
        /// Wait so long for a running export
        #[arg(long, value_name = "DURATION", default_value = "30s")]
        wait: Span,
    },
    /// Copy the log as it is at one moment, while others write
    ///
    /// The copy is written under a temporary name and then takes the place of FILE. To restore one, stop
    /// the cron lines, remove ew.db, ew.db-wal and ew.db-shm, and put the copy there.
    #[command(after_help = format!("Example:\n  ew-log backup /mnt/usb/ew.db\n\n{}", Exit::HELP))]
    Backup {
        /// The copy
        file: PathBuf,
    },
}

/// A layout of CSV.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Layout {
    /// `timestamp,point,value,unit,quality`
    Long,
    /// `timestamp,<point>…`
    Wide,
}

/// A format of `slice`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// RFC 4180.
    Csv,
    /// One entry per timestamp.
    Xml,
    /// One object per row.
    Jsonl,
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.command.is_none() && !args.common.check {
        return Err(Failure::new(Exit::Usage, "nothing to do").hint("see ew-log --help for the commands"));
    }
    let config = args.common.load()?;
    let report = args.common.report("ew-log");
    let Some(command) = args.command.as_ref().filter(|_| !args.common.check) else {
        return args.common.checked(&config, out);
    };
    if matches!(command, Command::Slice { .. }) {
        args.common.no_json("slice", "--format jsonl prints one JSON object per row")?;
    }
    let opened = Log::open(&config.log.url);
    if let (Command::Check, Err(error)) = (command, &opened) {
        care::unopened(error, args.common.json, out)?;
    }
    let mut log = opened?;
    match command {
        Command::Append { replace, file } => {
            append::append(&mut log, file.as_deref(), *replace, args.common.json, report, out)
        }
        Command::Slice { from, to, point, layout, format, zone } => {
            let request = slice::Request {
                site: &config.site,
                from: *from,
                to: *to,
                selection: Selection(point.clone()),
                format: slice::format(*format, *layout)?,
                zone,
            };
            slice::slice(&log, &request, out)
        }
        Command::Points { point } => show::points(&log, &Selection(point.clone()), args.common.json, out),
        Command::Trim { before, retention: _, force, zone, wait } => {
            let request = trim::Request { before: *before, zone: zone.clone(), force: *force, wait: *wait };
            trim::trim(&config, &mut log, &request, args.common.json, report, out)
        }
        Command::Check => care::check(&log, args.common.json, report, out),
        Command::Backup { file } => care::backup(&log, file, args.common.json, report, out),
        Command::Stats { gap } => show::stats(&log, *gap, args.common.json, out),
    }
}

//! What was delivered, and what a person decides about it.

mod audit;
mod decide;
mod find;
mod list;
mod metrics;
mod rebuild;
mod receiver;
mod recognise;
mod reconcile;
mod resend;
mod show;
mod status;
mod verify;
mod why;

use clap::{Parser, Subcommand};
use ew_cli::{Common, Failure, Output, clock};
use ew_core::{Anchors, Exit, Point, Span, When, Zone};
use ew_store::{Log, Proof};
use reconcile::Wanted;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  ew-ledger status
  ew-ledger list utility --from 2026-03-03 --to 2026-03-04     did Tuesday arrive?
  ew-ledger audit                                              is every row accounted for?
  ew-ledger why com.example.hq 2026-03-03T10:15:00Z            which files carried this reading?
  ew-ledger resend utility utility_20260303T101500Z.csv        they lost it";

const VERIFY: &str = "\
Look at the receiver: is every file there, as it was delivered, and no other?

Each slice is hash (read back, byte for byte), size or listed, as far as that could be proved; or missing, altered,
taken (gone, and the job has taken = true), or unverifiable: the receiver lets nothing be seen of it. A manifest beside it
is held to the same, and named where it is not well. Nothing there is changed. What is proved by size or hash is verified from then on, and what turns out missing or altered is so no longer;
ew-ledger resend sends it again. 1 where a file is missing, altered, unverifiable, less proved than --level asks for, or
extra: no slice has its name.";

const REBUILD: &str = "\
The database was lost: make slices and bookmark anew from what is at the receiver, so that nothing is sent twice.

Bring back the rows, from a backup or with ew-log append: each file is held against what the log has. Files are recognised
by their manifests, else by the names of the job's slots. A file that is what the log makes of its slot is placed; late
rows are its next revision. Where the two differ, and where the log has rows of a slot without a file, the log's rows are
held (1): ew-ledger release sends them, --drop REASON passes over them. Rows that come later for a file that the log does
not give are held too, until it does: then they count as delivered by it. Other slots are passed over empty: rows that
come for them are their first delivery. Names that are not recognised are told. A job without breakup_on_period, or with
{seq} or {count} in filename, needs manifests.";

const AUDIT: &str = "\
Account for every row of the log: placed, on its way, late, open, held, skipped, or lost

Each row of a job's points stands in one place; one that is lost, two slices that overlap, and a delivered slice that does
not hold as many rows as the log had for it are faults (1). Of a slice of intervals the log's points times its intervals
are compared with its rows; their values are not: ew-export JOB --from T --to T --dry-run tells whether it would come out
the same. Nothing is compared where rows were trimmed, for rebuilt slices whose file the log does not give, which are
counted, and for slices of intervals from before the ledger kept how many they have.";

/// The delivery ledger of ew: what was sent, when, where and with which hash
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true, after_help = format!("{EXAMPLES}\n\n{}", Exit::HELP))]
pub struct Args {
    /// What every program has.
    #[command(flatten)]
    pub common: Common,
    /// What to show; none with `--check`.
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// What to show or to decide.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Each job on a line: last and next slot, lag, slices open, held and failed, last run; 1 where one needs care
    #[command(after_help = format!("Example:\n  ew-ledger status --max-lag 1h || page-someone\n\n{}", Exit::HELP))]
    Status {
        /// Only these jobs [default: all]
        #[arg(value_name = "JOB")]
        jobs: Vec<String>,
        /// A job needs care too where closed slots have waited longer than this
        #[arg(long, value_name = "DURATION")]
        max_lag: Option<Span>,
        /// Write a file for node_exporter's textfile collector as well, also where nothing else can be said
        #[arg(long, value_name = "FILE")]
        metrics: Option<PathBuf>,
    },
    /// Each slice on a line: window, revision, state, rows, bytes, sha256, where and when
    #[command(after_help = format!("Example:\n  ew-ledger list utility --from now-24h --to now\n\n{}", Exit::HELP))]
    List {
        /// Only these jobs [default: all]
        #[arg(value_name = "JOB")]
        jobs: Vec<String>,
        /// Only slices that end after this time [default: all]
        #[arg(long, value_name = "T")]
        from: Option<When>,
        /// Only slices that start before this time [default: all]
        #[arg(long, value_name = "T")]
        to: Option<When>,
        /// Of local times on the command line [default: the job's zone if one job is named, else UTC]
        #[arg(long)]
        zone: Option<Zone>,
    },
    /// All that is recorded of one slice: every revision, window, columns, hash, receipt
    #[command(after_help = format!("Example:\n  ew-ledger show utility utility_20260303T101500Z.csv\n\n{}", Exit::HELP))]
    Show {
        /// The job
        job: String,
        /// Its file name, or the time at which it starts
        slice: String,
    },
    /// Account for every row of the log: placed, on its way, late, open, held, skipped, or lost
    #[command(
        after_help = format!("Example:\n  ew-ledger audit utility || mail -s 'ew: rows are missing' ops\n\n{}", Exit::HELP),
        long_about = AUDIT
    )]
    Audit {
        /// Only these jobs [default: all]
        #[arg(value_name = "JOB")]
        jobs: Vec<String>,
    },
    /// Look at the receiver: is every file there, as it was delivered, and no other?
    #[command(
        after_help = format!("Example:\n  ew-ledger verify -q utility     nothing, unless something is wrong\n\n{}", Exit::HELP),
        long_about = VERIFY
    )]
    Verify {
        /// Only these jobs [default: all]
        #[arg(value_name = "JOB")]
        jobs: Vec<String>,
        /// Only slices that end after this time, and no other files [default: all]
        #[arg(long, value_name = "T")]
        from: Option<When>,
        /// Only slices that start before this time, and no other files [default: all]
        #[arg(long, value_name = "T")]
        to: Option<When>,
        /// Prove so much, and no less will do: hash (read back), size, listed [default: what the receiver allows]
        #[arg(long, value_name = "LEVEL")]
        level: Option<Proof>,
        /// Of local times on the command line [default: the job's zone if one job is named, else UTC]
        #[arg(long)]
        zone: Option<Zone>,
    },
    /// Name each file that carried a reading: when, where, sha256, revision
    #[command(after_help = format!("Example:\n  ew-ledger why com.example.hq 2026-03-03T10:15:00Z\n\n{}", Exit::HELP))]
    Why {
        /// The point
        point: Point,
        /// The time of the reading
        time: When,
        /// Of a local time on the command line
        #[arg(long, default_value = "UTC")]
        zone: Zone,
    },
    /// Send slices again byte for byte as recorded; the bookmark stays where it is
    #[command(after_help = format!("Example:\n  ew-ledger resend utility --from 2026-03-03 --to 2026-03-04\n\n{}", Exit::HELP))]
    Resend {
        /// The job
        job: String,
        /// File names, or times at which slices start
        #[arg(value_name = "SLICE", required_unless_present_any = ["from", "to"])]
        slices: Vec<String>,
        /// Slices that end after this time …
        #[arg(long, value_name = "T", conflicts_with = "slices")]
        from: Option<When>,
        /// … and start before this one
        #[arg(long, value_name = "T", conflicts_with = "slices")]
        to: Option<When>,
        /// Wait so long for a running export
        #[arg(long, value_name = "DURATION", default_value = "0s")]
        wait: Span,
    },
    /// Let held slices go with the next export, or drop them
    #[command(after_help = format!("Example:\n  ew-ledger release utility --drop 'the clock was wrong'\n\n{}", Exit::HELP))]
    Release {
        /// The job
        job: String,
        /// Times at which slices start [default: all that are held]
        #[arg(value_name = "SLICE")]
        slices: Vec<String>,
        /// Do not send them; a slice sent again whole later holds what the log has then
        #[arg(long, value_name = "REASON")]
        drop: Option<String>,
        /// For a running export
        #[command(flatten)]
        patience: Patience,
    },
    /// Pass over a slice that the receiver will never take
    #[command(after_help = format!("Example:\n  ew-ledger skip utility utility_20260303T101500Z.csv 'they refuse it'\n\n{}", Exit::HELP))]
    Skip {
        /// The job
        job: String,
        /// Its file name, or the time at which it starts
        slice: String,
        /// Why, for whoever asks later
        reason: String,
        /// For a running export
        #[command(flatten)]
        patience: Patience,
    },
    /// Give the slices and the bookmark of a job to one of another name
    #[command(after_help = format!("Example:\n  ew-ledger rename utility grid\n\n{}", Exit::HELP))]
    Rename {
        /// The name in the ledger
        old: String,
        /// The name in the configuration
        new: String,
        /// For a running export
        #[command(flatten)]
        patience: Patience,
    },
    /// The database was lost: make slices and bookmark anew from what is at the receiver
    #[command(
        after_help = format!("Example:\n  ew-ledger rebuild utility --dry-run\n\n{}", Exit::HELP),
        long_about = REBUILD
    )]
    Rebuild {
        /// The job, of which the ledger has nothing
        job: String,
        /// A name that the job had before: files under it are its own too
        #[arg(long, value_name = "NAME")]
        formerly: Vec<String>,
        /// Look for files of slots from here on [default: since, else the first row in the log or a year back]
        #[arg(long, value_name = "T")]
        from: Option<When>,
        /// Show what would be rebuilt
        #[arg(long)]
        dry_run: bool,
        /// For a running export
        #[command(flatten)]
        patience: Patience,
    },
}

/// Of commands that change what an export reads.
#[derive(Debug, clap::Args)]
pub struct Patience {
    /// Wait so long for a running export
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub wait: Span,
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.command.is_none() && !args.common.check {
        return Err(Failure::new(Exit::Usage, "nothing to do").hint("see ew-ledger --help for the commands"));
    }
    let opened = args.common.load().and_then(|config| {
        if args.common.check {
            return Ok((config, None));
        }
        let log = Log::open(&config.log.url)?;
        Ok((config, Some(log)))
    });
    if let (Err(failure), Some(Command::Status { metrics: Some(file), .. })) = (&opened, &args.command) {
        metrics::write(file, &metrics::of_failure(failure.exit, clock::now()))?;
    }
    let (config, log) = opened?;
    let (Some(command), Some(mut log)) = (&args.command, log) else {
        return args.common.checked(&config, out);
    };
    let (json, report) = (args.common.json, args.common.report("ew-ledger"));
    let named: &[String] = match command {
        Command::Status { jobs, .. } | Command::List { jobs, .. } | Command::Audit { jobs } => jobs,
        Command::Verify { jobs, .. } => jobs,
        _ => &[],
    };
    known_jobs(&config, &log.ledger().jobs()?, named)?;
    match command {
        Command::Status { jobs, max_lag, metrics } => {
            let request = status::Request { jobs, max_lag: *max_lag, metrics: metrics.as_deref() };
            status::status(&config, &mut log, &request, json, report, out)
        }
        Command::List { jobs, from, to, zone } => {
            let window = list::window(*from, *to, &zone_of(&config, jobs, zone.as_ref()))?;
            list::list(&mut log, jobs, window, json, out)
        }
        Command::Show { job, slice } => show::show(&config, &mut log, job, slice, json, out),
        Command::Audit { jobs } => audit::audit(&config, &mut log, jobs, json, out),
        Command::Verify { jobs, from, to, level, zone } => {
            let window = match (from, to) {
                (None, None) => None,
                _ => Some(list::window(*from, *to, &zone_of(&config, jobs, zone.as_ref()))?),
            };
            let wanted = Wanted { window, level: *level };
            let shown = verify::Shown { json, quiet: args.common.quiet };
            verify::verify(&config, &mut log, jobs, wanted, shown, report, out)
        }
        Command::Why { point, time, zone } => {
            let anchors = Anchors { zone, now: clock::now(), rows: None };
            let time = time.resolve(&anchors).map_err(|e| Failure::of(Exit::Usage, &e))?;
            why::why(&config, &mut log, point.as_str(), time, json, out)
        }
        Command::Resend { job, slices, from, to, wait } => {
            let request = resend::Request { job, slices, from: *from, to: *to, wait: *wait };
            resend::resend(&config, &mut log, &request, json, report, out)
        }
        Command::Release { job, slices, drop, patience } => decided(
            &decide::release(&config, &mut log, job, slices, drop.as_deref(), patience.wait, report)?,
            json,
            out,
        ),
        Command::Skip { job, slice, reason, patience } => {
            decided(&decide::skip(&config, &mut log, job, slice, reason, patience.wait, report)?, json, out)
        }
        Command::Rebuild { job, formerly, from, dry_run, patience } => {
            let zone = zone_of(&config, std::slice::from_ref(job), None);
            let anchors = Anchors { zone: &zone, now: clock::now(), rows: None };
            let from = from.map(|from| from.resolve(&anchors)).transpose();
            let from = from.map_err(|e| Failure::of(Exit::Usage, &e))?;
            let request = rebuild::Request { job, formerly, from, dry_run: *dry_run, wait: patience.wait };
            rebuild::rebuild(&config, &mut log, &request, json, report, out)
        }
        Command::Rename { old, new, patience } => {
            decided(&decide::rename(&config, &mut log, old, new, patience.wait, report)?, json, out)
        }
    }
}

/// Says what was decided to whoever asked with `--json`; notes said it to people.
fn decided(done: &serde_json::Value, as_json: bool, out: &mut Output) -> Result<Exit, Failure> {
    if as_json {
        out.json(done)?;
    }
    Ok(Exit::Ok)
}

/// The zone of local times on a command line that names jobs.
fn zone_of(config: &ew_config::Config, jobs: &[String], given: Option<&Zone>) -> Zone {
    let one = jobs.first().filter(|_| jobs.len() == 1);
    let of_job = config.exports.iter().find(|job| Some(&job.name) == one).map(|job| &job.zone);
    given.or(of_job).cloned().unwrap_or_else(Zone::utc)
}

/// Jobs of the configuration, and those that once ran, can be named.
fn known_jobs(config: &ew_config::Config, ran: &[ew_store::Job], names: &[String]) -> Result<(), Failure> {
    let mut known: Vec<&str> = config.exports.iter().map(|job| job.name.as_str()).collect();
    known.extend(
        ran.iter()
            .map(|job| job.name.as_str())
            .filter(|name| !config.exports.iter().any(|j| j.name == *name)),
    );
    match names.iter().find(|name| !known.contains(&name.as_str())) {
        None => Ok(()),
        Some(unknown) => Err(Failure::new(Exit::Usage, format!("there is no job {unknown:?}"))
            .hint(format!("the configuration and the ledger have: {}", known.join(" ")))),
    }
}

//! What was delivered: `status` and `list`.

mod list;
mod status;

use clap::{Parser, Subcommand};
use ew_cli::{Common, Failure, Output};
use ew_core::{Exit, When, Zone};
use ew_store::Log;

const EXAMPLES: &str = "\
Examples:
  ew-ledger status
  ew-ledger list utility --from 2026-03-03 --to 2026-03-04     did Tuesday arrive?";

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

/// What to show.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Each job on a line: last and next slot, lag, slices open and failed
    #[command(after_help = format!("Example:\n  ew-ledger status --json\n\n{}", Exit::HELP))]
    Status {
        /// Only these jobs [default: all]
        #[arg(value_name = "JOB")]
        jobs: Vec<String>,
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
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.command.is_none() && !args.common.check {
        return Err(Failure::new(Exit::Usage, "nothing to do").hint("see ew-ledger --help for the commands"));
    }
    let config = args.common.load()?;
    let Some(command) = args.command.as_ref().filter(|_| !args.common.check) else {
        return args.common.checked(&config, out);
    };
    let mut log = Log::open(&config.log.url)?;
    let jobs = match command {
        Command::Status { jobs } | Command::List { jobs, .. } => jobs,
    };
    known_jobs(&config, &log.ledger().jobs()?, jobs)?;
    match command {
        Command::Status { jobs } => status::status(&config, &mut log, jobs, args.common.json, out),
        Command::List { jobs, from, to, zone } => {
            let one = jobs.first().filter(|_| jobs.len() == 1);
            let of_job = config.exports.iter().find(|job| Some(&job.name) == one).map(|job| job.zone.clone());
            let zone = zone.clone().or(of_job).unwrap_or_else(Zone::utc);
            let window = list::window(*from, *to, &zone)?;
            list::list(&mut log, jobs, window, args.common.json, out)
        }
    }
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

//! C-Bus: what is on a bus, at which levels, and what changed. Only `set` writes to a bus.

mod ask;
mod diff;
mod discover;
mod document;
mod file;
mod import;
mod level;
mod measure;
pub mod poll;
mod probe;

pub use ask::Asker;

use clap::{Parser, Subcommand};
use ew_cli::{Common, Failure, Output};
use ew_core::{Exit, Span};
use std::path::PathBuf;

const EXAMPLES: &str = "\
Examples:
  ew-cbus discover                       what is on every bus, into the log too
  ew-cbus poll                           as from cron: the levels of every group, into the log
  ew-cbus get lobby 56 7
  ew-cbus diff                           what changed since the discovery before";

/// C-Bus: discover what is there, poll levels into the log, tell what changed
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

/// What a command that talks to a bus may be told.
#[derive(Debug, Clone, clap::Args)]
pub struct Talk {
    /// Write down what is said in both directions, with times; added to the end of FILE
    #[arg(long, value_name = "FILE")]
    pub trace: Option<PathBuf>,
    /// Wait so long for another run that talks to the same interface
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub wait: Span,
    /// Wait so long for a network that is being synchronised (cgate) [default: report it as it is]
    #[arg(long, value_name = "DURATION", default_value = "0s", hide_default_value = true)]
    pub wait_sync: Span,
    /// Let a C-Gate that needs it open networks and start the project
    #[arg(long)]
    pub allow_open: bool,
}

/// What to do with a bus.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find networks, applications, groups with levels, units; print them and keep them in the log
    ///
    /// 1 where something is known to be missing: it says what.
    #[command(after_help = format!("Example:\n  ew-cbus discover lobby --json > lobby.json\n\n{}", Exit::HELP))]
    Discover {
        /// Only these buses [default: all]
        #[arg(value_name = "BUS")]
        buses: Vec<String>,
        /// Print, but keep nothing in the log
        #[arg(long)]
        dry_run: bool,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
    /// Append the level of every group to the log; null with a reason where there is none
    #[command(after_help = format!("Example:\n  ew-cbus poll lobby\n\n{}", Exit::HELP))]
    Poll {
        /// Only these buses [default: all, also those without poll = true]
        #[arg(value_name = "BUS")]
        buses: Vec<String>,
        /// Print, but append nothing
        #[arg(long)]
        dry_run: bool,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
    /// Print the level of one group
    #[command(after_help = format!("Example:\n  ew-cbus get lobby 56 7\n\n{}", Exit::HELP))]
    Get {
        /// Which.
        #[command(flatten)]
        group: GroupArgs,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
    /// Set the level of one group, at once, and read it back: 1 where it is not what was set
    ///
    /// The only command that writes to a bus.
    #[command(after_help = format!("Example:\n  ew-cbus set lobby 56 7 255\n\n{}", Exit::HELP))]
    Set {
        /// Which.
        #[command(flatten)]
        group: GroupArgs,
        /// 0..255
        level: u8,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
    /// Append the readings of measurement channels to the log, each with its unit and age
    #[command(after_help = format!("Example:\n  ew-cbus measure lobby\n\n{}", Exit::HELP))]
    Measure {
        /// Only these buses [default: all]
        #[arg(value_name = "BUS")]
        buses: Vec<String>,
        /// Print, but append nothing
        #[arg(long)]
        dry_run: bool,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
    /// Tell what changed between two discoveries: 0 nothing, 1 something
    ///
    /// A discovery is its number in the log or a file with the document of discover --json. Without NEW, OLD and the
    /// last one of its bus; without both, the last two.
    #[command(after_help = format!("Example:\n  ew-cbus diff 3 7\n\n{}", Exit::HELP))]
    Diff {
        /// The earlier one
        old: Option<String>,
        /// The later one
        new: Option<String>,
        /// Of which bus the last two are [default: the only one]
        #[arg(long, conflicts_with = "old")]
        bus: Option<String>,
        /// Levels too
        #[arg(long)]
        levels: bool,
        /// Refuse a discovery that is not whole
        #[arg(long)]
        strict: bool,
    },
    /// Keep the tags of a project for a bus: .xml or .cbz of Toolkit, .db of C-Gate 3
    ///
    /// They take the place of those imported before, and later discoveries have them. The file is only read.
    #[command(name = "import-tags")]
    #[command(after_help = format!("Example:\n  ew-cbus import-tags HQ.cbz --bus lobby\n\n{}", Exit::HELP))]
    ImportTags {
        /// The project
        file: PathBuf,
        /// The bus that it is of [default: the only one]
        #[arg(long)]
        bus: Option<String>,
        /// Only this network of the project; for a bus whose backend calls it otherwise, as exec does [default: all]
        #[arg(long, value_name = "N")]
        network: Option<String>,
    },
    /// Tell what answers at the endpoint of each bus; nothing is kept
    #[command(after_help = format!("Example:\n  ew-cbus probe lobby --trace lobby.trace\n\n{}", Exit::HELP))]
    Probe {
        /// Only these buses [default: all]
        #[arg(value_name = "BUS")]
        buses: Vec<String>,
        /// How it is talked to.
        #[command(flatten)]
        talk: Talk,
    },
}

/// One group.
#[derive(Debug, Clone, clap::Args)]
pub struct GroupArgs {
    /// As in ew.toml
    pub bus: String,
    /// 0..255; lighting is 56
    pub application: u8,
    /// 0..254
    #[arg(value_parser = clap::value_parser!(u8).range(..=254))]
    pub group: u8,
    /// The network [default: the one that the interface is on]
    #[arg(long, value_name = "N", default_value = "", hide_default_value = true)]
    pub network: String,
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.command.is_none() && !args.common.check {
        return Err(Failure::new(Exit::Usage, "nothing to do").hint("see ew-cbus --help for the commands"));
    }
    let config = args.common.load()?;
    let report = args.common.report("ew-cbus");
    let Some(command) = args.command.as_ref().filter(|_| !args.common.check) else {
        return args.common.checked(&config, out);
    };
    let json = args.common.json;
    let asker = |talk: &Talk| Asker::new(&config, talk, report);
    match command {
        Command::Discover { buses, dry_run, talk } => {
            discover::discover(&asker(talk)?, buses, *dry_run, json, out)
        }
        Command::Poll { buses, dry_run, talk } => {
            poll::command(&asker(talk)?, buses, *dry_run, (json, args.common.quiet), out)
        }
        Command::Get { group, talk } => level::get(&asker(talk)?, group, json, out),
        Command::Set { group, level, talk } => level::set(&asker(talk)?, group, *level, json, out),
        Command::Measure { buses, dry_run, talk } => {
            measure::measure(&asker(talk)?, buses, *dry_run, (json, args.common.quiet), out)
        }
        Command::Diff { old, new, bus, levels, strict } => {
            let request = diff::Request {
                old: old.as_deref(),
                new: new.as_deref(),
                bus: bus.as_deref(),
                levels: *levels,
                strict: *strict,
            };
            diff::diff(&config, &request, json, report, out)
        }
        Command::ImportTags { file, bus, network } => {
            let request = import::Request { file, bus: bus.as_deref(), network: network.as_deref() };
            import::import(&config, &request, json, report, out)
        }
        Command::Probe { buses, talk } => probe::probe(&asker(talk)?, buses, json, out),
    }
}

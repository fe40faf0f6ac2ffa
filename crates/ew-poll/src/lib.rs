//! Polls the configured energy domains, and C-Bus buses with `poll = true`, once, into the log.
//!
//! One poll carries one timestamp, its start. Each domain tree and each bus is committed by itself as soon as it is
//! whole, under a lock of its own.

mod cache;
mod discover;
mod due;
mod report;

use clap::Parser;
use due::Due;
use ew_bus::BusOptions;
use ew_cbus::Asker;
use ew_cbus::poll::{BusReading, BusReport, lock};
use ew_cli::{Common, Failure, Lock, LockRequest, Output, Report, clock};
use ew_config::Config;
use ew_core::{Exit, PartOutcome, Span};
use ew_energy::{Domain, Importance, Known, Memory, PollOptions, TreeReading, poll, select, trees};
use ew_store::{Log, PollDetail};
use report::{DomainReport, RunReport};
use std::collections::HashMap;

const EXAMPLES: &str = "\
Examples:
  ew-poll                                every domain whose last reading is older than its ttl
  ew-poll --due -q                       as from cron, each minute: what is due by trend or ttl
  ew-poll com.example.hq --dry-run       ask and print, append nothing
  ew-poll --skip-cache --json | jq '.domains[].value'
  ew-poll --discover 192.0.2.10 192.0.2.11   print the tables for these two";

/// Poll energy domains once: ask every switch what it uses, append the readings to the log; C-Bus buses with
/// poll = true, or named, give the levels of their groups
#[derive(Debug, Parser)]
#[command(version, after_help = format!("{EXAMPLES}\n\n{}", Exit::HELP))]
pub struct Args {
    /// What every program has.
    #[command(flatten)]
    pub common: Common,
    /// Only these domains, each with all below it, and these buses [default: all]
    #[arg(value_name = "DOMAIN|BUS")]
    pub names: Vec<String>,
    /// Ask even where the last reading is younger than the domain's ttl
    #[arg(long)]
    pub skip_cache: bool,
    /// Count only entities up to this importance, 1 to 100, whatever the domain says
    #[arg(long, value_name = "N", value_parser = importance)]
    pub importance: Option<Importance>,
    /// Poll only what is due: with a trend once in each period, else once its last reading, null or not, is as old as
    /// its ttl. What is not due, or polled by another run, is left out without a word
    #[arg(long, conflicts_with = "skip_cache")]
    pub due: bool,
    /// Ask and print, but append nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Ask these agents what they are, and print the [[domain]] tables for them; polls and appends nothing
    ///
    /// HOST, HOST:PORT, a file with one of them a line, or - for stdin. Only what is listed is asked.
    #[arg(long, value_name = "ADDRESS|FILE", num_args = 1..,
          conflicts_with_all = ["names", "skip_cache", "importance", "due", "dry_run", "wait"])]
    pub discover: Vec<String>,
    /// Wait so long for another run that polls the same domain or talks to the same bus
    #[arg(long, value_name = "DURATION", default_value = "0s")]
    pub wait: Span,
}

fn importance(text: &str) -> Result<Importance, String> {
    text.parse()
        .ok()
        .and_then(Importance::new)
        .ok_or_else(|| "importance is a number from 1 to 100".to_owned())
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let report = args.common.report("ew-poll");
    let config = args.common.load()?;
    let trees = trees(&config.domains, &config.snmp, &config.native);
    let (chosen, buses) = choose(&config, &trees, &args.names)?;
    if args.common.check {
        return args.common.checked(&config, out);
    }
    if !args.discover.is_empty() {
        return discover::run(args, &config, report, out);
    }
    let start = clock::reading();
    let mut run = RunReport::new(start.wall);
    if chosen.is_empty() && buses.is_empty() {
        let file = config.file.display();
        return Err(Failure::new(
            Exit::Config,
            format!(
                "{file} has no [[domain]] table and no bus with poll = true, so there is nothing to poll"
            ),
        )
        .hint("fixtures/ew.toml shows both"));
    }
    let mut log = Log::open(&config.log.url)?;
    let clock = clock::present(&log, start)?;
    clock.warn(report, "readings are marked suspect");
    // What is not due takes no lock, or it would keep others from it while this run waits for a slow domain.
    let wanted = if args.due { plan(&log, &config, args, &clock, &chosen)?.trees } else { chosen };
    let (locks, free) = take_locks(&config, &wanted, args, &mut run, report);
    let mut poller = Poller { args, report, log: &mut log, clock, run, locks };
    poller.poll(&config, &free)?;
    poller.poll_buses(&config, &buses);
    let run = poller.run;
    if args.common.json {
        out.report(|out| out.json(&run))?;
    } else if !args.common.quiet {
        out.report(|out| run.table(out))?;
    }
    Ok(Exit::of_parts(run.parts.iter().copied()))
}

/// The trees and the buses to poll: those named, each tree whole, or all, of the buses those with `poll = true`.
fn choose<'a>(
    config: &'a Config,
    trees: &'a [Domain],
    names: &[String],
) -> Result<(Vec<&'a Domain>, Vec<&'a BusOptions>), Failure> {
    let is_bus = |name: &str| config.buses.iter().any(|bus| bus.name == name);
    let is_domain = |name: &str| config.domains.iter().any(|domain| domain.name == name);
    let is_named = |bus: &&BusOptions| match names {
        [] => bus.poll,
        names => names.contains(&bus.name),
    };
    let buses: Vec<&BusOptions> = config.buses.iter().filter(is_named).collect();
    let domains: Vec<&str> =
        names.iter().map(String::as_str).filter(|name| is_domain(name) || !is_bus(name)).collect();
    if domains.is_empty() && !names.is_empty() {
        return Ok((Vec::new(), buses));
    }
    let trees = select(trees, &domains).map_err(|unknown| {
        let domains = config.domains.iter().map(|domain| domain.name.as_str());
        let known: Vec<_> = domains.chain(config.buses.iter().map(|bus| bus.name.as_str())).collect();
        Failure::new(Exit::Usage, format!("there is no domain or bus {unknown:?}")).hint(format!(
            "{} has: {}",
            config.file.display(),
            known.join(" ")
        ))
    })?;
    Ok((trees, buses))
}

/// What to ask, and whose last reading does in place of asking.
fn plan<'a>(
    log: &Log,
    config: &Config,
    args: &Args,
    clock: &clock::Present,
    trees: &[&'a Domain],
) -> Result<Due<'a>, Failure> {
    if args.due {
        return due::due(log, &config.trends, trees, args.importance, clock);
    }
    // On a doubtful clock nobody knows how old a reading is.
    let cached = match args.skip_cache || clock.doubt.is_some() {
        true => HashMap::new(),
        false => cache::fresh(log, trees, args.importance, clock.reading.wall)?,
    };
    Ok(Due { trees: trees.to_vec(), cached })
}

/// The locks of each tree by its topmost domain.
type Locks = HashMap<String, Vec<Lock>>;

/// Locks each tree with every domain in it; those that another run polls are reported and left out.
fn take_locks<'a>(
    config: &Config,
    chosen: &[&'a Domain],
    args: &Args,
    run: &mut RunReport,
    report: Report,
) -> (Locks, Vec<&'a Domain>) {
    let (mut locks, mut free) = (Locks::new(), Vec::new());
    for tree in chosen {
        match take_tree(config, tree, args, report) {
            Ok(taken) => {
                locks.insert(tree.name.clone(), taken);
                free.push(*tree);
            }
            Err(failure) if failure.exit == Exit::Busy && args.due => {}
            Err(failure) => {
                run.parts.push(PartOutcome::ended_with(failure.exit));
                run.fail(&tree.name, &failure);
                report.failure(&failure.of_part(&tree.name));
            }
        }
    }
    (locks, free)
}

/// The locks of all domains of a tree, or none of them. The watchdog of the first speaks for all.
fn take_tree(config: &Config, tree: &Domain, args: &Args, report: Report) -> Result<Vec<Lock>, Failure> {
    let mut taken = Vec::new();
    for domain in tree.flat() {
        let request = LockRequest {
            dir: &Log::lock_dir(&config.log.url),
            name: &format!("poll-{}", domain.name),
            machine: &[],
            activity: "poll",
            wait: args.wait,
            warn_after: taken.is_empty().then_some(config.log.lock_warn_after),
        };
        let lock = Lock::acquire(&request, report)?;
        lock.stage(format!("polling {}", tree.name));
        taken.push(lock);
    }
    Ok(taken)
}

/// One poll.
struct Poller<'a> {
    args: &'a Args,
    report: Report,
    log: &'a mut Log,
    clock: clock::Present,
    run: RunReport,
    /// Let go tree by tree: a slow one does not keep the next run from the others.
    locks: Locks,
}

impl Poller<'_> {
    fn poll(&mut self, config: &Config, trees: &[&Domain]) -> Result<(), Failure> {
        let start = self.clock.reading.wall;
        // Once more under the locks: another run may just have polled what was due.
        let Due { trees, cached } = plan(self.log, config, self.args, &self.clock, trees)?;
        let trees = &trees[..];
        let memories = self.log.device_memories()?;
        let memories =
            memories.into_iter().filter_map(|(point, text)| Some((point, Memory::from_text(&text)?)));
        let known = Known { totals: cached, memories: memories.collect() };
        let options = PollOptions {
            importance: self.args.importance,
            profiles: config.profiles.clone(),
            ..PollOptions::new(&config.snmp)
        };
        let mut readings = |reading: TreeReading| self.whole(reading);
        poll(trees, &options, start, &known, &|source| config.secret(source), &mut readings);
        self.run.sort(trees);
        Ok(())
    }

    /// Each bus is asked, and what it said committed, by itself.
    fn poll_buses(&mut self, config: &Config, buses: &[&BusOptions]) {
        let asker = Asker::plain(config, self.args.wait, self.report);
        for options in buses {
            let taken = lock(&asker, options, self.args.wait).and_then(|lock| {
                let reading = BusReading::take(&asker, self.log, options)?;
                if !self.args.dry_run {
                    reading.append(self.log, &self.clock)?;
                }
                drop(lock);
                Ok(reading)
            });
            match taken {
                Ok(reading) if reading.is_busy() && self.args.due => {}
                Ok(reading) => {
                    reading.tell(&asker);
                    self.run.parts.extend(reading.parts());
                    self.run.bus_rows.extend(reading.rows(&self.clock));
                    self.run.buses.push(reading.report(&self.clock));
                }
                Err(failure) if failure.exit == Exit::Busy && self.args.due => {}
                Err(failure) => {
                    self.run.parts.push(PartOutcome::ended_with(failure.exit));
                    self.run.buses.push(BusReport::failed(&options.name, &failure));
                    self.report.failure(&failure.of_part(&options.name));
                }
            }
        }
    }

    /// A tree is whole: append and report it. What is not in the log did not succeed, whatever answered.
    fn whole(&mut self, mut reading: TreeReading) {
        if self.clock.doubt.is_some() {
            reading.suspect();
        }
        self.tell(&reading);
        let shown = reading.domains.iter().filter(|domain| !(self.args.due && domain.cached));
        self.run.domains.extend(shown.map(DomainReport::of));
        match self.append(&reading) {
            Ok(()) => self.run.parts.extend(parts(&reading)),
            Err(failure) => {
                self.run.parts.push(PartOutcome::Failed(failure.exit));
                self.run.fail(reading.root(), &failure);
                self.report.failure(&failure.of_part(reading.root()));
            }
        }
        self.locks.remove(reading.root());
    }

    /// Says what a person should know.
    fn tell(&self, reading: &TreeReading) {
        for warning in &reading.warnings {
            self.report.warning(warning);
        }
        for (domain, switch) in reading.switches() {
            let name = format!("{}: {}", domain.name, switch.name);
            match (&switch.failure, switch.reason()) {
                (Some(failure), _) => {
                    let failure =
                        Failure::new(failure.exit, failure.reason.clone()).hint(failure.hint.clone());
                    self.report.failure(&failure.of_part(&name));
                }
                // Nothing went wrong; the switch has no value of its own.
                (None, Some(reason)) if switch.value.is_none() => {
                    self.report.detail(format_args!("{name}: {reason}"));
                }
                (None, Some(reason)) => self.report.warning(format_args!("{name}: {reason}")),
                (None, None) => {}
            }
        }
        for detail in &reading.details {
            self.report.detail(detail);
        }
        for domain in reading.domains.iter().filter(|domain| domain.cached) {
            self.report.detail(format_args!("{}: cached", domain.name));
        }
    }

    fn append(&mut self, reading: &TreeReading) -> Result<(), Failure> {
        if self.args.dry_run || reading.is_cached() {
            return Ok(());
        }
        let detail = |entry: &ew_energy::Entry| PollDetail {
            point: entry.sample.point().clone(),
            expected: entry.detail.expected,
            answered: entry.detail.answered,
            importance: entry.detail.importance,
            reason: entry.detail.reason.clone(),
            memory: entry.detail.memory.as_ref().map(Memory::to_text),
        };
        let done = self.clock.append(|start| {
            let entries = reading.entries(start);
            let details: Vec<_> = entries
                .iter()
                .filter(|entry| entry.detail != ew_energy::Detail::default())
                .map(detail)
                .collect();
            let samples = entries.into_iter().map(|entry| entry.sample).collect();
            self.log.append_poll(samples, &details, start, &self.clock.reading)
        })?;
        self.report.detail(format_args!("{}: {} readings appended", reading.root(), done.appended));
        Ok(())
    }
}

/// Each switch is a part of the run, and so is a domain of which none is asked: cached, or with nothing to ask.
fn parts(reading: &TreeReading) -> impl Iterator<Item = PartOutcome> {
    let of_domain = |domain: &ew_energy::DomainReading| match domain.cached {
        true => Some(PartOutcome::Unneeded),
        false => (domain.total.expected == 0).then_some(PartOutcome::Done),
    };
    let domains = reading.domains.iter().filter_map(of_domain);
    let switches = reading.switches().map(|(_, switch)| match &switch.failure {
        Some(failure) => PartOutcome::Failed(failure.exit),
        None => PartOutcome::Done,
    });
    domains.chain(switches)
}

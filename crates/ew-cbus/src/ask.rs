//! Which buses, and how one is talked to: alone, by its deadline, with a trace.

use crate::Talk;
use ew_bus::{Bus, BusError, BusOptions, Context, Trace};
use ew_cli::{Failure, Lock, LockRequest, Report, clock};
use ew_config::Config;
use ew_core::{Exit, Span};
use ew_store::Log;
use std::fs::File;
use std::time::Instant;

/// Talks to the buses of a configuration.
pub struct Asker<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// Where messages go.
    pub report: Report,
    wait: Span,
    wait_sync: Span,
    allow_open: bool,
    trace: Trace,
}

impl<'a> Asker<'a> {
    /// As a command line asks for it.
    pub fn new(config: &'a Config, talk: &Talk, report: Report) -> Result<Asker<'a>, Failure> {
        let trace = match &talk.trace {
            None => Trace::off(),
            Some(path) => {
                let open = File::options().create(true).append(true).open(path);
                let file = open.map_err(|e| {
                    Failure::new(Exit::Io, format!("cannot write the trace {}: {e}", path.display()))
                })?;
                Trace::to(Box::new(file), clock::now)
            }
        };
        Ok(Asker {
            trace,
            wait_sync: talk.wait_sync,
            allow_open: talk.allow_open,
            ..Asker::plain(config, talk.wait, report)
        })
    }

    /// Without any of it.
    pub fn plain(config: &'a Config, wait: Span, report: Report) -> Asker<'a> {
        let wait_sync = Span::from_secs(0);
        Asker { config, report, wait, wait_sync, allow_open: false, trace: Trace::off() }
    }

    /// How long to wait for another run.
    pub fn wait(&self) -> Span {
        self.wait
    }

    /// The buses of these names, or all.
    pub fn choose(&self, names: &[String]) -> Result<Vec<&'a BusOptions>, Failure> {
        if self.config.buses.is_empty() {
            let file = self.config.file.display();
            return Err(Failure::new(
                Exit::Config,
                format!("{file} has no [[cbus]] table, so there is no bus"),
            )
            .hint("fixtures/ew.toml shows one"));
        }
        if names.is_empty() {
            return Ok(self.config.buses.iter().collect());
        }
        let mut chosen: Vec<&BusOptions> = Vec::new();
        for name in names {
            let bus = bus(self.config, name)?;
            if !chosen.iter().any(|one| one.name == bus.name) {
                chosen.push(bus);
            }
        }
        Ok(chosen)
    }

    /// Connects to a bus, alone on its endpoint, has it asked and leaves it.
    pub fn ask<T>(
        &self,
        options: &BusOptions,
        doing: &'static str,
        ask: impl FnOnce(&mut dyn Bus) -> Result<T, BusError>,
    ) -> Result<T, Failure> {
        let names: Vec<String> =
            options.lock_names(self.config.base()).into_iter().map(|name| format!("ew-bus-{name}")).collect();
        let request = LockRequest {
            dir: &Log::lock_dir(&self.config.log.url),
            name: names.first().map_or("ew-bus", String::as_str),
            machine: &names,
            activity: "talk on the bus",
            wait: self.wait,
            warn_after: Some(self.config.log.lock_warn_after),
        };
        let lock = Lock::acquire(&request, self.report)?;
        lock.stage(format!("{doing}: {}", options.name));
        let resolve = |source: &ew_core::SecretSource| self.config.secret(source);
        let note = |text: &str| self.report.note(format_args!("{}: {text}", options.name));
        let context = Context {
            base: self.config.base(),
            resolve: &resolve,
            trace: self.trace.clone(),
            deadline: Instant::now() + options.deadline.0,
            allow_open: self.allow_open,
            wait_sync: self.wait_sync.0,
            now: &clock::now,
            note: &note,
        };
        let answer = ew_bus::open(options, context).and_then(|mut bus| ask(bus.as_mut()));
        if let Some(error) = self.trace.failed() {
            self.report.warning(format_args!("{}: the trace is not whole: {error}", options.name));
        }
        answer.map_err(failure)
    }
}

/// A bus by its name.
pub(crate) fn bus<'a>(config: &'a Config, name: &str) -> Result<&'a BusOptions, Failure> {
    config.buses.iter().find(|bus| bus.name == name).ok_or_else(|| {
        let known: Vec<_> = config.buses.iter().map(|bus| bus.name.as_str()).collect();
        Failure::new(Exit::Usage, format!("there is no bus {name:?}")).hint(format!(
            "{} has: {}",
            config.file.display(),
            known.join(" ")
        ))
    })
}

/// The bus of that name, or the only one.
pub(crate) fn one<'a>(config: &'a Config, name: Option<&str>) -> Result<&'a BusOptions, Failure> {
    match (name, config.buses.as_slice()) {
        (Some(name), _) => bus(config, name),
        (None, [only]) => Ok(only),
        (None, buses) => {
            let known: Vec<_> = buses.iter().map(|bus| bus.name.as_str()).collect();
            Err(Failure::new(Exit::Usage, format!("there are {} buses; say which by --bus", buses.len()))
                .hint(format!("{} has: {}", config.file.display(), known.join(" "))))
        }
    }
}

/// A failure with the exit code and hint of the error.
pub(crate) fn failure(error: BusError) -> Failure {
    Failure::of(error.exit(), &error).maybe_hint(error.hint())
}

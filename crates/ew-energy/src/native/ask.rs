//! Asking a domain once: the primary first, each switch a few times, then the next one.

use super::command::{At, ByCommand};
use super::share::{collected, count, summed};
use super::ssh::{BySsh, Entry, net_error};
use super::{Collected, CommandOptions, Native, Question};
use crate::reading::{Failure, SwitchReading, Total, some_of};
use crate::{Domain, EnergyError, NativeOptions, Switch};
use ew_core::{Exit, Quality, Secret, SecretSource};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, Scope};
use std::time::{Duration, Instant};

/// So many domains are asked at once; each is a child or a connection.
const PARALLEL: usize = 16;
/// The threads that ask need no more.
const STACK_BYTES: usize = 512 * 1024;

/// A domain to ask, and where its answer goes.
pub(crate) struct Job<'a> {
    pub(crate) tree: usize,
    pub(crate) place: usize,
    domain: &'a Domain,
    importance: u32,
    /// The adapter of each switch, in their order.
    doors: Vec<Result<Door<'a>, EnergyError>>,
}

/// What came of it: the domain's own part, without its sub-domains.
pub(crate) struct Answer {
    pub(crate) total: Total,
    pub(crate) switches: Vec<SwitchReading>,
    pub(crate) warnings: Vec<String>,
    /// For a person who asks for more.
    pub(crate) details: Vec<String>,
}

/// A switch's adapter, its secrets read.
struct Door<'a> {
    peer: String,
    kind: Kind<'a>,
}

enum Kind<'a> {
    Command { options: &'a CommandOptions, shared_secret: Option<Secret> },
    Ssh(Box<Entry>),
}

/// What a switch said of its domain.
enum Found {
    Rows(Collected),
    Sum(f64),
}

impl<'a> Job<'a> {
    /// Reads the secrets; nothing is asked yet.
    pub(crate) fn new(
        (tree, place): (usize, usize),
        domain: &'a Domain,
        importance: u32,
        secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
    ) -> Job<'a> {
        let door = |switch: &'a Switch| match &switch.native {
            Some(options) => Door::of(switch, options, secret),
            None => Err(EnergyError::NoBackend { peer: switch.address.to_string() }),
        };
        let doors = domain.switches.iter().map(door).collect();
        Job { tree, place, domain, importance, doors }
    }
}

impl<'a> Door<'a> {
    fn of(
        switch: &Switch,
        options: &'a NativeOptions,
        secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
    ) -> Result<Door<'a>, EnergyError> {
        let port = u16::try_from(options.native_port.get()).unwrap_or(u16::MAX);
        let read = |peer: &str, key, source: &Option<SecretSource>| match source {
            None => Ok(None),
            Some(source) => secret(source).map(Some).map_err(|cause| EnergyError::Secret {
                peer: peer.to_owned(),
                key,
                cause,
            }),
        };
        if let Some(command) = &options.command {
            let peer = switch.address.with_port(port);
            let shared_secret = read(&peer, "shared_secret", &options.shared_secret)?;
            return Ok(Door { peer, kind: Kind::Command { options: command, shared_secret } });
        }
        let Some(ssh) = &options.ssh else {
            return Err(EnergyError::NoBackend { peer: switch.address.with_port(port) });
        };
        let peer = format!("{}@{}", ssh.ssh.user, switch.address.with_port(ssh.port));
        let enable_password = read(&peer, "enable_password", &ssh.enable_password)?;
        let host = (switch.address.as_str(), ssh.port);
        let way_round = "ask it by a command that goes by the system's ssh";
        let access = ssh
            .ssh
            .access(host, options.timeout.span(), Path::new(""), secret, way_round)
            .map_err(|e| net_error(&peer, e))?;
        Ok(Door { peer, kind: Kind::Ssh(Box::new(Entry { access, enable_password })) })
    }

    /// A far side's words without its secrets.
    fn hidden(&self, text: &str) -> String {
        match &self.kind {
            Kind::Command { shared_secret: Some(secret), .. } => secret.hide_in(text),
            Kind::Command { shared_secret: None, .. } => text.to_owned(),
            Kind::Ssh(entry) => entry.hidden(text),
        }
    }

    /// An answer without a row that counts, and why there is none.
    fn no_rows(&self, left_out: &[(Option<String>, String)]) -> EnergyError {
        let reasons = left_out.iter().map(|(_, why)| why.as_str());
        EnergyError::NoRows { peer: self.peer.clone(), left_out: some_of(reasons) }
    }

    /// One attempt.
    fn ask(
        &self,
        switch: &Switch,
        options: &NativeOptions,
        question: &Question<'_>,
        timeout: Duration,
        notes: &mut Vec<String>,
    ) -> Result<Found, EnergyError> {
        let mut adapter: Box<dyn Native + '_> = match &self.kind {
            Kind::Command { options: command, shared_secret } => {
                let at = At {
                    peer: &self.peer,
                    address: switch.address.as_str(),
                    port: options.native_port.get(),
                    shared_secret: shared_secret.as_ref(),
                    timeout,
                };
                Box::new(ByCommand::open(command, at)?)
            }
            Kind::Ssh(entry) => Box::new(BySsh::open(entry, &self.peer, timeout)?),
        };
        let found = match adapter.collect(question) {
            // Whoever is asked is a member itself: without any row nobody answered.
            Ok(Some(found)) if found.rows.is_empty() => Err(self.no_rows(&found.left_out)),
            Ok(Some(found)) => Ok(Found::Rows(found)),
            Ok(None) => adapter.sum(question).map(Found::Sum),
            Err(e) => Err(e),
        };
        notes.extend(adapter.notes().into_iter().map(|note| format!("{}: {note}", switch.name)));
        found
    }
}

/// Starts to ask the domains, some at once; each answer is told with the job's number, from a thread of the scope.
pub(crate) fn start<'scope, 'env: 'scope, 'job: 'scope>(
    scope: &'scope Scope<'scope, 'env>,
    jobs: &'scope [Job<'job>],
    tell: impl Fn(usize, Answer) + Send + Clone + 'scope,
) {
    let next = Arc::new(AtomicUsize::new(0));
    let work = |next: &AtomicUsize, tell: &dyn Fn(usize, Answer)| {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(job) = jobs.get(number) else { return };
            tell(number, ask(job));
        }
    };
    let started = (0..jobs.len().min(PARALLEL))
        .map_while(|_| {
            let (next, tell) = (Arc::clone(&next), tell.clone());
            let asker = thread::Builder::new().name("native".into()).stack_size(STACK_BYTES);
            asker.spawn_scoped(scope, move || work(&next, &tell)).ok()
        })
        .count();
    // With no thread to be had the domains are asked one after the other.
    if started == 0 {
        work(&next, &tell);
    }
}

/// Asks one domain. Never panics, or its tree would wait for ever.
fn ask(job: &Job<'_>) -> Answer {
    catch_unwind(AssertUnwindSafe(|| ask_domain(job))).unwrap_or_else(|_| {
        let error = |switch: &Switch| EnergyError::Breach {
            peer: switch.address.to_string(),
            object: "the domain query".into(),
            cause: "its answer brought the reader down".into(),
        };
        nobody(job.domain, job.domain.switches.iter().map(|switch| (error(switch), 0)).collect(), Vec::new())
    })
}

fn ask_domain(job: &Job<'_>) -> Answer {
    let domain = job.domain;
    let question = Question { domain: &domain.name, importance: job.importance };
    let mut order: Vec<usize> = (0..domain.switches.len()).collect();
    order.sort_by_key(|place| !domain.switches[*place].primary);
    let mut failed: Vec<(usize, EnergyError, u32)> = Vec::new();
    let mut notes = Vec::new();
    for place in order {
        let switch = &domain.switches[place];
        let (found, attempts) = ask_switch(switch, &job.doors[place], &question, &mut notes);
        let mut answer = match found {
            Err(error) => {
                failed.push((place, error, attempts));
                continue;
            }
            Ok(Found::Rows(mut found)) => {
                let above = found.take_above(job.importance);
                let hidden =
                    |host: &str| job.doors[place].as_ref().map_or(String::new(), |door| door.hidden(host));
                let mut answer = collected(domain, place, found, &hidden);
                answer.warnings.extend(above.iter().map(|row| format!("{}: {}", domain.name, hidden(row))));
                answer
            }
            Ok(Found::Sum(watts)) => summed(domain, watts),
        };
        answer.switches[place].requests = attempts;
        for (other, error, attempts) in failed {
            let reading = &mut answer.switches[other];
            reading.requests = attempts;
            // Its own words say more than that it is not in another's answer.
            match &reading.failure {
                Some(_) => reading.failure = Some(Failure::from(error)),
                None => answer
                    .warnings
                    .push(format!("{}: {}: {error}; asked {}", domain.name, reading.name, switch.name)),
            }
        }
        answer.details.extend(notes.iter().map(|note| format!("{}: {note}", domain.name)));
        return answer;
    }
    failed.sort_by_key(|(place, ..)| *place);
    nobody(domain, failed.into_iter().map(|(_, error, attempts)| (error, attempts)).collect(), notes)
}

/// Up to so many attempts as are configured; how many it took. A wrong password is not tried again, nor what is
/// configured wrong.
fn ask_switch(
    switch: &Switch,
    door: &Result<Door<'_>, EnergyError>,
    question: &Question<'_>,
    notes: &mut Vec<String>,
) -> (Result<Found, EnergyError>, u32) {
    let (door, options) = match (door, &switch.native) {
        (Ok(door), Some(options)) => (door, options),
        (Err(error), _) => return (Err(error.clone()), 0),
        (_, None) => return (Err(EnergyError::NoBackend { peer: switch.address.to_string() }), 0),
    };
    let deadline = Instant::now() + options.deadline.span().0;
    let mut attempt = 1;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = left.min(options.timeout.span().0);
        let found = door.ask(switch, options, question, timeout, notes);
        let is_final = found.as_ref().err().is_none_or(|e| matches!(e.exit(), Exit::Refused | Exit::Config));
        if is_final || attempt >= options.attempts.get() || Instant::now() >= deadline {
            return (found, attempt);
        }
        attempt += 1;
    }
}

/// A domain of which no switch answered.
fn nobody(domain: &Domain, errors: Vec<(EnergyError, u32)>, notes: Vec<String>) -> Answer {
    let failed = |(switch, (error, requests)): (&Switch, (EnergyError, u32))| SwitchReading {
        failure: Some(Failure::from(error)),
        requests,
        ..SwitchReading::of(switch)
    };
    let switches: Vec<SwitchReading> = domain.switches.iter().zip(errors).map(failed).collect();
    let total =
        Total { value: None, quality: Quality::Missing, expected: count(switches.len()), answered: 0 };
    let details = notes.iter().map(|note| format!("{}: {note}", domain.name)).collect();
    Answer { total, switches, warnings: Vec::new(), details }
}

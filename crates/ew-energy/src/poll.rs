//! One poll: all switches at once, each tree handed over as soon as it is whole.

use crate::energywise::{self, Query, Usage};
use crate::native;
use crate::reading::{Parts, Points};
use crate::{Agent, PROFILE_BUILT, SnmpAgent, SnmpOptions, Switch, SwitchReading, Total, TreeReading};
use crate::{CachedTotal, Credentials, Domain, DomainReading, EnergyError, Failure, Importance};
use ew_core::{Secret, SecretSource, Timestamp};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// A worker holds no buffer on its stack, but the SNMP crate moves its 64 KiB over it a few times.
const STACK_BYTES: usize = 1024 * 1024;

/// How to poll.
#[derive(Debug, Clone, Copy)]
pub struct PollOptions {
    /// How many switches are asked at once (`[snmp] parallel`).
    pub parallel: u32,
    /// Which entities count, instead of each domain's own importance.
    pub importance: Option<Importance>,
}

impl PollOptions {
    /// As configured, nothing overridden.
    pub fn new(snmp: &SnmpOptions) -> PollOptions {
        PollOptions { parallel: snmp.parallel.get(), importance: None }
    }
}

/// One switch to ask, and where its answer goes.
struct Job<'a> {
    tree: usize,
    domain: usize,
    place: usize,
    switch: &'a Switch,
    credentials: Result<Credentials, EnergyError>,
    /// `cewDomainName` must be this.
    domain_name: Option<&'a str>,
    importance: u32,
}

/// What came of asking, with the requests that it took.
type Outcome = (Result<Usage, EnergyError>, u32);

/// A tree whose switches are being asked.
struct Pending<'a> {
    domains: Vec<&'a Domain>,
    /// By domain, by switch; none where the domain is not asked switch by switch.
    outcomes: Vec<Vec<Option<Outcome>>>,
    /// By domain, where it is asked as a whole.
    answers: Vec<Option<native::Answer>>,
    open: usize,
}

/// What a worker has to tell, with the number of its job.
enum Told {
    Switch(usize, Outcome),
    Domain(usize, native::Answer),
}

/// Polls the trees once. `start` is the timestamp of every sample.
///
/// A domain in `cached` is not asked; whatever is above it uses that total, whatever is below it is
/// asked unless it is cached itself. `resolve_secret` and `on_tree` are called on this thread, the
/// latter with each tree as soon as its last switch has answered or failed, in no set order. A switch
/// takes at most its deadline from the moment that one of the `parallel` workers turns to it.
pub fn poll(
    trees: &[&Domain],
    options: PollOptions,
    start: Timestamp,
    cached: &HashMap<String, CachedTotal>,
    resolve_secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
    on_tree: &mut dyn FnMut(TreeReading),
) {
    let secrets = Secrets { resolve: resolve_secret, known: Default::default() };
    let mut pending: Vec<Pending<'_>> = Vec::new();
    let mut jobs: Vec<Job<'_>> = Vec::new();
    let mut natives: Vec<native::Job<'_>> = Vec::new();
    for (tree, root) in trees.iter().enumerate() {
        let domains = root.flat();
        let before = jobs.len() + natives.len();
        let mut outcomes = Vec::new();
        for (number, domain) in domains.iter().enumerate() {
            let is_asked = !cached.contains_key(&domain.name);
            if is_asked && domain.is_native() {
                let importance = options.importance.unwrap_or(domain.importance).get();
                let secret = |source: &SecretSource| secrets.read(source);
                natives.push(native::Job::new((tree, number), domain, importance, &secret));
            }
            let by_switch = is_asked && !domain.is_native();
            let switches: &[Switch] = if by_switch { &domain.switches } else { &[] };
            outcomes.push(switches.iter().map(|_| None).collect());
            jobs.extend(switches.iter().enumerate().map(|(place, switch)| Job {
                tree,
                domain: number,
                place,
                switch,
                credentials: secrets.credentials(switch),
                domain_name: domain.check_domain_name.then_some(domain.name.as_str()),
                importance: options.importance.unwrap_or(domain.importance).get(),
            }));
        }
        let answers = domains.iter().map(|_| None).collect();
        let open = jobs.len() + natives.len() - before;
        pending.push(Pending { domains, outcomes, answers, open });
    }
    let whole = |tree: &mut Pending<'_>| tree.reading(start, options.importance, cached);
    for tree in pending.iter_mut().filter(|tree| tree.open == 0) {
        on_tree(whole(tree));
    }

    let next = AtomicUsize::new(0);
    let (tell, told) = mpsc::channel::<Told>();
    let work = |tell: mpsc::Sender<Told>| {
        while let Some((number, job)) = numbered(&jobs, next.fetch_add(1, Ordering::Relaxed)) {
            if tell.send(Told::Switch(number, ask(job))).is_err() {
                return;
            }
        }
    };
    thread::scope(|scope| {
        let tell_domain = tell.clone();
        native::start(scope, &natives, move |number, answer| {
            // The other end may have gone.
            let _ = tell_domain.send(Told::Domain(number, answer));
        });
        let workers = jobs.len().min(usize::try_from(options.parallel).unwrap_or(1).max(1));
        let started = (0..workers)
            .map_while(|_| {
                let tell = tell.clone();
                let worker = thread::Builder::new().name("poller".into()).stack_size(STACK_BYTES);
                worker.spawn_scoped(scope, || work(tell)).ok()
            })
            .count();
        // With no thread to be had the switches are asked one after the other.
        if started == 0 {
            work(tell.clone());
        }
        drop(tell);
        for told in told {
            let tree = match told {
                Told::Switch(number, outcome) => {
                    let job = &jobs[number];
                    let tree = &mut pending[job.tree];
                    tree.outcomes[job.domain][job.place] = Some(outcome);
                    tree
                }
                Told::Domain(number, answer) => {
                    let job = &natives[number];
                    let tree = &mut pending[job.tree];
                    tree.answers[job.place] = Some(answer);
                    tree
                }
            };
            tree.open -= 1;
            if tree.open == 0 {
                on_tree(whole(tree));
            }
        }
    });
}

fn numbered<T>(list: &[T], number: usize) -> Option<(usize, &T)> {
    list.get(number).map(|item| (number, item))
}

/// Reads each secret once, however many switches share it.
struct Secrets<'a> {
    resolve: &'a dyn Fn(&SecretSource) -> Result<Secret, String>,
    known: std::cell::RefCell<Vec<(SecretSource, Result<Secret, String>)>>,
}

impl Secrets<'_> {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        let mut known = self.known.borrow_mut();
        if let Some((_, result)) = known.iter().find(|(other, _)| other == source) {
            return result.clone();
        }
        let result = (self.resolve)(source);
        known.push((source.clone(), result.clone()));
        result
    }

    fn credentials(&self, switch: &Switch) -> Result<Credentials, EnergyError> {
        Credentials::resolve(&switch.snmp, &|source| self.read(source))
            .map_err(|(key, cause)| EnergyError::Secret { peer: peer(switch), key, cause })
    }
}

fn peer(switch: &Switch) -> String {
    switch.address.with_port(u16::try_from(switch.snmp.port.get()).unwrap_or(161))
}

/// Asks one switch. Never panics, or its tree would wait for ever.
fn ask(job: &Job<'_>) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| ask_switch(job))).unwrap_or_else(|_| {
        let (peer, object) = (peer(job.switch), "SNMP".to_owned());
        let cause = "its answer brought the decoder down".to_owned();
        (Err(EnergyError::Breach { peer, object, cause }), 0)
    })
}

fn ask_switch(job: &Job<'_>) -> Outcome {
    let not_built = |what: String| (Err(EnergyError::NotBuilt { peer: peer(job.switch), what }), 0);
    if job.switch.profile != PROFILE_BUILT {
        return not_built(format!("the profile {:?}", job.switch.profile));
    }
    let snmp = &job.switch.snmp;
    let agent = job.credentials.clone().and_then(|c| SnmpAgent::open(&job.switch.address, snmp, c));
    match agent {
        Err(error) => (Err(error), 0),
        Ok(mut agent) => {
            let query = Query {
                domain: job.domain_name,
                importance: job.importance,
                repetitions: snmp.max_repetitions.get(),
            };
            let usage = energywise::read(&mut agent, &query);
            (usage, agent.requests())
        }
    }
}

impl Pending<'_> {
    /// Takes the outcomes and makes the sums, from the leaves up.
    fn reading(
        &mut self,
        start: Timestamp,
        importance: Option<Importance>,
        cached: &HashMap<String, CachedTotal>,
    ) -> TreeReading {
        let mut points = Points::default();
        // What the configuration names has the first claim; entities come last.
        let own: Vec<_> = self.domains.iter().map(|domain| points.claim(None, &domain.name, 0)).collect();
        let mut domains: Vec<DomainReading> = Vec::new();
        let mut wholes: Vec<Option<Total>> = Vec::new();
        let mut details = Vec::new();
        for (((domain, outcomes), answer), point) in
            self.domains.iter().zip(&mut self.outcomes).zip(&mut self.answers).zip(own)
        {
            let by_switch = domain.switches.iter().zip(outcomes.drain(..));
            let mut switches: Vec<_> =
                by_switch.map(|(switch, outcome)| switch_reading(switch, outcome)).collect();
            wholes.push(answer.take().map(|answer| {
                switches = answer.switches;
                points.warnings.extend(answer.warnings);
                details.extend(answer.details);
                answer.total
            }));
            let named = switches.into_iter().zip(&domain.switches).zip(1..);
            let switches = named.map(|((mut reading, switch), number)| {
                reading.point = points.claim(point.as_ref(), &switch.part, number);
                reading
            });
            domains.push(DomainReading {
                name: domain.name.clone(),
                importance: importance.unwrap_or(domain.importance).get(),
                cached: cached.contains_key(&domain.name),
                total: Parts::default().total(),
                switches: switches.collect(),
                point,
            });
        }
        for (reading, _) in domains.iter_mut().zip(&self.domains).filter(|(_, domain)| domain.entities) {
            for switch in &mut reading.switches {
                let named = switch.entities.iter();
                switch.entity_points = named
                    .map(|entity| {
                        let above = switch.point.as_ref()?;
                        points.claim(Some(above), &entity.part, entity.index)
                    })
                    .collect();
            }
        }
        self.sum_up(&mut domains, &wholes, cached);
        TreeReading { start, domains, warnings: points.warnings, details }
    }

    /// A domain that was asked as a whole has its part by that, not by its switches.
    fn sum_up(
        &self,
        readings: &mut [DomainReading],
        wholes: &[Option<Total>],
        cached: &HashMap<String, CachedTotal>,
    ) {
        // Children stand behind their parents, so from the back every child is known in time.
        let mut totals: HashMap<&str, Total> = HashMap::new();
        for ((domain, reading), whole) in self.domains.iter().zip(readings).zip(wholes).rev() {
            reading.total = match cached.get(&domain.name) {
                Some(total) => Total::from(*total),
                None => {
                    let mut parts = Parts::default();
                    match whole {
                        Some(whole) => parts.add(whole),
                        None => reading.switches.iter().for_each(|switch| parts.add(&Total::from(switch))),
                    }
                    let children = domain.children.iter().filter_map(|child| totals.get(child.name.as_str()));
                    children.for_each(|child| parts.add(child));
                    parts.total()
                }
            };
            totals.insert(&domain.name, reading.total);
        }
    }
}

fn switch_reading(switch: &Switch, outcome: Option<Outcome>) -> SwitchReading {
    let mut reading = SwitchReading::of(switch);
    let Some((result, requests)) = outcome else { return reading };
    reading.requests = requests;
    match result {
        Err(error) => reading.failure = Some(Failure::from(error)),
        Ok(usage) => {
            reading.value = Some(usage.watts);
            reading.quality = usage.quality;
            reading.entities = usage.entities;
            reading.skipped = usage.skipped;
        }
    }
    reading
}

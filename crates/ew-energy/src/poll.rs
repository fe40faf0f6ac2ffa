//! One poll: all switches at once, each tree handed over as soon as it is whole.

use crate::energywise::Query;
use crate::native;
use crate::reading::{Parts, Points};
use crate::{
    Agent, Answer, Memory, PROFILE_AUTO, Profiles, SnmpAgent, SnmpOptions, Switch, SwitchReading, Total,
    TreeReading, Weather,
};
use crate::{CachedTotal, Credentials, Domain, DomainReading, EnergyError, Failure, Importance};
use ew_core::{Secret, SecretSource, Timestamp};
use std::cell::RefCell;
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

/// Datagrams and tables are on the heap.
const STACK_BYTES: usize = 256 * 1024;

/// How to poll.
#[derive(Debug, Clone)]
pub struct PollOptions {
    /// How many switches are asked at once (`[snmp] parallel`).
    pub parallel: u32,
    /// Which entities count, instead of each domain's own importance.
    pub importance: Option<Importance>,
    /// What switches may be read by.
    pub profiles: Profiles,
}

impl PollOptions {
    /// As configured, nothing overridden, with the shipped profiles.
    pub fn new(snmp: &SnmpOptions) -> PollOptions {
        PollOptions { parallel: snmp.parallel.get(), importance: None, profiles: Profiles::default() }
    }
}

/// What polls before this one found.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Totals that are still good, by the name of their domain: it is not asked.
    pub totals: HashMap<String, CachedTotal>,
    /// What is known of each switch, by its point.
    pub memories: HashMap<String, Memory>,
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
    /// Entities are logged, so their names are wanted.
    entities: bool,
    profiles: &'a Profiles,
    memory: Option<&'a Memory>,
}

/// What came of asking, with the requests that it took.
type Outcome = (Result<Answer, EnergyError>, u32);

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
/// A domain in `known.totals` is not asked; whatever is above it uses that total, whatever is below it is
/// asked unless it is cached itself. `resolve_secret` and `on_tree` are called on this thread, the
/// latter with each tree as soon as its last switch has answered or failed, in no set order. A switch
/// takes at most its deadline from the moment that one of the `parallel` workers turns to it.
pub fn poll(
    trees: &[&Domain],
    options: &PollOptions,
    start: Timestamp,
    known: &Known,
    resolve_secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
    on_tree: &mut dyn FnMut(TreeReading),
) {
    let cached = &known.totals;
    let secrets =
        Secrets { resolve: resolve_secret, known: Default::default(), credentials: Default::default() };
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
                entities: domain.entities,
                profiles: &options.profiles,
                memory: remembered(known, domain, switch),
            }));
        }
        let answers = domains.iter().map(|_| None).collect();
        let open = jobs.len() + natives.len() - before;
        pending.push(Pending { domains, outcomes, answers, open });
    }
    let whole = |tree: &mut Pending<'_>| tree.reading(start, options.importance, known);
    for tree in pending.iter_mut().filter(|tree| tree.open == 0) {
        on_tree(whole(tree));
    }

    let (next, weather) = (AtomicUsize::new(0), Weather::default());
    let (tell, told) = mpsc::channel::<Told>();
    let work = |tell: mpsc::Sender<Told>| {
        while let Some((number, job)) = numbered(&jobs, next.fetch_add(1, Ordering::Relaxed)) {
            if tell.send(Told::Switch(number, ask(job, &weather))).is_err() {
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
    known: RefCell<Vec<(SecretSource, Result<Secret, String>)>>,
    credentials: RefCell<Vec<(&'a SnmpOptions, Resolved)>>,
}

/// Credentials, or which key could not be read and why.
type Resolved = Result<Credentials, (&'static str, String)>;

impl<'a> Secrets<'a> {
    fn read(&self, source: &SecretSource) -> Result<Secret, String> {
        let mut known = self.known.borrow_mut();
        if let Some((_, result)) = known.iter().find(|(other, _)| other == source) {
            return result.clone();
        }
        let result = (self.resolve)(source);
        known.push((source.clone(), result.clone()));
        result
    }

    fn credentials(&self, switch: &'a Switch) -> Result<Credentials, EnergyError> {
        let mut known = self.credentials.borrow_mut();
        let alike = known.iter().find(|(other, _)| Credentials::are_alike(other, &switch.snmp));
        let resolved = match alike {
            Some((_, resolved)) => resolved.clone(),
            None => {
                let resolved = Credentials::resolve(&switch.snmp, &|source| self.read(source));
                known.push((&switch.snmp, resolved.clone()));
                resolved
            }
        };
        resolved.map_err(|(key, cause)| EnergyError::Secret { peer: peer(switch), key, cause })
    }
}

/// What is known of a switch.
fn remembered<'a>(known: &'a Known, domain: &Domain, switch: &Switch) -> Option<&'a Memory> {
    known.memories.get(&format!("{}.{}", domain.name, switch.part))
}

fn peer(switch: &Switch) -> String {
    switch.address.with_port(u16::try_from(switch.snmp.port.get()).unwrap_or(161))
}

/// Asks one switch. Never panics, or its tree would wait for ever.
fn ask(job: &Job<'_>, weather: &Weather) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| ask_switch(job, weather))).unwrap_or_else(|_| {
        let (peer, object) = (peer(job.switch), "SNMP".to_owned());
        let cause = "its answer brought the decoder down".to_owned();
        (Err(EnergyError::Breach { peer, object, cause }), 0)
    })
}

fn ask_switch(job: &Job<'_>, weather: &Weather) -> Outcome {
    let snmp = &job.switch.snmp;
    let agent = job.credentials.clone().and_then(|c| SnmpAgent::open(&job.switch.address, snmp, c));
    match agent {
        Err(error) => (Err(error), 0),
        Ok(agent) => {
            let mut agent = agent.in_weather(weather);
            let query = Query {
                domain: job.domain_name,
                importance: job.importance,
                repetitions: snmp.max_repetitions.get(),
                names: job.entities,
            };
            let answer = job.profiles.read(&job.switch.profile, &mut agent, &query, job.memory);
            (answer, agent.requests())
        }
    }
}

impl Pending<'_> {
    /// Takes the outcomes and makes the sums, from the leaves up.
    fn reading(&mut self, start: Timestamp, importance: Option<Importance>, known: &Known) -> TreeReading {
        let cached = &known.totals;
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
            let mut switches: Vec<_> = by_switch
                .map(|(switch, outcome)| switch_reading(switch, outcome, remembered(known, domain, switch)))
                .collect();
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
        for switch in domains.iter_mut().flat_map(|reading| &mut reading.switches) {
            switch.claim_energy(&mut points, false);
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
                switch.claim_energy(&mut points, true);
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

fn switch_reading(switch: &Switch, outcome: Option<Outcome>, before: Option<&Memory>) -> SwitchReading {
    let mut reading = SwitchReading::of(switch);
    let Some((result, requests)) = outcome else { return reading };
    reading.requests = requests;
    match result {
        Err(error) => reading.failure = Some(Failure::from(error)),
        Ok(Answer { usage, energy, memory }) => {
            reading.profile = Some(memory.profile.clone());
            reading.energy = energy;
            let is_worth_it = switch.profile == PROFILE_AUTO || memory.has_counters() || before.is_some();
            reading.memory = (is_worth_it && before != Some(&memory)).then_some(memory);
            reading.value = Some(usage.watts);
            reading.quality = usage.quality;
            reading.entities = usage.entities;
            reading.skipped = usage.skipped;
        }
    }
    reading
}

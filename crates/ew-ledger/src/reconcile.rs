//! One job's slices against what is at its receiver.

use crate::receiver;
use ew_cli::{Failure, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, PartOutcome, Timestamp, Window};
use ew_store::{Beside, Delivery, Document, Log, Proof, Seen};
use ew_transport::{Answer, Entry, Look, Size, TransportError};
use std::collections::{HashMap, HashSet};

/// What came of one slice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is there, proved so far.
    There(Proof),
    /// It is not there.
    Missing,
    /// It is there with another size or other content.
    Altered,
    /// The receiver does not let it be seen.
    Unverifiable,
    /// It is not there, and the job says that files are taken away.
    Taken,
}

impl Outcome {
    pub(crate) const WORDS: [&str; 7] =
        ["hash", "size", "listed", "taken", "missing", "altered", "unverifiable"];

    /// The file is not there as it was delivered.
    fn is_doubted(self) -> bool {
        matches!(self, Outcome::Missing | Outcome::Altered)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Outcome::There(proof) => proof.as_str(),
            Outcome::Missing => "missing",
            Outcome::Altered => "altered",
            Outcome::Unverifiable => "unverifiable",
            Outcome::Taken => "taken",
        }
    }
}

/// A slice and what came of it.
pub(crate) struct Checked {
    pub(crate) slice: Delivery,
    pub(crate) outcome: Outcome,
    /// What was seen, where that is not all well.
    pub(crate) reason: Option<String>,
    /// The same of what lies beside it.
    pub(crate) beside: Vec<CheckedBeside>,
}

/// A document beside a file and what came of it.
pub(crate) struct CheckedBeside {
    pub(crate) kind: Beside,
    pub(crate) outcome: Outcome,
    pub(crate) reason: Option<String>,
}

impl Checked {
    /// What came of its file and of what lies beside it.
    pub(crate) fn outcomes(&self) -> impl Iterator<Item = Outcome> {
        std::iter::once(self.outcome).chain(self.beside.iter().map(|one| one.outcome))
    }

    fn is_doubted(&self) -> bool {
        self.outcomes().any(Outcome::is_doubted)
    }
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    /// The slices that touch it; none for all, and then for files that are no slice's too.
    pub(crate) window: Option<Window>,
    /// What has to be proved; none for as much as the receiver allows.
    pub(crate) level: Option<Proof>,
}

/// What came of a job.
pub(crate) struct JobCheck {
    pub(crate) job: String,
    pub(crate) slices: Vec<Checked>,
    /// Files that are no slice's.
    pub(crate) extra: Vec<String>,
    /// Why the receiver could not be asked.
    pub(crate) error: Option<Failure>,
    level: Option<Proof>,
}

impl JobCheck {
    /// Whether something of the slice is not as it should be, or not proved.
    pub(crate) fn is_open(&self, slice: &Checked) -> bool {
        slice.outcomes().any(|outcome| self.is_open_file(outcome))
    }

    /// The same of one file of it.
    pub(crate) fn is_open_file(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::There(proof) => self.level.is_some_and(|level| proof < level),
            Outcome::Taken => false,
            Outcome::Missing | Outcome::Altered | Outcome::Unverifiable => true,
        }
    }

    /// What every file that is there is proved at least to be; none where one is not.
    pub(crate) fn proved(&self) -> Option<Proof> {
        let proof = |outcome: Outcome| match outcome {
            Outcome::There(proof) => Some(Some(proof)),
            Outcome::Unverifiable => Some(None),
            _ => None,
        };
        self.slices.iter().flat_map(Checked::outcomes).filter_map(proof).min().flatten()
    }

    pub(crate) fn part(&self) -> PartOutcome {
        match &self.error {
            Some(failure) => PartOutcome::Failed(failure.exit),
            None if !self.extra.is_empty() || self.slices.iter().any(|slice| self.is_open(slice)) => {
                PartOutcome::Failed(Exit::Partial)
            }
            None if self.slices.is_empty() => PartOutcome::Idle(Exit::NoData),
            None => PartOutcome::Done,
        }
    }
}

/// So many files in a row for which the receiver did not answer, and it is asked no more.
const FAILURES_MAX: u32 = 3;

/// Checks a job and notes what was seen. `named` holds the destinations whose extra files were named already.
///
/// No lock is held, as that would keep exports waiting: what an export touches meanwhile is not judged.
pub(crate) fn job(
    config: &Config,
    log: &mut Log,
    options: &ExportOptions,
    wanted: Wanted,
    named: &mut HashSet<String>,
    report: Report,
) -> Result<JobCheck, Failure> {
    let destination = options.transport.destination(config.base());
    let within = wanted.window.unwrap_or(Window::new(Timestamp::MIN, Timestamp::MAX));
    let all = log.ledger().list(Some(&options.name), within)?;
    // Before anything went there nothing can be a file too many, and the folder may not be made yet.
    // What was rebuilt is there without an attempt.
    let was_tried = all.iter().any(|slice| slice.attempts > 0);
    let due = delivered(all);
    let looks_for_extra = wanted.window.is_none() && (was_tried || !due.is_empty());
    let mut check = JobCheck {
        job: options.name.clone(),
        slices: Vec::new(),
        extra: Vec::new(),
        error: None,
        level: wanted.level,
    };
    let is_here = |slice: &Delivery| slice.destination.as_ref() == Some(&destination);
    let mut eyes = match looks_for_extra || due.iter().any(is_here) {
        true => Eyes::open(config, options).unwrap_or_else(|failure| check.give_up(failure)),
        false => Eyes::Shut("nothing to look for".to_owned()),
    };
    if let Eyes::Open { listing: Answer::Is(names), .. } = &eyes
        && looks_for_extra
        && named.insert(destination.clone())
    {
        check.extra = extra(log, &destination, names)?;
    }
    let mut failures = 0;
    for slice in due {
        report.detail(format_args!("{}: looking for {}", options.name, name(&slice)));
        let mut look_for = |file: &File<'_>| {
            if !is_here(&slice) {
                let to = slice.destination.as_deref().unwrap_or("?");
                let reason = format!("it went to {to}, no longer the receiver of this job");
                return (Outcome::Unverifiable, Some(reason));
            }
            let seen = eyes.look_for(file, wanted.level.unwrap_or(Proof::Hash), options.taken);
            failures = if seen.is_ok() { 0 } else { failures + 1 };
            seen.unwrap_or_else(|error| {
                let reason = error.to_string();
                // A connection that was lost is made anew for the next file.
                if error.is_of_receiver() || !error.is_retryable() {
                    eyes = check.give_up(receiver::failure(error));
                } else if failures == FAILURES_MAX {
                    let mut failure = receiver::failure(error);
                    failure.message +=
                        &format!("; so it went with {FAILURES_MAX} files in a row, and no more was asked");
                    eyes = check.give_up(failure);
                }
                (Outcome::Unverifiable, Some(reason))
            })
        };
        let file = File { name: name(&slice), bytes: slice.bytes, sha256: slice.sha256.as_deref() };
        let (outcome, reason) = look_for(&file);
        let documents = log.ledger().beside(&slice)?.into_iter();
        let beside = documents.map(|Document { kind, text }| {
            let (bytes, sha256) = (Some(text.len() as u64), ew_export::sha256_of(&text));
            let name = kind.name(name(&slice));
            let (outcome, reason) = look_for(&File { name: &name, bytes, sha256: Some(&sha256) });
            CheckedBeside { kind, outcome, reason }
        });
        let beside = beside.collect();
        check.slices.push(Checked { slice, outcome, reason, beside });
    }
    spare_what_moved(log, &options.name, &mut check.slices)?;
    log.ledger().note_seen(&seen(&check.slices), clock::now())?;
    Ok(check)
}

/// The slices that should be at a receiver: those delivered, but for one whose name a later revision took. A
/// superseded file of another name is still there: nobody took it away.
fn delivered(all: Vec<Delivery>) -> Vec<Delivery> {
    let place = |slice: &Delivery| (slice.destination.clone(), slice.name.clone());
    let mut found: Vec<Delivery> = all.into_iter().filter(|slice| slice.state.is_delivered()).collect();
    let newest: HashMap<_, i64> = found.iter().map(|slice| (place(slice), slice.id)).collect();
    found.retain(|slice| newest.get(&place(slice)) == Some(&slice.id));
    found
}

/// A file as it was delivered, as far as that is known: of one that was rebuilt maybe not all.
struct File<'a> {
    name: &'a str,
    bytes: Option<u64>,
    sha256: Option<&'a str>,
}

fn name(slice: &Delivery) -> &str {
    slice.name.as_deref().unwrap_or_default()
}

/// What can be seen of a receiver.
enum Eyes {
    Open { look: Box<dyn Look>, listing: Answer<HashMap<String, Option<u64>>> },
    Shut(String),
}

impl JobCheck {
    /// Notes why the receiver cannot be asked; from here on nothing is seen.
    fn give_up(&mut self, failure: Failure) -> Eyes {
        let reason = failure.message.clone();
        self.error = Some(failure);
        Eyes::Shut(reason)
    }
}

impl Eyes {
    fn open(config: &Config, options: &ExportOptions) -> Result<Eyes, Failure> {
        let Some(mut look) = receiver::look(config, options)? else {
            return Ok(Eyes::Shut("this receiver cannot be looked into".to_owned()));
        };
        let listing = match look.list().map_err(receiver::failure)? {
            Answer::Is(entries) => {
                Answer::Is(entries.into_iter().map(|Entry { name, bytes }| (name, bytes)).collect())
            }
            Answer::Absent => Answer::Absent,
            Answer::Unknown(reason) => Answer::Unknown(reason),
        };
        Ok(Eyes::Open { look, listing })
    }

    /// What is seen of one file, as far as is wanted and the receiver allows.
    fn look_for(
        &mut self,
        file: &File<'_>,
        wanted: Proof,
        taken: bool,
    ) -> Result<(Outcome, Option<String>), TransportError> {
        let (look, listing) = match self {
            Eyes::Open { look, listing } => (look, listing),
            Eyes::Shut(reason) => return Ok((Outcome::Unverifiable, Some(reason.clone()))),
        };
        let name = file.name;
        let gone = || match taken {
            true => (Outcome::Taken, None),
            false => (Outcome::Missing, Some("it is not there".to_owned())),
        };
        let (mut proof, mut size, mut unseen) = (None, None, None);
        match listing {
            Answer::Is(names) => {
                if let Some(bytes) = names.get(name) {
                    (proof, size) = (Some(Proof::Listed), *bytes);
                }
            }
            Answer::Absent => {}
            Answer::Unknown(reason) => unseen = Some(reason.clone()),
        }
        if proof.is_none() || (size.is_none() && wanted > Proof::Listed) {
            match look.size(name)? {
                Answer::Is(Size::Bytes(bytes)) => (proof, size) = (Some(Proof::Listed), Some(bytes)),
                Answer::Is(Size::Untold) => proof = Some(Proof::Listed),
                Answer::Is(Size::Directory) => {
                    return Ok((Outcome::Altered, Some("a directory stands there".to_owned())));
                }
                Answer::Absent => return Ok(gone()),
                // A listing without it is an answer, too.
                Answer::Unknown(_) if proof.is_none() && matches!(listing, Answer::Is(_)) => {
                    return Ok(gone());
                }
                Answer::Unknown(reason) => unseen = Some(reason),
            }
        }
        let Some(bytes) = file.bytes else {
            let seen = proof.map_or(Outcome::Unverifiable, Outcome::There);
            return Ok((seen, Some("its size was not known when the ledger was rebuilt".to_owned())));
        };
        if let Some(size) = size {
            if size != bytes {
                return Ok((
                    Outcome::Altered,
                    Some(format!("{size} bytes are there, {bytes} were delivered")),
                ));
            }
            proof = Some(Proof::Size);
        }
        // Read back, a file shows its size where nothing else does.
        if wanted == Proof::Hash || (wanted == Proof::Size && proof != Some(Proof::Size)) {
            match look.hash(name, bytes)? {
                Answer::Is(content) if Some(content.sha256.as_str()) == file.sha256 => {
                    return Ok((Outcome::There(Proof::Hash), None));
                }
                Answer::Is(content) if content.bytes == bytes && file.sha256.is_none() => {
                    proof = Some(Proof::Size);
                    unseen = Some("its hash was not known when the ledger was rebuilt".to_owned());
                }
                Answer::Is(content) if content.bytes == bytes => {
                    let reason = format!("its content is another, with sha256 {}", content.sha256);
                    return Ok((Outcome::Altered, Some(reason)));
                }
                Answer::Is(_) => {
                    return Ok((Outcome::Altered, Some(format!("other than {bytes} bytes are there"))));
                }
                Answer::Absent => return Ok(gone()),
                Answer::Unknown(reason) => unseen = Some(reason),
            }
        }
        Ok((proof.map_or(Outcome::Unverifiable, Outcome::There), unseen))
    }
}

/// Files that no slice of any job has, in order. Hidden ones are a log-in's own, but for the temporary files of
/// deliveries, and folders are somebody's; what lies beside a file belongs to it.
fn extra(
    log: &mut Log,
    destination: &str,
    names: &HashMap<String, Option<u64>>,
) -> Result<Vec<String>, Failure> {
    let ledger = log.ledger();
    let known = ledger.names_at(destination)?;
    let mut on_their_way = HashSet::new();
    for job in ledger.jobs()? {
        on_their_way.extend(ledger.unfinished(&job)?.into_iter().filter_map(|slice| slice.name));
    }
    let is_extra = |name: &&String| {
        let plain = Beside::file_of(name).unwrap_or(name);
        match name.strip_prefix('.') {
            Some(hidden) => hidden.strip_suffix(".part").is_some_and(|part| !on_their_way.contains(part)),
            None => !known.contains(plain) && !known.contains(name.as_str()),
        }
    };
    let mut extra: Vec<String> = names.keys().filter(is_extra).cloned().collect();
    extra.sort_unstable();
    Ok(extra)
}

/// What is not as it should be may have been touched by an export since the ledger was read: that is not judged.
fn spare_what_moved(log: &mut Log, job: &str, slices: &mut [Checked]) -> Result<(), Failure> {
    let is_any = slices.iter().any(Checked::is_doubted);
    let Some(known) = log.ledger().job(job)?.filter(|_| is_any) else { return Ok(()) };
    let now: HashMap<i64, Delivery> = log
        .ledger()
        .list(Some(job), Window::new(Timestamp::MIN, Timestamp::MAX))?
        .into_iter()
        .map(|slice| (slice.id, slice))
        .collect();
    let unfinished = log.ledger().unfinished(&known)?;
    for checked in slices.iter_mut().filter(|checked| checked.is_doubted()) {
        let same = now.get(&checked.slice.id).is_some_and(|now| {
            (now.state, now.attempts, now.delivered_at)
                == (checked.slice.state, checked.slice.attempts, checked.slice.delivered_at)
        });
        if !same || unfinished.iter().any(|slice| slice.name == checked.slice.name) {
            let at_work = || (Outcome::Unverifiable, Some("an export is at work on it".to_owned()));
            (checked.outcome, checked.reason) = at_work();
            for one in &mut checked.beside {
                (one.outcome, one.reason) = at_work();
            }
        }
    }
    Ok(())
}

/// What the ledger is to keep of it.
fn seen(slices: &[Checked]) -> Vec<(Delivery, Seen)> {
    let one = |checked: &Checked| {
        let not = |what: &str, outcome: Outcome, reason: &Option<String>| {
            let reason = reason.as_deref().unwrap_or_default();
            Seen::Not(format!("{what}{} at the receiver: {reason}", outcome.as_str()))
        };
        let seen = match (checked.outcome, checked.beside.iter().find(|one| one.outcome.is_doubted())) {
            (outcome, _) if outcome.is_doubted() => not("", outcome, &checked.reason),
            (_, Some(one)) => not(&format!("its {} is ", one.kind.as_str()), one.outcome, &one.reason),
            (Outcome::There(proof), _) => Seen::There(proof),
            _ => return None,
        };
        Some((checked.slice.clone(), seen))
    };
    slices.iter().filter_map(one).collect()
}

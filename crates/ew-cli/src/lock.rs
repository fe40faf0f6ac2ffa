//! Locks of the kernel (flock, names of sockets), so none is ever stale: they end with the process that holds them.

use crate::machine::{self, Name};
use crate::{Failure, Report, clock};
use ew_config::Config;
use ew_core::{Exit, Span};
use ew_store::Log;
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// What to lock and how.
#[derive(Debug, Clone, Copy)]
pub struct LockRequest<'a> {
    /// The folder of lock files, made where it is missing.
    pub dir: &'a Path,
    /// What is locked: `export-utility`.
    pub name: &'a str,
    /// What is locked on this machine whatever the folder, sorted; none where the folder says it all.
    pub machine: &'a [String],
    /// The word in "Last … still active".
    pub activity: &'static str,
    /// How long to wait for it.
    pub wait: Span,
    /// Held longer than this it is reported, each minute; none where another lock of the run is watched.
    pub warn_after: Option<Span>,
}

/// Who holds a lock; kept in the lock file for others to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Holder {
    pid: u32,
    /// Microseconds since 1970.
    since: i64,
    stage: String,
}

/// The lock is held by another run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Last {activity} still active, skipping current request{holder}")]
pub struct Busy {
    activity: &'static str,
    holder: String,
}

impl From<Busy> for Failure {
    fn from(busy: Busy) -> Failure {
        Failure::of(Exit::Busy, &busy)
    }
}

/// A held lock. Dropping it, or dying, frees it.
#[derive(Debug)]
pub struct Lock {
    file: Arc<Mutex<(File, Holder)>>,
    machine: Vec<Name>,
    done: Arc<(Mutex<bool>, Condvar)>,
}

impl Lock {
    /// Takes the lock of an export job, which whoever writes to its slices holds.
    pub fn of_job(config: &Config, job: &str, wait: Span, report: Report) -> Result<Lock, Failure> {
        let request = LockRequest {
            dir: &Log::lock_dir(&config.log.url),
            name: &format!("export-{job}"),
            machine: &[],
            activity: "export",
            wait,
            warn_after: Some(config.log.lock_warn_after),
        };
        Lock::acquire(&request, report)
    }

    /// Takes the lock, or says who holds it.
    pub fn acquire(request: &LockRequest<'_>, report: Report) -> Result<Lock, Failure> {
        let path = lock_path(request);
        let io = |doing: &str, e: std::io::Error| {
            Failure::new(Exit::Io, format!("cannot {doing} the lock {}: {e}", path.display()))
                .hint("the log's folder must exist and be writable by this user")
        };
        std::fs::create_dir_all(request.dir).map_err(|e| io("make the folder of", e))?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = open.map_err(|e| io("open", e))?;
        let give_up = Instant::now() + request.wait.0;
        let mut is_told = false;
        loop {
            match file.try_lock() {
                Ok(()) => break,
                Err(TryLockError::Error(e)) => return Err(io("take", e)),
                Err(TryLockError::WouldBlock) if Instant::now() >= give_up => {
                    return Err(Busy { activity: request.activity, holder: describe(&mut file) }.into());
                }
                Err(TryLockError::WouldBlock) => {
                    if !std::mem::replace(&mut is_told, true) {
                        let (activity, holder) = (request.activity, describe(&mut file));
                        report.note(format_args!(
                            "Last {activity} still active{holder}; waiting for it up to {}",
                            request.wait
                        ));
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
            }
        }
        let taken = request.machine.iter().map(|name| take(name, request.activity, give_up));
        let machine = taken.collect::<Result<_, _>>()?;
        let holder =
            Holder { pid: std::process::id(), since: clock::now().micros(), stage: "starting".to_owned() };
        write_holder(&mut file, &holder).map_err(|e| io("write", e))?;
        let lock = Lock { file: Arc::new(Mutex::new((file, holder))), machine, done: Arc::default() };
        if let Some(warn_after) = request.warn_after {
            lock.watch(warn_after, report);
        }
        Ok(lock)
    }

    /// Says what the run is doing now, for others and for the watchdog. A lock file that cannot be
    /// written does not end the run: the lock itself is the kernel's.
    pub fn stage(&self, stage: impl Into<String>) {
        let mut guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (file, holder) = &mut *guard;
        holder.stage = stage.into();
        let _ = write_holder(file, holder);
    }

    /// Reports `Lock acquired: N min` each minute once the lock is held longer than `warn_after`.
    fn watch(&self, warn_after: Span, report: Report) {
        let (file, done) = (self.file.clone(), self.done.clone());
        let started = Instant::now();
        let watchdog = move || {
            let mut wait = warn_after.0;
            let mut ended = done.0.lock().unwrap_or_else(PoisonError::into_inner);
            while !*ended {
                let (guard, timeout) =
                    done.1.wait_timeout(ended, wait).unwrap_or_else(PoisonError::into_inner);
                ended = guard;
                if timeout.timed_out() && !*ended {
                    let stage = file.lock().unwrap_or_else(PoisonError::into_inner).1.stage.clone();
                    report.warning(format_args!(
                        "Lock acquired: {} min ({stage})",
                        started.elapsed().as_secs() / 60
                    ));
                    wait = Duration::from_secs(60);
                }
            }
        };
        // Without a watchdog the run is as good, only less watched.
        let _ = std::thread::Builder::new().name("watchdog".into()).stack_size(1 << 17).spawn(watchdog);
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        *self.done.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.done.1.notify_all();
        let guard = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever gets the file wants the names next.
        self.machine.clear();
        // The next holder is not to be taken for this one. The watchdog may hold its share of the file a
        // moment longer; the lock ends here.
        let _ = guard.0.set_len(0);
        let _ = guard.0.unlock();
    }
}

/// Takes a name of this machine by a moment.
fn take(name: &str, activity: &'static str, give_up: Instant) -> Result<Name, Failure> {
    loop {
        match machine::take(name) {
            Ok(Some(held)) => return Ok(held),
            Ok(None) if Instant::now() >= give_up => {
                let holder = format!(" (by a run with another log: ss -xap shows who has @{name})");
                return Err(Busy { activity, holder }.into());
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(100)),
            Err(e) => return Err(Failure::new(Exit::Io, format!("cannot take the name @{name}: {e}"))),
        }
    }
}

/// Lock names come from configuration; what could leave the folder is spelled out.
fn lock_path(request: &LockRequest<'_>) -> PathBuf {
    let safe: String = request
        .name
        .bytes()
        .map(|b| match b {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(b).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect();
    request.dir.join(format!("{safe}.lock"))
}

fn write_holder(file: &mut File, holder: &Holder) -> std::io::Result<()> {
    let text = serde_json::to_string(holder)?;
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(text.as_bytes())
}

/// How long to wait for a holder that has the lock and has not written who it is yet.
const HOLDER_TRIES_MAX: u32 = 50;

/// ` (pid 12, for 3m, sending a.csv)`, as far as the lock file tells.
fn describe(file: &mut File) -> String {
    let mut tries = 0;
    let holder = loop {
        let mut text = String::new();
        let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_string(&mut text));
        // A process that is no more left its note; the one that holds the lock now has yet to write its own.
        let alive = |holder: &Holder| Path::new("/proc").join(holder.pid.to_string()).exists();
        if let Some(holder) = serde_json::from_str::<Holder>(&text).ok().filter(alive) {
            break holder;
        }
        tries += 1;
        if tries == HOLDER_TRIES_MAX {
            return String::new();
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    let held = (clock::now().micros() - holder.since).max(0) / 1_000_000;
    format!(" (pid {}, for {}, {})", holder.pid, Span::from_secs(held.unsigned_abs()), holder.stage)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_told_who_holds_it_and_dropping_frees() {
        let dir = tempfile::tempdir().unwrap();
        let request = LockRequest {
            dir: dir.path(),
            name: "export-a/b",
            machine: &[],
            activity: "export",
            wait: Span::from_secs(0),
            warn_after: Some(Span::from_secs(60)),
        };
        let report = Report::new("test", false, true);
        let lock = Lock::acquire(&request, report).unwrap();
        lock.stage("sending x.csv");
        let failure = Lock::acquire(&request, report).unwrap_err();
        assert_eq!(failure.exit, Exit::Busy);
        let expect =
            format!("Last export still active, skipping current request (pid {}, for ", std::process::id());
        assert!(failure.message.starts_with(&expect), "{}", failure.message);
        assert!(failure.message.ends_with(", sending x.csv)"), "{}", failure.message);
        drop(lock);
        Lock::acquire(&request, report).unwrap();
        assert!(dir.path().join("export-a%2Fb.lock").is_file());
    }
}

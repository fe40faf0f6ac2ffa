//! A running `ew-sim pci`, and the backend of `ew-bus` at work on it.
#![allow(dead_code, reason = "each test uses its own part")]

use ew_bus::{Bus, BusError, BusOptions, Context, Trace};
use ew_core::Timestamp;
use std::cell::RefCell;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// A running simulator; ended when dropped.
pub(crate) struct Sim {
    child: Child,
    pub(crate) kind: String,
    pub(crate) address: String,
}

impl Sim {
    pub(crate) fn start(arguments: &[&str]) -> Sim {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ew-sim"))
            .args(["pci", "--for", "5m"])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().expect("ew-sim ended before it was ready").unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        let (kind, address) = first.split_once(' ').unwrap();
        Sim { kind: kind.into(), address: address.into(), child }
    }

    pub(crate) fn with_faults(faults: &[&str]) -> Sim {
        let arguments: Vec<_> = faults.iter().flat_map(|fault| ["--fault", fault]).collect();
        Sim::start(&arguments)
    }

    /// A `[[cbus]]` table for it, with further keys.
    pub(crate) fn options(&self, keys: &str) -> BusOptions {
        options(&self.address, keys)
    }
}

/// A `[[cbus]]` table for a CNI, or the device of a PCI.
pub(crate) fn options(address: &str, keys: &str) -> BusOptions {
    let backend = match address.rsplit_once(':') {
        Some((host, port)) => format!("[backend.cni]\nhost = \"{host}\"\nport = {port}"),
        None => format!("[backend.pci]\ndevice = \"{address}\""),
    };
    toml::from_str(&format!("name = \"lobby\"\n{keys}\n{backend}")).unwrap()
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A bus at work, and what it leaves behind.
pub(crate) struct Seen {
    trace: Rc<RefCell<Vec<u8>>>,
    pub(crate) notes: Rc<RefCell<Vec<String>>>,
}

struct Sink(Rc<RefCell<Vec<u8>>>);

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.borrow_mut().extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seen {
    /// The commands that were sent, in order.
    pub(crate) fn sent(&self) -> Vec<String> {
        let trace = String::from_utf8(self.trace.borrow().clone()).unwrap();
        let sent = trace.lines().filter_map(|line| line.split_once(" > "));
        sent.map(|(_, text)| text.trim_matches('"').replace("\\\\", "\\").replace("\\r", "")).collect()
    }

    /// The lines that came, in order; a confirmation that was glued to one is taken off.
    pub(crate) fn came(&self) -> Vec<String> {
        let trace = String::from_utf8(self.trace.borrow().clone()).unwrap();
        let came =
            trace.lines().filter_map(|line| line.split_once(" < ")).map(|(_, text)| text.trim_matches('"'));
        let came: String = came.collect();
        let line = |line: &str| line.rsplit_once('.').map_or(line, |(_, rest)| rest).to_owned();
        came.split("\\r\\n").map(line).collect()
    }

    pub(crate) fn sent_with(&self, part: &str) -> usize {
        self.sent().iter().filter(|line| line.contains(part)).count()
    }
}

fn now() -> Timestamp {
    Timestamp::from_secs(1_700_000_000)
}

pub(crate) type Opener = for<'a> fn(&'a BusOptions, Context<'a>) -> Result<Box<dyn Bus + 'a>, BusError>;

pub(crate) fn opened<T>(
    open: Opener,
    options: &BusOptions,
    deadline: Duration,
    work: impl FnOnce(&mut dyn Bus) -> Result<T, BusError>,
) -> (Result<T, BusError>, Seen) {
    let seen = Seen { trace: Rc::default(), notes: Rc::default() };
    let notes = Rc::clone(&seen.notes);
    let note = move |text: &str| notes.borrow_mut().push(text.to_owned());
    let context = Context {
        base: Path::new("/"),
        resolve: &|_| Err("no secrets here".into()),
        trace: Trace::to(Box::new(Sink(Rc::clone(&seen.trace))), now),
        deadline: Instant::now() + deadline,
        allow_open: false,
        wait_sync: Duration::ZERO,
        now: &now,
        note: &note,
    };
    let ended = open(options, context).and_then(|mut bus| work(bus.as_mut()));
    (ended, seen)
}

/// With short pauses and waits.
pub(crate) fn with_bus<T>(
    sim: &Sim,
    keys: &str,
    work: impl FnOnce(&mut dyn Bus) -> Result<T, BusError>,
) -> (Result<T, BusError>, Seen) {
    let options = sim.options(&format!("reply_timeout = \"700ms\"\n{keys}"));
    opened(ew_bus::open_hurried, &options, Duration::from_secs(120), work)
}

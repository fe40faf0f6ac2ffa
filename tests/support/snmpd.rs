//! A real net-snmp agent on a free loopback port, serving a fixture; a bad line to it; and a switch that
//! never answers.
//!
//! Fixtures are in snmpsim's format, a line `OID|TAG|VALUE` per object, so the same files serve both.
#![allow(dead_code, reason = "each test uses its own part")]

use std::fmt::Write as _;
use std::fs::{self, File};
use std::net::UdpSocket;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::Duration;
use tempfile::TempDir;

/// The readers that every agent lets in: a community, and SNMPv3 users by security level.
const ACCESS: &str = "\
rocommunity public 127.0.0.0/8
createUser ewopen
rouser ewopen noauth
createUser ewpoll SHA authpass123 AES privpass123
rouser ewpoll auth
createUser ew256 SHA-256 authpass123 AES privpass123
rouser ew256 priv
createUser ewdes MD5 authpass123 DES privpass123
rouser ewdes priv
";
/// Only objects below these are served from a fixture: the agent has its own system group.
const SERVED: [&str; 5] =
    ["1.3.6.1.4.1.9.", "1.3.6.1.4.1.318.", "1.3.6.1.2.1.33.", "1.3.6.1.2.1.47.", "1.3.6.1.2.1.99."];
const STARTS_MAX: u32 = 5;
/// Each takes up to 220 ms; the keys of many users take an agent seconds.
const READY_TRIES_MAX: u32 = 200;

/// A running `snmpd`, ended when dropped.
pub(crate) struct Snmpd {
    child: Child,
    port: u16,
    _dir: TempDir,
}

impl Snmpd {
    /// Serves `fixtures/energywise/<name>.snmprec` on 127.0.0.1.
    pub(crate) fn start(name: &str) -> Snmpd {
        Snmpd::start_on(name, &["127.0.0.1"])
    }

    /// The same with more lines of snmpd.conf, such as users.
    pub(crate) fn start_with(name: &str, lines: &str) -> Snmpd {
        Snmpd::start_as(name, &["127.0.0.1"], lines)
    }

    /// The same on several loopback addresses, which stand for as many switches, all on one port.
    pub(crate) fn start_on(name: &str, addresses: &[&str]) -> Snmpd {
        Snmpd::start_as(name, addresses, "")
    }

    fn start_as(name: &str, addresses: &[&str], lines: &str) -> Snmpd {
        let records = fs::read_to_string(fixture(name)).unwrap();
        let conf = format!("{ACCESS}{lines}{}", overrides(&records));
        for _ in 0..STARTS_MAX {
            let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            if let Some(agent) = Snmpd::try_start(&conf, addresses, port) {
                return agent;
            }
        }
        panic!("snmpd did not start {STARTS_MAX} times; is the Debian package snmpd installed?");
    }

    /// The UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    fn try_start(text: &str, addresses: &[&str], port: u16) -> Option<Snmpd> {
        let dir = TempDir::new().unwrap();
        let conf = dir.path().join("snmpd.conf");
        fs::write(&conf, text).unwrap();
        let program =
            ["/usr/sbin/snmpd", "/usr/local/sbin/snmpd"].into_iter().find(|p| Path::new(p).exists());
        let child = Command::new(program.unwrap_or("snmpd"))
            .env("SNMP_PERSISTENT_DIR", dir.path().join("persistent"))
            .env("MIBS", "")
            .args(["-f", "-C", "-Ln", "-c"])
            .arg(&conf)
            .arg("-p")
            .arg(dir.path().join("pid"))
            .args(addresses.iter().map(|address| format!("udp:{address}:{port}")))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(dir.path().join("stderr")).unwrap())
            .spawn()
            .expect("snmpd cannot be run; install the Debian package snmpd");
        let mut agent = Snmpd { child, port, _dir: dir };
        agent.is_ready(addresses[0]).then_some(agent)
    }

    /// Waits for a real answer; false where the agent ended, as when another took the port.
    fn is_ready(&mut self, address: &str) -> bool {
        for _ in 0..READY_TRIES_MAX {
            if self.child.try_wait().unwrap().is_some() {
                return false;
            }
            let asked = Command::new("snmpget")
                .env("MIBS", "")
                .args(["-v2c", "-cpublic", "-t0.2", "-r0"])
                .args([format!("{address}:{}", self.port), "1.3.6.1.2.1.1.3.0".to_owned()])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status()
                .expect("snmpget cannot be run; install the Debian package snmp");
            if asked.success() {
                return true;
            }
            sleep(Duration::from_millis(20));
        }
        false
    }
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A switch that hears everything and never answers.
pub(crate) struct Silent(UdpSocket);

impl Silent {
    /// On a free port of this loopback address.
    pub(crate) fn new(address: &str) -> Silent {
        Silent(UdpSocket::bind((address, 0)).unwrap())
    }

    /// Its UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.0.local_addr().unwrap().port()
    }

    /// How many datagrams wait unread.
    pub(crate) fn heard(&self) -> usize {
        self.0.set_nonblocking(true).unwrap();
        let mut buffer = [0; 65_536];
        std::iter::from_fn(|| self.0.recv(&mut buffer).ok()).count()
    }
}

/// A line to an agent that can lose requests, double answers and lead to another agent; ended when dropped.
pub(crate) struct Relay {
    port: u16,
    line: Arc<Line>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Line {
    stop: AtomicBool,
    agent: AtomicU16,
    lost: AtomicUsize,
    heard: AtomicUsize,
}

impl Relay {
    /// Loses the first `lost` requests; every answer comes `copies` times.
    pub(crate) fn start(agent: &Snmpd, lost: usize, copies: u32) -> Relay {
        let (near, far) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        near.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        far.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let port = near.local_addr().unwrap().port();
        let line = Arc::new(Line::default());
        let mut relay = Relay { port, line: Arc::clone(&line), thread: None };
        relay.lead_to(agent);
        relay.lose(lost);
        relay.thread = Some(spawn(move || {
            let mut buffer = [0; 65_536];
            while !line.stop.load(Ordering::Relaxed) {
                let Ok((length, asker)) = near.recv_from(&mut buffer) else { continue };
                line.heard.fetch_add(1, Ordering::Relaxed);
                let fewer = |lost: usize| lost.checked_sub(1);
                if line.lost.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_ok() {
                    continue;
                }
                far.send_to(&buffer[..length], ("127.0.0.1", line.agent.load(Ordering::Relaxed))).unwrap();
                let Ok(length) = far.recv(&mut buffer) else { continue };
                for _ in 0..copies {
                    // Who asked may be gone by now.
                    let _ = near.send_to(&buffer[..length], asker);
                }
            }
        }));
        relay
    }

    /// The UDP port.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The switch behind the line has changed, or has started anew.
    pub(crate) fn lead_to(&self, agent: &Snmpd) {
        self.line.agent.store(agent.port(), Ordering::Relaxed);
    }

    /// Loses so many of the requests to come.
    pub(crate) fn lose(&self, requests: usize) {
        self.line.lost.store(requests, Ordering::Relaxed);
    }

    /// How many requests came so far, lost ones included.
    pub(crate) fn heard(&self) -> usize {
        self.line.heard.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.line.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

/// Where a fixture is; of another folder it has that before its name.
pub(crate) fn fixture(name: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let folder = if name.contains('/') { "" } else { "energywise" };
    root.join(folder).join(name).with_extension("snmprec")
}

/// The lines of snmpd.conf that serve some records.
fn overrides(records: &str) -> String {
    let mut conf = String::new();
    for record in records.lines().filter(|line| SERVED.iter().any(|arc| line.starts_with(arc))) {
        let mut fields = record.splitn(3, '|');
        let (oid, tag, value) =
            (fields.next().unwrap(), fields.next().expect(record), fields.next().expect(record));
        assert!(!value.contains('"'), "{record}");
        let (kind, value) = match tag {
            "2" => ("integer", value.to_owned()),
            "4" => ("octet_str", format!("\"{value}\"")),
            "4x" => ("octet_str", format!("0x{value}")),
            "6" => ("object_id", value.to_owned()),
            "65" => ("counter", value.to_owned()),
            "66" => ("uinteger", value.to_owned()),
            "67" => ("timeticks", value.to_owned()),
            other => panic!("tag {other}: {record}"),
        };
        writeln!(conf, "override .{oid} {kind} {value}").unwrap();
    }
    conf
}

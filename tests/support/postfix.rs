//! A real Postfix on free loopback ports, with queue, users and mailboxes of its own in a temporary directory. It
//! ends when its handle is dropped. It runs as root only: another user starts it by sudo.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::smtp::{Mail, certify, root};
use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

pub const USER: &str = "ew@localhost";
pub const PASSWORD: &str = "ewpass";

/// How long it may take to start, and to deliver.
const LIMIT: Duration = Duration::from_secs(60);

/// A running server.
pub struct Postfix {
    dir: tempfile::TempDir,
    starttls: u16,
    tls: u16,
    child: Child,
}

impl Postfix {
    /// One that demands TLS and a log-in, has these mailboxes and takes mails up to a size.
    pub fn start(mailboxes: &[&str], bytes_max: u64) -> Postfix {
        // Another process may take a port between the choice and the start.
        for _ in 0..3 {
            if let Some(postfix) = Postfix::try_start(mailboxes, bytes_max) {
                return postfix;
            }
        }
        panic!("Postfix does not start");
    }

    fn try_start(mailboxes: &[&str], bytes_max: u64) -> Option<Postfix> {
        let unpacked = root().join("target/test-postfix");
        assert!(
            unpacked.join("wanted").is_file(),
            "the tests' Postfix is missing; run: scripts/test-postfix.sh"
        );
        let dir = tempfile::tempdir().unwrap();
        certify(dir.path(), "DNS:localhost");
        let listeners = [(); 2].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
        let [starttls, tls] = listeners.map(|listener| listener.local_addr().unwrap().port());
        let child = as_root(root().join("fixtures/postfix/run.sh"))
            .args([&unpacked, dir.path()])
            .args([starttls.to_string(), tls.to_string(), bytes_max.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("said")).unwrap())
            .spawn()
            .unwrap();
        let mut postfix = Postfix { dir, starttls, tls, child };
        postfix.set_mailboxes(mailboxes);
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            if postfix.child.try_wait().unwrap().is_some() {
                break;
            }
            if greets(starttls) {
                return Some(postfix);
            }
            thread::sleep(Duration::from_millis(10));
        }
        eprintln!("{}{}", postfix.file("said"), postfix.file("log"));
        None
    }

    /// The port for STARTTLS.
    pub fn port(&self) -> u16 {
        self.starttls
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.starttls))
    }

    /// The port that speaks TLS from the first byte.
    pub fn tls_port(&self) -> u16 {
        self.tls
    }

    /// The authority of its certificate, which is that itself.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// Its own program that takes mails of this machine, and what that needs to find it.
    pub fn sendmail(&self) -> Vec<String> {
        let unpacked = root().join("target/test-postfix");
        let machine = fs::read_dir(unpacked.join("usr/lib")).unwrap().filter_map(|entry| {
            let folder = entry.unwrap().path();
            folder.to_str().unwrap().ends_with("-linux-gnu").then_some(folder)
        });
        let libraries = machine.chain([unpacked.join("usr/lib/postfix")]);
        let libraries = std::env::join_paths(libraries).unwrap().into_string().unwrap();
        let sudo: &[&str] = if is_root() { &[] } else { &["sudo", "-n"] };
        let command = [
            "env".to_owned(),
            format!("LD_LIBRARY_PATH={libraries}"),
            format!("MAIL_CONFIG={}", self.dir.path().join("conf").display()),
            unpacked.join("usr/sbin/sendmail").display().to_string(),
        ];
        sudo.iter().map(|word| (*word).to_owned()).chain(command).collect()
    }

    /// Who has a mailbox from the next connection on; all others of the domains are refused.
    pub fn set_mailboxes(&self, addresses: &[&str]) {
        let lines: String = addresses.iter().map(|address| format!("{address} {address}/\n")).collect();
        fs::write(self.dir.path().join("mailboxes.new"), lines).unwrap();
        fs::rename(self.dir.path().join("mailboxes.new"), self.dir.path().join("mailboxes")).unwrap();
    }

    /// What lies in a mailbox once it holds so many, oldest first.
    pub fn mails(&self, address: &str, count: usize) -> Vec<Mail> {
        let started = Instant::now();
        while self.delivered(address).len() < count {
            assert!(started.elapsed() < LIMIT, "{address} never got {count}: {}", self.file("log"));
            thread::sleep(Duration::from_millis(10));
        }
        let files = self.delivered(address);
        assert_eq!(files.len(), count, "{address}");
        files.iter().map(|file| Mail::read(file)).collect()
    }

    /// How many mails it has taken so far that are not delivered yet.
    pub fn queued(&self) -> usize {
        ["incoming", "active", "deferred"]
            .iter()
            .map(|queue| {
                fs::read_dir(self.dir.path().join("queue").join(queue)).map_or(0, |entries| entries.count())
            })
            .sum()
    }

    fn delivered(&self, address: &str) -> Vec<PathBuf> {
        let folder = self.dir.path().join("mail").join(address).join("new");
        let mut files: Vec<PathBuf> =
            fs::read_dir(folder).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|file| {
            let file = fs::metadata(file).unwrap();
            (file.mtime(), file.mtime_nsec())
        });
        files
    }

    fn file(&self, name: &str) -> String {
        fs::read_to_string(self.dir.path().join(name)).unwrap_or_default()
    }
}

impl Drop for Postfix {
    fn drop(&mut self) {
        // It ends its children itself, which SIGKILL would leave behind.
        let id = self.file("queue/pid/master.pid");
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) && !id.trim().is_empty() {
            let _ = as_root("kill").arg(id.trim()).status();
        } else {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        // What other users own in it would stay.
        if !is_root() {
            let _ = as_root("rm").args([OsStr::new("-rf"), self.dir.path().as_os_str()]).status();
        }
    }
}

fn is_root() -> bool {
    fs::metadata("/proc/self").unwrap().uid() == 0
}

fn as_root(program: impl AsRef<OsStr>) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut sudo = Command::new("sudo");
    sudo.arg("-n").arg(program);
    sudo
}

/// Whether a mail server answers.
fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(20)));
    let mut start = [0; 4];
    stream.read_exact(&mut start).is_ok() && &start == b"220 "
}

//! A real SFTP server (asyncssh) on a free loopback port that asks for the password, keyboard-interactive, and takes it
//! in no other way. It ends when its handle is dropped.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::sshd::{end, keygen, known_hosts_line};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A running server. Its `root` is where a login starts.
pub struct Asker {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Asker {
    pub fn start(user: &str, password: &str) -> Asker {
        Asker::start_with(user, password, &[])
    }

    /// With quirks of `fixtures/sftp_asker.py`.
    pub fn start_with(user: &str, password: &str, quirks: &[&str]) -> Asker {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let python = root.join("target/test-venv/bin/python3");
        assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("host"), "ed25519", "");
        fs::create_dir(dir.path().join("home")).unwrap();
        let mut child = Command::new(python)
            .arg(root.join("fixtures/sftp_asker.py"))
            .args([dir.path().join("host"), dir.path().join("home")])
            .arg(user)
            .args(quirks)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("no server: {}", log()));
        let port = port.parse().unwrap();
        Asker { dir, port, child }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn root(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A known_hosts file with its key.
    pub fn known_hosts(&self) -> PathBuf {
        let path = self.dir.path().join("known_hosts");
        fs::write(&path, known_hosts_line(&self.dir.path().join("host.pub"), self.port) + "\n").unwrap();
        path
    }
}

impl Drop for Asker {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

//! A real ProFTPD on a free loopback port, to which users log in by password: with mod_sftp another SFTP server than
//! OpenSSH's, or with mod_tls an FTPS server. It has a user file of its own and ends, with all its sessions, when its
//! handle is dropped.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::sshd::{end, greets, keygen, known_hosts_line, stdout};
use std::fs;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// Owns what it sends, and may do everything there that the tests may.
pub const USER: &str = "ew";
/// Has what everyone has: never root, even where the tests are.
pub const STRANGER: &str = "stranger";
/// The password of both.
pub const PASSWORD: &str = "Sesame öffne dich 7";

/// uid and gid of `nobody` and `nogroup` on Debian.
const NOBODY: u32 = 65534;

/// A configuration of fixtures, and how a server with it greets.
type Kind = (&'static str, &'static [u8; 4]);

/// A running server. Its `root` is where a login starts.
pub struct Proftpd {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Proftpd {
    pub fn start() -> Proftpd {
        Proftpd::start_with("")
    }

    /// The same with more lines of configuration.
    pub fn start_with(config: &str) -> Proftpd {
        Proftpd::start_as(("proftpd.conf", b"SSH-"), config, |path| {
            keygen(&path.join("host_rsa"), "rsa", "");
            keygen(&path.join("host_ed25519"), "ed25519", "");
        })
    }

    /// An FTPS server with more lines of configuration; `certify` makes `ca.pem`, `cert.pem` and `key.pem`.
    pub fn ftps(config: &str, certify: fn(&Path)) -> Proftpd {
        Proftpd::start_as(("proftpd-ftps.conf", b"220 "), config, certify)
    }

    fn start_as(kind: Kind, config: &str, prepare: fn(&Path)) -> Proftpd {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        // For the stranger to get through.
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(path.join("home")).unwrap();
        prepare(path);
        let id = |of: &str| stdout(Command::new("id").arg(of));
        let (uid, gid): (u32, u32) = (id("-u").parse().unwrap(), id("-g").parse().unwrap());
        let stranger = if uid == 0 { (NOBODY, NOBODY) } else { (uid, gid) };
        let hash = hash(PASSWORD);
        let users: String = [(USER, (uid, gid)), (STRANGER, stranger)]
            .map(|(user, (uid, gid))| format!("{user}:{hash}:{uid}:{gid}::{}/home:/bin/sh\n", path.display()))
            .concat();
        fs::write(path.join("passwd"), users).unwrap();
        fs::set_permissions(path.join("passwd"), fs::Permissions::from_mode(0o600)).unwrap();
        // Another process may take the port between the choice and the start.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(child) = launch(kind, path, port, config, &id("-un"), &id("-gn")) {
                return Proftpd { dir, port, child };
            }
        }
        let said = |file: &str| fs::read_to_string(path.join(file)).unwrap_or_default();
        panic!("ProFTPD does not start: {}{}", said("log"), said("system.log"));
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The directory where a login starts.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A directory below `root`, the stranger's, with these permissions.
    pub fn strangers_directory(&self, name: &str, mode: u32) -> PathBuf {
        let path = self.root().join(name);
        fs::create_dir(&path).unwrap();
        if stdout(Command::new("id").arg("-u")) == "0" {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        path
    }

    /// The known_hosts line of its ed25519 key, as seen on a port (a proxy's, or [`Proftpd::port`]).
    pub fn known_hosts_line(&self, port: u16) -> String {
        known_hosts_line(&self.dir.path().join("host_ed25519.pub"), port)
    }

    /// A known_hosts file with that line.
    pub fn known_hosts(&self, port: u16) -> PathBuf {
        let path = self.dir.path().join(format!("known_hosts_{port}"));
        fs::write(&path, self.known_hosts_line(port) + "\n").unwrap();
        path
    }

    /// The authority of its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// What its TLS part has logged.
    pub fn tls_log(&self) -> String {
        fs::read_to_string(self.dir.path().join("tls.log")).unwrap_or_default()
    }

    /// What its SFTP part has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("sftp.log")).unwrap_or_default()
    }
}

impl Drop for Proftpd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn launch(kind: Kind, dir: &Path, port: u16, config: &str, user: &str, group: &str) -> Option<Child> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
    let proftpd = root.join("target/test-proftpd");
    assert!(proftpd.join("wanted").is_file(), "ProFTPD is missing; run: scripts/test-proftpd.sh");
    let text = fs::read_to_string(root.join("fixtures").join(kind.0))
        .unwrap()
        .replace("@PROFTPD@", proftpd.to_str().unwrap())
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &port.to_string())
        .replace("@USER@", user)
        .replace("@GROUP@", group);
    fs::write(dir.join("proftpd.conf"), text + config + "\n").unwrap();
    let log = fs::File::create(dir.join("log")).unwrap();
    let mut child = Command::new(proftpd.join("usr/sbin/proftpd"))
        .arg("--nodaemon")
        .arg("--config")
        .arg(dir.join("proftpd.conf"))
        .env("LD_LIBRARY_PATH", proftpd.join("libraries"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    for _ in 0..1000 {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if greets(port, kind.1) {
            return Some(child);
        }
        thread::sleep(Duration::from_millis(10));
    }
    end(&mut child);
    None
}

/// As crypt(3) keeps a password, with SHA-512.
fn hash(password: &str) -> String {
    let mut openssl = Command::new("openssl")
        .args(["passwd", "-6", "-stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    openssl.stdin.take().unwrap().write_all(password.as_bytes()).unwrap();
    let output = openssl.wait_with_output().unwrap();
    assert!(output.status.success());
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

//! Real FTP servers on free loopback ports, with a certificate of their own: pyftpdlib, which can be made to fail, and
//! vsftpd, which asks that data connections resume the TLS session of the control connection. They end, with all their
//! sessions, when their handle is dropped. ProFTPD is in `proftpd.rs`.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::sshd::{end, greets};
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

pub const USER: &str = "ew";
pub const PASSWORD: &str = "ewpass";
const NAMES: &str = "DNS:localhost,IP:127.0.0.1";

/// A running server.
pub struct FtpServer {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl FtpServer {
    /// pyftpdlib under TLS, which lets in [`USER`] with [`PASSWORD`].
    pub fn start() -> FtpServer {
        FtpServer::start_with("")
    }

    /// The same with options of `fixtures/ftp_sink.py`.
    pub fn start_with(options: &str) -> FtpServer {
        FtpServer::launch(options, NAMES)
    }

    /// The same with a certificate for these names.
    pub fn start_for(names: &str) -> FtpServer {
        FtpServer::launch("", names)
    }

    fn launch(options: &str, names: &str) -> FtpServer {
        let python = root().join("target/test-venv/bin/python3");
        assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        certify_for(dir.path(), names);
        let mut child = Command::new(python)
            .arg(root().join("fixtures/ftp_sink.py"))
            .args([".", "cert.pem", "key.pem"])
            .args(options.split_whitespace())
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("no FTP server: {}", log()));
        let port = port.parse().unwrap();
        FtpServer { dir, port, child }
    }

    /// vsftpd under TLS, which lets in anyone as `anonymous`, with more lines of configuration.
    pub fn vsftpd(config: &str) -> FtpServer {
        let dir = tempfile::tempdir().unwrap();
        for name in ["home", "empty"] {
            fs::create_dir(dir.path().join(name)).unwrap();
        }
        certify(dir.path());
        // Another process may take the port between the choice and the start.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(child) = launch_vsftpd(dir.path(), port, config) {
                return FtpServer { dir, port, child };
            }
        }
        panic!("vsftpd does not start: {}", fs::read_to_string(dir.path().join("log")).unwrap_or_default());
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

    /// The authority of its certificate.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Its certificate.
    pub fn certificate(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// What goes wrong from here on; words of `fixtures/ftp_sink.py`.
    pub fn set_faults(&self, words: &str) {
        fs::write(self.dir.path().join("faults"), words).unwrap();
    }

    /// What it has logged: pyftpdlib and vsftpd every command.
    pub fn log(&self) -> String {
        let read = |file: &str| fs::read_to_string(self.dir.path().join(file)).unwrap_or_default();
        read("log") + &read("vsftpd.log")
    }

    /// A table of options for it, as it is reached on a port (a proxy's, or [`FtpServer::port`]).
    pub fn table(&self, port: u16, more: &str) -> String {
        format!(
            "[ftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
             ca_file = {:?}\n{more}",
            self.ca_file()
        )
    }
}

impl Drop for FtpServer {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn launch_vsftpd(dir: &Path, port: u16, config: &str) -> Option<Child> {
    let text = fs::read_to_string(root().join("fixtures/vsftpd.conf"))
        .unwrap()
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &port.to_string());
    fs::write(dir.join("vsftpd.conf"), text + config + "\n").unwrap();
    let log = fs::File::create(dir.join("log")).unwrap();
    let mut child = Command::new("/usr/sbin/vsftpd")
        .arg(dir.join("vsftpd.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("vsftpd is needed for this test (Debian: vsftpd)");
    for _ in 0..1000 {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if greets(port, b"220 ") {
            return Some(child);
        }
        thread::sleep(Duration::from_millis(10));
    }
    end(&mut child);
    None
}

/// The folder of the project.
fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// A certificate for localhost and 127.0.0.1.
pub fn certify(dir: &Path) {
    certify_for(dir, NAMES);
}

/// A certificate for these names, `cert.pem` and `key.pem`, by an authority, `ca.pem`.
pub fn certify_for(dir: &Path, names: &str) {
    let openssl = |arguments: &[&str]| {
        let made = Command::new("openssl")
            .arg("req")
            .args([
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
                "-days",
                "2",
            ])
            .args(arguments)
            .current_dir(dir)
            .output()
            .expect("openssl is needed for this test (Debian: openssl)");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    };
    openssl(&["-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=authority"]);
    let names = format!("subjectAltName={names}");
    openssl(&[
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-keyout",
        "key.pem",
        "-out",
        "cert.pem",
        "-subj",
        "/CN=server",
        "-addext",
        &names,
        "-addext",
        "basicConstraints=critical,CA:FALSE",
    ]);
    // Servers that run as root are particular about it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(dir.join("key.pem"), mode).unwrap();
}

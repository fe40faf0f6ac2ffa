//! A real mail server (aiosmtpd) on a free loopback port, with a certificate of its own. It ends when its handle is
//! dropped. What it received is read by Python's email parser.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const USER: &str = "ew";
pub const PASSWORD: &str = "ewpass";

/// A running server.
pub struct Sink {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

/// A mail as it arrived, in its envelope.
#[derive(Debug)]
pub struct Received {
    pub from: String,
    pub to: Vec<String>,
    pub tls: bool,
    mail: Mail,
}

impl std::ops::Deref for Received {
    type Target = Mail;

    fn deref(&self) -> &Mail {
        &self.mail
    }
}

/// A mail.
#[derive(Debug)]
pub struct Mail {
    pub kind: String,
    pub headers: BTreeMap<String, String>,
    pub parts: Vec<Part>,
    pub raw: Vec<u8>,
}

/// A part of it, decoded.
#[derive(Debug)]
pub struct Part {
    pub kind: String,
    pub encoding: String,
    pub disposition: Option<String>,
    pub name: Option<String>,
    pub content: Vec<u8>,
}

impl Sink {
    /// One that demands STARTTLS and a log-in; its certificate is for localhost and 127.0.0.1.
    pub fn start() -> Sink {
        Sink::start_with("", "DNS:localhost,IP:127.0.0.1")
    }

    /// The same with options of `fixtures/smtp_sink.py`, and for these names.
    pub fn start_with(options: &str, names: &str) -> Sink {
        let root = root();
        let python = root.join("target/test-venv/bin/python3");
        assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mail")).unwrap();
        certify(dir.path(), names);
        let mut child = Command::new(python)
            .arg(root.join("fixtures/smtp_sink.py"))
            .args(["mail", "cert.pem", "key.pem"])
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
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("no mail server: {}", log()));
        let port = port.parse().unwrap();
        Sink { dir, port, child }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// The authority of its certificate, which is that itself.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// What goes wrong from here on; words of `fixtures/smtp_sink.py`.
    pub fn set_faults(&self, words: &str) {
        fs::write(self.dir.path().join("mail/faults"), words).unwrap();
    }

    /// Everything that it took, in that order.
    pub fn received(&self) -> Vec<Received> {
        let mut files: Vec<PathBuf> = fs::read_dir(self.dir.path().join("mail"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
            .collect();
        files.sort();
        files.iter().map(|file| read(file)).collect()
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The folder of the project.
pub fn root() -> PathBuf {
    fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap()
}

/// A certificate for these names, which is its own authority: `cert.pem` and `key.pem`.
pub fn certify(dir: &Path, names: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"])
        .args(["-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", "/CN=sink"])
        .args(["-addext", &format!("subjectAltName={names}")])
        .current_dir(dir)
        .output()
        .expect("openssl is needed for this test (Debian: openssl)");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn read(file: &Path) -> Received {
    let seen: serde_json::Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    Received {
        from: seen["from"].as_str().unwrap().to_owned(),
        to: seen["to"].as_array().unwrap().iter().map(|to| to.as_str().unwrap().to_owned()).collect(),
        tls: seen["tls"].as_bool().unwrap(),
        mail: Mail::of(&seen, fs::read(file.with_extension("eml")).unwrap()),
    }
}

impl Mail {
    /// A file with nothing but the mail in it.
    pub fn read(file: &Path) -> Mail {
        let parser = root().join("fixtures/mail_as_json.py");
        let parsed = Command::new("python3").arg(parser).arg(file).output().unwrap();
        assert!(parsed.status.success(), "{}", String::from_utf8_lossy(&parsed.stderr));
        Mail::of(&serde_json::from_slice(&parsed.stdout).unwrap(), fs::read(file).unwrap())
    }

    fn of(seen: &serde_json::Value, raw: Vec<u8>) -> Mail {
        assert_eq!(seen["defects"], serde_json::json!([]), "Python's parser complains");
        let text = |value: &serde_json::Value| value.as_str().map(str::to_owned);
        let headers = seen["headers"].as_object().unwrap().iter();
        let parts = seen["parts"].as_array().unwrap().iter().map(|part| Part {
            kind: text(&part["type"]).unwrap(),
            encoding: text(&part["encoding"]).unwrap(),
            disposition: text(&part["disposition"]),
            name: text(&part["name"]),
            content: unhex(part["hex"].as_str().unwrap()),
        });
        Mail {
            kind: text(&seen["type"]).unwrap(),
            headers: headers.map(|(name, value)| (name.clone(), text(value).unwrap())).collect(),
            parts: parts.collect(),
            raw,
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

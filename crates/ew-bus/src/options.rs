//! What `ew.toml` says of a bus.

use crate::endpoint::MEMORY;
use ew_core::{SecretSource, Span};
use rustix::fs::{major, minor};
use serde::{Deserialize, Deserializer, de};
use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// One `[[cbus]]` table.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BusOptions {
    /// Its name, the first part of its points after `cbus`.
    pub name: String,
    /// Whether `ew-poll` polls it.
    #[serde(default)]
    pub poll: bool,
    /// Whether a scan is asked for at start.
    #[serde(default = "yes")]
    pub auto_discover: bool,
    /// C-Bus applications, 0..255; those discovered, else 56 (lighting), where absent.
    pub applications: Option<Vec<u8>>,
    /// Until the first prompt.
    #[serde(default = "start_timeout")]
    pub start_timeout: Span,
    /// Until one reply.
    #[serde(default = "reply_timeout")]
    pub reply_timeout: Span,
    /// For the whole run.
    #[serde(default = "deadline")]
    pub deadline: Span,
    /// How the bus is reached.
    pub backend: Backend,
}

impl BusOptions {
    /// The far side in a message: `cni 192.0.2.20:10001`. No secret is in it.
    pub fn endpoint(&self) -> String {
        match &self.backend {
            Backend::Exec(exec) => format!("exec {}", exec.command.join(" ")),
            Backend::Cgate(cgate) => match &cgate.host {
                Some(host) => format!("cgate {host}:{}", cgate.port),
                None => format!("cgate {}", cgate.command.as_deref().unwrap_or_default().join(" ")),
            },
            Backend::Cni(cni) => format!("cni {}:{}", cni.host, cni.port),
            Backend::Pci(pci) => format!("pci {}", pci.device.display()),
        }
    }

    /// Looks at the files that are named, relative to `base`; the error is the one that cannot be used, and why. A
    /// device that is not there may yet come.
    pub fn check_files(&self, base: &Path) -> Result<(), (PathBuf, String)> {
        match &self.backend {
            Backend::Cgate(cgate) => crate::cgate::check_files(cgate, base),
            Backend::Pci(pci) => match std::fs::metadata(base.join(&pci.device)) {
                Ok(node) if !is_serial(&node) => {
                    Err((pci.device.clone(), format!("{} is no serial port", pci.device.display())))
                }
                _ => Ok(()),
            },
            Backend::Exec(_) | Backend::Cni(_) => Ok(()),
        }
    }
}

/// `[cbus.backend.KIND]`: exactly one.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Backend {
    /// A child with a `ready>` prompt.
    Exec(Exec),
    /// A C-Gate server.
    #[serde(deserialize_with = "one_way")]
    Cgate(Box<Cgate>),
    /// A CNI: the serial protocol over TCP.
    Cni(Cni),
    /// A PCI on a serial port.
    Pci(Pci),
}

/// `[cbus.backend.exec]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exec {
    /// The program and its arguments.
    #[serde(deserialize_with = "command")]
    pub command: Vec<String>,
}

/// `[cbus.backend.cgate]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cgate {
    /// Host name or address.
    #[serde(default, deserialize_with = "host")]
    pub host: Option<String>,
    /// TCP port of the command interface.
    #[serde(default = "cgate_port")]
    pub port: u16,
    /// Whether the connection is TLS.
    #[serde(default)]
    pub tls: bool,
    /// A certificate authority beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The name in the server's certificate, where it is not the host.
    pub server_name: Option<String>,
    /// Our own certificate, for a server that asks for one.
    pub cert_file: Option<PathBuf>,
    /// Its private key.
    pub key_file: Option<PathBuf>,
    /// The project to open.
    #[serde(default, deserialize_with = "project")]
    pub project: Option<String>,
    /// Networks to ask; all where absent.
    pub networks: Option<Vec<u8>>,
    /// For log-in.
    #[serde(default, deserialize_with = "user")]
    pub user: Option<String>,
    /// For log-in.
    #[serde(default, deserialize_with = "password")]
    pub password: Option<SecretSource>,
    /// A pipe to a C-Gate in place of host and port.
    pub command: Option<Vec<String>>,
}

/// `[cbus.backend.cni]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cni {
    /// Host name or address.
    #[serde(deserialize_with = "cni_host")]
    pub host: String,
    /// TCP port.
    #[serde(default = "cni_port")]
    pub port: u16,
}

/// `[cbus.backend.pci]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pci {
    /// The serial device.
    pub device: PathBuf,
    /// Its speed, bit/s.
    #[serde(default = "pci_baud")]
    pub baud: u32,
}

/// A device that Linux does not count to others than its terminals. It is not opened: that alone moves a port's lines.
fn is_serial(node: &Metadata) -> bool {
    let number = format!("{}:{}", major(node.rdev()), minor(node.rdev()));
    let kind = std::fs::read_link(Path::new("/sys/dev/char").join(number).join("subsystem"));
    node.file_type().is_char_device()
        && kind.map_or(major(node.rdev()) != MEMORY, |kind| kind.ends_with("tty"))
}

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    match command.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(command),
        false => Err(de::Error::custom("the command is empty")),
    }
}

/// Whether it can stand in a command of C-Gate as one word.
pub(crate) fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control())
}

/// What follows may be a part of an object's name.
const PATH_SIGNS: [char; 5] = ['/', '[', ']', '#', '*'];

fn word<'de, D: Deserializer<'de>>(what: &str, deserializer: D) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match is_word(&text) {
        true => Ok(text),
        false => Err(de::Error::custom(format!(
            "{text:?} is no {what}, which is one word without control characters"
        ))),
    }
}

fn host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    word("host", deserializer).map(Some)
}

fn cni_host<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    word("host", deserializer)
}

fn user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    word("user of C-Gate", deserializer).map(Some)
}

fn project<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    let name = word("project", deserializer)?;
    match name.contains(PATH_SIGNS) {
        true => {
            Err(de::Error::custom(format!("{name:?} is no project: / [ ] # * have a meaning for C-Gate")))
        }
        false => Ok(Some(name)),
    }
}

/// One from elsewhere is looked at when it is fetched.
fn password<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretSource>, D::Error> {
    match SecretSource::deserialize(deserializer)? {
        SecretSource::Plain(secret) if !is_word(secret.expose()) => {
            Err(de::Error::custom("C-Gate takes only a password that is one word without control characters"))
        }
        source => Ok(Some(source)),
    }
}

/// What comes in pairs, and host and command, which are two ways to one server.
fn one_way<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Cgate>, D::Error> {
    let cgate = Box::<Cgate>::deserialize(deserializer)?;
    for (one, other, has_one, has_other) in [
        ("user", "password", cgate.user.is_some(), cgate.password.is_some()),
        ("cert_file", "key_file", cgate.cert_file.is_some(), cgate.key_file.is_some()),
    ] {
        match (has_one, has_other) {
            (true, false) => return Err(de::Error::custom(format!("{one} goes with {other} only"))),
            (false, true) => return Err(de::Error::custom(format!("{other} goes with {one} only"))),
            _ => {}
        }
    }
    match (&cgate.host, &cgate.command) {
        (Some(_), None) => Ok(cgate),
        (None, Some(command)) if !command.is_empty() => Ok(cgate),
        (None, Some(_)) => Err(de::Error::custom("the command is empty")),
        (Some(_), Some(_)) => Err(de::Error::custom("cgate has a host or a command, not both")),
        (None, None) => Err(de::Error::custom("cgate needs a host, or a command for a pipe")),
    }
}

fn yes() -> bool {
    true
}
fn start_timeout() -> Span {
    Span::from_secs(10)
}
fn reply_timeout() -> Span {
    Span::from_secs(5)
}
fn deadline() -> Span {
    Span::from_secs(300)
}
fn cgate_port() -> u16 {
    20023
}
fn cni_port() -> u16 {
    10001
}
fn pci_baud() -> u32 {
    9600
}

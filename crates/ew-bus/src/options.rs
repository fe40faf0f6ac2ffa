//! What `ew.toml` says of a bus.

use ew_core::{SecretSource, Span};
use serde::{Deserialize, Deserializer, de};
use std::path::PathBuf;

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
    /// Whether the far side may keep measurements; the others hear them only as they are broadcast, or not at all.
    pub fn can_measure(&self) -> bool {
        matches!(self.backend, Backend::Cgate(_))
    }

    /// The far side in a message and as the name of its lock: `cni 192.0.2.20:10001`. No secret is in it.
    pub fn endpoint(&self) -> String {
        match &self.backend {
            Backend::Exec(exec) => format!("exec {}", exec.command.join(" ")),
            Backend::Cgate(Cgate { host: Some(host), port, .. }) => format!("cgate {host}:{port}"),
            Backend::Cgate(cgate) => {
                format!("cgate {}", cgate.command.iter().flatten().cloned().collect::<Vec<_>>().join(" "))
            }
            Backend::Cni(cni) => format!("cni {}:{}", cni.host, cni.port),
            Backend::Pci(pci) => format!("pci {}", pci.device.display()),
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
    Cgate(Cgate),
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
    /// The project to open.
    pub project: Option<String>,
    /// Networks to ask; all where absent.
    pub networks: Option<Vec<u8>>,
    /// For log-in.
    pub user: Option<String>,
    /// For log-in.
    pub password: Option<SecretSource>,
    /// A pipe to a C-Gate in place of host and port.
    pub command: Option<Vec<String>>,
}

/// `[cbus.backend.cni]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cni {
    /// Host name or address.
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

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let command = Vec::<String>::deserialize(deserializer)?;
    match command.first().is_some_and(|program| !program.is_empty()) {
        true => Ok(command),
        false => Err(de::Error::custom("the command is empty")),
    }
}

/// Host and command are two ways to one server.
fn one_way<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cgate, D::Error> {
    let cgate = Cgate::deserialize(deserializer)?;
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

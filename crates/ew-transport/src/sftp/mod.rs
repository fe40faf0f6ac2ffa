//! SFTP, version 3, over SSH 2 (draft-ietf-secsh-filexfer-02, RFC 4251 to 4254).

mod connect;
mod deliver;
mod fault;
mod file;
mod look;
mod talk;
mod trial;
mod wire;

pub use ew_net::ssh::{Fingerprint, Login};

use crate::error::Fault;
use crate::{Compression, Context, Look, Probe, Transport, TransportError, Transporter, file_path, filled};
use connect::Access;
use deliver::Sftp;
pub(crate) use deliver::beside;
use ew_core::SecretSource;
use ew_net::ssh::{SshKeys, SshOptions};
use look::SftpLook;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
#[cfg(fuzzing)]
pub use wire::hear;

/// `[export.transport.sftp]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct SftpOptions {
    /// Name or address.
    pub host: HostName,
    /// TCP port, 22 unless given.
    pub port: u16,
    /// Who logs in, how, and which host keys are right.
    pub ssh: SshOptions,
    /// Where the files go: absolute, or below the directory where the login starts, which is `.`.
    pub directory: String,
    /// Make the directory when its last part is missing.
    pub create_directory: bool,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

/// A host name or address without white space, `@` or `/`, in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct HostName(String);

impl HostName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for HostName {
    type Error = String;

    fn try_from(name: String) -> Result<HostName, String> {
        let is_odd = |c: char| c.is_whitespace() || c.is_control() || "@/[],*?!#|".contains(c);
        if name.is_empty() || name.len() > 255 || name.contains(is_odd) {
            return Err(format!("{name:?} is not a host name or address"));
        }
        Ok(HostName(name.to_lowercase()))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: HostName,
    #[serde(default = "default_port")]
    port: u16,
    user: String,
    #[serde(default, deserialize_with = "file_path")]
    key_file: Option<PathBuf>,
    key_password: Option<SecretSource>,
    password: Option<SecretSource>,
    #[serde(default)]
    agent: bool,
    #[serde(default, deserialize_with = "file_path")]
    known_hosts: Option<PathBuf>,
    host_key: Option<Fingerprint>,
    #[serde(default = "home", deserialize_with = "directory")]
    directory: String,
    #[serde(default)]
    create_directory: bool,
    compress: Option<Compression>,
}

fn default_port() -> u16 {
    22
}

pub(crate) fn home() -> String {
    ".".into()
}

pub(crate) fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    filled(deserializer, "the directory has no name; write \".\" for the one where the log-in starts")
}

impl TryFrom<Keys> for SftpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<SftpOptions, String> {
        if keys.port == 0 {
            return Err("port = 0 is no port".into());
        }
        let ssh = SshKeys {
            user: keys.user,
            key_file: keys.key_file,
            key_password: keys.key_password,
            password: keys.password,
            agent: keys.agent,
            known_hosts: keys.known_hosts,
            host_key: keys.host_key,
        };
        let ssh = SshOptions::new(ssh, "receiver")?;
        if keys.directory.chars().any(char::is_control) {
            return Err(format!("{:?} is not a directory", keys.directory));
        }
        Ok(SftpOptions {
            host: keys.host,
            port: keys.port,
            ssh,
            directory: tidy(&keys.directory),
            create_directory: keys.create_directory,
            compress: keys.compress,
        })
    }
}

/// The path without empty and `.` parts; `.` where nothing is left.
pub(crate) fn tidy(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

/// The URL of a directory that a user logs in for; `/~` is where the login starts.
pub(crate) fn receiver_url(scheme: &str, user: &str, host: &str, port: u16, directory: &str) -> String {
    let host = match host {
        address if address.contains(':') => format!("[{address}]"),
        name => name.to_owned(),
    };
    let path = match directory {
        "." => "/~".to_owned(),
        absolute if absolute.starts_with('/') => absolute.to_owned(),
        relative => format!("/~/{relative}"),
    };
    format!("{scheme}://{user}@{host}:{port}{path}")
}

impl Transport for SftpOptions {
    fn destination(&self, _base: &Path) -> String {
        self.url()
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        let checked = self.ssh.check(self.host.as_str(), self.port, base);
        checked.map_err(|e| Fault::from(e).at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(Sftp::new(access, self.url(), self.directory.clone(), self.create_directory)))
    }

    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.seen_at(&self.far_side(), None))?;
        Ok(Some(Box::new(SftpLook::new(access, self.directory.clone()))))
    }

    fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        let mut probe = Probe::default();
        let tried = self.access(context).and_then(|access| trial::run(&access, self, name, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }
}

impl SftpOptions {
    fn url(&self) -> String {
        receiver_url("sftp", &self.ssh.user, self.host.as_str(), self.port, &self.directory)
    }

    fn far_side(&self) -> String {
        format!("sftp {}@{}:{}", self.ssh.user, self.host.as_str(), self.port)
    }

    fn access(&self, context: &Context<'_>) -> Result<Access, Fault> {
        let ssh = self.ssh.access(
            (self.host.as_str(), self.port),
            context.timeout,
            context.base,
            context.resolve,
            "send through the system's sftp by a command",
        )?;
        Ok(Access { far_side: self.far_side(), ssh })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "host = \"Sftp.example.com\"\nuser = \"ew\"\n";

    fn read(more: &str) -> Result<SftpOptions, toml::de::Error> {
        toml::from_str(&format!("{BASE}{more}"))
    }

    #[test]
    fn destinations() {
        let destination =
            |more: &str| read(&format!("agent = true\nknown_hosts = \"k\"\n{more}")).unwrap().url();
        assert_eq!(destination(""), "sftp://ew@sftp.example.com:22/~");
        assert_eq!(destination("directory = \"incoming/\""), "sftp://ew@sftp.example.com:22/~/incoming");
        assert_eq!(
            destination("directory = \"./a//b\"\nport = 2222"),
            "sftp://ew@sftp.example.com:2222/~/a/b"
        );
        assert_eq!(destination("directory = \"/\""), "sftp://ew@sftp.example.com:22/");
        assert_eq!(destination("directory = \"/srv/in\""), "sftp://ew@sftp.example.com:22/srv/in");
    }

    #[test]
    fn exactly_one_login_and_a_host_to_trust() {
        let pin = "host_key = \"SHA256:uNiVztksCsDhcc0u9e8BrPFVGQ6LiSQhV+BmL7NNNNg\"\n";
        for good in [
            "key_file = \"k\"",
            "password = { env = \"P\" }",
            "agent = true",
            "key_file = \"k\"\nkey_password = \"p\"",
        ] {
            assert!(read(&format!("{pin}{good}")).is_ok(), "{good}");
        }
        for bad in [
            "",
            "agent = false",
            "key_file = \"k\"\nagent = true",
            "key_file = \"k\"\npassword = \"p\"",
            "agent = true\nkey_password = \"p\"",
            "agent = true\nport = 0",
            "agent = true\nprot = 22",
            "agent = true\ndirectory = \"a\\nb\"",
        ] {
            assert!(read(&format!("{pin}{bad}")).is_err(), "{bad}");
        }
        for bad in ["", "host_key = \"SHA256:short\"\n", "host_key = \"MD5:00:11\"\n"] {
            assert!(read(&format!("{bad}agent = true")).is_err(), "{bad}");
        }
    }
}

//! SFTP, version 3, over SSH 2 (draft-ietf-secsh-filexfer-02, RFC 4251 to 4254).

mod connect;
mod deliver;
mod fault;
mod known_hosts;
mod look;
mod probe;
mod trial;

use crate::error::{ErrorKind, Fault, plain};
use crate::{Compression, Context, Probe, TransportError, file_path, filled};
use connect::{Access, Credential, Trust};
use deliver::Sftp;
use ew_core::{SecretSource, Span};
use known_hosts::KnownHosts;
use look::SftpLook;
use serde::{Deserialize, Deserializer};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[export.transport.sftp]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct SftpOptions {
    /// Name or address.
    pub host: HostName,
    /// TCP port, 22 unless given.
    pub port: u16,
    /// Who logs in.
    pub user: String,
    /// How.
    pub login: Login,
    /// The file that holds the host's keys.
    pub known_hosts: Option<PathBuf>,
    /// The one key that the host may show; with `known_hosts` too, both must agree.
    pub host_key: Option<Fingerprint>,
    /// Where the files go: absolute, or below the directory where the login starts, which is `.`.
    pub directory: String,
    /// Make the directory when its last part is missing.
    pub create_directory: bool,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

/// How the user proves who they are.
#[derive(Debug, Clone, PartialEq)]
pub enum Login {
    /// A private key.
    Key {
        /// Where it is.
        file: PathBuf,
        /// What opens it, where it is encrypted.
        password: Option<SecretSource>,
    },
    /// A password.
    Password(SecretSource),
    /// The keys of the agent at `$SSH_AUTH_SOCK`.
    Agent,
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

/// The SHA-256 of a host's public key, `SHA256:` and 43 digits of base64, as `ssh-keygen -l` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Fingerprint(String);

impl Fingerprint {
    /// The text, without padding.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Fingerprint {
    type Error = String;

    fn try_from(text: String) -> Result<Fingerprint, String> {
        let digits = text.strip_prefix("SHA256:").map(|digits| digits.trim_end_matches('='));
        let is_base64 = |c: u8| c.is_ascii_alphanumeric() || c == b'+' || c == b'/';
        match digits {
            Some(digits) if digits.len() == 43 && digits.bytes().all(is_base64) => {
                Ok(Fingerprint(format!("SHA256:{digits}")))
            }
            _ => Err(format!(
                "{text:?} is not a fingerprint; write \"SHA256:\" and 43 characters, as ssh-keygen -l shows it"
            )),
        }
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

fn home() -> String {
    ".".into()
}

fn directory<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    filled(deserializer, "the directory has no name; write \".\" for the one where the log-in starts")
}

impl TryFrom<Keys> for SftpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<SftpOptions, String> {
        if keys.port == 0 {
            return Err("port = 0 is no port".into());
        }
        if keys.user.is_empty() || keys.user.chars().any(char::is_control) {
            return Err(format!("{:?} is not a user name", keys.user));
        }
        let has_key_password = keys.key_password.is_some();
        let login = match (keys.key_file, keys.password, keys.agent) {
            (Some(file), None, false) => Login::Key { file, password: keys.key_password },
            (None, Some(password), false) => Login::Password(password),
            (None, None, true) => Login::Agent,
            (None, None, false) => {
                return Err("a login is missing: key_file, password or agent = true".into());
            }
            _ => return Err("key_file, password and agent exclude one another".into()),
        };
        if has_key_password && !matches!(login, Login::Key { .. }) {
            return Err("key_password goes with key_file only".into());
        }
        if keys.known_hosts.is_none() && keys.host_key.is_none() {
            return Err(
                "known_hosts or host_key is missing: without it any host could be the receiver".into()
            );
        }
        if keys.directory.chars().any(char::is_control) {
            return Err(format!("{:?} is not a directory", keys.directory));
        }
        Ok(SftpOptions {
            host: keys.host,
            port: keys.port,
            user: keys.user,
            login,
            known_hosts: keys.known_hosts,
            host_key: keys.host_key,
            directory: tidy(&keys.directory),
            create_directory: keys.create_directory,
            compress: keys.compress,
        })
    }
}

/// The path without empty and `.` parts; `.` where nothing is left.
fn tidy(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    match (path.starts_with('/'), parts.is_empty()) {
        (true, _) => format!("/{}", parts.join("/")),
        (false, true) => ".".into(),
        (false, false) => parts.join("/"),
    }
}

impl SftpOptions {
    pub(crate) fn destination(&self) -> String {
        let host = match self.host.as_str() {
            address if address.contains(':') => format!("[{address}]"),
            name => name.to_owned(),
        };
        let path = match self.directory.as_str() {
            "." => "/~".to_owned(),
            absolute if absolute.starts_with('/') => absolute.to_owned(),
            relative => format!("/~/{relative}"),
        };
        format!("sftp://{}@{host}:{}{path}", self.user, self.port)
    }

    fn far_side(&self) -> String {
        format!("sftp {}@{}:{}", self.user, self.host.as_str(), self.port)
    }

    pub(crate) fn check(&self, base: &Path) -> Result<(), TransportError> {
        let checked = self.trust(base).and_then(|_| match &self.login {
            Login::Key { file, .. } => read_key(&base.join(file)).map(|_| ()),
            Login::Password(_) | Login::Agent => Ok(()),
        });
        checked.map_err(|fault| fault.at(&self.far_side(), None))
    }

    pub(crate) fn open(&self, context: &Context<'_>) -> Result<Sftp, TransportError> {
        let access = self.access(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Sftp::new(access, self.destination(), self.directory.clone(), self.create_directory))
    }

    pub(crate) fn look(&self, context: &Context<'_>) -> Result<SftpLook, TransportError> {
        let access = self.access(context).map_err(|fault| fault.seen_at(&self.far_side(), None))?;
        Ok(SftpLook::new(access, self.directory.clone()))
    }

    pub(crate) fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        let mut probe = Probe::default();
        let tried = self.access(context).and_then(|access| trial::run(&access, self, name, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }

    fn trust(&self, base: &Path) -> Result<Trust, Fault> {
        let known_hosts = match &self.known_hosts {
            Some(file) => Some(KnownHosts::read(&base.join(file), self.host.as_str(), self.port)?),
            None => None,
        };
        Ok(Trust { known_hosts, pin: self.host_key.clone() })
    }

    fn access(&self, context: &Context<'_>) -> Result<Access, Fault> {
        let resolve = |key: &str, source: &SecretSource| {
            (context.resolve)(source)
                .map_err(|why| Fault::new(ErrorKind::Config, format!("read {key}: {why}")))
        };
        let credential = match &self.login {
            Login::Key { file, password } => {
                let file = context.base.join(file);
                let text = read_key(&file)?;
                let password = match password {
                    Some(source) => Some(resolve("key_password", source)?),
                    None => None,
                };
                Credential::Key { file, text, password }
            }
            Login::Password(source) => Credential::Password(resolve("password", source)?),
            Login::Agent => Credential::Agent,
        };
        Ok(Access {
            far_side: self.far_side(),
            host: self.host.as_str().to_owned(),
            port: self.port,
            user: self.user.clone(),
            credential,
            trust: self.trust(context.base)?,
            timeout: wait(context.timeout),
        })
    }
}

/// A wait that libssh2 can count: to it, zero milliseconds are no limit at all.
fn wait(timeout: Span) -> Duration {
    timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
}

fn read_key(file: &Path) -> Result<ew_core::Secret, Fault> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        Fault::new(ErrorKind::Config, format!("read key_file {}: {}", file.display(), plain(&e)))
    })?;
    Ok(ew_core::Secret::new(text))
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
            |more: &str| read(&format!("agent = true\nknown_hosts = \"k\"\n{more}")).unwrap().destination();
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

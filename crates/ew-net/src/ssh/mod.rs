//! SSH 2 (RFC 4251 to 4254): who logs in, how, and which host keys are right.

mod connect;
mod fault;
mod known_hosts;
mod offer;

pub use connect::{Access, Connection};

use crate::{NetError, NetErrorKind, plain};
use connect::{Credential, Trust};
use ew_core::{Secret, SecretSource, Span};
use known_hosts::KnownHosts;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The keys of `ew.toml` that every far side by SSH has.
#[derive(Debug, Clone, PartialEq)]
pub struct SshOptions {
    /// Who logs in.
    pub user: String,
    /// How.
    pub login: Login,
    /// The file that holds the hosts' keys.
    pub known_hosts: Option<PathBuf>,
    /// The one key that the host may show; with `known_hosts` too, both must agree.
    pub host_key: Option<Fingerprint>,
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

/// The keys as they are written, not yet held against one another.
#[derive(Debug)]
#[expect(missing_docs, reason = "they are named as in ew.toml")]
pub struct SshKeys {
    pub user: String,
    pub key_file: Option<PathBuf>,
    pub key_password: Option<SecretSource>,
    pub password: Option<SecretSource>,
    pub agent: bool,
    pub known_hosts: Option<PathBuf>,
    pub host_key: Option<Fingerprint>,
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

impl SshOptions {
    /// Exactly one log-in, and a host key to hold the host against. `far_side` is what any host could else pretend to be.
    pub fn new(keys: SshKeys, far_side: &str) -> Result<SshOptions, String> {
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
            return Err(format!(
                "known_hosts or host_key is missing: without it any host could be the {far_side}"
            ));
        }
        let SshKeys { user, known_hosts, host_key, .. } = keys;
        Ok(SshOptions { user, login, known_hosts, host_key })
    }

    /// Whether the files that are named can be read; no connection is made.
    pub fn check(&self, host: &str, port: u16, base: &Path) -> Result<(), NetError> {
        self.trust(host, port, base)?;
        match &self.login {
            Login::Key { file, .. } => read_key(&base.join(file)).map(|_| ()),
            Login::Password(_) | Login::Agent => Ok(()),
        }
    }

    /// Reads keys and secrets. Paths are relative to `base`; `timeout` is that of each step, and of silence later;
    /// `way_round` ends the hint for a host that shares no method with us: "update it, or …".
    pub fn access(
        &self,
        (host, port): (&str, u16),
        timeout: Span,
        base: &Path,
        resolve: &dyn Fn(&SecretSource) -> Result<Secret, String>,
        way_round: &'static str,
    ) -> Result<Access, NetError> {
        let resolve = |key: &str, source: &SecretSource| {
            resolve(source).map_err(|why| NetError::new(NetErrorKind::Config, format!("read {key}: {why}")))
        };
        let credential = match &self.login {
            Login::Key { file, password } => {
                let file = base.join(file);
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
            host: host.to_owned(),
            port,
            user: self.user.clone(),
            credential,
            trust: self.trust(host, port, base)?,
            timeout: wait(timeout),
            way_round,
        })
    }

    fn trust(&self, host: &str, port: u16, base: &Path) -> Result<Trust, NetError> {
        let known_hosts = match &self.known_hosts {
            Some(file) => Some(KnownHosts::read(&base.join(file), host, port)?),
            None => None,
        };
        Ok(Trust { known_hosts, pin: self.host_key.clone() })
    }
}

/// A wait that libssh2 can count: to it, zero milliseconds are no limit at all.
fn wait(timeout: Span) -> Duration {
    timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
}

fn read_key(file: &Path) -> Result<Secret, NetError> {
    let text = std::fs::read_to_string(file).map_err(|e| {
        NetError::new(NetErrorKind::Config, format!("read key_file {}: {}", file.display(), plain(&e)))
    })?;
    Ok(Secret::new(text))
}

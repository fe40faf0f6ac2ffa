//! A mail server, and what a connection to it needs.

use super::fault;
use super::session::{Access, Login};
use crate::error::{ErrorKind, Fault, plain};
use crate::{Context, HostName};
use ew_core::{Secret, SecretSource};
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A mail server.
#[derive(Debug, Clone, PartialEq)]
pub struct MailServer {
    /// Name or address.
    pub host: HostName,
    /// TCP port: 587 with STARTTLS, 465 with TLS, 25 with neither, unless given.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// Who logs in, where the server asks for it.
    pub login: Option<MailLogin>,
    /// Certificate authorities beside the system's.
    pub ca_file: Option<PathBuf>,
}

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Security {
    /// In the clear at first, then TLS or nothing.
    #[default]
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// In the clear.
    None,
}

/// Who logs in at a mail server.
#[derive(Debug, Clone, PartialEq)]
pub struct MailLogin {
    /// The name.
    pub user: String,
    /// The proof.
    pub password: SecretSource,
}

impl MailServer {
    /// Holds the keys against one another; the error says what does not go together.
    pub(super) fn new(
        host: HostName,
        port: Option<u16>,
        security: Security,
        login: (Option<String>, Option<SecretSource>),
        ca_file: Option<PathBuf>,
    ) -> Result<MailServer, String> {
        let port = port.unwrap_or(match security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        });
        if port == 0 {
            return Err("port = 0 is no port".into());
        }
        let login = match login {
            (None, None) => None,
            (Some(user), Some(password)) => Some(MailLogin { user, password }),
            (Some(_), None) => return Err("user goes with a password only".into()),
            (None, Some(_)) => return Err("password goes with a user only".into()),
        };
        if let Some(login) = &login {
            if login.user.is_empty() || login.user.chars().any(char::is_control) {
                return Err(format!("{:?} is not a user name", login.user));
            }
            if security == Security::None && !is_this_machine(&host) {
                return Err("with security = \"none\" the password would travel in the clear; \
                            only a host of this machine may be logged in to like that"
                    .into());
            }
        }
        if security == Security::None && ca_file.is_some() {
            return Err("ca_file is of no use with security = \"none\"".into());
        }
        Ok(MailServer { host, port, security, login, ca_file })
    }

    pub(super) fn authority(&self) -> String {
        match self.host.as_str() {
            address if address.contains(':') => format!("[{address}]:{}", self.port),
            name => format!("{name}:{}", self.port),
        }
    }

    pub(super) fn access(&self, context: &Context<'_>, timeout: Duration) -> Result<Access, Fault> {
        let login = match &self.login {
            Some(MailLogin { user, password }) => {
                let password: Secret = (context.resolve)(password)
                    .map_err(|why| Fault::new(ErrorKind::Config, format!("read password: {why}")))?;
                Some(Login { user: user.clone(), password })
            }
            None => None,
        };
        Ok(Access {
            host: self.host.as_str().to_owned(),
            port: self.port,
            security: self.security,
            tls: self.tls(context.base)?,
            login,
            timeout,
        })
    }

    pub(super) fn tls(&self, base: &Path) -> Result<Option<TlsParameters>, Fault> {
        if self.security == Security::None {
            return Ok(None);
        }
        let mut builder = TlsParameters::builder(self.host.as_str().to_owned());
        if let Some(file) = &self.ca_file {
            for certificate in certificates(&base.join(file))? {
                builder = builder.add_root_certificate(certificate);
            }
        }
        builder.build().map(Some).map_err(|e| fault::of("prepare TLS", &e))
    }
}

fn is_this_machine(host: &HostName) -> bool {
    let name = host.as_str();
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Every certificate of a PEM file; the TLS library itself would read the first one only.
fn certificates(file: &Path) -> Result<Vec<Certificate>, Fault> {
    const END: &str = "-----END CERTIFICATE-----";
    let bad = |why: &str| Fault::new(ErrorKind::Config, format!("read ca_file {}: {why}", file.display()));
    let text = std::fs::read_to_string(file).map_err(|e| bad(&plain(&e)))?;
    let certificates: Vec<Certificate> = text
        .split_inclusive(END)
        .filter(|pem| pem.ends_with(END))
        .map(|pem| Certificate::from_pem(pem.as_bytes()))
        .collect::<Result<_, _>>()
        .map_err(|_| bad("a certificate in it is damaged"))?;
    match certificates.is_empty() {
        true => Err(bad("no certificate in it").hint("it holds PEM text, as openssl x509 prints it")),
        false => Ok(certificates),
    }
}

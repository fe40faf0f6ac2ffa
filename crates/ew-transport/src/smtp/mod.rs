//! Mail: each file as an attachment, by SMTP (RFC 5321) under TLS or STARTTLS (RFC 3207).

mod address;
mod fault;
mod message;
mod session;

pub use address::MailAddress;

use crate::error::{ErrorKind, Fault, plain};
use crate::{
    Checked, Compression, Context, HostName, How, Look, Parcel, Probe, Receipt, Transport, TransportError,
    Transporter, file_path, part_name,
};
use ew_core::{NameTemplate, Secret, SecretSource, Span};
use lettre::transport::smtp::client::{Certificate, TlsParameters};
use message::Letter;
use serde::Deserialize;
use session::{Access, Login};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// `[export.transport.smtp]`.
///
/// Mail is at least once. Nobody can ask a mail server whether it has a message already, so a run that is
/// killed after the server took the mail and before the ledger knew sends it again: with the same
/// Message-ID and byte for byte the same, so that a receiver can drop the second one.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct SmtpOptions {
    /// Name or address.
    pub host: HostName,
    /// TCP port: 587 with STARTTLS, 465 with TLS, 25 with neither, unless given.
    pub port: u16,
    /// How the way there is protected.
    pub security: Security,
    /// Who logs in, where the server asks for it.
    pub login: Option<MailLogin>,
    /// Who it is from, in its header and for the server.
    pub from: MailAddress,
    /// Who gets it.
    pub to: Vec<MailAddress>,
    /// Who gets a copy.
    pub cc: Vec<MailAddress>,
    /// Its subject.
    pub subject: NameTemplate,
    /// Its text, beside the attachment.
    pub body: NameTemplate,
    /// The file is attached; else it is the text.
    pub as_attachment: bool,
    /// The largest mail that the server takes, as sent.
    pub max_bytes: Option<u64>,
    /// Certificate authorities beside the system's.
    pub ca_file: Option<PathBuf>,
    /// How the file is compressed.
    pub compress: Option<Compression>,
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: HostName,
    port: Option<u16>,
    #[serde(default)]
    security: Security,
    user: Option<String>,
    password: Option<SecretSource>,
    from: MailAddress,
    #[serde(default)]
    to: Vec<MailAddress>,
    #[serde(default)]
    cc: Vec<MailAddress>,
    #[serde(default = "default_subject")]
    subject: NameTemplate,
    body: Option<NameTemplate>,
    #[serde(default = "attached")]
    as_attachment: bool,
    max_bytes: Option<u64>,
    #[serde(default, deserialize_with = "file_path")]
    ca_file: Option<PathBuf>,
    compress: Option<Compression>,
}

const SUBJECT: &str = "{job} {start:%Y-%m-%d %H:%M%z}";
const BODY: &str = "{job}, {start:%Y-%m-%d %H:%M%z} to {end:%Y-%m-%d %H:%M%z}";

fn default_subject() -> NameTemplate {
    SUBJECT.parse().unwrap_or_default()
}

fn default_body() -> NameTemplate {
    BODY.parse().unwrap_or_default()
}

fn attached() -> bool {
    true
}

impl TryFrom<Keys> for SmtpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<SmtpOptions, String> {
        let port = keys.port.unwrap_or(match keys.security {
            Security::Starttls => 587,
            Security::Tls => 465,
            Security::None => 25,
        });
        if port == 0 {
            return Err("port = 0 is no port".into());
        }
        let login = match (keys.user, keys.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some(MailLogin { user, password }),
            (Some(_), None) => return Err("user goes with a password only".into()),
            (None, Some(_)) => return Err("password goes with a user only".into()),
        };
        if let Some(login) = &login {
            if login.user.is_empty() || login.user.chars().any(char::is_control) {
                return Err(format!("{:?} is not a user name", login.user));
            }
            if keys.security == Security::None && !is_this_machine(&keys.host) {
                return Err("with security = \"none\" the password would travel in the clear; \
                            only a host of this machine may be logged in to like that"
                    .into());
            }
        }
        if keys.security == Security::None && keys.ca_file.is_some() {
            return Err("ca_file is of no use with security = \"none\"".into());
        }
        check_recipients(keys.to.iter().chain(&keys.cc))?;
        if keys.max_bytes == Some(0) {
            return Err("max_bytes = 0 would let nothing through".into());
        }
        if !keys.as_attachment && keys.body.is_some() {
            return Err("body has no place where as_attachment = false makes the file the text".into());
        }
        if !keys.as_attachment && keys.compress.is_some() {
            return Err("a compressed file is no text; with compress leave as_attachment = true".into());
        }
        Ok(SmtpOptions {
            host: keys.host,
            port,
            security: keys.security,
            login,
            from: keys.from,
            to: keys.to,
            cc: keys.cc,
            subject: keys.subject,
            body: keys.body.unwrap_or_else(default_body),
            as_attachment: keys.as_attachment,
            max_bytes: keys.max_bytes,
            ca_file: keys.ca_file,
            compress: keys.compress,
        })
    }
}

fn is_this_machine(host: &HostName) -> bool {
    let name = host.as_str();
    name == "localhost" || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn check_recipients<'a>(recipients: impl Iterator<Item = &'a MailAddress>) -> Result<(), String> {
    let mut seen: Vec<&MailAddress> = Vec::new();
    for recipient in recipients {
        if seen.iter().any(|other| other.is(recipient.address())) {
            return Err(format!("the recipient {} stands twice", recipient.address()));
        }
        seen.push(recipient);
    }
    match seen.is_empty() {
        true => Err("a recipient is missing: to or cc needs at least one address".into()),
        false => Ok(()),
    }
}

impl Transport for SmtpOptions {
    fn destination(&self, _base: &Path) -> String {
        self.url()
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        self.tls(base).map(|_| ()).map_err(|fault| fault.at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(Mailer { options: self.clone(), destination: self.url(), access }))
    }

    fn probe(&self, context: &Context<'_>, _name: &str) -> Probe {
        let mut probe = Probe::default();
        let recipients: Vec<&MailAddress> = self.recipients().collect();
        let tried = self.access(context).and_then(|access| access.probe(&self.from, &recipients, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }

    fn look(&self, _context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        Ok(None)
    }

    fn takes_manifests(&self) -> bool {
        false
    }
}

impl SmtpOptions {
    fn recipients(&self) -> impl Iterator<Item = &MailAddress> {
        self.to.iter().chain(&self.cc)
    }

    /// The mailboxes, not the way there alone: two jobs that mail to different people over one server
    /// have different destinations. Their order is of no meaning.
    fn url(&self) -> String {
        let mut mailboxes: Vec<String> =
            self.recipients().map(|recipient| recipient.address().to_lowercase()).collect();
        mailboxes.sort_unstable();
        format!("smtp://{}/{}", self.authority(), mailboxes.join(","))
    }

    fn authority(&self) -> String {
        match self.host.as_str() {
            address if address.contains(':') => format!("[{address}]:{}", self.port),
            name => format!("{name}:{}", self.port),
        }
    }

    fn far_side(&self) -> String {
        format!("smtp {}", self.authority())
    }

    fn access(&self, context: &Context<'_>) -> Result<Access, Fault> {
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
            timeout: wait(context.timeout),
        })
    }

    fn tls(&self, base: &Path) -> Result<Option<TlsParameters>, Fault> {
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

/// A wait that a socket can count: to it, zero is no limit at all.
fn wait(timeout: Span) -> Duration {
    timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
}

/// The transporter. Each delivery has a connection of its own: a mail server hangs up on one that idles,
/// and over a kept one a mail takes longer (no TCP_NODELAY below us).
pub(crate) struct Mailer {
    options: SmtpOptions,
    destination: String,
    access: Access,
}

impl Transporter for Mailer {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        let failed = |fault: Fault| fault.at(&self.options.far_side(), Some(parcel.name));
        part_name(parcel.name).map_err(failed)?;
        let id = message::id(&self.options, &self.destination, parcel);
        let has_it =
            |recipient: &&MailAddress| parcel.reached.iter().any(|reached| recipient.is(reached.as_str()));
        let pending: Vec<&MailAddress> = self.options.recipients().filter(|r| !has_it(r)).collect();
        let how = match pending.is_empty() {
            true => How::Found,
            false => {
                let letter = Letter::compose(&self.options, &id, parcel).map_err(failed)?;
                let outcome =
                    self.access.send(&self.options.from, &pending, &letter, parcel.steps).map_err(failed)?;
                if let Some(fault) = outcome.fault(pending.len(), self.options.recipients().count()) {
                    return Err(failed(fault).with_reached(outcome.reached));
                }
                How::Sent
            }
        };
        Ok(Receipt {
            destination: self.destination.clone(),
            path: id,
            bytes: parcel.bytes,
            how,
            checked: Checked::Reply,
            recipients: self.options.recipients().map(|r| r.address().to_owned()).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<SmtpOptions, toml::de::Error> {
        toml::from_str(&format!("host = \"Mail.example.com\"\nfrom = \"EW <ew@example.com>\"\n{more}"))
    }

    #[test]
    fn ports_and_destinations() {
        let options = read("to = [\"B <b@Example.com>\"]\ncc = [\"a@example.com\"]").unwrap();
        assert_eq!(options.port, 587);
        assert_eq!(options.url(), "smtp://mail.example.com:587/a@example.com,b@example.com");
        let swapped = read("cc = [\"b@example.com\"]\nto = [\"a@example.com\"]").unwrap();
        assert_eq!(swapped.url(), options.url());
        let port = |more: &str| read(&format!("to = [\"a@example.com\"]\n{more}")).unwrap().port;
        assert_eq!(port("security = \"tls\""), 465);
        assert_eq!(port("security = \"none\""), 25);
        assert_eq!(port("security = \"tls\"\nport = 2465"), 2465);
    }

    #[test]
    fn what_does_not_go_together() {
        for good in [
            "user = \"u\"\npassword = \"p\"",
            "as_attachment = false",
            "body = \"x\"",
            "max_bytes = 1000000",
            "ca_file = \"ca.pem\"",
            "compress = \"zstd\"",
        ] {
            assert!(read(&format!("to = [\"a@example.com\"]\n{good}")).is_ok(), "{good}");
        }
        for bad in [
            "user = \"u\"",
            "password = \"p\"",
            "user = \"\"\npassword = \"p\"",
            "user = \"u\"\npassword = \"p\"\nsecurity = \"none\"",
            "ca_file = \"ca.pem\"\nsecurity = \"none\"",
            "as_attachment = false\nbody = \"x\"",
            "max_bytes = 0",
            "port = 0",
            "cc = [\"A@Example.com\"]",
            "subject = \"{jop}\"",
            "compress = \"bzip2\"",
            "compress = \"gzip\"\nas_attachment = false",
        ] {
            assert!(read(&format!("to = [\"a@example.com\"]\n{bad}")).is_err(), "{bad}");
        }
        for bad in ["", "to = []", "to = [\"a\"]", "to = \"a@example.com\""] {
            assert!(read(bad).is_err(), "{bad}");
        }
        // A password in the clear stays within the machine.
        for host in ["localhost", "127.0.0.1", "::1"] {
            let text = format!(
                "host = \"{host}\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]\nsecurity = \"none\"\n\
                 user = \"u\"\npassword = \"p\""
            );
            assert!(toml::from_str::<SmtpOptions>(&text).is_ok(), "{host}");
        }
    }
}

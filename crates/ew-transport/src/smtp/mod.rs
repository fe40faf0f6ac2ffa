//! Mail: each file as an attachment, by SMTP (RFC 5321) under TLS or STARTTLS (RFC 3207), or by the machine's own
//! `sendmail`.

mod address;
mod body;
mod fault;
mod message;
mod sendmail;
mod server;
mod session;

pub use address::MailAddress;
pub use body::{Body, BodyFormat};
pub use server::{MailLogin, MailServer, Security};

use crate::error::Fault;
use crate::{
    Ability, Can, Checked, Compression, Context, HostName, How, Look, Parcel, Probe, Receipt, Transport,
    TransportError, Transporter, file_path, part_name,
};
use ew_core::{NameTemplate, SecretSource, Span};
use message::Letter;
use sendmail::Sendmail;
use serde::Deserialize;
use session::{Access, Outcome};
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
    /// Who takes it from here.
    pub way: MailWay,
    /// Who it is from, in its header and for the server.
    pub from: MailAddress,
    /// Who gets it.
    pub to: Vec<MailAddress>,
    /// Who gets a copy.
    pub cc: Vec<MailAddress>,
    /// Its subject.
    pub subject: NameTemplate,
    /// Its text, beside the attachment.
    pub body: Body,
    /// The file is attached; else it is the text.
    pub as_attachment: bool,
    /// The largest mail that the server takes, as sent.
    pub max_bytes: Option<u64>,
    /// Files that are too large for that are cut into several.
    pub split: bool,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

/// Who takes a mail from here.
#[derive(Debug, Clone, PartialEq)]
pub enum MailWay {
    /// A mail server.
    Server(MailServer),
    /// A program of this machine with its first arguments.
    Sendmail(Vec<String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: Option<HostName>,
    sendmail: Option<Vec<String>>,
    port: Option<u16>,
    security: Option<Security>,
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
    #[serde(default)]
    body_format: BodyFormat,
    #[serde(default)]
    summary: bool,
    #[serde(default = "attached")]
    as_attachment: bool,
    max_bytes: Option<u64>,
    #[serde(default)]
    split: bool,
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

/// Base64 makes 78 bytes, with their line end, of so many.
const FILE_BYTES_PER_LINE: u64 = 57;
const LINE_BYTES: u64 = 78;
/// What a mail has beside its file, bytes: headers, boundaries, the words of the summary.
const HEADERS_BYTES: u64 = 4096;
/// What a byte of a text becomes at most, encoded for a header or a body; fields may be longer than their names.
const TEXT_GROWTH: u64 = 6;

impl TryFrom<Keys> for SmtpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<SmtpOptions, String> {
        let is_of_server = keys.port.is_some()
            || keys.security.is_some()
            || keys.user.is_some()
            || keys.password.is_some()
            || keys.ca_file.is_some();
        let way = match (keys.host, keys.sendmail) {
            (Some(host), None) => {
                let (security, login) = (keys.security.unwrap_or_default(), (keys.user, keys.password));
                MailWay::Server(MailServer::new(host, keys.port, security, login, keys.ca_file)?)
            }
            (None, Some(_)) if is_of_server => {
                return Err(
                    "port, security, user, password and ca_file go with a host; sendmail has them itself"
                        .into(),
                );
            }
            (None, Some(command)) => MailWay::Sendmail(checked(command)?),
            (None, None) => return Err("the key `host` is missing, or sendmail in its place".into()),
            (Some(_), Some(_)) => return Err("host and sendmail are two ways; leave one of them out".into()),
        };
        check_recipients(keys.to.iter().chain(&keys.cc))?;
        if keys.max_bytes == Some(0) {
            return Err("max_bytes = 0 would let nothing through".into());
        }
        if !keys.as_attachment
            && (keys.body.is_some() || keys.summary || keys.body_format != BodyFormat::Plain)
        {
            return Err("body, body_format and summary have no place where as_attachment = false makes the file the text".into());
        }
        if !keys.as_attachment && keys.compress.is_some() {
            return Err("a compressed file is no text; with compress leave as_attachment = true".into());
        }
        let body = Body {
            text: keys.body.unwrap_or_else(default_body),
            format: keys.body_format,
            summary: keys.summary,
        };
        let options = SmtpOptions {
            way,
            from: keys.from,
            to: keys.to,
            cc: keys.cc,
            subject: keys.subject,
            body,
            as_attachment: keys.as_attachment,
            max_bytes: keys.max_bytes,
            split: keys.split,
            compress: keys.compress,
        };
        match (options.split, options.max_bytes) {
            (true, None) => Err("split goes with max_bytes, which says how large a mail may be".into()),
            (true, Some(max)) if options.cut_above() == Some(0) => {
                Err(format!("max_bytes = {max} leaves no room for a file beside headers and text"))
            }
            _ => Ok(options),
        }
    }
}

/// A program and its first arguments.
fn checked(command: Vec<String>) -> Result<Vec<String>, String> {
    if command.first().is_none_or(String::is_empty) {
        return Err("sendmail names no program; write [\"/usr/sbin/sendmail\"]".into());
    }
    match command.iter().skip(1).any(|argument| argument == "-t") {
        true => Err("leave -t out of sendmail: each recipient is named to it in a call of its own".into()),
        false => Ok(command),
    }
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
        let usable = match &self.way {
            MailWay::Server(server) => server.tls(base).map(|_| ()),
            MailWay::Sendmail(command) => program(command, base).map(|_| ()),
        };
        usable.map_err(|fault| fault.at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let way = self.way(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(Mailer { options: self.clone(), destination: self.url(), way }))
    }

    fn probe(&self, context: &Context<'_>, _name: &str) -> Probe {
        let mut probe = Probe::default();
        let recipients: Vec<&MailAddress> = self.recipients().collect();
        let tried = self.way(context).and_then(|way| match way {
            Way::Server(access) => access.probe(&self.from, &recipients, &mut probe),
            Way::Sendmail(sendmail) => {
                let found = program(&sendmail.command, context.base);
                let (can, note) = match &found {
                    Ok(path) => (Can::Yes, format!("{}; no mail was tried", path.display())),
                    Err(fault) => (Can::No, fault.reason.clone()),
                };
                probe.add(Ability::Connect, can, Some(note));
                found.map(|_| ())
            }
        });
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }

    fn look(&self, _context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        Ok(None)
    }

    fn cut_above(&self) -> Option<u64> {
        let addresses = self.recipients().chain([&self.from]).map(|a| a.mailbox().to_string().len());
        let texts = [self.subject.as_str().len(), self.body.text.as_str().len()];
        let around = HEADERS_BYTES + TEXT_GROWTH * addresses.chain(texts).sum::<usize>() as u64;
        let max = self.max_bytes.filter(|_| self.split)?;
        Some(max.saturating_sub(around) / LINE_BYTES * FILE_BYTES_PER_LINE)
    }

    fn refuses_above(&self) -> Option<u64> {
        let max = self.max_bytes.filter(|_| self.split)?;
        Some((max / LINE_BYTES + 1) * FILE_BYTES_PER_LINE)
    }

    fn takes_manifests(&self) -> bool {
        false
    }
}

fn program(command: &[String], base: &Path) -> Result<PathBuf, Fault> {
    sendmail::find(command.first().map(String::as_str).unwrap_or_default(), base)
}

impl SmtpOptions {
    fn recipients(&self) -> impl Iterator<Item = &MailAddress> {
        self.to.iter().chain(&self.cc)
    }

    /// The mailboxes, not the way there alone: two jobs that mail to different people over one server
    /// have different destinations. Their order is of no meaning. A program of this machine is no place at all.
    fn url(&self) -> String {
        let mut mailboxes: Vec<String> =
            self.recipients().map(|recipient| recipient.address().to_lowercase()).collect();
        mailboxes.sort_unstable();
        let mailboxes = mailboxes.join(",");
        match &self.way {
            MailWay::Server(server) => format!("smtp://{}/{mailboxes}", server.authority()),
            MailWay::Sendmail(_) => format!("mailto:{mailboxes}"),
        }
    }

    fn far_side(&self) -> String {
        match &self.way {
            MailWay::Server(server) => format!("smtp {}", server.authority()),
            MailWay::Sendmail(command) => command.first().cloned().unwrap_or_default(),
        }
    }

    fn way(&self, context: &Context<'_>) -> Result<Way, Fault> {
        let timeout = wait(context.timeout);
        Ok(match &self.way {
            MailWay::Server(server) => Way::Server(server.access(context, timeout)?),
            MailWay::Sendmail(command) => {
                // Also where the configuration was named by a relative path.
                let folder = std::path::absolute(context.base).unwrap_or_else(|_| context.base.to_owned());
                Way::Sendmail(Sendmail { command: command.clone(), folder, timeout })
            }
        })
    }
}

/// A wait that a socket can count: to it, zero is no limit at all.
fn wait(timeout: Span) -> Duration {
    timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
}

/// Who takes a mail from here, ready to be spoken to.
enum Way {
    Server(Access),
    Sendmail(Sendmail),
}

impl Way {
    fn send(
        &self,
        options: &SmtpOptions,
        recipients: &[&MailAddress],
        letter: &Letter,
        parcel: &Parcel<'_>,
    ) -> Result<Outcome, Fault> {
        match self {
            Way::Server(access) => access.send(&options.from, recipients, letter, parcel.steps),
            Way::Sendmail(sendmail) => sendmail.send(&options.from, recipients, letter, parcel.steps),
        }
    }
}

/// The transporter. Each delivery has a connection of its own: a mail server hangs up on one that idles,
/// and over a kept one a mail takes longer (no TCP_NODELAY below us).
pub(crate) struct Mailer {
    options: SmtpOptions,
    destination: String,
    way: Way,
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
                let outcome = self.way.send(&self.options, &pending, &letter, parcel).map_err(failed)?;
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
        let port_of = |options: &SmtpOptions| match &options.way {
            MailWay::Server(server) => server.port,
            MailWay::Sendmail(_) => 0,
        };
        assert_eq!(port_of(&options), 587);
        assert_eq!(options.url(), "smtp://mail.example.com:587/a@example.com,b@example.com");
        let swapped = read("cc = [\"b@example.com\"]\nto = [\"a@example.com\"]").unwrap();
        assert_eq!(swapped.url(), options.url());
        let port = |more: &str| port_of(&read(&format!("to = [\"a@example.com\"]\n{more}")).unwrap());
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
            "body_format = \"html\"\nsummary = true",
            "split = true\nmax_bytes = 20000",
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
            "as_attachment = false\nsummary = true",
            "as_attachment = false\nbody_format = \"html\"",
            "max_bytes = 0",
            "split = true",
            "split = true\nmax_bytes = 4000",
            "sendmail = [\"sendmail\"]",
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

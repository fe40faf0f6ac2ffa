//! The dialogue with the server: log in, who it is for, the mail, and what came of it for each recipient.

use super::message::Letter;
use super::{MailAddress, Security, fault};
use crate::error::{ErrorKind, Fault};
use crate::{Ability, Can, Probe, Steps, net};
use ew_core::Secret;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS, Mechanism};
use lettre::transport::smtp::client::{SmtpConnection, TlsParameters};
use lettre::transport::smtp::commands::{Auth, Data, Mail, Rcpt, Rset};
use lettre::transport::smtp::extension::ClientId;
use lettre::transport::smtp::response::Response;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Everything that a connection needs.
pub(crate) struct Access {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) tls: Option<TlsParameters>,
    pub(crate) login: Option<Login>,
    pub(crate) timeout: Duration,
}

/// Who logs in, with the password in the clear.
pub(crate) struct Login {
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// What came of a mail, recipient by recipient.
pub(crate) struct Outcome {
    /// The server has taken it for them.
    pub(crate) reached: Vec<String>,
    /// The server took it for the others only.
    pub(crate) refused: Vec<(String, Fault)>,
}

/// How long the good-bye may take. The mail is delivered; every moment until the ledger knows is one in
/// which a killed run would send it again.
const GOOD_BYE: Duration = Duration::from_secs(1);

impl Access {
    /// Sends one mail for these recipients.
    ///
    /// One transaction for all of them: MAIL, a RCPT each with a reply of its own, and the mail once for
    /// those that were accepted. With a transaction per recipient the mail would travel once for each, and
    /// a connection lost between two of them would leave more in doubt. The final reply speaks for all the
    /// accepted ones; none of them is in a second transaction. Who it is for is said in the envelope alone,
    /// so To and Cc show everyone even when a single recipient is left over.
    pub(crate) fn send(
        &self,
        from: &MailAddress,
        recipients: &[&MailAddress],
        letter: &Letter,
        steps: Steps<'_>,
    ) -> Result<Outcome, Fault> {
        let mut link = self.connect().map_err(Fault::of_receiver)?;
        steps.done("connected");
        let sent = transact(&mut link, from, recipients, letter);
        steps.done("sent");
        // Said also after a refusal; a connection that broke has no use for it.
        if !matches!(&sent, Err(fault) if fault.kind == ErrorKind::Unreachable)
            && link.set_timeout(Some(GOOD_BYE)).is_ok()
        {
            let _ = link.quit();
        }
        sent
    }

    /// Says who a mail would be from and for, and sends none.
    pub(crate) fn probe(
        &self,
        from: &MailAddress,
        recipients: &[&MailAddress],
        probe: &mut Probe,
    ) -> Result<(), Fault> {
        let mut link = self.connect_noting(probe)?;
        let operation = format!("MAIL FROM {}", from.address());
        let sender = link.command(Mail::new(Some(from.mailbox().email.clone()), Vec::new()));
        let sender = sender.map_err(|e| fault::of(&operation, &e));
        probe.needs(Ability::Sender, sender.and_then(|said| expect(&operation, &said, &[250])))?;
        let mut outcome = Outcome { reached: Vec::new(), refused: Vec::new() };
        for recipient in recipients {
            let address = recipient.address();
            let said = link.command(Rcpt::new(recipient.mailbox().email.clone(), Vec::new()));
            match said.map_err(|e| fault::of(address, &e)) {
                Ok(_) => {
                    probe.add(Ability::Recipient, Can::Yes, Some(address.to_owned()));
                    outcome.reached.push(address.to_owned());
                }
                Err(fault) => {
                    probe.add(Ability::Recipient, Can::No, Some(fault.reason.clone()));
                    if fault.kind == ErrorKind::Unreachable {
                        return Err(fault);
                    }
                    outcome.refused.push((address.to_owned(), fault));
                }
            }
        }
        // No mail: the server forgets what was said, and a good-bye that is not heard harms nobody.
        let _ = link.command(Rset);
        if link.set_timeout(Some(GOOD_BYE)).is_ok() {
            let _ = link.quit();
        }
        let Outcome { reached, refused } = outcome;
        match refused.into_iter().next() {
            None => Ok(()),
            Some((_, first)) => {
                let others = format!(" ({} of {} recipients are taken)", reached.len(), recipients.len());
                Err(Fault { reason: first.reason + &others, ..first }
                    .hint("correct it in to or cc, or ask the server's owner whether this machine may send"))
            }
        }
    }

    /// The first address of the host that answers, protected and logged in.
    fn connect(&self) -> Result<SmtpConnection, Fault> {
        self.connect_noting(&mut Probe::default())
    }

    /// The same with each step noted.
    fn connect_noting(&self, probe: &mut Probe) -> Result<SmtpConnection, Fault> {
        let mut link = probe.needs(Ability::Connect, self.reach())?;
        if self.tls.is_some() {
            probe.needs(Ability::Tls, self.protect(&mut link))?;
        }
        if self.login.is_some() {
            probe.needs(Ability::LogIn, self.log_in(&mut link))?;
        }
        Ok(link)
    }

    /// The first address of the host that answers.
    fn reach(&self) -> Result<SmtpConnection, Fault> {
        let mut last = Fault::new(ErrorKind::Unreachable, format!("{} has no address", self.host));
        for address in net::addresses(&self.host, self.port, self.timeout)? {
            match self.greet(address) {
                Err(fault) if fault.kind == ErrorKind::Unreachable => last = fault,
                done => return done,
            }
        }
        Err(last)
    }

    /// TCP, TLS where it is first, greeting and EHLO. lettre gives the TLS handshake no deadline, so all of
    /// it is left behind at ours: once for the connection, once for what follows.
    fn greet(&self, address: SocketAddr) -> Result<SmtpConnection, Fault> {
        let (sender, receiver) = mpsc::channel();
        let tls = self.tls.clone().filter(|_| self.security == Security::Tls);
        let timeout = self.timeout;
        thread::spawn(move || {
            let hello = ClientId::default();
            // The other end may have gone.
            let _ = sender.send(SmtpConnection::connect(address, Some(timeout), &hello, tls.as_ref(), None));
        });
        let operation = format!("connect to {address}");
        match receiver.recv_timeout(timeout * 2) {
            Ok(answer) => answer.map_err(|e| fault::of(&operation, &e)),
            Err(_) => Err(net::silent(&operation)),
        }
    }

    fn protect(&self, link: &mut SmtpConnection) -> Result<(), Fault> {
        let Some(tls) = self.tls.as_ref().filter(|_| self.security == Security::Starttls) else {
            return Ok(());
        };
        if !link.can_starttls() {
            return Err(Fault::new(ErrorKind::Protocol, "STARTTLS: the server does not offer it").hint(
                "nothing was sent; security = \"tls\" is for port 465, \"none\" only for a network you trust",
            ));
        }
        link.starttls(tls, &ClientId::default()).map_err(|e| fault::of("STARTTLS", &e))
    }

    fn log_in(&self, link: &mut SmtpConnection) -> Result<(), Fault> {
        let Some(Login { user, password }) = &self.login else { return Ok(()) };
        let operation = format!("log in as {user}");
        let info = link.server_info();
        if info.get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            let reason = format!("{operation}: the server offers neither PLAIN nor LOGIN");
            return Err(Fault::new(ErrorKind::Protocol, reason)
                .hint("leave user and password out if it lets this machine send without them"));
        }
        let credentials = Credentials::new(user.clone(), password.expose().to_owned());
        match link.auth(DEFAULT_MECHANISMS, &credentials) {
            Ok(response) => expect(&operation, &response, &[235]),
            Err(e) => {
                let mut fault = fault::of(&operation, &e);
                // Some servers repeat what they did not like.
                for secret in shown_forms(&credentials, password.expose()) {
                    fault.reason = fault.reason.replace(&secret, "…");
                }
                Err(match fault.kind {
                    ErrorKind::Refused => fault.hint("are user and password right, and may they send mail?"),
                    _ => fault,
                })
            }
        }
    }
}

/// The password as it could come back in a reply: in the clear, and as PLAIN and LOGIN send it.
fn shown_forms(credentials: &Credentials, password: &str) -> Vec<String> {
    let plain = Auth::new(Mechanism::Plain, credentials.clone(), None).ok();
    let asked: Option<Response> = "334 UGFzc3dvcmQ6\r\n".parse().ok();
    let login =
        asked.and_then(|asked| Auth::new_from_response(Mechanism::Login, credentials.clone(), &asked).ok());
    let encoded = plain.into_iter().chain(login).map(|command| command.to_string());
    let encoded = encoded.filter_map(|command| command.split_whitespace().last().map(str::to_owned));
    encoded.chain([password.to_owned()]).filter(|form| !form.is_empty()).collect()
}

fn transact(
    link: &mut SmtpConnection,
    from: &MailAddress,
    recipients: &[&MailAddress],
    letter: &Letter,
) -> Result<Outcome, Fault> {
    let operation = format!("MAIL FROM {}", from.address());
    let accepted = link
        .command(Mail::new(Some(from.mailbox().email.clone()), Vec::new()))
        .map_err(|e| fault::of(&operation, &e))?;
    expect(&operation, &accepted, &[250])?;
    let mut outcome = Outcome { reached: Vec::new(), refused: Vec::new() };
    for recipient in recipients {
        let address = recipient.address();
        match link.command(Rcpt::new(recipient.mailbox().email.clone(), Vec::new())) {
            Ok(accepted) => {
                expect(&format!("RCPT TO {address}"), &accepted, &[250, 251])?;
                outcome.reached.push(address.to_owned());
            }
            // 421 is the server's good-bye: it speaks for all.
            Err(e) if is_answer(&e) => outcome.refused.push((address.to_owned(), fault::of(address, &e))),
            Err(e) => return Err(fault::of(&format!("RCPT TO {address}"), &e)),
        }
    }
    if outcome.reached.is_empty() {
        return Ok(outcome);
    }
    let begin = link.command(Data).map_err(|e| fault::of("DATA", &e))?;
    expect("DATA", &begin, &[354])?;
    match link.message(&letter.bytes) {
        Ok(taken) => expect("the end of DATA", &taken, &[250]).map(|()| outcome),
        Err(e) => {
            let fault = fault::of("the end of DATA", &e);
            Err(match fault.kind {
                ErrorKind::Refused => fault.hint(format!(
                    "the mail has {} bytes; if that is too many, set breakup_on_period = true or a shorter \
                     period, or send by another transport, such as sftp",
                    letter.bytes.len()
                )),
                _ => fault,
            })
        }
    }
}

/// The very reply that the step has. Any other good one means that replies and commands have come apart, as
/// when someone on the way put a reply of his own before the TLS handshake, where lettre keeps what it has
/// read already: the mail would count as delivered one reply too early.
fn expect(operation: &str, response: &Response, codes: &[u16]) -> Result<(), Fault> {
    let code = u16::from(response.code());
    match codes.contains(&code) {
        true => Ok(()),
        false => Err(Fault::new(ErrorKind::Protocol, format!("{operation}: the server says {code} here"))),
    }
}

fn is_answer(error: &Error) -> bool {
    error.status().is_some_and(|code| u16::from(code) != 421)
}

impl Outcome {
    /// What is wrong, where not everyone was reached. As long as one of the others may be reached on a
    /// later try, trying again makes sense.
    pub(crate) fn fault(&self, tried: usize, all: usize) -> Option<Fault> {
        let (_, first) = self.refused.first()?;
        let passing =
            self.refused.iter().map(|(_, fault)| fault).find(|fault| fault.kind != ErrorKind::Refused);
        let kind = passing.unwrap_or(first).kind;
        let reasons: Vec<&str> = self.refused.iter().map(|(_, fault)| fault.reason.as_str()).collect();
        let have_it = all - tried + self.reached.len();
        let others = match have_it {
            0 => String::new(),
            count => format!(" ({count} of {all} recipients have it)"),
        };
        let fault = Fault::new(kind, format!("{}{others}", reasons.join("; ")));
        let addresses: Vec<&str> = self.refused.iter().map(|(address, _)| address.as_str()).collect();
        Some(match (kind, have_it) {
            (ErrorKind::Refused, 0) => fault.hint(
                "correct the addresses in to and cc, or ask the server's owner whether this machine may send",
            ),
            (_, 0) => fault,
            _ => fault.hint(format!(
                "who has it gets nothing twice: the next try is for {} alone; if an address is wrong, correct \
                 it in to or cc",
                addresses.join(" and ")
            )),
        })
    }
}

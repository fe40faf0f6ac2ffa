//! A connection: TCP, the host's key, the log-in, the SFTP subsystem.

use super::Fingerprint;
use super::fault::{fault, is_kex_failure, is_no};
use super::known_hosts::{KnownHosts, PublicKey, Verdict};
use super::probe;
use crate::error::{ErrorKind, Fault};
use crate::net::{self, lost};
use ew_core::Secret;
use ssh2::{KeyboardInteractivePrompt, MethodType, Prompt, Session};
use std::cell::Cell;
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a connection needs.
pub(crate) struct Access {
    pub(crate) far_side: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) credential: Credential,
    pub(crate) trust: Trust,
    pub(crate) timeout: Duration,
}

/// The proof of who logs in.
pub(crate) enum Credential {
    Key { file: PathBuf, text: Secret, password: Option<Secret> },
    Password(Secret),
    Agent,
}

/// Which host keys are right; at least one of the two is there, and both must agree.
pub(crate) struct Trust {
    pub(crate) known_hosts: Option<KnownHosts>,
    pub(crate) pin: Option<Fingerprint>,
}

/// A connection that is logged in.
pub(crate) struct Link {
    // Dropped first: it says good-bye over the session.
    pub(crate) sftp: ssh2::Sftp,
    /// Whether fsync@openssh.com is worth asking for; it was not yet refused.
    pub(crate) can_sync: Cell<bool>,
    /// The same of renaming.
    pub(crate) can_rename: Cell<bool>,
    session: Session,
    stream: TcpStream,
}

impl Link {
    /// Whether the connection has ended.
    pub(crate) fn is_dead(&self) -> bool {
        is_dead(&self.stream)
    }

    /// Ends the connection without waiting for the far side.
    pub(crate) fn stop(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        // A far side that has gone silent does not hold up the good-bye for long.
        self.session.set_timeout(1000);
    }
}

/// A socket without blocking, as libssh2 makes it: nothing to read is an error, the end is zero bytes.
fn is_dead(stream: &TcpStream) -> bool {
    match stream.peek(&mut [0]) {
        Ok(count) => count == 0,
        Err(e) => !matches!(e.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted),
    }
}

/// A kind of host key.
struct Family {
    /// Its names in a known_hosts file.
    names: &'static [&'static str],
    /// Its names in a key exchange (RFC 8709, 5656, 8332).
    wanted: &'static str,
}

/// Best first.
const FAMILIES: [Family; 5] = [
    Family { names: &["ssh-ed25519"], wanted: "ssh-ed25519" },
    Family { names: &["ecdsa-sha2-nistp256"], wanted: "ecdsa-sha2-nistp256" },
    Family { names: &["ecdsa-sha2-nistp384"], wanted: "ecdsa-sha2-nistp384" },
    Family { names: &["ecdsa-sha2-nistp521"], wanted: "ecdsa-sha2-nistp521" },
    Family { names: &["ssh-rsa", "rsa-sha2-256", "rsa-sha2-512"], wanted: "rsa-sha2-512,rsa-sha2-256" },
];

impl Access {
    /// Connects, holds the host's key against what is trusted, and only then logs in.
    pub(crate) fn connect(&self) -> Result<Link, Fault> {
        self.enter(self.trusted_session()?)
    }

    /// Logs in and starts SFTP.
    pub(crate) fn enter(&self, (session, stream): (Session, TcpStream)) -> Result<Link, Fault> {
        self.log_in(&session, &stream)?;
        let sftp = session.sftp().map_err(|e| {
            let dead = is_dead(&stream);
            let fault = fault("start sftp", &e, dead);
            match fault.kind {
                ErrorKind::Protocol => fault.hint("the server lets this user log in but may offer no sftp"),
                _ => fault,
            }
        })?;
        let (can_sync, can_rename) = (Cell::new(true), Cell::new(true));
        Ok(Link { sftp, can_sync, can_rename, session, stream })
    }

    /// A session with a host whose key is right.
    pub(crate) fn trusted_session(&self) -> Result<(Session, TcpStream), Fault> {
        let Some(known_hosts) = &self.trust.known_hosts else { return self.pinned_session() };
        // The host has several keys. Ask first for the kinds that the file holds, or the right host
        // would seem to be another.
        let is_held = |family: &&Family| known_hosts.algorithms().any(|name| family.names.contains(&name));
        let held = FAMILIES.iter().filter(is_held);
        let rest = FAMILIES.iter().filter(|family| !is_held(family));
        let wanted: Vec<&str> = held.chain(rest).map(|family| family.wanted).collect();
        let (session, stream) = self.handshake(&wanted.join(","))?;
        self.judge(&shown_key(&session)?)?;
        Ok((session, stream))
    }

    /// The same with a fingerprint alone, which does not tell the kind of its key: the kinds are asked
    /// for one by one.
    fn pinned_session(&self) -> Result<(Session, TcpStream), Fault> {
        let mut refusal: Option<Fault> = None;
        for family in FAMILIES {
            let fault = match self.handshake(family.wanted) {
                Ok((session, stream)) => match self.judge(&shown_key(&session)?) {
                    Ok(()) => return Ok((session, stream)),
                    Err(fault) => fault,
                },
                // The host has no key of this kind.
                Err(fault) if fault.kind == ErrorKind::Protocol => fault,
                Err(fault) => return Err(fault),
            };
            if refusal.as_ref().is_none_or(|earlier| earlier.kind != ErrorKind::Refused) {
                refusal = Some(fault);
            }
        }
        Err(refusal.unwrap_or_else(no_key))
    }

    /// TCP and the key exchange, with these kinds of host key.
    fn handshake(&self, host_keys: &str) -> Result<(Session, TcpStream), Fault> {
        let stream = self.dial()?;
        let failed = |e: ssh2::Error| fault("handshake", &e, is_dead(&stream));
        let mut session = Session::new().map_err(failed)?;
        session.set_timeout(u32::try_from(self.timeout.as_millis()).unwrap_or(u32::MAX));
        session.method_pref(MethodType::HostKey, host_keys).map_err(failed)?;
        let own = stream.try_clone().map_err(|e| lost("connect", &e))?;
        session.set_tcp_stream(own);
        match session.handshake() {
            Ok(()) => Ok((session, stream)),
            Err(e) if is_kex_failure(&e) => Err(self.disagreement(&session, host_keys)),
            Err(e) => Err(failed(e)),
        }
    }

    /// Why no key exchange came about: nothing in common, or the connection was lost.
    fn disagreement(&self, session: &Session, host_keys: &str) -> Fault {
        let lists = match self.dial().map(|stream| probe::offer(stream, self.timeout)) {
            Ok(Ok(lists)) => lists,
            Ok(Err(e)) => return lost("handshake", &e),
            Err(fault) => return fault,
        };
        let ours = [
            session.supported_algs(MethodType::Kex).unwrap_or_default(),
            host_keys.split(',').collect(),
            session.supported_algs(MethodType::CryptCs).unwrap_or_default(),
            session.supported_algs(MethodType::CryptSc).unwrap_or_default(),
        ];
        for ((kind, theirs), ours) in probe::LISTS.iter().zip(&lists).zip(&ours) {
            if !theirs.iter().any(|name| ours.contains(&name.as_str())) {
                let reason =
                    format!("handshake: no {kind} in common; the server offers {}", theirs.join(","));
                return Fault::new(ErrorKind::Protocol, reason).hint(
                    "a server that knows only SHA-1 (ssh-rsa, diffie-hellman-group14-sha1) is too old for \
                     this program: update it, or send through the system's sftp by a command",
                );
            }
        }
        Fault::new(ErrorKind::Unreachable, "handshake: the connection was lost")
    }

    /// The first address of the host that answers.
    fn dial(&self) -> Result<TcpStream, Fault> {
        let mut last = Fault::new(ErrorKind::Unreachable, format!("{} has no address", self.host));
        for address in net::addresses(&self.host, self.port, self.timeout)? {
            match TcpStream::connect_timeout(&address, self.timeout) {
                Ok(stream) => {
                    stream.set_nodelay(true).map_err(|e| lost("connect", &e))?;
                    // is_dead() must never wait, not even before libssh2 has the socket.
                    stream.set_nonblocking(true).map_err(|e| lost("connect", &e))?;
                    return Ok(stream);
                }
                Err(e) => last = lost(&format!("connect to {address}"), &e),
            }
        }
        Err(last)
    }

    /// Whether this is the host's key. Nothing has been sent yet that an impostor could use.
    fn judge(&self, key: &PublicKey) -> Result<(), Fault> {
        let shows = format!("{} {}", key.algorithm, key.fingerprint);
        let line = key.line(&self.host, self.port);
        if let Some(pin) = &self.trust.pin
            && pin.as_str() != key.fingerprint
        {
            let reason = format!("the host shows {shows}, host_key says {}", pin.as_str());
            let hint = format!(
                "if its owner confirms the new key: host_key = \"{}\"; for known_hosts: {line}",
                key.fingerprint
            );
            return Err(Fault::new(ErrorKind::Refused, reason).hint(hint));
        }
        let Some(known_hosts) = &self.trust.known_hosts else { return Ok(()) };
        let file = known_hosts.path.display();
        match known_hosts.verdict(key) {
            Verdict::Match => Ok(()),
            Verdict::Unknown => Err(Fault::new(
                ErrorKind::Refused,
                format!("unknown host key {shows}; {file} has none of this host"),
            )
            .hint(format!("if its owner confirms the key, add this line to {file}: {line}"))),
            Verdict::Changed(held) => Err(Fault::new(
                ErrorKind::Refused,
                format!("changed host key {shows}; line {} of {file} holds another", held.line),
            )
            .hint(format!(
                "someone may be in between; if its owner confirms the new key, replace the line by: {line}"
            ))),
            Verdict::Revoked(held) => Err(Fault::new(
                ErrorKind::Refused,
                format!("revoked host key {shows}, by line {} of {file}", held.line),
            )),
        }
    }

    fn log_in(&self, session: &Session, stream: &TcpStream) -> Result<(), Fault> {
        let operation = format!("log in as {}", self.user);
        match &self.credential {
            Credential::Key { file, text, password } => {
                let password = password.as_ref().map(Secret::expose);
                session.userauth_pubkey_memory(&self.user, None, text.expose(), password).map_err(|e| {
                    if e.code() == ssh2::ErrorCode::Session(LIBSSH2_ERROR_FILE) {
                        return Fault::new(
                            ErrorKind::Config,
                            format!("read key_file {}: no usable private key", file.display()),
                        )
                        .hint(match password {
                            Some(_) => "key_password may be wrong, or the file is no private key",
                            None => "is it encrypted? then give its key_password",
                        });
                    }
                    self.refused(
                        &operation,
                        &e,
                        stream,
                        "is the public key among the user's authorized keys there?",
                    )
                })
            }
            Credential::Password(password) => self.by_password(session, &operation, password, stream),
            Credential::Agent => self.by_agent(session, &operation, stream),
        }
    }

    fn by_password(
        &self,
        session: &Session,
        operation: &str,
        password: &Secret,
        stream: &TcpStream,
    ) -> Result<(), Fault> {
        let hint = "is the password right, and does the server take passwords?";
        let methods = session.auth_methods(&self.user).unwrap_or_default().to_owned();
        if session.authenticated() {
            return Ok(());
        }
        let is_asked = !methods.split(',').any(|method| method == "password")
            && methods.split(',').any(|method| method == "keyboard-interactive");
        let done = match is_asked {
            true => session.userauth_keyboard_interactive(&self.user, &mut Answer(password)),
            false => session.userauth_password(&self.user, password.expose()),
        };
        done.map_err(|e| self.refused(operation, &e, stream, hint))
    }

    fn by_agent(&self, session: &Session, operation: &str, stream: &TcpStream) -> Result<(), Fault> {
        let no_agent = |e: ssh2::Error| {
            Fault::new(ErrorKind::Config, format!("ask the ssh agent: {}", e.message()))
                .hint("is SSH_AUTH_SOCK set, and does the agent run for this user?")
        };
        let mut agent = session.agent().map_err(no_agent)?;
        agent.connect().map_err(no_agent)?;
        agent.list_identities().map_err(no_agent)?;
        let mut last = Fault::new(ErrorKind::Refused, format!("{operation}: the ssh agent holds no key"));
        for identity in agent.identities().map_err(no_agent)? {
            match agent.userauth(&self.user, &identity) {
                Ok(()) => return Ok(()),
                Err(e) => last = self.refused(operation, &e, stream, "none of the agent's keys is let in"),
            }
            if last.kind != ErrorKind::Refused {
                break;
            }
        }
        Err(last)
    }

    /// A log-in that failed: a no of the far side, or a connection that was lost meanwhile.
    fn refused(&self, operation: &str, error: &ssh2::Error, stream: &TcpStream, hint: &str) -> Fault {
        match is_no(error) {
            true => Fault::new(ErrorKind::Refused, format!("{operation}: the server refuses")).hint(hint),
            false => fault(operation, error, is_dead(stream))
                .hint("some servers hang up in place of a no, after too many wrong log-ins for instance"),
        }
    }
}

/// A private key that libssh2 cannot make out.
const LIBSSH2_ERROR_FILE: i32 = -16;

fn no_key() -> Fault {
    Fault::new(ErrorKind::Protocol, "handshake: the host shows no key")
}

fn shown_key(session: &Session) -> Result<PublicKey, Fault> {
    session.host_key().map(|(blob, _)| PublicKey::new(blob)).ok_or_else(no_key)
}

/// Answers every question of the server with the password.
struct Answer<'a>(&'a Secret);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.expose().to_owned()).collect()
    }
}

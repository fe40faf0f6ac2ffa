//! A connection: TCP, the host's key, the log-in.

use super::Fingerprint;
use super::fault::{fault, is_kex_failure, is_no};
use super::known_hosts::{KnownHosts, PublicKey, Verdict};
use super::offer;
use crate::{NetError, NetErrorKind, addresses, lost};
use ew_core::Secret;
use ssh2::{KeyboardInteractivePrompt, MethodType, Prompt, Session};
use std::io;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::time::Duration;

/// Everything that a connection needs.
#[derive(Debug)]
pub struct Access {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) user: String,
    pub(super) credential: Credential,
    pub(super) trust: Trust,
    pub(super) timeout: Duration,
    /// What else could be done where both sides share no method, as the end of a hint.
    pub(super) way_round: &'static str,
}

/// The proof of who logs in.
#[derive(Debug)]
pub(super) enum Credential {
    Key { file: PathBuf, text: Secret, password: Option<Secret> },
    Password(Secret),
    Agent,
}

/// Which host keys are right; at least one of the two is there, and both must agree.
#[derive(Debug)]
pub(super) struct Trust {
    pub(super) known_hosts: Option<KnownHosts>,
    pub(super) pin: Option<Fingerprint>,
}

/// A connection to a host whose key is right, logged in or about to be.
pub struct Connection {
    session: Session,
    stream: TcpStream,
}

impl Connection {
    /// The session, for channels and subsystems.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// Whether the connection has ended.
    pub fn is_dead(&self) -> bool {
        is_dead(&self.stream)
    }

    /// Ends the connection without waiting for the far side.
    pub fn stop(&self) {
        let _ = self.stream.shutdown(Shutdown::Both);
    }

    /// A far side that has gone silent does not hold up the good-bye for long: to be called before what uses the
    /// session is dropped.
    pub fn hurry(&self) {
        self.session.set_timeout(1000);
    }

    /// What an operation failed of.
    pub fn failure(&self, operation: &str, error: &ssh2::Error) -> NetError {
        fault(operation, error, self.is_dead())
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("stream", &self.stream).finish_non_exhaustive()
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
    /// What is never to be shown of it, whatever the far side says.
    pub fn secret(&self) -> Option<&Secret> {
        match &self.credential {
            Credential::Key { password, .. } => password.as_ref(),
            Credential::Password(password) => Some(password),
            Credential::Agent => None,
        }
    }

    /// Connects, holds the host's key against what is trusted, and only then logs in.
    pub fn connect(&self) -> Result<Connection, NetError> {
        let connection = self.meet()?;
        self.log_in(&connection)?;
        Ok(connection)
    }

    /// A connection to a host whose key is right; nobody has logged in yet.
    pub fn meet(&self) -> Result<Connection, NetError> {
        let (session, stream) = self.trusted_session()?;
        Ok(Connection { session, stream })
    }

    /// A session with a host whose key is right.
    fn trusted_session(&self) -> Result<(Session, TcpStream), NetError> {
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
    fn pinned_session(&self) -> Result<(Session, TcpStream), NetError> {
        let mut refusal: Option<NetError> = None;
        for family in FAMILIES {
            let fault = match self.handshake(family.wanted) {
                Ok((session, stream)) => match self.judge(&shown_key(&session)?) {
                    Ok(()) => return Ok((session, stream)),
                    Err(fault) => fault,
                },
                // The host has no key of this kind.
                Err(fault) if fault.kind == NetErrorKind::Protocol => fault,
                Err(fault) => return Err(fault),
            };
            if refusal.as_ref().is_none_or(|earlier| earlier.kind != NetErrorKind::Refused) {
                refusal = Some(fault);
            }
        }
        Err(refusal.unwrap_or_else(no_key))
    }

    /// TCP and the key exchange, with these kinds of host key.
    fn handshake(&self, host_keys: &str) -> Result<(Session, TcpStream), NetError> {
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
    fn disagreement(&self, session: &Session, host_keys: &str) -> NetError {
        let lists = match self.dial().map(|stream| offer::offer(stream, self.timeout)) {
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
        for ((kind, theirs), ours) in offer::LISTS.iter().zip(&lists).zip(&ours) {
            if !theirs.iter().any(|name| ours.contains(&name.as_str())) {
                let reason =
                    format!("handshake: no {kind} in common; the server offers {}", theirs.join(","));
                return NetError::new(NetErrorKind::Protocol, reason).hint(format!(
                    "a server that knows only SHA-1 (ssh-rsa, diffie-hellman-group14-sha1) is too old for \
                     this program: update it, or {}",
                    self.way_round
                ));
            }
        }
        NetError::new(NetErrorKind::Unreachable, "handshake: the connection was lost")
    }

    /// The first address of the host that answers.
    fn dial(&self) -> Result<TcpStream, NetError> {
        let mut last = NetError::new(NetErrorKind::Unreachable, format!("{} has no address", self.host));
        for address in addresses(&self.host, self.port, self.timeout)? {
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
    fn judge(&self, key: &PublicKey) -> Result<(), NetError> {
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
            return Err(NetError::new(NetErrorKind::Refused, reason).hint(hint));
        }
        let Some(known_hosts) = &self.trust.known_hosts else { return Ok(()) };
        let file = known_hosts.path.display();
        match known_hosts.verdict(key) {
            Verdict::Match => Ok(()),
            Verdict::Unknown => Err(NetError::new(
                NetErrorKind::Refused,
                format!("unknown host key {shows}; {file} has none of this host"),
            )
            .hint(format!("if its owner confirms the key, add this line to {file}: {line}"))),
            Verdict::Changed(held) => Err(NetError::new(
                NetErrorKind::Refused,
                format!("changed host key {shows}; line {} of {file} holds another", held.line),
            )
            .hint(format!(
                "someone may be in between; if its owner confirms the new key, replace the line by: {line}"
            ))),
            Verdict::Revoked(held) => Err(NetError::new(
                NetErrorKind::Refused,
                format!("revoked host key {shows}, by line {} of {file}", held.line),
            )),
        }
    }

    /// Logs in.
    pub fn log_in(&self, Connection { session, stream }: &Connection) -> Result<(), NetError> {
        let operation = format!("log in as {}", self.user);
        match &self.credential {
            Credential::Key { file, text, password } => {
                let password = password.as_ref().map(Secret::expose);
                session.userauth_pubkey_memory(&self.user, None, text.expose(), password).map_err(|e| {
                    if e.code() == ssh2::ErrorCode::Session(LIBSSH2_ERROR_FILE) {
                        return NetError::new(
                            NetErrorKind::Config,
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
    ) -> Result<(), NetError> {
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

    fn by_agent(&self, session: &Session, operation: &str, stream: &TcpStream) -> Result<(), NetError> {
        let no_agent = |e: ssh2::Error| {
            NetError::new(NetErrorKind::Config, format!("ask the ssh agent: {}", e.message()))
                .hint("is SSH_AUTH_SOCK set, and does the agent run for this user?")
        };
        let mut agent = session.agent().map_err(no_agent)?;
        agent.connect().map_err(no_agent)?;
        agent.list_identities().map_err(no_agent)?;
        let mut last =
            NetError::new(NetErrorKind::Refused, format!("{operation}: the ssh agent holds no key"));
        for identity in agent.identities().map_err(no_agent)? {
            match agent.userauth(&self.user, &identity) {
                Ok(()) => return Ok(()),
                Err(e) => last = self.refused(operation, &e, stream, "none of the agent's keys is let in"),
            }
            if last.kind != NetErrorKind::Refused {
                break;
            }
        }
        Err(last)
    }

    /// A log-in that failed: a no of the far side, or a connection that was lost meanwhile.
    fn refused(&self, operation: &str, error: &ssh2::Error, stream: &TcpStream, hint: &str) -> NetError {
        match is_no(error) {
            true => {
                NetError::new(NetErrorKind::Refused, format!("{operation}: the server refuses")).hint(hint)
            }
            false => fault(operation, error, is_dead(stream))
                .hint("some servers hang up in place of a no, after too many wrong log-ins for instance"),
        }
    }
}

/// A private key that libssh2 cannot make out.
const LIBSSH2_ERROR_FILE: i32 = -16;

fn no_key() -> NetError {
    NetError::new(NetErrorKind::Protocol, "handshake: the host shows no key")
}

fn shown_key(session: &Session) -> Result<PublicKey, NetError> {
    session.host_key().map(|(blob, _)| PublicKey::new(blob)).ok_or_else(no_key)
}

/// Answers every question of the server with the password.
struct Answer<'a>(&'a Secret);

impl KeyboardInteractivePrompt for Answer<'_> {
    fn prompt(&mut self, _user: &str, _instructions: &str, prompts: &[Prompt<'_>]) -> Vec<String> {
        prompts.iter().map(|_| self.0.expose().to_owned()).collect()
    }
}

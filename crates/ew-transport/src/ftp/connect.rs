//! A connection: TCP, TLS, the log-in, the directory.

use super::fault::{self, Reply, strange};
use super::link::Link;
use super::text::Features;
use super::tls::{Connector, Tls, Trust, limit};
use super::{FtpMode, FtpSecurity, FtpTransfer};
use crate::error::{ErrorKind, Fault};
use crate::net::{addresses, lost, silent};
use ew_core::Secret;
use std::net::{SocketAddr, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;
use suppaftp::{FtpError, ImplFtpStream, Mode, Status};

/// The control connection, and the data connections that it opens.
pub(crate) type Wire = ImplFtpStream<Tls>;

/// Everything that a connection needs.
pub(crate) struct Access {
    pub(crate) far_side: String,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: FtpSecurity,
    /// None in the clear.
    pub(crate) trust: Option<Trust>,
    pub(crate) user: String,
    pub(crate) password: Secret,
    pub(crate) directory: String,
    pub(crate) create_directory: bool,
    pub(crate) mode: FtpMode,
    pub(crate) transfer: FtpTransfer,
    pub(crate) timeout: Duration,
}

/// The directory that was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entered {
    WasThere,
    IsMade,
}

impl Access {
    /// Connects, protects the way, logs in and goes to the directory.
    pub(crate) fn connect(&self) -> Result<Link, Fault> {
        let mut link = self.meet()?;
        self.protect(&mut link)?;
        self.log_in(&mut link)?;
        self.enter(&mut link)?;
        Ok(link)
    }

    /// A connection with a server that has greeted. With implicit TLS it is protected already.
    pub(crate) fn meet(&self) -> Result<Link, Fault> {
        let was_newer = self.is_newer();
        match self.meet_once() {
            Err(_) if self.is_newer() != was_newer => self.meet_once(),
            done => done,
        }
    }

    /// Whether the server was found to take nothing older than the newest TLS: then it is tried with that.
    fn is_newer(&self) -> bool {
        self.trust.as_ref().is_some_and(Trust::is_newer)
    }

    fn meet_once(&self) -> Result<Link, Fault> {
        let connector = self.trust.as_ref().map(|trust| trust.connector(self.timeout)).transpose()?;
        let mut last = Fault::new(ErrorKind::Unreachable, format!("{} has no address", self.host));
        for address in addresses(&self.host, self.port, self.timeout)? {
            let met = match &connector {
                Some(connector) if self.security == FtpSecurity::Implicit => {
                    self.meet_under_tls(address, connector)
                }
                _ => self.meet_in_the_clear(address),
            };
            match met {
                Ok(wire) => {
                    let wire = self.prepare(wire, address);
                    return Ok(Link::new(wire, connector, self.timeout, self.transfer));
                }
                // What another address says is not asked.
                Err(fault) if fault.kind != ErrorKind::Unreachable => return Err(fault),
                Err(fault) => last = fault,
            }
        }
        Err(last)
    }

    fn meet_in_the_clear(&self, address: SocketAddr) -> Result<Wire, Fault> {
        let operation = format!("connect to {address}");
        let stream = dial(address, self.timeout).map_err(|e| lost(&operation, &e))?;
        Wire::connect_with_stream(stream).map_err(|e| match e {
            FtpError::ConnectionError(e) if e.kind() == std::io::ErrorKind::WouldBlock => silent(&operation)
                .hint("a port that speaks TLS from the first byte is for security = \"implicit\""),
            e => fault::of(&operation, e),
        })
    }

    /// suppaftp dials by itself here, and knows no deadline: it is left behind at ours.
    fn meet_under_tls(&self, address: SocketAddr, connector: &Connector) -> Result<Wire, Fault> {
        let (sender, receiver) = mpsc::channel();
        let (own, host) = (connector.clone(), self.host.clone());
        thread::spawn(move || {
            // The other end may have gone.
            let _ = sender.send(Wire::connect_secure_implicit(address, own, &host));
        });
        let operation = format!("connect to {address}");
        match receiver.recv_timeout(self.timeout * 3) {
            Ok(met) => met.map_err(|e| connector.fault(&operation, e)),
            Err(_) => Err(silent(&operation)),
        }
    }

    /// Data connections go to the host of the control connection, whatever address the server names: it may be one
    /// behind its own wall, or one that it wants somebody else to be attacked at.
    fn prepare(&self, wire: Wire, address: SocketAddr) -> Wire {
        let timeout = self.timeout;
        let mut wire = wire
            .active_mode(timeout)
            .passive_stream_builder(move |address| dial(address, timeout).map_err(FtpError::ConnectionError));
        wire.set_passive_nat_workaround(true);
        wire.set_mode(match (self.mode, address) {
            (FtpMode::Active, _) => Mode::Active,
            (FtpMode::Passive, SocketAddr::V4(_)) => Mode::Passive,
            (FtpMode::Passive, SocketAddr::V6(_)) => Mode::ExtendedPassive,
        });
        wire
    }

    /// TLS for what follows, and for data connections.
    pub(crate) fn protect(&self, link: &mut Link) -> Result<(), Fault> {
        let was_newer = self.is_newer();
        match self.protect_once(link) {
            Err(_) if self.is_newer() != was_newer => {
                *link = self.meet()?;
                self.protect_once(link)
            }
            done => done,
        }
    }

    fn protect_once(&self, link: &mut Link) -> Result<(), Fault> {
        let Some(connector) = link.connector.clone() else { return Ok(()) };
        if self.security == FtpSecurity::Explicit {
            let wire = link.wire()?;
            let secured = wire.into_secure(connector.clone(), &self.host);
            let wire = secured.map_err(|e| refused(connector.fault("AUTH TLS", e)))?;
            link.set_wire(wire);
            return Ok(());
        }
        for command in ["PBSZ 0", "PROT P"] {
            let reply = link.ask(command, command)?;
            // Some protect data there without being told. Those that do not will fail at the first handshake.
            if !reply.is_good() && !reply.is_unsupported() {
                return Err(reply.fault(command));
            }
        }
        Ok(())
    }

    /// Logs in, and asks what the server can do.
    pub(crate) fn log_in(&self, link: &mut Link) -> Result<(), Fault> {
        let operation = format!("log in as {}", self.user);
        let logged_in = link.speak(&operation, |wire| wire.login(self.user.as_str(), self.password.expose()));
        logged_in.map_err(|fault| {
            // Some servers repeat what they did not like.
            let reason = match self.password.expose() {
                "" => fault.reason,
                password => fault.reason.replace(password, "…"),
            };
            let fault = Fault { reason, ..fault };
            match fault.kind {
                ErrorKind::Refused if fault.hint.is_none() => fault.hint(match self.security {
                    FtpSecurity::None => {
                        "are user and password right, and does the server let anyone in without TLS?"
                    }
                    _ => "are user and password right?",
                }),
                _ => fault,
            }
        })?;
        let features = link.ask("FEAT", "FEAT")?;
        if features.is_good() {
            link.features = Features::parse(&features.text);
        }
        if link.features.has_utf8 {
            // Some want to be told; most do it anyway and do not know this.
            link.ask("OPTS UTF8 ON", "OPTS UTF8 ON")?;
        }
        Ok(())
    }

    /// Goes to the directory, which is made where that was asked for. Files are known by their bare names from then
    /// on: some servers take no others.
    pub(crate) fn enter(&self, link: &mut Link) -> Result<Entered, Fault> {
        let directory = self.directory.as_str();
        if directory == "." {
            return Ok(Entered::WasThere);
        }
        let operation = format!("go to {directory}");
        let reply = link.ask(&operation, &format!("CWD {directory}"))?;
        if reply.is_good() {
            return Ok(Entered::WasThere);
        }
        if !reply.is_no() {
            return Err(reply.fault(&operation));
        }
        if !self.create_directory {
            let reason = reply.fault(&operation).reason;
            return Err(Fault::new(ErrorKind::Missing, reason)
                .hint("make it there, or set create_directory = true; or this user may not go there"));
        }
        let operation = format!("make directory {directory}");
        let made = link.ask(&operation, &format!("MKD {directory}"))?;
        // Another run may have made it meanwhile.
        let entered = link.ask(&format!("go to {directory}"), &format!("CWD {directory}"))?;
        match (made.is_good(), entered.is_good()) {
            (true, true) => Ok(Entered::IsMade),
            (false, true) => Ok(Entered::WasThere),
            (true, false) => Err(entered.fault(&format!("go to {directory}"))),
            (false, false) => Err(Fault { kind: ErrorKind::Missing, ..made.fault(&operation) }
                .hint("only the last part of a directory is made by itself")),
        }
    }
}

fn dial(address: SocketAddr, timeout: Duration) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, timeout)?;
    stream.set_nodelay(true)?;
    limit(&stream, timeout)?;
    Ok(stream)
}

/// A server that knows no TLS says so in many ways.
fn refused(fault: Fault) -> Fault {
    match fault.kind {
        ErrorKind::Protocol if fault.hint.is_none() => fault.hint(
            "nothing was sent, no password either; security = \"implicit\" is for port 990, \"none\" only for a \
             network you trust",
        ),
        _ => fault,
    }
}

/// One command whose every reply is an answer.
pub(crate) fn ask(wire: &mut Wire, command: &str) -> Result<Reply, FtpError> {
    const NONE_EXPECTED: &[Status] = &[];
    match wire.custom_command(command, NONE_EXPECTED) {
        Err(FtpError::UnexpectedResponse(response)) => Ok(Reply::new(&response.body)),
        Err(e) => Err(e),
        Ok(response) => Ok(Reply::new(&response.body)),
    }
}

/// The control connection has gone, after a failure that was told.
pub(crate) fn gone() -> Fault {
    strange("use the connection again")
}

//! The first steps: the options in order, and a link.

use super::link::{Link, Socket};
use super::session::{Failed, Session};
use super::tls;
use crate::options::is_word;
use crate::{BusError, Cgate, Context};
use ew_core::Secret;
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// How a server is called in messages.
pub(crate) fn endpoint(cgate: &Cgate) -> String {
    match (&cgate.host, &cgate.command) {
        (Some(host), _) if host.contains(':') => format!("cgate [{host}]:{}", cgate.port),
        (Some(host), _) => format!("cgate {host}:{}", cgate.port),
        (None, Some(command)) => format!("cgate by {}", command.first().map_or("", String::as_str)),
        (None, None) => "cgate".into(),
    }
}

/// The password, where there is a user; it must be able to stand in a command.
pub(crate) fn password(
    cgate: &Cgate,
    context: &Context<'_>,
    endpoint: &str,
) -> Result<Option<Secret>, BusError> {
    let bad = |cause: &str| BusError::Secret {
        endpoint: endpoint.to_owned(),
        key: "password",
        cause: cause.to_owned(),
    };
    let password = match (&cgate.user, &cgate.password) {
        (Some(_), Some(source)) => (context.resolve)(source).map_err(|why| bad(&why))?,
        _ => return Ok(None),
    };
    match is_word(password.expose()) {
        true => Ok(Some(password)),
        false => Err(bad("C-Gate takes only a single word without control characters")),
    }
}

/// A connection up to where the banner is due. Each step may take half of the time that all of them have.
pub(crate) fn connect(session: &Session<'_>, until: Instant) -> Result<Link, Failed> {
    let (cgate, endpoint) = (session.cgate, &session.endpoint);
    let Some(host) = &cgate.host else {
        let command = cgate.command.as_deref().unwrap_or_default();
        return Link::pipe(command, session.context.base, session.context.deadline).map_err(|e| {
            Failed::for_good(BusError::Local {
                endpoint: endpoint.clone(),
                doing: "start it".into(),
                cause: ew_net::plain(&e),
            })
        });
    };
    let step = session.options.start_timeout.0 / 2;
    let tcp = dial(session, host, until.min(Instant::now() + step))?;
    let socket = Socket::new(tcp, until.min(Instant::now() + step));
    if !cgate.tls {
        return Ok(Link::plain(socket));
    }
    let local = |cause: String| {
        Failed::for_good(BusError::Local { endpoint: endpoint.clone(), doing: "prepare TLS".into(), cause })
    };
    let connector = tls::connector(cgate, session.context.base).map_err(|(_, why)| local(why))?;
    let name = cgate.server_name.as_deref().unwrap_or(host);
    tls::handshake(&connector, name, socket, endpoint).map(Link::tls).map_err(Failed::for_good)
}

/// Each address of the host in turn, all by a moment.
fn dial(session: &Session<'_>, host: &str, until: Instant) -> Result<TcpStream, Failed> {
    let unreachable = |cause: String, hint: Option<String>| {
        Failed::passing(BusError::Unreachable {
            endpoint: session.endpoint.clone(),
            doing: "connect".into(),
            cause,
            hint,
        })
    };
    let left = || until.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let addresses =
        ew_net::addresses(host, session.cgate.port, left()).map_err(|e| unreachable(e.reason, e.hint))?;
    let mut last = format!("{host} has no address");
    let mut hint = None;
    for (tried, address) in addresses.iter().enumerate() {
        // What is left is shared among those that are left.
        let share = left() / u32::try_from(addresses.len() - tried).unwrap_or(u32::MAX);
        match TcpStream::connect_timeout(address, share.max(Duration::from_millis(1))) {
            Ok(tcp) => {
                // Commands are one short line each; without it each could wait for the acknowledgement of the last.
                let _ = tcp.set_nodelay(true);
                return Ok(tcp);
            }
            Err(e) => {
                last = ew_net::lost(&address.to_string(), &e).reason;
                if e.kind() == std::io::ErrorKind::ConnectionRefused {
                    hint =
                        Some("is C-Gate running there, with its command interface at this port?".to_owned());
                }
            }
        }
    }
    if Instant::now() >= session.context.deadline {
        return Err(Failed::for_good(session.deadline("connect")));
    }
    Err(unreachable(last, hint))
}

//! `ew-sim cgate`: a C-Gate server over TCP, TLS or stdin and stdout, written from the vendor's manual and from captures of
//! 3.4, and sharing nothing with the backend of ew-bus that it is there to test.
//!
//! A connection is served by `talk`, which asks `answer`, which asks the `project` and its `documents`.

mod answer;
mod documents;
mod fault;
mod project;
mod talk;
mod tls;

use crate::SimError;
use answer::{Access, Server, User};
use ew_core::Span;
use fault::{FaultSpec, Faults};
use project::Project;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread;
use talk::{Manner, talk};

/// `ew-sim cgate`.
#[derive(Debug, clap::Args)]
pub(crate) struct CgateOptions {
    /// Where it listens; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// Serve one session on stdin and stdout in place of a port
    #[arg(long, conflicts_with_all = ["listen", "tls"])]
    pub(crate) stdio: bool,

    /// Speak TLS 1.3, as localhost with a certificate made now, which is written to FILE for ca_file
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,

    /// Demand a client's certificate that an authority in FILE signed; without one there is no greeting
    #[arg(long, value_name = "FILE", requires = "tls")]
    client_ca: Option<PathBuf>,

    /// The project's name, in place of its own
    #[arg(long, value_name = "NAME")]
    project: Option<String>,

    /// Serve this project (JSON) in place of the built-in HOME
    #[arg(long, value_name = "FILE")]
    data: Option<PathBuf>,

    /// The brand in the banner
    #[arg(long, value_name = "TEXT", default_value = "Clipsal C-Gate")]
    brand: String,

    /// What a peer may without a log-in
    #[arg(long, value_enum, default_value_t = Access::Program)]
    access: Access,

    /// A user who may log in; may be repeated
    #[arg(long = "user", value_name = "NAME:PASSWORD:LEVEL", value_parser = user)]
    users: Vec<User>,

    /// A fault; may be repeated
    #[arg(long = "fault", value_name = "KIND[=ARG]")]
    faults: Vec<FaultSpec>,

    /// Write down every command that comes, one a line
    #[arg(long, value_name = "FILE")]
    record: Option<PathBuf>,

    /// Stop after this time [default: serve until SIGINT or SIGTERM]
    #[arg(long = "for", value_name = "DURATION")]
    pub(crate) for_time: Option<Span>,
}

fn user(text: &str) -> Result<User, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let [name, password, access] = parts[..] else { return Err("not NAME:PASSWORD:LEVEL".into()) };
    let access = <Access as clap::ValueEnum>::from_str(access, true)?;
    Ok(User { name: name.into(), password: password.into(), access })
}

/// The server with its project, and the manner of its sessions.
fn prepare(options: &CgateOptions) -> Result<(String, Arc<Mutex<Server>>, Manner), SimError> {
    let project = Project::load(options.data.as_deref(), options.project.as_deref())?;
    let name = project.name.clone();
    let server = Server::new(project, Faults::of(&options.faults), options.users.clone());
    let record = match &options.record {
        Some(file) => Some(Arc::new(Mutex::new(
            File::options()
                .create(true)
                .append(true)
                .open(file)
                .map_err(|source| SimError::Unreadable { file: file.clone(), source })?,
        ))),
        None => None,
    };
    let banner = format!("Service ready: {} Version: v3.4.0 (build 2001) #cmd-syntax=1.0", options.brand);
    Ok((name, Arc::new(Mutex::new(server)), Manner { banner, access: options.access, record }))
}

/// One session on stdin and stdout, until either ends.
pub(crate) fn session(options: &CgateOptions, out: &mut dyn Write) -> Result<(), SimError> {
    let (_, server, manner) = prepare(options)?;
    match talk(&server, &manner, io::stdin().lock(), out) {
        Err(source) if source.kind() != io::ErrorKind::BrokenPipe => Err(SimError::Output { source }),
        _ => Ok(()),
    }
}

/// Serves on its port from now on, and says so; the inner result is that of saying it.
pub(crate) fn start(
    options: &CgateOptions,
    json: bool,
    out: &mut dyn Write,
) -> Result<io::Result<()>, SimError> {
    let (name, server, manner) = prepare(options)?;
    let acceptor = options.tls.as_deref();
    let acceptor = acceptor.map(|file| tls::acceptor(file, options.client_ca.as_deref())).transpose()?;
    let unheard = |source| SimError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).map_err(unheard)?;
    let address = listener.local_addr().map_err(unheard)?;
    thread::Builder::new()
        .name("cgate".into())
        .spawn(move || {
            for connection in listener.incoming().flatten() {
                let (server, manner, acceptor) = (Arc::clone(&server), manner.clone(), acceptor.clone());
                // A peer that goes amid a reply is no matter of ours.
                thread::spawn(move || serve(connection, acceptor, &server, &manner));
            }
        })
        .map_err(|source| SimError::Thread { source })?;
    Ok(announce(&name, address, options.tls.is_some(), json, out))
}

/// `NAME ADDRESS plain|tls` and `ready`, or one line of JSON.
fn announce(name: &str, address: SocketAddr, tls: bool, json: bool, out: &mut dyn Write) -> io::Result<()> {
    let text = match json {
        true => format!("{}\n", serde_json::json!({ "project": name, "address": address, "tls": tls })),
        false => format!("{name} {address} {}\nready\n", if tls { "tls" } else { "plain" }),
    };
    out.write_all(text.as_bytes())?;
    out.flush()
}

fn serve(
    connection: TcpStream,
    acceptor: Option<tls::Acceptor>,
    server: &Arc<Mutex<Server>>,
    manner: &Manner,
) -> io::Result<()> {
    connection.set_nodelay(true)?;
    match acceptor {
        None => {
            let mut to = connection.try_clone()?;
            talk(server, manner, BufReader::new(connection), &mut to)
        }
        Some(acceptor) => {
            let (from, mut to) = tls::halves(&acceptor, connection)?;
            talk(server, manner, BufReader::new(from), &mut to)
        }
    }
}

//! The way to a server: TCP, TLS over it, or a child's pipes. Every wait has a deadline.

use super::lines::{LINE_BYTES_MAX, Lines};
use ew_net::{Child, ChildLimits, NoLine};
use native_tls::TlsStream;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a child may take to end once its stdin is closed, before SIGTERM.
const LEAVE: Duration = Duration::from_millis(500);
/// And after it, before SIGKILL.
const GRACE: Duration = Duration::from_secs(5);

/// How long a child that has failed may take to say why.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Why there is no line, or no way to say one.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The connection ended; true: amid a line.
    End,
    /// Nothing came in time.
    Silence,
    /// It broke otherwise.
    Lost(String),
    /// What came is no text of lines.
    Bad(String),
    /// The server of TLS does not want us.
    Refused(&'static str),
}

/// A connection.
pub(crate) struct Link {
    way: Way,
    lines: Lines,
}

enum Way {
    Plain(Socket),
    Tls(Box<TlsStream<Socket>>),
    Pipe {
        child: Child,
        /// Of the run.
        deadline: Instant,
    },
}

impl Link {
    pub(crate) fn plain(socket: Socket) -> Link {
        Link { way: Way::Plain(socket), lines: Lines::default() }
    }

    pub(crate) fn tls(stream: TlsStream<Socket>) -> Link {
        Link { way: Way::Tls(Box::new(stream)), lines: Lines::default() }
    }

    pub(crate) fn pipe(command: &[String], folder: &Path, deadline: Instant) -> io::Result<Link> {
        let limits = ChildLimits { line_bytes_max: LINE_BYTES_MAX as u64, grace: GRACE };
        let child = Child::start(command, folder, limits)?;
        Ok(Link { way: Way::Pipe { child, deadline }, lines: Lines::default() })
    }

    /// Says a line, its end included.
    pub(crate) fn say(&mut self, line: &str, until: Instant) -> Result<(), Broken> {
        let said = match &mut self.way {
            Way::Plain(socket) => {
                socket.until = until;
                socket.write_all(line.as_bytes())
            }
            Way::Tls(stream) => {
                stream.get_mut().until = until;
                stream.write_all(line.as_bytes())
            }
            Way::Pipe { child, .. } => {
                child.say(line.to_owned());
                Ok(())
            }
        };
        said.map_err(broken)
    }

    /// The next line with its end. It may take until then, but the far side never be silent for longer than `idle`;
    /// what a child is at is not seen before its line is whole, so there `idle` counts for nothing.
    pub(crate) fn line(&mut self, idle: Duration, until: Instant) -> Result<Vec<u8>, Broken> {
        if let Way::Pipe { child, .. } = &self.way {
            return match child.line_while_running(until) {
                Ok(line) => Ok(line.into_bytes()),
                // As over TCP, where nobody looks before the line is one.
                Err(NoLine::NoText(line)) => Ok(line),
                Err(NoLine::End | NoLine::Cut) => Err(Broken::End),
                Err(NoLine::Silence) => Err(Broken::Silence),
                Err(NoLine::Bad(why)) => Err(Broken::Bad(why)),
            };
        }
        let mut piece = [0; 64 * 1024];
        loop {
            match self.lines.next() {
                Ok(Some(line)) => return Ok(line),
                Ok(None) => {}
                Err(_) => return Err(Broken::Bad(format!("a line is longer than {LINE_BYTES_MAX} bytes"))),
            }
            let until = until.min(Instant::now() + idle);
            let read = match &mut self.way {
                Way::Plain(socket) => {
                    socket.until = until;
                    socket.read(&mut piece)
                }
                Way::Tls(stream) => {
                    stream.get_mut().until = until;
                    stream.read(&mut piece)
                }
                Way::Pipe { .. } => return Err(Broken::End),
            };
            match read {
                Ok(0) => return Err(Broken::End),
                Ok(count) => self.lines.push(&piece[..count]),
                Err(e) => return Err(broken(e)),
            }
        }
    }

    /// What has come of a line that is not whole.
    pub(crate) fn rest(&self) -> &[u8] {
        self.lines.rest()
    }

    /// What a child wrote on stderr, in one line; empty where there is none.
    pub(crate) fn stderr(&self) -> String {
        match &self.way {
            Way::Pipe { child, .. } => child
                .last_stderr(LAST_WORDS)
                .lines()
                .map(str::trim)
                .filter(|l| !l.is_empty())
                .collect::<Vec<_>>()
                .join("; "),
            Way::Plain(_) | Way::Tls(_) => String::new(),
        }
    }
}

impl Drop for Link {
    /// A child that does not end by itself is no reason to outlast the deadline of the run.
    fn drop(&mut self) {
        if let Way::Pipe { child, deadline } = &mut self.way {
            child.end_by(LEAVE, *deadline);
        }
    }
}

fn broken(error: io::Error) -> Broken {
    if let Some(cause) = super::tls::refusal(&error) {
        return Broken::Refused(cause);
    }
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Broken::Silence,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            Broken::End
        }
        // Of a TLS connection that ends without a word of it.
        _ if error.to_string().contains("unexpected eof") => Broken::End,
        _ => Broken::Lost(ew_net::plain(&error)),
    }
}

/// A TCP stream whose reads and writes end at a moment, however small the pieces are that come.
#[derive(Debug)]
pub(crate) struct Socket {
    tcp: TcpStream,
    until: Instant,
}

impl Socket {
    pub(crate) fn new(tcp: TcpStream, until: Instant) -> Socket {
        Socket { tcp, until }
    }

    fn left(&self) -> io::Result<Duration> {
        match self.until.saturating_duration_since(Instant::now()) {
            Duration::ZERO => Err(io::ErrorKind::TimedOut.into()),
            left => Ok(left),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.tcp.set_read_timeout(Some(self.left()?))?;
        self.tcp.read(buffer).map_err(timed_out)
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.tcp.set_write_timeout(Some(self.left()?))?;
        self.tcp.write(bytes).map_err(timed_out)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.tcp.flush()
    }
}

/// A system says "would block" of a time-out, which a TLS library takes for "ask again".
fn timed_out(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

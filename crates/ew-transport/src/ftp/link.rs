//! Requests over a connection that is logged in.

use super::FtpTransfer;
use super::ascii::Lines;
use super::connect::{Wire, ask, gone};
use super::fault::{Reply, strange};
use super::text::{Facts, Features, Line, quoted, sha256_in};
use super::tls::{Connector, limit};
use crate::Entry;
use crate::error::{ErrorKind, Fault};
use crate::look::{NAMES_MAX, too_many};
use crate::net::lost;
use std::io::{self, BufRead, BufReader, Read};
use std::net::Shutdown;
use std::time::Duration;
use suppaftp::{DataStream, FtpError, FtpResult, Status};

/// The longest line of a listing, bytes.
const LINE_BYTES_MAX: u64 = 4 * 1024;

/// The longest listing, bytes.
const LISTING_BYTES_MAX: usize = 256 * 1024 * 1024;

/// How long the good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stat {
    Absent,
    File(Option<u64>),
    Directory,
    /// The server knows no such request.
    Untold,
}

pub(crate) type Transfer = suppaftp::TransferStream<super::tls::Tls>;

/// A connection, in the directory where the files go.
pub(crate) struct Link {
    /// None once it has failed.
    wire: Option<Wire>,
    pub(crate) connector: Option<Connector>,
    timeout: Duration,
    pub(crate) features: Features,
    transfer: FtpTransfer,
    /// The type of transfers that was set last.
    current: Option<FtpTransfer>,
    /// Whether renaming is worth asking for; it was not yet refused.
    pub(crate) can_rename: bool,
    /// The last wait ended without an answer.
    was_silent: bool,
}

impl Link {
    pub(crate) fn new(
        wire: Wire,
        connector: Option<Connector>,
        timeout: Duration,
        transfer: FtpTransfer,
    ) -> Link {
        let (features, current, can_rename) = (Features::default(), None, true);
        let (wire, was_silent) = (Some(wire), false);
        Link { wire, connector, timeout, features, transfer, current, can_rename, was_silent }
    }

    /// Takes the connection out, to protect it.
    pub(crate) fn wire(&mut self) -> Result<Wire, Fault> {
        self.wire.take().ok_or_else(gone)
    }

    pub(crate) fn set_wire(&mut self, wire: Wire) {
        self.wire = Some(wire);
    }

    pub(crate) fn is_dead(&self) -> bool {
        self.wire.is_none()
    }

    /// Whether it ended because the far side says nothing any more.
    pub(crate) fn was_silent(&self) -> bool {
        self.was_silent
    }

    /// Whether the receiver has the bytes as they are here.
    pub(crate) fn is_exact(&self) -> bool {
        self.transfer == FtpTransfer::Binary
    }

    /// Ends the connection without waiting for the far side.
    pub(crate) fn stop(&mut self) {
        if let Some(wire) = self.wire.take() {
            let _ = wire.get_ref().shutdown(Shutdown::Both);
        }
    }

    /// Speaks over the connection, which a failure to answer ends.
    pub(crate) fn speak<T>(
        &mut self,
        operation: &str,
        say: impl FnOnce(&mut Wire) -> FtpResult<T>,
    ) -> Result<T, Fault> {
        let said = say(self.wire.as_mut().ok_or_else(gone)?);
        said.map_err(|e| {
            self.was_silent = matches!(&e, FtpError::ConnectionError(e) if is_silence(e));
            let is_answer = matches!(&e, FtpError::UnexpectedResponse(reply) if reply.status.code() != 421);
            let fault = match &self.connector {
                Some(connector) => connector.fault(operation, e),
                None => super::fault::of(operation, e),
            };
            if !is_answer {
                self.stop();
            }
            fault
        })
    }

    /// One command, and whatever the server says to it; its good-bye alone is a failure.
    pub(crate) fn ask(&mut self, operation: &str, command: &str) -> Result<Reply, Fault> {
        let reply = self.speak(operation, |wire| ask(wire, command))?;
        match reply.code {
            421 => {
                self.stop();
                Err(reply.fault(operation))
            }
            _ => Ok(reply),
        }
    }

    fn set_type(&mut self, wanted: FtpTransfer) -> Result<(), Fault> {
        if self.current != Some(wanted) {
            let command = match wanted {
                FtpTransfer::Binary => "TYPE I",
                FtpTransfer::Ascii => "TYPE A",
            };
            let reply = self.ask(command, command)?;
            if !reply.is_good() {
                return Err(reply.fault(command));
            }
            self.current = Some(wanted);
        }
        Ok(())
    }

    /// What stands under a name. Servers without MLST say one and the same of what is not there and what they do not
    /// show; a directory can be entered.
    pub(crate) fn stat(&mut self, name: &str) -> Result<Stat, Fault> {
        let operation = format!("look for {name}");
        if self.features.has_facts {
            let reply = self.ask(&operation, &format!("MLST {name}"))?;
            if reply.is_good() {
                let facts = reply.text.lines().nth(1).and_then(Facts::parse);
                return match facts.ok_or_else(|| strange(&operation))? {
                    Facts { is_directory: true, .. } => Ok(Stat::Directory),
                    Facts { bytes, .. } => Ok(Stat::File(bytes)),
                };
            }
            if reply.is_no() {
                return Ok(Stat::Absent);
            }
            if !reply.is_unsupported() {
                return Err(reply.fault(&operation));
            }
            self.features.has_facts = false;
        }
        // Of text it would be the size that it has on the way, if any.
        self.set_type(FtpTransfer::Binary)?;
        let reply = self.ask(&operation, &format!("SIZE {name}"))?;
        match reply.code {
            213 => {
                let size = reply.text.trim().rsplit(' ').next().and_then(|size| size.parse().ok());
                Ok(Stat::File(Some(size.ok_or_else(|| strange(&operation))?)))
            }
            _ if reply.is_unsupported() => Ok(Stat::Untold),
            _ if reply.is_no() && self.is_directory(name)? => Ok(Stat::Directory),
            _ if reply.is_no() => Ok(Stat::Absent),
            _ => Err(reply.fault(&operation)),
        }
    }

    fn is_directory(&mut self, name: &str) -> Result<bool, Fault> {
        let here = self.ask("PWD", "PWD")?;
        let Some(here) = quoted(&here.text).filter(|_| here.is_good()) else { return Ok(false) };
        let there = self.ask(&format!("go to {name}"), &format!("CWD {name}"))?;
        if !there.is_good() {
            return Ok(false);
        }
        let operation = format!("go back to {here}");
        let back = self.ask(&operation, &format!("CWD {here}"))?;
        match back.is_good() {
            true => Ok(true),
            false => {
                // Wherever this is, nothing must be written here.
                self.stop();
                Err(back.fault(&operation))
            }
        }
    }

    /// The SHA-256 that the server finds in a file, where it can.
    pub(crate) fn sha256(&mut self, name: &str) -> Result<Option<String>, Fault> {
        let Some(command) = self.features.hash else { return Ok(None) };
        self.set_type(FtpTransfer::Binary)?;
        let reply = self.ask(&format!("hash {name}"), &format!("{command} {name}"))?;
        match reply.is_good() {
            true => Ok(sha256_in(&reply.text)),
            false => Ok(None),
        }
    }

    /// Opens an upload.
    pub(crate) fn begin(&mut self, operation: &str, command: &str) -> Result<Transfer, Fault> {
        self.set_type(self.transfer)?;
        self.open(operation, command)
    }

    fn open(&mut self, operation: &str, command: &str) -> Result<Transfer, Fault> {
        const OPENED: &[Status] = &[Status::AboutToSend, Status::AlreadyOpen];
        let opened = self.speak(operation, |wire| match wire.custom_data_command(command, OPENED) {
            // The server's own words of why tell more than those of the handshake.
            Err(FtpError::SecureError(why)) => match ask(wire, "NOOP") {
                Ok(reply) if reply.code >= 400 => {
                    Err(FtpError::UnexpectedResponse(suppaftp::types::Response::new(
                        Status::from(u32::from(reply.code)),
                        reply.text.into_bytes(),
                    )))
                }
                _ => Err(FtpError::SecureError(why)),
            },
            opened => opened,
        });
        let (_, stream) = opened?;
        // Of a connection that came from there nothing is limited yet.
        limit(stream.get_ref().get_ref(), self.timeout).map_err(|e| lost(operation, &e))?;
        Ok(stream)
    }

    /// Ends an upload and says what the server says to it. After a failure to write, its reply tells more.
    pub(crate) fn finish(
        &mut self,
        operation: &str,
        mut stream: Transfer,
        written: io::Result<()>,
    ) -> Result<(), Fault> {
        let written = written.and_then(|()| match stream.get_mut() {
            DataStream::Ssl(tls) => tls.end(),
            DataStream::Tcp(_) => Ok(()),
        });
        if written.as_ref().is_err_and(is_silence) {
            // A server that takes nothing is not asked why, nor told good-bye: that would take as long again.
            self.was_silent = true;
            let _ = stream.get_ref().get_ref().shutdown(Shutdown::Both);
            self.stop();
        }
        match (written, stream.finish()) {
            (Ok(()), Ok(())) => Ok(()),
            (_, Err(e @ FtpError::UnexpectedResponse(_))) | (Ok(()), Err(e)) => {
                self.speak(operation, |_| Err(e))
            }
            (Err(e), _) => {
                self.stop();
                Err(lost(operation, &e))
            }
        }
    }

    /// Reads a file there. A server that does not give it says the same of one that is not there.
    pub(crate) fn read_back<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let operation = format!("read back {name}");
        self.set_type(self.transfer)?;
        let stream = self.open(&operation, &format!("RETR {name}"))?;
        let is_exact = self.is_exact();
        self.drain(&operation, stream, |whole| match is_exact {
            true => read(whole),
            false => read(&mut Lines::new(whole)),
        })
    }

    /// Reads what a server sends, to its end or not.
    fn drain<T>(
        &mut self,
        operation: &str,
        stream: Transfer,
        read: impl FnOnce(&mut Whole) -> io::Result<T>,
    ) -> Result<T, Fault> {
        let mut whole = Whole { stream, is_over: false };
        let found = read(&mut whole);
        if !whole.is_over {
            // The server's replies to that would be many and of no use.
            self.stop();
            return found.map_err(|e| lost(operation, &e));
        }
        let finished = whole.stream.finish();
        self.speak(operation, |_| finished)?;
        found.map_err(|e| lost(operation, &e))
    }

    /// The files of the directory, by MLSD or else LIST.
    pub(crate) fn list(&mut self, directory: &str) -> Result<Vec<Entry>, Fault> {
        let operation = format!("list {directory}");
        let (command, parse): (_, fn(&str) -> Line) = match self.features.has_facts {
            true => ("MLSD", Line::of_facts),
            false => ("LIST", Line::of_list),
        };
        let stream = self.open(&operation, command)?;
        let (mut lines, mut bytes) = (Vec::new(), 0);
        self.drain(&operation, stream, |whole| {
            let mut reader = BufReader::new(whole);
            while lines.len() <= NAMES_MAX && bytes <= LISTING_BYTES_MAX {
                let mut line = Vec::new();
                let count = (&mut reader).take(LINE_BYTES_MAX).read_until(b'\n', &mut line)?;
                if count == 0 {
                    break;
                }
                bytes += count;
                lines.push(String::from_utf8_lossy(line.trim_ascii_end()).into_owned());
            }
            Ok(())
        })?;
        if lines.len() > NAMES_MAX || bytes > LISTING_BYTES_MAX {
            return Err(too_many(&directory));
        }
        let mut entries = Vec::new();
        for line in lines.iter().filter(|line| !line.is_empty()) {
            match parse(line) {
                Line::File(entry) => {
                    entries.push(Entry { bytes: entry.bytes.filter(|_| self.is_exact()), ..entry });
                }
                Line::Other => {}
                Line::Strange => {
                    return Err(Fault::new(
                        ErrorKind::FarSide,
                        format!("{operation}: the server's listing is in a style of its own"),
                    ));
                }
            }
        }
        Ok(entries)
    }

    /// Whether the file was renamed; false where the server renames nothing.
    pub(crate) fn rename(&mut self, from: &str, to: &str) -> Result<bool, Fault> {
        let operation = format!("rename {from} to {to}");
        let pending = self.ask(&operation, &format!("RNFR {from}"))?;
        match pending.code {
            350 => {}
            // The file is there.
            500.. => return Ok(false),
            _ => return Err(pending.fault(&operation)),
        }
        let renamed = self.ask(&operation, &format!("RNTO {to}"))?;
        match renamed.is_good() {
            true => Ok(true),
            false if renamed.is_unsupported() => Ok(false),
            false => Err(renamed.fault(&operation)),
        }
    }

    /// Whether the server would rename a file, which then is there.
    pub(crate) fn would_rename(&mut self, name: &str) -> Result<bool, Fault> {
        Ok(self.ask(&format!("look for {name}"), &format!("RNFR {name}"))?.code == 350)
    }

    /// Removes a file.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Fault> {
        let operation = format!("remove {name}");
        let reply = self.ask(&operation, &format!("DELE {name}"))?;
        match reply.is_good() {
            true => Ok(()),
            false => Err(reply.fault(&operation)),
        }
    }
}

/// To a socket with a deadline, silence is either.
fn is_silence(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

impl Drop for Link {
    fn drop(&mut self) {
        if let Some(wire) = &mut self.wire
            && limit(&wire.get_ref(), GOOD_BYE).is_ok()
        {
            let _ = wire.quit();
        }
    }
}

/// What a server sends, up to its end. Many end TLS without a word: the reply on the control connection says whether
/// that was all.
struct Whole {
    stream: Transfer,
    is_over: bool,
}

impl Read for Whole {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = match self.stream.read(buffer) {
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            read => read,
        }?;
        self.is_over |= count == 0 && !buffer.is_empty();
        Ok(count)
    }
}

//! SFTP, version 3, over a channel of SSH.
//!
//! Requests go out behind one another, and each answer is waited for where it is needed: on a long line round trips are
//! what a slice costs. libssh2's own SFTP waits for each answer before the next request; without blocking it sends
//! several, but does not tell whether one has gone out whole, and only then may another follow.

use super::file::{File, REQUEST_BYTES};
use super::wire::{self, Field, Fields};
use ssh2::{Channel, Error, ErrorCode, ExtendedData, FileStat, OpenFlags, Session};
use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Write};
use std::{iter, mem};

/// The version that is spoken.
const SPOKEN: u32 = 3;

/// The longest answer, and the longest listing in one answer, bytes. Those of a common kind are far shorter.
const ANSWER_BYTES_MAX: usize = 256 * 1024;
const LISTING_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most bytes of one write; OpenSSH's server takes twice as many.
const WRITE_BYTES_MAX: usize = 128 * 1024;

/// The extension that tells how many it is.
const LIMITS: &[u8] = b"limits@openssh.com";

/// Requests of so many bytes go out without waiting for more, so that little is held here.
const OUT_BYTES: usize = 128 * 1024;

// From libssh2.h.
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;
const SFTP_PROTOCOL: i32 = -31;

/// A connection to an SFTP server.
pub(crate) struct Sftp {
    talk: RefCell<Talk>,
    write_bytes_max: Cell<usize>,
    /// The request for the server's limits, whose answer nobody waited for yet.
    limits: Cell<Option<u32>>,
}

struct Talk {
    session: Session,
    channel: Channel,
    /// Requests that have not gone out yet.
    out: Vec<u8>,
    next: u32,
    /// Requests without an answer so far.
    open: BTreeSet<u32>,
    /// Of these, those that nobody waits for any more.
    unwanted: BTreeSet<u32>,
    /// Answers that came while another was waited for.
    early: BTreeMap<u32, Answer>,
    /// Nothing that comes after a failure can be trusted to begin where an answer begins.
    is_lost: bool,
}

/// Its kind, and what follows its number.
type Answer = (u8, Vec<u8>);

/// What a kind of answer means; none where it is not one to this request.
pub(super) type Meaning<'a, T> = fn(&'a Sftp, u8, Fields<'_>) -> Option<T>;

/// A request whose answer is still to come. Dropped, the answer is passed over when it comes.
#[must_use]
pub(crate) struct Asked<'a, T> {
    sftp: &'a Sftp,
    id: u32,
    meaning: Meaning<'a, T>,
}

impl<T> Asked<'_, T> {
    /// Sends whatever was asked and waits for this answer. A status other than success is an error.
    pub(crate) fn answer(self) -> Result<T, Error> {
        let (kind, body) = self.sftp.talk.borrow_mut().answer(self.id)?;
        let mut fields = Fields(&body);
        let meant = match kind {
            wire::STATUS => match fields.number() {
                Some(0) => (self.meaning)(self.sftp, kind, fields),
                Some(code) => {
                    let code = i32::try_from(code).unwrap_or(i32::MAX);
                    return Err(Error::from_errno(ErrorCode::SFTP(code)));
                }
                None => None,
            },
            _ => (self.meaning)(self.sftp, kind, fields),
        };
        meant.ok_or_else(|| odd("an answer that does not fit the request"))
    }
}

impl<T> Drop for Asked<'_, T> {
    fn drop(&mut self) {
        let mut talk = self.sftp.talk.borrow_mut();
        talk.early.remove(&self.id);
        if talk.open.contains(&self.id) {
            talk.unwanted.insert(self.id);
        }
    }
}

impl Sftp {
    /// Starts SFTP over a session that is logged in.
    pub(crate) fn start(session: &Session) -> Result<Sftp, Error> {
        let mut channel = session.channel_session()?;
        channel.subsystem("sftp")?;
        channel.handle_extended_data(ExtendedData::Ignore)?;
        let (open, unwanted) = (BTreeSet::new(), BTreeSet::new());
        let (session, early) = (session.clone(), BTreeMap::new());
        let mut talk =
            Talk { session, channel, out: Vec::new(), next: 0, open, unwanted, early, is_lost: false };
        // In place of a number this has the version.
        wire::put(&mut talk.out, wire::INIT, SPOKEN, &[]);
        talk.send()?;
        let (SPOKEN.., (wire::VERSION, extensions)) = talk.read()? else {
            return Err(odd("the server does not speak SFTP version 3"));
        };
        let mut extensions = Fields(&extensions);
        let names = iter::from_fn(|| {
            let name = extensions.text()?;
            extensions.text().map(|_| name)
        });
        // It goes out with what is asked next, so that it takes no time.
        let limits = names
            .into_iter()
            .any(|name| name == LIMITS)
            .then(|| talk.ask(wire::EXTENDED, &[Field::Text(LIMITS)]));
        let (talk, write_bytes_max) = (RefCell::new(talk), Cell::new(REQUEST_BYTES));
        Ok(Sftp { talk, write_bytes_max, limits: Cell::new(limits) })
    }

    /// The most bytes of one write, as far as the server tells.
    pub(crate) fn write_bytes_max(&self) -> usize {
        if let Some(id) = self.limits.take()
            && let Ok(max) = (Asked { sftp: self, id, meaning: limits }).answer()
        {
            self.write_bytes_max.set(max.clamp(REQUEST_BYTES, WRITE_BYTES_MAX));
        }
        self.write_bytes_max.get()
    }

    /// The attributes of a file or directory.
    pub(crate) fn stat(&self, path: &str) -> Asked<'_, FileStat> {
        self.ask(wire::STAT, &[text(path)], stat)
    }

    /// Opens a file; one that is made gets the permissions 644.
    pub(crate) fn open(&self, path: &str, flags: OpenFlags) -> Asked<'_, File<'_>> {
        let flags = u32::try_from(flags.bits()).unwrap_or_default();
        self.ask(
            wire::OPEN,
            &[&[text(path), Field::Number(flags)], permissions(0o644).as_slice()].concat(),
            handle,
        )
    }

    /// Opens a directory.
    pub(crate) fn opendir(&self, path: &str) -> Asked<'_, File<'_>> {
        self.ask(wire::OPENDIR, &[text(path)], handle)
    }

    /// Gives a file another name.
    pub(crate) fn rename(&self, from: &str, to: &str) -> Asked<'_, ()> {
        self.ask(wire::RENAME, &[text(from), text(to)], done)
    }

    /// Removes a file.
    pub(crate) fn unlink(&self, path: &str) -> Asked<'_, ()> {
        self.ask(wire::REMOVE, &[text(path)], done)
    }

    /// Makes a directory, with the permissions 755.
    pub(crate) fn mkdir(&self, path: &str) -> Asked<'_, ()> {
        self.ask(wire::MKDIR, &[&[text(path)], permissions(0o755).as_slice()].concat(), done)
    }

    /// Removes an empty directory.
    pub(crate) fn rmdir(&self, path: &str) -> Asked<'_, ()> {
        self.ask(wire::RMDIR, &[text(path)], done)
    }

    /// Sends what has become a lot, without waiting for an answer.
    pub(crate) fn send_much(&self) -> Result<(), Error> {
        let mut talk = self.talk.borrow_mut();
        if talk.out.len() < OUT_BYTES { Ok(()) } else { talk.send() }
    }

    pub(super) fn ask<'a, T>(
        &'a self,
        kind: u8,
        fields: &[Field<'_>],
        meaning: Meaning<'a, T>,
    ) -> Asked<'a, T> {
        let id = self.talk.borrow_mut().ask(kind, fields);
        Asked { sftp: self, id, meaning }
    }
}

fn text(text: &str) -> Field<'_> {
    Field::Text(text.as_bytes())
}

fn permissions(mode: u32) -> [Field<'static>; 2] {
    [Field::Number(wire::ATTR_PERMISSIONS), Field::Number(mode)]
}

/// The status is all; it was success.
pub(super) fn done(_: &Sftp, kind: u8, _: Fields<'_>) -> Option<()> {
    (kind == wire::STATUS).then_some(())
}

pub(super) fn stat(_: &Sftp, kind: u8, mut fields: Fields<'_>) -> Option<FileStat> {
    if kind == wire::ATTRS { fields.stat() } else { None }
}

/// The most bytes of a packet, of a read and of a write.
fn limits(_: &Sftp, kind: u8, mut fields: Fields<'_>) -> Option<usize> {
    let [_, _, write] = [fields.long()?, fields.long()?, fields.long()?];
    if kind == wire::EXTENDED_REPLY { usize::try_from(write).ok() } else { None }
}

fn handle<'a>(sftp: &'a Sftp, kind: u8, mut fields: Fields<'_>) -> Option<File<'a>> {
    if kind == wire::HANDLE { fields.text().map(|handle| File::new(sftp, handle)) } else { None }
}

pub(super) fn odd(what: &'static str) -> Error {
    Error::new(ErrorCode::Session(SFTP_PROTOCOL), what)
}

impl Talk {
    fn ask(&mut self, kind: u8, fields: &[Field<'_>]) -> u32 {
        let id = self.next;
        self.next = id.wrapping_add(1);
        wire::put(&mut self.out, kind, id, fields);
        self.open.insert(id);
        id
    }

    fn answer(&mut self, wanted: u32) -> Result<Answer, Error> {
        if let Some(answer) = self.early.remove(&wanted) {
            return Ok(answer);
        }
        self.send()?;
        loop {
            let (id, answer) = self.read()?;
            // So there are never more answers than requests.
            if !self.open.remove(&id) {
                self.is_lost = true;
                return Err(odd("an answer to what was not asked"));
            }
            if id == wanted {
                return Ok(answer);
            }
            if !self.unwanted.remove(&id) {
                self.early.insert(id, answer);
            }
        }
    }

    fn send(&mut self) -> Result<(), Error> {
        let mut out = mem::take(&mut self.out);
        let sent = if self.is_lost {
            Err(io::ErrorKind::UnexpectedEof.into())
        } else {
            self.channel.write_all(&out)
        };
        out.clear();
        self.out = out;
        sent.map_err(|e| self.failure(&e))
    }

    /// The next answer and its number.
    fn read(&mut self) -> Result<(u32, Answer), Error> {
        let mut head = [0; 9];
        self.fill(&mut head)?;
        let [b0, b1, b2, b3, kind, id @ ..] = head;
        let bytes = usize::try_from(u32::from_be_bytes([b0, b1, b2, b3])).unwrap_or(usize::MAX);
        let max = if kind == wire::NAME { LISTING_BYTES_MAX } else { ANSWER_BYTES_MAX };
        let Some(bytes) = bytes.checked_sub(5).filter(|bytes| *bytes <= max) else {
            self.is_lost = true;
            return Err(odd("what comes is not SFTP; does the log-in print something?"));
        };
        let mut body = vec![0; bytes];
        self.fill(&mut body)?;
        Ok((u32::from_be_bytes(id), (kind, body)))
    }

    fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        self.channel.read_exact(buffer).map_err(|e| self.failure(&e))
    }

    /// libssh2's own error, of which std's has only the text.
    fn failure(&mut self, error: &io::Error) -> Error {
        self.is_lost = true;
        match error.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::WriteZero => None,
            io::ErrorKind::TimedOut => Some(Error::from_errno(ErrorCode::Session(TIMEOUT))),
            _ => Error::last_session_error(&self.session),
        }
        .unwrap_or_else(|| Error::from_errno(ErrorCode::Session(SOCKET_DISCONNECT)))
    }
}

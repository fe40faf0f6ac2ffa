//! An open file or directory there.

use super::talk::{Asked, Sftp, done, stat};
use super::wire::{self, Field, Fields};
use ssh2::{Error, ErrorCode, FileStat};
use std::collections::VecDeque;
use std::io::{self, Read};

/// The bytes of one read or write that every server takes (draft-ietf-secsh-filexfer-02, section 3).
pub(crate) const REQUEST_BYTES: usize = 32 * 1024;

/// The most reads on their way at once.
const AHEAD_MAX: usize = 64;

/// Closed when it is dropped, without looking at what comes of it.
pub(crate) struct File<'a> {
    sftp: &'a Sftp,
    /// Empty once it is closed.
    handle: Vec<u8>,
    /// Where the next write goes, and the next read comes from.
    offset: u64,
    /// Reads on their way: where from.
    ahead: VecDeque<(u64, Asked<'a, Vec<u8>>)>,
    ahead_max: usize,
    /// What was read and not taken yet, from the end.
    piece: io::Cursor<Vec<u8>>,
}

impl<'a> File<'a> {
    pub(super) fn new(sftp: &'a Sftp, handle: &[u8]) -> File<'a> {
        let (handle, piece) = (handle.to_vec(), io::Cursor::default());
        File { sftp, handle, offset: 0, ahead: VecDeque::new(), ahead_max: 2, piece }
    }

    /// Writes behind what was written; at most [`Sftp::write_bytes_max`].
    pub(crate) fn write(&mut self, piece: &[u8]) -> Asked<'a, ()> {
        let fields = [Field::Text(&self.handle), Field::Long(self.offset), Field::Text(piece)];
        self.offset += piece.len() as u64;
        self.sftp.ask(wire::WRITE, &fields, done)
    }

    /// Brings what was written down to the disk (`fsync@openssh.com`).
    pub(crate) fn fsync(&self) -> Asked<'a, ()> {
        self.sftp.ask(wire::EXTENDED, &[Field::Text(b"fsync@openssh.com"), Field::Text(&self.handle)], done)
    }

    /// Its attributes.
    pub(crate) fn stat(&self) -> Asked<'a, FileStat> {
        self.sftp.ask(wire::FSTAT, &[Field::Text(&self.handle)], stat)
    }

    /// Some names of a directory; at its end the status is EOF.
    pub(crate) fn names(&self) -> Asked<'a, Vec<(Vec<u8>, FileStat)>> {
        self.sftp.ask(wire::READDIR, &[Field::Text(&self.handle)], |_, kind, mut fields| {
            if kind == wire::NAME { fields.names() } else { None }
        })
    }

    /// Closes it.
    pub(crate) fn close(mut self) -> Asked<'a, ()> {
        self.ask_to_close()
    }

    fn ask_to_close(&mut self) -> Asked<'a, ()> {
        let handle = std::mem::take(&mut self.handle);
        self.sftp.ask(wire::CLOSE, &[Field::Text(&handle)], done)
    }

    /// The next piece, empty at the end. Several are asked for ahead, more with each that comes.
    fn next_piece(&mut self) -> Result<Vec<u8>, Error> {
        while self.ahead.len() < self.ahead_max {
            let size = Field::Number(REQUEST_BYTES as u32);
            let fields = [Field::Text(&self.handle), Field::Long(self.offset), size];
            self.ahead.push_back((self.offset, self.sftp.ask(wire::READ, &fields, data)));
            self.offset += REQUEST_BYTES as u64;
        }
        let Some((from, asked)) = self.ahead.pop_front() else { return Ok(Vec::new()) };
        let piece = match asked.answer() {
            Err(e) if e.code() == ErrorCode::SFTP(END) => Vec::new(),
            answer => answer?,
        };
        self.ahead_max = AHEAD_MAX.min(2 * self.ahead_max);
        if piece.len() < REQUEST_BYTES {
            // Mostly this is the end. If not, what was asked for behind it leaves a gap.
            self.ahead.clear();
            self.offset = from + piece.len() as u64;
            self.ahead_max = 1;
        }
        Ok(piece)
    }
}

/// SSH_FX_EOF.
const END: i32 = 1;

/// A server that gives nothing, or more than was asked for, would never come to an end.
fn data(_: &Sftp, kind: u8, mut fields: Fields<'_>) -> Option<Vec<u8>> {
    let piece = if kind == wire::DATA { fields.text()? } else { return None };
    (1..=REQUEST_BYTES).contains(&piece.len()).then(|| piece.to_vec())
}

impl Read for File<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.piece.position() == self.piece.get_ref().len() as u64 {
            self.piece = io::Cursor::new(self.next_piece()?);
        }
        self.piece.read(buffer)
    }
}

impl Drop for File<'_> {
    fn drop(&mut self) {
        if !self.handle.is_empty() {
            drop(self.ask_to_close());
        }
    }
}

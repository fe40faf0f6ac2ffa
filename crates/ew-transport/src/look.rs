//! Looking at what is at a receiver: names, sizes, contents. Nothing there is ever changed.

use crate::TransportError;
use crate::error::{ErrorKind, Fault};
use crate::source::{PIECE_BYTES, hex, read_some};
use sha2::{Digest, Sha256};
use std::io::{self, Read};

/// Names that a listing may have at most: far sides are not trusted to end it.
pub(crate) const NAMES_MAX: usize = 1_000_000;

/// What a receiver says of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer<T> {
    /// It is there, and this is what was asked for.
    Is(T),
    /// No file of that name is there.
    Absent,
    /// The receiver does not say; why.
    Unknown(String),
}

impl<T> Answer<T> {
    pub(crate) fn map<U>(self, make: impl FnOnce(T) -> U) -> Answer<U> {
        match self {
            Answer::Is(found) => Answer::Is(make(found)),
            Answer::Absent => Answer::Absent,
            Answer::Unknown(why) => Answer::Unknown(why),
        }
    }
}

/// A file in the receiver's directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Its size, where the listing tells it.
    pub bytes: Option<u64>,
}

/// What stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// A file of so many bytes.
    Bytes(u64),
    /// A file whose size is not told.
    Untold,
    /// A directory.
    Directory,
}

impl Size {
    /// Of a file as it is told.
    pub(crate) fn of_file(bytes: Option<u64>) -> Size {
        bytes.map_or(Size::Untold, Size::Bytes)
    }
}

/// What a file read back holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Bytes read; more than were allowed where it was longer and not read to its end.
    pub bytes: u64,
    /// Of those bytes, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

/// Looks at one receiver, over one connection as long as it lasts. What the receiver does not let be seen is an
/// answer ([`Answer::Unknown`]); an error says that it cannot be asked at all.
pub trait Look {
    /// The files in its directory, without folders, in no order. [`Answer::Absent`] is never the answer.
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError>;

    /// What stands under a name.
    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError>;

    /// Reads a file back, at most little more than `bytes_max` bytes of it, and hashes it.
    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError>;

    /// The bytes of a small file, at most little more than `bytes_max`.
    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError>;
}

/// What was read: hashed, or kept.
pub(crate) trait Sink: Default {
    fn take(&mut self, piece: &[u8]);
}

#[derive(Default)]
pub(crate) struct Hashed {
    bytes: u64,
    hash: Sha256,
}

impl Sink for Hashed {
    fn take(&mut self, piece: &[u8]) {
        self.bytes += piece.len() as u64;
        self.hash.update(piece);
    }
}

impl From<Hashed> for Content {
    fn from(read: Hashed) -> Content {
        Content { bytes: read.bytes, sha256: hex(read.hash) }
    }
}

impl Sink for Vec<u8> {
    fn take(&mut self, piece: &[u8]) {
        self.extend_from_slice(piece);
    }
}

/// Reads to the end, or until there are more bytes than allowed.
pub(crate) fn drain<S: Sink>(mut from: impl Read, bytes_max: u64) -> io::Result<S> {
    let (mut piece, mut sink, mut bytes) = (vec![0; PIECE_BYTES], S::default(), 0);
    while bytes <= bytes_max {
        let count = read_some(&mut from, &mut piece)?;
        if count == 0 {
            break;
        }
        bytes += count as u64;
        sink.take(&piece[..count]);
    }
    Ok(sink)
}

/// A far side that says no, or that it failed, has answered all the same.
pub(crate) fn answer<T>(asked: Result<T, Fault>) -> Result<Answer<T>, Fault> {
    match asked {
        Ok(found) => Ok(Answer::Is(found)),
        Err(fault) => match fault.kind {
            ErrorKind::Missing => Ok(Answer::Absent),
            ErrorKind::Refused | ErrorKind::FarSide => Ok(Answer::Unknown(fault.reason)),
            _ => Err(fault),
        },
    }
}

/// A listing without an end is none.
pub(crate) fn too_many(directory: &impl std::fmt::Display) -> Fault {
    Fault::new(ErrorKind::FarSide, format!("list {directory}: more than {NAMES_MAX} names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A far side may send without end.
    #[test]
    fn reads_little_more_than_was_asked_for() {
        let read: Hashed = drain(io::repeat(7), 10).unwrap();
        assert!((11..=10 + PIECE_BYTES as u64).contains(&Content::from(read).bytes));
        let whole: Vec<u8> = drain(&b"ten bytes."[..], 10).unwrap();
        assert_eq!(whole, b"ten bytes.");
        let none: Hashed = drain(io::empty(), 0).unwrap();
        let sha256_of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Content::from(none), Content { bytes: 0, sha256: sha256_of_nothing.to_owned() });
    }
}

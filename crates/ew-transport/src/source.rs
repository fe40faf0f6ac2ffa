//! The file to be sent, and SHA-256 of what is read.

use crate::Parcel;
use crate::error::{ErrorKind, Fault};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::mpsc;
use std::thread;

/// Bytes read at once.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// Files longer than this are read by a thread of their own, bytes.
const AHEAD_BYTES_MIN: u64 = 1024 * 1024;

/// Pieces that it reads ahead.
const AHEAD_MAX: usize = 2;

/// The bytes of a parcel, watched: at the end they must be those that were recorded.
pub(crate) struct Source<'a> {
    path: &'a Path,
    bytes_recorded: u64,
    sha256: &'a str,
    file: File,
    /// None where the bytes were checked before.
    hash: Option<Sha256>,
    bytes: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn open(parcel: &Parcel<'a>) -> Result<Source<'a>, Fault> {
        let file = File::open(parcel.file).map_err(|e| Fault::local("open", parcel.file, &e))?;
        let Parcel { file: path, bytes: bytes_recorded, sha256, .. } = *parcel;
        let hash = (!parcel.is_checked).then(Sha256::new);
        Ok(Source { path, bytes_recorded, sha256, file, hash, bytes: 0 })
    }

    /// Reads up to the length of `piece`, which is not empty; 0 at the end, where the whole is checked.
    pub(crate) fn read(&mut self, piece: &mut [u8]) -> Result<usize, Fault> {
        let count = read_some(&mut self.file, piece).map_err(|e| Fault::local("read", self.path, &e))?;
        if let Some(hash) = &mut self.hash {
            hash.update(&piece[..count]);
        }
        self.bytes += count as u64;
        if count == 0 || self.bytes > self.bytes_recorded {
            self.check()?;
        }
        Ok(count)
    }

    /// Gives all of it away, piece by piece. Of a long file the next ones are read and hashed meanwhile.
    pub(crate) fn each(mut self, mut take: impl FnMut(&[u8]) -> Result<(), Fault>) -> Result<(), Fault> {
        if self.bytes_recorded < AHEAD_BYTES_MIN {
            let mut piece = vec![0; PIECE_BYTES];
            loop {
                match self.read(&mut piece)? {
                    0 => return Ok(()),
                    count => take(&piece[..count])?,
                }
            }
        }
        thread::scope(|scope| {
            let (ahead, pieces) = mpsc::sync_channel(AHEAD_MAX);
            let path = self.path;
            scope.spawn(move || {
                loop {
                    let mut piece = vec![0; PIECE_BYTES];
                    let count = self.read(&mut piece);
                    piece.truncate(*count.as_ref().unwrap_or(&0));
                    let is_last = piece.is_empty();
                    if ahead.send(count.map(|_| piece)).is_err() || is_last {
                        return;
                    }
                }
            });
            loop {
                // Without a last piece the whole was not checked.
                let cut = |_| Fault::local("read", path, &io::ErrorKind::UnexpectedEof.into());
                let piece = pieces.recv().map_err(cut)??;
                if piece.is_empty() {
                    return Ok(());
                }
                take(&piece)?;
            }
        })
    }

    /// The file itself where its bytes were checked before, so that the system may copy it.
    pub(crate) fn checked(&mut self) -> Option<&mut File> {
        self.hash.is_none().then_some(&mut self.file)
    }

    /// The file itself, from its beginning, for somebody else to read.
    pub(crate) fn rewound(mut self) -> Result<File, Fault> {
        self.file.rewind().map_err(|e| Fault::local("read", self.path, &e))?;
        Ok(self.file)
    }

    fn check(&self) -> Result<(), Fault> {
        let is_same = self.hash.as_ref().is_none_or(|hash| hex(hash.clone()) == self.sha256);
        if self.bytes == self.bytes_recorded && is_same {
            return Ok(());
        }
        let reason = format!("read {}: its content is not what was recorded", self.path.display());
        Err(Fault::new(ErrorKind::Local, reason).hint("the file was altered or damaged after it was made"))
    }
}

pub(crate) fn read_some(from: &mut impl Read, piece: &mut [u8]) -> io::Result<usize> {
    loop {
        match from.read(piece) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// SHA-256 of all that comes, if it is exactly `bytes` long.
pub(crate) fn sha256_of(mut from: impl Read, bytes: u64) -> io::Result<Option<String>> {
    let mut piece = vec![0; PIECE_BYTES];
    let (mut hash, mut left) = (Sha256::new(), bytes);
    loop {
        let count = read_some(&mut from, &mut piece)?;
        if count == 0 {
            return Ok((left == 0).then(|| hex(hash)));
        }
        let Some(rest) = left.checked_sub(count as u64) else { return Ok(None) };
        left = rest;
        hash.update(&piece[..count]);
    }
}

/// The same for one file at one receiver in every attempt, on every machine: 40 lower-case hexadecimal digits.
pub(crate) fn parcel_id(destination: &str, parcel: &Parcel<'_>) -> String {
    let mut hash = Sha256::new();
    for part in [destination, parcel.name, parcel.sha256] {
        hash.update(part);
        // No text holds it, so no two triples run into one.
        hash.update([0]);
    }
    // 20 bytes of it tell all slices apart.
    let mut text = hex(hash);
    text.truncate(40);
    text
}

/// A finished SHA-256 as lower-case hexadecimal digits.
pub(crate) fn hex(hash: Sha256) -> String {
    hash.finalize().iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// Also where another thread reads, all of it comes in order, and not without an error where it was altered.
    #[test]
    fn each_piece_comes_once_and_the_whole_is_checked() {
        let dir = tempfile::tempdir().unwrap();
        for bytes in [0, 1, PIECE_BYTES, AHEAD_BYTES_MIN as usize, 3 * 1024 * 1024 + 1] {
            let content: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
            let path = dir.path().join("slice");
            fs::write(&path, &content).unwrap();
            let sha256 = hex(Sha256::new_with_prefix(&content));
            let each = |bytes_recorded: usize, sha256: &str, is_checked: bool| {
                let (file, bytes_recorded) = (File::open(&path).unwrap(), bytes_recorded as u64);
                let source = Source {
                    path: &path,
                    bytes_recorded,
                    sha256,
                    file,
                    hash: (!is_checked).then(Sha256::new),
                    bytes: 0,
                };
                let mut came = Vec::new();
                source.each(|piece| {
                    came.extend_from_slice(piece);
                    Ok(())
                })?;
                Ok::<_, Fault>(came)
            };
            let other = hex(Sha256::new_with_prefix("x"));
            assert!(each(bytes, &sha256, false).unwrap() == content, "{bytes}");
            assert!(each(bytes, &other, true).unwrap() == content, "{bytes}: it was checked before");
            assert_eq!(each(bytes, &other, false).unwrap_err().kind, ErrorKind::Local);
            for is_checked in [false, true] {
                assert_eq!(each(bytes + 1, &sha256, is_checked).unwrap_err().kind, ErrorKind::Local);
            }
        }
    }
}

//! The file to be sent, and SHA-256 of what is read.

use crate::Parcel;
use crate::error::{ErrorKind, Fault};
use sha2::{Digest, Sha256};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read, Seek};

/// Bytes read at once.
pub(crate) const PIECE_BYTES: usize = 256 * 1024;

/// The bytes of a parcel, watched: at the end they must be those that were recorded.
pub(crate) struct Source<'a> {
    parcel: &'a Parcel<'a>,
    file: File,
    hash: Sha256,
    bytes: u64,
}

impl<'a> Source<'a> {
    pub(crate) fn open(parcel: &'a Parcel<'a>) -> Result<Source<'a>, Fault> {
        let file = File::open(parcel.file).map_err(|e| Fault::local("open", parcel.file, &e))?;
        Ok(Source { parcel, file, hash: Sha256::new(), bytes: 0 })
    }

    /// Reads up to the length of `piece`, which is not empty; 0 at the end, where the whole is checked.
    pub(crate) fn read(&mut self, piece: &mut [u8]) -> Result<usize, Fault> {
        let count =
            read_some(&mut self.file, piece).map_err(|e| Fault::local("read", self.parcel.file, &e))?;
        self.hash.update(&piece[..count]);
        self.bytes += count as u64;
        if count == 0 || self.bytes > self.parcel.bytes {
            self.check()?;
        }
        Ok(count)
    }

    /// The file itself, from its beginning, for somebody else to read.
    pub(crate) fn rewound(mut self) -> Result<File, Fault> {
        self.file.rewind().map_err(|e| Fault::local("read", self.parcel.file, &e))?;
        Ok(self.file)
    }

    fn check(&self) -> Result<(), Fault> {
        let parcel = self.parcel;
        if self.bytes == parcel.bytes && hex(self.hash.clone()) == parcel.sha256 {
            return Ok(());
        }
        let reason = format!("read {}: its content is not what was recorded", parcel.file.display());
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

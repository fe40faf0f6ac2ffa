//! The body of a request, streamed from the file.

use crate::Parcel;
use crate::error::Fault;
use crate::source::{PIECE_BYTES, Source};
use std::io::{self, Read};

/// The bytes of a parcel between a beginning and an end. Its last piece is kept back until the whole is known to be
/// what was recorded: a receiver that waits for `Content-Length` bytes never takes a damaged file.
pub(crate) struct Upload<'a> {
    source: Option<Source<'a>>,
    tail: Vec<u8>,
    /// The next piece, kept back.
    next: Vec<u8>,
    /// What is being read, and how far.
    piece: Vec<u8>,
    at: usize,
    is_end: bool,
    fault: Option<Fault>,
}

impl<'a> Upload<'a> {
    /// The file between other bytes, or none.
    pub(crate) fn between(parcel: &'a Parcel<'a>, head: Vec<u8>, tail: Vec<u8>) -> Result<Upload<'a>, Fault> {
        let mut upload = Upload { source: Some(Source::open(parcel)?), tail, ..Upload::of(head) };
        upload.next = upload.read_next()?;
        Ok(upload)
    }

    /// Other bytes alone.
    pub(crate) fn of(bytes: Vec<u8>) -> Upload<'a> {
        let (tail, next) = (Vec::new(), Vec::new());
        Upload { source: None, tail, next, piece: bytes, at: 0, is_end: false, fault: None }
    }

    /// Why it could not be read to its end: of two failures at once, the one here.
    pub(crate) fn fault(self) -> Option<Fault> {
        self.fault
    }

    fn read_next(&mut self) -> Result<Vec<u8>, Fault> {
        let Some(source) = &mut self.source else { return Ok(Vec::new()) };
        let mut next = vec![0; PIECE_BYTES];
        let count = source.read(&mut next)?;
        next.truncate(count);
        Ok(next)
    }

    /// Moves on to the next piece.
    fn turn(&mut self) -> Result<(), Fault> {
        self.at = 0;
        self.piece = std::mem::take(&mut self.next);
        if !self.piece.is_empty() {
            self.next = self.read_next()?;
        } else if !self.is_end {
            self.is_end = true;
            self.piece = std::mem::take(&mut self.tail);
        }
        Ok(())
    }
}

impl Read for Upload<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.piece.len() {
            if self.is_end {
                return Ok(0);
            }
            if self.fault.is_none()
                && let Err(fault) = self.turn()
            {
                self.piece.clear();
                self.fault = Some(fault);
            }
            if let Some(fault) = &self.fault {
                return Err(io::Error::other(fault.reason.clone()));
            }
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}

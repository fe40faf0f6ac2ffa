//! Line ends on the way: CR LF in TYPE A (RFC 959, section 3.1.1.1), LF to compare.

use std::io::{self, Read};

/// Makes each LF without a CR before it a CR LF, piece by piece.
#[derive(Debug, Default)]
pub(crate) struct ToNetwork {
    was_cr: bool,
}

impl ToNetwork {
    pub(crate) fn convert(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 16);
        for &byte in piece {
            if byte == b'\n' && !self.was_cr {
                out.push(b'\r');
            }
            out.push(byte);
            self.was_cr = byte == b'\r';
        }
        out
    }
}

/// What is read, with LF for each CR LF.
pub(crate) struct Lines<R> {
    from: R,
    /// A CR that waits for what comes after it.
    has_cr: bool,
    /// A byte that had no room.
    left: Option<u8>,
}

impl<R: Read> Lines<R> {
    pub(crate) fn new(from: R) -> Lines<R> {
        Lines { from, has_cr: false, left: None }
    }
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let (Some(byte), Some(first)) = (self.left, buffer.first_mut()) {
            *first = byte;
            self.left = None;
            return Ok(1);
        }
        // One CR may come out before the first byte.
        let mut piece = vec![0; buffer.len().saturating_sub(1).max(1)];
        loop {
            let count = self.from.read(&mut piece)?;
            let mut out = Vec::with_capacity(count + 1);
            for &byte in &piece[..count] {
                if self.has_cr && byte != b'\n' {
                    out.push(b'\r');
                }
                self.has_cr = byte == b'\r';
                if !self.has_cr {
                    out.push(byte);
                }
            }
            if count == 0 && std::mem::take(&mut self.has_cr) {
                out.push(b'\r');
            }
            if out.is_empty() && count > 0 {
                continue;
            }
            let room = out.len().min(buffer.len());
            buffer[..room].copy_from_slice(&out[..room]);
            self.left = out.get(room).copied();
            return Ok(room);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back_however_it_is_cut() {
        let text = b"a\nb\r\nc\r\rd\n\n\r\n\r";
        for pieces in 1..=text.len() {
            let mut to = ToNetwork::default();
            let network: Vec<u8> = text.chunks(pieces).flat_map(|piece| to.convert(piece)).collect();
            assert_eq!(network, b"a\r\nb\r\nc\r\rd\r\n\r\n\r\n\r");
            let mut back = Vec::new();
            let mut lines = Lines::new(&*network);
            let mut buffer = vec![0; pieces];
            loop {
                match lines.read(&mut buffer).unwrap() {
                    0 => break,
                    count => back.extend_from_slice(&buffer[..count]),
                }
            }
            assert_eq!(back, b"a\nb\nc\r\rd\n\n\n\r", "{pieces}");
        }
    }
}

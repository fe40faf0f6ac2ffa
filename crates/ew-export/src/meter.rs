//! The size and the hash of a file while it passes.

use sha2::{Digest, Sha256};
use std::io::{self, BufReader, Read, Write};

/// Read at once, bytes.
const PIECE_BYTES: usize = 1 << 16;

/// Counts and hashes what passes through.
pub(crate) struct Meter<W> {
    out: W,
    bytes: u64,
    hash: Sha256,
}

impl<W> Meter<W> {
    pub(crate) fn new(out: W) -> Meter<W> {
        Meter { out, bytes: 0, hash: Sha256::new() }
    }

    /// The bytes that passed, and their SHA-256 as the ledger writes it.
    pub(crate) fn finish(self) -> (u64, String) {
        (self.bytes, hex(&self.hash.finalize()))
    }
}

impl<W: Write> Write for Meter<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let n = self.out.write(buffer)?;
        self.hash.update(&buffer[..n]);
        self.bytes += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// SHA-256 of all that can be read, as the ledger writes it.
pub(crate) fn sha256_of_all(reader: impl Read) -> io::Result<String> {
    let mut meter = Meter::new(io::sink());
    io::copy(&mut BufReader::with_capacity(PIECE_BYTES, reader), &mut meter)?;
    Ok(meter.finish().1)
}

/// SHA-256 of the bytes of a document, as the ledger writes hashes.
pub fn sha256_of(text: &str) -> String {
    hex(&Sha256::digest(text))
}

/// In lower case.
fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

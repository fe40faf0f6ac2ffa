//! The key `compress`: the file as gzip (RFC 1952) or Zstandard (RFC 8878), always the same bytes for the same
//! text.

use flate2::GzBuilder;
use flate2::write::GzEncoder;
use serde::Deserialize;
use std::io::{self, Write};

/// How a file is compressed before it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// gzip: no time, no name and no operating system in its header.
    Gzip,
    /// Zstandard, with a checksum of its content.
    Zstd,
}

impl Compression {
    /// What a file name gets after its format's extension, without the dot.
    pub fn extension(self) -> &'static str {
        match self {
            Compression::Gzip => "gz",
            Compression::Zstd => "zst",
        }
    }

    /// The media type (RFC 6713, RFC 8878).
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Compression::Gzip => "application/gzip",
            Compression::Zstd => "application/zstd",
        }
    }
}

/// `OS` of a gzip header: unknown (RFC 1952, section 2.3.1).
const OS_UNKNOWN: u8 = 255;

/// Compresses what passes through, or leaves it as it is. The file is whole only after
/// [`Compressor::finish`].
pub struct Compressor<W: Write>(Kind<W>);

enum Kind<W: Write> {
    Plain(W),
    Gzip(GzEncoder<W>),
    Zstd(zstd::Encoder<'static, W>),
}

impl<W: Write> Compressor<W> {
    /// Begins a file.
    pub fn new(compression: Option<Compression>, out: W) -> io::Result<Compressor<W>> {
        Ok(Compressor(match compression {
            None => Kind::Plain(out),
            Some(Compression::Gzip) => {
                let header = GzBuilder::new().mtime(0).operating_system(OS_UNKNOWN);
                Kind::Gzip(header.write(out, flate2::Compression::default()))
            }
            Some(Compression::Zstd) => {
                let mut encoder = zstd::Encoder::new(out, zstd::DEFAULT_COMPRESSION_LEVEL)?;
                encoder.include_checksum(true)?;
                Kind::Zstd(encoder)
            }
        }))
    }

    /// Writes what is left, and flushes.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Kind::Plain(out) => Ok(out),
            Kind::Gzip(encoder) => encoder.finish(),
            Kind::Zstd(encoder) => encoder.finish(),
        }
        .and_then(|mut out| out.flush())
    }
}

impl<W: Write> Write for Compressor<W> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.0 {
            Kind::Plain(out) => out.write(buffer),
            Kind::Gzip(encoder) => encoder.write(buffer),
            Kind::Zstd(encoder) => encoder.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.0 {
            Kind::Plain(out) => out.flush(),
            // A block cut short here would only cost bytes.
            Kind::Gzip(_) | Kind::Zstd(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn compressed(compression: Compression, text: &[u8], pieces: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut out = Compressor::new(Some(compression), &mut bytes).unwrap();
        for piece in text.chunks(pieces) {
            out.write_all(piece).unwrap();
            out.flush().unwrap();
        }
        out.finish().unwrap();
        bytes
    }

    /// Headers by hand from RFC 1952, section 2.3, and RFC 8878, section 3.1.1.
    #[test]
    fn fixed_headers() {
        let gzip = compressed(Compression::Gzip, b"timestamp,a\n", 100);
        // Magic, deflate, no flags, no time, no extra flags, OS unknown.
        assert_eq!(gzip[..10], [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]);
        // The length of the text, little-endian, ends it.
        assert_eq!(gzip[gzip.len() - 4..], [12, 0, 0, 0]);
        let zstd = compressed(Compression::Zstd, b"timestamp,a\n", 100);
        // Magic, then a frame with a checksum, of a size that is not said, in a window of 2 MiB.
        assert_eq!(zstd[..6], [0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58]);
    }

    #[test]
    fn the_same_bytes_however_they_come_and_back_again() {
        let text: Vec<u8> = (0..200_000u64).flat_map(|n| (n * n % 977).to_string().into_bytes()).collect();
        for compression in [Compression::Gzip, Compression::Zstd] {
            let bytes = compressed(compression, &text, 1 << 16);
            assert!(bytes == compressed(compression, &text, 1000), "{compression:?}");
            assert!(bytes.len() < text.len() / 2, "{compression:?}");
            let mut back = Vec::new();
            match compression {
                Compression::Gzip => flate2::read::GzDecoder::new(&*bytes).read_to_end(&mut back).unwrap(),
                Compression::Zstd => zstd::Decoder::new(&*bytes).unwrap().read_to_end(&mut back).unwrap(),
            };
            assert!(back == text, "{compression:?}");
        }
    }
}

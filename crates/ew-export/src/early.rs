//! The copy that is kept of a long file, made while that is rendered: afterwards its delivery would wait for it.

use crate::kept::{LEVEL, PIECE_BYTES};
use ew_transport::LONG_BYTES;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use zstd::Encoder;
use zstd::zstd_safe::CParameter;

/// zstd compresses in a thread of its own, beside those that make the text and the one that writes it.
const THREADS: u32 = 1;

/// What that compresses at a time, bytes: half of what zstd would, as it keeps several of them in memory.
const JOB_BYTES: u32 = 1 << 20;

/// A compressed copy in the spool, removed with this unless it was taken from there.
pub(crate) struct EarlyCopy {
    path: PathBuf,
    file: File,
}

impl EarlyCopy {
    /// Gives it another name, on this file system or on another one, when all of it is on the disk.
    pub(crate) fn move_to(&self, to: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match std::fs::rename(&self.path, to) {
            Err(e) if e.kind() == ErrorKind::CrossesDevices => {
                let copied = std::fs::copy(&self.path, to).and_then(|_| File::open(to)?.sync_all());
                // A full disk needs the room.
                copied.inspect_err(|_| drop(std::fs::remove_file(to)))
            }
            renamed => renamed,
        }
    }
}

impl Drop for EarlyCopy {
    fn drop(&mut self) {
        // The next run cleans the spool.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// A file of the spool while it is written, and its copy from where it is long ([`LONG_BYTES`]). A copy that fails is none:
/// there is time for another one when the file is delivered.
pub(crate) struct Watched<'a> {
    path: &'a Path,
    file: &'a File,
    bytes: u64,
    copy: Copy,
}

enum Copy {
    None,
    /// Where it is to lie.
    Later(PathBuf),
    Begun(Box<Encoder<'static, EarlyCopy>>),
}

impl<'a> Watched<'a> {
    /// A file that is empty. `copy`: where its copy is to lie, if one is kept.
    pub(crate) fn new(path: &'a Path, file: &'a File, copy: Option<PathBuf>) -> Watched<'a> {
        Watched { path, file, bytes: 0, copy: copy.map_or(Copy::None, Copy::Later) }
    }

    /// The copy of the whole file, if there is one.
    pub(crate) fn finish(self) -> Option<EarlyCopy> {
        match self.copy {
            Copy::Begun(encoder) => encoder.finish().ok(),
            Copy::None | Copy::Later(_) => None,
        }
    }
}

impl Write for Watched<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        let written = match self.file.write(buffer) {
            // The file comes first.
            Err(e) if is_full(&e) && matches!(self.copy, Copy::Begun(_)) => {
                self.copy = Copy::None;
                self.file.write(buffer)
            }
            written => written,
        };
        let count = written?;
        self.bytes += count as u64;
        match &mut self.copy {
            Copy::Begun(encoder) => {
                if encoder.write_all(&buffer[..count]).is_err() {
                    self.copy = Copy::None;
                }
            }
            Copy::Later(to) if self.bytes >= LONG_BYTES => {
                self.copy = begin(self.path, to).map_or(Copy::None, |encoder| Copy::Begun(Box::new(encoder)));
            }
            Copy::None | Copy::Later(_) => {}
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Nothing more may be written, on this disk or by this user.
fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

/// A copy of what was written so far.
fn begin(file: &Path, to: &Path) -> io::Result<Encoder<'static, EarlyCopy>> {
    let copy = EarlyCopy { path: to.to_owned(), file: File::create(to)? };
    let mut encoder = Encoder::new(copy, LEVEL)?;
    encoder.multithread(THREADS)?;
    encoder.set_parameter(CParameter::JobSize(JOB_BYTES))?;
    io::copy(&mut BufReader::with_capacity(PIECE_BYTES, File::open(file)?), &mut encoder)?;
    Ok(encoder)
}

impl Write for EarlyCopy {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.file.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(bytes: u64, copy: &Path) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("slice");
        let file = File::create(&path).unwrap();
        let mut watched = Watched::new(&path, &file, Some(copy.to_owned()));
        let text: Vec<u8> = (0..bytes).map(|n| (n % 251) as u8).collect();
        for piece in text.chunks(100_000) {
            watched.write_all(piece).unwrap();
        }
        let early = watched.finish();
        assert!(std::fs::read(&path).unwrap() == text);
        assert_eq!(copy.exists(), early.is_some());
        let copied = early.map(|early| zstd::decode_all(File::open(&early.path).unwrap()).unwrap());
        assert!(copied.as_ref().is_none_or(|copied| *copied == text));
        copied
    }

    #[test]
    fn a_long_file_is_copied_whole_and_the_copy_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("slice.zst");
        assert!(copied(LONG_BYTES - 1, &copy).is_none());
        for bytes in [LONG_BYTES, LONG_BYTES + 1, 2 * LONG_BYTES + 12_345] {
            assert!(copied(bytes, &copy).is_some(), "{bytes}");
            assert!(!copy.exists(), "{bytes}");
        }
    }

    /// The file is written all the same.
    #[test]
    fn a_copy_that_fails_is_none() {
        let dir = tempfile::tempdir().unwrap();
        assert!(copied(LONG_BYTES + 1, &dir.path().join("none/slice.zst")).is_none());
        // By another name: the copy is removed.
        let full = dir.path().join("full");
        std::os::unix::fs::symlink("/dev/full", &full).unwrap();
        assert!(copied(3 * LONG_BYTES, &full).is_none());
    }
}

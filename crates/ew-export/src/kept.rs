//! Delivered files, kept compressed so that they can be sent again byte for byte.

use crate::early::EarlyCopy;
use crate::job::JobRun;
use crate::meter::sha256_of_all;
use crate::render;
use ew_cli::Failure;
use ew_config::Config;
use ew_core::Exit;
use ew_store::{Delivery, Job, Log};
use ew_transport::LONG_BYTES;
use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::thread::{self, JoinHandle};

/// Fast: a file is compressed with every delivery and read again hardly ever.
pub(crate) const LEVEL: i32 = 1;

/// Read at once, bytes: what zstd compresses at once.
pub(crate) const PIECE_BYTES: usize = 128 * 1024;

/// Of kept files.
const EXTENSION: &str = ".zst";

/// The name of a kept file by the one that it had in the spool.
pub(crate) fn name(spool: &str) -> String {
    format!("{spool}{EXTENSION}")
}

/// The name in the spool of a kept file.
pub(crate) fn spool_name(kept: &str) -> &str {
    kept.strip_suffix(EXTENSION).unwrap_or(kept)
}

/// Whether delivered files are kept at all.
pub(crate) fn are_wanted(config: &Config) -> bool {
    !config.log.keep_files.0.is_zero()
}

fn dir(job: &JobRun<'_>) -> PathBuf {
    Log::kept_dir(job.log.path(), &job.options.name)
}

/// The name that a kept file has until it is whole.
fn temporary(whole: &Path) -> PathBuf {
    let mut part = whole.as_os_str().to_owned();
    part.push(".part");
    PathBuf::from(part)
}

/// A kept file.
pub(crate) fn path(job: &JobRun<'_>, name: &str) -> PathBuf {
    dir(job).join(name)
}

/// When a kept file was made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Made {
    /// With this delivery, under its temporary name.
    New,
    /// With an earlier one of the same slice.
    Before,
}

/// The file of a slice on its way to the kept ones: it is compressed while the slice is recorded and sent, unless it was
/// before, and gets its name when that is delivered.
pub(crate) struct Keeping {
    dir: PathBuf,
    name: String,
    part: PathBuf,
    work: Option<JoinHandle<io::Result<Made>>>,
}

impl Keeping {
    /// Begins with a file of the spool, by its name there, or with its copy; none where the job keeps none.
    pub(crate) fn start(
        job: &JobRun<'_>,
        spool: &str,
        (bytes, sha256): (u64, &str),
        early: Option<EarlyCopy>,
    ) -> Option<Keeping> {
        if !are_wanted(job.config) {
            return None;
        }
        let (dir, name) = (dir(job), name(spool));
        let whole = dir.join(&name);
        let part = temporary(&whole);
        let (from, into, to) = (render::spool_file(job, spool), dir.clone(), part.clone());
        let (is_shared, sha256) = (job.options.transport.shares_file(bytes), sha256.to_owned());
        let work = move || {
            std::fs::create_dir_all(&into)?;
            match early {
                Some(early) if early.move_to(&to).is_ok() => {}
                // It is there where the slice is sent again.
                None if holds(&whole, &sha256) => return Ok(Made::Before),
                _ if is_shared => compress_shared(&from, &to, &sha256)?,
                _ => compress(&from, &to)?,
            }
            Ok(Made::New)
        };
        let work = thread::Builder::new().name("keeper".into()).spawn(work).ok();
        Some(Keeping { dir, name, part, work })
    }

    /// Keeps the file of a slice that was just delivered. Where that fails the delivery stands all the same, so
    /// it is a warning: the slice can still be rendered again. The file's name among the kept ones.
    pub(crate) fn keep(mut self, job: &JobRun<'_>) -> Option<String> {
        match self.finish() {
            Ok(()) => Some(std::mem::take(&mut self.name)),
            Err(error) => {
                job.report.warning(format_args!(
                    "{}: cannot keep {} in {}: {error}; the slice is delivered all the same",
                    job.options.name,
                    self.name,
                    self.dir.display()
                ));
                None
            }
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        if self.made()? == Made::Before {
            return Ok(());
        }
        std::fs::rename(&self.part, self.dir.join(&self.name))
            .inspect_err(|_| drop(std::fs::remove_file(&self.part)))?;
        File::open(&self.dir)?.sync_all()
    }

    fn made(&mut self) -> io::Result<Made> {
        match self.work.take().map(JoinHandle::join) {
            Some(Ok(done)) => done,
            Some(Err(_)) | None => Err(io::Error::other("there is no thread for it")),
        }
    }
}

impl Drop for Keeping {
    fn drop(&mut self) {
        if self.work.is_some() && matches!(self.made(), Ok(Made::New)) {
            // It was not delivered.
            let _ = std::fs::remove_file(&self.part);
        }
    }
}

/// Whether a kept file is what was delivered.
fn holds(path: &Path, sha256: &str) -> bool {
    let hash = || sha256_of_all(zstd::Decoder::new(File::open(path)?)?);
    hash().is_ok_and(|hash| hash == sha256)
}

/// Compresses a file of the spool.
fn compress(file: &Path, part: &Path) -> io::Result<()> {
    let written = || {
        let (file, mut out) = (File::open(file)?, File::create(part)?);
        if file.metadata()?.len() < LONG_BYTES {
            // In one piece, which needs no window beside it.
            let mut text = Vec::new();
            (&file).read_to_end(&mut text)?;
            out.write_all(&zstd::bulk::compress(&text, LEVEL)?)?;
        } else {
            let mut encoder = zstd::Encoder::new(&out, LEVEL)?;
            io::copy(&mut BufReader::with_capacity(PIECE_BYTES, file), &mut encoder)?;
            encoder.finish()?;
        }
        out.sync_all()
    };
    // A full disk needs the room.
    written().inspect_err(|_| drop(std::fs::remove_file(part)))
}

/// Compresses a file of the spool that the far side may be writing into.
fn compress_shared(file: &Path, part: &Path, sha256: &str) -> io::Result<()> {
    compress(file, part)?;
    if holds(part, sha256) {
        return Ok(());
    }
    let _ = std::fs::remove_file(part);
    Err(io::Error::other(format!("{} was changed meanwhile", file.display())))
}

/// Puts the kept file of a slice back into the spool; whether there is one that can be read. It may not be as recorded.
pub(crate) fn restore(job: &JobRun<'_>, slice: &Delivery, spool: &str) -> bool {
    let Some(name) = &slice.kept else { return false };
    let (from, to) = (path(job, name), render::spool_file(job, spool));
    let restored = || {
        let file = File::open(&from)?;
        std::fs::create_dir_all(render::spool_dir(job))?;
        zstd::stream::copy_decode(file, render::new_file(&to)?)
    };
    if let Err(error) = restored() {
        // A part of it is no file of the slice, and a full disk needs the room.
        let _ = std::fs::remove_file(&to);
        job.report.warning(format_args!(
            "{}: cannot restore the kept file {}: {error}; the slice is rendered again",
            job.options.name,
            from.display()
        ));
        return false;
    }
    true
}

/// Removes what a killed run kept of a slice and could not record any more, once that slice is passed over: the ledger knows
/// nothing of such a file, so it would stay for ever.
pub fn remove_unrecorded(log: &Log, job: &str, slice: &Delivery) {
    if let (Some(spool), None) = (&slice.spool, &slice.kept) {
        let whole = Log::kept_dir(log.path(), job).join(name(spool));
        // There hardly ever is one.
        let _ = std::fs::remove_file(temporary(&whole));
        let _ = std::fs::remove_file(whole);
    }
}

/// Removes what was delivered longer ago than `keep_files`.
pub(crate) fn expire(job: &mut JobRun<'_>, known: &Job) -> Result<(), Failure> {
    let before = job.now.plus_micros(-job.config.log.keep_files.micros());
    for slice in job.log.ledger().kept_until(known, before)? {
        let Some(name) = &slice.kept else { continue };
        let path = path(job, name);
        match std::fs::remove_file(&path) {
            // A file in place of their folder has none of them.
            Err(e) if !matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                let text = format!("cannot remove {}: {e}", path.display());
                return Err(Failure::new(Exit::Io, text));
            }
            _ => job.log.ledger().forget_kept(&slice)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::sha256_of;

    #[test]
    fn a_file_that_somebody_wrote_into_is_not_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (file, part) = (dir.path().join("slice"), dir.path().join("slice.zst.part"));
        let (text, sha256) = ("as it was delivered", sha256_of("as it was delivered"));
        std::fs::write(&file, text).unwrap();
        compress_shared(&file, &part, &sha256).unwrap();
        assert!(holds(&part, &sha256));
        std::fs::write(&file, "as the receiver has it").unwrap();
        let error = compress_shared(&file, &part, &sha256).unwrap_err();
        assert!(error.to_string().contains("was changed meanwhile"), "{error}");
        assert!(!part.exists() && !holds(&part, &sha256));
    }
}

//! A directory of this machine: a share that is mounted, or the drop of another program.

use crate::error::{ErrorKind, Fault, occupied, plain};
use crate::link;
use crate::look::{Hashed, NAMES_MAX, Sink, answer, drain, too_many};
use crate::probe::CONTENT;
use crate::source::{Source, sha256_of};
use crate::{
    Ability, Answer, Checked, Compression, Content, Context, Entry, How, Look, Parcel, Probe, Receipt, Size,
    Transport, TransportError, Transporter, filled, part_name,
};
use serde::{Deserialize, Deserializer};
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

/// `[export.transport.file]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileOptions {
    /// Where the files go; made when only its last part is missing.
    #[serde(deserialize_with = "not_empty")]
    pub directory: PathBuf,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

fn not_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    filled(deserializer, "the directory has no name; write \".\" for this one").map(PathBuf::from)
}

impl FileOptions {
    /// The directory, absolute, without `.` parts.
    fn absolute(&self, base: &Path) -> PathBuf {
        let joined = base.join(&self.directory);
        let absolute = std::path::absolute(&joined).unwrap_or(joined);
        absolute.components().filter(|part| *part != Component::CurDir).collect()
    }

    fn directory(&self, context: &Context<'_>) -> Directory {
        Directory { directory: self.absolute(context.base), destination: self.destination(context.base) }
    }
}

impl Transport for FileOptions {
    /// Two spellings of one directory are one receiver: `a/../b` is `b`. Links are not followed.
    fn destination(&self, base: &Path) -> String {
        let mut directory = PathBuf::new();
        for part in self.absolute(base).components() {
            match part {
                Component::ParentDir => {
                    directory.pop();
                }
                part => directory.push(part),
            }
        }
        format!("file://{}", directory.display())
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn shares_file(&self, bytes: u64) -> bool {
        bytes >= link::LONG_BYTES
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        let directory = self.absolute(base);
        let found = match directory.is_dir() || parent_is_dir(&directory) {
            true => Ok(()),
            false => Err(missing(&directory)),
        };
        found.map_err(|fault| fault.at(&far_side(&directory), None))
    }

    fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        self.directory(context).probe(name)
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        Ok(Box::new(self.directory(context)))
    }

    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        Ok(Some(Box::new(self.directory(context))))
    }
}

fn far_side(directory: &Path) -> String {
    format!("directory {}", directory.display())
}

fn parent_is_dir(directory: &Path) -> bool {
    directory.parent().is_some_and(Path::is_dir)
}

fn missing(directory: &Path) -> Fault {
    Fault::new(ErrorKind::Missing, format!("{} is no directory", directory.display()))
        .hint("make it, or mount what belongs there; only its last part is made by itself")
}

/// The transporter.
pub(crate) struct Directory {
    directory: PathBuf,
    destination: String,
}

impl Transporter for Directory {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        self.place(parcel).map_err(|fault| fault.at(&far_side(&self.directory), Some(parcel.name)))
    }
}

impl Look for Directory {
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError> {
        let listed =
            answer(self.entries()).map_err(|fault| fault.seen_at(&far_side(&self.directory), None))?;
        match listed {
            Answer::Absent => Err(missing(&self.directory).seen_at(&far_side(&self.directory), None)),
            listed => Ok(listed),
        }
    }

    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError> {
        self.ask(name, |path| {
            let meta = fs::metadata(path).map_err(|e| far("look for", path, &e))?;
            Ok(if meta.is_dir() { Size::Directory } else { Size::Bytes(meta.len()) })
        })
    }

    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError> {
        self.ask(name, |path| read_back::<Hashed>(path, bytes_max).map(Content::from))
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError> {
        self.ask(name, |path| read_back(path, bytes_max))
    }
}

fn read_back<S: Sink>(path: &Path, bytes_max: u64) -> Result<S, Fault> {
    let file = File::open(path).map_err(|e| far("open", path, &e))?;
    drain(file, bytes_max).map_err(|e| far("read back", path, &e))
}

impl Directory {
    fn ask<T>(
        &self,
        name: &str,
        ask: impl FnOnce(&Path) -> Result<T, Fault>,
    ) -> Result<Answer<T>, TransportError> {
        let asked = part_name(name).and_then(|_| answer(ask(&self.directory.join(name))));
        asked.map_err(|fault| fault.seen_at(&far_side(&self.directory), Some(name)))
    }

    fn entries(&self) -> Result<Vec<Entry>, Fault> {
        let fault = |e: io::Error| far("list", &self.directory, &e);
        let mut entries = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(fault)? {
            let entry = entry.map_err(fault)?;
            let meta = fs::metadata(entry.path()).ok();
            if meta.as_ref().is_some_and(fs::Metadata::is_dir) {
                continue;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            entries.push(Entry { name, bytes: meta.map(|meta| meta.len()) });
            if entries.len() > NAMES_MAX {
                return Err(too_many(&self.directory.display()));
            }
        }
        Ok(entries)
    }

    fn place(&self, parcel: &Parcel<'_>) -> Result<Receipt, Fault> {
        let part = self.directory.join(part_name(parcel.name)?);
        let path = self.directory.join(parcel.name);
        self.make().map_err(Fault::of_receiver)?;
        let receipt = |how, checked| Receipt {
            destination: self.destination.clone(),
            path: path.display().to_string(),
            bytes: parcel.bytes,
            how,
            checked,
            recipients: Vec::new(),
        };
        let how = match look(&path, parcel)? {
            Found::Same => {
                // What an attempt that was killed left behind.
                remove(&part)?;
                return Ok(receipt(How::Found, Checked::Sha256));
            }
            Found::Other if parcel.may_replace => How::Replaced,
            Found::Other => return Err(occupied(&path.display().to_string())),
            Found::Nothing if parcel.was_whole && self.was_taken(&part, parcel.earlier)? => {
                return Ok(receipt(How::Taken, Checked::Reply));
            }
            Found::Nothing => How::Sent,
        };
        if parcel.was_whole {
            parcel.mark.keep(false)?;
        }
        if let Err(fault) = fill(&part, parcel) {
            // The first failure is the one to tell.
            let _ = remove(&part);
            return Err(fault);
        }
        parcel.mark.keep(true)?;
        if let Err(e) = fs::rename(&part, &path) {
            parcel.mark.keep(false)?;
            let _ = remove(&part);
            return Err(far("rename to", &path, &e));
        }
        parcel.steps.done("renamed");
        // It needs no look: what was renamed was whole, and whoever reads there may have taken it away already.
        sync_directory(&self.directory)?;
        Ok(receipt(how, Checked::Size))
    }

    /// Whether a file that was about to be renamed was, where it is not there: see [`crate::Mark`].
    fn was_taken(&self, part: &Path, earlier: Option<&str>) -> Result<bool, Fault> {
        let is_there = |path: &Path| match fs::symlink_metadata(path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(far("look for", path, &e)),
        };
        let keeps_files = || earlier.map_or(Ok(false), |earlier| is_there(&self.directory.join(earlier)));
        Ok(!is_there(part)? && !keeps_files()?)
    }

    /// Makes the directory when only its last part is missing.
    fn make(&self) -> Result<(), Fault> {
        let directory = &self.directory;
        if directory.is_dir() {
            return Ok(());
        }
        let Some(parent) = directory.parent().filter(|parent| parent.is_dir()) else {
            return Err(missing(directory));
        };
        match fs::create_dir(directory) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(far("make", directory, &e)),
            _ if directory.is_dir() => sync_directory(parent),
            _ => Err(missing(directory)),
        }
    }
}

impl Directory {
    /// What the directory can do.
    fn probe(&self, name: &str) -> Probe {
        let mut probe = Probe::default();
        let was_there = self.directory.is_dir();
        let (one, other) = (self.directory.join(name), self.directory.join(format!("{name}.2")));
        let tried = self.try_each(&mut probe, &one, &other);
        for path in [&one, &other] {
            if fs::symlink_metadata(path).is_ok() && remove(path).is_err() {
                probe.left.push(path.display().to_string());
            }
        }
        if !was_there && self.directory.is_dir() && fs::remove_dir(&self.directory).is_err() {
            probe.left.push(self.directory.display().to_string());
        }
        probe.error = tried.err().map(|fault| fault.at(&far_side(&self.directory), None));
        probe
    }

    fn try_each(&self, probe: &mut Probe, one: &Path, other: &Path) -> Result<(), Fault> {
        probe.needs(Ability::Directory, self.make())?;
        let written = OpenOptions::new().write(true).create_new(true).open(one).and_then(|mut file| {
            file.write_all(CONTENT)?;
            Ok(file)
        });
        let file = probe.needs(Ability::Write, written.map_err(|e| far("write", one, &e)))?;
        probe.needs(Ability::Sync, file.sync_all().map_err(|e| far("sync", one, &e)))?;
        drop(file);
        let size = fs::metadata(one).map(|meta| meta.len()).map_err(|e| far("look for", one, &e));
        probe.needs(Ability::Stat, size.and_then(|size| same(one, size == CONTENT.len() as u64)))?;
        let back = fs::read(one).map_err(|e| far("read back", one, &e));
        probe.needs(Ability::ReadBack, back.and_then(|back| same(one, back == CONTENT)))?;
        probe.needs(Ability::Rename, fs::rename(one, other).map_err(|e| far("rename to", other, &e)))?;
        let replaced = fs::write(one, CONTENT).and_then(|()| fs::rename(one, other));
        probe.tried(Ability::Replace, &replaced.map_err(|e| far("rename to", other, &e)));
        let listed = fs::read_dir(&self.directory).map_err(|e| far("list", &self.directory, &e));
        probe.tried(Ability::List, &listed);
        probe.tried(Ability::Remove, &remove(other));
        Ok(())
    }
}

/// What was written must be there.
fn same(path: &Path, is_same: bool) -> Result<(), Fault> {
    match is_same {
        true => Ok(()),
        false => Err(Fault::new(ErrorKind::FarSide, format!("{} has other content", path.display()))),
    }
}

enum Found {
    Nothing,
    Same,
    Other,
}

fn look(path: &Path, parcel: &Parcel<'_>) -> Result<Found, Fault> {
    let meta = match fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Found::Nothing),
        Err(e) => return Err(far("look for", path, &e)),
    };
    if !meta.is_file() {
        let reason = format!("{} is there and is no file", path.display());
        return Err(Fault::new(ErrorKind::Refused, reason));
    }
    if meta.len() != parcel.bytes {
        return Ok(Found::Other);
    }
    let file = File::open(path).map_err(|e| far("open", path, &e))?;
    let found = sha256_of(file, parcel.bytes).map_err(|e| far("read back", path, &e))?;
    Ok(if found.as_deref() == Some(parcel.sha256) { Found::Same } else { Found::Other })
}

/// Puts the whole file under its temporary name, down to the disk.
fn fill(part: &Path, parcel: &Parcel<'_>) -> Result<(), Fault> {
    let mut source = Source::open(parcel)?;
    // Never write through a link that someone put there.
    remove(part)?;
    let mut file = create(part)?;
    parcel.steps.done("opened");
    match source.checked() {
        Some(from) if link::may_stand_for(from, &file) => {
            remove(part)?;
            if link::give(from, part).is_ok() {
                file = from.try_clone().map_err(|e| far("open", part, &e))?;
                // It is new to whoever looks there. Where its time cannot be set, that of its making stays.
                let _ = file.set_modified(SystemTime::now());
            } else {
                // No links there, or a quota.
                file = create(part)?;
                copy(from, &mut file, part)?;
            }
        }
        Some(from) => copy(from, &mut file, part)?,
        None => source.each(|piece| file.write_all(piece).map_err(|e| far("write", part, &e)))?,
    }
    parcel.steps.done("written");
    file.sync_all().map_err(|e| far("sync", part, &e))?;
    drop(file);
    parcel.steps.done("closed");
    check_size(part, parcel)
}

fn create(part: &Path) -> Result<File, Fault> {
    OpenOptions::new().write(true).create_new(true).open(part).map_err(|e| far("create", part, &e))
}

fn copy(from: &mut File, to: &mut File, part: &Path) -> Result<(), Fault> {
    io::copy(from, to).map(drop).map_err(|e| far("copy to", part, &e))
}

fn check_size(path: &Path, parcel: &Parcel<'_>) -> Result<(), Fault> {
    let size = fs::metadata(path).map_err(|e| far("look for", path, &e))?.len();
    if size == parcel.bytes {
        return Ok(());
    }
    let reason = format!("{} has {size} bytes of {}", path.display(), parcel.bytes);
    Err(Fault::new(ErrorKind::FarSide, reason))
}

fn sync_directory(directory: &Path) -> Result<(), Fault> {
    File::open(directory).and_then(|handle| handle.sync_all()).map_err(|e| far("sync", directory, &e))
}

fn remove(part: &Path) -> Result<(), Fault> {
    match fs::remove_file(part) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(far("remove", part, &e)),
        _ => Ok(()),
    }
}

/// A failure at the receiving directory.
fn far(operation: &str, path: &Path, error: &io::Error) -> Fault {
    let kind = match error.kind() {
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => ErrorKind::Refused,
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => ErrorKind::Missing,
        io::ErrorKind::TimedOut | io::ErrorKind::StaleNetworkFileHandle => ErrorKind::Unreachable,
        _ => ErrorKind::Local,
    };
    let fault = Fault::new(kind, format!("{operation} {}: {}", path.display(), plain(error)));
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            fault.hint("make room there (df, quota); the next run sends it")
        }
        _ => fault,
    }
}

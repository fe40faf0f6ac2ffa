//! One file over an open connection: look, send under another name, check, rename, look again.

use super::connect::{Access, Link};
use super::fault::{fault, io_fault, is_absent, is_denied, is_failure, is_unsupported};
use crate::error::{ErrorKind, Fault, occupied};
use crate::source::{PIECE_BYTES, Source, sha256_of};
use crate::{Checked, How, Parcel, Receipt, TransportError, Transporter, part_name};
use ssh2::{File, OpenFlags, OpenType};
use std::cell::Cell;
use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

/// The most bytes on their way at once. libssh2 sends all of a buffer before it waits for the first
/// answer, so what is handed to it is the window.
const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The window at the start. It grows with each answer, so that on a slow line the first does not have to
/// wait for megabytes.
const WINDOW_BYTES_MIN: usize = 128 * 1024;

/// The name to which a file is renamed to see whether that can be done.
const RENAME_TRIAL: &str = ".ew-rename.part";

/// The transporter.
pub(crate) struct Sftp {
    access: Access,
    destination: String,
    directory: String,
    create_directory: bool,
    link: Option<Link>,
}

impl Sftp {
    pub(crate) fn new(
        access: Access,
        destination: String,
        directory: String,
        create_directory: bool,
    ) -> Sftp {
        Sftp { access, destination, directory, create_directory, link: None }
    }
}

impl Transporter for Sftp {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        self.place(parcel).map_err(|fault| fault.at(&self.access.far_side, Some(parcel.name)))
    }
}

impl Sftp {
    fn place(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, Fault> {
        let part = self.remote(&part_name(parcel.name)?);
        let path = self.remote(parcel.name);
        // The file is opened before the far side is troubled.
        let source = Source::open(parcel)?;
        let kept = self.link.take().filter(|link| !link.is_dead());
        let was_kept = kept.is_some();
        let link = match kept {
            Some(link) => link,
            None => self.access.connect().map_err(Fault::of_receiver)?,
        };
        parcel.steps.done("connected");
        let mut visit = Visit {
            link: &link,
            parcel,
            part: &part,
            path: &path,
            partial: None,
            is_marked: false,
            was_cut: Cell::new(false),
        };
        match visit.run(source, self) {
            Ok((how, checked)) => {
                self.link = Some(link);
                let destination = self.destination.clone();
                Ok(Receipt { destination, path, bytes: parcel.bytes, how, checked, recipients: Vec::new() })
            }
            Err(fault) => {
                if visit.is_marked {
                    // Whether the temporary file is there tells the next attempt whether it was renamed.
                    link.stop();
                    return Err(fault);
                }
                let (partial, was_cut) = (visit.partial, visit.was_cut.get());
                // What fails from here on is not told: the first failure is the one to tell.
                if let Some(partial) = partial
                    && fault.kind != ErrorKind::Unreachable
                {
                    let _ = link.sftp.unlink(Path::new(partial));
                }
                link.stop();
                // Servers end idle connections, and that shows only now.
                if was_kept && partial.is_none() && fault.kind == ErrorKind::Unreachable {
                    return self.place(parcel);
                }
                // The far side may well be there again, to take the part away.
                if let Some(partial) = partial
                    && was_cut
                    && let Ok(again) = self.access.connect()
                {
                    let _ = again.sftp.unlink(Path::new(partial));
                }
                Err(fault)
            }
        }
    }

    fn remote(&self, name: &str) -> String {
        beside(&self.directory, name)
    }
}

/// The path of a file in a directory there.
pub(crate) fn beside(directory: &str, name: &str) -> String {
    match directory {
        "." => name.to_owned(),
        directory if directory.ends_with('/') => format!("{directory}{name}"),
        directory => format!("{directory}/{name}"),
    }
}

enum Found {
    Nothing,
    /// The parcel, as far as was compared.
    Same(Checked),
    /// Its beginning, of an attempt that was cut short where nothing can be renamed.
    Begun,
    Other,
}

/// One parcel over one connection.
struct Visit<'a> {
    link: &'a Link,
    parcel: &'a Parcel<'a>,
    part: &'a str,
    path: &'a str,
    /// What may be there and not be whole.
    partial: Option<&'a str>,
    /// The whole file may have been renamed.
    is_marked: bool,
    /// The connection ended by itself.
    was_cut: Cell<bool>,
}

impl<'a> Visit<'a> {
    fn run(&mut self, source: Source<'_>, options: &Sftp) -> Result<(How, Checked), Fault> {
        let found = self.look(options)?;
        match found {
            Found::Same(checked) => {
                if self.parcel.sent_before {
                    // What an attempt that was cut short may have left; mostly there is nothing.
                    let _ = self.link.sftp.unlink(Path::new(self.part));
                }
                return Ok((How::Found, checked));
            }
            Found::Other if !self.parcel.may_replace => return Err(occupied(self.path)),
            // Where things are renamed, no attempt of ours ever left a beginning there.
            Found::Begun if self.renames(options)? => return Err(occupied(self.path)),
            Found::Nothing if self.parcel.was_whole && self.was_taken(options)? => {
                return Ok((How::Taken, Checked::Reply));
            }
            Found::Other | Found::Begun | Found::Nothing => {}
        }
        if self.parcel.was_whole {
            self.mark(false)?;
        }
        if !self.link.can_rename.get() {
            return self.send_in_place(source, options);
        }
        self.send(self.part, source, options)?;
        let checked = self.check(self.part)?;
        self.mark(true)?;
        let renamed = self.rename(matches!(found, Found::Other));
        // No answer leaves it open; any other says that nothing was renamed.
        if !matches!(
            renamed,
            Ok(true) | Err(Fault { kind: ErrorKind::Unreachable | ErrorKind::Protocol, .. })
        ) {
            self.mark(false)?;
        }
        // Acknowledged, it needs no look: what was renamed was whole, and the receiver may have taken it away already.
        if !renamed? {
            self.link.can_rename.set(false);
            let _ = self.link.sftp.unlink(Path::new(self.part));
            return self.send_in_place(Source::open(self.parcel)?, options);
        }
        self.partial = None;
        self.parcel.steps.done("renamed");
        let how = if matches!(found, Found::Other) { How::Replaced } else { How::Sent };
        Ok((how, checked))
    }

    fn mark(&mut self, is_whole: bool) -> Result<(), Fault> {
        // What could not be kept may be kept all the same.
        self.is_marked |= is_whole;
        self.parcel.mark.keep(is_whole)?;
        self.is_marked = is_whole;
        Ok(())
    }

    /// Whether a file that was about to be renamed was, where it is not there: see [`crate::Mark`]. Else something
    /// there removes temporary files, and a receiver that has an earlier file still does not take files away.
    fn was_taken(&self, options: &Sftp) -> Result<bool, Fault> {
        let is_there = |path: &str| match self.link.sftp.stat(Path::new(path)) {
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) if is_unsupported(&e) => {
                Ok(!self.link.sftp.open(Path::new(path)).is_err_and(|e| is_absent(&e)))
            }
            // Where it cannot be told, the file is sent again.
            Err(e) if is_denied(&e) => Ok(true),
            Err(e) => Err(self.fault("look for", path, &e)),
            Ok(_) => Ok(true),
        };
        let keeps_files =
            || self.parcel.earlier.map_or(Ok(false), |earlier| is_there(&options.remote(earlier)));
        Ok(!is_there(self.part)? && !keeps_files()?)
    }

    /// Whether the receiver renames at all, tried on an empty file.
    fn renames(&mut self, options: &Sftp) -> Result<bool, Fault> {
        if self.link.can_rename.get() {
            self.create(self.part, options)?.close().map_err(|e| self.fault("close", self.part, &e))?;
            self.partial = Some(self.part);
            let other = options.remote(RENAME_TRIAL);
            let _ = self.link.sftp.unlink(Path::new(&other));
            let renamed = self.rename_to(&other)?;
            let _ = self.link.sftp.unlink(Path::new(if renamed { other.as_str() } else { self.part }));
            self.partial = None;
            self.link.can_rename.set(renamed);
        }
        Ok(self.link.can_rename.get())
    }

    /// Where nothing can be renamed the file grows under its own name, and a failure takes it away.
    fn send_in_place(&mut self, source: Source<'_>, options: &Sftp) -> Result<(How, Checked), Fault> {
        self.send(self.path, source, options)?;
        let checked = self.check(self.path)?;
        self.partial = None;
        Ok((How::InPlace, checked))
    }

    fn fault(&self, operation: &str, path: &str, error: &ssh2::Error) -> Fault {
        self.note(fault(&format!("{operation} {path}"), error, self.link))
    }

    fn io_fault(&self, operation: &str, path: &str, error: &io::Error) -> Fault {
        self.note(io_fault(&format!("{operation} {path}"), error, self.link))
    }

    /// A connection without an answer is not asked again: closing a file on it would wait as long.
    fn note(&self, fault: Fault) -> Fault {
        if fault.kind == ErrorKind::Unreachable {
            self.was_cut.set(self.link.is_dead());
            self.link.stop();
        }
        fault
    }

    /// What is under the final name.
    fn look(&self, options: &Sftp) -> Result<Found, Fault> {
        let stat = match self.link.sftp.stat(Path::new(self.path)) {
            Ok(stat) => stat,
            Err(e) if is_absent(&e) => return Ok(Found::Nothing),
            Err(e) if is_unsupported(&e) => return self.look_inside(),
            Err(e) => {
                let fault = self.fault("look for", self.path, &e);
                let why = is_failure(&e).then(|| self.in_the_way("look for", self.path, options)).flatten();
                return Err(why.unwrap_or(fault));
            }
        };
        if stat.is_dir() {
            return Err(Fault::new(ErrorKind::Refused, format!("{} is there and is a directory", self.path)));
        }
        if let Some(size) = stat.size
            && size != self.parcel.bytes
        {
            let may_be_ours = self.parcel.sent_before && !self.parcel.may_replace;
            let is_begun = size < self.parcel.bytes && may_be_ours && self.is_beginning(size)?;
            return Ok(if is_begun { Found::Begun } else { Found::Other });
        }
        Ok(match self.reads_back(self.path, self.parcel.bytes)? {
            Some(hash) if hash == self.parcel.sha256 => Found::Same(Checked::Sha256),
            // It may not be read. Where no other content ever had the name, an earlier attempt and the size
            // are proof enough.
            None if self.parcel.sent_before && !self.parcel.may_replace => Found::Same(Checked::Size),
            _ => Found::Other,
        })
    }

    /// The same where sizes cannot be asked for: what may be read there is read.
    fn look_inside(&self) -> Result<Found, Fault> {
        let file = match self.link.sftp.open(Path::new(self.path)) {
            Ok(file) => file,
            Err(e) if is_absent(&e) || is_denied(&e) => return Ok(Found::Nothing),
            Err(e) => return Err(self.fault("open", self.path, &e)),
        };
        let hash =
            sha256_of(file, self.parcel.bytes).map_err(|e| self.io_fault("read back", self.path, &e))?;
        let is_same = hash.as_deref() == Some(self.parcel.sha256);
        Ok(if is_same { Found::Same(Checked::Sha256) } else { Found::Other })
    }

    /// Whether the so many bytes there are the first of the parcel's.
    fn is_beginning(&self, size: u64) -> Result<bool, Fault> {
        let local = |e: io::Error| Fault::local("read", self.parcel.file, &e);
        let Some(hash) = self.reads_back(self.path, size)? else { return Ok(false) };
        let file = fs::File::open(self.parcel.file).map_err(local)?;
        Ok(sha256_of(file.take(size), size).map_err(local)?.is_some_and(|ours| ours == hash))
    }

    /// The SHA-256 of the file there, empty if it does not have so many bytes; none where it may not be read.
    fn reads_back(&self, path: &str, bytes: u64) -> Result<Option<String>, Fault> {
        let file = match self.link.sftp.open(Path::new(path)) {
            Ok(file) => file,
            Err(e) if is_denied(&e) => return Ok(None),
            Err(e) => return Err(self.fault("open", path, &e)),
        };
        match sha256_of(file, bytes) {
            Ok(found) => Ok(Some(found.unwrap_or_default())),
            Err(e) => match self.io_fault("read back", path, &e) {
                fault if fault.kind == ErrorKind::Refused => Ok(None),
                fault => Err(fault),
            },
        }
    }

    /// Writes the whole file under this name, down to the disk.
    fn send(&mut self, path: &'a str, mut source: Source<'_>, options: &Sftp) -> Result<(), Fault> {
        let mut file = self.create(path, options)?;
        self.partial = Some(path);
        self.parcel.steps.done("opened");
        self.pump(path, &mut file, &mut source)?;
        self.parcel.steps.done("written");
        if self.link.can_sync.get() {
            match file.fsync() {
                // Asked once is enough.
                Err(e) if is_unsupported(&e) || is_denied(&e) => self.link.can_sync.set(false),
                done => done.map_err(|e| self.fault("sync", path, &e))?,
            }
        }
        file.close().map_err(|e| self.fault("close", path, &e))?;
        self.parcel.steps.done("closed");
        Ok(())
    }

    fn create(&self, path: &str, options: &Sftp) -> Result<File, Fault> {
        let open = || {
            let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE;
            self.link.sftp.open_mode(Path::new(path), flags, 0o644, OpenType::File)
        };
        match open() {
            Err(e) if is_absent(&e) => {
                let made = self.make_directory(path, options);
                // Another run may have made it meanwhile.
                open().map_err(|e| made.err().unwrap_or_else(|| self.fault("create", path, &e)))
            }
            done => done.map_err(|e| self.fault("create", path, &e)),
        }
    }

    /// Makes the directory of a path, where that was asked for.
    fn make_directory(&self, path: &str, options: &Sftp) -> Result<(), Fault> {
        let directory = options.directory.as_str();
        if let Some(fault) = self.in_the_way("create", path, options) {
            return Err(fault);
        }
        if !options.create_directory {
            let reason = format!("create {path}: the directory {directory} is not there");
            return Err(
                Fault::new(ErrorKind::Missing, reason).hint("make it there, or set create_directory = true")
            );
        }
        self.link.sftp.mkdir(Path::new(directory), 0o755).map_err(|e| {
            let fault = self.fault("make directory", directory, &e);
            match is_absent(&e) {
                true => fault.hint("only the last part of a directory is made by itself"),
                false => fault,
            }
        })
    }

    /// The reason where the directory is a file. Servers say different things of that, none of them clear.
    fn in_the_way(&self, operation: &str, path: &str, options: &Sftp) -> Option<Fault> {
        let directory = options.directory.as_str();
        let is_file = self.link.sftp.stat(Path::new(directory)).is_ok_and(|stat| stat.is_file());
        is_file.then(|| {
            let reason = format!("{operation} {path}: {directory} is there and is a file");
            Fault::new(ErrorKind::Missing, reason)
        })
    }

    /// Sends the file through a window that slides by what the far side has acknowledged.
    fn pump(&self, path: &str, file: &mut File, source: &mut Source<'_>) -> Result<(), Fault> {
        let mut buffer: Vec<u8> = Vec::with_capacity(2 * WINDOW_BYTES_MAX);
        let (mut start, mut window, mut is_end) = (0, WINDOW_BYTES_MIN, false);
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            while !is_end && buffer.len() - start < window {
                let room = PIECE_BYTES.min(window - (buffer.len() - start));
                let count = source.read(&mut piece[..room])?;
                is_end = count == 0;
                buffer.extend_from_slice(&piece[..count]);
            }
            if start == buffer.len() {
                return Ok(());
            }
            // Bytes that are on their way already must be offered again, and libssh2 passes over them.
            let acked = file.write(&buffer[start..]).map_err(|e| self.io_fault("write", path, &e))?;
            if acked == 0 {
                return Err(Fault::new(ErrorKind::Protocol, format!("write {path}: nothing is taken")));
            }
            start += acked;
            window = WINDOW_BYTES_MAX.min(window + acked);
            if start >= WINDOW_BYTES_MAX {
                buffer.drain(..start);
                start = 0;
            }
        }
    }

    /// Whether the whole file is under this name: by its size, or read back where there is none to see.
    fn check(&self, path: &str) -> Result<Checked, Fault> {
        let size = match self.link.sftp.stat(Path::new(path)) {
            Ok(stat) => stat.size,
            Err(e) if is_unsupported(&e) => None,
            Err(e) => return Err(self.fault("look for", path, &e)),
        };
        match size {
            Some(size) if size == self.parcel.bytes => Ok(Checked::Size),
            Some(size) => Err(Fault::new(
                ErrorKind::FarSide,
                format!("{path} has {size} bytes of {} there", self.parcel.bytes),
            )
            .hint("a full disk or a quota is the usual reason")),
            None if self.reads_back(path, self.parcel.bytes)?.as_deref() == Some(self.parcel.sha256) => {
                Ok(Checked::Sha256)
            }
            None => Err(Fault::new(ErrorKind::FarSide, format!("{path} reads back with other content"))),
        }
    }

    /// Gives the file its name; false where the receiver renames nothing. Some rename onto an earlier file in one
    /// step; others, OpenSSH among them, onto nothing that exists.
    fn rename(&self, onto_another: bool) -> Result<bool, Fault> {
        match self.rename_to(self.path) {
            Err(fault) if onto_another && fault.kind == ErrorKind::FarSide => {}
            done => return done,
        }
        match self.link.sftp.unlink(Path::new(self.path)) {
            Err(e) if !is_absent(&e) => return Err(self.fault("replace", self.path, &e)),
            _ => self.parcel.steps.done("removed"),
        }
        self.rename_to(self.path)
    }

    fn rename_to(&self, path: &str) -> Result<bool, Fault> {
        match self.link.sftp.rename(Path::new(self.part), Path::new(path), None) {
            Ok(()) => Ok(true),
            Err(e) if is_denied(&e) || is_unsupported(&e) => Ok(false),
            Err(e) => Err(self.fault(&format!("rename {} to", self.part), path, &e)),
        }
    }
}

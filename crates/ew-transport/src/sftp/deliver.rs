//! One file over an open connection: look, send under another name, check, rename, look again.

use super::connect::{Access, Link};
use super::fault::{fault, io_fault, is_absent, is_denied, is_failure, is_unsupported};
use super::file::{File, REQUEST_BYTES};
use super::talk::Asked;
use crate::error::{ErrorKind, Fault, occupied};
use crate::source::{Source, sha256_of};
use crate::{Checked, How, Parcel, Receipt, TransportError, Transporter, part_name};
use ssh2::{FileStat, OpenFlags};
use std::cell::Cell;
use std::collections::VecDeque;
use std::fs;
use std::io::{self, Read};

/// The most bytes on their way at once.
const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The same at the start. It grows with each answer, so that on a slow line the first does not have to wait for
/// megabytes.
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
                    let _ = link.sftp.unlink(partial).answer();
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
                    let _ = again.sftp.unlink(partial).answer();
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
        // What was never sent is mostly not there, so its temporary file is made in the same flight as the look. Where
        // that file tells whether an earlier attempt was renamed, or nothing is renamed, it is not.
        let is_new = !self.parcel.sent_before && !self.parcel.was_whole && self.link.can_rename.get();
        let stat = self.link.sftp.stat(self.path);
        let made = is_new.then(|| self.ask_to_create(self.part));
        let found = self.look(stat.answer(), options);
        let made = made.map(Asked::answer);
        if let Some(Ok(_)) = made {
            self.partial = Some(self.part);
        }
        let found = found?;
        match found {
            Found::Same(checked) => {
                drop(made);
                if self.parcel.sent_before || self.partial.take().is_some() {
                    // What was made just now, or what an attempt that was cut short may have left.
                    let _ = self.link.sftp.unlink(self.part).answer();
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
        let made = made.unwrap_or_else(|| self.ask_to_create(self.part).answer());
        let checked = self.send(self.part, made, source, options)?;
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
            let _ = self.link.sftp.unlink(self.part).answer();
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
        let is_there = |path: &str| match self.link.sftp.stat(path).answer() {
            Err(e) if is_absent(&e) => Ok(false),
            Err(e) if is_unsupported(&e) => {
                Ok(!self.link.sftp.open(path, OpenFlags::READ).answer().is_err_and(|e| is_absent(&e)))
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
            let made = self.ask_to_create(self.part).answer();
            let file = self.created(self.part, made, options)?;
            file.close().answer().map_err(|e| self.fault("close", self.part, &e))?;
            self.partial = Some(self.part);
            let other = options.remote(RENAME_TRIAL);
            let _ = self.link.sftp.unlink(&other).answer();
            let renamed = self.rename_to(&other)?;
            let _ = self.link.sftp.unlink(if renamed { other.as_str() } else { self.part }).answer();
            self.partial = None;
            self.link.can_rename.set(renamed);
        }
        Ok(self.link.can_rename.get())
    }

    /// Where nothing can be renamed the file grows under its own name, and a failure takes it away.
    fn send_in_place(&mut self, source: Source<'_>, options: &Sftp) -> Result<(How, Checked), Fault> {
        let made = self.ask_to_create(self.path).answer();
        let checked = self.send(self.path, made, source, options)?;
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

    /// What is under the final name, of which the far side says this.
    fn look(&self, stat: Result<FileStat, ssh2::Error>, options: &Sftp) -> Result<Found, Fault> {
        let stat = match stat {
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
        let file = match self.link.sftp.open(self.path, OpenFlags::READ).answer() {
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
        let file = match self.link.sftp.open(path, OpenFlags::READ).answer() {
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

    /// Writes the whole file under this name, down to the disk, and checks it. The last writes, the sync, the size and
    /// the close go in one flight: a server carries out what concerns one file in the order in which it was asked
    /// (draft-ietf-secsh-filexfer-02, section 6.1). Each is answered before the file counts as whole.
    fn send(
        &mut self,
        path: &'a str,
        made: Result<File<'a>, ssh2::Error>,
        source: Source<'_>,
        options: &Sftp,
    ) -> Result<Checked, Fault> {
        let mut file = self.created(path, made, options)?;
        self.partial = Some(path);
        self.parcel.steps.done("opened");
        let writes = self.pump(path, &mut file, source)?;
        let synced = self.link.can_sync.get().then(|| file.fsync());
        let (stat, closed) = (file.stat(), file.close());
        for write in writes {
            write.answer().map_err(|e| self.fault("write", path, &e))?;
        }
        self.parcel.steps.done("written");
        match synced.map(Asked::answer) {
            // Asked once is enough.
            Some(Err(e)) if is_unsupported(&e) || is_denied(&e) => self.link.can_sync.set(false),
            Some(done) => done.map_err(|e| self.fault("sync", path, &e))?,
            None => {}
        }
        let stat = stat.answer();
        closed.answer().map_err(|e| self.fault("close", path, &e))?;
        self.parcel.steps.done("closed");
        match stat {
            Ok(stat) if stat.size == Some(self.parcel.bytes) => Ok(Checked::Size),
            // Of an open file a server may say nothing, or what will be otherwise once it is closed.
            _ => self.check(path),
        }
    }

    fn ask_to_create(&self, path: &str) -> Asked<'a, File<'a>> {
        self.link.sftp.open(path, OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::TRUNCATE)
    }

    /// The file that was asked for, or once its directory is made.
    fn created(
        &self,
        path: &str,
        made: Result<File<'a>, ssh2::Error>,
        options: &Sftp,
    ) -> Result<File<'a>, Fault> {
        match made {
            Err(e) if is_absent(&e) => {
                let directory = self.make_directory(path, options);
                // Another run may have made it meanwhile.
                self.ask_to_create(path)
                    .answer()
                    .map_err(|e| directory.err().unwrap_or_else(|| self.fault("create", path, &e)))
            }
            made => made.map_err(|e| self.fault("create", path, &e)),
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
        self.link.sftp.mkdir(directory).answer().map_err(|e| {
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
        let is_file = self.link.sftp.stat(directory).answer().is_ok_and(|stat| stat.is_file());
        is_file.then(|| {
            let reason = format!("{operation} {path}: {directory} is there and is a file");
            Fault::new(ErrorKind::Missing, reason)
        })
    }

    /// Sends the file through a window that slides by what the far side has acknowledged. What it has not yet is
    /// given back.
    fn pump(
        &self,
        path: &str,
        file: &mut File<'a>,
        source: Source<'_>,
    ) -> Result<VecDeque<Asked<'a, ()>>, Fault> {
        let failed = |e: ssh2::Error| self.fault("write", path, &e);
        let (mut writes, mut on_their_way, mut window) = (VecDeque::new(), 0, WINDOW_BYTES_MIN);
        source.each(|mut piece| {
            while !piece.is_empty() {
                // Longer requests are less work at both ends, once it is known that the line carries them.
                let request = match window / 8 {
                    bytes if bytes > REQUEST_BYTES => bytes.min(self.link.sftp.write_bytes_max()),
                    _ => REQUEST_BYTES,
                };
                let (next, rest) = piece.split_at(request.min(piece.len()));
                piece = rest;
                writes.push_back((next.len(), file.write(next)));
                on_their_way += next.len();
                self.link.sftp.send_much().map_err(failed)?;
                while on_their_way > window
                    && let Some((bytes, write)) = writes.pop_front()
                {
                    write.answer().map_err(failed)?;
                    on_their_way -= bytes;
                    window = WINDOW_BYTES_MAX.min(window + bytes);
                }
            }
            Ok(())
        })?;
        Ok(writes.into_iter().map(|(_, write)| write).collect())
    }

    /// Whether the whole file is under this name: by its size, or read back where there is none to see.
    fn check(&self, path: &str) -> Result<Checked, Fault> {
        let size = match self.link.sftp.stat(path).answer() {
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
        match self.link.sftp.unlink(self.path).answer() {
            Err(e) if !is_absent(&e) => return Err(self.fault("replace", self.path, &e)),
            _ => self.parcel.steps.done("removed"),
        }
        self.rename_to(self.path)
    }

    fn rename_to(&self, path: &str) -> Result<bool, Fault> {
        match self.link.sftp.rename(self.part, path).answer() {
            Ok(()) => Ok(true),
            Err(e) if is_denied(&e) || is_unsupported(&e) => Ok(false),
            Err(e) => Err(self.fault(&format!("rename {} to", self.part), path, &e)),
        }
    }
}

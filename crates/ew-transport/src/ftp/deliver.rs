//! One file over an open connection: look, send under another name, check, rename.

use super::ascii::{Lines, ToNetwork};
use super::connect::Access;
use super::link::{Link, Stat};
use crate::error::{ErrorKind, Fault, occupied};
use crate::look::{Hashed, drain};
use crate::source::{PIECE_BYTES, Source, sha256_of};
use crate::{Checked, Content, How, Parcel, Receipt, TransportError, Transporter, part_name};
use std::fs;
use std::io::{self, Read, Write};

/// The name to which a file is renamed to see whether that can be done.
const RENAME_TRIAL: &str = ".ew-rename.part";

/// The transporter.
pub(crate) struct Ftp {
    access: Access,
    destination: String,
    /// APPE alone, under the file's own name.
    append: bool,
    link: Option<Link>,
}

impl Ftp {
    pub(crate) fn new(access: Access, destination: String, append: bool) -> Ftp {
        Ftp { access, destination, append, link: None }
    }
}

impl Transporter for Ftp {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        self.place(parcel).map_err(|fault| fault.at(&self.access.far_side, Some(parcel.name)))
    }
}

impl Ftp {
    fn place(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, Fault> {
        let part = part_name(parcel.name)?;
        // The file is opened before the far side is troubled.
        let source = Source::open(parcel)?;
        let kept = self.link.take();
        let was_kept = kept.is_some();
        let mut link = match kept {
            Some(link) => link,
            None => self.access.connect().map_err(Fault::of_receiver)?,
        };
        parcel.steps.done("connected");
        let (append, name) = (self.append, parcel.name);
        let mut visit = Visit {
            link: &mut link,
            parcel,
            part: &part,
            name,
            append,
            partial: None,
            is_tried: false,
            is_marked: false,
        };
        let done = visit.run(source);
        let trial = visit.is_tried.then_some(RENAME_TRIAL);
        let (left, is_marked) = (visit.partial.into_iter().chain(trial).collect::<Vec<_>>(), visit.is_marked);
        match done {
            Ok((how, checked)) => {
                self.link = Some(link).filter(|link| !link.is_dead());
                Ok(Receipt {
                    destination: self.destination.clone(),
                    path: self.path(parcel.name),
                    bytes: parcel.bytes,
                    how,
                    checked,
                    recipients: Vec::new(),
                })
            }
            // Whether the temporary file is there tells the next attempt whether it was renamed.
            Err(fault) if is_marked => {
                link.stop();
                Err(fault)
            }
            Err(fault) => {
                let was_silent = link.was_silent();
                // What fails from here on is not told: the first failure is the one to tell.
                if left.is_empty() && was_kept && fault.kind == ErrorKind::Unreachable {
                    // Servers end idle connections, and that shows only now.
                    return self.place(parcel);
                }
                if link.is_dead()
                    && !left.is_empty()
                    && !was_silent
                    && let Ok(again) = self.access.connect()
                {
                    // The far side may well be there again, to take them away.
                    link = again;
                }
                if !link.is_dead() {
                    left.iter().for_each(|name| drop(link.remove(name)));
                }
                link.stop();
                Err(fault)
            }
        }
    }

    fn path(&self, name: &str) -> String {
        crate::sftp::beside(&self.access.directory, name)
    }
}

enum Found {
    Nothing,
    /// The parcel, as far as was compared.
    Same(Checked),
    /// Its first bytes, of an attempt that was cut short where nothing can be renamed.
    Begun(u64),
    Other,
    /// The server shows nothing of what may be there.
    Unseen,
}

/// One parcel over one connection.
struct Visit<'l, 'a> {
    link: &'l mut Link,
    parcel: &'a Parcel<'a>,
    part: &'a str,
    name: &'a str,
    append: bool,
    /// What may be there and not be whole.
    partial: Option<&'a str>,
    /// [`RENAME_TRIAL`] may be there.
    is_tried: bool,
    /// The whole file may have been renamed.
    is_marked: bool,
}

impl<'a> Visit<'_, 'a> {
    fn run(&mut self, source: Source<'_>) -> Result<(How, Checked), Fault> {
        let found = self.look()?;
        if self.parcel.sent_before && !self.append {
            // An attempt that was cut short may have left it; mostly it is not there.
            let _ = self.link.remove(RENAME_TRIAL);
        }
        match found {
            Found::Same(checked) => {
                if self.parcel.sent_before && !self.append {
                    // What an attempt that was cut short may have left; mostly there is nothing.
                    let _ = self.link.remove(self.part);
                }
                return Ok((How::Found, checked));
            }
            Found::Other if !self.parcel.may_replace => return Err(occupied(self.name)),
            // Where things are renamed, no attempt of ours ever left a beginning there.
            Found::Begun(_) if !self.append && self.renames()? => return Err(occupied(self.name)),
            Found::Nothing if self.parcel.was_whole && self.was_taken()? => {
                return Ok((How::Taken, Checked::Reply));
            }
            Found::Other | Found::Begun(_) | Found::Nothing | Found::Unseen => {}
        }
        if self.parcel.was_whole {
            self.mark(false)?;
        }
        if self.append {
            return self.append_to(&found, source);
        }
        if !self.link.can_rename {
            return self.send_in_place(source);
        }
        self.send("STOR", self.part, source, 0)?;
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
            self.link.can_rename = false;
            let _ = self.link.remove(self.part);
            return self.send_in_place(Source::open(self.parcel)?);
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
    fn was_taken(&mut self) -> Result<bool, Fault> {
        // A server may hide what is there; what it would rename is there.
        if self.link.stat(self.part)? != Stat::Absent || self.link.would_rename(self.part)? {
            return Ok(false);
        }
        match self.parcel.earlier {
            Some(earlier) => Ok(self.link.stat(earlier)? == Stat::Absent),
            None => Ok(true),
        }
    }

    /// Whether the receiver renames at all, tried on an empty file.
    fn renames(&mut self) -> Result<bool, Fault> {
        if self.link.can_rename {
            let operation = format!("create {}", self.part);
            let stream = self.link.begin(&operation, &format!("STOR {}", self.part))?;
            self.partial = Some(self.part);
            self.link.finish(&operation, stream, Ok(()))?;
            let renamed = self.rename_to_trial()?;
            self.partial = None;
            self.link.can_rename = renamed;
        }
        Ok(self.link.can_rename)
    }

    fn rename_to_trial(&mut self) -> Result<bool, Fault> {
        let _ = self.link.remove(RENAME_TRIAL);
        self.is_tried = true;
        let renamed = match self.link.rename(self.part, RENAME_TRIAL) {
            Err(fault) if fault.kind == ErrorKind::Refused => false,
            done => done?,
        };
        let removed = self.link.remove(if renamed { RENAME_TRIAL } else { self.part });
        self.is_tried = renamed && removed.is_err();
        Ok(renamed)
    }

    /// Where nothing can be renamed the file grows under its own name, and a failure takes it away.
    fn send_in_place(&mut self, source: Source<'_>) -> Result<(How, Checked), Fault> {
        self.send("STOR", self.name, source, 0)?;
        let checked = self.check(self.name)?;
        self.partial = None;
        Ok((How::InPlace, checked))
    }

    /// What is sent is added to what is there, so what is there must be known.
    fn append_to(&mut self, found: &Found, source: Source<'_>) -> Result<(How, Checked), Fault> {
        let skip = match found {
            Found::Begun(bytes) => *bytes,
            Found::Unseen if self.parcel.sent_before => {
                let reason =
                    format!("append to {}: the server does not tell how much of it is there", self.name);
                return Err(Fault::new(ErrorKind::Refused, reason).hint(
                    "ask the receiver; if nothing of it is wanted any more, ew-ledger skip goes on with the next",
                ));
            }
            Found::Other => {
                self.link.remove(self.name)?;
                self.parcel.steps.done("removed");
                0
            }
            Found::Nothing | Found::Unseen | Found::Same(_) => 0,
        };
        self.send("APPE", self.name, source, skip)?;
        let checked = self.check(self.name)?;
        self.partial = None;
        Ok((How::InPlace, checked))
    }

    /// What is under the final name.
    fn look(&mut self) -> Result<Found, Fault> {
        let size = match self.link.stat(self.name)? {
            Stat::Absent => return Ok(Found::Nothing),
            Stat::Directory => {
                let reason = format!("{} is there and is a directory", self.name);
                return Err(Fault::new(ErrorKind::Refused, reason));
            }
            Stat::Untold => return self.look_inside(),
            Stat::File(size) => size.filter(|_| self.link.is_exact()),
        };
        let may_be_ours = self.parcel.sent_before && !self.parcel.may_replace;
        if let Some(size) = size
            && size != self.parcel.bytes
        {
            let is_begun = size < self.parcel.bytes && may_be_ours && self.is_beginning(size)?;
            return Ok(if is_begun { Found::Begun(size) } else { Found::Other });
        }
        let checked = if size.is_some() { Checked::Size } else { Checked::Reply };
        Ok(match self.compare(self.name)? {
            Some(true) => Found::Same(Checked::Sha256),
            // It may not be read. Where no other content ever had the name, an earlier attempt and the size
            // are proof enough; of text there is no size, but what has its name was whole before.
            None if may_be_ours => Found::Same(checked),
            _ => Found::Other,
        })
    }

    /// The same where sizes cannot be asked for: what may be read there is read.
    fn look_inside(&mut self) -> Result<Found, Fault> {
        Ok(match self.compare(self.name)? {
            Some(true) => Found::Same(Checked::Sha256),
            Some(false) => Found::Other,
            None => Found::Unseen,
        })
    }

    /// Whether the file there has the parcel's bytes, in text but for line ends; none where it may not be read.
    fn compare(&mut self, name: &str) -> Result<Option<bool>, Fault> {
        let parcel = self.parcel;
        if self.link.is_exact() {
            let hash = self.read_back(name, |from| sha256_of(from, parcel.bytes))?;
            return Ok(hash.map(|hash| hash.as_deref() == Some(parcel.sha256)));
        }
        let text = |from: &mut dyn Read| drain::<Hashed>(from, parcel.bytes).map(Content::from);
        let Some(theirs) = self.read_back(name, text)? else { return Ok(None) };
        let local = |e: io::Error| Fault::local("read", parcel.file, &e);
        let file = fs::File::open(parcel.file).map_err(local)?;
        Ok(Some(theirs == text(&mut Lines::new(file)).map_err(local)?))
    }

    /// Whether the so many bytes there are the first of the parcel's. Where they may not be read and all that is ever
    /// done is to append, no others can be.
    fn is_beginning(&mut self, size: u64) -> Result<bool, Fault> {
        let local = |e: io::Error| Fault::local("read", self.parcel.file, &e);
        let file = fs::File::open(self.parcel.file).map_err(local)?;
        let ours = sha256_of(file.take(size), size).map_err(local)?;
        let theirs = self.read_back(self.name, |from| sha256_of(from, size))?;
        Ok(theirs.map_or(self.append, |theirs| theirs.is_some() && theirs == ours))
    }

    /// What can be made of a file there; none where it may not be read.
    fn read_back<T>(
        &mut self,
        name: &str,
        read: impl FnOnce(&mut dyn Read) -> io::Result<T>,
    ) -> Result<Option<T>, Fault> {
        match self.link.read_back(name, read) {
            Err(fault)
                if matches!(fault.kind, ErrorKind::Refused | ErrorKind::Protocol) && !self.link.is_dead() =>
            {
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    /// Writes the file under this name, but for its first bytes.
    fn send(&mut self, command: &str, name: &'a str, mut source: Source<'_>, skip: u64) -> Result<(), Fault> {
        let operation = format!("write {name}");
        let mut stream = self.link.begin(&operation, &format!("{command} {name}"))?;
        self.partial = Some(name);
        self.parcel.steps.done("opened");
        let mut line_ends = (!self.link.is_exact()).then(ToNetwork::default);
        let (mut piece, mut left) = (vec![0; PIECE_BYTES], skip);
        let written = loop {
            let count = match source.read(&mut piece) {
                Ok(0) => break stream.flush(),
                Ok(count) => count,
                // What is there of it goes.
                Err(fault) => return Err(fault),
            };
            let passed = usize::try_from(left).unwrap_or(usize::MAX).min(count);
            left -= passed as u64;
            let text = line_ends.as_mut().map(|line_ends| line_ends.convert(&piece[passed..count]));
            if let Err(e) = stream.write_all(text.as_deref().unwrap_or(&piece[passed..count])) {
                break Err(e);
            }
        };
        if written.is_ok() {
            self.parcel.steps.done("written");
        }
        self.link.finish(&operation, stream, written)?;
        self.parcel.steps.done("closed");
        Ok(())
    }

    /// Whether the whole file is under this name: by the server's own hash, or its size, or read back where there is
    /// none to see. Where nothing can be seen, and of text, the server's reply is taken for it.
    fn check(&mut self, name: &str) -> Result<Checked, Fault> {
        let differs = |what: String| {
            Fault::new(ErrorKind::FarSide, format!("{name} {what}"))
                .hint("a full disk or a quota is the usual reason")
        };
        if !self.link.is_exact() {
            return Ok(Checked::Reply);
        }
        match self.link.sha256(name)? {
            Some(hash) if hash == self.parcel.sha256 => return Ok(Checked::Sha256),
            Some(_) => return Err(differs("has other content there".into())),
            None => {}
        }
        match self.link.stat(name)? {
            Stat::File(Some(size)) if size == self.parcel.bytes => Ok(Checked::Size),
            Stat::File(Some(size)) => {
                Err(differs(format!("has {size} bytes of {} there", self.parcel.bytes)))
            }
            _ => match self.compare(name)? {
                Some(true) => Ok(Checked::Sha256),
                Some(false) => Err(differs("reads back with other content".into())),
                None => Ok(Checked::Reply),
            },
        }
    }

    /// Gives the file its name; false where the receiver renames nothing. Some rename onto an earlier file in one
    /// step, others onto nothing that exists. A no may be meant for this name alone: another is tried.
    fn rename(&mut self, onto_another: bool) -> Result<bool, Fault> {
        let refusal = match self.link.rename(self.part, self.name) {
            Err(fault) if fault.kind == ErrorKind::Refused => fault,
            done => return done,
        };
        if !onto_another {
            // From here on its absence under either name says nothing: it may be under that of the trial.
            self.mark(false)?;
            return if self.rename_to_trial()? { Err(refusal) } else { Ok(false) };
        }
        self.link.remove(self.name)?;
        self.parcel.steps.done("removed");
        self.link.rename(self.part, self.name)
    }
}

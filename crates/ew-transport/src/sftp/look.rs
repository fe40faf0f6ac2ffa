//! Looking at what is there, over SFTP.

use super::connect::{Access, Link};
use super::deliver::beside;
use super::fault::{fault, io_fault, is_absent, is_denied, is_end, is_failure, is_unsupported};
use crate::error::{ErrorKind, Fault};
use crate::look::{Hashed, NAMES_MAX, Sink, answer, drain, too_many};
use crate::{Answer, Content, Entry, Look, TransportError, part_name};
use std::path::Path;

/// Asks one server, over one connection as long as it lasts.
pub(crate) struct SftpLook {
    access: Access,
    directory: String,
    link: Option<Link>,
}

impl Look for SftpLook {
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError> {
        let directory = self.directory.clone();
        let listed = self.ask(|link| answer(entries(link, &directory)));
        let absent = || {
            Fault::new(ErrorKind::Missing, format!("list {directory}: the directory is not there"))
                .hint("it was there when files were delivered; ask the receiver")
        };
        let listed = listed.and_then(|listed| match listed {
            Answer::Absent => Err(absent()),
            listed => Ok(listed),
        });
        listed.map_err(|fault| fault.seen_at(&self.access.far_side, None))
    }

    fn size(&mut self, name: &str) -> Result<Answer<Option<u64>>, TransportError> {
        self.ask_of(name, |link, path| {
            let stat = link.sftp.stat(Path::new(path)).map_err(|e| said(link, "look for", path, &e))?;
            match stat.is_dir() {
                true => Err(Fault::new(ErrorKind::Missing, format!("{path} is a directory"))),
                false => Ok(stat.size),
            }
        })
    }

    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError> {
        self.ask_of(name, |link, path| read_back::<Hashed>(link, path, bytes_max).map(Content::from))
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError> {
        self.ask_of(name, |link, path| read_back(link, path, bytes_max))
    }
}

impl SftpLook {
    pub(crate) fn new(access: Access, directory: String) -> SftpLook {
        SftpLook { access, directory, link: None }
    }

    fn ask_of<T>(
        &mut self,
        name: &str,
        ask: impl Fn(&Link, &str) -> Result<T, Fault>,
    ) -> Result<Answer<T>, TransportError> {
        let path = beside(&self.directory, name);
        let asked = part_name(name).and_then(|_| self.ask(|link| answer(ask(link, &path))));
        asked.map_err(|fault| fault.seen_at(&self.access.far_side, Some(name)))
    }

    /// Asks, and once more where the connection turns out to have ended meanwhile.
    fn ask<T>(&mut self, ask: impl Fn(&Link) -> Result<T, Fault>) -> Result<T, Fault> {
        let kept = self.link.take().filter(|link| !link.is_dead());
        let was_kept = kept.is_some();
        let link = match kept {
            Some(link) => link,
            None => self.access.connect()?,
        };
        match ask(&link) {
            Err(fault) if fault.kind == ErrorKind::Unreachable => {
                link.stop();
                if was_kept { self.ask(ask) } else { Err(fault) }
            }
            asked => {
                self.link = Some(link);
                asked
            }
        }
    }
}

fn entries(link: &Link, directory: &str) -> Result<Vec<Entry>, Fault> {
    let mut open = link.sftp.opendir(Path::new(directory)).map_err(|e| said(link, "list", directory, &e))?;
    let mut entries = Vec::new();
    loop {
        match open.readdir() {
            Ok((_, stat)) if stat.is_dir() => {}
            Ok((name, stat)) => entries.push(Entry {
                name: name.to_string_lossy().into_owned(),
                // Of anything else, a link for instance, it is not that of what it leads to.
                bytes: stat.size.filter(|_| stat.is_file()),
            }),
            Err(e) if is_end(&e) => return Ok(entries),
            Err(e) => return Err(said(link, "list", directory, &e)),
        }
        if entries.len() > NAMES_MAX {
            return Err(too_many(&directory));
        }
    }
}

fn read_back<S: Sink>(link: &Link, path: &str, bytes_max: u64) -> Result<S, Fault> {
    let file = link.sftp.open(Path::new(path)).map_err(|e| said(link, "open", path, &e))?;
    drain(file, bytes_max).map_err(|e| io_fault(&format!("read back {path}"), &e, link))
}

/// A failure, where a request that the server does not know is one that it refuses.
fn said(link: &Link, operation: &str, path: &str, error: &ssh2::Error) -> Fault {
    let fault = fault(&format!("{operation} {path}"), error, link);
    let kind = match error {
        e if is_absent(e) => ErrorKind::Missing,
        e if is_denied(e) || is_unsupported(e) || is_failure(e) => ErrorKind::Refused,
        _ => fault.kind,
    };
    Fault { kind, ..fault }
}

//! Looking at what is there, over SFTP.

use super::connect::{Access, Link};
use super::deliver::beside;
use super::fault::{fault, io_fault, is_absent, is_denied, is_end, is_failure, is_unsupported};
use crate::error::{ErrorKind, Fault};
use crate::look::{Hashed, NAMES_MAX, Sink, answer, drain, too_many};
use crate::{Answer, Content, Entry, Look, Size, TransportError, part_name};
use ssh2::OpenFlags;

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

    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError> {
        self.ask_of(name, |link, path| {
            let stat = link.sftp.stat(path).answer().map_err(|e| said(link, "look for", path, &e))?;
            Ok(if stat.is_dir() { Size::Directory } else { Size::of_file(stat.size) })
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
    let open = link.sftp.opendir(directory).answer().map_err(|e| said(link, "list", directory, &e))?;
    let (mut entries, mut count) = (Vec::new(), 0);
    loop {
        let names = match open.names().answer() {
            Err(e) if is_end(&e) => return Ok(entries),
            names => names.map_err(|e| said(link, "list", directory, &e))?,
        };
        // None at all is another way to say that it is the end.
        if names.is_empty() {
            return Ok(entries);
        }
        count += names.len();
        let files = names.into_iter().filter(|(_, stat)| !stat.is_dir());
        entries.extend(files.map(|(name, stat)| Entry {
            name: String::from_utf8_lossy(&name).into_owned(),
            // Of anything else, a link for instance, it is not that of what it leads to.
            bytes: stat.size.filter(|_| stat.is_file()),
        }));
        if count > NAMES_MAX {
            return Err(too_many(&directory));
        }
    }
}

fn read_back<S: Sink>(link: &Link, path: &str, bytes_max: u64) -> Result<S, Fault> {
    let file = link.sftp.open(path, OpenFlags::READ).answer().map_err(|e| said(link, "open", path, &e))?;
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

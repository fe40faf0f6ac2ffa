//! Looking at what is there, over FTP.

use super::connect::Access;
use super::link::{Link, Stat};
use crate::error::{ErrorKind, Fault};
use crate::look::{Hashed, Sink, answer, drain};
use crate::{Answer, Content, Entry, Look, Size, TransportError, part_name};

/// Asks one server, over one connection as long as it lasts.
pub(crate) struct FtpLook {
    access: Access,
    link: Option<Link>,
}

impl Look for FtpLook {
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError> {
        let directory = self.access.directory.clone();
        let listed = self.ask(|link| answer(unknown(link.list(&directory))));
        listed.map_err(|fault| fault.seen_at(&self.access.far_side, None))
    }

    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError> {
        self.ask_of(name, |link| {
            Ok(match link.stat(name)? {
                Stat::Absent => Answer::Absent,
                Stat::Directory => Answer::Is(Size::Directory),
                // Line ends may be others there.
                Stat::File(_) if !link.is_exact() => Answer::Is(Size::Untold),
                Stat::File(bytes) => Answer::Is(Size::of_file(bytes)),
                Stat::Untold => Answer::Unknown(format!("look for {name}: the server tells no sizes")),
            })
        })
    }

    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError> {
        self.ask_of(name, |link| match link.is_exact() {
            true => Ok(read_back::<Hashed>(link, name, bytes_max)?.map(Content::from)),
            false => {
                Ok(Answer::Unknown(format!("read back {name}: it was sent as text, line ends may differ")))
            }
        })
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError> {
        self.ask_of(name, |link| read_back(link, name, bytes_max))
    }
}

impl FtpLook {
    pub(crate) fn new(access: Access) -> FtpLook {
        FtpLook { access, link: None }
    }

    fn ask_of<T>(
        &mut self,
        name: &str,
        ask: impl Fn(&mut Link) -> Result<Answer<T>, Fault>,
    ) -> Result<Answer<T>, TransportError> {
        let asked = part_name(name).and_then(|_| self.ask(ask));
        asked.map_err(|fault| fault.seen_at(&self.access.far_side, Some(name)))
    }

    /// Asks, and once more where the connection turns out to have ended meanwhile.
    fn ask<T>(&mut self, ask: impl Fn(&mut Link) -> Result<T, Fault>) -> Result<T, Fault> {
        let kept = self.link.take();
        let was_kept = kept.is_some();
        let mut link = match kept {
            Some(link) => link,
            None => self.access.connect()?,
        };
        match ask(&mut link) {
            Err(fault) if fault.kind == ErrorKind::Unreachable && was_kept => self.ask(ask),
            asked => {
                self.link = Some(link).filter(|link| !link.is_dead());
                asked
            }
        }
    }
}

/// The same no for what is not there and for what may not be read: looking for it tells them apart, mostly.
fn read_back<S: Sink>(link: &mut Link, name: &str, bytes_max: u64) -> Result<Answer<S>, Fault> {
    match answer(unknown(link.read_back(name, |from| drain(from, bytes_max))))? {
        Answer::Unknown(_) if !link.is_dead() && link.stat(name)? == Stat::Absent => Ok(Answer::Absent),
        read => Ok(read),
    }
}

/// A request that the server does not know is one that it refuses.
fn unknown<T>(asked: Result<T, Fault>) -> Result<T, Fault> {
    asked.map_err(|fault| match fault.kind {
        ErrorKind::Protocol => Fault { kind: ErrorKind::Refused, ..fault },
        _ => fault,
    })
}

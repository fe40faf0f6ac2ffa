//! What a server can do, request by request, tried with a file that is taken away again.

use super::deliver::rename;
use super::exchange::{Access, Ask, Content};
use super::look::{Seen, read_back, see, understand};
use super::{HttpOptions, Method};
use crate::error::{ErrorKind, Fault};
use crate::probe::CONTENT;
use crate::web::Upload;
use crate::{Ability, Can, Probe};
use ureq::http::Method as Verb;
use url::Url;

/// Tries everything that a delivery needs, and what it can make use of. Nothing is posted: nobody could take it back.
pub(crate) fn run(
    access: &Access,
    options: &HttpOptions,
    name: &str,
    probe: &mut Probe,
) -> Result<(), Fault> {
    let url = |name: &str| options.url.of(name).map_err(|why| Fault::new(ErrorKind::Config, why));
    let (one, other) = (url(name)?, url(&format!("{name}.2"))?);
    let ask = Ask::new(Verb::HEAD, &one);
    let response = probe.needs(Ability::Connect, access.ask(&ask))?;
    if options.url.is_tls() {
        probe.add(Ability::Tls, Can::Yes, None);
    }
    probe.needs(Ability::LogIn, understand(access, &ask, response))?;
    if options.method == Method::Post {
        return Ok(());
    }
    let mut trial = Trial { access, probe };
    let tried = trial.each(&one, &other, options.rename);
    trial.clear(&[&one, &other]);
    tried
}

struct Trial<'a> {
    access: &'a Access,
    probe: &'a mut Probe,
}

impl Trial<'_> {
    fn each(&mut self, one: &Url, other: &Url, rename: bool) -> Result<(), Fault> {
        let written = self.write(one);
        self.probe.needs(Ability::Write, written)?;
        match see(self.access, one)? {
            Seen::File(Some(bytes)) if bytes == CONTENT.len() as u64 => {
                self.probe.add(Ability::Stat, Can::Yes, None);
            }
            Seen::File(Some(bytes)) => {
                let reason = format!("{} has {bytes} bytes of {} there", one.path(), CONTENT.len());
                return self.probe.needs(Ability::Stat, Err(Fault::new(ErrorKind::FarSide, reason)));
            }
            Seen::Untold(why) => self.probe.add(Ability::Stat, Can::No, Some(why)),
            Seen::File(None) | Seen::Nothing | Seen::Directory => {
                self.probe.add(Ability::Stat, Can::No, Some("its size is not told".to_owned()));
            }
        }
        let back = read_back::<Vec<u8>>(self.access, one, CONTENT.len() as u64);
        let back = back.and_then(|back| match back == CONTENT {
            true => Ok(()),
            false => {
                Err(Fault::new(ErrorKind::FarSide, format!("{} reads back with other content", one.path())))
            }
        });
        self.probe.tried(Ability::ReadBack, &back);
        let renamed = self.rename(one, other);
        self.probe.tried(Ability::Rename, &renamed);
        match renamed {
            Err(fault) if rename => return Err(fault),
            Err(_) => {}
            Ok(()) => {
                let replaced = self.write(one).and_then(|()| self.rename(one, other));
                self.probe.tried(Ability::Replace, &replaced);
            }
        }
        Ok(())
    }

    fn write(&self, url: &Url) -> Result<(), Fault> {
        let open = || Ok(Upload::of(CONTENT.to_vec()));
        let content = Content { bytes: CONTENT.len() as u64, open: &open };
        let ask = Ask { content: Some(&content), ..Ask::new(Verb::PUT, url) };
        self.access.must(&ask).map(|_| ())
    }

    fn rename(&self, from: &Url, to: &Url) -> Result<(), Fault> {
        rename(self.access, from, to, true)
    }

    /// Takes away what was made, and says what is left.
    fn clear(&mut self, urls: &[&Url]) {
        let mut removed: Option<Result<(), Fault>> = None;
        for url in urls {
            match self.access.must(&Ask::new(Verb::DELETE, url)) {
                Ok(_) => removed = removed.or(Some(Ok(()))),
                Err(fault) if fault.kind == ErrorKind::Missing => {}
                Err(fault) => {
                    if !matches!(see(self.access, url), Ok(Seen::Nothing)) {
                        self.probe.left.push(url.path().to_owned());
                        removed = Some(Err(fault));
                    }
                }
            }
        }
        if let Some(removed) = removed {
            self.probe.tried(Ability::Remove, &removed);
        }
    }
}

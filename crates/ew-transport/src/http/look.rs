//! Looking at what is there, by HEAD and GET.

use super::address::Address;
use super::exchange::{Access, Ask};
use crate::error::{ErrorKind, Fault};
use crate::look::{Hashed, Sink, answer, drain};
use crate::web::failed;
use crate::{Answer, Content, Entry, Look, Size, TransportError, part_name};
use ureq::http::header::CONTENT_LENGTH;
use ureq::http::{Method, Response};
use ureq::{Body, ResponseExt};
use url::Url;

/// What a server says of an address.
pub(crate) enum Seen {
    Nothing,
    /// A file, and its size where that is told.
    File(Option<u64>),
    Directory,
    /// It does not say; why.
    Untold(String),
}

/// Asks for everything but the file itself.
pub(crate) fn see(access: &Access, url: &Url) -> Result<Seen, Fault> {
    let ask = Ask::new(Method::HEAD, url);
    let response = access.ask(&ask)?;
    understand(access, &ask, response)
}

/// What the answer to a HEAD says.
pub(crate) fn understand(access: &Access, ask: &Ask<'_>, response: Response<Body>) -> Result<Seen, Fault> {
    // A server sends on from a directory to the same with a slash.
    if response.get_uri().path().strip_suffix('/') == Some(ask.url.path()) {
        return Ok(Seen::Directory);
    }
    match response.status().as_u16() {
        200..=299 => {
            let bytes =
                response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(Seen::File(bytes))
        }
        404 | 410 => Ok(Seen::Nothing),
        401 | 407 | 408 | 425 | 429 => Err(access.fault(ask, response)),
        400..=499 | 501 => Ok(Seen::Untold(access.fault(ask, response).reason)),
        _ => Err(access.fault(ask, response)),
    }
}

/// Reads a file back, at most little more than `bytes_max` bytes of it.
pub(crate) fn read_back<S: Sink>(access: &Access, url: &Url, bytes_max: u64) -> Result<S, Fault> {
    let ask = Ask::new(Method::GET, url);
    let mut response = access.must(&ask)?;
    drain(response.body_mut().as_reader(), bytes_max).map_err(|e| failed(&ask.operation(), &e.into()))
}

/// Asks one server.
pub(crate) struct HttpLook {
    pub(crate) access: Access,
    pub(crate) address: Address,
}

impl Look for HttpLook {
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError> {
        Ok(Answer::Unknown("over HTTP nothing is listed".to_owned()))
    }

    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError> {
        self.ask(name, |access, url| {
            Ok(match see(access, url)? {
                Seen::Nothing => Answer::Absent,
                Seen::File(bytes) => Answer::Is(Size::of_file(bytes)),
                Seen::Directory => Answer::Is(Size::Directory),
                Seen::Untold(why) => Answer::Unknown(why),
            })
        })
    }

    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError> {
        self.ask(name, |access, url| Ok(Answer::Is(read_back::<Hashed>(access, url, bytes_max)?.into())))
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError> {
        self.ask(name, |access, url| Ok(Answer::Is(read_back(access, url, bytes_max)?)))
    }
}

impl HttpLook {
    fn ask<T>(
        &self,
        name: &str,
        ask: impl Fn(&Access, &Url) -> Result<Answer<T>, Fault>,
    ) -> Result<Answer<T>, TransportError> {
        let url = || self.address.of(name).map_err(|why| Fault::new(ErrorKind::Config, why));
        // Once more where the connection was lost: it may have been kept since the file before.
        let once_more = |url: &Url| match ask(&self.access, url) {
            Err(fault) if fault.kind == ErrorKind::Unreachable && !fault.of_receiver => {
                ask(&self.access, url)
            }
            asked => asked,
        };
        let asked = match part_name(name).and_then(|_| url()).and_then(|url| once_more(&url)) {
            // Credentials that are wrong are wrong for everything.
            Err(fault) if fault.of_receiver => Err(fault),
            asked => answer(asked).map(|asked| match asked {
                Answer::Is(told) => told,
                Answer::Absent => Answer::Absent,
                Answer::Unknown(why) => Answer::Unknown(why),
            }),
        };
        asked.map_err(|fault| fault.seen_at(&self.access.origin, Some(name)))
    }
}

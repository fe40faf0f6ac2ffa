//! Looking at what is there, by HEAD, GET and listings.

use super::access::{Access, document, unread};
use crate::error::Fault;
use crate::look::{Hashed, NAMES_MAX, Sink, answer, drain, too_many};
use crate::web::failed;
use crate::{Answer, Content, Entry, Look, Size, TransportError};
use rusty_s3::actions::ListObjectsV2;
use ureq::http::header::CONTENT_LENGTH;

/// Pages of a listing, a thousand names each: one without any may still say that another follows.
const PAGES_MAX: usize = NAMES_MAX / 1000;

/// What the server says of a key.
pub(crate) enum Seen {
    Nothing,
    /// An object of so many bytes.
    Object(u64),
    /// It does not say; why.
    Untold(String),
}

/// Asks for everything but the object itself.
pub(crate) fn see(access: &Access, key: &str) -> Result<Seen, Fault> {
    let operation = format!("look for {key}");
    let action = access.bucket.head_object(access.credentials(), key);
    let response = access.ask(&operation, action, &[], None)?;
    match response.status().as_u16() {
        200..=299 => {
            let bytes =
                response.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
            Ok(bytes.map_or_else(|| Seen::Untold(format!("{operation}: its size is not told")), Seen::Object))
        }
        404 => Ok(Seen::Nothing),
        // An answer to HEAD has no room for the reason: whatever it is, the request after this one is told it.
        400..=499 if !matches!(response.status().as_u16(), 408 | 429) => {
            Ok(Seen::Untold(access.refusal(&operation, response).reason))
        }
        _ => Err(access.refusal(&operation, response)),
    }
}

/// Reads an object back, at most little more than `bytes_max` bytes of it.
pub(crate) fn read_back<S: Sink>(access: &Access, key: &str, bytes_max: u64) -> Result<S, Fault> {
    let operation = format!("read back {key}");
    let action = access.bucket.get_object(access.credentials(), key);
    let mut response = access.must(&operation, action, &[], None)?;
    drain(response.body_mut().as_reader(), bytes_max).map_err(|e| failed(&operation, &e.into()))
}

/// The objects with the prefix and no further slash.
pub(crate) fn list(access: &Access) -> Result<Vec<Entry>, Fault> {
    let operation = format!("list {}", access.prefix);
    let (mut entries, mut token) = (Vec::new(), None::<String>);
    for _ in 0..PAGES_MAX {
        let mut action = access.bucket.list_objects_v2(access.credentials());
        action.with_delimiter("/");
        if !access.prefix.is_empty() {
            action.with_prefix(access.prefix.as_str());
        }
        if let Some(token) = token {
            action.with_continuation_token(token);
        }
        let text = document(&operation, access.must(&operation, action, &[], None)?)?;
        let page = ListObjectsV2::parse_response(&text).map_err(|e| unread(&operation, &e))?;
        for object in page.contents {
            // What some consoles make for a folder has no name of its own.
            if let Some(name) = object.key.strip_prefix(&access.prefix).filter(|name| !name.is_empty()) {
                entries.push(Entry { name: name.to_owned(), bytes: object.size });
            }
        }
        if entries.len() > NAMES_MAX {
            return Err(too_many(&access.prefix));
        }
        token = match page.next_continuation_token {
            Some(token) => Some(token),
            None => return Ok(entries),
        };
    }
    Err(too_many(&access.prefix))
}

/// Asks one bucket.
pub(crate) struct S3Look {
    pub(crate) access: Access,
    pub(crate) far_side: String,
}

impl Look for S3Look {
    fn list(&mut self) -> Result<Answer<Vec<Entry>>, TransportError> {
        match list(&self.access) {
            Err(fault) if fault.of_receiver => Err(fault),
            listed => answer(listed),
        }
        .map_err(|fault| fault.seen_at(&self.far_side, None))
    }

    fn size(&mut self, name: &str) -> Result<Answer<Size>, TransportError> {
        self.ask(name, |access, key| {
            Ok(match see(access, key)? {
                Seen::Nothing => Answer::Absent,
                Seen::Object(bytes) => Answer::Is(Size::Bytes(bytes)),
                Seen::Untold(why) => Answer::Unknown(why),
            })
        })
    }

    fn hash(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Content>, TransportError> {
        self.ask(name, |access, key| answer(read_back::<Hashed>(access, key, bytes_max).map(Content::from)))
    }

    fn read(&mut self, name: &str, bytes_max: u64) -> Result<Answer<Vec<u8>>, TransportError> {
        self.ask(name, |access, key| answer(read_back(access, key, bytes_max)))
    }
}

impl S3Look {
    fn ask<T>(
        &self,
        name: &str,
        ask: impl Fn(&Access, &str) -> Result<Answer<T>, Fault>,
    ) -> Result<Answer<T>, TransportError> {
        let asked = self.access.key(name).and_then(|key| ask(&self.access, &key));
        asked.map_err(|fault| fault.seen_at(&self.far_side, Some(name)))
    }
}

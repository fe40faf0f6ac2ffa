//! One file: look, send whole or in parts, check. An object appears whole or not at all, so it needs no other name.

use super::S3Options;
use super::access::Access;
use super::look::{Seen, read_back, see};
use super::parts;
use crate::error::{ErrorKind, Fault, occupied};
use crate::look::Hashed;
use crate::web::Upload;
use crate::{Checked, Content, How, Parcel, Receipt, Transport as _, TransportError, Transporter};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use std::path::Path;
use ureq::Body;
use ureq::http::Response;

/// Of a request that is to make an object, and never to take the place of one (RFC 9110, section 13.1.2).
const IF_NONE_MATCH: &str = "if-none-match";

/// The transporter.
pub(crate) struct S3 {
    pub(crate) access: Access,
    pub(crate) options: S3Options,
}

impl Transporter for S3 {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        let placed = self.access.key(parcel.name).and_then(|key| {
            let (how, checked) = self.place(parcel, &key)?;
            let destination = self.options.destination(Path::new(""));
            Ok(Receipt { destination, path: key, bytes: parcel.bytes, how, checked, recipients: Vec::new() })
        });
        placed.map_err(|fault| fault.at(&self.options.far_side(), Some(parcel.name)))
    }
}

impl S3 {
    fn place(&self, parcel: &Parcel<'_>, key: &str) -> Result<(How, Checked), Fault> {
        let seen = see(&self.access, key)?;
        if parcel.sent_before {
            parts::abort_left(&self.access, key)?;
        }
        let how = match seen {
            Seen::Object(bytes) if self.is_same(parcel, key, bytes)? => {
                return Ok((How::Found, Checked::Sha256));
            }
            Seen::Object(_) if parcel.may_replace => How::Replaced,
            Seen::Object(_) => return Err(occupied(key)),
            Seen::Nothing | Seen::Untold(_) => How::Sent,
        };
        // What cannot be seen may be an earlier revision, which has to go.
        let only_new = matches!(seen, Seen::Nothing) || !parcel.may_replace;
        if !self.send(parcel, key, only_new)? {
            // Somebody came between, or it could not be seen before. It may be our own.
            return match see(&self.access, key)? {
                Seen::Object(bytes) if self.is_same(parcel, key, bytes)? => Ok((How::Found, Checked::Sha256)),
                Seen::Untold(_) => Err(occupied(key).hint(
                    "this key may not look at it (s3:GetObject), so it cannot be told whose it is; look there \
                     yourself, and where it is this file, ew-ledger skip",
                )),
                _ => Err(occupied(key)),
            };
        }
        parcel.steps.done("renamed");
        match see(&self.access, key)? {
            Seen::Object(bytes) if bytes != parcel.bytes => {
                let reason = format!("{key} has {bytes} bytes of {}", parcel.bytes);
                Err(Fault::new(ErrorKind::FarSide, reason))
            }
            Seen::Object(_) => Ok((how, Checked::Size)),
            // Whoever reads there may have taken it away already.
            Seen::Nothing | Seen::Untold(_) => Ok((how, Checked::Reply)),
        }
    }

    /// Whether the object of so many bytes is the parcel's.
    fn is_same(&self, parcel: &Parcel<'_>, key: &str, bytes: u64) -> Result<bool, Fault> {
        if bytes != parcel.bytes {
            return Ok(false);
        }
        let found = Content::from(read_back::<Hashed>(&self.access, key, bytes)?);
        Ok(found.bytes == parcel.bytes && found.sha256 == parcel.sha256)
    }

    /// Sends it; false where `only_new` and the key is there.
    fn send(&self, parcel: &Parcel<'_>, key: &str, only_new: bool) -> Result<bool, Fault> {
        match parcel.bytes > self.options.multipart_above {
            true => parts::send(&self.access, parcel, key, self.options.multipart_above, only_new),
            false => self.put(parcel, key, only_new),
        }
    }

    fn put(&self, parcel: &Parcel<'_>, key: &str, only_new: bool) -> Result<bool, Fault> {
        let operation = format!("put {key}");
        let put = |condition: Condition| {
            let mut headers = about(parcel);
            headers.push(("x-amz-checksum-sha256", BASE64_STANDARD.encode(unhex(parcel.sha256))));
            headers.extend(condition);
            let mut upload = Upload::between(parcel, Vec::new(), Vec::new())?;
            parcel.steps.done("opened");
            let action = self.access.bucket.put_object(self.access.credentials(), key);
            let response = self.access.ask(&operation, action, &headers, Some((&mut upload, parcel.bytes)));
            parcel.steps.done("written");
            response.map_err(|fault| upload.fault().unwrap_or(fault))
        };
        Ok(on_condition(&self.access, &operation, only_new, put)?.is_some())
    }
}

/// The header of the condition, where there is one.
pub(crate) type Condition = Option<(&'static str, String)>;

/// Makes a request that only new keys are to be made by; none where there is one. A service that does not know the
/// condition gets it without: then nobody else may write there between look and request.
pub(crate) fn on_condition(
    access: &Access,
    operation: &str,
    only_new: bool,
    request: impl Fn(Condition) -> Result<Response<Body>, Fault>,
) -> Result<Option<Response<Body>>, Fault> {
    let mut response = request(only_new.then(|| (IF_NONE_MATCH, "*".to_owned())))?;
    if only_new && response.status().as_u16() == 501 {
        response = request(None)?;
    }
    match response.status().as_u16() {
        200..=299 => Ok(Some(response)),
        412 if only_new => Ok(None),
        _ => Err(access.refusal(operation, response)),
    }
}

/// What the object says of itself: readers compare it with what they got.
pub(crate) fn about(parcel: &Parcel<'_>) -> Vec<(&'static str, String)> {
    vec![("x-amz-meta-sha256", parcel.sha256.to_owned())]
}

/// The bytes of hexadecimal digits.
fn unhex(digits: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
    digits.as_bytes().chunks_exact(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_bytes() {
        assert_eq!(unhex("00ff1aA0"), [0x00, 0xff, 0x1a, 0xa0]);
    }
}

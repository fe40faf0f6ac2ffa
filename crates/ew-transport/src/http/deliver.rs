//! One file: look, send, check, and with `rename` under another name first.

use super::exchange::{Access, Ask, Content};
use super::look::{Seen, read_back, see};
use super::{HttpOptions, Method};
use crate::error::{ErrorKind, Fault, occupied};
use crate::look::Hashed;
use crate::source::{parcel_id, sha256_of};
use crate::web::Upload;
use crate::{
    Checked, Content as Held, How, Parcel, Receipt, Transport as _, TransportError, Transporter, part_name,
};
use std::fs;
use std::io::Read;
use std::path::Path;
use ureq::http::header::{CONTENT_TYPE, IF_NONE_MATCH};
use ureq::http::{HeaderName, HeaderValue, Method as Verb};
use url::Url;

/// The transporter.
pub(crate) struct Http {
    pub(crate) access: Access,
    pub(crate) options: HttpOptions,
}

impl Transporter for Http {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        let placed = part_name(parcel.name).and_then(|part| {
            let url = self.url(parcel.name)?;
            let (how, checked) = match self.options.method {
                Method::Post => self.post(parcel, &url)?,
                Method::Put => {
                    let part = self.url(&part)?;
                    Visit { http: self, parcel, url: &url, part: &part, is_begun: false, is_marked: false }
                        .put()?
                }
            };
            let (destination, path) = (self.options.destination(Path::new("")), url.into());
            Ok(Receipt { destination, path, bytes: parcel.bytes, how, checked, recipients: Vec::new() })
        });
        placed.map_err(|fault| fault.at(&self.access.origin, Some(parcel.name)))
    }
}

impl Http {
    fn url(&self, name: &str) -> Result<Url, Fault> {
        self.options.url.of(name).map_err(|why| Fault::new(ErrorKind::Config, why))
    }

    /// One request, and its answer is all that there is to know.
    fn post(&self, parcel: &Parcel<'_>, url: &Url) -> Result<(How, Checked), Fault> {
        let mime = self.mime(parcel.name);
        let Some(field) = &self.options.form_field else {
            self.send(Verb::POST, url, parcel, &mime, (Vec::new(), Vec::new()), Vec::new())?;
            return Ok((How::Sent, Checked::Reply));
        };
        // No file holds its own hash, so this never stands in it; and a form that is sent again is the same.
        let boundary = format!("ew-{}", parcel_id(&self.options.destination(Path::new("")), parcel));
        let head = format!(
            "--{boundary}\r\nContent-Disposition: form-data; name=\"{}\"; filename=\"{}\"\r\nContent-Type: {mime}\r\n\r\n",
            quoted(field),
            quoted(parcel.name)
        );
        let frame = (head.into_bytes(), format!("\r\n--{boundary}--\r\n").into_bytes());
        let mime = format!("multipart/form-data; boundary={boundary}");
        self.send(Verb::POST, url, parcel, &mime, frame, Vec::new())?;
        Ok((How::Sent, Checked::Reply))
    }

    /// Sends the file as the body of a request, between the two ends of a frame.
    fn send(
        &self,
        method: Verb,
        url: &Url,
        parcel: &Parcel<'_>,
        mime: &str,
        frame: (Vec<u8>, Vec<u8>),
        mut headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<(), Fault> {
        let value = |text: &str| {
            HeaderValue::from_str(text)
                .map_err(|_| Fault::new(ErrorKind::Config, format!("{text:?} is no header")))
        };
        headers.push((CONTENT_TYPE, value(mime)?));
        if let Some(name) = &self.options.idempotency_header
            && let Ok(name) = HeaderName::try_from(name)
        {
            let id = parcel_id(&self.options.destination(Path::new("")), parcel);
            headers.push((name, value(&id)?));
        }
        let (head, tail) = &frame;
        let open = || Upload::between(parcel, head.clone(), tail.clone());
        let content = Content { bytes: parcel.bytes + (head.len() + tail.len()) as u64, open: &open };
        let ask = Ask { headers, content: Some(&content), ..Ask::new(method, url) };
        parcel.steps.done("opened");
        self.access.must(&ask)?;
        parcel.steps.done("written");
        Ok(())
    }

    fn mime(&self, name: &str) -> String {
        if let Some(mime) = &self.options.content_type {
            return mime.clone();
        }
        let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
        match extension {
            "csv" => "text/csv; charset=utf-8",
            "xml" => "application/xml",
            "json" => "application/json",
            "jsonl" => "application/x-ndjson",
            "gz" => "application/gzip",
            "zst" => "application/zstd",
            _ => "application/octet-stream",
        }
        .to_owned()
    }
}

/// RFC 7578 and the HTML standard: a name within quotation marks.
fn quoted(name: &str) -> String {
    name.replace('"', "%22").replace('\r', "%0D").replace('\n', "%0A")
}

enum Found {
    Nothing,
    /// The parcel, as far as was compared.
    Same(Checked),
    /// Its beginning, which a server kept of an attempt that was cut short.
    Begun,
    Other,
    /// The server does not say.
    Unseen,
}

/// One parcel by PUT.
struct Visit<'a> {
    http: &'a Http,
    parcel: &'a Parcel<'a>,
    url: &'a Url,
    part: &'a Url,
    /// Something may be under the temporary name.
    is_begun: bool,
    /// The whole file may have been renamed.
    is_marked: bool,
}

impl Visit<'_> {
    fn put(&mut self) -> Result<(How, Checked), Fault> {
        let put = self.look_and_put();
        if let Err(fault) = &put
            && self.is_begun
            && !self.is_marked
            && fault.kind != ErrorKind::Unreachable
        {
            self.remove_part();
        }
        put
    }

    fn look_and_put(&mut self) -> Result<(How, Checked), Fault> {
        let (parcel, rename) = (self.parcel, self.http.options.rename);
        let found = self.look()?;
        match found {
            Found::Same(checked) => {
                if parcel.sent_before && rename {
                    // What an attempt that was cut short may have left; mostly there is nothing.
                    self.remove_part();
                }
                return Ok((How::Found, checked));
            }
            Found::Other if !parcel.may_replace => return Err(occupied(self.url.path())),
            // Where things are renamed, no attempt of ours ever left a beginning there.
            Found::Begun if rename => return Err(occupied(self.url.path())),
            Found::Nothing if parcel.was_whole && rename && self.was_taken()? => {
                return Ok((How::Taken, Checked::Reply));
            }
            _ => {}
        }
        if parcel.was_whole {
            parcel.mark.keep(false)?;
        }
        let how = if matches!(found, Found::Other) { How::Replaced } else { How::Sent };
        // What is there unseen may be an earlier attempt's.
        let may_replace = match found {
            Found::Nothing => false,
            Found::Unseen => parcel.may_replace || parcel.sent_before,
            _ => true,
        };
        let checked = match rename {
            true => self.put_and_move(may_replace)?,
            false => {
                self.send(self.url, may_replace)?;
                self.check(self.url)?.unwrap_or(Checked::Reply)
            }
        };
        Ok((how, checked))
    }

    fn put_and_move(&mut self, may_replace: bool) -> Result<Checked, Fault> {
        self.is_begun = true;
        self.send(self.part, true)?;
        let checked = self.check(self.part)?;
        // Where the temporary name is hidden, nothing there tells the next attempt nothing.
        if checked.is_some() {
            // What could not be kept may be kept all the same.
            self.is_marked = true;
            self.parcel.mark.keep(true)?;
        }
        let moved = rename(&self.http.access, self.part, self.url, may_replace);
        // No answer, or that of a server between us and the receiver, leaves it open; any other says that nothing was
        // renamed.
        if let Err(fault) = &moved
            && self.is_marked
            && !matches!(fault.kind, ErrorKind::Unreachable | ErrorKind::Protocol | ErrorKind::FarSide)
        {
            self.parcel.mark.keep(false)?;
            self.is_marked = false;
        }
        moved?;
        // Acknowledged, it needs no look: what was renamed was whole, and it may have been taken away already.
        self.parcel.steps.done("renamed");
        Ok(checked.unwrap_or(Checked::Reply))
    }

    /// What is under the final name.
    fn look(&self) -> Result<Found, Fault> {
        let parcel = self.parcel;
        let bytes = match see(&self.http.access, self.url)? {
            Seen::Nothing => return Ok(Found::Nothing),
            Seen::Untold(_) => return Ok(Found::Unseen),
            Seen::Directory => {
                let reason = format!("{} is there and is a directory", self.url.path());
                return Err(Fault::new(ErrorKind::Refused, reason));
            }
            Seen::File(bytes) => bytes,
        };
        let may_be_ours = parcel.sent_before && !parcel.may_replace;
        if let Some(bytes) = bytes
            && bytes != parcel.bytes
        {
            // Some tell another size than the file has.
            if parcel.sent_before && self.is_whole(self.url)? {
                return Ok(Found::Same(Checked::Sha256));
            }
            let is_begun = bytes < parcel.bytes && may_be_ours && self.is_beginning(bytes)?;
            return Ok(if is_begun { Found::Begun } else { Found::Other });
        }
        Ok(match self.reads_back(self.url, parcel.bytes)? {
            Some(held) if held.bytes == parcel.bytes && held.sha256 == parcel.sha256 => {
                Found::Same(Checked::Sha256)
            }
            // It may not be read. Where no other content ever had the name, an earlier attempt and the size are proof
            // enough.
            None if may_be_ours && bytes.is_some() => Found::Same(Checked::Size),
            _ => Found::Other,
        })
    }

    fn reads_back(&self, url: &Url, bytes_max: u64) -> Result<Option<Held>, Fault> {
        match read_back::<Hashed>(&self.http.access, url, bytes_max) {
            Ok(read) => Ok(Some(read.into())),
            Err(fault) if matches!(fault.kind, ErrorKind::Refused | ErrorKind::Missing) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    /// Whether what is read there is the parcel.
    fn is_whole(&self, url: &Url) -> Result<bool, Fault> {
        let held = self.reads_back(url, self.parcel.bytes)?;
        Ok(held.is_some_and(|held| held.bytes == self.parcel.bytes && held.sha256 == self.parcel.sha256))
    }

    /// Whether the so many bytes there are the first of the parcel's.
    fn is_beginning(&self, bytes: u64) -> Result<bool, Fault> {
        let local = |e: std::io::Error| Fault::local("read", self.parcel.file, &e);
        let Some(held) = self.reads_back(self.url, bytes)? else { return Ok(false) };
        let file = fs::File::open(self.parcel.file).map_err(local)?;
        Ok(sha256_of(file.take(bytes), bytes).map_err(local)?.is_some_and(|ours| ours == held.sha256))
    }

    fn send(&self, url: &Url, may_replace: bool) -> Result<(), Fault> {
        let mime = self.http.mime(self.parcel.name);
        // RFC 9110, section 13.1.2: only where nothing is there. Many servers do not look at it.
        let headers = match may_replace {
            true => Vec::new(),
            false => vec![(IF_NONE_MATCH, HeaderValue::from_static("*"))],
        };
        self.http.send(Verb::PUT, url, self.parcel, &mime, (Vec::new(), Vec::new()), headers)
    }

    /// Whether the whole file is there, by its size, or read back where that is another. Where it is not told, the
    /// server's word is taken; none where there is nothing: the file was taken away the moment it was there, or is
    /// hidden.
    fn check(&self, url: &Url) -> Result<Option<Checked>, Fault> {
        let (path, bytes) = (url.path(), self.parcel.bytes);
        match see(&self.http.access, url)? {
            Seen::File(Some(there)) if there == bytes => Ok(Some(Checked::Size)),
            Seen::File(Some(_)) if self.is_whole(url)? => Ok(Some(Checked::Sha256)),
            Seen::File(Some(there)) => {
                Err(Fault::new(ErrorKind::FarSide, format!("{path} has {there} bytes of {bytes} there"))
                    .hint("a full disk or a quota is the usual reason"))
            }
            Seen::Nothing => Ok(None),
            _ => Ok(Some(Checked::Reply)),
        }
    }

    /// Whether a file that was about to be renamed was, where it is not there: see [`crate::Mark`].
    fn was_taken(&self) -> Result<bool, Fault> {
        // Where it cannot be told, the file is sent again.
        let is_there = |url: &Url| Ok::<bool, Fault>(!matches!(see(&self.http.access, url)?, Seen::Nothing));
        let keeps_files =
            || self.parcel.earlier.map_or(Ok(false), |earlier| is_there(&self.http.url(earlier)?));
        Ok(!is_there(self.part)? && !keeps_files()?)
    }

    fn remove_part(&self) {
        let _ = self.http.access.ask(&Ask::new(Verb::DELETE, self.part));
    }
}

/// Gives a file its name: RFC 4918, section 9.9.
pub(crate) fn rename(access: &Access, from: &Url, to: &Url, may_replace: bool) -> Result<(), Fault> {
    let destination = HeaderValue::from_str(to.as_str())
        .map_err(|_| Fault::new(ErrorKind::Config, format!("{to} is no header")))?;
    let overwrite = HeaderValue::from_static(if may_replace { "T" } else { "F" });
    let headers = vec![
        (HeaderName::from_static("destination"), destination),
        (HeaderName::from_static("overwrite"), overwrite),
    ];
    let verb = Verb::from_bytes(b"MOVE").map_err(|e| Fault::new(ErrorKind::Config, e.to_string()))?;
    let ask = Ask { headers, ..Ask::new(verb, from) };
    let response = access.ask(&ask)?;
    match response.status().as_u16() {
        207 => Err(ask.undone()),
        200..=299 => Ok(()),
        412 => Err(occupied(to.path())),
        405 | 501 => Err(Fault { kind: ErrorKind::Refused, ..access.fault(&ask, response) }
            .hint("this server renames nothing; leave rename = false")),
        _ => Err(access.fault(&ask, response)),
    }
}

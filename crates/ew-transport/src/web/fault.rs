//! What failures and answers of a server come to.

use crate::error::{ErrorKind, Fault};
use crate::net::{lost, silent};
use ew_core::{Missing, Secret};
use std::error::Error as _;
use std::io::{self, Read};
use std::time::{Duration, Instant};
use ureq::http::header::{CONTENT_TYPE, DATE, RETRY_AFTER};
use ureq::http::{HeaderMap, HeaderName, Response, StatusCode};
use ureq::{Body, Error, Timeout};

/// The longest part of an answer's body that is shown, and that is read to show it.
const TEXT_CHARS_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 4096;
const TEXT_WAIT: Duration = Duration::from_secs(2);

/// A request without a whole answer.
pub(crate) fn failed(operation: &str, error: &Error) -> Fault {
    match error {
        Error::Timeout(Timeout::Resolve | Timeout::Connect) => silent(operation).of_receiver(),
        Error::Timeout(_) => silent(operation),
        Error::HostNotFound => {
            Fault::new(ErrorKind::Unreachable, format!("{operation}: the host has no address")).of_receiver()
        }
        Error::Io(e) => match e.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
            Some(inner) => failed(operation, inner),
            None => broken(operation, e),
        },
        Error::Other(e) => match e.downcast_ref::<native_tls::Error>() {
            Some(e) => handshake(operation, e).of_receiver(),
            None => Fault::new(ErrorKind::Protocol, format!("{operation}: {e}")),
        },
        Error::BadUri(_) | Error::Http(_) => {
            Fault::new(ErrorKind::Config, format!("{operation}: {}", tidy(&error.to_string())))
        }
        // It may repeat what came, which is the server's.
        e => Fault::new(
            ErrorKind::Protocol,
            format!("{operation}: this is no answer of an HTTP server: {}", tidy(&e.to_string())),
        ),
    }
}

/// A connection that broke. TLS tells of its end in words only.
fn broken(operation: &str, error: &io::Error) -> Fault {
    let text = error.to_string();
    if text.contains("unexpected eof") || error.kind() == io::ErrorKind::ConnectionAborted {
        return lost(operation, &io::ErrorKind::UnexpectedEof.into());
    }
    if text.contains(" alert ") {
        return alert(operation, &text);
    }
    match error.kind() {
        io::ErrorKind::ConnectionRefused
        | io::ErrorKind::HostUnreachable
        | io::ErrorKind::NetworkUnreachable
        | io::ErrorKind::AddrNotAvailable => lost(operation, error).of_receiver(),
        _ => lost(operation, error),
    }
}

/// A handshake that failed.
fn handshake(operation: &str, error: &native_tls::Error) -> Fault {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = error.source();
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            return match io.get_ref().and_then(|inner| inner.downcast_ref::<Error>()) {
                Some(inner) => failed(operation, inner),
                None => broken(operation, io),
            };
        }
        cause = this.source();
    }
    let text = tidy(&error.to_string());
    if text.contains("certificate verify failed") {
        // "error:…:certificate verify failed:…: (self-signed certificate)"
        let why = text.rsplit_once('(').map_or("", |(_, why)| why.trim_end_matches(')'));
        let reason = format!("{operation}: the server's certificate is not trusted: {}", why.to_lowercase());
        return Fault::new(ErrorKind::Refused, reason).hint(
            "is the host the name in the certificate? if its authority is your own, name its file by ca_file",
        );
    }
    if text.contains("unexpected eof") {
        return lost(operation, &io::ErrorKind::UnexpectedEof.into());
    }
    if text.contains(" alert ") {
        return alert(operation, &text);
    }
    Fault::new(ErrorKind::Protocol, format!("{operation}: no TLS came about: {text}"))
        .hint("is this a port that speaks TLS, mostly 443? a plain one has http:// in its address")
}

/// The server ended TLS and said why: "error:…:SSL routines:…:tlsv13 alert certificate required:…".
fn alert(operation: &str, text: &str) -> Fault {
    let why = text.split(':').find(|part| part.contains(" alert ")).unwrap_or(text).trim();
    Fault::new(ErrorKind::Refused, format!("{operation}: the server refuses TLS: {}", tidy(why)))
        .hint("where it wants a client certificate, name it by cert_file and key_file")
}

/// An answer that is a no, or that says that something failed.
pub(crate) struct Reply {
    status: StatusCode,
    wait: Option<Duration>,
    text: String,
}

impl Reply {
    /// Reads what there is to tell of an answer, without what the server may repeat and nobody is to see.
    pub(crate) fn of(mut response: Response<Body>, secrets: &[Secret]) -> Reply {
        let (status, wait) = (response.status(), retry_after(response.headers()));
        let mime = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let is_html = mime.starts_with("text/html");
        let (bytes, missing) = beginning(response.body_mut().as_reader());
        // Before anything is taken out of it: half a secret would not be known for one.
        let text = Secret::hide_all(secrets, &String::from_utf8_lossy(&bytes), missing);
        Reply { status, wait, text: if is_html { without_tags(&text) } else { text } }
    }

    /// The same where only a part of the text is to be told.
    #[cfg(feature = "s3")]
    pub(crate) fn in_short(self, told: impl Fn(&str) -> Option<String>) -> Reply {
        let text = told(&self.text).unwrap_or(self.text);
        Reply { text, ..self }
    }

    /// What the server says in its own words, on one line.
    pub(crate) fn text(&self) -> String {
        tidy(&self.text)
    }

    /// What it comes to where something else was hoped for.
    pub(crate) fn fault(&self, operation: &str) -> Fault {
        let mut reason = format!("{operation}: the server says {}", self.status.as_u16());
        for part in [self.status.canonical_reason().unwrap_or_default(), &self.text()] {
            if !part.is_empty() {
                reason = format!("{reason} {part}");
            }
        }
        if let Some(wait) = self.wait {
            reason = format!("{reason}; it asks to be left alone for {} s", wait.as_secs());
        }
        let fault = |kind| Fault::new(kind, reason).wait(self.wait.unwrap_or_default());
        match self.status.as_u16() {
            401 | 407 => fault(ErrorKind::Refused)
                .hint("are the credentials right, and of the kind that the server asks for?")
                .of_receiver(),
            403 => fault(ErrorKind::Refused).hint("these credentials may not do this there"),
            404 | 409 | 410 => {
                fault(ErrorKind::Missing).hint("is the address right, and is the folder there?")
            }
            408 | 425 | 429 => fault(ErrorKind::FarSide),
            412 => fault(ErrorKind::Occupied).hint("a file of that name is there; look whose it is"),
            413 => fault(ErrorKind::TooLarge)
                .hint("make the files smaller by breakup_on_period = true, a shorter period or compress"),
            507 => fault(ErrorKind::FarSide).hint("there is no room left at the receiver"),
            500..=599 => fault(ErrorKind::FarSide),
            300..=399 => fault(ErrorKind::Refused).hint("write the address where files really go"),
            400..=499 => fault(ErrorKind::Refused).hint("the receiver never takes this as it is sent"),
            _ => fault(ErrorKind::Protocol),
        }
    }
}

/// The first bytes of what may come without end, or byte by byte. What came before a failure is told all the same.
fn beginning(mut from: impl Read) -> (Vec<u8>, Missing) {
    let (mut bytes, mut piece, until) = (Vec::new(), [0; 1024], Instant::now() + TEXT_WAIT);
    while bytes.len() < TEXT_BYTES_MAX && Instant::now() < until {
        match from.read(&mut piece) {
            Ok(0) => return (bytes, Missing::Nothing),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(_) => break,
        }
    }
    (bytes, Missing::End)
}

/// `Retry-After` (RFC 9110, section 10.2.3): seconds, or a date that is held against the server's own.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER)?.trim();
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(after).ok()?;
    let now = httpdate::parse_http_date(text(DATE)?).ok()?;
    Some(at.duration_since(now).unwrap_or_default())
}

/// Foreign text on one line, without anything that a terminal would obey.
fn tidy(text: &str) -> String {
    let printable: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let words: Vec<&str> = printable.split_whitespace().collect();
    words.join(" ").chars().take(TEXT_CHARS_MAX).collect()
}

/// The words of an HTML page.
fn without_tags(text: &str) -> String {
    let mut is_tag = false;
    let visible = |c: char| match c {
        '<' => {
            is_tag = true;
            ' '
        }
        '>' if is_tag => {
            is_tag = false;
            ' '
        }
        _ if is_tag => ' ',
        c => c,
    };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_in_its_words() {
        let page = "<html>\r\n<head><title>413</title></head>\n<body a=\"b\">Too \u{1b}[1m large</body>";
        assert_eq!(tidy(&without_tags(page)), "413 Too [1m large");
        assert_eq!(tidy(&"x ".repeat(500)).len(), TEXT_CHARS_MAX);
    }

    /// The examples of RFC 9110, section 10.2.3.
    #[test]
    fn retry_after_in_both_forms() {
        let wait = |after: &str, date: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, after.parse().unwrap());
            if let Some(date) = date {
                headers.insert(DATE, date.parse().unwrap());
            }
            retry_after(&headers).map(|wait| wait.as_secs())
        };
        let date = "Fri, 31 Dec 1999 23:59:59 GMT";
        assert_eq!(wait("120", None), Some(120));
        assert_eq!(wait(date, Some("Fri, 31 Dec 1999 23:58:59 GMT")), Some(60));
        assert_eq!(wait(date, Some("Sat, 01 Jan 2000 00:00:59 GMT")), Some(0));
        assert_eq!(wait(date, None), None);
        assert_eq!(wait("soon", None), None);
    }
}

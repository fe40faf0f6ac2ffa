//! From lettre's errors to ours.

use crate::error::{ErrorKind, Fault};
use crate::net::{lost, silent};
use lettre::transport::smtp;
use std::error::Error;
use std::io;

/// The longest part of a server's reply that is shown.
const REPLY_CHARS_MAX: usize = 300;

/// What a failed step comes to. A reply of 4xx may be another one next time; one of 5xx is a no.
pub(crate) fn of(operation: &str, error: &smtp::Error) -> Fault {
    if let Some(code) = error.status() {
        let kind = match error.is_permanent() {
            true => ErrorKind::Refused,
            false => ErrorKind::FarSide,
        };
        return Fault::new(kind, format!("{operation}: the server says {code} {}", reply(error)));
    }
    if let Some(e) = io_error(error) {
        return match e.kind() {
            io::ErrorKind::InvalidData => strange(operation, &e.to_string()),
            _ => lost(operation, e),
        };
    }
    let text = tidy(&error.source().map_or_else(|| error.to_string(), |source| source.to_string()));
    if error.is_tls() {
        return Fault::new(ErrorKind::Config, format!("{operation}: {text}"));
    }
    if error.is_response() {
        return match text == "incomplete response" {
            true => lost(operation, &io::ErrorKind::UnexpectedEof.into()),
            false => strange(operation, &text),
        };
    }
    if error.is_client() {
        return Fault::new(ErrorKind::Protocol, format!("{operation}: {text}"));
    }
    tls(operation, &text)
}

/// A handshake that failed otherwise than by the connection. The library tells the cases apart in words
/// only.
fn tls(operation: &str, text: &str) -> Fault {
    if text.contains("interrupted") {
        return silent(operation);
    }
    if text.contains("certificate verify failed") {
        // "error:…:certificate verify failed:…: (self-signed certificate)"
        let why = text.rsplit_once('(').map_or("", |(_, why)| why.trim_end_matches(')'));
        let reason = format!("{operation}: the server's certificate is not trusted: {}", why.to_lowercase());
        return Fault::new(ErrorKind::Refused, reason).hint(
            "is host the name in the certificate? if its authority is your own, name its file by ca_file",
        );
    }
    if text.contains("unexpected EOF") {
        return lost(operation, &io::ErrorKind::UnexpectedEof.into());
    }
    Fault::new(ErrorKind::Protocol, format!("{operation}: no TLS came about: {text}")).hint(
        "security = \"tls\" is for a port that speaks TLS from the first byte, mostly 465; \"starttls\" for 587",
    )
}

fn strange(operation: &str, what: &str) -> Fault {
    Fault::new(
        ErrorKind::Protocol,
        format!("{operation}: this is no answer of a mail server: {}", tidy(what)),
    )
}

fn io_error<'a>(error: &'a smtp::Error) -> Option<&'a io::Error> {
    let mut cause: Option<&'a (dyn Error + 'static)> = error.source();
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = this.source();
    }
    None
}

/// What the server said after the code.
pub(crate) fn reply(error: &smtp::Error) -> String {
    tidy(&error.source().map(ToString::to_string).unwrap_or_default())
}

/// Foreign text on one line, without anything that a terminal would obey.
fn tidy(text: &str) -> String {
    let text = text.trim();
    text.chars().take(REPLY_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

//! TLS as a server of C-Gate has it: mostly with a certificate that it made itself, for the name `localhost`.

use super::link::Socket;
use crate::BusError;
use native_tls::{Certificate, HandshakeError, TlsConnector, TlsStream};
use std::error::Error;
use std::io;
use std::path::Path;

/// A client that trusts the system's authorities and, where there is a file, those in it. The error says why the file
/// cannot be used.
pub(crate) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, String> {
    let mut builder = TlsConnector::builder();
    if let Some(file) = ca_file {
        let bad = |why: &str| format!("ca_file {}: {why}", file.display());
        let text = std::fs::read(file).map_err(|e| bad(&ew_net::plain(&e)))?;
        let certificates =
            Certificate::stack_from_pem(&text).map_err(|_| bad("a certificate in it is damaged"))?;
        if certificates.is_empty() {
            return Err(bad("no certificate in it; it holds PEM text, as openssl x509 prints it"));
        }
        for certificate in certificates {
            builder.add_root_certificate(certificate);
        }
    }
    builder.build().map_err(|e| e.to_string())
}

/// The handshake; `name` must stand in the server's certificate.
pub(crate) fn handshake(
    connector: &TlsConnector,
    name: &str,
    socket: Socket,
    endpoint: &str,
) -> Result<TlsStream<Socket>, BusError> {
    connector.connect(name, socket).map_err(|e| match e {
        HandshakeError::Failure(e) => refused(&e, name, endpoint),
        HandshakeError::WouldBlock(_) => unreachable_in_time(endpoint),
    })
}

/// The library tells most cases apart in words only.
fn refused(error: &native_tls::Error, name: &str, endpoint: &str) -> BusError {
    let text = error.to_string();
    if let Some(io) = io_error(error) {
        return match io.kind() {
            io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => unreachable_in_time(endpoint),
            _ => no_tls(endpoint, "the connection was lost"),
        };
    }
    if text.contains("certificate verify failed") {
        // "error:…:certificate verify failed:…: (self-signed certificate)"
        let why = text.rsplit_once('(').map_or("", |(_, why)| why.trim_end_matches(')')).to_lowercase();
        let hint = match why.contains("mismatch") {
            true => format!(
                "{name} is not the name in its certificate; a C-Gate's own says server_name = \"localhost\""
            ),
            false => "name the file of its certificate, or of its authority, by ca_file".into(),
        };
        return BusError::Refused {
            endpoint: endpoint.to_owned(),
            doing: "TLS".into(),
            cause: format!("the server's certificate is not trusted: {why}"),
            hint: Some(hint),
        };
    }
    if text.contains("unexpected EOF") {
        return no_tls(endpoint, "the connection was lost");
    }
    no_tls(endpoint, &text)
}

fn unreachable_in_time(endpoint: &str) -> BusError {
    no_tls(endpoint, "no answer in time")
}

fn no_tls(endpoint: &str, cause: &str) -> BusError {
    BusError::Unreachable {
        endpoint: endpoint.to_owned(),
        doing: "TLS handshake".into(),
        cause: cause.to_owned(),
        hint: Some(
            "is this machine in C-Gate's access list, and is this the TLS port: the plain one plus 100, 20123?".into(),
        ),
    }
}

fn io_error<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    let mut cause = Some(error);
    while let Some(this) = cause {
        if let Some(io) = this.downcast_ref::<io::Error>() {
            return Some(io);
        }
        cause = this.source();
    }
    None
}

//! TLS as a server of C-Gate has it: mostly with a certificate that it made itself, for the name `localhost`.

use super::link::Socket;
use crate::{BusError, Cgate};
use native_tls::{Certificate, HandshakeError, Identity, TlsConnector, TlsStream};
use std::error::Error;
use std::io;
use std::path::{Path, PathBuf};

/// The largest file of certificates or of a key, bytes.
const PEM_BYTES_MAX: u64 = 16 << 20;

/// A file that cannot be used, and why.
type Unusable = (PathBuf, String);

/// A client that trusts the system's authorities and those of `ca_file`, and shows `cert_file` where there is one.
pub(crate) fn connector(cgate: &Cgate, base: &Path) -> Result<TlsConnector, Unusable> {
    let mut builder = TlsConnector::builder();
    if let Some(file) = &cgate.ca_file {
        for certificate in certificates("ca_file", file, &read("ca_file", file, base)?)? {
            builder.add_root_certificate(certificate);
        }
    }
    let (Some(cert_file), Some(key_file)) = (&cgate.cert_file, &cgate.key_file) else {
        return builder.build().map_err(|e| (PathBuf::new(), e.to_string()));
    };
    let chain = read("cert_file", cert_file, base)?;
    certificates("cert_file", cert_file, &chain)?;
    let text = read("key_file", key_file, base)?;
    let bad = |why: &str| unusable("key_file", key_file, why);
    let at = text.windows(KEY.len()).position(|part| part == KEY).ok_or_else(|| bad(NO_KEY))?;
    builder.identity(Identity::from_pkcs8(&chain, &text[at..]).map_err(|_| bad("its key is damaged"))?);
    builder.build().map_err(|_| bad("it is not the key of the certificate in cert_file"))
}

const NO_CERTIFICATE: &str = "no certificate in it; it holds PEM text, as openssl x509 prints it";
const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----";
const NO_KEY: &str =
    "no key in it that needs no pass phrase, as PEM text in PKCS #8; openssl pkcs8 -topk8 -nocrypt makes one";

fn unusable(key: &str, file: &Path, why: &str) -> Unusable {
    (file.to_owned(), format!("{key} {}: {why}", file.display()))
}

fn certificates(key: &str, file: &Path, text: &[u8]) -> Result<Vec<Certificate>, Unusable> {
    match Certificate::stack_from_pem(text) {
        Ok(found) if !found.is_empty() => Ok(found),
        Ok(_) => Err(unusable(key, file, NO_CERTIFICATE)),
        Err(_) => Err(unusable(key, file, "a certificate in it is damaged")),
    }
}

fn read(key: &str, file: &Path, base: &Path) -> Result<Vec<u8>, Unusable> {
    let path = base.join(file);
    match std::fs::metadata(&path) {
        Ok(found) if !found.is_file() => Err(unusable(key, file, "it is no file")),
        Ok(found) if found.len() > PEM_BYTES_MAX => {
            Err(unusable(key, file, "it is too large for certificates"))
        }
        _ => std::fs::read(&path).map_err(|e| unusable(key, file, &ew_net::plain(&e))),
    }
}

/// What a server says to our certificate, or to none, once the connection stands for us.
pub(crate) fn refusal(error: &io::Error) -> Option<&'static str> {
    // The library tells alerts by RFC 8446's numbers, in words.
    let text = error.to_string();
    match text.rsplit_once("SSL alert number ")?.1.trim().parse() {
        Ok(116) => Some("the server wants a certificate of this client"),
        // In TLS 1.2 it says no more, and may mean something else.
        Ok(40) => Some("the server breaks off, as one that wants a certificate of this client does"),
        Ok(42..=46 | 48 | 49 | 51) => Some("the server does not accept the certificate of this client"),
        _ => None,
    }
}

/// Beside it.
pub(crate) const REFUSAL_HINT: &str =
    "cert_file and key_file in [cbus.backend.cgate] name one that the server's authority has signed";

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
    if let Some(cause) = refusal(&io::Error::other(text.clone())) {
        return BusError::Refused {
            endpoint: endpoint.to_owned(),
            doing: "TLS".into(),
            cause: cause.into(),
            hint: Some(REFUSAL_HINT.into()),
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

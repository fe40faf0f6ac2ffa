//! TLS as C-Gate 3.4 offers it: version 1.3, with a certificate that it made itself for the name localhost.

use crate::SimError;
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslStream, SslVerifyMode};
use openssl::x509::extension::SubjectAlternativeName;
use openssl::x509::{X509, X509NameBuilder};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::rc::Rc;

pub(crate) type Acceptor = SslAcceptor;

/// A server with a new certificate, whose PEM text is written to `file`. With `client_ca` it demands a certificate of the
/// client that an authority in that file signed.
pub(crate) fn acceptor(file: &Path, client_ca: Option<&Path>) -> Result<Acceptor, SimError> {
    let (key, certificate) = certificate().map_err(unprepared)?;
    let pem = certificate.to_pem().map_err(unprepared)?;
    std::fs::write(file, pem).map_err(|source| SimError::Unreadable { file: file.to_owned(), source })?;
    let build = || -> Result<Acceptor, ErrorStack> {
        let mut builder = SslAcceptor::mozilla_modern_v5(SslMethod::tls())?;
        builder.set_private_key(&key)?;
        builder.set_certificate(&certificate)?;
        if let Some(authorities) = client_ca {
            builder.set_ca_file(authorities)?;
            builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
        }
        Ok(builder.build())
    };
    build().map_err(unprepared)
}

fn unprepared(error: ErrorStack) -> SimError {
    SimError::Tls { reason: error.to_string() }
}

fn certificate() -> Result<(PKey<Private>, X509), ErrorStack> {
    let key = PKey::from_rsa(Rsa::generate(2048)?)?;
    let mut name = X509NameBuilder::new()?;
    name.append_entry_by_nid(Nid::COMMONNAME, "localhost")?;
    let name = name.build();
    let mut serial = BigNum::new()?;
    serial.rand(128, MsbOption::MAYBE_ZERO, false)?;
    let (serial, from, until) =
        (serial.to_asn1_integer()?, Asn1Time::days_from_now(0)?, Asn1Time::days_from_now(365)?);
    let mut builder = X509::builder()?;
    builder.set_version(2)?;
    builder.set_serial_number(&serial)?;
    builder.set_subject_name(&name)?;
    builder.set_issuer_name(&name)?;
    builder.set_not_before(&from)?;
    builder.set_not_after(&until)?;
    builder.set_pubkey(&key)?;
    let names = SubjectAlternativeName::new().dns("localhost").build(&builder.x509v3_context(None, None))?;
    builder.append_extension(names)?;
    builder.sign(&key, MessageDigest::sha256())?;
    Ok((key, builder.build()))
}

/// One stream as two: a session reads and writes in turns, never at once.
#[derive(Clone)]
pub(crate) struct Half(Rc<RefCell<SslStream<TcpStream>>>);

/// The handshake.
pub(crate) fn halves(acceptor: &Acceptor, connection: TcpStream) -> io::Result<(Half, Half)> {
    let stream = acceptor.accept(connection).map_err(|e| io::Error::other(e.to_string()))?;
    let half = Half(Rc::new(RefCell::new(stream)));
    Ok((half.clone(), half))
}

impl Read for Half {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.borrow_mut().read(buffer)
    }
}

impl Write for Half {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.borrow_mut().flush()
    }
}

//! TLS below the client. It is ours because `ca_file` stands beside the system's authorities, and the client's own
//! takes either the one or the other.

use crate::error::{ErrorKind, Fault, plain};
use native_tls::{Certificate, Identity, TlsConnector, TlsStream};
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use ureq::Error;
use ureq::unversioned::transport::{
    Buffers, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout, Transport, TransportAdapter,
};

/// The files that TLS is made with.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificate authorities beside the system's, PEM.
    pub ca_file: Option<PathBuf>,
    /// The client's certificate, with those between it and its authority, and its key, both PEM.
    pub identity: Option<(PathBuf, PathBuf)>,
}

impl TlsFiles {
    /// The keys `cert_file` and `key_file` go together.
    pub(crate) fn new(
        ca_file: Option<PathBuf>,
        cert_file: Option<PathBuf>,
        key_file: Option<PathBuf>,
    ) -> Result<TlsFiles, String> {
        let identity = match (cert_file, key_file) {
            (None, None) => None,
            (Some(cert), Some(key)) => Some((cert, key)),
            (Some(_), None) => return Err("cert_file goes with a key_file only".into()),
            (None, Some(_)) => return Err("key_file goes with a cert_file only".into()),
        };
        Ok(TlsFiles { ca_file, identity })
    }

    /// Reads the files, which is all that can be checked without a far side.
    pub(crate) fn connector(&self, base: &Path) -> Result<TlsConnector, Fault> {
        let mut builder = TlsConnector::builder();
        if let Some(file) = &self.ca_file {
            for certificate in certificates(&base.join(file))? {
                builder.add_root_certificate(certificate);
            }
        }
        if let Some((cert, key)) = &self.identity {
            builder.identity(identity(&base.join(cert), &base.join(key))?);
        }
        builder.build().map_err(|e| {
            let text = e.to_string();
            let why = match text.contains("key values mismatch") {
                true => "key_file is not the key of cert_file",
                false => &text,
            };
            Fault::new(ErrorKind::Config, format!("prepare TLS: {why}"))
        })
    }
}

fn read(key: &str, file: &Path) -> Result<Vec<u8>, Fault> {
    std::fs::read(file)
        .map_err(|e| Fault::new(ErrorKind::Config, format!("read {key} {}: {}", file.display(), plain(&e))))
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Fault> {
    let bad = |why: &str| Fault::new(ErrorKind::Config, format!("read ca_file {}: {why}", file.display()));
    let certificates = Certificate::stack_from_pem(&read("ca_file", file)?)
        .map_err(|_| bad("a certificate in it is damaged"))?;
    match certificates.is_empty() {
        true => Err(bad("no certificate in it").hint("it holds PEM text, as openssl x509 prints it")),
        false => Ok(certificates),
    }
}

fn identity(cert: &Path, key: &Path) -> Result<Identity, Fault> {
    const PKCS8: &str = "-----BEGIN PRIVATE KEY-----";
    let (certificate, secret) = (read("cert_file", cert)?, read("key_file", key)?);
    if !String::from_utf8_lossy(&secret).contains(PKCS8) {
        let reason = format!("read key_file {}: it holds no key of the form {PKCS8}", key.display());
        return Err(Fault::new(ErrorKind::Config, reason)
            .hint("openssl pkcs8 -topk8 -nodes -in OLD -out NEW brings a PEM key into that form"));
    }
    // What else may stand before it, openssl's attributes for instance.
    let start = secret.windows(PKCS8.len()).position(|window| window == PKCS8.as_bytes()).unwrap_or(0);
    Identity::from_pkcs8(&certificate, &secret[start..]).map_err(|e| {
        let (cert, key) = (cert.display(), key.display());
        Fault::new(ErrorKind::Config, format!("use cert_file {cert} with key_file {key}: {e}"))
    })
}

/// Puts TLS on the connections that need it.
pub(crate) struct TlsLayer(TlsConnector);

impl TlsLayer {
    pub(crate) fn new(files: &TlsFiles, base: &Path) -> Result<TlsLayer, Fault> {
        files.connector(base).map(TlsLayer)
    }
}

impl<In: Transport> Connector<In> for TlsLayer {
    type Out = Either<In, TlsTransport>;

    fn connect(&self, details: &ConnectionDetails, below: Option<In>) -> Result<Option<Self::Out>, Error> {
        let Some(below) = below else { return Ok(None) };
        if !details.needs_tls() {
            return Ok(Some(Either::A(below)));
        }
        // The name that must stand in the certificate; an IPv6 address has no brackets there.
        let host = details.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        let mut adapter = TransportAdapter::new(below.boxed(), details.current_time.clone());
        adapter.set_timeout(details.timeout);
        let stream = self.0.connect(host, adapter).map_err(|e| match e {
            native_tls::HandshakeError::Failure(e) => Error::Other(Box::new(e)),
            // The socket below blocks.
            native_tls::HandshakeError::WouldBlock(_) => Error::Timeout(ureq::Timeout::Connect),
        })?;
        let (input, output) = (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(TlsTransport { stream, buffers: LazyBuffers::new(input, output) })))
    }
}

impl fmt::Debug for TlsLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsLayer")
    }
}

/// A connection under TLS.
pub(crate) struct TlsTransport {
    stream: TlsStream<TransportAdapter>,
    buffers: LazyBuffers,
}

impl Transport for TlsTransport {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.stream.get_mut().set_timeout(timeout);
        Ok(self.stream.write_all(&self.buffers.output()[..amount])?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        self.stream.get_mut().set_timeout(timeout);
        let count = self.stream.read(self.buffers.input_append_buf())?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    fn is_open(&mut self) -> bool {
        self.stream.get_mut().get_mut().is_open()
    }

    fn is_tls(&self) -> bool {
        true
    }
}

impl fmt::Debug for TlsTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsTransport")
    }
}

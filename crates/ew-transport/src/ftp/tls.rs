//! TLS for both connections of FTP: whom to trust, and sessions that data connections resume.

use super::fault;
use crate::error::{ErrorKind, Fault, plain};
use crate::net::lost;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{Resumption, WebPkiServerVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::{TLS12, TLS13};
use rustls::{
    AlertDescription, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme, StreamOwned,
};
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use suppaftp::{FtpError, FtpResult, TlsConnector, TlsStream};

/// Servers that have an upload close their end at once, or never.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// What is read of such a server, bytes.
const REST_BYTES_MAX: u64 = 64 * 1024;

/// Whom to trust.
pub(crate) struct Trust {
    provider: Arc<CryptoProvider>,
    verifier: Arc<Verifier>,
    /// The server takes nothing older than TLS 1.3.
    is_newer: Arc<AtomicBool>,
}

impl Trust {
    /// The system's certificate authorities, and the certificates of a PEM file.
    pub(crate) fn read(ca_file: Option<&Path>) -> Result<Trust, Fault> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        let named = ca_file.map_or(Ok(Vec::new()), |file| certificates(file, &mut roots))?;
        if roots.is_empty() {
            let reason = "prepare TLS: this machine knows no certificate authority";
            return Err(Fault::new(ErrorKind::Config, reason)
                .hint("install ca-certificates, or name the receiver's authority by ca_file"));
        }
        let provider = Arc::new(ring::default_provider());
        let authorities = WebPkiServerVerifier::builder_with_provider(roots.into(), Arc::clone(&provider))
            .build()
            .map_err(|e| Fault::new(ErrorKind::Config, format!("prepare TLS: {e}")))?;
        Ok(Trust { provider, verifier: Arc::new(Verifier { authorities, named }), is_newer: Arc::default() })
    }

    /// Whether the server was found to take nothing older than TLS 1.3.
    pub(crate) fn is_newer(&self) -> bool {
        self.is_newer.load(Ordering::Relaxed)
    }

    /// For one control connection and its data connections. Servers want these to resume the session of that one, so
    /// they have a store of sessions for themselves.
    ///
    /// A session of TLS 1.2 can be resumed for every file. A ticket of TLS 1.3 is good for one connection, and ProFTPD
    /// gives two, and none with data connections: so 1.3 is for servers that take nothing else.
    pub(crate) fn connector(&self, timeout: Duration) -> Result<Connector, Fault> {
        let version = if self.is_newer() { &TLS13 } else { &TLS12 };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider));
        let mut config = builder
            .with_protocol_versions(&[version])
            .map_err(|e| Fault::new(ErrorKind::Config, format!("prepare TLS: {e}")))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::clone(&self.verifier) as Arc<dyn ServerCertVerifier>)
            .with_no_client_auth();
        config.resumption = Resumption::in_memory_sessions(1);
        let is_newer = Arc::clone(&self.is_newer);
        Ok(Connector { config: Arc::new(config), timeout, failure: Arc::default(), is_newer })
    }
}

/// Every certificate of a PEM file, which become authorities too.
fn certificates(file: &Path, roots: &mut RootCertStore) -> Result<Vec<CertificateDer<'static>>, Fault> {
    let bad = |why: &str| Fault::new(ErrorKind::Config, format!("read ca_file {}: {why}", file.display()));
    let pem = std::fs::read(file).map_err(|e| bad(&plain(&e)))?;
    let damaged = || bad("a certificate in it is damaged");
    let found: Vec<_> =
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().map_err(|_| damaged())?;
    for certificate in &found {
        roots.add(certificate.clone()).map_err(|_| damaged())?;
    }
    match found.is_empty() {
        true => Err(bad("no certificate in it").hint("it holds PEM text, as openssl x509 prints it")),
        false => Ok(found),
    }
}

/// As the library judges, but that a certificate which is named by itself needs no authority: most FTP servers have
/// one that they signed themselves, often under no name.
#[derive(Debug)]
struct Verifier {
    authorities: Arc<WebPkiServerVerifier>,
    named: Vec<CertificateDer<'static>>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if self.named.contains(end_entity) {
            return Ok(ServerCertVerified::assertion());
        }
        self.authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.authorities.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.authorities.supported_verify_schemes()
    }
}

/// Makes the connections of one log-in.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    config: Arc<ClientConfig>,
    timeout: Duration,
    /// Why the last handshake failed: suppaftp would keep words alone.
    failure: Arc<Mutex<Option<Fault>>>,
    is_newer: Arc<AtomicBool>,
}

impl Connector {
    /// What an operation failed of.
    pub(crate) fn fault(&self, operation: &str, error: FtpError) -> Fault {
        let kept = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (error, kept) {
            (FtpError::SecureError(_), Some(kept)) => {
                Fault { reason: format!("{operation}: {}", kept.reason), ..kept }
            }
            (error, _) => fault::of(operation, error),
        }
    }

    fn handshake(&self, host: &str, mut stream: TcpStream) -> Result<Tls, Fault> {
        let operation = "TLS handshake";
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Fault::new(ErrorKind::Config, format!("{operation}: no certificate can name {host}"))
        })?;
        let mut connection = ClientConnection::new(Arc::clone(&self.config), name)
            .map_err(|e| Fault::new(ErrorKind::Protocol, format!("{operation}: {e}")))?;
        limit(&stream, self.timeout).map_err(|e| lost(operation, &e))?;
        while connection.is_handshaking() {
            connection.complete_io(&mut stream).map_err(|e| {
                if wants_newer(&e) {
                    self.is_newer.store(true, Ordering::Relaxed);
                }
                refusal(operation, &e)
            })?;
        }
        Ok(Tls(StreamOwned::new(connection, stream)))
    }
}

impl TlsConnector for Connector {
    type Stream = Tls;

    fn connect(&self, host: &str, stream: TcpStream) -> FtpResult<Tls> {
        self.handshake(host, stream).map_err(|fault| {
            let words = fault.reason.clone();
            *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(fault);
            FtpError::SecureError(words)
        })
    }
}

/// The longest wait of a socket, either way.
pub(crate) fn limit(stream: &TcpStream, timeout: Duration) -> io::Result<()> {
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))
}

fn tls_error(error: &io::Error) -> Option<&Error> {
    error.get_ref().and_then(|inner| inner.downcast_ref())
}

/// Whether the server may speak another version of TLS.
fn wants_newer(error: &io::Error) -> bool {
    use AlertDescription::{HandshakeFailure, ProtocolVersion};
    matches!(tls_error(error), Some(Error::AlertReceived(ProtocolVersion | HandshakeFailure)))
}

/// A handshake that failed.
fn refusal(operation: &str, error: &io::Error) -> Fault {
    match tls_error(error) {
        None => lost(operation, error),
        Some(Error::InvalidCertificate(why)) => {
            let reason = format!("{operation}: the server's certificate is not trusted: {why}");
            Fault::new(ErrorKind::Refused, reason).hint(
                "is host the name in the certificate? if its authority is your own, or the server signed its \
                 certificate itself, name its file by ca_file",
            )
        }
        Some(e) => Fault::new(ErrorKind::Protocol, format!("{operation}: no TLS came about: {e}")).hint(
            "security = \"implicit\" is for a port that speaks TLS from the first byte, mostly 990; \"explicit\" \
             for 21. TLS 1.2 or 1.3 is needed, with a key exchange by ECDHE",
        ),
    }
}

/// A connection under TLS.
#[derive(Debug)]
pub(crate) struct Tls(StreamOwned<ClientConnection, TcpStream>);

impl Tls {
    /// Says that no more comes, and reads what the server still sends: with TLS 1.3 that is what lets the next
    /// connection resume the session.
    pub(crate) fn end(&mut self) -> io::Result<()> {
        self.0.conn.send_close_notify();
        self.0.flush()?;
        self.0.sock.shutdown(Shutdown::Write)?;
        self.0.sock.set_read_timeout(Some(GOOD_BYE))?;
        // Nothing that comes here, or does not come, is of the file.
        let _ = io::copy(&mut (&mut self.0).take(REST_BYTES_MAX), &mut io::sink());
        Ok(())
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.0.conn.send_close_notify();
        let _ = self.0.flush();
    }
}

impl TlsStream for Tls {
    type InnerStream = StreamOwned<ClientConnection, TcpStream>;

    fn tcp_stream(self) -> FtpResult<TcpStream> {
        self.0.sock.try_clone().map_err(FtpError::ConnectionError)
    }

    fn get_ref(&self) -> &TcpStream {
        &self.0.sock
    }

    fn mut_ref(&mut self) -> &mut Self::InnerStream {
        &mut self.0
    }
}

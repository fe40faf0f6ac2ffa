//! A client that gives every wait a deadline and leaves redirects, errors and proxies to whoever asks.

use super::tls::{TlsFiles, TlsLayer};
use crate::error::Fault;
use ew_core::Span;
use std::path::Path;
use std::time::Duration;
use ureq::Agent;
use ureq::unversioned::resolver::DefaultResolver;
use ureq::unversioned::transport::{Connector, TcpConnector};

/// The longest header of an answer, bytes.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// How long a server may take to say that it wants the body, where it is asked first. It need not answer that.
const CONTINUE_WAIT: Duration = Duration::from_secs(1);

/// A client. `timeout` is the longest wait without progress: to connect with its handshake, for each piece that is
/// sent or read, and for the header of an answer. Connections are kept for the next request while they last.
pub(crate) fn agent(files: &TlsFiles, base: &Path, timeout: Span) -> Result<Agent, Fault> {
    let layer = TlsLayer::new(files, base)?;
    // To a socket zero is no limit at all.
    let wait = timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600));
    let config = Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .proxy(None)
        .allow_non_standard_methods(true)
        .user_agent(concat!("ew/", env!("CARGO_PKG_VERSION")))
        // Sizes and hashes are those of the file itself.
        .accept_encoding("identity")
        .max_response_header_size(HEADER_BYTES_MAX)
        .timeout_resolve(Some(wait))
        .timeout_connect(Some(wait))
        .timeout_per_write(Some(wait))
        .timeout_per_read(Some(wait))
        .timeout_await_100(Some(CONTINUE_WAIT.min(wait)))
        .timeout_recv_response(Some(wait))
        .build();
    let connector = ().chain(TcpConnector::default()).chain(layer);
    Ok(Agent::with_parts(config, connector, DefaultResolver::default()))
}

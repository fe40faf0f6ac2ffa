//! What far sides that speak HTTP/1.1 (RFC 9112) have in common: a client with deadlines, TLS with the files of
//! `ew.toml`, bodies that are streamed from the file, and what answers and failures come to.

mod agent;
mod body;
mod fault;
mod tls;

pub(crate) use agent::agent;
pub(crate) use body::Upload;
pub(crate) use fault::{Reply, failed};
pub use tls::TlsFiles;

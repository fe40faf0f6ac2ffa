//! Object storage that speaks S3's REST API, with signature version 4.
//!
//! The keys are read in every build, so that programs which send nothing take the same ew.toml; what sends comes
//! with the cargo feature `s3`.

#[cfg(feature = "s3")]
mod access;
#[cfg(feature = "s3")]
mod deliver;
#[cfg(feature = "s3")]
mod fault;
#[cfg(feature = "s3")]
mod look;
#[cfg(feature = "s3")]
mod parts;
#[cfg(feature = "s3")]
mod trial;

use crate::http::Address;
use crate::web::TlsFiles;
use crate::{Compression, Context, Look, Probe, Transport, TransportError, Transporter, file_path};
use ew_core::SecretSource;
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[export.transport.s3]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct S3Options {
    /// Scheme, host and port of the service, without the bucket.
    pub endpoint: Address,
    /// The region that requests are signed for.
    pub region: String,
    /// Where objects lie.
    pub bucket: String,
    /// What stands before each name, with a slash between; empty where nothing does.
    pub prefix: String,
    /// Whether the bucket stands in the path; else it is a part of the host's name.
    pub path_style: bool,
    /// Who asks.
    pub access_key_id: SecretSource,
    /// What requests are signed with.
    pub secret_access_key: SecretSource,
    /// Of temporary credentials.
    pub session_token: Option<SecretSource>,
    /// A larger file goes in parts of this size, bytes.
    pub multipart_above: u64,
    /// Authorities beside the system's.
    pub tls: TlsFiles,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    endpoint: Address,
    #[serde(default = "us_east_1")]
    region: String,
    bucket: String,
    #[serde(default)]
    prefix: String,
    #[serde(default = "yes")]
    path_style: bool,
    access_key_id: SecretSource,
    secret_access_key: SecretSource,
    session_token: Option<SecretSource>,
    #[serde(default = "multipart_above")]
    multipart_above: u64,
    #[serde(default, deserialize_with = "file_path")]
    ca_file: Option<PathBuf>,
    compress: Option<Compression>,
}

/// The least size of a part but the last, bytes, as S3 has it.
const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// The greatest size of a part, and of an object that is not sent in parts, bytes.
const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

fn us_east_1() -> String {
    "us-east-1".into()
}
fn yes() -> bool {
    true
}
fn multipart_above() -> u64 {
    16 * 1024 * 1024
}

impl TryFrom<Keys> for S3Options {
    type Error = String;

    fn try_from(keys: Keys) -> Result<S3Options, String> {
        if !keys.endpoint.is_origin() {
            return Err("endpoint has a path; it is the service alone, such as \
                        \"https://s3.eu-central-1.amazonaws.com\", and bucket and prefix are keys"
                .into());
        }
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
        };
        if !is_name(&keys.bucket) || keys.bucket.len() < 3 || keys.bucket.len() > 63 {
            return Err(format!(
                "{:?} is not the name of a bucket: 3 to 63 letters, digits, dots and hyphens",
                keys.bucket
            ));
        }
        if !is_name(&keys.region) {
            return Err(format!("{:?} is not a region, such as \"eu-central-1\"", keys.region));
        }
        let prefix = keys.prefix.trim_end_matches('/');
        let is_part = |part: &str| !matches!(part, "" | "." | "..") && !part.chars().any(char::is_control);
        if !prefix.is_empty() && !prefix.split('/').all(is_part) {
            return Err(format!("prefix = {:?} is not of the form \"site/meters\"", keys.prefix));
        }
        if !(PART_BYTES_MIN..=PART_BYTES_MAX).contains(&keys.multipart_above) {
            return Err(format!(
                "multipart_above = {} is not between {PART_BYTES_MIN} and {PART_BYTES_MAX}, the sizes that a part may \
                 have",
                keys.multipart_above
            ));
        }
        let tls = TlsFiles::new(keys.ca_file, None, None)?;
        if !keys.endpoint.is_tls() && tls != TlsFiles::default() {
            return Err("ca_file is of no use with http://".into());
        }
        if !keys.endpoint.is_tls() && !keys.endpoint.is_this_machine() && keys.session_token.is_some() {
            return Err("with http:// the session_token would travel in the clear; write https://, or a host of this \
                        machine"
                .into());
        }
        Ok(S3Options {
            endpoint: keys.endpoint,
            region: keys.region,
            bucket: keys.bucket,
            prefix: prefix.to_owned(),
            path_style: keys.path_style,
            access_key_id: keys.access_key_id,
            secret_access_key: keys.secret_access_key,
            session_token: keys.session_token,
            multipart_above: keys.multipart_above,
            tls,
            compress: keys.compress,
        })
    }
}

impl S3Options {
    /// Scheme, host and port.
    fn far_side(&self) -> String {
        format!("s3 bucket {} at {}", self.bucket, self.endpoint.origin())
    }

    #[cfg(not(feature = "s3"))]
    fn not_built(&self) -> TransportError {
        let fault = crate::error::Fault::new(crate::ErrorKind::Config, "this program was built without s3")
            .hint("build it with cargo's --features s3, or give the job another transport");
        fault.at(&self.far_side(), None)
    }
}

impl Transport for S3Options {
    /// `s3://host:port/bucket/prefix`, whichever way the bucket is spoken of.
    fn destination(&self, _base: &Path) -> String {
        let origin = self.endpoint.origin();
        let host = origin.split_once("://").map_or(origin.as_str(), |(_, host)| host);
        let slash = if self.prefix.is_empty() { "" } else { "/" };
        format!("s3://{host}/{}{slash}{}", self.bucket, self.prefix)
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        self.tls.connector(base).map(|_| ()).map_err(|fault| fault.at(&self.far_side(), None))
    }

    #[cfg(feature = "s3")]
    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let access = access::Access::new(self, context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(deliver::S3 { access, options: self.clone() }))
    }

    #[cfg(feature = "s3")]
    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        let access =
            access::Access::new(self, context).map_err(|fault| fault.seen_at(&self.far_side(), None))?;
        Ok(Some(Box::new(look::S3Look { access, far_side: self.far_side() })))
    }

    #[cfg(feature = "s3")]
    fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        let mut probe = Probe::default();
        let tried =
            access::Access::new(self, context).and_then(|access| trial::run(&access, self, name, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }

    #[cfg(not(feature = "s3"))]
    fn built(&self) -> Result<(), TransportError> {
        Err(self.not_built())
    }

    #[cfg(not(feature = "s3"))]
    fn open(&self, _context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        Err(self.not_built())
    }

    #[cfg(not(feature = "s3"))]
    fn look(&self, _context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        Err(self.not_built())
    }

    #[cfg(not(feature = "s3"))]
    fn probe(&self, _context: &Context<'_>, _name: &str) -> Probe {
        Probe { error: Some(self.not_built()), ..Probe::default() }
    }
}

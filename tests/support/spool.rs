//! A file to be sent, and transporters made from TOML.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::sshd::KEY_PASSWORD;
use ew_core::{NameFields, Secret, SecretSource, Span, Timestamp, Window, Zone};
use ew_transport::{Context, Mark, Parcel, Steps, TransportError, TransportOptions, Transporter};
use sha2::{Digest, Sha256};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A file to be sent.
pub struct Spool {
    _dir: tempfile::TempDir,
    pub file: PathBuf,
    pub bytes: Vec<u8>,
    pub sha256: String,
    zone: Zone,
}

impl Spool {
    pub fn new(bytes: impl Into<Vec<u8>>) -> Spool {
        let (dir, bytes) = (tempfile::tempdir().unwrap(), bytes.into());
        let file = dir.path().join("slice");
        fs::write(&file, &bytes).unwrap();
        let sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        Spool { _dir: dir, file, bytes, sha256, zone: Zone::utc() }
    }

    /// Bytes in which no piece is like another.
    pub fn large(bytes: usize) -> Spool {
        let mut state = 0x2545_f491_4f6c_dd1d_u64;
        Spool::new(
            (0..bytes)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    state.to_le_bytes()[3]
                })
                .collect::<Vec<u8>>(),
        )
    }

    pub fn parcel<'a>(&'a self, name: &'a str) -> Parcel<'a> {
        let (bytes, sha256) = (self.bytes.len() as u64, self.sha256.as_str());
        let window = Window::new(Timestamp::from_secs(1_700_000_000), Timestamp::from_secs(1_700_000_900));
        let fields = NameFields {
            job: "u",
            site: "hq",
            zone: &self.zone,
            window,
            rev: 0,
            seq: 7,
            count: 1,
            ext: "csv",
        };
        Parcel {
            name,
            file: &self.file,
            bytes,
            sha256,
            is_checked: false,
            rows: Some(1),
            sent_before: false,
            was_whole: false,
            earlier: None,
            may_replace: false,
            reached: &[],
            fields,
            mark: Mark::NONE,
            steps: Steps::NONE,
        }
    }
}

pub fn options(toml: &str) -> TransportOptions {
    toml::from_str(toml).unwrap_or_else(|e| panic!("{toml}\n{e}"))
}

pub fn open_with(
    options: &TransportOptions,
    timeout: Duration,
) -> Result<Box<dyn Transporter>, TransportError> {
    let resolve = |source: &SecretSource| match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        SecretSource::Env(name) if name == "KEY_PASSWORD" => Ok(Secret::new(KEY_PASSWORD)),
        _ => Err("there is no such secret".to_owned()),
    };
    options.open(&Context { base: Path::new("/nowhere"), timeout: Span(timeout), resolve: &resolve })
}

pub fn open(options: &TransportOptions) -> Box<dyn Transporter> {
    open_with(options, Duration::from_secs(20)).unwrap()
}

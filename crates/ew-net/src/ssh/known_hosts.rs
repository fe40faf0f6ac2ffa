//! A known_hosts file as sshd(8) describes it, and public keys as people see them.

use crate::{NetError, NetErrorKind, plain};
use sha2::{Digest, Sha256};
use ssh2::{CheckResult, KnownHostFileKind, Session};
use std::fs;
use std::path::{Path, PathBuf};

/// The largest known_hosts file that is read, bytes.
const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// One key that the file holds for the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct HeldKey {
    /// `ssh-ed25519`, `ssh-rsa`, …
    pub(super) algorithm: String,
    /// The key as base64 without padding.
    key: String,
    /// Where it stands, from 1.
    pub(super) line: usize,
    is_revoked: bool,
}

/// What the file says of a key that a host shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict<'a> {
    Match,
    Unknown,
    Changed(&'a HeldKey),
    Revoked(&'a HeldKey),
}

/// The keys held for one host.
#[derive(Debug)]
pub(super) struct KnownHosts {
    pub(super) path: PathBuf,
    held: Vec<HeldKey>,
}

impl KnownHosts {
    /// Reads what the file holds for the host; no connection is made.
    pub(super) fn read(path: &Path, host: &str, port: u16) -> Result<KnownHosts, NetError> {
        let cannot =
            |why: String| NetError::new(NetErrorKind::Config, format!("read {}: {why}", path.display()));
        let size = match fs::metadata(path) {
            Ok(meta) => meta.len(),
            // As with ssh, a file that is not there yet knows no host: the refusal says which line to put in it.
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                return Ok(KnownHosts { path: path.to_owned(), held: Vec::new() });
            }
            Err(e) => return Err(cannot(plain(&e))),
        };
        if size > FILE_BYTES_MAX {
            return Err(cannot(format!("{size} bytes are too many")));
        }
        let bytes = fs::read(path).map_err(|e| cannot(plain(&e)))?;
        let text = String::from_utf8_lossy(&bytes);
        // As ssh does: with a port that is not 22, the entry with the port, else the one without.
        let mut held = held_for(&text, &host_field(host, port));
        if port != 22 && held.iter().all(|key| key.is_revoked) {
            held.extend(held_for(&text, host));
        }
        Ok(KnownHosts { path: path.to_owned(), held })
    }

    /// The key algorithms of the entries, the first first.
    pub(super) fn algorithms(&self) -> impl Iterator<Item = &str> {
        self.held.iter().filter(|key| !key.is_revoked).map(|key| key.algorithm.as_str())
    }

    /// What the file says of this key.
    pub(super) fn verdict(&self, key: &PublicKey) -> Verdict<'_> {
        let same = |held: &&HeldKey| held.key == key.base64;
        if let Some(held) = self.held.iter().filter(|held| held.is_revoked).find(same) {
            return Verdict::Revoked(held);
        }
        let mut current = self.held.iter().filter(|held| !held.is_revoked);
        if current.clone().any(|held| same(&held)) {
            return Verdict::Match;
        }
        current.next().map_or(Verdict::Unknown, Verdict::Changed)
    }
}

/// The host as known_hosts names it.
pub(super) fn host_field(host: &str, port: u16) -> String {
    match port {
        22 => host.to_owned(),
        _ => format!("[{host}]:{port}"),
    }
}

fn held_for(text: &str, host: &str) -> Vec<HeldKey> {
    let host = host.to_lowercase();
    text.lines().enumerate().filter_map(|(i, line)| held_key(line, i + 1, &host)).collect()
}

fn held_key(line: &str, number: usize, host: &str) -> Option<HeldKey> {
    let mut fields = line.split_ascii_whitespace();
    let mut names = fields.next().filter(|first| !first.starts_with('#'))?;
    let is_revoked = names == "@revoked";
    if is_revoked {
        names = fields.next()?;
    }
    // What is left are authorities of certificates, which are not asked for.
    if names.starts_with('@') {
        return None;
    }
    let (algorithm, key) = (fields.next()?, fields.next()?);
    let matches = match names.starts_with('|') {
        true => hash_matches(names, host),
        false => patterns_match(names, host),
    };
    let key = key.trim_end_matches('=').to_owned();
    matches.then(|| HeldKey { algorithm: algorithm.to_owned(), key, line: number, is_revoked })
}

/// A comma-separated list of patterns; one that begins with `!` excludes.
fn patterns_match(patterns: &str, host: &str) -> bool {
    let mut found = false;
    for pattern in patterns.split(',') {
        match pattern.strip_prefix('!') {
            Some(not) if wildcard(not.to_lowercase().as_bytes(), host.as_bytes()) => return false,
            Some(_) => {}
            None => found |= wildcard(pattern.to_lowercase().as_bytes(), host.as_bytes()),
        }
    }
    found
}

/// `*` stands for any text, `?` for one character.
fn wildcard(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(&c) if c == b'?' || c == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|c| *c == b'*')
}

/// `|1|salt|hash`: HMAC-SHA1 of the name, which libssh2 knows how to compare. It is asked about a key
/// that no host has, so its answer is that the name is unknown or that the key is another.
fn hash_matches(name: &str, host: &str) -> bool {
    const NO_KEY: &[u8] = b"\0\0\0\x01x";
    let compare = || {
        let session = Session::new()?;
        let mut known = session.known_hosts()?;
        known.read_str(&format!("{name} ssh-ed25519 AAAAC3NzaC1lZDI1NTE5"), KnownHostFileKind::OpenSSH)?;
        Ok::<_, ssh2::Error>(known.check(host, NO_KEY))
    };
    matches!(compare(), Ok(CheckResult::Mismatch | CheckResult::Match))
}

/// A public key as it came over the wire (RFC 4253, section 6.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PublicKey {
    pub(super) algorithm: String,
    /// `SHA256:` and base64 without padding, as ssh-keygen(1) shows it.
    pub(super) fingerprint: String,
    base64: String,
}

impl PublicKey {
    pub(super) fn new(blob: &[u8]) -> PublicKey {
        let algorithm = blob
            .split_first_chunk::<4>()
            .and_then(|(length, rest)| rest.get(..usize::try_from(u32::from_be_bytes(*length)).ok()?))
            .map_or_else(|| "unknown".into(), |name| String::from_utf8_lossy(name).into_owned());
        let fingerprint = format!("SHA256:{}", base64(&Sha256::digest(blob)));
        PublicKey { algorithm, fingerprint, base64: base64(blob) }
    }

    /// The line for a known_hosts file.
    pub(super) fn line(&self, host: &str, port: u16) -> String {
        let padding = "=".repeat((4 - self.base64.len() % 4) % 4);
        format!("{} {} {}{padding}", host_field(host, port), self.algorithm, self.base64)
    }
}

/// Base64 (RFC 4648, section 4) without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - group.len()));
        for digit in 0..=group.len() {
            text.push(char::from(DIGITS[bits >> (18 - 6 * digit) & 63]));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_as_in_rfc_4648() {
        for (plain, coded) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(plain.as_bytes()), coded);
        }
    }

    #[test]
    fn patterns() {
        for (patterns, host, expect) in [
            ("a.example", "a.example", true),
            ("A.example", "a.example", true),
            ("b,a.example", "a.example", true),
            ("*.example", "a.example", true),
            ("*.example,!a.example", "a.example", false),
            ("?.example", "a.example", true),
            ("?.example", "ab.example", false),
            ("[a.example]:2222", "[a.example]:2222", true),
            ("a.example", "[a.example]:2222", false),
            ("*", "", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*d", "aXbYbZc", false),
        ] {
            assert_eq!(patterns_match(patterns, host), expect, "{patterns} {host}");
        }
    }

    #[test]
    fn lines_of_all_kinds() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("known_hosts");
        let text = "# comment\n\nother ssh-ed25519 AAAA\nhost ssh-rsa BBBB== comment here\nhost ssh-ed25519 CCCC\n\
                    @cert-authority host ssh-rsa DDDD\n@revoked * ssh-rsa EEEE\nbroken\n[host]:2222 ssh-rsa FFFF\n";
        fs::write(&path, text).unwrap();
        let known = KnownHosts::read(&path, "HOST", 22).unwrap();
        assert_eq!(known.algorithms().collect::<Vec<_>>(), ["ssh-rsa", "ssh-ed25519"]);
        let key = |base64: &str| PublicKey {
            algorithm: String::new(),
            fingerprint: String::new(),
            base64: base64.to_owned(),
        };
        assert_eq!(known.verdict(&key("BBBB")), Verdict::Match);
        assert!(matches!(known.verdict(&key("EEEE")), Verdict::Revoked(held) if held.line == 7));
        assert!(matches!(known.verdict(&key("FFFF")), Verdict::Changed(held) if held.line == 4));
        let port = KnownHosts::read(&path, "host", 2222).unwrap();
        assert_eq!(port.verdict(&key("FFFF")), Verdict::Match);
        let fallback = KnownHosts::read(&path, "host", 2223).unwrap();
        assert_eq!(fallback.verdict(&key("CCCC")), Verdict::Match);
        assert_eq!(KnownHosts::read(&path, "third", 22).unwrap().verdict(&key("CCCC")), Verdict::Unknown);
        assert_eq!(KnownHosts::read(&dir.path().join("none"), "host", 22).unwrap().algorithms().count(), 0);
        assert!(KnownHosts::read(dir.path(), "host", 22).is_err());
    }

    #[test]
    fn names_can_be_hashed() {
        // HMAC-SHA1 of "host.example" with the salt 00 01 … 13, from Python's hmac.
        let line = "|1|AAECAwQFBgcICQoLDA0ODxAREhM=|IZ1zV0swCfFUvwvqRtiJbYJ0/LA=";
        assert!(hash_matches(line, "host.example"));
        assert!(!hash_matches(line, "other.example"));
        assert!(!hash_matches("|1|broken", "host.example"));
    }
}

//! The keys of an SNMPv3 user and what they do (RFC 3414, 6 and 8; RFC 3826; RFC 7860).
//!
//! A key takes three steps: the pass phrase is hashed over a mebibyte, once for all agents; that is mixed
//! with an agent's engine id; and it is made longer where the cipher needs more than the signature has.

use crate::wire::Malformed;
use crate::wire::secure::Header;
use crate::{AuthProtocol, KeyExtension, PrivProtocol, User};
use aes::cipher::block_padding::NoPadding;
use aes::cipher::{AsyncStreamCipher, BlockDecryptMut, BlockEncryptMut, KeyIvInit};
use hmac::{Mac, SimpleHmac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::Digest;
use sha2::{Sha224, Sha256, Sha384, Sha512};
use std::fmt;
use std::ops::Range;

/// RFC 3414, A.2: how much of the endlessly repeated pass phrase is hashed.
const PHRASE_HASHED_BYTES: usize = 1 << 20;
const DES_BLOCK_BYTES: usize = 8;
const SALT_BYTES: usize = 8;

/// Does one thing with the hash of a protocol.
macro_rules! with_hash {
    ($protocol:expr, $function:ident($($argument:expr),*)) => {
        match $protocol {
            AuthProtocol::Md5 => $function::<Md5>($($argument),*),
            AuthProtocol::Sha => $function::<Sha1>($($argument),*),
            AuthProtocol::Sha224 => $function::<Sha224>($($argument),*),
            AuthProtocol::Sha256 => $function::<Sha256>($($argument),*),
            AuthProtocol::Sha384 => $function::<Sha384>($($argument),*),
            AuthProtocol::Sha512 => $function::<Sha512>($($argument),*),
        }
    };
}

/// A user's keys before any agent is known. They take milliseconds to make.
#[derive(Clone)]
pub struct MasterKeys {
    auth: Option<(AuthProtocol, Vec<u8>)>,
    privacy: Option<(PrivProtocol, Vec<u8>)>,
    extension: Option<KeyExtension>,
}

/// A user's keys for one agent.
pub(crate) struct Keys {
    auth: Option<(AuthProtocol, Vec<u8>)>,
    privacy: Option<(PrivProtocol, Vec<u8>)>,
}

/// Without the keys.
impl fmt::Debug for MasterKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MasterKeys")
    }
}

impl MasterKeys {
    /// From the pass phrases.
    pub fn new(user: &User) -> MasterKeys {
        let protocol = user.auth.as_ref().map(|(protocol, _)| *protocol);
        let master = |phrase: &ew_core::Secret| {
            protocol.map_or_else(Vec::new, |protocol| hashed_phrase(protocol, phrase.expose().as_bytes()))
        };
        MasterKeys {
            auth: user.auth.as_ref().map(|(protocol, phrase)| (*protocol, master(phrase))),
            privacy: user.privacy.as_ref().map(|(cipher, phrase)| (*cipher, master(phrase))),
            extension: user.key_extension,
        }
    }

    /// For the agent with this engine id: microseconds, but with [`KeyExtension::Reeder`] a pass phrase's
    /// hash anew where the cipher's key is longer than the hash.
    pub(crate) fn localised(&self, engine_id: &[u8]) -> Keys {
        let Some((protocol, master)) = &self.auth else { return Keys { auth: None, privacy: None } };
        let localise = |key: &[u8]| with_hash!(*protocol, hash(&[key, engine_id, key]));
        let privacy = self.privacy.as_ref().map(|(cipher, master)| {
            let mut key = localise(master);
            let needed = cipher_key_bytes(*cipher);
            if key.len() < needed {
                let more = match self.extension {
                    Some(KeyExtension::Blumenthal) => with_hash!(*protocol, hash(&[&key])),
                    Some(KeyExtension::Reeder) | None => localise(&hashed_phrase(*protocol, &key)),
                };
                key.extend(more);
            }
            key.truncate(needed);
            (*cipher, key)
        });
        Keys { auth: Some((*protocol, localise(master))), privacy }
    }
}

impl Keys {
    /// Bytes of a signature; 0 where messages are not signed.
    pub(crate) fn signature_bytes(&self) -> usize {
        match self.auth {
            None => 0,
            Some((AuthProtocol::Md5 | AuthProtocol::Sha, _)) => 12,
            Some((AuthProtocol::Sha224, _)) => 16,
            Some((AuthProtocol::Sha256, _)) => 24,
            Some((AuthProtocol::Sha384, _)) => 32,
            Some((AuthProtocol::Sha512, _)) => 48,
        }
    }

    /// The signature of a datagram with a hole for it.
    pub(crate) fn signature(&self, datagram: &[u8], hole: &Range<usize>) -> Vec<u8> {
        let Some((protocol, key)) = &self.auth else { return Vec::new() };
        let before = datagram.get(..hole.start).unwrap_or_default();
        let after = datagram.get(hole.end..).unwrap_or_default();
        let zeros = vec![0; hole.len()];
        let mut signature = with_hash!(*protocol, mac(key, &[before, &zeros, after]));
        signature.truncate(self.signature_bytes());
        signature
    }

    /// Whether the signature in a datagram is right.
    pub(crate) fn verifies(&self, datagram: &[u8], place: &Range<usize>) -> bool {
        let found = datagram.get(place.clone()).unwrap_or_default();
        let right = self.signature(datagram, place);
        // All bytes, however early one differs, so that the time taken tells nothing.
        found.len() == right.len() && found.iter().zip(&right).fold(0, |sum, (a, b)| sum | (a ^ b)) == 0
    }

    /// Encrypts, where the user does; gives the salt that goes into the header beside it.
    pub(crate) fn encrypt(&self, header: &mut Header, number: u64, mut data: Vec<u8>) -> Vec<u8> {
        let Some((cipher, key)) = &self.privacy else { return data };
        let mut salt = number.to_be_bytes();
        if *cipher == PrivProtocol::Des {
            // RFC 3414, 8.1.1.1: the boots and a number of one's own.
            salt[..4].copy_from_slice(&header.boots.to_be_bytes());
            data.resize(data.len().next_multiple_of(DES_BLOCK_BYTES), 0);
        }
        header.salt = salt.to_vec();
        match crypt(*cipher, key, header, &mut data, Way::In) {
            Some(()) => data,
            None => Vec::new(),
        }
    }

    /// What the encrypted data of a message was. A wrong key gives anything.
    pub(crate) fn decrypt(&self, header: &Header, data: &[u8]) -> Result<Vec<u8>, Malformed> {
        let Some((cipher, key)) = &self.privacy else {
            return Err(Malformed::new("the answer is encrypted, but there is no key for it"));
        };
        let mut data = data.to_vec();
        crypt(*cipher, key, header, &mut data, Way::Out)
            .map(|()| data)
            .ok_or_else(|| Malformed::new("the encrypted data or its salt is of a wrong length"))
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Way {
    In,
    Out,
}

/// In place; none where a length does not fit the cipher.
fn crypt(cipher: PrivProtocol, key: &[u8], header: &Header, data: &mut [u8], way: Way) -> Option<()> {
    let salt: [u8; SALT_BYTES] = header.salt.as_slice().try_into().ok()?;
    if cipher == PrivProtocol::Des {
        let (key, whitening) = key.split_at_checked(DES_BLOCK_BYTES)?;
        let iv: Vec<u8> = whitening.iter().zip(salt).map(|(a, b)| a ^ b).collect();
        let length = data.len();
        return match way {
            Way::In => {
                let cipher = cbc::Encryptor::<des::Des>::new_from_slices(key, &iv).ok()?;
                cipher.encrypt_padded_mut::<NoPadding>(data, length).ok().map(|_| ())
            }
            Way::Out => {
                let cipher = cbc::Decryptor::<des::Des>::new_from_slices(key, &iv).ok()?;
                cipher.decrypt_padded_mut::<NoPadding>(data).ok().map(|_| ())
            }
        };
    }
    let iv = [&header.boots.to_be_bytes()[..], &header.time.to_be_bytes(), &salt].concat();
    macro_rules! cfb {
        ($aes:ty) => {
            match way {
                Way::In => cfb_mode::Encryptor::<$aes>::new_from_slices(key, &iv).ok()?.encrypt(data),
                Way::Out => cfb_mode::Decryptor::<$aes>::new_from_slices(key, &iv).ok()?.decrypt(data),
            }
        };
    }
    match cipher {
        PrivProtocol::Des => {}
        PrivProtocol::Aes => cfb!(aes::Aes128),
        PrivProtocol::Aes192 => cfb!(aes::Aes192),
        PrivProtocol::Aes256 => cfb!(aes::Aes256),
    }
    Some(())
}

/// Whether the signature's key is shorter than the cipher's.
pub(crate) fn needs_extension(auth: AuthProtocol, cipher: PrivProtocol) -> bool {
    let key_bytes = match auth {
        AuthProtocol::Md5 => 16,
        AuthProtocol::Sha => 20,
        AuthProtocol::Sha224 => 28,
        AuthProtocol::Sha256 => 32,
        AuthProtocol::Sha384 => 48,
        AuthProtocol::Sha512 => 64,
    };
    key_bytes < cipher_key_bytes(cipher)
}

fn cipher_key_bytes(cipher: PrivProtocol) -> usize {
    match cipher {
        PrivProtocol::Des | PrivProtocol::Aes => 16,
        PrivProtocol::Aes192 => 24,
        PrivProtocol::Aes256 => 32,
    }
}

fn hashed_phrase(protocol: AuthProtocol, phrase: &[u8]) -> Vec<u8> {
    with_hash!(protocol, hash_repeated(phrase))
}

/// RFC 3414, A.2.
fn hash_repeated<D: Digest>(phrase: &[u8]) -> Vec<u8> {
    if phrase.is_empty() {
        return Vec::new();
    }
    // Whole phrases in pieces that a hash takes at a gulp.
    let piece = phrase.repeat(4096_usize.div_ceil(phrase.len()));
    let mut hash = D::new();
    let mut left = PHRASE_HASHED_BYTES;
    while left > 0 {
        let taken = left.min(piece.len());
        hash.update(piece.get(..taken).unwrap_or_default());
        left -= taken;
    }
    hash.finalize().to_vec()
}

fn hash<D: Digest>(parts: &[&[u8]]) -> Vec<u8> {
    let mut hash = D::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().to_vec()
}

fn mac<D: Digest + sha2::digest::core_api::BlockSizeUser>(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    // A key of any length will do for it.
    let Ok(mut mac) = <SimpleHmac<D> as Mac>::new_from_slice(key) else { return Vec::new() };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Credentials, SnmpOptions};
    use ew_core::SecretSource;
    use proptest::prelude::*;
    use std::sync::Arc;

    fn user(keys: &str) -> Arc<User> {
        let options: SnmpOptions = toml::from_str(&format!("version = \"3\"\nuser = \"u\"\n{keys}")).unwrap();
        let secret = |source: &SecretSource| match source {
            SecretSource::Plain(secret) => Ok(secret.clone()),
            other => Err(format!("{other:?} is not for tests")),
        };
        match Credentials::resolve(&options, &secret).unwrap() {
            Credentials::V3(user) => user,
            _ => panic!(),
        }
    }

    fn hex(text: &str) -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    }

    /// RFC 3414, A.3.1 and A.3.2: "maplesyrup" for the engine 00 … 02.
    #[test]
    fn keys_of_the_rfc() {
        let engine_id = hex("000000000000000000000002");
        for (auth, master, localised) in [
            ("md5", "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
            ("sha", "9fb5cc0381497b3793528939ff788d5d79145211", "6695febc9288e36282235fc7151f128497b38f3f"),
        ] {
            let user = user(&format!("auth = \"{auth}\"\nauth_password = \"maplesyrup\""));
            let keys = MasterKeys::new(&user);
            assert_eq!(keys.auth.as_ref().unwrap().1, hex(master), "{auth}");
            assert_eq!(keys.localised(&engine_id).auth.unwrap().1, hex(localised), "{auth}");
            assert!(!format!("{keys:?} {user:?}").contains("maple"));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
        #[test]
        fn what_is_encrypted_comes_back_and_noise_does_no_harm(
            data in prop::collection::vec(any::<u8>(), 0..500),
            salt: Vec<u8>,
            number: u64,
            numbers in (0..=i32::MAX, 0..=i32::MAX),
            signature in 0..600_usize,
        ) {
            for cipher in [PrivProtocol::Des, PrivProtocol::Aes, PrivProtocol::Aes192, PrivProtocol::Aes256] {
                let keys = Keys {
                    auth: Some((AuthProtocol::Sha256, vec![7; 32])),
                    privacy: Some((cipher, vec![9; cipher_key_bytes(cipher)])),
                };
                let mut header = Header { boots: numbers.0, time: numbers.1, ..Header::default() };
                let sent = keys.encrypt(&mut header, number, data.clone());
                prop_assert!(data.len() < 8 || sent != data);
                let came = keys.decrypt(&header, &sent).unwrap();
                prop_assert_eq!(&came[..data.len()], data.as_slice());
                let _ = keys.decrypt(&Header { salt: salt.clone(), ..header }, &data);
                prop_assert!(!keys.verifies(&data, &(signature..signature + 24)));
            }
        }
    }
}

//! Keys, digests and encryption of the user-based security model: RFC 3414 (MD5, SHA-1, DES), RFC 7860 (SHA-2),
//! RFC 3826 (AES), and the two usual ways to a longer AES key, which never became an RFC.

use aes::{Aes128, Aes192, Aes256};
use cbc::cipher::block_padding::NoPadding;
use cfb_mode::cipher::{
    AsyncStreamCipher, BlockCipher, BlockDecryptMut, BlockEncryptMut, KeyInit, KeyIvInit,
};
use hmac::{Mac, SimpleHmac};
use md5::Md5;
use sha1::Sha1;
use sha2::digest::{Digest, core_api::BlockSizeUser};
use sha2::{Sha224, Sha256, Sha384, Sha512};

/// A password is repeated to this length before it is hashed.
const PASSWORD_BYTES: usize = 1 << 20;

/// How messages are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auth {
    /// HMAC-MD5-96.
    Md5,
    /// HMAC-SHA-96.
    Sha1,
    /// HMAC-128-SHA-224.
    Sha224,
    /// HMAC-192-SHA-256.
    Sha256,
    /// HMAC-256-SHA-384.
    Sha384,
    /// HMAC-384-SHA-512.
    Sha512,
}

impl Auth {
    /// By its name on the command line.
    pub(crate) fn named(name: &str) -> Option<Auth> {
        Some(match name {
            "md5" => Auth::Md5,
            "sha" => Auth::Sha1,
            "sha224" => Auth::Sha224,
            "sha256" => Auth::Sha256,
            "sha384" => Auth::Sha384,
            "sha512" => Auth::Sha512,
            _ => return None,
        })
    }

    /// The key of a password for any engine. This is the slow part.
    pub(crate) fn key(self, password: &str) -> Vec<u8> {
        self.stretched(password.as_bytes())
    }

    fn stretched(self, secret: &[u8]) -> Vec<u8> {
        let repeated: Vec<u8> = secret.iter().copied().cycle().take(PASSWORD_BYTES).collect();
        self.hash(&repeated)
    }

    /// The key for one engine.
    pub(crate) fn localized(self, key: &[u8], engine_id: &[u8]) -> Vec<u8> {
        self.hash(&[key, engine_id, key].concat())
    }

    fn hash(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Auth::Md5 => Md5::digest(bytes).to_vec(),
            Auth::Sha1 => Sha1::digest(bytes).to_vec(),
            Auth::Sha224 => Sha224::digest(bytes).to_vec(),
            Auth::Sha256 => Sha256::digest(bytes).to_vec(),
            Auth::Sha384 => Sha384::digest(bytes).to_vec(),
            Auth::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// Bytes of a digest in a message.
    pub(crate) fn digest_bytes(self) -> usize {
        match self {
            Auth::Md5 | Auth::Sha1 => 12,
            Auth::Sha224 => 16,
            Auth::Sha256 => 24,
            Auth::Sha384 => 32,
            Auth::Sha512 => 48,
        }
    }

    /// The digest of a message in which it stands as zeros.
    pub(crate) fn digest(self, key: &[u8], message: &[u8]) -> Vec<u8> {
        let mut whole = match self {
            Auth::Md5 => hmac::<Md5>(key, message),
            Auth::Sha1 => hmac::<Sha1>(key, message),
            Auth::Sha224 => hmac::<Sha224>(key, message),
            Auth::Sha256 => hmac::<Sha256>(key, message),
            Auth::Sha384 => hmac::<Sha384>(key, message),
            Auth::Sha512 => hmac::<Sha512>(key, message),
        };
        whole.truncate(self.digest_bytes());
        whole
    }
}

fn hmac<D: Digest + BlockSizeUser>(key: &[u8], message: &[u8]) -> Vec<u8> {
    // HMAC takes keys of any length, so the empty digest, which equals none, never comes out.
    <SimpleHmac<D> as KeyInit>::new_from_slice(key)
        .map(|mac| mac.chain_update(message).finalize().into_bytes().to_vec())
        .unwrap_or_default()
}

/// How messages are encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Privacy {
    /// DES in CBC mode.
    Des,
    /// AES in CFB mode with a key of so many bytes.
    Aes {
        /// 16, 24 or 32.
        key_bytes: usize,
        /// How a digest that is too short becomes a key.
        extension: Extension,
    },
}

/// From a short localized key to a long one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extension {
    /// draft-blumenthal-aes-usm-04: the hash of all that there is, appended.
    Blumenthal,
    /// draft-reeder-snmpv3-usm-3desede: the key as a password again; what Cisco's switches do.
    Reeder,
}

/// What encryption takes from a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Nonce {
    /// msgAuthoritativeEngineBoots.
    pub(crate) boots: i32,
    /// msgAuthoritativeEngineTime.
    pub(crate) time: i32,
    /// msgPrivacyParameters.
    pub(crate) salt: [u8; 8],
}

/// One of the two ways through a cipher.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    In,
    Out,
}

impl Privacy {
    /// By its name on the command line.
    pub(crate) fn named(name: &str) -> Option<Privacy> {
        use Extension::{Blumenthal, Reeder};
        Some(match name {
            "des" => Privacy::Des,
            "aes" => Privacy::Aes { key_bytes: 16, extension: Blumenthal },
            "aes192" => Privacy::Aes { key_bytes: 24, extension: Blumenthal },
            "aes256" => Privacy::Aes { key_bytes: 32, extension: Blumenthal },
            "aes192c" => Privacy::Aes { key_bytes: 24, extension: Reeder },
            "aes256c" => Privacy::Aes { key_bytes: 32, extension: Reeder },
            _ => return None,
        })
    }

    /// The key for one engine; `key` is of the password for any, by the same hash as for signing.
    pub(crate) fn localized(self, auth: Auth, key: &[u8], engine_id: &[u8]) -> Vec<u8> {
        let mut localized = auth.localized(key, engine_id);
        let (key_bytes, extension) = match self {
            // The key proper and half of the initial vector.
            Privacy::Des => (16, Extension::Blumenthal),
            Privacy::Aes { key_bytes, extension } => (key_bytes, extension),
        };
        let mut last = localized.clone();
        while localized.len() < key_bytes {
            last = match extension {
                Extension::Blumenthal => auth.hash(&localized),
                Extension::Reeder => auth.localized(&auth.stretched(&last), engine_id),
            };
            localized.extend_from_slice(&last);
        }
        localized.truncate(key_bytes);
        localized
    }

    /// Encrypted; DES pads with zeros.
    pub(crate) fn encrypt(self, key: &[u8], nonce: Nonce, mut data: Vec<u8>) -> Option<Vec<u8>> {
        if self == Privacy::Des {
            data.resize(data.len().next_multiple_of(8), 0);
        }
        self.crypt(Way::In, key, nonce, data)
    }

    /// Decrypted, with the padding; none where the length cannot be.
    pub(crate) fn decrypt(self, key: &[u8], nonce: Nonce, data: Vec<u8>) -> Option<Vec<u8>> {
        self.crypt(Way::Out, key, nonce, data)
    }

    fn crypt(self, way: Way, key: &[u8], nonce: Nonce, mut data: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Privacy::Des => des_cbc(way, key, nonce.salt, &mut data)?,
            Privacy::Aes { key_bytes, .. } => {
                let iv = [&nonce.boots.to_be_bytes()[..], &nonce.time.to_be_bytes(), &nonce.salt].concat();
                match key_bytes {
                    16 => cfb::<Aes128>(way, key, &iv, &mut data)?,
                    24 => cfb::<Aes192>(way, key, &iv, &mut data)?,
                    _ => cfb::<Aes256>(way, key, &iv, &mut data)?,
                }
            }
        }
        Some(data)
    }
}

fn cfb<C: BlockCipher + BlockEncryptMut + KeyInit>(
    way: Way,
    key: &[u8],
    iv: &[u8],
    data: &mut [u8],
) -> Option<()> {
    match way {
        Way::In => cfb_mode::Encryptor::<C>::new_from_slices(key, iv).ok()?.encrypt(data),
        Way::Out => cfb_mode::Decryptor::<C>::new_from_slices(key, iv).ok()?.decrypt(data),
    }
    Some(())
}

fn des_cbc(way: Way, key: &[u8], salt: [u8; 8], data: &mut [u8]) -> Option<()> {
    let (key, mask) = key.split_at_checked(8)?;
    let iv: Vec<u8> = mask.iter().zip(salt).map(|(mask, salt)| mask ^ salt).collect();
    let length = data.len();
    match way {
        Way::In => cbc::Encryptor::<des::Des>::new_from_slices(key, &iv)
            .ok()?
            .encrypt_padded_mut::<NoPadding>(data, length)
            .ok()
            .map(drop),
        Way::Out => cbc::Decryptor::<des::Des>::new_from_slices(key, &iv)
            .ok()?
            .decrypt_padded_mut::<NoPadding>(data)
            .ok()
            .map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|b| format!("{b:02x}")).collect()
    }

    /// RFC 3414, appendices A.3.1 and A.3.2.
    #[test]
    fn keys_are_those_of_the_rfc() {
        let engine_id = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
        let cases = [
            (Auth::Md5, "9faf3283884e92834ebc9847d8edd963", "526f5eed9fcce26f8964c2930787d82b"),
            (
                Auth::Sha1,
                "9fb5cc0381497b3793528939ff788d5d79145211",
                "6695febc9288e36282235fc7151f128497b38f3f",
            ),
        ];
        for (auth, key, localized) in cases {
            let found = auth.key("maplesyrup");
            assert_eq!(hex(&found), key);
            assert_eq!(hex(&auth.localized(&found, &engine_id)), localized);
        }
    }

    #[test]
    fn what_is_encrypted_comes_back() {
        let nonce = Nonce { boots: 3, time: 77, salt: [1, 2, 3, 4, 5, 6, 7, 8] };
        for name in ["des", "aes", "aes192", "aes256", "aes192c", "aes256c"] {
            let privacy = Privacy::named(name).unwrap();
            for auth in [Auth::Md5, Auth::Sha1, Auth::Sha512] {
                let key = privacy.localized(auth, b"not stretched for the test", b"engine");
                for length in [1, 8, 77] {
                    let plain = vec![5; length];
                    let secret = privacy.encrypt(&key, nonce, plain.clone()).unwrap();
                    assert_ne!(secret, plain);
                    let back = privacy.decrypt(&key, nonce, secret).unwrap();
                    assert!(back.starts_with(&plain), "{name}");
                }
            }
        }
        let odd = Privacy::Des.decrypt(&[0; 16], nonce, vec![0; 7]);
        assert_eq!(odd, None);
    }
}

//! Users: from the command line to the keys for one engine.

use super::crypto::{Auth, Nonce, Privacy};
use std::str::FromStr;

/// Longest name (RFC 3414, section 2.4).
pub(crate) const NAME_BYTES_MAX: usize = 32;
/// Shortest password (RFC 3414, section 11.2).
const PASSWORD_BYTES_MIN: usize = 8;

/// How much a message is protected (RFC 3411, section 3.4.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// noAuthNoPriv.
    Open,
    /// authNoPriv.
    Signed,
    /// authPriv.
    Secret,
}

/// `NAME[:AUTH:AUTHPASS[:PRIV:PRIVPASS]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UserSpec {
    /// The name.
    pub(crate) name: String,
    auth: Option<(Auth, String)>,
    privacy: Option<(Privacy, String)>,
}

impl FromStr for UserSpec {
    type Err = String;

    fn from_str(text: &str) -> Result<UserSpec, String> {
        // The last password may have colons.
        let fields: Vec<&str> = text.splitn(5, ':').collect();
        let (name, auth, privacy) = match *fields {
            [name] => (name, None, None),
            [name, auth, password] => (name, Some((auth, password)), None),
            [name, auth, password, privacy, secret] => {
                (name, Some((auth, password)), Some((privacy, secret)))
            }
            _ => return Err("not NAME[:AUTH:AUTHPASS[:PRIV:PRIVPASS]]".into()),
        };
        if name.is_empty() || name.len() > NAME_BYTES_MAX {
            return Err(format!("a name has 1 to {NAME_BYTES_MAX} bytes"));
        }
        let auth = auth.map(|(auth, password)| {
            let known = "there are md5, sha, sha224, sha256, sha384 and sha512";
            let auth = Auth::named(auth).ok_or_else(|| format!("AUTH is not {auth:?}; {known}"))?;
            Ok::<_, String>((auth, long_enough(password)?))
        });
        let privacy = privacy.map(|(privacy, password)| {
            let known = "there are des, aes, aes192, aes256, aes192c and aes256c";
            let privacy =
                Privacy::named(privacy).ok_or_else(|| format!("PRIV is not {privacy:?}; {known}"))?;
            Ok::<_, String>((privacy, long_enough(password)?))
        });
        Ok(UserSpec { name: name.to_owned(), auth: auth.transpose()?, privacy: privacy.transpose()? })
    }
}

fn long_enough(password: &str) -> Result<String, String> {
    if password.len() < PASSWORD_BYTES_MIN {
        return Err(format!("a password has at least {PASSWORD_BYTES_MIN} bytes"));
    }
    Ok(password.to_owned())
}

/// A user with the keys of the passwords, made once for all engines since it takes a while.
#[derive(Debug, Clone)]
pub(crate) struct Credentials {
    name: Vec<u8>,
    auth: Option<(Auth, Vec<u8>)>,
    /// Its key is made by the hash of `auth`.
    privacy: Option<(Privacy, Vec<u8>)>,
}

impl Credentials {
    /// Makes the keys.
    pub(crate) fn new(spec: &UserSpec) -> Credentials {
        let auth = spec.auth.as_ref().map(|(auth, password)| (*auth, auth.key(password)));
        let secret = spec.auth.as_ref().zip(spec.privacy.as_ref());
        let privacy = secret.map(|((auth, _), (privacy, password))| (*privacy, auth.key(password)));
        Credentials { name: spec.name.clone().into_bytes(), auth, privacy }
    }

    /// The name.
    pub(crate) fn name(&self) -> &[u8] {
        &self.name
    }

    /// The same with keys for one engine.
    pub(crate) fn localized(&self, engine_id: &[u8]) -> User {
        let signing = self.auth.as_ref().map(|(auth, key)| (*auth, auth.localized(key, engine_id)));
        let secret = self.auth.as_ref().zip(self.privacy.as_ref());
        let privacy =
            secret.map(|((auth, _), (privacy, key))| (*privacy, privacy.localized(*auth, key, engine_id)));
        User { signing, privacy }
    }
}

/// A user of one engine.
#[derive(Debug, Clone)]
pub(crate) struct User {
    signing: Option<(Auth, Vec<u8>)>,
    privacy: Option<(Privacy, Vec<u8>)>,
}

impl User {
    /// The highest level that there are keys for; no other is served, as switches are mostly set up.
    pub(crate) fn level(&self) -> Level {
        match (&self.signing, &self.privacy) {
            (None, _) => Level::Open,
            (Some(_), None) => Level::Signed,
            (Some(_), Some(_)) => Level::Secret,
        }
    }

    /// Bytes of a digest in a message.
    pub(crate) fn digest_bytes(&self) -> usize {
        self.signing.as_ref().map_or(0, |(auth, _)| auth.digest_bytes())
    }

    /// The digest of a message in which it stands as zeros; none without a key.
    pub(crate) fn digest(&self, message: &[u8]) -> Option<Vec<u8>> {
        self.signing.as_ref().map(|(auth, key)| auth.digest(key, message))
    }

    /// Encrypts.
    pub(crate) fn encrypt(&self, nonce: Nonce, data: Vec<u8>) -> Option<Vec<u8>> {
        self.privacy.as_ref().and_then(|(privacy, key)| privacy.encrypt(key, nonce, data))
    }

    /// Decrypts; padding may follow.
    pub(crate) fn decrypt(&self, nonce: Nonce, data: Vec<u8>) -> Option<Vec<u8>> {
        self.privacy.as_ref().and_then(|(privacy, key)| privacy.decrypt(key, nonce, data))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fields_make_the_level() {
        let cases = [
            ("guest", Level::Open),
            ("reader:sha256:readerpass", Level::Signed),
            ("poller:sha:pollerpass:aes:with:colon", Level::Secret),
        ];
        for (text, level) in cases {
            let spec: UserSpec = text.parse().unwrap();
            assert_eq!(Credentials::new(&spec).localized(b"engine").level(), level, "{text}");
        }
    }

    #[test]
    fn bad_users_say_what_is_wrong() {
        let long = "n".repeat(33);
        let cases = [
            ("", "a name has 1 to 32 bytes"),
            (long.as_str(), "a name has 1 to 32 bytes"),
            ("u:sha", "not NAME[:AUTH:AUTHPASS[:PRIV:PRIVPASS]]"),
            ("u:sha:password:aes", "not NAME[:AUTH:AUTHPASS[:PRIV:PRIVPASS]]"),
            ("u:sha3:password", "AUTH is not \"sha3\"; there are md5"),
            ("u:sha:password:3des:password", "PRIV is not \"3des\"; there are des"),
            ("u:sha:short", "a password has at least 8 bytes"),
        ];
        for (text, start) in cases {
            let error = text.parse::<UserSpec>().unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
        }
    }
}

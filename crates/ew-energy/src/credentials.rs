//! Who asks: the community or the SNMPv3 user, in the clear, for the time of a poll.

use crate::usm::needs_extension;
use crate::{AuthProtocol, KeyExtension, MasterKeys, PrivProtocol, SnmpOptions, SnmpVersion};
use ew_core::{Secret, SecretSource};
use std::sync::{Arc, OnceLock};

/// RFC 3414, 11.2: no pass phrase is shorter.
pub(crate) const PHRASE_BYTES_MIN: usize = 8;

/// What an agent wants to see before it answers.
#[derive(Debug, Clone)]
pub enum Credentials {
    /// SNMPv1 and its community.
    V1(Secret),
    /// SNMPv2c and its community.
    V2c(Secret),
    /// SNMPv3; one user of many agents makes its keys once.
    V3(Arc<User>),
}

/// An SNMPv3 user. The security level follows from what is there.
#[derive(Debug, Clone)]
pub struct User {
    /// Its name.
    pub name: String,
    /// How it signs, and with which pass phrase.
    pub auth: Option<(AuthProtocol, Secret)>,
    /// How it encrypts, and with which pass phrase.
    pub privacy: Option<(PrivProtocol, Secret)>,
    /// For a cipher whose key is longer than the signature's.
    pub key_extension: Option<KeyExtension>,
    /// The context name, empty for the default one.
    pub context: String,
    /// Made when first needed.
    keys: OnceLock<MasterKeys>,
}

impl User {
    /// What the pass phrases give, whatever the agent.
    pub(crate) fn keys(&self) -> &MasterKeys {
        self.keys.get_or_init(|| MasterKeys::new(self))
    }
}

impl Credentials {
    /// Reads the secrets that the options name; on failure the key and why, without the secret.
    pub fn resolve(
        options: &SnmpOptions,
        secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
    ) -> Result<Credentials, (&'static str, String)> {
        let read = |key, source: &SecretSource| secret(source).map_err(|cause| (key, cause));
        // An empty pass phrase has no key either.
        let phrase = |key, source: &Option<SecretSource>| {
            let Some(source) = source else { return Err((key, "it is not there".to_owned())) };
            match read(key, source)? {
                text if text.expose().is_empty() => Err((key, "it is empty".to_owned())),
                text if text.expose().len() < PHRASE_BYTES_MIN => {
                    Err((key, format!("it is shorter than {PHRASE_BYTES_MIN} characters")))
                }
                text => Ok(text),
            }
        };
        Ok(match options.version {
            SnmpVersion::V1 => Credentials::V1(read("community", &options.community)?),
            SnmpVersion::V2c => Credentials::V2c(read("community", &options.community)?),
            SnmpVersion::V3 => Credentials::V3(Arc::new(User {
                name: options.user.clone().unwrap_or_default(),
                auth: match options.auth {
                    Some(auth) => Some((auth, phrase("auth_password", &options.auth_password)?)),
                    None => None,
                },
                privacy: match options.privacy {
                    Some(cipher) => Some((cipher, phrase("priv_password", &options.priv_password)?)),
                    None => None,
                },
                key_extension: options.key_extension,
                context: options.context.clone().unwrap_or_default(),
                keys: OnceLock::new(),
            })),
        })
    }

    /// Whether two switches are asked by the same words, so that one reading of the secrets, and one making
    /// of the keys, will do.
    pub(crate) fn are_alike(a: &SnmpOptions, b: &SnmpOptions) -> bool {
        a.version == b.version
            && match a.version {
                SnmpVersion::V1 | SnmpVersion::V2c => a.community == b.community,
                SnmpVersion::V3 => {
                    (&a.user, a.auth, &a.auth_password, a.privacy, &a.priv_password)
                        == (&b.user, b.auth, &b.auth_password, b.privacy, &b.priv_password)
                        && (a.key_extension, &a.context) == (b.key_extension, &b.context)
                }
            }
    }
}

/// Whether the keys of SNMPv3 fit together; if not, why, and what to do.
pub(crate) fn check(snmp: &SnmpOptions) -> Result<(), (&'static str, &'static str)> {
    if snmp.version != SnmpVersion::V3 {
        return Ok(());
    }
    if snmp.user.as_deref().unwrap_or_default().is_empty() {
        return Err(("version 3 needs a user", "write user = \"…\" in [snmp] or at the switch"));
    }
    match (snmp.auth, &snmp.auth_password) {
        (Some(_), None) => {
            return Err(("auth needs auth_password", "write auth_password, or leave auth out"));
        }
        (None, Some(_)) => {
            return Err(("auth_password needs auth", "write auth = \"sha256\", or as the agent has it"));
        }
        _ => {}
    }
    match (snmp.privacy, &snmp.priv_password) {
        (Some(_), None) => {
            return Err(("priv needs priv_password", "write priv_password, or leave priv out"));
        }
        (None, Some(_)) => {
            return Err(("priv_password needs priv", "write priv = \"aes\", or as the agent has it"));
        }
        _ => {}
    }
    // What stands elsewhere is measured when it is read.
    let is_short = |source: &Option<SecretSource>| matches!(source, Some(SecretSource::Plain(secret)) if secret.expose().len() < PHRASE_BYTES_MIN);
    if is_short(&snmp.auth_password) {
        return Err(("auth_password is shorter than 8 characters", SHORT_HINT));
    }
    if is_short(&snmp.priv_password) {
        return Err(("priv_password is shorter than 8 characters", SHORT_HINT));
    }
    let Some(privacy) = snmp.privacy else { return Ok(()) };
    let Some(auth) = snmp.auth else {
        return Err(("priv needs auth", "SNMPv3 encrypts only what it signs: write auth and auth_password"));
    };
    if snmp.key_extension.is_none() && needs_extension(auth, privacy) {
        return Err((
            "this auth makes keys too short for this priv",
            "write key_extension = \"reeder\" (Cisco) or \"blumenthal\", or a longer auth such as \"sha256\"",
        ));
    }
    Ok(())
}

const SHORT_HINT: &str = "SNMPv3 knows no shorter ones (RFC 3414, 11.2): give the agent's user a longer one";

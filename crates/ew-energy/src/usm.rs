//! An SNMPv3 user in the words of the SNMP crate.

use crate::{AuthProtocol, KeyExtension, PrivProtocol, User};
use snmp2::v3::{self, Security};

/// The user's name, keys and security level.
pub(crate) fn security(user: &User) -> Security {
    let phrase = user.auth.as_ref().map_or(&[][..], |(_, phrase)| phrase.expose().as_bytes());
    let mut security =
        Security::new(user.name.as_bytes(), phrase).with_context_name(&user.context).with_auth(level(user));
    if let Some((protocol, _)) = &user.auth {
        security = security.with_auth_protocol(match protocol {
            AuthProtocol::Md5 => v3::AuthProtocol::Md5,
            AuthProtocol::Sha => v3::AuthProtocol::Sha1,
            AuthProtocol::Sha224 => v3::AuthProtocol::Sha224,
            AuthProtocol::Sha256 => v3::AuthProtocol::Sha256,
            AuthProtocol::Sha384 => v3::AuthProtocol::Sha384,
            AuthProtocol::Sha512 => v3::AuthProtocol::Sha512,
        });
    }
    match user.key_extension {
        Some(KeyExtension::Blumenthal) => security.with_key_extension_method(v3::KeyExtension::Blumenthal),
        Some(KeyExtension::Reeder) => security.with_key_extension_method(v3::KeyExtension::Reeder),
        None => security,
    }
}

fn level(user: &User) -> v3::Auth {
    match (&user.auth, &user.privacy) {
        (None, _) => v3::Auth::NoAuthNoPriv,
        (Some(_), None) => v3::Auth::AuthNoPriv,
        (Some(_), Some((cipher, phrase))) => v3::Auth::AuthPriv {
            cipher: match cipher {
                PrivProtocol::Des => v3::Cipher::Des,
                PrivProtocol::Aes => v3::Cipher::Aes128,
                PrivProtocol::Aes192 => v3::Cipher::Aes192,
                PrivProtocol::Aes256 => v3::Cipher::Aes256,
            },
            privacy_password: phrase.expose().as_bytes().to_vec(),
        },
    }
}

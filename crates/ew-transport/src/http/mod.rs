//! HTTP/1.1 (RFC 9110, RFC 9112): PUT, also with WebDAV's MOVE (RFC 4918), and POST.

mod address;
mod deliver;
mod exchange;
mod look;
mod trial;

pub use address::Address;

use crate::error::{ErrorKind, Fault};
use crate::web::{TlsFiles, agent};
use crate::{Compression, Context, Look, Probe, Transport, TransportError, Transporter, file_path, filled};
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use deliver::Http;
use ew_core::{Secret, SecretSource};
use exchange::{Access, Signer};
use look::HttpLook;
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use ureq::http::header::{
    ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, IF_NONE_MATCH,
    TRANSFER_ENCODING,
};
use ureq::http::{HeaderName, HeaderValue};

/// `[export.transport.http]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct HttpOptions {
    /// Where the files go.
    pub url: Address,
    /// How they go there.
    pub method: Method,
    /// PUT under another name, then MOVE.
    pub rename: bool,
    /// The field of a form that a POST is; else its body is the file.
    pub form_field: Option<String>,
    /// The media type; by the name's extension unless given.
    pub content_type: Option<String>,
    /// Who asks.
    pub login: Option<HttpLogin>,
    /// How bodies are signed.
    pub hmac: Option<Hmac>,
    /// Headers of every request.
    pub headers: Vec<(String, SecretSource)>,
    /// The header that tells a repeated delivery.
    pub idempotency_header: Option<String>,
    /// Authorities and the client's certificate.
    pub tls: TlsFiles,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

/// How a file goes there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Under its name, which can be looked for.
    Put,
    /// To one address; what becomes of it is the receiver's affair.
    Post,
}

/// Who asks.
#[derive(Debug, Clone, PartialEq)]
pub enum HttpLogin {
    /// A user with a password (RFC 7617).
    Basic(String, SecretSource),
    /// A token (RFC 6750).
    Bearer(SecretSource),
}

/// A header with the HMAC-SHA256 (RFC 2104) of the body: a prefix and 64 lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Hmac {
    /// The header.
    pub header: String,
    /// The key; its bytes are those of the text.
    pub secret: SecretSource,
    /// What stands before the digits.
    pub prefix: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    url: Address,
    method: Option<Method>,
    #[serde(default)]
    rename: bool,
    #[serde(default, deserialize_with = "form_field")]
    form_field: Option<String>,
    content_type: Option<String>,
    user: Option<String>,
    password: Option<SecretSource>,
    bearer: Option<SecretSource>,
    hmac_secret: Option<SecretSource>,
    hmac_header: Option<String>,
    hmac_prefix: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, SecretSource>,
    #[serde(default = "idempotency_header")]
    idempotency_header: String,
    #[serde(default, deserialize_with = "file_path")]
    ca_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "file_path")]
    cert_file: Option<PathBuf>,
    #[serde(default, deserialize_with = "file_path")]
    key_file: Option<PathBuf>,
    compress: Option<Compression>,
}

const IDEMPOTENCY_HEADER: &str = "Idempotency-Key";
const HMAC_HEADER: &str = "X-Signature";

fn idempotency_header() -> String {
    IDEMPOTENCY_HEADER.into()
}

fn form_field<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    filled(deserializer, "the form's field has no name").map(Some)
}

impl TryFrom<Keys> for HttpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<HttpOptions, String> {
        let login = match (keys.user, keys.password, keys.bearer) {
            (None, None, None) => None,
            (Some(user), Some(password), None) => Some(HttpLogin::Basic(user, password)),
            (None, None, Some(token)) => Some(HttpLogin::Bearer(token)),
            (_, _, Some(_)) => return Err("bearer stands in place of user and password".into()),
            (Some(_), None, None) => return Err("user goes with a password only".into()),
            (None, Some(_), None) => return Err("password goes with a user only".into()),
        };
        if let Some(HttpLogin::Basic(user, _)) = &login
            && (user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()))
        {
            return Err(format!("{user:?} is not a user name"));
        }
        let hmac = match (keys.hmac_secret, &keys.hmac_header, &keys.hmac_prefix) {
            (Some(secret), header, prefix) => Some(Hmac {
                header: own_header(header.as_deref().unwrap_or(HMAC_HEADER))?,
                secret,
                prefix: prefix.clone().unwrap_or_default(),
            }),
            (None, None, None) => None,
            _ => return Err("hmac_header and hmac_prefix go with a hmac_secret only".into()),
        };
        if let Some(Hmac { prefix, .. }) = &hmac {
            HeaderValue::from_str(prefix)
                .map_err(|_| format!("hmac_prefix = {prefix:?} cannot stand in a header"))?;
        }
        let mut headers = Vec::new();
        for (name, value) in keys.headers {
            let name = own_header(&name)?;
            if name == AUTHORIZATION.as_str() && login.is_some() {
                return Err("the header Authorization is made of user and password, or bearer".into());
            }
            if headers.iter().any(|(other, _)| *other == name) {
                return Err(format!("the header {name} stands twice"));
            }
            headers.push((name, value));
        }
        let in_the_clear = !keys.url.is_tls() && !keys.url.is_this_machine();
        if in_the_clear && (login.is_some() || !headers.is_empty()) {
            return Err(
                "with http:// credentials and headers would travel in the clear; write https://, or a \
                        host of this machine"
                    .into(),
            );
        }
        let tls = TlsFiles::new(keys.ca_file, keys.cert_file, keys.key_file)?;
        if !keys.url.is_tls() && tls != TlsFiles::default() {
            return Err("ca_file, cert_file and key_file are of no use with http://".into());
        }
        if let Some(mime) = &keys.content_type
            && (mime.is_empty() || mime.chars().any(|c| c.is_control() || !c.is_ascii()))
        {
            return Err(format!("content_type = {mime:?} is no media type, such as \"text/csv\""));
        }
        let method = keys.method.unwrap_or(match keys.form_field {
            Some(_) => Method::Post,
            None => Method::Put,
        });
        let url = match method {
            Method::Put => keys.url.named()?,
            Method::Post => keys.url,
        };
        match method {
            Method::Put if keys.form_field.is_some() => {
                return Err("a form goes with method = \"post\" only".into());
            }
            Method::Post if keys.rename => return Err("rename goes with method = \"put\" only".into()),
            _ if keys.rename && url.has_query() => return Err("rename needs a url without a query".into()),
            _ => {}
        }
        let idempotency_header = match keys.idempotency_header.as_str() {
            "" => None,
            name => Some(own_header(name)?),
        };
        Ok(HttpOptions {
            url,
            method,
            rename: keys.rename,
            form_field: keys.form_field,
            content_type: keys.content_type,
            login,
            hmac,
            headers,
            idempotency_header,
            tls,
            compress: keys.compress,
        })
    }
}

/// The name of a header that is the user's to choose, in lower case.
fn own_header(name: &str) -> Result<String, String> {
    const OURS: &[HeaderName] = &[
        ACCEPT_ENCODING,
        CONNECTION,
        CONTENT_LENGTH,
        CONTENT_TYPE,
        EXPECT,
        HOST,
        IF_NONE_MATCH,
        TRANSFER_ENCODING,
    ];
    let header = HeaderName::try_from(name).map_err(|_| format!("{name:?} is not the name of a header"))?;
    match OURS.contains(&header) || ["destination", "overwrite"].contains(&header.as_str()) {
        true => Err(format!("the header {name} is set by ew itself")),
        false => Ok(header.as_str().to_owned()),
    }
}

impl Transport for HttpOptions {
    fn destination(&self, _base: &Path) -> String {
        self.url.as_receiver()
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        self.tls.connector(base).map(|_| ()).map_err(|fault| fault.at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(Http { access, options: self.clone() }))
    }

    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        if self.method == Method::Post {
            return Ok(None);
        }
        let access = self.access(context).map_err(|fault| fault.seen_at(&self.far_side(), None))?;
        Ok(Some(Box::new(HttpLook { access, address: self.url.clone() })))
    }

    fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        let mut probe = Probe::default();
        let tried = self.access(context).and_then(|access| trial::run(&access, self, name, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }

    fn takes_manifests(&self) -> bool {
        self.method == Method::Put
    }
}

impl HttpOptions {
    fn far_side(&self) -> String {
        self.url.origin()
    }

    fn access(&self, context: &Context<'_>) -> Result<Access, Fault> {
        let bad = |key: &str, why: &str| Fault::new(ErrorKind::Config, format!("read {key}: {why}"));
        let mut secrets = Vec::new();
        let mut read = |key: &str, source: &SecretSource| {
            let secret = (context.resolve)(source).map_err(|why| bad(key, &why))?;
            secrets.push(secret.clone());
            Ok::<Secret, Fault>(secret)
        };
        let value = |key: &str, text: &str| {
            let mut value = HeaderValue::from_str(text)
                .map_err(|_| bad(key, "it holds a character that cannot stand in a header"))?;
            value.set_sensitive(true);
            Ok::<HeaderValue, Fault>(value)
        };
        let name = |name: &str| HeaderName::try_from(name).map_err(|e| bad("headers", &e.to_string()));
        let mut headers = Vec::new();
        if let Some(login) = &self.login {
            let text = match login {
                HttpLogin::Basic(user, password) => {
                    let password = read("password", password)?;
                    format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{}", password.expose())))
                }
                HttpLogin::Bearer(token) => format!("Bearer {}", read("bearer", token)?.expose()),
            };
            headers.push((AUTHORIZATION, value("bearer", &text)?));
        }
        for (header, source) in &self.headers {
            headers
                .push((name(header)?, value(&format!("headers.{header}"), read(header, source)?.expose())?));
        }
        let signer = match &self.hmac {
            Some(hmac) => Some(Signer {
                header: name(&hmac.header)?,
                secret: read("hmac_secret", &hmac.secret)?,
                prefix: hmac.prefix.clone(),
            }),
            None => None,
        };
        // Encoded, a password could be read all the same.
        secrets.extend(headers.iter().filter_map(|(_, value)| {
            value.to_str().ok()?.split_once(' ').map(|(_, encoded)| Secret::new(encoded))
        }));
        let agent = |files: &TlsFiles| agent(files, context.base, context.timeout);
        let strangers = self.tls.identity.as_ref().map(|_| TlsFiles { identity: None, ..self.tls.clone() });
        Ok(Access {
            origin: self.url.origin(),
            agent: agent(&self.tls)?,
            stranger: strangers.as_ref().map(agent).transpose()?,
            headers,
            signer,
            secrets,
        })
    }
}

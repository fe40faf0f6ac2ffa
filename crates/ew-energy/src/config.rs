//! The tables `[snmp]` and `[[domain]]`. Every value is checked while it is read, so that a mistake is
//! reported at its line and column; what concerns several values is left to [`check`](crate::check).

use crate::native::{CommandOptions, NativeSshOptions};
use crate::profile::PROFILE_DEFAULT;
use ew_core::{Point, Secret, SecretSource, Span};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::fmt;
use std::net::IpAddr;

/// A whole number from `MIN` to `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "i64")]
pub struct Bounded<const MIN: u32, const MAX: u32>(u32);

impl<const MIN: u32, const MAX: u32> Bounded<MIN, MAX> {
    /// The number, if it is in bounds.
    pub const fn new(number: u32) -> Option<Self> {
        if number >= MIN && number <= MAX { Some(Bounded(number)) } else { None }
    }

    /// A number known when this is compiled; cut to the bounds.
    pub(crate) const fn fixed(number: u32) -> Self {
        Bounded(if number < MIN {
            MIN
        } else if number > MAX {
            MAX
        } else {
            number
        })
    }

    /// The number.
    pub const fn get(self) -> u32 {
        self.0
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<i64> for Bounded<MIN, MAX> {
    type Error = String;

    fn try_from(number: i64) -> Result<Self, String> {
        u32::try_from(number)
            .ok()
            .and_then(Self::new)
            .ok_or_else(|| format!("{number} is not a whole number from {MIN} to {MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> fmt::Display for Bounded<MIN, MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// EnergyWise importance, 1 (least) to 100: an entity is asked for when its own is not above this.
pub type Importance = Bounded<1, 100>;

impl Importance {
    /// 100: everyone.
    pub const ALL: Importance = Bounded(100);
}

/// A duration above zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "Span")]
pub struct Wait(Span);

impl Wait {
    /// So many seconds, at least one.
    pub const fn from_secs(secs: u64) -> Wait {
        Wait(Span::from_secs(if secs == 0 { 1 } else { secs }))
    }

    /// The duration.
    pub const fn span(self) -> Span {
        self.0
    }
}

impl TryFrom<Span> for Wait {
    type Error = String;

    fn try_from(span: Span) -> Result<Wait, String> {
        match span.0.is_zero() {
            true => Err("the duration is zero; write how long to wait, such as \"2s\"".into()),
            false => Ok(Wait(span)),
        }
    }
}

/// A host name, an IPv4 address or an IPv6 address (brackets are taken off); never with a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct Host(String);

impl Host {
    /// Without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// With its port as messages and URLs write it: `192.0.2.10:161`, `[2001:db8::1]:161`.
    pub fn with_port(&self, port: u16) -> String {
        match self.0.contains(':') {
            true => format!("[{}]:{port}", self.0),
            false => format!("{}:{port}", self.0),
        }
    }
}

impl TryFrom<String> for Host {
    type Error = String;

    fn try_from(text: String) -> Result<Host, String> {
        let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(&text);
        let address = bare.split_once('%').map_or(bare, |(address, _scope)| address);
        let is_v6 = matches!(address.parse(), Ok(IpAddr::V6(_)));
        if bare.contains(':') && !is_v6 {
            return Err(format!("{text:?} is no address; a port goes to its own key: port = 161"));
        }
        if bare.is_empty() || bare.chars().any(|c| c.is_whitespace() || c.is_control() || "/[]".contains(c)) {
            return Err(format!("{text:?} is no host name, IPv4 or IPv6 address"));
        }
        Ok(Host(bare.to_owned()))
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `version`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub enum SnmpVersion {
    /// SNMPv1: one row per request.
    #[serde(rename = "1")]
    V1,
    /// SNMPv2c.
    #[serde(rename = "2c")]
    V2c,
    /// SNMPv3 with the user-based security model.
    #[serde(rename = "3")]
    V3,
}

/// `auth`: how SNMPv3 messages are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are their names")]
pub enum AuthProtocol {
    Md5,
    Sha,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// `priv`: how SNMPv3 messages are encrypted; `aes` has 128 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are their names")]
pub enum PrivProtocol {
    Des,
    Aes,
    Aes192,
    Aes256,
}

/// `key_extension`: how a key shorter than the cipher's is made longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "they are their names")]
pub enum KeyExtension {
    Blumenthal,
    Reeder,
}

/// `protocol` of a switch, in capitals or small letters as its writer likes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Protocol {
    /// A MIB, read by SNMP.
    #[default]
    Snmp,
    /// EnergyWise's own protocol, by an adapter.
    Native,
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Protocol::Snmp => "snmp",
            Protocol::Native => "native",
        })
    }
}

impl<'de> Deserialize<'de> for Protocol {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Protocol, D::Error> {
        let text = String::deserialize(deserializer)?;
        match text.to_ascii_lowercase().as_str() {
            "snmp" => Ok(Protocol::Snmp),
            "native" => Ok(Protocol::Native),
            _ => Err(D::Error::unknown_variant(&text, &["snmp", "native"])),
        }
    }
}

/// `[snmp]`: the defaults of every switch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SnmpOptions {
    /// SNMP version.
    pub version: SnmpVersion,
    /// Community of versions 1 and 2c.
    pub community: SecretSource,
    /// UDP port.
    pub port: Bounded<1, 65_535>,
    /// How long one request may take.
    pub timeout: Wait,
    /// How often a request is sent again.
    pub retries: Bounded<0, 10>,
    /// How long one switch may take, everything included.
    pub deadline: Wait,
    /// How many switches are asked at once.
    pub parallel: Bounded<1, 1000>,
    /// Rows asked for by one request.
    pub max_repetitions: Bounded<1, 100>,
    /// SNMPv3 user name.
    pub user: Option<String>,
    /// SNMPv3 signature.
    pub auth: Option<AuthProtocol>,
    /// Its pass phrase.
    pub auth_password: Option<SecretSource>,
    /// SNMPv3 encryption.
    #[serde(rename = "priv")]
    pub privacy: Option<PrivProtocol>,
    /// Its pass phrase.
    pub priv_password: Option<SecretSource>,
    /// Needed where the signature's key is shorter than the cipher's.
    pub key_extension: Option<KeyExtension>,
    /// SNMPv3 context name.
    pub context: Option<String>,
}

impl Default for SnmpOptions {
    fn default() -> SnmpOptions {
        SnmpOptions {
            version: SnmpVersion::V2c,
            community: SecretSource::Plain(Secret::new("public")),
            port: Bounded::fixed(161),
            timeout: Wait::from_secs(2),
            retries: Bounded::fixed(2),
            deadline: Wait::from_secs(20),
            parallel: Bounded::fixed(200),
            max_repetitions: Bounded::fixed(25),
            user: None,
            auth: None,
            auth_password: None,
            privacy: None,
            priv_password: None,
            key_extension: None,
            context: None,
        }
    }
}

/// `[[domain]]`: one EnergyWise domain by its dotted name.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DomainOptions {
    /// Dotted name, a point.
    #[serde(deserialize_with = "domain_name")]
    pub name: String,
    /// Which entities count; without it the parent's, at the top 100.
    #[serde(default)]
    pub importance: Option<Importance>,
    /// How long a reading stays good; without it the parent's, at the top 30 s. Zero: never.
    #[serde(default)]
    pub ttl: Option<Span>,
    /// Whether a switch's `cewDomainName` must be this name.
    #[serde(default = "yes")]
    pub check_domain_name: bool,
    /// Whether each entity is logged too.
    #[serde(default)]
    pub entities: bool,
    /// The switches in this very domain.
    #[serde(default, rename = "switch")]
    pub switches: Vec<SwitchOptions>,
}

/// `[[domain.switch]]`: a switch, with any key of `[snmp]` or `[native]` where it differs.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the overrides are documented at SnmpOptions and NativeOptions")]
pub struct SwitchOptions {
    /// Its part of the point's name.
    #[serde(deserialize_with = "switch_name")]
    pub name: String,
    /// Where it is.
    pub address: Host,
    /// How it speaks.
    #[serde(default)]
    pub protocol: Protocol,
    /// Which MIBs it is read by.
    pub profile: Option<String>,
    /// Asked first by the native protocol; no matter to SNMP.
    #[serde(default)]
    pub primary: bool,
    pub version: Option<SnmpVersion>,
    pub community: Option<SecretSource>,
    pub port: Option<Bounded<1, 65_535>>,
    pub timeout: Option<Wait>,
    pub retries: Option<Bounded<0, 10>>,
    pub deadline: Option<Wait>,
    /// Of no effect: a switch has one request in flight.
    pub parallel: Option<Bounded<1, 1000>>,
    pub max_repetitions: Option<Bounded<1, 100>>,
    pub user: Option<String>,
    pub auth: Option<AuthProtocol>,
    pub auth_password: Option<SecretSource>,
    #[serde(rename = "priv")]
    pub privacy: Option<PrivProtocol>,
    pub priv_password: Option<SecretSource>,
    pub key_extension: Option<KeyExtension>,
    pub context: Option<String>,
    // The keys of [native].
    pub shared_secret: Option<SecretSource>,
    pub native_port: Option<Bounded<1025, 65_535>>,
    pub attempts: Option<Bounded<1, 10>>,
    pub command: Option<CommandOptions>,
    pub ssh: Option<NativeSshOptions>,
}

impl SwitchOptions {
    /// A switch with nothing of its own but name and address.
    pub fn new(name: &str, address: Host) -> SwitchOptions {
        SwitchOptions {
            name: name.to_owned(),
            address,
            protocol: Protocol::Snmp,
            profile: None,
            primary: false,
            version: None,
            community: None,
            port: None,
            timeout: None,
            retries: None,
            deadline: None,
            parallel: None,
            max_repetitions: None,
            user: None,
            auth: None,
            auth_password: None,
            privacy: None,
            priv_password: None,
            key_extension: None,
            context: None,
            shared_secret: None,
            native_port: None,
            attempts: None,
            command: None,
            ssh: None,
        }
    }

    /// Makes paths absolute that are relative to a folder.
    pub fn rebase(&mut self, folder: &std::path::Path) {
        crate::native::rebase(&mut self.command, &mut self.ssh, folder);
    }

    /// The profile that it is read by, of SNMP.
    pub fn profile(&self) -> &str {
        self.profile.as_deref().unwrap_or(PROFILE_DEFAULT)
    }

    /// What holds for this switch: its own keys over those of `[snmp]`.
    pub fn snmp(&self, defaults: &SnmpOptions) -> SnmpOptions {
        let own = self.clone();
        let all = defaults.clone();
        SnmpOptions {
            version: own.version.unwrap_or(all.version),
            community: own.community.unwrap_or(all.community),
            port: own.port.unwrap_or(all.port),
            timeout: own.timeout.unwrap_or(all.timeout),
            retries: own.retries.unwrap_or(all.retries),
            deadline: own.deadline.unwrap_or(all.deadline),
            parallel: own.parallel.unwrap_or(all.parallel),
            max_repetitions: own.max_repetitions.unwrap_or(all.max_repetitions),
            user: own.user.or(all.user),
            auth: own.auth.or(all.auth),
            auth_password: own.auth_password.or(all.auth_password),
            privacy: own.privacy.or(all.privacy),
            priv_password: own.priv_password.or(all.priv_password),
            key_extension: own.key_extension.or(all.key_extension),
            context: own.context.or(all.context),
        }
    }
}

fn yes() -> bool {
    true
}

fn domain_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    check_domain_name(&name).map_err(D::Error::custom)?;
    Ok(name)
}

/// A domain's name is a point without empty parts.
pub fn check_domain_name(name: &str) -> Result<(), String> {
    name.parse::<Point>()?;
    match name.split('.').any(str::is_empty) {
        true => Err(format!("the domain name {name:?} has an empty part between its dots")),
        false => Ok(()),
    }
}

fn switch_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    let name = String::deserialize(deserializer)?;
    match name.trim().is_empty() {
        true => Err(D::Error::custom("a switch needs a name")),
        false => Ok(name),
    }
}

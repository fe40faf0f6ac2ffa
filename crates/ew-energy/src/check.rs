//! What no single value of the configuration shows.

use crate::config::check_domain_name;
use crate::credentials;
use crate::energy::ENERGY_PART;
use crate::{DomainOptions, NativeOptions, ProfileOptions, Profiles, Protocol, SnmpOptions, SwitchOptions};
use ew_core::{Exit, PART_BYTES_MAX, POINT_BYTES_MAX, point_part};
use std::collections::HashMap;

/// A configuration that cannot be polled. `domain` and `switch` are names as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the fields are named as the keys of ew.toml")]
pub enum EnergyConfigError {
    /// A name that is no point.
    #[error("domain {domain:?}: {cause}")]
    DomainName { domain: String, cause: String },
    /// One name twice.
    #[error("the domain {domain} is listed twice")]
    DuplicateDomain { domain: String },
    /// Two sources would write one point.
    #[error("{first} and {second} both give the point {point}")]
    DuplicatePoint { point: String, first: String, second: String },
    /// No room for the parts below it.
    #[error("{source_name}: its points can be {bytes} bytes long, more than {POINT_BYTES_MAX}")]
    LongPoint { source_name: String, bytes: usize },
    /// Two protocols among the switches of one domain.
    #[error(
        "switch {first:?} of {domain} speaks {first_protocol}, switch {switch:?} speaks {protocol}: the switches of one domain have one protocol"
    )]
    Mixed { domain: String, first: String, first_protocol: Protocol, switch: String, protocol: Protocol },
    /// Two ways to ask the same switch.
    #[error("{place} has both command and ssh")]
    TwoAdapters { place: String, switch: Option<(String, String)> },
    /// A trend of nothing.
    #[error("there is no domain {domain:?} to have a trend")]
    TrendDomain { domain: String },
    /// Two periods for one domain.
    #[error("the domain {domain} has two trends")]
    TrendTwice { domain: String },
    /// A switch has a profile that nobody wrote.
    #[error("switch {switch:?} of {domain}: there is no profile {profile:?}")]
    UnknownProfile { domain: String, switch: String, profile: String, known: Vec<String> },
    /// No MIB is read of a native switch.
    #[error("switch {switch:?} of {domain} is native, and a profile goes with SNMP only")]
    NativeProfile { domain: String, switch: String, profile: String },
    /// Two profiles, or a shipped one, have one name.
    #[error("the profile {profile:?} {cause}")]
    ProfileName { profile: String, cause: &'static str },
    /// The keys of SNMPv3 do not fit together.
    #[error("switch {switch:?} of {domain}: {cause}")]
    Credentials { domain: String, switch: String, cause: &'static str, hint: &'static str },
}

impl EnergyConfigError {
    /// The domain and the name, as written, to look for in the file; none where it stands at no such name.
    pub fn place(&self) -> (Option<&str>, Option<&str>) {
        match self {
            EnergyConfigError::DomainName { domain, .. }
            | EnergyConfigError::DuplicateDomain { domain }
            | EnergyConfigError::TrendDomain { domain }
            | EnergyConfigError::TrendTwice { domain } => (None, Some(domain)),
            EnergyConfigError::DuplicatePoint { point, .. } => (None, Some(point)),
            EnergyConfigError::LongPoint { source_name, .. } => (None, Some(source_name)),
            EnergyConfigError::Mixed { domain, switch, .. }
            | EnergyConfigError::Credentials { domain, switch, .. } => (Some(domain), Some(switch)),
            EnergyConfigError::TwoAdapters { switch, .. } => switch
                .as_ref()
                .map_or((None, None), |(domain, switch)| (Some(domain.as_str()), Some(switch.as_str()))),
            EnergyConfigError::UnknownProfile { domain, profile, .. }
            | EnergyConfigError::NativeProfile { domain, profile, .. } => (Some(domain), Some(profile)),
            EnergyConfigError::ProfileName { profile, .. } => (None, Some(profile)),
        }
    }

    /// Always 78.
    pub fn exit(&self) -> Exit {
        Exit::Config
    }

    /// What to do next.
    pub fn hint(&self) -> String {
        match self {
            EnergyConfigError::DomainName { .. } => {
                "write the domain as the switches do, such as \"com.example.hq\"".into()
            }
            EnergyConfigError::DuplicateDomain { .. } => "put all its switches under one [[domain]]".into(),
            EnergyConfigError::DuplicatePoint { .. } => "give one of them another name".into(),
            EnergyConfigError::LongPoint { .. } => "shorten the domain's or the switch's name".into(),
            EnergyConfigError::Mixed { domain, .. } => {
                format!("give the ones or the others a domain of their own, such as \"{domain}.other\"")
            }
            EnergyConfigError::TrendDomain { .. } => "write the name of a [[domain]]".into(),
            EnergyConfigError::TrendTwice { .. } => "leave one of the two out".into(),
            EnergyConfigError::TwoAdapters { .. } => "leave one of the two tables out".into(),
            EnergyConfigError::UnknownProfile { known, .. } => format!("there are: {}", known.join(" ")),
            EnergyConfigError::NativeProfile { .. } => {
                "leave profile out, or write protocol = \"snmp\"".into()
            }
            EnergyConfigError::ProfileName { .. } => "give it another name".into(),
            EnergyConfigError::Credentials { hint, .. } => (*hint).into(),
        }
    }
}

/// Checks that each of a user's profiles has a name of its own.
pub fn check_profiles(own: &[ProfileOptions]) -> Result<(), EnergyConfigError> {
    if own.is_empty() {
        return Ok(());
    }
    let shipped = Profiles::default();
    for (number, ProfileOptions { name, .. }) in own.iter().enumerate() {
        let cause = match own[..number].iter().any(|other| other.name == *name) {
            true => "stands twice",
            false if shipped.names().any(|shipped| shipped == name) => "is one of those that ew has",
            false => continue,
        };
        return Err(EnergyConfigError::ProfileName { profile: name.clone(), cause });
    }
    Ok(())
}

/// Checks the domains against one another and each switch with the defaults it falls back on.
pub fn check(
    snmp: &SnmpOptions,
    native: &NativeOptions,
    domains: &[DomainOptions],
    profiles: &Profiles,
) -> Result<(), EnergyConfigError> {
    if native.command.is_some() && native.ssh.is_some() {
        return Err(EnergyConfigError::TwoAdapters { place: "[native]".into(), switch: None });
    }
    // Every point that the configuration alone settles, with the source that gives it.
    let mut points: HashMap<String, String> = HashMap::new();
    for domain in domains {
        let name = &domain.name;
        check_domain_name(name)
            .map_err(|cause| EnergyConfigError::DomainName { domain: name.clone(), cause })?;
        if points.insert(name.clone(), format!("domain {name}")).is_some() {
            return Err(EnergyConfigError::DuplicateDomain { domain: name.clone() });
        }
    }
    for domain in domains {
        for (switch, number) in domain.switches.iter().zip(1..) {
            check_switch(snmp, domain, switch, profiles)?;
            check_protocol(domain, switch)?;
            let point = format!("{}.{}", domain.name, point_part(&switch.name, number));
            let source = format!("switch {:?} of {}", switch.name, domain.name);
            let entity_bytes = if domain.entities { 1 + PART_BYTES_MAX } else { 0 };
            let has_energy = switch.protocol == Protocol::Snmp && profiles.may_have_energy(switch.profile());
            let energy_bytes = if has_energy { 1 + ENERGY_PART.len() } else { 0 };
            let bytes = point.len() + entity_bytes + energy_bytes;
            if bytes > POINT_BYTES_MAX {
                return Err(EnergyConfigError::LongPoint { source_name: source, bytes });
            }
            let counter = format!("{point}.{ENERGY_PART}");
            let own = [(point, source.clone())].into_iter();
            for (point, second) in
                own.chain(has_energy.then(|| (counter, format!("the counter of {source}"))))
            {
                if let Some(first) = points.insert(point.clone(), second.clone()) {
                    return Err(EnergyConfigError::DuplicatePoint { point, first, second });
                }
            }
        }
    }
    Ok(())
}

fn check_switch(
    snmp: &SnmpOptions,
    domain: &DomainOptions,
    switch: &SwitchOptions,
    profiles: &Profiles,
) -> Result<(), EnergyConfigError> {
    if switch.command.is_some() && switch.ssh.is_some() {
        return Err(EnergyConfigError::TwoAdapters {
            place: format!("switch {:?} of {}", switch.name, domain.name),
            switch: Some((domain.name.clone(), switch.name.clone())),
        });
    }
    if switch.protocol == Protocol::Native {
        return switch.profile.as_ref().map_or(Ok(()), |profile| {
            let (domain, switch) = (domain.name.clone(), switch.name.clone());
            Err(EnergyConfigError::NativeProfile { domain, switch, profile: profile.clone() })
        });
    }
    if !profiles.names().any(|name| name == switch.profile()) {
        return Err(EnergyConfigError::UnknownProfile {
            domain: domain.name.clone(),
            switch: switch.name.clone(),
            profile: switch.profile().to_owned(),
            known: profiles.names().map(str::to_owned).collect(),
        });
    }
    credentials::check(&switch.snmp(snmp)).map_err(|(cause, hint)| EnergyConfigError::Credentials {
        domain: domain.name.clone(),
        switch: switch.name.clone(),
        cause,
        hint,
    })
}

/// A sub-domain may speak another protocol, so this goes level by level.
fn check_protocol(domain: &DomainOptions, switch: &SwitchOptions) -> Result<(), EnergyConfigError> {
    match domain.switches.first() {
        Some(first) if first.protocol != switch.protocol => Err(EnergyConfigError::Mixed {
            domain: domain.name.clone(),
            first: first.name.clone(),
            first_protocol: first.protocol,
            switch: switch.name.clone(),
            protocol: switch.protocol,
        }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PrivProtocol, SnmpVersion};
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct File {
        #[serde(default)]
        snmp: SnmpOptions,
        #[serde(default)]
        native: NativeOptions,
        #[serde(default)]
        domain: Vec<DomainOptions>,
    }

    fn checked(text: &str) -> Result<(), EnergyConfigError> {
        let file: File = toml::from_str(text).unwrap();
        check(&file.snmp, &file.native, &file.domain, &Profiles::default())
    }

    const ALL_KEYS: &str = r#"
        [snmp]
        version = "3"
        community = { env = "COMMUNITY" }
        port = 1161
        timeout = "500ms"
        retries = 0
        deadline = "5s"
        parallel = 1000
        max_repetitions = 100
        user = "ew"
        auth = "sha256"
        auth_password = "authpass123"
        priv = "aes256"
        priv_password = { file = "priv" }
        key_extension = "reeder"
        context = "c"
        [[domain]]
        name = "com.example.hq"
        importance = 50
        ttl = "0s"
        check_domain_name = false
        entities = true
        [[domain.switch]]
        name = "sw1"
        address = "[2001:db8::1]"
        protocol = "snmp"
        profile = "energywise"
        primary = true
        version = "2c"
        community = "c2"
        port = 162
        timeout = "1s"
        retries = 10
        deadline = "2s"
        parallel = 1
        max_repetitions = 1
        user = "u"
        auth = "md5"
        auth_password = "x"
        priv = "des"
        priv_password = "y"
        key_extension = "blumenthal"
        context = ""
        [[domain.switch]]
        name = "sw2"
        address = "sw2.example.com"
    "#;

    #[test]
    fn every_key_is_read_and_a_switch_overrides() {
        let file: File = toml::from_str(ALL_KEYS).unwrap();
        check(&file.snmp, &file.native, &file.domain, &Profiles::default()).unwrap();
        let [sw1, sw2] = &file.domain[0].switches[..] else { panic!() };
        assert_eq!(sw1.address.as_str(), "2001:db8::1");
        assert_eq!(sw1.address.with_port(162), "[2001:db8::1]:162");
        let own = sw1.snmp(&file.snmp);
        assert_eq!((own.version, own.port.get(), own.retries.get()), (SnmpVersion::V2c, 162, 10));
        assert_eq!(own.privacy, Some(PrivProtocol::Des));
        assert_eq!(sw2.snmp(&file.snmp), file.snmp);
        assert_eq!((sw2.protocol, sw2.profile()), (Protocol::Snmp, "energywise"));
        assert!(!format!("{file:?}").contains("authpass123"));
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let file: File = toml::from_str("[[domain]]\nname = \"a\"").unwrap();
        let snmp = &file.snmp;
        assert_eq!(snmp.community, ew_core::SecretSource::Plain(ew_core::Secret::new("public")));
        assert_eq!((snmp.timeout, snmp.deadline), (crate::Wait::from_secs(2), crate::Wait::from_secs(20)));
        assert_eq!((snmp.retries.get(), snmp.parallel.get(), snmp.max_repetitions.get()), (2, 200, 25));
        assert!(file.domain[0].check_domain_name && !file.domain[0].entities);
    }

    #[test]
    fn a_bad_value_is_shown_where_it_stands() {
        let switch = |key: &str| format!("[[domain]]\nname = \"a\"\n[[domain.switch]]\nname = \"s\"\n{key}");
        for (text, place, word) in [
            ("[snmp]\nretrys = 2".to_owned(), "line 2, column 1", "unknown field `retrys`"),
            ("[snmp]\nretries = 11".to_owned(), "line 2, column 11", "from 0 to 10"),
            ("[snmp]\nretries = -1".to_owned(), "line 2, column 11", "from 0 to 10"),
            ("[snmp]\nparallel = 0".to_owned(), "line 2, column 12", "from 1 to 1000"),
            ("[snmp]\nmax_repetitions = 101".to_owned(), "line 2, column 19", "from 1 to 100"),
            ("[snmp]\nport = 65536".to_owned(), "line 2, column 8", "from 1 to 65535"),
            ("[snmp]\ntimeout = \"0s\"".to_owned(), "line 2, column 11", "zero"),
            ("[snmp]\ndeadline = \"1 month\"".to_owned(), "line 2, column 12", "months"),
            ("[snmp]\nversion = \"2\"".to_owned(), "line 2, column 11", "`2c`"),
            ("[snmp]\nauth = \"sha1\"".to_owned(), "line 2, column 8", "`sha256`"),
            (switch("address = \"h\"\nprotocol = \"bogus\""), "line 6, column 12", "`native`"),
            (switch("address = \"h\"\nprimary = \"on\""), "line 6, column 11", "boolean"),
            ("[[domain]]\nname = \"a..b\"".to_owned(), "line 2, column 8", "empty part"),
            ("[[domain]]\nname = \"\"".to_owned(), "line 2, column 8", "needs a name"),
            ("[[domain]]\nname = \"a\"\nimportance = 101".to_owned(), "line 3, column 14", "from 1 to 100"),
            ("[[domain]]\nname = \"a\"\nttl = 30".to_owned(), "line 3, column 7", "string"),
            (switch("address = \"192.0.2.1:161\""), "line 5, column 11", "port = 161"),
            (switch("address = \"\""), "line 5, column 11", "host name"),
            (switch("address = \"h\"\nprotocol = \"ssh\""), "line 6, column 12", "`native`"),
            (switch("address = \"h\"\ndeadlin = \"1s\""), "line 6, column 1", "unknown field `deadlin`"),
            (switch("address = \"h\"\nretries = 11"), "line 6, column 11", "from 0 to 10"),
        ] {
            let error = toml::from_str::<File>(&text).unwrap_err().to_string();
            assert!(error.contains(place) && error.contains(word), "{text}\n{error}");
        }
    }

    fn domains(list: &[(&str, &[&str])]) -> String {
        let mut text = String::new();
        for (name, switches) in list {
            text += &format!("[[domain]]\nname = {name:?}\nentities = true\n");
            for switch in *switches {
                text += &format!("[[domain.switch]]\nname = {switch:?}\naddress = \"h\"\n");
            }
        }
        text
    }

    #[test]
    fn one_point_has_one_source() {
        assert_eq!(checked(&domains(&[("a.b", &["c"]), ("a.b.d", &["c"]), ("x", &["c"])])), Ok(()));
        // Counters have points too, where the profile can have any.
        let counted = |text: &str, profile: &str| {
            text.replace("address = \"h\"", &format!("address = \"h\"\nprofile = \"{profile}\""))
        };
        let free = domains(&[("a", &["s"]), ("a.s.energy", &[])]);
        for profile in ["energywise", "eaton"] {
            assert_eq!(checked(&counted(&free, profile)), Ok(()), "{profile}");
        }
        for (text, point) in [
            (domains(&[("a.b", &["c"]), ("a.b.c", &[])]), "a.b.c"),
            (domains(&[("a.b.c", &[]), ("a.b", &["c"])]), "a.b.c"),
            (domains(&[("a", &["s", "s"])]), "a.s"),
            (domains(&[("a", &["s.1", "s_1"])]), "a.s_1"),
            (counted(&domains(&[("a", &["s"]), ("a.s.energy", &[])]), "auto"), "a.s.energy"),
            (counted(&domains(&[("a.s.energy", &[]), ("a", &["s"])]), "apc-rpdu2"), "a.s.energy"),
            (counted(&domains(&[("a", &["s"]), ("a.s.energy", &["t"])]), "eman"), "a.s.energy"),
        ] {
            let error = checked(&text).unwrap_err();
            assert!(
                matches!(&error, EnergyConfigError::DuplicatePoint { point: p, .. } if p == point),
                "{error}"
            );
        }
        let twice = checked(&domains(&[("a", &[]), ("a", &[])])).unwrap_err();
        assert_eq!(twice.to_string(), "the domain a is listed twice");
        assert_eq!(twice.exit(), Exit::Config);
        let long = "x".repeat(200);
        assert!(matches!(checked(&domains(&[(&long, &["s"])])), Err(EnergyConfigError::LongPoint { .. })));
    }

    /// §6.2 cases 11 and 12: one protocol among a domain's own switches, another one below it.
    #[test]
    fn one_protocol_for_a_domain() {
        let native = "protocol = \"Native\"\n";
        let mixed = domains(&[("a", &["s", "t"])]) + native;
        let error = checked(&mixed).unwrap_err();
        let expect = "switch \"s\" of a speaks snmp, switch \"t\" speaks native: the switches of one domain have one protocol";
        assert_eq!((error.to_string().as_str(), error.exit()), (expect, Exit::Config));
        assert_eq!(error.place(), (Some("a"), Some("t")));
        assert_eq!(checked(&(domains(&[("a", &["s"]), ("a.b", &["t"])]) + native)), Ok(()));
    }

    /// §6.1 cases 5 and 6, and 4 for `primary`: the keys of the native protocol, of which none has to be there.
    #[test]
    fn native_keys_and_their_overrides() {
        let text = "[native]\nattempts = 2\nshared_secret = \"x\"\n[native.command]\ncommand = [\"c\"]\n\
                    [[domain]]\nname = \"a\"\n[[domain.switch]]\nname = \"s\"\naddress = \"h\"\n\
                    native_port = 65535\ntimeout = \"1s\"\n\
                    [domain.switch.ssh]\nuser = \"u\"\nagent = true\nknown_hosts = \"k\"\n\
                    [[domain.switch]]\nname = \"t\"\naddress = \"h\"\n";
        let file: File = toml::from_str(text).unwrap();
        let [s, t] = &file.domain[0].switches[..] else { panic!() };
        let own = s.native(&file.native);
        assert_eq!(
            (own.attempts.get(), own.native_port.get(), own.timeout),
            (2, 65_535, crate::Wait::from_secs(1))
        );
        // An adapter goes as a whole.
        assert!(own.command.is_none() && own.ssh.is_some());
        assert_eq!(t.native(&file.native), file.native);
        assert!(!s.primary && !format!("{:?}", file.native).contains("\"x\""));
        let defaults = NativeOptions::default();
        assert_eq!(
            (defaults.native_port.get(), defaults.attempts.get(), defaults.shared_secret),
            (43_440, 3, None)
        );
        for (port, good) in [(1024, false), (1025, true), (65_535, true), (65_536, false)] {
            assert_eq!(
                toml::from_str::<File>(&format!("[native]\nnative_port = {port}")).is_ok(),
                good,
                "{port}"
            );
        }
    }

    #[test]
    fn v3_keys_fit_together() {
        let v3 = |keys: &str| {
            checked(&format!("[snmp]\nversion = \"3\"\n{keys}\n{}", domains(&[("a", &["s"])])))
                .map_err(|e| e.to_string())
        };
        let auth = "user = \"u\"\nauth = \"sha\"\nauth_password = \"12345678\"";
        for good in [
            "user = \"u\"".to_owned(),
            auth.to_owned(),
            format!("{auth}\npriv = \"aes\"\npriv_password = \"87654321\""),
            format!("{auth}\npriv = \"aes\"\npriv_password = {{ env = \"P\" }}"),
            format!("{auth}\npriv = \"aes256\"\npriv_password = \"87654321\"\nkey_extension = \"reeder\""),
        ] {
            assert_eq!(v3(&good), Ok(()), "{good}");
        }
        for (bad, word) in [
            (String::new(), "needs a user"),
            ("user = \"u\"\nauth = \"sha\"".to_owned(), "auth needs auth_password"),
            ("user = \"u\"\nauth_password = \"p\"".to_owned(), "auth_password needs auth"),
            ("user = \"u\"\npriv = \"aes\"\npriv_password = \"87654321\"".to_owned(), "priv needs auth"),
            (format!("{auth}\npriv = \"aes256\"\npriv_password = \"87654321\""), "too short"),
            (auth.replace("8\"", "\""), "auth_password is shorter than 8 characters"),
            (format!("{auth}\npriv = \"aes\"\npriv_password = \"7654321\""), "priv_password is shorter"),
        ] {
            assert!(v3(&bad).unwrap_err().contains(word), "{bad}");
        }
    }
}

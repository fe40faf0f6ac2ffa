//! Domain trees from the flat list of dotted names.

use crate::{DomainOptions, Host, Importance, NativeOptions, Protocol, SnmpOptions};
use ew_core::{Span, point_part};
use std::collections::{HashMap, HashSet};

/// Of a domain that neither says it nor has a parent.
const TTL_DEFAULT: Span = Span::from_secs(30);

/// A domain with its switches and its sub-domains, all that it inherits filled in.
#[derive(Debug, Clone, PartialEq)]
pub struct Domain {
    /// Dotted name, which is also its point.
    pub name: String,
    /// Which entities count.
    pub importance: Importance,
    /// How long a reading stays good.
    pub ttl: Span,
    /// Whether a switch must say that it is in this domain.
    pub check_domain_name: bool,
    /// Whether each entity is logged too.
    pub entities: bool,
    /// The switches in this very domain.
    pub switches: Vec<Switch>,
    /// The listed domains next below it, in the order listed.
    pub children: Vec<Domain>,
}

/// A switch of a domain.
#[derive(Debug, Clone, PartialEq)]
pub struct Switch {
    /// As configured.
    pub name: String,
    /// Its part of the point's name.
    pub part: String,
    /// Where it is.
    pub address: Host,
    /// How it speaks.
    pub protocol: Protocol,
    /// Which MIBs it is read by.
    pub profile: String,
    /// Asked first by the native protocol.
    pub primary: bool,
    /// `[snmp]` with the switch's own keys over it.
    pub snmp: SnmpOptions,
    /// The same of `[native]`, where that is its protocol.
    pub native: Option<NativeOptions>,
}

impl Domain {
    /// Whether it is asked as a whole; all its own switches have one protocol.
    pub fn is_native(&self) -> bool {
        self.switches.first().is_some_and(|switch| switch.protocol == Protocol::Native)
    }

    /// This domain and all below it, each before its children.
    pub fn flat(&self) -> Vec<&Domain> {
        let mut found = vec![self];
        let mut next = 0;
        while let Some(domain) = found.get(next).copied() {
            next += 1;
            found.splice(next..next, &domain.children);
        }
        found
    }
}

/// The trees of a list of domains that [`check`](crate::check) passed: `com.a.hq.f1` hangs on `com.a.hq`,
/// or, where that is not listed, on the longest listed name above it.
pub fn trees(domains: &[DomainOptions], snmp: &SnmpOptions, native: &NativeOptions) -> Vec<Domain> {
    let listed: HashSet<&str> = domains.iter().map(|domain| domain.name.as_str()).collect();
    let mut children: Children<'_> = HashMap::new();
    for domain in domains {
        children.entry(listed_parent(&domain.name, &listed)).or_default().push(domain);
    }
    below(None, &children, (snmp, native))
}

/// The domains below each listed name, and those below none.
type Children<'a> = HashMap<Option<&'a str>, Vec<&'a DomainOptions>>;

fn listed_parent<'a>(name: &'a str, listed: &HashSet<&str>) -> Option<&'a str> {
    let mut above = name;
    while let Some((shorter, _)) = above.rsplit_once('.') {
        if listed.contains(shorter) {
            return Some(shorter);
        }
        above = shorter;
    }
    None
}

/// What switches fall back on.
type Defaults<'a> = (&'a SnmpOptions, &'a NativeOptions);

fn below(parent: Option<&Domain>, children: &Children<'_>, defaults: Defaults<'_>) -> Vec<Domain> {
    let Some(listed) = children.get(&parent.map(|parent| parent.name.as_str())) else { return Vec::new() };
    let domain = |options: &&DomainOptions| {
        let inherited =
            parent.map_or((Importance::ALL, TTL_DEFAULT), |parent| (parent.importance, parent.ttl));
        let mut domain = Domain {
            name: options.name.clone(),
            importance: options.importance.unwrap_or(inherited.0),
            ttl: options.ttl.unwrap_or(inherited.1),
            check_domain_name: options.check_domain_name,
            entities: options.entities,
            switches: options.switches.iter().zip(1..).map(|(s, n)| switch(s, n, defaults)).collect(),
            children: Vec::new(),
        };
        domain.children = below(Some(&domain), children, defaults);
        domain
    };
    listed.iter().map(domain).collect()
}

fn switch(options: &crate::SwitchOptions, number: u32, (snmp, native): Defaults<'_>) -> Switch {
    Switch {
        name: options.name.clone(),
        part: point_part(&options.name, number),
        address: options.address.clone(),
        protocol: options.protocol,
        profile: options.profile().to_owned(),
        primary: options.primary,
        snmp: options.snmp(snmp),
        native: (options.protocol == Protocol::Native).then(|| options.native(native)),
    }
}

/// The domains of these names, each with all below it; without names all trees. A name below another
/// one of the list is in that one. An unknown name is the error.
pub fn select<'a>(trees: &'a [Domain], names: &[&str]) -> Result<Vec<&'a Domain>, String> {
    if names.is_empty() {
        return Ok(trees.iter().collect());
    }
    let all: Vec<&Domain> = trees.iter().flat_map(Domain::flat).collect();
    if let Some(unknown) = names.iter().find(|name| !all.iter().any(|domain| domain.name == **name)) {
        return Err((*unknown).to_owned());
    }
    let chosen = |domain: &&Domain| names.contains(&domain.name.as_str());
    let within = |inner: &Domain, outer: &Domain| {
        inner.name.strip_prefix(&outer.name).is_some_and(|rest| rest.starts_with('.'))
    };
    let inside = |domain: &&Domain| all.iter().filter(|d| chosen(d)).any(|outer| within(domain, outer));
    Ok(all.iter().copied().filter(|domain| chosen(domain) && !inside(domain)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    struct File {
        domain: Vec<DomainOptions>,
    }

    fn example() -> Vec<Domain> {
        let text = r#"
            domain = [
                { name = "com.a.hq.f1", ttl = "5s" },
                { name = "com.a", importance = 50, ttl = "60s" },
                { name = "com.a.hq.f1.room" },
                { name = "com.b" },
                { name = "com.a.lab", importance = 7, switch = [{ name = "sw.1", address = "h", retries = 0 }] },
                { name = "com.ab" },
            ]"#;
        trees(
            &toml::from_str::<File>(text).unwrap().domain,
            &SnmpOptions::default(),
            &NativeOptions::default(),
        )
    }

    #[test]
    fn domains_hang_on_the_longest_listed_name() {
        let trees = example();
        let names = |domains: &[Domain]| domains.iter().map(|d| d.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&trees), ["com.a", "com.b", "com.ab"]);
        assert_eq!(names(&trees[0].children), ["com.a.hq.f1", "com.a.lab"]);
        let flat: Vec<_> =
            trees[0].flat().into_iter().map(|d| (d.name.as_str(), d.importance.get(), d.ttl)).collect();
        let secs = Span::from_secs;
        let expect = [
            ("com.a", 50, secs(60)),
            ("com.a.hq.f1", 50, secs(5)),
            ("com.a.hq.f1.room", 50, secs(5)),
            ("com.a.lab", 7, secs(60)),
        ];
        assert_eq!(flat, expect);
        assert_eq!((trees[1].importance, trees[1].ttl), (Importance::ALL, secs(30)));
        let switch = &trees[0].children[1].switches[0];
        assert_eq!((switch.part.as_str(), switch.snmp.retries.get()), ("sw_1", 0));
    }

    #[test]
    fn selection_by_name() {
        let trees = example();
        let names = |wanted: &[&str]| {
            select(&trees, wanted).map(|found| found.iter().map(|d| d.name.clone()).collect::<Vec<_>>())
        };
        assert_eq!(names(&[]).unwrap(), ["com.a", "com.b", "com.ab"]);
        assert_eq!(names(&["com.a.lab", "com.ab"]).unwrap(), ["com.a.lab", "com.ab"]);
        assert_eq!(names(&["com.a.lab", "com.a", "com.a.hq.f1.room"]).unwrap(), ["com.a"]);
        assert_eq!(names(&["com.b", "com.a.hq"]), Err("com.a.hq".into()));
    }
}

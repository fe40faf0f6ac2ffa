//! Energy domains against a real SNMP agent.
#![allow(clippy::unwrap_used)]

#[path = "support/peer.rs"]
mod peer;
#[path = "support/snmpd.rs"]
mod snmpd;

use ew_core::{Exit, Quality, Sample, Secret, SecretSource, Timestamp};
use ew_energy::{
    CachedTotal, Domain, DomainOptions, DomainReading, Failure, Importance, Known, NativeOptions,
    PollOptions, Profiles, SnmpOptions, SwitchReading, Total, TreeReading, check, poll, trees,
};
use peer::Peer;
use serde::Deserialize;
use snmpd::{Relay, Silent, Snmpd};
use std::cell::Cell;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const START: i64 = 1_700_000_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    snmp: SnmpOptions,
    #[serde(default)]
    native: NativeOptions,
    #[serde(default)]
    domain: Vec<DomainOptions>,
}

/// A poll in the making.
struct Poll {
    trees: Vec<Domain>,
    options: PollOptions,
    known: Known,
}

impl Poll {
    fn new(config: &str) -> Poll {
        let file: File = toml::from_str(config).unwrap();
        check(&file.snmp, &file.native, &file.domain, &Profiles::default()).unwrap();
        Poll {
            trees: trees(&file.domain, &file.snmp, &file.native),
            options: PollOptions::new(&file.snmp),
            known: Known::default(),
        }
    }

    fn importance(mut self, importance: u32) -> Poll {
        self.options.importance = Some(Importance::new(importance).unwrap());
        self
    }

    fn cached(mut self, domain: &str, cached: CachedTotal) -> Poll {
        self.known.totals.insert(domain.to_owned(), cached);
        self
    }

    /// The trees in the order they came.
    fn run(&self) -> Vec<TreeReading> {
        self.run_on(&plain, &mut |_| {})
    }

    fn run_with(&self, secret: &dyn Fn(&SecretSource) -> Result<Secret, String>) -> Vec<TreeReading> {
        self.run_on(secret, &mut |_| {})
    }

    /// Each tree is shown to `see` when it comes.
    fn run_on(
        &self,
        secret: &dyn Fn(&SecretSource) -> Result<Secret, String>,
        see: &mut dyn FnMut(&TreeReading),
    ) -> Vec<TreeReading> {
        let mut came = Vec::new();
        let trees: Vec<&Domain> = self.trees.iter().collect();
        poll(&trees, &self.options, Timestamp::from_secs(START), &self.known, secret, &mut |tree| {
            see(&tree);
            came.push(tree);
        });
        came
    }

    /// The only switch of the only domain.
    fn switch(&self) -> SwitchReading {
        let [tree] = <[TreeReading; 1]>::try_from(self.run()).unwrap();
        let [domain] = <[DomainReading; 1]>::try_from(tree.domains).unwrap();
        let [switch] = <[SwitchReading; 1]>::try_from(domain.switches).unwrap();
        switch
    }

    fn failure(&self) -> Failure {
        let switch = self.switch();
        assert_eq!((switch.value, switch.quality), (None, Quality::Missing));
        switch.failure.unwrap()
    }
}

fn plain(source: &SecretSource) -> Result<Secret, String> {
    match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        other => Err(format!("{other:?} is not for tests")),
    }
}

fn domain(name: &str) -> String {
    format!("[[domain]]\nname = {name:?}\n")
}

fn switch(name: &str, address: &str, port: u16) -> String {
    format!("[[domain.switch]]\nname = {name:?}\naddress = {address:?}\nport = {port}\n")
}

/// One switch `sw` in one domain; `keys` are the switch's.
fn one(domain_name: &str, port: u16, keys: &str) -> Poll {
    Poll::new(&format!("{}{}{keys}\n", domain(domain_name), switch("sw", "127.0.0.1", port)))
}

/// (point, value, quality) in the order logged.
fn rows(samples: &[Sample]) -> Vec<(&str, Option<f64>, &str)> {
    samples.iter().map(|s| (s.point().as_str(), s.value(), s.quality().as_str())).collect()
}

const QUICK: &str = "[snmp]\ntimeout = \"200ms\"\nretries = 1\n";

#[test]
fn a_switch_of_eleven_entities_in_one_request() {
    let agent = Snmpd::start("switch");
    let named = format!("{}entities = true\n", domain("com.cisco.bldg19"));
    let reading = Poll::new(&(named + &switch("sw", "127.0.0.1", agent.port()))).switch();
    assert_eq!((reading.value, reading.quality), (Some(145.1), Quality::Presumed));
    assert_eq!((reading.requests, reading.failure), (1, None));
    let watts: Vec<_> = reading.entities.iter().map(|e| (e.index, e.part.as_str(), e.watts)).collect();
    assert_eq!(watts.len(), 11);
    assert_eq!(watts[..3], [(1001, "sw0001", 76.0), (1002, "sw0001-p01", 6.4), (1003, "sw0001-p02", 8.0)]);
    // What is not logged needs no name.
    let reading = one("com.cisco.bldg19", agent.port(), "").switch();
    assert_eq!(
        (reading.value, reading.requests, reading.entities[1].part.as_str()),
        (Some(145.1), 1, "#1002")
    );
    assert!(reading.entity_points.is_empty());

    let narrow = one("com.cisco.bldg19", agent.port(), "max_repetitions = 5").switch();
    assert_eq!((narrow.value, narrow.requests), (Some(145.1), 3));
}

/// §6.3 case 29, and §6.1 case 1: what is under com.cisco has com.cisco before its name.
#[test]
fn samples_of_domain_switch_and_entities() {
    let agent = Snmpd::start("units");
    let config =
        format!("{}entities = true\n{}", domain("com.cisco"), switch("sw.1", "127.0.0.1", agent.port()));
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    let samples = tree.samples();
    let expect = [
        ("com.cisco", Some(2135.4), "actual"),
        ("com.cisco.sw_1", Some(2135.4), "actual"),
        ("com.cisco.sw_1.chassis", Some(120.0), "actual"),
        ("com.cisco.sw_1.stack", Some(2000.0), "actual"),
        ("com.cisco.sw_1.port", Some(15.4), "actual"),
    ];
    assert_eq!(rows(&samples), expect);
    assert!(samples.iter().all(|s| s.time() == Timestamp::from_secs(START) && &**s.unit() == "W"));
    let detail = &tree.entries(tree.start)[0].detail;
    assert_eq!((detail.expected, detail.answered, detail.importance), (Some(1), Some(1), Some(100)));
}

#[test]
fn tables_as_agents_have_them() {
    for (fixture, value, quality, reason) in [
        // §6.3 case 29.
        ("units", 2135.4, Quality::Actual, None),
        // §6.3 case 31: the row is left out, and the value says so.
        ("units-missing", 135.4, Quality::Partial, Some("entity 7 has no units")),
        // §6.3 case 39: no units beyond the textual convention's.
        (
            "units-bad",
            10.0,
            Quality::Partial,
            Some(
                "entity 2 has the units 25, outside -24 to 24; entity 3 has the units -25, outside -24 to 24; \
                 entity 4 has a usage that is no number; \
                 entity 5 has the usage 4294967295, outside 0 to 2147483647",
            ),
        ),
        ("importance", 30.0, Quality::Actual, None),
        // §6.3 cases 37 and 38: cewDeviceTotalUsage is not added, nor is a meter's 54 W or a producer's 10 W.
        ("categories", 44.0, Quality::Actual, None),
        // §6.3 case 39: 0x7FFFFFFF is no negative number.
        ("usage-max", 2_147_483_647.0, Quality::Actual, None),
        // §6.3 case 40: no columns 19 to 23.
        ("agent-2009", 35.4, Quality::Unknown, None),
        ("names", 31.0, Quality::Actual, None),
    ] {
        let agent = Snmpd::start(fixture);
        let reading = one("com.cisco", agent.port(), "").switch();
        assert_eq!((reading.value, reading.quality), (Some(value), quality), "{fixture}: {reading:?}");
        assert_eq!(reading.reason().as_deref(), reason, "{fixture}");
        assert_eq!(reading.requests, 1, "{fixture}");
    }
}

/// §6.3 case 35.
#[test]
fn only_what_is_not_too_important() {
    let agent = Snmpd::start("importance");
    let ask = |importance| one("com.cisco", agent.port(), "").importance(importance).switch().value;
    assert_eq!((ask(1), ask(49), ask(50)), (Some(10.0), Some(10.0), Some(30.0)));
}

#[test]
fn names_that_clash_get_numbers() {
    let agent = Snmpd::start("names");
    // The listed domain has the first claim to the name of an entity.
    let config = format!(
        "{}{}entities = true\n{}",
        domain("com.cisco.sw.Gi1_0/5"),
        domain("com.cisco"),
        switch("sw", "127.0.0.1", agent.port())
    );
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    let expect = [
        ("com.cisco", Some(31.0), "actual"),
        ("com.cisco.sw", Some(31.0), "actual"),
        ("com.cisco.sw.#1", Some(1.0), "actual"),
        ("com.cisco.sw.#2", Some(2.0), "actual"),
        ("com.cisco.sw.#3", Some(4.0), "actual"),
        ("com.cisco.sw.#4", Some(8.0), "actual"),
        ("com.cisco.sw.#5", Some(16.0), "actual"),
        ("com.cisco.sw.Gi1_0/5", Some(0.0), "unknown"),
    ];
    assert_eq!(rows(&tree.samples()), expect);
    let warning = "two sources give the point com.cisco.sw.Gi1_0/5; one is logged as com.cisco.sw.#5";
    assert_eq!(tree.warnings, [warning]);
}

/// §6.3 case 33.
#[test]
fn another_domain_is_refused_by_name() {
    let agent = Snmpd::start("units");
    assert_eq!(one("com.cisco", agent.port(), "").switch().value, Some(2135.4));
    for other in ["com.acme", "COM.cisco", "com", "com.cisco.hq"] {
        let failure = one(other, agent.port(), "").failure();
        assert_eq!(failure.exit, Exit::Protocol);
        let expect = format!(r#"is in the EnergyWise domain "com.cisco", not in "{other}""#);
        assert!(failure.reason.ends_with(&expect), "{failure:?}");
        assert!(failure.hint.contains("check_domain_name = false"), "{failure:?}");
    }

    let config = format!("{}check_domain_name = false\n", domain("elsewhere"));
    let unchecked = Poll::new(&(config + &switch("sw", "127.0.0.1", agent.port()))).switch();
    assert_eq!((unchecked.value, unchecked.requests), (Some(2135.4), 1));
}

#[test]
fn an_agent_without_entities_has_no_value() {
    let agent = Snmpd::start("empty");
    let failure = one("com.cisco", agent.port(), "").failure();
    assert_eq!(failure.exit, Exit::Protocol);
    assert!(failure.reason.ends_with("has no EnergyWise entities"), "{failure:?}");
}

#[test]
fn silence_closed_ports_and_unknown_names() {
    let agent = Snmpd::start("units");
    let quick = "timeout = \"200ms\"\nretries = 1\n";
    let wrong = one("com.cisco", agent.port(), &format!("{quick}community = \"guess\"")).failure();
    assert_eq!(wrong.exit, Exit::Unavailable);
    assert!(wrong.reason.contains("to cewDomainName.0: silence for 200ms (attempts: 2)"), "{wrong:?}");
    assert!(wrong.hint.contains("community") && !format!("{wrong:?}").contains("guess"), "{wrong:?}");

    let silent = Silent::new("127.0.0.1");
    let reading = one("com.cisco", silent.port(), quick).switch();
    assert_eq!((reading.requests, reading.failure.unwrap().exit), (2, Exit::Unavailable));
    assert_eq!(silent.heard(), 2);

    // SNMPv3 has no community, and a wrong user is refused.
    let v3 = one("com.cisco", silent.port(), &format!("{quick}version = \"3\"\nuser = \"u\"")).failure();
    assert!(v3.hint.starts_with("check address and port") && !v3.hint.contains("community"), "{v3:?}");

    let port = Silent::new("127.0.0.1").port();
    let closed = one("com.cisco", port, "timeout = \"5s\"\nretries = 0").failure();
    assert_eq!(closed.exit, Exit::Unavailable);
    assert!(closed.reason.contains("closed"), "{closed:?}");

    let config = domain("com.cisco") + &switch("sw", "no-such-host.invalid", 161);
    let unknown = Poll::new(&config).failure();
    assert_eq!(unknown.exit, Exit::Unavailable);
    assert!(unknown.reason.contains("no-such-host.invalid"), "{unknown:?}");

    let named = domain("com.cisco") + &switch("sw", "localhost", agent.port());
    assert_eq!(Poll::new(&named).switch().value, Some(2135.4));
}

#[test]
fn lost_requests_are_repeated_and_doubled_answers_ignored() {
    let agent = Snmpd::start("units");
    let quick = "timeout = \"300ms\"\nretries = 2\nmax_repetitions = 1";
    // The name with the first of three rows, the others one by one, and the end of the table.
    let whole = one("com.cisco", agent.port(), quick).switch().requests;
    assert_eq!(whole, 4);
    let relay = Relay::start(&agent, 2, 1);
    let lossy = one("com.cisco", relay.port(), quick).switch();
    assert_eq!((lossy.value, lossy.requests), (Some(2135.4), whole + 2));
    let relay = Relay::start(&agent, 0, 2);
    let doubling = one("com.cisco", relay.port(), quick).switch();
    assert_eq!((doubling.value, doubling.requests), (Some(2135.4), whole));
}

#[test]
fn the_deadline_ends_a_switch() {
    let silent = Silent::new("127.0.0.1");
    let keys = "timeout = \"10s\"\nretries = 10\ndeadline = \"300ms\"";
    let failure = one("com.cisco", silent.port(), keys).failure();
    assert_eq!(failure.exit, Exit::Unavailable);
    assert!(failure.reason.contains("within its deadline of 300ms, at cewDomainName.0"), "{failure:?}");
}

#[test]
fn version_1() {
    let agent = Snmpd::start("units");
    let reading = one("com.cisco", agent.port(), "version = \"1\"").switch();
    assert_eq!((reading.value, reading.failure), (Some(2135.4), None));
    // The name, three rows, and the columns' end.
    assert_eq!(reading.requests, 1 + 3 + 1);
}

#[test]
fn version_3_at_every_level() {
    let agent = Snmpd::start("units");
    let auth = "auth = \"sha\"\nauth_password = \"authpass123\"\n";
    let privacy = "priv = \"aes\"\npriv_password = \"privpass123\"\n";
    for keys in [
        "user = \"ewopen\"".to_owned(),
        format!("user = \"ewpoll\"\n{auth}"),
        format!("user = \"ewpoll\"\n{auth}{privacy}"),
        format!("user = \"ew256\"\n{}{privacy}", auth.replace("sha", "sha256")),
        format!("user = \"ewdes\"\n{}{}", auth.replace("sha", "md5"), privacy.replace("aes", "des")),
    ] {
        let reading = one("com.cisco", agent.port(), &format!("version = \"3\"\n{keys}")).switch();
        assert_eq!(reading.value, Some(2135.4), "{keys}\n{reading:?}");
        assert_eq!(reading.requests, 2, "{keys}: discovery, then name and table");
    }
    let quick = "version = \"3\"\ntimeout = \"1s\"\nretries = 1\n";
    for (keys, exit) in [
        ("user = \"nobody\"".to_owned(), Exit::Refused),
        (format!("user = \"nobody\"\n{auth}"), Exit::Refused),
        (format!("user = \"ewpoll\"\n{}", auth.replace("authpass", "wrong")), Exit::Refused),
        (format!("user = \"ewdes\"\n{}", auth.replace("sha", "md5")), Exit::Refused),
        (format!("user = \"ewpoll\"\n{auth}{}", privacy.replace("privpass", "wrong")), Exit::Unavailable),
    ] {
        let failure = one("com.cisco", agent.port(), &format!("{quick}{keys}")).failure();
        assert_eq!(failure.exit, exit, "{keys}\n{failure:?}");
        assert!(failure.hint.contains("priv_password") && !format!("{failure:?}").contains("pass123"));
    }
}

/// Every pair of `auth` and `priv`, with both ways of `key_extension` where the signature's key is too short
/// for the cipher, and the line of snmpd.conf that makes its user. net-snmp 5.9.3 answers to each of them:
/// there is none that has no agent.
#[rustfmt::skip]
const V3_PAIRS: [(&str, &str, &str, &str); 36] = [
    ("none", "none", "", "createUser #"),
    ("md5", "none", "", "createUser # MD5 authpass123"),
    ("md5", "des", "", "createUser # MD5 authpass123 DES privpass123"),
    ("md5", "aes", "", "createUser # MD5 authpass123 AES privpass123"),
    ("md5", "aes192", "blumenthal", "createUser # MD5 authpass123 AES-192 privpass123"),
    ("md5", "aes192", "reeder", "createUser # MD5 authpass123 AES-192-C privpass123"),
    ("md5", "aes256", "blumenthal", "createUser # MD5 authpass123 AES-256 privpass123"),
    ("md5", "aes256", "reeder", "createUser # MD5 authpass123 AES-256-C privpass123"),
    ("sha", "none", "", "createUser # SHA authpass123"),
    ("sha", "des", "", "createUser # SHA authpass123 DES privpass123"),
    ("sha", "aes", "", "createUser # SHA authpass123 AES privpass123"),
    ("sha", "aes192", "blumenthal", "createUser # SHA authpass123 AES-192 privpass123"),
    ("sha", "aes192", "reeder", "createUser # SHA authpass123 AES-192-C privpass123"),
    ("sha", "aes256", "blumenthal", "createUser # SHA authpass123 AES-256 privpass123"),
    ("sha", "aes256", "reeder", "createUser # SHA authpass123 AES-256-C privpass123"),
    ("sha224", "none", "", "createUser # SHA-224 authpass123"),
    ("sha224", "des", "", "createUser # SHA-224 authpass123 DES privpass123"),
    ("sha224", "aes", "", "createUser # SHA-224 authpass123 AES privpass123"),
    ("sha224", "aes192", "", "createUser # SHA-224 authpass123 AES-192 privpass123"),
    ("sha224", "aes256", "blumenthal", "createUser # SHA-224 authpass123 AES-256 privpass123"),
    ("sha224", "aes256", "reeder", "createUser # SHA-224 authpass123 AES-256-C privpass123"),
    ("sha256", "none", "", "createUser # SHA-256 authpass123"),
    ("sha256", "des", "", "createUser # SHA-256 authpass123 DES privpass123"),
    ("sha256", "aes", "", "createUser # SHA-256 authpass123 AES privpass123"),
    ("sha256", "aes192", "", "createUser # SHA-256 authpass123 AES-192 privpass123"),
    ("sha256", "aes256", "", "createUser # SHA-256 authpass123 AES-256 privpass123"),
    ("sha384", "none", "", "createUser # SHA-384 authpass123"),
    ("sha384", "des", "", "createUser # SHA-384 authpass123 DES privpass123"),
    ("sha384", "aes", "", "createUser # SHA-384 authpass123 AES privpass123"),
    ("sha384", "aes192", "", "createUser # SHA-384 authpass123 AES-192 privpass123"),
    ("sha384", "aes256", "", "createUser # SHA-384 authpass123 AES-256 privpass123"),
    ("sha512", "none", "", "createUser # SHA-512 authpass123"),
    ("sha512", "des", "", "createUser # SHA-512 authpass123 DES privpass123"),
    ("sha512", "aes", "", "createUser # SHA-512 authpass123 AES privpass123"),
    ("sha512", "aes192", "", "createUser # SHA-512 authpass123 AES-192 privpass123"),
    ("sha512", "aes256", "", "createUser # SHA-512 authpass123 AES-256 privpass123"),
];

#[test]
fn version_3_with_every_pair_of_auth_and_priv() {
    let mut users = String::new();
    let mut config = "[snmp]\nversion = \"3\"\ntimeout = \"10s\"\ndeadline = \"60s\"\n".to_owned();
    let mut lines = domain("com.cisco.bldg19");
    for (number, (auth, privacy, extension, user)) in V3_PAIRS.iter().enumerate() {
        let level = match (*auth, *privacy) {
            ("none", _) => "noauth",
            (_, "none") => "auth",
            _ => "priv",
        };
        users += &format!("{}\nrouser pair{number} {level}\n", user.replace('#', &format!("pair{number}")));
        lines += &switch(&format!("{auth} {privacy} {extension}"), "127.0.0.1", 0);
        lines += &format!("user = \"pair{number}\"\n");
        for (key, value) in [("auth", auth), ("priv", privacy)].into_iter().filter(|(_, v)| **v != "none") {
            lines += &format!("{key} = {value:?}\n{key}_password = \"{key}pass123\"\n");
        }
        if !extension.is_empty() {
            lines += &format!("key_extension = {extension:?}\n");
        }
    }
    let agent = Snmpd::start_with("switch", &users);
    config += &lines.replace("port = 0\n", &format!("port = {}\n", agent.port()));
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    for (_, reading) in tree.switches() {
        assert_eq!(reading.value, Some(145.1), "{reading:?}");
    }
    assert_eq!(tree.domains[0].total.answered as usize, V3_PAIRS.len());

    // A key made longer the other way is another key; the hint names what may be wrong.
    for (way, other) in [("blumenthal", "reeder"), ("reeder", "blumenthal")] {
        let number = V3_PAIRS.iter().position(|pair| pair.1 == "aes256" && pair.2 == way).unwrap();
        let keys = format!(
            "version = \"3\"\ntimeout = \"500ms\"\nretries = 0\nuser = \"pair{number}\"\nauth = \"md5\"\n\
             auth_password = \"authpass123\"\npriv = \"aes256\"\npriv_password = \"privpass123\"\n\
             key_extension = {other:?}"
        );
        let failure = one("com.cisco.bldg19", agent.port(), &keys).failure();
        assert!(failure.exit == Exit::Unavailable && failure.hint.contains("key_extension"), "{failure:?}");
    }
}

#[test]
fn one_silent_switch_of_sixty() {
    let addresses: Vec<String> = (1..60).map(|n| format!("127.0.1.{n}")).collect();
    let listening: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let agent = Snmpd::start_on("switch", &listening);
    let silent = Silent::new("127.0.2.1");
    let mut config = QUICK.to_owned() + &domain("com.cisco.bldg19");
    for (n, address) in addresses.iter().enumerate() {
        config += &switch(&format!("sw{n}"), address, agent.port());
    }
    config += &switch("dead", "127.0.2.1", silent.port());
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    let total = tree.domains[0].total;
    assert_eq!((total.value, total.quality), (Some(8560.9), Quality::Partial));
    assert_eq!((total.expected, total.answered), (60, 59));
    let failed: Vec<_> = tree.switches().filter(|(_, s)| s.failure.is_some()).map(|(_, s)| &s.name).collect();
    assert_eq!(failed, ["dead"]);
    assert_eq!((silent.heard(), tree.entries(tree.start).len()), (2, 61));
    let dead = &tree.entries(tree.start)[60];
    assert_eq!((dead.sample.value(), dead.sample.quality()), (None, Quality::Missing));
    assert!(dead.detail.reason.as_ref().unwrap().starts_with("no answer from 127.0.2.1:"), "{dead:?}");
}

#[test]
fn a_silent_switch_delays_only_its_own_tree() {
    let agent = Snmpd::start("switch");
    let silent = Silent::new("127.0.0.1");
    let config = QUICK.to_owned()
        + &domain("com.cisco.dead")
        + &switch("sw", "127.0.0.1", silent.port())
        + &domain("com.cisco.bldg19")
        + &switch("sw", "127.0.0.1", agent.port())
        + &domain("com.empty");
    let order: Vec<_> = Poll::new(&config).run().iter().map(|tree| tree.root().to_owned()).collect();
    assert_eq!(order, ["com.empty", "com.cisco.bldg19", "com.cisco.dead"]);
    // One after the other every tree comes, too.
    assert_eq!(Poll::new(&config.replace("retries = 1", "retries = 0\nparallel = 1")).run().len(), 3);
}

/// It answers only once the tree of all others was handed over, so it cannot have held them up.
#[test]
fn one_dead_of_two_hundred_holds_up_none() {
    let addresses: Vec<String> = (1..200).map(|n| format!("127.0.1.{n}")).collect();
    let agent = Snmpd::start_on("switch", &addresses.iter().map(String::as_str).collect::<Vec<_>>());
    let committed = Arc::new(AtomicBool::new(false));
    let (revived, objects) = (Arc::clone(&committed), peer::table("com.dead", 1));
    let dead = Peer::start(move |asked| match revived.load(Ordering::Relaxed) {
        true => vec![peer::response(asked.pdu.request_id, &peer::honest(asked, &objects))],
        false => Vec::new(),
    });
    let mut config = "[snmp]\nretries = 10\ndeadline = \"60s\"\n".to_owned();
    config += &(domain("com.dead") + &switch("dead", "127.0.0.1", dead.port()) + "timeout = \"100ms\"\n");
    config += &domain("com.cisco.bldg19");
    for (n, address) in addresses.iter().enumerate() {
        config += &switch(&format!("sw{n}"), address, agent.port());
    }
    let came = Poll::new(&config).run_on(&plain, &mut |_| committed.store(true, Ordering::Relaxed));
    let totals: Vec<_> = came.iter().map(|t| (t.root(), t.domains[0].total.answered)).collect();
    assert_eq!(totals, [("com.cisco.bldg19", 199), ("com.dead", 1)]);
}

/// The same columns and the name by net-snmp, counted on the way to the agent.
#[test]
fn fewer_datagrams_than_snmpbulkwalk() {
    let agent = Snmpd::start("switch");
    let line = Relay::start(&agent, 0, 1);
    let reading = one("com.cisco.bldg19", line.port(), "").switch();
    let ours = line.heard();
    assert_eq!((reading.value, reading.requests as usize), (Some(145.1), ours));
    for object in ["3", "6.1.7", "6.1.8", "6.1.9", "6.1.20"] {
        let asked = Command::new("snmpbulkwalk")
            .env("MIBS", "")
            .args(["-v2c", "-cpublic", &format!("127.0.0.1:{}", line.port())])
            .arg(format!("1.3.6.1.4.1.9.9.683.1.{object}"))
            .stdout(Stdio::null())
            .status();
        assert!(asked.unwrap().success());
    }
    let theirs = line.heard() - ours;
    assert!(ours * 5 < theirs, "{ours} and {theirs}");
}

/// com.cisco has a good switch, and below it one domain with a good one and one with a dead one.
fn nested(agent: &Snmpd, silent: &Silent) -> Poll {
    let inherit = "check_domain_name = false\n";
    let good = || switch("good", "127.0.0.1", agent.port());
    Poll::new(
        &(QUICK.to_owned()
            + &(domain("com.cisco") + inherit + "importance = 60\n" + &good())
            + &(domain("com.cisco.hq.f1") + inherit + &good())
            + &(domain("com.cisco.hq.f2") + inherit + &switch("dead", "127.0.0.1", silent.port()))
            + &(domain("com.cisco.hq.f2.lab") + inherit)),
    )
}

fn totals(tree: &TreeReading) -> Vec<(&str, Option<f64>, &str, u32, u32)> {
    let row = |d: &DomainReading| {
        let Total { value, quality, expected, answered } = d.total;
        (value, quality.as_str(), expected, answered)
    };
    tree.domains.iter().map(|d| (d.name.as_str(), row(d))).map(|(n, (v, q, e, a))| (n, v, q, e, a)).collect()
}

#[test]
fn nested_totals_say_what_is_missing() {
    let (agent, silent) = (Snmpd::start("importance"), Silent::new("127.0.0.1"));
    let [tree] = <[TreeReading; 1]>::try_from(nested(&agent, &silent).run()).unwrap();
    let expect = [
        ("com.cisco", Some(60.0), "partial", 3, 2),
        ("com.cisco.hq.f1", Some(30.0), "actual", 1, 1),
        ("com.cisco.hq.f2", None, "missing", 1, 0),
        ("com.cisco.hq.f2.lab", Some(0.0), "unknown", 0, 0),
    ];
    assert_eq!(totals(&tree), expect);
    assert_eq!(tree.entries(tree.start)[0].detail.importance, Some(60));
}

/// §6.1 case 3.
#[test]
fn protocol_in_any_letters() {
    let agent = Snmpd::start("units");
    for key in ["protocol = \"snmp\"", "protocol = \"SNMP\"", "protocol = \"Snmp\"", ""] {
        assert_eq!(one("com.cisco", agent.port(), key).switch().value, Some(2135.4), "{key}");
    }
    let read = |protocol: &str| {
        let config = domain("com.cisco") + &switch("sw", "127.0.0.1", 161);
        toml::from_str::<File>(&format!("{config}protocol = {protocol:?}\n"))
    };
    let file = read("NATIVE").unwrap();
    assert_eq!(check(&file.snmp, &file.native, &file.domain, &Profiles::default()), Ok(()));
    assert!(trees(&file.domain, &file.snmp, &file.native)[0].is_native());
    let unknown = read("bogus").err().unwrap().to_string();
    assert!(unknown.contains("unknown variant `bogus`, expected `snmp` or `native`"), "{unknown}");
}

/// §6.2 case 17: what answered counts, and the total says that it is not all.
#[test]
fn a_failed_switch_leaves_the_others_sum() {
    let (agent, silent) = (Snmpd::start("units"), Silent::new("127.0.0.1"));
    let config = QUICK.to_owned()
        + &domain("com.cisco")
        + &switch("s1", "127.0.0.1", agent.port())
        + &switch("s2", "127.0.0.1", silent.port());
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    assert_eq!(totals(&tree), [("com.cisco", Some(2135.4), "partial", 2, 1)]);
    let failed: Vec<_> = tree.switches().filter(|(_, s)| s.failure.is_some()).map(|(_, s)| &s.name).collect();
    assert_eq!(failed, ["s2"]);
}

/// §6.2 case 18: a domain without switches has the sum of those below it.
#[test]
fn a_domain_has_what_is_below_it() {
    let agent = Snmpd::start("importance");
    let config = domain("com") + &domain("com.cisco") + &switch("s1", "127.0.0.1", agent.port());
    let [tree] = <[TreeReading; 1]>::try_from(Poll::new(&config).run()).unwrap();
    assert_eq!(totals(&tree)[0], ("com", Some(30.0), "actual", 1, 1));
}

#[test]
fn cached_totals_are_used_and_not_logged() {
    let (agent, silent) = (Snmpd::start("importance"), Silent::new("127.0.0.1"));
    let cached = CachedTotal { value: Some(7.5), quality: Quality::Presumed, expected: 1, answered: 1 };
    let poll = nested(&agent, &silent).cached("com.cisco.hq.f2", cached);
    let [tree] = <[TreeReading; 1]>::try_from(poll.run()).unwrap();
    assert_eq!(totals(&tree)[0], ("com.cisco", Some(67.5), "presumed", 3, 3));
    assert_eq!(totals(&tree)[2], ("com.cisco.hq.f2", Some(7.5), "presumed", 1, 1));
    assert_eq!(silent.heard(), 0);
    let samples = tree.samples();
    let points: Vec<_> = samples.iter().map(|s| s.point().as_str()).collect();
    let expect =
        ["com.cisco", "com.cisco.good", "com.cisco.hq.f1", "com.cisco.hq.f1.good", "com.cisco.hq.f2.lab"];
    assert_eq!(points, expect);

    // All that a cached root needs is there; what is below it is asked for itself.
    let root = CachedTotal { value: Some(99.0), quality: Quality::Actual, expected: 3, answered: 3 };
    let [tree] = <[TreeReading; 1]>::try_from(poll.cached("com.cisco", root).run()).unwrap();
    assert_eq!(totals(&tree)[0], ("com.cisco", Some(99.0), "actual", 3, 3));
    assert!(tree.domains[0].cached && tree.domains[0].switches.is_empty());
    assert_eq!(totals(&tree)[1], ("com.cisco.hq.f1", Some(30.0), "actual", 1, 1));
}

#[test]
fn a_secret_is_read_once_and_its_lack_is_a_fault_of_the_configuration() {
    let agent = Snmpd::start("units");
    let secret = "community = { env = \"COMMUNITY\" }\n";
    let config = format!(
        "[snmp]\n{secret}{}{}{}",
        domain("com.cisco"),
        switch("a", "127.0.0.1", agent.port()),
        switch("b", "127.0.0.1", agent.port())
    );
    let asked = Cell::new(0);
    let trees = Poll::new(&config).run_with(&|_| {
        asked.set(asked.get() + 1);
        Ok(Secret::new("public"))
    });
    assert_eq!((asked.get(), trees[0].domains[0].total.value), (1, Some(4270.8)));

    let trees = Poll::new(&config).run_with(&|_| Err("COMMUNITY is not set".into()));
    let total = trees[0].domains[0].total;
    assert_eq!((total.value, total.expected, total.answered), (None, 2, 0));
    let (_, switch) = trees[0].switches().next().unwrap();
    let failure = switch.failure.as_ref().unwrap();
    assert_eq!((failure.exit, switch.requests), (Exit::Config, 0));
    assert!(failure.reason.ends_with("its community cannot be read: COMMUNITY is not set"), "{failure:?}");
}

#[test]
fn a_short_pass_phrase_from_elsewhere_is_no_pass_phrase() {
    let config = format!(
        "{}{}version = \"3\"\nuser = \"u\"\nauth = \"sha\"\nauth_password = {{ env = \"PHRASE\" }}\n",
        domain("com.cisco"),
        switch("a", "127.0.0.1", 161)
    );
    let trees = Poll::new(&config).run_with(&|_| Ok(Secret::new("seven77")));
    let (_, switch) = trees[0].switches().next().unwrap();
    let failure = switch.failure.as_ref().unwrap();
    assert_eq!((failure.exit, switch.requests), (Exit::Config, 0));
    let expect = "its auth_password cannot be read: it is shorter than 8 characters";
    assert!(failure.reason.ends_with(expect) && !format!("{failure:?}").contains("seven77"), "{failure:?}");
}

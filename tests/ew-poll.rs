//! `ew-poll`: the same agent data from the simulator and from net-snmp's snmpd gives the same samples.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;
#[path = "support/snmpd.rs"]
mod snmpd;

use ew::Site;
use sim::Sim;
use snmpd::{Relay, Silent, Snmpd};
use std::path::{Path, PathBuf};
use std::process::Command;

const EW_POLL: &str = env!("CARGO_BIN_EXE_ew-poll");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/energywise").join(name)
}

fn simulate(arguments: &[&str]) -> Sim {
    Sim::start(&ew::sibling(EW_POLL, "ew-sim"), arguments)
}

/// `[[domain]]` with switches on ports of 127.0.0.1.
fn domain(name: &str, extra: &str, switches: &[(&str, u16)]) -> String {
    let mut text = format!("[[domain]]\nname = \"{name}\"\n{extra}\n");
    for (switch, port) in switches {
        text += &format!(
            "  [[domain.switch]]\n  name = \"{switch}\"\n  address = \"127.0.0.1\"\n  port = {port}\n"
        );
    }
    text
}

fn log(site: &Site) -> String {
    let ended = site.run(ew::sibling(EW_POLL, "ew-log").to_str().unwrap(), "slice --from first --to last");
    ended.exit(0).stdout
}

/// What the fixture's 11 entities give, whoever serves them.
fn gives_the_fixture(port: u16) {
    let mut site = Site::new(&domain("com.cisco.bldg19", "entities = true", &[("sw1", port)]));
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "--json").exit(0).stderr("");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let domain = &report["domains"][0];
    assert_eq!(domain["value"], 145.1, "{report:#}");
    assert_eq!((&domain["expected"], &domain["answered"]), (&1.into(), &1.into()));
    assert!(domain["switches"][0]["requests"].as_u64().unwrap() <= 2, "{report:#}");

    let log = log(&site);
    let lines: Vec<&str> = log.lines().collect();
    assert_eq!(lines.len(), 14, "{log}");
    assert_eq!(lines[1], "2026-03-01T00:00:00Z,com.cisco.bldg19,145.1,W,presumed");
    assert_eq!(lines[2], "2026-03-01T00:00:00Z,com.cisco.bldg19.sw1,145.1,W,presumed");
    assert_eq!(lines[3], "2026-03-01T00:00:00Z,com.cisco.bldg19.sw1.sw0001,76,W,presumed");
    assert_eq!(lines[4], "2026-03-01T00:00:00Z,com.cisco.bldg19.sw1.sw0001-p01,6.4,W,actual");
}

#[test]
fn the_simulator_gives_the_fixture() {
    let sim = simulate(&["--data", fixture("switch.snmprec").to_str().unwrap()]);
    gives_the_fixture(sim.ports[0]);
}

#[test]
fn net_snmp_gives_the_fixture() {
    let agent = Snmpd::start("switch");
    gives_the_fixture(agent.port());
}

#[test]
fn missing_is_never_zero_and_totals_nest() {
    let sim = simulate(&["--switches", "2", "--domain", "com.a"]);
    let below = simulate(&["--switches", "2", "--domain", "com.a.b", "--fault", "silent=sw0002"]);
    let fast = "[snmp]\ntimeout = \"200ms\"\nretries = 0\n";
    let config = fast.to_owned()
        + &domain("com.a", "", &[("sw1", sim.ports[0]), ("sw2", sim.ports[1])])
        + &domain("com.a.b", "", &[("sw1", below.ports[0]), ("sw2", below.ports[1])])
        + &domain("com.empty", "", &[]);
    let mut site = Site::new(&config);
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "").exit(1);
    assert!(ended.stderr.starts_with("ew-poll: com.a.b: sw2: no answer from 127.0.0.1:"), "{}", ended.stderr);
    let log = log(&site);
    let value = |point: &str| {
        let line = log.lines().find(|line| line.split(',').nth(1) == Some(point)).unwrap();
        let (value, rest) = line.split_once(&format!("{point},")).unwrap().1.split_once(',').unwrap();
        (value.parse::<f64>().ok(), rest.to_owned())
    };
    let sum =
        ["com.a.sw1", "com.a.sw2", "com.a.b.sw1"].map(|point| value(point).0.unwrap()).iter().sum::<f64>();
    assert_eq!(value("com.a.b.sw2"), (None, "W,missing".into()));
    assert_eq!(value("com.a.b").1, "W,partial");
    assert!((value("com.a").0.unwrap() - sum).abs() < 1e-9, "{log}");
    assert_eq!(value("com.a").1, "W,partial");
    assert_eq!(value("com.empty"), (Some(0.0), "W,unknown".into()));
}

#[test]
fn one_silent_switch_of_many_costs_only_its_own_deadline() {
    let sim = simulate(&["--switches", "40", "--domain", "com.a", "--fault", "silent=sw0007"]);
    let named: Vec<(String, u16)> =
        sim.ports.iter().enumerate().map(|(i, port)| (format!("sw{i}"), *port)).collect();
    let switches: Vec<(&str, u16)> = named.iter().map(|(name, port)| (name.as_str(), *port)).collect();
    let config = format!(
        "[snmp]\ntimeout = \"300ms\"\nretries = 20\ndeadline = \"1s\"\n{}",
        domain("com.a", "", &switches)
    );
    // At most ten retries may be asked for; the deadline ends them.
    Site::new(&config).run(EW_POLL, "").exit(78);
    let site = Site::new(&config.replace("retries = 20", "retries = 10"));
    let ended = site.run(EW_POLL, "--json").exit(1);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["domains"][0]["expected"], 40);
    assert_eq!(report["domains"][0]["answered"], 39);
}

/// A fifth of all datagrams is lost. Some of these switches lose the first three, which is all that `retries`
/// asks for; that the net loses them is seen elsewhere by then.
#[test]
fn on_a_lossy_net_none_is_missed_but_the_dead() {
    let mut arguments: Vec<String> =
        ["--switches", "60", "--domain", "com.a", "--seed", "1"].map(str::to_owned).into();
    for fault in ["lossy=all:20", "slow=all:20ms", "silent=sw0007", "silent=sw0008", "silent=sw0060"] {
        arguments.extend(["--fault".to_owned(), fault.to_owned()]);
    }
    let sim = simulate(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let named: Vec<(String, u16)> =
        (1..).map(|n| format!("sw{n:04}")).zip(sim.ports.iter().copied()).collect();
    let switches: Vec<(&str, u16)> = named.iter().map(|(name, port)| (name.as_str(), *port)).collect();
    let site = Site::new(&format!("[snmp]\ntimeout = \"400ms\"\n{}", domain("com.a", "", &switches)));
    let ended = site.run(EW_POLL, "--json").exit(1);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let switches = report["domains"][0]["switches"].as_array().unwrap();
    let missed = switches.iter().filter(|switch| switch["value"].is_null());
    let names: Vec<_> = missed.map(|switch| switch["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["sw0007", "sw0008", "sw0060"], "{report:#}");
}

#[test]
fn a_fresh_whole_reading_is_cached_until_it_is_exactly_ttl_old() {
    let sim = simulate(&["--domain", "com.a", "--drift"]);
    let mut site = Site::new(&domain("com.a", "ttl = \"30s\"", &[("sw1", sim.ports[0])]));
    let cached = |site: &Site, arguments: &str| {
        let ended = site.run(EW_POLL, &format!("--json {arguments}")).exit(0);
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        report["domains"][0]["cached"].as_bool()
    };
    for (now, arguments, expect) in [
        ("2026-03-01T00:00:00Z", "", Some(false)),
        ("2026-03-01T00:00:29.9Z", "", Some(true)),
        // Of another importance.
        ("2026-03-01T00:00:29.9Z", "--importance 5 --dry-run", Some(false)),
        ("2026-03-01T00:00:29.95Z", "--skip-cache --dry-run", Some(false)),
        // Nothing is due, so nothing is said.
        ("2026-03-01T00:00:29.95Z", "--due", None),
        ("2026-03-01T00:00:30Z", "", Some(false)),
        // The last reading is from the future now.
        ("2026-02-28T23:50:00Z", "", Some(false)),
    ] {
        site.now(now);
        assert_eq!(cached(&site, arguments), expect, "{now} {arguments}");
    }
    assert_eq!(log(&site).lines().count(), 1 + 2 * 3);
}

/// `ew-poll --json` at a time; everything answers.
fn poll_at(site: &mut Site, now: &str, arguments: &str) -> serde_json::Value {
    site.now(&format!("2026-03-01T{now}Z"));
    let ended = site.run(EW_POLL, &format!("--json {arguments}")).exit(0);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// (value, whether it is an earlier one) of the domain listed at a place.
fn at(report: &serde_json::Value, place: usize) -> (f64, bool) {
    let domain = &report["domains"][place];
    (domain["value"].as_f64().unwrap(), domain["cached"].as_bool().unwrap())
}

/// §6.1 case 7, §6.2 cases 19, 23 and 24, §6.3 case 30: the ttl is 30 s where none is given, a reading aged
/// exactly ttl is stale, within ttl the switch hears nothing, and --skip-cache asks it all the same.
#[test]
fn within_ttl_the_switch_is_not_asked() {
    let (agent, later) = (Snmpd::start("importance"), Snmpd::start("importance-tenfold"));
    let line = Relay::start(&agent, 0, 1);
    let mut site = Site::new(&domain("com.cisco", "", &[("s1", line.port())]));
    assert_eq!(at(&poll_at(&mut site, "00:00:00", ""), 0), (30.0, false));
    let once = line.heard();
    assert_eq!(once, 1);
    line.lead_to(&later);
    for now in ["00:00:00.1", "00:00:29.9", "00:00:29.999999"] {
        assert_eq!(at(&poll_at(&mut site, now, ""), 0), (30.0, true), "{now}");
    }
    assert_eq!(line.heard(), once);
    assert_eq!(at(&poll_at(&mut site, "00:00:30", ""), 0), (300.0, false));
    assert_eq!(line.heard(), 2 * once);

    line.lead_to(&agent);
    assert_eq!(at(&poll_at(&mut site, "00:00:31", "--skip-cache"), 0), (30.0, false));
    assert_eq!(line.heard(), 3 * once);
    assert_eq!(at(&poll_at(&mut site, "00:01:00.9", ""), 0), (30.0, true));
    assert_eq!(log(&site).matches(",com.cisco,").count(), 3);
}

/// §6.2 cases 20 and 21: a reading of one importance is none of another, and one importance goes for all
/// sub-domains.
#[test]
fn a_reading_of_another_importance_is_not_used() {
    let agent = Snmpd::start("importance");
    let line = Relay::start(&agent, 0, 1);
    let below = domain("com.cisco.hq", "check_domain_name = false", &[("s1", line.port())]);
    let mut site = Site::new(&(domain("com.cisco", "", &[("s1", line.port())]) + &below));
    let both = |report: serde_json::Value| (at(&report, 0), at(&report, 1));
    assert_eq!(both(poll_at(&mut site, "00:00:00", "")), ((60.0, false), (30.0, false)));
    let once = line.heard();
    assert_eq!(both(poll_at(&mut site, "00:00:01", "--importance 5")), ((20.0, false), (10.0, false)));
    assert_eq!(line.heard(), 2 * once);
    assert_eq!(both(poll_at(&mut site, "00:00:02", "--importance 5")), ((20.0, true), (10.0, true)));
    assert_eq!(line.heard(), 2 * once);
    let fresh = poll_at(&mut site, "00:00:03", "--importance 5 --skip-cache");
    assert_eq!(both(fresh), ((20.0, false), (10.0, false)));
    assert_eq!(line.heard(), 3 * once);
    assert_eq!(both(poll_at(&mut site, "00:00:04", "")), ((60.0, false), (30.0, false)));
}

/// §6.2 cases 17 and 27: a failed read is told, and the next poll asks again, ttl or not.
#[test]
fn a_failed_read_is_not_cached() {
    let (good, agent) = (Snmpd::start("units"), Snmpd::start("units"));
    let line = Relay::start(&agent, 1, 1);
    let switches = [("s1", good.port()), ("s2", line.port())];
    let config = "[snmp]\ntimeout = \"1s\"\nretries = 0\n".to_owned() + &domain("com.cisco", "", &switches);
    let mut site = Site::new(&config);
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "").exit(1);
    let told: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("ew-poll: ")).collect();
    assert_eq!(told.len(), 1, "{}", ended.stderr);
    assert!(told[0].starts_with("ew-poll: com.cisco: s2: no answer from "), "{told:?}");
    assert!(ended.stdout.contains("2135.4"), "{}", ended.stdout);
    assert_eq!(at(&poll_at(&mut site, "00:00:05", ""), 0), (4270.8, false));

    let log = log(&site);
    let lines: Vec<&str> = log.lines().filter(|line| !line.contains(",com.cisco.s1,")).skip(1).collect();
    let expect = [
        "2026-03-01T00:00:00Z,com.cisco,2135.4,W,partial",
        "2026-03-01T00:00:00Z,com.cisco.s2,,W,missing",
        "2026-03-01T00:00:05Z,com.cisco,4270.8,W,actual",
        "2026-03-01T00:00:05Z,com.cisco.s2,2135.4,W,actual",
    ];
    assert_eq!(lines, expect, "{log}");
}

/// §6.3 case 31: a reading with a row left out is partial, and no reason not to ask again.
#[test]
fn a_partial_reading_is_not_cached() {
    let (poor, whole) = (Snmpd::start("units-missing"), Snmpd::start("units"));
    let line = Relay::start(&poor, 0, 1);
    let mut site = Site::new(&domain("com.cisco", "", &[("s1", line.port())]));
    site.now("2026-03-01T00:00:00Z");
    let ended = site.run(EW_POLL, "").exit(0);
    assert!(ended.stderr.contains("com.cisco: s1: entity 7 has no units"), "{}", ended.stderr);
    assert!(log(&site).contains(",com.cisco,135.4,W,partial"));
    line.lead_to(&whole);
    assert_eq!(at(&poll_at(&mut site, "00:00:05", ""), 0), (2135.4, false));
}

/// §6.3 case 36: a port that the switch has since it started anew is asked for without any more ado.
#[test]
fn a_new_port_after_a_restart_of_the_switch() {
    let before = Snmpd::start("units");
    let line = Relay::start(&before, 0, 1);
    let mut site = Site::new(&domain("com.cisco", "entities = true", &[("s1", line.port())]));
    assert_eq!(at(&poll_at(&mut site, "00:00:00", ""), 0), (2135.4, false));
    drop(before);
    let grown = Snmpd::start("units-grown");
    line.lead_to(&grown);
    assert_eq!(at(&poll_at(&mut site, "00:01:00", ""), 0), (2140.4, false));
    let log = log(&site);
    let of_port: Vec<&str> = log.lines().filter(|line| line.contains(".port2,")).collect();
    assert_eq!(of_port, ["2026-03-01T00:01:00Z,com.cisco.s1.port2,5,W,actual"], "{log}");
}

/// §6.3 case 41, and §6.1 case 1: a switch is named within its domain.
#[test]
fn one_switch_name_in_two_domains() {
    let (above, below) = (Snmpd::start("units"), Snmpd::start("switch"));
    let config = domain("com.cisco", "", &[("s1", above.port())])
        + &domain("com.cisco.bldg19", "", &[("s1", below.port())]);
    let mut site = Site::new(&config);
    let report = poll_at(&mut site, "00:00:00", "");
    assert_eq!((at(&report, 0), at(&report, 1)), ((2280.5, false), (145.1, false)));
    let log = log(&site);
    for row in [",com.cisco.s1,2135.4,W,actual", ",com.cisco.bldg19.s1,145.1,W,presumed"] {
        assert_eq!(log.matches(row).count(), 1, "{row}\n{log}");
    }
}

#[test]
fn wrong_domain_no_answer_and_unknown_names() {
    let sim = simulate(&["--domain", "com.other"]);
    let site = Site::new(&domain("com.a", "", &[("sw1", sim.ports[0])]));
    let ended = site.run(EW_POLL, "").exit(76);
    assert!(ended.stderr.contains("com.other") && ended.stderr.contains("com.a"), "{}", ended.stderr);

    let silent = Silent::new("127.0.0.1");
    let fast = "[snmp]\ntimeout = \"200ms\"\nretries = 1\n";
    let site = Site::new(&(fast.to_owned() + &domain("com.a", "", &[("sw1", silent.port())])));
    site.run(EW_POLL, "").exit(69);
    let log = log(&site);
    assert!(log.contains(",com.a,,W,missing") && log.contains(",com.a.sw1,,W,missing"), "{log}");

    let ended = site.run(EW_POLL, "com.b").exit(2);
    assert_eq!(ended.stderr, "ew-poll: there is no domain or bus \"com.b\"\n  hint: ew.toml has: com.a\n");
}

#[test]
fn a_second_poll_of_the_same_domain_finds_it_busy() {
    let sim = simulate(&["--domain", "com.a", "--fault", "slow=sw0001:1500ms"]);
    let site = Site::new(
        &("[snmp]\ntimeout = \"5s\"\n".to_owned() + &domain("com.a", "", &[("sw1", sim.ports[0])])),
    );
    let mut first = site.spawn(EW_POLL, "");
    let lock = site.file("ew.db.spool/locks/poll-com.a.lock");
    while !std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("polling com.a")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = site.run(EW_POLL, "").exit(75);
    let expect =
        format!("ew-poll: com.a: Last poll still active, skipping current request (pid {}, for ", first.id());
    assert!(ended.stderr.starts_with(&expect), "{}", ended.stderr);
    site.run(EW_POLL, "--due").exit(0).stderr("");
    assert!(first.wait().unwrap().success());
    site.run(EW_POLL, "--wait 5s").exit(0);
}

/// A cached domain did nothing: a run that could do nothing else for another one's lock is as busy as without it.
#[test]
fn a_cached_domain_beside_a_busy_one() {
    let (sim, slow) =
        (simulate(&["--domain", "com.a"]), simulate(&["--domain", "com.b", "--fault", "slow=sw0001:1500ms"]));
    let mut site = Site::new(
        &("[snmp]\ntimeout = \"5s\"\n".to_owned()
            + &domain("com.a", "ttl = \"1h\"", &[("sw1", sim.ports[0])])
            + &domain("com.b", "", &[("sw1", slow.ports[0])])),
    );
    site.now("2026-03-01T00:00:00Z");
    site.run(EW_POLL, "com.a").exit(0);
    let mut first = site.spawn(EW_POLL, "com.b");
    let lock = site.file("ew.db.spool/locks/poll-com.b.lock");
    while !std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("polling com.b")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = site.run(EW_POLL, "").exit(75);
    assert!(ended.stdout.contains("cached"), "{}", ended.stdout);
    assert!(first.wait().unwrap().success());
}

#[test]
fn a_tree_and_a_domain_in_it_are_not_polled_at_once() {
    let sim = simulate(&["--domain", "com.a.b", "--fault", "slow=sw0001:1500ms"]);
    let config = "[snmp]\ntimeout = \"5s\"\n".to_owned()
        + &domain("com.a", "", &[])
        + &domain("com.a.b", "", &[("sw1", sim.ports[0])]);
    let site = Site::new(&config);
    let mut first = site.spawn(EW_POLL, "");
    let lock = site.file("ew.db.spool/locks/poll-com.a.b.lock");
    while !std::fs::read_to_string(&lock).is_ok_and(|text| text.contains("polling com.a")) {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let ended = site.run(EW_POLL, "com.a.b --json").exit(75);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["errors"][0]["domain"], "com.a.b");
    assert!(first.wait().unwrap().success());
}

/// What is not in the log did not succeed, whatever answered.
#[test]
fn a_log_that_takes_no_rows_is_74() {
    let sim = simulate(&["--domain", "com.a"]);
    let site = Site::new(&domain("com.a", "", &[("sw1", sim.ports[0])]));
    site.run(EW_POLL, "").exit(0);
    let refuse = "create trigger t before insert on sample begin select raise(abort, 'no room'); end";
    let status = Command::new("sqlite3").arg(site.file("ew.db")).arg(refuse).status().unwrap();
    assert!(status.success());
    let ended = site.run(EW_POLL, "--skip-cache --json").exit(74);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert!(report["errors"][0]["error"].as_str().unwrap().contains("no room"), "{report:#}");
}

/// A domain that only adds up what is below it did not succeed where nothing below it did.
#[test]
fn all_switches_failed_is_their_code_whatever_stands_above_them() {
    let silent = Silent::new("127.0.0.1");
    let fast = "[snmp]\ntimeout = \"200ms\"\nretries = 0\n";
    let config =
        fast.to_owned() + &domain("com.a", "", &[]) + &domain("com.a.b", "", &[("sw1", silent.port())]);
    Site::new(&config).run(EW_POLL, "").exit(69);
}

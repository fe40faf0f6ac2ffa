//! Profiles against agents whose files were written by hand from the MIBs, and `auto`.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;
#[path = "support/snmpd.rs"]
mod snmpd;

use ew::Site;
use sim::Sim;
use snmpd::Snmpd;
use std::net::UdpSocket;
use std::path::{Path, PathBuf};

const EW_POLL: &str = env!("CARGO_BIN_EXE_ew-poll");

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles").join(name).with_extension("snmprec")
}

fn program(name: &str) -> String {
    ew::sibling(EW_POLL, name).to_str().unwrap().to_owned()
}

/// Serves a fixture on a port, where it is given.
fn serve(name: &str, port: u16) -> Sim {
    let (listen, data) = (format!("127.0.0.1:{port}"), fixture(name));
    Sim::start(&ew::sibling(EW_POLL, "ew-sim"), &["--listen", &listen, "--data", data.to_str().unwrap()])
}

fn free_port() -> u16 {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A site with the switch `s` in the domain `d`, its entities logged.
fn site(port: u16, profile: &str, more: &str) -> Site {
    let mut site = Site::new(&format!(
        "{more}\n[snmp]\ntimeout = \"500ms\"\nretries = 1\n[[domain]]\nname = \"d\"\nttl = \"0s\"\nentities = true\n\
         [[domain.switch]]\nname = \"s\"\naddress = \"127.0.0.1\"\nport = {port}\nprofile = \"{profile}\"\n"
    ));
    site.now("2026-03-01T00:00:00Z");
    site
}

/// The rows of the log at a time, sorted, without it and without the domain's own; `d.s` is written `s`.
fn rows(site: &Site, time: &str) -> Vec<String> {
    let slice = site.run(&program("ew-log"), "slice --from first --to last").exit(0).stdout;
    let prefix = format!("{time},d.");
    let mut rows: Vec<String> =
        slice.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
    rows.sort_unstable();
    rows
}

/// One poll of a fixture: rows as above, and stderr.
fn poll(name: &str, profile: &str) -> (Vec<String>, String) {
    let sim = serve(name, 0);
    let site = site(sim.ports[0], profile, "");
    let ended = site.run(EW_POLL, "").exit(0);
    (rows(&site, "2026-03-01T00:00:00Z"), ended.stderr)
}

/// Every profile, by its own name and found by `auto`: §6.7 cases 74 and 76 to 81.
#[test]
fn each_profile_on_an_agent_of_its_own() {
    let ports = ["s,6.9,W,actual", "s.#1_1,4.1,W,actual", "s.#1_2,2.3,W,actual", "s.#2_1,0.5,W,actual"];
    let sensors = ["s,128.9,W,partial", "s.PSU-A,123.4,W,actual", "s.PSU-B,5.5,W,actual"];
    let cases: &[(&str, &str, &[&str])] = &[
        (
            "eman",
            "eman",
            &[
                "s,173.4,W,partial",
                "s.chassis,123.4,W,actual",
                "s.solar,-500,W,actual",
                "s.fan,50,W,presumed",
            ],
        ),
        ("apc-rpdu2", "apc-rpdu2", &["s,1530,W,actual", "s.energy,1234500,Wh,actual"]),
        ("apc-rpdu", "apc-rpdu", &["s,2310,W,actual"]),
        (
            "sentry3",
            "sentry3",
            &[
                "s,410,W,actual",
                "s.db_1,250,W,actual",
                "s.energy,105000,Wh,actual",
                "s.db_1.energy,105,Wh,actual",
            ],
        ),
        (
            "sentry3-infeeds",
            "sentry3",
            &[
                "s,400,W,actual",
                "s.db_1,250,W,actual",
                "s.energy,10500,Wh,actual",
                "s.db_1.energy,105,Wh,actual",
            ],
        ),
        (
            "sentry3-outlets",
            "sentry3",
            &[
                "s,250,W,partial",
                "s.db_1,250,W,actual",
                "s.energy,105,Wh,partial",
                "s.db_1.energy,105,Wh,actual",
            ],
        ),
        (
            "raritan-pdu2",
            "raritan-pdu2",
            &[
                "s,120.5,W,actual",
                "s.1,70,W,actual",
                "s.web,50,W,actual",
                "s.energy,98765,Wh,actual",
                "s.1.energy,555,Wh,actual",
            ],
        ),
        (
            "eaton",
            "eaton",
            &["s,905,W,actual", "s.#1,300,W,actual", "s.#2,310,W,actual", "s.#3,290,W,actual"],
        ),
        (
            "eaton-phases",
            "eaton",
            &["s,900,W,actual", "s.#1,300,W,actual", "s.#2,310,W,actual", "s.#3,290,W,actual"],
        ),
        ("apc-ups", "apc-ups", &["s,842,W,actual", "s.energy,43210,Wh,actual"]),
        ("ups", "ups", &["s,1205,W,actual", "s.#1,400,W,actual", "s.#2,410,W,actual", "s.#3,395,W,actual"]),
        ("aruba-cx-psu", "aruba-cx-psu", &["s,179,W,actual", "s.#1_1,88,W,actual", "s.#1_2,91,W,actual"]),
        ("entity-sensor", "entity-sensor", &sensors),
        ("cisco-entity-sensor", "cisco-entity-sensor", &sensors),
        (
            "cisco-poe",
            "cisco-poe",
            &["s,21.7,W,actual", "s.Gi1/0/1,6.3,W,actual", "s.Gi1/0/2,0,W,actual", "s.#1_3,15.4,W,actual"],
        ),
        ("cisco-sb-poe", "cisco-sb-poe", &ports),
        ("hp-poe", "hp-poe", &ports),
        ("aruba-cx-poe", "aruba-cx-poe", &ports),
        ("extreme-poe", "extreme-poe", &ports),
        ("h3c-poe", "h3c-poe", &ports),
        ("icx-poe", "icx-poe", &ports),
        ("netgear-poe", "netgear-poe", &ports),
        ("cumulus-poe", "cumulus-poe", &ports),
        (
            "huawei-poe",
            "huawei-poe",
            &["s,6.9,W,actual", "s.GigabitEthernet0/0/1,4.1,W,actual", "s.#6,2.8,W,actual"],
        ),
        ("poe", "poe", &["s,100,W,actual", "s.#1,87,W,actual", "s.#2,13,W,actual"]),
    ];
    for (file, profile, expect) in cases {
        let mut expect: Vec<&str> = expect.to_vec();
        expect.sort_unstable();
        for by in [profile, "auto"] {
            let (rows, stderr) = poll(file, by);
            assert_eq!(rows, expect, "{file} by {by}\n{stderr}");
        }
    }
}

/// The simulator and net-snmp's agent answer alike, also to one that asks which profiles they have.
#[test]
fn net_snmp_gives_the_same() {
    for name in ["apc-rpdu2", "apc-ups", "ups", "entity-sensor", "cisco-poe"] {
        let agent = Snmpd::start(&format!("profiles/{name}"));
        let site = site(agent.port(), "auto", "");
        let stderr = site.run(EW_POLL, "").exit(0).stderr;
        let (expect, _) = poll(name, name);
        assert_eq!(rows(&site, "2026-03-01T00:00:00Z"), expect, "{name}\n{stderr}");
    }
}

const LATER: [&str; 4] =
    ["2026-03-01T00:01:00Z", "2026-03-01T00:02:00Z", "2026-03-01T00:03:00Z", "2026-03-01T00:04:00Z"];

/// Polls of one switch that has, one after the other, the data of some fixtures; rows and stderr of each.
fn polls(site: &mut Site, port: u16, fixtures: &[&str], exit: i32) -> Vec<(Vec<String>, String)> {
    let mut polls = Vec::new();
    for (fixture, now) in fixtures.iter().zip(LATER) {
        let _sim = serve(fixture, port);
        site.now(now);
        let stderr = site.run(EW_POLL, "").exit(exit).stderr;
        polls.push((rows(site, now), stderr));
    }
    polls
}

/// §6.7 case 75: intervals become a running total, each counted once.
#[test]
fn eman_intervals_are_counted_once() {
    let port = free_port();
    let mut site = site(port, "eman", "");
    let files = ["eman-interval-1", "eman-interval-1", "eman-interval-2", "eman-interval-anew"];
    let polls = polls(&mut site, port, &files, 0);
    let energy: Vec<_> = polls.iter().map(|(rows, _)| rows[2..].to_vec()).collect();
    let both = |wh: &str| [format!("s.chassis.energy,{wh}"), format!("s.energy,{wh}")];
    assert_eq!(energy[0], both("12,Wh,actual"));
    assert_eq!(energy[1], both("12,Wh,actual"));
    assert_eq!(energy[2], both("23,Wh,actual"));
    // Up times began anew: 4 Wh are new, and what was before may not be all.
    assert_eq!(energy[3], both("27,Wh,suspect"));
    assert!(polls[3].1.contains("d.s.energy: 1.3.6.1.2.1.229.1.5.1.2.1 began anew"), "{}", polls[3].1);
}

/// The running total goes on after a poll that could not read the object.
#[test]
fn eman_intervals_go_on_after_a_poll_without_them() {
    let text = |name: &str| {
        let module =
            "1.3.6.1.2.1.229.1.2.1.1.8|2|48\n1.3.6.1.2.1.229.1.2.1.3.8|2|0\n1.3.6.1.2.1.229.1.2.1.5.8|2|3\n";
        std::fs::read_to_string(fixture(name)).unwrap() + module
    };
    let unusable = text("eman-interval-1").replace(".5.1.1000|2|0", ".5.1.1000|2|99");
    let without_power: Vec<String> = text("eman-interval-1")
        .lines()
        .filter(|line| !line.contains("229.1.2.1.1.7|"))
        .map(str::to_owned)
        .collect();
    for between in [unusable, without_power.join("\n") + "\n"] {
        let port = free_port();
        let mut site = site(port, "eman", "");
        let own = |rows: Vec<String>| rows.into_iter().find(|row| row.starts_with("s.energy"));
        assert_eq!(
            own(energy_at(&mut site, 0, &text("eman-interval-1"), port)).unwrap(),
            "s.energy,12,Wh,actual"
        );
        assert_eq!(own(energy_at(&mut site, 1, &between, port)), None, "{between}");
        assert_eq!(
            own(energy_at(&mut site, 2, &text("eman-interval-2"), port)).unwrap(),
            "s.energy,23,Wh,actual"
        );
    }
}

#[test]
fn eman_intervals_that_no_poll_saw_are_told() {
    let port = free_port();
    let mut site = site(port, "eman", "");
    let only_last = serve("eman-interval-1", port);
    site.run(EW_POLL, "").exit(0);
    drop(only_last);
    // The device keeps one interval; the one in between is lost.
    let text = std::fs::read_to_string(fixture("eman-interval-3")).unwrap();
    let kept: Vec<&str> =
        text.lines().filter(|line| !line.contains(".1.1000|") && !line.contains(".1.91000|")).collect();
    site.write("kept.snmprec", &(kept.join("\n") + "\n"));
    let (listen, data) = (format!("127.0.0.1:{port}"), site.file("kept.snmprec"));
    let _sim =
        Sim::start(&ew::sibling(EW_POLL, "ew-sim"), &["--listen", &listen, "--data", data.to_str().unwrap()]);
    site.now(LATER[0]);
    site.run(EW_POLL, "").exit(0);
    assert_eq!(rows(&site, LATER[0])[3], "s.energy,17,Wh,partial");
}

/// §6.7 case 78: no data is null, never −10 W; a counter that goes back is suspect, never negative.
#[test]
fn apc_sentinel_and_reset() {
    let port = free_port();
    let mut site = site(port, "apc-rpdu2", "");
    let mut seen = polls(&mut site, port, &["apc-rpdu2", "apc-rpdu2-reset", "apc-rpdu2"], 0);
    let (_, quiet) = seen.remove(2);
    assert_eq!(quiet, "");
    assert_eq!(seen[0].0, ["s,1530,W,actual", "s.energy,1234500,Wh,actual"]);
    assert_eq!(seen[1].0, ["s,1530,W,actual", "s.energy,300,Wh,suspect"]);
    let reset =
        "ew-poll: warning: d.s.energy: 1.3.6.1.4.1.318.1.1.26.4.3.1.9.1 was reset: from 1234500 to 300 Wh\n";
    assert_eq!(seen[1].1, reset);
    let reason = std::process::Command::new("sqlite3")
        .arg(site.file("ew.db"))
        .arg("select reason from poll_detail d join point p on p.id = d.point where p.name = 'd.s.energy'")
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&reason.stdout).contains("was reset"));

    let _sim = serve("apc-rpdu2-unsupported", port);
    site.now(LATER[3]);
    let ended = site.run(EW_POLL, "").exit(76);
    let said = "none of the 1 rows of the profile apc-rpdu2 has data at 127.0.0.1:";
    assert!(
        ended.stderr.contains(said)
            && ended.stderr.contains("1.3.6.1.4.1.318.1.1.26.4.3.1.5.1 is -1, below zero")
    );
    assert_eq!(rows(&site, LATER[3]), ["s,,W,missing"]);
}

/// A profile of one's own, in ew.toml: names of another table, sentinels, a state, decimals, a counter that wraps.
const METER: &str = r#"
[[profile]]
name = "my-pdu"
probe = "1.3.6.1.4.1.32473.1"
  [[profile.power]]
  value = "1.3.6.1.4.1.32473.1.1.2"
  scale = 0.1
  no_data = [65535]
  valid = { oid = "1.3.6.1.4.1.32473.1.1.3", is = [1, 2] }
  caliber = "1.3.6.1.4.1.32473.1.1.4"
  calibers = { 0 = "missing", 1 = "presumed" }
  name = "1.3.6.1.4.1.32473.1.1.1"
  entities = true
  [[profile.energy]]
  value = "1.3.6.1.4.1.32473.1.1.5"
  wraps_at = 65536
  entities = true
"#;

fn meter(energy: [&str; 2]) -> String {
    let c = "1.3.6.1.4.1.32473.1.1";
    format!(
        "1.3.6.1.2.1.1.5.0|4|pdu\n{c}.1.1|4|one\n{c}.1.2|4|two\n{c}.1.3|4|three\n{c}.1.4|4|four\n{c}.2.1|66|105\n{c}.2.2|4|12.5\n\
         {c}.2.3|66|65535\n{c}.2.4|66|7\n{c}.3.1|2|1\n{c}.3.2|2|2\n{c}.3.3|2|1\n{c}.3.4|2|5\n{c}.4.1|2|1\n\
         {c}.4.2|2|9\n{c}.4.3|2|1\n{c}.4.4|2|1\n{c}.5.1|65|{}\n{c}.5.2|65|{}\n",
        energy[0], energy[1]
    )
}

fn serve_text(site: &Site, text: &str, port: u16) -> Sim {
    site.write("data.snmprec", text);
    let (listen, data) = (format!("127.0.0.1:{port}"), site.file("data.snmprec"));
    Sim::start(&ew::sibling(EW_POLL, "ew-sim"), &["--listen", &listen, "--data", data.to_str().unwrap()])
}

#[test]
fn a_profile_of_ones_own_in_the_configuration_or_in_a_file() {
    for (profile, in_file) in [("my-pdu", false), ("auto", true)] {
        let port = free_port();
        let mut site = match in_file {
            true => site(port, profile, "profile_files = [\"pdu.toml\"]\n"),
            false => site(port, profile, METER),
        };
        site.write("pdu.toml", METER);
        let first = serve_text(&site, &meter(["65000", "100"]), port);
        let stderr = site.run(EW_POLL, "").exit(0).stderr;
        let expect = [
            "s,11.75,W,partial",
            "s.one,10.5,W,presumed",
            "s.two,1.25,W,unknown",
            "s.energy,65100,Wh,actual",
            "s.one.energy,65000,Wh,actual",
            "s.two.energy,100,Wh,actual",
        ];
        let found = rows(&site, "2026-03-01T00:00:00Z");
        let mut expect = expect.to_vec();
        expect.sort_unstable();
        assert_eq!(found, expect, "{stderr}");
        let skipped = "1.3.6.1.4.1.32473.1.1.2.3 is 65535, which means no data; \
                       1.3.6.1.4.1.32473.1.1.2.4 is not valid: its state is 5";
        assert!(stderr.contains(skipped), "{stderr}");
        drop(first);

        let second = serve_text(&site, &meter(["200", "110"]), port);
        site.now(LATER[0]);
        let stderr = site.run(EW_POLL, "").exit(0).stderr;
        let found = rows(&site, LATER[0]);
        assert!(found.contains(&"s.energy,310,Wh,suspect".to_owned()), "{found:?}");
        assert!(found.contains(&"s.one.energy,200,Wh,suspect".to_owned()), "{found:?}");
        assert!(found.contains(&"s.two.energy,110,Wh,actual".to_owned()), "{found:?}");
        assert!(stderr.contains("1.3.6.1.4.1.32473.1.1.5.1 wrapped: from 65000 to 200 Wh"), "{stderr}");
        drop(second);

        // A part that is gone takes its share with it: that is no consumption.
        let text = meter(["210", "0"]).replace("1.3.6.1.4.1.32473.1.1.5.2|65|0\n", "");
        let _third = serve_text(&site, &text, port);
        site.now(LATER[1]);
        let stderr = site.run(EW_POLL, "").exit(0).stderr;
        assert!(rows(&site, LATER[1]).contains(&"s.energy,210,Wh,suspect".to_owned()));
        assert!(stderr.contains("d.s.energy: it counts other parts than before"), "{stderr}");
    }
}

fn requests(site: &Site) -> (u64, serde_json::Value, i32) {
    let ended = site.run(EW_POLL, "--json");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let switch = &report["domains"][0]["switches"][0];
    (switch["requests"].as_u64().unwrap(), switch["profile"].clone(), ended.code)
}

#[test]
fn auto_remembers_and_asks_anew_only_where_what_it_knew_is_gone() {
    let port = free_port();
    let mut site = site(port, "auto", "");
    let ups = serve("ups", port);
    assert_eq!(requests(&site), (3, "ups".into(), 0), "two requests for probes, one for power");
    site.now(LATER[0]);
    assert_eq!(requests(&site), (1, "ups".into(), 0), "remembered");
    drop(ups);

    // Silence is no reason to think that it is another device.
    site.now(LATER[1]);
    let (_, profile, code) = requests(&site);
    assert_eq!((profile, code), (serde_json::Value::Null, 69));
    let apc = serve("apc-ups", port);
    site.now(LATER[2]);
    assert_eq!(
        requests(&site),
        (1, "ups".into(), 0),
        "it has the standard's table too, so it stays with that"
    );
    drop(apc);

    let _pdu = serve("apc-rpdu2", port);
    site.now(LATER[3]);
    assert_eq!(requests(&site).1, "apc-rpdu2");
    site.now("2026-03-01T00:05:00Z");
    assert_eq!(requests(&site), (1, "apc-rpdu2".into(), 0));

    // A dry run keeps nothing, and another address is another device.
    let other = serve("ups", 0);
    let config = site.read("ew.toml").replace(&port.to_string(), &other.ports[0].to_string());
    site.write("ew.toml", &config);
    site.now("2026-03-01T00:06:00Z");
    site.run(EW_POLL, "--dry-run").exit(0);
    assert_eq!(requests(&site), (3, "ups".into(), 0));
}

/// A counter in the place of another: neither a step up nor a step down between them was consumed.
#[test]
fn another_counter_in_the_place_of_one() {
    let port = free_port();
    let mut site = site(port, "sentry3", "");
    let seen = polls(&mut site, port, &["sentry3", "sentry3-infeeds", "sentry3-infeeds"], 0);
    let own = |rows: &[String]| rows.iter().find(|row| row.starts_with("s.energy")).unwrap().clone();
    assert_eq!(own(&seen[0].0), "s.energy,105000,Wh,actual");
    assert_eq!(own(&seen[1].0), "s.energy,10500,Wh,suspect");
    assert!(seen[1].1.contains("d.s.energy: it counts other parts than before"), "{}", seen[1].1);
    assert_eq!(own(&seen[2].0), "s.energy,10500,Wh,actual");

    let other = serve("apc-rpdu2", 0);
    let config = site.read("ew.toml").replace(&port.to_string(), &other.ports[0].to_string());
    site.write("ew.toml", &config.replace("sentry3", "auto"));
    for (now, quality) in [("2026-03-01T01:00:00Z", "suspect"), ("2026-03-01T01:01:00Z", "actual")] {
        site.now(now);
        site.run(EW_POLL, "").exit(0);
        assert_eq!(own(&rows(&site, now)), format!("s.energy,1234500,Wh,{quality}"));
    }
}

/// One poll of what `text` says, an hour after the one before; the rows of energy counters.
fn energy_at(site: &mut Site, hour: usize, text: &str, port: u16) -> Vec<String> {
    let now = format!("2026-03-02T{hour:02}:00:00Z");
    let _sim = serve_text(site, text, port);
    site.now(&now);
    site.run(EW_POLL, "").exit(0);
    rows(site, &now).into_iter().filter(|row| row.contains("energy,")).collect()
}

/// A part without data is in the total neither before nor after it, and its own counter is held against what it was.
#[test]
fn a_part_that_has_no_data_once() {
    for (back, own) in [("5001", "actual"), ("5", "suspect")] {
        let port = free_port();
        let mut site = site(port, "my-pdu", METER);
        let silent = meter(["1010", "7"]).replace(".5.2|65|7", ".5.2|4|n/a");
        let texts = [meter(["1000", "5000"]), silent, meter(["1020", back]), meter(["1030", "5002"])];
        let seen: Vec<_> =
            texts.iter().enumerate().map(|(hour, text)| energy_at(&mut site, hour, text, port)).collect();
        assert_eq!(seen[0][0], "s.energy,6000,Wh,actual");
        assert_eq!(seen[1], ["s.energy,1010,Wh,suspect", "s.one.energy,1010,Wh,actual"]);
        assert!(seen[2][0].ends_with(",Wh,suspect"), "{back}: {:?}", seen[2]);
        assert_eq!(seen[2][2], format!("s.two.energy,{back},Wh,{own}"));
        assert!(seen[3].iter().all(|row| row.ends_with(",actual")), "{back}: {:?}", seen[3]);
    }
}

/// A device that has no counter at first is held against the one before it all the same, part by part.
#[test]
fn another_device_whose_counters_come_later() {
    let port = free_port();
    let mut site = site(port, "auto", "");
    let files = ["apc-rpdu2", "eaton", "apc-rpdu2", "apc-rpdu2"];
    let seen = polls(&mut site, port, &files, 0);
    let own = |place: usize| seen[place].0.iter().find(|row| row.starts_with("s.energy")).cloned();
    assert_eq!(own(1), None);
    assert_eq!(own(2).unwrap(), "s.energy,1234500,Wh,suspect");
    assert_eq!(own(3).unwrap(), "s.energy,1234500,Wh,actual");

    let (port, other) = (free_port(), free_port());
    let mut site = self::site(port, "my-pdu", METER);
    energy_at(&mut site, 0, &meter(["1000", "5000"]), port);
    site.write("ew.toml", &site.read("ew.toml").replace(&port.to_string(), &other.to_string()));
    let without =
        |text: String, part: u32| text.replace(&format!(".5.{part}|65|7"), &format!(".5.{part}|4|n/a"));
    let none = without(without(meter(["7", "7"]), 1), 2);
    assert_eq!(energy_at(&mut site, 1, &none, other), [""; 0]);
    let one = without(meter(["2000", "7"]), 2);
    assert_eq!(energy_at(&mut site, 2, &one, other)[1], "s.one.energy,2000,Wh,suspect");
    let both = energy_at(&mut site, 3, &meter(["2001", "9000"]), other);
    assert_eq!(both[1..], ["s.one.energy,2001,Wh,actual", "s.two.energy,9000,Wh,suspect"]);
    let both = energy_at(&mut site, 4, &meter(["2001", "9000"]), other);
    assert!(both.iter().all(|row| row.ends_with(",actual")), "{both:?}");
}

/// The probe of sensors is there, but none of watts: the next profile is tried. And what has nothing says so.
#[test]
fn auto_goes_on_where_a_profile_has_no_rows() {
    let site = site(free_port(), "auto", "");
    let port: u16 =
        site.read("ew.toml").split("port = ").nth(1).unwrap().split('\n').next().unwrap().parse().unwrap();
    let text = std::fs::read_to_string(fixture("poe")).unwrap()
        + "1.3.6.1.2.1.99.1.1.1.1.14|2|8\n1.3.6.1.2.1.99.1.1.1.4.14|2|305\n";
    let sim = serve_text(&site, &text, port);
    assert_eq!(requests(&site).1, "poe");
    drop(sim);
    let site = self::site(port, "auto", "");
    let _sim = serve("nothing", port);
    let ended = site.run(EW_POLL, "").exit(76);
    assert!(ended.stderr.contains("has nothing that any profile reads power from"), "{}", ended.stderr);
    assert_eq!(rows(&site, "2026-03-01T00:00:00Z"), ["s,,W,missing"]);
}

/// Importance is known to EnergyWise and EMAN only, and the domain's name to EnergyWise alone.
#[test]
fn importance_where_the_profile_knows_it() {
    let sim = serve("eman", 0);
    let site = site(sim.ports[0], "auto", "");
    site.run(EW_POLL, "--importance 59").exit(0);
    assert_eq!(rows(&site, "2026-03-01T00:00:00Z")[0], "s,123.4,W,partial");
    let sim = Sim::start(&ew::sibling(EW_POLL, "ew-sim"), &["--domain", "com.other"]);
    let site = self::site(sim.ports[0], "auto", "");
    let ended = site.run(EW_POLL, "").exit(76);
    assert!(
        ended.stderr.contains(r#"is in the EnergyWise domain "com.other", not in "d""#),
        "{}",
        ended.stderr
    );
}

/// SNMPv1 has no GETBULK, and says of an object that is not there something else.
#[test]
fn version_1_can_be_probed_too() {
    let sim = serve("raritan-pdu2", 0);
    let site = site(sim.ports[0], "auto", "");
    site.write("ew.toml", &site.read("ew.toml").replace("[snmp]", "[snmp]\nversion = \"1\""));
    site.run(EW_POLL, "").exit(0);
    assert_eq!(rows(&site, "2026-03-01T00:00:00Z")[..2], ["s,120.5,W,actual", "s.1,70,W,actual"]);
}

/// The profile that README shows for an APC PDU with outlets, as it stands there; and its list is whole.
#[test]
fn the_profile_of_the_readme_reads_outlets() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    let readme = std::fs::read_to_string(readme).unwrap();
    let block = readme.split("```").find(|block| block.contains("rpdu2-outlets")).unwrap();
    let sim = serve("apc-rpdu2", 0);
    let site = site(sim.ports[0], "auto", block.strip_prefix("toml").unwrap());
    site.run(EW_POLL, "").exit(0);
    assert_eq!(
        rows(&site, "2026-03-01T00:00:00Z"),
        ["s,1530,W,actual", "s.#1,90,W,actual", "s.#2,63,W,actual"]
    );
    let table: Vec<&str> = readme.lines().filter(|line| line.starts_with("| `")).collect();
    let profiles = ew_energy::Profiles::default();
    for name in profiles.names().filter(|name| *name != "auto") {
        assert!(table.iter().any(|line| line.contains(&format!("`{name}`"))), "README does not list {name}");
    }
}

/// The point is the counter's, be there one in this poll or not.
#[test]
fn an_entity_called_energy() {
    let port = free_port();
    let site = site(port, "my-pdu", METER);
    let text = meter(["65000", "7"]).replace("|one", "|energy").replace(".5.2|65|7", ".5.2|4|n/a");
    let sim = serve_text(&site, &text, port);
    let ended = site.run(EW_POLL, "-q").exit(0);
    assert!(!ended.stderr.contains("two sources"), "{}", ended.stderr);
    let rows = rows(&site, "2026-03-01T00:00:00Z");
    for row in ["s.energy,65000,Wh,partial", "s.#1,10.5,W,presumed", "s.#1.energy,65000,Wh,actual"] {
        assert!(rows.contains(&row.to_owned()), "{row}: {rows:?}");
    }
    drop(sim);
    let mut site = self::site(port, "my-pdu", METER);
    let none = text.replace(".5.1|65|65000", ".5.1|4|n/a");
    assert_eq!(energy_at(&mut site, 0, &none, port), [""; 0]);
    assert!(self::rows(&site, "2026-03-02T00:00:00Z").contains(&"s.#1,10.5,W,presumed".to_owned()));
}

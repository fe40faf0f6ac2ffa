//! Profiles against agents whose files were written by hand from the MIBs, and `auto`.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;

use ew::Site;
use sim::Sim;
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

/// The rows of the log at a time, without it and without the domain's own; `d.s` is written `s`.
fn rows(site: &Site, time: &str) -> Vec<String> {
    let slice = site.run(&program("ew-log"), "slice --from first --to last").exit(0).stdout;
    let prefix = format!("{time},d.");
    slice.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
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
            &["s,173.4,W,partial", "s.chassis,123.4,W,actual", "s.solar,-500,W,actual", "s.fan,50,W,presumed"],
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
        ("eaton", "eaton", &["s,905,W,actual", "s.#1,300,W,actual", "s.#2,310,W,actual", "s.#3,290,W,actual"]),
        ("eaton-phases", "eaton", &["s,900,W,actual", "s.#1,300,W,actual", "s.#2,310,W,actual", "s.#3,290,W,actual"]),
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
        ("huawei-poe", "huawei-poe", &["s,6.9,W,actual", "s.GigabitEthernet0/0/1,4.1,W,actual", "s.#6,2.8,W,actual"]),
        ("poe", "poe", &["s,100,W,actual", "s.#1,87,W,actual", "s.#2,13,W,actual"]),
    ];
    for (file, profile, expect) in cases {
        let mut expect: Vec<&str> = expect.to_vec();
        expect.sort_unstable();
        for by in [profile, "auto"] {
            let (mut rows, stderr) = poll(file, by);
            rows.sort_unstable();
            assert_eq!(rows, expect, "{file} by {by}\n{stderr}");
        }
    }
}

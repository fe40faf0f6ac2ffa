//! `ew-poll --discover`: what agents are, as tables that can be pasted.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;

use ew::Site;
use sim::Sim;
use std::net::UdpSocket;
use std::path::Path;

const EW_POLL: &str = env!("CARGO_BIN_EXE_ew-poll");

fn simulate(arguments: &[&str]) -> Sim {
    Sim::start(&ew::sibling(EW_POLL, "ew-sim"), arguments)
}

fn serve(name: &str) -> Sim {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/profiles");
    simulate(&["--data", folder.join(name).with_extension("snmprec").to_str().unwrap()])
}

/// No domain is needed, and no log is made.
fn site() -> Site {
    let mut site = Site::new("[snmp]\ntimeout = \"300ms\"\nretries = 0\n");
    site.now("2026-03-01T00:00:00Z");
    site
}

#[test]
fn what_is_printed_can_be_pasted_and_polled() {
    let switches = simulate(&["--switches", "2", "--domain", "com.example.hq"]);
    let (pdu, ups, twin, thing) = (serve("apc-rpdu2"), serve("ups"), serve("ups"), serve("nothing"));
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let site = site();
    let all = [&switches.ports[..], &[pdu.ports[0], ups.ports[0], twin.ports[0], thing.ports[0]]].concat();
    let silent_port = silent.local_addr().unwrap().port();
    let mut list = String::from("# the site, by rack\n\n");
    for port in all.iter().chain([&silent_port]) {
        list += &format!("127.0.0.1:{port}   # rack\n");
    }
    site.write("agents.txt", &list);
    // One of them twice, and it is asked once.
    let ended = site.run(EW_POLL, &format!("--discover agents.txt 127.0.0.1:{}", pdu.ports[0])).exit(1);
    let [sw1, sw2, pdu, ups, twin, thing] = all[..] else { panic!() };
    let text = &ended.stdout;
    let start = "[[domain]]\nname = \"com.example.hq\"\n\n  # Simulated EnergyWise switch 0001";
    assert!(text.starts_with(start), "{text}");
    let switch = |name: &str, port: u16, profile: &str| {
        format!(
            "  [[domain.switch]]\n  name = \"{name}\"\n  address = \"127.0.0.1\"\n  port = {port}\n  \
             profile = \"{profile}\"\n"
        )
    };
    for block in [
        switch("sw0001", sw1, "energywise"),
        switch("sw0002", sw2, "energywise"),
        format!(
            "[[domain]]\nname = \"com.example.site\"\n\n  # Example rack PDU\n  # 1530 W actual, 1234500 Wh\n{}",
            switch("rpdu2", pdu, "apc-rpdu2")
        ),
        format!(
            "  # Example UPS\n  # 1205 W actual; entities: #1 400 W, #2 410 W, #3 395 W\n{}",
            switch("ups1", ups, "ups")
        ),
        switch("ups1-2", twin, "ups"),
        format!(
            "# 127.0.0.1:{thing}: 127.0.0.1:{thing} has nothing that any profile reads power from; it says it is: A thing of no profile\n"
        ),
        format!("# 127.0.0.1:{silent_port}: no answer from 127.0.0.1:{silent_port} to sysDescr.0"),
    ] {
        assert!(text.contains(&block), "{block}\n---\n{text}");
    }
    assert_eq!(text.matches("[[domain.switch]]").count(), 5);
    assert_eq!(text.matches(" and 3 more").count(), 2, "11 entities of each switch, 8 of them shown\n{text}");
    assert!(
        ended.stderr.contains(&format!("ew-poll: 127.0.0.1:{silent_port}: no answer from")),
        "{}",
        ended.stderr
    );
    assert_eq!(site.names("."), ["agents.txt", "ew.toml"], "no log");

    site.write("ew.toml", &(site.read("ew.toml") + text));
    site.run(EW_POLL, "--check").exit(0).stderr("");
    let report = site.run(EW_POLL, "--json").exit(0).stdout;
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["domains"][1]["value"], 1530.0 + 2.0 * 1205.0, "{report:#}");

    // What is there already is said.
    let again = site.run(EW_POLL, &format!("--discover 127.0.0.1:{ups}")).exit(0).stdout;
    assert!(again.contains("# ew.toml has it as ups1 of com.example.site\n"), "{again}");
    assert!(again.starts_with("# ew.toml has this domain: put the switches below it\n"), "{again}");
}

#[test]
fn names_that_devices_make_up() {
    let site = site();
    let energywise = "1.3.6.1.4.1.9.9.683.1";
    let serve = |file: &str, name: &str, domain: &str| {
        let row = "6.1.7.1|2|0";
        let text = format!(
            "1.3.6.1.2.1.1.1.0|4x|4120224222205c0a5b5b646f6d61696e5d5d\n1.3.6.1.2.1.1.5.0|4|{name}\n{energywise}.3.0|4|{domain}\n\
             {energywise}.{row}\n{energywise}.6.1.8.1|66|5\n"
        );
        site.write(file, &text);
        simulate(&["--data", site.file(file).to_str().unwrap()])
    };
    let sims = [
        serve("a", "hq", "com.example"),
        // A domain below has the point already.
        serve("b", "sw.1", "com.example.hq"),
        serve("c", "say \"hi\" \\ #", "com..example"),
        serve("d", "", ""),
    ];
    let ports: Vec<String> = sims.iter().map(|sim| format!("127.0.0.1:{}", sim.ports[0])).collect();
    let text = site.run(EW_POLL, &format!("--discover {}", ports.join(" "))).exit(0).stdout;
    let names: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("name = ")).collect();
    let own = format!("\"{}\"", ports[3].replace('.', "_"));
    let expect = [
        "\"com.example\"",
        "\"hq-2\"",
        "\"com.example.hq\"",
        "\"sw_1\"",
        "\"com.example.site\"",
        "\"say \\\"hi\\\" \\\\ #\"",
        &own,
    ];
    assert_eq!(names, expect, "{text}");
    assert!(text.contains("\"com.example.site\"\ncheck_domain_name = false\n"), "{text}");
    assert!(text.contains("  # A \"B\" \\ [[domain]]\n"), "a description stays on its line\n{text}");
    site.write("ew.toml", &(site.read("ew.toml") + &text));
    site.run(EW_POLL, "--check").exit(0);
    site.run(EW_POLL, "").exit(0);
}

#[test]
fn exit_codes_and_wrong_words() {
    let site = site();
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    let ended = site.run(EW_POLL, &format!("--discover 127.0.0.1:{port}")).exit(69);
    assert!(ended.stdout.starts_with(&format!("# 127.0.0.1:{port}: no answer")), "{}", ended.stdout);
    let thing = serve("nothing");
    site.run(EW_POLL, &format!("--discover 127.0.0.1:{}", thing.ports[0])).exit(76);
    let ended = site.run_with_input(EW_POLL, "--discover -", "192.0.2.0/24\n").exit(2);
    assert!(ended.stderr.starts_with("ew-poll: -:1: \"192.0.2.0/24\" is no host name"), "{}", ended.stderr);
    assert!(ended.stderr.contains("a range of addresses is never asked"), "{}", ended.stderr);
    let ended = site.run(EW_POLL, "--discover ./nofile").exit(2);
    assert!(ended.stderr.starts_with("ew-poll: there is no file ./nofile\n"), "{}", ended.stderr);
    site.run_with_input(EW_POLL, "--discover -", "# nothing\n").exit(2);
    site.run(EW_POLL, "--discover").exit(2);
    site.run(EW_POLL, "--dry-run --discover 192.0.2.1").exit(2);
}

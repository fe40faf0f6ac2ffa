//! `ew-cbus` against a simulated C-Gate server: what a person reads, what the log keeps, what is sent.
#![allow(clippy::unwrap_used)]

#[path = "support/cgate.rs"]
mod cgate;
#[path = "support/ew.rs"]
mod ew;

use cgate::Cgate;
use ew::Site;
use serde_json::Value;

const EW_CBUS: &str = env!("CARGO_BIN_EXE_ew-cbus");

fn server(arguments: &str) -> Cgate {
    Cgate::start(&ew::sibling(EW_CBUS, "ew-sim"), arguments)
}

fn site(server: &Cgate, bus: &str, backend: &str) -> Site {
    let mut site = Site::new(&format!(
        "[[cbus]]\nname = \"lobby\"\n{bus}\n[cbus.backend.cgate]\nhost = \"127.0.0.1\"\nport = {}\n\
         project = \"HOME\"\n{backend}\n",
        server.port
    ));
    site.now("2026-03-01T00:00:00Z");
    site
}

fn log(site: &Site) -> Vec<String> {
    let ended = site.run(ew::sibling(EW_CBUS, "ew-log").to_str().unwrap(), "slice --from first --to last");
    ended.stdout.lines().skip(1).map(str::to_owned).collect()
}

#[test]
fn a_session_of_each_command_with_the_least_access_level() {
    let server = server("--access connect --user ew:s3cret:monitor");
    let site = site(&server, "", "networks = [254]\nuser = \"ew\"\npassword = { env = \"EW_CGATE\" }");
    let run = |arguments: &str, code: i32| {
        let mut command = site.command(EW_CBUS, arguments);
        let output = command.env("EW_CGATE", "s3cret").output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        assert_eq!(output.status.code(), Some(code), "{arguments}: {stdout}{stderr}");
        assert!(!stdout.contains("s3cret") && !stderr.contains("s3cret"), "{stdout}{stderr}");
        stdout
    };
    let document: Value = serde_json::from_str(&run("discover --json --trace trace", 0)).unwrap();
    assert!(document.to_string().contains("Kitchen & hall"), "{document}");
    run("poll", 0);
    assert_eq!(
        log(&site),
        [
            "2026-03-01T00:00:00Z,cbus.lobby.254.56.1,255,level,actual",
            "2026-03-01T00:00:00Z,cbus.lobby.254.56.2,0,level,actual",
            "2026-03-01T00:00:00Z,cbus.lobby.254.56.3,128,level,actual",
            "2026-03-01T00:00:00Z,cbus.lobby.254.56.8,228,level,actual",
        ]
    );
    assert_eq!(run("get lobby 56 3", 0), "128\n");
    assert!(run("probe", 0).contains("access level: Monitor"));
    assert!(run("measure", 0).contains("102.34"));
    run("set lobby 56 3 1", 77);
    assert!(!site.read("trace").contains("s3cret"));
    assert!(!server.commands().iter().any(|c| c.starts_with("NET") || c.starts_with("PROJECT ST")));
    assert_eq!(site.files_with("s3cret"), Vec::<std::path::PathBuf>::new());
}

#[test]
fn a_level_is_set_and_read_back() {
    let server = server("");
    let site = site(&server, "", "networks = [254]");
    site.run(EW_CBUS, "set lobby 56 3 17").exit(0);
    site.run(EW_CBUS, "get lobby 56 3").exit(0).stdout("17\n");
}

#[test]
fn while_a_network_is_synchronised_nothing_is_logged_as_zero() {
    let server = server("--fault syncing");
    let site = site(&server, "applications = [56]", "networks = [254]");
    let ended = site.run(EW_CBUS, "poll");
    assert_ne!(ended.code, 0, "{ended:?}");
    assert!(log(&site).iter().all(|row| row.ends_with(",,level,missing")), "{:?}", log(&site));
    let ended = site.run(EW_CBUS, "discover").exit(1);
    assert!(format!("{}{}", ended.stdout, ended.stderr).contains("State=sync"), "{ended:?}");
}

/// Of a part of a bus as of a whole one.
#[test]
fn points_of_a_network_that_could_not_be_asked_are_null() {
    let server = server("");
    let mut site = site(&server, "", "networks = [253, 254]");
    site.run(EW_CBUS, "poll").exit(0);
    // Another network in its place, which is not there.
    site.write("ew.toml", &site.read("ew.toml").replace("[253, 254]", "[7, 254]"));
    site.now("2026-03-01T00:05:00Z");
    let report: Value = serde_json::from_str(&site.run(EW_CBUS, "poll --json").exit(1).stdout).unwrap();
    let readings = report["buses"][0]["readings"].as_array().unwrap();
    let null: Vec<&Value> = readings.iter().filter(|reading| reading["value"].is_null()).collect();
    assert_eq!((readings.len(), null.len()), (5, 1), "{report:#}");
    assert_eq!(null[0]["point"], "cbus.lobby.253.56.1");
    assert!(null[0]["reason"].as_str().unwrap().contains("Network not found"), "{report:#}");
}

/// `measure` without a name is about the buses that can.
#[test]
fn a_bus_that_cannot_measure_fails_only_where_it_was_named() {
    let server = server("");
    let site = site(&server, "", "");
    let exec = "[[cbus]]\nname = \"annex\"\n[cbus.backend.exec]\ncommand = [\"./never-started\"]\n";
    site.write("ew.toml", &format!("{exec}{}", site.read("ew.toml")));
    site.run(EW_CBUS, "measure -q").exit(0).stdout("").stderr("");
    assert_eq!(log(&site).len(), 2);
    let ended = site.run(EW_CBUS, "measure annex lobby").exit(1);
    assert!(ended.stderr.starts_with("ew-cbus: annex: "), "{}", ended.stderr);
}

#[test]
fn where_nothing_can_be_measured_the_channels_of_the_last_discovery_are_null() {
    let server = server("");
    let mut site = site(&server, "deadline = \"2s\"", "");
    site.run(EW_CBUS, "discover").exit(0);
    drop(server);
    site.now("2026-03-01T00:05:00Z");
    let report: Value = serde_json::from_str(&site.run(EW_CBUS, "measure --json").exit(69).stdout).unwrap();
    let reading = &report["buses"][0]["readings"][0];
    assert!(reading["reason"].as_str().unwrap().contains("connect: "), "{report:#}");
    let rows = log(&site);
    assert_eq!(rows.len(), 2, "{rows:?}");
    assert!(rows[0].starts_with("2026-03-01T00:05:00Z,cbus.lobby.254.measurement."), "{rows:?}");
    assert!(rows.iter().all(|row| row.contains(",,") && row.ends_with(",missing")), "{rows:?}");
}

#[test]
fn a_network_that_can_be_none_is_refused_before_anyone_is_asked() {
    let server = server("");
    let mut site = site(&server, "", "");
    let cni = "[[cbus]]\nname = \"annex\"\n[cbus.backend.cni]\nhost = \"127.0.0.1\"\nport = 1\n";
    site.write("ew.toml", &format!("{cni}{}", site.read("ew.toml")));
    site.now("2026-03-01T00:00:00Z");
    for (bus, network, why) in [
        ("lobby", "256", "a C-Gate network is a number from 0 to 255"),
        ("lobby", "ground", "a C-Gate network is a number from 0 to 255"),
        ("annex", "254", "not the network of the interface"),
    ] {
        for command in [format!("get {bus} 56 1"), format!("set {bus} 56 1 0")] {
            let ended = site.run(EW_CBUS, &format!("{command} --network {network}")).exit(2).stdout("");
            assert!(ended.stderr.contains(why), "{}", ended.stderr);
        }
    }
    assert_eq!(server.commands(), [""; 0]);
}

#[test]
fn what_stands_in_the_way_is_told_with_what_to_do() {
    for (arguments, code, hint) in [
        ("--fault silent-banner", 69, "access list"),
        ("--fault tls-port", 69, "tls = true"),
        ("--fault not-loaded", 78, "--allow-open"),
        ("--access connect", 77, "needs access level Monitor"),
    ] {
        let server = server(arguments);
        let site = site(&server, "start_timeout = \"1s\"", "");
        let ended = site.run(EW_CBUS, "discover").exit(code);
        assert!(ended.stderr.contains(hint), "{arguments}: {}", ended.stderr);
    }
}

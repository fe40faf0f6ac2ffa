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

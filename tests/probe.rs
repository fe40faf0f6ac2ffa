//! `ew-export --check --probe` against real receivers that can do everything, some things and nothing.
#![allow(clippy::unwrap_used)]

#[path = "support/asker.rs"]
mod asker;
#[path = "support/ew.rs"]
mod ew;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/sshd.rs"]
mod sshd;

use asker::Asker;
use ew::{Ended, Site};
use proftpd::{PASSWORD, Proftpd, STRANGER, USER};
use serde_json::Value;
use smtp::Sink;
use sshd::Sshd;
use std::path::Path;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

fn site(transport: &str) -> Site {
    let mut site = Site::new(&format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\n  [export.format.csv]\n  [export.transport.{transport}\n"
    ));
    site.now("2026-03-01T01:00:00Z");
    site
}

fn to_sshd(server: &Sshd, more: &str) -> Site {
    site(&format!(
        "sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\nkey_file = {:?}\nknown_hosts = {:?}\n{more}",
        server.port(),
        server.user(),
        server.key(),
        server.known_hosts(&["ed25519"], server.port())
    ))
}

fn to_proftpd(server: &Proftpd, user: &str, password: &str, more: &str) -> Site {
    site(&format!(
        "sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {user:?}\npassword = {password:?}\nknown_hosts = {:?}\n{more}",
        server.port(),
        server.known_hosts(server.port())
    ))
}

fn probe(site: &Site) -> Ended {
    site.run(EW_EXPORT, "--check --probe")
}

/// Each trial with its outcome, without the words; and the same by `--json` and in the ledger.
#[track_caller]
fn found(site: &Site, exit: i32) -> String {
    let shown = probe(site).exit(exit);
    let found: Vec<String> = shown
        .stdout
        .lines()
        .filter_map(|line| line.strip_prefix("  "))
        .filter(|line| !line.starts_with("a delivery"))
        .map(|line| {
            let (ability, rest) = line.split_at(10);
            format!("{}:{}", ability.trim_end(), rest.split_whitespace().next().unwrap())
        })
        .collect();
    let would = if exit == 0 { "a delivery would work\n" } else { "a delivery would fail\n" };
    assert!(shown.stdout.ends_with(would), "{}", shown.stdout);
    let json: Value =
        serde_json::from_str(&site.run(EW_EXPORT, "--check --probe --json").exit(exit).stdout).unwrap();
    let same = |outcome: &Value| {
        assert_eq!(outcome["works"], exit == 0, "{outcome}");
        assert_eq!(outcome["error"].is_null(), exit == 0, "{outcome}");
        let abilities = outcome["abilities"].as_array().unwrap();
        assert_eq!(abilities.len(), found.len(), "{outcome}");
        for (ability, found) in abilities.iter().zip(&found) {
            let name = ability["ability"].as_str().unwrap().replace('_', " ");
            let expect = format!("{name}:{}", ability["can"].as_str().unwrap());
            assert_eq!(expect, found.to_lowercase(), "{outcome}");
        }
    };
    same(&json["probes"][0]);
    let ew_ledger = ew::sibling(EW_EXPORT, "ew-ledger");
    let status = site.run(ew_ledger.to_str().unwrap(), "status --json").exit(0).stdout;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["jobs"][0]["probe"]["at"], "2026-03-01T01:00:00Z");
    same(&status["jobs"][0]["probe"]);
    found.join(" ")
}

fn count(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[test]
fn without_probe_nobody_is_asked() {
    let site =
        site("sftp]\nhost = \"127.0.0.1\"\nport = 1\nuser = \"u\"\nagent = true\nknown_hosts = \"ew.toml\"");
    let checked = site.run(EW_EXPORT, "--check").exit(0);
    assert!(checked.stdout.contains("good"), "{checked:?}");
    assert!(!site.file("ew.db").exists());
    site.run(EW_EXPORT, "--probe").exit(2);
    let refused = probe(&site).exit(69);
    assert!(refused.stdout.contains("connect    no"), "{}", refused.stdout);
    assert!(refused.stderr.contains("connection refused"), "{}", refused.stderr);
}

#[test]
fn a_folder() {
    let here = site("file]\ndirectory = \"out\"");
    let all =
        "directory:yes write:yes sync:yes stat:yes read back:yes rename:yes replace:yes list:yes remove:yes";
    assert_eq!(found(&here, 0), all);
    // It is made by the first delivery.
    assert!(!here.file("out").exists());
    std::fs::create_dir(here.file("out")).unwrap();
    assert_eq!(found(&here, 0), all);
    assert_eq!(here.names("out"), Vec::<String>::new());
    assert_eq!(found(&site("file]\ndirectory = \"no/such\""), 69), "directory:no");
    // Not even root makes files here.
    assert_eq!(found(&site("file]\ndirectory = \"/sys/kernel\""), 77), "directory:yes write:no");
}

#[test]
fn servers_that_can_do_everything() {
    let (sshd, proftpd) = (Sshd::start(), Proftpd::start());
    let all = "connect:yes log in:yes directory:yes write:yes sync:yes stat:yes read back:yes rename:yes \
               replace:no list:yes remove:yes";
    assert_eq!(found(&to_sshd(&sshd, ""), 0), all);
    assert_eq!(count(&sshd.root()), 0);
    let made = to_sshd(&sshd, "directory = \"in\"\ncreate_directory = true");
    let shown = probe(&made).exit(0).stdout;
    assert!(shown.contains("directory  yes          it is made by the first delivery"), "{shown}");
    assert_eq!(count(&sshd.root()), 0);
    assert_eq!(found(&to_sshd(&sshd, "directory = \"in\""), 69), "connect:yes log in:yes directory:no");
    assert_eq!(found(&to_proftpd(&proftpd, USER, PASSWORD, ""), 0), all);
    assert_eq!(count(&proftpd.root()), 0);
}

#[test]
fn servers_that_overwrite_and_that_do_not_know_stat() {
    for (quirk, expect) in [
        ("overwrites", "stat:yes read back:yes rename:yes replace:yes list:yes remove:yes"),
        ("no-stat", "stat:unsupported read back:yes rename:yes replace:no list:yes remove:yes"),
    ] {
        let server = Asker::start_with(USER, PASSWORD, &[quirk]);
        let site = site(&format!(
            "sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {USER:?}\npassword = {PASSWORD:?}\nknown_hosts = {:?}",
            server.port(),
            server.known_hosts()
        ));
        let found = found(&site, 0);
        assert!(found.ends_with(expect), "{quirk}: {found}");
        assert_eq!(count(&server.root()), 0);
    }
}

#[test]
fn servers_that_forbid_or_do_not_know() {
    for (forbidden, differs, exit, left) in [
        ("rename", "rename:no", 0, 0),
        ("fsync", "sync:no", 0, 0),
        ("opendir", "list:no", 0, 0),
        ("remove", "remove:no", 0, 2),
        ("read", "read back:no", 0, 0),
        ("open", "write:no", 77, 0),
        ("write", "write:no", 77, 0),
        ("stat", "stat:no", 77, 0),
    ] {
        let home = tempfile::tempdir().unwrap();
        let server = Sshd::start_with(&format!("ForceCommand internal-sftp -P {forbidden}"));
        let site = to_sshd(&server, &format!("directory = {:?}", home.path()));
        // Two trials are made: one for people, one with --json.
        let found = found(&site, exit);
        assert!(found.contains(differs), "{forbidden}: {found}");
        assert_eq!(count(home.path()), 2 * left, "{forbidden}: {found}");
        let said = probe(&site).exit(exit);
        assert!(said.stdout.contains("permission denied"), "{forbidden}: {}", said.stdout);
        assert_eq!(said.stderr.contains("could not be removed"), left > 0, "{forbidden}: {}", said.stderr);
    }
}

#[test]
fn who_is_not_let_in_and_who_may_not_write() {
    let server = Proftpd::start();
    let wrong = to_proftpd(&server, USER, "swordfish", "");
    assert_eq!(found(&wrong, 77), "connect:yes log in:no");
    let said = probe(&wrong).exit(77);
    assert!(!format!("{said:?}").contains("swordfish"), "{said:?}");
    assert_eq!(wrong.files_with("swordfish"), Vec::<std::path::PathBuf>::new());
    server.strangers_directory("sealed", 0o555);
    let sealed = to_proftpd(&server, STRANGER, PASSWORD, "directory = \"sealed\"");
    assert_eq!(found(&sealed, 77), "connect:yes log in:yes directory:yes write:no");
    // Nobody logs in where the host is not known.
    let sshd = Sshd::start();
    std::fs::write(sshd.root().join("known_hosts"), "").unwrap();
    let unknown = site(&format!(
        "sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"u\"\nagent = true\nknown_hosts = {:?}",
        sshd.port(),
        sshd.root().join("known_hosts")
    ));
    let said = probe(&unknown).exit(77);
    assert!(said.stdout.contains("connect    no") && said.stderr.contains("SHA256:"), "{said:?}");
}

#[test]
fn a_mail_server_gets_no_mail() {
    let sink = Sink::start();
    let keys = |password: &str| {
        format!(
            "smtp]\nhost = \"localhost\"\nport = {}\nuser = {:?}\npassword = {password:?}\nca_file = {:?}\n\
             from = \"ew@example.com\"\nto = [\"a@example.com\", \"b@example.com\"]",
            sink.port(),
            smtp::USER,
            sink.ca_file()
        )
    };
    let right = site(&keys(smtp::PASSWORD));
    assert_eq!(found(&right, 0), "connect:yes TLS:yes log in:yes sender:yes recipient:yes recipient:yes");
    assert_eq!(found(&site(&keys("swordfish")), 77), "connect:yes TLS:yes log in:no");
    sink.set_faults("550=b@example.com");
    assert_eq!(found(&right, 77), "connect:yes TLS:yes log in:yes sender:yes recipient:yes recipient:no");
    let said = probe(&right).exit(77);
    assert!(said.stderr.contains("b@example.com: the server says 550"), "{}", said.stderr);
    sink.set_faults("sender");
    assert!(found(&right, 77).ends_with("sender:no"));
    assert_eq!(sink.received().len(), 0);
}

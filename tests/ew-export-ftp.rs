//! `ew-export` to real FTPS servers: what arrives, its receipt, and that it can be proved and sent again.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/ftp.rs"]
mod ftp;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use export::{EW_EXPORT, append, run};
use ftp::{FtpServer, PASSWORD, USER};
use proxy::{Plan, Proxy};
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const ROWS: &str = "01:00 a 1\n 02:00 b 2\n 16:00 a 3\n 46:00 b 4";

/// A job `u` into `in`, with the password in a file of the site and more keys for the job and the transport.
fn site(server: &FtpServer, port: u16, job: &str, more: &str) -> Site {
    let ca_file = server.ca_file();
    let mut site = Site::new(&format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{job}\n  [export.format.csv]\n  \
         layout = \"long\"\n  [export.transport.ftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {USER:?}\n  \
         password = {{ file = \"password\" }}\n  ca_file = {ca_file:?}\n  directory = \"in\"\n  create_directory = true\n  {more}\n"
    ));
    site.write("password", &format!("{PASSWORD}\n"));
    site.now("2026-03-01T01:00:00Z");
    append(&site, ROWS);
    site
}

#[track_caller]
fn receiver_equals_log(site: &Site, folder: &Path) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/receiver_equals_log.py");
    let compared = Command::new(script).arg(site.file("ew.db")).arg(folder).arg("replace").output().unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success(), "{said}{}", String::from_utf8_lossy(&compared.stderr));
}

fn receipt(site: &Site, name: &str) -> Value {
    let shown = run(site, "ew-ledger", &format!("show u {name} --json")).exit(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    shown["revisions"][0]["receipt"].clone()
}

const FIRST: &str = "u_20260301T000000Z.csv";

#[test]
fn slices_arrive_once_are_proved_and_come_again() {
    let server = FtpServer::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let site = site(&server, proxy.port(), "manifest = true", "");
    let folder = server.root().join("in");
    let output = site.command(EW_EXPORT, "-v").env("EW_DEBUG", "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains(PASSWORD), "{said}");
    assert_eq!(site.files_with(PASSWORD), [site.file("password")]);
    assert_eq!(proxy.connections(), 1, "one connection for all slices");
    receiver_equals_log(&site, &folder);
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(proxy.connections(), 1, "nothing was due");
    let receipt = receipt(&site, FIRST);
    assert_eq!(receipt["destination"], format!("ftp://ew@127.0.0.1:{}/~/in", proxy.port()));
    assert_eq!((&receipt["how"], &receipt["checked"]), (&"sent".into(), &"size".into()));
    assert_eq!(receipt["path"], format!("in/{FIRST}"));

    run(&site, "ew-ledger", "verify --level hash").exit(0);
    let was = std::fs::read(folder.join(FIRST)).unwrap();
    std::fs::remove_file(folder.join(FIRST)).unwrap();
    let missed = run(&site, "ew-ledger", "verify").exit(1);
    assert!(missed.stdout.contains("missing"), "{missed:?}");
    run(&site, "ew-ledger", &format!("resend u {FIRST}")).exit(0);
    assert_eq!(std::fs::read(folder.join(FIRST)).unwrap(), was);
    run(&site, "ew-ledger", "verify").exit(0);
}

/// Answers that were lost, uploads that were cut and a full disk: the run tries again, or the next one does.
#[test]
fn what_breaks_off_is_there_once_in_the_end() {
    let server = FtpServer::start();
    let site = site(&server, server.port(), "", "");
    server.set_faults("once-lost-RNTO");
    site.run(EW_EXPORT, "").exit(0);
    let folder = server.root().join("in");
    receiver_equals_log(&site, &folder);
    assert_eq!(receipt(&site, FIRST)["how"], "found");
    append(&site, "03:00 a 5");
    server.set_faults("full=10");
    let ended = site.run(EW_EXPORT, "").exit(69);
    let said = format!(
        "to ftp ew@127.0.0.1:{}: write .u_20260301T000000Z_r1.csv.part: the server says 552 Quota exceeded.",
        server.port()
    );
    assert!(ended.stderr.contains(&said), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: make room there"), "{}", ended.stderr);
    server.set_faults("");
    site.run(EW_EXPORT, "").exit(0);
    receiver_equals_log(&site, &folder);
}

/// Of text the receiver has its own bytes: that it is there is all that can be said.
#[test]
fn text_is_proved_by_its_name_alone() {
    let server = FtpServer::start();
    let site = site(&server, server.port(), "", "transfer = \"ascii\"");
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(receipt(&site, FIRST)["checked"], "reply");
    let verified = run(&site, "ew-ledger", "verify --json").exit(0).stdout;
    assert!(verified.contains("\"listed\""), "{verified}");
    std::fs::remove_file(server.root().join("in").join(FIRST)).unwrap();
    run(&site, "ew-ledger", "verify").exit(1);
}

#[test]
fn a_receiver_is_tried_before_it_is_needed() {
    let server = FtpServer::start();
    let site = site(&server, server.port(), "", "");
    let shown = site.run(EW_EXPORT, "--check --probe").exit(0);
    assert!(shown.stdout.ends_with("a delivery would work\n"), "{}", shown.stdout);
    assert!(shown.stdout.contains("TLS        yes"), "{}", shown.stdout);
    assert!(std::fs::read_dir(server.root()).unwrap().next().is_none());
    site.write("password", "swordfish");
    let shown = site.run(EW_EXPORT, "--check --probe").exit(77);
    assert!(shown.stdout.contains("log in     no"), "{}", shown.stdout);
}

//! `ew-export` to a real OpenSSH server: refused keys, lost connections, and kill -9 at any moment.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use proxy::{Plan, Proxy};
use sshd::Sshd;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// A job that breaks up quarters into `in` on a server reached at a port.
fn config(server: &Sshd, port: u16, known_hosts: &str, job: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{job}\n\
         \x20 [export.format.csv]\n  [export.transport.sftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {:?}\n\
         \x20 key_file = {:?}\n  known_hosts = {known_hosts:?}\n  directory = \"in\"\n  create_directory = true\n",
        server.user(),
        server.key(),
    )
}

fn site(server: &Sshd, port: u16, job: &str) -> Site {
    let known_hosts = server.known_hosts(&["ed25519"], port);
    let mut site = Site::new(&config(server, port, known_hosts.to_str().unwrap(), job));
    site.now("2026-03-02T00:00:00Z");
    site
}

/// One row a second for so many quarters from 2026-03-01T00:00:00Z; returned as (time, value) text.
fn fill(site: &Site, quarters: u32) -> BTreeMap<String, String> {
    let mut text = "timestamp,point,value\n".to_owned();
    let mut rows = BTreeMap::new();
    for second in 0..quarters * 900 {
        let time = format!("2026-03-01T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60);
        let value = format!("{}.5", second % 997);
        writeln!(text, "{time},com.example.hq.total-of-the-building,{value}").unwrap();
        rows.insert(time, value);
    }
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "append", &text).exit(0);
    rows
}

/// Every row of every CSV in a folder, each with how often it is there.
fn received(folder: &Path) -> BTreeMap<(String, String), u32> {
    let mut rows = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        assert_eq!(path.extension().unwrap(), "csv", "a temporary file is left: {}", path.display());
        for record in csv::Reader::from_path(&path).unwrap().records() {
            let record = record.unwrap();
            *rows.entry((record[0].to_owned(), record[1].to_owned())).or_default() += 1;
        }
    }
    rows
}

#[track_caller]
fn holds_every_row_once(folder: &Path, rows: &BTreeMap<String, String>) {
    let expect: BTreeMap<(String, String), u32> =
        rows.iter().map(|(time, value)| ((time.clone(), value.clone()), 1)).collect();
    assert!(received(folder) == expect, "the receiver's rows are not the log's");
}

/// How often the first slice was tried.
fn attempts(site: &Site) -> u64 {
    let list = site.run(ew::sibling(EW_EXPORT, "ew-ledger").to_str().unwrap(), "list --json").exit(0).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    list["deliveries"][0]["attempts"].as_u64().unwrap()
}

#[test]
fn slices_arrive_whole_over_one_connection() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let site = site(&server, proxy.port(), "");
    let rows = fill(&site, 8);
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&server.root().join("in"), &rows);
    assert_eq!(proxy.connections(), 1);
    site.run(EW_EXPORT, "").exit(66);
}

#[test]
fn an_unknown_and_a_changed_host_key_are_refused_and_nothing_is_sent() {
    let server = Sshd::start();
    let site = site(&server, server.port(), "");
    fill(&site, 1);
    let known = server.known_hosts_line("ed25519", server.port());
    // The line of another server stands for the key that was there before.
    let other = Sshd::start();
    let changed = other.known_hosts_line("ed25519", server.port());
    for (name, line) in [("absent", None), ("empty", Some("")), ("changed", Some(changed.as_str()))] {
        if let Some(line) = line {
            site.write(name, line);
        }
        site.write("ew.toml", &config(&server, server.port(), name, ""));
        let ended = site.run(EW_EXPORT, "").exit(77);
        assert!(ended.stderr.contains(&server.fingerprint("ed25519")), "{}", ended.stderr);
        assert!(!server.root().join("in").exists());
    }
    // The line of the hint, pasted, lets it go on.
    site.write("ew.toml", &config(&server, server.port(), "empty", ""));
    let ended = site.run(EW_EXPORT, "").exit(77);
    let pasted =
        ended.stderr.lines().find_map(|line| line.find("[127.0.0.1]:").map(|at| &line[at..])).unwrap();
    assert!(pasted.starts_with(&known), "{}", ended.stderr);
    site.write("empty", &format!("{known}\n"));
    site.run(EW_EXPORT, "").exit(0);
}

#[test]
fn a_lost_connection_is_tried_again_and_then_left_for_the_next_run() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::cut_after(20_000));
    let site = site(&server, proxy.port(), "connection_attempts = 2");
    let rows = fill(&site, 3);
    let ended = site.run(EW_EXPORT, "").exit(69);
    assert!(
        ended.stderr.starts_with("ew-export: u: cannot send u_20260301T000000Z.csv to "),
        "{}",
        ended.stderr
    );
    assert_eq!(attempts(&site), 2);
    proxy.set_plan(Plan::open());
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&server.root().join("in"), &rows);
}

#[test]
fn kill_9_in_mid_upload_and_a_second_run() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::rate(200_000));
    let site = site(&server, proxy.port(), "period = \"1h\"");
    let rows = fill(&site, 8);
    let mut first = site.spawn(EW_EXPORT, "");
    let part = server.root().join("in/.u_20260301T000000Z.csv.part");
    let growing = || std::fs::metadata(&part).is_ok_and(|file| file.len() > 0);
    for _ in 0..1000 {
        if growing() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(growing(), "the upload never began");
    // While it lives the lock is held; the kernel frees it with the process.
    let ended = site.run(EW_EXPORT, "").exit(75);
    assert!(
        ended.stderr.contains("u: Last export still active, skipping current request (pid "),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("sending u_20260301T000000Z.csv"), "{}", ended.stderr);
    // std's kill is SIGKILL.
    first.kill().unwrap();
    first.wait().unwrap();
    proxy.set_plan(Plan::open());
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&server.root().join("in"), &rows);
    assert_eq!(attempts(&site), 2);
}

#[test]
fn kill_9_while_a_slice_is_sent_again_by_hand() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let site = site(&server, proxy.port(), "period = \"1h\"");
    let rows = fill(&site, 4);
    site.run(EW_EXPORT, "").exit(0);
    let folder = server.root().join("in");
    std::fs::remove_file(folder.join("u_20260301T000000Z.csv")).unwrap();
    proxy.set_plan(Plan::rate(100_000));
    let mut first = site.spawn(EW_EXPORT, "u --from 2026-03-01 --to 2026-03-01T01:00");
    let part = folder.join(".u_20260301T000000Z.csv.part");
    let start = std::time::Instant::now();
    while !part.exists() {
        assert!(start.elapsed() < Duration::from_secs(20), "the upload never began");
        std::thread::sleep(Duration::from_millis(5));
    }
    first.kill().unwrap();
    first.wait().unwrap();
    proxy.set_plan(Plan::open());
    // The next run, for what is due, finishes it first, also where the spool was lost meanwhile.
    std::fs::remove_dir_all(site.file("ew.db.spool/jobs")).unwrap();
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&folder, &rows);
}

/// A receiver that falls silent: the lock says for how long and at what, rows come in meanwhile, `--wait`
/// waits, and the time-out ends it.
#[test]
fn a_stuck_export_is_watched_and_stops_nothing_else() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::stall_after(10_000));
    let job = "connection_attempts = 1\ntimeout = \"3s\"";
    let mut site = site(&server, proxy.port(), job);
    site.write("ew.toml", &("[log]\nlock_warn_after = \"500ms\"\n".to_owned() + &site.read("ew.toml")));
    site.now("2026-03-02T00:00:00Z");
    let rows = fill(&site, 1);
    let stuck = site.spawn(EW_EXPORT, "");
    assert!(proxy.wait_for_bytes_up(10_000, Duration::from_secs(20)), "the upload never began");
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let late = "timestamp,point,value\n2026-03-01T23:00:00Z,b,1\n";
    site.run_with_input(log.to_str().unwrap(), "append", late).exit(0);
    site.run(EW_EXPORT, "").exit(75);
    proxy.set_plan(Plan::open());
    let waited = site.run(EW_EXPORT, "--wait 30s --end 2026-03-01T01:00:00Z").exit(0);
    assert!(waited.stderr.contains("u_20260301T000000Z.csv delivered"), "{}", waited.stderr);
    holds_every_row_once(&server.root().join("in"), &rows);
    let output = stuck.wait_with_output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(69), "{stderr}");
    assert!(stderr.contains("Lock acquired: 0 min (sending u_20260301T000000Z.csv to sftp://"), "{stderr}");
}

/// Each run lives a little longer than the one before it, so that death comes at every stage; then one runs
/// to its end.
fn killed_at_many_moments(site: &Site, rounds: u64) {
    for round in 0..rounds {
        let mut run = site.spawn(EW_EXPORT, "");
        std::thread::sleep(Duration::from_millis(3 + round * 8));
        run.kill().unwrap();
        run.wait().unwrap();
    }
    let code = site.run(EW_EXPORT, "").code;
    assert!(code == 0 || code == 66, "{code}");
}

#[test]
fn kill_9_at_many_moments_over_sftp() {
    let server = Sshd::start();
    let site = site(&server, server.port(), "");
    let rows = fill(&site, 40);
    killed_at_many_moments(&site, 30);
    holds_every_row_once(&server.root().join("in"), &rows);
}

#[test]
fn kill_9_at_many_moments_into_a_folder() {
    let folder = "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n\
                  [export.format.csv]\n[export.transport.file]\ndirectory = \"in\"\n";
    let mut site = Site::new(folder);
    site.now("2026-03-02T00:00:00Z");
    let rows = fill(&site, 40);
    killed_at_many_moments(&site, 12);
    holds_every_row_once(&site.file("in"), &rows);
}

//! `ew-export` to real SFTP servers, OpenSSH's and ProFTPD's: refused keys and passwords, lost connections, and kill -9
//! at any moment.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/sshd.rs"]
mod sshd;

use ew::{Ended, Site};
use proftpd::{PASSWORD, Proftpd, USER};
use proxy::{Plan, Proxy};
use sshd::Sshd;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// A job that breaks up quarters into `in` on a server reached at a port by a user with this log-in.
fn job(port: u16, user: &str, login: &str, known_hosts: &str, more: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{more}\n\
         \x20 [export.format.csv]\n  [export.transport.sftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {user:?}\n\
         \x20 {login}\n  known_hosts = {known_hosts:?}\n  directory = \"in\"\n  create_directory = true\n",
    )
}

fn config(server: &Sshd, port: u16, known_hosts: &str, more: &str) -> String {
    job(port, server.user(), &format!("key_file = {:?}", server.key()), known_hosts, more)
}

/// The same to ProFTPD, with the password in a file of the site.
fn password_site(server: &Proftpd, port: u16, more: &str) -> Site {
    let known_hosts = server.known_hosts(port);
    let login = "password = { file = \"password\" }";
    let mut site = Site::new(&job(port, USER, login, known_hosts.to_str().unwrap(), more));
    site.write("password", &format!("{PASSWORD}\n"));
    site.now("2026-03-02T00:00:00Z");
    site
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
    assert_eq!(server.log().matches("Accepted publickey").count(), 1, "{}", server.log());
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
    wait_until_it_grows(&part);
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

/// Runs with every word that the programs have, none of which is the password; nor does anything keep it.
#[track_caller]
fn says_no_password(site: &Site, arguments: &str, password: &str) -> Ended {
    let mut command = site.command(EW_EXPORT, arguments);
    let output = command.args(["-v", "--json"]).env("EW_DEBUG", "1").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    let code = output.status.code().unwrap_or(-1);
    let ended = Ended { stdout: text(output.stdout), stderr: text(output.stderr), code };
    assert!(!ended.stdout.contains(password) && !ended.stderr.contains(password), "{ended:?}");
    assert_eq!(site.files_with(password), [site.file("password")]);
    ended
}

#[test]
fn by_password_to_proftpd_and_again_with_other_content() {
    let server = Proftpd::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let site = password_site(&server, proxy.port(), "filename = \"{job}_{start_utc:%Y%m%dT%H%M%SZ}.{ext}\"");
    let mut rows = fill(&site, 8);
    let folder = server.root().join("in");
    says_no_password(&site, "", PASSWORD).exit(0);
    holds_every_row_once(&folder, &rows);
    assert_eq!(proxy.connections(), 1, "one connection for all slices");
    site.run(EW_EXPORT, "").exit(66);

    // A corrected row takes the place of its file, and what is the same is not sent again.
    let first = "2026-03-01T00:00:00Z";
    rows.insert(first.to_owned(), "12345.5".to_owned());
    let correction = format!("timestamp,point,value\n{first},com.example.hq.total-of-the-building,12345.5\n");
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "append --replace", &correction).exit(0);
    let other = folder.join("u_20260301T001500Z.csv");
    let before = std::fs::metadata(&other).unwrap().modified().unwrap();
    says_no_password(&site, "u --from 2026-03-01 --to 2026-03-01T00:30", PASSWORD).exit(0);
    holds_every_row_once(&folder, &rows);
    assert_eq!(std::fs::metadata(&other).unwrap().modified().unwrap(), before);
}

#[test]
fn a_wrong_password_is_refused_and_nothing_is_sent() {
    let server = Proftpd::start();
    let site = password_site(&server, server.port(), "");
    let rows = fill(&site, 2);
    site.write("password", "swordfish\n");
    let ended = says_no_password(&site, "", "swordfish").exit(77);
    let expect = format!(
        "ew-export: u: cannot send u_20260301T000000Z.csv to sftp ew@127.0.0.1:{}: log in as ew: the server refuses\n",
        server.port()
    );
    assert!(ended.stderr.contains(&expect), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: is the password right"), "{}", ended.stderr);
    assert!(!server.root().join("in").exists());
    assert_eq!(attempts(&site), 1, "a no is not asked for again");
    std::fs::remove_file(site.file("password")).unwrap();
    let ended = site.run(EW_EXPORT, "").exit(78);
    assert!(ended.stderr.contains("read password: cannot read the secret in"), "{}", ended.stderr);
    site.write("password", PASSWORD);
    says_no_password(&site, "", PASSWORD).exit(0);
    holds_every_row_once(&server.root().join("in"), &rows);
}

#[test]
fn an_unknown_key_of_proftpd_is_refused_with_the_line_to_paste() {
    let server = Proftpd::start();
    let site = password_site(&server, server.port(), "");
    let rows = fill(&site, 1);
    let known = server.known_hosts(server.port());
    let line = std::fs::read_to_string(&known).unwrap();
    std::fs::write(&known, "").unwrap();
    let ended = says_no_password(&site, "", PASSWORD).exit(77);
    assert!(ended.stderr.contains("unknown host key ssh-ed25519 SHA256:"), "{}", ended.stderr);
    let pasted =
        ended.stderr.lines().find_map(|said| said.find("[127.0.0.1]:").map(|at| &said[at..])).unwrap();
    assert_eq!(pasted, line.trim_end());
    assert!(!server.log().contains("userauth"), "no log-in was tried: {}", server.log());
    std::fs::write(&known, format!("{pasted}\n")).unwrap();
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&server.root().join("in"), &rows);
}

/// Waits until a file is there and has something in it.
#[track_caller]
fn wait_until_it_grows(path: &Path) {
    let start = std::time::Instant::now();
    while !std::fs::metadata(path).is_ok_and(|file| file.len() > 0) {
        assert!(start.elapsed() < Duration::from_secs(20), "the upload never began");
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn kill_9_in_mid_upload_to_proftpd_and_a_second_run() {
    let server = Proftpd::start();
    let proxy = Proxy::start(server.address(), Plan::rate(100_000));
    let site = password_site(&server, proxy.port(), "period = \"1h\"");
    let rows = fill(&site, 8);
    let mut first = site.spawn(EW_EXPORT, "");
    let folder = server.root().join("in");
    wait_until_it_grows(&folder.join(".u_20260301T000000Z.csv.part"));
    first.kill().unwrap();
    first.wait().unwrap();
    assert!(!folder.join("u_20260301T000000Z.csv").exists());
    proxy.set_plan(Plan::open());
    site.run(EW_EXPORT, "").exit(0);
    holds_every_row_once(&folder, &rows);
    assert_eq!(attempts(&site), 2);
}

#[test]
fn kill_9_at_many_moments_over_sftp_to_proftpd() {
    let server = Proftpd::start();
    let site = password_site(&server, server.port(), "");
    let rows = fill(&site, 40);
    killed_at_many_moments(&site, 30);
    holds_every_row_once(&server.root().join("in"), &rows);
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

/// Jobs run side by side: those whose receivers are stuck or refuse do not keep the next one waiting.
#[test]
fn a_stuck_receiver_and_one_that_refuses_stop_no_other_job() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::stall_after(0));
    let site = site(&server, proxy.port(), "connection_attempts = 1\ntimeout = \"20s\"");
    let stuck = site.read("ew.toml");
    let refused = stuck
        .replace("\"u\"", "\"refused\"")
        .replace(&proxy.port().to_string(), &server.port().to_string())
        .replace(
            "  known_hosts =",
            "  host_key = \"SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"\n  known_hosts =",
        );
    let fine = "[[export]]\nname = \"fine\"\npoints = [\"**\"]\n[export.format.csv]\n\
                [export.transport.file]\ndirectory = \"out\"\n";
    site.write("ew.toml", &(stuck + &refused + fine));
    fill(&site, 1);
    let mut run = site.spawn(EW_EXPORT, "--parallel 2");
    let start = std::time::Instant::now();
    while site.names("out") != ["fine_20260301T000000Z.csv"] {
        assert!(start.elapsed() < Duration::from_secs(15), "the third job never ran");
        assert_eq!(run.try_wait().unwrap(), None, "the stuck job ended too early");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(run.try_wait().unwrap(), None, "the stuck job ended too early");
    run.kill().unwrap();
    run.wait().unwrap();
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

/// What a killed run left under a final name is its own to finish.
#[test]
fn kill_9_at_many_moments_where_nothing_can_be_renamed() {
    let home = tempfile::tempdir().unwrap();
    let server =
        Sshd::start_with(&format!("ForceCommand internal-sftp -P rename -d {}", home.path().display()));
    let proxy = Proxy::start(server.address(), Plan::rate(1_000_000));
    let site = site(&server, proxy.port(), "");
    let rows = fill(&site, 40);
    killed_at_many_moments(&site, 40);
    holds_every_row_once(&home.path().join("in"), &rows);
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

//! `ew-ledger verify` against what people and receivers do to delivered files: on a folder, and on real SFTP servers.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use export::{append, config, ledger, run};
use proftpd::{PASSWORD, Proftpd, STRANGER};
use proxy::{Plan, Proxy};
use serde_json::Value;
use sshd::Sshd;
use std::path::Path;

const FILES: [&str; 3] = ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv", "u_20260301T003000Z.csv"];

/// Three slots delivered.
fn deliver(mut site: Site) -> Site {
    append(&site, "01:00 a 1\n 02:00 b 2\n 16:00 a 3\n 31:00 a 4");
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(0);
    site
}

fn in_folder(job: &str) -> Site {
    deliver(Site::new(&config(&format!("breakup_on_period = true\n{job}"), "csv]")))
}

fn sftp(port: u16, user: &str, login: &str, known_hosts: &Path) -> String {
    config("breakup_on_period = true\nconnection_attempts = 1", "csv]").replace(
        "  [export.transport.file]\n  directory = \"out\"\n",
        &format!(
            "  [export.transport.sftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {user:?}\n  {login}\n\
             \x20 known_hosts = {known_hosts:?}\n  directory = \"in\"\n"
        ),
    )
}

/// Delivered to OpenSSH's server, into the folder `in`.
fn over_ssh(server: &Sshd) -> Site {
    through(server, server.port())
}

/// The same by a way of its own.
fn through(server: &Sshd, port: u16) -> Site {
    std::fs::create_dir_all(server.root().join("in")).unwrap();
    let site = Site::new("");
    // Kept here, so that they are there when the server is not.
    std::fs::copy(server.key(), site.file("key")).unwrap();
    site.write("known_hosts", &server.known_hosts_line("ed25519", port));
    let login = "key_file = \"key\"";
    site.write("ew.toml", &sftp(port, server.user(), login, Path::new("known_hosts")));
    deliver(site)
}

/// Each slice's outcome, each extra file, and the level; with the exit code that this must end with.
#[track_caller]
fn verify(site: &Site, arguments: &str, code: i32) -> (Vec<String>, Vec<String>, Value) {
    let ended = run(site, "ew-ledger", &format!("verify {arguments} --json")).exit(code);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    let job = &found["jobs"][0];
    let texts = |key: &str, one: &dyn Fn(&Value) -> String| {
        job[key].as_array().unwrap().iter().map(one).collect::<Vec<_>>()
    };
    let outcome = |slice: &Value| slice["outcome"].as_str().unwrap().to_owned();
    (
        texts("slices", &outcome),
        texts("extra", &|name| name.as_str().unwrap().to_owned()),
        job["level"].clone(),
    )
}

fn states(site: &Site) -> Vec<String> {
    ledger(site).iter().map(|line| line.rsplit(' ').next().unwrap().to_owned()).collect()
}

/// What can happen to files, as `verify` names it: the same on every receiver that lets itself be seen.
fn damaged_in_every_way(site: &Site, folder: &Path) {
    assert_eq!(verify(site, "", 0), (["hash"; 3].map(str::to_owned).to_vec(), vec![], Value::from("hash")));
    assert_eq!(states(site), ["verified"; 3]);
    assert_eq!(verify(site, "--level size", 0).0, ["size"; 3]);

    let file = |name: &str| folder.join(name);
    let text = std::fs::read_to_string(file(FILES[0])).unwrap();
    std::fs::write(file(FILES[0]), text.replace(",1,", ",7,")).unwrap();
    std::fs::write(file(FILES[1]), "timest").unwrap();
    std::fs::remove_file(file(FILES[2])).unwrap();
    std::fs::write(file("stranger.csv"), "x").unwrap();
    std::fs::write(file(&format!(".{}.part", FILES[1])), "x").unwrap();
    // Not extra: a log-in's own, a folder, a manifest.
    std::fs::write(file(".profile"), "x").unwrap();
    std::fs::write(file(&format!("{}.manifest.json", FILES[0])), "{}").unwrap();
    std::fs::create_dir(file("archive")).unwrap();

    // Of the same size it shows only when read.
    assert_eq!(verify(site, "--level size", 1).0, ["size", "altered", "missing"]);
    assert_eq!(states(site), ["verified", "placed", "placed"]);
    let extra = vec![format!(".{}.part", FILES[1]), "stranger.csv".to_owned()];
    assert_eq!(
        verify(site, "", 1),
        (vec!["altered".into(), "altered".into(), "missing".into()], extra, Value::Null)
    );
    assert_eq!(states(site), ["placed"; 3]);
    let text = run(site, "ew-ledger", "verify").exit(1).stdout;
    for part in [
        "its content is another, with sha256 ",
        "6 bytes are there, ",
        "it is not there",
        "u: slices 3: missing 1, altered 2; extra files 2",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    let status = run(site, "ew-ledger", "status --json").exit(1).stdout;
    assert!(status.contains("missing at the receiver: it is not there"), "{status}");

    // Sent again, all is well: the receiver's own files are somebody's to take away.
    for name in [FILES[0], FILES[1], "stranger.csv", &extra_part()] {
        std::fs::remove_file(file(name)).unwrap();
    }
    run(site, "ew-ledger", &format!("resend u {}", FILES.join(" "))).exit(0);
    assert_eq!(verify(site, "", 0).0, ["hash"; 3]);
    run(site, "ew-ledger", "verify -q").exit(0).stdout("").stderr("");
    assert_eq!(states(site), ["verified"; 3]);
}

fn extra_part() -> String {
    format!(".{}.part", FILES[1])
}

#[test]
fn a_folder_damaged_in_every_way() {
    let site = in_folder("");
    damaged_in_every_way(&site, &site.file("out"));
}

/// A manifest goes with its file: what is wrong with it is told, kept, and put right by sending both again.
#[test]
fn manifests_are_looked_at_too() {
    let site = in_folder("manifest = true");
    let text = run(&site, "ew-ledger", "verify").exit(0).stdout;
    assert!(text.ends_with("u: slices 3: hash 3; manifests 3: hash 3\n"), "{text}");
    assert_eq!(states(&site), ["verified"; 3]);
    let manifest = |nth: usize| site.file("out").join(format!("{}.manifest.json", FILES[nth]));
    let text = std::fs::read_to_string(manifest(0)).unwrap();
    std::fs::write(manifest(0), text.replace("\"rows\": 2", "\"rows\": 3")).unwrap();
    std::fs::remove_file(manifest(1)).unwrap();
    // Of the same size it shows only when read.
    let of_size = run(&site, "ew-ledger", "verify -q --level size").exit(1).stdout;
    assert!(of_size.ends_with("u: slices 3: size 3; manifests 3: size 2, missing 1\n"), "{of_size}");
    let text = run(&site, "ew-ledger", "verify -q").exit(1).stdout;
    for part in [
        "u_20260301T000000Z.csv.manifest.json  2026-03-01T00:00:00Z  0    altered  its content is another",
        "u_20260301T001500Z.csv.manifest.json  2026-03-01T00:15:00Z  0    missing  it is not there",
        "u: slices 3: hash 3; manifests 3: hash 1, missing 1, altered 1",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert!(!text.contains(".csv  "), "{text}");
    let ended = run(&site, "ew-ledger", "verify --json").exit(1).stdout;
    let found: Value = serde_json::from_str(&ended).unwrap();
    let second = &found["jobs"][0]["slices"][1];
    assert_eq!((&second["outcome"], &second["manifest"]["outcome"]), (&"hash".into(), &"missing".into()));
    assert_eq!(states(&site), ["placed", "placed", "verified"]);
    let status = run(&site, "ew-ledger", "status --json").exit(1).stdout;
    assert!(status.contains("its manifest is missing at the receiver: it is not there"), "{status}");

    std::fs::remove_file(manifest(0)).unwrap();
    run(&site, "ew-ledger", &format!("resend u {} {}", FILES[0], FILES[1])).exit(0);
    run(&site, "ew-ledger", "verify -q").exit(0).stdout("");
    run(&site, "ew-ledger", "status").exit(0);
    // Taken away with its file.
    site.write("ew.toml", &site.read("ew.toml").replace("manifest = true", "manifest = true\ntaken = true"));
    std::fs::remove_file(manifest(2)).unwrap();
    std::fs::remove_file(site.file("out").join(FILES[2])).unwrap();
    let text = run(&site, "ew-ledger", "verify").exit(0).stdout;
    assert!(text.ends_with("u: slices 3: hash 2, taken 1; manifests 3: hash 2, taken 1\n"), "{text}");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_told() {
    let server = Sshd::start();
    for (site, folder) in
        [(over_ssh(&server), server.root().join("in")), (in_folder(""), Path::new("out").to_owned())]
    {
        let file = site.path().join(&folder).join(FILES[1]);
        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        assert_eq!(verify(&site, "", 1).0, ["hash", "altered", "hash"]);
        let text = run(&site, "ew-ledger", "verify -q --level listed").exit(1).stdout;
        assert!(text.contains("altered  a directory stands there"), "{text}");
    }
}

#[test]
fn a_server_damaged_in_every_way() {
    let server = Sshd::start();
    let site = over_ssh(&server);
    damaged_in_every_way(&site, &server.root().join("in"));
    // One connection for all that is asked.
    let before = server.log().matches("Accepted publickey").count();
    verify(&site, "", 0);
    assert_eq!(server.log().matches("Accepted publickey").count(), before + 1);
}

/// Servers that let less be seen, one after the other with the same files behind them.
#[test]
fn a_server_that_forbids_requests_proves_less_and_never_more() {
    let whole = Sshd::start();
    let site = over_ssh(&whole);
    std::fs::remove_file(whole.root().join("in").join(FILES[1])).unwrap();
    for (forbidden, there, gone) in [
        ("opendir", "hash", "missing"),
        ("stat,lstat,fstat", "hash", "missing"),
        ("opendir,stat,lstat,fstat", "hash", "missing"),
        ("open,read", "size", "missing"),
        ("opendir,open", "size", "missing"),
        ("opendir,stat,lstat,fstat,open", "unverifiable", "unverifiable"),
    ] {
        let home = whole.root();
        let server =
            Sshd::start_with(&format!("ForceCommand internal-sftp -P {forbidden} -d {}", home.display()));
        let known_hosts = server.known_hosts(&["ed25519"], server.port());
        let login = format!("key_file = {:?}", server.key());
        site.write("ew.toml", &sftp(server.port(), server.user(), &login, &known_hosts));
        let destination = format!("sftp://{}@127.0.0.1:{}/~/in", server.user(), server.port());
        sqlite(&site, &format!("update slice set destination = '{destination}'"));
        sqlite(&site, &format!("update file_name set destination = '{destination}'"));
        let (outcomes, ..) = verify(&site, "", 1);
        assert_eq!(outcomes, [there, gone, there], "{forbidden}");
        // What is asked for and not proved is not good, though no file is known to be wrong.
        let code = i32::from(there != "hash");
        let range = "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
        verify(&site, &format!("{range} --level hash"), code);
        verify(&site, &format!("{range} --level size"), i32::from(there == "unverifiable"));
    }
}

/// Changes the log behind the back of the programs.
fn sqlite(site: &Site, sql: &str) {
    let status = std::process::Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap();
    assert!(status.success());
}

/// A directory to write into and not to look into: ProFTPD's stranger is nobody special.
#[test]
fn a_drop_box_is_unverifiable_and_never_good() {
    let server = Proftpd::start();
    let folder = server.strangers_directory("in", 0o700);
    let known_hosts = server.known_hosts(server.port());
    let site = Site::new(&sftp(server.port(), STRANGER, "password = { file = \"password\" }", &known_hosts));
    site.write("password", PASSWORD);
    let site = deliver(site);
    let mode = |mode| {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    assert_eq!(verify(&site, "", 0).0, ["hash"; 3]);
    // Names cannot be listed, yet files can be asked for by name.
    mode(0o300);
    assert_eq!(verify(&site, "", 0).0, ["hash"; 3]);
    std::fs::remove_file(folder.join(FILES[1])).unwrap();
    assert_eq!(verify(&site, "", 1).0, ["hash", "missing", "hash"]);
    // Nothing at all.
    mode(0o200);
    let (outcomes, extra, level) = verify(&site, "", 1);
    assert_eq!(
        (outcomes, extra, level),
        (["unverifiable"; 3].map(str::to_owned).to_vec(), vec![], Value::Null)
    );
    let text = run(&site, "ew-ledger", "verify -q").exit(1).stdout;
    assert!(text.contains("u: slices 3: unverifiable 3"), "{text}");
    // What was proved before stays: it is not known to be otherwise.
    assert_eq!(states(&site), ["verified", "placed", "verified"]);
}

#[test]
fn files_that_are_taken_away_are_not_missing_where_the_job_says_so() {
    let site = in_folder("taken = true");
    assert_eq!(verify(&site, "", 0).0, ["hash"; 3]);
    std::fs::remove_file(site.file("out").join(FILES[0])).unwrap();
    assert_eq!(verify(&site, "", 0).0, ["taken", "hash", "hash"]);
    std::fs::write(site.file("out").join(FILES[1]), "cut").unwrap();
    assert_eq!(verify(&site, "", 1).0, ["taken", "altered", "hash"]);
    assert_eq!(states(&site), ["verified", "placed", "verified"]);
}

#[test]
fn a_receiver_that_is_away_is_69_and_takes_nothing_from_what_was_proved() {
    let server = Sshd::start();
    let site = over_ssh(&server);
    verify(&site, "", 0);
    drop(server);
    let ended = run(&site, "ew-ledger", "verify --json").exit(69);
    assert!(ended.stderr.contains("ew-ledger: u: cannot look at sftp "), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(found["jobs"][0]["slices"][2]["outcome"], "unverifiable");
    assert!(found["jobs"][0]["error"].as_str().unwrap().contains("cannot look at"));
    assert_eq!(states(&site), ["verified"; 3]);

    // So is a folder that is not there: a share that is not mounted.
    let site = in_folder("");
    std::fs::rename(site.file("out"), site.file("away")).unwrap();
    let ended = run(&site, "ew-ledger", "verify").exit(69);
    assert!(ended.stderr.contains("is no directory"), "{}", ended.stderr);
}

/// The folder is made by the first delivery: before it there is nothing to look for, and nothing is wrong.
#[test]
fn before_the_first_delivery_there_is_nothing_to_verify() {
    let site = Site::new(&config("", "csv]"));
    run(&site, "ew-export", "").exit(66);
    let ended = run(&site, "ew-ledger", "verify").exit(66);
    assert!(!ended.stderr.contains("cannot look"), "{}", ended.stderr);
}

#[test]
fn a_line_that_drops_is_taken_up_again_and_one_that_is_silent_ends() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let site = through(&server, proxy.port());
    // Enough for the log-in and the first of three files.
    let (before, used) = (proxy.connections(), proxy.bytes_up());
    run(&site, "ew-ledger", "verify u --to 2026-03-01T00:15:00Z").exit(0);
    let one = proxy.bytes_up() - used;
    assert_eq!(proxy.connections(), before + 1);
    proxy.set_plan(Plan::cut_after(one - 100));
    assert_eq!(verify(&site, "", 0).0, ["hash"; 3]);
    assert!(proxy.connections() > before + 2);
    site.write("ew.toml", &site.read("ew.toml").replace("connection_attempts = 1", "timeout = \"1s\""));
    proxy.set_plan(Plan::stall_after(one / 4));
    let ended = run(&site, "ew-ledger", "verify").exit(69);
    assert!(ended.stderr.contains("no answer in time"), "{}", ended.stderr);
}

#[test]
fn a_mailbox_cannot_be_looked_into() {
    let site = in_folder("");
    let mail = "  [export.transport.smtp]\n  host = \"127.0.0.1\"\n  security = \"none\"\n  from = \"a@example.com\"\n  to = [\"b@example.com\"]\n";
    let text = site.read("ew.toml");
    site.write("ew.toml", &text.replace("  [export.transport.file]\n  directory = \"out\"\n", mail));
    let ended = run(&site, "ew-ledger", "verify").exit(1);
    assert!(ended.stdout.contains("it went to file://"), "{}", ended.stdout);
    sqlite(&site, "update slice set destination = 'smtp://127.0.0.1:25/b@example.com'");
    let ended = run(&site, "ew-ledger", "verify").exit(1);
    assert!(ended.stdout.contains("this receiver cannot be looked into"), "{}", ended.stdout);
    assert!(ended.stdout.contains("u: slices 3: unverifiable 3"), "{}", ended.stdout);
}

#[test]
fn revisions_a_range_and_a_level_that_is_not_reached() {
    let site = in_folder("");
    append(&site, "01:00 a 100");
    run(&site, "ew-export", "").exit(0);
    // The superseded file stands beside its revision: nobody took it away.
    assert_eq!(verify(&site, "", 0).0, ["hash"; 4]);
    assert_eq!(states(&site), ["superseded", "verified", "verified", "verified"]);
    let shown = run(&site, "ew-ledger", &format!("show u {} --json", FILES[0])).exit(0).stdout;
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["revisions"][0]["proof"], "hash");
    assert_eq!(shown["revisions"][1]["verified_at"], "2026-03-01T00:45:00Z");
    std::fs::remove_file(site.file("out").join(FILES[0])).unwrap();
    assert_eq!(verify(&site, "", 1).0, ["missing", "hash", "hash", "hash"]);
    assert_eq!(states(&site)[0], "superseded");
    // Tuesday, and nothing else.
    site.write("out/stranger.csv", "x");
    let range = "u --from 2026-03-01T00:15 --to 2026-03-01T00:30";
    assert_eq!(verify(&site, range, 0), (vec!["hash".to_owned()], vec![], Value::from("hash")));
    run(&site, "ew-ledger", "verify --from 2026-03-02 --to 2026-03-03").exit(66);
    run(&site, "ew-ledger", "verify nobody").exit(2);
    run(&site, "ew-ledger", "verify --level good").exit(2);
    // Sent elsewhere since.
    site.write("ew.toml", &site.read("ew.toml").replace("\"out\"", "\"new\""));
    std::fs::create_dir(site.file("new")).unwrap();
    assert_eq!(verify(&site, "", 1).0, ["unverifiable"; 4]);
}

/// Verified is placed and more: all that is done with a placed slice is done with a verified one.
#[test]
fn a_verified_slice_goes_on_like_a_placed_one() {
    let mut site = in_folder("");
    verify(&site, "", 0);
    run(&site, "ew-log", "check").exit(0);
    run(&site, "ew-ledger", "audit").exit(0);
    run(&site, "ew-export", "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z").exit(0);
    run(&site, "ew-ledger", "resend u --from 2026-03-01T00:15:00Z --to 2026-03-01T00:30:00Z").exit(0);
    assert_eq!(states(&site), ["placed", "placed", "verified"]);
    verify(&site, "", 0);
    append(&site, "02:30 a 9\n 46:00 a 5");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(states(&site), ["superseded", "placed", "verified", "verified", "placed"]);
    run(&site, "ew-ledger", "skip u 2026-03-01T00:15:00Z no").exit(2);
    verify(&site, "", 0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(0);
    run(&site, "ew-ledger", "audit").exit(0);
    append(&site, "16:30 a 9");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "audit").exit(0);
    assert_eq!(verify(&site, "", 0).0, ["hash"; 6]);
    let status = run(&site, "ew-ledger", "status --json").exit(0).stdout;
    assert_eq!(serde_json::from_str::<Value>(&status).unwrap()["jobs"][0]["open"], 0);
}

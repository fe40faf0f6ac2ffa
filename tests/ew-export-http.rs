//! `ew-export` over HTTP to a real nginx, and by commands, the examples of README: whole slices, lost replies, a receiver that asks
//! to be left alone, and kill -9 at any moment.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/nginx.rs"]
mod nginx;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/told.rs"]
mod told;

use ew::Site;
use export::{EW_EXPORT, append, ledger, run};
use nginx::{Nginx, PASSWORD, USER};
use proxy::{Plan, Proxy};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

/// A job `u` of quarters with this transport.
fn site(transport: &str, more: &str) -> Site {
    let mut site = Site::new(&format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{more}\n[export.format.csv]\n\
         [export.transport.{transport}\n"
    ));
    site.now("2026-03-01T02:00:00Z");
    append(&site, "00:00 a 1\n 20:00 a 2\n 40:00 a 3");
    site
}

/// Name and content of each file there.
fn received(folder: &Path) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

fn all() -> Vec<(String, String)> {
    [("000000", "00:00", 1), ("001500", "20:00", 2), ("003000", "40:00", 3)]
        .map(|(slot, time, value)| {
            (format!("u_20260301T{slot}Z.csv"), format!("timestamp,a\n2026-03-01T00:{time}Z,{value}\n"))
        })
        .to_vec()
}

/// The receipt of the only revision of a slice.
fn receipt(site: &Site, slice: &str) -> Value {
    let shown = run(site, "ew-ledger", &format!("show u {slice} --json")).exit(0).stdout;
    serde_json::from_str::<Value>(&shown).unwrap()["revisions"][0]["receipt"].clone()
}

fn dav(nginx: &Nginx, more: &str) -> Site {
    let url = nginx.tls_url("/in/");
    let ca_file = nginx.ca_file();
    site(
        &format!(
            "http]\nurl = {url:?}\nrename = true\nuser = {USER:?}\npassword = {PASSWORD:?}\nca_file = {ca_file:?}\n{more}"
        ),
        "",
    )
}

#[test]
fn slices_arrive_over_webdav_and_are_verified_there() {
    let nginx = Nginx::start();
    let site = dav(&nginx, "");
    run(&site, "ew-export", "-q").exit(0).stderr("");
    assert_eq!(received(&nginx.folder("in")), all());
    let receipt = receipt(&site, "u_20260301T000000Z.csv");
    assert_eq!(receipt["destination"], nginx.tls_url("/in/"));
    assert_eq!(receipt["path"], nginx.tls_url("/in/u_20260301T000000Z.csv"));
    assert_eq!((receipt["how"].as_str(), receipt["checked"].as_str()), (Some("sent"), Some("size")));
    // Nothing is sent twice.
    run(&site, "ew-export", "").exit(66);
    assert_eq!(nginx.asked("PUT", 3).len(), 3);
    let verified = run(&site, "ew-ledger", "verify").exit(0).stdout;
    assert!(verified.ends_with("u: slices 3: hash 3\n"), "{verified}");
    fs::write(nginx.folder("in/u_20260301T001500Z.csv"), "altered").unwrap();
    fs::remove_file(nginx.folder("in/u_20260301T003000Z.csv")).unwrap();
    let verified = run(&site, "ew-ledger", "verify").exit(1).stdout;
    assert!(verified.contains("altered") && verified.contains("missing"), "{verified}");
    let probe = run(&site, "ew-export", "--check --probe").exit(0).stdout;
    assert!(probe.contains("rename"), "{probe}");
}

/// SIGKILL at each step's boundary: the next run ends with each file once, whole, and nothing beside it.
#[test]
fn killed_anywhere_each_file_is_there_once() {
    let nginx = Nginx::start();
    for (round, boundary) in
        ["rendered", "recorded", "opened", "written", "marked", "renamed", "delivered", "placed"]
            .iter()
            .enumerate()
    {
        let folder = nginx.folder("in");
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
        let site = dav(&nginx, "");
        let mut command = site.command(EW_EXPORT, "");
        command.env("EW_CRASH", format!("{boundary}:{}", round % 3 + 1));
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), None, "{boundary}: it was to be killed");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(received(&folder), all(), "{boundary}");
    }
}

#[test]
fn a_lost_reply_is_looked_after_and_not_sent_again() {
    let nginx = Nginx::start();
    // The answer to the first PUT never comes: its body is the last thing that was let through.
    let proxy = Proxy::start(nginx.address(), Plan::open());
    let to = |port: u16| {
        site(&format!("http]\nurl = \"http://127.0.0.1:{port}/open/\""), "connection_attempts = 1")
    };
    run(&to(proxy.port()), "ew-export", "").exit(0);
    let each = proxy.bytes_up() / 3;
    for file in received(&nginx.folder("open")) {
        fs::remove_file(nginx.folder("open").join(file.0)).unwrap();
    }
    // HEAD, PUT, HEAD: cut between the PUT and what follows it.
    let proxy = Proxy::start(nginx.address(), Plan::deafen_after(each / 2));
    let site = to(proxy.port());
    let ended = run(&site, "ew-export", "").exit(69);
    assert!(
        ended.stderr.contains("PUT /open/u_20260301T000000Z.csv: the connection was lost"),
        "{}",
        ended.stderr
    );
    assert_eq!(ledger(&site), ["u_20260301T000000Z.csv 00:00-15:00 r0 1 failed"]);
    proxy.set_plan(Plan::open());
    run(&site, "ew-export", "").exit(0);
    assert_eq!(received(&nginx.folder("open")), all());
    assert_eq!(receipt(&site, "u_20260301T000000Z.csv")["how"], "found");
    let puts = nginx.asked("PUT", 6);
    let first = puts.iter().filter(|put| put["path"] == "/open/u_20260301T000000Z.csv").count();
    assert_eq!(first, 2, "once by each of the two sites");
}

/// Two seconds are waited for within the run; two minutes are left to the next one.
#[test]
fn a_receiver_that_asks_to_be_left_alone() {
    let nginx = Nginx::start();
    let to = |path: &str| site(&format!("http]\nurl = {:?}", nginx.url(path)), "connection_attempts = 2");
    let ended = run(&to("/busy/"), "ew-export", "").exit(69);
    assert!(ended.stderr.contains("503 Service Unavailable"), "{}", ended.stderr);
    assert!(ended.stderr.contains("it asks to be left alone for 120 s"), "{}", ended.stderr);
    assert_eq!(nginx.asked("HEAD", 1).len(), 1);
    let ended = run(&to("/slow-down/"), "ew-export", "-v").exit(69);
    assert!(ended.stderr.contains("429 Too Many Requests"), "{}", ended.stderr);
    assert!(ended.stderr.contains("trying again in 2.0 s"), "{}", ended.stderr);
    assert_eq!(nginx.asked("HEAD", 3).len(), 3);
}

#[test]
fn posts_have_a_key_that_stays() {
    let nginx = Nginx::start();
    let proxy = Proxy::start(nginx.address(), Plan::deafen_after(10));
    let url = format!("http://127.0.0.1:{}/post?name={{name}}", proxy.port());
    let site = site(&format!("http]\nurl = {url:?}\nform_field = \"file\""), "connection_attempts = 1");
    run(&site, "ew-export", "").exit(69);
    proxy.set_plan(Plan::open());
    run(&site, "ew-export", "").exit(0);
    let posts = nginx.asked("POST", 4);
    let keys: Vec<&str> = posts.iter().map(|post| post["key"].as_str().unwrap()).collect();
    assert!(keys[0] == keys[1] && keys[1] != keys[2] && keys[2] != keys[3], "{keys:?}");
    let verified = run(&site, "ew-ledger", "verify").exit(1).stdout;
    assert!(verified.contains("unverifiable 3"), "{verified}");
}

/// The line of README that runs this program, as a job's transport.
fn example(program: &str) -> String {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md")).unwrap();
    let start = format!("command = [\"{program}\"");
    let line =
        readme.lines().map(|line| line.trim_start_matches([' ', '#'])).find(|line| line.starts_with(&start));
    format!("command]\n{}\n", line.unwrap_or_else(|| panic!("README has no example of {program}")))
}

#[test]
fn curl_gets_the_file_on_its_stdin() {
    let nginx = Nginx::start();
    let curl = example("curl").replace("https://portal.example.com/in/", &nginx.tls_url("/in/"));
    let curlrc = |password: &str| {
        format!("user = \"{USER}:{password}\"\ncacert = {:?}\nheader = \"Expect:\"\n", nginx.ca_file())
    };
    let site = site(&curl, "");
    site.write("curlrc", &curlrc("wrong"));
    let ended = run(&site, "ew-export", "").exit(69);
    assert!(
        ended
            .stderr
            .contains("to command curl: it ended with 22: curl: (22) The requested URL returned error: 401"),
        "{}",
        ended.stderr
    );
    site.write("curlrc", &curlrc(PASSWORD));
    run(&site, "ew-export", "--check --probe").exit(0);
    run(&site, "ew-export", "-q").exit(0).stderr("");
    assert_eq!(received(&nginx.folder("in")), all());
    let receipt = receipt(&site, "u_20260301T000000Z.csv");
    assert_eq!((receipt["how"].as_str(), receipt["checked"].as_str()), (Some("sent"), Some("reply")));
    assert_eq!(receipt["path"], "u_20260301T000000Z.csv");
    run(&site, "ew-export", "").exit(66);
    let verified = run(&site, "ew-ledger", "verify").exit(1).stdout;
    assert!(verified.contains("unverifiable 3"), "{verified}");
}

/// A lost connection says nothing of the other files; a receiver that never answers is not asked for all of them.
#[test]
fn verify_asks_on_after_a_lost_connection() {
    let (lost, asked) = (Arc::new(Mutex::new(Vec::<&str>::new())), Arc::new(AtomicU32::new(0)));
    let (losing, counted) = (Arc::clone(&lost), Arc::clone(&asked));
    let mut files = std::collections::HashMap::<String, Vec<u8>>::new();
    let port = told::start(move |method, path, body| {
        counted.fetch_add(1, Ordering::SeqCst);
        if losing.lock().unwrap().iter().any(|name| path.contains(name)) {
            return String::new();
        }
        match (method, files.get(path)) {
            ("PUT", _) => {
                files.insert(path.to_owned(), body.to_owned());
                told::with("201 Created", b"")
            }
            ("HEAD", Some(file)) => {
                format!("200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", file.len())
            }
            (_, Some(file)) => told::with("200 OK", file),
            (_, None) => told::with("404 Not Found", b""),
        }
    });
    let site = site(&format!("http]\nurl = \"http://127.0.0.1:{port}/in/\""), "");
    append(&site, "50:00 a 4\n 59:00 a 5");
    site.write(
        "ew.toml",
        &site
            .read("ew.toml")
            .replace("breakup_on_period = true", "breakup_on_period = true\nperiod = \"5m\""),
    );
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "verify").exit(0);
    *lost.lock().unwrap() = vec!["T002000Z"];
    let ended = run(&site, "ew-ledger", "verify").exit(1);
    assert!(ended.stdout.ends_with("u: slices 5: hash 4, unverifiable 1\n"), "{}", ended.stdout);
    assert!(ended.stdout.contains("the connection was lost"), "{}", ended.stdout);
    *lost.lock().unwrap() = vec!["T"];
    asked.store(0, Ordering::SeqCst);
    let ended = run(&site, "ew-ledger", "verify").exit(69);
    assert!(
        ended.stderr.contains("so it went with 3 files in a row, and no more was asked"),
        "{}",
        ended.stderr
    );
    assert_eq!(asked.load(Ordering::SeqCst), 6, "each of three files twice");
}

/// A remote that is a folder; rclone makes what is missing there.
#[test]
fn rclone_brings_it_to_a_remote() {
    let keys = "environment = { RCLONE_CONFIG = \"none\", RCLONE_CONFIG_DROP_TYPE = \"alias\", RCLONE_CONFIG_DROP_REMOTE = \"drop\" }";
    let site = site(&format!("{}{keys}", example("rclone")), "");
    let toml = site.read("ew.toml");
    site.write("ew.toml", &toml.replace("DROP_TYPE", "DRIP_TYPE"));
    let ended = run(&site, "ew-export", "").exit(69);
    assert!(ended.stderr.contains("to command rclone: it ended with 1: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("didn't find section in config file"), "{}", ended.stderr);
    site.write("ew.toml", &toml);
    run(&site, "ew-export", "-q").exit(0);
    assert_eq!(received(&site.file("drop/in")), all());
}

/// The far side is this machine: in place of ssh a script starts rsync's other half in its folder.
#[test]
fn rsync_brings_it_to_another_machine() {
    let site = site(&format!("{}environment = {{ RSYNC_RSH = \"sh rsh\" }}", example("rsync")), "");
    site.write("rsh", "test \"$1\" = drop && shift && cd drop && exec \"$@\"\n");
    let ended = run(&site, "ew-export", "").exit(69);
    assert!(ended.stderr.contains("to command rsync: it ended with 12: "), "{}", ended.stderr);
    fs::create_dir_all(site.file("drop/in")).unwrap();
    run(&site, "ew-export", "-q").exit(0);
    assert_eq!(received(&site.file("drop/in")), all());
}

#[test]
fn gpg_encrypts_it_into_a_folder() {
    let site = site(&format!("{}environment = {{ GNUPGHOME = \"keys\" }}", example("gpg")), "");
    let keys = site.file("keys");
    fs::create_dir(&keys).unwrap();
    fs::create_dir(site.file("outgoing")).unwrap();
    fs::set_permissions(&keys, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let gpg = |program: &str, words: &[&str]| {
        let ended = site.command(program, "").args(words).env("GNUPGHOME", &keys).output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
        String::from_utf8(ended.stdout).unwrap()
    };
    let ended = run(&site, "ew-export", "").exit(69);
    assert!(ended.stderr.contains("to command gpg: it ended with 2: "), "{}", ended.stderr);
    assert!(ended.stderr.contains("utility: skipped: No public key"), "{}", ended.stderr);
    assert!(received(&site.file("outgoing")).is_empty());
    gpg("gpg", &["--batch", "--passphrase", "", "--quick-gen-key", "utility@example.com", "future-default"]);
    run(&site, "ew-export", "-q").exit(0);
    for (name, content) in all() {
        let encrypted = site.file("outgoing").join(format!("{name}.gpg"));
        assert!(!fs::read(&encrypted).unwrap().windows(5).any(|text| text == b"stamp"));
        assert_eq!(gpg("gpg", &["-q", "--batch", "-d", encrypted.to_str().unwrap()]), content);
    }
    gpg("gpgconf", &["--kill", "gpg-agent"]);
}

//! The SFTP transporter beyond what holds for every transporter: passwords, requests, and what each failure says.
#![allow(clippy::unwrap_used)]

#[path = "support/asker.rs"]
mod asker;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/spool.rs"]
mod spool;
#[path = "support/sshd.rs"]
mod sshd;

use asker::Asker;
use ew_core::Exit;
use ew_transport::{Checked, ErrorKind, How, Parcel, TransportOptions, Transporter};
use proftpd::{PASSWORD, Proftpd, STRANGER, USER};
use proxy::{Plan, Proxy};
use spool::{Spool, open, open_with, options};
use sshd::Sshd;
use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// By password.
fn by_password(port: u16, known_hosts: PathBuf, user: &str, password: &str, more: &str) -> TransportOptions {
    options(&format!(
        "[sftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {user:?}\npassword = {password:?}\n\
         known_hosts = {known_hosts:?}\n{more}"
    ))
}

fn to_proftpd(server: &Proftpd, user: &str, password: &str, more: &str) -> TransportOptions {
    by_password(server.port(), server.known_hosts(server.port()), user, password, more)
}

/// To OpenSSH, by key.
fn to_sshd(server: &Sshd, port: u16, more: &str) -> TransportOptions {
    options(&format!(
        "[sftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {:?}\nkey_file = {:?}\nknown_hosts = {:?}\n{more}",
        server.user(),
        server.key(),
        server.known_hosts(&["ed25519"], port)
    ))
}

#[test]
fn a_wrong_password_is_a_refusal_that_does_not_show_it() {
    let server = Proftpd::start();
    for (user, password) in [(USER, "swordfish"), ("nobody-there", PASSWORD)] {
        let options = to_proftpd(&server, user, password, "");
        let error = open(&options).deliver(&Spool::new("x").parcel("a.csv")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        let expect = format!(
            "cannot send a.csv to sftp {user}@127.0.0.1:{}: log in as {user}: the server refuses",
            server.port()
        );
        assert_eq!(error.to_string(), expect);
        assert!(error.hint().unwrap().contains("is the password right"), "{:?}", error.hint());
        assert!(!format!("{error:?}{options:?}").contains(password), "{error:?}{options:?}");
    }
    assert!(fs::read_dir(server.root()).unwrap().next().is_none());
    // OpenSSH here takes no passwords at all.
    let sshd = Sshd::start();
    let known_hosts = sshd.known_hosts(&["ed25519"], sshd.port());
    let options = by_password(sshd.port(), known_hosts, sshd.user(), PASSWORD, "");
    let error = open(&options).deliver(&Spool::new("x").parcel("a.csv")).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert!(error.hint().unwrap().contains("does the server take passwords"), "{:?}", error.hint());
}

#[test]
fn a_server_that_asks_is_given_the_password() {
    let server = Asker::start(USER, PASSWORD);
    let with = |password| by_password(server.port(), server.known_hosts(), USER, password, "");
    let spool = Spool::new("x");
    let error = open(&with("swordfish")).deliver(&spool.parcel("a")).unwrap_err();
    assert_eq!((error.exit(), error.reason()), (Exit::Refused, "log in as ew: the server refuses"));
    assert_eq!(fs::read_dir(server.root()).unwrap().count(), 0);
    let mut transporter = open(&with(PASSWORD));
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap().how, How::Sent);
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"x");
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap().how, How::Found);
}

/// OpenSSH's server with a log of each request.
struct Counted {
    server: Sshd,
    dir: tempfile::TempDir,
}

impl Counted {
    /// With more options of sftp-server.
    fn start(more: &str) -> Counted {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let at = dir.path().display();
        let server = Sshd::start_with(&format!(
            "ForceCommand exec /usr/lib/openssh/sftp-server {more} -e -l DEBUG3 -d {at}/home 2>>{at}/log"
        ));
        Counted { server, dir }
    }

    fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    fn open(&self) -> Box<dyn Transporter> {
        open(&to_sshd(&self.server, self.server.port(), ""))
    }

    /// The requests since the last call, each by its name.
    fn requests(&self) -> Vec<String> {
        let path = self.dir.path().join("log");
        let log = fs::read_to_string(&path).unwrap();
        fs::write(path, "").unwrap();
        log.lines()
            .filter_map(|line| line.split_once(": request ")?.1.split_once(": ")?.1.split([' ', '"']).next())
            .filter(|word| *word != "sent")
            .map(str::to_owned)
            .collect()
    }
}

/// Round trips are what a slice costs on a long line. Not one is idle: is the name free, create, write, down to the
/// disk, close, is it whole, rename.
#[test]
fn a_small_slice_takes_seven_requests_of_the_one_connection() {
    let counted = Counted::start("");
    let mut transporter = counted.open();
    let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    let names: Vec<String> = (0..20).map(|n| format!("u_{n}.csv")).collect();
    for name in &names {
        assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Sent);
    }
    let one = ["stat", "open", "write", "fsync", "close", "stat", "rename"];
    assert_eq!(counted.requests(), one.repeat(20));

    // A revision: OpenSSH renames onto nothing that exists, which only the attempt tells.
    let longer = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n2023-11-14T22:28:20Z,13\n");
    let revision = Parcel { may_replace: true, ..longer.parcel("u_0.csv") };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::Replaced);
    assert_eq!(counted.requests(), [one.as_slice(), &["remove", "rename"]].concat());
    let log = counted.server.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

/// The window is megabytes, and each request takes as much of it as goes into one packet.
#[test]
fn a_large_slice_is_written_in_few_requests() {
    let counted = Counted::start("");
    let spool = Spool::large(6_000_000);
    counted.open().deliver(&spool.parcel("a")).unwrap();
    let writes = counted.requests().iter().filter(|name| *name == "write").count();
    assert!(writes <= 6_000_000 / 30_000 + 10, "{writes}");
}

/// Writes do not wait for one another: with no more answers from the first of them on, many are on their way.
#[test]
fn writes_are_pipelined() {
    let server = Sshd::start();
    let proxy = Proxy::start(server.address(), Plan::open());
    let options = to_sshd(&server, proxy.port(), "");
    open(&options).deliver(&Spool::new("x").parcel("a")).unwrap();
    let whole = proxy.bytes_up();
    proxy.set_plan(Plan::mute_after(whole));
    let mut transporter = open_with(&options, Duration::from_secs(1)).unwrap();
    let error = transporter.deliver(&Spool::large(1_000_000).parcel("b")).unwrap_err();
    assert_eq!((error.exit(), error.reason()), (Exit::Unavailable, "write .b.part: no answer in time"));
    let on_their_way = proxy.bytes_up() - 2 * whole;
    assert!(on_their_way > 100_000, "{on_their_way} bytes");
}

#[test]
fn a_server_that_does_not_sync_is_asked_once() {
    let counted = Counted::start("-P fsync");
    let mut transporter = counted.open();
    let spool = Spool::new("x");
    for name in ["a", "b", "c"] {
        transporter.deliver(&spool.parcel(name)).unwrap();
    }
    let log = fs::read_to_string(counted.dir.path().join("log")).unwrap();
    assert_eq!(log.matches("sent status 3").count(), 1, "{log}");
}

#[test]
fn a_connection_that_was_lost_meanwhile_is_made_anew() {
    let counted = Counted::start("");
    let mut transporter = counted.open();
    let spool = Spool::new("x");
    for name in ["a", "b", "c"] {
        assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Sent);
        counted.server.hang_up();
    }
    let log = counted.server.log();
    assert_eq!(log.matches("Accepted publickey").count(), 3, "{log}");
    assert_eq!(fs::read_dir(counted.home()).unwrap().count(), 3);
}

/// What was tried and on which path, word for word, and how a program ends on it.
#[track_caller]
fn fails(options: &TransportOptions, parcel: &Parcel<'_>, exit: Exit, reason: &str) {
    let error = open(options).deliver(parcel).unwrap_err();
    assert_eq!((error.exit(), error.reason()), (exit, reason), "{error}");
    assert!(error.to_string().starts_with("cannot send a to sftp "), "{error}");
}

#[test]
fn each_failure_names_operation_and_path() {
    let (proftpd, sshd) = (Proftpd::start(), Sshd::start());
    let spool = Spool::new("x");
    let parcel = spool.parcel("a");
    fs::write(proftpd.root().join("in"), "").unwrap();
    fs::write(sshd.root().join("in"), "").unwrap();
    for more in ["directory = \"in\"", "directory = \"in\"\ncreate_directory = true"] {
        for (options, operation) in [
            (to_proftpd(&proftpd, USER, PASSWORD, more), "look for in/a"),
            (to_sshd(&sshd, sshd.port(), more), "create in/.a.part"),
        ] {
            let reason = format!("{operation}: in is there and is a file");
            fails(&options, &parcel, Exit::Unavailable, &reason);
        }
    }
    let missing = "directory = \"no/such\"";
    let reason = "create no/such/.a.part: the directory no/such is not there";
    fails(&to_proftpd(&proftpd, USER, PASSWORD, missing), &parcel, Exit::Unavailable, reason);
    let made = format!("{missing}\ncreate_directory = true");
    let reason = "make directory no/such: no such file";
    fails(&to_proftpd(&proftpd, USER, PASSWORD, &made), &parcel, Exit::Unavailable, reason);

    // Directories that the user may look into and not write, and may not even enter.
    proftpd.strangers_directory("sealed", 0o555);
    proftpd.strangers_directory("closed", 0o000);
    for (more, reason) in [
        ("directory = \"sealed\"", "create sealed/.a.part: permission denied"),
        ("directory = \"closed\"", "look for closed/a: permission denied"),
        (
            "directory = \"sealed/new\"\ncreate_directory = true",
            "make directory sealed/new: permission denied",
        ),
    ] {
        fails(&to_proftpd(&proftpd, STRANGER, PASSWORD, more), &parcel, Exit::Refused, reason);
    }
    // For whoever clears away.
    for name in ["sealed", "closed"] {
        fs::set_permissions(proftpd.root().join(name), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Requests that a server forbids one by one, when there is an earlier file and when there is none.
#[test]
fn what_is_forbidden_is_named_and_leaves_nothing_behind() {
    let spool = Spool::new("new");
    for (forbidden, first, revision) in [
        ("stat", "look for a: permission denied", "look for a: permission denied"),
        ("open", "create .a.part: permission denied", "create .a.part: permission denied"),
        ("write", "write .a.part: permission denied", "write .a.part: permission denied"),
        ("close", "close .a.part: permission denied", "close .a.part: permission denied"),
        ("remove", "", "replace a: permission denied"),
    ] {
        let counted = Counted::start(&format!("-P {forbidden}"));
        let options = to_sshd(&counted.server, counted.server.port(), "");
        let there = || {
            let mut names: Vec<_> =
                fs::read_dir(counted.home()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        if !first.is_empty() {
            fails(&options, &spool.parcel("a"), Exit::Refused, first);
            assert!(there().is_empty(), "{forbidden}: {:?}", there());
        }
        fs::write(counted.home().join("a"), "old and longer").unwrap();
        let parcel = Parcel { may_replace: true, ..spool.parcel("a") };
        fails(&options, &parcel, Exit::Refused, revision);
        assert_eq!(fs::read(counted.home().join("a")).unwrap(), b"old and longer", "{forbidden}");
        if forbidden != "remove" {
            assert_eq!(there(), ["a"], "{forbidden}");
        }
    }
}

/// A receiver that renames nothing gets the file under its own name; what a killed attempt left there is no other's.
#[test]
fn where_nothing_can_be_renamed_the_file_grows_in_place() {
    let counted = Counted::start("-P rename");
    let (home, spool) = (counted.home(), Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n"));
    let mut transporter = counted.open();
    for name in ["a", "b"] {
        let receipt = transporter.deliver(&spool.parcel(name)).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::InPlace, Checked::Size));
        assert_eq!(serde_json::to_value(receipt.how).unwrap(), "in_place");
        assert_eq!(fs::read(home.join(name)).unwrap(), spool.bytes);
        assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Found);
    }
    for begun in [0, 1, spool.bytes.len() - 1] {
        fs::write(home.join("a"), &spool.bytes[..begun]).unwrap();
        assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap_err().kind(), ErrorKind::Occupied);
        let again = Parcel { sent_before: true, ..spool.parcel("a") };
        assert_eq!(transporter.deliver(&again).unwrap().how, How::InPlace);
        assert_eq!(fs::read(home.join("a")).unwrap(), spool.bytes);
    }
    // Anything but its beginning is somebody's.
    fs::write(home.join("a"), "time").unwrap();
    fs::write(home.join("b"), "Time").unwrap();
    let again = |name| Parcel { sent_before: true, ..spool.parcel(name) };
    assert_eq!(transporter.deliver(&again("b")).unwrap_err().kind(), ErrorKind::Occupied);
    assert_eq!(transporter.deliver(&again("a")).unwrap().how, How::InPlace);
    let revision = Parcel { may_replace: true, ..spool.parcel("b") };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::InPlace);
    let names: BTreeSet<_> = fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().eq(["a", "b"]), "{names:?}");
}

/// Where things are renamed, the beginning of a file is not of our making, attempts or none.
#[test]
fn a_beginning_of_the_file_may_be_somebodys() {
    let (proftpd, sshd) = (Proftpd::start(), Sshd::start());
    let spool = Spool::new("timestamp,a\n");
    for (options, home) in [
        (to_proftpd(&proftpd, USER, PASSWORD, ""), proftpd.root()),
        (to_sshd(&sshd, sshd.port(), ""), sshd.root()),
    ] {
        for begun in ["", "time"] {
            fs::write(home.join("a"), begun).unwrap();
            let again = Parcel { sent_before: true, ..spool.parcel("a") };
            assert_eq!(open(&options).deliver(&again).unwrap_err().kind(), ErrorKind::Occupied);
            assert_eq!(fs::read_to_string(home.join("a")).unwrap(), begun);
            assert_eq!(fs::read_dir(&home).unwrap().count(), 1);
        }
    }
}

#[test]
fn a_failure_in_place_leaves_nothing_partial() {
    let server = Sshd::start_limited("ForceCommand internal-sftp -P rename", Some(1024));
    let home = tempfile::tempdir().unwrap();
    let more = format!("directory = {:?}", home.path());
    let mut transporter = open(&to_sshd(&server, server.port(), &more));
    assert_eq!(transporter.deliver(&Spool::new("x").parcel("a")).unwrap().how, How::InPlace);
    let error = transporter.deliver(&Spool::large(3_000_000).parcel("b")).unwrap_err();
    assert_eq!(error.reason(), format!("write {}/b: failure", home.path().display()));
    transporter.deliver(&Spool::new("x").parcel("c")).unwrap();
    let names: BTreeSet<_> =
        fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.iter().eq(["a", "c"]), "{names:?}");
}

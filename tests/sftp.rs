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
use ew_transport::{Checked, ErrorKind, How, Mark, Parcel, Steps, TransportOptions, Transporter};
use proftpd::{PASSWORD, Proftpd, STRANGER, USER};
use proxy::{Plan, Proxy};
use spool::{Spool, open, open_with, options};
use sshd::Sshd;
use std::cell::{Cell, RefCell};
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

    /// The requests since the last call, each by its name; without that for the server's limits, which goes out with
    /// the first of a connection.
    fn requests(&self) -> Vec<String> {
        let path = self.dir.path().join("log");
        let log = fs::read_to_string(&path).unwrap();
        fs::write(path, "").unwrap();
        log.lines()
            .filter_map(|line| line.split_once(": request ")?.1.split_once(": ")?.1.split([' ', '"']).next())
            .filter(|word| !matches!(*word, "sent" | "limits"))
            .map(str::to_owned)
            .collect()
    }
}

/// Not one is idle: is the name free, create, write, down to the disk, is it whole, close, rename.
#[test]
fn a_small_slice_takes_seven_requests_of_the_one_connection() {
    let counted = Counted::start("");
    let mut transporter = counted.open();
    let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    let names: Vec<String> = (0..20).map(|n| format!("u_{n}.csv")).collect();
    for name in &names {
        assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Sent);
    }
    let one = ["stat", "open", "write", "fsync", "fstat", "close", "rename"];
    assert_eq!(counted.requests(), one.repeat(20));

    // A revision: OpenSSH renames onto nothing that exists, which only the attempt tells.
    let longer = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n2023-11-14T22:28:20Z,13\n");
    let revision = Parcel { may_replace: true, ..longer.parcel("u_0.csv") };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::Replaced);
    assert_eq!(counted.requests(), [one.as_slice(), &["remove", "rename"]].concat());
    let log = counted.server.log();
    assert_eq!(log.matches("Accepted publickey").count(), 1, "{log}");
}

/// Round trips are what a slice costs on a long line: look and create, everything up to the close, rename.
#[test]
fn a_small_slice_takes_three_round_trips() {
    for server in [Sshd::start(), Sshd::start_with("ForceCommand internal-sftp -P fsync")] {
        let proxy = Proxy::start(server.address(), Plan::open());
        let directory = server.root();
        let more = format!("directory = {directory:?}");
        let mut transporter = open(&to_sshd(&server, proxy.port(), &more));
        let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n".repeat(200));
        transporter.deliver(&spool.parcel("first.csv")).unwrap();
        let before = proxy.turns();
        let names: Vec<String> = (0..30).map(|n| format!("u_{n}.csv")).collect();
        for name in &names {
            assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Sent);
            assert_eq!(fs::read(directory.join(name)).unwrap(), spool.bytes);
        }
        let turns = proxy.turns() - before;
        assert!(turns <= 3 * names.len(), "{turns} round trips of {} slices", names.len());
        assert_eq!(proxy.connections(), 1);
    }
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

/// A server with quirks.
fn quirky(quirks: &[&str]) -> (Asker, TransportOptions) {
    let server = Asker::start_with(USER, PASSWORD, quirks);
    let options = by_password(server.port(), server.known_hosts(), USER, PASSWORD, "");
    (server, options)
}

fn names_in(folder: &std::path::Path) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What is somebody's stays, though the server itself would let it go; a revision takes one rename.
#[test]
fn a_server_that_overwrites_silently() {
    let (server, options) = quirky(&["overwrites"]);
    let mut transporter = open(&options);
    fs::write(server.root().join("a"), "somebody's").unwrap();
    let spool = Spool::new("new");
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap_err().kind(), ErrorKind::Occupied);
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"somebody's");
    let steps = RefCell::new(Vec::new());
    let note = |step| steps.borrow_mut().push(step);
    let revision = Parcel { may_replace: true, steps: Steps(&note), ..spool.parcel("a") };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::Replaced);
    assert!(!steps.borrow().contains(&"removed"), "{:?}", steps.borrow());
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"new");
    assert_eq!(names_in(&server.root()), ["a"]);
}

/// Where sizes cannot be asked for, files are read instead.
#[test]
fn a_server_that_knows_no_stat() {
    let (server, options) = quirky(&["no-stat"]);
    let mut transporter = open(&options);
    let spool = Spool::new("new");
    let receipt = transporter.deliver(&spool.parcel("a")).unwrap();
    assert_eq!((receipt.how, receipt.checked), (How::Sent, Checked::Sha256));
    let receipt = transporter.deliver(&Parcel { sent_before: true, ..spool.parcel("a") }).unwrap();
    assert_eq!((receipt.how, receipt.checked), (How::Found, Checked::Sha256));
    fs::write(server.root().join("a"), "somebody's").unwrap();
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap_err().kind(), ErrorKind::Occupied);
    let revision = Parcel { may_replace: true, ..spool.parcel("a") };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::Replaced);
    // Taken away, with the last answer lost.
    fs::remove_file(server.root().join("a")).unwrap();
    let again = Parcel { sent_before: true, was_whole: true, ..spool.parcel("a") };
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Taken);
    assert_eq!(names_in(&server.root()), Vec::<String>::new());
}

#[test]
fn a_server_that_sets_no_attributes() {
    let (server, options) = quirky(&["no-setstat"]);
    let counted = Counted::start("-P setstat,fsetstat");
    for (mut transporter, home) in [(open(&options), server.root()), (counted.open(), counted.home())] {
        let spool = Spool::large(300_000);
        assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap().how, How::Sent);
        assert!(fs::read(home.join("a")).unwrap() == spool.bytes);
    }
}

#[test]
fn a_close_that_fails_places_nothing() {
    let (server, options) = quirky(&["close-fails"]);
    let mut transporter = open(&options);
    let spool = Spool::new("x");
    let error = transporter.deliver(&spool.parcel("a")).unwrap_err();
    assert!(error.is_retryable() && error.reason().starts_with("close .a.part: "), "{error}");
    assert_eq!(names_in(&server.root()), Vec::<String>::new());
    let again = Parcel { sent_before: true, ..spool.parcel("a") };
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Sent);
    assert_eq!(names_in(&server.root()), ["a"]);
}

#[test]
fn a_server_that_is_started_again_between_two_files_and_within_one() {
    let server = RefCell::new(Sshd::start());
    let (port, root) = (server.borrow().port(), server.borrow().root());
    let options = to_sshd(&server.borrow(), port, "");
    let mut transporter = open(&options);
    let spool = Spool::large(500_000);
    transporter.deliver(&spool.parcel("a")).unwrap();
    server.borrow_mut().restart();
    assert_eq!(transporter.deliver(&spool.parcel("b")).unwrap().how, How::Sent);
    for step in ["connected", "opened", "written", "closed", "renamed"] {
        let restarts = Cell::new(1);
        let restart = |done| {
            if done == step && restarts.replace(0) > 0 {
                server.borrow_mut().restart();
            }
        };
        let first = transporter.deliver(&Parcel { steps: Steps(&restart), ..spool.parcel(step) });
        assert_eq!(restarts.get(), 0, "{step} was not passed");
        let expect = match first {
            Ok(receipt) => {
                assert!(matches!(step, "connected" | "renamed"), "{step}: {receipt:?}");
                How::Found
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Unreachable, "{step}: {error}");
                How::Sent
            }
        };
        let again = Parcel { sent_before: true, ..spool.parcel(step) };
        assert_eq!(transporter.deliver(&again).unwrap().how, expect, "{step}");
        assert!(fs::read(root.join(step)).unwrap() == spool.bytes, "{step}");
    }
    assert_eq!(names_in(&root), ["a", "b", "closed", "connected", "opened", "renamed", "written"]);
}

/// Whole, about to be renamed, and cut off: what is there tells what became of it.
#[test]
fn what_is_there_tells_whether_a_whole_file_was_taken() {
    let counted = Counted::start("");
    let (home, spool) = (counted.home(), Spool::new("x"));
    let folder = tempfile::tempdir().unwrap();
    let here = options(&format!("[file]\ndirectory = {:?}", folder.path()));
    for (mut transporter, home) in [(counted.open(), home.as_path()), (open(&here), folder.path())] {
        let marks = RefCell::new(Vec::new());
        let mark = |is_whole| {
            marks.borrow_mut().push(is_whole);
            Ok(())
        };
        let again = Parcel { sent_before: true, was_whole: true, mark: Mark(&mark), ..spool.parcel("a") };
        let taken = transporter.deliver(&again).unwrap();
        assert_eq!((taken.how, taken.checked), (How::Taken, Checked::Reply));
        assert!(marks.take().is_empty(), "nothing was sent");
        // Its temporary file is there, so it was not renamed.
        fs::write(home.join(".a.part"), "x").unwrap();
        assert_eq!(transporter.deliver(&again).unwrap().how, How::Sent);
        assert_eq!(marks.take(), [false, true]);
        assert_eq!(transporter.deliver(&again).unwrap().how, How::Found);
        // A receiver that leaves our files alone took none.
        fs::rename(home.join("a"), home.join("before")).unwrap();
        let earlier = Parcel { earlier: Some("before"), ..again };
        assert_eq!(transporter.deliver(&earlier).unwrap().how, How::Sent);
        fs::remove_file(home.join("before")).unwrap();
        fs::remove_file(home.join("a")).unwrap();
        assert_eq!(transporter.deliver(&earlier).unwrap().how, How::Taken);
        assert_eq!(marks.take(), [false, true]);
        // What cannot be noted is not renamed.
        let full = |_| Err("disk full".to_owned());
        let error = transporter.deliver(&Parcel { mark: Mark(&full), ..spool.parcel("b") }).unwrap_err();
        assert_eq!((error.exit(), home.join("b").exists()), (Exit::Io, false), "{error}");
        fs::remove_file(home.join(".b.part")).unwrap();
    }
    let requests = counted.requests();
    assert_eq!(requests[..2], ["stat", "stat"], "two looks, and nothing sent: {requests:?}");
}

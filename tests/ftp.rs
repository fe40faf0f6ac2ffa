//! The FTP transporter beyond what holds for every transporter: ways in, TLS, and what becomes of every refusal.
#![allow(clippy::unwrap_used)]

#[path = "support/ftp.rs"]
mod ftp;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/spool.rs"]
mod spool;
#[path = "support/sshd.rs"]
mod sshd;

use ew_core::{Exit, Secret, SecretSource, Span};
use ew_transport::{
    Ability, Answer, Can, Checked, Context, ErrorKind, How, Look, Mark, Parcel, Probe, Size, TransportError,
    TransportOptions,
};
use ftp::{FtpServer, PASSWORD, USER};
use proftpd::Proftpd;
use proxy::{Plan, Proxy};
use spool::{Spool, open, open_with, options};
use std::cell::RefCell;
use std::fs;
use std::path::Path;
use std::time::Duration;

const TEXT: &str = "timestamp,a\n2023-11-14T22:13:20Z,12.5\n";

fn to(server: &FtpServer, more: &str) -> TransportOptions {
    options(&server.table(server.port(), more))
}

fn to_vsftpd(server: &FtpServer, more: &str) -> TransportOptions {
    let (port, ca_file) = (server.port(), server.ca_file());
    options(&format!("[ftp]\nhost = \"127.0.0.1\"\nport = {port}\nca_file = {ca_file:?}\n{more}"))
}

fn to_proftpd(server: &Proftpd, port: u16, more: &str) -> TransportOptions {
    options(&format!(
        "[ftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {:?}\npassword = {:?}\nca_file = {:?}\n{more}",
        proftpd::USER,
        proftpd::PASSWORD,
        server.ca_file()
    ))
}

/// In the clear, as `more` of a table for it.
fn in_the_clear(server: &FtpServer, more: &str) -> TransportOptions {
    let port = server.port();
    options(&format!(
        "[ftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {USER:?}\npassword = {PASSWORD:?}\nsecurity = \"none\"\n{more}"
    ))
}

/// What is there, and nothing that is not whole.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[track_caller]
fn arrives(options: &TransportOptions, root: &Path, name: &str) -> (How, Checked) {
    let spool = Spool::new(TEXT);
    let receipt = open(options).deliver(&spool.parcel(name)).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(fs::read(root.join(name)).unwrap(), spool.bytes);
    (receipt.how, receipt.checked)
}

fn fails(options: &TransportOptions) -> TransportError {
    let mut transporter = open_with(options, Duration::from_secs(5)).unwrap();
    transporter.deliver(&Spool::new(TEXT).parcel("a")).unwrap_err()
}

#[test]
fn ways_in() {
    let sent = (How::Sent, Checked::Size);
    for (server, security) in [("", "explicit"), ("--implicit-tls", "implicit")] {
        let server = FtpServer::start_with(server);
        for (mode, name) in [("passive", "p"), ("active", "a")] {
            let more = format!("security = {security:?}\nmode = {mode:?}");
            assert_eq!(arrives(&to(&server, &more), &server.root(), name), sent, "{more}");
        }
        // PASV may name anyone: data go to the host of the control connection.
        server.set_faults("elsewhere");
        let more = format!("security = {security:?}");
        assert_eq!(arrives(&to(&server, &more), &server.root(), "e"), sent, "{more}");
    }
    let plain = FtpServer::start_with("--plain");
    for (mode, name) in [("passive", "p"), ("active", "a")] {
        let options = in_the_clear(&plain, &format!("mode = {mode:?}"));
        assert_eq!(arrives(&options, &plain.root(), name), sent, "{mode}");
    }
    for mode in ["passive", "active"] {
        let vsftpd = FtpServer::vsftpd("");
        assert_eq!(
            arrives(&to_vsftpd(&vsftpd, &format!("mode = {mode:?}")), &vsftpd.root(), "a"),
            sent,
            "{mode}"
        );
    }
}

/// Data connections resume the session of the control connection, as often as there are files.
#[test]
fn one_connection_serves_many_files() {
    let server = Proftpd::ftps("", ftp::certify);
    let proxy = Proxy::start(server.address(), Plan::open());
    let mut transporter = open(&to_proftpd(&server, proxy.port(), ""));
    let spool = Spool::new("x");
    for n in 0..10 {
        assert_eq!(transporter.deliver(&spool.parcel(&n.to_string())).unwrap().how, How::Sent);
    }
    assert_eq!(proxy.connections(), 1);
    assert_eq!(server.tls_log().matches("client reused TLS session").count(), 10, "{}", server.tls_log());
    // One that takes TLS 1.3 alone: its tickets are for one connection each, and few; a new log-in gives more.
    let server = Proftpd::ftps("TLSProtocol TLSv1.3", ftp::certify);
    let options = to_proftpd(&server, server.port(), "");
    let mut transporter = open(&options);
    for n in 0..6 {
        let name = n.to_string();
        let parcel = spool.parcel(&name);
        let how = transporter.deliver(&parcel).or_else(|e| {
            assert!(e.is_retryable() && e.reason().contains("the server says 425"), "{e}");
            transporter.deliver(&parcel)
        });
        assert_eq!(how.unwrap().how, How::Sent);
    }
    assert_eq!(names(&server.root()), ["0", "1", "2", "3", "4", "5"]);
}

#[test]
fn a_server_without_tls_gets_no_password() {
    let server = FtpServer::start_with("--plain");
    let error = fails(&to(&server, ""));
    assert_eq!(error.exit(), Exit::Protocol, "{error}");
    assert_eq!(error.reason(), "AUTH TLS: the server says 500 Command \"AUTH\" not understood.");
    assert!(error.hint().unwrap().contains("\"implicit\" is for port 990"), "{error}");
    assert!(error.is_of_receiver());
    assert!(!server.log().contains("USER"), "{}", server.log());
    // And the other way round: one that wants TLS.
    let server = FtpServer::start();
    let error = fails(&in_the_clear(&server, ""));
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert!(error.hint().unwrap().contains("without TLS"), "{error}");
}

#[test]
fn ports_of_the_other_kind() {
    let implicit = FtpServer::start_with("--implicit-tls");
    let mut transporter = open_with(&to(&implicit, ""), Duration::from_millis(500)).unwrap();
    let error = transporter.deliver(&Spool::new("x").parcel("a")).unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("\"implicit\""), "{error}");
    let explicit = FtpServer::start();
    let error = fails(&to(&explicit, "security = \"implicit\""));
    assert_eq!(error.exit(), Exit::Protocol, "{error}");
    assert!(error.hint().unwrap().contains("\"explicit\" for 21"), "{error}");
    // Nobody there at all.
    let error = fails(&options("[ftp]\nhost = \"127.0.0.1\"\nport = 1\nsecurity = \"none\""));
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true));
    assert_eq!(error.reason(), "connect to 127.0.0.1:1: connection refused");
}

#[test]
fn a_certificate_is_trusted_or_nothing_is_said() {
    let server = FtpServer::start();
    let port = server.port();
    let table = |more: &str| {
        options(&format!(
            "[ftp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = {USER:?}\npassword = {PASSWORD:?}\n{more}"
        ))
    };
    // By an authority that nobody knows, and for other names.
    let dir = tempfile::tempdir().unwrap();
    ftp::certify(dir.path());
    for file in ["ca.pem", "cert.pem"] {
        let error = fails(&table(&format!("ca_file = {:?}", dir.path().join(file))));
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        assert!(error.reason().contains("the server's certificate is not trusted"), "{error}");
        assert!(error.hint().unwrap().contains("ca_file"), "{error}");
    }
    let elsewhere = FtpServer::start_for("DNS:ftp.example.com");
    let error = fails(&to(&elsewhere, ""));
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert!(error.reason().contains("not valid for name"), "{error}");
    for server in [&server, &elsewhere] {
        assert!(!server.log().contains("USER"), "{}", server.log());
    }
    // The certificate itself may be named, under whatever name it runs.
    let pinned = to(&elsewhere, "").clone();
    let TransportOptions::Ftp(mut pinned) = pinned else { panic!("not FTP") };
    pinned.ca_file = Some(elsewhere.certificate());
    arrives(&TransportOptions::Ftp(pinned), &elsewhere.root(), "a");
    // Files that hold none are told before anyone is asked.
    for (name, text, word) in [
        ("none.pem", "", "no certificate in it"),
        ("bad.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is damaged"),
    ] {
        let file = dir.path().join(name);
        fs::write(&file, text).unwrap();
        let error = table(&format!("ca_file = {file:?}")).check(Path::new("/")).unwrap_err();
        assert_eq!(error.exit(), Exit::Config, "{error}");
        assert!(error.reason().contains(word) && error.reason().contains(name), "{error}");
    }
}

#[test]
fn a_wrong_password_is_a_refusal_that_does_not_show_it() {
    let server = FtpServer::start();
    let port = server.port();
    for fault in ["", "echo"] {
        server.set_faults(fault);
        let table = server.table(port, "").replace(PASSWORD, "swordfish");
        let options = options(&table);
        let error = fails(&options);
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        assert!(error.reason().starts_with("log in as ew: the server says 530 "), "{error}");
        assert_eq!(error.hint(), Some("are user and password right?"));
        assert!(!format!("{error:?}{options:?}").contains("swordfish"), "{error:?}");
    }
    // One that cannot stand in a command.
    let table = server.table(port, "").replace(PASSWORD, "a\\r\\nDELE b");
    let refused = open_with(&options(&table), Duration::from_secs(5)).map(|_| ()).unwrap_err();
    assert_eq!(refused.exit(), Exit::Config, "{refused}");
}

#[test]
fn directories_are_found_made_or_missed() {
    let server = FtpServer::start();
    let error = fails(&to(&server, "directory = \"new\""));
    assert_eq!((error.exit(), error.is_of_receiver()), (Exit::Unavailable, true), "{error}");
    assert!(error.reason().starts_with("go to new: the server says 550 "), "{error}");
    assert!(error.hint().unwrap().contains("create_directory = true"), "{error}");
    let made = "create_directory = true\ndirectory = ";
    arrives(&to(&server, &format!("{made}\"new\"")), &server.root().join("new"), "a");
    arrives(&to(&server, &format!("{made}\"/new/two words\"")), &server.root().join("new/two words"), "a");
    let error = fails(&to(&server, &format!("{made}\"no/such\"")));
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, false), "{error}");
    assert!(error.reason().starts_with("make directory no/such: "), "{error}");
}

/// Servers that say no to a request, when there is an earlier file and when there is none.
#[test]
fn what_is_refused_is_named_and_leaves_nothing_behind() {
    let server = FtpServer::start();
    let spool = Spool::large(500_000);
    for (faults, exit, retryable, reason) in [
        ("STOR=550", Exit::Refused, false, "write .a.part: the server says 550 Not today."),
        ("STOR=553", Exit::Refused, false, "write .a.part: the server says 553 Not today."),
        ("STOR=502", Exit::Protocol, false, "write .a.part: the server says 502 Not today."),
        ("STOR=452", Exit::Unavailable, true, "write .a.part: the server says 452 Not today."),
        ("STOR=552", Exit::Unavailable, true, "write .a.part: the server says 552 Not today."),
        ("TYPE=504", Exit::Protocol, false, "TYPE I: the server says 504 Not today."),
        ("full=100000", Exit::Unavailable, true, "write .a.part: the server says 552 Quota exceeded."),
        (
            "cut-data=100000",
            Exit::Unavailable,
            true,
            "write .a.part: the server says 426 Connection closed; transfer aborted.",
        ),
        (
            "no-data",
            Exit::Unavailable,
            true,
            "write .a.part: the server says 425 Can't open data connection.",
        ),
        ("cut=100000", Exit::Unavailable, true, "write .a.part: the connection was lost"),
        ("RNFR=450", Exit::Unavailable, true, "rename .a.part to a: the server says 450 Not today."),
        ("once-RNTO=553", Exit::Refused, false, "rename .a.part to a: the server says 553 Not today."),
        ("wrong-hash", Exit::Unavailable, true, ".a.part has other content there"),
    ] {
        for earlier in [None, Some("old and longer")] {
            let _ = fs::remove_file(server.root().join("a"));
            if let Some(earlier) = earlier {
                fs::write(server.root().join("a"), earlier).unwrap();
            }
            if faults == "once-RNTO=553" && earlier.is_some() {
                continue;
            }
            server.set_faults(faults);
            let mut transporter = open_with(&to(&server, ""), Duration::from_secs(5)).unwrap();
            let parcel = Parcel { may_replace: earlier.is_some(), ..spool.parcel("a") };
            let error = transporter.deliver(&parcel).unwrap_err();
            assert_eq!(
                (error.exit(), error.is_retryable(), error.reason()),
                (exit, retryable, reason),
                "{faults}"
            );
            assert_eq!(
                fs::read(server.root().join("a")).ok().as_deref(),
                earlier.map(str::as_bytes),
                "{faults}"
            );
            server.set_faults("");
            assert_eq!(
                names(&server.root()).len(),
                usize::from(earlier.is_some()),
                "{faults}: {:?}",
                names(&server.root())
            );
            // And then it works.
            transporter.deliver(&parcel).unwrap();
            assert_eq!(fs::read(server.root().join("a")).unwrap(), spool.bytes);
        }
    }
}

#[test]
fn receivers_without_rename_stat_or_overwrite() {
    let server = FtpServer::start();
    let spool = Spool::new(TEXT);
    for (faults, expect) in [
        // Nothing is renamed: in place.
        ("RNFR=550", (How::InPlace, Checked::Size)),
        ("RNFR=502", (How::InPlace, Checked::Size)),
        ("RNTO=502", (How::InPlace, Checked::Size)),
        ("RNTO=550", (How::InPlace, Checked::Size)),
        // No MLST, and no SIZE either: read back, and where that is not allowed the reply is believed.
        ("MLST=500", (How::Sent, Checked::Size)),
        ("MLST=500 SIZE=500", (How::Sent, Checked::Sha256)),
        ("MLST=500 SIZE=502 RETR=550", (How::Sent, Checked::Reply)),
        ("MLST=550 RETR=550", (How::Sent, Checked::Reply)),
        ("FEAT=500", (How::Sent, Checked::Size)),
        ("hash", (How::Sent, Checked::Sha256)),
    ] {
        server.set_faults(faults);
        let mut transporter = open(&to(&server, ""));
        let receipt = transporter.deliver(&spool.parcel("a")).unwrap_or_else(|e| panic!("{faults}: {e}"));
        assert_eq!((receipt.how, receipt.checked), expect, "{faults}");
        assert_eq!(fs::read(server.root().join("a")).unwrap(), spool.bytes, "{faults}");
        assert_eq!(names(&server.root()), ["a"], "{faults}");
        // A second attempt finds it, where it may be seen.
        if !faults.contains("RETR") {
            let again = Parcel { sent_before: true, ..spool.parcel("a") };
            assert_eq!(transporter.deliver(&again).unwrap().how, How::Found, "{faults}");
        }
        // A directory is no file, however that is found out.
        fs::create_dir(server.root().join("d")).unwrap();
        if !faults.contains("550") && !faults.contains("SIZE") {
            let error = transporter.deliver(&spool.parcel("d")).unwrap_err();
            assert_eq!(error.reason(), "d is there and is a directory", "{faults}");
        }
        fs::remove_dir(server.root().join("d")).unwrap();
        fs::remove_file(server.root().join("a")).unwrap();
    }
    // One that renames onto nothing that exists.
    fs::write(server.root().join("a"), "old").unwrap();
    server.set_faults("once-RNTO=553");
    let revision = Parcel { may_replace: true, ..spool.parcel("a") };
    assert_eq!(open(&to(&server, "")).deliver(&revision).unwrap().how, How::Replaced);
    assert_eq!(names(&server.root()), ["a"]);
    // A file of ours that may not be read: its size, and that it was sent before, is proof enough.
    server.set_faults("RETR=550");
    let error = open(&to(&server, "")).deliver(&spool.parcel("a")).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Occupied);
    let again = Parcel { sent_before: true, ..spool.parcel("a") };
    let receipt = open(&to(&server, "")).deliver(&again).unwrap();
    assert_eq!((receipt.how, receipt.checked), (How::Found, Checked::Size));
    // Where nothing is renamed, what a killed attempt left there is no other's.
    fs::write(server.root().join("a"), "time").unwrap();
    server.set_faults("");
    assert_eq!(open(&to(&server, "")).deliver(&again).unwrap_err().kind(), ErrorKind::Occupied);
    server.set_faults("RNFR=550");
    assert_eq!(open(&to(&server, "")).deliver(&again).unwrap().how, How::InPlace);
    assert_eq!(fs::read(server.root().join("a")).unwrap(), spool.bytes);
}

/// Whether another name than the file's would do is tried with one that nobody is to find there.
#[test]
fn a_trial_of_renaming_leaves_nothing() {
    let server = FtpServer::start();
    let spool = Spool::new(TEXT);
    let marks = RefCell::new(Vec::new());
    let keep = |is_whole| {
        marks.borrow_mut().push(is_whole);
        Ok(())
    };
    let first = Parcel { mark: Mark(&keep), ..spool.parcel("a") };
    for (faults, reason) in [
        ("once-RNTO=553 once-lost-RNTO", "rename .a.part to .ew-rename.part: the connection was lost"),
        ("once-RNTO=553 once-DELE=450 once-DELE=450", "rename .a.part to a: the server says 553 Not today."),
    ] {
        server.set_faults(faults);
        let error = open(&to(&server, "")).deliver(&first).unwrap_err();
        assert_eq!(error.reason(), reason, "{faults}");
        assert!(names(&server.root()).is_empty(), "{faults}: {:?}", names(&server.root()));
        // It was not taken away by the receiver.
        assert_eq!(marks.borrow().last(), Some(&false), "{faults}");
    }
    // One that was killed in between leaves it to the next one.
    fs::write(server.root().join(".ew-rename.part"), "").unwrap();
    let again = Parcel { sent_before: true, ..first };
    assert_eq!(open(&to(&server, "")).deliver(&again).unwrap().how, How::Sent);
    assert_eq!(names(&server.root()), ["a"]);
}

/// The answer to the rename was lost: the next attempt looks before it sends.
#[test]
fn a_lost_reply_is_resolved_by_looking() {
    let server = FtpServer::start();
    let spool = Spool::new(TEXT);
    let marks = RefCell::new(Vec::new());
    let keep = |is_whole| {
        marks.borrow_mut().push(is_whole);
        Ok(())
    };
    let mut transporter = open(&to(&server, ""));
    server.set_faults("lost-RNTO");
    let error = transporter.deliver(&Parcel { mark: Mark(&keep), ..spool.parcel("a") }).unwrap_err();
    assert_eq!(error.reason(), "rename .a.part to a: the connection was lost");
    assert_eq!(*marks.borrow(), [true]);
    server.set_faults("");
    let again = Parcel { sent_before: true, was_whole: true, mark: Mark(&keep), ..spool.parcel("a") };
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Found);
    // The receiver has taken it away since.
    fs::remove_file(server.root().join("a")).unwrap();
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Taken);
    // One that still has an earlier file takes none away; and one that shows nothing may have the part.
    fs::write(server.root().join("before"), "x").unwrap();
    let keeps = Parcel { earlier: Some("before"), ..again };
    assert_eq!(transporter.deliver(&keeps).unwrap().how, How::Sent);
    fs::remove_file(server.root().join("a")).unwrap();
    fs::write(server.root().join(".a.part"), TEXT).unwrap();
    server.set_faults("MLST=550 RETR=550");
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Sent);
    assert_eq!(names(&server.root()), ["a", "before"]);
}

#[test]
fn silence_has_an_end() {
    let server = FtpServer::start();
    let spool = Spool::new(TEXT);
    for (fault, reason) in [
        ("stall-USER", "log in as ew: no answer in time"),
        ("stall-MLST", "look for a: no answer in time"),
        ("stall-STOR", "write .a.part: no answer in time"),
        ("stall-RNTO", "rename .a.part to a: no answer in time"),
    ] {
        server.set_faults(fault);
        let mut transporter = open_with(&to(&server, ""), Duration::from_secs(1)).unwrap();
        let error = transporter.deliver(&spool.parcel("a")).unwrap_err();
        assert_eq!((error.exit(), error.reason()), (Exit::Unavailable, reason), "{fault}");
    }
    // More than the buffers on the way hold.
    server.set_faults("stall-data");
    let mut transporter = open_with(&to(&server, ""), Duration::from_secs(1)).unwrap();
    let error = transporter.deliver(&Spool::new(vec![b'x'; 30_000_000]).parcel("a")).unwrap_err();
    assert_eq!((error.exit(), error.reason()), (Exit::Unavailable, "write .a.part: no answer in time"));
    server.set_faults("");
    assert_eq!(open(&to(&server, "")).deliver(&spool.parcel("a")).unwrap().how, How::Sent);
    assert_eq!(names(&server.root()), ["a"]);
}

#[test]
fn a_connection_that_ended_meanwhile_is_made_anew() {
    let server = FtpServer::start();
    let spool = Spool::new(TEXT);
    let mut transporter = open(&to(&server, ""));
    for (name, fault) in [("a", ""), ("b", "once-MLST=421"), ("c", "once-lost-MLST")] {
        server.set_faults(fault);
        assert_eq!(transporter.deliver(&spool.parcel(name)).unwrap().how, How::Sent, "{fault}");
    }
    assert_eq!(names(&server.root()), ["a", "b", "c"]);
}

/// Text gets the receiver's own line ends: its bytes prove nothing there, and its lines do.
#[test]
fn text_is_sent_as_text() {
    let server = FtpServer::start();
    let options = to(&server, "transfer = \"ascii\"");
    for (name, text, stored) in [
        ("lf", "a\nb\n", "a\nb\n"),
        ("crlf", "a\r\nb\r\n", "a\nb\n"),
        ("none", "", ""),
        ("bare", "a\rb", "a\rb"),
    ] {
        let spool = Spool::new(text);
        let mut transporter = open(&options);
        let receipt = transporter.deliver(&spool.parcel(name)).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Sent, Checked::Reply), "{name}");
        // A Unix machine's own line ends.
        assert_eq!(fs::read(server.root().join(name)).unwrap(), stored.as_bytes(), "{name}");
        let receipt = transporter.deliver(&spool.parcel(name)).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Found, Checked::Sha256), "{name}");
        let error = transporter.deliver(&Spool::new("a\nc\n").parcel(name)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Occupied, "{name}");
    }
    let mut look = look(&options);
    assert_eq!(look.size("lf").unwrap(), Answer::Is(Size::Untold));
    assert!(matches!(look.hash("lf", 100).unwrap(), Answer::Unknown(_)));
    assert_eq!(look.read("crlf", 100).unwrap(), Answer::Is(b"a\nb\n".to_vec()));
    let Answer::Is(entries) = look.list().unwrap() else { panic!("no listing") };
    assert!(entries.iter().all(|entry| entry.bytes.is_none()), "{entries:?}");
}

/// A receiver that takes APPE alone: what is there is never sent a second time.
#[test]
fn appending_goes_on_where_it_ended() {
    let server = FtpServer::start_with("--permissions elra");
    let (spool, options) = (Spool::new(TEXT), to(&server, "append = true"));
    assert_eq!(fails(&to(&server, "")).exit(), Exit::Refused);
    assert_eq!(arrives(&options, &server.root(), "a"), (How::InPlace, Checked::Size));
    let mut transporter = open(&options);
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap().how, How::Found);
    let again = Parcel { sent_before: true, ..spool.parcel("a") };
    for begun in [0, 1, TEXT.len() - 1] {
        for faults in ["", "RETR=550"] {
            fs::write(server.root().join("a"), &TEXT[..begun]).unwrap();
            server.set_faults(faults);
            assert_eq!(transporter.deliver(&again).unwrap().how, How::InPlace, "{begun} {faults}");
            assert_eq!(fs::read(server.root().join("a")).unwrap(), spool.bytes, "{begun} {faults}");
        }
    }
    fs::write(server.root().join("a"), "Time").unwrap();
    server.set_faults("");
    assert_eq!(transporter.deliver(&again).unwrap_err().kind(), ErrorKind::Occupied);
    // What cannot be seen is not added to.
    server.set_faults("MLST=500 SIZE=500 RETR=550");
    let error = transporter.deliver(&again).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert_eq!(fs::read(server.root().join("a")).unwrap(), b"Time");
    assert_eq!(transporter.deliver(&spool.parcel("b")).unwrap().checked, Checked::Reply);
    // A revision takes the place of the file, where it may be removed.
    let server = FtpServer::start_with("--permissions elrad");
    fs::write(server.root().join("a"), "old and longer than the new one, which is short").unwrap();
    let revision = Parcel { may_replace: true, ..spool.parcel("a") };
    let receipt = open(&to(&server, "append = true")).deliver(&revision).unwrap();
    assert_eq!(receipt.how, How::InPlace);
    assert_eq!(fs::read(server.root().join("a")).unwrap(), spool.bytes);
}

fn with_context<T>(then: impl FnOnce(&Context<'_>) -> T) -> T {
    let resolve = |source: &SecretSource| match source {
        SecretSource::Plain(secret) => Ok::<Secret, String>(secret.clone()),
        _ => Err("there is no such secret".to_owned()),
    };
    then(&Context { base: Path::new("/nowhere"), timeout: Span(Duration::from_secs(10)), resolve: &resolve })
}

fn look(options: &TransportOptions) -> Box<dyn Look> {
    with_context(|context| options.look(context)).unwrap().unwrap()
}

/// By MLSD and by LIST.
#[test]
fn what_is_there_can_be_seen() {
    let (pyftpdlib, vsftpd, proftpd) =
        (FtpServer::start(), FtpServer::vsftpd(""), Proftpd::ftps("", ftp::certify));
    for (options, root) in [
        (to(&pyftpdlib, ""), pyftpdlib.root()),
        (to_vsftpd(&vsftpd, ""), vsftpd.root()),
        (to_proftpd(&proftpd, proftpd.port(), ""), proftpd.root()),
    ] {
        fs::write(root.join("a"), TEXT).unwrap();
        fs::write(root.join("Zähler 7.csv"), "").unwrap();
        fs::create_dir(root.join("d")).unwrap();
        let mut look = look(&options);
        let Answer::Is(mut entries) = look.list().unwrap() else { panic!("no listing") };
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        let seen: Vec<_> = entries.iter().map(|entry| (entry.name.as_str(), entry.bytes)).collect();
        assert_eq!(seen, [("Zähler 7.csv", Some(0)), ("a", Some(TEXT.len() as u64))]);
        assert_eq!(look.size("a").unwrap(), Answer::Is(Size::Bytes(TEXT.len() as u64)));
        assert_eq!(look.size("d").unwrap(), Answer::Is(Size::Directory));
        assert_eq!(look.size("none").unwrap(), Answer::Absent);
        let Answer::Is(content) = look.hash("a", 1000).unwrap() else { panic!("not read") };
        assert_eq!((content.bytes, content.sha256), (TEXT.len() as u64, Spool::new(TEXT).sha256));
        assert_eq!(look.read("a", 1000).unwrap(), Answer::Is(TEXT.as_bytes().to_vec()));
        assert_eq!(look.read("none", 1000).unwrap(), Answer::Absent);
        assert!(matches!(look.read("d", 1000).unwrap(), Answer::Unknown(_)));
        // More than was asked for is not read to its end, and then it goes on.
        fs::write(root.join("large"), vec![b'x'; 3_000_000]).unwrap();
        let Answer::Is(content) = look.hash("large", 1000).unwrap() else { panic!("not read") };
        assert!((1001..2_000_000).contains(&content.bytes), "{}", content.bytes);
        assert_eq!(look.size("a").unwrap(), Answer::Is(Size::Bytes(TEXT.len() as u64)));
    }
    pyftpdlib.set_faults("RETR=550 MLSD=500");
    let mut look = look(&to(&pyftpdlib, ""));
    assert!(matches!(look.hash("a", 1000).unwrap(), Answer::Unknown(_)));
    assert!(matches!(look.list().unwrap(), Answer::Unknown(_)));
    let error = self::look(&to(&pyftpdlib, "directory = \"none\"")).list().unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
}

fn found(options: &TransportOptions) -> (Vec<(Ability, Can)>, Probe) {
    let probe = with_context(|context| options.probe(context, ".ew-probe-1"));
    (probe.abilities.iter().map(|found| (found.ability, found.can)).collect(), probe)
}

#[test]
fn what_a_server_can_do_is_tried_and_leaves_nothing() {
    use Ability::{Connect, Directory, List, LogIn, ReadBack, Remove, Rename, Replace, Stat, Tls, Write};
    let all = |can: &[(Ability, Can)]| -> Vec<(Ability, Can)> {
        [Connect, Tls, LogIn, Directory, Write, Stat, ReadBack, Rename, Replace, List, Remove]
            .into_iter()
            .filter(|ability| !can.contains(&(*ability, Can::No)) || *ability != Replace)
            .map(|ability| {
                can.iter().find(|(other, _)| *other == ability).copied().unwrap_or((ability, Can::Yes))
            })
            .collect()
    };
    let (pyftpdlib, vsftpd, proftpd) =
        (FtpServer::start(), FtpServer::vsftpd(""), Proftpd::ftps("", ftp::certify));
    let made = "directory = \"new\"\ncreate_directory = true";
    for (options, root) in [
        (to(&pyftpdlib, made), pyftpdlib.root()),
        (to_vsftpd(&vsftpd, made), vsftpd.root()),
        (to_proftpd(&proftpd, proftpd.port(), made), proftpd.root()),
    ] {
        let (abilities, probe) = found(&options);
        assert!(probe.error.is_none() && probe.left.is_empty(), "{probe:?}");
        assert_eq!(abilities, all(&[]), "{probe:?}");
        assert!(names(&root).is_empty(), "{:?}", names(&root));
    }
    pyftpdlib.set_faults("RNFR=550 MLST=500 SIZE=500 RETR=550 LIST=550");
    let (abilities, probe) = found(&to(&pyftpdlib, ""));
    assert!(probe.error.is_none(), "{probe:?}");
    let few = all(&[
        (Stat, Can::Unsupported),
        (ReadBack, Can::No),
        (Rename, Can::Unsupported),
        (Replace, Can::No),
        (List, Can::No),
    ]);
    assert_eq!(abilities, few, "{probe:?}");
    assert!(names(&pyftpdlib.root()).is_empty());
    for (faults, last) in [("PASS=530", LogIn), ("AUTH=502", Tls), ("STOR=552", Write)] {
        pyftpdlib.set_faults(faults);
        let (abilities, probe) = found(&to(&pyftpdlib, ""));
        assert_eq!(abilities.last(), Some(&(last, Can::No)), "{probe:?}");
        assert!(probe.error.is_some() && probe.left.is_empty(), "{probe:?}");
    }
}

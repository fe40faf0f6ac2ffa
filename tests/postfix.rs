//! `ew-export` to Postfix: what lies in the mailboxes, and who got it how often.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/postfix.rs"]
mod postfix;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/smtp.rs"]
mod smtp;

use ew::{Ended, Site};
use postfix::{PASSWORD, Postfix, USER};
use proxy::{Plan, Proxy};
use std::fmt::Write as _;
use std::process::Command;
use std::time::Duration;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");
const OPS: &str = "ops@example.com";
const UTILITY: &str = "utility@example.org";
const BOTH: &str = "to = [\"ops@example.com\", \"utility@example.org\"]\n";

/// One closed quarter with that many rows, mailed to a port.
fn site(postfix: &Postfix, port: u16, keys: &str, rows: u32) -> Site {
    let mut site = Site::new(&format!(
        "[[export]]\nname = \"Zähler\"\npoints = [\"**\"]\nbreakup_on_period = true\n[export.format.csv]\n\
         [export.transport.smtp]\nhost = \"localhost\"\nport = {port}\nca_file = {:?}\nuser = \"{USER}\"\n\
         password = {{ file = \"pw\" }}\nfrom = \"ew@example.com\"\n{keys}",
        postfix.ca_file()
    ));
    site.now("2026-03-01T01:00:00Z");
    site.write("pw", PASSWORD);
    let mut text = "timestamp,point,value\n".to_owned();
    for second in 0..rows {
        let (minute, second) = (second / 60, second % 60);
        writeln!(text, "2026-03-01T00:{minute:02}:{second:02}Z,com.example.hq,{second}.5").unwrap();
    }
    site.run_with_input(ew::sibling(EW_EXPORT, "ew-log").to_str().unwrap(), "append", &text).exit(0);
    site
}

fn export(site: &Site) -> Ended {
    site.run(EW_EXPORT, "")
}

/// The slice as it is, the file that the mail should hold.
fn slice(site: &Site) -> String {
    let range = "--stdout --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
    site.run(EW_EXPORT, range).exit(0).stdout
}

fn state(site: &Site) -> String {
    let output =
        Command::new("sqlite3").arg(site.file("ew.db")).arg("select state from slice").output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn by_starttls_and_by_tls_the_mailbox_holds_the_slice_byte_for_byte() {
    let postfix = Postfix::start(&[OPS, UTILITY], 1_000_000);
    for (before, port, keys) in
        [(0, postfix.port(), "security = \"starttls\"\n"), (1, postfix.tls_port(), "security = \"tls\"\n")]
    {
        let site = site(&postfix, port, &format!("{keys}{BOTH}"), 900);
        export(&site).exit(0);
        for address in [OPS, UTILITY] {
            let mails = postfix.mails(address, before + 1);
            let mail = &mails[before];
            assert_eq!(mail.headers["Delivered-To"], address);
            // RFC 3848: TLS and a log-in.
            assert!(mail.headers["Received"].contains("with ESMTPSA"), "{}", mail.headers["Received"]);
            assert_eq!(mail.headers["Subject"], "Zähler 2026-03-01 00:00+0000");
            let [_, attachment] = mail.parts.as_slice() else { panic!("{:?}", mail.parts) };
            assert_eq!(attachment.name.as_deref(), Some("Zähler_20260301T000000Z.csv"));
            assert!(attachment.content == slice(&site).as_bytes(), "the attachment is not the slice");
            let raw = String::from_utf8(mail.raw.clone()).unwrap();
            assert_eq!(raw.matches("filename").count(), 1, "{raw}");
        }
        export(&site).exit(66);
    }
}

#[test]
fn a_wrong_password_is_refused() {
    let postfix = Postfix::start(&[OPS, UTILITY], 1_000_000);
    let site = site(&postfix, postfix.port(), BOTH, 3);
    site.write("pw", "not it");
    let ended = export(&site).exit(77);
    assert!(
        ended.stderr.contains(&format!("log in as {USER}: the server says 535 5.7.8"))
            && ended.stderr.contains("hint: are user and password right"),
        "{}",
        ended.stderr
    );
    assert_eq!(state(&site), "failed");
    site.write("pw", PASSWORD);
    export(&site).exit(0);
    postfix.mails(OPS, 1);
}

#[test]
fn a_mail_that_is_larger_than_the_server_takes() {
    let postfix = Postfix::start(&[OPS, UTILITY], 20_000);
    let site = site(&postfix, postfix.port(), BOTH, 900);
    let ended = export(&site).exit(77);
    for part in ["the server says 552 5.3.4", "the mail has ", "breakup_on_period", "such as sftp"] {
        assert!(ended.stderr.contains(part), "{part}: {}", ended.stderr);
    }
    assert_eq!(state(&site), "failed");
}

#[test]
fn a_refused_recipient_keeps_the_slice_open_and_the_others_get_nothing_twice() {
    let postfix = Postfix::start(&[OPS], 1_000_000);
    let site = site(&postfix, postfix.port(), BOTH, 3);
    for _ in 0..2 {
        let ended = export(&site).exit(77);
        let says = format!("{UTILITY}: the server says 550 5.1.1");
        assert!(ended.stderr.contains(&says), "{}", ended.stderr);
        assert!(ended.stderr.contains("(1 of 2 recipients have it)"), "{}", ended.stderr);
        assert_eq!(state(&site), "failed");
        postfix.mails(OPS, 1);
    }
    postfix.set_mailboxes(&[OPS, UTILITY]);
    export(&site).exit(0);
    let theirs = postfix.mails(UTILITY, 1);
    let ours = postfix.mails(OPS, 1);
    assert_eq!(ours[0].headers["Message-ID"], theirs[0].headers["Message-ID"]);
    assert_eq!((state(&site).as_str(), postfix.queued()), ("placed", 0));
}

/// The server has it, and the run dies before it hears so.
#[test]
fn a_killed_run_sends_the_same_mail_again() {
    let postfix = Postfix::start(&[OPS, UTILITY], 1_000_000);
    let proxy = Proxy::start(postfix.address(), Plan::mute_after(15_000));
    let site = site(&postfix, proxy.port(), BOTH, 900);
    let mut killed = site.spawn(EW_EXPORT, "");
    assert!(proxy.wait_for_bytes_up(20_000, Duration::from_secs(60)), "the mail never began");
    let first = postfix.mails(OPS, 1);
    // std's kill is SIGKILL.
    killed.kill().unwrap();
    killed.wait().unwrap();
    assert_eq!(state(&site), "sending");

    proxy.set_plan(Plan::open());
    export(&site).exit(0);
    assert_eq!(state(&site), "placed");
    assert_eq!(site.names("ew.db.spool/jobs/Zähler"), Vec::<String>::new());
    for address in [OPS, UTILITY] {
        let mails = postfix.mails(address, 2);
        for mail in &mails {
            assert_eq!(mail.headers["Message-ID"], first[0].headers["Message-ID"]);
            assert_eq!(mail.parts[1].content, slice(&site).as_bytes());
        }
    }
    export(&site).exit(66);
}

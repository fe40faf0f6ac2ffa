//! `ew-export` to a real mail server: what arrives, whom it reaches, and what becomes of every refusal.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/smtp.rs"]
mod smtp;

use ew::{Ended, Site};
use proxy::{Plan, Proxy};
use smtp::{PASSWORD, Sink, USER};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");
const TO: &str =
    "to = [\"Ops <ops@example.com>\", \"utility@example.org\"]\ncc = [\"archive@example.com\"]\n";
const NAME: &str = "u_20260301T000000Z.csv";

/// Keys of the transporter, one a line.
fn login(sink: &Sink) -> String {
    format!("user = \"{USER}\"\npassword = {{ file = \"pw\" }}\nca_file = {:?}\n", sink.ca_file())
}

fn config(job: &str, port: u16, keys: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{job}\n[export.format.csv]\n\
         [export.transport.smtp]\nhost = \"localhost\"\nport = {port}\n\
         from = \"Energie <ew@example.com>\"\n{keys}"
    )
}

/// A site with one closed quarter, whose far side is that port.
fn site_with(config: &str) -> Site {
    let mut site = Site::new(config);
    site.now("2026-03-01T01:00:00Z");
    site.write("pw", PASSWORD);
    fill(&site, 3);
    site
}

fn site(sink: &Sink, job: &str, keys: &str) -> Site {
    site_with(&config(job, sink.port(), &format!("{}{TO}{keys}", login(sink))))
}

fn fill(site: &Site, rows: u32) {
    let mut text = "timestamp,point,value\n".to_owned();
    for second in 0..rows {
        text += &format!("2026-03-01T00:{:02}:{:02}Z,com.example.hq,{second}.5\n", second / 60, second % 60);
    }
    site.run_with_input(ew::sibling(EW_EXPORT, "ew-log").to_str().unwrap(), "append", &text).exit(0);
}

fn export(site: &Site) -> Ended {
    site.run(EW_EXPORT, "")
}

/// One value of the log.
fn ask(site: &Site, query: &str) -> String {
    let output = Command::new("sqlite3").arg(site.file("ew.db")).arg(query).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn state(site: &Site) -> String {
    ask(site, "select state from slice")
}

#[test]
fn a_mail_holds_the_slice_byte_for_byte() {
    let sink = Sink::start();
    let text = config("", sink.port(), &format!("{}{TO}", login(&sink))).replace("\"u\"", "\"Zähler\"");
    // The same slice into a folder, to compare with.
    let folder = "[[export]]\nname = \"f\"\npoints = [\"**\"]\nbreakup_on_period = true\n[export.format.csv]\n\
                  [export.transport.file]\ndirectory = \"out\"\n";
    let site = site_with(&(text + folder));
    fill(&site, 900);
    export(&site).exit(0);
    let expect = std::fs::read(site.file("out/f_20260301T000000Z.csv")).unwrap();
    assert!(expect.len() > 10_000 && !expect.contains(&b'\r'));

    let mails = sink.received();
    let [mail] = mails.as_slice() else { panic!("{} mails", mails.len()) };
    assert!(mail.tls);
    assert_eq!(mail.from, "ew@example.com");
    assert_eq!(mail.to, ["ops@example.com", "utility@example.org", "archive@example.com"]);
    let header = |name: &str| mail.headers.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(header("From"), "Energie <ew@example.com>");
    assert_eq!(header("To"), "Ops <ops@example.com>, utility@example.org");
    assert_eq!(header("Cc"), "archive@example.com");
    assert_eq!(header("Subject"), "Zähler 2026-03-01 00:00+0000");
    // The end of the slice, not the moment of sending.
    assert_eq!(header("Date"), "Sun, 01 Mar 2026 00:15:00 +0000");
    assert_eq!(header("Auto-Submitted"), "auto-generated");
    assert_eq!(mail.kind, "multipart/mixed");
    let [body, attachment] = mail.parts.as_slice() else { panic!("{:?}", mail.parts) };
    assert_eq!(body.kind, "text/plain");
    assert_eq!(
        String::from_utf8(body.content.clone()).unwrap().trim(),
        "Zähler, 2026-03-01 00:00+0000 to 2026-03-01 00:15+0000"
    );
    assert_eq!(attachment.kind, "application/octet-stream");
    assert_eq!(attachment.encoding, "base64");
    assert_eq!(attachment.disposition.as_deref(), Some("attachment"));
    assert_eq!(attachment.name.as_deref(), Some("Zähler_20260301T000000Z.csv"));
    assert!(attachment.content == expect, "the attachment is not the slice");
    assert!(mail.raw.is_ascii() && mail.raw.split(|b| *b == b'\n').all(|line| line.len() < 999));

    let receipt: serde_json::Value = serde_json::from_str(&ask(
        &site,
        "select receipt from slice where name like 'Z%' and state = 'placed'",
    ))
    .unwrap();
    let destination =
        format!("smtp://localhost:{}/archive@example.com,ops@example.com,utility@example.org", sink.port());
    assert_eq!(
        receipt,
        serde_json::json!({
            "destination": destination, "path": header("Message-ID"), "bytes": expect.len(), "how": "sent",
            "checked": "reply",
            "recipients": ["ops@example.com", "utility@example.org", "archive@example.com"]
        })
    );
    export(&site).exit(66);
    assert_eq!(sink.received().len(), 1);

    // Sent again by hand: to everyone, and the same mail.
    site.run(EW_EXPORT, "Zähler --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z").exit(0);
    let mails = sink.received();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].to, mails[1].to);
    assert!(mails[0].raw == mails[1].raw, "the second mail is not the first one");
}

#[test]
fn the_file_as_text_and_templates() {
    let sink = Sink::start();
    let keys = "as_attachment = false\nsubject = \"Größe {count} {{x}}\\nBcc: b@example.com\"\n";
    let site = site(&sink, "", keys);
    export(&site).exit(0);
    let mails = sink.received();
    let mail = &mails[0];
    assert_eq!(mail.kind, "text/plain");
    assert_eq!(mail.headers["Subject"], "Größe 1 {x} Bcc: b@example.com");
    assert!(!mail.headers.contains_key("Bcc"));
    let [text] = mail.parts.as_slice() else { panic!("{:?}", mail.parts) };
    assert_eq!((text.encoding.as_str(), text.name.as_deref()), ("base64", Some(NAME)));
    assert!(text.content.starts_with(b"timestamp,com.example.hq\n2026-03-01T00:00:00Z,0.5\n"));
}

#[test]
fn tls_from_the_first_byte_and_none_at_all() {
    let sink = Sink::start_with("--implicit-tls", "DNS:localhost");
    export(&site(&sink, "", "security = \"tls\"\n")).exit(0);
    assert!(sink.received()[0].tls);
    let open = Sink::start_with("--plain --auth-optional", "DNS:localhost");
    let keys = format!("security = \"none\"\n{TO}");
    export(&site_with(&config("", open.port(), &keys))).exit(0);
    assert!(!open.received()[0].tls);
    // With a password in the clear, within this machine.
    let asks = Sink::start_with("--plain", "DNS:localhost");
    let keys = format!("security = \"none\"\nuser = \"ew\"\npassword = \"ewpass\"\n{TO}");
    export(&site_with(&config("", asks.port(), &keys))).exit(0);
    assert_eq!(asks.received().len(), 1);
}

#[test]
fn one_refused_recipient_keeps_the_slice_open_for_it_alone() {
    let sink = Sink::start();
    let site = site(&sink, "", "");
    sink.set_faults("550=utility@example.org");
    let refusal = "utility@example.org: the server says 550 5.1.1 no such user (2 of 3 recipients have it)";
    for _ in 0..2 {
        let ended = export(&site).exit(77);
        assert_eq!(
            ended.stderr,
            format!(
                "ew-export: u: cannot send {NAME} to smtp localhost:{}: {refusal}\n  hint: who has it gets nothing \
                 twice: the next try is for utility@example.org alone; if an address is wrong, correct it in to or \
                 cc\n",
                sink.port()
            )
        );
        let mails = sink.received();
        assert_eq!(mails.len(), 1, "the others get nothing twice");
        assert_eq!(mails[0].to, ["ops@example.com", "archive@example.com"]);
        assert_eq!(state(&site), "failed");
        assert_eq!(ask(&site, "select reached from slice"), "[\"ops@example.com\",\"archive@example.com\"]");
        assert_eq!(ask(&site, "select bookmark is null from job"), "1");
    }
    sink.set_faults("");
    export(&site).exit(0);
    let mails = sink.received();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[1].to, ["utility@example.org"]);
    assert_eq!(mails[1].headers["To"], "Ops <ops@example.com>, utility@example.org");
    assert!(mails[0].raw == mails[1].raw, "everyone gets the same mail");
    assert_eq!(state(&site), "placed");
    assert_eq!(
        ask(&site, "select reached is null, json_array_length(receipt, '$.recipients') from slice"),
        "1|3"
    );
}

#[test]
fn a_recipient_that_is_taken_out_is_waited_for_no_longer() {
    let sink = Sink::start();
    let site = site(&sink, "", "");
    sink.set_faults("550=utility@example.org");
    export(&site).exit(77);
    let text = site.read("ew.toml").replace(", \"utility@example.org\"", "");
    site.write("ew.toml", &text);
    export(&site).exit(0);
    assert_eq!(sink.received().len(), 1);
    assert_eq!(ask(&site, "select receipt ->> 'how' from slice"), "found");
}

#[test]
fn a_recipient_put_off_is_tried_again_alone() {
    let sink = Sink::start();
    let site = site(&sink, "connection_attempts = 2", "");
    sink.set_faults("450=utility@example.org");
    let ended = export(&site).exit(69);
    assert!(ended.stderr.contains("utility@example.org: the server says 450 4.2.1"), "{}", ended.stderr);
    assert_eq!(sink.received().len(), 1);
    assert_eq!(ask(&site, "select attempts from slice"), "2");
    sink.set_faults("");
    export(&site).exit(0);
    let to: Vec<Vec<String>> = sink.received().into_iter().map(|mail| mail.to).collect();
    assert_eq!(
        to,
        [
            vec!["ops@example.com".to_owned(), "archive@example.com".into()],
            vec!["utility@example.org".into()]
        ]
    );
}

#[test]
fn what_the_server_refuses_and_what_it_puts_off() {
    let sink = Sink::start();
    let site = site(&sink, "connection_attempts = 1\ntimeout = \"1s\"", "");
    for (faults, code, says) in [
        ("450", 69, "the server says 450 4.2.1 greylisted"),
        ("550", 77, "the server says 550 5.1.1 no such user"),
        ("sender", 77, "MAIL FROM ew@example.com: the server says 553 5.7.1 sender not allowed"),
        ("452", 69, "the end of DATA: the server says 452 4.3.1 insufficient system storage"),
        ("554", 77, "the end of DATA: the server says 554 5.6.0 content refused"),
        ("421-data", 69, "the server says 421 4.3.2 shutting down"),
        ("drop", 69, "the end of DATA: the connection was lost"),
        ("deaf", 69, "MAIL FROM ew@example.com: no answer in time"),
    ] {
        sink.set_faults(faults);
        let ended = export(&site).exit(code);
        assert!(ended.stderr.contains(says), "{faults}: {}", ended.stderr);
        assert_eq!((state(&site).as_str(), sink.received().len()), ("failed", 0), "{faults}");
    }
    sink.set_faults("");
    export(&site).exit(0);
    assert_eq!(sink.received().len(), 1);
    assert_eq!(ask(&site, "select attempts from slice"), "9");
}

/// Every file of the site but those that hold the password by right.
fn search(folder: &Path, needle: &[u8], found: &mut Vec<String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            search(&path, needle, found);
        } else if path.file_name().unwrap() != "pw"
            && std::fs::read(&path).unwrap().windows(needle.len()).any(|window| window == needle)
        {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn a_wrong_password_is_refused_and_no_password_is_ever_shown() {
    let sink = Sink::start();
    let site = site(&sink, "", "");
    // hunter2hunter2, as it is, as LOGIN and as PLAIN sends it.
    let forms = ["hunter2hunter2", "aHVudGVyMmh1bnRlcjI", "AGV3AGh1bnRlcjJodW50ZXIy"];
    site.write("pw", forms[0]);
    for faults in ["", "echo"] {
        sink.set_faults(faults);
        let ended = site.run(EW_EXPORT, "-v --json").exit(77);
        let said = if faults == "echo" { "535 5.7.8 no: … … …\n" } else { "535 5.7.8 Authentication" };
        assert!(ended.stderr.contains(&format!("log in as ew: the server says {said}")), "{}", ended.stderr);
        assert!(ended.stderr.contains("hint: are user and password right"), "{}", ended.stderr);
        for form in forms {
            assert!(!ended.stderr.contains(form) && !ended.stdout.contains(form), "{}", ended.stderr);
        }
    }
    assert_eq!(state(&site), "failed");
    let mut found = Vec::new();
    forms.iter().for_each(|form| search(site.path(), form.as_bytes(), &mut found));
    assert_eq!(found, Vec::<String>::new());

    sink.set_faults("");
    site.write("pw", PASSWORD);
    let ended = site.run(EW_EXPORT, "-v").exit(0);
    assert!(!ended.stderr.contains(PASSWORD), "{}", ended.stderr);
    search(site.path(), PASSWORD.as_bytes(), &mut found);
    assert_eq!(found, Vec::<String>::new());
}

#[test]
fn a_server_that_wants_a_log_in_is_not_asked_without_one() {
    let sink = Sink::start();
    let site = site_with(&config("", sink.port(), &format!("ca_file = {:?}\n{TO}", sink.ca_file())));
    let ended = export(&site).exit(77);
    assert!(ended.stderr.contains("MAIL FROM ew@example.com: the server says 530"), "{}", ended.stderr);
    // And one that offers none is not sent a password.
    let open = Sink::start_with("--plain --auth-optional", "DNS:localhost");
    let keys = format!("{}{TO}", login(&open));
    let ended = export(&site_with(&config("", open.port(), &keys))).exit(76);
    assert!(ended.stderr.contains("STARTTLS: the server does not offer it"), "{}", ended.stderr);
    assert!(open.received().is_empty());
}

#[test]
fn a_certificate_that_is_not_trusted_ends_it() {
    let (sink, other) = (Sink::start(), Sink::start_with("", "DNS:mail.example.net"));
    let implicit = Sink::start_with("--implicit-tls", "DNS:localhost");
    let user = "user = \"ew\"\npassword = { file = \"pw\" }\n";
    for (port, keys, why) in [
        (sink.port(), user.to_owned(), "self-signed certificate"),
        // The authority of another server.
        (sink.port(), login(&other), "self-signed certificate"),
        (other.port(), login(&other), "hostname mismatch"),
        (implicit.port(), format!("security = \"tls\"\n{user}"), "self-signed certificate"),
    ] {
        let ended = export(&site_with(&config("", port, &(keys + TO)))).exit(77);
        let says = format!("the server's certificate is not trusted: {why}");
        assert!(ended.stderr.contains(&says) && ended.stderr.contains("ca_file"), "{}", ended.stderr);
    }
    assert!([sink, other, implicit].iter().all(|sink| sink.received().is_empty()));
}

/// A reply that someone on the way puts before the handshake would be taken for one under TLS, and from then on
/// each reply for that of the command before it: 354 would read as "delivered".
#[test]
fn a_reply_from_before_tls_is_no_delivery() {
    let sink = Sink::start_with("--auth-optional", "DNS:localhost");
    sink.set_faults("inject");
    let site = site_with(&config("", sink.port(), &format!("ca_file = {:?}\n{TO}", sink.ca_file())));
    let ended = export(&site).exit(76);
    assert!(ended.stderr.contains("the server says 250 here"), "{}", ended.stderr);
    assert_eq!((state(&site).as_str(), sink.received().len()), ("failed", 0));
    sink.set_faults("");
    export(&site).exit(0);
    assert_eq!(sink.received().len(), 1);
}

#[test]
fn the_wrong_way_of_tls_and_a_silent_server() {
    let sink = Sink::start();
    let ended = export(&site(&sink, "", "security = \"tls\"\n")).exit(76);
    assert!(ended.stderr.contains("no TLS came about"), "{}", ended.stderr);
    // A server that takes the connection and says nothing, ever.
    let silent = Proxy::start(sink.address(), Plan::stall_after(0));
    for security in ["tls", "starttls"] {
        let keys = format!("security = \"{security}\"\n{}{TO}", login(&sink));
        let site = site_with(&config("timeout = \"500ms\"\nconnection_attempts = 1", silent.port(), &keys));
        let started = Instant::now();
        let ended = export(&site).exit(69);
        assert!(ended.stderr.contains("no answer in time"), "{security}: {}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(10), "{security}: {:?}", started.elapsed());
    }
    drop(silent);
    let port = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let site = site_with(&config("connection_attempts = 1", port, &format!("{}{TO}", login(&sink))));
    let ended = export(&site).exit(69);
    assert!(
        ended.stderr.contains(&format!("connect to 127.0.0.1:{port}: connection refused")),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_mail_that_is_too_large() {
    // Refused here, before a connection is made; counted is what would be sent, which base64 makes larger.
    let sink = Sink::start();
    let proxy = Proxy::start(sink.address(), Plan::open());
    let keys = |max: u32| format!("{}{TO}max_bytes = {max}\n", login(&sink));
    let site = site_with(&config("", proxy.port(), &keys(30_000)));
    fill(&site, 900);
    let bytes: u64 = serde_json::from_str::<serde_json::Value>(
        &site.run(EW_EXPORT, "--dry-run --json").stdout,
    )
    .unwrap()["jobs"][0]["slices"][0]["bytes"]
        .as_u64()
        .unwrap();
    assert!((20_000..30_000).contains(&bytes), "{bytes}");
    let ended = export(&site).exit(65);
    assert!(ended.stderr.contains("max_bytes is 30000"), "{}", ended.stderr);
    assert!(ended.stderr.contains("another transport, such as sftp"), "{}", ended.stderr);
    assert_eq!((proxy.connections(), state(&site).as_str()), (0, "failed"));
    site.write("ew.toml", &config("", proxy.port(), &keys(60_000)));
    export(&site).exit(0);
    assert_eq!(proxy.connections(), 1);

    // Refused there.
    let small = Sink::start_with("--max 20000", "DNS:localhost");
    let site = self::site(&small, "", "");
    fill(&site, 900);
    let ended = export(&site).exit(77);
    assert!(ended.stderr.contains("the end of DATA: the server says 552"), "{}", ended.stderr);
    assert!(ended.stderr.contains("another transport, such as sftp"), "{}", ended.stderr);
}

#[test]
fn a_lost_reply_sends_the_same_mail_again() {
    let sink = Sink::start();
    let site = site(&sink, "connection_attempts = 1", "");
    sink.set_faults("lost-reply");
    export(&site).exit(69);
    sink.set_faults("");
    export(&site).exit(0);
    let mails = sink.received();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].headers["Message-ID"], mails[1].headers["Message-ID"]);
    assert!(mails[0].raw == mails[1].raw);
    assert_eq!(ask(&site, "select receipt ->> 'how' from slice"), "sent");
}

#[test]
fn kill_9_during_data_and_before_its_reply() {
    let sink = Sink::start();
    let proxy = Proxy::start(sink.address(), Plan::stall_after(20_000));
    let site = site_with(&config("", proxy.port(), &format!("{}{TO}", login(&sink))));
    fill(&site, 900);
    let mut first = site.spawn(EW_EXPORT, "");
    assert!(proxy.wait_for_bytes_up(20_000, Duration::from_secs(20)), "the mail never began");
    // std's kill is SIGKILL.
    first.kill().unwrap();
    first.wait().unwrap();
    assert_eq!((state(&site).as_str(), sink.received().len()), ("sending", 0));

    // The server has it, and the run dies before it hears so.
    proxy.set_plan(Plan::open());
    sink.set_faults("stall");
    let mut second = site.spawn(EW_EXPORT, "");
    let started = Instant::now();
    while sink.received().is_empty() {
        assert!(started.elapsed() < Duration::from_secs(20), "the mail never arrived");
        std::thread::sleep(Duration::from_millis(10));
    }
    second.kill().unwrap();
    second.wait().unwrap();
    assert_eq!(state(&site), "sending");

    sink.set_faults("");
    export(&site).exit(0);
    let mails = sink.received();
    assert_eq!(mails.len(), 2, "at least once");
    assert!(mails[0].raw == mails[1].raw, "one slice is one mail, however often it is sent");
    assert_eq!(ask(&site, "select state, attempts from slice"), "placed|3");
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
    export(&site).exit(66);
}

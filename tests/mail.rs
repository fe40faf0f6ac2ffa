//! Mail beyond one file to one server: its body, slices that are too large for one mail, and the machine's own
//! `sendmail` in place of a server.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/postfix.rs"]
mod postfix;
#[path = "support/smtp.rs"]
mod smtp;

use ew::Site;
use postfix::Postfix;
use smtp::{PASSWORD, Received, Sink, USER};
use std::fmt::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");
const TO: &str = "to = [\"ops@example.com\", \"utility@example.org\"]\n";

/// One closed quarter with a reading each second, mailed in whatever way `keys` say.
fn site(job: &str, format: &str, keys: &str) -> Site {
    let mut site = Site::new(&format!(
        "site = \"A&B <north>\"\n[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{job}\n\
         [export.format.csv]\n{format}\n[export.transport.smtp]\nfrom = \"ew@example.com\"\n{keys}"
    ));
    site.now("2026-03-01T01:00:00Z");
    site.write("pw", PASSWORD);
    let mut text = "timestamp,point,value\n".to_owned();
    for second in 0..900 {
        let (minute, second) = (second / 60, second % 60);
        writeln!(text, "2026-03-01T00:{minute:02}:{second:02}Z,meter,{second}.5").unwrap();
    }
    append(&site, &text);
    site
}

fn append(site: &Site, rows: &str) {
    program(site, "ew-log", "-q append --replace", rows).exit(0).stderr("");
}

fn program(site: &Site, name: &str, arguments: &str, input: &str) -> ew::Ended {
    site.run_with_input(ew::sibling(EW_EXPORT, name).to_str().unwrap(), arguments, input)
}

fn server(sink: &Sink) -> String {
    format!(
        "host = \"localhost\"\nport = {}\nuser = \"{USER}\"\npassword = {{ file = \"pw\" }}\nca_file = {:?}\n{TO}",
        sink.port(),
        sink.ca_file()
    )
}

/// The whole quarter as one document.
fn whole(site: &Site) -> String {
    let range = "--stdout --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
    site.run(EW_EXPORT, range).exit(0).stdout
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_body_is_plain_or_html_and_may_say_what_is_attached() {
    let sink = Sink::start();
    let keys = "body = \"{site}: {start:%H:%M}\"\nsummary = true\n";
    let plain = site("", "", &format!("{}{keys}", server(&sink)));
    plain.run(EW_EXPORT, "").exit(0);
    let html = site("", "", &format!("{}{keys}body_format = \"html\"\n", server(&sink)));
    html.run(EW_EXPORT, "").exit(0);
    let mails = sink.received();
    let body =
        |mail: &Received| String::from_utf8(mail.parts[0].content.clone()).unwrap().replace("\r\n", "\n");
    let list = json(&program(&plain, "ew-ledger", "list --json", "").exit(0).stdout);
    let (bytes, sha256) =
        (&list["deliveries"][0]["bytes"], list["deliveries"][0]["sha256"].as_str().unwrap());
    assert_eq!(mails[0].parts[0].kind, "text/plain");
    assert_eq!(
        body(&mails[0]).trim_end(),
        format!(
            "A&B <north>: 00:00\n\nfile      u_20260301T000000Z.csv\nfrom      2026-03-01T00:00:00Z\n\
             to        2026-03-01T00:15:00Z\nrows      900\nbytes     {bytes}\nsha256    {sha256}"
        )
    );
    assert_eq!(mails[1].parts[0].kind, "text/html");
    let text = body(&mails[1]);
    assert!(text.contains("<div>A&amp;B &lt;north&gt;: 00:00</div>"), "{text}");
    for (what, value) in [("rows", "900"), ("bytes", &bytes.to_string()), ("sha256", sha256)] {
        let row = format!("<tr><th align=\"left\">{what}</th><td>{value}</td></tr>");
        assert!(text.contains(&row), "{row}: {text}");
    }
    // The same slice again is the same mail, and not another one for what is said about it.
    program(&html, "ew-ledger", "resend u u_20260301T000000Z.csv", "").exit(0);
    let mails = sink.received();
    assert!(mails[1].raw == mails[2].raw, "the second mail is not the first one");
}

/// Names, in order of time, and the rows of all of them, of which each has a header of its own.
fn parts(mails: &[Received]) -> (Vec<String>, String) {
    let mut rows = String::new();
    for mail in mails {
        let content = String::from_utf8(mail.parts[1].content.clone()).unwrap();
        let (header, own) = content.split_once('\n').unwrap();
        assert_eq!(header, "timestamp,meter");
        rows += own;
    }
    (mails.iter().map(|mail| mail.parts[1].name.clone().unwrap()).collect(), rows)
}

#[test]
fn a_slice_too_large_for_one_mail_goes_as_several() {
    const MAX: usize = 20_000;
    let sink = Sink::start();
    let keys = |sink: &Sink| format!("{}max_bytes = {MAX}\nsplit = true\n", server(sink));
    let site = site("", "", &keys(&sink));
    let planned = json(&site.run(EW_EXPORT, "--dry-run --json").exit(0).stdout);
    site.run(EW_EXPORT, "").exit(0);
    let mails = sink.received();
    let (names, rows) = parts(&mails);
    assert!((3..=6).contains(&names.len()), "{names:?}");
    assert_eq!(names[0], "u_20260301T000000Z.csv");
    assert_eq!(rows, whole(&site).split_once('\n').unwrap().1, "all rows, each once");
    assert!(mails.iter().all(|mail| mail.raw.len() <= MAX));
    let ids: std::collections::BTreeSet<&String> =
        mails.iter().map(|mail| &mail.headers["Message-ID"]).collect();
    assert_eq!(ids.len(), names.len());
    let of_plan = planned["jobs"][0]["slices"].as_array().unwrap();
    let of_plan: Vec<&str> = of_plan.iter().map(|slice| slice["name"].as_str().unwrap()).collect();
    assert_eq!(of_plan, names);
    site.run(EW_EXPORT, "").exit(66);
    program(&site, "ew-ledger", "audit", "").exit(0);

    // Each is a slice: sent again byte for byte, and revised alone.
    program(&site, "ew-ledger", &format!("resend u {}", names[1]), "").exit(0);
    let again = sink.received();
    assert!(again.len() == names.len() + 1 && again.last().unwrap().raw == mails[1].raw);
    append(&site, "timestamp,point,value\n2026-03-01T00:14:59Z,meter,8000\n");
    site.run(EW_EXPORT, "").exit(0);
    let revised = sink.received();
    let (last, _) = parts(&revised[names.len() + 1..]);
    assert_eq!(last, [names.last().unwrap().replace(".csv", "_r1.csv")]);
    program(&site, "ew-ledger", "audit", "").exit(0);
}

#[test]
fn a_run_killed_between_parts_goes_on_with_the_same_ones() {
    let sinks = [Sink::start(), Sink::start()];
    let mut sent = Vec::new();
    for (sink, boundary) in sinks.iter().zip([None, Some("placed:2")]) {
        let site = site("", "", &format!("{}max_bytes = 20000\nsplit = true\n", server(sink)));
        if let Some(boundary) = boundary {
            let killed = site.command(EW_EXPORT, "-q").env("EW_CRASH", boundary).output().unwrap();
            assert_eq!(killed.status.code(), None);
            assert_eq!(sink.received().len(), 2);
        }
        site.run(EW_EXPORT, "").exit(0);
        program(&site, "ew-ledger", "audit", "").exit(0);
        sent.push(parts(&sink.received()));
    }
    assert_eq!(sent[0], sent[1]);
}

#[test]
fn intervals_stay_whole_and_what_cannot_be_cut_is_refused() {
    let sink = Sink::start();
    let keys = format!("{}max_bytes = 5600\nsplit = true\n", server(&sink));
    // Fifteen rows of 43 bytes have room for about ten.
    let site = site("interval = \"1m\"\naggregate = \"mean\"", "decimals = 17", &keys);
    site.run(EW_EXPORT, "").exit(0);
    let mails = sink.received();
    let (names, rows) = parts(&mails);
    assert!(
        (2..=5).contains(&names.len()) && names.iter().all(|name| name.ends_with("00Z.csv")),
        "{names:?}"
    );
    assert_eq!(rows, whole(&site).split_once('\n').unwrap().1);
    let small = self::site("", &format!("prefix = \"{}\"", "x".repeat(9_000)), &keys);
    let ended = small.run(EW_EXPORT, "").exit(65);
    assert!(ended.stderr.contains("max_bytes is 5600"), "{}", ended.stderr);
}

/// Rows of a quarter, one a second, with many digits.
fn quarter(hour: u32, minute: u32, seconds: std::ops::Range<u32>) -> String {
    let mut text = "timestamp,point,value\n".to_owned();
    for second in seconds {
        let (at, noise) = (minute + second / 60, f64::from(second + hour) * 0.618_033_988_75 % 1.0);
        writeln!(text, "2026-03-01T{hour:02}:{at:02}:{:02}Z,meter,{noise}", second % 60).unwrap();
    }
    text
}

fn planned(site: &Site) -> Vec<String> {
    let plan = json(&site.run(EW_EXPORT, "--dry-run --json").exit(0).stdout);
    let slices = plan["jobs"][0]["slices"].as_array().unwrap().iter();
    slices.filter_map(|slice| slice["name"].as_str().map(str::to_owned)).collect()
}

/// Nobody has anything of a slot that was passed over empty, so its parts are slices like any other.
#[test]
fn a_slot_that_was_empty_is_cut_when_its_rows_come() {
    let sink = Sink::start();
    let keys = format!("{}max_bytes = 30000\nsplit = true\n", server(&sink));
    let mut site = site("period = \"1d\"\nfilename = \"u_{start_utc:%Y%m%d}{rev}.csv\"", "", &keys);
    append(&site, &quarter(0, 30, 0..1).replace("03-01", "03-03"));
    site.now("2026-03-04T01:00:00Z");
    site.run(EW_EXPORT, "").exit(0);
    let first = sink.received().len();
    append(&site, &quarter(0, 15, 0..900).replace("03-01", "03-02"));
    let plan = planned(&site);
    assert!((2..=6).contains(&plan.len()), "{plan:?}");
    // A run that is killed after it was cut, and one that places a part.
    for boundary in ["rendered", "placed"] {
        let killed = site.command(EW_EXPORT, "-q").env("EW_CRASH", boundary).output().unwrap();
        assert_eq!(killed.status.code(), None, "{boundary}");
    }
    site.run(EW_EXPORT, "").exit(0);
    let (names, rows) = parts(&sink.received()[first..]);
    assert_eq!(names, plan);
    assert!(names[..2] == ["u_20260302.csv", "u_20260302_2.csv"], "{names:?}");
    let range = "--stdout --from 2026-03-02T00:00:00Z --to 2026-03-03T00:00:00Z";
    assert_eq!(rows, site.run(EW_EXPORT, range).exit(0).stdout.split_once('\n').unwrap().1);
    program(&site, "ew-ledger", "audit", "").exit(0);
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(sink.received().len(), first + plan.len());
}

/// A revision is one file, so one that no mail can carry waits for a person.
#[test]
fn a_revision_too_large_for_one_mail_is_held() {
    let sink = Sink::start();
    let keys = |max: u32| format!("{}max_bytes = {max}\nsplit = true\n", server(&sink));
    let site = site("", "", &keys(50_000));
    site.run(EW_EXPORT, "").exit(0);
    assert_eq!(sink.received().len(), 1);
    let more: String = quarter(0, 0, 0..450).replace("Z,meter", ".5Z,meter");
    append(&site, &more);
    let why = "a revision goes as one file: first raise max_bytes, or set compress or late = \\\"delta\\\"";
    let plan = site.run(EW_EXPORT, "--dry-run --json");
    assert!(plan.stdout.contains(why), "{}", plan.stdout);
    let ended = site.run(EW_EXPORT, "").exit(66);
    assert!(
        ended.stderr.contains("450 rows from 2026-03-01T00:00:00Z to 2026-03-01T00:15:00Z are held"),
        "{}",
        ended.stderr
    );
    assert!(ended.stderr.contains("ew-ledger release u sends them"), "{}", ended.stderr);
    site.run(EW_EXPORT, "").exit(66);
    program(&site, "ew-ledger", "audit", "").exit(0);
    assert_eq!(sink.received().len(), 1);
    // By hand it is refused, too, and nothing of it recorded.
    let range = "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
    let ended = site.run(EW_EXPORT, range).exit(65);
    assert!(ended.stderr.contains("larger than max_bytes allows by now"), "{}", ended.stderr);

    let toml = site.read("ew.toml");
    // The new rows alone.
    site.write(
        "ew.toml",
        &toml.replace("breakup_on_period = true", "breakup_on_period = true\nlate = \"delta\""),
    );
    program(&site, "ew-ledger", "release u", "").exit(0);
    assert_eq!(planned(&site), ["u_20260301T000000Z_r1.csv"]);
    site.run(EW_EXPORT, "").exit(0);
    let (names, rows) = parts(&sink.received()[1..]);
    assert_eq!(names, ["u_20260301T000000Z_r1.csv"]);
    assert_eq!(rows.lines().count(), 450);
    assert!(rows.lines().all(|row| row.contains(".5Z")), "the new ones alone");
    program(&site, "ew-ledger", "audit", "").exit(0);
    // Or whole, where the server takes more.
    site.write("ew.toml", &toml);
    append(&site, "timestamp,point,value\n2026-03-01T00:00:00Z,meter,1\n");
    let ended = site.run(EW_EXPORT, "").exit(66);
    assert!(ended.stderr.contains("u: 1 rows from"), "{}", ended.stderr);
    site.write("ew.toml", &toml.replace("max_bytes = 50000", "max_bytes = 500000"));
    program(&site, "ew-ledger", "release u", "").exit(0);
    site.run(EW_EXPORT, "").exit(0);
    let (names, rows) = parts(&sink.received()[2..]);
    assert_eq!((names, rows.lines().count()), (vec!["u_20260301T000000Z_r2.csv".to_owned()], 1350));
    program(&site, "ew-ledger", "audit", "").exit(0);
}

/// What is cut is rendered to see how large it is: compressed or not, a few times for each part.
#[test]
fn few_renderings_find_where_to_cut() {
    let sink = Sink::start();
    for compress in ["", "compress = \"gzip\"\n", "compress = \"zstd\"\n"] {
        let (before, keys) =
            (sink.received().len(), format!("{}{compress}max_bytes = 9000\nsplit = true\n", server(&sink)));
        let site = site("", "", &keys);
        append(&site, &quarter(0, 0, 0..900));
        let ended = site.run(EW_EXPORT, "-v").exit(0);
        let measured = ended.stderr.matches("measuring the slice").count();
        let parts = sink.received().len() - before;
        assert!(parts > 2, "{compress}{parts}");
        // Half a day of seconds would be halved sixteen times; this quarter ten.
        assert!(measured <= 5 * parts, "{compress}{measured} for {parts}");
        program(&site, "ew-ledger", "audit", "").exit(0);
    }
}

/// A program in the site's folder.
fn script(site: &Site, text: &str) {
    site.write("sendmail", &format!("#!/bin/sh\n{text}\n"));
    std::fs::set_permissions(site.file("sendmail"), std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn receipt(site: &Site) -> serde_json::Value {
    let shown = program(site, "ew-ledger", "show u u_20260301T000000Z.csv --json", "").exit(0).stdout;
    json(&shown)["revisions"][0].clone()
}

#[test]
fn sendmail_of_postfix_takes_it_from_here() {
    let postfix = Postfix::start(&["ops@example.com", "utility@example.org"], 1_000_000);
    let site = site("", "", &format!("sendmail = {:?}\n{TO}", postfix.sendmail()));
    site.run(EW_EXPORT, "").exit(0);
    let mut ids = Vec::new();
    for address in ["ops@example.com", "utility@example.org"] {
        let mails = postfix.mails(address, 1);
        assert_eq!(mails[0].headers["Delivered-To"], address);
        assert_eq!(mails[0].headers["Return-Path"], "<ew@example.com>");
        assert_eq!(mails[0].headers["To"], "ops@example.com, utility@example.org");
        assert_eq!(mails[0].parts[1].content, whole(&site).as_bytes());
        ids.push(mails[0].headers["Message-ID"].clone());
    }
    assert!(ids[0] == ids[1] && ids[0].ends_with("@example.com>"), "{ids:?}");
    let receipt = receipt(&site);
    assert_eq!(receipt["destination"], "mailto:ops@example.com,utility@example.org");
    site.run(EW_EXPORT, "").exit(66);
}

/// msmtp asks the server at once, so a refusal is an exit code.
#[test]
fn sendmail_has_an_outcome_for_each_recipient() {
    let sink = Sink::start();
    let site =
        site("connection_attempts = 1", "", &format!("sendmail = [\"msmtp\", \"-C\", \"msmtprc\"]\n{TO}"));
    site.write(
        "msmtprc",
        &format!(
            "defaults\nauth on\ntls on\ntls_trust_file {}\naccount default\nhost localhost\nport {}\nuser {USER}\n\
             passwordeval cat pw\n",
            sink.ca_file().display(),
            sink.port()
        ),
    );
    sink.set_faults("550=ops@example.com");
    let ended = site.run(EW_EXPORT, "").exit(77);
    assert!(
        ended.stderr.contains("u_20260301T000000Z.csv to msmtp: ops@example.com: msmtp ends with"),
        "{}",
        ended.stderr
    );
    assert!(
        ended.stderr.contains("550") && ended.stderr.contains("1 of 2 recipients have it"),
        "{}",
        ended.stderr
    );
    assert_eq!(receipt(&site)["reached"], serde_json::json!(["utility@example.org"]));
    sink.set_faults("");
    site.run(EW_EXPORT, "").exit(0);
    let to: Vec<Vec<String>> = sink.received().iter().map(|mail| mail.to.clone()).collect();
    assert_eq!(to, [["utility@example.org"], ["ops@example.com"]]);
    let mails = sink.received();
    assert_eq!(mails[0].parts[1].content, whole(&site).as_bytes());
    assert_eq!(mails[0].headers["Message-ID"], mails[1].headers["Message-ID"]);
}

#[test]
fn a_sendmail_that_is_missing_fails_or_hangs() {
    let keys = format!("sendmail = [\"./sendmail\"]\n{TO}");
    let site = site("connection_attempts = 1\ntimeout = \"1s\"", "", &keys);
    let ended = site.run(EW_EXPORT, "").exit(78);
    assert!(
        ended.stderr.contains("run ./sendmail:") && ended.stderr.contains("hint: sendmail is"),
        "{}",
        ended.stderr
    );
    let checked = site.run(EW_EXPORT, "--check").exit(0);
    assert!(checked.stderr.contains("there is no such program"), "{}", checked.stderr);
    site.run(EW_EXPORT, "--check --probe").exit(78);
    for (text, code, says) in [
        // Its stdin is left unread, which is no failure of its own.
        ("echo queue full >&2; exit 75", 69, "./sendmail ends with exit status: 75: queue full"),
        ("cat >/dev/null; exit 67", 77, "ops@example.com: ./sendmail ends with exit status: 67"),
        ("kill -9 $$", 69, "./sendmail ends with signal: 9"),
        ("sleep 600 & echo $! >child; wait", 69, "./sendmail did not end within 1 s"),
    ] {
        script(&site, text);
        let started = Instant::now();
        let ended = site.run(EW_EXPORT, "").exit(code);
        assert!(ended.stderr.contains(says), "{text}: {}", ended.stderr);
        assert!(started.elapsed() < Duration::from_secs(30), "{text}: {:?}", started.elapsed());
    }
    // What it started is gone with it; nobody may have taken its exit status yet.
    let child = site.read("child");
    let command = std::path::Path::new("/proc").join(child.trim()).join("cmdline");
    assert!(std::fs::read(command).unwrap_or_default().is_empty(), "{child}");
    script(&site, "printf '%s\\n' \"$@\" >>called; cat >>mails");
    site.run(EW_EXPORT, "").exit(0);
    let called = site.read("called");
    assert_eq!(
        called,
        "-i\n-f\new@example.com\n--\nops@example.com\n-i\n-f\new@example.com\n--\nutility@example.org\n"
    );
    // Line ends of this machine.
    assert!(!site.read("mails").contains('\r'));
    assert!(site.run(EW_EXPORT, "--check --probe").exit(0).stdout.contains("no mail was tried"));
}

/// However much it says on either side, it is heard out, and of its words the last are told.
#[test]
fn a_sendmail_that_floods() {
    let keys = format!("sendmail = [\"./sendmail\"]\n{TO}");
    let site = site("connection_attempts = 1", "", &keys);
    let flood = "head -c 3000000 /dev/zero; yes | head -c 2000000; yes no | head -c 2100000 >&2; cat >>mails";
    script(&site, &format!("{flood}; echo out of room >&2; exit 75"));
    let ended = site.run(EW_EXPORT, "").exit(69);
    let said = "./sendmail ends with exit status: 75: no | no | no | no | out of room";
    assert!(ended.stderr.contains(said), "{}", ended.stderr);
    script(&site, &format!("rm -f mails; {flood}"));
    site.run(EW_EXPORT, "").exit(0);
    assert!(site.read("mails").ends_with("--\n"), "it reads on after the flood");
}

//! `ew-ledger rebuild`: the database is lost, the files are at the receiver, and nothing is sent twice or forgotten.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use export::{append, config, ledger, run};
use fastrand::Rng;
use proftpd::{PASSWORD, Proftpd, STRANGER};
use serde_json::Value;
use sshd::Sshd;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

/// Rows of 20 slots from 2026-03-01T00:00:00Z, of which the eighth has none; `more` after them.
fn rows(more: &str) -> String {
    let mut text = "timestamp,point,value\n".to_owned();
    for slot in (0..20).filter(|slot| *slot != 7) {
        for minute in [1, 6, 11] {
            let minutes = slot * 15 + minute;
            let time = format!("2026-03-01T{:02}:{:02}:00Z", minutes / 60, minutes % 60);
            writeln!(text, "{time},a,{slot}.5\n{time},b,").unwrap();
        }
    }
    text + more
}

fn load(site: &Site, text: &str) {
    let log = ew::sibling(export::EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append --replace", text).exit(0);
}

const LATE: &str = "2026-03-01T00:02:00Z,a,7\n2026-03-01T01:02:00Z,a,7\n";
const LATER: &str = "2026-03-01T01:03:00Z,b,8\n";

/// Everything delivered: 19 slots, two of them with a revision and one of these with another.
fn deliver(site: &mut Site) {
    site.now("2026-03-01T05:00:00Z");
    load(site, &rows(""));
    run(site, "ew-export", "").exit(0);
    for late in [LATE, LATER] {
        load(site, &format!("timestamp,point,value\n{late}"));
        run(site, "ew-export", "").exit(0);
    }
}

/// The database goes, and with it the spool and what was kept.
fn lose(site: &Site) {
    lose_database(site);
    std::fs::remove_dir_all(site.file("ew.db.spool")).unwrap();
}

fn lose_database(site: &Site) {
    for name in ["ew.db", "ew.db-wal", "ew.db-shm"] {
        let _ = std::fs::remove_file(site.file(name));
    }
}

fn contents(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    entries.map(|e| (e.file_name().into_string().unwrap(), std::fs::read(e.path()).unwrap())).collect()
}

fn json(site: &Site, arguments: &str, code: i32) -> Value {
    let ended = run(site, "ew-ledger", &format!("{arguments} --json")).exit(code);
    serde_json::from_str(&ended.stdout).unwrap()
}

fn audit(site: &Site) -> Vec<String> {
    let audit = json(site, "audit", 0);
    let rows = audit["jobs"][0]["rows"].as_object().unwrap();
    rows.iter().filter(|(_, n)| **n != 0).map(|(name, n)| format!("{name} {n}")).collect()
}

/// The whole way, for a receiver whose files are in `folder`.
fn lost_and_rebuilt(mut site: Site, folder: &Path) {
    deliver(&mut site);
    let before = ledger(&site);
    let files = contents(folder);
    assert_eq!(files.len(), 22);
    lose(&site);
    load(&site, &rows(&format!("{LATE}{LATER}")));

    // Without it everything would go again, over what is there.
    let planned = run(&site, "ew-export", "--dry-run --json").exit(0).stdout;
    assert!(planned.contains("\"planned\""), "{planned}");
    let found = json(&site, "rebuild u --dry-run", 0);
    assert_eq!((&found["rebuilt"], &found["bookmark"]), (&false.into(), &"2026-03-01T05:00:00Z".into()));
    assert_eq!(ledger(&site), Vec::<String>::new());
    let text = run(&site, "ew-ledger", "rebuild u").exit(0).stdout;
    let last = "u is rebuilt up to 2026-03-01T05:00:00Z: placed 19, held 0, not recognised 0\n";
    assert!(text.ends_with(last), "{text}");

    // What it was, but for the rows of what is superseded, which nobody can know.
    let of_newest = |lines: &[String]| {
        let is_newest = |line: &&String| !line.ends_with("superseded");
        lines.iter().filter(is_newest).cloned().collect::<Vec<_>>()
    };
    assert_eq!(of_newest(&ledger(&site)), of_newest(&before));
    assert_eq!(ledger(&site).len(), before.len());
    assert_eq!(audit(&site), ["placed 117"]);
    run(&site, "ew-log", "check").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert!(contents(folder) == files, "something was sent");
    run(&site, "ew-ledger", "rebuild u").exit(2);
    run(&site, "ew-ledger", "verify -q").exit(0).stdout("");

    // A new slot, a late row in an old one, one for the slot that was empty.
    site.now("2026-03-01T05:15:00Z");
    load(
        &site,
        "timestamp,point,value\n2026-03-01T05:01:00Z,a,1\n2026-03-01T00:03:00Z,a,9\n2026-03-01T01:46:00Z,a,3\n",
    );
    run(&site, "ew-export", "").exit(0);
    // That one slot is rebuilt, so a person has to say that its new row goes out.
    assert_eq!(audit(&site), ["held 1", "placed 119"]);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    let mut now = contents(folder);
    for (name, bytes) in &files {
        assert!(now.remove(name).as_ref() == Some(bytes), "{name} is another");
    }
    let names: Vec<&String> = now.keys().collect();
    assert_eq!(names, ["u_20260301T000000Z_r2.csv", "u_20260301T014500Z.csv", "u_20260301T050000Z.csv"]);
    assert_eq!(audit(&site), ["placed 120"]);
    // And what was delivered before the loss can be had again.
    std::fs::remove_file(folder.join("u_20260301T001500Z.csv")).unwrap();
    run(&site, "ew-ledger", "resend u u_20260301T001500Z.csv").exit(0);
    run(&site, "ew-ledger", "verify -q").exit(0).stdout("");
}

#[test]
fn from_a_folder() {
    let site = Site::new(&config("breakup_on_period = true", "csv]"));
    let folder = site.file("out");
    lost_and_rebuilt(site, &folder);
}

#[test]
fn from_a_server() {
    let server = Sshd::start();
    std::fs::create_dir(server.root().join("in")).unwrap();
    let known_hosts = server.known_hosts(&["ed25519"], server.port());
    let login = format!("key_file = {:?}", server.key());
    let site = Site::new(&sftp(server.port(), server.user(), &login, &known_hosts));
    lost_and_rebuilt(site, &server.root().join("in"));
}

fn sftp(port: u16, user: &str, login: &str, known_hosts: &Path) -> String {
    config("breakup_on_period = true", "csv]").replace(
        "  [export.transport.file]\n  directory = \"out\"\n",
        &format!(
            "  [export.transport.sftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {user:?}\n  {login}\n\
             \x20 known_hosts = {known_hosts:?}\n  directory = \"in\"\n"
        ),
    )
}

/// Three slots delivered, then the database lost; nothing is in the log again.
fn lost(job: &str) -> Site {
    let mut site = Site::new(&config(job, "csv]"));
    site.now("2026-03-01T00:45:00Z");
    append(&site, ROWS);
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    site
}

const ROWS: &str = "01:00 a 1\n 02:00 b 2\n 16:00 a 3\n 31:00 a 4";

#[test]
fn what_differs_or_has_no_file_is_held_for_a_person() {
    let mut site = lost("breakup_on_period = true");
    // Another value, a row that was never sent, and a file that is gone.
    append(&site, "01:00 a 100\n 02:00 b 2\n 16:00 a 3\n 31:00 a 4");
    std::fs::remove_file(site.file("out/u_20260301T001500Z.csv")).unwrap();
    site.write("out/stranger.csv", "x");
    let found = json(&site, "rebuild u", 1);
    assert_eq!(found["unrecognised"], serde_json::json!(["stranger.csv"]));
    assert_eq!(
        ledger(&site),
        [
            "u_20260301T000000Z.csv 00:00-15:00 r0 0 placed",
            "- 00:00-15:00 r1 2 held",
            "- 15:00-30:00 r0 1 held",
            "u_20260301T003000Z.csv 30:00-45:00 r0 1 placed"
        ]
    );
    assert_eq!(audit(&site), ["held 3", "placed 1"]);
    // Late rows for what is held wait with it.
    append(&site, "03:00 a 5\n 17:00 a 6");
    let before = contents(&site.file("out"));
    run(&site, "ew-export", "").exit(0);
    assert!(contents(&site.file("out")) == before);
    run(&site, "ew-ledger", "release u 2026-03-01T00:00:00Z").exit(0);
    run(&site, "ew-ledger", "release u --drop theirs").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert!(site.read("out/u_20260301T000000Z_r1.csv").contains(",100,\n"));
    assert_eq!(site.names("out").len(), before.len() + 1);
    assert_eq!(audit(&site), ["placed 4", "skipped 2"]);
    site.now("2026-03-01T01:00:00Z");
    append(&site, "46:00 a 1");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["placed 5", "skipped 2"]);
}

#[test]
fn what_the_log_no_longer_has_is_never_sent_in_its_place() {
    let mut site = lost("breakup_on_period = true");
    assert_eq!(json(&site, "rebuild u", 0)["bookmark"], "2026-03-01T00:45:00Z");
    assert_eq!(json(&site, "audit", 0)["jobs"][0]["unmatched"], 3);
    append(&site, "02:30 a 7\n 46:00 a 1");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 4);
    assert_eq!(audit(&site), ["held 1", "placed 1"]);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.names("out")[1..],
        [
            "u_20260301T000000Z_r1.csv",
            "u_20260301T001500Z.csv",
            "u_20260301T003000Z.csv",
            "u_20260301T004500Z.csv"
        ]
    );
    // The late row alone: the rest of the slice is at the receiver only.
    assert_eq!(site.read("out/u_20260301T000000Z_r1.csv"), "timestamp,a\n2026-03-01T00:02:30Z,7\n");
    assert_eq!(json(&site, "audit", 0)["jobs"][0]["balanced"], true);
}

/// Rows may come back after the rebuild, some now and some later: what they make is sent to nobody who has it.
#[test]
fn rows_that_come_back_later_are_what_the_receiver_has() {
    for (there, then, half) in [
        ("", "02:00 b 2", "- 00:00-15:00 r1 1 held"),
        ("01:00 a 1\n 31:00 a 4", "", "- 00:00-15:00 r1 1 held"),
    ] {
        let mut site = lost("breakup_on_period = true");
        append(&site, there);
        json(&site, "rebuild u", i32::from(!there.is_empty()));
        let before = contents(&site.file("out"));
        append(&site, then);
        run(&site, "ew-export", "").exit(0);
        assert_eq!(ledger(&site)[..2], ["u_20260301T000000Z.csv 00:00-15:00 r0 0 placed", half]);
        let status = json(&site, "status", 1);
        assert_eq!(status["jobs"][0]["held"], 1);
        let reason = status["jobs"][0]["last_error"].as_str().unwrap();
        assert!(reason.contains("rebuil"), "{reason}");
        let refused = run(&site, "ew-export", "u --from 2026-03-01 --to 2026-03-01T00:30:00").exit(74).stderr;
        assert!(refused.contains("and the log does not give the file that the receiver has"), "{refused}");

        append(&site, "01:00 a 1\n 02:00 b 2\n 31:00 a 4");
        let ended = run(&site, "ew-export", "").exit(0);
        let said = "u: the log has the 2 rows from 2026-03-01T00:00:00Z to 2026-03-01T00:15:00Z again that the \
                    receiver has";
        assert!(ended.stderr.contains(said), "{}", ended.stderr);
        append(&site, "16:00 a 3");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(
            ledger(&site),
            [
                "u_20260301T000000Z.csv 00:00-15:00 r0 2 placed",
                "u_20260301T001500Z.csv 15:00-30:00 r0 1 placed",
                "u_20260301T003000Z.csv 30:00-45:00 r0 1 placed"
            ]
        );
        assert!(contents(&site.file("out")) == before, "something was sent");
        assert_eq!(audit(&site), ["placed 4"]);
        let now = json(&site, "audit", 0);
        assert_eq!((&now["jobs"][0]["unmatched"], &now["jobs"][0]["trimmed"]), (&0.into(), &0.into()));
        run(&site, "ew-ledger", "status").exit(0);
        run(&site, "ew-ledger", "verify -q").exit(0).stdout("");
        append(&site, "03:00 a 5");
        site.now("2026-03-01T00:46:00Z");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(audit(&site), ["held 1", "placed 4"]);
        run(&site, "ew-ledger", "release u").exit(0);
        run(&site, "ew-export", "").exit(0);
        assert_eq!(
            site.read("out/u_20260301T000000Z_r1.csv"),
            "timestamp,a,b\n2026-03-01T00:01:00Z,1,\n2026-03-01T00:02:00Z,,2\n2026-03-01T00:03:00Z,5,\n"
        );
        // From here on it is a slice as any other.
        append(&site, "04:00 a 5");
        run(&site, "ew-export", "").exit(0);
        assert!(site.names("out").contains(&"u_20260301T000000Z_r2.csv".to_owned()));
        assert_eq!(audit(&site), ["placed 6"]);
        run(&site, "ew-log", "check").exit(0);
    }
}

/// What never becomes what the receiver has is for a person to decide, and by then the log may have it.
#[test]
fn what_was_released_is_still_not_sent_where_it_is_there() {
    let site = lost("breakup_on_period = true");
    append(&site, "01:00 a 1");
    json(&site, "rebuild u", 1);
    run(&site, "ew-ledger", "release u").exit(0);
    let before = contents(&site.file("out"));
    append(&site, "02:00 b 2");
    run(&site, "ew-export", "").exit(0);
    assert!(contents(&site.file("out")) == before, "something was sent");
    assert_eq!(audit(&site), ["placed 2"]);
}

/// A server that lets nothing be read tells sizes, and that has to do.
#[test]
fn by_size_where_nothing_can_be_read_back() {
    let whole = Sshd::start();
    std::fs::create_dir(whole.root().join("in")).unwrap();
    let reach = |site: &Site, server: &Sshd| {
        let known_hosts = server.known_hosts(&["ed25519"], server.port());
        let login = format!("key_file = {:?}", server.key());
        site.write("ew.toml", &sftp(server.port(), server.user(), &login, &known_hosts));
    };
    let mut site = Site::new("");
    reach(&site, &whole);
    site.now("2026-03-01T00:45:00Z");
    append(&site, ROWS);
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    let home = whole.root();
    let blind = Sshd::start_with(&format!("ForceCommand internal-sftp -P open,read -d {}", home.display()));
    reach(&site, &blind);
    append(&site, "01:00 a 1\n 16:00 a 3");
    let found = json(&site, "rebuild u", 1);
    assert_eq!(found["slices"][0]["sha256"], Value::Null);
    let unmatched: Vec<&Value> =
        found["slices"].as_array().unwrap().iter().map(|slice| &slice["unmatched"]).collect();
    assert_eq!(unmatched, [true, false, false, true]);
    let before = contents(&home.join("in"));
    append(&site, "02:00 b 2\n 31:00 a 4");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["placed 4"]);
    assert!(contents(&home.join("in")) == before, "something was sent");
    let verified = run(&site, "ew-ledger", "verify").exit(0).stdout;
    assert!(verified.ends_with("u: slices 3: size 3\n"), "{verified}");
}

/// Whatever part of the rows is there when the ledger is rebuilt, and in whatever order the others come: when all are
/// there, all count as delivered, and nothing was sent.
#[test]
fn rows_come_back_in_any_order() {
    let number = |name: &str, default: u64| {
        std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (rounds, seed) = (number("EW_REBUILD_ROUNDS", 4), number("EW_REBUILD_SEED", 1));
    for round in seed..seed + rounds {
        let mut rng = Rng::with_seed(round);
        let what = format!("EW_REBUILD_SEED={round} EW_REBUILD_ROUNDS=1");
        let job = [
            "",
            "manifest = true\nlate = \"delta\"",
            "interval = \"5m\"\naggregate = \"energy\"",
            "interval = \"15m\"\naggregate = \"sum\"\nlate = \"hold\"",
        ][round as usize % 4];
        let mut site = Site::new(&config(&format!("breakup_on_period = true\n{job}"), "csv]"));
        site.now("2026-03-01T00:45:00Z");
        // Every quarter has a row, in the place of which none was passed over empty.
        let mut rows: Vec<String> = ["01:00 a", "16:00 a", "31:00 a"].map(str::to_owned).to_vec();
        rows.extend((0..rng.u32(3..9)).map(|_| {
            let point = rng.choice(["a", "b"]).unwrap();
            format!("{:02}:{:02} {point}", rng.u32(0..45), rng.u32(1..60))
        }));
        rows.sort();
        rows.dedup();
        // Each has a value of its own, so that a file tells whether it is there.
        let text = |rows: &[String]| {
            let one = |row: &String| {
                let (time, point) = row.split_once(' ').unwrap();
                let value: u32 = time.bytes().fold(1, |value, digit| value * 7 + u32::from(digit));
                format!("2026-03-01T00:{time}Z,{point},{value},W\n")
            };
            rows.iter().map(one).fold("timestamp,point,value,unit\n".to_owned(), |all, row| all + &row)
        };
        // Some come late, so that there are revisions and deltas too.
        let late = rng.usize(0..3);
        load(&site, &text(&rows[..rows.len() - late]));
        run(&site, "ew-export", "").exit(0);
        load(&site, &text(&rows[rows.len() - late..]));
        run(&site, "ew-export", "").exit(0);
        run(&site, "ew-ledger", "release u");
        run(&site, "ew-export", "").exit(0);
        let before = contents(&site.file("out"));
        lose(&site);

        rng.shuffle(&mut rows);
        let there = rng.usize(0..=rows.len());
        load(&site, &text(&rows[..there]));
        let code = run(&site, "ew-ledger", "rebuild u").code;
        assert!(matches!(code, 0 | 1), "{what}: {code}");
        let mut rest = &rows[there..];
        while !rest.is_empty() {
            let (next, later) = rest.split_at(rng.usize(1..=rest.len()));
            load(&site, &text(next));
            run(&site, "ew-export", "").exit(0);
            assert!(contents(&site.file("out")) == before, "{what}: something was sent");
            rest = later;
        }
        assert_eq!(audit(&site), [format!("placed {}", rows.len())], "{what}");
        assert_eq!(json(&site, "audit", 0)["jobs"][0]["unmatched"], 0, "{what}");
        run(&site, "ew-ledger", "status").exit(0);
    }
}

#[test]
fn deltas_come_back_by_their_number() {
    let mut site = Site::new(&config("breakup_on_period = true\nlate = \"delta\"\nmanifest = true", "csv]"));
    site.now("2026-03-01T00:15:00Z");
    append(&site, "01:00 a 1");
    run(&site, "ew-export", "").exit(0);
    append(&site, "02:00 a 2");
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    json(&site, "rebuild u", 0);
    let before = contents(&site.file("out"));
    append(&site, "02:00 a 2");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["held 1"]);
    append(&site, "01:00 a 1");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["placed 2"]);
    assert!(contents(&site.file("out")) == before, "something was sent");
    append(&site, "03:00 a 3");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z_r2.csv"), "timestamp,a\n2026-03-01T00:03:00Z,3\n");
}

/// Intervals can be the same without some of their readings: that the log gives the file does not tell that it has all of
/// them. Those that come back then are not sent, be it that they change the intervals for a while.
#[test]
fn what_comes_back_into_the_same_intervals_is_not_sent() {
    let rows = |value: fn(u32) -> u32| (0..30).map(move |minute| (minute, value(minute)));
    let steps = rows(|minute| minute * 3);
    let same = rows(|_| 5);
    let spike = rows(|minute| match minute % 15 {
        3 => 15,
        4 => 0,
        5 => 0,
        _ => 5,
    });
    let cases: [(&str, Vec<(u32, u32)>); 3] =
        [("delta", steps.collect()), ("mean", same.collect()), ("mean", spike.collect())];
    for ((aggregate, all), late) in cases.into_iter().zip(["replace", "hold", "replace"]) {
        let job = format!(
            "breakup_on_period = true\ninterval = \"15m\"\naggregate = {aggregate:?}\nlate = {late:?}"
        );
        let mut site = Site::new(&config(&job, "csv]"));
        site.now("2026-03-01T00:30:00Z");
        let text = |rows: &[(u32, u32)]| {
            let unit = if aggregate == "delta" { "Wh" } else { "W" };
            let one =
                |(minute, value): &(u32, u32)| format!("2026-03-01T00:{minute:02}:00Z,a,{value},{unit}\n");
            "timestamp,point,value,unit\n".to_owned() + &rows.iter().map(one).collect::<String>()
        };
        load(&site, &text(&all));
        run(&site, "ew-export", "").exit(0);
        let before = contents(&site.file("out"));
        lose(&site);
        let (rest, there): (Vec<_>, Vec<_>) =
            all.iter().partition(|(minute, _)| (3..6).contains(&(minute % 15)));
        load(&site, &text(&there));
        json(&site, "rebuild u", 0);
        assert_eq!(audit(&site), ["placed 24"]);
        for minute in [3, 4, 5] {
            let back: Vec<_> = rest.iter().filter(|row| row.0 % 15 == minute).copied().collect();
            load(&site, &text(&back));
            run(&site, "ew-export", "").exit(0);
            assert!(contents(&site.file("out")) == before, "{job}: something was sent");
        }
        assert_eq!(audit(&site), ["placed 30"], "{job}");
        run(&site, "ew-ledger", "status").exit(0);
        let why = json(&site, "why a 2026-03-01T00:03:00Z", 0);
        assert_eq!(why["files"].as_array().unwrap().len(), 1, "{why}");
        // What changes them for good is for a person to send, once.
        load(&site, "timestamp,point,value,unit\n2026-03-01T00:07:30Z,a,90,W\n");
        run(&site, "ew-export", "");
        assert!(contents(&site.file("out")) == before, "{job}: something was sent");
        let why = json(&site, "why a 2026-03-01T00:07:30Z", 0);
        assert_eq!((&why["files"][0]["rev"], &why["files"][0]["seq"]), (&0.into(), &Value::Null), "{why}");
    }
}

/// Deltas without manifests do not tell which rows they hold: these are sent again only where a person names the slice.
#[test]
fn deltas_without_manifests_are_not_released_by_the_way() {
    let mut site = Site::new(&config("breakup_on_period = true\nlate = \"delta\"", "csv]"));
    site.now("2026-03-01T00:15:00Z");
    append(&site, "01:00 a 1");
    run(&site, "ew-export", "").exit(0);
    append(&site, "02:00 a 2");
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    append(&site, "01:00 a 1\n 02:00 a 2");
    let found = json(&site, "rebuild u", 1);
    let reason = found["slices"][2]["error"].as_str().unwrap();
    assert!(reason.contains("deltas without manifests"), "{reason}");
    let before = contents(&site.file("out"));
    let said = run(&site, "ew-ledger", "release u").exit(0).stderr;
    assert!(said.contains("stay held") && said.contains("release u 2026-03-01T00:00:00Z"), "{said}");
    run(&site, "ew-export", "").exit(0);
    assert!(contents(&site.file("out")) == before, "something was sent");
    assert_eq!(audit(&site), ["held 2"]);
    run(&site, "ew-ledger", "release u 2026-03-01T00:00:00Z").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 3);
    assert_eq!(audit(&site), ["placed 2"]);
}

/// Of intervals, where the rows before a slice come back after those in it.
#[test]
fn intervals_come_back_with_the_rows_before_them() {
    let mut site =
        Site::new(&config("breakup_on_period = true\ninterval = \"15m\"\naggregate = \"delta\"", "csv]"));
    site.now("2026-03-01T00:30:00Z");
    append(&site, "10:00 a 100\n 20:00 a 130");
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    append(&site, "20:00 a 130");
    json(&site, "rebuild u", 1);
    assert_eq!(audit(&site), ["held 1"]);
    append(&site, "10:00 a 100");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["placed 2"]);
    assert_eq!(site.names("out").len(), 2);
}

/// The manifests are in the ledger again, and the next one follows the newest.
#[test]
fn the_chain_of_manifests_goes_on() {
    let mut site = Site::new(&config("breakup_on_period = true\nmanifest = true", "csv]"));
    site.now("2026-03-01T00:45:00Z");
    append(&site, ROWS);
    run(&site, "ew-export", "").exit(0);
    // The newest is that of the oldest slice.
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    lose(&site);
    append(&site, &format!("{ROWS}\n 03:00 a 9"));
    // One that is not as it was delivered.
    let text = site.read("out/u_20260301T001500Z.csv");
    site.write("out/u_20260301T001500Z.csv", &text.replace(",3", ",7"));
    let said = run(&site, "ew-ledger", "rebuild u").exit(0).stderr;
    let warning = "u: u_20260301T001500Z.csv is not as its manifest says it was delivered";
    assert!(said.contains(warning), "{said}");
    let altered = run(&site, "ew-ledger", "verify -q").exit(1).stdout;
    assert!(altered.contains("altered 1"), "{altered}");
    // Sent again, with the manifest that it had.
    for name in ["u_20260301T001500Z.csv", "u_20260301T001500Z.csv.manifest.json"] {
        std::fs::remove_file(site.file("out").join(name)).unwrap();
    }
    run(&site, "ew-ledger", "resend u u_20260301T001500Z.csv").exit(0);
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), text);
    append(&site, "46:00 a 1");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/check_manifests.py");
    site.run(script.to_str().unwrap(), "out").exit(0).stdout("5 manifests, 5 files\n");
}

#[test]
fn files_of_an_earlier_name_are_the_jobs_own() {
    for manifest in ["", "\nmanifest = true"] {
        let mut site = lost(&format!("breakup_on_period = true{manifest}"));
        let renamed = site.read("ew.toml").replace("name = \"u\"", "name = \"grid\"");
        site.write("ew.toml", &renamed);
        append(&site, ROWS);
        run(&site, "ew-ledger", "rebuild grid").exit(66);
        let found = json(&site, "rebuild grid --formerly other --formerly u", 0);
        assert_eq!(found["unrecognised"], serde_json::json!([]));
        append(&site, "46:00 a 1");
        site.now("2026-03-01T01:00:00Z");
        run(&site, "ew-export", "").exit(0);
        let files = site.names("out").into_iter().filter(|name| !name.ends_with("json"));
        let names: Vec<String> = files.collect();
        assert_eq!(
            names,
            [
                "grid_20260301T004500Z.csv",
                "u_20260301T000000Z.csv",
                "u_20260301T001500Z.csv",
                "u_20260301T003000Z.csv"
            ]
        );
        assert_eq!(audit(&site), ["placed 5"]);
    }
}

#[test]
fn kept_files_that_are_left_are_kept_again() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    site.now("2026-03-01T00:45:00Z");
    append(&site, ROWS);
    run(&site, "ew-export", "").exit(0);
    lose_database(&site);
    // An emptied log is a loss that every program speaks of; one that is gone can be rebuilt.
    site.write("ew.db", "");
    let ended = run(&site, "ew-ledger", "status").exit(74);
    assert!(ended.stderr.contains("ew-ledger rebuild"), "{}", ended.stderr);
    std::fs::remove_file(site.file("ew.db")).unwrap();
    run(&site, "ew-ledger", "rebuild u").exit(0);
    // It is known whose files lie there, so one more is seen.
    site.write("out/stranger.csv", "");
    assert!(run(&site, "ew-ledger", "verify").exit(1).stdout.contains("stranger.csv"));
    std::fs::remove_file(site.file("out/stranger.csv")).unwrap();
    let text = site.read("out/u_20260301T001500Z.csv");
    std::fs::remove_file(site.file("out/u_20260301T001500Z.csv")).unwrap();
    // The log does not have these rows any more.
    run(&site, "ew-ledger", "resend u u_20260301T001500Z.csv").exit(0);
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), text);
}

#[test]
fn manifests_tell_what_names_cannot() {
    // One file for the whole window, and a number of the ledger in its name.
    let mut site =
        lost("columns = [\"a\", \"b\"]\nfilename = \"{job}_{start_utc:%Y%m%dT%H%M%SZ}_{seq}{rev}.{ext}\"");
    append(&site, ROWS);
    let ended = run(&site, "ew-ledger", "rebuild u").exit(2);
    assert!(ended.stderr.contains("breakup_on_period"), "{}", ended.stderr);
    let name = "u_20260301T000000Z_4.csv";
    let manifest = |name: &str, job: &str| {
        format!(
            "{{\"job\":\"{job}\",\"name\":\"{name}\",\"start\":\"2026-03-01T00:00:00Z\",\
             \"end\":\"2026-03-01T00:45:00Z\",\"rev\":0,\"rows\":4,\"bytes\":1,\"sha256\":\"\",\"as_of_seq\":4}}"
        )
    };
    site.write(&format!("out/{name}.manifest.json"), &manifest(name, "u"));
    // Another job's, and one that is none.
    site.write("out/other.csv", "x");
    site.write("out/other.csv.manifest.json", &manifest("other.csv", "other"));
    site.write("out/broken.csv", "x");
    site.write("out/broken.csv.manifest.json", "{");
    let ended = run(&site, "ew-ledger", "rebuild u --json").exit(0);
    assert!(ended.stderr.contains("broken.csv.manifest.json is no manifest"), "{}", ended.stderr);
    let found: Value = serde_json::from_str(&ended.stdout).unwrap();
    let names = ["broken.csv", "broken.csv.manifest.json", "other.csv", "other.csv.manifest.json"];
    assert_eq!(found["unrecognised"], serde_json::json!(names));
    assert_eq!(ledger(&site), [format!("{name} 00:00-45:00 r0 4 placed")]);
    assert_eq!(audit(&site), ["placed 4"]);
    append(&site, "46:00 a 1");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(audit(&site), ["placed 5"]);
}

/// A delta is no file of the whole slice, and its name does not say so.
#[test]
fn deltas_are_told_by_manifests() {
    let mut site = Site::new(&config("breakup_on_period = true\nlate = \"delta\"", "csv]"));
    site.now("2026-03-01T00:15:00Z");
    let names = ["u_20260301T000000Z.csv", "u_20260301T000000Z_r1.csv"];
    append(&site, "01:00 a 1");
    run(&site, "ew-export", "").exit(0);
    append(&site, "02:00 a 2");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out"), names);
    lose(&site);
    append(&site, "01:00 a 1\n 02:00 a 2");
    let found = json(&site, "rebuild u --dry-run", 1);
    assert_eq!(found["slices"][2]["state"], "held");
    for (rev, after) in [(0, "null"), (1, "1")] {
        let name = names[rev];
        site.write(
            &format!("out/{name}.manifest.json"),
            &format!(
                "{{\"job\":\"u\",\"name\":\"{name}\",\"start\":\"2026-03-01T00:00:00Z\",\
                 \"end\":\"2026-03-01T00:15:00Z\",\"rev\":{rev},\"rows\":1,\"after_seq\":{after}}}"
            ),
        );
    }
    json(&site, "rebuild u", 0);
    assert_eq!(audit(&site), ["placed 2"]);
    run(&site, "ew-ledger", "verify -q").exit(0).stdout("");
    append(&site, "03:00 a 3");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z_r2.csv"), "timestamp,a\n2026-03-01T00:03:00Z,3\n");
    assert_eq!(audit(&site), ["placed 3"]);
}

/// In the hour that comes twice two slots have one local name, and the second got `_2`.
#[test]
fn two_slots_of_one_name_are_told_apart_only_where_both_are_there() {
    let job =
        "breakup_on_period = true\nzone = \"Europe/Zurich\"\nfilename = \"{job}_{start:%Y%m%dT%H%M}.{ext}\"";
    let mut site = Site::new(&config(job, "csv]"));
    site.now("2026-10-25T02:00:00Z");
    let twice = "timestamp,point,value\n2026-10-25T00:31:00Z,a,1\n2026-10-25T01:31:00Z,a,2\n";
    load(&site, twice);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out"), ["u_20261025T0230.csv", "u_20261025T0230_2.csv"]);
    lose(&site);
    load(&site, twice);
    let found = json(&site, "rebuild u", 0);
    let placed =
        |slot: usize| (found["slices"][slot]["start"].clone(), found["slices"][slot]["name"].clone());
    assert_eq!(placed(0), ("2026-10-25T00:30:00Z".into(), "u_20261025T0230.csv".into()));
    assert_eq!(placed(2), ("2026-10-25T01:30:00Z".into(), "u_20261025T0230_2.csv".into()));
    assert_eq!(audit(&site), ["placed 2"]);
    // One alone could be either.
    lose(&site);
    load(&site, twice);
    std::fs::remove_file(site.file("out/u_20261025T0230_2.csv")).unwrap();
    run(&site, "ew-ledger", "rebuild u").exit(66);
}

#[test]
fn what_cannot_be_looked_at_is_not_rebuilt() {
    let site = Site::new(&config("breakup_on_period = true", "csv]"));
    run(&site, "ew-ledger", "rebuild nobody").exit(2);
    run(&site, "ew-ledger", "rebuild u").exit(69);
    std::fs::create_dir(site.file("out")).unwrap();
    run(&site, "ew-ledger", "rebuild u").exit(66);
    let mail = "  [export.transport.smtp]\n  host = \"127.0.0.1\"\n  security = \"none\"\n  from = \"a@example.com\"\n  to = [\"b@example.com\"]\n";
    let text = site.read("ew.toml");
    site.write("ew.toml", &text.replace("  [export.transport.file]\n  directory = \"out\"\n", mail));
    let ended = run(&site, "ew-ledger", "rebuild u").exit(2);
    assert!(ended.stderr.contains("this receiver cannot be looked into"), "{}", ended.stderr);

    let server = Proftpd::start();
    server.strangers_directory("in", 0o300);
    let known_hosts = server.known_hosts(server.port());
    let login = "password = { file = \"password\" }";
    site.write("ew.toml", &sftp(server.port(), STRANGER, login, &known_hosts));
    site.write("password", PASSWORD);
    let ended = run(&site, "ew-ledger", "rebuild u").exit(77);
    assert!(ended.stderr.contains("hint: set since"), "{}", ended.stderr);
}

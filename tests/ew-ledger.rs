//! `ew-ledger`: what was sent, why, and what a person decides about it; each beside real exports into a folder.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::Site;
use export::{append, command, config, ledger, run};
use serde_json::Value;

fn json(site: &Site, arguments: &str, code: i32) -> Value {
    let ended = run(site, "ew-ledger", &format!("{arguments} --json")).exit(code);
    serde_json::from_str(&ended.stdout).unwrap()
}

/// Two slots delivered as wide CSV.
fn delivered(job: &str) -> Site {
    let mut site = Site::new(&config(&format!("breakup_on_period = true\n{job}"), "csv]"));
    append(&site, "01:00 a 1\n 02:00 b 2\n 16:00 a 3");
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(0);
    site
}

/// Changes the log behind the back of the programs.
fn sqlite(site: &Site, sql: &str) {
    let status = std::process::Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap();
    assert!(status.success());
}

#[test]
fn resend_is_byte_for_byte_also_after_a_correction_and_after_trim() {
    let mut site = delivered("");
    let first = site.read("out/u_20260301T000000Z.csv");
    std::fs::remove_dir_all(site.file("out")).unwrap();
    append(&site, "01:00 a 100");
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv"]);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), first);
    assert_eq!(ledger(&site)[0], "u_20260301T000000Z.csv 00:00-15:00 r0 2 placed");
    // By range, in the job's zone; --json as ew-export has it.
    std::fs::remove_dir_all(site.file("out")).unwrap();
    let sent = json(&site, "resend u --from 2026-03-01T00:10 --to 2026-03-01T00:20", 0);
    assert_eq!(sent["jobs"][0]["slices"].as_array().unwrap().len(), 2);
    assert_eq!(sent["jobs"][0]["bookmark"], "2026-03-01T00:30:00Z");
    assert_eq!(site.names("out").len(), 2);
    // The correction goes out as a revision; the first content can still be had again.
    run(&site, "ew-export", "").exit(0);
    std::fs::remove_dir_all(site.file("out")).unwrap();
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(0);
    site.now("2026-03-02T00:30:00Z");
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv u_20260301T001500Z.csv").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), first);
    assert_eq!(ledger(&site)[0], "u_20260301T000000Z.csv 00:00-15:00 r0 2 superseded");
}

#[test]
fn what_can_no_longer_be_sent_as_recorded_is_not_sent() {
    // Without a kept file it is rendered again, which gives the same bytes while the rows are there.
    let mut site = delivered("");
    std::fs::remove_dir_all(site.file("ew.db.spool/kept")).unwrap();
    std::fs::remove_dir_all(site.file("out")).unwrap();
    append(&site, "01:00 a 100");
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert!(site.read("out/u_20260301T000000Z.csv").contains(",1,"));
    run(&site, "ew-export", "").exit(0);
    std::fs::remove_dir_all(site.file("ew.db.spool/kept")).unwrap();
    std::fs::remove_dir_all(site.file("out")).unwrap();
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(0);
    let ended = run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(74);
    assert!(ended.stderr.contains("was recorded with sha256"), "{}", ended.stderr);
    assert_eq!(site.names("out"), Vec::<String>::new());
    // A manual re-export of trimmed slices is refused too, and names what can be done.
    site.now("2026-03-02T00:30:00Z");
    let again = "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z";
    let ended = run(&site, "ew-export", again).exit(74);
    assert!(ended.stderr.contains("ew-ledger resend u"), "{}", ended.stderr);
    assert_eq!(site.names("out"), Vec::<String>::new());
}

/// A kept file that cannot be read is as one that is not there, and what can be sent of a request is sent.
#[test]
fn a_damaged_kept_file_ends_no_resend() {
    let mut site = delivered("");
    let names = ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv"];
    let sent: Vec<String> = names.iter().map(|name| site.read(&format!("out/{name}"))).collect();
    let kept: Vec<String> =
        site.names("ew.db.spool/kept/u").iter().map(|name| format!("ew.db.spool/kept/u/{name}")).collect();
    let whole = std::fs::read(site.file(&kept[0])).unwrap();
    let resend = "resend u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:30:00Z";
    for damage in ["cut", "garbage", "another's", "a folder"] {
        let _ = std::fs::remove_file(site.file(&kept[0]));
        match damage {
            "cut" => std::fs::write(site.file(&kept[0]), &whole[..whole.len() / 2]).unwrap(),
            "garbage" => site.write(&kept[0], "no zstd"),
            "another's" => drop(std::fs::copy(site.file(&kept[1]), site.file(&kept[0])).unwrap()),
            _ => std::fs::create_dir(site.file(&kept[0])).unwrap(),
        }
        std::fs::remove_dir_all(site.file("out")).unwrap();
        let ended = run(&site, "ew-ledger", resend).exit(0);
        assert_eq!(ended.stderr.contains(&kept[0]), damage != "another's", "{damage}: {}", ended.stderr);
        for (name, sent) in names.iter().zip(&sent) {
            assert_eq!(&site.read(&format!("out/{name}")), sent, "{damage}");
        }
        assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new(), "{damage}");
        // It was delivered once more, so it is kept once more.
        if damage != "a folder" {
            assert_eq!(std::fs::read(site.file(&kept[0])).unwrap(), whole, "{damage}");
        }
    }
    // With its rows gone the one cannot be had; the other can, and the message names what was kept.
    std::fs::remove_dir_all(site.file("out")).unwrap();
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    site.now("2026-03-02T00:30:00Z");
    let ended = run(&site, "ew-ledger", resend).exit(74);
    assert!(ended.stderr.contains(&format!("its file ./{} is gone", kept[0])), "{}", ended.stderr);
    assert_eq!(site.names("out"), names[1..]);
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
}

/// A long file in a folder is the spool's own under a second name: a run killed in between leaves both.
#[test]
fn a_resend_does_not_write_into_a_file_that_the_receiver_has_too() {
    let site = delivered("");
    let (there, theirs) = ("out/u_20260301T000000Z.csv", site.file("theirs.csv"));
    let first = site.read(there);
    let kept = site.names("ew.db.spool/kept/u").remove(0);
    let spooled = site.file(&format!("ew.db.spool/jobs/u/{}", kept.trim_end_matches(".zst")));
    std::fs::rename(site.file(there), &theirs).unwrap();
    std::fs::hard_link(&theirs, spooled).unwrap();
    site.write("theirs.csv", "edited by the receiver");
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert_eq!(site.read(there), first);
    assert_eq!(site.read("theirs.csv"), "edited by the receiver");
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
}

/// The kept file that is good is not made again, of a file that the receiver has too.
#[test]
fn a_resend_leaves_a_good_kept_file_alone() {
    use std::os::unix::fs::MetadataExt;
    let site = delivered("");
    let kept = site.file(&format!("ew.db.spool/kept/u/{}", site.names("ew.db.spool/kept/u").remove(0)));
    let inode = || std::fs::metadata(&kept).unwrap().ino();
    let (first, whole) = (inode(), std::fs::read(&kept).unwrap());
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert_eq!(inode(), first);
    std::fs::write(&kept, &whole[..whole.len() - 1]).unwrap();
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert!(std::fs::read(&kept).unwrap() == whole, "a damaged one is made again");
}

/// A program gets the path of the spool's own file, and it is compressed meanwhile.
#[test]
fn what_a_program_writes_into_its_file_is_not_kept() {
    let command = "command]\n  command = [\"sh\", \"-c\", \"echo more >> $EW_FILE\"]";
    let job = config("", "csv]\n  layout = \"long\"").replace("file]\n  directory = \"out\"", command);
    let mut site = Site::new(&job);
    let name = "a".repeat(240);
    let rows: Vec<String> =
        (0..22_500).map(|n| format!("{:02}:{:02} {name}{} 1", n / 60 % 15, n % 60, n / 900)).collect();
    append(&site, &rows.join("\n"));
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    for name in site.names("ew.db.spool/kept/u") {
        let kept = site.file(&format!("ew.db.spool/kept/u/{name}"));
        let text = std::process::Command::new("zstd").arg("-dc").arg(kept).output().unwrap().stdout;
        assert!(text.len() > 5 << 20 && !text.ends_with(b"more\n"), "{name}: {} bytes", text.len());
    }
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
}

/// The ledger does not know of a file that was kept by a run which could not say so any more.
#[test]
fn a_skipped_slice_leaves_no_kept_file() {
    let mut site = delivered("");
    append(&site, "31:00 a 4");
    site.now("2026-03-01T00:45:00Z");
    for boundary in ["noted", "kept"] {
        let killed = command(&site, "ew-export", "").env("EW_CRASH", boundary).output().unwrap();
        assert!(!killed.status.success());
    }
    std::fs::write(
        site.file("ew.db.spool/kept/u/").join(format!("{}.part", site.names("ew.db.spool/kept/u")[2])),
        "",
    )
    .unwrap();
    assert_eq!(site.names("ew.db.spool/kept/u").len(), 4);
    run(&site, "ew-ledger", "skip u 2026-03-01T00:30:00Z gone").exit(0);
    assert_eq!(site.names("ew.db.spool/kept/u").len(), 2);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
}

/// What was waited for may have put a newer revision in its place: that one is sent, not the one that was asked after.
#[test]
fn a_resend_that_waited_sends_what_is_there_then() {
    let mut site = delivered("filename = \"{job}_{start_utc:%Y%m%dT%H%M}.{ext}\"");
    site.now("2026-03-01T00:31:00Z");
    append(&site, "03:00 a 9");
    let lock = std::fs::File::open(site.file("ew.db.spool/locks/export-u.lock")).unwrap();
    lock.lock().unwrap();
    let resend = "resend u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z --wait 60s";
    let mut waiting =
        command(&site, "ew-ledger", resend).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut stderr = std::io::BufReader::new(waiting.stderr.take().unwrap());
    while !said.contains("still active") {
        assert_ne!(std::io::BufRead::read_line(&mut stderr, &mut said).unwrap(), 0, "{said}");
    }
    // As the export that held the lock would have done.
    std::fs::remove_file(site.file("ew.db.spool/locks/export-u.lock")).unwrap();
    run(&site, "ew-export", "").exit(0);
    lock.unlock().unwrap();
    assert!(waiting.wait().unwrap().success(), "{said}");
    let there = site.read("out/u_20260301T0000.csv");
    assert!(there.contains("00:03:00Z,9"), "{there}");
    run(&site, "ew-ledger", "verify").exit(0);
}

/// A power cut may take the file that a resend put back; the kept one is there still. One that cannot be had any more
/// holds back nothing else.
#[test]
fn a_killed_resend_is_finished_from_the_kept_file() {
    let mut site = delivered("");
    let (name, there) = ("u_20260301T000000Z.csv", "out/u_20260301T000000Z.csv");
    let first = site.read(there);
    let killed = |site: &Site| {
        let _ = std::fs::remove_dir_all(site.file("out"));
        let resend =
            command(site, "ew-ledger", &format!("resend u {name}")).env("EW_CRASH", "noted").output();
        assert!(!resend.unwrap().status.success());
        let spooled = site.names("ew.db.spool/jobs/u").remove(0);
        site.write(&format!("ew.db.spool/jobs/u/{spooled}"), "");
    };
    // Rendered again it would be another file.
    site.write("ew.toml", &site.read("ew.toml").replace("csv]", "csv]\ndecimals = 3"));
    killed(&site);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read(there), first);
    killed(&site);
    std::fs::remove_dir_all(site.file("ew.db.spool/kept")).unwrap();
    append(&site, "31:00 a 4");
    site.now("2026-03-01T00:45:00Z");
    let ended = run(&site, "ew-export", "").exit(74);
    assert!(ended.stderr.contains("was recorded with sha256"), "{}", ended.stderr);
    assert_eq!(site.names("out"), ["u_20260301T003000Z.csv"]);
    // It was delivered before, so that is told once.
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "audit").exit(0);
}

/// One that the receiver does not take holds back none of the others.
#[test]
fn a_resend_passes_over_what_the_receiver_does_not_take() {
    let site = delivered("");
    let second = site.read("out/u_20260301T001500Z.csv");
    std::fs::remove_dir_all(site.file("out")).unwrap();
    std::fs::create_dir_all(site.file("out/u_20260301T000000Z.csv")).unwrap();
    run(&site, "ew-ledger", "resend u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:30:00Z").exit(77);
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), second);
    // Where the other cannot be had either (74), the higher code is told.
    let kept = site.names("ew.db.spool/kept/u").remove(1);
    std::fs::remove_file(site.file(&format!("ew.db.spool/kept/u/{kept}"))).unwrap();
    site.write("ew.toml", &site.read("ew.toml").replace("csv]", "csv]\ndecimals = 3"));
    std::fs::remove_file(site.file("out/u_20260301T001500Z.csv")).unwrap();
    let ended = run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv u_20260301T001500Z.csv").exit(77);
    assert!(ended.stderr.contains("u_20260301T001500Z.csv was recorded with"), "{}", ended.stderr);
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv"]);
}

#[test]
fn kept_files_end_with_keep_files() {
    let mut site = delivered("");
    assert_eq!(site.names("ew.db.spool/kept/u").len(), 2);
    site.write("ew.toml", &format!("[log]\nkeep_files = \"1h\"\n{}", site.read("ew.toml")));
    append(&site, "31:00 a 1");
    site.now("2026-03-01T01:31:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("ew.db.spool/kept/u").len(), 1);
    site.write("ew.toml", &site.read("ew.toml").replace("1h", "0s"));
    append(&site, "46:00 a 1\n 32:00 a 2");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("ew.db.spool/kept/u"), Vec::<String>::new());
}

#[test]
fn why_names_each_file_that_carried_a_reading() {
    let site = delivered("");
    append(&site, "01:00 a 100");
    run(&site, "ew-export", "").exit(0);
    let found = json(&site, "why a 2026-03-01T00:01:00Z", 0);
    let files = found["files"].as_array().unwrap();
    let one = |file: &Value| format!("{} r{} {} {}", file["name"], file["rev"], file["value"], file["state"]);
    assert_eq!(
        files.iter().map(one).collect::<Vec<_>>(),
        [
            "\"u_20260301T000000Z.csv\" r0 1.0 \"superseded\"",
            "\"u_20260301T000000Z_r1.csv\" r1 100.0 \"placed\""
        ]
    );
    assert!(files.iter().all(|file| file["sha256"].as_str().unwrap().len() == 64));
    // In the log and in no file yet; and not in the log at all.
    append(&site, "45:00 a 7");
    assert_eq!(json(&site, "why a 2026-03-01T00:45:00Z", 0)["files"].as_array().unwrap().len(), 0);
    run(&site, "ew-ledger", "why a 2026-03-01T00:01:01Z").exit(66);
    run(&site, "ew-ledger", "why a yesterday").exit(2);
}

#[test]
fn show_tells_all_revisions() {
    let site = delivered("");
    append(&site, "01:00 a 100");
    run(&site, "ew-export", "").exit(0);
    let shown = json(&site, "show u 2026-03-01T00:00:00Z", 0);
    let revisions = shown["revisions"].as_array().unwrap();
    assert_eq!(revisions.len(), 2);
    assert_eq!(revisions[0]["columns"], serde_json::json!(["a", "b"]));
    assert_eq!(revisions[1]["receipt"]["how"], "sent");
    let text = run(&site, "ew-ledger", "show u u_20260301T000000Z_r1.csv").exit(0).stdout;
    assert!(text.contains("as_of_seq     4\n"), "{text}");
    run(&site, "ew-ledger", "show u nothing.csv").exit(2);
    run(&site, "ew-ledger", "show v nothing.csv").exit(2);
}

/// Names and timestamps depend on zone rules: here on those of a folder with one zone in it.
#[test]
fn show_tells_the_version_of_the_zone_rules() {
    let mut site = delivered("");
    assert_eq!(json(&site, "show u 2026-03-01T00:00:00Z", 0)["revisions"][0]["zone_data"], Value::Null);
    std::fs::create_dir_all(site.file("zones/Test")).unwrap();
    // An hour east of UTC, always.
    let counts = [0, 0, 0, 0, 1, 4].map(|count| [0, 0, 0, count]).concat();
    let rules = [b"TZif".as_slice(), &[0; 16], &counts, &[0, 0, 0x0e, 0x10, 0, 0], b"CET\0"].concat();
    std::fs::write(site.file("zones/Test/Here"), rules).unwrap();
    site.write("zones/tzdata.zi", "# version 1999z\n");
    append(&site, "31:00 a 1");
    site.write("ew.toml", &config("breakup_on_period = true\nzone = \"Test/Here\"", "csv]"));
    site.now("2026-03-01T00:45:00Z");
    let here = |program: &str, arguments: &str| {
        let program = ew::sibling(export::EW_EXPORT, program);
        let mut command = site.command(program.to_str().unwrap(), arguments);
        let output = command.env("TZDIR", site.file("zones")).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    here("ew-export", "");
    let file = site.read("out/u_20260301T003000Z.csv");
    assert_eq!(file, "timestamp,a\n2026-03-01T01:31:00+01:00,1\n");
    let shown = here("ew-ledger", "show u u_20260301T003000Z.csv");
    assert!(shown.lines().any(|line| line == "zone_data     1999z"), "{shown}");
}

#[test]
fn audit_balances_through_every_standing() {
    let mut site = delivered("late = \"hold\"\nsince = \"2026-03-01T00:00:30Z\"\nconnection_attempts = 1");
    append(&site, "00:10 a 9\n 03:00 a 3\n 31:00 a 4\n 46:00 a 5");
    let rows = |site: &Site, code| {
        let audit = json(site, "audit", code);
        let rows = audit["jobs"][0]["rows"].as_object().unwrap().clone();
        rows.into_iter().filter(|(_, n)| *n != 0).map(|(k, n)| format!("{k} {n}")).collect::<Vec<_>>()
    };
    assert_eq!(rows(&site, 0), ["before_since 1", "late 1", "open 2", "placed 3"]);
    std::fs::rename(site.file("out"), site.file("away")).unwrap();
    site.write("out", "no folder");
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(69);
    assert_eq!(rows(&site, 0), ["before_since 1", "held 1", "open 1", "placed 3", "recorded 1"]);
    // Rows that come for a slice on its way are open: they are late once it is placed.
    append(&site, "32:00 a 4");
    assert_eq!(rows(&site, 0), ["before_since 1", "held 1", "open 2", "placed 3", "recorded 1"]);
    run(&site, "ew-ledger", "release u --drop no").exit(0);
    run(&site, "ew-ledger", "skip u 2026-03-01T00:30:00Z refused").exit(0);
    assert_eq!(rows(&site, 0), ["before_since 1", "late 1", "open 1", "placed 3", "skipped 2"]);
    std::fs::remove_file(site.file("out")).unwrap();
    std::fs::rename(site.file("away"), site.file("out")).unwrap();
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    // What comes late for a skipped slice is for a person to decide.
    assert_eq!(rows(&site, 0), ["before_since 1", "held 1", "placed 4", "skipped 2"]);
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    let audit = json(&site, "audit u", 0);
    assert_eq!(audit["jobs"][0]["trimmed"], 2);
    assert_eq!(audit["jobs"][0]["balanced"], true);
}

#[test]
fn audit_names_what_does_not_balance() {
    let site = delivered("");
    // A row put into the past with a seq that the job has looked past, one taken away, and two slices that overlap.
    sqlite(
        &site,
        "insert into sample select time + 1800000000, point, 1, value, unit, quality from sample where value = 1",
    );
    sqlite(&site, "update job set bookmark = bookmark + 900000000");
    sqlite(&site, "delete from sample where value = 2");
    sqlite(
        &site,
        "insert into slice (job, start_time, end_time, rev, as_of_seq, state, rows) select job, start_time + 60000000, end_time, 0, 3, 'placed', 0 from slice where start_time = 1772324100000000",
    );
    let ended = run(&site, "ew-ledger", "audit").exit(1);
    for line in [
        "u: the slice from 2026-03-01T00:16:00Z to 2026-03-01T00:30:00Z overlaps the one before it",
        "u: a at 2026-03-01T00:31:00Z is in no slice",
        "u: the slice from 2026-03-01T00:00:00Z to 2026-03-01T00:15:00Z was sent with 2 rows, and the log had 1",
    ] {
        assert!(ended.stdout.contains(line), "{line}\n{}", ended.stdout);
    }
    assert_eq!(json(&site, "audit", 1)["jobs"][0]["balanced"], false);
}

#[test]
fn skip_passes_over_a_slice_and_what_follows_is_due() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1\n 16:00 a 3");
    site.now("2026-03-01T00:30:00Z");
    std::fs::create_dir(site.file("out")).unwrap();
    site.write("out/u_20260301T000000Z.csv", "somebody's\n");
    run(&site, "ew-export", "").exit(77);
    run(&site, "ew-ledger", "skip u u_20260301T000000Z.csv").exit(2);
    run(&site, "ew-ledger", "skip u u_20260301T000000Z.csv theirs").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
    assert_eq!(
        ledger(&site),
        ["u_20260301T000000Z.csv 00:00-15:00 r0 1 skipped", "u_20260301T001500Z.csv 15:00-30:00 r0 1 placed"]
    );
    run(&site, "ew-ledger", "skip u u_20260301T001500Z.csv late").exit(2);
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(2);
}

/// Whoever waits for a run is told for whom and how long.
#[test]
fn a_decision_waits_for_a_running_export_and_says_so() {
    let site = delivered("");
    let lock = std::fs::File::create(site.file("ew.db.spool/locks/export-u.lock")).unwrap();
    lock.lock().unwrap();
    // A job can only be renamed to one of the configuration.
    let toml = site.read("ew.toml");
    let second = toml[toml.find("[[export]]").unwrap()..].replace("\"u\"", "\"grid\"");
    site.write("ew.toml", &format!("{toml}\n{second}"));
    for decision in ["skip u u_20260301T000000Z.csv why", "release u", "rename u grid", "rebuild u"] {
        let ended = run(&site, "ew-ledger", &format!("{decision} --wait 200ms")).exit(75);
        assert!(
            ended.stderr.contains("Last export still active; waiting for it up to 200ms"),
            "{}",
            ended.stderr
        );
        let ended = run(&site, "ew-ledger", &format!("{decision} --wait 0s")).exit(75);
        assert!(!ended.stderr.contains("waiting"), "{}", ended.stderr);
    }
}

#[test]
fn a_renamed_job_goes_on_where_it_was() {
    let mut site = delivered("");
    let renamed = site.read("ew.toml").replace("name = \"u\"", "name = \"grid\"");
    site.write("ew.toml", &renamed);
    append(&site, "31:00 a 4");
    site.now("2026-03-01T00:45:00Z");
    // Noticed: the same points to the same place, under a name that the ledger does not know.
    let ended = run(&site, "ew-export", "").exit(78);
    assert!(ended.stderr.contains("ew-ledger rename u grid"), "{}", ended.stderr);
    assert_eq!(site.names("out").len(), 2);
    run(&site, "ew-ledger", "rename u nobody").exit(2);
    run(&site, "ew-ledger", "rename u grid").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.names("out"),
        ["grid_20260301T003000Z.csv", "u_20260301T000000Z.csv", "u_20260301T001500Z.csv"]
    );
    std::fs::remove_file(site.file("out/u_20260301T000000Z.csv")).unwrap();
    run(&site, "ew-ledger", "resend grid u_20260301T000000Z.csv").exit(0);
    assert_eq!(site.names("out").len(), 3);
}

/// Another name on purpose: with `since` at or after what was exported nothing is sent twice.
#[test]
fn a_new_job_in_place_of_an_old_one_begins_where_it_says() {
    let mut site = delivered("");
    let since = "name = \"grid\"\nsince = \"2026-03-01T00:30:00Z\"";
    site.write("ew.toml", &site.read("ew.toml").replace("name = \"u\"", since));
    append(&site, "31:00 a 4");
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 3);
}

/// The metrics, read by the parser of Prometheus's own Python client: `name{job,state} value`.
fn metrics(site: &Site) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = root.join("target/test-venv/bin/python3");
    let script = "import sys\n\
                  from prometheus_client.parser import text_string_to_metric_families as families\n\
                  for family in families(open(sys.argv[1]).read()):\n\
                  \x20   assert family.type == 'gauge' and family.documentation\n\
                  \x20   for s in family.samples:\n\
                  \x20       print(s.name, *s.labels.values(), format(s.value, 'g') if s.value < 1e6 else int(s.value))\n";
    let output =
        std::process::Command::new(python).args(["-c", script]).arg(site.file("ew.prom")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn status_says_who_needs_care_and_writes_metrics() {
    let mut site = delivered("connection_attempts = 1");
    let status = "status --max-lag 15m --metrics ew.prom";
    run(&site, "ew-ledger", status).exit(0);
    assert_eq!(
        metrics(&site),
        [
            "ew_status_seconds 1772325000",
            "ew_status_exit_code 0",
            "ew_job_exported_to_seconds u 1772325000",
            "ew_job_lag_seconds u 0",
            "ew_job_last_run_seconds u 1772325000",
            "ew_job_last_run_exit_code u 0",
            "ew_job_last_good_run_seconds u 1772325000",
            "ew_job_slices u open 0",
            "ew_job_slices u held 0",
            "ew_job_slices u failed 0",
        ]
    );
    // Too long behind, then a receiver that is away; each until it is over.
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-ledger", status).exit(0);
    site.now("2026-03-01T01:00:01Z");
    run(&site, "ew-ledger", status).exit(1);
    append(&site, "31:00 a 1");
    std::fs::rename(site.file("out"), site.file("away")).unwrap();
    site.write("out", "no folder");
    run(&site, "ew-export", "").exit(69);
    run(&site, "ew-ledger", "status --metrics ew.prom").exit(1);
    let found = metrics(&site);
    for line in ["ew_job_last_run_exit_code u 69", "ew_job_slices u failed 1", "ew_status_exit_code 1"] {
        assert!(found.contains(&line.to_owned()), "{line}: {found:?}");
    }
    std::fs::remove_file(site.file("out")).unwrap();
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "status").exit(0);
    assert_eq!(site.names(".").iter().filter(|name| name.ends_with(".part")).count(), 0);
    run(&site, "ew-ledger", "status --metrics no/such/ew.prom").exit(74);
}

/// Closed slots wait for a job that never ran too, from its first row or `since` on, and for one that placed nothing.
#[test]
fn a_job_that_placed_nothing_lags_from_its_first_row() {
    let mut site = Site::new(&config("connection_attempts = 1\nbreakup_on_period = true", "csv]"));
    site.now("2026-03-01T01:00:00Z");
    let lag = |site: &Site, code| {
        let status = json(site, "status --max-lag 20m --metrics ew.prom", code);
        (status["jobs"][0]["lag_seconds"].clone(), status["jobs"][0]["next"].clone())
    };
    assert_eq!(lag(&site, 0), (Value::Null, Value::Null));
    append(&site, "16:00 a 3\n 40:00 b 1");
    assert_eq!(lag(&site, 1), (1800.into(), "2026-03-01T00:30:00Z".into()));
    assert!(metrics(&site).contains(&"ew_job_lag_seconds u 1800".to_owned()));
    site.write(
        "ew.toml",
        &site.read("ew.toml").replace("name = \"u\"", "name = \"u\"\nsince = \"2026-03-01T00:35:00Z\""),
    );
    assert_eq!(lag(&site, 0), (900.into(), "2026-03-01T00:45:00Z".into()));
    site.write("out", "no folder");
    run(&site, "ew-export", "").exit(69);
    assert_eq!(lag(&site, 1), (900.into(), "2026-03-01T00:45:00Z".into()));
    // It counts from when a slot closed, its delay passed, not from when it began.
    site.write("ew.toml", &site.read("ew.toml").replace("name = \"u\"", "name = \"u\"\ndelay = \"14m 50s\""));
    assert_eq!(lag(&site, 1), (10.into(), "2026-03-01T00:45:00Z".into()));
}

/// A run that cannot start leaves its record: the lock is held, or there is no log to look at.
#[test]
fn a_run_that_could_not_start_is_seen() {
    let site = delivered("");
    let lock = std::fs::File::create(site.file("ew.db.spool/locks/export-u.lock")).unwrap();
    lock.lock().unwrap();
    run(&site, "ew-export", "").exit(75);
    let status = json(&site, "status", 0);
    assert_eq!(status["jobs"][0]["last_exit"], 75);
    assert_eq!(status["jobs"][0]["last_good"], "2026-03-01T00:30:00Z");
    assert!(status["jobs"][0]["last_error"].as_str().unwrap().starts_with("Last export still active"));
    site.write("ew.toml", "nonsense = 1\n");
    run(&site, "ew-ledger", "status --metrics ew.prom").exit(78);
    assert_eq!(metrics(&site)[1], "ew_status_exit_code 78");
    site.write("ew.toml", "[log]\nurl = \"no/such/folder/ew.db\"\n");
    run(&site, "ew-ledger", "status --metrics ew.prom").exit(74);
    assert_eq!(metrics(&site)[1], "ew_status_exit_code 74");
}

/// Deltas are counted each by itself, and an unchanged slice sent again by hand keeps its own kept file.
#[test]
fn deltas_are_audited_and_kept_files_stay_their_own() {
    let site = delivered("late = \"delta\"");
    let first = site.read("out/u_20260301T000000Z.csv");
    run(&site, "ew-export", "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z").exit(0);
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "audit").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    assert_eq!(json(&site, "audit", 0)["jobs"][0]["trimmed"], 3);
    std::fs::remove_dir_all(site.file("out")).unwrap();
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.csv").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), first);
    // A row of a delta that is gone, and that nobody trimmed.
    append(&site, "17:00 a 9");
    run(&site, "ew-export", "").exit(0);
    sqlite(&site, "delete from sample where value = 9 and time > 1772324100000000");
    let ended = run(&site, "ew-ledger", "audit").exit(1);
    assert!(ended.stdout.contains("was sent with 1 rows, and the log had 0"), "{}", ended.stdout);
}

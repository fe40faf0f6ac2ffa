//! `ew-export` and what `ew-ledger` says of it, into a folder.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::Site;
use export::{EW_EXPORT, append, config, ledger, run};
use std::collections::BTreeMap;

#[test]
fn one_file_per_slot_with_rows_and_empty_slots_are_recorded() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1\n 14:59.999 b 2.5\n 15:00 a\n 50:00 a 4");
    site.now("2026-03-01T01:00:00Z");
    let ended = run(&site, "ew-export", "").exit(0).stdout("");
    assert_eq!(
        ended.stderr,
        "ew-export: u: u_20260301T000000Z.csv delivered: rows 2, bytes 68\n\
         ew-export: u: u_20260301T001500Z.csv delivered: rows 1, bytes 34\n\
         ew-export: u: u_20260301T004500Z.csv delivered: rows 1, bytes 35\n"
    );
    assert_eq!(
        site.read("out/u_20260301T000000Z.csv"),
        "timestamp,a,b\n2026-03-01T00:01:00Z,1,\n2026-03-01T00:14:59.999Z,,2.5\n"
    );
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), "timestamp,a\n2026-03-01T00:15:00Z,\n");
    assert_eq!(
        ledger(&site),
        [
            "u_20260301T000000Z.csv 00:00-15:00 r0 2 placed",
            "u_20260301T001500Z.csv 15:00-30:00 r0 1 placed",
            "- 30:00-45:00 r0 0 empty",
            "u_20260301T004500Z.csv 45:00-00:00 r0 1 placed",
        ]
    );
    // Nothing is due, then a slot closes without rows, and the bookmark waits.
    run(&site, "ew-export", "").exit(0).stderr("");
    site.now("2026-03-01T01:15:00Z");
    run(&site, "ew-export", "")
        .exit(66)
        .stderr("ew-export: u: no data: no row from 2026-03-01T01:00:00Z to 2026-03-01T01:15:00Z\n");
    assert_eq!(site.names("out").len(), 3);
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
    let status = run(&site, "ew-ledger", "status").exit(0).stdout;
    assert_eq!(
        status,
        "JOB  EXPORTED TO           NEXT SLOT ENDS        LAG  OPEN  HELD  FAILED  LAST RUN              EXIT  LAST ERROR\n\
         u    2026-03-01T01:00:00Z  2026-03-01T01:15:00Z  0s   0     0     0       2026-03-01T01:15:00Z  66\n"
    );
}

#[test]
fn an_unbroken_window_is_cut_where_the_columns_change() {
    let mut site = Site::new(&config("", "csv]"));
    append(&site, "01:00 a 1\n 16:00 a 2\n 46:00 a 3\n 46:00 b 4");
    site.now("2026-03-01T01:20:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        ledger(&site),
        ["u_20260301T000000Z.csv 00:00-45:00 r0 2 placed", "u_20260301T004500Z.csv 45:00-00:00 r0 2 placed"]
    );
    assert_eq!(site.read("out/u_20260301T004500Z.csv"), "timestamp,a,b\n2026-03-01T00:46:00Z,3,4\n");
}

#[test]
fn the_command_line_breaks_up_or_not() {
    let rows = "01:00 a 1\n 16:00 a 2";
    for (key, flag, files) in [
        ("", "", 1),
        ("", "--breakup-on-period", 2),
        ("breakup_on_period = true", "", 2),
        ("breakup_on_period = true", "--no-breakup-on-period", 1),
    ] {
        let mut site = Site::new(&config(key, "csv]"));
        append(&site, rows);
        site.now("2026-03-01T00:30:00Z");
        run(&site, "ew-export", flag).exit(0);
        assert_eq!(site.names("out").len(), files, "{key} {flag}");
    }
}

#[test]
fn the_end_of_the_window() {
    let mut site = Site::new(&config("delay = \"2m\"\nbreakup_on_period = true", "csv]"));
    // A selection without any row has no window.
    site.now("2026-03-01T00:16:59Z");
    run(&site, "ew-export", "").exit(66).stderr("ew-export: u: no data: the log has no row of its points\n");
    append(&site, "01:00 a 1\n 16:00 a 2\n 17:00 a 3");
    // The first slot is not closed before its delay has passed.
    run(&site, "ew-export", "").exit(0).stderr("");
    site.now("2026-03-01T00:17:00.5Z");
    run(&site, "ew-export", "--end 2026-03-01T00:17:01Z").exit(2);
    run(&site, "ew-export", "--end now").exit(0);
    // Now, cut to the second, is 00:17:00; a row stamped there is not in.
    assert_eq!(
        ledger(&site),
        ["u_20260301T000000Z.csv 00:00-15:00 r0 1 placed", "u_20260301T001500Z.csv 15:00-17:00 r0 1 placed"]
    );
    // An end before the last export is a no-op with a warning, never sent again.
    let ended = run(&site, "ew-export", "--end 2026-03-01T00:10:00Z").exit(0);
    assert_eq!(
        ended.stderr,
        "ew-export: warning: u: the end asked for is before the last export, which reached to 2026-03-01T00:17:00Z; nothing is sent again\n"
    );
    site.now("2026-03-01T00:05:00Z");
    assert!(run(&site, "ew-export", "").exit(0).stderr.contains("the clock is before the last export"));
    site.now("2026-03-01T00:32:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(ledger(&site)[2], "u_20260301T001700Z.csv 17:00-30:00 r0 1 placed");
    assert_eq!(site.read("out/u_20260301T001700Z.csv"), "timestamp,a\n2026-03-01T00:17:00Z,3\n");
}

#[test]
fn rows_before_since_are_never_due_and_points_are_selected() {
    let job = "breakup_on_period = true\nsince = \"2026-03-01T00:05:00Z\"";
    let mut site = Site::new(&config(job, "csv]").replace("\"**\"", "\"a.*\", \"b\""));
    append(&site, "01:00 a.x 1\n 06:00 a.x 2\n 07:00 c 3\n 08:00 b 4\n 09:00 a.x.y 5");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.read("out/u_20260301T000000Z.csv"),
        "timestamp,a.x,b\n2026-03-01T00:06:00Z,2,\n2026-03-01T00:08:00Z,,4\n"
    );
}

#[test]
fn always_export_sends_empty_slots_up_to_a_limit() {
    let mut site = Site::new(&config("breakup_on_period = true\nalways_export = true", "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T003000Z.csv"), "timestamp,a\n");
    site.now("2026-07-01T00:00:00Z");
    let ended = run(&site, "ew-export", "").exit(65);
    assert_eq!(
        ended.stderr,
        "ew-export: u: from 2026-03-01T00:45:00Z, with the earliest row from there on: none, and since not set: \
         always_export would send more than 10000 empty slots\n  hint: set since in the job to where its data \
         begins, or always_export = false\n"
    );
    assert_eq!(site.names("out").len(), 3);
    // As the hint says; empty slots before since are passed over without a word.
    let since = "breakup_on_period = true\nalways_export = true\nsince = \"2026-06-30T23:31:00Z\"";
    site.write("ew.toml", &config(since, "csv]"));
    run(&site, "ew-export", "-q").exit(0);
    assert_eq!(site.names("out").len(), 5);
    assert_eq!(site.read("out/u_20260630T233000Z.csv"), "timestamp,a\n");
}

#[test]
fn a_range_again_by_hand() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1\n 16:00 a 2\n 31:00 a 3");
    site.now("2026-03-01T00:45:00Z");
    let hour = |from: &str, to: &str| format!("u --from 2026-03-01T00:{from}Z --to 2026-03-01T00:{to}Z");
    run(&site, "ew-export", &hour("00:00", "15:00")).exit(2);
    run(&site, "ew-export", "").exit(0);
    let before = ledger(&site);
    let first = site.read("out/u_20260301T000000Z.csv");
    std::fs::remove_dir_all(site.file("out")).unwrap();

    // Unchanged content under its name, byte for byte; the range is widened to whole slices.
    let ended = run(&site, "ew-export", &hour("01:00", "16:00")).exit(0);
    assert_eq!(
        ended.stderr.lines().next().unwrap(),
        "ew-export: u: the range is widened to whole slices: 2026-03-01T00:00:00Z to 2026-03-01T00:30:00Z"
    );
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv"]);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), first);
    assert_eq!(ledger(&site), before);

    // Changed content is the next revision, and the bookmark stays.
    append(&site, "16:00 a 20");
    let ended = run(&site, "ew-export", &(hour("00:00", "30:00") + " --json")).exit(0);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["jobs"][0]["bookmark"], "2026-03-01T00:45:00Z");
    assert_eq!(report["jobs"][0]["slices"][1]["rev"], 1);
    assert_eq!(site.read("out/u_20260301T001500Z_r1.csv"), "timestamp,a\n2026-03-01T00:16:00Z,20\n");
    assert_eq!(
        ledger(&site)[1..3],
        [
            "u_20260301T001500Z.csv 15:00-30:00 r0 1 superseded",
            "u_20260301T001500Z_r1.csv 15:00-30:00 r1 1 placed",
        ]
    );
    // What was never exported, swapped bounds, no job.
    let ended = run(&site, "ew-export", &hour("30:00", "46:00")).exit(2);
    assert!(
        ended.stderr.contains("the part from 2026-03-01T00:45:00Z to 2026-03-01T00:46:00Z"),
        "{}",
        ended.stderr
    );
    run(&site, "ew-export", &hour("30:00", "15:00")).exit(2);
    run(&site, "ew-export", "--from first --to last").exit(2);
}

#[test]
fn looking_moves_nothing() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1\n 16:00 a 2");
    site.now("2026-03-01T00:30:00Z");
    let expect = "timestamp,a\n2026-03-01T00:01:00Z,1\n2026-03-01T00:16:00Z,2\n";
    run(&site, "ew-export", "--stdout").exit(0).stdout(expect).stderr("");
    run(&site, "ew-export", "u --stdout --from 2026-03-01T00:16:00Z --to 2026-03-01T00:16:01Z")
        .exit(0)
        .stdout("timestamp,a\n2026-03-01T00:16:00Z,2\n");
    run(&site, "ew-export", "u --stdout --from 2026-03-02 --to 2026-03-03").exit(66).stdout("");
    let planned = run(&site, "ew-export", "--dry-run --json").exit(0).stdout;
    assert_eq!(ledger(&site), Vec::<String>::new());
    assert_eq!(site.names("out"), Vec::<String>::new());
    // What was planned is what is then done.
    let done = run(&site, "ew-export", "--json").exit(0).stdout;
    assert_eq!(slices(&planned), slices(&done));
    assert!(planned.contains("\"outcome\": \"planned\"") && done.contains("\"outcome\": \"delivered\""));
}

/// What a report says of the files of the first job.
fn slices(report: &str) -> Vec<String> {
    let report: serde_json::Value = serde_json::from_str(report).unwrap();
    let keys = ["name", "start", "end", "rev", "rows", "bytes", "sha256"];
    let one = |s: &serde_json::Value| keys.map(|key| s[key].to_string()).join(" ");
    report["jobs"][0]["slices"].as_array().unwrap().iter().map(one).collect()
}

#[test]
fn looking_at_a_range_that_would_be_sent_again_moves_nothing() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1\n 16:00 a 2\n 31:00 a 3");
    site.now("2026-03-01T00:45:00Z");
    let again = "u --from 2026-03-01T00:01:00Z --to 2026-03-01T00:30:00Z";
    run(&site, "ew-export", &format!("{again} --dry-run")).exit(2);
    run(&site, "ew-export", "").exit(0);
    append(&site, "16:00 a 20");
    std::fs::remove_dir_all(site.file("out")).unwrap();
    let before = ledger(&site);

    let looked = run(&site, "ew-export", &format!("{again} --dry-run")).exit(0);
    assert!(looked.stderr.contains("the range is widened to whole slices"), "{}", looked.stderr);
    let table: Vec<&str> = looked.stdout.lines().map(str::trim_end).collect();
    let [_, first, second] = table.as_slice() else { panic!("{}", looked.stdout) };
    assert!(
        first.contains(" u_20260301T000000Z.csv ") && first.ends_with("unchanged, so the same file again")
    );
    assert!(second.contains(" u_20260301T001500Z_r1.csv "), "{second}");
    assert!(second.ends_with("changed since it was sent, so a revision"), "{second}");
    let planned = run(&site, "ew-export", &format!("{again} --dry-run --json")).exit(0).stdout;
    assert_eq!((ledger(&site), site.names("out")), (before, Vec::new()));

    let done = run(&site, "ew-export", &format!("{again} --json")).exit(0).stdout;
    assert_eq!(slices(&planned), slices(&done));
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv", "u_20260301T001500Z_r1.csv"]);
    // An hour in which nothing was sent.
    let none = "u --from 2026-02-01 --to 2026-02-02 --dry-run";
    run(&site, "ew-export", none).exit(66);
}

#[test]
fn what_is_read_back_is_what_was_in_the_log() {
    let rows = "01:00 a 1\n 01:00 \"ü,\"\"x\" 2.5\n 02:00 a -0.1\n 03:00 b\n 14:00 a 1e21";
    for (format, name) in [
        ("csv]", "u_20260301T000000Z.csv"),
        ("csv]\nlayout = \"long\"", "u_20260301T000000Z.csv"),
        ("jsonl]", "u_20260301T000000Z.jsonl"),
        ("xml]", "u_20260301T000000Z.xml"),
    ] {
        let mut site = Site::new(&config("", format));
        append(&site, rows);
        site.now("2026-03-01T00:15:00Z");
        run(&site, "ew-export", "").exit(0);
        let text = site.read(&format!("out/{name}"));
        // Appended to another log the file gives the same slice again.
        if format != "csv]" && format != "xml]" {
            let other = Site::new("");
            let log = ew::sibling(EW_EXPORT, "ew-log");
            other.run_with_input(log.to_str().unwrap(), "append", &text).exit(0);
            let all = "slice --from first --to last";
            let expect = run(&site, "ew-log", all).exit(0).stdout;
            run(&other, "ew-log", all).exit(0).stdout(&expect);
        }
        for value in ["-0.1", "1e21", "2.5"] {
            assert!(text.contains(value), "{format}: {text}");
        }
    }
}

#[test]
fn names_and_timestamps_are_in_the_zone_of_the_job() {
    let job = "zone = \"Europe/Zurich\"\nperiod = \"1d\"\nfilename = \"{job}_{start:%Y-%m-%d%z}.{ext}\"";
    let mut site = Site::new(&config(job, "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-02T00:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_2026-03-01+0100.csv"), "timestamp,a\n2026-03-01T01:01:00+01:00,1\n");
}

#[test]
fn a_failed_receiver_holds_back_its_own_job_only() {
    let broken = config("breakup_on_period = true", "csv]").replace("\"out\"", "\"no/such/folder\"");
    let other = config("", "jsonl]").replace("name = \"u\"", "name = \"v\"");
    let mut site = Site::new(&(broken.clone() + &other));
    append(&site, "01:00 a 1\n 16:00 a 2");
    site.now("2026-03-01T00:30:00Z");
    let ended = run(&site, "ew-export", "--json").exit(1);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let outcomes: BTreeMap<_, _> = report["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| (job["job"].as_str().unwrap(), job["outcome"].as_str().unwrap()))
        .collect();
    assert_eq!(outcomes, BTreeMap::from([("u", "failed"), ("v", "delivered")]));
    assert!(
        ended.stderr.contains("ew-export: u: cannot send u_20260301T000000Z.csv to "),
        "{}",
        ended.stderr
    );
    // The first that failed ends them; it waits in the spool, as recorded.
    assert_eq!(ledger(&site)[0], "u_20260301T000000Z.csv 00:00-15:00 r0 1 failed");
    assert_eq!(site.names("ew.db.spool/jobs/u").len(), 1);
    assert_eq!(site.names("ew.db.spool/kept/u"), Vec::<String>::new());
    let status = run(&site, "ew-ledger", "status --json").exit(1).stdout;
    assert!(status.contains("\"failed\": 1"), "{status}");

    // Its file in the spool is lost: it comes out the same again.
    std::fs::remove_dir_all(site.file("ew.db.spool")).unwrap();
    std::fs::create_dir_all(site.file("no/such/folder")).unwrap();
    run(&site, "ew-export", "u").exit(0);
    assert_eq!(site.names("no/such/folder"), ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv"]);
    // All parts failed: the highest of their codes.
    let all = broken.clone() + &broken.replace("name = \"u\"", "name = \"w\"").replace("\"no/", "\"neither/");
    site.write("ew.toml", &all);
    std::fs::remove_dir_all(site.file("no")).unwrap();
    append(&site, "31:00 a 3");
    site.now("2026-03-01T00:45:00Z");
    let code = run(&site, "ew-export", "").code;
    assert!(code == 69 || code == 74, "{code}");
}

#[test]
fn fixed_columns_are_the_header_and_a_point_without_one_is_named() {
    let mut site = Site::new(&config("columns = [\"b\", \"a\", \"z\"]", "csv]"));
    append(&site, "01:00 a 1\n 02:00 b 2");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.read("out/u_20260301T000000Z.csv"),
        "timestamp,b,a,z\n2026-03-01T00:01:00Z,,1,\n2026-03-01T00:02:00Z,2,,\n"
    );
    append(&site, "16:00 c 1");
    site.now("2026-03-01T00:30:00Z");
    let ended = run(&site, "ew-export", "").exit(65);
    assert!(
        ended.stderr.starts_with("ew-export: u: c at 2026-03-01T00:16:00Z has no column"),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_remaining_clash_of_names_gets_a_number_for_good() {
    // In the autumn fold two slots have the same local time.
    let job = "zone = \"Europe/Zurich\"\nperiod = \"1h\"\nbreakup_on_period = true\nfilename = \"{start:%Y%m%dT%H%M}.{ext}\"";
    let mut site = Site::new(&config(job, "csv]"));
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let rows = "timestamp,point,value\n2026-10-25T00:10:00Z,a,1\n2026-10-25T01:10:00Z,a,2\n";
    site.run_with_input(log.to_str().unwrap(), "append", rows).exit(0);
    site.now("2026-10-25T03:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out"), ["20261025T0200.csv", "20261025T0200_2.csv"]);
    assert!(site.read("out/20261025T0200_2.csv").ends_with("T02:10:00+01:00,2\n"));
}

#[test]
fn wrong_command_lines() {
    let site = Site::new(&config("", "csv]"));
    run(&site, "ew-export", "v").exit(2).stderr("ew-export: there is no job \"v\"\n  hint: ew.toml has: u\n");
    run(&site, "ew-export", "--from 2026-03-01").exit(2);
    run(&site, "ew-export", "--end yesterday").exit(2);
    run(&site, "ew-ledger", "list v").exit(2);
    let none = Site::new("site = \"hq\"\n");
    run(&none, "ew-export", "").exit(78);
}

/// A quarter of an hour of a whole local day, one row in each, over both changes of the clock.
#[test]
fn days_of_23_and_25_hours_are_whole() {
    for (zone, day, next, hours) in [
        ("Europe/Zurich", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z", 23),
        ("Europe/Zurich", "2026-10-24T22:00:00Z", "2026-10-25T23:00:00Z", 25),
        ("Australia/Sydney", "2026-10-03T14:00:00Z", "2026-10-04T13:00:00Z", 23),
        ("Australia/Sydney", "2026-04-04T13:00:00Z", "2026-04-05T14:00:00Z", 25),
    ] {
        let daily = config(&format!("zone = \"{zone}\"\nperiod = \"1d\"\nbreakup_on_period = true"), "csv]");
        let quarters = config(&format!("zone = \"{zone}\"\nbreakup_on_period = true"), "csv]")
            .replace("name = \"u\"", "name = \"q\"")
            .replace("\"out\"", "\"quarters\"");
        let mut site = Site::new(&(daily + &quarters));
        let start = ew_core::Timestamp::from_rfc3339(day).unwrap();
        let mut rows = "timestamp,point,value\n".to_owned();
        for n in 0..hours * 4 {
            rows += &format!("{},a,{n}\n", start.plus_micros(n * 900_000_000));
        }
        let log = ew::sibling(EW_EXPORT, "ew-log");
        site.run_with_input(log.to_str().unwrap(), "-q append", &rows).exit(0);
        site.now(next);
        run(&site, "ew-export", "-q").exit(0).stderr("");
        // One file for the day, one for each quarter of it, all under names of their own.
        let names = site.names("out");
        assert_eq!(names.len(), 1, "{zone} {day}");
        let text = site.read(&format!("out/{}", names[0]));
        assert_eq!(text.lines().count() as i64, 1 + hours * 4, "{zone} {day}");
        assert_eq!(site.names("quarters").len() as i64, hours * 4, "{zone} {day}");
    }
}

/// With `breakup_on_period` an outage longer than a period never stops the exports.
#[test]
fn gaps_of_years_and_one_row_in_1970() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    let rows = "timestamp,point,value\n0,a,1\n2019-05-01T10:00:00Z,a,2\n2026-03-01T00:01:00Z,a,3\n";
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", rows).exit(0);
    // And one in the future, which holds back nothing.
    site.run_with_input(log.to_str().unwrap(), "-q append", "timestamp,point,value\n4000000000,a,4\n")
        .exit(0);
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.names("out"),
        ["u_19700101T000000Z.csv", "u_20190501T100000Z.csv", "u_20260301T000000Z.csv"]
    );
    assert_eq!(ledger(&site).iter().filter(|line| line.ends_with("empty")).count(), 2);
}

/// What a run did not send, the next one sends, and a run that has nothing new sends nothing.
#[test]
fn twice_with_one_end_and_after_a_failure() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]").replace("\"out\"", "\"no/out\""));
    append(&site, "01:00 a 1\n 16:00 a 2");
    site.now("2026-03-01T00:30:00Z");
    let end = "--end 2026-03-01T00:30:00Z";
    run(&site, "ew-export", end).exit(69);
    std::fs::create_dir_all(site.file("no")).unwrap();
    run(&site, "ew-export", end).exit(0);
    assert_eq!(site.names("no/out").len(), 2);
    run(&site, "ew-export", end).exit(0).stdout("").stderr("");
}

/// By hand, to a receiver that is not there: the ledger says what is so, before and after.
#[test]
fn a_range_again_that_fails_changes_nothing() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    let list = |site: &Site| {
        let list = run(site, "ew-ledger", "list --json").exit(0).stdout;
        list.lines().filter(|line| !line.contains("attempts")).collect::<Vec<_>>().join("\n")
    };
    let before = list(&site);
    let elsewhere = config("breakup_on_period = true", "csv]").replace("\"out\"", "\"no/such\"");
    site.write("ew.toml", &elsewhere);
    run(&site, "ew-export", "u --from first --to 2026-03-01T00:15:00Z").exit(69);
    assert_eq!(list(&site), before);
    assert!(run(&site, "ew-ledger", "status --json").exit(1).stdout.contains("\"failed\": 0"));
}

/// Each content has a revision of its own, also when the one before it is still on its way.
#[test]
fn corrections_while_the_receiver_is_away() {
    let job = "breakup_on_period = true\nconnection_attempts = 1";
    let mut site = Site::new(&config(job, "csv]").replace("\"out\"", "\"no/out\""));
    std::fs::create_dir_all(site.file("no")).unwrap();
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    std::fs::rename(site.file("no"), site.file("away")).unwrap();
    let again = "u --from first --to 2026-03-01T00:15:00Z";
    for value in ["2", "3"] {
        append(&site, &format!("01:00 a {value}"));
        run(&site, "ew-export", again).exit(69);
    }
    std::fs::rename(site.file("away"), site.file("no")).unwrap();
    // The revision that waits is finished first, as recorded; the newest content follows by hand.
    run(&site, "ew-export", again).exit(0);
    let value =
        |name: &str| site.read(&format!("no/out/u_20260301T000000Z{name}.csv")).trim_end().chars().last();
    assert_eq!((value(""), value("_r1"), value("_r2")), (Some('1'), Some('2'), Some('3')));
    assert_eq!(
        ledger(&site),
        [
            "u_20260301T000000Z.csv 00:00-15:00 r0 1 superseded",
            "u_20260301T000000Z_r1.csv 00:00-15:00 r1 1 superseded",
            "u_20260301T000000Z_r2.csv 00:00-15:00 r2 1 placed",
        ]
    );
}

/// What a job selects counts from the bookmark on; what was sent is sent again as it was selected then.
#[test]
fn a_change_of_points_or_since_does_not_touch_what_was_sent() {
    let job = |points: &str, since: &str| {
        let job = format!("breakup_on_period = true\n{since}");
        config(&job, "csv]").replace("\"**\"", &format!("{points:?}"))
    };
    let mut site = Site::new(&job("a", ""));
    append(&site, "01:00 a 1\n 01:00 b 2\n 16:00 a 3\n 16:00 b 4");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    let first = site.read("out/u_20260301T000000Z.csv");
    site.write("ew.toml", &job("b", "since = \"2026-03-01T00:02:00Z\""));
    let again = "u --from first --to 2026-03-01T00:15:00Z";
    let ended = run(&site, "ew-export", again).exit(0);
    assert!(
        ended.stderr.starts_with(
            "ew-export: warning: u: points or since changed; the change counts from 2026-03-01T00:15:00Z\n"
        ),
        "{}",
        ended.stderr
    );
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv"]);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), first);
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), "timestamp,b\n2026-03-01T00:16:00Z,4\n");
}

/// A file at the receiver that ew did not put there is somebody's: it stays, and the slice waits.
#[test]
fn a_file_of_somebody_else_is_never_replaced() {
    let mut site = Site::new(&config("breakup_on_period = true", "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    std::fs::create_dir(site.file("out")).unwrap();
    site.write("out/u_20260301T000000Z.csv", "not ours\n");
    let ended = run(&site, "ew-export", "").exit(77);
    assert!(ended.stderr.contains("u_20260301T000000Z.csv is there with other content"), "{}", ended.stderr);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), "not ours\n");
    std::fs::remove_file(site.file("out/u_20260301T000000Z.csv")).unwrap();
    run(&site, "ew-export", "").exit(0);
}

/// One name for all revisions of a slice: the revision takes the file's place.
#[test]
fn a_template_without_rev_replaces() {
    let job = "breakup_on_period = true\nfilename = \"{start_utc:%Y%m%dT%H%M%S}.{ext}\"";
    let mut site = Site::new(&config(job, "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    append(&site, "01:00 a 2");
    run(&site, "ew-export", "u --from first --to 2026-03-01T00:15:00Z").exit(0);
    assert_eq!(site.names("out"), ["20260301T000000.csv"]);
    assert!(site.read("out/20260301T000000.csv").ends_with(",2\n"));
    // Altered over there, it is what was sent again, by hand.
    site.write("out/20260301T000000.csv", "cut off");
    run(&site, "ew-export", "u --from first --to 2026-03-01T00:15:00Z").exit(0);
    assert!(site.read("out/20260301T000000.csv").ends_with(",2\n"));
}

/// A receiver that the job has only now is one where nothing of ours stood before.
#[test]
fn nor_is_it_replaced_where_the_job_never_sent_before() {
    let job = "breakup_on_period = true\nfilename = \"{start_utc:%Y%m%dT%H%M%S}.{ext}\"";
    let mut site = Site::new(&config(job, "csv]"));
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    std::fs::create_dir(site.file("out2")).unwrap();
    site.write("out2/20260301T000000.csv", "not ours\n");
    site.write("ew.toml", &config(job, "csv]").replace("\"out\"", "\"out2\""));
    let again = "u --from first --to 2026-03-01T00:15:00Z";
    run(&site, "ew-export", again).exit(77);
    append(&site, "01:00 a 2");
    run(&site, "ew-export", again).exit(77);
    assert_eq!(site.read("out2/20260301T000000.csv"), "not ours\n");
}

/// A layout beside the configuration, by point and by intervals; the ledger keeps which text it was.
#[test]
fn a_layout_of_ones_own() {
    let job = "interval = \"5m\"\naggregate = \"max\"";
    let mut site =
        Site::new(&config(job, "template]\n  file = \"own.toml\"\n  stamp = \"end\"\n  null = \"-\""));
    let layout = "per = \"point\"\nextension = \"dat\"\ntimestamp_format = \"%H:%M\"\n\
                  point_start = \"{{ name }}\"\nrow = \" {{ time }}={{ value }}\"\npoint_end = \"\\n\"\n";
    site.write("own.toml", layout);
    append(&site, "01:00 b 1\n 01:00 a 2\n 02:00 b 3.5\n 12:00 a 4");
    site.now("2026-03-01T00:20:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.read("out/u_20260301T000000Z.dat"),
        "a 00:05=2 00:10=- 00:15=4\nb 00:05=3.5 00:10=- 00:15=-\n"
    );
    let version = |site: &Site| {
        let shown = run(site, "ew-ledger", "show u u_20260301T000000Z.dat --json").exit(0).stdout;
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        let format = shown["revisions"][0]["format"].as_str();
        format.unwrap_or_else(|| panic!("{shown}")).to_owned()
    };
    assert!(version(&site).starts_with("template/1/own/"), "{}", version(&site));
    run(&site, "ew-ledger", "verify").exit(0);

    // A file that cannot be read is bad configuration, wherever it is looked at.
    std::fs::remove_file(site.file("own.toml")).unwrap();
    run(&site, "ew-export", "").exit(78);
}

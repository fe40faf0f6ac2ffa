//! Rows and corrections that come after their slice was planned: contract "Late" and "Slices".
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::Site;
use export::{EW_EXPORT, append, config, ledger, run};

/// Slots of a quarter of an hour, one file each, with more keys for the job; the layout is long.
fn site(job: &str) -> Site {
    Site::new(&config(&format!("breakup_on_period = true\n{job}"), "csv]\n  layout = \"long\""))
}

/// The rows of a file without its header, `MM:SS point value`.
fn rows(site: &Site, name: &str) -> Vec<String> {
    let text = site.read(&format!("out/{name}"));
    let row = |line: &str| {
        let fields: Vec<&str> = line.split(',').collect();
        format!("{} {} {}", &fields[0][14..19], fields[1], fields[2])
    };
    text.lines().skip(1).map(row).collect()
}

/// Two slots delivered and the one between them passed over empty.
fn delivered(job: &str) -> Site {
    let mut site = site(job);
    append(&site, "16:00 a 1\n 46:00 a 3");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out"), ["u_20260301T001500Z.csv", "u_20260301T004500Z.csv"]);
    site
}

#[test]
fn replace_sends_the_whole_slice_again_once() {
    let site = delivered("");
    append(&site, "17:00 a 2\n 16:00 a 10");
    let ended = run(&site, "ew-export", "").exit(0);
    assert_eq!(ended.stderr, "ew-export: u: u_20260301T001500Z_r1.csv delivered: rows 2, bytes 104\n");
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv"), ["16:00 a 10", "17:00 a 2"]);
    // Nothing is due twice.
    run(&site, "ew-export", "").exit(0).stderr("");
    append(&site, "18:00 a 5");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z_r2.csv"), ["16:00 a 10", "17:00 a 2", "18:00 a 5"]);
    assert_eq!(
        ledger(&site),
        [
            "u_20260301T001500Z.csv 15:00-30:00 r0 1 superseded",
            "u_20260301T001500Z_r1.csv 15:00-30:00 r1 2 superseded",
            "u_20260301T001500Z_r2.csv 15:00-30:00 r2 3 placed",
            "- 30:00-45:00 r0 0 empty",
            "u_20260301T004500Z.csv 45:00-00:00 r0 1 placed",
        ]
    );
}

#[test]
fn delta_sends_only_the_new_rows_and_corrections() {
    let site = delivered("late = \"delta\"");
    append(&site, "17:00 a 2\n 16:00 a 10");
    run(&site, "ew-export", "").exit(0);
    append(&site, "18:00 a 5");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z.csv"), ["16:00 a 1"]);
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv"), ["16:00 a 10", "17:00 a 2"]);
    assert_eq!(rows(&site, "u_20260301T001500Z_r2.csv"), ["18:00 a 5"]);
    assert_eq!(ledger(&site)[0..3].iter().filter(|line| line.ends_with("placed")).count(), 3);
    // By hand the whole slice goes out, and then it has taken the place of all of them.
    run(&site, "ew-export", "u --from 2026-03-01T00:15:00Z --to 2026-03-01T00:30:00Z").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z_r3.csv"), ["16:00 a 10", "17:00 a 2", "18:00 a 5"]);
    assert_eq!(ledger(&site)[0..4].iter().filter(|line| line.ends_with("superseded")).count(), 3);
}

#[test]
fn hold_waits_for_a_person() {
    let site = delivered("late = \"hold\"");
    append(&site, "17:00 a 2");
    let ended = run(&site, "ew-export", "--json").exit(0);
    let warning = "ew-export: warning: u: 1 rows from 2026-03-01T00:15:00Z to 2026-03-01T00:30:00Z are held: \
                   late rows; late = \"hold\"; ew-ledger release u sends them\n";
    assert_eq!(ended.stderr, warning);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["jobs"][0]["slices"][0]["outcome"], "held");
    // More rows join what is held; what is ordinary goes on.
    append(&site, "18:00 a 5");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(ledger(&site)[1], "- 15:00-30:00 r1 2 held");
    assert_eq!(site.names("out").len(), 2);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv"), ["16:00 a 1", "17:00 a 2", "18:00 a 5"]);
}

#[test]
fn what_is_dropped_is_not_asked_again() {
    let site = delivered("late = \"hold\"");
    append(&site, "17:00 a 2");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-ledger", "release u --drop clock_was_wrong").exit(0);
    run(&site, "ew-export", "").exit(0).stderr("");
    assert_eq!(ledger(&site)[1], "- 15:00-30:00 r1 1 skipped");
    append(&site, "18:00 a 5");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(ledger(&site)[2], "- 15:00-30:00 r2 1 held");
}

#[test]
fn an_empty_slot_and_one_before_the_first_get_their_first_delivery() {
    for late in ["replace", "delta", "hold"] {
        let site = delivered(&format!("late = {late:?}"));
        append(&site, "31:00 a 2\n 01:00 a 0");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(rows(&site, "u_20260301T000000Z.csv"), ["01:00 a 0"]);
        assert_eq!(rows(&site, "u_20260301T003000Z.csv"), ["31:00 a 2"]);
        assert_eq!(
            ledger(&site),
            [
                "u_20260301T000000Z.csv 00:00-15:00 r0 1 placed",
                "u_20260301T001500Z.csv 15:00-30:00 r0 1 placed",
                "- 30:00-45:00 r0 0 empty",
                "u_20260301T003000Z.csv 30:00-45:00 r0 1 placed",
                "u_20260301T004500Z.csv 45:00-00:00 r0 1 placed",
            ]
        );
        // And from then on the slot is one like every other.
        append(&site, "32:00 a 9");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(site.names("out").contains(&"u_20260301T003000Z_r1.csv".to_owned()), late != "hold");
    }
}

#[test]
fn a_row_in_the_future_is_ordinary_and_holds_back_nothing() {
    let mut site = delivered("");
    append(&site, "59:59 a 8");
    let site_log = "timestamp,point,value\n2030-01-01T00:00:00Z,a,7\n2026-03-01T01:05:00Z,a,6\n";
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", site_log).exit(0);
    site.now("2026-03-01T01:15:00Z");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(
        site.names("out"),
        [
            "u_20260301T001500Z.csv",
            "u_20260301T004500Z.csv",
            "u_20260301T004500Z_r1.csv",
            "u_20260301T010000Z.csv"
        ]
    );
    // Rows at or after the bookmark are ordinary whatever their seq, the one of 2030 among them.
    site.now("2030-01-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    assert!(site.names("out").contains(&"u_20300101T000000Z.csv".to_owned()));
    run(&site, "ew-export", "").exit(0).stderr("");
}

/// Rows that come while a slice waits for its receiver: the slice goes out as recorded, then they do.
#[test]
fn rows_that_come_while_the_slice_is_on_its_way_are_late() {
    let job = "breakup_on_period = true\nconnection_attempts = 1";
    let keys = "csv]\n  layout = \"long\"";
    let mut site = Site::new(&config(job, keys).replace("\"out\"", "\"no/out\""));
    append(&site, "01:00 a 1\n 16:00 a 1");
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(69);
    append(&site, "02:00 a 2\n 17:00 a 2");
    run(&site, "ew-export", "").exit(69);
    std::fs::create_dir_all(site.file("no")).unwrap();
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-export", "").exit(0).stderr("");
    let names = ["u_20260301T000000Z.csv", "u_20260301T000000Z_r1.csv", "u_20260301T001500Z.csv"];
    assert_eq!(site.names("no/out"), names);
    let lines = |name: &str| site.read(&format!("no/out/{name}")).lines().count() - 1;
    assert_eq!(names.map(lines), [1, 2, 2]);
}

/// A revision that the receiver does not take holds back its own slot only.
#[test]
fn a_failed_revision_holds_back_only_its_own_slot() {
    let mut site = delivered("");
    site.write("out/u_20260301T001500Z_r1.csv", "somebody's\n");
    append(&site, "17:00 a 2\n 47:00 a 4");
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let ordinary = "timestamp,point,value\n2026-03-01T01:05:00Z,a,6\n";
    site.run_with_input(log.to_str().unwrap(), "-q append", ordinary).exit(0);
    site.now("2026-03-01T01:15:00Z");
    run(&site, "ew-export", "").exit(77);
    assert!(site.names("out").contains(&"u_20260301T004500Z_r1.csv".to_owned()));
    assert!(site.names("out").contains(&"u_20260301T010000Z.csv".to_owned()));
    // It is tried again each run, and what comes late for its slot meanwhile waits behind it.
    append(&site, "18:00 a 5");
    run(&site, "ew-export", "").exit(77);
    std::fs::remove_file(site.file("out/u_20260301T001500Z_r1.csv")).unwrap();
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv").len(), 2);
    assert_eq!(rows(&site, "u_20260301T001500Z_r2.csv").len(), 3);
}

/// Without {rev} the revision takes the file's place.
#[test]
fn a_template_without_rev_lets_replace_take_the_place() {
    let site = delivered("filename = \"{job}_{start_utc:%Y%m%dT%H%M%SZ}.{ext}\"");
    append(&site, "17:00 a 2");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 2);
    assert_eq!(rows(&site, "u_20260301T001500Z.csv"), ["16:00 a 1", "17:00 a 2"]);
}

/// Wide: the columns of a revision are those of its rows now, of a delta those of the delta.
#[test]
fn the_columns_of_a_revision_are_its_own() {
    for (late, expect) in [
        ("replace", "timestamp,a,b\n2026-03-01T00:01:00Z,1,\n2026-03-01T00:02:00Z,,2\n"),
        ("delta", "timestamp,b\n2026-03-01T00:02:00Z,2\n"),
    ] {
        let job = format!("breakup_on_period = true\nlate = {late:?}");
        let mut site = Site::new(&config(&job, "csv]"));
        append(&site, "01:00 a 1");
        site.now("2026-03-01T00:15:00Z");
        run(&site, "ew-export", "").exit(0);
        append(&site, "02:00 b 2");
        run(&site, "ew-export", "").exit(0);
        assert_eq!(site.read("out/u_20260301T000000Z_r1.csv"), expect);
    }
}

/// An unbroken slice is one slice: a late row in it opens the next revision of all of it.
#[test]
fn late_in_an_unbroken_slice() {
    let mut site = Site::new(&config("", "csv]\n  layout = \"long\""));
    append(&site, "01:00 a 1\n 46:00 a 3");
    site.now("2026-03-01T01:00:00Z");
    run(&site, "ew-export", "").exit(0);
    append(&site, "20:00 a 2");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T000000Z_r1.csv"), ["01:00 a 1", "20:00 a 2", "46:00 a 3"]);
}

#[test]
fn a_dry_run_shows_what_came_late_and_records_nothing() {
    let site = delivered("late = \"delta\"");
    append(&site, "17:00 a 2\n 31:00 a 4");
    let listed = run(&site, "ew-export", "--dry-run").exit(0).stdout;
    assert!(listed.contains("u_20260301T001500Z_r1.csv"), "{listed}");
    assert!(listed.contains("1 rows came late; only they are sent"), "{listed}");
    assert!(listed.contains("1 rows came late for a slot that was passed over empty"), "{listed}");
    assert_eq!(ledger(&site).len(), 3);
    let sent = run(&site, "ew-export", "").exit(0).stderr;
    assert!(sent.contains("u_20260301T001500Z_r1.csv delivered: rows 1"), "{sent}");
}

/// Rows of points that the job does not select, and rows before `since`, are none of its business.
#[test]
fn only_selected_rows_from_since_on_are_late() {
    let mut site = site("since = \"2026-03-01T00:15:00Z\"");
    site.write("ew.toml", &site.read("ew.toml").replace("\"**\"", "\"a\""));
    append(&site, "16:00 a 1");
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(0);
    append(&site, "01:00 a 0\n 17:00 b 2");
    run(&site, "ew-export", "").exit(0).stderr("");
    assert_eq!(site.names("out").len(), 1);
}

/// A late row that cannot be rendered, as one of a unit that cannot be added up, holds back its own slice only.
#[test]
fn a_revision_that_cannot_be_rendered_holds_back_only_itself() {
    let job = "breakup_on_period = true\ninterval = \"15m\"\naggregate = \"energy\"";
    let mut site = Site::new(&config(job, "csv]\n  layout = \"long\""));
    let add = |site: &Site, rows: &str| {
        let text = format!("timestamp,point,value,unit\n{rows}");
        let log = ew::sibling(EW_EXPORT, "ew-log");
        site.run_with_input(log.to_str().unwrap(), "-q append --replace", &text).exit(0);
    };
    add(&site, "2026-03-01T00:05:00Z,a,100,W\n2026-03-01T00:20:00Z,a,100,W\n2026-03-01T00:35:00Z,a,100,W\n");
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(0);
    add(&site, "2026-03-01T00:06:00Z,a,7,kVA\n2026-03-01T00:36:00Z,a,50,W\n2026-03-01T00:50:00Z,a,60,W\n");
    site.now("2026-03-01T01:00:00Z");
    // The reading counts in the slice after it too. A dry run tells it before and after the run that meets it, with what can be sent.
    let dry = |others: usize| {
        let listed = run(&site, "ew-export", "--dry-run --json").exit(65);
        assert_eq!(listed.stderr.matches("kVA").count(), 1, "{}", listed.stderr);
        let report: serde_json::Value = serde_json::from_str(&listed.stdout).unwrap();
        let slices = report["jobs"][0]["slices"].as_array().unwrap();
        assert_eq!(slices.len(), 2 + others, "{report}");
        let failed: Vec<_> = slices.iter().filter(|slice| slice["outcome"] == "failed").collect();
        assert_eq!(
            (failed.len(), &failed[0]["rev"], &failed[0]["start"]),
            (2, &1.into(), &"2026-03-01T00:00:00Z".into())
        );
        assert!(failed[0]["error"].as_str().unwrap().contains("kVA"), "{report}");
        assert_eq!(report["jobs"][0]["outcome"], "failed");
        run(&site, "ew-export", "--dry-run").exit(65)
    };
    assert!(dry(2).stdout.contains("it cannot be rendered: "));
    let ended = run(&site, "ew-export", "").exit(65);
    assert_eq!(ended.stderr.matches("kVA").count(), 1, "{}", ended.stderr);
    assert!(dry(0).stdout.contains("kVA"));
    let status = run(&site, "ew-ledger", "status --json").exit(1).stdout;
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["jobs"][0]["open"], 2);
    assert!(status["jobs"][0]["last_error"].as_str().unwrap().contains("kVA"), "{status}");
    for name in ["u_20260301T003000Z_r1.csv", "u_20260301T004500Z.csv"] {
        assert!(site.names("out").contains(&name.to_owned()), "{name}: {:?}", site.names("out"));
    }
    // It is tried again, and goes out once it can.
    run(&site, "ew-export", "").exit(65);
    add(&site, "2026-03-01T00:06:00Z,a,100,W\n");
    run(&site, "ew-export", "").exit(0);
    assert!(site.names("out").contains(&"u_20260301T000000Z_r1.csv".to_owned()));
}

/// A reading counts in the interval after it too, so what comes late opens both slices again.
#[test]
fn a_late_reading_reaches_into_the_next_slice() {
    let job = "breakup_on_period = true\ninterval = \"15m\"\naggregate = \"delta\"";
    let mut site = Site::new(&config(job, "csv]\n  layout = \"long\""));
    append(&site, "10:00 a 100\n 20:00 a 130");
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(0);
    append(&site, "14:00 a 115");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T000000Z_r1.csv"), ["00:00 a 15"]);
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv"), ["15:00 a 15"]);
    run(&site, "ew-export", "").exit(0).stderr("");
}

/// Too many empty slots to send are no reason to keep late rows back.
#[test]
fn late_rows_go_out_though_nothing_else_can_be_planned() {
    let mut site = site("always_export = true");
    append(&site, "01:00 a 1");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    append(&site, "02:00 a 2");
    site.now("2027-03-01T00:00:00Z");
    run(&site, "ew-export", "").exit(65);
    assert_eq!(rows(&site, "u_20260301T000000Z_r1.csv"), ["01:00 a 1", "02:00 a 2"]);
}

/// An end before the bookmark is a no-op, for late rows too; they go out with the next run.
#[test]
fn an_end_before_the_bookmark_sends_nothing() {
    let site = delivered("");
    append(&site, "17:00 a 2");
    let ended = run(&site, "ew-export", "--end 2026-03-01T00:15:00Z").exit(0);
    assert!(ended.stderr.contains("nothing is sent again"), "{}", ended.stderr);
    assert_eq!(site.names("out").len(), 2);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(rows(&site, "u_20260301T001500Z_r1.csv").len(), 2);
}

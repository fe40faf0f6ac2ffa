//! `ew-log trim`: old rows go, undelivered ones stay, and a slice that lost rows is never rendered again.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::Site;
use export::{append, config, ledger, run};

fn site(job: &str) -> Site {
    let mut site = Site::new(&config(&format!("breakup_on_period = true\n{job}"), "csv]"));
    append(&site, "01:00 a 1\n 02:00 a 2\n 16:00 a 3\n 31:00 a 4");
    site.now("2026-03-01T00:30:00Z");
    site
}

fn rows(site: &Site) -> usize {
    let ended = run(site, "ew-log", "slice --from 2026-03-01 --to 2026-03-02");
    ended.stdout.lines().count().saturating_sub(1)
}

#[test]
fn undelivered_rows_are_refused_without_force() {
    let site = site("");
    let before = "trim --before 2026-03-01T00:15:00Z";
    let ended = run(&site, "ew-log", before).exit(2);
    assert_eq!(
        ended.stderr,
        "ew-log: 2 rows before 2026-03-01T00:15:00Z are not delivered, the earliest at 2026-03-01T00:01:00Z: \
         they are due to u\n  hint: nothing was trimmed; export first, or trim --retention, which keeps them, \
         or --force, which does not\n"
    );
    assert_eq!(rows(&site), 4);
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-log", before).exit(0).stderr("ew-log: 2 rows before 2026-03-01T00:15:00Z trimmed\n");
    assert_eq!(rows(&site), 2);
    // The row at 31:00 is not due yet, which does not make it delivered.
    run(&site, "ew-log", "trim --before now").exit(0);
    run(&site, "ew-log", "trim --before last").exit(2);
    run(&site, "ew-log", "trim --before last --force").exit(0);
    assert_eq!(rows(&site), 0);
    run(&site, "ew-log", "check").exit(0);
    let audit = run(&site, "ew-ledger", "audit --json").exit(0).stdout;
    assert!(audit.contains("\"trimmed\": 3") && audit.contains("\"trimmed_by_force\": 1"), "{audit}");
    // Nothing is rendered again or sent twice for what went.
    run(&site, "ew-export", "--end now").exit(0);
    assert_eq!(site.names("out").len(), 2);
}

#[test]
fn old_discoveries_go_and_the_newest_two_of_a_bus_stay() {
    let site = site("");
    let mut log = ew_store::Log::open(&site.file("ew.db")).unwrap();
    for minute in 0..4 {
        let at = ew_core::Timestamp::from_secs(1_772_323_200 + minute * 60);
        log.record_discovery("lobby", at, None, "{}").unwrap();
    }
    drop(log);
    run(&site, "ew-export", "").exit(0);
    let trim = "trim --before 2026-03-01T00:15:00Z";
    run(&site, "ew-log", trim)
        .exit(0)
        .stderr("ew-log: 2 rows before 2026-03-01T00:15:00Z trimmed; 2 discoveries of buses went too\n");
    let ended = run(&site, "ew-log", &format!("{trim} --json")).exit(0);
    let done: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(done["discoveries"], 0);
}

#[test]
fn retention_keeps_what_is_not_delivered() {
    let mut site = site("");
    run(&site, "ew-log", "trim --retention")
        .exit(0)
        .stderr("ew-log: log.retention is not set, so rows are kept for ever; nothing was trimmed\n");
    site.write("ew.toml", &format!("[log]\nretention = \"20m\"\n{}", site.read("ew.toml")));
    run(&site, "ew-export", "--end 2026-03-01T00:15:00Z").exit(0);
    site.now("2026-03-01T12:00:00Z");
    run(&site, "ew-log", "trim --retention")
        .exit(0)
        .stderr("ew-log: 2 rows before 2026-03-01T11:40:00Z trimmed; 2 that are still needed are kept\n");
    assert_eq!(rows(&site), 2);
    run(&site, "ew-export", "").exit(0);
    let ended = run(&site, "ew-log", "trim --retention --json").exit(0);
    let done: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&done["rows"], &done["kept"]), (&2.into(), &0.into()));
    run(&site, "ew-log", "trim").exit(2);
    run(&site, "ew-log", "trim --retention --before now").exit(2);
}

#[test]
fn late_rows_of_a_trimmed_slice_go_out_as_a_delta_or_are_held() {
    for (rev, expect) in [("{rev}", "delta"), ("", "held")] {
        let filename = format!("filename = \"{{job}}_{{start_utc:%H%M%S}}{rev}.{{ext}}\"");
        let site = site(&filename.replace("%H%M%S", "%Y%m%d%H%M%S"));
        run(&site, "ew-export", "").exit(0);
        run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
        append(&site, "03:00 a 9");
        run(&site, "ew-export", "").exit(0);
        if expect == "delta" {
            assert_eq!(site.read("out/u_20260301000000_r1.csv"), "timestamp,a\n2026-03-01T00:03:00Z,9\n");
            continue;
        }
        assert_eq!(ledger(&site)[1], "- 00:00-15:00 r1 1 held");
        assert_eq!(site.names("out").len(), 2);
        let ended = run(&site, "ew-ledger", "release u").exit(2);
        assert!(ended.stderr.contains("put {rev} into filename"), "{}", ended.stderr);
        site.write("ew.toml", &site.read("ew.toml").replace("%S}.", "%S}{rev}."));
        run(&site, "ew-ledger", "release u").exit(0);
        run(&site, "ew-export", "").exit(0);
        assert_eq!(site.read("out/u_20260301000000_r1.csv"), "timestamp,a\n2026-03-01T00:03:00Z,9\n");
    }
}

/// Rows that a revision still needs stay, so that it goes out whole.
#[test]
fn a_slice_with_a_revision_on_its_way_is_left_alone() {
    let site = site("late = \"hold\"");
    run(&site, "ew-export", "").exit(0);
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(2);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(2);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z_r1.csv").lines().count(), 4);
    run(&site, "ew-log", "trim --before 2026-03-01T00:30:00Z").exit(0);
    assert_eq!(rows(&site), 1);
}

/// A row goes only when every job that selects it has delivered it.
#[test]
fn two_jobs_and_one_that_never_ran() {
    let mut site = site("");
    let other = site.read("ew.toml").replace("name = \"u\"", "name = \"v\"").replace("\"**\"", "\"b\"");
    site.write("ew.toml", &format!("{}\n{other}", site.read("ew.toml")));
    append(&site, "03:00 b 5");
    run(&site, "ew-export", "u").exit(0);
    let ended = run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(2);
    assert!(ended.stderr.contains("1 rows") && ended.stderr.contains("due to v"), "{}", ended.stderr);
    site.now("2026-03-01T00:31:00Z");
    run(&site, "ew-export", "v").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    assert_eq!(rows(&site), 2);
}

/// While an export runs, its rows stay.
#[test]
fn a_running_export_is_waited_for() {
    let site = site("");
    std::fs::create_dir_all(site.file("ew.db.spool/locks")).unwrap();
    let lock = std::fs::File::create(site.file("ew.db.spool/locks/export-u.lock")).unwrap();
    lock.lock().unwrap();
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z --force --wait 100ms").exit(75);
    assert_eq!(rows(&site), 4);
}

/// A job that is not configured now has slices all the same, and a widened selection is owed its rows at once.
#[test]
fn other_jobs_and_selections_are_thought_of() {
    let mut site = site("");
    let one = site.read("ew.toml");
    let two = format!("{one}\n{}", one.replace("name = \"u\"", "name = \"v\""));
    site.write("ew.toml", &two);
    run(&site, "ew-export", "").exit(0);
    site.write("ew.toml", &one);
    run(&site, "ew-log", "trim --before 2026-03-01T00:01:30Z").exit(0);
    site.write("ew.toml", &two);
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/v_20260301T000000Z_r1.csv"), "timestamp,a\n2026-03-01T00:03:00Z,9\n");
    // Rows of a point that the job has come to select, and no export has seen it.
    site.write("ew.toml", &one.replace("\"**\"", "\"a\""));
    run(&site, "ew-export", "").exit(0);
    append(&site, "40:00 b 1");
    site.write("ew.toml", &one);
    site.now("2026-03-01T01:00:00Z");
    let ended = run(&site, "ew-log", "trim --before 2026-03-01T00:45:00Z").exit(2);
    assert!(ended.stderr.starts_with("ew-log: 2 rows"), "{}", ended.stderr);
}

/// Rows that came late and that no export has looked at yet keep the other rows of their slice.
#[test]
fn what_came_late_keeps_its_slice_whole() {
    let mut site = site("filename = \"{job}_{start_utc:%Y%m%d%H%M%S}.{ext}\"");
    site.write("ew.toml", &format!("[log]\nretention = \"1m\"\n{}", site.read("ew.toml")));
    run(&site, "ew-export", "").exit(0);
    append(&site, "03:00 a 9");
    run(&site, "ew-log", "trim --retention").exit(0);
    assert_eq!(rows(&site), 4);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301000000.csv").lines().count(), 4);
    site.now("2026-03-01T00:40:00Z");
    run(&site, "ew-log", "trim --retention").exit(0);
    assert_eq!(rows(&site), 1);
}

/// By force also rows go that were about to be sent: what is left of their slices goes out, and nothing without rows.
#[test]
fn forced_away_before_they_were_sent() {
    let site = site("late = \"hold\"");
    run(&site, "ew-export", "").exit(0);
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z --force").exit(0);
    run(&site, "ew-ledger", "release u").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 2);
    assert_eq!(ledger(&site)[1], "- 00:00-15:00 r1 1 skipped");
    run(&site, "ew-ledger", "audit").exit(0);
}

/// Intervals count readings from before their slice, so those stay as long as the slice does.
#[test]
fn readings_that_reach_into_a_slice_stay_with_it() {
    let job = "breakup_on_period = true\ninterval = \"15m\"\naggregate = \"delta\"";
    let mut site = Site::new(&config(job, "csv]\n  layout = \"long\""));
    append(&site, "10:00 a 100\n 20:00 a 130");
    site.now("2026-03-01T00:15:00Z");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    site.now("2026-03-01T00:30:00Z");
    run(&site, "ew-export", "").exit(0);
    let sent = site.read("out/u_20260301T001500Z.csv");
    assert!(sent.contains("2026-03-01T00:15:00Z,a,30,"), "{sent}");
}

/// A row before `since` is in no slice, so that its going cuts none.
#[test]
fn rows_before_since_cut_no_slice() {
    let site = site("since = \"2026-03-01T00:01:30Z\"");
    run(&site, "ew-export", "").exit(0);
    run(&site, "ew-log", "trim --before 2026-03-01T00:01:30Z").exit(0);
    append(&site, "03:00 a 9");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z_r1.csv").lines().count(), 3);
}

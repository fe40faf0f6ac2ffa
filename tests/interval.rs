//! `ew-export` with `interval` and `aggregate`: what a receiver of interval data gets, by hand.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::{Ended, Site};
use std::path::Path;
use std::process::Command;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// 10 minutes at 1 kW, 5 and 15 at 4 kW with one answer missed, 15 at 600 W, then 5 of 15; and a point that is
/// asked now and then. A reading is held for 20 minutes, unless max_gap says otherwise.
const READINGS: &str = "00:00 a 1000 W actual
    00:00 b 60 W actual
    10:00 a 4000 W actual
    20:00 a - W missing
    30:00 a 600 W actual
    45:00 b 80 W actual";

fn config(job: &str, format: &str, directory: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nlate = \"hold\"\nperiod = \"1h\"\n{job}\n\
         [export.format.{format}\n[export.transport.file]\ndirectory = \"{directory}\"\n"
    )
}

const ENERGY: &str = "interval = \"15m\"\naggregate = \"energy\"\n";

/// Appends `MM:SS point value unit quality` rows of the hour 2026-03-01T00.
fn append(site: &Site, rows: &str) {
    let mut text = "timestamp,point,value,unit,quality\n".to_owned();
    for row in rows.lines() {
        let [time, point, value, unit, quality] = row.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{row}")
        };
        let value = if value == "-" { "" } else { value };
        text += &format!("2026-03-01T00:{time}Z,{point},{value},{unit},{quality}\n");
    }
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", &text).exit(0).stderr("");
}

/// A site with the readings, at two in the morning.
fn site(config: &str) -> Site {
    let mut site = Site::new(config);
    append(&site, READINGS);
    site.now("2026-03-01T02:00:00Z");
    site
}

fn export(site: &Site, arguments: &str) -> Ended {
    site.run(EW_EXPORT, arguments)
}

fn golden(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/golden").join(name);
    std::fs::read_to_string(file).unwrap()
}

/// The golden files are by hand from [`READINGS`].
#[test]
fn energy_in_every_format() {
    for (job, format, ext, name) in [
        ("", "csv]", "csv", "interval-wide.csv"),
        ("columns = [\"a\", \"b\"]", "csv]", "csv", "interval-wide.csv"),
        ("zone = \"Europe/Zurich\"", "csv]\nlayout = \"long\"\nstamp = \"end\"", "csv", "interval-long.csv"),
        ("", "jsonl]\nstamp = \"end\"", "jsonl", "interval.jsonl"),
        ("", "xml]\nstamp = \"start\"", "xml", "interval.xml"),
    ] {
        let site = site(&config(&format!("{ENERGY}{job}"), format, "out"));
        let golden = golden(name);
        export(&site, "--stdout").exit(0).stdout(&golden);
        let ended = export(&site, "").exit(0);
        assert!(ended.stderr.contains("delivered: rows 8, bytes"), "{}", ended.stderr);
        assert_eq!(site.read(&format!("out/u_20260301T000000Z.{ext}")), golden, "{name}");
    }
}

/// The same rows one meter after the other; b has none in its third quarter.
#[test]
fn energy_point_by_point() {
    let meters = "meters = { b = { units = \"KWH\" } }";
    let site = site(&config(ENERGY, &format!("cmep]\nsender_id = \"hq\"\n{meters}"), "out"));
    let record = |meter: &str, values: &str| {
        format!("MEPMD01,19970819,hq,,Enerwise,,202603010100,{meter},1.0,00000015,4,202603010000,{values}")
    };
    let a = record("a,OK,E,Wh", ",500.000000,,,1000.000000,,,150.000000,,,50.000000");
    let b = record("b,OK,E,KWH", ",0.015000,,,0.005000,,N,,,,0.020000");
    export(&site, "--stdout").exit(0).stdout(&format!("{a}\r\n{b}"));
    export(&site, "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z.cmep"), format!("{a}\r\n{b}"));
}

#[test]
fn two_points_of_one_meter_are_not_sent() {
    let meters = "meters = { a = { id = \"M1\" }, b = { id = \"M1\" } }";
    let site = site(&config(ENERGY, &format!("cmep]\n{meters}"), "out"));
    let ended = export(&site, "").exit(65);
    assert!(ended.stderr.contains("a and b at 2026-03-01T00:00:00Z are both the meter"), "{}", ended.stderr);
    assert_eq!(site.names("out"), [""; 0]);
}

/// A whole day from polls in W: the hour that was observed, and 23 of nothing.
#[test]
fn energy_of_a_day_as_nem12() {
    let format = "nem12]\nfrom_participant = \"EW\"\nto_participant = \"R\"\n\
                  meters = { a = { nmi = \"6305000001\", suffix = \"E1\" }, b = { nmi = \"6305000002\", suffix = \"E1\" } }";
    let text = config(ENERGY, format, "out").replace("\"1h\"", "\"1d\"");
    let mut site = site(&text);
    site.now("2026-03-02T00:05:00Z");
    let meter = |nmi: &str, values: &str, flags: &[&str]| {
        let rest = ",".repeat(95 - values.matches(',').count());
        let flags: String = flags.iter().map(|flag| format!("400,{flag},,\r\n")).collect();
        format!("200,{nmi},E1,,E1,,,kWh,15,\r\n300,20260301,{values}{rest},V,,,,\r\n{flags}")
    };
    let a =
        meter("6305000001", "0.500,1.000,0.150,0.050", &["1,1,A", "2,2,E55", "3,3,A", "4,4,E55", "5,96,N"]);
    // 80 W from 00:45 are held for 20 minutes.
    let b = meter(
        "6305000002",
        "0.015,0.005,,0.020,0.007",
        &["1,1,A", "2,2,E55", "3,3,N", "4,4,A", "5,5,E55", "6,96,N"],
    );
    export(&site, "").exit(0);
    assert_eq!(
        site.read("out/u_20260301T000000Z.csv"),
        format!("100,NEM12,202603020000,EW,R\r\n{a}{b}900\r\n")
    );
    // A part of a day is none.
    let ended = export(&site, "--from 2026-03-01T00:00:00Z --to 2026-03-01T12:00:00Z --stdout").exit(65);
    assert!(ended.stderr.contains("midnight of the job's zone"), "{}", ended.stderr);
}

/// Whatever is corrected, comes late or lies before the slice: by point there are the rows that there are by time.
#[test]
fn by_point_are_the_rows_of_by_time() {
    let job = format!("{ENERGY}breakup_on_period = true\nmax_gap = \"40m\"");
    let by_time = site(&config(&job, "csv]\nlayout = \"long\"\ndecimals = 6\nheader = false", "out"));
    let by_point = site(&config(&job, "cmep]\nmax_count = 1", "out"));
    for site in [&by_time, &by_point] {
        let log = ew::sibling(EW_EXPORT, "ew-log");
        let rows = "timestamp,point,value,unit,quality\n2026-03-01T00:50:00Z,c,7,kW,actual\n\
                    2026-03-01T01:20:00Z,a,3,W,actual\n2026-03-01T01:40:00Z,b,,W,missing\n\
                    2026-03-01T00:30:00Z,a,620,W,presumed\n";
        site.run_with_input(log.to_str().unwrap(), "-q append --replace", rows).exit(0);
        export(site, "").exit(0);
    }
    for name in by_time.names("out") {
        let mut expected: Vec<String> = by_time
            .read(&format!("out/{name}"))
            .lines()
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                let time: String = fields[0].chars().filter(char::is_ascii_digit).take(12).collect();
                format!("{} {} {time} {}", fields[1], fields[3], fields[2])
            })
            .collect();
        expected.sort();
        let text = by_point.read(&format!("out/{}", name.replace(".csv", ".cmep")));
        let found: Vec<String> = text
            .split("\r\n")
            .map(|line| {
                let fields: Vec<&str> = line.split(',').collect();
                format!("{} {} {} {}", fields[7], fields[10], fields[14], fields[16])
            })
            .collect();
        assert_eq!(found, expected, "{name}");
    }
    assert_eq!(by_time.names("out").len(), 2);
}

/// A slice looks back for the reading that its first interval begins with.
#[test]
fn slices_join_without_a_seam() {
    let site =
        site(&config(&format!("{ENERGY}breakup_on_period = true"), "csv]", "out").replace("1h", "15m"));
    append(&site, "15:00 b - W missing\n 30:00 b - W missing");
    export(&site, "").exit(0);
    let names = site.names("out");
    assert_eq!(names.len(), 4);
    let text: String = names.iter().map(|name| site.read(&format!("out/{name}"))).collect();
    let rows: String =
        text.lines().filter(|line| !line.starts_with("timestamp,")).map(|l| l.to_owned() + "\n").collect();
    assert_eq!(
        format!("timestamp,a,b\n{rows}"),
        golden("interval-wide.csv").replace("T00:45:00Z,50,20", "T00:45:00Z,20")
    );
}

#[test]
fn a_gap_as_long_as_asked_for() {
    let site = site(&config(&format!("{ENERGY}max_gap = \"5m\""), "csv]", "out"));
    export(&site, "--stdout").exit(0).stdout(
        "timestamp,a,b\n2026-03-01T00:00:00Z,416.6666666666667,5\n2026-03-01T00:15:00Z,,\n\
         2026-03-01T00:30:00Z,50,\n2026-03-01T00:45:00Z,,6.666666666666667\n",
    );
}

/// A day of 25 hours has 100 quarters, each stamped with its own offset.
#[test]
fn a_day_of_25_hours() {
    let job = "interval = \"15m\"\naggregate = \"last\"\nperiod = \"1d\"\nzone = \"Europe/Zurich\"\n";
    let text = config(job, "csv]", "out").replacen("period = \"1h\"\n", "", 1);
    let mut site = Site::new(&text);
    let rows: String = (0..100).map(|n| format!("{},a,{n}\n", 1_792_879_200 + n * 900)).collect();
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", &format!("timestamp,point,value\n{rows}"))
        .exit(0);
    site.now("2026-10-26T00:00:00Z");
    export(&site, "").exit(0);
    let text = site.read("out/u_20261024T220000Z.csv");
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 101);
    assert_eq!(lines[1], "2026-10-25T00:00:00+02:00,0");
    assert_eq!((lines[12], lines[13]), ("2026-10-25T02:45:00+02:00,11", "2026-10-25T02:00:00+01:00,12"));
    assert_eq!(lines[100], "2026-10-25T23:45:00+01:00,99");
}

/// An interval that is not over is not sent.
#[test]
fn the_end_is_that_of_an_interval() {
    let mut site = site(&config(ENERGY, "csv]\nheader = false", "out"));
    site.now("2026-03-01T00:29:59Z");
    export(&site, "--end now").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), "2026-03-01T00:00:00Z,500,15\n");
    site.now("2026-03-01T00:44:00Z");
    export(&site, "--end 2026-03-01T00:31:00Z").exit(0);
    assert_eq!(site.names("out").len(), 2);
    assert_eq!(site.read("out/u_20260301T001500Z.csv"), "2026-03-01T00:15:00Z,1000\n");
}

#[test]
fn what_is_before_since_counts_for_nothing() {
    let site = site(&config(&format!("{ENERGY}since = \"2026-03-01T00:10:00Z\""), "csv]", "out"));
    export(&site, "--stdout").exit(0).stdout(
        "timestamp,a,b\n2026-03-01T00:00:00Z,333.3333333333333,\n2026-03-01T00:15:00Z,1000,\n\
         2026-03-01T00:30:00Z,150,\n2026-03-01T00:45:00Z,50,20\n",
    );
    // A slot with no row since then is none of the job's, nor are its intervals.
    let job = format!("{ENERGY}since = \"2026-03-01T00:31:00Z\"");
    let site = self::site(&config(&job, "csv]", "out"));
    export(&site, "--stdout").exit(0).stdout("timestamp,b\n2026-03-01T00:30:00Z,\n2026-03-01T00:45:00Z,20\n");
}

#[test]
fn an_empty_slot_has_its_header_only() {
    let job = format!("{ENERGY}breakup_on_period = true\nalways_export = true");
    let site = site(&config(&job, "csv]", "out"));
    export(&site, "").exit(0);
    assert_eq!(site.read("out/u_20260301T000000Z.csv"), golden("interval-wide.csv"));
    assert_eq!(site.read("out/u_20260301T010000Z.csv"), "timestamp,a,b\n");
}

#[test]
fn a_counter_that_was_reset() {
    let job = "interval = \"30m\"\naggregate = \"delta\"\n";
    let mut site = Site::new(&config(job, "jsonl]", "out"));
    append(
        &site,
        "00:00 m 100 Wh actual\n 15:00 m 130 Wh actual\n 20:00 m 4 Wh actual\n 29:00 m 9 Wh actual\n \
         31:00 m 9.5 Wh actual",
    );
    site.now("2026-03-01T02:00:00Z");
    export(&site, "--stdout").exit(0).stdout(
        "{\"timestamp\":\"2026-03-01T00:00:00Z\",\"point\":\"m\",\"value\":35,\"unit\":\"Wh\",\"quality\":\"suspect\"}\n\
         {\"timestamp\":\"2026-03-01T00:30:00Z\",\"point\":\"m\",\"value\":0.5,\"unit\":\"Wh\",\"quality\":\"actual\"}\n",
    );
}

#[test]
fn energy_of_a_level_is_refused() {
    let site = site(&config(ENERGY, "csv]", "out"));
    append(&site, "05:00 cbus.lobby.254.56.1 255 level actual");
    let ended = export(&site, "").exit(65);
    assert_eq!(
        ended.stderr,
        "ew-export: u: cbus.lobby.254.56.1 at 2026-03-01T00:05:00Z has the unit \"level\", of which there is no energy\n\
         \x20 hint: aggregate = \"energy\" takes mW, W, kW, MW and GW, and counters in mWh to GWh: narrow the job's points, or correct the unit with \
         ew-log append --replace\n"
    );
    assert_eq!(site.names("out"), [""; 0]);
}

#[test]
fn a_slice_that_cannot_be_rendered_ends_those_after_it_and_none_before() {
    let job = "breakup_on_period = true\ninterval = \"15m\"\naggregate = \"energy\"\n";
    let mut site = Site::new(&config(job, "csv]", "out").replace("\"1h\"", "\"15m\""));
    append(&site, "00:00 a 60 W actual\n 16:00 a 60 W actual\n 46:00 a 1 level actual\n 59:00 a 1 W actual");
    site.now("2026-03-01T01:00:00Z");
    let ended = export(&site, "").exit(65);
    assert!(ended.stderr.contains("a at 2026-03-01T00:46:00Z has the unit \"level\""), "{}", ended.stderr);
    assert_eq!(site.names("out"), ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv"]);
    // What was rendered ahead of its turn is not left behind, nor half a kept file.
    assert_eq!(site.names("ew.db.spool/jobs/u"), [""; 0]);
    assert_eq!(site.names("ew.db.spool/kept/u").len(), 2);
}

/// A slice that was recorded is rendered again as of then, whatever came since.
#[test]
fn a_lost_spool_file_is_made_again() {
    let site = site(&config(ENERGY, "csv]\nlayout = \"long\"\nstamp = \"end\"", "missing/out"));
    export(&site, "").exit(69);
    std::fs::remove_dir_all(site.file("ew.db.spool/jobs/u")).unwrap();
    append(&site, "05:00 c 1 W actual\n 06:00 a 9 W actual");
    std::fs::create_dir(site.file("missing")).unwrap();
    export(&site, "").exit(0);
    let expect =
        golden("interval-long.csv").replace("T01:", "T00:").replace("T02:", "T01:").replace("+01:00", "Z");
    assert_eq!(site.read("missing/out/u_20260301T000000Z.csv"), expect);
}

/// Slices of a quarter each, from readings of which some may come later; the job does with late rows what `late` says.
fn quarters(late: &str, aggregate: &str, rows: &str) -> Site {
    let job = format!("interval = \"15m\"\naggregate = \"{aggregate}\"\nbreakup_on_period = true");
    let text = config(&job, "csv]", "out").replace("1h", "15m").replace("hold", late);
    let mut site = Site::new(&text);
    append(&site, rows);
    site.now("2026-03-01T00:45:00Z");
    export(&site, "").exit(0);
    site
}

fn ledger(site: &Site, arguments: &str) -> Ended {
    site.run(ew::sibling(EW_EXPORT, "ew-ledger").to_str().unwrap(), arguments)
}

/// Start, revision and state of each slice.
fn slices(site: &Site) -> Vec<String> {
    let list: serde_json::Value = serde_json::from_str(&ledger(site, "list --json").exit(0).stdout).unwrap();
    let one = |d: &serde_json::Value| {
        format!("{} r{} {}", &d["start"].as_str().unwrap()[14..16], d["rev"], d["state"].as_str().unwrap())
    };
    list["deliveries"].as_array().unwrap().iter().map(one).collect()
}

const STEADY: &str = "00:00 a 100 W actual\n 10:00 a 100 W actual\n 20:00 a 100 W actual\n 25:00 a 100 W actual\n 35:00 a 100 W actual";

/// A late row opens its own slice. The next one, which counts it too, is opened only where that changes it.
#[test]
fn late_rows_before_a_slice_open_it_only_where_they_change_it() {
    for (row, expect) in [
        // The reading at 10:00 is what the second quarter begins with, as before.
        (
            "05:00 a 400 W actual",
            ["00 r0 superseded", "00 r1 placed", "15 r0 placed", "30 r0 placed"].to_vec(),
        ),
        // Now it is this one; the third begins with that of 25:00 as before.
        (
            "12:00 a 400 W actual",
            ["00 r0 superseded", "00 r1 placed", "15 r0 superseded", "15 r1 placed", "30 r0 placed"].to_vec(),
        ),
    ] {
        let site = quarters("replace", "energy", STEADY);
        assert_eq!(slices(&site), ["00 r0 placed", "15 r0 placed", "30 r0 placed"]);
        append(&site, row);
        let planned = export(&site, "--dry-run --json").exit(0).stdout;
        let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
        assert_eq!(planned["jobs"][0]["slices"].as_array().unwrap().len(), expect.len() - 3, "{planned}");
        assert_eq!(
            planned.to_string().contains("1 rows before it came late and change it"),
            expect.len() == 5
        );
        export(&site, "").exit(0);
        assert_eq!(slices(&site), expect, "{row}");
        export(&site, "").exit(0);
        assert_eq!(slices(&site), expect, "{row}");
        ledger(&site, "audit").exit(0);
        ledger(&site, "verify -q").exit(0).stdout("");
    }
}

/// A counter step is counted where it ends, so a row before the last reading of the slice before changes nothing.
#[test]
fn late_rows_before_a_slice_are_held_only_where_they_change_it() {
    let rows =
        "00:00 a 100 Wh actual\n 10:00 a 110 Wh actual\n 20:00 a 120 Wh actual\n 40:00 a 140 Wh actual";
    let site = quarters("hold", "delta", rows);
    append(&site, "05:00 a 104 Wh actual");
    let ended = export(&site, "").exit(0);
    assert_eq!(slices(&site), ["00 r0 placed", "00 r1 held", "15 r0 placed", "30 r0 placed"]);
    assert!(ended.stderr.contains("1 rows from 2026-03-01T00:00:00Z to"), "{}", ended.stderr);
    assert_eq!(ended.stderr.matches("are held").count(), 1, "{}", ended.stderr);
    // This one changes the second quarter too, and is not looked at twice.
    append(&site, "14:00 a 111 Wh actual");
    let ended = export(&site, "").exit(0);
    let reason = "1 rows from 2026-03-01T00:15:00Z to 2026-03-01T00:30:00Z are held: late rows before it; late = \"hold\"";
    assert!(ended.stderr.contains(reason), "{}", ended.stderr);
    let held = ["00 r0 placed", "00 r1 held", "15 r0 placed", "15 r1 held", "30 r0 placed"];
    assert_eq!(slices(&site), held);
    let ended = export(&site, "").exit(0);
    assert!(!ended.stderr.contains("held"), "{}", ended.stderr);
    ledger(&site, "release u").exit(0);
    export(&site, "").exit(0);
    assert_eq!(
        slices(&site),
        ["00 r0 superseded", "00 r1 placed", "15 r0 superseded", "15 r1 placed", "30 r0 placed"]
    );
    assert_eq!(site.read("out/u_20260301T001500Z_r1.csv"), "timestamp,a\n2026-03-01T00:15:00Z,9\n");
    ledger(&site, "audit").exit(0);
}

/// What a person passed over is nobody's business again, unless rows before it change it.
#[test]
fn late_rows_before_a_slice_that_was_dropped() {
    let site = quarters("hold", "energy", STEADY);
    append(&site, "22:00 a 500 W actual");
    export(&site, "").exit(0);
    ledger(&site, "release u --drop wrong").exit(0);
    append(&site, "05:00 a 90 W actual");
    export(&site, "").exit(0);
    let expect = ["00 r0 placed", "00 r1 held", "15 r0 placed", "15 r1 skipped", "30 r0 placed"];
    assert_eq!(slices(&site), expect);
    append(&site, "13:00 a 90 W actual");
    export(&site, "").exit(0);
    assert_eq!(slices(&site)[4], "15 r2 held");
    ledger(&site, "audit").exit(0);
}

/// A slice with a header only stays one, whatever comes before it.
#[test]
fn late_rows_before_an_empty_slice() {
    let job = format!("{ENERGY}breakup_on_period = true\nalways_export = true");
    let text = config(&job, "csv]", "out").replace("1h", "15m").replace("hold", "replace");
    let mut site = Site::new(&text);
    append(&site, "00:00 a 100 W actual");
    site.now("2026-03-01T00:30:00Z");
    export(&site, "").exit(0);
    append(&site, "14:00 a 200 W actual");
    export(&site, "").exit(0);
    assert_eq!(slices(&site), ["00 r0 superseded", "00 r1 placed", "15 r0 placed"]);
}

/// Without the readings before it a slice would come out as less, so it is never made again.
#[test]
fn a_slice_whose_lead_in_was_forced_away_is_not_made_again() {
    let site = quarters("replace", "energy", STEADY);
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run(log.to_str().unwrap(), "trim --before 2026-03-01T00:10:00Z --force").exit(0);
    append(&site, "29:00 a 400 W actual");
    let ended = export(&site, "").exit(0);
    assert!(
        ended.stderr.contains("no delta: filename has no {rev}, or rows are intervals"),
        "{}",
        ended.stderr
    );
    assert_eq!(
        slices(&site),
        ["00 r0 placed", "15 r0 placed", "15 r1 held", "30 r0 superseded", "30 r1 placed"]
    );
    ledger(&site, "audit").exit(0);
    let ended = export(&site, "u --from 2026-03-01T00:15:00Z --to 2026-03-01T00:30:00Z").exit(74);
    assert!(ended.stderr.contains("trimmed"), "{}", ended.stderr);
}

/// The ledger knows how many rows the points of the log make: a reading that is gone from under it is seen.
#[test]
fn the_audit_counts_intervals() {
    for (columns, format, point) in [
        ("", "jsonl]", "a"),
        ("", "csv]\nlayout = \"long\"", "b"),
        ("", "jsonl]", ""),
        // With a column for a point that has no row.
        ("columns = [\"a\", \"b\", \"c\", \"d\"]", "csv]", ""),
    ] {
        let site = site(&config(&format!("{ENERGY}{columns}"), format, "out"));
        append(&site, "46:00 c 1 W actual");
        export(&site, "").exit(0);
        ledger(&site, "audit").exit(0);
        let gone = format!("delete from sample where point = (select id from point where name = '{point}')");
        let done = Command::new("sqlite3").arg(site.file("ew.db")).arg(gone).status().unwrap();
        assert!(done.success());
        let ended = ledger(&site, "audit").exit(i32::from(!point.is_empty()));
        let says = ended.stdout.contains("was sent with 12 rows, and the log had 8");
        assert_eq!(says, !point.is_empty(), "{}", ended.stdout);
    }
}

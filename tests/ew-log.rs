//! `ew-log append slice points stats`: what goes into the log and what comes out of it.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)]

#[path = "support/ew.rs"]
mod ew;

use ew::{Ended, Site};
use serde_json::{Value, json};
use std::process::Output;

const EW_LOG: &str = env!("CARGO_BIN_EXE_ew-log");
const HEAD: &str = "timestamp,point,value\n";
const LONG: &str = "timestamp,point,value,unit,quality\n";

fn site() -> Site {
    Site::new("site = \"hq\"\n")
}

fn append(site: &Site, input: &str) -> Ended {
    site.run_with_input(EW_LOG, "append", input)
}

fn slice(site: &Site, arguments: &str) -> Ended {
    site.run(EW_LOG, &format!("slice {arguments}"))
}

fn all(site: &Site) -> String {
    slice(site, "--from first --to last").exit(0).stdout
}

fn json_of(ended: Ended) -> Value {
    serde_json::from_str(&ended.exit(0).stdout).unwrap()
}

fn rows(site: &Site) -> u64 {
    json_of(site.run(EW_LOG, "stats --json"))["rows"].as_u64().unwrap()
}

/// What an append without `-q` says at its end.
fn counts(appended: u64, skipped: u64, corrected: u64) -> String {
    format!("ew-log: {appended} appended, {skipped} equal ones skipped, {corrected} corrected\n")
}

// append

#[test]
fn csv_in_any_column_order() {
    let site = site();
    append(&site, "quality,value,unit,point,timestamp\nactual,12.5,W,a.b,2026-03-01T00:00:00Z\n")
        .exit(0)
        .stdout("")
        .stderr(&counts(1, 0, 0));
    append(&site, "value,timestamp,point\n-3,2026-03-01T00:00:01Z,a.b\n").exit(0);
    assert_eq!(
        all(&site),
        format!("{LONG}2026-03-01T00:00:00Z,a.b,12.5,W,actual\n2026-03-01T00:00:01Z,a.b,-3,,unknown\n")
    );
}

#[test]
fn csv_with_bom_crlf_and_quoted_names() {
    let site = site();
    let text = "\u{feff}timestamp,point,value,unit\r\n\
                2026-03-01T00:00:00Z,\"Küche, \"\"Süd\"\"\",1,W\r\n\
                2026-03-01T00:00:00Z,\"plain\",2,\"k,W\"\r\n";
    append(&site, text).exit(0).stderr(&counts(2, 0, 0));
    assert_eq!(
        all(&site),
        format!(
            "{LONG}2026-03-01T00:00:00Z,\"Küche, \"\"Süd\"\"\",1,W,unknown\n\
             2026-03-01T00:00:00Z,plain,2,\"k,W\",unknown\n"
        )
    );
}

#[test]
fn json_lines_after_a_bom() {
    let site = site();
    append(&site, "\u{feff}{\"timestamp\":1,\"point\":\"a\",\"value\":1}\r\n").exit(0);
    assert_eq!(rows(&site), 1);
}

#[test]
fn every_notation_of_time_is_kept_to_the_microsecond() {
    let site = site();
    let text = format!(
        "{HEAD}2026-03-01T01:00:00.25+01:00,a,1\n1772323201,a,2\n1772323202.000001,a,3\n\
         1772323203.1234567,a,4\n2026-02-28T19:00:04-05:00,a,5\n-1.5,a,6\n"
    );
    append(&site, &text).exit(0);
    let times: Vec<String> =
        all(&site).lines().skip(1).map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(
        times,
        [
            "1969-12-31T23:59:58.5Z",
            "2026-03-01T00:00:00.25Z",
            "2026-03-01T00:00:01Z",
            "2026-03-01T00:00:02.000001Z",
            "2026-03-01T00:00:03.123456Z",
            "2026-03-01T00:00:04Z",
        ]
    );
}

#[test]
fn an_empty_value_is_null_and_never_zero() {
    let site = site();
    let text = format!("{LONG}1,a,,W,\n1,b,0,W,\n1,c,,W,suspect\n1,d,5,,\n1,e,-0,,max\n");
    append(&site, &text).exit(0);
    assert_eq!(
        all(&site),
        format!(
            "{LONG}1970-01-01T00:00:01Z,a,,W,missing\n1970-01-01T00:00:01Z,b,0,W,unknown\n\
             1970-01-01T00:00:01Z,c,,W,suspect\n1970-01-01T00:00:01Z,d,5,,unknown\n\
             1970-01-01T00:00:01Z,e,0,,max\n"
        )
    );
}

#[test]
fn json_lines() {
    let site = site();
    let text = "{\"timestamp\":\"2026-03-01T00:00:00Z\",\"point\":\"a\",\"value\":1.5,\"unit\":\"W\",\"quality\":\"trusted\"}\n\
                \n{\"value\":null,\"point\":\"b\",\"timestamp\":1772323200.123456}\r\n\
                {\"timestamp\":1772323201,\"point\":\"c\",\"value\":-2,\"unit\":null,\"quality\":null}";
    append(&site, text).exit(0).stderr(&counts(3, 0, 0));
    assert_eq!(
        all(&site),
        format!(
            "{LONG}2026-03-01T00:00:00Z,a,1.5,W,trusted\n2026-03-01T00:00:00.123456Z,b,,,missing\n\
             2026-03-01T00:00:01Z,c,-2,,unknown\n"
        )
    );
}

#[test]
fn every_quality_is_kept() {
    let site = site();
    let qualities = ["trusted", "actual", "presumed", "unknown", "max", "partial", "missing", "suspect"];
    let lines: String = (0..).zip(qualities).map(|(n, quality)| format!("{n},a,,,{quality}\n")).collect();
    append(&site, &format!("{LONG}{lines}")).exit(0);
    let got: Vec<String> =
        all(&site).lines().skip(1).map(|line| line.rsplit(',').next().unwrap().to_owned()).collect();
    assert_eq!(got, qualities);
}

#[test]
fn from_a_file_from_stdin_and_from_a_pipe() {
    let site = site();
    site.write("readings.csv", &format!("{HEAD}1,file,1\n"));
    site.run(EW_LOG, "append readings.csv").exit(0).stderr(&counts(1, 0, 0));
    append(&site, &format!("{HEAD}1,stdin,1\n")).exit(0);
    site.run_with_input(EW_LOG, "append -", &format!("{HEAD}1,dash,1\n")).exit(0);
    let fifo = site.file("fifo");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let writer = std::thread::spawn(move || {
        use std::io::Write;
        let mut pipe = std::fs::OpenOptions::new().write(true).open(fifo).unwrap();
        pipe.write_all(HEAD.as_bytes()).unwrap();
        // A slow writer must not hold up the log's other writers.
        std::thread::sleep(std::time::Duration::from_millis(400));
        pipe.write_all(b"1,fifo,1\n").unwrap();
    });
    let waiting = site.spawn(EW_LOG, "append fifo");
    append(&site, &format!("{HEAD}2,meanwhile,1\n")).exit(0);
    let output = waiting.wait_with_output().unwrap();
    assert!(output.status.success(), "{output:?}");
    writer.join().unwrap();
    let points = json_of(site.run(EW_LOG, "points --json"));
    let names: Vec<&str> =
        points["points"].as_array().unwrap().iter().map(|p| p["point"].as_str().unwrap()).collect();
    assert_eq!(names, ["dash", "fifo", "file", "meanwhile", "stdin"]);
}

#[test]
fn a_header_alone_appends_nothing() {
    let site = site();
    append(&site, HEAD).exit(0).stderr(&counts(0, 0, 0));
    assert_eq!(rows(&site), 0);
}

/// The bad row, 65 and nothing appended, with a good row before and after it.
#[track_caller]
fn bad_row(input: &str, place: &str, reason: &str) {
    let site = site();
    append(&site, &format!("{HEAD}100,kept,1\n")).exit(0);
    let ended = append(&site, input).exit(65).stdout("");
    let expect = format!("ew-log: stdin: {place}: {reason}");
    assert!(ended.stderr.starts_with(&expect), "expected {expect}\ngot {}", ended.stderr);
    assert!(ended.stderr.contains("nothing was appended"), "{}", ended.stderr);
    assert_eq!(rows(&site), 1);
    let points = json_of(site.run(EW_LOG, "points --json"));
    assert_eq!(points["points"].as_array().unwrap().len(), 1, "{points}");
}

#[test]
fn all_or_nothing_naming_the_first_bad_row() {
    for (row, reason) in [
        ("2,a,x", "the value \"x\" is not a number"),
        ("2,a,NaN", "the value is not a finite number"),
        ("2,a,1e999", "the value is not a finite number"),
        ("2,a,\"1,5\"", "the value \"1,5\" is not a number"),
        ("2,,1", "a point needs a name"),
        ("yesterday,a,1", "\"yesterday\" is neither RFC 3339"),
        ("2026-03-01T00:00:00,a,1", "\"2026-03-01T00:00:00\" is neither RFC 3339"),
        (",a,1", "\"\" is neither RFC 3339"),
        (
            "9999-12-31T23:59:59Z,a,1",
            "\"9999-12-31T23:59:59Z\" is outside of what is kept, 0001-01-01T00:00:00Z to 9999-12-30T00:00:00Z",
        ),
        ("2,a", "the row has 2 fields, the header 3"),
        ("2,a,1,W", "the row has 4 fields, the header 3"),
        ("2,\"a\tb\",1", "the point name \"a\\tb\" holds a control character"),
    ] {
        bad_row(&format!("{HEAD}1,a,1\n{row}\n3,a,y\n"), "line 3", reason);
    }
    let long = "x".repeat(256);
    bad_row(&format!("{HEAD}1,{long},1\n"), "line 2", "the point name is 256 bytes long");
    bad_row(&format!("{LONG}1,a,1,W,good\n"), "line 2", "\"good\" is not a quality");
    let unit = "u".repeat(33);
    bad_row(&format!("{LONG}1,a,1,{unit},\n"), "line 2", "the unit");
}

#[test]
fn a_bad_header_is_named() {
    bad_row("timestamp,value\n1,1\n", "line 1", "the header has no column \"point\"");
    bad_row("timestamp,point,value,colour\n", "line 1", "the header has a column \"colour\"");
    bad_row("timestamp,point,value,point\n", "line 1", "the header has the column \"point\" twice");
    bad_row("timestamp;point;value\n1;a;1\n", "line 1", "the header has a column");
}

#[test]
fn a_bad_json_line_is_named() {
    let good = "{\"timestamp\":1,\"point\":\"a\",\"value\":1}\n";
    for (line, reason) in [
        ("{\"point\":\"a\",\"value\":1}", "missing field `timestamp`"),
        ("{\"timestamp\":2,\"value\":1}", "missing field `point`"),
        ("{\"timestamp\":2,\"point\":\"a\",\"value\":\"1\"}", ""),
        ("{\"timestamp\":2,\"point\":\"a\",\"value\":1,\"colour\":1}", "unknown field `colour`"),
        ("{\"timestamp\":2,\"point\":\"a\"", ""),
        ("{\"timestamp\":2,\"point\":\"a\",\"value\":1e999}", ""),
        ("[2,\"a\",1]", ""),
        ("2,a,1", ""),
    ] {
        bad_row(&format!("{good}\n{line}\n"), "line 3", reason);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_named() {
    use std::io::Write;
    let site = site();
    let mut command = site.command(EW_LOG, "append");
    command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let input = b"timestamp,point,value\n1,a,1\n2,K\xfcche,1\n";
    child.stdin.take().unwrap().write_all(input).unwrap();
    let Output { status, stderr, .. } = child.wait_with_output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert_eq!(status.code(), Some(65), "{stderr}");
    assert!(stderr.starts_with("ew-log: stdin: line 3: the line is not UTF-8\n"), "{stderr}");
    assert_eq!(rows(&site), 0);
}

/// The line is the line of the file, as an editor counts.
#[test]
fn the_line_is_right_with_crlf() {
    bad_row("timestamp,point,value\r\n1,a,1\r\n2,a,x\r\n", "line 3", "the value \"x\"");
}

#[test]
fn the_line_is_right_after_blank_lines() {
    bad_row(&format!("{HEAD}1,a,1\n\n\n2,a,x\n"), "line 5", "the value \"x\"");
}

#[test]
fn the_line_of_a_row_that_differs_is_right() {
    for (end, blank) in [("\n", ""), ("\r\n", ""), ("\n", "\n")] {
        let site = site();
        append(&site, &format!("{HEAD}2,a,1\n")).exit(0);
        let line = if blank.is_empty() { 3 } else { 4 };
        let input = format!("timestamp,point,value{end}1,a,1{end}{blank}2,a,5{end}");
        let ended = append(&site, &input).exit(65);
        let expect = format!(
            "ew-log: stdin: line {line}: the log holds a at 1970-01-01T00:00:02Z as 1 unknown, not 5 unknown\n"
        );
        assert!(ended.stderr.starts_with(&expect), "{input:?}\n{}", ended.stderr);
        assert_eq!(rows(&site), 1);
    }
}

#[test]
fn the_file_is_named() {
    let site = site();
    site.write("march.csv", &format!("{HEAD}1,a,x\n"));
    let ended = site.run(EW_LOG, "append march.csv").exit(65);
    assert!(ended.stderr.starts_with("ew-log: march.csv: line 2: "), "{}", ended.stderr);
    let ended = site.run(EW_LOG, "append april.csv").exit(74);
    assert!(ended.stderr.starts_with("ew-log: cannot read april.csv: "), "{}", ended.stderr);
    site.run(EW_LOG, "append .").exit(74);
}

#[test]
fn the_same_rows_again_are_skipped_and_counted() {
    let site = site();
    let text = format!("{LONG}1,a,1,W,actual\n1,b,,W,\n2,a,2.5,W,actual\n");
    append(&site, &text).exit(0).stderr(&counts(3, 0, 0));
    let before = all(&site);
    append(&site, &text).exit(0).stderr(&counts(0, 3, 0));
    append(&site, &format!("{text}3,a,1,W,actual\n3,a,1,W,actual\n")).exit(0).stderr(&counts(1, 4, 0));
    assert_eq!(all(&site), format!("{before}1970-01-01T00:00:03Z,a,1,W,actual\n"));
}

#[test]
fn a_row_that_differs_is_refused_or_with_replace_a_correction() {
    for (held, new) in [
        ("5,W,actual", "6,W,actual"),
        ("5,W,actual", "5,kW,actual"),
        ("5,W,actual", "5,W,presumed"),
        ("5,W,actual", ",W,missing"),
        (",W,missing", "0,W,actual"),
    ] {
        let site = site();
        append(&site, &format!("{LONG}1,a,{held}\n")).exit(0);
        let input = format!("{LONG}0,a,1,W,actual\n1,a,{new}\n2,a,1,W,actual\n");
        let ended = append(&site, &input).exit(65);
        assert!(ended.stderr.starts_with("ew-log: stdin: line 3: the log holds a at "), "{}", ended.stderr);
        assert!(ended.stderr.contains("--replace"), "{}", ended.stderr);
        assert_eq!(all(&site), format!("{LONG}1970-01-01T00:00:01Z,a,{held}\n"));
        site.run_with_input(EW_LOG, "append --replace", &input).exit(0).stderr(&counts(2, 0, 1));
        assert!(all(&site).contains(&format!("\n1970-01-01T00:00:01Z,a,{new}\n")), "{}", all(&site));
        assert_eq!(rows(&site), 3);
        // The same again is equal now.
        append(&site, &input).exit(0).stderr(&counts(0, 3, 0));
    }
}

/// "a correction (a new seq; the old value stays in history)".
#[test]
fn a_correction_keeps_the_old_value_and_takes_a_new_seq() {
    let site = site();
    append(&site, &format!("{HEAD}1,a,5\n2,a,6\n")).exit(0);
    site.run_with_input(EW_LOG, "append --replace", &format!("{HEAD}1,a,7\n")).exit(0);
    site.run_with_input(EW_LOG, "append --replace", &format!("{HEAD}1,a,8\n")).exit(0);
    append(&site, &format!("{HEAD}0,a,1\n")).exit(0);
    let log = rusqlite::Connection::open(site.file("ew.db")).unwrap();
    let list = |sql: &str| -> Vec<(i64, f64)> {
        let mut statement = log.prepare(sql).unwrap();
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        rows.map(Result::unwrap).collect()
    };
    assert_eq!(list("select seq, value from sample order by time"), [(5, 1.0), (4, 8.0), (2, 6.0)]);
    assert_eq!(list("select seq, value from correction order by seq"), [(1, 5.0), (3, 7.0)]);
}

#[test]
fn a_difference_within_one_file_is_named() {
    let says = "a at 1970-01-01T00:00:01Z stands twice, as 1 unknown and now as 2 unknown (first on line 4)";
    bad_row(&format!("{HEAD}1,b,1\n\n1,a,1\n2,a,1\n1,a,2\n"), "line 6", says);
    let site = site();
    site.write("rows.csv", &format!("{HEAD}1,a,1\n1,a,2\n"));
    let ended = site.run(EW_LOG, "append rows.csv").exit(65);
    assert!(
        ended.stderr.starts_with("ew-log: rows.csv: line 3: a at ")
            && ended.stderr.contains("(first on line 2)")
    );
    assert!(!ended.stderr.contains("--replace"), "{}", ended.stderr);
}

/// What differs must be told: here it is not the value.
#[test]
fn a_row_that_differs_in_unit_or_quality_says_so() {
    for (held, new, words) in
        [("5,W,actual", "5,kW,actual", ["W", "kW"]), ("5,W,actual", "5,W,max", ["actual", "max"])]
    {
        let site = site();
        append(&site, &format!("{LONG}1,a,{held}\n")).exit(0);
        let ended = append(&site, &format!("{LONG}1,a,{new}\n")).exit(65);
        let message = ended.stderr.lines().next().unwrap();
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
    }
}

#[test]
fn older_times_are_welcome() {
    let site = site();
    append(&site, &format!("{HEAD}1000000000,a,1\n")).exit(0);
    append(&site, &format!("{HEAD}1000,a,2\n-1000,a,3\n2000000000,a,4\n")).exit(0).stderr(&counts(3, 0, 0));
    let stats = json_of(site.run(EW_LOG, "stats --json"));
    assert_eq!(stats["first"], "1969-12-31T23:43:20Z");
    assert_eq!(stats["last"], "2033-05-18T03:33:20Z");
}

#[test]
fn json_counts() {
    let site = site();
    let text = format!("{HEAD}1,a,1\n2,a,1\n");
    let ended = site.run_with_input(EW_LOG, "append --json", &text);
    assert_eq!(json_of(ended), json!({ "appended": 2, "skipped": 0, "corrected": 0 }));
    let ended =
        site.run_with_input(EW_LOG, "append --json --replace", &format!("{HEAD}1,a,1\n2,a,5\n3,a,1\n"));
    assert_eq!(json_of(ended), json!({ "appended": 1, "skipped": 1, "corrected": 1 }));
    site.run_with_input(EW_LOG, "append --json", "nonsense\n").exit(65).stdout("");
}

// slice

fn quarters() -> Site {
    let site = site();
    let text = "timestamp,point,value,unit,quality\n\
                2026-03-01T00:30:00Z,b,3,W,actual\n2026-03-01T00:00:00Z,b,1,W,actual\n\
                2026-03-01T00:15:00Z,a,,W,missing\n2026-03-01T00:00:00Z,a,0.5,W,actual\n\
                2026-03-01T00:15:00Z,B,7,,max\n";
    append(&site, text).exit(0);
    site
}

#[test]
fn rows_come_by_time_and_then_by_name_whatever_the_order_of_insertion() {
    let site = quarters();
    let expect = format!(
        "{LONG}2026-03-01T00:00:00Z,a,0.5,W,actual\n2026-03-01T00:00:00Z,b,1,W,actual\n\
         2026-03-01T00:15:00Z,B,7,,max\n2026-03-01T00:15:00Z,a,,W,missing\n\
         2026-03-01T00:30:00Z,b,3,W,actual\n"
    );
    assert_eq!(all(&site), expect);
    // A point that is older in the log but later by name, and one that is new but first by name.
    append(&site, &format!("{HEAD}2026-03-01T00:00:00Z,A,1\n")).exit(0);
    let names: Vec<String> =
        all(&site).lines().skip(1).map(|line| line.split(',').nth(1).unwrap().to_owned()).collect();
    assert_eq!(names, ["A", "a", "b", "B", "a", "b"]);
}

#[test]
fn the_window_is_half_open() {
    let site = quarters();
    let times = |arguments: &str| -> Vec<String> {
        let ended = slice(&site, arguments).exit(0);
        let mut times: Vec<String> =
            ended.stdout.lines().skip(1).map(|line| line[11..16].to_owned()).collect();
        times.dedup();
        times
    };
    assert_eq!(times("--from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z"), ["00:00"]);
    assert_eq!(times("--from 2026-03-01T00:15:00Z --to 2026-03-01T00:30:00Z"), ["00:15"]);
    assert_eq!(
        times("--from 2026-03-01T00:00:00.000001Z --to 2026-03-01T00:30:00.000001Z"),
        ["00:15", "00:30"]
    );
}

#[test]
fn every_form_of_time() {
    let mut site = site();
    // The last one a microsecond before now.
    let text = format!(
        "{HEAD}2026-07-01T10:00:00Z,a,1\n2026-07-01T11:00:00Z,a,2\n2026-07-01T11:59:59.75Z,a,3\n\
         2026-07-01T11:59:59.999999Z,a,4\n2026-07-01T12:00:00.500001Z,a,5\n"
    );
    append(&site, &text).exit(0);
    site.now("2026-07-01T12:00:00.500001Z");
    let values = |from: &str, to: &str, zone: &str| -> String {
        let mut command = site.command(EW_LOG, "slice");
        let from = format!("--from={from}");
        let output = command.args([&from, "--to", to, "--zone", zone]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let values: Vec<&str> = text.lines().skip(1).map(|line| line.split(',').nth(2).unwrap()).collect();
        format!("{} {}", output.status.code().unwrap(), values.join(""))
    };
    for (from, to, zone, expect) in [
        ("2026-07-01T10:00:00Z", "2026-07-01T11:00:00Z", "UTC", "0 1"),
        ("2026-07-01T12:00:00+02:00", "2026-07-01T13:00:00+02:00", "UTC", "0 1"),
        ("1782903600", "1782907199.8", "UTC", "0 23"),
        ("-1", "1782900000.000001", "UTC", "0 1"),
        ("2026-07-01", "2026-07-02", "UTC", "0 12345"),
        ("2026-07-01T12:00", "2026-07-01T13:00:00.5", "Europe/Zurich", "0 12"),
        ("2026-07-01 12:00:00", "2026-07-01 13:59:59.8", "Europe/Zurich", "0 123"),
        ("2026-07-02", "2026-07-03", "Pacific/Kiritimati", "0 12345"),
        ("first", "last", "UTC", "0 12345"),
        // Now is not cut to the second, and the window is half open.
        ("first", "now", "UTC", "0 1234"),
        ("now", "last", "UTC", "0 5"),
        ("now-2h", "now-1s", "UTC", "0 2"),
        ("now-2h 1s", "now-1s", "UTC", "0 12"),
        ("now-750001us", "now", "UTC", "0 34"),
    ] {
        assert_eq!(values(from, to, zone), expect, "{from} to {to} in {zone}");
    }
}

/// 2026-03-29 has 23 hours in Zurich, 2026-10-25 has 25.
#[test]
fn local_days_have_the_hours_that_they_have() {
    let site = site();
    let hours = |first: i64| -> String { (0..72).map(|h| format!("{},a,{h}\n", first + h * 3600)).collect() };
    append(&site, &format!("{HEAD}{}{}", hours(1_774_656_000), hours(1_792_800_000))).exit(0);
    let spring = slice(&site, "--from 2026-03-29 --to 2026-03-30 --zone Europe/Zurich").exit(0).stdout;
    assert_eq!(spring.lines().count(), 1 + 23);
    assert!(
        spring.contains("\n2026-03-29T00:00:00+01:00,") && spring.contains("\n2026-03-29T23:00:00+02:00,")
    );
    assert!(
        spring.contains("\n2026-03-29T01:00:00+01:00,") && spring.contains("\n2026-03-29T03:00:00+02:00,")
    );
    let autumn = slice(&site, "--from 2026-10-25 --to 2026-10-26 --zone Europe/Zurich").exit(0).stdout;
    assert_eq!(autumn.lines().count(), 1 + 25);
    assert!(
        autumn.contains("\n2026-10-25T02:00:00+02:00,") && autumn.contains("\n2026-10-25T02:00:00+01:00,")
    );
}

#[test]
fn swapped_bounds_are_a_wrong_command_line() {
    let site = quarters();
    slice(&site, "--from 2026-03-02 --to 2026-03-01").exit(2).stdout("");
    slice(&site, "--from last --to first").exit(2).stdout("");
    for arguments in [
        "",
        "--from first",
        "--to last",
        "--from yesterday --to now",
        "--from now-2months --to now",
        "--from first --to last --zone Europe/Zuerich",
        "--from first --to last --point a..b",
        "--from first --to last --layout tall",
        "--from first --to last --format parquet",
        "--from first --to last --format jsonl --layout wide",
    ] {
        let ended = slice(&site, arguments).exit(2).stdout("");
        assert!(!ended.stderr.is_empty());
    }
}

#[test]
fn an_empty_window_is_66_with_nothing_on_stdout() {
    let site = quarters();
    for arguments in [
        "--from 2026-04-01 --to 2026-05-01",
        "--from 2026-03-01 --to 2026-03-01",
        "--from 2026-03-01T00:00:01Z --to 2026-03-01T00:15:00Z",
        "--from first --to last --point c",
        "--from first --to last --point a.*",
        "--from 2026-04-01 --to 2026-05-01 --layout wide",
        "--from 2026-04-01 --to 2026-05-01 --format xml",
        "--from 2026-04-01 --to 2026-05-01 --format jsonl",
    ] {
        let ended = slice(&site, arguments).exit(66).stdout("");
        assert!(ended.stderr.starts_with("ew-log: "), "{}", ended.stderr);
    }
    let empty = Site::new("");
    slice(&empty, "--from first --to last").exit(66).stdout("");
    slice(&empty, "--from 2026-03-01 --to now").exit(66).stdout("");
}

#[test]
fn wide_has_one_row_per_time_and_a_column_per_point_with_a_row() {
    let site = quarters();
    slice(&site, "--from first --to last --layout wide").exit(0).stderr("").stdout(
        "timestamp,B,a,b\n2026-03-01T00:00:00Z,,0.5,1\n2026-03-01T00:15:00Z,7,,\n\
         2026-03-01T00:30:00Z,,,3\n",
    );
    slice(&site, "--from 2026-03-01T00:30:00Z --to last --layout wide")
        .exit(0)
        .stdout("timestamp,b\n2026-03-01T00:30:00Z,3\n");
    // A null counts as a row.
    slice(&site, "--from first --to last --layout wide --point a")
        .exit(0)
        .stdout("timestamp,a\n2026-03-01T00:00:00Z,0.5\n2026-03-01T00:15:00Z,\n");
}

#[test]
fn xml_has_an_entry_per_time_without_nulls() {
    let site = quarters();
    let ended = slice(&site, "--from first --to 2026-03-01T00:30:00Z --format xml").exit(0);
    assert!(ended.stdout.starts_with("<?xml "), "{}", ended.stdout);
    let entry = "<entry timestamp=\"2026-03-01T00:00:00Z\"><value name=\"a\">0.5</value><value name=\"b\">1</value></entry>";
    let flat: String = ended.stdout.lines().map(str::trim).collect();
    assert!(flat.contains(entry), "{flat}");
    assert!(
        flat.contains("<entry timestamp=\"2026-03-01T00:15:00Z\"><value name=\"B\">7</value></entry>"),
        "{flat}"
    );
    assert!(flat.ends_with("</data>"), "{flat}");
}

#[test]
fn jsonl_has_an_object_per_row() {
    let site = quarters();
    slice(&site, "--from 2026-03-01T00:15:00Z --to 2026-03-01T00:30:00Z --format jsonl --zone Europe/Zurich")
        .exit(0)
        .stdout(
            "{\"timestamp\":\"2026-03-01T01:15:00+01:00\",\"point\":\"B\",\"value\":7,\"unit\":\"\",\"quality\":\"max\"}\n\
             {\"timestamp\":\"2026-03-01T01:15:00+01:00\",\"point\":\"a\",\"value\":null,\"unit\":\"W\",\"quality\":\"missing\"}\n",
        );
}

#[test]
fn globs_choose_points() {
    let site = site();
    let names = [
        "com",
        "com.example",
        "com.example.hq",
        "com.example.hq.sw1",
        "com.example.hq.sw2",
        "org.example.hq",
    ];
    let lines: String = names.iter().map(|name| format!("1,{name},1\n")).collect();
    append(&site, &format!("{HEAD}{lines}")).exit(0);
    for (globs, expect) in [
        ("--point com.example.hq", "2"),
        ("--point com.*", "1"),
        ("--point com.**", "1234"),
        ("--point **", "012345"),
        ("--point *", "0"),
        ("--point **.hq", "25"),
        ("--point com.example.hq.sw*", "34"),
        ("--point *.example.*", "25"),
        ("--point com --point **.sw2", "04"),
        ("--point com.example.HQ --point com", "0"),
    ] {
        let ended = slice(&site, &format!("--from first --to last {globs}")).exit(0);
        let got: String = ended
            .stdout
            .lines()
            .skip(1)
            .map(|line| {
                names.iter().position(|name| *name == line.split(',').nth(1).unwrap()).unwrap().to_string()
            })
            .collect();
        assert_eq!(got, expect, "{globs}");
    }
}

/// `first` and `last` are those of the points chosen.
#[test]
fn first_and_last_without_any_row_chosen_are_66() {
    let site = quarters();
    slice(&site, "--from first --to last --point b").exit(0);
    slice(&site, "--from first --to 2026-03-02 --point c").exit(66).stdout("");
}

#[test]
fn what_slice_prints_can_be_appended_and_printed_again() {
    let one = site();
    let text = "timestamp,point,value,unit,quality\n\
                2026-03-01T00:00:00Z,a,0.1,W,actual\n2026-03-01T00:00:00.000001Z,a,-1e-7,W,trusted\n\
                2026-03-01T00:00:00Z,\"b, \"\"c\"\"\",,kW,missing\n2026-03-01T00:00:01Z,ü.ö,,,suspect\n\
                2026-03-01T00:00:02.5Z,a,0.30000000000000004,W,presumed\n\
                2026-03-01T00:00:03Z,a,1e21,\"m³, norm\",max\n2026-03-01T00:00:04Z,a,5e-324,W,partial\n\
                2026-03-01T00:00:05Z,a,1.7976931348623157e308,W,unknown\n2026-03-01T00:00:06Z,a,7,W,missing\n\
                2026-03-01T00:00:07Z, padded ,1,,actual\n2026-03-01T00:00:08Z,=1+1,1,°C,actual\n";
    append(&one, text).exit(0).stderr(&counts(11, 0, 0));
    let long = all(&one);
    for (format, zone) in
        [("csv", "UTC"), ("csv", "America/St_Johns"), ("jsonl", "UTC"), ("jsonl", "Asia/Kolkata")]
    {
        let printed =
            slice(&one, &format!("--from first --to last --format {format} --zone {zone}")).exit(0).stdout;
        let two = site();
        append(&two, &printed).exit(0).stderr(&counts(11, 0, 0));
        assert_eq!(all(&two), long, "{format} {zone}");
        append(&one, &printed).exit(0).stderr(&counts(0, 11, 0));
    }
}

// points, stats

#[test]
fn points_in_text_and_json() {
    let site = quarters();
    site.run(EW_LOG, "points").exit(0).stderr("").stdout(
        "POINT  UNIT  ROWS  FIRST                 LAST\n\
         B            1     2026-03-01T00:15:00Z  2026-03-01T00:15:00Z\n\
         a      W     2     2026-03-01T00:00:00Z  2026-03-01T00:15:00Z\n\
         b      W     2     2026-03-01T00:00:00Z  2026-03-01T00:30:00Z\n",
    );
    let one = |point, unit, rows, first, last| json!({ "point": point, "unit": unit, "rows": rows, "first": first, "last": last });
    let (t0, t1, t2) = ("2026-03-01T00:00:00Z", "2026-03-01T00:15:00Z", "2026-03-01T00:30:00Z");
    assert_eq!(
        json_of(site.run(EW_LOG, "points --json")),
        json!({ "points": [one("B", "", 1, t1, t1), one("a", "W", 2, t0, t1), one("b", "W", 2, t0, t2)] })
    );
    assert_eq!(
        json_of(site.run(EW_LOG, "points b c --json")),
        json!({ "points": [one("b", "W", 2, t0, t2)] })
    );
    site.run(EW_LOG, "points a..b").exit(2);
    assert_eq!(json_of(Site::new("").run(EW_LOG, "points --json")), json!({ "points": [] }));
}

#[test]
fn stats_in_text_and_json() {
    let site = quarters();
    append(&site, &format!("{HEAD}2026-03-01T02:00:00Z,b,1\n")).exit(0);
    let stats = json_of(site.run(EW_LOG, "stats --json"));
    let size = stats["size"].as_u64().unwrap();
    assert!(size >= 4096, "{stats}");
    assert_eq!(
        stats,
        json!({
            "rows": 6, "points": 3, "first": "2026-03-01T00:00:00Z", "last": "2026-03-01T02:00:00Z",
            "size": size, "gaps": 1,
            "longest_gaps": [{ "from": "2026-03-01T00:30:00Z", "to": "2026-03-01T02:00:00Z", "seconds": 5400 }],
        })
    );
    site.run(EW_LOG, "stats").exit(0).stderr("").stdout(&format!(
        "rows    6\npoints  3\nfirst   2026-03-01T00:00:00Z\nlast    2026-03-01T02:00:00Z\n\
         size    {size} bytes\ngaps    1 longer than 15m\n        \
         2026-03-01T00:30:00Z to 2026-03-01T02:00:00Z (1h 30m)\n"
    ));
    let gaps = |arguments: &str| json_of(site.run(EW_LOG, arguments))["gaps"].clone();
    assert_eq!(gaps("stats --json --gap 14m"), 3);
    assert_eq!(gaps("stats --json --gap 90m"), 0);
    site.run(EW_LOG, "stats --gap 1month").exit(2);
}

#[test]
fn stats_of_an_empty_log() {
    let site = site();
    let stats = json_of(site.run(EW_LOG, "stats --json"));
    assert_eq!((&stats["rows"], &stats["points"], &stats["gaps"]), (&json!(0), &json!(0), &json!(0)));
    assert_eq!((&stats["first"], &stats["last"]), (&Value::Null, &Value::Null));
    let ended = site.run(EW_LOG, "stats").exit(0);
    assert!(ended.stdout.starts_with("rows    0\npoints  0\n"), "{}", ended.stdout);
}

// A log that cannot be used.

const COMMANDS: [&str; 4] = ["append readings.csv", "slice --from first --to last", "points", "stats"];

/// Every command ends with 74, prints no data and names the log; the file stays as it is.
#[track_caller]
fn refused_and_unchanged(site: &Site, log: &str, word: &str) {
    site.write("readings.csv", &format!("{HEAD}9,new,1\n"));
    let before = std::fs::read(site.file(log)).unwrap();
    for command in COMMANDS {
        let ended = site.run(EW_LOG, command).exit(74).stdout("");
        assert!(ended.stderr.contains(log), "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{command}: {}", ended.stderr);
        assert!(std::fs::read(site.file(log)).unwrap() == before, "{command} changed {log}");
    }
}

#[test]
fn a_log_of_a_later_schema_is_refused_and_left_alone() {
    let site = quarters();
    let log = rusqlite::Connection::open(site.file("ew.db")).unwrap();
    let known: i64 = log.query_row("pragma user_version", [], |row| row.get(0)).unwrap();
    log.pragma_update(None, "user_version", 99).unwrap();
    drop(log);
    refused_and_unchanged(&site, "ew.db", "has schema 99");
    let log = rusqlite::Connection::open(site.file("ew.db")).unwrap();
    log.pragma_update(None, "user_version", known).unwrap();
    drop(log);
    assert_eq!(rows(&site), 5);
}

#[test]
fn a_file_that_is_no_log_is_refused_and_left_alone() {
    let site = site();
    site.write("ew.db", &"timestamp,point,value\n".repeat(200));
    refused_and_unchanged(&site, "ew.db", "the file is not an ew log");
}

#[test]
fn a_damaged_log_is_74() {
    let site = site();
    let lines: String = (0..5000).map(|n| format!("{n},some.rather.long.name.{},{n}\n", n % 7)).collect();
    append(&site, &format!("{HEAD}{lines}")).exit(0);
    let mut bytes = std::fs::read(site.file("ew.db")).unwrap();
    assert!(bytes.len() > 50_000);
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(site.file("ew.db"), &bytes).unwrap();
    for command in ["slice --from first --to last", "points", "stats"] {
        let ended = site.run(EW_LOG, command).exit(74);
        assert!(ended.stderr.contains("the log is damaged"), "{command}: {}", ended.stderr);
    }
}

#[test]
fn a_log_in_a_missing_folder_is_74() {
    let site = Site::new("[log]\nurl = \"no/such/ew.db\"\n");
    site.write("readings.csv", &format!("{HEAD}1,a,1\n"));
    for command in COMMANDS {
        let ended = site.run(EW_LOG, command).exit(74).stdout("");
        assert!(ended.stderr.contains("no/such/ew.db"), "{command}: {}", ended.stderr);
        assert!(ended.stderr.contains("folder must exist"), "{command}: {}", ended.stderr);
    }
    assert_eq!(site.names("."), ["ew.toml", "readings.csv"]);
}

// Several at once.

/// "a writer waits up to 30 s for it"; readers do not wait at all.
#[test]
fn a_writer_waits_for_another_one_and_a_reader_does_not() {
    use std::time::{Duration, Instant};
    let site = quarters();
    let other = rusqlite::Connection::open(site.file("ew.db")).unwrap();
    other.execute_batch("begin immediate; insert into unit (name) values ('x')").unwrap();
    let started = Instant::now();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| append(&site, &format!("{HEAD}1,a,1\n")));
        for command in ["slice --from first --to last", "points", "stats"] {
            site.run(EW_LOG, command).exit(0);
        }
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(rows(&site), 5);
        other.execute_batch("rollback").unwrap();
        writer.join().unwrap().exit(0);
    });
    assert!(started.elapsed() < Duration::from_secs(20));
    assert_eq!(rows(&site), 6);
}

#[test]
fn two_at_once_and_a_reader_lose_nothing() {
    const ROUNDS: i64 = 12;
    const EACH: i64 = 40;
    let site = site();
    // Rows of its own for each writer, and some that both bring.
    let batch = |writer: i64, round: i64| -> String {
        let own = (0..EACH).map(|n| format!("{},w{writer},{n}\n", round * EACH + n));
        let both = (0..EACH).map(|n| format!("{},both,{n}\n", round * EACH + n));
        HEAD.to_owned() + &own.collect::<String>() + &both.collect::<String>()
    };
    let (mut appended, mut skipped) = (0, 0);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..2)
            .map(|writer| {
                let (site, batch) = (&site, &batch);
                scope.spawn(move || {
                    let (mut appended, mut skipped) = (0, 0);
                    for round in 0..ROUNDS {
                        let ended = site.run_with_input(EW_LOG, "append --json", &batch(writer, round));
                        let counts = json_of(ended);
                        appended += counts["appended"].as_i64().unwrap();
                        skipped += counts["skipped"].as_i64().unwrap();
                    }
                    (appended, skipped)
                })
            })
            .collect();
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < 3 * ROUNDS * EACH {
                let ended = slice(&site, "--from 0 --to now");
                assert!([0, 66].contains(&ended.code), "{}", ended.stderr);
                let rows = ended.stdout.lines().count().saturating_sub(1) as i64;
                // Whole batches only, and never fewer than before.
                assert_eq!(rows % EACH, 0);
                assert!(rows >= last);
                last = rows;
                if std::thread::panicking() {
                    return;
                }
            }
        });
        for writer in writers {
            let (a, s) = writer.join().unwrap();
            (appended, skipped) = (appended + a, skipped + s);
        }
        reader.join().unwrap();
    });
    assert_eq!((appended, skipped), (3 * ROUNDS * EACH, ROUNDS * EACH));
    assert_eq!(rows(&site) as i64, 3 * ROUNDS * EACH);
    let log = rusqlite::Connection::open(site.file("ew.db")).unwrap();
    let distinct: i64 =
        log.query_row("select count(distinct seq) from sample", [], |row| row.get(0)).unwrap();
    assert_eq!(distinct, 3 * ROUNDS * EACH);
}

#[test]
fn check_and_backup_and_restore() {
    let site = site();
    append(&site, &format!("{HEAD}1,a,1\n2,a,2\n")).exit(0);
    site.run(EW_LOG, "check").exit(0).stdout("").stderr("ew-log: ./ew.db is whole\n");
    let report = json_of(site.run(EW_LOG, "backup copy.db --json"));
    assert_eq!(report["bytes"], std::fs::metadata(site.file("copy.db")).unwrap().len());
    append(&site, &format!("{HEAD}3,a,3\n")).exit(0);
    // Pages overwritten in the middle of the file are found, and the backup brings the log back.
    for name in ["ew.db-wal", "ew.db-shm"] {
        let _ = std::fs::remove_file(site.file(name));
    }
    let mut bytes = std::fs::read(site.file("copy.db")).unwrap();
    let len = bytes.len();
    bytes[len / 2..len / 2 + 4096].fill(0x55);
    std::fs::write(site.file("ew.db"), bytes).unwrap();
    let ended = site.run(EW_LOG, "check --json").exit(74);
    assert!(ended.stderr.contains("damaged"), "{}", ended.stderr);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(report["whole"], false);
    assert!(!report["faults"].as_array().unwrap().is_empty(), "{report}");
    std::fs::copy(site.file("copy.db"), site.file("ew.db")).unwrap();
    for name in ["ew.db-wal", "ew.db-shm"] {
        let _ = std::fs::remove_file(site.file(name));
    }
    site.run(EW_LOG, "-q check").exit(0).stderr("");
    assert_eq!(rows(&site), 2);
    // A backup over an older one; into a folder that is not there.
    site.run(EW_LOG, "backup copy.db").exit(0);
    site.run(EW_LOG, "backup no/such/copy.db").exit(74);
    site.run(EW_LOG, "backup ./ew.db").exit(2);
    site.run(EW_LOG, "backup .").exit(74);
    assert!(!site.file("..part").exists());
}

/// A backup taken while others append is one moment of the log.
#[test]
fn backup_while_others_write() {
    let site = site();
    append(&site, &format!("{HEAD}0,w,0\n")).exit(0);
    let mut writers: Vec<_> = (0..3)
        .map(|writer| {
            let text: String = (0..20_000).map(|n| format!("{n},w{writer},{n}\n")).collect();
            site.write(&format!("{writer}.csv"), &format!("{HEAD}{text}"));
            site.spawn(EW_LOG, &format!("append {writer}.csv"))
        })
        .collect();
    for copy in 0..4 {
        site.run(EW_LOG, &format!("-q backup {copy}.db")).exit(0).stderr("");
        let other = Site::new(&format!("[log]\nurl = {:?}\n", site.file(&format!("{copy}.db"))));
        other.run(EW_LOG, "-q check").exit(0);
        // Each append is one transaction: all of it is in the copy, or nothing.
        let stats = json_of(other.run(EW_LOG, "stats --json"));
        assert_eq!(stats["rows"].as_u64().unwrap() % 20_000, 1, "{stats}");
    }
    assert!(writers.iter_mut().all(|writer| writer.wait().unwrap().success()));
    assert_eq!(rows(&site), 60_001);
}

/// The ancestor's table of windows over rows at 100, 110 … 190.
#[test]
fn the_windows_of_the_ancestor() {
    let site = site();
    let text: String = (10..20).map(|n| format!("{},a,{n}\n", n * 10)).collect();
    append(&site, &format!("{HEAD}{text}")).exit(0);
    for (from, to, expect) in [
        (100, 130, "100 110 120"),
        (105, 130, "110 120"),
        (0, 100, ""),
        (190, 190, ""),
        (190, 200, "190"),
        (100, 191, "100 110 120 130 140 150 160 170 180 190"),
        (191, 200, ""),
        (300, 400, ""),
        (115, 118, ""),
        (90, 95, ""),
    ] {
        let ended = site.run(EW_LOG, &format!("slice --from {from} --to {to} --format jsonl"));
        let seconds = |line: &str| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let time: ew_core::Timestamp = row["timestamp"].as_str().unwrap().parse().unwrap();
            time.secs().to_string()
        };
        assert_eq!(ended.code, if expect.is_empty() { 66 } else { 0 }, "{from} {to}");
        assert_eq!(ended.stdout.lines().map(seconds).collect::<Vec<_>>().join(" "), expect, "{from} {to}");
    }
    site.run(EW_LOG, "slice --from 130 --to 100").exit(2).stdout("");
}

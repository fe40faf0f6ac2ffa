//! A long slice, which is made in two threads, has the bytes that a plain writer of its format gives it: no stretch is
//! lost, none comes twice, and none out of order, however its rows lie in time.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::Site;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};
use std::collections::BTreeMap;

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// Byte-wise in order; what has to be quoted or escaped among them.
const POINTS: [&str; 5] = ["a \"b\"", "a,b", "com.example.hq.sw1", "x<y>&z", "ä.ö"];

/// Seconds since 2026-01-01T00:00:00Z and a thousandth, the point, the value.
type Rows = Vec<(i64, &'static str, Option<f64>)>;

/// A crowded quarter of an hour, two months with a row now and then, a week of polls a minute, points missing here and
/// there: each stretch has another length, and some have nothing in them.
fn rows() -> Rows {
    let crowd = (0..900_000).step_by(60).map(|n| n as i64);
    let now_and_then = (1..60).map(|day| day * 86_400_000 + day * 1_001);
    let polls = (0..10_080).map(|minute| (61 * 86_400 + minute * 60) * 1_000);
    let mut rows = Rows::new();
    for (n, time) in crowd.chain(now_and_then).chain(polls).enumerate() {
        for (place, point) in POINTS.into_iter().enumerate() {
            let value = match (n * 7 + place * 3) % 11 {
                0 => continue,
                1 => None,
                2 => Some(n as f64 / 3.0),
                3 => Some(n as f64 * -1e17 + 0.0),
                tenths => Some(n as f64 + tenths as f64 / 10.0),
            };
            rows.push((time, point, value));
        }
    }
    rows
}

fn stamp(millis: i64) -> String {
    let time = chrono::DateTime::from_timestamp_millis(1_767_225_600_000 + millis).unwrap();
    let text = time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    match text.strip_suffix("Z").unwrap().trim_end_matches('0').strip_suffix('.') {
        Some(whole) => format!("{whole}Z"),
        None => format!("{}Z", text.strip_suffix("Z").unwrap().trim_end_matches('0')),
    }
}

fn number(value: Option<f64>) -> String {
    let text = value.map_or(String::new(), |value| format!("{value:?}"));
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn long(rows: &Rows) -> String {
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(["timestamp", "point", "value", "unit", "quality"]).unwrap();
    for (time, point, value) in rows {
        let quality = if value.is_some() { "actual" } else { "missing" };
        out.write_record([&stamp(*time), *point, &number(*value), "W", quality]).unwrap();
    }
    String::from_utf8(out.into_inner().unwrap()).unwrap()
}

fn wide(rows: &Rows) -> String {
    let mut lines: BTreeMap<i64, BTreeMap<&str, Option<f64>>> = BTreeMap::new();
    for (time, point, value) in rows {
        lines.entry(*time).or_default().insert(point, *value);
    }
    let mut out = csv::Writer::from_writer(Vec::new());
    out.write_record(std::iter::once("timestamp").chain(POINTS)).unwrap();
    for (time, cells) in lines {
        let cells = POINTS.iter().map(|point| number(cells.get(point).copied().flatten()));
        out.write_record(std::iter::once(stamp(time)).chain(cells)).unwrap();
    }
    String::from_utf8(out.into_inner().unwrap()).unwrap()
}

fn xml(rows: &Rows) -> String {
    let mut out = quick_xml::Writer::new(Vec::new());
    let mut put = |event: Event<'_>| out.write_event(event).unwrap();
    put(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    put(Event::Text(BytesText::from_escaped("\n")));
    put(Event::Start(BytesStart::new("data").with_attributes([("info", "")])));
    let mut present = None;
    for (time, point, value) in rows {
        if present != Some(time) {
            if present.is_some() {
                put(Event::End(BytesEnd::new("entry")));
            }
            put(Event::Start(BytesStart::new("entry").with_attributes([("timestamp", &*stamp(*time))])));
            present = Some(time);
        }
        if value.is_some() {
            put(Event::Start(BytesStart::new("value").with_attributes([("name", *point)])));
            put(Event::Text(BytesText::new(&number(*value))));
            put(Event::End(BytesEnd::new("value")));
        }
    }
    put(Event::End(BytesEnd::new("entry")));
    put(Event::End(BytesEnd::new("data")));
    String::from_utf8(out.into_inner()).unwrap() + "\n"
}

/// All rows as one slice.
fn exported(site: &Site, format: &str) -> String {
    // The set of points differs from day to day: without fixed columns there would be several slices.
    let columns = match format {
        "csv]" => "columns = ['a \"b\"', 'a,b', 'com.example.hq.sw1', 'x<y>&z', 'ä.ö']",
        _ => "",
    };
    let config = format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nperiod = \"1d\"\nmanifest = true\n{columns}\n\
         [export.format.{format}\n[export.transport.file]\ndirectory = \"out\"\n"
    );
    site.write("ew.toml", &config);
    for name in ["ew.db-wal", "ew.db-shm"] {
        let _ = std::fs::remove_file(site.file(name));
    }
    let _ = std::fs::remove_dir_all(site.file("ew.db.spool"));
    let _ = std::fs::remove_dir_all(site.file("out"));
    std::fs::copy(site.file("clean.db"), site.file("ew.db")).unwrap();
    site.run(EW_EXPORT, "-q").exit(0).stderr("");
    site.read(&format!("out/{}", site.names("out")[0]))
}

#[test]
fn the_bytes_of_plain_writers() {
    let rows = rows();
    assert!(rows.len() > 100_000, "{} rows would not be many", rows.len());
    let mut site = Site::new("[log]\nurl = \"clean.db\"\n");
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", &long(&rows)).exit(0).stderr("");
    site.now("2026-04-01T00:00:00Z");

    let whole = exported(&site, "csv]\nlayout = \"long\"");
    assert!(whole == long(&rows), "long");
    let manifest: serde_json::Value =
        serde_json::from_str(&site.read(&format!("out/{}", site.names("out")[1]))).unwrap();
    assert_eq!(manifest["rows"], rows.len());
    assert_eq!(manifest["points"], POINTS.len());
    assert_eq!(manifest["nulls"], rows.iter().filter(|row| row.2.is_none()).count());
    assert_eq!(manifest["first"], stamp(rows[0].0));
    assert_eq!(manifest["last"], stamp(rows[rows.len() - 1].0));

    assert!(exported(&site, "csv]") == wide(&rows), "wide");
    assert!(exported(&site, "xml]") == xml(&rows), "xml");
    let framed = exported(&site, "csv]\nprefix = \"# one\"\nsuffix = \"# end\"\nlayout = \"long\"");
    assert!(framed == format!("# one\n{}# end", long(&rows)), "prefix and suffix once");

    // These have no plain writer; rows printed by one thread, few enough for it at a time, make the same text.
    for format in ["jsonl]", "xml]\npretty_format = true"] {
        let whole = exported(&site, format);
        assert_eq!(whole.matches("com.example.hq.sw1").count(), {
            let counts = |row: &&(i64, &str, Option<f64>)| {
                row.1 == "com.example.hq.sw1" && (format == "jsonl]" || row.2.is_some())
            };
            rows.iter().filter(counts).count()
        });
    }
    let slice = site.run(log.to_str().unwrap(), "slice --from first --to last --format jsonl").exit(0);
    let whole = exported(&site, "jsonl]");
    assert!(slice.stdout == whole, "jsonl");

    // The copy of a file as long as this is made while it is rendered, and comes back the same.
    assert!(whole.len() > 8 << 20, "{} bytes would not be many", whole.len());
    let name = format!("out/{}", site.names("out")[0]);
    std::fs::remove_dir_all(site.file("out")).unwrap();
    site.run(log.to_str().unwrap(), "-q trim --before 2026-04-01").exit(0);
    let ledger = ew::sibling(EW_EXPORT, "ew-ledger");
    let again = "-q resend u --from 2026-01-01 --to 2026-04-01";
    site.run(ledger.to_str().unwrap(), again).exit(0).stderr("");
    assert!(site.read(&name) == whole, "kept");
}

/// A full disk, and a reader who has read enough, end it as they end what one thread makes.
#[test]
fn it_ends_where_nobody_takes_its_text() {
    let mut site = Site::new("[log]\nurl = \"clean.db\"\n");
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", &long(&rows())).exit(0);
    site.now("2026-04-01T00:00:00Z");
    exported(&site, "csv]\nlayout = \"long\"");
    let job = "u --stdout --from 2026-01-01T00:00:00Z --to 2026-04-01T00:00:00Z";
    let piped =
        site.command("bash", "-c").arg(format!("set -o pipefail; {EW_EXPORT} {job} | head -n 2")).output();
    let ended = ew::ended(piped.unwrap()).exit(0).stderr("");
    assert_eq!(ended.stdout.lines().count(), 2);
    let full = site.command("bash", "-c").arg(format!("{EW_EXPORT} {job} > /dev/full")).output();
    let ended = ew::ended(full.unwrap()).exit(74);
    assert!(ended.stderr.contains("No space left on device"), "{}", ended.stderr);
}

//! Green Button from a log to a folder: a receiver's own parser has the readings, and what it has by id it has again.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::Site;
use export::{EW_EXPORT, run};
use std::path::Path;

/// The readings of a feed, and after them its ids, each with what it is of.
const READER: &str = r#"
import sys
import xml.etree.ElementTree as ET
from greenbutton_objects import parse
for point in parse.parse_feed(sys.argv[1]):
    (readings,) = point.meterReadings
    for r in readings.intervalReadings:
        (quality,) = r.readingQualities
        print(point.title, f"{r.timePeriod.start:%H:%M}", f"{r.value:g}", r.value_symbol, quality.quality.name)
atom = "{http://www.w3.org/2005/Atom}"
feed = ET.parse(sys.argv[1]).getroot()
print("Feed", feed.find(atom + "id").text)
for entry in feed.iter(atom + "entry"):
    print(entry.find(atom + "content")[0].tag.split("}")[1], entry.find(atom + "id").text)
"#;

const JOB: &str = "period = \"1h\"\ninterval = \"15m\"\naggregate = \"energy\"";
const FILE: &str = "out/u_20260301T000000Z.xml";

/// 10 minutes at 1 kW, 35 at 4, 15 at 600 W; and 60 W that were read once.
const READINGS: &str = "2026-03-01T00:00:00Z,a,1000,W,actual\n2026-03-01T00:00:00Z,b & co,60,W,actual\n\
                        2026-03-01T00:10:00Z,a,4000,W,actual\n2026-03-01T00:30:00Z,a,4000,W,actual\n\
                        2026-03-01T00:45:00Z,a,600,W,actual\n";

fn append(site: &Site, rows: &str) {
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let text = format!("timestamp,point,value,unit,quality\n{rows}");
    site.run_with_input(log.to_str().unwrap(), "-q append --replace", &text).exit(0).stderr("");
}

/// Readings and ids of a delivered file.
fn read(site: &Site, file: &str) -> [Vec<String>; 2] {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/test-venv/bin/python3");
    assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
    let output = site.command(python.to_str().unwrap(), "").args(["-c", READER, file]).output().unwrap();
    let text = ew::ended(output).exit(0).stdout;
    let (ids, readings) = text.lines().map(str::to_owned).partition(|line| line.contains(" urn:uuid:"));
    [readings, ids]
}

#[test]
fn what_is_sent_again_has_the_ids_it_had() {
    let mut site = Site::new(&export::config(JOB, "green_button]\nnamespace = \"example.com\""));
    append(&site, READINGS);
    site.now("2026-03-01T01:05:00Z");
    run(&site, "ew-export", "").exit(0);
    let bytes = site.read(FILE);
    let [readings, ids] = read(&site, FILE);
    let b = ["b & co 00:00 15 Wh raw", "b & co 00:15 5 Wh mixed"];
    let a =
        |third| vec!["a 00:00 500 Wh raw", "a 00:15 1000 Wh raw", third, "a 00:45 150 Wh raw", b[0], b[1]];
    assert_eq!(readings, a("a 00:30 1000 Wh raw"));
    let distinct: std::collections::BTreeSet<&String> = ids.iter().collect();
    // The feed, the clock, and four resources of each point.
    assert_eq!((ids.len(), distinct.len()), (10, 10), "{ids:?}");

    std::fs::remove_file(site.file(FILE)).unwrap();
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.xml").exit(0);
    assert_eq!(site.read(FILE), bytes);

    std::fs::remove_file(site.file(FILE)).unwrap();
    run(&site, "ew-export", "u --from 2026-03-01T00:00:00Z --to 2026-03-01T01:00:00Z").exit(0);
    assert_eq!(site.read(FILE), bytes);

    // A correction is the next revision, of the same readings.
    append(&site, "2026-03-01T00:30:00Z,a,2000,W,actual\n");
    run(&site, "ew-export", "").exit(0);
    let [readings, again] = read(&site, "out/u_20260301T000000Z_r1.xml");
    assert_eq!(readings, a("a 00:30 500 Wh raw"));
    assert_eq!(again, ids);
    run(&site, "ew-ledger", "resend u u_20260301T000000Z.xml").exit(0);
    assert_eq!(site.read(FILE), bytes);
}

//! `manifest = true`: what lies beside each file, held against the files by sha256sum and Python.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::{Ended, Site};
use export::{EW_EXPORT, append, run};
use std::path::Path;
use std::process::Command;

fn site(job: &str, format: &str) -> Site {
    let keys = format!("breakup_on_period = true\nmanifest = true\n{job}");
    let mut site = Site::new(&export::config(&keys, format));
    site.now("2026-03-01T01:00:00Z");
    site
}

fn check(site: &Site) -> Ended {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/check_manifests.py");
    site.run(script.to_str().unwrap(), "out")
}

fn manifest(site: &Site, name: &str) -> serde_json::Value {
    serde_json::from_str(&site.read(&format!("out/{name}.manifest.json"))).unwrap()
}

/// Three slots, an empty one between them, a null; then a late row for the first.
fn filled(site: &Site) {
    append(site, "01:00 a 1\n 02:00 b 2.5\n 03:00 a\n 16:00 a 3\n 46:00 b 4");
    site.run(EW_EXPORT, "-q").exit(0).stderr("");
    append(site, "04:00 c 5");
    site.run(EW_EXPORT, "-q").exit(0).stderr("");
}

const FILES: [&str; 4] = [
    "u_20260301T000000Z.csv",
    "u_20260301T001500Z.csv",
    "u_20260301T004500Z.csv",
    "u_20260301T000000Z_r1.csv",
];

#[test]
fn each_file_has_its_manifest_and_each_manifest_the_one_before() {
    let site = site("", "csv]\n  layout = \"long\"");
    filled(&site);
    let mut names: Vec<String> =
        FILES.iter().flat_map(|name| [(*name).to_owned(), format!("{name}.manifest.json")]).collect();
    names.sort();
    assert_eq!(site.names("out"), names);
    check(&site).exit(0).stdout("4 manifests, 4 files\n");

    // The same by coreutils: a list as sha256sum itself writes it.
    let list: String = FILES
        .iter()
        .map(|name| format!("{}  {name}\n", manifest(&site, name)["sha256"].as_str().unwrap()))
        .collect();
    site.write("SHA256SUMS", &list);
    let summed = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "../SHA256SUMS"])
        .current_dir(site.file("out"))
        .status();
    assert!(summed.unwrap().success());

    // To the letter, as receivers read it.
    let first = site.read(&format!("out/{}.manifest.json", FILES[0]));
    let hash = manifest(&site, FILES[0])["sha256"].as_str().unwrap().to_owned();
    let expect = format!(
        r#"{{
  "manifest": 1,
  "job": "u",
  "site": "",
  "name": "u_20260301T000000Z.csv",
  "start": "2026-03-01T00:00:00Z",
  "end": "2026-03-01T00:15:00Z",
  "rev": 0,
  "as_of_seq": 5,
  "after_seq": null,
  "zone": "UTC",
  "zone_data": null,
  "rows": 3,
  "first": "2026-03-01T00:01:00Z",
  "last": "2026-03-01T00:03:00Z",
  "points": 2,
  "units": [
    ""
  ],
  "quality": {{
    "actual": 0,
    "max": 0,
    "missing": 1,
    "partial": 0,
    "presumed": 0,
    "suspect": 0,
    "trusted": 0,
    "unknown": 2
  }},
  "nulls": 1,
  "format": "csv/1",
  "bytes": {},
  "sha256": "{hash}",
  "previous": null
}}
"#,
        site.read(&format!("out/{}", FILES[0])).len()
    );
    assert_eq!(first, expect);
    assert_eq!(manifest(&site, FILES[1])["previous"]["name"], format!("{}.manifest.json", FILES[0]));
    assert_eq!(manifest(&site, FILES[3])["previous"]["name"], format!("{}.manifest.json", FILES[2]));
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new());
    let shown = run(&site, "ew-ledger", &format!("show u {} --json", FILES[1])).exit(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let receipt = &shown["revisions"][0]["receipt"];
    assert_eq!(receipt["how"], "sent");
    assert!(receipt["manifest"]["path"].as_str().unwrap().ends_with(".csv.manifest.json"), "{receipt}");
}

#[test]
fn a_byte_altered_and_a_manifest_gone_are_seen() {
    let site = site("", "csv]\n  layout = \"long\"");
    filled(&site);
    for name in site.names("out") {
        let path = site.file("out").join(&name);
        let bytes = std::fs::read(&path).unwrap();
        for at in [0, bytes.len() / 2, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            std::fs::write(&path, altered).unwrap();
            // The newest manifest has no follower; what it says is held against its file alone.
            let is_seen = check(&site).code == 1;
            assert!(is_seen || name == format!("{}.manifest.json", FILES[3]), "{name} {at}");
        }
        std::fs::remove_file(&path).unwrap();
        check(&site).exit(1);
        std::fs::write(&path, bytes).unwrap();
        check(&site).exit(0);
    }
    // The file gone with its manifest.
    for name in &FILES[..3] {
        for gone in [(*name).to_owned(), format!("{name}.manifest.json")] {
            std::fs::rename(site.file("out").join(&gone), site.file(&gone)).unwrap();
        }
        check(&site).exit(1);
        for gone in [(*name).to_owned(), format!("{name}.manifest.json")] {
            std::fs::rename(site.file(&gone), site.file("out").join(&gone)).unwrap();
        }
    }
    check(&site).exit(0);
}

/// Whatever the format; and of intervals it counts the rows as they are sent.
#[test]
fn every_format_and_intervals() {
    for (job, format, rows) in [
        ("", "csv]", 3),
        ("", "xml]", 3),
        ("", "jsonl]", 3),
        ("zone = \"Europe/Zurich\"\nlate = \"delta\"", "csv]\n  layout = \"long\"", 3),
        ("interval = \"5m\"\naggregate = \"mean\"", "jsonl]\n  stamp = \"end\"", 6),
        ("interval = \"5m\"\naggregate = \"mean\"", "csv]\n  layout = \"long\"", 6),
    ] {
        let site = site(job, format);
        filled(&site);
        let names = site.names("out");
        check(&site).exit(0).stdout("4 manifests, 4 files\n");
        let first: serde_json::Value =
            serde_json::from_str(&site.read(&format!("out/{}", names[1]))).unwrap();
        assert_eq!(first["rows"], rows, "{job} {format}");
        let has_rules = job.contains("Zurich") && Path::new("/usr/share/zoneinfo/tzdata.zi").exists();
        assert_eq!(first["zone_data"].is_string(), has_rules, "{first}");
    }
    let mut compressed = Site::new(&format!(
        "{}  compress = \"gzip\"\n",
        export::config("manifest = true\nbreakup_on_period = true", "csv]\n  layout = \"long\"")
    ));
    compressed.now("2026-03-01T01:00:00Z");
    filled(&compressed);
    check(&compressed).exit(0).stdout("4 manifests, 4 files\n");
}

#[test]
fn sent_again_it_is_the_same_byte_for_byte() {
    let site = site("", "csv]\n  layout = \"long\"");
    filled(&site);
    let content =
        || site.names("out").iter().map(|name| site.read(&format!("out/{name}"))).collect::<Vec<_>>();
    let before = content();
    std::fs::remove_dir_all(site.file("out")).unwrap();
    // Superseded, and the newest.
    for name in FILES {
        run(&site, "ew-ledger", &format!("resend u {name}")).exit(0);
    }
    assert_eq!(content(), before);
    check(&site).exit(0);
    site.run(EW_EXPORT, "u --from 2026-03-01 --to 2026-03-01T01:00:00").exit(0);
    assert_eq!(content(), before);
}

/// The file is there and its manifest is refused: the next runs send the manifest alone.
#[test]
fn a_manifest_that_is_refused_holds_the_slice_open() {
    let site = site("", "csv]\n  layout = \"long\"");
    append(&site, "01:00 a 1\n 16:00 a 2");
    let in_the_way = site.file(&format!("out/{}.manifest.json", FILES[0]));
    std::fs::create_dir_all(in_the_way.parent().unwrap()).unwrap();
    std::fs::write(&in_the_way, "somebody's").unwrap();
    let refused = site.run(EW_EXPORT, "-q").exit(77).stderr;
    assert!(refused.contains(".manifest.json is there with other content"), "{refused}");
    // Whoever reads there has taken the file away by now.
    std::fs::remove_file(site.file(&format!("out/{}", FILES[0]))).unwrap();
    site.run(EW_EXPORT, "-q").exit(77);
    assert_eq!(site.names("out"), [format!("{}.manifest.json", FILES[0])]);
    std::fs::remove_file(&in_the_way).unwrap();
    site.run(EW_EXPORT, "-q").exit(0);
    assert_eq!(
        site.names("out"),
        [format!("{}.manifest.json", FILES[0]), FILES[1].to_owned(), format!("{}.manifest.json", FILES[1])]
    );
}

/// A file of another job never gets the name of a manifest.
#[test]
fn names_of_manifests_are_claimed_too() {
    let other = "[[export]]\nname = \"v\"\npoints = [\"**\"]\nbreakup_on_period = true\n\
                 filename = \"u_{start_utc:%Y%m%dT%H%M%SZ}{rev}.csv.manifest.json\"\n  \
                 [export.format.jsonl]\n  [export.transport.file]\n  directory = \"out\"\n";
    let first = export::config("breakup_on_period = true\nmanifest = true", "csv]");
    for config in [format!("{first}{other}"), format!("{other}{first}")] {
        let mut site = Site::new(&config);
        site.now("2026-03-01T01:00:00Z");
        append(&site, "01:00 a 1");
        site.run(EW_EXPORT, "-q").exit(0);
        let numbered =
            site.names("out").iter().filter(|name| name.contains("Z_2") || name.ends_with("_2")).count();
        assert_eq!(site.names("out").len(), 3, "{:?}", site.names("out"));
        assert!((1..=2).contains(&numbered), "{:?}", site.names("out"));
    }
}

/// How to read each file lies beside it too, and goes the same way; the manifest comes last.
#[test]
fn metadata_lies_beside_files_too() {
    let site = site("", "csv]\n  csvw = true");
    filled(&site);
    let mut names: Vec<String> = FILES
        .iter()
        .flat_map(|name| ["", "-metadata.json", ".manifest.json"].map(|suffix| format!("{name}{suffix}")))
        .collect();
    names.sort();
    assert_eq!(site.names("out"), names);
    check(&site).exit(0).stdout("4 manifests, 4 files\n");
    let shown = run(&site, "ew-ledger", &format!("show u {} --json", FILES[1])).exit(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let receipt = &shown["revisions"][0]["receipt"];
    assert!(receipt["metadata"]["path"].as_str().unwrap().ends_with(".csv-metadata.json"), "{receipt}");
    assert!(receipt["manifest"]["path"].is_string(), "{receipt}");
    let verified = run(&site, "ew-ledger", "verify u").exit(0).stdout;
    assert!(verified.contains("slices 4: hash 4; metadata 4: hash 4; manifests 4: hash 4"), "{verified}");

    let content =
        || site.names("out").iter().map(|name| site.read(&format!("out/{name}"))).collect::<Vec<_>>();
    let before = content();
    let altered = format!("out/{}-metadata.json", FILES[1]);
    site.write(&altered, "{}");
    let verified = run(&site, "ew-ledger", "verify u --json").exit(1).stdout;
    let verified: serde_json::Value = serde_json::from_str(&verified).unwrap();
    let slices = verified["jobs"][0]["slices"].as_array().unwrap();
    let seen: Vec<_> = slices.iter().map(|slice| slice["metadata"]["outcome"].as_str().unwrap()).collect();
    assert_eq!(seen.iter().filter(|outcome| **outcome == "altered").count(), 1, "{seen:?}");
    // Sent again they are the same, byte for byte, whatever the job says by now.
    let config = site.read("ew.toml");
    site.write("ew.toml", &config.replace("csvw = true", "csvw = false"));
    std::fs::remove_dir_all(site.file("out")).unwrap();
    for name in FILES {
        run(&site, "ew-ledger", &format!("resend u {name}")).exit(0);
    }
    assert_eq!(content(), before);
}

/// A point has its unit there also where an interval before its first reading has none.
#[test]
fn a_null_without_a_unit_hides_no_unit() {
    let job = "manifest = true\nfilename = \"u_{start_utc:%Y%m%d}{rev}.{ext}\"\nperiod = \"1d\"\ninterval = \"15m\"\naggregate = \"energy\"";
    let mut site = Site::new(&export::config(job, "csv]\n  csvw = true"));
    site.now("2026-03-02T00:00:00Z");
    let rows = "timestamp,point,value,unit\n2026-03-01T00:15:00Z,a,2,W\n2026-03-01T00:25:00Z,a,2,W\n";
    let log = ew::sibling(export::EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", rows).exit(0);
    run(&site, "ew-export", "-q").exit(0);
    let read = |suffix: &str| -> serde_json::Value {
        serde_json::from_str(&site.read(&format!("out/u_20260301.csv{suffix}"))).unwrap()
    };
    assert_eq!(read("-metadata.json")["tableSchema"]["columns"][1]["schema:unitText"], "Wh");
    // The manifest tells of rows, nulls among them.
    assert_eq!(read(".manifest.json")["units"], serde_json::json!(["", "Wh"]));
}

/// A log that is lost gets it back from the receiver.
#[test]
fn metadata_is_rebuilt() {
    for manifest in [true, false] {
        let job = format!("breakup_on_period = true\nmanifest = {manifest}");
        let mut site = Site::new(&export::config(&job, "csv]\n  csvw = true"));
        site.now("2026-03-01T01:00:00Z");
        append(&site, "01:00 a 1\n 16:00 b 2");
        site.run(EW_EXPORT, "-q").exit(0);
        let file = format!("out/{}-metadata.json", FILES[0]);
        let before = site.read(&file);
        std::fs::remove_file(site.file("ew.db")).unwrap();
        append(&site, "01:00 a 1\n 16:00 b 2");
        run(&site, "ew-ledger", "rebuild u").exit(0);
        let verified = run(&site, "ew-ledger", "verify u").exit(0).stdout;
        assert!(verified.contains("metadata 2: hash 2"), "{verified}");
        std::fs::remove_file(site.file(&file)).unwrap();
        run(&site, "ew-ledger", &format!("resend u {}", FILES[0])).exit(0);
        assert_eq!(site.read(&file), before);
    }
}

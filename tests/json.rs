//! `docs/json.md` against the programs: each field that it names is in what they print, with that type, and the other
//! way round. `UPDATE_EXPECT=1` makes its examples anew.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;

use ew::Site;
use serde_json::Value;
use sim::Sim;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Types by the path of their field, as `number or null`.
type Shape = BTreeMap<String, BTreeSet<String>>;

/// One heading of the document.
struct Section {
    name: String,
    shape: Shape,
    example: Value,
}

fn manual() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/json.md")
}

fn sections(text: &str) -> Vec<Section> {
    let parts = text.split("\n## ").skip(1);
    parts
        .map(|part| {
            let name = part.split('`').nth(1).unwrap().to_owned();
            let shape = part.lines().filter_map(|line| line.strip_prefix("| `")).map(|line| {
                let (path, rest) = line.split_once("` | ").unwrap();
                let types = rest.split(" | ").next().unwrap().split(" or ").map(str::to_owned);
                (path.to_owned(), types.collect())
            });
            let (_, example) = part.split_once("```json\n").unwrap_or_else(|| panic!("{name}: no example"));
            let example = example.split("```").next().unwrap();
            let example = match example.trim() {
                "" => Value::Null,
                text => serde_json::from_str(text).unwrap_or_else(|e| panic!("{name}: {e}")),
            };
            Section { shape: shape.collect(), name, example }
        })
        .collect()
}

/// Adds the fields of a document to a shape.
fn observe(value: &Value, path: &str, shape: &mut Shape) {
    let kind = match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let dot = if path.is_empty() { "" } else { "." };
                observe(value, &format!("{path}{dot}{name}"), shape);
            }
            "object"
        }
        Value::Array(items) => {
            items.iter().for_each(|item| observe(item, &format!("{path}[]"), shape));
            return;
        }
        Value::String(text) => match text.ends_with('Z') && text.parse::<ew_core::Timestamp>().is_ok() {
            true => "time",
            false => "string",
        },
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Bool(_) => "boolean",
        Value::Null => "null",
    };
    if !path.is_empty() {
        shape.entry(path.to_owned()).or_default().insert(kind.to_owned());
    }
}

fn program(name: &str) -> PathBuf {
    ew::sibling(env!("CARGO_BIN_EXE_ew-log"), name)
}

fn sqlite3(site: &Site, sql: &str) {
    assert!(Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap().success());
}

/// What the programs print, by section: the first document of each is its example.
type Documents = BTreeMap<&'static str, Vec<String>>;

fn documents() -> Documents {
    let mut found = Documents::new();
    let sim = Sim::start(&program("ew-sim"), &[]);
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let switch = |name: &str, port: u16| {
        format!("[[domain.switch]]\nname = \"{name}\"\naddress = \"127.0.0.1\"\nport = {port}\n")
    };
    let job = |name: &str, directory: &str, more: &str| {
        format!(
            "[[export]]\nname = \"{name}\"\npoints = [\"meter\"]\nbreakup_on_period = true\n{more}\n\
             [export.format.csv]\n[export.transport.file]\ndirectory = \"{directory}\"\n"
        )
    };
    let mut site = Site::new(&format!(
        "[snmp]\ntimeout = \"100ms\"\nretries = 0\n[[domain]]\nname = \"com.example.hq\"\n{}{}",
        switch("sw1", sim.ports[0]),
        job("utility", "out", ""),
    ));
    site.now("2026-03-01T01:05:00Z");
    let rows = "timestamp,point,value,unit\n2026-03-01T00:00:00Z,meter,1,W\n2026-03-01T00:50:00Z,meter,2,W\n";
    site.write("readings.csv", rows);
    let mut note = |site: &Site, name, line: &str| {
        let (program_name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let ended = site.run(program(program_name).to_str().unwrap(), &format!("{arguments} --json"));
        assert!(!ended.stdout.is_empty(), "{line}: {}", ended.stderr);
        // Nobody else has such a folder.
        let text = ended.stdout.replace(site.path().to_str().unwrap(), "/srv/ew");
        found.entry(name).or_default().push(text);
    };

    for name in ["ew-poll", "ew-log", "ew-export", "ew-ledger", "ew-sim", "ew-cbus"] {
        note(&site, "--check", &format!("{name} --check"));
    }
    note(&site, "ew-log append", "ew-log append readings.csv");
    note(&site, "ew-poll", "ew-poll --dry-run");
    let pdu_data = manual().with_file_name("../fixtures/profiles/apc-rpdu2.snmprec");
    let pdu = Sim::start(&program("ew-sim"), &["--data", pdu_data.to_str().unwrap()]);
    let energy = Site::new(&format!(
        "[[domain]]\nname = \"com.example.hq\"\n{}profile = \"auto\"\n",
        switch("pdu1", pdu.ports[0])
    ));
    note(&energy, "ew-poll", "ew-poll");
    // A step back has a reason.
    sqlite3(&energy, "update device set memory = replace(memory, '1234500', '9999999')");
    note(&energy, "ew-poll", "ew-poll --skip-cache");
    let silent_port = silent.local_addr().unwrap().port();
    let listed = format!("127.0.0.1:{} 127.0.0.1:{} 127.0.0.1:{silent_port}", pdu.ports[0], sim.ports[0]);
    note(&site, "ew-poll --discover", &format!("ew-poll --discover {listed}"));
    for (name, line) in [
        ("ew-log points", "ew-log points"),
        ("ew-log stats", "ew-log stats"),
        ("ew-log check", "ew-log check"),
        ("ew-log backup", "ew-log backup copy.db"),
        ("ew-export", "ew-export"),
        ("ew-ledger list", "ew-ledger list"),
        ("ew-export --check --probe", "ew-export --check --probe"),
        ("ew-ledger status", "ew-ledger status"),
        ("ew-ledger verify", "ew-ledger verify"),
        ("ew-export", "ew-export utility --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z --dry-run"),
    ] {
        note(&site, name, line);
    }

    // Nothing there yet.
    let empty = Site::new(&site.read("ew.toml"));
    note(&empty, "ew-ledger status", "ew-ledger status");
    note(&empty, "ew-log stats", "ew-log stats");
    let mut unset = Site::new(&site.read("ew.toml"));
    unset.now("1970-01-01T00:00:40Z");
    note(&unset, "ew-ledger status", "ew-ledger status");

    // What is not as it was delivered.
    std::fs::remove_file(site.file("out/utility_20260301T000000Z.csv")).unwrap();
    site.write("out/stranger.csv", "");
    note(&site, "ew-ledger verify", "ew-ledger verify");
    std::fs::rename(site.file("out"), site.file("away")).unwrap();
    note(&site, "ew-ledger verify", "ew-ledger verify");

    // One file with its manifest, and one without.
    let mut told = Site::new(
        &job("utility", "out", "manifest = true")
            .replace("[export.format.csv]", "[export.format.csv]\ncsvw = true"),
    );
    told.now("2026-03-01T01:05:00Z");
    told.write("readings.csv", rows);
    told.run(program("ew-log").to_str().unwrap(), "append -q readings.csv").exit(0);
    told.run(program("ew-export").to_str().unwrap(), "-q").exit(0);
    std::fs::remove_file(told.file("out/utility_20260301T000000Z.csv.manifest.json")).unwrap();
    std::fs::remove_file(told.file("out/utility_20260301T000000Z.csv-metadata.json")).unwrap();
    note(&told, "ew-ledger verify", "ew-ledger verify");

    // The database is lost, and a file is not what the log has.
    let mut lost = Site::new(&job("utility", "out", ""));
    lost.now("2026-03-01T01:05:00Z");
    for round in 0..2 {
        lost.write("readings.csv", rows);
        lost.run(program("ew-log").to_str().unwrap(), "append -q readings.csv").exit(0);
        if round == 0 {
            lost.run(program("ew-export").to_str().unwrap(), "-q").exit(0);
            std::fs::remove_file(lost.file("ew.db")).unwrap();
            std::fs::remove_dir_all(lost.file("ew.db.spool")).unwrap();
        }
    }
    note(&lost, "ew-ledger rebuild", "ew-ledger rebuild utility --dry-run");
    lost.write("out/utility_20260301T000000Z.csv", "");
    lost.write("out/stranger.csv", "");
    note(&lost, "ew-ledger rebuild", "ew-ledger rebuild utility");

    // What fails: a switch, a job, a log that takes nothing, and one that is damaged.
    site.write("in-the-way", "");
    site.write(
        "ew.toml",
        &format!(
            "[snmp]\ntimeout = \"100ms\"\nretries = 0\n[[domain]]\nname = \"com.example.hq\"\n{}\
             [[domain]]\nname = \"com.example.other\"\n{}{}",
            switch("sw1", silent.local_addr().unwrap().port()),
            switch("sw2", sim.ports[0]),
            job("portal", "in-the-way", "connection_attempts = 1"),
        ),
    );
    note(&site, "ew-export", "ew-export --dry-run");
    note(&site, "ew-export", "ew-export");
    note(&site, "ew-ledger list", "ew-ledger list");
    note(&site, "ew-export --check --probe", "ew-export --check --probe");
    note(&site, "ew-ledger status", "ew-ledger status");
    sqlite3(&site, "create trigger t before insert on sample begin select raise(abort, 'no room'); end");
    note(&site, "ew-poll", "ew-poll");
    sqlite3(&site, "drop trigger t; update state set last_seq = 0");
    note(&site, "ew-log check", "ew-log check");
    site.write("data.snmprec", "1.3.6.1.2.1.1.5.0|4|sw\n");
    note(&site, "ew-sim snmp", "ew-sim snmp --for 0s");
    note(&site, "ew-sim snmp", "ew-sim snmp --for 0s --data data.snmprec");
    note(&site, "ew-sim pci", "ew-sim pci --for 0s");
    note(&site, "ew-sim cgate", "ew-sim cgate --for 0s");
    of_late_rows(&job, &mut note);
    of_cgate(&mut note);
    of_buses(&mut note);
    found
}

/// C-Bus, by a C-Gate on a pipe.
fn of_cgate(note: &mut dyn FnMut(&Site, &'static str, &str)) {
    let sim = program("ew-sim");
    let mut site = Site::new(&format!(
        "[[cbus]]\nname = \"lobby\"\n[cbus.backend.cgate]\nproject = \"HOME\"\n\
         command = [{:?}, \"cgate\", \"--stdio\", \"--fault\", \"hole=TREE\"]\n",
        sim.to_str().unwrap()
    ));
    site.now("2026-03-01T00:00:00Z");
    note(&site, "ew-cbus discover", "ew-cbus discover");
    note(&site, "ew-cbus poll", "ew-cbus poll");
    note(&site, "ew-cbus poll", "ew-cbus measure");
    note(&site, "ew-cbus probe", "ew-cbus probe");
}

/// C-Bus, by a bus in memory.
fn of_buses(note: &mut dyn FnMut(&Site, &'static str, &str)) {
    let sim = program("ew-sim");
    let bus = |name: &str, keys: &str, more: &str| {
        format!(
            "[[cbus]]\nname = \"{name}\"\n{keys}\n[cbus.backend.exec]\ncommand = [{:?}, \"cbus-cli\", \"--fake\", {more}]\n",
            sim.to_str().unwrap()
        )
    };
    let rows = "unit:1,network:00,apps:56\nunit:1,network:00,groups:1,2\nunit:9,network:00\nlevel:56,1=255\nlevel:56,2=128\n";
    let mut site = Site::new(&bus("lobby", "poll = true", "\"rows\", \"--set-reply\", \"done\""));
    site.now("2026-03-01T00:00:00Z");
    site.write("rows", rows);
    note(&site, "ew-cbus discover", "ew-cbus discover");
    note(&site, "ew-cbus poll", "ew-cbus poll");
    note(&site, "ew-poll", "ew-poll --dry-run");
    note(&site, "ew-cbus poll", "ew-cbus measure");
    note(&site, "ew-cbus get", "ew-cbus get lobby 56 2");
    note(&site, "ew-cbus get", "ew-cbus get lobby 56 2 --network 00");
    note(&site, "ew-cbus set", "ew-cbus set lobby 56 2 128");
    note(&site, "ew-cbus set", "ew-cbus set lobby 56 2 128 --network 00");
    note(&site, "ew-cbus probe", "ew-cbus probe");
    site.write(
        "tags.xml",
        &std::fs::read_to_string(manual().with_file_name("../fixtures/cbus/project.xml")).unwrap(),
    );
    note(&site, "ew-cbus import-tags", "ew-cbus import-tags tags.xml --network 254");
    site.write("rows", &format!("odd\n{}", rows.replace("unit:1,", "unit:2,").replace(":1,2", ":2,3")));
    site.now("2026-03-01T00:05:00Z");
    note(&site, "ew-cbus discover", "ew-cbus discover");
    note(&site, "ew-cbus poll", "ew-cbus poll");
    note(&site, "ew-poll", "ew-poll --dry-run");
    note(&site, "ew-cbus diff", "ew-cbus diff");
    note(&site, "ew-cbus diff", "ew-cbus diff 1 1");
    note(&site, "ew-cbus diff", "ew-cbus diff 2 1");
    note(&site, "ew-cbus import-tags", "ew-cbus import-tags tags.xml");
    note(&site, "ew-cbus discover", "ew-cbus discover --dry-run");
    site.write("ew.toml", &(bus("lobby", "poll = true", "\"none\"") + &bus("annex", "", "\"rows\"")));
    note(&site, "ew-cbus discover", "ew-cbus discover");
    note(&site, "ew-cbus probe", "ew-cbus probe");
    note(&site, "ew-cbus poll", "ew-cbus poll");
    note(&site, "ew-poll", "ew-poll --dry-run");
}

/// What people ask and decide of a job whose rows come late, and what is trimmed at the end.
fn of_late_rows(job: &dyn Fn(&str, &str, &str) -> String, note: &mut dyn FnMut(&Site, &'static str, &str)) {
    let with = |late: &str, more: &str| {
        job("utility", "out", &format!("zone = \"Europe/Zurich\"\nlate = {late:?}\n{more}"))
    };
    let mut site = Site::new(&with("delta", ""));
    site.now("2026-03-01T00:30:00Z");
    let append = |site: &Site, time: &str, value: u32| {
        let text = format!("timestamp,point,value,unit\n2026-03-01T00:{time}Z,meter,{value},W\n");
        let log = program("ew-log");
        site.run_with_input(log.to_str().unwrap(), "append -q --replace", &text).exit(0);
    };
    append(&site, "00:00", 1);
    append(&site, "20:00", 2);
    note(&site, "ew-export", "ew-export");
    append(&site, "00:00", 3);
    note(&site, "ew-export", "ew-export --dry-run");
    note(&site, "ew-export", "ew-export");
    note(&site, "ew-ledger show", "ew-ledger show utility utility_20260301T000000Z.csv");
    note(&site, "ew-ledger verify", "ew-ledger verify");
    note(&site, "ew-ledger show", "ew-ledger show utility utility_20260301T000000Z.csv");
    note(&site, "ew-ledger why", "ew-ledger why meter 2026-03-01T00:00:00Z");
    note(&site, "ew-ledger audit", "ew-ledger audit");
    note(&site, "ew-export", "ew-ledger resend utility utility_20260301T000000Z.csv");
    note(&site, "ew-export", "ew-ledger resend utility --to 2026-01-01");
    // What waits for a person.
    site.write("ew.toml", &with("hold", ""));
    for (value, release) in [(4, "ew-ledger release utility"), (5, "ew-ledger release utility --drop spike")]
    {
        append(&site, "00:00", value);
        note(&site, "ew-export", "ew-export");
        note(&site, "ew-ledger list", "ew-ledger list");
        note(&site, "ew-ledger show", "ew-ledger show utility 2026-03-01T00:00:00Z");
        note(&site, "ew-ledger release", release);
        note(&site, "ew-export", "ew-export");
    }
    // What the receiver does not take: its folder is away; as if one of two recipients had it.
    std::fs::rename(site.file("out"), site.file("away")).unwrap();
    site.write("out", "");
    site.write("ew.toml", &with("hold", "connection_attempts = 1"));
    append(&site, "31:00", 6);
    site.now("2026-03-01T00:45:00Z");
    note(&site, "ew-export", "ew-export");
    sqlite3(&site, "update slice set reached = '[\"a@example.com\"]' where state = 'failed'");
    note(&site, "ew-ledger show", "ew-ledger show utility 2026-03-01T00:30:00Z");
    note(&site, "ew-ledger skip", "ew-ledger skip utility 2026-03-01T00:30:00Z refused");
    note(&site, "ew-log trim", "ew-log trim --before 2026-03-01T00:15:00Z");
    note(&site, "ew-log trim", "ew-log trim --retention");
    sqlite3(&site, "delete from sample where value = 2");
    note(&site, "ew-ledger audit", "ew-ledger audit");
    // Resent as recorded it can no longer be: neither rows nor a kept file are there.
    std::fs::remove_dir_all(site.file("ew.db.spool/kept")).unwrap();
    note(&site, "ew-export", "ew-ledger resend utility utility_20260301T001500Z.csv");
    // Of a profile, and one of its keys the job's own.
    let mut profiled = Site::new(
        "[[export]]\nname = \"daily\"\npoints = [\"**\"]\nprofile = \"energyid\"\nzone = \"UTC\"\nlate = \"hold\"\n\
         [export.transport.file]\ndirectory = \"out\"\n",
    );
    profiled.now("2026-03-01T01:05:00Z");
    note(&profiled, "ew-export", "ew-export --dry-run");
    site.write("ew.toml", &with("hold", "").replace("\"utility\"", "\"grid\""));
    note(&site, "ew-ledger rename", "ew-ledger rename utility grid");
}

#[test]
fn the_manual_and_the_programs_have_the_same_fields_of_the_same_types() {
    let mut text = std::fs::read_to_string(manual()).unwrap();
    let documents = documents();
    if std::env::var_os("UPDATE_EXPECT").is_some() {
        text = with_examples(&text, &documents);
        std::fs::write(manual(), &text).unwrap();
    }
    let sections = sections(&text);
    let names: BTreeSet<&str> = sections.iter().map(|section| section.name.as_str()).collect();
    assert_eq!(names, documents.keys().copied().collect());
    for Section { name, shape, example } in &sections {
        let mut real = Shape::new();
        for document in &documents[name.as_str()] {
            observe(&serde_json::from_str(document).unwrap(), "", &mut real);
        }
        for (path, kinds) in &mut real {
            // A number may be whole; not every null can be brought about.
            let documented =
                shape.get(path).unwrap_or_else(|| panic!("{name}: {path} is not in docs/json.md"));
            if documented.contains("number") && kinds.remove("integer") {
                kinds.insert("number".to_owned());
            }
            kinds.extend(documented.get("null").cloned());
            assert_eq!(kinds, documented, "{name}: {path}");
        }
        for path in shape.keys() {
            assert!(real.contains_key(path), "{name}: {path} is in docs/json.md and in no document");
        }
        let mut shown = Shape::new();
        observe(example, "", &mut shown);
        assert!(!shown.is_empty(), "{name}: the example is empty");
        for (path, kinds) in shown {
            let is_known = |kind: &String| {
                shape[&path].contains(kind) || (kind == "integer" && shape[&path].contains("number"))
            };
            assert!(shape.contains_key(&path) && kinds.iter().all(is_known), "{name}: {path} of the example");
        }
    }
}

fn with_examples(text: &str, documents: &Documents) -> String {
    let mut parts = text.split("\n## ");
    let mut made = parts.next().unwrap().to_owned();
    for part in parts {
        let name = part.split('`').nth(1).unwrap();
        let (before, rest) = part.split_once("```json\n").unwrap();
        let (_, after) = rest.split_once("```").unwrap();
        made += &format!("\n## {before}```json\n{}```{after}", documents[name][0]);
    }
    made
}

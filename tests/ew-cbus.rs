//! `ew-cbus`, and what `ew-poll` does with buses: the log, discoveries and what changed between them, tags, locks.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::{Ended, Site};
use serde_json::Value;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

const EW_CBUS: &str = env!("CARGO_BIN_EXE_ew-cbus");

fn bus(name: &str, keys: &str, arguments: &str) -> String {
    let sim = ew::sibling(EW_CBUS, "ew-sim");
    let mut words = vec![sim.to_str().unwrap(), "cbus-cli", "--fake"];
    words.extend(arguments.split_whitespace());
    let words = words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    format!("[[cbus]]\nname = \"{name}\"\n{keys}\n[cbus.backend.exec]\ncommand = [{words}]\n")
}

fn lobby(arguments: &str) -> Site {
    let mut site = Site::new(&bus("lobby", "", arguments));
    site.now("2026-03-01T00:00:00Z");
    site
}

fn run(site: &Site, arguments: &str) -> Ended {
    site.run(EW_CBUS, arguments)
}

fn poll(site: &Site, arguments: &str) -> Ended {
    site.run(ew::sibling(EW_CBUS, "ew-poll").to_str().unwrap(), arguments)
}

fn log(site: &Site) -> Vec<String> {
    let ended = site.run(ew::sibling(EW_CBUS, "ew-log").to_str().unwrap(), "slice --from first --to last");
    ended.stdout.lines().skip(1).map(str::to_owned).collect()
}

fn reasons(site: &Site) -> String {
    let sql =
        "select p.name, d.reason from poll_detail d join point p on p.id = d.point order by d.time, p.name";
    let output = Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/cbus").join(name)
}

const ROWS: &str = "unit:1,network:00,apps:56\nunit:1,network:00,groups:1,2,7\nlevel:56,1=255\nlevel:56,2=128\nlevel:56,7=0\n";

#[test]
fn a_poll_has_one_timestamp_and_a_level_or_a_reason_for_each_group() {
    let site = lobby("rows");
    site.write("rows", &ROWS.replace("level:56,2=128\n", ""));
    let ended = run(&site, "poll").exit(1);
    assert!(ended.stdout.contains("cbus.lobby.00.56.2  -      level  missing  exec "), "{}", ended.stdout);
    assert_eq!(
        log(&site),
        [
            "2026-03-01T00:00:00Z,cbus.lobby.00.56.1,255,level,actual",
            "2026-03-01T00:00:00Z,cbus.lobby.00.56.2,,level,missing",
            "2026-03-01T00:00:00Z,cbus.lobby.00.56.7,0,level,actual",
        ]
    );
    assert!(reasons(&site).contains("cbus.lobby.00.56.2|exec "), "{}", reasons(&site));
}

#[test]
fn a_bus_that_is_away_leaves_the_points_of_its_last_poll_null_and_invents_none() {
    let mut site = lobby("rows");
    // Nothing is known of it yet.
    run(&site, "poll").exit(69);
    assert_eq!(log(&site), Vec::<String>::new());
    site.write("rows", ROWS);
    run(&site, "discover").exit(0);
    std::fs::remove_file(site.file("rows")).unwrap();
    site.now("2026-03-01T00:01:00Z");
    // Of a discovery its groups are known.
    run(&site, "poll").exit(69);
    let missing = |time: &str| {
        [1, 2, 7].map(|group| format!("2026-03-01T{time}Z,cbus.lobby.00.56.{group},,level,missing")).to_vec()
    };
    assert_eq!(log(&site), missing("00:01:00"));
    // And those of a poll before those of a discovery.
    site.write("rows", "unit:1,network:00,apps:56\nunit:1,network:00,groups:9\nlevel:56,9=9\n");
    site.now("2026-03-01T00:02:00Z");
    run(&site, "poll").exit(0);
    std::fs::remove_file(site.file("rows")).unwrap();
    site.now("2026-03-01T00:03:00Z");
    run(&site, "poll").exit(69);
    assert_eq!(log(&site).last().unwrap(), "2026-03-01T00:03:00Z,cbus.lobby.00.56.9,,level,missing");
    assert_eq!(log(&site).len(), 5);
    assert!(reasons(&site).contains("start"), "{}", reasons(&site));
}

#[test]
fn ew_poll_polls_the_buses_that_say_so_and_those_named() {
    let mut site = Site::new(&(bus("lobby", "poll = true", "") + &bus("annex", "", "--delay 1ms")));
    site.now("2026-03-01T00:00:00Z");
    let report = json(&poll(&site, "--json").exit(0).stderr(""));
    assert_eq!(report["buses"].as_array().unwrap().len(), 1);
    assert_eq!(report["buses"][0]["readings"][1]["value"], 128.0);
    assert_eq!(log(&site).len(), 3);
    site.now("2026-03-01T00:01:00Z");
    let table = poll(&site, "annex").exit(0).stderr("").stdout;
    assert!(table.contains("cbus.annex.00.56.1  255    level  actual"), "{table}");
    assert_eq!(log(&site).len(), 6);
    poll(&site, "--dry-run lobby annex -q").exit(0).stdout("").stderr("");
    assert_eq!(log(&site).len(), 6);
    let ended = poll(&site, "hall").exit(2);
    assert_eq!(
        ended.stderr,
        "ew-poll: there is no domain or bus \"hall\"\n  hint: ew.toml has: lobby annex\n"
    );
}

#[test]
fn on_a_doubtful_clock_levels_are_suspect_and_missing_ones_missing() {
    let mut site = lobby("rows");
    site.write("rows", &ROWS.replace("level:56,2=128\n", ""));
    site.now("2026-03-01T00:10:00Z");
    run(&site, "poll").exit(1);
    site.now("2026-03-01T00:00:00Z");
    let ended = run(&site, "poll").exit(1);
    assert!(ended.stderr.contains("readings are marked suspect"), "{}", ended.stderr);
    let rows = log(&site);
    assert_eq!(rows[0], "2026-03-01T00:00:00Z,cbus.lobby.00.56.1,255,level,suspect");
    assert_eq!(rows[1], "2026-03-01T00:00:00Z,cbus.lobby.00.56.2,,level,missing");
}

#[test]
fn two_runs_never_talk_to_one_interface_at_once() {
    let site = lobby("--record heard --silent-after 1");
    let mut first = site.spawn(EW_CBUS, "get lobby 56 1");
    while !site.file("heard").exists() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for arguments in ["get lobby 56 2", "discover", "poll", "probe", "set lobby 56 1 1"] {
        let ended = run(&site, arguments).exit(75);
        assert!(
            ended.stderr.contains("Last talk on the bus still active") && ended.stderr.contains("get: lobby")
        );
    }
    poll(&site, "lobby").exit(75);
    poll(&site, "lobby --due").exit(0).stderr("");
    assert_eq!(log(&site), Vec::<String>::new());
    first.kill().unwrap();
    first.wait().unwrap();
    // The lock is the kernel's; what ends it is that the holder is gone.
    assert_eq!(site.read("heard").lines().filter(|line| *line == "D").count(), 1);
}

/// A bus of these lines in a folder and with a log of its own.
fn bus_at(backend: &str) -> Site {
    Site::new(&format!("[[cbus]]\nname = \"lobby\"\n[cbus.backend.{backend}\n"))
}

/// The bus of `first` is being talked to once `is_talking`; every other name of its endpoint is as busy.
fn assert_one_endpoint(first: &Site, is_talking: impl Fn() -> bool, others: &[Site]) {
    let mut talking = first.spawn(EW_CBUS, "probe --trace trace");
    while !is_talking() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    for other in others {
        let ended = run(other, "probe").exit(75).stdout("");
        let said = "ew-cbus: lobby: Last talk on the bus still active, skipping current request";
        assert!(ended.stderr.starts_with(said), "{}{}", other.read("ew.toml"), ended.stderr);
        assert!(ended.stderr.contains("another log: ss -xap shows who has @ew-bus-t"), "{}", ended.stderr);
    }
    talking.kill().unwrap();
    talking.wait().unwrap();
}

#[test]
fn a_port_is_one_under_every_name_and_with_every_log() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    let first = bus_at(&format!("cni]\nhost = \"127.0.0.1\"\nport = {port}"));
    let others = ["localhost", "::1", "127.0.0.1"];
    let mut others: Vec<Site> =
        others.iter().map(|host| bus_at(&format!("cni]\nhost = \"{host}\"\nport = {port}"))).collect();
    others.push(bus_at(&format!("cgate]\nhost = \"localhost\"\nport = {port}\nproject = \"HQ\"")));
    others.push(bus_at(&format!("exec]\ncommand = [\"sleep\", \"127.0.0.1:{port}\"]")));
    let held = std::cell::RefCell::new(Vec::new());
    let is_talking = || listener.accept().map(|one| held.borrow_mut().push(one)).is_ok();
    assert_one_endpoint(&first, is_talking, &others);
    // Who had it was killed, and the kernel has let go of it: here it is the far side that is no CNI.
    drop(listener);
    run(&others[0], "probe").exit(69);
}

#[test]
fn a_serial_port_is_one_under_every_name() {
    let sim = ew::sibling(EW_CBUS, "ew-sim");
    let mut sim = Command::new(sim)
        .args(["pci", "--for", "5m", "--pty", "--fault", "mute"])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(sim.stdout.take().unwrap()), &mut line).unwrap();
    let device = line.split_whitespace().nth(1).unwrap().to_owned();
    let first = bus_at(&format!("pci]\ndevice = {device:?}"));
    let linked = bus_at("pci]\ndevice = \"cbus\"");
    std::os::unix::fs::symlink(&device, linked.file("cbus")).unwrap();
    let child = bus_at(&format!("exec]\ncommand = [\"cbus_cli\", {device:?}]"));
    let is_talking = || std::fs::read(first.file("trace")).is_ok_and(|trace| !trace.is_empty());
    assert_one_endpoint(&first, is_talking, &[linked, child]);
    sim.kill().unwrap();
    sim.wait().unwrap();
}

#[test]
fn one_discovery_document_for_any_number_of_buses_and_each_in_the_log() {
    let mut site =
        Site::new(&(bus("lobby", "", "") + &bus("annex", "", "none") + &bus("hall", "", "--crlf")));
    site.now("2026-03-01T00:00:00Z");
    let ended = run(&site, "discover --json").exit(1);
    let found = json(&ended);
    assert_eq!(found["complete"], false);
    assert_eq!(found["errors"][0]["bus"], "annex");
    assert!(found["incomplete_reasons"][0].as_str().unwrap().starts_with("annex: "), "{found:#}");
    let heads: Vec<_> =
        found["discoveries"].as_array().unwrap().iter().map(|d| (&d["id"], &d["bus"])).collect();
    assert_eq!(heads, [(&1.into(), &"lobby".into()), (&2.into(), &"hall".into())]);
    assert_eq!(found["units"].as_array().unwrap().len(), 6);
    run(&site, "discover lobby --dry-run").exit(0);
    run(&site, "diff --bus lobby").exit(66);
    site.write("all.json", &ended.stdout);
    run(&site, "diff all.json").exit(0).stdout("");
    run(&site, "diff all.json all.json --json").exit(0);
}

#[test]
fn diff_tells_what_changed() {
    let mut site = lobby("rows");
    site.write("rows", ROWS);
    let ended = run(&site, "diff").exit(66).stdout("");
    assert!(
        ended.stderr.contains("the log has no discovery of lobby\n  hint: ew-cbus discover"),
        "{}",
        ended.stderr
    );
    run(&site, "discover").exit(0);
    let ended = run(&site, "diff").exit(66).stdout("");
    assert!(
        ended.stderr.contains("only one discovery of lobby\n  hint: run ew-cbus discover again"),
        "{}",
        ended.stderr
    );
    site.now("2026-03-01T00:05:00Z");
    site.write("rows", &ROWS.replace("=255", "=0"));
    run(&site, "discover").exit(0);
    run(&site, "diff").exit(0).stdout("").stderr("");
    run(&site, "diff --levels").exit(1).stdout("changed group 00/56/1 level: \"255\" -> \"0\"\n");
    site.write("rows", "unit:1,network:00,apps:56\nunit:1,network:00,groups:1,2\nunit:4,network:00\nlevel:56,1=0\nlevel:56,2=1\n");
    let saved = run(&site, "discover --json").exit(0).stdout;
    site.write("later.json", &saved);
    let expect = "removed group 00/56/7\nchanged unit 00/1 groups: \"1,2,7\" -> \"1,2\"\nadded unit 00/4\n";
    run(&site, "diff").exit(1).stdout(expect);
    run(&site, "diff 1 3").exit(1).stdout(expect);
    run(&site, "diff 1").exit(1).stdout(expect);
    run(&site, "diff 1 later.json").exit(1).stdout(expect);
    let report = json(&run(&site, "diff 1 later.json --json").exit(1));
    assert_eq!(report["same"], false);
    assert_eq!(report["changes"][0]["change"], "removed");
    assert_eq!((&report["old"][0]["id"], &report["new"][0]["id"]), (&1.into(), &3.into()));
    // A child that dies: what is known to be missing is not gone.
    site.write("ew.toml", &bus("lobby", "", "rows --exit-after 1"));
    run(&site, "discover").exit(1);
    let ended = run(&site, "diff 1 4").exit(1);
    assert_eq!(ended.stdout, expect.replace("removed", "not seen"));
    assert!(ended.stderr.contains("the new discovery is not whole"), "{}", ended.stderr);
    run(&site, "diff 1 4 --strict").exit(65).stdout("");
    run(&site, "diff 99").exit(2);
    run(&site, "diff none.json").exit(74);
    run(&site, "diff rows").exit(65);
    run(&site, "diff .").exit(65);
}

#[test]
fn of_a_list_that_a_document_does_not_have_no_change_is_told() {
    let site = lobby("rows");
    site.write("rows", ROWS);
    let mut document = json(&run(&site, "discover --json").exit(0));
    site.write("rows", &ROWS.replace("1,2,7", "1,2,8").replace("7=0", "8=0"));
    run(&site, "discover").exit(0);
    let changes = run(&site, "diff 1 2").exit(1).stdout;
    assert!(changes.contains("removed group 00/56/7\n") && changes.contains("changed unit 00/1 groups"));
    document.as_object_mut().unwrap().remove("groups");
    document["unit_groups"] = Value::Null;
    site.write("old.json", &document.to_string());
    for sides in ["old.json 2", "2 old.json", "old.json old.json"] {
        let ended = run(&site, &format!("diff {sides}")).exit(0).stdout("");
        assert!(ended.stderr.contains(" document has no groups, unit_groups: no change"), "{}", ended.stderr);
    }
    document["groups"] = "none".into();
    site.write("old.json", &document.to_string());
    let ended = run(&site, "diff old.json 2").exit(65);
    assert!(ended.stderr.contains("old.json: its groups are no list"), "{}", ended.stderr);
}

/// Exports and polls of other things go on without it.
#[test]
fn a_file_that_is_missing_is_found_by_check_alone() {
    let site = bus_at("cgate]\nhost = \"192.0.2.5\"\ntls = true\nca_file = \"none.pem\"");
    let ended = run(&site, "--check").exit(78).stdout("");
    assert!(
        ended.stderr.starts_with("ew-cbus: ew.toml:6:11: ca_file none.pem: no such file"),
        "{}",
        ended.stderr
    );
    run(&site, "diff").exit(66);
}

#[test]
fn a_level_that_is_not_told_any_more_is_told_with_levels() {
    let site = lobby("rows");
    site.write("rows", ROWS);
    run(&site, "discover").exit(0);
    site.write("rows", &ROWS.replace("level:56,2=128\n", ""));
    run(&site, "discover").exit(1);
    run(&site, "diff").exit(0).stdout("");
    run(&site, "diff --levels").exit(1).stdout("changed group 00/56/2 level: \"128\" -> unknown\n");
    let report = json(&run(&site, "diff --levels --json").exit(1));
    assert_eq!((&report["changes"][0]["old"], &report["changes"][0]["new"]), (&"128".into(), &Value::Null));
}

#[test]
fn a_terminal_is_not_told_what_to_do_by_a_label() {
    let site = lobby("");
    database(&site.file("HQ.db"));
    let sql = "update tagged_entity set tag_name = 'A' || char(27) || '[2J' || char(10) || 'B' where id = 4";
    rusqlite::Connection::open(site.file("HQ.db")).unwrap().execute_batch(sql).unwrap();
    run(&site, "import-tags HQ.db").exit(0);
    let table = run(&site, "discover").exit(0).stdout;
    assert!(table.contains("group        00/56/1  A\\u{1b}[2J\\nB  255"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    let found = json(&run(&site, "discover --json").exit(0));
    assert_eq!(found["groups"][0]["tag"], "A\u{1b}[2J\nB");
    // JSON itself lets these through.
    let sql = "update tagged_entity set tag_name = 'A' || char(155, 127, 8238) where id = 4";
    rusqlite::Connection::open(site.file("HQ.db")).unwrap().execute_batch(sql).unwrap();
    run(&site, "import-tags HQ.db").exit(0);
    let ended = run(&site, "discover --json").exit(0);
    assert!(ended.stdout.contains("\"A\\u009b\\u007f\\u202e\""), "{}", ended.stdout);
    assert_eq!(json(&ended)["groups"][0]["tag"], "A\u{9b}\u{7f}\u{202e}");
    // Nor by what is said on stderr.
    let ended = run(&site, "import-tags a\u{1b}[2J.xml").exit(74);
    assert!(ended.stderr.contains("a\\u{1b}[2J.xml"), "{}", ended.stderr);
}

#[test]
fn a_trace_that_cannot_be_written_stops_nothing_and_is_told() {
    let ended = run(&lobby(""), "get lobby 56 1 --trace /dev/full").exit(0).stdout("255\n");
    assert!(
        ended.stderr.contains("lobby: the trace is not whole: No space left on device"),
        "{}",
        ended.stderr
    );
}

/// A column has not that many characters.
#[test]
fn a_label_of_any_length_can_be_shown() {
    let site = lobby("");
    database(&site.file("HQ.db"));
    let sql = "update tagged_entity set tag_name = printf('%.70000c', 'A') where id = 4";
    rusqlite::Connection::open(site.file("HQ.db")).unwrap().execute_batch(sql).unwrap();
    run(&site, "import-tags HQ.db").exit(0);
    let table = run(&site, "discover").exit(0).stdout;
    assert!(table.contains(&"A".repeat(70_000)));
    assert!(table.lines().all(|line| line.len() < 1000 || line.contains("AAAA")));
}

/// A C-Gate 3 project with the tables that matter, made from those of a real one.
fn database(path: &Path) {
    let sql = "
        pragma journal_mode = wal;
        create table tagged_entity (id integer primary key, tag_name text not null, address text, description text,
            display_id integer);
        create table project (id integer primary key, oid text, tagged_entity_id integer not null);
        create table network (id integer primary key, oid text, tagged_entity_id integer not null,
            project_id integer not null, network_number integer, network_signature text, last_verified integer);
        create table interface (id integer primary key, oid text, interface_type text, interface_address text,
            network_id integer not null);
        create table application (id integer primary key, oid text, tagged_entity_id integer not null,
            network_id integer not null);
        create table _group (id integer primary key, oid text, tagged_entity_id integer not null,
            application_id integer not null, area integer, phantom integer);
        create table unit (id integer primary key, oid text, tagged_entity_id integer not null,
            network_id integer not null, unit_type text, unit_name text, serial_number text, firmware_version text,
            catalog_number text);
        insert into tagged_entity (id, tag_name, address) values (1, 'HQ', 'HQ'), (2, 'Local Network', '254'),
            (3, 'Lighting', '56'), (4, 'Porch', '1'), (5, 'Hall', '2'), (6, '<Unused>', '255'), (7, 'Dimmer', '1'),
            (8, 'Attic', '9');
        insert into project values (1, null, 1);
        insert into network values (1, null, 2, 1, 254, null, null);
        insert into interface values (1, null, 'cni', '192.0.2.20:10001', 1);
        insert into application values (1, null, 3, 1);
        insert into _group values (1, null, 4, 1, null, null), (2, null, 5, 1, null, null), (3, null, 6, 1, null, null),
            (4, null, 8, 1, null, null);
        insert into unit values (1, null, 7, 1, 'DIMDN8', 'DIMMER  ', '100385.2535', '2.4.00', 'L5508D1A');
        pragma wal_checkpoint(truncate);";
    rusqlite::Connection::open(path).unwrap().execute_batch(sql).unwrap();
}

fn zipped(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap().into_inner()
}

/// The tags of groups 1, 2 and 7 after an import.
fn tags_after(site: &Site, import: &str) -> (Vec<Option<String>>, Value) {
    run(site, &format!("import-tags {import}")).exit(0);
    let found = json(&run(site, "discover --json").exit(0));
    let group = |address: u64| {
        let of = |group: &&Value| group["application"] == 56 && group["address"] == address;
        let group = found["groups"].as_array().unwrap().iter().find(of).unwrap();
        group["tag"].as_str().map(str::to_owned)
    };
    ([1, 2, 7].map(group).to_vec(), found)
}

#[test]
fn tags_come_from_every_kind_of_file_and_join_what_is_discovered() {
    let site = lobby("");
    let xml = fixture("project.xml");
    let some = |tag: &str| Some(tag.to_owned());
    let of_xml = vec![some("Porch"), some("Hall & stairs"), some("Küche")];
    let (tags, found) = tags_after(&site, &format!("{} --network 254", xml.display()));
    assert_eq!(tags, of_xml);
    assert_eq!(found["networks"][0]["tag"], "Local Network");
    assert_eq!(found["networks"][0]["interface_address"], "192.0.2.20:10001");
    assert_eq!(found["units"][1]["tag"], "Switch in the hall");
    let in_db: Vec<_> =
        found["units"].as_array().unwrap().iter().map(|unit| unit["in_db"].as_bool()).collect();
    assert_eq!(in_db, [Some(true), Some(true), Some(false)]);
    // What only the file has is there, without a level, and is not asked for.
    let trigger =
        found["groups"].as_array().unwrap().iter().find(|group| group["application"] == 202).unwrap();
    assert_eq!(
        (&trigger["source"], &trigger["level"], &trigger["tag"]),
        (&"file".into(), &Value::Null, &"Evening".into())
    );
    assert_eq!(trigger["on_bus"], Value::Null);
    run(&site, "poll").exit(0);
    assert_eq!(log(&site).len(), 3);

    std::fs::write(site.file("HQ.cbz"), zipped("HQ.xml", &std::fs::read(&xml).unwrap())).unwrap();
    assert_eq!(tags_after(&site, "HQ.cbz --network 254").0, of_xml);

    database(&site.file("HQ.db"));
    let bytes = std::fs::read(site.file("HQ.db")).unwrap();
    std::fs::write(site.file("HQ2.cbz"), zipped("HQ.db", &bytes)).unwrap();
    let of_db = vec![some("Porch"), some("Hall"), None];
    for file in ["HQ.db", "HQ2.cbz"] {
        let (tags, found) = tags_after(&site, file);
        assert_eq!(tags, of_db, "{file}");
        assert_eq!(found["units"][0]["tag"], "Dimmer");
        assert_eq!(found["groups"][2]["in_db"], false);
        assert_eq!(found["groups"][3]["tag"], "Attic");
    }
    // Read, and nothing else: not a byte changed, nothing made beside it.
    assert_eq!(std::fs::read(site.file("HQ.db")).unwrap(), bytes);
    assert!(!site.file("HQ.db-wal").exists() && !site.file("HQ.db-shm").exists());

    // A tag that changed is a renaming.
    let changes = run(&site, "diff 1 3").exit(1).stdout;
    assert!(changes.contains("renamed group 00/56/2 tag: \"Hall & stairs\" -> \"Hall\"\n"), "{changes}");
}

#[test]
fn whoever_has_one_network_says_which_of_a_project_it_is() {
    let site = bus_at("cni]\nhost = \"192.0.2.20\"");
    let file = fixture("project.xml");
    let ended = run(&site, &format!("import-tags {}", file.display())).exit(2).stdout("");
    assert!(ended.stderr.ends_with("hint: say which by --network; it has: 254 253\n"), "{}", ended.stderr);
    run(&site, &format!("import-tags {} --network 253", file.display())).exit(0);
}

#[test]
fn a_project_is_read_while_another_program_writes_to_it() {
    let site = lobby("");
    database(&site.file("HQ.db"));
    let holder = rusqlite::Connection::open(site.file("HQ.db")).unwrap();
    holder
        .execute_batch("begin immediate; update tagged_entity set tag_name = 'Other' where id = 4")
        .unwrap();
    assert_eq!(tags_after(&site, "HQ.db").0[0].as_deref(), Some("Porch"));
    holder.execute_batch("commit").unwrap();
}

#[test]
fn a_file_without_tags_is_65_and_the_tags_before_it_stay() {
    let site = lobby("");
    run(&site, &format!("import-tags {} --network 254", fixture("project.xml").display())).exit(0);
    rusqlite::Connection::open(site.file("other.db")).unwrap().execute_batch("create table t (x)").unwrap();
    std::fs::write(site.file("bad.cbz"), zipped("readme.txt", b"hello")).unwrap();
    site.write("bad.xml", "<Installation><Project>");
    let mut cut = std::fs::read(site.file("other.db")).unwrap();
    cut.truncate(700);
    std::fs::write(site.file("cut.db"), cut).unwrap();
    for (file, what) in [
        ("other.db", "not the SQLite database of a C-Bus project"),
        ("cut.db", "not the SQLite database of a C-Bus project"),
        ("bad.cbz", "no .xml and no .db"),
        ("bad.xml", "breaks off"),
        ("ew.toml", "no Installation"),
    ] {
        let ended = run(&site, &format!("import-tags {file}")).exit(65).stdout("");
        assert!(
            ended.stderr.starts_with(&format!("ew-cbus: {file}: ")) && ended.stderr.contains(what),
            "{}",
            ended.stderr
        );
    }
    run(&site, "import-tags none.xml").exit(74);
    // What would never end, or do something, is not opened.
    assert!(Command::new("mkfifo").arg(site.file("pipe")).status().unwrap().success());
    std::fs::create_dir(site.file("folder")).unwrap();
    std::fs::File::create(site.file("large.xml")).unwrap().set_len((64 << 20) + 1).unwrap();
    for (file, what) in [
        ("pipe", "pipe is a pipe, not a file"),
        ("folder", "folder is a directory, not a file"),
        ("/dev/zero", "/dev/zero is a device, not a file"),
        ("large.xml", "large.xml: it has more than 64 MiB"),
    ] {
        let ended = run(&site, &format!("import-tags {file}")).exit(65).stdout("");
        assert!(ended.stderr.starts_with(&format!("ew-cbus: {what}\n  hint: ")), "{}", ended.stderr);
    }
    run(&site, &format!("import-tags {} --network 7", fixture("project.xml").display())).exit(2);
    // The tags that are there would be lost by it.
    site.write("bare.xml", "<Installation><Project><TagName>HQ</TagName></Project></Installation>");
    let ended = run(&site, "import-tags bare.xml").exit(65).stdout("");
    assert!(ended.stderr.contains("bare.xml has no network in it"), "{}", ended.stderr);
    let latin = |declaration: &str| -> Vec<u8> {
        let text = std::fs::read_to_string(fixture("project.xml")).unwrap();
        let text = text.replace("Porch", "P\u{f6}rch");
        let (_, rest) = text.split_once("?>").unwrap();
        (declaration.to_owned() + rest).chars().map(|c| u8::try_from(u32::from(c)).unwrap()).collect()
    };
    std::fs::write(site.file("latin.xml"), latin("<?xml version=\"1.0\"?>")).unwrap();
    let ended = run(&site, "import-tags latin.xml --network 254").exit(65);
    assert!(ended.stderr.contains("latin.xml: it is no UTF-8 from byte "), "{}", ended.stderr);
    let found = json(&run(&site, "discover --json").exit(0));
    assert_eq!(found["groups"][0]["tag"], "Porch");
    let declared = latin("<?xml version=\"1.0\" encoding=\"iso-8859-1\"?>");
    std::fs::write(site.file("latin.xml"), declared).unwrap();
    assert_eq!(tags_after(&site, "latin.xml --network 254").0[0].as_deref(), Some("P\u{f6}rch"));
}

#[test]
fn probe_and_what_exec_cannot_do() {
    let site = lobby("");
    let ended = run(&site, "probe").exit(0).stderr("");
    assert!(ended.stdout.ends_with(
        "--fake: answers\n  says: ew-sim cbus-cli\n  prompt: ready>\n  scan: 3 units, networks: 00\n"
    ));
    let ended = run(&site, "measure").exit(78).stdout("");
    assert!(ended.stderr.contains("the exec dialect has no measurements"), "{}", ended.stderr);
    assert_eq!(log(&site), Vec::<String>::new());
    run(&site, "discover hall").exit(2);
    run(&Site::new(""), "discover").exit(78);
}

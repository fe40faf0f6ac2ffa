//! `ew-sim` as its users meet it: the built program, asked by the clients of net-snmp (`snmpget`,
//! `snmpgetnext`, `snmpbulkget`, `snmpbulkwalk`, `snmpset`; Debian package `snmp`), which share no code with
//! it. A client that is not installed fails the test.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const SYS_NAME: &str = "1.3.6.1.2.1.1.5.0";
const ENERGYWISE: &str = "1.3.6.1.4.1.9.9.683";
const USAGE: &str = "1.3.6.1.4.1.9.9.683.1.6.1.8";

/// A running simulator; killed by its handle when dropped.
struct Sim {
    child: Child,
    /// Kept open: a simulator may well write to it again.
    stdout: BufReader<ChildStdout>,
    /// What came before the ready sign, or the line of JSON.
    announced: Vec<String>,
}

impl Sim {
    /// Starts `ew-sim snmp` and waits for its ready sign.
    fn start(args: &[&str]) -> Sim {
        let mut child = ew_sim().arg("snmp").args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut announced = Vec::new();
        loop {
            let mut line = String::new();
            assert_ne!(stdout.read_line(&mut line).unwrap(), 0, "ended before it was ready");
            let line = line.trim_end().to_owned();
            match line.as_str() {
                "ready" => break,
                json if json.starts_with('{') => {
                    announced.push(line);
                    break;
                }
                _ => announced.push(line),
            }
        }
        Sim { child, stdout, announced }
    }

    /// The address of switch `n`, from 1.
    fn address(&self, n: usize) -> &str {
        self.announced[n - 1].split(' ').nth(1).unwrap()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ew_sim() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ew-sim"));
    command.stdin(Stdio::null());
    command
}

/// Runs a client of net-snmp with numeric output; `args` hold the version, the community and the rest.
fn client(program: &str, args: &[&str]) -> Output {
    Command::new(program)
        .args(["-t", "5", "-r", "0", "-On"])
        .args(args)
        // Neither MIB files nor anybody's snmp.conf may change what is seen.
        .env("MIBS", "")
        .env("SNMPCONFPATH", "/nonexistent")
        .env("SNMP_PERSISTENT_DIR", "/nonexistent")
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|e| panic!("{program} (Debian package snmp) cannot be run: {e}"))
}

/// The lines of a client that must succeed.
fn lines(program: &str, args: &[&str]) -> Vec<String> {
    let output = client(program, args);
    assert!(output.status.success(), "{program} {args:?}: {output:?}");
    text(&output.stdout).lines().map(|l| l.trim_end().to_owned()).collect()
}

/// The rows of a walk, without the remark at the end of all rows.
fn walked(program: &str, args: &[&str]) -> Vec<String> {
    let mut rows = lines(program, args);
    rows.retain(|row| row != "End of MIB" && !row.contains("No more variables left in this MIB View"));
    rows
}

fn get(version: &str, community: &str, address: &str, oid: &str) -> String {
    lines("snmpget", &[version, "-c", community, address, oid]).concat()
}

fn name_of(community: &str, address: &str) -> String {
    get("-v2c", community, address, SYS_NAME)
}

fn named(name: &str) -> String {
    format!(".{SYS_NAME} = STRING: \"{name}\"")
}

/// Asks once with a time-out of one second; true where nothing comes back.
fn is_silent(version: &str, community: &str, address: &str) -> bool {
    let output = client("snmpget", &[version, "-c", community, "-t", "1", address, SYS_NAME]);
    !output.status.success() && text(&output.stderr).contains("Timeout: No Response")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fixture() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/energywise/switch.snmprec")
}

/// A row of the fixture as net-snmp prints it.
fn printed(row: &str) -> String {
    let mut fields = row.splitn(3, '|');
    let (oid, tag, value) = (fields.next().unwrap(), fields.next().unwrap(), fields.next().unwrap());
    let value = match tag {
        "2" => format!("INTEGER: {value}"),
        "4" if value.is_empty() => "\"\"".to_owned(),
        "4" => format!("STRING: \"{value}\""),
        "4x" => {
            let pairs: Vec<String> = value.as_bytes().chunks(2).map(|p| text(p).to_uppercase()).collect();
            format!("Hex-STRING: {}", pairs.join(" "))
        }
        "66" => format!("Gauge32: {value}"),
        other => panic!("the fixture below {ENERGYWISE} has no tag {other}"),
    };
    format!(".{oid} = {value}")
}

/// Compares long listings and shows only the first line that differs.
fn assert_same(found: &[String], expected: &[String]) {
    let first = found.iter().zip(expected).find(|(found, expected)| found != expected);
    assert_eq!((first, found.len()), (None, expected.len()));
}

/// Runs to its end a simulator that is not expected to serve; its exit code, stdout and stderr.
fn ended(args: &[&str]) -> (i32, String, String) {
    let output = ew_sim().args(args).output().unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn one_switch_is_there_without_any_option() {
    let sim = Sim::start(&[]);
    let address = sim.address(1);
    assert_eq!(sim.announced, [format!("sw0001 {address} public com.example.hq")]);
    assert_eq!(name_of("public", address), named("sw0001"));
    assert_eq!(get("-v1", "public", address, SYS_NAME), named("sw0001"));
    let next = lines("snmpgetnext", &["-v2c", "-c", "public", address, "1.3.6.1.2.1.1.3.0"]);
    assert_eq!(next, [named("sw0001")]);
    let domain = get("-v2c", "public", address, &format!("{ENERGYWISE}.1.3.0"));
    assert_eq!(domain, format!(".{ENERGYWISE}.1.3.0 = STRING: \"com.example.hq\""));
}

#[test]
fn a_walk_gives_the_rows_of_the_file() {
    let fixture = fixture();
    let sim = Sim::start(&["--data", fixture.to_str().unwrap()]);
    let content = std::fs::read_to_string(&fixture).unwrap();
    let expected: Vec<String> =
        content.lines().filter(|l| l.starts_with(&format!("{ENERGYWISE}."))).map(printed).collect();
    assert!(expected.len() > 500, "{}", expected.len());
    let target = [sim.address(1), ENERGYWISE];
    for repetitions in ["-Cr1", "-Cr10", "-Cr1000"] {
        let args = [&["-v2c", "-c", "public", repetitions], &target[..]].concat();
        assert_same(&walked("snmpbulkwalk", &args), &expected);
    }
    assert_same(&walked("snmpwalk", &[&["-v1", "-c", "public"], &target[..]].concat()), &expected);
    assert!(sim.announced[0].ends_with(" public com.cisco.bldg19"), "{:?}", sim.announced);
}

#[test]
fn generated_rows_are_the_same_each_run() {
    let walk = |args: &[&str]| {
        let sim = Sim::start(args);
        lines("snmpbulkwalk", &["-v2c", "-c", "public", "-Cr50", sim.address(1), "1.3"])
    };
    let seeded = walk(&["--seed", "5", "--entities", "3"]);
    assert_eq!(walk(&["--seed", "5", "--entities", "3"]), seeded);
    assert_ne!(walk(&["--seed", "6", "--entities", "3"]), seeded);
    let usage = |rows: &[String]| rows.iter().filter(|l| l.starts_with(&format!(".{USAGE}."))).count();
    assert_eq!(usage(&seeded), 4);
}

#[test]
fn what_is_not_there_is_said_or_passed_over() {
    let sim = Sim::start(&[]);
    let address = sim.address(1);
    let missing = format!("{USAGE}.9999");
    assert!(get("-v2c", "public", address, &missing).contains("No Such Instance"), "{missing}");
    assert!(get("-v2c", "public", address, "1.3.6.1.2.1.47.1.0").contains("No Such Object"));
    let end = lines("snmpgetnext", &["-v2c", "-c", "public", address, "1.3.6.1.4.1.9.9.684"]).concat();
    assert!(end.contains("No more variables left in this MIB View"), "{end}");

    let v1 = client("snmpget", &["-v1", "-c", "public", address, &missing]);
    assert!(text(&v1.stderr).contains("(noSuchName)"), "{v1:?}");
    assert!(is_silent("-v2c", "wrong", address));
    assert!(is_silent("-v1", "wrong", address));
}

#[test]
fn a_change_is_refused() {
    let sim = Sim::start(&[]);
    for (version, reason) in [("-v1", "(readOnly)"), ("-v2c", "notWritable")] {
        let change = client("snmpset", &[version, "-c", "public", sim.address(1), SYS_NAME, "s", "mine"]);
        assert!(!change.status.success());
        assert!(text(&change.stderr).contains(reason), "{change:?}");
    }
    assert_eq!(name_of("public", sim.address(1)), named("sw0001"));
}

#[test]
fn switches_are_told_apart_by_port() {
    let sim = Sim::start(&["--switches", "2", "--community", "lab"]);
    assert_ne!(sim.address(1), sim.address(2));
    assert_eq!(name_of("lab", sim.address(1)), named("sw0001"));
    assert_eq!(name_of("lab", sim.address(2)), named("sw0002"));
    assert!(is_silent("-v2c", "public", sim.address(1)));
}

#[test]
fn switches_are_told_apart_by_community() {
    let sim = Sim::start(&["--switches", "2", "--by", "community", "--domain", "com.example.lab"]);
    let address = sim.address(1);
    let expected = ["sw0001", "sw0002"].map(|name| format!("{name} {address} {name} com.example.lab"));
    assert_eq!(sim.announced, expected);
    assert_eq!(name_of("sw0001", address), named("sw0001"));
    assert_eq!(name_of("sw0002", address), named("sw0002"));
    assert!(is_silent("-v2c", "public", address));
}

#[test]
fn many_switches_serve_one_file_under_their_own_names() {
    let sim = Sim::start(&["--switches", "300", "--data", fixture().to_str().unwrap()]);
    assert_eq!(sim.announced.len(), 300);
    for n in [1, 150, 300] {
        assert_eq!(name_of("public", sim.address(n)), named(&format!("sw{n:04}")));
        let first = lines("snmpbulkget", &["-v2c", "-c", "public", "-Cr1", sim.address(n), USAGE]);
        assert_eq!(first, [format!(".{USAGE}.1001 = Gauge32: 76")]);
    }
}

#[test]
fn a_silent_switch_is_silent_and_the_others_are_not() {
    let sim = Sim::start(&["--switches", "3", "--by", "community", "--fault", "silent=sw0002"]);
    assert!(is_silent("-v2c", "sw0002", sim.address(2)));
    assert_eq!(name_of("sw0003", sim.address(3)), named("sw0003"));
}

#[test]
fn a_slow_switch_answers_late_and_holds_up_no_other() {
    let sim = Sim::start(&["--switches", "2", "--by", "community", "--fault", "slow=sw0001:1500ms"]);
    let address = sim.address(1).to_owned();
    let start = Instant::now();
    let slow = std::thread::spawn(move || (name_of("sw0001", &address), start.elapsed()));
    // Long enough for the slow one to have been asked.
    sleep(Duration::from_millis(300));
    assert_eq!(name_of("sw0002", sim.address(2)), named("sw0002"));
    assert!(start.elapsed() < Duration::from_millis(1400), "{:?}", start.elapsed());
    let (answer, elapsed) = slow.join().unwrap();
    assert_eq!(answer, named("sw0001"));
    assert!(elapsed >= Duration::from_millis(1500), "{elapsed:?}");
}

#[test]
fn drifting_usage_differs_from_second_to_second() {
    let sim = Sim::start(&["--drift", "--seed", "3"]);
    let read = || lines("snmpbulkget", &["-v2c", "-c", "public", "-Cr11", sim.address(1), USAGE]);
    let first = read();
    assert_eq!(first.len(), 11);
    sleep(Duration::from_millis(1100));
    assert_ne!(read(), first);
}

#[test]
fn json_is_one_line_and_the_ready_sign() {
    let mut sim = Sim::start(&["--json", "--for", "300ms"]);
    let expected = r#"{"switches":[{"name":"sw0001","address":"127.0.0.1:"#;
    assert!(sim.announced[0].starts_with(expected), "{:?}", sim.announced);
    assert!(sim.announced[0].ends_with(r#"","community":"public","domain":"com.example.hq"}]}"#));
    // The end of --for is a good end, and nothing more was said.
    let mut rest = String::new();
    sim.stdout.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), sim.child.wait().unwrap().code()), ("", Some(0)));
}

#[test]
fn help_has_an_example_and_the_exit_codes() {
    for args in [&["--help"][..], &["snmp", "--help"]] {
        let (code, out, err) = ended(args);
        assert_eq!((code, err.as_str()), (0, ""));
        for part in ["Example", "ew-sim snmp --listen 127.0.0.1:16161", "Exit codes:", "65  bad input data"] {
            assert!(out.contains(part), "{part} in {out}");
        }
    }
}

#[test]
fn a_wrong_command_line_is_2() {
    let cases = [
        (
            &["snmp", "--fault", "silent=sw0002"][..],
            "--fault silent=sw0002: no switch sw0002; there is only sw0001",
        ),
        (&["snmp", "--fault", "loud=sw0001"], "no fault is called \"loud\""),
        (&["snmp", "--by", "community", "--community", "x"], "--community goes with --by port"),
        (&["snmp", "--switches", "1001"], "at most 1000 by port"),
        (&["snmp", "--listen", "127.0.0.1:65535", "--switches", "2"], "ports above 65535"),
        (&["snmp", "--switches", "0"], "0 is not in 1..=9999"),
        (&["snmp", "--data", "x", "--domain", "y"], "cannot be used with"),
        (&[], "Usage: ew-sim"),
    ];
    for (args, part) in cases {
        let (code, out, err) = ended(args);
        assert_eq!((code, out.as_str()), (2, ""), "{args:?}");
        assert!(err.contains(part), "{args:?}: {err}");
    }
}

#[test]
fn a_bad_data_file_is_65_and_names_the_line() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("bad.snmprec");
    let path = file.to_str().unwrap();
    std::fs::write(&file, "1.3.6.1.2.1.1.5.0|4|sw\n1.3.6.1.2.1.1.3.0|67:numeric|rate=100\n").unwrap();
    let expected = format!(
        "ew-sim: {path}: line 2: tag \"67:numeric\": variations such as \"numeric\" are not simulated; write a \
         plain value\n  hint: a row is OID|TAG|VALUE, for example 1.3.6.1.2.1.1.5.0|4|sw0001\n"
    );
    assert_eq!(ended(&["snmp", "--data", path]), (65, String::new(), expected));

    std::fs::write(&file, "# nothing\n").unwrap();
    let (code, _, err) = ended(&["snmp", "--data", path]);
    assert_eq!(code, 65);
    assert!(err.starts_with(&format!("ew-sim: {path}: line 1: no rows\n")), "{err}");
}

#[test]
fn an_unreadable_file_and_an_address_in_use_are_74() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.snmprec");
    let (code, out, err) = ended(&["snmp", "--data", path.to_str().unwrap()]);
    assert_eq!((code, out.as_str()), (74, ""));
    assert!(err.starts_with(&format!("ew-sim: cannot read {}: ", path.display())), "{err}");

    let sim = Sim::start(&[]);
    let (code, out, err) = ended(&["snmp", "--listen", sim.address(1)]);
    assert_eq!((code, out.as_str()), (74, ""));
    assert!(err.starts_with(&format!("ew-sim: cannot listen on {}: ", sim.address(1))), "{err}");
    assert!(err.contains("\n  hint: choose another port with --listen"), "{err}");
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = ew_sim().arg("snmp").stdout(writer).stderr(Stdio::piped()).output().unwrap();
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
}

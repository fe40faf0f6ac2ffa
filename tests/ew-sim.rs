//! `ew-sim` as its users meet it: the built program, asked by the clients of net-snmp (`snmpget`,
//! `snmpgetnext`, `snmpbulkget`, `snmpbulkwalk`, `snmpset`; Debian package `snmp`), which share no code with
//! it. A client that is not installed fails the test. What no client shows is seen by a bare socket.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read};
use std::net::UdpSocket;
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

/// A v2c GET of sysName.0, typed from RFC 1901 and RFC 3416.
fn sys_name_question(id: u8) -> Vec<u8> {
    let head = b"\x30\x26\x02\x01\x01\x04\x06public\xa0\x19\x02\x01";
    let tail = b"\x02\x01\x00\x02\x01\x00\x30\x0e\x30\x0c\x06\x08\x2b\x06\x01\x02\x01\x01\x05\x00\x05\x00";
    [&head[..], &[id], tail].concat()
}

/// Sends a v2c GET of sysName.0 under each of these request ids, and collects what comes back until nothing
/// has come for half a second.
fn exchanged(address: &str, ids: std::ops::RangeInclusive<u8>) -> Vec<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    for id in ids {
        socket.send_to(&sys_name_question(id), address).unwrap();
    }
    let mut answers = Vec::new();
    let mut buffer = [0; 2000];
    while let Ok(length) = socket.recv(&mut buffer) {
        answers.push(buffer[..length].to_vec());
    }
    answers
}

/// What a good switch answers to the first of these.
fn good_answer() -> Vec<u8> {
    let answer = exchanged(Sim::start(&[]).address(1), 1..=1).concat();
    assert!(answer.ends_with(b"\x04\x06sw0001"), "{answer:x?}");
    answer
}

#[test]
fn a_lossy_switch_loses_the_same_requests_each_run() {
    let answered = |seed: &str| {
        let sim = Sim::start(&["--fault", "lossy=sw0001:40", "--seed", seed]);
        exchanged(sim.address(1), 1..=100).iter().map(|answer| answer[17]).collect::<Vec<_>>()
    };
    let first = answered("1");
    assert!((45..75).contains(&first.len()), "{first:?}");
    assert_eq!(answered("1"), first);
    assert_ne!(answered("2"), first);

    // A client that asks again gets through.
    let sim = Sim::start(&["--fault", "lossy=all:60"]);
    let args = ["-v2c", "-c", "public", "-t", "0.2", "-r", "30", sim.address(1), SYS_NAME];
    assert_eq!(lines("snmpget", &args), [named("sw0001")]);
}

#[test]
fn a_duplicating_switch_says_the_same_twice() {
    let good = good_answer();
    let sim = Sim::start(&["--fault", "duplicating=sw0001"]);
    assert_eq!(exchanged(sim.address(1), 1..=1), [good.clone(), good.clone()]);
    // A walk of many requests, each with a stale answer before its own.
    let rows = walked("snmpwalk", &["-v2c", "-c", "public", sim.address(1), USAGE]);
    assert_eq!(rows.len(), 11);

    let sim = Sim::start(&["--fault", "duplicating=sw0001:50"]);
    let some = exchanged(sim.address(1), 1..=100).len();
    assert!((130..170).contains(&some), "{some}");
    let sim = Sim::start(&["--fault", "duplicating=sw0001:0"]);
    assert_eq!(exchanged(sim.address(1), 1..=1), [good]);
}

#[test]
fn a_truncated_answer_is_its_first_half() {
    let good = good_answer();
    let sim = Sim::start(&["--switches", "2", "--fault", "truncated=sw0001"]);
    assert_eq!(exchanged(sim.address(1), 1..=1), [good[..good.len() / 2].to_vec()]);
    assert!(is_silent("-v2c", "public", sim.address(1)));
    assert_eq!(name_of("public", sim.address(2)), named("sw0002"));
}

#[test]
fn a_corrupt_answer_differs_from_the_good_one_in_the_same_bytes_each_run() {
    let good = good_answer();
    let corrupt = |seed: &str| {
        let sim = Sim::start(&["--fault", "corrupt=sw0001", "--seed", seed]);
        (0..20).map(|_| exchanged_once(sim.address(1))).collect::<Vec<_>>()
    };
    let first = corrupt("1");
    for answer in &first {
        assert_eq!(answer.len(), good.len());
        let changed = answer.iter().zip(&good).filter(|(found, sent)| found != sent).count();
        assert!((1..=3).contains(&changed), "{changed}");
    }
    assert_eq!(corrupt("1"), first);
    assert_ne!(corrupt("2"), first);

    let sim = Sim::start(&["--fault", "corrupt=sw0001:30"]);
    let whole = (0..100).filter(|_| exchanged_once(sim.address(1)) == good).count();
    assert!((55..85).contains(&whole), "{whole}");
}

/// The one answer to one request.
fn exchanged_once(address: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    socket.send_to(&sys_name_question(1), address).unwrap();
    let mut buffer = [0; 2000];
    let length = socket.recv(&mut buffer).unwrap();
    buffer[..length].to_vec()
}

#[test]
fn a_switch_of_a_wrong_domain_is_announced_under_the_right_one() {
    let faults = ["--fault", "wrong-domain=sw0002", "--fault", "wrong-domain=sw0003:com.example.lab"];
    let sim = Sim::start(&[&["--switches", "3"], &faults[..]].concat());
    assert!(sim.announced.iter().all(|line| line.ends_with(" com.example.hq")), "{:?}", sim.announced);
    for (n, domain) in [(1, "com.example.hq"), (2, "com.example.wrong"), (3, "com.example.lab")] {
        let name = format!("{ENERGYWISE}.1.3.0");
        let expected = format!(".{name} = STRING: \"{domain}\"");
        assert_eq!(get("-v2c", "public", sim.address(n), &name), expected);
    }
}

#[test]
fn rows_that_do_not_increase_end_a_walk() {
    let faults = ["--fault", "non-increasing=sw0001", "--fault", "non-increasing=sw0002:back"];
    let sim = Sim::start(&[&["--switches", "2"], &faults[..]].concat());
    for (n, instead) in [(1, "1002"), (2, "1001")] {
        for program in ["snmpwalk", "snmpbulkwalk"] {
            let walk = client(program, &["-v2c", "-c", "public", sim.address(n), USAGE]);
            assert!(!walk.status.success());
            let expected = format!("OID not increasing: .{USAGE}.1002\n >= .{USAGE}.{instead}\n");
            assert!(text(&walk.stderr).contains(&expected), "{program} {walk:?}");
        }
        // Rows by name, and those of a scalar, are as they should be.
        assert!(get("-v2c", "public", sim.address(n), &format!("{USAGE}.1003")).contains("Gauge32"));
        let next = lines("snmpgetnext", &["-v2c", "-c", "public", sim.address(n), "1.3.6.1.2.1.1.3.0"]);
        assert_eq!(next, [named(&format!("sw{n:04}"))]);
    }
}

#[test]
fn too_much_at_once_is_too_big() {
    let sim = Sim::start(&["--switches", "2", "--fault", "too-big=sw0001:5", "--fault", "too-big=sw0002"]);
    let names: Vec<String> = (1001..=1011).map(|index| format!("{USAGE}.{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for (n, most) in [(1, 5), (2, 10)] {
        for (count, fits) in [(most, true), (most + 1, false)] {
            let repetitions = format!("-Cr{count}");
            let bulk = ["-v2c", "-c", "public", &repetitions, sim.address(n), USAGE];
            let get = [&["-v2c", "-c", "public", sim.address(n)], &names[..count]].concat();
            let old = [&["-v1", "-c", "public", sim.address(n)], &names[..count]].concat();
            for (program, args) in [("snmpbulkget", &bulk[..]), ("snmpget", &get), ("snmpget", &old)] {
                let output = client(program, args);
                assert_eq!(output.status.success(), fits, "{output:?}");
                assert_eq!(text(&output.stderr).contains("(tooBig)"), !fits, "{output:?}");
            }
        }
    }
}

/// SNMPv3 by net-snmp's own names of the algorithms.
fn v3<'a>(level: &'a str, user: &'a str, auth: &'a str, privacy: &'a str) -> Vec<&'a str> {
    let mut args = vec!["-v3", "-l", level, "-u", user];
    if !auth.is_empty() {
        args.extend(["-a", auth, "-A", "authpass1"]);
    }
    if !privacy.is_empty() {
        args.extend(["-x", privacy, "-X", "privpass1"]);
    }
    args
}

/// A user of each level.
const USERS: [&str; 6] = [
    "--v3-user",
    "guest",
    "--v3-user",
    "reader:sha:authpass1",
    "--v3-user",
    "poller:sha256:authpass1:aes:privpass1",
];

#[test]
fn v3_gives_the_same_rows_at_each_level() {
    let sim = Sim::start(&USERS);
    let target = [sim.address(1), ENERGYWISE];
    let expected = walked("snmpbulkwalk", &[&["-v2c", "-c", "public"], &target[..]].concat());
    assert!(expected.len() > 500, "{}", expected.len());
    let levels = [
        v3("noAuthNoPriv", "guest", "", ""),
        v3("authNoPriv", "reader", "SHA", ""),
        v3("authPriv", "poller", "SHA-256", "AES"),
    ];
    for level in levels {
        for repetitions in ["-Cr10", "-Cr1000"] {
            let args = [&level[..], &[repetitions], &target].concat();
            assert_same(&walked("snmpbulkwalk", &args), &expected);
        }
        let get = [&level[..], &[sim.address(1), SYS_NAME]].concat();
        assert_eq!(lines("snmpget", &get), [named("sw0001")]);
        let missing = format!("{USAGE}.9999");
        let answer = lines("snmpget", &[&level[..], &[sim.address(1), &missing]].concat()).concat();
        assert!(answer.contains("No Such Instance"), "{answer}");
        let set = client("snmpset", &[&level[..], &[sim.address(1), SYS_NAME, "s", "mine"]].concat());
        assert!(text(&set.stderr).contains("notWritable"), "{set:?}");
    }
}

#[test]
fn v3_knows_the_algorithms_that_net_snmp_knows() {
    let cases = [
        ("md5", "MD5", "des", "DES"),
        ("sha", "SHA", "des", "DES"),
        ("md5", "MD5", "aes", "AES"),
        ("sha224", "SHA-224", "aes", "AES"),
        ("sha384", "SHA-384", "aes", "AES"),
        ("sha512", "SHA-512", "aes256", "AES-256"),
        ("sha", "SHA", "aes192", "AES-192"),
        ("md5", "MD5", "aes256", "AES-256"),
        ("sha", "SHA", "aes192c", "AES-192-C"),
        ("md5", "MD5", "aes256c", "AES-256-C"),
        ("sha224", "SHA-224", "aes256c", "AES-256-C"),
    ];
    let users: Vec<String> = cases
        .iter()
        .map(|(auth, _, privacy, _)| {
            format!("--v3-user={auth}{privacy}:{auth}:authpass1:{privacy}:privpass1")
        })
        .collect();
    let sim = Sim::start(&users.iter().map(String::as_str).collect::<Vec<_>>());
    for (auth, their_auth, privacy, their_privacy) in cases {
        let user = format!("{auth}{privacy}");
        let args = v3("authPriv", &user, their_auth, their_privacy);
        let args = [&args[..], &[sim.address(1), SYS_NAME]].concat();
        assert_eq!(lines("snmpget", &args), [named("sw0001")], "{user}");
    }
}

#[test]
fn v3_says_why_it_does_not_answer() {
    let sim = Sim::start(&USERS);
    let good = v3("authPriv", "poller", "SHA-256", "AES");
    let with = |more: &[&'static str]| [&good[..], more].concat();
    let cases = [
        (with(&["-A", "wrongpass"]), "Authentication failure (incorrect password, community or key)"),
        (with(&["-a", "SHA"]), "Authentication failure (incorrect password, community or key)"),
        (v3("noAuthNoPriv", "nobody", "", ""), "Unknown user name"),
        (v3("authPriv", "reader", "SHA", "AES"), "Unsupported security level"),
        (v3("authNoPriv", "poller", "SHA-256", ""), "authorizationError"),
        (v3("noAuthNoPriv", "reader", "", ""), "authorizationError"),
        (with(&["-n", "vlan-1"]), "Bad context specified"),
        // What a wrong privacy password decrypts to is no PDU, and so is dropped, as by net-snmp's own agent.
        (with(&["-X", "wrongpass", "-t", "1"]), "Timeout: No Response"),
    ];
    for (args, reason) in cases {
        let output = client("snmpget", &[&args[..], &[sim.address(1), SYS_NAME]].concat());
        assert!(!output.status.success() && text(&output.stderr).contains(reason), "{args:?}: {output:?}");
    }

    let without = Sim::start(&[]);
    let args =
        [&v3("noAuthNoPriv", "guest", "", "")[..], &["-t", "1", without.address(1), SYS_NAME]].concat();
    let output = client("snmpget", &args);
    assert!(text(&output.stderr).contains("Timeout"), "{output:?}");
}

/// The engine id that a switch tells one who does not know it: discovery of RFC 3414, section 4, typed from it.
fn discovered(address: &str) -> Vec<u8> {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let question = b"\x30\x38\x02\x01\x03\x30\x0e\x02\x01\x07\x02\x03\x00\xff\xe3\x04\x01\x04\x02\x01\x03\
        \x04\x10\x30\x0e\x04\x00\x02\x01\x00\x02\x01\x00\x04\x00\x04\x00\x04\x00\
        \x30\x11\x04\x00\x04\x00\xa0\x0b\x02\x01\x05\x02\x01\x00\x02\x01\x00\x30\x00";
    socket.send_to(question, address).unwrap();
    let mut buffer = [0; 500];
    let length = socket.recv(&mut buffer).unwrap();
    let report = &buffer[..length];
    // usmStatsUnknownEngineIDs.0 as a Counter32, in a report that answers request-id 5.
    let counter = b"\x06\x0a\x2b\x06\x01\x06\x03\x0f\x01\x01\x04\x00\x41\x01";
    assert!(report.windows(counter.len()).any(|part| part == counter), "{report:x?}");
    let head = b"\xa8\x1c\x02\x01\x05\x02\x01\x00\x02\x01\x00";
    assert!(report.windows(head.len()).any(|part| part == head), "{report:x?}");
    let start = report.windows(2).position(|part| part == [0x04, 11]).unwrap() + 2;
    report[start..start + 11].to_vec()
}

#[test]
fn v3_switches_are_engines_of_their_own() {
    let sim = Sim::start(&[&["--switches", "2"], &USERS[..]].concat());
    let ids = [1, 2].map(|n| discovered(sim.address(n)));
    assert_ne!(ids[0], ids[1]);
    assert_eq!(ids[0], discovered(sim.address(1)));
    let hex = ids.map(|id| id.iter().map(|b| format!("{b:02x}")).collect::<String>());
    let good = v3("authPriv", "poller", "SHA-256", "AES");
    for n in [1, 2] {
        let plain = [&good[..], &[sim.address(n), SYS_NAME]].concat();
        assert_eq!(lines("snmpget", &plain), [named(&format!("sw{n:04}"))]);
        let known = [&good[..], &["-e", &hex[n - 1], sim.address(n), SYS_NAME]].concat();
        assert_eq!(lines("snmpget", &known), [named(&format!("sw{n:04}"))]);
        let others = [&good[..], &["-e", &hex[2 - n], "-t", "1", sim.address(n), SYS_NAME]].concat();
        assert!(!client("snmpget", &others).status.success());
    }
}

#[test]
fn v3_tells_the_time_to_one_who_has_it_wrong() {
    let sim = Sim::start(&USERS);
    let id: String = discovered(sim.address(1)).iter().map(|b| format!("{b:02x}")).collect();
    let good = v3("authNoPriv", "reader", "SHA", "");
    let args = [&good[..], &["-e", &id, "-Z", "1,1", "-r", "1", "-d", sim.address(1), SYS_NAME]].concat();
    let output = client("snmpget", &args);
    // It asks again with the right time; the dump shows usmStatsNotInTimeWindows.0 in the report before.
    assert!(text(&output.stdout).contains(&named("sw0001")), "{output:?}");
    let dump: Vec<&str> = text_pairs(&output.stderr).chain(text_pairs(&output.stdout)).collect();
    let counter = ["2B", "06", "01", "06", "03", "0F", "01", "01", "02", "00", "41"];
    assert!(dump.windows(counter.len()).any(|part| part == counter), "{output:?}");
}

/// The bytes of net-snmp's dumps (`0016: FF E3 …    ....`), as pairs of hexadecimal digits.
fn text_pairs(output: &[u8]) -> impl Iterator<Item = &str> {
    let lines = std::str::from_utf8(output).unwrap().lines();
    let dumped = lines.filter_map(|line| line.split_once(": ").filter(|(place, _)| place.len() == 4));
    dumped.flat_map(|(_, line)| line.split("    ").next().unwrap_or_default().split_whitespace())
}

#[test]
fn v3_has_faults_too() {
    let faults =
        ["--fault", "wrong-domain=sw0001", "--fault", "corrupt=sw0002", "--fault", "too-big=sw0001:5"];
    let sim = Sim::start(&[&["--switches", "2"], &USERS[..], &faults].concat());
    let good = v3("authPriv", "poller", "SHA-256", "AES");
    let domain = format!("{ENERGYWISE}.1.3.0");
    let answer = lines("snmpget", &[&good[..], &[sim.address(1), &domain]].concat()).concat();
    assert!(answer.ends_with("STRING: \"com.example.wrong\""), "{answer}");
    let bulk = client("snmpbulkget", &[&good[..], &["-Cr6", sim.address(1), USAGE]].concat());
    assert!(text(&bulk.stderr).contains("(tooBig)"), "{bulk:?}");
    // A signed answer is never taken for another one, whichever bytes were changed.
    for _ in 0..5 {
        let args = [&good[..], &["-t", "0.3", sim.address(2), SYS_NAME]].concat();
        assert!(!client("snmpget", &args).status.success());
    }
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
fn help_lists_each_fault() {
    let (_, _, message) = ended(&["snmp", "--fault", "loud=sw0001"]);
    let (_, kinds) = message.split_once("there are ").unwrap();
    let (_, help, _) = ended(&["snmp", "--help"]);
    let kinds: Vec<&str> =
        kinds.lines().next().unwrap().split([',', ' ']).filter(|k| !k.is_empty()).collect();
    assert_eq!(kinds.len(), 10, "{kinds:?}");
    for kind in kinds.into_iter().filter(|&kind| kind != "and") {
        assert!(help.contains(&format!("\n  {kind}=SWITCH")), "{kind} in {help}");
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
        (&["snmp", "--fault", "lossy=sw0001:101"], "not a percentage from 0 to 100: \"101\""),
        (&["snmp", "--v3-user", "u:sha:short"], "a password has at least 8 bytes"),
        (&["snmp", "--v3-user", "u", "--v3-user", "u"], "--v3-user: there are two of the name \"u\""),
        (&["snmp", "--v3-user", "u", "--by", "community"], "--v3-user goes with --by port"),
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

#[test]
fn check_validates_the_configuration_of_the_others() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("ew.toml");
    let check = |text: &str| {
        std::fs::write(&file, text).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_ew-sim"))
            .arg("--config")
            .arg(&file)
            .arg("--check")
            .output()
            .unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(check("site = \"hq\"\n"), (Some(0), String::new()));
    let (code, stderr) = check("sight = \"hq\"\n");
    assert!(code == Some(78) && stderr.contains("ew.toml:1:1: unknown key `sight`"), "{stderr}");
}

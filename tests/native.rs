//! Native domains: asked once and whole, by a child that speaks JSON lines and over SSH on the command line of a
//! switch. The reference child and the dialogues are in fixtures/native; no dialogue was recorded.
#![allow(clippy::unwrap_used)]

#[path = "support/sshd.rs"]
mod sshd;

use ew_core::{Exit, Quality, SecretSource, Timestamp};
use ew_energy::{
    Domain, DomainOptions, DomainReading, Importance, Known, NativeOptions, PollOptions, Profiles,
    SnmpOptions, TreeReading, check, poll, trees,
};
use serde::Deserialize;
use sshd::Sshd;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    native: NativeOptions,
    domain: Vec<DomainOptions>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/native").join(name)
}

/// One poll of a configuration that passes its check.
fn polled(config: &str, importance: u32) -> Vec<TreeReading> {
    let file: File = toml::from_str(config).unwrap();
    let snmp = SnmpOptions::default();
    check(&snmp, &file.native, &file.domain, &Profiles::default()).unwrap();
    let trees = trees(&file.domain, &snmp, &file.native);
    let options = PollOptions { importance: Importance::new(importance), ..PollOptions::new(&snmp) };
    let secret = |source: &SecretSource| match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        other => Err(format!("{other:?} is not for tests")),
    };
    let mut came = Vec::new();
    let chosen: Vec<&Domain> = trees.iter().collect();
    let start = Timestamp::from_secs(1_700_000_000);
    poll(&chosen, &options, start, &Known::default(), &secret, &mut |tree| came.push(tree));
    came
}

/// The one tree of a configuration, which has one domain.
fn one(config: &str) -> (TreeReading, DomainReading) {
    let [tree] = <[TreeReading; 1]>::try_from(polled(config, 100)).unwrap();
    let domain = tree.domains[0].clone();
    (tree, domain)
}

/// `[native]` with the reference child and its arguments.
fn by_child(keys: &str, arguments: &[&str]) -> String {
    let child = fixture("reference_child.py");
    let mut command = vec!["python3", child.to_str().unwrap()];
    command.extend(arguments);
    format!("[native]\n{keys}\n[native.command]\ncommand = {command:?}\n")
}

/// The domain `com.cisco` with native switches: name, address, further keys.
fn domain(switches: &[(&str, &str, &str)]) -> String {
    let mut text = "[[domain]]\nname = \"com.cisco\"\n".to_owned();
    for (name, address, keys) in switches {
        text += &format!(
            "[[domain.switch]]\nname = {name:?}\naddress = {address:?}\nprotocol = \"native\"\n{keys}\n"
        );
    }
    text
}

const S1: (&str, &str, &str) = ("s1", "192.0.2.1", "");
const S2: (&str, &str, &str) = ("s2", "192.0.2.2", "");
const S2_PRIMARY: (&str, &str, &str) = ("s2", "192.0.2.2", "primary = true");

/// (value, quality, expected, answered) of a domain.
fn total(domain: &DomainReading) -> (Option<f64>, &'static str, u32, u32) {
    let total = &domain.total;
    (total.value, total.quality.as_str(), total.expected, total.answered)
}

/// (name, value, requests) of its switches.
fn switches(domain: &DomainReading) -> Vec<(&str, Option<f64>, u32)> {
    domain.switches.iter().map(|s| (s.name.as_str(), s.value, s.requests)).collect()
}

/// A file that the child notes its calls in.
struct Calls(tempfile::TempDir);

impl Calls {
    fn new() -> Calls {
        Calls(tempfile::tempdir().unwrap())
    }

    fn file(&self) -> String {
        self.0.path().join("calls").to_str().unwrap().to_owned()
    }

    fn lines(&self) -> Vec<String> {
        std::fs::read_to_string(self.file()).unwrap_or_default().lines().map(str::to_owned).collect()
    }
}

/// §6.4 cases 42 and 46, §6.2 case 13: the total once, each switch its own rows, the primary asked and no other.
#[test]
fn one_query_for_the_domain_and_to_each_switch_its_own_rows() {
    let calls = Calls::new();
    let config = by_child("", &["--calls", &calls.file()]) + &domain(&[S1, S2_PRIMARY]);
    let (tree, domain) = one(&config);
    assert_eq!(total(&domain), (Some(41.7), "unknown", 2, 2));
    assert_eq!(switches(&domain), [("s1", Some(21.7), 0), ("s2", Some(20.0), 1)]);
    assert_eq!(calls.lines(), ["collect 192.0.2.2 100"]);
    assert!(tree.warnings.is_empty() && tree.details.is_empty(), "{tree:?}");
    let points: Vec<String> =
        tree.samples().iter().map(|s| format!("{} {:?}", s.point(), s.value())).collect();
    assert_eq!(points, ["com.cisco Some(41.7)", "com.cisco.s1 Some(21.7)", "com.cisco.s2 Some(20.0)"]);
}

/// A domain that logs entities has the rows as these.
#[test]
fn rows_are_entities() {
    let config =
        by_child("", &[]) + &domain(&[S1, S2]).replace("\"com.cisco\"\n", "\"com.cisco\"\nentities = true\n");
    let (tree, _) = one(&config);
    let points: Vec<String> = tree.samples().iter().map(|s| s.point().to_string()).collect();
    let expect = ["com.cisco", "com.cisco.s1", "com.cisco.s1.sw1", "com.cisco.s1.phone", "com.cisco.s2"];
    assert_eq!(points[..5], expect);
}

/// §6.2 case 14: of two primaries the first listed is asked first; case 15: up to three attempts, then the next
/// switch; case 16, §6.4 case 43: when all fail there is no value, and every switch says why.
#[test]
fn the_next_switch_is_asked_when_one_fails() {
    let three = [S1, ("s2", "192.0.2.2", "primary = true"), ("s3", "192.0.2.3", "primary = true")];
    for (down, expect, calls_expected) in [
        (&[][..], Some(41.7), &["2"][..]),
        (&["192.0.2.2"], Some(41.7), &["2", "2", "2", "3"]),
        (&["192.0.2.2", "192.0.2.3"], Some(41.7), &["2", "2", "2", "3", "3", "3", "1"]),
        (&["192.0.2.1", "192.0.2.2", "192.0.2.3"], None, &["2", "2", "2", "3", "3", "3", "1", "1", "1"]),
    ] {
        let calls = Calls::new();
        let file = calls.file();
        let mut arguments = vec!["--calls", file.as_str()];
        down.iter().for_each(|address| arguments.extend(["--down", address]));
        let (tree, domain) = one(&(by_child("", &arguments) + &self::domain(&three)));
        let asked: Vec<String> = calls.lines().iter().map(|line| line[16..17].to_owned()).collect();
        assert_eq!(asked, calls_expected, "{down:?}");
        assert_eq!(domain.total.value, expect, "{down:?}");
        match expect {
            // s3 has no row, down or not.
            Some(_) => assert_eq!(domain.total.quality, Quality::Partial, "{down:?}"),
            None => assert_eq!(total(&domain), (None, "missing", 3, 0)),
        }
        for switch in domain.switches.iter().filter(|_| expect.is_none()) {
            let failure = switch.failure.as_ref().unwrap();
            assert_eq!(failure.exit, Exit::Unavailable);
            assert!(failure.reason.contains("by command: collect: no session with 192.0.2."), "{failure:?}");
        }
        // s2 has rows in another's answer: its value is there, and that it was down is told.
        if down.contains(&"192.0.2.2") && expect.is_some() {
            assert_eq!(domain.switches[1].value, Some(20.0));
            assert!(tree.warnings[0].starts_with("com.cisco: s2: cannot ask 192.0.2.2:43440"), "{tree:?}");
        }
    }
}

/// §1.9 no. 6: nothing wrong with 0 W.
#[test]
fn no_watts_are_no_failure() {
    let calls = Calls::new();
    let rows = calls.0.path().join("rows.json");
    std::fs::write(&rows, r#"[{"host": "192.0.2.1", "watts": 0, "importance": 1}]"#).unwrap();
    let arguments = ["--calls", &calls.file(), rows.to_str().unwrap()];
    let (_, domain) = one(&(by_child("", &arguments) + &self::domain(&[S1])));
    assert_eq!(total(&domain), (Some(0.0), "unknown", 1, 1));
    assert_eq!(calls.lines().len(), 1);
}

/// §6.2 case 21: the importance asked for is the query's, in sub-domains too; case 12: a native domain below another.
#[test]
fn the_query_carries_the_importance() {
    let calls = Calls::new();
    let below = domain(&[S2]).replace("\"com.cisco\"", "\"com.cisco.lab\"");
    let config = by_child("", &["--calls", &calls.file()]) + &domain(&[S1]) + &below;
    let [tree] = <[TreeReading; 1]>::try_from(polled(&config, 5)).unwrap();
    let mut asked = calls.lines();
    asked.sort();
    assert_eq!(asked, ["collect 192.0.2.1 5", "collect 192.0.2.2 5"]);
    // 15.4 W and 20 W of importance 1 in either answer.
    assert_eq!(tree.domains[1].total.value, Some(35.4));
    assert_eq!(tree.domains[0].total.value, Some(70.8));
    assert_eq!((tree.domains[0].total.expected, tree.domains[0].importance), (2, 5));
}

/// What was not asked for does not count, whatever the adapter sends, and is named.
#[test]
fn a_row_above_the_importance_does_not_count() {
    let config = by_child("", &["--fault", "unasked"]) + &domain(&[S1, S2]);
    let [tree] = <[TreeReading; 1]>::try_from(polled(&config, 5)).unwrap();
    assert_eq!(total(&tree.domains[0]), (Some(35.4), "unknown", 2, 2));
    let warning = "\"phone\" of 192.0.2.1 has the importance 50, above 5: it is not counted";
    assert!(tree.warnings.iter().any(|line| line.ends_with(warning)), "{:?}", tree.warnings);
}

/// Rows of members that are not configured count, and are told to whom asks; a switch without a row is missing.
#[test]
fn strangers_count_and_the_absent_are_missing() {
    let (tree, domain) = one(&(by_child("", &[]) + &self::domain(&[S1, ("s9", "192.0.2.9", "")])));
    assert_eq!(total(&domain), (Some(41.7), "partial", 2, 1));
    assert_eq!(switches(&domain), [("s1", Some(21.7), 1), ("s9", None, 0)]);
    let failure = domain.switches[1].failure.as_ref().unwrap();
    assert_eq!(failure.reason, "the answer of s1 has no row of 192.0.2.9");
    assert!(failure.hint.contains("192.0.2.2"), "{failure:?}");
    assert_eq!(tree.details, ["com.cisco: 1 hosts that are no switches of it count too: 192.0.2.2"]);
}

/// A switch may be configured by its name, in rows too.
#[test]
fn hosts_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let rows = dir.path().join("rows.json");
    let text =
        r#"[{"host": "SW-A", "watts": 1}, {"host": "127.0.0.1", "watts": 2}, {"host": "::1", "watts": 4}]"#;
    std::fs::write(&rows, text).unwrap();
    let switches_here = [("sw-a", "192.0.2.1", ""), ("b", "localhost", ""), ("c", "[0:0:0:0:0:0:0:1]", "")];
    let (_, domain) = one(&(by_child("", &[rows.to_str().unwrap()]) + &self::domain(&switches_here)));
    let values: Vec<_> = domain.switches.iter().map(|switch| switch.value).collect();
    // localhost may be ::1 too, and has the first claim then.
    assert_eq!(values[0], Some(1.0));
    assert!(matches!(values[1..], [Some(2.0), Some(4.0)] | [Some(6.0), None]), "{values:?}");
    assert_eq!(domain.total.value, Some(7.0));
}

/// An adapter that cannot collect gives the total, and no switch has a value of its own.
#[test]
fn a_sum_is_nobodys_own() {
    let calls = Calls::new();
    let arguments = ["--fault", "sum-only", "--calls", &calls.file()];
    let (_, domain) = one(&(by_child("", &arguments) + &self::domain(&[S1, S2])));
    assert_eq!(total(&domain), (Some(41.7), "unknown", 2, 2));
    assert_eq!(calls.lines(), ["collect 192.0.2.1 100", "sum 192.0.2.1 100"]);
    for switch in &domain.switches {
        assert_eq!((switch.value, &switch.failure), (None, &None));
        assert_eq!(switch.reason().unwrap(), "the adapter tells only the sum of the domain");
    }
}

/// §6.4 case 44.
#[test]
fn without_an_adapter_there_is_no_value() {
    let (_, domain) = one(&self::domain(&[S1, S2]));
    assert_eq!(total(&domain), (None, "missing", 2, 0));
    let failure = domain.switches[0].failure.as_ref().unwrap();
    assert_eq!(failure.reason, "cannot ask 192.0.2.1:43440: native backend not configured");
    assert_eq!(failure.exit, Exit::Config);
    assert!(failure.hint.contains("[native.command]"), "{failure:?}");
}

#[test]
fn a_child_that_does_not_keep_to_the_protocol() {
    let quick = "timeout = \"2s\"\ndeadline = \"5s\"\nattempts = 1";
    for (fault, exit, words) in [
        ("garbage", Exit::Protocol, "collect: its answer is no reply: \"hello\""),
        ("end", Exit::Protocol, "collect: it ended without an answer, exit status: 3"),
        ("huge", Exit::Protocol, "collect: its line is longer than 4194304 bytes"),
        ("wrong-id", Exit::Protocol, "collect: its answer is to 2, not to 1"),
        ("broken-off", Exit::Protocol, "collect: its last line breaks off"),
        ("error", Exit::Protocol, "collect: the library says 0x100"),
        ("refused", Exit::Refused, "collect: not with this secret"),
    ] {
        let (_, domain) = one(&(by_child(quick, &["--fault", fault]) + &self::domain(&[S1])));
        let failure = domain.switches[0].failure.as_ref().unwrap();
        assert_eq!(failure.reason, format!("cannot ask 192.0.2.1:43440 by command: {words}"));
        assert_eq!((failure.exit, total(&domain)), (exit, (None, "missing", 1, 0)), "{fault}");
    }
    let nowhere = "[native.command]\ncommand = [\"no-such-program\"]\n";
    let (_, domain) = one(&(nowhere.to_owned() + &self::domain(&[S1])));
    let failure = domain.switches[0].failure.as_ref().unwrap();
    assert!(failure.reason.contains("cannot start no-such-program: no such file"), "{failure:?}");
    assert_eq!(failure.exit, Exit::Unavailable);
}

/// One row that makes no sense is left out and named; a fault that passes is over with the next attempt; what a child
/// writes on its stderr is for whom asks.
#[test]
fn a_poor_answer_is_partial_and_a_passing_fault_passes() {
    let (_, domain) = one(&(by_child("", &["--fault", "bad-row"]) + &self::domain(&[S1, S2])));
    assert_eq!(total(&domain), (Some(41.7), "partial", 2, 2));
    let reason = domain.switches[1].reason().unwrap();
    assert!(reason.starts_with("row 4 of the answer is left out: invalid type"), "{reason}");
    assert_eq!(domain.switches[1].quality, Quality::Partial);

    let calls = Calls::new();
    let (_, domain) =
        one(&(by_child("", &["--fault", "flaky", "--calls", &calls.file()]) + &self::domain(&[S1, S2])));
    assert_eq!((total(&domain), domain.switches[0].requests), ((Some(41.7), "unknown", 2, 2), 2));

    let (tree, _) = one(&(by_child("", &["--fault", "chatter"]) + &self::domain(&[S1, S2])));
    assert_eq!(tree.details, ["com.cisco: s1: the adapter's child: a warning of the library"]);
}

/// Rows that make no sense are named where there are no others, of the domain or of a switch; that is never 0 W.
#[test]
fn what_is_left_out_is_named_where_nothing_is_left() {
    let rows = Calls::new();
    let file = rows.0.path().join("rows.json");
    let polled = |text: &str, switches: &[(&str, &str, &str)]| {
        std::fs::write(&file, text).unwrap();
        let keys = "attempts = 1";
        one(&(by_child(keys, &[file.to_str().unwrap()]) + &self::domain(switches))).1
    };
    for watts in ["-1", "1e308"] {
        let domain = polled(&format!(r#"[{{"host": "192.0.2.1", "watts": {watts}}}]"#), &[S1]);
        let failure = domain.switches[0].failure.as_ref().unwrap();
        assert!(failure.reason.contains("row 1 of the answer is left out: "), "{failure:?}");
        assert!(failure.hint.contains("watts"), "{failure:?}");
        assert_eq!((failure.exit, total(&domain)), (Exit::Protocol, (None, "missing", 1, 0)));
    }
    let text = r#"[{"host": "192.0.2.1", "watts": 1}, {"host": "127.0.0.1", "watts": null}]"#;
    let domain = polled(text, &[S1, ("s2", "localhost", "")]);
    let failure = domain.switches[1].failure.as_ref().unwrap();
    let words =
        "the answer of s1 has no row of localhost that counts: row 2 of the answer is left out: invalid type";
    assert!(failure.reason.starts_with(words), "{failure:?}");
    assert_eq!(total(&domain), (Some(1.0), "partial", 2, 1));
}

/// A child may repeat the secret in whatever it says: nothing that is shown or logged has it.
#[test]
fn the_secret_of_a_child_that_repeats_it_is_hidden() {
    let secret = r#"open "sesame" \o/ now"#;
    for (fault, words) in [
        ("tell", "collect: log-in with *** failed"),
        ("tell-garbage", "***"),
        ("tell-rows", "row 6 of the answer is left out: invalid type: string \"***\""),
    ] {
        let keys = format!("attempts = 1\nshared_secret = {secret:?}");
        let domain = domain(&[S1, S2]).replace("\"com.cisco\"\n", "\"com.cisco\"\nentities = true\n");
        let (tree, _) = one(&(by_child(&keys, &["--fault", fault]) + &domain));
        let shown = format!("{:?} {:?}", tree, tree.samples());
        let reasons: Vec<_> = tree.domains[0].switches.iter().filter_map(|switch| switch.reason()).collect();
        assert!(reasons.iter().any(|reason| reason.contains(words)), "{fault}: {reasons:?}");
        assert!(!shown.contains("sesame"), "{fault}: {shown}");
        if fault == "tell" {
            assert!(tree.details[0].contains("\"shared_secret\": \"***\""), "{tree:?}");
        }
    }
}

/// A refusal is not tried again: accounts get locked by that.
#[test]
fn a_refusal_is_final() {
    let calls = Calls::new();
    let arguments = ["--fault", "refused", "--calls", &calls.file()];
    one(&(by_child("", &arguments) + &self::domain(&[S1])));
    assert_eq!(calls.lines().len(), 1);
}

/// The secret goes by the child's stdin, to be seen by nobody else.
#[test]
fn the_secret_is_told_to_the_child() {
    let secret = "--secret=open sesame";
    let told = |keys: &str| {
        let (_, domain) = one(&(by_child(keys, &[secret]) + &self::domain(&[S1, S2])));
        domain.total.value
    };
    assert_eq!(told("shared_secret = \"open sesame\""), Some(41.7));
    assert_eq!(told("shared_secret = \"guess\""), None);
    assert_eq!(told(""), None);
}

/// Neither a silent child nor one that does not mind SIGTERM outlives its attempt.
#[test]
fn a_silent_child_is_ended() {
    for fault in ["silent", "stubborn"] {
        let dir = tempfile::tempdir().unwrap();
        let note = dir.path().join("pid");
        let keys = "timeout = \"1s\"\nattempts = 1";
        let arguments = ["--fault", fault, "--pid", note.to_str().unwrap()];
        let (_, domain) = one(&(by_child(keys, &arguments) + &self::domain(&[S1])));
        let failure = domain.switches[0].failure.as_ref().unwrap();
        assert!(failure.reason.ends_with("collect: no answer within 1s"), "{failure:?}");
        assert_eq!(failure.exit, Exit::Unavailable);
        let pid = std::fs::read_to_string(note).unwrap();
        assert!(!Path::new("/proc").join(pid.trim()).exists(), "{fault}: {pid} is still there");
    }
}

/// What docs/native.md asks of every child. `EW_NATIVE_CHILD` (words parted at blanks) runs it on another one, with
/// `EW_NATIVE_DOMAIN`, `EW_NATIVE_ADDRESS` and `EW_NATIVE_SECRET` for a switch that it can reach.
#[test]
fn conformance() {
    let setting = |name: &str, default: &str| std::env::var(name).unwrap_or_else(|_| default.to_owned());
    let reference = format!("python3 {}", fixture("reference_child.py").display());
    let command = setting("EW_NATIVE_CHILD", &reference);
    let words: Vec<&str> = command.split_whitespace().collect();
    let mut child = Command::new(words[0])
        .args(&words[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut ask = |id: u64, op: &str| -> serde_json::Value {
        let request = serde_json::json!({
            "id": id, "op": op, "importance": 100, "port": 43440, "timeout": 30.0,
            "domain": setting("EW_NATIVE_DOMAIN", "com.cisco"),
            "address": setting("EW_NATIVE_ADDRESS", "192.0.2.1"),
            "shared_secret": std::env::var("EW_NATIVE_SECRET").ok(),
            "of_a_later_version": true,
        });
        writeln!(stdin, "{request}").unwrap();
        let reply: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(reply["id"], id, "{op}: a reply carries its request's id: {reply}");
        reply
    };
    let sum = ask(7, "sum");
    assert_eq!(sum["ok"], true, "{sum}");
    assert!(sum["watts"].as_f64().unwrap() >= 0.0, "{sum}");
    let collected = ask(8, "collect");
    match collected["ok"].as_bool().unwrap() {
        true => {
            for row in collected["rows"].as_array().unwrap() {
                assert!(row["watts"].as_f64().unwrap() >= 0.0 && row["host"].is_string(), "{row}");
            }
        }
        false => assert_eq!(collected["kind"], "unsupported", "{collected}"),
    }
    let unknown = ask(9, "no-such-operation");
    assert_eq!((&unknown["ok"], &unknown["kind"]), (&false.into(), &"unsupported".into()), "{unknown}");
    // It ends by itself when nothing more is to come.
    drop(stdin);
    let until = Instant::now() + Duration::from_secs(10);
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > until {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("the child does not end with its stdin");
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A server whose shell plays a dialogue.
struct Switch {
    server: Sshd,
    dir: tempfile::TempDir,
}

impl Switch {
    fn start() -> Switch {
        let dir = tempfile::tempdir().unwrap();
        let python = sshd::stdout(Command::new("python3").args(["-c", "import sys; print(sys.executable)"]));
        let player = fixture("ios_player.py").canonicalize().unwrap();
        let now = dir.path().join("now.txt");
        let shell = format!("ForceCommand exec {python} {} {}\n", player.display(), now.display());
        Switch { server: Sshd::start_with(&shell), dir }
    }

    fn plays(&self, dialogue: &str) {
        let from = fixture("dialogues").join(format!("{dialogue}.txt"));
        let text = std::fs::read_to_string(from).unwrap();
        assert!(text.starts_with("# not recorded"), "{dialogue}");
        std::fs::write(self.dir.path().join("now.txt"), text).unwrap();
    }

    fn config(&self, keys: &str, ssh: &str) -> String {
        let trusted = self.server.known_hosts(&["ed25519"], self.server.port());
        let trust = match ssh.contains("host_key") {
            true => String::new(),
            false => format!("known_hosts = {trusted:?}\n"),
        };
        let login = match ssh.contains("password = \"w") {
            true => String::new(),
            false => format!("key_file = {:?}\n", self.server.key()),
        };
        let (user, port) = (self.server.user(), self.server.port());
        // The rows are of 192.0.2.1, which is played here, and of 192.0.2.2.
        format!(
            "[native]\n{keys}\n[native.ssh]\nuser = {user:?}\nport = {port}\n{login}{trust}{ssh}\n{}",
            domain(&[("192.0.2.1", "127.0.0.1", ""), S2])
        )
    }
}

/// §6.4 case 47: the table with its units, paging, the enable prompt, what the switch refuses, slow output; and
/// whatever makes no whole table.
#[test]
fn the_command_line_of_a_switch() {
    let switch = Switch::start();
    let once = "attempts = 1\ntimeout = \"8s\"";
    let enable = "enable_password = \"letmein\"";
    for (dialogue, ssh) in [("plain", ""), ("plain", enable), ("paged", ""), ("enable", enable), ("slow", "")]
    {
        switch.plays(dialogue);
        let (tree, domain) = one(&switch.config(once, ssh));
        assert_eq!(total(&domain), (Some(41.7), "unknown", 2, 2), "{dialogue}: {domain:?}");
        assert_eq!(switches(&domain), [("192.0.2.1", Some(21.7), 1), ("s2", Some(20.0), 0)], "{dialogue}");
        let said = format!(
            "com.cisco: 192.0.2.1: {}@127.0.0.1:{} says Queried: 3",
            switch.server.user(),
            switch.server.port()
        );
        assert_eq!(tree.details, [said], "{dialogue}");
    }
    switch.plays("odd-row");
    let (_, domain) = one(&switch.config(once, ""));
    assert_eq!(total(&domain), (Some(35.4), "partial", 2, 2));
    let reason = domain.switches[0].reason().unwrap();
    assert!(reason.contains("lamp") && reason.ends_with("it has no usage with a unit"), "{reason}");

    // Where the switch does not know collect, the sum is had.
    switch.plays("sum-only");
    let (_, domain) = one(&switch.config(once, ""));
    assert_eq!(total(&domain), (Some(41.7), "unknown", 2, 2));
    assert_eq!(switches(&domain), [("192.0.2.1", None, 1), ("s2", None, 0)]);

    let short = "attempts = 1\ntimeout = \"2s\"";
    for (dialogue, keys, ssh, exit, words) in [
        ("enable-refused", once, enable, Exit::Refused, "enable: the switch refuses"),
        ("echo", once, enable, Exit::Protocol, "% Not with *** here"),
        ("unprivileged", once, "", Exit::Protocol, "sum usage: % Invalid input detected at '^' marker."),
        ("no-table", once, "", Exit::Protocol, "there is no header with Host and Usage"),
        ("no-closing", once, "", Exit::Protocol, "it does not end with a line Queried:"),
        ("nobody", once, "", Exit::Protocol, "answered for nobody"),
        ("hangs-up", once, "", Exit::Unavailable, "the connection was lost"),
        ("silent", short, "", Exit::Unavailable, "not whole within"),
        ("mute", short, "", Exit::Unavailable, "its first prompt: not whole within"),
        ("flood", once, "", Exit::Protocol, "it is longer than 2097152 bytes"),
    ] {
        switch.plays(dialogue);
        // The second switch is nowhere.
        let config = switch
            .config(keys, ssh)
            .split("[[domain.switch]]")
            .take(2)
            .collect::<Vec<_>>()
            .join("[[domain.switch]]");
        let (_, domain) = one(&config);
        let failure = domain.switches[0].failure.as_ref().unwrap();
        assert!(failure.reason.contains(words), "{dialogue}: {failure:?}");
        assert_eq!((failure.exit, domain.total.value), (exit, None), "{dialogue}: {failure:?}");
        assert!(!failure.hint.is_empty() && !format!("{failure:?}").contains("letmein"), "{dialogue}");
    }
}

/// Host keys and log-ins as in export: an unknown or another key is 77 with its fingerprint, and so is a wrong password;
/// a closed port is 69.
#[test]
fn who_is_at_the_other_end() {
    let switch = Switch::start();
    switch.plays("plain");
    let failure = |config: &str| {
        let only = config.split("[[domain.switch]]").take(2).collect::<Vec<_>>().join("[[domain.switch]]");
        let (_, domain) = one(&only);
        domain.switches[0].failure.clone().unwrap()
    };
    let shown = switch.server.fingerprint("ed25519");
    let other = "host_key = \"SHA256:uNiVztksCsDhcc0u9e8BrPFVGQ6LiSQhV+BmL7NNNNg\"";
    let wrong = failure(&switch.config("", other));
    assert_eq!(wrong.exit, Exit::Refused);
    assert!(wrong.reason.contains(&shown) && wrong.hint.contains("if its owner confirms"), "{wrong:?}");

    let unknown = switch.config("", "").replace("known_hosts_ed25519", "no_such_file");
    let unknown = failure(&unknown);
    assert_eq!(unknown.exit, Exit::Refused);
    assert!(unknown.reason.contains("unknown host key") && unknown.reason.contains(&shown), "{unknown:?}");

    let password = failure(&switch.config("", "password = \"wrong-one\""));
    assert_eq!(password.exit, Exit::Refused);
    assert!(password.reason.contains("the server refuses"), "{password:?}");
    assert!(!format!("{password:?}").contains("wrong-one"));

    let pinned = switch.config("", &format!("host_key = \"{shown}\""));
    assert_eq!(one(&pinned).1.total.value, Some(41.7));

    let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let (there, nowhere) = (format!("port = {}\n", switch.server.port()), format!("port = {free}\n"));
    let closed = failure(&switch.config("attempts = 2", "").replace(&there, &nowhere));
    assert_eq!(closed.exit, Exit::Unavailable);
    assert!(closed.reason.contains("connection refused"), "{closed:?}");
}

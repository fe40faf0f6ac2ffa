//! C-Bus by a child with the `ready>` prompt: the black-box cases, and children that misbehave in every way they can.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/interface.rs"]
mod interface;

use ew::{Ended, Site};
use interface::Interface;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

const EW_CBUS: &str = env!("CARGO_BIN_EXE_ew-cbus");

/// A site whose bus is this command, with keys of its own. A command that begins with `sim ` is `ew-sim cbus-cli`.
fn site(keys: &str, command: &str) -> Site {
    let sim = ew::sibling(EW_CBUS, "ew-sim");
    let quoted = |words: &[&str]| words.iter().map(|word| format!("{word:?}")).collect::<Vec<_>>().join(", ");
    let command = match command.strip_prefix("sim ") {
        Some(arguments) => {
            let mut words = vec![sim.to_str().unwrap(), "cbus-cli"];
            words.extend(arguments.split(' '));
            quoted(&words)
        }
        // $0 is the simulator.
        None => quoted(&["sh", "-c", command, sim.to_str().unwrap()]),
    };
    let mut site = Site::new(&format!(
        "[[cbus]]\nname = \"lobby\"\n{keys}\n[cbus.backend.exec]\ncommand = [{command}]\n"
    ));
    site.now("2026-03-01T00:00:00Z");
    site
}

fn run(site: &Site, arguments: &str) -> Ended {
    site.run(EW_CBUS, arguments)
}

fn discovered(site: &Site, code: i32) -> Value {
    serde_json::from_str(&run(site, "discover --json").exit(code).stdout).unwrap()
}

/// The levels of a poll by group, in the order of the groups.
fn polled(site: &Site, code: i32) -> Vec<(String, Option<u64>, Option<String>)> {
    let ended = run(site, "poll --json").exit(code);
    let document: Value = serde_json::from_str(&ended.stdout).unwrap();
    let reading = |reading: &Value| {
        (
            reading["point"].as_str().unwrap().trim_start_matches("cbus.lobby.00.").to_owned(),
            reading["value"].as_f64().map(|value| value as u64),
            reading["reason"].as_str().map(str::to_owned),
        )
    };
    document["buses"][0]["readings"].as_array().unwrap().iter().map(reading).collect()
}

fn values(polled: &[(String, Option<u64>, Option<String>)]) -> Vec<(&str, Option<u64>)> {
    polled.iter().map(|(group, value, _)| (group.as_str(), *value)).collect()
}

fn heard(site: &Site) -> Vec<String> {
    site.read("heard").lines().map(str::to_owned).collect()
}

const FIVE: &str = "unit:1,network:00,apps:56\nunit:1,network:00,groups:1,2,3,4,5\nlevel:56,1=10\nlevel:56,2=20\n\
                    level:56,3=30\nlevel:56,4=40\nlevel:56,5=50\n";

#[test]
fn the_scan_comes_first_with_auto_discover_and_not_without() {
    let with = site("", "sim --fake --record heard --unprimed");
    run(&with, "get lobby 56 2").exit(0).stdout("128\n").stderr("");
    assert_eq!(heard(&with), ["D", "Ga=56,g=2"]);
    let without = site("auto_discover = false", "sim --fake --record heard");
    run(&without, "get lobby 56 2").exit(0).stdout("128\n");
    assert_eq!(heard(&without), ["Ga=56,g=2"]);
    // What it is asked for cannot be had without one.
    assert_eq!(polled(&without, 0).len(), 3);
    assert_eq!(heard(&without)[1..], ["D", "Ga=56,g=1", "Ga=56,g=2", "Ga=56,g=7"]);
}

#[test]
fn a_scan_keeps_units_with_their_groups_and_marks_the_product() {
    let site = site("", "sim --fake rows");
    site.write(
        "rows",
        "unit:1,network:00,apps:56,57,255\nunit:1,network:00,groups:1,2,255,255\nunit:5,network:00,groups:2,7\n\
         unit:9,network:00\nlevel:56,1=255\nlevel:56,2=128\nlevel:56,7=0\nlevel:57,1=1\nlevel:57,2=2\nlevel:57,7=7\n",
    );
    let found = discovered(&site, 0);
    assert_eq!(found["complete"], Value::Null);
    let groups: Vec<_> = found["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| {
            assert_eq!((&group["source"], &group["state"]), (&"product".into(), &"ok".into()));
            assert_eq!((&group["network"], &group["level_source"]), (&"00".into(), &"exec".into()));
            [&group["application"], &group["address"], &group["level"]].map(|n| n.as_u64().unwrap())
        })
        .collect();
    assert_eq!(groups, [[56, 1, 255], [56, 2, 128], [56, 7, 0], [57, 1, 1], [57, 2, 2], [57, 7, 7]]);
    let links: Vec<_> = found["unit_groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|link| {
            assert_eq!(link["application"], Value::Null);
            [&link["unit"], &link["group"]].map(|n| n.as_u64().unwrap())
        })
        .collect();
    assert_eq!(links, [[1, 1], [1, 2], [5, 2], [5, 7]]);
    let units: Vec<_> = found["units"]
        .as_array()
        .unwrap()
        .iter()
        .map(|unit| (&unit["address"], &unit["applications"]))
        .collect();
    assert_eq!(
        units,
        [(&1.into(), &serde_json::json!([56, 57])), (&5.into(), &Value::Null), (&9.into(), &Value::Null)]
    );
}

#[test]
fn rows_that_are_not_understood_are_warnings_and_a_scan_of_nothing_else_is_none() {
    let site = site("", "sim --fake rows");
    site.write(
        "rows",
        "garbage\nunit:1,network:00,foo:1\nunit:2,network:00,groups:1,b\nunit:3,network:00,groups:4\nlevel:56,4=9\n",
    );
    let found = discovered(&site, 0);
    let warnings: Vec<_> = found["warnings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|warning| warning["text"].as_str().unwrap())
        .collect();
    assert_eq!(warnings.len(), 3, "{found:#}");
    for (warning, what) in warnings.iter().zip(["garbage", "foo", "\\\"b\\\"|1,b"]) {
        assert!(what.split('|').any(|what| warning.contains(what)), "{warning}");
    }
    // Without any application said it is lighting, 56.
    assert_eq!(found["groups"][0]["application"], 56);
    assert_eq!(found["groups"][0]["level"], 9);
    site.write("rows", "no CBM library found\n");
    let ended = run(&site, "discover").exit(76).stdout("");
    assert!(ended.stderr.contains("D: \"no CBM library found\" is no line of a scan"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: --trace FILE"), "{}", ended.stderr);
}

#[test]
fn of_several_networks_only_the_local_one_has_levels() {
    let site = site("", "sim --fake rows --record heard");
    site.write(
        "rows",
        "unit:1,network:00,apps:56\nunit:1,network:00,groups:1\nunit:1,network:253,apps:56\nunit:1,network:253,groups:1,2\n\
         level:56,1=11\nlevel:56,2=22\n",
    );
    let found = discovered(&site, 0);
    let levels: Vec<_> = found["groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|group| (group["network"].as_str().unwrap(), group["level"].as_u64()))
        .collect();
    assert_eq!(levels, [("00", Some(11)), ("253", None), ("253", None)]);
    assert!(found["groups"][1]["reason"].as_str().unwrap().contains("local network only"), "{found:#}");
    assert_eq!(heard(&site), ["D", "Ga=56,g=1"]);
    let ended = run(&site, "get lobby 56 2 --network 253").exit(2).stdout("");
    assert!(
        ended.stderr.contains("253/56/2") && ended.stderr.contains("hint: leave --network out"),
        "{}",
        ended.stderr
    );
    run(&site, "get lobby 56 2 --network 00").exit(0).stdout("22\n");
}

#[test]
fn a_level_is_one_number_or_a_bad_reply() {
    let shell = |reply: &str| {
        site(
            "auto_discover = false",
            &format!("echo 'ready>'; while read line; do printf '{reply}\\nready>\\n'; done"),
        )
    };
    for (reply, level) in [("level:128", "128\n"), ("\\n\\nlevel:3", "3\n"), ("level: 7 \\nlevel:8", "7\n")] {
        run(&shell(reply), "get lobby 56 7").exit(0).stdout(level);
    }
    for reply in ["", "nolevel", "a:b:c", "level:", "level:1.5", "level:256", "error: no such group"] {
        let ended = run(&shell(reply), "get lobby 56 7").exit(76).stdout("");
        assert!(ended.stderr.contains("Ga=56,g=7: the reply "), "{reply}: {}", ended.stderr);
    }
}

#[test]
fn set_checks_the_range_before_anything_is_sent_and_reads_back() {
    let site = site("auto_discover = false", "sim --fake --record heard --set-reply done");
    for bad in ["256", "-1", "x", "12.9", ""] {
        run(&site, &format!("set lobby 56 7 {bad}")).exit(2).stdout("");
    }
    run(&site, "set lobby 56 255 1").exit(2).stdout("");
    assert!(!site.file("heard").exists());
    let ended = run(&site, "set lobby 56 7 255").exit(0).stdout("");
    assert_eq!(ended.stderr, "ew-cbus: lobby: 56/7: it answered \"done\"\n");
    run(&site, "set lobby 56 1 0 -q").exit(0).stdout("").stderr("");
    // Looked for, set, read back.
    let expect = ["Ga=56,g=7", "Sa=56,g=7,l=255", "Ga=56,g=7", "Ga=56,g=1", "Sa=56,g=1,l=0", "Ga=56,g=1"];
    assert_eq!(heard(&site), expect);
}

#[test]
fn a_group_that_tells_no_level_is_not_set() {
    let site = site("", "sim --fake --record heard");
    let ended = run(&site, "set lobby 56 99 7").exit(76).stdout("");
    assert!(
        ended
            .stderr
            .contains("56/99: it tells no level, so nothing was sent: the reply \"error: no such group\""),
        "{}",
        ended.stderr
    );
    assert_eq!(heard(&site), ["D", "Ga=56,g=99"]);
}

#[test]
fn a_level_that_does_not_read_back_is_1() {
    let site = site("", "sim --fake --stuck --set-reply error");
    let ended = run(&site, "set lobby 56 2 7").exit(1).stdout("");
    assert!(ended.stderr.contains("it answered \"error\""), "{}", ended.stderr);
    assert!(ended.stderr.contains("lobby: 56/2: set to 7, but it reads 128\n  hint: "), "{}", ended.stderr);
}

#[test]
fn nothing_but_set_writes() {
    let site = site("", "sim --fake --record heard");
    for arguments in ["discover", "poll", "get lobby 56 1", "probe", "poll --dry-run", "discover --dry-run"] {
        run(&site, arguments).exit(0);
    }
    run(&site, "measure").exit(78);
    assert!(heard(&site).len() > 10);
    assert!(heard(&site).iter().all(|line| line == "D" || line.starts_with("Ga=")), "{:?}", heard(&site));
}

#[test]
fn a_child_that_dies_is_started_again_and_told_to_scan_first() {
    let site = site("", "sim --fake --exit-after 2 --record heard");
    assert_eq!(values(&polled(&site, 0)), [("56.1", Some(255)), ("56.2", Some(128)), ("56.7", Some(0))]);
    let of_one = ["D", "Ga=56,g=1", "Ga=56,g=2"].map(str::to_owned);
    assert_eq!(heard(&site)[..3], of_one);
    assert_eq!(heard(&site)[3..], ["D", "Ga=56,g=2", "Ga=56,g=7", "D", "Ga=56,g=7"]);
}

#[test]
fn after_three_starts_what_remains_is_null_with_the_reason() {
    let site = site("", "sim --fake rows --exit-after 2");
    site.write("rows", FIVE);
    let polled = polled(&site, 1);
    assert_eq!(
        values(&polled),
        [("56.1", Some(10)), ("56.2", Some(20)), ("56.3", Some(30)), ("56.4", None), ("56.5", None)]
    );
    let reason = polled[4].2.as_deref().unwrap();
    assert!(reason.contains("it was started 3 times in this run"), "{reason}");
    let found = discovered(&site, 1);
    assert_eq!(found["complete"], false);
    assert_eq!(found["incomplete_reasons"][0], "lobby: 2 of 5 groups have no level: 00/56/4, 00/56/5");
}

#[test]
fn a_reply_cut_off_is_no_reply_and_asked_for_once_more() {
    let site = site("auto_discover = false", "sim --fake --cut-after 1 --record heard");
    // It would have been 0, had the half reply counted.
    assert_eq!(values(&polled(&site, 1)), [("56.1", Some(255)), ("56.2", Some(128)), ("56.7", None)]);
}

/// A broken pipe, and no bad answer: the ancestor took such pieces for replies.
#[test]
fn a_child_that_ends_amid_a_line_is_asked_once_more() {
    let child = |ends: &str| {
        site(
            "auto_discover = false",
            &format!(
                "echo start >> starts; echo 'ready>'; while read -r asked; do \
                 if {ends}; then printf 'level:1'; exit; fi; printf 'level:12\\nready>\\n'; done"
            ),
        )
    };
    let once = child("[ $(wc -l < starts) -lt 2 ]");
    run(&once, "get lobby 56 1").exit(0).stdout("12\n");
    let always = child("true");
    let ended = run(&always, "get lobby 56 1").exit(69).stdout("");
    assert!(ended.stderr.contains("Ga=56,g=1: it ended amid a line"), "{}", ended.stderr);
    assert_eq!(always.read("starts").lines().count(), 2);
}

#[test]
fn a_line_of_a_scan_that_is_no_text_is_a_warning() {
    let site = site(
        "",
        "echo 'ready>'; while read -r asked; do case $asked in \
         D) printf 'unit:1,network:00,groups:4\\nun\\377t:2,network:00,groups:5\\nready>\\n';; \
         *) printf 'level:9\\nready>\\n';; esac; done",
    );
    let found = discovered(&site, 0);
    let [warning] = &found["warnings"].as_array().unwrap()[..] else { panic!("{found:#}") };
    assert!(warning["text"].as_str().unwrap().ends_with("it is no UTF-8"), "{warning}");
    assert_eq!((&found["groups"][0]["address"], &found["groups"][0]["level"]), (&4.into(), &9.into()));
    assert_eq!(found["groups"].as_array().unwrap().len(), 1);
}

#[test]
fn a_scan_of_nothing_is_told_where_there_was_something_and_nothing_is_removed_by_it() {
    let site = site("", "sim --fake rows");
    site.write("rows", FIVE);
    run(&site, "discover").exit(0).stderr("");
    site.write("rows", "");
    let found = discovered(&site, 0);
    assert_eq!(found["complete"], Value::Null);
    let warning = &found["warnings"][0];
    assert_eq!(warning["object"], "network 00");
    assert_eq!(warning["text"], "nothing was told of it, where discovery 1 had units: 1, groups: 5");
    let changes = run(&site, "diff").exit(1).stdout;
    assert!(changes.starts_with("not seen network 00\n") && !changes.contains("removed"), "{changes}");
    // As long as nothing comes.
    assert_eq!(discovered(&site, 0)["warnings"][0]["text"], warning["text"]);
    site.write("rows", FIVE);
    assert_eq!(discovered(&site, 0)["warnings"], serde_json::json!([]));
}

#[test]
fn a_child_that_cannot_be_started_or_ends_at_once_is_69() {
    let none = site("", "sim --fake");
    none.write(
        "ew.toml",
        "[[cbus]]\nname = \"lobby\"\n[cbus.backend.exec]\ncommand = [\"/no/such/cbus_cli\", \"x\"]\n",
    );
    let ended = run(&none, "discover").exit(69).stdout("");
    let expect =
        "ew-cbus: lobby: exec /no/such/cbus_cli x: start: no such file or directory\n  hint: check command";
    assert!(ended.stderr.starts_with(expect), "{}", ended.stderr);

    let dies = site("auto_discover = false", "echo start >> starts; echo 'no such device' >&2; exit 3");
    let ended = run(&dies, "get lobby 56 1").exit(69).stdout("");
    assert!(
        ended.stderr.contains("started 3 times") && ended.stderr.contains("no such device"),
        "{}",
        ended.stderr
    );
    assert_eq!(dies.read("starts").lines().count(), 3);
}

#[test]
fn a_prompt_that_does_not_come_is_69_and_says_what_came() {
    for (flag, what) in
        [("--no-prompt", "no ready> within 300ms"), ("--bare-prompt", "it stopped at \"ready>\"")]
    {
        let site = site("start_timeout = \"300ms\"", &format!("sim --fake {flag}"));
        let ended = run(&site, "discover").exit(69).stdout("");
        assert!(ended.stderr.contains(what) && ended.stderr.contains("start_timeout"), "{}", ended.stderr);
    }
}

#[test]
fn cr_lf_and_noise_on_stderr_change_nothing() {
    for flags in ["--crlf", "--noise", "--crlf --noise"] {
        let site = site("", &format!("sim --fake {flags}"));
        let ended = run(&site, "get lobby 56 2").exit(0).stdout("128\n");
        assert_eq!(ended.stderr, "", "{flags}");
    }
    // More than a pipe holds.
    let loud = site(
        "auto_discover = false",
        "head -c 300000 /dev/zero | tr '\\0' x >&2; exec \"$0\" cbus-cli --fake",
    );
    run(&loud, "get lobby 56 2").exit(0).stdout("128\n").stderr("");
}

#[test]
fn a_silent_child_is_unavailable_and_the_next_question_goes_to_another() {
    let site = site(
        "reply_timeout = \"300ms\"\nauto_discover = false",
        "sim --fake rows --silent-after 2 --record heard",
    );
    site.write("rows", FIVE);
    let polled = polled(&site, 1);
    // The first child: scan and 1, silent at 2; the second: 3 and 4, silent at 5.
    assert_eq!(
        values(&polled),
        [("56.1", Some(10)), ("56.2", None), ("56.3", Some(30)), ("56.4", Some(40)), ("56.5", None)]
    );
    assert!(polled[1].2.as_deref().unwrap().contains("Ga=56,g=2: no ready> within 300ms"), "{polled:?}");
}

#[test]
fn the_deadline_of_the_run_ends_it_and_says_what_is_missing() {
    let site = site("deadline = \"3s\"", "sim --fake rows --delay 800ms");
    site.write("rows", FIVE);
    let polled = polled(&site, 1);
    assert!(polled[0].1.is_some() && polled[4].1.is_none(), "{polled:?}");
    assert!(polled[4].2.as_deref().unwrap().contains("the deadline of the run has passed"), "{polled:?}");
}

#[test]
fn a_child_that_never_stops_to_speak_is_not_heard_beyond_the_deadline() {
    for child in ["exec yes ''", "echo 'ready>'; exec yes ''"] {
        let site = site("auto_discover = false\ndeadline = \"1s\"", child);
        let ended = run(&site, "get lobby 56 1").exit(69).stdout("");
        assert!(ended.stderr.contains("the deadline of the run has passed"), "{}", ended.stderr);
    }
}

/// Every application with every group there can be.
#[test]
fn of_the_largest_product_what_was_not_asked_by_the_deadline_is_null() {
    let site = site("deadline = \"1s\"", "sim --fake rows --delay 10ms --record heard");
    let all = (0..255).map(|n: u32| n.to_string()).collect::<Vec<_>>().join(",");
    let levels: String = (0..255).map(|group| format!("level:0,{group}=7\n")).collect();
    site.write("rows", &format!("unit:1,network:00,apps:{all}\nunit:1,network:00,groups:{all}\n{levels}"));
    let found: Value = serde_json::from_str(&run(&site, "discover --dry-run --json").exit(1).stdout).unwrap();
    let groups = found["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 65_025);
    let told = groups.iter().filter(|group| !group["level"].is_null()).count();
    // The scan, and one that it was too late for.
    assert!(told > 0 && heard(&site).len() <= told + 2, "{told} {}", heard(&site).len());
    for group in groups.iter().skip(told + 1) {
        let reason = group["reason"].as_str().unwrap();
        assert!(reason.ends_with("the deadline of the run has passed"), "{group}");
    }
}

/// The processes whose ids are in a file are gone, or dead and waiting for whoever adopted them.
#[track_caller]
fn gone(site: &Site, file: &str, count: usize) {
    let text = site.read(file);
    assert_eq!(text.lines().count(), count, "{text}");
    // SIGKILL is sent, and takes its moment.
    let is_there = |pid: &str| {
        let status = std::fs::read_to_string(Path::new("/proc").join(pid).join("status")).unwrap_or_default();
        !status.is_empty() && !status.contains("State:\tZ")
    };
    for pid in text.lines() {
        let left = (0..500).all(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            is_there(pid)
        });
        assert!(!left, "process {pid} is left over");
    }
}

/// Its answers would be taken for those to the next questions.
#[test]
fn a_child_that_speaks_unasked_is_not_believed() {
    let scan = "unit:1,network:00,apps:56\\nunit:1,network:00,groups:1,2\\nready>\\n";
    let twice = "level:3\\nready>\\nlevel:4\\nready>\\n";
    let child = format!(
        "echo 'ready>'; while read -r asked; do case $asked in D) printf '{scan}';; *) printf '{twice}';; esac; done"
    );
    let site = site("", &child);
    let levels = polled(&site, 1);
    assert_eq!(values(&levels), [("56.1", Some(3)), ("56.2", None)]);
    assert!(
        levels[1].2.as_deref().unwrap().contains("it said \"level:4\" unasked, after its prompt"),
        "{levels:?}"
    );
}

#[test]
fn a_child_that_ignores_its_end_and_sigterm_is_killed() {
    let site = site(
        "auto_discover = false",
        "trap '' TERM; echo $$ > child; echo 'ready>'; read line; printf 'level:5\\nready>\\n'; while :; do sleep 0.2; done",
    );
    run(&site, "get lobby 56 1").exit(0).stdout("5\n");
    gone(&site, "child", 1);
}

#[test]
fn nor_does_it_outlast_the_deadline() {
    let site = site(
        "auto_discover = false\nstart_timeout = \"100ms\"\ndeadline = \"900ms\"",
        "trap '' TERM; cat > /dev/null; sleep 4; touch late",
    );
    run(&site, "get lobby 56 1").exit(69);
    assert!(!site.file("late").exists());
}

#[test]
fn a_grandchild_that_holds_the_pipe_holds_up_nothing_and_is_ended() {
    // Its child gone, the pipe would stay open for as long as it lives: the reply would never end.
    let site = site(
        "auto_discover = false\nreply_timeout = \"120s\"",
        "sleep 300 & echo $! >> grandchildren; exec \"$0\" cbus-cli --fake --exit-after 1",
    );
    assert_eq!(values(&polled(&site, 1)), [("56.1", Some(255)), ("56.2", Some(128)), ("56.7", None)]);
    gone(&site, "grandchildren", 3);
}

/// No signal to the child's process group reaches it; it is waited for all the less.
#[test]
fn a_grandchild_in_a_session_of_its_own_holds_up_nothing() {
    let site = site(
        "auto_discover = false\nreply_timeout = \"120s\"",
        "setsid sleep 300 & echo $! >> grandchildren; exec \"$0\" cbus-cli --fake --exit-after 1",
    );
    assert_eq!(values(&polled(&site, 1)), [("56.1", Some(255)), ("56.2", Some(128)), ("56.7", None)]);
    for pid in site.read("grandchildren").lines() {
        let killed = Command::new("kill").arg(pid).status().unwrap();
        assert!(killed.success(), "{pid} was gone: README.md says that it stays");
    }
    gone(&site, "grandchildren", 3);
}

#[test]
fn every_exchange_is_in_the_trace() {
    let site = site("", "sim --fake --crlf");
    run(&site, "get lobby 56 2 --trace lobby.trace").exit(0);
    let expect = "\
2026-03-01T00:00:00Z < \"ew-sim cbus-cli\\r\\n\"
2026-03-01T00:00:00Z < \"ready>\\r\\n\"
2026-03-01T00:00:00Z > \"D\\n\"
2026-03-01T00:00:00Z < \"unit:1,network:00,apps:56,255\\r\\n\"
2026-03-01T00:00:00Z < \"unit:1,network:00,groups:1,2,255,255\\r\\n\"
2026-03-01T00:00:00Z < \"unit:5,network:00,apps:56\\r\\n\"
2026-03-01T00:00:00Z < \"unit:5,network:00,groups:2,7\\r\\n\"
2026-03-01T00:00:00Z < \"unit:9,network:00\\r\\n\"
2026-03-01T00:00:00Z < \"ready>\\r\\n\"
2026-03-01T00:00:00Z > \"Ga=56,g=2\\n\"
2026-03-01T00:00:00Z < \"level:128\\r\\n\"
2026-03-01T00:00:00Z < \"ready>\\r\\n\"
";
    assert_eq!(site.read("lobby.trace"), expect);
}

#[test]
fn applications_of_the_configuration_are_asked_for_whatever_the_scan_says() {
    let site = site("applications = [57]", "sim --fake rows");
    site.write(
        "rows",
        "unit:1,network:00,apps:56,57\nunit:1,network:00,groups:1\nlevel:56,1=1\nlevel:57,1=2\n",
    );
    assert_eq!(values(&polled(&site, 0)), [("57.1", Some(2))]);
}

/// The old chain on present gear: ew-cbus, a child with a prompt, the serial protocol, an interface.
#[test]
fn a_child_over_an_interface_tells_what_the_interface_tells() {
    for arguments in [&[][..], &["--pty"]] {
        let interface = Interface::start(&ew::sibling(EW_CBUS, "ew-sim"), arguments);
        let chain = site("reply_timeout = \"120s\"", &format!("sim {}", interface.address));
        let hurried = |site: &Site, arguments: &str| {
            let output = site.command(EW_CBUS, arguments).env("EW_PCI_HURRY", "1").output().unwrap();
            ew::ended(output)
        };
        let found: Value = serde_json::from_str(&hurried(&chain, "discover --json").stdout).unwrap();
        chain.write("ew.toml", &format!("[[cbus]]\nname = \"lobby\"\n{}", interface.backend()));
        let direct: Value = serde_json::from_str(&hurried(&chain, "discover --json").stdout).unwrap();
        let units = |found: &Value| {
            let units = found["units"].as_array().unwrap().iter();
            units.map(|unit| unit["address"].as_u64().unwrap()).collect::<Vec<_>>()
        };
        assert_eq!(units(&found), units(&direct));
        assert!(units(&found).len() > 3, "{found:#}");
        let level = |found: &Value, of: &Value| {
            let is_it = |group: &&Value| {
                group["application"] == of["application"] && group["address"] == of["address"]
            };
            found["groups"].as_array().unwrap().iter().find(is_it).unwrap()["level"].clone()
        };
        // A child tells groups by their units.
        let is_linked = |group: &&Value| {
            let links = direct["unit_groups"].as_array().unwrap();
            links.iter().any(|link| link["group"] == group["address"])
        };
        let known: Vec<&Value> = direct["groups"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|group| !group["level"].is_null())
            .filter(is_linked)
            .collect();
        assert!(known.len() > 3, "{direct:#}");
        for group in known {
            assert_eq!(level(&found, group), group["level"], "{group:#}");
        }
    }
}

//! The clock guard with a faked clock: boot in 1970, a step back, a step forward. Rows taken on a doubtful clock are
//! marked and exported as any other, no slot is closed by it, and nothing that was sent is sent again.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/sim.rs"]
mod sim;

use ew::{Ended, Site};
use export::{EW_EXPORT, run};
use sim::Sim;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A switch that is polled and a job that sends each quarter of an hour.
struct Box {
    site: Site,
    _sim: Sim,
}

impl Box {
    fn new() -> Box {
        let sim = Sim::start(&ew::sibling(EW_EXPORT, "ew-sim"), &["--domain", "com.a", "--drift"]);
        let site = Site::new(&format!(
            "[log]\nretention = \"30d\"\n[[domain]]\nname = \"com.a\"\n  [[domain.switch]]\n  name = \"sw1\"\n  \
             address = \"127.0.0.1\"\n  port = {}\n[[export]]\nname = \"u\"\npoints = [\"**\"]\n\
             breakup_on_period = true\n  [export.format.csv]\n  layout = \"long\"\n  [export.transport.file]\n  \
             directory = \"out\"\n",
            sim.ports[0]
        ));
        Box { site, _sim: sim }
    }

    /// The clocks from here on.
    fn clock(&mut self, wall: &str, boot: &str) {
        self.site.now(wall);
        self.site.boot(boot);
    }

    fn poll(&self) -> Ended {
        run(&self.site, "ew-poll", "-q").exit(0)
    }

    /// Polls and exports with a good clock: nobody says a word.
    fn good(&mut self, wall: &str, boot: &str) {
        self.clock(wall, boot);
        self.poll().stderr("");
        let ended = run(&self.site, "ew-export", "-q");
        assert!(matches!(ended.code, 0 | 66), "{wall}: {ended:?}");
        assert_eq!(ended.stderr, "", "{wall}");
    }

    /// Polls and exports with a doubtful one: both say so, and nothing is sent.
    fn doubtful(&mut self, wall: &str, boot: &str) {
        self.clock(wall, boot);
        let before = self.files();
        let ended = self.poll();
        assert!(
            ended.stderr.starts_with(&format!("ew-poll: warning: the clock says {wall}, ")),
            "{}",
            ended.stderr
        );
        let ended = run(&self.site, "ew-export", "-q --json").exit(66);
        assert_eq!(ended.stderr.matches("warning: the clock says").count(), 1, "{}", ended.stderr);
        let report: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
        assert_eq!(report["jobs"][0]["outcome"], "held", "{report:#}");
        assert!(report["jobs"][0]["error"].as_str().unwrap().starts_with("the clock says"), "{report:#}");
        let plan = run(&self.site, "ew-export", "--dry-run").exit(66);
        assert!(plan.stderr.contains("the clock says") && plan.stdout.lines().count() == 1, "{plan:?}");
        let status = run(&self.site, "ew-ledger", "status").exit(0);
        assert!(status.stderr.contains("the clock says"), "{}", status.stderr);
        assert_eq!(self.files(), before, "{wall}");
    }

    /// What is at the receiver, each with its inode: a file that was sent again has another one.
    fn files(&self) -> BTreeMap<String, u64> {
        use std::os::unix::fs::MetadataExt;
        let inode = |name: &String| std::fs::metadata(self.site.file("out").join(name)).unwrap().ino();
        self.site.names("out").into_iter().map(|name| (name.clone(), inode(&name))).collect()
    }

    /// Time and quality of the switch's rows, in the log.
    fn rows(&self) -> Vec<String> {
        let ended = run(&self.site, "ew-log", "slice --from first --to last --point com.a.sw1").exit(0);
        let row = |line: &str| {
            let fields: Vec<&str> = line.split(',').collect();
            let quality = if fields[4] == "suspect" { " suspect" } else { "" };
            format!("{}{quality}", fields[0])
        };
        ended.stdout.lines().skip(1).map(row).collect()
    }

    /// Everything in the log is at the receiver, once; nothing is lost for the audit.
    fn is_whole(&self) {
        run(&self.site, "ew-export", "-q --end now").exit(0).stderr("");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/receiver_equals_log.py");
        let compared = Command::new(script)
            .arg(self.site.file("ew.db"))
            .arg(self.site.file("out"))
            .arg("replace")
            .output();
        let compared = compared.unwrap();
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
        run(&self.site, "ew-ledger", "audit").exit(0);
    }
}

#[test]
fn boot_in_1970() {
    let mut it = Box::new();
    it.doubtful("1970-01-01T00:00:40Z", "a:40");
    it.doubtful("1970-01-01T00:20:00Z", "a:1200");
    // The network is there and sets it.
    it.good("2026-03-01T00:05:00Z", "a:1260");
    assert_eq!(it.site.names("out"), ["u_19700101T000000Z.csv", "u_19700101T001500Z.csv"]);
    it.good("2026-03-01T00:20:00Z", "a:2160");
    assert_eq!(it.site.names("out").len(), 3);
    // And once more: what comes for a slot that was sent is its next revision, what does not is a slot of its own.
    it.doubtful("1970-01-01T00:00:50Z", "b:50");
    it.doubtful("1970-01-01T00:40:00Z", "b:2400");
    it.good("2026-03-01T01:01:00Z", "b:2460");
    it.clock("2026-03-01T01:02:00Z", "b:2520");
    assert_eq!(
        it.rows(),
        [
            "1970-01-01T00:00:40Z suspect",
            "1970-01-01T00:00:50Z suspect",
            "1970-01-01T00:20:00Z suspect",
            "1970-01-01T00:40:00Z suspect",
            "2026-03-01T00:05:00Z",
            "2026-03-01T00:20:00Z",
            "2026-03-01T01:01:00Z"
        ]
    );
    it.is_whole();
    assert_eq!(
        it.site.names("out"),
        [
            "u_19700101T000000Z.csv",
            "u_19700101T000000Z_r1.csv",
            "u_19700101T001500Z.csv",
            "u_19700101T003000Z.csv",
            "u_20260301T000000Z.csv",
            "u_20260301T001500Z.csv",
            "u_20260301T010000Z.csv"
        ]
    );
}

#[test]
fn an_hour_back_and_on_until_past_it() {
    let mut it = Box::new();
    for (wall, up) in [("09:32", 100_000), ("10:02", 101_800), ("10:17", 102_700), ("10:32", 103_600)] {
        it.good(&format!("2026-03-01T{wall}:00Z"), &format!("a:{up}"));
    }
    let sent = it.files();
    assert_eq!(sent.len(), 3);
    for (wall, up) in [("09:33", 103_660), ("09:47", 104_500), ("10:02", 105_400), ("10:31", 107_140)] {
        it.doubtful(&format!("2026-03-01T{wall}:30Z"), &format!("a:{up}"));
    }
    // What was there at that time stays as it was; a time given twice is there twice.
    it.doubtful("2026-03-01T10:32:00Z", "a:107170");
    it.good("2026-03-01T10:47:00Z", "a:108070");
    let rows = it.rows();
    let expect = [
        "09:32:00Z",
        "09:33:30Z suspect",
        "09:47:30Z suspect",
        "10:02:00Z",
        "10:02:30Z suspect",
        "10:17:00Z",
        "10:31:30Z suspect",
        "10:32:00Z",
        "10:32:00.000001Z suspect",
        "10:47:00Z",
    ];
    assert_eq!(rows, expect.map(|row| format!("2026-03-01T{row}")));
    // Each slot that got rows meanwhile has one revision; what was sent was not sent again.
    run(&it.site, "ew-ledger", "audit").exit(0);
    let now = it.files();
    let new: Vec<&str> = now.keys().filter(|name| !sent.contains_key(*name)).map(String::as_str).collect();
    assert_eq!(
        new,
        [
            "u_20260301T093000Z_r1.csv",
            "u_20260301T094500Z.csv",
            "u_20260301T100000Z_r1.csv",
            "u_20260301T103000Z.csv"
        ]
    );
    assert!(sent.iter().all(|(name, inode)| now.get(name) == Some(inode)));
}

#[test]
fn a_year_forward_for_two_polls() {
    let mut it = Box::new();
    it.good("2026-03-01T00:02:00Z", "a:100000");
    it.good("2026-03-01T00:17:00Z", "a:100900");
    it.good("2026-03-01T00:18:00Z", "a:100960");
    it.clock("2027-03-01T00:31:00Z", "a:101740");
    run(&it.site, "ew-poll", "-q").exit(0);
    it.doubtful("2027-03-01T00:32:00Z", "a:101800");
    // Rows older than 30 days, by that clock.
    let trim = run(&it.site, "ew-log", "trim --retention --json").exit(0);
    assert!(trim.stderr.contains("the clock says") && trim.stdout.contains("\"rows\": 0"), "{trim:?}");
    // Whether such an end is past nobody knows; `now` is the last good time.
    run(&it.site, "ew-export", "--end 2027-03-01T00:31:30Z").exit(66);
    assert_eq!(it.site.names("out").len(), 1);
    run(&it.site, "ew-export", "--end now --json").exit(0);
    let exported = run(&it.site, "ew-ledger", "status --json").stdout;
    assert!(exported.contains("\"bookmark\": \"2026-03-01T00:18:00Z\""), "{exported}");
    it.good("2026-03-01T00:33:00Z", "a:101860");
    it.good("2026-03-01T00:48:00Z", "a:102760");
    let suspect: Vec<String> = it.rows().into_iter().filter(|row| row.ends_with("suspect")).collect();
    assert_eq!(suspect, ["2027-03-01T00:31:00Z suspect", "2027-03-01T00:32:00Z suspect"]);
    let names = it.site.names("out");
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(names.iter().all(|name| name.starts_with("u_20260301T00")), "{names:?}");
    // They go when their time has come.
    it.good("2027-03-01T01:00:00Z", "b:100");
    assert!(it.site.names("out").contains(&"u_20270301T003000Z.csv".to_owned()));
    run(&it.site, "ew-ledger", "audit").exit(0);
}

/// Where no polls watch the clock, exports do: rows come from elsewhere, with times of their own, and are never marked.
#[test]
fn without_polls_exports_watch_the_clock() {
    let mut it = Box::new();
    let append = |it: &Box, time: &str| {
        let log = ew::sibling(EW_EXPORT, "ew-log");
        let row = format!("timestamp,point,value,quality\n{time},m,1,actual\n");
        it.site.run_with_input(log.to_str().unwrap(), "-q append", &row).exit(0).stderr("");
    };
    it.clock("1970-01-01T00:20:00Z", "a:1200");
    append(&it, "2026-03-01T00:01:00Z");
    run(&it.site, "ew-export", "-q").exit(66);
    it.clock("2026-03-01T00:16:00Z", "a:9000");
    run(&it.site, "ew-export", "-q").exit(0).stderr("");
    append(&it, "2026-03-01T00:16:00Z");
    // A step forward, and it stays: believed after as long as it jumped.
    it.clock("2026-03-01T02:31:00Z", "a:9900");
    let ended = run(&it.site, "ew-export", "-q").exit(66);
    assert!(ended.stderr.contains("after a step forward of 2h;"), "{}", ended.stderr);
    it.clock("2026-03-01T04:30:59Z", "a:17099");
    run(&it.site, "ew-export", "-q").exit(66);
    it.clock("2026-03-01T04:31:00Z", "a:17100");
    run(&it.site, "ew-export", "-q").exit(0).stderr("");
    assert_eq!(it.site.names("out"), ["u_20260301T000000Z.csv", "u_20260301T001500Z.csv"]);
    assert!(it.site.read("out/u_20260301T001500Z.csv").ends_with(",m,1,,actual\n"));
}

/// With the machine's own clocks: both are kept with the poll.
#[test]
fn the_kernel_s_clock_is_kept_with_each_poll() {
    let it = Box::new();
    it.poll().stderr("");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let kept =
        Command::new("sqlite3").arg(it.site.file("ew.db")).arg("select clock from state").output().unwrap();
    let kept: serde_json::Value = serde_json::from_slice(&kept.stdout).unwrap();
    assert_eq!(kept["good"]["boot"][0], boot.trim());
    assert!(kept["good"]["boot"][1].as_u64().unwrap() > 0 && kept["doubted"].is_null(), "{kept}");
}

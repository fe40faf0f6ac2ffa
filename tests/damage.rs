//! A damaged log: every program says so, 74, and never panics; after a restored backup everything goes on, and the
//! receiver has every row once.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;

use ew::{Ended, Site};
use export::{EW_EXPORT, append, config, run};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::process::{Child, Command, Stdio};

const PAGE: u64 = 4096;

/// Everything that a person or cron runs.
const LINES: [&str; 16] = [
    "ew-poll",
    "ew-export",
    "ew-export --dry-run",
    "ew-export u --stdout",
    "ew-export u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z",
    "ew-log append more.csv",
    "ew-log slice --from first --to last",
    "ew-log points",
    "ew-log stats",
    "ew-log check",
    "ew-log trim --before 2026-03-01T00:15:00Z --force",
    "ew-log backup second.db",
    "ew-ledger status",
    "ew-ledger list",
    "ew-ledger audit",
    "ew-ledger resend u 2026-03-01T00:00:00Z",
];

/// Three slots with many rows, two of them sent; a backup from before anything was sent; and one from now.
fn site() -> Site {
    let silent = "[snmp]\ntimeout = \"50ms\"\nretries = 0\n[[domain]]\nname = \"com.a\"\n  [[domain.switch]]\n  \
                  name = \"sw1\"\n  address = \"127.0.0.1\"\n  port = 9\n";
    let job = config("breakup_on_period = true\nconnection_attempts = 1", "csv]\n  layout = \"long\"");
    let mut site = Site::new(&format!("{silent}{job}"));
    site.now("2026-03-01T00:32:00Z");
    site.write("more.csv", "timestamp,point,value\n2026-03-01T00:31:30Z,a,1\n");
    append(&site, &minutes(0..30));
    run(&site, "ew-log", "-q backup before.db").exit(0);
    run(&site, "ew-export", "").exit(0);
    append(&site, &minutes(30..32));
    run(&site, "ew-log", "-q backup now.db").exit(0);
    site
}

/// Twenty points each minute.
fn minutes(range: std::ops::Range<u32>) -> String {
    let row = |n: u32| format!("{:02}:00 point-with-a-long-name-{:02} {}\n", n / 20, n % 20, n);
    (range.start * 20..range.end * 20).map(row).collect()
}

/// What is at the receiver, each with its inode.
fn files(site: &Site) -> BTreeMap<String, u64> {
    let inode = |name: &String| std::fs::metadata(site.file("out").join(name)).unwrap().ino();
    site.names("out").into_iter().map(|name| (name.clone(), inode(&name))).collect()
}

fn restore(site: &Site, backup: &str) {
    for name in ["ew.db-wal", "ew.db-shm"] {
        let _ = std::fs::remove_file(site.file(name));
    }
    std::fs::copy(site.file(backup), site.file("ew.db")).unwrap();
}

/// Runs a line; it must end by itself, and not by a panic.
fn attempt(site: &Site, line: &str) -> Ended {
    let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let program = ew::sibling(EW_EXPORT, program);
    let ended = site.run("timeout", &format!("--signal=KILL 60 {} {arguments}", program.display()));
    assert!(!ended.stderr.contains("panicked") && (0..=78).contains(&ended.code), "{line}: {ended:?}");
    ended
}

/// Every program says what is wrong and what next; the receiver is left alone.
#[track_caller]
fn is_said_by_all(site: &Site, what: &str) {
    let sent = files(site);
    let damaged = std::fs::read(site.file("ew.db")).unwrap();
    for line in LINES {
        let ended = attempt(site, line);
        assert_eq!(ended.code, 74, "{what}: {line}: {ended:?}");
        let is_clear = ended.stderr.contains("ew.db") && ended.stderr.contains("hint: ");
        assert!(is_clear, "{what}: {line}: {}", ended.stderr);
    }
    assert_eq!(files(site), sent, "{what}");
    assert_eq!(site.names("second.db"), Vec::<String>::new());
    // What is left of it can still be recovered.
    let now = std::fs::read(site.file("ew.db")).unwrap();
    assert!(now == damaged, "{what}: the file was changed");
}

/// After a restored backup every row of the log is at the receiver once, and what was there was not sent again.
#[track_caller]
fn goes_on_with(site: &mut Site, backup: &str, what: &str) {
    let sent = files(site);
    restore(site, backup);
    run(site, "ew-log", "check").exit(0);
    // What the backup does not have comes from the meter again.
    append(site, &minutes(0..33));
    site.now("2026-03-01T00:50:00Z");
    run(site, "ew-export", "").exit(0);
    let now = files(site);
    assert!(sent.iter().all(|(name, inode)| now.get(name) == Some(inode)), "{what}: {sent:?} {now:?}");
    let script =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/receiver_equals_log.py");
    let compared =
        Command::new(script).arg(site.file("ew.db")).arg(site.file("out")).arg("replace").output().unwrap();
    let said = String::from_utf8_lossy(&compared.stdout);
    assert!(compared.status.success() && said.contains("660 rows in the log"), "{what}: {said}");
    run(site, "ew-ledger", "audit").exit(0);
}

#[test]
fn damage_is_said_by_every_program_and_a_backup_goes_on() {
    type Damage = fn(&File);
    let ways: [(&str, Damage); 5] = [
        ("garbage behind the first page", |log| {
            let mut rng = fastrand::Rng::with_seed(7);
            let garbage: Vec<u8> = (PAGE..log.metadata().unwrap().len()).map(|_| rng.u8(..)).collect();
            log.write_all_at(&garbage, PAGE).unwrap();
        }),
        ("garbage at the start", |log| log.write_all_at(&[0xA5; 512], 0).unwrap()),
        ("cut to its first page", |log| log.set_len(PAGE).unwrap()),
        ("cut within its first page", |log| log.set_len(700).unwrap()),
        ("without content", |log| log.set_len(0).unwrap()),
    ];
    for (what, damage) in ways {
        for backup in ["before.db", "now.db"] {
            let mut site = site();
            damage(&File::options().write(true).open(site.file("ew.db")).unwrap());
            if backup == "now.db" {
                is_said_by_all(&site, what);
            }
            goes_on_with(&mut site, backup, what);
        }
    }
}

/// A page here, a few bytes there, a cut: what a program does not touch it need not see, but it does not fall over.
#[test]
fn damage_at_random_never_panics() {
    let asked = std::env::var("EW_DAMAGE_SEED").ok().map(|text| text.parse().unwrap());
    let seed: u64 = asked.unwrap_or(20_261_122);
    let site = site();
    let whole = std::fs::read(site.file("ew.db")).unwrap();
    run(&site, "ew-log", "backup second.db").exit(0);
    let mut seen_by_check = 0;
    for round in 0..25 {
        let mut rng = fastrand::Rng::with_seed(seed.wrapping_add(round));
        let mut bytes = whole.clone();
        for _ in 0..rng.usize(1..6) {
            let at = rng.usize(100..bytes.len());
            let to = (at + rng.usize(1..PAGE as usize)).min(bytes.len());
            rng.fill(&mut bytes[at..to]);
        }
        if rng.u8(..) < 50 {
            bytes.truncate(rng.usize(1..whole.len()));
        }
        for name in ["ew.db-wal", "ew.db-shm"] {
            let _ = std::fs::remove_file(site.file(name));
        }
        for line in LINES {
            std::fs::write(site.file("ew.db"), &bytes).unwrap();
            let ended = attempt(&site, line);
            if line.contains(" backup ") {
                // A damaged log never takes the place of a good copy.
                let mut check = Command::new("sqlite3");
                check.arg(site.file("second.db")).arg("pragma quick_check");
                assert_eq!(check.output().unwrap().stdout, b"ok\n", "seed {seed} round {round}: {ended:?}");
            }
            seen_by_check += usize::from(line == "ew-log check" && ended.code == 74);
        }
    }
    assert!(seen_by_check > 15, "seed {seed}: check found {seen_by_check} of 25");
}

/// A number that damage made huge is no reason to ask for as much memory.
#[test]
fn a_huge_id_is_damage() {
    for table in ["point", "unit"] {
        let site = site();
        let sql =
            format!("pragma foreign_keys = off; update {table} set id = 12713185403672592 where id = 1");
        assert!(Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap().success());
        let ended = run(&site, "ew-log", "slice --from first --to last").exit(74);
        assert!(ended.stderr.contains("holds the id 12713185403672592 of a name"), "{}", ended.stderr);
    }
}

/// `ew-log check` finds what only ew can know of, not SQLite.
#[test]
fn check_finds_logical_faults() {
    for (sql, fault) in [
        ("update state set last_seq = 1", "samples with a seq that was never given"),
        ("pragma ignore_check_constraints = 1; update sample set quality = 9", "samples of a quality"),
        ("update job set bookmark = 0", "slices placed after their job's bookmark"),
        ("pragma foreign_keys = 0; delete from point where id = 1", "rows that refer to a point"),
    ] {
        let site = site();
        let status = Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap();
        assert!(status.success());
        let ended = run(&site, "ew-log", "check").exit(74);
        assert!(ended.stdout.contains(fault), "{sql}: {ended:?}");
        assert!(ended.stderr.contains("ew.db is damaged: ") && ended.stderr.contains("hint: "), "{ended:?}");
    }
}

/// Somebody who has the log open, so that what is written stays in the write-ahead log.
struct Reader(Child);

impl Reader {
    fn of(site: &Site) -> Reader {
        let mut child = Command::new("sqlite3")
            .arg(site.file("ew.db"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = child.stdin.as_mut().unwrap();
        stdin.write_all(b"begin; select 'ready' from sqlite_master limit 1;\n").unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n");
        Reader(child)
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The write-ahead log is lost: the log is one of an earlier moment, and that is all. What was sent since then is
/// found at the receiver.
#[test]
fn a_lost_write_ahead_log_is_an_earlier_moment() {
    let mut site = site();
    {
        let _reader = Reader::of(&site);
        append(&site, &minutes(32..33));
        site.now("2026-03-01T00:45:00Z");
        run(&site, "ew-export", "").exit(0);
        assert!(std::fs::metadata(site.file("ew.db-wal")).unwrap().len() > 0);
        std::fs::copy(site.file("ew.db"), site.file("without-wal.db")).unwrap();
    }
    assert_eq!(site.names("out").len(), 3);
    goes_on_with(&mut site, "without-wal.db", "without write-ahead log");
}

/// A restored log that lacks rows of a slot that was sent: what the receiver has stays, and the slot waits for a person.
#[test]
fn what_the_receiver_has_and_the_log_lost_stays() {
    let mut site = site();
    site.now("2026-03-01T00:45:00Z");
    run(&site, "ew-export", "").exit(0);
    let sent = files(&site);
    assert_eq!(sent.len(), 3);
    restore(&site, "before.db");
    append(&site, "30:00 a 1\n46:00 a 2");
    site.now("2026-03-01T01:00:00Z");
    let ended = run(&site, "ew-export", "");
    assert!(matches!(ended.code, 1 | 77), "{ended:?}");
    assert!(
        ended.stderr.contains("u_20260301T003000Z.csv") && ended.stderr.contains("hint: "),
        "{}",
        ended.stderr
    );
    assert_eq!(files(&site), sent);
    run(&site, "ew-ledger", "skip u 2026-03-01T00:30:00Z restored").exit(0);
    run(&site, "ew-export", "").exit(0);
    assert_eq!(site.names("out").len(), 4);
    assert!(sent.iter().all(|(name, inode)| files(&site).get(name) == Some(inode)));
}

/// The file is at the receiver and the log takes no receipt: the next run looks, and keeps it then.
#[test]
fn a_receipt_that_cannot_be_kept_is_kept_by_the_next_run() {
    let mut site = site();
    site.now("2026-03-01T00:45:00Z");
    let sqlite3 = |sql: &str| {
        assert!(Command::new("sqlite3").arg(site.file("ew.db")).arg(sql).status().unwrap().success());
    };
    sqlite3(
        "create trigger t before update on slice when new.state = 'placed' begin
         select raise(abort, 'no room'); end",
    );
    let ended = run(&site, "ew-export", "").exit(74);
    let words = "u: u_20260301T003000Z.csv is placed, its receipt is not kept: cannot ";
    assert!(ended.stderr.contains(words) && ended.stderr.contains("no room"), "{}", ended.stderr);
    let sent = files(&site);
    assert_eq!(sent.len(), 3);
    sqlite3("drop trigger t");
    run(&site, "ew-export", "").exit(0);
    assert_eq!(files(&site), sent);
    run(&site, "ew-ledger", "audit").exit(0);
}

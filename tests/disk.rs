//! A full disk, a read-only one: a clear error, 74, and nothing lost once there is room again.
#![allow(clippy::unwrap_used)]

#[path = "support/disk.rs"]
mod disk;
#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/sim.rs"]
mod sim;

use disk::Disk;
use ew::{Ended, Site};
use export::{EW_EXPORT, config};
use sim::Sim;

const ROOM_KIB: u32 = 1024;

struct Place {
    disk: Disk,
    _sim: Sim,
}

impl Place {
    fn new() -> Place {
        Place::with(ROOM_KIB)
    }

    fn with(kib: u32) -> Place {
        let sim = Sim::start(&ew::sibling(EW_EXPORT, "ew-sim"), &["--domain", "com.a"]);
        let switch = format!(
            "[[domain]]\nname = \"com.a\"\n  [[domain.switch]]\n  name = \"sw1\"\n  address = \"127.0.0.1\"\n  port = {}\n",
            sim.ports[0]
        );
        let job = config("breakup_on_period = true", "csv]\n  layout = \"long\"");
        let mut site = Site::new(&format!("[log]\nurl = \"disk/ew.db\"\nretention = \"1h\"\n{switch}{job}"));
        site.now("2026-03-01T00:50:00Z");
        Place { disk: Disk::mount(site, kib), _sim: sim }
    }

    fn run(&self, program: &str, arguments: &str) -> Ended {
        self.disk.run(ew::sibling(EW_EXPORT, program).to_str().unwrap(), arguments)
    }

    fn append(&self, rows: &str) -> Ended {
        let program = ew::sibling(EW_EXPORT, "ew-log");
        self.disk.run_with_input(
            program.to_str().unwrap(),
            "append",
            &format!("timestamp,point,value\n{rows}"),
        )
    }

    /// Ends with 74, and with words on what and what next.
    #[track_caller]
    fn fails(&self, program: &str, arguments: &str, words: &[&str]) {
        let ended = self.run(program, arguments);
        assert_eq!(ended.code, 74, "{program} {arguments}\n{}\n{}", ended.stdout, ended.stderr);
        for word in words {
            assert!(ended.stderr.contains(word), "{program} {arguments}: {word} is not in\n{}", ended.stderr);
        }
    }

    /// Rows in the log.
    fn rows(&self) -> usize {
        let ended = self.run("ew-log", "slice --from first --to last");
        ended.stdout.lines().count().saturating_sub(1)
    }

    /// Rows at the receiver, each once.
    fn received(&self) -> usize {
        let texts =
            self.disk.site.names("out").into_iter().map(|name| self.disk.site.read(&format!("out/{name}")));
        let mut rows: Vec<String> =
            texts.flat_map(|text| text.lines().skip(1).map(str::to_owned).collect::<Vec<_>>()).collect();
        let all = rows.len();
        rows.sort();
        rows.dedup();
        assert_eq!(rows.len(), all, "a row is there twice");
        all
    }
}

/// So many rows from a minute of the hour on, a tenth of a second apart.
fn rows(minute: u32, count: u32) -> String {
    (0..count).map(|n| format!("2026-03-01T00:{minute:02}:{:02}.{}Z,a,{n}\n", n / 10, n % 10)).collect()
}

/// Every program, with no room at all, with room to open the log, with room for some of what it writes: it does its
/// work or ends with 74. With room, one run more has done all of it.
#[test]
fn a_full_disk_loses_nothing() {
    let place = Place::new();
    place.append(&rows(1, 500)).exit(0);
    place.run("ew-export", "--end 2026-03-01T00:15:00Z").exit(0);
    place.append(&rows(16, 500)).exit(0);
    place.append(&rows(31, 10)).exit(0);
    let mut failures = Vec::new();
    for kib in [0, 4, 16, 32, 36, 40, 44, 48, 52, 56, 60, 64, 80, 96, 128] {
        place.disk.fill(kib);
        let mut attempt = |program: &str, ended: Ended| {
            // The status says 1 of a job whose last run found the disk full.
            let is_told = ended.code == 1 && program.starts_with("ew-ledger status");
            assert!(is_told || matches!(ended.code, 0 | 74), "{kib} KiB: {program}: {ended:?}");
            if ended.code == 74 {
                let said = ended.stderr;
                let is_clear = ["disk/ew.db", "disk/copy.db"].iter().any(|file| said.contains(file))
                    && ["full", "No space left"].iter().any(|cause| said.contains(cause))
                    && said.contains("hint: ");
                assert!(is_clear, "{kib} KiB: {program}: {said}");
                failures.push(program.to_owned());
            }
        };
        attempt("ew-log append", place.append(&rows(46, 500)));
        for line in [
            "ew-poll",
            "ew-export --end 2026-03-01T00:45:00Z",
            "ew-log trim --before 2026-03-01T00:15:00Z",
            "ew-log backup disk/copy.db",
            "ew-ledger status",
            "ew-log check",
        ] {
            let (program, arguments) = line.split_once(' ').unwrap_or((line, ""));
            attempt(line, place.run(program, arguments));
        }
        assert_eq!(place.disk.sh("find disk -name '*.part*'"), "", "{kib} KiB");
        place.disk.make_room();
        place.run("ew-log", "check").exit(0);
    }
    for program in ["ew-log append", "ew-poll", "ew-export", "ew-log trim", "ew-log backup"] {
        let failed = failures.iter().filter(|line| line.starts_with(program)).count();
        assert!(failed >= 2, "{program} failed {failed} times: {failures:?}");
    }
    place.append(&rows(46, 500)).exit(0);
    place.run("ew-poll", "").exit(0);
    place.run("ew-export", "--end now").exit(0);
    place.run("ew-log", "backup disk/copy.db").exit(0);
    place.run("ew-log", "trim --before 2026-03-01T00:15:00Z").exit(0);
    // The poll, two rows, is of the very instant at which the window ends.
    assert_eq!((place.rows(), place.received()), (1012, 1510));
    place.run("ew-ledger", "audit").exit(0);
    place.run("ew-log", "check").exit(0);
}

/// Delivered files that cannot be kept are a warning: the delivery stands.
#[test]
fn no_room_for_kept_files_is_a_warning() {
    let place = Place::new();
    place.append(&rows(1, 500)).exit(0);
    place
        .disk
        .sh("mkdir -p disk/ew.db.spool/kept/u\nmount -t tmpfs -o size=4k tmpfs disk/ew.db.spool/kept/u\n\
         cat /dev/zero > disk/ew.db.spool/kept/u/ballast 2>/dev/null || true");
    let ended = place.run("ew-export", "").exit(0);
    assert!(
        ended.stderr.contains("warning: u: cannot keep ") && ended.stderr.contains("No space left"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.disk.sh("ls -A disk/ew.db.spool/kept/u"), "ballast\n");
    assert_eq!(place.received(), 500);
    // Without the file it is rendered again.
    place.run("ew-ledger", "resend u 2026-03-01T00:00:00Z").exit(0);
    assert_eq!(place.received(), 500);
}

/// A site whose one slice is a long file, and the bytes of that: 40,000 rows that are hard to compress.
fn with_a_long_slice() -> (Place, u64) {
    let place = Place::with(64 * 1024);
    let (mut rng, name) = (fastrand::Rng::with_seed(1), "a".repeat(240));
    let rows: String = (0..40_000)
        .map(|n| {
            format!("2026-03-01T00:{:02}:{:02}Z,{name}{},{}\n", n / 60 % 45, n % 60, n / 2700, rng.f64())
        })
        .collect();
    place.append(&rows).exit(0);
    let bytes = place.run("ew-export", "u --no-breakup-on-period --stdout").exit(0);
    (place, bytes.stdout.len() as u64)
}

/// The copy to keep is made while the file is written, and gives way to it.
#[test]
fn a_long_file_comes_before_its_copy() {
    let (place, bytes) = with_a_long_slice();
    assert!(bytes > 9 << 20, "{bytes}");
    // Enough for the file and for the ledger; the copy is longer.
    place.disk.fill(u32::try_from(bytes / 1024).unwrap() + 280);
    let ended = place.run("ew-export", "--no-breakup-on-period").exit(0);
    assert!(ended.stderr.contains("warning: u: cannot keep "), "{}", ended.stderr);
    assert_eq!(place.received(), 40_000);
    assert_eq!(place.disk.sh("find disk/ew.db.spool -name '*.zst*' -o -name '*.part'"), "");
}

/// The copy of a long file, which is made in the spool.
#[test]
fn kept_files_may_lie_on_a_disk_of_their_own() {
    let (place, bytes) = with_a_long_slice();
    place.disk.sh("mkdir -p disk/ew.db.spool/kept/u && mount -t tmpfs tmpfs disk/ew.db.spool/kept/u");
    let ended = place.run("ew-export", "--no-breakup-on-period").exit(0);
    assert!(!ended.stderr.contains("warning"), "{}", ended.stderr);
    let kept = place
        .disk
        .sh("cd disk/ew.db.spool/kept/u && zstd -dc * | wc -c && ls | wc -l && ls ../../jobs/u | wc -l");
    assert_eq!(kept, format!("{bytes}\n1\n0\n"));
}

/// A receiver who has a long file by its second name may have made it unchangeable.
#[test]
fn what_cannot_be_removed_from_the_spool_stops_nothing() {
    let place = Place::new();
    place.append(&rows(1, 10)).exit(0);
    // Nothing can be taken away from a mount point, by nobody.
    place
        .disk
        .sh("mkdir -p disk/ew.db.spool/jobs/u/left && mount -t tmpfs tmpfs disk/ew.db.spool/jobs/u/left");
    let ended = place.run("ew-export", "").exit(0);
    assert!(
        ended.stderr.contains("warning: u: cannot remove ./disk/ew.db.spool/jobs/u/left"),
        "{}",
        ended.stderr
    );
    assert_eq!(place.received(), 10);
}

#[test]
fn a_read_only_log_is_said_by_every_program() {
    let place = Place::new();
    place.append(&rows(1, 20)).exit(0);
    place.run("ew-export", "").exit(0);
    place.append(&rows(16, 20)).exit(0);
    place.disk.sh("mount -o remount,bind,ro disk");
    let words = ["disk/ew.db", "hint: "];
    let ended = place.append(&rows(31, 20));
    assert_eq!(ended.code, 74, "{}", ended.stderr);
    assert!(words.iter().all(|word| ended.stderr.contains(word)), "{}", ended.stderr);
    place.fails("ew-poll", "", &words);
    place.fails("ew-export", "", &words);
    place.fails("ew-log", "trim --before 2026-03-01T00:15:00Z", &words);
    place.fails("ew-ledger", "skip u 2026-03-01T00:00:00Z why", &words);
    assert_eq!(place.received(), 20);

    place.disk.sh("mount -o remount,bind,rw disk");
    place.append(&rows(31, 20)).exit(0);
    place.run("ew-export", "").exit(0);
    assert_eq!((place.rows(), place.received()), (60, 60));
    place.run("ew-ledger", "audit").exit(0);
}

/// The receiver's disk is full: nothing partial stays under a name, and with room the slice goes.
#[test]
fn a_full_receiver_gets_the_slice_later() {
    let place = Place::new();
    place.append(&rows(1, 500)).exit(0);
    place.disk.sh("mkdir out && mount -t tmpfs -o size=64k tmpfs out && head -c 56K /dev/zero > out/ballast");
    place.fails(
        "ew-export",
        "",
        &["/out/.u_20260301T000000Z.csv.part: no space left", "hint: make room there"],
    );
    assert_eq!(place.disk.sh("ls -A out"), "ballast\n");
    place.disk.sh("rm out/ballast");
    place.run("ew-export", "").exit(0);
    assert_eq!(place.disk.sh("ls -A out; cat out/* | wc -l"), "u_20260301T000000Z.csv\n501\n");
}

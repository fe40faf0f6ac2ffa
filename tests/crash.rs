//! SIGKILL at every step boundary and at random moments, into a folder and over real SFTP and FTPS. Afterwards one run is enough:
//! the receiver's rows, read by Python, equal the log's, and nothing temporary is left.
//!
//! `make crash N=1000 SEED=7` runs so many random rounds; the tests run a few. Power loss is not shown by this: what
//! the kernel has taken over stays when a process is killed.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/ftp.rs"]
mod ftp;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use export::{EW_EXPORT, append, run};
use fastrand::Rng;
use ftp::FtpServer;
use sshd::Sshd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The steps of a run in their order; a transporter has some of them.
const BOUNDARIES: [&str; 18] = [
    "planned",
    "rendered",
    "spooled",
    "recorded",
    "noted",
    "connected",
    "opened",
    "written",
    "closed",
    "marked",
    "removed",
    "renamed",
    "delivered",
    "described",
    "manifested",
    "kept",
    "placed",
    "cleaned",
];

/// Where a round sends.
enum Receiver<'a> {
    Folder,
    Sftp(&'a Sshd),
    Ftp(&'a FtpServer),
}

/// What a job does with late rows, and how it names files.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Late {
    Replace,
    ReplaceInPlace,
    Delta,
}

const LATES: [Late; 3] = [Late::Replace, Late::ReplaceInPlace, Late::Delta];

/// A site of its own for each round.
struct Round {
    site: Site,
    folder: PathBuf,
    late: Late,
    manifest: bool,
}

impl Round {
    fn new(receiver: &Receiver<'_>, late: Late, manifest: bool, number: u64) -> Round {
        let keys = match late {
            Late::Replace => "late = \"replace\"",
            Late::ReplaceInPlace => "filename = \"{job}_{start_utc:%Y%m%dT%H%M%SZ}.{ext}\"",
            Late::Delta => "late = \"delta\"",
        };
        let transport = match receiver {
            Receiver::Folder => "file]\n  directory = \"out\"".to_owned(),
            Receiver::Sftp(server) => format!(
                "sftp]\n  host = \"127.0.0.1\"\n  port = {}\n  user = {:?}\n  key_file = {:?}\n  known_hosts = {:?}\n  \
                 directory = \"in{number}\"\n  create_directory = true",
                server.port(),
                server.user(),
                server.key(),
                server.known_hosts(&["ed25519"], server.port())
            ),
            Receiver::Ftp(server) => format!(
                "ftp]\n  host = \"127.0.0.1\"\n  port = {}\n  ca_file = {:?}\n  directory = \"in{number}\"\n  \
                 create_directory = true",
                server.port(),
                server.ca_file()
            ),
        };
        let mut site = Site::new(&format!(
            "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\n{keys}\nmanifest = {manifest}\n  [export.format.csv]\n  \
             csvw = {manifest}\n  layout = \"long\"\n  [export.transport.{transport}\n"
        ));
        site.now("2026-03-01T01:00:00Z");
        let folder = match receiver {
            Receiver::Folder => site.file("out"),
            Receiver::Sftp(server) => server.root().join(format!("in{number}")),
            Receiver::Ftp(server) => server.root().join(format!("in{number}")),
        };
        Round { site, folder, late, manifest }
    }

    /// Runs with SIGKILL at a boundary; whether it came to that.
    fn killed_at(&self, boundary: &str) -> bool {
        let mut command = self.site.command(EW_EXPORT, "-q");
        let output = command.env("EW_CRASH", boundary).output().unwrap();
        let ended = output.status.code();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(ended.is_none() || matches!(ended, Some(0 | 66)), "{boundary}: {ended:?} {said}");
        output.status.signal() == Some(9)
    }

    fn killed_after(&self, wait: Duration) {
        let mut child = self.site.spawn(EW_EXPORT, "-q");
        std::thread::sleep(wait);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// One run more, and everything is there once; the audit balances and a last run has nothing to do.
    #[track_caller]
    fn is_whole_after_one_run(&self, what: &str) {
        let ended = self.site.run(EW_EXPORT, "");
        assert!(matches!(ended.code, 0 | 66), "{what}: {ended:?}");
        let late = if self.late == Late::Delta { "delta" } else { "replace" };
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
        if self.manifest {
            let names = std::fs::read_dir(&self.folder).unwrap();
            let names: Vec<_> =
                names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
            let of = |suffix: &str| names.iter().filter(|name| name.ends_with(suffix)).count();
            assert_eq!(of(".csv-metadata.json"), of(".csv"), "{what}: {names:?}");
            let checked =
                Command::new(fixtures.join("check_manifests.py")).arg(&self.folder).output().unwrap();
            assert!(checked.status.success(), "{what}\n{}", String::from_utf8_lossy(&checked.stdout));
        }
        let script = fixtures.join("receiver_equals_log.py");
        let compared =
            Command::new(script).arg(self.site.file("ew.db")).arg(&self.folder).arg(late).output().unwrap();
        assert!(
            compared.status.success(),
            "{what}\n{}{}\n{}",
            String::from_utf8_lossy(&compared.stdout),
            String::from_utf8_lossy(&compared.stderr),
            run(&self.site, "ew-ledger", "list").stdout
        );
        run(&self.site, "ew-ledger", "audit").exit(0);
        assert_eq!(self.site.names("ew.db.spool/jobs/u"), Vec::<String>::new(), "{what}");
        let files = || {
            let names = std::fs::read_dir(&self.folder).unwrap().map(|entry| entry.unwrap().path());
            names.map(|path| std::fs::metadata(&path).unwrap().modified().unwrap()).collect::<Vec<_>>()
        };
        let before = files();
        assert!(matches!(self.site.run(EW_EXPORT, "").code, 0 | 66), "{what}");
        assert_eq!(files(), before, "{what}: something was sent again");
    }
}

const FIRST: &str = "01:00 a 1\n 02:00 b 2\n 16:00 a 3\n 46:00 b 4";
/// A late row, a correction, a back-fill of an empty slot.
const SECOND: &str = "03:00 a 5\n 16:00 a 6\n 31:00 b 7";

/// Every boundary, for first deliveries and for what comes late, with all that lies beside files where the late rows go alone; and each is really passed.
fn matrix(
    receiver: &Receiver<'_>,
    lates: &[Late],
    boundaries: &[&'static str],
    all_times: &[&str],
    expect: &[&str],
) {
    let mut number = 0;
    for &late in lates {
        let mut passed = Vec::new();
        for &boundary in boundaries {
            for times in all_times {
                number += 1;
                let what = format!("{late:?} {boundary}{times}");
                let round = Round::new(receiver, late, late == Late::Delta, number);
                append(&round.site, FIRST);
                let first = round.killed_at(&format!("{boundary}{times}"));
                append(&round.site, SECOND);
                let second = round.killed_at(&format!("{boundary}{times}"));
                if first || second {
                    passed.push(boundary);
                }
                round.is_whole_after_one_run(&what);
            }
        }
        passed.dedup();
        let is_passed = |b: &&&str| match **b {
            "removed" => late == Late::ReplaceInPlace,
            "described" | "manifested" => late == Late::Delta,
            _ => true,
        };
        assert_eq!(passed, expect.iter().filter(is_passed).copied().collect::<Vec<_>>(), "{late:?}");
    }
}

#[test]
fn at_every_boundary_into_a_folder() {
    let of_folders: Vec<&str> =
        BOUNDARIES.into_iter().filter(|b| !matches!(*b, "connected" | "removed")).collect();
    matrix(&Receiver::Folder, &LATES, &BOUNDARIES, &["", ":2", ":3"], &of_folders);
}

/// A long file there is the spool's own under a second name.
#[test]
fn with_a_long_file_in_a_folder() {
    let name = "a".repeat(240);
    let rows: Vec<String> =
        (0..32_000).map(|n| format!("{:02}:{:02} {name}{} 1", n / 60 % 10, n % 60, n / 600)).collect();
    let rows = rows.join("\n");
    for (number, boundary) in
        ["rendered", "recorded", "written", "marked", "renamed", "kept", "placed"].into_iter().enumerate()
    {
        let round = Round::new(&Receiver::Folder, Late::ReplaceInPlace, false, number as u64);
        append(&round.site, &rows);
        assert!(round.killed_at(boundary), "{boundary}");
        append(&round.site, &format!("00:01 {name}0 2"));
        assert!(round.killed_at(boundary), "{boundary}");
        round.is_whole_after_one_run(boundary);
        let there = std::fs::read_dir(&round.folder).unwrap().next().unwrap().unwrap().metadata().unwrap();
        assert!(there.len() > 8 << 20, "{} bytes", there.len());
    }
}

#[test]
fn at_every_boundary_over_sftp() {
    let server = Sshd::start();
    matrix(&Receiver::Sftp(&server), &LATES, &BOUNDARIES, &[""], &BOUNDARIES);
}

/// Those of the delivery, that is. vsftpd renames onto what is there: nothing is removed before.
#[test]
fn at_every_boundary_over_ftps() {
    let server = FtpServer::vsftpd("");
    let deliver = BOUNDARIES.into_iter().skip_while(|boundary| *boundary != "connected");
    let of_ftp: Vec<&str> = deliver.filter(|boundary| *boundary != "removed").collect();
    matrix(&Receiver::Ftp(&server), &[Late::Delta], &of_ftp, &[""], &of_ftp);
}

/// Random rows, random boundaries and moments, several kills one after the other.
#[test]
fn at_random() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (rounds, seed) = (number("EW_CRASH_ROUNDS", 20), number("EW_CRASH_SEED", fastrand::u64(..)));
    let (server, ftp) = (Sshd::start(), FtpServer::vsftpd(""));
    let mut kills = 0;
    for round in 0..rounds {
        let mut rng = Rng::with_seed(seed.wrapping_add(round));
        let receiver = match rng.u32(0..3) {
            0 => Receiver::Folder,
            1 => Receiver::Sftp(&server),
            _ => Receiver::Ftp(&ftp),
        };
        let late = rng.choice([Late::Replace, Late::ReplaceInPlace, Late::Delta]).unwrap();
        // A manifest is for good, so no file may take the place of another.
        let manifest = late != Late::ReplaceInPlace && rng.bool();
        let what = format!("EW_CRASH_SEED={} EW_CRASH_ROUNDS=1", seed.wrapping_add(round));
        kills += random_round(&mut rng, &Round::new(&receiver, late, manifest, round), &what);
        if (round + 1) % 100 == 0 {
            println!("{} rounds, {kills} kills, seed {seed}", round + 1);
        }
    }
    println!("crash: {rounds} rounds, {kills} kills, seed {seed}: every row once, nothing left over");
}

fn random_round(rng: &mut Rng, round: &Round, what: &str) -> u32 {
    let mut kills = 0;
    for _ in 0..rng.u32(1..5) {
        let rows: String = (0..rng.u32(1..8))
            .map(|_| {
                let point = rng.choice(["a", "b"]).unwrap();
                format!("{:02}:{:02} {point} {}\n", rng.u32(0..60), rng.u32(0..3), rng.u32(0..9))
            })
            .collect();
        append(&round.site, &rows);
        for _ in 0..rng.u32(0..3) {
            if rng.bool() {
                let boundary = rng.choice(BOUNDARIES).unwrap();
                kills += u32::from(round.killed_at(&format!("{boundary}:{}", rng.u32(1..5))));
            } else {
                round.killed_after(Duration::from_micros(rng.u64(500..60_000)));
                kills += 1;
            }
        }
    }
    round.is_whole_after_one_run(what);
    kills
}

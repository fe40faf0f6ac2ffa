//! A receiver that takes each file away the moment it has its name, and runs that are killed or cut off between the
//! rename and the receipt: every row arrives once, and nothing is ever sent a second time.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/export.rs"]
mod export;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/sshd.rs"]
mod sshd;

use ew::Site;
use export::{EW_EXPORT, append, ledger, run};
use fastrand::Rng;
use proxy::{Plan, Proxy};
use sshd::Sshd;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// Moves every file out of a folder as soon as it has its name, and notes each that comes a second time.
struct Mover {
    taken: PathBuf,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Mover {
    fn start(folder: PathBuf, taken: PathBuf) -> Mover {
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::create_dir_all(&taken).unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let (over, to) = (Arc::clone(&is_over), taken.clone());
        let thread = std::thread::spawn(move || {
            let mut twice = Vec::new();
            loop {
                let last = over.load(Ordering::SeqCst);
                for entry in std::fs::read_dir(&folder).unwrap() {
                    let name = entry.unwrap().file_name().into_string().unwrap();
                    if name.starts_with('.') {
                        continue;
                    }
                    if to.join(&name).exists() {
                        twice.push(name.clone());
                    }
                    std::fs::rename(folder.join(&name), to.join(&name)).unwrap();
                }
                if last {
                    return twice;
                }
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        Mover { taken, is_over, thread: Some(thread) }
    }

    /// Takes what is left and ends. What came twice.
    fn end(&mut self) -> Vec<String> {
        self.is_over.store(true, Ordering::SeqCst);
        self.thread.take().map(|thread| thread.join().unwrap()).unwrap_or_default()
    }
}

impl Drop for Mover {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn site(manifest: bool, transport: &str) -> Site {
    let mut site = Site::new(&format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\nbreakup_on_period = true\nconnection_attempts = 1\nmanifest = {manifest}\n  \
         [export.format.csv]\n  layout = \"long\"\n  [export.transport.{transport}\n"
    ));
    site.now("2026-03-01T01:00:00Z");
    site
}

fn over_sftp(server: &Sshd, port: u16, directory: &str) -> Site {
    with_or_without_manifests(server, port, directory, false)
}

fn with_or_without_manifests(server: &Sshd, port: u16, directory: &str, manifest: bool) -> Site {
    site(
        manifest,
        &format!(
            "sftp]\n  host = \"127.0.0.1\"\n  port = {port}\n  user = {:?}\n  key_file = {:?}\n  known_hosts = {:?}\n  \
         directory = {directory:?}",
            server.user(),
            server.key(),
            server.known_hosts(&["ed25519"], port)
        ),
    )
}

fn into_a_folder() -> Site {
    site(true, "file]\n  directory = \"out\"")
}

/// Runs with SIGKILL at a boundary, if it comes to that.
fn killed_at(site: &Site, boundary: &str) {
    let output = site.command(EW_EXPORT, "-q").env("EW_CRASH", boundary).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(matches!(output.status.code(), None | Some(0 | 66)), "{boundary}: {said}");
}

/// One run more, and the receiver has every row once; nothing was ever sent twice.
#[track_caller]
fn is_whole_after_one_run(site: &Site, mover: &mut Mover, what: &str) {
    let ended = site.run(EW_EXPORT, "");
    assert!(matches!(ended.code, 0 | 66), "{what}: {ended:?}");
    assert_eq!(mover.end(), Vec::<String>::new(), "{what}: came twice; {:#?}", ledger(site));
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures");
    let script = fixtures.join("receiver_equals_log.py");
    let compared =
        Command::new(script).arg(site.file("ew.db")).arg(&mover.taken).arg("replace").output().unwrap();
    assert!(
        compared.status.success(),
        "{what}\n{}{}\n{}",
        String::from_utf8_lossy(&compared.stdout),
        String::from_utf8_lossy(&compared.stderr),
        run(site, "ew-ledger", "list").stdout
    );
    if site.read("ew.toml").contains("manifest = true") {
        let checked = Command::new(fixtures.join("check_manifests.py")).arg(&mover.taken).output().unwrap();
        assert!(checked.status.success(), "{what}\n{}", String::from_utf8_lossy(&checked.stdout));
    }
    run(site, "ew-ledger", "audit").exit(0);
    assert_eq!(site.names("ew.db.spool/jobs/u"), Vec::<String>::new(), "{what}");
}

const FIRST: &str = "01:00 a 1\n 16:00 a 3\n 46:00 b 4";
const SECOND: &str = "03:00 a 5\n 31:00 b 7";

/// Around the rename: before it, after it, and with the receipt still to be kept.
#[test]
fn killed_around_the_rename_nothing_goes_twice() {
    let server = Sshd::start();
    for (number, boundary) in
        ["closed", "marked", "marked:2", "renamed", "renamed:2", "delivered", "manifested", "placed"]
            .into_iter()
            .enumerate()
    {
        for sftp in [false, true] {
            let directory = format!("in{number}");
            let (site, folder) = match sftp {
                false => {
                    let site = into_a_folder();
                    let folder = site.file("out");
                    (site, folder)
                }
                true => (over_sftp(&server, server.port(), &directory), server.root().join(&directory)),
            };
            let mut mover = Mover::start(folder, site.file("taken"));
            append(&site, FIRST);
            killed_at(&site, boundary);
            append(&site, SECOND);
            killed_at(&site, boundary);
            is_whole_after_one_run(&site, &mut mover, &format!("{boundary}, sftp {sftp}"));
        }
    }
}

/// Who has it, and how that is known, is in the receipt, and a person is told.
#[test]
fn what_was_taken_is_said() {
    let server = Sshd::start();
    let site = over_sftp(&server, server.port(), "in");
    let mut mover = Mover::start(server.root().join("in"), site.file("taken"));
    append(&site, "01:00 a 1");
    killed_at(&site, "renamed");
    let name = "u_20260301T000000Z.csv";
    while !mover.taken.join(name).exists() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let ended = site.run(EW_EXPORT, "-q").exit(0);
    assert!(ended.stderr.contains("counts as delivered"), "{}", ended.stderr);
    assert!(ended.stderr.contains(&format!("ew-ledger resend u {name}")), "{}", ended.stderr);
    let shown = run(&site, "ew-ledger", &format!("show u {name} --json")).exit(0).stdout;
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["revisions"][0]["receipt"]["how"], "taken");
    assert_eq!(shown["revisions"][0]["receipt"]["checked"], "reply");
    assert_eq!(mover.end(), Vec::<String>::new());
    // Asked for by hand it goes again.
    run(&site, "ew-ledger", &format!("resend u {name}")).exit(0);
    assert!(server.root().join("in").join(name).exists());
}

/// A receiver that keeps its files and clears away what it does not know: the file is sent again, never lost.
#[test]
fn a_receiver_that_clears_away_temporary_files_gets_them_again() {
    let server = Sshd::start();
    for site in [into_a_folder(), over_sftp(&server, server.port(), "in")] {
        let folder =
            if site.read("ew.toml").contains("sftp") { server.root().join("in") } else { site.file("out") };
        std::fs::create_dir_all(&folder).unwrap();
        append(&site, "01:00 a 1\n16:00 a 2");
        let is_second =
            if site.read("ew.toml").contains("manifest = true") { "marked:3" } else { "marked:2" };
        killed_at(&site, is_second);
        std::fs::remove_file(folder.join(".u_20260301T001500Z.csv.part")).unwrap();
        site.run(EW_EXPORT, "-q").exit(0).stderr("");
        assert!(folder.join("u_20260301T001500Z.csv").exists());
    }
}

/// Rows at random, kills at random, connections cut and answers lost at random bytes.
#[test]
fn at_random() {
    let number = |name: &str, default: u64| {
        std::env::var(name)
            .ok()
            .map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}")))
    };
    let (rounds, seed) = (number("EW_CRASH_ROUNDS", 8), number("EW_CRASH_SEED", fastrand::u64(..)));
    let (server, mut taken) = (Sshd::start(), 0);
    for round in 0..rounds {
        let mut rng = Rng::with_seed(seed.wrapping_add(round));
        let what = format!("EW_CRASH_SEED={} EW_CRASH_ROUNDS=1", seed.wrapping_add(round));
        let proxy = Proxy::start(server.address(), Plan::open());
        let directory = format!("in{round}");
        let site = with_or_without_manifests(&server, proxy.port(), &directory, rng.bool());
        let mut mover = Mover::start(server.root().join(&directory), site.file("taken"));
        for _ in 0..4 {
            let rows: String = (0..rng.u32(1..5))
                .map(|_| format!("{:02}:{:02} a {}\n", rng.u32(0..60), rng.u32(0..3), rng.u32(0..9)))
                .collect();
            append(&site, &rows);
            random_harm(&mut rng, &site, &proxy);
        }
        is_whole_after_one_run(&site, &mut mover, &what);
        taken += counted_as_taken(&site);
    }
    println!(
        "taken: {rounds} rounds, {taken} files counted as taken, seed {seed}: every row once, nothing twice"
    );
}

/// Files of which a receipt says so.
fn counted_as_taken(site: &Site) -> usize {
    let receipts = "select receipt from slice where receipt is not null";
    let output = Command::new("sqlite3").arg(site.file("ew.db")).arg(receipts).output().unwrap();
    String::from_utf8(output.stdout).unwrap().matches("\"how\":\"taken\"").count()
}

/// The first rename comes after some 3,300 bytes, and each slice takes some 700 more.
fn random_harm(rng: &mut Rng, site: &Site, proxy: &Proxy) {
    let bytes = rng.u64(3_000..6_000);
    match rng.u32(0..4) {
        0 => proxy.set_plan(Plan::cut_after(bytes)),
        1 | 2 => proxy.set_plan(Plan::deafen_after(bytes)),
        _ => {
            let boundary = rng.choice(["marked", "renamed", "delivered", "manifested", "placed"]).unwrap();
            return killed_at(site, &format!("{boundary}:{}", rng.u32(1..4)));
        }
    }
    let ended = site.run(EW_EXPORT, "");
    assert!(matches!(ended.code, 0 | 1 | 66 | 69), "{ended:?}");
    proxy.set_plan(Plan::open());
}

//! What `scripts/` gives to an administrator: the crontab, the units, the installer, man pages and completions.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;

use ew::{Ended, Site};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

const PROGRAMS: [&str; 6] = ["ew-poll", "ew-cbus", "ew-log", "ew-export", "ew-ledger", "ew-sim"];
const SHELLS: [(&str, &str, &str); 3] = [("bash", "", ""), ("zsh", "_", ""), ("fish", "", ".fish")];

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn script(name: &str) -> String {
    workspace().join("scripts").join(name).to_str().unwrap().to_owned()
}

/// Where the programs of this build lie.
fn programs() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_path_buf();
    for name in PROGRAMS {
        ew::sibling(deps.to_str().unwrap(), name);
    }
    deps.parent().unwrap().to_path_buf()
}

/// What generate-docs.sh writes, made once.
fn docs() -> &'static Path {
    static DOCS: OnceLock<tempfile::TempDir> = OnceLock::new();
    let make = || {
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new(script("generate-docs.sh")).arg(folder.path()).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}");
        assert_eq!((output.stdout.as_slice(), said.as_ref()), ([].as_slice(), ""));
        folder
    };
    DOCS.get_or_init(make).path()
}

/// Every file below a folder: its path from there, permissions and content.
fn tree(folder: &Path) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
            let mode = path.metadata().unwrap().permissions().mode() & 0o7777;
            found.insert(name, (mode, fs::read(&path).unwrap()));
        }
    }
    found
}

/// Runs a tool that must be there.
fn tool(program: &str, arguments: &[&str], environment: &[(&str, &str)]) -> (String, i32) {
    let mut command = Command::new(program);
    command.args(arguments).envs(environment.iter().copied());
    let output =
        command.output().unwrap_or_else(|e| panic!("{program}: {e}; scripts/install-packages.sh test"));
    let said = [output.stdout, output.stderr].concat();
    (String::from_utf8(said).unwrap(), output.status.code().unwrap_or(-1))
}

// Man pages and completions

/// Every command, as its page is called, with all that its `--help` offers: the programs are the oracle.
fn commands() -> Vec<Vec<String>> {
    let site = Site::new("");
    let mut all = Vec::new();
    for program in PROGRAMS {
        all.push(vec![program.to_owned()]);
        let help = site.run(programs().join(program).to_str().unwrap(), "--help").exit(0).stdout;
        let below = help.split_once("\nCommands:\n").map_or("", |(_, below)| below);
        let names = below.lines().take_while(|line| line.starts_with("  "));
        let names =
            names.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        all.extend(
            names.filter(|name| *name != "help").map(|name| vec![program.to_owned(), name.to_owned()]),
        );
    }
    assert!(all.contains(&vec!["ew-log".to_owned(), "backup".to_owned()]), "{all:?}");
    all
}

/// The long options that a `--help` names.
fn long_options(help: &str) -> BTreeSet<String> {
    let lines = help.lines().map(str::trim_start).filter(|line| line.starts_with('-'));
    let words = lines.filter_map(|line| line.split_whitespace().find(|word| word.starts_with("--")));
    words.map(|word| word.trim_end_matches([',', '.']).to_owned()).collect()
}

#[test]
fn every_command_has_a_man_page_without_warnings() {
    let site = Site::new("");
    let commands = commands();
    let mut expected: Vec<String> = commands.iter().map(|words| format!("{}.1", words.join("-"))).collect();
    expected.sort();
    assert_eq!(tree(&docs().join("man")).into_keys().collect::<Vec<_>>(), expected);
    for words in &commands {
        let page = docs().join("man").join(format!("{}.1", words.join("-")));
        let plain =
            [("LC_ALL", "C.UTF-8"), ("MANWIDTH", "200"), ("MAN_KEEP_FORMATTING", ""), ("MANPAGER", "cat")];
        let (text, code) = tool("man", &["--warnings", "-l", page.to_str().unwrap()], &plain);
        assert_eq!(code, 0, "{words:?}: {text}");
        let lines: Vec<&str> = text.lines().collect();
        for title in ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
            assert!(lines.contains(&title), "{words:?}: {title}\n{text}");
        }
        assert!(text.contains("  75  another run holds the lock"), "{words:?}\n{text}");
        // A warning comes before the page or within it, with the name of the formatter.
        assert!(!text.contains("warning:") && !text.contains("troff"), "{words:?}\n{text}");
        let program = programs().join(&words[0]);
        let arguments = [&words[1..], &["--help".to_owned()]].concat().join(" ");
        let help = site.run(program.to_str().unwrap(), &arguments).exit(0).stdout;
        for option in long_options(&help) {
            assert!(text.contains(&option), "{words:?}: {option}\n{text}");
        }
        let usage = help.lines().find_map(|line| line.strip_prefix("Usage: ")).unwrap();
        assert!(lines.iter().any(|line| line.trim() == usage), "{words:?}: {usage}\n{text}");
    }
}

#[test]
fn every_program_has_completions_that_its_shell_can_read() {
    for (shell, before, after) in SHELLS {
        let folder = docs().join(shell);
        let names: BTreeSet<String> = tree(&folder).into_keys().collect();
        assert_eq!(names, PROGRAMS.map(|name| format!("{before}{name}{after}")).into());
        for name in names {
            let said = tool(shell, &["-n", folder.join(&name).to_str().unwrap()], &[]);
            assert_eq!(said, (String::new(), 0), "{shell} {name}");
        }
    }
}

#[test]
fn completions_complete() {
    let file = |name: &str| docs().join(name).display().to_string();
    let bash = format!(
        "source {} && COMP_WORDS=(ew-log sl) COMP_CWORD=1 && _ew__log ew-log sl ew-log && echo \"${{COMPREPLY[@]}}\"",
        file("bash/ew-log")
    );
    assert_eq!(tool("bash", &["--norc", "-c", &bash], &[]), ("slice\n".to_owned(), 0));
    let fish = format!("source {}; complete -C 'ew-export --breakup'", file("fish/ew-export.fish"));
    let (said, code) = tool("fish", &["--no-config", "-c", &fish], &[]);
    assert_eq!((said.as_str(), code), ("--breakup-on-period\tOne slice per slot\n", 0));
}

#[test]
fn generate_docs_needs_a_folder() {
    let site = Site::new("");
    for arguments in ["", "--release"] {
        let ended = site.run(&script("generate-docs.sh"), arguments).exit(2).stdout("");
        assert!(ended.stderr.starts_with("usage: ") && ended.stderr.contains(" OUT "), "{}", ended.stderr);
    }
}

// Units

const UNITS: [&str; 6] = [
    "ew-export.service",
    "ew-export.timer",
    "ew-poll.service",
    "ew-poll.timer",
    "ew-trim.service",
    "ew-trim.timer",
];

/// The values of a key in a unit.
fn values<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

fn unit(name: &str) -> String {
    fs::read_to_string(script(&format!("systemd/{name}"))).unwrap()
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    assert_eq!(tree(Path::new(&script("systemd"))).into_keys().collect::<Vec<_>>(), UNITS);
    let site = Site::new("");
    // The pages that the units point at.
    fs::create_dir_all(site.file("man/man1")).unwrap();
    for page in ["ew-poll.1", "ew-export.1", "ew-log-trim.1"] {
        fs::copy(docs().join("man").join(page), site.file("man/man1").join(page)).unwrap();
    }
    let built = programs().display().to_string();
    let verify = |edit: &dyn Fn(String) -> String| {
        for name in UNITS {
            site.write(name, &edit(unit(name).replace("/usr/local/bin", &built)));
        }
        let files = UNITS.map(|name| site.file(name).display().to_string());
        let mut arguments = vec!["verify"];
        arguments.extend(files.iter().map(String::as_str));
        tool("systemd-analyze", &arguments, &[("MANPATH", site.file("man").to_str().unwrap())])
    };
    assert_eq!(verify(&|unit| unit), (String::new(), 0));
    // And it would have said so.
    assert!(verify(&|unit| unit.replace("NoNewPrivileges", "NoNewPrivilege")).0.contains("Unknown key"));
    assert_ne!(verify(&|unit| unit.replace("ew-poll --due", "ew-pol --due")).1, 0);
}

#[test]
fn services_run_the_programs_as_cron_does() {
    let crontab = fs::read_to_string(script("crontab")).unwrap();
    let network = "AF_INET AF_INET6 AF_UNIX";
    for (name, end, families) in
        [("ew-poll", "5min", network), ("ew-export", "1h", network), ("ew-trim", "1h", "AF_UNIX")]
    {
        let service = unit(&format!("{name}.service"));
        let command = values(&service, "ExecStart")[0].strip_prefix("/usr/local/bin/").unwrap();
        assert!(crontab.lines().any(|line| line.ends_with(&format!("  {command}"))), "{command}");
        let expected = [
            ("Type", "oneshot"),
            ("SuccessExitStatus", "1 66 75"),
            ("Environment", "EW_CONFIG=/etc/ew/ew.toml"),
            ("TimeoutStartSec", end),
            ("User", "ew"),
            ("StateDirectory", "ew"),
            ("ConfigurationDirectory", "ew"),
            ("ProtectSystem", "strict"),
            ("NoNewPrivileges", "yes"),
            ("PrivateTmp", "yes"),
            ("RestrictAddressFamilies", families),
        ];
        for (key, value) in expected {
            assert_eq!(values(&service, key), [value], "{name}: {key}");
        }
        // Only who talks to others needs a secret.
        let talks = families == network;
        assert_eq!(values(&service, "#LoadCredential").len(), usize::from(talks), "{name}");
        assert_eq!(values(&service, "PrivateNetwork").len(), usize::from(!talks), "{name}");
        let timer = unit(&format!("{name}.timer"));
        assert_eq!(values(&timer, "Persistent"), ["true"]);
        assert_eq!(values(&timer, "WantedBy"), ["timers.target"]);
    }
}

/// Minutes of the hour in which a timer elapses, as systemd reads it.
fn timer_minutes(name: &str) -> BTreeSet<u32> {
    let timer = unit(name);
    let [calendar] = values(&timer, "OnCalendar")[..] else { panic!("{timer}") };
    let arguments = ["calendar", "--iterations=60", "--base-time=2026-03-03 09:59:59 UTC", calendar];
    let (said, code) = tool("systemd-analyze", &arguments, &[("TZ", "UTC")]);
    assert_eq!(code, 0, "{said}");
    let times = said.split_whitespace().filter_map(|word| {
        let mut parts = word.split(':').map(|part| part.parse().ok());
        match (parts.next()??, parts.next()??, parts.next()??, parts.next()) {
            (_hour, minute, 0, None) => Some(minute),
            (_, _, second, _) => panic!("second {second}: {said}"),
        }
    });
    let minutes: BTreeSet<u32> = times.collect();
    assert!(!minutes.is_empty(), "{said}");
    minutes
}

/// A job of the crontab.
#[derive(Debug)]
struct CronJob {
    minutes: BTreeSet<u32>,
    /// Of the day; none for each.
    hour: Option<u32>,
    command: String,
}

/// The variables and the jobs of the crontab.
fn crontab() -> (BTreeMap<String, String>, Vec<CronJob>) {
    let text = fs::read_to_string(script("crontab")).unwrap();
    let (mut environment, mut jobs) = (BTreeMap::new(), Vec::new());
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let ([_], Some((name, value))) = (words.as_slice(), line.split_once('=')) {
            environment.insert(name.to_owned(), value.to_owned());
            continue;
        }
        // To cron a % is a line break.
        assert!(words.len() > 5 && !line.contains('%'), "{line}");
        assert_eq!(words[2..5], ["*"; 3], "{line}");
        let hour = (words[1] != "*").then(|| words[1].parse().unwrap());
        let minutes = match words[0] {
            "*" => (0..60).collect(),
            list => list.split(',').map(|minute| minute.parse().unwrap()).collect(),
        };
        jobs.push(CronJob { minutes, hour, command: words[5..].join(" ") });
    }
    (environment, jobs)
}

#[test]
fn crontab_and_timers_run_the_same_at_the_same_minutes() {
    let (environment, jobs) = crontab();
    assert_eq!(environment["EW_CONFIG"], "/etc/ew/ew.toml");
    // cron's own PATH does not have it.
    assert!(environment["PATH"].split(':').any(|folder| folder == "/usr/local/bin"));
    let [poll, export, trim] = jobs.as_slice() else { panic!("{jobs:?}") };
    assert_eq!((poll.command.as_str(), export.command.as_str()), ("ew-poll --due -q", "ew-export -q"));
    assert_eq!(trim.command, "ew-log -q trim --retention");
    assert_eq!((poll.hour, export.hour, trim.hour), (None, None, Some(3)));
    assert_eq!(poll.minutes, (0..60).collect());
    assert_eq!(export.minutes, [2, 17, 32, 47].into());
    assert_eq!(timer_minutes("ew-poll.timer"), poll.minutes);
    assert_eq!(timer_minutes("ew-export.timer"), export.minutes);
    assert_eq!(timer_minutes("ew-trim.timer"), trim.minutes);
    assert_eq!(values(&unit("ew-trim.timer"), "OnCalendar"), ["*-*-* 03:41:00"]);
    let site = Site::new("");
    for job in &jobs {
        // The command is there and takes these options.
        let (program, options) = job.command.split_once(' ').unwrap();
        let program = programs().join(program);
        site.run(program.to_str().unwrap(), &format!("{options} --check")).exit(0).stderr("");
    }
    // The README shows these very lines.
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let text = fs::read_to_string(script("crontab")).unwrap();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        assert!(readme.lines().any(|shown| shown == line), "the README does not show {line}");
    }
}

// Installer

/// Every file that an installation with `--systemd` below /usr/local makes.
fn installed() -> BTreeSet<String> {
    let mut files: BTreeSet<String> = PROGRAMS.map(|name| format!("usr/local/bin/{name}")).into();
    let pages = tree(&docs().join("man")).into_keys();
    files.extend(pages.map(|page| format!("usr/local/share/man/man1/{page}")));
    for name in PROGRAMS {
        files.insert(format!("usr/local/share/bash-completion/completions/{name}"));
        files.insert(format!("usr/local/share/zsh/site-functions/_{name}"));
        files.insert(format!("usr/local/share/fish/vendor_completions.d/{name}.fish"));
    }
    files.extend(UNITS.map(|name| format!("usr/local/lib/systemd/system/{name}")));
    files.insert("usr/local/share/doc/ew/ew.toml".to_owned());
    files.insert("etc/ew/ew.toml".to_owned());
    files
}

fn install(site: &Site, arguments: &str) -> Ended {
    let built = format!("--programs {} --docs {}", programs().display(), docs().display());
    let mut command = site.command(&script("install.sh"), &format!("{arguments} {built}"));
    let output = command.env("DESTDIR", site.file("root")).output().unwrap();
    Ended {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

/// The files that an installer's output names with a word.
fn named(ended: &Ended, word: &str, site: &Site) -> BTreeSet<String> {
    let root = site.file("root").display().to_string();
    let lines = ended.stdout.lines().filter_map(|line| line.strip_prefix(word)?.trim().strip_prefix(&root));
    lines.map(|path| path.trim_start_matches('/').to_owned()).collect()
}

#[test]
fn a_dry_run_names_every_file_and_does_nothing() {
    let site = Site::new("");
    let ended = install(&site, "--dry-run --systemd").exit(0).stderr("");
    assert_eq!(named(&ended, "install ", &site), installed());
    assert!(ended.stdout.contains("dry run: nothing was done"), "{}", ended.stdout);
    for timer in UNITS.iter().filter(|name| name.ends_with(".timer")) {
        let enable = ended.stdout.lines().find(|line| line.contains("systemctl enable --now")).unwrap();
        assert!(enable.contains(timer), "{timer}: {enable}");
    }
    assert_eq!(site.names("."), ["ew.toml"]);
}

#[test]
fn an_installation_is_whole_and_a_second_one_is_harmless() {
    let site = Site::new("");
    let ended = install(&site, "--systemd").exit(0).stderr("");
    assert_eq!(named(&ended, "install ", &site), installed());
    let root = site.file("root");
    let first = tree(&root);
    assert_eq!(first.keys().cloned().collect::<BTreeSet<_>>(), installed());
    for (name, (mode, _)) in &first {
        assert_eq!(*mode, if name.contains("/bin/") { 0o755 } else { 0o644 }, "{name}");
    }
    let config = root.join("etc/ew/ew.toml").display().to_string();
    let text = fs::read_to_string(&config).unwrap();
    assert!(text.lines().any(|line| line.starts_with("url = \"/var/lib/ew/ew.db\" ")), "{text}");
    let log = root.join("usr/local/bin/ew-log").display().to_string();
    site.run(&log, &format!("--config {config} --check")).exit(0);

    // The administrator's configuration stays; everything else is as it was.
    fs::write(&config, "site = \"mine\"\n").unwrap();
    let ended = install(&site, "--systemd").exit(0).stderr("");
    assert_eq!(named(&ended, "install ", &site), BTreeSet::new());
    assert_eq!(named(&ended, "kept ", &site), ["etc/ew/ew.toml".to_owned()].into());
    assert_eq!(fs::read_to_string(&config).unwrap(), "site = \"mine\"\n");
    fs::write(&config, text).unwrap();
    assert_eq!(tree(&root), first);
}

#[test]
fn a_prefix_is_written_into_units_and_crontab() {
    let site = Site::new("");
    install(&site, "--systemd --prefix /opt/ew").exit(0).stderr("");
    let service = fs::read_to_string(site.file("root/usr/local/lib/systemd/system/ew-poll.service")).unwrap();
    assert_eq!(values(&service, "ExecStart"), ["/opt/ew/bin/ew-poll --due -q"]);
    let ended = install(&site, "--cron --prefix /opt/ew").exit(0).stderr("");
    assert!(ended.stdout.contains("crontab -u ew -e"), "{}", ended.stdout);
    let crontab = fs::read_to_string(site.file("root/opt/ew/share/ew/crontab")).unwrap();
    assert_eq!(values(&crontab, "PATH"), ["/opt/ew/bin:/usr/bin:/bin"]);
    // Without either, neither.
    let plain = Site::new("");
    install(&plain, "--prefix=").exit(2);
    install(&plain, "").exit(0).stderr("");
    assert!(!plain.file("root/usr/local/lib").exists() && !plain.file("root/usr/local/share/ew").exists());
}

#[test]
fn wrong_options_are_usage_and_install_nothing() {
    let site = Site::new("");
    for arguments in ["--dryrun", "now", "--prefix usr", "--prefix /opt/e|w", "--systemd --cron", "--prefix"]
    {
        let mut command = site.command(&script("install.sh"), arguments);
        let output = command.env("DESTDIR", site.file("root")).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments}: {said}");
        assert!(said.contains("\nusage: ") && output.stdout.is_empty(), "{arguments}: {said}");
    }
    let ended = site.run(&script("install.sh"), "--programs none --docs none").exit(1).stdout("");
    assert!(ended.stderr.ends_with("there is no directory none\n"), "{}", ended.stderr);
    // A build that is not whole installs nothing.
    fs::create_dir(site.file("empty")).unwrap();
    let arguments = format!("--programs empty --docs {}", docs().display());
    let mut command = site.command(&script("install.sh"), &arguments);
    let output = command.env("DESTDIR", site.file("root")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(!site.file("root").exists());
}

#[test]
fn make_install_hands_its_arguments_on() {
    let site = Site::new("");
    let built =
        format!("ARGS=--dry-run --cron --programs {} --docs {}", programs().display(), docs().display());
    let mut command = site.command("make", "--no-print-directory -s install -C");
    let output = command.arg(workspace()).arg(built).env("DESTDIR", site.file("root")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.contains(&format!("{}/usr/local/share/ew/crontab", site.file("root").display())), "{said}");
    assert!(!site.file("root").exists());
}

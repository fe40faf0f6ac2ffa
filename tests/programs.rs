//! What all programs have in common, held against each of them: help, exit codes, pipes, colours, `--check`, `--json`.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/sim.rs"]
mod sim;

use ew::{Ended, Site};
use sim::Sim;
use std::fs::File;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Every program with its commands.
const PROGRAMS: [(&str, &[&str]); 6] = [
    ("ew-poll", &[]),
    ("ew-log", &["append", "slice", "points", "stats", "check", "trim", "backup"]),
    ("ew-export", &[]),
    (
        "ew-ledger",
        &[
            "status", "list", "show", "audit", "verify", "why", "resend", "release", "skip", "rename",
            "rebuild",
        ],
    ),
    ("ew-sim", &["snmp", "cbus-cli", "cgate", "pci"]),
    ("ew-cbus", &["discover", "poll", "get", "set", "measure", "diff", "import-tags", "probe"]),
];

/// Command lines that print a report or a table; with `--json` added, one JSON document. In this order, again and again.
const REPORTS: [&str; 27] = [
    "ew-poll --dry-run",
    "ew-poll --skip-cache",
    "ew-log append readings.csv",
    "ew-log points",
    "ew-log stats",
    "ew-log check",
    "ew-log backup copy.db",
    "ew-export --dry-run",
    "ew-export --check --probe",
    "ew-export",
    "ew-ledger status",
    "ew-ledger list",
    "ew-ledger show u 2026-03-01T00:00:00Z",
    "ew-ledger audit",
    "ew-ledger why meter 2026-03-01T00:00:00Z",
    "ew-ledger resend u 2026-03-01T00:00:00Z",
    "ew-ledger release u",
    "ew-log trim --before 2026-03-01",
    "ew-log trim --retention",
    "ew-ledger verify",
    "ew-cbus import-tags tags.xml",
    "ew-cbus discover",
    "ew-cbus poll --dry-run",
    "ew-cbus diff 1 1",
    "ew-cbus get lobby 56 2",
    "ew-cbus set lobby 56 2 128",
    "ew-cbus probe",
];

/// Those of [`REPORTS`] that print nothing on stdout without `--json`.
const SILENT: [&str; 11] = [
    "ew-log append readings.csv",
    "ew-log check",
    "ew-log backup copy.db",
    "ew-export",
    "ew-ledger resend u 2026-03-01T00:00:00Z",
    "ew-ledger release u",
    "ew-log trim --before 2026-03-01",
    "ew-log trim --retention",
    "ew-cbus import-tags tags.xml",
    "ew-cbus diff 1 1",
    "ew-cbus set lobby 56 2 128",
];

/// Command lines that print data.
const DATA: [&str; 5] = [
    "ew-log slice --from first --to last",
    "ew-export u --stdout --from 2026-03-01 --to 2026-03-02",
    "ew-sim snmp --for 0s",
    "ew-sim pci --for 0s",
    "ew-sim cbus-cli --fake",
];

fn program(name: &str) -> PathBuf {
    ew::sibling(env!("CARGO_BIN_EXE_ew-log"), name)
}

fn command(site: &Site, line: &str) -> Command {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    site.command(program(name).to_str().unwrap(), arguments)
}

fn run(site: &Site, line: &str) -> Ended {
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    site.run(program(name).to_str().unwrap(), arguments)
}

/// A switch, which is there for as long as its handle, a job, and a reading in the log.
fn site() -> (Site, Sim) {
    let sim = Sim::start(&program("ew-sim"), &[]);
    let mut site = Site::new(&format!(
        "[[domain]]\nname = \"com.example.hq\"\n[[domain.switch]]\nname = \"sw1\"\naddress = \"127.0.0.1\"\n\
         port = {}\n[[export]]\nname = \"u\"\npoints = [\"meter\"]\n[export.format.csv]\n[export.transport.file]\n\
         directory = \"out\"\n\
         [[cbus]]\nname = \"lobby\"\n[cbus.backend.exec]\ncommand = [{:?}, \"cbus-cli\", \"--fake\"]\n",
        sim.ports[0],
        program("ew-sim")
    ));
    site.now("2026-03-01T01:00:00Z");
    site.write("readings.csv", "timestamp,point,value\n2026-03-01T00:00:00Z,meter,1\n");
    site.write("bad.toml", "sight = \"hq\"\n");
    site.write("tags.xml", "<Network><Address>254</Address></Network>");
    run(&site, "ew-log append -q readings.csv").exit(0);
    (site, sim)
}

/// `--help` and the like of each program and each of its commands.
fn helps() -> Vec<String> {
    let mut lines = Vec::new();
    for (name, commands) in PROGRAMS {
        lines.extend([format!("{name} --help"), format!("{name} -h")]);
        if !commands.is_empty() {
            lines.push(format!("{name} help"));
        }
        for command in commands {
            lines.push(format!("{name} {command} --help"));
            lines.push(format!("{name} {command} -h"));
            lines.push(format!("{name} help {command}"));
        }
    }
    lines
}

#[test]
fn every_help_has_an_example_and_the_exit_codes() {
    let codes = [
        (0, "all done, or nothing was due"),
        (1, "some parts failed and some succeeded"),
        (2, "wrong command line"),
        (65, "bad input data"),
        (66, "no data"),
        (69, "a device, child or receiver could not be reached"),
        (74, "local I/O"),
        (75, "another run holds the lock"),
        (76, "the far side broke its protocol"),
        (77, "refused"),
        (78, "bad configuration"),
    ];
    // No configuration is needed to read it.
    let site = Site::new("nonsense");
    for line in helps() {
        let help = run(&site, &line).exit(0).stderr("").stdout;
        for (code, meaning) in codes {
            let is_that = |line: &str| {
                line.trim_start()
                    .strip_prefix(&format!("{code}  "))
                    .is_some_and(|rest| rest.starts_with(meaning))
            };
            assert!(help.lines().any(is_that), "{line}: no line on {code}\n{help}");
        }
        let name = line.split(' ').next().unwrap();
        let (_, after) = help.split_once("Example").unwrap_or_else(|| panic!("{line}: no example\n{help}"));
        assert!(after.lines().any(|line| line.starts_with(&format!("  {name}"))), "{line}\n{help}");
        for option in ["--config", "--check", "--json", "--verbose", "--quiet"] {
            assert!(help.contains(option), "{line}: {option}\n{help}");
        }
    }
}

/// A command that is not in [`PROGRAMS`] would escape all of this.
#[test]
fn the_commands_are_all_known_here() {
    let site = Site::new("");
    for (name, commands) in PROGRAMS {
        let help = run(&site, &format!("{name} --help")).exit(0).stdout;
        let listed: Vec<&str> = help
            .lines()
            .skip_while(|line| *line != "Commands:")
            .skip(1)
            .take_while(|line| !line.is_empty())
            .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
            .filter(|command| !command.is_empty() && *command != "help")
            .collect();
        assert_eq!(listed, commands, "{name}");
    }
}

#[test]
fn version() {
    let site = Site::new("nonsense");
    for (name, _) in PROGRAMS {
        let expect = format!("{name} {}\n", env!("CARGO_PKG_VERSION"));
        run(&site, &format!("{name} --version")).exit(0).stdout(&expect).stderr("");
    }
}

#[test]
fn a_wrong_command_line_is_2_with_nothing_on_stdout() {
    let (site, _sim) = site();
    let mut lines: Vec<String> = Vec::new();
    for (name, commands) in PROGRAMS {
        lines.extend(
            ["--frobnicate", "-q -v", "--config", "--check extra --frobnicate"]
                .map(|a| format!("{name} {a}")),
        );
        lines.extend(commands.iter().map(|command| format!("{name} {command} --frobnicate")));
        if !commands.is_empty() {
            lines.extend(["", "-v", "frobnicate"].map(|a| format!("{name} {a}")));
        }
    }
    lines.extend(
        [
            "ew-cbus discover nobody",
            "ew-cbus get lobby 56",
            "ew-cbus get lobby 56 255",
            "ew-cbus set lobby 56 2 256",
            "ew-cbus diff 99",
            "ew-sim cbus-cli",
            "ew-export nobody",
            "ew-poll com.nobody",
            "ew-ledger list nobody",
            "ew-ledger audit nobody",
            "ew-ledger show nobody 2026-03-01",
            "ew-ledger why meter yesterday",
            "ew-ledger resend u",
            "ew-ledger resend u 2026-03-01 --from 2026-03-01",
            "ew-ledger release nobody",
            "ew-ledger skip u 2026-03-01",
            "ew-ledger rename u",
            "ew-log trim",
            "ew-log trim --retention --before now",
        ]
        .map(str::to_owned),
    );
    for line in lines {
        let ended = run(&site, &line).exit(2).stdout("");
        assert!(!ended.stderr.is_empty(), "{line}");
    }
}

#[test]
fn check_tells_a_good_configuration_from_a_bad_one_and_does_nothing_else() {
    let (site, _sim) = site();
    let before = site.names(".");
    for (name, commands) in PROGRAMS {
        let good = "ew.toml: good: 1 domains, 1 switches, 1 buses, 1 jobs\n";
        run(&site, &format!("{name} --check")).exit(0).stdout(good).stderr("");
        let bad = run(&site, &format!("{name} --config bad.toml --check")).exit(78).stdout("");
        assert!(
            bad.stderr.starts_with(&format!("{name}: bad.toml:1:1: unknown key `sight`")),
            "{}",
            bad.stderr
        );
        let none = run(&site, &format!("{name} --config none.toml --check --json")).exit(78).stdout("");
        assert!(none.stderr.contains("none.toml"), "{}", none.stderr);
        // Without --check it is no better, wherever it is read.
        if commands.is_empty() {
            run(&site, &format!("{name} --config bad.toml")).exit(78).stdout("");
        }
    }
    assert_eq!(site.names("."), before);
}

#[test]
fn json_is_one_document_and_nothing_else() {
    let (site, _sim) = site();
    let checks = PROGRAMS.map(|(name, _)| format!("{name} --check"));
    let lines = REPORTS.iter().map(|line| line.to_string()).chain(checks);
    for line in lines.chain(["ew-sim snmp --for 0s".to_owned(), "ew-sim pci --for 0s".to_owned()]) {
        let ended = run(&site, &format!("{line} --json")).exit(0);
        let document: Result<serde_json::Value, _> = serde_json::from_str(&ended.stdout);
        assert!(document.is_ok_and(|document| document.is_object()), "{line}: {}", ended.stdout);
        assert!(ended.stdout.ends_with("}\n"), "{line}");
    }
}

/// Data is no report; `--json` that changed nothing would mislead.
#[test]
fn json_beside_data_is_a_wrong_command_line() {
    let (site, _sim) = site();
    for line in ["ew-log slice --from first --to last", "ew-export u --stdout"] {
        let ended = run(&site, &format!("{line} --json")).exit(2).stdout("");
        assert!(ended.stderr.contains("prints data") && ended.stderr.contains("hint: "), "{}", ended.stderr);
        assert!(!run(&site, line).exit(0).stdout.is_empty(), "{line}");
    }
}

#[test]
fn quiet_leaves_warnings_errors_and_what_was_asked_for() {
    let (site, sim) = site();
    for line in REPORTS {
        let ended = run(&site, &format!("{line} -q")).exit(0).stderr("");
        // The table of a poll is the report of the run; the others are what was asked for, but where all is well.
        let is_silent = SILENT.contains(&line)
            || line.starts_with("ew-poll")
            || line.starts_with("ew-cbus poll")
            || line == "ew-ledger verify";
        assert_eq!(ended.stdout.is_empty(), is_silent, "{line}");
    }
    let help = run(&site, "ew-poll --help").stdout;
    assert!(help.contains("Say only warnings and errors on stderr; polls print no table"), "{help}");
    // A warning: a key file that is not there. An error: a switch that is not there.
    let sftp = "[[export]]\nname = \"s\"\npoints = [\"**\"]\n[export.format.csv]\n[export.transport.sftp]\n\
                host = \"h\"\nuser = \"u\"\nkey_file = \"none\"\nknown_hosts = \"none\"\ndirectory = \"in\"\n";
    site.write("sftp.toml", sftp);
    let ended = run(&site, "ew-export -q --config sftp.toml --check").exit(0);
    assert!(ended.stderr.starts_with("ew-export: warning: s: "), "{}", ended.stderr);
    drop(sim);
    let ended = run(&site, "ew-poll -q --skip-cache --dry-run").exit(69).stdout("");
    assert!(ended.stderr.contains("sw1") && ended.stderr.contains("hint: "), "{}", ended.stderr);
}

fn everything() -> Vec<String> {
    let reports = REPORTS.iter().flat_map(|line| [line.to_string(), format!("{line} --json")]);
    let checks = PROGRAMS.iter().flat_map(|(name, _)| {
        [format!("{name} --check"), format!("{name} --check --json"), format!("{name} --version")]
    });
    reports.chain(DATA.map(str::to_owned)).chain(checks).chain(helps()).collect()
}

#[test]
fn no_escapes_off_a_terminal() {
    let (site, _sim) = site();
    let complaints = PROGRAMS.map(|(name, _)| format!("{name} --frobnicate"));
    let bad = PROGRAMS.map(|(name, _)| format!("{name} --config bad.toml --check"));
    for line in everything().into_iter().chain(complaints).chain(bad) {
        let mut command = command(&site, &line);
        let output = command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor").output().unwrap();
        let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(!said.contains(['\u{1b}', '\r']), "{line}\n{said}");
    }
}

/// On a terminal only help has them, and `NO_COLOR` takes them away.
#[test]
fn no_color_on_a_terminal() {
    let (site, _sim) = site();
    let on_terminal = |line: &str, no_color: Option<&str>| {
        let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
        let mut script = site.command("script", "-q -e -c");
        script.arg(format!("{} {arguments}", program(name).display())).arg("/dev/null");
        script.env("TERM", "xterm-256color").envs(no_color.map(|value| ("NO_COLOR", value)));
        String::from_utf8(script.output().unwrap().stdout).unwrap()
    };
    for (name, _) in PROGRAMS {
        let line = format!("{name} --help");
        assert!(
            on_terminal(&line, None).contains('\u{1b}'),
            "{line}: this is no terminal, or help lost its colours"
        );
        for line in [line, format!("{name} --frobnicate")] {
            let said = on_terminal(&line, Some("1"));
            assert!(said.contains(name) && !said.contains('\u{1b}'), "{line}\n{said}");
        }
    }
    for line in REPORTS {
        let said = on_terminal(line, None);
        assert!(!said.contains('\u{1b}'), "{line}\n{said}");
    }
}

#[test]
fn a_closed_pipe_ends_quietly() {
    let (site, _sim) = site();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    for line in everything() {
        let closed = writer.try_clone().unwrap();
        let output = command(&site, &line).stdout(closed).stderr(Stdio::piped()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        // By then everything is exported.
        let expect = if line == "ew-export --json" { 66 } else { 0 };
        assert_eq!(output.status.code(), Some(expect), "{line}: {said}");
        // What it did it may still say.
        assert!(
            !said.contains("cannot") && !said.contains("pipe") && !said.contains("panic"),
            "{line}: {said}"
        );
    }
    // What did not succeed did not succeed, whoever reads of it.
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = silent.local_addr().unwrap().port();
    site.write("silent.toml", &format!(
        "[snmp]\ntimeout = \"100ms\"\nretries = 0\n[[domain]]\nname = \"com.example.hq\"\n[[domain.switch]]\n\
         name = \"sw1\"\naddress = \"127.0.0.1\"\nport = {port}\n"
    ));
    for line in [
        "ew-poll --config silent.toml --skip-cache --dry-run",
        "ew-poll --config silent.toml --skip-cache --dry-run --json",
    ] {
        let closed = writer.try_clone().unwrap();
        assert_eq!(command(&site, line).stdout(closed).output().unwrap().status.code(), Some(69), "{line}");
    }
}

#[test]
fn a_full_disk_behind_stdout_is_74() {
    let (site, _sim) = site();
    let of_clap =
        |line: &&String| !line.contains("-h") && !line.contains("help") && !line.contains("--version");
    let lines = everything();
    for line in lines.iter().filter(of_clap).filter(|line| !SILENT.contains(&line.as_str())) {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = command(&site, line).stdout(full).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(74), "{line}\n{said}");
        assert!(said.contains(": cannot write ") && said.contains("No space left"), "{line}\n{said}");
    }
}

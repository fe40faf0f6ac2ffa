//! How `ew-log` behaves among other programs: command lines, pipes, where it finds its file. What it has in common with
//! the others is in programs.rs.
#![allow(clippy::unwrap_used)]
#![allow(dead_code)]

#[path = "support/ew.rs"]
mod ew;

use ew::Site;
use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Output, Stdio};

const EW_LOG: &str = env!("CARGO_BIN_EXE_ew-log");
const COMMANDS: [&str; 4] = ["append", "slice", "points", "stats"];

/// One point, so many rows a second apart.
fn site_with_rows(count: u32) -> Site {
    let site = Site::new("site = \"hq\"\n");
    let rows: String =
        (0..count).map(|n| format!("{},com.example.hq,{n}.5,W\n", 1_700_000_000 + n)).collect();
    site.run_with_input(EW_LOG, "append -q", &format!("timestamp,point,value,unit\n{rows}"))
        .exit(0)
        .stdout("")
        .stderr("");
    site
}

fn text(output: Output) -> (String, String, i32) {
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.code().unwrap_or(-1))
}

// Help

/// Each way to ask for help, of the program and of each command.
fn helps() -> Vec<String> {
    let of_commands = COMMANDS.iter().flat_map(|command| {
        [format!("{command} --help"), format!("{command} -h"), format!("help {command}")]
    });
    ["--help", "-h", "help"].map(str::to_owned).into_iter().chain(of_commands).collect()
}

/// An example that does not run teaches nothing.
#[test]
fn the_examples_run() {
    let mut site = Site::new("site = \"hq\"\n");
    site.now("2026-03-20T12:00:00Z");
    let csv = "timestamp,point,value\n2026-03-20T11:00:00Z,com.example.hq,1\n";
    for name in ["readings.csv", "corrected.csv"] {
        site.write(name, csv);
    }
    let mut examples = Vec::new();
    for arguments in helps() {
        let help = site.run(EW_LOG, &arguments).exit(0).stdout;
        examples.extend(help.lines().filter_map(|line| line.strip_prefix("  ew-log ")).map(str::to_owned));
    }
    examples.sort();
    examples.dedup();
    assert!(examples.len() >= 6, "{examples:?}");
    site.run(EW_LOG, "append -q readings.csv").exit(0);
    for example in examples {
        let mut command = site.command("sh", "-c");
        let output = command.arg(format!("{EW_LOG} {example}")).output().unwrap();
        assert!(output.status.success(), "ew-log {example}\n{output:?}");
    }
}

#[test]
fn the_commands_and_options_of_the_contract_are_in_help() {
    let site = Site::new("");
    let help = site.run(EW_LOG, "--help").exit(0).stdout;
    for word in COMMANDS.iter().chain(&["--config", "--check", "--json", "--verbose", "-v", "--quiet", "-q"])
    {
        assert!(help.contains(word), "{word}\n{help}");
    }
    let help = site.run(EW_LOG, "slice --help").exit(0).stdout;
    for word in
        ["--from", "--to", "--point", "--layout", "--format", "--zone", "long", "wide", "csv", "xml", "jsonl"]
    {
        assert!(help.contains(word), "{word}\n{help}");
    }
}

// The command line

#[test]
fn a_wrong_command_line_is_2_with_nothing_on_stdout() {
    let site = Site::new("");
    for arguments in [
        "",
        "-v",
        "frobnicate",
        "--frobnicate",
        "append a.csv b.csv",
        "append --frobnicate",
        "points --from 1",
        "stats extra",
        "slice",
        "-q -v stats",
        "--config",
    ] {
        let ended = site.run(EW_LOG, arguments).exit(2).stdout("");
        assert!(!ended.stderr.is_empty(), "{arguments}");
    }
    let ended = site.run(EW_LOG, "slise --from 1 --to 2").exit(2);
    assert!(ended.stderr.contains("'slice'"), "{}", ended.stderr);
}

#[test]
fn shared_options_stand_before_or_after_the_command() {
    let site = site_with_rows(1);
    let before = site.run(EW_LOG, "--json stats").exit(0).stdout;
    site.run(EW_LOG, "stats --json").exit(0).stdout(&before);
    site.run(EW_LOG, "-q --json stats").exit(0).stdout(&before);
}

#[test]
fn check_validates_and_does_nothing_else() {
    let site = Site::new("site = \"hq\"\n");
    site.write("readings.csv", "timestamp,point,value\n1,a,1\n");
    for arguments in ["--check", "append --check readings.csv", "--check points"] {
        let ended = site.run(EW_LOG, arguments).exit(0).stderr("");
        assert!(ended.stdout.starts_with("ew.toml: good: "), "{}", ended.stdout);
    }
    assert_eq!(site.names("."), ["ew.toml", "readings.csv"]);
    site.write("ew.toml", "sight = \"hq\"\n");
    site.run(EW_LOG, "--check").exit(78).stdout("");
    site.run(EW_LOG, "stats").exit(78).stdout("");
}

// Messages

#[test]
fn quiet_silences_notes_but_no_error() {
    let site = Site::new("");
    let input = "timestamp,point,value\n1,a,1\n";
    let note = "ew-log: 1 appended, 0 equal ones skipped, 0 corrected\n";
    site.run_with_input(EW_LOG, "append", input).exit(0).stdout("").stderr(note);
    for arguments in ["append -q", "append --quiet", "-q append"] {
        site.run_with_input(EW_LOG, arguments, input).exit(0).stdout("").stderr("");
    }
    let bad = "timestamp,point,value\n1,a,2\n";
    let loud = site.run_with_input(EW_LOG, "append", bad).exit(65).stderr;
    assert!(loud.starts_with("ew-log: ") && loud.contains("hint: "), "{loud}");
    site.run_with_input(EW_LOG, "append -q", bad).exit(65).stdout("").stderr(&loud);
    for (arguments, code) in [("-q slice --from 100 --to 200", 66), ("-q --config none.toml stats", 78)] {
        let ended = site.run(EW_LOG, arguments).exit(code).stdout("");
        assert!(ended.stderr.starts_with("ew-log: "), "{}", ended.stderr);
    }
}

#[test]
fn verbose_and_debug_leave_stdout_alone() {
    let site = site_with_rows(10);
    let plain = site.run(EW_LOG, "slice --from first --to last").exit(0).stdout;
    site.run(EW_LOG, "-v slice --from first --to last").exit(0).stdout(&plain);
    let mut command = site.command(EW_LOG, "slice --from first --to last");
    assert_eq!(text(command.env("EW_DEBUG", "1").output().unwrap()).0, plain);
}

// Pipes

/// Reads one line and goes.
#[track_caller]
fn ends_quietly(site: &Site, arguments: &str) {
    let mut child = site.spawn(EW_LOG, arguments);
    let mut line = String::new();
    BufReader::with_capacity(64, child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(!line.is_empty(), "{arguments}");
    let status = child.wait().unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""), "{arguments}");
}

#[test]
fn a_closed_pipe_ends_quietly() {
    // Every format is larger than a pipe holds and than any buffer on the way.
    let site = site_with_rows(20_000);
    for format in ["--layout long", "--layout wide", "--format xml", "--format jsonl"] {
        ends_quietly(&site, &format!("slice --from first --to last {format}"));
    }
    let points: String = (0..6_000).map(|n| format!("1,com.example.a.rather.long.name.{n},1\n")).collect();
    site.run_with_input(EW_LOG, "append -q", &format!("timestamp,point,value\n{points}")).exit(0);
    ends_quietly(&site, "points");
    ends_quietly(&site, "points --json");
    // A header that is larger than a pipe holds.
    ends_quietly(&site, "slice --from 1 --to 2 --layout wide");
}

#[test]
fn commands_make_a_pipeline() {
    let site = site_with_rows(5);
    site.write("copy.toml", "[log]\nurl = \"copy.db\"\n");
    let script = format!(
        "{EW_LOG} slice --from first --to last --zone Asia/Kolkata | {EW_LOG} --config copy.toml append -q && \
         {EW_LOG} --config copy.toml slice --from first --to last"
    );
    let output = site.command("sh", "-c").arg(script).output().unwrap();
    assert_eq!(text(output).0, site.run(EW_LOG, "slice --from first --to last").exit(0).stdout);
}

// Which configuration

/// The file that `--check --json` found.
fn found(command: &mut Command) -> String {
    let (stdout, stderr, code) = text(command.args(["--check", "--json"]).output().unwrap());
    assert_eq!(code, 0, "{stderr}");
    let document: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    document["config"].as_str().unwrap().to_owned()
}

#[test]
fn the_configuration_is_looked_for_in_order() {
    let site = Site::new("");
    let folder = site.path().to_str().unwrap().to_owned();
    for name in ["xdg/ew", ".config/ew", "elsewhere"] {
        std::fs::create_dir_all(site.file(name)).unwrap();
    }
    for name in ["argument.toml", "variable.toml", "xdg/ew/ew.toml", ".config/ew/ew.toml"] {
        site.write(name, "");
    }
    let command = |arguments: &str| {
        let mut command = site.command(EW_LOG, arguments);
        command.env("EW_CONFIG", "variable.toml").env("XDG_CONFIG_HOME", site.file("xdg"));
        command
    };
    assert_eq!(found(&mut command("--config argument.toml")), "argument.toml");
    assert_eq!(found(&mut command("")), "variable.toml");
    assert_eq!(found(command("").env("EW_CONFIG", "")), "ew.toml");
    assert_eq!(found(command("").env_remove("EW_CONFIG")), "ew.toml");
    std::fs::remove_file(site.file("ew.toml")).unwrap();
    assert_eq!(found(command("").env_remove("EW_CONFIG")), format!("{folder}/xdg/ew/ew.toml"));
    // $XDG_CONFIG_HOME is ~/.config where it is not set.
    assert_eq!(
        found(command("").env_remove("EW_CONFIG").env_remove("XDG_CONFIG_HOME")),
        format!("{folder}/.config/ew/ew.toml")
    );
}

#[test]
fn a_configuration_that_was_named_must_be_there() {
    let site = Site::new("");
    let ended = site.run(EW_LOG, "--config none.toml --check").exit(78).stdout("");
    assert!(ended.stderr.contains("none.toml"), "{}", ended.stderr);
    let mut command = site.command(EW_LOG, "--check");
    let (stdout, stderr, code) = text(command.env("EW_CONFIG", "gone.toml").output().unwrap());
    assert_eq!((stdout.as_str(), code), ("", 78));
    assert!(stderr.contains("gone.toml"), "{stderr}");
    site.run(EW_LOG, "--config . --check").exit(78);
}

#[test]
fn without_any_configuration_the_places_are_told() {
    if std::path::Path::new("/etc/ew/ew.toml").exists() {
        return;
    }
    let site = Site::new("");
    std::fs::remove_file(site.file("ew.toml")).unwrap();
    let mut command = site.command(EW_LOG, "stats");
    command.env("XDG_CONFIG_HOME", site.file("xdg"));
    let (stdout, stderr, code) = text(command.output().unwrap());
    assert_eq!((stdout.as_str(), code), ("", 78));
    let xdg = site.file("xdg/ew/ew.toml").display().to_string();
    for word in ["ew.toml", xdg.as_str(), "/etc/ew/ew.toml", "--config", "EW_CONFIG"] {
        assert!(stderr.contains(word), "{word}: {stderr}");
    }
    assert!(site.names(".").is_empty());
}

#[test]
fn paths_are_relative_to_the_configuration() {
    let site = Site::new("");
    std::fs::create_dir(site.file("there")).unwrap();
    site.write("there/ew.toml", "[log]\nurl = \"readings.db\"\n");
    let input = "timestamp,point,value\n1,a,1\n";
    site.run_with_input(EW_LOG, "append -q --config there/ew.toml", input).exit(0);
    assert!(site.names("there").contains(&"readings.db".to_owned()));
    assert_eq!(site.names("."), ["ew.toml", "there"]);
    // Files on the command line are relative to the working folder.
    site.write("readings.csv", input);
    site.run(EW_LOG, "append --config there/ew.toml readings.csv").exit(0);
}

#[test]
fn a_read_never_blocks_on_stdin() {
    let site = site_with_rows(1);
    let mut command = site.command(EW_LOG, "stats");
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    // stdin stays open and silent.
    let held = child.stdin.take();
    assert!(child.wait().unwrap().success());
    drop(held);
}

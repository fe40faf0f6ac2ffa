//! The transporter `command` with programs of all manners: honest, hanging, deaf and talkative ones.
#![allow(clippy::unwrap_used)]

#[path = "support/spool.rs"]
mod spool;
#[path = "support/sshd.rs"]
mod sshd;

use ew_core::{Exit, Secret, SecretSource, Span};
use ew_transport::{
    Ability, Can, Checked, Context, ErrorKind, How, Parcel, Receipt, TransportError, TransportOptions,
};
use spool::{Spool, options};
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

const TEXT: &str = "timestamp,a\n2023-11-14T22:13:20Z,12.5\n";

fn command(words: &[&str], more: &str) -> TransportOptions {
    options(&format!("[command]\ncommand = {words:?}\n{more}"))
}

/// A script of the shell; `$1` is the file's name.
fn script(text: &str, more: &str) -> TransportOptions {
    command(&["sh", "-c", text, "sh", "{name}"], more)
}

fn context(base: &Path) -> Context<'_> {
    let resolve: &dyn Fn(&SecretSource) -> Result<Secret, String> = &|source| match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        _ => Err("there is no such secret".to_owned()),
    };
    Context { base, timeout: Span::from_secs(20), resolve }
}

fn deliver(options: &TransportOptions, base: &Path, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
    options.open(&context(base)).and_then(|mut transporter| transporter.deliver(parcel))
}

/// What comes of a script with a small file.
fn failed(text: &str, more: &str) -> TransportError {
    let dir = tempfile::tempdir().unwrap();
    deliver(&script(text, more), dir.path(), &Spool::new(TEXT).parcel("u.csv")).unwrap_err()
}

fn is_running(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    !stat.is_empty() && !stat.contains(") Z ")
}

#[test]
fn the_file_is_its_stdin_and_the_rest_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let large = Spool::large(9 * 1024 * 1024 + 1);
    let options = command(
        &[
            "sh",
            "-c",
            "cat > \"$1\" && env > env && printf '%s\\n' \"$@\" > args",
            "{{sh}}",
            "{name}",
            "{job}-{site}-{bytes}",
            "{sha256}",
            "{start_utc:%Y}",
            "{file}",
            "$(touch oops); {{x}}",
        ],
        "environment = { TOKEN = \"sesame\" }",
    );
    let receipt = deliver(&options, dir.path(), &large.parcel("Zähler 7; \"a\".csv")).unwrap();
    assert_eq!(
        (receipt.how, receipt.checked, receipt.bytes),
        (How::Sent, Checked::Reply, large.bytes.len() as u64)
    );
    assert_eq!(receipt.path, "Zähler 7; \"a\".csv");
    assert!(receipt.destination.starts_with("command:sh -c cat"), "{}", receipt.destination);
    assert!(fs::read(dir.path().join("Zähler 7; \"a\".csv")).unwrap() == large.bytes, "byte for byte");
    let args = fs::read_to_string(dir.path().join("args")).unwrap();
    let (bytes, sha256, file) = (large.bytes.len(), &large.sha256, large.file.display());
    assert_eq!(
        args,
        format!("Zähler 7; \"a\".csv\nu-hq-{bytes}\n{sha256}\n2023\n{file}\n$(touch oops); {{x}}\n")
    );
    assert!(!dir.path().join("oops").exists());
    let env = fs::read_to_string(dir.path().join("env")).unwrap();
    for line in [
        "TOKEN=sesame",
        "EW_NAME=Zähler 7; \"a\".csv",
        &format!("EW_BYTES={bytes}"),
        &format!("EW_SHA256={sha256}"),
        &format!("EW_FILE={file}"),
        "EW_JOB=u",
        "EW_SITE=hq",
        "EW_START=2023-11-14T22:13:20Z",
        "EW_END=2023-11-14T22:28:20Z",
        "EW_REV=0",
        "EW_SENT_BEFORE=0",
        "EW_MAY_REPLACE=0",
    ] {
        assert!(env.lines().any(|other| other == line), "{line}\n{env}");
    }
    // The same parcel has the same id in every attempt.
    let id = |env: &str| env.lines().find(|line| line.starts_with("EW_ID=")).unwrap().to_owned();
    let again = Parcel { sent_before: true, may_replace: true, ..large.parcel("Zähler 7; \"a\".csv") };
    deliver(&options, dir.path(), &again).unwrap();
    let second = fs::read_to_string(dir.path().join("env")).unwrap();
    assert_eq!(id(&second), id(&env));
    assert!(second.contains("EW_SENT_BEFORE=1\n") && second.contains("EW_MAY_REPLACE=1\n"), "{second}");
}

#[test]
fn its_exit_code_is_the_outcome() {
    for (code, exit, is_retryable) in [
        (1, Exit::Unavailable, false),
        (2, Exit::Unavailable, false),
        (69, Exit::Unavailable, true),
        (75, Exit::Unavailable, true),
        (77, Exit::Refused, false),
        (78, Exit::Unavailable, false),
        (255, Exit::Unavailable, false),
    ] {
        let error = failed(&format!("exit {code}"), "");
        assert_eq!((error.exit(), error.is_retryable()), (exit, is_retryable), "{error}");
        assert_eq!(error.to_string(), format!("cannot send u.csv to command sh: it ended with {code}"));
    }
    let error = failed("kill -9 $$", "");
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Failed, false));
    assert!(error.to_string().ends_with("it was ended by signal 9"), "{error}");
}

#[test]
fn its_last_words_are_told() {
    let error = failed("for n in 1 2 3 4 5 6 7; do echo \"line $n\" >&2; done; exit 1", "");
    assert!(
        error.to_string().ends_with("ended with 1: line 3 | line 4 | line 5 | line 6 | line 7"),
        "{error}"
    );
    // What a terminal would obey, a megabyte on either side, and a secret.
    let error = failed(
        "head -c 1000000 /dev/zero | tee /dev/stderr; printf '\\nno \\033[1m %s\\n' \"$TOKEN\" >&2; exit 1",
        "environment = { TOKEN = \"open sesame\" }",
    );
    assert!(error.to_string().ends_with(" | no \\u{1b}[1m ***"), "{error}");
    assert!(error.to_string().len() < 2000 && !error.to_string().contains('\u{1b}'), "{error}");
}

/// Of a flood the end is kept, which may begin within a secret.
#[test]
fn no_part_of_a_secret_is_told() {
    let secret: String = (0..400).map(|n| format!("{n:03}+")).collect();
    let more = format!("environment = {{ TOKEN = {secret:?} }}");
    for kept in [100, 1_000, 1_599] {
        let text = format!(
            "printf '%s' \"$TOKEN\" >&2; head -c {} /dev/zero | tr '\\0' x >&2; yes | head -c 5000000; exit 1",
            16 * 1024 - kept
        );
        let error = failed(&text, &more).to_string();
        assert!(error.ends_with(&format!("it ended with 1: ***{}", "x".repeat(197))), "{kept}: {error}");
    }
}

#[test]
fn the_deadline_ends_it_and_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::new(TEXT);
    let gone = |pids: &str| {
        for pid in fs::read_to_string(dir.path().join(pids)).unwrap().lines() {
            for _ in 0..200 {
                if !is_running(pid) {
                    break;
                }
                thread::sleep(Duration::from_millis(10));
            }
            assert!(!is_running(pid), "{pid} of {pids}");
        }
    };
    let hangs =
        script("echo $$ > a; sleep 1000 & echo $! >> a; echo waiting >&2; wait", "deadline = \"300ms\"");
    let error = deliver(&hangs, dir.path(), &spool.parcel("u.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true));
    assert!(error.to_string().ends_with("it did not end within 300ms and was ended: waiting"), "{error}");
    assert!(error.hint().unwrap().contains("deadline"));
    gone("a");
    // One that ignores SIGTERM, with what it started. Its patience is five seconds.
    let deaf = script("trap '' TERM; echo $$ > b; while :; do sleep 0.05; done", "deadline = \"300ms\"");
    let error = deliver(&deaf, dir.path(), &spool.parcel("u.csv")).unwrap_err();
    assert!(error.to_string().ends_with("it did not end within 300ms and was ended"), "{error}");
    gone("b");
    // One that ends well and leaves something behind that would hold its pipes open.
    let leaves = script("sleep 1000 & echo $! > c; exit 0", "");
    deliver(&leaves, dir.path(), &spool.parcel("u.csv")).unwrap();
    gone("c");
}

/// Whoever does not read its stdin may say that it has the file all the same: it may have read it by its path.
#[test]
fn nobody_has_to_read() {
    let dir = tempfile::tempdir().unwrap();
    let large = Spool::large(3 * 1024 * 1024);
    deliver(&command(&["true"], ""), dir.path(), &large.parcel("u.csv")).unwrap();
    deliver(&command(&["cp", "{file}", "in-{name}"], ""), dir.path(), &large.parcel("u.csv")).unwrap();
    assert!(fs::read(dir.path().join("in-u.csv")).unwrap() == large.bytes);
    let error = failed("exec <&-; exit 75", "");
    assert!(error.is_retryable(), "{error}");
}

#[test]
fn what_is_not_as_recorded_is_not_sent() {
    let dir = tempfile::tempdir().unwrap();
    let (spool, other) = (Spool::new(TEXT), Spool::new("x"));
    let options = script("cat > \"$1\"", "");
    let gone = Parcel { file: Path::new("/nowhere/slice"), ..spool.parcel("gone") };
    let altered = Parcel { sha256: &other.sha256, ..spool.parcel("altered") };
    for parcel in [gone, altered] {
        assert_eq!(deliver(&options, dir.path(), &parcel).unwrap_err().exit(), Exit::Io);
    }
    assert_eq!(deliver(&options, dir.path(), &spool.parcel("../escape")).unwrap_err().exit(), Exit::Config);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn programs_that_are_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("send.sh");
    fs::write(&own, "#!/bin/sh\ncat > got\n").unwrap();
    for words in [&["no-such-program-of-ew"][..], &["./none.sh"], &["/nowhere/none"]] {
        let options = command(words, "");
        let (checked, probe) =
            (options.check(dir.path()).unwrap_err(), options.probe(&context(dir.path()), ".x"));
        let error = deliver(&options, dir.path(), &Spool::new(TEXT).parcel("u.csv")).unwrap_err();
        for error in [&checked, probe.error.as_ref().unwrap(), &error] {
            assert_eq!((error.exit(), error.is_of_receiver()), (Exit::Config, true), "{error}");
            assert!(error.to_string().contains(&format!("command {}: start it: ", words[0])), "{error}");
            assert!(error.hint().unwrap().contains("$PATH"));
        }
        assert_eq!(probe.abilities[0].can, Can::No);
    }
    // A path starts from the folder of ew.toml. Without its permission to run it is there, and is not started.
    let options = command(&["./send.sh"], "");
    options.check(dir.path()).unwrap();
    let error = deliver(&options, dir.path(), &Spool::new(TEXT).parcel("u.csv")).unwrap_err();
    assert!(error.to_string().ends_with("start it: permission denied"), "{error}");
    let status = Command::new("chmod").arg("+x").arg(&own).status().unwrap();
    assert!(status.success());
    deliver(&options, dir.path(), &Spool::new(TEXT).parcel("u.csv")).unwrap();
    assert_eq!(fs::read_to_string(dir.path().join("got")).unwrap(), TEXT);
    let probe = options.probe(&context(dir.path()), ".x");
    assert_eq!((probe.abilities[0].ability, probe.abilities[0].can), (Ability::Connect, Can::Yes));
    assert!(probe.error.is_none() && options.look(&context(dir.path())).unwrap().is_none());
}

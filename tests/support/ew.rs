//! A site in a temporary folder and the programs run in it, in an environment of its own.
#![allow(dead_code, reason = "each test uses its own part")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// A folder with `ew.toml`, removed at the end.
pub(crate) struct Site {
    dir: tempfile::TempDir,
    now: Option<String>,
    boot: Option<String>,
}

/// What a program printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: i32,
}

impl Site {
    pub(crate) fn new(config: &str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let site = Site { dir, now: None, boot: None };
        site.write("ew.toml", config);
        site
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        std::fs::write(self.file(name), text).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.file(name)).unwrap()
    }

    /// File names in a folder, sorted; hidden ones too.
    pub(crate) fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.file(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The wall clock that the programs see from here on.
    pub(crate) fn now(&mut self, time: &str) {
        self.now = Some(time.to_owned());
    }

    /// The boot and the seconds since it that the programs see from here on, `id:seconds`.
    pub(crate) fn boot(&mut self, boot: &str) {
        self.boot = Some(boot.to_owned());
    }

    /// A program with arguments as on a command line, parted at blanks.
    pub(crate) fn command(&self, program: &str, arguments: &str) -> Command {
        let mut command = Command::new(program);
        command.args(arguments.split_whitespace()).current_dir(self.path()).env_clear();
        for name in ["PATH", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", self.path()).env("TZ", "UTC").stdin(Stdio::null());
        if let Some(now) = &self.now {
            command.env("EW_NOW", now);
        }
        if let Some(boot) = &self.boot {
            command.env("EW_BOOT", boot);
        }
        command
    }

    pub(crate) fn run(&self, program: &str, arguments: &str) -> Ended {
        ended(self.command(program, arguments).output().unwrap())
    }

    pub(crate) fn run_with_input(&self, program: &str, arguments: &str, input: &str) -> Ended {
        use std::io::Write;
        let mut command = self.command(program, arguments);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        ended(child.wait_with_output().unwrap())
    }

    /// Started and left running.
    pub(crate) fn spawn(&self, program: &str, arguments: &str) -> Child {
        self.command(program, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

pub(crate) fn ended(output: std::process::Output) -> Ended {
    Ended {
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
        code: output.status.code().unwrap_or(-1),
    }
}

impl Ended {
    /// Asserts the exit code, showing everything where it differs.
    #[track_caller]
    pub(crate) fn exit(self, code: i32) -> Ended {
        assert_eq!(self.code, code, "\nstdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn stdout(self, text: &str) -> Ended {
        assert_eq!(self.stdout, text, "\nstderr:\n{}", self.stderr);
        self
    }

    #[track_caller]
    pub(crate) fn stderr(self, text: &str) -> Ended {
        assert_eq!(self.stderr, text, "\nstdout:\n{}", self.stdout);
        self
    }
}

/// Another program of the workspace, built beside this one.
pub(crate) fn sibling(program: &str, name: &str) -> PathBuf {
    let path = Path::new(program).with_file_name(name);
    assert!(path.is_file(), "{name} is not built; run: cargo build --workspace --bins");
    path
}

impl Site {
    /// Files below the folder, other than `ew.toml`, that hold a text: the log, the spool, the locks.
    pub(crate) fn files_with(&self, text: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.file_name().unwrap() != "ew.toml" {
                    let bytes = std::fs::read(&path).unwrap();
                    if bytes.windows(text.len()).any(|window| window == text.as_bytes()) {
                        found.push(path);
                    }
                }
            }
        }
        found
    }
}

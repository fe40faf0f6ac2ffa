//! A simulated C-Gate server: a running `ew-sim cgate`, and a bus that is configured for it.
#![allow(dead_code, reason = "each test uses its own part")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Ended when dropped.
pub(crate) struct Cgate {
    child: Child,
    dir: tempfile::TempDir,
    pub(crate) port: u16,
}

impl Cgate {
    /// `program` is that `ew-sim`; `arguments` as on a command line, parted at blanks.
    pub(crate) fn start(program: &Path, arguments: &str) -> Cgate {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["cgate", "--for", "5m", "--record", "commands"]).args(arguments.split_whitespace());
        command.current_dir(dir.path()).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut cgate = Cgate { child: command.spawn().unwrap(), dir, port: 0 };
        let mut lines = BufReader::new(cgate.child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("ew-sim ended before it was ready").unwrap();
            if line == "ready" {
                return cgate;
            }
            let address = line.split(' ').nth(1).unwrap();
            cgate.port = address.rsplit_once(':').unwrap().1.parse().unwrap();
        }
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `[[cbus]]` of a bus with this server as its backend; `cgate` are further lines of the backend.
    pub(crate) fn toml(&self, bus: &str, cgate: &str) -> String {
        format!(
            "name = \"lobby\"\n{bus}\n[backend.cgate]\nhost = \"127.0.0.1\"\nport = {}\n{cgate}\n",
            self.port
        )
    }

    /// Every command that came so far, without its tag.
    pub(crate) fn commands(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.file("commands")).unwrap_or_default();
        text.lines().map(|line| line.split_once("] ").map_or(line, |(_, rest)| rest).to_owned()).collect()
    }
}

impl Drop for Cgate {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

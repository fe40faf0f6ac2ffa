//! A small disk of its own: a tmpfs in a mount namespace that ends with the test, so nothing of the machine changes.
//! Needs util-linux, and no root where the kernel lets users have namespaces.
#![allow(dead_code, reason = "each test uses its own part")]

use crate::ew::{Ended, Site, ended};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

/// A site whose folder `disk` is a disk of so many KiB.
pub(crate) struct Disk {
    pub(crate) site: Site,
    holder: Child,
}

impl Disk {
    pub(crate) fn mount(site: Site, kib: u32) -> Disk {
        let script = format!(
            "mkdir disk && mount -t tmpfs -o size={kib}k,mode=755 tmpfs disk && echo mounted && exec sleep 600"
        );
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
        let mut holder = command.current_dir(site.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "mounted\n", "unshare and mount failed");
        Disk { site, holder }
    }

    /// A program in the site's folder, with the disk.
    pub(crate) fn run(&self, program: &str, arguments: &str) -> Ended {
        self.run_with_input(program, arguments, "")
    }

    pub(crate) fn run_with_input(&self, program: &str, arguments: &str, input: &str) -> Ended {
        let inner = self.site.command(program, arguments);
        let mut words = vec![inner.get_program().to_owned()];
        words.extend(inner.get_args().map(|word| word.to_owned()));
        let mut command = Command::new("nsenter");
        command.arg(format!("--target={}", self.holder.id()));
        command.args(["--user", "--mount", "--preserve-credentials", "sh", "-c", "cd \"$0\" && exec \"$@\""]);
        command.arg(self.site.path()).args(words).env_clear();
        for (name, value) in inner.get_envs() {
            if let Some(value) = value {
                command.env(name, value);
            }
        }
        self.site.write("input", input);
        command.stdin(std::fs::File::open(self.site.file("input")).unwrap());
        ended(command.output().unwrap())
    }

    /// A shell command that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn sh(&self, script: &str) -> String {
        self.site.write("script", script);
        self.run("sh", "-eu script").exit(0).stdout
    }

    /// Leaves so many KiB free.
    pub(crate) fn fill(&self, kib: u32) {
        self.sh(&format!(
            "cat /dev/zero > disk/ballast 2>/dev/null || true\n\
             if [ {kib} -gt 0 ]; then truncate -s -{kib}K disk/ballast; fi"
        ));
    }

    pub(crate) fn make_room(&self) {
        self.sh("rm disk/ballast");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

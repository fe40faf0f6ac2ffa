//! Simulated switches: a running `ew-sim snmp`.
#![allow(dead_code, reason = "each test uses its own part")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Ended when dropped.
pub(crate) struct Sim {
    child: Child,
    pub(crate) ports: Vec<u16>,
}

impl Sim {
    /// `program` is that `ew-sim`.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Sim {
        let mut command = Command::new(program);
        command.args(["snmp", "--for", "5m"]).args(arguments).stdout(Stdio::piped());
        let mut sim = Sim { child: command.spawn().unwrap(), ports: Vec::new() };
        let mut lines = BufReader::new(sim.child.stdout.take().unwrap()).lines();
        loop {
            let line = lines.next().expect("ew-sim ended before it was ready").unwrap();
            if line == "ready" {
                return sim;
            }
            let address = line.split(' ').nth(1).unwrap();
            sim.ports.push(address.rsplit_once(':').unwrap().1.parse().unwrap());
        }
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

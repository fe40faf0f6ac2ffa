//! A simulated PCI or CNI for programs: a running `ew-sim pci`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// `ew-sim pci`, ended when dropped, and what it announced: `cni IP:PORT` or `pci DEVICE`.
pub(crate) struct Interface {
    child: Child,
    pub(crate) address: String,
}

impl Interface {
    /// `program` is that `ew-sim`.
    pub(crate) fn start(program: &Path, arguments: &[&str]) -> Interface {
        let mut command = Command::new(program);
        command.args(["pci", "--for", "5m"]).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        assert_eq!(lines.next().unwrap().unwrap(), "ready");
        Interface { child, address: first.split_once(' ').unwrap().1.to_owned() }
    }

    /// Its table in `ew.toml`.
    pub(crate) fn backend(&self) -> String {
        match self.address.rsplit_once(':') {
            Some((host, port)) => format!("[cbus.backend.cni]\nhost = \"{host}\"\nport = {port}\n"),
            None => format!("[cbus.backend.pci]\ndevice = \"{}\"\n", self.address),
        }
    }
}

impl Drop for Interface {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

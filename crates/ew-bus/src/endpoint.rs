//! What an endpoint is, whatever it is called: the names that a run holds for itself alone on this machine.

use crate::{Backend, BusOptions};
use rustix::fs::{major, minor};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

/// The major number of memory, `/dev/null` and the like: nobody's bus.
pub(crate) const MEMORY: u32 = 1;

impl BusOptions {
    /// Names of what only one may talk to at a time, in order and at least one: a TCP port by its addresses, a serial
    /// port by its number. A command stands for the ports and addresses among its words, else for itself in its folder,
    /// `base`. They are no secret and go into file names.
    pub fn lock_names(&self, base: &Path) -> BTreeSet<String> {
        match &self.backend {
            Backend::Cgate(cgate) => match &cgate.host {
                Some(host) => tcp(host, cgate.port, self.start_timeout.0),
                None => of_command(cgate.command.as_deref().unwrap_or_default(), base),
            },
            Backend::Exec(exec) => of_command(&exec.command, base),
            Backend::Cni(cni) => tcp(&cni.host, cni.port, self.start_timeout.0),
            Backend::Pci(pci) => {
                let path = base.join(&pci.device);
                let gone = || hashed("device", path.as_os_str().as_encoded_bytes());
                BTreeSet::from([of_device(&path).unwrap_or_else(gone)])
            }
        }
    }
}

/// Every address of a host: two names may share some of them only.
fn tcp(host: &str, port: u16, timeout: Duration) -> BTreeSet<String> {
    let found = ew_net::addresses(host, port, timeout).unwrap_or_default();
    match found.is_empty() {
        false => found.into_iter().map(of_address).collect(),
        // Nobody can be reached by it as long as that is so.
        true => BTreeSet::from([hashed("host", format!("{host}:{port}").as_bytes())]),
    }
}

/// This machine has many addresses and is one.
fn of_address(address: SocketAddr) -> String {
    let (ip, port) = (address.ip().to_canonical(), address.port());
    // Nothing is sent: the kernel says from where it would be, and it talks to itself from the address that is asked.
    let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let from =
        UdpSocket::bind(any).and_then(|socket| socket.connect(address).and_then(|()| socket.local_addr()));
    let is_here = ip.is_loopback() || ip.is_unspecified();
    match is_here || from.is_ok_and(|from| from.ip().to_canonical() == ip) {
        true => format!("tcp-here-{port}"),
        false => format!("tcp-{ip}-{port}"),
    }
}

/// A device node by what it stands for, so that links to it and other nodes are the same.
fn of_device(path: &Path) -> Option<String> {
    let node = std::fs::metadata(path).ok().filter(|node| node.file_type().is_char_device())?;
    let (major, minor) = (major(node.rdev()), minor(node.rdev()));
    (major != MEMORY).then(|| format!("tty-{major}-{minor}"))
}

/// `192.0.2.20:10001`, be it as `tcp://192.0.2.20:10001`; `localhost` needs nobody to look it up.
fn socket(word: &str) -> Option<SocketAddr> {
    let word = word.strip_prefix("tcp://").unwrap_or(word);
    match word.strip_prefix("localhost:") {
        Some(port) => port.parse().ok().map(|port| (Ipv4Addr::LOCALHOST, port).into()),
        None => word.parse().ok(),
    }
}

fn of_command(words: &[String], base: &Path) -> BTreeSet<String> {
    let named = words.iter().filter_map(|word| match socket(word) {
        Some(address) => Some(of_address(address)),
        None => of_device(&base.join(word)),
    });
    let named: BTreeSet<String> = named.collect();
    if !named.is_empty() {
        return named;
    }
    let folder = std::fs::canonicalize(base).unwrap_or_else(|_| base.to_owned());
    let mut text = folder.into_os_string().into_encoded_bytes();
    for word in words {
        text.push(0);
        text.extend(word.bytes());
    }
    BTreeSet::from([hashed("command", &text)])
}

/// Of a text that may be long, or say more than a lock's name should.
fn hashed(kind: &str, text: &[u8]) -> String {
    let hash = Sha256::digest(text);
    let digits: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{kind}-{digits}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(backend: &str) -> BTreeSet<String> {
        let options: BusOptions = toml::from_str(&format!("name = \"b\"\n[backend.{backend}\n")).unwrap();
        options.lock_names(Path::new("/"))
    }

    #[test]
    fn one_endpoint_has_one_name_however_it_is_written() {
        let here = BTreeSet::from(["tcp-here-10001".to_owned()]);
        for host in ["localhost", "127.0.0.1", "127.9.0.1", "::1", "0.0.0.0", "::ffff:127.0.0.1"] {
            assert_eq!(names(&format!("cni]\nhost = {host:?}")), here, "{host}");
        }
        assert_eq!(names("cgate]\nhost = \"localhost\"\nport = 10001"), here);
        for word in ["127.0.0.1:10001", "localhost:10001", "tcp://localhost:10001", "tcp://[::1]:10001"] {
            assert_eq!(names(&format!("exec]\ncommand = [\"cbus_cli\", {word:?}]")), here, "{word}");
        }
        assert_eq!(names("cni]\nhost = \"192.0.2.20\""), BTreeSet::from(["tcp-192.0.2.20-10001".to_owned()]));
        assert_eq!(names("cni]\nhost = \"2001:db8::1\""), names("cni]\nhost = \"2001:DB8:0::1\""));
        assert_ne!(names("cni]\nhost = \"localhost\"\nport = 10002"), here);
    }

    #[test]
    fn a_device_is_its_number_and_a_command_its_words_and_folder() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("cbus");
        std::os::unix::fs::symlink("/dev/ptmx", &link).unwrap();
        let device = BTreeSet::from(["tty-5-2".to_owned()]);
        assert_eq!(names(&format!("pci]\ndevice = {link:?}")), device);
        assert_eq!(names("exec]\ncommand = [\"cbus_cli\", \"dev/ptmx\"]"), device);
        let command = |words: &str, base: &Path| of_command(&[words.to_owned()], base);
        assert_eq!(command("cli", dir.path()), command("cli", &dir.path().join("../").join(dir.path())));
        assert_ne!(command("cli", dir.path()), command("cli", Path::new("/")));
        assert_ne!(command("/dev/null", Path::new("/")), command("/dev/zero", Path::new("/")));
    }
}

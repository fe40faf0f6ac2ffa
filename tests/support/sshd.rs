//! A real OpenSSH server on a free loopback port, with keys and a configuration of its own in a temporary
//! directory. It ends, with all its sessions, when its handle is dropped. As root it needs /run/sshd, which
//! is made; as another user it lets in that user.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::Read;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

/// The passphrase of [`Sshd::encrypted_key`].
pub const KEY_PASSWORD: &str = "correct horse battery";

/// A running server. Its `root` is where a login starts.
pub struct Sshd {
    dir: tempfile::TempDir,
    port: u16,
    user: String,
    config: String,
    child: Child,
}

impl Sshd {
    /// A server with an ed25519, an ECDSA and an RSA host key.
    pub fn start() -> Sshd {
        Sshd::start_with("")
    }

    /// The same with more lines of sshd_config; they come first, so they win.
    pub fn start_with(config: &str) -> Sshd {
        Sshd::start_limited(config, None)
    }

    /// The same, and no file may grow longer than so many KiB: to a client it looks like a full disk.
    pub fn start_limited(config: &str, file_kib_max: Option<u64>) -> Sshd {
        let dir = tempfile::tempdir().unwrap();
        for (kind, file, password) in [
            ("ed25519", "host_ed25519", ""),
            ("ecdsa", "host_ecdsa", ""),
            ("rsa", "host_rsa", ""),
            ("ed25519", "user_ed25519", ""),
            ("ed25519", "user_encrypted", KEY_PASSWORD),
            ("rsa", "user_rsa", ""),
            ("ed25519", "stranger", ""),
        ] {
            keygen(&dir.path().join(file), kind, password);
        }
        let read = |file: &str| fs::read_to_string(dir.path().join(file)).unwrap();
        let authorized: String =
            ["user_ed25519.pub", "user_encrypted.pub", "user_rsa.pub"].into_iter().map(read).collect();
        fs::write(dir.path().join("authorized_keys"), authorized).unwrap();
        fs::create_dir(dir.path().join("home")).unwrap();
        let user = stdout(Command::new("id").arg("-un"));
        if user == "root" {
            fs::create_dir_all("/run/sshd").unwrap();
        }
        // Another process may take the port between the choice and the start.
        for _ in 0..5 {
            let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
            if let Some(child) = launch(dir.path(), port, config, file_kib_max, user == "root") {
                return Sshd { dir, port, user, config: config.to_owned(), child };
            }
        }
        panic!("sshd does not start: {}", fs::read_to_string(dir.path().join("log")).unwrap_or_default());
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// Who is let in.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The directory where a login starts.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    /// A private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("user_ed25519")
    }

    /// An RSA key that is let in.
    pub fn rsa_key(&self) -> PathBuf {
        self.dir.path().join("user_rsa")
    }

    /// One that is let in and needs [`KEY_PASSWORD`].
    pub fn encrypted_key(&self) -> PathBuf {
        self.dir.path().join("user_encrypted")
    }

    /// A private key that is not let in.
    pub fn stranger_key(&self) -> PathBuf {
        self.dir.path().join("stranger")
    }

    /// `SHA256:…` of a host key: `ed25519`, `ecdsa` or `rsa`.
    pub fn fingerprint(&self, kind: &str) -> String {
        let line = stdout(Command::new("ssh-keygen").arg("-lf").arg(self.host_key(kind)));
        line.split(' ').nth(1).unwrap().to_owned()
    }

    /// The known_hosts line of a host key, as seen on a port (a proxy's, or [`Sshd::port`]).
    pub fn known_hosts_line(&self, kind: &str, port: u16) -> String {
        known_hosts_line(&self.host_key(kind), port)
    }

    /// A known_hosts file with these kinds of host key for a port.
    pub fn known_hosts(&self, kinds: &[&str], port: u16) -> PathBuf {
        let path = self.dir.path().join(format!("known_hosts_{}_{port}", kinds.join("_")));
        let lines: String = kinds.iter().map(|kind| self.known_hosts_line(kind, port) + "\n").collect();
        fs::write(&path, lines).unwrap();
        path
    }

    /// Ends every session, as a server does that has waited too long; new ones are let in.
    pub fn hang_up(&self) {
        kill(&descendants(self.child.id()));
    }

    /// Ends the server with its sessions and starts it again on its port, without a limit on files.
    pub fn restart(&mut self) {
        end(&mut self.child);
        self.child = launch(self.dir.path(), self.port, &self.config, None, self.user == "root")
            .unwrap_or_else(|| panic!("sshd does not start again: {}", self.log()));
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn host_key(&self, kind: &str) -> PathBuf {
        self.dir.path().join(format!("host_{kind}.pub"))
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Ends a server and its sessions. These lead process groups of their own, so they are looked for by their parents.
pub fn end(server: &mut Child) {
    let sessions = descendants(server.id());
    let _ = server.kill();
    let _ = server.wait();
    kill(&sessions);
}

fn kill(ids: &[u32]) {
    if !ids.is_empty() {
        let ids = ids.iter().map(u32::to_string);
        let _ = Command::new("kill").arg("-9").args(ids).stderr(Stdio::null()).status();
    }
}

/// The known_hosts line of a public key, for a port.
pub fn known_hosts_line(public: &Path, port: u16) -> String {
    let public = fs::read_to_string(public).unwrap();
    let mut fields = public.split_whitespace();
    format!("[127.0.0.1]:{port} {} {}", fields.next().unwrap(), fields.next().unwrap())
}

fn launch(dir: &Path, port: u16, config: &str, file_kib_max: Option<u64>, is_root: bool) -> Option<Child> {
    let root = dir.display();
    // Without PAM the account of a service user counts as locked.
    let pam = if is_root { "no" } else { "yes" };
    let text = format!(
        "{config}\n\
         Port {port}\nListenAddress 127.0.0.1\nPidFile none\n\
         HostKey {root}/host_ed25519\nHostKey {root}/host_ecdsa\nHostKey {root}/host_rsa\n\
         AuthorizedKeysFile {root}/authorized_keys\nStrictModes no\nUsePAM {pam}\n\
         PubkeyAuthentication yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\n\
         PermitRootLogin prohibit-password\nMaxStartups 100\nUseDNS no\n\
         Subsystem sftp internal-sftp -d {root}/home\n\
         AllowTcpForwarding no\nX11Forwarding no\nPrintMotd no\nLogLevel VERBOSE\n"
    );
    fs::write(dir.join("sshd_config"), text).unwrap();
    let log = fs::File::create(dir.join("log")).unwrap();
    let limit = match file_kib_max {
        // In blocks of 512 bytes; with the signal ignored the write itself fails.
        Some(kib) => format!("trap '' XFSZ; ulimit -f {}; ", kib * 2),
        None => String::new(),
    };
    assert!(Path::new("/usr/sbin/sshd").exists(), "OpenSSH's server is needed (Debian: openssh-server)");
    let mut child = Command::new("/bin/sh")
        .arg("-c")
        .arg(format!("{limit}exec /usr/sbin/sshd -D -e -f \"$1\""))
        .arg("sshd")
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    for _ in 0..1000 {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if greets(port, b"SSH-") {
            return Some(child);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

/// Whether an SSH server answers.
/// Whether a server begins its greeting like that.
pub fn greets(port: u16, greeting: &[u8; 4]) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let _ = stream.set_read_timeout(Some(Duration::from_secs(5)));
    let mut start = [0; 4];
    stream.read_exact(&mut start).is_ok() && &start == greeting
}

pub fn keygen(path: &Path, kind: &str, password: &str) {
    let status = Command::new("ssh-keygen")
        .args(["-q", "-t", kind, "-N", password, "-C", "test", "-f"])
        .arg(path)
        .status()
        .expect("ssh-keygen is needed for this test (Debian: openssh-client)");
    assert!(status.success());
}

pub fn stdout(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The processes that come from this one, by /proc.
fn descendants(parent: u32) -> Vec<u32> {
    let mut families: Vec<(u32, u32)> = Vec::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        // "id (name) state parent …"; a name may hold anything.
        let parent = stat.rsplit(')').next().and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok());
        families.extend(parent.map(|parent| (parent, id)));
    }
    let mut found = vec![parent];
    let mut next = 0;
    while let Some(&one) = found.get(next) {
        found.extend(families.iter().filter(|(parent, _)| *parent == one).map(|(_, id)| *id));
        next += 1;
    }
    found.split_off(1)
}

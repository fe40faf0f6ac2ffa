//! A real nginx on free loopback ports: WebDAV in the clear, under TLS, and under TLS for clients with a certificate.
//! It ends when its handle is dropped.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use crate::smtp::{certify, root};
use serde_json::Value;
use std::fs;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

pub const USER: &str = "ew";
pub const PASSWORD: &str = "open sesame 7";

/// A running server; `fixtures/nginx.conf` says what is where.
pub struct Nginx {
    dir: tempfile::TempDir,
    ports: [u16; 3],
    child: Child,
}

impl Nginx {
    pub fn start() -> Nginx {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path();
        for folder in ["home", "tmp"] {
            fs::create_dir(path.join(folder)).unwrap();
        }
        for folder in ["in", "open", "drop", "put", "small", "token"] {
            fs::create_dir(path.join("home").join(folder)).unwrap();
        }
        fs::write(path.join("htpasswd"), format!("{USER}:{{PLAIN}}{PASSWORD}\n")).unwrap();
        certify(path, "DNS:localhost");
        let client = path.join("client");
        fs::create_dir(&client).unwrap();
        certify(&client, "DNS:ew.example.com");
        fs::rename(client.join("cert.pem"), path.join("client.pem")).unwrap();
        // Another process may take a port between the choice and the start.
        for _ in 0..5 {
            let chosen = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).unwrap());
            let ports = chosen.map(|listener| listener.local_addr().unwrap().port());
            if let Some(child) = launch(path, &ports) {
                return Nginx { dir, ports, child };
            }
        }
        panic!("nginx does not start: {}", fs::read_to_string(path.join("error.log")).unwrap_or_default());
    }

    pub fn port(&self) -> u16 {
        self.ports[0]
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port()))
    }

    pub fn tls_port(&self) -> u16 {
        self.ports[1]
    }

    /// Where clients need [`Nginx::client`].
    pub fn mutual_port(&self) -> u16 {
        self.ports[2]
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port())
    }

    pub fn tls_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.tls_port())
    }

    pub fn mutual_url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.mutual_port())
    }

    /// The authority of its certificate, which is that itself.
    pub fn ca_file(&self) -> PathBuf {
        self.dir.path().join("cert.pem")
    }

    /// The certificate that clients need, and its key.
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.dir.path().join("client.pem"), self.dir.path().join("client/key.pem"))
    }

    /// A folder of the receiver.
    pub fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join("home").join(name)
    }

    /// The requests of a method, of which there are so many; keys of `fixtures/nginx.conf`.
    pub fn asked(&self, method: &str, count: usize) -> Vec<Value> {
        let mut asked = Vec::new();
        // It writes a line once the answer is out.
        for _ in 0..500 {
            let log = fs::read_to_string(self.dir.path().join("access.log")).unwrap_or_default();
            let lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            asked = lines.map(|line| serde_json::from_str::<Value>(line).unwrap()).collect();
            asked.retain(|asked| asked["method"] == method);
            if asked.len() >= count {
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(asked.len(), count, "{method}: {asked:?}");
        asked
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(dir: &Path, ports: &[u16; 3]) -> Option<Child> {
    let text = fs::read_to_string(root().join("fixtures/nginx.conf"))
        .unwrap()
        .replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &ports[0].to_string())
        .replace("@TLS@", &ports[1].to_string())
        .replace("@MUTUAL@", &ports[2].to_string());
    fs::write(dir.join("nginx.conf"), text).unwrap();
    let mut child = Command::new("/usr/sbin/nginx")
        .arg("-e")
        .arg(dir.join("error.log"))
        .arg("-c")
        .arg(dir.join("nginx.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nginx is missing; run: scripts/install-packages.sh test");
    for _ in 0..1000 {
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        if ports.iter().all(|port| TcpStream::connect(("127.0.0.1", *port)).is_ok()) {
            return Some(child);
        }
        thread::sleep(Duration::from_millis(10));
    }
    let _ = child.kill();
    let _ = child.wait();
    None
}

//! Object storage on a free port, which checks signatures; see `fixtures/s3_server.py`.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

pub const ACCESS_KEY: &str = "AKEWTEST";
pub const SECRET: &str = "ew/secret+key";
pub const BUCKET: &str = "meters";

/// The server; it ends with this value.
pub struct Storage {
    dir: tempfile::TempDir,
    port: u16,
    child: Child,
}

impl Storage {
    pub fn start() -> Storage {
        let root = fs::canonicalize(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
        let python = root.join("target/test-venv/bin/python3");
        assert!(python.is_file(), "the tests' Python environment is missing; run: scripts/test-venv.sh");
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("data").join(BUCKET)).unwrap();
        let mut child = Command::new(python)
            .arg(root.join("fixtures/s3_server.py"))
            .args(["data", ACCESS_KEY, SECRET])
            .current_dir(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let log = || fs::read_to_string(dir.path().join("log")).unwrap_or_default();
        let port = line.trim().strip_prefix("ready ").unwrap_or_else(|| panic!("no server: {}", log()));
        let port = port.parse().unwrap();
        Storage { dir, port, child }
    }

    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The transport's table, up to keys that a test adds.
    pub fn table(&self, more: &str) -> String {
        format!(
            "endpoint = \"{}\"\nbucket = \"{BUCKET}\"\nprefix = \"site/in\"\naccess_key_id = \"{ACCESS_KEY}\"\n\
             secret_access_key = \"{SECRET}\"\n{more}",
            self.endpoint()
        )
    }

    /// Where the objects with the prefix lie.
    pub fn objects(&self) -> PathBuf {
        self.dir.path().join("data").join(BUCKET).join("site/in")
    }

    /// The names that lie there.
    pub fn names(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.objects()) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// How many uploads in parts were begun and are there still.
    pub fn begun(&self) -> usize {
        fs::read_dir(self.dir.path().join("data/.nanio/multipart")).unwrap().count()
    }

    /// An upload in parts as one that was killed leaves it; the folder of its parts.
    pub fn begin(&self, key: &str) -> PathBuf {
        let folder = self.dir.path().join("data/.nanio/multipart").join(key.replace('/', "-"));
        fs::create_dir_all(&folder).unwrap();
        let begun = format!(
            "{{\"bucket\":\"{BUCKET}\",\"key\":\"{key}\",\"content_type\":\"\",\"user_metadata\":{{}},\
             \"initiated\":\"2026-03-01T00:00:00+00:00\"}}"
        );
        fs::write(folder.join("init.json"), begun).unwrap();
        folder
    }

    /// What the object says of itself.
    pub fn about(&self, name: &str) -> String {
        let file = format!("data/{BUCKET}/.nanio-meta/site/in/{name}.json");
        fs::read_to_string(self.dir.path().join(file)).unwrap()
    }

    /// What goes wrong from here on; words of `fixtures/s3_server.py`.
    pub fn set_faults(&self, words: &str) {
        fs::write(self.dir.path().join("data.faults"), words).unwrap();
    }
}

impl Drop for Storage {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("{}", fs::read_to_string(self.dir.path().join("log")).unwrap_or_default());
        }
    }
}

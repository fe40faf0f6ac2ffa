//! `compress`: files that gzip, zstd and Python read back, always the same, under names that say so.
#![allow(clippy::unwrap_used)]

#[path = "support/ew.rs"]
mod ew;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/sshd.rs"]
mod sshd;

use ew::{Ended, Site};
use smtp::{PASSWORD, Sink, USER};
use sshd::Sshd;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");
const NAME: &str = "u_20260301T000000Z.csv";

/// What each key gives: its value, what a name gets, and the first bytes of every file (RFC 1952, section 2.3;
/// RFC 8878, section 3.1.1: a checksum, no size, a window of 2 MiB).
const KINDS: [(&str, &str, &[u8]); 2] = [
    ("gzip", "gz", &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]),
    ("zstd", "zst", &[0x28, 0xb5, 0x2f, 0xfd, 0x04, 0x58]),
];

fn config(job: &str, transport: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\n{job}\n[export.format.csv]\n[export.transport.{transport}\n"
    )
}

/// A site with a quarter of readings.
fn site(config: &str) -> Site {
    let mut site = Site::new(config);
    let mut text = "timestamp,point,value\n".to_owned();
    for second in 0..900 {
        text += &format!("2026-03-01T00:{:02}:{:02}Z,com.example.hq,{second}.5\n", second / 60, second % 60);
    }
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append", &text).exit(0);
    site.now("2026-03-01T01:00:00Z");
    site
}

fn export(site: &Site, arguments: &str) -> Ended {
    site.run(EW_EXPORT, arguments)
}

/// What a program of the system makes of bytes on its stdin.
fn through(program: &str, arguments: &[&str], bytes: &[u8]) -> Vec<u8> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{program}: {e}; scripts/install-packages.sh test"));
    let mut stdin = child.stdin.take().unwrap();
    let bytes = bytes.to_vec();
    let writer = std::thread::spawn(move || stdin.write_all(&bytes).unwrap());
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}");
    output.stdout
}

/// Checks the file by itself and gives its text.
#[track_caller]
fn opened(kind: &str, bytes: &[u8]) -> String {
    through(kind, &["-qt"], bytes);
    let text = through(kind, &["-dc"], bytes);
    if kind == "gzip" {
        let script = "import gzip, sys; sys.stdout.buffer.write(gzip.decompress(sys.stdin.buffer.read()))";
        assert!(through("python3", &["-c", script], bytes) == text, "Python reads something else");
    }
    String::from_utf8(text).unwrap()
}

fn bytes(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn into_a_folder_and_again() {
    for (kind, tail, head) in KINDS {
        let site = site(&config("", &format!("file]\ndirectory = \"out\"\ncompress = \"{kind}\"")));
        let plain = export(&site, "--stdout").exit(0).stdout;
        assert!(plain.starts_with("timestamp,com.example.hq\n2026-03-01T00:00:00Z,0.5\n"));
        let planned = export(&site, "--dry-run --json").exit(0).stdout;
        let planned: serde_json::Value = serde_json::from_str(&planned).unwrap();
        let sent = export(&site, "--json").exit(0).stdout;
        let sent: serde_json::Value = serde_json::from_str(&sent).unwrap();

        let name = format!("{NAME}.{tail}");
        assert_eq!(site.names("out"), [name.as_str()]);
        let file = site.file("out").join(&name);
        let first = bytes(&file);
        assert_eq!(first[..head.len()], *head, "{kind}");
        assert!(opened(kind, &first) == plain, "{kind}: the file is not the slice");
        // Planned and sent are one, and are of the file as it is sent.
        let sum = through("sha256sum", &[], &first);
        for report in [&planned, &sent] {
            let slice = &report["jobs"][0]["slices"][0];
            assert_eq!((&slice["name"], &slice["rows"]), (&name.as_str().into(), &900.into()));
            assert_eq!(slice["bytes"], first.len());
            assert_eq!(slice["sha256"].as_str().unwrap().as_bytes(), &sum[..64]);
        }

        // Lost at the receiver and sent again: the same name and the same bytes.
        std::fs::remove_file(&file).unwrap();
        export(&site, "u --from 2026-03-01T00:00:00Z --to 2026-03-01T00:15:00Z").exit(0);
        assert_eq!(site.names("out"), [name.as_str()]);
        assert!(bytes(&file) == first, "{kind}: other bytes");
    }
}

#[test]
fn a_clash_goes_before_both_extensions() {
    // By the local clock two slots of the autumn night have one name.
    let job = "zone = \"Europe/Zurich\"\nbreakup_on_period = true\nfilename = \"u_{start:%Y%m%d%H%M}.{ext}\"";
    let mut site = Site::new(&config(job, "file]\ndirectory = \"out\"\ncompress = \"gzip\""));
    let log = ew::sibling(EW_EXPORT, "ew-log");
    let text = "timestamp,point,value\n2026-10-25T00:31:00Z,a,1\n2026-10-25T01:31:00Z,a,2\n";
    site.run_with_input(log.to_str().unwrap(), "-q append", text).exit(0);
    site.now("2026-10-25T03:00:00Z");
    export(&site, "").exit(0);
    assert_eq!(site.names("out"), ["u_202610250230.csv.gz", "u_202610250230_2.csv.gz"]);
}

#[test]
fn by_sftp() {
    let server = Sshd::start();
    let known_hosts = server.known_hosts(&["ed25519"], server.port());
    let transport = format!(
        "sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\nkey_file = {:?}\nknown_hosts = {known_hosts:?}\n\
         directory = \"in\"\ncreate_directory = true\ncompress = \"zstd\"",
        server.port(),
        server.user(),
        server.key()
    );
    let site = site(&config("", &transport));
    let plain = export(&site, "--stdout").exit(0).stdout;
    export(&site, "").exit(0);
    let file = server.root().join("in").join(format!("{NAME}.zst"));
    assert!(opened("zstd", &bytes(&file)) == plain);
}

#[test]
fn by_mail() {
    let sink = Sink::start();
    for (kind, tail, _) in KINDS {
        let transport = format!(
            "smtp]\nhost = \"localhost\"\nport = {}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\nca_file = {:?}\n\
             from = \"ew@example.com\"\nto = [\"ops@example.com\"]\ncompress = \"{kind}\"",
            sink.port(),
            sink.ca_file()
        );
        let site = site(&config("", &transport));
        let plain = export(&site, "--stdout").exit(0).stdout;
        export(&site, "").exit(0);
        let mails = sink.received();
        let attachment = &mails.last().unwrap().parts[1];
        assert_eq!(attachment.kind, format!("application/{kind}"));
        assert_eq!(attachment.name.as_deref(), Some(format!("{NAME}.{tail}").as_str()));
        assert!(opened(kind, &attachment.content) == plain, "{kind}");
    }
}

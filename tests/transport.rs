//! Every transporter through one body, the SFTP one against a real OpenSSH server.
#![allow(clippy::unwrap_used)]

#[path = "support/ftp.rs"]
mod ftp;
#[path = "support/nginx.rs"]
mod nginx;
#[path = "support/proftpd.rs"]
mod proftpd;
#[path = "support/proxy.rs"]
mod proxy;
#[cfg(feature = "s3")]
#[path = "support/s3.rs"]
mod s3;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/spool.rs"]
mod spool;
#[path = "support/sshd.rs"]
mod sshd;

use ew_core::Exit;
use ew_transport::{Checked, ErrorKind, How, Parcel, TransportOptions, Transporter};
use ftp::FtpServer;
use nginx::Nginx;
use proftpd::Proftpd;
use proxy::{Plan, Proxy};
use smtp::{PASSWORD, Sink, USER};
use spool::{Spool, open, open_with, options};
use sshd::Sshd;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// `examples/deliver.rs`, which cargo builds with the tests.
fn deliver_program() -> PathBuf {
    let program =
        std::env::current_exe().unwrap().parent().unwrap().with_file_name("examples").join("deliver");
    assert!(program.is_file(), "{} is not built", program.display());
    program
}

/// How to reach a server, part by part.
struct Way<'a> {
    port: u16,
    key: PathBuf,
    known_hosts: PathBuf,
    directory: &'a str,
    more: &'a str,
}

impl<'a> Way<'a> {
    fn to(sshd: &Sshd) -> Way<'a> {
        Way {
            port: sshd.port(),
            key: sshd.key(),
            known_hosts: sshd.known_hosts(&["ed25519", "ecdsa", "rsa"], sshd.port()),
            directory: ".",
            more: "",
        }
    }

    fn through(sshd: &Sshd, proxy: &Proxy) -> Way<'a> {
        let known_hosts = sshd.known_hosts(&["ed25519"], proxy.port());
        Way { port: proxy.port(), known_hosts, ..Way::to(sshd) }
    }

    fn options(&self, sshd: &Sshd) -> TransportOptions {
        options(&format!(
            "[sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nkey_file = {:?}\nknown_hosts = {:?}\n\
             directory = {:?}\n{}",
            self.port,
            sshd.user(),
            self.key,
            self.known_hosts,
            self.directory,
            self.more
        ))
    }

    fn open(&self, sshd: &Sshd) -> Box<dyn Transporter> {
        open(&self.options(sshd))
    }
}

/// The names at the receiver; a `.part` among them is a failure of the one who asks.
fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What a far side keeps.
#[derive(Clone, Copy, PartialEq)]
enum Kept {
    /// Files in folders: a file grows under another name.
    Files,
    /// Objects: one is whole or not there.
    #[cfg(feature = "s3")]
    Objects,
}

/// What holds for every transporter, when `dir` is what its far side shows.
fn conforms(transporter: &mut dyn Transporter, destination: &str, dir: &Path, kept: Kept) {
    let first = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    let parcel = first.parcel("u_1.csv");

    let receipt = transporter.deliver(&parcel).unwrap();
    assert_eq!((receipt.how, receipt.checked, receipt.bytes), (How::Sent, Checked::Size, parcel.bytes));
    assert_eq!(receipt.destination, destination);
    assert!(receipt.path.ends_with("u_1.csv"), "{}", receipt.path);
    assert_eq!(fs::read(dir.join("u_1.csv")).unwrap(), first.bytes);

    // The same again: looked at, not sent; also when a killed attempt has left its part.
    let receipt = transporter.deliver(&parcel).unwrap();
    assert_eq!((receipt.how, receipt.checked), (How::Found, Checked::Sha256));
    if kept == Kept::Files {
        fs::write(dir.join(".u_1.csv.part"), "half").unwrap();
    }
    let receipt = transporter.deliver(&Parcel { sent_before: true, ..parcel }).unwrap();
    assert_eq!(receipt.how, How::Found);
    assert_eq!(names(dir), ["u_1.csv"]);
    let json = serde_json::to_value(&receipt).unwrap();
    assert_eq!((json["how"].as_str(), json["checked"].as_str()), (Some("found"), Some("sha256")));

    // Other content, of another size and of the same.
    let longer = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n2023-11-14T22:28:20Z,13\n");
    let mut same_size = longer.bytes.clone();
    same_size[40] ^= 1;
    for spool in [longer, Spool::new(same_size)] {
        // Somebody's file stays, unless the slice itself had other content under that name.
        let before = fs::read(dir.join("u_1.csv")).unwrap();
        let error = transporter.deliver(&spool.parcel("u_1.csv")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
        assert!(error.to_string().contains("u_1.csv is there with other content"), "{error}");
        assert_eq!(fs::read(dir.join("u_1.csv")).unwrap(), before);
        let revision = Parcel { may_replace: true, ..spool.parcel("u_1.csv") };
        let receipt = transporter.deliver(&revision).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Replaced, Checked::Size));
        assert_eq!(fs::read(dir.join("u_1.csv")).unwrap(), spool.bytes);
    }

    // A part left behind, longer than the file, is written over.
    if kept == Kept::Files {
        fs::write(dir.join(".u_2.csv.part"), vec![b'x'; 10_000]).unwrap();
    }
    let receipt = transporter.deliver(&first.parcel("u_2.csv")).unwrap();
    assert_eq!(receipt.how, How::Sent);
    assert_eq!(fs::read(dir.join("u_2.csv")).unwrap(), first.bytes);

    // Nothing, a name out of the ordinary, and more than the window.
    let empty = Spool::new("");
    assert_eq!(transporter.deliver(&empty.parcel("empty")).unwrap().how, How::Sent);
    assert_eq!(transporter.deliver(&empty.parcel("empty")).unwrap().how, How::Found);
    let odd = "Zähler 7; \"a\" $(x) *.csv";
    assert_eq!(transporter.deliver(&first.parcel(odd)).unwrap().how, How::Sent);
    let large = Spool::large(9 * 1024 * 1024 + 1);
    assert_eq!(transporter.deliver(&large.parcel("large")).unwrap().how, How::Sent);
    assert!(fs::read(dir.join("large")).unwrap() == large.bytes, "9 MiB are equal byte for byte");
    assert_eq!(transporter.deliver(&large.parcel("large")).unwrap().how, How::Found);
    assert_eq!(names(dir), [odd, "empty", "large", "u_1.csv", "u_2.csv"]);

    // What is ours to get wrong: the file is gone, or is not what was recorded.
    let gone = Parcel { file: Path::new("/nowhere/slice"), ..first.parcel("gone") };
    let error = transporter.deliver(&gone).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Io, false));
    assert!(error.to_string().contains("/nowhere/slice"), "{error}");
    for altered in [
        Parcel { sha256: &large.sha256, ..first.parcel("altered") },
        Parcel { bytes: 10, ..first.parcel("altered") },
        Parcel { bytes: 10_000, ..first.parcel("altered") },
    ] {
        let error = transporter.deliver(&altered).unwrap_err();
        assert_eq!(error.exit(), Exit::Io, "{error}");
    }
    let error = transporter.deliver(&first.parcel("../escape")).unwrap_err();
    assert_eq!(error.exit(), Exit::Config, "{error}");

    if kept == Kept::Files {
        // A directory in the way is left alone.
        fs::create_dir(dir.join("taken")).unwrap();
        let error = transporter.deliver(&first.parcel("taken")).unwrap_err();
        assert!(error.to_string().contains("taken is there"), "{error}");
        assert_eq!(names(dir), [odd, "empty", "large", "taken", "u_1.csv", "u_2.csv"]);
    }

    // And after all these failures it still works.
    assert_eq!(transporter.deliver(&first.parcel("u_3.csv")).unwrap().how, How::Sent);
}

#[test]
fn file_conforms() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out");
    let options = options(&format!("[file]\ndirectory = {out:?}"));
    let destination = options.destination(Path::new("/"));
    assert_eq!(destination, format!("file://{}", out.display()));
    options.check(Path::new("/")).unwrap();
    // `out` is made: only its last part is missing.
    conforms(&mut *open(&options), &destination, &out, Kept::Files);
}

/// In a folder of the spool's file system, with bytes that this run has checked, it is the spool's own file under a second
/// name; else it is a copy.
#[test]
fn a_long_file_is_copied_into_a_folder_only_where_it_must() {
    let spool = Spool::large(8 << 20);
    let out = spool.file.with_file_name("out");
    let mut transporter = open(&options(&format!("[file]\ndirectory = {out:?}")));
    let mut deliver = |name: &str, is_checked| {
        let before = std::time::SystemTime::now() - Duration::from_secs(1);
        fs::File::open(&spool.file).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        let receipt = transporter.deliver(&Parcel { is_checked, ..spool.parcel(name) }).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Sent, Checked::Size));
        let (there, spooled) = (fs::metadata(out.join(name)).unwrap(), fs::metadata(&spool.file).unwrap());
        assert!(there.modified().unwrap() > before, "{name} is new to whoever looks there");
        assert!(fs::read(out.join(name)).unwrap() == spool.bytes, "{name}");
        there.ino() == spooled.ino()
    };
    assert!(!deliver("unchecked.csv", false));
    assert!(deliver("linked.csv", true));
    assert!(!deliver("second.csv", true), "what happens to one file at the receiver is nothing to another");
    fs::remove_file(out.join("linked.csv")).unwrap();
    fs::set_permissions(&spool.file, fs::Permissions::from_mode(0o400)).unwrap();
    assert!(!deliver("readable.csv", true), "as readable as any other there");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 3, "no temporary file is left");
}

#[test]
fn sftp_conforms() {
    let sshd = Sshd::start();
    fs::create_dir(sshd.root().join("incoming")).unwrap();
    let way = Way { directory: "incoming", ..Way::to(&sshd) };
    let options = way.options(&sshd);
    options.check(Path::new("/")).unwrap();
    let destination = format!("sftp://{}@127.0.0.1:{}/~/incoming", sshd.user(), sshd.port());
    assert_eq!(options.destination(Path::new("/")), destination);
    conforms(&mut *open(&options), &destination, &sshd.root().join("incoming"), Kept::Files);
}

/// Another server, and a log-in by password.
#[test]
fn sftp_conforms_with_proftpd() {
    let server = Proftpd::start();
    fs::create_dir(server.root().join("incoming")).unwrap();
    let options = options(&format!(
        "[sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\npassword = {:?}\nknown_hosts = {:?}\ndirectory = \"incoming\"",
        server.port(),
        proftpd::USER,
        proftpd::PASSWORD,
        server.known_hosts(server.port())
    ));
    let destination = format!("sftp://ew@127.0.0.1:{}/~/incoming", server.port());
    assert_eq!(options.destination(Path::new("/")), destination);
    conforms(&mut *open(&options), &destination, &server.root().join("incoming"), Kept::Files);
}

/// pyftpdlib, in a directory of its own.
#[test]
fn ftp_conforms() {
    let server = FtpServer::start();
    fs::create_dir(server.root().join("incoming")).unwrap();
    let options = options(&server.table(server.port(), "directory = \"incoming/\""));
    options.check(Path::new("/")).unwrap();
    let destination = format!("ftp://ew@127.0.0.1:{}/~/incoming", server.port());
    assert_eq!(options.destination(Path::new("/")), destination);
    conforms(&mut *open(&options), &destination, &server.root().join("incoming"), Kept::Files);
}

/// Without MLST; data connections must resume the TLS session.
#[test]
fn ftp_conforms_with_vsftpd() {
    let server = FtpServer::vsftpd("");
    let options = options(&format!(
        "[ftp]\nhost = \"127.0.0.1\"\nport = {}\nca_file = {:?}",
        server.port(),
        server.ca_file()
    ));
    let destination = format!("ftp://anonymous@127.0.0.1:{}/~", server.port());
    assert_eq!(options.destination(Path::new("/")), destination);
    conforms(&mut *open(&options), &destination, &server.root(), Kept::Files);
}

/// The same is asked by this one, in its own way.
#[test]
fn ftp_conforms_with_proftpd() {
    let server = Proftpd::ftps("", ftp::certify);
    let options = options(&format!(
        "[ftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = {:?}\npassword = {:?}\nca_file = {:?}",
        server.port(),
        proftpd::USER,
        proftpd::PASSWORD,
        server.ca_file()
    ));
    let destination = format!("ftp://ew@127.0.0.1:{}/~", server.port());
    conforms(&mut *open(&options), &destination, &server.root(), Kept::Files);
    assert!(
        server.tls_log().contains("client reused TLS session for data connection"),
        "{}",
        server.tls_log()
    );
}

#[test]
fn http_conforms() {
    let nginx = Nginx::start();
    let tls = format!("ca_file = {:?}", nginx.ca_file());
    for (folder, url, more) in [("in", nginx.url("/in"), ""), ("open", nginx.tls_url("/open/"), tls.as_str())]
    {
        let options = options(&format!(
            "[http]\nurl = {url:?}\nrename = true\nuser = {:?}\npassword = {:?}\n{more}",
            nginx::USER,
            nginx::PASSWORD
        ));
        let destination = format!("{}/", url.trim_end_matches('/'));
        assert_eq!(options.destination(Path::new("/")), destination);
        options.check(Path::new("/")).unwrap();
        conforms(&mut *open(&options), &destination, &nginx.folder(folder), Kept::Files);
    }
}

#[cfg(feature = "s3")]
#[test]
fn s3_conforms() {
    let storage = s3::Storage::start();
    // The largest file goes in two parts.
    let options = options(&format!("[s3]\n{}", storage.table("multipart_above = 5242880")));
    options.check(Path::new("/")).unwrap();
    let destination = options.destination(Path::new("/"));
    assert_eq!(
        destination,
        format!("s3://{}/meters/site/in", storage.endpoint().trim_start_matches("http://"))
    );
    conforms(&mut *open(&options), &destination, &storage.objects(), Kept::Objects);
    assert_eq!(storage.begun(), 0, "parts are left");
}

#[test]
fn one_connection_serves_many() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let mut transporter = Way::through(&sshd, &proxy).open(&sshd);
    let spool = Spool::new("x");
    for name in ["a", "b", "c"] {
        transporter.deliver(&spool.parcel(name)).unwrap();
    }
    assert_eq!(proxy.connections(), 1);
}

#[test]
fn relative_and_absolute_directories() {
    let sshd = Sshd::start();
    let spool = Spool::new("x");
    let absolute = sshd.root().join("abs");
    for (directory, file) in
        [(".", "a".into()), ("new/", "new/a".to_owned()), (absolute.to_str().unwrap(), "abs/a".into())]
    {
        let way = Way { directory, more: "create_directory = true", ..Way::to(&sshd) };
        assert_eq!(way.open(&sshd).deliver(&spool.parcel("a")).unwrap().how, How::Sent);
        assert_eq!(fs::read(sshd.root().join(file)).unwrap(), b"x");
    }
}

#[test]
fn missing_directories_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let spool = Spool::new("x");
    let local = options(&format!("[file]\ndirectory = {:?}", dir.path().join("no/such")));
    assert!(local.check(Path::new("/")).unwrap_err().to_string().contains("no/such"));
    let sshd = Sshd::start();
    let remote = |directory, more| Way { directory, more, ..Way::to(&sshd) }.options(&sshd);
    for options in [local, remote("no/such", ""), remote("no/such", "create_directory = true")] {
        let error = open(&options).deliver(&spool.parcel("a")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, false), "{error}");
        assert!(error.to_string().contains("no/such") && error.to_string().contains("send a"), "{error}");
        assert!(error.hint().is_some(), "{error}");
    }
    assert!(names(&sshd.root()).is_empty());
}

#[test]
fn strangers_are_refused() {
    let sshd = Sshd::start();
    let way = Way { key: sshd.stranger_key(), ..Way::to(&sshd) };
    let error = way.open(&sshd).deliver(&Spool::new("x").parcel("a.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert_eq!(
        error.to_string(),
        format!(
            "cannot send a.csv to sftp {user}@127.0.0.1:{}: log in as {user}: the server refuses",
            sshd.port(),
            user = sshd.user()
        )
    );
    assert!(error.hint().unwrap().contains("authorized keys"));
    // A server that hangs up in place of its no cannot be told from a lost connection, but from the hint.
    let strict = Sshd::start_with("MaxAuthTries 1");
    let way = Way { key: strict.stranger_key(), ..Way::to(&strict) };
    let error = way.open(&strict).deliver(&Spool::new("x").parcel("a.csv")).unwrap_err();
    assert_eq!(error.exit(), Exit::Unavailable, "{error}");
    assert!(error.hint().unwrap().contains("too many wrong log-ins"), "{error}");
}

#[test]
fn unknown_and_changed_host_keys_are_refused() {
    let (sshd, other) = (Sshd::start(), Sshd::start());
    let spool = Spool::new("secret reading");
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let dir = tempfile::tempdir().unwrap();
    let known_hosts = |name: &str, text: String| {
        let path = dir.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let unknown = known_hosts("unknown", "elsewhere ssh-ed25519 AAAA\n".into());
    let changed =
        known_hosts("changed", format!("# first\n{}\n", other.known_hosts_line("ed25519", proxy.port())));
    let line = sshd.known_hosts_line("ed25519", proxy.port());
    let revoked = known_hosts("revoked", format!("{line}\n@revoked {line}\n"));
    for (file, word) in
        [(unknown, "unknown host key"), (changed, "changed host key"), (revoked, "revoked host key")]
    {
        let way = Way { known_hosts: file.clone(), ..Way::through(&sshd, &proxy) };
        let error = way.open(&sshd).deliver(&spool.parcel("a")).unwrap_err();
        assert_eq!((error.exit(), error.kind()), (Exit::Refused, ErrorKind::Refused), "{error}");
        let text = error.to_string();
        assert!(text.contains(word) && text.contains(&sshd.fingerprint("ed25519")), "{text}");
        assert!(text.contains(file.to_str().unwrap()), "{text}");
        if word != "revoked host key" {
            assert!(error.hint().unwrap().ends_with(&line), "{:?}", error.hint());
        }
        if word == "changed host key" {
            assert!(text.contains("line 2 of"), "{text}");
        }
    }
    assert!(!sshd.log().contains("Accepted"), "nobody has logged in: {}", sshd.log());
    assert!(names(&sshd.root()).is_empty());

    // The line of the hint makes it right.
    let pasted = known_hosts("pasted", format!("{line}\n"));
    let way = Way { known_hosts: pasted, ..Way::through(&sshd, &proxy) };
    assert_eq!(way.open(&sshd).deliver(&spool.parcel("a")).unwrap().how, How::Sent);
}

#[test]
fn each_kind_of_held_key_is_asked_for() {
    let sshd = Sshd::start();
    let spool = Spool::new("x");
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let way = Way { known_hosts: sshd.known_hosts(&[kind], sshd.port()), ..Way::to(&sshd) };
        way.open(&sshd).deliver(&spool.parcel(kind)).unwrap();
    }
    // Hashed names, as Debian writes them.
    let hashed = sshd.known_hosts(&["rsa", "ecdsa"], sshd.port());
    let status = Command::new("ssh-keygen")
        .arg("-qHf")
        .arg(&hashed)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success() && fs::read_to_string(&hashed).unwrap().starts_with("|1|"));
    let way = Way { known_hosts: hashed, ..Way::to(&sshd) };
    way.open(&sshd).deliver(&spool.parcel("hashed")).unwrap();
    // A user's RSA key, which has to be signed with SHA-2.
    let way = Way { key: sshd.rsa_key(), ..Way::to(&sshd) };
    way.open(&sshd).deliver(&spool.parcel("rsa user")).unwrap();
}

#[test]
fn a_pinned_fingerprint_is_enough() {
    let sshd = Sshd::start();
    let spool = Spool::new("x");
    let pinned = |fingerprint: &str, more: &str| {
        options(&format!(
            "[sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nkey_file = {:?}\nhost_key = \"{fingerprint}\"\n{more}",
            sshd.port(),
            sshd.user(),
            sshd.key()
        ))
    };
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let receipt = open(&pinned(&sshd.fingerprint(kind), "")).deliver(&spool.parcel(kind)).unwrap();
        assert_eq!(receipt.how, How::Sent);
    }
    let wrong = "SHA256:uNiVztksCsDhcc0u9e8BrPFVGQ6LiSQhV+BmL7NNNNg";
    let both = format!("known_hosts = {:?}", sshd.known_hosts(&["ed25519"], sshd.port()));
    for more in ["", both.as_str()] {
        let error = open(&pinned(wrong, more)).deliver(&spool.parcel("a")).unwrap_err();
        assert_eq!(error.exit(), Exit::Refused, "{error}");
        let text = error.to_string();
        assert!(text.contains(wrong) && text.contains(&sshd.fingerprint("ed25519")), "{text}");
        assert!(error.hint().unwrap().contains(&sshd.fingerprint("ed25519")));
    }
    assert_eq!(names(&sshd.root()), ["ecdsa", "ed25519", "rsa"]);
}

#[test]
fn encrypted_keys() {
    let sshd = Sshd::start();
    let spool = Spool::new("x");
    let with = |more| Way { key: sshd.encrypted_key(), more, ..Way::to(&sshd) }.options(&sshd);
    let receipt =
        open(&with("key_password = { env = \"KEY_PASSWORD\" }")).deliver(&spool.parcel("a")).unwrap();
    assert_eq!(receipt.how, How::Sent);
    for (more, hint) in
        [("", "is it encrypted?"), ("key_password = \"hunter2\"", "key_password may be wrong")]
    {
        let error = open(&with(more)).deliver(&spool.parcel("b")).unwrap_err();
        assert_eq!(error.exit(), Exit::Config, "{error}");
        assert!(error.to_string().contains("user_encrypted"), "{error}");
        assert!(error.hint().unwrap().contains(hint), "{:?}", error.hint());
        assert!(!format!("{error:?}").contains("hunter2"));
    }
    let error = open_with(&with("key_password = { env = \"NONE\" }"), Duration::from_secs(1)).err().unwrap();
    assert_eq!(error.exit(), Exit::Config, "{error}");
    assert!(error.to_string().contains("key_password: there is no such secret"), "{error}");
}

#[test]
fn a_key_that_is_not_there_fails_the_check() {
    let sshd = Sshd::start();
    let options = Way { key: "missing_key".into(), ..Way::to(&sshd) }.options(&sshd);
    let error = options.check(Path::new("/nowhere")).unwrap_err();
    assert_eq!(error.exit(), Exit::Config);
    assert!(error.to_string().contains("/nowhere/missing_key"), "{error}");
    assert!(open_with(&options, Duration::from_secs(1)).is_err());
    // A known_hosts that is not there knows no host yet, as with ssh.
    let options = Way { known_hosts: "missing_hosts".into(), ..Way::to(&sshd) }.options(&sshd);
    options.check(Path::new("/nowhere")).unwrap();
    let error = open(&options).deliver(&Spool::new("x").parcel("a")).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused, "{error}");
}

#[test]
fn no_one_listens() {
    let sshd = Sshd::start();
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let way = Way { port, ..Way::to(&sshd) };
    let error = way.open(&sshd).deliver(&Spool::new("x").parcel("a")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert!(
        error.to_string().ends_with(&format!("connect to 127.0.0.1:{port}: connection refused")),
        "{error}"
    );
}

#[test]
fn a_connection_lost_before_the_login_is_never_a_refusal() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let options = Way::through(&sshd, &proxy).options(&sshd);
    let spool = Spool::new("x");
    open(&options).deliver(&spool.parcel("a")).unwrap();
    let whole = proxy.bytes_up();
    assert!((1000..20_000).contains(&whole), "{whole}");
    for plan in [Plan::cut_after, Plan::deafen_after] {
        for cut in (0..whole - 100).step_by(61) {
            proxy.set_plan(plan(cut));
            let name = format!("b{cut}");
            match open(&options).deliver(&spool.parcel(&name)) {
                Ok(_) => assert!(cut > whole / 2, "{cut}"),
                Err(error) => {
                    assert_eq!(
                        (error.exit(), error.is_retryable()),
                        (Exit::Unavailable, true),
                        "{cut}: {error}"
                    );
                }
            }
        }
    }
    // Each of the names holds the whole file or is not there; parts are for the next attempt to write over.
    proxy.set_plan(Plan::open());
    for cut in (0..whole - 100).step_by(61) {
        let name = format!("b{cut}");
        let there = fs::read(sshd.root().join(&name));
        assert!(there.is_err() || there.unwrap() == b"x");
    }
}

#[test]
fn interrupted_midway_then_whole() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let mut transporter = Way::through(&sshd, &proxy).open(&sshd);
    let spool = Spool::large(9 * 1024 * 1024);
    for cut in [10_000, 1_000_000, 5_000_000, 9_400_000] {
        let name = format!("cut_{cut}");
        proxy.set_plan(Plan::cut_after(cut));
        let error = transporter.deliver(&spool.parcel(&name)).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
        assert!(error.to_string().contains("connection was lost"), "{error}");
        assert!(
            names(&sshd.root()).iter().all(|there| !there.contains(&name)),
            "nothing partial, and no part"
        );
        proxy.set_plan(Plan::open());
        let receipt = transporter.deliver(&Parcel { sent_before: true, ..spool.parcel(&name) }).unwrap();
        assert_eq!(receipt.how, How::Sent);
        assert!(fs::read(sshd.root().join(&name)).unwrap() == spool.bytes);
        assert!(!sshd.root().join(format!(".{name}.part")).exists());
        // The next round begins with a connection that will be cut.
        transporter = Way::through(&sshd, &proxy).open(&sshd);
    }
}

#[test]
fn a_lost_reply_is_resolved_by_looking() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let options = Way::through(&sshd, &proxy).options(&sshd);
    let spool = Spool::new("x".repeat(1000));
    open(&options).deliver(&spool.parcel("measure")).unwrap();
    let whole = proxy.bytes_up();
    // Somewhere near the end the rename is carried out and its answer is lost.
    let mut found = 0;
    for back in (0..700).step_by(20) {
        let name = format!("r{back}");
        proxy.set_plan(Plan::deafen_after(whole - back));
        let first = open(&options).deliver(&spool.parcel(&name));
        let was_there = sshd.root().join(&name).exists();
        proxy.set_plan(Plan::open());
        let receipt = open(&options).deliver(&Parcel { sent_before: true, ..spool.parcel(&name) }).unwrap();
        assert_eq!(receipt.how == How::Found, was_there, "{back}");
        found += usize::from(first.is_err() && was_there);
        assert_eq!(fs::read(sshd.root().join(&name)).unwrap(), spool.bytes);
        assert!(!sshd.root().join(format!(".{name}.part")).exists());
    }
    assert!(found > 0, "no answer to a rename was lost");
}

#[test]
fn silence_ends_at_the_deadline() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::open());
    let options = Way::through(&sshd, &proxy).options(&sshd);
    let spool = Spool::large(3 * 1024 * 1024);
    for stall in [0, 1500, 2_000_000] {
        proxy.set_plan(Plan::stall_after(stall));
        let start = Instant::now();
        let mut transporter = open_with(&options, Duration::from_secs(1)).unwrap();
        let error = transporter.deliver(&spool.parcel("a")).unwrap_err();
        drop(transporter);
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
        assert!(error.to_string().contains("no answer in time"), "{error}");
        assert!(start.elapsed() < Duration::from_secs(3), "{stall}: {:?}", start.elapsed());
    }
}

#[test]
fn slow_is_not_silent() {
    let sshd = Sshd::start();
    let proxy = Proxy::start(sshd.address(), Plan::rate(1_000_000));
    let options = Way::through(&sshd, &proxy).options(&sshd);
    let spool = Spool::large(6 * 1024 * 1024);
    let start = Instant::now();
    let mut transporter = open_with(&options, Duration::from_secs(2)).unwrap();
    assert_eq!(transporter.deliver(&spool.parcel("a")).unwrap().how, How::Sent);
    assert!(start.elapsed() > Duration::from_secs(4), "longer than the deadline of one wait");
    assert!(fs::read(sshd.root().join("a")).unwrap() == spool.bytes);
}

#[test]
fn a_full_disk_leaves_no_part() {
    let sshd = Sshd::start_limited("", Some(1024));
    let mut transporter = Way::to(&sshd).open(&sshd);
    let (small, large) = (Spool::new("x"), Spool::large(9 * 1024 * 1024));
    transporter.deliver(&small.parcel("a")).unwrap();
    let error = transporter.deliver(&Parcel { may_replace: true, ..large.parcel("a") }).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert!(error.to_string().ends_with("write .a.part: failure"), "{error}");
    assert!(error.hint().unwrap().contains("full disk"));
    assert_eq!(names(&sshd.root()), ["a"]);
    assert_eq!(fs::read(sshd.root().join("a")).unwrap(), b"x", "what was there before is there still");
    transporter.deliver(&small.parcel("b")).unwrap();
}

#[test]
fn a_full_disk_here_is_local() {
    let dir = tempfile::tempdir().unwrap();
    let large = Spool::large(3 * 1024 * 1024);
    // No file may grow beyond 1 MiB, which for a program is much like a full disk.
    let options = dir.path().join("options.toml");
    let out = dir.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("a"), "before").unwrap();
    fs::write(&options, format!("[file]\ndirectory = {out:?}")).unwrap();
    let output = Command::new("/bin/sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 2048; exec \"$@\"", "sh"])
        .arg(deliver_program())
        .args([&options, &large.file])
        .arg("a")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(74), "{text}");
    assert!(text.contains("cannot send a to directory"), "{text}");
    assert!(text.contains(".a.part: file too large"), "{text}");
    assert_eq!(names(&out), ["a"]);
    assert_eq!(fs::read(out.join("a")).unwrap(), b"before");
}

#[test]
fn an_agent_logs_in() {
    let sshd = Sshd::start();
    let dir = tempfile::tempdir().unwrap();
    let socket = dir.path().join("agent");
    let mut agent =
        Command::new("ssh-agent").arg("-D").arg("-a").arg(&socket).stdout(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !socket.exists() {
        assert!(start.elapsed() < Duration::from_secs(10), "ssh-agent does not start");
        std::thread::sleep(Duration::from_millis(10));
    }
    let toml = format!(
        "[sftp]\nhost = \"127.0.0.1\"\nport = {}\nuser = \"{}\"\nagent = true\nknown_hosts = {:?}\n",
        sshd.port(),
        sshd.user(),
        sshd.known_hosts(&["ed25519"], sshd.port())
    );
    let options = dir.path().join("options.toml");
    fs::write(&options, &toml).unwrap();
    let spool = Spool::new("x");
    // An environment is set for a child only.
    let deliver = |code: i32| {
        let output = Command::new(deliver_program())
            .args([&options, &spool.file])
            .arg("agent")
            .env("SSH_AUTH_SOCK", &socket)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    };
    deliver(77);
    let added =
        Command::new("ssh-add").arg("-q").arg(sshd.key()).env("SSH_AUTH_SOCK", &socket).status().unwrap();
    assert!(added.success());
    deliver(0);
    agent.kill().unwrap();
    agent.wait().unwrap();
    deliver(78);
    assert_eq!(names(&sshd.root()), ["agent"]);
}

#[test]
fn what_the_receiver_forbids_is_a_refusal() {
    let sshd = Sshd::start_with("ForceCommand internal-sftp -R");
    let way = Way { directory: "/tmp", ..Way::to(&sshd) };
    let error = way.open(&sshd).deliver(&Spool::new("x").parcel("ew-read-only")).unwrap_err();
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    assert!(error.to_string().contains("create /tmp/.ew-read-only.part: permission denied"), "{error}");

    // A drop box that takes files and shows none. Size alone decides only after an attempt of our own, and
    // where no other content ever had the name.
    let blind = Sshd::start_with(&format!("ForceCommand internal-sftp -P read,fsync -d {}", "/tmp"));
    let dir = blind.root();
    let way = Way { directory: dir.to_str().unwrap(), ..Way::to(&blind) };
    let mut transporter = way.open(&blind);
    let spool = Spool::new("x");
    let parcel = spool.parcel("a");
    assert_eq!(transporter.deliver(&parcel).unwrap().how, How::Sent);
    let again = transporter.deliver(&Parcel { sent_before: true, ..parcel }).unwrap();
    assert_eq!((again.how, again.checked), (How::Found, Checked::Size));
    let revision = Parcel { sent_before: true, may_replace: true, ..parcel };
    assert_eq!(transporter.deliver(&revision).unwrap().how, How::Replaced);
    assert_eq!(transporter.deliver(&parcel).unwrap_err().exit(), Exit::Refused);
    assert_eq!(names(&dir), ["a"]);
}

#[test]
fn servers_without_sftp_or_common_methods_are_protocol() {
    let sshd = Sshd::start_with("ForceCommand /bin/false");
    let error = Way::to(&sshd).open(&sshd).deliver(&Spool::new("x").parcel("a")).unwrap_err();
    assert!(matches!(error.exit(), Exit::Protocol | Exit::Unavailable), "{error}");

    let old = Sshd::start_with("KexAlgorithms diffie-hellman-group14-sha1");
    let error = Way::to(&old).open(&old).deliver(&Spool::new("x").parcel("a")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Protocol, false), "{error}");
    assert!(error.to_string().contains("offers diffie-hellman-group14-sha1"), "{error}");
    assert!(error.hint().unwrap().contains("SHA-1"), "{error}");
}

#[test]
fn mistyped_keys_are_shown_with_their_place() {
    for (toml, expect) in [
        ("[file]\ndirectory = \"\"\n", "line 2"),
        ("[file]\ndirectroy = \"x\"\n", "line 2"),
        ("[sftp]\nhost = \"h\"\nuser = \"u\"\nprot = 22\n", "line 4"),
        ("[sftp]\nhost = \"h h\"\nuser = \"u\"\n", "line 2"),
        ("[sftp]\nhost = \"h\"\nuser = \"u\"\nagent = true\n", "known_hosts or host_key"),
    ] {
        let error = toml::from_str::<TransportOptions>(toml).unwrap_err().to_string();
        assert!(error.contains(expect), "{toml}\n{error}");
    }
}

/// Mail to two people, and what else the options say.
fn mail_options(sink: &Sink, port: u16, more: &str) -> TransportOptions {
    options(&format!(
        "[smtp]\nhost = \"127.0.0.1\"\nport = {port}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n\
         ca_file = {:?}\nfrom = \"ew@example.com\"\nto = [\"a@example.com\", \"b@example.com\"]\n{more}",
        sink.ca_file()
    ))
}

/// What the others do by looking, mail does by a name that stays: the same parcel twice is the same mail twice.
#[test]
fn mail_is_at_least_once_under_one_name() {
    let sink = Sink::start();
    let proxy = Proxy::start(sink.address(), Plan::open());
    let options = mail_options(&sink, proxy.port(), "");
    options.check(Path::new("/")).unwrap();
    let destination = format!("smtp://127.0.0.1:{}/a@example.com,b@example.com", proxy.port());
    assert_eq!(options.destination(Path::new("/")), destination);
    let mut transporter = open(&options);
    let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    let parcel = spool.parcel("u_1.csv");
    let first = transporter.deliver(&parcel).unwrap();
    assert_eq!((first.how, first.checked, first.bytes), (How::Sent, Checked::Reply, parcel.bytes));
    assert_eq!((first.destination.as_str(), first.recipients.len()), (destination.as_str(), 2));
    assert_eq!(transporter.deliver(&Parcel { sent_before: true, ..parcel }).unwrap(), first);
    let mails = sink.received();
    assert!(mails.len() == 2 && mails[0].raw == mails[1].raw);
    assert_eq!(mails[0].headers["Message-ID"], first.path);
    assert_eq!(mails[0].parts[1].content, spool.bytes);
    assert_eq!(proxy.connections(), 2, "one connection a mail");

    // Who has it already gets nothing; without anyone left there is no connection.
    let reached = ["B@example.com".to_owned(), "someone@else.example".to_owned()];
    transporter.deliver(&Parcel { reached: &reached, ..parcel }).unwrap();
    assert_eq!(sink.received()[2].to, ["a@example.com"]);
    let all = ["a@example.com".to_owned(), "b@example.com".to_owned()];
    let receipt = transporter.deliver(&Parcel { reached: &all, ..parcel }).unwrap();
    assert_eq!((receipt.how, receipt.recipients.len(), proxy.connections()), (How::Found, 2, 3));

    // Other content or another name is another mail.
    let other = Spool::new("x");
    let paths = [other.parcel("u_1.csv"), spool.parcel("u_2.csv"), spool.parcel("u_1.csv")]
        .map(|parcel| transporter.deliver(&parcel).unwrap().path);
    assert!(paths[0] != paths[1] && paths[0] != paths[2] && paths[1] != paths[2] && paths[2] == first.path);
}

#[test]
fn mail_of_any_size_and_what_is_ours_to_get_wrong() {
    let sink = Sink::start();
    let mut transporter = open(&mail_options(&sink, sink.port(), ""));
    let (empty, large) = (Spool::new(""), Spool::large(3 * 1024 * 1024 + 1));
    for (at, spool) in [&empty, &large].into_iter().enumerate() {
        transporter.deliver(&spool.parcel("Zähler 7; \"a\" $(x) *.csv")).unwrap();
        let mails = sink.received();
        let part = &mails[at].parts[1];
        assert_eq!(part.name.as_deref(), Some("Zähler 7; \"a\" $(x) *.csv"));
        assert!(part.content == spool.bytes, "{} bytes are equal byte for byte", spool.bytes.len());
    }
    let gone = Parcel { file: Path::new("/nowhere/slice"), ..empty.parcel("gone") };
    let altered = Parcel { sha256: &large.sha256, ..empty.parcel("altered") };
    for parcel in [gone, altered] {
        let error = transporter.deliver(&parcel).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Io, false), "{error}");
    }
    assert_eq!(transporter.deliver(&empty.parcel("../escape")).unwrap_err().exit(), Exit::Config);
    assert_eq!(sink.received().len(), 2);
}

#[test]
fn mail_that_some_may_not_have() {
    let sink = Sink::start();
    let mut transporter = open(&mail_options(&sink, sink.port(), "cc = [\"c@example.com\"]"));
    let spool = Spool::new("x");
    let mut attempt = |faults: &str, reached: &[String]| {
        sink.set_faults(faults);
        transporter.deliver(&Parcel { reached, ..spool.parcel("u.csv") })
    };
    // One refused and one put off: trying again makes sense for the second.
    let error = attempt("550=a@example.com 450=b@example.com", &[]).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert_eq!(error.reached(), ["c@example.com"]);
    let error = attempt("550=a@example.com", error.reached()).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert_eq!(error.reached(), ["b@example.com"], "those of this attempt");
    // Refused as a whole it has reached nobody.
    let error = attempt("550=a@example.com 554", &[]).unwrap_err();
    assert_eq!((error.exit(), error.reached().len()), (Exit::Refused, 0), "{error}");
    let to: Vec<Vec<String>> = sink.received().into_iter().map(|mail| mail.to).collect();
    assert_eq!(to, [["c@example.com"], ["b@example.com"]]);
}

#[test]
fn mail_and_files_that_are_not_there() {
    let sink = Sink::start();
    let text = format!(
        "[smtp]\nhost = \"localhost\"\nport = {}\nca_file = \"missing.pem\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]",
        sink.port()
    );
    let error = options(&text).check(Path::new("/nowhere")).unwrap_err();
    assert_eq!(error.exit(), Exit::Config, "{error}");
    assert!(error.to_string().contains("ca_file /nowhere/missing.pem"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let bundle = dir.path().join("missing.pem");
    for (content, says) in [
        ("# none\n".to_owned(), "no certificate in it"),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".into(), "damaged"),
    ] {
        fs::write(&bundle, content).unwrap();
        assert!(options(&text).check(dir.path()).unwrap_err().to_string().contains(says));
    }
    // In a file of several, the second one counts as well.
    let other = Sink::start();
    let both = [other.ca_file(), sink.ca_file()].map(|file| fs::read_to_string(file).unwrap()).concat();
    fs::write(&bundle, both).unwrap();
    let text = format!("{text}\nuser = \"{USER}\"\npassword = \"{PASSWORD}\"\n");
    let text = text.replace("\"missing.pem\"", &format!("{bundle:?}"));
    open(&options(&text)).deliver(&Spool::new("x").parcel("a")).unwrap();
}

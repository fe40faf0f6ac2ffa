//! HTTP against a real nginx: what it says, what it does not say, and who gets to see credentials.
#![allow(clippy::unwrap_used)]

#[path = "support/nginx.rs"]
mod nginx;
#[path = "support/proxy.rs"]
mod proxy;
#[path = "support/smtp.rs"]
mod smtp;
#[path = "support/spool.rs"]
mod spool;
#[path = "support/sshd.rs"]
mod sshd;

use ew_core::{Exit, Secret, SecretSource, Span};
use ew_transport::{
    Ability, Answer, Can, Checked, Context, How, Mark, Parcel, Probe, Size, TransportError, TransportOptions,
    Transporter,
};
use nginx::{Nginx, PASSWORD, USER};
use proxy::{Plan, Proxy};
use spool::{Spool, open, open_with, options};
use std::cell::RefCell;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Duration;

fn http(url: &str, more: &str) -> TransportOptions {
    options(&format!("[http]\nurl = {url:?}\n{more}"))
}

fn context(seconds: u64) -> Context<'static> {
    let resolve: &dyn Fn(&SecretSource) -> Result<Secret, String> = &|source| match source {
        SecretSource::Plain(secret) => Ok(secret.clone()),
        _ => Err("there is no such secret".to_owned()),
    };
    Context { base: Path::new("/nowhere"), timeout: Span::from_secs(seconds), resolve }
}

/// What comes of a file for this address.
fn sent(url: &str, more: &str) -> Result<(How, Checked), TransportError> {
    let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    let receipt = open(&http(url, more)).deliver(&spool.parcel("u.csv"))?;
    Ok((receipt.how, receipt.checked))
}

fn refused(url: &str, more: &str) -> TransportError {
    sent(url, more).unwrap_err()
}

#[test]
fn what_the_server_says_is_what_is_told() {
    let nginx = Nginx::start();
    let at = |path: &str| nginx.url(path);
    let login = format!("user = {USER:?}\npassword = {PASSWORD:?}");
    // Path, exit code, whether the next attempt may fare better, and words of the message.
    for (path, more, exit, is_retryable, words) in [
        ("/taken/", "", Exit::Refused, false, "PUT /taken/u.csv: the server says 412"),
        ("/in/", "", Exit::Refused, false, "HEAD /in/u.csv: the server says 401 Unauthorized"),
        ("/forbidden/", "", Exit::Refused, false, "PUT /forbidden/u.csv: the server says 403 Forbidden"),
        ("/in/none/", login.as_str(), Exit::Unavailable, true, "PUT /in/none/u.csv: the server says 500"),
        ("/full/", "", Exit::Unavailable, true, "says 507 Insufficient Storage"),
        ("/failing/", "", Exit::Unavailable, true, "says 500 Internal Server Error"),
        ("/post", "method = \"post\"", Exit::Unavailable, false, "POST /post: the server says 409"),
        ("/moved/", "method = \"post\"", Exit::Refused, false, "it sends on to \"http://127.0.0.1"),
        ("/open/none", "method = \"post\"", Exit::Unavailable, false, "POST /open/none: the server says 404"),
    ] {
        let error = refused(&at(path), more);
        assert_eq!((error.exit(), error.is_retryable()), (exit, is_retryable), "{path}: {error}");
        let whole = error.to_string();
        assert!(whole.starts_with(&format!("cannot send u.csv to {}: ", at(""))), "{whole}");
        assert!(whole.contains(words), "{whole}");
    }
    // An HTML page is told in its words.
    let error = refused(&at("/forbidden/"), "");
    assert!(error.to_string().ends_with("403 Forbidden 403 Forbidden 403 Forbidden nginx/1.22.1"), "{error}");

    // How long it asks to wait is told, and handed on.
    let busy = refused(&at("/busy/"), "");
    assert_eq!((busy.exit(), busy.wait()), (Exit::Unavailable, Duration::from_secs(120)), "{busy}");
    assert!(busy.to_string().ends_with("; it asks to be left alone for 120 s"), "{busy}");
    assert_eq!(refused(&at("/slow-down/"), "").wait(), Duration::from_secs(2));

    // Too large is said before the body is sent.
    let large = Spool::large(3 * 1024 * 1024);
    let proxy = Proxy::start(nginx.address(), Plan::open());
    let url = format!("http://127.0.0.1:{}/small/", proxy.port());
    let error = open(&http(&url, "")).deliver(&large.parcel("u.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Data, false), "{error}");
    assert!(error.to_string().contains("413 Request Entity Too Large"), "{error}");
    assert!(proxy.bytes_up() < 10_000, "{}", proxy.bytes_up());
    assert_eq!(fs::read_dir(nginx.folder("small")).unwrap().count(), 0);
}

#[test]
fn put_without_renaming() {
    let nginx = Nginx::start();
    let (url, folder) = (nginx.url("/put"), nginx.folder("put"));
    let mut transporter = open(&http(&url, ""));
    let (first, second) = (Spool::new("first"), Spool::new("second"));
    let deliver = |transporter: &mut Box<dyn Transporter>, parcel: &Parcel<'_>| {
        let receipt = transporter.deliver(parcel).unwrap();
        (receipt.how, receipt.checked)
    };
    assert_eq!(deliver(&mut transporter, &first.parcel("u.csv")), (How::Sent, Checked::Size));
    assert_eq!(deliver(&mut transporter, &first.parcel("u.csv")), (How::Found, Checked::Sha256));
    let error = transporter.deliver(&second.parcel("u.csv")).unwrap_err();
    assert!(error.to_string().contains("/put/u.csv is there with other content"), "{error}");
    assert_eq!(fs::read(folder.join("u.csv")).unwrap(), b"first");
    let revision = Parcel { may_replace: true, ..second.parcel("u.csv") };
    assert_eq!(deliver(&mut transporter, &revision), (How::Replaced, Checked::Size));
    assert_eq!(fs::read(folder.join("u.csv")).unwrap(), b"second");
    // What a server kept of an attempt that was cut short.
    fs::write(folder.join("v.csv"), "fir").unwrap();
    assert!(transporter.deliver(&first.parcel("v.csv")).is_err());
    let again = Parcel { sent_before: true, ..first.parcel("v.csv") };
    assert_eq!(deliver(&mut transporter, &again), (How::Sent, Checked::Size));
    assert_eq!(fs::read(folder.join("v.csv")).unwrap(), b"first");

    // A file that is not what was recorded never arrives, not even where its size is right.
    let large = Spool::large(1024 * 1024);
    let altered = Parcel { sha256: &first.sha256, ..large.parcel("altered") };
    assert_eq!(transporter.deliver(&altered).unwrap_err().exit(), Exit::Io);
    assert!(!folder.join("altered").exists());

    // Renaming where it is not known.
    let error = open(&http(&url, "rename = true")).deliver(&first.parcel("w.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert!(error.to_string().contains("MOVE /put/.w.csv.part: the server says 405"), "{error}");
    assert!(error.hint().unwrap().contains("rename = false"), "{error}");

    // Where nothing may be seen the server's word is all there is.
    let mut drop = open(&http(&nginx.url("/drop/"), ""));
    assert_eq!(deliver(&mut drop, &first.parcel("u.csv")), (How::Sent, Checked::Reply));
    let again = Parcel { sent_before: true, ..first.parcel("u.csv") };
    assert_eq!(deliver(&mut drop, &again), (How::Sent, Checked::Reply));
    assert_eq!(fs::read(nginx.folder("drop/u.csv")).unwrap(), b"first");
}

#[test]
fn credentials_and_signatures() {
    let nginx = Nginx::start();
    let (url, sum) =
        (nginx.url("/token/"), "3f0a377ba0a4a460ecb616f6507ce0d8cfa3e704025d4fda3ed0c5ca05468728");
    // RFC 4231 has no key of this kind; the digest is openssl's: printf body | openssl dgst -sha256 -hmac key.
    let keys = "bearer = \"sesame\"\nhmac_secret = \"key\"\nhmac_header = \"X-Signature\"\nhmac_prefix = \"sha256=\"\n\
                headers = { X-Own = \"a b\" }";
    let spool = Spool::new("body");
    open(&http(&url, keys)).deliver(&spool.parcel("u.csv")).unwrap();
    let put = &nginx.asked("PUT", 1)[0];
    let openssl =
        Command::new("sh").args(["-c", "printf body | openssl dgst -sha256 -hmac key"]).output().unwrap();
    let openssl = String::from_utf8(openssl.stdout).unwrap();
    let digest = openssl.trim().rsplit(' ').next().unwrap();
    assert_eq!(digest.len(), sum.len());
    assert_eq!(put["signature"].as_str().unwrap(), format!("sha256={digest}"));
    assert_eq!(
        (put["authorization"].as_str().unwrap(), put["own"].as_str().unwrap()),
        ("Bearer sesame", "a b")
    );
    assert_eq!(put["type"].as_str().unwrap(), "text/csv; charset=utf-8");
    let key = put["key"].as_str().unwrap().to_owned();
    assert!(key.len() == 40 && key.bytes().all(|b| b.is_ascii_hexdigit()), "{key}");

    // The key stays with the slice, and goes with its content.
    for (spool, name) in [(&spool, "v.csv"), (&Spool::new("other"), "v.csv"), (&spool, "v.csv")] {
        open(&http(&url, keys)).deliver(&Parcel { may_replace: true, ..spool.parcel(name) }).unwrap();
    }
    let put = nginx.asked("PUT", 4);
    let keys: Vec<&str> = put.iter().map(|put| put["key"].as_str().unwrap()).collect();
    assert!(keys[1] == keys[3] && keys[0] != keys[1] && keys[1] != keys[2], "{keys:?}");

    // What a server repeats of them is not shown.
    let error = refused(&nginx.url("/token/"), "bearer = \"wrong sesame\"");
    assert_eq!(error.exit(), Exit::Refused, "{error}");
    let error = refused(&nginx.url("/token/"), "method = \"post\"\nbearer = \"wrong sesame\"");
    assert!(error.to_string().contains("no such token: Bearer ***"), "{error}");
    let error = refused(&nginx.url("/token/"), "method = \"post\"\nuser = \"ew\"\npassword = \"hunter2\"");
    assert!(error.to_string().contains("no such token: Basic ***"), "{error}");
}

#[test]
fn posts() {
    let nginx = Nginx::start();
    let url = nginx.url("/post?name={name}");
    assert_eq!(sent(&url, "method = \"post\"").unwrap(), (How::Sent, Checked::Reply));
    let body = fs::read_to_string(nginx.folder("open/u.csv")).unwrap();
    assert_eq!(body, "timestamp,a\n2023-11-14T22:13:20Z,12.5\n");

    // A form, as a browser sends it; read by Python's parser of MIME.
    let keys = "form_field = \"upload\"\ncontent_type = \"text/plain\"";
    let spool = Spool::large(700_000);
    open(&http(&url, keys)).deliver(&spool.parcel("f \"1\".csv")).unwrap();
    let form = nginx.folder("open/f \"1\".csv");
    let seen = &nginx.asked("POST", 2)[1];
    let script = "import email, hashlib, sys\n\
                  mail = email.message_from_bytes(b'Content-Type: ' + sys.argv[1].encode() + b'\\r\\n\\r\\n' + open(sys.argv[2], 'rb').read())\n\
                  [part] = mail.get_payload()\n\
                  print(part.get_param('name', header='content-disposition'), part.get_filename(), part.get_content_type())\n\
                  print(hashlib.sha256(part.get_payload(decode=True)).hexdigest())\n";
    let python = Command::new("python3")
        .args(["-c", script, seen["type"].as_str().unwrap()])
        .arg(&form)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&python.stdout).into_owned();
    let wanted = format!("upload f %221%22.csv text/plain\n{}\n", spool.sha256);
    assert_eq!(text, wanted, "{}", String::from_utf8_lossy(&python.stderr));
    // Sent again it is the same, byte for byte.
    let before = fs::read(&form).unwrap();
    open(&http(&url, keys)).deliver(&spool.parcel("f \"1\".csv")).unwrap();
    assert!(fs::read(&form).unwrap() == before);
    let posts = nginx.asked("POST", 3);
    let keys: Vec<&str> = posts.iter().map(|post| post["key"].as_str().unwrap()).collect();
    assert!(keys[1] == keys[2] && keys[0] != keys[1], "{keys:?}");
    assert!(http(&url, "method = \"post\"").look(&context(20)).unwrap().is_none());
}

/// 307 is followed with the body, but only so often, and credentials stay where they belong.
#[test]
fn redirects() {
    let nginx = Nginx::start();
    let ca = format!("ca_file = {:?}", nginx.ca_file());
    let auth = "bearer = \"sesame\"\nheaders = { X-Own = \"mine\" }\nhmac_secret = \"key\"";
    assert_eq!(sent(&nginx.url("/on/"), auth).unwrap(), (How::Sent, Checked::Size));
    let put = &nginx.asked("PUT", 2)[1];
    assert_eq!((&put["path"], &put["port"]), (&"/open/u.csv".into(), &nginx.port().to_string().into()));
    assert_eq!((put["authorization"].as_str(), put["own"].as_str()), (Some("Bearer sesame"), Some("mine")));
    fs::remove_file(nginx.folder("open/u.csv")).unwrap();

    // Another origin, be it the same host by another name: the body, and no credentials.
    assert_eq!(sent(&nginx.url("/abroad/"), auth).unwrap(), (How::Sent, Checked::Size));
    let put = &nginx.asked("PUT", 4)[2..];
    for key in ["authorization", "own", "signature"] {
        assert!(put[0][key] != "" && put[1][key] == "", "{key}: {put:?}");
    }
    fs::remove_file(nginx.folder("open/u.csv")).unwrap();
    // Nor the client's certificate.
    let (cert, key) = nginx.client();
    let identity = format!("{ca}\ncert_file = {cert:?}\nkey_file = {key:?}");
    assert_eq!(sent(&nginx.mutual_url("/abroad/"), &identity).unwrap(), (How::Sent, Checked::Size));
    let put = &nginx.asked("PUT", 6)[4..];
    assert_eq!((&put[0]["client"], &put[1]["client"]), (&"CN=sink".into(), &"".into()));
    fs::remove_file(nginx.folder("open/u.csv")).unwrap();

    // What comes of a POST may be told elsewhere, and is asked for without what was posted.
    let see_other = nginx.url("/see-other?at=told");
    let error = refused(&see_other, "method = \"post\"");
    assert!(error.to_string().contains("POST /see-other: the server says 404 Not Found"), "{error}");
    fs::write(nginx.folder("open/told"), "accepted").unwrap();
    for more in ["method = \"post\"", "form_field = \"file\""] {
        assert_eq!(sent(&see_other, more).unwrap(), (How::Sent, Checked::Reply));
    }
    let asked = &nginx.asked("GET", 3)[2];
    for key in ["type", "key", "length"] {
        assert_eq!(asked[key], "", "{key}: {asked}");
    }
    fs::remove_file(nginx.folder("open/told")).unwrap();
    // Nothing is put anywhere else.
    let error = refused(&nginx.url("/see-other/"), "");
    assert!(error.to_string().contains("HEAD /see-other/u.csv: the server says 303 See Other"), "{error}");

    let error = refused(&nginx.url("/circle/"), "");
    assert!(error.to_string().contains("the server sends on more than 5 times"), "{error}");
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Protocol, false));
    let error = refused(&nginx.tls_url("/out/"), &ca);
    assert!(error.to_string().contains("out of TLS"), "{error}");
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false));
    // 301 may turn a PUT into something else; the address has to be written anew.
    let error = refused(&nginx.url("/moved/"), "rename = true");
    assert!(error.to_string().contains("it sends on to \"http://127.0.0.1"), "{error}");
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false));
    assert_eq!(fs::read_dir(nginx.folder("open")).unwrap().count(), 0);
}

#[test]
fn certificates_on_either_side() {
    let nginx = Nginx::start();
    let ca = format!("ca_file = {:?}", nginx.ca_file());
    let error = refused(&nginx.tls_url("/open/"), "");
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert!(
        error.to_string().contains("the server's certificate is not trusted: self-signed certificate"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("ca_file"));
    let by_address = nginx.tls_url("/open/").replace("localhost", "127.0.0.1");
    let error = refused(&by_address, &ca);
    assert!(error.to_string().contains("not trusted: ip address mismatch"), "{error}");

    let error = refused(&nginx.mutual_url("/open/"), &ca);
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Refused, false), "{error}");
    assert!(error.to_string().contains("400 Bad Request"), "{error}");
    let (cert, key) = nginx.client();
    let identity = format!("{ca}\ncert_file = {cert:?}\nkey_file = {key:?}");
    assert_eq!(sent(&nginx.mutual_url("/open/"), &identity).unwrap(), (How::Sent, Checked::Size));

    // The wrong kind of port, either way, and no HTTP at all.
    let error = refused(&nginx.tls_url("/open/").replace("https", "http"), "");
    assert!(error.to_string().contains("400 Bad Request"), "{error}");
    let error = refused(&nginx.url("/open/").replace("http", "https"), "");
    assert_eq!(error.exit(), Exit::Protocol, "{error}");
    assert!(error.to_string().contains("no TLS came about"), "{error}");
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let other = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        socket.write_all(b"SSH-2.0-OpenSSH_9.2p1\r\n").unwrap();
        let _ = socket.read(&mut [0; 1024]);
    });
    let error = refused(&url, "");
    other.join().unwrap();
    assert_eq!(error.exit(), Exit::Protocol, "{error}");
    assert!(error.to_string().contains("this is no answer of an HTTP server"), "{error}");
}

#[test]
fn files_that_tls_needs_are_checked() {
    let nginx = Nginx::start();
    let dir = tempfile::tempdir().unwrap();
    let (cert, key) = nginx.client();
    let old = dir.path().join("old.pem");
    let made = Command::new("openssl").args(["ec", "-in"]).arg(&key).arg("-out").arg(&old).output().unwrap();
    assert!(made.status.success());
    let identity = |cert: &Path, key: &Path| format!("cert_file = {cert:?}\nkey_file = {key:?}");
    let check = |more: &str| http("https://localhost/", more).check(Path::new("/"));
    check(&identity(&cert, &key)).unwrap();
    for (more, words, hint) in [
        (format!("ca_file = {key:?}"), "no certificate in it", Some("PEM")),
        ("ca_file = \"/nowhere/ca.pem\"".to_owned(), "read ca_file /nowhere/ca.pem: no such file", None),
        (identity(&cert, &old), "it holds no key of the form", Some("openssl pkcs8")),
        (identity(&nginx.ca_file(), &key), "key_file is not the key of cert_file", None),
    ] {
        let error = check(&more).unwrap_err();
        assert_eq!(error.exit(), Exit::Config, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        assert_eq!(error.hint().map(|text| hint.is_some_and(|hint| text.contains(hint))), hint.map(|_| true));
    }
}

/// Whatever breaks off, the next attempt finds out what there is.
#[test]
fn lost_replies_are_resolved_by_looking() {
    let nginx = Nginx::start();
    let spool = Spool::large(300_000);
    let folder = nginx.folder("open");
    let through = |plan, more: &str| {
        let proxy = Proxy::start(nginx.address(), plan);
        let options = http(&format!("http://127.0.0.1:{}/open/", proxy.port()), more);
        (proxy, open(&options))
    };
    let moved = |transporter: &mut Box<dyn Transporter>, marks: &RefCell<Vec<bool>>, parcel: &Parcel<'_>| {
        let keep = |is_whole| {
            marks.borrow_mut().push(is_whole);
            Ok(())
        };
        transporter.deliver(&Parcel { mark: Mark(&keep), ..*parcel })
    };

    // The reply to a PUT.
    let (_proxy, mut transporter) = through(Plan::deafen_after(300_000), "");
    let error = transporter.deliver(&spool.parcel("a.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    let again = Parcel { sent_before: true, ..spool.parcel("a.csv") };
    let (_proxy, mut transporter) = through(Plan::open(), "");
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Found);

    // Midway: nothing partial is there, nor is anything left.
    let (_proxy, mut transporter) = through(Plan::cut_after(100_000), "rename = true");
    let error = transporter.deliver(&spool.parcel("b.csv")).unwrap_err();
    assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
    assert!(error.to_string().ends_with("PUT /open/.b.csv.part: the connection was lost"), "{error}");
    assert!(!folder.join("b.csv").exists() && !folder.join(".b.csv.part").exists());

    // The reply to a MOVE: how many bytes go before it is seen once.
    let (proxy, mut transporter) = through(Plan::open(), "rename = true");
    let marks = RefCell::new(Vec::new());
    moved(&mut transporter, &marks, &spool.parcel("b.csv")).unwrap();
    let all = proxy.bytes_up();
    assert_eq!(*marks.borrow(), [true]);
    let (_proxy, mut transporter) = through(Plan::deafen_after(all - 10), "rename = true");
    let error = moved(&mut transporter, &marks, &spool.parcel("c.csv")).unwrap_err();
    assert!(error.to_string().contains("MOVE /open/.c.csv.part: the connection was lost"), "{error}");
    assert_eq!(*marks.borrow(), [true, true]);
    let again = Parcel { sent_before: true, was_whole: true, ..spool.parcel("c.csv") };
    let (_proxy, mut transporter) = through(Plan::open(), "rename = true");
    assert_eq!(transporter.deliver(&again).unwrap().how, How::Found);
    // And where the receiver has taken it away meanwhile.
    fs::remove_file(folder.join("c.csv")).unwrap();
    assert_eq!(moved(&mut transporter, &marks, &again).unwrap().how, How::Taken);
    let keeps = Parcel { earlier: Some("a.csv"), ..again };
    assert_eq!(moved(&mut transporter, &marks, &keeps).unwrap().how, How::Sent);
    assert_eq!(*marks.borrow(), [true, true, false, true]);
    assert_eq!(fs::read(folder.join("c.csv")).unwrap(), spool.bytes);
}

#[test]
fn silence_has_an_end() {
    let nginx = Nginx::start();
    let spool = Spool::new(vec![b'x'; 12_000_000]);
    for (plan, words) in [
        (Plan::stall_after(0), "HEAD /open/u.csv: no answer in time"),
        (Plan::stall_after(5_000_000), "PUT /open/u.csv: no answer in time"),
        (Plan::mute_after(12_000_000), "PUT /open/u.csv: no answer in time"),
    ] {
        let proxy = Proxy::start(nginx.address(), plan);
        let options = http(&format!("http://127.0.0.1:{}/open/", proxy.port()), "");
        let mut transporter = open_with(&options, Duration::from_millis(700)).unwrap();
        let error = transporter.deliver(&spool.parcel("u.csv")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
        assert!(error.to_string().ends_with(words), "{error}");
    }
    // The same under TLS, before it has come about.
    let silent = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://127.0.0.1:{}/", silent.local_addr().unwrap().port());
    let mut transporter = open_with(&http(&url, ""), Duration::from_millis(300)).unwrap();
    let error = transporter.deliver(&Spool::new("x").parcel("u.csv")).unwrap_err();
    assert!(error.to_string().ends_with("HEAD /u.csv: no answer in time"), "{error}");
    // And nobody there.
    drop(silent);
    let error = refused(&url, "");
    assert!(error.to_string().ends_with("HEAD /u.csv: connection refused"), "{error}");
    assert!(error.is_of_receiver() && error.is_retryable(), "{error}");
}

/// A server may send a header without end, or answer before it is asked.
#[test]
fn endless_answers() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("http://127.0.0.1:{}/", listener.local_addr().unwrap().port());
    let server = thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let _ = socket.read(&mut [0; 1024]);
        let _ = socket.write_all(b"HTTP/1.1 200 OK\r\n");
        while socket.write_all(b"X-Filler: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n").is_ok() {}
    });
    let error = refused(&url, "");
    assert_eq!(error.exit(), Exit::Protocol, "{error}");
    server.join().unwrap();
}

#[test]
fn looking() {
    let nginx = Nginx::start();
    let spool = Spool::new("twelve bytes");
    let options = http(&nginx.url("/open/"), "");
    open(&options).deliver(&spool.parcel("u ü.csv")).unwrap();
    fs::create_dir(nginx.folder("open/folder")).unwrap();
    let mut look = options.look(&context(20)).unwrap().unwrap();
    assert_eq!(look.size("u ü.csv").unwrap(), Answer::Is(Size::Bytes(12)));
    assert_eq!(look.size("none").unwrap(), Answer::Absent);
    assert_eq!(look.size("folder").unwrap(), Answer::Is(Size::Directory));
    let Answer::Is(content) = look.hash("u ü.csv", 12).unwrap() else { panic!("it is there") };
    assert_eq!((content.bytes, content.sha256), (12, spool.sha256.clone()));
    assert_eq!(look.read("u ü.csv", 100).unwrap(), Answer::Is(b"twelve bytes".to_vec()));
    assert_eq!(look.hash("none", 12).unwrap(), Answer::Absent);
    assert!(matches!(look.list().unwrap(), Answer::Unknown(_)));
    let mut drop = http(&nginx.url("/drop/"), "").look(&context(20)).unwrap().unwrap();
    assert!(matches!(drop.size("u.csv").unwrap(), Answer::Unknown(why) if why.contains("403")));
    assert!(matches!(drop.hash("u.csv", 12).unwrap(), Answer::Unknown(why) if why.contains("403")));
    // Credentials that are wrong are no answer.
    let mut closed = http(&nginx.url("/in/"), "").look(&context(20)).unwrap().unwrap();
    for error in [closed.size("u.csv").unwrap_err(), closed.hash("u.csv", 1).unwrap_err()] {
        assert!(error.to_string().starts_with("cannot look for u.csv at http://"), "{error}");
        assert_eq!(error.exit(), Exit::Refused);
    }
}

#[test]
fn probing() {
    let nginx = Nginx::start();
    let ca = format!("ca_file = {:?}", nginx.ca_file());
    let probed = |url: &str, more: &str| http(url, more).probe(&context(20), ".ew-probe");
    let can = |probe: &Probe| -> Vec<(Ability, Can)> {
        probe.abilities.iter().map(|found| (found.ability, found.can)).collect()
    };
    let yes = |abilities: &[Ability]| -> Vec<(Ability, Can)> {
        abilities.iter().map(|ability| (*ability, Can::Yes)).collect()
    };
    let probe = probed(&nginx.tls_url("/open/"), &format!("{ca}\nrename = true"));
    let all = [
        Ability::Connect,
        Ability::Tls,
        Ability::LogIn,
        Ability::Write,
        Ability::Stat,
        Ability::ReadBack,
        Ability::Rename,
        Ability::Replace,
        Ability::Remove,
    ];
    assert_eq!(can(&probe), yes(&all));
    assert!(probe.error.is_none() && probe.left.is_empty(), "{probe:?}");
    assert_eq!(fs::read_dir(nginx.folder("open")).unwrap().count(), 0);

    // Renaming is needed only where it was asked for; what cannot be removed is told.
    let probe = probed(&nginx.url("/put/"), "");
    assert!(probe.error.is_none(), "{probe:?}");
    assert!(can(&probe).contains(&(Ability::Rename, Can::No)), "{probe:?}");
    assert_eq!(probe.left, ["/put/.ew-probe"]);
    let probe = probed(&nginx.url("/put/"), "rename = true");
    assert!(probe.error.unwrap().to_string().contains("405"));

    let probe = probed(&nginx.url("/in/"), "");
    assert_eq!(can(&probe), [(Ability::Connect, Can::Yes), (Ability::LogIn, Can::No)]);
    assert_eq!(probe.error.unwrap().exit(), Exit::Refused);
    let probe = probed("http://127.0.0.1:1/", "");
    assert_eq!(can(&probe), [(Ability::Connect, Can::No)]);
    // Nothing is posted.
    let probe = probed(&nginx.url("/post"), "method = \"post\"");
    assert_eq!(can(&probe), yes(&[Ability::Connect, Ability::LogIn]));
    assert!(nginx.asked("POST", 0).is_empty());
}

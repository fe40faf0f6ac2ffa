//! HTTP servers that say what is not so, and those that hide what is there.
#![allow(clippy::unwrap_used)]

#[path = "support/spool.rs"]
mod spool;
#[path = "support/told.rs"]
mod told;
/// For the spool's secrets; nothing here speaks SSH.
mod sshd {
    pub(crate) const KEY_PASSWORD: &str = "";
}

use ew_core::Exit;
use ew_transport::{Checked, How, Mark, Parcel, Transporter};
use spool::{Spool, open, options};
use std::cell::RefCell;
use std::collections::HashMap;
use told::with;

fn to(port: u16, more: &str) -> Box<dyn Transporter> {
    open(&options(&format!("[http]\nurl = \"http://127.0.0.1:{port}/in/\"\n{more}")))
}

/// A server that keeps files, and of which `answer` may say something else.
fn keeping(mut answer: impl FnMut(&str, &str) -> Option<String> + Send + 'static) -> u16 {
    let mut files: HashMap<String, Vec<u8>> = HashMap::new();
    told::start(move |method, path, body| {
        if let Some(told) = answer(method, path) {
            // What is asked of it is done, whatever it says.
            if method == "PUT" && !told.starts_with("207") {
                files.insert(path.to_owned(), body.to_owned());
            }
            return told;
        }
        match (method, files.get(path)) {
            ("HEAD", Some(file)) => {
                format!("200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", file.len())
            }
            ("GET", Some(file)) => with("200 OK", file),
            ("PUT", _) => {
                files.insert(path.to_owned(), body.to_owned());
                with("201 Created", b"")
            }
            _ => with("404 Not Found", b""),
        }
    })
}

/// It concerns several things, one of which failed.
#[test]
fn multi_status_is_no_success() {
    let spool = Spool::new("timestamp,a\n");
    let port = keeping(|method, _| (method == "PUT").then(|| with("207 Multi-Status", b"<multistatus/>")));
    for more in ["", "rename = true"] {
        let error = to(port, more).deliver(&spool.parcel("u.csv")).unwrap_err();
        assert_eq!((error.exit(), error.is_retryable()), (Exit::Unavailable, true), "{error}");
        assert!(error.to_string().ends_with("it was not done"), "{error}");
    }
}

#[test]
fn a_size_that_is_not_so_is_held_against_the_file() {
    let spool = Spool::new("timestamp,a\n2023-11-14T22:13:20Z,12.5\n");
    for length in [0, 99_999] {
        let mut heads = 0;
        let port = keeping(move |method, _| {
            heads += usize::from(method == "HEAD");
            (method == "HEAD" && heads > 1)
                .then(|| format!("200 OK\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n"))
        });
        let receipt = to(port, "").deliver(&spool.parcel("u.csv")).unwrap();
        assert_eq!((receipt.how, receipt.checked), (How::Sent, Checked::Sha256));
        let again = Parcel { sent_before: true, ..spool.parcel("u.csv") };
        assert_eq!(to(port, "").deliver(&again).unwrap().how, How::Found);
        let other = Spool::new("another's");
        let again = Parcel { sent_before: true, ..other.parcel("u.csv") };
        assert_eq!(to(port, "").deliver(&again).unwrap_err().exit(), Exit::Refused);
    }
}

/// What was never seen under its temporary name was not taken away because it is not there.
#[test]
fn a_hidden_temporary_name_says_nothing() {
    let spool = Spool::new("timestamp,a\n");
    let port = keeping(|method, path| match method {
        "HEAD" if path.contains("/.") => Some(with("404 Not Found", b"")),
        // It is not done, and the answer is lost.
        "MOVE" => Some(String::new()),
        _ => None,
    });
    let marks = RefCell::new(Vec::new());
    let keep = |is_whole| {
        marks.borrow_mut().push(is_whole);
        Ok(())
    };
    let parcel = Parcel { mark: Mark(&keep), ..spool.parcel("u.csv") };
    let error = to(port, "rename = true").deliver(&parcel).unwrap_err();
    assert!(error.to_string().contains("MOVE /in/.u.csv.part"), "{error}");
    assert_eq!(*marks.borrow(), [] as [bool; 0]);
}

/// A part of one is told as little as the whole.
#[test]
fn a_secret_in_the_address_of_a_redirect() {
    let secret = "s3cr3t-".repeat(30);
    let location =
        format!("302 Found\r\nConnection: close\r\nContent-Length: 0\r\nLocation: /?{secret}\r\n\r\n");
    let port = told::start(move |_, _, _| location.clone());
    let more = format!("method = \"post\"\nheaders = {{ X-Key = {secret:?} }}");
    let error = to(port, &more).deliver(&Spool::new("x").parcel("u.csv")).unwrap_err().to_string();
    assert!(error.contains("it sends on to \"/?***\"") && !error.contains("s3cr3t"), "{error}");
}

/// Neither where a page is cut, nor where it has the signs of tags in it.
#[test]
fn a_secret_in_a_page() {
    let long: String = (0..400).map(|n| format!("{n:03}+")).collect();
    let page = |before: usize, secret: &str| {
        let body = format!("<p>no{}{secret}</p>{}", " ".repeat(before), " ".repeat(9000));
        let head = "403 Forbidden\r\nConnection: close\r\nContent-Type: text/html";
        format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    };
    for (secret, repeated, before) in [
        ("s3cr<3t>-1&2", "s3cr<3t>-1&2", 1),
        ("s3cr<3t>-1&2", "s3cr&lt;3t&gt;-1&amp;2", 1),
        (long.as_str(), long.as_str(), 3000),
        (long.as_str(), long.as_str(), 3900),
    ] {
        let answer = page(before, repeated);
        let port = told::start(move |_, _, _| answer.clone());
        let more = format!("method = \"post\"\nheaders = {{ X-Key = {secret:?} }}");
        let error = to(port, &more).deliver(&Spool::new("x").parcel("u.csv")).unwrap_err().to_string();
        assert!(error.ends_with("403 Forbidden no ***"), "{error}");
    }
}

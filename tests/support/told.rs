//! A server that answers requests, one to a connection, as a test tells it to: what no real one can be made to say.
#![allow(dead_code, unreachable_pub, clippy::unwrap_used)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::thread;

/// Starts it on a free port, which it gives. `answer` makes the answer, without its version, of a request's
/// method, path and body; it says `Connection: close`. It ends with the test.
pub fn start(mut answer: impl FnMut(&str, &str, &[u8]) -> String + Send + 'static) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = socket.unwrap();
            let mut from = BufReader::new(socket.try_clone().unwrap());
            let (mut line, mut head) = (String::new(), String::new());
            from.read_line(&mut head).unwrap();
            let mut bytes = 0;
            while from.read_line(&mut line).unwrap() > 2 {
                if let Some(length) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                    bytes = length.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; bytes];
            from.read_exact(&mut body).unwrap();
            let mut words = head.split(' ');
            let (method, path) = (words.next().unwrap(), words.next().unwrap_or_default());
            // Whoever asked may have gone.
            let _ = write!(socket, "HTTP/1.1 {}", answer(method, path, &body));
        }
    });
    port
}

/// An answer with a body.
pub fn with(status: &str, body: &[u8]) -> String {
    format!(
        "{status}\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}",
        body.len(),
        String::from_utf8_lossy(body)
    )
}

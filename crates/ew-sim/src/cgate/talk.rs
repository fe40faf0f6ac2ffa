//! One session: the banner, then a reply to each command.

use super::answer::{Access, Answer, Server};
use super::fault::{Faults, begins, is_one_of};
use std::io::{self, BufRead, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

/// A command is longer than this only by mistake, bytes.
const COMMAND_BYTES_MAX: u64 = 4096;

/// A TLS alert, fatal, protocol version.
pub(crate) const TLS_ALERT: &[u8] = &[0x15, 0x03, 0x03, 0x00, 0x02, 0x02, 0x46];

/// What a session is like.
#[derive(Debug, Clone)]
pub(crate) struct Manner {
    pub(crate) banner: String,
    /// What a peer may without a log-in.
    pub(crate) access: Access,
    /// Every command is written down there, one a line.
    pub(crate) record: Option<Arc<Mutex<std::fs::File>>>,
}

/// Talks until the peer goes.
pub(crate) fn talk(
    server: &Arc<Mutex<Server>>,
    manner: &Manner,
    mut from: impl BufRead,
    to: &mut dyn Write,
) -> io::Result<()> {
    let faults = lock(server).faults.clone();
    if faults.silent_banner || faults.tls_port {
        let mut line = Vec::new();
        while from.by_ref().take(COMMAND_BYTES_MAX).read_until(b'\n', &mut line)? > 0 {
            if faults.tls_port {
                to.write_all(TLS_ALERT)?;
                return to.flush();
            }
            line.clear();
        }
        return Ok(());
    }
    if faults.refused {
        return send(to, b"421 Connection refused.\r\n", &faults);
    }
    send(to, format!("201 {}\r\n", manner.banner).as_bytes(), &faults)?;
    let mut access = manner.access;
    loop {
        let mut line = Vec::new();
        if from.by_ref().take(COMMAND_BYTES_MAX).read_until(b'\n', &mut line)? == 0 {
            return Ok(());
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        note(manner, &line);
        let (tag, command) = parts(&line);
        // Comments and empty lines are swallowed; a comment after a tag is not, and loses its tag.
        if command.is_empty() || (tag.is_empty() && (command.starts_with('#') || command.starts_with("//"))) {
            continue;
        }
        if command.starts_with('#') {
            send(to, b"400 Syntax Error.\r\n", &faults)?;
            continue;
        }
        let command = command.split(" # ").next().unwrap_or(command).trim();
        let capitals = command.to_ascii_uppercase();
        if is_one_of(&capitals, &faults.stalled) {
            continue;
        }
        thread::sleep(faults.slow);
        let mut guard = lock(server);
        let answer = guard.answer(command, &mut access, manner.access);
        let is_cut = take_cut(&mut guard.faults, &capitals);
        drop(guard);
        let bytes = bytes_of(&answer, tag, &faults);
        if is_cut {
            return send(to, &bytes[..bytes.len() / 2], &faults);
        }
        send(to, &bytes, &faults)?;
        if answer.is_last {
            return Ok(());
        }
    }
}

/// Whether the connection is to end amid this reply; a fault that counts is used up by it.
fn take_cut(faults: &mut Faults, command: &str) -> bool {
    let mut cuts = faults.cut.iter_mut().filter(|(beginning, _)| begins(command, beginning));
    match cuts.next() {
        None | Some((_, Some(0))) => false,
        Some((_, None)) => true,
        Some((_, Some(left))) => {
            *left -= 1;
            true
        }
    }
}

/// The tag with its brackets and a blank, as it is repeated, and the command without `*` and `&` priority.
fn parts(line: &str) -> (&str, &str) {
    let mut rest = line.strip_prefix('*').unwrap_or(line);
    if let Some(priority) = rest.strip_prefix('&') {
        rest = priority.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    let rest = rest.trim_start();
    match rest.strip_prefix('[').and_then(|tagged| tagged.find(']')) {
        Some(end) => (&rest[..end + 2], rest[end + 2..].trim_start()),
        None => ("", rest),
    }
}

/// A reply as it goes over the wire.
fn bytes_of(answer: &Answer, tag: &str, faults: &Faults) -> Vec<u8> {
    let tag = if tag.is_empty() { String::new() } else { format!("{tag} ") };
    let mut bytes = Vec::new();
    let mut events = EVENTS.iter().cycle();
    for (at, (code, text)) in answer.rows.iter().enumerate() {
        if faults.events {
            bytes.extend(events.next().into_iter().flat_map(|event| event.bytes()).chain(*b"\r\n"));
        }
        let is_last = at + 1 == answer.rows.len();
        let is_bare = faults.bare_lf || (answer.has_bare_lf && text.starts_with("<?xml"));
        let mark = if is_last { ' ' } else { '-' };
        bytes.extend(format!("{tag}{code}{mark}{text}").bytes());
        bytes.extend(if is_bare { &b"\n"[..] } else { b"\r\n" });
    }
    bytes
}

/// Every form in which the unasked comes.
const EVENTS: [&str; 5] = [
    "#e# 20170204-130934.821 702 //HOME/254/208 3dfc8d80-c4aa-1034-9fa5-fbb6c098d608 [security] system_arm 1 sourceUnit=213",
    "#s# lighting on //HOME/254/56/3 #sourceunit=8",
    "20090220-173207 702 //HOME/254/228 fb95a8a0-e046-102b-a64e-ce2810e2f0a5 [measurement] data device=1 channel=2",
    "20260220-173207.004 762 //HOME/254 - Network sync ok",
    "###!!!Event buffer overflow, 2 events lost!!!###",
];

fn send(to: &mut dyn Write, bytes: &[u8], faults: &Faults) -> io::Result<()> {
    for piece in bytes.chunks(faults.pieces.unwrap_or(usize::MAX)) {
        to.write_all(piece)?;
        to.flush()?;
    }
    Ok(())
}

fn note(manner: &Manner, line: &str) {
    if let Some(record) = &manner.record {
        // A record that cannot be written stops nobody.
        let _ = writeln!(record.lock().unwrap_or_else(PoisonError::into_inner), "{line}");
    }
}

fn lock(server: &Arc<Mutex<Server>>) -> std::sync::MutexGuard<'_, Server> {
    server.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::super::project::Project;
    use super::*;

    fn said(faults: Faults, commands: &str) -> String {
        let project = Project::load(None, None).unwrap();
        let server = Arc::new(Mutex::new(Server::new(project, faults, Vec::new())));
        let manner = Manner { banner: "Service ready: x".into(), access: Access::Program, record: None };
        let mut out = Vec::new();
        talk(&server, &manner, commands.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn replies_as_the_facts_have_them() {
        let said = said(
            Faults::default(),
            "# nothing\r\n[7] # nothing\r\n[8] GET //HOME/254/56/* level\r\nget //home/254 state\n\
             [9] GET //HOME/254/202/* Level\r\n[10] TREEXML 254\r\n[11] GET //HOME/254/228/1/2 Data\r\n\
             [12] GET //HOME/254/48/* level\r\n[x] QUIT\r\n",
        );
        let expect = "201 Service ready: x\r\n400 Syntax Error.\r\n\
            [8] 300-//HOME/254/56/1: level=255\r\n[8] 300-//HOME/254/56/2: level=0\r\n\
            [8] 300-//HOME/254/56/3: level=128\r\n[8] 300 //HOME/254/56/8: level=228\r\n\
            300 //home/254: state=ok\r\n\
            [9] 402 Operation not supported by: //HOME/254/202/7 (Parameter name not found)\r\n\
            [10] 401 Bad object or device ID.\r\n[11] 300 //HOME/254/228/1/2: Data=0,0,0,-1\r\n\
            [12] 401 Bad object or device ID: //HOME/254/48/* (Object not found)\r\n\
            [x] 204 Closing Connection\r\n";
        assert_eq!(said, expect);
    }

    #[test]
    fn only_the_declaration_ends_with_a_bare_lf() {
        let said = said(Faults::default(), "[1] DBGETXML //HOME/253\r\n");
        let bare: Vec<&str> = said.split_inclusive('\n').filter(|line| !line.ends_with("\r\n")).collect();
        assert_eq!(bare, ["[1] 347-<?xml version=\"1.0\" encoding=\"utf-8\"?>\n"]);
    }
}

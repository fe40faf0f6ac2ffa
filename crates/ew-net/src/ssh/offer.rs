//! What a server offers, read from its first packet.
//!
//! libssh2 gives one and the same code for a server that shares no method with us and for a connection
//! that was lost during the key exchange. A server says what it offers before anything is encrypted
//! (RFC 4253, sections 4.2, 6 and 7.1), so one more connection tells the two apart.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The longest packet that every implementation takes, bytes (RFC 4253, section 6.1).
const PACKET_BYTES_MAX: usize = 35_000;

/// Lines before the packet, all together, bytes.
const BANNER_BYTES_MAX: usize = 8 * 1024;

/// At most so many waits for more bytes.
const READS_MAX: usize = 200;

const SSH_MSG_KEXINIT: u8 = 20;

/// The lists that have to have something in common with ours, in the order of the packet.
pub(super) const LISTS: [&str; 4] =
    ["key exchange", "host key", "cipher to the server", "cipher from the server"];

/// Reads the server's offer: its [`LISTS`].
pub(super) fn offer(mut stream: TcpStream, timeout: Duration) -> io::Result<Vec<Vec<String>>> {
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    stream.write_all(b"SSH-2.0-ew\r\n")?;
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    for _ in 0..READS_MAX {
        match stream.read(&mut piece)? {
            0 => break,
            count => bytes.extend_from_slice(&piece[..count]),
        }
        if let Some(lists) = parse(&bytes)? {
            return Ok(lists);
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// The lists, or none while the packet is not whole.
fn parse(bytes: &[u8]) -> io::Result<Option<Vec<Vec<String>>>> {
    let broken = || io::Error::from(io::ErrorKind::InvalidData);
    let Some(packet) = after_banner(bytes) else {
        return if bytes.len() > BANNER_BYTES_MAX { Err(broken()) } else { Ok(None) };
    };
    let Some((length, rest)) = packet.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > PACKET_BYTES_MAX {
        return Err(broken());
    }
    let Some(body) = rest.get(..length) else { return Ok(None) };
    // Length of the padding, kind of the message, 16 bytes of cookie.
    let (Some(&SSH_MSG_KEXINIT), Some(mut rest)) = (body.get(1), body.get(18..)) else {
        return Err(broken());
    };
    let mut lists = Vec::new();
    for _ in LISTS {
        let (length, after) = rest.split_first_chunk::<4>().ok_or_else(broken)?;
        let (names, after) =
            after.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(broken)?;
        lists.push(String::from_utf8_lossy(names).split(',').map(str::to_owned).collect());
        rest = after;
    }
    Ok(Some(lists))
}

/// What follows the line that begins with `SSH-`; other lines may come before it.
fn after_banner(bytes: &[u8]) -> Option<&[u8]> {
    let mut rest = bytes;
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')? + 1;
        let (line, after) = rest.split_at(end);
        if line.starts_with(b"SSH-") {
            return Some(after);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(lists: &[&str]) -> Vec<u8> {
        let mut body = vec![0, SSH_MSG_KEXINIT];
        body.extend([7; 16]);
        for list in lists {
            body.extend(u32::try_from(list.len()).unwrap().to_be_bytes());
            body.extend(list.as_bytes());
        }
        let mut packet = b"Welcome\r\nSSH-2.0-Old\r\n".to_vec();
        packet.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        packet.extend(body);
        packet
    }

    #[test]
    fn reads_an_offer_at_any_cut() {
        let whole = packet(&["a,b", "c", "", "d"]);
        for end in 0..whole.len() {
            assert!(matches!(parse(&whole[..end]), Ok(None)), "{end}");
        }
        assert_eq!(parse(&whole).unwrap().unwrap(), [vec!["a", "b"], vec!["c"], vec![""], vec!["d"]]);
        assert!(parse(&packet(&["a"])).is_err());
        assert!(parse(b"SSH-2.0-x\n\xff\xff\xff\xff").is_err());
        assert!(parse(&[b'\n'; 9000]).is_err());
    }
}

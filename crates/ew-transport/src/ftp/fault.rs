//! From what the server says, and from suppaftp's errors, to ours.

use crate::error::{ErrorKind, Fault};
use crate::net::lost;
use std::io;
use suppaftp::FtpError;

/// The longest part of a server's reply that is shown, in characters.
const REPLY_CHARS_MAX: usize = 300;

/// One reply of the server, whole.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) code: u16,
    /// Its lines, with their codes.
    pub(crate) text: String,
}

impl Reply {
    pub(crate) fn new(body: &[u8]) -> Reply {
        let text = String::from_utf8_lossy(body).into_owned();
        // The last line has the code that counts.
        let last = text.trim_end().lines().last().unwrap_or_default();
        let code = last.get(..3).and_then(|code| code.parse().ok()).unwrap_or_default();
        Reply { code, text }
    }

    pub(crate) fn is_good(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// Whether the server does not know the request.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self.code, 500 | 502 | 504)
    }

    /// Whether it is a no that another try does not change: not there, not allowed, or both.
    pub(crate) fn is_no(&self) -> bool {
        matches!(self.code, 530..=559) && self.code != 552
    }

    /// What it comes to where another reply was needed. 4xx may be another one next time; most of 5xx is a no.
    pub(crate) fn fault(&self, operation: &str) -> Fault {
        let kind = match self.code {
            // The server's good-bye.
            421 => ErrorKind::Unreachable,
            400..=499 | 552 => ErrorKind::FarSide,
            500..=504 => ErrorKind::Protocol,
            505..=599 => ErrorKind::Refused,
            _ => ErrorKind::Protocol,
        };
        let fault = Fault::new(kind, format!("{operation}: the server says {} {}", self.code, self.said()));
        match self.code {
            425 | 426 => fault.hint(
                "no data connection came about, or it was lost; if it never works, a firewall may be in between: \
                 try the other mode, \"passive\" or \"active\"",
            ),
            452 | 552 => fault.hint("make room there (disk, quota); the next run sends it"),
            522 => fault.hint("the server may ask for data connections under another protection than this one"),
            _ => fault,
        }
    }

    /// Its words on one line, without codes and anything that a terminal would obey.
    fn said(&self) -> String {
        let code = self.code.to_string();
        let words = self.text.lines().map(|line| match line.strip_prefix(code.as_str()) {
            Some(rest) => rest.trim_start_matches(['-', ' ']).trim(),
            None => line.trim(),
        });
        let line = words.collect::<Vec<_>>().join(" ");
        line.trim().chars().take(REPLY_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect()
    }
}

/// What a failed step comes to.
pub(crate) fn of(operation: &str, error: FtpError) -> Fault {
    match error {
        FtpError::UnexpectedResponse(response) => Reply::new(&response.body).fault(operation),
        FtpError::ConnectionError(e) if e.kind() == io::ErrorKind::InvalidData => strange(operation),
        FtpError::ConnectionError(e) => lost(operation, &e),
        FtpError::SecureError(why) => Fault::new(ErrorKind::Protocol, format!("{operation}: {why}")),
        FtpError::BadResponse | FtpError::InvalidAddress(_) | FtpError::DataConnectionAlreadyOpen => {
            strange(operation)
        }
    }
}

pub(crate) fn strange(operation: &str) -> Fault {
    Fault::new(ErrorKind::Protocol, format!("{operation}: this is no answer of an FTP server"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_by_their_codes() {
        let kind = |text: &str| Reply::new(text.as_bytes()).fault("x").kind;
        assert_eq!(kind("421 Timeout.\r\n"), ErrorKind::Unreachable);
        assert_eq!(kind("450 busy\r\n"), ErrorKind::FarSide);
        assert_eq!(kind("552 quota\r\n"), ErrorKind::FarSide);
        assert_eq!(kind("502 what?\r\n"), ErrorKind::Protocol);
        assert_eq!(kind("530 no\r\n"), ErrorKind::Refused);
        assert_eq!(kind("550 no\r\n"), ErrorKind::Refused);
        assert_eq!(kind("\r\n"), ErrorKind::Protocol);
        let reply = Reply::new(b"530-Go\x1b[2J away.\r\n530 Bye \xff\r\n").fault("log in");
        assert_eq!(reply.reason, "log in: the server says 530 Go [2J away. Bye \u{fffd}");
    }
}

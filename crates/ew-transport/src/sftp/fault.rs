//! What libssh2 says, in our words.

use crate::error::{ErrorKind, Fault};
use ssh2::ErrorCode;

// From libssh2.h.
const BANNER_RECV: i32 = -2;
const BANNER_SEND: i32 = -3;
const KEX_FAILURE: i32 = -5;
const SOCKET_SEND: i32 = -7;
const TIMEOUT: i32 = -9;
const FILE: i32 = -16;
const SOCKET_DISCONNECT: i32 = -13;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLICKEY_UNVERIFIED: i32 = -19;
const CHANNEL_CLOSED: i32 = -26;
const CHANNEL_EOF_SENT: i32 = -27;
const SOCKET_TIMEOUT: i32 = -30;
const SOCKET_RECV: i32 = -43;
const BAD_SOCKET: i32 = -45;

// Status codes of draft-ietf-secsh-filexfer-02, section 7, and later drafts.
const NO_SUCH_FILE: i32 = 2;
const PERMISSION_DENIED: i32 = 3;
const FAILURE: i32 = 4;
const NO_CONNECTION: i32 = 6;
const CONNECTION_LOST: i32 = 7;
const UNSUPPORTED: i32 = 8;
const NO_SUCH_PATH: i32 = 10;
const FILE_ALREADY_EXISTS: i32 = 11;
const WRITE_PROTECT: i32 = 12;
const NO_SPACE: i32 = 14;
const QUOTA_EXCEEDED: i32 = 15;

/// Whether the far side says that the file is not there.
pub(crate) fn is_absent(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(NO_SUCH_FILE | NO_SUCH_PATH))
}

/// Whether the far side says that it may not be done.
pub(crate) fn is_denied(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(PERMISSION_DENIED | WRITE_PROTECT))
}

/// Whether the far side says that it does not know the request.
pub(crate) fn is_unsupported(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(UNSUPPORTED))
}

/// Whether the far side says that it failed, without a reason or because something of that name is there.
pub(crate) fn is_failure(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::SFTP(FAILURE | FILE_ALREADY_EXISTS))
}

/// Whether a listing has come to its end, for which ssh2 has this.
pub(crate) fn is_end(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(FILE)
}

/// Whether an answer to a log-in was a no. libssh2 gives the same codes when the answer never came, and
/// then its text begins with what it waited for or could not send.
pub(crate) fn is_no(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED))
        && !["Waiting", "Unable to send", "Would block"]
            .iter()
            .any(|start| error.message().starts_with(start))
}

/// Whether no key exchange came about, for which libssh2 gives no reason.
pub(crate) fn is_kex_failure(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(KEX_FAILURE)
}

/// The failure of an operation on a path, or of a step of the log-in. `is_dead`: the connection has ended.
pub(crate) fn fault(operation: &str, error: &ssh2::Error, is_dead: bool) -> Fault {
    let lost = |why: &str| Fault::new(ErrorKind::Unreachable, format!("{operation}: {why}"));
    match error.code() {
        ErrorCode::Session(TIMEOUT | SOCKET_TIMEOUT) => lost("no answer in time"),
        ErrorCode::SFTP(NO_CONNECTION | CONNECTION_LOST) => lost("the connection was lost"),
        ErrorCode::Session(
            BANNER_RECV
            | BANNER_SEND
            | SOCKET_SEND
            | SOCKET_DISCONNECT
            | CHANNEL_CLOSED
            | CHANNEL_EOF_SENT
            | SOCKET_RECV
            | BAD_SOCKET
            | AUTHENTICATION_FAILED
            | PUBLICKEY_UNVERIFIED,
        ) => lost("the connection was lost"),
        _ if is_dead => lost("the connection was lost"),
        ErrorCode::SFTP(status) => {
            let text = format!("{operation}: {}", error.message());
            match status {
                PERMISSION_DENIED | WRITE_PROTECT => Fault::new(ErrorKind::Refused, text)
                    .hint("the receiver lets this user log in but not do this there"),
                NO_SUCH_FILE | NO_SUCH_PATH => Fault::new(ErrorKind::Missing, text),
                FAILURE => Fault::new(ErrorKind::FarSide, text)
                    .hint("the receiver gives no reason; a full disk or a quota is the usual one"),
                FILE_ALREADY_EXISTS | NO_SPACE | QUOTA_EXCEEDED => Fault::new(ErrorKind::FarSide, text),
                _ => Fault::new(ErrorKind::Protocol, text),
            }
        }
        ErrorCode::Session(code) => {
            Fault::new(ErrorKind::Protocol, format!("{operation}: {} ({code})", error.message()))
        }
    }
}

/// The same for an error that ssh2 made into one of std and whose code is gone: its text is left.
pub(crate) fn io_fault(operation: &str, error: &std::io::Error, is_dead: bool) -> Fault {
    let text = error.to_string();
    let code = match (error.kind(), text.as_str()) {
        (std::io::ErrorKind::TimedOut, _) => ErrorCode::Session(TIMEOUT),
        (std::io::ErrorKind::NotFound, _) => ErrorCode::SFTP(NO_SUCH_FILE),
        (_, "permission denied") => ErrorCode::SFTP(PERMISSION_DENIED),
        (_, "no space on filesystem") => ErrorCode::SFTP(NO_SPACE),
        (_, "quota exceeded") => ErrorCode::SFTP(QUOTA_EXCEEDED),
        (_, "failure") => ErrorCode::SFTP(FAILURE),
        _ if is_dead => ErrorCode::Session(SOCKET_DISCONNECT),
        _ => return Fault::new(ErrorKind::Protocol, format!("{operation}: {text}")),
    };
    fault(operation, &ssh2::Error::from_errno(code), is_dead)
}

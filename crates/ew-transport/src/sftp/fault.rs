//! What libssh2 says of files, in our words.

use super::connect::Link;
use crate::error::{ErrorKind, Fault};
use ssh2::ErrorCode;

// From libssh2.h.
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;

// Status codes of draft-ietf-secsh-filexfer-02, section 7, and later drafts.
const END: i32 = 1;
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

/// Whether a listing has come to its end.
pub(crate) fn is_end(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::SFTP(END)
}

/// The failure of an operation on a path.
pub(crate) fn fault(operation: &str, error: &ssh2::Error, link: &Link) -> Fault {
    let lost = || Fault::new(ErrorKind::Unreachable, format!("{operation}: the connection was lost"));
    let ErrorCode::SFTP(status) = error.code() else {
        return link.connection.failure(operation, error).into();
    };
    let text = format!("{operation}: {}", error.message());
    match status {
        NO_CONNECTION | CONNECTION_LOST => lost(),
        _ if link.is_dead() => lost(),
        PERMISSION_DENIED | WRITE_PROTECT => Fault::new(ErrorKind::Refused, text)
            .hint("the receiver lets this user log in but not do this there"),
        NO_SUCH_FILE | NO_SUCH_PATH => Fault::new(ErrorKind::Missing, text),
        FAILURE => Fault::new(ErrorKind::FarSide, text)
            .hint("the receiver gives no reason; a full disk or a quota is the usual one"),
        FILE_ALREADY_EXISTS | NO_SPACE | QUOTA_EXCEEDED => Fault::new(ErrorKind::FarSide, text),
        _ => Fault::new(ErrorKind::Protocol, text),
    }
}

/// The same for an error that ssh2 made into one of std and whose code is gone: its text is left.
pub(crate) fn io_fault(operation: &str, error: &std::io::Error, link: &Link) -> Fault {
    let text = error.to_string();
    let code = match (error.kind(), text.as_str()) {
        (std::io::ErrorKind::TimedOut, _) => ErrorCode::Session(TIMEOUT),
        (std::io::ErrorKind::NotFound, _) => ErrorCode::SFTP(NO_SUCH_FILE),
        (_, "permission denied") => ErrorCode::SFTP(PERMISSION_DENIED),
        (_, "no space on filesystem") => ErrorCode::SFTP(NO_SPACE),
        (_, "quota exceeded") => ErrorCode::SFTP(QUOTA_EXCEEDED),
        (_, "failure") => ErrorCode::SFTP(FAILURE),
        _ if link.is_dead() => ErrorCode::Session(SOCKET_DISCONNECT),
        _ => return Fault::new(ErrorKind::Protocol, format!("{operation}: {text}")),
    };
    fault(operation, &ssh2::Error::from_errno(code), link)
}

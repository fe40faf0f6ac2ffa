//! What libssh2 says of a session, in our words.

use crate::{NetError, NetErrorKind};
use ssh2::ErrorCode;

// From libssh2.h.
const BANNER_RECV: i32 = -2;
const BANNER_SEND: i32 = -3;
const KEX_FAILURE: i32 = -5;
const SOCKET_SEND: i32 = -7;
const TIMEOUT: i32 = -9;
const SOCKET_DISCONNECT: i32 = -13;
const AUTHENTICATION_FAILED: i32 = -18;
const PUBLICKEY_UNVERIFIED: i32 = -19;
const CHANNEL_CLOSED: i32 = -26;
const CHANNEL_EOF_SENT: i32 = -27;
const SOCKET_TIMEOUT: i32 = -30;
const SOCKET_RECV: i32 = -43;
const BAD_SOCKET: i32 = -45;

/// Whether an answer to a log-in was a no. libssh2 gives the same codes when the answer never came, and
/// then its text begins with what it waited for or could not send.
pub(super) fn is_no(error: &ssh2::Error) -> bool {
    matches!(error.code(), ErrorCode::Session(AUTHENTICATION_FAILED | PUBLICKEY_UNVERIFIED))
        && !["Waiting", "Unable to send", "Would block"]
            .iter()
            .any(|start| error.message().starts_with(start))
}

/// Whether no key exchange came about, for which libssh2 gives no reason.
pub(super) fn is_kex_failure(error: &ssh2::Error) -> bool {
    error.code() == ErrorCode::Session(KEX_FAILURE)
}

/// The failure of a step of the connection, or of an operation over it. `is_dead`: the connection has ended.
pub(super) fn fault(operation: &str, error: &ssh2::Error, is_dead: bool) -> NetError {
    let lost = |why: &str| NetError::new(NetErrorKind::Unreachable, format!("{operation}: {why}"));
    match error.code() {
        ErrorCode::Session(TIMEOUT | SOCKET_TIMEOUT) => lost("no answer in time"),
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
        ErrorCode::SFTP(code) | ErrorCode::Session(code) => {
            NetError::new(NetErrorKind::Protocol, format!("{operation}: {} ({code})", error.message()))
        }
    }
}

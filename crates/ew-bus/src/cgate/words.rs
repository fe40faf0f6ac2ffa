//! What a refusal comes to, and what to do about it.

use super::reply::Row;
use crate::BusError;
use ew_core::Exit;

/// A command that came to nothing; `level` is what the session has, where that is known.
pub(crate) fn refused(endpoint: &str, command: &str, row: &Row, level: Option<&str>) -> BusError {
    let (endpoint, doing, cause) = (endpoint.to_owned(), command.to_owned(), row.words());
    match row.code {
        420 => BusError::Refused { hint: Some(level_hint(command, level)), endpoint, doing, cause },
        421 => BusError::Refused {
            endpoint,
            doing,
            cause,
            hint: Some("this machine has access level none in C-Gate's access list, access.txt".into()),
        },
        422 => BusError::Refused {
            endpoint,
            doing,
            cause,
            hint: Some("are user and password those of a user row in C-Gate's access list?".into()),
        },
        401 | 402 | 465 => {
            let object = object(command);
            let is_project = is_project(&object);
            let hint = is_project.then(|| {
                "the project is not loaded, or has another name: PROJECT LIST and PROJECT LOAD at C-Gate, or --allow-open"
                    .into()
            });
            let exit = match row.code {
                _ if is_project => Exit::Config,
                402 => Exit::NoData,
                _ => Exit::Protocol,
            };
            BusError::NoSuchObject { endpoint, object, cause, hint, exit }
        }
        408 | 500.. => BusError::Unreachable { endpoint, doing, cause, hint: None },
        _ => BusError::Breach { endpoint, doing, cause },
    }
}

/// What a command asks about.
pub(crate) fn object(command: &str) -> String {
    command.split(' ').find(|word| word.starts_with("//")).unwrap_or(command).to_owned()
}

fn is_project(object: &str) -> bool {
    object.starts_with("PROJECT ") || object.strip_prefix("//").is_some_and(|name| !name.contains('/'))
}

fn level_hint(command: &str, level: Option<&str>) -> String {
    let has = level.map_or_else(String::new, |level| format!(", and this session has {level}"));
    format!(
        "`{command}` needs access level {}{has}: log in by user and password, or raise the level in C-Gate's access list",
        least_level(command)
    )
}

/// The least access level of a command.
fn least_level(command: &str) -> &'static str {
    match command.split(' ').next() {
        Some("PROJECT") => "Admin",
        Some("NET") => "Program",
        Some("RAMP") => "Operate",
        Some("NOOP" | "LOGIN") => "Connect",
        _ => "Monitor",
    }
}

/// Why a silent server may be silent.
pub(crate) const SILENT_HINT: &str = "C-Gate says nothing to a machine that is not in its access list (access.txt, \
    accept-connections-from), nor on its TLS port (20123), which wants tls = true and may want a client certificate";

/// Bytes of TLS came where a banner was due.
pub(crate) fn tls_hint(port: u16) -> String {
    let plain = match port {
        20123..=20126 => format!("; its plain port is {}", port - 100),
        _ => "; its plain port is the number minus 100".into(),
    };
    format!("this port speaks TLS: set tls = true{plain}")
}

/// Whether these may be the beginning of a TLS record: an alert or a handshake.
pub(crate) fn looks_like_tls(bytes: &[u8]) -> bool {
    matches!(bytes, [0x15 | 0x16, 0x03, ..])
}

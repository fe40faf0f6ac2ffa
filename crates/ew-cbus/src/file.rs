//! Files that a command line names: only what ends, and not too late.

use ew_cli::Failure;
use ew_core::Exit;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

/// The longest document of a discovery, bytes. Large projects have a few megabytes.
const BYTES_MAX: u64 = 256 << 20;

/// Opens a file. What is none is refused before it is opened: a pipe would wait for its writer, a device act on it.
pub(crate) fn open(path: &Path) -> Result<File, Failure> {
    let name = path.display();
    let unreadable = |e: std::io::Error| Failure::new(Exit::Io, format!("cannot read {name}: {e}"));
    let kind = std::fs::metadata(path).map_err(unreadable)?.file_type();
    if kind.is_file() {
        return File::open(path).map_err(unreadable);
    }
    let what = match kind {
        _ if kind.is_dir() => "a directory",
        _ if kind.is_fifo() => "a pipe",
        _ if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Failure::new(Exit::Data, format!("{name} is {what}, not a file"))
        .hint("write what it gives into a file and name that"))
}

/// All of a file.
pub(crate) fn text(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    let mut text = String::new();
    match open(path)?.take(BYTES_MAX + 1).read_to_string(&mut text) {
        Ok(_) if text.len() as u64 > BYTES_MAX => {
            Err(Failure::new(Exit::Data, format!("{name} has more than {} MiB", BYTES_MAX >> 20)))
        }
        Ok(_) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::InvalidData => {
            Err(Failure::new(Exit::Data, format!("{name} is no UTF-8 text")))
        }
        Err(e) => Err(Failure::new(Exit::Io, format!("cannot read {name}: {e}"))),
    }
}

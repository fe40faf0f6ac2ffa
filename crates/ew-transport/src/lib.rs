//! Transporters: a finished file to its receiver, whole or not at all.
//!
//! When [`Transporter::deliver`] says Ok, the whole file is at the receiver under its name; when it says
//! Err, nothing partial is under that name. The same parcel twice is harmless. No transporter knows what
//! is in the file; `compress`, which stands with its keys, is done by whoever makes the file ([`Compressor`]). Mail alone is at least once: see [`SmtpOptions`].

mod command;
mod compress;
mod error;
mod file;
mod ftp;
mod http;
mod link;
mod look;
mod net;
mod probe;
mod s3;
mod sftp;
mod smtp;
mod source;
mod web;
mod words;

pub use command::{Argument, CommandOptions};
pub use compress::{Compression, Compressor};
pub use error::{ErrorKind, TransportError};
pub use file::FileOptions;
pub use ftp::{FtpMode, FtpOptions, FtpSecurity, FtpTransfer};
pub use http::{Address, Hmac, HttpLogin, HttpOptions, Method};
pub use link::LONG_BYTES;
pub use look::{Answer, Content, Entry, Look, Size};
pub use probe::{Ability, Can, Finding, Probe};
pub use s3::S3Options;
pub use sftp::{Fingerprint, HostName, Login, SftpOptions};
pub use smtp::{Body, BodyFormat, MailAddress, MailLogin, MailServer, MailWay, Security, SmtpOptions};
pub use web::TlsFiles;

/// For `make fuzz`: what a server's answers are taken for.
#[cfg(fuzzing)]
pub mod fuzzing {
    pub use crate::sftp::hear as sftp;
}

use error::Fault;
use ew_core::{NameFields, Secret, SecretSource, Span};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// One file to deliver.
#[derive(Debug, Clone, Copy)]
pub struct Parcel<'a> {
    /// Its name at the receiver: one path component, at most 255 bytes.
    pub name: &'a str,
    /// Where its bytes are. Nobody writes into this file any more: a folder may get it under a second name.
    pub file: &'a Path,
    /// How many there are.
    pub bytes: u64,
    /// Their SHA-256, 64 lower-case hexadecimal digits.
    pub sha256: &'a str,
    /// Its bytes were held to that a moment ago, so that they need not be hashed once more while they are sent.
    pub is_checked: bool,
    /// How many rows whoever made it counted; none where it has none, as a manifest.
    pub rows: Option<u64>,
    /// An earlier attempt may have placed it, or a part of it.
    pub sent_before: bool,
    /// An earlier attempt had it whole under its temporary name and was about to give it its own: [`Mark`] said so.
    pub was_whole: bool,
    /// Another file that was placed there before. A receiver that still has it does not take files away.
    pub earlier: Option<&'a str>,
    /// The name may hold earlier content of the same slice, which it then replaces. Else what is there
    /// under that name is somebody's, and stays.
    pub may_replace: bool,
    /// Recipients that have it already and must not get it again, as [`TransportError::reached`] named
    /// them; empty where a receiver is one place.
    pub reached: &'a [String],
    /// What templates of the transporter are made of: the slice's name and times, never its samples.
    pub fields: NameFields<'a>,
    /// Keeps what the next attempt has to know of this one.
    pub mark: Mark<'a>,
    /// Told of each step when it is done.
    pub steps: Steps<'a>,
}

/// Keeps for the next attempt whether the file is whole under its temporary name and about to be renamed. It is asked
/// before the rename, and again where the rename surely did not happen, before the temporary file goes. So where it
/// was kept and neither name is there, the receiver has taken the file. The error says why it cannot be kept.
#[derive(Clone, Copy)]
pub struct Mark<'a>(pub &'a dyn Fn(bool) -> Result<(), String>);

impl Mark<'_> {
    /// Keeps nothing.
    pub const NONE: Mark<'static> = Mark(&|_| Ok(()));

    fn keep(&self, is_whole: bool) -> Result<(), Fault> {
        (self.0)(is_whole)
            .map_err(|why| Fault::new(ErrorKind::Local, format!("note how far the file has come: {why}")))
    }
}

impl std::fmt::Debug for Mark<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mark")
    }
}

/// Told of the steps of a delivery: `opened`, `written`, `closed`, `renamed` and the like.
#[derive(Clone, Copy)]
pub struct Steps<'a>(pub &'a dyn Fn(&'static str));

impl Steps<'_> {
    /// Tells nobody.
    pub const NONE: Steps<'static> = Steps(&|_| {});

    fn done(&self, step: &'static str) {
        (self.0)(step);
    }
}

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Steps")
    }
}

/// How a file came to be at the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum How {
    /// It was sent; its name was free.
    Sent,
    /// It was there already, byte for byte; nothing was sent.
    Found,
    /// It took the place of a file with other content.
    Replaced,
    /// An earlier attempt placed it without seeing the answer, and the receiver has taken it away since; nothing was
    /// sent. See [`Mark`].
    Taken,
    /// It grew under its own name, because nothing can be renamed there: a reader may have seen a part of it.
    InPlace,
    /// It was there when the ledger was rebuilt from the receiver; how it came there is not known.
    Rebuilt,
}

/// What was compared at the receiver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Checked {
    /// The number of bytes.
    Size,
    /// The SHA-256 of the bytes read back, or the one that the far side found. Of text sent by FTP, with any line ends.
    Sha256,
    /// Nothing; the far side's reply was taken for it.
    Reply,
}

/// What the receiver has now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Receipt {
    /// Which receiver: the text of [`TransportOptions::destination`].
    pub destination: String,
    /// The file's path there; of a mail its Message-ID.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// How it came there.
    pub how: How,
    /// How that is known.
    pub checked: Checked,
    /// Everyone who has it, where one delivery goes to several.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recipients: Vec<String>,
}

/// Delivers files to one receiver, several one after the other over one connection. After an error the
/// next call starts afresh.
pub trait Transporter {
    /// Delivers one file and says what the receiver has.
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError>;
}

/// What a transporter needs beside its options.
pub struct Context<'a> {
    /// What relative paths start from.
    pub base: &'a Path,
    /// The longest wait without progress.
    pub timeout: Span,
    /// Reads a secret, or says why it cannot.
    pub resolve: &'a dyn Fn(&SecretSource) -> Result<Secret, String>,
}

/// A kind of receiver: its options, which live with the transporter in a file or folder of their own.
pub trait Transport {
    /// The receiver as a URL that stays the same from run to run and holds no secret:
    /// `file:///srv/outgoing`, `sftp://user@host:22/directory`, `sftp://user@host:22/~/directory`
    /// for a directory below the one where the login starts, `ftp://user@host:21/directory` likewise,
    /// `smtp://host:587/a@example.com,b@example.com`, and by way of a program `mailto:a@example.com,b@example.com`.
    fn destination(&self, base: &Path) -> String;

    /// How the file is compressed before it is sent, if at all.
    fn compress(&self) -> Option<Compression>;

    /// Whether the files that the options name are there and can be read. Reaches no far side.
    fn check(&self, base: &Path) -> Result<(), TransportError>;

    /// Whether this build can reach it.
    fn built(&self) -> Result<(), TransportError> {
        Ok(())
    }

    /// Tries what the receiver can do with a file of this name, which begins with a dot and is nobody else's, and
    /// takes it away again. To a mail server it says who a mail would be from and for, and sends none.
    fn probe(&self, context: &Context<'_>, name: &str) -> Probe;

    /// Makes the transporter and reads its secrets and keys. It connects when it delivers.
    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError>;

    /// What looks at the receiver; none where there is nothing to look at, as with mail. It connects when it is
    /// asked.
    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError>;

    /// The largest file that it can send, bytes, where one that is larger is to be cut into several; none where it is
    /// not.
    fn cut_above(&self) -> Option<u64> {
        None
    }

    /// Beyond so many bytes a file of which one that is larger is cut is surely refused; between the two its name and
    /// times decide.
    fn refuses_above(&self) -> Option<u64> {
        None
    }

    /// Whether the far side may write into the spool's own file, of so many bytes: it has that by a second name, or is
    /// told its path.
    fn shares_file(&self, _bytes: u64) -> bool {
        false
    }

    /// Whether a manifest, or another document, can lie beside a file there.
    fn takes_manifests(&self) -> bool {
        true
    }
}

/// Makes the enum of all kinds, so that a new one is one line.
macro_rules! register {
    ($($(#[$doc:meta])* $kind:ident($options:ty),)*) => {
        /// The receiver of a job; in ew.toml the kind is the table's name, as in `[export.transport.sftp]`.
        #[derive(Debug, Clone, PartialEq, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum TransportOptions {
            $($(#[$doc])* $kind($options),)*
        }

        impl Deref for TransportOptions {
            type Target = dyn Transport;

            fn deref(&self) -> &Self::Target {
                match self {
                    $(TransportOptions::$kind(options) => options,)*
                }
            }
        }
    };
}

register! {
    /// A command that gets the file on its stdin.
    Command(CommandOptions),
    /// A directory of this machine.
    File(FileOptions),
    /// SFTP, version 3, over SSH 2.
    Sftp(SftpOptions),
    /// FTP, in the clear or under TLS.
    Ftp(FtpOptions),
    /// HTTP, with or without TLS.
    Http(HttpOptions),
    /// Object storage; spoken with the cargo feature `s3`.
    S3(S3Options),
    /// Mail.
    Smtp(SmtpOptions),
}

/// A text of ew.toml that is not empty; `why` is what is said of one that is.
fn filled<'de, D: Deserializer<'de>>(deserializer: D, why: &str) -> Result<String, D::Error> {
    let text = String::deserialize(deserializer)?;
    match text.is_empty() {
        true => Err(de::Error::custom(why)),
        false => Ok(text),
    }
}

/// The path of a file, for a key that may be left out and not be empty.
fn file_path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<PathBuf>, D::Error> {
    filled(deserializer, "the file has no name").map(|path| Some(path.into()))
}

/// The longest file name, bytes, here and with most receivers.
const NAME_BYTES_MAX: usize = 255;

/// The name under which a file grows: `.NAME.part`, beside the final one.
fn part_name(name: &str) -> Result<String, Fault> {
    let is_component =
        !matches!(name, "" | "." | "..") && !name.contains('/') && !name.chars().any(char::is_control);
    let part = format!(".{name}.part");
    if !is_component || part.len() > NAME_BYTES_MAX {
        return Err(Fault::new(ErrorKind::Config, format!("{name:?} cannot be a file name at the receiver"))
            .hint("names are one path component without control characters, at most 249 bytes"));
    }
    Ok(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_one_component() {
        assert_eq!(part_name("u.csv").unwrap(), ".u.csv.part");
        for bad in ["", ".", "..", "a/b", "/a", "a\0", "a\nb", &"x".repeat(250)] {
            assert!(part_name(bad).is_err(), "{bad:?}");
        }
    }
}

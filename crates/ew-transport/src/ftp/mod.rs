//! FTP (RFC 959, 2428, 3659), in the clear or under TLS (RFC 4217, or from the first byte).

mod ascii;
mod connect;
mod deliver;
mod fault;
mod link;
mod look;
mod text;
mod tls;
mod trial;

use crate::error::{ErrorKind, Fault};
use crate::sftp::{directory, home, receiver_url, tidy};
use crate::{Compression, Context, HostName, Look, Probe, Transport, TransportError, Transporter, file_path};
use connect::Access;
use deliver::Ftp;
use ew_core::{Secret, SecretSource, Span};
use look::FtpLook;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tls::Trust;

/// `[export.transport.ftp]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct FtpOptions {
    /// Name or address.
    pub host: HostName,
    /// TCP port: 21, with implicit TLS 990, unless given.
    pub port: u16,
    /// How the way there is protected.
    pub security: FtpSecurity,
    /// Who logs in; `anonymous` where nobody is named.
    pub user: String,
    /// The proof; none for `anonymous`.
    pub password: Option<SecretSource>,
    /// Where the files go: absolute, or below the directory where the login starts, which is `.`.
    pub directory: String,
    /// Make the directory when its last part is missing.
    pub create_directory: bool,
    /// Who opens data connections.
    pub mode: FtpMode,
    /// What becomes of line ends.
    pub transfer: FtpTransfer,
    /// The receiver takes APPE alone: the file grows under its own name.
    pub append: bool,
    /// Certificate authorities beside the system's, or the server's own certificate.
    pub ca_file: Option<PathBuf>,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

/// How the way to the server is protected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtpSecurity {
    /// In the clear at first, then TLS or nothing.
    #[default]
    Explicit,
    /// TLS from the first byte.
    Implicit,
    /// In the clear: the password and every reading can be seen on the way.
    None,
}

/// Who opens data connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtpMode {
    /// This machine does, always to the host of the control connection.
    #[default]
    Passive,
    /// The server does, from its host.
    Active,
}

/// What becomes of line ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FtpTransfer {
    /// Nothing: the receiver gets the very bytes.
    #[default]
    Binary,
    /// The receiver has its own: neither size nor hash tell anything there.
    Ascii,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    host: HostName,
    port: Option<u16>,
    #[serde(default)]
    security: FtpSecurity,
    user: Option<String>,
    password: Option<SecretSource>,
    #[serde(default = "home", deserialize_with = "directory")]
    directory: String,
    #[serde(default)]
    create_directory: bool,
    #[serde(default)]
    mode: FtpMode,
    #[serde(default)]
    transfer: FtpTransfer,
    #[serde(default)]
    append: bool,
    #[serde(default, deserialize_with = "file_path")]
    ca_file: Option<PathBuf>,
    compress: Option<Compression>,
}

const ANONYMOUS: &str = "anonymous";

impl TryFrom<Keys> for FtpOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<FtpOptions, String> {
        let port = keys.port.unwrap_or(match keys.security {
            FtpSecurity::Implicit => 990,
            FtpSecurity::Explicit | FtpSecurity::None => 21,
        });
        if port == 0 {
            return Err("port = 0 is no port".into());
        }
        let user = match (keys.user, &keys.password) {
            (Some(user), None) if user != ANONYMOUS => {
                return Err("user goes with a password only, but for \"anonymous\"".into());
            }
            (None, Some(_)) => return Err("password goes with a user only".into()),
            (user, _) => user.unwrap_or_else(|| ANONYMOUS.to_owned()),
        };
        if user.is_empty() || user.chars().any(char::is_control) {
            return Err(format!("{user:?} is not a user name"));
        }
        if keys.directory.chars().any(char::is_control) {
            return Err(format!("{:?} is not a directory", keys.directory));
        }
        if keys.security == FtpSecurity::None && keys.ca_file.is_some() {
            return Err("ca_file is of no use with security = \"none\"".into());
        }
        if keys.transfer == FtpTransfer::Ascii && keys.compress.is_some() {
            return Err("a compressed file is no text; with compress leave transfer = \"binary\"".into());
        }
        if keys.transfer == FtpTransfer::Ascii && keys.append {
            return Err(
                "with transfer = \"ascii\" nobody could tell how much of an appended file is there; \
                        leave transfer = \"binary\""
                    .into(),
            );
        }
        Ok(FtpOptions {
            host: keys.host,
            port,
            security: keys.security,
            user,
            password: keys.password,
            directory: tidy(&keys.directory),
            create_directory: keys.create_directory,
            mode: keys.mode,
            transfer: keys.transfer,
            append: keys.append,
            ca_file: keys.ca_file,
            compress: keys.compress,
        })
    }
}

impl Transport for FtpOptions {
    fn destination(&self, _base: &Path) -> String {
        self.url()
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        self.trust(base).map(|_| ()).map_err(|fault| fault.at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.at(&self.far_side(), None))?;
        Ok(Box::new(Ftp::new(access, self.url(), self.append)))
    }

    fn look(&self, context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        let access = self.access(context).map_err(|fault| fault.seen_at(&self.far_side(), None))?;
        Ok(Some(Box::new(FtpLook::new(access))))
    }

    fn probe(&self, context: &Context<'_>, name: &str) -> Probe {
        let mut probe = Probe::default();
        let tried =
            self.access(context).and_then(|access| trial::run(&access, self.append, name, &mut probe));
        probe.error = tried.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }
}

impl FtpOptions {
    /// The same however the way is protected: the receiver is the same too.
    fn url(&self) -> String {
        receiver_url("ftp", &self.user, self.host.as_str(), self.port, &self.directory)
    }

    fn far_side(&self) -> String {
        format!("ftp {}@{}:{}", self.user, self.host.as_str(), self.port)
    }

    fn trust(&self, base: &Path) -> Result<Option<Trust>, Fault> {
        match self.security {
            FtpSecurity::None => Ok(None),
            _ => Trust::read(self.ca_file.as_ref().map(|file| base.join(file)).as_deref()).map(Some),
        }
    }

    fn access(&self, context: &Context<'_>) -> Result<Access, Fault> {
        let password = match &self.password {
            Some(source) => (context.resolve)(source)
                .map_err(|why| Fault::new(ErrorKind::Config, format!("read password: {why}")))?,
            // What is customary there.
            None => Secret::new("anonymous@"),
        };
        if password.expose().contains(['\r', '\n', '\0']) {
            let reason = "read password: FTP cannot carry one with a line end in it";
            return Err(Fault::new(ErrorKind::Config, reason));
        }
        Ok(Access {
            far_side: self.far_side(),
            host: self.host.as_str().to_owned(),
            port: self.port,
            security: self.security,
            trust: self.trust(context.base)?,
            user: self.user.clone(),
            password,
            directory: self.directory.clone(),
            create_directory: self.create_directory,
            mode: self.mode,
            transfer: self.transfer,
            timeout: wait(context.timeout),
        })
    }
}

/// A wait that a socket can count: to it, zero is no limit at all.
fn wait(timeout: Span) -> Duration {
    timeout.0.clamp(Duration::from_millis(1), Duration::from_secs(24 * 3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(more: &str) -> Result<FtpOptions, toml::de::Error> {
        toml::from_str(&format!("host = \"Ftp.example.com\"\n{more}"))
    }

    #[test]
    fn ports_and_destinations() {
        let login = "user = \"ew\"\npassword = \"p\"\n";
        let url = |more: &str| read(&format!("{login}{more}")).unwrap().url();
        assert_eq!(url(""), "ftp://ew@ftp.example.com:21/~");
        assert_eq!(
            url("security = \"none\"\ndirectory = \"/srv//in/\""),
            "ftp://ew@ftp.example.com:21/srv/in"
        );
        assert_eq!(url("security = \"implicit\"\ndirectory = \"in\""), "ftp://ew@ftp.example.com:990/~/in");
        assert_eq!(read("").unwrap().url(), "ftp://anonymous@ftp.example.com:21/~");
        assert_eq!(read("").unwrap().security, FtpSecurity::Explicit);
    }

    #[test]
    fn what_does_not_go_together() {
        for good in [
            "user = \"anonymous\"",
            "user = \"a\"\npassword = { env = \"P\" }",
            "mode = \"active\"\nappend = true",
            "transfer = \"ascii\"",
            "ca_file = \"ca.pem\"",
            "compress = \"zstd\"",
        ] {
            assert!(read(good).is_ok(), "{good}");
        }
        for bad in [
            "user = \"a\"",
            "password = \"p\"",
            "user = \"\"\npassword = \"p\"",
            "user = \"a\\r\\nDELE x\"\npassword = \"p\"",
            "port = 0",
            "directory = \"\"",
            "directory = \"a\\r\\nDELE x\"",
            "security = \"tls\"",
            "security = \"none\"\nca_file = \"ca.pem\"",
            "transfer = \"ascii\"\ncompress = \"gzip\"",
            "transfer = \"ascii\"\nappend = true",
            "mode = \"pasive\"",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}

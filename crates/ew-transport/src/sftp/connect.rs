//! A connection with the SFTP subsystem.

use super::talk::Sftp;
use crate::error::{ErrorKind, Fault};
use ew_net::ssh::{self, Connection};
use std::cell::Cell;

/// Everything that a connection needs.
pub(crate) struct Access {
    pub(crate) far_side: String,
    pub(crate) ssh: ssh::Access,
}

/// A connection that is logged in.
pub(crate) struct Link {
    // Dropped first: it says good-bye over the session.
    pub(crate) sftp: Sftp,
    /// Whether fsync@openssh.com is worth asking for; it was not yet refused.
    pub(crate) can_sync: Cell<bool>,
    /// The same of renaming.
    pub(crate) can_rename: Cell<bool>,
    pub(crate) connection: Connection,
}

impl Link {
    /// Whether the connection has ended.
    pub(crate) fn is_dead(&self) -> bool {
        self.connection.is_dead()
    }

    /// Ends the connection without waiting for the far side.
    pub(crate) fn stop(&self) {
        self.connection.stop();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.connection.hurry();
    }
}

impl Access {
    /// Connects, logs in and starts SFTP.
    pub(crate) fn connect(&self) -> Result<Link, Fault> {
        self.enter(self.ssh.meet()?)
    }

    /// Logs in and starts SFTP.
    pub(crate) fn enter(&self, connection: Connection) -> Result<Link, Fault> {
        self.ssh.log_in(&connection)?;
        let sftp = Sftp::start(connection.session()).map_err(|e| {
            let fault = Fault::from(connection.failure("start sftp", &e));
            match fault.kind {
                ErrorKind::Protocol => fault.hint("the server lets this user log in but may offer no sftp"),
                _ => fault,
            }
        })?;
        let (can_sync, can_rename) = (Cell::new(true), Cell::new(true));
        Ok(Link { sftp, can_sync, can_rename, connection })
    }
}

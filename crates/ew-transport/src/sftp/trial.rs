//! What a server can do, request by request, tried with a file that is taken away again.

use super::SftpOptions;
use super::connect::{Access, Link};
use super::deliver::beside;
use super::fault::{fault, io_fault, is_absent, is_unsupported};
use crate::error::{ErrorKind, Fault};
use crate::probe::CONTENT;
use crate::{Ability, Can, Probe};
use ssh2::OpenFlags;
use std::io::Read;

/// Tries everything that a delivery needs, and what it can make use of.
pub(crate) fn run(
    access: &Access,
    options: &SftpOptions,
    name: &str,
    probe: &mut Probe,
) -> Result<(), Fault> {
    let connection = probe.needs(Ability::Connect, access.ssh.meet().map_err(Fault::from))?;
    let link = probe.needs(Ability::LogIn, access.enter(connection))?;
    let one = beside(&options.directory, name);
    let other = beside(&options.directory, &format!("{name}.2"));
    let mut trial = Trial { link: &link, options, probe, is_made: false };
    let tried = trial.each(&one, &other);
    trial.clear(&[&one, &other]);
    tried
}

struct Trial<'a> {
    link: &'a Link,
    options: &'a SftpOptions,
    probe: &'a mut Probe,
    /// The directory was made for this.
    is_made: bool,
}

impl Trial<'_> {
    fn each(&mut self, one: &str, other: &str) -> Result<(), Fault> {
        self.directory()?;
        let synced = self.write(one);
        let file = self.probe.needs(Ability::Write, synced)?;
        match file {
            Ok(()) => self.probe.add(Ability::Sync, Can::Yes, None),
            Err(e) => self.cannot(Ability::Sync, "sync", one, &e),
        }
        let sizes = self.link.sftp.stat(one).answer();
        match &sizes {
            Ok(stat) if stat.size.is_none_or(|size| size == CONTENT.len() as u64) => {
                self.probe.add(Ability::Stat, Can::Yes, None);
            }
            Ok(_) => {
                let fault = Fault::new(ErrorKind::FarSide, format!("{one} has another size there"));
                return self.probe.needs(Ability::Stat, Err(fault));
            }
            Err(e) => self.cannot(Ability::Stat, "look for", one, e),
        }
        let back = self.read_back(one);
        self.probe.tried(Ability::ReadBack, &back);
        // A size that may not be seen ends a delivery; where there is no such request, the file is read back.
        match sizes {
            Err(e) if is_unsupported(&e) => back?,
            Err(e) => return Err(self.fault("look for", one, &e)),
            Ok(_) => {}
        }
        self.rename(one, other)?;
        match self.link.sftp.opendir(&self.options.directory).answer() {
            Ok(_) => self.probe.add(Ability::List, Can::Yes, None),
            Err(e) => self.cannot(Ability::List, "list", &self.options.directory, &e),
        }
        self.lost()
    }

    /// The directory, which is made where that was asked for.
    fn directory(&mut self) -> Result<(), Fault> {
        let directory = self.options.directory.as_str();
        let found = self.link.sftp.stat(directory).answer();
        let result = match found {
            Ok(stat) if stat.is_dir() || stat.perm.is_none() => Ok(None),
            Ok(_) => Err(Fault::new(ErrorKind::Missing, format!("{directory} is there and is no directory"))),
            Err(e) if is_absent(&e) && self.options.create_directory => {
                let made = self.link.sftp.mkdir(directory).answer();
                self.is_made = made.is_ok();
                made.map(|()| Some("it is made by the first delivery".to_owned()))
                    .map_err(|e| self.fault("make directory", directory, &e))
            }
            Err(e) if is_absent(&e) => {
                Err(Fault::new(ErrorKind::Missing, format!("the directory {directory} is not there"))
                    .hint("make it there, or set create_directory = true"))
            }
            // Whether files can be made in it is tried next.
            Err(e) => {
                self.cannot(Ability::Directory, "look for", directory, &e);
                return self.lost();
            }
        };
        match result {
            Ok(note) => {
                self.probe.add(Ability::Directory, Can::Yes, note);
                Ok(())
            }
            Err(fault) => self.probe.needs(Ability::Directory, Err(fault)),
        }
    }

    /// Writes the file; what came of bringing it down to the disk.
    fn write(&self, path: &str) -> Result<Result<(), ssh2::Error>, Fault> {
        let flags = OpenFlags::WRITE | OpenFlags::CREATE | OpenFlags::EXCLUSIVE;
        let opened = self.link.sftp.open(path, flags).answer();
        let mut file = opened.map_err(|e| self.fault("create", path, &e))?;
        file.write(CONTENT).answer().map_err(|e| self.fault("write", path, &e))?;
        let synced = file.fsync().answer();
        file.close().answer().map_err(|e| self.fault("close", path, &e))?;
        Ok(synced)
    }

    fn read_back(&self, path: &str) -> Result<(), Fault> {
        let opened = self.link.sftp.open(path, OpenFlags::READ).answer();
        let file = opened.map_err(|e| self.fault("open", path, &e))?;
        let mut back = Vec::new();
        file.take(CONTENT.len() as u64 + 1)
            .read_to_end(&mut back)
            .map_err(|e| io_fault(&format!("read back {path}"), &e, self.link))?;
        match back == CONTENT {
            true => Ok(()),
            false => Err(Fault::new(ErrorKind::FarSide, format!("{path} reads back with other content"))),
        }
    }

    /// Gives the file another name, and then another file that same name.
    fn rename(&mut self, one: &str, other: &str) -> Result<(), Fault> {
        if let Err(e) = self.link.sftp.rename(one, other).answer() {
            self.cannot(Ability::Rename, &format!("rename {one} to"), other, &e);
            return self.lost();
        }
        self.probe.add(Ability::Rename, Can::Yes, None);
        // It was written before.
        let _ = self.write(one)?;
        match self.link.sftp.rename(one, other).answer() {
            Ok(()) => self.probe.add(Ability::Replace, Can::Yes, None),
            Err(e) => self.cannot(Ability::Replace, &format!("rename {one} to"), other, &e),
        }
        self.lost()
    }

    /// Takes away what was made, and says what is left.
    fn clear(&mut self, paths: &[&str]) {
        let mut removed: Option<Result<(), Fault>> = None;
        for path in paths {
            match self.link.sftp.unlink(path).answer() {
                Err(e) if is_absent(&e) => {}
                Err(e) => {
                    // Where it may not be looked for either, it may never have been there.
                    let is_there =
                        self.link.sftp.stat(path).answer().map_or_else(|e| !is_absent(&e), |_| true);
                    if is_there {
                        self.probe.left.push((*path).to_owned());
                        removed = Some(Err(self.fault("remove", path, &e)));
                    }
                }
                Ok(()) => removed = removed.or(Some(Ok(()))),
            }
        }
        if let Some(removed) = removed {
            self.probe.tried(Ability::Remove, &removed);
        }
        let directory = self.options.directory.as_str();
        if self.is_made && self.link.sftp.rmdir(directory).answer().is_err() {
            self.probe.left.push(directory.to_owned());
        }
    }

    fn cannot(&mut self, ability: Ability, operation: &str, path: &str, error: &ssh2::Error) {
        let can = if is_unsupported(error) { Can::Unsupported } else { Can::No };
        let reason = self.fault(operation, path, error).reason;
        self.probe.add(ability, can, Some(reason));
    }

    fn fault(&self, operation: &str, path: &str, error: &ssh2::Error) -> Fault {
        fault(&format!("{operation} {path}"), error, self.link)
    }

    /// A connection that ended meanwhile ends the trials too.
    fn lost(&self) -> Result<(), Fault> {
        match self.link.is_dead() {
            true => Err(Fault::new(ErrorKind::Unreachable, "the connection was lost during the trials")),
            false => Ok(()),
        }
    }
}

//! What a server can do, request by request, tried with a file that is taken away again.

use super::FtpSecurity;
use super::connect::{Access, Entered};
use super::link::{Link, Stat};
use crate::error::{ErrorKind, Fault};
use crate::probe::CONTENT;
use crate::{Ability, Can, Probe};
use std::io::{Read, Write};

/// Tries everything that a delivery needs, and what it can make use of.
pub(crate) fn run(access: &Access, append: bool, name: &str, probe: &mut Probe) -> Result<(), Fault> {
    let mut link = probe.needs(Ability::Connect, access.meet())?;
    let protected = access.protect(&mut link);
    if access.security != FtpSecurity::None || protected.is_err() {
        probe.needs(Ability::Tls, protected)?;
    }
    let logged_in = access.log_in(&mut link);
    probe.needs(Ability::LogIn, logged_in)?;
    let entered = access.enter(&mut link);
    let is_made = matches!(entered, Ok(Entered::IsMade));
    match entered {
        Ok(Entered::IsMade) => {
            probe.add(Ability::Directory, Can::Yes, Some("it is made by the first delivery".into()));
        }
        entered => drop(probe.needs(Ability::Directory, entered)?),
    }
    let other = format!("{name}.2");
    let mut trial = Trial { link: &mut link, append, probe, made: Vec::new() };
    let tried = trial.each(name, &other);
    trial.clear();
    if is_made && !leave(&mut link, &access.directory) {
        probe.left.push(access.directory.clone());
    }
    tried
}

/// Takes the directory away again, which was made for this.
fn leave(link: &mut Link, directory: &str) -> bool {
    let up = link.ask("go up", "CDUP").is_ok_and(|reply| reply.is_good());
    let last = directory.rsplit('/').next().unwrap_or(directory);
    up && link.ask("remove directory", &format!("RMD {last}")).is_ok_and(|reply| reply.is_good())
}

struct Trial<'a> {
    link: &'a mut Link,
    append: bool,
    probe: &'a mut Probe,
    /// Files that may be there.
    made: Vec<&'a str>,
}

impl<'a> Trial<'a> {
    fn each(&mut self, one: &'a str, other: &'a str) -> Result<(), Fault> {
        let written = self.write(one);
        self.probe.needs(Ability::Write, written)?;
        match self.link.stat(one) {
            Ok(Stat::File(Some(size))) if self.link.is_exact() && size != CONTENT.len() as u64 => {
                let fault = Fault::new(ErrorKind::FarSide, format!("{one} has another size there"));
                return self.probe.needs(Ability::Stat, Err(fault));
            }
            Ok(Stat::File(Some(_))) => self.probe.add(Ability::Stat, Can::Yes, None),
            Ok(Stat::Untold | Stat::File(None)) => self.probe.add(Ability::Stat, Can::Unsupported, None),
            Ok(Stat::Absent | Stat::Directory) => {
                let note = format!("{one}: the server does not show what was written");
                self.probe.add(Ability::Stat, Can::No, Some(note));
            }
            Err(fault) => self.cannot(Ability::Stat, fault)?,
        }
        let back = self.read_back(one);
        match back {
            Ok(()) => self.probe.add(Ability::ReadBack, Can::Yes, None),
            Err(fault) => self.cannot(Ability::ReadBack, fault)?,
        }
        if !self.append {
            self.rename(one, other)?;
        }
        match self.link.list(".") {
            Ok(_) => self.probe.add(Ability::List, Can::Yes, None),
            Err(fault) => self.cannot(Ability::List, fault)?,
        }
        Ok(())
    }

    fn write(&mut self, name: &'a str) -> Result<(), Fault> {
        self.made.push(name);
        let operation = format!("write {name}");
        let command = if self.append { "APPE" } else { "STOR" };
        let mut stream = self.link.begin(&operation, &format!("{command} {name}"))?;
        let written = stream.write_all(CONTENT).and_then(|()| stream.flush());
        self.link.finish(&operation, stream, written)
    }

    fn read_back(&mut self, name: &str) -> Result<(), Fault> {
        let back = self.link.read_back(name, |from| {
            let mut back = Vec::new();
            from.take(CONTENT.len() as u64 + 1).read_to_end(&mut back).map(|_| back)
        })?;
        // As text its line end may be another.
        match back.trim_ascii_end() == CONTENT.trim_ascii_end() {
            true => Ok(()),
            false => Err(Fault::new(ErrorKind::FarSide, format!("{name} reads back with other content"))),
        }
    }

    /// Gives the file another name, and then another file that same name.
    fn rename(&mut self, one: &'a str, other: &'a str) -> Result<(), Fault> {
        match self.link.rename(one, other) {
            Ok(true) => {
                self.made = vec![other];
                self.probe.add(Ability::Rename, Can::Yes, None);
            }
            Ok(false) => {
                let note = format!("rename {one} to {other}: the server renames nothing");
                self.probe.add(Ability::Rename, Can::Unsupported, Some(note));
                return Ok(());
            }
            Err(fault) => return self.cannot(Ability::Rename, fault),
        }
        // It was written before.
        self.write(one)?;
        match self.link.rename(one, other) {
            Ok(true) => {
                self.made = vec![other];
                self.probe.add(Ability::Replace, Can::Yes, None);
            }
            Ok(false) => self.probe.add(Ability::Replace, Can::No, None),
            Err(fault) => self.cannot(Ability::Replace, fault)?,
        }
        Ok(())
    }

    /// Takes away what was made, and says what is left.
    fn clear(&mut self) {
        let mut removed: Option<Result<(), Fault>> = None;
        for name in std::mem::take(&mut self.made) {
            match self.link.remove(name) {
                Ok(()) => removed = removed.or(Some(Ok(()))),
                // The same no is said of what is not there.
                Err(fault) => {
                    if self.link.stat(name).map_or(true, |stat| stat != Stat::Absent) {
                        self.probe.left.push(name.to_owned());
                        removed = Some(Err(fault));
                    }
                }
            }
        }
        if let Some(removed) = removed {
            self.probe.tried(Ability::Remove, &removed);
        }
    }

    /// Notes what the server does not do. A connection that ended meanwhile ends the trials too.
    fn cannot(&mut self, ability: Ability, fault: Fault) -> Result<(), Fault> {
        let can = if fault.kind == ErrorKind::Protocol { Can::Unsupported } else { Can::No };
        self.probe.add(ability, can, Some(fault.reason.clone()));
        match self.link.is_dead() {
            true => Err(fault),
            false => Ok(()),
        }
    }
}

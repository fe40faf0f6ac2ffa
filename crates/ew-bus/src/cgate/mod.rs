//! `cgate`: Schneider's C-Gate server over TCP, TLS or a pipe, with nothing that needs more than access level Monitor as
//! long as the project is configured and nothing is to be set.
//!
//! How the waits of `ew.toml` are used. `start_timeout`: connecting, TLS and the banner together, each of them half of it
//! at most (by default 5 s each). `reply_timeout`: C-Gate puts a whole tag database together before it says the first
//! word of it, so it may be silent for twice that (10 s), and one reply may take six times that (30 s). A server that
//! cannot be reached, or that hangs up, is tried again after 1, 2 and 5 s, so at most four connections are made in a run,
//! all inside `deadline`; what was asked is asked again, but never a level set again. A question without an answer ends
//! its connection, and the next one has another. The tag database has a third of what is left of the run at most, and a
//! discovery goes on without it: labels are the least of what it is for.
//!
//! Bytes go through `lines`, `reply` and then `tree`, the crate's tags, `levels` or `measure`, all of which are
//! pure; `link`, `tls`, `start` and `session` are the way they come.

mod discover;
mod join;
mod levels;
mod lines;
mod link;
mod measure;
mod network;
mod poll;
mod probe;
mod reply;
mod session;
mod start;
mod tls;
mod tree;
mod words;

use crate::{Bus, BusError, BusOptions, Cgate, Context, Discovery, GroupAddress, Levels, Measurement};
use ew_core::Exit;
use session::Session;
use std::path::{Path, PathBuf};

/// Connects, and logs in where there is a user.
pub(crate) fn open<'a>(
    options: &'a BusOptions,
    cgate: &'a Cgate,
    context: Context<'a>,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    Ok(Box::new(CgateBus {
        session: Session::open(options, cgate, context)?,
        project: None,
        are_tags_lost: false,
    }))
}

/// Refuses what is no network in C-Gate's words.
pub(crate) fn check(endpoint: &str, group: &GroupAddress) -> Result<(), BusError> {
    network_number(endpoint, group).map(|_| ())
}

/// The network of a group, where it names one.
fn network_number(endpoint: &str, group: &GroupAddress) -> Result<Option<u8>, BusError> {
    match group.network.as_str() {
        "" => Ok(None),
        network => network.parse().map(Some).map_err(|_| BusError::NoSuchObject {
            endpoint: endpoint.to_owned(),
            object: format!("network {network:?}"),
            cause: "a C-Gate network is a number from 0 to 255".into(),
            hint: Some("`ew-cbus discover` lists the networks".into()),
            exit: Exit::Usage,
        }),
    }
}

/// Looks at the files of TLS.
pub(crate) fn check_files(cgate: &Cgate, base: &Path) -> Result<(), (PathBuf, String)> {
    tls::connector(cgate, base).map(|_| ())
}

struct CgateBus<'a> {
    session: Session<'a>,
    /// Once it is known.
    project: Option<String>,
    /// No reply came when they were asked for, so they are not asked for again.
    are_tags_lost: bool,
}

impl Bus for CgateBus<'_> {
    fn discover(&mut self) -> Result<Discovery, BusError> {
        self.discovery()
    }

    fn levels(&mut self, applications: Option<&[u8]>) -> Result<Levels, BusError> {
        self.all_levels(applications)
    }

    fn get(&mut self, group: &GroupAddress) -> Result<u8, BusError> {
        self.level_of(group)
    }

    fn set(&mut self, group: &GroupAddress, level: u8) -> Result<Option<String>, BusError> {
        self.ramp(group, level)
    }

    fn measure(&mut self) -> Result<Vec<Measurement>, BusError> {
        self.measurements()
    }

    fn probe(&mut self) -> Result<Vec<String>, BusError> {
        self.introduction()
    }
}

/// Reads bytes as a server's, with all that is made of them; for `make fuzz`.
#[cfg(fuzzing)]
pub fn hear(bytes: &[u8]) {
    let (mut lines, mut reply) = (lines::Lines::default(), reply::Assembler::new("7".into()));
    lines.push(bytes);
    while let Ok(Some(line)) = lines.next() {
        match reply.take(&lines::text(&line)) {
            Ok(None) => continue,
            Err(_) => return,
            Ok(Some(whole)) => {
                let _ = tree::of_rows(&whole.rows, "//HOME/254");
                let _ = tree::groups_of_units(&whole.rows, "//HOME/254", 56);
                let _ = levels::of(&whole, "//HOME/254/56");
                whole.rows.iter().for_each(|row| drop(measure::reading(&row.text)));
                if let Some(xml) = whole.document() {
                    let _ = tree::units_of_xml(xml);
                    let _ = crate::tags_from_xml(xml);
                }
                reply = reply::Assembler::new("7".into());
            }
        }
    }
}

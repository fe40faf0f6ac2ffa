//! A command of the user's that gets the file on its stdin: whatever rclone, curl, gpg, rsync or a script of one's own
//! can reach.

mod argument;

pub use argument::Argument;

use crate::error::{ErrorKind, Fault, plain};
use crate::source::{PIECE_BYTES, Source, parcel_id};
use crate::words::last_words;
use crate::{
    Ability, Checked, Compression, Context, How, Look, Parcel, Probe, Receipt, Transport, TransportError,
    Transporter, part_name,
};
use ew_core::{Exit, Secret, SecretSource, Span};
use ew_net::{Child, ChildLimits};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Duration;

/// `[export.transport.command]`.
///
/// Its exit code is the outcome: 0 delivered, 69 and 75 try again, 77 refused, anything else failed. It gets the file
/// again where a run was killed before the ledger knew, so the same file twice should be harmless.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct CommandOptions {
    /// The program and its arguments, for no shell.
    pub command: Vec<Argument>,
    /// What is in its environment beside ew's own.
    pub environment: Vec<(String, SecretSource)>,
    /// How long one file may take.
    pub deadline: Span,
    /// How the file is compressed.
    pub compress: Option<Compression>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    command: Vec<Argument>,
    #[serde(default)]
    environment: BTreeMap<String, SecretSource>,
    #[serde(default = "default_deadline")]
    deadline: Span,
    compress: Option<Compression>,
}

fn default_deadline() -> Span {
    Span::from_secs(15 * 60)
}

impl TryFrom<Keys> for CommandOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<CommandOptions, String> {
        let program = keys.command.first().map_or("", Argument::as_str);
        if program.is_empty() || program.contains('{') {
            return Err(
                "command needs a program, and then its arguments: [\"rclone\", \"rcat\", \"in:{name}\"]"
                    .into(),
            );
        }
        if keys.deadline.0.is_zero() {
            return Err("deadline = \"0s\" leaves no time at all".into());
        }
        for name in keys.environment.keys() {
            if name.is_empty() || name.contains(['=', '\0']) {
                return Err(format!("{name:?} is not the name of an environment variable"));
            }
            if name.starts_with("EW_") {
                return Err(format!("{name} is set by ew itself, as all EW_… are"));
            }
        }
        Ok(CommandOptions {
            command: keys.command,
            environment: keys.environment.into_iter().collect(),
            deadline: keys.deadline,
            compress: keys.compress,
        })
    }
}

impl Transport for CommandOptions {
    fn destination(&self, _base: &Path) -> String {
        let words: Vec<&str> = self.command.iter().map(Argument::as_str).collect();
        format!("command:{}", words.join(" "))
    }

    fn compress(&self) -> Option<Compression> {
        self.compress
    }

    fn shares_file(&self, _bytes: u64) -> bool {
        true
    }

    fn check(&self, base: &Path) -> Result<(), TransportError> {
        self.find(base).map_err(|fault| fault.at(&self.far_side(), None))
    }

    fn open(&self, context: &Context<'_>) -> Result<Box<dyn Transporter>, TransportError> {
        let mut environment = Vec::new();
        for (name, source) in &self.environment {
            let secret = (context.resolve)(source).map_err(|why| {
                Fault::new(ErrorKind::Config, format!("read environment.{name}: {why}"))
                    .at(&self.far_side(), None)
            })?;
            environment.push((name.clone(), secret));
        }
        let folder = context.base.to_owned();
        Ok(Box::new(Courier { options: self.clone(), environment, folder }))
    }

    fn look(&self, _context: &Context<'_>) -> Result<Option<Box<dyn Look>>, TransportError> {
        Ok(None)
    }

    /// Whether the program is there; it is not run, because that would deliver something.
    fn probe(&self, context: &Context<'_>, _name: &str) -> Probe {
        let mut probe = Probe::default();
        let found = probe.needs(Ability::Connect, self.find(context.base));
        probe.error = found.err().map(|fault| fault.at(&self.far_side(), None));
        probe
    }
}

impl CommandOptions {
    fn program(&self) -> &str {
        self.command.first().map_or("", Argument::as_str)
    }

    fn far_side(&self) -> String {
        format!("command {}", self.program())
    }

    /// Looks for the program as it will be started: a path from the folder of ew.toml, a bare name in $PATH.
    fn find(&self, base: &Path) -> Result<(), Fault> {
        let program = self.program();
        let found = match program.contains('/') {
            true => base.join(program).is_file(),
            false => std::env::var_os("PATH").is_some_and(|path| {
                std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
            }),
        };
        match found {
            true => Ok(()),
            false => Err(absent("there is no such program")),
        }
    }
}

fn absent(why: &str) -> Fault {
    Fault::new(ErrorKind::Config, format!("start it: {why}"))
        .hint("a bare name is looked for in $PATH, which is short under cron; a path starts from ew.toml's folder")
        .of_receiver()
}

/// How long a child may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(5);

/// The transporter: each file has a child of its own.
struct Courier {
    options: CommandOptions,
    environment: Vec<(String, Secret)>,
    folder: PathBuf,
}

impl Transporter for Courier {
    fn deliver(&mut self, parcel: &Parcel<'_>) -> Result<Receipt, TransportError> {
        let placed = part_name(parcel.name).and_then(|_| self.place(parcel));
        placed.map_err(|fault| fault.at(&self.options.far_side(), Some(parcel.name)))
    }
}

impl Courier {
    fn place(&self, parcel: &Parcel<'_>) -> Result<Receipt, Fault> {
        let destination = self.options.destination(&self.folder);
        let file = whole(parcel)?;
        let path = std::path::absolute(parcel.file).unwrap_or_else(|_| parcel.file.to_owned());
        let path = path.display().to_string();
        let command: Vec<String> =
            self.options.command.iter().map(|argument| argument.expand(parcel, &path)).collect();
        let own = own_environment(parcel, &destination, &path);
        let own = own.iter().map(|(name, value)| (*name, value.as_str()));
        let given = self.environment.iter().map(|(name, secret)| (name.as_str(), secret.expose()));
        let limits = ChildLimits { line_bytes_max: 0, grace: GRACE };
        let mut child = Child::feed(&command, &self.folder, file, given.chain(own), limits)
            .map_err(|e| not_started(&e))?;
        parcel.steps.done("opened");
        let ended = child.ended_within(self.options.deadline.0);
        if ended.is_none() {
            child.end_after(Duration::ZERO);
        }
        let words = last_words(&child, self.environment.iter().map(|(_, secret)| secret));
        match ended {
            Some(status) if status.success() => {}
            Some(status) => return Err(failed(status, &words)),
            None => {
                let reason = format!("it did not end within {} and was ended{words}", self.options.deadline);
                return Err(
                    Fault::new(ErrorKind::Unreachable, reason).hint("raise deadline if it needs longer")
                );
            }
        }
        parcel.steps.done("written");
        Ok(Receipt {
            destination,
            path: parcel.name.to_owned(),
            bytes: parcel.bytes,
            how: How::Sent,
            checked: Checked::Reply,
            recipients: Vec::new(),
        })
    }
}

/// The file, from its beginning, once it was read to its end and is what was recorded.
fn whole(parcel: &Parcel<'_>) -> Result<File, Fault> {
    let mut source = Source::open(parcel)?;
    let mut piece = vec![0; PIECE_BYTES];
    while source.read(&mut piece)? > 0 {}
    source.rewound()
}

fn own_environment(parcel: &Parcel<'_>, destination: &str, file: &str) -> Vec<(&'static str, String)> {
    let fields = &parcel.fields;
    let yes_or_no = |yes: bool| if yes { "1" } else { "0" }.to_owned();
    vec![
        ("EW_NAME", parcel.name.to_owned()),
        ("EW_FILE", file.to_owned()),
        ("EW_BYTES", parcel.bytes.to_string()),
        ("EW_SHA256", parcel.sha256.to_owned()),
        ("EW_ID", parcel_id(destination, parcel)),
        ("EW_JOB", fields.job.to_owned()),
        ("EW_SITE", fields.site.to_owned()),
        ("EW_START", fields.window.start.to_string()),
        ("EW_END", fields.window.end.to_string()),
        ("EW_REV", fields.rev.to_string()),
        ("EW_SENT_BEFORE", yes_or_no(parcel.sent_before)),
        ("EW_MAY_REPLACE", yes_or_no(parcel.may_replace)),
    ]
}

fn not_started(error: &io::Error) -> Fault {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied => absent(&plain(error)),
        _ => Fault::new(ErrorKind::Local, format!("start it: {}", plain(error))),
    }
}

/// What an exit code other than 0 means: those of sysexits.h that ew has too.
fn failed(status: ExitStatus, words: &str) -> Fault {
    const AGAIN: [u8; 2] = [Exit::Unavailable as u8, Exit::Busy as u8];
    let Some(code) = status.code() else {
        let signal = status.signal().unwrap_or_default();
        return Fault::new(ErrorKind::Failed, format!("it was ended by signal {signal}{words}"));
    };
    let kind = match u8::try_from(code) {
        Ok(code) if AGAIN.contains(&code) => ErrorKind::Unreachable,
        Ok(code) if code == Exit::Refused as u8 => ErrorKind::Refused,
        _ => ErrorKind::Failed,
    };
    Fault::new(kind, format!("it ended with {code}{words}"))
}

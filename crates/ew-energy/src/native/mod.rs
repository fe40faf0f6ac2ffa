//! EnergyWise's own protocol, by adapters only: its wire format is not public, and nothing here speaks it.
//!
//! A domain whose switches are native is asked once, whole: [`ask`](ask::ask) puts one domain query to the first of
//! them that answers, and [`share`] tells the switches' rows apart. How it is asked is an adapter, a [`Native`]:
//! [`command`], a child that speaks JSON lines, or [`ssh`], the query on the command line of a member switch.

mod ask;
mod command;
mod share;
mod ssh;
mod table;

pub(crate) use ask::{Answer, Job, start};

use crate::config::Bounded;
use crate::{EnergyError, SwitchOptions, Wait};
use ew_core::SecretSource;
use ew_net::ssh::{Fingerprint, SshKeys, SshOptions};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// `[native]`: the defaults of every switch with `protocol = "native"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NativeOptions {
    /// The domain's secret, for an adapter that needs it.
    pub shared_secret: Option<SecretSource>,
    /// EnergyWise's port.
    pub native_port: Bounded<1025, 65_535>,
    /// How often one switch is asked before the next one is.
    pub attempts: Bounded<1, 10>,
    /// How long one attempt may take, log-in or start of the child included.
    pub timeout: Wait,
    /// How long one switch may take, all attempts together.
    pub deadline: Wait,
    /// `[native.command]`.
    pub command: Option<CommandOptions>,
    /// `[native.ssh]`.
    pub ssh: Option<NativeSshOptions>,
}

impl Default for NativeOptions {
    fn default() -> NativeOptions {
        NativeOptions {
            shared_secret: None,
            native_port: Bounded::fixed(43_440),
            attempts: Bounded::fixed(3),
            timeout: Wait::from_secs(10),
            deadline: Wait::from_secs(30),
            command: None,
            ssh: None,
        }
    }
}

impl NativeOptions {
    /// Makes paths absolute that are relative to a folder.
    pub fn rebase(&mut self, folder: &Path) {
        rebase(&mut self.command, &mut self.ssh, folder);
    }
}

/// The same for the adapters of one place.
pub(crate) fn rebase(
    command: &mut Option<CommandOptions>,
    ssh: &mut Option<NativeSshOptions>,
    folder: &Path,
) {
    if let Some(command) = command {
        command.folder = folder.to_owned();
    }
    if let Some(NativeSshOptions { ssh, .. }) = ssh {
        if let Some(file) = &mut ssh.known_hosts {
            *file = folder.join(&*file);
        }
        if let ew_net::ssh::Login::Key { file, .. } = &mut ssh.login {
            *file = folder.join(&*file);
        }
    }
}

impl SwitchOptions {
    /// What holds for this switch: its own keys over those of `[native]`; an adapter table as a whole.
    pub fn native(&self, defaults: &NativeOptions) -> NativeOptions {
        let own = self.clone();
        let all = defaults.clone();
        let (command, ssh) = match own.command.is_some() || own.ssh.is_some() {
            true => (own.command, own.ssh),
            false => (all.command, all.ssh),
        };
        NativeOptions {
            shared_secret: own.shared_secret.or(all.shared_secret),
            native_port: own.native_port.unwrap_or(all.native_port),
            attempts: own.attempts.unwrap_or(all.attempts),
            timeout: own.timeout.unwrap_or(all.timeout),
            deadline: own.deadline.unwrap_or(all.deadline),
            command,
            ssh,
        }
    }
}

/// `[native.command]`: a child that speaks the protocol of docs/native.md.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "CommandKeys")]
pub struct CommandOptions {
    /// Program and arguments, without a shell.
    pub command: Vec<String>,
    /// Where it is started.
    pub folder: PathBuf,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandKeys {
    command: Vec<String>,
}

impl TryFrom<CommandKeys> for CommandOptions {
    type Error = String;

    fn try_from(keys: CommandKeys) -> Result<CommandOptions, String> {
        match keys.command.first().is_none_or(String::is_empty) {
            true => Err("the command has no program".into()),
            false => Ok(CommandOptions { command: keys.command, folder: PathBuf::new() }),
        }
    }
}

/// `[native.ssh]`: the command line of a member switch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "SshTable")]
pub struct NativeSshOptions {
    /// Who logs in, how, and which host keys are right.
    pub ssh: SshOptions,
    /// TCP port.
    pub port: u16,
    /// For `enable`, where the log-in ends at the prompt `>`.
    pub enable_password: Option<SecretSource>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SshTable {
    #[serde(default = "port")]
    port: Bounded<1, 65_535>,
    user: String,
    key_file: Option<PathBuf>,
    key_password: Option<SecretSource>,
    password: Option<SecretSource>,
    #[serde(default)]
    agent: bool,
    known_hosts: Option<PathBuf>,
    host_key: Option<Fingerprint>,
    enable_password: Option<SecretSource>,
}

fn port() -> Bounded<1, 65_535> {
    Bounded::fixed(22)
}

impl TryFrom<SshTable> for NativeSshOptions {
    type Error = String;

    fn try_from(table: SshTable) -> Result<NativeSshOptions, String> {
        let named = |file: &Option<PathBuf>| file.as_ref().is_none_or(|file| !file.as_os_str().is_empty());
        if !named(&table.key_file) || !named(&table.known_hosts) {
            return Err("the file has no name".into());
        }
        let keys = SshKeys {
            user: table.user,
            key_file: table.key_file,
            key_password: table.key_password,
            password: table.password,
            agent: table.agent,
            known_hosts: table.known_hosts,
            host_key: table.host_key,
        };
        Ok(NativeSshOptions {
            ssh: SshOptions::new(keys, "switch")?,
            port: u16::try_from(table.port.get()).map_err(|e| e.to_string())?,
            enable_password: table.enable_password,
        })
    }
}

/// One domain query.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// The EnergyWise domain.
    pub domain: &'a str,
    /// Who is to answer: entities whose importance is not above it.
    pub importance: u32,
}

/// One member of a domain, or one of its entities, as a collect query tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// EnergyWise's id of it.
    pub id: Option<String>,
    /// Its name; may be empty.
    pub name: String,
    /// Who answered for it: an address or a name.
    pub host: String,
    /// Power.
    pub watts: f64,
    /// 0 (shut) to 10 (full).
    pub level: Option<u32>,
    /// 1 to 100.
    pub importance: Option<u32>,
}

/// What a collect query gave.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    /// Every row that could be read.
    pub rows: Vec<Row>,
    /// Those that could not: who answered, as far as it shows, and why.
    pub left_out: Vec<(Option<String>, String)>,
}

impl Collected {
    /// Takes out the rows that were not asked for, and names them.
    fn take_above(&mut self, importance: u32) -> Vec<String> {
        let is_above = |row: &Row| row.importance.is_some_and(|own| own > importance);
        let (above, rows) = std::mem::take(&mut self.rows).into_iter().partition(is_above);
        self.rows = rows;
        let named = |row: Row| {
            let own = row.importance.unwrap_or(0);
            format!(
                "{:?} of {} has the importance {own}, above {importance}: it is not counted",
                row.name, row.host
            )
        };
        Vec::into_iter(above).map(named).collect()
    }
}

/// An adapter, opened at one switch for one attempt and bounded in time by itself.
pub trait Native {
    /// The domain's power, watts.
    fn sum(&mut self, question: &Question<'_>) -> Result<f64, EnergyError>;

    /// The same row by row; none where the adapter can tell only the sum.
    fn collect(&mut self, question: &Question<'_>) -> Result<Option<Collected>, EnergyError>;

    /// What a person who looks for a fault may want to see.
    fn notes(&mut self) -> Vec<String>;
}

/// The highest power of a row or a domain that is believed, watts: a terawatt.
const WATTS_MAX: f64 = 1e12;

/// A power that can be added to others.
fn believable(watts: f64) -> Result<f64, String> {
    match watts.is_finite() && (0.0..=WATTS_MAX).contains(&watts) {
        true => Ok(watts),
        false => Err(format!("{watts} W is no power")),
    }
}

//! The arguments that every program has.

use crate::{Failure, Output, Report};
use clap::Args;
use ew_config::Config;
use ew_core::Exit;
use std::path::PathBuf;

/// Arguments of every program.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// The configuration [default: $EW_CONFIG, ./ew.toml, $XDG_CONFIG_HOME/ew/ew.toml, /etc/ew/ew.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Validate the configuration and exit
    #[arg(long, global = true)]
    pub check: bool,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// Say more on stderr
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Say only warnings and errors on stderr; polls print no table, ew-ledger verify only what is wrong
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

impl Common {
    /// Finds, reads and checks the configuration.
    pub fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(&ew_config::find(self.config.as_deref())?)?)
    }

    /// Does `--check`: by here the text of the configuration was found good.
    pub fn checked(&self, config: &Config, out: &mut Output) -> Result<Exit, Failure> {
        config.check_files()?;
        let switches: usize = config.domains.iter().map(|domain| domain.switches.len()).sum();
        let (domains, buses, jobs) = (config.domains.len(), config.buses.len(), config.exports.len());
        if self.json {
            let document = serde_json::json!({
                "config": config.file, "domains": domains, "switches": switches, "buses": buses, "jobs": jobs,
            });
            out.json(&document)?;
        } else {
            let file = config.file.display();
            out.line(format_args!(
                "{file}: good: {domains} domains, {switches} switches, {buses} buses, {jobs} jobs"
            ))?;
        }
        Ok(Exit::Ok)
    }

    /// Refuses `--json` where stdout has data of another kind; `hint` is what to do instead.
    pub fn no_json(&self, what: &str, hint: &str) -> Result<(), Failure> {
        match self.json {
            true => {
                Err(Failure::new(Exit::Usage, format!("{what} prints data, not a report; leave --json out"))
                    .hint(hint))
            }
            false => Ok(()),
        }
    }

    /// How much the program says.
    pub fn report(&self, program: &'static str) -> Report {
        Report::new(program, self.verbose, self.quiet)
    }
}

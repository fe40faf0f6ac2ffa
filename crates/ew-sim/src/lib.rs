//! Simulators of the gear that a site has, with its faults, for trials and tests.
//!
//! `ew-sim snmp` plays EnergyWise switches to SNMP v1, v2c and v3 clients. It shares no protocol code with the
//! programs that it is used to test.

mod cli;
mod error;
mod snmp;

use clap::{CommandFactory, Parser};
use error::SimError;
use ew_config::Config;
use ew_core::Exit;
use std::ffi::OsString;
use std::io::Write;
use std::path::Path;
use std::thread;

/// The whole program: reads the command line `args` (its first item is the program's name), serves, and tells
/// how it ended. Without `--for` a simulator that has started never returns; a signal ends the process, and
/// nothing is left to clean up.
pub fn run(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    let cli = match cli::Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(message) => {
            // Help goes to stdout and complaints to stderr, which clap knows; a closed pipe is no news.
            let _ = message.print();
            return if message.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    if cli.check {
        return check(cli.config.as_deref(), out, err);
    }
    let Some(cli::Simulator::Snmp(options)) = cli.simulator else {
        let _ = writeln!(err, "ew-sim: nothing to do\n  hint: see ew-sim --help for the simulators");
        return Exit::Usage;
    };
    match serve(&options, out) {
        Ok(()) => Exit::Ok,
        Err(error) => {
            // Where stderr itself fails there is nobody left to tell; the exit code still does.
            let _ = writeln!(err, "ew-sim: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(err, "  hint: {hint}");
            }
            error.exit()
        }
    }
}

/// `--check`, as every program has it.
fn check(file: Option<&Path>, out: &mut dyn Write, err: &mut dyn Write) -> Exit {
    match ew_config::find(file).and_then(|file| Config::load(&file)) {
        Ok(config) => {
            // A closed pipe is no news.
            let _ = writeln!(out, "{}: good", config.file.display());
            Exit::Ok
        }
        Err(error) => {
            let _ = writeln!(err, "ew-sim: {error}");
            if let Some(hint) = error.hint() {
                let _ = writeln!(err, "  hint: {hint}");
            }
            Exit::Config
        }
    }
}

/// The command line, for man pages and completions.
pub fn command() -> clap::Command {
    cli::Cli::command()
}

/// Starts the switches, announces them, and stays for as long as asked.
fn serve(options: &cli::SnmpOptions, out: &mut dyn Write) -> Result<(), SimError> {
    let running = snmp::start(options)?;
    match snmp::announce(&running, options.json, out) {
        // Whoever started us and no longer listens does not want the switches either.
        Err(e) if e.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
        Err(source) => return Err(SimError::Output { source }),
        Ok(()) => {}
    }
    match options.for_time {
        Some(span) => thread::sleep(span.0),
        None => loop {
            thread::park();
        },
    }
    Ok(())
}

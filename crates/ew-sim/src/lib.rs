//! Simulators of the gear that a site has, with its faults, for trials and tests.
//!
//! `ew-sim snmp` plays EnergyWise switches to SNMP v1, v2c and v3 clients, `ew-sim cbus-cli` the child of C-Bus's exec
//! backend, `ew-sim cgate` a C-Gate server. They share no protocol code with the programs that they are used to test; only over a real interface is
//! cbus-cli a translator, by the backends of ew-bus.

mod cbus_cli;
mod cgate;
mod cli;
mod error;
mod snmp;

pub use cli::Args;

use error::SimError;
use ew_cli::{Failure, Output};
use ew_core::Exit;
use std::io::Write;
use std::thread;

/// Runs the program. Without `--for` a simulator that has started never returns; a signal ends the process, and
/// nothing is left to clean up.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    if args.common.check {
        return args.common.checked(&args.common.load()?, out);
    }
    match &args.simulator {
        None => Err(Failure::new(Exit::Usage, "nothing to do").hint("see ew-sim --help for the simulators")),
        Some(cli::Simulator::Snmp(options)) => {
            serve(options, args.common.json, out.writer())?;
            Ok(Exit::Ok)
        }
        Some(cli::Simulator::Cgate(options)) => {
            if options.stdio {
                args.common.no_json("ew-sim cgate --stdio", "its lines are a session")?;
            }
            match cgate::run(options, args.common.json, out.writer()) {
                Err(SimError::Output { source }) if source.kind() == std::io::ErrorKind::BrokenPipe => {}
                ended => ended?,
            }
            Ok(Exit::Ok)
        }
        Some(cli::Simulator::CbusCli(options)) => {
            args.common.no_json("ew-sim cbus-cli", "its lines are the ready> dialect")?;
            match cbus_cli::run(options, out.writer()) {
                // Whoever started us has gone.
                Err(SimError::Output { source }) if source.kind() == std::io::ErrorKind::BrokenPipe => {
                    Ok(Exit::Ok)
                }
                ended => Ok(ended?),
            }
        }
    }
}

/// Starts the switches, announces them, and stays for as long as asked.
fn serve(options: &cli::SnmpOptions, json: bool, out: &mut dyn Write) -> Result<(), SimError> {
    let running = snmp::start(options)?;
    match snmp::announce(&running, json, out) {
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

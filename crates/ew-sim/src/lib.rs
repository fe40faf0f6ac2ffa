//! Simulators of the gear that a site has, with its faults, for trials and tests.
//!
//! `ew-sim snmp` plays EnergyWise switches to SNMP v1, v2c and v3 clients, `ew-sim cbus-cli` the child of C-Bus's exec
//! backend, `ew-sim cgate` a C-Gate server, `ew-sim pci` an interface for backends cni and pci. They share no protocol
//! code with the programs that they are used to test; only over a real interface is
//! cbus-cli a translator, by the backends of ew-bus.

mod cbus_cli;
mod cgate;
mod cli;
mod error;
mod pci;
mod snmp;

pub use cli::Args;

use error::SimError;
use ew_cli::{Failure, Output};
use ew_core::{Exit, Span};
use std::io;
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
            let running = snmp::start(options)?;
            let announced = snmp::announce(&running, args.common.json, out.writer());
            Ok(serve(announced, options.for_time)?)
        }
        Some(cli::Simulator::Pci(options)) => {
            let (kind, address) = pci::start(options)?;
            let announced = pci::announce(kind, &address, args.common.json, out.writer());
            Ok(serve(announced, options.for_time)?)
        }
        Some(cli::Simulator::Cgate(options)) => {
            if options.stdio {
                args.common.no_json("ew-sim cgate --stdio", "its lines are a session")?;
                cgate::session(options, out.writer())?;
                return Ok(Exit::Ok);
            }
            let announced = cgate::start(options, args.common.json, out.writer())?;
            Ok(serve(announced, options.for_time)?)
        }
        Some(cli::Simulator::CbusCli(options)) => {
            args.common.no_json("ew-sim cbus-cli", "its lines are the ready> dialect")?;
            match cbus_cli::run(options, out.writer()) {
                // Whoever started us has gone.
                Err(SimError::Output { source }) if source.kind() == io::ErrorKind::BrokenPipe => {
                    Ok(Exit::Ok)
                }
                ended => Ok(ended?),
            }
        }
    }
}

/// Stays for as long as asked, once the ready sign is out.
fn serve(announced: io::Result<()>, for_time: Option<Span>) -> Result<Exit, SimError> {
    match announced {
        // Whoever started us and no longer listens does not want the simulator either.
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Ok),
        Err(source) => return Err(SimError::Output { source }),
        Ok(()) => {}
    }
    match for_time {
        Some(span) => thread::sleep(span.0),
        None => loop {
            thread::park();
        },
    }
    Ok(Exit::Ok)
}

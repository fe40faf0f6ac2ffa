//! `ew-sim`: simulators of site gear with faults, for trials and tests.

use std::process::ExitCode;

fn main() -> ExitCode {
    let exit = ew_sim::run(std::env::args_os(), &mut std::io::stdout(), &mut std::io::stderr());
    ExitCode::from(exit.code())
}

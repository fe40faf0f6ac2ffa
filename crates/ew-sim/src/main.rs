//! `ew-sim`: simulators of site gear with faults, for trials and tests.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_sim::Args::parse();
    ew_cli::run(args.common.report("ew-sim"), |out| ew_sim::run(&args, out))
}

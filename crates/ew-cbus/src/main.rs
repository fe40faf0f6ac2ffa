//! `ew-cbus`: C-Bus.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_cbus::Args::parse();
    ew_cli::run(args.common.report("ew-cbus"), |out| ew_cbus::run(&args, out))
}

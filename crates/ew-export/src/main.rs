//! `ew-export`: exports slices since the persisted last-export time.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_export::Args::parse();
    ew_cli::run(args.common.report("ew-export"), |out| ew_export::run(&args, out))
}

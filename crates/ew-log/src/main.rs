//! `ew-log`: the log itself.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_log::Args::parse();
    ew_cli::run(args.common.report("ew-log"), |out| ew_log::run(&args, out))
}

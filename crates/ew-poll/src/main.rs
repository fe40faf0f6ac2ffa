//! `ew-poll`: polls the configured energy domains once, into the log.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_poll::Args::parse();
    ew_cli::run(args.common.report("ew-poll"), |out| ew_poll::run(&args, out))
}

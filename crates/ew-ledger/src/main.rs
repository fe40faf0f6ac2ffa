//! `ew-ledger`: what was delivered.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let args = ew_ledger::Args::parse();
    ew_cli::run(args.common.report("ew-ledger"), |out| ew_ledger::run(&args, out))
}

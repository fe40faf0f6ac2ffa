//! `ew-cbus`: C-Bus. The commands come with their own issue; today it validates a configuration.

use clap::Parser;
use ew_cli::{Common, Failure};
use ew_core::Exit;
use std::process::ExitCode;

/// C-Bus: validates the buses of the configuration; it cannot talk to a bus yet
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = format!("Example:\n  ew-cbus --check\n\n{}", Exit::HELP)
)]
struct Args {
    #[command(flatten)]
    common: Common,
}

fn main() -> ExitCode {
    let args = Args::parse();
    ew_cli::run(args.common.report("ew-cbus"), |out| {
        let config = args.common.load()?;
        if args.common.check {
            return args.common.checked(&config, out);
        }
        Err(Failure::new(Exit::Usage, "nothing to do").hint("this ew-cbus only knows --check"))
    })
}

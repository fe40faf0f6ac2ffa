//! C-Bus. The commands come with their own issue; today it validates a configuration.

use clap::Parser;
use ew_cli::{Common, Failure, Output};
use ew_core::Exit;

/// C-Bus: validates the buses of the configuration; it cannot talk to a bus yet
#[derive(Debug, Parser)]
#[command(
    version,
    arg_required_else_help = true,
    after_help = format!("Example:\n  ew-cbus --check\n\n{}", Exit::HELP)
)]
pub struct Args {
    /// What every program has.
    #[command(flatten)]
    pub common: Common,
}

/// Runs the program.
pub fn run(args: &Args, out: &mut Output) -> Result<Exit, Failure> {
    let config = args.common.load()?;
    if args.common.check {
        return args.common.checked(&config, out);
    }
    Err(Failure::new(Exit::Usage, "nothing to do").hint("this ew-cbus only knows --check"))
}

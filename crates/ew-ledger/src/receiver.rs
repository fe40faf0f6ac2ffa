//! The way to a job's receiver, to look at what is there.

use ew_cli::Failure;
use ew_config::{Config, ExportOptions};
use ew_transport::{Context, Look, TransportError};

/// What looks at the receiver; none where there is nothing to look at.
pub(crate) fn look(config: &Config, options: &ExportOptions) -> Result<Option<Box<dyn Look>>, Failure> {
    let context =
        Context { base: config.base(), timeout: options.timeout, resolve: &|source| config.secret(source) };
    options.transport.look(&context).map_err(failure)
}

/// A receiver that cannot be asked.
pub(crate) fn failure(error: TransportError) -> Failure {
    Failure::of(error.exit(), &error).maybe_hint(error.hint())
}

//! `exec`: a child with a `ready>` prompt that understands `D`, `Ga=` and `Sa=`.

use crate::{Bus, BusError, BusOptions, Context, Exec};

/// Starts the child.
pub(crate) fn open<'a>(
    options: &'a BusOptions,
    _exec: &'a Exec,
    context: Context<'a>,
) -> Result<Box<dyn Bus + 'a>, BusError> {
    drop(context);
    Err(BusError::NotSupported { endpoint: options.name.clone(), what: "backend exec".into() })
}

//! `probe`.

use crate::Asker;
use ew_cli::{Failure, Output};
use ew_core::{Exit, PartOutcome};
use serde_json::json;

/// Tells what answers at each endpoint.
pub(crate) fn probe(
    asker: &Asker<'_>,
    names: &[String],
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let (mut probes, mut parts) = (Vec::new(), Vec::new());
    for options in asker.choose(names)? {
        let told = asker.ask(options, "probe", |bus| bus.probe());
        let endpoint = options.endpoint();
        match told {
            Ok(lines) => {
                parts.push(PartOutcome::Done);
                if !json {
                    out.line(format_args!("{}: {endpoint}: answers", options.name))?;
                    lines.iter().try_for_each(|line| out.line(format_args!("  {line}")))?;
                }
                probes.push(json!({
                    "bus": options.name, "endpoint": endpoint, "works": true, "lines": lines, "error": null,
                    "hint": null,
                }));
            }
            Err(failure) => {
                parts.push(PartOutcome::ended_with(failure.exit));
                probes.push(json!({
                    "bus": options.name, "endpoint": endpoint, "works": false, "lines": [],
                    "error": failure.message, "hint": failure.hint,
                }));
                asker.report.failure(&failure.of_part(&options.name));
            }
        }
    }
    if json {
        out.json(&json!({ "probes": probes }))?;
    }
    Ok(Exit::of_parts(parts))
}

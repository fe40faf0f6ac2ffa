//! `--check --probe`: each receiver is tried end to end with a file that is taken away again, and the ledger keeps
//! what it can do.

use ew_cli::{Failure, Output, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, PartOutcome};
use ew_store::Log;
use ew_transport::{Ability, Can, Context, Finding, Probe};
use serde_json::{Value, json};

/// Tries the receiver of each job. A job has its part in the exit code: whether a delivery would work.
pub(crate) fn probe(
    config: &Config,
    jobs: &[&ExportOptions],
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let mut log = Log::open(&config.log.url)?;
    let (mut parts, mut all) = (Vec::new(), Vec::new());
    for job in jobs {
        let destination = job.transport.destination(config.base());
        report.detail(format_args!("{}: trying {destination}", job.name));
        let context =
            Context { base: config.base(), timeout: job.timeout, resolve: &|source| config.secret(source) };
        let name = format!(".ew-probe-{}-{:08x}.part", std::process::id(), fastrand::u32(..));
        let probe = job.transport.probe(&context, &name);
        let outcome = outcome(&probe);
        log.ledger().note_probe(&destination, clock::now(), &outcome.to_string())?;
        if as_json {
            let mut one = json!({ "job": job.name, "destination": destination });
            if let (Some(one), Value::Object(outcome)) = (one.as_object_mut(), outcome) {
                one.extend(outcome);
            }
            all.push(one);
        } else {
            show(&job.name, &destination, &probe, out)?;
        }
        for path in &probe.left {
            report.warning(format_args!("{}: {path} could not be removed at {destination}", job.name));
        }
        parts.push(match &probe.error {
            None => PartOutcome::Done,
            Some(error) => {
                report.failure(&Failure::of(error.exit(), error).maybe_hint(error.hint()).of_part(&job.name));
                PartOutcome::Failed(error.exit())
            }
        });
    }
    if as_json {
        out.json(&json!({ "probes": all }))?;
    }
    Ok(Exit::of_parts(parts))
}

/// What the ledger keeps, and `--json` shows.
fn outcome(probe: &Probe) -> Value {
    json!({
        "works": probe.error.is_none(),
        "abilities": probe.abilities,
        "error": probe.error.as_ref().map(ToString::to_string),
        "hint": probe.error.as_ref().and_then(|error| error.hint()),
    })
}

fn show(job: &str, destination: &str, probe: &Probe, out: &mut Output) -> Result<(), Failure> {
    out.line(format_args!("{job}: {destination}"))?;
    for Finding { ability, can, note } in &probe.abilities {
        let can = match can {
            Can::Yes => "yes",
            Can::No => "no",
            Can::Unsupported => "unsupported",
        };
        let note = note.as_ref().map_or(String::new(), |note| format!("  {note}"));
        let line = format!("  {:<10} {can:<11}{note}", words(*ability));
        out.line(format_args!("{}", line.trim_end()))?;
    }
    let would = if probe.error.is_none() { "would work" } else { "would fail" };
    out.line(format_args!("  a delivery {would}"))?;
    Ok(())
}

fn words(ability: Ability) -> &'static str {
    match ability {
        Ability::Connect => "connect",
        Ability::Tls => "TLS",
        Ability::LogIn => "log in",
        Ability::Directory => "directory",
        Ability::Write => "write",
        Ability::Sync => "sync",
        Ability::Stat => "stat",
        Ability::ReadBack => "read back",
        Ability::Rename => "rename",
        Ability::Replace => "replace",
        Ability::List => "list",
        Ability::Remove => "remove",
        Ability::Sender => "sender",
        Ability::Recipient => "recipient",
    }
}

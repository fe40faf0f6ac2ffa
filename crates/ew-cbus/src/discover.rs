//! `discover`.

use crate::Asker;
use crate::document::{Numbered, document};
use ew_bus::{Discovery, Group, Tags, Warning};
use ew_cli::{Failure, Output};
use ew_core::{Exit, PartOutcome};
use ew_store::Log;

/// So far back it is looked for a discovery that told of anything.
const LOOK_BACK: u32 = 20;

/// Asks each bus, keeps what it says, and prints it.
pub(crate) fn discover(
    asker: &Asker<'_>,
    names: &[String],
    dry_run: bool,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let chosen = asker.choose(names)?;
    let mut log = Log::open(&asker.config.log.url)?;
    let (mut found, mut errors, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    for options in chosen {
        let tags = tags(&log, &options.name)?;
        let done = asker.ask(options, "discover", |bus| bus.discover()).and_then(|mut discovery| {
            if let Some(tags) = tags {
                tags.join(&mut discovery);
            }
            warn_of_silence(&log, &mut discovery)?;
            let id = if dry_run { None } else { Some(keep(&mut log, &discovery)?) };
            Ok(Numbered { id, discovery, untold: Vec::new() })
        });
        match done {
            Ok(one) => {
                parts.push(PartOutcome::Done);
                if one.discovery.complete == Some(false) {
                    parts.push(PartOutcome::Failed(Exit::Partial));
                }
                tell(asker, &one.discovery);
                found.push(one);
            }
            Err(failure) => {
                parts.push(PartOutcome::ended_with(failure.exit));
                errors.push((options.name.clone(), failure.message.clone()));
                asker.report.failure(&failure.of_part(&options.name));
            }
        }
    }
    if json {
        let document = document(&found, &errors).map_err(unwritable)?;
        out.report(|out| out.json(&document))?;
    } else {
        out.report(|out| found.iter().try_for_each(|one| table(one, out)))?;
    }
    Ok(Exit::of_parts(parts))
}

/// A backend that cannot tell whether it is whole may have told nothing where there was something: a child that has lost
/// its interface, say.
fn warn_of_silence(log: &Log, discovery: &mut Discovery) -> Result<(), Failure> {
    if discovery.complete.is_some() {
        return Ok(());
    }
    // One that cannot be read has nothing to say here; `diff` says that it cannot.
    let told = log.last_discoveries(&discovery.bus, LOOK_BACK)?.into_iter().find_map(|last| {
        let old: Discovery = serde_json::from_str(&last.document).ok()?;
        (!old.units.is_empty()).then_some((last.id, old))
    });
    let Some((id, old)) = told else { return Ok(()) };
    for network in ew_bus::silent_networks(&old, discovery) {
        let units = old.units.iter().filter(|unit| unit.network == network).count();
        let groups = old.groups.iter().filter(|group| group.network == network).count();
        let text =
            format!("nothing was told of it, where discovery {id} had units: {units}, groups: {groups}");
        discovery.warnings.push(Warning { code: None, object: Some(format!("network {network}")), text });
    }
    Ok(())
}

/// The tags that were imported for a bus.
fn tags(log: &Log, bus: &str) -> Result<Option<Tags>, Failure> {
    let Some(text) = log.tags(bus)? else { return Ok(None) };
    let tags = serde_json::from_str(&text)
        .map_err(|e| Failure::new(Exit::Io, format!("the tags of {bus} in the log cannot be read: {e}")));
    tags.map(Some).map_err(|failure| failure.hint("import them again: ew-cbus import-tags FILE"))
}

fn keep(log: &mut Log, discovery: &Discovery) -> Result<i64, Failure> {
    let text = serde_json::to_string(discovery).map_err(unwritable)?;
    Ok(log.record_discovery(&discovery.bus, discovery.started_at, discovery.complete, &text)?)
}

fn unwritable(error: serde_json::Error) -> Failure {
    Failure::new(Exit::Io, format!("the discovery cannot be written: {error}"))
}

fn tell(asker: &Asker<'_>, discovery: &Discovery) {
    for warning in &discovery.warnings {
        asker.report.warning(format_args!("{}: {warning}", discovery.bus));
    }
    for reason in &discovery.incomplete_reasons {
        asker.report.warning(format_args!("{}: incomplete: {reason}", discovery.bus));
    }
}

fn table(Numbered { id, discovery, .. }: &Numbered, out: &mut Output) -> Result<(), Failure> {
    let complete = match discovery.complete {
        Some(true) => "complete",
        Some(false) => "incomplete",
        None => "complete as far as the backend can tell",
    };
    let number = id.map_or(String::new(), |id| format!(" (discovery {id})"));
    out.line(format_args!("{}: {}: {complete}{number}", discovery.bus, discovery.endpoint))?;
    let mut rows = vec![["OBJECT", "ADDRESS", "TAG", "LEVEL", "NOTE"].map(str::to_owned).to_vec()];
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    let mut row = |object: &str, address: String, tag: String, level: String, note: Vec<Option<String>>| {
        let note = note.into_iter().flatten().collect::<Vec<_>>().join(" ");
        rows.push(vec![object.to_owned(), address, tag, level, note]);
    };
    for network in &discovery.networks {
        let note =
            vec![network.state.clone(), network.interface_type.clone(), network.interface_address.clone()];
        row("network", network.address.clone(), text(&network.tag), String::new(), note);
    }
    for application in &discovery.applications {
        let address = format!("{}/{}", application.network, application.address);
        row("application", address, text(&application.tag), String::new(), vec![application.kind.clone()]);
    }
    for group in &discovery.groups {
        let address = format!("{}/{}/{}", group.network, group.application, group.address);
        let level = group.level.map_or("-".to_owned(), |level| level.to_string());
        row("group", address, text(&group.tag), level, vec![note(group)]);
    }
    for unit in &discovery.units {
        let groups: Vec<String> = discovery
            .unit_groups
            .iter()
            .filter(|link| link.network == unit.network && link.unit == unit.address)
            .map(|link| link.group.to_string())
            .collect();
        let groups = (!groups.is_empty()).then(|| format!("groups {}", groups.join(",")));
        let twice = unit.duplicate.filter(|twice| *twice).map(|_| "address in use twice".to_owned());
        let note = vec![unit.kind.clone(), unit.firmware.clone(), unit.serial.clone(), twice, groups];
        row("unit", format!("{}/p/{}", unit.network, unit.address), text(&unit.tag), String::new(), note);
    }
    out.table(&rows)
}

fn note(group: &Group) -> Option<String> {
    use ew_bus::GroupState as State;
    match group.state {
        State::On => Some("on".into()),
        State::Off => Some("off".into()),
        State::Absent => Some("absent".into()),
        State::Conflict => Some("conflict".into()),
        State::NoLevel => Some("no level".into()),
        _ => group.reason.clone(),
    }
}

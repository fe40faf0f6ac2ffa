//! `get` and `set`.

use crate::GroupArgs;
use crate::ask::{Asker, bus};
use ew_bus::{BusOptions, GroupAddress};
use ew_cli::{Failure, Output};
use ew_core::Exit;
use serde_json::json;

fn address(group: &GroupArgs) -> GroupAddress {
    GroupAddress { network: group.network.clone(), application: group.application, group: group.group }
}

/// What no far side need be asked for.
fn check(options: &BusOptions, at: &GroupAddress) -> Result<(), Failure> {
    ew_bus::check(options, at)
        .map_err(|e| Failure::new(Exit::Usage, e.to_string()).maybe_hint(e.hint()).of_part(&options.name))
}

/// Prints the level of a group.
pub(crate) fn get(
    asker: &Asker<'_>,
    group: &GroupArgs,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let options = bus(asker.config, &group.bus)?;
    let at = address(group);
    check(options, &at)?;
    let level = asker.ask(options, "get", |bus| bus.get(&at)).map_err(|e| e.of_part(&group.bus))?;
    match json {
        true => out.json(&json!({
            "bus": group.bus, "network": network(group), "application": group.application, "group": group.group,
            "level": level,
        }))?,
        false => out.line(format_args!("{level}"))?,
    }
    Ok(Exit::Ok)
}

/// Sets the level of a group and reads it back.
pub(crate) fn set(
    asker: &Asker<'_>,
    group: &GroupArgs,
    level: u8,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let options = bus(asker.config, &group.bus)?;
    let at = address(group);
    check(options, &at)?;
    let both = asker.ask(options, "set", |bus| {
        let reply = bus.set(&at, level)?;
        Ok((reply, bus.get(&at)))
    });
    let (reply, read) = both.map_err(|e| e.of_part(&group.bus))?;
    let name = format!("{}: {}/{}", group.bus, group.application, group.group);
    if let Some(reply) = &reply {
        asker.report.note(format_args!("{name}: it answered {reply:?}"));
    }
    let read = read
        .map_err(|e| crate::ask::failure(e).of_part(&format!("{name}: set to {level}, but not read back")))?;
    if json {
        out.json(&json!({
            "bus": group.bus, "network": network(group), "application": group.application, "group": group.group,
            "level": level, "read_back": read, "reply": reply,
        }))?;
    }
    if read == level {
        asker.report.detail(format_args!("{name}: {level}, read back"));
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Partial, format!("{name}: set to {level}, but it reads {read}"))
        .hint("a ramp may be under way, or a unit or schedule sets it otherwise; ew-cbus get reads it again"))
}

/// Null: the one that the interface is on.
fn network(group: &GroupArgs) -> Option<&str> {
    Some(group.network.as_str()).filter(|network| !network.is_empty())
}

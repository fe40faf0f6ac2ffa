//! What the bus and the tag database say of one network, put together. Pure.

use super::discover::Told;
use super::measure::MEASUREMENT;
use super::tree::{TreeUnit, UNUSED};
use crate::{Discovery, Group, GroupState, Origin, TagUnit, Unit, UnitGroup};
use std::collections::{BTreeMap, BTreeSet};

/// How C-Gate comes to volts from what a unit reports, as captures of 3.4 have it.
const VOLTS_RULE: &str = "C-Gate: raw x 0.15904 + 0.55";

/// Units and what they act on. A unit that the bus says nothing of acts on what the database has for it.
pub(crate) fn units(told: &Told, found: &mut Discovery) {
    let mut units: BTreeMap<u8, Unit> = BTreeMap::new();
    for seen in told.units.iter().flatten() {
        let unit = unit_of_bus(told, seen, &found.bus);
        units.entry(seen.address).and_modify(|before| before.duplicate = Some(true)).or_insert(unit);
    }
    for db in told.db.iter().flat_map(|db| &db.units) {
        let unit = units.entry(db.address).or_insert_with(|| absent_unit(told, db.address, &found.bus));
        add_db(unit, db);
    }
    found.unit_groups.extend(links(told, &found.bus));
    found.units.extend(units.into_values());
}

fn unit_of_bus(told: &Told, seen: &TreeUnit, bus: &str) -> Unit {
    let seen = seen.clone();
    Unit {
        kind: seen.kind,
        catalogue: seen.catalogue,
        firmware: seen.firmware,
        serial: seen.serial,
        part_name: seen.part_name,
        applications: seen.applications,
        volts: seen.volts,
        volts_rule: seen.volts.map(|_| VOLTS_RULE.to_owned()),
        online_status: seen.online_status.clone().or(seen.state),
        duplicate: Some(seen.is_duplicate),
        in_db: told.db.as_ref().map(|_| false),
        // C-Gate lists the units of its database too, and calls those missing that do not answer.
        on_bus: Some(!seen.online_status.is_some_and(|status| status.eq_ignore_ascii_case("missing"))),
        ..Unit::new(bus, &told.network.to_string(), seen.address)
    }
}

/// A unit that only the database has.
fn absent_unit(told: &Told, address: u8, bus: &str) -> Unit {
    Unit {
        in_db: Some(true),
        on_bus: (told.is_up && told.units.is_some()).then_some(false),
        ..Unit::new(bus, &told.network.to_string(), address)
    }
}

/// What the unit says of itself goes before what was once written down of it.
fn add_db(unit: &mut Unit, db: &TagUnit) {
    let db = db.clone();
    unit.in_db = Some(true);
    unit.tag = db.tag;
    unit.kind = unit.kind.take().or(db.kind);
    unit.catalogue = unit.catalogue.take().or(db.catalogue);
    unit.firmware = unit.firmware.take().or(db.firmware);
    unit.serial = unit.serial.take().or(db.serial);
    unit.part_name = unit.part_name.take().or(db.part_name);
    unit.applications = unit.applications.take().or(db.applications);
}

fn links(told: &Told, bus: &str) -> BTreeSet<UnitGroup> {
    let link = |unit, application, group| UnitGroup {
        bus: bus.to_owned(),
        network: told.network.to_string(),
        unit,
        application,
        group,
    };
    let mut links = BTreeSet::new();
    for group in told.groups.iter().filter(|group| group.address != UNUSED) {
        links.extend(group.units.iter().map(|unit| link(*unit, Some(group.application), group.address)));
    }
    // What TREE has not told: of a unit with one application it is plain whose group that is.
    let known: BTreeSet<(u8, u8)> = links.iter().map(|link| (link.unit, link.group)).collect();
    for unit in told.units.iter().flatten() {
        let application = only(unit.applications.as_deref());
        let new = unit.groups.iter().filter(|group| !known.contains(&(unit.address, **group)));
        links.extend(new.map(|group| link(unit.address, application, *group)));
    }
    let linked: BTreeSet<u8> = links.iter().map(|link| link.unit).collect();
    for unit in told.db.iter().flat_map(|db| &db.units).filter(|unit| !linked.contains(&unit.address)) {
        let application = only(unit.applications.as_deref());
        links.extend(unit.groups.iter().map(|group| link(unit.address, application, *group)));
    }
    links
}

fn only(applications: Option<&[u8]>) -> Option<u8> {
    match applications {
        Some([application]) => Some(*application),
        _ => None,
    }
}

/// Groups: those with a level or a reason for none, those that the trees name, those of the database.
pub(crate) fn groups(told: &Told, found: &mut Discovery) {
    let mut groups: BTreeMap<(u8, u8), Group> =
        told.levels.iter().map(|group| ((group.application, group.address), group.clone())).collect();
    let row = |application, address| {
        let (state, reason) = match application == MEASUREMENT || told.levelless.contains(&application) {
            true => (GroupState::NoLevel, "its application has no levels"),
            false => (GroupState::Unknown, "its level was not told"),
        };
        let row = Group::new(&found.bus, &told.network.to_string(), application, address, Origin::Bus);
        Group { state, reason: Some(reason.into()), ..row }
    };
    for group in told.groups.iter().filter(|group| group.address != UNUSED) {
        let key = (group.application, group.address);
        groups.entry(key).or_insert_with(|| Group { on_bus: Some(true), ..row(key.0, key.1) });
    }
    if let Some(db) = &told.db {
        for group in groups.values_mut() {
            group.in_db = Some(false);
        }
        for application in &db.applications {
            for tag in &application.groups {
                let key = (application.address, tag.address);
                let group = groups.entry(key).or_insert_with(|| only_in_db(told, row(key.0, key.1)));
                group.in_db = Some(true);
                group.tag.clone_from(&tag.tag);
            }
        }
    }
    found.groups.extend(groups.into_values());
}

fn only_in_db(told: &Told, row: Group) -> Group {
    match told.is_up {
        true => Group {
            on_bus: Some(false),
            state: GroupState::Absent,
            reason: Some("no unit on the bus has it".into()),
            source: Origin::Db,
            ..row
        },
        false => Group { source: Origin::Db, ..row },
    }
}

/// A network may call itself whole while its tree still has the holes of a synchronisation.
pub(crate) fn reasons(told: &Told, found: &mut Discovery) {
    let (network, Some(units)) = (told.network, &told.units) else { return };
    if !told.is_up {
        return;
    }
    if units.is_empty() {
        found.incomplete_reasons.push(format!("network {network} shows no unit, not even its interface"));
    }
    let is_bare = |unit: &TreeUnit| unit.applications.as_ref().is_some_and(Vec::is_empty);
    if units.len() > 1 && units.iter().all(is_bare) {
        found.incomplete_reasons.push(format!(
            "network {network} shows only application 255, as it does while it is being synchronised"
        ));
    }
    for unit in units {
        if unit.state.as_deref().is_some_and(|state| state.eq_ignore_ascii_case("new")) {
            found
                .incomplete_reasons
                .push(format!("unit {network}/p/{} has not been read yet: its state is new", unit.address));
        }
    }
}

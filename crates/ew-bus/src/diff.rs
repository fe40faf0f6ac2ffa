//! What changed between two discoveries of a bus.

use crate::{Discovery, Group, GroupState, Unit};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// What befell an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is not in a discovery that is not whole: it may be there still.
    NotSeen,
    /// Its tag is another.
    Renamed,
    /// A field is another.
    Changed,
    /// A unit with another serial number has its address.
    Replaced,
    /// The unit with its serial number has another address.
    Moved,
}

impl ChangeKind {
    /// As people read it.
    pub fn as_str(self) -> &'static str {
        match self {
            ChangeKind::Added => "added",
            ChangeKind::Removed => "removed",
            ChangeKind::NotSeen => "not seen",
            ChangeKind::Renamed => "renamed",
            ChangeKind::Changed => "changed",
            ChangeKind::Replaced => "replaced",
            ChangeKind::Moved => "moved",
        }
    }
}

/// One change of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// What befell it.
    pub change: ChangeKind,
    /// `network`, `application`, `group` or `unit`.
    pub object: &'static str,
    /// Its network.
    pub network: String,
    /// Of a group.
    pub application: Option<u8>,
    /// Of all but a network: its address, where it moved its old one.
    pub address: Option<u8>,
    /// Which field, where one did.
    pub field: Option<&'static str>,
    /// What it was.
    pub old: Option<String>,
    /// What it is.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.change.as_str(), self.object, self.network)?;
        for part in [self.application, self.address].into_iter().flatten() {
            write!(f, "/{part}")?;
        }
        let field = self.field.map_or(String::new(), |field| format!(" {field}:"));
        let none = if self.field == Some(LEVEL) { "unknown" } else { "-" };
        let shown =
            |text: &Option<String>| text.as_deref().map_or(none.to_owned(), |text| format!("{text:?}"));
        match (&self.old, &self.new) {
            (None, None) => Ok(()),
            (Some(one), None) | (None, Some(one)) if self.field.is_none() => write!(f, " {one:?}"),
            (old, new) => write!(f, "{field} {} -> {}", shown(old), shown(new)),
        }
    }
}

/// The changes from one discovery to another, in the order of networks, applications, groups and units. Levels count
/// only where asked for: they change all day. What one of the two could not tell is no change, but for a level.
pub fn diff(old: &Discovery, new: &Discovery, levels: bool) -> Vec<Change> {
    let gone = if new.complete == Some(false) { ChangeKind::NotSeen } else { ChangeKind::Removed };
    let mut changes = Changes { gone, found: Vec::new() };
    changes.networks(old, new);
    changes.applications(old, new);
    changes.groups(old, new, levels);
    changes.units(old, new);
    changes.found
}

struct Changes {
    gone: ChangeKind,
    found: Vec<Change>,
}

/// Where and what.
#[derive(Clone, Copy)]
struct At<'a> {
    object: &'static str,
    network: &'a str,
    application: Option<u8>,
    address: Option<u8>,
}

type Fields = Vec<(&'static str, Option<String>)>;
/// The tag of an object, and what else there is to compare.
type Seen = (Option<String>, Fields);

impl Changes {
    fn push(
        &mut self,
        at: At<'_>,
        change: ChangeKind,
        field: Option<&'static str>,
        old: Option<String>,
        new: Option<String>,
    ) {
        self.found.push(Change {
            change,
            object: at.object,
            network: at.network.to_owned(),
            application: at.application,
            address: at.address,
            field,
            old,
            new,
        });
    }

    /// Compares what stands at one place in both.
    fn compare(&mut self, at: At<'_>, old: Option<Seen>, new: Option<Seen>) {
        match (old, new) {
            (None, None) => {}
            (None, Some((tag, _))) => self.push(at, ChangeKind::Added, None, None, tag),
            (Some((tag, _)), None) => self.push(at, self.gone, None, tag, None),
            (Some((old_tag, old)), Some((new_tag, new))) => {
                if old_tag != new_tag {
                    self.push(at, ChangeKind::Renamed, Some("tag"), old_tag, new_tag);
                }
                for ((field, old), (_, new)) in old.into_iter().zip(new) {
                    // Who asks for levels wants to know where one is not told any more.
                    let is_told = field == LEVEL || (old.is_some() && new.is_some());
                    if is_told && old != new {
                        let change =
                            if field == "serial" { ChangeKind::Replaced } else { ChangeKind::Changed };
                        self.push(at, change, Some(field), old, new);
                    }
                }
            }
        }
    }

    fn networks(&mut self, old: &Discovery, new: &Discovery) {
        let of = |discovery: &Discovery| -> BTreeMap<(u32, String), Seen> {
            let network = |n: &crate::Network| {
                let fields = vec![
                    ("state", n.state.clone()),
                    ("interface_type", n.interface_type.clone()),
                    ("interface_address", n.interface_address.clone()),
                    ("bridge_path", n.bridge_path.clone()),
                ];
                (key(&n.address), (n.tag.clone(), fields))
            };
            discovery.networks.iter().map(network).collect()
        };
        for ((_, network), old, new) in joined(of(old), of(new)) {
            let at = At { object: "network", network: &network, application: None, address: None };
            self.compare(at, old, new);
        }
    }

    fn applications(&mut self, old: &Discovery, new: &Discovery) {
        let of = |discovery: &Discovery| -> BTreeMap<((u32, String), u8), Seen> {
            let all = discovery.applications.iter();
            all.map(|a| ((key(&a.network), a.address), (a.tag.clone(), Vec::new()))).collect()
        };
        for (((_, network), address), old, new) in joined(of(old), of(new)) {
            let at =
                At { object: "application", network: &network, application: None, address: Some(address) };
            self.compare(at, old, new);
        }
    }

    fn groups(&mut self, old: &Discovery, new: &Discovery, levels: bool) {
        let of = |discovery: &Discovery| -> BTreeMap<((u32, String), u8, u8), Seen> {
            let group = |g: &Group| {
                let seen = (g.tag.clone(), group_fields(g, levels));
                ((key(&g.network), g.application, g.address), seen)
            };
            discovery.groups.iter().map(group).collect()
        };
        for (((_, network), application, address), old, new) in joined(of(old), of(new)) {
            let at = At {
                object: "group",
                network: &network,
                application: Some(application),
                address: Some(address),
            };
            self.compare(at, old, new);
        }
    }

    fn units(&mut self, old: &Discovery, new: &Discovery) {
        let of = |discovery: &Discovery| -> BTreeMap<((u32, String), u8), Seen> {
            let unit = |u: &Unit| ((key(&u.network), u.address), (u.tag.clone(), unit_fields(discovery, u)));
            discovery.units.iter().map(unit).collect()
        };
        let (old, new) = (of(old), of(new));
        let (was, is) = (places(&old), places(&new));
        let moved = |serial: &str| {
            let (from, to) = (was.get(serial)?, is.get(serial)?);
            (from != to).then_some(*to)
        };
        for (key, before, after) in joined(old.clone(), new.clone()) {
            let ((_, network), address) = &key;
            let at = At { object: "unit", network, application: None, address: Some(*address) };
            let goes_to = before.as_ref().and_then(serial).and_then(moved);
            let is_come = after.as_ref().and_then(serial).and_then(moved).is_some();
            if let (Some(to), Some(before)) = (goes_to, &before) {
                let place = |((_, network), address): &Place| Some(format!("{network}/{address}"));
                self.push(at, ChangeKind::Moved, Some("address"), place(&key), place(to));
                // Labels and the database are of an address, not of the unit.
                let own = |(_, fields): &Seen| {
                    let fields = fields.iter().filter(|(field, _)| *field != "in_db");
                    (None, fields.cloned().collect())
                };
                self.compare(at, Some(own(before)), new.get(to).map(own));
            }
            // What has moved is told where it was.
            match (goes_to.is_some(), is_come) {
                (true, true) => {}
                (true, false) => self.compare(at, None, after),
                (false, true) => self.compare(at, before, None),
                (false, false) => self.compare(at, before, after),
            }
        }
    }
}

/// A network and an address in it.
type Place = ((u32, String), u8);

/// Where each serial number is, except those that stand in several places.
fn places(units: &BTreeMap<Place, Seen>) -> BTreeMap<&str, &Place> {
    let mut places = BTreeMap::new();
    for (place, seen) in units {
        if let Some(serial) = serial(seen) {
            places.entry(serial).and_modify(|only| *only = None).or_insert(Some(place));
        }
    }
    places.into_iter().filter_map(|(serial, place)| Some((serial, place?))).collect()
}

fn key(network: &str) -> (u32, String) {
    let (number, text) = crate::network_order(network);
    (number, text.to_owned())
}

/// Every key of either side with what both have there.
fn joined<K: Ord + Clone, V>(
    mut old: BTreeMap<K, V>,
    mut new: BTreeMap<K, V>,
) -> Vec<(K, Option<V>, Option<V>)> {
    let mut keys: Vec<K> = old.keys().chain(new.keys()).cloned().collect();
    keys.sort();
    keys.dedup();
    keys.into_iter()
        .map(|key| {
            let (old, new) = (old.remove(&key), new.remove(&key));
            (key, old, new)
        })
        .collect()
}

fn group_fields(group: &Group, levels: bool) -> Fields {
    let state = match group.state {
        GroupState::Ok | GroupState::On | GroupState::Off => Some("ok"),
        GroupState::Absent => Some("absent"),
        GroupState::Conflict => Some("conflict"),
        // Of no more meaning than that it was not told this time.
        GroupState::Corrupt | GroupState::Error | GroupState::Unknown => None,
    };
    let mut fields = vec![
        ("state", state.map(str::to_owned)),
        ("in_db", group.in_db.map(|in_db| in_db.to_string())),
        ("on_bus", group.on_bus.map(|on_bus| on_bus.to_string())),
    ];
    if levels {
        let level = match (group.level, group.state) {
            (Some(level), _) => Some(level.to_string()),
            (None, GroupState::On) => Some("on".to_owned()),
            (None, GroupState::Off) => Some("off".to_owned()),
            _ => None,
        };
        fields.push((LEVEL, level));
    }
    fields
}

const SERIAL: usize = 0;
/// The one field that may become unknown.
const LEVEL: &str = "level";

fn unit_fields(discovery: &Discovery, unit: &Unit) -> Fields {
    let list = |numbers: &[u8]| numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let links = discovery.unit_groups.iter();
    let mut groups: Vec<String> = links
        .filter(|link| link.network == unit.network && link.unit == unit.address)
        .map(|link| link.application.map_or(link.group.to_string(), |a| format!("{a}/{}", link.group)))
        .collect();
    groups.sort();
    groups.dedup();
    let told = unit.on_bus != Some(false);
    vec![
        ("serial", unit.serial.clone().filter(|serial| serial.contains(|c| ('1'..='9').contains(&c)))),
        ("type", unit.kind.clone()),
        ("firmware", unit.firmware.clone()),
        ("catalogue", unit.catalogue.clone()),
        ("part_name", unit.part_name.clone()),
        ("applications", unit.applications.as_deref().map(list)),
        ("groups", told.then(|| groups.join(","))),
        ("duplicate", unit.duplicate.map(|duplicate| duplicate.to_string())),
        ("in_db", unit.in_db.map(|in_db| in_db.to_string())),
        ("on_bus", unit.on_bus.map(|on_bus| on_bus.to_string())),
    ]
}

fn serial((_, fields): &Seen) -> Option<&str> {
    fields.get(SERIAL).and_then(|(_, serial)| serial.as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two networks' worth of objects, as JSON has them.
    fn discovery(complete: bool, groups: &[(u8, &str, &str, u8)], units: &[(u8, &str, &str)]) -> Discovery {
        let group = |(address, tag, state, level): &(u8, &str, &str, u8)| {
            serde_json::json!({"bus": "b", "network": "254", "application": 56, "address": address, "tag": tag,
                "in_db": null, "on_bus": true, "level": level, "level_source": "level", "state": state,
                "reason": null, "observed_at": null, "source": "bus"})
        };
        let unit = |(address, serial, kind): &(u8, &str, &str)| {
            serde_json::json!({"bus": "b", "network": "254", "address": address, "type": kind, "catalogue": null,
                "firmware": null, "serial": serial, "part_name": null, "tag": null, "applications": [56],
                "volts": null, "volts_rule": null, "online_status": null, "duplicate": false, "in_db": null,
                "on_bus": true})
        };
        serde_json::from_value(serde_json::json!({
            "bus": "b", "backend": "cgate", "endpoint": "e", "project": null, "server_banner": null,
            "tool_version": "0", "started_at": "2026-03-01T00:00:00Z", "finished_at": "2026-03-01T00:00:01Z",
            "complete": complete, "incomplete_reasons": [], "warnings": [], "networks": [], "applications": [],
            "groups": groups.iter().map(group).collect::<Vec<_>>(),
            "units": units.iter().map(unit).collect::<Vec<_>>(),
            "unit_groups": [], "measurements": [],
        }))
        .unwrap()
    }

    fn lines(old: &Discovery, new: &Discovery, levels: bool) -> Vec<String> {
        diff(old, new, levels).iter().map(Change::to_string).collect()
    }

    #[test]
    fn groups() {
        let old = discovery(true, &[(1, "Porch", "ok", 0), (2, "Hall", "ok", 5), (3, "Attic", "ok", 1)], &[]);
        let new = discovery(
            true,
            &[(1, "Porch light", "ok", 9), (3, "Attic", "conflict", 1), (10, "New", "ok", 0)],
            &[],
        );
        let mut expect = vec![
            "renamed group 254/56/1 tag: \"Porch\" -> \"Porch light\"",
            "removed group 254/56/2 \"Hall\"",
            "changed group 254/56/3 state: \"ok\" -> \"conflict\"",
            "added group 254/56/10 \"New\"",
        ];
        assert_eq!(lines(&old, &new, false), expect);
        expect.insert(1, "changed group 254/56/1 level: \"0\" -> \"9\"");
        assert_eq!(lines(&old, &new, true), expect);
        assert!(lines(&old, &old, true).is_empty());
        let part = discovery(false, &[(1, "Porch", "unknown", 0)], &[]);
        assert_eq!(
            lines(&old, &part, false),
            ["not seen group 254/56/2 \"Hall\"", "not seen group 254/56/3 \"Attic\""]
        );
    }

    #[test]
    fn units_move_with_their_serial_number() {
        let old = discovery(
            true,
            &[],
            &[(1, "100.1", "DIMDN8"), (2, "100.2", "KEYGL5"), (3, "0.0", "X"), (4, "9", "Y")],
        );
        let new = discovery(
            true,
            &[],
            &[(1, "100.9", "RELDN12"), (5, "100.2", "KEYGL5"), (6, "0.0", "X"), (4, "9", "Y")],
        );
        assert_eq!(
            lines(&old, &new, false),
            [
                "replaced unit 254/1 serial: \"100.1\" -> \"100.9\"",
                "changed unit 254/1 type: \"DIMDN8\" -> \"RELDN12\"",
                "moved unit 254/2 address: \"254/2\" -> \"254/5\"",
                // No serial number tells that they are one.
                "removed unit 254/3",
                "added unit 254/6",
            ]
        );
    }

    #[test]
    fn units_that_changed_places_have_moved() {
        let units = |units: &[(u8, &str, &str)]| discovery(true, &[], units);
        let old = units(&[(1, "100.1", "A"), (2, "100.2", "B"), (3, "100.3", "C"), (4, "100.4", "D")]);
        let swapped = units(&[(1, "100.2", "B"), (2, "100.1", "A"), (3, "100.3", "C"), (4, "100.4", "D")]);
        let expect = [
            "moved unit 254/1 address: \"254/1\" -> \"254/2\"",
            "moved unit 254/2 address: \"254/2\" -> \"254/1\"",
        ];
        assert_eq!(lines(&old, &swapped, false), expect);
        // One takes the place of another that is gone, and a new one its own.
        let chain = units(&[(1, "100.9", "N"), (2, "100.1", "A2"), (3, "100.3", "C"), (4, "100.3", "D")]);
        assert_eq!(
            lines(&old, &chain, false),
            [
                "moved unit 254/1 address: \"254/1\" -> \"254/2\"",
                "changed unit 254/1 type: \"A\" -> \"A2\"",
                "added unit 254/1",
                "removed unit 254/2",
                // A number that stands twice tells nothing.
                "replaced unit 254/4 serial: \"100.4\" -> \"100.3\"",
            ]
        );
    }

    #[test]
    fn a_level_that_is_not_told_any_more_is_a_change_of_levels() {
        let ten = discovery(true, &[(1, "Porch", "unknown", 10)], &[]);
        let mut none = ten.clone();
        none.groups[0].level = None;
        assert_eq!(lines(&ten, &none, true), ["changed group 254/56/1 level: \"10\" -> unknown"]);
        assert_eq!(lines(&none, &ten, true), ["changed group 254/56/1 level: unknown -> \"10\""]);
        assert!(lines(&ten, &none, false).is_empty() && lines(&none, &none, true).is_empty());
    }
}

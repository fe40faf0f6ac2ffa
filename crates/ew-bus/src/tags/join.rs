//! Tags of a file put to what a bus said of itself.

use super::{TagNetwork, Tags};
use crate::{Application, Discovery, Group, Network, Origin, Unit, Warning};

const ONLY_IN_FILE: &str = "it is only in the tag file";

impl Tags {
    /// Gives labels to what has none, says of groups and units whether the file has them, and adds those that only the
    /// file has. What the bus or its server said stays.
    pub fn join(&self, discovery: &mut Discovery) {
        let networks: Vec<String> =
            discovery.networks.iter().map(|network| network.address.clone()).collect();
        for address in &networks {
            match self.network(address, networks.len()) {
                Some(tags) => join(tags, address, discovery),
                None => discovery.warnings.push(Warning {
                    code: None,
                    object: Some(address.clone()),
                    text: format!(
                        "the tag file has no network {address}; import-tags --network takes the one that is meant"
                    ),
                }),
            }
        }
        discovery.sort();
    }

    /// The network of that number; the only one is meant whatever a backend calls it.
    fn network(&self, address: &str, of: usize) -> Option<&TagNetwork> {
        match self.networks.as_slice() {
            [only] if of == 1 => Some(only),
            several => several.iter().find(|network| network.address == address),
        }
    }
}

fn join(tags: &TagNetwork, network: &str, discovery: &mut Discovery) {
    // What a whole scan did not show is not there.
    let on_bus = discovery.complete.filter(|complete| *complete).map(|_| false);
    let bus = discovery.bus.clone();
    for found in discovery.networks.iter_mut().filter(|found| found.address == network) {
        let Network { tag, interface_type, interface_address, .. } = found;
        fill(tag, &tags.tag);
        fill(interface_type, &tags.interface_type);
        fill(interface_address, &tags.interface_address);
    }
    for group in discovery.groups.iter_mut().filter(|group| group.network == network) {
        group.in_db = group.in_db.or(Some(false));
    }
    for unit in discovery.units.iter_mut().filter(|unit| unit.network == network) {
        unit.in_db = unit.in_db.or(Some(false));
    }
    for application in &tags.applications {
        let is_it =
            |found: &&mut Application| found.network == network && found.address == application.address;
        match discovery.applications.iter_mut().find(is_it) {
            Some(found) => fill(&mut found.tag, &application.tag),
            None => discovery.applications.push(Application {
                tag: application.tag.clone(),
                ..Application::new(&bus, network, application.address)
            }),
        }
        for group in &application.groups {
            let is_it = |found: &&mut Group| {
                (found.network.as_str(), found.application, found.address)
                    == (network, application.address, group.address)
            };
            match discovery.groups.iter_mut().find(is_it) {
                Some(found) => {
                    fill(&mut found.tag, &group.tag);
                    found.in_db = Some(true);
                }
                None => discovery.groups.push(Group {
                    tag: group.tag.clone(),
                    in_db: Some(true),
                    on_bus,
                    reason: Some(ONLY_IN_FILE.into()),
                    ..Group::new(&bus, network, application.address, group.address, Origin::File)
                }),
            }
        }
    }
    for unit in &tags.units {
        let is_it = |found: &&mut Unit| found.network == network && found.address == unit.address;
        match discovery.units.iter_mut().find(is_it) {
            Some(found) => {
                fill(&mut found.tag, &unit.tag);
                found.in_db = Some(true);
            }
            None => discovery.units.push(Unit {
                kind: unit.kind.clone(),
                catalogue: unit.catalogue.clone(),
                firmware: unit.firmware.clone(),
                serial: unit.serial.clone(),
                part_name: unit.part_name.clone(),
                tag: unit.tag.clone(),
                in_db: Some(true),
                on_bus,
                ..Unit::new(&bus, network, unit.address)
            }),
        }
    }
}

fn fill(tag: &mut Option<String>, with: &Option<String>) {
    if tag.is_none() {
        tag.clone_from(with);
    }
}

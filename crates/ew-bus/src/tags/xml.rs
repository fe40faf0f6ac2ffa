//! The document of Toolkit and of C-Gate's DBGETXML: Installation, Project, Network, Application, Group, Unit.

use super::{TagApplication, TagGroup, TagNetwork, TagUnit, Tags, tag_text};
use crate::xml::{Part, walk};

/// Stands for unused, as an application and as a group.
const UNUSED: u8 = 255;

/// Reads a document, of a whole installation or of a project or network alone.
pub fn tags_from_xml(text: &str) -> Result<Tags, String> {
    let mut found = Found::default();
    walk(text, |path, part| found.take(path, part))?;
    match found.is_of_a_project {
        true => Ok(found.tags),
        false => Err("it has no Installation, Project or Network".into()),
    }
}

/// What is being read.
#[derive(Default)]
struct Found {
    tags: Tags,
    is_of_a_project: bool,
    network: TagNetwork,
    /// Toolkit keeps a network's number apart from its address where it has both.
    network_number: Option<String>,
    application: TagApplication,
    group: Option<String>,
    unit: TagUnit,
    /// Addresses of the application, group and unit that are being read.
    addresses: [Option<u8>; 3],
}

const APPLICATION: usize = 0;
const GROUP: usize = 1;
const UNIT: usize = 2;

impl Found {
    fn take(&mut self, path: &[String], part: Part<'_>) {
        let last = path.last().map_or("", String::as_str);
        self.is_of_a_project |= ["Installation", "Project", "Network"].contains(&last);
        let from = path.iter().position(|name| name == "Network");
        let from = from.or_else(|| path.iter().position(|name| name == "Project")).unwrap_or(path.len());
        let mut inner: Vec<&str> = path[from..].iter().map(String::as_str).collect();
        match part {
            Part::Open(attributes) => {
                self.open(&inner, attributes);
                // A field may be an attribute as well as an element.
                for (name, value) in attributes {
                    inner.push(name);
                    self.close(&inner, value);
                    inner.pop();
                }
            }
            Part::Close(text) => self.close(&inner, text),
        }
    }

    fn open(&mut self, path: &[&str], attributes: &[(String, String)]) {
        match path {
            ["Network"] => (self.network, self.network_number) = (TagNetwork::default(), None),
            ["Network", "Application"] => {
                (self.application, self.addresses[APPLICATION]) = (TagApplication::default(), None);
            }
            ["Network", "Application", "Group"] => (self.group, self.addresses[GROUP]) = (None, None),
            ["Network", "Unit"] => (self.unit, self.addresses[UNIT]) = (TagUnit::default(), None),
            ["Network", "Unit", .., "PP"] => {
                let of = |wanted: &str| attributes.iter().find(|(name, _)| name == wanted).map(|(_, v)| v);
                match (of("Name").map(String::as_str), of("Value")) {
                    (Some("GroupAddress"), Some(value)) => self.unit.groups = used_bytes(value),
                    (Some("Application"), Some(value)) => self.unit.applications = Some(used_bytes(value)),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn close(&mut self, path: &[&str], text: &str) {
        let told = || tag_text(Some(text.to_owned()));
        let address = text.trim().parse::<u8>().ok();
        match path {
            ["Project", "TagName"] => self.tags.project = told(),
            ["Network"] => self.end_network(),
            ["Network", "NetworkNumber"] => self.network_number = told(),
            ["Network", "Address"] => self.network.address = text.trim().to_owned(),
            ["Network", "TagName"] => self.network.tag = told(),
            ["Network", "Interface", "InterfaceType"] => self.network.interface_type = told(),
            ["Network", "Interface", "InterfaceAddress"] => self.network.interface_address = told(),
            ["Network", "Application"] => self.end_application(),
            ["Network", "Application", "Address"] => self.addresses[APPLICATION] = address,
            ["Network", "Application", "TagName"] => self.application.tag = told(),
            ["Network", "Application", "Group"] => self.end_group(),
            ["Network", "Application", "Group", "Address"] => self.addresses[GROUP] = address,
            ["Network", "Application", "Group", "TagName"] => self.group = told(),
            ["Network", "Unit"] => self.end_unit(),
            ["Network", "Unit", "Address"] => self.addresses[UNIT] = address,
            ["Network", "Unit", "TagName"] => self.unit.tag = told(),
            ["Network", "Unit", "UnitType"] => self.unit.kind = told(),
            ["Network", "Unit", "UnitName"] => self.unit.part_name = told(),
            ["Network", "Unit", "SerialNumber"] => self.unit.serial = told(),
            ["Network", "Unit", "FirmwareVersion"] => self.unit.firmware = told(),
            ["Network", "Unit", "CatalogNumber"] => self.unit.catalogue = told(),
            _ => {}
        }
    }

    fn end_network(&mut self) {
        let network = std::mem::take(&mut self.network);
        let address = self.network_number.take().unwrap_or_else(|| network.address.clone());
        match address.is_empty() {
            false => self.tags.networks.push(TagNetwork { address, ..network }),
            true => self.leave_out("network", network.tag),
        }
    }

    fn end_application(&mut self) {
        let application = std::mem::take(&mut self.application);
        match self.addresses[APPLICATION].take() {
            Some(UNUSED) => self.tags.skipped += 1,
            Some(address) => self.network.applications.push(TagApplication { address, ..application }),
            None => self.leave_out("application", application.tag),
        }
    }

    fn end_group(&mut self) {
        let tag = self.group.take();
        match self.addresses[GROUP].take() {
            Some(UNUSED) => self.tags.skipped += 1,
            Some(address) => self.application.groups.push(TagGroup { address, tag }),
            None => self.leave_out("group", tag),
        }
    }

    fn end_unit(&mut self) {
        let unit = std::mem::take(&mut self.unit);
        match self.addresses[UNIT].take() {
            Some(address) => self.network.units.push(TagUnit { address, ..unit }),
            None => self.leave_out("unit", unit.tag),
        }
    }

    fn leave_out(&mut self, what: &str, tag: Option<String>) {
        let name = tag.map_or_else(String::new, |tag| format!(" {tag:?}"));
        self.tags.skipped += 1;
        self.tags.odd.push(format!("a {what}{name} has no address from 0 to 255 and is left out"));
    }
}

/// Bytes such as `0x1 0x2 0xff` without 255, each once, in order.
fn used_bytes(list: &str) -> Vec<u8> {
    let byte = |item: &str| match item.strip_prefix("0x") {
        Some(digits) => u8::from_str_radix(digits, 16).ok(),
        None => item.parse().ok(),
    };
    let mut bytes: Vec<u8> = list.split_whitespace().filter_map(byte).filter(|b| *b != UNUSED).collect();
    bytes.sort_unstable();
    bytes.dedup();
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const EXAMPLE: &str = include_str!("../../../../fixtures/cbus/project.xml");

    #[test]
    fn a_project() {
        let tags = tags_from_xml(EXAMPLE).unwrap();
        assert_eq!(tags.project.as_deref(), Some("HQ"));
        assert_eq!(tags.counts(), (2, 3, 4, 2));
        let network = &tags.networks[0];
        assert_eq!((network.address.as_str(), network.tag.as_deref()), ("254", Some("Local Network")));
        assert_eq!(network.interface_address.as_deref(), Some("192.0.2.20:10001"));
        let lighting = &network.applications[0];
        let groups: Vec<_> = lighting.groups.iter().map(|g| (g.address, g.tag.as_deref().unwrap())).collect();
        assert_eq!(groups, [(1, "Porch"), (2, "Hall & stairs"), (7, "Küche")]);
        assert_eq!(network.units[0].kind.as_deref(), Some("DIMDN8"));
        assert_eq!(network.units[0].serial.as_deref(), Some("100385.2535"));
        // A group 255, a group without an address.
        assert_eq!(tags.skipped, 2);
    }

    #[test]
    fn a_network_alone_and_attributes_in_place_of_elements() {
        let text = "<Network Address=\"253\" TagName=\"B\"><Application><Address>56</Address><Group Address='4' \
                    TagName='x&lt;y'/></Application></Network>";
        let tags = tags_from_xml(text).unwrap();
        assert_eq!(
            tags.networks[0].applications[0].groups,
            [TagGroup { address: 4, tag: Some("x<y".into()) }]
        );
        assert_eq!(tags.networks[0].tag.as_deref(), Some("B"));
    }

    #[test]
    fn keys_have_their_groups_and_triggers_their_levels() {
        let text = "<Network><Address>254</Address><Application><TagName>Trigger</TagName><Address>202</Address>\
                    <Group><TagName>Scene</TagName><Address>7</Address><Level Value=\"6\"><TagName>Six</TagName>\
                    <Address>6</Address></Level></Group><Group><TagName>Lost</TagName></Group></Application>\
                    <Unit><Address>5</Address><PP Name=\"Application\" Value=\"0x38 0xff\"/>\
                    <PP Name=\"GroupAddress\" Value=\"0x2 0x1 0xff 0x1\"/></Unit></Network>";
        let tags = tags_from_xml(text).unwrap();
        let network = &tags.networks[0];
        let scene = TagGroup { address: 7, tag: Some("Scene".into()) };
        assert_eq!(network.applications[0].groups, [scene]);
        assert_eq!(
            (&network.units[0].groups[..], &network.units[0].applications),
            (&[1, 2][..], &Some(vec![56]))
        );
        assert_eq!(tags.odd, ["a group \"Lost\" has no address from 0 to 255 and is left out"]);
    }

    #[test]
    fn what_is_no_xml_says_where() {
        assert!(tags_from_xml("<Installation><Project></Installation>").unwrap_err().contains("at byte"));
        assert!(tags_from_xml("<Installation><Project>").unwrap_err().contains("breaks off"));
        assert!(tags_from_xml(&"<a>".repeat(100)).unwrap_err().contains("deeper"));
    }

    proptest! {
        #[test]
        fn no_document_makes_it_panic(cut in 0..EXAMPLE.len(), noise in "[ -~]{0,6}") {
            let cut = (cut..).find(|at| EXAMPLE.is_char_boundary(*at)).unwrap();
            let _ = tags_from_xml(&format!("{}{noise}{}", &EXAMPLE[..cut], &EXAMPLE[cut..]));
        }
    }
}

//! What C-Gate's tag database says of its networks: DBGETXML of a network, a project or an installation. Pure.

use super::tree::UNUSED;
use super::xml::{Part, walk};

/// A network of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DbNetwork {
    pub(crate) address: u8,
    pub(crate) tag: Option<String>,
    pub(crate) interface_type: Option<String>,
    pub(crate) interface_address: Option<String>,
    pub(crate) applications: Vec<DbApplication>,
    pub(crate) units: Vec<DbUnit>,
}

/// An application of the database; never 255.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DbApplication {
    pub(crate) address: u8,
    pub(crate) tag: Option<String>,
    /// Address and tag; never 255.
    pub(crate) groups: Vec<(u8, Option<String>)>,
}

/// A unit of the database.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct DbUnit {
    pub(crate) address: u8,
    pub(crate) tag: Option<String>,
    pub(crate) kind: Option<String>,
    pub(crate) part_name: Option<String>,
    pub(crate) serial: Option<String>,
    pub(crate) firmware: Option<String>,
    pub(crate) catalogue: Option<String>,
    /// Without 255; none: not told.
    pub(crate) applications: Option<Vec<u8>>,
    /// Without 255.
    pub(crate) groups: Vec<u8>,
}

/// Every network of a document, and a line for each element that could not be used.
pub(crate) fn networks_of_xml(xml: &str) -> Result<(Vec<DbNetwork>, Vec<String>), String> {
    let mut found = Found::default();
    walk(xml, |path, part| found.take(path, part))?;
    Ok((found.networks, found.odd))
}

#[derive(Default)]
struct Found {
    networks: Vec<DbNetwork>,
    odd: Vec<String>,
    network: DbNetwork,
    application: DbApplication,
    unit: DbUnit,
    group: Option<String>,
    /// Addresses of the network, application, group and unit that are being read.
    addresses: [Option<u8>; 4],
}

const NETWORK: usize = 0;
const APPLICATION: usize = 1;
const GROUP: usize = 2;
const UNIT: usize = 3;

impl Found {
    fn take(&mut self, path: &[String], part: Part<'_>) {
        let from = path.iter().position(|name| name == "Network").unwrap_or(path.len());
        let inner: Vec<&str> = path[from..].iter().map(String::as_str).collect();
        match part {
            Part::Open(attributes) => self.open(&inner, attributes),
            Part::Close(text) => self.close(&inner, text),
        }
    }

    fn open(&mut self, path: &[&str], attributes: &[(String, String)]) {
        match path {
            ["Network"] => (self.network, self.addresses[NETWORK]) = (DbNetwork::default(), None),
            ["Network", "Application"] => {
                (self.application, self.addresses[APPLICATION]) = (DbApplication::default(), None);
            }
            ["Network", "Application", "Group"] => (self.group, self.addresses[GROUP]) = (None, None),
            ["Network", "Unit"] => (self.unit, self.addresses[UNIT]) = (DbUnit::default(), None),
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
        let told = || (!text.is_empty()).then(|| text.to_owned());
        let address = text.parse::<u8>().ok();
        match path {
            ["Network"] => self.end_network(),
            // Toolkit keeps the number apart from the address where it has both.
            ["Network", "NetworkNumber"] => self.addresses[NETWORK] = address.or(self.addresses[NETWORK]),
            ["Network", "Address"] => self.addresses[NETWORK] = self.addresses[NETWORK].or(address),
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
        match self.addresses[NETWORK].take() {
            Some(address) => self.networks.push(DbNetwork { address, ..network }),
            None => self.leave_out("network", network.tag),
        }
    }

    fn end_application(&mut self) {
        let application = std::mem::take(&mut self.application);
        match self.addresses[APPLICATION].take() {
            Some(UNUSED) => {}
            Some(address) => self.network.applications.push(DbApplication { address, ..application }),
            None => self.leave_out("application", application.tag),
        }
    }

    fn end_group(&mut self) {
        let tag = self.group.take();
        match self.addresses[GROUP].take() {
            Some(UNUSED) => {}
            Some(address) => self.application.groups.push((address, tag)),
            None => self.leave_out("group", tag),
        }
    }

    fn end_unit(&mut self) {
        let unit = std::mem::take(&mut self.unit);
        match self.addresses[UNIT].take() {
            Some(address) => self.network.units.push(DbUnit { address, ..unit }),
            None => self.leave_out("unit", unit.tag),
        }
    }

    fn leave_out(&mut self, what: &str, tag: Option<String>) {
        let name = tag.map_or_else(String::new, |tag| format!(" {tag:?}"));
        self.odd
            .push(format!("a {what}{name} of the tag database has no address from 0 to 255 and is left out"));
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

    #[test]
    fn an_installation_with_all_that_is_odd_in_it() {
        let xml = "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Installation><DBVersion>2.3</DBVersion><Project>\
            <TagName>HOME</TagName><Address>HOME</Address><Network><TagName>Local</TagName><Address>1</Address>\
            <NetworkNumber>254</NetworkNumber><Interface><InterfaceType>Cni</InterfaceType>\
            <InterfaceAddress>192.0.2.5:10001</InterfaceAddress></Interface><Application><TagName>Lighting</TagName>\
            <Address>56</Address><Group><TagName>&lt;Unused&gt;</TagName><Address>255</Address></Group>\
            <Group><TagName>Kitchen &amp; hall</TagName><Address>1</Address><TagsDLT><TagDLT><TagType>TEXT</TagType>\
            </TagDLT></TagsDLT></Group><Group><TagName>Lost</TagName></Group></Application>\
            <Application><TagName>Trigger</TagName><Address>202</Address><Group><TagName>Scene</TagName>\
            <Address>7</Address><Level Value=\"6\"><TagName>Six</TagName><Address>6</Address></Level></Group>\
            </Application><Application><Address>255</Address></Application><Unit><TagName>Keys</TagName>\
            <Address>5</Address><UnitType>KEYGL5</UnitType><SerialNumber>1.2</SerialNumber>\
            <PP Name=\"Application\" Value=\"0x38 0xff\"/><PP Name=\"GroupAddress\" Value=\"0x2 0x1 0xff 0x1\"/></Unit>\
            </Network></Project></Installation>";
        let (networks, odd) = networks_of_xml(xml).unwrap();
        let [network] = &networks[..] else { panic!("{networks:?}") };
        assert_eq!((network.address, network.tag.as_deref()), (254, Some("Local")));
        assert_eq!(network.interface_address.as_deref(), Some("192.0.2.5:10001"));
        let groups: Vec<_> = network.applications.iter().map(|a| (a.address, a.groups.clone())).collect();
        let tag = |text: &str| Some(text.to_owned());
        assert_eq!(groups, [(56, vec![(1, tag("Kitchen & hall"))]), (202, vec![(7, tag("Scene"))])]);
        assert_eq!(network.units[0].groups, [1, 2]);
        assert_eq!(network.units[0].applications.as_deref(), Some(&[56][..]));
        let lost = "a group \"Lost\" of the tag database has no address from 0 to 255 and is left out";
        assert_eq!(odd, [lost]);
    }
}

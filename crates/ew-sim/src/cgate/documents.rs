//! The documents of a network: TREE, TREEXML, TREEXMLDETAIL, DBGETXML.

use super::project::{Application, Network, Project, Unit};
use std::fmt::Write;

/// The group and application that stand for none.
const UNUSED: u8 = 255;

/// How much of a network is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// All of it.
    Whole,
    /// What is told during a synchronisation: units with the management application alone.
    Syncing,
}

/// TREE's lines, the last one apart.
pub(crate) fn tree(project: &str, network: &Network, state: &str, stage: Stage, lost: &[u8]) -> Vec<String> {
    let at = format!("//{project}/{}", network.address);
    let mut lines = vec![
        format!(
            " Network name:{} type={} address={} state={state}",
            network.address, network.interface, network.interface_address
        ),
        format!("  Unit count={}", network.units.len()),
        " Units:".to_owned(),
    ];
    for unit in &network.units {
        let applications: Vec<String> =
            both(unit, stage).iter().map(|app| format!("{app}(${app:x})")).collect();
        lines.push(format!(
            "{at}/p/{} (${:x}) type={} app={} state=ok groups={}",
            unit.address,
            unit.address,
            unit.kind,
            applications.join(", "),
            list(groups(unit, stage)),
        ));
    }
    lines.push("Applications:".into());
    for application in network.applications.iter().filter(|_| stage == Stage::Whole) {
        let address = application.address;
        lines.push(format!(" Application {address} (${address:x}) [{}]", application.tag.to_lowercase()));
        lines.push(" Groups:".into());
        for group in application.seen() {
            let is_lost = lost.contains(&group.address);
            let units: Vec<u8> = network.units_of(address, group.address).collect();
            lines.push(format!(
                "  {at}/{address}/{} (${:x}) level={} state={} units={} ",
                group.address,
                group.address,
                if is_lost { 0 } else { group.level.unwrap_or(0) },
                if is_lost { "error" } else { "ok" },
                list(&units),
            ));
        }
    }
    lines
}

/// TREEXML's lines, with `detail` TREEXMLDETAIL's.
pub(crate) fn tree_xml(network: &Network, detail: bool, stage: Stage) -> Vec<String> {
    let mut lines = vec!["<Network>".to_owned()];
    for unit in &network.units {
        lines.push(" <Unit>".into());
        let mut add = |name: &str, value: &str| lines.push(format!("  <{name}>{}</{name}>", escaped(value)));
        if unit.duplicate {
            add("Error", "DUPLICATE");
            add("Address", &unit.address.to_string());
        } else {
            let applications: Vec<String> = both(unit, stage).iter().map(u8::to_string).collect();
            add("Type", &unit.kind);
            add("CatalogueNumber", &unit.catalogue);
            add("Version", &unit.firmware);
            add("SerialNo", &unit.serial);
            add("Address", &unit.address.to_string());
            add("PartName", &format!("{:8}", unit.part_name));
            add("Application", &applications.join(", "));
            add("Groups", &list(groups(unit, stage)));
            add("Voltage", &unit.volts);
            add("Burden", "no");
            add("Clock", if unit.clock { "yes" } else { "no" });
            if detail {
                add("State", if stage == Stage::Whole { "ok" } else { "new" });
                add("OnlineStatus", if unit.tag.is_some() { "online" } else { "new" });
            }
        }
        lines.push(" </Unit>".into());
    }
    lines.push("</Network>".into());
    lines
}

/// The tag database of a network, or of the project with all its networks: one line.
pub(crate) fn database(project: &Project, network: Option<&Network>, bytes_min: usize) -> String {
    let mut xml = String::new();
    match network {
        Some(network) => add_network(&mut xml, network, bytes_min),
        None => {
            let name = escaped(&project.name);
            xml.push_str("<Installation><DBVersion>2.3</DBVersion><Version>1.0</Version>");
            let _ = write!(xml, "<Project><TagName>{name}</TagName><Address>{name}</Address>");
            for network in &project.networks {
                add_network(&mut xml, network, bytes_min);
            }
            xml.push_str("</Project></Installation>");
        }
    }
    xml
}

fn add_network(xml: &mut String, network: &Network, bytes_min: usize) {
    let _ = write!(
        xml,
        "<Network>{}<TagName>{}</TagName><Address>{2}</Address><NetworkNumber>{2}</NetworkNumber><Interface>\
         <InterfaceType>{3}</InterfaceType><InterfaceAddress>{4}</InterfaceAddress></Interface>",
        oid(u32::from(network.address)),
        escaped(&network.tag),
        network.address,
        escaped(&network.interface),
        escaped(&network.interface_address),
    );
    for application in &network.applications {
        add_application(xml, application);
    }
    for unit in network.units.iter().filter(|unit| unit.tag.is_some()) {
        add_unit(xml, unit);
    }
    // Other units, as a large site has them; they have no address, which a reader has to bear.
    for n in 0.. {
        if xml.len() >= bytes_min {
            break;
        }
        let _ = write!(
            xml,
            "<Spare>{}<TagName>Spare {n}</TagName><PP Name=\"X\" Value=\"0x0\"/></Spare>",
            oid(n)
        );
    }
    xml.push_str("</Network>");
}

fn add_application(xml: &mut String, application: &Application) {
    let (tag, address) = (escaped(&application.tag), application.address);
    let _ = write!(xml, "<Application><TagName>{tag}</TagName><Address>{address}</Address>");
    for group in &application.groups {
        let Some(tag) = &group.tag else { continue };
        let _ = write!(xml, "<Group><TagName>{}</TagName><Address>{}</Address>", escaped(tag), group.address);
        for level in &group.levels {
            let _ = write!(
                xml,
                "<Level Value=\"{0}\"><TagName>{1}</TagName><Address>{0}</Address><TagsDLT/></Level>",
                level.value,
                escaped(&level.tag)
            );
        }
        xml.push_str("</Group>");
    }
    xml.push_str("</Application>");
}

fn add_unit(xml: &mut String, unit: &Unit) {
    let _ = write!(
        xml,
        "<Unit>{}<TagName>{}</TagName><Address>{}</Address><UnitType>{}</UnitType><UnitName>{}</UnitName>\
         <SerialNumber>{}</SerialNumber><FirmwareVersion>{}</FirmwareVersion>",
        oid(u32::from(unit.address)),
        escaped(unit.tag.as_deref().unwrap_or_default()),
        unit.address,
        escaped(&unit.kind),
        escaped(&unit.part_name),
        escaped(&unit.serial),
        escaped(&unit.firmware),
    );
    let hex = |numbers: &[u8]| numbers.iter().map(|n| format!("0x{n:x}")).collect::<Vec<_>>().join(" ");
    let mut groups = unit.programmed_groups.clone().unwrap_or_else(|| unit.groups.clone());
    groups.resize(groups.len().max(8), UNUSED);
    let _ = write!(xml, "<PP Name=\"Application\" Value=\"{}\"/>", hex(&both(unit, Stage::Whole)));
    let _ = write!(xml, "<PP Name=\"GroupAddress\" Value=\"{}\"/>", hex(&groups));
    let _ = write!(xml, "<CatalogNumber>{}</CatalogNumber></Unit>", escaped(&unit.catalogue));
}

fn oid(number: u32) -> String {
    format!("<OID>555c9a40-fe17-1026-a725-{number:012x}</OID>")
}

/// The two applications that every unit has.
fn both(unit: &Unit, stage: Stage) -> [u8; 2] {
    let of = |at: usize| unit.applications.get(at).copied().unwrap_or(UNUSED);
    match stage {
        Stage::Whole => [of(0), of(1)],
        Stage::Syncing => [UNUSED, UNUSED],
    }
}

fn groups(unit: &Unit, stage: Stage) -> &[u8] {
    match stage {
        Stage::Whole => &unit.groups,
        Stage::Syncing => &[],
    }
}

pub(crate) fn list(numbers: &[u8]) -> String {
    numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(",")
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

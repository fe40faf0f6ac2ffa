//! The document of Toolkit and of C-Gate's DBGETXML: Installation, Project, Network, Application, Group, Unit.

use super::{TagApplication, TagGroup, TagNetwork, TagUnit, Tags, tag_address, tag_text};
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use std::collections::HashMap;
use std::mem;

const DEPTH_MAX: usize = 64;

/// An element that has other elements of interest, or none but fields.
#[derive(Default)]
struct Node {
    name: String,
    text: String,
    /// Its attributes and its elements that only have text.
    fields: HashMap<String, String>,
    tags: Tags,
    network: TagNetwork,
    application: TagApplication,
}

impl Node {
    fn field(&mut self, name: &str) -> Option<String> {
        tag_text(self.fields.remove(name))
    }

    fn address(&mut self) -> Option<u8> {
        tag_address(self.fields.get("Address").map(String::as_str))
    }
}

/// Reads a document, of a whole installation or of a project or network alone.
pub fn tags_from_xml(text: &str) -> Result<Tags, String> {
    let mut reader = Reader::from_str(text);
    let mut stack = vec![Node::default()];
    let mut is_of_a_project = false;
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|e| format!("it is no XML: at byte {at}: {e}"))?;
        match event {
            Event::Start(start) => {
                if stack.len() > DEPTH_MAX {
                    return Err(format!("elements are nested deeper than {DEPTH_MAX}"));
                }
                stack.push(node(&start));
            }
            Event::Empty(start) => {
                let node = node(&start);
                close(&mut stack, node);
            }
            Event::End(_) => {
                // The reader has seen to it that each end has its start.
                let Some(node) = stack.pop() else { break };
                is_of_a_project |= ["Installation", "Project", "Network"].contains(&node.name.as_str());
                close(&mut stack, node);
            }
            Event::Text(piece) => push(&mut stack, &piece.xml10_content()),
            Event::CData(piece) => push(&mut stack, &piece.xml10_content()),
            Event::GeneralRef(reference) => {
                let character = reference.resolve_char_ref().ok().flatten().map(String::from);
                let entity = quick_xml::escape::resolve_predefined_entity(&reference).map(str::to_owned);
                push(&mut stack, &character.or(entity).unwrap_or_default());
            }
            Event::Eof => break,
            _ => {}
        }
    }
    match stack.pop() {
        Some(root) if stack.is_empty() && is_of_a_project => Ok(root.tags),
        Some(_) if !stack.is_empty() => Err("it is no XML: it breaks off".into()),
        _ => Err("it has no Installation, Project or Network".into()),
    }
}

fn node(start: &BytesStart<'_>) -> Node {
    let attribute = |a: quick_xml::events::attributes::Attribute<'_>| {
        (
            a.key.0.to_owned(),
            a.normalized_value(XmlVersion::Implicit1_0).map(|value| value.into_owned()).unwrap_or_default(),
        )
    };
    let fields = start.attributes().flatten().map(attribute).collect();
    Node { name: start.name().0.to_owned(), fields, ..Node::default() }
}

fn push(stack: &mut [Node], piece: &str) {
    if let Some(top) = stack.last_mut() {
        top.text += piece;
    }
}

/// Hands an element over to the one around it.
fn close(stack: &mut [Node], mut node: Node) {
    let Some(parent) = stack.last_mut() else { return };
    match node.name.as_str() {
        "Installation" => parent.tags = mem::take(&mut node.tags),
        "Project" => {
            let project = node.field("TagName");
            let skipped = parent.tags.skipped;
            parent.tags = mem::take(&mut node.tags);
            parent.tags.skipped += skipped;
            parent.tags.project = project;
        }
        "Interface" => {
            parent.network.interface_type = node.field("InterfaceType");
            parent.network.interface_address = node.field("InterfaceAddress");
        }
        "Network" => {
            let number = node.field("NetworkNumber").or_else(|| node.field("Address"));
            parent.tags.skipped += node.tags.skipped;
            match number {
                Some(address) => {
                    let tag = node.field("TagName");
                    let network = mem::take(&mut node.network);
                    parent.tags.networks.push(TagNetwork { address, tag, ..network });
                }
                None => parent.tags.skipped += 1,
            }
        }
        "Application" => {
            parent.tags.skipped += node.tags.skipped;
            match node.address() {
                Some(address) => {
                    let (tag, groups) = (node.field("TagName"), mem::take(&mut node.application.groups));
                    parent.network.applications.push(TagApplication { address, tag, groups });
                }
                None => parent.tags.skipped += 1,
            }
        }
        "Group" => match node.address() {
            Some(address) => {
                parent.application.groups.push(TagGroup { address, tag: node.field("TagName") });
            }
            None => parent.tags.skipped += 1,
        },
        "Unit" => match node.fields.get("Address").and_then(|text| text.trim().parse().ok()) {
            Some(address) => parent.network.units.push(TagUnit {
                address,
                tag: node.field("TagName"),
                kind: node.field("UnitType"),
                part_name: node.field("UnitName"),
                serial: node.field("SerialNumber"),
                firmware: node.field("FirmwareVersion"),
                catalogue: node.field("CatalogNumber"),
            }),
            None => parent.tags.skipped += 1,
        },
        _ => {
            parent.fields.insert(node.name, node.text);
        }
    }
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

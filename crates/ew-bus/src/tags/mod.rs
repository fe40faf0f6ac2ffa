//! What networks, applications, groups and units are called, by a tag file, and how that joins a discovery.

mod file;
mod join;
mod xml;

use serde::{Deserialize, Serialize};

pub use file::{TagFile, read_tag_file};
pub use xml::tags_from_xml;

/// The tags of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tags {
    /// The project's name.
    pub project: Option<String>,
    /// Its networks.
    pub networks: Vec<TagNetwork>,
    /// Elements without a usable address, and those that stand for unused (255): they are left out.
    pub skipped: u32,
    /// A line for each of them that has no address.
    #[serde(default)]
    pub odd: Vec<String>,
}

/// A network of a project.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagNetwork {
    /// Its number, as text.
    pub address: String,
    /// Its label.
    pub tag: Option<String>,
    /// Such as `cni`.
    pub interface_type: Option<String>,
    /// Where the interface is.
    pub interface_address: Option<String>,
    /// Its applications.
    pub applications: Vec<TagApplication>,
    /// Its units.
    pub units: Vec<TagUnit>,
}

/// An application of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagApplication {
    /// 0..254.
    pub address: u8,
    /// Its label.
    pub tag: Option<String>,
    /// Its groups.
    pub groups: Vec<TagGroup>,
}

/// A group of an application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagGroup {
    /// 0..254.
    pub address: u8,
    /// Its label.
    pub tag: Option<String>,
}

/// A unit of a network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TagUnit {
    /// 0..255.
    pub address: u8,
    /// Its label.
    pub tag: Option<String>,
    /// Such as `DIMDN8`.
    pub kind: Option<String>,
    /// Eight characters of its own.
    pub part_name: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// Catalogue number.
    pub catalogue: Option<String>,
    /// Those it is programmed for, without 255; none: not told.
    #[serde(default)]
    pub applications: Option<Vec<u8>>,
    /// Those it is programmed for, without 255.
    #[serde(default)]
    pub groups: Vec<u8>,
}

/// What of the text of an address counts: 0..254; 255 stands for unused.
pub fn tag_address(text: Option<&str>) -> Option<u8> {
    text?.trim().parse().ok().filter(|address| *address != u8::MAX)
}

/// A text without the blanks around it; an empty one says nothing.
pub fn tag_text(text: Option<String>) -> Option<String> {
    let text = text?;
    let trimmed = text.trim();
    if trimmed.is_empty() { None } else { Some(trimmed.to_owned()) }
}

impl Tags {
    /// How many networks, applications, groups and units have a row.
    pub fn counts(&self) -> (usize, usize, usize, usize) {
        let applications = || self.networks.iter().flat_map(|network| &network.applications);
        (
            self.networks.len(),
            applications().count(),
            applications().map(|application| application.groups.len()).sum(),
            self.networks.iter().map(|network| network.units.len()).sum(),
        )
    }
}

//! What a backend found. Every document, table and file has these names; null is what it could not tell.

use ew_core::Timestamp;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One discovery of one bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Discovery {
    /// As in `ew.toml`.
    pub bus: String,
    /// `exec`, `cgate`, `cni` or `pci`.
    pub backend: String,
    /// The far side, without secrets.
    pub endpoint: String,
    /// C-Gate's project.
    pub project: Option<String>,
    /// How the far side introduced itself.
    pub server_banner: Option<String>,
    /// The version of the program that asked.
    pub tool_version: String,
    /// When it began.
    #[serde(with = "time")]
    pub started_at: Timestamp,
    /// When it was whole.
    #[serde(with = "time")]
    pub finished_at: Timestamp,
    /// Whether nothing is missing; null where the backend cannot tell.
    pub complete: Option<bool>,
    /// What is missing.
    pub incomplete_reasons: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
    /// By address.
    pub networks: Vec<Network>,
    /// By network and address.
    pub applications: Vec<Application>,
    /// By network, application and address.
    pub groups: Vec<Group>,
    /// By network and address.
    pub units: Vec<Unit>,
    /// Which unit acts on which group.
    pub unit_groups: Vec<UnitGroup>,
    /// By network, device and channel.
    pub measurements: Vec<Measurement>,
}

/// Something odd that was not fatal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Warning {
    /// The far side's code, where it has one.
    pub code: Option<u16>,
    /// What it is about.
    pub object: Option<String>,
    /// In words.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(object) = &self.object {
            write!(f, "{object}: ")?;
        }
        f.write_str(&self.text)
    }
}

/// Where a row comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Seen on the bus.
    Bus,
    /// In the server's tag database.
    Db,
    /// In a tag file.
    File,
    /// Said by a child.
    Exec,
    /// Every application with every group, where a child tells them apart only: some may not exist.
    Product,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Network {
    /// As in `ew.toml`.
    pub bus: String,
    /// As the backend writes it.
    pub address: String,
    /// Its label.
    pub tag: Option<String>,
    /// C-Gate's State.
    pub state: Option<String>,
    /// C-Gate's InterfaceState.
    pub interface_state: Option<String>,
    /// C-Gate's SyncState.
    pub sync_state: Option<String>,
    /// Such as `cni`.
    pub interface_type: Option<String>,
    /// Where the interface is.
    pub interface_address: Option<String>,
    /// The bridges on the way.
    pub bridge_path: Option<String>,
}

/// An application of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Application {
    /// As in `ew.toml`.
    pub bus: String,
    /// Its network.
    pub network: String,
    /// 0..255.
    pub address: u8,
    /// Its label.
    pub tag: Option<String>,
    /// By its number: lighting, trigger, measurement, …
    pub kind: Option<String>,
}

impl Network {
    /// Of which only the address is told, as with every row's `new`.
    pub(crate) fn new(bus: &str, address: &str) -> Network {
        Network {
            bus: bus.to_owned(),
            address: address.to_owned(),
            tag: None,
            state: None,
            interface_state: None,
            sync_state: None,
            interface_type: None,
            interface_address: None,
            bridge_path: None,
        }
    }
}

impl Application {
    pub(crate) fn new(bus: &str, network: &str, address: u8) -> Application {
        Application {
            bus: bus.to_owned(),
            network: network.to_owned(),
            address,
            tag: None,
            kind: application_kind(address).map(str::to_owned),
        }
    }
}

impl Group {
    pub(crate) fn new(bus: &str, network: &str, application: u8, address: u8, source: Origin) -> Group {
        Group {
            bus: bus.to_owned(),
            network: network.to_owned(),
            application,
            address,
            tag: None,
            in_db: None,
            on_bus: None,
            level: None,
            level_source: LevelSource::None,
            state: GroupState::Unknown,
            reason: None,
            observed_at: None,
            source,
        }
    }
}

impl Unit {
    pub(crate) fn new(bus: &str, network: &str, address: u8) -> Unit {
        Unit {
            bus: bus.to_owned(),
            network: network.to_owned(),
            address,
            kind: None,
            catalogue: None,
            firmware: None,
            serial: None,
            part_name: None,
            tag: None,
            applications: None,
            volts: None,
            volts_rule: None,
            online_status: None,
            duplicate: None,
            in_db: None,
            on_bus: None,
        }
    }
}

/// What an application is for, by its number; none for those without a name of their own.
fn application_kind(address: u8) -> Option<&'static str> {
    match address {
        0x19 => Some("temperature"),
        0x30..=0x5F => Some("lighting"),
        0x88 => Some("heating"),
        0xAC => Some("air_conditioning"),
        0xCA => Some("trigger"),
        0xCB => Some("enable"),
        0xCE => Some("error_reporting"),
        0xD0 => Some("security"),
        0xD1 => Some("metering"),
        0xDF => Some("clock"),
        0xE4 => Some("measurement"),
        _ => None,
    }
}

/// A group of an application.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// As in `ew.toml`.
    pub bus: String,
    /// Its network.
    pub network: String,
    /// Its application.
    pub application: u8,
    /// 0..254.
    pub address: u8,
    /// Its label.
    pub tag: Option<String>,
    /// In the server's tag database or a tag file.
    pub in_db: Option<bool>,
    /// Seen on the bus.
    pub on_bus: Option<bool>,
    /// 0..255; null: see `state`.
    pub level: Option<u8>,
    /// What told the level.
    pub level_source: LevelSource,
    /// What is known of it.
    pub state: GroupState,
    /// Why there is no level.
    pub reason: Option<String>,
    /// When its level was told.
    #[serde(with = "optional_time")]
    pub observed_at: Option<Timestamp>,
    /// What the row rests on.
    pub source: Origin,
}

/// What told a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LevelSource {
    /// A level.
    Level,
    /// Only on or off is known; an ON is no level 255.
    Binary,
    /// A child.
    Exec,
    /// Nothing.
    None,
}

/// What is known of a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// It has a level.
    Ok,
    /// On, by a binary status.
    On,
    /// Off, by a binary status.
    Off,
    /// No unit on the bus drives it.
    Absent,
    /// Two outputs disagree.
    Conflict,
    /// The answer was damaged.
    Corrupt,
    /// The far side said error.
    Error,
    /// It has none, as a trigger has none.
    NoLevel,
    /// The backend has no way to ask for it.
    Unasked,
    /// Not told.
    Unknown,
}

/// A unit of a network.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unit {
    /// As in `ew.toml`.
    pub bus: String,
    /// Its network.
    pub network: String,
    /// 0..255.
    pub address: u8,
    /// Such as `DIMDN8`.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// Catalogue number.
    pub catalogue: Option<String>,
    /// Firmware version.
    pub firmware: Option<String>,
    /// Serial number.
    pub serial: Option<String>,
    /// Eight characters of its own.
    pub part_name: Option<String>,
    /// Its label.
    pub tag: Option<String>,
    /// Those it works in; null: not told.
    pub applications: Option<Vec<u8>>,
    /// Its supply.
    pub volts: Option<f64>,
    /// How the volts were computed from the raw reading.
    pub volts_rule: Option<String>,
    /// C-Gate's OnlineStatus or State.
    pub online_status: Option<String>,
    /// Two units have this address.
    pub duplicate: Option<bool>,
    /// In the tag database or a tag file.
    pub in_db: Option<bool>,
    /// Seen on the bus.
    pub on_bus: Option<bool>,
}

/// A unit acts on a group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnitGroup {
    /// As in `ew.toml`.
    pub bus: String,
    /// The network of both.
    pub network: String,
    /// The unit's address.
    pub unit: u8,
    /// The group's application; null where only the group was told.
    pub application: Option<u8>,
    /// The group.
    pub group: u8,
}

/// A channel of a measuring device.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Measurement {
    /// As in `ew.toml`.
    pub bus: String,
    /// Its network.
    pub network: String,
    /// Device id.
    pub device: u8,
    /// Channel.
    pub channel: u8,
    /// The number as told, before the exponent; null: never heard.
    pub value: Option<String>,
    /// Power of ten.
    pub exponent: Option<i32>,
    /// APP/28's number.
    pub unit_code: Option<u8>,
    /// In words, such as `W`.
    pub unit: Option<String>,
    /// How old the reading was; null: never heard.
    pub age_ms: Option<u64>,
    /// It is a reading.
    pub valid: bool,
    /// When it was told.
    #[serde(with = "optional_time")]
    pub observed_at: Option<Timestamp>,
}

/// The levels of groups, for the log.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Levels {
    /// Each with a level, or without and with a reason.
    pub groups: Vec<Group>,
    /// What could not be asked.
    pub incomplete_reasons: Vec<String>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// Networks in the order of their numbers, others after them by name.
pub fn network_order(address: &str) -> (u32, &str) {
    (address.parse().unwrap_or(u32::MAX), address)
}

impl Discovery {
    /// Brings every list into the order of addresses, so that two discoveries compare well.
    pub fn sort(&mut self) {
        self.networks.sort_by(|a, b| network_order(&a.address).cmp(&network_order(&b.address)));
        self.applications.sort_by(|a, b| {
            (network_order(&a.network), a.address).cmp(&(network_order(&b.network), b.address))
        });
        self.groups.sort_by(|a, b| {
            let key = |g: &Group| (g.application, g.address);
            (network_order(&a.network), key(a)).cmp(&(network_order(&b.network), key(b)))
        });
        self.units.sort_by(|a, b| {
            (network_order(&a.network), a.address).cmp(&(network_order(&b.network), b.address))
        });
        self.unit_groups.sort_by(|a, b| {
            let key = |g: &UnitGroup| (g.unit, g.application, g.group);
            (network_order(&a.network), key(a)).cmp(&(network_order(&b.network), key(b)))
        });
        self.measurements.sort_by(|a, b| {
            let key = |m: &Measurement| (m.device, m.channel);
            (network_order(&a.network), key(a)).cmp(&(network_order(&b.network), key(b)))
        });
    }
}

mod time {
    use ew_core::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(time)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

mod optional_time {
    use ew_core::Timestamp;
    use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(
        time: &Option<Timestamp>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_string()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Timestamp>, D::Error> {
        let text = Option::<String>::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom)).transpose()
    }
}

//! `[export.format.metermail]`.

use crate::Decimals;
use crate::xml::XmlText;
use ew_core::Stamp;
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};

/// `[export.format.metermail]`. A text that may be left out and is blank is no attribute.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetermailOptions {
    /// Of the meter.
    pub device_name: XmlText,
    /// Of its namespace.
    #[serde(default = "ion")]
    pub device_namespace: XmlText,
    /// What it is.
    #[serde(default = "downstream")]
    pub device_type: XmlText,
    /// Its signature.
    #[serde(default)]
    pub device_signature: XmlText,
    /// Of its recorder.
    pub data_recorder_id: XmlText,
    /// Of its recorder.
    pub data_recorder_label: XmlText,
    /// Of its recorder.
    #[serde(default)]
    pub data_recorder_handle: XmlText,
    /// What made the file.
    #[serde(default = "mediator")]
    pub generated_by: XmlText,
    /// Its namespace.
    #[serde(default = "mediator_file")]
    pub generated_by_namespace: XmlText,
    /// Its type.
    #[serde(default)]
    pub generated_by_type: XmlText,
    /// Its signature.
    #[serde(default)]
    pub generated_by_signature: XmlText,
    /// Whether `Data` is in an envelope.
    #[serde(default = "yes")]
    pub envelope: bool,
    /// Digits after the point; left out: the shortest text that reads back as the same number.
    #[serde(default)]
    pub decimals: Option<Decimals>,
    /// Which end of its interval a row's timestamp is, where the job has intervals.
    #[serde(default)]
    pub stamp: Stamp,
    /// By point.
    channels: Channels,
}

fn ion() -> XmlText {
    XmlText::from_static("IONEnterprise")
}
fn downstream() -> XmlText {
    XmlText::from_static("presumed downstream device")
}
fn mediator() -> XmlText {
    XmlText::from_static("Mediator MMA File v1.x")
}
fn mediator_file() -> XmlText {
    XmlText::from_static("Mediator Generated File")
}
fn yes() -> bool {
    true
}

impl MetermailOptions {
    /// The channels, each with its point.
    pub(super) fn channels(&self) -> impl Iterator<Item = (&str, &Channel)> {
        self.channels.0.iter().map(|(point, channel)| (point.as_str(), channel))
    }
}

/// One channel of the recorder.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    id: ChannelId,
    /// What it is called.
    pub label: XmlText,
    /// Its position.
    #[serde(default)]
    pub pos: XmlText,
}

impl Channel {
    /// The name of its attribute in a record.
    pub fn id(&self) -> &str {
        &self.id.0
    }
}

/// An attribute's name, ASCII, other than `ts`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "String")]
struct ChannelId(String);

impl TryFrom<String> for ChannelId {
    type Error = String;

    fn try_from(id: String) -> Result<ChannelId, String> {
        let begins = id.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        let goes_on = id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        // XML 1.0, section 2.3 keeps names that begin with xml for itself.
        let is_taken = id == "ts" || id.to_ascii_lowercase().starts_with("xml");
        match begins && goes_on && !is_taken {
            true => Ok(ChannelId(id)),
            false => Err(format!(
                "{id:?} cannot be a channel's id: it is an attribute's name, of letters, digits, _ - and ."
            )),
        }
    }
}

/// The channels by point, each id once.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Channel>")]
struct Channels(BTreeMap<String, Channel>);

impl TryFrom<BTreeMap<String, Channel>> for Channels {
    type Error = String;

    fn try_from(channels: BTreeMap<String, Channel>) -> Result<Channels, String> {
        let mut ids = HashMap::new();
        for (point, channel) in &channels {
            if let Some(other) = ids.insert(channel.id(), point) {
                return Err(format!("{other} and {point} are both the channel {:?}", channel.id()));
            }
        }
        Ok(Channels(channels))
    }
}

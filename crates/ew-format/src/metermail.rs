//! MeterMail: the push messages of ION meters, XML in an envelope like SOAP's.
//!
//! One `DR` per timestamp, an attribute per channel, named by the channel's id; a null has none. Times show the
//! job's zone, `Z` in UTC.

use crate::output::{Output, Times, push_number};
use crate::summer::Summer;
use crate::xml::{XmlText, push_escaped};
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Row, Stamp, Timestamp, Zone};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::sync::LazyLock;

const FORMAT: &str = "metermail";

static UTC: LazyLock<Strftime> = LazyLock::new(|| Strftime::from_static("%Y-%m-%dT%H:%M:%S%.6fZ"));
static LOCAL: LazyLock<Strftime> = LazyLock::new(|| Strftime::from_static("%Y-%m-%dT%H:%M:%S%.6f%:z"));

/// What encloses `Data`, where it is enclosed; each line one step further in.
const ENVELOPE: [&str; 4] = [
    "<Envelope xmlns:xsi=\"http://www.w3.org/2001/XMLSchema-instance\" xmlns:xsd=\"http://www.w3.org/2001/XMLSchema\">\n",
    " <Header xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\"/>\n",
    " <Body xmlns=\"http://schemas.xmlsoap.org/soap/envelope/\">\n",
    "  <Process xmlns=\"http://rddl.xmlinside.net/PowerMeasurement/data/ion/pushmessaging/service/1/\">\n",
];
const ENVELOPE_END: &str = "  </Process>\n </Body>\n</Envelope>\n";

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
    fn channels(&self) -> impl Iterator<Item = (&str, &Channel)> {
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

impl Format for MetermailOptions {
    /// Writes everything up to the first record.
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let mut channels: Vec<(&str, &Channel)> = self.channels().collect();
        channels.sort_by_key(|(_, channel)| channel.id());
        let mut order: Vec<(&str, usize)> =
            channels.iter().enumerate().map(|(place, (point, _))| (*point, place)).collect();
        order.sort_unstable();
        let template: &Strftime = if *header.zone == Zone::utc() { &UTC } else { &LOCAL };
        let mut mail = Metermail {
            output: Output::new(FORMAT, out),
            times: Times::new(FORMAT, header.zone, Some(template)),
            options: self,
            indent: if self.envelope { "   " } else { "" },
            values: vec![None; channels.len()],
            ids: channels.iter().map(|(_, channel)| channel.id()).collect(),
            order,
            is_open: false,
        };
        mail.begin(header, template, &channels);
        Ok(Box::new(mail))
    }

    fn extension(&self) -> &'static str {
        "xml"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn name_and_version(&self) -> &'static str {
        "metermail/1"
    }
}

struct Metermail<'a, W> {
    output: Output<W>,
    times: Times<'a>,
    options: &'a MetermailOptions,
    /// Before each line.
    indent: &'static str,
    /// The ids of the channels, in order.
    ids: Vec<&'a str>,
    /// The points in order, each with the place of its channel.
    order: Vec<(&'a str, usize)>,
    /// The values of the present record, by place.
    values: Vec<Option<f64>>,
    is_open: bool,
}

impl<'a, W: Write> Metermail<'a, W> {
    fn begin(&mut self, header: &SliceHeader<'_>, time: &Strftime, channels: &[(&'a str, &'a Channel)]) {
        let (options, text) = (self.options, &mut self.output.text);
        text.push_str("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n");
        if options.envelope {
            ENVELOPE.into_iter().for_each(|line| text.push_str(line));
        }
        let mut element = |depth: usize, element: &str, attributes: &[(&str, &str)], end: &str| {
            text.push_str(self.indent);
            text.push_str(&" ".repeat(depth));
            text.push('<');
            text.push_str(element);
            for (name, value) in attributes.iter().filter(|(_, value)| !value.is_empty()) {
                text.push_str(&format!(" {name}=\""));
                push_escaped(value, text);
                text.push('"');
            }
            text.push_str(end);
        };
        let ion = "http://rddl.xmlinside.net/PowerMeasurement/data/ion";
        let (data, ident) = (format!("{ion}/pushmessaging/2/"), format!("{ion}/identity/1/"));
        let data = [("xmlns", data.as_str()), ("id", &id(header)), ("xmlns:ident", &ident)];
        element(0, "Data", &data, ">\n");
        // The slice's end, so that the same slice gives the same bytes.
        let generated = header.zone.format(header.window.end, time.as_str());
        let generated_by = [
            ("ident:dateTime", generated.as_str()),
            ("ident:namespace", options.generated_by_namespace.as_str()),
            ("ident:name", options.generated_by.as_str()),
            ("ident:type", options.generated_by_type.as_str()),
            ("ident:signature", options.generated_by_signature.as_str()),
        ];
        element(1, "ident:GeneratedBy", &generated_by, "/>\n");
        let device = [
            ("ident:namespace", options.device_namespace.as_str()),
            ("ident:name", options.device_name.as_str()),
            ("ident:type", options.device_type.as_str()),
            ("ident:signature", options.device_signature.as_str()),
        ];
        element(1, "Device", &device, ">\n");
        element(2, "ident:Configuration", &[], ">\n");
        element(3, "ident:Timezone", &[], ">\n");
        for (name, value) in clock(header.zone, header.window.end) {
            element(4, name, &[], &format!(">{value}</{name}>\n"));
        }
        element(3, "/ident:Timezone", &[], ">\n");
        element(2, "/ident:Configuration", &[], ">\n");
        let recorder = [
            ("id", options.data_recorder_id.as_str()),
            ("label", options.data_recorder_label.as_str()),
            ("handle", options.data_recorder_handle.as_str()),
        ];
        element(2, "DataRecorder", &recorder, ">\n");
        element(3, "Channels", &[], ">\n");
        for (_, channel) in channels {
            let pos = channel.pos.as_str();
            element(
                4,
                "Channel",
                &[("id", channel.id()), ("label", channel.label.as_str()), ("pos", pos)],
                "/>\n",
            );
        }
        element(3, "/Channels", &[], ">\n");
        element(3, "DataRecords", &[], ">\n");
    }

    /// Writes the open record.
    fn close(&mut self) {
        if !std::mem::take(&mut self.is_open) {
            return;
        }
        let text = &mut self.output.text;
        text.push_str(self.indent);
        text.push_str("    <DR ts=\"");
        text.push_str(self.times.text());
        text.push('"');
        for (id, value) in self.ids.iter().zip(&mut self.values) {
            let Some(value) = value.take() else { continue };
            text.push(' ');
            text.push_str(id);
            text.push_str("=\"");
            push_number(value, self.options.decimals, text);
            text.push('"');
        }
        text.push_str("/>\n");
    }
}

impl<W: Write> Formatter for Metermail<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.is_after(row.time) {
            self.close();
            self.output.drain()?;
        }
        self.times.step(&row)?;
        let Ok(at) = self.order.binary_search_by(|(point, _)| (*point).cmp(row.point)) else {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::NoMeter { format: FORMAT, point, time });
        };
        self.values[self.order[at].1] = row.value;
        self.is_open = true;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close();
        for end in ["   </DataRecords>", "  </DataRecorder>", " </Device>", "</Data>"] {
            self.output.text.push_str(self.indent);
            self.output.text.push_str(end);
            self.output.text.push('\n');
        }
        if self.options.envelope {
            self.output.text.push_str(ENVELOPE_END);
        }
        self.output.flush()
    }
}

/// Of the slice, whatever its revision: a UUID made of a name by SHA-256 (RFC 9562, version 8 and appendix B.2).
fn id(header: &SliceHeader<'_>) -> String {
    let (start, end): (Timestamp, Timestamp) = (header.window.start, header.window.end);
    let hash = Sha256::digest(format!("{}/{}/{start}/{end}", header.site, header.job));
    let mut text = String::with_capacity(36);
    for (place, byte) in hash.iter().take(16).enumerate() {
        let byte = match place {
            6 => byte & 0x0f | 0x80,
            8 => byte & 0x3f | 0x80,
            _ => *byte,
        };
        if matches!(place, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text.push_str(&format!("{byte:02x}"));
    }
    text
}

/// The fields of the `Timezone` element at a time: minutes west of UTC, and when summer time begins and ends in its
/// year there and in the one before.
fn clock(zone: &Zone, time: Timestamp) -> Vec<(&'static str, String)> {
    let year = zone.year(time);
    let last = Summer::of(zone, zone.year(year.start.plus_micros(-1)));
    let this = Summer::of(zone, year);
    let (standard, saved) =
        this.as_ref().map_or((zone.offset_secs(time), 0), |summer| (summer.standard, summer.saved));
    let mut fields =
        vec![("ident:Bias", (-standard / 60).to_string()), ("ident:DSTBias", (-saved / 60).to_string())];
    for summer in [last, this].into_iter().flatten() {
        fields.push(("ident:DSTStart", summer.start.to_string()));
        fields.push(("ident:DSTEnd", summer.end.to_string()));
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(zone: &str, time: &str) -> String {
        let fields = clock(&zone.parse().unwrap(), Timestamp::from_rfc3339(time).unwrap());
        let texts: Vec<String> =
            fields.iter().map(|(name, value)| format!("{}={value}", &name["ident:".len()..])).collect();
        texts.join(" ")
    }

    #[test]
    fn north_south_and_neither() {
        for (zone, time, expect) in [
            ("UTC", "2026-07-01T00:00:00Z", "Bias=0 DSTBias=0"),
            ("Asia/Kolkata", "2026-07-01T00:00:00Z", "Bias=-330 DSTBias=0"),
            (
                "America/Los_Angeles",
                "2026-07-01T00:00:00Z",
                "Bias=480 DSTBias=-60 DSTStart=2025-03-09T10:00:00Z DSTEnd=2025-11-02T09:00:00Z \
                 DSTStart=2026-03-08T10:00:00Z DSTEnd=2026-11-01T09:00:00Z",
            ),
            (
                "Australia/Lord_Howe",
                "2026-01-01T00:00:00Z",
                "Bias=-630 DSTBias=-30 DSTStart=2025-10-04T15:30:00Z DSTEnd=2025-04-05T15:00:00Z \
                 DSTStart=2026-10-03T15:30:00Z DSTEnd=2026-04-04T15:00:00Z",
            ),
            // Whichever of the two the rules call summer time.
            (
                "Europe/Dublin",
                "2026-01-01T00:00:00Z",
                "Bias=0 DSTBias=-60 DSTStart=2025-03-30T01:00:00Z DSTEnd=2025-10-26T01:00:00Z \
                 DSTStart=2026-03-29T01:00:00Z DSTEnd=2026-10-25T01:00:00Z",
            ),
            // The year is that of the zone: 2026 has begun there, 2025 had the last changes.
            (
                "Europe/Zurich",
                "2025-12-31T23:00:00Z",
                "Bias=-60 DSTBias=-60 DSTStart=2025-03-30T01:00:00Z DSTEnd=2025-10-26T01:00:00Z \
                 DSTStart=2026-03-29T01:00:00Z DSTEnd=2026-10-25T01:00:00Z",
            ),
            // Summer time was given up in 2022: the year after tells that there was one.
            (
                "America/Mexico_City",
                "2023-06-01T00:00:00Z",
                "Bias=360 DSTBias=0 DSTStart=2022-04-03T08:00:00Z DSTEnd=2022-10-30T07:00:00Z",
            ),
        ] {
            assert_eq!(shown(zone, time), expect, "{zone} {time}");
        }
    }
}

//! MeterMail: the push messages of ION meters, XML in an envelope like SOAP's.
//!
//! One `DR` per timestamp, an attribute per channel, named by the channel's id; a null has none. Times show the
//! job's zone, `Z` in UTC.

mod clock;
mod options;

pub use options::{Channel, MetermailOptions};

use crate::output::{Output, Times, push_number};
use crate::xml::push_escaped;
use crate::{Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Row, Stamp, Timestamp, Zone};
use sha2::{Digest, Sha256};
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
        for (name, value) in clock::fields(header.zone, header.window.end) {
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

//! Green Button: energy usage information as NAESB REQ.21 (ESPI) has it, an Atom feed of resources that name one another.
//!
//! Each point is a `UsagePoint` with one `MeterReading`, its `ReadingType`, and one `IntervalBlock` for the slice. Ids
//! are UUIDs made of names (RFC 9562, version 5), so a slice that is sent again has those it had: receivers know by
//! them what they have. The codes are those of the schema of REQ.21, version 3.3.

use crate::output::{Output, Points, interval_end};
use crate::summer::Rules;
use crate::units::split;
use crate::xml::{XmlText, forbidden, push_escaped};
use crate::{Format, FormatError, Formatter, SliceHeader};
use ew_core::{Grid, Period, Quality, Row, RowOrder, Stamp, Timestamp, Window, Zone};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;
use uuid::Uuid;

const FORMAT: &str = "green_button";
const RESOURCE: &str = "/espi/1_1/resource";

/// Values are of 48 bits (`Int48`), and here no less than the negative of the greatest.
const VALUE_MAX: f64 = 140_737_488_355_327.0;

/// `[export.format.green_button]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GreenButtonOptions {
    /// What all ids are made from, with the names of site, job and point: a name that is the sender's own.
    pub namespace: Namespace,
    /// Of the feed; left out: the job's name.
    #[serde(default)]
    pub title: Option<XmlText>,
    /// Values are whole numbers of this power of ten of W, VA, var or their hours.
    #[serde(default)]
    pub multiplier: Multiplier,
    /// What points are to the receiver; one that is not here has its own name.
    #[serde(default)]
    pub meters: BTreeMap<String, GreenButtonMeter>,
}

/// One usage point.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GreenButtonMeter {
    /// What it is called there; left out: the point's name.
    pub title: Option<XmlText>,
    /// Which way energy flows.
    pub flow: Flow,
    /// `PhaseCodeKind`: 0, not applicable, unless given.
    pub phase: Phase,
    /// Whether energy is the reading of a register, not what an interval used.
    pub register: bool,
}

/// `FlowDirectionKind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flow {
    /// Delivered to the site.
    #[default]
    Forward = 1,
    /// Forward less reverse.
    Net = 4,
    /// Received from the site.
    Reverse = 19,
}

/// A text of one line.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Namespace(String);

impl TryFrom<String> for Namespace {
    type Error = String;

    fn try_from(text: String) -> Result<Namespace, String> {
        match text.is_empty() || text.contains(char::is_control) {
            true => {
                Err(format!("{text:?} is no namespace; write a name of your own, such as \"example.com\""))
            }
            false => Ok(Namespace(text)),
        }
    }
}

/// `UnitMultiplierKind`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Multiplier(i32);

impl Default for Multiplier {
    fn default() -> Multiplier {
        Multiplier(-3)
    }
}

impl TryFrom<i64> for Multiplier {
    type Error = String;

    fn try_from(power: i64) -> Result<Multiplier, String> {
        match power {
            -12 | -9 | -6 | -3..=3 | 6 | 9 | 12 => Ok(Multiplier(power as i32)),
            _ => Err(format!("multiplier = {power} is none of -12 -9 -6 -3 -2 -1 0 1 2 3 6 9 12")),
        }
    }
}

/// `PhaseCodeKind`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "i64")]
pub struct Phase(u16);

const PHASES: [u16; 27] = [
    0, 16, 17, 32, 33, 40, 41, 64, 65, 66, 72, 96, 97, 128, 129, 132, 136, 193, 224, 225, 256, 272, 512, 528,
    768, 769, 784,
];

impl TryFrom<i64> for Phase {
    type Error = String;

    fn try_from(code: i64) -> Result<Phase, String> {
        let known = PHASES.into_iter().find(|known| i64::from(*known) == code).map(Phase);
        known.ok_or_else(|| {
            format!("phase = {code} is no PhaseCodeKind; 128 is A, 129 A to neutral, 224 all, 769 S1 S2 to neutral")
        })
    }
}

/// What a unit is there.
struct Measure {
    unit: &'static str,
    /// `UnitSymbolKind`.
    uom: u16,
    /// `MeasurementKind`: 37 power, 12 energy. Apparent and reactive power are 12 in the tests of implementations
    /// (function block 6), and so at utilities.
    kind: u16,
    /// `AccumulationKind`: 4 what an interval used, 12 instantaneous.
    accumulation: u16,
}

const MEASURES: [Measure; 6] = [
    Measure { unit: "W", uom: 38, kind: 37, accumulation: 12 },
    Measure { unit: "VA", uom: 61, kind: 12, accumulation: 12 },
    Measure { unit: "var", uom: 63, kind: 12, accumulation: 12 },
    Measure { unit: "VAh", uom: 71, kind: 12, accumulation: 4 },
    Measure { unit: "Wh", uom: 72, kind: 12, accumulation: 4 },
    Measure { unit: "varh", uom: 73, kind: 12, accumulation: 4 },
];

/// `AccumulationKind`: bulk quantity.
const REGISTER: u16 = 1;

/// `QualityOfReading`.
fn quality(quality: Quality) -> u16 {
    match quality {
        Quality::Trusted => 0,                     // valid
        Quality::Actual => 14,                     // raw: not validated
        Quality::Presumed | Quality::Max => 11,    // derived
        Quality::Partial => 13,                    // mixed
        Quality::Suspect => 10,                    // questionable
        Quality::Unknown | Quality::Missing => 16, // other
    }
}

impl Format for GreenButtonOptions {
    /// Writes the feed's own elements and the rules of the zone's clock.
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let refused = |why| FormatError::Slice { format: FORMAT, why };
        let Some(interval) = header.interval else {
            return Err(refused("it is not of intervals"));
        };
        if [header.site, header.job].iter().any(|name| forbidden(name).is_some()) {
            return Err(refused("the name of its site or job holds a character that XML 1.0 forbids"));
        }
        let Namespace(namespace) = &self.namespace;
        let names = Names { namespace, site: header.site, job: header.job };
        let mut feed = GreenButton {
            output: Output::new(FORMAT, out),
            points: Points::new(FORMAT),
            options: self,
            zone: header.zone,
            interval,
            window: header.window,
            subscription: format!("Subscription/{}", names.id("Subscription", &[names.site, names.job])),
            clock: format!("LocalTimeParameters/{}", names.id("LocalTimeParameters", &[header.zone.name()])),
            names,
            open: None,
        };
        feed.begin();
        Ok(Box::new(feed))
    }

    fn extension(&self) -> &'static str {
        "xml"
    }

    fn stamp(&self) -> Stamp {
        Stamp::Start
    }

    fn order(&self) -> RowOrder {
        RowOrder::ByPoint
    }

    fn check(&self, _slots: &Grid, interval: Option<Period>) -> Result<(), String> {
        match interval {
            Some(_) => Ok(()),
            None => {
                Err("green_button has readings of intervals; write interval = \"15m\" and aggregate".into())
            }
        }
    }

    fn name_and_version(&self) -> &'static str {
        "green_button/1"
    }
}

/// Makes ids.
struct Names<'a> {
    namespace: &'a str,
    site: &'a str,
    job: &'a str,
}

impl Names<'_> {
    /// The UUID of a name: namespace, resource and what tells it from others, a line feed between them. None of them
    /// holds one.
    fn id(&self, resource: &str, parts: &[&str]) -> Uuid {
        let name = [&[self.namespace, resource], parts].concat().join("\n");
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
    }
}

struct GreenButton<'a, W> {
    output: Output<W>,
    points: Points,
    options: &'a GreenButtonOptions,
    zone: &'a Zone,
    interval: Period,
    window: Window,
    names: Names<'a>,
    /// `Subscription/ID`.
    subscription: String,
    /// `LocalTimeParameters/ID`.
    clock: String,
    /// What the present point measures, once it has a value.
    open: Option<&'static Measure>,
}

impl<W: Write> GreenButton<'_, W> {
    fn begin(&mut self) {
        let (names, window) = (&self.names, self.window);
        let [start, end] = [window.start, window.end].map(|time| time.to_string());
        let id = names.id("Feed", &[names.site, names.job, &start, &end]);
        let text = &mut self.output.text;
        text.push_str(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<feed xmlns=\"http://www.w3.org/2005/Atom\">\n",
        );
        text.push_str(&format!(" <id>urn:uuid:{id}</id>\n <title>"));
        push_escaped(self.options.title.as_ref().map_or(names.job, XmlText::as_str), text);
        text.push_str(&format!("</title>\n <updated>{end}</updated>\n <author>\n  <name>"));
        push_escaped(names.site, text);
        text.push_str("</name>\n </author>\n ");
        push_link("self", &self.subscription, text);
        let rules = Rules::of(self.zone, self.window.start);
        let clock = self.clock.clone();
        let fields = [
            ("dstEndRule", format!("{:08X}", rules.end)),
            ("dstOffset", rules.saved.to_string()),
            ("dstStartRule", format!("{:08X}", rules.start)),
            ("tzOffset", rules.standard.to_string()),
        ];
        self.entry(&clock, &[], self.zone.name(), |text| push_resource("LocalTimeParameters", &fields, text));
    }

    /// A resource of its own at a path that ends with its id.
    fn entry(&mut self, path: &str, related: &[&str], title: &str, content: impl FnOnce(&mut String)) {
        self.begin_entry(path, related, title);
        content(&mut self.output.text);
        self.end_entry();
    }

    fn begin_entry(&mut self, path: &str, related: &[&str], title: &str) {
        let text = &mut self.output.text;
        let (list, id) = path.rsplit_once('/').unwrap_or(("", path));
        text.push_str(&format!(" <entry>\n  <id>urn:uuid:{id}</id>\n"));
        let links = [("self", path), ("up", list)].into_iter();
        for (rel, path) in links.chain(related.iter().map(|path| ("related", *path))) {
            text.push_str("  ");
            push_link(rel, path, text);
        }
        text.push_str("  <title>");
        push_escaped(title, text);
        text.push_str("</title>\n  <content type=\"application/xml\">\n");
    }

    /// Its times are the slice's end, so that the same slice gives the same bytes.
    fn end_entry(&mut self) {
        let end = self.window.end;
        self.output.text.push_str(&format!(
            "  </content>\n  <published>{end}</published>\n  <updated>{end}</updated>\n </entry>\n"
        ));
    }

    /// Writes what comes before the readings of a point.
    fn begin_point(&mut self, point: &str, first: Timestamp, measure: &Measure) {
        let meter = self.options.meters.get(point).cloned().unwrap_or_default();
        let title = meter.title.as_ref().map_or(point, XmlText::as_str);
        let (names, Multiplier(multiplier), Phase(phase)) =
            (&self.names, self.options.multiplier, meter.phase);
        let is_register = meter.register && measure.accumulation == 4;
        let kind = [
            ("accumulationBehaviour", if is_register { REGISTER } else { measure.accumulation }.to_string()),
            ("commodity", "1".to_owned()), // electricity
            ("flowDirection", (meter.flow as u16).to_string()),
            ("intervalLength", nominal_secs(self.interval).to_string()),
            ("kind", measure.kind.to_string()),
            ("phase", phase.to_string()),
            ("powerOfTenMultiplier", multiplier.to_string()),
            ("uom", measure.uom.to_string()),
        ];
        let usage =
            format!("{}/UsagePoint/{}", self.subscription, names.id("UsagePoint", &[names.site, point]));
        let of_point = [names.site, names.job, point];
        let readings = format!("{usage}/MeterReading");
        let reading = format!("{readings}/{}", names.id("MeterReading", &of_point));
        let codes = kind.each_ref().map(|(_, code)| code.as_str());
        let of_kind = names.id("ReadingType", &[&of_point[..], &codes].concat());
        let reading_type = format!("ReadingType/{of_kind}");
        let blocks = format!("{reading}/IntervalBlock");
        let window = [self.window.start, self.window.end].map(|time| time.to_string());
        let of_window = [names.site, names.job, point, &window[0], &window[1]];
        let block = format!("{blocks}/{}", names.id("IntervalBlock", &of_window));

        let clock = self.clock.clone();
        self.entry(&usage, &[&readings, &clock], title, |text| {
            text.push_str("   <UsagePoint xmlns=\"http://naesb.org/espi\">\n    <ServiceCategory>\n");
            // Electricity.
            text.push_str("     <kind>0</kind>\n    </ServiceCategory>\n   </UsagePoint>\n");
        });
        self.entry(&reading, &[&blocks, &reading_type], title, |text| {
            text.push_str("   <MeterReading xmlns=\"http://naesb.org/espi\"/>\n");
        });
        self.entry(&reading_type, &[], measure.unit, |text| push_resource("ReadingType", &kind, text));
        self.begin_entry(&block, &[], &window.join("/"));
        // A block begins with its first reading.
        let secs = self.window.end.secs() - first.secs();
        self.output.text.push_str(&format!(
            "   <IntervalBlock xmlns=\"http://naesb.org/espi\">\n    <interval>\n     <duration>{secs}</duration>\n     \
             <start>{}</start>\n    </interval>\n",
            first.secs()
        ));
    }

    /// Ends the present point, if it had a value.
    fn close(&mut self) -> Result<(), FormatError> {
        if self.open.take().is_some() {
            self.output.text.push_str("   </IntervalBlock>\n");
            self.end_entry();
        }
        self.output.drain()
    }
}

impl<W: Write> Formatter for GreenButton<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.points.is_new(row.point) {
            self.close()?;
        }
        self.points.step(&row)?;
        // What is missing has no reading, and a point without any reading nothing at all.
        let Some(value) = row.value else { return Ok(()) };
        if row.time != row.time.floor_to_second() {
            let why = "not every interval begins at a whole second";
            return Err(FormatError::Slice { format: FORMAT, why });
        }
        let measure = split(row.unit).and_then(|(base, power)| {
            let measure = MEASURES.iter().find(|measure| measure.unit == base)?;
            let is_same = self.open.is_none_or(|open| open.unit == base);
            is_same.then_some((measure, power))
        });
        let Some((measure, power)) = measure else {
            let wanted = self.open.map_or("W, VA, var, Wh, VAh or varh", |open| open.unit);
            return Err(FormatError::unit(FORMAT, &row, wanted));
        };
        let Multiplier(multiplier) = self.options.multiplier;
        // A power of ten is exact, its inverse is not.
        let scaled = match power - multiplier {
            up @ 0.. => value * 10_f64.powi(up),
            down => value / 10_f64.powi(-down),
        };
        let scaled = scaled.round_ties_even();
        if scaled.abs() > VALUE_MAX {
            let (point, unit, time) = (row.point.to_owned(), row.unit.to_owned(), row.time);
            return Err(FormatError::Range { format: FORMAT, point, time, value, unit });
        }
        if self.open.is_none() {
            if let Some(character) = forbidden(row.point) {
                let (point, time) = (row.point.to_owned(), row.time);
                return Err(FormatError::Character { format: FORMAT, point, time, character });
            }
            self.begin_point(row.point, row.time, measure);
            self.open = Some(measure);
        }
        let secs = interval_end(self.zone, self.interval, row.time).secs() - row.time.secs();
        self.output.text.push_str(&format!(
            "    <IntervalReading><ReadingQuality><quality>{}</quality></ReadingQuality><timePeriod><duration>{secs}\
             </duration><start>{}</start></timePeriod><value>{}</value></IntervalReading>\n",
            quality(row.quality),
            row.time.secs(),
            scaled as i64
        ));
        self.output.drain()
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close()?;
        self.output.text.push_str("</feed>\n");
        self.output.flush()
    }
}

fn nominal_secs(interval: Period) -> u32 {
    match interval {
        Period::Seconds(secs) => secs,
        Period::Days(days) => u32::from(days) * 24 * 3600,
    }
}

/// A path ends with the name of a list, or with an id in one.
fn push_link(rel: &str, path: &str, out: &mut String) {
    let mut parts = path.rsplit('/');
    let (last, list) = (parts.next().unwrap_or(path), parts.next());
    let kind = match list.filter(|_| Uuid::try_parse(last).is_ok()) {
        Some(list) => format!("espi-entry/{list}"),
        None => format!("espi-feed/{last}"),
    };
    out.push_str(&format!("<link rel=\"{rel}\" href=\"{RESOURCE}/{path}\" type=\"{kind}\"/>\n"));
}

/// A resource of plain fields.
fn push_resource(name: &str, fields: &[(&str, String)], out: &mut String) {
    out.push_str(&format!("   <{name} xmlns=\"http://naesb.org/espi\">\n"));
    for (field, value) in fields {
        out.push_str(&format!("    <{field}>{value}</{field}>\n"));
    }
    out.push_str(&format!("   </{name}>\n"));
}

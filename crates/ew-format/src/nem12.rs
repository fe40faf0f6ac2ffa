//! NEM12, interval data as the Australian market exchanges it: AEMO, Meter Data File Format Specification.
//!
//! A 300 record is one day of one meter, so it is of whole days in intervals of 5, 15 or 30 minutes. The market's
//! clock is UTC+10 all year: a zone that changes its clock is refused.
//!
//! | ew                        | flag |
//! |---------------------------|------|
//! | trusted, actual           | A, actual |
//! | unknown, partial, suspect | E with the method, estimated: measured in part, or in doubt |
//! | presumed, max             | S with the method, substituted; reason 0 and the quality's name |
//! | null, missing, no row     | N, and no value: missing is not zero |
//!
//! A day of several has V, and 400 records say what its intervals have.

use crate::options::Field;
use crate::output::{Output, Points, push_number};
use crate::units::convert;
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader};
use ew_core::{Grid, Period, Quality, Row, RowOrder, Stamp, TimeOfDay, Timestamp, Zone};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::Write;

const FORMAT: &str = "nem12";
const LINE_END: &str = "\r\n";

/// 2020-01-01T00:00:00Z: changes of a zone's clock before it are of no matter.
const CLOCKS_FROM: i64 = 1_577_836_800;

/// `[export.format.nem12]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nem12Options {
    /// Who sends.
    pub from_participant: Text<10>,
    /// Who receives.
    pub to_participant: Text<10>,
    /// Digits after the point.
    #[serde(default = "three")]
    pub decimals: Decimals,
    /// The method of estimated and substituted values, of two digits.
    #[serde(default = "agreed")]
    pub method: Method,
    /// By point.
    pub meters: Meters,
}

fn three() -> Decimals {
    Decimals::THREE
}

/// Estimated by agreement with the receiver.
fn agreed() -> Method {
    Method(Field::from_static("55"))
}

/// A text of at most so many characters, and of one at least.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Text<const MAX: usize>(Field);

impl<const MAX: usize> TryFrom<String> for Text<MAX> {
    type Error = String;

    fn try_from(text: String) -> Result<Text<MAX>, String> {
        match text.chars().count() {
            1.. if text.chars().count() <= MAX => text.try_into().map(Text),
            _ => Err(format!("{text:?} must have 1 to {MAX} characters")),
        }
    }
}

/// The two digits of a method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Method(Field);

impl TryFrom<String> for Method {
    type Error = String;

    fn try_from(text: String) -> Result<Method, String> {
        match text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit()) {
            true => text.try_into().map(Method),
            false => Err(format!("{text:?} is not a method; write its two digits, such as \"55\"")),
        }
    }
}

/// One data stream of a meter.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Nem12Meter {
    /// The National Metering Identifier.
    pub nmi: Code<10>,
    /// The stream at that NMI, such as `E1`.
    pub suffix: Code<2>,
    /// `RegisterID`.
    #[serde(default)]
    pub register: Field,
    /// `MDMDataStreamIdentifier`.
    #[serde(default)]
    pub stream: Field,
    /// `MeterSerialNumber`.
    #[serde(default)]
    pub serial: Field,
    /// The unit to give values in.
    #[serde(default = "kwh")]
    pub units: Text<5>,
}

fn kwh() -> Text<5> {
    Text(Field::from_static("kWh"))
}

/// Exactly so many letters and digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(try_from = "String")]
pub struct Code<const LENGTH: usize>(Field);

impl<const LENGTH: usize> TryFrom<String> for Code<LENGTH> {
    type Error = String;

    fn try_from(text: String) -> Result<Code<LENGTH>, String> {
        match text.len() == LENGTH && text.bytes().all(|b| b.is_ascii_alphanumeric()) {
            true => text.try_into().map(Code),
            false => Err(format!("{text:?} must have {LENGTH} letters and digits")),
        }
    }
}

/// The meters by point, each stream of an NMI once.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, Nem12Meter>")]
pub struct Meters(BTreeMap<String, Nem12Meter>);

impl TryFrom<BTreeMap<String, Nem12Meter>> for Meters {
    type Error = String;

    fn try_from(meters: BTreeMap<String, Nem12Meter>) -> Result<Meters, String> {
        let mut streams = BTreeMap::new();
        for (point, meter) in &meters {
            let Code(nmi) = &meter.nmi;
            let Code(suffix) = &meter.suffix;
            if let Some(other) = streams.insert((nmi, suffix), point) {
                return Err(format!("{other} and {point} are both {suffix} of the NMI {nmi}"));
            }
        }
        Ok(Meters(meters))
    }
}

impl Meters {
    /// All streams of an NMI, as each 200 record names them.
    fn configuration(&self, nmi: &Code<10>) -> String {
        let mut suffixes: Vec<&str> =
            self.0.values().filter(|meter| meter.nmi == *nmi).map(|meter| meter.suffix.0.as_str()).collect();
        suffixes.sort_unstable();
        suffixes.concat()
    }
}

impl Format for Nem12Options {
    /// Writes the 100 record; its time is the slice's end, so that the same slice gives the same bytes.
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let refused = |why| FormatError::Slice { format: FORMAT, why };
        let Some(minutes) = minutes(header.interval) else {
            return Err(refused("it is not of intervals of 5, 15 or 30 minutes"));
        };
        for end in [header.window.start, header.window.end] {
            if !is_midnight(header.zone, end) {
                return Err(refused("it does not begin and end at midnight of the job's zone"));
            }
        }
        let mut output = Output::new(FORMAT, out);
        let (Text(from), Text(to)) = (&self.from_participant, &self.to_participant);
        let time = header.zone.format(header.window.end, "%Y%m%d%H%M");
        output.text.push_str(&format!("100,NEM12,{time},{from},{to}{LINE_END}"));
        Ok(Box::new(Nem12 {
            output,
            points: Points::new(FORMAT),
            options: self,
            zone: header.zone,
            minutes,
            units: "",
            day: None,
            intervals: vec![Interval::default(); 24 * 60 / minutes as usize],
        }))
    }

    fn extension(&self) -> &'static str {
        "csv"
    }

    fn stamp(&self) -> Stamp {
        Stamp::Start
    }

    fn order(&self) -> RowOrder {
        RowOrder::ByPoint
    }

    fn check(&self, slots: &Grid, interval: Option<Period>) -> Result<(), String> {
        if minutes(interval).is_none() {
            return Err(
                "nem12 has intervals of 5, 15 or 30 minutes; write interval = \"30m\" and aggregate".into()
            );
        }
        if !matches!(slots.period, Period::Days(_)) || slots.synchronize_on != TimeOfDay::MIDNIGHT {
            return Err("nem12 has whole days; write period = \"1d\", with synchronize_on at 00:00".into());
        }
        if slots.zone.changes_after(Timestamp::from_secs(CLOCKS_FROM)) {
            return Err(format!(
                "nem12 has days of 24 hours, and the clock of {} is changed; the market's is \
                 zone = \"Australia/Brisbane\" all year",
                slots.zone
            ));
        }
        Ok(())
    }

    fn name_and_version(&self) -> &'static str {
        "nem12/1"
    }
}

/// The length of an interval that NEM12 knows.
fn minutes(interval: Option<Period>) -> Option<u32> {
    match interval {
        Some(Period::Seconds(secs @ (300 | 900 | 1800))) => Some(secs / 60),
        _ => None,
    }
}

fn is_midnight(zone: &Zone, time: Timestamp) -> bool {
    zone.local(time).time() == TimeOfDay::MIDNIGHT.0
}

struct Nem12<'a, W> {
    output: Output<W>,
    points: Points,
    options: &'a Nem12Options,
    zone: &'a Zone,
    minutes: u32,
    /// Of the present point's meter.
    units: &'a str,
    /// Where the open day begins.
    day: Option<Timestamp>,
    /// What it has; all null between days.
    intervals: Vec<Interval>,
}

#[derive(Clone, Copy, Default)]
struct Interval {
    value: Option<f64>,
    flag: Flag,
}

/// What is said of a value.
#[derive(Clone, Copy, Default, PartialEq)]
enum Flag {
    Actual,
    Estimated,
    /// In place of a measurement; by what is its reason.
    Substituted(Quality),
    #[default]
    Null,
}

impl Flag {
    fn of(quality: Quality) -> Flag {
        match quality {
            Quality::Trusted | Quality::Actual => Flag::Actual,
            Quality::Unknown | Quality::Partial | Quality::Suspect => Flag::Estimated,
            Quality::Presumed | Quality::Max => Flag::Substituted(quality),
            Quality::Missing => Flag::Null,
        }
    }

    /// `QualityMethod,ReasonCode,ReasonDescription`; a substituted value must have a reason, others need none.
    fn push(self, method: &Method, out: &mut String) {
        let Method(method) = method;
        match self {
            Flag::Actual => out.push_str("A,,"),
            Flag::Estimated => out.push_str(&format!("E{method},,")),
            Flag::Substituted(quality) => out.push_str(&format!("S{method},0,{quality}")),
            Flag::Null => out.push_str("N,,"),
        }
    }
}

impl<'a, W: Write> Nem12<'a, W> {
    /// Writes the 200 record of a point.
    fn begin(&mut self, row: &Row<'_>) -> Result<(), FormatError> {
        let meters = &self.options.meters;
        let Some(meter) = meters.0.get(row.point) else {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::NoMeter { format: FORMAT, point, time });
        };
        let (Code(nmi), Code(suffix), Text(units)) = (&meter.nmi, &meter.suffix, &meter.units);
        self.units = units.as_str();
        self.output.text.push_str(&format!(
            "200,{nmi},{},{},{suffix},{},{},{units},{},{LINE_END}",
            meters.configuration(&meter.nmi),
            meter.register,
            meter.stream,
            meter.serial,
            self.minutes
        ));
        Ok(())
    }

    /// Writes the 300 record of the open day, and 400 records where its intervals differ.
    fn close(&mut self) -> Result<(), FormatError> {
        let Some(day) = self.day.take() else { return Ok(()) };
        let (text, method) = (&mut self.output.text, &self.options.method);
        text.push_str(&self.zone.format(day, "300,%Y%m%d"));
        for interval in &self.intervals {
            text.push(',');
            if let Some(value) = interval.value {
                push_number(value, Some(self.options.decimals), text);
            }
        }
        text.push(',');
        let parts: Vec<&[Interval]> = self.intervals.chunk_by(|a, b| a.flag == b.flag).collect();
        match parts.as_slice() {
            [all] => all[0].flag.push(method, text),
            _ => text.push_str("V,,"),
        }
        // No times of update and load: they are of the market's own systems.
        text.push_str(",,");
        text.push_str(LINE_END);
        let mut first = 1;
        for part in parts.iter().filter(|_| parts.len() > 1) {
            text.push_str(&format!("400,{first},{},", first + part.len() - 1));
            part[0].flag.push(method, text);
            text.push_str(LINE_END);
            first += part.len();
        }
        self.intervals.fill(Interval::default());
        self.output.drain()
    }
}

impl<W: Write> Formatter for Nem12<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let is_new = self.points.is_new(row.point);
        let day = self.zone.instant(self.zone.date(row.time).and_time(TimeOfDay::MIDNIGHT.0));
        if is_new || self.day != Some(day) {
            self.close()?;
        }
        if is_new {
            self.begin(&row)?;
        }
        self.points.step(&row)?;
        self.day = Some(day);
        let (micros, length) = (row.time.micros() - day.micros(), i64::from(self.minutes) * 60_000_000);
        let place = usize::try_from(micros / length).ok().and_then(|n| self.intervals.get_mut(n));
        let Some(place) = place.filter(|_| micros % length == 0) else {
            let why = "not every row is the beginning of an interval of a day of 24 hours";
            return Err(FormatError::Slice { format: FORMAT, why });
        };
        // The flag N goes without a value, so that nobody takes one for measured.
        let told = row.value.filter(|_| row.quality != Quality::Missing);
        let Some(value) = told else { return Ok(()) };
        let Some(value) = convert(value, row.unit, self.units) else {
            return Err(FormatError::unit(FORMAT, &row, self.units));
        };
        let mut text = String::new();
        push_number(value, Some(self.options.decimals), &mut text);
        if text.starts_with('-') {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::Negative { format: FORMAT, point, time, value });
        }
        *place = Interval { value: Some(value), flag: Flag::of(row.quality) };
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close()?;
        self.output.text.push_str("900");
        self.output.text.push_str(LINE_END);
        self.output.flush()
    }
}

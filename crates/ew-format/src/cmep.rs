//! CMEP, the California Metering Exchange Protocol: `MEPMD01` records of 1997-08-19, as two receivers took them.
//!
//! A record holds the values of one meter, one interval after the other, and names the time of the first. So a gap
//! ends it, and so does a new unit. Times are UTC.

use crate::options::Field;
use crate::output::{Output, Points, interval_end, push_number};
use crate::units::convert;
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader, Strftime};
use ew_core::{Grid, Period, Row, RowOrder, Stamp, Timestamp, Zone};
use serde::Deserialize;
use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::num::NonZeroU32;

const FORMAT: &str = "cmep";

/// How many values a record of the EI profile has at most; theirs had all of a meter, but a record is held in
/// memory until its count is known.
const EI_COUNT_MAX: u32 = 10_000;

/// `[export.format.cmep]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CmepOptions {
    /// Field 3.
    pub sender_id: Field,
    /// Field 4.
    pub customer_id: Field,
    /// Field 5; left out: `Enerwise`, and blank in the EI profile.
    pub receiver_id: Option<Field>,
    /// The EI profile in place of Enerwise's.
    pub ei: Option<Ei>,
    /// Field 10.
    pub commodity: Field,
    /// strftime of all times.
    pub timestamp_format: Strftime,
    /// Values in a record at most; left out: 48, and 10,000 in the EI profile.
    pub max_count: Option<NonZeroU32>,
    /// How far apart readings are, in a job without intervals.
    pub readings_every: Option<Period>,
    /// What points are to the receiver; one that is not here has its own name and unit.
    pub meters: CmepMeters,
    /// Which end of its interval a time is.
    pub stamp: Stamp,
}

impl Default for CmepOptions {
    fn default() -> CmepOptions {
        CmepOptions {
            sender_id: Field::from_static("Envenergy"),
            customer_id: Field::default(),
            receiver_id: None,
            ei: None,
            commodity: Field::from_static("E"),
            timestamp_format: Strftime::from_static("%Y%m%d%H%M"),
            max_count: None,
            readings_every: None,
            meters: CmepMeters::default(),
            stamp: Stamp::Start,
        }
    }
}

/// Energy Interactive's profile: who receives is named in field 6, and the meter's register and unit in its id.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ei {
    /// Left of the bar in field 6.
    pub customer_name: Field,
    /// Right of it.
    pub account_name: Field,
}

/// One meter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CmepMeter {
    /// Its name there; left out: the point's.
    pub id: Option<Field>,
    /// The unit to give values in, such as `KWH`; left out: as they are.
    pub units: Option<Field>,
}

/// The meters by point; one id is for several only where their units tell them apart.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(try_from = "BTreeMap<String, CmepMeter>")]
pub struct CmepMeters(BTreeMap<String, CmepMeter>);

impl TryFrom<BTreeMap<String, CmepMeter>> for CmepMeters {
    type Error = String;

    /// What has no units here has those of its rows, which the formatter looks at.
    fn try_from(meters: BTreeMap<String, CmepMeter>) -> Result<CmepMeters, String> {
        let mut streams = BTreeMap::new();
        for (point, meter) in &meters {
            let Some(units) = &meter.units else { continue };
            let id = meter.id(point);
            if let Some(other) = streams.insert((id, units), point) {
                return Err(format!("{other} and {point} are both the meter {id:?} in {units}"));
            }
        }
        Ok(CmepMeters(meters))
    }
}

impl CmepMeter {
    /// What the receiver calls its point.
    fn id<'a>(&'a self, point: &'a str) -> &'a str {
        self.id.as_ref().map_or(point, Field::as_str)
    }
}

impl Format for CmepOptions {
    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        let utc = Zone::utc();
        let receiver = match (&self.receiver_id, &self.ei) {
            (Some(id), _) => id.as_str(),
            (None, None) => "Enerwise",
            (None, Some(_)) => "",
        };
        let mut lead = format!("MEPMD01,19970819,{},{},{receiver},", self.sender_id, self.customer_id);
        if let Some(ei) = &self.ei {
            lead += &format!("{}|{}", ei.customer_name, ei.account_name);
        }
        // The slice's end, so that the same slice gives the same bytes.
        lead += &format!(",{},", utc.format(header.window.end, self.timestamp_format.as_str()));
        let interval = header.interval.or(self.readings_every);
        let count_max = match &self.ei {
            None => 48,
            Some(_) => EI_COUNT_MAX,
        };
        Ok(Box::new(Cmep {
            output: Output::new(FORMAT, out),
            points: Points::new(FORMAT),
            options: self,
            zone: header.zone,
            utc,
            lead,
            interval,
            count_max: self.max_count.map_or(count_max, NonZeroU32::get),
            is_first: true,
            streams: HashMap::new(),
            record: None,
        }))
    }

    fn extension(&self) -> &'static str {
        "cmep"
    }

    fn stamp(&self) -> Stamp {
        self.stamp
    }

    fn order(&self) -> RowOrder {
        RowOrder::ByPoint
    }

    fn check(&self, _slots: &Grid, interval: Option<Period>) -> Result<(), String> {
        let known = match (interval, self.readings_every) {
            (Some(_), Some(_)) => {
                return Err("readings_every goes without interval only: the job's intervals are what \
                            cmep gets"
                    .into());
            }
            (None, None) => {
                return Err("cmep needs to know how far apart values are: write interval and aggregate, \
                            or readings_every in the format where readings come at equal distances"
                    .into());
            }
            (one, other) => one.or(other),
        };
        match known {
            Some(Period::Seconds(secs)) if !secs.is_multiple_of(60) => {
                Err("cmep counts intervals in whole minutes".into())
            }
            Some(Period::Days(days @ 32..)) => {
                Err(format!("cmep has no interval of {days} days; 31 are the most"))
            }
            _ => Ok(()),
        }
    }

    fn name_and_version(&self) -> &'static str {
        "cmep/1"
    }
}

struct Cmep<'a, W> {
    output: Output<W>,
    points: Points,
    options: &'a CmepOptions,
    zone: &'a Zone,
    utc: Zone,
    /// Fields 1 to 7, with the comma after them.
    lead: String,
    interval: Option<Period>,
    count_max: u32,
    is_first: bool,
    /// The point of each id and unit so far.
    streams: HashMap<(String, String), String>,
    record: Option<Record>,
}

/// The values of one meter without a gap.
struct Record {
    unit: String,
    /// When the next value is due.
    next: Option<Timestamp>,
    count: u32,
    /// Fields from 15 on, with the comma before them.
    values: String,
}

impl<W: Write> Cmep<'_, W> {
    /// The end of the interval that begins at a time; none where its length is not known.
    fn after(&self, time: Timestamp) -> Option<Timestamp> {
        Some(interval_end(self.zone, self.interval?, time))
    }

    /// Sees that no other point goes by an id and unit.
    fn name(&mut self, row: &Row<'_>, id: &str, unit: &str) -> Result<(), FormatError> {
        let other =
            self.streams.entry((id.to_owned(), unit.to_owned())).or_insert_with(|| row.point.to_owned());
        if other == row.point {
            return Ok(());
        }
        let (point, time, other) = (row.point.to_owned(), row.time, other.clone());
        let (id, unit) = (id.to_owned(), unit.to_owned());
        Err(FormatError::SameMeter { format: FORMAT, point, time, other, id, unit })
    }

    /// Writes the open record.
    fn close(&mut self) -> Result<(), FormatError> {
        let Some(record) = self.record.take() else { return Ok(()) };
        let (point, text) = (self.points.name(), &mut self.output.text);
        if !std::mem::take(&mut self.is_first) {
            text.push_str("\r\n");
        }
        text.push_str(&self.lead);
        text.push_str(self.options.meters.0.get(point).map_or(point, |meter| meter.id(point)));
        if self.options.ei.is_some() {
            text.push_str("|1");
            if !record.unit.is_empty() {
                text.push('/');
                text.push_str(&record.unit);
            }
        }
        // MMDDHHMM.
        let (days, minutes) = match self.interval {
            None => (0, 0),
            Some(Period::Seconds(secs)) => (0, secs / 60),
            Some(Period::Days(days)) => (days, 0),
        };
        text.push_str(&format!(
            ",OK,{},{},1.0,00{days:02}{:02}{:02},{}{}",
            self.options.commodity,
            record.unit,
            minutes / 60,
            minutes % 60,
            record.count,
            record.values
        ));
        self.output.drain()
    }
}

impl<W: Write> Formatter for Cmep<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let meter = self.options.meters.0.get(row.point);
        let units = meter.and_then(|meter| meter.units.as_ref()).map(Field::as_str);
        let unit = units.unwrap_or(row.unit);
        if self.points.is_new(row.point) {
            self.close()?;
        }
        // A null goes with any unit.
        let is_over = |record: &Record| {
            record.count == self.count_max
                || record.next != Some(row.time)
                || (row.value.is_some() && record.unit != unit)
        };
        if self.record.as_ref().is_some_and(is_over) {
            self.close()?;
        }
        self.points.step(&row)?;
        let next = self.after(row.time);
        let is_start = self.record.is_none();
        if is_start {
            let is_named = meter.is_some_and(|meter| meter.id.is_some());
            for text in [(!is_named).then_some(row.point), units.is_none().then_some(row.unit)] {
                if let Some(character) = text.and_then(Field::forbidden) {
                    let (point, time) = (row.point.to_owned(), row.time);
                    return Err(FormatError::Character { format: FORMAT, point, time, character });
                }
            }
            self.name(&row, meter.map_or(row.point, |meter| meter.id(row.point)), unit)?;
        }
        let record = self.record.get_or_insert_with(|| Record {
            unit: unit.to_owned(),
            next: None,
            count: 0,
            values: String::new(),
        });
        record.next = next;
        record.count += 1;
        record.values.push(',');
        if is_start {
            let time = self.utc.format(row.time, self.options.timestamp_format.as_str());
            record.values.push_str(&time);
        }
        let Some(value) = row.value else {
            record.values.push_str(",N,");
            return Ok(());
        };
        let Some(value) = convert(value, row.unit, unit) else {
            return Err(FormatError::unit(FORMAT, &row, unit));
        };
        record.values.push_str(",,");
        push_number(value, Some(Decimals::SIX), &mut record.values);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close()?;
        self.output.flush()
    }
}

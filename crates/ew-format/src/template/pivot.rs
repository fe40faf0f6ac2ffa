//! Rows, pushed one at a time, as what the templates of a layout are rendered for.

use super::engine::{Engine, Fields, Instant, Style};
use super::layout::{Layout, Null, Part, Per, Scalar, Scalars};
use super::{FORMAT, TemplateOptions, UNITS};
use crate::output::{Names, Output, Points, Times};
use crate::units::convert;
use crate::{FormatError, Formatter, SliceHeader};
use ew_core::{Row, Timestamp, Zone};
use minijinja::Value;
use std::collections::{BTreeMap, HashSet};
use std::io::Write;

/// Writes the header and gives the formatter for the rows.
pub(super) fn start<'a>(
    options: &'a TemplateOptions,
    layout: &'a Layout,
    header: &SliceHeader<'a>,
    out: Box<dyn Write + 'a>,
) -> Result<Box<dyn Formatter + 'a>, FormatError> {
    let zone = if layout.utc { Zone::utc() } else { header.zone.clone() };
    let style = Style {
        escape: layout.escape,
        null: options.keys.null.as_ref().map_or(layout.null(), |Null(text)| text).to_owned(),
        decimals: options.keys.decimals,
    };
    let engine = Engine::new(layout, &style, &zone).map_err(|why| options.error(why))?;
    let mut document = Document {
        output: Output::new(FORMAT, out),
        options,
        layout,
        engine,
        zone,
        slice: Vec::new(),
        is_first: true,
    };
    document.slice = vec![
        ("job", Value::from(header.job)),
        ("site", Value::from(header.site)),
        ("start", document.time(header.window.start)),
        ("end", document.time(header.window.end)),
        ("values", scalars(&layout.values, Some(&options.keys.values))),
    ];
    // The watch over the order sees every time, whoever shows it.
    let times = Times::new(FORMAT, header.zone, None);
    Ok(match layout.per {
        Per::Reading => {
            document.part(Part::Header, Vec::new(), None)?;
            Box::new(Readings { document, times, time: Value::UNDEFINED, meters: Names::new() })
        }
        Per::Timestamp => Box::new(Timestamps::new(document, times, header)?),
        Per::Point => {
            document.part(Part::Header, Vec::new(), None)?;
            Box::new(OnePoint { document, points: Points::new(FORMAT), meter: None })
        }
    })
}

/// The text so far and what makes more of it.
struct Document<'a, W> {
    output: Output<W>,
    options: &'a TemplateOptions,
    layout: &'a Layout,
    engine: Engine<'a>,
    zone: Zone,
    /// What every part can name.
    slice: Vec<(&'static str, Value)>,
    /// Nothing but the header is written.
    is_first: bool,
}

/// Where a template was when it failed.
type Place<'p> = Option<(&'p str, Timestamp)>;

impl<'a, W: Write> Document<'a, W> {
    /// Writes a part, which can also name these.
    fn part(
        &mut self,
        part: Part,
        also: Vec<(&'static str, Value)>,
        place: Place<'_>,
    ) -> Result<(), FormatError> {
        if self.layout.part(part).is_empty() {
            return Ok(());
        }
        let scope = self.slice.iter().cloned().chain(also).collect();
        let scope = Value::from_object(Fields(scope));
        self.engine.render(part, scope, &mut self.output.text).map_err(|why| {
            let at = match place {
                Some(("", time)) => format!(" ({time})"),
                Some((point, time)) => format!(" ({} at {time})", point.escape_debug()),
                None => String::new(),
            };
            FormatError::Template { name: self.options.name.clone(), why, at }
        })?;
        self.output.drain()
    }

    fn row(&mut self, mut also: Vec<(&'static str, Value)>, place: Place<'_>) -> Result<(), FormatError> {
        also.push(("first", Value::from(std::mem::take(&mut self.is_first))));
        self.part(Part::Row, also, place)
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.part(Part::Footer, Vec::new(), None)?;
        self.output.flush()
    }

    fn time(&self, time: Timestamp) -> Value {
        let format = self.options.keys.timestamp_format.as_ref().or(self.layout.timestamp_format.as_ref());
        let text = match format {
            Some(format) => self.zone.format(time, format.as_str()),
            None => self.zone.rfc3339(time),
        };
        Value::from_object(Instant { time, text })
    }

    /// What the job says of a point; none where the layout needs to be told.
    fn meter(&self, point: &str) -> Option<Meter> {
        let keys = &self.options.keys;
        let own = keys.meters.get(point);
        if own.is_none() && !self.layout.meter_needs.is_empty() {
            return None;
        }
        Some(Meter {
            name: Value::from(keys.names.get(point).map_or(point, String::as_str)),
            point: Value::from(point),
            units: own.and_then(|own| own.get(UNITS)).map(Scalar::to_string),
            more: scalars(&self.layout.meter, own),
        })
    }
}

/// What is said, and beneath it what stands where nothing is.
fn scalars(known: &Scalars, said: Option<&Scalars>) -> Value {
    let all = known.iter().chain(said.into_iter().flatten());
    let value = |scalar: &Scalar| match scalar {
        Scalar::Whole(number) => Value::from(*number),
        Scalar::Number(number) => Value::from(*number),
        Scalar::Text(text) => Value::from(text.as_str()),
    };
    Value::from(all.map(|(key, scalar)| (key.clone(), value(scalar))).collect::<BTreeMap<String, Value>>())
}

/// A point as the receiver knows it.
#[derive(Debug, Clone)]
struct Meter {
    name: Value,
    point: Value,
    /// Into which values are converted.
    units: Option<String>,
    /// The job's `meters` of it.
    more: Value,
}

impl Meter {
    fn fields(&self) -> Vec<(&'static str, Value)> {
        vec![("name", self.name.clone()), ("point", self.point.clone()), ("meter", self.more.clone())]
    }

    /// A reading of it, in its units.
    fn reading(&self, row: &Row<'_>) -> Result<Vec<(&'static str, Value)>, FormatError> {
        let unit = self.units.as_deref().unwrap_or(row.unit);
        let value = match row.value {
            None => None,
            Some(value) => {
                Some(convert(value, row.unit, unit).ok_or_else(|| FormatError::unit(FORMAT, row, unit))?)
            }
        };
        let mut fields = self.fields();
        fields.push(("value", value.map_or(Value::from(()), Value::from)));
        fields.push(("unit", Value::from(unit)));
        fields.push(("quality", Value::from(row.quality.as_str())));
        Ok(fields)
    }

    /// No reading of it.
    fn nothing(&self) -> Vec<(&'static str, Value)> {
        let mut fields = self.fields();
        fields.push(("value", Value::from(())));
        fields.push(("unit", Value::from(self.units.as_deref().unwrap_or(""))));
        fields.push(("quality", Value::from("missing")));
        fields
    }
}

fn no_meter(row: &Row<'_>) -> FormatError {
    FormatError::NoMeter { format: FORMAT, point: row.point.to_owned(), time: row.time }
}

/// A row for each reading, by time.
struct Readings<'a, W> {
    document: Document<'a, W>,
    times: Times<'a>,
    time: Value,
    meters: Names<Meter>,
}

impl<W: Write> Formatter for Readings<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.turn(&row)? {
            self.meters.restart();
            self.time = self.document.time(row.time);
        }
        let document = &self.document;
        let meter =
            self.meters.next(row.point, |point| document.meter(point).ok_or_else(|| no_meter(&row)))?;
        let Some(meter) = meter else { return Err(self.times.out_of_order(&row)) };
        let mut fields = meter.reading(&row)?;
        fields.push(("time", self.time.clone()));
        self.document.row(fields, Some((row.point, row.time)))
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.document.finish()
    }
}

/// A row for each reading, one point after the other.
struct OnePoint<'a, W> {
    document: Document<'a, W>,
    points: Points,
    /// The present point, as `point_start` and `point_end` can name it.
    meter: Option<(Meter, Vec<(&'static str, Value)>)>,
}

impl<W: Write> OnePoint<'_, W> {
    fn close(&mut self) -> Result<(), FormatError> {
        match self.meter.take() {
            Some((_, fields)) => self.document.part(Part::PointEnd, fields, None),
            None => Ok(()),
        }
    }
}

impl<W: Write> Formatter for OnePoint<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        let is_new = self.points.is_new(row.point);
        self.points.step(&row)?;
        if is_new {
            self.close()?;
            let mut meter = self.document.meter(row.point).ok_or_else(|| no_meter(&row))?;
            let mut fields = meter.fields();
            fields.push(("unit", Value::from(meter.units.as_deref().unwrap_or(row.unit))));
            self.document.part(Part::PointStart, fields.clone(), Some((row.point, row.time)))?;
            // What has been said of the unit holds for all values that follow.
            let is_told = !self.document.layout.part(Part::PointStart).is_empty() && !row.unit.is_empty();
            if is_told && meter.units.is_none() {
                meter.units = Some(row.unit.to_owned());
            }
            self.meter = Some((meter, fields));
        }
        let Some((meter, _)) = &self.meter else { return Err(no_meter(&row)) };
        let mut fields = meter.reading(&row)?;
        fields.push(("time", self.document.time(row.time)));
        self.document.row(fields, Some((row.point, row.time)))
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close()?;
        self.document.finish()
    }
}

/// A row for each timestamp, with a cell for every column.
struct Timestamps<'a, W> {
    document: Document<'a, W>,
    times: Times<'a>,
    /// The columns by point, each with its place.
    order: Vec<(&'a str, usize)>,
    /// By place.
    meters: Vec<Meter>,
    /// Of the present row, by place.
    cells: Vec<Option<Vec<(&'static str, Value)>>>,
    /// Of the present row.
    time: Option<Timestamp>,
}

impl<'a, W: Write> Timestamps<'a, W> {
    fn new(
        mut document: Document<'a, W>,
        times: Times<'a>,
        header: &SliceHeader<'a>,
    ) -> Result<Timestamps<'a, W>, FormatError> {
        let columns = header.columns;
        let columns_max = document.layout.columns_max();
        if columns.len() > columns_max {
            let why = format!("it has {columns_max} columns at most, and there are {}", columns.len());
            return Err(document.options.error(why));
        }
        let mut meters = Vec::with_capacity(columns.len());
        let mut seen = HashSet::new();
        for point in columns {
            let (point, time) = (point.as_str(), header.window.start);
            let name = document.options.keys.names.get(point).map_or(point, String::as_str);
            if !seen.insert(name) {
                return Err(FormatError::SameColumn { format: FORMAT, point: name.to_owned() });
            }
            let unknown = || FormatError::NoMeter { format: FORMAT, point: point.to_owned(), time };
            meters.push(document.meter(point).ok_or_else(unknown)?);
        }
        let shown: Vec<Value> =
            meters.iter().map(|meter| Value::from_object(Fields(meter.fields()))).collect();
        document.part(Part::Header, vec![("columns", Value::from(shown))], None)?;
        let mut order: Vec<(&str, usize)> =
            columns.iter().enumerate().map(|(place, point)| (point.as_str(), place)).collect();
        order.sort_unstable();
        let cells = vec![None; meters.len()];
        Ok(Timestamps { document, times, order, meters, cells, time: None })
    }

    /// Writes the present row.
    fn close(&mut self) -> Result<(), FormatError> {
        let Some(time) = self.time.take() else { return Ok(()) };
        let cells =
            self.meters.iter().zip(&mut self.cells).map(|(meter, cell)| {
                Value::from_object(Fields(cell.take().unwrap_or_else(|| meter.nothing())))
            });
        let cells: Vec<Value> = cells.collect();
        let fields = vec![("time", self.document.time(time)), ("cells", Value::from(cells))];
        self.document.row(fields, Some(("", time)))
    }
}

impl<W: Write> Formatter for Timestamps<'_, W> {
    fn row(&mut self, row: Row<'_>) -> Result<(), FormatError> {
        if self.times.is_after(row.time) {
            self.close()?;
        }
        self.times.step(&row)?;
        let Ok(at) = self.order.binary_search_by(|(point, _)| (*point).cmp(row.point)) else {
            let (point, time) = (row.point.to_owned(), row.time);
            return Err(FormatError::NoColumn { format: FORMAT, point, time });
        };
        let place = self.order[at].1;
        self.cells[place] = Some(self.meters[place].reading(&row)?);
        self.time = Some(row.time);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        self.close()?;
        self.document.finish()
    }
}

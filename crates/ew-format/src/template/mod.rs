//! Templates: a slice as a receiver's layout has it, which is data: shipped ones, and files beside `ew.toml`.
//!
//! A layout is a handful of templates, each rendered for one row, or one point, at a time.

mod engine;
mod layout;
mod pivot;

use crate::options::Strftime;
use crate::{Decimals, Format, FormatError, Formatter, SliceHeader};
use ew_core::{Grid, Period, Point, Quality, Row, RowOrder, Stamp, Timestamp, Window};
use layout::{Extension, LAYOUT_BYTES_MAX, Layout, Null, Per, Scalars, Shipped};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const FORMAT: &str = "template";

/// The key of a meter that is the same in every layout.
const UNITS: &str = "units";

/// `[export.format.template]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct TemplateOptions {
    keys: Keys,
    /// What the layout is called in messages.
    name: String,
    /// None until a file is read.
    layout: Option<Box<Layout>>,
    /// The format's name, and the layout's hash.
    version: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    /// A shipped layout.
    template: Option<Shipped>,
    /// A layout's file.
    file: Option<PathBuf>,
    extension: Option<Extension>,
    null: Option<Null>,
    decimals: Option<Decimals>,
    timestamp_format: Option<Strftime>,
    #[serde(default)]
    stamp: Stamp,
    /// What points are called there.
    #[serde(default)]
    names: BTreeMap<String, String>,
    /// What else the layout has to know of points.
    #[serde(default)]
    meters: BTreeMap<String, Scalars>,
    /// What the layout has to know of the job.
    #[serde(default)]
    values: Scalars,
}

impl TryFrom<Keys> for TemplateOptions {
    type Error = String;

    fn try_from(keys: Keys) -> Result<TemplateOptions, String> {
        let none = TemplateOptions { keys, name: String::new(), layout: None, version: String::new() };
        match (none.keys.template, &none.keys.file) {
            (Some(shipped), None) => {
                let (name, text) = shipped.file();
                none.with(name.to_owned(), name, text)
            }
            (None, Some(file)) => Ok(TemplateOptions { name: file.display().to_string(), ..none }),
            _ => Err("write either template, a layout that is shipped, or file, one of your own".into()),
        }
    }
}

impl TemplateOptions {
    fn with(self, name: String, kind: &str, text: &str) -> Result<TemplateOptions, String> {
        let layout = Layout::parse(text).map_err(|e| format!("the template {name}: {e}"))?;
        self.check_keys(&layout).map_err(|e| format!("the template {name} {e}"))?;
        let hash = Sha256::digest(text);
        let hash = hash.iter().take(6).fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Ok(TemplateOptions {
            version: format!("template/1/{kind}/{hash}"),
            name,
            layout: Some(Box::new(layout)),
            ..self
        })
    }

    /// What a job says is what the layout asks for.
    fn check_keys(&self, layout: &Layout) -> Result<(), String> {
        let said = |what: &str, said: &Scalars, needs: &[String], known: &Scalars, also: &[&str]| {
            let all: BTreeSet<&str> =
                needs.iter().chain(known.keys()).map(String::as_str).chain(also.iter().copied()).collect();
            if let Some(key) = said.keys().find(|key| !all.contains(key.as_str())) {
                let all: Vec<&str> = all.into_iter().collect();
                let there = if all.is_empty() { "nothing".to_owned() } else { all.join(" ") };
                return Err(format!("has no {key:?} in {what}; there is: {there}"));
            }
            match needs.iter().find(|key| !said.contains_key(*key)) {
                Some(key) => Err(format!("needs {key} in {what}")),
                None => Ok(()),
            }
        };
        said("values", &self.keys.values, &layout.needs, &layout.values, &[])?;
        if self.keys.meters.is_empty() && !layout.meter_needs.is_empty() {
            return Err(format!(
                "needs meters, a table for each point with {}",
                layout.meter_needs.join(" ")
            ));
        }
        for (point, meter) in &self.keys.meters {
            said(&format!("meters.{point:?}"), meter, &layout.meter_needs, &layout.meter, &[UNITS])?;
        }
        Ok(())
    }

    fn error(&self, why: String) -> FormatError {
        FormatError::Template { name: self.name.clone(), why, at: String::new() }
    }

    /// Renders made-up rows: a value and a null of each point that is named, which is how mistakes are found before
    /// there is a slice.
    fn try_out(&self, slots: &Grid, interval: Option<Period>) -> Result<(), FormatError> {
        let window: Window = slots.slot(Timestamp::from_secs(0));
        let mut named: BTreeSet<&str> =
            self.keys.names.keys().chain(self.keys.meters.keys()).map(String::as_str).collect();
        // Two of one name need not meet in a slice: a meter may take the place of another.
        let names = &self.keys.names;
        let mut shown = BTreeSet::new();
        named.retain(|name| shown.insert(names.get(*name).map_or(*name, String::as_str)));
        let mut columns: Vec<Point> = named.into_iter().filter_map(|name| name.parse().ok()).collect();
        let columns_max = self.layout.as_ref().map_or(1, |layout| layout.columns_max());
        columns.truncate(columns_max);
        if columns.is_empty() {
            columns.extend("com.example.hq".parse());
        }
        let header =
            SliceHeader { job: "job", site: "site", zone: &slots.zone, window, interval, columns: &columns };
        let mut formatter = self.start(&header, Box::new(std::io::sink()))?;
        let row = |point, step: usize| Row {
            time: window.start.plus_micros(step as i64),
            point,
            value: (step != 1).then_some(1.5),
            unit: "",
            quality: if step == 1 { Quality::Missing } else { Quality::Actual },
        };
        let points: Vec<&str> = columns.iter().map(Point::as_str).collect();
        match self.order() {
            RowOrder::ByTime => {
                for step in 0..3 {
                    points.iter().try_for_each(|point| formatter.row(row(point, step)))?;
                }
            }
            RowOrder::ByPoint => {
                for point in points {
                    (0..3).try_for_each(|step| formatter.row(row(point, step)))?;
                }
            }
        }
        formatter.finish()
    }
}

impl Format for TemplateOptions {
    fn load(&mut self, base: &Path) -> Result<(), String> {
        let Some(file) = &self.keys.file else { return Ok(()) };
        let path = if base == Path::new(".") { file.clone() } else { base.join(file) };
        let mut text = String::new();
        File::open(&path)
            .and_then(|file| file.take(LAYOUT_BYTES_MAX + 1).read_to_string(&mut text))
            .map_err(|e| {
                let path = path.display();
                format!("cannot read the template {path}, named from the configuration's folder: {e}")
            })?;
        if text.len() as u64 > LAYOUT_BYTES_MAX {
            return Err(format!("the template {} has more than {LAYOUT_BYTES_MAX} bytes", path.display()));
        }
        *self = self.clone().with(file.display().to_string(), "own", &text)?;
        Ok(())
    }

    fn start<'a>(
        &'a self,
        header: &SliceHeader<'a>,
        out: Box<dyn Write + 'a>,
    ) -> Result<Box<dyn Formatter + 'a>, FormatError> {
        match &self.layout {
            Some(layout) => pivot::start(self, layout, header, out),
            None => Err(self.error("its file was not read".into())),
        }
    }

    fn extension(&self) -> &str {
        let own = self.keys.extension.as_ref().map(|extension| extension.0.as_str());
        own.or(self.layout.as_ref().map(|layout| layout.extension())).unwrap_or_default()
    }

    fn stamp(&self) -> Stamp {
        self.keys.stamp
    }

    fn order(&self) -> RowOrder {
        match &self.layout {
            Some(layout) if layout.per == Per::Point => RowOrder::ByPoint,
            _ => RowOrder::ByTime,
        }
    }

    fn check(&self, slots: &Grid, interval: Option<Period>) -> Result<(), String> {
        self.try_out(slots, interval).map_err(|e| match e {
            // Nobody knows the row that was made up.
            FormatError::Template { name, why, .. } => {
                FormatError::Template { name, why, at: String::new() }.to_string()
            }
            other => other.to_string(),
        })
    }

    fn is_wide(&self) -> bool {
        self.layout.as_ref().is_some_and(|layout| layout.per == Per::Timestamp)
    }

    fn name_and_version(&self) -> &str {
        &self.version
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(toml: &str) -> Result<TemplateOptions, String> {
        toml::from_str(toml).map_err(|e| e.to_string())
    }

    #[test]
    fn every_shipped_layout_is_one() {
        for shipped in Shipped::ALL {
            let (name, text) = shipped.file();
            Layout::parse(text).unwrap_or_else(|e| panic!("{name}: {e}"));
        }
    }

    #[test]
    fn the_version_is_that_of_the_text() {
        let version = |text: &str| {
            let own = options("file = \"x.toml\"").unwrap();
            own.with("x.toml".into(), "own", text).unwrap().version
        };
        let (one, other) = (
            "per = \"reading\"\nextension = \"x\"\nrow = \"a\"",
            "per = \"reading\"\nextension = \"x\"\nrow = \"b\"",
        );
        assert_eq!(version(one), version(one));
        assert_ne!(version(one), version(other));
        let retx = options("template = \"retx\"").unwrap();
        assert!(retx.version.starts_with("template/1/retx/"), "{}", retx.version);
        // What is not read has no text.
        let error = options("file = \"x.toml\"").unwrap();
        let slots = Grid {
            zone: ew_core::Zone::utc(),
            period: Period::Seconds(900),
            synchronize_on: ew_core::TimeOfDay::MIDNIGHT,
        };
        assert_eq!(error.check(&slots, None).unwrap_err(), "the template x.toml: its file was not read");
    }

    #[test]
    fn keys_that_cannot_be() {
        for bad in [
            "",
            "template = \"retx\"\nfile = \"x.toml\"",
            "template = \"rets\"",
            "template = \"retx\"\nnull = \"0\"",
            "template = \"retx\"\nextension = \".txt\"",
            "template = \"retx\"\nextension = \"a/b\"",
            "template = \"retx\"\nvalues = { prefx = \"a\" }",
            "template = \"retx\"\nvalues = { prefix = [1] }",
            "template = \"retx\"\nmeters = { \"a\" = { account = \"x\" } }",
            "template = \"enernoc_v2\"",
            "template = \"tcs\"",
            "template = \"retx\"\nprefix = \"x\"",
        ] {
            assert!(options(bad).is_err(), "{bad}");
        }
    }
}

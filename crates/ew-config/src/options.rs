//! The tables of `ew.toml` that belong to no other crate.

use crate::error::ConfigError;
use crate::receivers::{Received, ReceiverKeys};
use ew_bus::BusOptions;
use ew_core::{
    Aggregate, Grid, Late, NameTemplate, Period, Point, PointGlob, Resampling, Secret, SecretSource,
    Selection, Span, TimeOfDay,
};
use ew_core::{Timestamp, Zone};
use ew_energy::{DomainOptions, NativeOptions, ProfileOptions, Profiles, SnmpOptions, TrendOptions};
use ew_format::FormatOptions;
use ew_transport::TransportOptions;
use serde::{Deserialize, Deserializer, de};
use std::path::{Path, PathBuf};
use toml::Spanned;

/// A configuration that was read and checked.
#[derive(Debug, Clone)]
pub struct Config {
    /// The file that it was read from; paths inside it are relative to its folder.
    pub file: PathBuf,
    /// `site`.
    pub site: String,
    /// `[log]`.
    pub log: LogOptions,
    /// `[snmp]`.
    pub snmp: SnmpOptions,
    /// What switches may be read by: the shipped ones, `[[profile]]` and those of `profile_files`.
    pub profiles: Profiles,
    /// `[native]`.
    pub native: NativeOptions,
    /// `[[domain]]`.
    pub domains: Vec<DomainOptions>,
    /// `[[trend]]`.
    pub trends: Vec<TrendOptions>,
    /// `[[cbus]]`.
    pub buses: Vec<BusOptions>,
    /// `[[export]]`.
    pub exports: Vec<ExportOptions>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tables {
    #[serde(default)]
    pub(crate) site: FileSafe,
    #[serde(default)]
    pub(crate) log: LogOptions,
    #[serde(default)]
    pub(crate) snmp: SnmpOptions,
    #[serde(default)]
    pub(crate) profile_files: Vec<String>,
    #[serde(default)]
    pub(crate) profile: Vec<ProfileOptions>,
    #[serde(default)]
    pub(crate) native: Option<Spanned<NativeOptions>>,
    #[serde(default)]
    pub(crate) domain: Vec<Spanned<DomainOptions>>,
    #[serde(default)]
    pub(crate) trend: Vec<Spanned<TrendOptions>>,
    #[serde(default)]
    pub(crate) cbus: Vec<BusOptions>,
    #[serde(default, rename = "receiver_files")]
    pub(crate) _receiver_files: Vec<String>,
    #[serde(default, rename = "receiver")]
    pub(crate) _receiver: Vec<ReceiverKeys>,
    #[serde(default)]
    pub(crate) export: Vec<Spanned<ExportOptions>>,
}

/// `[log]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogOptions {
    /// The SQLite file.
    #[serde(deserialize_with = "sqlite_url")]
    pub url: PathBuf,
    /// How long delivered rows are kept by `ew-log trim --retention`.
    pub retention: Option<Span>,
    /// How long delivered files are kept.
    pub keep_files: Span,
    /// A lock held longer than this is reported, each minute.
    pub lock_warn_after: Span,
}

impl Default for LogOptions {
    fn default() -> LogOptions {
        LogOptions {
            url: "ew.db".into(),
            retention: None,
            keep_files: Span::from_secs(400 * 86_400),
            lock_warn_after: Span::from_secs(60),
        }
    }
}

/// A name that also stands in file names: no slash, no control character, no leading dot, 1 to 64 bytes.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(try_from = "String")]
pub(crate) struct FileSafe(pub(crate) String);

impl TryFrom<String> for FileSafe {
    type Error = String;

    fn try_from(name: String) -> Result<FileSafe, String> {
        let bad = name.is_empty()
            || name.len() > 64
            || name.starts_with('.')
            || name.chars().any(|c| c == '/' || c.is_control());
        match bad {
            true => Err(format!(
                "the name {name:?} must have 1 to 64 bytes and no slash, control character or leading dot"
            )),
            false => Ok(FileSafe(name)),
        }
    }
}

/// One `[[export]]` table: one selection of points, one formatter, one transporter, one bookmark.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportOptions {
    /// The job's name.
    #[serde(deserialize_with = "file_safe")]
    pub name: String,
    /// Globs of the points to export.
    pub points: Vec<PointGlob>,
    /// Whose demands stand in for the keys that are left out.
    #[serde(default)]
    pub profile: Option<String>,
    /// Fixed columns, in this order.
    #[serde(default, deserialize_with = "columns")]
    pub columns: Option<Vec<Point>>,
    /// How long an interval is that gets one row per point; left out: the readings as they are.
    #[serde(default)]
    pub interval: Option<Period>,
    /// What becomes of the readings of an interval.
    #[serde(default)]
    pub aggregate: Option<Aggregate>,
    /// The longest gap between readings that `energy` and `delta` bridge.
    #[serde(default, deserialize_with = "max_gap")]
    pub max_gap: Option<Span>,
    /// How long a slot is.
    #[serde(default = "period")]
    pub period: Period,
    /// The time of day at which slots begin.
    #[serde(default = "midnight")]
    pub synchronize_on: TimeOfDay,
    /// Of slots, file names and timestamps.
    #[serde(default = "Zone::utc")]
    pub zone: Zone,
    /// A slot is closed this long after its end.
    #[serde(default)]
    pub delay: Delay,
    /// One slice per slot, else one for the window.
    #[serde(default)]
    pub breakup_on_period: bool,
    /// Empty slots are sent too.
    #[serde(default)]
    pub always_export: bool,
    /// Rows before it are never due.
    #[serde(default, deserialize_with = "since")]
    pub since: Option<Timestamp>,
    /// What becomes of late rows.
    #[serde(default)]
    pub late: Late,
    /// Attempts in a row in which no slice was placed.
    #[serde(default = "attempts", deserialize_with = "at_least_one")]
    pub connection_attempts: u32,
    /// Of inactivity.
    #[serde(default = "timeout", deserialize_with = "not_zero")]
    pub timeout: Span,
    /// The name of a file.
    #[serde(default)]
    pub filename: NameTemplate,
    /// The receiver takes files away: one that is gone is not missing.
    #[serde(default)]
    pub taken: bool,
    /// A JSON document beside each file says what is in it.
    #[serde(default)]
    pub manifest: bool,
    /// `[export.format.KIND]`.
    pub format: FormatOptions,
    /// `[export.transport.KIND]`.
    pub transport: TransportOptions,
    /// What it has of its profile.
    #[serde(skip)]
    pub received: Option<Received>,
}

/// A duration that is zero where absent.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub struct Delay(pub Span);

impl Default for Delay {
    fn default() -> Delay {
        Delay(Span::from_secs(0))
    }
}

impl ExportOptions {
    /// The job's slots.
    pub fn grid(&self) -> Grid {
        Grid { zone: self.zone.clone(), period: self.period, synchronize_on: self.synchronize_on }
    }

    /// The job's points.
    pub fn selection(&self) -> Selection {
        Selection(self.points.clone())
    }

    /// Rows before it are never due; the beginning of time where it is left out.
    pub fn since(&self) -> Timestamp {
        self.since.unwrap_or(Timestamp::MIN)
    }

    /// How the rows of a slice are made of readings, where they are not the readings themselves.
    pub fn resampling(&self) -> Option<Resampling> {
        let (interval, aggregate) = self.interval.zip(self.aggregate)?;
        let intervals = Grid { period: interval, ..self.grid() };
        let max_gap = self.max_gap.unwrap_or(MAX_GAP);
        Some(Resampling { intervals, aggregate, max_gap, stamp: self.format.stamp() })
    }

    /// Whether new rows alone make a file of their own: names tell revisions apart, and rows are readings.
    pub fn can_delta(&self) -> bool {
        self.filename.has_rev() && self.interval.is_none()
    }

    /// `{ext}` of a file name.
    pub fn extension(&self) -> String {
        let format = self.format.extension();
        match self.transport.compress() {
            Some(compression) => format!("{format}.{}", compression.extension()),
            None => format.to_owned(),
        }
    }

    /// The points of the file are what the rows have: a wide layout without fixed columns.
    pub fn columns_follow_rows(&self) -> bool {
        self.format.is_wide() && self.columns.is_none()
    }
}

impl Config {
    /// The folder that paths inside the file are relative to.
    pub fn base(&self) -> &Path {
        base(&self.file)
    }

    /// What `--check` looks at beyond the text: the files that buses name. Other programs do without them.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        for bus in &self.buses {
            let Err((path, message)) = bus.check_files(self.base()) else { continue };
            let text = std::fs::read_to_string(&self.file)
                .map_err(|source| ConfigError::Read { file: self.file.clone(), source })?;
            let from = text.find(&format!("{:?}", bus.name)).unwrap_or(0);
            let name = path.to_string_lossy();
            return Err(ConfigError::about_from(from, &self.file, &text, &name, message, None));
        }
        Ok(())
    }

    /// Fetches a secret; the error says why, never what.
    pub fn secret(&self, source: &SecretSource) -> Result<Secret, String> {
        crate::resolve(source, self.base())
    }
}

pub(crate) fn base(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// A reading each quarter of an hour, and some of them a little late.
const MAX_GAP: Span = Span::from_secs(20 * 60);

fn period() -> Period {
    Period::Seconds(900)
}
fn midnight() -> TimeOfDay {
    TimeOfDay::MIDNIGHT
}
fn attempts() -> u32 {
    3
}
fn timeout() -> Span {
    Span::from_secs(60)
}

fn file_safe<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    FileSafe::deserialize(deserializer).map(|name| name.0)
}

fn columns<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Point>>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    let mut points: Vec<Point> = Vec::new();
    for name in names {
        let point: Point = name.parse().map_err(de::Error::custom)?;
        if points.contains(&point) {
            return Err(de::Error::custom(format!("the column {name:?} stands twice")));
        }
        points.push(point);
    }
    Ok(Some(points))
}

fn since<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(de::Error::custom)
}

fn at_least_one<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    match u32::deserialize(deserializer)? {
        0 => Err(de::Error::custom("there must be at least one attempt")),
        n => Ok(n),
    }
}

fn not_zero<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Span, D::Error> {
    match Span::deserialize(deserializer)? {
        Span(wait) if wait.is_zero() => {
            Err(de::Error::custom("a time-out of 0s would never let anything through"))
        }
        span => Ok(span),
    }
}

fn max_gap<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Span>, D::Error> {
    match Span::deserialize(deserializer)? {
        Span(gap) if gap.is_zero() => Err(de::Error::custom("a gap of 0s lets no two readings meet")),
        span => Ok(Some(span)),
    }
}

fn sqlite_url<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let url = String::deserialize(deserializer)?;
    let path = url.strip_prefix("sqlite://").or_else(|| url.strip_prefix("sqlite:")).unwrap_or(&url);
    if path.is_empty() || path.contains("://") {
        return Err(de::Error::custom(format!("{url:?} is not a path; the log is an SQLite file")));
    }
    Ok(PathBuf::from(path))
}

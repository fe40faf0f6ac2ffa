//! What no single key can tell.

use crate::error::{ConfigError, nearest};
use crate::options::{ExportOptions, Tables, base};
use ew_core::{
    Aggregate, Grid, Late, NameFields, NameTemplate, Period, Stamp, Timestamp, Window, Zone, point_part,
};
use ew_energy::{DomainOptions, EnergyConfigError, Profiles, TrendOptions};
use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

pub(crate) fn check(
    file: &Path,
    text: &str,
    tables: &Tables,
    profiles: &Profiles,
) -> Result<(), ConfigError> {
    let domains: Vec<DomainOptions> = tables.domain.iter().map(|domain| domain.get_ref().clone()).collect();
    let native = tables.native.as_ref().map(|native| native.get_ref().clone()).unwrap_or_default();
    ew_energy::check(&tables.snmp, &native, &domains, profiles)
        .map_err(|e| energy_error(file, text, tables, &e))?;
    let trends: Vec<TrendOptions> = tables.trend.iter().map(|trend| trend.get_ref().clone()).collect();
    ew_energy::check_trends(&trends, &domains).map_err(|(place, e)| {
        let (from, name) = (tables.trend[place].span().start, &trends[place].domain);
        ConfigError::about_from(from, file, text, name, e.to_string(), Some(e.hint()))
    })?;
    let mut buses: HashMap<String, &str> = HashMap::new();
    for bus in &tables.cbus {
        // The name as it stands in points.
        if let Some(other) = buses.insert(point_part(&bus.name, 0), &bus.name) {
            let message = format!("the buses {other:?} and {:?} would give the same points", bus.name);
            return Err(ConfigError::about(
                file,
                text,
                &bus.name,
                message,
                Some("rename one of them".into()),
            ));
        }
    }
    for domain in tables.domain.iter().map(Spanned::get_ref) {
        let bus = domain.name.strip_prefix("cbus.").and_then(|rest| rest.split('.').next());
        if let Some(bus) = bus.and_then(|bus| buses.get(bus)) {
            let message =
                format!("the domain {:?} and the bus {bus:?} could give the same points", domain.name);
            let hint = Some("rename one of them".into());
            return Err(ConfigError::about(file, text, &domain.name, message, hint));
        }
    }
    let mut names: HashMap<&str, ()> = HashMap::new();
    for job in &tables.export {
        let at = |message: String| ConfigError::at(file, text, header(text, job), message);
        let options = job.get_ref();
        if names.insert(&options.name, ()).is_some() {
            return Err(at(format!("the job {:?} stands twice", options.name)));
        }
        check_job(options, &tables.site.0).map_err(at)?;
    }
    for (i, one) in tables.export.iter().enumerate() {
        for other in &tables.export[i + 1..] {
            if names_can_meet(file, one.get_ref(), other.get_ref(), &tables.site.0) {
                let message = format!(
                    "the jobs {:?} and {:?} can give one file name at one destination; put {{job}} into filename",
                    one.get_ref().name,
                    other.get_ref().name
                );
                return Err(ConfigError::at(file, text, header(text, other), message));
            }
        }
    }
    Ok(())
}

/// Reads what formats have in files of their own.
pub(crate) fn load_formats(file: &Path, text: &str, tables: &mut Tables) -> Result<(), ConfigError> {
    for job in &mut tables.export {
        if let Err(e) = job.get_mut().format.load(base(file)) {
            let message = format!("in the job {:?}: {e}", job.get_ref().name);
            return Err(ConfigError::at(file, text, header(text, job), message));
        }
    }
    Ok(())
}

fn check_job(job: &ExportOptions, site: &str) -> Result<(), String> {
    let of_job = |e: &dyn std::fmt::Display| format!("in the job {:?}: {e}", job.name);
    if job.points.is_empty() {
        return Err(of_job(&"points is empty: nothing would ever be exported"));
    }
    if job.columns.as_ref().is_some_and(|columns| columns.is_empty() || !job.format.is_wide()) {
        return Err(of_job(&"columns needs at least one name and a wide layout"));
    }
    let selection = job.selection();
    if let Some(point) = job.columns.iter().flatten().find(|point| !selection.matches(point.as_str())) {
        return Err(of_job(&format!(
            "the column {point} is none of its points and would stay empty; put it into points"
        )));
    }
    check_interval(job).map_err(|e| of_job(&e))?;
    job.format.check(&job.grid(), job.interval).map_err(|e| of_job(&e))?;
    if job.format.is_compressed() && job.transport.compress().is_some() {
        return Err(of_job(&format!(
            "compress would wrap a {} file, which is compressed inside already; leave compress out",
            job.format.extension()
        )));
    }
    if job.late == Late::Delta && !job.filename.has_rev() {
        return Err(of_job(&"late = \"delta\" needs {rev} in filename"));
    }
    if job.manifest && !job.transport.takes_manifests() {
        return Err(of_job(
            &"a manifest lies beside its file, which neither a mail nor a POST knows; leave manifest = false",
        ));
    }
    if job.format.describe().is_some() {
        if !job.transport.takes_manifests() {
            return Err(of_job(&"csvw = true needs a folder or sftp; a mail has one attachment"));
        }
        if job.transport.compress().is_some() {
            return Err(of_job(&"csvw = true goes without compress: readers take the file as it lies there"));
        }
    }
    if job.manifest && !job.filename.has_rev() {
        return Err(of_job(
            &"manifest = true needs {rev} in filename: each manifest names the one before, so none may \
                            be replaced",
        ));
    }
    check_names(job, site).map_err(|e| of_job(&e))
}

/// `interval` and what needs it.
fn check_interval(job: &ExportOptions) -> Result<(), String> {
    let Some(interval) = job.interval else {
        let alone = match job {
            ExportOptions { aggregate: Some(_), .. } => "aggregate",
            ExportOptions { max_gap: Some(_), .. } => "max_gap",
            _ if job.format.stamp() == Stamp::End => "stamp = \"end\"",
            _ => return Ok(()),
        };
        return Err(format!(
            "{alone} goes with interval only; without it rows are the readings, each at its one time"
        ));
    };
    let Some(aggregate) = job.aggregate else {
        return Err("interval needs aggregate: one of mean min max last sum delta energy".into());
    };
    if job.max_gap.is_some() && !matches!(aggregate, Aggregate::Delta | Aggregate::Energy) {
        return Err("max_gap goes with aggregate = \"delta\" and \"energy\" only".into());
    }
    if job.late == Late::Delta {
        return Err(
            "late = \"delta\" sends single rows, and an interval is none; write replace or hold".into()
        );
    }
    let divides = match (job.period, interval) {
        (Period::Seconds(slot), Period::Seconds(part)) => slot % part == 0,
        (Period::Days(slot), Period::Days(part)) => slot % part == 0,
        (slot, _) => matches!(slot, Period::Days(_)),
    };
    match divides {
        true => Ok(()),
        false => Err(format!("the interval {interval} does not divide the period {}", job.period)),
    }
}

/// The name that the template gives to a slice of one window.
fn name(
    job: &ExportOptions,
    site: &str,
    zone: &Zone,
    window: Window,
    rev: u32,
    count: i64,
) -> Result<String, String> {
    let ext = &job.extension();
    let fields = NameFields { job: &job.name, site, zone, window, rev, seq: 0, count, ext };
    job.filename.render(&fields).map_err(|e| e.to_string())
}

const DAY: i64 = 86_400;
/// 2026-01-01T00:00:00Z.
const FROM: i64 = 1_767_225_600;

/// Slots of which a template that has lost a part of the date or the time names two alike: neighbours, and
/// slots an hour, half a day, a day, a month and a year apart. Cut in UTC, so that a clock set back by the
/// zone's own rules, which the ledger resolves with `_2`, does not count as a bad template.
fn sample_slots(job: &ExportOptions) -> Vec<Window> {
    let grid = Grid { zone: Zone::utc(), ..job.grid() };
    let at = |secs: i64| grid.slot(Timestamp::from_secs(FROM + secs));
    match job.period {
        Period::Days(days) => (0..400).map(|n| at(n * i64::from(days) * DAY)).collect(),
        Period::Seconds(secs) => {
            let neighbours = (0..100).map(|n| n * i64::from(secs));
            let hours = (0..24).map(|n| n * 3_600);
            let days = (0..400).map(|n| n * DAY);
            let years = [2, 3, 4, 5, 10].map(|n| (n * 1_461 * DAY) / 4);
            let mut slots: Vec<Window> = neighbours.chain(hours).chain(days).chain(years).map(at).collect();
            slots.sort_unstable();
            slots.dedup();
            slots
        }
    }
}

fn check_names(job: &ExportOptions, site: &str) -> Result<(), String> {
    let utc = Zone::utc();
    let mut seen: HashMap<String, Window> = HashMap::new();
    let mut slots = sample_slots(job);
    if job.filename == NameTemplate::default() {
        // It has the whole time; what is left to see is that the job's name can be in a file's.
        slots.truncate(1);
    }
    for (count, slot) in slots.into_iter().enumerate() {
        let name = name(job, site, &utc, slot, 0, count as i64)?;
        if let Some(before) = seen.insert(name.clone(), slot) {
            return Err(format!(
                "filename {:?} cannot tell the slots at {} and {} apart: both are {name}",
                job.filename.as_str(),
                before.start,
                slot.start
            ));
        }
    }
    Ok(())
}

/// Whether two jobs with one destination could give one name. A slice can begin at any time (after `--end`,
/// say), so the slots of the two do not matter; offsets of zones differ by multiples of a quarter of an hour.
fn names_can_meet(file: &Path, one: &ExportOptions, other: &ExportOptions, site: &str) -> bool {
    if one.transport.destination(base(file)) != other.transport.destination(base(file)) {
        return false;
    }
    let names = |job: &ExportOptions| -> HashSet<String> {
        let quarters = (0..112).map(|n| Timestamp::from_secs(FROM + n * 900));
        let windows = quarters.map(|start| Window::new(start, start.plus_micros(900 * 1_000_000)));
        windows
            .flat_map(|w| (0..2).filter_map(move |rev| name(job, site, &job.zone, w, rev, 1).ok()))
            .collect()
    };
    !names(one).is_disjoint(&names(other))
}

/// The line of a job's name, for an error that belongs to the whole table.
fn header(text: &str, job: &Spanned<ExportOptions>) -> Range<usize> {
    let from = job.span().start.min(text.len());
    let name = format!("{:?}", job.get_ref().name);
    match text[from..].find(&name) {
        Some(at) => from + at..from + at + name.len(),
        None => job.span(),
    }
}

/// An error of the domains at the name it is about, in its own domain's table where it has one; without a name it is
/// about `[native]`.
fn energy_error(file: &Path, text: &str, tables: &Tables, error: &EnergyConfigError) -> ConfigError {
    let meant = match error {
        EnergyConfigError::UnknownProfile { profile, known, .. } => {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            nearest(profile, &known).map(|name| format!("did you mean {name:?}?"))
        }
        _ => None,
    };
    let (message, hint) = (error.to_string(), Some(meant.unwrap_or_else(|| error.hint())));
    let (domain, name) = error.place();
    let table = domain.and_then(|name| tables.domain.iter().find(|domain| domain.get_ref().name == name));
    let from = table.map_or(0, |table| table.span().start);
    match (name, &tables.native) {
        (Some(name), _) => ConfigError::about_from(from, file, text, name, message, hint),
        (None, Some(native)) => ConfigError::at(file, text, native.span(), message).with_hint(hint),
        (None, None) => ConfigError::In { file: file.to_owned(), message, hint },
    }
}

//! What no single key can tell.

use crate::error::ConfigError;
use crate::options::{ExportOptions, Late, Tables, base};
use ew_core::{NameFields, Window, Zone};
use ew_energy::EnergyConfigError;
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;
use toml::Spanned;

pub(crate) fn check(file: &Path, text: &str, tables: &Tables) -> Result<(), ConfigError> {
    ew_energy::check(&tables.snmp, &tables.domain)
        .map_err(|e| ConfigError::about(file, text, object(&e), e.to_string(), Some(e.hint())))?;
    let mut buses: HashMap<&str, ()> = HashMap::new();
    for bus in &tables.cbus {
        if buses.insert(&bus.name, ()).is_some() {
            let message = format!("the bus {:?} stands twice", bus.name);
            return Err(ConfigError::about(file, text, &bus.name, message, None));
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

fn check_job(job: &ExportOptions, site: &str) -> Result<(), String> {
    let of_job = |e: &dyn std::fmt::Display| format!("in the job {:?}: {e}", job.name);
    if job.points.is_empty() {
        return Err(of_job(&"points is empty: nothing would ever be exported"));
    }
    if job.columns.as_ref().is_some_and(|columns| columns.is_empty() || !job.format.is_wide()) {
        return Err(of_job(&"columns needs at least one name and a wide layout"));
    }
    if job.late == Late::Delta && !job.filename.has_rev() {
        return Err(of_job(&"late = \"delta\" needs {rev} in filename"));
    }
    check_names(job, site).map_err(|e| of_job(&e))
}

/// The name of the first delivery of a slot; the slot is cut in UTC, so that a clock set back by the
/// zone's own rules, which the ledger resolves with `_2`, does not count as a bad template.
fn name(job: &ExportOptions, site: &str, window: Window, count: i64) -> Result<String, String> {
    let utc = Zone::utc();
    let ext = job.format.extension();
    let fields = NameFields { job: &job.name, site, zone: &utc, window, rev: 0, seq: 0, count, ext };
    job.filename.render(&fields).map_err(|e| e.to_string())
}

/// Slots that a template must tell apart: two days of them, and the same again a month, half a year and
/// some years later.
fn sample_slots(job: &ExportOptions) -> Vec<Window> {
    let mut grid = job.grid();
    grid.zone = Zone::utc();
    let day = 86_400;
    let starts = [0, 31 * day, 182 * day, 365 * day, 3_653 * day].map(|offset| 1_767_225_600 + offset);
    let windows = starts.map(|start| {
        let first = grid.slot(ew_core::Timestamp::from_secs(start));
        // At most 400 slots of each stretch: enough for a template that has lost its hours or minutes.
        Window::new(first.start, first.start.plus_micros(2 * day * 1_000_000))
    });
    windows.iter().flat_map(|window| grid.slots(*window).take(400).map(|cut| grid.slot(cut.start))).collect()
}

fn check_names(job: &ExportOptions, site: &str) -> Result<(), String> {
    let mut seen: HashMap<String, Window> = HashMap::new();
    for (count, slot) in sample_slots(job).into_iter().enumerate() {
        let name = name(job, site, slot, count as i64)?;
        match seen.insert(name.clone(), slot) {
            Some(before) if before != slot => {
                return Err(format!(
                    "filename {:?} cannot tell the slots at {} and {} apart: both are {name}",
                    job.filename.as_str(),
                    before.start,
                    slot.start
                ));
            }
            _ => {}
        }
    }
    Ok(())
}

fn names_can_meet(file: &Path, one: &ExportOptions, other: &ExportOptions, site: &str) -> bool {
    if one.transport.destination(base(file)) != other.transport.destination(base(file)) {
        return false;
    }
    let names = |job: &ExportOptions| -> Vec<String> {
        let slots = sample_slots(job).into_iter().enumerate();
        slots.filter_map(|(count, slot)| name(job, site, slot, count as i64).ok()).collect()
    };
    let first = names(one);
    names(other).iter().any(|name| first.contains(name))
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

/// The name to look for in the text.
fn object(error: &EnergyConfigError) -> &str {
    match error {
        EnergyConfigError::DomainName { domain, .. } | EnergyConfigError::DuplicateDomain { domain } => {
            domain
        }
        EnergyConfigError::DuplicatePoint { point, .. } => point,
        EnergyConfigError::LongPoint { source_name, .. } => source_name,
        EnergyConfigError::NotBuilt { value, .. } => value,
        EnergyConfigError::Credentials { switch, .. } => switch,
    }
}

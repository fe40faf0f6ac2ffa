//! `ew-ledger why POINT TIME`: each file that carried a reading.

use ew_cli::{Failure, Output};
use ew_config::Config;
use ew_core::{Exit, Timestamp, Window};
use ew_store::{Delivery, Log, SliceState, Version};
use serde_json::json;

/// A file and what it says of the reading.
struct Carried {
    slice: Delivery,
    /// None: the row is trimmed, or came back after the slice was rebuilt, so that only the window tells.
    version: Option<Version>,
}

/// Names every slice that carried the reading; 66 where the log never had it and no slice can have.
pub(crate) fn why(
    config: &Config,
    log: &mut Log,
    point: &str,
    time: Timestamp,
    as_json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let versions = log.snapshot()?.versions(point, time)?;
    let mut carried = Vec::new();
    for slice in log.ledger().list(None, Window::new(time, time.plus_micros(1)))? {
        if slice.state == SliceState::Empty || !selects(config, log, &slice, point, time)? {
            continue;
        }
        let after = slice.after_seq.unwrap_or(0);
        let version = versions.iter().rfind(|v| after < v.seq && v.seq <= slice.as_of_seq).copied();
        let may_have = if versions.is_empty() { slice.trimmed } else { slice.rebuilt.is_some() };
        if version.is_some() || may_have {
            carried.push(Carried { slice, version });
        }
    }
    if versions.is_empty() && carried.is_empty() {
        return Err(Failure::new(Exit::NoData, format!("the log has no row of {point} at {time}"))
            .hint("ew-log slice shows what it has; times are exact to the microsecond"));
    }
    if as_json {
        let one = |c: &Carried| {
            json!({
                "job": c.slice.job, "name": c.slice.name, "rev": c.slice.rev, "state": c.slice.state.as_str(),
                "seq": c.version.map(|v| v.seq), "value": c.version.and_then(|v| v.value),
                "sha256": c.slice.sha256, "destination": c.slice.destination,
                "delivered_at": c.slice.delivered_at.map(|at| at.to_string()),
            })
        };
        let rows: Vec<_> = versions.iter().map(|v| json!({ "seq": v.seq, "value": v.value })).collect();
        let files: Vec<_> = carried.iter().map(one).collect();
        out.json(&json!({ "point": point, "time": time.to_string(), "versions": rows, "files": files }))?;
        return Ok(Exit::Ok);
    }
    let heading = ["JOB", "NAME", "REV", "VALUE", "STATE", "DELIVERED", "SHA256", "DESTINATION"];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for Carried { slice, version } in carried {
        table.push(vec![
            slice.job,
            or_dash(slice.name),
            slice.rev.to_string(),
            match version {
                Some(version) => version.value.map_or("null".to_owned(), |value| value.to_string()),
                None if slice.rebuilt.is_some() => "unknown".to_owned(),
                None => "trimmed".to_owned(),
            },
            slice.state.as_str().to_owned(),
            or_dash(slice.delivered_at.map(|at| at.to_string())),
            or_dash(slice.sha256),
            or_dash(slice.destination),
        ]);
    }
    out.table(&table)?;
    Ok(Exit::Ok)
}

/// Whether a job selected the reading when the slice began.
fn selects(
    config: &Config,
    log: &mut Log,
    slice: &Delivery,
    point: &str,
    time: Timestamp,
) -> Result<bool, Failure> {
    let ledger = log.ledger();
    let then = match ledger.job(&slice.job)? {
        Some(job) => ledger.scope_at(&job, slice.window.start)?,
        None => None,
    };
    let now = config.exports.iter().find(|options| options.name == slice.job);
    Ok(match (then, now) {
        (Some(scope), _) => scope.selection.matches(point) && time >= scope.since,
        (None, Some(options)) => options.selection().matches(point) && time >= options.since(),
        (None, None) => true,
    })
}

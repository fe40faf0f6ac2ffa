//! `ew-ledger list`.

use ew_cli::{Failure, Output, clock};
use ew_core::{Anchors, Exit, Timestamp, When, Window, Zone};
use ew_store::{Delivery, Log};
use serde_json::json;

/// The window of `--from` and `--to`; all of time where they are left out.
pub(crate) fn window(from: Option<When>, to: Option<When>, zone: &Zone) -> Result<Window, Failure> {
    let anchors = Anchors { zone, now: clock::now(), rows: Some((Timestamp::MIN, Timestamp::MAX)) };
    let resolve = |when: Option<When>, all: Timestamp| match when {
        Some(when) => when.resolve(&anchors).map_err(|e| Failure::of(Exit::NoData, &e)),
        None => Ok(all),
    };
    let (from, to) = (resolve(from, Timestamp::MIN)?, resolve(to, Timestamp::MAX)?);
    if from > to {
        return Err(Failure::new(Exit::Usage, format!("--from {from} is after --to {to}")).hint("swap them"));
    }
    Ok(Window::new(from, to))
}

/// Lists the slices that touch a window.
pub(crate) fn list(
    log: &mut Log,
    jobs: &[String],
    window: Window,
    as_json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let ledger = log.ledger();
    let found = match jobs {
        [] => ledger.list(None, window)?,
        jobs => {
            let lists: Result<Vec<_>, _> = jobs.iter().map(|job| ledger.list(Some(job), window)).collect();
            lists?.into_iter().flatten().collect()
        }
    };
    if as_json {
        let deliveries: Vec<_> = found.iter().map(delivery_json).collect();
        out.json(&json!({ "deliveries": deliveries }))?;
        return Ok(Exit::Ok);
    }
    let heading = [
        "JOB",
        "NAME",
        "START",
        "END",
        "REV",
        "STATE",
        "ROWS",
        "BYTES",
        "SHA256",
        "DELIVERED",
        "DESTINATION",
    ];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for d in &found {
        table.push(vec![
            d.job.clone(),
            or_dash(d.name.clone()),
            d.window.start.to_string(),
            d.window.end.to_string(),
            d.rev.to_string(),
            d.state.as_str().to_owned(),
            d.rows.to_string(),
            or_dash(d.bytes.map(|bytes| bytes.to_string())),
            or_dash(d.sha256.as_ref().map(|hash| hash.chars().take(12).collect())),
            or_dash(d.delivered_at.map(|at| at.to_string())),
            or_dash(d.destination.clone()),
        ]);
    }
    out.table(&table)?;
    Ok(Exit::Ok)
}

/// One slice as `--json` shows it.
pub(crate) fn delivery_json(d: &Delivery) -> serde_json::Value {
    json!({
        "job": d.job,
        "name": d.name,
        "start": d.window.start.to_string(),
        "end": d.window.end.to_string(),
        "rev": d.rev,
        "rows": d.rows,
        "bytes": d.bytes,
        "sha256": d.sha256,
        "outcome": d.state.outcome(),
        "error": d.reason,
        "state": d.state.as_str(),
        "destination": d.destination,
        "delivered_at": d.delivered_at.map(|at| at.to_string()),
        "attempts": d.attempts,
    })
}

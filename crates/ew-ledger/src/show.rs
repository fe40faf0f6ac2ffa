//! `ew-ledger show`: all that is recorded of one slice.

use crate::{find, list};
use ew_cli::{Failure, Output};
use ew_config::Config;
use ew_core::{Exit, Point};
use ew_store::{Delivery, Log};
use serde_json::{Value, json};

/// Shows every revision of the slice, oldest first.
pub(crate) fn show(
    config: &Config,
    log: &mut Log,
    job: &str,
    text: &str,
    as_json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let known = find::job(log, job)?;
    let slice = find::slice(config, log, job, text)?;
    let revisions = log.ledger().revisions(&known, slice.window)?;
    let all: Vec<Value> = revisions.iter().map(record).collect();
    if as_json {
        out.json(&json!({ "revisions": all }))?;
        return Ok(Exit::Ok);
    }
    for (index, record) in all.iter().enumerate() {
        if index > 0 {
            out.line(format_args!(""))?;
        }
        for (key, value) in record.as_object().into_iter().flatten() {
            match value {
                Value::Null => {}
                Value::Array(items) if items.is_empty() => {}
                Value::String(text) => out.line(format_args!("{key:<13} {text}"))?,
                value => out.line(format_args!("{key:<13} {value}"))?,
            }
        }
    }
    Ok(Exit::Ok)
}

/// What the list shows of a slice, and the rest.
fn record(slice: &Delivery) -> Value {
    let columns: Vec<&str> =
        slice.columns.iter().flat_map(|columns| columns.iter()).map(Point::as_str).collect();
    let receipt: Value = slice.receipt.as_deref().map_or(Value::Null, |text| {
        serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
    });
    let mut all = list::delivery_json(slice);
    let more = json!({
        "as_of_seq": slice.as_of_seq, "after_seq": slice.after_seq, "trimmed": slice.trimmed, "unmatched": slice.unmatched,
        "rebuilt": slice.rebuilt.is_some(),
        "columns": columns, "format": slice.format, "zone_data": slice.zone_data, "count": slice.count, "spool": slice.spool,
        "kept": slice.kept, "reached": slice.reached, "receipt": receipt,
        "proof": slice.verified.map(|(proof, _)| proof.as_str()),
        "verified_at": slice.verified.map(|(_, at)| at.to_string()),
    });
    if let (Some(all), Value::Object(more)) = (all.as_object_mut(), more) {
        all.extend(more);
    }
    all
}

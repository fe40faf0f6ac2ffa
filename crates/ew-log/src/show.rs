//! `ew-log points` and `ew-log stats`.

use ew_cli::{Failure, Output};
use ew_core::{Exit, Selection, Span};
use ew_store::{Gap, Log};
use serde_json::json;

/// Lists the points.
pub(crate) fn points(
    log: &Log,
    selection: &Selection,
    json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let points = log.snapshot()?.points(selection)?;
    if json {
        let one = |p: &ew_store::PointInfo| {
            json!({
                "point": p.point.as_str(), "unit": p.unit, "rows": p.rows,
                "first": p.first.to_string(), "last": p.last.to_string(),
            })
        };
        out.json(&json!({ "points": points.iter().map(one).collect::<Vec<_>>() }))?;
        return Ok(Exit::Ok);
    }
    let mut table = vec![["POINT", "UNIT", "ROWS", "FIRST", "LAST"].map(str::to_owned).to_vec()];
    for p in points {
        table.push(vec![
            p.point.to_string(),
            p.unit,
            p.rows.to_string(),
            p.first.to_string(),
            p.last.to_string(),
        ]);
    }
    out.table(&table)?;
    Ok(Exit::Ok)
}

/// Counts what is in the log.
pub(crate) fn stats(log: &Log, gap: Span, json: bool, out: &mut Output) -> Result<Exit, Failure> {
    let stats = log.snapshot()?.stats(gap)?;
    let seconds = |gap: &Gap| (gap.to.micros() - gap.from.micros()) / 1_000_000;
    if json {
        let one = |gap: &Gap| json!({ "from": gap.from.to_string(), "to": gap.to.to_string(), "seconds": seconds(gap) });
        out.json(&json!({
            "rows": stats.rows,
            "points": stats.points,
            "first": stats.bounds.map(|(first, _)| first.to_string()),
            "last": stats.bounds.map(|(_, last)| last.to_string()),
            "size": stats.bytes,
            "gaps": stats.gaps,
            "longest_gaps": stats.longest_gaps.iter().map(one).collect::<Vec<_>>(),
        }))?;
        return Ok(Exit::Ok);
    }
    out.line(format_args!("rows    {}", stats.rows))?;
    out.line(format_args!("points  {}", stats.points))?;
    if let Some((first, last)) = stats.bounds {
        out.line(format_args!("first   {first}"))?;
        out.line(format_args!("last    {last}"))?;
    }
    out.line(format_args!("size    {} bytes", stats.bytes))?;
    out.line(format_args!("gaps    {} longer than {gap}", stats.gaps))?;
    for gap in &stats.longest_gaps {
        let length = Span::from_secs(seconds(gap).unsigned_abs());
        out.line(format_args!("        {} to {} ({length})", gap.from, gap.to))?;
    }
    Ok(Exit::Ok)
}

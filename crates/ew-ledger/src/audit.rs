//! `ew-ledger audit`: does the ledger account for every row?

use ew_cli::{Failure, Output};
use ew_config::{Config, ExportOptions};
use ew_core::Exit;
use ew_store::{Audit, Job, Log, Scope, Standing};
use serde_json::json;

/// The standings in the order of the table.
const STANDINGS: [(Standing, &str); 8] = [
    (Standing::Placed, "placed"),
    (Standing::Recorded, "recorded"),
    (Standing::Late, "late"),
    (Standing::Open, "open"),
    (Standing::Held, "held"),
    (Standing::Skipped, "skipped"),
    (Standing::BeforeSince, "before_since"),
    (Standing::Lost, "lost"),
];

/// Accounts for every row of each job's selection; 1 where one is in no slice or a slice is not what the log had.
pub(crate) fn audit(
    config: &Config,
    log: &mut Log,
    names: &[String],
    as_json: bool,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let jobs = config.exports.iter().filter(|job| names.is_empty() || names.contains(&job.name));
    let mut audits = Vec::new();
    for options in jobs {
        audits.push((options.name.clone(), of_job(log, options)?));
    }
    if as_json {
        let jobs: Vec<_> = audits.iter().map(|(job, audit)| audit_json(job, audit)).collect();
        out.json(&json!({ "jobs": jobs }))?;
    } else {
        table(&audits, out)?;
    }
    let balanced = audits.iter().all(|(_, audit)| audit.fault_count == 0);
    Ok(if balanced { Exit::Ok } else { Exit::Partial })
}

fn of_job(log: &mut Log, options: &ExportOptions) -> Result<Audit, Failure> {
    let snapshot = log.snapshot()?;
    let job = snapshot.job(&options.name)?.unwrap_or_else(|| Job::never_ran(&options.name));
    let scope = Scope { selection: options.selection(), since: options.since() };
    Ok(snapshot.audit(&job, &scope, options.interval.is_some())?)
}

fn table(audits: &[(String, Audit)], out: &mut Output) -> Result<(), Failure> {
    let mut heading = vec!["JOB".to_owned()];
    heading.extend(STANDINGS.iter().map(|(_, name)| name.replace('_', " ").to_uppercase()));
    heading.extend(["TRIMMED", "BALANCE"].map(str::to_owned));
    let mut table = vec![heading];
    for (job, audit) in audits {
        let mut line = vec![job.clone()];
        line.extend(STANDINGS.iter().map(|(standing, _)| rows(audit, *standing).to_string()));
        line.push(audit.trimmed.to_string());
        line.push(match audit.fault_count {
            0 => "good".to_owned(),
            faults => format!("{faults} faults"),
        });
        table.push(line);
    }
    out.table(&table)?;
    for (job, audit) in audits {
        for fault in &audit.faults {
            out.line(format_args!("{job}: {fault}"))?;
        }
        if audit.unmatched > 0 {
            let slices = audit.unmatched;
            out.line(format_args!("{job}: the log does not give the files of {slices} rebuilt slices"))?;
        }
        if audit.fault_count > audit.faults.len() as u64 {
            out.line(format_args!("{job}: … and {} more", audit.fault_count - audit.faults.len() as u64))?;
        }
    }
    Ok(())
}

fn rows(audit: &Audit, standing: Standing) -> u64 {
    audit.rows.get(&standing).copied().unwrap_or(0)
}

fn audit_json(job: &str, audit: &Audit) -> serde_json::Value {
    let counts: serde_json::Map<String, serde_json::Value> =
        STANDINGS.iter().map(|(s, name)| ((*name).to_owned(), rows(audit, *s).into())).collect();
    json!({
        "job": job,
        "balanced": audit.fault_count == 0,
        "rows": counts,
        "trimmed": audit.trimmed,
        "unmatched": audit.unmatched,
        "trimmed_by_force": audit.forced,
        "fault_count": audit.fault_count,
        "faults": audit.faults.iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

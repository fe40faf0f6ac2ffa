//! A job `u` that exports into the folder `out`, and what the ledger says of it.
#![allow(dead_code, reason = "each test uses its own part")]

use crate::ew::{self, Site};

/// Where the programs were built.
pub(crate) const EW_EXPORT: &str = env!("CARGO_BIN_EXE_ew-export");

/// A job `u` into the folder `out`, with more keys for the job and for the format.
pub(crate) fn config(job: &str, format: &str) -> String {
    format!(
        "[[export]]\nname = \"u\"\npoints = [\"**\"]\n{job}\n  [export.format.{format}\n  [export.transport.file]\n  directory = \"out\"\n"
    )
}

pub(crate) fn run(site: &Site, program: &str, arguments: &str) -> ew::Ended {
    site.run(ew::sibling(EW_EXPORT, program).to_str().unwrap(), arguments)
}

/// A program that the test watches or kills itself.
pub(crate) fn command(site: &Site, program: &str, arguments: &str) -> std::process::Command {
    site.command(ew::sibling(EW_EXPORT, program).to_str().unwrap(), arguments)
}

/// Appends `MM:SS point value` rows of the hour 2026-03-01T00; an empty value is null.
pub(crate) fn append(site: &Site, rows: &str) {
    let mut text = "timestamp,point,value\n".to_owned();
    for row in rows.lines().map(str::trim).filter(|row| !row.is_empty()) {
        let mut fields = row.split(' ');
        let (time, point) = (fields.next().unwrap(), fields.next().unwrap());
        text += &format!("2026-03-01T00:{time}Z,{point},{}\n", fields.next().unwrap_or(""));
    }
    let log = ew::sibling(EW_EXPORT, "ew-log");
    site.run_with_input(log.to_str().unwrap(), "-q append --replace", &text).exit(0).stderr("");
}

/// Name, start, end, rev, rows, state of each ledger row.
pub(crate) fn ledger(site: &Site) -> Vec<String> {
    let list = run(site, "ew-ledger", "list --json").exit(0).stdout;
    let list: serde_json::Value = serde_json::from_str(&list).unwrap();
    let one = |d: &serde_json::Value| {
        let text = |key: &str| d[key].as_str().unwrap_or("-").to_owned();
        let minute = |key: &str| text(key)[14..19].to_owned();
        format!(
            "{} {}-{} r{} {} {}",
            text("name"),
            minute("start"),
            minute("end"),
            d["rev"],
            d["rows"],
            text("state")
        )
    };
    list["deliveries"].as_array().unwrap().iter().map(one).collect()
}

//! Slices as people name them.

use ew_cli::{Failure, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Anchors, Exit, Timestamp, When, Window, Zone};
use ew_store::{Delivery, Job, Log, SliceState};

/// A job of the ledger.
pub(crate) fn job(log: &mut Log, name: &str) -> Result<Job, Failure> {
    log.ledger().job(name)?.ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the job {name:?} never ran, so the ledger has nothing of it"))
    })
}

/// The options of a job that is to send something.
pub(crate) fn options<'a>(config: &'a Config, name: &str) -> Result<&'a ExportOptions, Failure> {
    config.exports.iter().find(|options| options.name == name).ok_or_else(|| {
        Failure::new(Exit::Usage, format!("{} has no job {name:?}", config.file.display()))
            .hint("ew-ledger rename OLD NEW gives the slices of a job to one of another name")
    })
}

/// One slice by its name, or the newest revision of the one that starts at a time.
pub(crate) fn slice(config: &Config, log: &mut Log, job: &str, text: &str) -> Result<Delivery, Failure> {
    let all = log.ledger().list(Some(job), Window::new(Timestamp::MIN, Timestamp::MAX))?;
    let real = |slice: &&Delivery| slice.state != SliceState::Empty;
    if let Some(found) = all.iter().filter(real).rfind(|slice| slice.name.as_deref() == Some(text)) {
        return Ok(found.clone());
    }
    let zone = config.exports.iter().find(|options| options.name == job).map(|options| options.zone.clone());
    let anchors = Anchors { zone: &zone.unwrap_or_else(Zone::utc), now: clock::now(), rows: None };
    let start = text.parse::<When>().ok().and_then(|when| when.resolve(&anchors).ok());
    let found = start.and_then(|start| all.iter().filter(real).rfind(|slice| slice.window.start == start));
    found.cloned().ok_or_else(|| {
        Failure::new(Exit::Usage, format!("the job {job:?} has no slice {text:?}"))
            .hint(format!("name it as ew-ledger list {job} does, or by the time at which it starts"))
    })
}

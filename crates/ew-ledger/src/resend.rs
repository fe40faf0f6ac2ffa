//! `ew-ledger resend`: slices again, byte for byte as recorded.

use crate::{find, list};
use ew_cli::{Failure, Lock, Output, Report};
use ew_config::{Config, ExportOptions};
use ew_core::{Exit, Span, When};
use ew_export::RunReport;
use ew_store::{Delivery, Log};

/// Which slices.
pub(crate) struct Request<'a> {
    pub(crate) job: &'a str,
    pub(crate) slices: &'a [String],
    pub(crate) from: Option<When>,
    pub(crate) to: Option<When>,
    pub(crate) wait: Span,
}

/// Sends them.
pub(crate) fn resend(
    config: &Config,
    log: &mut Log,
    request: &Request<'_>,
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    find::job(log, request.job)?;
    let options = find::options(config, request.job)?;
    // What is wrong with the request is said before any wait.
    chosen(config, options, log, request)?;
    let lock = Lock::of_job(config, request.job, request.wait, report)?;
    // The export that was waited for may have put another revision in the place of one of them.
    let slices = chosen(config, options, log, request)?;
    if slices.is_empty() {
        report.note(format_args!("{}: no slice was delivered in that range", request.job));
        if as_json {
            out.json(&RunReport::default())?;
        }
        return Ok(Exit::NoData);
    }
    let done = ew_export::resend(config, options, log, &slices, lock, report);
    let exit = Exit::of_parts([done.part]);
    if as_json {
        out.report(|out| out.json(&RunReport { jobs: vec![done] }))?;
    }
    Ok(exit)
}

/// The slices that are asked for.
fn chosen(
    config: &Config,
    options: &ExportOptions,
    log: &mut Log,
    request: &Request<'_>,
) -> Result<Vec<Delivery>, Failure> {
    let mut slices = Vec::new();
    for text in request.slices {
        let slice = find::slice(config, log, request.job, text)?;
        if !slice.state.is_delivered() {
            let text = format!("{text} is {}, so it cannot be sent again", slice.state.as_str());
            return Err(Failure::new(Exit::Usage, text).hint("ew-export sends what is due"));
        }
        slices.push(slice);
    }
    if request.from.is_some() || request.to.is_some() {
        let window = list::window(request.from, request.to, &options.zone)?;
        let touched = log.ledger().list(Some(request.job), window)?;
        // What took the place of another is sent, the other is not.
        slices.extend(touched.into_iter().filter(|slice| slice.state.is_current()));
    }
    Ok(slices)
}

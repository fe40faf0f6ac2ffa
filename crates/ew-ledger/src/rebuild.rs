//! `ew-ledger rebuild`: the ledger and the bookmark of a job from what is at its receiver, after the database was lost.

use crate::recognise::{self, Recognised, Told, Wanted};
use crate::{find, receiver};
use ew_cli::{Failure, Lock, Output, Report, clock};
use ew_config::{Config, ExportOptions};
use ew_core::{Columns, Exit, Late, Span, Timestamp, Window};
use ew_export::Rendering;
use ew_store::{FoundThere, Log, Rebuilt, RebuiltFile, Scope, SliceState, ToldBy};
use ew_transport::{Answer, Checked, How, Look, Receipt, Size};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};

const DIFFERS: &str = "rebuilt: the file at the receiver is not what the log has now";
const DELTAS: &str =
    "rebuilt: the receiver has it in deltas without manifests, and which rows these hold is not known";
const UNSEEN: &str = "rebuilt: it cannot be seen whether the file at the receiver is what the log has now";
const UNMATCHED: &str = "the log does not give this file: rows that come for it are held until it does";
const NO_FILE: &str = "rebuilt: the log has these rows, and no file of them is at the receiver";

/// How far back names are looked for where neither the job nor the log says when its data begins.
const BACK_DAYS: i64 = 366;

/// The longest file that is read back where its size is not told, bytes.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// What is asked for.
pub(crate) struct Request<'a> {
    pub(crate) job: &'a str,
    /// Names that the job had before.
    pub(crate) formerly: &'a [String],
    /// Where the search for names begins.
    pub(crate) from: Option<Timestamp>,
    pub(crate) dry_run: bool,
    pub(crate) wait: Span,
}

/// Rebuilds one job; 1 where something is held for a person to decide, 66 where nothing of it is there.
pub(crate) fn rebuild(
    config: &Config,
    log: &mut Log,
    request: &Request<'_>,
    as_json: bool,
    report: Report,
    out: &mut Output,
) -> Result<Exit, Failure> {
    let options = find::options(config, request.job)?;
    let _lock = match request.dry_run {
        true => None,
        false => Some(Lock::of_job(config, request.job, request.wait, report)?),
    };
    let known = log.ledger().list(Some(request.job), Window::new(Timestamp::MIN, Timestamp::MAX))?;
    if !known.is_empty() {
        let text = format!("the ledger has {} slices of {} already", known.len(), request.job);
        return Err(Failure::new(Exit::Usage, text)
            .hint("it is rebuilt only where it has none; ew-ledger verify holds it against the receiver"));
    }
    let mut work = Work::begin(config, options, log, report)?;
    let wanted = Wanted { formerly: request.formerly, within: work.within(request.from) };
    let names: BTreeSet<String> = work.entries.keys().cloned().collect();
    let (files, mut unrecognised) =
        recognise::recognise(config, options, work.look.as_mut(), &names, &wanted, report)?;
    let others = work.log.ledger().names_at(&work.destination)?;
    unrecognised.retain(|name| !others.contains(name));
    let newest_manifest = recognise::newest_manifest(&files);
    let slices = work.slices(files)?;
    let Some(bookmark) = bookmark(&slices) else {
        let text = format!("no file of {} is at {}", request.job, work.destination);
        return Err(Failure::new(Exit::NoData, text)
            .hint("set since to where the next export is to begin, so that nothing is sent twice"));
    };
    if !request.dry_run {
        let found = FoundThere {
            destination: &work.destination,
            as_of_seq: work.as_of_seq,
            slices: &slices,
            newest_manifest: newest_manifest.as_deref(),
            at: clock::now(),
        };
        work.log.ledger().rebuild(request.job, &work.scope, &found)?;
    }
    if as_json {
        out.json(&json!({
            "job": request.job,
            "rebuilt": !request.dry_run,
            "bookmark": bookmark.to_string(),
            "slices": slices.iter().map(slice_json).collect::<Vec<_>>(),
            "unrecognised": unrecognised,
        }))?;
    } else {
        table(request, bookmark, &slices, &unrecognised, out)?;
    }
    let is_held = slices.iter().any(|slice| slice.state == SliceState::Held);
    Ok(if is_held { Exit::Partial } else { Exit::Ok })
}

fn bookmark(slices: &[Rebuilt]) -> Option<Timestamp> {
    let placed = slices.iter().filter(|slice| slice.state == SliceState::Placed);
    placed.map(|slice| slice.window.end).max()
}

/// A file as it was delivered, as far as that is known: its manifest knows it, else what lies at the receiver tells.
struct Found {
    bytes: Option<u64>,
    sha256: Option<String>,
    /// What was seen of it.
    checked: Checked,
}

struct Work<'a> {
    config: &'a Config,
    options: &'a ExportOptions,
    log: &'a mut Log,
    look: Box<dyn Look>,
    entries: HashMap<String, Option<u64>>,
    destination: String,
    scope: Scope,
    as_of_seq: i64,
    report: Report,
}

impl<'a> Work<'a> {
    fn begin(
        config: &'a Config,
        options: &'a ExportOptions,
        log: &'a mut Log,
        report: Report,
    ) -> Result<Work<'a>, Failure> {
        let destination = options.transport.destination(config.base());
        let blind = |exit, why: &str| {
            Failure::new(exit, format!("{} cannot be rebuilt from {destination}: {why}", options.name))
                .hint("set since to where the next export is to begin, so that nothing is sent twice")
        };
        let Some(mut look) = receiver::look(config, options)? else {
            return Err(blind(Exit::Usage, "this receiver cannot be looked into"));
        };
        let entries = match look.list().map_err(receiver::failure)? {
            Answer::Is(entries) => entries.into_iter().map(|entry| (entry.name, entry.bytes)).collect(),
            Answer::Absent => HashMap::new(),
            Answer::Unknown(why) => return Err(blind(Exit::Refused, &why)),
        };
        // Rows that come while this runs have a higher seq, and are late for whatever is found.
        let as_of_seq = log.snapshot()?.last_seq()?;
        let scope = Scope { selection: options.selection(), since: options.since() };
        Ok(Work { config, options, log, look, entries, destination, scope, as_of_seq, report })
    }

    /// Where slots are looked for: from `from`, else `since`, else the first row or a year back, to now.
    fn within(&mut self, from: Option<Timestamp>) -> Window {
        let (grid, now) = (self.options.grid(), clock::now());
        let year = now.plus_micros(-BACK_DAYS * 86_400 * 1_000_000);
        let first = self.first_row().map_or(year, |first| first.min(year));
        let start = from.or(self.options.since).unwrap_or(first);
        Window::new(grid.slot(start).start, grid.slot(now).end)
    }

    fn first_row(&self) -> Option<Timestamp> {
        let snapshot = self.log.snapshot().ok()?;
        snapshot.first_row(self.scope.since, &self.scope.selection).ok().flatten()
    }

    /// The rows of the ledger: every file, and what lies between them.
    fn slices(&mut self, files: Vec<Recognised>) -> Result<Vec<Rebuilt>, Failure> {
        let mut slices = Vec::new();
        let (mut count, mut header) = (0, Columns::default());
        for revisions in files.chunk_by(|a, b| a.window == b.window) {
            count += 1;
            self.family(revisions, count, &mut header, &mut slices)?;
        }
        let windows: Vec<Window> = slices.iter().map(|slice: &Rebuilt| slice.window).collect();
        self.between(&windows, &mut slices)?;
        slices.sort_by_key(|slice| (slice.window, slice.rev));
        Ok(slices)
    }

    /// All revisions of one slice. The newest is placed; where it is not what the log has, the difference is held.
    fn family(
        &mut self,
        revisions: &[Recognised],
        count: i64,
        header: &mut Columns,
        slices: &mut Vec<Rebuilt>,
    ) -> Result<(), Failure> {
        let Some((newest, before)) = revisions.split_last() else { return Ok(()) };
        let now =
            ew_export::present(self.config, self.options, self.log, newest.window, self.as_of_seq, header)?;
        if let Some(columns) = now.columns.as_ref().filter(|_| !now.is_empty) {
            *header = columns.clone();
        }
        let told = |slice: &Recognised| slice.manifest.as_ref().map(|told| told.rows);
        for slice in before {
            let found = self.found(slice)?;
            let rows = told(slice).unwrap_or(0);
            let file = Some(self.file(slice, &found, None));
            slices.push(Rebuilt { rows, file, ..self.rebuilt(slice, SliceState::Superseded, count) });
        }
        let found = self.found(newest)?;
        // New rows alone are no file of the whole slice: what their manifests count has to do.
        let is_delta = newest.manifest.as_ref().is_some_and(|told| told.is_delta);
        let union: Option<u64> = revisions.iter().map(told).sum();
        let is_same = match (&found, is_delta) {
            (_, true) => union.map(|rows| rows == now.rows),
            (Found { sha256: Some(sha256), .. }, false) => Some(*sha256 == now.sha256),
            (Found { bytes: Some(bytes), .. }, false) => Some(*bytes == now.bytes),
            (Found { .. }, false) => None,
        };
        let same = (is_same == Some(true)).then_some(&now);
        let file = Some(self.file(newest, &found, same.filter(|_| !is_delta)));
        let (told_by, rows) = match is_delta {
            true => (ToldBy::Rows, union),
            false => (ToldBy::File, told(newest)),
        };
        let placed = self.rebuilt(newest, SliceState::Placed, count);
        let placed = Rebuilt { file, told_by: Some(told_by), ..placed };
        let unmatched = Rebuilt { unmatched: true, rows: rows.unwrap_or(0), ..placed.clone() };
        let placed = match (same, now.is_empty) {
            (Some(now), _) => Rebuilt { columns: now.columns.clone(), rows: now.rows, ..placed },
            // The receiver has rows that the log has not: it must never get less in their place.
            (None, true) => Rebuilt { trimmed: true, ..unmatched },
            (None, false) => {
                let reason = match is_same {
                    _ if self.options.late == Late::Delta && newest.rev > 0 && !is_delta => DELTAS,
                    None => UNSEEN,
                    Some(_) => DIFFERS,
                };
                let next = Recognised { rev: newest.rev + 1, ..newest.clone() };
                let held = self.rebuilt(&next, SliceState::Held, count);
                slices.push(Rebuilt { reason: Some(reason.to_owned()), rows: now.rows, ..held });
                // Which of the log's rows it has is not known: none, until a person decides on those that are held.
                Rebuilt { as_of_seq: 0, ..unmatched }
            }
        };
        slices.push(placed);
        Ok(())
    }

    /// What the log makes of a window.
    fn present(&mut self, window: Window, header: &Columns) -> Result<Rendering, Failure> {
        ew_export::present(self.config, self.options, self.log, window, self.as_of_seq, header)
    }

    fn rebuilt(&self, slice: &Recognised, state: SliceState, count: i64) -> Rebuilt {
        Rebuilt {
            window: slice.window,
            rev: slice.rev,
            state,
            as_of_seq: self.as_of_seq,
            reason: None,
            trimmed: false,
            told_by: None,
            unmatched: false,
            columns: None,
            count: Some(count),
            rows: 0,
            file: None,
        }
    }

    fn found(&mut self, slice: &Recognised) -> Result<Found, Failure> {
        let name = &slice.name;
        self.report.detail(format_args!("{}: reading {name} back", self.options.name));
        let listed = self.entries.get(name).copied().flatten();
        let bytes = match listed {
            Some(bytes) => Some(bytes),
            None => match self.look.size(name).map_err(receiver::failure)? {
                Answer::Is(Size::Bytes(bytes)) => Some(bytes),
                Answer::Is(Size::Untold | Size::Directory) | Answer::Absent | Answer::Unknown(_) => None,
            },
        };
        let bytes_max = bytes.unwrap_or(FILE_BYTES_MAX);
        let content = match self.look.hash(name, bytes_max).map_err(receiver::failure)? {
            Answer::Is(content) if content.bytes <= bytes_max => Some(content),
            _ => None,
        };
        let bytes = content.as_ref().map(|content| content.bytes).or(bytes);
        let sha256 = content.map(|content| content.sha256);
        let checked = match (bytes, &sha256) {
            (_, Some(_)) => Checked::Sha256,
            (Some(_), None) => Checked::Size,
            (None, None) => Checked::Reply,
        };
        let Some(Told { file: Some((told_bytes, told)), .. }) = &slice.manifest else {
            return Ok(Found { bytes, sha256, checked });
        };
        if sha256.as_ref().is_some_and(|seen| seen != told) {
            let job = &self.options.name;
            self.report.warning(format_args!("{job}: {name} is not as its manifest says it was delivered"));
        }
        Ok(Found { bytes: Some(*told_bytes), sha256: Some(told.clone()), checked })
    }

    /// The file of a slice, where it is the very same with how it is rendered.
    fn file(&mut self, slice: &Recognised, found: &Found, same: Option<&Rendering>) -> RebuiltFile {
        let receipt = Receipt {
            destination: self.destination.clone(),
            path: slice.name.clone(),
            bytes: found.bytes.unwrap_or(0),
            how: How::Rebuilt,
            checked: found.checked,
            recipients: Vec::new(),
        };
        RebuiltFile {
            name: slice.name.clone(),
            beside: slice.beside(),
            bytes: found.bytes,
            sha256: found.sha256.clone(),
            format: same.map(|now| now.format.clone()),
            zone_data: same.and_then(|now| now.zone_data.clone()),
            receipt: json!(receipt).to_string(),
            kept: ew_export::kept_file(self.config, self.options, self.log, slice.window, slice.rev),
        }
    }

    /// What lies before and between the files: slots with rows are held, as they may have been taken away or never
    /// sent; the others are passed over empty, so that rows that come for them are their first delivery.
    fn between(&mut self, windows: &[Window], slices: &mut Vec<Rebuilt>) -> Result<(), Failure> {
        let Some(first) = windows.first() else { return Ok(()) };
        let grid = self.options.grid();
        let mut at = self.first_row().map_or(first.start, |row| grid.slot(row).start.min(first.start));
        for window in windows {
            let gap = Window::new(at, window.start);
            at = at.max(window.end);
            if gap.is_empty() {
                continue;
            }
            let as_of_seq = self.as_of_seq;
            let row = |window: Window, state, rows| Rebuilt {
                window,
                rev: 0,
                state,
                as_of_seq,
                reason: None,
                trimmed: false,
                told_by: None,
                unmatched: false,
                columns: None,
                count: None,
                rows,
                file: None,
            };
            let mut from = gap.start;
            let pass_over = |slices: &mut Vec<Rebuilt>, from: Timestamp, to: Timestamp| {
                if from < to && first.start <= from {
                    slices.push(row(Window::new(from, to), SliceState::Empty, 0));
                }
            };
            let rows = Window::new(gap.start.max(self.scope.since), gap.end);
            let occupied = self.log.snapshot()?.occupied(&grid, gap, rows, &self.scope.selection, false)?;
            for slot in occupied.into_iter().map(|occupied| occupied.slot) {
                pass_over(slices, from, slot.start);
                from = slot.end;
                let now = self.present(slot, &Columns::default())?;
                let held = row(slot, SliceState::Held, now.rows);
                slices.push(Rebuilt { reason: Some(NO_FILE.to_owned()), ..held });
            }
            pass_over(slices, from, gap.end);
        }
        Ok(())
    }
}

fn slice_json(slice: &Rebuilt) -> serde_json::Value {
    let file = slice.file.as_ref();
    json!({
        "name": file.map(|file| &file.name),
        "start": slice.window.start.to_string(),
        "end": slice.window.end.to_string(),
        "rev": slice.rev,
        "rows": slice.rows,
        "bytes": file.and_then(|file| file.bytes),
        "sha256": file.and_then(|file| file.sha256.as_ref()),
        "state": slice.state.as_str(),
        "unmatched": slice.unmatched,
        "error": slice.reason,
    })
}

fn table(
    request: &Request<'_>,
    bookmark: Timestamp,
    slices: &[Rebuilt],
    unrecognised: &[String],
    out: &mut Output,
) -> Result<(), Failure> {
    let heading = ["NAME", "START", "END", "REV", "STATE", "ROWS", "BYTES", "SHA256", "REASON"];
    let mut table = vec![heading.map(str::to_owned).to_vec()];
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
    for slice in slices {
        let file = slice.file.as_ref();
        table.push(vec![
            or_dash(file.map(|file| file.name.clone())),
            slice.window.start.to_string(),
            slice.window.end.to_string(),
            slice.rev.to_string(),
            slice.state.as_str().to_owned(),
            slice.rows.to_string(),
            or_dash(file.and_then(|file| file.bytes).map(|bytes| bytes.to_string())),
            or_dash(file.and_then(|file| file.sha256.as_ref()).map(|hash| hash.chars().take(12).collect())),
            match slice.unmatched {
                true => UNMATCHED.to_owned(),
                false => slice.reason.clone().unwrap_or_default(),
            },
        ]);
    }
    out.table(&table)?;
    for name in unrecognised {
        out.line(format_args!("{name} is not recognised"))?;
    }
    let count = |state| slices.iter().filter(|slice| slice.state == state).count();
    let done = if request.dry_run { "would be rebuilt" } else { "is rebuilt" };
    out.line(format_args!(
        "{} {done} up to {bookmark}: placed {}, held {}, not recognised {}",
        request.job,
        count(SliceState::Placed),
        count(SliceState::Held),
        unrecognised.len()
    ))
}

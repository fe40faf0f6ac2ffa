//! What is due.

use crate::job::JobRun;
use crate::late;
use crate::render::Piece;
use ew_cli::Failure;
use ew_core::{Columns, Contents, Due, Exit, LateRows, PlanError, PlanRequest, Span, When, Window};
use ew_store::{Job, LateSlice, Matched, Scope, Seqs};

/// What the log holds for a job now.
pub(crate) struct Plan {
    /// From the bookmark to the end asked for; none where the selection has no row at all.
    pub(crate) window: Option<Window>,
    /// The pieces, in order of time.
    pub(crate) due: Vec<Due>,
    /// What came late for slices before the window.
    pub(crate) late: Vec<LateSlice>,
    /// Rebuilt slices that the log gives as the receiver has them.
    pub(crate) matched: Vec<Matched>,
    /// The highest seq when they were planned.
    pub(crate) as_of_seq: i64,
    /// Why the pieces cannot be planned; what came late goes out all the same.
    pub(crate) refused: Option<Failure>,
    /// `--end` lies before the bookmark: nothing is done, not even for what came late.
    pub(crate) is_noop: bool,
}

/// Plans the due window, and what came late before it, as the log was at one moment.
pub(crate) fn due(job: &mut JobRun<'_>, known: Option<&Job>) -> Result<Plan, Failure> {
    let (mut plan, found) = window(job, known)?;
    if let Some(known) = known.filter(|_| !plan.is_noop) {
        (plan.late, plan.matched) = late::decide(job, known, found, plan.as_of_seq)?;
    }
    Ok(plan)
}

/// The due window on one snapshot of the log, and the late rows in it.
fn window(job: &mut JobRun<'_>, known: Option<&Job>) -> Result<(Plan, Vec<LateRows>), Failure> {
    let options = job.options;
    let (grid, scope) = (options.grid(), job.scope());
    let Scope { selection, since } = &scope;
    let end = end(job)?;
    // Asked of a job that never had columns it would read every slice.
    let columns_before = match known {
        Some(known) if options.format.is_wide() => job.log.ledger().last_columns(known)?,
        _ => Columns::default(),
    };
    let snapshot = job.log.snapshot()?;
    let as_of_seq = snapshot.last_seq()?;
    // A reading also counts in the intervals that it holds into.
    let reach = options.resampling().map_or(Span::from_secs(0), |how| how.lead_in());
    let late = match known {
        Some(known) => snapshot.late(known, &scope, &grid, reach)?,
        None => Vec::new(),
    };
    let plan = |window, due, refused| Plan {
        window,
        due,
        late: Vec::new(),
        matched: Vec::new(),
        as_of_seq,
        refused,
        is_noop: false,
    };
    let bookmark = known.and_then(|job| job.bookmark);
    let first = match bookmark {
        Some(_) => None,
        None => snapshot.first_row(*since, selection)?,
    };
    let Some(start) = bookmark.or(first.map(|first| grid.slot(first).start)) else {
        return Ok((plan(None, Vec::new(), None), late));
    };
    if end < start && bookmark.is_some() {
        // By itself an end lies before the bookmark after `--end` in mid-slot; that is no news.
        if job.end.is_some() || job.now < start && job.doubt.is_none() {
            let what = if job.end.is_some() { "the end asked for" } else { "the clock" };
            job.report.warning(format_args!(
                "{}: {what} is before the last export, which reached to {start}; nothing is sent again",
                options.name
            ));
        }
    }
    // Empty slots before `since` are none of this job's.
    let start = start.max(grid.slot(*since).start);
    let window = Window::new(start, end);
    let rows = Window::new(window.start.max(*since), window.end);
    let occupied = snapshot.occupied(&grid, window, rows, selection, options.columns_follow_rows())?;
    let request = PlanRequest {
        window,
        grid: &grid,
        breakup: job.breakup,
        always_export: options.always_export,
        cut_on_columns: options.columns_follow_rows(),
        columns_before,
    };
    let due = match ew_core::plan(&request, &occupied) {
        Ok(due) => due,
        Err(error @ PlanError::TooManyEmpty) => {
            let text = |time: Option<ew_core::Timestamp>, none: &str| {
                time.map_or(none.to_owned(), |t| t.to_string())
            };
            let earliest = text(snapshot.first_row(start.max(*since), selection)?, "none");
            let since = text(options.since, "not set");
            let refused = Failure::of(Exit::Data, &error)
                .of_part(&format!(
                    "from {start}, with the earliest row from there on: {earliest}, and since {since}"
                ))
                .hint("set since in the job to where its data begins, or always_export = false");
            return Ok((plan(Some(window), Vec::new(), Some(refused)), late));
        }
    };
    let is_noop = job.end.is_some() && bookmark.is_some_and(|bookmark| end < bookmark);
    Ok((Plan { is_noop, ..plan(Some(window), due, None) }, late))
}

/// The end of the window: `--end`, or that of the last closed slot.
fn end(job: &JobRun<'_>) -> Result<ew_core::Timestamp, Failure> {
    let Some(when) = job.end else {
        return Ok(job.options.grid().last_closed_end(job.now, job.options.delay.0));
    };
    let end = job.resolve(when)?;
    if end > job.now {
        if let Some(doubt) = &job.doubt {
            return Err(Failure::new(
                Exit::NoData,
                format!("whether --end {end} is past is not known: {doubt}"),
            )
            .hint("set the clock, or write --end with a time before it was in doubt"));
        }
        return Err(Failure::new(Exit::Usage, format!("--end {end} is in the future"))
            .hint("write --end now to export all there is"));
    }
    let end = if when == When::Now { end.floor_to_second() } else { end };
    // An interval is not sent before it is over.
    Ok(job.options.resampling().map_or(end, |resampling| resampling.intervals.slot(end).start))
}

/// The header of a piece's file: fixed columns, or those of its rows.
pub(crate) fn columns(job: &JobRun<'_>, contents: &Contents) -> Option<Columns> {
    if !job.options.format.is_wide() {
        return None;
    }
    let of_rows = match contents {
        Contents::Rows { columns } | Contents::HeaderOnly { columns } => columns.clone(),
        Contents::Empty => Columns::default(),
    };
    Some(job.options.columns.as_ref().map_or(of_rows, |fixed| fixed.as_slice().into()))
}

/// What a slice of the ledger holds as the log is now, by its commits: the rows that the job selected when the
/// slice began, and their columns, or `header` where there is none.
pub(crate) struct Content {
    pub(crate) columns: Option<Columns>,
    pub(crate) scope: Scope,
}

pub(crate) fn content(
    job: &mut JobRun<'_>,
    known: &Job,
    window: Window,
    seqs: Seqs,
    header: Option<&Columns>,
) -> Result<Content, Failure> {
    let scope = job.scope_at(known, window.start)?;
    let rows = Window::new(window.start.max(scope.since), window.end);
    let present = job.log.snapshot()?.columns(rows, &scope.selection, seqs)?;
    let contents = match present.is_empty() {
        true => Contents::HeaderOnly { columns: header.cloned().unwrap_or_default() },
        false => Contents::Rows { columns: present },
    };
    Ok(Content { columns: columns(job, &contents), scope })
}

impl Content {
    /// To be rendered.
    pub(crate) fn piece(&self, window: Window, seqs: Seqs) -> Piece<'_> {
        Piece { window, columns: self.columns.as_deref().unwrap_or_default(), seqs, scope: &self.scope }
    }
}

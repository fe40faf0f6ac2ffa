//! What the ledger has for each instant of a job: the one place that tells where a row stands.

use crate::Seqs;
use crate::error::StoreError;
use crate::ledger::Job;
use crate::rows::Names;
use crate::selection::{Scope, scopes};
use crate::state::SliceState;
use crate::{Snapshot, read};
use ew_core::{Before, Timestamp, Window};
use rusqlite::params;

/// Where a row stands with a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Standing {
    /// At the receiver.
    Placed,
    /// In a slice that is planned or rendered, and not placed yet.
    Recorded,
    /// A person has to release it.
    Held,
    /// A person passed over it.
    Skipped,
    /// It came after its slice was planned; the next run sends it.
    Late,
    /// In a slot that is not due yet.
    Open,
    /// Before `since`.
    BeforeSince,
    /// Nowhere: it was looked at, and no slice has it.
    Lost,
}

/// All revisions of one slice.
#[derive(Debug, Clone)]
pub(crate) struct Stretch {
    pub(crate) window: Window,
    /// The newest revision.
    pub(crate) rev: u32,
    /// Up to this seq its rows are placed; likewise in a file, planned, held, skipped.
    placed: i64,
    recorded: i64,
    held: i64,
    skipped: i64,
    /// The newest revision has no file yet; the seq up to which those before it were planned.
    waiting: Option<i64>,
    trimmed: bool,
    /// What is placed was rebuilt.
    rebuilt: bool,
    /// And the log does not give it.
    unmatched: bool,
    /// What is placed: the newest whole revision, and the deltas after it.
    pub(crate) sent: Vec<Sent>,
}

impl Stretch {
    fn new(window: Window) -> Stretch {
        Stretch {
            window,
            rev: 0,
            placed: -1,
            recorded: -1,
            held: -1,
            skipped: -1,
            waiting: None,
            trimmed: false,
            rebuilt: false,
            unmatched: false,
            sent: Vec::new(),
        }
    }

    fn add(&mut self, revision: &Revision) {
        use SliceState as S;
        let before = self.as_of_seq();
        let seq = revision.as_of_seq;
        let of = match revision.state {
            S::Placed | S::Verified => &mut self.placed,
            // What took its place counts.
            S::Superseded | S::Empty => return self.rev = self.rev.max(revision.rev),
            S::Planned | S::Rendered | S::Sending | S::Failed => &mut self.recorded,
            S::Held => &mut self.held,
            S::Skipped => &mut self.skipped,
        };
        *of = (*of).max(seq);
        if matches!(revision.state, S::Placed | S::Verified) {
            let seqs = Seqs { after: revision.after_seq.unwrap_or(0), up_to: seq };
            let (intervals, columns) = (revision.intervals, revision.columns);
            self.sent.push(Sent { seqs, rows: revision.rows, intervals, columns });
            self.rebuilt |= revision.rebuilt;
            self.unmatched |= revision.unmatched;
        }
        self.waiting = matches!(revision.state, S::Planned | S::Held).then_some(before);
        self.rev = self.rev.max(revision.rev);
        self.trimmed |= revision.trimmed;
    }

    fn as_of_seq(&self) -> i64 {
        self.placed.max(self.recorded).max(self.held).max(self.skipped)
    }

    /// What a decision on late rows needs.
    pub(crate) fn before(&self) -> Before {
        let as_of_seq = self.waiting.unwrap_or(self.as_of_seq());
        Before {
            rev: self.rev,
            as_of_seq,
            trimmed: self.trimmed,
            skipped: self.skipped >= as_of_seq.max(0),
            rebuilt: self.rebuilt,
            unmatched: self.unmatched,
            waiting: self.waiting.is_some(),
        }
    }

    /// Whether no revision of it is still to be rendered or sent.
    pub(crate) fn is_settled(&self) -> bool {
        self.waiting.is_none() && self.recorded <= self.placed
    }

    /// Whether a file of it is placed or on its way.
    fn has_file(&self) -> bool {
        self.placed.max(self.recorded) >= 0 && self.waiting.is_none_or(|before| before >= 0)
    }

    /// Whether rows of it are gone from the log.
    pub(crate) fn is_trimmed(&self) -> bool {
        self.trimmed
    }

    /// Whether the log does not give what a rebuild found at the receiver.
    pub(crate) fn is_unmatched(&self) -> bool {
        self.unmatched
    }

    /// What is placed is placed; else the first revision that was planned with the row counts.
    fn standing(&self, seq: i64) -> Option<Standing> {
        if seq <= self.placed {
            return Some(Standing::Placed);
        }
        [(self.recorded, Standing::Recorded), (self.held, Standing::Held), (self.skipped, Standing::Skipped)]
            .into_iter()
            .filter(|(up_to, _)| seq <= *up_to)
            .min_by_key(|(up_to, _)| *up_to)
            .map(|(_, standing)| standing)
    }
}

/// One file at the receiver.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sent {
    /// Which commits it holds.
    pub(crate) seqs: Seqs,
    pub(crate) rows: u64,
    /// How many its rows are of; 0: they are the log's own; none: that was not kept.
    pub(crate) intervals: Option<u64>,
    /// Of a wide layout.
    pub(crate) columns: Option<u64>,
}

struct Revision {
    rev: u32,
    as_of_seq: i64,
    state: SliceState,
    rows: u64,
    after_seq: Option<i64>,
    trimmed: bool,
    rebuilt: bool,
    unmatched: bool,
    intervals: Option<u64>,
    columns: Option<u64>,
}

/// The slices of one job in order of time, and what it selected when.
pub(crate) struct Coverage {
    pub(crate) stretches: Vec<Stretch>,
    /// Windows of slices that overlap, which none should.
    pub(crate) overlaps: Vec<Window>,
    bookmark: Timestamp,
    looked_seq: i64,
    scopes: Vec<(Timestamp, Scope, Names)>,
}

impl Coverage {
    /// Reads the slices that touch a window.
    pub(crate) fn load(
        snapshot: &Snapshot<'_>,
        job: &Job,
        present: &Scope,
        within: Window,
    ) -> Result<Coverage, StoreError> {
        let sql = read::sql_error(snapshot.path, "read the ledger");
        let mut select = snapshot
            .tx
            .prepare_cached(
                "select start_time, end_time, rev, as_of_seq, state, rows, after_seq, trimmed, rebuilt is not null,
                     unmatched, intervals, json_array_length(columns) from slice
                 where job = ?1 and state <> 'empty' and end_time > ?2 and start_time < ?3
                 order by start_time, end_time, rev",
            )
            .map_err(&sql)?;
        let mut rows =
            select.query(params![job.id, within.start.micros(), within.end.micros()]).map_err(&sql)?;
        let (mut stretches, mut overlaps): (Vec<Stretch>, Vec<Window>) = (Vec::new(), Vec::new());
        while let Some(row) = rows.next().map_err(&sql)? {
            let time = |index| row.get(index).map(Timestamp::from_micros).map_err(&sql);
            let window = Window::new(time(0)?, time(1)?);
            let state: String = row.get(4).map_err(&sql)?;
            let revision = Revision {
                rev: row.get(2).map_err(&sql)?,
                as_of_seq: row.get(3).map_err(&sql)?,
                state: state.parse().map_err(|what| snapshot.unreadable(what))?,
                rows: row.get(5).map_err(&sql)?,
                after_seq: row.get(6).map_err(&sql)?,
                trimmed: row.get(7).map_err(&sql)?,
                rebuilt: row.get(8).map_err(&sql)?,
                unmatched: row.get(9).map_err(&sql)?,
                intervals: row.get(10).map_err(&sql)?,
                columns: row.get(11).map_err(&sql)?,
            };
            if stretches.last().is_none_or(|last| last.window != window) {
                if stretches.last().is_some_and(|last| window.start < last.window.end) {
                    overlaps.push(window);
                }
                stretches.push(Stretch::new(window));
            }
            if let Some(stretch) = stretches.last_mut() {
                stretch.add(&revision);
            }
        }
        let mut known = scopes(snapshot, job)?;
        // A change that no export has seen yet counts from the bookmark.
        match known.last() {
            Some((_, last)) if last == present => {}
            Some(_) => known.push((job.bookmark.unwrap_or(Timestamp::MIN), present.clone())),
            None => known.push((Timestamp::MIN, present.clone())),
        }
        let with_names = |(from, scope): (Timestamp, Scope)| {
            let names = snapshot.names(&scope.selection)?;
            Ok((from, scope, names))
        };
        let scopes: Result<Vec<_>, StoreError> = known.into_iter().map(with_names).collect();
        Ok(Coverage {
            stretches,
            overlaps,
            bookmark: job.bookmark.unwrap_or(Timestamp::MIN),
            looked_seq: job.looked_seq,
            scopes: scopes?,
        })
    }

    /// The slice that holds an instant, and its place.
    pub(crate) fn slice(&self, time: Timestamp) -> Option<(usize, &Stretch)> {
        let after = self.stretches.partition_point(|stretch| stretch.window.start <= time);
        let index = after.checked_sub(1)?;
        self.stretches.get(index).filter(|stretch| stretch.window.contains(time)).map(|slice| (index, slice))
    }

    /// The slice that holds an instant.
    pub(crate) fn at(&self, time: Timestamp) -> Option<&Stretch> {
        self.slice(time).map(|(_, slice)| slice)
    }

    /// The slices with a file that start after one time and by another.
    pub(crate) fn after(&self, from: Timestamp, to: Timestamp) -> impl Iterator<Item = &Stretch> {
        let first = self.stretches.partition_point(|stretch| stretch.window.start <= from);
        self.stretches[first..].iter().take_while(move |s| s.window.start <= to).filter(|s| s.has_file())
    }

    /// The stretch without a slice around an instant that no slice holds, up to where the selection changed.
    pub(crate) fn gap(&self, time: Timestamp) -> Window {
        let after = self.stretches.partition_point(|stretch| stretch.window.start <= time);
        let start = self.stretches[..after].last().map_or(Timestamp::MIN, |before| before.window.end);
        let end = self.stretches.get(after).map_or(self.bookmark, |next| next.window.start);
        let scope = self.scope_index(time);
        let start = start.max(self.scopes[scope].0);
        let end = self.scopes.get(scope + 1).map_or(end, |next| end.min(next.0));
        Window::new(start, end)
    }

    /// The last scope that began at or before an instant, or the first.
    fn scope_index(&self, start: Timestamp) -> usize {
        self.scopes.partition_point(|(from, ..)| *from <= start).saturating_sub(1)
    }

    /// Where a row stands; none for one that the job does not select.
    pub(crate) fn standing(&self, time: Timestamp, point: i64, seq: i64) -> Option<Standing> {
        let stretch = self.at(time);
        let (_, scope, names) = &self.scopes[self.scope_index(stretch.map_or(time, |s| s.window.start))];
        names.get(point)?;
        if time < scope.since {
            return Some(Standing::BeforeSince);
        }
        let standing = stretch.and_then(|stretch| stretch.standing(seq));
        Some(standing.unwrap_or(match time < self.bookmark {
            false => Standing::Open,
            true if seq <= self.looked_seq => Standing::Lost,
            true => Standing::Late,
        }))
    }
}

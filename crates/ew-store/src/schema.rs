//! The schema and its migrations, one step per `user_version`.

/// Step n brings a log from `user_version` n to n + 1. A step, once released, is never edited.
pub(crate) const STEPS: &[&str] = &[STEP_0, STEP_1, STEP_2, STEP_3, STEP_4, STEP_5];

/// Times are microseconds since 1970-01-01T00:00:00Z.
///
/// The key of `sample` is time first: polls append at the end and a slice is one stretch of pages.
/// `batch` has one row per commit, so rows that came late are found by their seq without an index over
/// every sample.
const STEP_0: &str = "
create table state (
    id integer primary key check (id = 1),
    last_seq integer not null               -- the highest seq ever given; never goes back
) strict;
insert into state values (1, 0);

create table point (id integer primary key, name text not null unique) strict;
create table unit (id integer primary key, name text not null unique) strict;

create table sample (
    time integer not null,
    point integer not null references point,
    seq integer not null,
    value real,                             -- null: there was no answer
    unit integer not null references unit,
    quality integer not null,               -- position in ew_core::Quality::ALL
    primary key (time, point)
) strict, without rowid;

-- What a sample was before a correction took its place.
create table correction (
    time integer not null,
    point integer not null references point,
    seq integer not null,
    value real,
    unit integer not null references unit,
    quality integer not null,
    replaced_by integer not null,           -- the seq of the correction
    primary key (time, point, seq)
) strict, without rowid;

create table batch (
    first_seq integer not null,
    last_seq integer primary key,
    time_min integer not null,
    time_max integer not null,
    committed_at integer not null
) strict;

-- What a poll knows beside the sample itself.
create table poll_detail (
    time integer not null,
    point integer not null references point,
    expected integer,                       -- a domain: switches asked
    answered integer,                       -- a domain: switches that answered
    importance integer,                     -- a domain: the importance asked for
    reason text,                            -- a switch: why it failed
    primary key (time, point)
) strict, without rowid;

create table job (
    id integer primary key,
    name text not null unique,
    bookmark integer,                       -- latest end of any slice placed or skipped
    slices integer not null default 0       -- how many were planned: {count}
) strict;

create table slice (
    id integer primary key,
    job integer not null references job,
    start_time integer not null,            -- half-open [start_time, end_time)
    end_time integer not null,
    rev integer not null,                   -- 0 is the first delivery
    as_of_seq integer not null,             -- the highest seq when it was planned
    state text not null check (state in ('planned', 'rendered', 'sending', 'placed', 'verified',
        'empty', 'superseded', 'held', 'skipped', 'failed')),
    reason text,                            -- of failed, held, skipped: why
    columns text,                           -- JSON array of point names; wide layouts only
    format text,                            -- formatter and its version
    zone_data text,                         -- version of the zone rules, where they tell it
    count integer,
    name text,
    rows integer not null default 0,
    bytes integer,
    sha256 text,
    spool text,                             -- file below the spool folder while it is not placed
    destination text,
    attempts integer not null default 0,
    receipt text,                           -- JSON, from the transporter
    delivered_at integer
) strict;
create index slice_by_job on slice (job, start_time, rev);
create index slice_unfinished on slice (job) where state in ('planned', 'rendered', 'sending', 'failed');

-- A name belongs to one slice of one job and destination for ever.
create table file_name (
    destination text not null,
    name text not null,
    job integer not null references job,
    start_time integer not null,
    end_time integer not null,
    primary key (destination, name)
) strict, without rowid;
";

/// Recipients of a mail may have a slice that is not placed yet: the next attempt leaves them out. What a job
/// selects may change; each slice keeps what was in force at its start. And a slice with a file in
/// the spool is one to be finished, be it new or a placed one that is sent again by hand.
const STEP_1: &str = "
alter table slice add column reached text;  -- JSON array
create table selection (
    job integer not null references job,
    from_time integer not null,             -- of slices that start at or after it
    points text not null,                   -- JSON array of globs
    since integer,                          -- rows before it are never due
    primary key (job, from_time)
) strict, without rowid;
drop index slice_unfinished;
create index slice_unfinished on slice (job) where spool is not null;
";

/// Late rows are found by the seq up to which a job has looked, a delta knows the seq that it begins after, and
/// what was trimmed is known for good: such a slice is never rendered again.
const STEP_2: &str = "
alter table job add column looked_seq integer not null default 0;   -- rows before the bookmark up to it have a slice
alter table slice add column after_seq integer;     -- a delta: only rows with a higher seq; null: the whole slice
alter table slice add column trimmed integer not null default 0;    -- 1: rows of it are gone from the log
alter table slice add column proof text;            -- what was last proved of it at the receiver: listed, size, hash
alter table slice add column verified_at integer;   -- and when
alter table slice add column kept text;             -- the delivered file, compressed, below the folder of kept files
alter table slice add column progress integer not null default 0;   -- of its delivery: position in Progress::ALL
create index slice_waiting on slice (job, start_time) where state in ('planned', 'held');
create index slice_kept on slice (job, delivered_at) where kept is not null;
alter table state add column clock text;               -- JSON: what was seen of the clock
create table probe (
    destination text primary key,
    at integer not null,
    outcome text not null                   -- what the receiver could do then, JSON
) strict, without rowid;
create table manifest (
    id integer primary key,                 -- in the order in which they were recorded: each names the one before
    slice integer not null unique references slice,
    text text not null                      -- as it lies beside the file
) strict;
create table trim (
    id integer primary key,
    at integer not null,
    before_time integer not null,           -- rows before it were asked to go
    rows integer not null,                  -- how many went
    undelivered integer not null            -- of them rows that a job had not delivered: --force
) strict;
create table run (                          -- the last run of each job, also one that could not start
    job text primary key,
    at integer not null,
    exit integer not null,
    message text,                           -- why it failed
    good_at integer                         -- the last run in which nothing failed
) strict;
";

/// A rebuilt slice is known by its file, and may have one that the log does not give until its rows come back. And how many intervals a file
/// has tells how many rows the log's points make in it. What a poll finds out of a device need not be asked again. What
/// was found on buses, and what their groups are called.
const STEP_3: &str = "
alter table slice add column rebuilt text;          -- its file was found at the receiver; what tells that the log gives it: 'file', 'rows'
alter table slice add column unmatched integer not null default 0;  -- 1: and the log does not
alter table slice add column intervals integer;     -- how many its rows are of; 0: they are the log's own; null: not kept then
create table device (
    point text primary key,                 -- of the switch
    memory text not null                    -- what its last poll left to the next, JSON
) strict, without rowid;
create table discovery (
    id integer primary key,
    bus text not null,
    at integer not null,                    -- when it began
    complete integer,                       -- null: the backend cannot tell
    document text not null                  -- all of it, JSON
) strict;
create index discovery_by_bus on discovery (bus, id);
create table bus_tags (                     -- of the tag file that was imported last
    bus text primary key,
    at integer not null,
    document text not null                  -- JSON
) strict, without rowid;
";

/// What lies beside a file is sent again as it was.
const STEP_4: &str = "
create table metadata (
    slice integer primary key references slice,
    text text not null                      -- as it lies beside the file
) strict;
";

/// What is wrong is told without reading all that went well, which has no reason and no place in this index.
const STEP_5: &str = "
create index slice_reason on slice (job, start_time, rev) where reason is not null;
";

#[cfg(test)]
mod tests {
    use crate::{Log, Placed, SliceState};
    use ew_core::{Timestamp, Window};
    use std::path::Path;

    /// One small log of every schema before this one, as its programs wrote it.
    #[test]
    fn older_logs_are_brought_up_to_date_and_keep_their_rows() {
        for version in 1..super::STEPS.len() {
            let old =
                Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../fixtures/schema/v{version}.db"));
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("ew.db");
            std::fs::copy(&old, &path).unwrap_or_else(|e| panic!("{}: {e}", old.display()));
            let mut log = Log::open(&path).unwrap();
            let found: i64 = log.conn.query_row("pragma user_version", [], |row| row.get(0)).unwrap();
            assert_eq!(found, super::STEPS.len() as i64, "version {version}");
            let integrity: String =
                log.conn.query_row("pragma integrity_check", [], |row| row.get(0)).unwrap();
            assert_eq!(integrity, "ok");
            let rows: i64 = log.conn.query_row("select count(*) from sample", [], |row| row.get(0)).unwrap();
            assert_eq!(rows, 5);
            assert_eq!(log.snapshot().unwrap().last_seq().unwrap(), 6);

            let mut ledger = log.ledger();
            let job = ledger.job("utility").unwrap().unwrap();
            assert_eq!(job.bookmark, Some("2026-03-01T00:30:00Z".parse().unwrap()));
            let all = ledger.list(None, Window::new(Timestamp::MIN, Timestamp::MAX)).unwrap();
            let states: Vec<_> = all.iter().map(|d| d.state).collect();
            assert_eq!(
                states,
                [SliceState::Placed, SliceState::Placed, SliceState::Empty, SliceState::Failed],
                "version {version}"
            );
            assert!(all.iter().all(|slice| slice.reached.is_empty()));

            // And it goes on from there.
            let open = ledger.unfinished(&job).unwrap();
            assert_eq!(open.len(), 1);
            ledger.failed(&open[0], "again", &["a@example.com".to_owned()]).unwrap();
            assert_eq!(ledger.unfinished(&job).unwrap()[0].reached, ["a@example.com"]);
            let at = Timestamp::from_secs(1_800_000_000);
            let placed = Placed { name: "x.csv", destination: "file:///out", receipt: "{}", kept: None, at };
            let bookmark = ledger.place(&job, &open[0], &placed).unwrap();
            assert_eq!(bookmark, Some("2026-03-01T01:00:00Z".parse().unwrap()));
        }
    }
}

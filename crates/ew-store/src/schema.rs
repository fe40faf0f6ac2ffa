//! The schema and its migrations, one step per `user_version`.

/// Step n brings a log from `user_version` n to n + 1. A step, once released, is never edited.
pub(crate) const STEPS: &[&str] = &[STEP_0, STEP_1];

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

/// What a job selects may change; each slice keeps what was in force at its start. And a slice with a file in
/// the spool is one to be finished, be it new or a placed one that is sent again by hand.
const STEP_1: &str = "
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

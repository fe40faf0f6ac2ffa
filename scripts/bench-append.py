#!/usr/bin/env python3
"""`ew-log append` beside what a user would pick instead, and beside a bare loop over the same rows: `make bench-append`.

1 M rows (500 points a minute) into an empty log, from CSV and from JSON lines; and 10,000 samples as one poll has them
into a log of a million, synced to the disk. Who is beside us keeps one row for each time and point too, in one
transaction that is synced. Runs are taken in turn, the first round is thrown away.
"""
import os
import pathlib
import shutil
import tempfile

import bench

ROWS, POINTS, START = 1_000_000, 500, 1_767_225_600
IMPORT = ["create table sample (time integer, point text, value real, unit text, quality text, primary key (time, point)) without rowid",
          "pragma journal_mode = wal", "pragma synchronous = full", ".import --csv --skip 1 rows.csv sample"]
PYTHON = """import csv, sqlite3
con = sqlite3.connect("peer.db")
con.execute("pragma journal_mode = wal"); con.execute("pragma synchronous = full")
con.execute("create table point (id integer primary key, name text unique)")
con.execute("create table sample (time integer, point integer, value real, unit text, quality text, primary key (time, point)) without rowid")
ids = {}
def rows():
    reader = csv.reader(open("rows.csv")); next(reader)
    for time, point, value, unit, quality in reader:
        if point not in ids:
            ids[point] = con.execute("insert into point (name) values (?)", [point]).lastrowid
        yield int(time) * 1000000, ids[point], float(value), unit, quality
con.executemany("insert into sample values (?, ?, ?, ?, ?)", rows()); con.commit()"""


def lines(start, count, points):
    for n in range(count):
        time, point = start + 60 * (n // points), n % points
        yield time, f"com.example.site.sw{point:05}", f"{100 + point}.{n % 10}"


def write(folder, name, start, count, points):
    with open(folder / name, "w") as out:
        out.write("timestamp,point,value,unit,quality\n")
        out.writelines(f"{time},{point},{value},W,actual\n" for time, point, value in lines(start, count, points))


def remove(folder, *names):
    for name in names:
        for end in ("", "-wal", "-shm"):
            (folder / (name + end)).unlink(missing_ok=True)
    shutil.rmtree(folder / "ew.db.spool", ignore_errors=True)


def bulk(folder):
    write(folder, "rows.csv", START, ROWS, POINTS)
    with open(folder / "rows.jsonl", "w") as out:
        out.writelines(f'{{"timestamp":{time},"point":"{point}","value":{value},"unit":"W","quality":"actual"}}\n'
                       for time, point, value in lines(START, ROWS, POINTS))
    clean = lambda: remove(folder, "ew.db", "peer.db")
    run = lambda *command: lambda: bench.timed(list(command), folder)
    measured = bench.in_turn([
        ("ew-log append, CSV", clean, run(bench.BIN / "ew-log", "-q", "append", "rows.csv")),
        ("ew-log append, JSON lines", clean, run(bench.BIN / "ew-log", "-q", "append", "rows.jsonl")),
        ("bare rusqlite loop, CSV", clean, run(bench.BIN / "examples/bare-insert", "peer.db", "rows.csv")),
        ("bare rusqlite loop, JSON lines", clean, run(bench.BIN / "examples/bare-insert", "peer.db", "rows.jsonl")),
        ("sqlite3 .import", clean, run("sqlite3", "peer.db", *IMPORT)),
        ("python sqlite3", clean, run("python3", "-c", PYTHON)),
    ])
    parts = {kind: {name: of for name, of in measured.items() if ("JSON" in name) == (kind == "json")} for kind in ("csv", "json")}
    return {**bench.against(parts["csv"], "ew-log append, CSV"), **bench.against(parts["json"], "ew-log append, JSON lines")}


def poll(folder):
    """10,000 samples into a log of a million, on the disk"""
    write(folder, "old.csv", START - 86_400, ROWS, 10_000)
    write(folder, "poll.csv", START + 86_400 * 30, 10_000, 10_000)
    bench.timed([bench.BIN / "ew-log", "-q", "append", "old.csv"], folder)
    bench.timed([bench.BIN / "examples/bare-insert", "peer.db", "old.csv"], folder)
    for name in ("ew.db", "peer.db"):
        bench.timed(["sqlite3", name, "pragma wal_checkpoint(truncate)"], folder)
        shutil.move(folder / name, folder / ("clean-" + name))

    def prepare():
        remove(folder, "ew.db", "peer.db")
        for name in ("ew.db", "peer.db"):
            shutil.copy(folder / ("clean-" + name), folder / name)
            # Else its pages are on their way to the disk while the run waits for its own.
            with open(folder / name) as copy:
                os.fsync(copy.fileno())

    run = lambda *command: lambda: bench.timed(list(command), folder)
    return bench.against(bench.in_turn([
        ("ew-log append, 10,000 samples", prepare, run(bench.BIN / "ew-log", "-q", "append", "poll.csv")),
        ("bare rusqlite loop", prepare, run(bench.BIN / "examples/bare-insert", "peer.db", "poll.csv")),
    ]), "ew-log append, 10,000 samples")


result = {}
for part, where in ((bulk, bench.folder()), (poll, bench.ROOT / "target")):
    with tempfile.TemporaryDirectory(dir=where) as scratch:
        folder = pathlib.Path(scratch)
        (folder / "ew.toml").write_text('[log]\nurl = "ew.db"\n')
        result[part.__name__] = part(folder)
        bench.table(part.__doc__ or f"{ROWS} rows into an empty log", result[part.__name__])
bench.keep("append", result)

#!/usr/bin/env python3
"""All of `ew-export` (plan, render, hash, spool, placement, ledger, kept file) on 10 M rows beside what a user would
pick instead, and on a quarter of an hour at the end of a log: `make bench-export`, ONLY="long disk" for some of it.

Logs are made by `ew-log append`: 500 points a minute, values with one decimal. All write to the same folder, in memory
where there is some (BENCH_DIR). Runs are taken in turn, the first round is thrown away; RUNS=5 ROWS=10000000.
"""
import datetime
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench

ROWS = int(os.environ.get("ROWS", "10000000"))
POINTS, START = 500, 1_767_225_600  # 2026-01-01T00:00:00Z
WITH_PARQUET = bench.ROOT / "target/bench-features/release"
PYTHON = bench.ROOT / "target/bench-venv/bin/python3"
JOB = '[log]\nurl = "ew.db"\n[[export]]\nname = "u"\npoints = ["**"]\nperiod = "15m"\n[export.format.{format}\n[export.transport.file]\ndirectory = "out"\n{more}'
QUALITIES = ["trusted", "actual", "presumed", "unknown", "max", "partial", "missing", "suspect"]

STRFTIME = """select strftime('%Y-%m-%dT%H:%M:%SZ', s.time / 1000000, 'unixepoch') as timestamp, p.name as point, s.value,
  u.name as unit, case s.quality {} end as quality
  from sample s join point p on p.id = s.point join unit u on u.id = s.unit order by s.time, p.name""".format(
    " ".join(f"when {n} then '{name}'" for n, name in enumerate(QUALITIES)))
PLAIN = "select s.time, p.name, s.value, s.unit, s.quality from sample s join point p on p.id = s.point order by s.time"
GROUPED = """select strftime('%Y-%m-%dT%H:%M:%SZ', time / 1000000, 'unixepoch') || ',' || group_concat(value) from sample
  group by time order by time"""
DUCKDB = """import duckdb, duckdb_extensions, sys
con = duckdb.connect()
duckdb_extensions.import_extension("sqlite_scanner", con=con)
con.execute("attach 'clean.db' as log (type sqlite, read_only)")
con.execute(sys.argv[1])"""
SCANNED = """copy (select strftime(make_timestamp(s.time), '%Y-%m-%dT%H:%M:%SZ') as timestamp, p.name as point, s.value,
  u.name as unit, s.quality from log.sample s join log.point p on p.id = s.point join log.unit u on u.id = s.unit
  order by s.time, p.name) to '{}'"""
PARQUET = """import duckdb
duckdb.execute('''copy (select strftime(timestamp, '%Y-%m-%dT%H:%M:%SZ') as timestamp, point, value, unit, quality
  from 'log.parquet') to 'peer.csv' ''')"""
SCRIPT = """import csv, sqlite3, sys, time
rows = sqlite3.connect("small.db").execute('''select s.time, p.name, s.value, u.name, s.quality from sample s
  join point p on p.id = s.point join unit u on u.id = s.unit order by s.time, p.name''')
out = csv.writer(open("peer.csv", "w", newline=""), lineterminator="\\n")
out.writerow(["timestamp", "point", "value", "unit", "quality"])
for at, *rest in rows:
    out.writerow([time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at // 1000000)), *rest])"""


def fill(folder, name, rows, step=60):
    """A log of so many rows, written as polls a minute apart, or so many seconds."""
    (folder / "ew.toml").write_text(f'[log]\nurl = "{name}"\n')
    append = subprocess.Popen([bench.BIN / "ew-log", "-q", "append"], cwd=folder, stdin=subprocess.PIPE)
    with append.stdin as pipe:
        pipe.write(b"timestamp,point,value,unit,quality\n")
        for minute in range(rows // POINTS):
            time = START + step * minute
            pipe.write(b"".join(b"%d,com.example.site.sw%03d,%d.%d,W,actual\n" % (time, p, 100 + p, (minute * 7 + p) % 10)
                                for p in range(POINTS)))
    if append.wait() != 0:
        sys.exit("ew-log append failed")
    subprocess.run(["sqlite3", name, "pragma wal_checkpoint(truncate)"], cwd=folder, check=True, stdout=subprocess.DEVNULL)


def fresh(folder, log):
    for name in ("out", "ew.db.spool"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for name in ("ew.db-wal", "ew.db-shm", "peer.csv", "peer.xml"):
        (folder / name).unlink(missing_ok=True)
    shutil.copy(folder / log, folder / "ew.db")


def export(folder, format, log="clean.db", more="", arguments=()):
    """A contender: a whole `ew-export` of a log of which nothing was exported."""
    def prepare():
        fresh(folder, log)
        (folder / "ew.toml").write_text(JOB.format(format=format, more=more))

    return prepare, lambda: bench.timed([bench.BIN / "ew-export", "-q", *arguments], folder)


def peer(folder, command):
    return lambda: fresh(folder, "empty"), lambda: bench.timed(command, folder)


def contenders(*all):
    return [(name, prepare, run) for name, (prepare, run) in all]


def sqlite(query, output="peer.csv"):
    return ["sqlite3", "-csv", "-header", "clean.db", ".output " + output, query]


def long(folder):
    subprocess.run([PYTHON, "-c", DUCKDB, SCANNED.format("log.parquet").replace(
        "strftime(make_timestamp(s.time), '%Y-%m-%dT%H:%M:%SZ')", "make_timestamp(s.time)")], cwd=folder, check=True)
    results = bench.in_turn(contenders(
        ("ew-export", export(folder, 'csv]\nlayout = "long"')),
        ("ew-export, no kept file", (lambda: (fresh(folder, "clean.db"), (folder / "ew.toml").write_text(
            JOB.format(format='csv]\nlayout = "long"', more="").replace("[[export]]", 'keep_files = "0s"\n[[export]]'))),
            lambda: bench.timed([bench.BIN / "ew-export", "-q"], folder))),
        ("sqlite3 strftime", peer(folder, sqlite(STRFTIME))),
        ("sqlite3, times as numbers", peer(folder, sqlite(PLAIN))),
        ("duckdb over the log", peer(folder, [PYTHON, "-c", DUCKDB, SCANNED.format("peer.csv")])),
        ("duckdb over its own Parquet", peer(folder, [PYTHON, "-c", PARQUET])),
    ))
    return bench.against(results, "ew-export")


def slow(folder):
    """A tenth of the rows, for those who take minutes."""
    utils = [bench.ROOT / "target/bench-venv/bin/sqlite-utils", "query", "small.db", STRFTIME, "--csv"]
    return bench.against(bench.in_turn(contenders(
        ("ew-export", export(folder, 'csv]\nlayout = "long"', log="small.db")),
        ("python csv and strftime", peer(folder, [PYTHON, "-c", SCRIPT])),
        ("sqlite-utils", peer(folder, utils)),
    )), "ew-export")


def wide(folder):
    return bench.against(bench.in_turn(contenders(
        ("ew-export", export(folder, "csv]")),
        ("sqlite3 group_concat", peer(folder, ["sqlite3", "clean.db", ".output peer.csv", GROUPED])),
    )), "ew-export")


def xml(folder):
    return bench.against(bench.in_turn(contenders(
        ("ew-export", export(folder, "xml]")),
        ("quick-xml's writer", peer(folder, [bench.BIN / "examples/plain-xml", "clean.db", "peer.xml"])),
    )), "ew-export")


def gzip(folder):
    pipeline = [["sqlite3", "-csv", "-header", "clean.db", STRFTIME], ["sh", "-c", "gzip -6 >peer.csv"]]
    return bench.against(bench.in_turn(contenders(
        ("ew-export", export(folder, 'csv]\nlayout = "long"', more='compress = "gzip"\n')),
        ("ew-export, zstd", export(folder, 'csv]\nlayout = "long"', more='compress = "zstd"\n')),
        ("sqlite3 strftime | gzip", peer(folder, pipeline)),
    ), runs=min(bench.RUNS, 3)), "ew-export")


def large(folder):
    """Five times the rows: the same memory, five times the time."""
    fill(folder, "large.db", 5 * ROWS)
    results = bench.in_turn(contenders(
        ("rows", export(folder, 'csv]\nlayout = "long"')),
        ("five times the rows", export(folder, 'csv]\nlayout = "long"', log="large.db")),
    ))
    results["rows"]["rows"], results["five times the rows"]["rows"] = ROWS, 5 * ROWS
    (folder / "large.db").unlink()
    return bench.against(results, "rows")


def formats(folder):
    """Whole days, printed: what each formatter makes a second, and that it needs no more memory than for one day.
    Readings are five minutes apart, so that those of intervals, whose energy is summed first, get as many rows."""
    a_day = 288 * POINTS
    days = max(2, -(-ROWS // 10 // a_day))
    fill(folder, "days.db", days * a_day, step=300)
    names = [f"com.example.site.sw{n:03}" for n in range(POINTS)]
    table = lambda kind, of: f"[export.format.{kind}.{of[0]}]\n" + "".join(
        f'"{name}" = {{ {of[1].format(n)} }}\n' for n, name in enumerate(names))
    energy = 'interval = "5m"\naggregate = "energy"\n'
    kinds = {
        "csv long": ("", 'csv]\nlayout = "long"\n'),
        "csv wide": ("", "csv]\n"),
        "xml": ("", "xml]\n"),
        "jsonl": ("", "jsonl]\n"),
        "parquet": ("", "parquet]\n"),
        "template retx": ("", 'template]\ntemplate = "retx"\n'),
        "template fsg, by point": ("", 'template]\ntemplate = "fsg"\n'),
        "metermail": ("", 'metermail]\ndevice_name = "d"\ndata_recorder_id = "R1"\ndata_recorder_label = "r"\n'
                      + table("metermail", ("channels", 'id = "C{0:03}", label = "c{0}"'))),
        "csv long of intervals": (energy, 'csv]\nlayout = "long"\n'),
        "cmep": (energy, "cmep]\n"),
        "cmep, ei": (energy, 'cmep]\nei = { customer_name = "c", account_name = "a" }\n'),
        "nem12": (energy, 'nem12]\nfrom_participant = "EW"\nto_participant = "RETAILER"\n'
                  + table("nem12", ("meters", 'nmi = "6305{:06}", suffix = "E1"'))),
        "green_button": (energy, 'green_button]\nnamespace = "example.com"\n'),
    }

    def contender(days, name, job, format):
        def prepare():
            (folder / "ew.toml").write_text('[log]\nurl = "days.db"\n[[export]]\nname = "u"\npoints = ["**"]\nperiod = "1d"\n'
                                            + job + "[export.format." + format + '[export.transport.file]\ndirectory = "out"\n')

        program = (WITH_PARQUET if name == "parquet" else bench.BIN) / "ew-export"
        command = [program, "-q", "u", "--stdout", f"--from={START}", f"--to={START + 86400 * days}"]
        return name, prepare, lambda: bench.timed(command, folder)

    in_turn = lambda days, runs: bench.in_turn([contender(days, name, *kind) for name, kind in kinds.items()], runs)
    results, of_a_day = in_turn(days, min(bench.RUNS, 3)), in_turn(1, 1)
    for name, result in results.items():
        result["rows"] = days * a_day
        result["rows_a_second"] = round(days * a_day / result["median_s"])
        result["peak_mib_of_a_day"] = of_a_day[name]["peak_mib"]
    (folder / "days.db").unlink()
    return bench.against(results, "csv long")


SLICES = 8 * bench.RUNS


def ends_of(rows, slices):
    """The last quarters of an hour of a log."""
    end = START + 60 * (rows // POINTS)
    return range(end - 900 * (slices - 1), end + 1, 900)


def quarters(folder, rows):
    """A contender: the last quarters of an hour of the log `ew.db`, one after the other, as cron has it."""
    ends = ends_of(rows, SLICES + 1)
    since = datetime.datetime.fromtimestamp(ends[0] - 900, datetime.UTC).isoformat()
    (folder / "ew.toml").write_text(JOB.format(format='csv]\nlayout = "long"', more="").replace(
        "[[export]]", 'keep_files = "0s"\n[[export]]').replace("period =", f'since = "{since}"\nperiod ='))
    left = iter(ends)
    return lambda: None, lambda: bench.timed([bench.BIN / "ew-export", "-q", f"--end={next(left)}"], folder)


def latency(folder):
    """At the end of the log and of one ten times as long, in turn; then again, when nothing is due."""
    sizes = {f"{rows // 1_000_000} M": rows for rows in (ROWS, 10 * ROWS)}
    for name, rows in sizes.items():
        (folder / name).mkdir()
        fill(folder / name, "ew.db", rows)
    found = bench.in_turn(contenders(
        *((f"15 minutes of {POINTS} points, {name}", quarters(folder / name, rows)) for name, rows in sizes.items())), SLICES)
    idle = lambda name, rows: lambda: bench.timed(
        [bench.BIN / "ew-export", "-q", f"--end={ends_of(rows, 1)[0]}"], folder / name)
    found |= bench.in_turn(contenders(
        *((f"nothing due, {name}", (lambda: None, idle(name, rows))) for name, rows in sizes.items())), SLICES)
    for name in sizes:
        shutil.rmtree(folder / name)
    return found


def disk(folder):
    """Where the rest is in memory: the log and all files on the disk that the project is on, and synced."""
    synced = lambda command: ["sh", "-c", '"$@" && sync peer.csv', "sh", *command]
    with tempfile.TemporaryDirectory(dir=bench.ROOT / "target") as scratch:
        there = pathlib.Path(scratch)
        (there / "empty").touch()
        shutil.copy(folder / "clean.db", there)
        all = contenders(
            ("ew-export", export(there, 'csv]\nlayout = "long"')),
            ("sqlite3 strftime", peer(there, synced(sqlite(STRFTIME)))),
        )
        # What a run prepared is not for it to write.
        settled = lambda prepare: lambda: (prepare(), os.sync())
        results = bench.in_turn([(name, settled(prepare), run) for name, prepare, run in all], min(bench.RUNS, 3))
        settled(lambda: fresh(there, "clean.db"))()
        slices = bench.in_turn(contenders((f"15 minutes of {POINTS} points", quarters(there, ROWS))), SLICES)
        return bench.against(results, "ew-export") | slices


def start(folder):
    """Beside others that load libcrypto too, and the least that a process takes here."""
    names = ["ew-export", "ew-poll", "ew-log", "ew-ledger", "ew-cbus", "ew-sim"]
    commands = [(f"{name} --help", [bench.BIN / name, "--help"]) for name in names]
    commands += [("ssh -V", ["ssh", "-V"]), ("openssl version", ["openssl", "version"]), ("true", ["/bin/true"])]
    return bench.in_turn([(name, lambda: None, lambda c=c: bench.timed(c, folder)) for name, c in commands], 40)


def main():
    wanted = os.environ.get("ONLY", "start long wide xml gzip slow large formats latency disk").split()
    result = {}
    with tempfile.TemporaryDirectory(dir=bench.folder()) as scratch:
        folder = pathlib.Path(scratch)
        (folder / "empty").touch()
        if not set(wanted) <= {"start", "slow", "formats", "latency"}:
            fill(folder, "clean.db", ROWS)
        if "slow" in wanted:
            fill(folder, "small.db", ROWS // 10)
        for name in wanted:
            result[name] = globals()[name](folder)
            rows = max(contender.get("rows", ROWS) for contender in result[name].values())
            bench.table(f"{name}, {rows} rows", result[name])
    bench.keep("export", result, rows=ROWS, points=POINTS)


main()

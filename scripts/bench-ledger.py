#!/usr/bin/env python3
"""What provable delivery costs: `make bench-ledger`.

1. 100 slices of 1 M rows: all of `ew-export` into a folder (plan, render, hash, spool, placement, ledger, kept file)
   beside the same slices rendered by the same formatter to fsynced files and nothing else.
2. A run with nothing due on a log of 10 M rows.

Runs are taken in turn, the first of each is thrown away; medians, least and most, and the peak memory of each.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "target/release"
RUNS = int(os.environ.get("RUNS", "7"))
START, POINTS = 1_767_225_600, 100  # 2026-01-01T00:00:00Z


def timed(arguments, folder, now=None):
    """Seconds, MiB at most."""
    environment = dict(os.environ, TZ="UTC", **({"EW_NOW": now} if now else {}))
    begin = time.monotonic()
    child = subprocess.Popen(arguments, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    seconds = time.monotonic() - begin
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}: {said.decode()}")
    return seconds, usage.ru_maxrss / 1024


def fill(folder, minutes):
    """A log of so many minutes of 100 points."""
    def rows():
        yield b"timestamp,point,value,unit,quality\n"
        for minute in range(minutes):
            stamp = START + 60 * minute
            for point in range(POINTS):
                yield b"%d,com.example.hq.sw%d,%d.%d,W,actual\n" % (stamp, point, 100 + point, minute % 10)

    (folder / "ew.toml").write_text(
        '[log]\nurl = "ew.db"\n[[export]]\nname = "u"\npoints = ["**"]\nperiod = "2h"\nbreakup_on_period = true\n'
        '[export.format.csv]\nlayout = "long"\n[export.transport.file]\ndirectory = "out"\n'
    )
    append = subprocess.Popen([BIN / "ew-log", "-q", "append"], cwd=folder, stdin=subprocess.PIPE)
    with append.stdin as pipe:
        pipe.writelines(rows())
    if append.wait() != 0:
        sys.exit("ew-log append failed")


def summary(measured):
    seconds = [second for second, _ in measured[1:]]
    return {
        "median_s": round(statistics.median(seconds), 4),
        "min_s": round(min(seconds), 4),
        "max_s": round(max(seconds), 4),
        "peak_mib": round(max(mib for _, mib in measured), 1),
    }


def slices(folder):
    # 100 slots of two hours of 100 points a minute are 1.2 M rows; the last of them ends long before now.
    fill(folder, 100 * 120)
    clean = folder / "clean.db"
    shutil.copy(folder / "ew.db", clean)
    export, render = [], []
    for _ in range(RUNS + 1):
        for name in ("out", "ew.db.spool", "rendered"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("ew.db-wal", "ew.db-shm"):
            (folder / name).unlink(missing_ok=True)
        shutil.copy(clean, folder / "ew.db")
        (folder / "rendered").mkdir()
        os.sync()
        render.append(timed([BIN / "examples/render-only", "ew.db", "rendered", str(START), "100", "7200"], folder))
        export.append(timed([BIN / "ew-export", "-q"], folder))
        sent = sorted((folder / "out").iterdir(), key=lambda file: file.name)
        assert len(sent) == 100
        for number, file in enumerate(sent):
            assert file.read_bytes() == (folder / "rendered" / f"{number}.csv").read_bytes()
    return {"export": summary(export), "render_only": summary(render)}


def idle(folder):
    fill(folder, 100_000)
    # All of it is exported as one slice; then nothing is due.
    subprocess.run([BIN / "ew-export", "-q", "--no-breakup-on-period"], cwd=folder, check=True)
    shutil.rmtree(folder / "out")
    return summary([timed([BIN / "ew-export", "-q", "--end", str(START + 6_000_000)], folder) for _ in range(RUNS + 1)])


with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", ROOT / "target")) as scratch:
    one, two = pathlib.Path(scratch, "slices"), pathlib.Path(scratch, "idle")
    one.mkdir(), two.mkdir()
    result = {"runs": RUNS, "slices_100_rows_1_2m": slices(one), "nothing_due_rows_10m": idle(two)}
both = result["slices_100_rows_1_2m"]
both["ratio"] = round(both["export"]["median_s"] / both["render_only"]["median_s"], 3)
print(json.dumps(result, indent=2))

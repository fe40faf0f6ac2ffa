#!/usr/bin/env python3
"""What provable delivery costs: `make bench-ledger`.

1. 100 slices of 1 M rows: all of `ew-export` into a folder (plan, render, hash, spool, placement, ledger, kept file)
   beside the same slices rendered by the same formatter to fsynced files and nothing else.
2. A run with nothing due on a log of 10 M rows.

Runs are taken in turn, the first of each is thrown away.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import bench

START, POINTS = 1_767_225_600, 100  # 2026-01-01T00:00:00Z


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
    append = subprocess.Popen([bench.BIN / "ew-log", "-q", "append"], cwd=folder, stdin=subprocess.PIPE)
    with append.stdin as pipe:
        pipe.writelines(rows())
    if append.wait() != 0:
        sys.exit("ew-log append failed")


def slices(folder):
    # 100 slots of two hours of 100 points a minute are 1.2 M rows; the last of them ends long before now.
    fill(folder, 100 * 120)
    (folder / "ew.db").rename(folder / "clean.db")

    def prepare():
        for name in ("out", "ew.db.spool", "rendered"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for name in ("ew.db-wal", "ew.db-shm"):
            (folder / name).unlink(missing_ok=True)
        shutil.copy(folder / "clean.db", folder / "ew.db")
        (folder / "rendered").mkdir()
        os.sync()

    rendered = [bench.BIN / "examples/render-only", "ew.db", "rendered", str(START), "100", "7200"]
    found = bench.in_turn([
        ("ew-export, 100 slices", prepare, lambda: bench.timed([bench.BIN / "ew-export", "-q"], folder)),
        # Into what the export left, so that both can be compared.
        ("rendered and synced alone", lambda: os.sync(), lambda: bench.timed(rendered, folder)),
    ])
    sent = sorted((folder / "out").iterdir(), key=lambda file: file.name)
    assert len(sent) == 100
    for number, file in enumerate(sent):
        assert file.read_bytes() == (folder / "rendered" / f"{number}.csv").read_bytes()
    return bench.against(found, "rendered and synced alone")


def idle(folder):
    fill(folder, 100_000)
    # All of it is exported as one slice; then nothing is due.
    subprocess.run([bench.BIN / "ew-export", "-q", "--no-breakup-on-period"], cwd=folder, check=True)
    shutil.rmtree(folder / "out")
    nothing = [bench.BIN / "ew-export", "-q", "--end", str(START + 6_000_000)]
    return bench.in_turn([("nothing due, 10 M rows", lambda: None, lambda: bench.timed(nothing, folder))])


result = {}
# On the disk: what it costs is mostly the syncs.
for part in (slices, idle):
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", bench.ROOT / "target")) as scratch:
        result[part.__name__] = part(pathlib.Path(scratch))
        bench.table(part.__name__, result[part.__name__])
bench.keep("ledger", result)

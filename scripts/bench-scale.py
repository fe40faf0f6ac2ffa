#!/usr/bin/env python3
"""What a sample, a slice and a switch cost, from few to many: `make bench-scale`.

One log grows from 10,000 samples to 10^8 (MAX), 500 points a minute, written by `ew-log append`; at each power of ten it
is polled, exported and asked. Then jobs of up to 10,000 slices, and polls of up to 1,000 simulated switches. Costs are
fitted as units ^ exponent: 1 is linear, 0 the same for any size. It asks for 8 GB in memory, or in BENCH_DIR.
"""
import math
import os
import pathlib
import shutil
import statistics
import sys
import tempfile

import bench

MAX = int(os.environ.get("MAX", "100000000"))
POINTS, START = 500, 1_767_225_600  # 2026-01-01T00:00:00Z
JOB = """[log]
url = "ew.db"
keep_files = "0s"
[[export]]
name = "u"
points = ["**"]
period = "15m"
[export.format.csv]
layout = "long"
[export.transport.file]
directory = "out"
"""


def ew(folder, program, *arguments, stdin=None):
    return bench.timed([bench.BIN / program, *map(str, arguments)], folder, stdin=stdin)


def median(measured):
    return round(statistics.median(seconds for seconds, _ in measured), 5)


def append(folder, minutes):
    """One commit of these minutes. Seconds."""
    with open(folder / "rows.csv", "wb") as out:
        out.write(b"timestamp,point,value,unit,quality\n")
        for minute in minutes:
            at = START + 60 * minute
            out.writelines(b"%d,com.example.site.sw%03d,%d.%d,W,actual\n" % (at, p, 100 + p, (minute * 7 + p) % 10)
                           for p in range(POINTS))
    return ew(folder, "ew-log", "-q", "append", "rows.csv")


def deliveries(folder, minutes):
    """All but the last slots is delivered; then one after the other."""
    end = START + 60 * minutes // 900 * 900 - 900 * bench.RUNS
    ew(folder, "ew-export", "-q", "--no-breakup-on-period", f"--end={end}")
    shutil.rmtree(folder / "out")
    slices = [ew(folder, "ew-export", "-q", f"--end={end + 900 * n}") for n in range(1, bench.RUNS + 1)]
    shutil.rmtree(folder / "out")
    idle = [ew(folder, "ew-export", "-q", f"--end={end + 900 * bench.RUNS}") for _ in range(bench.RUNS)]
    status = [ew(folder, "ew-ledger", "status") for _ in range(bench.RUNS)]
    return {"slice_of_15_minutes_s": median(slices), "nothing_due_s": median(idle), "status_s": median(status)}


def samples(folder):
    (folder / "ew.toml").write_text(JOB)
    found, minutes, size = {}, 0, 10_000
    while size <= MAX:
        one = {}
        before, bulk = minutes, 0.0
        while minutes * POINTS < size:
            until = min(minutes + 20_000, size // POINTS)
            bulk += append(folder, range(minutes, until))[0]
            minutes = until
        one["append_us_a_sample"] = round(bulk * 1e6 / ((minutes - before) * POINTS), 3)
        one["bytes_a_sample"] = round((folder / "ew.db").stat().st_size / size, 1)
        polls = []
        for _ in range(bench.RUNS):
            polls.append(append(folder, range(minutes, minutes + 1)))
            minutes += 1
        one["poll_of_500_s"] = median(polls)
        rows = min(size, 1_000_000)
        span = (START + 60 * (minutes - rows // POINTS), START + 60 * minutes)
        printed = [ew(folder, "ew-export", "u", "--stdout", f"--from={span[0]}", f"--to={span[1]}") for _ in range(bench.RUNS)]
        one["export_us_a_sample"] = round(median(printed) * 1e6 / rows, 3)
        half = ew(folder, "ew-export", "u", "--stdout", f"--from={START}", f"--to={START + 30 * minutes}")
        one["export_of_half_s"], one["export_of_half_mib"] = round(half[0], 3), round(half[1], 1)
        one.update(deliveries(folder, minutes) if minutes > 15 * (bench.RUNS + 1) else {})
        found[size] = one
        print(size, one, flush=True)
        size *= 10
    return found


def slices(folder):
    """Slots of a quarter of an hour with one sample each, delivered in one run."""
    found = {}
    for count in (10, 100, 1_000, 10_000):
        for name in ("out", "ew.db.spool"):
            shutil.rmtree(folder / name, ignore_errors=True)
        for file in folder.glob("ew.db*"):
            file.unlink()
        (folder / "ew.toml").write_text(JOB.replace('period = "15m"', 'period = "15m"\nbreakup_on_period = true'))
        with open(folder / "rows.csv", "w") as out:
            out.write("timestamp,point,value\n")
            out.writelines(f"{START + 900 * n},com.example.site.sw1,{n % 10}.5\n" for n in range(count))
        ew(folder, "ew-log", "-q", "append", "rows.csv")
        end = START + 900 * count
        all = ew(folder, "ew-export", "-q", f"--end={end}")
        one = {"ms_a_slice": round(all[0] * 1e3 / count, 3), "mib": round(all[1], 1)}
        assert sum(1 for _ in (folder / "out").iterdir()) == count
        one["nothing_due_s"] = median([ew(folder, "ew-export", "-q", f"--end={end}") for _ in range(bench.RUNS)])
        one["status_s"] = median([ew(folder, "ew-ledger", "status") for _ in range(bench.RUNS)])
        found[count] = one
        print(count, one, flush=True)
    return found


def switches(folder):
    """Of 48 entities each, as ew-poll asks them from cron, on this machine: no wire."""
    found = {}
    for count in (10, 100, 1_000):
        with bench.simulated(f"--switches={count}", "--entities=47", "--domain=com.example.site") as agents:
            text = '[log]\nurl = "ew.db"\n[[domain]]\nname = "com.example.site"\n'
            text += "".join(f'[[domain.switch]]\nname = "sw{n}"\naddress = "{address}"\nport = {port}\n'
                            for n, (address, port) in enumerate(agents))
            (folder / "ew.toml").write_text(text)
            runs = [ew(folder, "ew-poll", "-q", "--skip-cache") for _ in range(bench.RUNS + 1)][1:]
        found[count] = {"poll_s": median(runs), "mib": round(max(mib for _, mib in runs), 1)}
        print(count, found[count], flush=True)
        for file in folder.glob("ew.db*"):
            shutil.rmtree(file) if file.is_dir() else file.unlink()
    return found


def exponent(found, key, of_one=False):
    """The slope of the least squares through the logarithms; `of_one`: the figure is already that of one unit."""
    dots = [(math.log(size), math.log(one[key])) for size, one in found.items() if key in one]
    x, y = (statistics.mean(axis) for axis in zip(*dots))
    slope = sum((a - x) * (b - y) for a, b in dots) / sum((a - x) ** 2 for a, _ in dots)
    return round(slope + of_one, 2)


def markdown(found):
    keys = list(list(found.values())[-1])
    print("| |", " | ".join(f"{size:,}" for size in found), "|\n|---|" + "---|" * len(found))
    for key in keys:
        print(f"| {key} |", " | ".join(f"{one.get(key, ''):,}" if key in one else "" for one in found.values()), "|")


def main():
    result = {}
    fits = {"samples": [("append_us_a_sample", True), ("poll_of_500_s", False), ("export_us_a_sample", True),
                        ("export_of_half_s", False), ("slice_of_15_minutes_s", False), ("nothing_due_s", False), ("status_s", False)],
            "slices": [("ms_a_slice", True), ("nothing_due_s", False), ("status_s", False)],
            "switches": [("poll_s", False)]}
    for part in (samples, slices, switches):
        with tempfile.TemporaryDirectory(dir=bench.folder()) as scratch:
            found = part(pathlib.Path(scratch))
        name = part.__name__
        result[name] = {**found, "exponents": {key: exponent(found, key, of_one) for key, of_one in fits[name]}}
        print(f"\n{name}\n")
        markdown(found)
        print(result[name]["exponents"], flush=True)
    bench.keep("scale", result, max=MAX, runs=bench.RUNS)


sys.exit(main())

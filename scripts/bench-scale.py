#!/usr/bin/env python3
"""What a sample, a slice and a switch cost, from few to many: `make bench-scale`.

One log grows from 10,000 samples to 10^8 (MAX), 500 points a minute, written by `ew-log append`; at each power of ten it
is polled, exported and asked. Then jobs of up to 10,000 slices, polls of up to 10,000 points, and up to 1,000 simulated
switches. Costs are fitted as size ^ exponent: 1 is linear, 0 the same for any size. Figures go to
docs/performance/scale.json, tables and estimate into docs/scale.md; `--page` makes the page anew from the figures. It asks
for 5 GB in memory, or in BENCH_DIR. MAX=100000000 RUNS=5.
"""
import contextlib
import json
import math
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile

import bench

MAX = int(os.environ.get("MAX", "100000000"))
POINTS, START = 500, 1_767_225_600  # 2026-01-01T00:00:00Z
# Of slices of some 2 M rows the old part of the log is delivered, so that no file is as large as the log.
STEP = 266 * 900
LOG = '[log]\nurl = "ew.db"\nkeep_files = "0s"\n'
JOB = """[[export]]
name = "{name}"
points = ["{points}"]
period = "15m"
[export.format.csv]
layout = "long"
[export.transport.file]
directory = "out"
"""
PAGE = bench.ROOT / "docs/scale.md"
BEGIN, END = "<!-- figures -->\n", "<!-- end of figures -->\n"

# What the estimate takes for granted.
BOX_IS_SLOWER = 10      # than the machine that measured
ROOM = 40e9             # bytes of a card of 64 GB that the log may have
ENDURANCE = 30e12       # bytes that may be written to the card: it, about 500 times
AMPLIFIED = 10          # times what a program writes the card writes: small writes, each synced
BUSY_MAX = 30           # seconds of each minute


def ew(folder, program, *arguments, codes=(0,)):
    return bench.timed([bench.BIN / program, *map(str, arguments)], folder, codes=codes)


def median(measured):
    return round(statistics.median(seconds for seconds, _ in measured), 5)


def runs(folder, *command, codes=(0,)):
    return median([ew(folder, *command, codes=codes) for _ in range(bench.RUNS)])


def written(folder, program, *arguments):
    """Bytes that a run hands to the system to write, be it to memory."""
    child = subprocess.Popen([bench.BIN / program, *map(str, arguments)], cwd=folder, stdout=subprocess.DEVNULL)
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    counts = dict(line.split(": ") for line in pathlib.Path(f"/proc/{child.pid}/io").read_text().splitlines())
    if child.wait() != 0:
        sys.exit(f"{program} {arguments} failed")
    return int(counts["wchar"])


def rows(folder, minutes, points=POINTS):
    with open(folder / "rows.csv", "wb") as out:
        out.write(b"timestamp,point,value,unit,quality\n")
        for minute in minutes:
            at = START + 60 * minute
            out.writelines(b"%d,com.example.site.sw%03d,%d.%d,W,actual\n" % (at, p, 100 + p, (minute * 7 + p) % 10)
                           for p in range(points))


def append(folder, minutes, points=POINTS):
    """One commit of these minutes. Seconds, MiB."""
    rows(folder, minutes, points)
    return ew(folder, "ew-log", "-q", "append", "rows.csv")


def deliver_up_to(folder, since, end):
    """In large slices."""
    for at in [*range(since + STEP, end, STEP), end]:
        ew(folder, "ew-export", "-q", "u", "--no-breakup-on-period", f"--end={at}")
        shutil.rmtree(folder / "out")


def deliveries(folder, minutes):
    """The last quarters of an hour one after the other, each by a run of its own; then runs with nothing due."""
    end = START + 60 * minutes // 900 * 900
    one = {"slice_of_15_minutes_s": median([ew(folder, "ew-export", "-q", "u", f"--end={end - 900 * n}")
                                            for n in range(bench.RUNS, 0, -1)])}
    one["slice_bytes_written"] = written(folder, "ew-export", "-q", "u", f"--end={end}")
    shutil.rmtree(folder / "out")
    one["nothing_due_s"] = runs(folder, "ew-export", "-q", "u", f"--end={end}")
    one["nothing_due_silent_s"] = runs(folder, "ew-export", "-q", "silent", f"--end={end}", codes=(66,))
    one["status_s"] = runs(folder, "ew-ledger", "status")
    return one


def samples(folder):
    (folder / "ew.toml").write_text(LOG + JOB.format(name="u", points="com.example.site.**")
                                    + JOB.format(name="silent", points="com.example.silent"))
    # A point that was there once.
    (folder / "rows.csv").write_text(f"timestamp,point,value\n{START},com.example.silent,1\n")
    ew(folder, "ew-log", "-q", "append", "rows.csv")
    ew(folder, "ew-export", "-q", "silent", f"--end={START + 900}")
    found, minutes, size, delivered = {}, 0, 10_000, START
    while size <= MAX:
        one, before, bulk = {}, minutes, 0.0
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
        last = min(size, 1_000_000)
        span = (START + 60 * (minutes - last // POINTS), START + 60 * minutes)
        printed = runs(folder, "ew-export", "u", "--stdout", f"--from={span[0]}", f"--to={span[1]}")
        one["export_us_a_sample"] = round(printed * 1e6 / last, 3)
        half = ew(folder, "ew-export", "u", "--stdout", f"--from={START}", f"--to={START + 30 * minutes}")
        one["export_of_half_s"], one["export_of_half_mib"] = round(half[0], 3), round(half[1], 1)
        end = START + 60 * minutes // 900 * 900 - 900 * (bench.RUNS + 1)
        if end > delivered:
            deliver_up_to(folder, delivered, end)
            delivered = end + 900 * (bench.RUNS + 1)
            one |= deliveries(folder, minutes)
        audit = ew(folder, "ew-ledger", "audit", "u")
        one["audit_s"], one["audit_mib"] = round(audit[0], 3), round(audit[1], 1)
        found[size] = one
        print(size, one, flush=True)
        size *= 10
    return found


def clear(folder):
    for name in ("out", "ew.db.spool"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for file in folder.glob("ew.db*"):
        file.unlink()


def slices(folder):
    """Slots of a quarter of an hour with one sample each, delivered in one run, each with its manifest."""
    (folder / "ew.toml").write_text(LOG + JOB.format(name="u", points="**").replace(
        'period = "15m"', 'period = "15m"\nbreakup_on_period = true\nmanifest = true'))
    found = {}
    for count in (10, 100, 1_000, 10_000):
        clear(folder)
        with open(folder / "rows.csv", "w") as out:
            out.write("timestamp,point,value\n")
            out.writelines(f"{START + 900 * n},com.example.site.sw1,{n % 10}.5\n" for n in range(count))
        ew(folder, "ew-log", "-q", "append", "rows.csv")
        end = START + 900 * count
        all = ew(folder, "ew-export", "-q", f"--end={end}")
        one = {"ms_a_slice": round(all[0] * 1e3 / count, 3), "mib": round(all[1], 1)}
        assert sum(1 for _ in (folder / "out").iterdir()) == 2 * count
        one["nothing_due_s"] = runs(folder, "ew-export", "-q", f"--end={end}")
        one["status_s"] = runs(folder, "ew-ledger", "status")
        late = []
        for n in range(bench.RUNS):
            (folder / "rows.csv").write_text(f"timestamp,point,value\n{end - 60 * n - 60},com.example.site.sw2,1\n")
            ew(folder, "ew-log", "-q", "append", "rows.csv")
            late.append(ew(folder, "ew-export", "-q", f"--end={end}"))
        one["late_row_s"] = median(late)
        found[count] = one
        print(count, one, flush=True)
    return found


def polls(folder):
    """Of so many points each, as cron appends them: a process and a commit."""
    (folder / "ew.toml").write_text(LOG)
    found = {}
    for points in (10, 100, 1_000, 10_000):
        clear(folder)
        append(folder, range(1), points)
        seconds, wrote = [], []
        for minute in range(1, 2 * bench.RUNS + 1, 2):
            seconds.append(append(folder, range(minute, minute + 1), points))
            rows(folder, range(minute + 1, minute + 2), points)
            wrote.append(written(folder, "ew-log", "-q", "append", "rows.csv"))
        found[points] = {"append_s": median(seconds), "bytes_written": round(statistics.median(wrote))}
        print(points, found[points], flush=True)
    return found


@contextlib.contextmanager
def simulated(count):
    command = [bench.BIN / "ew-sim", "snmp", f"--switches={count}", "--entities=47", "--domain=com.example.site"]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        switches = []
        for line in simulator.stdout:
            if line == "ready\n":
                break
            switches.append(line.split()[1].rsplit(":", 1))
        yield switches
    finally:
        simulator.kill()
        simulator.wait()


def switches(folder):
    """Of 48 entities each, as ew-poll asks them from cron, on this machine: no wire."""
    found = {}
    for count in (10, 100, 1_000):
        clear(folder)
        with simulated(count) as agents:
            text = LOG + '[[domain]]\nname = "com.example.site"\n'
            text += "".join(f'[[domain.switch]]\nname = "sw{n}"\naddress = "{address}"\nport = {port}\n'
                            for n, (address, port) in enumerate(agents))
            (folder / "ew.toml").write_text(text)
            asked = [ew(folder, "ew-poll", "-q", "--skip-cache") for _ in range(bench.RUNS + 1)][1:]
        seconds = median(asked)
        found[count] = {"poll_s": seconds, "poll_ms_a_switch": round(seconds * 1e3 / count, 3),
                        "mib": round(max(mib for _, mib in asked), 1)}
        print(count, found[count], flush=True)
    return found


def exponent(found, key, of_one):
    """The slope of the least squares through the logarithms; `of_one`: the figure is that of one unit."""
    dots = [(math.log(size), math.log(one[key])) for size, one in found.items() if one.get(key)]
    if len(dots) < 2:
        return None
    x, y = (statistics.mean(axis) for axis in zip(*dots))
    slope = sum((a - x) * (b - y) for a, b in dots) / sum((a - x) ** 2 for a, _ in dots)
    return round(slope + of_one, 2)


def line(found, key):
    """What is fixed, and what a unit adds: least squares of what it is wrong by, as a part of the figure."""
    dots = [(size, one[key], 1 / one[key] ** 2) for size, one in found.items()]
    total = sum(w for _, _, w in dots)
    x, y = (sum(dot[axis] * dot[2] for dot in dots) / total for axis in (0, 1))
    slope = sum(w * (a - x) * (b - y) for a, b, w in dots) / sum(w * (a - x) ** 2 for a, _, w in dots)
    return max(0, y - slope * x), slope


# Part: key, what it is called, whether it is of one unit, unit and factor to it.
SHOWN = {
    "samples": ("samples in the log", [
        ("append_us_a_sample", "bulk append, µs a sample", True, 1),
        ("poll_of_500_s", "append of a poll of 500, ms", False, 1e3),
        ("bytes_a_sample", "bytes a sample", True, 1),
        ("export_us_a_sample", "CSV of the last 1 M rows, µs a sample", True, 1),
        ("export_of_half_s", "CSV of half of the log, s", False, 1),
        ("export_of_half_mib", "… peak memory, MiB", False, 1),
        ("slice_of_15_minutes_s", "15 minutes delivered, ms", False, 1e3),
        ("slice_bytes_written", "… KB written", False, 1e-3),
        ("nothing_due_s", "nothing due, ms", False, 1e3),
        ("nothing_due_silent_s", "… for a job whose points fell silent at the start, ms", False, 1e3),
        ("status_s", "`ew-ledger status`, ms", False, 1e3),
        ("audit_s", "`ew-ledger audit`, s", False, 1),
        ("audit_mib", "… peak memory, MiB", False, 1)]),
    "slices": ("slices of the job", [
        ("ms_a_slice", "ms a slice, with its manifest", True, 1),
        ("nothing_due_s", "nothing due, ms", False, 1e3),
        ("status_s", "`ew-ledger status`, ms", False, 1e3),
        ("late_row_s", "one late row, its slice sent again, ms", False, 1e3)]),
    "polls": ("points of a poll", [
        ("append_s", "append, ms", False, 1e3),
        ("bytes_written", "KB written", False, 1e-3)]),
    "switches": ("switches of 48 entities", [
        ("poll_s", "poll, ms", False, 1e3),
        ("poll_ms_a_switch", "… ms a switch", True, 1),
        ("mib", "peak memory, MiB", False, 1)]),
}


def figure(value):
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(name, found):
    """A row for each figure, a column for each size, and the exponent of the whole cost."""
    sizes = [size for size in found if size != "exponents"]
    lines = [f"| {SHOWN[name][0]} | " + " | ".join(f"{int(size):,}" for size in sizes) + " | grows with |",
             "|---|" + "--:|" * (len(sizes) + 1)]
    for key, title, _, factor in SHOWN[name][1]:
        values = (figure(found[size][key] * factor if key in found[size] else None) for size in sizes)
        power = found["exponents"].get(key)
        lines.append(f"| {title} | " + " | ".join(values) + f" | {'' if power is None else f'n^{power:.2f}'} |")
    return "\n".join(lines) + "\n"


def lasts(years):
    return f"{years:,.1f} years" if years >= 1 else f"{years * 365:,.0f} days"


def estimate(result):
    """How long the card of a small box lasts, and how busy it is, polled each minute, for ever more points."""
    samples = list(result["samples"].values())[-2]  # the last are the exponents
    fixed_s, point_s = line(sized(result["polls"]), "append_s")
    fixed_b, point_b = line(sized(result["polls"]), "bytes_written")
    a_sample = samples["bytes_a_sample"]
    # A minute's part of a quarter of an hour.
    slice_s, slice_b = samples.get("slice_of_15_minutes_s", 0) / 15, samples.get("slice_bytes_written", 0) / 15 / POINTS
    lines = ["| points | samples a year | GB a year | card full | card worn | busy each minute | first to stop |",
             "|--:|--:|--:|--:|--:|--:|---|"]
    minutes = 525_600
    for points in (100, 500, 1_000, 5_000, 20_000, 100_000, 500_000):
        room = ROOM / (points * minutes * a_sample)
        worn = ENDURANCE / (minutes * (fixed_b + (point_b + slice_b) * points) * AMPLIFIED)
        # What is exported of a minute is as much as what was polled in it.
        busy = BOX_IS_SLOWER * (fixed_s + (point_s + samples["export_us_a_sample"] * 1e-6) * points + slice_s)
        first = "time" if busy > BUSY_MAX else "room" if room < worn else "wear"
        lines.append(f"| {points:,} | {points * minutes / 1e6:,.0f} M | {points * minutes * a_sample / 1e9:,.1f} | "
                     f"{lasts(room)} | {lasts(worn)} | {busy:,.1f} s | {first} |")
    fixed, one = line(sized(result["switches"]), "poll_s")
    switches = (BUSY_MAX / BOX_IS_SLOWER - fixed) / one
    return ("\n".join(lines) + f"\n\nA poll takes {fixed * 1e3:.0f} ms and {one * 1e3:.2f} ms a switch here; on the box "
            f"{BUSY_MAX} s of each minute would do for {round(switches, -2):,.0f} switches that answer at once, wires and dead "
            "ones not counted.\n")


def sized(found):
    return {int(size): one for size, one in found.items() if size != "exponents"}


def page(kept):
    about = kept["samples"]
    result = {name: kept[name]["results"] for name in SHOWN}
    text = f"Measured on {about['cores']} cores, medians of {about['runs']}, commit {about['commit']}, in memory.\n"
    for name in SHOWN:
        text += f"\n{table(name, result[name])}"
    text += (f"\n### A small box, estimated\n\n**By arithmetic from the figures above, not measured**: a box {BOX_IS_SLOWER} times as slow, "
             f"with a card of 64 GB of which {ROOM / 1e9:.0f} are for the log, good for {ENDURANCE / 1e12:.0f} TB, that writes "
             f"{AMPLIFIED} bytes for each that is synced to it; polled each minute, exported each quarter of an hour, nothing "
             f"trimmed.\n\n{estimate(result)}")
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + text + END + rest.split(END)[1])
    print(f"\n{text}\nput into {PAGE.relative_to(bench.ROOT)}")


def main():
    file = bench.ROOT / "docs/performance/scale.json"
    if sys.argv[1:] == ["--page"]:
        return page(json.loads(file.read_text()))
    result = {}
    for part in (samples, slices, polls, switches):
        with tempfile.TemporaryDirectory(dir=bench.folder()) as scratch:
            found = part(pathlib.Path(scratch))
        name = part.__name__
        powers = {key: exponent(found, key, of_one) for key, _, of_one, _ in SHOWN[name][1]}
        result[name] = {**found, "exponents": powers}
    bench.keep("scale", result, max=MAX)
    page(json.loads(file.read_text()))


sys.exit(main())

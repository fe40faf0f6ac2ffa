"""What the benchmarks share: timing whole processes in turn, and what is said of them."""
import contextlib
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BIN = ROOT / "target/release"
RUNS = int(os.environ.get("RUNS", "5"))


def folder():
    """Where logs and files go: memory, where there is some, so that the disk is not what is measured."""
    return os.environ.get("BENCH_DIR") or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else str(ROOT / "target"))


def timed(arguments, folder, stdin=None, environment=None):
    """Seconds, MiB of its largest process; a list of lists is a pipeline."""
    environment = dict(os.environ, TZ="UTC", **(environment or {}))
    pipeline = arguments if isinstance(arguments[0], list) else [arguments]
    begin, children, source = time.monotonic(), [], stdin
    for place, command in enumerate(pipeline):
        is_last = place + 1 == len(pipeline)
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=source, stderr=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL if is_last else subprocess.PIPE)
        if source not in (None, stdin):
            source.close()
        source = child.stdout
        children.append((child, command))
    peak = 0
    for child, command in children:
        _, status, usage = os.wait4(child.pid, 0)
        peak = max(peak, usage.ru_maxrss / 1024)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{command} ended with {os.waitstatus_to_exitcode(status)}")
    return time.monotonic() - begin, peak


@contextlib.contextmanager
def simulated(*arguments):
    """The address and port of each switch of `ew-sim snmp`."""
    simulator = subprocess.Popen([BIN / "ew-sim", "snmp", *arguments], stdout=subprocess.PIPE, text=True)
    try:
        switches = []
        for line in simulator.stdout:
            if line == "ready\n":
                break
            switches.append(tuple(line.split()[1].rsplit(":", 1)))
        yield switches
    finally:
        simulator.kill()
        simulator.wait()


def in_turn(contenders, runs=RUNS):
    """Runs each in turn, the first round thrown away. A contender is a name, what prepares a run, and the run."""
    measured = {name: [] for name, _, _ in contenders}
    for _ in range(runs + 1):
        for name, prepare, run in contenders:
            prepare()
            measured[name].append(run())
    return {name: summary(found) for name, found in measured.items()}


def summary(measured):
    seconds = [second for second, _ in measured[1:]]
    return {
        "median_s": round(statistics.median(seconds), 4),
        "min_s": round(min(seconds), 4),
        "max_s": round(max(seconds), 4),
        "peak_mib": round(max(mib for _, mib in measured), 1),
        "runs": len(seconds),
    }


def against(results, ours):
    """How many times as long as ours each took, by the medians."""
    for result in results.values():
        result["times_ours"] = round(result["median_s"] / results[ours]["median_s"], 2)
    return results


def table(title, results):
    print(f"\n{title}\n{'':34} {'median s':>9} {'least':>8} {'most':>8} {'MiB':>7} {'x ours':>7}")
    for name, r in results.items():
        print(f"{name:34} {r['median_s']:9.3f} {r['min_s']:8.3f} {r['max_s']:8.3f} {r['peak_mib']:7.1f} {r.get('times_ours', ''):>7}"
              + (f" {r['rows_a_second']:>10,} rows/s" if "rows_a_second" in r else "")
              + (f", a day {r['peak_mib_of_a_day']:.1f} MiB" if "peak_mib_of_a_day" in r else ""))


def commit():
    """Of the tree; the figures of the sections before this one do not make it another."""
    git = lambda *words: subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    changed = git("status", "--porcelain", "--", ".", ":(exclude)docs/performance")
    return git("describe", "--always") + ("-dirty" if changed else "")


def keep(name, sections, **about):
    """As JSON in docs/performance, each section with what it was measured on; those that were not run stay."""
    about = {"commit": commit(), "cores": os.cpu_count(), **about}
    file = ROOT / "docs/performance" / f"{name}.json"
    file.parent.mkdir(exist_ok=True)
    kept = json.loads(file.read_text()) if file.exists() else {}
    kept |= {section: {**about, "results": results} for section, results in sections.items()}
    file.write_text(json.dumps(kept, indent=2) + "\n")
    print(f"\nkept in {file.relative_to(ROOT)}")

#!/usr/bin/env python3
"""A poll beside what else would ask the same: `make bench-poll`; `make soak-poll` is its last part alone.

1. 1,000 switches of 11 entities (one snmpd on 1,000 loopback addresses): all of `ew-poll` with its append to the log,
   SNMPv2c and SNMPv3 authPriv, beside net-snmp's clients asking for the same columns, and snmp2 used plainly.
2. 1,000 switches of 48 entities on `ew-sim snmp`, 100 of them dead, 5 % of all requests lost, 100 ms there and back,
   with the defaults of ew.toml: none may be missed but the dead, and all within a cron minute.

Runs are taken in turn; medians, least and most, the peak memory of the largest process, and datagrams a switch as the
agent counts them.
"""
import json
import os
import pathlib
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import bench
from bench import BIN, RUNS

SWITCHES = 1000
FIXTURE = bench.ROOT / "fixtures/energywise/switch.snmprec"
DOMAIN = "com.cisco.bldg19"
OBJECTS = ".1.3.6.1.4.1.9.9.683.1"
NAME, COLUMNS = f"{OBJECTS}.3", [f"{OBJECTS}.6.1.{column}" for column in (7, 8, 9, 20)]
V3 = {"user": "ewpoll", "auth": "sha", "auth_password": "authpass123", "priv": "aes", "priv_password": "privpass123"}
V2C_ARGUMENTS = ["-v2c", "-cpublic"]
V3_ARGUMENTS = "-v3 -uewpoll -lauthPriv -aSHA -Aauthpass123 -xAES -Xprivpass123".split()
ENVIRONMENT = dict(os.environ, MIBS="", TZ="UTC")


def timed(arguments, folder, codes=(0,)):
    """Seconds, MiB of the largest process, stdout."""
    with tempfile.TemporaryFile() as out:
        begin = time.monotonic()
        child = subprocess.Popen(arguments, cwd=folder, env=ENVIRONMENT, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.monotonic() - begin
        if os.waitstatus_to_exitcode(status) not in codes:
            sys.exit(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}")
        out.seek(0)
        return seconds, usage.ru_maxrss / 1024, out.read()


def configuration(switches, snmp=None, domain=DOMAIN):
    text = '[log]\nurl = "ew.db"\n[snmp]\n' + "".join(f'{key} = "{value}"\n' for key, value in (snmp or {}).items())
    text += f'[[domain]]\nname = "{domain}"\n'
    for number, (address, port) in enumerate(switches, 1):
        text += f'[[domain.switch]]\nname = "sw{number:04}"\naddress = "{address}"\nport = {port}\n'
    return text


class Agent:
    """One snmpd that stands for all switches, each by an address of its own."""

    def __init__(self, folder):
        kinds = {"2": "integer", "4": "octet_str", "4x": "octet_str", "66": "uinteger"}
        lines = ["rocommunity public 127.0.0.0/8", "createUser ewpoll SHA authpass123 AES privpass123", "rouser ewpoll priv"]
        for record in FIXTURE.read_text().splitlines():
            if record.startswith("1.3.6.1.4.1.9."):
                oid, tag, value = record.split("|", 2)
                value = {"4": f'"{value}"', "4x": f"0x{value}"}.get(tag, value)
                lines.append(f"override .{oid} {kinds[tag]} {value}")
        (folder / "snmpd.conf").write_text("\n".join(lines) + "\n")
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.switches = [(f"127.0.{1 + n // 250}.{1 + n % 250}", port) for n in range(SWITCHES)]
        command = f"ulimit -n {SWITCHES + 100}; exec /usr/sbin/snmpd -f -C -Ln -c snmpd.conf -p pid " + " ".join(
            f"udp:{address}:{port}" for address, port in self.switches
        )
        environment = dict(ENVIRONMENT, SNMP_PERSISTENT_DIR=str(folder / "persistent"))
        self.process = subprocess.Popen(["bash", "-c", command], cwd=folder, env=environment, stderr=subprocess.DEVNULL)
        for _ in range(200):
            if self.packets() is not None:
                return
        sys.exit("snmpd did not start")

    def packets(self):
        """snmpInPkts.0"""
        asked = ["snmpget", *V2C_ARGUMENTS, "-Oqv", "-t0.2", "-r0", "%s:%d" % self.switches[0], ".1.3.6.1.2.1.11.1.0"]
        answer = subprocess.run(asked, env=ENVIRONMENT, capture_output=True).stdout
        return int(answer) if answer.strip().isdigit() else None

    def stop(self):
        self.process.kill()
        self.process.wait()


def summary(measured):
    seconds = [one[0] for one in measured]
    return {
        "median_s": round(statistics.median(seconds), 3),
        "min_s": round(min(seconds), 3),
        "max_s": round(max(seconds), 3),
        "peak_mib": round(max(one[1] for one in measured), 1),
        "datagrams_a_switch": round(statistics.median(one[2] for one in measured), 2),
    }


def clients(folder, agent):
    """Name to arguments of whatever asks all switches once."""
    hosts = [f"{address}:{port}" for address, port in agent.switches]
    (folder / "hosts").write_text("\n".join(hosts) + "\n")
    (folder / "walks").write_text("".join(f"{host} {oid}\n" for host in hosts for oid in [NAME, *COLUMNS]))
    (folder / "v2c.toml").write_text(configuration(agent.switches))
    (folder / "v3.toml").write_text(configuration(agent.switches, {"version": "3", **V3}))

    def bulkget(parallel, arguments):
        ask = ["snmpbulkget", *arguments, "-Cn1", "-Cr12", "{}", NAME, *COLUMNS]
        return ["xargs", "-a", "hosts", "-P", str(parallel), "-I", "{}", *ask]

    plain = BIN / "examples/poll-snmp2"
    return {
        "ew_poll_v2c": [BIN / "ew-poll", "-q", "--config", "v2c.toml"],
        "ew_poll_v3_authpriv": [BIN / "ew-poll", "-q", "--config", "v3.toml"],
        "snmp2_v2c_200_threads": [plain, "hosts", "v2c", "200"],
        "snmp2_v3_authpriv_200_threads": [plain, "hosts", "v3", "200"],
        "snmpbulkget_serial": bulkget(1, V2C_ARGUMENTS),
        "snmpbulkget_P2": bulkget(2, V2C_ARGUMENTS),
        "snmpbulkget_P32": bulkget(32, V2C_ARGUMENTS),
        "snmpbulkget_v3_authpriv_P32": bulkget(32, V3_ARGUMENTS),
        "snmpbulkwalk_P8": ["xargs", "-a", "walks", "-n2", "-P8", "snmpbulkwalk", *V2C_ARGUMENTS],
    }


def scale(folder):
    agent = Agent(folder)
    try:
        asking = clients(folder, agent)
        measured = {name: [] for name in asking}
        for _ in range(RUNS):
            for name, arguments in asking.items():
                for left in folder.glob("ew.db*"):
                    shutil.rmtree(left) if left.is_dir() else left.unlink()
                before = agent.packets()
                seconds, mib, _ = timed(arguments, folder)
                # The asking for the counter counts too.
                measured[name].append((seconds, mib, (agent.packets() - before - 1) / SWITCHES))
    finally:
        agent.stop()
    result = {name: summary(runs) for name, runs in measured.items()}
    median = lambda name: result[name]["median_s"]
    result["times_as_fast"] = {
        name: round(median(name) / median("ew_poll_v3_authpriv" if "v3" in name else "ew_poll_v2c"), 1)
        for name in asking
        if not name.startswith("ew_poll")
    }
    result["switches_a_second"] = {name: round(SWITCHES / median(name)) for name in asking if name.startswith("ew_poll")}
    return result


def soak(folder):
    dead = [f"sw{number:04}" for number in range(5, SWITCHES + 1, 10)]
    faults = [f"--fault={fault}" for fault in ("lossy=all:5", "slow=all:100ms", *(f"silent={name}" for name in dead))]
    command = [BIN / "ew-sim", "snmp", f"--switches={SWITCHES}", "--entities=47", f"--domain={DOMAIN}", *faults]
    simulator = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        switches = []
        for line in simulator.stdout:
            if line == "ready\n":
                break
            address, port = line.split()[1].rsplit(":", 1)
            switches.append((address, port))
        (folder / "ew.toml").write_text(configuration(switches))
        measured, missed = [], 0
        for _ in range(RUNS):
            seconds, mib, out = timed([BIN / "ew-poll", "--skip-cache", "--json"], folder, codes=(1,))
            found = json.loads(out)["domains"][0]["switches"]
            failed = {switch["name"] for switch in found if switch["value"] is None}
            missed += len(failed.symmetric_difference(dead))
            measured.append((seconds, mib, sum(switch["requests"] for switch in found) / SWITCHES))
    finally:
        simulator.kill()
        simulator.wait()
    return {**summary(measured), "dead": len(dead), "missed_but_alive_in_all_runs": missed}


parts = {"switches_1000_entities_11": scale, "switches_1000_entities_48_lossy": soak}
if sys.argv[1:] == ["--soak"]:
    del parts["switches_1000_entities_11"]
result = {}
for name, part in parts.items():
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR", bench.ROOT / "target")) as scratch:
        result[name] = part(pathlib.Path(scratch))
print(json.dumps(result, indent=2))
bench.keep("poll", result)

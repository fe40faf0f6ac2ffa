#!/usr/bin/env python3
"""`ew-export` over SFTP beside OpenSSH's sftp, to the same sshd on loopback: `make bench-sftp`.

1. A file of 200 MB, and one of 20 MB through a proxy that holds back every byte for 10 ms in each direction. It is what
   a run rendered that found nobody at the receiver's port. The transporter alone (`examples/deliver`) connects, looks,
   sends while it hashes, syncs, checks and renames, as it does in any run. The next run of ew-export finds the file in
   the spool, hashes it before that too, as only such a run does, and commits. sftp puts the very same bytes under a
   temporary name and renames. Files are not kept (`keep_files`), as sftp keeps none.
2. 100 and 200 small slices in one run over one connection through the proxy, rendering included, beside a batch of put
   and rename of as many files. The difference of the two by the number of slices and by the round trip, as it is
   measured through the proxy, is what each slice takes in round trips; the log-in falls out.

Both choose the cipher by their own defaults; sftp is run once more with the cipher of ew-export where that is another.
Everything lies in memory where there is some. Runs are taken in turn, the first round is thrown away.
"""
import contextlib
import getpass
import hashlib
import multiprocessing
import os
import pathlib
import queue
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import bench

START = 1_767_225_600  # 2026-01-01T00:00:00Z
ONE_WAY_S, SLICES = 0.010, 100
NEW = ("ew.db", "ew.db-wal", "ew.db-shm", "ew.db.spool")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(port):
    for _ in range(1000):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(0.01)
    sys.exit(f"nothing listens on port {port}")


def carry(source, target):
    """Passes on what comes, each piece after its delay, however much is on its way."""
    pieces = queue.SimpleQueue()

    def send():
        while True:
            due, piece = pieces.get()
            time.sleep(max(0, due - time.monotonic()))
            if not piece:
                break
            target.sendall(piece)

    sender = threading.Thread(target=send)
    sender.start()
    with contextlib.suppress(OSError):
        while piece := source.recv(1 << 18):
            pieces.put((time.monotonic() + ONE_WAY_S, piece))
    pieces.put((time.monotonic() + ONE_WAY_S, b""))
    sender.join()
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)


def delay(port, target):
    listener = socket.create_server(("127.0.0.1", port))
    while True:
        client, _ = listener.accept()
        server = socket.create_connection(("127.0.0.1", target))
        for one in (client, server):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for pair in ((client, server), (server, client)):
            threading.Thread(target=carry, args=pair, daemon=True).start()


def round_trip():
    """Seconds, as a byte through the proxy takes them."""
    listener = socket.create_server(("127.0.0.1", 0))
    with proxy(free_port(), listener.getsockname()[1]) as port:
        # The one by which the proxy was found to listen.
        listener.accept()[0].close()
        took = []
        with socket.create_connection(("127.0.0.1", port)) as near, listener.accept()[0] as far:
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for _ in range(50):
                begin = time.monotonic()
                near.sendall(b"x"), far.recv(1), far.sendall(b"x"), near.recv(1)
                took.append(time.monotonic() - begin)
    return statistics.median(took)


@contextlib.contextmanager
def proxy(port, target):
    child = multiprocessing.Process(target=delay, args=(port, target), daemon=True)
    child.start()
    try:
        wait_for(port)
        yield port
    finally:
        child.terminate()
        child.join()


class Receiver:
    """An sshd of our own; it listens only after `start`."""

    def __init__(self, folder):
        self.folder, self.port, self.home, self.user = folder, free_port(), folder / "home", getpass.getuser()
        self.home.mkdir()
        for key in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / key], check=True)
        self.child = None
        if self.user == "root":
            os.makedirs("/run/sshd", exist_ok=True)

    def trust(self, port):
        kind, key, *_ = (self.folder / "host.pub").read_text().split()
        (self.folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {kind} {key}\n")

    def start(self):
        pam = "no" if self.user == "root" else "yes"
        (self.folder / "sshd_config").write_text(
            f"Port {self.port}\nListenAddress 127.0.0.1\nPidFile none\nHostKey {self.folder}/host\nStrictModes no\n"
            f"AuthorizedKeysFile {self.folder}/user.pub\nUsePAM {pam}\nPasswordAuthentication no\nUseDNS no\n"
            f"LogLevel DEBUG1\nSubsystem sftp internal-sftp -d {self.home}\n")
        with open(self.folder / "log", "w") as log:
            self.child = subprocess.Popen(["/usr/sbin/sshd", "-D", "-e", "-f", self.folder / "sshd_config"], stderr=log)
        wait_for(self.port)

    def stop(self):
        if self.child:
            self.child.terminate()
            self.child.wait()

    def cipher(self):
        """Of the last connection, from the client to the server."""
        return re.findall(r"kex: client->server cipher: (\S+)", (self.folder / "log").read_text())[-1]

    def clear(self):
        shutil.rmtree(self.home)
        self.home.mkdir()


def fill(folder, receiver, port, minutes, points):
    """A log of so many minutes of so many points, in lines of 56 bytes or a little more."""
    receiver.trust(port)
    (folder / "ew.toml").write_text(
        '[log]\nurl = "ew.db"\nkeep_files = "0s"\n[[export]]\nname = "u"\npoints = ["**"]\nperiod = "15m"\n'
        f'[export.format.csv]\nlayout = "long"\n[export.transport.sftp]\nhost = "127.0.0.1"\nport = {port}\n'
        f'user = "{receiver.user}"\nkey_file = "user"\nknown_hosts = "known_hosts"\n')
    append = subprocess.Popen([bench.BIN / "ew-log", "-q", "append"], cwd=folder, stdin=subprocess.PIPE)
    with append.stdin as pipe:
        pipe.write(b"timestamp,point,value,unit,quality\n")
        for minute in range(minutes):
            pipe.writelines(b"%d,com.example.hq.sw%03d,%d.%d,W,actual\n" % (START + 60 * minute, point, 100 + point, minute % 10)
                            for point in range(points))
    if append.wait() != 0:
        sys.exit("ew-log append failed")


def keep_clean(folder):
    for name in NEW:
        if (folder / name).exists():
            shutil.move(folder / name, folder / ("clean-" + name))


def again(folder, receiver):
    """Back to how it was before the run."""
    for name in NEW:
        clean, now = folder / ("clean-" + name), folder / name
        shutil.rmtree(now) if now.is_dir() else now.unlink(missing_ok=True)
        if clean.exists():
            shutil.copytree(clean, now) if clean.is_dir() else shutil.copy(clean, now)
    receiver.clear()


def sftp(folder, port, *more):
    return ["sftp", "-q", "-b", "batch", "-F", "none", "-P", str(port), "-i", "user", "-o", "UserKnownHostsFile=known_hosts",
            "-o", "StrictHostKeyChecking=yes", *more, "127.0.0.1"]


def checked(receiver, sizes, run):
    measured = run()
    there = sorted(file.stat().st_size for file in receiver.home.iterdir())
    if sizes and there != sizes:
        sys.exit(f"there are {len(there)} files of {sum(there)} bytes")
    return measured


def one_file(scratch, name, megabytes, is_far):
    folder = scratch / name
    folder.mkdir()
    receiver = Receiver(folder)
    port = free_port() if is_far else receiver.port
    export = [bench.BIN / "ew-export", "-q", "--no-breakup-on-period"]
    slots = -(-megabytes * 1_000_000 // (56 * 1500))
    fill(folder, receiver, port, 15 * slots, 100)
    export += ["--end", str(START + 900 * slots)]
    if subprocess.run(export, cwd=folder, stderr=subprocess.DEVNULL).returncode == 0:
        sys.exit("somebody else answers at the receiver's port")
    keep_clean(folder)
    spooled = [file for file in (folder / "clean-ew.db.spool").rglob("*") if file.is_file()]
    slice = max(spooled, key=lambda file: file.stat().st_size)
    size = slice.stat().st_size
    (folder / "batch").write_text(f"put {slice} .slice.part\nrename .slice.part slice\n")
    (folder / "options.toml").write_text((folder / "ew.toml").read_text().partition("[export.transport.sftp]")[2].join(["[sftp]", ""]))
    alone = [bench.BIN / "examples/deliver", "options.toml", slice, "slice", hash_of(slice)]
    try:
        receiver.start()
        with proxy(port, receiver.port) if is_far else contextlib.nullcontext():
            run = lambda *command: lambda: checked(receiver, [size], lambda: bench.timed(list(command), folder))
            clean = lambda: again(folder, receiver)
            clean(), run(*export)()
            ours = receiver.cipher()
            clean(), run(*sftp(folder, port))()
            theirs = receiver.cipher()
            contenders = [("transporter", clean, run(*alone)), ("ew-export, from the spool", clean, run(*export)), (f"sftp, {theirs}", clean, run(*sftp(folder, port)))]
            if theirs != ours:
                contenders.append((f"sftp, {ours}", clean, run(*sftp(folder, port, "-c", ours))))
            results = bench.against(bench.in_turn(contenders), "transporter")
    finally:
        receiver.stop()
    bench.table(f"{size / 1e6:.1f} MB {'at a round trip of 20 ms' if is_far else 'on this machine'}, {ours}", results)
    return {"bytes": size, "cipher": ours, **results}


def hash_of(file):
    with open(file, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def small(scratch):
    folder = scratch / "small"
    folder.mkdir()
    receiver, port = Receiver(folder), free_port()
    fill(folder, receiver, port, 2 * SLICES * 15, 10)
    keep_clean(folder)
    contenders = []
    for count in (SLICES, 2 * SLICES):
        export = [bench.BIN / "ew-export", "-q", "--breakup-on-period", "--end", str(START + 900 * count)]
        batch = f"batch-{count}"
        (folder / "slice").write_bytes(b"x" * 8_600)
        (folder / batch).write_text("".join(f"put slice .{n}.part\nrename .{n}.part {n}\n" for n in range(count)))
        peer = [batch if word == "batch" else word for word in sftp(folder, port)]
        for name, command in (("ew-export", export), ("sftp", peer)):
            run = lambda command=command, count=count: counted(receiver, count, bench.timed(command, folder))
            contenders.append((f"{name}, {count} slices", lambda: again(folder, receiver), run))
    trip = round_trip()
    try:
        receiver.start()
        with proxy(port, receiver.port):
            results = bench.in_turn(contenders)
    finally:
        receiver.stop()
    each = {name: round((results[f"{name}, {2 * SLICES} slices"]["median_s"] - results[f"{name}, {SLICES} slices"]["median_s"])
                        / SLICES / trip, 2) for name in ("ew-export", "sftp")}
    bench.table(f"small slices at a round trip of {1000 * trip:.1f} ms", results)
    for name, trips in each.items():
        print(f"{name}: {trips} round trips a slice")
    return {"round_trip_ms": round(1000 * trip, 2), "round_trips_a_slice": each, **results}


def counted(receiver, count, measured):
    there = len(list(receiver.home.iterdir()))
    if there != count:
        sys.exit(f"there are {there} files, not {count}")
    return measured


if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=bench.folder(), prefix="ew-bench-sftp-") as scratch:
        scratch = pathlib.Path(scratch)
        bench.keep("sftp", {
            "mb_200_local": one_file(scratch, "local", 200, False),
            "mb_20_at_20_ms": one_file(scratch, "far", 20, True),
            "small_slices": small(scratch),
        })

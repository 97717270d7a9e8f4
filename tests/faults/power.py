#!/usr/bin/env python3
"""Power loss, simulated: a short run of calc-submit, calc-handle and calc-project is recorded, and the power
goes after each call that changed a file. In every world that may be there then (see disk.py), nothing that
was acknowledged is missing, no outcome lacks its command, and handler and projector go on by themselves to
what an undisturbed derivation of the surviving commands gives.

    power.py [--every N] [--tries N] [--seed S] [--lines N]

--every N: after each Nth call only; --tries N: how often to try the variants that are random.
"""
import argparse
import collections
import hashlib
import json
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import disk
from load import Load
from parts import DEADLINE, Failure, environment, run, tool
from verify import first_difference

SUBMIT = tool("calc-submit", "-i", "in", "-o", "commands")
HANDLE = tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections")
PROJECT = tool("calc-project", "-i", "events", "-r", "rejections", "--view", "view")
FOLLOW = PROJECT + ["-f"]
TORN = b'{"action":"UpdateValue","id":"01a1'


class Recorder:
    """Runs the script in `home` and keeps what it did, one operation after the other."""

    def __init__(self, home, rng, lines):
        self.home, self.rng, self.lines = home, rng, lines
        self.load, self.operations = Load(8), []
        home.mkdir()

    def start(self, argv, path):
        """Its calls go to a file."""
        strace = ["strace", "-f", "-qq", "-y", "-xx", "-s", "10000000", "-e", "trace=" + disk.CALLS, "-o", str(path)]
        with open(self.home.parent / "out", "wb") as out:
            return subprocess.Popen(strace + argv, cwd=self.home, stdout=out, stderr=subprocess.PIPE,
                                    env=environment(ASAN_OPTIONS="detect_leaks=0"))

    def finish(self, process):
        said = process.communicate(timeout=DEADLINE)[1]
        if process.returncode != 0:
            raise Failure(f"exit status {process.returncode}: {process.args}\n{said.decode()}")

    def trace(self, argv):
        path = self.home.parent / "trace"
        self.finish(self.start(argv, path))
        self.operations += disk.Trace(path.read_text(), self.home).operations

    def follow(self):
        """A projector that commits several times, each when there is something new."""
        path, taken = self.home.parent / "followed", 0
        process = self.start(FOLLOW, path)

        def take():
            nonlocal taken
            operations = disk.Trace(path.read_text(), self.home).operations
            self.operations += operations[taken:]
            taken = len(operations)
        try:
            for _ in range(4):
                self.submit(4)
                self.trace(HANDLE)
                wait_until(lambda: shown(self.home) == folded(self.home))
                take()
            with open(f"/proc/{process.pid}/task/{process.pid}/children") as children:
                os.kill(int(children.read()), signal.SIGTERM)
            self.finish(process)
            take()
        finally:
            process.kill()
            process.wait()

    def submit(self, lines=None):
        lines = lines or self.lines
        inputs = [one for one in self.load.inputs(self.rng, lines * 2) if one.good and len(one.line) < 2000][:lines]
        path = self.home.parent / "in"
        path.write_bytes(b"".join(one.line for one in inputs))
        self.trace([str(path) if word == "in" else word for word in SUBMIT])

    def tear(self, name):
        """As an earlier crash left it."""
        with open(self.home / name, "ab") as log:
            size = log.tell()
            log.write(TORN)

        def tear(disk_):
            disk_.find(name).write(size, TORN, False)
            disk_.find(name).sync()
        self.operations.append((f"tear {name}", tear))

    def script(self):
        self.submit()
        self.submit()
        self.trace(HANDLE)
        self.trace(PROJECT)
        self.submit()
        self.tear("commands")
        self.tear("events")
        self.submit()
        self.trace(HANDLE)
        self.trace(PROJECT)
        self.follow()


def shown(home):
    return run(tool("calc-get", "--view", "view", "--all"), cwd=home)


def folded(home):
    return run(tool("calc-project", "-i", "events"), cwd=home)


def wait_until(condition):
    deadline = time.monotonic() + DEADLINE
    while not condition():
        if time.monotonic() > deadline:
            raise Failure("not so in time")
        time.sleep(0.02)


def whole_lines(content):
    return content[:content.rfind(b"\n") + 1]


class World:
    """The folder after the power came back."""

    def __init__(self, home):
        self.home = home

    def read(self, name):
        try:
            return (self.home / name).read_bytes()
        except FileNotFoundError:
            return b""

    def check_acknowledged(self, said):
        log = self.read("commands")
        for line in whole_lines(said).splitlines():
            ack = json.loads(line)
            start = int(ack["position"])
            end = log.find(b"\n", start)
            command = log[start:end]
            if end < 0 or ack["id"].encode() not in command or ack["value_id"].encode() not in command:
                raise Failure(f"an acknowledged command is missing at {start}: {line.decode()}")

    def check_causes(self):
        commands = self.read("commands")
        for name in ("events", "rejections"):
            for line in whole_lines(self.read(name)).splitlines():
                try:
                    parent = json.loads(line)["parent"]
                except (ValueError, KeyError, TypeError):
                    continue  # blocks of an unsynced tail
                if parent and parent.encode() not in commands:
                    raise Failure(f"an outcome in {name} has no command: {line.decode()[:300]}")

    def check_derived(self):
        """Handler and projector go on, each twice: as it is, and with one more command."""
        wanted = self.home.parent / "wanted"
        run(HANDLE, cwd=self.home)
        events = run(tool("calc-handle", "-r", str(wanted)), input=whole_lines(self.read("commands")))
        first_difference("events", self.read("events"), "what the commands derive", events)
        first_difference("rejections", self.read("rejections"), "what the commands derive",
                         wanted.read_bytes() if wanted.exists() else b"")
        if wanted.exists():
            wanted.unlink()
        run(PROJECT, cwd=self.home)
        first_difference("calc-get --all", shown(self.home), "calc-project", folded(self.home))

    def check(self, said):
        self.check_acknowledged(said)
        self.check_causes()
        if (self.home / "commands").exists():
            self.check_derived()
        more = run(tool("calc-submit", "-o", "commands", "create", "1"), cwd=self.home)
        self.check_derived()
        self.check_acknowledged(said + more)


def worlds(recorder, every, tries, rng):
    """(operation's number, what it was, variant, tree, what was said), each world once."""
    one, seen = disk.Disk(recorder.home), set()
    one.said = []
    for number, (what, operation) in enumerate(recorder.operations):
        operation(one)
        if what == "say" or number % every:
            continue
        for name, (of_files, of_folders) in disk.VARIANTS.items():
            for _ in range(tries if name in disk.RANDOM else 1):
                tree = disk.surviving(one.root, of_files, of_folders, rng)
                said = b"".join(one.said)
                digest = hashlib.sha256(repr((sorted(tree.items()), said)).encode()).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield number, what, name, tree, said


def scratch():
    """In memory: nothing here has to outlive a real loss of power."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None


def main():
    options = argparse.ArgumentParser(description="power loss, then recovery")
    options.add_argument("--every", type=int, default=1)
    options.add_argument("--tries", type=int, default=4)
    options.add_argument("--lines", type=int, default=60)
    options.add_argument("--seed", type=int, default=1)
    options = options.parse_args()
    rng, begin = random.Random(options.seed), time.monotonic()
    home = pathlib.Path(tempfile.mkdtemp(prefix="power-", dir=scratch()))
    recorder = Recorder(home / "recorded", rng, options.lines)
    recorder.script()
    tried, failures = collections.Counter(), collections.Counter()
    for number, what, name, tree, said in worlds(recorder, options.every, options.tries, rng):
        world = home / "world"
        disk.restore(tree, world)
        tried[name] += 1
        try:
            World(world).check(said)
        except Failure as failure:
            failures[name] += 1
            if failures[name] <= 2:
                kept = home / f"failed-{sum(failures.values())}"
                disk.restore(tree, kept)
                print(f"after call {number} ({what}), {name}: {failure}\n  the world was {kept}", flush=True)
        shutil.rmtree(world)
    for name in disk.VARIANTS:
        print(f"{tried[name]:6} worlds, {failures[name]} failures: {name}")
    print(f"{sum(tried.values())} worlds after {len(recorder.operations)} calls tried in "
          f"{time.monotonic() - begin:.0f} seconds, {sum(failures.values())} failures")
    if failures:
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()

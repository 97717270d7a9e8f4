#!/usr/bin/env python3
"""Every call that can fail fails once, and every one is a place to die: calc-submit, calc-handle (without a
state, and with one: resume) and calc-project under strace, each point followed by a run without faults and a
comparison with the oracle.

    sweep.py [--every N] [SCENE...]    (--every N: only each Nth point)

A tool whose call failed ends with 74 and says why, or has done all that it should (some calls may fail).
"""
import argparse
import collections
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time

from load import Load
from parts import DEADLINE, Failure, environment, run, tool
from verify import first_difference, read_acks, verify

ERRORS = {"pwrite64": "ENOSPC", "pwritev": "ENOSPC", "write": "ENOSPC", "fdatasync": "EIO", "fsync": "EIO",
          "ftruncate": "EIO", "pread64": "EIO", "flock": "ENOLCK", "msync": "EIO", "mkdir": "ENOSPC",
          "symlink": "ENOSPC", "rename": "ENOSPC"}
DEATHS = ["pwrite64", "pwritev", "write", "fdatasync", "fsync", "ftruncate", "flock", "fcntl", "msync", "mkdir",
          "symlink", "rename", "unlink", "close"]
TORN = b'{"action":"UpdateValue","id":"01a1'


class Scene:
    """What a tool is run on, and how its work is judged. `before` is the folder that each point starts from."""

    def __init__(self, before, argv):
        self.before, self.argv = before, argv


class Submit(Scene):
    def __init__(self, whole, before):
        super().__init__(before, tool("calc-submit", "-i", "in", "-o", "commands"))
        before.mkdir()
        shutil.copy(whole / "in", before)
        (before / "commands").write_bytes((whole / "commands").read_bytes()[:5000].rpartition(b"\n")[0] + b"\n" + TORN)
        self.good = (whole / "in").read_bytes().count(b"\n")

    def judge(self, status):
        acks = read_acks("stdout")
        if status == 0 and len(acks) != self.good:
            raise Failure(f"exit status 0 with {len(acks)} acknowledgements of {self.good} lines")
        pathlib.Path("after").write_bytes(run(tool("calc-submit", "-o", "commands", "create", "1")))
        run(tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"))
        run(tool("calc-project", "-i", "events", "-r", "rejections", "--view", "view"))
        verify(acks + read_acks("after"), sample=1)


class Handle(Scene):
    def __init__(self, whole, before):
        super().__init__(before, tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"))
        before.mkdir()
        shutil.copy(whole / "commands", before)
        self.expected = {name: (whole / name).read_bytes() for name in ("events", "rejections")}
        for name, text in self.expected.items():
            (before / name).write_bytes(text[:len(text) // 3])  # in the middle of a line

    def judge(self, status):
        if status != 0:
            run(self.argv)
        for name, text in self.expected.items():
            first_difference(name, pathlib.Path(name).read_bytes(), "the whole " + name, text)


class Resume(Handle):
    """From a state, with outputs that go on behind it; one of them differs there."""

    def __init__(self, whole, before):
        super().__init__(whole, before)
        commands = (whole / "commands").read_bytes()
        for name in self.expected:
            (before / name).unlink()
        os.chdir(before)
        (before / "commands").write_bytes(commands[:len(commands) // 2].rpartition(b"\n")[0] + b"\n")
        run(self.argv)
        size = (before / "events").stat().st_size
        (before / "events").write_bytes(self.expected["events"][:size + 9000] + b"\0" * 3000 + b"\n" + TORN)
        (before / "commands").write_bytes(commands)

    def judge(self, status):
        super().judge(status)
        run(self.argv)  # the state is one to go on from
        super().judge(0)


class Project(Scene):
    def __init__(self, whole, before):
        super().__init__(before, tool("calc-project", "-i", "events", "-r", "rejections", "--view", "view"))
        before.mkdir()
        for name in ("commands", "events", "rejections"):
            shutil.copy(whole / name, before)
        self.acks = read_acks(whole / "acks")
        self.values = run(tool("calc-get", "--view", str(whole / "view"), "--all"))

    def judge(self, status):
        if status != 0:
            run(self.argv)
        first_difference("the view", run(tool("calc-get", "--view", "view", "--all")), "the whole view", self.values)
        for command_id, value_id, _ in (self.acks[0], self.acks[-1]):
            run(tool("calc-get", "--view", "view", "--command", command_id, value_id), (0, 1))


def make_whole(folder):
    """A run without faults, with which all is compared: some batches of commands and their outcomes."""
    folder.mkdir()
    os.chdir(folder)
    rng, load = random.Random(1), Load(50)
    inputs = [one for one in load.inputs(rng, 12000) if one.good and one.id]
    pathlib.Path("in").write_bytes(b"".join(one.line for one in inputs))
    pathlib.Path("acks").write_bytes(run(tool("calc-submit", "-i", "in", "-o", "commands")))
    run(tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"))
    run(tool("calc-project", "-i", "events", "-r", "rejections", "--view", "view"))
    verify(read_acks("acks"))


def strace(scene, *options):
    """Runs the scene's tool in a new folder. Its exit status; 137 if it was killed."""
    home = scene.before.parent / "point"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(scene.before, home)
    os.chdir(home)
    argv = ["strace", "-f", "-qq", "-o", "trace", *options, *scene.argv]
    with open("stdout", "wb") as out, open("stderr", "wb") as err:
        status = subprocess.run(argv, stdout=out, stderr=err, stdin=subprocess.DEVNULL, timeout=DEADLINE,
                                env=environment(ASAN_OPTIONS="detect_leaks=0")).returncode
    return 137 if status == -9 else status


def points(scene):
    """(option for strace, whether it kills), for each call that a run without faults makes."""
    if strace(scene) != 0:
        raise Failure(f"fails without faults: {scene.argv}\n{pathlib.Path('stderr').read_text()}")
    calls = re.findall(r"^\d+ +(\w+)\(", pathlib.Path("trace").read_text(errors="replace"), re.M)
    for name, count in sorted(collections.Counter(calls).items()):
        for when in range(1, count + 1):
            if name in ERRORS:
                yield f"inject={name}:error={ERRORS[name]}:when={when}", False
                yield f"inject={name}:error={ERRORS[name]}:when={when}+", False  # and it stays so
            if name in DEATHS:
                yield f"inject={name}:signal=KILL:when={when}", True


def try_point(scene, option, kills):
    status = strace(scene, "-e", option)
    said = pathlib.Path("stderr").read_text(errors="replace")
    if status == 127 and "shared librar" in said:
        return False  # the loader's call
    if kills and status != 137 or not kills and status not in (0, os.EX_IOERR):
        raise Failure(f"exit status {status}\n{said}")
    mute = re.match(r"inject=write:.*\+$", option)  # it can't say anything
    if status == os.EX_IOERR and not mute and not said.startswith(os.path.basename(scene.argv[0]) + ": "):
        raise Failure(f"it doesn't say why it failed: {said!r}")
    scene.judge(status)
    return True


def main():
    scenes = {"calc-submit": Submit, "calc-handle": Handle, "resume": Resume, "calc-project": Project}
    options = argparse.ArgumentParser(description="a fault at every call, then the oracle")
    options.add_argument("--every", type=int, default=1)
    options.add_argument("tool", nargs="*", default=list(scenes))
    options = options.parse_args()
    home, begin = pathlib.Path(tempfile.mkdtemp(prefix="sweep-")), time.monotonic()
    make_whole(home / "whole")
    failures = 0
    for name in options.tool:
        scene, tried = scenes[name](home / "whole", home / name), collections.Counter()
        for option, kills in list(points(scene))[::options.every]:
            try:
                tried["deaths" if kills else "errors"] += try_point(scene, option, kills)
            except Failure as failure:
                failures += 1
                kept = home / f"failed-{failures}"
                os.rename(home / "point", kept)
                os.chdir(home)
                print(f"{name}: strace -e {option}: {failure}\n  the folder is {kept}", flush=True)
        print(f"{name}: {tried['errors']} errors and {tried['deaths']} deaths tried", flush=True)
    print(f"{failures} failures, {time.monotonic() - begin:.0f} seconds")
    os.chdir("/")
    if failures:
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()

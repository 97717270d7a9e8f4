#!/usr/bin/env python3
"""Every call that touches a log or a store fails once, and every one is a place to die: calc-submit,
calc-handle (without a state; with one: resume; and following), calc-project (a new view; and one that is
there: catch-up) and calc-get under strace, each point followed by a run without faults and a comparison with
the oracle.

    sweep.py [--every N] [SCENE...]    (--every N: only each Nth point)

A tool whose call failed ends with 74 and says why, or has done all that it should (some calls may fail).
"""
import argparse
import collections
import fcntl
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from load import Load
from parts import DEADLINE, Failure, environment, run, tool
from verify import first_difference, read_acks, verify

# What a call fails with. All of them are places to die as well.
ERRORS = {"openat": "EMFILE", "mkdir": "ENOSPC", "symlink": "ENOSPC", "rename": "ENOSPC", "unlink": "EACCES",
          "newfstatat": "EIO", "statx": "EIO", "fstatfs": "EIO", "access": "EACCES", "flock": "ENOLCK",
          "fcntl": "ENOLCK", "lseek": "EIO", "read": "EIO", "pread64": "EIO", "pwrite64": "ENOSPC", "pwritev": "ENOSPC", "write": "ENOSPC",
          "writev": "ENOSPC", "fdatasync": "EIO", "fsync": "EIO", "ftruncate": "EIO", "mmap": "ENOMEM",
          "msync": "EIO", "munmap": "ENOMEM", "inotify_init1": "EMFILE", "inotify_add_watch": "ENOSPC",
          "inotify_rm_watch": "EINVAL", "close": "EIO"}
# That all later ones fail, too, would be of the loader or of the memory.
SPARED = ("openat", "mmap", "munmap", "read", "fcntl", "close", "newfstatat", "access")
# Without an argument that tells of what it is.
ALWAYS = ("inotify_init1",)
TORN = b'{"action":"UpdateValue","id":"01a1'


class Scene:
    """What a tool is run on, and how its work is judged. `before` is the folder that each point starts from."""

    def __init__(self, before, argv):
        self.before, self.argv = before, argv

    def attend(self, process):
        """While the tool runs."""
        process.wait(DEADLINE)


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


class Follow(Resume):
    """From a state too, and the commands come while it waits for them."""

    def __init__(self, whole, before):
        super().__init__(whole, before)
        self.follow = self.argv[:1] + ["-f"] + self.argv[1:]
        self.commands = (before / "commands").read_bytes()
        half = self.commands[:len(self.commands) * 3 // 4].rpartition(b"\n")[0] + b"\n"
        (before / "commands").write_bytes(half)
        os.chdir(before)
        run(self.argv)
        self.half = self.sizes()
        for name in self.expected:
            with open(before / name, "ab") as log:
                log.write(TORN)  # cut off as soon as something is appended

    @staticmethod
    def sizes():
        return [os.stat(name).st_size for name in ("events", "rejections")]

    def attend(self, process):
        deadline = time.monotonic() + DEADLINE
        self.append()
        whole = [len(self.expected[name]) for name in ("events", "rejections")]
        while process.poll() is None and time.monotonic() < deadline:
            if self.sizes() == whole:
                end_traced(process)
                return
            time.sleep(0.002)
        if process.poll() is None:
            end_traced(process)
            raise Failure("it doesn't catch up")

    def append(self):
        """As a writer does: under the lock."""
        with open("commands", "rb+") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            size = log.seek(0, os.SEEK_END)
            log.write(self.commands[size:])

    def judge(self, status):
        if pathlib.Path("commands").stat().st_size < len(self.commands):
            self.append()
        run(self.argv)
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
        self.judge_view()

    def judge_view(self):
        first_difference("the view", run(tool("calc-get", "--view", "view", "--all")), "the whole view", self.values)
        for command_id, value_id, _ in (self.acks[0], self.acks[-1]):
            run(tool("calc-get", "--view", "view", "--command", command_id, value_id), (0, 1))


class CatchUp(Project):
    """A view that is there, behind the logs."""

    def __init__(self, whole, before):
        super().__init__(whole, before)
        os.chdir(before)
        events = (before / "events").read_bytes()
        (before / "events").write_bytes(events[:len(events) // 2].rpartition(b"\n")[0] + b"\n")
        run(self.argv)
        (before / "events").write_bytes(events)


class Get(Project):
    """A reader: what it prints is right or it ends with 74, and the view is as it was."""

    def __init__(self, whole, before):
        super().__init__(whole, before)
        os.chdir(before)
        run(self.argv)
        self.argv = tool("calc-get", "--view", "view", "--all")

    def judge(self, status):
        printed = pathlib.Path("stdout").read_bytes()
        if status == 0 or not self.values.startswith(printed):
            first_difference("what was printed", printed, "the whole view", self.values)
        self.judge_view()


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


def end_traced(process):
    """SIGTERM to strace's child; strace ends with its exit status."""
    children = pathlib.Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    for child in children:
        os.kill(int(child), signal.SIGTERM)
    process.wait(DEADLINE)


def strace(scene, *options):
    """Runs the scene's tool in a new folder. Its exit status; 137 if it was killed."""
    home = scene.before.parent / "point"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(scene.before, home, symlinks=True)
    os.chdir(home)
    argv = ["strace", "-f", "-qq", "-y", "-o", "trace", *options, *(getattr(scene, "follow", None) or scene.argv)]
    with open("stdout", "wb") as out, open("stderr", "wb") as err:
        process = subprocess.Popen(argv, stdout=out, stderr=err, stdin=subprocess.DEVNULL,
                                   env=environment(ASAN_OPTIONS="detect_leaks=0"))
    try:
        scene.attend(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
    return 137 if process.returncode == -9 else process.returncode


def touches(name, arguments, home):
    """Whether a call is about something in the folder, by its descriptor or its path, or waits for it."""
    path = re.search(r'"([^"]*)"', arguments)
    if name in ALWAYS or "inotify" in arguments:
        return True
    if name in ("openat", "newfstatat", "statx", "mkdir", "symlink", "rename", "unlink", "access") and path and path[1]:
        return not path[1].startswith("/")
    return f"<{home}" in arguments


def points(scene):
    """{option for strace: whether it kills}, for each call of a run without faults that touches something.
    strace counts the calls of each thread for itself, and one's nth fails in all of them that have so many."""
    status = strace(scene)
    if status != 0:
        raise Failure(f"fails without faults: {scene.argv}\n{pathlib.Path('stderr').read_text()}")
    calls, home, found = collections.Counter(), scene.before.parent / "point", {}
    for line in pathlib.Path("trace").read_text(errors="replace").splitlines():
        call = re.match(r"(\d+) +(\w+)\((.*)", line)
        if not call or call[2] not in ERRORS:
            continue
        thread, name, arguments = call.groups()
        calls[thread, name] += 1
        if not touches(name, arguments, home):
            continue
        inject = f"inject={name}:%s:when={calls[thread, name]}"
        found[inject % f"error={ERRORS[name]}"] = False
        if name not in SPARED:
            found[inject % f"error={ERRORS[name]}" + "+"] = False  # and it stays so
        found[inject % "signal=KILL"] = True
    return found


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
    scenes = {"calc-submit": Submit, "calc-handle": Handle, "resume": Resume, "follow": Follow,
              "calc-project": Project, "catch-up": CatchUp, "calc-get": Get}
    options = argparse.ArgumentParser(description="a fault at every call, then the oracle")
    options.add_argument("--every", type=int, default=1)
    options.add_argument("tool", nargs="*", default=list(scenes))
    options = options.parse_args()
    home, begin = pathlib.Path(tempfile.mkdtemp(prefix="sweep-")), time.monotonic()
    make_whole(home / "whole")
    failures = points_tried = 0
    for name in options.tool:
        scene, tried = scenes[name](home / "whole", home / name), collections.Counter()
        for option, kills in list(points(scene).items())[::options.every]:
            try:
                tried["deaths" if kills else "errors"] += try_point(scene, option, kills)
            except Failure as failure:
                failures += 1
                kept = home / f"failed-{failures}"
                os.rename(home / "point", kept)
                os.chdir(home)
                print(f"{name}: strace -e {option}: {failure}\n  the folder is {kept}", flush=True)
        print(f"{name}: {tried['errors']} errors and {tried['deaths']} deaths tried", flush=True)
        points_tried += sum(tried.values())
    print(f"{points_tried} points tried, {failures} failures, {time.monotonic() - begin:.0f} seconds")
    os.chdir("/")
    if failures:
        sys.exit(1)
    shutil.rmtree(home)


if __name__ == "__main__":
    main()

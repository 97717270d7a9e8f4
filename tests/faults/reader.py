#!/usr/bin/env python3
"""Readers that follow a log while its writers are killed, tear it, and run out of disk and cut back, again and
again: they never see a record that isn't in the log at the end, and miss none that is.

    reader.py [--rounds N] [--seed S]    (a round is one fate of a writer)

A reader is a calc-handle -f that prints: it has to print what a calc-handle prints that comes afterwards.
"""
import argparse
import collections
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

from parts import DEADLINE, Failure, Part, environment, run, tail, tool, until
from verify import first_difference, read_acks

WRITERS, READERS = 3, 2
FATES = ["killed", "out of disk", "torn", "undisturbed"]


def make_input(writer, number, count):
    """Of one value; the ids say whose they are."""
    value = f"00000000-0000-4000-8000-{writer:04}{number:08}"
    lines = [f'{{"id":"11111111-1111-4111-8111-{writer:04}{number:08}","value_id":"{value}","value":{number}}}\n']
    for i in range(count):
        lines.append(f'{{"id":"22222222-2222-4222-8222-{writer:02}{number:06}{i:04}","value_id":"{value}",'
                     f'"operation":"ADD","value":0.1}}\n')
    return "".join(lines)


class Writer(threading.Thread):
    """calc-submit, each time with another fate."""

    def __init__(self, number, rounds, seed):
        super().__init__(daemon=True)
        self.number, self.rounds, self.rng = number, rounds, random.Random(f"{seed}/{number}")
        self.fates, self.acks, self.failure = collections.Counter(), [], None

    def run(self):
        try:
            for count in range(self.rounds):
                self.submit(count, FATES[count % len(FATES)])
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def submit(self, count, fate):
        source, acks = pathlib.Path(f"in.{self.number}"), pathlib.Path(f"acks.{self.number}")
        source.write_text(make_input(self.number, count, self.rng.choice([20, 200, 1000])))
        end = os.stat("commands").st_size + self.rng.randrange(1, source.stat().st_size * 3)

        def prepare():
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            if fate in ("out of disk", "torn"):
                resource.setrlimit(resource.RLIMIT_FSIZE, (end, end))
            # beyond the limit: an error, or death with what fitted written
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL if fate == "torn" else signal.SIG_IGN)
        with open(acks, "wb") as out, open(f"errors.{self.number}", "ab") as errors:
            process = subprocess.Popen(tool("calc-submit", "-i", str(source), "-o", "commands"), stdout=out, stderr=errors,
                                       env=environment(), restore_signals=False, preexec_fn=prepare)
        if fate == "killed":
            time.sleep(self.rng.random() * 0.012)
            process.kill()
        status = process.wait(DEADLINE)
        self.fates[self.judge(fate, status)] += 1
        self.acks += read_acks(acks)

    def judge(self, fate, status):
        if status == 0:
            return "undisturbed"  # it was done before, or what it wrote fitted
        expected = {"killed": -signal.SIGKILL, "out of disk": os.EX_IOERR, "torn": -signal.SIGXFSZ}
        if status != expected.get(fate):
            raise Failure(f"{fate}: exit status {status}\n{tail(f'errors.{self.number}')}")
        return fate


def check(acks):
    log = pathlib.Path("commands").read_bytes()
    for command_id, _, position in acks:
        begin = log[int(position):int(position) + 120]
        if not begin.startswith(b'{"action":"') or command_id.encode() not in begin:
            raise Failure(f"the acknowledged {command_id} isn't at {position}")
    run(tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"))
    events, rejections = pathlib.Path("events").read_bytes(), pathlib.Path("rejections").read_bytes()
    for number in range(READERS):
        first_difference(f"what reader {number} saw", pathlib.Path(f"seen.{number}").read_bytes(), "events", events)
        said = pathlib.Path(f"reader{number}.err").read_bytes().splitlines(keepends=True)
        first_difference(f"the rejections that reader {number} saw", b"".join(i for i in said if i.startswith(b"{")),
                         "rejections", rejections)
    return events.count(b"\n") + rejections.count(b"\n")


def sees(reader, number, command_id):
    if reader.process.poll() is not None:
        reader.check(reader.process.returncode, ())  # nothing ended it but what it saw
    return command_id in tail(f"seen.{number}")


def follow(options, stats):
    run(tool("calc-submit", "-o", "commands", "create", "1"))
    readers = [Part(f"reader{number}", tool("calc-handle", "-f", "-i", "commands")) for number in range(READERS)]
    try:
        for number, reader in enumerate(readers):
            with open(f"seen.{number}", "wb") as seen:
                reader.start(stdout=seen)
        writers = [Writer(number, -(-options.rounds // WRITERS), options.seed) for number in range(WRITERS)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
            if writer.failure:
                raise writer.failure
            stats.update(writer.fates)
        pathlib.Path("last").write_bytes(run(tool("calc-submit", "-o", "commands", "create", "1")))
        last = read_acks("last")
        for number in range(READERS):
            until(f"reader {number} sees the last record", lambda number=number: sees(readers[number], number, last[0][0]))
        for reader in readers:
            reader.end()
    finally:
        for reader in readers:
            reader.kill()
    return check([ack for writer in writers for ack in writer.acks] + last)


def main():
    options = argparse.ArgumentParser(description="followers of a log whose writers fail")
    options.add_argument("--rounds", type=int, default=60)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options = options.parse_args()
    stats, begin = collections.Counter(), time.monotonic()
    folder = tempfile.mkdtemp(prefix="reader-")
    os.chdir(folder)
    try:
        records = follow(options, stats)
        cuts = sum(pathlib.Path(f"errors.{number}").read_text().count("cut off a torn tail") for number in range(WRITERS))
        if options.rounds >= 40 and not (cuts and all(stats[fate] for fate in FATES)):
            raise Failure(f"not every fate was met: {stats}, {cuts} torn tails cut off")
    except Failure as failure:
        sys.exit(f"reader.py --rounds {options.rounds} --seed {options.seed}: {failure}\nits folder is {folder}")
    told = ", ".join(f"{stats[fate]} {fate}" for fate in FATES)
    print(f"{sum(stats.values())} writers ({told}), {cuts} torn tails cut off, {records} records seen by {READERS} readers, "
          f"in {time.monotonic() - begin:.0f} seconds")
    os.chdir("/")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Kill -9, torn tails, full disks and pauses under load; then the logs and the view against the oracle.

    soak.py [--rounds N] [--seed S] [--seconds-per-round T]

A round runs several calc-submit writers, calc-cgi with HTTP clients, a handler, a projector, rebuilds of the
view one after the other, and a handler that only prints (it is never killed: what it saw has to be what the
log holds at the end). The tools are those of CALC_BIN, else of build/bin. If a round fails, its folder is kept
and told.
"""
import argparse
import collections
import fcntl
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time

import fcgi
from load import FOREIGN, Load
from parts import BIN, Failure, Part, run, tail, tool, until
from verify import check_status, first_difference, read_acks, verify

WRITERS, CLIENTS = 4, 3
LINK = re.compile(r"<[^>]*/values/([0-9a-f-]{36})/commands/([0-9a-f-]{36})>")


def size_of(path):
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0


class Worker(threading.Thread):
    """A thread of the load. A failure in it is the round's."""

    def __init__(self, round_, number):
        super().__init__(daemon=True)
        self.round, self.number = round_, number
        self.rng = random.Random(f"{round_.seed}/{type(self).__name__}/{number}")
        self.acks = []  # (command id, value id, position or None)
        self.failure = None

    def run(self):
        try:
            while not self.round.ending.is_set():
                self.work()
        except Exception as failure:  # told by the main thread
            self.failure = failure


class Writer(Worker):
    """calc-submit, again and again. After a kill what wasn't acknowledged is sent again, and a bit more."""

    def __init__(self, round_, number):
        super().__init__(round_, number)
        self.part = Part(f"submit{number}", tool("calc-submit", "-o", "commands"))
        self.pending, self.idle = [], threading.Event()
        self.outcomes = []  # what --wait printed

    def work(self):
        while not self.round.gate.wait(0.01):
            self.idle.set()  # nobody may write now
            if self.round.ending.is_set():
                return
        self.idle.clear()
        if self.round.gate.is_set():
            if self.rng.random() < 0.1:
                self.one_shot()
            else:
                self.stream()
        self.idle.set()

    def stream(self):
        name = f"{self.part.name}.acks"
        if not self.pending:
            self.pending = self.round.load.inputs(self.rng, self.rng.choice([20, 300, 1000]))
        with open(name, "wb") as acks:
            if self.rng.random() < 0.3:
                sent = self.pending
                pathlib.Path(f"{self.part.name}.in").write_bytes(b"".join(i.line for i in sent))
                with open(f"{self.part.name}.in", "rb") as file:
                    self.part.start(file, acks)
            else:
                self.part.start(subprocess.PIPE, acks)
                sent = self.feed()
        status = self.part.wait()
        self.count(name, sent, status)

    def feed(self):
        """Writes what is pending in pieces that don't end where lines do. Returns what was sent."""
        stdin, count = self.part.process.stdin, 0
        with self.part.lock:
            if self.rng.random() < 0.1:
                self.part.limit(size_of("commands") + self.rng.randrange(100000))
        try:
            rest = b""
            while count < len(self.pending) and not self.round.ending.is_set():
                some = self.pending[count:count + self.rng.randrange(1, 40)]
                count += len(some)
                text = rest + b"".join(i.line for i in some)
                cut = self.rng.randrange(len(text))
                stdin.write(text[:cut])
                stdin.flush()
                rest = text[cut:]
                self.round.ending.wait(self.rng.random() * 0.01)  # the pace of a client
            stdin.write(rest)
            stdin.flush()
        except BrokenPipeError:
            pass  # it was killed
        try:
            stdin.close()
        except BrokenPipeError:
            pass
        return self.pending[:count]

    def count(self, name, sent, status):
        acks, good = read_acks(name), [i for i in sent if i.good]
        self.acks += acks
        if len(acks) > len(good):
            raise Failure(f"{self.part.name}: {len(acks)} acknowledgements of {len(good)} good lines")
        for ack, sent_one in zip(acks, good):
            if sent_one.id and ack[0] != sent_one.id:
                raise Failure(f"{self.part.name}: acknowledged {ack[0]} where {sent_one.id} was sent")
        if status == -signal.SIGKILL and self.part.killed or status == os.EX_IOERR and self.part.full:
            index = next((i for i, one in enumerate(self.pending) if good[len(acks):] and one is good[len(acks)]),
                         len(sent))
            self.pending = self.pending[max(0, index - self.rng.randrange(20)):]
            self.round.stats["full disks met"] += status == os.EX_IOERR
            return
        bad = any(i.good is False for i in sent)
        self.part.check(status, (os.EX_DATAERR if bad else 0,))
        if len(acks) != len(good):
            raise Failure(f"{self.part.name}: {len(acks)} acknowledgements of {len(good)} good lines at its end")
        self.pending = self.pending[len(sent):]

    def one_shot(self):
        """Adds to a value and waits for the outcome."""
        value_id = self.rng.choice(self.round.load.values or [FOREIGN_ID])
        usual = self.part.argv
        self.part.argv = usual + ["--view", "view", "--wait", "0.3", "add", value_id, str(self.rng.randrange(99))]
        name = f"{self.part.name}.acks"
        try:
            with open(name, "wb") as acks:
                self.part.start(stdout=acks)
            status = self.part.wait()
        finally:
            self.part.argv = usual
        self.acks += read_acks(name)
        for line in pathlib.Path(name).read_bytes().split(b"\n")[:-1]:
            if b'"status"' in line:
                self.outcomes.append(json.loads(line))
        if not (status == -signal.SIGKILL and self.part.killed):
            self.part.check(status, (0, 1, os.EX_UNAVAILABLE))


FOREIGN_ID = "8d0f7c2e-29a9-4a39-8c1c-4cf0b2e7a001"


class Client(Worker):
    """HTTP requests. A 202 is an acknowledgement; after a 503 nothing may have been written."""

    def __init__(self, round_, number):
        super().__init__(round_, number)
        self.refused = set()  # numbers, each of which one request had
        self.count = 0
        self.versions = {}

    def work(self):
        kind = self.rng.random()
        values = self.round.load.values
        if kind < 0.3 and values:
            self.get(self.rng.choice(values).lower())
            return
        self.count += 1
        number = (self.number + 1) * 1e9 + self.count + 0.5
        if kind < 0.5 or not values:
            method, uri, body = "POST", "/values", {"value": number}
        else:
            method, uri = self.rng.choice(["PUT", "POST"]), f"/values/{self.rng.choice(values)}"
            body = {"operation": "ADD", "value": number}
        answer = self.request(method, uri, json.dumps(body).encode(), (202, 503))
        if answer and answer.status == 503:
            self.refused.add(number)
        if answer and answer.status == 202:
            value_id, command_id = LINK.match(answer.headers["link"]).groups()
            self.acks.append((command_id, value_id, None))

    def get(self, value_id):
        answer = self.request("GET", f"/values/{value_id}", b"", (200, 404, 503))
        if answer and answer.status != 503:
            version = int(answer.headers.get("etag", '"0"').strip('"'))
            if version < self.versions.get(value_id, 0):
                raise Failure(f"GET {value_id}: version {version} after {self.versions[value_id]}")
            self.versions[value_id] = version

    def request(self, method, uri, body, expected):
        try:
            answer = fcgi.request("cgi.sock", method, uri, body)
        except TimeoutError as error:
            raise Failure(f"calc-cgi gave no answer to {method} {uri}") from error
        except OSError:  # it is dead, or died
            self.round.ending.wait(0.005)
            return None
        if answer.status not in expected:
            raise Failure(f"{method} {uri}: {answer.status}\n{answer.body[:1000]}\n{tail('cgi.err')}")
        return answer


class Rebuilder(Worker):
    """calc-project --rebuild, again and again: it switches the view, or is killed, or is told to end."""

    def __init__(self, round_, number):
        super().__init__(round_, number)
        self.part = Part("rebuild", tool("calc-project", "--rebuild", "-i", "events", "-r", "rejections",
                                         "--view", "view"))

    def work(self):
        while not (os.path.exists("events") and os.path.exists("rejections")):  # the handler has yet to make them
            if self.round.ending.wait(0.005):
                return
        self.part.start()
        fate, moment = self.rng.random(), time.monotonic() + self.rng.random() * 0.5
        while self.part.process.poll() is None and not self.round.ending.is_set():
            if fate < 0.6 and time.monotonic() > moment:
                break
            self.round.ending.wait(0.005)
        if fate < 0.4 and self.part.signal(signal.SIGKILL):
            self.part.wait()
            self.round.stats["kills of rebuild"] += 1
            return
        self.part.end((0, os.EX_TEMPFAIL))
        self.round.stats["rebuilds that switched"] += self.part.process.returncode == 0


class Round:
    def __init__(self, seed, seconds, stats):
        self.seed, self.seconds, self.stats = seed, seconds, stats
        self.rng = random.Random(f"{seed}/chaos")
        self.ending, self.gate = threading.Event(), threading.Event()
        self.load, self.full_until = Load(), {}
        self.handler = Part("handler", tool("calc-handle", "-f", "-i", "commands", "-o", "events", "-r", "rejections"))
        self.projector = Part("projector", tool("calc-project", "-f", "-i", "events", "-r", "rejections",
                                                "--view", "view"))
        self.cgi = Part("cgi", tool("calc-cgi", "--listen", "cgi.sock"),
                        {"CALC_COMMANDS": "commands", "CALC_VIEW": "view"})
        self.witness = Part("witness", tool("calc-handle", "-f", "-i", "commands"))
        self.services = [self.handler, self.projector, self.cgi]
        self.rebuilder = Rebuilder(self, 0)
        self.workers = [Writer(self, i) for i in range(WRITERS)] + [Client(self, i) for i in range(CLIENTS)] + \
            [self.rebuilder]
        self.writers = [worker for worker in self.workers if isinstance(worker, Writer)]

    # what may happen

    def kill(self):
        part = self.rng.choice(self.services + [self.rng.choice(self.writers).part] * 2)
        self.kill_parts([part])

    def kill_all(self):
        self.kill_parts(self.services + [writer.part for writer in self.writers])

    def kill_parts(self, parts):
        for part in parts:
            if part.signal(signal.SIGKILL):
                self.stats["kills of " + part.name.rstrip("0123456789")] += 1
        for part in parts:
            if part in self.services:
                part.wait()
        self.ending.wait(self.rng.choice([0, 0.02]))
        for part in parts:
            if part in self.services:
                part.start()

    def end_politely(self):
        part = self.rng.choice(self.services)
        self.end(part)
        self.stats["SIGTERM"] += 1
        part.start()

    def end(self, part):
        """A projector finds its place taken (75) if a rebuild came first, for as long as that switches."""
        part.end((0, *[os.EX_IOERR] * self.recently_full(part), *[os.EX_TEMPFAIL] * (part is self.projector)))

    def pause(self):
        part = self.rng.choice(self.services + [self.witness, self.rng.choice(self.writers).part])
        if part.signal(signal.SIGSTOP):
            self.stats["SIGSTOP"] += 1
            self.ending.wait(self.rng.random() * 0.15)
            part.resume()

    def full_disk(self):
        part, log = self.rng.choice([(self.handler, "events"), (self.projector, "view/current/data.mdb"),
                                     (self.cgi, "commands")])
        part.limit(size_of(log) + self.rng.randrange(5000))
        deadline = time.monotonic() + 0.2
        while part.process.poll() is None and time.monotonic() < deadline:
            self.ending.wait(0.005)
        part.limit(None)
        self.full_until[part] = time.monotonic() + 5  # who met it may still be on its way out
        self.revive_full(part)

    def recently_full(self, part):
        return part.full and time.monotonic() < self.full_until.get(part, 0)

    def revive_full(self, part):
        status = part.process.poll()
        if status is None or part.killed or not self.recently_full(part):
            return
        if part is self.projector and status == os.EX_TEMPFAIL:
            return  # a rebuild came first
        part.check(status, (os.EX_IOERR,))
        # LMDB calls a short write an I/O error, and one of a new file no space
        if not tail(part.name + ".err", 300).rstrip().endswith(("File too large", "input/output error",
                                                                "No space left on device")):
            raise Failure(f"{part.name} doesn't say why it ended: {tail(part.name + '.err')}")
        self.stats["full disks met"] += 1
        part.start()

    def torn_output(self):
        self.handler.kill()
        self.stats["kills of handler"] += 1
        for name in self.rng.choice([["events"], ["rejections"], ["events", "rejections"]]):
            self.tear(name)
        self.handler.start()

    def lost_state(self):
        """The handler's state is gone, or an older one is put in its place."""
        self.handler.kill()
        self.stats["kills of handler"] += 1
        state, older = pathlib.Path("events.state"), pathlib.Path("older.state")
        if older.exists():
            shutil.rmtree(state, ignore_errors=True)
            older.rename(state)
            self.stats["older states"] += 1
        elif state.exists() and self.rng.random() < 0.5:
            shutil.copytree(state, older)
        else:
            shutil.rmtree(state, ignore_errors=True)
            self.stats["lost states"] += 1
        self.handler.start()

    def torn_commands(self):
        self.gate.clear()
        for part in [self.cgi] + [writer.part for writer in self.writers]:
            if part.signal(signal.SIGKILL):
                self.stats["kills of " + part.name.rstrip("0123456789")] += 1
        self.cgi.wait()
        try:
            for writer in self.writers:
                until(f"{writer.part.name} rests", lambda writer=writer: self.rests(writer))
            self.tear("commands")
        finally:
            self.gate.set()
            self.cgi.start()

    @staticmethod
    def rests(writer):
        writer.part.signal(signal.SIGKILL)  # the gate closed while it was on its way in
        return writer.idle.is_set() or not writer.is_alive()

    def tear(self, name):
        """A part of a line, as a crash leaves it; whoever writes this log is dead."""
        lines = pathlib.Path(name).read_bytes().splitlines()[-100:] if size_of(name) else []
        if lines:
            line = self.rng.choice(lines) or b"{"
            with open(name, "ab") as log:
                log.write(line[:self.rng.randrange(1, len(line) + 1)])
            self.stats["torn tails of " + name] += 1

    def foreign(self):
        """A writer that knows the lock, but not what a command is."""
        with open("commands", "ab+") as log:
            fcntl.flock(log, fcntl.LOCK_EX)
            size = os.fstat(log.fileno()).st_size
            if size and os.pread(log.fileno(), 1, size - 1) != b"\n":
                return  # a torn tail: cutting is left to calc-submit
            log.write(b"".join(self.rng.choice(FOREIGN) + b"\n" for _ in range(3)))
            log.flush()
            self.stats["foreign lines"] += 3

    # the round

    def check_alive(self):
        for worker in self.workers:
            if worker.failure:
                raise worker.failure
        for part in self.services + [self.witness]:
            self.revive_full(part)
            if part is self.projector and part.process.poll() == os.EX_TEMPFAIL:
                self.stats["projectors that found a rebuild in their place"] += 1
                part.start()  # and may find it there again
            elif part.process.poll() is not None:
                raise Failure(f"{part.name} ended by itself, exit status {part.process.poll()}\n"
                              f"{tail(part.name + '.err')}")

    def chaos(self):
        faults = [self.kill] * 8 + [self.torn_output, self.torn_commands] * 3 + [self.pause] * 4 + \
            [self.full_disk] * 3 + [self.end_politely, self.foreign, self.lost_state] * 2 + [self.kill_all]
        deadline = time.monotonic() + self.seconds
        while time.monotonic() < deadline:
            self.ending.wait(self.rng.random() * 0.12)  # the load goes on meanwhile
            self.check_alive()
            self.rng.choice(faults)()

    def start(self):
        self.witness_out = open("witness.events", "wb")
        self.witness.start(stdout=self.witness_out)
        for part in self.services:
            part.start()
        self.gate.set()
        for worker in self.workers:
            worker.start()

    def finish(self):
        """The load ends, everything ends on SIGTERM, and is started once more till caught up."""
        self.ending.set()
        for worker in self.workers:
            worker.join(60)
            if worker.is_alive():
                raise Failure(f"{type(worker).__name__} {worker.number} doesn't end")
        self.check_alive()
        acks = [ack for worker in self.workers for ack in worker.acks]
        # an event and a rejection behind whatever was torn, so that the handler cuts it off
        for argv in (["add", "00000000-0000-4000-8000-000000000000", "1"], ["create", "1"]):
            pathlib.Path("last.acks").write_bytes(run(tool("calc-submit", "-o", "commands", *argv)))
            acks += read_acks("last.acks")
        last = acks[-1][0].encode()
        until("the witness prints the last event", lambda: last in pathlib.Path("witness.events").read_bytes()[-1000:])
        for part in self.services + [self.witness]:
            self.end(part)
        run(tool("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections"))
        run(tool("calc-project", "-i", "events", "-r", "rejections", "--view", "view"))
        return acks

    def check(self, acks):
        outcomes = verify(acks, rng=self.rng)
        for worker in self.writers:
            for said in worker.outcomes:
                check_status(said, outcomes[said["value_id"], said["id"]][0], "calc-submit --wait")
        refused = set().union(*(worker.refused for worker in self.workers if isinstance(worker, Client)))
        for outcome in (one for several in outcomes.values() for one in several):
            if outcome["data"]["value"] in refused:
                raise Failure(f"503 was answered, but it was written: {outcome}")
        first_difference("what a follower printed", pathlib.Path("witness.events").read_bytes(),
                         "events", pathlib.Path("events").read_bytes())
        lines = pathlib.Path("witness.err").read_bytes().splitlines(keepends=True)
        first_difference("the rejections that a follower printed", b"".join(i for i in lines if i.startswith(b"{")),
                         "rejections", pathlib.Path("rejections").read_bytes())
        self.stats["acknowledgements"] += len(acks)
        self.stats["of these by HTTP"] += sum(position is None for _, _, position in acks)
        self.stats["503 answers"] += len(refused)
        self.stats["outcomes seen by --wait"] += sum(len(writer.outcomes) for writer in self.writers)
        for name in ("commands", "events", "rejections"):
            self.stats[name] += pathlib.Path(name).read_bytes().count(b"\n")

    def run(self):
        try:
            self.start()
            self.chaos()
            acks = self.finish()
        finally:
            self.ending.set()
            self.gate.set()
            for part in self.services + [self.witness]:
                part.kill()
            for writer in self.writers + [self.rebuilder]:
                while writer.is_alive():
                    writer.part.signal(signal.SIGKILL)
                    writer.join(0.05)
            self.witness_out.close()
        self.check(acks)


def print_stats(stats, seconds):
    print(f"{stats.pop('rounds')} rounds in {seconds:.0f} seconds")
    for name in sorted(stats):
        print(f"{stats[name]:10} {name}")


def main():
    options = argparse.ArgumentParser(description="kill -9 under load, then the oracle")
    options.add_argument("--rounds", type=int, default=8)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--seconds-per-round", type=float, default=3)
    options = options.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    stats, begin, home = collections.Counter(rounds=0), time.monotonic(), os.getcwd()
    print(f"soak.py --rounds {options.rounds} --seed {options.seed} --seconds-per-round {options.seconds_per_round}"
          f", tools in {BIN}", flush=True)
    for number in range(options.rounds):
        folder = tempfile.mkdtemp(prefix="soak-")
        os.chdir(folder)
        try:
            Round(options.seed + number, options.seconds_per_round, stats).run()
        except Failure as failure:
            print_stats(stats, time.monotonic() - begin)
            sys.exit(f"soak.py: round {number} (seed {options.seed + number}) failed; its folder is {folder}\n{failure}")
        os.chdir(home)
        shutil.rmtree(folder)
        stats["rounds"] += 1
        if (number + 1) % 10 == 0:
            print(f"{number + 1} rounds, {stats['acknowledgements']} acknowledgements", flush=True)
    print_stats(stats, time.monotonic() - begin)


if __name__ == "__main__":
    main()

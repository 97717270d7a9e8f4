#!/usr/bin/env python3
"""Subscribers that are killed and resumed from their last cursor while events pass, the projector and calc-cgi are
killed as well, and the view is rebuilt: each hears every event and rejection once, and those of each log in its
order.

    watch.py [--events N] [--kills N] [--seed S]

The subscribers: calc-watch of everything, calc-watch of one value, and streams of server-sent events of both, by
FastCGI. What is counted: every line that they took before they were killed.
"""
import argparse
import os
import pathlib
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from fcgi import BEGIN, PARAMS, STDIN, STDOUT, RESPONDER, _pairs, _record
from parts import DEADLINE, Failure, Part, environment, run, tool, until

VALUES = 50
ONE = "00000000-0000-4000-8000-000000000007"


def make_input(first, count):
    """Creates, and updates, some of which are rejected."""
    lines = []
    for i in range(first, first + count):
        value = f"00000000-0000-4000-8000-{i % VALUES:012}"
        if i < VALUES:
            lines.append(f'{{"action":"CreateValue","id":"{value}","data":{{"value_id":"{value}","value":1}}}}')
        else:
            more = ',"expected_version":0' if i % 7 == 0 else ""
            lines.append(f'{{"action":"UpdateValue","id":"11111111-1111-4111-8111-{i:012}","data":{{"value_id":"{value}",'
                         f'"operation":"ADD","value":1}}{more}}}')
    return "".join(line + "\n" for line in lines)


class Subscriber(threading.Thread):
    """Takes lines until it is killed, and again; told are (cursor, line)."""

    def __init__(self, name, kills, events, seed):
        super().__init__(daemon=True)
        self.name, self.rng, self.told, self.failure = name, random.Random(f"{seed}/{name}"), [], None
        self.ends = sorted(self.rng.sample(range(1, events), kills))
        self.wanted, self.killed, self.retries = None, 0, 0

    def run(self):
        try:
            while not self.is_done():
                target = self.ends[0] if self.ends else None
                for cursor, line in self.subscribe(self.told[-1][0] if self.told else "beginning"):
                    self.told.append((cursor, line))
                    if target is not None and len(self.told) >= target:
                        self.ends.pop(0)
                        self.killed += 1
                        break
                    if self.is_done():
                        break
                self.kill()
        except Exception as failure:  # told by the main thread
            self.failure = failure

    def is_done(self):
        return self.wanted is not None and len(self.told) >= self.wanted


class Watch(Subscriber):
    """calc-watch, killed by SIGKILL: what is left in the pipe is lost."""
    process = None

    def subscribe(self, cursor):
        values = [ONE] if "one" in self.name else []
        with open("watch.err", "ab") as errors:
            self.process = subprocess.Popen(tool("calc-watch", "--view", "view", "--from", cursor, *values),
                                            stdout=subprocess.PIPE, stderr=errors, env=environment())
        for line in self.process.stdout:
            if not line.endswith(b"\n"):
                raise Failure(f"{self.name}: a torn line: {line}")
            plain, _, cursor = line.decode().rstrip("\n").rpartition(',"cursor":"')
            yield cursor.removesuffix('"}'), plain + "}"
        raise Failure(f"{self.name} ended by itself: {self.process.wait()}")

    def kill(self):
        self.process.kill()
        self.process.stdout.close()
        self.process.wait()


class Stream(Subscriber):
    """Server-sent events by FastCGI; killed in the middle of whatever it reads."""
    connection = None

    def subscribe(self, cursor):
        path = f"/values/{ONE}/events" if "one" in self.name else "/events"
        params = {"REQUEST_METHOD": "GET", "REQUEST_URI": path, "QUERY_STRING": "from=beginning", "SCRIPT_NAME": ""}
        if cursor != "beginning":
            params["HTTP_LAST_EVENT_ID"] = cursor
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.settimeout(DEADLINE)
        try:
            self.connection.connect("cgi.sock")
            self.connection.sendall(_record(BEGIN, struct.pack("!HB5x", RESPONDER, 0)) + _record(PARAMS, _pairs(params)) +
                                    _record(PARAMS, b"") + _record(STDIN, b""))
            yield from self.read()
        except (ConnectionError, FileNotFoundError):
            time.sleep(0.02)  # calc-cgi was killed: again, as a browser would
        self.retries += 1

    def read(self):
        raw = text = b""
        while some := self.connection.recv(self.rng.choice([100, 4096, 65536])):
            raw += some
            while len(raw) >= 8:
                _, kind, _, size, padding, _ = struct.unpack("!BBHHBB", raw[:8])
                if len(raw) < 8 + size + padding:
                    break
                if kind == STDOUT:
                    text += raw[8:8 + size]
                raw = raw[8 + size + padding:]
            while b"\n\n" in text.replace(b"\r\n\r\n", b"\n\n", 1):
                block, _, text = text.partition(b"\r\n\r\n" if text.startswith(b"Status") else b"\n\n")
                if block.startswith(b"Status: 503"):
                    return
                if block.startswith(b"Status") and not block.startswith(b"Status: 200"):
                    raise Failure(f"{self.name}: {block + text}")
                lines = dict(line.split(": ", 1) for line in block.decode().split("\n") if ": " in line)
                if "data" in lines:
                    yield lines["id"], lines["data"]

    def kill(self):
        self.connection.close()


def records(path):
    return pathlib.Path(path).read_text().splitlines()


def check(subscriber, logs):
    """Every record once, each log's in its order."""
    told = [line for _, line in subscriber.told]
    for name, lines in logs.items():
        wanted = [line for line in lines if "one" not in subscriber.name or f'"value_id":"{ONE}"' in line]
        heard = [line for line in told if ('"CommandRejected"' in line) == (name == "rejections")]
        if heard != wanted:
            first = next((i for i, pair in enumerate(zip(heard, wanted)) if pair[0] != pair[1]), min(len(heard), len(wanted)))
            raise Failure(f"{subscriber.name}: {name}: heard {len(heard)} of {len(wanted)}, the first difference is at "
                          f"{first}:\n{heard[first:first + 1]}\n{wanted[first:first + 1]}")


class Calculator:
    def __init__(self):
        pathlib.Path("commands").touch()
        self.handler = Part("handler", tool("calc-handle", "-f", "-i", "commands", "-o", "events", "-r", "rejections"))
        self.projector = Part("projector", tool("calc-project", "-f", "-i", "events", "-r", "rejections", "--view", "view"))
        self.cgi = self.make_server()
        self.parts = self.handler, self.projector, self.cgi
        for part in self.parts:
            part.start()
        until("there is a view", lambda: pathlib.Path("view/current").exists())

    def make_server(self):
        return Part("cgi", tool("calc-cgi", "--listen", "cgi.sock"),
                    {"CALC_COMMANDS": "commands", "CALC_VIEW": "view", "CALC_STREAMS": "100"})

    def kill_server(self):
        self.cgi.kill()
        self.cgi.start()

    def disturb(self, turn):
        """Kills the projector, or calc-cgi, or rebuilds the view."""
        if turn % 3 == 0:
            self.projector.kill()
            self.projector.start()
        elif turn % 3 == 1:
            self.kill_server()
        else:
            run(tool("calc-project", "--rebuild", "-i", "events", "-r", "rejections", "--view", "view"))

    def end(self):
        for part in self.parts:
            part.end()

    def kill(self):
        for part in self.parts:
            part.kill()


def experiment(given, kind, who):
    calculator = kind()
    try:
        observe(given, calculator, who)
    finally:
        calculator.kill()


def observe(given, calculator, who):
    share = given.events // VALUES  # about what the one value has
    subscribers = [kind(f"{kind.__name__} {what}", given.kills, (given.events if what == "all" else share) * 9 // 10,
                        given.seed)
                   for kind, what in who]
    for subscriber in subscribers:
        subscriber.start()
    turns = 12
    for turn in range(turns):
        first = given.events * turn // turns
        run(tool("calc-submit", "-o", "commands"), input=make_input(first, given.events * (turn + 1) // turns - first).encode())
        # what is no command, a submitter leaves out: it is appended by somebody who doesn't know the rules
        with open("commands", "ab") as log:
            log.write(b"no command\n")
        calculator.disturb(turn)
    until("all is decided", lambda: sum(len(records(name)) for name in ("events", "rejections")) >=
          len(records("commands")), DEADLINE * 3)
    logs = {name: records(name) for name in ("events", "rejections")}
    for subscriber in subscribers:
        one = [line for lines in logs.values() for line in lines if f'"value_id":"{ONE}"' in line]
        subscriber.wanted = len(one) if "one" in subscriber.name else sum(map(len, logs.values()))
    for subscriber in subscribers:
        until(f"{subscriber.name} has heard all of it", lambda: subscriber.failure or subscriber.is_done(), DEADLINE * 3)
        if subscriber.failure:
            raise subscriber.failure
    calculator.end()
    for subscriber in subscribers:
        check(subscriber, logs)
        if subscriber.killed < given.kills:
            raise Failure(f"{subscriber.name} was killed only {subscriber.killed} times")
        print(f"{subscriber.name}: {len(subscriber.told)} told once each, killed {subscriber.killed} times, "
              f"came again {subscriber.retries} times")


EVERYBODY = tuple((kind, what) for kind in (Watch, Stream) for what in ("all", "one"))


def main(calculator=Calculator, who=EVERYBODY):
    options = argparse.ArgumentParser(description="subscribers that are killed and resumed while events pass")
    options.add_argument("--events", type=int, default=100000)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options = options.parse_args()
    begin, folder = time.monotonic(), tempfile.mkdtemp(prefix="watch-")
    os.chdir(folder)
    try:
        experiment(options, calculator, who)
    except Failure as failure:
        sys.exit(f"{sys.argv[0]} --events {options.events} --kills {options.kills} --seed {options.seed}: {failure}\n"
                 f"its folder is {folder}")
    print(f"in {time.monotonic() - begin:.0f} seconds")
    os.chdir("/")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()

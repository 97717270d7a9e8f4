#!/usr/bin/env python3
"""Makes a log of commands from the cases beside it, with what must come of it.

    build.py FOLDER

Every case (bad.txt: no command; good.txt: an unusual one; blank.txt: skipped) stands between
two plain commands. Writes to FOLDER:

    commands             all of it
    commands.good        without the bad lines
    events, rejections   what the oracle derives from commands
    malformed            a line a bad case: its position, and its sentence
"""

import os
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "oracle"))
from cases import expand, read_cases, uuid  # noqa: E402
from oracle import Calculator, fold  # noqa: E402

VALUE = uuid(0)


class Log:
    def __init__(self):
        self.lines = []
        self.size = 0
        self.count = 0
        self.kinds = {}  # position: (kind, sentence)

    def add(self, line, kind, name):
        self.kinds[self.size] = kind, name
        self.lines.append((kind, line))
        self.size += len(line) + 1

    def next_id(self):
        self.count += 1
        return uuid(self.count)

    def add_plain(self):
        command = '{"action":"UpdateValue","id":"%s","data":{"value_id":"%s","operation":"ADD","value":1.0}}'
        self.add((command % (self.next_id(), VALUE)).encode(), "plain", "a plain command")

    def bytes(self, without=None):
        return b"".join(line + b"\n" for kind, line in self.lines if kind != without)


def make_log():
    log = Log()
    create = '{"action":"CreateValue","id":"%s","data":{"value_id":"%s","value":0.0}}' % (log.next_id(), VALUE)
    log.add(create.encode(), "plain", "the value's creation")
    for kind in ("bad", "good", "blank"):
        for name, (line,) in read_cases(os.path.join(here, kind + ".txt"), 1):
            log.add_plain()
            log.add(expand(line, log.next_id(), VALUE), kind, name)
            log.add_plain()
    return log


def disagreement(log):
    """The first case that isn't what its file says it is, in the oracle's eyes."""
    calculator = Calculator()
    for (kind, line), (position, (_, name)) in zip(log.lines, log.kinds.items()):
        outcome = calculator.handle_line(line, position)
        malformed = outcome is not None and '"reason":"malformed"' in outcome[1]
        fine = {
            "plain": outcome is not None and outcome[0],
            "good": outcome is not None and not malformed,
            "bad": malformed,
            "blank": outcome is None,
        }
        if not fine[kind]:
            return "%s case: %s: %r" % (kind, name, outcome)
    return None


def main():
    folder = sys.argv[1]
    log = make_log()
    wrong = disagreement(log)
    if wrong:
        raise SystemExit("build.py: the oracle disagrees: " + wrong)
    commands = log.bytes()
    events, rejections, _ = fold(commands)
    malformed = ["%d %s\n" % (at, name) for at, (kind, name) in log.kinds.items() if kind == "bad"]
    files = {
        "commands": commands,
        "commands.good": log.bytes(without="bad"),
        "events": events,
        "rejections": rejections,
        "malformed": "".join(malformed).encode(),
    }
    for name, content in files.items():
        with open(os.path.join(folder, name), "wb") as file:
            file.write(content)


if __name__ == "__main__":
    main()

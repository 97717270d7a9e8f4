#!/usr/bin/env python3
"""Makes calc-submit's inputs from the cases beside it, and compares what comes of them.

    build.py make FOLDER                  writes FOLDER/inputs
    build.py make FOLDER --good           without the bad ones
    build.py compare FOLDER OUTPUT STDERR [--good]

Every bad case (bad.txt) stands between two good ones. In good.txt an input is followed by the
command that comes of it, in which <id> is a new id, <time> a timestamp of now.
Compared are each good input's command, and the numbers of the lines that stderr calls bad.
"""

import os
import re
import sys

here = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(here, "..", "..", "oracle"))
from cases import expand, read_cases, uuid  # noqa: E402

NEW_ID = rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
NOW = rb"20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\.[0-9]{6}Z"
VALUE = uuid(0)


def make_lines(good_only):
    """A list of (input, the command's pattern or None if it is bad, sentence)."""
    good = read_cases(os.path.join(here, "good.txt"), 2)
    bad = [] if good_only else read_cases(os.path.join(here, "bad.txt"), 1)
    lines = []

    def add_good():
        name, (line, command) = good[sum(pattern is not None for _, pattern, _ in lines) % len(good)]
        command_id = uuid(len(lines) + 1)
        pattern = re.escape(expand(command, command_id, VALUE))
        pattern = pattern.replace(b"<id>", NEW_ID).replace(b"<time>", NOW)
        lines.append((expand(line, command_id, VALUE), pattern, name))

    for name, (line,) in bad:
        add_good()
        lines.append((expand(line, uuid(len(lines) + 1), VALUE), None, name))
    for _ in good:  # each of them at least once
        add_good()
    return lines


def make(folder, good_only):
    with open(os.path.join(folder, "inputs"), "wb") as file:
        for line, _, _ in make_lines(good_only):
            file.write(line + b"\n")


def differences(good_only, output, stderr):
    """What isn't as the cases say, in words."""
    lines = make_lines(good_only)
    with open(output, "rb") as file:
        commands = file.read().split(b"\n")[:-1]
    with open(stderr, "rb") as file:
        said = [re.match(rb"calc-submit: line ([0-9]+): .", line) for line in file.read().splitlines()]
    numbers = [int(match[1]) for match in said if match]
    expected_numbers = [i + 1 for i, (_, pattern, _) in enumerate(lines) if pattern is None]
    for number in sorted(set(numbers) ^ set(expected_numbers)):
        kind = "is called bad" if number in numbers else "isn't called bad"
        yield "line %d %s: %s" % (number, kind, lines[number - 1][2])
    if numbers != sorted(set(numbers)):
        yield "a line is called bad twice, or out of order"
    expected = [(pattern, name) for _, pattern, name in lines if pattern is not None]
    for (pattern, name), command in zip(expected, commands):
        if not re.fullmatch(pattern, command):
            yield "%s: got %r, not %r" % (name, command, pattern)
    if len(commands) != len(expected):
        yield "%d commands, not %d" % (len(commands), len(expected))


def main():
    verb, folder, *rest = sys.argv[1:]
    good_only = "--good" in rest
    if verb == "make":
        make(folder, good_only)
        return
    found = list(differences(good_only, *(os.path.join(folder, name) for name in rest[:2])))
    for words in found[:20]:
        print(words)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()

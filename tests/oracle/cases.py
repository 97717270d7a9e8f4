"""Reads files of cases: a sentence that names the case, then its lines.

    # a number may not begin with a zero
    {"value":01}

What can't be typed, or is too long to read, is written with a dollar sign:

    $C $V        the command's id, its value's id
    $<FF 0A>     these bytes
    $(3*text)    the text three times
    $(=80*text)  the text so often, and cut, that the whole line has 80 bytes
"""

import re

DOLLAR = re.compile(rb"\$(?:(C)|(V)|<([0-9A-Fa-f ]*)>|\((=?)([0-9]+)\*([^)]*)\))")


def read_cases(path, lines_each):
    """A list of (sentence, its lines as bytes, still with dollar signs)."""
    with open(path, "rb") as file:
        lines = file.read().split(b"\n")
    cases, at = [], 0
    while at < len(lines):
        if not lines[at].startswith(b"# "):
            if lines[at]:
                raise SystemExit("%s:%d: no '# sentence' before this line" % (path, at + 1))
            at += 1
            continue
        cases.append((lines[at][2:].decode(), lines[at + 1 : at + 1 + lines_each]))
        at += 1 + lines_each
    names = [name for name, _ in cases]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise SystemExit("%s: two cases have one name: %s" % (path, ", ".join(sorted(twice))))
    return cases


def expand(line, command_id, value_id):
    """The bytes that a case's line stands for."""
    fill = None

    def one(match):
        nonlocal fill
        if match[1]:
            return command_id.encode()
        if match[2]:
            return value_id.encode()
        if match[3] is not None:
            return bytes.fromhex(match[3].decode())
        if not match[4]:
            return int(match[5]) * match[6]
        fill = int(match[5]), match[6]
        return b"\0fill\0"

    line = DOLLAR.sub(one, line)
    if fill:
        before, after = line.split(b"\0fill\0")
        length = fill[0] - len(before) - len(after)
        line = before + (fill[1] * length)[:length] + after
    return line


def uuid(number):
    return "0193b000-0000-7000-8000-%012x" % number

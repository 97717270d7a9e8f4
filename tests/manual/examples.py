#!/usr/bin/env python3
"""Runs the examples of manual pages, or of the README: the literal blocks of EXAMPLES, in which
lines that begin with "$ " are commands and the others are what these print, to stdout and stderr.
The blocks of a page are one story, told in one shell in a folder of its own.

Ids and times that the page shows stand for those that come: an id has to appear again wherever
the page has it again. With --exact nothing stands for anything else. Port 3030 is replaced by a
free one. Prints every difference, and exits 1 if there was one or no example was found."""
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ID = r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"
ESCAPES = ((r"\(aq", "'"), (r"\-", "-"), (r"\&", ""), (r"\e", "\\"))


def examples(page):
    """Pairs of a command and what it should print."""
    found = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh |\Z)", open(page).read(), re.S | re.M)
    blocks = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", found[1] if found else "", re.S | re.M)
    pairs = []
    for line in "".join(blocks).splitlines():
        for escape, plain in ESCAPES:
            line = line.replace(escape, plain)
        if line.startswith("$ "):
            pairs.append([line[2:], ""])
        elif pairs[-1][0].endswith("\\"):
            pairs[-1][0] += "\n" + line
        else:
            pairs[-1][1] += line + "\n"
    return pairs


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def run(commands, folder):
    """What each of the commands prints."""
    # outside of the folder in which they run, and a group a command: `$?` stays the last one's
    printed = [f"{folder}/printed.{i}" for i in range(len(commands))]
    script = "".join(f"{{ {command}\n}} >{name} 2>&1\n" for command, name in zip(commands, printed))
    os.mkdir(f"{folder}/here")
    os.symlink(f"{ROOT}/cmd", f"{folder}/here/cmd")  # "from the folder of the sources"
    shell = subprocess.Popen(["bash", "-c", script.replace("3030", free_port())],
                             cwd=f"{folder}/here", stdin=subprocess.DEVNULL, start_new_session=True)
    try:
        shell.wait(timeout=120)
    finally:
        try:
            os.killpg(shell.pid, signal.SIGTERM)  # what the examples left running
        except ProcessLookupError:
            pass
    return [open(name).read() if os.path.exists(name) else "" for name in printed]


class Words:
    """Names ids by the order in which they come up."""

    def __init__(self):
        self.names = {}

    def plain(self, text):
        def name(found):
            return self.names.setdefault(found[0], f"ID{len(self.names)}")

        return re.sub(TIME, "TIME", re.sub(ID, name, text))


def differences(page, exact):
    pairs = examples(page)
    wanted, come = Words(), Words()
    count = 0
    with tempfile.TemporaryDirectory() as folder:
        printed = run([command for command, _ in pairs], folder)
    for (command, expected), got in zip(pairs, printed):
        for words in (wanted, come):
            words.plain(command)
        if got != expected and (exact or come.plain(got) != wanted.plain(expected)):
            count += 1
            print(f"{page}: $ {command}\n--- expected\n{expected}--- printed\n{got}---")
    print(f"{page}: {len(pairs)} commands, {count} different")
    return count if pairs else 1


pages = [name for name in sys.argv[1:] if name != "--exact"]
results = [differences(page, "--exact" in sys.argv) for page in pages]
sys.exit(1 if any(results) else 0)

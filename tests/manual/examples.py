#!/usr/bin/env python3
"""Runs the examples of manual pages: in EXAMPLES, the literal blocks, whose lines that begin with
"$ " are commands and whose others are what these print. UUIDs and times are compared as words.
Says every difference, counts the commands, and exits 1 if there was one or none was found."""
import re
import subprocess
import sys
import tempfile


def blocks(page):
    """The literal blocks of the page's EXAMPLES, mdoc's escapes undone."""
    text = open(page).read()
    examples = re.search(r"^\.Sh EXAMPLES\n(.*?)(?=^\.Sh )", text, re.S | re.M)
    found = re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed", examples[1] if examples else "", re.S | re.M)
    return [block.replace(r"\e", "\\") for block in found]


def steps(block):
    """Pairs of a command, with its continued lines, and what it should print."""
    pairs = []
    for line in block.splitlines():
        if line.startswith("$ "):
            pairs.append([line[2:], ""])
        elif pairs and pairs[-1][0].endswith("\\"):
            pairs[-1][0] += "\n" + line
        else:
            pairs[-1][1] += line + "\n"
    return pairs


def plain(text):
    text = re.sub(r"[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}", "UUID", text)
    return re.sub(r"\d{4}-\d\d-\d\dT[0-9:.]+Z", "TIME", text)


def run(block):
    """What each command of a block prints, in one shell in a folder of its own."""
    commands = [command for command, _ in steps(block)]
    script = "".join(f"{command}\nprintf '\\36'\n" for command in commands)
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(["bash"], input=script, capture_output=True, text=True, cwd=folder,
                              timeout=60)
    return done.stdout.split("\36")[:-1], done.stderr


count = wrong = 0
for page in sys.argv[1:]:
    for block in blocks(page):
        printed, errors = run(block)
        for (command, expected), got in zip(steps(block), printed):
            count += 1
            if plain(got) != expected:
                wrong += 1
                print(f"{page}: $ {command}\nexpected: {expected}printed:  {plain(got)}{errors}")
print(f"{count} commands, {wrong} different")
sys.exit(wrong > 0 or count == 0)

#!/usr/bin/env python3
"""What calc-get must answer about the past, told a second time.

    history.py commands --seed N --commands M    a log of commands whose times jump, or are absent
    history.py check COMMANDS VIEW --seed N      asks calc-get about every value of the view that was
                                                 folded from them: its history, and what it was at
                                                 versions and at times, and compares

`check` says the first difference and exits 1; else it says how much it compared.
"""

import argparse
import json
import random
import subprocess
import sys

from oracle import fold, read_file

BEFORE_ALL_TIME = ""  # canonical times are compared as texts, and this one is less than all


def new_id(chance):
    text = "%032x" % chance.getrandbits(128)
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def spell_time(micros):
    seconds, micros = divmod(micros, 1000000)
    minutes, seconds = divmod(seconds, 60)
    return "2026-11-23T%02d:%02d:%02d.%06dZ" % (*divmod(minutes, 60), seconds, micros)


def make(args):
    """A few values with histories of all lengths, some longer than any page."""
    chance = random.Random(args.seed)
    values = [new_id(chance) for _ in range(12)]
    weights = [2**i for i in range(len(values))]
    now, created = 3600 * 1000000, set()
    for _ in range(args.commands):
        value = chance.choices(values, weights)[0]
        now += chance.choice((0, 1, 1, 1000000, 17, -3, -2000000))
        timestamp = "" if chance.random() < 0.4 else ',"timestamp":"%s"' % spell_time(now)
        actor = "" if chance.random() < 0.5 else ',"actor":"%s"' % ("x" * chance.randrange(1, 257))
        operation, action = '"operation":"%s",' % chance.choice(("ADD", "MULTIPLY")), "UpdateValue"
        if value not in created or chance.random() < 0.05:
            operation, action = "", "CreateValue"
            created.add(value)
        print(
            '{"action":"%s","id":"%s","data":{"value_id":"%s",%s"value":%d}%s%s}'
            % (action, new_id(chance), value, operation, chance.randrange(-3, 4), timestamp, actor)
        )
    return 0


def histories(events):
    """Each value's events in order, as (line, members, effective time)."""
    found = {}
    for line in events.splitlines():
        event = json.loads(line)
        history = found.setdefault(event["data"]["value_id"], [])
        before = history[-1][2] if history else BEFORE_ALL_TIME
        history.append((line.decode() + "\n", event, event.get("timestamp", before)))
    return found


def spell_state(event):
    timestamp = ',"timestamp":"%s"' % event["timestamp"] if "timestamp" in event else ""
    return '{"value_id":"%s","value":%r,"version":%d%s}\n' % (
        event["data"]["value_id"],
        event["result"],
        event["version"],
        timestamp,
    )


def as_of(history, time):
    """The state by the highest version that isn't later, or None."""
    known = [event for _, event, effective in history if effective <= time]
    return spell_state(max(known, key=lambda event: event["version"])) if known else None


def ask(view, options, ids, expected):
    """Compares calc-get's answers about some values with a list of texts, None being a clean no."""
    run = subprocess.run(
        ["calc-get", "--view", view, *options],
        input="".join(value + "\n" for value in ids).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    noes = expected.count(None)
    wanted = "".join(text or "" for text in expected).encode()
    if run.stdout == wanted and run.returncode == (noes > 0) and len(run.stderr.splitlines()) == noes:
        return len(ids)
    print("calc-get %s exits %d" % (" ".join(options), run.returncode), file=sys.stderr)
    pairs = zip(run.stdout.splitlines() + [b"its end"], wanted.splitlines() + [b"its end"])
    for found, expected_line in pairs:
        if found != expected_line:
            print("  expected %r\n  found    %r" % (expected_line, found), file=sys.stderr)
            break
    sys.exit(1)


def check(args):
    chance = random.Random(args.seed)
    events, _, _ = fold(read_file(args.commands))
    found = histories(events)
    ids = sorted(found) + [new_id(chance)]
    longest = max(len(history) for history in found.values())
    times = {effective for history in found.values() for _, _, effective in history} - {BEFORE_ALL_TIME}
    versions = {0, 1, 2, 63, 64, 65, 127, 128, longest, longest + 1, 2**64 - 1}
    versions.update(chance.randrange(longest) for _ in range(40))
    times = set(chance.sample(sorted(times), 80)) | {min(times), max(times)}
    times |= {time[:-2] + str(chance.randrange(10)) + "Z" for time in times}
    times |= {"0001-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999Z"}

    compared = ask(args.view, ["--history"], ids, [
        "".join(line for line, _, _ in found[value]) if value in found else None for value in ids
    ])  # fmt: skip
    for version in versions:
        compared += ask(args.view, ["--at-version", str(version)], ids, [
            spell_state(found[value][version - 1][1])
            if value in found and 1 <= version <= len(found[value])
            else None
            for value in ids
        ])  # fmt: skip
    for time in times:
        compared += ask(args.view, ["--as-of", time], ids, [as_of(found.get(value, []), time) for value in ids])
    print("%d answers, %d events, the longest history has %d" % (compared, len(events.splitlines()), longest))
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    making = verbs.add_parser("commands")
    making.add_argument("--commands", type=int, required=True)
    making.set_defaults(run=make)
    checking = verbs.add_parser("check")
    checking.add_argument("commands")
    checking.add_argument("view")
    checking.set_defaults(run=check)
    for verb in (making, checking):
        verb.add_argument("--seed", type=int, required=True)
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())

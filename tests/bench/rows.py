"""What rows are made of: contenders that take turns, and how their times are told."""
import os
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("CALC_BIN", os.path.join(ROOT, "build", "bin"))
COUNT = int(os.environ.get("COMMANDS", "1000000"))
RUNS = 3
STARTS = 500

os.environ["PATH"] = BIN + ":" + os.environ["PATH"]
for name in ("CALC_VIEW", "CALC_COMMANDS", "LOG_LEVEL"):
    os.environ.pop(name, None)

rows = []


def shell(command):
    subprocess.run(["bash", "-c", "set -euo pipefail\n" + command], check=True)


def seconds(command):
    """How long a shell command takes."""
    begin = time.perf_counter()
    shell(command)
    return time.perf_counter() - begin


def microseconds(*command):
    """How long one start of a program takes."""
    return float(subprocess.run(["./spawn", str(STARTS), *command], check=True,
                                stdout=subprocess.PIPE).stdout)


def measure(*contenders, runs=RUNS):
    """The times of each contender, in order. They take turns, so that a slow minute is everybody's."""
    times = [[] for _ in contenders]
    for _ in range(runs):
        for contender, taken in zip(contenders, times):
            taken.append(contender())
    return times


def timed(command):
    return lambda: seconds(command)


def spread(times, form):
    return f"{form(statistics.median(times))} ({form(min(times))} to {form(max(times))})"


def in_seconds(taken):
    return f"{taken:.2f} s"


def in_microseconds(taken):
    return f"{taken:.0f} us"


def row(what, ours, against, theirs, goal=None):
    """A row: ours and a yardstick's times, and how many times faster we are."""
    ratio = statistics.median(theirs) / statistics.median(ours)
    verdict = ""
    if goal:
        verdict = f"at least {goal:g}: " + ("reached" if ratio >= goal else "MISSED")
    rows.append((what, spread(ours, in_seconds), against + " " + spread(theirs, in_seconds),
                 f"{ratio:.2f} x", verdict))


def rate(what, ours, count, unit, goal=None):
    """A row: our times for so many, and how many that is in a second."""
    reached = count / statistics.median(ours)
    verdict = ""
    if goal:
        verdict = f"at least {goal:,}: " + ("reached" if reached >= goal else "MISSED")
    rows.append((what, spread(ours, in_seconds), "", f"{reached:,.0f} {unit}/s", verdict))


def show():
    heads = ("what", "ours", "yardstick", "ratio", "goal")
    widths = [max(len(line[i]) for line in [heads, *rows]) for i in range(len(heads))]
    for line in [heads, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    missed = sum("MISSED" in line[-1] for line in rows)
    if missed:
        print(f"{missed} of the goals {'was' if missed == 1 else 'were'} missed.")

"""What rows are made of: contenders that take turns, how their times are told, and what is judged."""
import os
import statistics
import subprocess
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("CALC_BIN", os.path.join(ROOT, "build", "bin"))
DEFAULT_COUNT = 1000000
COUNT = int(os.environ.get("COMMANDS", DEFAULT_COUNT))
RUNS = 3
STARTS = 500

os.environ["PATH"] = BIN + ":" + os.environ["PATH"]
for name in ("CALC_VIEW", "CALC_COMMANDS", "CALC_POLICY", "LOG_LEVEL"):
    os.environ.pop(name, None)

HEADS = ("what", "ours", "yardstick", "ratio", "goal")
rows = []


# --- measuring ---

def shell(command):
    subprocess.run(["bash", "-c", "set -euo pipefail\n" + command], check=True)


def compile_c(name, *libraries):
    """One of this folder's programs, into the working folder; those that use libcalc.a name it."""
    shell(f"cc -O2 -std=gnu11 -D_GNU_SOURCE -I{ROOT}/lib -o {name} {HERE}/{name}.c {' '.join(libraries)}")


LIBCALC = (f"{os.path.dirname(BIN)}/libcalc.a -ljansson -luuid -Wl,-Bstatic -llmdb -lnettle -Wl,-Bdynamic "
           "-lpthread -lm")


def seconds(command):
    """How long a shell command takes."""
    begin = time.perf_counter()
    shell(command)
    return time.perf_counter() - begin


def timed(command):
    return lambda: seconds(command)


def microseconds(*command):
    """How long one start of a program takes."""
    return float(subprocess.run(["./spawn", str(STARTS), *command], check=True,
                                stdout=subprocess.PIPE).stdout)


def used(*command, stdin="/dev/null"):
    """A program's processor seconds, and the most memory it had, in bytes; what it prints is dropped."""
    with open(stdin, "rb") as given, open("/dev/null", "wb") as dropped:
        process = subprocess.Popen(command, stdin=given, stdout=dropped, stderr=dropped)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def measure(*contenders, runs=RUNS):
    """The times of each contender, in order. They take turns, so that a slow minute is everybody's."""
    times = [[] for _ in contenders]
    for _ in range(runs):
        for contender, taken in zip(contenders, times):
            taken.append(contender())
    return times


# --- telling ---

def in_seconds(taken):
    return f"{taken:.2f} s"


def in_milliseconds(taken):
    return f"{taken:.2f} ms"


def in_microseconds(taken):
    return f"{taken:.0f} us"


def in_rate(rate):
    return f"{rate:,.0f}/s"


def in_instructions(count):
    return f"{count:,.0f} instructions"


def in_bytes(count):
    return f"{count:.0f} bytes"


def spread(times, form):
    """The median, with the least and the most of several."""
    if len(times) == 1:
        return form(times[0])
    return f"{form(statistics.median(times))} ({form(min(times))} to {form(max(times))})"


def judged(reached, goal, told, most=False):
    """What became of a goal: a missed one is told, and never hidden."""
    met = reached <= goal if most else reached >= goal
    return f"{'at most' if most else 'at least'} {told}: {'reached' if met else 'MISSED'}"


def row(what, ours, yardstick="", ratio="", goal=""):
    rows.append((what, ours, yardstick, ratio, goal))


def compare(what, ours, against, theirs, goal=None, form=in_seconds, more=False, most=False):
    """A row beside a yardstick: how many times faster, of times, or of what a second has if `more`; with
    `most` how many times as long, which should be little."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    ratio = mine / other if more or most else other / mine
    told = f"{ratio:.2f} x" if ratio >= 0.2 else f"{ratio:.3f} x"
    row(what, spread(ours, form), f"{against} {spread(theirs, form)}", told + " as long" * most,
        judged(ratio, goal, f"{goal:.3g} x", most) if goal else "")


def rate(what, ours, count, unit, goal=None):
    """A row without a yardstick: our times for so many, and how many that is in a second."""
    reached = count / statistics.median(ours)
    row(what, spread(ours, in_seconds), "", f"{reached:,.0f} {unit}/s",
        judged(reached, goal, f"{goal:,} {unit}/s") if goal else "")


def limit(what, ours, form, goal, told):
    """A row without a yardstick: what we take, and the most that it should be."""
    row(what, spread(ours, form), "", "", judged(statistics.median(ours), goal, told, True))

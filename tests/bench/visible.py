"""The rows of one command to visible in the view, beside a record that is copied on the same path: each is
written when the one before is visible, and the median and the 99th percentile of that are taken."""
import os
import signal
import subprocess

from rows import LIBCALC, compare, compile_c, in_milliseconds, measure

COUNT = 400


def prepare():
    compile_c("hop", "-llmdb -lrdkafka")
    compile_c("visible", LIBCALC + " -lrdkafka")


def times(log, view, *steps):
    """The two of COUNT commands, with these programs between the log and the view."""
    processes = []
    try:
        for number, step in enumerate(steps):
            with open(f"step-{number}.log", "ab") as told:
                processes.append(subprocess.Popen(step, stderr=told))
        return [float(word) for word in subprocess.run(["./visible", str(COUNT), log, view], check=True, text=True,
                                                       stdout=subprocess.PIPE).stdout.split()]
    finally:
        for process in processes:
            process.send_signal(signal.SIGTERM)
        for process in processes:
            process.wait()


def lmdb(name):
    """A folder for hop's output, with what is waited for in it."""
    os.makedirs(name)
    with open(f"{name}/wake", "wb"):
        pass
    return f"lmdb:{name}"


def tell(path, ours, theirs):
    for index, name, goal in ((0, "p50", 1.3), (1, "p99", 2)):
        mine, other = [taken[index] for taken in ours], [taken[index] for taken in theirs]
        compare(f"one command to visible in the view, {path}, {name}", mine, "bare copy", other, goal, in_milliseconds,
                most=True)


def files():
    prepare()
    number = iter(range(1000))

    def calc():
        name = f"visible-{next(number)}"
        log, events, rejections, view = (f"{name}-{part}" for part in ("commands", "events", "rejections", "view"))
        return times(log, view, ["calc-handle", "-f", "-i", log, "-o", events, "-r", rejections],
                     ["calc-project", "-f", "-i", events, "-r", rejections, "--view", view])

    def copy(to="lmdb"):
        name = f"copied-{next(number)}"
        log, events, view = f"{name}-commands", f"{name}-events", lmdb(name)
        return times(log, view, ["./hop", log, events], ["./hop", events, view.replace("lmdb", to, 1)])

    def deferred():
        return copy("deferred")

    ours, theirs, others = measure(calc, copy, deferred, runs=9)
    tell("files", ours, theirs)
    compare("one command to visible in the view, files, p50", [taken[0] for taken in ours], "copy, its meta page deferred",
            [taken[0] for taken in others], form=in_milliseconds, most=True)

"""ONLY=growth: how the cost of a command, an event, a query and a line grows with the count of values.

Everything is processor time, which a busy machine changes less than the clock's: of a command and a
query in a process that has all values already, and of what the next so many cost; what is on disk goes on
from there each time, as it would in use."""
import fcntl
import os
import shutil
import statistics
import struct
import subprocess
import termios
import time

import report
from rows import COUNT, DEFAULT_COUNT, HERE, RUNS, compile_c, shell, used

SIZES = [COUNT // 100, COUNT // 10, COUNT, 10 * COUNT]
MORE = COUNT // 5  # at a time, on top of the values
COLUMNS = (("handle", "calc-handle, a pipe: a command"), ("handle_files", "calc-handle, files: a command"),
           ("project", "calc-project: an event"), ("get", "calc-get: a query"), ("watch", "calc-watch: a line"),
           ("handle_start", "calc-handle, files: a start"), ("get_start", "calc-get ID: a process"),
           ("watch_start", "calc-watch at a cursor: a start"))
DRAWN = f"{HERE}/growth"


class Fed:
    """A filter on a pipe, and what it has spent of the processor when it waits for more."""

    def __init__(self, *command):
        with open("/dev/null", "wb") as dropped:
            self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=dropped, stderr=dropped)

    def spent(self):
        total = 0
        for task in os.listdir(f"/proc/{self.process.pid}/task"):
            with open(f"/proc/{self.process.pid}/task/{task}/schedstat", encoding="ascii") as file:
                total += int(file.read().split()[0])
        return total / 1e9

    def idle(self):
        """Until it has read all, and spends nothing more."""
        before = -1
        while True:
            unread = struct.unpack("i", fcntl.ioctl(self.process.stdin, termios.FIONREAD, b"1234"))[0]
            now = self.spent()
            if unread == 0 and now == before:
                return now
            before = now
            time.sleep(0.05)

    def feed(self, command):
        """Seconds for what a shell command writes."""
        before = self.idle()
        subprocess.run(["bash", "-c", command], check=True, stdout=self.process.stdin)
        return self.idle() - before

    def end(self):
        self.process.stdin.close()
        if self.process.wait():
            raise RuntimeError(f"{self.process.args[0]}: exit status {self.process.returncode}")


def a_piece(seconds):
    """Microseconds, the median of several times MORE."""
    return statistics.median(seconds) / MORE * 1e6


def starts(*command):
    return statistics.median(used(*command)[0] for _ in range(5)) * 1e6


def filters(size, cost):
    handler = Fed("calc-handle")
    handler.feed(f"./many creates 0 {size}")
    cost["handle"] = a_piece([handler.feed(f"./many updates {size} {i * MORE} {(i + 1) * MORE}") for i in range(RUNS)])
    handler.end()


def folded(size, cost):
    """On files: what is there is extended by MORE commands at a time."""
    handle = ("calc-handle", "-i", "commands", "-o", "events", "-r", "rejections")
    project = ("calc-project", "-i", "events", "-r", "rejections", "--view", "view")
    shell(f"rm -rf commands events* rejections* view && ./many creates 0 {size} >commands")
    used(*handle)
    used(*project)
    cost["handle_start"] = starts(*handle)
    handled, applied = [], []
    for i in range(RUNS):
        shell(f"./many updates {size} {i * MORE} {(i + 1) * MORE} >>commands")
        handled.append(used(*handle)[0])
        applied.append(used(*project)[0])
    cost["handle_files"], cost["project"] = a_piece(handled), a_piece(applied)


def asked(size, cost):
    """The view that was folded."""
    query = Fed("calc-get", "--view", "view")
    query.feed(f"./many ids {size} 0 {MORE}")
    cost["get"] = a_piece([query.feed(f"./many ids {size} {i * MORE} {(i + 1) * MORE}") for i in range(1, RUNS + 1)])
    query.end()
    shell("./many ids 1 0 1 >id")
    with open("id", encoding="ascii") as file:
        cost["get_start"] = starts("calc-get", "--view", "view", file.read().strip())
    shell(f"calc-watch --view view --from beginning -e | tail -n {MORE + 1} | sed -n '1p;$p' |"
          " sed 's/.*\"cursor\":\"//; s/\".*//' >cursors")
    with open("cursors", encoding="ascii") as file:
        begin, end = file.read().split()
    watch = ("calc-watch", "--view", "view", "-e", "--from")
    cost["watch"] = a_piece([used(*watch, begin)[0] for _ in range(RUNS)])
    cost["watch_start"] = starts(*watch, end)


def measured(size):
    cost = {}
    filters(size, cost)
    folded(size, cost)
    asked(size, cost)
    return cost


def draw(costs):
    """The figures as a table for gnuplot, and its plot of them."""
    with open("growth.tsv", "w", encoding="ascii") as file:
        file.write("\t".join(["values", *(name for name, _ in COLUMNS)]) + "\n")
        for size, cost in zip(SIZES, costs):
            file.write("\t".join([str(size), *(f"{cost[name]:.3f}" for name, _ in COLUMNS)]) + "\n")
    shell(f"gnuplot {HERE}/growth.gnuplot")


def bench(results):
    compile_c("many")
    costs = []
    for size in SIZES:
        costs.append(measured(size))
        print(f"{size:,} values: " + ", ".join(f"{name} {cost:.2f} us" for name, cost in costs[-1].items()), flush=True)
    draw(costs)
    if COUNT == DEFAULT_COUNT:
        shutil.copy("growth.svg", DRAWN + ".svg")
        shutil.copy("growth.tsv", DRAWN + ".tsv")
    if results:
        lines = [["microseconds of a processor, at so many values", *(f"{size:,}" for size in SIZES)]]
        lines += [[what, *(f"{cost[name]:.2f}" for cost in costs)] for name, what in COLUMNS]
        report.replace_part(results, "growth", f"By `make bench ONLY=growth`, {report.when()}.\n\n"
                            "![](tests/bench/growth.svg)\n\n" + report.markdown_table(lines))
    return 0

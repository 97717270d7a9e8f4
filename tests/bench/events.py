"""The rows of ONLY=events: subscribers to server-sent events on one process of calc-cgi, through nginx."""
import os
import shutil

from rows import LIBCALC, compile_c, row, shell
from web import Server

STREAMS, SLOW, SECONDS = 1000, 50, 5


def processor_seconds(process):
    """Of a process and its children, while they run."""
    out = 0
    for name in os.listdir("/proc"):
        try:
            fields = open(f"/proc/{name}/stat", encoding="ascii").read().rpartition(")")[2].split()
        except (OSError, NotADirectoryError):
            continue
        if name.isdigit() and str(process) in (name, fields[1]):
            out += int(fields[11]) + int(fields[12])
    return out / os.sysconf("SC_CLK_TCK")


def memory(process):
    text = open(f"/proc/{process}/status", encoding="ascii").read()
    return int(text.partition("VmRSS:")[2].split()[0])


def measure(rate, slow):
    shutil.rmtree("http-view", ignore_errors=True)
    shell(": >no-events && : >no-rejections && calc-project -i no-events -r no-rejections --view http-view")
    with Server("nginx") as server:
        cgi, nginx = (process.pid for process in server.processes)
        before, used = memory(cgi), (processor_seconds(cgi), processor_seconds(nginx))
        shell(f"./subscribers http-view {server.ports['calc-cgi']} {STREAMS} {slow} {SECONDS} {rate} >told")
        median, most, _, deliveries = map(int, open("told", encoding="ascii").read().split())
        cost = [100 * (processor_seconds(process) - had) / SECONDS for process, had in zip((cgi, nginx), used)]
        each = (memory(cgi) - before) / STREAMS
    row(f"{STREAMS} streams, {rate} events/s" + (f", {slow} slow" if slow else ""),
        f"p50 {median / 1000:,.1f} ms, p99 {most / 1000:,.1f} ms", f"{deliveries:,} told, none missing",
        f"calc-cgi {cost[0]:.0f}%, nginx {cost[1]:.0f}% of a core", f"{each:.1f} KiB a stream")


def bench():
    compile_c("subscribers", LIBCALC)
    measure(100, 0)
    measure(1000, 0)
    measure(1000, SLOW)

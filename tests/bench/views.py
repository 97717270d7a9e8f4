"""The rows of the view: how it is folded, and how it is asked."""
import json
import os
import shutil
import tempfile

from rows import LIBCALC, compare, compile_c, in_microseconds, measure, microseconds, rate, shell, timed


def count_lines(path):
    with open(path, "rb") as file:
        return sum(1 for _ in file)


def project():
    """mdb_load syncs every hundred records, so it may work in memory; its dump is of a view, sorted."""
    fold = "calc-project -i events -r rejections --view view"
    shell(f"rm -rf view && {fold} && mdb_dump -a view/current >dump")
    memory = tempfile.mkdtemp(prefix="calc-bench-", dir="/dev/shm")
    try:
        ours, load = measure(timed(f"rm -rf view && {fold}"),
                             timed(f"rm -f {memory}/* && mdb_load -f dump {memory} 2>/dev/null"))
    finally:
        shutil.rmtree(memory)
        os.remove("dump")
    rate("calc-project, history on", ours, count_lines("events"), "events", 250000)
    compare("calc-project, history on", ours, "mdb_load, sorted, in memory", load, 0.5)


def get():
    shell("[ -e view ] || calc-project -i events -r rejections --view view")
    compile_c("null_get", LIBCALC)
    with open("events", encoding="utf-8") as events:
        value = json.loads(events.readline())["data"]["value_id"]
    program = shutil.which("calc-get")
    ours, opens, bare = measure(lambda: microseconds(program, "--view", "view", value),
                                lambda: microseconds("./null_get", "view/current"),
                                lambda: microseconds("./null"), runs=15)
    compare("calc-get ID, a process", ours, "opens the LMDB file", opens, 1.2, in_microseconds, most=True)
    compare("calc-get ID, a process", ours, "does nothing", bare, None, in_microseconds, most=True)

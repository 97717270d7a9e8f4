"""Rows of what stands on disk: the handler's state, and what starts and rebuilds with a long history behind it."""
import os

from views import count_lines
from rows import COUNT, compare, in_seconds, judged, limit, measure, row, seconds, shell, spread, timed

FILES = "calc-handle -i commands -o file-events -r file-rejections"
HISTORY = 10 * COUNT
BEHIND = "calc-handle -i history -o history-events -r history-rejections"


def handle_file():
    """From file to files, all of it durable, beside the pipe that only prints."""
    def files():
        shell("rm -rf file-*")
        return seconds(FILES)

    ours, pipe = measure(files, timed("cat commands | calc-handle >/dev/null 2>&1"), runs=7)
    compare("calc-handle, file to files, with its state", ours, "a pipe", pipe, 0.6)


def history():
    """Ten times as many commands, on a tenth as many values, handled; made once for the rows below."""
    if not os.path.exists("history"):
        shell(f"(./many creates 0 {COUNT} && ./many updates {COUNT} 0 {HISTORY - COUNT}) >history && {BEHIND}")


def restart():
    history()
    ours, = measure(timed(BEHIND), runs=5)
    limit(f"calc-handle: a start with {HISTORY / 1e6:g} M commands behind it", ours, in_seconds, 1, "1.00 s")


def rebuild():
    """Once: it takes as long as all the rest of the view's rows."""
    history()
    count = count_lines("history-events")
    cat = seconds("cat history-events history-rejections >/dev/null")
    ours = seconds("calc-project --rebuild -i history-events -r history-rejections --view history-view")
    most = count / 10e6 * 60
    row(f"calc-project --rebuild, {count / 1e6:g} M events", spread([ours], in_seconds),
        "cat " + spread([cat], in_seconds), f"{cat / ours:.3f} x", judged(ours, most, f"{most:.3g} s", True))
    shell("rm -rf history-view")

"""Rows of calc-handle on files, with its state."""
from rows import COUNT, HERE, measure, row, shell, timed

FILES = "calc-handle -i commands -o file-events -r file-rejections"
BEHIND = "calc-handle -i history -o history-events -r history-rejections --state"


def handle_file():
    """From file to files, all of it durable, beside the pipe that only prints."""
    ours, pipe = measure(timed(f"rm -rf file-*; {FILES}"),
                         timed("cat commands | calc-handle >/dev/null 2>&1"))
    row("calc-handle FILE to FILEs", ours, "a pipe", pipe, 0.5)


def restart():
    """Ten times as many commands, on a tenth as many values; the state is at the end, or lags."""
    history = 10 * COUNT
    shell(f"python3 {HERE}/make.py {history} >whole-history\n"
          f"head -n {history - COUNT} whole-history >history\n"
          f"{BEHIND} state && cp -r state lagging\n"
          f"mv whole-history history && {BEHIND} state")
    ours, behind, anew = measure(timed(f"{BEHIND} state"),
                                 timed(f"rm -rf state2 && cp -r lagging state2; {BEHIND} state2"),
                                 timed(f"rm -rf state3; {BEHIND} state3"))
    what = f"restart after {history / 1e6:g} M commands"
    row(what, ours, "from the start", anew, 10)
    row(f"{what}, {COUNT / 1e6:g} M behind", behind, "from the start", anew)

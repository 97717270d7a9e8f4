"""The rows of tools that are filters: what they take a line, and what they remember."""
import subprocess

from rows import (COUNT, HERE, in_bytes, in_instructions, judged, measure, row, compare, shell, spread, timed, used)


def handle():
    ours, jq, fold, cat = measure(timed("cat commands | calc-handle >/dev/null 2>&1"),
                                  timed("cat commands | jq -c . >/dev/null"),
                                  timed(f"cat commands | python3 {HERE}/fold.py >/dev/null 2>&1"),
                                  timed("cat commands | cat >/dev/null"))
    compare("calc-handle, a pipe", ours, "jq -c .", jq, 10)
    compare("calc-handle, a pipe", ours, "Python fold", fold, 15)
    compare("calc-handle, a pipe", ours, "cat", cat, 1 / 15)


def submit():
    ours, jq = measure(timed("calc-submit <inputs >/dev/null"), timed("jq -c . <inputs >/dev/null"))
    compare("calc-submit <inputs", ours, "jq -c .", jq, 10)


# the rows that calc-sql makes of lines, without what they become in calc_values
JQ_ROWS = """def text: if . == null then "null" else "'" + (split("'") | join("''")) + "'" end;
if .action == "CommandRejected"
then "(" + ([(.id, .parent, .data.value_id, .data.operation | text), "'\\(.data.value)'", (.reason | text), "\\(.version)",
             (.data.position, .timestamp, .actor | text)] | join(",")) + "),"
else "(" + ([(.id, .parent, .action, .data.value_id, .data.operation | text), "'\\(.data.value)'", "\\(.version)",
             "'\\(.result)'", (.timestamp, .actor | text)] | join(",")) + "),"
end"""


def sql():
    shell("[ -e view ] || calc-project -i events -r rejections --view view\n"
          "calc-watch --view view --from beginning -e >all && head -n 30000 all >told && rm all")
    with open("rows.jq", "w", encoding="ascii") as program:
        program.write(JQ_ROWS)
    shell("head -n 1000 told | jq -r -f rows.jq | sort >jq-ids && head -n 1000 told >some && calc-sql <some | grep -F \"('\" |"
          " cut -c 1-40 | sort >ids && cut -c 1-40 jq-ids | comm -23 - ids | (! grep .)")
    ours, sqlite, jq = measure(timed("calc-sql <told >/dev/null"), timed("calc-sql --dialect sqlite <told >/dev/null"),
                               timed("jq -r -f rows.jq <told >/dev/null"))
    compare("calc-sql", ours, "jq -r, the rows", jq, 4)
    compare("calc-sql --dialect sqlite", sqlite, "jq -r, the rows", jq)


# --- memory ---

FIXED, A_VALUE, A_COMMAND = 20_000_000, 96, 64


def memory():
    """Of commands on one value, and of values with one command each: of several counts, since a table that
    has just grown is emptier than one that soon will."""
    commands, values = [], []
    for count in (COUNT, COUNT * 4 // 3, COUNT * 5 // 3):
        shell(f"./many creates 0 1 >grown && ./many updates 1 0 {count} >>grown")
        commands.append((used("calc-handle", stdin="grown")[1] - FIXED) / count)
        shell(f"./many creates 0 {count} >grown")
        values.append((used("calc-handle", stdin="grown")[1] - FIXED) / count)
    both = A_VALUE + A_COMMAND
    row("calc-handle, a pipe: memory a remembered command", spread(commands, in_bytes), f"above {FIXED / 1e6:g} MB", "",
        judged(max(commands), A_COMMAND, f"{A_COMMAND} bytes", True))
    row("calc-handle, a pipe: memory a value and its command", spread(values, in_bytes), f"above {FIXED / 1e6:g} MB", "",
        judged(max(values), both, f"{both} bytes", True))


# --- instructions ---

def executed(lines, *command, stdin=False):
    """Instructions that a program runs for a file of lines, by callgrind: the same on every machine."""
    with open(lines, "rb") as given:
        told = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", *command],
                              stdin=given if stdin else subprocess.DEVNULL, check=True, stdout=subprocess.DEVNULL,
                              stderr=subprocess.PIPE, text=True).stderr
    return int(told.rpartition("Collected : ")[2].split()[0])


def a_line(lines, count, *command, stdin=True):
    """What one line more costs: of so many and of half as many, with whatever is in {}."""
    shell(f"head -n {count} {lines} >whole; head -n {count // 2} {lines} >half; rm -rf view-whole view-half")
    of_whole, of_half = (executed(part, *(word.format(part) for word in command), stdin=stdin)
                         for part in ("whole", "half"))
    return (of_whole - of_half) / (count - count // 2)


def instructions():
    count = min(COUNT, 16000)
    shell(": >nothing")
    for what, lines, command, stdin in (
            ("calc-submit: an input", "inputs", ("calc-submit",), True),
            ("calc-handle, a pipe: a command", "commands", ("calc-handle",), True),
            ("calc-project --view: an event", "events",
             ("calc-project", "-i", "{}", "-r", "nothing", "--view", "view-{}"), False)):
        ours = a_line(lines, count, *command, stdin=stdin)
        jq = a_line(lines, count // 20, "jq", "-c", ".")
        compare(what, [ours], "jq -c .", [jq], form=in_instructions)

"""The table, printed and in BENCHMARKS.md, where each run replaces only what it measured."""
import os
import re
import subprocess
import time

from rows import HEADS, ROOT, rows


def said(command):
    """The first line of what a command says, or that it says nothing."""
    told = subprocess.run(["bash", "-c", command + " 2>&1 | head -n 1"], check=False, text=True, stdout=subprocess.PIPE)
    return told.stdout.strip() or "none"


def processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        model = re.search(r"model name\s*: (.*)", file.read())
    return f"{os.cpu_count()} x {model[1] if model else os.uname().machine}"


def memory():
    with open("/proc/meminfo", encoding="ascii") as file:
        return f"{int(re.search('MemTotal: *([0-9]+)', file.read())[1]) / 2**20:.0f} GiB"


def package(name):
    return said(f"dpkg-query -W -f '${{Version}}' {name}")


def machine():
    """Where it was measured, and of what, as pairs."""
    with open(os.path.join(ROOT, "scripts", "kafka"), encoding="utf-8") as script:
        kafka = re.search("^version=(.*)", script.read(), re.M)[1]
    return [("machine", f"{processor()}, {memory()}, {said('stat -f -c %T .')}"),
            ("kernel", os.uname().release),
            ("calc", said("calc-handle --version").split()[-1] + ", " + said(f"git -C {ROOT} describe --always --dirty")),
            ("gcc", said("gcc -dumpfullversion")),
            ("librdkafka", package("librdkafka1")),
            ("LMDB", package("liblmdb-dev")),
            ("jq", said("jq --version").removeprefix("jq-")),
            ("Kafka", kafka + ", Java " + said("java -version").partition('"')[2].partition('"')[0]),
            ("Python", os.sys.version.split()[0]),
            ("nginx", said("/usr/sbin/nginx -v").rpartition("/")[2])]


def when():
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def show():
    widths = [max(len(line[i]) for line in [HEADS, *rows]) for i in range(len(HEADS))]
    for line in [HEADS, *rows]:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip())
    missed = sum("MISSED" in line[-1] for line in rows)
    if missed:
        print(f"{missed} of the goals {'was' if missed == 1 else 'were'} missed.")


def markdown_table(lines):
    out = ["| " + " | ".join(line) + " |" for line in lines]
    return "\n".join([out[0], "|" + "---|" * len(lines[0]), *out[1:]])


def measured(command, heading):
    """The part that a run makes, with what one needs to know of it."""
    told = "\n".join(f"- {name}: {what}" for name, what in machine())
    escaped = [[cell.replace("|", "\\|").replace("<", "\\<") for cell in line] for line in [HEADS, *rows]]
    judged = [line[-1] for line in rows if line[-1]]
    missed = sum("MISSED" in goal for goal in judged)
    return (f"By `{command}`, {when()}. {heading}\n\n{told}\n\n"
            f"Of {len(judged)} goals {missed} {'was' if missed == 1 else 'were'} missed.\n\n{markdown_table(escaped)}")


def replace_part(path, name, text):
    """Puts a text between the marks of its part; what stands around is left as it is."""
    begin, end = f"<!-- {name}: written by tests/bench/run -->", f"<!-- end of {name} -->"
    whole = "# Benchmarks\n"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            whole = file.read()
    part = f"{begin}\n{text}\n{end}"
    if begin in whole:
        whole = whole.partition(begin)[0] + part + whole.partition(begin)[2].partition(end)[2]
    else:
        whole = f"{whole}\n{part}\n"
    with open(path + ".new", "w", encoding="utf-8") as file:
        file.write(whole)
    os.replace(path + ".new", path)

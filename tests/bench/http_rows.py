"""The rows of ONLY=http: calc-cgi behind a web server, beside a null program behind the same one."""
import json
import os
import re
import shutil
import statistics
import subprocess
import time
import urllib.request

from rows import HERE, ROOT, measure, rows, shell, spread

REQUESTS, CONNECTIONS = 8000, 32
TURNS = 9  # short ones: with four processes on two cores a run differs from the next by a quarter


def in_requests(rate):
    return f"{rate:,.0f}/s"


class Server:
    """A web server with two programs behind it, each on a port of its own."""

    def __init__(self, name, only=None):
        self.name, self.processes = name, []
        self.programs = [only] if only else ["calc-cgi", "null_fcgi"]
        self.ports = {}

    def start(self, *command, **settings):
        with open(self.path("log"), "ab") as log:
            self.processes.append(subprocess.Popen(command, env=os.environ | settings, stderr=log))

    def path(self, name):
        return os.path.abspath(f"{self.name}/{name}")

    def front(self, program, number):
        """The web server with its example configuration, on a program's socket."""
        run, port = self.path(program), str(21000 + os.getpid() % 9000 + number)
        self.ports[program] = port
        os.makedirs(run, exist_ok=True)
        with open(f"{ROOT}/cmd/calc-cgi/{self.name}-fastcgi.conf", encoding="utf-8") as example:
            text = example.read()
        if self.name == "nginx":
            text = text.replace("/run/calc", run).replace("127.0.0.1:3030", "127.0.0.1:" + port)
            text = ("user root;\n" if os.geteuid() == 0 else "") + text
        with open(f"{run}/conf", "w", encoding="utf-8") as file:
            file.write(text)
        if self.name == "nginx":
            if program == "calc-cgi":
                self.start("calc-cgi", "--listen", f"{run}/calc-cgi.sock")
            else:
                self.start("spawn-fcgi", "-n", "-s", f"{run}/calc-cgi.sock", "--", os.path.abspath(program))
            self.start("/usr/sbin/nginx", "-e", "stderr", "-c", f"{run}/conf")
        else:
            self.start("/usr/sbin/lighttpd", "-D", "-f", f"{run}/conf", CALC_RUN=run, CALC_PORT=port,
                       CALC_CGI=shutil.which(program) or os.path.abspath(program))

    def __enter__(self):
        os.environ["CALC_COMMANDS"] = self.path("commands")
        os.environ["CALC_VIEW"] = os.path.abspath("http-view")
        os.makedirs(self.path(""), exist_ok=True)
        for number, program in enumerate(self.programs):
            self.front(program, number)
        for program in self.ports:
            until_answers(self.url(program, "/healthz"))
        return self

    def url(self, program, path):
        return f"http://127.0.0.1:{self.ports[program]}{path}"

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()
        for name in ("CALC_COMMANDS", "CALC_VIEW"):
            os.environ.pop(name)


def until_answers(url):
    deadline = time.monotonic() + 20
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def rate(url, statuses, *options):
    """Requests a second by ab; all of them were answered, with 2xx or as `statuses` says."""
    text = subprocess.run(["ab", "-q", "-k", "-n", str(REQUESTS), "-c", str(CONNECTIONS), *options, url],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    others = re.search(r"Non-2xx responses: +(\d+)", text)
    if int(others[1] if others else 0) != (REQUESTS if statuses == 304 else 0):
        raise RuntimeError(f"{url}: {others and others[0]}")
    if not re.search(r"Complete requests: +%d\n" % REQUESTS, text):
        raise RuntimeError(text)
    return float(re.search(r"Requests per second: +([0-9.]+)", text)[1])


def row(what, ours, null, goal):
    ratio = statistics.median(ours) / statistics.median(null)
    rows.append((what, spread(ours, in_requests), "null program " + spread(null, in_requests), f"{ratio:.0%}",
                 f"at least {goal:.0%}: " + ("reached" if ratio >= goal else "MISSED") if goal else ""))


def bench():
    shell("head -n 1000 commands >some && calc-handle -i some -o http-events -r http-rejections 2>/dev/null\n"
          "calc-project -i http-events -r http-rejections --view http-view\n"
          f"cc -O2 -o null_fcgi {HERE}/null_fcgi.c -lfcgi -lpthread")
    with open("http-events", encoding="utf-8") as events:
        value = json.loads(events.readline())["data"]["value_id"]
    with open("create.json", "w", encoding="ascii") as body:
        body.write('{"value":7}')
    post = ("-p", "create.json", "-T", "application/json")
    for name in ("nginx", "lighttpd"):
        with Server(name) as server:
            with urllib.request.urlopen(server.url("calc-cgi", f"/values/{value}")) as answer:
                known = ("-H", f"If-None-Match: {answer.headers['ETag']}")
            for what, path, status, options, goal in (
                    ("GET", f"/values/{value}", 200, (), 0.9), ("304", f"/values/{value}", 304, known, 0.9),
                    ("POST", "/values", 202, post, None)):
                null_options = () if what == "304" else options
                ours, null = measure(
                    lambda: rate(server.url("calc-cgi", path), status, *options),
                    lambda: rate(server.url("null_fcgi", path), 200, *null_options), runs=TURNS)
                row(f"{what}, {name}", ours, null, goal)

"""The rows of calc-cgi by FastCGI behind a web server, beside null programs behind the same one."""
import json
import os
import re
import shutil
import subprocess
import time
import urllib.request

from rows import ROOT, compare, compile_c, in_rate, measure, shell

CONNECTIONS = 64
GETS, TURNS = 8000, 21  # short ones: with four processes on two cores a run differs from the next by a quarter
POSTS, POST_TURNS = 10000, 5
CALC = "calc-cgi"


class Server:
    """A web server with programs behind it, each on a port of its own: calc-cgi, and others by their
    command lines."""

    def __init__(self, name, programs=None, commands=None, view="http-view"):
        self.name, self.processes, self.ports = name, [], {}
        self.programs = {CALC: [CALC]} | (programs or {})
        self.settings = {"CALC_COMMANDS": commands or self.path("commands"), "CALC_VIEW": os.path.abspath(view)}

    def start(self, *command, **settings):
        with open(self.path("log"), "ab") as log:
            self.processes.append(subprocess.Popen(command, env=os.environ | self.settings | settings, stderr=log))

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
            if program == CALC:
                self.start(CALC, "--listen", f"{run}/calc-cgi.sock")
            else:
                self.start("spawn-fcgi", "-n", "-s", f"{run}/calc-cgi.sock", "--", *self.programs[program])
            self.start("/usr/sbin/nginx", "-e", "stderr", "-c", f"{run}/conf")
        else:
            self.start("/usr/sbin/lighttpd", "-D", "-f", f"{run}/conf", CALC_RUN=run, CALC_PORT=port,
                       CALC_CGI=shutil.which(self.programs[program][0]))

    def __enter__(self):
        os.makedirs(self.path(""), exist_ok=True)
        try:
            for number, program in enumerate(self.programs):
                self.front(program, number)
            for program in self.ports:
                until_answers(self.url(program, "/healthz"))
        except BaseException:
            self.__exit__()
            raise
        return self

    def url(self, program, path):
        return f"http://127.0.0.1:{self.ports[program]}{path}"

    def __exit__(self, *_):
        for process in reversed(self.processes):
            process.terminate()
            process.wait()


def until_answers(url):
    deadline = time.monotonic() + 20
    while True:
        try:
            return urllib.request.urlopen(url, timeout=5).read()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def requests(url, count, *options):
    """Requests a second by ab; all of them were answered, with 2xx."""
    text = subprocess.run(["ab", "-q", "-k", "-n", str(count), "-c", str(CONNECTIONS), *options, url],
                          check=True, stdout=subprocess.PIPE, text=True).stdout
    others = re.search(r"Non-2xx responses: +(\d+)", text)
    if others or not re.search(r"Complete requests: +%d\n" % count, text):
        raise RuntimeError(f"{url}: {text}")
    return float(re.search(r"Requests per second: +([0-9.]+)", text)[1])


def get():
    shell("head -n 1000 commands >some && calc-handle -i some -o http-events -r http-rejections 2>/dev/null\n"
          "calc-project -i http-events -r http-rejections --view http-view")
    compile_c("null_fcgi", "-lfcgi -lpthread")
    with open("http-events", encoding="utf-8") as events:
        value = json.loads(events.readline())["data"]["value_id"]
    for name in ("nginx", "lighttpd"):
        with Server(name, {"null": [os.path.abspath("null_fcgi")]}) as server:
            ours, null = measure(*(lambda program=program: requests(server.url(program, f"/values/{value}"), GETS)
                                   for program in (CALC, "null")), runs=TURNS)
        compare(f"GET by FastCGI, {name}", ours, "null program", null, 0.9, in_rate, more=True)


def post(what, commands, kept):
    """POSTs to a log, beside a null program that keeps in another one what it is sent."""
    compile_c("null_post", "-lfcgi -lrdkafka -lpthread")
    with open("create.json", "w", encoding="ascii") as body:
        body.write('{"value":7}')
    shell("[ -e post-view ] || { : >no-events; : >no-rejections; calc-project -i no-events -r no-rejections --view post-view; }")
    with Server("nginx", {"null": [os.path.abspath("null_post"), kept]}, commands, "post-view") as server:
        ours, null = measure(*(lambda program=program: requests(server.url(program, "/values"), POSTS, "-p", "create.json",
                                                                "-T", "application/json")
                               for program in (CALC, "null")), runs=POST_TURNS)
    compare(f"POST by FastCGI, {CONNECTIONS} connections, {what}", ours, "null program that keeps it", null, 0.8, in_rate,
            more=True)


def post_file():
    post("a file", os.path.abspath("posted"), os.path.abspath("kept"))

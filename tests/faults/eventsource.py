#!/usr/bin/env python3
"""What watch.py does, with a browser: Chromium's EventSource hears every event and rejection once, and those of each
log in its order, through calc-cgi behind lighttpd. Every second time it is killed that is its page, and another one
goes on where it was; the others it is calc-cgi, and EventSource comes again by itself. The projector is killed as
well, and the view is rebuilt.

    eventsource.py [--events N] [--kills N] [--seed S]
"""
import collections
import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess

import watch
from parts import BIN, Failure, Part, tool

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


class Calculator(watch.Calculator):
    """Behind lighttpd, with the example configuration, which starts calc-cgi."""

    def make_server(self):
        here = os.getcwd()
        os.mkdir("run")
        Browser.port, Browser.kill_server = free_port(), self.kill_server
        settings = {"CALC_CGI": str(BIN / "calc-cgi"), "CALC_PORT": str(Browser.port), "CALC_RUN": f"{here}/run",
                    "CALC_COMMANDS": f"{here}/commands", "CALC_VIEW": f"{here}/view"}
        return Part("lighttpd", ["lighttpd", "-D", "-f", str(ROOT / "cmd/calc-cgi/lighttpd-fastcgi.conf")], settings)

    def kill_server(self):
        """calc-cgi alone: lighttpd starts another one."""
        server = self.cgi.process.pid
        for child in pathlib.Path(f"/proc/{server}/task/{server}/children").read_text().split():
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(child), signal.SIGKILL)

    def end(self):
        Browser.running.end()
        self.handler.end()
        self.projector.end()
        self.cgi.end((0, 1))  # 1 where a child of it was killed

    def kill(self):
        if Browser.running:
            Browser.running.end()
        if self.cgi.process.poll() is None:
            self.kill_server()
        super().kill()


class Browser(watch.Subscriber):
    """Chromium, whose page is killed."""
    port, kill_server, running = 0, None, None
    process, heard, number, again, turn, listens, cut = None, None, 0, 0, 0, False, False

    def tell(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()

    def start_browser(self):
        page = ROOT / "tests/page"
        errors = open("browser.err", "ab")
        self.process = subprocess.Popen([str(page / "node"), str(page / "subscriber.mjs"), f"http://127.0.0.1:{self.port}"],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        Browser.running = self

    def subscribe(self, cursor):
        if not self.process:
            self.start_browser()
        if not self.listens:
            self.number, self.listens = self.number + 1, True
            path = f"/values/{watch.ONE}/events" if "one" in self.name else "/events"
            self.tell({"open": self.number, "path": path, "from": cursor})
            self.heard = collections.deque()  # and not told, as long as it wasn't noticed that calc-cgi was killed
        while True:
            while self.heard and not self.cut:
                yield self.heard.popleft()
            cursor, *data = self.next_line()
            if data:
                self.heard.append((cursor, data[0]))
            elif cursor == "again":
                self.again, self.cut = self.again + 1, False
            else:  # it was answered with an error
                self.retries, self.cut = self.retries + 1, False
                self.close()
                yield from self.heard
                return

    def next_line(self):
        for line in self.process.stdout:
            number, *what = line.rstrip("\n").split("\t")
            if int(number) == self.number:  # not one of a page that was killed
                return what
        raise Failure(f"the browser ended: {self.process.wait()}\n{pathlib.Path('browser.err').read_text()}")

    def close(self):
        if self.listens:
            self.tell({"close": self.number})
        self.listens = self.cut = False

    def kill(self):
        self.turn += 1
        if self.turn % 2 and self.listens:
            self.cut = True
            Browser.kill_server()
        else:
            self.close()

    def end(self):
        """The browser ends with its input."""
        self.process.stdin.close()
        self.process.wait()
        Browser.running = None
        print(f"{self.name}: EventSource came again by itself {self.again} times, and was answered with errors "
              f"{self.retries} times")


if __name__ == "__main__":
    watch.main(Calculator, ((Browser, "all"),))

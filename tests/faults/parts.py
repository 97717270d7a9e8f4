"""Processes that are killed, stopped and started again; and nothing that we didn't start."""
import os
import pathlib
import re
import resource
import signal
import subprocess
import threading
import time

BIN = pathlib.Path(os.environ.get("CALC_BIN") or pathlib.Path(__file__).resolve().parents[2] / "build/bin")
DEADLINE = 60  # seconds, for anything that has to happen


class Failure(Exception):
    pass


def tool(name, *arguments):
    return [str(BIN / name), *arguments]


def environment(**settings):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CALC_")}
    kept.pop("LOG_LEVEL", None)
    return kept | settings


def until(what, condition, seconds=DEADLINE):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failure(f"not in {seconds} s: {what}")
        time.sleep(0.005)


def tail(path, size=2000):
    try:
        return pathlib.Path(path).read_bytes()[-size:].decode(errors="replace")
    except FileNotFoundError:
        return ""


def run(argv, expected=(0,), settings=None, **options):
    """A tool that ends by itself. Returns its stdout."""
    try:
        done = subprocess.run(argv, capture_output=True, timeout=DEADLINE, env=environment(**(settings or {})),
                              **options)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"still runs after {DEADLINE} s: {' '.join(argv)}") from error
    if done.returncode not in expected:
        raise Failure(f"exit status {done.returncode}, not {expected}: {' '.join(argv)}\n{done.stderr.decode()[:2000]}")
    return done.stdout


class Part:
    """A program that runs in the current folder; its stderr goes to NAME.err."""

    def __init__(self, name, argv, env=None):
        self.name, self.argv, self.env = name, argv, environment(**(env or {}))
        self.process = None
        self.stopped = self.killed = self.full = False
        self.lock = threading.RLock()  # held while the process is started, signalled or reaped

    def start(self, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL):
        # Python ignores SIGXFSZ, and so do its children here: a full disk is an error, not a death
        with self.lock, open(self.name + ".err", "ab") as errors:
            self.stopped = self.killed = self.full = False
            self.process = subprocess.Popen(self.argv, stdin=stdin, stdout=stdout, stderr=errors, env=self.env,
                                            restore_signals=False)
        return self.process

    def signal(self, number):
        """False if there is no process to send it to."""
        with self.lock:
            if not self.process or self.process.poll() is not None:
                return False
            self.stopped = number == signal.SIGSTOP
            self.killed |= number == signal.SIGKILL
            self.process.send_signal(number)
            return True

    def resume(self):
        with self.lock:
            if self.stopped:
                self.signal(signal.SIGCONT)

    def limit(self, size):
        """A full disk: no file may grow beyond `size`; None: there is room again."""
        with self.lock:
            if self.process and self.process.poll() is None:
                bytes_ = resource.RLIM_INFINITY if size is None else size
                resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (bytes_, resource.RLIM_INFINITY))
                self.full |= size is not None

    def wait(self, seconds=DEADLINE):
        """Its exit status."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired as error:
            raise Failure(f"{self.name} still runs after {seconds} s\n{tail(self.name + '.err')}") from error

    def kill(self):
        killed = self.signal(signal.SIGKILL)
        if self.process:
            self.wait()
        return killed

    def catches(self):
        """Whether the process, just started maybe, has come to where it handles SIGTERM; or has ended."""
        try:
            text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
            return int(re.search(r"^SigCgt:\s*(\w+)", text, re.M)[1], 16) >> (signal.SIGTERM - 1) & 1 or "State:\tZ" in text
        except (FileNotFoundError, ProcessLookupError):
            return True

    def end(self, expected=(0,)):
        self.resume()
        until(f"{self.name} knows SIGTERM", lambda: self.process.poll() is not None or self.catches())
        self.signal(signal.SIGTERM)
        self.check(self.wait(), expected)

    def check(self, status, expected=(0,)):
        if status not in expected:
            raise Failure(f"{self.name}: exit status {status}, not {expected}\n{tail(self.name + '.err')}")

#!/usr/bin/env python3
"""A service manager, as far as sd_notify(3) goes: starts a program and writes down what it tells.

    manager.py --told FILE [--size OF]... [--watchdog SECONDS] [--journal] COMMAND...

A datagram is a line of FILE: seconds since the start, then its NAME=VALUEs, "|" between them. READY=1 is
followed by the sizes that the files OF have then. With --journal its stderr is said to be the journal.
Passes SIGTERM on and exits as the program does.
"""
import argparse
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--told", metavar="FILE", type=pathlib.Path, required=True)
    parser.add_argument("--size", action="append", default=[])
    parser.add_argument("--watchdog", type=float)
    parser.add_argument("--journal", action="store_true")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    path = tempfile.mkdtemp() + "/notify"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(path)
    listener.settimeout(0.05)
    environment = dict(os.environ, NOTIFY_SOCKET=path)
    if args.watchdog:
        environment["WATCHDOG_USEC"] = str(int(args.watchdog * 1e6))
    if args.journal:
        status = os.fstat(2)
        environment["JOURNAL_STREAM"] = f"{status.st_dev}:{status.st_ino}"
    begun = time.monotonic()
    child = subprocess.Popen(args.command, env=environment)
    signal.signal(signal.SIGTERM, lambda *_: child.send_signal(signal.SIGTERM))
    with args.told.open("w", encoding="utf-8") as out:
        while True:
            ended = child.poll() is not None
            try:
                text = listener.recv(4096).decode().replace("\n", "|")
            except TimeoutError:
                if ended:
                    break
                continue
            sizes = ""
            if text == "READY=1":
                sizes = "".join(f" {os.path.getsize(name)}" for name in args.size)
            print(f"{time.monotonic() - begun:.2f} {text}{sizes}", file=out, flush=True)
    os.remove(path)
    os.rmdir(os.path.dirname(path))
    sys.exit(child.returncode if child.returncode >= 0 else 128 - child.returncode)


if __name__ == "__main__":
    main()

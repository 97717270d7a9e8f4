#!/usr/bin/env python3
"""A client of server-sent events, as the HTML Living Standard has them (9.2.6), over HTTP.

    events.py URL [--last-id ID] [--count N] [--seconds S] [--bytes N] [--ready FILE]

Prints a line of JSON for each event: {"id": …, "event": …, "data": …}, flushed, and ends after N of
them, or after S seconds without a byte, or when the stream ends. FILE is made once the stream has
begun, with the first id. The last id is the last line, as
{"last_id": …}. With --bytes it reads so many a second at most. Used as a module, too."""
import argparse
import json
import socket
import sys
import time
import urllib.parse


class Refused(Exception):
    """The answer was no stream: (status, headers, what was read)."""


class Chunks:
    """The body of an answer by HTTP/1.1, however it comes."""

    def __init__(self, url, last_id=None, seconds=20, method="GET", rate=0):
        parts = urllib.parse.urlsplit(url)
        path = parts.path + ("?" + parts.query if parts.query else "")
        self.rate = rate
        self.socket = socket.socket()
        if rate:  # before it connects: then the window is as small
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(seconds)
        self.socket.connect((parts.hostname, parts.port))
        head = f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n"
        if last_id is not None:
            head += f"Last-Event-ID: {last_id}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.raw = b""
        while b"\r\n\r\n" not in self.raw:
            self.fill()
        head, self.raw = self.raw.split(b"\r\n\r\n", 1)
        lines = head.decode().split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = {name.lower(): value.strip()
                        for name, value in (line.split(":", 1) for line in lines[1:])}
        self.chunked = "chunked" in self.headers.get("transfer-encoding", "")

    def fill(self):
        some = self.socket.recv(min(65536, self.rate // 20) if self.rate else 65536)
        if self.rate:
            time.sleep(len(some) / self.rate)
        if not some:
            raise EOFError
        self.raw += some

    def __iter__(self):
        try:
            while True:
                while self.chunked and b"\r\n" not in self.raw:
                    self.fill()
                if self.chunked:
                    size, self.raw = self.raw.split(b"\r\n", 1)
                    size = int(size, 16)
                    if size == 0:
                        return
                    while len(self.raw) < size + 2:
                        self.fill()
                    chunk, self.raw = self.raw[:size], self.raw[size + 2:]
                else:
                    if not self.raw:
                        self.fill()
                    chunk, self.raw = self.raw, b""
                yield chunk
        except (EOFError, TimeoutError, ConnectionError):
            return

    def close(self):
        self.socket.close()


class Events:
    """The events of a stream; last_id is what a browser would send when it comes again."""

    def __init__(self, url, last_id=None, seconds=20, rate=0):
        self.chunks = Chunks(url, last_id, seconds, rate=rate)
        self.last_id, self.comments, self.ready = last_id, 0, None
        if self.chunks.status != 200 or \
                self.chunks.headers.get("content-type") != "text/event-stream":
            raise Refused(self.chunks.status, self.chunks.headers, next(iter(self.chunks), b""))

    def __iter__(self):
        rest, event, data, ident = "", "", [], self.last_id
        for chunk in self.chunks:
            rest += chunk.decode()
            *lines, rest = rest.split("\n")
            for line in lines:
                if line.startswith(":"):
                    self.comments += 1
                    continue
                field, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if field == "data":
                    data.append(value)
                elif field == "event":
                    event = value
                elif field == "id":
                    ident = value
                elif not line:
                    self.last_id = ident
                    if self.ready:
                        open(self.ready, "w").close()
                        self.ready = None
                    if data:
                        yield ident, event or "message", "\n".join(data)
                    event, data = "", []

    def close(self):
        self.chunks.close()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--last-id")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--bytes", type=int, default=0)
    parser.add_argument("--ready")
    given = parser.parse_args()
    try:
        events = Events(given.url, given.last_id, given.seconds, given.bytes)
    except Refused as refused:
        sys.exit(f"events.py: {refused.args[0]}: {refused.args[2].decode()}")
    events.ready = given.ready
    for told, (ident, event, data) in enumerate(events, 1):
        print(json.dumps({"id": ident, "event": event, "data": data}), flush=True)
        if told == given.count:
            break
    print(json.dumps({"last_id": events.last_id}), flush=True)


if __name__ == "__main__":
    main()

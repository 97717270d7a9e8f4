#!/usr/bin/env python3
"""A web server that does nothing by itself: it hands every request over as it came, by FastCGI.

    bare.py SOCKET PORT

For tests that are about calc-cgi and no web server's own answers.
"""
import http.server
import os
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from fcgi import BEGIN, PARAMS, STDIN, read_answer, record  # noqa: E402


def pairs(params):
    out = b""
    for name, value in params:
        name, value = name.encode("latin-1"), value.encode("latin-1")
        out += struct.pack("!II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value
    return out


def records(kind, content):
    """The content in records, and the empty one that ends it."""
    parts = [content[at : at + 60000] for at in range(0, len(content), 60000)]
    return b"".join(record(kind, part) for part in parts + [b""])


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def ask(self, params, body):
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(40)
            connection.connect(sys.argv[1])
            connection.sendall(record(BEGIN, struct.pack("!HB5x", 1, 0)) +
                               records(PARAMS, pairs(params)) + records(STDIN, body))
            return read_answer(connection)

    def params(self):
        yield "REQUEST_METHOD", self.command
        yield "REQUEST_URI", self.path
        yield "SCRIPT_NAME", ""
        for name, value in self.headers.items():
            name = name.upper().replace("-", "_")
            yield (name if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_" + name), value

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        answer = self.ask(list(self.params()), body)
        head, _, body = answer.partition(b"\r\n\r\n")
        first, _, headers = head.partition(b"\r\n")
        self.wfile.write(b"HTTP/1.1 " + first.removeprefix(b"Status: ") + b"\r\n" + headers +
                         b"\r\nConnection: close\r\n\r\n" + body)
        self.close_connection = True

    def __getattr__(self, name):
        if name.startswith("do_"):  # any method
            return self.answer
        raise AttributeError(name)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()

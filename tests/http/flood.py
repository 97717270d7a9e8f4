#!/usr/bin/env python3
"""Abuses a FastCGI program from many connections at once, and holds it to a bound of its memory.

    flood.py SOCKET PID MEBIBYTES VALUE_ID [ROUNDS]

Each connection sends a request that costs much: 64 KiB of headers, a body of 64 KiB of deep or wide
JSON, one that is too large, or a small one for a large answer: all values, and all that happened to
one, of which there should be a thousand. A round sends all of them up to their last byte before any is
ended, one for each thread that the program has; another one leaves in the middle. Each has its defined
answer. The bound is that of the peak of its resident memory, which the kernel keeps.
"""
import re
import socket
import struct
import sys

from fcgi import BEGIN, PARAMS, STDIN, pairs, read_answer, record

BODY_MAX = 65536
CONNECTIONS = 320  # as many as there are threads


def fill(before, piece, after=b""):
    """A body of just the size that is allowed."""
    count = (BODY_MAX - len(before) - len(after)) // len(piece)
    text = before + piece * count
    return text + b" " * (BODY_MAX - len(text) - len(after)) + after


def names():
    """An object with as many members as there is room for."""
    text = ",".join(f'"{number:x}":0' for number in range(9000))[: BODY_MAX - 40]
    return fill(b'{"value":1,' + text[: text.rindex(",")].encode(), b" ", b"}")


BODIES = {
    "wide": (fill(b'{"value":1,"x":[0', b",0", b"]}"), b"202"),
    "objects": (fill(b'{"value":1,"x":[0', b",{}", b"]}"), b"202"),
    "pairs": (fill(b'{"value":1,"x":[0', b',{"":{}}', b"]}"), b"202"),
    "names": (names(), b"202"),
    "string": (fill(b'{"value":1,"x":"', b"x", b'"}'), b"202"),
    "escapes": (fill(b'{"value":1,"x":"', b"\\u00e9", b'"}'), b"202"),
    "deep": (fill(b'{"value":1,"x":', b"["), b"400"),
    "depths": (fill(b'{"value":1,"x":[0', b"," + b"[" * 60 + b"]" * 60, b"]}"), b"202"),
    "digits": (fill(b'{"value":', b"1", b"}"), b"400"),
    "broken": (fill(b'{"value":1,"x":[0', b",{}"), b"400"),
}


def request(method, path, size, *more):
    params = [f"REQUEST_METHOD={method}", f"REQUEST_URI={path}", "SCRIPT_NAME=", f"CONTENT_LENGTH={size}", *more]
    content = pairs(params)
    out = record(BEGIN, struct.pack("!HB5x", 1, 0))
    for at in range(0, len(content), 32768):
        out += record(PARAMS, content[at : at + 32768])
    return out + record(PARAMS, b"")


def kinds(value):
    for body, status in BODIES.values():
        yield request("POST", "/values", len(body)), body, status
    headers = [f"HTTP_X_{number}=" + "x" * 600 for number in range(100)]  # 64 KiB, as Apache lets through
    yield request("GET", value, 0, *headers), b"", b"200"
    yield request("POST", "/values", BODY_MAX, *headers), BODIES["pairs"][0], b"202"
    yield request("GET", value + "?" + "seen=&" * 5000, 0), b"", b"400"
    yield request("PUT", value, 1 << 40), b"x" * (1 << 20), b"413"
    yield request("GET", "/values?limit=1000", 0), b"", b"200"
    yield request("GET", value + "/history", 0), b"", b"200"


def stream(body):
    return b"".join(record(STDIN, body[at : at + 32768]) for at in range(0, len(body), 32768))


def begin(path, head, body):
    """Sends a request but for the last byte of its body, and its end."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(60)
    connection.connect(path)
    connection.sendall(head + stream(body[:-1]))
    return connection


def flood(path, every, leave):
    held = []
    for number in range(CONNECTIONS):
        head, body, status = every[number % len(every)]
        held.append((begin(path, head, body), body, status))
    for connection, body, _ in held:
        if not leave:
            connection.sendall(stream(body[-1:]) + record(STDIN, b""))
    for connection, _, status in held:
        if not leave:
            answer = read_answer(connection)
            if b"Status: " + status not in answer:
                raise ValueError(f"not {status}: {answer[:300]}")
        connection.close()


def peak(process):
    with open(f"/proc/{process}/status", encoding="ascii") as status:
        return int(re.search(r"^VmHWM:\s*(\d+) kB$", status.read(), re.M)[1]) / 1024


def main():
    path, process, bound, value, *rounds = sys.argv[1:]
    every = list(kinds(f"/values/{value}"))
    for number in range(int(*rounds) if rounds else 1):
        for leave in (True, False):
            flood(path, every, leave)
        print(f"round {number + 1}: {peak(process):.0f} MiB at most")
    if peak(process) > int(bound):
        raise MemoryError(f"more than {bound} MiB")


if __name__ == "__main__":
    main()

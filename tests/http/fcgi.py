#!/usr/bin/env python3
"""One FastCGI request, with a signal in the middle. The answer goes to stdout as it comes.

    fcgi.py SOCKET --in-body PID NAME=VALUE... <BODY
        sends the parameters and half of the body, waits until the program has read them, sends
        SIGTERM to it, and then the rest
    fcgi.py SOCKET --when-idle PID NAME=VALUE... <BODY
        asks to keep the connection, reads the answer, then sends SIGTERM; the connection has to
        be closed
"""
import fcntl
import os
import signal
import socket
import struct
import sys
import termios
import time

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
KEEP = 1


def record(kind, content):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def pairs(texts):
    out = b""
    for text in texts:
        name, _, value = text.encode().partition(b"=")
        out += struct.pack("!II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value
    return out


def wait_until_read(connection):
    """Until the other end has read all that we sent."""
    deadline = time.monotonic() + 10
    while struct.unpack("i", fcntl.ioctl(connection, termios.TIOCOUTQ, b"\0" * 4))[0]:
        if time.monotonic() > deadline:
            raise TimeoutError("nobody reads the request")
        time.sleep(0.001)


def read_exactly(connection, size):
    data = b""
    while len(data) < size:
        got = connection.recv(size - len(data))
        if not got:
            raise EOFError("the connection ended in the answer")
        data += got
    return data


def read_answer(connection):
    out = b""
    while True:
        _, kind, _, size, padding, _ = struct.unpack("!BBHHBB", read_exactly(connection, 8))
        content = read_exactly(connection, size + padding)[:size]
        if kind == STDOUT:
            out += content
        if kind == END:
            return out


def main():
    path, mode, process, *params = sys.argv[1:]
    body = sys.stdin.buffer.read()
    keep = KEEP if mode == "--when-idle" else 0
    half = len(body) // 2
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(10)
    connection.connect(path)
    connection.sendall(
        record(BEGIN, struct.pack("!HB5x", 1, keep))
        + record(PARAMS, pairs(params))
        + record(PARAMS, b"")
        + (record(STDIN, body[:half]) if half else b"")
    )
    if mode == "--in-body":
        wait_until_read(connection)
        os.kill(int(process), signal.SIGTERM)
    connection.sendall(record(STDIN, body[half:]) + record(STDIN, b""))
    sys.stdout.buffer.write(read_answer(connection))
    if mode == "--when-idle":
        os.kill(int(process), signal.SIGTERM)
    if connection.recv(1):
        raise ValueError("there is something behind the answer")


if __name__ == "__main__":
    main()

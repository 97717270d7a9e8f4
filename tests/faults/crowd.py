#!/usr/bin/env python3
"""A crowd on a FastCGI calc-cgi: clients whose streams come and go, who command and query at the same time.

    crowd.py SOCKET SECONDS

One after another opens a stream, hears something or not, and leaves; others create values and ask for all
kinds of things. At its end streams are left open, for who stops the program next: until a file `stopped` is
there. Prints what it did.
"""
import json
import pathlib
import random
import socket
import struct
import sys
import threading
import time

import fcgi

STREAMERS, ASKERS = 12, 6
PATHS = ("/values", "/values?limit=2", "/healthz", "/metrics", "/openapi.json", "/", "/nothing")
done = {"streams": 0, "requests": 0, "bytes": 0}
lock = threading.Lock()


def count(what, number=1):
    with lock:
        done[what] += number


def stream(path, uri):
    """A connection whose answer is a stream."""
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20)
    connection.connect(path)
    uri, _, query = uri.partition("?")
    params = {"REQUEST_METHOD": "GET", "REQUEST_URI": uri, "QUERY_STRING": query, "SCRIPT_NAME": ""}
    connection.sendall(fcgi._record(fcgi.BEGIN, struct.pack("!HB5x", fcgi.RESPONDER, 0))
                       + fcgi._record(fcgi.PARAMS, fcgi._pairs(params)) + fcgi._record(fcgi.PARAMS, b"")
                       + fcgi._record(fcgi.STDIN, b""))
    return connection


def come_and_go(path, until, seed):
    chance = random.Random(seed)
    while time.monotonic() < until:
        uri = chance.choice(("/events?from=beginning", "/events", f"/values/{VALUE}/events?from=beginning"))
        with stream(path, uri) as connection:
            for _ in range(chance.randrange(4)):
                count("bytes", len(connection.recv(chance.choice((100, 65536)))))
        count("streams")


def ask(path, until, seed):
    chance = random.Random(seed)
    while time.monotonic() < until:
        if chance.randrange(2):
            body = json.dumps({"operation": "ADD", "value": 1}).encode()
            answer = fcgi.request(path, "POST", f"/values/{VALUE}", body,
                                  {"Prefer": "wait=5"} if chance.randrange(2) else {})
            assert answer.status in (200, 202), (answer.status, answer.body)
        else:
            fcgi.request(path, "GET", chance.choice(PATHS))
        count("requests")


path, seconds = sys.argv[1], float(sys.argv[2])
VALUE = json.loads(fcgi.request(path, "POST", "/values", b'{"value":1}').body)
until = time.monotonic() + seconds
threads = [threading.Thread(target=what, args=(path, until, seed))
           for what, number in ((come_and_go, STREAMERS), (ask, ASKERS)) for seed in range(number)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
left = [stream(path, "/events?from=beginning") for _ in range(50)]
for connection in left:
    assert connection.recv(10)
print(json.dumps(done), flush=True)
while not pathlib.Path("stopped").exists():
    time.sleep(0.01)

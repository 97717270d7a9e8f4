#!/usr/bin/env python3
"""Load on the API's socket, each client with a value of its own, until SIGTERM.

    load.py SOCKET FILE

Every client adds 1 to its value, under a key that is sent again until it is acknowledged. FILE tells
the number of acknowledged additions as it grows; at the end, a line a value goes to stdout: its id and
how many additions were acknowledged, which is what it must be.
"""
import json
import os
import pathlib
import signal
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "faults"))
import fcgi  # noqa: E402

CLIENTS = 4
PATIENCE_S = 60
stop = threading.Event()


class Client:
    def __init__(self, socket, name):
        self.socket, self.name = socket, name
        self.acknowledged, self.tries, self.failed = 0, 0, None
        self.value = json.loads(self.command("/values", {"value": 0}, "create").body)

    def command(self, path, body, key):
        """Until it is acknowledged: 202, it is durable."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            self.tries += 1
            try:
                answer = fcgi.request(self.socket, "POST", path, json.dumps(body).encode(),
                                      {"Idempotency-Key": f"{self.name}-{key}"})
                if answer.status == 202:
                    return answer
                problem = f"{answer.status} {answer.body[:200]}"
                if answer.status not in (500, 503, 504):
                    raise ValueError(problem)
            except OSError as error:
                problem = str(error)
            if time.monotonic() > deadline:
                raise TimeoutError(problem)
            time.sleep(0.01)

    def run(self):
        try:
            while not stop.is_set():
                self.command(f"/values/{self.value}", {"operation": "ADD", "value": 1}, self.acknowledged)
                self.acknowledged += 1
        except Exception as error:
            self.failed = error


def main():
    path, progress = sys.argv[1:]
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    clients = [Client(path, f"client-{n}") for n in range(CLIENTS)]
    threads = [threading.Thread(target=client.run) for client in clients]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        with open(progress + ".new", "w", encoding="ascii") as file:
            file.write(f"{sum(client.acknowledged for client in clients)}\n")
        os.rename(progress + ".new", progress)
        time.sleep(0.02)
    for client in clients:
        if client.failed:
            sys.exit(f"{client.name}: after {client.acknowledged}: {client.failed}")
        print(client.value, client.acknowledged)
    tries = sum(client.tries for client in clients)
    again = tries - sum(client.acknowledged + 1 for client in clients)
    print(f"{tries} requests, {again} of them sent again", file=sys.stderr)


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Creates values from many clients at once, and notes the commands that were accepted.

    load.py BASE_URL CLIENTS POSTS ACCEPTED [--retry]

Each client sends creates one after the other until POSTS of them were accepted. A line of ACCEPTED
is the id of a command that was answered by 202, written as soon as that is known. Any other answer,
or none, ends the run with exit status 1; with --retry it is counted, and another create is sent,
for 30 seconds at most.

A connection serves for one request: a server may close one that it keeps just when the next request
is on its way, and then nobody knows.
"""
import argparse
import http.client
import re
import sys
import threading
import time
import urllib.parse


class Load:
    def __init__(self, options):
        url = urllib.parse.urlsplit(options.base_url)
        self.host, self.path = url.netloc, url.path.rstrip("/") + "/values"
        self.posts, self.retry = options.posts, options.retry
        self.lock = threading.Lock()
        self.out = open(options.accepted, "w", encoding="ascii", buffering=1)
        self.accepted = self.failed = 0
        self.wrong = None

    def post(self, number):
        connection = http.client.HTTPConnection(self.host, timeout=20)
        headers = {"Content-Type": "application/json", "Connection": "close"}
        connection.request("POST", self.path, '{"value":%d}' % number, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        if answer.status != 202:
            raise ValueError(f"status {answer.status}: {text[:200]}")
        command = re.search(r"/commands/([0-9a-f-]{36})>", answer.headers["Link"])[1]
        with self.lock:
            self.out.write(command + "\n")
            self.accepted += 1

    def run(self):
        deadline = time.monotonic() + 30
        number = 0
        while number < self.posts:
            try:
                self.post(number)
                number += 1
            except (OSError, http.client.HTTPException, ValueError) as error:
                with self.lock:
                    self.failed += 1
                    if not self.retry or time.monotonic() > deadline:
                        self.wrong = self.wrong or error
                        return
                time.sleep(0.01)


def main():
    options = argparse.ArgumentParser(description="creates values from many clients at once")
    options.add_argument("base_url")
    options.add_argument("clients", type=int)
    options.add_argument("posts", type=int)
    options.add_argument("accepted")
    options.add_argument("--retry", action="store_true")
    options = options.parse_args()

    load = Load(options)
    threads = [threading.Thread(target=load.run) for _ in range(options.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"{load.accepted} accepted, {load.failed} not")
    if load.wrong:
        print(f"load: {load.wrong}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

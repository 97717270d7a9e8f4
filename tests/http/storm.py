#!/usr/bin/env python3
"""Clients that do what the API allows, many at once, and hold it to its promises.

    storm.py retry BASE_URL COUNT    COUNT commands with keys, each sent one to five times over several
                                     connections, some cut off before the answer: each is applied once,
                                     all its answers are the same
    storm.py seen BASE_URL COUNT     COUNT times, a client changes its value and reads it, by Prefer:
                                     wait or by ?seen=, beside others who write: never an older value
    storm.py race BASE_URL COUNT     50 clients change one value under If-Match until COUNT of them were
                                     applied: one wins each version, the others get 412

Says what was done; exit status 1 with the first thing that was wrong.
"""
import collections
import http.client
import json
import random
import re
import socket
import sys
import threading
import time
import urllib.parse

WAIT = {"Prefer": "wait=30"}
CLIENTS = {"retry": 16, "seen": 8, "race": 50}
KEPT = 20  # requests a connection, so that many are used


class Wrong(Exception):
    """A promise that wasn't kept."""


class Client:
    """One connection after the other. A command that got no answer is sent again only with a key."""

    def __init__(self, url):
        url = urllib.parse.urlsplit(url)
        self.host, self.base = url.netloc, url.path.rstrip("/")
        self.connection, self.used = None, 0

    def close(self):
        if self.connection:
            self.connection.close()
        self.connection, self.used = None, 0

    def once(self, method, path, body, headers):
        if self.used == KEPT or not self.connection:
            self.close()
            self.connection = http.client.HTTPConnection(self.host, timeout=60)
        self.used += 1
        headers = {"Content-Type": "application/json"} | headers
        self.connection.request(method, self.base + path, body and json.dumps(body), headers)
        answer = self.connection.getresponse()
        text = answer.read().decode()
        return answer.status, dict((k.lower(), v) for k, v in answer.getheaders()), text

    def ask(self, method, path, body=None, **headers):
        """Again, if a kept connection was closed meanwhile: a new one can't be."""
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        if method != "GET" and "Idempotency-Key" not in headers:
            self.close()
        while True:
            fresh = not self.connection or self.used == KEPT
            try:
                return self.once(method, path, body, headers)
            except (http.client.HTTPException, OSError):
                self.close()
                if fresh:
                    raise

    def cut(self, method, path, body, key):
        """Sends a request, and closes before the answer comes: sometimes before the body's end."""
        text = json.dumps(body)
        head = (f"{method} {self.base}{path} HTTP/1.1\r\nHost: {self.host}\r\nIdempotency-Key: {key}\r\n"
                f"Content-Length: {len(text)}\r\nContent-Type: application/json\r\n\r\n")
        host, port = self.host.split(":")
        with socket.create_connection((host, int(port)), 60) as connection:
            whole = (head + text).encode()
            connection.sendall(whole if random.random() < 0.8 else whole[: random.randrange(len(whole))])


def command_of(headers):
    return re.search(r"/commands/([0-9a-f-]{36})>", headers["link"])[1]


def expect(answer, *statuses):
    if answer[0] not in statuses:
        raise Wrong(f"status {answer[0]}, not {statuses}: {answer[2][:300]}")
    return answer


def run_all(url, count, work):
    """work(client, number) in threads; raises what the first of them raised."""
    wrong = []

    def run(number):
        client = Client(url)
        try:
            work(client, number)
        except Exception as error:  # told by the main thread
            wrong.append(error)
        finally:
            client.close()

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if wrong:
        raise wrong[0]


# --- retry ---


def sends_of(commands):
    """Each command one to five times, one of them whole, near each other in the order."""
    sends = []
    for at, command in enumerate(commands):
        times = random.randint(1, 5)
        kinds = ["whole"] + random.choices(["whole", "wait", "cut"], k=times - 1)
        sends += [(at + random.random() * 20, kind, command) for kind in kinds]
    return [send[1:] for send in sorted(sends, key=lambda send: send[0])]


def storm(url, commands, answers):
    sends, lock = iter(sends_of(commands)), threading.Lock()
    counts = collections.Counter()

    def work(client, _):
        while True:
            with lock:
                kind, (key, method, path, body) = next(sends, (None, (None,) * 4))
                counts[kind] += 1
            if not kind:
                return
            if kind == "cut":
                client.cut(method, path, body, key)
                continue
            wait = WAIT if kind == "wait" else {}
            status, headers, text = expect(
                client.ask(method, path, body, Idempotency_Key=key, **wait),
                202 if kind == "whole" else 201 if path == "/values" else 200)
            told = (status, headers["link"], headers.get("location"), headers.get("etag"), text)
            with lock:
                if answers.setdefault((key, path, kind), told) != told:
                    raise Wrong(f"{key}: {told}, and before {answers[key, path, kind]}")

    run_all(url, CLIENTS["retry"], work)
    return counts


def retry(url, count):
    run = f"{time.time_ns():x}"
    answers = {}
    creates = [(f'"{run}-{n}"', "POST", "/values", {"value": n}) for n in range(count // 2)]
    sent = storm(url, creates, answers)
    values = [json.loads(answers[key, path, "whole"][4]) for key, _, path, _ in creates]
    if len(set(values)) != len(values):
        raise Wrong("two keys made one value")
    chosen = values[: max(1, count // 100)]
    updates = [(f"{run}-{n}", random.choice(["PUT", "POST"]), f"/values/{random.choice(chosen)}",
                {"operation": "ADD", "value": 1}) for n in range(count - len(creates))]
    sent += storm(url, updates, answers)
    check_applied(url, values, updates, answers)
    print(f"{count} commands: {sent['whole']} sent whole, {sent['wait']} waited for, {sent['cut']} cut off; "
          "each applied once")


def check_applied(url, values, updates, answers):
    """Every value is where all its commands, each once, bring it."""
    client = Client(url)
    asked = collections.Counter(path for _, _, path, _ in updates)
    last = {path: command_of({"link": answers[key, path, "whole"][1]}) for key, _, path, _ in updates}
    for command in set(last.items()):
        expect(client.ask("GET", f"{command[0]}/commands/{command[1]}"), 200)
    for number, value in enumerate(values):
        path = f"/values/{value}"
        deadline = time.monotonic() + 60
        while True:
            status, headers, text = client.ask("GET", path)
            if status == 200 and headers["etag"] == f'"{asked[path] + 1}"':
                break
            if time.monotonic() > deadline or (status == 200 and
                                               int(headers["etag"].strip('"')) > asked[path] + 1):
                raise Wrong(f"{path}: {status} {headers.get('etag')}, {asked[path]} updates: {text}")
            time.sleep(0.01)
        if json.loads(text)["value"] != number + asked[path]:
            raise Wrong(f"{path}: {text}, not {number + asked[path]}")
    client.close()


# --- seen ---


def seen(url, count):
    clients, stop = CLIENTS["seen"], threading.Event()
    tries = [count // clients + (n < count % clients) for n in range(clients)]
    left, lock = [clients], threading.Lock()

    def load(client):
        while not stop.is_set():
            expect(client.ask("POST", "/values", {"value": 1}), 202)

    def read_own(client, number):
        answer = expect(client.ask("POST", "/values", {"value": 0}, **WAIT), 201)
        path = "/values/" + answer[1]["location"].split("/")[-1]
        for n in range(1, tries[number] + 1):
            update = ("PUT", path, {"operation": "ADD", "value": 1})
            if n % 2:
                told = expect(client.ask(*update, **WAIT), 200)
                status, headers, text = client.ask("GET", path)
                if json.loads(told[2])["value"] != n:
                    raise Wrong(f"{path}: the {n}th update was answered with {told[2]}")
            else:
                command = command_of(expect(client.ask(*update), 202)[1])
                status, headers, text = client.ask("GET", f"{path}?seen={command}", **WAIT)
            if status != 200 or json.loads(text)["value"] != n or headers["etag"] != f'"{n + 1}"':
                raise Wrong(f"{path}: {status} {text} {headers.get('etag')} after {n} updates")

    def work(client, number):
        if number >= clients:
            return load(client)
        try:
            read_own(client, number)
        finally:
            with lock:
                left[0] -= 1
                if not left[0]:
                    stop.set()

    run_all(url, clients + 2, work)
    print(f"{count} times read what was written")


# --- race ---


def race(url, count):
    client = Client(url)
    answer = expect(client.ask("POST", "/values", {"value": 0}, **WAIT), 201)
    path = "/values/" + answer[1]["location"].split("/")[-1]
    won, lost, lock = {}, [0], threading.Lock()

    def work(client, number):
        while len(won) < count:
            _, headers, _ = expect(client.ask("GET", path), 200)
            status, headers, text = expect(
                client.ask("PUT", path, {"operation": "ADD", "value": 1}, If_Match=headers["etag"],
                           **WAIT), 200, 412)
            with lock:
                if status == 412:
                    lost[0] += 1
                    continue
                version = int(headers["etag"].strip('"'))
                if version in won:
                    raise Wrong(f"version {version} was won by {won[version]} and {number}")
                won[version] = number
                if json.loads(text)["value"] != version - 1:
                    raise Wrong(f"version {version} has {text}")

    run_all(url, CLIENTS["race"], work)
    _, headers, text = expect(client.ask("GET", path), 200)
    if headers["etag"] != f'"{len(won) + 1}"' or json.loads(text)["value"] != len(won):
        raise Wrong(f"{len(won)} were applied, and the value is {text} at {headers['etag']}")
    if sorted(won) != list(range(2, len(won) + 2)):
        raise Wrong(f"versions are missing: {sorted(won)}")
    print(f"{len(won)} versions, won once each by {len(set(won.values()))} clients; {lost[0]} times 412")


def main():
    mode, url, count = sys.argv[1:]
    random.seed(time.time_ns())
    try:
        {"retry": retry, "seen": seen, "race": race}[mode](url, int(count))
    except Wrong as error:
        print(f"storm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())

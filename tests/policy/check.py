#!/usr/bin/env python3
"""Sends the table of who may do what to a running calculator, and compares the answers and the log.

    check.py http URL [--reloads LOG] [--no-streams] [POLICY...]
                                     the rows of these policies, all but none by default
    check.py submit [POLICY...]                      their commands, by calc-submit -o

In the working folder are the calculator's logs and its view, and ./policy.json, which is made anew for
each policy. With --reloads it is waited for until LOG says that it was taken. With --no-streams who may
watch is told that there are no streams, by 503.
"""
import base64
import http.client
import json
import os
import pathlib
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
DEADLINE = 20
UNKNOWN = "0198c0de-0000-7000-8000-00000000beef"
PASSWORDS = {"ann": "an!n", "bob": "b o:b", "eve": ""}
COMMANDS = ("create", "add", "multiply")


def until(condition, what):
    deadline = time.monotonic() + DEADLINE
    while not (found := condition()):
        if time.monotonic() > deadline:
            sys.exit(f"not in time: {what}")
        time.sleep(0.01)
    return found


def rows(policies):
    for line in (HERE / "requests.tsv").read_text().splitlines():
        if line and not line.startswith("#"):
            row = line.split("\t")
            if row[0] in policies if policies else row[0] != "none":
                yield row


def lines(name):
    return pathlib.Path(name).read_text().splitlines() if os.path.exists(name) else []


class Policy:
    """./policy.json, as the row wants it. The server was started with another one."""

    def __init__(self, log):
        self.log, self.name, self.own = log, None, False

    def taken(self):
        return sum("took the policy anew" in line for line in lines(self.log))

    def put(self, name):
        if name == self.name:
            return
        self.name = name
        if name == "none":
            return
        before = self.taken() if self.log else 0
        text = (HERE / f"{name}.json").read_text()
        self.own = json.loads(text).get("own", False)
        pathlib.Path("policy.new").write_text(text)
        os.rename("policy.new", "policy.json")
        if self.log:
            until(lambda: self.taken() > before, f"{self.log} says that {name} was taken")


class Values:
    """Those that the table is about, created without a policy."""

    def __init__(self):
        self.ids, self.commands = {"unknown": UNKNOWN, "-": UNKNOWN}, {}
        for owner in ("ann", "bob", "nobody"):
            actor = [] if owner == "nobody" else ["--actor", owner]
            made = json.loads(subprocess.run(
                ["calc-submit", "-o", "commands", "--wait", str(DEADLINE), "--view", "view", *actor, "create", "1"],
                env={**os.environ, "CALC_POLICY": ""}, check=True, capture_output=True).stdout.splitlines()[-1])
            self.ids[owner], self.commands[owner] = made["value_id"], made["id"]


# --- what was written ---

def wrong_line(row, policy, values, line):
    """What is wrong with the command that a row has written."""
    _, actor, request, value, _ = row
    command = json.loads(line)
    owner = actor if policy.own and request != "create" else None
    wanted = {"actor": None if actor == "-" else actor, "expected_owner": owner,
              "action": "CreateValue" if request == "create" else "UpdateValue"}
    got = {key: command.get(key) for key in wanted}
    if got != wanted:
        return f"{got} in the log, not {wanted}"
    if request != "create" and command["data"]["value_id"] != values.ids[value]:
        return "another value in the log"
    return None


def wrong_outcomes():
    """Each outcome has its command's actor, and so has the history in the view."""
    count = 0
    commands = {json.loads(line)["id"]: json.loads(line) for line in lines("commands")}
    until(lambda: len(lines("events")) + len(lines("rejections")) == len(commands), "all commands are decided")
    for name in ("events", "rejections"):
        for line in lines(name):
            outcome = json.loads(line)
            count += outcome.get("actor") != commands[outcome["parent"]].get("actor")
    events = sorted(lines("events"))
    ids = {json.loads(line)["data"]["value_id"] for line in events}
    ask = ["calc-get", "--view", "view", "--history"]

    def history():
        told = subprocess.run(ask, input="\n".join(ids), text=True, capture_output=True, check=False).stdout
        return sorted(told.splitlines()) == events

    until(history, "the history in the view is that of the log")
    actors = {json.loads(line).get("actor") for line in events}
    return count, actors


# --- by HTTP ---

class Web:
    def __init__(self, url, values):
        parts = urllib.parse.urlsplit(url)
        self.host, self.port, self.base, self.values = parts.hostname, parts.port, parts.path, values

    def target(self, request, value):
        one = f"/values/{self.values.ids[value]}"
        command = self.values.commands.get(value, UNKNOWN)
        return self.base + {
            "create": "/values", "list": "/values", "options": "/values", "version": one + "?version=1",
            "as_of": one + "?as_of=2999-01-01T00:00:00Z", "seen": f"{one}?seen={command}", "history": one + "/history",
            "status": f"{one}/commands/{command}", "watch": "/events?from=beginning", "watch-one": one + "/events",
            "health": "/healthz", "openapi": "/openapi.json", "page": "/", "file": "/page/main.js",
            "nowhere": "/nothing"}.get(request, one)

    def ask(self, row):
        """The status, the headers, and the body, of a stream what comes first."""
        _, actor, request, value, _ = row
        method = {"head": "HEAD", "options": "OPTIONS", "options-one": "OPTIONS", "create": "POST", "add": "PUT",
                  "multiply": "POST"}.get(request, "GET")
        headers, body = {}, None
        if actor != "-":
            pair = f"{actor}:{PASSWORDS[actor]}".encode()
            headers["Authorization"] = "Basic " + base64.b64encode(pair).decode()
        if request in COMMANDS:
            headers |= {"Content-Type": "application/json", "Prefer": f"wait={DEADLINE}"}
            body = {"value": 1} if request == "create" else {"operation": request.upper(), "value": 1}
        server = http.client.HTTPConnection(self.host, self.port, timeout=DEADLINE)
        server.request(method, self.target(request, value), body and json.dumps(body), headers)
        answer = server.getresponse()
        stream = answer.headers.get("Content-Type") == "text/event-stream"
        text = answer.read1(100) if stream else answer.read()
        server.close()
        return answer.status, answer.headers, text

    def answer(self, row):
        status, headers, text = self.ask(row)
        refused = headers.get("Content-Type") == "application/problem+json" and (row[2] == "head" or json.loads(text))
        if status == 403 and refused:
            if row[2] == "head" or refused["type"] == "not-allowed":
                return "no"
            return refused["type"]
        if row[2].startswith("options"):
            return "yes" if status == 204 and "GET" in headers.get("Allow", "") else str(status)
        return "yes" if status in (200, 201) else str(status)


# --- by calc-submit ---

class Submit:
    def __init__(self, values, policy):
        self.values, self.policy, self.count = values, policy, 0

    def answer(self, row):
        """By --policy and by CALC_POLICY, as one command and as an input, in turn."""
        _, actor, request, value, _ = row
        self.count += 1
        name = "" if self.policy.name == "none" else "policy.json"
        environment, options, given = {**os.environ, "CALC_POLICY": name}, [], None
        if name and self.count % 2:
            environment["CALC_POLICY"], options = "everyone.json", ["--policy", name]
        options += ["-o", "commands", "--wait", str(DEADLINE), "--view", "view"]
        if self.count % 3:
            options += [] if actor == "-" else ["--actor", actor]
            options += [request, *([] if request == "create" else [self.values.ids[value]]), "1"]
        else:
            members = {"value": 1, **({} if actor == "-" else {"actor": actor})}
            if request != "create":
                members |= {"operation": request.upper(), "value_id": self.values.ids[value]}
            given = json.dumps(members) + "\n"
        done = subprocess.run(["calc-submit", *options], input=given or "", text=True, capture_output=True,
                              env=environment, check=False)
        told = [json.loads(line) for line in done.stdout.splitlines()]
        if not told and done.returncode == 1 and f" may not {request}: " in done.stderr:
            return "no"
        if len(told) == 1 and done.returncode == 0:
            return "202"
        outcome = told[-1] if len(told) == 2 else {}
        if outcome.get("status") == "applied" and done.returncode == 0:
            return "yes"
        if outcome.get("status") == "rejected" and done.returncode == 1:
            return {"unknown_value": "404"}.get(outcome["reason"], outcome["reason"])
        return f"{done.returncode} {done.stdout} {done.stderr}"


def main():
    how, *arguments = sys.argv[1:]
    url = arguments.pop(0) if how == "http" else None
    log = None
    if arguments[:1] == ["--reloads"]:
        log, arguments = arguments[1], arguments[2:]
    no_streams = arguments[:1] == ["--no-streams"]
    arguments = arguments[no_streams:]
    policy, values, bad, count = Policy(log), Values(), 0, 0
    way = Web(url, values) if url else Submit(values, policy)
    for row in rows(arguments):
        if not url and row[2] not in COMMANDS:
            continue
        policy.put(row[0])
        before = lines("commands")
        if no_streams and row[2].startswith("watch") and row[4] == "yes":
            row[4] = "503"
        got = way.answer(row)
        written = lines("commands")[len(before):]
        fault = None if got == row[4] else f"{got}, not {row[4]}"
        if not fault and len(written) != (row[2] in COMMANDS and row[4] != "no"):
            fault = f"{len(written)} lines were written"
        if not fault and written:
            fault = wrong_line(row, policy, values, written[0])
        count += 1
        bad += fault is not None
        if fault:
            print(*row, ":", fault)
    differ, actors = wrong_outcomes()
    print(f"{count} rows, {bad} wrong; {differ} outcomes of another actor than their command's; "
          f"actors of events: {sorted(actors - {None})}")
    sys.exit(bad + differ > 0 or count == 0 or not {"ann", "bob", None} <= actors)


main()

#!/usr/bin/env python3
"""Sends a table of requests to a running calculator and compares the answers.

    run.py [--server NAME] [--accepted FILE] BASE_URL TABLE

A row of the table is a JSON object on a line; blank lines and lines that begin with # are skipped.

    name        a sentence that says what holds
    request     "METHOD /path"; the path is sent as it stands, after the base URL's own path
    target      instead of /path: the whole request target as it stands
    headers     lines to send, beside Host, Connection and Content-Length
    body        what to send: a string, or a list of strings, {"hex": "c0 80"} and
                {"times": 9, "text": "x"}
    length      the Content-Length to send instead of the right one; null for none
    chunked     true: the body in chunks, no Content-Length
    version     "1.0" instead of HTTP/1.1
    status      the answer's status, or a list of those that do
    answer      headers of the answer, name to regular expression; null: has to be absent
    text        the whole body of the answer
    like        a regular expression that is found in the body
    holds       members that the JSON body has, among others
    save        names to keep: "value" from {"value": "body"} is the JSON body, and from
                {"command": "Link"} the last part of that link's path, from {"more": "next"} the next
                page's cursor, and from {"etag": "tag"} the entity tag. Later rows write ${value}.
    eventually  true: asked again until the answer fits, 10 seconds at most
    instead     what web servers answer by themselves, before calc-cgi is asked: {"nginx":
                {"status": 400, "why": "..."}}. The key is the beginning of a server's name.

Known besides: ${base}, ${mount} (the base, or a slash), ${host} (with the port), ${unknown} and
${nobody} (ids that nobody used; rows send commands to the first), ${run} (new in each run), and a
saved id in capitals under its name in capitals.
What holds for every answer is no matter of the table: see check_always.
"""
import argparse
import json
import re
import socket
import sys
import time
import urllib.parse
import uuid

DEADLINE = 10
UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"


class Answer:
    """An HTTP answer: status (0 for none at all), headers in lower case, body."""

    def __init__(self, data):
        self.status, self.headers, self.body = 0, {}, b""
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            first, *lines = head.decode("latin-1").split("\r\n")
            self.status = int(first.split(" ")[1])
            if self.status >= 200:
                break
        for line in lines if self.status else ():
            name, _, value = line.partition(":")
            name, value = name.lower(), value.strip()
            self.headers[name] = ", ".join(filter(None, [self.headers.get(name), value]))
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            data = join_chunks(data)
        self.body = data

    def text(self):
        return self.body.decode("utf-8", "backslashreplace")


def join_chunks(data):
    out = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        size = int(size.split(b";")[0], 16)
        if size == 0:
            break
        out, data = out + data[:size], data[size + 2 :]
    return out


def bytes_of(part):
    if isinstance(part, list):
        return b"".join(bytes_of(one) for one in part)
    if isinstance(part, str):
        return part.encode()
    return bytes.fromhex(part["hex"]) if "hex" in part else part["text"].encode() * part["times"]


def filled(thing, names):
    """The row with ${name} replaced in every string."""
    if isinstance(thing, str):
        return re.sub(r"\$\{(\w+)\}", lambda found: names[found[1]], thing)
    if isinstance(thing, list):
        return [filled(one, names) for one in thing]
    if isinstance(thing, dict):
        return {key: filled(one, names) for key, one in thing.items()}
    return thing


def request_bytes(row, names):
    method, _, path = row["request"].partition(" ")
    target = row.get("target", names["base"] + path)
    version = row.get("version", "1.1")
    body = bytes_of(row.get("body", ""))
    lines = [f"{method} {target} HTTP/{version}", f"Host: {names['host']}", "Connection: close"]
    lines += row.get("headers", [])
    if row.get("chunked"):
        lines.append("Transfer-Encoding: chunked")
        half = len(body) // 2
        chunks = [chunk for chunk in (body[:half], body[half:]) if chunk]
        body = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif "length" in row:
        lines += [f"Content-Length: {row['length']}"] if row["length"] is not None else []
    elif body or method in ("POST", "PUT", "PATCH"):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8") + b"\r\n\r\n" + body


def ask(row, names):
    host, port = names["host"].split(":")
    data = b""
    with socket.create_connection((host, int(port)), DEADLINE) as server:
        try:
            server.sendall(request_bytes(row, names))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it answered before the body's end
        try:
            while got := server.recv(65536):
                data += got
        except ConnectionResetError:
            pass
    return Answer(data)


def check_always(row, answer, base):
    """What holds for every answer of calc-cgi."""
    method, path = row["request"].split(" ", 1)
    stream = re.match(r"(/values/([0-9a-f-]{36}|\$\{\w+\}))?/events(\?|$)", path)
    cache = "no-store" if stream else "no-cache"
    body, status = answer.body, answer.status
    kind = answer.headers.get("content-type", "")
    if method == "HEAD" or status in (204, 304):
        if body:
            yield "it has a body"
    elif status >= 400:
        try:
            problem = json.loads(body)
            if problem["status"] != status or not problem["title"] or not problem["type"]:
                yield f"the problem doesn't say its status, title and type: {answer.text()}"
        except (ValueError, KeyError, TypeError):
            yield f"it is no problem: {answer.text()[:200]}"
    if status >= 400 and kind != "application/problem+json":
        yield f"its Content-Type is {kind}"
    if status == 200 and body and kind != "application/json" and "Content-Type" not in row.get("answer", {}):
        yield f"its Content-Type is {kind}"
    if "content-length" in answer.headers and body:
        if int(answer.headers["content-length"]) != len(body):
            yield f"its Content-Length isn't {len(body)}"
    if method in ("GET", "HEAD") and answer.headers.get("cache-control") != cache:
        yield f"its Cache-Control is {answer.headers.get('cache-control')}"
    if status == 405 and not answer.headers.get("allow"):
        yield "it has no Allow"
    if status in (503, 429) and not answer.headers.get("retry-after", "").isdigit():
        yield "it has no Retry-After"
    if was_appended(answer) and not re.fullmatch(
        f'<{base}/values/{UUID}/commands/{UUID}>; *rel="status"', answer.headers["link"]
    ):
        yield f"its Link is {answer.headers['link']}"
    if status == 202:
        link = answer.headers.get("link", "")
        if not was_appended(answer):
            yield f"its Link is {link}"
        value = link.split("/")[-3] if link.count("/") > 3 else ""
        if "location" in answer.headers:
            if answer.headers["location"] != f"{base}/values/{value}":
                yield f"its Location is {answer.headers['location']}, its Link {link}"
            if answer.text() != f'"{value}"' or kind != "application/json":
                yield f"its body is {answer.text()} ({kind}), its Link {link}"
        elif body:
            yield f"it has a body: {answer.text()}"


def was_appended(answer):
    """Whether it says that a command is in the log: accepted, or decided by now."""
    return answer.status != 504 and 'rel="status"' in answer.headers.get("link", "")


def differences(row, answer, base):
    wanted = row["status"] if isinstance(row["status"], list) else [row["status"]]
    if answer.status not in wanted:
        yield f"status {answer.status}, not {row['status']}: {answer.text()[:200]}"
        return
    for name, pattern in row.get("answer", {}).items():
        value = answer.headers.get(name.lower())
        if pattern is None and value is not None:
            yield f"{name} is {value}"
        if pattern is not None and (value is None or not re.search(pattern, value)):
            yield f"{name} is {value}, not like {pattern}"
    if "text" in row and answer.text() != row["text"]:
        yield f"body {answer.text()[:200]}, not {row['text']}"
    if "like" in row and not re.search(row["like"], answer.text()):
        yield f"body {answer.text()[:200]}, not like {row['like']}"
    if "holds" in row:
        body = json.loads(answer.body)
        for name, value in row["holds"].items():
            if body.get(name) != value:
                yield f"{name} is {body.get(name)}, not {value}"
    yield from check_always(row, answer, base)


def run_row(row, names, server):
    """Sends one request. The differences, and the answer."""
    row = filled(row, names)
    for name, other in row.get("instead", {}).items():
        if server.startswith(name):
            answer = ask(row, names)
            own = other["status"]
            if answer.status in (own if isinstance(own, list) else [own]):
                return [], answer
            return [f"status {answer.status}, not its own {other['status']}"], answer
    deadline = time.monotonic() + (DEADLINE if row.get("eventually") else 0)
    while True:
        answer = ask(row, names)
        found = list(differences(row, answer, names["base"]))
        if not found or time.monotonic() >= deadline:
            return found, answer
        time.sleep(0.01)


def main():
    options = argparse.ArgumentParser(description="sends a table of requests, compares the answers")
    options.add_argument("--server", default="", help="the web server's name")
    options.add_argument("--accepted", help="a file for the ids of the commands that were accepted")
    options.add_argument("base_url")
    options.add_argument("table")
    options = options.parse_args()

    url = urllib.parse.urlsplit(options.base_url)
    names = {"base": url.path.rstrip("/"), "host": url.netloc, "unknown": str(uuid.uuid4())}
    names.update(run=str(uuid.uuid4()), nobody=str(uuid.uuid4()), mount=names["base"] or "/")
    with open(options.table, encoding="utf-8") as table:
        lines = [line for line in table if line.strip() and not line.startswith("#")]
    accepted, failed = [], 0
    print(f"1..{len(lines)}")
    for number, line in enumerate(lines, 1):
        row = json.loads(line)
        try:
            found, answer = run_row(row, names, options.server)
            for name, source in row.get("save", {}).items():
                if source == "body":
                    names[name] = json.loads(answer.body)
                elif source == "tag":
                    names[name] = answer.headers["etag"].strip('"')
                elif source == "next":
                    names[name] = re.match("<[^>]*[?&]cursor=([^>&]*)", answer.headers["link"])[1]
                else:
                    names[name] = answer.headers[source.lower()].split(">")[0].split("/")[-1]
                names[name.upper()] = names[name].upper()
            if was_appended(answer):
                accepted.append(answer.headers["link"].split(">")[0].split("/")[-1])
        except (OSError, ValueError, KeyError) as error:
            found = [f"{type(error).__name__}: {error}"]
        failed += bool(found)
        print(f"{'not ok' if found else 'ok'} {number} - {row['name']}")
        for one in found:
            print(f"#   {row['request']}: {one}")
    if options.accepted:
        with open(options.accepted, "w", encoding="ascii") as out:
            out.writelines(f"{one}\n" for one in accepted)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

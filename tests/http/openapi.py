#!/usr/bin/env python3
"""Holds openapi.json and the table of requests against each other.

    openapi.py OPENAPI TABLE

Every (path, method, status) that the table has stands in the document, and the other way round. 405
stands in no document: it is for the methods that aren't there.
"""
import json
import re
import sys

# What no request alone brings about; other tests do.
ELSEWHERE = {
    408: "http-cgi.bats, http-fastcgi.bats: slow bodies",
    504: "http-cgi.bats, kafka-http.bats: logs that break",
    503: "http.bats: outages; http-cgi.bats: healthz",
    403: "policy.bats: what a policy refuses; http-cgi.bats: a version that was forbidden",
    409: "http-cgi.bats: another create",
}


def template(document, path):
    """The document's path that a request's path is of."""
    path = path.partition("?")[0]
    path = re.sub(r"%([0-9a-zA-Z]{2})", lambda c: chr(int(c[1], 16)) if c[1] != "zz" else c[0], path)
    for one in document["paths"]:
        if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", one), path):
            return one
    return None


def is_stream(response):
    """It has no end, and no place in the table: http-events.bats."""
    return "text/event-stream" in response.get("content", ())


def documented(document):
    found = set()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method != "parameters":
                found |= {(path, method.upper(), int(status)) for status, response in operation["responses"].items()
                          if not is_stream(response)}
    return found


def asked(document, table):
    found = {}
    for line in table:
        if line.startswith("{"):
            row = json.loads(line)
            method, _, path = row["request"].partition(" ")
            path = template(document, path)
            status = row["status"] if isinstance(row["status"], list) else [row["status"]]
            for one in status:
                if path and one not in (405, 431) and (one != 413 or method in ("POST", "PUT")):
                    found.setdefault((path, method, one), row["name"])
    return found


def main():
    with open(sys.argv[1], encoding="utf-8") as text:
        document = json.load(text)
    with open(sys.argv[2], encoding="utf-8") as table:
        rows = asked(document, table)
    promised = documented(document)
    wrong = 0
    for where, name in sorted(rows.items()):
        if where not in promised and where[1] in ("GET", "HEAD", "OPTIONS", "POST", "PUT"):
            print(f"the document has no {where}: {name}")
            wrong += 1
    for where in sorted(promised - set(rows)):
        if where[2] not in ELSEWHERE:
            print(f"the table has no {where}")
            wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""Holds a database that calc-sql filled to what it was told and to the view, row by row, every bit.

    compare.py postgresql|sqlite DATABASE VIEW [LEFT_OUT]

DATABASE is a file, or a name where PGHOST and PGUSER lead. LEFT_OUT: how many rows may be missing of events and
rejections, none by default. Prints how many rows were compared."""
import csv
import io
import json
import os
import sqlite3
import subprocess
import sys

BIN = os.environ.get("CALC_BIN") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../build/bin")
COLUMNS = {
    "calc_values": "value_id value version owner created updated",
    "calc_events": "id parent action value_id operation value version result timestamp actor",
    "calc_rejections": "id parent value_id operation value reason version position timestamp actor",
    "calc_cursor": "id cursor",
}
NUMBERS, TIMES = {"value", "result"}, {"created", "updated", "timestamp"}


class Different(Exception):
    pass


def exact(number):
    return None if number is None else float(number).hex()


def postgresql(database, table, columns):
    """Null is distinct from every text here: no column has an empty one."""
    asked = ", ".join(f"to_char({name} at time zone 'utc', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')" if name in TIMES else name
                      for name in columns)
    text = subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, "-c",
                           f"copy (select {asked} from {table}) to stdout (format csv)"],
                          stdout=subprocess.PIPE, check=True, env=os.environ | {"PGCLIENTENCODING": "UTF8"}).stdout.decode()
    for row in csv.reader(io.StringIO(text, newline="")):
        yield [int(field) if name == "version" and field else field or None for name, field in zip(columns, row)]


def sqlite(database, table, columns):
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
        yield from connection.execute(f"select {', '.join(columns)} from {table}")


def rows(client, database, table):
    columns = COLUMNS[table].split()
    for row in client(database, table, columns):
        yield tuple(exact(field) if name in NUMBERS else field for name, field in zip(columns, row))


def tool(*argv):
    done = subprocess.run([os.path.join(BIN, argv[0]), *argv[1:]], stdout=subprocess.PIPE, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def expected(view):
    """What the tables should have, as the view's own tools tell it."""
    events, rejections, owners, cursor = [], [], {}, "beginning"
    for told in tool("calc-watch", "--view", view, "--from", "beginning", "-e"):
        data, cursor = told["data"], told["cursor"]
        about = (data.get("value_id"), data.get("operation"), exact(data.get("value")))
        asked = (told.get("timestamp"), told.get("actor"))
        if told["action"] == "CommandRejected":
            rejections.append((told["id"], told["parent"], *about, told["reason"], told.get("version"),
                               data.get("position"), *asked))
            continue
        events.append((told["id"], told["parent"], told["action"], *about, told["version"], exact(told["result"]), *asked))
        if told["action"] == "ValueCreated":
            owners[data["value_id"]] = told.get("actor"), told.get("timestamp")
    values = [(value["value_id"], exact(value["value"]), value["version"], *owners[value["value_id"]],
               value.get("timestamp")) for value in tool("calc-get", "--view", view, "--all")]
    return {"calc_values": values, "calc_events": events, "calc_rejections": rejections}, cursor


def compare(client, database, view, left_out=0):
    """How many rows there are, all of them equal."""
    wanted, cursor = expected(view)
    counts = {}
    for table, right in wanted.items():
        there = list(rows(client, database, table))
        counts[table] = len(there)
        if len(there) != len(set(there)):
            raise Different(f"{table}: a row is there twice")
        odd = set(there) - set(right)
        lacks = set(right) - set(there)
        if odd or len(lacks) > (left_out if table != "calc_values" else 0):
            raise Different(f"{table}: {len(odd)} rows of {len(there)} are wrong, {len(lacks)} of {len(right)} are missing:\n"
                            f"{next(iter(odd), None)}\n{next(iter(lacks), None)}")
    stored = [row[1] for row in rows(client, database, "calc_cursor")]
    if not left_out and stored != [cursor]:
        raise Different(f"the cursor is {stored}, not {cursor}")
    return counts


CLIENTS = {"postgresql": postgresql, "sqlite": sqlite}

if __name__ == "__main__":
    try:
        found = compare(CLIENTS[sys.argv[1]], sys.argv[2], sys.argv[3], *map(int, sys.argv[4:]))
    except Different as different:
        sys.exit(f"compare.py: {different}")
    print(*(f"{count} {table}" for table, count in found.items()), sep=", ")

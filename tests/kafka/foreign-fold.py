#!/usr/bin/env python3
"""Folds events as somebody does who knows only their id, parent and data: stdin has one a line.

Prints each value's last state, "value_id value", ordered by id. What has no operation creates a
value; an event whose id was seen, or whose parent was, is one that came twice."""

import json
import sys

values, ids, parents = {}, set(), set()
for line in sys.stdin:
    event = json.loads(line)
    if event["id"] in ids or event["parent"] in parents:
        sys.exit(f"foreign-fold: it came twice: {line}")
    ids.add(event["id"])
    parents.add(event["parent"])
    data = event["data"]
    operation, number = data.get("operation"), float(data["value"])
    if operation == "ADD":
        number += values[data["value_id"]]
    elif operation == "MULTIPLY":
        number *= values[data["value_id"]]
    values[data["value_id"]] = number
for value_id, number in sorted(values.items()):
    print(value_id, number)

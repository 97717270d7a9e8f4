#!/usr/bin/env python3
"""The yardstick: the same decisions and events by plain Python, commands on stdin, events on stdout."""
import json
import math
import sys
import uuid

NAMESPACE = uuid.UUID("ea5002c0-73f9-4d45-8c92-f0c2deaa7382")
values, seen = {}, {}
for line in sys.stdin:
    command = json.loads(line)
    data = command["data"]
    key = (data["value_id"], command["id"])
    body = (command["action"], data.get("operation"), data["value"], command.get("actor"))
    if key in seen:
        continue
    seen[key] = body
    number, version = values.get(key[0], (0.0, 0))
    create = command["action"] == "CreateValue"
    if create == (version > 0):
        continue
    operand = data["value"]
    result = operand if create else number + operand if data["operation"] == "ADD" else number * operand
    if not math.isfinite(result):
        continue
    values[key[0]] = (result, version + 1)
    event = {
        "action": "ValueCreated" if create else "ValueUpdated",
        "id": str(uuid.uuid5(NAMESPACE, "".join(key))),
        "parent": command["id"],
        "data": data,
        "version": version + 1,
        "result": result,
    }
    if "timestamp" in command:
        event["timestamp"] = command["timestamp"]
    sys.stdout.write(json.dumps(event, separators=(",", ":")) + "\n")

#!/usr/bin/env python3
"""Commands to events, as one would write it in Python: what calc-handle is measured against.

The same decisions and, for commands in the canonical spelling without preconditions, the same bytes
on stdout; rejections go to stderr."""
import hashlib
import json
import math
import sys
import uuid

NAMESPACE = uuid.UUID("ea5002c0-73f9-4d45-8c92-f0c2deaa7382").bytes

dumps = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def outcome_of(value_id, command_id):
    """The UUIDv5 of the bytes of both; uuid.uuid5() takes only text."""
    name = bytes.fromhex(value_id.replace("-", "") + command_id.replace("-", ""))
    return str(uuid.UUID(bytes=hashlib.sha1(NAMESPACE + name).digest()[:16], version=5))


def reject(command, outcome_id, reason, version):
    rejection = {"action": "CommandRejected", "id": outcome_id, "parent": command["id"],
                 "data": command["data"], "reason": reason, "version": version}
    for member in ("timestamp", "actor"):
        if member in command:
            rejection[member] = command[member]
    sys.stderr.write(dumps(rejection) + "\n")


def main():
    values = {}  # id -> [number, version]
    seen = {}  # (value id, command id) -> body
    write = sys.stdout.write
    for line in sys.stdin:
        command = json.loads(line)
        data = command["data"]
        value_id = data["value_id"]
        operand = float(data["value"])
        key = value_id, command["id"]
        body = command["action"], data.get("operation"), operand, command.get("actor")
        if key in seen:
            if seen[key] != body:
                raise SystemExit("fold.py knows no reused ids")
            continue
        seen[key] = body
        outcome_id = outcome_of(*key)
        value = values.get(value_id)
        if command["action"] == "CreateValue":
            if value:
                reject(command, outcome_id, "value_exists", value[1])
                continue
            action, result, version = "ValueCreated", operand, 1
        else:
            if not value:
                reject(command, outcome_id, "unknown_value", 0)
                continue
            action, version = "ValueUpdated", value[1] + 1
            result = value[0] + operand if data["operation"] == "ADD" else value[0] * operand
            if not math.isfinite(result):
                reject(command, outcome_id, "out_of_range", value[1])
                continue
        values[value_id] = result, version
        event = {"action": action, "id": outcome_id, "parent": command["id"], "data": data,
                 "version": version, "result": result}
        for member in ("timestamp", "actor"):
            if member in command:
                event[member] = command[member]
        write(dumps(event) + "\n")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Whether a folder's commands, events, rejections and view agree with the oracle, and every acknowledged
command has its place and exactly one outcome.

    verify.py FOLDER [ACKNOWLEDGEMENTS...]    (files as calc-submit prints them)
"""
import collections
import json
import os
import pathlib
import random
import sys

from parts import Failure, run, tool

ORACLE = pathlib.Path(__file__).resolve().parents[1] / "oracle/oracle.py"
NO_OUTCOME = ("malformed", "id_reused", "misplaced")  # they replace no outcome


def first_difference(name, found, other_name, other):
    if found == other:
        return
    at = next((i for i, (a, b) in enumerate(zip(found, other)) if a != b), min(len(found), len(other)))
    start = found.rfind(b"\n", 0, at) + 1
    show = [text[start:].split(b"\n", 1)[0][:400].decode(errors="replace") for text in (found, other)]
    raise Failure(f"{name} and {other_name} differ at byte {at}, in the line at {start}\n"
                  f"  {name}: {show[0]}\n  {other_name}: {show[1]}")


def read_outcomes():
    """(value id, command id) -> its outcomes, which should be one."""
    outcomes = collections.defaultdict(list)
    for name in ("events", "rejections"):
        for line in pathlib.Path(name).read_bytes().splitlines():
            outcome = json.loads(line)
            if outcome.get("reason") not in NO_OUTCOME:
                outcomes[outcome["data"]["value_id"], outcome["parent"]].append(outcome)
    return outcomes


def check_acknowledged(acks, outcomes):
    """Acknowledgements are (command id, value id, position or None)."""
    log = pathlib.Path("commands").read_bytes()
    places = None
    for command_id, value_id, position in acks:
        if position is not None:
            start = int(position)
            line = log[start:log.find(b"\n", start)]
            if start and log[start - 1:start] != b"\n":
                raise Failure(f"no record begins at {start}, where {command_id} was acknowledged")
            try:
                command = json.loads(line)
            except ValueError:
                command = {"data": {}}
            if (command.get("id"), command["data"].get("value_id")) != (command_id, value_id):
                raise Failure(f"commands at {start} is not the acknowledged {command_id} on {value_id}:\n  {line[:400]}")
        elif places is None:
            places = set()
            for line in log.splitlines():
                try:
                    command = json.loads(line)
                    places.add((command["id"], command["data"]["value_id"]))
                except (ValueError, KeyError, TypeError):
                    pass  # malformed
        if position is None and (command_id, value_id) not in places:
            raise Failure(f"commands has no {command_id} on {value_id}, which was answered with 202")
        found = outcomes[value_id, command_id]
        if len(found) != 1:
            raise Failure(f"the acknowledged {command_id} on {value_id} has {len(found)} outcomes: {found}")


def check_status(printed, outcome, what):
    """What calc-get or calc-submit said of a command, and its outcome in the logs."""
    applied = outcome["action"] != "CommandRejected"
    expected = {"status": "applied" if applied else "rejected", "version": outcome["version"]}
    expected["result" if applied else "reason"] = outcome["result" if applied else "reason"]
    said = {name: printed.get(name) for name in expected}
    if json.dumps(said) != json.dumps(expected):
        raise Failure(f"{what}: {printed}, but the log has {outcome}")


def check_commands(acks, outcomes):
    for command_id, value_id, _ in acks:
        argv = tool("calc-get", "--view", "view", "--command", command_id, value_id)
        check_status(json.loads(run(argv, (0, 1))), outcomes[value_id, command_id][0], " ".join(argv))


def check_oracle(acks, values):
    pathlib.Path("values").write_bytes(values)
    argv = [sys.executable, str(ORACLE), "check", "commands", "events", "rejections", "--values", "values"]
    with open("acks", "w", encoding="utf-8") as out:
        for command_id, value_id, position in acks:
            if position is not None:
                ack = {"id": command_id, "value_id": value_id, "position": position}
                out.write(json.dumps(ack, separators=(",", ":")) + "\n")
    run(argv + ["--acks", "acks"])


def check_derived():
    """calc-verify finds no difference, and neither outcomes nor the view behind."""
    argv = tool("calc-verify", "-i", "commands", "-o", "events", "-r", "rejections", "--view", "view")
    if pathlib.Path("events.state").exists():
        argv += ["--state", "events.state"]
    compared = [json.loads(line) for line in run(argv).splitlines()]
    for one in compared:
        if one.get("missing") or (one["verified"] == "view" and one["behind"]):
            raise Failure(f"calc-verify: {one}")
    if {one["verified"] for one in compared} < {"commands", "events", "rejections", "view"}:
        raise Failure(f"calc-verify compared only {compared}")


def verify(acks, sample=8, rng=random):
    """Of the current folder, with everything caught up. Raises Failure with the first difference."""
    values = run(tool("calc-get", "--view", "view", "--all"))
    check_oracle(acks, values)
    check_derived()
    first_difference("calc-get --all", values, "calc-project", run(tool("calc-project", "-i", "events")))
    outcomes = read_outcomes()
    check_acknowledged(acks, outcomes)
    check_commands(rng.sample(acks, min(sample, len(acks))), outcomes)
    return outcomes


def read_acks(path):
    """Whole lines only: whoever was killed may have left a part of one."""
    lines = pathlib.Path(path).read_bytes().split(b"\n")[:-1]
    acks = [json.loads(line) for line in lines]
    return [(ack["id"], ack["value_id"], ack["position"]) for ack in acks if "position" in ack]


def main():
    acks = [ack for path in sys.argv[2:] for ack in read_acks(os.path.abspath(path))]
    os.chdir(sys.argv[1])
    try:
        verify(acks)
    except Failure as failure:
        sys.exit(f"verify.py: {failure}")
    print(f"{len(acks)} acknowledged commands have their place and one outcome")


if __name__ == "__main__":
    main()

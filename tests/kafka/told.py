#!/usr/bin/env python3
"""Judges what clients were told of events and rejections in topics: each once, in their order.

    told.py FILE... <RECORDS

A line of stdin is a record of a topic: its name, partition, offset and payload, with tabs between. A line
of a FILE is an event as tests/http/events.py prints it, or as calc-watch does; other lines are passed over.
"""
import json
import sys


def payloads(path):
    with open(path, encoding="utf-8") as lines:
        for text in lines:
            line = json.loads(text)
            if "data" in line and "event" in line:
                yield line["data"]
            elif "cursor" in line:
                yield text[:text.rindex(',"cursor":')] + "}"


def fault(path, places):
    """What is wrong with what a client was told."""
    last, told = {}, set()
    for payload in payloads(path):
        if payload not in places:
            return f"is in no topic: {payload}"
        topic, partition, offset = places[payload]
        if payload in told:
            return f"told twice: {payload}"
        if offset < last.get((topic, partition), -1):
            return f"out of order: {payload}"
        last[topic, partition] = offset
        told.add(payload)
    left = places.keys() - told
    return f"{len(left)} not told, {min(left)} for one" if left else None


def main():
    places = {}
    for line in sys.stdin:
        topic, partition, offset, payload = line.rstrip("\n").split("\t")
        places[payload] = topic, int(partition), int(offset)
    faults = [f"{path}: {what}" for path in sys.argv[1:] if (what := fault(path, places))]
    print(f"{len(places)} records, {len({place[:2] for place in places.values()})} partitions", *faults, sep="\n")
    sys.exit(bool(faults) or not places)


main()

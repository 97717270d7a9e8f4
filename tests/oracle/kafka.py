#!/usr/bin/env python3
"""Whether the outcomes in Kafka are those that the commands in Kafka must have.

    kafka.py check COMMANDS EVENTS REJECTIONS [--broker B] [--acks ACKS]
    kafka.py fold COMMANDS [--broker B]

`check` reads what is committed in the three topics, folds each partition of COMMANDS in the
order of its offsets, and compares the same partition of the others: key, header, bytes, order
and number of its records. It says the first difference of each topic and where it is, and exits
1. ACKS are the lines by which calc-submit acknowledged commands: each must stand in COMMANDS
where its line says, and have one outcome. `fold` prints the records that must be there, a line
each: "events" or "rejections", partition, key (empty: none), position and value, with tabs between.

The rules are oracle.py's; the partitioner is told a second time here, too. kcat reads."""

import argparse
import json
import os
import subprocess
import sys
from collections import namedtuple

import oracle

# Its key may be None, its value too; headers are text as kcat prints them: name=value,...
Record = namedtuple("Record", "offset key headers value")
# What a topic must hold: no offset, since transactions take some for their markers.
Outcome = namedtuple("Outcome", "key headers value")


class Unreadable(Exception):
    """The broker, or kcat, or a record that isn't as kcat prints it."""


# ---- Partitions ----


def murmur2(data):
    """Kafka's own variant (Utils.murmur2 of its Java clients): signed arithmetic of 32 bits, here
    by masks."""
    m, mask = 0x5BD1E995, 0xFFFFFFFF
    h = 0x9747B28C ^ len(data)
    whole = len(data) & ~3
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = h * m & mask ^ k
    if whole < len(data):
        h = (h ^ int.from_bytes(data[whole:], "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


class Partitioner(dict):
    """value id: its partition, among so many."""

    def __init__(self, count):
        super().__init__()
        self.count = count

    def __missing__(self, value_id):
        partition = self[value_id] = (murmur2(value_id.encode()) & 0x7FFFFFFF) % self.count
        return partition


# ---- Reading ----


def kcat(*arguments):
    done = subprocess.run(["kcat", *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, timeout=300)  # fmt: skip
    if done.returncode:
        raise Unreadable("kcat %s: %s" % (" ".join(arguments), done.stderr.decode(errors="replace")))
    return done.stdout


def partition_count(broker, topic):
    metadata = json.loads(kcat("-L", "-J", "-b", broker, "-t", topic))
    partitions = metadata["topics"][0]["partitions"]
    if not partitions:
        raise Unreadable("there is no topic %s" % topic)
    return len(partitions)


# Lengths before what may have any bytes in it, and after it a newline, which is checked.
FORMAT = "%p %o %K %S %h\\n%k%s\\n"


def split_records(text):
    """(partition, Record) of each."""
    at = 0
    while at < len(text):
        end = text.index(b"\n", at)
        partition, offset, key_size, size, headers = text[at:end].split(b" ", 4)
        at = end + 1
        parts = []
        for length in (int(key_size), int(size)):
            parts.append(text[at : at + length] if length >= 0 else None)
            at += max(length, 0)
        if text[at : at + 1] != b"\n":
            raise ValueError
        at += 1
        yield int(partition), Record(int(offset), parts[0], headers.decode(errors="replace"), parts[1])


def read_topic(broker, topic, isolation="read_committed"):
    """A list of records for each partition."""
    partitions = [[] for _ in range(partition_count(broker, topic))]
    text = kcat("-C", "-e", "-q", "-b", broker, "-t", topic, "-o", "beginning", "-f", FORMAT,
                "-X", "isolation.level=" + isolation, "-X", "fetch.wait.max.ms=10",
                "-X", "check.crcs=true", "-X", "queued.min.messages=10000000")  # fmt: skip
    try:
        for partition, record in split_records(text):
            partitions[partition].append(record)
    except (ValueError, IndexError):
        raise Unreadable("%s: a record that isn't as kcat prints it" % topic) from None
    for partition, records in enumerate(partitions):
        if any(a.offset >= b.offset for a, b in zip(records, records[1:])):
            raise Unreadable("%s[%d]: kcat didn't read it in order" % (topic, partition))
    return partitions


# ---- Folding ----


def decide(calculator, record, partition, partitioner):
    """What handling one record gives: (is it an event, Outcome), or None."""
    line = record.value or b""
    position = "%d:%d" % (partition, record.offset)
    headers = "position=" + position
    if not line.strip(b" \t\r"):
        return None
    try:
        if b"\n" in line:  # JSON would take it for white space
            raise oracle.Malformed("a newline")
        command = oracle.read_command(line)
    except oracle.Malformed:
        text = oracle.spell_malformed(position, line)
        return False, Outcome(record.key, headers, text.encode())
    key = command.value_id.encode()
    if partitioner[command.value_id] != partition:
        outcome_id = oracle.position_id(position, line)
        text = oracle.spell_rejection(command, "misplaced", 0, outcome_id)
        return False, Outcome(key, headers, text.encode())
    outcome = calculator.handle(command, position, line)
    return outcome and (outcome[0], Outcome(key, headers, outcome[1].encode()))


def fold(commands):
    """The outcomes of events and of rejections, a list for each partition."""
    partitioner = Partitioner(len(commands))
    events, rejections = [], []
    for partition, records in enumerate(commands):
        calculator = oracle.Calculator()
        outcomes = [decide(calculator, record, partition, partitioner) for record in records]
        events.append([outcome[1] for outcome in outcomes if outcome and outcome[0]])
        rejections.append([outcome[1] for outcome in outcomes if outcome and not outcome[0]])
    return events, rejections


# ---- Comparing ----


def show(record):
    if record is None:
        return "its end"
    key = "no key" if record.key is None else "key " + oracle.excerpt(record.key)
    value = "no value" if record.value is None else oracle.excerpt(record.value)
    return "%s, headers '%s'\n           %s" % (key, record.headers, value)


def difference(topic, found, expected):
    """The first record of a topic that is another than expected, in words, or None."""
    if len(found) != len(expected):
        return "%s has %d partitions, the commands have %d" % (topic, len(found), len(expected))
    for partition, (there, wanted) in enumerate(zip(found, expected)):
        for number in range(max(len(there), len(wanted))):
            record = there[number] if number < len(there) else None
            outcome = wanted[number] if number < len(wanted) else None
            if record is None or outcome is None or record[1:] != outcome:
                where = "" if record is None else ", at offset %d" % record.offset
                return "%s[%d]: record %d of %d, expected %d%s:\n  expected %s\n  found    %s" % (
                    topic, partition, number, len(there), len(wanted), where, show(outcome), show(record)
                )  # fmt: skip
    return None


def key_of(line):
    try:
        command = oracle.read_command(line)
        return command.value_id, command.id
    except (oracle.Malformed, TypeError):
        return None


def line_at(commands):
    """A function from a position to what stands there in the commands; of a batch that was sent twice only the
    partition may be known."""
    there = {"%d:%d" % (p, r.offset): r.value for p, records in enumerate(commands) for r in records}
    by_key = {}

    def line_of(position, key):
        partition = position.removesuffix(":?")
        if partition == position:
            return there.get(position)
        if partition not in by_key:
            by_key[partition] = {key_of(r.value): r.value for r in commands[int(partition)]}
        return by_key[partition].get(key)

    return line_of


def check_acks(path, commands, logs):
    """The first acknowledgement that isn't true, in words, or None. Outcomes are counted in the
    topics themselves, so that it stands even where they differ."""
    try:
        counts = oracle.outcome_counts(r.value for log in logs for records in log for r in records)
    except (oracle.Malformed, KeyError, TypeError, AttributeError) as error:
        return "an outcome can't be read: %r" % error
    return oracle.acknowledged_badly(path, oracle.read_file(path), line_at(commands), counts)


def check(args):
    commands = read_topic(args.broker, args.commands)
    events = read_topic(args.broker, args.events)
    rejections = read_topic(args.broker, args.rejections)
    expected_events, expected_rejections = fold(commands)
    differences = [
        difference(args.events, events, expected_events),
        difference(args.rejections, rejections, expected_rejections),
    ]
    if args.acks:
        differences.append(check_acks(args.acks, commands, (events, rejections)))
    differences = [words for words in differences if words]
    for words in differences:
        print("oracle: " + words, file=sys.stderr)
    if not differences:
        counts = (sum(map(len, topic)) for topic in (commands, events, rejections))
        print("%d commands, %d events, %d rejections" % tuple(counts))
    return 1 if differences else 0


def print_fold(args):
    for name, partitions in zip(("events", "rejections"), fold(read_topic(args.broker, args.commands))):
        for partition, outcomes in enumerate(partitions):
            for outcome in outcomes:
                fields = name.encode(), b"%d" % partition, outcome.key or b"", outcome.headers.split("=")[1].encode()
                sys.stdout.buffer.write(b"\t".join(fields + (outcome.value,)) + b"\n")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    checking = verbs.add_parser("check")
    checking.add_argument("commands")
    checking.add_argument("events")
    checking.add_argument("rejections")
    checking.add_argument("--acks")
    checking.set_defaults(run=check)
    folding = verbs.add_parser("fold")
    folding.add_argument("commands")
    folding.set_defaults(run=print_fold)
    for verb in (checking, folding):
        verb.add_argument("--broker", default=os.environ.get("KAFKA_BROKER", "localhost:9092"))
    args = parser.parse_args()
    try:
        return args.run(args)
    except Unreadable as error:
        print("oracle: %s" % error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())

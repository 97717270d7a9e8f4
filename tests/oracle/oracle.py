#!/usr/bin/env python3
"""What the calculator must derive from a log of commands, told a second time.

    oracle.py fold COMMANDS --events E --rejections R [--values V] [--pipe]
    oracle.py check COMMANDS EVENTS REJECTIONS [--acks ACKS] [--values V] [--pipe]

`fold` writes the bytes that calc-handle writes for COMMANDS, and those that calc-project
prints for its events. `check` compares files with them, says the first difference and where
it is, and exits 1. ACKS are the lines by which calc-submit acknowledged commands: each must
stand in COMMANDS where its line says, and have one outcome.

This shares no code with the tools, nor with Python's own JSON reader, which is laxer than
the format: it takes NaN, lone surrogates, duplicate keys, and numbers that overflow.
"""

import argparse
import hashlib
import re
import struct
import sys
from collections import namedtuple

LINE_MAX = 65536
DEPTH_MAX = 64
ACTOR_MAX = 256
NAMESPACE = bytes.fromhex("ea5002c073f94d458c92f0c2deaa7382")


class Malformed(Exception):
    """The line is no command."""


# ---- JSON ----

# A string is taken whole, escapes included, and unescaped afterwards if it has any.
TOKEN = re.compile(
    r"[ \t\r\n]*(?:"
    r"([{}\[\]:,])"
    r'|"((?:[^"\\\x00-\x1f]++|\\["\\/bfnrt]|\\u[0-9A-Fa-f]{4})*)"'
    r"|(-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)"
    r"|(true|false|null)"
    r"|\Z)"
)
ESCAPE = re.compile(r'\\(["\\/bfnrt]|u([0-9A-Fa-f]{4}))')
SHORT_ESCAPES = {'"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
WORDS = {"true": True, "false": False, "null": None}


class Number:
    """A number keeps its token, for members whose spelling matters."""

    __slots__ = ("token", "double")

    def __init__(self, token):
        self.token = token
        self.double = float(token)
        if self.double in (float("inf"), float("-inf")):
            raise Malformed("a number overflows")


def unescape(text):
    if "\\" not in text:
        return text

    def one(match):
        if match[2]:
            return chr(int(match[2], 16))
        return SHORT_ESCAPES[match[1]]

    text = ESCAPE.sub(one, text)
    if "\0" in text:
        raise Malformed("U+0000")
    try:
        # Raw text can't hold surrogates (it came from strict UTF-8), so any that are here were
        # escaped: pairs become one character, and a lone one fails.
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le")
    except UnicodeDecodeError:
        raise Malformed("a lone surrogate") from None


class Reader:
    def __init__(self, text):
        self.text = text
        self.at = 0
        self.depth = 0

    def token(self):
        """The next token as (punctuation, string, number, word); all None at the end."""
        match = TOKEN.match(self.text, self.at)
        if not match:
            raise Malformed("no JSON")
        self.at = match.end()
        return match.groups()

    def punctuation(self, expected):
        found = self.token()[0]
        if found is None or found not in expected:
            raise Malformed("no JSON")
        return found

    def value(self, token):
        punctuation, string, number, word = token
        if string is not None:
            return unescape(string)
        if number is not None:
            return Number(number)
        if word is not None:
            return WORDS[word]
        if punctuation not in ("{", "["):
            raise Malformed("no JSON")
        self.depth += 1
        if self.depth > DEPTH_MAX:
            raise Malformed("too deep")
        value = self.object() if punctuation == "{" else self.array()
        self.depth -= 1
        return value

    def object(self):
        members = {}
        token = self.token()
        if token[0] == "}":
            return members
        while True:
            if token[1] is None:
                raise Malformed("no JSON")
            key = unescape(token[1])
            if key in members:
                raise Malformed("a duplicate key")
            self.punctuation(":")
            members[key] = self.value(self.token())
            if self.punctuation(",}") == "}":
                return members
            token = self.token()

    def array(self):
        items = []
        token = self.token()
        if token[0] == "]":
            return items
        while True:
            items.append(self.value(token))
            if self.punctuation(",]") == "]":
                return items
            token = self.token()


def parse_json(line):
    """One JSON text; objects are dicts, numbers are Numbers."""
    try:
        text = line.decode("utf-8")  # strict: no overlong forms, no surrogates, nothing above U+10FFFF
    except UnicodeDecodeError:
        raise Malformed("no UTF-8") from None
    reader = Reader(text)
    value = reader.value(reader.token())
    if reader.token() != (None, None, None, None):
        raise Malformed("trailing text")
    return value


# The first spelling that JSON gives a control character is the short one, where there is one.
WRITTEN = {chr(code): "\\u%04x" % code for code in range(32)}
WRITTEN.update({'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"})
WRITTEN = str.maketrans(WRITTEN)


def spell_string(text):
    return '"' + text.translate(WRITTEN) + '"'


# ---- Ids and times ----

UUID = re.compile(r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}")
TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([-+])([0-9]{2}):([0-9]{2}))"
)


def uuid_bytes(text):
    return bytes.fromhex(text.replace("-", ""))


def uuid5(name):
    digest = bytearray(hashlib.sha1(NAMESPACE + name).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    text = digest.hex()
    return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_days(year, month):
    return (31, 29 if is_leap(year) else 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)[month - 1]


def canonical_time(text):
    """RFC 3339 in UTC with microseconds. By hand, because Python's datetime knows no year 0,
    in which a moment of the year 1 can be spelled by its offset."""
    match = TIME.fullmatch(text)
    if not match:
        raise Malformed("no time")
    year, month, day, hour, minute, second = (int(match[i]) for i in range(1, 7))
    if not 1 <= month <= 12 or not 1 <= day <= month_days(year, month):
        raise Malformed("no date")
    if hour > 23 or minute > 59 or second > 59:
        raise Malformed("no time of day")
    if match[8]:
        offset_hours, offset_minutes = int(match[9]), int(match[10])
        if offset_hours > 23 or offset_minutes > 59:
            raise Malformed("no offset")
        offset = offset_hours * 60 + offset_minutes
        # east of Greenwich the clock is ahead of UTC
        minutes = hour * 60 + minute + (-offset if match[8] == "+" else offset)
        days, minutes = divmod(minutes, 24 * 60)  # an offset is less than a day
        hour, minute = divmod(minutes, 60)
        day += days
        if day < 1:
            month -= 1
            if month < 1:
                year, month = year - 1, 12
            day = month_days(year, month)
        elif day > month_days(year, month):
            day = 1
            month += 1
            if month > 12:
                year, month = year + 1, 1
    if not 1 <= year <= 9999:
        raise Malformed("a year that can't be written")
    fraction = (match[7] or "")[:6].ljust(6, "0")
    return "%04d-%02d-%02dT%02d:%02d:%02d.%sZ" % (year, month, day, hour, minute, second, fraction)


# ---- Commands ----

Command = namedtuple(
    "Command",
    "action id value_id operation value expected_version expected_owner timestamp actor",
)


def member_string(members, name):
    value = members.get(name)
    if not isinstance(value, str):
        raise Malformed(name + " is no string")
    return value


def member_uuid(members, name):
    value = member_string(members, name)
    if not UUID.fullmatch(value):
        raise Malformed(name + " is no UUID")
    return value.lower()


def member_actor(members, name):
    """An actor's name, or None."""
    if members.get(name) is None:
        return None
    value = member_string(members, name)
    if not 1 <= len(value.encode()) <= ACTOR_MAX:
        raise Malformed(name + " is too short or too long")
    return value


def member_version(members, name):
    value = members.get(name)
    if value is None:
        return None
    if not isinstance(value, Number) or not value.token.isdigit():
        raise Malformed(name + " is no version")
    return int(value.token)


def read_command(line):
    if len(line) > LINE_MAX:
        raise Malformed("too long")
    members = parse_json(line)
    if not isinstance(members, dict):
        raise Malformed("no object")
    action = members.get("action")
    if action not in ("CreateValue", "UpdateValue"):
        raise Malformed("no action")
    data = members.get("data")
    if not isinstance(data, dict):
        raise Malformed("data is no object")
    operation = None
    if action == "UpdateValue":
        operation = data.get("operation")
        if operation not in ("ADD", "MULTIPLY"):
            raise Malformed("no operation")
    value = data.get("value")
    if not isinstance(value, Number):
        raise Malformed("value is no number")
    timestamp = None
    if members.get("timestamp") is not None:
        timestamp = canonical_time(member_string(members, "timestamp"))
    return Command(
        action,
        member_uuid(members, "id"),
        member_uuid(data, "value_id"),
        operation,
        value.double,
        member_version(members, "expected_version"),
        member_actor(members, "expected_owner"),
        timestamp,
        member_actor(members, "actor"),
    )


def spell_data(command):
    operation = "" if command.operation is None else '"operation":"%s",' % command.operation
    return '{"value_id":"%s",%s"value":%r}' % (command.value_id, operation, command.value)


def spell_provenance(command):
    """The end of every message that stems from a command, with its closing brace."""
    timestamp = "" if command.timestamp is None else ',"timestamp":"%s"' % command.timestamp
    actor = "" if command.actor is None else ',"actor":' + spell_string(command.actor)
    return timestamp + actor + "}"


def spell_command(command):
    version, owner = command.expected_version, command.expected_owner
    return (
        '{"action":"%s","id":"%s","data":%s' % (command.action, command.id, spell_data(command))
        + ("" if version is None else ',"expected_version":%d' % version)
        + ("" if owner is None else ',"expected_owner":' + spell_string(owner))
        + spell_provenance(command)
    )


# ---- Decisions ----

Value = namedtuple("Value", "value version owner timestamp")
ABSENT = Value(0.0, 0, None, None)


class Calculator:
    def __init__(self):
        self.values = {}
        self.seen = {}  # (value id, command id): the body

    def refusal(self, command, value):
        """The reason why the command isn't applied to the value, or None, and the result."""
        exists = value.version > 0
        if command.action == "CreateValue" and exists:
            return "value_exists", None
        if command.action == "UpdateValue" and not exists:
            return "unknown_value", None
        if command.expected_owner is not None and command.expected_owner != value.owner:
            return "forbidden", None
        if command.expected_version is not None and command.expected_version != value.version:
            return "version_conflict", None
        result = command.value
        if command.operation == "ADD":
            result = value.value + command.value
        elif command.operation == "MULTIPLY":
            result = value.value * command.value
        if result - result != 0:  # infinite or not a number
            return "out_of_range", None
        return None, result

    def handle(self, command, position, line):
        """The outcome as (is it an event, its line), or None for a retry. The position is the
        command's place in its log, as a number or as text."""
        key = command.value_id, command.id
        body = command.action, command.operation, struct.pack(">d", command.value), command.actor
        value = self.values.get(command.value_id, ABSENT)
        first = self.seen.setdefault(key, body)
        if first is not body:
            if first == body:
                return None
            return False, spell_rejection(command, "id_reused", value.version, position_id(position, line))
        outcome_id = uuid5(uuid_bytes(command.value_id) + uuid_bytes(command.id))
        reason, result = self.refusal(command, value)
        if reason:
            return False, spell_rejection(command, reason, value.version, outcome_id)
        owner = command.actor if command.action == "CreateValue" else value.owner
        value = Value(result, value.version + 1, owner, command.timestamp)
        self.values[command.value_id] = value
        return True, spell_event(command, value, outcome_id)

    def handle_line(self, line, position):
        """The same for a line, which may be blank (None) or no command at all."""
        if not line.strip(b" \t\r"):
            return None
        try:
            command = read_command(line)
        except Malformed:
            return False, spell_malformed(position, line)
        return self.handle(command, position, line)


def position_id(position, line):
    """The id of an outcome that belongs to a place rather than to a command."""
    return uuid5(b"%s\n" % str(position).encode() + line[:LINE_MAX])


def spell_event(command, value, outcome_id):
    action = "ValueCreated" if command.action == "CreateValue" else "ValueUpdated"
    return '{"action":"%s","id":"%s","parent":"%s","data":%s,"version":%d,"result":%r%s' % (
        action,
        outcome_id,
        command.id,
        spell_data(command),
        value.version,
        value.value,
        spell_provenance(command),
    )


def spell_rejection(command, reason, version, outcome_id):
    return '{"action":"CommandRejected","id":"%s","parent":"%s","data":%s,"reason":"%s","version":%d%s' % (
        outcome_id,
        command.id,
        spell_data(command),
        reason,
        version,
        spell_provenance(command),
    )


def spell_malformed(position, line):
    return '{"action":"CommandRejected","id":"%s","parent":null,"data":{"position":"%s"},"reason":"malformed"}' % (
        position_id(position, line),
        position,
    )


def spell_values(values):
    lines = []
    for value_id, value in sorted(values.items()):
        timestamp = "" if value.timestamp is None else ',"timestamp":"%s"' % value.timestamp
        lines.append(
            '{"value_id":"%s","value":%r,"version":%d%s}\n' % (value_id, value.value, value.version, timestamp)
        )
    return "".join(lines).encode()


# ---- Logs ----


def records(log, pipe=False):
    """Each line with its position. In a file a last line without a newline is a torn tail."""
    at = 0
    while True:
        end = log.find(b"\n", at)
        if end < 0:
            break
        yield at, log[at:end]
        at = end + 1
    if pipe and at < len(log):
        yield at, log[at:]


def fold(commands, pipe=False):
    """The bytes of events, rejections and values."""
    calculator = Calculator()
    events, rejections = [], []
    for position, line in records(commands, pipe):
        outcome = calculator.handle_line(line, position)
        if outcome:
            (events if outcome[0] else rejections).append(outcome[1] + "\n")
    return "".join(events).encode(), "".join(rejections).encode(), spell_values(calculator.values)


def read_file(path):
    with open(path, "rb") as file:
        return file.read()


def write_file(path, content):
    with open(path, "wb") as file:
        file.write(content)


# ---- Comparing ----


def excerpt(line):
    return repr(line if len(line) <= 400 else line[:400] + b"...")[1:]


def difference(path, found, expected):
    """The first line of a file that is another than expected, in words; None if all are equal."""
    if found == expected:
        return None
    at, number = 0, 1
    while True:
        found_end, expected_end = found.find(b"\n", at) + 1, expected.find(b"\n", at) + 1
        found_line = found[at : found_end or len(found)]
        expected_line = expected[at : expected_end or len(expected)]
        if found_line != expected_line:
            break
        at, number = found_end, number + 1
    column = next(
        (i for i, (a, b) in enumerate(zip(found_line, expected_line)) if a != b),
        min(len(found_line), len(expected_line)),
    )
    return "%s: byte %d (line %d, from byte %d):\n  expected %s\n  found    %s" % (
        path,
        at + column,
        number,
        at,
        excerpt(expected_line) if expected_line else "its end",
        excerpt(found_line) if found_line else "its end",
    )


def outcome_counts(lines):
    """How often each (value id, command id) is decided. What belongs to a place decides nothing."""
    counts = {}
    for line in lines:
        outcome = parse_json(line)
        if outcome.get("reason") in ("malformed", "misplaced", "id_reused"):
            continue
        key = outcome["data"]["value_id"], outcome["parent"]
        counts[key] = counts.get(key, 0) + 1
    return counts


def line_at(commands, position):
    """The line of a file that begins at this position, a text; None if none does."""
    position = int(position)
    end = commands.find(b"\n", position)
    if end < 0 or not (position == 0 or commands[position - 1 : position] == b"\n"):
        return None
    return commands[position:end]


def acknowledged_badly(path, acks, line_of, counts):
    """The first acknowledgement that isn't true, in words, or None. line_of() knows what stands at
    a position, or of a key where that isn't known; it may be None, and ValueError is for no position."""
    places = set()
    for at, line in records(acks):
        try:
            ack = parse_json(line)
            if "status" in ack:  # the outcome, which --wait prints after the acknowledgement
                continue
            key = member_string(ack, "value_id"), member_string(ack, "id")
            position = member_string(ack, "position")
            line_there = line_of(position, key)
            place = key if position.endswith("?") else position
        except (Malformed, ValueError, TypeError):
            return "%s: byte %d: no acknowledgement: %s" % (path, at, excerpt(line))
        try:
            command = None if line_there is None else read_command(line_there)
        except Malformed:
            command = None
        if command is None:
            why = "no command stands there"
        elif (command.value_id, command.id) != key:
            why = "another command stands there: " + spell_command(command)
        elif place in places:
            why = "its position was acknowledged before"
        elif counts.get(key, 0) != 1:
            why = "it has %d outcomes" % counts.get(key, 0)
        else:
            places.add(place)
            continue
        return "%s: byte %d: %s: %s" % (path, at, excerpt(line), why)
    return None


def check(args):
    commands = read_file(args.commands)
    events, rejections = read_file(args.events), read_file(args.rejections)
    expected_events, expected_rejections, expected_values = fold(commands, args.pipe)
    differences = [
        difference(args.events, events, expected_events),
        difference(args.rejections, rejections, expected_rejections),
    ]
    if args.values:
        differences.append(difference(args.values, read_file(args.values), expected_values))
    if args.acks:
        # Counted in the files themselves, so that it stands even where they differ.
        try:
            counts = outcome_counts(line for log in (events, rejections) for _, line in records(log))
        except (Malformed, KeyError, TypeError) as error:
            differences.append("an outcome can't be read: %r" % error)
        else:
            acks = read_file(args.acks)
            differences.append(acknowledged_badly(args.acks, acks, lambda at, _: line_at(commands, at), counts))
    differences = [words for words in differences if words]
    for words in differences:
        print("oracle: " + words, file=sys.stderr)
    return 1 if differences else 0


def fold_files(args):
    events, rejections, values = fold(read_file(args.commands), args.pipe)
    write_file(args.events, events)
    write_file(args.rejections, rejections)
    if args.values:
        write_file(args.values, values)
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    verbs = parser.add_subparsers(dest="verb", required=True)
    folding = verbs.add_parser("fold")
    folding.add_argument("commands")
    folding.add_argument("--events", required=True)
    folding.add_argument("--rejections", required=True)
    folding.set_defaults(run=fold_files)
    checking = verbs.add_parser("check")
    checking.add_argument("commands")
    checking.add_argument("events")
    checking.add_argument("rejections")
    checking.add_argument("--acks")
    checking.set_defaults(run=check)
    for verb in (folding, checking):
        verb.add_argument("--values")
        verb.add_argument("--pipe", action="store_true", help="a last line without a newline counts")
    args = parser.parse_args()
    return args.run(args)


if __name__ == "__main__":
    sys.exit(main())

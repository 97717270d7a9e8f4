#!/usr/bin/env python3
"""A random log of commands: the same for the same seed.

    generate.py --seed N --commands M [--values K] [--nasty P] [--inputs]

Creations, changes, retries, reused ids, preconditions that hold and that don't, owners,
unknown values; mostly in the canonical spelling. The share P of the lines (0 to 1) is nasty:
other spellings, extreme numbers, blank, long and malformed lines. With --inputs it writes what
calc-submit reads instead: short forms and whole commands.
"""

import argparse
import random
import sys

from oracle import ABSENT, LINE_MAX, Calculator, Command, spell_command, spell_string

ACTORS = ["ann", "bob", "zoë", 'q"\\/', "x" * 256, "é" * 128, "tab\tand\x7f", "\U0001f600"]
TIMES = [
    "2026-11-23T11:00:00.000000Z",
    "2026-11-23T11:00:00Z",
    "2026-11-23t11:00:00.1z",
    "2026-11-23T13:00:00.1234567+02:00",
    "1999-12-31T23:59:59.999-05:30",
    "2024-02-29T23:30:00-00:45",
    "0001-01-01T00:00:00-00:00",
    "9999-12-31T23:59:59.999999Z",
]
NUMBERS = [
    "0", "-0", "-0.0", "0e5", "1", "7", "1E+5", "1e16", "1e15", "1e-5", "0.0001", "1e22", "1e23",
    "9007199254740993", "123456789012345678901234567890", "5e-324", "2.2250738585072014e-308",
    "1e-400", "1.7976931348623157e308", "-1e308", "0.1", "0.30000000000000004", "1" + "0" * 300,
    "4.35", "0." + "3" * 60, "9999999999999998", "2.4703282292062328e-324", "2.4703282292062327e-324",
]  # fmt: skip
IGNORED = [
    "null", "true", "[]", "{}", '{"k":"v"}', '[1,{"a":[]}]', '"\\ud83d\\ude00"', '"é"', "-0", "1e-400",
    "[" * 63 + "]" * 63, '"\x7f\\/"', '{"a":1,"b":{"a":1}}',
]  # fmt: skip
# What is no JSON, or not ours, wherever it stands.
BAD_IGNORED = [
    "NaN", "Infinity", "-Infinity", "1e400", "-1e400", "9" * 400, "01", "+1", ".5", "1.", "1e", "-", "0x10",
    "tru", "True", "undefined", "'a'", "", '"\\ud800"', '"\\udc00\\ud800"', '"\\ud83dx"', '"\\u0000"',
    '{"\\u0000":1}', '"\\u12g4"', '"\\x41"', '"a', '"\x01"', '"\t"', "[1,]", "[1 2]", "[", "]", '{"a":1,}',
    '{"a" 1}', "{1:2}", '{"a":1,"a":1}', '{"a":1,"\\u0061":1}', '[{"b":[{"c":1,"c":2}]}]',
    "[" * 64 + "]" * 64, "[" * 30000, "1,2", "/**/1",
]  # fmt: skip
BAD_BYTES = [
    b"\xff", b"\xc3", b"\xc0\xaf", b"\xe0\x80\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xf0\x80\x80\x80",
    b"\x80", b"\xe2\x82", b"\x00",
]  # fmt: skip
BAD_MEMBERS = {
    "action": ["null", '"DeleteValue"', '"createvalue"', "7", '"ValueCreated"'],
    "id": ["null", '""', '"x"', "7", '"{11111111-1111-4111-8111-111111111111}"', '"11111111111141118111111111111111"'],
    "data": ["null", "[]", "7", "{}", '"x"'],
    "expected_version": ["-1", "-0", "1.0", "1e0", '"1"', "true", "1" + "0" * 400, "[]"],
    "expected_owner": ['""', "7", '"' + "x" * 257 + '"', '"' + "é" * 128 + 'x"'],
    "timestamp": [
        '""', "1", '"yesterday"', '"2026-11-23T11:00:60Z"', '"2026-11-23T24:00:00Z"', '"2026-02-29T00:00:00Z"',
        '"0001-01-01T00:00:00+01:00"', '"9999-12-31T23:59:59-01:00"', '"2026-11-23 11:00:00Z"',
        '"2026-11-23T11:00:00"', '"2026-11-23T11:00:00.Z"', '"2026-11-23T11:00:00+0100"',
    ],
    "actor": ['""', "7", "false", '"' + "x" * 257 + '"'],
}  # fmt: skip
BAD_DATA = {
    "value_id": ["null", '"x"', "7", '"11111111-1111-4111-8111-11111111111g"'],
    "operation": ["null", '"add"', '"SUBTRACT"', "7", '""'],
    "value": ["null", '"7"', "true", "[]", "1e999", "NaN", "07"],
}
BAD_LINES = ["7", "null", "[]", "{}", '"x"', "{", "}", "nonsense", '{"action":', "\x0b", "\ufeff{}", "# a comment"]
BLANKS = ["", " ", "\t\r", "\r", " " * 100, " " * (LINE_MAX + 1)]


class Generator:
    """It handles what it writes, so that it can aim at versions and owners."""

    def __init__(self, seed, values):
        self.random = random.Random(seed)
        self.calculator = Calculator()
        self.value_ids = [self.uuid() for _ in range(values)]
        self.written = []

    def uuid(self):
        text = "%032x" % (self.random.getrandbits(128) & ~(0xF << 76) & ~(3 << 62) | 4 << 76 | 2 << 62)
        return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

    def chance(self, share):
        return self.random.random() < share

    def number(self):
        choice = self.random.random()
        if choice < 0.4:
            return float(self.random.randint(-1000, 1000))
        if choice < 0.8:
            return self.random.uniform(-10, 10)
        return self.random.uniform(-1, 1) * 10 ** self.random.randint(-20, 20)

    def fresh_command(self):
        value_id = self.uuid() if self.chance(0.02) else self.random.choice(self.value_ids)
        value = self.calculator.values.get(value_id, ABSENT)
        create = self.chance(0.05 if value.version else 0.9)
        version = owner = None
        if self.chance(0.2):
            version = value.version if self.chance(0.6) else self.random.choice([0, 1, value.version + 1, 2**63])
        if self.chance(0.1):
            owner = value.owner if value.owner and self.chance(0.6) else self.random.choice(ACTORS)
        return Command(
            "CreateValue" if create else "UpdateValue",
            self.uuid(),
            value_id,
            None if create else self.random.choice(("ADD", "ADD", "MULTIPLY")),
            self.number(),
            version,
            owner,
            None if self.chance(0.1) else TIMES[0][:17] + "%09.6fZ" % self.random.uniform(0, 59),
            self.random.choice(ACTORS) if self.chance(0.3) else None,
        )

    def repeated_command(self):
        """A retry, or the id of an earlier command with another body, or on another value."""
        command = self.random.choice(self.written)
        choice = self.random.random()
        if choice < 0.6:
            return command._replace(
                timestamp=self.random.choice((None, TIMES[0])),
                expected_version=self.random.choice((None, 0, 99)),
                expected_owner=self.random.choice((None, "eve")),
            )
        if choice < 0.7:
            return command._replace(value=self.number())
        if choice < 0.8:
            return command._replace(actor=self.random.choice(ACTORS + [None]))
        if choice < 0.9:
            return command._replace(value_id=self.random.choice(self.value_ids))
        other = "UpdateValue" if command.action == "CreateValue" else "CreateValue"
        return command._replace(action=other, operation="ADD" if other == "UpdateValue" else None)

    def command(self):
        if self.written and self.chance(0.12):
            return self.repeated_command()
        command = self.fresh_command()
        self.written.append(command)
        return command

    # ---- Spelling: (name, JSON text) pairs are shuffled, spoilt and joined ----

    def string(self, text):
        """A string in some spelling of JSON."""
        if self.chance(0.7):
            return spell_string(text)
        units = text.encode("utf-16-be")
        escaped = ["\\u%02x%02x" % (units[i], units[i + 1]) for i in range(0, len(units), 2)]
        return '"' + "".join(escaped) + '"'

    def members(self, command, nasty):
        """The members of a command as two lists, the outer one without data."""
        identity = str.upper if nasty and self.chance(0.3) else str
        data = [("value_id", '"%s"' % identity(command.value_id))]
        if command.operation:
            data.append(("operation", self.string(command.operation) if nasty else '"%s"' % command.operation))
        number = self.random.choice(NUMBERS) if nasty and self.chance(0.5) else repr(command.value)
        data.append(("value", number))
        outer = [("action", '"%s"' % command.action), ("id", '"%s"' % identity(command.id))]
        timestamp = command.timestamp
        if nasty and self.chance(0.5):
            timestamp = self.random.choice(TIMES)
        optional = [
            ("expected_version", command.expected_version, str),
            ("expected_owner", command.expected_owner, self.string),
            ("timestamp", timestamp, self.string),
            ("actor", command.actor, self.string),
        ]
        for name, value, spell in optional:
            if value is not None:
                outer.append((name, spell(value)))
            elif nasty and self.chance(0.2):
                outer.append((name, "null"))
        return outer, data

    def join(self, members, nasty):
        if nasty:
            self.random.shuffle(members)
        colon, comma = (" : ", " ,\t") if nasty and self.chance(0.3) else (":", ",")
        names = [self.string(name) if nasty else '"%s"' % name for name, _ in members]
        return "{" + comma.join(name + colon + text for name, (_, text) in zip(names, members)) + "}"

    def unusual(self, command, short=False):
        """A command in another spelling, still a command."""
        outer, data = self.members(command, True)
        if self.chance(0.3):
            target = self.random.choice((outer, data))
            target.append((self.random.choice(("x", "meta", "parent", "Value", "")), self.random.choice(IGNORED)))
        line = self.join(self.short(outer, data) if short else outer + [("data", self.join(data, True))], True)
        if self.chance(0.2):
            line = " \t" + line + " \r"
        if self.chance(0.02):  # up to the last byte that fits
            line += " " * (LINE_MAX - len(line.encode()))
        return line.encode()

    def replaced(self, members, spoilt):
        name = self.random.choice(sorted(spoilt))
        return [pair for pair in members if pair[0] != name] + [(name, self.random.choice(spoilt[name]))]

    def malformed(self, command, short=False):
        outer, data = self.members(command, self.chance(0.3))
        choice = self.random.randrange(9)
        if choice == 0:
            return self.random.choice(BAD_LINES).encode()
        if choice == 1:
            outer.append(("x", self.random.choice(BAD_IGNORED)))
        elif choice == 2:
            data = self.replaced(data, BAD_DATA)
        elif choice == 3:
            outer = self.replaced(outer, BAD_MEMBERS)
        elif choice == 4:
            target = self.random.choice((outer, data))
            target.remove(self.random.choice(target))
        elif choice == 5:
            outer.append(self.random.choice(outer))
        if short:
            outer = self.short(outer, data)
        elif choice != 3 or all(name != "data" for name, _ in outer):
            outer = outer + [("data", self.join(data, False))]
        line = self.join(outer, False).encode()
        if choice == 6:
            return line.replace(b'"', b'"' + self.random.choice(BAD_BYTES), 1)
        if choice == 7:
            return line[: self.random.randrange(1, len(line))]
        if choice == 8:
            return line + self.random.choice((b"x", b",", b"}", b"{}", line, b" " * (LINE_MAX + 1 - len(line))))
        return line

    def short(self, outer, data):
        return [pair for pair in outer if pair[0] not in ("action", "data")] + data

    # ---- Lines ----

    def note(self, line):
        """Handles a line, to know where the values are. Its position only names outcomes."""
        self.calculator.handle_line(line, 0)
        return line

    def line(self, nasty):
        command = self.command()
        if not self.chance(nasty):
            return self.note(spell_command(command).encode())
        choice = self.random.random()
        if choice < 0.55:
            return self.note(self.unusual(command))
        if choice < 0.9:
            return self.note(self.malformed(command))
        return self.random.choice(BLANKS).encode()

    def input(self, nasty):
        command = self.command()
        short = self.chance(0.7)
        choice = self.random.random()
        if self.chance(nasty):
            if choice < 0.55:
                return self.unusual(command, short)
            if choice < 0.9:
                return self.malformed(command, short)
            return self.random.choice(BLANKS).encode()
        self.note(spell_command(command).encode())
        outer, data = self.members(command, False)
        if choice < 0.4:  # what is filled in
            outer = [pair for pair in outer if pair[0] not in ("id", "timestamp")]
        if short:
            if command.action == "CreateValue" and self.chance(0.2):
                data = [pair for pair in data if pair[0] != "value_id"]
            return self.join(self.short(outer, data), False).encode()
        return self.join(outer + [("data", self.join(data, False))], False).encode()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--commands", type=int, required=True, help="how many lines")
    parser.add_argument("--values", type=int, default=20, help="how many values they are about (20)")
    parser.add_argument("--nasty", type=float, default=0.1, help="the share of nasty lines (0.1)")
    parser.add_argument("--inputs", action="store_true", help="write calc-submit's inputs instead")
    args = parser.parse_args()
    generator = Generator(args.seed, args.values)
    one = generator.input if args.inputs else generator.line
    for _ in range(args.commands):
        sys.stdout.buffer.write(one(args.nasty) + b"\n")
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()

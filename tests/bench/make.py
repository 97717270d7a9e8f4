#!/usr/bin/env python3
"""make.py COUNT: so many commands in the canonical spelling, the same ones every time.

A tenth of them creates values, the others add and multiply; one in a hundred is a mistake or a
retry. Ids are random UUIDs, as most clients have them, and every command has a timestamp.

make.py COUNT inputs: the same as inputs for calc-submit, without ids and timestamps."""
import random
import sys

chance = random.Random(20261123)


def new_id():
    text = f"{chance.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{'89ab'[int(text[16], 16) % 4]}{text[17:20]}-{text[20:]}"


def main():
    count = int(sys.argv[1])
    inputs = sys.argv[2:] == ["inputs"]
    values, line, write = [], "", sys.stdout.write
    for i in range(count):
        kind = chance.random()
        second, micros = divmod(i * 1531, 1000000)
        when = (f"2026-11-23T{second // 3600 % 24:02}:{second // 60 % 60:02}:{second % 60:02}"
                f".{micros:06}Z")
        if kind < 0.005 and line and not inputs:
            write(line)
            continue
        if kind < 0.1 or not values:
            values.append(new_id())
            data = f'"value_id":"{values[-1]}","value":{chance.randrange(100000) / 100!r}'
            action = "CreateValue"
        else:
            value = chance.choice(values) if kind > 0.105 else new_id()
            if kind < 0.8:
                operation, operand = "ADD", chance.randrange(-5000, 5000) / 8
            else:
                operation, operand = "MULTIPLY", chance.choice((0.5, 1.5, -1.0, 0.1, 2.0))
            data = f'"value_id":"{value}","operation":"{operation}","value":{operand!r}'
            action = "UpdateValue"
        if inputs:
            line = f"{{{data}}}\n"
        else:
            line = (f'{{"action":"{action}","id":"{new_id()}","data":{{{data}}},'
                    f'"timestamp":"{when}"}}\n')
        write(line)


if __name__ == "__main__":
    main()

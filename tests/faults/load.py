"""Inputs for calc-submit: every kind of command, retries, preconditions and bad lines."""
import json
import uuid

NUMBERS = ["0", "-0.0", "1", "2", "7", "-3", "0.1", "1e308", "-1e308", "5e-324", "1e-200", "1e200",
           "123456789012345678901234567890", "0.30000000000000004", "1E2", "-1.5"]
BAD = [b"{", b"[]", b"nonsense", b'{"value":"7"}', b'{"value":NaN}', b'{"value":1e999}', b'{"value":1}{',
       b'{"value":1,"value":1}', b'{"value_id":"x","operation":"ADD","value":1}', b'{"operation":"ADD","value":1}',
       b'{"value":1,"actor":""}', b'{"value":1,"timestamp":"yesterday"}', b'{"value":1,"note":"\xff"}',
       b'{"value":1,"expected_version":-1}', b'{"action":"Nothing","data":{}}',
       b'{"value":1,"note":"' + b"x" * 70000 + b'"}']
BLANK = [b"", b"  ", b"\t\r"]
FOREIGN = BAD + [b'{"id":"2b0c7a3e-3c37-4b8e-9e40-9ad0d8f4d0aa","action":"CreateValue","extra":[1,{"a":null}],'
                 b'"data":{"value":3,"value_id":"8D0F7C2E-29A9-4A39-8C1C-4CF0B2E7A001"}}', b"   "]
ACTORS = ["ann", "bob", "J\u00fcrgen \u2603", "a\"b\\c", "x" * 256]


class Input:
    """A line: `good` is None if it is blank; `id` is None if calc-submit chooses one."""

    def __init__(self, line, good=True, id=None):
        self.line, self.good, self.id = line, good, id


class Load:
    """What several writers do to the same values."""

    def __init__(self, values=200):
        self.limit = values
        self.values = []
        self.sent = []  # messages with ids, for retries

    def uuid(self, rng):
        text = str(uuid.UUID(int=rng.getrandbits(128), version=4))
        return text.upper() if rng.random() < 0.05 else text

    def _create(self, rng):
        value_id = self.uuid(rng)
        if len(self.values) < self.limit:
            self.values.append(value_id)
        elif rng.random() < 0.5:
            value_id = rng.choice(self.values)  # it exists, or an earlier update waits for it in vain
        return {"value_id": value_id}

    def _update(self, rng):
        known = self.values and rng.random() < 0.95
        message = {"value_id": rng.choice(self.values) if known else self.uuid(rng),
                   "operation": rng.choice(["ADD", "MULTIPLY"])}
        if rng.random() < 0.1:
            message["expected_version"] = rng.randrange(12)
        if rng.random() < 0.1:
            message["expected_owner"] = rng.choice(ACTORS)
        return message

    def _message(self, rng):
        if self.sent and rng.random() < 0.08:
            message = dict(rng.choice(self.sent))  # a retry
            if rng.random() < 0.2:
                message["value"] = rng.choice(NUMBERS)  # its id is reused
            if rng.random() < 0.2:
                message["expected_version"] = rng.randrange(5)
            return message
        message = self._create(rng) if len(self.values) < 3 or rng.random() < 0.15 else self._update(rng)
        message["value"] = rng.choice(NUMBERS) if rng.random() < 0.5 else repr(rng.uniform(-9, 9))
        if rng.random() < 0.95:
            message["id"] = self.uuid(rng)
        if rng.random() < 0.3:
            message["actor"] = rng.choice(ACTORS)
        if rng.random() < 0.1:
            message["timestamp"] = "2026-11-23T11:00:00.%06d+02:00" % rng.randrange(10**6)
        if "id" in message:
            self.sent.append(message)
        return message

    def input(self, rng):
        kind = rng.random()
        if kind < 0.02:
            return Input(rng.choice(BAD) + b"\n", good=False)
        if kind < 0.03:
            return Input(rng.choice(BLANK) + b"\n", good=None)
        message = self._message(rng)
        given = dict(message)
        number = given.pop("value")
        if "id" in given and rng.random() < 0.3:  # a whole command
            data = {name: given.pop(name) for name in ("value_id", "operation") if name in given}
            action = "UpdateValue" if "operation" in data else "CreateValue"
            given = {"action": action, "data": data | {"value": "@"}} | given
        else:
            given["value"] = "@"
        if rng.random() < 0.02:
            given["unknown"] = {"text": "x" * rng.randrange(30000), "list": [None, True]}
        text = json.dumps(given, ensure_ascii=rng.random() < 0.5).replace('"@"', number, 1)
        return Input(text.encode() + b"\n", id=message.get("id", "").lower() or None)

    def inputs(self, rng, count):
        return [self.input(rng) for _ in range(count)]

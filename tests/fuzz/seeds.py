#!/usr/bin/env python3
"""The files that a fuzzer begins with: the lines of the examples and cases, what there is no example of,
and inputs that once failed.

    seeds.py TARGET FOLDER
"""
import pathlib
import shutil
import sys

TESTS = pathlib.Path(__file__).resolve().parents[1]
ID = "0193a000-0000-7000-8000-000000000001"


def messages():
    """Every line, canonical commands, which those lines are not, and what else people write to calc-submit."""
    update = (b'{"action":"UpdateValue","id":"0193a000-0000-7000-8000-000000000001","data":{"value_id":'
              b'"0193a000-0000-7000-8000-00000000000b","operation":"ADD","value":3.0}')
    lines = [update + b"}", update + b',"actor":"ann"}', update + b',"expected_version":3,"expected_owner":"ann",'
             b'"timestamp":"2026-11-23T11:00:00.000000Z"}']
    lines += [b'{"value":7}', b' {"value" : -0.5e1 , "id":"%s"}\t' % ID.encode(),
              b'{"expected_version":0,"actor":"ann","value_id":"%s","value":1,"timestamp":"2026-11-23T11:00:00Z",'
              b'"operation":"MULTIPLY","expected_owner":"bob"}' % ID.encode()]
    for folder in ("examples", "cases"):
        for path in sorted((TESTS / folder).rglob("*")):
            if path.is_file():
                lines += path.read_bytes().split(b"\n")
    return [line for line in lines if len(line) < 1400]


def sql():
    """What calc-watch would print of the lines that are outcomes."""
    return [line.rstrip(b"}\r") + b',"cursor":"1.b23c0e4baea35f8f.0-563.0-297."}' if b'"parent"' in line else line
            for line in messages()] + [number.encode() for number in ("'\\\n", "\x1f||")]


def number():
    texts = ("7.0 -0 0.1 1e+16 5e-324 1.7976931348623157e308 123456789012345678901234567890 00 1. ,7").split()
    return [text.encode() for text in texts]


def lines():
    return [b"\1\3\0\0one\n \t\r\n\ntwo", b"\1\20\0\1\370a\n\367 x\n\377\n\370 "]


def tail():
    return [b"\0\0", b"\0\200one\n \t\r\n\ntwo", b"\0\377one\ntwo\n", b"\0\0one\n\361\0",
            b"\1\100\370a\n\371 \n\367b"]


def headers():
    return [b'wait=20; a="b, \\"c", respond-async', b'W/"3", "4"',
            b"/values/0198c0de-0000-7000-8000-000000000001/history?limit=%31&seen=x"]


def request(body, *variables):
    return b"".join(variable.encode() + b"\0" for variable in variables) + b"\0" + body


def cgi():
    create, add, json = b'{"value":7}', b'{"operation":"ADD","value":3}', "CONTENT_TYPE=application/json"
    command = f"REQUEST_URI=/values/{ID}/commands/0193a000-0000-7000-8000-0000000000c"
    return [
        request(create, "REQUEST_METHOD=POST", "REQUEST_URI=/values", json, f"CONTENT_LENGTH={len(create)}"),
        request(create, "REQUEST_METHOD=POST", "REQUEST_URI=/values", "HTTP_TRANSFER_ENCODING=chunked"),
        request(add, "REQUEST_METHOD=PUT", "SCRIPT_NAME=/calc", f"PATH_INFO=/values/{ID}", "REMOTE_USER=ann",
                f"CONTENT_LENGTH={len(add)}"),
        request(b"", "REQUEST_METHOD=GET", f"REQUEST_URI=/values/{ID}", 'HTTP_IF_NONE_MATCH=W/"1"'),
        request(b"", "REQUEST_METHOD=HEAD", f"REQUEST_URI=http://host/c%61lc/values/{ID}?x", "CALC_BASE=/calc/"),
        request(b"", "REQUEST_METHOD=GET", command + "1"),
        request(b"", "REQUEST_METHOD=GET", command + "2"),
        request(b"", "REQUEST_METHOD=OPTIONS", "SCRIPT_NAME=/values"),
        request(add, "REQUEST_METHOD=PUT", f"REQUEST_URI=/values/{ID}", 'HTTP_IF_MATCH="1"',
                'HTTP_IDEMPOTENCY_KEY="key"', f"CONTENT_LENGTH={len(add)}"),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/values?limit=1&cursor=" + ID),
        request(b"", "REQUEST_METHOD=GET", f"REQUEST_URI=/values/{ID}/history?limit=2"),
        request(b"", "REQUEST_METHOD=GET", f"REQUEST_URI=/values/{ID}?as_of=2026-11-23T11:00:00Z"),
        request(b"", "REQUEST_METHOD=GET", f"REQUEST_URI=/values/{ID}?version=1", 'HTTP_IF_NONE_MATCH="1"'),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/openapi.json"),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/page/main.js"),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/calc", "CALC_BASE=/calc"),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/events?from=beginning"),
        request(b"", "REQUEST_METHOD=HEAD", f"REQUEST_URI=/values/{ID}/events"),
        request(b"", "REQUEST_METHOD=GET", "REQUEST_URI=/events", "HTTP_LAST_EVENT_ID=1.0123456789abcdef.0-0.."),
    ]


def policy():
    return [b'{"create":"actors","add":["ann","Zo\\u00eb"],\n"multiply":[],"read":"everyone","own":true}',
            b'{"watch":["ann","ann",""]}', b'{"read":"everyone",\n"raed":[]}', b'{"add":[[1,{"a":2}],"b"]}']


def store():
    changes = [b"", b"\1\1\0\10\4\377\360\1\2", b"\2\1\1\7\1\2\2\40x", b"\1\1\3\3abcd\2\1\5"]
    return [which + change for which in (b"\0", b"\1") for change in changes]


SEEDS = {"cgi": cgi, "headers": headers, "lines": lines, "messages": messages, "number": number,
         "policy": policy, "scan": messages, "sql": sql, "store": store, "tail": tail}


def main():
    target, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir()
    for count, seed in enumerate(SEEDS[target]()):
        (folder / str(count)).write_bytes(seed)
    for path in (TESTS / "fuzz/corpus" / target).glob("*"):
        shutil.copy(path, folder)


if __name__ == "__main__":
    main()

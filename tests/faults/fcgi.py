"""A FastCGI client: one request on a connection of its own (FastCGI specification 1.0, sections 3 and 5)."""
import socket
import struct

BEGIN, END, PARAMS, STDIN, STDOUT = 1, 3, 4, 5, 6
RESPONDER = 1


class Answer:
    def __init__(self, text):
        head, _, self.body = text.partition(b"\r\n\r\n")
        self.headers = {}
        for line in head.decode().split("\r\n"):
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()
        self.status = int(self.headers.get("status", "200").split()[0])


def _record(kind, content):
    return struct.pack("!BBHHBB", 1, kind, 1, len(content), 0, 0) + content


def _pairs(params):
    out = b""
    for name, value in params.items():
        name, value = name.encode(), value.encode()
        out += struct.pack("!II", len(name) | 1 << 31, len(value) | 1 << 31) + name + value
    return out


def _exactly(connection, size):
    data = b""
    while len(data) < size:
        got = connection.recv(size - len(data))
        if not got:
            raise ConnectionError("the connection ended in the answer")
        data += got
    return data


def request(path, method, uri, body=b"", headers=None, timeout=20):
    """Sends a request to the socket `path`; returns the Answer. OSError: nobody knows what became of it."""
    params = {"REQUEST_METHOD": method, "REQUEST_URI": uri, "SCRIPT_NAME": "", "PATH_INFO": uri}
    if method in ("POST", "PUT"):
        params |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(body))}
    for name, value in (headers or {}).items():
        params["HTTP_" + name.upper().replace("-", "_")] = value
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(timeout)
        connection.connect(path)
        connection.sendall(
            _record(BEGIN, struct.pack("!HB5x", RESPONDER, 0))
            + _record(PARAMS, _pairs(params))
            + _record(PARAMS, b"")
            + (_record(STDIN, body) if body else b"")
            + _record(STDIN, b"")
        )
        out = b""
        while True:
            _, kind, _, size, padding, _ = struct.unpack("!BBHHBB", _exactly(connection, 8))
            content = _exactly(connection, size + padding)[:size]
            if kind == STDOUT:
                out += content
            elif kind == END:
                return Answer(out)

"""Kafka's own protocol, as much of it as tests ask for where Java's tools would take a second each.
Every request is in its last version before the tagged fields."""

import socket
import struct
import time

GROUP, TRANSACTION = 0, 1  # what a coordinator is asked for
# CONCURRENT_TRANSACTIONS is the answer while an open transaction is being aborted.
COORDINATOR_LOADING, COORDINATOR_AWAY, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS = 14, 15, 16, 51
NON_EMPTY_GROUP, GROUP_SUBSCRIBED = 68, 86
PASSING = (COORDINATOR_LOADING, COORDINATOR_AWAY, NOT_COORDINATOR, CONCURRENT_TRANSACTIONS,
           NON_EMPTY_GROUP, GROUP_SUBSCRIBED)  # fmt: skip


def string(text):
    data = text.encode()
    return struct.pack(">h", len(data)) + data


def array(items):
    return struct.pack(">i", len(items)) + b"".join(items)


class Answer:
    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        (value,) = struct.unpack_from(">" + kind, self.data, self.at)
        self.at += struct.calcsize(">" + kind)
        return value

    def string(self):
        size = self.number("h")
        self.at += max(size, 0)
        return self.data[self.at - max(size, 0) : self.at].decode()

    def array(self, item):
        return [item() for _ in range(self.number("i"))]


def ask(broker, key, version, body):
    host, _, port = broker.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        request = struct.pack(">hhi", key, version, 1) + string("calc-tests") + body
        connection.sendall(struct.pack(">i", len(request)) + request)
        stream = connection.makefile("rb")
        (size,) = struct.unpack(">i", stream.read(4))
        answer = Answer(stream.read(size))
    answer.number("i")  # which request it belongs to
    return answer


def insist(request, seconds=30):
    """Repeats a request until its error code is none that passes by itself."""
    deadline = time.monotonic() + seconds
    while (error := request()) in PASSING:
        if time.monotonic() > deadline:
            raise OSError("Kafka still answers error %d after %d s" % (error, seconds))
        time.sleep(0.05)
    if error:
        raise OSError("Kafka answers error %d" % error)


def coordinator(brokers, kind, name):
    """The broker that keeps a group, or a transactional id: "host:port"."""
    found = ""

    def request():
        nonlocal found
        answer = ask(brokers.split(",")[0], 10, 1, string(name) + struct.pack(">b", kind))
        answer.number("i")  # throttled for
        error, _, _ = answer.number("h"), answer.string(), answer.number("i")
        found = "%s:%d" % (answer.string(), answer.number("i"))
        return error

    insist(request)
    return found


def fence(brokers, transactional_id):
    """What a second producer of this name does as it starts: the first one's transaction is aborted,
    and it is fenced (InitProducerId)."""
    where = coordinator(brokers, TRANSACTION, transactional_id)

    def request():
        answer = ask(where, 22, 1, string(transactional_id) + struct.pack(">i", 60000))
        answer.number("i")
        return answer.number("h")

    insist(request)


def delete_offsets(brokers, group, topic, partitions):
    """A group forgets a topic (OffsetDelete); waits until nobody in it reads that."""
    where = coordinator(brokers, GROUP, group)
    numbers = array([struct.pack(">i", partition) for partition in range(partitions)])

    def request():
        answer = ask(where, 47, 0, string(group) + array([string(topic) + numbers]))
        error, _ = answer.number("h"), answer.number("i")
        if error:
            return error
        return max(code for codes in answer.array(lambda: one_topic(answer)) for code in codes)

    def one_topic(answer):
        answer.string()
        return [code for _, code in answer.array(lambda: (answer.number("i"), answer.number("h")))]

    insist(request)


def delete_group(brokers, group):
    """All that is known of a group (DeleteGroups); waits until nobody is in it."""
    where = coordinator(brokers, GROUP, group)

    def request():
        answer = ask(where, 42, 1, array([string(group)]))
        answer.number("i")
        return answer.array(lambda: (answer.string(), answer.number("h")))[0][1]

    insist(request)


def delete_topics(brokers, names):
    """Topics and all that is in them (DeleteTopics)."""

    def request():
        answer = ask(brokers.split(",")[0], 20, 1, array([string(name) for name in names]) + struct.pack(">i", 30000))
        answer.number("i")
        return max(code for _, code in answer.array(lambda: (answer.string(), answer.number("h"))))

    insist(request)

#!/usr/bin/env python3
"""Faults of handlers, brokers and what is known of offsets, under load on Kafka; then the oracle.

    kafka.py [FAULT...] [--rounds N] [--seed S]

All faults, or these: their names are those of the functions below, with - for _. A round has topics
of its own with 8 partitions, two calc-submit and a stranger who write, and handlers that a supervisor
starts again when they end with 69, 74 or 75; any other end is a failure. At the end of each round
every outcome is compared with what the commands must come to. If a round fails, its folder is kept
and told. Prints a line a fault.
"""
import argparse
import collections
import os
import pathlib
import shutil
import signal
import sys
import tempfile
import time

from kafka_parts import SESSION, Cluster, World
from parts import BIN, Failure

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../kafka"))
import protocol  # noqa: E402  (it stands beside what else speaks it)


def kill_handler(world):
    """kill -9, at any moment of its work; its orphaned transaction must not hold up its successor."""
    handler = world.handler("a")
    handler.join()
    world.recovered("the start")
    for _ in range(4):
        world.sleep(world.rng.random() * 0.4)
        handler.crash()
        world.recovered("kill -9")


def join_leave(world):
    """Two and three handlers that join, leave and are killed; one at least is always there."""
    handlers = [world.handler(name) for name in "abc"]
    for handler in handlers[:2]:
        handler.join()
    world.recovered("the start")
    for _ in range(6):
        handler = world.rng.choice(handlers)
        there = [other for other in handlers if other.wanted]
        if not handler.wanted:
            handler.join()
            world.stats["joins"] += 1
        elif len(there) == 1 or world.rng.random() < 0.4:
            handler.crash()
        else:
            handler.leave()
            world.stats["leaves"] += 1
        world.sleep(world.rng.random())
    world.recovered("joining and leaving")


def stop_cont(world):
    """A handler that is stopped so long that it is given up, and then goes on with what it had."""
    handlers = [world.handler(name) for name in "ab"]
    for handler in handlers:
        handler.join()
    world.recovered("the start")
    world.sleep(1 + world.rng.random() * 0.2)
    stopped = world.rng.choice(handlers)
    if stopped.signal(signal.SIGSTOP):
        world.stats["stops"] += 1
    world.sleep(SESSION + 0.5)
    world.reach_every_partition("while one is stopped")
    stopped.resume()
    world.sleep(1)
    world.recovered("going on")


def kill_broker(world):
    """The only broker is killed and started again."""
    world.handler("a").join()
    world.recovered("the start")
    world.sleep(world.rng.random())
    world.cluster.kafka("kill")
    world.stats["brokers killed"] += 1
    world.sleep(world.rng.random())
    world.cluster.kafka("start")
    world.recovered("the broker's start")


def pause_broker(world):
    """The broker is stopped: records aren't delivered in time, or the handler takes its session for
    lost, or both."""
    world.handler("a", "message.timeout.ms=1200").join()
    world.recovered("the start")
    for _ in range(2):
        world.sleep(world.rng.random() * 0.3)
        world.cluster.kafka("pause")
        world.stats["pauses of the broker"] += 1
        world.sleep(1 + world.rng.random() * 3)
        world.cluster.kafka("resume")
        world.recovered("a pause of the broker")


def kill_one_of_three(world):
    """One of three brokers, of which two are enough."""
    world.until("all replicas are in sync", world.cluster.in_sync)
    world.handler("a").join()
    world.recovered("the start")
    node = str(world.rng.randrange(1, world.cluster.nodes + 1))
    world.cluster.kafka("kill", node)
    world.stats["brokers killed"] += 1
    world.recovered("a broker's end")
    world.sleep(world.rng.random())
    world.cluster.kafka("start", "--node", node)
    world.recovered("a broker's return")


def abort(world):
    """Transactions that can't be committed: fenced by a second producer; given up by the coordinator,
    because the handler was stopped, but not so long that others take its partitions."""
    handler = world.handler("a", "transaction.timeout.ms=1500", "session.timeout.ms=20000")
    handler.join()
    world.recovered("the start")
    for _ in range(2):
        world.sleep(world.rng.random() * 0.3)
        protocol.fence(world.cluster.brokers, f"{world.topics.group}.{handler.name}")
        world.stats["fenced"] += 1
        world.recovered("being fenced")
    for _ in range(2):
        world.sleep(world.rng.random() * 0.3)
        if handler.signal(signal.SIGSTOP):
            world.stats["stops"] += 1
        world.sleep(2.5)
        handler.resume()
        world.recovered("a stop of the handler")


def end_somehow(world, handler):
    handler.wanted = False
    if world.rng.random() < 0.5:
        handler.crash()
    else:
        handler.leave()


def lose(world, state, offsets):
    handler = world.handler("a")
    handler.join()
    world.recovered("the start")
    world.sleep(0.5)
    for _ in range(2 - offsets):
        end_somehow(world, handler)
        if state:
            shutil.rmtree("a.state")
            world.stats["states lost"] += 1
        if offsets:
            if world.rng.random() < 0.5:
                protocol.delete_offsets(world.cluster.brokers, world.topics.group, world.topics.commands, 8)
            else:
                protocol.delete_group(world.cluster.brokers, world.topics.group)
            world.stats["offsets lost"] += 1
        handler.join()
        world.recovered("the loss")


def lose_state(world):
    """The handler's folder is deleted while it is away."""
    lose(world, True, False)


def lose_offsets(world):
    """The group's offsets are deleted."""
    lose(world, False, True)


def lose_both(world):
    lose(world, True, True)


FAULTS = {function.__name__.replace("_", "-"): function for function in (
    kill_handler, join_leave, stop_cont, kill_broker, pause_broker, kill_one_of_three, abort, lose_state, lose_offsets, lose_both)}
ROUGH = ("kill-broker", "pause-broker", "kill-one-of-three")  # writers, too, may fail

# A broker that starts is its partitions' leader by what it remembers, then nobody's for a moment, until it
# is registered anew. If its coordinator has a transaction to end just then, Kafka 4.3 takes the partitions
# for deleted and leaves the marks out: the transaction never ends, and no client can do anything about it.
# The broker says so; a round that hangs then proves nothing, and is repeated with new brokers.
MARKS_LEFT_OUT, REPEATS = b"Couldn't find leader endpoint for partitions", 5


class Loop:
    def __init__(self, home, seed):
        self.home, self.seed, self.number = home, seed, 0
        self.clusters = {}

    def cluster(self, nodes):
        if nodes not in self.clusters:
            self.clusters[nodes] = Cluster(os.path.join(self.home, f"kafka-{nodes}-{self.number}"), nodes)
            self.clusters[nodes].start()
        return self.clusters[nodes]

    def marks_left_out(self, cluster):
        logs = pathlib.Path(cluster.folder).glob("node-*/server.log")
        return sum(log.read_bytes().count(MARKS_LEFT_OUT) for log in logs)

    def round(self, name, stats):
        for _ in range(REPEATS):
            if self.attempt(name, stats):
                return
        raise Failure(f"{name}: {REPEATS} rounds on end hung because a broker left marks out")

    def attempt(self, name, stats):
        """A round; False if it hung and a broker is to blame."""
        self.number += 1
        folder = os.path.join(self.home, f"{name}-{self.number}")
        os.mkdir(folder)
        os.chdir(folder)
        nodes = 3 if name == "kill-one-of-three" else 1
        cluster = self.cluster(nodes)
        left_out = self.marks_left_out(cluster)
        world = World(cluster, self.number, self.seed + self.number, stats, name in ROUGH)
        try:
            world.start_load()
            FAULTS[name](world)
            world.finish()
        except (Failure, OSError) as failure:
            if self.marks_left_out(cluster) == left_out:
                raise Failure(f"{name}, round {self.number} (seed {self.seed}) failed; its folder is {folder}\n{failure}"
                              ) from failure
            stats["rounds given up since Kafka left marks out"] += 1
            self.clusters.pop(nodes).kafka("kill")
            return False
        finally:
            world.close()
            os.chdir("/")
        # the partitions of many rounds would make a broker's start long
        protocol.delete_topics(cluster.brokers, world.topics.names())
        shutil.rmtree(folder)
        stats["rounds"] += 1
        return True

    def close(self):
        for cluster in self.clusters.values():
            cluster.kafka("kill")


def told(name, stats, seconds):
    """What happened to a fault's rounds, in a line."""
    order = ("rounds", "records", "kill -9", "joins", "leaves", "stops", "brokers killed", "fenced",
             "pauses of the broker", "states lost", "offsets lost", "rounds given up since Kafka left marks out")
    words = [f"{stats[key]} {key}" for key in order if stats[key]]
    words += [f"{stats[key]} {key}" for key in sorted(stats) if key.startswith("restarts") and stats[key]]
    words.append(f"{stats['rounds with an abort']} with aborted transactions ({stats['aborted records']} records)")
    return f"{name}: {', '.join(words)}; slowest recovery {stats['slowest']:.1f} s; {seconds:.0f} s"


def main():
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("faults", nargs="*", metavar="FAULT", help=", ".join(FAULTS))
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options = options.parse_args()
    unknown = [name for name in options.faults if name not in FAULTS]
    if unknown:
        sys.exit(f"kafka.py: no such fault: {' '.join(unknown)}; there are {', '.join(FAULTS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    home, failed = tempfile.mkdtemp(prefix="kafka-faults-"), []
    print(f"kafka.py --rounds {options.rounds} --seed {options.seed}, tools in {BIN}", flush=True)
    loop = Loop(home, options.seed)
    try:
        for name in options.faults or FAULTS:
            stats, begin = collections.Counter(), time.monotonic()
            try:
                for _ in range(options.rounds):
                    loop.round(name, stats)
            except Failure as failure:
                failed.append(name)
                print(f"kafka.py: {failure}", file=sys.stderr, flush=True)
            print(told(name, stats, time.monotonic() - begin), flush=True)
    finally:
        loop.close()
        os.chdir("/")
        if not failed:
            shutil.rmtree(home)
    if failed:
        sys.exit(f"kafka.py: failed: {', '.join(failed)}")
    print("every outcome is what its commands come to, in order, once")


if __name__ == "__main__":
    main()

"""What a round on Kafka is made of: brokers, topics, writers, handlers, and somebody who looks on."""
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
import time

from load import FOREIGN, Load
from parts import Failure, Part, run, tail, tool

ROOT = pathlib.Path(__file__).resolve().parents[2]
KAFKA, CREATE = ROOT / "scripts/kafka", ROOT / "tests/kafka/create-topics"
ORACLE = ROOT / "tests/oracle/kafka.py"
PARTITIONS = 8
SESSION, TRANSACTION = 2.0, 4.0  # seconds, until a handler, or its transaction, is given up
AGAIN = (os.EX_TEMPFAIL, os.EX_IOERR, os.EX_UNAVAILABLE)  # a supervisor starts it again


def kcat(*arguments, **options):
    done = subprocess.run(["kcat", *arguments], capture_output=True, timeout=120, **options)
    if done.returncode:
        raise Failure(f"kcat {' '.join(arguments)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


class Cluster:
    def __init__(self, folder, nodes):
        self.folder, self.nodes = folder, nodes
        self.brokers = None

    def kafka(self, verb, *arguments):
        environment = os.environ | {"KAFKA_OPTS": os.environ.get("KAFKA_OPTS", "-XX:TieredStopAtLevel=1")}
        done = subprocess.run([KAFKA, verb, self.folder, *arguments], capture_output=True, text=True, env=environment,
                              timeout=120)
        if done.returncode:
            raise Failure(f"scripts/kafka {verb}: {done.stderr}")
        return done.stdout.strip()

    def start(self):
        self.brokers = self.kafka("start", "--port", "0", "--nodes", str(self.nodes))

    def in_sync(self):
        """Whether every partition has all its replicas."""
        topics = json.loads(kcat("-L", "-J", "-b", self.brokers))["topics"]
        return all(len(partition["isrs"]) == len(partition["replicas"])
                   for topic in topics for partition in topic["partitions"])


class Topics:
    """The three of a round, its group, and what kcat says of them."""

    def __init__(self, cluster, number):
        self.cluster, self.brokers = cluster, cluster.brokers
        self.commands, self.events, self.rejections = (
            f"{name}-{number}" for name in ("commands", "events", "rejections"))
        self.group = f"commands-processors-{number}"
        settings = f"{PARTITIONS},retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"
        run([str(CREATE), self.brokers, settings, self.commands, self.events, self.rejections])

    def names(self):
        return [self.commands, self.events, self.rejections]

    def environment(self):
        return {"KAFKA_BROKER": self.brokers, "KAFKA_COMMANDS_GROUP_ID": self.group}

    def aborted(self):
        """How many records stand in the outputs that no reader of committed ones sees."""
        hidden = 0
        for topic in (self.events, self.rejections):
            for isolation, sign in (("read_uncommitted", 1), ("read_committed", -1)):
                hidden += sign * kcat("-C", "-e", "-q", "-b", self.brokers, "-t", topic, "-f", "\\n", "-X",
                                      "isolation.level=" + isolation, "-X", "fetch.wait.max.ms=10").count(b"\n")
        return hidden


class Handler(Part):
    """A calc-handle with a supervisor."""

    def __init__(self, name, topics, stats, *properties):
        settings = (f"session.timeout.ms={SESSION * 1000:.0f}", "heartbeat.interval.ms=300",
                    f"transaction.timeout.ms={TRANSACTION * 1000:.0f}", *properties)
        argv = tool("calc-handle", "-i", "kafka:" + topics.commands, "-o", "kafka:" + topics.events,
                    "-r", "kafka:" + topics.rejections, "--state", name + ".state", "--instance", name)
        super().__init__(name, argv + [word for setting in settings for word in ("-X", setting)],
                         topics.environment() | {"LOG_LEVEL": "info"})
        self.stats, self.wanted, self.again_at = stats, False, 0

    def join(self):
        self.wanted, self.again_at = True, 0
        self.start()

    def supervise(self):
        """Starts it again if it ended as a fenced one may; Failure if it ended otherwise."""
        if not self.wanted or self.process.poll() is None:
            return
        if not self.again_at:
            status = self.process.returncode
            if not (self.killed and status == -signal.SIGKILL):
                self.check(status, AGAIN)
                self.stats[f"restarts after {status}"] += 1
            self.again_at = time.monotonic() + 0.1
        elif time.monotonic() >= self.again_at:
            self.join()

    def crash(self):
        """kill -9; its supervisor starts it again, unless it isn't wanted any more."""
        if self.kill():
            self.stats["kill -9"] += 1

    def catches(self):
        """Whether SIGTERM would be noticed rather than be its death; true if it ended."""
        try:
            status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        except FileNotFoundError:
            return True
        caught = [line for line in status.splitlines() if line.startswith("SigCgt:")]
        return not caught or int(caught[0].split()[1], 16) >> (signal.SIGTERM - 1) & 1

    def leave(self):
        """Ends it by SIGTERM; it may just have ended by itself, as a fenced one does."""
        self.wanted = False
        deadline = time.monotonic() + 20
        while not self.catches():
            if time.monotonic() > deadline:
                raise Failure(f"{self.name} doesn't catch SIGTERM in 20 s")
            time.sleep(0.01)
        running = self.process.poll() is None
        self.end((0, *AGAIN, -signal.SIGKILL) if not running else (0,))


class Submitter(threading.Thread):
    """A calc-submit that gets the lines of `batch()` until `ending`, in bursts."""

    def __init__(self, number, topics, batch, rough):
        super().__init__(daemon=True)
        self.part = Part(f"submit{number}", tool("calc-submit", "-o", "kafka:" + topics.commands),
                         topics.environment())
        self.acks = f"{self.part.name}.acks"
        self.batch, self.rough = batch, rough
        self.ending, self.failure, self.restarts = threading.Event(), None, 0

    def run(self):
        try:
            while not self.ending.is_set():
                self.submit()
        except Failure as failure:
            self.failure = failure

    def submit(self):
        with open(self.acks, "ab") as acks:
            process = self.part.start(stdin=subprocess.PIPE, stdout=acks)
        try:
            while not self.ending.is_set() and process.poll() is None:
                process.stdin.write(self.batch())
                process.stdin.flush()
                self.ending.wait(0.06)
            process.stdin.close()
        except BrokenPipeError:
            pass
        status = self.part.wait()
        # bad lines are 65; what an absent broker made of others is told by the acknowledgements
        self.part.check(status, (0, os.EX_DATAERR) + (AGAIN if self.rough else ()))
        self.restarts += status in AGAIN

    def end(self):
        self.ending.set()
        self.join(90)
        if self.is_alive():
            raise Failure(f"{self.part.name} doesn't end\n{tail(self.part.name + '.err')}")
        if self.failure:
            raise self.failure


class Strangers(threading.Thread):
    """Other producers: what is no command, what is blank, and commands where they don't belong."""

    def __init__(self, topics, rng, load, rough):
        super().__init__(daemon=True)
        self.topics, self.rng, self.load, self.rough = topics, rng, load, rough
        self.ending, self.failure = threading.Event(), None

    def run(self):
        try:
            while not self.ending.wait(0.15):
                self.write()
        except (Failure, subprocess.TimeoutExpired) as failure:
            if not self.rough:
                self.failure = failure

    def lines(self):
        given = [self.load.input(self.rng).line.rstrip(b"\n") for _ in range(6)]
        # whole commands, which may be another partition's; short forms are malformed here
        lines = given + [self.rng.choice(FOREIGN), b"{\n}", b"\n", b"", b" \t\r"]
        for _ in range(6):
            create = {"action": "CreateValue", "id": self.load.uuid(self.rng),
                      "data": {"value_id": self.rng.choice(self.load.values or [self.load.uuid(self.rng)]), "value": 5}}
            lines.append(json.dumps(create).encode())
        return [line for line in lines if b"\1" not in line]

    def write(self):
        keyed = self.rng.random() < 0.7
        text = b"".join((b"key %d\t" % self.rng.randrange(9) if keyed else b"") + line + b"\1" for line in self.lines())
        kcat("-P", "-b", self.topics.brokers, "-t", self.topics.commands, "-p", str(self.rng.randrange(PARTITIONS)),
             "-D", "\\x01", "-X", "acks=all", "-X", "linger.ms=0", *(("-K", "\\t") if keyed else ()),
             *(("-Z",) if self.rng.random() < 0.5 else ()), input=text)

    def end(self):
        self.ending.set()
        self.join(130)
        if self.failure:
            raise self.failure


class Witness:
    """Reads the events as they become visible, from a position's header to the next."""

    def __init__(self, topics):
        self.file = open("witness", "wb")
        self.part = Part("witness-kcat", ["kcat", "-C", "-u", "-E", "-q", "-b", topics.brokers, "-t", topics.events,
                                          "-o", "beginning", "-f", "%h\\n", "-X", "isolation.level=read_committed"])
        self.part.start(stdout=self.file)
        self.seen, self.at = set(), 0

    def look(self):
        """How many events are visible."""
        with open("witness", "rb") as file:
            file.seek(self.at)
            text = file.read()
        end = text.rfind(b"\n") + 1
        self.at += end
        for line in text[:end].splitlines():
            self.seen.add(line.decode().removeprefix("position="))
        return len(self.seen)

    def end(self):
        self.part.kill()
        self.file.close()


class World:
    """A round: the load, whoever handles it, and what is compared at the end."""

    def __init__(self, cluster, number, seed, stats, rough=False):
        self.cluster, self.stats, self.rough = cluster, stats, rough
        self.rng = random.Random(seed)
        self.topics = Topics(cluster, number)
        self.load = Load()
        self.handlers, self.writers = [], []
        self.witness = Witness(self.topics)

    def handler(self, name, *properties):
        handler = Handler(name, self.topics, self.stats, *properties)
        self.handlers.append(handler)
        return handler

    def start_load(self, lines=60):
        def batch(rng=self.rng):
            return b"".join(given.line for given in self.load.inputs(rng, lines))

        self.writers = [Submitter(number, self.topics, batch, self.rough) for number in range(2)]
        self.writers.append(Strangers(self.topics, random.Random(self.rng.random()), self.load, self.rough))
        for writer in self.writers:
            writer.start()

    def supervise(self):
        for handler in self.handlers:
            handler.supervise()
        for writer in self.writers:
            if writer.failure:
                raise writer.failure

    def sleep(self, seconds):
        """The load goes on meanwhile, and ended handlers are started again."""
        self.until("", lambda: False, seconds, must=False)

    def until(self, what, condition, seconds=60, must=True):
        deadline = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > deadline:
                if not must:
                    return
                last = "\n".join(handler.name + ": " + tail(handler.name + ".err") for handler in self.handlers)
                raise Failure(f"not in {seconds:.0f} s: {what}\n{last}")
            self.supervise()
            time.sleep(0.01)

    def recovered(self, what):
        """More events than now become visible; how long that takes is told if it is the longest."""
        before, begin = self.witness.look(), time.monotonic()
        self.until(f"events after {what}", lambda: self.witness.look() > before)
        self.stats["slowest"] = max(self.stats["slowest"], time.monotonic() - begin)

    def reach_every_partition(self, what):
        """A value is created in every partition, and the events become visible: what was before them
        is handled."""
        ends = {}
        while len(ends) < PARTITIONS:
            printed = run(tool("calc-submit", "-o", "kafka:" + self.topics.commands),
                          input=b'{"value":1}\n' * 5 * PARTITIONS, settings=self.topics.environment())
            for line in printed.splitlines():
                partition, offset = json.loads(line)["position"].split(":")
                ends[partition] = offset
        wanted = {f"{partition}:{offset}" for partition, offset in ends.items()}
        self.until(f"every partition's last event, {what}", lambda: self.witness.look() and wanted <= self.witness.seen)

    def finish(self):
        """The load ends, all is handled, everybody leaves; then the oracle."""
        for writer in self.writers:
            writer.end()
        if not any(handler.wanted for handler in self.handlers):
            self.handlers[0].join()
        self.reach_every_partition("at the end")
        self.supervise()
        for handler in self.handlers:
            if handler.wanted:
                handler.leave()
        self.judge()

    def judge(self):
        with open("acks", "wb") as acks:
            for writer in self.writers[:2]:
                acks.write(pathlib.Path(writer.acks).read_bytes())
                self.stats["restarts of calc-submit"] += writer.restarts
        done = subprocess.run([sys.executable, ORACLE, "check", self.topics.commands, self.topics.events,
                               self.topics.rejections, "--broker", self.topics.brokers, "--acks", "acks"],
                              capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise Failure(done.stdout + done.stderr)
        counts = [int(word) for word in done.stdout.split() if word.isdigit()]
        if min(counts) == 0:
            raise Failure(f"the load was no load: {done.stdout}")
        self.stats["records"] += counts[0]
        aborted = self.topics.aborted()
        self.stats["aborted records"] += aborted
        self.stats["rounds with an abort"] += aborted > 0

    def close(self):
        for writer in self.writers:
            writer.ending.set()
        for handler in self.handlers:
            handler.wanted = False
            if handler.process:
                handler.kill()
        for writer in self.writers[:2]:
            writer.part.kill()
        self.witness.end()

"""The rows of ONLY=kafka: the tools on topics, with a broker of their own that has both its compilers."""
import fcntl
import os
import shutil
import subprocess
import tempfile

import visible
import web
from events import processor_seconds
from rows import COUNT, HERE, ROOT, compare, compile_c, in_rate, measure, row, seconds, shell, used

PARTITIONS = 4
WARM_UPS = 6
SET = "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"


class Kafka:
    """A broker, and as many topics as are asked for."""

    def __init__(self):
        self.folder = os.path.abspath("kafka")
        self.number = 0
        self.tool = os.path.join(ROOT, "scripts", "kafka")

    def __enter__(self):
        self.broker = subprocess.run([self.tool, "start", self.folder, "--port", "0"], check=True, text=True,
                                     stdout=subprocess.PIPE).stdout.strip()
        os.environ["KAFKA_BROKER"] = self.broker
        return self

    def __exit__(self, *_):
        subprocess.run([self.tool, "kill", self.folder], check=True)

    def process(self):
        return int(subprocess.run([self.tool, "status", self.folder], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout.split()[-1])

    def topics(self, *names):
        """New topics with these names and a number behind; and a group of that number."""
        self.number += 1
        made = [f"{name}-{self.number}" for name in names]
        shell(f"{ROOT}/tests/kafka/create-topics {self.broker} {PARTITIONS},{SET} {' '.join(made)}")
        os.environ["KAFKA_COMMANDS_GROUP_ID"] = f"group-{self.number}"
        return made


def handle(kafka, commands):
    """The handler and the bare copy of the same topic, each to its end; and Kafka Streams, of which Java's
    start and the time in which it compiles don't count."""

    def handler():
        events, rejections = kafka.topics("events", "rejections")
        return seconds(f"calc-handle -i kafka:{commands} -o kafka:{events} -r kafka:{rejections} -e"
                       f" --state {events}.state --instance bench")

    def copy():
        return seconds(f"./copy -e {commands} {kafka.topics('copy')[0]} 2>copy.said")

    for _ in range(WARM_UPS):  # a broker that was just started has compiled little yet: the first runs would pay for it
        handler()
        copy()
    ours, theirs = measure(handler, copy, runs=5)
    compare(f"calc-handle, {PARTITIONS} partitions, exactly once", ours, "bare copy", theirs, 0.85)
    rates = [COUNT / taken for taken in ours]
    streams = measure(streams_program(kafka, commands), runs=1)[0]
    compare(f"calc-handle, {PARTITIONS} partitions, exactly once", rates, "Kafka Streams, RocksDB", streams, 6, in_rate,
            more=True)


def processor_time(kafka, commands):
    """What one command costs, on its way from topic to view, of which machines are bought."""
    events, rejections = kafka.topics("events", "rejections")
    cost = {}
    for name, command in (("calc-handle", ("-i", f"kafka:{commands}", "-o", f"kafka:{events}", "-r", f"kafka:{rejections}",
                                           "-e", "--state", f"{events}.state", "--instance", "bench")),
                          ("calc-project", ("-i", f"kafka:{events}", "-r", f"kafka:{rejections}", "-e", "--view",
                                            f"{events}.view"))):
        before = processor_seconds(kafka.process())
        cost[name] = used(name, *command)[0] / COUNT * 1e6
        cost[name + ", the broker"] = (processor_seconds(kafka.process()) - before) / COUNT * 1e6
    for name in ("calc-handle", "calc-project"):
        row(f"{name} on Kafka: processor time a command", f"{cost[name]:.2f} us", f"the broker {cost[name + ', the broker']:.2f} us")


# --- Kafka Streams ---

def streams_jars():
    """By Maven, once, into the folder that scripts/kafka has its own in."""
    with open(f"{HERE}/streams/pom.xml", encoding="utf-8") as file:
        version = file.read().rpartition("<version>")[2].partition("<")[0]
    jars = os.path.join(os.environ.get("CALC_CACHE") or os.path.expanduser("~/.cache/calc"), f"kafka-streams-{version}")
    os.makedirs(os.path.dirname(jars), exist_ok=True)
    with open(jars + ".lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not os.path.exists(jars):  # one that is there is complete
            with tempfile.TemporaryDirectory(prefix=os.path.basename(jars) + ".part.", dir=os.path.dirname(jars)) as part:
                shutil.copy(f"{HERE}/streams/pom.xml", part)
                shell(f"mvn -B -C -q -Dstyle.color=never -f {part}/pom.xml dependency:copy-dependencies -DincludeScope=runtime"
                      f" -DoutputDirectory={part}/jars </dev/null >&2")
                os.rename(f"{part}/jars", jars)
    return jars


def streams_program(kafka, commands):
    """A contender that says how many commands a second. It has as many threads as processors."""
    classpath = f"{streams_jars()}/*"
    shell(f"javac -proc:none -cp '{classpath}' -d streams-classes {HERE}/streams/Calculator.java")
    warm_up, count = 3 * COUNT // 20, COUNT // 5

    def run():
        events, rejections = kafka.topics("streams", "streams-rejections")
        told = subprocess.run(["java", "-cp", f"streams-classes:{classpath}", "Calculator", kafka.broker,
                               os.path.abspath("streams-state"), str(os.cpu_count()), commands, events, rejections,
                               str(warm_up), str(count)], check=True, text=True, stdout=subprocess.PIPE,
                              stderr=subprocess.DEVNULL).stdout
        return float(told)

    return run


# --- one command, many commands ---

def latency(kafka):
    visible.prepare()

    def calc():
        commands, events, rejections = kafka.topics("commands", "events", "rejections")
        view = f"{events}.view"
        return visible.times("kafka:" + commands, view,
                             ["calc-handle", "-i", "kafka:" + commands, "-o", "kafka:" + events, "-r", "kafka:" + rejections,
                              "--state", events + ".state", "--instance", "bench"],
                             ["calc-project", "-i", "kafka:" + events, "-r", "kafka:" + rejections, "--view", view])

    def copy():
        commands, events = kafka.topics("commands", "copy")
        view = visible.lmdb(f"{events}.view")
        return visible.times("kafka:" + commands, view, ["./copy", commands, events], ["./hop", "kafka:" + events, view])

    visible.tell("Kafka", *measure(calc, copy))


def submit(kafka):
    def calc():
        return seconds(f"calc-submit -i commands -o kafka:{kafka.topics('commands')[0]} >acknowledgements")

    def kcat():
        return seconds(f"kcat -P -b {kafka.broker} -t {kafka.topics('commands')[0]} -K '\\t' -l keyed"
                       " -X partitioner=murmur2_random -X acks=all")

    ours, theirs = measure(calc, kcat)
    compare("calc-submit to a topic", ours, "kcat -P", theirs)


def post(kafka):
    commands, kept = kafka.topics("commands", "kept")
    web.post("Kafka", "kafka:" + commands, "kafka:" + kept)


def prepare(kafka):
    """The commands with their keys before them, in a topic."""
    compile_c("copy", "-lrdkafka")
    shell("sed -E 's/.*\"value_id\":\"([^\"]*)\".*/\\1\\t&/' commands >keyed")
    commands, = kafka.topics("commands")
    shell(f"kcat -P -b {kafka.broker} -t {commands} -K '\\t' -l keyed -X partitioner=murmur2_random")
    return commands


def bench():
    with Kafka() as kafka:
        commands = prepare(kafka)
        handle(kafka, commands)
        processor_time(kafka, commands)
        latency(kafka)
        submit(kafka)
        post(kafka)

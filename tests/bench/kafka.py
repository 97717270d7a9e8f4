"""The rows of ONLY=kafka: the tools on topics, with a broker of their own that has both its compilers."""
import os
import re
import signal
import statistics
import subprocess
import time

from rows import COUNT, HERE, ROOT, measure, row, rows, seconds, shell, spread

LATENCIES, POSTS, CONNECTIONS, PARTITIONS = 500, 30000, 64, 4
SET = "retention.ms=-1,retention.bytes=-1,cleanup.policy=delete"


def in_milliseconds(taken):
    return f"{taken:.1f} ms"


def in_posts(rate):
    return f"{rate:,.0f}/s"


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

    def topics(self, *names):
        """New topics with these names and a number behind; and a group of that number."""
        self.number += 1
        made = [f"{name}-{self.number}" for name in names]
        shell(f"{ROOT}/tests/kafka/create-topics {self.broker} {PARTITIONS},{SET} {' '.join(made)}")
        os.environ["KAFKA_COMMANDS_GROUP_ID"] = f"group-{self.number}"
        return made


class Server:
    """nginx before a FastCGI calc-cgi."""

    def __init__(self, commands):
        os.makedirs("run", exist_ok=True)
        socket, port = os.path.abspath("run/calc-cgi.sock"), str(20000 + os.getpid() % 10000)
        self.url = f"http://127.0.0.1:{port}/values"
        settings = os.environ | {"CALC_COMMANDS": commands, "CALC_VIEW": os.path.abspath("no-view")}
        self.calculator = subprocess.Popen(["calc-cgi", "--listen", socket], env=settings)
        with open(f"{ROOT}/cmd/calc-cgi/nginx-fastcgi.conf", encoding="utf-8") as example:
            text = example.read().replace("/run/calc", os.path.abspath("run")).replace("127.0.0.1:3030", "127.0.0.1:" + port)
        with open("run/nginx.conf", "w", encoding="utf-8") as file:
            file.write(("user root;\n" if os.geteuid() == 0 else "") + text)
        self.nginx = subprocess.Popen(["/usr/sbin/nginx", "-e", "stderr", "-c", os.path.abspath("run/nginx.conf")])

    def __enter__(self):
        post = ["curl", "-s", "-f", "-o", "run/answer", "-d", '{"value":1}', "-H", "Content-Type: application/json",
                self.url]
        deadline = time.monotonic() + 20
        while subprocess.run(post, check=False).returncode:
            if time.monotonic() > deadline or self.calculator.poll() is not None:
                self.__exit__()
                raise RuntimeError("calc-cgi doesn't accept a command")
            time.sleep(0.05)
        return self

    def __exit__(self, *_):
        for process in (self.nginx, self.calculator):
            process.terminate()
            process.wait()

    def rate(self):
        """POSTs a second."""
        with open("run/post.json", "w", encoding="utf-8") as body:
            body.write('{"value":7}')
        told = subprocess.run(["ab", "-q", "-k", "-c", str(CONNECTIONS), "-n", str(POSTS), "-p", "run/post.json", "-T",
                               "application/json", self.url], check=True, text=True, stdout=subprocess.PIPE).stdout
        if "Non-2xx" in told:
            raise RuntimeError("not every POST was accepted")
        return float(re.search(r"Requests per second: *([0-9.]+)", told)[1])


def handle(kafka, commands):
    """The handler and the bare copy of the same topic, each to its end."""

    def handler():
        events, rejections = kafka.topics("events", "rejections")
        return seconds(f"calc-handle -i kafka:{commands} -o kafka:{events} -r kafka:{rejections} -e"
                       f" --state {events}.state --instance bench")

    def copy():
        return seconds(f"./copy -e {commands} {kafka.topics('copy')[0]} 2>copy.said")

    handler()  # a broker that was just started has compiled nothing yet: the first runs would pay for it
    copy()
    ours, theirs = measure(handler, copy)
    row(f"calc-handle, {PARTITIONS} partitions", ours, "bare copy", theirs, 0.7)


def latency(kafka):
    """One command at a time: the median and the 99th percentile of each run."""

    def times(argv, commands, outcomes):
        follower = subprocess.Popen(argv, stderr=subprocess.DEVNULL)
        try:
            told = subprocess.run(["./latency", str(LATENCIES), commands, outcomes], check=True, text=True,
                                  stdout=subprocess.PIPE).stdout
        finally:
            follower.send_signal(signal.SIGTERM)
            follower.wait()
        return [float(word) for word in told.split()]

    def handler():
        commands, events, rejections = kafka.topics("commands", "events", "rejections")
        return times(["calc-handle", "-i", "kafka:" + commands, "-o", "kafka:" + events, "-r", "kafka:" + rejections,
                      "--state", events + ".state", "--instance", "bench"], commands, events)

    def copy():
        commands, outcomes = kafka.topics("commands", "copy")
        return times(["./copy", commands, outcomes], commands, outcomes)

    ours, theirs = measure(handler, copy)
    for index, name in enumerate(("p50", "p99")):
        mine, other = [taken[index] for taken in ours], [taken[index] for taken in theirs]
        rows.append((f"one command to its event, {name}", spread(mine, in_milliseconds),
                     "bare copy " + spread(other, in_milliseconds),
                     f"{statistics.median(mine) / statistics.median(other):.2f} x as long", ""))


def submit(kafka):
    def calc():
        return seconds(f"calc-submit -i commands -o kafka:{kafka.topics('commands')[0]} >acknowledgements")

    def kcat():
        return seconds(f"kcat -P -b {kafka.broker} -t {kafka.topics('commands')[0]} -K '\\t' -l keyed"
                       " -X partitioner=murmur2_random -X acks=all")

    ours, theirs = measure(calc, kcat)
    row("calc-submit to a topic", ours, "kcat -P", theirs)


def post(kafka):
    def on_kafka():
        with Server("kafka:" + kafka.topics("commands")[0]) as server:
            return server.rate()

    def on_file():
        with Server(os.path.abspath("posted")) as server:
            return server.rate()

    what = f"POST by {CONNECTIONS} connections, nginx"
    try:
        ours, theirs = measure(on_kafka, on_file)
    except RuntimeError as error:
        rows.append((what, f"not measured: {error}", "", "", "MISSED"))
        return
    ratio = statistics.median(ours) / statistics.median(theirs)
    rows.append((what, spread(ours, in_posts),
                 "log in a file " + spread(theirs, in_posts), f"{ratio:.2f} x", ""))


def prepare(kafka):
    """The commands with their keys before them, in a topic."""
    shell(f"cc -O2 -D_GNU_SOURCE -o copy {HERE}/copy.c -lrdkafka\n"
          f"cc -O2 -D_GNU_SOURCE -o latency {HERE}/latency.c -lrdkafka\n"
          "sed -E 's/.*\"value_id\":\"([^\"]*)\".*/\\1\\t&/' commands >keyed")
    commands, = kafka.topics("commands")
    shell(f"kcat -P -b {kafka.broker} -t {commands} -K '\\t' -l keyed -X partitioner=murmur2_random")
    return commands


def bench():
    with Kafka() as kafka:
        commands = prepare(kafka)
        handle(kafka, commands)
        latency(kafka)
        submit(kafka)
        post(kafka)

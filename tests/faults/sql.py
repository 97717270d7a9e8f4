#!/usr/bin/env python3
"""Databases that are kept current by calc-watch | calc-sql | psql, or sqlite3, while events pass and each part of
the pipe is killed again and again, and now and then the server crashes or the view is rebuilt: in the end each is
equal to the view, row by row.

    sql.py [--events N] [--kills N] [--seed S] [--client postgresql|sqlite]

Also that a pipe of which one part was killed ends by itself, so that whoever starts pipes can start another.
"""
import argparse
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "sql"))
import compare
from parts import DEADLINE, Failure, Part, environment, run, tail, tool, until

POSTGRES = str(pathlib.Path(__file__).resolve().parents[1] / "sql/postgres")
VALUES = 40
ACTORS = ["", ',"actor":"ann"', ',"actor":"o\'neil \\\\ \\"x\\" \\r\\n;--"', ',"actor":"\u4f60\u597d :name $$ \\u0007"']


def make_input(rng, first, count):
    """Creates, and updates, some of which are rejected."""
    lines = []
    for i in range(first, first + count):
        value = f"00000000-0000-4000-8000-{i % VALUES:012}"
        more = rng.choice(ACTORS)
        if i < VALUES:
            lines.append(f'{{"action":"CreateValue","id":"{value}","data":{{"value_id":"{value}","value":{rng.random()!r}}}'
                         f'{more}}}')
        else:
            more = (',"expected_version":0' if i % 7 == 0 else "") + more
            operation, number = rng.choice([("ADD", rng.uniform(-1e3, 1e3)), ("MULTIPLY", rng.uniform(-1.5, 1.5)),
                                            ("ADD", rng.uniform(-1, 1) * 10.0 ** rng.randrange(-300, 300)),
                                            ("MULTIPLY", rng.uniform(-1, 1) * 1e-300)])
            lines.append(f'{{"action":"UpdateValue","id":"11111111-1111-4111-8111-{i:012}","data":{{"value_id":"{value}",'
                         f'"operation":"{operation}","value":{number!r}}}{more}}}')
    return "".join(line + "\n" for line in lines)


class Postgresql:
    name = "postgresql"
    statuses = {0, 2, 3, -signal.SIGKILL}  # 2: the server crashed; 3: a statement was cut off

    def __init__(self):
        self.folder = subprocess.run([POSTGRES, "start"], stdout=subprocess.PIPE, check=True, text=True).stdout.strip()
        os.environ |= {"PGHOST": self.folder, "PGUSER": "calc", "PGDATABASE": "postgres"}
        self.database, self.client = "postgres", ["psql", "-X"]

    def ask(self, sql):
        return subprocess.run(["psql", "-X", "-At"], input=sql.encode(), stdout=subprocess.PIPE, check=True).stdout.decode().strip()

    def crash(self):
        subprocess.run([POSTGRES, "crash", self.folder], check=True)

    def recover(self):
        subprocess.run([POSTGRES, "again", self.folder], check=True)

    def end(self):
        subprocess.run([POSTGRES, "end", self.folder], check=True)


class Sqlite:
    name = "sqlite"
    statuses = {0, 1, -signal.SIGKILL}

    def __init__(self):
        self.database, self.client = "calc.db", ["sqlite3", "calc.db"]

    def ask(self, sql):
        return subprocess.run(["sqlite3", "-cmd", ".timeout 60000", self.database], input=sql.encode(),
                              stdout=subprocess.PIPE, check=True).stdout.decode().strip()

    def crash(self):
        """It has no server."""

    def recover(self):
        pass

    def end(self):
        pass


class Pipe:
    """calc-watch | calc-sql | the client; all of them end when one is killed."""
    names = "watch", "sql", "client"

    def __init__(self, database):
        self.database = database
        self.errors = f"pipe-{database.name}.err"
        self.parts = []

    def start(self):
        cursor = self.database.ask(run(tool("calc-sql", "--from")).decode())
        argvs = (tool("calc-watch", "--view", "view", "--from", cursor),
                 tool("calc-sql", "--dialect", self.database.name), self.database.client)
        self.parts, before = [], subprocess.DEVNULL
        with open(self.errors, "ab") as errors, open("printed", "ab") as printed:
            for argv in argvs:
                last = argv is argvs[-1]
                part = subprocess.Popen(argv, stdin=before, stdout=printed if last else subprocess.PIPE, stderr=errors,
                                        env=environment())
                if before != subprocess.DEVNULL:
                    before.close()
                before = part.stdout
                self.parts.append(part)

    def kill(self, index):
        self.parts[index].kill()

    def wait(self):
        """The statuses, once all have ended."""
        for name, part in zip(self.names, self.parts):
            try:
                part.wait(DEADLINE)
            except subprocess.TimeoutExpired as error:
                raise Failure(f"{name} still runs after {DEADLINE} s, and another part has ended\n"
                              f"{tail(self.errors)}") from error
        return [part.returncode for part in self.parts]

    def check(self, statuses):
        """What a killed pipe may end with: of the signal, of one's reader or writer that has ended."""
        allowed = ({0, -signal.SIGKILL, -signal.SIGPIPE}, {0, 65, -signal.SIGKILL, -signal.SIGPIPE},
                   self.database.statuses)
        for name, status, good in zip(self.names, statuses, allowed):
            if status not in good:
                raise Failure(f"{name} ended with {status}\n{tail(self.errors)}")

    def end(self):
        for part in self.parts:
            if part.poll() is None:
                part.kill()
            part.wait()


class Calculator:
    def __init__(self):
        pathlib.Path("commands").touch()
        self.parts = (Part("handler", tool("calc-handle", "-f", "-i", "commands", "-o", "events", "-r", "rejections")),
                      Part("projector", tool("calc-project", "-f", "-i", "events", "-r", "rejections", "--view", "view")))
        for part in self.parts:
            part.start()
        until("there is a view", lambda: pathlib.Path("view/current").exists())

    def submit(self, text):
        run(tool("calc-submit", "-o", "commands"), input=text.encode())
        with open("commands", "ab") as log:
            log.write(b"no command\n")

    def rebuild(self):
        run(tool("calc-project", "--rebuild", "-i", "events", "-r", "rejections", "--view", "view"))

    def end(self):
        for part in self.parts:
            part.end()

    def kill(self):
        for part in self.parts:
            part.kill()


def has_all(database):
    """Whether there is nothing behind the database's cursor."""
    cursor = database.ask(run(tool("calc-sql", "--from")).decode())
    return not run(tool("calc-watch", "--view", "view", "--from", cursor, "-e"))


def disturb(turn, database, calculator):
    """Between two kills, at times."""
    if turn % 20 == 10:
        calculator.rebuild()
    if turn % 20 == 5:
        database.crash()
        return database.recover
    return None


def kill_parts(given, database, calculator, pipe):
    """One of the parts in turn, at any moment while events pass; then a new pipe. Returns how often there were lines
    on their way."""
    rng = random.Random(f"{given.seed}/{database.name}")
    turns, busy = given.kills * len(Pipe.names), 0
    for turn in range(turns):
        first = given.events * turn // turns
        pipe.start()
        calculator.submit(make_input(rng, first, given.events * (turn + 1) // turns - first))
        recover = disturb(turn, database, calculator)
        time.sleep(rng.uniform(0, 0.06))  # at any moment, and not at a certain one
        pipe.kill(turn % len(Pipe.names))
        pipe.check(pipe.wait())
        if recover:
            recover()
        busy += not has_all(database)
    return busy


def follow_to_end(database, calculator, pipe):
    """A last pipe, which nobody kills."""
    calculator.end()
    told = run(tool("calc-watch", "--view", "view", "--from", "beginning", "-e")).decode().splitlines()
    cursor = told[-1].rpartition('"cursor":"')[2].removesuffix('"}')
    pipe.start()
    until("the database has the last line", lambda: database.ask(run(tool("calc-sql", "--from")).decode()) == cursor)
    pipe.parts[0].terminate()
    statuses = pipe.wait()
    if any(statuses):
        raise Failure(f"a pipe that ended in order ended with {statuses}\n{tail(pipe.errors)}")


def experiment(given, kind):
    begin = time.monotonic()
    database, calculator = kind(), None
    pipe = Pipe(database)
    try:
        calculator = Calculator()
        database.ask(run(tool("calc-sql", "--schema", "--dialect", database.name)).decode())
        busy = kill_parts(given, database, calculator, pipe)
        follow_to_end(database, calculator, pipe)
        counts = compare.compare(compare.CLIENTS[database.name], database.database, "view")
    except compare.Different as different:
        raise Failure(str(different)) from different
    finally:
        pipe.end()
        if calculator:
            calculator.kill()
        database.end()
    print(f"{database.name}: equal to the view, row by row:", ", ".join(f"{n} {table}" for table, n in counts.items()),
          f"after {given.kills} kills of each part, {busy} of them with lines on their way, in {time.monotonic() - begin:.0f} seconds")


def main():
    options = argparse.ArgumentParser(description="databases that are kept current while what feeds them is killed")
    options.add_argument("--events", type=int, default=30000)
    options.add_argument("--kills", type=int, default=50)
    options.add_argument("--seed", type=int, default=int(time.time()))
    options.add_argument("--client", choices=("postgresql", "sqlite"))
    options = options.parse_args()
    for kind in (Postgresql, Sqlite):
        if options.client in (None, kind.name):
            folder = tempfile.mkdtemp(prefix="sql-")
            os.chdir(folder)
            try:
                experiment(options, kind)
            except Failure as failure:
                sys.exit(f"{sys.argv[0]} --events {options.events} --kills {options.kills} --seed {options.seed} "
                         f"--client {kind.name}: {failure}\nits folder is {folder}")
            os.chdir("/")
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()

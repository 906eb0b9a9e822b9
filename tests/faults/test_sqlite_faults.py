"""Several processes on one SQLite file: they start at once, write at once, fork, and die."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from huey.storage.delivery import Settlement
from huey.storage.sql.sqlite import SqliteStorage

#: How long anything may take before the test fails, in seconds.
PATIENCE = 60.0
ENVIRONMENT = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
#: Every program begins like this; it says "ready", and starts when its input says so.
PROLOGUE = """
import json, os, sys
from huey.storage.delivery import Outgoing, Settlement
from huey.storage.sql.sqlite import SqliteStorage
path, number = sys.argv[1], int(sys.argv[2])
def ready():
    print("ready", flush=True)
    sys.stdin.readline()
"""
PRODUCER = """
storage = SqliteStorage(filename=path)
ready()
for index in range(40):
    storage.enqueue(b"%d-%d" % (number, index))
"""
CONSUMER = """
storage = SqliteStorage(filename=path)
storage.sign_on(f"c{number}", {})
ready()
seen = []
while b"stop" not in seen:
    claims = storage.claim(f"c{number}", 7, block=30)
    storage.settle([Settlement(c, results=((c.data.decode(), b"1"),)) for c in claims])
    seen += [c.data for c in claims]
print(json.dumps([data.decode() for data in seen if data != b"stop"]))
"""


class Programs:
    """Programs on one database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.running: list[subprocess.Popen[str]] = []

    def run(self, *programs: str) -> list["subprocess.Popen[str]"]:
        """Start programs together, each with a number of its own; returns when all are ready."""
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PROLOGUE + program, str(self.path), str(number)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                env=ENVIRONMENT,
            )
            for number, program in enumerate(programs, len(self.running))
        ]
        self.running += started
        for process in started:
            assert process.stdout is not None
            if process.stdout.readline() != "ready\n":
                pytest.fail(process.communicate(timeout=PATIENCE)[1])
        return started

    def go(self, *processes: "subprocess.Popen[str]") -> None:
        """Let programs begin."""
        for process in processes:
            assert process.stdin is not None
            process.stdin.write("go\n")
            process.stdin.flush()

    def end(self, process: "subprocess.Popen[str]") -> Any:
        """Wait for a program; returns what it printed as JSON."""
        out, errors = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, errors
        return json.loads(out or "null")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "huey.db"


@pytest.fixture
def programs(path: Path) -> Iterator[Programs]:
    programs = Programs(path)
    yield programs
    for process in programs.running:
        process.kill()
        process.communicate()


@pytest.fixture
def storage(path: Path) -> Iterator[SqliteStorage]:
    storage = SqliteStorage(filename=path)
    yield storage
    storage.close()


def is_sound(path: Path) -> bool:
    with sqlite3.connect(path) as connection:
        answer = connection.execute("PRAGMA integrity_check").fetchall()
    connection.close()
    return answer == [("ok",)]


def test_six_processes_may_start_at_once_on_no_file(programs: Programs, path: Path) -> None:
    make = "ready()\nSqliteStorage(filename=path).enqueue(b'%d' % number)\n"
    processes = programs.run(*[make] * 6)

    programs.go(*processes)

    for process in processes:
        programs.end(process)
    assert sorted(SqliteStorage(filename=path).enqueued_items()) == [b"%d" % n for n in range(6)]


def test_producers_and_consumers_share_a_file_without_errors_or_losses(
    programs: Programs, path: Path, storage: SqliteStorage
) -> None:
    consumers = programs.run(*[CONSUMER] * 2)
    producers = programs.run(*[PRODUCER] * 3)

    programs.go(*consumers, *producers)
    for process in producers:
        programs.end(process)
    for _ in consumers:
        storage.enqueue(b"stop", -1)
        assert storage.wait_result("stop", PATIENCE)
        storage.delete_data("stop")

    seen = [data for process in consumers for data in programs.end(process)]
    assert sorted(seen) == sorted(f"{n}-{i}" for n in (2, 3, 4) for i in range(40))
    assert storage.result_store_size() == 120
    assert storage.queue_size() == 0
    assert is_sound(path)


def test_a_killed_consumer_is_known_to_be_gone_and_loses_nothing(
    programs: Programs, storage: SqliteStorage
) -> None:
    storage.enqueue(b"a")
    hold = """
storage = SqliteStorage(filename=path)
storage.sign_on("c", {})
claims = storage.claim("c", 1)
storage.lock("l", b"1", holder="c")
ready()
"""
    (process,) = programs.run(hold)
    (record,) = storage.consumers()
    assert (record.claims, storage.is_gone(record)) == (1, False)
    process.send_signal(signal.SIGSTOP)
    assert storage.is_gone(record) is False

    process.send_signal(signal.SIGKILL)
    process.wait(PATIENCE)

    assert storage.is_gone(record) is True
    assert storage.recover("c", record.beat, "signal 9") == 1
    assert storage.enqueued_items() == [b"a"]
    assert storage.lock("l", b"2")
    assert storage.is_gone(record) is None


def test_who_is_killed_within_a_transaction_leaves_it_undone_and_locks_nobody_out(
    programs: Programs, path: Path, storage: SqliteStorage
) -> None:
    halfway = """
storage = SqliteStorage(filename=path)
def work(conn):
    storage._accept(conn, [Outgoing(b"half")] * 300)
    ready()
storage._write(work)
"""
    (process,) = programs.run(halfway)

    process.kill()
    process.wait(PATIENCE)

    storage.enqueue(b"whole")
    assert storage.enqueued_items() == [b"whole"]
    assert is_sound(path)


def test_a_consumer_that_waits_is_woken_by_another_process(
    programs: Programs, storage: SqliteStorage
) -> None:
    (consumer,) = programs.run(CONSUMER)
    programs.go(consumer)

    for data in (b"a", b"b"):
        storage.enqueue(data)
        assert storage.wait_result(data.decode(), PATIENCE)
    storage.enqueue(b"stop")

    assert programs.end(consumer) == ["a", "b"]


def test_messages_of_an_old_huey_which_rings_no_bell_are_found(
    programs: Programs, path: Path, storage: SqliteStorage
) -> None:
    (consumer,) = programs.run(CONSUMER)
    programs.go(consumer)

    with sqlite3.connect(path) as connection:
        connection.execute("INSERT INTO task (queue, data) VALUES ('huey', ?)", (b"stop",))
    connection.close()

    assert programs.end(consumer) == []


def test_a_forked_child_uses_connections_of_its_own(programs: Programs, path: Path) -> None:
    fork = """
import threading
storage = SqliteStorage(filename=path, fsync=False)
storage.sign_on("parent", {})
ready()
stop = threading.Event()
def write():  # so that locks are held, and transactions open, while the children are made
    while not stop.is_set():
        storage.enqueue(b"parent")
thread = threading.Thread(target=write)
thread.start()
children = []
for index in range(10):
    child = os.fork()
    if child == 0:
        assert storage.enqueued_items() is not None
        storage.enqueue(b"child %d" % index)
        storage.sign_on(f"child {index}", {})
        assert storage.claim(f"child {index}", 1)
        os._exit(0)
    children.append(child)
codes = [os.waitpid(child, 0)[1] for child in children]
stop.set()
thread.join()
storage.enqueue(b"the end", -1)
print(json.dumps(codes))
"""
    (process,) = programs.run(fork)
    programs.go(process)

    assert programs.end(process) == [0] * 10
    fresh = SqliteStorage(filename=path)
    for number in range(10):
        assert fresh.is_gone(next(r for r in fresh.consumers() if r.id == f"child {number}"))
        assert fresh.recover(f"child {number}") == 1
    left = fresh.enqueued_items()
    assert sorted(data for data in left if data.startswith(b"child")) == [
        b"child %d" % number for number in range(10)
    ]
    assert left[-1] == b"the end"
    assert is_sound(path)
    fresh.close()


def test_a_receipt_of_the_killed_is_worthless(programs: Programs, storage: SqliteStorage) -> None:
    storage.sign_on("c", {})
    storage.enqueue(b"a")
    (old,) = storage.claim("c", 1)
    watch = """
storage = SqliteStorage(filename=path)
assert storage.recover("c") == 1
storage.sign_on("d", {})
assert storage.claim("d", 1)
ready()
"""
    programs.run(watch)

    storage.settle([Settlement(old, results=(("r", b"stale"),))])

    assert not storage.has_data_for_key("r")

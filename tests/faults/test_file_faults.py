"""Processes that share a folder are killed while they work: nothing is lost or half written."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from huey.storage.delivery import Outgoing
from huey.storage.file import FileStorage

_CONSUMER = """
import sys
from huey.storage.delivery import Settled, Settlement
from huey.storage.file import FileStorage
storage = FileStorage("huey", sys.argv[1])
storage.sign_on(sys.argv[2], {})
while True:
    claims = storage.claim(sys.argv[2], 5, block=0.05)
    settlements = [Settlement(one, results=((one.data.decode(), b"done"),)) for one in claims]
    answers = storage.settle(settlements)
    assert answers == [Settled.DONE] * len(claims), answers
"""
_PRODUCER = """
import sys
from huey.storage.delivery import Outgoing
from huey.storage.file import FileStorage
storage = FileStorage("huey", sys.argv[1])
number = 0
while True:
    names = [f"{sys.argv[2]}-{number + step}" for step in range(3)]
    storage.enqueue_many([Outgoing(name.encode() * 100) for name in names])
    number += 3
    print(*names, sep="\\n", flush=True)
"""


class Programs:
    """Child processes of one test."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._all: list[subprocess.Popen[str]] = []

    def start(self, program: str, name: str) -> subprocess.Popen[str]:
        """Start a program under a name of its own."""
        self._all.append(
            subprocess.Popen(
                [sys.executable, "-c", program, str(self._root), name],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
                stdout=subprocess.PIPE,
                text=True,
            )
        )
        return self._all[-1]

    def end(self) -> None:
        """Kill all, and close their pipes."""
        for process in self._all:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "huey"


@pytest.fixture
def programs(root: Path) -> Iterator[Programs]:
    programs = Programs(root)
    yield programs
    programs.end()


def lines_of(process: subprocess.Popen[str], count: int) -> list[str]:
    """Read so many lines, then kill the process, and read what it had said by then."""
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(count)]
    process.kill()
    rest, _ = process.communicate()
    # The last line may have been cut.
    return lines + [line for line in rest.split("\n")[:-1] if line]


def await_results(storage: FileStorage, left: set[str], until: int) -> None:
    """Wait until only so many of the tasks have no result."""
    while len(left) > until:
        found = storage.result_waiter().wait(left, 30.0)
        assert found, left
        left -= found


def test_consumers_that_are_killed_leave_everything_to_others(
    root: Path, programs: Programs
) -> None:
    storage = FileStorage("huey", root)
    left: set[str] = set()
    for turn in range(5):
        names = [f"task-{turn}-{number:03d}" for number in range(100)]
        storage.enqueue_many([Outgoing(name.encode()) for name in names])
        left |= set(names)
        consumers = [programs.start(_CONSUMER, f"c{turn}{number}") for number in range(2)]

        await_results(storage, left, until=80)
        for consumer in consumers:
            consumer.kill()
            consumer.wait()

        for record in storage.consumers():
            assert storage.is_gone(record) is True
            storage.recover(record.id, record.beat, "signal 9")
    programs.start(_CONSUMER, "last")

    await_results(storage, left, until=0)


def test_producers_that_are_killed_have_enqueued_what_they_say_and_nothing_by_half(
    root: Path, programs: Programs
) -> None:
    accepted: list[str] = []
    for turn in range(3):
        producers = [programs.start(_PRODUCER, f"p{turn}{number}") for number in range(2)]
        for producer in producers:
            accepted += lines_of(producer, 20)

    found = FileStorage("huey", root).enqueued_items()

    names = [data[: len(data) // 100].decode() for data in found]
    assert [name.encode() * 100 for name in names] == found
    assert set(accepted) <= set(names)
    assert len(set(names)) == len(names)
    assert len(names) % 3 == 0

"""Noticing the death of other consumers."""

import os
import subprocess
import sys
from collections.abc import Mapping

import pytest

from huey.consumer import identity, policy
from huey.consumer.heartbeat import Watch
from huey.storage.delivery import ConsumerRecord
from huey.storage.memory import MemoryStorage

Info = Mapping[str, str | int | float | bool | None]


class Watched(MemoryStorage):
    """A storage that cannot see the processes of its consumers, like a server."""

    def is_gone(self, record: ConsumerRecord) -> bool | None:
        return None


@pytest.fixture
def storage() -> Watched:
    return Watched("watched")


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The watcher's monotonic clock."""
    clock = [1000.0]
    monkeypatch.setattr("huey.consumer.heartbeat.time.monotonic", lambda: clock[0])
    return clock


def ended_process() -> Info:
    """Describe a process of this host that has ended."""
    with subprocess.Popen([sys.executable, "-c", "pass"]) as process:
        started = identity.process_start(process.pid)
        process.wait()
    return {**identity.describe(1, "thread"), "pid": process.pid, "process_started": started}


def elsewhere() -> Info:
    return {**identity.describe(1, "thread"), "host": "elsewhere.example"}


def holding(storage: MemoryStorage, consumer: str, info: Info) -> None:
    storage.sign_on(consumer, info)
    storage.enqueue(b"message")
    assert len(storage.claim(consumer, 1)) == 1


def test_a_process_of_this_host_that_has_ended_is_dead_at_once(storage: Watched) -> None:
    holding(storage, "gone", ended_process())

    Watch(storage).look("me")

    assert storage.queue_size() == 1
    assert storage.consumers() == []


def test_a_rebooted_host_has_lost_its_consumers(storage: Watched) -> None:
    holding(storage, "before", {**identity.describe(1, "thread"), "boot_id": "another"})

    Watch(storage).look("me")

    assert storage.queue_size() == 1


def test_a_silent_consumer_elsewhere_is_dead_after_the_lease(
    storage: Watched, now: list[float]
) -> None:
    holding(storage, "silent", elsewhere())
    watch = Watch(storage)

    watch.look("me")
    now[0] += policy.LEASE
    watch.look("me")
    assert storage.queue_size() == 0

    now[0] += 1
    watch.look("me")
    assert storage.queue_size() == 1


def test_a_consumer_that_beats_lives(storage: Watched, now: list[float]) -> None:
    holding(storage, "beating", elsewhere())
    watch = Watch(storage)

    for _ in range(5):
        watch.look("me")
        now[0] += policy.LEASE
        storage.heartbeat("beating")
    watch.look("me")

    assert storage.queue_size() == 0


def test_time_in_which_the_storage_was_away_counts_for_nobody(
    storage: Watched, now: list[float]
) -> None:
    holding(storage, "silent", elsewhere())
    watch = Watch(storage)
    watch.look("me")

    now[0] += 10 * policy.LEASE
    watch.forget()
    watch.look("me")

    assert storage.queue_size() == 0


def test_a_living_process_of_this_host_is_busy_and_not_dead(
    storage: Watched, now: list[float]
) -> None:
    holding(storage, "busy", identity.describe(1, "thread"))
    watch = Watch(storage)

    watch.look("me")
    now[0] += 100 * policy.LEASE
    watch.look("me")

    assert storage.queue_size() == 0


def test_a_watcher_does_not_judge_itself(storage: Watched) -> None:
    holding(storage, "me", ended_process())

    Watch(storage).look("me")

    assert storage.queue_size() == 0


def test_an_identity_is_not_used_twice() -> None:
    assert len({identity.new_id() for _ in range(1000)}) == 1000
    assert str(os.getpid()) in identity.new_id()

"""The few moves that most tests share: run what is queued, listen, run a consumer."""

import contextlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from huey.api import Huey, Task
from huey.consumer.consumer import Consumer
from huey.timing import now as naive_now

#: Seconds after which something that must happen counts as not happening.
PATIENCE = 20.0


def run_next(huey: Huey, timestamp: datetime | None = None) -> Any:
    """Take the next task off the queue and execute it, as Huey's own tests do."""
    task = huey.dequeue()
    assert task is not None, "nothing is queued"
    return huey.execute(task, timestamp)


def run_all(huey: Huey) -> int:
    """Execute what is queued, and what that enqueues, until nothing is; tells how many."""
    count = 0
    while (task := huey.dequeue()) is not None:
        huey.execute(task)
        count += 1
    return count


def dequeued(huey: Huey) -> Task:
    """Take the next task off the queue."""
    task = huey.dequeue()
    assert task is not None, "nothing is queued"
    return task


def later(huey: Huey, seconds: float) -> datetime:
    """An instant so many seconds from now, in the convention of the app."""
    return naive_now(huey.utc) + timedelta(seconds=seconds)


def make_due(huey: Huey, seconds: float) -> list[Task]:
    """Enqueue what will be due in so many seconds, as Huey's scheduler would."""
    tasks = huey.read_schedule(later(huey, seconds))
    for task in tasks:
        huey.enqueue(task)
    return tasks


def gather(values: list[Any]) -> list[Any]:
    """The callback of most chords: give the results back as they came."""
    return values


class News:
    """Writes down the signals that an app sends."""

    def __init__(self, huey: Huey) -> None:
        self.sent: list[tuple[str, Task, tuple[Any, ...]]] = []
        huey.signal()(self._receive)

    def _receive(self, signal: str, task: Task, *args: Any) -> None:
        self.sent.append((signal, task, args))

    @property
    def names(self) -> list[str]:
        """The signals, in order."""
        return [signal for signal, _, _ in self.sent]

    def take(self) -> list[str]:
        """Give the signals so far, and forget them."""
        names = self.names
        self.sent.clear()
        return names

    def of(self, task_id: str) -> list[str]:
        """The signals about one task, in order."""
        return [signal for signal, task, _ in self.sent if task.id == task_id]


class QuietConsumer(Consumer):
    """A consumer that leaves the Unix signals of the test process alone."""

    def _set_signal_handlers(self) -> None:
        """Set none."""


@contextlib.contextmanager
def running(huey: Huey, **options: Any) -> Iterator[Consumer]:
    """Run a consumer in this process for the length of a block."""
    consumer = QuietConsumer(huey, **options)
    consumer.start()
    try:
        yield consumer
    finally:
        consumer.stop(graceful=True)

"""What every worker does: startup hooks, tasks, shutdown hooks."""

from __future__ import annotations

import logging
import queue
import time
from typing import TYPE_CHECKING

from huey.exceptions import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from huey.app.huey import Huey
    from huey.consumer import policy
    from huey.consumer.work import Work

logger = logging.getLogger("huey.consumer.Worker")


class WorkerRecycle(Exception):
    """The worker has run as many tasks as it should, and makes room for a fresh one."""


class Worker:
    """A loop that runs tasks.

    Args:
        huey: the application.
        ready: where it takes work from; None ends it.
        pace: is told how long tasks take.
        may_start: waits until a task may be started; False if it may not be any more.
        max_tasks: how many tasks it runs before it is replaced; None: no limit.
        waits: whether a task that is not short is settled before the next one starts.
    """

    def __init__(
        self,
        huey: Huey,
        ready: queue.SimpleQueue[Work | None],
        pace: policy.Pace,
        may_start: Callable[[Work], bool],
        max_tasks: int | None = None,
        waits: bool = True,
    ) -> None:
        self.huey = huey
        self.max_tasks = max_tasks
        self.task_count = 0
        #: Set when it has ended for good; its thread may live for some moments more.
        self.has_ended = False
        self._ready = ready
        self._pace = pace
        self._may_start = may_start
        self._waits = waits

    @property
    def is_spent(self) -> bool:
        """Whether it has run as many tasks as it should."""
        return self.max_tasks is not None and self.task_count >= self.max_tasks

    def initialize(self) -> None:
        """Call the startup hooks."""
        self._call_hooks(self.huey._startup, "startup")

    def shutdown(self) -> None:
        """Call the shutdown hooks."""
        self._call_hooks(self.huey._shutdown, "shutdown")

    def _call_hooks(self, hooks: dict[str, Callable[[], object]], kind: str) -> None:
        for name, hook in tuple(hooks.items()):
            logger.debug("Calling %s hook %s", kind, name)
            try:
                hook()
            except Exception:
                logger.exception("%s hook %s failed.", kind.capitalize(), name)

    def run(self) -> None:
        """Run tasks until told to end."""
        while (work := self.take()) is not None:
            self.process(work)
            if self.is_spent:
                logger.info("Worker has run %d tasks, recycling.", self.task_count)
                raise WorkerRecycle

    def take(self) -> Work | None:
        """Wait for a task that may be started; None when there will be no more."""
        while (work := self._ready.get()) is not None:
            if self._may_start(work):
                self.task_count += 1
                return work
        return None

    def process(self, work: Work) -> None:
        """Run one task, and wait until its outcome is written unless tasks prove short."""
        started = work.started = time.monotonic()
        waits = self._waits and not self._pace.is_short
        if waits:
            work.await_settling()
        try:
            self.huey.execute(work.task)
        except StorageError as error:
            # It failed before the task ran: writing what follows is the settler's part.
            logger.error("Task %s is given back, the storage failed: %s", work.task.id, error)
            work.release()
        except Exception:
            # A fault of ours, or of what stands around the task: the claim must not be stranded.
            logger.exception("Unexpected error while running task %s.", work.task.id)
            self.huey.give_up(work.task)
        self.observe(time.monotonic() - started)
        if waits and work.settled is not None:
            work.settled.wait()

    def observe(self, duration: float) -> None:
        """Note how many seconds a task took."""
        self._pace.observe(duration)

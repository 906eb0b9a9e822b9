"""Workers that are threads."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from huey.consumer.workers.base import WorkerRecycle
from huey.consumer.workers.crew import InProcessCrew

if TYPE_CHECKING:
    from huey.consumer.workers.base import Worker

logger = logging.getLogger("huey.consumer")


class ThreadCrew(InProcessCrew):
    """Runs each worker in a thread of this process."""

    def make_process(self, worker: Worker, name: str) -> threading.Thread:
        """Make a daemon thread: a task that does not end must not keep the process alive."""
        return threading.Thread(
            target=run_worker, args=(worker, self.orders.ring), name=name, daemon=True
        )

    def time_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Threads cannot be stopped from outside: tasks look at ``task.is_timed_out``."""
        return contextlib.nullcontext()


def run_worker(worker: Worker, when_ended: Callable[[], None]) -> None:
    """Run a worker from its startup hooks to its shutdown hooks."""
    worker.initialize()
    try:
        worker.run()
    except WorkerRecycle:
        pass
    except BaseException:
        logger.exception("Worker %s died, it will be replaced.", threading.current_thread().name)
    finally:
        worker.shutdown()
        worker.has_ended = True
        when_ended()

"""Workers that are threads."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from huey.consumer.workers.base import Worker, WorkerRecycle

if TYPE_CHECKING:
    pass

logger = logging.getLogger("huey.consumer")


class ThreadEnvironment:
    """Runs each worker in a thread of this process."""

    #: Whether workers are processes of their own.
    forks = False

    #: Threads cannot be stopped from outside: tasks look at ``task.is_timed_out`` themselves.
    def timeout(self, seconds: float) -> AbstractContextManager[Any]:
        """Give the context in which a task with a timeout runs."""
        return contextlib.nullcontext()

    def create_process(
        self, worker: Worker, name: str, on_end: Callable[[], None]
    ) -> threading.Thread:
        """Make the thread of a worker; ``on_end`` is called when it has ended, for any reason."""

        def target() -> None:
            try:
                _run(worker)
            finally:
                on_end()

        # A daemon: a task that does not end must not keep the process alive.
        return threading.Thread(target=target, name=name, daemon=True)

    def is_alive(self, process: threading.Thread) -> bool:
        """Tell whether a worker still runs."""
        return process.is_alive()


def _run(worker: Worker) -> None:
    worker.initialize()
    try:
        worker.run()
    except WorkerRecycle:
        pass
    except BaseException:
        logger.exception("Worker %s died, it will be replaced.", threading.current_thread().name)
    finally:
        worker.shutdown()

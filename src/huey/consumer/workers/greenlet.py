"""Workers that are greenlets, by the hundred."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from huey.consumer.workers.crew import InProcessCrew, Orders
from huey.consumer.workers.thread import run_worker
from huey.exceptions import ConfigurationError, TaskTimeout
from huey.execution.attempt import run_in_new_loop
from huey.execution.outcome import Interrupted

if TYPE_CHECKING:
    from huey.consumer.workers.base import Worker

logger = logging.getLogger("huey.consumer")


class GreenletCrew(InProcessCrew):
    """Runs each worker in a greenlet; feeder, settler and scheduler become greenlets as well."""

    def __init__(self, orders: Orders) -> None:
        try:
            import gevent
            from gevent import monkey
        except ImportError as missing:
            raise ConfigurationError(
                'Greenlet workers need gevent: pip install "huey[gevent]".'
            ) from missing
        self._gevent = gevent
        if not monkey.is_module_patched("socket"):
            logger.warning(
                "gevent has not patched the standard library: tasks that wait block all others. "
                "Start with `huey_consumer -k greenlet`, or patch before anything is imported."
            )
        super().__init__(orders)

    def make_process(self, worker: Worker, name: str) -> Any:
        """Make a greenlet that can be started and looked at like a thread."""
        return _GreenThread(self._gevent.Greenlet(run_worker, worker, self.orders.ring))

    def interrupt(self) -> None:
        """Raise ``Interrupted`` in the tasks that still run; they give themselves back."""
        running = [process.greenlet for _, process in self.worker_threads]
        self._gevent.killall(running, Interrupted, block=True, timeout=1.0)
        super().interrupt()

    def run_coroutine(self, coroutine: Any) -> Any:
        """Run a coroutine in a native thread: greenlets share one, which has room for one loop."""
        return self._gevent.get_hub().threadpool.apply(run_in_new_loop, (coroutine,))

    def time_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """End a task that waits for too long."""
        return self._limit(seconds)

    @contextlib.contextmanager
    def _limit(self, seconds: float) -> Iterator[None]:
        with self._gevent.Timeout(seconds, TaskTimeout(f"timeout ({seconds}s)")):
            yield


class _GreenThread:
    """A greenlet with the face of a thread."""

    def __init__(self, greenlet: Any) -> None:
        self.greenlet = greenlet

    def start(self) -> None:
        """Start it."""
        self.greenlet.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end."""
        self.greenlet.join(timeout)

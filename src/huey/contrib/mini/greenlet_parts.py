"""What MiniHuey is made of where gevent is installed: its result handle and its pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import gevent
from gevent import GreenletExit
from gevent.event import AsyncResult
from gevent.hub import get_hub
from gevent.pool import Pool
from greenlet import getcurrent, greenlet  # type: ignore[import-untyped]  # it has no types

from huey.exceptions import WorkerLost

R = TypeVar("R")


class MiniHueyResult(AsyncResult, Generic[R]):  # type: ignore[misc]  # gevent has no types
    """Fetches what a task returned; ``gevent.wait`` and ``gevent.iwait`` take it, too.

    ``get(block=True, timeout=None)`` waits for ``timeout`` seconds at most, and raises
    ``gevent.Timeout`` after that, or what the task raised. Calling the handle is the same.
    """

    def __call__(self, block: bool = True, timeout: float | None = None) -> R:
        """Fetch the value; see ``get``."""
        value: R = self.get(block, timeout)
        return value

    def fail(self, error: BaseException) -> None:
        """Keep what the task raised."""
        if isinstance(error, GreenletExit):
            # Raised in the caller, it would end the caller's greenlet without a word.
            lost = WorkerLost("The greenlet of the task was killed.")
            lost.__cause__ = error
            error = lost
        self.set_exception(error, (type(error), error, error.__traceback__))


class TaskGreenlet(greenlet):  # type: ignore[misc]  # likewise
    """Runs one task. gevent's own greenlets cost half as much again, for a handle nobody sees."""

    #: Read by ``gevent.kill`` and its like.
    loop: Any


class TaskPool(Pool):  # type: ignore[misc]  # gevent has no types
    """The greenlets of running tasks; with a size, a further one waits for a place."""

    def run(self, function: Callable[[Any], None], argument: Any) -> None:
        """Run a function, which must not raise, in a new greenlet."""
        hub = get_hub()
        task = TaskGreenlet(self._run, hub)
        task.loop = hub.loop
        self.add(task)
        hub.loop.run_callback(task.switch, function, argument)

    def _run(self, function: Callable[[Any], None], argument: Any) -> None:
        try:
            function(argument)
        finally:
            self._discard(getcurrent())

    def kill(
        self, exception: Any = GreenletExit, block: bool = True, timeout: float | None = None
    ) -> None:
        """End all tasks that are running, and wait for their ends if ``block``."""
        for task in list(self.greenlets):
            gevent.kill(task, exception)
        if block:
            self.join(timeout)

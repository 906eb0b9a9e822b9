"""Enqueueing and fetching results from coroutines: the event loop is never blocked."""

from __future__ import annotations

import contextvars
import os
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from huey.app.queueing import Queueing

if TYPE_CHECKING:
    from concurrent.futures import ThreadPoolExecutor

    from huey.results import Result, ResultGroup

R = TypeVar("R")

#: Threads that enqueue for coroutines; a storage may open a connection in each.
WRITERS = 4


class Awaiting(Queueing):
    """What coroutines ask of a Huey."""

    async def aenqueue(self, item: Any) -> Any:
        """Enqueue a task, a group or a chord, as ``enqueue`` does, in a thread.

        If the coroutine is cancelled meanwhile, the task may have been enqueued or not. In
        immediate mode the task runs in that thread.

        Returns:
            What ``enqueue`` returns.

        Raises:
            StorageError: the storage refused it, or cannot be reached.
        """
        return await self._aside(self.enqueue, item)

    async def aenqueue_many(self, tasks: Iterable[Any]) -> ResultGroup[Any] | None:
        """Enqueue any number of tasks, as ``enqueue_many`` does, in a thread."""
        group: ResultGroup[Any] | None = await self._aside(self.enqueue_many, tasks)
        return group

    async def aget_result(
        self,
        result: Result[R],
        backoff: float = 1.15,
        max_delay: float = 1.0,
        preserve: bool = False,
        timeout: float | None = None,
    ) -> R:
        """Wait for the value of a task; ``await result`` does this without options.

        However many coroutines wait, one thread waits for them all. If a coroutine is cancelled,
        the value stays in the storage, for whoever asks for it later.

        Args:
            result: the handle.
            backoff: growth of the wait between looks, where the storage cannot tell.
            max_delay: its upper bound in seconds.
            preserve: leave the value in the storage.
            timeout: seconds to wait at most; None waits for ever.

        Raises:
            TaskException: the task failed; its ``metadata`` says how.
            ResultTimeout: the value did not come in time.
        """
        from huey.app.fetching import fetch  # deferred: it loads asyncio

        return await fetch(
            self,
            result,
            backoff=backoff,
            max_delay=max_delay,
            preserve=preserve,
            timeout=timeout,
        )

    async def _aside(self, function: Callable[[Any], Any], argument: Any) -> Any:
        import asyncio  # deferred: `import huey` stays light

        context = contextvars.copy_context()
        # In immediate mode the task itself runs there, which may take any time.
        threads = None if self.immediate else _writers()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, context.run, function, argument)


_threads: ThreadPoolExecutor | None = None


def _writers() -> ThreadPoolExecutor:
    """Give the threads of this process; writes do not queue up behind other work of the loop."""
    from concurrent.futures import ThreadPoolExecutor

    global _threads
    if _threads is None:
        _threads = ThreadPoolExecutor(WRITERS, "huey-enqueue")
    return _threads


def _forget_after_fork() -> None:
    global _threads
    _threads = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

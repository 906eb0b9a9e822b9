"""Threads beside an event loop, for plain functions."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from typing import Any

_Job = tuple[asyncio.AbstractEventLoop, "asyncio.Future[Any]", Callable[[], Any]]


class Threads:
    """Up to ``most`` daemon threads, started when they are needed.

    The executors of the standard library are waited for when the process ends, even if a task in
    them never does.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._started = 0
        self._idle = 0
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        """Await a call of a plain function, made in the caller's context."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        context = contextvars.copy_context()
        self._jobs.put((loop, future, lambda: context.run(function, *args)))
        if not self._idle and self._started < self._most:
            self._started += 1
            name = f"Worker-{self._started}"
            threading.Thread(target=self._serve, name=name, daemon=True).start()
        return await future

    def _serve(self) -> None:
        while True:
            self._idle += 1
            loop, future, call = self._jobs.get()
            self._idle -= 1
            try:
                value, error = call(), None
            except BaseException as raised:
                value, error = None, raised
            # The loop may be gone: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_tell, future, value, error)


def _tell(future: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(value)
    else:
        future.set_exception(error)

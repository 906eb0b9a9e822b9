"""Tasks on an event loop: coroutines by the thousand, and a few threads for plain functions."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from huey.consumer.workers.base import Worker
from huey.consumer.workers.crew import InProcessCrew, Orders
from huey.consumer.workers.threads import Threads
from huey.exceptions import StorageError, TaskTimeout
from huey.execution.outcome import Interrupted

if TYPE_CHECKING:
    from huey.consumer.work import Work
    from huey.tasks.task import Task

logger = logging.getLogger("huey.consumer")

#: How many plain functions run beside the event loop at most.
_THREADS = 32


class AsyncioCrew(InProcessCrew):
    """Runs coroutine functions on one loop, in a thread of its own."""

    _loop: _Loop

    def count(self) -> int:
        """One loop takes the place of all workers; the engine bounds how much it runs at once."""
        return 1

    def hire(self, number: int) -> tuple[Worker, Any]:
        """Make the loop."""
        worker = self.engine.make_worker(self.orders.worker_class, self.orders.max_tasks)
        self._loop = _Loop(worker, self.orders)
        return worker, self._loop.thread

    def interrupt(self) -> None:
        """Cancel the coroutines that still run; they give themselves back."""
        self._loop.interrupt()
        self.wait_for_workers(1.0)
        super().interrupt()

    def time_limit(self, seconds: float) -> AbstractContextManager[Any]:
        """Plain functions run in threads, which cannot be stopped from outside."""
        return contextlib.nullcontext()


class _Loop:
    """The event loop, and the thread that it lives in."""

    def __init__(self, worker: Worker, orders: Orders) -> None:
        self._worker = worker
        self._orders = orders
        self._running: set[asyncio.Task[None]] = set()
        self._interrupting = False
        self._threads = Threads(min(_THREADS, max(1, orders.workers)))
        self._loop: asyncio.AbstractEventLoop | None = None
        self.thread = threading.Thread(target=self._run, name="Loop", daemon=True)

    def _run(self) -> None:
        self._worker.initialize()
        try:
            asyncio.run(self._serve())
        except BaseException:
            logger.exception("The event loop died, it will be replaced.")
        finally:
            self._worker.shutdown()
            self._worker.has_ended = True
            self._orders.ring()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        pump = threading.Thread(target=self._pump, args=(ended,), name="Pump", daemon=True)
        pump.start()
        await ended.wait()
        while self._running:
            await asyncio.wait(self._running)

    def _pump(self, ended: asyncio.Event) -> None:
        """Carry work from the feeder to the loop; the loop itself must never wait for it."""
        assert self._loop is not None
        while (work := self._worker.take()) is not None:
            self._loop.call_soon_threadsafe(self._begin, work)
            if self._worker.is_spent:
                break
        self._loop.call_soon_threadsafe(ended.set)

    def _begin(self, work: Work) -> None:
        task = asyncio.create_task(self._process(work))
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def _process(self, work: Work) -> None:
        if not getattr(work.task, "is_async", False):
            # The whole attempt, with its hooks, runs beside the loop.
            await self._threads.run(self._worker.process, work)
            return
        started = work.started = time.monotonic()
        try:
            await self._orders.huey.aexecute(work.task, self._call)
        except StorageError as error:
            logger.error("Task %s is given back, the storage failed: %s", work.task.id, error)
            work.release()
        except Exception:
            logger.exception("Unexpected error while running task %s.", work.task.id)
            self._orders.huey.give_up(work.task)
        self._worker.observe(time.monotonic() - started)

    async def _call(self, task: Task) -> Any:
        try:
            async with asyncio.timeout(task.timeout or None) as limit:
                return await task.execute()
        except TimeoutError as error:
            if limit.expired():
                raise TaskTimeout(f"timeout ({task.timeout}s)") from error
            raise
        except asyncio.CancelledError as error:
            if self._interrupting:
                raise Interrupted from error
            raise

    def interrupt(self) -> None:
        """Cancel what runs, from another thread."""
        self._interrupting = True
        if self._loop is not None and not self._loop.is_closed():
            for task in tuple(self._running):
                self._loop.call_soon_threadsafe(task.cancel)

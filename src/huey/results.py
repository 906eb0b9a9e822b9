"""The caller's end: handles that fetch what tasks returned."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from huey.constants import EmptyData
from huey.exceptions import ResultTimeout, TaskException
from huey.timing import normalize_time
from huey.utils import Error

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from huey.app.huey import Huey
    from huey.tasks.task import Task

R = TypeVar("R")

_FIRST_POLL = 0.05


class Result(Generic[R]):
    """Fetches the value of one task.

    A value is read once: it is removed from the storage and kept in this handle. ``preserve=True``
    leaves it there for other handles.
    """

    def __init__(self, huey: Huey, task: Task) -> None:
        self.huey = huey
        self.task = task
        self.revoke_id = task.revoke_id
        self._result: Any = EmptyData

    @property
    def id(self) -> str:
        """The id of the task."""
        return self.task.id

    def __repr__(self) -> str:
        return f"<Result: task {self.id}>"

    # ── reading ────────────────────────────────────────────────────────────────────────────────

    def get(
        self,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> R | None:
        """Fetch the value.

        Args:
            blocking: wait for it; otherwise None comes back while it is not there.
            timeout: seconds to wait at most; None waits for ever.
            backoff: growth of the wait between looks, where the storage cannot tell.
            max_delay: its upper bound in seconds.
            revoke_on_timeout: tell the task not to run if the wait was in vain.
            preserve: leave the value in the storage.

        Raises:
            TaskException: the task failed; its ``metadata`` says how.
            ResultTimeout: the value did not come in time.
        """
        value = self.get_raw_result(
            blocking, timeout, backoff, max_delay, revoke_on_timeout, preserve
        )
        if isinstance(value, Error):
            raise TaskException(value.metadata)
        return cast("R | None", value)

    __call__ = get

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the value without blocking the event loop; `Huey.aget_result` has options."""
        return self.huey.aget_result(self).__await__()

    def get_raw_result(
        self,
        blocking: bool = False,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
        revoke_on_timeout: bool = False,
        preserve: bool = False,
    ) -> Any:
        """Fetch the value like :meth:`get`, but return a failed task's ``Error`` as it is."""
        if self._get(preserve) is not EmptyData:
            return self._result
        if not blocking:
            return None
        arrived = self.huey.storage.wait_result(self.id, timeout, backoff, max_delay)
        if arrived and self._get(preserve) is not EmptyData:
            return self._result
        if revoke_on_timeout:
            self.revoke()
        raise ResultTimeout(f"No result of task {self.id} came within {timeout} seconds.")

    def _get(self, preserve: bool = False) -> Any:
        """Read the value into this handle; ``EmptyData`` while there is none."""
        if self._result is EmptyData:
            raw = self.huey.get_raw(self.id, peek=preserve)
            if isinstance(raw, bytes):
                self._result = self.huey.serializer.deserialize(raw)
        return self._result

    def is_ready(self) -> bool:
        """Tell whether the value is there; it is read into this handle if so."""
        return self._get() is not EmptyData

    def reset(self) -> None:
        """Forget the value read, so that the next look goes to the storage."""
        self._result = EmptyData

    def follow(self, task: Task) -> None:
        """Fetch the value of another task from now on."""
        self.task = task
        self.revoke_id = task.revoke_id
        self._result = EmptyData

    # ── steering ───────────────────────────────────────────────────────────────────────────────

    def revoke(self, revoke_once: bool = True) -> None:
        """Tell the task not to run; with ``revoke_once=False`` not any later attempt either."""
        self.huey.revoke(self, revoke_once=revoke_once)

    def restore(self) -> bool:
        """Take the revocation back; False if there was none."""
        return self.huey.restore(self)

    def is_revoked(self) -> bool:
        """Tell whether the task, or its whole class, is revoked."""
        return self.huey.is_revoked(self)

    def reschedule(
        self,
        eta: datetime | None = None,
        delay: float | timedelta | None = None,
        expires: Any = None,
        priority: float | None = None,
        preserve_pipeline: bool = True,
    ) -> Any:
        """Revoke the task and enqueue another one like it, with a new id.

        Args:
            eta: when the new one starts; or
            delay: after how many seconds; without both, as soon as possible.
            expires: replaces the expiry.
            priority: replaces the priority.
            preserve_pipeline: keep what runs on completion and on errors.

        Returns:
            What enqueueing the new task returns.
        """
        if eta is not None or delay is not None:
            eta = normalize_time(eta, delay, self.huey.utc)
        old = self.task
        new = type(old)(
            old.args,
            old.kwargs,
            eta=eta,
            retries=old.retries,
            retry_delay=old.retry_delay,
            priority=old.priority if priority is None else priority,
            expires=old.expires if expires is None else expires,
            on_complete=old.on_complete if preserve_pipeline else None,
            on_error=old.on_error if preserve_pipeline else None,
            timeout=old.timeout,
            chord_config=old.chord_config,
            retry_backoff=old.retry_backoff,
        )
        # First, so that the two never run both; the old one runs after all if this fails.
        self.revoke()
        self.huey.free_place(old)
        try:
            return self.huey.enqueue(new)
        except Exception:
            self.restore()
            raise


class ResultGroup(Generic[R]):
    """The handles of several tasks, in the order of the tasks."""

    def __init__(self, results: Sequence[Result[R]]) -> None:
        self._results = list(results)

    def get(self, *args: Any, **kwargs: Any) -> list[R | None]:
        """Fetch all values, each as :meth:`Result.get` would."""
        return [result.get(*args, **kwargs) for result in self._results]

    __call__ = get

    def __await__(self) -> Generator[Any, None, list[R]]:
        """Wait for all values without blocking the event loop; the first failure ends the wait."""
        return gather(self._results).__await__()

    def __getitem__(self, index: int) -> R | None:
        return self._results[index].get(blocking=True)

    def __iter__(self) -> Iterator[Result[R]]:
        return iter(self._results)

    def __len__(self) -> int:
        return len(self._results)

    def as_completed(
        self, backoff: float = 1.15, max_delay: float = 1.0
    ) -> Generator[R | None, None, None]:
        """Yield the values as they arrive.

        Where the storage cannot tell that a result has come, ``backoff`` and ``max_delay``
        (seconds) shape the waits between looks.

        Raises:
            TaskException: the task whose turn it is failed.
        """
        waiting = {result.id: result for result in self._results}
        delay = _FIRST_POLL
        while waiting:
            ready = [result for result in waiting.values() if result.is_ready()]
            for result in ready:
                del waiting[result.id]
                yield result.get()
            if ready:
                delay = _FIRST_POLL
            elif waiting:
                self._wait_for_any(waiting, delay)
                delay = min(delay * backoff, max_delay)

    def _wait_for_any(self, waiting: dict[str, Result[R]], delay: float) -> None:
        storages: list[Any] = [result.huey.storage for result in waiting.values()]
        storage = storages[0]
        if not storage.lossless or any(other is not storage for other in storages):
            # Nobody tells of results in several storages at once.
            time.sleep(delay)
            return
        waiter = storage.result_waiter()
        try:
            waiter.wait(tuple(waiting), None)
        finally:
            waiter.close()


class ChordResult(Generic[R]):
    """The handles of a chord: its members, its callback and what follows the callback."""

    def __init__(
        self,
        results: Sequence[Result[Any]],
        callback: Result[R],
        pipeline: ResultGroup[Any] | None = None,
    ) -> None:
        self.results = ResultGroup(results)
        self.callback = callback
        self.pipeline_results = pipeline

    def get(self, *args: Any, **kwargs: Any) -> R | None:
        """Fetch the value of the callback."""
        return self.callback.get(*args, **kwargs)

    __call__ = get

    def __await__(self) -> Generator[Any, None, R]:
        """Wait for the value of the callback without blocking the event loop."""
        return self.callback.__await__()

    def reset(self) -> None:
        """Forget the value of the callback that was read."""
        self.callback.reset()


async def gather(awaitables: Iterable[Awaitable[R]]) -> list[R]:
    """Await all of some; if one fails, or the coroutine is cancelled, no other is awaited on."""
    import asyncio  # deferred: `import huey` stays light

    waits = [asyncio.ensure_future(awaitable) for awaitable in awaitables]
    try:
        return await asyncio.gather(*waits)
    except BaseException:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
        raise

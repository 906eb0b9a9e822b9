"""One at a time: locks with an owner."""

from __future__ import annotations

import functools
import inspect
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from huey import keys
from huey.exceptions import TaskLockedException

if TYPE_CHECKING:
    from huey.app.huey import Huey

P = ParamSpec("P")
R = TypeVar("R")

#: The locks that this context has taken: (key, value), the latest last.
_taken: ContextVar[tuple[tuple[str, bytes], ...]] = ContextVar("huey_locks", default=())


class TaskLock:
    """A lock by name, as a decorator, a context manager, or by hand. Not re-entrant.

    Args:
        huey: the application.
        name: whoever uses the same name excludes each other.
        ttl: seconds after which the lock is free even if nobody released it.

    A lock that a consumer's task holds is freed when that consumer dies.

    Raises:
        ValueError: ``ttl`` is not positive.
    """

    def __init__(self, huey: Huey, name: str, ttl: float | None = None) -> None:
        if ttl is not None and ttl <= 0:
            raise ValueError(f"ttl is a number of seconds above 0, or None, got {ttl!r}.")
        self._huey = huey
        self._name = name
        self._ttl = ttl
        self._key = keys.lock(huey.name, name)
        huey._locks.add(self._key)

    def acquire(self) -> bool:
        """Take the lock.

        Raises:
            TaskLockedException: it is taken.
        """
        value = self._huey.serializer.serialize(str(uuid.uuid4()))
        storage = self._huey._lossless
        if not storage.lock(self._key, value, self._ttl, self._huey._holder):
            raise TaskLockedException(f'Cannot take the lock "{self._name}": it is held.')
        _taken.set((*_taken.get(), (self._key, value)))
        return True

    def release(self) -> bool:
        """Free the lock if this context took it and it is still held so; False otherwise."""
        taken = _taken.get()
        for index in range(len(taken) - 1, -1, -1):
            key, value = taken[index]
            if key == self._key:
                _taken.set(taken[:index] + taken[index + 1 :])
                return self._huey._lossless.unlock(key, value)
        return False

    def clear(self) -> bool:
        """Free the lock, whoever holds it; False if nobody does."""
        return self._huey.delete(self._key)

    def is_locked(self) -> bool:
        """Tell whether somebody holds the lock."""
        return self._huey.storage.has_data_for_key(self._key)

    locked = is_locked

    def __enter__(self) -> TaskLock:
        self.acquire()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Guard each call of a function, or of a coroutine function until it has finished."""
        if inspect.iscoroutinefunction(func):
            return cast("Callable[P, R]", self._around_coroutine(func))

        @functools.wraps(func)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return func(*args, **kwargs)

        return inner

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            with self:
                return await func(*args, **kwargs)

        return inner

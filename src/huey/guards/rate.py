"""So many per window: rate limits."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from huey import keys
from huey.exceptions import RateLimitExceeded

if TYPE_CHECKING:
    from huey.app.huey import Huey

P = ParamSpec("P")
R = TypeVar("R")


class RateLimit:
    """At most ``limit`` entries per window of ``per`` seconds, exact on every storage.

    Args:
        huey: the application.
        name: whoever uses the same name shares the limit.
        limit: entries per window; 0 admits nobody.
        per: length of a window in seconds; windows are aligned to the storage's clock.
        retry: whether a task that is refused is tried again in the next window, without using
            up one of its retries.

    Raises:
        ValueError: ``limit`` is negative, or ``per`` not positive.
    """

    def __init__(self, huey: Huey, name: str, limit: int, per: float, retry: bool = True) -> None:
        if limit < 0:
            raise ValueError(f"limit counts entries and cannot be negative, got {limit!r}.")
        if per <= 0:
            raise ValueError(f"per is the length of a window in seconds, above 0, got {per!r}.")
        self._huey = huey
        self._name = name
        self._limit = limit
        self._per = per
        self._retry = retry
        self._key = keys.rate_limit(huey.name, name)

    def acquire(self) -> None:
        """Take one of the entries of this window.

        Raises:
            RateLimitExceeded: none is left; its ``delay`` says for how many seconds.
        """
        count, left = self._huey._lossless.rate_hit(self._key, self._per, self._limit)
        if count > self._limit:
            raise RateLimitExceeded(self._name, left, retry=self._retry)

    def reset(self) -> None:
        """Open a fresh window."""
        self._huey.storage.delete_counter(self._key)
        self._huey.delete(f"{self._key}.w")

    def current_usage(self) -> int:
        """Count the entries taken in this window."""
        count, _ = self._huey._lossless.rate_hit(self._key, self._per, self._limit, 0)
        return count

    def __enter__(self) -> None:
        self.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leave; nothing is given back."""

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Guard each call of a function, or of a coroutine function until it has finished."""
        if inspect.iscoroutinefunction(func):
            return cast("Callable[P, R]", self._around_coroutine(func))

        @functools.wraps(func)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            self.acquire()
            return func(*args, **kwargs)

        return inner

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            self.acquire()
            return await func(*args, **kwargs)

        return inner

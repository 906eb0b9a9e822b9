"""So many at a time: semaphores whose places return by themselves when their holder is gone."""

from __future__ import annotations

import contextlib
import functools
import inspect
import logging
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from huey import keys
from huey.exceptions import StorageError, TaskLockedException

if TYPE_CHECKING:
    from huey.app.huey import Huey

P = ParamSpec("P")
R = TypeVar("R")

#: Seconds for which a place is held without being renewed.
DEFAULT_TIMEOUT = 300.0
#: How often a place is renewed within that time while the function that holds it runs.
_RENEWALS = 3

logger = logging.getLogger("huey")


class Semaphore:
    """At most ``value`` holders at a time, on every storage; a decorator, or by hand.

    Args:
        huey: the application.
        name: whoever uses the same name shares the places.
        value: how many places there are.
        timeout: seconds after which a place that is not renewed is free again; 300 by default.

    A place that a consumer's task holds is freed when that consumer dies.

    Raises:
        ValueError: ``value`` is below 1, or ``timeout`` not positive.
    """

    def __init__(self, huey: Huey, name: str, value: int = 1, timeout: float | None = None) -> None:
        if value < 1:
            raise ValueError(f"value counts places and is 1 or more, got {value!r}.")
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout is a number of seconds above 0, got {timeout!r}.")
        self.huey = huey
        self.name = name
        self.key = keys.lock(huey.name, name)
        self.value = value
        self.timeout = timeout or DEFAULT_TIMEOUT
        huey._locks.add(self.key)

    def acquire(self, name: str | None = None) -> str | None:
        """Take a place, or renew the one that ``name`` holds.

        Returns:
            The id of the holder, a new one unless ``name`` is given; None if all are taken.
        """
        member = name or str(uuid.uuid4())
        storage, holder = self.huey._lossless, self.huey._holder
        taken = storage.semaphore_acquire(self.key, member, self.value, self.timeout, holder)
        return member if taken else None

    def renew(self, name: str) -> bool:
        """Prolong a place; False if it was lost because it was not renewed in time."""
        return self.huey._lossless.semaphore_renew(self.key, name, self.timeout)

    def release(self, name: str) -> int:
        """Give a place back: 1, or 0 if it was not held any more."""
        return int(self.huey._lossless.semaphore_release(self.key, name))

    @contextlib.contextmanager
    def hold(self) -> Iterator[str]:
        """Hold a place for the length of a ``with`` block, renewing it meanwhile.

        Raises:
            TaskLockedException: all places are taken.
        """
        member = self.acquire()
        if member is None:
            raise TaskLockedException(
                f'Cannot enter the semaphore "{self.name}": all {self.value} places are taken.'
            )
        done = threading.Event()
        renewing = threading.Thread(
            target=self._keep, args=(member, done), name=f"Semaphore-{self.name}", daemon=True
        )
        renewing.start()
        try:
            yield member
        finally:
            done.set()
            renewing.join()
            self.release(member)

    def _keep(self, member: str, done: threading.Event) -> None:
        while not done.wait(self.timeout / _RENEWALS):
            try:
                if not self.renew(member):
                    logger.warning('A place in the semaphore "%s" was lost.', self.name)
                    return
            except StorageError as error:
                # There is time for another try before the place is lost.
                logger.warning('A place in "%s" could not be renewed: %s', self.name, error)

    def __call__(self, func: Callable[P, R]) -> Callable[P, R]:
        """Hold a place during each call of a function.

        Raises:
            TaskLockedException: (the call) all places are taken.
        """
        if inspect.iscoroutinefunction(func):
            return cast("Callable[P, R]", self._around_coroutine(func))

        @functools.wraps(func)
        def inner(*args: P.args, **kwargs: P.kwargs) -> R:
            with self.hold():
                return func(*args, **kwargs)

        return inner

    def _around_coroutine(self, func: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(func)
        async def inner(*args: Any, **kwargs: Any) -> Any:
            with self.hold():
                return await func(*args, **kwargs)

        return inner

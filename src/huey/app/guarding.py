"""Locks and rate limits of the application."""

from __future__ import annotations

from typing import Any

from huey import keys
from huey.app.storing import Storing
from huey.guards.lock import TaskLock
from huey.guards.rate import RateLimit


class Guarding(Storing):
    """What stands before task code and may refuse entry."""

    def lock_task(self: Any, lock_name: str, ttl: float | None = None) -> TaskLock:
        """Give a lock: a decorator, or a context manager. See :class:`TaskLock`."""
        return TaskLock(self, lock_name, ttl)

    def is_locked(self: Any, lock_name: str) -> bool:
        """Tell whether somebody holds the lock of this name."""
        return TaskLock(self, lock_name).is_locked()

    def flush_locks(self, *names: str) -> set[str]:
        """Free all locks that this process knows, and those named, whoever holds them.

        Returns:
            The names of those that were held.
        """
        wanted = self._locks | {keys.lock(self.name, name.strip()) for name in names}
        return {key.split(".lock.", 1)[-1] for key in wanted if self.delete(key)}

    def rate_limit(self: Any, name: str, limit: int, per: float, retry: bool = True) -> RateLimit:
        """Give a rate limit: a decorator, or a context manager. See :class:`RateLimit`."""
        return RateLimit(self, name, limit, per, retry)

"""The abilities behind locks, semaphores and rate limits, each one atomic step."""

from __future__ import annotations

from huey.storage.base import BaseStorage, Key


class GuardingStorage(BaseStorage):
    """A storage whose guards are exact: they have owners, ends and one clock."""

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken.

        Args:
            key: the key/value entry that is the lock.
            value: names the owner; only it can unlock.
            ttl: seconds after which the lock is free by itself.
            holder: id of the consumer with whose death the lock is freed.
        """
        raise NotImplementedError

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        raise NotImplementedError

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds; False if all are taken."""
        raise NotImplementedError

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        raise NotImplementedError

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        raise NotImplementedError

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds, aligned to the storage's clock.

        Nothing is counted above ``limit``. An ``amount`` of 0 only looks. ``delete_counter(key)``
        makes room again at once.

        Returns:
            How many hits the window would hold with this one (more than ``limit``: refused), and
            the seconds until it ends.
        """
        raise NotImplementedError

"""Locks, semaphores and rate limits: each operation is one script, so all are exact."""

from __future__ import annotations

from typing import Any

from huey.storage.base import Key
from huey.storage.redis.core import RedisCore, as_bytes
from huey.storage.redis.presence import Hold, place_prefix


class Guarding(RedisCore):
    """What stands before task code. Locks and semaphores are those that Huey 3 sees."""

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken; taking it again with the same value succeeds."""
        arguments: list[Any] = []
        declared: list[Any] = []
        self._place(self._field(key), arguments, declared)
        hold = Hold("lock", as_bytes(key), value).field()
        arguments += (value, self._ttl(ttl), holder or "", hold)
        return bool(self._run("lock", arguments, keys=declared))

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        arguments: list[Any] = []
        declared: list[Any] = []
        self._place(self._field(key), arguments, declared)
        arguments += (value, Hold("lock", as_bytes(key), value).field())
        return bool(self._run("unlock", arguments, keys=declared))

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""
        hold = Hold("place", as_bytes(key), as_bytes(member)).field()
        arguments = (
            place_prefix(as_bytes(key)),
            member,
            limit,
            repr(float(ttl)),
            holder or "",
            hold,
        )
        return bool(self._run("semaphore_acquire", arguments, keys=(key,)))

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        arguments = (place_prefix(as_bytes(key)), member, repr(float(ttl)))
        return bool(self._run("semaphore_renew", arguments, keys=(key,)))

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        hold = Hold("place", as_bytes(key), as_bytes(member)).field()
        arguments = (place_prefix(as_bytes(key)), member, hold)
        return bool(self._run("semaphore_release", arguments, keys=(key,)))

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds, aligned to the server's clock.

        The count is the counter of this key, so that deleting the counter starts anew. Which window
        it belongs to is a counter beside it.
        """
        arguments: list[Any] = []
        declared: list[Any] = []
        for counter in (key, f"{key}.w"):
            self._place(self._counter_field(counter), arguments, declared)
        arguments += (repr(float(per)), limit, amount)
        hits, left = self._run("rate_hit", arguments, keys=declared)
        return int(hits), float(left)

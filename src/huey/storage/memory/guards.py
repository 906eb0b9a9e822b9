"""Locks, semaphores and rate limits in memory."""

from __future__ import annotations

import time

from huey.storage.base import Key
from huey.storage.memory.state import MemoryState


class MemoryGuards(MemoryState):
    """What stands before task code; each method is one step under the lock, so all are exact."""

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken."""
        with self._lock:
            if self._live(key) is not None:
                return False
            self._put(key, value, ttl)
            if holder is not None:
                self._lock_holders[key] = (holder, value)
            return True

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        with self._lock:
            return self._drop_if(key, value)

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""
        with self._lock:
            places = self._current_places(key)
            if member not in places and len(places) >= limit:
                return False
            places[member] = (time.monotonic() + ttl, holder)
            return True

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        with self._lock:
            places = self._current_places(key)
            if member not in places:
                return False
            places[member] = (time.monotonic() + ttl, places[member][1])
            return True

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        with self._lock:
            places = self._current_places(key)
            held = places.pop(member, None) is not None
            if not places:
                del self._places[key]
            return held

    def _current_places(self, key: str) -> dict[str, tuple[float, str | None]]:
        now = time.monotonic()
        places = self._places.setdefault(key, {})
        for member in [name for name, (end, _) in places.items() if end <= now]:
            del places[member]
        return places

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds."""
        with self._lock:
            now = self.now()
            window = int(now // per)
            if self._windows.get(key) != window:
                self._windows[key] = window
                self._counters.pop(key, None)
            hits = self._counters.get(key, 0) + amount
            if amount and hits <= limit:
                self._counters[key] = hits
            return hits, (window + 1) * per - now

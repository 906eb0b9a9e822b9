"""Locks, semaphores and rate limits over the classic contract.

Locks are as exact as ``put_if_empty`` of the storage. Semaphores and rates are exact between the
threads of one process; between processes two steps may cross.
"""

from __future__ import annotations

import json

from huey.storage.base import BaseStorage, Key
from huey.storage.classic.passing import ClassicPassing


class ClassicGuards(ClassicPassing):
    """What stands before task code."""

    def __init__(self, storage: BaseStorage, utc: bool = True) -> None:
        super().__init__(storage, utc)
        #: Locks and places that die with a consumer of this process.
        self._held_locks: dict[Key, tuple[bytes, str]] = {}
        self._held_places: dict[tuple[str, str], str] = {}

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken.

        Raises:
            NotImplementedError: if a ``ttl`` is given and the storage cannot expire values.
        """
        with self._lock:
            rest = () if ttl is None else (ttl,)
            taken = self.storage.put_if_empty(key, value, *rest)
            if taken and holder is not None:
                self._held_locks[key] = (value, holder)
            return taken

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        with self._lock:
            if self.storage.peek_data(key) != value:
                return False
            self._held_locks.pop(key, None)
            return bool(self.storage.delete_data(key))

    def _free_guards_of(self, consumer: str) -> None:
        with self._lock:
            for key, (value, holder) in list(self._held_locks.items()):
                if holder == consumer:
                    self.unlock(key, value)
                    self._held_locks.pop(key, None)
            for (semaphore, member), holder in list(self._held_places.items()):
                if holder == consumer:
                    self.semaphore_release(semaphore, member)

    # ── semaphores: one value, a table of members and the ends of their places ─────────────────

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""
        with self._lock:
            places = self._places(key)
            if member not in places and len(places) >= limit:
                return False
            places[member] = self.now() + ttl
            self._keep_places(key, places)
            if holder is not None:
                self._held_places[key, member] = holder
            return True

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        with self._lock:
            places = self._places(key)
            if member not in places:
                return False
            places[member] = self.now() + ttl
            self._keep_places(key, places)
            return True

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        with self._lock:
            self._held_places.pop((key, member), None)
            places = self._places(key)
            if places.pop(member, None) is None:
                return False
            self._keep_places(key, places)
            return True

    def _places(self, key: str) -> dict[str, float]:
        raw = self.storage.peek_data(key)
        if not isinstance(raw, bytes):
            return {}
        now = self.now()
        return {member: end for member, end in json.loads(raw).items() if end > now}

    def _keep_places(self, key: str, places: dict[str, float]) -> None:
        if places:
            self.storage.put_data(key, json.dumps(places).encode())
        else:
            self.storage.delete_data(key)

    # ── rates: a counter, and the window to which it belongs ───────────────────────────────────

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds."""
        with self._lock:
            now = self.now()
            window = int(now // per)
            name, mark = f"{key}.window", str(window).encode()
            if self.storage.peek_data(name) != mark:
                self.storage.delete_counter(key)
                self.storage.put_data(name, mark)
            hits = self.storage.incr(key, 0) + amount
            if amount and hits <= limit:
                self.storage.incr(key, amount)
            return hits, (window + 1) * per - now

"""Locks, semaphores and rate limits in files; each is one step under the lock, so all are exact."""

from __future__ import annotations

import time
from typing import Any

from huey.storage.base import Key
from huey.storage.file import layout
from huey.storage.file.clockwork import FileClockwork
from huey.storage.file.work import Work


class FileGuards(FileClockwork):
    """What stands before task code."""

    def lock(
        self, key: Key, value: bytes, ttl: float | None = None, holder: str | None = None
    ) -> bool:
        """Take a lock unless it is taken."""
        with self._working() as work:
            name = layout.text_of(key)
            if work.live(name) is not None:
                return False
            work.put(name, value, ttl, holder)
            return True

    def unlock(self, key: Key, value: bytes) -> bool:
        """Free a lock if it is still held with this value."""
        with self._working() as work:
            return work.drop_if(layout.text_of(key), value)

    def semaphore_acquire(
        self, key: str, member: str, limit: int, ttl: float, holder: str | None = None
    ) -> bool:
        """Take, or renew, one of ``limit`` places for ``ttl`` seconds."""
        with self._working() as work:
            members = _members(work, key)
            if member not in members and len(members) >= limit:
                return False
            _write_members(work, key, members | {member: [time.time() + ttl, holder]})
            return True

    def semaphore_renew(self, key: str, member: str, ttl: float) -> bool:
        """Prolong a place that is still held; False if it was lost."""
        with self._working() as work:
            members = _members(work, key)
            if member not in members:
                return False
            members[member][0] = time.time() + ttl
            _write_members(work, key, members)
            return True

    def semaphore_release(self, key: str, member: str) -> bool:
        """Give a place back; False if it was not held any more."""
        with self._working() as work:
            members = _members(work, key)
            if members.pop(member, None) is None:
                return False
            _write_members(work, key, members)
            return True

    def rate_hit(self, key: str, per: float, limit: int, amount: int = 1) -> tuple[int, float]:
        """Count a hit in the current window of ``per`` seconds."""
        with self._working() as work:
            now = self.now()
            window = int(now // per)
            known = work.facts(layout.WINDOWS, key) or {"number": None}
            before = work.counter(key) if known["number"] == window else 0
            hits = before + amount
            if amount and hits <= limit:
                end = (window + 1) * per
                work.note(layout.WINDOWS, key, {"key": key, "number": window, "ends_at": end})
                work.set_counter(key, hits)
            return hits, (window + 1) * per - now


def _members(work: Work, key: str) -> dict[str, list[Any]]:
    places = work.facts(layout.PLACES, key) or {"members": {}}
    now = time.time()
    return {member: place for member, place in places["members"].items() if place[0] > now}


def _write_members(work: Work, key: str, members: dict[str, list[Any]]) -> None:
    if members:
        work.note(layout.PLACES, key, {"key": key, "members": members})
    else:
        work.forget(layout.PLACES, key)

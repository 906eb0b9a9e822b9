"""The schedule of a classic storage, which can only be read by emptying it; ticks; waiting."""

from __future__ import annotations

import threading
import time
from collections.abc import Collection, Sequence

from huey.storage.base import BaseStorage
from huey.storage.classic.passing import FIRST_DELAY, GROWTH, MAX_DELAY
from huey.storage.classic.sending import ClassicSending
from huey.storage.delivery import Due, Move, Outgoing, ResultWaiter, Scheduled
from huey.timing import from_epoch

#: How often to look at a schedule that does not say when its next message is due, in seconds.
_SCHEDULE_INTERVAL = 1.0


class ClassicClockwork(ClassicSending):
    """Due, promote, tick, and a waiter that polls."""

    def __init__(self, storage: BaseStorage, utc: bool = True) -> None:
        super().__init__(storage, utc)
        #: Read from the schedule, which removed them, and not yet promoted.
        self._due: dict[str, Scheduled] = {}
        self._ticks: dict[str, float] = {}

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Read what is due, which removes it from the storage; ``promote`` is to follow at once."""
        now = self.now() if now is None else now
        with self._lock:
            for data in self.storage.read_schedule(from_epoch(now, self._utc)):
                token = str(next(self._numbers))
                self._due[token] = Scheduled(token, data, now)
            messages = tuple(self._due.values())[:limit]
            return Due(messages, 0.0 if len(self._due) > limit else _SCHEDULE_INTERVAL)

    def promote(self, moves: Sequence[Move]) -> int:
        """Enqueue, or file anew, what ``due`` had read."""
        return sum(self._promote(move) for move in moves)

    def _promote(self, move: Move) -> bool:
        with self._lock:
            entry = self._due.pop(move.scheduled.token, None)
        if entry is None:
            return False
        try:
            self._accept(Outgoing(entry.data, move.priority, move.due))
        except Exception:
            with self._lock:  # the only copy: the next call of ``due`` shows it again
                self._due[entry.token] = entry
            raise
        return True

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue unless this tick exists; as exact as the storage's ``put_if_empty``."""
        with self._lock:
            before = self._ticks.get(name)
            if before is not None and before >= planned:
                return False
            self._ticks[name] = planned
        if not self.storage.put_if_empty(f"tick:{name}:{planned!r}", b"1"):
            return False
        if before is not None:
            self.storage.delete_data(f"tick:{name}:{before!r}")
        self._accept(message)
        return True

    def last_ticks(self) -> dict[str, float]:
        """Read the last tick of each periodic task that this process has seen."""
        with self._lock:
            return dict(self._ticks)

    def result_waiter(self) -> ResultWaiter:
        """Give a waiter that polls."""
        return _Waiter(self.storage)


class _Waiter:
    def __init__(self, storage: BaseStorage) -> None:
        self._storage = storage
        self._poked = threading.Event()

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = FIRST_DELAY
        while True:
            found = {key for key in keys if self._storage.has_data_for_key(key)}
            left = MAX_DELAY if deadline is None else deadline - time.monotonic()
            if found or left <= 0 or self._poked.wait(min(delay, left)):
                self._poked.clear()
                return found
            delay = min(delay * GROWTH, MAX_DELAY)

    def poke(self) -> None:
        self._poked.set()

    def close(self) -> None:
        """Nothing is held."""

"""MemoryStorage: queue, schedule and data in dictionaries of this process, lost when it exits."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime
from heapq import heappop
from math import inf
from typing import Any

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.delivery import Outgoing
from huey.storage.memory.clockwork import MemoryClockwork
from huey.storage.memory.guards import MemoryGuards
from huey.storage.memory.settling import MemorySettling
from huey.storage.memory.waiting import MemoryWaiting
from huey.timing import to_epoch


class MemoryStorage(MemorySettling, MemoryClockwork, MemoryGuards, MemoryWaiting):
    """Holds everything in this process; for tests, immediate mode and threads of one process.

    Args:
        name: the queue; two objects never share data, whatever their names.
        utc: whether naive datetimes of the classic schedule methods are UTC, or local time.
        storage_kwargs: ignored.
    """

    def __init__(self, name: str = "huey", *args: Any, utc: bool = True, **kwargs: Any) -> None:
        super().__init__(name, utc=utc, **kwargs)

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message."""
        with self._lock:
            self._push(data, priority)

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept any number of messages, atomically."""
        with self._lock:
            return [self._accept(message) for message in messages]

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it."""
        with self._lock:
            return heappop(self._queue)[2] if self._queue else None

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        return len(self._queue)

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued; 0 is no limit."""
        with self._lock:
            ready = sorted(self._queue)
        return [data for _, _, data in ready[: limit or None]]

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        with self._lock:
            self._queue.clear()

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        with self._lock:
            self._file(data, to_epoch(ts, self._utc))

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        with self._lock:
            size = bisect_right(self._schedule, (to_epoch(ts, self._utc), inf))
            due, self._schedule[:size] = self._schedule[:size], []
            for _, number, _ in due:
                del self._filed[number]
        return [data for _, _, data in due]

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        return len(self._schedule)

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first; 0 is no limit."""
        with self._lock:
            return [data for _, _, data in self._schedule[: limit or None]]

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        with self._lock:
            self._schedule.clear()
            self._filed.clear()

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one."""
        with self._lock:
            self._put(key, value)

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        with self._lock:
            value = self._live(key)
        return EmptyData if value is None else value

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        with self._lock:
            value = self._live(key)
            if value is None:
                return EmptyData
            self._drop(key)
            return value

    def delete_data(self, key: Key) -> bool:
        """Remove a value; True if there was one."""
        return self.pop_data(key) is not EmptyData

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        with self._lock:
            return self._live(key) is not None

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value, for ``ttl`` seconds, unless there is one; tell whether it was stored."""
        return self.lock(key, value, ttl)

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        with self._lock:
            self._drop_expired()
            return len(self._results)

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        with self._lock:
            self._drop_expired()
            return {
                key.decode() if isinstance(key, bytes) else key: value
                for key, value in self._results.items()
            }

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        with self._lock:
            for key in list(self._results):
                self._drop(key)

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value; a missing one counts as 0."""
        with self._lock:
            value = self._counters[key] = self._counters.get(key, 0) + amount
            return value

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        with self._lock:
            self._counters.pop(key, None)

    def flush_counters(self) -> None:
        """Remove all counters."""
        with self._lock:
            self._counters.clear()

    def flush_all(self) -> None:
        """Remove everything but the consumers, who lose what they hold."""
        with self._lock:
            super().flush_all()
            for receipt in list(self._claims):
                self._let_go(receipt)
            self._marks.clear()
            self._ticks.clear()
            self._dead.clear()
            self._places.clear()
            self._windows.clear()

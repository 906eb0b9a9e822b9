"""What the memory storage holds, and the few moves that all of its parts share."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappush
from itertools import count
from typing import Any

from huey import keys
from huey.storage.base import Key
from huey.storage.delivery import DeadLetter, LosslessStorage, Outgoing, Reservation

#: A ready message: negated priority, arrival, bytes. Arrivals are unique, so bytes never compare.
Ready = tuple[float, int, bytes]
#: A scheduled message: due time in epoch seconds, arrival, bytes.
Filed = tuple[float, int, bytes]


@dataclass(slots=True)
class Mark:
    """What is known about a message beside its bytes; absent for one that was never tried."""

    attempt: int = 1
    crashes_alone: int = 0
    crashes_in_company: int = 0
    cause: str | None = None
    touched: float = field(default_factory=time.time)


@dataclass(slots=True)
class Member:
    """A consumer that has signed on, and the receipts that it holds, in the order of claiming."""

    info: Mapping[str, str | int | float | bool | None]
    beat: int = 0
    claims: dict[str, None] = field(default_factory=dict)


class MemoryState(LosslessStorage):
    """One lock around plain dictionaries and lists; every public method holds it."""

    def __init__(self, name: str = "huey", *, utc: bool = True, **storage_kwargs: Any) -> None:
        super().__init__(name, **storage_kwargs)
        self._utc = utc
        self._lock = threading.RLock()
        #: Notified when a message becomes ready, or a consumer is told to stop waiting.
        self._arrived = threading.Condition(self._lock)
        #: Notified when a value is stored.
        self._stored = threading.Condition(self._lock)
        self._numbers = count(1)
        self._queue: list[Ready] = []
        #: Sorted: the clock reads from the front without removing.
        self._schedule: list[Filed] = []
        self._filed: dict[int, float] = {}
        self._results: dict[Key, bytes] = {}
        #: Monotonic instants at which entries of ``_results`` vanish.
        self._expiry: dict[Key, float] = {}
        self._counters: dict[Key, int] = {}
        self._members: dict[str, Member] = {}
        self._claims: dict[str, tuple[str, Ready]] = {}
        self._woken: set[str] = set()
        self._marks: dict[bytes, Mark] = {}
        self._ticks: dict[str, float] = {}
        self._dead: dict[str, DeadLetter] = {}
        #: For a lock: the consumer with which it dies, and the value that it had then.
        self._lock_holders: dict[Key, tuple[str, bytes]] = {}
        #: For a semaphore: member → monotonic end, consumer with which the place dies.
        self._places: dict[str, dict[str, tuple[float, str | None]]] = {}
        self._windows: dict[str, int] = {}

    def now(self) -> float:
        """Read the clock of this machine, in epoch seconds."""
        return time.time()

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def _live(self, key: Key) -> bytes | None:
        value = self._results.get(key)
        if self._expiry and value is not None and self._is_over(key):
            self._drop(key)
            return None
        return value

    def _is_over(self, key: Key) -> bool:
        end = self._expiry.get(key)
        return end is not None and end <= time.monotonic()

    def _put(self, key: Key, value: bytes, ttl: float | None = None) -> None:
        self._results[key] = value
        if ttl is not None:
            self._expiry[key] = time.monotonic() + ttl
        elif self._expiry:
            self._expiry.pop(key, None)
        self._stored.notify_all()

    def _drop(self, key: Key) -> bool:
        self._expiry.pop(key, None)
        self._lock_holders.pop(key, None)
        return self._results.pop(key, None) is not None

    def _drop_if(self, key: Key, value: bytes) -> bool:
        return self._live(key) == value and self._drop(key)

    def _drop_expired(self) -> int:
        over = [key for key in self._expiry if self._is_over(key)]
        return sum(self._drop(key) for key in over)

    # ── messages ───────────────────────────────────────────────────────────────────────────────

    def _push(self, data: bytes, priority: float | None) -> None:
        heappush(self._queue, (-(priority or 0), next(self._numbers), data))
        self._arrived.notify()

    def _file(self, data: bytes, due: float) -> None:
        number = next(self._numbers)
        self._filed[number] = due
        insort(self._schedule, (due, number, data))

    def _unfile(self, number: int) -> bool:
        due = self._filed.pop(number, None)
        if due is None:
            return False
        del self._schedule[bisect_left(self._schedule, (due, number))]
        return True

    def _accept(self, message: Outgoing) -> str | None:
        standing = None
        if message.reservation is not None:
            standing = self._reserve(message.reservation)
            if standing is not None and message.reservation.revoke_with is None:
                return standing
        if message.attempt != 1:
            self._marks[message.data] = Mark(message.attempt)
        if message.due is None:
            self._push(message.data, message.priority)
        else:
            self._file(message.data, message.due)
        return standing

    def _reserve(self, wish: Reservation) -> str | None:
        """Take the place; returns what stands, or stood, there in the name of somebody else."""
        value = wish.value.encode()
        standing = self._live(wish.key)
        if standing is None or standing == value:
            self._put(wish.key, value, wish.ttl)
            return None
        other = standing.decode()
        if wish.revoke_with is not None:
            self._put(keys.revoked_id(other), wish.revoke_with)
            self._put(wish.key, value, wish.ttl)
        return other

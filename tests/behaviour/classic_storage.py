"""A storage of a third party: a subclass of BaseStorage with the classic methods only."""

import threading
from datetime import datetime
from typing import Any

from huey.constants import EmptyData
from huey.storage.base import BaseStorage, Key, MaybeBytes


class DictStorage(BaseStorage):
    """Keeps everything in dictionaries, and cannot tell when something changes."""

    def __init__(self, name: str = "huey", **storage_kwargs: Any) -> None:
        super().__init__(name, **storage_kwargs)
        self._lock = threading.RLock()
        self.queue: list[bytes] = []
        self.schedule: list[tuple[datetime, bytes]] = []
        self.data: dict[Key, bytes] = {}
        self.counters: dict[Key, int] = {}

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        self.queue.append(data)

    def dequeue(self) -> bytes | None:
        with self._lock:
            return self.queue.pop(0) if self.queue else None

    def queue_size(self) -> int:
        return len(self.queue)

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        self.schedule.append((ts, data))

    def read_schedule(self, ts: datetime) -> list[bytes]:
        with self._lock:
            due = [data for when, data in self.schedule if when <= ts]
            self.schedule = [(when, data) for when, data in self.schedule if when > ts]
            return due

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        self.data[key] = value

    def peek_data(self, key: Key) -> MaybeBytes:
        return self.data.get(key, EmptyData)

    def pop_data(self, key: Key) -> MaybeBytes:
        return self.data.pop(key, EmptyData)

    def has_data_for_key(self, key: Key) -> bool:
        return key in self.data

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        return self.data.setdefault(key, value) is value

    def result_store_size(self) -> int:
        return len(self.data)

    def incr(self, key: Key, amount: int = 1) -> int:
        with self._lock:
            self.counters[key] = self.counters.get(key, 0) + amount
            return self.counters[key]

    def delete_counter(self, key: Key) -> None:
        self.counters.pop(key, None)

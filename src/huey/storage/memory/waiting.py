"""Waiting until a value is stored in memory."""

from __future__ import annotations

import time
from collections.abc import Collection

from huey.storage.base import Key
from huey.storage.delivery import ResultWaiter
from huey.storage.memory.state import MemoryState


class MemoryWaiting(MemoryState):
    """Those who wait are notified, never polled for."""

    def result_waiter(self) -> ResultWaiter:
        """Give a waiter for one thread."""
        return _Waiter(self)

    def wait_result(
        self,
        key: Key,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until a value is stored under ``key``; False if ``timeout`` seconds pass first."""
        with self._lock:
            return self._stored.wait_for(lambda: self._live(key) is not None, timeout)


class _Waiter:
    """Waits on the condition that every stored value notifies."""

    def __init__(self, storage: MemoryWaiting) -> None:
        self._storage = storage
        self._poked = False

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        stored, live = self._storage._stored, self._storage._live
        with stored:
            while True:
                found = {key for key in keys if live(key) is not None}
                left = None if deadline is None else deadline - time.monotonic()
                if found or self._poked or (left is not None and left <= 0):
                    self._poked = False
                    return found
                stored.wait(left)

    def poke(self) -> None:
        with self._storage._stored:
            self._poked = True
            self._storage._stored.notify_all()

    def close(self) -> None:
        """Nothing is held."""

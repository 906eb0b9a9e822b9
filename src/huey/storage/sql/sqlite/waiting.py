"""Waiting for results in SQLite: one bell for all threads of a process that wait."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from huey.storage.base import Key
from huey.storage.bells import Bell
from huey.storage.delivery import ResultWaiter
from huey.storage.sql.sqlite.values import SqliteValues

#: Waits between two looks, in seconds: a settlement by an old Huey does not ring.
_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.02, 1.0, 1.3


class Listeners:
    """Lets several threads wait for one bell: one of them listens, and tells the others."""

    def __init__(self, hang: Callable[[], Bell]) -> None:
        self._hang = hang
        self._bell: Bell | None = None
        self._changed = threading.Condition()
        self._rings = 0
        self._waiting = 0
        self._is_attended = False

    def attend(self) -> int:
        """Begin to wait; returns how often the bell has rung so far. Then look for news."""
        with self._changed:
            self._waiting += 1
            if self._bell is None:
                self._bell = self._hang()
            return self._rings

    def leave(self) -> None:
        """End waiting; the last one takes the bell down, so that nobody rings in vain."""
        with self._changed:
            self._waiting -= 1
            if not self._waiting and self._bell is not None:
                self._bell.close(remove=True)
                self._bell = None

    def wait(self, seen: int, timeout: float) -> int:
        """Wait until the bell rings once more than ``seen``, or ``timeout`` seconds pass."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._rings == seen and self._is_attended:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return self._rings
            if self._rings != seen:
                return self._rings
            self._is_attended, bell = True, self._bell
        assert bell is not None
        try:
            bell.wait(max(0.0, deadline - time.monotonic()))
        finally:
            with self._changed:
                bell.answer()
                self._is_attended = False
                self._rings += 1
                # Also after a timeout: somebody else has to listen now.
                self._changed.notify_all()
        return self._rings

    def ring(self) -> None:
        """Make all who wait look again."""
        with self._changed:
            if self._bell is not None:
                self._bell.ring()


class SqliteWaiting(SqliteValues):
    """Wait for results."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._listeners = Listeners(self._hang_bell)

    def _hang_bell(self) -> Bell:
        return self._bells.hang(f"{self.name}:results", secrets.token_hex(8))

    def _disown(self) -> None:
        super()._disown()
        self._listeners = Listeners(self._hang_bell)

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
        return bool(_Waiter(self).wait([key], timeout))


class _Waiter:
    def __init__(self, storage: SqliteWaiting) -> None:
        self._storage = storage
        self._poked = False

    def wait(self, keys: Collection[Any], timeout: float | None) -> set[Any]:
        deadline = None if timeout is None else time.monotonic() + timeout
        found = self._found(keys)
        if found or self._poked or (timeout is not None and timeout <= 0):
            self._poked = False
            return found
        listeners = self._storage._listeners
        seen = listeners.attend()
        try:
            return self._wait(keys, deadline, listeners, seen)
        finally:
            listeners.leave()

    def _wait(
        self, keys: Collection[Any], deadline: float | None, listeners: Listeners, seen: int
    ) -> set[Any]:
        look = _FIRST_LOOK
        while True:
            found = self._found(keys)
            left = _LAST_LOOK if deadline is None else deadline - time.monotonic()
            if found or self._poked or left <= 0:
                self._poked = False
                return found
            seen = listeners.wait(seen, min(left, look))
            look = min(look * _GROWTH, _LAST_LOOK)

    def _found(self, keys: Collection[Any]) -> set[Any]:
        return self._storage._stored(keys)

    def poke(self) -> None:
        self._poked = True
        self._storage._listeners.ring()

    def close(self) -> None:
        """Nothing is held between two waits."""

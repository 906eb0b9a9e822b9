"""Waiting until values are stored in files: one bell for all threads of a process that wait."""

from __future__ import annotations

import os
import secrets
import threading
import time
from collections.abc import Callable, Collection
from typing import Any

from huey.storage.base import Key
from huey.storage.bells import Bell
from huey.storage.delivery import ResultWaiter
from huey.storage.file import layout
from huey.storage.file.state import VALUES
from huey.storage.file.sweeping import FileSweeping

#: Seconds between two looks: Huey 3.5.4 stores results without ringing.
_FIRST_LOOK, _LAST_LOOK, _GROWTH = 0.02, 1.0, 1.3


class Vigil:
    """Lets several threads wait for one bell: one of them listens, and tells the others."""

    def __init__(self, hang: Callable[[], Bell]) -> None:
        self.pid = os.getpid()
        self._hang = hang
        self._bell: Bell | None = None
        self._changed = threading.Condition()
        self._rings = 0
        self._waiting = 0
        self._is_kept = False

    def join(self) -> int:
        """Begin to wait; returns how often the bell has rung so far. Look for news after that."""
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
        """Wait until the bell has rung more than ``seen`` times, or ``timeout`` seconds pass."""
        deadline = time.monotonic() + timeout
        with self._changed:
            while self._rings == seen and self._is_kept:
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    return self._rings
            if self._rings != seen or self._bell is None:
                return self._rings
            self._is_kept, bell = True, self._bell
        bell.wait(max(0.0, deadline - time.monotonic()))
        with self._changed:
            bell.answer()
            self._is_kept = False
            self._rings += 1
            # Also after a timeout: somebody else has to keep the vigil now.
            self._changed.notify_all()
            return self._rings

    def ring(self) -> None:
        """Make all who wait look again."""
        with self._changed:
            if self._bell is not None:
                self._bell.ring()


class FileWaiting(FileSweeping):
    """Wait for results."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._vigil = Vigil(self._hang_bell)

    def _hang_bell(self) -> Bell:
        return self._bells.hang(VALUES, secrets.token_hex(8))

    def _current_vigil(self) -> Vigil:
        if self._vigil.pid != os.getpid():
            self._vigil = Vigil(self._hang_bell)
        return self._vigil

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
        return bool(_Waiter(self).wait([layout.text_of(key)], timeout))

    def _stored(self, keys: Collection[str]) -> set[str]:
        with self._working() as work:
            return {key for key in keys if work.live(key) is not None}


class _Waiter:
    def __init__(self, storage: FileWaiting) -> None:
        self._storage = storage
        self._poked = False

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        deadline = None if timeout is None else time.monotonic() + timeout
        vigil = self._storage._current_vigil()
        seen, look = vigil.join(), _FIRST_LOOK
        try:
            while True:
                found = self._storage._stored(keys)
                left = _LAST_LOOK if deadline is None else deadline - time.monotonic()
                if found or self._poked or left <= 0:
                    self._poked = False
                    return found
                seen = vigil.wait(seen, min(left, look))
                look = min(look * _GROWTH, _LAST_LOOK)
        finally:
            vigil.leave()

    def poke(self) -> None:
        self._poked = True
        self._storage._current_vigil().ring()

    def close(self) -> None:
        """Nothing is held between two waits."""

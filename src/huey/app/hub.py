"""One thread per storage that waits for results, on behalf of all coroutines of the process.

The thread reads values, and never removes one before the coroutine that wants it has taken it: a
coroutine that was cancelled meanwhile leaves the result where it was.
"""

from __future__ import annotations

import atexit
import os
import threading
import time
import weakref
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, Protocol

from huey.app.hub_worker import HubWorker
from huey.storage.delivery import LosslessStorage, ResultWaiter

#: Seconds for which the thread stays when nobody waits any more.
LINGER = 5.0
#: Seconds for which the exit of the process waits until values that were given back are stored.
EXIT_PATIENCE = 2.0

Notice = Callable[[], None]
_hubs: weakref.WeakSet[ResultHub] = weakref.WeakSet()


class Loop(Protocol):
    """The one thing that the hub needs of an event loop."""

    def call_soon_threadsafe(self, callback: Callable[..., Any], *args: Any) -> Any:
        """Call a function on the loop, from any thread."""


class Want(Protocol):
    """A result that somebody waits for."""

    key: str
    #: Whether to be told if the first look was in vain.
    is_impatient: bool
    #: Growth of the wait between looks, and its upper bound in seconds; for storages that poll.
    backoff: float
    max_delay: float

    @property
    def loop(self) -> Loop:
        """Where ``found`` and ``nothing_yet`` are called."""

    def read(self, raw: bytes) -> None:
        """Take the bytes and make the value of them; called on the hub's thread."""

    def found(self) -> None:
        """Learn that the value is there."""

    def nothing_yet(self) -> None:
        """Learn that the value was not there at the first look."""


@dataclass(frozen=True, slots=True)
class Removal:
    """A value to be removed, since somebody has taken it."""

    key: str
    raw: bytes
    loop: Loop
    done: Notice


class ResultHub:
    """Who waits for which result of one storage; for any thread.

    Args:
        storage: lossless, or an adapter of a classic one.
    """

    def __init__(self, storage: LosslessStorage) -> None:
        # The thread uses the storage, and not the other way round: it ends when nobody waits.
        self._storage = weakref.ref(storage)
        self._begin_anew()
        _hubs.add(self)

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._wants: dict[str, list[Want]] = {}
        self._newcomers: list[Want] = []
        self._removals: list[Removal] = []
        self._returns: list[tuple[str, bytes]] = []
        #: Of these, how many are not stored yet.
        self._unstored = 0
        self._thread: threading.Thread | None = None
        self._is_rung = False
        #: What the thread blocks on at this moment.
        self._waiter: ResultWaiter | None = None

    # ── for who waits ──────────────────────────────────────────────────────────────────────────

    def look_for(self, want: Want) -> None:
        """Tell a want as soon as its value is there."""
        with self._lock:
            self._wants.setdefault(want.key, []).append(want)
            self._newcomers.append(want)
            self._ring()

    def dismiss(self, want: Want) -> None:
        """Forget a want; nothing happens if it was told already."""
        with self._lock:
            wants = self._wants.get(want.key, [])
            if want in wants:
                wants.remove(want)
            if not wants:
                self._wants.pop(want.key, None)
            if not self._wants and self._waiter is not None:
                self._waiter.poke()

    def remove(self, key: str, raw: bytes, loop: Loop, done: Notice) -> None:
        """Remove a value from the storage if it is still this one, and then call ``done``."""
        with self._lock:
            self._removals.append(Removal(key, raw, loop, done))
            self._ring()

    def give_back(self, key: str, raw: bytes) -> None:
        """Store a value again whose removal was asked for."""
        with self._lock:
            self._returns.append((key, raw))
            self._unstored += 1
            self._ring()

    def finish(self, seconds: float) -> bool:
        """Wait until all that was given back is stored; False if the time was not enough."""
        with self._lock:
            return self._changed.wait_for(lambda: not self._unstored, seconds)

    def _ring(self) -> None:
        if self._thread is None:
            storage = self._storage()
            assert storage is not None, "who waits holds the storage"
            worker = HubWorker(self, storage)
            self._thread = threading.Thread(target=worker.work, name="huey-awaiting", daemon=True)
            self._thread.start()
        if not self._is_rung:
            self._is_rung = True
            self._changed.notify_all()
            if self._waiter is not None:
                self._waiter.poke()

    # ── for the thread ─────────────────────────────────────────────────────────────────────────

    def news(self) -> tuple[list[Want], list[Removal], list[tuple[str, bytes]]]:
        """Give what came in since the last time."""
        with self._lock:
            news = self._newcomers, self._removals, self._returns
            self._newcomers, self._removals, self._returns = [], [], []
            self._is_rung = False
            return news

    def keys(self) -> list[str]:
        """List what is waited for."""
        with self._lock:
            return list(self._wants)

    def pace(self, key: str) -> tuple[float, float]:
        """Give the growth and the upper bound of the waits between two looks."""
        with self._lock:
            wants = self._wants.get(key)
            return (wants[0].backoff, wants[0].max_delay) if wants else (1.0, LINGER)

    def take(self, key: str) -> list[Want]:
        """Give those who want a result that was found, and forget them."""
        with self._lock:
            return self._wants.pop(key, [])

    def wait(self, waiter: ResultWaiter, keys: Collection[str]) -> set[str]:
        """Wait until some of the results are there, or something comes in."""
        with self._lock:
            if self._is_rung:
                return set()
            self._waiter = waiter
        try:
            return waiter.wait(keys, LINGER)
        finally:
            with self._lock:
                self._waiter = None

    def was_stored(self) -> None:
        """Take notice that a value that was given back is stored."""
        with self._lock:
            self._unstored -= 1
            self._changed.notify_all()

    def rest(self, seconds: float | None = None) -> None:
        """Wait until something comes in; but not longer than so many seconds, or the usual ones."""
        with self._lock:
            self._changed.wait_for(lambda: self._is_rung, LINGER if seconds is None else seconds)

    def may_end(self) -> bool:
        """Let the thread go, if there is nothing to do."""
        with self._lock:
            if self._is_rung or self._wants:
                return False
            self._thread = None
            return True


def hub_of(storage: LosslessStorage) -> ResultHub:
    """Give the hub of a storage; there is one."""
    hub: ResultHub | None = vars(storage).get("_huey_hub")
    if hub is None:
        # Kept on the storage, so that both live equally long; two threads agree on one.
        hub = vars(storage).setdefault("_huey_hub", ResultHub(storage))
    return hub


@atexit.register
def _finish_at_exit() -> None:
    deadline = time.monotonic() + EXIT_PATIENCE
    for hub in list(_hubs):
        hub.finish(deadline - time.monotonic())


def _forget_after_fork() -> None:
    for hub in list(_hubs):
        hub._begin_anew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

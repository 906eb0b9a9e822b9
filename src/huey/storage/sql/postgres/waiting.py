"""Waiting until values are stored in PostgreSQL: all who wait share one connection."""

from __future__ import annotations

import contextlib
import os
import threading
import time
import weakref
from collections.abc import Collection
from typing import Any
from uuid import uuid4

from huey.exceptions import StorageError
from huey.storage.base import Key
from huey.storage.delivery import ResultWaiter
from huey.storage.sql.postgres.claims import WAIT, WAIT_NO_MORE
from huey.storage.sql.postgres.core import text_of
from huey.storage.sql.postgres.letters import PostgresLetters
from huey.storage.sql.postgres.listening import Listener, Waker
from huey.storage.sql.postgres.values import LIVE

STORED = f"SELECT key {LIVE} AND k.key = ANY (%(key)b::text[])"

#: Seconds until the table is looked at although nothing was announced: Huey 3.5.4 stores results
#: without a word. Each wait is longer than the one before, up to the last number.
FIRST_LOOK, GROWTH, LAST_LOOK = 0.05, 1.3, 1.0
#: The first wait where nothing can be announced.
FIRST_POLL = 0.01
#: How often the desk says that it is alive; well below the five seconds for which it is believed.
SIGN_OF_LIFE = 2.0
#: How long the thread stays when nobody waits any more, in seconds.
LINGER = 5.0

_desks: weakref.WeakSet[Desk] = weakref.WeakSet()


class PostgresWaiting(PostgresLetters):
    """Those who wait for results."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._desk = Desk(self)

    def result_waiter(self) -> ResultWaiter:
        """Give a waiter for one thread; all waiters of this storage share one connection."""
        return Waiter(self, self._desk)

    def wait_result(
        self,
        key: Key,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until a value is stored under ``key``; False if ``timeout`` seconds pass first."""
        return bool(self.result_waiter().wait([text_of(key)], timeout))

    def _stored(self, keys: Collection[str]) -> set[str]:
        """Tell which of some keys have a value."""
        return {key for (key,) in self._all(STORED, key=list(keys))} if keys else set()

    def _can_listen(self) -> bool:
        return self.blocking and not self._pooled


class Waiter:
    """Waits for one thread."""

    def __init__(self, storage: PostgresWaiting, desk: Desk) -> None:
        self._storage = storage
        self._desk = desk
        self._changed = threading.Condition()
        self._arrived: set[str] = set()
        self._poked = False
        self.wanted: frozenset[str] = frozenset()

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        """Block until at least one of the keys has a value, and return those that have."""
        deadline = None if timeout is None else time.monotonic() + timeout
        found = self._storage._stored(keys)
        if found or (timeout is not None and timeout <= 0):
            return found
        self.wanted, self._arrived = frozenset(keys), set()
        self._desk.serve(self)
        try:
            with self._changed:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                self._changed.wait_for(lambda: bool(self._arrived) or self._poked, left)
                self._poked = False
                return self._arrived
        finally:
            self._desk.dismiss(self)

    def tell(self, stored: Collection[str]) -> None:
        """Take notice of values that were stored."""
        mine = self.wanted.intersection(stored)
        if mine:
            with self._changed:
                self._arrived = self._arrived | mine
                self._changed.notify_all()

    def poke(self) -> None:
        """Make ``wait`` return now, or the next time."""
        with self._changed:
            self._poked = True
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is held between two waits."""


class Desk:
    """The thread that listens for all waiters of a storage, while there are any."""

    def __init__(self, storage: PostgresWaiting) -> None:
        # The thread uses the storage, and not the other way round: it ends when nobody waits.
        self._storage = weakref.ref(storage)
        self._reset()
        _desks.add(self)

    def _reset(self) -> None:
        self._lock = threading.Lock()
        self._waiters: set[Waiter] = set()
        self._newcomers: set[Waiter] = set()
        self._thread: threading.Thread | None = None
        self._waker = Waker()
        self._linger = LINGER

    def serve(self, waiter: Waiter) -> None:
        """Tell a waiter of its values from now on, and of those that are there by then."""
        with self._lock:
            self._waiters.add(waiter)
            self._newcomers.add(waiter)
            if self._thread is None:
                storage = self._storage()
                assert storage is not None, "a waiter holds its storage"
                self._linger = LINGER
                self._thread = threading.Thread(
                    target=_Clerk(self, storage).work, name="huey-results", daemon=True
                )
                self._thread.start()
        self._waker.wake()

    def dismiss(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        with self._lock:
            self._waiters.discard(waiter)
            self._newcomers.discard(waiter)

    def close(self) -> bool:
        """End the thread as soon as nobody waits; tell whether there was one."""
        with self._lock:
            thread = self._thread
            self._linger = 0.0
            is_needed = bool(self._waiters)
        self._waker.wake()
        if thread is not None and not is_needed:
            thread.join(LINGER)
        return thread is not None

    # ── for the thread ─────────────────────────────────────────────────────────────────────────

    def waiters(self) -> tuple[list[Waiter], list[Waiter]]:
        """Give all who wait, and those among them who were not there the last time."""
        with self._lock:
            newcomers, self._newcomers = self._newcomers, set()
            return list(self._waiters), list(newcomers)

    def rest(self, seconds: float) -> None:
        """Wait, but not when somebody comes."""
        self._waker.wait(seconds)

    def may_end(self, idle: float) -> bool:
        """Let the thread go if nobody came for long enough."""
        with self._lock:
            if self._waiters or idle < self._linger:
                return False
            self._thread = None
            return True

    def left(self, idle: float) -> float:
        """How long the thread stays yet."""
        return max(0.0, self._linger - idle)


class _Clerk:
    """What the thread of a desk does."""

    def __init__(self, desk: Desk, storage: PostgresWaiting) -> None:
        self._desk = desk
        self._storage = storage
        self._id = str(uuid4())
        self._listener = Listener(storage._open, storage._names.results_channel)
        self._next_look = 0.0
        self._next_sign = 0.0
        self._pause = FIRST_LOOK
        self._busy_until = time.monotonic()

    def work(self) -> None:
        """Serve until nobody has waited for a while."""
        try:
            while not self._desk.may_end(time.monotonic() - self._busy_until):
                self._serve_once()
        finally:
            self._sign_off()

    def _serve_once(self) -> None:
        waiters, newcomers = self._desk.waiters()
        if not waiters:
            self._desk.rest(self._desk.left(time.monotonic() - self._busy_until))
            return
        self._busy_until = time.monotonic()
        try:
            self._look(waiters, newcomers)
            self._listen(waiters)
        except StorageError:
            # Who waits has no use for the error: the value may come when the server is back.
            self._desk.rest(LAST_LOOK / 2)

    def _look(self, waiters: list[Waiter], newcomers: list[Waiter]) -> None:
        """Look at the table: for newcomers at once, for the others now and then."""
        can_listen = self._storage._can_listen()
        if can_listen and self._sign_on():
            newcomers = waiters
        if newcomers:
            self._pause = FIRST_LOOK if can_listen else FIRST_POLL
        elif time.monotonic() >= self._next_look:
            newcomers = waiters
            self._pause = min(self._pause * GROWTH, LAST_LOOK)
        if newcomers:
            self._next_look = time.monotonic() + self._pause
            wanted = frozenset[str]().union(*(waiter.wanted for waiter in newcomers))
            self._tell(newcomers, self._storage._stored(wanted))

    def _sign_on(self) -> bool:
        """Listen, and say so; True if something may have been missed before."""
        is_new = self._listener.start()
        if is_new or time.monotonic() >= self._next_sign:
            self._storage._count(WAIT, id=self._id, kind="results")
            self._next_sign = time.monotonic() + SIGN_OF_LIFE
        return is_new

    def _listen(self, waiters: list[Waiter]) -> None:
        pause = max(0.0, self._next_look - time.monotonic())
        if self._listener.connection is None:
            self._desk.rest(pause)
            return
        notes = self._listener.wait(pause, self._desk._waker)
        self._desk._waker.was_woken()
        if "" in notes:
            self._next_look = 0.0
        self._tell(waiters, {key for note in notes for key in note.split("\x1f")})

    def _tell(self, waiters: list[Waiter], stored: set[str]) -> None:
        for waiter in waiters if stored else ():
            waiter.tell(stored)

    def _sign_off(self) -> None:
        if self._listener.close():
            # A row that stays is not believed for long.
            with contextlib.suppress(StorageError):
                self._storage._count(WAIT_NO_MORE, id=self._id)


def _forget_after_fork() -> None:
    for desk in list(_desks):
        desk._reset()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_after_fork)

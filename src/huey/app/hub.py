"""One thread per storage that waits for results, on behalf of all coroutines of the process.

The thread reads values, and never removes one before the coroutine that wants it has taken it: a
coroutine that was cancelled meanwhile leaves the result where it was.
"""

from __future__ import annotations

import atexit
import contextlib
import itertools
import os
import random
import threading
import time
import weakref
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from huey.app.polling import Poller
from huey.app.state import logger
from huey.storage.delivery import LosslessStorage, ResultWaiter, Settlement

#: Seconds for which the thread stays when nobody waits any more.
LINGER = 5.0
#: Seconds between two tries while the storage cannot be reached: at first, and at most.
FIRST_RETRY, LAST_RETRY = 0.1, 2.0
#: Seconds for which the exit of the process waits until values that were given back are stored.
EXIT_PATIENCE = 2.0
#: Values that are read and handed over at once; more would hold the event loop up.
PORTION = 200
#: Seconds between two looks, per result that is waited for: many are looked at less often.
PAUSE_PER_RESULT, LONGEST_PAUSE = 2e-5, 0.01

_Notice = Callable[[], None]
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
class _Removal:
    """A value to be removed, since somebody has taken it."""

    key: str
    raw: bytes
    loop: Loop
    done: _Notice


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
        self._removals: list[_Removal] = []
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

    def remove(self, key: str, raw: bytes, loop: Loop, done: _Notice) -> None:
        """Remove a value from the storage if it is still this one, and then call ``done``."""
        with self._lock:
            self._removals.append(_Removal(key, raw, loop, done))
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
            worker = _Worker(self, storage)
            self._thread = threading.Thread(target=worker.work, name="huey-awaiting", daemon=True)
            self._thread.start()
        if not self._is_rung:
            self._is_rung = True
            self._changed.notify_all()
            if self._waiter is not None:
                self._waiter.poke()

    # ── for the thread ─────────────────────────────────────────────────────────────────────────

    def news(self) -> tuple[list[Want], list[_Removal], list[tuple[str, bytes]]]:
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

    def rest(self, seconds: float) -> None:
        """Wait, but not when something comes in."""
        with self._lock:
            self._changed.wait_for(lambda: self._is_rung, seconds)

    def may_end(self) -> bool:
        """Let the thread go, if there is nothing to do."""
        with self._lock:
            if self._is_rung or self._wants:
                return False
            self._thread = None
            return True


class _Worker:
    """What the thread of a hub does."""

    def __init__(self, hub: ResultHub, storage: LosslessStorage) -> None:
        self._hub = hub
        self._storage = storage
        self._waiter: ResultWaiter | None = None
        self._newcomers: list[Want] = []
        self._removals: list[_Removal] = []
        self._returns: list[tuple[str, bytes]] = []
        self._next_wait = 0.0
        self._retry = 0.0

    def work(self) -> None:
        """Serve until there has been nothing to do for a while."""
        try:
            while self._serve_or_recover():
                pass
        finally:
            self._drop_waiter()

    def _serve_or_recover(self) -> bool:
        """Do one round; False if it was the last."""
        try:
            goes_on = self._serve()
        # Whatever it is, those who wait have no use for it: the next try may succeed.
        except Exception as error:
            self._recover(error)
            return True
        if self._retry:
            logger.info("Results can be waited for again.")
            self._retry = 0.0
        return goes_on

    def _recover(self, error: Exception) -> None:
        if not self._retry:
            logger.warning(
                "Waiting for results failed (%s: %s); trying again until it succeeds.",
                type(error).__name__,
                error,
            )
        self._drop_waiter()
        # Who has taken a value need not wait until its removal succeeds.
        self._tell((removal.loop, removal.done) for removal in self._removals)
        self._retry = min(self._retry * 2 or FIRST_RETRY, LAST_RETRY)
        time.sleep(self._retry * random.uniform(0.5, 1.0))

    def _serve(self) -> bool:
        # What came in stays in these lists until it is done, whatever fails meanwhile.
        newcomers, removals, returns = self._hub.news()
        self._newcomers += newcomers
        self._removals += removals
        self._returns += returns
        self._remove_what_was_taken()
        self._put_back()
        self._welcome()
        keys = self._hub.keys()
        if not keys:
            self._hub.rest(LINGER)
            return not self._hub.may_end()
        pause = self._next_wait - time.monotonic()
        if pause > 0:
            self._hub.rest(pause)
        elif found := self._hub.wait(self._the_waiter(), keys):
            self._look(found)
            pause = len(keys) * PAUSE_PER_RESULT
            self._next_wait = time.monotonic() + min(pause, LONGEST_PAUSE)
        return True

    # ── one round ──────────────────────────────────────────────────────────────────────────────

    def _remove_what_was_taken(self) -> None:
        while self._removals:
            some = self._removals[:PORTION]
            pairs = tuple((removal.key, removal.raw) for removal in some)
            self._storage.settle([Settlement(delete_if=pairs)])
            del self._removals[:PORTION]
            self._tell((removal.loop, removal.done) for removal in some)

    def _put_back(self) -> None:
        while self._returns:
            key, raw = self._returns[0]
            # A newer value may be there by now.
            if not self._storage.has_data_for_key(key):
                self._storage.put_data(key, raw, is_result=True)
            del self._returns[0]
            self._hub.was_stored()

    def _welcome(self) -> None:
        """Look once for all who are new, and tell the impatient ones if that was in vain."""
        told = self._look({want.key for want in self._newcomers})
        self._tell(
            (want.loop, want.nothing_yet)
            for want in self._newcomers
            if want.is_impatient and want not in told
        )
        self._newcomers.clear()

    def _look(self, keys: Iterable[str]) -> set[Want]:
        """Read the values that are there, and tell those who want them."""
        told: set[Want] = set()
        for some in _portions(keys):
            for key, raw in self._storage.peek_many(some).items():
                wants = self._hub.take(key.decode() if isinstance(key, bytes) else key)
                for want in wants:
                    want.read(raw)
                self._tell((want.loop, want.found) for want in wants)
                told.update(wants)
        return told

    def _tell(self, notices: Iterable[tuple[Loop, _Notice]]) -> None:
        by_loop: defaultdict[Loop, list[_Notice]] = defaultdict(list)
        for loop, notice in notices:
            by_loop[loop].append(notice)
        for loop, mine in by_loop.items():
            # A loop that is closed has nobody left who waits.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(_call_all, mine)

    def _the_waiter(self) -> ResultWaiter:
        if self._waiter is None:
            if self._storage.lossless:
                self._waiter = self._storage.result_waiter()
            else:
                self._waiter = Poller(self._storage, self._hub.pace)
        return self._waiter

    def _drop_waiter(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None:
            # It may be closed just because its connection is broken.
            with contextlib.suppress(Exception):
                waiter.close()


def hub_of(storage: LosslessStorage) -> ResultHub:
    """Give the hub of a storage; there is one."""
    hub: ResultHub | None = vars(storage).get("_huey_hub")
    if hub is None:
        # Kept on the storage, so that both live equally long; two threads agree on one.
        hub = vars(storage).setdefault("_huey_hub", ResultHub(storage))
    return hub


def _portions(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(itertools.islice(iterator, PORTION)):
        yield some


def _call_all(notices: list[_Notice]) -> None:
    for notice in notices:
        notice()


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

"""What the thread of a hub does: rounds of looking, telling, and tidying up what was taken."""

from __future__ import annotations

import contextlib
import itertools
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from huey.app.polling import Poller
from huey.app.state import logger
from huey.exceptions import StorageError
from huey.storage.delivery import Settlement

if TYPE_CHECKING:
    from huey.app.hub import Loop, Notice, Removal, ResultHub, Want
    from huey.storage.delivery import LosslessStorage, ResultWaiter

#: Seconds between two tries while the storage cannot be reached: at first, and at most.
FIRST_RETRY, LAST_RETRY = 0.1, 2.0
#: Values that are read and handed over at once; more would hold the event loop up.
PORTION = 200
#: Seconds between two looks, per result that is waited for: many are looked at less often.
PAUSE_PER_RESULT, LONGEST_PAUSE = 2e-5, 0.01


class HubWorker:
    """What the thread of a hub does."""

    def __init__(self, hub: ResultHub, storage: LosslessStorage) -> None:
        self._hub = hub
        self._storage = storage
        self._waiter: ResultWaiter | None = None
        self._newcomers: list[Want] = []
        self._removals: list[Removal] = []
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
            self._hub.rest()
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
            try:
                self._storage.settle([Settlement(delete_if=pairs)])
            except StorageError:
                raise
            # Another try would fail like this one, and hold up all who wait.
            except Exception:
                logger.exception("%d results were read, but cannot be removed.", len(some))
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

    def _tell(self, notices: Iterable[tuple[Loop, Notice]]) -> None:
        by_loop: defaultdict[Loop, list[Notice]] = defaultdict(list)
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


def _portions(keys: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(keys)
    while some := list(itertools.islice(iterator, PORTION)):
        yield some


def _call_all(notices: list[Notice]) -> None:
    for notice in notices:
        notice()

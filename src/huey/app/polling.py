"""Waiting for results of a storage that cannot tell when one has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection
from math import inf

from huey.storage.base import BaseStorage

#: Seconds until the second look at a result.
FIRST_DELAY = 0.05


class Poller:
    """Looks at each result again and again, at intervals that grow.

    Args:
        storage: has the methods of `BaseStorage`.
        pace: gives, for a result, the growth of its interval and the upper bound in seconds.
    """

    def __init__(self, storage: BaseStorage, pace: Callable[[str], tuple[float, float]]) -> None:
        self._storage = storage
        self._pace = pace
        #: For each result the monotonic instant of the next look, and the interval after it.
        self._looks: dict[str, tuple[float, float]] = {}
        self._poked = threading.Event()

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        """Block until at least one of the keys has a value, and return those that have."""
        self._looks = {key: self._looks.get(key, (0.0, FIRST_DELAY)) for key in keys}
        deadline = inf if timeout is None else time.monotonic() + timeout
        while True:
            found = self._look()
            next_look = min((look for look, _ in self._looks.values()), default=inf)
            left = min(deadline, next_look) - time.monotonic()
            if found or self._poked.wait(max(0.0, left) if left < inf else None):
                break
            if time.monotonic() >= deadline:
                break
        self._poked.clear()
        return found

    def _look(self) -> set[str]:
        now = time.monotonic()
        due = [key for key, (look, _) in self._looks.items() if look <= now]
        values = self._storage.peek_many(due) if due else {}
        for key in due:
            growth, longest = self._pace(key)
            delay = min(self._looks[key][1], longest)
            self._looks[key] = (now + delay, delay * growth)
        return {key.decode() if isinstance(key, bytes) else key for key in values}

    def poke(self) -> None:
        """Make ``wait`` return now, or the next time; may be called from any thread."""
        self._poked.set()

    def close(self) -> None:
        """Nothing is held."""

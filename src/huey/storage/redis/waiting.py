"""Waiting for results: who stores one tells those who wait, so that nobody has to ask for it.

A waiter leaves the name of a list of its own at each result, and blocks on that list. Huey 3 does
not know of it and tells nobody, so that a waiter also looks by itself, about once a second.
"""

from __future__ import annotations

import math
import time
import uuid
from collections import deque
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

from huey.exceptions import HueyException, StorageError
from huey.storage.redis import names
from huey.storage.redis.alarm import Alarm
from huey.storage.redis.claiming import seconds
from huey.storage.redis.core import RedisCore, as_bytes

if TYPE_CHECKING:
    from huey.storage.base import Key

#: Seconds between two looks, for results that were stored by Huey 3: first, and at most.
_FIRST_LOOK = 0.1
_LATER_LOOKS = 1.0
#: Seconds after which a place in the list of waiters is swept, if its waiter died without a word.
_FORGOTTEN_AFTER = 3600.0
#: Seconds for which a wait outlives the loss of the server.
_OUTAGE = 30.0
#: Results about which one script is asked.
_CHUNK = 1000
#: Waiters that are kept for `wait_result`, each with its connection.
_KEPT = 16


class Waiting(RedisCore):
    """Learning of results as they are stored."""

    _idle_waiters: deque[RedisWaiter]

    def result_waiter(self) -> RedisWaiter:
        """Give a waiter for one thread; close it after use."""
        return RedisWaiter(self)

    def wait_result(
        self,
        key: Key,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until a value is stored; ``max_delay`` bounds the wait for one that Huey 3 stores.

        ``backoff`` plays no part: whoever stores a value tells.
        """
        waiter = self._borrow()
        try:
            deadline = None if timeout is None else time.monotonic() + timeout
            found = waiter.wait_until([key], deadline, max_delay)
            waiter.forget()
        except BaseException:
            waiter.close()
            raise
        if len(self._idle_waiters) < _KEPT:
            self._idle_waiters.append(waiter)
        else:
            waiter.close()
        return bool(found)

    def _borrow(self) -> RedisWaiter:
        try:
            return self._idle_waiters.pop()
        except IndexError:
            return RedisWaiter(self)


class RedisWaiter:
    """Waits, for one thread, for any number of results over one connection."""

    def __init__(self, storage: Waiting) -> None:
        self._storage = storage
        self._list = names.waiter(storage.name, uuid.uuid4().hex)
        self._line = storage._wire.line()
        self._alarm = Alarm()
        #: Fields at which our list is, as far as we know.
        self._left_at: set[bytes] = set()

    def wait(self, keys: Collection[str], timeout: float | None) -> set[str]:
        """Block until at least one of the keys has a value, and return those that have."""
        deadline = None if timeout is None else time.monotonic() + timeout
        return {str(key) for key in self.wait_until(list(keys), deadline, _LATER_LOOKS)}

    def wait_until(
        self, keys: Sequence[Key], deadline: float | None, longest_look: float
    ) -> set[Key]:
        """Do what `wait` does, until an instant of the monotonic clock; None: for ever.

        Raises:
            StorageError: if the server cannot be reached at first, or for long.
        """
        wanted = {as_bytes(self._storage._field(key)): key for key in keys}
        may_wait = deadline is None or deadline > time.monotonic()
        # What our list is at already has no value, or we are told.
        there = self._look([field for field in wanted if field not in self._left_at], may_wait)
        look = _FIRST_LOOK
        fails_since: float | None = None
        while not there and may_wait:
            left = math.inf if deadline is None else deadline - time.monotonic()
            if left <= 0:
                break
            try:
                woken, there = self._listen_and_look(wanted, min(left, look))
                fails_since = None
            except StorageError:
                now = time.monotonic()
                fails_since = fails_since or now
                if now - fails_since > _OUTAGE:
                    raise
                woken = self._alarm.wait(min(left, look))
                look = _FIRST_LOOK
            if woken:
                break
            look = min(look * 2, longest_look, _LATER_LOOKS)
        return {wanted[field] for field in there}

    def _listen_and_look(
        self, wanted: dict[bytes, Key], patience: float
    ) -> tuple[bool, set[bytes]]:
        """Wait to be told, or look; returns whether we were poked, and which results are there."""
        woken, told = self._listen(wanted, patience)
        if woken or told:
            return woken, {field for field in told if field in wanted}
        return False, self._look(list(wanted), leave_list=True)

    def poke(self) -> None:
        """Make `wait` return now; may be called from any thread."""
        self._alarm.ring()

    def forget(self) -> None:
        """Take our list away from all results."""
        fields = list(self._left_at)
        self._left_at.clear()
        for start in range(0, len(fields), _CHUNK):
            portion = fields[start : start + _CHUNK]
            arguments, declared = self._place(portion)
            self._storage._run(
                "wait_no_more", [len(portion), *arguments], keys=declared, line=self._line
            )

    def close(self) -> None:
        """Release the connection; what our list was left at is swept if the server is away."""
        try:
            self.forget()
        except HueyException:  # nothing depends on it
            self._left_at.clear()
        self._line.close()
        self._alarm.close()

    def _look(self, fields: Sequence[bytes], leave_list: bool) -> set[bytes]:
        """Tell which have values, and leave our list at the others."""
        there: set[bytes] = set()
        ends = str(int(time.time() + _FORGOTTEN_AFTER)) if leave_list else ""
        for start in range(0, len(fields), _CHUNK):
            portion = fields[start : start + _CHUNK]
            arguments, declared = self._place(portion)
            reply = self._storage._run(
                "wait_for", [ends, len(portion), *arguments], keys=declared, line=self._line
            )
            there.update(portion[index] for index in reply)
        if leave_list:
            self._left_at.update(set(fields) - there)
            self._left_at -= there
        return there

    def _listen(self, wanted: dict[bytes, Key], patience: float) -> tuple[bool, set[bytes]]:
        """Wait to be told; returns whether we were poked, and which results are there."""
        lists: list[Any] = [self._list]
        if self._storage.notify_result:
            lists += [self._storage._notify_list(key) for key in wanted.values()]
        try:
            woken, reply = self._line.wait(
                ("BLPOP", *lists, seconds(patience)), patience, self._alarm
            )
        except BaseException:
            # What we were told may be lost, so all has to be looked at again.
            self._left_at.clear()
            raise
        if woken:
            self._left_at.clear()
            return True, set()
        return False, self._hear(reply, wanted) if reply else set()

    def _hear(self, reply: Sequence[bytes], wanted: dict[bytes, Key]) -> set[bytes]:
        name, field = reply
        if name != self._list.encode():
            return self._hear_of_huey3(name, wanted)
        told = {field}
        if len(wanted) > 1:
            more = self._storage._wire.ask("LPOP", self._list, _CHUNK)
            told.update(more or ())
        self._left_at -= told
        return told

    def _hear_of_huey3(self, name: bytes, wanted: dict[bytes, Key]) -> set[bytes]:
        """A result was announced as Huey 3 does; the list has done its duty."""
        self._storage._wire.ask("DEL", name)
        return {f for f, key in wanted.items() if self._storage._notify_list(key) == name}

    def _place(self, fields: Sequence[bytes]) -> tuple[list[Any], list[Any]]:
        arguments: list[Any] = []
        declared: list[Any] = [self._list]
        for field in fields:
            self._storage._place(field, arguments, declared)
        return arguments, declared

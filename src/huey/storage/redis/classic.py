"""The classic contract on Redis: queue and schedule, key/value data and counters.

The queue is read through the driver's client (``storage.conn``), as in Huey 3, for applications
that replace it; its errors are translated like all others.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Any, TypeVar

from huey.constants import EmptyData
from huey.storage.base import Key, MaybeBytes
from huey.storage.redis.core import RedisCore, as_text
from huey.storage.redis.presence import pairs, read_place
from huey.storage.redis.scripts import SCHEDULE_POP_LUA
from huey.timing import to_epoch

if TYPE_CHECKING:
    from huey.storage.redis.wire import Reply

T = TypeVar("T")


class Classic(RedisCore):
    """Queue, schedule, data and counters, one call each."""

    read_timeout: float

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours."""
        import redis.exceptions as theirs

        from huey.storage.redis.errors import Phase, translated

        try:
            yield
        except theirs.RedisError as exc:
            raise translated(exc, self._wire.server, Phase.WAITING, once=False) from exc

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def dequeue(self) -> bytes | None:
        """Remove the next message for good; waits ``read_timeout`` seconds if it is blocking."""
        import redis.exceptions as theirs

        with self._translated():
            try:
                return self._pop_message()
            except theirs.TimeoutError:
                # Huey 3 takes it for an empty queue.
                return None

    def _pop_message(self) -> bytes | None:
        if not self.blocking:
            popped: bytes | None = self.conn.rpop(self._names.queue)
            return popped
        found = self.conn.brpop(self._names.queue, timeout=self.read_timeout)
        return None if found is None else found[1]

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        with self._translated():
            return int(self.conn.llen(self._names.queue))

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages, the next first; a limit of 0 is none."""
        start = -limit if limit else 0
        with self._translated():
            return list(reversed(self.conn.lrange(self._names.queue, start, -1)))

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        self._delete(self._names.queue, self._names.bell)

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, in UTC.

        It is not marked as filed by us: only who decodes it knows whether ``ts`` was in UTC.
        """
        at = repr(to_epoch(ts))
        self._wire.ask("ZADD", self._names.schedule, at, self._check_size(data), once=True)

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        sets = (self._names.schedule, self._names.copies)
        due, copies = self._wire.ask_all(
            [("EVAL", SCHEDULE_POP_LUA, 1, key, repr(to_epoch(ts))) for key in sets]
        )
        return [*due, *(member[8:] for member in copies)]

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        sizes = self._wire.ask_all([("ZCARD", self._names.schedule), ("ZCARD", self._names.copies)])
        return int(sum(sizes))

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first; a limit of 0 is none."""
        last = limit - 1 if limit else -1
        found, copies = self._wire.ask_all(
            [
                ("ZRANGE", self._names.schedule, 0, last, "WITHSCORES"),
                ("ZRANGE", self._names.copies, 0, last, "WITHSCORES"),
            ]
        )
        rows = [(float(score), data) for data, score in zip(found[::2], found[1::2], strict=True)]
        rows += [
            (float(score), data[8:]) for data, score in zip(copies[::2], copies[1::2], strict=True)
        ]
        rows.sort(key=lambda row: row[0])
        return [data for _, data in rows][: limit or None]

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        self._delete(self._names.schedule, self._names.copies)

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one; a result wakes who waits for it."""
        arguments: list[Any] = []
        declared: list[Any] = []
        self._place(self._field(key), arguments, declared)
        arguments += (value, "1" if is_result else "")
        if is_result and self.notify_result:
            declared.append(self._notify_list(key))
        self._run("put", arguments, keys=declared)

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value unless there is one; tell whether it was stored."""
        arguments: list[Any] = []
        declared: list[Any] = []
        self._place(self._field(key), arguments, declared)
        arguments += (value, self._ttl(ttl))
        return bool(self._run("put_new", arguments, keys=declared))

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        value = self._ask_data("HGET", key)
        return EmptyData if value is None else value

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        found = {}
        for portion in portions(keys):
            for key, value in zip(portion, self._ask_data("HMGET", *portion), strict=True):
                if value is not None:
                    found[key] = value
        return found

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it."""
        value = self._ask_data("POP", key)
        return EmptyData if value is None else value

    def delete_data(self, key: Key) -> bool | int:
        """Remove a value; truthy if there was one."""
        return bool(self._ask_data("HDEL", key))

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        return bool(self._ask_data("HEXISTS", key))

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        return int(self._ask_data("HLEN"))

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        return {as_text(key): value for key, value in pairs(self._ask_data("HGETALL"))}

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        self._delete(self._names.results, self._names.expiry)

    def _ask_data(self, command: str, *arguments: Key) -> Reply:
        """Send a command about data whose time to live is not over, on any server."""
        if not self.supports_hash_ttl:
            return self._run("read", (command, *arguments))
        results = self._names.results
        if command == "POP":
            pop = [("MULTI",), ("HGET", results, *arguments), ("HDEL", results, *arguments)]
            return self._wire.ask_all([*pop, ("EXEC",)])[-1][0]
        return self._wire.ask(command, results, *arguments)

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter and return its new value."""
        return int(self._wire.ask("HINCRBY", self._names.counters, key, amount))

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        self._wire.ask("HDEL", self._names.counters, key)

    def flush_counters(self) -> None:
        """Remove all counters."""
        self._delete(self._names.counters)

    # ── all of it ──────────────────────────────────────────────────────────────────────────────

    def flush_all(self) -> None:
        """Remove everything that belongs to this queue, but the record of who is consuming it."""
        self.flush_queue()
        self.flush_schedule()
        self.flush_results()
        self.flush_counters()
        consumers, places = self._wire.ask_all(
            [("HKEYS", self._names.consumers), ("ZRANGE", self._names.places, 0, -1)]
        )
        own = self._names
        claims = [
            self._of_consumer(kind, as_text(consumer))
            for consumer in consumers
            for kind in ("claims", "inbox")
        ]
        semaphores = {read_place(entry)[0] for entry in places}
        bookkeeping = (own.marks, own.ticks, own.dead, own.letters, own.holds, own.places)
        self._delete(*bookkeeping, *claims, *semaphores)

    def _delete(self, *keys: Key) -> None:
        for start in range(0, len(keys), 1000):
            self._wire.ask("DEL", *keys[start : start + 1000])


def portions(keys: Iterable[T]) -> Iterator[list[T]]:
    """Split many keys into what one command or script takes."""
    rest = iter(keys)
    while portion := list(islice(rest, 500)):
        yield portion


def glob(prefix: bytes) -> bytes:
    """Match all keys with a prefix, whatever characters it has."""
    return re.sub(rb"([*?\[\]\\^])", rb"\\\1", prefix) + b"*"

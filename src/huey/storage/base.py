"""The classic contract: queue, schedule, key/value data and counters, in bytes.

Third parties subclass :class:`BaseStorage`. A subclass with only these methods works at most
once: what a worker has dequeued lives in its memory alone. ``storage/delivery.py`` holds the
abilities that make a storage lossless.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, ClassVar

from huey.constants import EmptyData

if TYPE_CHECKING:
    from datetime import datetime

Key = str | bytes
#: A stored value, or the class ``EmptyData`` where nothing is stored.
MaybeBytes = bytes | type[EmptyData]


class BaseStorage:
    """Where messages, results and other small data of one queue wait as bytes.

    Args:
        name: the queue; several queues may share one server or file.
        storage_kwargs: settings of the storage; unknown ones are ignored.
    """

    #: Whether ``dequeue`` itself waits for a message.
    blocking: bool = False
    #: Whether messages may have priorities.
    priority: bool = True
    #: Whether the lossless contract of ``storage/delivery.py`` is implemented.
    lossless: ClassVar[bool] = False

    def __init__(self, name: str = "huey", **storage_kwargs: Any) -> None:
        self.name = name

    def close(self) -> Any:
        """Release connections and files; they are reopened when needed."""

    # ── the queue ──────────────────────────────────────────────────────────────────────────────

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message; a higher priority goes first, None means 0, equal ones keep order."""
        raise NotImplementedError

    def dequeue(self) -> bytes | None:
        """Remove the next message for good and return it; None if there is none."""
        raise NotImplementedError

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        raise NotImplementedError

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages in the order in which they would be dequeued."""
        raise NotImplementedError

    def flush_queue(self) -> None:
        """Remove all ready messages."""
        raise NotImplementedError

    # ── the schedule ───────────────────────────────────────────────────────────────────────────

    def add_to_schedule(self, data: bytes, ts: datetime) -> None:
        """Keep a message until ``ts``, a naive datetime."""
        raise NotImplementedError

    def read_schedule(self, ts: datetime) -> list[bytes]:
        """Remove the messages that are due at ``ts`` and return them, soonest first."""
        raise NotImplementedError

    def schedule_size(self) -> int:
        """Count the scheduled messages."""
        raise NotImplementedError

    def scheduled_items(self, limit: int | None = None) -> list[bytes]:
        """List scheduled messages, soonest first."""
        raise NotImplementedError

    def flush_schedule(self) -> None:
        """Remove all scheduled messages."""
        raise NotImplementedError

    # ── key/value data ─────────────────────────────────────────────────────────────────────────

    def put_data(self, key: Key, value: bytes, is_result: bool = False) -> None:
        """Store a value, replacing an older one; results may expire and wake who waits."""
        raise NotImplementedError

    def peek_data(self, key: Key) -> MaybeBytes:
        """Read a value; ``EmptyData`` if there is none."""
        raise NotImplementedError

    def peek_many(self, keys: Collection[Key]) -> dict[Key, bytes]:
        """Read several values; keys without a value are absent from what is returned."""
        found = {key: self.peek_data(key) for key in keys}
        return {key: value for key, value in found.items() if isinstance(value, bytes)}

    def pop_data(self, key: Key) -> MaybeBytes:
        """Read a value and remove it; ``EmptyData`` if there is none."""
        raise NotImplementedError

    def delete_data(self, key: Key) -> bool | int:
        """Remove a value; truthy if there was one."""
        return self.pop_data(key) is not EmptyData

    def has_data_for_key(self, key: Key) -> bool:
        """Tell whether a value is stored."""
        raise NotImplementedError

    def put_if_empty(self, key: Key, value: bytes, ttl: float | None = None) -> bool:
        """Store a value unless there is one, atomically; tell whether it was stored.

        Args:
            key: where.
            value: what.
            ttl: seconds after which the value vanishes; None keeps it.

        Raises:
            NotImplementedError: if this storage has no expiring values.
        """
        if ttl is not None:
            raise NotImplementedError(
                f"{type(self).__name__} cannot expire values: leave out ttl, got {ttl!r}."
            )
        if self.has_data_for_key(key):
            return False
        self.put_data(key, value)
        return True

    def result_store_size(self) -> int:
        """Count the key/value entries."""
        raise NotImplementedError

    def result_items(self) -> dict[str, bytes]:
        """Copy the whole key/value area."""
        raise NotImplementedError

    def flush_results(self) -> None:
        """Remove all key/value entries."""
        raise NotImplementedError

    def wait_result(
        self,
        key: Key,
        timeout: float | None = None,
        backoff: float = 1.15,
        max_delay: float = 1.0,
    ) -> bool:
        """Wait until a value is stored under ``key``; False if ``timeout`` seconds pass first.

        This form polls; a storage that can be told replaces it. ``backoff`` is the growth of the
        wait between polls and ``max_delay`` its upper bound in seconds.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        delay = 0.05
        while not self.has_data_for_key(key):
            wait = min(delay, max_delay)
            if deadline is not None:
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                wait = min(wait, left)
            time.sleep(wait)
            delay *= backoff
        return True

    # ── counters ───────────────────────────────────────────────────────────────────────────────

    def incr(self, key: Key, amount: int = 1) -> int:
        """Add to a counter, atomically, and return its new value; a missing one counts as 0."""
        raise NotImplementedError

    def delete_counter(self, key: Key) -> None:
        """Remove a counter, if there is one."""
        raise NotImplementedError

    def flush_counters(self) -> None:
        """Remove all counters."""
        raise NotImplementedError

    def flush_all(self) -> None:
        """Remove everything that belongs to this queue."""
        self.flush_queue()
        self.flush_schedule()
        self.flush_results()
        self.flush_counters()

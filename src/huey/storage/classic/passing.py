"""What all parts of the adapter share, and the classic calls, which it passes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from itertools import count
from typing import TYPE_CHECKING, Any, ClassVar

from huey.storage.delivery import Claim, LosslessStorage

if TYPE_CHECKING:
    from huey.storage.base import BaseStorage

_CLASSIC_METHODS = [
    "add_to_schedule",
    "close",
    "delete_counter",
    "delete_data",
    "dequeue",
    "enqueue",
    "enqueued_items",
    "flush_counters",
    "flush_queue",
    "flush_results",
    "flush_schedule",
    "has_data_for_key",
    "incr",
    "peek_data",
    "peek_many",
    "pop_data",
    "put_data",
    "put_if_empty",
    "queue_size",
    "read_schedule",
    "result_items",
    "result_store_size",
    "schedule_size",
    "scheduled_items",
    "wait_result",
]

#: Waits between two looks at a storage that cannot tell, in seconds: the first, the longest, and
#: by how much each is longer than the one before.
FIRST_DELAY, MAX_DELAY, GROWTH = 0.01, 0.5, 1.3
_MAX_MARKS = 10_000


class ClassicPassing(LosslessStorage):
    """Holds the storage, the lock around this process's own notes, and a source of numbers."""

    #: An adapter cannot keep what its storage throws away.
    lossless: ClassVar[bool] = False

    def __init__(self, storage: BaseStorage, utc: bool = True) -> None:
        super().__init__(storage.name)
        self.storage = storage
        self.blocking = storage.blocking
        self.priority = storage.priority
        self._utc = utc
        self._lock = threading.RLock()
        #: Notified when something may have become ready, or a consumer is woken.
        self._changed = threading.Condition(self._lock)
        self._numbers = count(1)
        #: What this process knows of messages that it sent off again, as part of a claim.
        self._marks: dict[bytes, Claim] = {}

    def now(self) -> float:
        """Read the clock of this machine, in epoch seconds: the storage offers none."""
        return time.time()

    def _mark(self, mark: Claim) -> None:
        self._marks[mark.data] = mark
        if len(self._marks) > _MAX_MARKS:  # others have taken them meanwhile
            del self._marks[next(iter(self._marks))]


def _passed_on(name: str) -> Callable[..., Any]:
    def method(self: ClassicPassing, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.storage, name)(*args, **kwargs)

    method.__name__ = name
    return method


for _name in _CLASSIC_METHODS:
    setattr(ClassicPassing, _name, _passed_on(_name))

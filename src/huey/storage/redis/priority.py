"""Queues with priorities: a sorted set instead of a list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar

from huey.storage.redis.claiming import Claiming, seconds
from huey.storage.redis.classic import Classic
from huey.storage.redis.producing import Producing

if TYPE_CHECKING:
    from huey.storage.redis.wire import Command

#: Seconds between two looks of an idle consumer for what Huey 3 has enqueued: it rings no bell.
_LOOK = 1.0
#: Bytes that put equal priorities in order; the message follows.
_ORDER = 8
#: Bytes of the score before them, in what a claim keeps.
_SCORE = 8


class RedisPriorityQueue(Classic, Producing, Claiming):
    """Mix in before a Redis storage: a higher priority goes first, equal ones in order."""

    priority = True
    _queue_form: ClassVar[str] = "sorted"
    _kept_header = _SCORE + _ORDER
    _polls = True

    def _push(self, messages: Sequence[tuple[bytes, float | None]]) -> None:
        arguments: list[bytes | str] = []
        for data, priority in messages:
            arguments += (self._check_size(data), self._score(priority))
        self._write("push", arguments, once=True)

    def _refuse_priority(self, priority: float | None) -> None:
        """Accept any."""

    def _score(self, priority: float | None) -> str:
        return repr(-float(priority)) if priority else "0"

    def _doze(self, consumer: str, left: float) -> tuple[float, Command]:
        doze = min(left, _LOOK)
        return doze, ("BLPOP", self._names.bell, seconds(doze))

    def _pop_message(self) -> bytes | None:
        queue = self._names.queue
        if self.blocking:
            found = self.conn.bzpopmin(queue, timeout=self.read_timeout)
            return None if found is None else found[1][_ORDER:]
        popped = self.conn.zpopmin(queue)
        return popped[0][0][_ORDER:] if popped else None

    def queue_size(self) -> int:
        """Count the messages that are ready to run."""
        with self._translated():
            return int(self.conn.zcard(self._names.queue))

    def enqueued_items(self, limit: int | None = None) -> list[bytes]:
        """List ready messages, the next first; a limit of 0 is none."""
        last = limit - 1 if limit else -1
        with self._translated():
            members = self.conn.zrange(self._names.queue, 0, last)
        return [member[_ORDER:] for member in members]

"""Accepting messages: from producers, and in what follows from a task."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huey import keys
from huey.storage.delivery import Outgoing
from huey.storage.redis.core import RedisCore, as_text
from huey.storage.redis.instants import filed


class Producing(RedisCore):
    """Messages on their way in. No write of a producer is ever sent twice."""

    def enqueue(self, data: bytes, priority: float | None = None) -> None:
        """Append a message in one round trip.

        Raises:
            NotImplementedError: on a priority, if the queue is a list.
            UnknownOutcome: the reply was lost; the message may have been accepted.
        """
        self._refuse_priority(priority)
        self._push([(data, priority)])

    def enqueue_many(self, messages: Sequence[Outgoing]) -> list[str | None]:
        """Accept any number of messages, in one round trip and atomically."""
        for message in messages:
            self._refuse_priority(message.priority)
            self._check_size(message.data)
        if not messages:
            return []
        if all(_is_plain(message) for message in messages):
            self._push([(message.data, message.priority) for message in messages])
            return [None] * len(messages)
        arguments: list[Any] = []
        declared: list[Any] = []
        for message in messages:
            self._write_outgoing(message, arguments, declared)
        reply = self._write("enqueue", arguments, keys=declared, once=True)
        standing: list[str | None] = [None] * len(messages)
        for index, value in zip(reply[::2], reply[1::2], strict=True):
            standing[index] = as_text(value)
        return standing

    def _push(self, messages: Sequence[tuple[bytes, float | None]]) -> None:
        """Append messages without anything special."""
        data = [self._check_size(data) for data, _ in messages]
        replies = self._wire.ask_all(
            [("LPUSH", self._names.queue, *data), *self._sync()], once=True
        )
        self._check_sync(replies[1:])

    def _refuse_priority(self, priority: float | None) -> None:
        """Refuse a priority that this kind of queue would ignore."""
        if priority:
            raise NotImplementedError(
                f"{type(self).__name__} has no priorities, got {priority!r}: use "
                "PriorityRedisHuey or PriorityRedisExpireHuey, or leave it out."
            )

    def _write_outgoing(self, message: Outgoing, arguments: list[Any], declared: list[Any]) -> None:
        """Write a message as ``accepting.lua`` takes it."""
        due = "" if message.due is None else filed(message.due)
        arguments += (message.data, self._score(message.priority), due, str(message.attempt))
        reservation = message.reservation
        if reservation is None:
            arguments.append("")
            return
        arguments.append("reserve")
        self._place(self._field(reservation.key), arguments, declared)
        replaces = reservation.revoke_with is not None
        arguments += (
            reservation.value,
            self._ttl(reservation.ttl),
            self._field(keys.revoked_id("")) if replaces else "",
            reservation.revoke_with if replaces else "",
        )


def _is_plain(message: Outgoing) -> bool:
    return message.due is None and message.attempt == 1 and message.reservation is None

"""Consumers: who is there, who is gone, and who gets what the dead held."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from huey.storage.delivery import ConsumerRecord
from huey.storage.redis.checking import Checking
from huey.storage.redis.claiming import Claiming
from huey.storage.redis.core import as_text

if TYPE_CHECKING:
    from huey.storage.redis.wire import Line

#: The beat of a consumer whose recovery has begun and was not finished.
_NO_BEAT = -1


@dataclass(frozen=True, slots=True)
class Hold:
    """A lock or a place of a semaphore that is freed with the death of its holder."""

    #: "lock" or "place".
    kind: str
    key: bytes
    #: The value of the lock, or the member that has the place.
    value: bytes

    def field(self) -> bytes:
        """Name the hold among all holds."""
        return b"%s %d %s%s" % (self.kind.encode(), len(self.key), self.key, self.value)

    @classmethod
    def read(cls, field: bytes) -> Hold:
        """Read what `field` wrote."""
        kind, length, rest = field.split(b" ", 2)
        size = int(length)
        return cls(kind.decode(), rest[:size], rest[size:])


class Presence(Claiming, Checking):
    """Sign on, beat, sign off, recover."""

    _pulse: Line | None = None

    def sign_on(self, consumer: str, info: Mapping[str, str | int | float | bool | None]) -> None:
        """Make a consumer known.

        Raises:
            ConfigurationError: if the server, or what is stored on it, is not fit for this queue.
        """
        self._inspect()
        self._run("sign_on", (consumer, json.dumps(dict(info))), consumer=consumer)

    def sign_off(self, consumer: str) -> None:
        """Forget a consumer; what it still holds is released without crash marks."""
        if self._run("declare_dead", (consumer, ""), consumer=consumer):
            self._dissolve(consumer, mark="", cause=None)

    def heartbeat(self, consumer: str) -> bool:
        """Prove life, over a connection that nothing else can occupy."""
        if self._pulse is None:
            self._pulse = self._wire.line()
        gone = self._run("heartbeat", (consumer,), consumer=consumer, line=self._pulse)
        if gone is None:
            return False
        self._rescue_inboxes([as_text(name) for name in gone])
        return True

    def consumers(self) -> list[ConsumerRecord]:
        """List the consumers that have signed on and not off."""
        infos, beats = self._wire.ask_all(
            [("HGETALL", self._names.consumers), ("HGETALL", self._names.beats)]
        )
        if not infos:
            return []
        beat_of = dict(pairs(beats))
        ids = [as_text(name) for name, _ in pairs(infos)]
        sizes = self._wire.ask_all([("HLEN", self._of_consumer("claims", name)) for name in ids])
        return [
            ConsumerRecord(name, int(beat_of.get(raw, _NO_BEAT)), json.loads(info), size)
            for name, (raw, info), size in zip(ids, pairs(infos), sizes, strict=True)
        ]

    def recover(self, consumer: str, beat: int | None = None, cause: str | None = None) -> int:
        """Give all that a dead consumer holds back to the front of the queue, with crash marks.

        If the watcher dies meanwhile, the consumer stays listed, and another watcher goes on.
        """
        seen = "" if beat is None else str(beat)
        if not self._run("declare_dead", (consumer, seen), consumer=consumer):
            return 0
        return self._dissolve(consumer, mark="crash", cause=cause)

    def _dissolve(self, consumer: str, mark: str, cause: str | None) -> int:
        """Free, give back and forget, in this order: nobody may meet the locks of the dead."""
        self._free_holds({consumer})
        receipts = self._wire.ask("HKEYS", self._of_consumer("claims", consumer))
        counts = self._give_back(consumer, [int(number) for number in receipts], mark, cause)
        self._run("forget", (consumer,), consumer=consumer)
        return sum(counts)

    def _free_holds(self, holders: set[str]) -> int:
        held = self._wire.ask("HGETALL", self._names.holds)
        arguments: list[Any] = []
        declared: list[Any] = []
        for field, holder in pairs(held):
            if as_text(holder) not in holders:
                continue
            hold = Hold.read(field)
            arguments += (field, holder, hold.kind)
            if hold.kind == "lock":
                self._place(self._field(hold.key), arguments, declared)
                arguments.append(hold.value)
            else:
                declared.append(hold.key)
                arguments += (hold.value, place_entry(hold.key, hold.value))
        return self._run("free", arguments, keys=declared) if arguments else 0

    def _orphaned_holders(self) -> set[str]:
        """Tell who has locks and is no consumer: it was declared dead before it took them."""
        known, held = self._wire.ask_all(
            [("HKEYS", self._names.consumers), ("HVALS", self._names.holds)]
        )
        return {as_text(holder) for holder in set(held) - set(known)}

    def _rescue_inboxes(self, consumers: list[str]) -> int:
        """Give back what reached consumers after their end; sorted sets have no inboxes."""
        if self._queue_form != "list" or not consumers:
            return 0
        sizes = self._wire.ask_all([("LLEN", self._of_consumer("inbox", c)) for c in consumers])
        return sum(
            self._run("rescue_inbox", (consumer,), consumer=consumer)
            for consumer, size in zip(consumers, sizes, strict=True)
            if size
        )


def pairs(flat: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
    """Read the pairs of a reply that lists fields and values in turn."""
    return zip(flat[::2], flat[1::2], strict=True)


def place_entry(key: bytes, member: bytes) -> bytes:
    """Name a place of a semaphore among those of all semaphores."""
    return place_prefix(key) + member


def place_prefix(key: bytes) -> bytes:
    """Begin the names of the places of one semaphore."""
    return b"%d %s" % (len(key), key)


def read_place(entry: bytes) -> tuple[bytes, bytes]:
    """Read semaphore and member from what `place_entry` wrote."""
    length, _, rest = entry.partition(b" ")
    return rest[: int(length)], rest[int(length) :]

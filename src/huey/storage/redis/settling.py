"""Settling: what follows from tasks, in one script for many of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from huey import keys
from huey.storage.delivery import DeadLetter, Settled, Settlement
from huey.storage.redis.claiming import mark_name
from huey.storage.redis.core import CHUNK, as_bytes
from huey.storage.redis.producing import Producing

_OUTCOMES = {ord("d"): Settled.DONE, ord("l"): Settled.LOST, ord("c"): Settled.CHORD_COMPLETE}
#: Bytes of one script's arguments, above which the next one begins.
_CHUNK_BYTES = 4_000_000


class Settling(Producing):
    """Each settlement is atomic; a batch is written in chunks, so that nobody has to wait long."""

    def settle(self, settlements: Sequence[Settlement]) -> list[Settled]:
        """Write what follows from finished tasks."""
        outcomes: list[Settled] = []
        for chunk in _chunks(settlements):
            batch = Batch(self, chunk)
            reply = self._write("settle", batch.arguments, keys=batch.declared)
            outcomes += [_OUTCOMES[letter] for letter in reply]
        return outcomes


class Batch:
    """Settlements, written as ``settle.lua`` takes them."""

    def __init__(self, storage: Settling, settlements: Sequence[Settlement]) -> None:
        self._storage = storage
        self._holders: dict[str, int] = {}
        self._holder = 1
        # What all settlements need is looked up once.
        self._field = storage._field
        self._fields_are_keys = storage._data_form == "keys"
        self._largest = storage.max_message_size
        self._notify = storage._notify_list if storage.notify_result else None
        self.arguments: list[Any] = []
        #: Keys that only these settlements know.
        self.declared: list[Any] = []
        self._number_holders(settlements)
        settle = storage._prepare("settle")
        # What precedes the settlements: named keys and those of the holders; arguments of the
        # script's parts and the number of holders.
        self._first_key = len(settle.keys) + len(self._holders)
        self._first_argument = len(storage._leading(settle.script.parts)) + 1
        for settlement in settlements:
            self._add(settlement)
        self.arguments[:0] = [len(self._holders)]
        self.declared[:0] = [storage._of_consumer("claims", name) for name in self._holders]

    def _number_holders(self, settlements: Sequence[Settlement]) -> None:
        for settlement in settlements:
            if settlement.claim is not None:
                holder = settlement.claim.receipt.partition(" ")[2]
                self._holders.setdefault(holder, len(self._holders) + 1)

    def _add(self, settlement: Settlement) -> None:
        receipt = self._receipt_of(settlement)
        if not receipt or not _is_simple(settlement):
            self._add_whole(receipt, settlement)
        elif settlement.results:
            self.arguments += ("result", receipt)
            self._add_result(*settlement.results[0])
        else:
            self.arguments += ("none", receipt)

    def _receipt_of(self, settlement: Settlement) -> str:
        """Name the claim, after telling whose it is if that has changed."""
        if settlement.claim is None:
            return ""
        receipt, _, consumer = settlement.claim.receipt.partition(" ")
        holder = self._holders[consumer]
        if holder != self._holder:
            self._holder = holder
            self.arguments += ("holder", holder)
        return receipt

    def _add_whole(self, receipt: str, settlement: Settlement) -> None:
        self.arguments += ("whole", receipt)
        place = len(self.arguments)
        self.arguments += (0, 0, "chord" if settlement.chord else "")
        self._add_chord(settlement)
        self._add_deletions(settlement)
        for key, value in settlement.results:
            self.arguments.append("result")
            self._add_result(key, value)
        for message in settlement.outgoing:
            self._storage._check_size(message.data)
            self.arguments.append("outgoing")
            self._storage._write_outgoing(message, self.arguments, self.declared)
        if settlement.dead is not None:
            self.arguments += ("dead", letter_of(settlement.dead), _instant(settlement.dead))
        # Where this settlement ends, for a script that has to skip the rest of it.
        self.arguments[place] = len(self.arguments) + self._first_argument
        self.arguments[place + 1] = len(self.declared) + self._first_key

    def _add_chord(self, settlement: Settlement) -> None:
        step = settlement.chord
        if step is None:
            return
        self._place(self._field(keys.chord_partial(step.chord_id, step.index)))
        self._place(self._storage._counter_field(keys.chord_counter(step.chord_id)))
        self.arguments += (step.value, step.size)

    def _add_deletions(self, settlement: Settlement) -> None:
        for key in settlement.delete:
            self.arguments.append("delete")
            self._place(self._field(key))
        for key, value in settlement.delete_if:
            self.arguments.append("delete_if")
            self._place(self._field(key))
            self.arguments.append(value)
        for counter in settlement.delete_counters:
            self.arguments.append("delete_counter")
            self._place(self._storage._counter_field(counter))
        claim = settlement.claim
        if claim is not None and (claim.attempt > 1 or claim.redelivered):
            self.arguments += ("forget", mark_name(claim.data))

    def _add_result(self, key: str, value: bytes) -> None:
        self._place(self._field(key))
        self.arguments.append(value)
        if len(value) > self._largest:
            self._storage._check_size(value)
        if self._notify is not None:
            self.declared.append(self._notify(key))

    def _place(self, field: Any) -> None:
        (self.declared if self._fields_are_keys else self.arguments).append(field)


def _is_simple(settlement: Settlement) -> bool:
    """Tell whether at most one result follows, as it does from most tasks."""
    claim = settlement.claim
    return (
        len(settlement.results) <= 1
        and not settlement.outgoing
        and not settlement.delete
        and not settlement.delete_if
        and not settlement.delete_counters
        and settlement.chord is None
        and settlement.dead is None
        and (claim is None or (claim.attempt == 1 and not claim.redelivered))
    )


def _chunks(settlements: Sequence[Settlement]) -> Iterator[Sequence[Settlement]]:
    """Split a batch by number and by size."""
    start, size = 0, 0
    for index, settlement in enumerate(settlements):
        own = _size(settlement)
        if index > start and (index - start >= CHUNK or size + own > _CHUNK_BYTES):
            yield settlements[start:index]
            start, size = index, 0
        size += own
    if start < len(settlements):
        yield settlements[start:]


def _size(settlement: Settlement) -> int:
    size = sum(len(value) for _, value in settlement.results)
    size += sum(len(message.data) for message in settlement.outgoing)
    if settlement.dead is not None:
        size += len(settlement.dead.data)
    return size


def letter_of(letter: DeadLetter) -> bytes:
    """Write a dead letter: one line that says why, and the message."""
    why = json.dumps({"cause": str(letter.cause), "detail": letter.detail})
    return why.encode() + b"\n" + letter.data


def read_letter(key: bytes, died_at: bytes, letter: bytes) -> DeadLetter:
    """Read what `letter_of` wrote."""
    why, _, data = letter.partition(b"\n")
    facts = json.loads(why)
    return DeadLetter(data, facts["cause"], facts["detail"], float(died_at), as_bytes(key).decode())


def _instant(letter: DeadLetter) -> str:
    return repr(float(letter.died_at)) if letter.died_at else ""

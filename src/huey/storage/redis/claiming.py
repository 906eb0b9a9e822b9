"""Claiming messages, waiting for them, and giving them back."""

from __future__ import annotations

import hashlib
import os
import threading
import time
import uuid
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import repeat
from typing import TYPE_CHECKING

from huey.storage.delivery import Claim
from huey.storage.redis.alarm import Alarm
from huey.storage.redis.core import CHUNK, RedisCore

if TYPE_CHECKING:
    from huey.storage.redis.wire import Command, Line

#: Seconds for which one blocking move waits; a connection that broke unseen is missed after it.
_DOZE = 5.0
#: Messages that one script claims; they take it 1 to 2 ms.
_LARGEST_CLAIM = 500
#: Bytes of a message by which its marks are found; ``marks.lua`` says why.
_NAMED_BY = 4096


@dataclass(slots=True)
class Seat:
    """What one consumer needs for its claims: a connection, and the numbers of its calls."""

    consumer: str
    line: Line
    #: Tells the calls of this storage object apart from those of others for the same consumer.
    nonce: str
    alarm: Alarm = field(default_factory=Alarm)
    lock: threading.Lock = field(default_factory=threading.Lock)
    #: Number of the next call.
    turn: int = 1
    #: The last call that claimed anything and whose reply has arrived.
    seen: int = 0
    #: Claims that a repeated reply brought beyond what was asked for this time.
    surplus: deque[Claim] = field(default_factory=deque)

    def close(self) -> None:
        """Release the connection and the alarm."""
        self.line.close()
        self.alarm.close()


class Claiming(RedisCore):
    """Messages move from ready to claimed, and back."""

    _seats: dict[str, Seat]
    #: Whether to look for messages that arrived without waking anybody.
    _polls: bool = False
    #: Bytes before the message in what a claim keeps: see ``queue_sorted.lua``.
    _kept_header: int = 0

    def claim(self, consumer: str, limit: int, block: float = 0.0) -> list[Claim]:
        """Move up to ``limit`` messages from ready to claimed.

        What a lost reply had claimed is returned by the next call.
        """
        if limit <= 0:
            return []
        seat = self._seat(consumer)
        with seat.lock:
            claims = self._take(seat, limit)
            if claims or block <= 0:
                return claims or []
            if claims is None:
                # It learns from its heartbeat that it is unknown; until then it need not hurry.
                seat.alarm.wait(block)
                return []
            return self._wait_and_take(seat, limit, time.monotonic() + block)

    def wake(self, consumer: str) -> None:
        """End the waiting of this consumer's ``claim``, or of its next one."""
        self._seat(consumer).alarm.ring()

    def release(self, claims: Sequence[Claim]) -> int:
        """Give claims that did not start back to the front, in order."""
        by_consumer: dict[str, list[int]] = {}
        for claim in claims:
            number, _, consumer = claim.receipt.partition(" ")
            by_consumer.setdefault(consumer, []).append(int(number))
        return sum(self._give_back(*held)[0] for held in by_consumer.items())

    def _give_back(
        self, consumer: str, receipts: list[int], mark: str = "", cause: str | None = None
    ) -> tuple[int, int]:
        """Give back what is still held of these, and all that the consumer has not seen yet.

        Returns:
            How many messages were held, and how many had not been seen.
        """
        held = unseen = 0
        receipts.sort(reverse=True)
        for start in range(0, max(1, len(receipts)), CHUNK):
            arguments = (mark, cause or "", *receipts[start : start + CHUNK])
            counts = self._run("give_back", arguments, consumer=consumer)
            held += counts[0]
            unseen += counts[1]
        return held, unseen

    def _seat(self, consumer: str) -> Seat:
        seat = self._seats.get(consumer)
        if seat is None:
            nonce = f"{os.getpid()}-{uuid.uuid4().hex[:12]}"
            fresh = Seat(consumer, self._wire.line(), nonce)
            # Another thread may have been faster; all must use the same one.
            seat = self._seats.setdefault(consumer, fresh)
        return seat

    def _take(self, seat: Seat, limit: int) -> list[Claim] | None:
        """Claim without waiting; None if the consumer is unknown."""
        if seat.surplus:
            return [seat.surplus.popleft() for _ in range(min(limit, len(seat.surplus)))]
        arguments = (seat.consumer, seat.nonce, seat.turn, seat.seen, min(limit, _LARGEST_CLAIM))
        reply = self._run("claim", arguments, consumer=seat.consumer, line=seat.line)
        if reply is None:
            return None
        turn, first, kept, marks = reply
        seat.turn = max(seat.turn, turn) + 1
        if not kept:
            return []
        seat.seen = turn
        claims = self._read_claims(seat.consumer, int(first), kept, marks)
        seat.surplus.extend(claims[limit:])
        return claims[:limit]

    def _read_claims(
        self, consumer: str, first: int, kept: list[bytes | None], marks: list[bytes | None]
    ) -> list[Claim]:
        header = self._kept_header
        claims = []
        for number, (data, mark) in enumerate(zip(kept, marks or repeat(None)), start=first):  # noqa: B905 - one may be endless
            if data is None:
                continue
            receipt = f"{number} {consumer}"
            if header:
                data = data[header:]
            claims.append(Claim(receipt, data) if mark is None else _marked(receipt, data, mark))
        return claims

    # ── waiting ────────────────────────────────────────────────────────────────────────────────

    def _wait_and_take(self, seat: Seat, limit: int, deadline: float) -> list[Claim]:
        while (left := deadline - time.monotonic()) > 0:
            doze, command = self._doze(seat.consumer, left)
            woken, reply = seat.line.wait(command, doze, seat.alarm)
            if woken:
                return []
            if reply is None and (not self._polls or time.monotonic() >= deadline):
                continue
            claims = self._take(seat, limit)
            if claims is None or claims:
                return claims or []
        return []

    def _doze(self, consumer: str, left: float) -> tuple[float, Command]:
        """Choose how to wait for a message: the seconds, and the command that does it.

        An old producer's push wakes one of the consumers, and the message is safe in its inbox.
        """
        doze = min(left, _DOZE)
        inbox = self._of_consumer("inbox", consumer)
        return doze, ("BLMOVE", self._names.queue, inbox, "RIGHT", "LEFT", seconds(doze))


def seconds(duration: float) -> str:
    """Write a timeout for a blocking command.

    0 would mean for ever, and Redis 6.2 rounds 1 ms down to it.
    """
    return f"{max(duration, 0.01):.3f}"


def _marked(receipt: str, data: bytes, mark: bytes) -> Claim:
    attempt, alone, company, _, cause = mark.split(b" ", 4)
    return Claim(
        receipt,
        data,
        attempt=int(attempt) + int(alone) + int(company),
        crashes_in_company=int(company),
        crashes_alone=int(alone),
        cause=cause.decode("utf-8", "replace") or None,
    )


def mark_name(data: bytes) -> str:
    """Name the marks of a message, as ``marks.lua`` does."""
    return hashlib.sha1(data[:_NAMED_BY], usedforsecurity=False).hexdigest()

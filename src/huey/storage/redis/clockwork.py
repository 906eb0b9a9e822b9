"""The schedule, and ticks of periodic tasks."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import chain
from typing import Any

from huey.storage.delivery import Due, Move, Outgoing, Scheduled
from huey.storage.redis.core import CHUNK, as_text
from huey.storage.redis.instants import due_of, filed, is_ours
from huey.storage.redis.presence import pairs
from huey.storage.redis.producing import Producing

#: Scheduled messages that one script looks at.
_PORTION = 500
#: Scheduled messages that `unverified` looks at in one call, at most, once it has seen all.
_SCAN = 50_000


class Clockwork(Producing):
    """Time is the server's."""

    #: Where `unverified` goes on, whether it has seen all, what it has found and not listed, and
    #: what it has listed.
    _scan_cursor: bytes
    _scanned_all: bool
    _found: deque[Scheduled]
    _listed: set[int]

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it."""
        instant = "" if now is None else repr(float(now))
        reply_now, *sets = self._run("due", (limit, instant))
        found = sorted(
            chain(_scheduled(sets[0][0], copies=False), _scheduled(sets[1][0], copies=True)),
            key=lambda scheduled: scheduled.due,
        )
        messages = tuple(found[:limit])
        if sum(count for _, count, _ in sets) > len(messages):
            return Due(messages, 0.0)
        following = [due_of(float(score)) for _, _, score in sets if score]
        wait = max(0.0, min(following) - float(reply_now)) if following else None
        return Due(messages, wait)

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled under the time at which the caller saw them."""
        moved = 0
        for start in range(0, len(moves), CHUNK):
            arguments: list[Any] = []
            for move in moves[start : start + CHUNK]:
                score, _, prefix = move.scheduled.token.partition(" ")
                due = "" if move.due is None else filed(move.due)
                data = move.scheduled.data
                arguments += (bytes.fromhex(prefix), data, score, self._score(move.priority), due)
            moved += self._run("promote", arguments)
        return moved

    def unverified(self, limit: int = 500) -> list[Scheduled]:
        """List scheduled messages that we have not filed; the scan goes on with each call."""
        scanned = 0
        while len(self._found) < limit and (scanned < _SCAN or not self._scanned_all):
            self._scan_cursor, portion = self._run("unverified", (self._scan_cursor, _PORTION))
            for scheduled in _scheduled(portion, copies=False):
                name = hash((scheduled.data, scheduled.due))
                if name not in self._listed:
                    self._listed.add(name)
                    self._found.append(scheduled)
            scanned += _PORTION
            if self._scan_cursor == b"0":
                self._scanned_all = True
                break
        return [self._found.popleft() for _ in range(min(limit, len(self._found)))]

    # ── ticks ──────────────────────────────────────────────────────────────────────────────────

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""
        arguments: list[Any] = [name, repr(float(planned))]
        declared: list[Any] = []
        self._check_size(message.data)
        self._write_outgoing(message, arguments, declared)
        return bool(self._write("tick", arguments, keys=declared))

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        ticks = self._wire.ask("HGETALL", self._names.ticks)
        return {as_text(name): float(planned) for name, planned in pairs(ticks)}


def _scheduled(rows: Sequence[bytes], copies: bool) -> list[Scheduled]:
    """Read members and scores; a token holds the score, and what makes a copy unique."""
    found = []
    for member, score in zip(rows[::2], rows[1::2], strict=True):
        filed_at = float(score)
        prefix, data = (member[:8], member[8:]) if copies else (b"", member)
        due = due_of(filed_at) if is_ours(filed_at) else filed_at
        found.append(Scheduled(f"{filed_at!r} {prefix.hex()}", data, due))
    return found

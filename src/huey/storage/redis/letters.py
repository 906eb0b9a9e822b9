"""Dead letters, and sweeping what nobody needs any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from huey.storage.delivery import DeadLetter
from huey.storage.redis.core import as_text
from huey.storage.redis.presence import Presence, read_place
from huey.storage.redis.settling import read_letter


class Letters(Presence):
    """What is kept for people, and for how long."""

    #: Where the next sweep goes on among marks and waiters.
    _sweep_cursors: Sequence[bytes]

    def dead_letters(self, limit: int = 100, offset: int = 0) -> list[DeadLetter]:
        """List dead letters, the newest first."""
        if limit <= 0:
            return []
        rows = self._wire.ask(
            "ZREVRANGE", self._names.dead, offset, offset + limit - 1, "WITHSCORES"
        )
        if not rows:
            return []
        found = self._wire.ask("HMGET", self._names.letters, *rows[::2])
        return [
            read_letter(key, died_at, letter)
            for key, died_at, letter in zip(rows[::2], rows[1::2], found, strict=True)
            if letter is not None
        ]

    def dead_count(self) -> int:
        """Count the dead letters."""
        return int(self._wire.ask("ZCARD", self._names.dead))

    def replay(self, key: str, priority: float | None = None) -> bool:
        """Move a dead letter back to the queue, its marks forgotten."""
        return bool(self._write("replay", (key, self._score(priority))))

    def delete_dead(self, key: str) -> bool:
        """Delete one dead letter; False if it is not there."""
        return bool(self._run("delete_dead", (key,)))

    def sweep(self, *, max_dead: int, max_dead_age: float, max_mark_age: float) -> int:
        """Remove what nobody needs any more."""
        arguments = (max_dead, max_dead_age, max_mark_age, *self._sweep_cursors)
        removed, *self._sweep_cursors = self._run("sweep", arguments)
        orphaned = self._orphaned_holders()
        if orphaned:
            removed += self._free_holds(orphaned)
        gone = self._wire.ask("ZRANGE", self._names.gone, 0, -1)
        self._rescue_inboxes([as_text(name) for name in gone])
        return int(removed) + self._free_places()

    def _free_places(self) -> int:
        """Free places of semaphores that are over."""
        now = self.now()
        ended = self._wire.ask(
            "ZRANGEBYSCORE", self._names.places, "-inf", repr(now), "LIMIT", 0, 100
        )
        arguments: list[Any] = []
        declared = []
        for entry in ended:
            key, member = read_place(entry)
            declared.append(key)
            arguments += (member, entry)
        return int(self._run("free_places", arguments, keys=declared)) if ended else 0

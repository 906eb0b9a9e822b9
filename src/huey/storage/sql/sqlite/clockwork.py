"""The schedule in SQLite as the consumers' clock sees it, and ticks of periodic tasks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from huey.storage.delivery import Due, Move, Outgoing, Scheduled
from huey.storage.sql.filing import filed, unfiled
from huey.storage.sql.sqlite.batches import change_in, insert_rows
from huey.storage.sql.sqlite.letters import SqliteLetters

_MICROSECONDS = "((timestamp - CAST(timestamp AS INTEGER)) * 1e6)"
#: Narrows a query of schedule to rows that others have filed: see ``filing.py``.
_FOREIGN = f"abs({_MICROSECONDS} - CAST({_MICROSECONDS} AS INTEGER) - 0.5) > 0.25"
#: How often all of the schedule is searched for rows of others, in seconds; between, only what was
#: added at the end is. An id that is used again may hide there until then.
_FULL_SEARCH = 30.0
#: Messages to move in one statement: each takes two parameters.
_MOVES = 64


class SqliteClockwork(SqliteLetters):
    """Due, promote, tick."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self._searched_at = -_FULL_SEARCH
        self._searched_to = 0
        self._listed: set[tuple[int, float]] = set()
        super().__init__(*args, **kwargs)

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it."""
        now = time.time() if now is None else now
        until = filed(now)
        rows = self._read(
            "SELECT id, timestamp, data FROM schedule WHERE queue = ? AND timestamp <= ? "
            "ORDER BY timestamp, id LIMIT ?",
            (self.name, until, limit + 1),
        )
        messages = tuple(_scheduled(*row) for row in rows[:limit])
        if len(rows) > limit:
            return Due(messages, 0.0)
        (first,) = self._read(
            "SELECT min(timestamp) FROM schedule WHERE queue = ? AND timestamp > ?",
            (self.name, until),
        )[0]
        return Due(messages, None if first is None else max(0.0, first - now))

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled; returns how many were."""
        if not moves:
            return 0
        moved, ready = self._write(lambda conn: self._promote(conn, moves), durable=False)
        if ready:
            self._announce_messages()
        return moved

    def _promote(self, conn: Any, moves: Sequence[Move]) -> tuple[int, bool]:
        still = self._still_scheduled(conn, [move.scheduled for move in moves])
        # An entry that is named twice is moved once.
        chosen = {
            _row_id(move.scheduled): move for move in moves if _row_id(move.scheduled) in still
        }
        change_in(conn, "DELETE FROM schedule WHERE id IN", (), list(chosen))
        ready = [m for m in chosen.values() if m.due is None]
        if ready:
            rows = [(self.name, m.scheduled.data, m.priority or 0) for m in ready]
            insert_rows(conn, "INSERT INTO task (queue, data, priority)", rows)
        later = [
            (self.name, m.scheduled.data, filed(m.due))
            for m in chosen.values()
            if m.due is not None
        ]
        if later:
            insert_rows(conn, "INSERT INTO schedule (queue, data, timestamp)", later)
        return len(chosen), bool(ready)

    def _still_scheduled(self, conn: Any, entries: Sequence[Scheduled]) -> set[int]:
        """Find the entries that are as they were: an id may belong to another message by now."""
        found: set[int] = set()
        for start in range(0, len(entries), _MOVES):
            part = list(entries[start : start + _MOVES])
            # Always as many, so that one statement serves all: repeating the last one is harmless.
            part += part[-1:] * (_MOVES - len(part) if len(part) > 1 else 0)
            values = ", ".join(["(?, ?)"] * len(part))
            query = f"""SELECT group_concat(s.id) FROM (VALUES {values}) AS v
                CROSS JOIN schedule AS s ON s.id = v.column1
                WHERE s.data = v.column2 AND s.queue = ?"""
            params = [value for entry in part for value in (_row_id(entry), entry.data)]
            (ids,) = conn.execute(query, (*params, self.name)).fetchone()
            found.update(map(int, (ids or "").split(",") if ids else ()))
        return found

    def unverified(self, limit: int = 500) -> list[Scheduled]:
        """List scheduled messages that an old Huey has filed, each once."""
        now = time.monotonic()
        if now - self._searched_at >= _FULL_SEARCH:
            self._searched_at, self._searched_to = now, 0
        newest = self._read("SELECT max(id) FROM schedule")[0][0] or 0
        rows = self._foreign_after(self._searched_to)
        if not self._searched_to:
            self._listed.intersection_update(rows)
        fresh = [row for row in rows if row not in self._listed]
        self._searched_to = newest if len(fresh) <= limit else fresh[limit - 1][0]
        self._listed.update(fresh[:limit])
        return [_scheduled(*row, data) for row in fresh[:limit] for data in self._data_of(row[0])]

    def _foreign_after(self, id_: int) -> list[tuple[int, float]]:
        # The plus makes SQLite read the index, which is all that is needed, and not the messages.
        column = "id" if id_ else "+id"
        rows = self._read(
            f"SELECT id, timestamp FROM schedule WHERE queue = ? AND {column} > ? AND {_FOREIGN} "
            f"ORDER BY {column}",
            (self.name, id_),
        )
        return [(row[0], row[1]) for row in rows]

    def _data_of(self, id_: int) -> list[bytes]:
        query = "SELECT data FROM schedule WHERE queue = ? AND id = ?"
        return [data for (data,) in self._read(query, (self.name, id_))]

    # ── ticks ──────────────────────────────────────────────────────────────────────────────────

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""
        if self.last_ticks().get(name, planned - 1) >= planned:
            return False  # without waiting for a writer
        if not self._write(lambda conn: self._tick(conn, name, planned, message)):
            return False
        if message.due is None:
            self._announce_messages()
        return True

    def _tick(self, conn: Any, name: str, planned: float, message: Outgoing) -> bool:
        changed = conn.execute(
            "INSERT INTO huey_tick (queue, name, planned) VALUES (?, ?, ?) "
            "ON CONFLICT (queue, name) DO UPDATE SET planned = excluded.planned "
            "WHERE excluded.planned > planned",
            (self.name, name, planned),
        ).rowcount
        if changed:
            self._accept(conn, [message])
        return bool(changed)

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        return dict(self._read("SELECT name, planned FROM huey_tick WHERE queue = ?", (self.name,)))


def _scheduled(id_: int, timestamp: float, data: bytes) -> Scheduled:
    return Scheduled(f"{id_}@{timestamp!r}", data, unfiled(timestamp))


def _row_id(entry: Scheduled) -> int:
    return int(entry.token.partition("@")[0])

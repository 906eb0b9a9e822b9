"""The schedule in PostgreSQL as the clock sees it, and ticks of periodic tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from huey.storage.delivery import Due, Move, Outgoing, Scheduled
from huey.storage.sql.filing import filed, unfiled
from huey.storage.sql.postgres.certainty import Ticket
from huey.storage.sql.postgres.core import CLOCK, columns
from huey.storage.sql.postgres.queueing import count_ready
from huey.storage.sql.postgres.reservations import decide
from huey.storage.sql.postgres.settling import PostgresSettling

if TYPE_CHECKING:
    from psycopg import Connection
    from psycopg.rows import TupleRow

DUE = f"""
WITH clock AS MATERIALIZED (SELECT coalesce(%(now)s::float8, {CLOCK}) AS now)
(SELECT id, data, timestamp, 0::float8 AS wait FROM {{p}}_schedule
 WHERE queue = %(queue)s AND timestamp <= (SELECT now FROM clock)
 ORDER BY timestamp, id LIMIT %(limit)s)
UNION ALL
SELECT NULL, NULL, NULL, min(timestamp) - (SELECT now FROM clock) FROM {{p}}_schedule
WHERE queue = %(queue)s AND timestamp > (SELECT now FROM clock)
"""
PROMOTE = """
WITH gone AS (
  DELETE FROM {p}_schedule WHERE id = ANY (ARRAY(
    SELECT id FROM {p}_schedule WHERE id = ANY (%(id)b::bigint[]) AND queue = %(queue)s
    ORDER BY id FOR UPDATE))
  RETURNING data, array_position(%(id)b::bigint[], id) AS n
)
INSERT INTO {p}_task (queue, data, priority)
SELECT %(queue)s, data, (%(priority)b::float8[])[n] FROM gone ORDER BY n
"""
REFILE = """
UPDATE {p}_schedule SET timestamp = (%(due)b::float8[])[array_position(%(id)b::bigint[], id)]
WHERE id = ANY (ARRAY(
  SELECT id FROM {p}_schedule WHERE id = ANY (%(id)b::bigint[]) AND queue = %(queue)s
  ORDER BY id FOR UPDATE))
"""
#: Whether a row of the schedule was filed by somebody else, as in ``sql/filing.py``.
FOREIGN = (
    "abs((timestamp - floor(timestamp)) * 1e6 - floor((timestamp - floor(timestamp)) * 1e6) - 0.5)"
    " > 0.25"
)
UNVERIFIED = f"""
SELECT id, data, timestamp FROM {{p}}_schedule
WHERE queue = %(queue)s AND id > %(after)s AND id <> ALL (%(seen)b::bigint[]) AND {FOREIGN}
ORDER BY id LIMIT %(limit)s
"""
TICK = """
INSERT INTO {p}_tick AS t (queue, name, planned) VALUES (%(queue)s, %(name)s, %(planned)s)
ON CONFLICT (queue, name) DO UPDATE SET planned = excluded.planned
WHERE t.planned < excluded.planned RETURNING 1
"""

#: Rows of the schedule get their ids before they become visible, so that a row may turn up behind
#: others with higher ids: so many ids are looked at once more.
_OVERLAP = 1_000


class PostgresClockwork(PostgresSettling):
    """Due, promote, tick; needs: queueing."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: Ids of foreign rows that were listed, except those that no query can meet again.
        self._listed_ids: list[int] = []

    def due(self, limit: int = 500, now: float | None = None) -> Due:
        """Look at the schedule, without changing it."""
        until = None if now is None else filed(now)
        rows = self._all(DUE, now=until, limit=limit + 1)
        messages = tuple(
            Scheduled(str(number), data, unfiled(timestamp))
            for number, data, timestamp, _ in rows
            if number is not None
        )
        if len(messages) > limit:
            return Due(messages[:limit], 0.0)
        wait = next((wait for number, _, _, wait in rows if number is None), None)
        return Due(messages, wait)

    def promote(self, moves: Sequence[Move]) -> int:
        """Move messages that are still scheduled; returns how many were."""
        if not moves:
            return 0
        ready = [
            (int(move.scheduled.token), float(move.priority or 0))
            for move in moves
            if move.due is None
        ]
        later = [
            (int(move.scheduled.token), filed(move.due)) for move in moves if move.due is not None
        ]
        return self._run(lambda c: self._promote(c, ready, later))

    def _promote(
        self,
        connection: Connection[TupleRow],
        ready: list[tuple[int, float]],
        later: list[tuple[int, float]],
    ) -> int:
        cursors = []
        with self._burst(connection) as end:
            connection.execute("BEGIN")
            if ready:
                cursors.append(self._do(connection, PROMOTE, **columns(ready, ("id", "priority"))))
            if later:
                cursors.append(self._do(connection, REFILE, **columns(later, ("id", "due"))))
            connection.execute("COMMIT")
            end()
            self._ring(connection, len(ready))
        return sum(cursor.rowcount for cursor in cursors)

    def unverified(self, limit: int = 500) -> list[Scheduled]:
        """List scheduled messages that were filed by Huey 3.5.4, each once."""
        last = self._listed_ids[-1] if self._listed_ids else 0
        self._listed_ids = [number for number in self._listed_ids if number > last - _OVERLAP]
        rows = self._all(UNVERIFIED, after=last - _OVERLAP, seen=self._listed_ids, limit=limit)
        self._listed_ids = sorted({*self._listed_ids, *(row[0] for row in rows)})
        return [Scheduled(str(number), data, due) for number, data, due in rows]

    # ── ticks ──────────────────────────────────────────────────────────────────────────────────

    def tick(self, name: str, planned: float, message: Outgoing) -> bool:
        """Enqueue a periodic task's message unless this tick, or a later one, exists already."""

        def enqueue(connection: Connection[TupleRow], ticket: Ticket) -> bool:
            with self._burst(connection):
                self._begin(connection, ticket)
                cursor = self._do(connection, TICK, name=name, planned=float(planned))
                ticket.result = bool(cursor.fetchall())
            if not ticket.result:
                connection.execute("ROLLBACK")
                return False
            decision = decide([message], self._reserve(connection, [message]))
            with self._burst(connection):
                self._write_decision(connection, decision)
                ticket.commit(connection)
                self._ring(connection, count_ready(decision.accepted))
            return True

        return self._certain(enqueue)

    def last_ticks(self) -> dict[str, float]:
        """Read the planned time of the last tick of each periodic task."""
        rows = self._all("SELECT name, planned FROM {p}_tick WHERE queue = %(queue)s")
        return {name: float(planned) for name, planned in rows}
